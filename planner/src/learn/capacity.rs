//! The capacity of a unit: given, or learned from demand and utilisation.

use fleet::{Seconds, Timestamp, Units};

use crate::Milli;
use crate::memory::ServiceMemory;
use crate::numbers::{milli, sane};
use crate::policy::{CapacityPerUnit, ServicePolicy};
use crate::snapshot::{DemandView, GroupView, PastInterval};

/// Estimates of a unit's capacity kept, and how far apart once there are enough.
const CAPACITY_ESTIMATES: usize = 24;
/// So many estimates make a capacity known.
pub(crate) const CAPACITY_NEEDED: usize = 6;
const CAPACITY_EVERY: Seconds = Seconds::minutes(30);
/// Below this utilisation a unit's capacity would be extrapolated, not measured.
const CAPACITY_UTILISATION_MIN: f64 = 0.1;
/// A capacity is at most so many times the highest demand per unit ever seen.
const CAPACITY_BEYOND_SEEN: f64 = 2.0;

/// The capacity of a unit, as far as it is known: `Ok` once it may justify taking units away,
/// `Err` with the estimates there are (and how many) while it may not.
pub(crate) fn capacity_per_unit(
    service: &ServicePolicy,
    memory: &ServiceMemory,
) -> Result<f64, (Option<f64>, usize)> {
    match service.pool.capacity_per_unit {
        CapacityPerUnit::Given(given) => {
            if sane(given).is_some_and(|c| c > 0.0) {
                let carries = memory.growth.carries.map(|c| c.milli.a_second());
                Ok(carries.filter(|c| *c > 0.0).map_or(given, |c| c.min(given)))
            } else {
                Err((None, 0))
            }
        }
        CapacityPerUnit::Learn => {
            let learned = &memory.capacity;
            let mut sorted = learned.estimates_milli.clone();
            sorted.sort_unstable();
            let have = sorted.len();
            let Some(&middle) = sorted.get(have / 2) else { return Err((None, 0)) };
            let seen_most = learned.highest_milli.get() * CAPACITY_BEYOND_SEEN;
            let capacity = middle.get().min(seen_most) / 1000.0;
            match (capacity > 0.0, have >= CAPACITY_NEEDED) {
                (true, true) => Ok(capacity),
                (true, false) => Err((Some(capacity), have)),
                (false, _) => Err((None, have)),
            }
        }
    }
}

/// Whether a unit's capacity is to be learned and not known yet: what the past tells of it is wanted.
pub fn is_capacity_wanted(service: &ServicePolicy, memory: Option<&ServiceMemory>) -> bool {
    let have = memory.map_or(0, |memory| memory.capacity.estimates_milli.len());
    service.pool.capacity_per_unit == CapacityPerUnit::Learn && have < CAPACITY_NEEDED
}

/// Takes in what the past tells, while too little was seen since.
pub(super) fn learn_from_past(
    at: Timestamp,
    service: &ServicePolicy,
    past: &[PastInterval],
    memory: &mut ServiceMemory,
) {
    if past.is_empty() || !is_capacity_wanted(service, Some(memory)) {
        return;
    }
    let target = service.pool.target_utilisation.fraction();
    let measured = past.iter().filter_map(|interval| {
        let PastInterval { demand_milli, utilisation_milli, units, .. } = *interval;
        let utilisation = f64::from(utilisation_milli) / 1000.0;
        let sound = units.0 > 0 && (CAPACITY_UTILISATION_MIN..=1.0).contains(&utilisation);
        let a_unit = sound.then(|| demand_milli.a_second() / f64::from(units.0))?;
        let estimate = milli(a_unit / utilisation * target)?;
        (estimate > Milli::ZERO).then_some((estimate, milli(a_unit)?))
    });
    let learned = &mut memory.capacity;
    // What was seen since is newer.
    let seen = std::mem::take(&mut learned.estimates_milli);
    for (estimate, a_unit) in measured {
        super::keep_newest(&mut learned.estimates_milli, estimate, CAPACITY_ESTIMATES);
        learned.highest_milli = learned.highest_milli.max(a_unit);
        learned.at = at;
    }
    for estimate in seen {
        super::keep_newest(&mut learned.estimates_milli, estimate, CAPACITY_ESTIMATES);
    }
}

/// Demand per unit over utilisation, at target utilisation; only from settled, uncensored
/// intervals of a group that was not changing.
pub(super) fn learn_capacity(
    at: Timestamp,
    service: &ServicePolicy,
    view: &GroupView,
    demand: &DemandView,
    memory: &mut ServiceMemory,
) {
    let learned = &memory.capacity;
    let early = learned.estimates_milli.len() < CAPACITY_ESTIMATES / 2;
    let wait = if early { demand.step.span() } else { CAPACITY_EVERY };
    let (Some(point), Some(utilisation)) = (demand.settled, demand.utilisation) else { return };
    let steady = view.pending == Units(0) && view.terminating == Units(0);
    let fresh = learned.estimates_milli.is_empty() || at.since(learned.at) >= wait;
    let measured = (CAPACITY_UTILISATION_MIN..=1.0).contains(&utilisation);
    let units = view.in_service.0;
    if !steady
        || !fresh
        || !measured
        || point.censored
        || units == 0
        || demand.missing.fraction() > 0.0
    {
        return;
    }
    let Some(value) = sane(point.value) else { return };
    // A sample that nothing confirms may be a fault of the source.
    if milli(value).is_none_or(|value| crate::growth::steep(value, memory)) {
        return;
    }
    let learned = &mut memory.capacity;
    let a_unit = value / f64::from(units);
    let target = service.pool.target_utilisation.fraction();
    let (Some(estimate), Some(seen)) = (milli(a_unit / utilisation * target), milli(a_unit)) else {
        return;
    };
    if estimate == Milli::ZERO {
        return;
    }
    super::keep_newest(&mut learned.estimates_milli, estimate, CAPACITY_ESTIMATES);
    learned.highest_milli = learned.highest_milli.max(seen);
    learned.at = at;
}
