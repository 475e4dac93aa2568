//! What an observation teaches: orders, other people's changes, violations, calibration, trust.

mod account;
mod capacity;

use fleet::group::{Activity, Cause};
use fleet::text::shortened;
use fleet::{Change, FaultKind, OrTold, Seconds, Timestamp, Units};

use crate::memory::{
    Band, Censored, ChangeLog, Doubt, Expected, Growth, LEAD_TIMES_KEPT, LearnedCapacity, Lease,
    OpenOrder, Quality, ServiceMemory, Witness,
};
use crate::numbers::milli;
use crate::policy::{Actuate, CapacityPerUnit, Mode, ServicePolicy};
use crate::reasons::{Author, ForeignChange};
use crate::snapshot::{
    DemandPoint, DemandView, GroupView, Observation, OrderOutcome, OrderResult, ReducedForecast,
};
use crate::writes::{actuate, written};

use account::account;
pub(crate) use account::{DEPTH_MAX, DEPTH_MIN, HEADROOM_START, QUARTER, start_depth};
pub use capacity::is_capacity_wanted;
use capacity::learn_capacity;
pub(crate) use capacity::{CAPACITY_NEEDED, capacity_per_unit};

/// Entries kept of what was in service and what was ordered.
pub(crate) const LOG_KEPT: usize = 24;
/// An order whose result nobody told is given up after this: the group was read many times since.
const ORDER_GIVEN_UP_AFTER: Seconds = Seconds::minutes(15);
/// A lead time beyond a day is a stopped clock, not a boot.
const LEAD_TIME_MAX: Seconds = Seconds::days(1);
/// The forecast loses its say when its loss exceeds last-value's by a tenth, and has it back when
/// it is no worse than last-value's.
const DISTRUST_ABOVE_PERCENT: u64 = 110;

/// Takes in what was observed of one service. `away` is what is remembered of services that the policy
/// does not have.
pub(crate) fn learn(
    mode: Mode,
    service: &ServicePolicy,
    at: Timestamp,
    seen: &Observation,
    away: &[&ServiceMemory],
    memory: &mut ServiceMemory,
) {
    if let Ok(view) = &seen.group {
        same_group(view, away, memory);
        for outcome in &seen.outcomes {
            if let Some(order) = not_shown_yet(at, view, outcome) {
                memory.orders.open = Some(order);
            } else {
                take_outcome(service, outcome, memory);
            }
        }
        open_order(at, view, service, memory);
        foreign_change(at, view, service, memory);
        memory.in_service.record(at, view.in_service, LOG_KEPT);
        let current = written(service, view);
        crate::growth::learn(service, at, view, seen, current, memory);
        // Demand that is made of utilisation cannot be compared with it.
        if service.busy_units().is_none() {
            crate::doubt::follow(at, view, seen, memory);
        }
        if let CapacityPerUnit::Learn = service.pool.capacity_per_unit {
            capacity::learn_from_past(at, service, &seen.past, memory);
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
    take_lead_times(seen, memory);
    judge_quality(seen, memory);
    count_censored(&seen.demand, memory);
    account(mode, service, at, seen, memory);
}

/// Another group under the same name is another thing: what was learned of the old one as a thing is
/// forgotten, what was learned of the demand stays. What a service that is away knew of the new one is
/// taken over where it is told in units or seconds: the group is the same whatever it is called, but
/// its demand may be counted otherwise now.
fn same_group(view: &GroupView, away: &[&ServiceMemory], memory: &mut ServiceMemory) {
    if memory.group.as_ref() == Some(&view.id) {
        return;
    }
    let knows = |other: &&&ServiceMemory| {
        other.group.as_ref().is_some_and(|group| group.is_same_group(&view.id))
    };
    let newest = |other: &&&ServiceMemory| other.in_service.entries.last().map(|(at, _)| *at);
    let known = away.iter().filter(knows).max_by_key(newest);
    let is_other = memory.group.replace(view.id.clone()).is_some();
    if !is_other && known.is_none() {
        return;
    }
    let thing = known.map(|known| (*known).clone()).unwrap_or_default();
    let demand = std::mem::take(memory);
    let Growth { highest, beyond, .. } = demand.growth;
    *memory = ServiceMemory {
        in_service: thing.in_service,
        ordered: thing.ordered,
        removals: thing.removals,
        orders: thing.orders,
        lease: thing.lease,
        lead_times: thing.lead_times,
        serving: thing.serving,
        last_trusted: thing.last_trusted,
        dwell: thing.dwell,
        proven: thing.proven,
        capacity: LearnedCapacity::default(),
        growth: Growth { highest, beyond, surplus: thing.growth.surplus, ..Growth::default() },
        doubt: Doubt { witness: Witness::default(), ..demand.doubt },
        ..demand
    };
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
        | OrderResult::Owned { .. }
        | OrderResult::Failed { .. }
        | OrderResult::Unconfirmed { effect_seen: Some(false) } => memory.orders.open = None,
    }
}

/// For how long after our order a reading that shows what was before it is taken for an old one:
/// clouds answer from copies, which lag by seconds.
const SHOWN_WITHIN: Seconds = Seconds(60);

/// Whether a reading is of before a change that was ordered at `since`, as far as anybody can tell.
///
/// ```
/// use fleet::names::{NOWHERE, SIMULATED_REGION};
/// use fleet::{AccountId, Change, GroupId, ProviderName, Region, Seconds, Timestamp, Units};
/// use planner::is_of_before;
/// use planner::snapshot::GroupView;
///
/// let id = GroupId {
///     provider: ProviderName::new("sim").expect("a name"),
///     account: AccountId::new(NOWHERE).expect("a name"),
///     region: Region::new(SIMULATED_REGION).expect("a name"),
///     id: "checkout-asg".to_owned(),
/// };
/// let (ordered, shows) = (Timestamp(0), GroupView::at_rest(id, Timestamp(5), Units(4)));
/// let change = Change::Desired { from: Units(4), to: Units(9) };
/// assert!(is_of_before(ordered + Seconds(5), &shows, change, ordered));
/// // A minute later it is what the group is, and so is any other number.
/// assert!(!is_of_before(ordered + Seconds(60), &shows, change, ordered));
/// let other = Change::Desired { from: Units(3), to: Units(9) };
/// assert!(!is_of_before(ordered + Seconds(5), &shows, other, ordered));
/// ```
pub fn is_of_before(at: Timestamp, view: &GroupView, change: Change, since: Timestamp) -> bool {
    let shown = match change {
        Change::Desired { .. } => view.desired,
        Change::Minimum { .. } => view.min,
    };
    shown == change.from() && change.from() != change.to() && at.since(since) < SHOWN_WITHIN
}

/// An order that was seen to be done, and is not in this reading: it stays open until one shows it.
fn not_shown_yet(at: Timestamp, view: &GroupView, outcome: &OrderOutcome) -> Option<OpenOrder> {
    let done = matches!(
        outcome.result,
        OrderResult::Applied | OrderResult::Unconfirmed { effect_seen: Some(true) }
    );
    let (change, since) = (outcome.change, outcome.at);
    (done && is_of_before(at, view, change, since)).then(|| OpenOrder {
        decision: Some(outcome.decision.clone()),
        change,
        at: since,
    })
}

/// An order of ours took effect at `at`.
fn applied(change: Change, at: Timestamp, memory: &mut ServiceMemory) {
    memory.orders.open = None;
    changed(at, memory);
    if change.is_increase() {
        memory.orders.grew_at = memory.orders.grew_at.max(Some(at));
    } else {
        let removed = change.from().0.saturating_sub(change.to().0);
        memory.growth.surplus.0 = memory.growth.surplus.0.saturating_sub(removed);
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
            let text: String = a.cause_text.chars().filter(|c| !c.is_control()).collect();
            Author::Described(shortened(&text, CHARS.saturating_sub(taken)).into_owned())
        }
        Some(a) if a.cause == Cause::Schedule => Author::Schedule,
        Some(a) if a.cause == Cause::UserRequest => Author::User,
        _ => Author::Unnamed,
    };
    change(by).into()
}

fn take_lead_times(seen: &Observation, memory: &mut ServiceMemory) {
    for launched in seen.launched.iter().filter(|launched| launched.took <= LEAD_TIME_MAX) {
        memory.serving.take(launched, LEAD_TIMES_KEPT);
    }
    for span in seen.lead_times.iter().filter(|span| **span <= LEAD_TIME_MAX) {
        let seconds = u32::try_from(span.0).unwrap_or(u32::MAX);
        keep_newest(&mut memory.lead_times, seconds, LEAD_TIMES_KEPT);
    }
}

fn judge_quality(seen: &Observation, memory: &mut ServiceMemory) {
    let Ok(forecast) = &seen.forecast else { return };
    let (loss, other) = (forecast.recent_loss_milli, forecast.last_value_loss_milli);
    let worse = loss.get() * 100.0 > other.get() * DISTRUST_ABOVE_PERCENT as f64;
    let beyond_rounding = loss.get() > other.get() + loss_allowed(forecast);
    memory.quality = match memory.quality {
        Quality::Trusted if worse && beyond_rounding => Quality::Distrusted,
        Quality::Distrusted if loss <= other => Quality::Trusted,
        same => same,
    };
}

/// What is rounding and no loss: a thousandth, or less where demand itself is small.
pub(crate) fn loss_allowed(forecast: &ReducedForecast) -> f64 {
    forecast.next_milli.last().map_or(1.0, |highest| highest.rounding())
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

/// Bands kept: an outage's fall happens within three cycles.
const BANDS_KEPT: usize = 3;

pub(crate) fn remember_band(seen: &Observation, memory: &mut ServiceMemory) {
    let Some(point) = &seen.demand.settled else { return };
    let Some(demand) = milli(point.value) else { return };
    // Where nothing is forecast, the fall alone tells.
    let forecast = seen.forecast.as_ref().ok();
    let low = forecast.and_then(|made| made.next_milli.first().copied()).unwrap_or(demand);
    // While demand is out of its band, the band that it fell out of is the one to come back to.
    if memory.fall.is_some() || memory.bands.last().is_some_and(|band| band.origin >= point.start) {
        return;
    }
    let band = Band { origin: point.start, demand_milli: demand, low_milli: low };
    keep_newest(&mut memory.bands, band, BANDS_KEPT);
}

/// Puts `new` behind the newest `keep - 1`: the list never grows beyond what it has room for.
fn keep_newest<T>(list: &mut Vec<T>, new: T, keep: usize) {
    list.drain(..(list.len() + 1).saturating_sub(keep));
    list.push(new);
}

impl ChangeLog {
    /// Notes `value` from `at` on, keeping the newest `keep` changes.
    pub(crate) fn record(&mut self, at: Timestamp, value: Units, keep: usize) {
        if self.entries.last().is_some_and(|(since, last)| *last == value || *since >= at) {
            return;
        }
        keep_newest(&mut self.entries, (at, value), keep);
    }

    /// The value in force at `at`, if the log reaches back so far.
    pub(crate) fn at(&self, at: Timestamp) -> Option<Units> {
        self.entries.iter().rev().find(|(since, _)| *since <= at).map(|(_, value)| *value)
    }

    /// The mean over `[from, to)` in thousandths; `None` if the log does not reach back to `from`.
    pub fn mean_milli(&self, from: Timestamp, to: Timestamp) -> Option<u64> {
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
