//! Limits around the growth of groups: processors of machines that are paid by use, addresses of
//! vSwitches, and how large a group may be.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Fault, FaultKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Seat;
use super::endpoint::Product;
use super::estate::{INSTANCES, ListingCall};
use super::groups::{DESCRIBE_GROUPS, NAMES};
use super::params::Params;
use super::regions::DESCRIBE_REGIONS;
use super::trial::{Outcomes, outcome};
use crate::call::Call;
use crate::{Deadline, Growth, Limit, Room};

pub(super) const ACCOUNT_ATTRIBUTES: Call = Call::read("ecs", "DescribeAccountAttributes");
pub(super) const LIMITATION: Call = Call::read("ess", "DescribeLimitation");
pub(super) const SWITCHES: ListingCall =
    ListingCall::by_number(("vpc", Product::Vpc), "DescribeVSwitches", "/VSwitches/VSwitch", 50);

/// Processors that may be used by machines paid by use, and those that are. [ECS API reference]
const ATTRIBUTES: [&str; 2] =
    ["max-postpaid-instance-vcpu-count", "used-postpaid-instance-vcpu-count"];
/// Ids of instances in one call. [ECS API reference]
const IDS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Switch {
    #[serde(rename = "VSwitchId")]
    id: String,
    #[serde(default)]
    available_ip_address_count: u64,
}

/// The calls that limits are read by, each tried once.
pub(super) async fn outcomes(seat: &Seat, deadline: Deadline) -> Outcomes {
    let regions = seat.call::<Value>(DESCRIBE_REGIONS, Product::Ecs, seat.params(), deadline);
    let (vcpus, switches, largest, regions) = tokio::join!(
        vcpus(seat, deadline),
        SWITCHES.first(seat, seat.params(), deadline),
        largest(seat, deadline),
        regions,
    );
    BTreeMap::from([
        (DESCRIBE_REGIONS.permission(), outcome(regions)),
        (ACCOUNT_ATTRIBUTES.permission(), outcome(vcpus)),
        (SWITCHES.call.permission(), outcome(switches)),
        (LIMITATION.permission(), outcome(largest)),
    ])
}

/// The limits around these groups of one place.
pub(super) async fn read(
    seat: &Seat,
    growth: &[Growth],
    deadline: Deadline,
) -> Vec<Result<Room, Fault>> {
    let growing: Vec<&Growth> = growth.iter().filter(|one| one.machines > 0).collect();
    if growth.is_empty() {
        return Vec::new();
    }
    let (processors, addresses, size) = tokio::join!(
        processors(seat, &growing, deadline),
        addresses(seat, &growing, deadline),
        size(seat, growth, deadline),
    );
    let mut rooms = vec![processors, size];
    match addresses {
        Ok(networks) => rooms.extend(networks.into_iter().map(Ok)),
        Err(fault) => rooms.push(Err(fault)),
    }
    rooms
}

fn room(what: Limit, limit: u64, used: u64) -> Room {
    Room { what, limit, used, needed: 0, groups: Vec::new(), unknown: Vec::new() }
}

async fn processors(seat: &Seat, growing: &[&Growth], deadline: Deadline) -> Result<Room, Fault> {
    let members: Vec<&str> = growing.iter().filter_map(|one| one.member.as_deref()).collect();
    let (vcpus, sizes) = tokio::join!(vcpus(seat, deadline), sizes(seat, &members, deadline));
    let ((limit, used), sizes) = (vcpus?, sizes?);
    let mut room = room(Limit::Vcpus, limit, used);
    for one in growing {
        match one.member.as_ref().and_then(|member| sizes.get(member)) {
            Some(size) => {
                room.needed += one.machines * size;
                room.groups.push(one.name.clone());
            }
            None => room.unknown.push(one.name.clone()),
        }
    }
    Ok(room)
}

/// How many processors there may be, and how many there are.
async fn vcpus(seat: &Seat, deadline: Deadline) -> Result<(u64, u64), Fault> {
    let params = seat.params().with_list("AttributeName", ATTRIBUTES);
    let answer: Value = seat.call(ACCOUNT_ATTRIBUTES, Product::Ecs, params, deadline).await?;
    let items = answer.pointer("/AccountAttributeItems/AccountAttributeItem");
    let items = items.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |name: &str| {
        let item = items.iter().find(|item| item["AttributeName"] == name)?;
        item.pointer("/AttributeValues/ValueItem/0/Value")?.as_str()?.parse().ok()
    };
    let [limit, used] = ATTRIBUTES.map(|name| {
        of(name).ok_or_else(|| {
            ACCOUNT_ATTRIBUTES.fault(FaultKind::Unreadable, format!("an answer without `{name}`"))
        })
    });
    Ok((limit?, used?))
}

/// Processors of these machines; one that is not there, or is no machine, is absent.
async fn sizes(
    seat: &Seat,
    ids: &[&str],
    deadline: Deadline,
) -> Result<BTreeMap<String, u64>, Fault> {
    let mut sizes = BTreeMap::new();
    for ids in ids.chunks(IDS) {
        let params = seat.params().with("InstanceIds", json!(ids));
        for machine in INSTANCES.all::<Value>(seat, params, deadline).await? {
            if let (Some(id), Some(cpu)) = (machine["InstanceId"].as_str(), machine["Cpu"].as_u64())
            {
                sizes.insert(id.to_owned(), cpu);
            }
        }
    }
    Ok(sizes)
}

/// The largest maximum that a group may have.
async fn largest(seat: &Seat, deadline: Deadline) -> Result<u64, Fault> {
    let answer: Value = seat.call(LIMITATION, Product::Ess, Params::new(), deadline).await?;
    answer["MaxNumberOfMaxSize"].as_u64().ok_or_else(|| {
        LIMITATION.fault(FaultKind::Unreadable, "an answer without `MaxNumberOfMaxSize`")
    })
}

async fn size(seat: &Seat, growth: &[Growth], deadline: Deadline) -> Result<Room, Fault> {
    let limit = largest(seat, deadline).await?;
    let mut room = room(Limit::GroupSize, limit, 0);
    room.needed = growth.iter().map(|one| one.largest).max().unwrap_or(0);
    let most = growth.iter().filter(|one| one.largest == room.needed || one.largest > limit);
    room.groups = most.map(|one| one.name.clone()).collect();
    Ok(room)
}

/// Free addresses of the vSwitches of groups; groups with the same vSwitches share them.
async fn addresses(
    seat: &Seat,
    growing: &[&Growth],
    deadline: Deadline,
) -> Result<Vec<Room>, Fault> {
    let mut of_group: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for some in growing.chunks(NAMES) {
        let ids = some.iter().map(|one| one.group.id.as_str());
        let params = seat.params().with_list("ScalingGroupIds", ids);
        let params = params.with("PageNumber", 1).with("PageSize", NAMES);
        let page: Value = seat.call(DESCRIBE_GROUPS, Product::Ess, params, deadline).await?;
        for group in page["ScalingGroups"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let listed = group["VSwitchIds"].as_array().map(Vec::as_slice).unwrap_or_default();
            let switches = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let id = group["ScalingGroupId"].as_str().unwrap_or_default();
            of_group.insert(id.to_owned(), switches);
        }
    }
    if of_group.values().all(BTreeSet::is_empty) {
        return Ok(Vec::new());
    }
    let switches = SWITCHES.all::<Switch>(seat, seat.params(), deadline).await?;
    let free: BTreeMap<&str, u64> =
        switches.iter().map(|one| (one.id.as_str(), one.available_ip_address_count)).collect();
    let mut rooms: BTreeMap<&BTreeSet<String>, Room> = BTreeMap::new();
    for one in growing {
        let wanted = of_group.get(&one.group.id).filter(|ids| !ids.is_empty());
        let Some(wanted) = wanted else { continue };
        let fresh = || {
            let limit = wanted.iter().filter_map(|id| free.get(id.as_str())).sum();
            room(Limit::Addresses(wanted.iter().cloned().collect()), limit, 0)
        };
        let room = rooms.entry(wanted).or_insert_with(fresh);
        room.needed += one.machines;
        room.groups.push(one.name.clone());
    }
    Ok(rooms.into_values().collect())
}
