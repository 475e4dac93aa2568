//! What a mark and an agreement are bound to: one machine, one rule as it was then, one way of
//! stopping. Where any of these is another, both are void.

use fleet::alert::Severity;
use fleet::resource::Resource;
use fleet::stop::StopMode;
use fleet::{RuleName, Seconds, Timestamp};
use serde::Serialize;

use super::decide::Look;
use super::memory::{Approval, Care, Mark, NAMED_BY_BYTES, NAMED_BY_TERMS};
use super::plan::IdleHold;
use super::rule::{IdlePolicy, IdleRule, ScheduleRule};
use super::schedule::ScheduleView;
use super::snapshot::Seen;
use super::touch::stop_mode;
use crate::agreement::{name_of, older};

/// Every way in which a machine is stopped.
const MODES: [StopMode; 2] = [StopMode::Plain, StopMode::Hibernate];

/// What of a rule is agreed to: which machines, when they are idle, and how they are stopped.
fn of_rule(rule: &IdleRule) -> impl Serialize + '_ {
    let IdleRule {
        name,
        select,
        limits,
        require,
        look_back,
        coverage,
        accept_short_history,
        forgiven_hours,
        grace,
        stop,
        opt_in,
        accept_restart_risk,
        // Who decides, who is told, how much at once and what follows: not whether this machine is
        // stopped.
        mode: _,
        observe_first: _,
        mark_tag: _,
        owner_tag: _,
        exempt_after_restart: _,
        radius: _,
        group_tag: _,
    } = rule;
    let idle = (limits, require, look_back, coverage, accept_short_history, forgiven_hours);
    ("rule", name, select, idle, grace, (stop, opt_in, accept_restart_risk))
}

/// What of a schedule is agreed to: which machines, and from which switch until which.
fn of_schedule(rule: &ScheduleRule, view: &ScheduleView, now: Timestamp) -> impl Serialize + use<> {
    let ScheduleRule {
        name,
        select,
        kind,
        only_if_idle,
        opt_in,
        stop,
        accept_restart_risk,
        mode: _,
        order_tag: _,
        start_lead: _,
        start_escalation: _,
        radius: _,
    } = rule;
    let until = view.next(now).map(|switch| switch.at);
    let when = (*kind, view.kind, only_if_idle.clone(), until);
    ("schedule", name.clone(), select.clone(), when, (*stop, opt_in.clone(), *accept_restart_risk))
}

/// The name of an approval: a hash of what is agreed to, so that it stands for nothing else.
fn named(resource: &Resource, terms: &impl Serialize, mode: StopMode, since: i64) -> String {
    let Resource { id, created_at, started_at, .. } = resource;
    name_of("approval", &(id, created_at, started_at, terms, mode, since))
}

/// The same as it was before the name had the terms.
fn older_name(
    revision: u32,
    resource: &Resource,
    rule: &RuleName,
    mode: StopMode,
    since: i64,
) -> String {
    match revision < NAMED_BY_BYTES {
        true => older::approval(resource, rule, mode, since),
        false => named(resource, rule, mode, since),
    }
}

/// The name of what is agreed to by a stop on evidence.
pub(super) fn of_mark(
    revision: u32,
    resource: &Resource,
    rule: &IdleRule,
    mode: StopMode,
    at: Timestamp,
) -> String {
    match revision < NAMED_BY_TERMS {
        true => older_name(revision, resource, &rule.name, mode, at.0),
        false => named(resource, &of_rule(rule), mode, at.0),
    }
}

/// The names of what is agreed to by a schedule's stop: the one that is given now, and those under
/// which the same may have been asked for.
pub(super) fn of_switch(
    revision: u32,
    (resource, mode): (&Resource, StopMode),
    (rule, view): (&ScheduleRule, &ScheduleView),
    now: Timestamp,
) -> Vec<String> {
    let last = view.last_switch(now);
    if revision < NAMED_BY_TERMS {
        let since = last.map_or(view.covers.from, |switch| switch.at).0;
        // One that was asked for before names were made of bytes is the same.
        let now = older_name(revision, resource, &rule.name, mode, since);
        return vec![now, older::approval(resource, &rule.name, mode, since)];
    }
    // Down for as long as is known: where that begins moves with every look.
    let since = last.map_or(0, |switch| switch.at.0);
    vec![named(resource, &of_schedule(rule, view, now), mode, since)]
}

/// Whether a mark was made by this rule as it is now.
pub(super) fn is_of(mark: &Mark, resource: &Resource, rule: &IdleRule, revision: u32) -> bool {
    mark.rule == rule.name
        && MODES
            .iter()
            .any(|mode| of_mark(revision, resource, rule, *mode, mark.at) == mark.approval.id)
}

/// Whether what a resource waits for under this name is still what its rule or schedule would do:
/// the rule by `seen.rule`, the schedule by `seen.schedule`, as they are now.
pub fn approval_stands(
    policy: &IdlePolicy,
    seen: &Seen,
    care: &Care,
    id: &str,
    now: Timestamp,
) -> bool {
    use super::memory::REVISION;
    let resource = &seen.resource;
    let rule = policy.rules.iter().find(|rule| seen.rule.as_ref() == Some(&rule.name));
    let marked = care.mark.as_ref().filter(|mark| mark.approval.id == id).zip(rule);
    let marked = marked
        .is_some_and(|(mark, rule)| rule.mode.acts() && is_of(mark, resource, rule, REVISION));
    let asked = || {
        let view = seen.schedule.as_ref()?;
        let rule = policy.schedules.iter().find(|rule| rule.name == view.rule)?;
        care.asked.as_ref().filter(|asked| asked.id == id && rule.mode.acts())?;
        let named = |mode: &StopMode| {
            of_switch(REVISION, (resource, *mode), (rule, view), now).iter().any(|name| name == id)
        };
        Some(MODES.iter().any(named))
    };
    marked || asked().unwrap_or(false)
}

impl Look<'_> {
    /// Takes back a mark that another rule made, or this one before it was changed: what was
    /// announced and agreed to was something else.
    pub(super) fn void_mark(&mut self, seen: &Seen, rule: Option<&IdleRule>) {
        let (id, revision) = (&seen.resource.id, self.revision);
        if revision < NAMED_BY_TERMS {
            return;
        }
        let Some(mark) = self.care(id).mark.clone() else { return };
        let why = match rule {
            None => "no rule has it any more".to_owned(),
            Some(rule) if rule.name != mark.rule => format!("rule `{}` has it now", rule.name),
            Some(rule) if !rule.mode.acts() => format!("the rule's mode is {}", rule.mode),
            Some(rule) if !is_of(&mark, &seen.resource, rule, revision) => {
                "the rule is another than when it was marked".to_owned()
            }
            Some(_) => return,
        };
        self.drop_mark(id);
        let name = &seen.resource.name;
        let title = format!("{name} ({id}) is not stopped by rule `{}`: {why}", mark.rule);
        let lines = vec!["the mark is taken back, and an agreement to the stop is void".to_owned()];
        self.alert(Severity::Info, &format!("{}/unmarked", mark.rule), Some(seen), title, lines);
    }

    /// Asks anew where a machine would be stopped in another way than was agreed to.
    pub(super) fn bind_to_mode(&mut self, seen: &Seen, rule: &IdleRule, holds: &[IdleHold]) {
        // A way that follows from what could not be read is not another one yet.
        let unread = holds.iter().any(|hold| matches!(hold, IdleHold::Unread(_)));
        if self.revision < NAMED_BY_TERMS || unread {
            return;
        }
        let (resource, revision) = (&seen.resource, self.revision);
        let mode = stop_mode(resource, rule.stop).unwrap_or_default();
        let Some(mark) = &mut self.care(&resource.id).mark else { return };
        let id = of_mark(revision, resource, rule, mode, mark.at);
        if mark.approval.id != id {
            mark.approval = Approval { id, given: None };
        }
    }

    /// How long of its grace a mark has still to stand.
    pub(super) fn grace_left(&self, rule: &IdleRule, mark: &Mark) -> Seconds {
        let passed = self.memory.watch.watched.0.saturating_sub(mark.at_watched.0);
        Seconds(rule.grace.0.saturating_sub(passed))
    }
}
