//! What became of orders, and what people asked for.

use fleet::alert::Severity;
use fleet::resource::{ResourceId, ResourceKind};
use fleet::stop::StopMode;
use fleet::{Fault, FaultKind, Seconds};

use super::decide::Look;
use super::memory::{COMES_BACK, Exempt, Kept, Stopped, Wake};
use super::plan::Because;
use super::reasons::ExemptReason;
use super::risk::starts_key;
use super::snapshot::{Ask, PowerOutcome, PowerResult, Request};

/// How long a released rule goes on.
const RELEASED_FOR: Seconds = Seconds::days(1);
/// The first pause after a start that failed, and the longest.
const RETRY_FIRST: Seconds = Seconds(30);
const RETRY_LONGEST: Seconds = Seconds::minutes(10);

/// How long after so many starts that failed the next one is given.
pub(super) fn pause(tries: u32) -> Seconds {
    let doubled = RETRY_FIRST.0.saturating_mul(1 << tries.saturating_sub(1).min(16));
    Seconds(doubled.min(RETRY_LONGEST.0))
}

impl Look<'_> {
    pub(super) fn outcomes(&mut self) {
        for outcome in &self.snapshot.outcomes {
            match &outcome.result {
                PowerResult::Taken | PowerResult::Unconfirmed { effect_seen: Some(true) } => {
                    self.taken(outcome);
                }
                PowerResult::Unconfirmed { effect_seen: None } => {}
                PowerResult::Unconfirmed { effect_seen: Some(false) } => {
                    self.not_done(outcome, None);
                }
                PowerResult::Failed { fault } => self.not_done(outcome, Some(fault)),
                PowerResult::Moved { .. } | PowerResult::Withheld => self.not_done(outcome, None),
            }
        }
    }

    fn taken(&mut self, outcome: &PowerOutcome) {
        self.care(&outcome.resource).open = None;
        if outcome.up {
            return;
        }
        let Some(rule) = outcome.because.rule().cloned() else { return };
        let kept = self.kept(&outcome.resource);
        self.drop_mark(&outcome.resource);
        let care = self.care(&outcome.resource);
        care.asked = None;
        // What looked like somebody else's stop was this one.
        care.by_hand.take_if(|hand| !hand.up);
        care.stopped = Some(Stopped {
            at: outcome.at,
            rule: rule.clone(),
            by_schedule: matches!(outcome.because, Because::Schedule { .. }),
            decision: outcome.decision.clone(),
            mode: outcome.mode.unwrap_or(StopMode::Plain),
            kept,
        });
        if let (Because::Idle { .. }, Some(memory)) =
            (&outcome.because, self.memory.rules.get_mut(&rule))
        {
            memory.stops += 1;
            let title = format!("{} was stopped by rule `{rule}`", outcome.resource);
            let lines = vec![
                format!("decision {}", outcome.decision),
                format!("to have it back: `neap wake {} --until …`", outcome.resource.id),
            ];
            self.alert(Severity::Info, &format!("{rule}/stopped"), None, title, lines);
        }
    }

    /// What a stop was agreed to by, where the cloud may take it back by itself.
    fn kept(&mut self, id: &ResourceId) -> Kept {
        if self.revision < COMES_BACK || id.kind != ResourceKind::Database {
            return Kept::default();
        }
        let care = self.care(id);
        Kept { restarts_at: None, mark: care.mark.clone(), asked: care.asked.clone() }
    }

    /// A stop that did not happen gives back what it drew; a start is tried again later.
    fn not_done(&mut self, outcome: &PowerOutcome, fault: Option<&Fault>) {
        let now = self.now;
        let care = self.care(&outcome.resource);
        let Some(open) = care.open.take() else { return };
        if !outcome.up {
            for scope in &open.drawn {
                let Some(times) = self.memory.stops.get_mut(scope) else { continue };
                // Others may have drawn on it at the same moment; one entry is this one's.
                if let Some(place) = times.iter().position(|at| *at == open.at) {
                    times.remove(place);
                }
            }
            return;
        }
        let Some(starting) = &mut care.starting else { return };
        starting.next = now + pause(starting.tries);
        starting.fault = fault.cloned();
        if fault.is_some_and(|fault| fault.kind == FaultKind::OutOfCapacity) {
            let seen = self.snapshot.seen.iter().find(|s| s.resource.id == outcome.resource);
            if let Some(seen) = seen {
                let starts = self.memory.starts.entry(starts_key(&seen.resource)).or_default();
                starts.without_capacity += 1;
            }
        }
    }

    pub(super) fn requests(&mut self) {
        for request in &self.snapshot.requests {
            self.request(request);
        }
    }

    fn request(&mut self, request: &Request) {
        let by = request.by.clone();
        match &request.ask {
            Ask::Approve { id } => {
                if let Some(approval) = self.approval(id) {
                    approval.given = Some((by, request.at));
                }
            }
            Ask::Reject { id } => self.reject(id, &by),
            Ask::Wake { resource, until } => {
                let until = *until;
                for id in self.named(resource) {
                    self.care(&id).wake = Some(Wake { until, by: by.clone() });
                }
            }
            Ask::Exempt { resource, until } => {
                let until = *until;
                for id in self.named(resource) {
                    let why = ExemptReason::Asked { by: by.clone() }.into();
                    self.care(&id).exempt = Some(Exempt { until, why });
                    self.drop_mark(&id);
                }
            }
            Ask::Release { rule } => {
                let until = self.now + RELEASED_FOR;
                if let Some(memory) = self.memory.rules.get_mut(rule) {
                    memory.released_until = Some(until);
                    (memory.stops, memory.taken_back) = (0, 0);
                }
            }
        }
    }

    fn approval(&mut self, id: &str) -> Option<&mut super::memory::Approval> {
        self.memory.cares.values_mut().find_map(|care| {
            let mark = care.mark.as_mut().map(|mark| &mut mark.approval);
            [mark, care.asked.as_mut()].into_iter().flatten().find(|approval| approval.id == id)
        })
    }

    fn reject(&mut self, id: &str, by: &str) {
        let found = self.memory.cares.iter().find_map(|(resource, care)| {
            let mark = care.mark.as_ref().filter(|mark| mark.approval.id == id);
            let asked = care.asked.as_ref().filter(|asked| asked.id == id);
            mark.map(|mark| (resource.clone(), Some(mark.rule.clone())))
                .or_else(|| asked.map(|_| (resource.clone(), None)))
        });
        let Some((resource, rule)) = found else { return };
        let rule = rule.and_then(|name| self.policy.rules.iter().find(|rule| rule.name == name));
        let span = rule.map_or(Seconds::days(1), |rule| rule.exempt_after_restart);
        let until = self.now + span;
        self.drop_mark(&resource);
        let care = self.care(&resource);
        care.asked = None;
        care.exempt =
            Some(Exempt { until, why: ExemptReason::Refused { by: by.to_owned() }.into() });
    }

    /// Resources by their own id or by their whole name.
    fn named(&self, text: &str) -> Vec<ResourceId> {
        let seen = self.snapshot.seen.iter().map(|seen| &seen.resource);
        let by_text = |r: &&fleet::resource::Resource| {
            r.id.id == text || r.id.to_string() == text || r.name == text
        };
        let found: Vec<ResourceId> = seen.filter(by_text).map(|r| r.id.clone()).collect();
        // A name that several share names none of them.
        if found.len() > 1 && !found.iter().any(|id| id.to_string() == text || id.id == text) {
            return Vec::new();
        }
        found
    }
}
