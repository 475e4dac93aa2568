//! The life of a candidate: idle, marked, past its grace, stopped, watched.

use fleet::alert::Severity;
use fleet::money::Saving;
use fleet::resource::{Power, Resource, ResourceId, ResourceKind};
use fleet::signs::Clue;
use fleet::stop::StopMode;
use fleet::{OrTold, Seconds, Timestamp};

use super::comeback::is_of_the_rest;
use super::decide::{Look, is_down, is_up};
use super::evidence::{Evidence, Lack, Verdict};
use super::memory::{Approval, Care, Exempt, Mark};
use super::plan::{Because, IdleHold, PowerAction, Stage, TagAction, Verb};
use super::radius::Due;
use super::reasons::{ApprovalReason, ExemptReason};
use super::risk::{RISK_MOST_MILLI, risk};
use super::rule::{IdleRule, RuleMode, ScheduleRule};
use super::schedule::ScheduleView;
use super::snapshot::Seen;
use super::terms::of_mark;
use super::touch::{StopTerms, stop_mode, untouchable};

/// The tag that a mark is written as, where a rule says so.
pub const MARK_TAG: &str = "neap:marked";

impl Look<'_> {
    /// A resource under an idle rule.
    pub(super) fn idle(
        &mut self,
        seen: &Seen,
        rule: &IdleRule,
        schedule: Option<(&ScheduleRule, &ScheduleView)>,
    ) -> Option<Due> {
        let id = &seen.resource.id;
        let Some(evidence) = seen.evidence.as_ref() else {
            let lack = Lack::Unread(Clue::Usage.into());
            let stage = self.stage(id, rule, Stage::Kept);
            self.find(id, &rule.name, stage, vec![IdleHold::NotEnoughData(lack)]);
            return None;
        };
        self.remember_unused(seen, evidence);
        let rests_again = self.care(id).rests_again();
        if let Some(stopped) =
            self.care(id).stopped.clone().filter(|_| !is_up(&seen.resource.power))
        {
            let hold = IdleHold::AlreadyStopped { at: stopped.at };
            self.find(id, &rule.name, Stage::Stopped { at: stopped.at }, vec![hold]);
            return None;
        }
        let of_the_rest = rests_again.is_some_and(|since| is_of_the_rest(evidence, since));
        if let Some(hold) = not_idle(evidence).filter(|_| !of_the_rest) {
            if let IdleHold::InUse(_) | IdleHold::IdleByTheClock(_) = hold {
                self.unmark(seen, rule, "it is in use again");
            }
            let stage = self.stage(id, rule, Stage::Kept);
            self.find(id, &rule.name, stage, vec![hold]);
            return None;
        }
        let asked = StopTerms {
            policy: self.policy,
            stop: rule.stop,
            accept_restart_risk: rule.accept_restart_risk,
        };
        let mut holds = untouchable(&seen.resource, &asked);
        let lasting = holds.iter().find(|hold| !matches!(hold, IdleHold::Unread(_))).cloned();
        if !rule.opt_in.holds(&seen.resource.tags) {
            let tag = format!("{}={}", rule.opt_in.key, rule.opt_in.value);
            holds.push(IdleHold::NotOptedIn { tag });
            // Facts that take a call of their own are not asked for without it.
            holds.sort_by_key(|hold| matches!(hold, IdleHold::Unread(_)));
        }
        let opted_out = holds.iter().any(|hold| matches!(hold, IdleHold::NotOptedIn { .. }));
        match (&lasting, opted_out) {
            (Some(_), _) => self.unmark(seen, rule, "it must not be stopped any more"),
            (None, true) => self.unmark(seen, rule, "its owner took the permission back"),
            (None, false) => {}
        }
        holds.extend(self.passing_holds(seen, rule, schedule));
        let risk = risk(&seen.resource, &self.memory.starts);
        if risk.milli > RISK_MOST_MILLI && !rule.accept_restart_risk && id.kind.has_power() {
            holds.push(IdleHold::RestartRisk(risk.clone()));
        }
        let due = self.marked(seen, rule, evidence, &mut holds);
        let acting = due.as_ref().map(|due| Stage::Acting(due.action.verb));
        let stage = acting.unwrap_or_else(|| self.stage(id, rule, Stage::Candidate));
        self.find(id, &rule.name, stage, holds);
        if let Some(finding) = self.plan.findings.last_mut().filter(|_| id.kind.has_power()) {
            finding.risk = Some(risk);
        }
        due
    }

    fn remember_unused(&mut self, seen: &Seen, evidence: &Evidence) {
        let now = self.now;
        if seen.resource.id.kind.has_power() {
            return;
        }
        let in_use = matches!(evidence.verdict, Verdict::InUse { .. });
        let care = self.care(&seen.resource.id);
        care.unused_since = if in_use { None } else { care.unused_since.or(Some(now)) };
    }

    /// Reasons that will pass by themselves or by what a person does.
    fn passing_holds(
        &mut self,
        seen: &Seen,
        rule: &IdleRule,
        schedule: Option<(&ScheduleRule, &ScheduleView)>,
    ) -> Vec<IdleHold> {
        let (id, now) = (&seen.resource.id, self.now);
        let mut holds = Vec::new();
        if seen.resource.power != Power::Running {
            let power = seen.resource.power.clone();
            holds.push(match power {
                Power::Starting | Power::Stopping => IdleHold::Changing(power),
                power => IdleHold::NotRunning(power),
            });
        }
        let care = self.care(id);
        if let Some(exempt) = care.exempt.as_ref().filter(|exempt| now < exempt.until) {
            holds.push(IdleHold::Exempt { why: exempt.why.clone(), until: exempt.until });
        }
        if let Some(wake) = care.wake.as_ref().filter(|wake| now < wake.until) {
            holds.push(IdleHold::Woken { by: wake.by.clone(), until: wake.until });
        }
        if let Some(since) = care.ordered_down(&seen.resource.power) {
            holds.push(IdleHold::OrderOpen { since });
        } else if let Some(open) = &care.open {
            holds.push(IdleHold::OrderOpen { since: open.at });
        }
        let floor = schedule
            .filter(|(rule, view)| view.may_start(rule.kind) && view.is_up(now) != Some(false));
        if let Some((schedule, view)) = floor.filter(|(_, view)| !view.opted_out) {
            debug_assert_eq!(schedule.name, view.rule);
            holds.push(IdleHold::ScheduledUp { schedule: schedule.name.clone() });
        }
        holds.extend(rule.mode.hold());
        let watched = self.memory.watch.watched.0;
        let memory = self.memory.rules.get(&rule.name);
        let since = memory.map_or(watched, |memory| memory.since_watched.0);
        let left = rule.observe_first.0.saturating_sub(watched.saturating_sub(since));
        if left > 0 {
            holds.push(IdleHold::FirstDays { left: Seconds(left) });
        }
        holds.extend(self.surge(&rule.name));
        holds
    }

    /// Marks what nothing speaks against, and stops what has been marked for long enough.
    fn marked(
        &mut self,
        seen: &Seen,
        rule: &IdleRule,
        evidence: &Evidence,
        holds: &mut Vec<IdleHold>,
    ) -> Option<Due> {
        let id = &seen.resource.id;
        let observed = self.policy.mode == crate::policy::Mode::Observe;
        let mode = stop_mode(&seen.resource, rule.stop).unwrap_or_default();
        if self.care(id).mark.is_none() {
            if observed {
                holds.push(IdleHold::ObserveMode);
            }
            let killed = |hold: &&IdleHold| matches!(hold, IdleHold::KillSwitch(_));
            holds.extend(self.stop_holds.iter().find(killed).cloned());
            if !holds.is_empty() {
                return None;
            }
            self.mark(seen, rule, evidence, mode);
        }
        self.bind_to_mode(seen, rule, holds);
        let mark = self.care(id).mark.clone()?;
        let left = self.grace_left(rule, &mark).max(self.settles(seen));
        if left > Seconds::ZERO {
            holds.push(IdleHold::InGrace { left });
        }
        if let Some(why) = self.who_decides(rule, id).filter(|_| mark.approval.given.is_none()) {
            holds.push(IdleHold::NeedsApproval { id: mark.approval.id.clone(), why });
        }
        for hold in &self.stop_holds {
            if !holds.contains(hold) {
                holds.push(hold.clone());
            }
        }
        let otherwise = self.stage(id, rule, Stage::Candidate);
        holds.is_empty().then(|| Due {
            otherwise,
            action: PowerAction {
                resource: id.clone(),
                created_at: seen.resource.created_at,
                started_at: seen.resource.started_at,
                verb: Verb::Stop(mode),
                because: Because::Idle { rule: rule.name.clone() },
                limits: rule.limits.clone(),
            },
            rule: (&rule.name).into(),
            scopes: self.scopes(seen, rule),
            saving_micro: seen.saving.as_ref().and_then(|saving| saving.hourly_micro),
            order: 0,
        })
    }

    fn mark(&mut self, seen: &Seen, rule: &IdleRule, evidence: &Evidence, mode: StopMode) {
        let (now, watched) = (self.now, self.memory.watch.watched);
        let id = &seen.resource.id;
        let approval = of_mark(self.revision, &seen.resource, rule, mode, now);
        let needs = self.who_decides(rule, id);
        self.care(id).mark = Some(Mark {
            rule: rule.name.clone(),
            at: now,
            at_watched: watched,
            approval: Approval { id: approval.clone(), given: None },
            tagged: rule.mark_tag,
            restarted_at: None,
        });
        if rule.mark_tag {
            let value = Some(format!("stop by rule {} marked {now}", rule.name));
            self.plan.tags.push(TagAction {
                resource: id.clone(),
                key: MARK_TAG.to_owned(),
                value,
            });
        }
        let name = &seen.resource.name;
        let mut lines: Vec<String> = evidence.rows.iter().map(|row| row.to_string()).collect();
        lines.push(saving_line(seen.saving.as_ref()));
        lines.push(format!(
            "to keep it: use it, tag it `{}`, or `neap exempt {} --for 30d`",
            self.policy.protect_tag, id.id
        ));
        lines.extend(needs.map(|why| format!("waits for `neap approve {approval}`: {why}")));
        let grace = rule.grace;
        let title = format!("{name} ({id}) has been idle and is stopped after a grace of {grace}");
        self.alert(Severity::Info, &format!("{}/marked", rule.name), Some(seen), title, lines);
    }

    fn unmark(&mut self, seen: &Seen, rule: &IdleRule, why: &str) {
        let id = &seen.resource.id;
        if self.care(id).mark.as_ref().is_none_or(|mark| mark.rule != rule.name) {
            return;
        }
        self.drop_mark(id);
        let title = format!("{} ({id}) is not stopped: {why}", seen.resource.name);
        self.alert(Severity::Info, &format!("{}/unmarked", rule.name), Some(seen), title, vec![]);
    }

    /// Takes a mark back, from the resource, too, where anything may be written.
    pub(super) fn drop_mark(&mut self, id: &ResourceId) {
        let Some(mark) = self.care(id).mark.take() else { return };
        let writes = self.policy.mode == crate::policy::Mode::Act
            && self.snapshot.kill_switch == crate::snapshot::KillSwitch::Clear;
        if mark.tagged && writes {
            let key = MARK_TAG.to_owned();
            self.plan.tags.push(TagAction { resource: id.clone(), key, value: None });
        }
    }

    /// Why a person has to agree to a stop; `None` where the rule decides.
    fn who_decides(&self, rule: &IdleRule, id: &ResourceId) -> Option<OrTold<ApprovalReason>> {
        if id.kind == ResourceKind::Database {
            return Some(ApprovalReason::Database.into());
        }
        if rule.mode == RuleMode::Approve {
            return Some(ApprovalReason::Rule.into());
        }
        let memory = self.memory.rules.get(&rule.name)?;
        let (back, stops) = (memory.taken_back, memory.stops);
        memory.is_distrusted().then(|| ApprovalReason::TakenBack { back, stops }.into())
    }

    fn stage(&mut self, id: &ResourceId, rule: &IdleRule, otherwise: Stage) -> Stage {
        let needs = self.who_decides(rule, id).is_some();
        let Some(mark) = self.care(id).mark.clone() else { return otherwise };
        let asks = needs && mark.approval.given.is_none();
        Stage::Marked {
            at: mark.at,
            grace_left: self.grace_left(rule, &mark),
            approval: asks.then_some(mark.approval.id),
        }
    }

    /// Takes in whether a resource runs, and who made it so.
    pub(super) fn observe(&mut self, seen: &Seen) {
        let now = self.now;
        let resource = &seen.resource;
        let id = &resource.id;
        let known = self.care(id).created_at;
        if known.zip(resource.created_at).is_some_and(|(known, made)| known != made) {
            *self.care(id) = Care::default();
        }
        // What people asked for before it was first seen is kept.
        let care = self.care(id);
        care.created_at = resource.created_at.or(care.created_at);
        care.known_since.get_or_insert(now);
        if !id.kind.has_power() {
            return;
        }
        let ours_down = self.settle_open(resource);
        let next_switch = seen.schedule.as_ref().and_then(|view| view.switches_after(now).next());
        let until = next_switch.map_or(now + Seconds::days(1), |switch| switch.at);
        let care = self.care(id);
        let before = care.power.replace(resource.power.clone());
        if before.as_ref() != Some(&resource.power) {
            care.power_since = before.as_ref().map(|_| now);
        }
        care.by_hand.take_if(|hand| hand.until <= now);
        if care.wake.take_if(|wake| wake.until <= now).is_some() {
            care.starting = None;
        }
        care.exempt.take_if(|exempt| exempt.until <= now);
        let ours_up = care.starting.is_some() || care.open.as_ref().is_some_and(|open| open.up);
        self.remember_rest(seen);
        self.fell_back(seen, before.as_ref().is_some_and(is_up));
        let was_down = before.as_ref().is_some_and(is_down);
        let was_up = before.as_ref().is_some_and(is_up);
        let care = self.care(id);
        let restarted = care
            .stopped
            .as_ref()
            .is_some_and(|stopped| resource.started_at.is_some_and(|at| at > stopped.at));
        // A mark and an agreement were for the machine as it ran then.
        let marked = care.mark.as_ref().map(|mark| mark.at);
        if marked.is_some_and(|marked| resource.started_at.is_some_and(|at| at > marked)) {
            self.drop_mark(id);
        }
        let care = self.care(id);
        if is_up(&resource.power) && (was_down || restarted) {
            match ours_up {
                true => self.came_up(resource),
                false => self.started_by_others(seen, before, until),
            }
        } else if is_up(&resource.power) && care.stopped.is_some() && care.open.is_none() {
            self.did_not_stop(seen);
        } else if is_up(&resource.power) && care.starting.is_some() && care.open.is_none() {
            self.came_up(resource);
        } else if is_down(&resource.power) && was_up && !ours_down {
            let hand = super::memory::ByHand { up: false, at: now, until };
            self.care(id).by_hand = Some(hand);
            self.drop_mark(id);
        }
    }

    /// An order without an answer shows by what the machine does. Whether it goes down by ours.
    fn settle_open(&mut self, resource: &Resource) -> bool {
        const PATIENCE: Seconds = Seconds::minutes(10);
        let now = self.now;
        let care = self.care(&resource.id);
        let ours_down = care.stopped.is_some() || care.open.as_ref().is_some_and(|open| !open.up);
        let Some(open) = &care.open else { return ours_down };
        let there = if open.up { is_up(&resource.power) } else { is_down(&resource.power) };
        if there || now.since(open.at) >= PATIENCE {
            care.open = None;
        }
        ours_down
    }

    fn came_up(&mut self, resource: &Resource) {
        let now = self.now;
        if resource.power != Power::Running {
            return;
        }
        let key = super::risk::starts_key(resource);
        let care = self.care(&resource.id);
        care.stopped = None;
        care.by_hand = None;
        let Some(starting) = care.starting.take() else { return };
        let starts = self.memory.starts.entry(key).or_default();
        starts.good += 1;
        // Until the look that saw it, since clouds stamp the start and not its end: too long by an
        // interval at most, which starts it early.
        starts.took.push(u32::try_from(now.since(starting.since).0).unwrap_or(0));
        if starts.took.len() > super::memory::TOOK_KEPT {
            starts.took.remove(0);
        }
    }

    pub(super) fn started_by_hand(&mut self, seen: &Seen, until: Timestamp) {
        let now = self.now;
        let id = &seen.resource.id;
        self.drop_mark(id);
        let care = self.care(id);
        care.by_hand = Some(super::memory::ByHand { up: true, at: now, until });
        let Some(stopped) = care.stopped.take().filter(|stopped| !stopped.by_schedule) else {
            return;
        };
        let rule = self.policy.rules.iter().find(|rule| rule.name == stopped.rule);
        let exempt = rule.map_or(Seconds::days(14), |rule| rule.exempt_after_restart);
        let why = ExemptReason::StartedAgain { rule: stopped.rule.clone() };
        let until = now + exempt;
        self.care(id).exempt = Some(Exempt { until, why: why.clone().into() });
        if let Some(memory) = self.memory.rules.get_mut(&stopped.rule) {
            memory.taken_back += 1;
        }
        let title = format!("{} ({id}) is left alone until {until}", seen.resource.name);
        let about = format!("{}/taken-back", stopped.rule);
        self.alert(Severity::Warning, &about, Some(seen), title, vec![why.to_string()]);
    }

    /// The cloud took a stop, and the machine runs on.
    fn did_not_stop(&mut self, seen: &Seen) {
        const PATIENCE: Seconds = Seconds::minutes(30);
        let now = self.now;
        let id = &seen.resource.id;
        let care = self.care(id);
        let Some(stopped) = care.stopped.take_if(|stopped| now.since(stopped.at) >= PATIENCE)
        else {
            return;
        };
        let title = format!(
            "{} ({id}) runs on: a stop at {} had no effect",
            seen.resource.name, stopped.at
        );
        let about = format!("{}/no-effect", stopped.rule);
        self.alert(Severity::Warning, &about, Some(seen), title, vec![]);
    }
}

impl Care {
    /// Since when a stop that the cloud took has to show: until then it is not ordered again.
    pub(super) fn ordered_down(&self, power: &Power) -> Option<Timestamp> {
        self.stopped.as_ref().filter(|_| *power == Power::Running).map(|stopped| stopped.at)
    }
}

fn not_idle(evidence: &Evidence) -> Option<IdleHold> {
    match &evidence.verdict {
        Verdict::AlwaysIdle => None,
        Verdict::IdleByTheClock(pattern) => Some(IdleHold::IdleByTheClock(pattern.clone())),
        Verdict::InUse { by } => Some(IdleHold::InUse(by.clone())),
        Verdict::NotEnoughData(lack) => Some(IdleHold::NotEnoughData(lack.clone())),
    }
}

/// What a saving comes to, for people.
fn saving_line(saving: Option<&Saving>) -> String {
    let known = saving.and_then(|saving| Some((saving.hourly_micro?, saving.price.as_ref()?)));
    match known {
        Some((micro, price)) => {
            let monthly = micro as f64 * 730.0 / 1e6;
            format!(
                "saves {monthly:.2} {} a month at the list price ({}, {})",
                price.currency, price.source, price.as_of
            )
        }
        None => "what it saves is not known: no price".to_owned(),
    }
}
