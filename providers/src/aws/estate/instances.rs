//! Reads EC2 instances, and what of their facts takes calls of its own.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{
    Filter, Instance, InstanceAttributeName, InstanceLifecycleType, SpotInstanceType,
};
use fleet::resource::{Fact, Facts, Resource, Subject};
use fleet::usage::Signal;
use fleet::{Fault, FaultKind};

use super::super::access::Seat;
use super::super::groups::FILTER_VALUES;
use super::super::known::TypeFacts;
use super::super::listings::{DESCRIBE_INSTANCES, INSTANCES_PAGE};
use super::super::pages::pages_of;
use super::facts::{self, Around};
use super::parts::DESCRIBE_VOLUMES;
use super::types;
use super::{Site, alarms, balancing, keys, when};
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_ATTRIBUTE: Call =
    Call::read("ec2", "DescribeInstanceAttribute");
pub(in super::super) const DESCRIBE_SPOT: Call = Call::read("ec2", "DescribeSpotInstanceRequests");

/// The states that are not the end.
const LIVING: [&str; 4] = ["pending", "running", "stopping", "stopped"];

/// What is known of instances beside their own descriptions.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub(super) types: Result<BTreeMap<String, TypeFacts>, Fault>,
    /// Spot instances whose request is persistent: they can be stopped.
    pub(super) persistent: Result<BTreeSet<String>, Fault>,
    /// Root volumes that are encrypted, of instances that were launched for hibernation.
    pub(super) encrypted: Result<BTreeSet<String>, Fault>,
    /// Signals that agents publish, by instance.
    pub(super) agents: BTreeMap<String, BTreeSet<Signal>>,
}

/// All instances of a region that are not ended.
pub(super) async fn listed(
    site: &Site,
    deadline: Deadline,
) -> Result<(Vec<Instance>, Beside), Fault> {
    let living = LIVING.map(str::to_owned).to_vec();
    let filter = Filter::builder().name("instance-state-name").set_values(Some(living)).build();
    let seat = &site.seat;
    let request = seat.ec2.describe_instances().max_results(INSTANCES_PAGE).filters(filter);
    let mut found = Vec::new();
    let take = |page: DescribeInstancesOutput| {
        for reservation in page.reservations.unwrap_or_default() {
            found.extend(reservation.instances.unwrap_or_default());
        }
    };
    seat.listing(DESCRIBE_INSTANCES, pages_of!(request), deadline, take).await?;
    let beside = beside(seat, &found, deadline.of_details()).await;
    Ok((found, beside))
}

/// One instance with every fact, each read afresh.
pub(super) async fn one(site: &Site, id: &str, deadline: Deadline) -> Result<Resource, Fault> {
    let seat = &site.seat;
    let soft = deadline.of_details();
    let (targets, alarms) = {
        let mut known = seat.known();
        (known.targets.join(), known.alarms.join())
    };
    let (raw, targets, alarms, stop, end, keys) = tokio::join!(
        described(site, id, deadline),
        targets.get_or_init(|| Box::pin(balancing::read(seat, false, soft))),
        alarms.get_or_init(|| Box::pin(alarms::read(seat, soft))),
        protected(seat, id, InstanceAttributeName::DisableApiStop, soft),
        protected(seat, id, InstanceAttributeName::DisableApiTermination, soft),
        keys::of_instance(seat, id, soft),
    );
    let raw = raw?;
    let beside = beside(seat, std::slice::from_ref(&raw), soft).await;
    let (targets, alarms) = (targets.clone(), alarms.clone());
    let mut resource = facts::instance(site, &raw, &Around { beside, targets, alarms });
    if let Subject::Machine(facts) = &mut resource.subject {
        facts.stop_protected = Fact::from(stop);
        facts.termination_protected = Fact::from(end);
        facts.comeback.keys = Fact::from(keys);
    }
    Ok(resource)
}

/// Reads what a listing leaves out, and nothing that it told.
///
/// # Errors
/// Where there is no such instance. What else goes wrong is in the facts.
pub(super) async fn details(
    seat: &Seat,
    id: &str,
    facts: &mut Facts,
    deadline: Deadline,
) -> Result<(), Fault> {
    let soft = deadline.of_details();
    let ask = |fact: &Fact<bool>, which| {
        when(matches!(fact, Fact::Unasked), protected(seat, id, which, soft))
    };
    let asked = matches!(facts.comeback.keys, Fact::Unasked);
    let (stop, end, keys) = tokio::join!(
        ask(&facts.stop_protected, InstanceAttributeName::DisableApiStop),
        ask(&facts.termination_protected, InstanceAttributeName::DisableApiTermination),
        when(asked, keys::of_instance(seat, id, soft)),
    );
    if let Some(keys) = keys {
        facts.comeback.keys = Fact::from(keys);
    }
    for (fact, read) in [(&mut facts.stop_protected, stop), (&mut facts.termination_protected, end)]
    {
        match read {
            Some(Err(fault)) if fault.kind == FaultKind::Missing => return Err(fault),
            Some(read) => *fact = Fact::from(read),
            None => {}
        }
    }
    Ok(())
}

async fn described(site: &Site, id: &str, deadline: Deadline) -> Result<Instance, Fault> {
    let send = site.seat.ec2.describe_instances().instance_ids(id).send();
    let page = site.seat.call(DESCRIBE_INSTANCES, deadline, send).await?;
    let reservation = page.reservations.unwrap_or_default().into_iter().next();
    let owner = reservation.as_ref().and_then(|found| found.owner_id.clone());
    let wanted = site.home.account.as_str();
    if let Some(owner) = owner
        && wanted.bytes().all(|b| b.is_ascii_digit())
        && owner != wanted
    {
        let why = format!("the credentials belong to account `{owner}`, expected `{wanted}`");
        return Err(DESCRIBE_INSTANCES.fault(FaultKind::Refused, why));
    }
    let found =
        reservation.and_then(|found| found.instances.unwrap_or_default().into_iter().next());
    found.ok_or_else(|| DESCRIBE_INSTANCES.fault(FaultKind::Missing, format!("no instance `{id}`")))
}

/// Whether one of the two protections is on.
async fn protected(
    seat: &Seat,
    id: &str,
    which: InstanceAttributeName,
    deadline: Deadline,
) -> Result<bool, Fault> {
    let request = seat.ec2.describe_instance_attribute().instance_id(id);
    let send = request.attribute(which.clone()).send();
    let answer = seat.call(DESCRIBE_ATTRIBUTE, deadline, send).await?;
    let value = match which {
        InstanceAttributeName::DisableApiStop => answer.disable_api_stop(),
        _ => answer.disable_api_termination(),
    };
    value.and_then(|value| value.value()).ok_or_else(|| {
        DESCRIBE_ATTRIBUTE.fault(FaultKind::Unreadable, format!("no value of `{which}`"))
    })
}

async fn beside(seat: &Seat, found: &[Instance], deadline: Deadline) -> Beside {
    let of_type = |one: &Instance| one.instance_type().map(|name| name.as_str().to_owned());
    let types: BTreeSet<String> = found.iter().filter_map(of_type).collect();
    let spot = found.iter().filter(|one| is_spot(one));
    let requests: Vec<String> =
        spot.filter_map(|one| one.spot_instance_request_id().map(str::to_owned)).collect();
    let prepared = found.iter().filter(|one| facts::is_prepared_to_hibernate(one));
    let roots: Vec<String> =
        prepared.filter_map(|one| facts::root_volume(one).map(str::to_owned)).collect();
    let (types, persistent, encrypted, agents) = tokio::join!(
        types::read(seat, &types, deadline),
        persistent(seat, &requests, deadline),
        encrypted(seat, &roots, deadline),
        alarms::agents(seat, deadline),
    );
    Beside { types, persistent, encrypted, agents }
}

pub(super) fn is_spot(instance: &Instance) -> bool {
    instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot)
}

/// Which of these spot requests are persistent.
async fn persistent(
    seat: &Seat,
    ids: &[String],
    deadline: Deadline,
) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::new();
    for ids in ids.chunks(FILTER_VALUES) {
        let name = "spot-instance-request-id";
        let filter = Filter::builder().name(name).set_values(Some(ids.to_vec())).build();
        let send = seat.ec2.describe_spot_instance_requests().filters(filter).send();
        let page = seat.call(DESCRIBE_SPOT, deadline, send).await?;
        for request in page.spot_instance_requests() {
            if request.r#type() == Some(&SpotInstanceType::Persistent) {
                found.extend(request.spot_instance_request_id().map(str::to_owned));
            }
        }
    }
    Ok(found)
}

/// Which of these volumes are encrypted.
async fn encrypted(
    seat: &Seat,
    ids: &[String],
    deadline: Deadline,
) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::new();
    for ids in ids.chunks(FILTER_VALUES) {
        let filter = Filter::builder().name("volume-id").set_values(Some(ids.to_vec())).build();
        let send = seat.ec2.describe_volumes().filters(filter).send();
        let page = seat.call(DESCRIBE_VOLUMES, deadline, send).await?;
        let volumes = page.volumes().iter().filter(|volume| volume.encrypted() == Some(true));
        found.extend(volumes.filter_map(|volume| volume.volume_id().map(str::to_owned)));
    }
    Ok(found)
}
