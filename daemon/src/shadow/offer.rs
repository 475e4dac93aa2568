//! Promotions: what each service has shown, what of its gate is missing, and the name under which
//! its promotion can be agreed to.

use std::collections::BTreeMap;

use planner::memory::{Memory, Quality};
use planner::policy::Policy;
use planner::stage::{self, Evidence, Missing, Stage, Why};
use planner::{Seconds, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Scorecard, Scores, day_of};

/// A service on its way to acting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The name of the offer: it stands for this configuration, this stage and this day.
    pub id: String,
    /// The stage.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: Why,
    /// Whether its configuration lets it act once it is promoted.
    pub may_act: bool,
    /// The sum of its days in this stage.
    pub scorecard: Scorecard,
    /// The days that have a scorecard.
    pub days: u32,
    /// What of the gate is not met; empty for what has no gate.
    pub missing: Vec<Missing>,
}

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
    use planner::policy::Mode::Act;
    Some(Offer {
        id: stage::offer(policy, &memory.stages, name, day_of(now)),
        stage: standing.stage,
        since: standing.since,
        why: standing.why.clone(),
        may_act: policy.mode == Act && service.mode == Act,
        scorecard,
        days,
        missing,
    })
}
