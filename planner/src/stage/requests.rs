//! What people ask for of stages: what they agree to, and what becomes of it.

use std::collections::BTreeMap;
use std::fmt;

use fleet::{GroupId, RuleName, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

use super::rules::{self, bound_to_rule};
use super::{Promotion, Stage, StageMemory, Stages, Why};
use crate::agreement::{agrees, name_of, older};
use crate::memory::ServiceMemory;
use crate::plan::{Finding, Hold, What};
use crate::policy::{LeadTimeRule, Policy, Share};
use crate::snapshot::Snapshot;

/// What a person asks for, of services and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRequest {
    pub by: String,
    pub at: Timestamp,
    pub ask: StageAsk,
}

/// What a person can ask for, of services and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageAsk {
    /// Let a service act.
    Promote {
        service: ServiceName,
        /// As a canary with this share of its budget of removals; wholly otherwise.
        share: Option<Share>,
        /// Whether its gate is not met.
        anyway: bool,
        /// What was agreed to, see [`bound_to`]: if it is another by now, nothing is done.
        bound_to: String,
    },
    /// Let an idle rule or schedule act that was taken back.
    PromoteRule { rule: RuleName },
    /// Take a service back to shadow.
    Demote { service: ServiceName },
    /// Take an idle rule or schedule back to `observe`.
    DemoteRule { rule: RuleName },
    /// Take everything back.
    DemoteAll,
    /// Let an idle rule or schedule act that waits for it.
    PromoteGatedRule {
        rule: RuleName,
        /// Whether its gate is not met.
        anyway: bool,
        /// What was agreed to, see [`bound_to_rule`]: if it is another by now, nothing is done.
        bound_to: String,
    },
    /// Nothing that is asked for: somebody else has started a machine that a rule had stopped.
    StartedAgain {
        /// The rule or schedule.
        rule: RuleName,
        /// The machine.
        resource: String,
        stopped_at: Timestamp,
    },
    /// Demand of a service is what its metrics say: what doubts it holds the service no more.
    Acknowledge { service: ServiceName },
    /// The same of every service.
    AcknowledgeAll,
    /// Nothing that is asked for: the journal is new, and what was asked for before is away with
    /// another. Everything waits in shadow until somebody promotes it.
    NewJournal,
}

impl fmt::Display for StageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = &self.by;
        match &self.ask {
            StageAsk::Promote { service, share, anyway, .. } => {
                write!(f, "{by} promotes {service}")?;
                if let Some(share) = share {
                    write!(f, " as a canary of {share}")?;
                }
                if *anyway { f.write_str(", the gate not being met") } else { Ok(()) }
            }
            StageAsk::PromoteRule { rule } => write!(f, "{by} promotes rule {rule}"),
            StageAsk::Demote { service } => write!(f, "{by} demotes {service}"),
            StageAsk::DemoteRule { rule } => write!(f, "{by} demotes rule {rule}"),
            StageAsk::DemoteAll => write!(f, "{by} demotes everything"),
            StageAsk::PromoteGatedRule { rule, anyway, .. } => {
                write!(f, "{by} promotes rule {rule}")?;
                if *anyway { f.write_str(", the gate not being met") } else { Ok(()) }
            }
            StageAsk::StartedAgain { rule, resource, stopped_at } => {
                write!(
                    f,
                    "{by} started {resource} again, which rule {rule} stopped at {stopped_at}"
                )
            }
            StageAsk::Acknowledge { service } => write!(f, "{by} acknowledges demand of {service}"),
            StageAsk::AcknowledgeAll => write!(f, "{by} acknowledges demand of every service"),
            StageAsk::NewJournal => {
                write!(f, "{by} begins a new journal, everything starts in shadow")
            }
        }
    }
}

/// What somebody who promotes a service agrees to, as a short hash: its configuration, the gate, the
/// budgets, the stage that it is in and since when. If any of it changes, it is another.
pub fn bound_to(policy: &Policy, stages: &Stages, name: &ServiceName) -> String {
    let service = policy.services.get(name);
    let gated = policy.promotion.gated.contains(name);
    let Promotion { gate, regret, .. } = &policy.promotion;
    let stage = stages.service(name).map(|memory| (memory.stage, memory.since));
    let (mode, budgets) = (policy.mode, &policy.budgets);
    // No byte of a policy tells it: what was agreed to before it was there goes on.
    let measured =
        service.is_some_and(|service| service.pool.lead_time_rule == LeadTimeRule::Measured);
    let kind = if measured { "service with a measured lead time" } else { "service" };
    name_of(kind, &(name, mode, gated, gate, regret, budgets, stage, service))
}

/// The name of a promotion's offer: what is agreed to, and the day of the scorecard it was agreed on.
pub fn offer(policy: &Policy, stages: &Stages, name: &ServiceName, day: i64) -> String {
    name_of("offer", &(bound_to(policy, stages, name), day))
}

/// Takes in what people asked for, and puts what is new in shadow. `known` is what was learned of
/// services so far.
pub(crate) fn take_requests(
    policy: &Policy,
    snapshot: &Snapshot,
    known: &BTreeMap<ServiceName, ServiceMemory>,
    stages: &mut Stages,
    findings: &mut Vec<Finding>,
) {
    for request in &snapshot.requests {
        request_taken(policy, snapshot.taken_at, request, stages, findings);
    }
    let gated = &policy.promotion.gated;
    stages.services.retain(|name, memory| {
        let here = policy.services.contains_key(name);
        // What was taken back stays so while the service is away: it may come back at any reload.
        (here || memory.is_taken_back()) && (memory.why != Why::New || gated.contains(name))
    });
    follow_groups(policy, snapshot, known, stages);
    for name in gated.iter().filter(|name| policy.services.contains_key(*name)) {
        if stages.service(name).is_none() {
            let new = StageMemory::new(Stage::Shadow, snapshot.taken_at, Why::New);
            stages.services.insert(name.clone(), new);
        }
    }
    let gated = &policy.promotion.rules;
    stages.rules.retain(|name, memory| memory.why != Why::New || gated.contains_key(name));
    for name in gated.keys() {
        if stages.rule(name).is_none() {
            let new = StageMemory::new(Stage::Shadow, snapshot.taken_at, Why::New);
            stages.rules.insert(name.clone(), new);
        }
    }
}

/// What was taken back stays so under another name: a service that nobody has said anything of takes
/// over the stage of one that is away and sized the same group.
fn follow_groups(
    policy: &Policy,
    snapshot: &Snapshot,
    known: &BTreeMap<ServiceName, ServiceMemory>,
    stages: &mut Stages,
) {
    let away: Vec<(GroupId, StageMemory)> = stages
        .services
        .iter()
        .filter(|(name, memory)| memory.is_taken_back() && !policy.services.contains_key(*name))
        .filter_map(|(name, memory)| Some((known.get(name)?.group.clone()?, memory.clone())))
        .collect();
    if away.is_empty() {
        return;
    }
    for (name, seen) in &snapshot.services {
        let Ok(view) = &seen.group else { continue };
        let said = stages.services.get(name).is_some_and(|memory| memory.why != Why::New);
        if said || !policy.services.contains_key(name) {
            continue;
        }
        let same = away.iter().filter(|(group, _)| group.is_same_group(&view.id));
        if let Some((_, newest)) = same.max_by_key(|(_, memory)| memory.since) {
            stages.services.insert(name.clone(), newest.clone());
        }
    }
}

fn request_taken(
    policy: &Policy,
    now: Timestamp,
    request: &StageRequest,
    stages: &mut Stages,
    findings: &mut Vec<Finding>,
) {
    let by = request.by.clone();
    let void = |by| Finding {
        service: None,
        what: What::Noted,
        hold: Hold::OfferVoid { by },
        sizing: None,
    };
    let demoted =
        || StageMemory::new(Stage::Shadow, request.at, Why::Demoted { by: request.by.clone() });
    match &request.ask {
        StageAsk::Promote { service, share, anyway, bound_to: agreed } => {
            let now = || bound_to(policy, stages, service);
            if !agrees(agreed, now, || older::bound_to(policy, stages, service)) {
                findings.push(Finding { service: Some(service.clone()), ..void(by) });
                return;
            }
            let stage = share.map_or(Stage::Promoted, |share| Stage::Canary { share });
            let why = Why::Promoted { by, anyway: *anyway };
            stages.services.insert(service.clone(), StageMemory::new(stage, request.at, why));
        }
        StageAsk::PromoteRule { rule } => {
            let why = Why::Promoted { by, anyway: false };
            let memory = StageMemory::new(Stage::Promoted, request.at, why);
            stages.rules.insert(rule.clone(), memory);
        }
        StageAsk::Demote { service } => {
            stages.services.insert(service.clone(), demoted());
        }
        StageAsk::DemoteRule { rule } => {
            stages.rules.insert(rule.clone(), demoted());
        }
        StageAsk::DemoteAll => {
            *stages = Stages { all: Some(demoted()), ..Stages::default() };
        }
        StageAsk::PromoteGatedRule { rule, anyway, bound_to: agreed } => {
            let now = || bound_to_rule(policy, stages, rule);
            let terms = policy.promotion.rules.get(rule);
            if !agrees(agreed, now, || older::bound_to_rule(policy, stages, rule, terms)) {
                findings.push(void(by));
                return;
            }
            let why = Why::Promoted { by, anyway: *anyway };
            let memory = StageMemory::new(Stage::Promoted, request.at, why);
            stages.rules.insert(rule.clone(), memory);
        }
        StageAsk::StartedAgain { rule, stopped_at, .. } => {
            rules::regret(policy, rule, *stopped_at, request.at, now, stages);
        }
        StageAsk::NewJournal => {
            let waits = StageMemory::new(Stage::Shadow, request.at, Why::NewJournal);
            *stages = Stages { all: Some(waits), ..Stages::default() };
        }
        // It is about demand, not about who acts.
        StageAsk::Acknowledge { .. } | StageAsk::AcknowledgeAll => {}
    }
}
