//! Accounts for violations, and calibrates the quantile and the headroom by each interval.

use fleet::{Level, Seconds, Timestamp};

use super::capacity_per_unit;
use crate::memory::{Calibration, Count, Quality, ServiceMemory};
use crate::numbers::{HALVING, depth_of, milli};
use crate::policy::{Mode, ServicePolicy};
use crate::snapshot::{Observation, ReducedForecast};

/// Violations are accounted over so many quarters of a day: 28 days.
const QUARTERS_KEPT: u32 = 112;
pub(crate) const QUARTER: i64 = 21_600;
/// How far a miss moves the depth once much is known; at first it moves it by so many times more,
/// and half of that is left after so many intervals.
const MISS_STEP: i64 = HALVING * 12 / 1000;
const EARLY_STEPS: i64 = 3;
const EVIDENCE: i64 = 500;
/// An interval moves the usual spread by one part in so many of its distance from it.
const SPREAD_MEMORY: i64 = 500;
/// The quantile starts out so much shallower than the budget: a window's highest demand is sized
/// for, units are whole and scale-in waits, so fewer intervals than the level says are missed.
const START_BELOW_BUDGET: i64 = HALVING * 5 / 4;
/// Where the account has violations to spare, the quantile comes in up to so many times faster.
const SPARE_MAX: f64 = 2.0;
/// Violations that the account is taken to begin with, so that its first hours do not decide.
const PRIOR_VIOLATIONS: f64 = 2.0;
/// The deepest and the shallowest the quantile may go.
pub(crate) const DEPTH_MAX: i64 = 14 * HALVING;
pub(crate) const DEPTH_MIN: i64 = HALVING;
/// Where the reactive headroom starts, how far a miss moves it, and how far it may go, in
/// millionths of the fastest recent rise.
pub(crate) const HEADROOM_START: i64 = 1_000_000;
const HEADROOM_STEP: i64 = 200_000;
const HEADROOM_MAX: i64 = 4_000_000;

/// Counts the intervals that settled, and moves the calibration by each.
pub(super) fn account(
    mode: Mode,
    service: &ServicePolicy,
    at: Timestamp,
    seen: &Observation,
    memory: &mut ServiceMemory,
) {
    let step = seen.demand.step.span();
    let capacity = capacity_per_unit(service, memory).ok();
    let lost = crate::outage::lost_units(at, seen, memory);
    let lead = crate::observe::window(&service.pool, Some(memory), Seconds::ZERO, Seconds::ZERO);
    for point in &seen.demand.newly_settled {
        if memory.violations.counted.is_some_and(|counted| point.start <= counted) {
            continue;
        }
        memory.violations.counted = Some(point.start);
        if crate::hours::is_bounded(point.start, seen) {
            continue;
        }
        let (Some(capacity), Some(demand)) = (capacity, milli(point.value)) else { continue };
        let Some(units) = memory.in_service.mean_milli(point.start, point.start + step) else {
            continue;
        };
        let covers =
            |units_milli: u64| units_milli as f64 * capacity >= demand.get() * (1.0 - 1e-9);
        // What units that are missing could not serve is not counted: it was too little.
        let violated = point.censored || lost || !covers(units);
        count(point.start, violated, memory);
        if lost {
            continue;
        }
        // What neap asked for in time counts as well as what was there: a ceiling or a cloud
        // without machines says nothing about the quantile. In `observe` the group is another's.
        let asked = memory.ordered.at(point.start - lead.lead_time).map(|u| u64::from(u.0) * 1000);
        let kept = match mode {
            Mode::Act => covers(asked.unwrap_or(0).max(units)) && !point.censored,
            Mode::Observe => match asked {
                Some(asked) => covers(asked),
                None => continue,
            },
        };
        if let Ok(forecast) = &seen.forecast {
            follow_spread(forecast, capacity, &mut memory.calibration);
        }
        calibrate(service, kept, seen.forecast.is_ok(), memory);
    }
}

/// Follows how wide the forecast's tail usually is.
fn follow_spread(forecast: &ReducedForecast, capacity: f64, calibration: &mut Calibration) {
    let Some(now) = crate::sizing::spread(forecast, capacity) else { return };
    let usual = calibration.spread_micro.unwrap_or(now);
    calibration.spread_micro =
        Some(usual.saturating_add(now.saturating_sub(usual) / SPREAD_MEMORY));
}

impl crate::memory::ViolationAccount {
    /// Intervals and violations of the last 28 days.
    ///
    /// ```
    /// use planner::memory::{Count, ViolationAccount};
    ///
    /// let count = |intervals, violations| Count { intervals, violations };
    /// let quarters = vec![(82_060, count(360, 2)), (82_061, count(120, 1))];
    /// assert_eq!(ViolationAccount { counted: None, quarters }.totals(), (480, 3));
    /// ```
    pub fn totals(&self) -> (u64, u64) {
        self.quarters.iter().fold((0, 0), |(intervals, violations), (_, count)| {
            (intervals + u64::from(count.intervals), violations + u64::from(count.violations))
        })
    }
}

fn count(start: Timestamp, violated: bool, memory: &mut ServiceMemory) {
    let quarter = u32::try_from(start.0.div_euclid(QUARTER)).unwrap_or(0);
    let quarters = &mut memory.violations.quarters;
    match quarters.last_mut() {
        Some((newest, count)) if *newest >= quarter => {
            count.intervals = count.intervals.saturating_add(1);
            count.violations = count.violations.saturating_add(u32::from(violated));
        }
        _ => quarters.push((quarter, Count { intervals: 1, violations: u32::from(violated) })),
    }
    quarters.retain(|(kept, _)| kept.saturating_add(QUARTERS_KEPT) > quarter);
}

/// Where the depth starts, from the budget.
pub(crate) fn start_depth(service: &ServicePolicy) -> i64 {
    Level::new(1.0 - budget_of(service))
        .map_or(DEPTH_MIN, |level| (depth_of(level) - START_BELOW_BUDGET).max(DEPTH_MIN))
}

/// The budget as a share that can be worked with: a promise of none at all is one in a million.
fn budget_of(service: &ServicePolicy) -> f64 {
    service.violation_budget.fraction().clamp(1e-6, 0.5)
}

/// The budget, raised where the 28 days' account has violations to spare.
fn target_share(budget: f64, intervals: u64, violations: u64) -> f64 {
    let share =
        (violations as f64 + PRIOR_VIOLATIONS) / (intervals as f64 + PRIOR_VIOLATIONS / budget);
    budget * (budget / share).clamp(1.0, SPARE_MAX)
}

/// Adaptive conformal inference (Gibbs and Candès, 2021), with the depth in the tail in place of
/// the level: a miss moves it out by a step, a hit back by the budget's share of the step, so that
/// it rests where the share of misses is the budget.
fn calibrate(service: &ServicePolicy, kept: bool, forecast: bool, memory: &mut ServiceMemory) {
    let (intervals, violations) = memory.violations.totals();
    let share = target_share(budget_of(service), intervals, violations);
    let moved = |now: i64, step: i64| {
        let by = if kept { -(step as f64) * share } else { step as f64 * (1.0 - share) };
        now.saturating_add(by.round() as i64)
    };
    let trusted = forecast && memory.quality == Quality::Trusted;
    let calibration = &mut memory.calibration;
    if trusted {
        let evidence = i64::try_from(intervals).unwrap_or(i64::MAX / 2);
        let early = EARLY_STEPS * MISS_STEP * EVIDENCE / EVIDENCE.saturating_add(evidence);
        let step = MISS_STEP + early;
        let depth = calibration.depth_micro.unwrap_or_else(|| start_depth(service));
        calibration.depth_micro = Some(moved(depth, step).clamp(DEPTH_MIN, DEPTH_MAX));
    } else {
        let headroom = calibration.headroom_micro.unwrap_or(HEADROOM_START);
        calibration.headroom_micro = Some(moved(headroom, HEADROOM_STEP).clamp(0, HEADROOM_MAX));
    }
}
