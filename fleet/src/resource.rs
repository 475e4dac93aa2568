//! A machine, database or part of one as a cloud shows it, with all that a stop depends on.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::comeback::Comeback;
use crate::signs::{Clue, Holder, NoSaving, RoleSign};
use crate::usage::Signal;
use crate::{AccountId, Fault, OrTold, ProviderName, Region, Seconds, Timestamp};

/// What kind of thing it is.
///
/// ```
/// use fleet::resource::ResourceKind;
///
/// let stoppable: Vec<&str> =
///     ResourceKind::ALL.into_iter().filter(|k| k.has_power()).map(ResourceKind::word).collect();
/// assert_eq!(stoppable, ["instance", "database"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A virtual machine: EC2, ECS.
    Instance,
    /// A managed database: RDS.
    Database,
    /// A block volume: EBS, cloud disk.
    Volume,
    /// A reserved public address: Elastic IP, EIP.
    Address,
    /// A load balancer.
    LoadBalancer,
    /// A snapshot of a volume.
    Snapshot,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [ResourceKind; 6] = [
        ResourceKind::Instance,
        ResourceKind::Database,
        ResourceKind::Volume,
        ResourceKind::Address,
        ResourceKind::LoadBalancer,
        ResourceKind::Snapshot,
    ];

    /// A short, stable word for configuration, tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            ResourceKind::Instance => "instance",
            ResourceKind::Database => "database",
            ResourceKind::Volume => "volume",
            ResourceKind::Address => "address",
            ResourceKind::LoadBalancer => "load_balancer",
            ResourceKind::Snapshot => "snapshot",
        }
    }

    /// Whether it can be stopped and started again; the other kinds are findings only.
    pub fn has_power(self) -> bool {
        matches!(self, ResourceKind::Instance | ResourceKind::Database)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One resource and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// The provider that holds it.
    pub provider: ProviderName,
    /// The account it lives in.
    pub account: AccountId,
    /// The region it lives in.
    pub region: Region,
    pub kind: ResourceKind,
    /// The cloud's id: `i-…`, a database's identifier, `vol-…`, an allocation id, an ARN.
    pub id: String,
}

impl ResourceId {
    /// What people look for it by, first to last.
    pub fn place(&self) -> (&ProviderName, &AccountId, &Region, ResourceKind, &str) {
        (&self.provider, &self.account, &self.region, self.kind, &self.id)
    }
}

/// By the cloud's own id before the place: of a hundred thousand in one place, places are all equal
/// and take most of the time of a comparison.
impl Ord for ResourceId {
    fn cmp(&self, other: &ResourceId) -> Ordering {
        self.id.cmp(&other.id).then_with(|| self.place().cmp(&other.place()))
    }
}

impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &ResourceId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.region, self.id)
    }
}

/// Something that must be known before a stop: read, or why it could not be.
///
/// ```
/// use fleet::resource::Fact;
/// use fleet::{Fault, FaultKind};
///
/// let kind = FaultKind::TimedOut;
/// let (operation, detail) = ("DescribeAlarms".to_owned(), String::new());
/// let unread: Fact<u32> = Err(Fault { kind, operation, detail, request_id: None }).into();
/// assert_eq!(Fact::from(Ok(2)).map(|alarms: u32| alarms > 0).known(), Some(&true));
/// // What was not read, or not asked for, is not false.
/// assert_eq!(unread.map(|alarms| alarms > 0).known(), None);
/// assert_eq!(Fact::<bool>::Unasked.known(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It could not be read: nothing is stopped on a guess. In a box, since there are many facts
    /// and few faults.
    Unread(Box<Fault>),
    /// A listing does not ask for it, since it takes a call for each resource.
    Unasked,
}

impl<T> Fact<T> {
    /// The fact, where it was read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(fact) => Some(fact),
            Fact::Unread(_) | Fact::Unasked => None,
        }
    }

    /// Another fact that follows from this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Known(fact) => Fact::Known(f(fact)),
            Fact::Unread(fault) => Fact::Unread(fault),
            Fact::Unasked => Fact::Unasked,
        }
    }
}

impl<T> From<Result<T, Fault>> for Fact<T> {
    fn from(read: Result<T, Fault>) -> Fact<T> {
        match read {
            Ok(fact) => Fact::Known(fact),
            Err(fault) => Fact::Unread(Box::new(fault)),
        }
    }
}

/// Whether it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Up, and paid for.
    Running,
    /// On its way up.
    Starting,
    /// On its way down.
    Stopping,
    /// Down.
    Stopped {
        /// Whether its processors and memory are paid for all the same (Alibaba's `KeepCharging`);
        /// `None` where the cloud does not tell.
        charged: Option<bool>,
    },
    /// Ended for good, or being ended.
    Gone,
    /// A state that neither runs nor can be stopped, by the cloud's name: `rebooting`, `backing-up`.
    Other(String),
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Power::Running => "running",
            Power::Starting => "starting",
            Power::Stopping => "stopping",
            Power::Stopped { .. } => "stopped",
            Power::Gone => "gone",
            Power::Other(name) => name,
        })
    }
}

/// A resource as it was at `read_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    pub id: ResourceId,
    /// Its name, for people; the id where it has none.
    pub name: String,
    pub read_at: Timestamp,
    /// When it was made, where known: an id under which it was made anew is another resource.
    pub created_at: Option<Timestamp>,
    /// When it was last started, where known.
    pub started_at: Option<Timestamp>,
    /// Whether it runs; [`Power::Running`] for kinds without power.
    pub power: Power,
    pub zone: Option<String>,
    /// Its type, as the cloud names it: `t3.micro`, `ecs.g7.large`, `db.r6g.large`, `gp3`.
    pub class: Option<String>,
    /// What else its price depends on, as the cloud names it: `Linux/UNIX`, `Windows`, `postgres`.
    pub platform: Option<String>,
    /// Gibibytes, for volumes, snapshots and databases.
    pub size_gib: Option<u32>,
    pub tags: BTreeMap<String, String>,
    /// How far its samples are apart at the source: 60 s with detailed monitoring, 300 s without.
    pub sampled_every: Seconds,
    /// What the source can tell of it; empty for kinds without power.
    pub signals: BTreeSet<Signal>,
    /// What a stop depends on, or whether it is in use.
    pub subject: Subject,
}

/// What is known beside the state, by kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "SubjectRead")]
pub enum Subject {
    /// An instance or a database.
    Machine(Box<Facts>),
    /// A volume, address, load balancer or snapshot.
    Part(Part),
}

/// What is stored: a machine's way back stands behind it where there is anything to tell.
#[derive(Serialize)]
#[serde(rename = "Subject")]
enum SubjectStored<'a> {
    Machine(&'a Facts),
    Part(&'a Part),
    Returning(&'a Facts, &'a Comeback),
}

#[derive(Deserialize)]
#[serde(rename = "Subject")]
enum SubjectRead {
    Machine(Box<Facts>),
    Part(Part),
    Returning(Box<Facts>, Comeback),
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match self {
            Subject::Machine(facts) if facts.comeback == Comeback::default() => {
                SubjectStored::Machine(facts)
            }
            Subject::Machine(facts) => SubjectStored::Returning(facts, &facts.comeback),
            Subject::Part(part) => SubjectStored::Part(part),
        };
        stored.serialize(serializer)
    }
}

impl From<SubjectRead> for Subject {
    fn from(read: SubjectRead) -> Subject {
        match read {
            SubjectRead::Machine(facts) => Subject::Machine(facts),
            SubjectRead::Part(part) => Subject::Part(part),
            SubjectRead::Returning(facts, comeback) => {
                Subject::Machine(Box::new(Facts { comeback, ..*facts }))
            }
        }
    }
}

/// What a stop depends on. A fact that could not be read forbids it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The scaling group that it is a member of.
    pub scaling_group: Fact<Option<String>>,
    /// Target groups, server groups and load balancers in which it is registered.
    pub targets: Fact<Vec<String>>,
    /// Whether it has an instance-store or other local disk, whose data a stop destroys.
    pub local_disk: Fact<bool>,
    /// Whether it has a GPU or another accelerator.
    pub accelerator: Fact<bool>,
    /// Whether it forwards other machines' traffic (source/destination check off).
    pub forwards_traffic: Fact<bool>,
    /// How it is paid.
    pub purchase: Fact<Purchase>,
    /// Whether stop protection is on.
    pub stop_protected: Fact<bool>,
    /// Whether termination or deletion protection is on.
    pub termination_protected: Fact<bool>,
    /// Alarms about it in state ALARM, by name.
    pub alarms: Fact<Vec<String>>,
    /// Whether it is a replica, standby or member of a cluster by what the cloud says; what it is.
    pub replica: Fact<Option<OrTold<RoleSign>>>,
    /// Whether it can be hibernated: switched on at its launch and the prerequisites hold.
    pub hibernation: Fact<bool>,
    /// Whether a stop ends the payment for processors and memory; why not, where it does not.
    pub saves: Fact<Saves>,
    pub public_address: Fact<PublicAddress>,
    /// Whether it earns and spends CPU credits.
    pub burstable: Fact<bool>,
    /// What decides whether it comes back; stored with the [`Subject`] that it is of.
    #[serde(skip)]
    pub comeback: Comeback,
}

impl Facts {
    /// Facts that nothing speaks against a stop by, all of them known: for recorded and simulated
    /// machines. What a cloud shows is read one by one instead, so that none is taken for granted.
    pub fn unhindered() -> Facts {
        let no = || Fact::Known(false);
        Facts {
            scaling_group: Fact::Known(None),
            targets: Fact::Known(Vec::new()),
            local_disk: no(),
            accelerator: no(),
            forwards_traffic: no(),
            purchase: Fact::Known(Purchase::OnDemand),
            stop_protected: no(),
            termination_protected: no(),
            alarms: Fact::Known(Vec::new()),
            replica: Fact::Known(None),
            hibernation: no(),
            saves: Fact::Known(Saves::Yes),
            public_address: Fact::Known(PublicAddress::None),
            burstable: no(),
            comeback: Comeback::default(),
        }
    }

    /// Whether a fact was not asked for.
    pub fn leaves_out(&self) -> bool {
        // What an answer to everything would fill in is what was not asked.
        let mut answered = self.clone();
        answered.fill(&Facts::unhindered());
        answered != *self
    }

    /// Takes from `read` what was not asked for here, and nothing else.
    ///
    /// ```
    /// use fleet::resource::{Fact, Facts};
    ///
    /// let mut listed = Facts { local_disk: Fact::Unasked, ..Facts::unhindered() };
    /// assert!(listed.leaves_out());
    /// let asked =
    ///     Facts { local_disk: Fact::Known(true), burstable: Fact::Known(true), ..listed.clone() };
    /// listed.fill(&asked);
    /// // What the listing said itself stands.
    /// assert_eq!((listed.local_disk, listed.burstable), (Fact::Known(true), Fact::Known(false)));
    /// ```
    pub fn fill(&mut self, read: &Facts) {
        fn one<T: Clone>(fact: &mut Fact<T>, read: &Fact<T>) {
            if matches!(fact, Fact::Unasked) {
                fact.clone_from(read);
            }
        }
        one(&mut self.scaling_group, &read.scaling_group);
        one(&mut self.targets, &read.targets);
        one(&mut self.local_disk, &read.local_disk);
        one(&mut self.accelerator, &read.accelerator);
        one(&mut self.forwards_traffic, &read.forwards_traffic);
        one(&mut self.purchase, &read.purchase);
        one(&mut self.stop_protected, &read.stop_protected);
        one(&mut self.termination_protected, &read.termination_protected);
        one(&mut self.alarms, &read.alarms);
        one(&mut self.replica, &read.replica);
        one(&mut self.hibernation, &read.hibernation);
        one(&mut self.saves, &read.saves);
        one(&mut self.public_address, &read.public_address);
        one(&mut self.burstable, &read.burstable);
        one(&mut self.comeback.keys, &read.comeback.keys);
        one(&mut self.comeback.started, &read.comeback.started);
    }
}

/// How a machine is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purchase {
    /// By use.
    OnDemand,
    /// Spot or preemptible.
    Spot {
        /// It ends when interrupted or stopped, and does not come back.
        terminates: bool,
    },
    /// For a term, paid whether it runs or not (Alibaba's `PrePaid`).
    Subscription,
    /// On a host or reservation that is paid whether it runs or not.
    Dedicated,
}

/// Whether a stop ends the payment for processors and memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Saves {
    /// It does.
    Yes,
    /// It does not, and why.
    No(OrTold<NoSaving>),
}

/// A machine's public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublicAddress {
    /// None.
    None,
    /// One that a stop gives back: another one comes with the start.
    Ephemeral,
    /// One that stays, and is paid for while it is stopped, too.
    Elastic,
}

/// Whether a volume, address, load balancer or snapshot is of use to anybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What uses it, or `None` where nothing does.
    pub used_by: Fact<Option<OrTold<Holder>>>,
    /// Since when nothing does, where the cloud tells.
    pub unused_since: Option<Timestamp>,
    pub looked_at: OrTold<Clue>,
}
