//! What idle rules that do not act would have stopped, and what became of it: decided look by look
//! by the real planner, on machines that are shown to it as it would have left them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use fleet::resource::{Power, ResourceId};
use fleet::usage::HOUR;
use fleet::{RuleName, Seconds, Timestamp};
use journal::ledger::{self, LookSeen};
use journal::{Journal, JournalFault, Reader};
use planner::idle::WRONG_WITHIN;
use planner::idle::evidence::{Evidence, Verdict};
use planner::idle::memory::IdleMemory;
use planner::idle::plan::{PowerAction, Verb};
use planner::idle::rule::{IdlePolicy, RuleMode};
use planner::idle::snapshot::{IdleSnapshot, PowerOutcome, PowerResult, Seen};
use planner::policy::Mode;
use serde::{Deserialize, Serialize};

use super::{KEPT_DAYS, RuleCard, RuleScores, ShadowEntry};

/// How often all of it is written down: what is lost by a kill is decided again from the recorded
/// looks, at most so much of them.
const SAVED_EVERY: Seconds = Seconds::hours(6);
/// Looks further apart than so many intervals have a pause in between, of which nothing is counted.
const PAUSE_INTERVALS: u64 = 3;

/// All of it, as it is written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedRules {
    /// The last look that is in it.
    pub until: Timestamp,
    /// The scorecards.
    pub scores: RuleScores,
    memory: IdleMemory,
    down: Vec<Down>,
    outcomes: Vec<PowerOutcome>,
}

/// A machine that would be down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Down {
    resource: ResourceId,
    rule: RuleName,
    by_schedule: bool,
    at: Timestamp,
    /// Whether it was counted that it ran on.
    told: bool,
}

/// The shadow of the rules beside the looks.
#[derive(Debug, Default)]
pub struct RuleWatch {
    memory: IdleMemory,
    down: BTreeMap<ResourceId, Down>,
    outcomes: Vec<PowerOutcome>,
    scores: Arc<RwLock<RuleScores>>,
    last: Option<Timestamp>,
    saved_at: Option<Timestamp>,
}

impl RuleWatch {
    /// The scorecards, for whoever shows them.
    pub fn scores(&self) -> Arc<RwLock<RuleScores>> {
        Arc::clone(&self.scores)
    }

    /// Takes over what a journal has, and decides again the looks that came after it.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn restore(&mut self, reader: &Reader, now: Timestamp) -> Result<(), JournalFault> {
        let from = now - Seconds::days(KEPT_DAYS.unsigned_abs());
        let mut saved = None;
        for entry in reader.shadow_newest_first::<ShadowEntry>(from..Timestamp(i64::MAX)) {
            if let ShadowEntry::Rules(newest) = entry?.1 {
                saved = Some(*newest);
                break;
            }
        }
        // Without any there is nothing to go on from: a scorecard begins with the first look.
        let Some(saved) = saved else { return Ok(()) };
        let SavedRules { until, scores, memory, down, outcomes } = saved;
        self.memory = memory;
        self.down = down.into_iter().map(|down| (down.resource.clone(), down)).collect();
        self.outcomes = outcomes;
        *self.scores.write().unwrap_or_else(PoisonError::into_inner) = scores;
        (self.last, self.saved_at) = (Some(until), Some(until));
        ledger::looks_after(reader, until, &mut |seen| self.count(seen))
    }

    /// The clock was set back to `now`; `left` is what it would have shown. What was told of days that
    /// are still to come is forgotten.
    pub fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        self.memory = planner::idle::rewound(std::mem::take(&mut self.memory), left, now);
        self.down.values_mut().for_each(|down| down.at = down.at.min(now));
        self.outcomes.iter_mut().for_each(|outcome| outcome.at = outcome.at.min(now));
        self.last = self.last.map(|last| last.min(now));
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        scores.days.retain(|day, _| *day <= now.utc_day());
    }

    /// Takes in a look that was recorded, and writes all of it down when it is time.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn take(&mut self, journal: &Journal, seen: LookSeen<'_>) -> Result<(), JournalFault> {
        let now = seen.snapshot.taken_at;
        self.count(seen);
        if self.saved_at.is_some_and(|at| now >= at && now.since(at) < SAVED_EVERY) {
            return Ok(());
        }
        let saved = SavedRules {
            until: now,
            scores: self.scores.read().unwrap_or_else(PoisonError::into_inner).clone(),
            memory: self.memory.clone(),
            down: self.down.values().cloned().collect(),
            outcomes: self.outcomes.clone(),
        };
        journal.record_shadow(now, &ShadowEntry::Rules(Box::new(saved)), false)?;
        self.saved_at = Some(now);
        Ok(())
    }

    fn count(&mut self, seen: LookSeen<'_>) {
        let LookSeen { policy, snapshot, .. } = seen;
        let now = snapshot.taken_at;
        let pause = Seconds(policy.interval.0.saturating_mul(PAUSE_INTERVALS));
        let span = self.last.filter(|last| *last <= now).map(|last| now.since(last));
        let span = span.filter(|span| *span <= pause).unwrap_or(Seconds::ZERO);
        self.last = Some(now);
        // Nobody waits meanwhile who shows them.
        let mut cards = self.scores.read().unwrap_or_else(PoisonError::into_inner).day(now);
        let rules = policy.rules.iter().map(|rule| &rule.name);
        for name in rules.chain(policy.schedules.iter().map(|rule| &rule.name)) {
            if !cards.contains_key(name) {
                cards.insert(name.clone(), RuleCard::default());
            }
        }
        really_done(&seen, span, &mut cards);
        self.step(&as_if_acting(policy), snapshot, span, &mut cards);
        self.scores.write().unwrap_or_else(PoisonError::into_inner).put(now, cards);
    }

    /// What would have been decided.
    fn step(
        &mut self,
        policy: &IdlePolicy,
        snapshot: &IdleSnapshot,
        span: Seconds,
        cards: &mut BTreeMap<RuleName, RuleCard>,
    ) {
        if policy.rules.is_empty() && policy.schedules.is_empty() {
            (self.memory, self.outcomes) = Default::default();
            self.down.clear();
            return;
        }
        let now = snapshot.taken_at;
        let mut gone: BTreeSet<ResourceId> = self.down.keys().cloned().collect();
        let mut shown = Vec::new();
        for seen in &snapshot.seen {
            let id = &seen.resource.id;
            gone.remove(id);
            self.count_earlier(seen, cards);
            let Some(mut copy) = of_these(seen, policy) else {
                self.down.remove(id);
                continue;
            };
            if self.stays_down(seen, now, span, cards) {
                copy.resource.power = Power::Stopped { charged: Some(false) };
            }
            shown.push(copy);
        }
        for id in gone.iter().filter(|id| !snapshot.unread.iter().any(|list| list.concerns(id))) {
            let down = self.down.remove(id);
            if let Some(card) = down.and_then(|down| cards.get_mut(&down.rule)) {
                card.stopped_by_others += 1;
            }
        }
        for rule in self.memory.rules.values_mut() {
            // People would look at what holds a rule; what was wrong is for the gate to count.
            (rule.taken_back, rule.released_until) = (0, Some(now + Seconds::days(1)));
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        let shown = IdleSnapshot {
            taken_at: now,
            kill_switch: snapshot.kill_switch.clone(),
            freezes: snapshot.freezes.clone(),
            disk: snapshot.disk,
            unread: snapshot.unread.clone(),
            population: snapshot.population.clone(),
            matched: snapshot.matched.clone(),
            seen: shown,
            requests: snapshot.requests.clone(),
            outcomes,
        };
        let (plan, memory) = planner::idle::plan(policy, &shown, &self.memory);
        self.memory = memory;
        for action in &plan.actions {
            self.carry_out(action, now, cards);
        }
    }

    /// A machine that was marked in shadow, and that somebody else stopped before neap would have.
    fn count_earlier(&self, seen: &Seen, cards: &mut BTreeMap<RuleName, RuleCard>) {
        let id = &seen.resource.id;
        let care = self.memory.cares.get(id).filter(|_| !self.down.contains_key(id));
        let Some(care) = care else { return };
        let Some(mark) = &care.mark else { return };
        let went_down = care.power.as_ref().is_some_and(is_up) && !is_up(&seen.resource.power);
        if let Some(card) = cards.get_mut(&mark.rule).filter(|_| went_down) {
            card.stopped_by_others += 1;
        }
    }

    /// Whether a machine would still be down; counts what it saves, or what became of it.
    fn stays_down(
        &mut self,
        seen: &Seen,
        now: Timestamp,
        span: Seconds,
        cards: &mut BTreeMap<RuleName, RuleCard>,
    ) -> bool {
        let id = &seen.resource.id;
        let Some(down) = self.down.get_mut(id) else { return false };
        let soon = now.since(down.at) <= WRONG_WITHIN;
        let Some(card) = cards.get_mut(&down.rule) else { return false };
        if seen.evidence.as_ref().is_some_and(|evidence| down.is_missed(evidence)) {
            card.wrong += u32::from(soon);
        } else if !is_up(&seen.resource.power) {
            card.stopped_by_others += 1;
        } else {
            card.save(seen.saving.as_ref(), span);
            if !soon && !down.told && !down.by_schedule {
                down.told = true;
                card.kept_running += 1;
            }
            return true;
        }
        self.down.remove(id);
        false
    }

    /// Everything that is ordered is taken.
    fn carry_out(
        &mut self,
        action: &PowerAction,
        now: Timestamp,
        cards: &mut BTreeMap<RuleName, RuleCard>,
    ) {
        let (resource, rule) = (action.resource.clone(), action.because.rule());
        let mode = match action.verb {
            Verb::Stop(mode) => Some(mode),
            Verb::Start => None,
        };
        self.down.remove(&resource);
        if let (Some(rule), Some(_)) = (rule, mode) {
            if let Some(card) = cards.get_mut(rule) {
                card.stops += 1;
            }
            let by_schedule =
                matches!(action.because, planner::idle::plan::Because::Schedule { .. });
            let (at, told) = (now, false);
            let down =
                Down { resource: resource.clone(), rule: rule.clone(), by_schedule, at, told };
            self.down.insert(resource.clone(), down);
        }
        self.outcomes.push(PowerOutcome {
            decision: "shadow".to_owned(),
            resource,
            up: mode.is_none(),
            mode,
            because: action.because.clone(),
            at: now,
            result: PowerResult::Taken,
        });
    }
}

impl Down {
    /// Whether the machine was used since. One under a schedule is used before its hour, too.
    fn is_missed(&self, evidence: &Evidence) -> bool {
        let used = matches!(evidence.verdict, Verdict::InUse { .. } | Verdict::IdleByTheClock(_));
        let later = |at: Timestamp| at + Seconds(HOUR.unsigned_abs()) > self.at;
        let above = evidence.rows.iter().any(|row| row.above > 0 && later(row.most_at));
        above || used && !self.by_schedule
    }
}

/// The rules and schedules that do not act, as if they did; what they watch in their first days is
/// what is counted here.
fn as_if_acting(policy: &IdlePolicy) -> IdlePolicy {
    let shadowed = |mode: RuleMode| policy.mode == Mode::Observe || !mode.acts();
    let mut as_if = policy.clone();
    as_if.mode = Mode::Act;
    as_if.rules.retain(|rule| shadowed(rule.mode));
    as_if.schedules.retain(|rule| shadowed(rule.mode));
    for rule in &mut as_if.rules {
        (rule.mode, rule.observe_first) = (RuleMode::Act, Seconds::ZERO);
    }
    for rule in &mut as_if.schedules {
        rule.mode = RuleMode::Act;
    }
    as_if
}

/// What these rules and schedules see of a resource; `None` where it is none of theirs.
fn of_these(seen: &Seen, policy: &IdlePolicy) -> Option<Seen> {
    let rule = seen.rule.as_ref().filter(|name| policy.rules.iter().any(|r| r.name == **name));
    let schedule = seen.schedule.as_ref();
    let schedule = schedule.filter(|view| policy.schedules.iter().any(|r| r.name == view.rule));
    (rule.is_some() || schedule.is_some()).then(|| Seen {
        resource: seen.resource.clone(),
        rule: rule.cloned(),
        evidence: rule.and(seen.evidence.clone()),
        schedule: schedule.cloned(),
        last_hour: schedule.and(seen.last_hour.clone()),
        saving: seen.saving.clone(),
    })
}

/// What rules that act have done.
fn really_done(seen: &LookSeen<'_>, span: Seconds, cards: &mut BTreeMap<RuleName, RuleCard>) {
    let LookSeen { policy, snapshot, started, memory } = seen;
    let rules = policy.rules.iter().map(|rule| (&rule.name, rule.mode));
    let schedules = policy.schedules.iter().map(|rule| (&rule.name, rule.mode));
    let acting: BTreeSet<&RuleName> = rules
        .chain(schedules)
        .filter(|(_, mode)| policy.mode == Mode::Act && mode.acts())
        .map(|(name, _)| name)
        .collect();
    let mut card = |name: &RuleName, count: &mut dyn FnMut(&mut RuleCard)| {
        if let Some(card) = cards.get_mut(name).filter(|_| acting.contains(name)) {
            count(card);
        }
    };
    for outcome in &snapshot.outcomes {
        if let Some(rule) = outcome.because.rule()
            && !outcome.up
            && outcome.result.took_effect()
        {
            card(rule, &mut |card| card.stops += 1);
        }
    }
    for again in *started {
        let soon = snapshot.taken_at.since(again.stopped_at) <= WRONG_WITHIN;
        card(&again.rule, &mut |card| card.wrong += u32::from(soon));
    }
    for seen in snapshot.seen.iter().filter(|seen| !is_up(&seen.resource.power)) {
        let care = memory.cares.get(&seen.resource.id);
        if let Some(stopped) = care.and_then(|care| care.stopped.as_ref()) {
            card(&stopped.rule, &mut |card| card.save(seen.saving.as_ref(), span));
        }
    }
}

fn is_up(power: &Power) -> bool {
    matches!(power, Power::Running | Power::Starting)
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
