//! Growth beyond what demand proves: how far it may go, and what of it is to be given back.
//!
//! Growth is never blocked, but it is bounded by evidence. A sample taken at full utilisation is a
//! lower bound of demand, and a sample beyond all that was seen may be a fault of the source: both
//! order more than is proven, and both only as far as one step goes before the next sample tells.

mod carries;
mod full;
mod highest;

use fleet::{Timestamp, Units};
use serde::{Deserialize, Serialize};

use crate::Milli;
use crate::learn::{capacity_per_unit, newest};
use crate::memory::ServiceMemory;
use crate::numbers::milli;
use crate::plan::Hold;
use crate::policy::{CapacityPerUnit, ServicePolicy};
use crate::snapshot::{GroupView, Observation};

pub(crate) use highest::{now_milli, proven_milli, steep};

/// What a service remembers of growth that demand alone does not prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Samples in a row at full utilisation, and what they ordered.
    pub full: Option<Full>,
    /// What a unit was seen to carry, where that is less than the capacity given.
    pub carries: Option<Carries>,
    /// The highest demand that more than one sample showed.
    pub highest: Option<Highest>,
    /// The newest sample, where it lies beyond that: its interval, and demand in thousandths per
    /// second.
    pub beyond: Option<(Timestamp, Milli)>,
    /// The most units that a sample beyond all that was seen may order until the next one confirms
    /// it.
    pub step: Option<Units>,
    /// Units that were ordered without proof and that no proof has asked for since: they are given
    /// back outside the budgets of removals.
    pub surplus: Units,
}

/// Samples in a row at full utilisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Full {
    /// Units in service when the first of them was seen.
    pub from: Units,
    /// Units in service when the newest step was ordered.
    pub at: Units,
    /// Demand then, in thousandths per second.
    pub demand_milli: Milli,
    /// What that step goes up to.
    pub ordered: Units,
    /// When that was found in service: only a sample taken after it says whether it is enough.
    pub served_from: Option<Timestamp>,
    /// Utilisation did not fall although units doubled: it is believed no more.
    pub stuck: bool,
}

/// What a unit was seen to carry below full utilisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carries {
    /// In thousandths per second and unit.
    pub milli: Milli,
    /// The first estimate since utilisation was last seen below its limit: a sensor that tells the
    /// truth does not fall far below it.
    pub first_milli: Option<Milli>,
    /// A later estimate did fall far below it: units were added and utilisation stayed.
    pub doubted: bool,
}

/// The highest demand seen, kept for weeks and not for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highest {
    /// Since `since`, in thousandths per second.
    pub now_milli: Milli,
    /// In the span before it, likewise.
    pub before_milli: Milli,
    pub since: Timestamp,
}

/// Takes in what an observation says of growth. `current` is the number that is written.
pub(crate) fn learn(
    service: &ServicePolicy,
    at: Timestamp,
    view: &GroupView,
    seen: &Observation,
    current: Units,
    memory: &mut ServiceMemory,
) {
    highest::follow(service, at, seen, current, memory);
    let mut measured = carries::Measured::Never;
    if let CapacityPerUnit::Given(given) = service.pool.capacity_per_unit {
        measured = carries::follow(at, view, &seen.demand, given, memory);
    } else {
        memory.growth.carries = None;
    }
    full::follow(service, at, view, seen, measured, memory);
}

/// Where a sample beyond all that was seen is to be confirmed: the most it may order, and why.
pub(crate) fn step(now: Option<Milli>, memory: &ServiceMemory) -> Option<(Units, Hold)> {
    let (step, demand_milli) = memory.growth.step.zip(now)?;
    Some((
        step,
        Hold::Unconfirmed { demand_milli, known_milli: proven_milli(demand_milli, memory) },
    ))
}

/// What full utilisation orders, where it orders something.
pub(crate) fn ordered_by_full(seen: &Observation, memory: &ServiceMemory) -> Option<Units> {
    let full = memory.growth.full.filter(|full| !full.stuck)?;
    newest(&seen.demand).filter(|point| point.censored)?;
    Some(full.ordered)
}

/// What a unit carries with nothing to spare: a rise may use what is kept free of a unit that was
/// seen to carry less than given.
pub(crate) fn with_nothing_to_spare(capacity: f64, memory: &ServiceMemory) -> f64 {
    if memory.growth.carries.is_some() { capacity / carries::AIM } else { capacity }
}

/// Where utilisation alone counts, the most it may ask for while it is full.
pub(crate) fn most_by_full(
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
) -> Option<Units> {
    let stuck = memory.growth.full.is_some_and(|full| full.stuck);
    ordered_by_full(seen, memory).or(stuck.then_some(view.in_service))
}

/// What is to be said of utilisation.
pub(crate) fn notes(
    service: &ServicePolicy,
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
    notes: &mut Vec<Hold>,
) {
    let growth = &memory.growth;
    let censored = newest(&seen.demand).is_some_and(|point| point.censored);
    let stuck = growth.full.is_some_and(|full| full.stuck);
    let doubted = growth.carries.is_some_and(|carries| carries.doubted);
    if censored && (stuck || doubted) {
        notes.push(Hold::SensorStuck { units: view.in_service });
    }
    let given = match service.pool.capacity_per_unit {
        CapacityPerUnit::Given(given) => milli(given),
        CapacityPerUnit::Learn => None,
    };
    if let Some((carries, given_milli)) = growth.carries.zip(given)
        && capacity_per_unit(service, memory).is_ok()
        && carries.milli < given_milli
    {
        notes.push(Hold::FullBelow { carries_milli: carries.milli, given_milli });
    }
}
