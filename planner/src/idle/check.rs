//! The checker: judges any plan by the promises alone, without looking at how it was made.

use std::collections::BTreeMap;
use std::fmt;

use fleet::comeback::DiskKeys;
use fleet::resource::{Fact, Facts, Power, Purchase, ResourceId, ResourceKind, Subject};
use fleet::stop::StopMode;
use fleet::{Seconds, Timestamp};

use super::comeback::is_of_the_rest;
use super::evidence::Verdict;
use super::memory::{Approval, IdleMemory, REVISION, Scope};
use super::plan::{Because, IdlePlan, PowerAction, Verb};
use super::rule::{IdlePolicy, IdleRule, RuleMode, ScheduleRule};
use super::snapshot::{Ask, IdleSnapshot, Request, Seen};
use super::terms::{is_of, of_switch};
use crate::policy::Mode;
use crate::snapshot::{Disk, KillSwitch};

/// A promise that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleViolation {
    /// Of which resource, where it is one's.
    pub resource: Option<ResourceId>,
    /// Which promise, and how.
    pub what: String,
}

impl fmt::Display for IdleViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            Some(id) => write!(f, "{id}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Every promise that `plan`, made from `snapshot` and `before`, breaks.
pub fn check_idle(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    before: &IdleMemory,
    plan: &IdlePlan,
) -> Vec<IdleViolation> {
    let mut found = Vec::new();
    let mut told: Vec<&ResourceId> = plan.actions.iter().map(|action| &action.resource).collect();
    told.sort_unstable();
    for pair in told.windows(2).filter(|pair| pair[0] == pair[1]) {
        found.push(of(pair[0], "two orders at once"));
    }
    for action in &plan.actions {
        let Some(seen) = snapshot.seen.iter().find(|s| s.resource.id == action.resource) else {
            found.push(of(&action.resource, "an order to a resource that was not seen"));
            continue;
        };
        let mut broken = Vec::new();
        global(policy, snapshot, action, &mut broken);
        if let Verb::Stop(_) = action.verb {
            stop(policy, snapshot, before, action, seen, &mut broken);
        } else if !matches!(seen.resource.power, Power::Stopped { .. }) {
            broken.push("started though it is not stopped".to_owned());
        }
        found.extend(broken.iter().map(|what| of(&action.resource, what)));
    }
    let writes = snapshot.kill_switch == KillSwitch::Clear && policy.mode == Mode::Act;
    found.extend(
        plan.tags.iter().filter(|_| !writes).map(|tag| of(&tag.resource, "a tag is written")),
    );
    found.extend(silent(snapshot, plan));
    found.extend(radius(policy, snapshot, before, plan));
    found
}

fn of(id: &ResourceId, what: &str) -> IdleViolation {
    IdleViolation { resource: Some(id.clone()), what: what.to_owned() }
}

fn global(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    action: &PowerAction,
    broken: &mut Vec<String>,
) {
    if snapshot.kill_switch != KillSwitch::Clear {
        broken.push("an order while the kill switch is thrown".to_owned());
    }
    if policy.mode != Mode::Act {
        broken.push("an order in mode observe".to_owned());
    }
    if matches!(action.verb, Verb::Stop(_)) && snapshot.disk == Disk::ReserveOnly {
        broken.push("a stop while the disk is full".to_owned());
    }
}

fn stop(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    before: &IdleMemory,
    action: &PowerAction,
    seen: &Seen,
    broken: &mut Vec<String>,
) {
    let resource = &seen.resource;
    if resource.power != Power::Running {
        broken.push("stopped though it does not run".to_owned());
    }
    let protect = resource.tags.get(&policy.protect_tag);
    if protect.is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
        broken.push("stopped in spite of the protecting tag".to_owned());
    }
    if policy.own_host.as_ref() == Some(&resource.id.id) {
        broken.push("stopped the host of neap".to_owned());
    }
    match &resource.subject {
        Subject::Machine(facts) => protections(facts, broken),
        Subject::Part(_) => broken.push("stopped what has no power".to_owned()),
    }
    match &action.because {
        Because::Idle { rule } => match policy.rules.iter().find(|r| r.name == *rule) {
            Some(rule) => by_rule(policy, snapshot, before, seen, rule, broken),
            None => broken.push("stopped by a rule that is not there".to_owned()),
        },
        Because::Schedule { rule, switch } => {
            let rule = policy.schedules.iter().find(|r| r.name == *rule);
            if rule.is_none_or(|rule| !rule.opt_in.holds(&resource.tags)) {
                broken.push("stopped by a schedule without the owner's tag".to_owned());
            }
            if rule.is_none_or(|rule| !rule.mode.acts()) {
                broken.push("stopped by a schedule that only observes".to_owned());
            }
            if let (Some(rule), Verb::Stop(mode)) = (rule, action.verb)
                && !agreed_to_switch((snapshot, before), seen, rule, mode)
            {
                broken.push("stopped by a schedule without a person's agreement".to_owned());
            }
            let view = seen.schedule.as_ref();
            if view.is_none_or(|view| view.is_up(snapshot.taken_at) != Some(false)) || switch.up {
                broken.push("stopped while its schedule does not say so".to_owned());
            }
        }
        Because::Wake { .. } => broken.push("stopped by a wake".to_owned()),
    }
}

fn protections(facts: &Facts, broken: &mut Vec<String>) {
    let mut must = |name: &str, safe: Option<bool>| match safe {
        Some(true) => {}
        Some(false) => broken.push(format!("stopped in spite of: {name}")),
        None => broken.push(format!("stopped without knowing: {name}")),
    };
    let no = |fact: &Fact<bool>| fact.known().map(|yes| !yes);
    must("scaling group", facts.scaling_group.known().map(Option::is_none));
    must("target group", facts.targets.known().map(Vec::is_empty));
    must("local disk", no(&facts.local_disk));
    must("forwarding", no(&facts.forwards_traffic));
    must("stop protection", no(&facts.stop_protected));
    must("termination protection", no(&facts.termination_protected));
    must("alarm", facts.alarms.known().map(Vec::is_empty));
    let usable = |keys: &DiskKeys| *keys == DiskKeys::Usable;
    must("disk keys", Some(facts.comeback.keys.known().is_none_or(usable)));
    must("replica", facts.replica.known().map(Option::is_none));
    let ends = Purchase::Spot { terminates: true };
    must("spot", facts.purchase.known().map(|purchase| *purchase != ends));
}

/// Time spent looking by now: a look that came late adds nothing.
fn watched(policy: &IdlePolicy, snapshot: &IdleSnapshot, before: &IdleMemory) -> Seconds {
    let watch = &before.watch;
    let on_time = |before: &Timestamp| {
        *before <= snapshot.taken_at
            && snapshot.taken_at.since(*before).0 <= policy.interval.0.saturating_mul(3)
    };
    let passed = watch.looked_at.filter(on_time).map_or(0, |at| snapshot.taken_at.since(at).0);
    Seconds(watch.watched.0.saturating_add(passed))
}

fn by_rule(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    before: &IdleMemory,
    seen: &Seen,
    rule: &IdleRule,
    broken: &mut Vec<String>,
) {
    let resource = &seen.resource;
    if !rule.opt_in.holds(&resource.tags) {
        broken.push("stopped without the owner's tag".to_owned());
    }
    if !rule.select.selects(resource) {
        broken.push("stopped by a rule that does not select it".to_owned());
    }
    // What the cloud started by itself rests again under the same agreement.
    let again = before.cares.get(&resource.id).and_then(|care| care.rests_again());
    let idle = seen.evidence.as_ref().is_some_and(|evidence| match again {
        Some(since) => is_of_the_rest(evidence, since),
        None => evidence.verdict == Verdict::AlwaysIdle,
    });
    if !idle {
        broken.push("stopped though it is not idle by the evidence".to_owned());
    }
    if !rule.mode.acts() {
        broken.push("stopped by a rule that only observes".to_owned());
    }
    let person = rule.mode == RuleMode::Approve || resource.id.kind == ResourceKind::Database;
    let mark = before.cares.get(&resource.id).and_then(|care| care.mark.as_ref());
    let Some(mark) = mark.filter(|mark| is_of(mark, resource, rule, REVISION)) else {
        if rule.grace.0 > 0 {
            broken.push("stopped without a mark".to_owned());
        }
        if person {
            broken.push("stopped without a person's agreement to this rule".to_owned());
        }
        return;
    };
    let watched = watched(policy, snapshot, before);
    if watched.0.saturating_sub(mark.at_watched.0) < rule.grace.0 {
        broken.push("stopped in grace".to_owned());
    }
    if person && !is_given(&mark.approval, snapshot) {
        broken.push("stopped without a person's agreement".to_owned());
    }
}

/// Whether somebody has agreed, by now.
fn is_given(approval: &Approval, snapshot: &IdleSnapshot) -> bool {
    let asked_now =
        |request: &Request| matches!(&request.ask, Ask::Approve { id } if *id == approval.id);
    approval.given.is_some() || snapshot.requests.iter().any(asked_now)
}

/// What a schedule's stop needs of a person, it has for this very span of time.
fn agreed_to_switch(
    (snapshot, before): (&IdleSnapshot, &IdleMemory),
    seen: &Seen,
    rule: &ScheduleRule,
    mode: StopMode,
) -> bool {
    let id = &seen.resource.id;
    if id.kind != ResourceKind::Database && rule.mode != RuleMode::Approve {
        return true;
    }
    let Some(view) = seen.schedule.as_ref() else { return false };
    // What the cloud started by itself in the same span goes down again by what was kept of its stop.
    let care = before.cares.get(id);
    let kept = care.and_then(|care| care.stopped.as_ref()?.kept.asked.as_ref());
    let asked = care.and_then(|care| care.asked.as_ref()).or(kept);
    let names = of_switch(REVISION, (&seen.resource, mode), (rule, view), snapshot.taken_at);
    asked.is_some_and(|asked| names.contains(&asked.id) && is_given(asked, snapshot))
}

/// Silence is a fault: every resource with a rule or schedule has a finding.
fn silent(snapshot: &IdleSnapshot, plan: &IdlePlan) -> Vec<IdleViolation> {
    let found: std::collections::BTreeSet<&ResourceId> =
        plan.findings.iter().filter_map(|finding| finding.resource.as_ref()).collect();
    let acted: std::collections::BTreeSet<&ResourceId> =
        plan.actions.iter().map(|action| &action.resource).collect();
    let named = snapshot.seen.iter().filter(|s| s.rule.is_some() || s.schedule.is_some());
    let mut silent: Vec<IdleViolation> = named
        .filter(|seen| !found.contains(&seen.resource.id))
        .map(|seen| of(&seen.resource.id, "no finding"))
        .collect();
    let without_reason = plan.findings.iter().filter(|finding| {
        finding.holds.is_empty() && finding.resource.as_ref().is_some_and(|id| !acted.contains(id))
    });
    silent.extend(without_reason.map(|finding| IdleViolation {
        resource: finding.resource.clone(),
        what: "nothing is done and no reason is given".to_owned(),
    }));
    silent
}

fn radius(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    before: &IdleMemory,
    plan: &IdlePlan,
) -> Vec<IdleViolation> {
    let mut found = Vec::new();
    let now = snapshot.taken_at;
    let mut counts: BTreeMap<Scope, u32> = BTreeMap::new();
    for action in plan.actions.iter().filter(|a| matches!(a.verb, Verb::Stop(_))) {
        let Because::Idle { rule } = &action.because else { continue };
        let id = &action.resource;
        let (provider, account) = (id.provider.clone(), id.account.clone());
        let of_rule = Scope::Rule {
            rule: rule.clone(),
            provider: provider.clone(),
            account: account.clone(),
        };
        for scope in [Scope::Account { provider, account }, of_rule] {
            *counts.entry(scope).or_default() += 1;
        }
    }
    for (scope, count) in counts {
        let (account, radius) = match &scope {
            Scope::Rule { rule, provider, account } => {
                let rule = policy.rules.iter().find(|r| r.name == *rule);
                let account =
                    Scope::Account { provider: provider.clone(), account: account.clone() };
                (account, rule.map(|rule| rule.radius))
            }
            other => (other.clone(), Some(policy.account_radius)),
        };
        let Some(radius) = radius else { continue };
        let population = snapshot.population.get(&account).copied().unwrap_or(0);
        for (cap, span) in [(radius.hour, Seconds::hours(1)), (radius.day, Seconds::days(1))] {
            let past = before.stops.get(&scope).map_or(&[][..], Vec::as_slice);
            // A stop that did not happen may have given back its part since.
            let undone = snapshot.outcomes.iter().filter(|outcome| {
                !outcome.up && !matches!(outcome.result, super::snapshot::PowerResult::Taken)
            });
            let recent = past.iter().filter(|at| **at > now - span).count();
            let recent = recent.saturating_sub(undone.count());
            let all = u32::try_from(recent).unwrap_or(u32::MAX).saturating_add(count);
            if all > cap.of(population) {
                found.push(IdleViolation {
                    resource: None,
                    what: format!(
                        "{all} stops in {scope:?} within {span}, {} allowed",
                        cap.of(population)
                    ),
                });
            }
        }
    }
    found
}
