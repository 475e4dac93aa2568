//! Whether a service that may act does act: it starts in shadow, is promoted by somebody, and goes
//! back by somebody's word or by regret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Severity};
use crate::idle::rule::RuleName;
use crate::memory::{Memory, ServiceMemory};
use crate::numbers::name_of;
use crate::plan::{Finding, Hold, What};
use crate::policy::{Mode, Policy, ServicePolicy, Share};
use crate::snapshot::{Observation, OrderResult, Snapshot};
use crate::{Seconds, ServiceName, Timestamp};

/// What promotions take, and what takes them back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Services that act only once somebody has promoted them.
    pub gated: BTreeSet<ServiceName>,
    /// What a service must have shown in shadow.
    pub gate: Gate,
    /// What takes a promotion back.
    pub regret: RegretLimits,
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
}

impl Why {
    /// Whether neap itself took it back.
    pub fn is_regret(&self) -> bool {
        matches!(self, Why::RegretViolations { .. } | Why::RegretRemovals { .. })
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
    /// Removals since `since` that a violation followed.
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

    /// Whether an idle rule or schedule does not act though its configuration may let it.
    pub fn shadows_rule(&self, name: &RuleName) -> bool {
        self.rule(name).is_some_and(|memory| memory.stage == Stage::Shadow)
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
    let mode = policy.mode;
    let budgets = &policy.budgets;
    name_of(&format!("{name}|{mode}|{gated}|{gate:?}|{regret:?}|{budgets:?}|{stage:?}|{service:?}"))
}

/// The name of a promotion's offer: what is agreed to, and the day of the scorecard it was agreed on.
pub fn offer(policy: &Policy, stages: &Stages, name: &ServiceName, day: i64) -> String {
    name_of(&format!("{}|{day}", bound_to(policy, stages, name)))
}

/// What a service has shown in shadow: the sum of its days there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How long it has been in shadow.
    pub shadow_for: Seconds,
    /// Orders that it would have given.
    pub decisions: u32,
    /// Intervals that were compared.
    pub intervals: u64,
    /// Violations as they really were.
    pub violations_actual: u64,
    /// As they would have been.
    pub violations_would: u64,
    /// Units times hours as they really were.
    pub unit_hours_actual: f64,
    /// As they would have been.
    pub unit_hours_would: f64,
    /// What these cost in US dollars, where a unit's price is known: really, and as it would have
    /// been. A unit has one price, so that their ratio is that of the units.
    pub usd: Option<[f64; 2]>,
    /// Whether the forecast has a say.
    pub forecast_trusted: bool,
}

/// What of a gate is not met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It was not in shadow long enough.
    Time {
        /// How long it was.
        have: Seconds,
        /// How long it must be.
        need: Seconds,
    },
    /// It would have done too little to be judged.
    Decisions {
        /// Orders that it would have given.
        have: u32,
        /// Orders that it takes.
        need: u32,
    },
    /// It would have had too many violations.
    Violations {
        /// Their share, in millionths.
        would: u32,
        /// The most it may be.
        most: u32,
    },
    /// It would have cost too much.
    Cost {
        /// What it would have cost for each thousand that was really paid.
        per_mille: u32,
        /// The most it may be.
        most: u32,
        /// The two in US dollars, where a unit's price is known: really, and as it would have been.
        usd: Option<[f64; 2]>,
    },
    /// Its forecast has been worse than last-value.
    Forecast,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |millionths: u32| f64::from(millionths) / 1e4;
        match self {
            Missing::Time { have, need } => write!(f, "{have} of {need} in shadow"),
            Missing::Decisions { have, need } => write!(f, "{have} of {need} decisions"),
            Missing::Violations { would, most } => {
                write!(f, "violations {:.2}%, at most {:.2}%", percent(*would), percent(*most))
            }
            Missing::Cost { per_mille, most, usd } => {
                let percent = |per_mille: u32| f64::from(per_mille) / 10.0;
                write!(f, "cost {:.1}%, at most {:.1}%", percent(*per_mille), percent(*most))?;
                match usd {
                    Some([actual, would]) => write!(f, " ({actual:.2} USD to {would:.2} USD)"),
                    None => Ok(()),
                }
            }
            Missing::Forecast => f.write_str("the forecast has no say"),
        }
    }
}

/// What of the gate is not met; empty where a promotion can be offered.
pub fn missing(gate: &Gate, budget: Share, evidence: &Evidence) -> Vec<Missing> {
    let mut missing = Vec::new();
    if evidence.shadow_for < gate.shadow_for {
        missing.push(Missing::Time { have: evidence.shadow_for, need: gate.shadow_for });
    }
    if evidence.decisions < gate.decisions {
        missing.push(Missing::Decisions { have: evidence.decisions, need: gate.decisions });
    }
    let share = |violations: u64| {
        let millionths = u128::from(violations) * 1_000_000 / u128::from(evidence.intervals.max(1));
        u32::try_from(millionths).unwrap_or(u32::MAX)
    };
    let would = share(evidence.violations_would);
    let worst = share(evidence.violations_actual).saturating_add(millionths(gate.worse_by));
    let most = millionths(budget).min(worst);
    if would > most {
        missing.push(Missing::Violations { would, most });
    }
    let dearer = evidence.unit_hours_would / evidence.unit_hours_actual.max(1e-9);
    let per_mille = (dearer * 1000.0).round().clamp(0.0, 1e9) as u32;
    let most = 1000 + millionths(gate.dearer_by) / 1000;
    if evidence.unit_hours_actual > 0.0 && per_mille > most {
        missing.push(Missing::Cost { per_mille, most, usd: evidence.usd });
    }
    if !evidence.forecast_trusted {
        missing.push(Missing::Forecast);
    }
    missing
}

fn millionths(share: Share) -> u32 {
    (share.fraction() * 1e6).round() as u32
}

/// Takes in what people asked for, and puts what is new in shadow.
pub(crate) fn take_requests(
    policy: &Policy,
    snapshot: &Snapshot,
    stages: &mut Stages,
    findings: &mut Vec<Finding>,
) {
    for request in &snapshot.requests {
        request_taken(policy, request, stages, findings);
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
}

fn request_taken(
    policy: &Policy,
    request: &StageRequest,
    stages: &mut Stages,
    findings: &mut Vec<Finding>,
) {
    let by = request.by.clone();
    let demoted =
        || StageMemory::new(Stage::Shadow, request.at, Why::Demoted { by: request.by.clone() });
    match &request.ask {
        StageAsk::Promote { service, share, anyway, bound_to: agreed } => {
            if bound_to(policy, stages, service) != *agreed {
                findings.push(Finding {
                    service: Some(service.clone()),
                    what: What::Noted,
                    hold: Hold::OfferVoid { by },
                    sizing: None,
                });
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
