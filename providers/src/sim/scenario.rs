//! What a simulated cloud holds and what will happen in it: plain data.

use std::collections::BTreeMap;

use fleet::group::{NativePolicy, Owner, Process};
use fleet::{AccountId, Region, Seconds, Timestamp};

use super::estate::EstateSpec;
use super::load::Load;

/// What a simulated cloud holds and what will happen in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// The groups, and the services they carry.
    pub groups: Vec<GroupSpec>,
    /// What other writers do, by group name, in order of time.
    pub acts: Vec<(Timestamp, String, Act)>,
    /// When there are no machines to be had.
    pub shortages: Vec<Shortage>,
    /// When the cloud's interface misbehaves.
    pub troubles: Vec<PlannedTrouble>,
    /// When metrics are late or lost.
    pub gaps: Vec<Gap>,
    /// How metrics arrive.
    pub delivery: Delivery,
    /// How long before its start the world's metrics begin.
    pub history: Seconds,
    /// What may be idle.
    pub estate: EstateSpec,
}

/// One scaling group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Its name, unique in account and region.
    pub name: String,
    /// The account it lives in.
    pub account: AccountId,
    /// The region it lives in.
    pub region: Region,
    /// Lower bound at the start, in units.
    pub min: u32,
    /// Upper bound at the start, in units.
    pub max: u32,
    /// Desired capacity at the start; `None` is what its load asks for at that hour, or `min`.
    pub desired: Option<u32>,
    /// Units that one instance counts for, at least 1.
    pub weight: u32,
    /// The zones it spreads its instances over; at least one.
    pub zones: Vec<String>,
    /// Ordered to in service, about: each boot takes 0.8 to 1.6 times this.
    pub boot: Seconds,
    /// How long an instance that is in service takes until it serves.
    pub serves_after: Seconds,
    /// Whether that shows, as the health of targets shows it.
    pub shows_serving: bool,
    /// How long an instance drains before it is gone.
    pub drain: Seconds,
    /// One boot in so many fails and is repeated; 0 is none.
    pub boot_fails_one_in: u32,
    pub instance_type: String,
    /// What a unit costs an hour, in US dollars.
    pub price_usd_hourly: f64,
    pub health_check_grace: Seconds,
    pub warm_up: Option<Seconds>,
    pub tags: BTreeMap<String, String>,
    /// The orchestrator that owns it.
    pub owner: Option<Owner>,
    /// Whether new instances are protected from scale-in.
    pub new_instances_protected: bool,
    /// The cloud's own policies. Those of target tracking act, towards `native_target`.
    pub policies: Vec<NativePolicy>,
    /// The utilisation (0 to 1) that policies of target tracking hold.
    pub native_target: f64,
    /// The cloud's own scheduled actions.
    pub scheduled: Vec<Recurring>,
    /// The service it carries.
    pub workload: Option<Workload>,
}

/// What a group serves, and the metrics that show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// What arrives.
    pub load: Load,
    /// What a unit can serve per second when it is full.
    pub capacity_per_unit: f64,
    /// What `requests` counts.
    pub counts: Counts,
    /// Requests, as a count an interval; absent where there are none.
    pub requests: MetricName,
    /// Errors, as a count an interval; absent where there are none.
    pub errors: MetricName,
    /// Hosts that pass their health check.
    pub healthy_hosts: MetricName,
    /// Mean utilisation of in-service instances in percent.
    pub utilisation: MetricName,
}

/// What a metric of requests counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// What was served: a load balancer whose targets are full shows a lower bound, and the rest
    /// as errors.
    Served,
    /// What arrived: a queue takes everything.
    Offered,
}

/// The name of a metric, as [`fleet::metric::MetricQuery`] spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricName {
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
}

impl MetricName {
    /// A metric of one dimension.
    pub fn new(namespace: &str, metric: &str, dimension: &str, value: &str) -> MetricName {
        MetricName {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            dimensions: BTreeMap::from([(dimension.to_owned(), value.to_owned())]),
        }
    }
}

/// A scheduled action of the cloud's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurring {
    pub name: String,
    /// When it first acts.
    pub first: Timestamp,
    /// How often it acts again; `None` is once. At least a minute.
    pub every: Option<Seconds>,
    /// The desired capacity it sets.
    pub desired: Option<u32>,
    /// The minimum it sets.
    pub min: Option<u32>,
    /// The maximum it sets.
    pub max: Option<u32>,
}

/// What another writer does to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sets the desired capacity; ignored out of bounds, as the cloud would refuse it.
    Desired(u32),
    /// Sets the minimum.
    Minimum(u32),
    /// Sets the maximum.
    Maximum(u32),
    /// Suspends a process.
    Suspend(Process),
    /// Resumes a process.
    Resume(Process),
    /// Protects so many of the oldest instances from scale-in, and no others.
    Protect(u32),
    /// Makes the oldest instance fail its health check; it is replaced.
    Sicken,
    /// Starts an instance refresh that replaces everything within this time.
    Refresh(Seconds),
    /// Deletes the group with all its instances.
    Delete,
    /// Deletes the group and makes it anew under the same name.
    Remake,
}

/// A time without machines to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Of which group, or of which machine by its id; `None` is all.
    pub group: Option<String>,
    /// In which zone; `None` is all.
    pub zone: Option<String>,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Shortage {
    pub(crate) fn covers(&self, group: &str, zone: &str, at: Timestamp) -> bool {
        self.group.as_deref().is_none_or(|name| name == group)
            && self.zone.as_deref().is_none_or(|name| name == zone)
            && (self.from..self.until).contains(&at)
    }
}

/// How the cloud's interface misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses for too many calls.
    Throttled,
    /// It cannot be reached.
    Unreachable,
    /// It denies permission.
    Denied,
    /// Its answer comes after the deadline; a write has taken effect all the same.
    Slow,
    /// The connection breaks before the answer; a write has taken effect all the same.
    AnswerLost,
}

/// Which calls misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Reading groups and activities, and listing machines.
    Inventory,
    /// Reading metrics, and what machines did.
    Metrics,
    /// Writes.
    Writes,
    /// Everything.
    All,
}

/// Trouble with the cloud's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TroubleSpec {
    /// How it misbehaves.
    pub trouble: Trouble,
    pub calls: Calls,
    /// Only calls about this group, or about the machine with this id; `None` is any. Metrics
    /// belong to no group.
    pub group: Option<String>,
    /// Only calls in this region; `None` is any.
    pub region: Option<Region>,
}

impl TroubleSpec {
    /// This trouble with these calls, everywhere.
    pub fn everywhere(trouble: Trouble, calls: Calls) -> TroubleSpec {
        TroubleSpec { trouble, calls, group: None, region: None }
    }

    pub(crate) fn covers(&self, calls: Calls, group: Option<&str>, region: &Region) -> bool {
        (self.calls == Calls::All || self.calls == calls)
            && self.group.as_deref().is_none_or(|name| Some(name) == group)
            && self.region.as_ref().is_none_or(|own| own == region)
    }
}

/// Trouble at a set time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTrouble {
    pub spec: TroubleSpec,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// A time whose metrics are late or lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Of which group's service, or of which machine by its id; `None` is all.
    pub group: Option<String>,
    /// Intervals from here.
    pub from: Timestamp,
    /// Intervals until here.
    pub until: Timestamp,
    /// How much later than usual they arrive; `None` is never.
    pub late: Option<Seconds>,
}

/// How metrics arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// An interval is seen so long after its end.
    pub after: Seconds,
    /// It is complete so long after its end, and lower until then.
    pub settled: Seconds,
    /// What reading 1,000 metrics costs, in millionths of a US dollar.
    pub usd_micros_per_thousand_metrics: u64,
}

impl Default for Delivery {
    /// Seen after 10 seconds, complete after two periods of a minute, free.
    fn default() -> Delivery {
        Delivery { after: Seconds(10), settled: Seconds(120), usd_micros_per_thousand_metrics: 0 }
    }
}
