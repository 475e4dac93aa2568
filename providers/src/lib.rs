//! The seam: what every cloud must do for us, and what each answer means.
//!
//! Adapters translate; they decide nothing, never retry beyond their SDK's own rate control, and
//! never log. One folder a cloud, each behind a cargo feature.

#[cfg(feature = "alibaba")]
pub mod alibaba;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
mod body;
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
mod call;
pub mod contract;
mod cost;
mod deadline;
mod estate;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod flight;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod gates;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod home;
#[cfg(any(feature = "alibaba", feature = "prometheus"))]
mod http;
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
mod intervals;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod listed;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod meter;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod places;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod regions;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod remembered;
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
mod retry;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod roles;
mod samples;
#[cfg(any(feature = "alibaba", feature = "aws"))]
mod settings;
#[cfg(feature = "sim")]
pub mod sim;
mod timeouts;
pub mod traced;
mod trial;

pub use cost::{Expected, Permissions, Volume, reads_a_month};
pub use deadline::Deadline;
pub use estate::{Estate, Listing, PowerOrder, PowerSwitch};
pub use fleet::Now;
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub use roles::{Budget, NotARoleArn, RoleAccount, RoleArn, RoleSyntax};
pub use samples::{Partial, Samples};
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub use settings::CloudSettings;
pub use timeouts::Timeouts;
pub use trial::{Growth, Identity, Limit, Outcome, Purpose, Room, Trial, Trials, Tried, Untried};

use async_trait::async_trait;
use fleet::Change;
use fleet::feed::{Survey, Surveyed};
use fleet::group::{Activity, GroupState};
use fleet::metric::{MetricQuery, Sample};
use fleet::{Fault, GroupId, GroupRef, Place, Timestamp};

/// What an adapter may find out. Needs the read-only role alone.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Reads groups as they are now, activities of the last hour included.
    ///
    /// One answer a group, in the order asked; a group that does not exist is
    /// [`fleet::FaultKind::Missing`]. A slow or dead region spoils the answers of its own groups
    /// only, and every call is back by `deadline`, with [`fleet::FaultKind::TimedOut`] for what
    /// is not there by then.
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>>;

    /// Reads one group afresh, past any cache: what a write is checked against.
    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault>;

    /// The accounts and regions in which groups may be, as they are configured or were found last. None
    /// for a source without groups.
    fn places(&self) -> Vec<Place>;

    /// Whether its regions are looked for rather than configured.
    fn seeks_places(&self) -> bool {
        false
    }

    /// Looks for its regions, and keeps what it finds for [`Inventory::places`]. What was found before
    /// stands where a cloud does not answer.
    ///
    /// # Errors
    /// Why the regions of some account are not known afresh.
    async fn find_places(&self, _deadline: Deadline) -> Result<(), Fault> {
        Ok(())
    }

    /// All groups that the role sees in one of its places, for `init` and templates; an empty list is
    /// an answer.
    ///
    /// The groups are named by the place's own account and region.
    async fn discover(&self, place: &Place, deadline: Deadline) -> Result<Vec<GroupState>, Fault>;

    /// All groups that the role sees in one of its places, with what feeds them: attachments, policies,
    /// alarms, activities of six weeks. For `init` alone.
    ///
    /// What could not be read beside the groups is named in the answer and fails nothing. An adapter
    /// that does not read more tells the groups alone.
    async fn survey(&self, place: &Place, deadline: Deadline) -> Result<Survey, Fault> {
        let groups = self.discover(place, deadline).await?;
        let groups = groups.into_iter().map(Surveyed::bare).collect();
        Ok(Survey { groups, ..Survey::default() })
    }

    /// What a group did since `since`, newest first, for lead times.
    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault>;

    /// Whether each launch and each end among the activities is about one member: then sizes of before
    /// can be counted back from them.
    fn activities_are_of_one_member(&self) -> bool {
        false
    }
}

/// A source of metrics. It need not be the cloud that holds the group.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Samples whose interval starts in `[from, to)`, oldest first, at most one an interval; and where
    /// the source answered in part alone, since when and why.
    ///
    /// One answer a query, in the order asked. Intervals without a sample are absent. Stamps are
    /// interval starts.
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>>;

    /// The same for those who have no use for a part: it is a fault to them.
    async fn samples(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        let answers = self.readings(queries, from, to, deadline).await;
        answers.into_iter().map(|answer| answer.and_then(Samples::whole)).collect()
    }

    /// How far back the source keeps samples of this period, and how long an interval takes to
    /// settle.
    fn keeps(&self, query: &MetricQuery) -> Retention;

    /// Metrics counted for billing since the start of the process.
    fn metrics_read(&self) -> u64;
}

/// What a metric source promises of a query's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Samples older than this are gone.
    pub history: fleet::Seconds,
    /// Intervals whose end is younger than this may still change.
    pub settling: fleet::Seconds,
    /// The price of reading 1,000 metrics in millionths of a US dollar; 0 where reading is free.
    pub usd_micros_per_thousand_metrics: u64,
}

/// A write handle, bound to one group when it was made: the call site cannot name another.
///
/// Made by [`Provider::writer`] from a service's mode, dropped on reload.
#[async_trait]
pub trait GroupWriter: Send + Sync {
    /// The group this handle may write.
    fn group(&self) -> &GroupId;

    /// Sets the number that `change` names to its `to`, unconditionally and once: reading before
    /// and after is the caller's. Returns when the cloud has taken it.
    ///
    /// # Errors
    /// [`fleet::FaultKind::Unconfirmed`] where the request may have left and no answer came: it
    /// must be looked at, never sent again blindly. [`fleet::FaultKind::Unreachable`] only where
    /// the request cannot have had an effect.
    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault>;
}

/// A cloud.
pub trait Provider: Send + Sync {
    /// Its reading side.
    fn inventory(&self) -> &dyn Inventory;
    /// Its metrics.
    fn metrics(&self) -> &dyn Metrics;
    /// A handle that writes this group and no other.
    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter>;
    /// What of it may be idle; `None` for a cloud that neap cannot stop anything in.
    fn estate(&self) -> Option<&dyn Estate> {
        None
    }
    /// What of it can be tried out; `None` for what asks nobody's permission.
    fn trials(&self) -> Option<&dyn Trials> {
        None
    }
}
