//! An instance on the wire, and what becomes of it in the fleet's words.

use std::collections::{BTreeMap, BTreeSet};

use fleet::comeback::Comeback;
use fleet::resource::{
    Fact, Facts, Power, PublicAddress, Purchase, Resource, ResourceKind, Saves, Subject,
};
use fleet::signs::NoSaving;
use fleet::usage::Signal;
use fleet::{FaultKind, Seconds, Timestamp};
use serde::Deserialize;

use super::around::Around;
use super::pages::ListingCall;
use crate::alibaba::endpoint::Product;
use crate::alibaba::known::TypeFacts;
use crate::alibaba::translate::{Tag, stamp};
use crate::home::Home;

pub(in crate::alibaba) const INSTANCES: ListingCall = ListingCall::by_token(
    ("ecs", Product::Ecs),
    "DescribeInstances",
    "/Instances/Instance",
    ("MaxResults", 100),
);

/// The tag that scaling groups put on their members.
const GROUP_TAG: &str = "acs:autoscaling:scalingGroupId";
/// How far samples of instances are apart. [CMS reference]
const SAMPLED_EVERY: Seconds = Seconds::minutes(1);
/// What the hypervisor measures of every instance.
const ALWAYS: [Signal; 4] = [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps];

/// An instance as ECS shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstanceOnWire {
    pub(super) instance_id: String,
    pub(super) instance_type: String,
    status: String,
    instance_charge_type: String,
    #[serde(default)]
    instance_network_type: String,
    deletion_protection: Option<bool>,
    operation_locks: Option<Locks>,
    #[serde(default)]
    instance_name: String,
    #[serde(default)]
    zone_id: String,
    #[serde(default, rename = "OSType")]
    os_type: String,
    creation_time: Option<String>,
    start_time: Option<String>,
    #[serde(default)]
    stopped_mode: String,
    #[serde(default)]
    spot_strategy: String,
    #[serde(default)]
    spot_interruption_behavior: String,
    #[serde(default)]
    credit_specification: String,
    #[serde(default)]
    local_storage_amount: Option<u32>,
    #[serde(default, rename = "GPUAmount")]
    gpu_amount: Option<f64>,
    #[serde(default, rename = "GPUSpec")]
    gpu_spec: String,
    #[serde(default)]
    dedicated_host_attribute: Host,
    #[serde(default)]
    network_interfaces: Interfaces,
    #[serde(default)]
    eip_address: Eip,
    #[serde(default)]
    public_ip_address: Addresses,
    #[serde(default)]
    tags: Tags,
}

impl InstanceOnWire {
    /// How it is charged, as the cloud names it, and whether it is preemptible.
    pub(super) fn charge(&self) -> (&str, bool) {
        let spot = !matches!(self.spot_strategy.as_str(), "" | "NoSpot");
        (&self.instance_charge_type, spot)
    }

    /// Whether it is on a host of its owner's.
    pub(super) fn is_on_host(&self) -> bool {
        !self.dedicated_host_attribute.dedicated_host_id.is_empty()
    }

    /// Its zone, where it is told.
    pub(super) fn zone(&self) -> Option<String> {
        Some(self.zone_id.clone()).filter(|zone| !zone.is_empty())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Locks {
    lock_reason: Vec<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Host {
    dedicated_host_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Interfaces {
    network_interface: Vec<Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Interface {
    network_interface_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Eip {
    allocation_id: String,
    ip_address: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Addresses {
    ip_address: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Tags {
    pub(super) tag: Vec<Tag>,
}

/// The instance with everything known of it.
pub(super) fn resource(
    wire: InstanceOnWire,
    around: &Around,
    home: &Home,
    read_at: Timestamp,
) -> Resource {
    let facts = facts(&wire, around);
    let mut signals = BTreeSet::from(ALWAYS);
    signals.extend(around.agents.get(&wire.instance_id).into_iter().flatten());
    if facts.burstable.known() == Some(&true) {
        signals.insert(Signal::CreditsLeft);
    }
    Resource {
        name: match wire.instance_name.is_empty() {
            true => wire.instance_id.clone(),
            false => wire.instance_name.clone(),
        },
        read_at,
        created_at: wire.creation_time.as_deref().and_then(stamp),
        started_at: wire.start_time.as_deref().and_then(stamp),
        power: power(&wire),
        zone: said(&wire.zone_id),
        class: said(&wire.instance_type),
        platform: said(&wire.os_type),
        size_gib: None,
        tags: by_key(wire.tags.tag),
        sampled_every: SAMPLED_EVERY,
        signals,
        subject: Subject::Machine(Box::new(facts)),
        id: home.id(ResourceKind::Instance, wire.instance_id),
    }
}

pub(super) fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn by_key(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect()
}

/// A stopped instance costs less in economical mode alone. Where that was asked for and does not
/// apply, the cloud says `Not-applicable` and goes on charging.
fn power(wire: &InstanceOnWire) -> Power {
    match wire.status.as_str() {
        "Running" => Power::Running,
        "Pending" | "Starting" => Power::Starting,
        "Stopping" => Power::Stopping,
        "Stopped" => Power::Stopped {
            charged: match wire.stopped_mode.as_str() {
                "" => None,
                mode => Some(mode != "StopCharging"),
            },
        },
        other => Power::Other(other.to_owned()),
    }
}

fn facts(wire: &InstanceOnWire, around: &Around) -> Facts {
    let kind = around.types.get(&wire.instance_type).cloned().unwrap_or(Fact::Unasked);
    let local_disk = either(wire.local_storage_amount.unwrap_or(0) > 0, &kind, |t| t.local_disks);
    let gpu = wire.gpu_amount.is_some_and(|count| count > 0.0) || !wire.gpu_spec.is_empty();
    let purchase = purchase(wire);
    let tagged = wire.tags.tag.iter().find(|tag| tag.tag_key == GROUP_TAG);
    Facts {
        scaling_group: match tagged {
            Some(tag) => Fact::Known(Some(tag.tag_value.clone())),
            None => of(&around.members, |groups| groups.get(&wire.instance_id).cloned()),
        },
        targets: of(&around.targets, |registered| {
            registered.get(&wire.instance_id).into_iter().flatten().cloned().collect()
        }),
        accelerator: either(gpu, &kind, |t| t.accelerator),
        // ECS has no switch for it: whoever forwards is the next hop of a route, by id or interface.
        forwards_traffic: of(&around.hops, |hops| {
            let interfaces = wire.network_interfaces.network_interface.iter();
            hops.contains(&wire.instance_id)
                || interfaces.map(|one| &one.network_interface_id).any(|id| hops.contains(id))
        }),
        stop_protected: told(wire.operation_locks.as_ref(), "OperationLocks")
            .map(|locks| !locks.lock_reason.is_empty()),
        termination_protected: told(wire.deletion_protection, "DeletionProtection"),
        alarms: of(&around.alarms, |alarms| {
            let rings = alarms.iter().filter(|alarm| {
                alarm.about.as_ref().is_none_or(|about| about.contains(&wire.instance_id))
            });
            rings.map(|alarm| alarm.name.clone()).collect()
        }),
        // The cloud knows no roles among instances; tags tell.
        replica: Fact::Known(None),
        // By invitation only. [ECS API reference]
        hibernation: Fact::Known(false),
        saves: saves(wire, &purchase, &local_disk),
        public_address: Fact::Known(address(wire)),
        burstable: either(!wire.credit_specification.is_empty(), &kind, |t| t.burstable),
        purchase,
        local_disk,
        comeback: Comeback::default(),
    }
}

/// What the cloud always tells; where it does not, that is no "no".
fn told<T>(said: Option<T>, name: &str) -> Fact<T> {
    let unsaid = || INSTANCES.call.fault(FaultKind::Unreadable, format!("no `{name}`"));
    said.ok_or_else(unsaid).into()
}

/// Another fact that follows from one that is needed elsewhere, too.
fn of<T, U>(fact: &Fact<T>, follows: impl FnOnce(&T) -> U) -> Fact<U> {
    match fact {
        Fact::Known(known) => Fact::Known(follows(known)),
        Fact::Unread(fault) => Fact::Unread(fault.clone()),
        Fact::Unasked => Fact::Unasked,
    }
}

/// What the instance itself says, or else its type.
fn either(
    said: bool,
    kind: &Fact<TypeFacts>,
    of_type: impl FnOnce(&TypeFacts) -> bool,
) -> Fact<bool> {
    if said { Fact::Known(true) } else { of(kind, of_type) }
}

fn purchase(wire: &InstanceOnWire) -> Fact<Purchase> {
    let (charged, spot) = wire.charge();
    match charged {
        "PrePaid" => Fact::Known(Purchase::Subscription),
        "PostPaid" if spot => {
            let terminates = wire.spot_interruption_behavior != "Stop";
            Fact::Known(Purchase::Spot { terminates })
        }
        "PostPaid" if wire.is_on_host() => Fact::Known(Purchase::Dedicated),
        "PostPaid" => Fact::Known(Purchase::OnDemand),
        other => {
            let why = format!("`{}` is paid in a way not known: {other}", wire.instance_id);
            Fact::Unread(Box::new(INSTANCES.call.fault(FaultKind::Unreadable, why)))
        }
    }
}

/// Economical mode is for what is paid by use, in a VPC and without local disks.
fn saves(wire: &InstanceOnWire, purchase: &Fact<Purchase>, local_disk: &Fact<bool>) -> Fact<Saves> {
    let no = |why: NoSaving| Fact::Known(Saves::No(why.into()));
    match (purchase, local_disk) {
        (Fact::Known(Purchase::Subscription), _) => no(NoSaving::Subscription),
        (Fact::Known(Purchase::Dedicated), _) => no(NoSaving::DedicatedHost),
        _ if wire.instance_network_type != "vpc" => no(NoSaving::NotInVpc),
        (_, Fact::Known(true)) => no(NoSaving::LocalDisks),
        (Fact::Known(_), fact) => of(fact, |_| Saves::Yes),
        (fact, _) => of(fact, |_| Saves::Yes),
    }
}

fn address(wire: &InstanceOnWire) -> PublicAddress {
    let eip = &wire.eip_address;
    if !eip.allocation_id.is_empty() || !eip.ip_address.is_empty() {
        PublicAddress::Elastic
    } else if wire.public_ip_address.ip_address.is_empty() {
        PublicAddress::None
    } else {
        PublicAddress::Ephemeral
    }
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, Fault, ProviderName, Region};
    use serde_json::{Value, json};

    use super::*;
    use crate::alibaba::known::Alarm;

    const PLAIN: TypeFacts = TypeFacts { accelerator: false, local_disks: false, burstable: false };

    fn fault() -> Fault {
        INSTANCES.call.fault(FaultKind::TimedOut, "late")
    }

    fn quiet() -> Around {
        Around {
            members: Fact::Known(BTreeMap::new()),
            targets: Fact::Known(BTreeMap::new()),
            hops: Fact::Known(BTreeSet::new()),
            alarms: Fact::Known(Vec::new()),
            types: BTreeMap::from([("ecs.g7.large".to_owned(), Fact::Known(PLAIN))]),
            agents: BTreeMap::new(),
        }
    }

    fn read(more: &Value, around: &Around) -> (Resource, Facts) {
        let mut wire = json!({
            "InstanceId": "i-1", "InstanceName": "web", "Status": "Running", "ZoneId": "z",
            "InstanceType": "ecs.g7.large", "InstanceChargeType": "PostPaid", "OSType": "linux",
            "InstanceNetworkType": "vpc", "DeletionProtection": false,
            "OperationLocks": { "LockReason": [] }, "CreationTime": "2026-03-02T12:00Z",
            "SpotStrategy": "NoSpot", "New": 1
        });
        for (name, value) in more.as_object().unwrap() {
            wire[name] = value.clone();
        }
        let home = Home {
            provider: ProviderName::new("ali").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-central-1").unwrap(),
        };
        let read = resource(
            serde_json::from_value(wire).unwrap(),
            around,
            &home,
            Timestamp(1_800_000_000),
        );
        let Subject::Machine(facts) = read.subject.clone() else { panic!("a machine") };
        (read, *facts)
    }

    #[test]
    fn a_plain_instance_may_be_stopped_and_saves() {
        let (read, facts) = read(
            &json!({ "Tags": { "Tag": [
            { "TagKey": "env", "TagValue": "开发" }, { "TagKey": "empty" }
        ] } }),
            &quiet(),
        );
        assert_eq!(read.id.to_string(), "ali/eu-central-1/i-1");
        assert_eq!((read.power, read.created_at), (Power::Running, Some(Timestamp(1_772_452_800))));
        assert_eq!((read.tags["env"].as_str(), read.tags["empty"].as_str()), ("开发", ""));
        assert_eq!(read.signals, BTreeSet::from(ALWAYS));
        assert_eq!(facts.saves, Fact::Known(Saves::Yes));
        assert_eq!(facts.purchase, Fact::Known(Purchase::OnDemand));
        assert_eq!(facts.scaling_group, Fact::Known(None));
        assert_eq!(facts.public_address, Fact::Known(PublicAddress::None));
        for no in [
            facts.local_disk,
            facts.accelerator,
            facts.forwards_traffic,
            facts.stop_protected,
            facts.termination_protected,
            facts.hibernation,
            facts.burstable,
        ] {
            assert_eq!(no, Fact::Known(false));
        }
    }

    #[test]
    fn states_are_told_apart_and_economical_mode_is_believed_when_it_is_shown() {
        let power = |status: &str, mode: &str| {
            read(&json!({ "Status": status, "StoppedMode": mode }), &quiet()).0.power
        };
        assert_eq!(power("Pending", "Not-applicable"), Power::Starting);
        assert_eq!(power("Stopping", ""), Power::Stopping);
        assert_eq!(power("Stopped", "StopCharging"), Power::Stopped { charged: Some(false) });
        assert_eq!(power("Stopped", "KeepCharging"), Power::Stopped { charged: Some(true) });
        assert_eq!(power("Stopped", "Not-applicable"), Power::Stopped { charged: Some(true) });
        assert_eq!(power("Stopped", ""), Power::Stopped { charged: None });
        assert_eq!(power("Hibernated", ""), Power::Other("Hibernated".to_owned()));
    }

    #[test]
    fn a_stop_that_saves_nothing_says_why() {
        let saves = |more: Value| match read(&more, &quiet()).1.saves {
            Fact::Known(Saves::No(why)) => why.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(saves(json!({ "InstanceChargeType": "PrePaid" })), "subscription");
        assert_eq!(saves(json!({ "InstanceNetworkType": "classic" })), "not in a VPC");
        assert_eq!(saves(json!({ "LocalStorageAmount": 1 })), "local disks");
        let host = json!({ "DedicatedHostAttribute": { "DedicatedHostId": "dh-1" } });
        assert_eq!(saves(host), "dedicated host");
        let strange = read(&json!({ "InstanceChargeType": "Later" }), &quiet()).1;
        assert!(matches!(strange.purchase, Fact::Unread(_)));
        assert!(matches!(strange.saves, Fact::Unread(_)));
    }

    #[test]
    fn what_holds_an_instance_is_seen() {
        let mut around = quiet();
        around.members = Fact::Known(BTreeMap::from([("i-1".to_owned(), "asg-1".to_owned())]));
        around.targets =
            Fact::Known(BTreeMap::from([("i-1".to_owned(), BTreeSet::from(["lb-1".to_owned()]))]));
        around.hops = Fact::Known(BTreeSet::from(["eni-1".to_owned()]));
        let alarm = |name: &str, about: Option<&str>| Alarm {
            name: name.to_owned(),
            about: about.map(|id| BTreeSet::from([id.to_owned()])),
        };
        around.alarms = Fact::Known(vec![
            alarm("own", Some("i-1")),
            alarm("other", Some("i-2")),
            alarm("any", None),
        ]);
        around.agents = BTreeMap::from([("i-1".to_owned(), BTreeSet::from([Signal::Memory]))]);
        let burst = TypeFacts { accelerator: true, local_disks: true, burstable: true };
        around.types.insert("ecs.g7.large".to_owned(), Fact::Known(burst));
        let more = json!({
            "SpotStrategy": "SpotAsPriceGo", "SpotInterruptionBehavior": "Terminate",
            "OperationLocks": { "LockReason": [{ "LockReason": "security" }] },
            "DeletionProtection": true, "EipAddress": { "AllocationId": "eip-1" },
            "NetworkInterfaces": { "NetworkInterface": [{ "NetworkInterfaceId": "eni-1" }] }
        });
        let (read, facts) = read(&more, &around);
        assert_eq!(facts.scaling_group, Fact::Known(Some("asg-1".to_owned())));
        assert_eq!(facts.targets, Fact::Known(vec!["lb-1".to_owned()]));
        assert_eq!(facts.alarms, Fact::Known(vec!["own".to_owned(), "any".to_owned()]));
        assert_eq!(facts.purchase, Fact::Known(Purchase::Spot { terminates: true }));
        assert_eq!(facts.public_address, Fact::Known(PublicAddress::Elastic));
        for yes in [
            facts.local_disk,
            facts.accelerator,
            facts.forwards_traffic,
            facts.stop_protected,
            facts.termination_protected,
            facts.burstable,
        ] {
            assert_eq!(yes, Fact::Known(true));
        }
        assert!(read.signals.contains(&Signal::Memory));
        assert!(read.signals.contains(&Signal::CreditsLeft));
    }

    #[test]
    fn what_could_not_be_read_is_no_fact_unless_the_instance_says_it_itself() {
        let lost = Around {
            members: Fact::Unread(Box::new(fault())),
            targets: Fact::Unread(Box::new(fault())),
            hops: Fact::Unread(Box::new(fault())),
            alarms: Fact::Unread(Box::new(fault())),
            types: BTreeMap::from([("ecs.g7.large".to_owned(), Fact::Unread(Box::new(fault())))]),
            agents: BTreeMap::new(),
        };
        let facts = read(&json!({}), &lost).1;
        for unread in [&facts.local_disk, &facts.accelerator, &facts.forwards_traffic] {
            assert_eq!(unread, &Fact::Unread(Box::new(fault())));
        }
        assert_eq!(facts.saves, Fact::Unread(Box::new(fault())));
        assert_eq!(facts.scaling_group, Fact::Unread(Box::new(fault())));
        assert_eq!(facts.alarms, Fact::Unread(Box::new(fault())));
        let silent =
            read(&json!({ "OperationLocks": null, "DeletionProtection": null }), &quiet()).1;
        assert!(matches!(silent.stop_protected, Fact::Unread(_)));
        assert!(matches!(silent.termination_protected, Fact::Unread(_)));
        let tag = json!([{ "TagKey": GROUP_TAG, "TagValue": "asg-2" }]);
        let more = json!({ "Tags": { "Tag": tag }, "GPUAmount": 1 });
        let facts = read(&more, &lost).1;
        assert_eq!(facts.scaling_group, Fact::Known(Some("asg-2".to_owned())));
        assert_eq!(facts.accelerator, Fact::Known(true));
    }
}
