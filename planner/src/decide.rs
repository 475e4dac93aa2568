//! `plan`: the one function that decides.

use std::collections::BTreeMap;

use fleet::{
    AccountId, AccountKey, Change, FaultKind, GroupId, ProviderName, ServiceName, Timestamp, Units,
};

use crate::cursor::Cursor;
use crate::floors::lift;
use crate::guards::{Case, Docket, judge};
use crate::learn::{learn, written};
use crate::memory::{FleetMemory, Memory, OpenOrder, ServiceMemory};
use crate::plan::{Action, BudgetOf, Finding, Hold, Plan, What};
use crate::policy::{Mode, Policy};
use crate::sizing::wish;
use crate::snapshot::{Observation, OrderOutcome, OrderResult, Snapshot};
use crate::stage::{self, Stage, Stages};
use crate::{guards, outage};

/// Decides what to change now, and says why nothing else. Same arguments, same result, on every
/// machine.
///
/// The second value is the memory for the next cycle. It is to be kept whether or not the actions
/// are carried out; what became of them comes back in the next snapshot's outcomes.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use fleet::{Seconds, Timestamp};
/// use planner::policy::{Budgets, Mode, Policy};
/// use planner::snapshot::{Disk, KillSwitch, Snapshot};
/// use planner::stage::Promotion;
/// use planner::{Memory, check_plan, plan};
///
/// let policy = Policy {
///     mode: Mode::Act,
///     poll_interval: Seconds(60),
///     budgets: Budgets { group: None, account: None, fleet: None },
///     spend_ceiling_usd_milli_hourly: None,
///     services: BTreeMap::new(),
///     promotion: Promotion::default(),
/// };
/// let snapshot = Snapshot {
///     taken_at: Timestamp::parse("2026-03-02T12:00:00Z").expect("a time"),
///     kill_switch: KillSwitch::Clear,
///     freezes: Vec::new(),
///     floors: Vec::new(),
///     disk: Disk::Ample,
///     acknowledged: Vec::new(),
///     requests: Vec::new(),
///     services: BTreeMap::new(),
/// };
/// let memory = Memory::default();
///
/// // A fleet without services: nothing to do, twice the same, and nothing for the judge.
/// let (decided, after) = plan(&policy, &snapshot, &memory);
/// assert!(decided.actions.is_empty());
/// assert_eq!(plan(&policy, &snapshot, &memory), (decided.clone(), after));
/// assert!(check_plan(&policy, &snapshot, &memory, &decided).is_empty());
/// ```
pub fn plan(policy: &Policy, snapshot: &Snapshot, memory: &Memory) -> (Plan, Memory) {
    let at = snapshot.taken_at;
    let mut next = memory.clone();
    next.services.retain(|name, _| policy.services.contains_key(name));
    let mut findings = Vec::new();
    stage::take_requests(policy, snapshot, &mut next.stages, &mut findings);
    let mut looked = Cursor::over(&snapshot.services);
    for (name, service) in &policy.services {
        let Some(seen) = looked.at(name) else {
            findings.push(held(name, Hold::Unobserved));
            continue;
        };
        let own = next.services.entry(name.clone()).or_default();
        give_back(seen, own, &mut next.fleet);
        let before = own.violations.totals();
        learn(next.stages.mode(policy, name, service), service, at, seen, own);
        stage::regret(policy, snapshot, name, before, own, &mut next.stages);
        outage::look(at, policy.poll_interval, seen, own);
        crate::learn::remember_band(seen, own);
    }
    let outages = outage::shapes(policy, snapshot, &mut next.services);
    let mut cases = Vec::with_capacity(snapshot.services.len());
    let mut looked = Cursor::over(&snapshot.services);
    let mut memories = Cursor::over(&mut next.services);
    for (name, service) in &policy.services {
        let Some((seen, own)) = looked.at(name).zip(memories.at(name)) else { continue };
        let view = match &seen.group {
            Ok(view) => view,
            Err(fault) => {
                findings.push(held(name, Hold::GroupUnread { fault: fault.clone() }));
                continue;
            }
        };
        let mut wish = wish(service, policy.poll_interval, at, view, seen, own);
        let lift = lift(&mut wish, &snapshot.floors, name, at);
        if lift.below(Units(u32::MAX)).is_some() {
            wish.proven = wish.grow_to;
        }
        let outage = outages.get(name).copied();
        if let Some(expected) = own.proven.expected(at).filter(|_| outage.is_some()) {
            wish.raise(expected);
        }
        remember_wish(at, service, view, &wish, own);
        // Without any budget nothing waits for one, nor for the past to vouch.
        let size = own.proven.size(at);
        let vouched = size.filter(|_| policy.budgets.limit() && guards::is_trusted(at, seen, own));
        let docket = Docket {
            snapshot,
            name,
            service,
            view,
            seen,
            memory: own,
            outage,
            lift,
            vouched,
            mode: next.stages.mode(policy, name, service),
            shadow: in_shadow(policy, name, service, &next.stages),
        };
        let wanted = wish.shrink_to;
        let sound = outage.is_none() && wish.no_decrease.is_none();
        cases.push(judge(&docket, wish));
        if sound {
            own.proven.record(at, wanted, size);
        }
    }
    spend(policy, &mut cases);
    removals(policy, at, &mut cases, &mut next);
    let plan = assemble(at, cases, findings, &mut next);
    (plan, next)
}

fn held(name: &ServiceName, hold: Hold) -> Finding {
    Finding { service: Some(name.clone()), what: What::Held, hold, sizing: None }
}

/// Why a service that its configuration lets act does not, where that is so.
fn in_shadow(
    policy: &Policy,
    name: &ServiceName,
    service: &crate::policy::ServicePolicy,
    stages: &Stages,
) -> Option<Hold> {
    let may_act = policy.mode == Mode::Act && service.mode == Mode::Act;
    let memory = stages.service(name).filter(|memory| memory.stage == Stage::Shadow)?;
    may_act.then(|| Hold::Shadow { why: memory.why.clone(), since: memory.since })
}

/// What the wish leaves behind for later cycles.
fn remember_wish(
    at: Timestamp,
    service: &crate::policy::ServicePolicy,
    view: &crate::snapshot::GroupView,
    wish: &crate::sizing::Wish,
    memory: &mut ServiceMemory,
) {
    let current = written(service, view);
    let owned = current.0.saturating_sub(wish.proven.0);
    memory.growth.surplus = memory.growth.surplus.min(Units(owned));
    memory.dwell = guards::dwell(at, &service.pool, current, wish, memory);
    if wish.sizing.capacity_milli.is_some() {
        memory.ordered.record(at, wish.grow_to, crate::learn::LOG_KEPT);
    }
    if let Some(needed) = wish.sizing.needed_lead {
        memory.last_trusted = Some(needed);
    }
}

/// Removals that were drawn from the budgets and never happened.
fn give_back(seen: &Observation, memory: &mut ServiceMemory, fleet: &mut FleetMemory) {
    for outcome in &seen.outcomes {
        let drawn = memory.orders.open.as_ref().is_some_and(|open| open.change == outcome.change);
        if !drawn || outcome.change.is_increase() || took_effect(outcome) {
            continue;
        }
        let removed = outcome.change.from().0.saturating_sub(outcome.change.to().0);
        let units = Units(removed.saturating_sub(memory.proven.unbudgeted.0));
        memory.removals.give_back(units);
        fleet.removals.give_back(units);
        if let Some(id) = &memory.group
            && let Some(bucket) = fleet.accounts.get_mut(&account_of(id))
        {
            bucket.give_back(units);
        }
    }
}

/// Whether an order changed something, or may have.
fn took_effect(outcome: &OrderOutcome) -> bool {
    match &outcome.result {
        OrderResult::Applied | OrderResult::Contested { .. } => true,
        OrderResult::Unconfirmed { effect_seen } => *effect_seen != Some(false),
        OrderResult::Failed { fault } => fault.kind == FaultKind::Unconfirmed,
        OrderResult::Moved { .. } | OrderResult::Stopped => false,
    }
}

fn account_of(id: &GroupId) -> AccountKey {
    AccountKey::of(&id.provider, &id.account)
}

/// The spend ceiling, the one limit across services that may stop an increase.
fn spend(policy: &Policy, cases: &mut [Case<'_>]) {
    let Some(ceiling) = policy.spend_ceiling_usd_milli_hourly else { return };
    // In millionths of a US dollar an hour, so that cheap units count too.
    let price = |case: &Case<'_>| {
        let usd = case.service.pool.price_usd_hourly.and_then(crate::numbers::sane);
        usd.map(|usd| (usd * 1e6).round() as u128)
    };
    let spent: u128 =
        cases.iter().map(|case| price(case).unwrap_or(0) * u128::from(case.view.desired.0)).sum();
    let mut room = (u128::from(ceiling) * 1000).saturating_sub(spent);
    for case in cases.iter_mut() {
        let (Some(change), Some(price)) = (case.change, price(case)) else { continue };
        if !change.is_increase() || price == 0 {
            continue;
        }
        let more = change.to().0 - change.from().0;
        let granted = u32::try_from(room / price).unwrap_or(u32::MAX).min(more);
        if !case.dry_run {
            room -= price * u128::from(granted);
        }
        cut(case, granted, Hold::SpendCeiling { usd_milli_hourly: ceiling });
    }
}

/// Cuts a case's change to `granted` units, with its reason.
fn cut(case: &mut Case<'_>, granted: u32, hold: Hold) {
    let Some(change) = case.change else { return };
    let (from, wanted) = (change.from(), change.to());
    if granted >= from.0.abs_diff(wanted.0) {
        return;
    }
    let to = if change.is_increase() { Units(from.0 + granted) } else { Units(from.0 - granted) };
    let what = if granted == 0 { What::Held } else { What::Narrowed { wanted, to } };
    case.change = (granted > 0).then_some(match change {
        Change::Desired { .. } => Change::Desired { from, to },
        Change::Minimum { .. } => Change::Minimum { from, to },
    });
    if case.change.is_none() {
        case.findings.retain(|finding| !finding.hold.is_dry_run());
    }
    let (service, sizing) = (Some(case.name.clone()), Some(case.sizing.clone()));
    // Before what is only noted: the binding reason comes first.
    let place = case.findings.iter().take_while(|f| f.what != What::Noted).count();
    case.findings.insert(place, Finding { service, what, hold, sizing });
}

/// What a decrease saves an hour: where no price is known, a unit counts a tenth of a dollar.
fn saving(case: &Case<'_>) -> f64 {
    let removed = case.change.map_or(0, |c| c.from().0.saturating_sub(c.to().0));
    let price = case.service.pool.price_usd_hourly.and_then(crate::numbers::sane);
    f64::from(removed) * price.unwrap_or(0.1)
}

/// The budgets of removals, largest saving first. A dry run is told of a breach and draws nothing.
fn removals(policy: &Policy, at: Timestamp, cases: &mut [Case<'_>], next: &mut Memory) {
    let mut accounts: BTreeMap<(&ProviderName, &AccountId), u64> = BTreeMap::new();
    let mut fleet = 0u64;
    for case in cases.iter() {
        let size = u64::from(case.view.desired.0);
        *accounts.entry((&case.view.id.provider, &case.view.id.account)).or_default() += size;
        fleet += size;
    }
    let mut order: Vec<usize> = (0..cases.len())
        .filter(|&i| cases[i].change.is_some_and(|change| !change.is_increase()))
        .collect();
    order.sort_by(|&a, &b| saving(&cases[b]).total_cmp(&saving(&cases[a])).then(a.cmp(&b)));
    let budgets = &policy.budgets;
    // A dry run is shown what a copy would grant.
    let mut shown = next.fleet.clone();
    for i in order {
        let case = &mut cases[i];
        let id = &case.view.id;
        let account = account_of(id);
        let shared = if case.dry_run { &mut shown } else { &mut next.fleet };
        let canary = next.stages.canary(case.name).filter(|_| !case.dry_run);
        // A canary loses a share of its budget, whatever its past says.
        let vouched = case.vouched.filter(|_| canary.is_none());
        let Some(memory) = next.services.get_mut(case.name) else { continue };
        let mut own = memory.removals;
        // What an overshoot of ours added goes back without drawing on what others share, too.
        let surplus = memory.growth.surplus.0;
        let free = |change: Change| {
            let removed = change.from().0 - change.to().0;
            let vouched = vouched.map_or(0, |size| change.from().0.saturating_sub(size.0));
            removed.min(vouched.max(surplus))
        };
        let group_size = case.view.desired.max(case.view.min).0.into();
        let of_group = budgets
            .group
            .map(|budget| canary.map_or(budget, |share| budget.part(share, group_size)));
        let mut limits = [
            (of_group, group_size, &mut own),
            (
                budgets.account,
                accounts[&(&id.provider, &id.account)],
                shared.accounts.entry(account.clone()).or_default(),
            ),
            (budgets.fleet, fleet, &mut shared.removals),
        ];
        let whose = [BudgetOf::Group, BudgetOf::Account(account), BudgetOf::Fleet];
        for ((budget, size, bucket), of) in limits.iter().zip(whose) {
            let (Some(budget), Some(change)) = (budget, case.change) else { continue };
            let left = bucket.left(budget, *size, at);
            let removed = change.from().0 - change.to().0;
            let drawn = left.0.min(removed - free(change));
            let mut after = **bucket;
            after.draw(budget, *size, at, Units(drawn));
            let refills_at = after.refills_at(budget, *size, at);
            let hold = match (canary, &of) {
                (Some(share), BudgetOf::Group) => Hold::Canary { share, left, refills_at },
                _ => Hold::OverBudget { budget: of, left, refills_at },
            };
            cut(case, free(change) + drawn, hold);
        }
        let Some(change) = case.change else { continue };
        let unbudgeted = Units(free(change));
        let removed = Units(change.from().0 - change.to().0 - unbudgeted.0);
        for (budget, size, bucket) in &mut limits {
            if let Some(budget) = budget {
                bucket.draw(budget, *size, at, removed);
            }
        }
        if !case.dry_run {
            memory.removals = own;
            memory.proven.unbudgeted = unbudgeted;
        }
    }
}

/// Orders the actions, and notes the real ones as open.
fn assemble(
    at: Timestamp,
    mut cases: Vec<Case<'_>>,
    mut findings: Vec<Finding>,
    next: &mut Memory,
) -> Plan {
    cases.sort_by(|a, b| {
        let decrease = |case: &Case<'_>| case.change.is_some_and(|change| !change.is_increase());
        let (a_down, b_down) = (decrease(a), decrease(b));
        let by_saving = if a_down && b_down {
            saving(b).total_cmp(&saving(a))
        } else {
            std::cmp::Ordering::Equal
        };
        a_down.cmp(&b_down).then(by_saving).then_with(|| a.name.cmp(b.name))
    });
    let mut actions = Vec::new();
    for case in cases {
        findings.extend(case.findings);
        let Some(change) = case.change else { continue };
        if let (false, Some(memory)) = (case.dry_run, next.services.get_mut(case.name)) {
            memory.orders.open = Some(OpenOrder { decision: None, change, at });
            if change.is_increase() {
                let unproven = change.to().0.saturating_sub(change.from().max(case.proven).0);
                memory.growth.surplus.0 = memory.growth.surplus.0.saturating_add(unproven);
            } else {
                memory.dwell = None;
            }
        }
        actions.push(Action {
            service: case.name.clone(),
            group: case.view.id.clone(),
            change,
            sizing: case.sizing,
            dry_run: case.dry_run,
        });
    }
    // Stable: within a service the binding reason stays first.
    findings.sort_by(|a, b| a.service.cmp(&b.service));
    Plan { actions, findings }
}
