//! Actions, and findings that say why there are not more.

use fleet::group::Process;
use fleet::{
    AccountKey, Change, Fault, GroupId, Level, OrTold, Place, Seconds, ServiceName, Timestamp,
    Units,
};
use serde::{Deserialize, Serialize};

use crate::Milli;
use crate::policy::{FreezeScope, Share};
use crate::reasons::{AbsurdNumber, ForeignChange, SwitchThrown};
use crate::snapshot::{NoAnswer, NoForecast, Window};
use crate::stage::Why;

/// What to change now, and why nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Plan {
    /// What to do, in this order: increases first, then decreases by saving. At most one action a
    /// service.
    pub actions: Vec<Action>,
    /// At least one a service, by service name: why it is left as it is, or why its action is
    /// smaller than wanted.
    pub findings: Vec<Finding>,
}

/// One change of one group: absolute and conditional, so that repeating it is harmless and a stale
/// plan is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub service: ServiceName,
    pub group: GroupId,
    pub change: Change,
    /// The sizes it was decided from.
    pub sizing: Sizing,
    /// In `observe` an action is shown and never carried out.
    pub dry_run: bool,
}

/// The numbers behind a decision, for explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// Demand now, in thousandths per second, as far as known.
    pub demand_milli: Option<Milli>,
    /// Capacity of one unit at target utilisation, in thousandths per second.
    pub capacity_milli: Option<Milli>,
    /// The quantile level in force.
    pub level: Option<Level>,
    /// The demand it was sized for at that level in the lead window, in thousandths per second.
    pub sized_for_milli: Option<Milli>,
    /// Units the forecast asks for in the lead window.
    pub needed_lead: Option<Units>,
    /// Units the forecast asks for in the hold window.
    pub needed_hold: Option<Units>,
    /// Units demand now and its fastest recent rise ask for.
    pub needed_reactive: Option<Units>,
    /// Which of them decided.
    pub decided_by: DecidedBy,
    /// What was wanted before the guards.
    pub wanted: Units,
    /// What this size and its neighbours would mean, where there is a forecast.
    pub trade: Option<Trade>,
    /// The parts of the lead window.
    pub window: Window,
}

/// What a size costs and how often it is expected to be too small, beside one unit fewer and one
/// more.
///
/// The forecast says how the three compare; the calibration, which knows how often its quantiles
/// were missed, says how often that is.
///
/// ```
/// use fleet::Units;
/// use planner::plan::Trade;
///
/// let trade = Trade {
///     units: Units(8),
///     violations_millionths: [11_000, 4_200, 1_600],
///     unit_usd_micro_hourly: Some(400_000),
/// };
/// assert_eq!(
///     trade.to_string(),
///     "8 units: 0.42% missed, 3.20 USD/h; 7: 1.1% missed, 2.80 USD/h; 9: 0.16% missed, 3.60 USD/h"
/// );
/// // Of one unit nothing can be given up.
/// assert_eq!(Trade { units: Units(1), ..trade }.sizes().count(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The size in the middle.
    pub units: Units,
    /// The share of time in which demand is expected above one unit fewer, this size and one unit
    /// more, in millionths.
    pub violations_millionths: [u32; 3],
    /// What a unit costs an hour, in millionths of a US dollar, where that is known.
    pub unit_usd_micro_hourly: Option<u64>,
}

/// What decided the size that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecidedBy {
    /// The forecast.
    Forecast,
    /// Demand now and its fastest recent rise.
    ReactiveFloor,
    /// The lower bound.
    Minimum,
    /// The upper bound.
    Maximum,
    /// The last trusted value: too little is known.
    LastTrusted,
    /// The floor of a known event.
    Event {
        /// The event's name.
        name: String,
        /// When its floor ends.
        until: Timestamp,
    },
    /// Hours that its operator gave it.
    Hours {
        /// As they were written.
        at: String,
        /// When they end.
        until: Timestamp,
    },
}

/// Something an operator should know of a service (or of the fleet) this cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Of which service; `None` for the fleet.
    pub service: Option<ServiceName>,
    /// What was held or cut.
    pub what: What,
    pub hold: Hold,
    /// The sizes behind it, where there are any.
    pub sizing: Option<Sizing>,
}

/// What became of what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Nothing is done.
    Held,
    /// Less is done than wanted.
    Narrowed {
        wanted: Units,
        /// What is done.
        to: Units,
    },
    /// It is done all the same; good to know.
    Noted,
}

/// Why a service is left as it is, or gets less than wanted. Shown to operators, stored, and
/// branched on.
///
/// ```
/// use fleet::Timestamp;
/// use planner::plan::Hold;
/// use planner::stage::Why;
///
/// // What is decided and only shown, and what is not done at all.
/// assert!(Hold::ObserveOnly.is_dry_run());
/// assert!(Hold::Shadow { why: Why::New, since: Timestamp(0) }.is_dry_run());
/// assert!(!Hold::DiskReserve.is_dry_run());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Hold {
    /// The size is right.
    RightSize,
    /// The kill switch is thrown.
    KillSwitch {
        /// Path and what was found.
        why: OrTold<SwitchThrown>,
    },
    /// Mode `observe`: the action is shown only.
    ObserveOnly,
    /// A freeze window is open.
    Frozen {
        name: String,
        /// What it restrains.
        scope: FreezeScope,
        /// When it ends.
        until: Timestamp,
    },
    /// An orchestrator owns the group.
    Owned {
        owner: String,
        /// The tag or property that says so.
        evidence: String,
    },
    /// A native policy sizes the group too, and may scale in.
    NativePolicy { name: String },
    /// Somebody else changed the group.
    Override {
        /// What, and who, where the activity says so.
        who: OrTold<ForeignChange>,
        from: Units,
        to: Units,
        /// Until when no unit is taken away.
        until: Timestamp,
    },
    /// The service was not looked at in this cycle.
    Unobserved,
    /// The group could not be read.
    GroupUnread { fault: Fault },
    /// Nothing is known of demand.
    NoDemand {
        /// Why, where known.
        fault: Option<Fault>,
    },
    /// Demand is older than it may be.
    DemandStale {
        /// Age of the newest sample's end.
        age: Seconds,
        limit: Seconds,
    },
    /// Metrics of a part of demand are missing.
    DemandIncomplete { missing: Share },
    /// Only provisional samples call for less.
    Provisional,
    /// The sample is a lower bound: capacity was full.
    Censored,
    /// A number that cannot be true.
    Absurd {
        /// What was found.
        what: OrTold<AbsurdNumber>,
    },
    /// There is no forecast; demand now decides alone.
    NoForecast { why: NoForecast },
    /// The forecast has lately been worse than last-value and has no say.
    ForecastDistrusted {
        /// Its recent pinball loss relative to last-value's, in percent.
        loss_percent: u32,
    },
    /// The capacity of a unit is not known well enough.
    CapacityUnknown {
        /// Intervals seen so far.
        have: u32,
        /// Intervals that would be enough.
        need: u32,
    },
    /// Units are on their way in or out.
    GroupIsChanging {
        /// Units on their way in.
        pending: Units,
        /// Units on their way out.
        terminating: Units,
    },
    /// Units are in service and not fully useful yet.
    WarmingUp { units: Units },
    /// Members are in a state this version does not know.
    UnknownMembers { units: Units },
    /// An instance refresh is under way.
    Refreshing { id: String },
    /// A process is suspended.
    Suspended { process: String },
    /// A bound is reached.
    AtBound {
        /// Which: `min`, `max`, or the cloud's own.
        bound: Bound,
        value: Units,
    },
    /// No unit is taken away so soon after a change.
    CoolingDown { until: Timestamp },
    /// Demand does not fit the smaller size over the whole hold window.
    HoldWindow {
        /// Units the hold window asks for.
        needed: Units,
        window: Seconds,
    },
    /// Without a forecast, and for a removal of few units with one, demand must have fitted the
    /// smaller size for a while.
    Dwelling {
        /// The most units needed meanwhile.
        most: Units,
        /// When it will have lasted long enough.
        until: Timestamp,
    },
    /// A step up is limited.
    StepLimit {
        /// The largest step.
        step: Units,
    },
    /// The budget of removals is used up.
    OverBudget {
        budget: BudgetOf,
        /// Removals left now.
        left: Units,
        /// When a whole unit is there again.
        refills_at: Timestamp,
    },
    /// Too many units are protected.
    Protected { protected: Units },
    /// Demand collapsed as in an outage.
    OutageShape {
        /// Services that fell together.
        fallen: u32,
        /// Services that share the upstream.
        of: u32,
        since: Timestamp,
    },
    /// The unit's billing minimum makes taking it away worthless.
    BillingMinimum {
        /// Until when it is paid for anyway.
        until: Timestamp,
    },
    /// An earlier order has no known result yet.
    OrderUnconfirmed {
        /// The decision that gave it.
        decision: String,
    },
    /// The cloud has no machines now; the order stands.
    OutOfCapacity {
        /// Units ordered and not there.
        short: Units,
    },
    /// The journal has only its reserve left.
    DiskReserve,
    /// A spend ceiling.
    SpendCeiling {
        /// The ceiling in thousandths of a US dollar an hour.
        usd_milli_hourly: u64,
    },
    /// A known event takes place, or begins before a unit taken away now could be back.
    EventFloor {
        name: String,
        /// The least capacity while it lasts.
        floor: Units,
        /// When that ends.
        until: Timestamp,
    },
    /// In shadow: the change is shown only.
    Shadow { why: Why, since: Timestamp },
    /// A canary shrinks by a share of its budget of removals.
    Canary {
        share: Share,
        /// Removals left now.
        left: Units,
        /// When a whole unit is there again.
        refills_at: Timestamp,
    },
    /// A promotion that was agreed to is void: the configuration or the stage is another by now.
    OfferVoid {
        /// Who had agreed.
        by: String,
    },
    /// Nothing proves yet that fewer units are enough: time tells a fall of demand from an accident
    /// of its metrics.
    Unproven {
        /// The smallest size that its past vouches for.
        kept: Units,
        /// When what is wanted now will have lasted long enough.
        until: Timestamp,
    },
    /// A sample lies beyond all that was seen: it orders one step, and the next one confirms it.
    Unconfirmed {
        /// Demand of the sample, in thousandths per second.
        demand_milli: Milli,
        /// The highest that more than one sample showed.
        known_milli: Milli,
    },
    /// Utilisation stays at its limit whatever is added, and counts no more.
    SensorStuck {
        /// Units in service.
        units: Units,
    },
    /// Units are full at less demand than the capacity that was given.
    FullBelow {
        /// What a unit carries at the limit of utilisation, in thousandths per second.
        carries_milli: Milli,
        given_milli: Milli,
    },
    /// Demand fell out of its band at once, and nothing shows yet that the fall is real.
    FellAlone {
        since: Timestamp,
        /// When it counts as real, if it has lasted.
        until: Timestamp,
    },
    /// Demand has fallen, and utilisation has not fallen with it.
    Disagree {
        since: Timestamp,
        /// Demand of the newest interval, in thousandths per second.
        demand_milli: Milli,
        /// The demand that utilisation still fits to, likewise.
        with_milli: Milli,
    },
    /// Another service sizes the group: a group has one master.
    SizedBy {
        /// The other.
        service: ServiceName,
    },
    /// Groups that templates match cannot be looked for in a place: what is known there goes on.
    Undiscovered {
        /// Where.
        place: Place,
        why: Box<NoAnswer>,
    },
    /// Processes are suspended as a deployment suspends them.
    Deploying {
        /// Which.
        suspended: Vec<Process>,
        /// When that counts as how the group is kept.
        until: Timestamp,
    },
    /// Launches fail, and not for want of machines; the order stands.
    LaunchesFail {
        /// Units ordered and not in service.
        short: Units,
        /// What the cloud said of the newest.
        why: String,
    },
    /// Hours that the operator gave it bound its size.
    Hours {
        /// As they were written.
        at: String,
        /// The most units in them.
        max: Units,
        /// When they end.
        until: Timestamp,
    },
    /// Hours that the operator gave it have come, or begin before a unit taken away now could be back.
    HoursFloor {
        /// As they were written.
        at: String,
        /// The least units in them.
        floor: Units,
        /// When they end.
        until: Timestamp,
    },
}

impl Hold {
    /// Whether it doubts demand, which somebody who knows better may acknowledge.
    pub fn doubts_demand(&self) -> bool {
        matches!(self, Hold::OutageShape { .. } | Hold::FellAlone { .. } | Hold::Disagree { .. })
    }

    /// Whether it says that a change is shown and not made.
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Hold::ObserveOnly | Hold::Shadow { .. })
    }
}

/// Which bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// `min` of the configuration.
    PolicyMin,
    /// `max` of the configuration.
    PolicyMax,
    /// The group's own minimum.
    CloudMin,
    /// The group's own maximum.
    CloudMax,
}

/// Whose budget of removals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BudgetOf {
    /// The group's.
    Group,
    /// The account's.
    Account(AccountKey),
    /// The fleet's.
    Fleet,
}
