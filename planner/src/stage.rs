//! Whether a service or idle rule that may act does act: it starts in shadow, is promoted by
//! somebody, and goes back by somebody's word or by regret.

mod gate;
mod regret;
mod requests;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleet::{RuleName, Seconds, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::policy::{Mode, Policy, ServicePolicy, Share};

pub use gate::{Evidence, Missing, missing};
pub(crate) use regret::regret;
pub use regret::{alerts, regretted};
pub(crate) use requests::take_requests;
pub use requests::{StageAsk, StageRequest, bound_to, offer};
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
    Canary { share: Share },
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
        by: String,
        /// Whether the gate was not met.
        anyway: bool,
    },
    /// Somebody took it back.
    Demoted { by: String },
    /// It had too many violations.
    RegretViolations {
        /// Violations since its promotion.
        violations: u64,
        /// Intervals since its promotion.
        intervals: u64,
    },
    /// Violations followed its removals.
    RegretRemovals { removals: u32 },
    /// Machines that it had stopped were started again by somebody else.
    RegretRestarts { restarts: u32 },
    /// What people had said of it is away with the journal that it was said in.
    NewJournal,
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
            Why::NewJournal => f.write_str("the journal is new, the one before it is away"),
        }
    }
}

/// The stage of a service or rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMemory {
    pub stage: Stage,
    pub since: Timestamp,
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

    /// Whether somebody, or regret, took it back to shadow.
    pub fn is_taken_back(&self) -> bool {
        self.stage == Stage::Shadow && self.why != Why::New
    }
}

/// The stages of all that has one; what is in none acts as its configuration says.
///
/// ```
/// use fleet::RuleName;
/// use planner::stage::Stages;
///
/// // A gated rule that nobody has promoted watches; one without a gate acts.
/// let (stages, rule) = (Stages::default(), RuleName("dev".to_owned()));
/// assert!(stages.shadows_rule(&rule, true));
/// assert!(!stages.shadows_rule(&rule, false));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Of all that has none of its own, once everything was taken back.
    pub all: Option<StageMemory>,
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
