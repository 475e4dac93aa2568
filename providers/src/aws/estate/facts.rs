//! An instance in our words, purely.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    CapacityReservationPreference, DeviceType, Instance, InstanceLifecycleType,
    InstanceNetworkInterface, InstanceStateName, MonitoringState, PlatformValues, Tag, Tenancy,
};
use fleet::comeback::Comeback;
use fleet::resource::{
    Fact, Facts, Power, PublicAddress, Purchase, Resource, ResourceKind, Saves, Subject,
};
use fleet::signs::NoSaving;
use fleet::usage::Signal;
use fleet::{Fault, FaultKind, Seconds, Timestamp};

use super::super::known::{Alarms, Balancing, TypeFacts};
use super::super::translate::stamp;
use super::Site;
use super::alarms::INSTANCE;
use super::instances::{Beside, is_spot};
use super::types::DESCRIBE_TYPES;

/// The tag by which EC2 Auto Scaling marks its members.
const GROUP_TAG: &str = "aws:autoscaling:groupName";
/// The owner of addresses that a stop gives back.
const AMAZON: &str = "amazon";
/// How far samples are apart with detailed monitoring.
const DETAILED: Seconds = Seconds(60);
/// How far they are apart without.
const BASIC: Seconds = Seconds(300);

/// What is known of instances beside their own descriptions.
#[derive(Clone, Debug)]
pub(super) struct Around {
    pub(super) beside: Beside,
    pub(super) targets: Result<Balancing, Fault>,
    pub(super) alarms: Result<Alarms, Fault>,
}

/// An instance as the listing shows it, without its two protections.
pub(super) fn instance(site: &Site, raw: &Instance, around: &Around) -> Resource {
    let id = raw.instance_id().unwrap_or_default();
    let tags = tags(raw.tags());
    let class = raw.instance_type().map(|name| name.as_str().to_owned());
    let of_type = of_type(class.as_deref(), &around.beside.types);
    let burstable = Fact::from(of_type.clone().map(|of| of.burstable));
    let mut signals =
        BTreeSet::from([Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps]);
    signals.extend(around.beside.agents.get(id).into_iter().flatten());
    signals.extend((burstable.known() == Some(&true)).then_some(Signal::CreditsLeft));
    let detailed = raw.monitoring().and_then(|monitoring| monitoring.state())
        == Some(&MonitoringState::Enabled);
    Resource {
        id: site.home.id(ResourceKind::Instance, id),
        name: name(&tags, id),
        read_at: site.seat.now(),
        created_at: created_at(raw),
        started_at: raw.launch_time().map(stamp),
        power: power(raw),
        zone: raw.placement().and_then(|at| at.availability_zone()).map(str::to_owned),
        platform: Some(platform(raw)),
        size_gib: None,
        sampled_every: if detailed { DETAILED } else { BASIC },
        signals,
        subject: Subject::Machine(Box::new(Facts {
            scaling_group: Fact::Known(tags.get(GROUP_TAG).cloned()),
            targets: Fact::from(targets(raw, id, &around.targets)),
            local_disk: local_disk(raw, &of_type),
            accelerator: accelerator(raw, &of_type),
            forwards_traffic: Fact::Known(forwards_traffic(raw)),
            purchase: Fact::from(purchase(raw, &around.beside.persistent)),
            stop_protected: Fact::Unasked,
            termination_protected: Fact::Unasked,
            alarms: Fact::from(
                around.alarms.as_ref().map_err(Clone::clone).map(|alarms| {
                    alarms.get(&(INSTANCE, id.to_owned())).cloned().unwrap_or_default()
                }),
            ),
            replica: Fact::Known(None),
            hibernation: Fact::from(hibernation(raw, &of_type, &around.beside.encrypted)),
            saves: Fact::Known(saves(raw)),
            public_address: Fact::Known(public_address(raw)),
            burstable,
            // Whether its keys can be used takes calls of its own.
            comeback: Comeback { keys: Fact::Unasked, fell: fell(raw), ..Comeback::default() },
        })),
        class,
        tags,
    }
}

/// Tags as a map.
pub(super) fn tags(raw: &[Tag]) -> BTreeMap<String, String> {
    let pair =
        |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    raw.iter().filter_map(pair).collect()
}

/// The name for people.
pub(super) fn name(tags: &BTreeMap<String, String>, id: &str) -> String {
    tags.get("Name").filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| id.to_owned())
}

fn of_type(
    class: Option<&str>,
    types: &Result<BTreeMap<String, TypeFacts>, Fault>,
) -> Result<TypeFacts, Fault> {
    let types = types.as_ref().map_err(Clone::clone)?;
    class.and_then(|class| types.get(class)).copied().ok_or_else(|| {
        let what = class.unwrap_or("none");
        DESCRIBE_TYPES.fault(FaultKind::Missing, format!("no instance type `{what}`"))
    })
}

/// When it was made. EC2 tells the last start only; but its first interface is there from the
/// beginning to the end, and what else is attached was so later.
fn created_at(raw: &Instance) -> Option<Timestamp> {
    let first = |interface: &&InstanceNetworkInterface| {
        interface.attachment().and_then(|attachment| attachment.device_index()) == Some(0)
    };
    let interface = raw.network_interfaces().iter().find(first);
    let since = interface.and_then(|interface| interface.attachment()?.attach_time());
    let disks = raw.block_device_mappings().iter();
    let disk = disks.filter_map(|disk| disk.ebs()?.attach_time().map(stamp)).min();
    since.map(stamp).or(disk).into_iter().chain(raw.launch_time().map(stamp)).min()
}

fn power(raw: &Instance) -> Power {
    match raw.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Pending) => Power::Starting,
        Some(InstanceStateName::Running) => Power::Running,
        Some(InstanceStateName::Stopping) => Power::Stopping,
        Some(InstanceStateName::Stopped) => Power::Stopped { charged: Some(false) },
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated) => Power::Gone,
        other => Power::Other(other.map_or("unknown", |name| name.as_str()).to_owned()),
    }
}

/// What EC2 says of one that went down without being told to, or did not come up.
fn fell(raw: &Instance) -> Option<String> {
    let reason = raw.state_reason().filter(|_| matches!(power(raw), Power::Stopped { .. }))?;
    let (code, words) = (reason.code()?, reason.message().unwrap_or_default());
    let told = ["UserInitiated", "InstanceInitiated", "ScheduledStop", "SpotInstance"];
    if code.is_empty() || told.iter().any(|told| code.contains(told)) {
        return None;
    }
    let whole = words.contains(code);
    Some(if whole { words.to_owned() } else { format!("{code}: {words}") })
}

fn platform(raw: &Instance) -> String {
    match (raw.platform_details(), raw.platform()) {
        (Some(details), _) => details.to_owned(),
        (None, Some(PlatformValues::Windows)) => "Windows".to_owned(),
        (None, _) => "Linux/UNIX".to_owned(),
    }
}

fn is_rooted_in_store(raw: &Instance) -> bool {
    raw.root_device_type() == Some(&DeviceType::InstanceStore)
}

fn local_disk(raw: &Instance, of_type: &Result<TypeFacts, Fault>) -> Fact<bool> {
    if is_rooted_in_store(raw) {
        return Fact::Known(true);
    }
    Fact::from(of_type.clone().map(|of| of.local_disk))
}

fn accelerator(raw: &Instance, of_type: &Result<TypeFacts, Fault>) -> Fact<bool> {
    let attached = !raw.elastic_gpu_associations().is_empty()
        || !raw.elastic_inference_accelerator_associations().is_empty();
    if attached {
        return Fact::Known(true);
    }
    Fact::from(of_type.clone().map(|of| of.accelerator))
}

fn forwards_traffic(raw: &Instance) -> bool {
    let interfaces = raw.network_interfaces().iter();
    raw.source_dest_check() == Some(false)
        || interfaces.into_iter().any(|one| one.source_dest_check() == Some(false))
}

/// Its addresses inside the network, by which target groups may name it.
fn addresses(raw: &Instance) -> BTreeSet<&str> {
    let mut found: BTreeSet<&str> = raw.private_ip_address().into_iter().collect();
    found.extend(raw.ipv6_address());
    for interface in raw.network_interfaces() {
        found.extend(interface.private_ip_address());
        let more = interface.private_ip_addresses().iter();
        found.extend(more.filter_map(|address| address.private_ip_address()));
        found.extend(interface.ipv6_addresses().iter().filter_map(|six| six.ipv6_address()));
    }
    found
}

fn targets(
    raw: &Instance,
    id: &str,
    targets: &Result<Balancing, Fault>,
) -> Result<Vec<String>, Fault> {
    let balancing = targets.as_ref().map_err(Clone::clone)?;
    balancing.of_instance(id, raw.vpc_id(), &addresses(raw))
}

/// Whether a reservation or host is paid for it all the same.
fn is_reserved(raw: &Instance) -> bool {
    let wishes = raw.capacity_reservation_specification();
    let avoids = wishes.and_then(|wishes| wishes.capacity_reservation_preference())
        == Some(&CapacityReservationPreference::None);
    raw.capacity_reservation_id().is_some() && !avoids || raw.capacity_block_id().is_some()
}

fn is_on_host(raw: &Instance) -> bool {
    raw.placement().and_then(|at| at.tenancy()) == Some(&Tenancy::Host)
}

fn purchase(
    raw: &Instance,
    persistent: &Result<BTreeSet<String>, Fault>,
) -> Result<Purchase, Fault> {
    if is_spot(raw) {
        let persistent = persistent.as_ref().map_err(Clone::clone)?;
        let comes_back = raw.spot_instance_request_id().is_some_and(|id| persistent.contains(id));
        return Ok(Purchase::Spot { terminates: !comes_back });
    }
    Ok(match raw.instance_lifecycle() {
        Some(InstanceLifecycleType::Scheduled) => Purchase::Subscription,
        Some(InstanceLifecycleType::CapacityBlock) => Purchase::Dedicated,
        _ if is_on_host(raw) || is_reserved(raw) => Purchase::Dedicated,
        _ => Purchase::OnDemand,
    })
}

fn saves(raw: &Instance) -> Saves {
    let why_not = match () {
        () if is_rooted_in_store(raw) => Some(NoSaving::RootInStore),
        () if is_on_host(raw) => Some(NoSaving::OnDedicatedHost),
        () if is_reserved(raw) => Some(NoSaving::InReservation),
        () => None,
    };
    why_not.map_or(Saves::Yes, |why| Saves::No(why.into()))
}

fn public_address(raw: &Instance) -> PublicAddress {
    let associations = raw.network_interfaces().iter().filter_map(|one| one.association());
    let mut owners = associations.filter_map(|association| {
        association.public_ip().map(|_| association.ip_owner_id().unwrap_or(AMAZON))
    });
    let first = owners.next();
    match first {
        // One that a stop gives back is the worse news.
        Some(owner) if owner == AMAZON || owners.any(|owner| owner == AMAZON) => {
            PublicAddress::Ephemeral
        }
        Some(_) => PublicAddress::Elastic,
        None if raw.public_ip_address().is_some() => PublicAddress::Ephemeral,
        None => PublicAddress::None,
    }
}

/// Whether it was launched to be hibernated.
pub(super) fn is_prepared_to_hibernate(raw: &Instance) -> bool {
    raw.hibernation_options().and_then(|options| options.configured()) == Some(true)
}

/// The volume that it boots from.
pub(super) fn root_volume(raw: &Instance) -> Option<&str> {
    let root = raw.root_device_name()?;
    let disk = raw.block_device_mappings().iter().find(|disk| disk.device_name() == Some(root))?;
    disk.ebs()?.volume_id()
}

fn hibernation(
    raw: &Instance,
    of_type: &Result<TypeFacts, Fault>,
    encrypted: &Result<BTreeSet<String>, Fault>,
) -> Result<bool, Fault> {
    if !is_prepared_to_hibernate(raw) {
        return Ok(false);
    }
    let encrypted = encrypted.as_ref().map_err(Clone::clone)?;
    let root = root_volume(raw).is_some_and(|id| encrypted.contains(id));
    Ok(root && of_type.clone()?.hibernates)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        HibernationOptions, InstanceNetworkInterfaceAssociation, InstanceState, Placement,
        StateReason, builders,
    };

    use super::super::super::known::{Target, TargetGroup};
    use super::*;

    fn made(
        build: impl FnOnce(builders::InstanceBuilder) -> builders::InstanceBuilder,
    ) -> Instance {
        build(Instance::builder().instance_id("i-1").vpc_id("vpc-1")).build()
    }

    fn lost() -> Fault {
        DESCRIBE_TYPES.fault(FaultKind::TimedOut, "late")
    }

    #[test]
    fn what_is_paid_for_all_the_same_saves_nothing() {
        let host = made(|i| i.placement(Placement::builder().tenancy(Tenancy::Host).build()));
        let alone = made(|i| i.placement(Placement::builder().tenancy(Tenancy::Dedicated).build()));
        let reserved = made(|i| i.capacity_reservation_id("cr-1"));
        let stored = made(|i| i.root_device_type(DeviceType::InstanceStore));
        let block = made(|i| i.instance_lifecycle(InstanceLifecycleType::CapacityBlock));
        let none = Ok(BTreeSet::new());
        let paid = |raw: &Instance| purchase(raw, &none).unwrap();
        assert_eq!(paid(&host), Purchase::Dedicated);
        assert_eq!(paid(&alone), Purchase::OnDemand);
        assert_eq!(paid(&reserved), Purchase::Dedicated);
        assert_eq!(paid(&block), Purchase::Dedicated);
        assert_eq!(saves(&alone), Saves::Yes);
        for raw in [&host, &reserved, &stored] {
            assert!(matches!(saves(raw), Saves::No(_)), "{raw:?}");
        }
        assert_eq!(local_disk(&stored, &Err(lost())), Fact::Known(true));
        assert_eq!(local_disk(&host, &Err(lost())), Fact::Unread(Box::new(lost())));
    }

    #[test]
    fn a_spot_instance_comes_back_only_if_its_request_is_known_to_be_persistent() {
        let spot = made(|i| {
            i.instance_lifecycle(InstanceLifecycleType::Spot).spot_instance_request_id("sir-1")
        });
        let known = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(purchase(&spot, &known(&["sir-1"])), Ok(Purchase::Spot { terminates: false }));
        assert_eq!(purchase(&spot, &known(&[])), Ok(Purchase::Spot { terminates: true }));
        assert_eq!(purchase(&spot, &Err(lost())), Err(lost()));
    }

    #[test]
    fn one_address_that_a_stop_gives_back_is_enough() {
        let interface = |owner: &str| {
            let association = InstanceNetworkInterfaceAssociation::builder();
            let association = association.public_ip("203.0.113.1").ip_owner_id(owner).build();
            InstanceNetworkInterface::builder().association(association).build()
        };
        let of = |owners: &[&str]| {
            public_address(&made(|i| {
                i.set_network_interfaces(Some(owners.iter().map(|o| interface(o)).collect()))
            }))
        };
        assert_eq!(of(&[]), PublicAddress::None);
        assert_eq!(of(&["amazon"]), PublicAddress::Ephemeral);
        assert_eq!(of(&["111122223333"]), PublicAddress::Elastic);
        assert_eq!(of(&["111122223333", "amazon"]), PublicAddress::Ephemeral);
        assert_eq!(public_address(&made(|i| i.public_ip_address("203.0.113.1"))), of(&["amazon"]));
    }

    #[test]
    fn what_went_down_by_nobodys_order_says_why() {
        let stopped = |code: &str, words: &str, state: InstanceStateName| {
            let reason = StateReason::builder().code(code).message(words).build();
            let state = InstanceState::builder().name(state).build();
            fell(&made(|i| i.state_reason(reason).state(state)))
        };
        let down = InstanceStateName::Stopped;
        let words = "Client.InternalError: Client error on launch";
        assert_eq!(stopped("Client.InternalError", words, down.clone()).as_deref(), Some(words));
        let short = stopped("Server.InternalError", "gone", down.clone());
        assert_eq!(short.as_deref(), Some("Server.InternalError: gone"));
        for code in [
            "Client.UserInitiatedShutdown",
            "Client.UserInitiatedHibernate",
            "Client.InstanceInitiatedShutdown",
            "Server.ScheduledStop",
            "Server.SpotInstanceShutdown",
            "",
        ] {
            assert_eq!(stopped(code, "x", down.clone()), None, "{code}");
        }
        assert_eq!(stopped("Client.InternalError", words, InstanceStateName::Running), None);
        assert_eq!(fell(&made(|i| i)), None);
    }

    #[test]
    fn hibernation_needs_what_was_not_read_only_where_it_was_asked_for() {
        let ready = HibernationOptions::builder().configured(true).build();
        let prepared = made(|i| i.hibernation_options(ready));
        let nothing = made(|i| i);
        assert_eq!(hibernation(&nothing, &Err(lost()), &Err(lost())), Ok(false));
        assert_eq!(hibernation(&prepared, &Err(lost()), &Err(lost())), Err(lost()));
        assert_eq!(hibernation(&prepared, &Err(lost()), &Ok(BTreeSet::new())), Ok(false));
    }

    #[test]
    fn an_address_counts_in_its_own_network_and_a_group_that_was_not_read_counts_as_unknown() {
        let raw = made(|i| i.private_ip_address("10.0.0.1"));
        let group = |vpc: &str, targets| TargetGroup {
            arn: "arn".to_owned(),
            name: vpc.to_owned(),
            vpc: Some(vpc.to_owned()),
            balancers: BTreeSet::new(),
            targets,
        };
        let here = || Ok(vec![Target { id: "10.0.0.1".to_owned(), serves: false }]);
        let read = |groups| targets(&raw, "i-1", &Ok(Balancing { groups, ..Balancing::default() }));
        let both = vec![group("vpc-1", here()), group("vpc-2", here())];
        assert_eq!(read(both), Ok(vec!["vpc-1".to_owned()]));
        assert_eq!(read(vec![group("vpc-1", here()), group("vpc-2", Err(lost()))]), Err(lost()));
        assert_eq!(targets(&raw, "i-1", &Err(lost())), Err(lost()));
    }
}
