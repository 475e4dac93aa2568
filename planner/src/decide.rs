//! `plan`: the one function that decides.

use std::collections::BTreeMap;

use fleet::{
    AccountId, AccountKey, Change, FaultKind, GroupId, Place, ProviderName, ServiceName, Timestamp,
    Units,
};

use crate::cursor::Cursor;
use crate::floors::{Sources, lift};
use crate::guards::{Case, Docket, judge};
use crate::learn::learn;
use crate::masters::{masters, reached};
use crate::memory::{AWAY_KEPT, FleetMemory, Memory, OpenOrder, ServiceMemory};
use crate::plan::{Action, BudgetOf, Finding, Hold, Plan, What};
use crate::policy::{Mode, Policy};
use crate::sizing::wish;
use crate::snapshot::{NoAnswer, Observation, OrderOutcome, OrderResult, Snapshot};
use crate::stage::{self, Stage, Stages};
use crate::writes::written;
use crate::{guards, hours, outage};

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
///     undiscovered: BTreeMap::new(),
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
    let (mut fleet, mut stages) = (memory.fleet.clone(), memory.stages.clone());
    let mut findings = Vec::new();
    stage::take_requests(policy, snapshot, &memory.services, &mut stages, &mut findings);
    findings.extend(snapshot.undiscovered.iter().map(undiscovered));
    // By name, as policy, snapshot and memory are: nothing is looked up.
    let mut memories = Vec::with_capacity(policy.services.len());
    let mut wishes = Vec::with_capacity(snapshot.services.len());
    let others = others(policy, snapshot, memory);
    let bounded = hours::bounded(policy, snapshot, memory);
    let mut there = Cursor::over(&policy.services);
    let gone = memory.services.iter().filter(|(name, _)| there.at(name).is_none());
    let gone: Vec<&ServiceMemory> = gone.map(|(_, own)| own).collect();
    let mut looked = Cursor::over(&snapshot.services);
    let mut known = Cursor::over(&memory.services);
    for (name, service) in &policy.services {
        let (seen, own) = (looked.at(name), known.at(name).cloned());
        let Some(seen) = seen else {
            findings.push(held(name, Hold::Unobserved));
            memories.extend(own.map(|own| (name.clone(), own)));
            continue;
        };
        let mut own = own.unwrap_or_default();
        let (service, hours) =
            bounded.get(name).map_or((service, None), |(then, bound)| (then, Some(*bound)));
        if hours::is_closed(at, seen) {
            // What demand was before nothing served is nothing that it falls out of.
            own.bands.clear();
        }
        give_back(seen, &mut own, &mut fleet);
        let before = own.violations.totals();
        learn(stages.mode(policy, name, service), service, at, seen, &gone, &mut own);
        stage::regret(policy, at, (name, service, seen), before, &own, &mut stages);
        outage::look(at, policy.poll_interval, seen, &mut own);
        crate::learn::remember_band(seen, &mut own);
        match &seen.group {
            Ok(view) => match sized_by(view, others.get(name)) {
                Some(service) => findings.push(held(name, Hold::SizedBy { service })),
                None => {
                    let wish = wish(service, policy.poll_interval, at, view, seen, &own);
                    wishes.push((name, service, seen, view, wish, hours));
                }
            },
            Err(fault) => findings.push(held(name, Hold::GroupUnread { fault: fault.clone() })),
        }
        memories.push((name.clone(), own));
    }
    let outages = outage::shapes(policy, snapshot, &mut memories);
    let mut cases = Vec::with_capacity(wishes.len());
    let mut learned = Cursor::over(memories.iter_mut().map(|(name, own)| (&*name, own)));
    for (name, service, seen, view, mut wish, hours) in wishes {
        let Some(own) = learned.at(name) else { continue };
        let sources = Sources { events: &snapshot.floors, hours: &seen.hours };
        let lift = lift(&mut wish, sources, name, at);
        if lift.below(Units(u32::MAX)).is_some() {
            wish.proven = wish.grow_to;
        }
        let outage = outages.get(name).copied();
        let fell = outage.is_some() || outage::alone(own).is_some();
        if let Some(expected) = fell.then(|| own.proven.expected(at)).flatten() {
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
            mode: stages.mode(policy, name, service),
            shadow: in_shadow(policy, name, service, &stages),
            hours,
        };
        let wanted = wish.shrink_to;
        let doubtful = outage.is_some() || crate::doubt::limit(own).is_some();
        let sound = !doubtful && wish.no_decrease.is_none();
        let case = judge(&docket, wish);
        if sound {
            own.proven.record(at, wanted, size);
        }
        cases.push((case, own));
    }
    spend(policy, &mut cases);
    removals(policy, at, &mut cases, &mut fleet, &stages);
    let plan = assemble(at, cases, findings);
    let mut services: BTreeMap<_, _> = memories.into_iter().collect();
    services.extend(away(policy, memory, &stages, at));
    (plan, Memory { fleet, services, stages })
}

/// What is known of services that are away: nothing is decided by it, and it is there when they are
/// back. Of those that were taken back it stays for good: by it they are known under another name.
fn away<'a>(
    policy: &'a Policy,
    memory: &'a Memory,
    stages: &'a Stages,
    at: Timestamp,
) -> impl Iterator<Item = (ServiceName, ServiceMemory)> + 'a {
    let mut written = Cursor::over(&policy.services);
    let away = memory.services.iter().filter(move |(name, _)| written.at(name).is_none());
    let kept = away.filter(move |(name, own)| {
        let taken_back = stages.services.get(*name).is_some_and(|stage| stage.is_taken_back());
        let lately = own.last_known().is_some_and(|last| at.since(last) <= AWAY_KEPT);
        taken_back || lately
    });
    kept.map(|(name, own)| (name.clone(), own.clone()))
}

/// Services whose group another one sizes, each with that one.
fn others<'a>(
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    memory: &'a Memory,
) -> BTreeMap<&'a ServiceName, &'a ServiceName> {
    let mut looked = Cursor::over(&snapshot.services);
    let mut known = Cursor::over(&memory.services);
    let groups = policy.services.keys().filter_map(|name| {
        let (seen, own) = (looked.at(name), known.at(name));
        Some((name, reached(seen, own)?))
    });
    masters(groups)
}

/// Nobody's growth or removal waits for that.
fn undiscovered((place, why): (&Place, &NoAnswer)) -> Finding {
    let hold = Hold::Undiscovered { place: place.clone(), why: Box::new(why.clone()) };
    Finding { service: None, what: What::Noted, hold, sizing: None }
}

fn held(name: &ServiceName, hold: Hold) -> Finding {
    Finding { service: Some(name.clone()), what: What::Held, hold, sizing: None }
}

/// The other service that sizes a service's group: whoever looked says so, or it comes first.
fn sized_by(
    view: &crate::snapshot::GroupView,
    other: Option<&&ServiceName>,
) -> Option<ServiceName> {
    let marked = view.owner.as_ref().and_then(fleet::group::Owner::as_service);
    marked.or_else(|| other.map(|master| (*master).clone()))
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
        OrderResult::Moved { .. } | OrderResult::Stopped | OrderResult::Owned { .. } => false,
    }
}

fn account_of(id: &GroupId) -> AccountKey {
    AccountKey::of(&id.provider, &id.account)
}

/// The spend ceiling, the one limit across services that may stop an increase.
fn spend(policy: &Policy, cases: &mut [(Case<'_>, &mut ServiceMemory)]) {
    let Some(ceiling) = policy.spend_ceiling_usd_milli_hourly else { return };
    // In millionths of a US dollar an hour, so that cheap units count too.
    let price = |case: &Case<'_>| {
        let usd = case.service.pool.price_usd_hourly.and_then(crate::numbers::sane);
        usd.map(|usd| (usd * 1e6).round() as u128)
    };
    let spends = |case: &Case<'_>| price(case).unwrap_or(0) * u128::from(case.view.desired.0);
    let spent: u128 = cases.iter().map(|(case, _)| spends(case)).sum();
    let mut room = (u128::from(ceiling) * 1000).saturating_sub(spent);
    for (case, _) in cases {
        let (Some(change), Some(price)) = (case.change, price(case)) else { continue };
        if !change.is_increase() || price == 0 {
            continue;
        }
        let more = change.to().0 - change.from().0;
        let granted = u32::try_from(room / price).unwrap_or(u32::MAX).min(more);
        if !case.dry_run {
            room -= price * u128::from(granted);
        }
        cut(case, granted, || Hold::SpendCeiling { usd_milli_hourly: ceiling });
    }
}

/// Cuts a case's change to `granted` units, with its reason.
fn cut(case: &mut Case<'_>, granted: u32, hold: impl FnOnce() -> Hold) {
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
    case.findings.insert(place, Finding { service, what, hold: hold(), sizing });
}

fn is_decrease(change: Option<Change>) -> bool {
    change.is_some_and(|change| !change.is_increase())
}

/// What a decrease saves an hour: where no price is known, a unit counts a tenth of a dollar.
fn saving(case: &Case<'_>) -> f64 {
    let removed = case.change.map_or(0, |c| c.from().0.saturating_sub(c.to().0));
    let price = case.service.pool.price_usd_hourly.and_then(crate::numbers::sane);
    f64::from(removed) * price.unwrap_or(0.1)
}

/// The budgets of removals, largest saving first. A dry run is told of a breach and draws nothing.
fn removals(
    policy: &Policy,
    at: Timestamp,
    cases: &mut [(Case<'_>, &mut ServiceMemory)],
    fleet: &mut FleetMemory,
    stages: &Stages,
) {
    let mut accounts: BTreeMap<(&ProviderName, &AccountId), (u64, AccountKey)> = BTreeMap::new();
    let mut units = 0u64;
    for (Case { view, .. }, _) in cases.iter() {
        let size = u64::from(view.desired.0);
        let key = (&view.id.provider, &view.id.account);
        accounts.entry(key).or_insert_with(|| (0, account_of(&view.id))).0 += size;
        units += size;
    }
    let decreases = cases.iter().enumerate().filter(|(_, (case, _))| is_decrease(case.change));
    let mut order: Vec<(f64, usize)> = decreases.map(|(i, (case, _))| (saving(case), i)).collect();
    order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let budgets = &policy.budgets;
    // A dry run is shown what a copy would grant.
    let mut shown = fleet.clone();
    for (_, i) in order {
        let (case, memory) = &mut cases[i];
        let id = &case.view.id;
        let (account_units, account) = &accounts[&(&id.provider, &id.account)];
        let shared = if case.dry_run { &mut shown } else { &mut *fleet };
        let canary = stages.canary(case.name).filter(|_| !case.dry_run);
        // A canary loses a share of its budget, whatever its past says.
        let vouched = case.vouched.filter(|_| canary.is_none());
        let mut own = memory.removals;
        // What its hours ask for is its operator's own word.
        let by_hours = case.by_hours;
        // What an overshoot of ours added goes back without drawing on what others share, too.
        let surplus = memory.growth.surplus.0;
        let free = |change: Change| {
            let removed = change.from().0 - change.to().0;
            if by_hours {
                return removed;
            }
            let vouched = vouched.map_or(0, |size| change.from().0.saturating_sub(size.0));
            removed.min(vouched.max(surplus))
        };
        let group_size = case.view.desired.max(case.view.min).0.into();
        let of_group = budgets
            .group
            .map(|budget| canary.map_or(budget, |share| budget.part(share, group_size)));
        let mut limits = [
            (of_group, group_size, &mut own),
            (budgets.account, *account_units, shared.accounts.entry(account.clone()).or_default()),
            (budgets.fleet, units, &mut shared.removals),
        ];
        for (i, (budget, size, bucket)) in limits.iter().enumerate() {
            let (Some(budget), Some(change)) = (budget, case.change) else { continue };
            let left = bucket.left(budget, *size, at);
            let removed = change.from().0 - change.to().0;
            let drawn = left.0.min(removed - free(change));
            cut(case, free(change) + drawn, || {
                let mut after = **bucket;
                after.draw(budget, *size, at, Units(drawn));
                let refills_at = after.refills_at(budget, *size, at);
                let budget = match (i, canary) {
                    (0, Some(share)) => return Hold::Canary { share, left, refills_at },
                    (0, None) => BudgetOf::Group,
                    (1, _) => BudgetOf::Account(account.clone()),
                    _ => BudgetOf::Fleet,
                };
                Hold::OverBudget { budget, left, refills_at }
            });
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
    cases: Vec<(Case<'_>, &mut ServiceMemory)>,
    mut findings: Vec<Finding>,
) -> Plan {
    let (mut increases, mut decreases) = (Vec::new(), Vec::new());
    let by_name = findings.is_empty();
    findings.reserve(cases.iter().map(|(case, _)| case.findings.len()).sum());
    for (case, memory) in cases {
        let saving = saving(&case);
        findings.extend(case.findings);
        let Some(change) = case.change else { continue };
        if !case.dry_run {
            memory.orders.open = Some(OpenOrder { decision: None, change, at });
            if change.is_increase() {
                let unproven = change.to().0.saturating_sub(change.from().max(case.proven).0);
                memory.growth.surplus.0 = memory.growth.surplus.0.saturating_add(unproven);
            } else {
                memory.dwell = None;
            }
        }
        let action = Action {
            service: case.name.clone(),
            group: case.view.id.clone(),
            change,
            sizing: case.sizing,
            dry_run: case.dry_run,
        };
        if change.is_increase() { increases.push(action) } else { decreases.push((saving, action)) }
    }
    // Both are stable: alike ones stay by name, and a service's binding reason stays first.
    decreases.sort_by(|(a, _): &(f64, Action), (b, _)| b.total_cmp(a));
    if !by_name {
        findings.sort_by(|a, b| a.service.cmp(&b.service));
    }
    let actions = increases.into_iter().chain(decreases.into_iter().map(|(_, action)| action));
    Plan { actions: actions.collect(), findings }
}
