//! All that outlives a cycle, as plain data; and what changed of it in one.

use std::collections::BTreeMap;

use fleet::{AccountKey, Change, GroupId, OrTold, Seconds, ServiceName, Timestamp, Units};
use serde::{Deserialize, Serialize};

pub use crate::delta::{FieldChange, ListDelta, MemoryDelta, RingDelta, delta};
pub use crate::doubt::{Against, Doubt, Witness, Work};
pub use crate::growth::{Carries, Full, Growth, Highest};
pub use crate::proven::{Fell, Proven, Size, Slot};
pub use crate::ring::Ring;

use crate::Milli;
use crate::reasons::ForeignChange;
use crate::stage::Stages;

/// The planner's revision: plans of another revision need not be equal on replay.
pub const REVISION: u32 = 8;

/// How long what a service's past teaches is kept when the service is not in the policy: its cloud did
/// not answer for it, its group lost a tag for a while, or somebody took it out by mistake. A week later
/// it has another shape.
pub const AWAY_KEPT: Seconds = Seconds::days(7);

/// All that outlives a cycle. `plan` takes it and gives the next one; no other state exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What belongs to no single service.
    pub fleet: FleetMemory,
    pub services: BTreeMap<ServiceName, ServiceMemory>,
    /// What has been promoted and what was taken back.
    #[serde(default)]
    pub stages: Stages,
}

/// Budgets that services share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetMemory {
    /// The fleet's budget of removals.
    pub removals: Bucket,
    /// The accounts' budgets of removals, by `provider/account`.
    pub accounts: BTreeMap<AccountKey, Bucket>,
}

/// What a service's past teaches. At most 4 KiB; every field changes seldom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceMemory {
    /// Which group this was learned on: a group made anew under the same name starts afresh.
    pub group: Option<GroupId>,
    pub violations: ViolationAccount,
    /// The quantile in force and the reactive headroom.
    pub calibration: Calibration,
    /// Units in service lately.
    pub in_service: ChangeLog,
    /// Units ordered or wanted lately: what each settled interval is judged by.
    pub ordered: ChangeLog,
    /// The group's budget of removals.
    pub removals: Bucket,
    /// Changes of ours and what the group is expected to show.
    pub orders: Orders,
    /// Respect for somebody else's change.
    pub lease: Option<Lease>,
    /// Whether the forecast has a say.
    pub quality: Quality,
    /// The bands of the newest three intervals forecast, oldest first.
    pub bands: Vec<Band>,
    /// Demand that fell out of its band.
    pub fall: Option<Fall>,
    /// Capacity of a unit, as learned.
    pub capacity: LearnedCapacity,
    /// The newest lead times measured, oldest first, in seconds; at most [`LEAD_TIMES_KEPT`].
    pub lead_times: Vec<u32>,
    /// Scale-in waits for this.
    pub dwell: Option<Dwell>,
    /// What the last trusted forecast asked for.
    pub last_trusted: Option<Units>,
    /// Samples in a row that were only a lower bound.
    pub censored: Option<Censored>,
    /// The sizes that its past vouches for.
    #[serde(default)]
    pub proven: Proven,
    /// Growth that demand alone does not prove.
    #[serde(default)]
    pub growth: Growth,
    /// What makes its demand doubtful though it arrives.
    #[serde(default)]
    pub doubt: Doubt,
}

/// Samples in a row that were only a lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Censored {
    pub count: u32,
    /// The newest one's interval.
    pub newest: Timestamp,
}

/// Where the next interval's demand was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The interval that was known when it was forecast.
    pub origin: Timestamp,
    /// Its demand, in thousandths per second.
    pub demand_milli: Milli,
    /// The lowest quantile forecast for the next interval, likewise.
    pub low_milli: Milli,
}

/// Lead times kept a service.
pub const LEAD_TIMES_KEPT: usize = 16;

/// A budget's use. It drains at the budget's own rate, so nothing changes while nobody draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Thousandths of a unit drawn and not yet drained, as of `at`.
    pub used_milli: u64,
    /// When `used_milli` was true.
    pub at: Timestamp,
}

/// Intervals and violations over a rolling 28 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationAccount {
    /// The start of the newest interval that was counted.
    pub counted: Option<Timestamp>,
    /// Counts by quarter of a day, numbered from 1970, rising; at most 113.
    pub quarters: Vec<(u32, Count)>,
}

/// Intervals of a quarter of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Intervals that settled.
    pub intervals: u32,
    /// Those among them whose demand exceeded capacity.
    pub violations: u32,
}

/// What the budget of violations has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// How far out in the forecast's tail demand is sized for, in millionths of a halving of the
    /// tail: 1 is the median, 2 leaves a quarter above it, 10 about a thousandth. `None` until the
    /// first forecast: then it starts at the budget.
    pub depth_micro: Option<i64>,
    /// How much of the fastest recent rise is added to demand now, in millionths.
    /// `None` until the first interval is judged without a forecast: then it starts at all of it.
    pub headroom_micro: Option<i64>,
    /// How wide the forecast's tail usually is: halvings, in millionths, of its thousandths of
    /// demand per halving of the tail. `None` until the first forecast.
    pub spread_micro: Option<i64>,
}

/// Values over time, one entry a change, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLog {
    pub entries: Vec<(Timestamp, Units)>,
}

/// Changes of ours, and what the group should show if nobody else touches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The numbers the group is expected to show.
    pub expected: Option<Expected>,
    /// An order given whose result is not known.
    pub open: Option<OpenOrder>,
    /// When the size was last changed by anybody: the cooldown runs from here.
    pub changed_at: Option<Timestamp>,
    /// When units were last added by us: a billing minimum runs from here.
    pub grew_at: Option<Timestamp>,
}

/// What a group should show if nobody else touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The capacity it is told to have.
    pub desired: Units,
    /// Its lower bound.
    pub min: Units,
    /// Its upper bound.
    pub max: Units,
}

/// An order whose result is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// The decision that gave it, once an outcome named it.
    pub decision: Option<String>,
    pub change: Change,
    pub at: Timestamp,
}

/// Respect for somebody else's change: no decrease until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who, where the activity says so; at most 120 characters.
    pub who: OrTold<ForeignChange>,
    pub from: Units,
    pub to: Units,
    /// When it ends.
    pub until: Timestamp,
}

/// Whether the forecast has a say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quality {
    /// It has.
    #[default]
    Trusted,
    /// It has lately been worse than last-value.
    Distrusted,
}

/// Demand that fell out of the forecast's band, and whether others fell with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    /// When it was first seen below.
    pub since: Timestamp,
    /// Demand is back in the band from here, in thousandths per second.
    pub back_at_milli: Milli,
    /// Set once the fall has an outage's shape: services that fell together, and of how many.
    pub outage: Option<(u32, u32)>,
}

/// Capacity of a unit, learned from demand, units and utilisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedCapacity {
    /// Estimates at target utilisation in thousandths per second and unit, oldest first.
    pub estimates_milli: Vec<Milli>,
    /// The highest demand per unit seen with them, in thousandths per second.
    pub highest_milli: Milli,
    /// When the newest was taken.
    pub at: Timestamp,
}

/// How long demand has fitted in a smaller size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dwell {
    pub since: Timestamp,
    /// The most units that were needed since.
    pub most: Units,
}

impl Default for Calibration {
    /// Nothing learned: both start from the budget.
    fn default() -> Calibration {
        Calibration { depth_micro: None, headroom_micro: None, spread_micro: None }
    }
}

impl ViolationAccount {
    /// Since when intervals have been counted: the start of a quarter of a day.
    pub fn since(&self) -> Option<Timestamp> {
        let (first, _) = self.quarters.first()?;
        Some(Timestamp(i64::from(*first) * crate::learn::QUARTER))
    }
}

impl ServiceMemory {
    /// When something was last learned of the service; `None` where nothing was.
    ///
    /// ```
    /// use fleet::{Timestamp, Units};
    /// use planner::memory::ServiceMemory;
    ///
    /// let mut memory = ServiceMemory::default();
    /// assert_eq!(memory.last_known(), None);
    /// memory.in_service.entries = vec![(Timestamp(60), Units(4)), (Timestamp(120), Units(5))];
    /// memory.violations.counted = Some(Timestamp(180));
    /// assert_eq!(memory.last_known(), Some(Timestamp(180)));
    /// ```
    pub fn last_known(&self) -> Option<Timestamp> {
        let of_log = |log: &ChangeLog| log.entries.last().map(|(at, _)| *at);
        let times = [
            self.violations.counted,
            of_log(&self.in_service),
            of_log(&self.ordered),
            self.orders.open.as_ref().map(|open| open.at),
            self.orders.changed_at,
            self.orders.grew_at,
            self.bands.last().map(|band| band.origin),
            self.fall.map(|fall| fall.since),
            self.dwell.map(|dwell| dwell.since),
            self.censored.map(|censored| censored.newest),
            (!self.capacity.estimates_milli.is_empty()).then_some(self.capacity.at),
        ];
        times.into_iter().flatten().max()
    }

    /// The lead time to plan with: a high quantile of those measured, `start` until there are
    /// enough.
    ///
    /// ```
    /// use fleet::Seconds;
    /// use planner::memory::ServiceMemory;
    ///
    /// let start = Seconds::minutes(4);
    /// let mut memory = ServiceMemory::default();
    /// assert_eq!(memory.lead_time(start), start);
    /// // One quick boot among too few measurements shortens nothing.
    /// memory.lead_times = vec![60];
    /// assert_eq!(memory.lead_time(start), start);
    /// memory.lead_times = vec![60, 70, 80, 90];
    /// assert_eq!(memory.lead_time(start), Seconds(90));
    /// ```
    pub fn lead_time(&self, start: Seconds) -> Seconds {
        let mut seen: Vec<u64> = self.lead_times.iter().map(|&s| u64::from(s)).collect();
        while seen.len() < 4 {
            seen.push(start.0);
        }
        seen.sort_unstable();
        Seconds(seen[(seen.len() * 9).div_ceil(10) - 1])
    }
}
