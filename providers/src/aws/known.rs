//! What is known of an account in a region beyond one reading, by the estate's questions.

use std::collections::{BTreeMap, BTreeSet};

use fleet::usage::Signal;
use fleet::{Fault, Timestamp};

use crate::flight::Flight;

/// What is remembered of a region's instances for the process's life.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By type; a type does not change what it can do.
    pub(super) types: BTreeMap<String, TypeFacts>,
    /// What agents publish, and when it was read.
    pub(super) agents: Option<(Timestamp, BTreeMap<String, BTreeSet<Signal>>)>,
    /// When what agents publish was last asked for.
    pub(super) agents_tried_at: Option<Timestamp>,
    /// What each target group had registered when that was last read, by ARN: for listings, which ask
    /// for all of them. Before a stop it is read afresh.
    pub(super) registered: BTreeMap<String, (Timestamp, Vec<Target>)>,
    /// Load balancing, being read for stops of the same moment.
    pub(super) targets: Flight<Result<Balancing, Fault>>,
    /// Alarms, being read for stops of the same moment.
    pub(super) alarms: Flight<Result<Alarms, Fault>>,
}

/// What an instance type can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeFacts {
    pub(super) local_disk: bool,
    pub(super) accelerator: bool,
    pub(super) burstable: bool,
    pub(super) hibernates: bool,
}

/// Names of alarms by the dimension and the id that they are about.
pub(super) type Alarms = BTreeMap<(&'static str, String), Vec<String>>;

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Balancer {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) created_at: Option<Timestamp>,
}

/// A target group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TargetGroup {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) vpc: Option<String>,
    /// The load balancers that send to it.
    pub(super) balancers: BTreeSet<String>,
    pub(super) targets: Result<Vec<Target>, Fault>,
}

/// What is registered in a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// An instance's id, an address, or an ARN.
    pub(super) id: String,
    /// Whether it gets requests, or would: also where nobody checks its health.
    pub(super) serves: bool,
}

/// All load balancing of a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Balancing {
    pub(super) balancers: Vec<Balancer>,
    pub(super) groups: Vec<TargetGroup>,
    /// Load balancers of the first generation: their names, and the instances behind them.
    pub(super) classic: Vec<(String, Vec<String>)>,
}
