//! Samples at full utilisation: a step up, and the next one only when the first is in service and
//! did not help.

use fleet::{Timestamp, Units};

use super::Full;
use super::carries::Measured;
use crate::Milli;
use crate::learn::{capacity_per_unit, newest};
use crate::memory::ServiceMemory;
use crate::numbers::{sane, times_milli, units_for};
use crate::policy::ServicePolicy;
use crate::snapshot::{DemandPoint, GroupView, Observation};

/// Utilisation from which nothing can be read any more but that it is at its end. Below it a
/// sample counts as full as well, but says how full.
pub(super) const CLIPPED: f64 = 0.99;
/// A step goes up to half as many units again as there are or demand asks for.
const STEP_MILLI: u64 = 1_500;
/// Demand that does not rise with the units is known. A capacity that was given may be half of
/// what it says, and a little more, so that utilisation can be seen below its limit.
const BEYOND_DEMAND_MILLI: u64 = 2_200;
/// Where demand asks for far less than there is, one unit in so many tells whether demand is held
/// back.
const PROBE: u32 = 8;
/// So many of what was ordered may be missing: in a large group some always boot.
const MISSING: u32 = 20;

/// Follows the samples at full utilisation.
pub(super) fn follow(
    service: &ServicePolicy,
    at: Timestamp,
    view: &GroupView,
    seen: &Observation,
    measured: Measured,
    memory: &mut ServiceMemory,
) {
    let Some(point) = newest(&seen.demand) else { return };
    if !point.censored {
        // What was learned of it comes with the settled sample.
        let settled = seen.demand.settled.is_some_and(|point| !point.censored);
        if settled && measured != Measured::Later {
            memory.growth.full = None;
        }
        return;
    }
    let capacity = match capacity_per_unit(service, memory) {
        Ok(capacity) => Some(capacity),
        Err((some, _)) => some,
    };
    if capacity.is_some() && !clipped(point, view, seen, memory) {
        return;
    }
    let now = super::now_milli(&seen.demand).unwrap_or_default();
    let now = memory.growth.highest.map_or(now, |_| super::proven_milli(now, memory));
    // The sample speaks of the units that it was taken on: others may have come since.
    let there = memory.in_service.at(point.start).unwrap_or(view.in_service).min(view.in_service);
    let ground = Ground {
        there,
        owned: there.0.saturating_sub(memory.growth.surplus.0),
        explained: memory.growth.carries.is_some(),
        asked: capacity.map(|c| (units_for(now, c), units_for(now.times(BEYOND_DEMAND_MILLI), c))),
    };
    let Some(mut full) = memory.growth.full else {
        let ordered = Units(ground.first_step()).max(view.desired);
        memory.growth.full = Some(Full {
            from: there,
            at: there,
            demand_milli: now,
            ordered,
            served_from: None,
            stuck: false,
        });
        return;
    };
    if there == full.at && full.served_from.is_none() {
        // Demand that rises before the units come does not rise with them.
        full.demand_milli = now;
        if full.from == full.at {
            full.ordered = full.ordered.max(Units(ground.first_step()));
        }
    }
    let awaited = full.ordered.max(view.desired).0;
    let arrived = view.in_service.0 >= awaited - awaited / MISSING;
    if full.served_from.is_none() && arrived {
        full.served_from = Some(at);
    }
    let taken_after = full.served_from.is_some_and(|at| point.start >= at + service.pool.warm_up);
    let still_full = arrived && taken_after;
    if still_full {
        next_step(&ground, now, &mut full);
    }
    memory.growth.full = Some(full);
}

/// What a step stands on.
struct Ground {
    /// Units in service.
    there: Units,
    /// Those among them that something proved.
    owned: u32,
    /// Utilisation has shown what a unit carries: demand tells what is needed.
    explained: bool,
    /// What demand asks for, and the most that may be ordered beyond it.
    asked: Option<(Units, Units)>,
}

impl Ground {
    fn half_again(&self) -> u32 {
        let base = match self.asked {
            Some((asked, _)) if self.explained && asked > self.there => return asked.0,
            Some((asked, _)) if !self.explained => asked.max(self.there).0,
            _ => self.there.0,
        };
        let step = times_milli(base.into(), STEP_MILLI);
        u32::try_from(step).unwrap_or(u32::MAX).max(base.saturating_add(1))
    }

    fn first_step(&self) -> u32 {
        let probe = self.owned.saturating_add(self.owned.div_ceil(PROBE));
        self.half_again().min(self.asked.map_or(u32::MAX, |(_, most)| most.0.max(probe)))
    }
}

/// What was ordered is in service, and the sample after that is full all the same.
fn next_step(ground: &Ground, now: Milli, full: &mut Full) {
    let there = ground.there;
    // Demand that rose by half as much as the units did, at least, was held back by them.
    let more_units = f64::from(there.0.saturating_sub(full.at.0)) * full.demand_milli.get();
    let more_demand = now.saturating_sub(full.demand_milli).get() * f64::from(full.at.0);
    let grew = there.0.saturating_sub(full.at.0) >= (full.at.0 / PROBE).max(1);
    let held_back = grew && more_demand * 2.0 >= more_units;
    let most = match ground.asked {
        _ if held_back => u32::MAX,
        Some((_, most)) => most.0,
        None => full.from.0.saturating_mul(2),
    };
    let step = ground.half_again().min(most);
    full.stuck = step <= there.0;
    if !full.stuck {
        let from = if held_back { there } else { full.from };
        *full = Full {
            from,
            at: there,
            demand_milli: now,
            ordered: Units(step),
            served_from: None,
            stuck: false,
        };
    }
}

/// Whether nothing can be read from the utilisation of the newest sample: it is at its end, or not
/// known. That of the settled sample tells what that of a younger one must be.
fn clipped(
    point: &DemandPoint,
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
) -> bool {
    let demand = &seen.demand;
    // The first samples of all: soon one has settled.
    let Some(settled) = demand.settled else { return false };
    let Some(utilisation) = demand.utilisation else { return true };
    let at_end = !(0.0..CLIPPED).contains(&utilisation);
    let units = |at: Timestamp| memory.in_service.at(at).unwrap_or(view.in_service).0.max(1);
    let (then, since) = (units(settled.start), units(point.start));
    if settled.start == point.start {
        return at_end;
    }
    if at_end {
        // Units came since: how full those are is known when the sample settles.
        return since <= then;
    }
    let (Some(before), Some(now)) = (sane(settled.value), sane(point.value)) else { return true };
    if before <= 0.0 {
        return true;
    }
    let grown = now / before * (f64::from(then) / f64::from(since));
    utilisation * grown >= CLIPPED
}
