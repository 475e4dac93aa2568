//! Limits around the growth of groups: processors of on-demand machines, and addresses of subnets.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::operation::describe_instance_types::DescribeInstanceTypesOutput;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::Filter;
use fleet::{Fault, FaultKind, Place};
use serde_json::json;

use super::access::{Access, Seat};
use super::estate::trial::DESCRIBE_TYPES;
use super::groups::FILTER_VALUES;
use super::listings::{DESCRIBE_GROUPS, DESCRIBE_INSTANCES, INSTANCES_PAGE, PAGE, PAGE_I32};
use super::pages::pages_of;
use super::regions::DESCRIBE_REGIONS;
use super::thin::Service;
use super::trial::{Outcomes, outcome};
use crate::call::Call;
use crate::{Deadline, Growth, Limit, Room};

pub(super) const GET_QUOTA: Call = Call::read("servicequotas", "GetServiceQuota");
pub(super) const DESCRIBE_SUBNETS: Call = Call::read("ec2", "DescribeSubnets");

/// Processors of running on-demand machines of the standard families. [Service Quotas]
const STANDARD_VCPUS: &str = "L-1216C47A";
/// The families that count against it, by the letters before their generation. [EC2 User Guide]
const STANDARD: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];
/// The prefix of the quotas' API in a call.
const TARGET: &str = "ServiceQuotasV20190624";

/// The calls that limits are read by, each tried once.
pub(super) async fn outcomes(seat: &Seat, deadline: Deadline) -> Outcomes {
    let subnets = seat.ec2.describe_subnets().max_results(5).send();
    let regions = seat.ec2.describe_regions().send();
    let (quota, subnets, regions) = tokio::join!(
        quota(seat, deadline),
        seat.call(DESCRIBE_SUBNETS, deadline, subnets),
        seat.call(DESCRIBE_REGIONS, deadline, regions),
    );
    BTreeMap::from([
        (GET_QUOTA.permission(), outcome(quota)),
        (DESCRIBE_SUBNETS.permission(), outcome(subnets)),
        (DESCRIBE_REGIONS.permission(), outcome(regions)),
    ])
}

/// The limits around these groups of one place.
pub(super) async fn read(
    access: &Access,
    place: &Place,
    growth: &[Growth],
    deadline: Deadline,
) -> Vec<Result<Room, Fault>> {
    let growing: Vec<&Growth> = growth.iter().filter(|one| one.machines > 0).collect();
    if growing.is_empty() {
        return Vec::new();
    }
    let seat = access.seat(GET_QUOTA, &place.account, &place.region);
    let seat = match GET_QUOTA.by(deadline, seat).await {
        Ok(seat) => seat,
        Err(fault) => return vec![Err(fault)],
    };
    let (processors, addresses) = tokio::join!(
        Box::pin(processors(&seat, &growing, deadline)),
        Box::pin(addresses(&seat, &growing, deadline)),
    );
    let mut rooms = vec![processors];
    match addresses {
        Ok(networks) => rooms.extend(networks.into_iter().map(Ok)),
        Err(fault) => rooms.push(Err(fault)),
    }
    rooms
}

async fn processors(seat: &Seat, growing: &[&Growth], deadline: Deadline) -> Result<Room, Fault> {
    let classes: BTreeSet<&str> = growing.iter().filter_map(|one| one.class.as_deref()).collect();
    let (limit, used, sizes) = tokio::join!(
        quota(seat, deadline),
        running(seat, deadline),
        sizes(seat, &classes, deadline),
    );
    let (limit, used, sizes) = (limit?, used?, sizes?);
    let mut room = Room {
        what: Limit::Vcpus,
        limit,
        used,
        needed: 0,
        groups: Vec::new(),
        unknown: Vec::new(),
    };
    for one in growing {
        match one.class.as_deref() {
            // Other families have limits of their own.
            Some(class) if !is_standard(class) => {}
            Some(class) if sizes.contains_key(class) => {
                room.needed += one.machines * sizes[class];
                room.groups.push(one.name.clone());
            }
            _ => room.unknown.push(one.name.clone()),
        }
    }
    Ok(room)
}

async fn quota(seat: &Seat, deadline: Deadline) -> Result<u64, Fault> {
    let fields = json!({ "ServiceCode": "ec2", "QuotaCode": STANDARD_VCPUS });
    let answer = seat.json(GET_QUOTA, Service::Quotas, TARGET, &fields, deadline).await?;
    let value = answer.pointer("/Quota/Value").and_then(serde_json::Value::as_f64);
    let sound = value.filter(|value| value.is_finite() && *value >= 0.0);
    let unreadable = || GET_QUOTA.fault(FaultKind::Unreadable, "an answer without a quota");
    // A whole number, told as one with a point.
    sound.map(|value| value as u64).ok_or_else(unreadable)
}

/// Processors of the on-demand machines that run now.
async fn running(seat: &Seat, deadline: Deadline) -> Result<u64, Fault> {
    let states = ["pending", "running"].map(str::to_owned).to_vec();
    let filter = Filter::builder().name("instance-state-name").set_values(Some(states)).build();
    let request = seat.ec2.describe_instances().max_results(INSTANCES_PAGE).filters(filter);
    let mut used = 0;
    let take = |page: DescribeInstancesOutput| {
        for instance in page.reservations().iter().flat_map(|all| all.instances()) {
            let class = instance.instance_type().map_or("", |class| class.as_str());
            if instance.instance_lifecycle().is_some() || !is_standard(class) {
                continue;
            }
            let options = instance.cpu_options();
            let count = |number: Option<i32>| u64::try_from(number.unwrap_or(1)).unwrap_or(1);
            used +=
                options.map_or(1, |cpu| count(cpu.core_count()) * count(cpu.threads_per_core()));
        }
    };
    seat.listing(DESCRIBE_INSTANCES, pages_of!(request), deadline, take).await?;
    Ok(used)
}

/// Processors of these instance types; one that the cloud does not know is absent.
async fn sizes(
    seat: &Seat,
    classes: &BTreeSet<&str>,
    deadline: Deadline,
) -> Result<BTreeMap<String, u64>, Fault> {
    let names: Vec<String> = classes.iter().map(|name| (*name).to_owned()).collect();
    let mut found = BTreeMap::new();
    for names in names.chunks(FILTER_VALUES) {
        let filter = Filter::builder().name("instance-type").set_values(Some(names.to_vec()));
        let request = seat.ec2.describe_instance_types().filters(filter.build()).max_results(100);
        let take = |page: DescribeInstanceTypesOutput| {
            for info in page.instance_types() {
                let count = info.v_cpu_info().and_then(|cpu| cpu.default_v_cpus());
                let count = count.and_then(|count| u64::try_from(count).ok());
                if let (Some(name), Some(count)) = (info.instance_type(), count) {
                    found.insert(name.as_str().to_owned(), count);
                }
            }
        };
        seat.listing(DESCRIBE_TYPES, pages_of!(request), deadline, take).await?;
    }
    Ok(found)
}

/// Free addresses of the subnets of groups; groups with the same subnets share them.
async fn addresses(
    seat: &Seat,
    growing: &[&Growth],
    deadline: Deadline,
) -> Result<Vec<Room>, Fault> {
    let mut of_group: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for names in growing.chunks(PAGE) {
        let names: Vec<String> = names.iter().map(|one| one.name.clone()).collect();
        let request = seat.autoscaling.describe_auto_scaling_groups();
        let request = request.set_auto_scaling_group_names(Some(names)).max_records(PAGE_I32);
        let page = seat.call(DESCRIBE_GROUPS, deadline, request.send()).await?;
        for group in page.auto_scaling_groups() {
            let listed = group.vpc_zone_identifier().unwrap_or_default().split(',');
            let ids = listed.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
            let name = group.auto_scaling_group_name().unwrap_or_default();
            of_group.insert(name.to_owned(), ids.collect());
        }
    }
    let wanted: BTreeSet<String> = of_group.values().flatten().cloned().collect();
    let free = free(seat, &wanted, deadline).await?;
    let mut rooms: BTreeMap<&BTreeSet<String>, Room> = BTreeMap::new();
    for one in growing {
        let Some(subnets) = of_group.get(&one.name).filter(|ids| !ids.is_empty()) else { continue };
        let room = rooms.entry(subnets).or_insert_with(|| Room {
            what: Limit::Addresses(subnets.iter().cloned().collect()),
            limit: subnets.iter().filter_map(|id| free.get(id)).sum(),
            used: 0,
            needed: 0,
            groups: Vec::new(),
            unknown: Vec::new(),
        });
        room.needed += one.machines;
        room.groups.push(one.name.clone());
    }
    Ok(rooms.into_values().collect())
}

async fn free(
    seat: &Seat,
    wanted: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeMap<String, u64>, Fault> {
    let ids: Vec<String> = wanted.iter().cloned().collect();
    let mut free = BTreeMap::new();
    for ids in ids.chunks(FILTER_VALUES) {
        // A filter, not `SubnetIds`: one that is gone would fail all of them.
        let filter = Filter::builder().name("subnet-id").set_values(Some(ids.to_vec())).build();
        let send = seat.ec2.describe_subnets().filters(filter).send();
        let page = seat.call(DESCRIBE_SUBNETS, deadline, send).await?;
        for subnet in page.subnets() {
            let count = subnet.available_ip_address_count().and_then(|n| u64::try_from(n).ok());
            if let (Some(id), Some(count)) = (subnet.subnet_id(), count) {
                free.insert(id.to_owned(), count);
            }
        }
    }
    Ok(free)
}

/// Whether an instance type counts against the quota of the standard families.
fn is_standard(class: &str) -> bool {
    let letters = class.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(class.len());
    // What has no generation right behind its letters, such as `u-6tb1`, is of another kind.
    class[letters..].starts_with(|c: char| c.is_ascii_digit())
        && STANDARD.contains(&&class[..letters])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_with_quotas_of_their_own_are_left_out() {
        for class in ["t3.micro", "m5.large", "c7gn.xlarge", "im4gn.large", "i3.large", "z1d.large"]
        {
            assert!(is_standard(class), "{class}");
        }
        for class in [
            "p4d.24xlarge",
            "g5.xlarge",
            "inf1.large",
            "trn1.2xlarge",
            "u-6tb1.metal",
            "x1e.large",
            "hpc6a.48xlarge",
            "dl1.24xlarge",
            "mac1.metal",
            "f1.2xlarge",
            "",
        ] {
            assert!(!is_standard(class), "{class}");
        }
    }
}
