//! The records: what a cycle, an order and its outcome leave behind.

use std::fmt;

use fleet::metric::{MetricKey, Sample};
use fleet::{Change, GroupId, ServiceName, Timestamp};
use planner::plan::Plan;
use planner::policy::Policy;
use planner::snapshot::{OrderResult, Snapshot};
use serde::{Deserialize, Serialize};

use super::{CycleId, DecisionId, Memory, PolicyDigest};
use crate::records::Explanation;

/// The world that a journal belongs to: one journal never mixes two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum World {
    /// Real clouds.
    Real,
    /// A simulated cloud.
    Simulation {
        /// The seed that all its randomness comes from.
        seed: u64,
        /// A word that tells simulations with the same seed apart, such as the scenario's name.
        scenario: String,
    },
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            World::Real => f.write_str("the real clouds"),
            World::Simulation { seed, scenario } if scenario.is_empty() => {
                write!(f, "the simulation with seed `{seed}`")
            }
            World::Simulation { seed, scenario } => {
                write!(f, "the simulation `{scenario}` with seed `{seed}`")
            }
        }
    }
}

/// A cycle as it is handed to [`super::Journal::record_cycle`].
#[derive(Clone, Copy, Debug)]
pub struct NewCycle<'a> {
    /// The policy in force, recorded before.
    pub policy: PolicyDigest,
    /// The planner's revision: replay recomputes plans of its own revision only.
    pub planner_revision: u32,
    /// What was seen; the cycle is stamped with its `taken_at`.
    pub snapshot: &'a Snapshot,
    /// What was decided.
    pub plan: &'a Plan,
    /// The memory the plan was made with.
    pub memory_before: &'a Memory,
    /// The memory it left.
    pub memory_after: &'a Memory,
    /// What it says of each service it acts on, in the order of its plan.
    pub stories: &'a [Explanation],
}

/// A cycle as it is read back: equal in every bit to what was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleRecord {
    pub id: CycleId,
    /// The policy in force.
    pub policy: PolicyDigest,
    /// The planner's revision.
    pub planner_revision: u32,
    /// What was seen.
    pub snapshot: Snapshot,
    /// What was decided.
    pub plan: Plan,
    /// The memory the plan was made with.
    pub memory_before: Memory,
    /// The memory it left.
    pub memory_after: Memory,
}

impl CycleRecord {
    /// When the snapshot was taken.
    pub fn taken_at(&self) -> Timestamp {
        self.snapshot.taken_at
    }
}

/// What is about to be done: on disk before the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The decision; it names the cycle.
    pub id: DecisionId,
    /// When it was written.
    pub at: Timestamp,
    pub service: ServiceName,
    pub group: GroupId,
    pub change: Change,
}

impl Intent {
    /// The cycle whose plan holds the action.
    pub fn cycle(&self) -> CycleId {
        self.id.cycle
    }
}

/// What became of an intent. A later outcome of the same decision replaces an `Unconfirmed` one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub id: DecisionId,
    /// When it was known.
    pub at: Timestamp,
    /// How it ended.
    pub result: OrderResult,
}

impl Outcome {
    /// Whether nothing more is to be found out.
    pub fn is_final(&self) -> bool {
        !matches!(self.result, OrderResult::Unconfirmed { effect_seen: None })
    }
}

/// Samples of one metric that arrived together: new ones, and revisions of ones known before.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleBatch {
    pub metric: MetricKey,
    /// When they arrived.
    pub seen_at: Timestamp,
    /// The samples, in the order they are to be read back.
    pub samples: Vec<Sample>,
}

/// One sample as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSample {
    pub metric: MetricKey,
    /// When it arrived; of two with the same start the later one is a revision.
    pub seen_at: Timestamp,
    pub sample: Sample,
}

/// A policy as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPolicy {
    pub policy: Policy,
    /// The configuration it came from, without secrets.
    pub source: String,
    /// When it was first recorded.
    pub recorded_at: Timestamp,
}
