//! Everything observed that a decision on idle resources may depend on.

use std::collections::BTreeMap;

use fleet::money::Saving;
use fleet::resource::{Resource, ResourceId, ResourceKind};
use fleet::stop::StopMode;
use fleet::{AccountId, Fault, OrTold, ProviderName, Region, RuleName, Timestamp};
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::memory::Scope;
use super::plan::Because;
use super::reasons::{LastLook, NotIdle};
use super::schedule::ScheduleView;
use crate::policy::ActiveFreeze;
use crate::snapshot::{Disk, KillSwitch};

/// Everything observed that a decision on idle resources may depend on.
///
/// It holds the resources that something may be done about; the verdicts of all others are
/// counted in `matched` and `population`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleSnapshot {
    /// Now.
    pub taken_at: Timestamp,
    pub kill_switch: KillSwitch,
    /// Freeze windows that are open.
    pub freezes: Vec<ActiveFreeze>,
    /// The disk of the journal.
    pub disk: Disk,
    /// Listings that failed: what was known there is left as it is.
    pub unread: Vec<Unread>,
    /// How many machines there are, by what caps count in.
    #[serde(with = "super::pairs")]
    pub population: BTreeMap<Scope, u32>,
    /// How many resources each rule finds idle now.
    pub matched: BTreeMap<RuleName, u32>,
    /// The resources.
    pub seen: Vec<Seen>,
    /// What people asked for since the last look.
    pub requests: Vec<Request>,
    /// What became of orders since the last look.
    pub outcomes: Vec<PowerOutcome>,
}

/// A listing that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub provider: ProviderName,
    pub account: AccountId,
    pub region: Region,
    pub kind: ResourceKind,
    pub fault: Fault,
}

impl Unread {
    /// Whether a resource would have been in it.
    pub fn concerns(&self, id: &ResourceId) -> bool {
        self.provider == id.provider
            && self.account == id.account
            && self.region == id.region
            && self.kind == id.kind
    }
}

/// A resource, the rule and the schedule that it is under, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub resource: Resource,
    /// The idle rule that has it.
    pub rule: Option<RuleName>,
    /// What it did, by that rule.
    pub evidence: Option<Evidence>,
    pub schedule: Option<ScheduleView>,
    /// What its last hour says by the schedule's `only_if_idle`: `Ok` is idle, otherwise what
    /// shows use or is missing. `None` where the schedule stops by the clock alone.
    pub last_hour: Option<Result<(), OrTold<NotIdle>>>,
    /// What a stop would save.
    pub saving: Option<Saving>,
}

/// Something that a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub by: String,
    pub at: Timestamp,
    pub ask: Ask,
}

/// What a person can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Agree to a stop, by the approval's id.
    Approve {
        /// The approval.
        id: String,
    },
    /// Refuse a stop: the resource is left alone for as long as after a restart by hand.
    Reject {
        /// The approval.
        id: String,
    },
    /// Have a resource up until then.
    Wake {
        /// The resource's own id, or the whole `provider/region/id`.
        resource: String,
        until: Timestamp,
    },
    /// Leave a resource alone until then.
    Exempt { resource: String, until: Timestamp },
    /// Let a rule go on that is held, for a day.
    Release { rule: RuleName },
}

/// What became of an order to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerOutcome {
    /// The decision, as the journal names it.
    pub decision: String,
    /// Which machine.
    pub resource: ResourceId,
    /// Whether it was to go up; down otherwise.
    pub up: bool,
    /// How, where it was to go down.
    pub mode: Option<StopMode>,
    /// Why it was decided.
    pub because: Because,
    /// When it was carried out or given up.
    pub at: Timestamp,
    /// How it ended.
    pub result: PowerResult,
}

/// How an order to a machine ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PowerResult {
    /// The cloud took it.
    Taken,
    /// Not sent: the machine was no longer as the plan saw it.
    Moved {
        /// What was found instead.
        found: OrTold<LastLook>,
    },
    /// Not sent: the kill switch or a stop of the daemon came first.
    Withheld,
    /// The cloud said no, or could not.
    Failed {
        /// What it said.
        fault: Fault,
    },
    /// Sent, no answer; looked at later.
    Unconfirmed {
        /// Whether the effect was there; `None` while nobody could look.
        effect_seen: Option<bool>,
    },
}

impl PowerResult {
    /// Whether the cloud is known to have taken the order.
    pub fn took_effect(&self) -> bool {
        matches!(self, PowerResult::Taken | PowerResult::Unconfirmed { effect_seen: Some(true) })
    }

    /// A short, stable word for labels.
    pub fn word(&self) -> &'static str {
        match self {
            PowerResult::Taken => "taken",
            PowerResult::Moved { .. } => "moved",
            PowerResult::Withheld => "withheld",
            PowerResult::Failed { .. } => "failed",
            PowerResult::Unconfirmed { .. } => "unconfirmed",
        }
    }
}
