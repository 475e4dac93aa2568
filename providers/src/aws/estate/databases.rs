//! Reads RDS databases.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{
    Fact, Facts, Power, PublicAddress, Purchase, Resource, ResourceKind, Saves, Subject,
};
use fleet::signs::RoleSign;
use fleet::usage::Signal;
use fleet::{Fault, FaultKind, OrTold, Seconds, Timestamp};
use roxmltree::Node;

use super::super::access::Seat;
use super::super::known::Alarms;
use super::super::thin::Service;
use super::super::xml;
use super::alarms::{self, DATABASE};
use super::{Site, balancing};
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_DATABASES: Call = Call::read("rds", "DescribeDBInstances");

/// How far samples of a database are apart.
const SAMPLED_EVERY: Seconds = Seconds(60);

/// A database as RDS shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) id: String,
    pub(super) arn: String,
    status: String,
    class: Option<String>,
    engine: Option<String>,
    zone: Option<String>,
    created_at: Option<Timestamp>,
    size_gib: Option<u32>,
    multi_zone: bool,
    protected: Option<bool>,
    replica: Option<RoleSign>,
    tags: BTreeMap<String, String>,
}

/// All databases of a region, or the one of this identifier.
pub(super) async fn listed(
    seat: &Seat,
    id: Option<&str>,
    deadline: Deadline,
) -> Result<Vec<Database>, Fault> {
    let fields: Vec<(String, String)> =
        id.map(|id| ("DBInstanceIdentifier".to_owned(), id.to_owned())).into_iter().collect();
    let mut found = Vec::new();
    seat.pages(DESCRIBE_DATABASES, Service::Rds, &fields, deadline, |page| {
        found.extend(xml::listed(page, "DBInstances").filter_map(database));
    })
    .await?;
    // One that is being deleted is ended.
    found.retain(|one| id.is_some() || power(&one.status) != Power::Gone);
    Ok(found)
}

/// One database with every fact, read afresh.
pub(super) async fn one(site: &Site, id: &str, deadline: Deadline) -> Result<Resource, Fault> {
    let seat = &site.seat;
    let (soft, alarms) = (deadline.of_details(), seat.known().alarms.join());
    let (raw, alarms) = tokio::join!(
        described(seat, id, deadline),
        alarms.get_or_init(|| Box::pin(alarms::read(seat, soft))),
    );
    Ok(resource(site, &raw?, alarms))
}

/// The one database of this identifier.
pub(super) async fn described(
    seat: &Seat,
    id: &str,
    deadline: Deadline,
) -> Result<Database, Fault> {
    let found = listed(seat, Some(id), deadline).await?.into_iter().next();
    found.ok_or_else(|| DESCRIBE_DATABASES.fault(FaultKind::Missing, format!("no database `{id}`")))
}

fn database(node: Node<'_, '_>) -> Option<Database> {
    let word = |name: &str| xml::text(node, name).map(str::to_owned);
    Some(Database {
        id: word("DBInstanceIdentifier")?,
        arn: word("DBInstanceArn").unwrap_or_default(),
        status: word("DBInstanceStatus").unwrap_or_default(),
        class: word("DBInstanceClass"),
        engine: word("Engine"),
        zone: word("AvailabilityZone"),
        created_at: xml::text(node, "InstanceCreateTime").and_then(xml::moment),
        size_gib: xml::text(node, "AllocatedStorage").and_then(|text| text.parse().ok()),
        multi_zone: xml::text(node, "MultiAZ") == Some("true"),
        protected: xml::text(node, "DeletionProtection").and_then(|text| text.parse().ok()),
        replica: replica(node),
        tags: balancing::tags_in(node, "TagList"),
    })
}

/// What it is besides a database of its own. A standby in another zone comes along with it and is
/// none; one with read replicas cannot be stopped either.
fn replica(node: Node<'_, '_>) -> Option<RoleSign> {
    let of = |name: &str, sign: fn(String) -> RoleSign| {
        xml::text(node, name).map(|of| sign(of.to_owned()))
    };
    let replicas = |list: &str| {
        let ids = xml::items(node, list).filter_map(|id| id.text().map(str::to_owned));
        let ids: Vec<String> = ids.collect();
        (!ids.is_empty()).then_some(RoleSign::SourceOf(ids))
    };
    of("ReadReplicaSourceDBInstanceIdentifier", RoleSign::ReplicaOf)
        .or_else(|| of("ReadReplicaSourceDBClusterIdentifier", RoleSign::ReplicaOfCluster))
        .or_else(|| of("DBClusterIdentifier", RoleSign::MemberOfCluster))
        .or_else(|| replicas("ReadReplicaDBInstanceIdentifiers"))
        .or_else(|| replicas("ReadReplicaDBClusterIdentifiers"))
}

fn power(status: &str) -> Power {
    match status {
        "available" => Power::Running,
        "starting" | "creating" => Power::Starting,
        "stopping" => Power::Stopping,
        "stopped" => Power::Stopped { charged: Some(false) },
        "deleting" | "deleted" => Power::Gone,
        other => Power::Other(other.to_owned()),
    }
}

/// A database in our words.
pub(super) fn resource(site: &Site, raw: &Database, alarms: &Result<Alarms, Fault>) -> Resource {
    let burstable = raw.class.as_deref().is_some_and(|class| class.starts_with("db.t"));
    let mut signals = BTreeSet::from([
        Signal::Cpu,
        Signal::NetworkIn,
        Signal::NetworkOut,
        Signal::DiskOps,
        Signal::Connections,
    ]);
    signals.extend(burstable.then_some(Signal::CreditsLeft));
    let zones = if raw.multi_zone { super::prices::MULTI_ZONE } else { "" };
    let unreadable =
        || DESCRIBE_DATABASES.fault(FaultKind::Unreadable, "no word about deletion protection");
    Resource {
        id: site.home.id(ResourceKind::Database, &raw.id),
        name: raw.id.clone(),
        read_at: site.seat.now(),
        created_at: raw.created_at,
        started_at: None,
        power: power(&raw.status),
        zone: raw.zone.clone(),
        class: raw.class.clone(),
        platform: raw.engine.as_ref().map(|engine| format!("{engine}{zones}")),
        size_gib: raw.size_gib,
        tags: raw.tags.clone(),
        sampled_every: SAMPLED_EVERY,
        signals,
        subject: Subject::Machine(Box::new(Facts {
            scaling_group: Fact::Known(None),
            targets: Fact::Known(Vec::new()),
            // What a class such as `db.r6gd` has of it holds temporary tables alone.
            local_disk: Fact::Known(false),
            accelerator: Fact::Known(false),
            forwards_traffic: Fact::Known(false),
            purchase: Fact::Known(Purchase::OnDemand),
            // RDS has none.
            stop_protected: Fact::Known(false),
            termination_protected: Fact::from(raw.protected.ok_or_else(unreadable)),
            alarms: Fact::from(alarms.as_ref().map_err(Clone::clone).map(|alarms| {
                alarms.get(&(DATABASE, raw.id.clone())).cloned().unwrap_or_default()
            })),
            replica: Fact::Known(raw.replica.clone().map(OrTold::Value)),
            hibernation: Fact::Known(false),
            saves: Fact::Known(Saves::Yes),
            // It is reached by a name, which stays.
            public_address: Fact::Known(PublicAddress::None),
            burstable: Fact::Known(burstable),
        })),
    }
}
