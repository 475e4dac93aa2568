//! Everything observed that a decision may depend on.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::{Activity, NativePolicy, Process, ScheduledAction, ServingSign, WarmPool};
use fleet::{
    Change, Fault, GroupId, Level, OrTold, Place, Seconds, ServiceName, Step, Timestamp, Units,
};
use serde::{Deserialize, Serialize};

use crate::Milli;
use crate::policy::{ActiveFreeze, EventFloor, Share};
use crate::reasons::{SwitchThrown, UnusableForecast};
use crate::stage::StageRequest;

/// The world at `taken_at`, as far as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Now.
    pub taken_at: Timestamp,
    pub kill_switch: KillSwitch,
    /// Freeze windows open now.
    pub freezes: Vec<ActiveFreeze>,
    /// Floors of events that take place now or begin soon; what has expired is not among them.
    #[serde(default)]
    pub floors: Vec<EventFloor>,
    /// Whether the journal can still be written.
    pub disk: Disk,
    /// Services whose demand an operator has acknowledged since the last snapshot: what it fell to is
    /// real, and scale-in may go on. See [`crate::stage::StageAsk::Acknowledge`].
    pub acknowledged: Vec<ServiceName>,
    /// The services by name. A service of the policy that is absent here could not be looked at.
    pub services: BTreeMap<ServiceName, Observation>,
    /// What people asked for since the last snapshot: promotions, and what is to be taken back.
    #[serde(default)]
    pub requests: Vec<StageRequest>,
    /// Where groups that templates match cannot be looked for.
    #[serde(default)]
    pub undiscovered: Undiscovered,
}

/// The places that give no answer when groups are looked for.
pub type Undiscovered = BTreeMap<Place, NoAnswer>;

/// Why groups cannot be looked for in a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoAnswer {
    /// What its cloud said last.
    pub fault: Fault,
    /// When it first failed.
    pub since: Timestamp,
    /// Of when what is known of its groups is; `None` where nothing is.
    pub known_at: Option<Timestamp>,
}

/// The operator's big red button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillSwitch {
    /// Not thrown.
    Clear,
    /// Thrown, or it cannot be checked, which counts as thrown.
    Thrown {
        /// The path, and what was found there.
        why: OrTold<SwitchThrown>,
    },
}

/// Room for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disk {
    /// Enough.
    Ample,
    /// Only the reserve is left: increases go on and are journaled, decreases and stops cease.
    ReserveOnly,
}

/// What was seen of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Its group, or why it could not be read.
    pub group: Result<GroupView, Fault>,
    pub demand: DemandView,
    /// Its forecast, or why there is none.
    pub forecast: Result<ReducedForecast, NoForecast>,
    /// Signs of an outage.
    pub signals: SignalsView,
    /// What became of orders since the last snapshot, oldest first.
    pub outcomes: Vec<OrderOutcome>,
    /// Launches that ended since the last snapshot: from the order to being in service.
    pub lead_times: Vec<Seconds>,
    /// Intervals of before anybody watched that tell what a unit carries, oldest first, while that is
    /// to be learned and not known yet; at most [`PAST_MAX`]. The journal keeps it beside the demand.
    #[serde(skip)]
    pub past: Vec<PastInterval>,
    /// Launches that were seen to serve since then. Journals keep them beside the rest.
    #[serde(skip)]
    pub launched: Vec<Launched>,
    /// The hours that its operator gave it, those of now and those that begin soon.
    #[serde(default, with = "crate::behind", skip_serializing_if = "crate::behind::is_nothing")]
    pub hours: Vec<Hours>,
}

/// So many intervals of the past are handed to a plan at most.
pub const PAST_MAX: usize = 24;

/// An interval of the past in which demand, utilisation and the group's size are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastInterval {
    /// The START of the interval.
    pub start: Timestamp,
    /// Its demand, in thousandths per second.
    pub demand_milli: Milli,
    /// Mean utilisation of the units, in thousandths.
    pub utilisation_milli: u16,
    /// Units in service all the time.
    pub units: Units,
}

/// A launch that was seen to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// From the order until it served.
    pub took: Seconds,
    /// What told that it did.
    pub told_by: ServingSign,
    /// Whether it came out of a warm pool.
    pub warm: bool,
}

/// A time in which a service's operator bounds its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// As the operator wrote it, with its zone: `Mon-Fri 20:00-07:00 Europe/Berlin`.
    pub at: String,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The least units in it, in service when it begins.
    pub min: Option<Units>,
    /// The most units that may be in service in it.
    pub max: Option<Units>,
}

/// What a decision needs of a group; see [`fleet::group::GroupState`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    pub id: GroupId,
    pub read_at: Timestamp,
    /// The capacity it is told to have.
    pub desired: Units,
    /// The cloud's own lower bound.
    pub min: Units,
    /// The cloud's own upper bound.
    pub max: Units,
    /// Units in service, and healthy, that serve as far as anything tells.
    pub in_service: Units,
    /// Units ordered that do not serve yet.
    pub pending: Units,
    /// Units on their way out.
    pub terminating: Units,
    /// Units that a scale-in may not take.
    pub protected: Units,
    /// Members in a state this version does not know.
    pub unknown: Units,
    /// In-service units younger than health-check grace and warm-up, or known not to serve yet.
    pub warming: Units,
    /// Whether launches are suspended.
    pub launch_suspended: bool,
    /// Whether terminations are suspended.
    pub terminate_suspended: bool,
    /// The instance refresh under way.
    pub refresh: Option<String>,
    /// The cloud's own scaling policies that are switched on.
    pub policies: Vec<NativePolicy>,
    /// The cloud's own scheduled actions to come.
    pub scheduled: Vec<ScheduledAction>,
    /// The orchestrator that owns it: name and evidence.
    pub owner: Option<fleet::group::Owner>,
    /// The newest change of size that was not ours, where the activity tells.
    pub newest_foreign_activity: Option<Activity>,
    /// Whether the newest launches failed for want of machines.
    pub out_of_capacity: bool,
    /// What else its cloud tells.
    #[serde(default, with = "crate::behind", skip_serializing_if = "crate::behind::is_nothing")]
    pub aside: Aside,
}

/// What a cloud tells of a group beside its numbers. Where it is stored as bytes it stands behind the
/// group, or nowhere where there is nothing to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Processes that are suspended.
    pub suspended: BTreeSet<Process>,
    /// Since when those are suspended that a deployment suspends, as far as is known.
    pub deploying_since: Option<Timestamp>,
    /// What the cloud said of the newest launch, where that failed for another reason than capacity and
    /// units are missing.
    pub launch_failed: Option<String>,
    /// Machines in service, where a machine is not a unit.
    pub machines: Option<u32>,
    /// Whether it may buy machines that the cloud can take back at any time.
    pub buys_spot: bool,
    /// Machines that stand ready to enter it.
    pub warm_pool: Option<WarmPool>,
}

impl GroupView {
    /// A group at rest: all that it is told to have is in service, and nothing restrains it. For
    /// simulated groups and tests.
    ///
    /// ```
    /// use fleet::names::{NOWHERE, SIMULATED_REGION};
    /// use fleet::{AccountId, GroupId, ProviderName, Region, Timestamp, Units};
    /// use planner::snapshot::GroupView;
    ///
    /// let id = GroupId {
    ///     provider: ProviderName::new("sim").expect("a name"),
    ///     account: AccountId::new(NOWHERE).expect("a name"),
    ///     region: Region::new(SIMULATED_REGION).expect("a name"),
    ///     id: "checkout-asg".to_owned(),
    /// };
    /// let view = GroupView::at_rest(id, Timestamp(0), Units(4));
    /// assert_eq!((view.desired, view.in_service, view.pending), (Units(4), Units(4), Units(0)));
    /// ```
    pub fn at_rest(id: GroupId, read_at: Timestamp, desired: Units) -> GroupView {
        GroupView {
            id,
            read_at,
            desired,
            min: Units(0),
            max: Units(u32::MAX),
            in_service: desired,
            pending: Units(0),
            terminating: Units(0),
            protected: Units(0),
            unknown: Units(0),
            warming: Units(0),
            launch_suspended: false,
            terminate_suspended: false,
            refresh: None,
            policies: Vec::new(),
            scheduled: Vec::new(),
            owner: None,
            newest_foreign_activity: None,
            out_of_capacity: false,
            aside: Aside::default(),
        }
    }
}

/// A value of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemandPoint {
    /// The START of the interval.
    pub start: Timestamp,
    /// Demand per second.
    pub value: f64,
    /// The sample is only a lower bound of demand: taken at 90 % utilisation or more, or with
    /// errors or queue above their limit.
    pub censored: bool,
}

/// Demand as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemandView {
    /// The length of an interval.
    pub step: Step,
    /// The newest interval that is settled, and its value.
    pub settled: Option<DemandPoint>,
    /// Intervals after it, oldest first: they may raise a target, never lower it.
    pub provisional: Vec<DemandPoint>,
    /// Intervals that settled since the last snapshot, oldest first, for the account of
    /// violations; at most 64.
    pub newly_settled: Vec<DemandPoint>,
    /// The fastest rise lately, demand per second gained within one lead window; at least 0.
    pub fastest_rise: f64,
    /// The lowest demand of the hour before the intervals that newly settled, per second, where known:
    /// a burst that ends falls back to it, an outage falls below it.
    pub recent_low: Option<f64>,
    /// The share of the demand (by what its metrics measured when all were there) whose metrics
    /// are missing in the newest interval; the values above already count those members with
    /// their last trusted value.
    pub missing: Share,
    /// Why nothing is known, where `settled` and `provisional` are both empty.
    pub fault: Option<Fault>,
    /// Mean utilisation of in-service instances over the settled interval, 0 to 1, where measured.
    pub utilisation: Option<f64>,
    /// How long the source takes to settle an interval.
    pub settling: Seconds,
}

impl DemandView {
    /// Nothing is known, of a source that takes two intervals to settle one. For simulated groups and
    /// tests.
    ///
    /// ```
    /// use fleet::{Seconds, Step};
    /// use planner::snapshot::DemandView;
    ///
    /// let view = DemandView::unknown(Step::MINUTE);
    /// assert_eq!((view.settled, view.settling), (None, Seconds(120)));
    /// ```
    pub fn unknown(step: Step) -> DemandView {
        DemandView {
            step,
            settled: None,
            provisional: Vec::new(),
            newly_settled: Vec::new(),
            fastest_rise: 0.0,
            recent_low: None,
            missing: Share::NONE,
            fault: None,
            utilisation: None,
            settling: step.span() + step.span(),
        }
    }
}

/// The distribution of the highest demand in two windows, as the planner reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReducedForecast {
    /// Made from samples up to the interval that starts here.
    pub origin: Timestamp,
    /// The levels, rising, at most 8; the same for both windows.
    pub levels: Vec<Level>,
    /// Highest demand within the lead window at each level, in thousandths of a unit of demand
    /// per second, never falling with the level.
    pub lead_milli: Vec<Milli>,
    /// Highest demand within the hold window, likewise.
    pub hold_milli: Vec<Milli>,
    /// Demand in the next interval at each level, likewise: the band an outage's shape falls out of.
    pub next_milli: Vec<Milli>,
    /// The model that made it, such as `linear` or `seasonal-day`.
    pub model: String,
    /// The parts of the lead window.
    pub window: Window,
    /// Pinball loss lately, and last-value's on the same intervals, in thousandths: a forecast
    /// that has been worse than last-value loses its say.
    pub recent_loss_milli: Milli,
    /// See `recent_loss_milli`.
    pub last_value_loss_milli: Milli,
    /// How forecasts of the lead window that came due lately did otherwise.
    pub record: Option<Record>,
}

/// How recent forecasts of the lead window did, beside their loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The share of them whose 0.9 quantile demand did not exceed, in thousandths.
    pub covered_milli: u16,
    /// Demand less its forecast median, on the mean, in thousandths.
    pub bias_milli: i64,
}

/// Why the lead window is as long as it is.
///
/// ```
/// use fleet::{Seconds, Step};
/// use planner::snapshot::Window;
///
/// let window = Window {
///     sample_age: Seconds(90),
///     poll_interval: Seconds(60),
///     lead_time: Seconds::minutes(4),
///     hold: Seconds::minutes(15),
/// };
/// assert_eq!(window.to_string(), "6m30s = sample age 1m30s + poll 1m + lead 4m");
/// // What is ordered now serves from the sixth minute on; both windows are rounded up.
/// let steps = window.steps(Step::MINUTE).expect("windows within reach");
/// assert_eq!((steps.first, steps.lead, steps.hold), (6, 7, 18));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Age of the last settled sample.
    pub sample_age: Seconds,
    /// One poll interval: until the next chance to decide.
    pub poll_interval: Seconds,
    /// Ordered to in service, warm-up and health-check grace included.
    pub lead_time: Seconds,
    /// Length of the hold window, from now.
    pub hold: Seconds,
}

/// Why a service has no forecast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoForecast {
    /// Too few samples yet.
    TooLittleHistory {
        /// Samples there are.
        have: u32,
        /// Samples that would be enough.
        need: u32,
    },
    /// The model is being made: a service's turn comes worst-first.
    WaitingForRefit,
    /// The samples cannot be used, and why.
    Unusable {
        /// What is wrong with it, or the forecaster's own words.
        why: OrTold<UnusableForecast>,
    },
    /// Nothing arrives.
    NoData,
}

/// Outage signals over the newest interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalsView {
    /// Errors against their usual level.
    pub errors: Trend,
    /// Healthy hosts against their usual number.
    pub healthy_hosts: Trend,
}

impl SignalsView {
    /// Whether one of them says that something is wrong.
    pub(crate) fn is_worse(&self) -> bool {
        self.errors == Trend::Worse || self.healthy_hosts == Trend::Worse
    }
}

/// A signal against its usual level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trend {
    /// Not configured, or not measured now.
    #[default]
    Unknown,
    /// As usual or better.
    Usual,
    /// Worse than usual.
    Worse,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderOutcome {
    /// The decision that gave the order.
    pub decision: String,
    /// When it was carried out or given up.
    pub at: Timestamp,
    pub change: Change,
    /// How it ended.
    pub result: OrderResult,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderResult {
    /// Done, and read back.
    Applied,
    /// Done; another writer came between: the value found afterwards.
    Contested {
        /// What the group was told by the other.
        found: Units,
        /// Whether our larger value was restored.
        restored: bool,
    },
    /// Not sent: the group was no longer as the plan saw it.
    Moved {
        /// What was found instead.
        found: Units,
    },
    /// Not sent: the kill switch or mode stopped it at the last moment.
    Stopped,
    /// The cloud said no, or could not.
    Failed {
        /// What it said.
        fault: Fault,
    },
    /// Sent, no answer; looked at later: whether the effect was there.
    Unconfirmed {
        /// `None` while nobody could look yet.
        effect_seen: Option<bool>,
    },
    /// Not sent: the reading directly before it shows somebody whose group it is.
    Owned {
        /// Whose.
        owner: fleet::group::Owner,
    },
}
