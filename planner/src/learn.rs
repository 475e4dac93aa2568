//! What an observation teaches: orders, other people's changes, violations, calibration, trust.

use crate::fault::FaultKind;
use crate::group::{Activity, Cause};
use crate::memory::{
    Band, Bucket, Calibration, Censored, ChangeLog, Count, Expected, LEAD_TIMES_KEPT, Lease,
    OpenOrder, Quality, ServiceMemory,
};
use crate::numbers::{HALVING, depth_of, milli, sane};
use crate::plan::Change;
use crate::policy::{Actuate, CapacityPerUnit, Mode, ServicePolicy};
use crate::reasons::{Author, ForeignChange};
use crate::snapshot::{
    DemandPoint, DemandView, GroupView, Observation, OrderOutcome, OrderResult, ReducedForecast,
};
use crate::{Level, OrTold, Seconds, Timestamp, Units};

/// Violations are accounted over so many quarters of a day: 28 days.
const QUARTERS_KEPT: u32 = 112;
pub(crate) const QUARTER: i64 = 21_600;
/// Entries kept of what was in service and what was ordered.
pub(crate) const LOG_KEPT: usize = 24;
/// An order whose result nobody told is given up after this: the group was read many times since.
const ORDER_GIVEN_UP_AFTER: Seconds = Seconds::minutes(15);
/// A lead time beyond a day is a stopped clock, not a boot.
const LEAD_TIME_MAX: Seconds = Seconds::days(1);
/// Estimates of a unit's capacity kept, and how far apart once there are enough.
const CAPACITY_ESTIMATES: usize = 24;
/// So many estimates make a capacity known.
pub(crate) const CAPACITY_NEEDED: usize = 6;
const CAPACITY_EVERY: Seconds = Seconds::minutes(30);
/// Below this utilisation a unit's capacity would be extrapolated, not measured.
const CAPACITY_UTILISATION_MIN: f64 = 0.1;
/// A capacity is at most so many times the highest demand per unit ever seen.
const CAPACITY_BEYOND_SEEN: f64 = 2.0;
/// The forecast loses its say when its loss exceeds last-value's by a tenth, and has it back when
/// it is no worse than last-value's.
const DISTRUST_ABOVE_PERCENT: u64 = 110;

/// Which number is written: the minimum where native policies are left to grow the group.
pub(crate) fn actuate(service: &ServicePolicy, view: &GroupView) -> Actuate {
    let native = view.policies.iter().any(|policy| policy.enabled);
    service.pool.actuate.unwrap_or(if native { Actuate::Floor } else { Actuate::Desired })
}

/// Takes in what was observed of one service.
pub(crate) fn learn(
    mode: Mode,
    service: &ServicePolicy,
    at: Timestamp,
    seen: &Observation,
    memory: &mut ServiceMemory,
) {
    if let Ok(view) = &seen.group {
        same_group(view, memory);
        for outcome in &seen.outcomes {
            take_outcome(service, outcome, memory);
        }
        open_order(at, view, service, memory);
        foreign_change(at, view, service, memory);
        memory.in_service.record(at, view.in_service, LOG_KEPT);
        if let CapacityPerUnit::Learn = service.pool.capacity_per_unit {
            learn_capacity(at, service, view, &seen.demand, memory);
        }
    } else {
        for outcome in &seen.outcomes {
            take_outcome(service, outcome, memory);
        }
    }
    if memory.lease.as_ref().is_some_and(|lease| lease.until <= at) {
        memory.lease = None;
    }
    take_lead_times(&seen.lead_times, memory);
    judge_quality(seen, memory);
    count_censored(&seen.demand, memory);
    account(mode, service, seen, memory);
}

/// A group made anew under the same name is another group: what was learned of the old one as a
/// thing is forgotten, what was learned of the demand stays.
fn same_group(view: &GroupView, memory: &mut ServiceMemory) {
    if memory.group.as_ref() == Some(&view.id) {
        return;
    }
    if memory.group.is_some() {
        memory.in_service = ChangeLog::default();
        memory.ordered = ChangeLog::default();
        memory.orders = crate::memory::Orders::default();
        memory.removals = Bucket::default();
        memory.lease = None;
        memory.capacity = crate::memory::LearnedCapacity::default();
        memory.lead_times.clear();
        memory.last_trusted = None;
        memory.dwell = None;
    }
    memory.group = Some(view.id.clone());
}

fn take_outcome(service: &ServicePolicy, outcome: &OrderOutcome, memory: &mut ServiceMemory) {
    let open = |memory: &mut ServiceMemory| {
        memory.orders.open = Some(OpenOrder {
            decision: Some(outcome.decision.clone()),
            change: outcome.change,
            at: outcome.at,
        });
    };
    match &outcome.result {
        OrderResult::Applied | OrderResult::Unconfirmed { effect_seen: Some(true) } => {
            applied(outcome.change, outcome.at, memory);
        }
        OrderResult::Contested { found, restored } => {
            memory.orders.open = None;
            changed(outcome.at, memory);
            let now = if *restored { outcome.change.to() } else { *found };
            expect(outcome.change, now, memory);
            lease(
                memory,
                Lease {
                    who: ForeignChange::Raced.into(),
                    from: outcome.change.from(),
                    to: *found,
                    until: outcome.at + service.pool.override_lease,
                },
            );
        }
        OrderResult::Unconfirmed { effect_seen: None } => open(memory),
        OrderResult::Failed { fault } if fault.kind == FaultKind::Unconfirmed => open(memory),
        OrderResult::Moved { .. }
        | OrderResult::Stopped
        | OrderResult::Failed { .. }
        | OrderResult::Unconfirmed { effect_seen: Some(false) } => memory.orders.open = None,
    }
}

/// An order of ours took effect at `at`.
fn applied(change: Change, at: Timestamp, memory: &mut ServiceMemory) {
    memory.orders.open = None;
    changed(at, memory);
    if change.is_increase() {
        memory.orders.grew_at = memory.orders.grew_at.max(Some(at));
    }
    expect(change, change.to(), memory);
}

/// The cooldown runs from the newest change, in whatever order they become known.
fn changed(at: Timestamp, memory: &mut ServiceMemory) {
    memory.orders.changed_at = memory.orders.changed_at.max(Some(at));
}

fn expect(change: Change, value: Units, memory: &mut ServiceMemory) {
    if let Some(expected) = &mut memory.orders.expected {
        match change {
            Change::Desired { .. } => expected.desired = value,
            Change::Minimum { .. } => {
                expected.min = value;
                // A minimum above the capacity makes the cloud raise it.
                expected.desired = expected.desired.max(value);
            }
        }
    }
}

/// An order without an outcome (the daemon was killed, the answer lost): what the group shows now
/// tells whether it was carried out.
fn open_order(
    at: Timestamp,
    view: &GroupView,
    service: &ServicePolicy,
    memory: &mut ServiceMemory,
) {
    let Some(order) = memory.orders.open.clone() else { return };
    let shows = match order.change {
        Change::Desired { .. } => view.desired,
        Change::Minimum { .. } => view.min,
    };
    if shows == order.change.to() && view.read_at >= order.at {
        applied(order.change, order.at, memory);
    } else if at.since(order.at) >= ORDER_GIVEN_UP_AFTER.max(service.pool.cooldown) {
        memory.orders.open = None;
    }
}

/// A number that neither our outcomes nor a native policy explain was changed by somebody: no
/// decrease until the lease ends.
fn foreign_change(
    at: Timestamp,
    view: &GroupView,
    service: &ServicePolicy,
    memory: &mut ServiceMemory,
) {
    let shows = Expected { desired: view.desired, min: view.min, max: view.max };
    let Some(expected) = memory.orders.expected.replace(shows) else { return };
    if expected == shows {
        return;
    }
    let cause = view.newest_foreign_activity.as_ref();
    let native = match actuate(service, view) {
        // The native policies' own business, unless somebody is known to have asked.
        Actuate::Floor => cause.is_none_or(|a| a.cause != Cause::UserRequest),
        Actuate::Desired => cause.is_some_and(|a| a.cause == Cause::NativePolicy),
    };
    let change = if expected.min != shows.min {
        Some((Number::Minimum, expected.min, shows.min))
    } else if expected.max != shows.max {
        Some((Number::Maximum, expected.max, shows.max))
    } else if !native {
        Some((Number::Desired, expected.desired, shows.desired))
    } else {
        None
    };
    if expected.desired != shows.desired {
        changed(at, memory);
    }
    let Some((number, from, to)) = change else { return };
    let until = at + service.pool.override_lease;
    lease(memory, Lease { who: whom(number, cause), from, to, until });
}

/// A lease never ends sooner for another one.
fn lease(memory: &mut ServiceMemory, new: Lease) {
    if memory.lease.as_ref().is_none_or(|old| old.until <= new.until) {
        memory.lease = Some(new);
    }
}

/// A number of a group that somebody can change.
#[derive(Clone, Copy)]
enum Number {
    Desired,
    Minimum,
    Maximum,
}

fn whom(number: Number, cause: Option<&Activity>) -> OrTold<ForeignChange> {
    /// Room for what was changed and who did it.
    const CHARS: usize = 120;
    let change = |by| match number {
        Number::Desired => ForeignChange::Desired { by },
        Number::Minimum => ForeignChange::Minimum { by },
        Number::Maximum => ForeignChange::Maximum { by },
    };
    let by = match cause {
        Some(a) if !a.cause_text.is_empty() => {
            let taken = change(Author::Described(String::new())).to_string().chars().count();
            let text = a.cause_text.chars().filter(|c| !c.is_control());
            Author::Described(text.take(CHARS.saturating_sub(taken)).collect())
        }
        Some(a) if a.cause == Cause::Schedule => Author::Schedule,
        Some(a) if a.cause == Cause::UserRequest => Author::User,
        _ => Author::Unnamed,
    };
    change(by).into()
}

fn take_lead_times(seen: &[Seconds], memory: &mut ServiceMemory) {
    for span in seen.iter().filter(|span| **span <= LEAD_TIME_MAX) {
        memory.lead_times.push(u32::try_from(span.0).unwrap_or(u32::MAX));
    }
    let surplus = memory.lead_times.len().saturating_sub(LEAD_TIMES_KEPT);
    memory.lead_times.drain(..surplus);
}

fn judge_quality(seen: &Observation, memory: &mut ServiceMemory) {
    let Ok(forecast) = &seen.forecast else { return };
    let (loss, other) = (forecast.recent_loss_milli, forecast.last_value_loss_milli);
    let worse = u128::from(loss) * 100 > u128::from(other) * u128::from(DISTRUST_ABOVE_PERCENT);
    memory.quality = match memory.quality {
        // A thousandth is rounding, not loss.
        Quality::Trusted if worse && loss > other.saturating_add(1) => Quality::Distrusted,
        Quality::Distrusted if loss <= other => Quality::Trusted,
        same => same,
    };
}

/// The newest sample, settled or not.
pub(crate) fn newest(demand: &DemandView) -> Option<&DemandPoint> {
    demand.provisional.last().or(demand.settled.as_ref())
}

/// A sample counts once, however many cycles see it.
fn count_censored(demand: &DemandView, memory: &mut ServiceMemory) {
    memory.censored = match (newest(demand), memory.censored) {
        (Some(point), Some(before)) if point.censored && point.start <= before.newest => {
            Some(before)
        }
        (Some(point), before) if point.censored => Some(Censored {
            count: before.map_or(0, |b| b.count).saturating_add(1),
            newest: point.start,
        }),
        _ => None,
    };
}

/// The capacity of a unit, as far as it is known: `Ok` once it may justify taking units away,
/// `Err` with the estimates there are (and how many) while it may not.
pub(crate) fn capacity_per_unit(
    service: &ServicePolicy,
    memory: &ServiceMemory,
) -> Result<f64, (Option<f64>, usize)> {
    match service.pool.capacity_per_unit {
        CapacityPerUnit::Given(given) => {
            if sane(given).is_some_and(|c| c > 0.0) {
                Ok(given)
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
            let seen_most = learned.highest_milli as f64 * CAPACITY_BEYOND_SEEN;
            let capacity = (middle as f64).min(seen_most) / 1000.0;
            match (capacity > 0.0, have >= CAPACITY_NEEDED) {
                (true, true) => Ok(capacity),
                (true, false) => Err((Some(capacity), have)),
                (false, _) => Err((None, have)),
            }
        }
    }
}

/// Demand per unit over utilisation, at target utilisation; only from settled, uncensored
/// intervals of a group that was not changing.
fn learn_capacity(
    at: Timestamp,
    service: &ServicePolicy,
    view: &GroupView,
    demand: &DemandView,
    memory: &mut ServiceMemory,
) {
    let learned = &mut memory.capacity;
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
    let a_unit = value / f64::from(units);
    let target = service.pool.target_utilisation.fraction();
    let (Some(estimate), Some(seen)) = (milli(a_unit / utilisation * target), milli(a_unit)) else {
        return;
    };
    if estimate == 0 {
        return;
    }
    learned.estimates_milli.push(estimate);
    let surplus = learned.estimates_milli.len().saturating_sub(CAPACITY_ESTIMATES);
    learned.estimates_milli.drain(..surplus);
    learned.highest_milli = learned.highest_milli.max(seen);
    learned.at = at;
}

/// Counts the intervals that settled, and moves the calibration by each.
fn account(mode: Mode, service: &ServicePolicy, seen: &Observation, memory: &mut ServiceMemory) {
    let step = seen.demand.step.span();
    let capacity = capacity_per_unit(service, memory).ok();
    let lead = crate::observe::window(&service.pool, Some(memory), Seconds::ZERO, Seconds::ZERO);
    for point in &seen.demand.newly_settled {
        if memory.violations.counted.is_some_and(|counted| point.start <= counted) {
            continue;
        }
        memory.violations.counted = Some(point.start);
        let (Some(capacity), Some(demand)) = (capacity, milli(point.value)) else { continue };
        let Some(units) = memory.in_service.mean_milli(point.start, point.start + step) else {
            continue;
        };
        let covers =
            |units_milli: u64| units_milli as f64 * capacity >= demand as f64 * (1.0 - 1e-9);
        let violated = point.censored || !covers(units);
        count(point.start, violated, memory);
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

/// Bands kept: an outage's fall happens within three cycles.
const BANDS_KEPT: usize = 3;

pub(crate) fn remember_band(seen: &Observation, memory: &mut ServiceMemory) {
    let (Ok(forecast), Some(point)) = (&seen.forecast, &seen.demand.settled) else { return };
    let (Some(&low), Some(demand)) = (forecast.next_milli.first(), milli(point.value)) else {
        return;
    };
    // While demand is out of its band, the band that it fell out of is the one to come back to.
    if memory.fall.is_some() || memory.bands.last().is_some_and(|band| band.origin >= point.start) {
        return;
    }
    memory.bands.push(Band { origin: point.start, demand_milli: demand, low_milli: low });
    let surplus = memory.bands.len().saturating_sub(BANDS_KEPT);
    memory.bands.drain(..surplus);
}

impl ChangeLog {
    /// Notes `value` from `at` on, keeping the newest `keep` changes.
    pub(crate) fn record(&mut self, at: Timestamp, value: Units, keep: usize) {
        if self.entries.last().is_some_and(|(since, last)| *last == value || *since >= at) {
            return;
        }
        self.entries.push((at, value));
        let surplus = self.entries.len().saturating_sub(keep);
        self.entries.drain(..surplus);
    }

    /// The value in force at `at`, if the log reaches back so far.
    pub(crate) fn at(&self, at: Timestamp) -> Option<Units> {
        self.entries.iter().rev().find(|(since, _)| *since <= at).map(|(_, value)| *value)
    }

    /// The mean over `[from, to)` in thousandths; `None` if the log does not reach back to `from`.
    pub(crate) fn mean_milli(&self, from: Timestamp, to: Timestamp) -> Option<u64> {
        let mut now = self.at(from)?;
        let (mut since, mut sum) = (from, 0u128);
        for (at, value) in self.entries.iter().filter(|(at, _)| *at > from && *at < to) {
            sum += u128::from(now.0) * u128::from(at.since(since).0);
            (since, now) = (*at, *value);
        }
        sum += u128::from(now.0) * u128::from(to.since(since).0);
        let span = u128::from(to.since(from).0.max(1));
        u64::try_from(sum * 1000 / span).ok()
    }
}
