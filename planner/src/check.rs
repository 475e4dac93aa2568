//! A judge of plans, whoever made them: written apart from the code that makes them.

mod budgets;
mod group;
mod growth;

use std::collections::BTreeSet;
use std::fmt;

use fleet::group::Cause;
use fleet::{Change, Seconds, ServiceName, Timestamp};

use crate::memory::{Fall, Memory, ServiceMemory};
use crate::plan::{Action, Bound, Finding, Hold, Plan, What};
use crate::policy::{Actuate, CapacityPerUnit, FreezeScope, Mode, Policy, ServicePolicy};
use crate::snapshot::{
    DemandPoint, Disk, GroupView, KillSwitch, Observation, OrderOutcome, OrderResult, Snapshot,
};
use crate::stage::{Stage, StageAsk, Why};
use group::{deploys, left_serving, takes_away};

/// An invariant that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// By which service's action or silence; `None` for the plan as a whole.
    pub service: Option<ServiceName>,
    /// Which invariant, in words, with the numbers.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "`{service}`: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Every invariant that `plan` breaks, given what it was made from; `memory` is the one before it.
pub fn check_plan(
    policy: &Policy,
    snapshot: &Snapshot,
    memory: &Memory,
    plan: &Plan,
) -> Vec<Violation> {
    let mut bench = Bench { policy, snapshot, memory, plan, found: Vec::new() };
    bench.shape();
    for action in &plan.actions {
        bench.action(action);
    }
    for (name, service) in &policy.services {
        bench.growth(name, service);
    }
    bench.budgets();
    bench.spending();
    bench.found
}

/// Demand is planned in thousandths: what is smaller does not count.
const MILLI: f64 = 1e-3;

struct Bench<'a> {
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    memory: &'a Memory,
    plan: &'a Plan,
    found: Vec<Violation>,
}

impl<'a> Bench<'a> {
    fn object(&mut self, service: &ServiceName, what: impl Into<String>) {
        self.found.push(Violation { service: Some(service.clone()), what: what.into() });
    }

    /// Every service has a verdict, nobody has two actions, increases come first.
    fn shape(&mut self) {
        let mut spoken: BTreeSet<&ServiceName> = BTreeSet::new();
        spoken.extend(self.plan.findings.iter().filter_map(|f| f.service.as_ref()));
        let mut acted: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut changed = BTreeSet::new();
        for action in &self.plan.actions {
            if !acted.insert(&action.service) {
                self.object(&action.service, "has more than one action");
            }
            if !changed.insert(action.group.identity()) {
                self.object(&action.service, "changes a group that another service changes too");
            }
        }
        spoken.extend(acted);
        for name in self.policy.services.keys() {
            if !spoken.contains(name) {
                self.object(name, "has neither an action nor a finding");
            }
        }
        let grows = self.plan.actions.iter().map(|action| action.change.is_increase());
        if !grows.is_sorted_by(|a, b| a >= b) {
            let what = "a decrease comes before an increase".to_owned();
            self.found.push(Violation { service: None, what });
        }
    }

    fn action(&mut self, action: &Action) {
        let name = &action.service;
        let service = self.policy.services.get(name);
        let seen = self.snapshot.services.get(name);
        let (Some(service), Some(seen)) = (service, seen) else {
            return self.object(name, "is acted on without a policy or an observation");
        };
        let Ok(view) = &seen.group else {
            return self.object(name, "is acted on though its group could not be read");
        };
        if action.group != view.id {
            self.object(name, format!("names group {}, the one seen is {}", action.group, view.id));
        }
        let (number, shows) = match action.change {
            Change::Desired { .. } => (Actuate::Desired, view.desired),
            Change::Minimum { .. } => (Actuate::Floor, view.min),
        };
        if number != writes(service, view) {
            self.object(name, "writes the other number than its `actuate` says");
        }
        if action.change.from() != shows {
            let from = action.change.from();
            self.object(name, format!("starts from {from}, the group shows {shows}"));
        }
        if action.change.from() == action.change.to() {
            self.object(name, "changes nothing");
        }
        let observes = self.policy.mode == Mode::Observe || service.mode == Mode::Observe;
        let (may, must) = self.may_act(name);
        if action.dry_run != observes && (must || !action.dry_run) {
            self.object(name, format!("has dry_run {}, its mode says {observes}", action.dry_run));
        }
        if !action.dry_run && !may {
            self.object(name, "is acted on in shadow");
        }
        if self.snapshot.kill_switch != KillSwitch::Clear {
            self.object(name, "is acted on under the kill switch");
        }
        if view.owner.is_some() {
            self.object(name, "is acted on though an orchestrator owns it");
        }
        if action.change.is_increase() {
            self.increase(name, service, view, action.change);
        } else {
            self.decrease(name, service, view, seen, action.change);
        }
    }

    /// Whether a service may act by its stage, and whether it must: regret may take it back.
    fn may_act(&self, name: &ServiceName) -> (bool, bool) {
        let gated = self.policy.promotion.gated.contains(name);
        let own = self.memory.stages.services.get(name);
        // What was never promoted has a stage only while it is gated.
        let own = own.filter(|memory| gated || memory.why != Why::New);
        let known = own.or(self.memory.stages.all.as_ref());
        let mut may = known.map_or(!gated, |memory| memory.stage != Stage::Shadow);
        for request in &self.snapshot.requests {
            match &request.ask {
                StageAsk::Promote { service, .. } if service == name => may = true,
                StageAsk::Demote { service } if service == name => may = false,
                StageAsk::DemoteAll | StageAsk::NewJournal => may = false,
                _ => {}
            }
        }
        // What was taken back under another name is taken back.
        let away =
            self.memory.stages.services.keys().any(|n| !self.policy.services.contains_key(n));
        (may, may && known.is_none() && !away && self.snapshot.requests.is_empty())
    }

    fn frozen(&self, name: &ServiceName, scopes: &[FreezeScope]) -> bool {
        self.snapshot.freezes.iter().any(|freeze| {
            let ours = freeze.services.is_empty() || freeze.services.iter().any(|s| s == name);
            ours && scopes.contains(&freeze.scope) && freeze.until > self.snapshot.taken_at
        })
    }

    fn increase(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        view: &GroupView,
        change: Change,
    ) {
        if self.frozen(name, &[FreezeScope::All]) {
            self.object(name, "grows in a freeze of everything");
        }
        if view.launch_suspended {
            self.object(name, "grows though launches are suspended");
        }
        let hours = self.bound(name, service);
        let beyond = |max: Option<u32>| max.is_some_and(|max| change.to().0 > max);
        if change.to() > view.max || beyond(service.pool.max.map(|max| max.0)) || beyond(hours) {
            self.object(name, format!("grows to {} beyond a maximum", change.to()));
        }
        let step = change.to().0 - change.from().0;
        if service.pool.max_step_up.is_some_and(|most| step > most.0.max(1)) {
            self.object(name, format!("grows by {step}, more than its largest step"));
        }
    }

    fn decrease(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        view: &GroupView,
        seen: &Observation,
        change: Change,
    ) {
        let before = self.memory.services.get(name);
        let nothing = ServiceMemory::default();
        let known = before.unwrap_or(&nothing);
        let same = known.group.as_ref() == Some(&view.id);
        let mut wrong: Vec<String> = Vec::new();
        let mut wrong_if = |wrong_so: bool, what: &str| {
            if wrong_so {
                wrong.push(format!("shrinks {what}"));
            }
        };
        wrong_if(
            self.frozen(name, &[FreezeScope::All, FreezeScope::Decreases]),
            "in a freeze window",
        );
        wrong_if(self.snapshot.disk == Disk::ReserveOnly, "with only the journal's reserve left");
        wrong_if(view.terminate_suspended, "though terminations are suspended");
        wrong_if(view.refresh.is_some(), "during an instance refresh");
        wrong_if(deploys(view, self.snapshot.taken_at), "in a deployment");
        wrong_if(view.unknown.0 > 0, "with members in an unknown state");
        let native = view.policies.iter().any(|p| takes_away(view, p));
        let desired = matches!(change, Change::Desired { .. });
        wrong_if(desired && native, "against a native policy that scales in too");
        wrong_if(desired && change.to() < view.min, "below the group's own minimum");
        // What its hours allow is the operator's word, whatever he says of other hours.
        let hours = self.bound(name, service).unwrap_or(u32::MAX);
        let by_hours = change.from().0 > hours;
        wrong_if(by_hours && change.to().0 < hours, "below what its hours allow");
        let min = service.pool.min.0.min(hours);
        wrong_if(change.to().0 < min, "below the configured minimum");
        let floor = self.floor(name, service, view).min(hours);
        wrong_if(change.to().0 < floor, "below the floor of an event");
        wrong_if(desired && change.to() < view.protected, "into protected units");
        let now = self.snapshot.taken_at;
        wrong_if(
            same && known.lease.as_ref().is_some_and(|lease| lease.until > now),
            "under somebody else's lease",
        );
        let lease = service.pool.override_lease;
        wrong_if(contested(&seen.outcomes, now, lease), "though another writer came between");
        wrong_if(
            same && seen.outcomes.is_empty() && changed_by_hand(known, view, service),
            "right after somebody else's change",
        );
        let since = |at: Option<Timestamp>, span: Seconds| at.is_some_and(|at| at + span > now);
        wrong_if(same && since(known.orders.changed_at, service.pool.cooldown), "in its cooldown");
        wrong_if(
            !by_hours && same && since(known.orders.grew_at, service.pool.billing_minimum),
            "units that are paid for anyway",
        );
        let acknowledged = self.snapshot.acknowledged.contains(name);
        let fell = !acknowledged && out_of_band(now, known, seen);
        wrong_if(!by_hours && fell, "in an outage's shape");
        if !by_hours {
            wrong.extend(bad_data(now, service, seen, change));
            wrong.extend(left_serving(now, service, view, seen, change));
        }
        for what in wrong {
            self.object(name, what);
        }
    }

    /// What the events that take place now ask for, within the maxima.
    fn floor(&self, name: &ServiceName, service: &ServicePolicy, view: &GroupView) -> u32 {
        let now = self.snapshot.taken_at;
        let ours = self.snapshot.floors.iter().filter(|event| {
            event.services.is_empty() || event.services.iter().any(|other| other == name)
        });
        let own = self.snapshot.services.get(name).into_iter().flat_map(|seen| &seen.hours);
        let own = own.map(|hours| (hours.from, hours.until, hours.min.map_or(0, |min| min.0)));
        let asked = ours.map(|event| (event.from, event.until, event.floor.0)).chain(own);
        let highest =
            asked.filter(|(from, until, _)| *from <= now && now < *until).map(|all| all.2).max();
        highest.unwrap_or(0).min(service.pool.max.map_or(view.max, |max| max.min(view.max)).0)
    }

    /// Only the reasons listed may stand in the way of growth that demand or a minimum calls for.
    fn growth(&mut self, name: &ServiceName, service: &ServicePolicy) {
        let Some(seen) = self.snapshot.services.get(name) else { return };
        let Ok(view) = &seen.group else { return };
        let ceiling = service.pool.max.map_or(view.max, |max| max.min(view.max)).0;
        let now = self.snapshot.taken_at;
        let needed =
            fresh_demand(now, seen).zip(given(service)).map_or(0.0, |(demand, capacity)| {
                ((demand - MILLI).max(0.0) / capacity * (1.0 - 1e-6)).ceil()
            });
        let ceiling = self.bound(name, service).map_or(ceiling, |hours| ceiling.min(hours));
        let floor = self.floor(name, service, view).max(service.pool.min.0);
        let needed = (needed.min(f64::from(u32::MAX)) as u32).max(floor).min(ceiling);
        let current = match writes(service, view) {
            Actuate::Desired => view.desired.0,
            Actuate::Floor => view.min.0,
        };
        let grows = |action: &&Action| action.service == *name && action.change.is_increase();
        if needed <= current || self.plan.actions.iter().any(|action| grows(&action)) {
            return;
        }
        let allowed = self
            .plan
            .findings
            .iter()
            .filter(|f| f.service.as_ref() == Some(name) && f.what == What::Held)
            .any(|finding| {
                may_stop_growth(finding)
                    || self.in_doubt(name, seen, finding)
                    || self.is_ordered(name, seen, finding, needed)
            });
        if !allowed {
            self.object(name, format!("needs {needed}, has {current}, and does not grow"));
        }
    }

    /// Whether an order of ours that no reading shows yet goes as far.
    fn is_ordered(
        &self,
        name: &ServiceName,
        seen: &Observation,
        finding: &Finding,
        needed: u32,
    ) -> bool {
        let orders = self.memory.services.get(name).map(|memory| &memory.orders);
        let open = orders.and_then(|orders| orders.open.as_ref()).map(|open| open.change.to());
        let told = orders.and_then(|orders| orders.expected).map(|all| all.desired.max(all.min));
        let done = seen.outcomes.iter().map(|outcome| outcome.change.to());
        let most = open.into_iter().chain(told).chain(done).max();
        matches!(finding.hold, Hold::OrderUnconfirmed { .. }) && most.is_some_and(|m| m.0 >= needed)
    }

    fn spending(&mut self) {
        let Some(ceiling) = self.policy.spend_ceiling_usd_milli_hourly else { return };
        let (mut before, mut more) = (0.0, 0.0);
        for (name, service) in &self.policy.services {
            let price = service.pool.price_usd_hourly.filter(|p| (0.0..=1e15).contains(p));
            let Some(Ok(view)) = self.snapshot.services.get(name).map(|s| &s.group) else {
                continue;
            };
            let price = price.unwrap_or(0.0);
            before += price * f64::from(view.desired.0);
            let grown = self.plan.actions.iter().filter(|a| a.service == *name && !a.dry_run);
            for action in grown.filter(|a| a.change.is_increase()) {
                more += price * f64::from(action.change.to().0 - action.change.from().0);
            }
        }
        let after = (before + more) * 1000.0;
        // Prices are kept in millionths: a cent of rounding over the whole fleet.
        if more > 0.0 && after > ceiling as f64 * (1.0 + 1e-5) + 10.0 {
            let what =
                format!("growth brings the fleet to {after:.0}, beyond the ceiling {ceiling}");
            self.found.push(Violation { service: None, what });
        }
    }
}

fn writes(service: &ServicePolicy, view: &GroupView) -> Actuate {
    match service.pool.actuate {
        Some(chosen) => chosen,
        None if view.policies.iter().any(|p| !p.is_unread() && takes_away(view, p)) => {
            Actuate::Floor
        }
        None => Actuate::Desired,
    }
}

fn contested(outcomes: &[OrderOutcome], now: Timestamp, lease: Seconds) -> bool {
    outcomes.last().is_some_and(|outcome| {
        matches!(outcome.result, OrderResult::Contested { .. }) && outcome.at + lease > now
    })
}

/// The group shows another number than was left there, and no native policy says it was its doing.
fn changed_by_hand(known: &ServiceMemory, view: &GroupView, service: &ServicePolicy) -> bool {
    let Some(expected) = known.orders.expected else { return false };
    if known.orders.open.is_some() {
        return false;
    }
    let native = writes(service, view) == Actuate::Floor
        || view.newest_foreign_activity.as_ref().is_some_and(|a| a.cause == Cause::NativePolicy);
    let bounds = expected.min != view.min || expected.max != view.max;
    let lasting = service.pool.override_lease > Seconds::ZERO;
    lasting && (bounds || (!native && expected.desired != view.desired))
}

fn out_of_band(now: Timestamp, known: &ServiceMemory, seen: &Observation) -> bool {
    // Alone for less than an hour where utilisation says nothing, with others for a day.
    let lasts = |fall: &Fall| match fall.outage {
        Some(_) => Seconds::days(1),
        // What its past vouches for is the planner's to know.
        None if seen.demand.utilisation.is_none() && known.proven.usual_at(now).is_none() => {
            Seconds::minutes(40)
        }
        None => Seconds::ZERO,
    };
    let doubted = |fall: &Fall| now.since(fall.since) < lasts(fall);
    let Some(fall) = known.fall.filter(doubted) else { return false };
    // Alone, only a fall to less than that is doubted.
    let deep = |point: &DemandPoint| point.value * 1000.0 < fall.back_at_milli.get() * 0.6;
    if fall.outage.is_none() && !seen.demand.settled.as_ref().is_some_and(deep) {
        return false;
    }
    // It rose as sharply as it fell: how far it must have come is the planner's to know.
    let lowest = known.doubt.fallen_milli.and_then(|lately| lately.into_iter().min());
    let back = seen.demand.newly_settled.iter().chain(&seen.demand.settled).any(|point| {
        let demand = point.value * 1000.0;
        let sharply = lowest.is_some_and(|lowest| demand * 0.8 >= lowest.get() - lowest.rounding());
        let back_at = fall.back_at_milli;
        let back = demand >= back_at.get() - back_at.rounding();
        point.value.is_finite() && (sharply || back)
    });
    !back
}

fn newest_end(seen: &Observation) -> Option<Timestamp> {
    let newest = seen.demand.provisional.last().or(seen.demand.settled.as_ref())?;
    Some(newest.start + seen.demand.step.span())
}

fn is_fresh(now: Timestamp, seen: &Observation) -> bool {
    let limit = seen.demand.settling.0.saturating_add(seen.demand.step.span().0.saturating_mul(3));
    newest_end(seen).is_some_and(|end| now.since(end).0 <= limit)
}

/// Demand now, where it is fresh and can be true.
fn fresh_demand(now: Timestamp, seen: &Observation) -> Option<f64> {
    let points = seen.demand.settled.iter().chain(&seen.demand.provisional);
    let sane = points.map(|point| point.value).filter(|v| (0.0..=1e15).contains(v));
    sane.reduce(f64::max).filter(|_| is_fresh(now, seen))
}

fn given(service: &ServicePolicy) -> Option<f64> {
    match service.pool.capacity_per_unit {
        CapacityPerUnit::Given(capacity) if capacity > 0.0 && capacity <= 1e15 => Some(capacity),
        _ => None,
    }
}

/// What is wrong with the data that a decrease stands on.
fn bad_data(
    now: Timestamp,
    service: &ServicePolicy,
    seen: &Observation,
    change: Change,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_fresh(now, seen) {
        wrong.push("shrinks on stale or absent demand".to_owned());
    }
    let Some(settled) = seen.demand.settled else {
        wrong.push("shrinks without a settled sample".to_owned());
        return wrong;
    };
    let points = || std::iter::once(&settled).chain(&seen.demand.provisional);
    if points().any(|point| !(0.0..=1e15).contains(&point.value)) {
        wrong.push("shrinks on a number that cannot be true".to_owned());
    }
    if points().last().is_some_and(|point| point.censored) {
        wrong.push("shrinks on a lower bound of demand".to_owned());
    }
    let (from, to) = (f64::from(change.from().0), f64::from(change.to().0));
    let most = from * (1.0 - seen.demand.missing.fraction());
    // To the nearest unit.
    if from - to > most + 0.5 + 1e-6 {
        wrong.push(format!("shrinks by {}, the metrics there justify {most:.2}", from - to));
    }
    let beyond_max = service.pool.max.is_some_and(|max| change.to() >= max);
    match (given(service), fresh_demand(now, seen), service.pool.capacity_per_unit) {
        (Some(_), Some(_), _) if beyond_max => {}
        (Some(capacity), Some(demand), _) if to * capacity < (demand - MILLI) * (1.0 - 1e-6) => {
            wrong.push(format!("shrinks to {to} units, {demand} a second do not fit"));
        }
        (None, _, CapacityPerUnit::Given(_)) => {
            wrong.push("shrinks without a capacity per unit".to_owned());
        }
        _ => {}
    }
    wrong
}

fn may_stop_growth(finding: &Finding) -> bool {
    match &finding.hold {
        Hold::KillSwitch { .. }
        | Hold::Owned { .. }
        | Hold::Suspended { .. }
        | Hold::SpendCeiling { .. }
        | Hold::SizedBy { .. }
        | Hold::Hours { .. }
        | Hold::Frozen { scope: FreezeScope::All, .. } => true,
        Hold::AtBound { bound, .. } => matches!(bound, Bound::PolicyMax | Bound::CloudMax),
        _ => false,
    }
}
