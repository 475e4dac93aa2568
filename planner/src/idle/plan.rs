//! Stops and starts, and findings that say why there are not more.

use std::cmp::Ordering;
use std::fmt;

use fleet::alert::Alert;
use fleet::resource::{Power, ResourceId};
use fleet::signs::{NoSaving, Protection, RoleSign, UnknownFact};
use fleet::stop::StopMode;
use fleet::{OrTold, RuleName, Seconds, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::evidence::{Lack, Use};
use super::memory::Scope;
use super::pattern::Pattern;
use super::reasons::{
    ApprovalReason, ExemptReason, NotIdle, RiskReason, ScheduleGap, StartFailure,
};
use super::rule::{Limits, RuleMode};
use super::schedule::Switch;
use crate::reasons::SwitchThrown;

/// What to stop and start now, and why nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct IdlePlan {
    /// What to do: starts first, in their order, then stops, the largest saving first. At most one
    /// a resource.
    pub actions: Vec<PowerAction>,
    /// Marks to write on resources or to take off them, where a rule says so.
    pub tags: Vec<TagAction>,
    /// One a resource and rule or schedule that has it: what it is and why it is left as it is.
    pub findings: Vec<IdleFinding>,
    /// What people are told.
    pub alerts: Vec<Alert>,
}

/// One order to one machine, conditional: a stale plan is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerAction {
    /// Which machine.
    pub resource: ResourceId,
    /// When it was made: another one under the same id is another machine.
    pub created_at: Option<Timestamp>,
    /// When it was last started: one that was started since is in somebody's use.
    pub started_at: Option<Timestamp>,
    /// What it is told.
    pub verb: Verb,
    pub because: Because,
    /// For a stop on evidence: what its newest hours must keep, too.
    pub limits: Limits,
}

/// What a machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// To go down.
    Stop(StopMode),
    /// To come up.
    Start,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Stop(StopMode::Plain) => "stop",
            Verb::Stop(StopMode::Hibernate) => "hibernate",
            Verb::Start => "start",
        })
    }
}

/// Why a machine is told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// It has been idle.
    Idle { rule: RuleName },
    /// Its schedule says so.
    Schedule {
        rule: RuleName,
        /// The switch that is carried out.
        switch: Switch,
    },
    /// Somebody asked for it.
    Wake { by: String, until: Timestamp },
}

impl Because {
    /// The rule or schedule, where there is one.
    pub fn rule(&self) -> Option<&RuleName> {
        match self {
            Because::Idle { rule } | Because::Schedule { rule, .. } => Some(rule),
            Because::Wake { .. } => None,
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Idle { rule } => write!(f, "idle by rule `{rule}`"),
            Because::Schedule { rule, switch } => {
                write!(f, "schedule `{rule}`: {} since {}", up_or_down(switch.up), switch.at)
            }
            Because::Wake { by, until } => write!(f, "{by} wants it up until {until}"),
        }
    }
}

fn up_or_down(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// A tag of neap's own to write on a resource, or to take off it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagAction {
    pub resource: ResourceId,
    /// The tag's key.
    pub key: String,
    /// Its value; `None` takes it off.
    pub value: Option<String>,
}

/// By what something is found of a resource.
///
/// It is written as the name of the rule. A person's wish is written as it was before it was told
/// from a rule of that name, so that old records are read as what they nearly always are; such a
/// rule is written behind a mark that no name begins with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum FoundBy {
    /// A rule or schedule.
    Rule(RuleName),
    /// A person who wants it up.
    Wake,
}

impl FoundBy {
    /// What a wish is called where the names of rules stand.
    const WAKE: &str = "wake";
    /// What stands before the name of a rule that is called so, too.
    const MARK: &str = "\u{1}";

    /// The rule or schedule, where it is one.
    pub fn rule(&self) -> Option<&RuleName> {
        match self {
            FoundBy::Rule(rule) => Some(rule),
            FoundBy::Wake => None,
        }
    }

    /// The rule's name, or a word.
    pub fn name(&self) -> &str {
        match self {
            FoundBy::Rule(rule) => &rule.0,
            FoundBy::Wake => FoundBy::WAKE,
        }
    }
}

impl From<&RuleName> for FoundBy {
    fn from(rule: &RuleName) -> FoundBy {
        FoundBy::Rule(rule.clone())
    }
}

impl From<String> for FoundBy {
    fn from(text: String) -> FoundBy {
        match text.strip_prefix(FoundBy::MARK) {
            Some(name) => FoundBy::Rule(RuleName(name.to_owned())),
            None if text == FoundBy::WAKE => FoundBy::Wake,
            None => FoundBy::Rule(RuleName(text)),
        }
    }
}

impl Serialize for FoundBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FoundBy::Rule(rule) if rule.0 == FoundBy::WAKE && !serializer.is_human_readable() => {
                serializer.collect_str(&format_args!("{}{rule}", FoundBy::MARK))
            }
            other => serializer.serialize_str(other.name()),
        }
    }
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By name, as findings are listed; a rule before a wish of its name.
impl Ord for FoundBy {
    fn cmp(&self, other: &FoundBy) -> Ordering {
        let key = |by: &FoundBy| *by == FoundBy::Wake;
        self.name().cmp(other.name()).then_with(|| key(self).cmp(&key(other)))
    }
}

impl PartialOrd for FoundBy {
    fn partial_cmp(&self, other: &FoundBy) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Something an operator should know of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleFinding {
    /// Of which resource; `None` for a rule as a whole.
    pub resource: Option<ResourceId>,
    /// By which rule or schedule, or by nobody's but a person's wish.
    pub rule: FoundBy,
    /// Where it stands.
    pub stage: Stage,
    /// Why nothing is done, the first reason first. Empty where an action is in the plan.
    pub holds: Vec<IdleHold>,
    /// What could keep it from coming back, in thousandths of a chance, and why.
    pub risk: Option<Risk>,
}

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// In use, or too little is known.
    Kept,
    /// Idle, and nothing else yet.
    Candidate,
    /// Marked for a stop.
    Marked {
        at: Timestamp,
        grace_left: Seconds,
        /// The approval to name, where a person has to agree.
        approval: Option<String>,
    },
    /// Being told to go up or down now.
    Acting(Verb),
    /// Stopped by neap.
    Stopped { at: Timestamp },
    /// Under a schedule, as that wants it.
    OnSchedule {
        /// Whether it is to be up.
        up: bool,
        /// The next switch, as far as is covered.
        next: Option<Switch>,
    },
}

/// What could keep a stopped machine from coming back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// The chance that a start fails, in thousandths.
    pub milli: u32,
    /// What makes it so, and what else a stop loses.
    pub why: Vec<OrTold<RiskReason>>,
}

impl RuleMode {
    /// What keeps a rule of this mode from doing anything.
    pub(super) fn hold(self) -> Option<IdleHold> {
        match self {
            RuleMode::Observe => Some(IdleHold::RuleObserves),
            RuleMode::Shadow => Some(IdleHold::InShadow),
            RuleMode::Approve | RuleMode::Act => None,
        }
    }
}

/// Why a resource is left as it is. Shown to operators, stored, and branched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdleHold {
    /// In use.
    InUse(Use),
    /// Idle at the same hours of every week: a schedule would save there.
    IdleByTheClock(Pattern),
    /// Too little is known.
    NotEnoughData(Lack),
    /// It is not running, so there is nothing to stop.
    NotRunning(Power),
    /// A kind that neap never stops.
    FindingOnly,
    /// The tag by which its owner would allow a stop is not there.
    NotOptedIn {
        /// Which tag, as `key=value`.
        tag: String,
    },
    /// The protecting tag is there.
    ProtectTag { tag: String },
    /// A member of a scaling group.
    InScalingGroup(String),
    /// An orchestrator owns it.
    Orchestrated {
        by: String,
        /// The tag that says so.
        tag: String,
    },
    /// Registered where traffic is sent to it.
    InTargetGroup(String),
    /// A stop would destroy data on local disks.
    LocalDisk,
    /// It has an accelerator, which may not be had again.
    Accelerator,
    /// It forwards other machines' traffic.
    ForwardsTraffic,
    /// A spot machine that would end for good.
    SpotTerminates,
    /// Stop or termination protection is on.
    Protected(OrTold<Protection>),
    /// A standby, a replica, or a role that is idle by its nature.
    PassiveRole(OrTold<RoleSign>),
    /// An alarm about it is in state ALARM.
    Alarm(String),
    /// neap runs on it.
    OwnHost,
    /// A fact could not be read.
    Unread(OrTold<UnknownFact>),
    /// A stop would save nothing.
    SavesNothing(OrTold<NoSaving>),
    /// Hibernation is asked for, and not possible.
    CannotHibernate,
    /// It may not come back.
    RestartRisk(Risk),
    /// Left alone for a while.
    Exempt { why: OrTold<ExemptReason>, until: Timestamp },
    /// The daemon only observes.
    ObserveMode,
    /// The rule only observes.
    RuleObserves,
    /// The rule's first days only observe.
    FirstDays {
        /// What is left of them.
        left: Seconds,
    },
    /// The mark is too young.
    InGrace { left: Seconds },
    /// A person has to agree.
    NeedsApproval {
        /// The approval to name.
        id: String,
        /// Why, beside the rule's mode.
        why: OrTold<ApprovalReason>,
    },
    /// The kill switch is thrown.
    KillSwitch(OrTold<SwitchThrown>),
    /// A freeze window is open.
    Frozen {
        name: String,
        /// When it ends.
        until: Timestamp,
    },
    /// The journal's disk is full.
    DiskFull,
    /// The clock jumped, or neap was not looking for a while.
    NotSteady {
        /// Since when looks have been regular.
        since: Timestamp,
        /// When that will be long enough.
        until: Timestamp,
    },
    /// The rule finds far more than it did.
    Surge {
        /// Now.
        matched: u32,
        /// On the day before.
        before: u32,
    },
    /// More falls due than a day allows: none of it is done until a person has looked.
    AboveDayCap {
        /// What falls due.
        due: u32,
        /// What a day allows.
        cap: u32,
        scope: OrTold<Scope>,
    },
    /// An hour or a day allows no more.
    BlastRadius {
        scope: OrTold<Scope>,
        /// Stops in the span.
        done: u32,
        /// Stops allowed in it.
        cap: u32,
        /// The next chance.
        until: Timestamp,
    },
    /// Its schedule wants it up.
    ScheduledUp { schedule: RuleName },
    /// Somebody wants it up.
    Woken { by: String, until: Timestamp },
    /// Somebody else started or stopped it, and it is left so.
    ByHand {
        /// Whether it was started.
        up: bool,
        until: Timestamp,
    },
    /// An order was given and its result is not known.
    OrderOpen { since: Timestamp },
    /// It is on its way.
    Changing(Power),
    /// A start failed, and is tried again.
    RetryLater {
        at: Timestamp,
        /// What the cloud said.
        why: OrTold<StartFailure>,
    },
    /// It waits for another one of its schedule.
    WaitsFor { resource: String },
    /// The schedule's text is not understood.
    ScheduleUnread(OrTold<ScheduleGap>),
    /// It opted out of its schedule.
    OptedOut,
    /// The schedule only goes the other way.
    OneSided,
    /// It is as its schedule wants it.
    AsScheduled,
    /// The schedule stops what is idle, and this is not.
    NotIdleNow(OrTold<NotIdle>),
    /// It is gone: ended by others, or not listed any more.
    Gone,
    /// neap has stopped it.
    AlreadyStopped { at: Timestamp },
    /// The rule is in shadow: what it would do is shown only.
    InShadow,
    /// A key of its disks cannot be used: it would not start again.
    KeyUnusable {
        /// Which key.
        key: String,
        /// Its state, by the cloud's name.
        state: String,
    },
}
