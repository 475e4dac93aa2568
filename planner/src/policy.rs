//! What the operator wants, parsed: after this nothing checks again.

use std::collections::BTreeMap;
use std::fmt;

use fleet::metric::{BUSY_UNITS, MADE, MetricQuery, Statistic, WhenMissing};
use fleet::{GroupRef, Seconds, ServiceName, Timestamp, Units};
use serde::{Deserialize, Serialize};

use crate::stage::Promotion;

/// All that decides what `plan` does, apart from what is observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether anything may be changed at all.
    pub mode: Mode,
    /// How often a cycle runs.
    pub poll_interval: Seconds,
    /// Limits on removals and stops across groups.
    pub budgets: Budgets,
    /// What all groups with a known price may cost together, in thousandths of a US dollar an
    /// hour: an increase beyond it is cut. `None` is no ceiling.
    pub spend_ceiling_usd_milli_hourly: Option<u64>,
    pub services: BTreeMap<ServiceName, ServicePolicy>,
    /// Which services act only once promoted, and what that takes.
    #[serde(default)]
    pub promotion: Promotion,
}

/// Whether neap may change things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide and say so; change nothing.
    #[default]
    Observe,
    /// Decide and do it.
    Act,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Observe => "observe",
            Mode::Act => "act",
        })
    }
}

/// A share between 0 and 1, in millionths, so that it compares and journals exactly.
///
/// ```
/// use planner::policy::Share;
///
/// assert_eq!(Share::from_fraction(0.25), Some(Share::percent(25)));
/// assert_eq!(Share::from_fraction(1.5), None);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Share = Share(0);
    /// All of it.
    pub const ALL: Share = Share(1_000_000);

    /// A share from a fraction; `None` outside 0 to 1 or for NaN.
    pub fn from_fraction(fraction: f64) -> Option<Share> {
        (0.0..=1.0).contains(&fraction).then(|| Share((fraction * 1e6).round() as u32))
    }

    /// A share of so many percent; more than 100 is all.
    ///
    /// ```
    /// use planner::policy::Share;
    ///
    /// assert_eq!(Share::percent(70).to_string(), "70%");
    /// assert_eq!(Share::percent(250), Share::ALL);
    /// // Millionths are refused instead: they are read from what was written down.
    /// assert_eq!(Share::from_millionths(1_000_001), None);
    /// assert_eq!(Share::from_millionths(5_000).map(Share::fraction), Some(0.005));
    /// ```
    pub const fn percent(percent: u32) -> Share {
        Share(if percent > 100 { 1_000_000 } else { percent * 10_000 })
    }

    /// A share of so many millionths; `None` for more than all.
    pub const fn from_millionths(millionths: u32) -> Option<Share> {
        if millionths > 1_000_000 { None } else { Some(Share(millionths)) }
    }

    /// The share as a fraction between 0 and 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// As an operator would write it: `0.5%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1e4)
    }
}

/// A token bucket's size: at most `share` (and at least `at_least`) within `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The share of the whole that may go.
    pub share: Share,
    /// What may always go, so that a small group is not frozen.
    pub at_least: Units,
    /// The time in which the bucket fills up again.
    pub per: Seconds,
}

/// Limits on removals. They never restrain growth.
///
/// ```
/// use fleet::{Seconds, Units};
/// use planner::policy::{Budgets, Share};
///
/// let Budgets { group, fleet, .. } = Budgets::default();
/// let group = group.expect("a budget of groups");
/// assert_eq!((group.share, group.per), (Share::percent(10), Seconds::minutes(10)));
/// // However small the group, one unit may go.
/// assert_eq!(group.at_least, Units(1));
/// assert_eq!(fleet.map(|budget| budget.share), Some(Share::percent(2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Of one group; `None` lifts the limit (simulations only).
    pub group: Option<Budget>,
    /// Of all groups of an account.
    pub account: Option<Budget>,
    /// Of the whole fleet.
    pub fleet: Option<Budget>,
}

impl Budgets {
    /// Whether any of them limits removals.
    pub(crate) fn limit(&self) -> bool {
        self.group.or(self.account).or(self.fleet).is_some()
    }
}

impl Default for Budgets {
    /// The documented defaults: a group 10 % (at least 1) in 10 minutes, an account 5 % an hour,
    /// the fleet 2 % an hour.
    fn default() -> Budgets {
        let budget =
            |percent, per| Some(Budget { share: Share::percent(percent), at_least: Units(1), per });
        Budgets {
            group: budget(10, Seconds::minutes(10)),
            account: budget(5, Seconds::hours(1)),
            fleet: budget(2, Seconds::hours(1)),
        }
    }
}

/// What the operator wants of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServicePolicy {
    /// Whether this service may be changed; the stricter of this and the global mode holds.
    pub mode: Mode,
    /// The metrics whose sum is the demand, per second, in the service's own unit.
    pub demand: Vec<MetricQuery>,
    /// Demand that pools marked `fixed` serve, per second, subtracted from the sum.
    pub fixed_capacity: f64,
    /// Mean utilisation of in-service instances in percent, where measured: teaches the capacity
    /// per unit and marks censored samples.
    pub utilisation: Option<MetricQuery>,
    /// Signs of an outage.
    pub signals: Signals,
    /// The pool that is sized.
    pub pool: PoolPolicy,
    /// The promise: the share of intervals over 28 days whose demand may exceed capacity.
    pub violation_budget: Share,
    /// Upstreams (load balancers, accounts, zones) that this service shares with others: an
    /// outage shows in all of them at once.
    pub upstreams: Vec<String>,
}

impl ServicePolicy {
    /// Every metric of the service that a source is asked for.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricQuery> {
        self.held().filter(|query| !query.is_made())
    }

    /// Every metric of the service, those too that neap makes of others.
    pub fn held(&self) -> impl Iterator<Item = &MetricQuery> {
        let Signals { errors, healthy_hosts } = &self.signals;
        self.demand.iter().chain(&self.utilisation).chain(errors).chain(healthy_hosts)
    }

    /// The demand that is made of utilisation and units in service, where it is.
    ///
    /// ```
    /// # let mut service: planner::policy::ServicePolicy = serde_json::from_str(r#"{"mode":"act",
    /// # "demand":[],"fixed_capacity":0.0,"utilisation":{"provider":"aws","account":"default",
    /// # "region":"eu-west-1","namespace":"AWS/EC2","metric":"CPUUtilization","statistic":"Average",
    /// # "dimensions":{"AutoScalingGroupName":"a"},"period":300,"when_missing":"Unknown"},
    /// # "signals":{"errors":null,"healthy_hosts":null},"pool":{"group":{"provider":"aws",
    /// # "account":"default","region":"eu-west-1","name":"a"},"capacity_per_unit":"Learn",
    /// # "target_utilisation":700000,"lead_time":240,"warm_up":0,"actuate":null,"min":1,"max":null,
    /// # "cooldown":300,"hold_window":900,"override_lease":3600,"max_step_up":null,
    /// # "price_usd_hourly":null,"billing_minimum":60},"violation_budget":5000,"upstreams":[]}"#)
    /// # .expect("a service");
    /// assert!(service.busy_units().is_none());
    /// service.count_busy_units();
    /// let made = service.busy_units().expect("a demand that is made");
    /// assert!(made.is_made());
    /// // Its samples are as far apart as those of utilisation, and only that one is asked for.
    /// assert_eq!(made.period.seconds(), 300);
    /// assert_eq!(service.metrics().count(), 1);
    /// assert_eq!(service.held().count(), 2);
    /// ```
    pub fn busy_units(&self) -> Option<&MetricQuery> {
        self.demand.iter().find(|query| query.is_made())
    }

    /// Makes busy units its demand, counted by its utilisation; nothing where that is not measured.
    pub fn count_busy_units(&mut self) {
        let Some(utilisation) = &self.utilisation else { return };
        let GroupRef { account, region, name, .. } = &self.pool.group;
        // Of another group, or by another measure, it is another series.
        let of = [("Group", name.clone()), ("Of", utilisation.key().0)];
        self.demand = vec![MetricQuery {
            provider: self.pool.group.provider.clone(),
            account: account.clone(),
            region: region.clone(),
            namespace: MADE.to_owned(),
            metric: BUSY_UNITS.to_owned(),
            statistic: Statistic::Average,
            dimensions: of.map(|(key, value)| (key.to_owned(), value)).into(),
            period: utilisation.period,
            when_missing: WhenMissing::Unknown,
        }];
    }
}

/// Metrics that tell an outage from a quiet hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Errors per interval: rising is worse.
    pub errors: Option<MetricQuery>,
    /// Healthy hosts: falling is worse.
    pub healthy_hosts: Option<MetricQuery>,
}

/// What a unit can serve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum CapacityPerUnit {
    /// So much demand per second and unit.
    Given(f64),
    /// To be learned from demand, units and utilisation.
    Learn,
}

/// Which number of the group is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actuate {
    /// The desired capacity.
    Desired,
    /// The minimum size: growth beyond it is left to the cloud's own policies.
    Floor,
}

/// Which lead time is planned with: the operator's or the measured one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeadTimeRule {
    /// The longer of the two.
    #[default]
    AtLeast,
    /// The measured one, once there are enough measurements.
    Measured,
}

/// How one pool is sized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolPolicy {
    pub group: GroupRef,
    /// What a unit can serve.
    pub capacity_per_unit: CapacityPerUnit,
    /// The utilisation at which a unit counts as full.
    pub target_utilisation: Share,
    /// From the order until a new unit serves, warm-up apart.
    pub lead_time: Seconds,
    /// What counts of that and of what is measured.
    #[serde(skip)]
    pub lead_time_rule: LeadTimeRule,
    /// In service to fully useful.
    pub warm_up: Seconds,
    /// Which number is written; `None` chooses `floor` where a native policy takes units away, else `desired`.
    pub actuate: Option<Actuate>,
    /// The operator's own lower bound.
    pub min: Units,
    /// The operator's own upper bound; `None` leaves it to the cloud's.
    pub max: Option<Units>,
    /// After any change, how long no unit is taken away.
    pub cooldown: Seconds,
    /// How long demand must fit in the smaller size before units are taken away.
    pub hold_window: Seconds,
    /// After somebody else's change, how long no unit is taken away.
    pub override_lease: Seconds,
    /// The largest step up at once; `None` is no limit.
    pub max_step_up: Option<Units>,
    /// What a unit costs an hour, where known.
    pub price_usd_hourly: Option<f64>,
    /// The least time a started unit is billed for.
    pub billing_minimum: Seconds,
}

impl PoolPolicy {
    /// Cooldown after a change: long enough for a new unit to boot and show in the metrics.
    pub const COOLDOWN: Seconds = Seconds::minutes(5);
    /// Hold window for scale-in: a dip shorter than this is not worth a boot.
    pub const HOLD_WINDOW: Seconds = Seconds::minutes(15);
    /// Respect for somebody else's change.
    pub const OVERRIDE_LEASE: Seconds = Seconds::minutes(60);
    /// Utilisation at which a unit counts as full, unless the operator says otherwise.
    pub const TARGET_UTILISATION: Share = Share::percent(70);
}

/// A time in which changes are restrained, as it stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFreeze {
    /// Its name in the configuration.
    pub name: String,
    /// What it restrains.
    pub scope: FreezeScope,
    /// The services it is for; empty is all.
    pub services: Vec<ServiceName>,
    /// When it ends.
    pub until: Timestamp,
}

/// The least that a known event asks for, at one time that it takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFloor {
    /// The event's name in the configuration.
    pub name: String,
    /// The services it is for; empty is all.
    pub services: Vec<ServiceName>,
    /// The least capacity while it lasts, in service when it begins.
    pub floor: Units,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end or the floor's expiry, whichever is first.
    pub until: Timestamp,
}

impl EventFloor {
    /// Whether it is no event and stands for good: the minimum that the group's operator had set, which
    /// whoever writes the minimum must keep to.
    pub fn stands(&self) -> bool {
        self.from == Timestamp(0)
    }
}

/// What a freeze window restrains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FreezeScope {
    /// Removals and stops.
    #[default]
    Decreases,
    /// Everything, growth too.
    All,
}
