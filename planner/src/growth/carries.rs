//! What a unit carries, where utilisation contradicts the capacity that was given.

use fleet::{Timestamp, Units};

use super::Carries;
use super::full::CLIPPED;
use crate::Milli;
use crate::memory::{ChangeLog, ServiceMemory};
use crate::numbers::{milli, sane};
use crate::snapshot::{DemandView, GroupView};

/// A unit is to be this full at most: below the limit from which a sample counts as full, so that
/// the size that follows is not full again.
pub(super) const AIM: f64 = 0.88;
/// Below this utilisation it would be extrapolated, not measured.
const UTILISATION_MIN: f64 = 0.3;
/// A unit is found to carry more only when it is so much more, in thousandths: with less, sizes
/// would go up and down with the noise of the sensor.
const MORE_MILLI: u64 = 1_150;
/// While units are added and utilisation stays at its limit, an estimate falls with every unit. A
/// sensor that tells the truth gives the same each time: what falls below this part of the first,
/// in thousandths, is disbelieved.
const SAME_MILLI: u64 = 900;
/// No sensor makes a unit carry less than so many thousandths of the capacity that was given.
const LEAST_MILLI: u64 = 440;

/// Whether utilisation said something of the settled interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    Now,
    /// Units are coming or going, or the sample is to be confirmed.
    Later,
    /// There is none, or what it says does not matter.
    Never,
}

/// Compares what was measured in the settled interval with the capacity that was `given`.
pub(super) fn follow(
    at: Timestamp,
    view: &GroupView,
    demand: &DemandView,
    given: f64,
    memory: &mut ServiceMemory,
) -> Measured {
    let (Some(point), Some(utilisation)) = (demand.settled, demand.utilisation) else {
        return Measured::Never;
    };
    let Some(given) = milli(given).filter(|given| *given > Milli::ZERO) else {
        return Measured::Never;
    };
    if memory.growth.carries.is_some_and(|carries| carries.milli >= given) {
        memory.growth.carries = None;
    }
    let step = demand.step.span();
    let around = (point.start - step, point.start + step + step);
    let units = in_service(&memory.in_service, around.0, around.1.min(at)).or_else(|| {
        let fresh = memory.in_service.entries.len() <= 1;
        (fresh && view.pending == Units(0)).then_some(view.in_service)
    });
    let (Some(units), Some(value)) = (units.filter(|u| u.0 > 0), sane(point.value)) else {
        return Measured::Later;
    };
    let at_rest = view.pending == Units(0) && view.terminating == Units(0);
    if !(UTILISATION_MIN..CLIPPED).contains(&utilisation) {
        return Measured::Never;
    }
    let confirmed = milli(value).is_some_and(|now| super::proven_milli(now, memory) == now);
    if !at_rest || !confirmed || demand.missing.fraction() > 0.0 {
        return Measured::Later;
    }
    let found = milli(value / f64::from(units.0) / utilisation * AIM);
    let Some(found) = found else { return Measured::Never };
    let growth = &mut memory.growth;
    // What was seen right after full samples counts as well: they said that there is too little.
    let full = point.censored || growth.full.is_some();
    growth.carries = match growth.carries {
        None if full && found > Milli::ZERO && found < given => Some(Carries {
            milli: found.max(given.times(LEAST_MILLI)),
            first_milli: point.censored.then_some(found),
            doubted: false,
        }),
        None => None,
        Some(known) if point.censored => {
            let first = known.first_milli.unwrap_or(found);
            let least = first.times(SAME_MILLI).max(given.times(LEAST_MILLI));
            Some(Carries {
                milli: found.clamp(least.min(known.milli), known.milli),
                first_milli: Some(first),
                doubted: found < least,
            })
        }
        Some(known) => {
            let more = found > known.milli.times(MORE_MILLI);
            let milli = if more { found } else { known.milli };
            (milli < given).then_some(Carries { milli, first_milli: None, doubted: false })
        }
    };
    Measured::Now
}

/// Units in service over all of a span in which their number did not change.
fn in_service(log: &ChangeLog, from: Timestamp, to: Timestamp) -> Option<Units> {
    let changed = log.entries.iter().any(|(at, _)| *at > from && *at < to);
    if changed { None } else { log.at(from) }
}
