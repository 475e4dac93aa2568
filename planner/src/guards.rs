//! The guards, in order: each lets a change pass, narrows it, or holds it with its reason.

mod hours;
mod motion;

use fleet::{Change, Seconds, ServiceName, Timestamp, Units};

use crate::doubt;
use crate::floors::Lift;
use crate::hours::Bound;
use crate::learn::is_of_before;
use crate::memory::{Dwell, OpenOrder, Quality, ServiceMemory};
use crate::outage::{self, Shape};
use crate::plan::{self, Finding, Hold, Sizing, What};
use crate::policy::{ActiveFreeze, Actuate, FreezeScope, Mode, PoolPolicy, ServicePolicy};
use crate::sizing::Wish;
use crate::snapshot::{Disk, GroupView, KillSwitch, Observation, Snapshot};
use crate::writes::{actuate, scalers_in, written};
use hours::{bounded, by_hours};
use motion::{changing, in_motion, notes};

/// One service's case before the guards that look across services.
pub(crate) struct Case<'a> {
    pub name: &'a ServiceName,
    pub service: &'a ServicePolicy,
    pub view: &'a GroupView,
    pub change: Option<Change>,
    pub findings: Vec<Finding>,
    pub sizing: Sizing,
    /// Down to this size removals need no budget.
    pub vouched: Option<Units>,
    /// What is proven to be needed.
    pub proven: Units,
    pub dry_run: bool,
    /// Its hours ask for it: no budget is drawn on.
    pub by_hours: bool,
}

/// What the guards of one service look at.
pub(crate) struct Docket<'a, 'm> {
    pub snapshot: &'a Snapshot,
    pub name: &'a ServiceName,
    pub service: &'a ServicePolicy,
    pub view: &'a GroupView,
    pub seen: &'a Observation,
    pub memory: &'m ServiceMemory,
    pub outage: Option<Shape>,
    pub lift: Lift<'a>,
    /// The smallest size that its past vouches for, where that is trusted.
    pub vouched: Option<Units>,
    /// What its mode is, all told.
    pub mode: Mode,
    /// What keeps it in shadow though its configuration may let it act.
    pub shadow: Option<Hold>,
    /// The hours that bound it now: its policy is as it is in them.
    pub hours: Option<Bound<'a>>,
}

/// A change on its way through the guards.
struct Passage<'a> {
    docket: &'a Docket<'a, 'a>,
    current: Units,
    to: Units,
    findings: Vec<Finding>,
    sizing: &'a Sizing,
}

/// A guard held the change; its finding says why.
struct Stopped;

impl Passage<'_> {
    fn find(&mut self, what: What, hold: Hold) {
        self.findings.push(Finding {
            service: Some(self.docket.name.clone()),
            what,
            hold,
            sizing: Some(self.sizing.clone()),
        });
    }

    fn stop(&mut self, hold: Hold) -> Result<(), Stopped> {
        self.find(What::Held, hold);
        Err(Stopped)
    }

    fn stop_if(&mut self, held: bool, hold: impl FnOnce() -> Hold) -> Result<(), Stopped> {
        if held { self.stop(hold()) } else { Ok(()) }
    }

    /// Takes less: to `limit` instead, which is nearer to what there is.
    fn narrow(&mut self, limit: Units, hold: Hold) -> Result<(), Stopped> {
        let wanted = self.to;
        let growing = self.to > self.current;
        let narrower = if growing { limit < self.to } else { limit > self.to };
        if !narrower {
            return Ok(());
        }
        let nothing_left = if growing { limit <= self.current } else { limit >= self.current };
        if nothing_left {
            self.to = self.current;
            return self.stop(hold);
        }
        self.to = limit;
        self.find(What::Narrowed { wanted, to: limit }, hold);
        Ok(())
    }
}

/// Judges what is wished for one service.
pub(crate) fn judge<'a>(docket: &Docket<'a, '_>, wish: Wish) -> Case<'a> {
    let (view, service) = (docket.view, docket.service);
    let writes = actuate(service, view);
    let current = written(service, view);
    let ceiling = service.pool.max.map_or(view.max, |max| max.min(view.max));
    let floor = match writes {
        Actuate::Desired => service.pool.min.max(view.min),
        Actuate::Floor => service.pool.min,
    };
    // Down to the operator's own maximum whatever demand says; the cloud's is the cloud's matter.
    let own_max = service.pool.max.unwrap_or(Units(u32::MAX));
    let kept = shrink_to(docket, &wish, current).min(own_max);
    let shrink_to = kept.max(floor);
    // Hardly ever more than two.
    let findings = Vec::with_capacity(2);
    let mut passage = Passage { docket, current, to: current, findings, sizing: &wish.sizing };
    let outcome = if let Some(owner) = &view.owner {
        let (owner, evidence) = (owner.name.clone(), owner.evidence.clone());
        passage.stop(Hold::Owned { owner, evidence })
    } else if let Some(hours) = docket.hours.filter(|hours| hours.max < current) {
        passage.to = hours.max;
        by_hours(&mut passage, hours, floor, writes)
    } else if wish.grow_to > current {
        passage.to = wish.grow_to;
        increase(&mut passage, ceiling, &wish)
    } else if shrink_to < current {
        passage.to = wish.grow_to.min(own_max);
        decrease(&mut passage, &wish, Limits { floor, kept, writes })
    } else {
        stay(&mut passage, &wish, floor, writes)
    };
    let dry_run = docket.mode == Mode::Observe;
    let change = outcome.is_ok().then_some(match writes {
        Actuate::Desired => Change::Desired { from: current, to: passage.to },
        Actuate::Floor => Change::Minimum { from: current, to: passage.to },
    });
    if change.is_some() && dry_run {
        passage.find(What::Held, docket.shadow.clone().unwrap_or(Hold::ObserveOnly));
    }
    for note in notes(docket).into_iter().chain(wish.notes) {
        passage.findings.push(Finding {
            service: Some(docket.name.clone()),
            what: What::Noted,
            hold: note,
            sizing: None,
        });
    }
    let findings = passage.findings;
    Case {
        name: docket.name,
        service,
        view,
        change,
        findings,
        sizing: wish.sizing,
        proven: wish.proven,
        vouched: docket.vouched.filter(|_| looks_sound(docket)),
        dry_run,
        by_hours: docket.hours.is_some_and(|hours| hours.max < current),
    }
}

/// The size that scale-in may go for: without a forecast the most that was needed lately counts.
fn shrink_to(docket: &Docket<'_, '_>, wish: &Wish, current: Units) -> Units {
    match docket.memory.dwell {
        Some(dwell) if dwell.most < current => wish.shrink_to.max(dwell.most),
        _ => wish.shrink_to,
    }
}

fn all_frozen<'a>(docket: &Docket<'a, '_>, scope: FreezeScope) -> Option<&'a ActiveFreeze> {
    docket.snapshot.freezes.iter().find(|freeze| {
        let for_us = freeze.services.is_empty() || freeze.services.contains(docket.name);
        for_us && freeze.scope == scope && freeze.until > docket.snapshot.taken_at
    })
}

fn frozen(freeze: &ActiveFreeze) -> Hold {
    Hold::Frozen { name: freeze.name.clone(), scope: freeze.scope, until: freeze.until }
}

/// Kill switch and freezes of everything: what may stop both directions.
fn both_ways(passage: &mut Passage<'_>) -> Result<(), Stopped> {
    let docket = passage.docket;
    if let KillSwitch::Thrown { why } = &docket.snapshot.kill_switch {
        return passage.stop(Hold::KillSwitch { why: why.clone() });
    }
    match all_frozen(docket, FreezeScope::All) {
        Some(freeze) => passage.stop(frozen(freeze)),
        None => Ok(()),
    }
}

/// Nothing else may stop an increase than what is written here.
fn increase(passage: &mut Passage<'_>, ceiling: Units, wish: &Wish) -> Result<(), Stopped> {
    both_ways(passage)?;
    under_way(passage)?;
    let to = passage.to;
    if let Some((wanted, hold)) = wish.unconfirmed.clone().filter(|(wanted, _)| *wanted > to) {
        passage.find(What::Narrowed { wanted, to }, hold);
    }
    let (view, pool) = (passage.docket.view, &passage.docket.service.pool);
    passage.stop_if(view.launch_suspended, || Hold::Suspended { process: "Launch".to_owned() })?;
    let bound = match (passage.docket.hours, pool.max) {
        (Some(hours), _) if hours.max <= ceiling => bounded(hours),
        (_, Some(max)) if max <= view.max => {
            Hold::AtBound { bound: plan::Bound::PolicyMax, value: ceiling }
        }
        _ => Hold::AtBound { bound: plan::Bound::CloudMax, value: ceiling },
    };
    passage.narrow(ceiling, bound)?;
    if let Some(step) = pool.max_step_up {
        // A step of nothing would be a stop.
        let step = step.max(Units(1));
        let limit = Units(passage.current.0.saturating_add(step.0));
        passage.narrow(limit, Hold::StepLimit { step })?;
    }
    if view.out_of_capacity {
        let short = Units(view.desired.0.saturating_sub(view.in_service.0));
        passage.find(What::Noted, Hold::OutOfCapacity { short });
    }
    Ok(())
}

/// What is wished for was ordered a moment ago, and the reading is of before that: nothing is ordered
/// twice.
fn under_way(passage: &mut Passage<'_>) -> Result<(), Stopped> {
    let docket = passage.docket;
    let Some(order) = &docket.memory.orders.open else { return Ok(()) };
    let enough = order.change.is_increase() && passage.to <= order.change.to();
    let old = is_of_before(docket.snapshot.taken_at, docket.view, order.change, order.at);
    passage.stop_if(enough && old, || unconfirmed(order))
}

/// An order whose result is not known.
fn unconfirmed(order: &OpenOrder) -> Hold {
    let decision = order.decision.clone().unwrap_or_else(|| format!("of {}", order.at));
    Hold::OrderUnconfirmed { decision }
}

/// One step was ordered for a sample that nothing confirms; until something does, all stays.
fn in_doubt(passage: &mut Passage<'_>, wish: &Wish) -> Result<(), Stopped> {
    match &wish.unconfirmed {
        Some((wanted, hold)) if *wanted > passage.current => passage.stop(hold.clone()),
        _ => Ok(()),
    }
}

/// How far a decrease may go.
struct Limits {
    /// The lower bounds.
    floor: Units,
    /// What the hold window or the recent past keeps.
    kept: Units,
    writes: Actuate,
}

fn decrease(passage: &mut Passage<'_>, wish: &Wish, limits: Limits) -> Result<(), Stopped> {
    both_ways(passage)?;
    let docket = passage.docket;
    let writes = limits.writes;
    in_doubt(passage, wish)?;
    passage.stop_if(docket.snapshot.disk == Disk::ReserveOnly, || Hold::DiskReserve)?;
    if let Some(freeze) = all_frozen(docket, FreezeScope::Decreases) {
        return passage.stop(frozen(freeze));
    }
    others(passage, writes)?;
    data(passage, wish)?;
    changing(passage)?;
    in_motion(passage, limits.kept)?;
    let to = passage.to;
    if let Some((wanted, hold)) = docket.lift.below(to).zip(docket.lift.holds(wish.grow_to)) {
        passage.find(What::Narrowed { wanted, to }, hold);
    }
    let bound = lower_bound(docket, writes);
    passage.narrow(limits.floor, Hold::AtBound { bound, value: limits.floor })?;
    windows(passage, wish, limits.kept)?;
    protected(passage, writes)
}

fn protected(passage: &mut Passage<'_>, writes: Actuate) -> Result<(), Stopped> {
    let protected = passage.docket.view.protected;
    if writes == Actuate::Desired && protected > Units(0) {
        passage.narrow(protected, Hold::Protected { protected })?;
    }
    Ok(())
}

/// Another scaler, or somebody else's hand.
fn others(passage: &mut Passage<'_>, writes: Actuate) -> Result<(), Stopped> {
    let docket = passage.docket;
    let scales_in = scalers_in(docket.view).next();
    if let (Actuate::Desired, Some(policy)) = (writes, scales_in) {
        return passage.stop(Hold::NativePolicy { name: policy.name.clone() });
    }
    let lease = docket.memory.lease.as_ref().filter(|l| l.until > docket.snapshot.taken_at);
    if let Some(lease) = lease {
        let who = lease.who.clone();
        let (from, to, until) = (lease.from, lease.to, lease.until);
        return passage.stop(Hold::Override { who, from, to, until });
    }
    Ok(())
}

/// Data that justify no decrease, or only a part of it.
fn data(passage: &mut Passage<'_>, wish: &Wish) -> Result<(), Stopped> {
    if let Some(hold) = &wish.no_decrease {
        return passage.stop(hold.clone());
    }
    if let Some(Shape { fallen, of, since }) = passage.docket.outage {
        return passage.stop(Hold::OutageShape { fallen, of, since });
    }
    let memory = passage.docket.memory;
    if let Some(hold) = outage::alone(memory) {
        // What falls so at this time of each of the last days is no surprise.
        match memory.proven.usual_at(passage.docket.snapshot.taken_at) {
            Some(usual) => passage.narrow(usual, hold)?,
            None => return passage.stop(hold),
        }
    }
    if let Some((limit, hold)) = doubt::limit(memory) {
        passage.narrow(limit, hold)?;
    }
    let missing = passage.docket.seen.demand.missing;
    let present = 1.0 - missing.fraction();
    let removed = f64::from(passage.current.0 - passage.to.0);
    // To the nearest, so that one dead member of many does not keep the last unit for ever.
    let justified = (removed * present - 0.5).ceil().clamp(0.0, removed) as u32;
    let limit = Units(passage.current.0 - justified);
    passage.narrow(limit, Hold::DemandIncomplete { missing })
}

fn cooling_down(passage: &mut Passage<'_>) -> Result<(), Stopped> {
    let (docket, pool) = (passage.docket, &passage.docket.service.pool);
    let until = docket.memory.orders.changed_at.map(|at| at + pool.cooldown);
    match until.filter(|until| *until > docket.snapshot.taken_at) {
        Some(until) => passage.stop(Hold::CoolingDown { until }),
        None => Ok(()),
    }
}

/// Cooldown, hold windows and billing.
fn windows(passage: &mut Passage<'_>, wish: &Wish, kept: Units) -> Result<(), Stopped> {
    let docket = passage.docket;
    let (now, pool) = (docket.snapshot.taken_at, &docket.service.pool);
    let after = |since: Option<Timestamp>, span: Seconds| {
        since.map(|at| at + span).filter(|until| *until > now)
    };
    cooling_down(passage)?;
    if let Some(Dwell { since, most }) = docket.memory.dwell {
        let until = since + dwell_span(pool, passage.current, wish, docket.memory);
        passage.stop_if(until > now, || Hold::Dwelling { most, until })?;
        passage.narrow(kept, Hold::Dwelling { most, until })?;
    }
    let window = wish.sizing.window.hold;
    let soon = docket.lift.holds_for_soon(kept);
    passage.narrow(kept, soon.unwrap_or(Hold::HoldWindow { needed: kept, window }))?;
    // What an overshoot of ours added is no past of the service.
    let surplus = docket.memory.growth.surplus.0;
    let overshot = Units(passage.current.0.saturating_sub(surplus));
    if let Some(kept) = docket.vouched.map(|kept| kept.min(overshot)) {
        let until = docket.memory.proven.believed_at(now, passage.to);
        passage.narrow(kept, Hold::Unproven { kept, until })?;
    }
    if let Some(until) = after(docket.memory.orders.grew_at, pool.billing_minimum) {
        return passage.stop(Hold::BillingMinimum { until });
    }
    Ok(())
}

/// Nothing is to be changed: which limit keeps it so, if not demand itself.
fn stay(
    passage: &mut Passage<'_>,
    wish: &Wish,
    floor: Units,
    writes: Actuate,
) -> Result<(), Stopped> {
    let docket = passage.docket;
    if let Some(hours) = docket.hours.filter(|hours| hours.max == passage.current) {
        return passage.stop(bounded(hours));
    }
    in_doubt(passage, wish)?;
    if let Some(hold) = &wish.no_decrease {
        return passage.stop(hold.clone());
    }
    if let Some((needed, window)) = wish.hold_keeps.filter(|_| wish.grow_to < passage.current) {
        let soon = docket.lift.holds_for_soon(needed);
        return passage.stop(soon.unwrap_or(Hold::HoldWindow { needed, window }));
    }
    if let Some(hold) = docket.lift.holds(passage.current) {
        return passage.stop(hold);
    }
    let unbounded = wish.sizing.needed_lead.max(wish.sizing.needed_reactive);
    if floor == passage.current && unbounded.is_some_and(|needed| needed < floor) {
        let bound = lower_bound(docket, writes);
        return passage.stop(Hold::AtBound { bound, value: floor });
    }
    let hold = if wish.provisional_calls_for_less { Hold::Provisional } else { Hold::RightSize };
    passage.stop(hold)
}

fn lower_bound(docket: &Docket<'_, '_>, writes: Actuate) -> plan::Bound {
    let own = docket.service.pool.min >= docket.view.min || writes == Actuate::Floor;
    if own { plan::Bound::PolicyMin } else { plan::Bound::CloudMin }
}

/// A removal of so small a part of the group, or of one unit, waits a little even with a trusted
/// forecast: over recorded loads this saved a quarter of all changes and cost nothing.
const SMALL_PART: u32 = 20;
const SMALL_DWELL: Seconds = Seconds::minutes(5);

/// How long demand must have fitted the smaller size that is wished for. With a trusted forecast
/// its hold window decides instead, but for small removals.
fn dwell_span(pool: &PoolPolicy, current: Units, wish: &Wish, memory: &ServiceMemory) -> Seconds {
    let forecast = wish.sizing.needed_hold.is_some() && memory.quality == Quality::Trusted;
    let removed = current.0.saturating_sub(wish.shrink_to.0);
    if !forecast {
        pool.hold_window
    } else if removed <= (current.0 / SMALL_PART).max(1) {
        SMALL_DWELL.min(pool.hold_window)
    } else {
        Seconds::ZERO
    }
}

/// How long demand has fitted in a smaller size, where that matters.
pub(crate) fn dwell(
    at: Timestamp,
    pool: &PoolPolicy,
    current: Units,
    wish: &Wish,
    memory: &ServiceMemory,
) -> Option<Dwell> {
    let span = dwell_span(pool, current, wish, memory);
    if wish.shrink_to >= current || span == Seconds::ZERO {
        return None;
    }
    match memory.dwell {
        Some(dwell) if dwell.most < current => {
            Some(Dwell { most: dwell.most.max(wish.shrink_to), ..dwell })
        }
        _ => Some(Dwell { since: at, most: wish.shrink_to }),
    }
}

/// A service that was not watched for so long is new: the past that could vouch for it is its first
/// hours, in which much is unusual.
const TRUSTED_AFTER: Seconds = Seconds::hours(6);

/// Whether the past of a service may vouch for a size: its forecast is trusted, and it was watched for
/// some hours.
pub(crate) fn is_trusted(at: Timestamp, seen: &Observation, memory: &ServiceMemory) -> bool {
    let watched = memory.violations.since().is_some_and(|since| at.since(since) >= TRUSTED_AFTER);
    watched && seen.forecast.is_ok() && memory.quality == Quality::Trusted
}

/// Whether nothing looks like an accident: else the budgets hold as well.
fn looks_sound(docket: &Docket<'_, '_>) -> bool {
    !docket.seen.signals.is_worse()
        && docket.outage.is_none()
        && docket.memory.proven.fell.is_none()
}
