//! Reads RDS databases.

use std::collections::{BTreeMap, BTreeSet};

use fleet::comeback::{Comeback, DiskKeys, Started};
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
use super::{Site, balancing, keys};
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_DATABASES: Call = Call::read("rds", "DescribeDBInstances");
pub(in super::super) const DESCRIBE_EVENTS: Call = Call::read("rds", "DescribeEvents");

/// How far back events of starts are read: two days, so that a daemon that was down hears of them.
const EVENTS_MINUTES: &str = "2880";
/// How long RDS may take from starting a database to saying that it is started.
const START_TAKES: Seconds = Seconds::hours(2);

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
    /// The key that its storage is encrypted with.
    key: Option<String>,
    /// When RDS starts it by itself.
    starts_itself_at: Option<Timestamp>,
    tags: BTreeMap<String, String>,
}

/// The newest start of each database, by RDS's events.
pub(super) type Starts = Result<BTreeMap<String, Started>, Fault>;

/// All databases of a region, and what is known of their starts.
pub(super) async fn listed_whole(
    seat: &Seat,
    deadline: Deadline,
) -> Result<(Vec<Database>, Starts), Fault> {
    let found = listed(seat, None, deadline).await?;
    // Where there are none, nothing is asked of them.
    let starts = match found.is_empty() {
        true => Ok(BTreeMap::new()),
        false => starts(seat, None, deadline.of_details()).await,
    };
    Ok((found, starts))
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
    let (raw, alarms, starts) = tokio::join!(
        described(seat, id, deadline),
        alarms.get_or_init(|| Box::pin(alarms::read(seat, soft))),
        starts(seat, Some(id), soft),
    );
    let raw = raw?;
    let keys = keys_of(seat, &raw, soft).await;
    let mut resource = resource(site, &raw, alarms, &starts);
    if let Subject::Machine(facts) = &mut resource.subject {
        facts.comeback.keys = Fact::from(keys);
    }
    Ok(resource)
}

/// Reads what a listing leaves out: whether the key of its storage can be used.
///
/// # Errors
/// Where there is no such database.
pub(super) async fn details(
    seat: &Seat,
    id: &str,
    facts: &mut Facts,
    deadline: Deadline,
) -> Result<(), Fault> {
    if !matches!(facts.comeback.keys, Fact::Unasked) {
        return Ok(());
    }
    let soft = deadline.of_details();
    let keys = match described(seat, id, soft).await {
        Ok(raw) => keys_of(seat, &raw, soft).await,
        Err(fault) if fault.kind == FaultKind::Missing => return Err(fault),
        Err(fault) => Err(fault),
    };
    facts.comeback.keys = Fact::from(keys);
    Ok(())
}

async fn keys_of(seat: &Seat, raw: &Database, deadline: Deadline) -> Result<DiskKeys, Fault> {
    keys::all(seat, &raw.key.iter().map(String::as_str).collect(), deadline).await
}

/// Who started databases within the last days, by RDS's events.
async fn starts(seat: &Seat, id: Option<&str>, deadline: Deadline) -> Starts {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = vec![
        field("SourceType", "db-instance"),
        field("Duration", EVENTS_MINUTES),
        field("EventCategories.EventCategory.1", "notification"),
    ];
    fields.extend(id.map(|id| field("SourceIdentifier", id)));
    let mut told: BTreeMap<String, Vec<Started>> = BTreeMap::new();
    seat.pages(DESCRIBE_EVENTS, Service::Rds, &fields, deadline, |page| {
        for (id, start) in xml::listed(page, "Events").filter_map(start) {
            told.entry(id).or_default().push(start);
        }
    })
    .await?;
    Ok(told.into_iter().filter_map(|(id, starts)| Some((id, newest(&starts)?))).collect())
}

/// A start that an event tells of. Events have no number here; their words are documented
/// (RDS-EVENT-0154 and RDS-EVENT-0088).
fn start(node: Node<'_, '_>) -> Option<(String, Started)> {
    let id = xml::text(node, "SourceIdentifier")?.to_owned();
    let at = xml::text(node, "Date").and_then(xml::moment)?;
    let words = xml::text(node, "Message")?.to_lowercase();
    let start = match () {
        () if words.contains("exceeding the maximum allowed time being stopped") => {
            Started::ByCloud { at }
        }
        () if words.starts_with("db instance started") => Started::ByOrder { at },
        () => return None,
    };
    Some((id, start))
}

/// The newest start. That RDS's own is done is told in the words of any other.
fn newest(starts: &[Started]) -> Option<Started> {
    let newest = |by_cloud: bool| {
        let of = |start: &&Started| matches!(start, Started::ByCloud { .. }) == by_cloud;
        starts.iter().filter(of).max_by_key(|start| start.at()).copied()
    };
    match (newest(true), newest(false)) {
        (Some(own), Some(done)) if done.at() > own.at() + START_TAKES => Some(done),
        (own, done) => own.or(done),
    }
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
        key: xml::text(node, "KmsKeyId")
            .filter(|_| xml::text(node, "StorageEncrypted") == Some("true"))
            .map(str::to_owned),
        starts_itself_at: xml::text(node, "AutomaticRestartTime").and_then(xml::moment),
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

/// What a database is in where it does not run and was not told to go down.
fn fell(status: &str) -> Option<String> {
    let fell = status.starts_with("inaccessible-encryption-credentials")
        || status.starts_with("incompatible-")
        || matches!(status, "failed" | "insufficient-capacity" | "restore-error");
    fell.then(|| status.to_owned())
}

fn comeback(raw: &Database, starts: &Starts) -> Comeback {
    let keys = match raw.key {
        // It takes a call for each.
        Some(_) => Fact::Unasked,
        None => Fact::Known(DiskKeys::Usable),
    };
    let started = starts.as_ref().map_err(Clone::clone);
    Comeback {
        keys,
        fell: fell(&raw.status),
        starts_itself_at: raw.starts_itself_at,
        started: Fact::from(started.map(|starts| starts.get(&raw.id).copied())),
    }
}

/// A database in our words.
pub(super) fn resource(
    site: &Site,
    raw: &Database,
    alarms: &Result<Alarms, Fault>,
    starts: &Starts,
) -> Resource {
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
            comeback: comeback(raw, starts),
        })),
    }
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn event(at: &str, words: &str) -> Option<(String, Started)> {
        let text = format!(
            "<Event><SourceIdentifier>db</SourceIdentifier><SourceType>db-instance</SourceType>\
             <Message>{words}</Message><Date>{at}</Date></Event>"
        );
        start(Document::parse(&text).unwrap().root_element())
    }

    #[test]
    fn events_tell_rdss_own_start_from_an_order() {
        let own = "DB instance is being started due to it exceeding the maximum allowed time \
                   being stopped.";
        let at = |hour: u32| format!("2026-03-02T{hour:02}:00:00.000Z");
        let of = |hour: u32, words: &str| event(&at(hour), words).map(|(_, start)| start);
        assert!(matches!(of(3, own), Some(Started::ByCloud { .. })));
        assert!(matches!(of(3, "DB instance started"), Some(Started::ByOrder { .. })));
        assert_eq!(of(3, "DB instance stopped"), None);
        assert_eq!(of(3, "DB instance restarted"), None);
        assert_eq!(event("soon", own), None);
        let starts = |told: &[(u32, &str)]| {
            let told: Vec<Started> =
                told.iter().filter_map(|(hour, words)| of(*hour, words)).collect();
            newest(&told).map(|start| matches!(start, Started::ByCloud { .. }))
        };
        let done = "DB instance started";
        assert_eq!(starts(&[]), None);
        assert_eq!(starts(&[(3, own)]), Some(true));
        assert_eq!(starts(&[(3, own), (4, done)]), Some(true), "it is done");
        assert_eq!(starts(&[(4, done), (3, own)]), Some(true), "in any order");
        assert_eq!(starts(&[(3, own), (9, done)]), Some(false), "somebody, later");
        assert_eq!(starts(&[(1, done), (3, own)]), Some(true));
        assert_eq!(starts(&[(1, done)]), Some(false));
    }

    #[test]
    fn a_database_says_when_it_starts_by_itself_and_which_key_it_needs() {
        let text = "<DBInstance><DBInstanceIdentifier>db</DBInstanceIdentifier>\
                    <DBInstanceStatus>stopped</DBInstanceStatus>\
                    <AutomaticRestartTime>2026-03-09T12:00:00Z</AutomaticRestartTime>\
                    <StorageEncrypted>true</StorageEncrypted><KmsKeyId>arn:aws:kms:x</KmsKeyId>\
                    </DBInstance>";
        let read = |text: &str| database(Document::parse(text).unwrap().root_element()).unwrap();
        let raw = read(text);
        assert_eq!(raw.key.as_deref(), Some("arn:aws:kms:x"));
        let lost = DESCRIBE_EVENTS.fault(FaultKind::TimedOut, "late");
        let told = comeback(&raw, &Err(lost.clone()));
        assert_eq!(told.starts_itself_at, Some(Timestamp(1_773_057_600)));
        assert_eq!((told.keys, told.fell), (Fact::Unasked, None));
        assert_eq!(told.started, Fact::Unread(Box::new(lost)));
        let plain = text.replace("true", "false").replace("stopped", "incompatible-network");
        let told = comeback(&read(&plain), &Ok(BTreeMap::new()));
        assert_eq!(told.keys, Fact::Known(DiskKeys::Usable));
        assert_eq!(told.fell.as_deref(), Some("incompatible-network"));
        assert_eq!(told.started, Fact::Known(None));
    }
}
