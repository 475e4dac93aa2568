//! What feeds a group with work, as a cloud shows it: attachments, policies, alarms, launches. What a first
//! configuration is guessed from.

use std::collections::BTreeMap;

use crate::Fault;
use crate::group::{Activity, GroupState};

/// The groups of a place, with what feeds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    pub groups: Vec<Surveyed>,
    /// Queues of which there are metrics, by name.
    pub queues: Vec<String>,
    /// What could not be read, and so may be missing below.
    pub unread: Vec<Fault>,
}

/// A group with what its cloud tells of its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Surveyed {
    pub group: GroupState,
    /// Where its work comes from.
    pub feeds: Vec<Feed>,
    /// What its own policies hold steady.
    pub goals: Vec<Goal>,
    /// Metrics that its policies and their alarms look at.
    pub watched: Vec<WatchedMetric>,
    /// The machines that it is made of, the most usual first.
    pub shapes: Vec<UnitShape>,
    /// What it did in the last weeks, newest first; none where nobody asked.
    pub history: Option<Vec<Activity>>,
}

impl Surveyed {
    /// A group of which nothing else is known.
    pub fn bare(group: GroupState) -> Surveyed {
        Surveyed {
            group,
            feeds: Vec::new(),
            goals: Vec::new(),
            watched: Vec::new(),
            shapes: Vec::new(),
            history: None,
        }
    }
}

/// One way by which work reaches a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feed {
    pub via: FeedKind,
    /// The load balancer, as its metrics name it; `None` where it could not be read.
    pub balancer: Option<String>,
    /// The target group or server group, as metrics name it; `None` where the balancer sends to
    /// machines.
    pub target_group: Option<String>,
    /// How many target groups the load balancer sends to, this one included; `None` where that could
    /// not be read.
    pub target_groups: Option<u32>,
    /// How it is known.
    pub known_by: FeedSource,
}

/// What sends the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedKind {
    /// A load balancer that counts requests (AWS: ALB, Alibaba Cloud: ALB).
    Application,
    /// A load balancer that counts connections and bytes (NLB).
    Network,
    /// A load balancer before appliances (AWS: GWLB).
    Gateway,
    /// A load balancer of the first generation (AWS: Classic, Alibaba Cloud: CLB).
    Classic,
    /// One that this version does not know.
    Other,
}

/// How it is known that work comes from somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedSource {
    /// The group itself is attached to it.
    Attachment,
    /// A scaling policy of the group names it.
    Policy(String),
}

/// What a scaling policy of the group holds steady.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The policy's name.
    pub policy: String,
    pub kind: GoalKind,
}

/// The number that a policy holds steady.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GoalKind {
    /// So many requests per second and unit.
    RequestsPerUnit(f64),
    /// A mean processor utilisation in percent.
    CpuPercent(f64),
}

/// A metric that a policy of the group or its alarm looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchedMetric {
    /// The policy's name.
    pub policy: String,
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
}

/// A kind of machine that a group is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitShape {
    /// Its type, as the cloud names it.
    pub class: String,
    /// For how many units one of it counts.
    pub weight: u32,
}
