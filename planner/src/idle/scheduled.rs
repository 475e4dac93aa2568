//! Machines that go up and down by a schedule: the level is held, never an hour matched.

use std::collections::BTreeMap;

use fleet::alert::Severity;
use fleet::resource::{Power, ResourceKind};
use fleet::stop::StopMode;
use fleet::{OrTold, RuleName, Seconds, Timestamp};

use super::decide::{Look, is_down, is_up, schedule_scopes};
use super::memory::{Approval, Starting};
use super::plan::{Because, FoundBy, IdleHold, PowerAction, Stage, Verb};
use super::radius::Due;
use super::reasons::{ApprovalReason, ScheduleGap, StartFailure};
use super::risk::{RISK_MOST_MILLI, risk, starts_key};
use super::rule::{RuleMode, ScheduleRule};
use super::schedule::{ScheduleView, Switch};
use super::snapshot::Seen;
use super::terms::of_switch;
use super::touch::{StopTerms, stop_mode, untouchable};

impl Look<'_> {
    /// A machine that somebody wants up, whatever its rules say; `None` where nobody does or it is
    /// up.
    pub(super) fn woken(&mut self, seen: &Seen) -> Option<Result<Due, Vec<IdleHold>>> {
        let id = &seen.resource.id;
        let wake = self.care(id).wake.clone()?;
        if !matches!(seen.resource.power, Power::Stopped { .. }) {
            return None;
        }
        let because = Because::Wake { by: wake.by, until: wake.until };
        let wanted = self.start(seen, because, FoundBy::Wake, 0, Seconds::minutes(30));
        let (stage, holds) = match &wanted {
            Ok(_) => (Stage::Acting(Verb::Start), Vec::new()),
            Err(holds) => (Stage::Kept, holds.clone()),
        };
        self.find(id, FoundBy::Wake, stage, holds);
        Some(wanted)
    }

    /// A machine under a schedule.
    pub(super) fn scheduled(
        &mut self,
        seen: &Seen,
        rule: &ScheduleRule,
        view: &ScheduleView,
    ) -> Option<Due> {
        let now = self.now;
        let id = &seen.resource.id;
        let lead = self.lead(seen, rule);
        let early = view.next(now).filter(|next| next.up && now + lead >= next.at);
        let next = match early {
            Some(early) => view.next(early.at),
            None => view.next(now),
        };
        let up = early.is_some() || view.is_up(now) == Some(true);
        let stage = Stage::OnSchedule { up, next };
        let decided = self.by_schedule(seen, rule, view, early, up);
        let (stage, holds, due) = match decided {
            Ok(due) => (Stage::Acting(due.action.verb), Vec::new(), Some(due)),
            Err(holds) => (stage, holds, None),
        };
        self.find(id, &rule.name, stage, holds);
        due
    }

    /// How long before it is needed this machine is started.
    fn lead(&self, seen: &Seen, rule: &ScheduleRule) -> Seconds {
        let measured = self.memory.starts.get(&starts_key(&seen.resource));
        let boot = measured.map_or(rule.start_lead, |starts| starts.lead(rule.start_lead));
        // The next look may be too late by an interval.
        Seconds(boot.0 + self.policy.interval.0)
    }

    fn by_schedule(
        &mut self,
        seen: &Seen,
        rule: &ScheduleRule,
        view: &ScheduleView,
        early: Option<Switch>,
        up: bool,
    ) -> Result<Due, Vec<IdleHold>> {
        let now = self.now;
        let power = &seen.resource.power;
        if let Some(fault) = &view.fault {
            let why = match fault.clone() {
                OrTold::Value(fault) => ScheduleGap::Fault(fault).into(),
                OrTold::Told(text) => OrTold::Told(text),
            };
            return Err(vec![IdleHold::ScheduleUnread(why)]);
        }
        if view.opted_out {
            return Err(vec![IdleHold::OptedOut]);
        }
        if view.is_up(now).is_none() {
            let gap = ScheduleGap::Uncovered { at: now };
            return Err(vec![IdleHold::ScheduleUnread(gap.into())]);
        }
        let care = self.care(&seen.resource.id);
        if let Some(since) = care.open.as_ref().map(|open| open.at).or(care.ordered_down(power)) {
            return Err(vec![IdleHold::OrderOpen { since }]);
        }
        let hand = care.by_hand.clone().filter(|hand| now < hand.until);
        match (up, power) {
            (true, Power::Stopped { .. }) => {
                let switch = early.or_else(|| view.last_switch(now));
                self.bring_up(seen, rule, view, switch, hand.is_some_and(|hand| !hand.up))
            }
            (false, Power::Running) => {
                let by_hand = hand.is_some_and(|hand| hand.up);
                let due = self.take_down(seen, rule, view, by_hand)?;
                let next = view.next(now);
                Ok(Due { otherwise: Stage::OnSchedule { up: false, next }, ..due })
            }
            (true, power) if is_up(power) => Err(vec![IdleHold::AsScheduled]),
            (false, power) if is_down(power) => {
                self.care(&seen.resource.id).starting = None;
                Err(vec![IdleHold::AsScheduled])
            }
            (_, power) => Err(vec![IdleHold::Changing(power.clone())]),
        }
    }

    fn bring_up(
        &mut self,
        seen: &Seen,
        rule: &ScheduleRule,
        view: &ScheduleView,
        switch: Option<Switch>,
        by_hand: bool,
    ) -> Result<Due, Vec<IdleHold>> {
        let now = self.now;
        let mut holds = self.allowed(seen, rule);
        if !view.may_start(rule.kind) {
            holds.push(IdleHold::OneSided);
        }
        let until = view.switches_after(now).find(|next| !next.up);
        let until = until.map_or(view.covers.until, |next| next.at);
        // What was down before the window began is brought up, however late; what went down
        // within it was taken down by somebody.
        let since = switch.map_or(view.covers.from, |switch| switch.at);
        let care = self.care(&seen.resource.id);
        let down_since = care.power_since.or(care.known_since).unwrap_or(now);
        let waits = care.starting.is_some() || care.stopped.is_some();
        if by_hand || down_since > since && !waits {
            holds.push(IdleHold::ByHand { up: false, until });
        }
        let wanted = switch.map_or(now, |switch| switch.at.max(now));
        if let Some(first) = self.waits_for(rule, view, Some(wanted)) {
            holds.push(IdleHold::WaitsFor { resource: first });
        }
        if !holds.is_empty() {
            return Err(holds);
        }
        let switch = switch.unwrap_or(Switch { at: view.covers.from, up: true });
        let because = Because::Schedule { rule: rule.name.clone(), switch };
        self.start(seen, because, (&rule.name).into(), view.order, rule.start_escalation)
    }

    /// A start, tried again with growing patience, and told of when it does not succeed.
    fn start(
        &mut self,
        seen: &Seen,
        because: Because,
        by: FoundBy,
        order: i32,
        escalation: Seconds,
    ) -> Result<Due, Vec<IdleHold>> {
        let now = self.now;
        let id = &seen.resource.id;
        if !self.start_holds.is_empty() {
            return Err(self.start_holds.clone());
        }
        if let Some(open) = &self.care(id).open {
            return Err(vec![IdleHold::OrderOpen { since: open.at }]);
        }
        let fresh = Starting { since: now, tries: 0, next: now, fault: None, escalated: false };
        let starting = self.care(id).starting.get_or_insert(fresh);
        let tired = now.since(starting.since) >= escalation && !starting.escalated;
        starting.escalated |= tired;
        let (since, tries) = (starting.since, starting.tries);
        let fault = starting.fault.clone().map(Box::new);
        let why = fault.map_or(StartFailure::Unsaid, StartFailure::Fault);
        let ready = starting.next <= now;
        if ready {
            starting.tries += 1;
        }
        let next = starting.next;
        if tired {
            let title = format!("{} ({id}) cannot be brought back", seen.resource.name);
            let lines = vec![
                format!("wanted since {since}: {because}"),
                format!("{tries} orders so far; {why}"),
                "neap goes on trying; another zone or type may have room".to_owned(),
            ];
            self.alert(Severity::Critical, "no-start", Some(seen), title, lines);
        }
        if !ready {
            return Err(vec![IdleHold::RetryLater { at: next, why: why.into() }]);
        }
        Ok(Due {
            otherwise: Stage::Acting(Verb::Start),
            action: PowerAction {
                resource: id.clone(),
                created_at: seen.resource.created_at,
                started_at: seen.resource.started_at,
                verb: Verb::Start,
                because,
                limits: Default::default(),
            },
            rule: by,
            scopes: Vec::new(),
            saving_micro: None,
            order,
        })
    }

    fn take_down(
        &mut self,
        seen: &Seen,
        rule: &ScheduleRule,
        view: &ScheduleView,
        by_hand: bool,
    ) -> Result<Due, Vec<IdleHold>> {
        let now = self.now;
        let resource = &seen.resource;
        let switch = view.last_switch(now).unwrap_or(Switch { at: view.covers.from, up: false });
        let until = view.next(now).map_or(view.covers.until, |next| next.at);
        let mut holds = self.allowed(seen, rule);
        if !view.may_stop(rule.kind) {
            holds.push(IdleHold::OneSided);
        }
        let restarted = resource.started_at.is_some_and(|at| at > switch.at);
        if by_hand || restarted {
            holds.push(IdleHold::ByHand { up: true, until });
        }
        let care = self.care(&resource.id);
        if let Some(wake) = care.wake.as_ref().filter(|wake| now < wake.until) {
            holds.push(IdleHold::Woken { by: wake.by.clone(), until: wake.until });
        }
        if let Some(exempt) = care.exempt.as_ref().filter(|exempt| now < exempt.until) {
            holds.push(IdleHold::Exempt { why: exempt.why.clone(), until: exempt.until });
        }
        let asked = StopTerms {
            policy: self.policy,
            stop: rule.stop,
            accept_restart_risk: rule.accept_restart_risk,
        };
        holds.extend(untouchable(resource, &asked));
        let risk = risk(resource, &self.memory.starts);
        if risk.milli > RISK_MOST_MILLI && !rule.accept_restart_risk {
            holds.push(IdleHold::RestartRisk(risk));
        }
        if let Some(Err(why)) = &seen.last_hour {
            holds.push(IdleHold::NotIdleNow(why.clone()));
        }
        if let Some(last) = self.waits_for(rule, view, None) {
            holds.push(IdleHold::WaitsFor { resource: last });
        }
        holds.extend(self.surge(&rule.name));
        for hold in &self.stop_holds {
            if !holds.contains(hold) {
                holds.push(hold.clone());
            }
        }
        let mode = stop_mode(resource, rule.stop).unwrap_or_default();
        holds.extend(self.agreement(seen, (rule, view), mode));
        if !holds.is_empty() {
            return Err(holds);
        }
        Ok(Due {
            otherwise: Stage::Acting(Verb::Stop(mode)),
            action: PowerAction {
                resource: resource.id.clone(),
                created_at: resource.created_at,
                started_at: resource.started_at,
                verb: Verb::Stop(mode),
                because: Because::Schedule { rule: rule.name.clone(), switch },
                limits: rule.only_if_idle.clone(),
            },
            rule: (&rule.name).into(),
            scopes: schedule_scopes(seen, rule),
            saving_micro: seen.saving.as_ref().and_then(|saving| saving.hourly_micro),
            order: view.order,
        })
    }

    fn allowed(&self, seen: &Seen, rule: &ScheduleRule) -> Vec<IdleHold> {
        let mut holds = Vec::new();
        if !rule.opt_in.holds(&seen.resource.tags) {
            let tag = format!("{}={}", rule.opt_in.key, rule.opt_in.value);
            holds.push(IdleHold::NotOptedIn { tag });
        }
        holds.extend(rule.mode.hold());
        holds
    }

    /// A person's agreement to this stop, where it takes one.
    fn agreement(
        &mut self,
        seen: &Seen,
        (rule, view): (&ScheduleRule, &ScheduleView),
        mode: StopMode,
    ) -> Option<IdleHold> {
        let id = &seen.resource.id;
        let why = match (id.kind, rule.mode) {
            (ResourceKind::Database, _) => ApprovalReason::Database,
            (_, RuleMode::Approve) => ApprovalReason::Schedule,
            _ => return None,
        };
        let what = (&seen.resource, mode);
        let mut names = of_switch(self.revision, what, (rule, view), self.now);
        let care = self.care(id);
        let asked = care.asked.take().filter(|asked| names.contains(&asked.id));
        let fresh = || Approval { id: names.swap_remove(0), given: None };
        let asked = care.asked.insert(asked.unwrap_or_else(fresh));
        if asked.given.is_some() {
            return None;
        }
        Some(IdleHold::NeedsApproval { id: asked.id.clone(), why: why.into() })
    }

    /// The machine of the same schedule that has to be up before this one is at `wanted`, or down.
    fn waits_for(
        &self,
        rule: &ScheduleRule,
        view: &ScheduleView,
        wanted: Option<Timestamp>,
    ) -> Option<String> {
        rule.order_tag.as_ref()?;
        let queue = self.queues.get(&rule.name)?;
        let found = match wanted {
            Some(at) => queue.to_be_up.iter().take_while(|(order, _)| *order < view.order).find(
                // One that its own hours keep down then holds up nobody.
                |(_, other)| other.schedule.as_ref().is_some_and(|v| v.is_up(at) != Some(false)),
            ),
            None => queue.to_be_down.last().filter(|(order, _)| *order > view.order),
        };
        found.map(|(_, other)| other.resource.name.clone())
    }

    /// Takes in which machines others of their schedule have to wait for.
    pub(super) fn queues(&mut self) {
        let mut queues: BTreeMap<RuleName, Queue<'_>> = BTreeMap::new();
        for rule in self.policy.schedules.iter().filter(|rule| rule.order_tag.is_some()) {
            queues.insert(rule.name.clone(), Queue::default());
        }
        if queues.is_empty() {
            return;
        }
        for seen in &self.snapshot.seen {
            let Some(view) = seen.schedule.as_ref() else { continue };
            let Some(queue) = queues.get_mut(&view.rule) else { continue };
            if view.fault.is_some() || view.opted_out {
                continue;
            }
            let power = &seen.resource.power;
            if !matches!(power, Power::Stopped { .. } | Power::Gone) {
                queue.to_be_down.push((view.order, seen));
            }
            if *power != Power::Running && self.is_awaited(seen, view) {
                queue.to_be_up.push((view.order, seen));
            }
        }
        for queue in queues.values_mut() {
            queue.to_be_up.sort_by_key(|(order, _)| *order);
            queue.to_be_down.sort_by_key(|(order, _)| *order);
        }
        self.queues = queues;
    }

    /// Whether it may be expected up: one that people took down, that neap may not start, or that
    /// does not come back, holds up nobody.
    fn is_awaited(&self, seen: &Seen, view: &ScheduleView) -> bool {
        let rule = self.policy.schedules.iter().find(|rule| rule.name == view.rule);
        let allowed = rule.is_some_and(|rule| self.allowed(seen, rule).is_empty());
        let care = self.memory.cares.get(&seen.resource.id);
        let escalated = care.and_then(|care| care.starting.as_ref()).is_some_and(|s| s.escalated);
        let by_hand = care.and_then(|care| care.by_hand.as_ref()).is_some_and(|hand| !hand.up);
        allowed && !escalated && !by_hand
    }
}

/// The machines of a schedule that are not where others wait for them to be, by their order.
#[derive(Default)]
pub(super) struct Queue<'a> {
    to_be_up: Vec<(i32, &'a Seen)>,
    to_be_down: Vec<(i32, &'a Seen)>,
}
