//! A scaling group as a cloud shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{GroupId, Seconds, ServiceName, Timestamp, Units};

/// A group as it was at `read_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    pub id: GroupId,
    /// Its name, for people.
    pub name: String,
    pub read_at: Timestamp,
    /// The capacity it is told to have.
    pub desired: Units,
    /// The cloud's own lower bound.
    pub min: Units,
    /// The cloud's own upper bound.
    pub max: Units,
    /// Its members, by instance id.
    pub instances: Vec<Instance>,
    pub tags: BTreeMap<String, String>,
    /// Processes that are suspended.
    pub suspended: BTreeSet<Process>,
    /// The id of an instance refresh (or rolling update) under way.
    pub refresh: Option<String>,
    /// Scaling policies of the cloud's own.
    pub policies: Vec<NativePolicy>,
    /// Scheduled actions of the cloud's own that are still to come.
    pub scheduled: Vec<ScheduledAction>,
    /// The orchestrator that owns it, where tags or names say so.
    pub owner: Option<Owner>,
    /// Whether new instances are protected from scale-in.
    pub new_instances_protected: bool,
    /// How long after an instance's start its health is not looked at.
    pub health_check_grace: Seconds,
    /// How long a new instance counts as warming up.
    pub warm_up: Option<Seconds>,
    /// What it has done lately, newest first; empty where the cloud does not tell.
    pub activities: Vec<Activity>,
    /// Whether it may buy machines that the cloud can take back at any time.
    pub buys_spot: bool,
    /// The pool of machines that are started beforehand.
    pub warm_pool: Option<WarmPool>,
    /// Whether its members serve, where anything tells.
    pub serving: MembersServing,
}

/// Machines that stand ready to enter a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmPool {
    /// How many it keeps at least.
    pub min: u32,
    /// How many it has now, where the cloud tells.
    pub size: Option<u32>,
    /// The state that they wait in, as the cloud names it.
    pub state: String,
}

/// Whether members that are in service serve, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembersServing {
    /// Nothing tells: they are in service, and that is all.
    #[default]
    Untold,
    /// All serve but these, by their ids.
    Told { by: ServingSign, waiting: BTreeSet<String> },
    /// It could be told, and was not read; why.
    Unread(String),
}

impl MembersServing {
    /// Whether a member is known not to serve yet.
    ///
    /// ```
    /// use fleet::group::{MembersServing, ServingSign};
    ///
    /// let waiting = ["i-1".to_owned()].into();
    /// let told = MembersServing::Told { by: ServingSign::Targets, waiting };
    /// assert!(told.awaits("i-1") && !told.awaits("i-2"));
    /// // What is not known holds nothing back.
    /// assert!(!MembersServing::Untold.awaits("i-1"));
    /// ```
    pub fn awaits(&self, id: &str) -> bool {
        matches!(self, MembersServing::Told { waiting, .. } if waiting.contains(id))
    }
}

impl GroupState {
    /// Units in service.
    pub fn in_service(&self) -> Units {
        self.sum(|instance| instance.lifecycle == Lifecycle::InService)
    }

    /// Units ordered and not in service yet.
    pub fn pending(&self) -> Units {
        self.sum(|instance| instance.lifecycle == Lifecycle::Pending)
    }

    /// Units on their way out.
    pub fn terminating(&self) -> Units {
        self.sum(|instance| instance.lifecycle == Lifecycle::Terminating)
    }

    /// Units that a scale-in may not take.
    pub fn protected(&self) -> Units {
        self.sum(|instance| instance.protected && instance.lifecycle == Lifecycle::InService)
    }

    fn sum(&self, counts: impl Fn(&Instance) -> bool) -> Units {
        Units(self.instances.iter().filter(|i| counts(i)).map(|i| i.weight.0).sum())
    }
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The cloud's id.
    pub id: String,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// What it counts for.
    pub weight: Units,
    /// Whether a scale-in must leave it.
    pub protected: bool,
    /// Whether the cloud holds it for healthy.
    pub healthy: bool,
    /// When it was started, where known.
    pub launched_at: Option<Timestamp>,
    pub zone: Option<String>,
    /// Its instance type, as the cloud names it.
    pub instance_type: Option<String>,
}

/// Where a member stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifecycle {
    /// Ordered, booting, or waiting in a launch hook.
    Pending,
    /// Taken to serve; see [`MembersServing`].
    InService,
    /// Draining or on its way out.
    Terminating,
    /// Taken out by hand, or stopped in a warm pool: no capacity.
    Standby,
    /// A state this version does not know: it counts as no capacity and blocks scale-in.
    Unknown(String),
}

/// What tells that a new unit serves.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ServingSign {
    /// Nothing does: it is taken to serve once it was in service for as long as it warms up.
    #[default]
    WarmUp,
    /// The load balancers that it is a target of: they found it healthy.
    Targets,
    /// The cloud, which keeps for each member whether it has warmed up.
    Member,
    /// The number of healthy hosts, which rose to what was ordered.
    HealthyHosts,
}

/// A process of the group that can be suspended.
///
/// ```
/// use fleet::group::Process;
///
/// assert_eq!(Process::Launch.to_string(), "Launch");
/// // One that this version does not know goes by the cloud's own name.
/// assert_eq!(Process::Other("AZRebalance".to_owned()).to_string(), "AZRebalance");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    /// Starting instances.
    Launch,
    /// Ending instances.
    Terminate,
    /// Acting on alarms of its own policies.
    AlarmNotification,
    /// Acting on its own schedule.
    ScheduledActions,
    /// Another one, by the cloud's name.
    Other(String),
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Process::Launch => "Launch",
            Process::Terminate => "Terminate",
            Process::AlarmNotification => "AlarmNotification",
            Process::ScheduledActions => "ScheduledActions",
            Process::Other(name) => name,
        })
    }
}

/// A scaling policy of the cloud's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativePolicy {
    pub name: String,
    pub kind: NativePolicyKind,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it may take units away.
    pub scales_in: bool,
}

impl NativePolicy {
    /// What stands in for policies that could not be read: it may scale in, as an unknown one may, and
    /// it is none that would tell who grows the group.
    ///
    /// ```
    /// use fleet::group::NativePolicy;
    ///
    /// let unread = NativePolicy::unread("scaling policies unknown: not read yet".to_owned());
    /// assert!(unread.is_unread() && unread.enabled && unread.scales_in);
    /// ```
    pub fn unread(name: String) -> NativePolicy {
        let kind = NativePolicyKind::Other(NativePolicy::UNREAD.to_owned());
        NativePolicy { name, kind, enabled: true, scales_in: true }
    }

    /// The kind of what stands in for policies that could not be read.
    const UNREAD: &'static str = "unknown";

    /// Whether it stands in for policies that could not be read.
    pub fn is_unread(&self) -> bool {
        matches!(&self.kind, NativePolicyKind::Other(kind) if kind == NativePolicy::UNREAD)
    }
}

/// The kinds of scaling policies clouds have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NativePolicyKind {
    /// Holds a metric at a target.
    TargetTracking,
    /// Steps by how far an alarm is exceeded.
    Step,
    /// One adjustment an alarm.
    Simple,
    /// The cloud's own forecast.
    Predictive,
    /// Another one, by the cloud's name.
    Other(String),
}

/// A change of bounds or size that the cloud will make by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledAction {
    pub name: String,
    /// When it next acts, where known.
    pub at: Option<Timestamp>,
    /// The cloud's own recurrence text.
    pub recurrence: Option<String>,
    /// The desired capacity it sets.
    pub desired: Option<Units>,
    /// The minimum it sets.
    pub min: Option<Units>,
    /// The maximum it sets.
    pub max: Option<Units>,
}

/// An orchestrator that owns a group, so that nobody else may size it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Which one, such as `cluster-autoscaler` or `Karpenter`.
    pub name: String,
    /// The tag or property that says so.
    pub evidence: String,
}

impl Owner {
    /// The name of an owner that is a service of neap's own: its evidence is that service's name.
    pub const NEAP: &'static str = "neap";

    /// The tag by which people say of a group whether neap may size it, on every cloud.
    const MANAGED: &'static str = "neap:managed";

    /// The people who keep neap away from a group by a tag; `None` where no tag says so.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use fleet::group::Owner;
    ///
    /// let tagged = |value: &str| BTreeMap::from([("neap:managed".to_owned(), value.to_owned())]);
    /// for no in ["false", " False", "no", "off", "0"] {
    ///     let owner = Owner::by_request(&tagged(no)).expect("an owner");
    ///     assert_eq!(owner.name, "its operator");
    /// }
    /// for yes in ["true", "yes", ""] {
    ///     assert_eq!(Owner::by_request(&tagged(yes)), None);
    /// }
    /// ```
    pub fn by_request(tags: &BTreeMap<String, String>) -> Option<Owner> {
        let value = tags.get(Owner::MANAGED)?;
        let no = ["false", "no", "off", "0"];
        no.iter().any(|no| value.trim().eq_ignore_ascii_case(no)).then(|| Owner {
            name: "its operator".to_owned(),
            evidence: format!("tag `{}={value}`", Owner::MANAGED),
        })
    }

    /// A service of neap's own that sizes the group already.
    pub fn service(name: &ServiceName) -> Owner {
        Owner { name: Owner::NEAP.to_owned(), evidence: name.to_string() }
    }

    /// The service of neap's own that this owner is, where it is one.
    pub fn as_service(&self) -> Option<ServiceName> {
        (self.name == Owner::NEAP).then(|| ServiceName::new(self.evidence.clone())).flatten()
    }
}

/// Something the group did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The cloud's id.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// What it did.
    pub kind: ActivityKind,
    /// How it went.
    pub status: ActivityStatus,
    /// Who or what caused it.
    pub cause: Cause,
    /// The cloud's words on the cause, shortened to 300 characters; where it failed, as many on
    /// why in a second line.
    pub cause_text: String,
    /// The desired capacity that somebody set and that caused this, where the cloud names it.
    pub capacity_set_to: Option<Units>,
    /// Of a launch, what the cloud tells of it; it is read anew with every activity and not kept.
    #[serde(skip)]
    pub launch: Option<Launch>,
}

/// What a cloud tells of a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The member that was started.
    pub instance: Option<String>,
    /// When the capacity was ordered that it was started for.
    pub ordered_at: Option<Timestamp>,
    /// Whether it came out of a warm pool.
    pub warm: bool,
}

/// What an activity did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivityKind {
    /// Started an instance.
    Launch,
    /// Ended an instance.
    Terminate,
    /// Something else.
    Other,
}

/// How an activity went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivityStatus {
    /// Under way.
    InProgress,
    /// Done.
    Successful,
    /// Failed; `no_capacity` where the cloud had no machine to give.
    Failed {
        /// The cloud had no machine of this kind.
        no_capacity: bool,
    },
    /// Given up.
    Cancelled,
}

/// Who or what caused an activity, by the cloud's typed fields or documented wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A user or program set the capacity; it may be us.
    UserRequest,
    /// An alarm of a native policy.
    NativePolicy,
    /// A scheduled action.
    Schedule,
    /// An unhealthy instance was replaced.
    Health,
    /// Instance refresh, zone rebalancing and other upkeep.
    Upkeep,
    /// The cloud does not say.
    Unknown,
}
