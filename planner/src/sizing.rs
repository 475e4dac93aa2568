//! How many units a service needs: the forecast over its windows, and demand now.

use fleet::{FaultKind, Seconds, Timestamp, Units};

use crate::Milli;
use crate::growth::{self, most_by_full, ordered_by_full};
use crate::learn::{DEPTH_MAX, DEPTH_MIN, HEADROOM_START, capacity_per_unit, newest, start_depth};
use crate::memory::{Quality, ServiceMemory};
use crate::numbers::{
    HALVING, depth_at, doublings, halved_millionths, level_at, milli, sane, units_for, value_at,
};
use crate::plan::{DecidedBy, Hold, Sizing, Trade};
use crate::policy::ServicePolicy;
use crate::reasons::{AbsurdNumber, UnusableForecast};
use crate::snapshot::{GroupView, NoForecast, Observation, ReducedForecast};

/// Three periods beyond settling: one late sample is normal, two happen, three mean that the
/// source is gone.
const STALE_AFTER_PERIODS: u64 = 3;
/// The headroom for a rise adds at most so many thousandths of demand now, or the rise itself: a
/// load that has stepped up is no ramp, however often it was missed while units booted.
const RISE_MOST_MILLI: u64 = 450;
/// Estimates that make a capacity known, for messages.
const CAPACITY_NEEDED: u32 = crate::learn::CAPACITY_NEEDED as u32;

/// What a service should have, before any guard.
pub(crate) struct Wish {
    /// The numbers behind it.
    pub sizing: Sizing,
    /// To grow to, where that is more than there is.
    pub grow_to: Units,
    /// To shrink to, where that is less than there is.
    pub shrink_to: Units,
    /// What the forecast over the hold window keeps, where it is more than growth needs.
    pub hold_keeps: Option<(Units, Seconds)>,
    /// Why the data justify no decrease at all.
    pub no_decrease: Option<Hold>,
    /// The settled sample decides, and a younger one that may still change is lower.
    pub provisional_calls_for_less: bool,
    /// What was wanted before a sample that nothing confirms was cut to one step, and why it was.
    pub unconfirmed: Option<(Units, Hold)>,
    /// What is proven to be needed: what is ordered beyond it is given back without budgets.
    pub proven: Units,
    /// Good to know.
    pub notes: Vec<Hold>,
}

impl Wish {
    /// Asks for what was expected before demand could no longer be believed.
    pub fn raise(&mut self, expected: Units) {
        if expected > self.grow_to {
            self.grow_to = expected;
            self.shrink_to = self.shrink_to.max(expected);
            self.hold_keeps = self.hold_keeps.filter(|(kept, _)| *kept > expected);
            self.sizing.wanted = expected;
            self.sizing.decided_by = DecidedBy::LastTrusted;
        }
    }
}

/// What is known of demand at `at`.
struct Known {
    /// The larger of the settled and the provisional samples, in thousandths.
    now_milli: Option<Milli>,
    /// Why no unit may be taken away on its account.
    no_decrease: Option<Hold>,
}

/// Sizes a service.
pub(crate) fn wish(
    service: &ServicePolicy,
    poll_interval: Seconds,
    at: Timestamp,
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
) -> Wish {
    let known = demand_known(at, seen);
    let (capacity, capacity_hold) = match capacity_per_unit(service, memory) {
        Ok(capacity) => (Some(capacity), None),
        Err((some, have)) => {
            let have = u32::try_from(have).unwrap_or(u32::MAX);
            (some, Some(Hold::CapacityUnknown { have, need: CAPACITY_NEEDED }))
        }
    };
    let mut notes: Vec<Hold> = Vec::new();
    growth::notes(service, view, seen, memory, &mut notes);
    let mut forecast = forecast_need(service, seen, memory, capacity, &mut notes);
    let now = known.now_milli;
    let by_demand = |now| reactive_need(service, view, seen, memory, capacity, now);
    let by_full = ordered_by_full(seen, memory).filter(|_| now.is_some());
    let reactive = match (by_demand(now), capacity) {
        // It is utilisation itself that counts: not beyond what it ordered.
        (Some(need), None) => Some(most_by_full(view, seen, memory).map_or(need, |m| need.min(m))),
        (need, _) => need.max(by_full),
    };
    let step = growth::step(now, memory).filter(|_| capacity.is_some());
    let cut = |units: Units| step.as_ref().map_or(units, |(most, _)| units.min(*most));
    let doubtful = now.is_some_and(|now| growth::steep(now, memory));
    let proven_reactive = match &step {
        // Nor is there a rise in what is proven.
        Some(_) => now
            .zip(capacity)
            .map(|(now, capacity)| units_for(growth::proven_milli(now, memory), capacity)),
        None => by_demand(now).filter(|_| capacity.is_some() || by_full.is_none()),
    };
    let uncut = reactive.max(forecast.as_ref().filter(|_| doubtful).map(|need| need.lead));
    let needed_reactive =
        reactive.map(|need| cut(need).max(proven_reactive.unwrap_or(Units(0)).min(need)));
    if let Some(need) = forecast.as_mut().filter(|_| doubtful) {
        (need.lead, need.hold) = (cut(need.lead), cut(need.hold));
    }
    let unconfirmed = step
        .as_ref()
        .filter(|(most, _)| uncut.is_some_and(|units| units > *most))
        .and_then(|(_, hold)| Some((uncut?, hold.clone())));
    let mut no_decrease = known.no_decrease.or(capacity_hold);
    // Nor before it is known whether what full samples ordered is too much.
    let full = newest(&seen.demand).is_some_and(|point| point.censored);
    if no_decrease.is_none() && (full || memory.growth.full.is_some()) {
        no_decrease = Some(Hold::Censored);
    }
    // With stale or missing data: what there is, what a floor asks for, or what was last trusted.
    let fallback = match &no_decrease {
        Some(Hold::NoDemand { .. } | Hold::DemandStale { .. }) => memory.last_trusted,
        _ => None,
    };
    let lead = forecast.as_ref().map(|f| f.lead);
    let grow_to = [lead, needed_reactive, fallback].into_iter().flatten().max();
    let wanted = grow_to.unwrap_or(Units(0)).max(service.pool.min);
    let proven = [lead.filter(|_| !doubtful), proven_reactive, fallback, Some(service.pool.min)];
    let proven = proven.into_iter().flatten().max().unwrap_or(wanted);
    let decided_by = decided_by(wanted, lead, needed_reactive, fallback, service.pool.min);
    let window = match &seen.forecast {
        Ok(forecast) => forecast.window,
        Err(_) => {
            let age = seen
                .demand
                .settled
                .map_or(Seconds::ZERO, |p| at.since(p.start + seen.demand.step.span()));
            crate::observe::window(&service.pool, Some(memory), poll_interval, age)
        }
    };
    let hold = forecast.as_ref().map(|f| f.hold);
    let shrink_to = wanted.max(hold.unwrap_or(Units(0)));
    let young = seen.demand.provisional.last().and_then(|point| milli(point.value));
    let lower = capacity.zip(young).is_some_and(|(c, young)| units_for(young, c) < wanted);
    Wish {
        provisional_calls_for_less: lower && decided_by == DecidedBy::ReactiveFloor,
        grow_to: wanted,
        unconfirmed,
        proven,
        shrink_to,
        hold_keeps: (shrink_to > wanted).then_some((shrink_to, window.hold)),
        no_decrease: no_decrease.or_else(|| {
            // Nothing at all to size by: what is there stays.
            (grow_to.is_none()).then_some(Hold::NoDemand { fault: seen.demand.fault.clone() })
        }),
        sizing: Sizing {
            demand_milli: known.now_milli,
            capacity_milli: capacity.and_then(milli),
            level: forecast.as_ref().and_then(|f| level_at(f.depth)),
            sized_for_milli: forecast.as_ref().map(|f| f.sized_for_milli),
            needed_lead: lead,
            needed_hold: hold,
            needed_reactive,
            decided_by,
            wanted,
            trade: trade(service, seen, memory, capacity, wanted),
            window,
        },
        notes,
    }
}

fn decided_by(
    wanted: Units,
    lead: Option<Units>,
    reactive: Option<Units>,
    fallback: Option<Units>,
    min: Units,
) -> DecidedBy {
    if lead == Some(wanted) {
        DecidedBy::Forecast
    } else if reactive == Some(wanted) {
        DecidedBy::ReactiveFloor
    } else if fallback == Some(wanted) {
        DecidedBy::LastTrusted
    } else if wanted == min {
        DecidedBy::Minimum
    } else {
        DecidedBy::LastTrusted
    }
}

/// How old demand may be.
pub(crate) fn stale_limit(seen: &Observation) -> Seconds {
    let periods = seen.demand.step.span().0.saturating_mul(STALE_AFTER_PERIODS);
    seen.demand.settling + Seconds(periods)
}

fn demand_known(at: Timestamp, seen: &Observation) -> Known {
    let demand = &seen.demand;
    let unknown = |hold| Known { now_milli: None, no_decrease: Some(hold) };
    let Some(newest) = newest(demand) else {
        return unknown(Hold::NoDemand { fault: demand.fault.clone() });
    };
    let (age, limit) = (at.since(newest.start + demand.step.span()), stale_limit(seen));
    if age > limit {
        let gone = demand.fault.clone().filter(|fault| fault.kind == FaultKind::Missing);
        return unknown(match gone {
            // There is more to say than that it is old.
            Some(fault) => Hold::NoDemand { fault: Some(fault) },
            None => Hold::DemandStale { age, limit },
        });
    }
    let points = || demand.settled.iter().chain(&demand.provisional);
    let now_milli = growth::now_milli(demand);
    let absurd = points().find(|point| milli(point.value).is_none());
    let no_decrease = match (absurd, demand.settled) {
        (Some(point), _) => {
            let what = AbsurdNumber::Demand { value: point.value.to_string(), at: point.start };
            Some(Hold::Absurd { what: what.into() })
        }
        (None, None) => Some(Hold::Provisional),
        (None, Some(_)) => None,
    };
    Known { now_milli, no_decrease }
}

/// What a trusted forecast asks for.
struct Need {
    depth: i64,
    sized_for_milli: Milli,
    lead: Units,
    hold: Units,
}

fn forecast_need(
    service: &ServicePolicy,
    seen: &Observation,
    memory: &ServiceMemory,
    capacity: Option<f64>,
    notes: &mut Vec<Hold>,
) -> Option<Need> {
    let forecast = match &seen.forecast {
        Ok(forecast) => forecast,
        Err(why) => {
            notes.push(Hold::NoForecast { why: why.clone() });
            return None;
        }
    };
    if memory.quality == Quality::Distrusted {
        let least = crate::learn::loss_allowed(forecast);
        let other = forecast.last_value_loss_milli.get().max(least);
        let loss_percent = (forecast.recent_loss_milli.get() * 100.0 / other) as u32;
        notes.push(Hold::ForecastDistrusted { loss_percent });
        return None;
    }
    let depth = priced_depth(service, forecast, memory, capacity);
    let at = |values, depth| value_at(&forecast.levels, values, depth);
    let needs = at(&forecast.lead_milli, depth)
        .zip(at(&forecast.hold_milli, depth.saturating_sub(HOLD_SHALLOWER)));
    let Some((lead, hold)) = needs else {
        let why = UnusableForecast::Levels.into();
        notes.push(Hold::NoForecast { why: NoForecast::Unusable { why } });
        return None;
    };
    let capacity = capacity?;
    Some(Need {
        depth,
        sized_for_milli: lead,
        lead: units_for(foreseen(lead, capacity), capacity),
        hold: units_for(foreseen(hold, capacity), capacity),
    })
}

/// A forecast of demand that has ended runs out and never is nothing: what is neither half a
/// thousandth a second nor a thousandth of a unit is.
fn foreseen(demand: Milli, capacity: f64) -> Milli {
    if demand.get() < capacity.min(0.5) { Milli::ZERO } else { demand }
}

/// How often `units` and its neighbours are expected to be too few: at the calibrated depth that is
/// the budget, and each halving of the forecast's tail beyond it halves it.
fn trade(
    service: &ServicePolicy,
    seen: &Observation,
    memory: &ServiceMemory,
    capacity: Option<f64>,
    units: Units,
) -> Option<Trade> {
    let (forecast, capacity) = (seen.forecast.as_ref().ok()?, capacity?);
    let calibrated = memory.calibration.depth_micro.unwrap_or_else(|| start_depth(service));
    let budget = service.violation_budget.fraction();
    let missed = |units: u32| {
        let served = milli(f64::from(units) * capacity)?;
        let depth = depth_at(&forecast.levels, &forecast.lead_milli, served)?;
        Some(halved_millionths(budget, depth - calibrated))
    };
    let Units(size) = units;
    let price = service.pool.price_usd_hourly.and_then(sane);
    Some(Trade {
        units,
        violations_millionths: [
            missed(size.saturating_sub(1))?,
            missed(size)?,
            missed(size.saturating_add(1))?,
        ],
        unit_usd_micro_hourly: price.map(|usd| (usd * 1e6).round() as u64),
    })
}

/// The hold window is longer than an order takes, so it may be kept with less certainty: twice the
/// chance of ordering again what was given up.
const HOLD_SHALLOWER: i64 = HALVING;
/// How much of a change of the tail's spread moves the quantile, in thousandths of what the least
/// cost at a given price of violations would have (all of it): spreads are estimates.
const SPREAD_SHARE_MILLI: i64 = 600;
/// A tail narrower than so many thousandths of a unit per halving is not told from it.
const SPREAD_MIN_MILLI: u64 = 300;
/// The spread of the tail is measured from the level 0.9 to 0.99, as depths.
const SPREAD_FROM: i64 = 3_250_000;
const SPREAD_TO: i64 = 6_562_500;

/// The quantile to size for now. At a given price of a violation the next unit is worth its cost
/// as long as the *density* of demand there is, so where the tail is wide, a quantile further in
/// is the cheaper place to take the same violations: one halving less for each doubling of the
/// spread (the newsvendor's marginal rule for an exponential tail). The calibrated depth stands
/// for the usual spread.
fn priced_depth(
    service: &ServicePolicy,
    forecast: &ReducedForecast,
    memory: &ServiceMemory,
    capacity: Option<f64>,
) -> i64 {
    let depth = memory.calibration.depth_micro.unwrap_or_else(|| start_depth(service));
    let usual = memory.calibration.spread_micro;
    let Some((usual, now)) = usual.zip(capacity.and_then(|c| spread(forecast, c))) else {
        return depth;
    };
    let cheaper = usual.saturating_sub(now).saturating_mul(SPREAD_SHARE_MILLI) / 1000;
    depth.saturating_add(cheaper).clamp(DEPTH_MIN, DEPTH_MAX)
}

/// How wide the tail of the lead window is, in [`doublings`] of thousandths of demand per halving
/// of the tail.
pub(crate) fn spread(forecast: &ReducedForecast, capacity: f64) -> Option<i64> {
    let at = |depth| value_at(&forecast.levels, &forecast.lead_milli, depth);
    let rise = at(SPREAD_TO)?.saturating_sub(at(SPREAD_FROM)?).get();
    let least = capacity * SPREAD_MIN_MILLI as f64;
    let per_halving = (rise * HALVING as f64 / (SPREAD_TO - SPREAD_FROM) as f64).max(least);
    Some(doublings(per_halving))
}

/// Demand now and its fastest recent rise, with the headroom that the budget has taught.
fn reactive_need(
    service: &ServicePolicy,
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
    capacity: Option<f64>,
    now_milli: Option<Milli>,
) -> Option<Units> {
    let Some(capacity) = capacity else {
        return by_utilisation(service, view, seen, memory);
    };
    let now = now_milli?;
    let rise = milli(seen.demand.fastest_rise.max(0.0)).unwrap_or_default();
    let trusted = seen.forecast.is_ok() && memory.quality == Quality::Trusted;
    let headroom = memory.calibration.headroom_micro.unwrap_or(HEADROOM_START);
    // A trusted forecast knows the rise already: only what was learned beyond it is added.
    let headroom = if trusted { headroom - HEADROOM_START } else { headroom };
    let headroom = u64::try_from(headroom.clamp(0, 100 * HALVING) / 1000).unwrap_or(0);
    let most = now.times(RISE_MOST_MILLI);
    // A sample that nothing confirms is no rise either.
    let most = if memory.growth.step.is_some() { most } else { most.max(rise) };
    let ahead = now.saturating_add(rise.times(headroom).min(most));
    let spared = growth::with_nothing_to_spare(capacity, memory);
    Some(units_for(now, capacity).max(units_for(ahead, spared)))
}

/// Without a known capacity, utilisation alone says how many units would be at their target.
fn by_utilisation(
    service: &ServicePolicy,
    view: &GroupView,
    seen: &Observation,
    memory: &ServiceMemory,
) -> Option<Units> {
    let utilisation = seen.demand.utilisation.filter(|u| (0.0..=10.0).contains(u))?;
    let target = service.pool.target_utilisation.fraction();
    if target <= 0.0 {
        return None;
    }
    // The units that it was measured on: others may have come since.
    let step = seen.demand.step.span();
    let on =
        seen.demand.settled.and_then(|p| memory.in_service.mean_milli(p.start, p.start + step));
    let on = on.map_or(f64::from(view.in_service.0) * 1000.0, |on| on as f64);
    Some(units_for(Milli::whole((on * utilisation).round() as u64), target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Window;
    use fleet::Level;

    /// A forecast whose tail widens by `per_halving` thousandths of demand with each halving.
    fn forecast(per_halving: u64) -> ReducedForecast {
        let levels = [0.5, 0.9, 0.99].map(|level| Level::new(level).unwrap());
        let window = Window {
            sample_age: Seconds::ZERO,
            poll_interval: Seconds(60),
            lead_time: Seconds(300),
            hold: Seconds(900),
        };
        let values: Vec<Milli> = [1_000_000, SPREAD_FROM as u64, SPREAD_TO as u64]
            .map(|d| Milli::whole(d * per_halving / 1_000_000))
            .into();
        ReducedForecast {
            origin: Timestamp(0),
            levels: levels.into(),
            lead_milli: values.clone(),
            hold_milli: values.clone(),
            next_milli: values,
            model: "test".to_owned(),
            window,
            recent_loss_milli: Milli::whole(1),
            last_value_loss_milli: Milli::whole(1),
            record: None,
        }
    }

    #[test]
    fn the_spread_is_counted_in_doublings_and_has_a_floor() {
        let of = |per_halving| spread(&forecast(per_halving), 1.0).unwrap();
        assert_eq!(of(2048) - of(1024), HALVING);
        assert_eq!(of(1), of(300), "below three tenths of a unit");
    }
}
