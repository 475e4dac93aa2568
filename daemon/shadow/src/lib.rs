//! What another policy would have done with what was seen: decided by the real planner, carried
//! out on simulated groups.

pub mod baselines;
mod doubts;
#[cfg(test)]
mod golden;
mod group;
mod minimum;
mod native;
mod offer;
mod recall;
mod rule_score;
mod rules;
mod score;
#[cfg(test)]
mod tests;
mod watch;
mod what_if;
mod worth;

use std::collections::BTreeMap;

use fleet::{Seconds, ServiceName, Timestamp};
use planner::Memory;
use planner::lead::Lead;
use planner::plan::{Action, Plan};
use planner::policy::{CapacityPerUnit, Mode, Policy};
use planner::snapshot::Snapshot;
use planner::stage::Stages;
use serde::{Deserialize, Serialize};

pub use doubts::{Doubt, Doubts, Questioned, rank};
pub use minimum::{KeptMinimum, kept_minimums};
pub use offer::{Offer, RuleOffer, Rules, offer, offers, rule_offer, rule_offers};
pub use recall::Recall;
pub use rule_score::{RuleCard, RuleScores};
pub use rules::{RuleWatch, SavedRules};
pub use score::{DayScores, KEPT_DAYS, Peak, Scorecard, Scores, Tally};
pub use watch::{DayAside, Saved, Seen, ShadowEntry, Watch, kept_prices, read, unanswered};
pub use what_if::{WhatIf, what_if};
pub use worth::{BEFORE_MIN, Before, SavedBy, Stand, Unused, Worth};

use group::SimulatedGroup;

/// A policy's own course through a recorded time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadow {
    memory: Memory,
    groups: BTreeMap<ServiceName, SimulatedGroup>,
    last: Option<Timestamp>,
}

/// What a policy cost and missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Units it kept, times hours.
    pub unit_hours: f64,
    /// Intervals that settled.
    pub intervals: u64,
    /// Those among them whose demand was above the capacity in service.
    pub violations: u64,
    /// Orders.
    pub changes: u64,
}

/// What really happened and what would have, of one service in one cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub service: ServiceName,
    /// Capacity of a unit in demand per second, where it is known: without it nothing is counted
    /// but orders.
    pub capacity: Option<f64>,
    /// What the group was told to have; `None` where it could not be read.
    pub desired: Option<u32>,
    /// What it would have been told to have.
    pub would: Option<u32>,
    /// What came to the account of what really happened.
    pub real: Account,
    /// What came to the other's.
    pub other: Account,
}

/// A cycle of the shadow.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What would have been decided.
    pub plan: Plan,
    /// The services that there is something to say of, by name.
    pub compared: Vec<Compared>,
    /// How long the cycle before was ago.
    pub span: Seconds,
}

impl Shadow {
    /// A course that begins with what is known; no group is another than it is seen.
    pub fn new(mut memory: Memory) -> Shadow {
        // What was promoted or taken back is another course's matter.
        memory.stages = Stages::default();
        Shadow { memory, ..Shadow::default() }
    }

    /// What the shadow has learned.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The groups that it has sized.
    fn groups(&self) -> &BTreeMap<ServiceName, SimulatedGroup> {
        &self.groups
    }

    /// Goes on with groups that it sized before a restart. What it had learned of them is gone: it
    /// goes on with what was really learned, but for orders, which were another's.
    fn resume(&mut self, groups: BTreeMap<ServiceName, SimulatedGroup>, last: Timestamp) {
        for name in groups.keys() {
            if let Some(memory) = self.memory.services.get_mut(name) {
                memory.orders = planner::memory::Orders::default();
                memory.lease = None;
            }
        }
        self.groups = groups;
        self.last = Some(last);
    }

    /// The clock was set back to `now`; `left` is what it would have shown.
    fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        self.memory = planner::rewound(std::mem::take(&mut self.memory), left, now);
        self.groups.values_mut().for_each(|group| group.rewind(left, now));
        self.pause();
    }

    /// What happens until the next cycle is nobody's: it was not looked at.
    fn pause(&mut self) {
        self.last = None;
    }

    /// Decides a cycle: `snapshot` is what was really seen, `actions` what was really decided.
    pub fn step(&mut self, policy: &Policy, snapshot: &Snapshot, actions: &[Action]) -> Step {
        let at = snapshot.taken_at;
        let span = self.last.map_or(Seconds(0), |last| at.since(last));
        let mut shown = snapshot.clone();
        shown.requests.clear();
        for (name, group) in &mut self.groups {
            group.boot(at);
            if let Some(Ok(seen)) = snapshot.services.get(name).map(|seen| &seen.group) {
                group.follow(seen, at);
            }
            group.show(name, &mut shown);
        }
        let mut compared: BTreeMap<&ServiceName, Compared> = BTreeMap::new();
        for name in snapshot.services.keys() {
            let capacity = capacity(&self.memory, policy, name);
            let mut row = Compared::of(name, snapshot, self.groups.get(name));
            if let Some(capacity) = capacity {
                let mine = self.groups.get(name).map(|group| (group.desired, group.in_service));
                row.capacity = Some(capacity);
                row.real.count(snapshot, name, None, span, capacity);
                row.other.count(&shown, name, mine, span, capacity);
            }
            compared.insert(name, row);
        }
        let (plan, after) = planner::plan(policy, &shown, &self.memory);
        self.memory = after;
        for action in actions {
            compared
                .entry(&action.service)
                .or_insert_with(|| Compared::of(&action.service, snapshot, None))
                .real
                .changes += 1;
        }
        for action in &plan.actions {
            let lead = lead_time(&self.memory, policy, &action.service);
            self.groups
                .entry(action.service.clone())
                .or_insert_with(|| SimulatedGroup::of(&shown, &action.service))
                .order(action.change, at, at + lead);
            if let Some(row) = compared.get_mut(&action.service) {
                row.other.changes += 1;
            }
        }
        self.last = Some(at);
        let compared = compared.into_values().collect();
        Step { plan, compared, span }
    }

    /// Follows services that really are under the policy: their groups are as they are seen, and
    /// what was learned of them is what was really learned.
    pub fn follow<'a>(&mut self, services: impl Iterator<Item = &'a ServiceName>, real: &Memory) {
        for name in services {
            self.groups.remove(name);
            if let Some(memory) = real.services.get(name) {
                self.memory.services.insert(name.clone(), memory.clone());
            }
        }
    }
}

impl Compared {
    fn of(name: &ServiceName, snapshot: &Snapshot, group: Option<&SimulatedGroup>) -> Compared {
        let seen = snapshot.services.get(name).and_then(|seen| seen.group.as_ref().ok());
        let desired = seen.map(|group| group.desired.0);
        Compared {
            service: name.clone(),
            capacity: None,
            desired,
            would: group.map(|group| group.desired).or(desired),
            real: Account::default(),
            other: Account::default(),
        }
    }
}

impl Account {
    /// The share of intervals that were violations.
    pub fn violated_percent(&self) -> f64 {
        100.0 * self.violations as f64 / (self.intervals.max(1)) as f64
    }

    /// Adds what came to it.
    pub fn add(&mut self, more: &Account) {
        self.unit_hours += more.unit_hours;
        self.intervals += more.intervals;
        self.violations += more.violations;
        self.changes += more.changes;
    }

    fn count(
        &mut self,
        snapshot: &Snapshot,
        name: &ServiceName,
        mine: Option<(u32, u32)>,
        span: Seconds,
        capacity: f64,
    ) {
        let Some(seen) = snapshot.services.get(name) else { return };
        let shown = seen.group.as_ref().ok().map(|g| (g.desired.0, g.in_service.0));
        let Some((desired, in_service)) = mine.or(shown) else { return };
        self.unit_hours += f64::from(desired) * span.0 as f64 / 3600.0;
        for point in &seen.demand.newly_settled {
            self.intervals += 1;
            self.violations += u64::from(point.value > f64::from(in_service) * capacity);
        }
    }
}

/// The same policy, were it to act: nothing waits for a promotion.
pub fn as_if_act(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.mode = Mode::Act;
    policy.promotion.gated.clear();
    policy.promotion.rules.clear();
    for service in policy.services.values_mut() {
        service.mode = Mode::Act;
    }
    policy
}

/// Capacity of a unit in demand per second, as configured or learned.
pub fn capacity(memory: &Memory, policy: &Policy, name: &ServiceName) -> Option<f64> {
    match policy.services.get(name)?.pool.capacity_per_unit {
        CapacityPerUnit::Given(capacity) => Some(capacity),
        CapacityPerUnit::Learn => {
            let estimates = &memory.services.get(name)?.capacity.estimates_milli;
            let mut sorted = estimates.clone();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map(|milli| milli.a_second())
        }
    }
}

/// From the order until its units serve, as configured or measured.
pub fn lead_time(memory: &Memory, policy: &Policy, name: &ServiceName) -> Seconds {
    let known = memory.services.get(name);
    policy.services.get(name).map_or(Seconds(0), |service| Lead::of(&service.pool, known).time)
}
