//! Alibaba Cloud's scaling groups (ESS) as our groups, and CloudMonitor (CMS) as a source of metrics.
//!
//! - [`Settings`]: regions, accounts, endpoints, timeouts, budget.
//! - [`sign`] and [`Params`] make a request out of a call, purely; `transport.rs` sends it,
//!   `credentials.rs` has the keys, `endpoint.rs` knows where to.
//! - `access.rs`: an account in a region, with its limits, backoff and budget.
//! - Reading a group: `groups.rs` asks, `translate.rs` and `owner.rs` put it into our words;
//!   `survey.rs` reads what feeds it.
//! - Reading samples: `metrics.rs`, of a whole group `members.rs`. Writing: `write.rs`, one attempt, never more.
//! - What may be idle: `estate/`, instances above all, which are listed, measured, stopped and started.
//! - `trial.rs` tries each permission, `rooms.rs` reads the limits around growth.
//! - `fault.rs` sorts every error by what the caller does next; `cost.rs` says what all of it needs.

mod access;
mod cost;
mod credentials;
mod endpoint;
mod estate;
mod fault;
#[cfg(test)]
mod golden;
mod groups;
mod known;
mod members;
mod metrics;
mod owner;
mod params;
mod regions;
mod rooms;
mod settings;
pub mod sign;
mod survey;
mod translate;
mod transport;
mod trial;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use fleet::feed::Survey;
use fleet::group::{Activity, GroupState};
use fleet::metric::MetricQuery;
use fleet::{Fault, GroupId, GroupRef, Place, Seconds, Timestamp};

pub use cost::{expected_calls, metric_calls, required_permissions};
pub use endpoint::{Network, Product};
pub use members::GROUP as GROUP_DIMENSION;
pub use params::Params;
pub use settings::{
    Environment, FREE_METRIC_CALLS_A_MONTH, PERIODS, RamRoles, RoleAccount, RoleArn, Settings,
};

use access::Access;
use groups::{DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS};
use metrics::{DESCRIBE_METRICS, Several};

use crate::places;
use crate::{
    Deadline, Estate, GroupWriter, Inventory, Metrics, Now, Provider, Retention, Samples, Trials,
};

/// How long CloudMonitor may take to have a sample, beyond two periods.
const SETTLING_MIN: Seconds = Seconds::minutes(3);
/// Intervals that CloudMonitor may still correct.
const SETTLING_PERIODS: u64 = 2;

/// Alibaba Cloud in the configured accounts and regions.
#[derive(Clone, Debug)]
pub struct Alibaba {
    access: Arc<Access>,
}

impl Alibaba {
    /// Alibaba Cloud as configured. Connects to nothing yet; `now` is also the clock of signatures.
    pub fn new(settings: Settings, now: Arc<dyn Now>) -> Alibaba {
        Alibaba { access: Arc::new(Access::new(settings, now)) }
    }

    /// Reads metrics place by place: one answer a query, in the order asked.
    async fn read_metrics(
        &self,
        queries: &[MetricQuery],
        several: fn(&MetricQuery) -> Several,
        span: (Timestamp, Timestamp),
        deadline: Deadline,
    ) -> Vec<places::SamplesAnswer> {
        let place = |query: &MetricQuery| (query.account.clone(), query.region.clone());
        places::together(queries, place, DESCRIBE_METRICS.lost(), |place, queries| {
            let access = Arc::clone(&self.access);
            async move {
                metrics::of_place(&access, &place, queries, several, span, deadline).await
            }
        })
        .await
    }
}

impl Provider for Alibaba {
    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn metrics(&self) -> &dyn Metrics {
        self
    }

    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        Box::new(write::Writer { access: Arc::clone(&self.access), group: group.clone() })
    }

    fn estate(&self) -> Option<&dyn Estate> {
        Some(self)
    }

    fn trials(&self) -> Option<&dyn Trials> {
        Some(self)
    }
}

#[async_trait]
impl Inventory for Alibaba {
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>> {
        places::groups(wanted, DESCRIBE_GROUPS.lost(), |(account, region), names| {
            let access = Arc::clone(&self.access);
            async move { groups::of_place(&access, &account, &region, names, deadline).await }
        })
        .await
    }

    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault> {
        let seat = self.access.seat(DESCRIBE_GROUPS, &id.account, &id.region)?;
        DESCRIBE_GROUPS.by(deadline, groups::fresh(&seat, id, deadline)).await
    }

    fn places(&self) -> Vec<Place> {
        self.access.settings.named_places(&self.access.found)
    }

    fn seeks_places(&self) -> bool {
        self.access.settings.every_region
    }

    async fn find_places(&self, deadline: Deadline) -> Result<(), Fault> {
        match self.access.settings.every_region {
            true => regions::find(&self.access, deadline).await,
            false => Ok(()),
        }
    }

    async fn discover(&self, place: &Place, deadline: Deadline) -> Result<Vec<GroupState>, Fault> {
        let read = async {
            let Place { account, region, .. } = place;
            let seat = self.access.seat(DESCRIBE_GROUPS, account, region)?;
            groups::all(&seat, &self.access.settings.home(account, region), deadline).await
        };
        DESCRIBE_GROUPS.by(deadline, read).await
    }

    async fn survey(&self, place: &Place, deadline: Deadline) -> Result<Survey, Fault> {
        let read = async {
            let Place { account, region, .. } = place;
            let seat = self.access.seat(DESCRIBE_GROUPS, account, region)?;
            survey::of_place(&seat, &self.access.settings.home(account, region), deadline).await
        };
        DESCRIBE_GROUPS.by(deadline.and_a_moment(), read).await
    }

    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        let seat = self.access.seat(DESCRIBE_ACTIVITIES, &id.account, &id.region)?;
        let read = groups::activities_of(&seat, &id.id, since, deadline);
        DESCRIBE_ACTIVITIES.by(deadline, read).await
    }
}

#[async_trait]
impl Metrics for Alibaba {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        let answers = self.read_metrics(queries, |_| Several::Fault, (from, to), deadline).await;
        // It answers in whole or not at all.
        answers.into_iter().map(|answer| answer.map(Samples::from)).collect()
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        let settling = Seconds(u64::from(query.period.seconds()) * SETTLING_PERIODS);
        Retention {
            history: metrics::history(query.period),
            settling: settling.max(SETTLING_MIN),
            usd_micros_per_thousand_metrics: 0,
        }
    }

    fn metrics_read(&self) -> u64 {
        self.access.metric_calls()
    }
}
