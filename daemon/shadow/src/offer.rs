//! Promotions: what each service has shown, what of its gate is missing, and the name under which
//! its promotion can be agreed to.

use std::collections::BTreeMap;

use fleet::{RuleName, Seconds, ServiceName, Timestamp};
use planner::idle::rule::{IdlePolicy, RuleMode};
use planner::memory::{Memory, Quality};
use planner::policy::{Mode, Policy};
use planner::stage::{self, Evidence, Missing, RuleEvidence, Stage, Why};
use serde::{Deserialize, Serialize};

use super::{RuleCard, RuleScores, Scorecard, Scores};

/// A service or rule on its way to acting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer<Card = Scorecard> {
    /// The name of the offer: it stands for this configuration, this stage and this day.
    pub id: String,
    pub stage: Stage,
    pub since: Timestamp,
    pub why: Why,
    /// Whether its configuration lets it act once it is promoted.
    pub may_act: bool,
    /// The sum of its days in this stage.
    pub scorecard: Card,
    /// The days that have a scorecard.
    pub days: u32,
    /// What of the gate is not met; empty for what has no gate.
    pub missing: Vec<Missing>,
}

impl<Card> Offer<Card> {
    /// Whether somebody may promote it now.
    pub fn is_ready(&self) -> bool {
        self.may_act && self.missing.is_empty() && self.stage == Stage::Shadow
    }
}

/// An idle rule or schedule on its way to acting.
pub type RuleOffer = Offer<RuleCard>;

/// Every service that has a stage, and how far it is.
pub fn offers(
    policy: &Policy,
    memory: &Memory,
    scores: &Scores,
    now: Timestamp,
) -> BTreeMap<ServiceName, Offer> {
    let names = policy.services.keys();
    names
        .filter_map(|name| Some((name.clone(), offer(policy, memory, scores, name, now)?)))
        .collect()
}

/// How far one service is; `None` where its configuration alone decides.
pub fn offer(
    policy: &Policy,
    memory: &Memory,
    scores: &Scores,
    name: &ServiceName,
    now: Timestamp,
) -> Option<Offer> {
    let service = policy.services.get(name)?;
    let standing = memory.stages.service(name)?;
    let (scorecard, days) = scores.since(name, standing.since);
    let own = memory.services.get(name);
    let evidence = Evidence {
        shadow_for: Seconds(now.since(standing.since).0),
        decisions: scorecard.would.orders,
        intervals: u64::from(scorecard.would.intervals),
        violations_actual: u64::from(scorecard.actual.violations),
        violations_would: u64::from(scorecard.would.violations),
        unit_hours_actual: scorecard.actual.unit_hours(),
        unit_hours_would: scorecard.would.unit_hours(),
        usd: scorecard.priced.then(|| [scorecard.actual.usd(), scorecard.would.usd()]),
        forecast_trusted: own.is_some_and(|own| own.quality == Quality::Trusted),
    };
    let gated = policy.promotion.gated.contains(name) && standing.stage == Stage::Shadow;
    let missing = match gated {
        true => stage::missing(&policy.promotion.gate, service.violation_budget, &evidence),
        false => Vec::new(),
    };
    Some(Offer {
        id: stage::offer(policy, &memory.stages, name, now.utc_day()),
        stage: standing.stage,
        since: standing.since,
        why: standing.why.clone(),
        may_act: policy.mode == Mode::Act && service.mode == Mode::Act,
        scorecard,
        days,
        missing,
    })
}

/// The idle rules and schedules of a configuration, and what they have shown.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// As they are configured.
    pub policy: &'a IdlePolicy,
    /// Their scorecards.
    pub scores: &'a RuleScores,
}

impl Rules<'_> {
    /// Each by its name, with the mode that it is configured to have.
    pub fn modes(&self) -> impl Iterator<Item = (&RuleName, RuleMode)> {
        let schedules = self.policy.schedules.iter().map(|rule| (&rule.name, rule.mode));
        self.policy.rules.iter().map(|rule| (&rule.name, rule.mode)).chain(schedules)
    }
}

/// Every idle rule and schedule that has a stage, and how far it is.
pub fn rule_offers(
    policy: &Policy,
    memory: &Memory,
    rules: &Rules<'_>,
    now: Timestamp,
) -> BTreeMap<RuleName, RuleOffer> {
    let offer = |name: &RuleName| rule_offer(policy, memory, rules, name, now);
    rules.modes().filter_map(|(name, _)| Some((name.clone(), offer(name)?))).collect()
}

/// How far one rule is; `None` where its configuration alone decides, or there is none.
pub fn rule_offer(
    policy: &Policy,
    memory: &Memory,
    rules: &Rules<'_>,
    name: &RuleName,
    now: Timestamp,
) -> Option<RuleOffer> {
    let (_, mode) = rules.modes().find(|(known, _)| *known == name)?;
    let standing = memory.stages.rule(name)?;
    let (scorecard, days) = rules.scores.since(name, standing.since);
    let evidence = RuleEvidence {
        shadow_for: Seconds(now.since(standing.since).0),
        stops: scorecard.stops,
        wrong: scorecard.wrong,
    };
    let gated = policy.promotion.rules.contains_key(name) && standing.stage == Stage::Shadow;
    let missing = match gated {
        true => stage::missing_of_rule(&policy.promotion, &evidence),
        false => Vec::new(),
    };
    Some(Offer {
        id: stage::offer_of_rule(policy, &memory.stages, name, now.utc_day()),
        stage: standing.stage,
        since: standing.since,
        why: standing.why.clone(),
        may_act: policy.mode == Mode::Act && mode.acts(),
        scorecard,
        days,
        missing,
    })
}
