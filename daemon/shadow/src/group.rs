//! A group as another policy would have sized it.

use std::collections::VecDeque;

use fleet::{Change, ServiceName, Timestamp, Units};
use planner::snapshot::{DemandView, GroupView, OrderOutcome, OrderResult, Snapshot};
use serde::{Deserialize, Serialize};

/// A group as another policy would have sized it: boots take the lead time, removals are at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SimulatedGroup {
    pub(crate) desired: u32,
    pub(crate) min: u32,
    pub(crate) in_service: u32,
    /// Orders raise and lower its minimum: above that the cloud's own policies size it.
    floor: bool,
    booting: VecDeque<(Timestamp, u32)>,
    outcomes: Vec<OrderOutcome>,
}

impl SimulatedGroup {
    /// The group as it was seen.
    pub(crate) fn of(snapshot: &Snapshot, name: &ServiceName) -> SimulatedGroup {
        let group = snapshot.services.get(name).and_then(|seen| seen.group.as_ref().ok());
        group.map_or_else(SimulatedGroup::default, |group| SimulatedGroup {
            desired: group.desired.0,
            min: group.min.0,
            in_service: group.in_service.0,
            ..SimulatedGroup::default()
        })
    }

    /// What was ordered and is ready by now comes into service.
    pub(crate) fn boot(&mut self, now: Timestamp) {
        while self.booting.front().is_some_and(|(ready, _)| *ready <= now) {
            self.in_service += self.booting.pop_front().map_or(0, |(_, units)| units);
        }
    }

    /// The clock was set back to `now`; `left` is what it would have shown. Boots take as long as they
    /// would have taken.
    pub(crate) fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        for (ready, _) in &mut self.booting {
            *ready = (now + ready.since(left)).min(*ready);
        }
        self.outcomes.iter_mut().for_each(|outcome| outcome.at = outcome.at.min(now));
    }

    /// Carries out an order whose units come into service at `ready`.
    pub(crate) fn order(&mut self, change: Change, at: Timestamp, ready: Timestamp) {
        match change {
            Change::Minimum { to, .. } => {
                self.floor = true;
                self.min = to.0;
                self.size(self.desired.max(to.0), ready);
            }
            Change::Desired { to, .. } => self.size(to.0, ready),
        }
        let decision = "replay".to_owned();
        self.outcomes.push(OrderOutcome { decision, at, change, result: OrderResult::Applied });
    }

    /// Where orders set the minimum alone, the cloud's own policies size the group above it as they
    /// sized the real one.
    pub(crate) fn follow(&mut self, seen: &GroupView, now: Timestamp) {
        if !self.floor {
            return;
        }
        let to = seen.desired.0.max(self.min);
        if to < self.desired {
            self.size(to, now);
        }
        self.desired = to;
        self.in_service = self.in_service.max(seen.in_service.0.min(to)).min(to);
        let mut room = to - self.in_service;
        for (_, units) in &mut self.booting {
            *units = room.min(*units);
            room -= *units;
        }
    }

    fn size(&mut self, to: u32, ready: Timestamp) {
        let mut gone = self.desired.saturating_sub(to);
        if to > self.desired {
            self.booting.push_back((ready, to - self.desired));
        }
        self.desired = to;
        while gone > 0 {
            match self.booting.back_mut() {
                Some((_, units)) if *units > gone => {
                    *units -= gone;
                    gone = 0;
                }
                Some((_, units)) => {
                    gone -= *units;
                    self.booting.pop_back();
                }
                None => {
                    self.in_service = self.in_service.saturating_sub(gone);
                    gone = 0;
                }
            }
        }
    }

    /// Lays itself over the group that was seen.
    pub(crate) fn show(&mut self, name: &ServiceName, snapshot: &mut Snapshot) {
        let Some(seen) = snapshot.services.get_mut(name) else { return };
        seen.outcomes = std::mem::take(&mut self.outcomes);
        let Ok(group) = &mut seen.group else { return };
        weigh(&mut seen.demand, group.in_service.0, self.in_service);
        group.desired = Units(self.desired);
        group.min = Units(self.min);
        group.in_service = Units(self.in_service);
        group.pending = Units(self.booting.iter().map(|(_, units)| units).sum());
        group.terminating = Units(0);
        group.newest_foreign_activity = None;
    }
}

/// What was measured on a group of so many units, as another size would have had it: load is spread
/// over its units, and a larger group is not full because the real one was. How much more demand
/// there would have been then nobody knows: it is counted as it was measured.
fn weigh(demand: &mut DemandView, really: u32, units: u32) {
    if really == 0 || units == 0 || really == units {
        return;
    }
    if let Some(utilisation) = &mut demand.utilisation {
        *utilisation *= f64::from(really) / f64::from(units);
    }
    if units > really {
        let newest = demand.settled.iter_mut().chain(&mut demand.provisional);
        newest.chain(&mut demand.newly_settled).for_each(|point| point.censored = false);
    }
}
