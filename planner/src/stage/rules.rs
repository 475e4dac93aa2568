//! Stages of idle rules and schedules: what they must have shown, what is agreed to, and regret.

use fleet::alert::{Alert, Severity};
use fleet::{RuleName, Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::gate::millionths;
use super::{Missing, Promotion, Stage, StageMemory, Stages, Why};
use crate::agreement::name_of;
use crate::idle::WRONG_WITHIN;
use crate::policy::Policy;

/// What a rule's promotion is agreed to by: a short hash of its configuration.
pub fn terms(rule: &impl Serialize) -> String {
    name_of("terms", rule)
}

/// What somebody who promotes a rule agrees to, as a short hash: its configuration, the gate, the
/// stage that it is in and since when. If any of it changes, it is another.
pub fn bound_to_rule(policy: &Policy, stages: &Stages, name: &RuleName) -> String {
    let Promotion { gate, regret, rules, wrong_stops, .. } = &policy.promotion;
    let stage = stages.rule(name).map(|memory| (memory.stage, memory.since));
    let (mode, terms) = (policy.mode, rules.get(name));
    name_of("rule", &(name, mode, gate, regret, wrong_stops, stage, terms))
}

/// The name of the offer of a rule's promotion: what is agreed to, and the day of the scorecard it
/// was agreed on.
pub fn offer_of_rule(policy: &Policy, stages: &Stages, name: &RuleName, day: i64) -> String {
    name_of("offer", &(bound_to_rule(policy, stages, name), day))
}

/// What a rule has shown in shadow: the sum of its days there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEvidence {
    pub shadow_for: Seconds,
    /// Stops that it would have ordered.
    pub stops: u32,
    /// How many of these turned out wrong: the machine was used again soon after.
    pub wrong: u32,
}

/// What of the gate is not met by a rule; empty where its promotion can be offered.
///
/// ```
/// use fleet::Seconds;
/// use planner::policy::Share;
/// use planner::stage::{Missing, Promotion, RuleEvidence, missing_of_rule};
///
/// let promotion = Promotion { wrong_stops: Share::percent(5), ..Promotion::default() };
/// let shown = |wrong| RuleEvidence { shadow_for: Seconds::days(7), stops: 40, wrong };
/// assert_eq!(missing_of_rule(&promotion, &shown(2)), []);
/// let lacking = missing_of_rule(&promotion, &shown(3));
/// assert_eq!(lacking[0].to_string(), "3 of 40 stops were wrong, at most 5%");
/// assert!(matches!(lacking[..], [Missing::WrongStops { .. }]));
/// ```
pub fn missing_of_rule(promotion: &Promotion, evidence: &RuleEvidence) -> Vec<Missing> {
    let Promotion { gate, wrong_stops: most, .. } = promotion;
    let RuleEvidence { shadow_for, stops, wrong } = *evidence;
    let mut missing = Vec::new();
    if shadow_for < gate.shadow_for {
        missing.push(Missing::Time { have: shadow_for, need: gate.shadow_for });
    }
    if stops < gate.decisions {
        missing.push(Missing::Decisions { have: stops, need: gate.decisions });
    }
    if u64::from(wrong) * 1_000_000 > u64::from(millionths(*most)) * u64::from(stops) {
        missing.push(Missing::WrongStops { wrong, stops, most: *most });
    }
    missing
}

/// Counts a machine that somebody else started again soon after a promoted rule had stopped it, and
/// takes the promotion back once there are too many.
pub(super) fn regret(
    policy: &Policy,
    name: &RuleName,
    stopped_at: Timestamp,
    started_at: Timestamp,
    now: Timestamp,
    stages: &mut Stages,
) {
    let gated = policy.promotion.rules.contains_key(name);
    let Some(memory) = stages.rules.get_mut(name).filter(|_| gated) else { return };
    let soon = started_at.since(stopped_at) <= WRONG_WITHIN;
    if memory.stage == Stage::Shadow || stopped_at < memory.since || !soon {
        return;
    }
    memory.regretted = memory.regretted.saturating_add(1);
    if memory.regretted >= policy.promotion.regret.removals.max(1) {
        let why = Why::RegretRestarts { restarts: memory.regretted };
        *memory = StageMemory::new(Stage::Shadow, now, why);
    }
}

/// The alert of a rule that regret has taken back.
pub(super) fn regretted(name: &RuleName, memory: &StageMemory) -> Alert {
    Alert {
        key: format!("rule/{name}/regret/{}", memory.since.0),
        severity: Severity::Warning,
        at: memory.since,
        title: format!("rule {name} is back in shadow: {}", memory.why),
        lines: vec![
            "it stops and starts nothing any more; what it has stopped stays down".to_owned(),
            "a machine and who started it: `neap explain ID`".to_owned(),
            format!("once it has shown better: `neap promote {name}`"),
        ],
        subject: Some(name.to_string()),
        owner: None,
    }
}
