//! The highest demand that more than one sample showed: what lies beyond it is to be confirmed.

use std::collections::BTreeMap;

use fleet::{Seconds, Timestamp, Units};

use super::Highest;
use crate::Milli;
use crate::memory::ServiceMemory;
use crate::numbers::{milli, milli_up};
use crate::policy::ServicePolicy;
use crate::snapshot::{DemandView, Observation};

/// What was seen within this time is remembered, and for as long again.
const KEPT: Seconds = Seconds::days(14);
/// What lies no further beyond it than one part in so many is noise or growth, and not in doubt.
const NEARLY: u64 = 4;
/// A step goes up to so many times what there is.
const STEP: u32 = 2;

/// Takes in the samples, and sets the step that one beyond all that was seen may order.
pub(super) fn follow(
    service: &ServicePolicy,
    at: Timestamp,
    seen: &Observation,
    current: Units,
    memory: &mut ServiceMemory,
) {
    let samples = samples(&seen.demand, memory.growth.beyond);
    if let Some(shown) = shown_twice(&samples) {
        let known = memory.growth.highest.get_or_insert(Highest {
            now_milli: shown,
            before_milli: Milli::ZERO,
            since: at,
        });
        if at.since(known.since) >= KEPT {
            *known = Highest { now_milli: shown, before_milli: known.now_milli, since: at };
        }
        known.now_milli = known.now_milli.max(shown);
    }
    let newest = samples.last_key_value().map(|(start, value)| (*start, *value));
    memory.growth.beyond = newest.filter(|(_, now)| super::proven_milli(*now, memory) < *now);
    let now = now_milli(&seen.demand);
    let beyond = now.is_some_and(|now| super::proven_milli(now, memory) < now);
    memory.growth.step = match memory.growth.step {
        _ if !beyond => None,
        // One step for as long as it is in doubt, however many cycles see the sample.
        Some(step) => Some(step),
        None => {
            // What doubtful samples added before is no ground for more.
            let owned = current.0.saturating_sub(memory.growth.surplus.0).max(1);
            let step = owned.saturating_mul(STEP).max(current.0.saturating_add(1));
            Some(Units(step).max(service.pool.min))
        }
    };
}

/// The part of a demand, in thousandths, that more than one sample showed, or nearly so.
pub(crate) fn proven_milli(now: Milli, memory: &ServiceMemory) -> Milli {
    memory.growth.highest.map_or(Milli::ZERO, |known| {
        let shown = known.now_milli.max(known.before_milli);
        now.min(shown.saturating_add(shown.part(NEARLY)))
    })
}

/// Whether demand now lies so far beyond all that was seen that a forecast made from it is as
/// doubtful as the sample.
pub(crate) fn steep(now: Milli, memory: &ServiceMemory) -> bool {
    let known = memory.growth.highest.is_some();
    known && now.part(STEP.into()) > proven_milli(now, memory)
}

/// The larger of the settled and the provisional samples, in thousandths.
pub(crate) fn now_milli(demand: &DemandView) -> Option<Milli> {
    let points = demand.settled.iter().chain(&demand.provisional);
    points.filter_map(|point| milli_up(point.value)).max()
}

/// The samples in view by the start of their interval, and the one that is to be confirmed.
fn samples(demand: &DemandView, beyond: Option<(Timestamp, Milli)>) -> BTreeMap<Timestamp, Milli> {
    let points = demand.newly_settled.iter().chain(&demand.settled).chain(&demand.provisional);
    let in_view = points.filter_map(|point| Some((point.start, milli(point.value)?)));
    beyond.into_iter().chain(in_view).collect()
}

/// The highest demand that two samples beside each other reached.
fn shown_twice(samples: &BTreeMap<Timestamp, Milli>) -> Option<Milli> {
    let later = samples.values().skip(1);
    samples.values().zip(later).map(|(a, b)| *a.min(b)).max()
}
