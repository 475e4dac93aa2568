//! What is seen of a resource, in values: what uses it, what it is, what a stop of it saves.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::told::OrTold;

/// What was looked at to tell whether something is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clue {
    /// What it did: the samples of its hours.
    Usage,
    /// What a volume is attached to.
    Attachments,
    /// What an address belongs to.
    Association,
    /// The same, of clouds that allow several.
    Associations,
    /// What an address is bound to.
    Binding,
    /// Images made from a snapshot.
    Images,
    /// Images made from a snapshot, and the volume that it is of.
    ImagesAndVolume,
    /// The disk that a snapshot is of, and images.
    DiskAndImages,
    /// Targets of a load balancer.
    Targets {
        /// In service.
        serving: u64,
        of: u64,
    },
    /// Backends of a load balancer, of which nothing could be read.
    Backends,
    /// Backends of a load balancer.
    BackendsServing {
        /// In service.
        serving: u64,
        of: u64,
    },
    /// Server groups of a load balancer, of which nothing could be read.
    ServerGroups,
    /// Servers in a load balancer's server groups.
    Servers {
        /// Registered.
        servers: u64,
        groups: u64,
    },
}

impl fmt::Display for Clue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clue::Usage => f.write_str("what it did"),
            Clue::Attachments => f.write_str("attachments"),
            Clue::Association => f.write_str("association"),
            Clue::Associations => f.write_str("associations"),
            Clue::Binding => f.write_str("what it is bound to"),
            Clue::Images => f.write_str("images made from it"),
            Clue::ImagesAndVolume => f.write_str("images, source volume"),
            Clue::DiskAndImages => f.write_str("its disk, images"),
            Clue::Targets { serving, of } => write!(f, "targets in service: {serving} of {of}"),
            Clue::Backends => f.write_str("backends"),
            Clue::BackendsServing { serving, of } => {
                write!(f, "backends in service: {serving} of {of}")
            }
            Clue::ServerGroups => f.write_str("server groups"),
            Clue::Servers { servers, groups } => {
                write!(f, "servers registered: {servers} in {groups} server groups")
            }
        }
    }
}

/// What uses a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// Something that nobody can name.
    Nothing,
    /// A resource, by the cloud's id; several of them with commas between.
    Resource(String),
    /// Something that it is attached to, which the cloud does not name.
    Attachment,
    /// An image.
    Image,
    /// It is in a state that is not free, by the cloud's name.
    State(String),
    /// So many backends.
    Backends(u64),
    /// Targets of a load balancer.
    Targets {
        /// In service.
        serving: u64,
        of: u64,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Nothing => f.write_str("nothing"),
            Holder::Resource(id) => f.write_str(id),
            Holder::Attachment => f.write_str("an attachment"),
            Holder::Image => f.write_str("an image"),
            Holder::State(state) => write!(f, "state {state}"),
            Holder::Backends(count) => write!(f, "{count} backends"),
            Holder::Targets { serving, of } => write!(f, "targets in service: {serving} of {of}"),
        }
    }
}

/// What shows that a machine is a standby, a replica, or idle by its nature for another reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleSign {
    /// A tag.
    Tag { key: String, value: String },
    /// Its own name.
    Name(String),
    /// The cloud: it is a standby.
    StandbyOf(String),
    /// The cloud: it is a replica.
    ReplicaOf(String),
    /// The cloud: it is a replica of a cluster.
    ReplicaOfCluster(String),
    /// The cloud: it is a member of a cluster.
    MemberOfCluster(String),
    /// The cloud: others are replicas of it.
    SourceOf(Vec<String>),
}

impl fmt::Display for RoleSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoleSign::Tag { key, value } => write!(f, "tag `{key}={value}`"),
            RoleSign::Name(name) => write!(f, "name `{name}`"),
            RoleSign::StandbyOf(id) => write!(f, "standby of {id}"),
            RoleSign::ReplicaOf(id) => write!(f, "replica of `{id}`"),
            RoleSign::ReplicaOfCluster(id) => write!(f, "replica of the cluster `{id}`"),
            RoleSign::MemberOfCluster(id) => write!(f, "member of the cluster `{id}`"),
            RoleSign::SourceOf(ids) => write!(f, "source of the replicas `{}`", ids.join("`, `")),
        }
    }
}

/// Which protection is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// Against a stop.
    Stop,
    /// Against termination or deletion.
    Termination,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protection::Stop => "stop protection",
            Protection::Termination => "termination protection",
        })
    }
}

/// A fact that a stop depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactName {
    /// [`Facts::scaling_group`](crate::resource::Facts::scaling_group).
    ScalingGroup,
    /// [`Facts::targets`](crate::resource::Facts::targets).
    TargetGroups,
    /// [`Facts::local_disk`](crate::resource::Facts::local_disk).
    LocalDisks,
    /// [`Facts::accelerator`](crate::resource::Facts::accelerator).
    Accelerators,
    /// [`Facts::forwards_traffic`](crate::resource::Facts::forwards_traffic).
    Forwarding,
    /// [`Facts::purchase`](crate::resource::Facts::purchase).
    Purchase,
    /// [`Facts::stop_protected`](crate::resource::Facts::stop_protected).
    StopProtection,
    /// [`Facts::termination_protected`](crate::resource::Facts::termination_protected).
    TerminationProtection,
    /// [`Facts::alarms`](crate::resource::Facts::alarms).
    Alarms,
    /// [`Facts::replica`](crate::resource::Facts::replica).
    Replica,
    /// [`Facts::saves`](crate::resource::Facts::saves).
    Billing,
    /// [`Facts::hibernation`](crate::resource::Facts::hibernation).
    Hibernation,
    /// [`Facts::public_address`](crate::resource::Facts::public_address).
    PublicAddress,
    /// [`Facts::burstable`](crate::resource::Facts::burstable).
    BurstCredits,
    /// [`Comeback::keys`](crate::comeback::Comeback::keys).
    DiskKeys,
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FactName::ScalingGroup => "scaling group",
            FactName::TargetGroups => "target groups",
            FactName::LocalDisks => "local disks",
            FactName::Accelerators => "accelerators",
            FactName::Forwarding => "forwarding",
            FactName::Purchase => "purchase",
            FactName::StopProtection => "stop protection",
            FactName::TerminationProtection => "termination protection",
            FactName::Alarms => "alarms",
            FactName::Replica => "replica",
            FactName::Billing => "billing",
            FactName::Hibernation => "hibernation",
            FactName::PublicAddress => "public address",
            FactName::BurstCredits => "burst credits",
            FactName::DiskKeys => "keys of its disks",
        })
    }
}

/// A fact that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownFact {
    pub fact: FactName,
    /// Why the cloud did not tell it; `None` where it was not asked yet.
    pub fault: Option<Box<Fault>>,
}

impl fmt::Display for UnknownFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => write!(f, "{}: {fault}", self.fact),
            None => write!(f, "{}: not read yet", self.fact),
        }
    }
}

/// Why a stop does not end the payment for processors and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoSaving {
    /// It is paid for a term.
    Subscription,
    /// Its host is paid whether it runs or not (Alibaba Cloud).
    DedicatedHost,
    /// Likewise (AWS).
    OnDedicatedHost,
    /// Its reservation is paid whether it runs or not.
    InReservation,
    /// Only machines in a VPC are free of charge while they are stopped.
    NotInVpc,
    /// Machines with local disks are paid while they are stopped.
    LocalDisks,
    /// Its root is an instance store, so that it cannot be stopped.
    RootInStore,
}

impl fmt::Display for NoSaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoSaving::Subscription => "subscription",
            NoSaving::DedicatedHost => "dedicated host",
            NoSaving::OnDedicatedHost => "on a dedicated host",
            NoSaving::InReservation => "in a capacity reservation",
            NoSaving::NotInVpc => "not in a VPC",
            NoSaving::LocalDisks => "local disks",
            NoSaving::RootInStore => "its root is an instance store: it cannot be stopped",
        })
    }
}

/// What goes on being paid while a machine is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StillPaid {
    /// Its disks.
    Disks,
    /// Its elastic address.
    ElasticAddress,
    /// A database's backups.
    Backups,
    /// All of it, and why.
    All(OrTold<NoSaving>),
}

impl fmt::Display for StillPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StillPaid::Disks => f.write_str("its disks"),
            StillPaid::ElasticAddress => f.write_str("its elastic address"),
            StillPaid::Backups => f.write_str("its backups"),
            StillPaid::All(why) => write!(f, "all of it: {why}"),
        }
    }
}

/// Where a price was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PriceSource {
    /// It is made up.
    Simulated,
    /// AWS's price list.
    AwsPriceList,
    /// Alibaba Cloud's API.
    AlibabaApi,
    /// A file of the operator's, by its name.
    File(String),
    /// What spot instances of AWS cost at the moment.
    AwsSpot,
    /// What preemptible instances of Alibaba Cloud cost at the moment.
    AlibabaSpot,
}

impl fmt::Display for PriceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PriceSource::Simulated => "simulated cloud",
            PriceSource::AwsPriceList => "AWS price list",
            PriceSource::AlibabaApi => "ecs:DescribePrice",
            PriceSource::File(name) => name,
            PriceSource::AwsSpot => "AWS spot prices",
            PriceSource::AlibabaSpot => "ecs:DescribePrice of preemptible instances",
        })
    }
}
