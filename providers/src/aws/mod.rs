//! AWS Auto Scaling groups as our groups, CloudWatch as a source of metrics, and what may be idle.
//!
//! - [`Settings`]: regions, accounts, endpoint, timeouts, budget.
//! - Reading a group: `groups.rs` asks, by the listings of `listings.rs` and `pages.rs`; `translate.rs`, `owner.rs` and `cause.rs` put it into our
//!   words, `details.rs` remembers what need not be asked each cycle.
//! - What feeds groups: `survey.rs`, once, for a first configuration.
//! - Reading samples: `batches.rs` shares out the queries, `metrics.rs` asks.
//! - Writing: `write.rs`, one attempt, never more.
//! - What may be idle: `estate/` lists, reads, prices, stops and starts it; `thin.rs` calls the
//!   services that have no SDK here at the hosts of `endpoint.rs`, `xml.rs` reads what they answer.
//! - `trial.rs` tries each permission, `rooms.rs` reads the limits around growth.
//! - `fault.rs` sorts every error by what the caller does next; `cost.rs` says what all of it needs
//!   and costs.

mod access;
mod batches;
mod cause;
mod cost;
mod details;
mod endpoint;
mod estate;
mod fault;
mod groups;
mod health;
mod http;
mod known;
mod listings;
mod metrics;
mod owner;
mod pages;
mod regions;
mod rooms;
mod settings;
mod survey;
#[cfg(test)]
mod tests;
mod thin;
mod translate;
mod trial;
mod write;
mod xml;

use std::sync::Arc;

use async_trait::async_trait;
use fleet::feed::Survey;
use fleet::group::{Activity, GroupState};
use fleet::metric::MetricQuery;
use fleet::{Fault, FaultKind, GroupId, GroupRef, Place, Timestamp};

pub use cost::{expected_calls, required_permissions, usage_usd_micros};
pub use settings::{IamRoles, RoleAccount, RoleArn, Settings};

use access::Access;
use listings::{DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS};
use metrics::GET_METRIC_DATA;

use crate::places;
use crate::{
    Deadline, Estate, GroupWriter, Inventory, Metrics, Now, Provider, Retention, Samples, Trials,
};

/// The price of `GetMetricData` in millionths of a US dollar per 1,000 metrics.
const USD_MICROS_PER_THOUSAND_METRICS: u64 = 10_000;
/// Intervals that CloudWatch may still correct.
const SETTLING_PERIODS: u64 = 2;

/// AWS in the configured accounts and regions.
#[derive(Clone, Debug)]
pub struct Aws {
    access: Arc<Access>,
}

impl Aws {
    /// AWS as configured. Connects to nothing yet; `now` is also the SDK's clock.
    pub fn new(settings: Settings, now: Arc<dyn Now>) -> Aws {
        Aws { access: Arc::new(Access::new(settings, now, None)) }
    }
}

impl Provider for Aws {
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
impl Inventory for Aws {
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
        let read = async {
            let seat = self.access.seat(DESCRIBE_GROUPS, &id.account, &id.region).await?;
            groups::fresh(&seat, id, deadline).await
        };
        DESCRIBE_GROUPS.by(deadline, read).await
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
            let seat = self.access.seat(DESCRIBE_GROUPS, account, region).await?;
            groups::all(&seat, &self.access.settings.home(account, region), deadline).await
        };
        DESCRIBE_GROUPS.by(deadline, read).await
    }

    async fn survey(&self, place: &Place, deadline: Deadline) -> Result<Survey, Fault> {
        let read = async {
            let Place { account, region, .. } = place;
            let seat = self.access.seat(DESCRIBE_GROUPS, account, region).await?;
            let home = self.access.settings.home(account, region);
            survey::of_place(&seat, &home, deadline).await
        };
        DESCRIBE_GROUPS.by(deadline.and_a_moment(), read).await
    }

    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        let name = translate::name_in(&id.id).ok_or_else(|| {
            DESCRIBE_ACTIVITIES.fault(FaultKind::Missing, format!("no group `{}`", id.id))
        })?;
        let read = async {
            let seat = self.access.seat(DESCRIBE_ACTIVITIES, &id.account, &id.region).await?;
            listings::activities_of(&seat, name, since, deadline).await
        };
        DESCRIBE_ACTIVITIES.by(deadline, read).await
    }

    fn activities_are_of_one_member(&self) -> bool {
        true
    }
}

#[async_trait]
impl Metrics for Aws {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        // Equal queries are asked, and billed, once.
        places::once(queries, MetricQuery::key, |queries| async move {
            let batch =
                |query: &MetricQuery| ((query.account.clone(), query.region.clone()), query.period);
            places::together(&queries, batch, GET_METRIC_DATA.lost(), |batch, queries| {
                let access = Arc::clone(&self.access);
                async move {
                    metrics::of_place(&access, &batch, queries, (from, to), deadline).await
                }
            })
            .await
        })
        .await
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        Retention {
            history: batches::history(query.period),
            settling: fleet::Seconds(u64::from(query.period.seconds()) * SETTLING_PERIODS),
            usd_micros_per_thousand_metrics: USD_MICROS_PER_THOUSAND_METRICS,
        }
    }

    fn metrics_read(&self) -> u64 {
        self.access.metrics_read()
    }
}
