//! Whether a service or idle rule that may act does act: it starts in shadow, is promoted by
//! somebody, and goes back by somebody's word or by regret.

mod gate;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agreement::{agrees, name_of, older};
use crate::alert::{Alert, Severity};
use crate::idle::rule::RuleName;
use crate::memory::{Memory, ServiceMemory};
use crate::plan::{Finding, Hold, What};
use crate::policy::{Mode, Policy, ServicePolicy, Share};
use crate::snapshot::{Observation, OrderResult, Snapshot};
use crate::{Seconds, ServiceName, Timestamp};

pub use gate::{Evidence, Missing, missing};
pub use rules::{RuleEvidence, bound_to_rule, missing_of_rule, offer_of_rule, terms};

/// What promotions take, and what takes them back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Services that act only once somebody has promoted them.
    pub gated: BTreeSet<ServiceName>,
    /// What a service must have shown in shadow.
    pub gate: Gate,
    /// What takes a promotion back.
    pub regret: RegretLimits,
    /// Idle rules and schedules that act only once somebody has promoted them, each with its
    /// [`terms`].
    pub rules: BTreeMap<RuleName, String>,
    /// How many of the stops that a rule would have ordered may turn out wrong.
    pub wrong_stops: Share,
}

/// What a service must have shown in shadow before its promotion is offered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// How long it must have been in shadow.
    pub shadow_for: Seconds,
    /// Orders that it would have given at least.
    pub decisions: u32,
    /// How much larger its share of violations may be than the real one; at most the budget in any
    /// case.
    pub worse_by: Share,
    /// How much more it may cost than what is really paid.
    pub dearer_by: Share,
}

impl Default for Gate {
    /// A week with each of its days, enough orders to judge by, no more violations than a
    /// thousandth above the real ones, no more than a twentieth dearer.
    fn default() -> Gate {
        Gate {
            shadow_for: Seconds::days(7),
            decisions: 10,
            worse_by: Share::from_millionths(1_000).unwrap_or(Share::NONE),
            dearer_by: Share::percent(5),
        }
    }
}

/// What takes a promotion back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegretLimits {
    /// More than so many times the budget's share of intervals in violation since the promotion.
    pub times_budget: u32,
    /// And more than so many of them: a single bad quarter of an hour is no regret.
    pub violations: u32,
    /// Or so many removals that a violation followed within the lead window.
    pub removals: u32,
}

impl Default for RegretLimits {
    /// Twice the budget and more than ten intervals, or three removals.
    fn default() -> RegretLimits {
        RegretLimits { times_budget: 2, violations: 10, removals: 3 }
    }
}

/// How far a service is on its way to acting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It decides and changes nothing.
    Shadow,
    /// It grows as it decides, and shrinks by a share of its budget of removals.
    Canary {
        /// Which.
        share: Share,
    },
    /// It acts.
    Promoted,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Shadow => f.write_str("shadow"),
            Stage::Canary { share } => write!(f, "canary of {share}"),
            Stage::Promoted => f.write_str("promoted"),
        }
    }
}

/// Why something is in the stage it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It has not been promoted yet.
    New,
    /// Somebody promoted it.
    Promoted {
        /// Who.
        by: String,
        /// Whether the gate was not met.
        anyway: bool,
    },
    /// Somebody took it back.
    Demoted {
        /// Who.
        by: String,
    },
    /// It had too many violations.
    RegretViolations {
        /// Violations since its promotion.
        violations: u64,
        /// Intervals since its promotion.
        intervals: u64,
    },
    /// Violations followed its removals.
    RegretRemovals {
        /// So many.
        removals: u32,
    },
    /// Machines that it had stopped were started again by somebody else.
    RegretRestarts {
        /// So many.
        restarts: u32,
    },
}

impl Why {
    /// Whether neap itself took it back.
    pub fn is_regret(&self) -> bool {
        matches!(
            self,
            Why::RegretViolations { .. } | Why::RegretRemovals { .. } | Why::RegretRestarts { .. }
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::New => f.write_str("not promoted yet"),
            Why::Promoted { by, anyway: false } => write!(f, "promoted by {by}"),
            Why::Promoted { by, anyway: true } => {
                write!(f, "promoted by {by}, the gate not being met")
            }
            Why::Demoted { by } => write!(f, "demoted by {by}"),
            Why::RegretViolations { violations, intervals } => write!(
                f,
                "demoted by regret, {violations} of {intervals} intervals were violations"
            ),
            Why::RegretRemovals { removals } => {
                write!(f, "demoted by regret, violations followed {removals} removals")
            }
            Why::RegretRestarts { restarts } => {
                write!(f, "demoted by regret, somebody started {restarts} of its machines again")
            }
        }
    }
}

/// The stage of a service or rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMemory {
    /// The stage.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: Why,
    /// When units were last taken away by us, while a violation may still follow from it.
    pub shrank_at: Option<Timestamp>,
    /// Removals since `since` that a violation followed; of a rule, stops that somebody took back.
    pub regretted: u32,
}

impl StageMemory {
    fn new(stage: Stage, since: Timestamp, why: Why) -> StageMemory {
        StageMemory { stage, since, why, shrank_at: None, regretted: 0 }
    }
}

/// The stages of all that has one; what is in none acts as its configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Of all that has none of its own, once everything was taken back.
    pub all: Option<StageMemory>,
    /// Of services.
    pub services: BTreeMap<ServiceName, StageMemory>,
    /// Of idle rules and schedules.
    pub rules: BTreeMap<RuleName, StageMemory>,
}

impl Stages {
    /// The stage of a service; `None` where its configuration alone decides.
    pub fn service(&self, name: &ServiceName) -> Option<&StageMemory> {
        self.services.get(name).or(self.all.as_ref())
    }

    /// Likewise of an idle rule or schedule.
    pub fn rule(&self, name: &RuleName) -> Option<&StageMemory> {
        self.rules.get(name).or(self.all.as_ref())
    }

    /// Whether a service does not act though its configuration may let it.
    pub fn shadows(&self, policy: &Policy, name: &ServiceName) -> bool {
        match self.service(name) {
            Some(memory) => memory.stage == Stage::Shadow,
            None => policy.promotion.gated.contains(name),
        }
    }

    /// Whether an idle rule or schedule, `gated` or not, does not act though its configuration may
    /// let it.
    pub fn shadows_rule(&self, name: &RuleName, gated: bool) -> bool {
        self.rule(name).map_or(gated, |memory| memory.stage == Stage::Shadow)
    }

    /// What a service's mode is, all told.
    pub fn mode(&self, policy: &Policy, name: &ServiceName, service: &ServicePolicy) -> Mode {
        let acts = policy.mode == Mode::Act && service.mode == Mode::Act;
        if acts && !self.shadows(policy, name) { Mode::Act } else { Mode::Observe }
    }

    /// The share of its budget of removals that a service is limited to.
    pub(crate) fn canary(&self, name: &ServiceName) -> Option<Share> {
        match self.service(name)?.stage {
            Stage::Canary { share } => Some(share),
            Stage::Shadow | Stage::Promoted => None,
        }
    }
}

/// What a person asks for, of services and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRequest {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub ask: StageAsk,
}

/// What a person can ask for, of services and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageAsk {
    /// Let a service act.
    Promote {
        /// Which.
        service: ServiceName,
        /// As a canary with this share of its budget of removals; wholly otherwise.
        share: Option<Share>,
        /// Whether its gate is not met.
        anyway: bool,
        /// What was agreed to, see [`bound_to`]: if it is another by now, nothing is done.
        bound_to: String,
    },
    /// Let an idle rule or schedule act that was taken back.
    PromoteRule {
        /// Which.
        rule: RuleName,
    },
    /// Take a service back to shadow.
    Demote {
        /// Which.
        service: ServiceName,
    },
    /// Take an idle rule or schedule back to `observe`.
    DemoteRule {
        /// Which.
        rule: RuleName,
    },
    /// Take everything back.
    DemoteAll,
    /// Let an idle rule or schedule act that waits for it.
    PromoteGatedRule {
        /// Which.
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
        /// When it was stopped.
        stopped_at: Timestamp,
    },
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
    name_of("service", &(name, mode, gated, gate, regret, budgets, stage, service))
}

/// The name of a promotion's offer: what is agreed to, and the day of the scorecard it was agreed on.
pub fn offer(policy: &Policy, stages: &Stages, name: &ServiceName, day: i64) -> String {
    name_of("offer", &(bound_to(policy, stages, name), day))
}

/// Takes in what people asked for, and puts what is new in shadow.
pub(crate) fn take_requests(
    policy: &Policy,
    snapshot: &Snapshot,
    stages: &mut Stages,
    findings: &mut Vec<Finding>,
) {
    for request in &snapshot.requests {
        request_taken(policy, snapshot.taken_at, request, stages, findings);
    }
    let gated = &policy.promotion.gated;
    stages.services.retain(|name, memory| {
        policy.services.contains_key(name) && (memory.why != Why::New || gated.contains(name))
    });
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
    }
}

/// What a promoted service's cycle says of its promotion. `before` are the account's totals before
/// the cycle's intervals were counted, `own` is what was learned with them.
pub(crate) fn regret(
    policy: &Policy,
    snapshot: &Snapshot,
    name: &ServiceName,
    before: (u64, u64),
    own: &ServiceMemory,
    stages: &mut Stages,
) {
    let (Some(service), Some(seen)) = (policy.services.get(name), snapshot.services.get(name))
    else {
        return;
    };
    if !policy.promotion.gated.contains(name) {
        return;
    }
    let Some(memory) = stages.services.get_mut(name) else { return };
    if memory.stage == Stage::Shadow {
        return;
    }
    let at = snapshot.taken_at;
    follow_removals(policy, service, seen, at, before, own, memory);
    let limits = &policy.promotion.regret;
    let (intervals, violations) = since(memory.since, own);
    let allowed = service.violation_budget.fraction() * f64::from(limits.times_budget);
    let why = if memory.regretted >= limits.removals.max(1) {
        Why::RegretRemovals { removals: memory.regretted }
    } else if violations > u64::from(limits.violations)
        && violations as f64 > allowed * intervals as f64
    {
        Why::RegretViolations { violations, intervals }
    } else {
        return;
    };
    *memory = StageMemory::new(Stage::Shadow, at, why);
}

/// Counts removals of ours that a violation follows within the lead window.
fn follow_removals(
    policy: &Policy,
    service: &ServicePolicy,
    seen: &Observation,
    at: Timestamp,
    before: (u64, u64),
    own: &ServiceMemory,
    memory: &mut StageMemory,
) {
    let settling = seen.demand.settling + seen.demand.step.span();
    let window = crate::observe::window(&service.pool, Some(own), policy.poll_interval, settling);
    let violated = own.violations.totals().1 > before.1;
    if let Some(shrank_at) = memory.shrank_at {
        if at.since(shrank_at) > window.lead() {
            memory.shrank_at = None;
        } else if violated {
            memory.shrank_at = None;
            memory.regretted = memory.regretted.saturating_add(1);
        }
    }
    let removed =
        seen.outcomes.iter().rev().find(|outcome| {
            !outcome.change.is_increase() && outcome.result == OrderResult::Applied
        });
    if let Some(outcome) = removed.filter(|outcome| outcome.at >= memory.since) {
        memory.shrank_at = Some(outcome.at);
    }
}

/// Intervals and violations of the whole quarters of a day since a moment.
fn since(at: Timestamp, own: &ServiceMemory) -> (u64, u64) {
    let quarter = at.0.div_euclid(crate::learn::QUARTER);
    let later = own.violations.quarters.iter().filter(|(n, _)| i64::from(*n) > quarter);
    later.fold((0, 0), |(intervals, violations), (_, count)| {
        (intervals + u64::from(count.intervals), violations + u64::from(count.violations))
    })
}

/// What people are to be told of a cycle that led from one memory to the next.
pub fn alerts(before: &Memory, after: &Memory, at: Timestamp) -> Vec<Alert> {
    let changed = after.stages.services.iter().filter(|(name, memory)| {
        memory.why.is_regret() && before.stages.services.get(*name) != Some(memory)
    });
    let mut alerts: Vec<Alert> = changed.map(|(name, memory)| regretted(name, memory)).collect();
    let changed = after.stages.rules.iter().filter(|(name, memory)| {
        memory.why.is_regret() && before.stages.rules.get(*name) != Some(memory)
    });
    alerts.extend(changed.map(|(name, memory)| rules::regretted(name, memory)));
    if let Some(all) = after.stages.all.as_ref().filter(|_| before.stages.all != after.stages.all) {
        alerts.push(Alert {
            key: format!("stage/all/{}", all.since.0),
            severity: Severity::Warning,
            at,
            title: format!("everything is taken back to observe: {}", all.why),
            lines: vec!["`neap promote NAME` lets one act again".to_owned()],
            subject: None,
            owner: None,
        });
    }
    alerts
}

/// The alert of a service that regret has taken back.
pub fn regretted(name: &ServiceName, memory: &StageMemory) -> Alert {
    Alert {
        key: format!("service/{name}/regret/{}", memory.since.0),
        severity: match memory.why {
            Why::RegretViolations { .. } => Severity::Critical,
            _ => Severity::Warning,
        },
        at: memory.since,
        title: format!("{name} is back in shadow: {}", memory.why),
        lines: vec![
            "nothing of it is changed any more".to_owned(),
            format!("its decisions: `neap explain {name}`"),
            format!("once it has shown better: `neap promote {name}`"),
        ],
        subject: Some(name.to_string()),
        owner: None,
    }
}
