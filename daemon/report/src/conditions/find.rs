//! What a cycle says is wrong.

use std::collections::BTreeMap;

use fleet::alert::{Condition, Severity};
use fleet::names::NOWHERE;
use fleet::{AccountKey, Change, FaultKind, GroupRef, Seconds, ServiceName, Timestamp};
use journal::records::Promise;
use journal::records::conditions::{OpenConditions, Owed, ThreadKey};
use planner::Memory;
use planner::plan::{Bound, Hold};
use planner::policy::{Mode, Policy, ServicePolicy};
use planner::snapshot::{Disk, GroupView, KillSwitch, Observation, OrderResult};

use super::times::rings_after_cycles;
use super::{Assessment, Found, OF_NEAP, Trouble, Unknown};
use crate::{Turn, unread_of};

/// Orders that may pass the next time are told once they fail in so many cycles.
const PASSING_AFTER_CYCLES: u64 = 3;

/// A cycle that has ended, with all that it may be judged by.
pub struct Cycle<'a> {
    /// What was seen, decided and done.
    pub turn: &'a Turn,
    /// The policy in force.
    pub policy: &'a Policy,
    /// The memory it left.
    pub memory: &'a Memory,
    /// What the cloud said of each service's newest launch, where that failed.
    pub launches: &'a BTreeMap<ServiceName, String>,
}

/// What is wrong where a cycle could not be written down: of the rest nothing is known.
pub fn unwritten(fault: &impl ToString) -> Assessment {
    let why = Trouble::NotWritten(fault.to_string());
    let unknown = Unknown { all_but: Some(Condition::Journal), ..Unknown::default() };
    Assessment { found: vec![of_neap(Condition::Journal, Severity::Critical, why)], unknown }
}

/// What a cycle says is wrong, and of what it cannot tell. What groups are short of is noted in
/// `open`.
pub fn find(cycle: &Cycle<'_>, open: &mut OpenConditions) -> Assessment {
    let snapshot = &cycle.turn.snapshot;
    let mut told = Assessment::default();
    if let KillSwitch::Thrown { why } = &snapshot.kill_switch {
        let why = Trouble::Thrown(why.clone());
        told.found.push(of_neap(Condition::KillSwitch, Severity::Warning, why));
    }
    if snapshot.disk == Disk::ReserveOnly {
        told.found.push(of_neap(Condition::Journal, Severity::Critical, Trouble::ReserveOnly));
    }
    for (place, missing) in &snapshot.undiscovered {
        let provider = place.provider.to_string();
        let key = ThreadKey { of: Condition::Discovery, scope: provider.clone() };
        let (subject, severity) = (place.to_string(), Severity::Warning);
        let after_cycles = rings_after_cycles(Condition::Discovery);
        let why = Trouble::Undiscovered(missing.clone());
        told.found.push(Found { key, subject, severity, why, after_cycles });
        // Where groups are known, their services are in the policy.
        if missing.known_at.is_none() && !told.unknown.of_providers.contains(&provider) {
            told.unknown.of_providers.push(provider);
        }
    }
    told.unknown.known = cycle.policy.services.keys().map(ToString::to_string).collect();
    let holds = holds_by_service(cycle.turn);
    let results = results_by_service(cycle.turn);
    for (name, service) in &cycle.policy.services {
        let holds = holds.get(name).map_or(&[][..], Vec::as_slice);
        let results = results.get(name).map_or(&[][..], Vec::as_slice);
        let of = Of { cycle, name, service, holds, results };
        of.look(open, &mut told);
    }
    open.owed.retain(|name, _| cycle.policy.services.contains_key(name));
    told
}

fn of_neap(of: Condition, severity: Severity, why: Trouble) -> Found {
    let key = ThreadKey { of, scope: OF_NEAP.to_owned() };
    let after_cycles = rings_after_cycles(of);
    Found { key, subject: of.word().to_owned(), severity, why, after_cycles }
}

fn holds_by_service(turn: &Turn) -> BTreeMap<&ServiceName, Vec<&Hold>> {
    let mut holds: BTreeMap<&ServiceName, Vec<&Hold>> = BTreeMap::new();
    for finding in &turn.plan.findings {
        if let Some(name) = &finding.service {
            holds.entry(name).or_default().push(&finding.hold);
        }
    }
    holds
}

fn results_by_service(turn: &Turn) -> BTreeMap<&ServiceName, Vec<(Change, &OrderResult)>> {
    let mut results: BTreeMap<&ServiceName, Vec<(Change, &OrderResult)>> = BTreeMap::new();
    for (action, result) in &turn.results {
        results.entry(&action.service).or_default().push((action.change, result));
    }
    results
}

/// The account that a service's group is in, as people name it.
fn scope(group: &GroupRef) -> String {
    match group.account.as_str() {
        NOWHERE => group.provider.to_string(),
        _ => AccountKey::of(&group.provider, &group.account).to_string(),
    }
}

/// A service of a cycle.
struct Of<'a> {
    cycle: &'a Cycle<'a>,
    name: &'a ServiceName,
    service: &'a ServicePolicy,
    holds: &'a [&'a Hold],
    /// What became of its orders.
    results: &'a [(Change, &'a OrderResult)],
}

impl Of<'_> {
    fn look(&self, open: &mut OpenConditions, told: &mut Assessment) {
        let seen = self.cycle.turn.snapshot.services.get(self.name);
        let group = seen.and_then(|seen| seen.group.as_ref().ok());
        let blind = self.blind(seen);
        if group.is_none() || blind.is_some() {
            let of_demand =
                [Condition::OutageShape, Condition::DemandDoubted, Condition::AtMaximum];
            self.unknown(told, &of_demand);
        }
        if let Some(why) = blind {
            self.found(told, Condition::DemandUnknown, Severity::Warning, why);
        }
        self.orders(group.is_some(), told);
        match group {
            Some(view) if view.refresh.is_none() => self.short(view, open, told),
            _ => self.unknown(told, &[Condition::GroupShort]),
        }
        for hold in self.holds {
            match hold {
                Hold::OutageShape { .. } => {
                    let why = Trouble::Held((*hold).clone());
                    self.found(told, Condition::OutageShape, Severity::Critical, why);
                }
                Hold::FellAlone { .. } | Hold::Disagree { .. } => {
                    let why = Trouble::Held((*hold).clone());
                    self.found(told, Condition::DemandDoubted, Severity::Warning, why);
                }
                Hold::AtBound { bound: Bound::PolicyMax | Bound::CloudMax, .. }
                | Hold::SpendCeiling { .. } => {
                    let why = Trouble::Held((*hold).clone());
                    self.found(told, Condition::AtMaximum, Severity::Warning, why);
                }
                _ => {}
            }
        }
        let account = self.cycle.memory.services.get(self.name).map(|own| &own.violations);
        let promise = account.and_then(|account| Promise::of(self.service, account));
        if let Some(promise) = promise.filter(Promise::is_broken) {
            let why = Trouble::Missed(promise);
            self.found(told, Condition::PromiseUsedUp, Severity::Warning, why);
        }
    }

    /// Why its demand or its group is not known.
    fn blind(&self, seen: Option<&Observation>) -> Option<Trouble> {
        let blind = self.holds.iter().find(|hold| {
            matches!(
                hold,
                Hold::GroupUnread { .. }
                    | Hold::NoDemand { .. }
                    | Hold::DemandStale { .. }
                    | Hold::DemandIncomplete { .. }
                    | Hold::Unobserved
            )
        });
        let unread = || seen.and_then(unread_of).map(|fault| Trouble::Unread(fault.clone()));
        blind.map(|hold| Trouble::Held((*hold).clone())).or_else(unread)
    }

    fn orders(&self, group_read: bool, told: &mut Assessment) {
        for (change, result) in self.results.iter().copied() {
            let OrderResult::Failed { fault } = result else { continue };
            if fault.kind == FaultKind::Unconfirmed {
                continue;
            }
            let of = Condition::OrderRefused;
            let severity = match change.is_increase() {
                true => Severity::Critical,
                false => Severity::Warning,
            };
            let after_cycles = match &fault.kind {
                FaultKind::Denied { .. }
                | FaultKind::Refused
                | FaultKind::Missing
                | FaultKind::Unreadable => rings_after_cycles(of),
                _ => PASSING_AFTER_CYCLES,
            };
            let why = Trouble::Order { change, fault: fault.clone() };
            let found = self.as_found(of, severity, why);
            told.found.push(Found { after_cycles, ..found });
        }
        // While nothing is ordered nobody knows whether it would be refused.
        let is_stopped = self.holds.iter().any(|hold| {
            matches!(hold, Hold::KillSwitch { .. } | Hold::Frozen { .. } | Hold::DiskReserve)
        });
        if !group_read || is_stopped {
            self.unknown(told, &[Condition::OrderRefused]);
        }
    }

    /// What the group was told to have is due after its lead time, whatever it is told meanwhile.
    fn short(&self, view: &GroupView, open: &mut OpenConditions, told: &mut Assessment) {
        let now = self.cycle.turn.snapshot.taken_at;
        let owed = owed(open.owed.get(self.name), view, now);
        match owed {
            Some(owed) => open.owed.insert(self.name.clone(), owed),
            None => open.owed.remove(self.name),
        };
        let Some(owed) = owed else { return };
        let since = now.since(owed.since);
        if since <= self.lead_time() {
            return;
        }
        let cloud = self.cycle.launches.get(self.name).cloned();
        let why = Trouble::Short { told: owed.units, has: view.in_service, since, cloud };
        self.found(told, Condition::GroupShort, Severity::Warning, why);
    }

    fn lead_time(&self) -> Seconds {
        let memory = self.cycle.memory.services.get(self.name);
        let poll = self.cycle.policy.poll_interval;
        planner::window(&self.service.pool, memory, poll, Seconds::ZERO).lead_time
    }

    fn unknown(&self, told: &mut Assessment, all: &[Condition]) {
        told.unknown.by_name.extend(all.iter().map(|of| (*of, self.name.to_string())));
    }

    fn found(&self, told: &mut Assessment, of: Condition, severity: Severity, why: Trouble) {
        told.found.push(self.as_found(of, severity, why));
    }

    /// What is not acted upon wakes nobody.
    fn as_found(&self, of: Condition, severity: Severity, why: Trouble) -> Found {
        let Cycle { policy, memory, .. } = self.cycle;
        let acts = memory.stages.mode(policy, self.name, self.service) == Mode::Act;
        Found {
            key: ThreadKey { of, scope: scope(&self.service.pool.group) },
            subject: self.name.to_string(),
            severity: if acts { severity } else { Severity::Info },
            why,
            after_cycles: rings_after_cycles(of),
        }
    }
}

/// What a group is short of, and since when. What was owed and came is paid, though more was
/// ordered since: that is due a lead time after it was ordered.
pub(super) fn owed(before: Option<&Owed>, view: &GroupView, now: Timestamp) -> Option<Owed> {
    let fresh = Owed { units: view.desired, since: now };
    if view.in_service >= view.desired {
        return None;
    }
    match before {
        Some(before) if view.in_service < before.units => {
            Some(Owed { units: before.units.min(view.desired), since: before.since.min(now) })
        }
        _ => Some(fresh),
    }
}
