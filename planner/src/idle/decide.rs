//! One look at the resources: what to stop and start now, and why nothing else.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::{Alert, Severity};
use fleet::resource::{Power, ResourceId};
use fleet::{RuleName, Seconds, Timestamp};

use super::memory::{Care, IdleMemory, Open, REVISION, RuleMemory, Scope};
use super::plan::{FoundBy, IdleFinding, IdleHold, IdlePlan, Stage, Verb};
use super::radius::{self, Due};
use super::rule::{IdlePolicy, IdleRule, ScheduleRule};
use super::scheduled::Queue;
use super::snapshot::{IdleSnapshot, Seen};
use crate::policy::FreezeScope;
use crate::snapshot::{Disk, KillSwitch};

/// Looks that must have come at the usual interval before anything is stopped.
const STEADY_LOOKS: u64 = 3;
/// And how long that must be at least.
const STEADY_LEAST: Seconds = Seconds::minutes(15);
/// A look this many intervals late is a jump of the clock or of the daemon.
const LATE_INTERVALS: u64 = 3;
/// A rule that finds so many times what it did, and at least so many more, is held.
const SURGE_TIMES: u32 = 10;
const SURGE_LEAST: u32 = 20;

/// What to stop and start now, why nothing else, and what to remember.
///
/// `snapshot.seen` holds every resource that has a care in `memory`, unless it is gone or its
/// listing failed.
pub fn plan(
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    memory: &IdleMemory,
) -> (IdlePlan, IdleMemory) {
    plan_of(REVISION, policy, snapshot, memory)
}

/// What the rules of a revision up to [`REVISION`] make of a look: for recorded ones that are
/// computed again.
pub fn plan_of(
    revision: u32,
    policy: &IdlePolicy,
    snapshot: &IdleSnapshot,
    memory: &IdleMemory,
) -> (IdlePlan, IdleMemory) {
    let mut look = Look {
        revision,
        policy,
        snapshot,
        now: snapshot.taken_at,
        memory: memory.clone(),
        plan: IdlePlan::default(),
        stop_holds: Vec::new(),
        start_holds: Vec::new(),
        queues: BTreeMap::new(),
    };
    look.watch();
    look.rules();
    look.outcomes();
    look.requests();
    look.forget_the_gone();
    look.global_holds();
    let mut due = Vec::new();
    for seen in &snapshot.seen {
        look.observe(seen);
    }
    look.queues();
    for seen in &snapshot.seen {
        due.extend(look.decide(seen));
    }
    let (mut starts, stops): (Vec<Due>, Vec<Due>) =
        due.into_iter().partition(|due| due.action.verb == Verb::Start);
    starts.sort_by_key(|due| due.order);
    look.act(starts);
    let stops = radius::within(&mut look, stops);
    look.act(stops);
    look.plan.findings.sort_by(|a, b| (&a.resource, &a.rule).cmp(&(&b.resource, &b.rule)));
    (look.plan, look.memory)
}

/// Where the findings of each resource lie in a plan.
pub(super) type Places = BTreeMap<ResourceId, Vec<usize>>;

/// A look in the making.
pub(super) struct Look<'a> {
    /// The revision of the rules that it is made by.
    pub revision: u32,
    pub policy: &'a IdlePolicy,
    pub snapshot: &'a IdleSnapshot,
    pub now: Timestamp,
    pub memory: IdleMemory,
    pub plan: IdlePlan,
    /// What keeps anything from being stopped.
    pub stop_holds: Vec<IdleHold>,
    /// What keeps anything from being started.
    pub start_holds: Vec<IdleHold>,
    /// Who waits for whom.
    pub queues: BTreeMap<RuleName, Queue<'a>>,
}

impl Look<'_> {
    fn watch(&mut self) {
        let (now, usual) = (self.now, self.policy.interval);
        let watch = &mut self.memory.watch;
        let late = Seconds(usual.0.saturating_mul(LATE_INTERVALS));
        match watch.looked_at {
            Some(before) if before <= now && now.since(before) <= late => {
                watch.watched = Seconds(watch.watched.0 + now.since(before).0);
            }
            _ => watch.steady_since = Some(now),
        }
        watch.looked_at = Some(now);
    }

    fn rules(&mut self) {
        let watched = self.memory.watch.watched;
        let policy = self.policy;
        let idle = policy.rules.iter().map(|rule| &rule.name);
        let names: Vec<&RuleName> =
            idle.chain(policy.schedules.iter().map(|schedule| &schedule.name)).collect();
        self.memory.rules.retain(|name, _| names.contains(&name));
        for name in names {
            let new = || RuleMemory { since_watched: watched, ..RuleMemory::default() };
            let matched = self.snapshot.matched.get(name).copied().unwrap_or(0);
            let rule = self.memory.rules.entry(name.clone()).or_insert_with(new);
            rule.count(matched, self.now);
        }
    }

    /// Drops what is known of resources that are gone; keeps it where nobody could look.
    fn forget_the_gone(&mut self) {
        let unread = &self.snapshot.unread;
        let seen: BTreeSet<&ResourceId> =
            self.snapshot.seen.iter().map(|seen| &seen.resource.id).collect();
        let gone: Vec<ResourceId> = self
            .memory
            .cares
            .keys()
            .filter(|id| !seen.contains(id) && !unread.iter().any(|list| list.concerns(id)))
            .cloned()
            .collect();
        for id in gone {
            let Some(care) = self.memory.cares.remove(&id) else { continue };
            if let Some(mark) = care.mark {
                self.find(&id, &mark.rule, Stage::Kept, vec![IdleHold::Gone]);
            }
        }
    }

    fn global_holds(&mut self) {
        if let KillSwitch::Thrown { why } = &self.snapshot.kill_switch {
            self.stop_holds.push(IdleHold::KillSwitch(why.clone()));
            self.start_holds.push(IdleHold::KillSwitch(why.clone()));
        }
        if self.policy.mode == crate::policy::Mode::Observe {
            self.stop_holds.push(IdleHold::ObserveMode);
            self.start_holds.push(IdleHold::ObserveMode);
        }
        // A freeze that names services is theirs.
        for freeze in self.snapshot.freezes.iter().filter(|freeze| freeze.services.is_empty()) {
            let hold = IdleHold::Frozen { name: freeze.name.clone(), until: freeze.until };
            if freeze.scope == FreezeScope::All {
                self.start_holds.push(hold.clone());
            }
            self.stop_holds.push(hold);
        }
        if self.snapshot.disk == Disk::ReserveOnly {
            self.stop_holds.push(IdleHold::DiskFull);
        }
        let wait = Seconds(self.policy.interval.0.saturating_mul(STEADY_LOOKS)).max(STEADY_LEAST);
        let since = self.memory.watch.steady_since.unwrap_or(self.now);
        if self.now.since(since) < wait {
            self.stop_holds.push(IdleHold::NotSteady { since, until: since + wait });
        }
    }

    fn decide(&mut self, seen: &Seen) -> Option<Due> {
        let id = &seen.resource.id;
        let policy = self.policy;
        let schedule = seen.schedule.as_ref().and_then(|view| {
            let rule = policy.schedules.iter().find(|rule| rule.name == view.rule)?;
            Some((rule, view))
        });
        let rule =
            seen.rule.as_ref().and_then(|name| policy.rules.iter().find(|r| r.name == *name));
        self.void_mark(seen, rule);
        let mut due = None;
        match (self.woken(seen), schedule) {
            (Some(wanted), schedule) => {
                if let Some((rule, view)) = schedule {
                    // It has its start by the wake, or waits for the same.
                    let (up, next) = (view.is_up(self.now) == Some(true), view.next(self.now));
                    let holds = wanted.as_ref().err().cloned().unwrap_or_default();
                    self.find(id, &rule.name, Stage::OnSchedule { up, next }, holds);
                }
                due = wanted.ok();
            }
            (None, Some((rule, view))) => due = self.scheduled(seen, rule, view),
            (None, None) => {}
        }
        if let Some(rule) = rule {
            let wanted = self.idle(seen, rule, schedule);
            due = due.or(wanted);
        }
        due
    }

    /// Puts orders into the plan and remembers that they are open.
    fn act(&mut self, due: Vec<Due>) {
        for due in due {
            let up = due.action.verb == Verb::Start;
            let drawn = if up { Vec::new() } else { due.scopes };
            for scope in &drawn {
                self.memory.stops.entry(scope.clone()).or_default().push(self.now);
            }
            let care = self.memory.cares.entry(due.action.resource.clone()).or_default();
            care.open = Some(Open { up, at: self.now, drawn });
            self.plan.actions.push(due.action);
        }
    }

    /// Notes where a resource stands by a rule; what is noted later of the same replaces it.
    pub(super) fn find(
        &mut self,
        id: &ResourceId,
        by: impl Into<FoundBy>,
        stage: Stage,
        holds: Vec<IdleHold>,
    ) {
        let by = by.into();
        let findings = &mut self.plan.findings;
        // Findings of one resource lie at the end: the next one begins when all are noted.
        let known = findings
            .iter_mut()
            .rev()
            .take(4)
            .find(|f| f.resource.as_ref() == Some(id) && f.rule == by);
        match known {
            Some(known) => (known.stage, known.holds) = (stage, holds),
            None => findings.push(IdleFinding {
                resource: Some(id.clone()),
                rule: by,
                stage,
                holds,
                risk: None,
            }),
        }
    }

    /// Holds an order that was found due, by everything that was about to give it.
    pub(super) fn hold(&mut self, places: &Places, due: &Due, hold: &IdleHold) {
        for place in places.get(&due.action.resource).into_iter().flatten() {
            let Some(finding) = self.plan.findings.get_mut(*place) else { continue };
            if finding.rule == due.rule {
                finding.stage = due.otherwise.clone();
                finding.holds.push(hold.clone());
            } else if matches!(finding.stage, Stage::Acting(Verb::Stop(_))) {
                finding.stage = Stage::Candidate;
                finding.holds.push(hold.clone());
            }
        }
    }

    /// Where the findings of resources lie.
    pub(super) fn places(&self, due: &[Due]) -> Places {
        let mut places: Places =
            due.iter().map(|due| (due.action.resource.clone(), Vec::new())).collect();
        for (place, finding) in self.plan.findings.iter().enumerate() {
            let of = finding.resource.as_ref().and_then(|id| places.get_mut(id));
            if let Some(of) = of {
                of.push(place);
            }
        }
        places
    }

    pub(super) fn alert(
        &mut self,
        severity: Severity,
        about: &str,
        seen: Option<&Seen>,
        title: String,
        lines: Vec<String>,
    ) {
        let subject = seen.map(|seen| seen.resource.id.to_string());
        let of = subject.as_deref().unwrap_or("fleet");
        self.plan.alerts.push(Alert {
            key: format!("idle/{about}/{of}"),
            severity,
            at: self.now,
            title,
            lines,
            owner: seen.and_then(|seen| self.owner(seen)),
            subject,
        });
    }

    fn owner(&self, seen: &Seen) -> Option<String> {
        let rule = self.policy.rules.iter().find(|rule| seen.rule.as_ref() == Some(&rule.name))?;
        seen.resource.tags.get(rule.owner_tag.as_ref()?).cloned()
    }

    pub(super) fn care(&mut self, id: &ResourceId) -> &mut Care {
        self.memory.cares.entry(id.clone()).or_default()
    }

    /// The scopes whose caps a stop by an idle rule draws on.
    pub(super) fn scopes(&self, seen: &Seen, rule: &IdleRule) -> Vec<Scope> {
        let id = &seen.resource.id;
        let mut scopes = vec![
            Scope::Account { provider: id.provider.clone(), account: id.account.clone() },
            rule_scope(&rule.name, id),
        ];
        let value = rule.group_tag.as_ref().and_then(|key| seen.resource.tags.get(key));
        scopes.extend(
            value.map(|value| Scope::Tag { rule: rule.name.clone(), value: value.clone() }),
        );
        scopes
    }

    /// Whether a rule finds so much more than it did that a person should look first.
    pub(super) fn surge(&self, rule: &RuleName) -> Option<IdleHold> {
        let memory = self.memory.rules.get(rule)?;
        let (matched, before) = (memory.matched?.1, memory.matched_before?);
        (memory.surges() && !memory.is_released(self.now))
            .then_some(IdleHold::Surge { matched, before })
    }
}

/// A rule in an account.
pub(super) fn rule_scope(rule: &RuleName, id: &ResourceId) -> Scope {
    let (provider, account) = (id.provider.clone(), id.account.clone());
    Scope::Rule { rule: rule.clone(), provider, account }
}

/// The scopes whose caps a stop by a schedule draws on.
pub(super) fn schedule_scopes(seen: &Seen, rule: &ScheduleRule) -> Vec<Scope> {
    vec![rule_scope(&rule.name, &seen.resource.id)]
}

impl RuleMemory {
    fn count(&mut self, matched: u32, now: Timestamp) {
        let day = now.utc_day();
        match self.matched {
            None => self.matched_before = Some(matched),
            Some((before, most)) if before < day => {
                // A day of surge is not what the next is measured by, until somebody looked.
                if !self.surges() || self.is_released(now) {
                    self.matched_before = Some(most);
                }
                self.matched = None;
            }
            Some(_) => {}
        }
        let most = self.matched.map_or(matched, |(_, most)| most.max(matched));
        self.matched = Some((day, most));
    }

    fn surges(&self) -> bool {
        let (Some((_, matched)), Some(before)) = (self.matched, self.matched_before) else {
            return false;
        };
        matched >= before.max(1).saturating_mul(SURGE_TIMES) && matched >= before + SURGE_LEAST
    }

    pub(super) fn is_released(&self, now: Timestamp) -> bool {
        self.released_until.is_some_and(|until| now < until)
    }

    /// Whether so much of what it stopped was started again by hand that people decide instead.
    pub(super) fn is_distrusted(&self) -> bool {
        const TAKEN_BACK: u32 = 2;
        const ONE_IN: u32 = 5;
        self.taken_back >= TAKEN_BACK && self.taken_back.saturating_mul(ONE_IN) >= self.stops
    }
}

/// Whether a machine is up or on its way.
pub(super) fn is_up(power: &Power) -> bool {
    matches!(power, Power::Running | Power::Starting)
}

/// Whether a machine is down or on its way.
pub(super) fn is_down(power: &Power) -> bool {
    matches!(power, Power::Stopped { .. } | Power::Stopping)
}
