//! Reads what is found and never stopped: volumes, addresses, load balancers and snapshots.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::operation::describe_images::DescribeImagesOutput;
use aws_sdk_ec2::operation::describe_snapshots::DescribeSnapshotsOutput;
use aws_sdk_ec2::operation::describe_volumes::DescribeVolumesOutput;
use aws_sdk_ec2::types::{Address, Snapshot, Volume, VolumeState};
use fleet::resource::{Fact, Part, Resource, ResourceKind};
use fleet::signs::{Clue, Holder};
use fleet::{Fault, OrTold};

use super::super::access::Seat;
use super::super::known::{Balancer, Balancing};
use super::super::pages::pages_of;
use super::super::translate::stamp;
use super::balancing;
use super::{KindsListed, Site, facts, when};
use crate::Deadline;
use crate::call::Call;
use crate::home::ListedPart;

pub(in super::super) const DESCRIBE_VOLUMES: Call = Call::read("ec2", "DescribeVolumes");
pub(in super::super) const DESCRIBE_ADDRESSES: Call = Call::read("ec2", "DescribeAddresses");
pub(in super::super) const DESCRIBE_SNAPSHOTS: Call = Call::read("ec2", "DescribeSnapshots");
pub(in super::super) const DESCRIBE_IMAGES: Call = Call::read("ec2", "DescribeImages");

/// Volumes, snapshots or images in one page. [EC2 API reference]
const PAGE: i32 = 500;

fn resource(site: &Site, part: ListedPart) -> Resource {
    part.resource(&site.home, site.seat.now())
}

/// Reads volumes, addresses and snapshots, as far as they are wanted.
pub(super) async fn read(
    site: &Site,
    kinds: &BTreeSet<ResourceKind>,
    deadline: Deadline,
) -> KindsListed {
    let wants = |kind| kinds.contains(&kind);
    let snapshots = wants(ResourceKind::Snapshot);
    let seat = &site.seat;
    let (volumes, addresses, found, images) = tokio::join!(
        when(wants(ResourceKind::Volume) || snapshots, volumes(seat, deadline)),
        when(wants(ResourceKind::Address), addresses(seat, deadline)),
        when(snapshots, self::snapshots(seat, deadline)),
        when(snapshots, images(seat, deadline.of_details())),
    );
    let mut answers = KindsListed::new();
    if let (Some(found), Some(images), Some(volumes)) = (found, images, &volumes) {
        let users = users(images, volumes);
        let put = |found: Vec<Snapshot>| {
            found.iter().map(|one| resource(site, snapshot(one, &users))).collect()
        };
        answers.push((ResourceKind::Snapshot, found.map(put)));
    }
    if let Some(found) = volumes.filter(|_| wants(ResourceKind::Volume)) {
        let put =
            |found: Vec<Volume>| found.iter().map(|one| resource(site, volume(one))).collect();
        answers.push((ResourceKind::Volume, found.map(put)));
    }
    if let Some(found) = addresses {
        let put =
            |found: Vec<Address>| found.iter().map(|one| resource(site, address(one))).collect();
        answers.push((ResourceKind::Address, found.map(put)));
    }
    answers
}

async fn volumes(seat: &Seat, deadline: Deadline) -> Result<Vec<Volume>, Fault> {
    let request = seat.ec2.describe_volumes().max_results(PAGE);
    let mut found = Vec::new();
    let take = |page: DescribeVolumesOutput| found.extend(page.volumes.unwrap_or_default());
    seat.listing(DESCRIBE_VOLUMES, pages_of!(request), deadline, take).await?;
    let ending =
        |one: &Volume| matches!(one.state(), Some(VolumeState::Deleting | VolumeState::Deleted));
    found.retain(|one| !ending(one));
    Ok(found)
}

async fn addresses(seat: &Seat, deadline: Deadline) -> Result<Vec<Address>, Fault> {
    let send = seat.ec2.describe_addresses().send();
    let page = seat.call(DESCRIBE_ADDRESSES, deadline, send).await?;
    Ok(page.addresses.unwrap_or_default())
}

async fn snapshots(seat: &Seat, deadline: Deadline) -> Result<Vec<Snapshot>, Fault> {
    let request = seat.ec2.describe_snapshots().owner_ids("self").max_results(PAGE);
    let mut found = Vec::new();
    let take = |page: DescribeSnapshotsOutput| found.extend(page.snapshots.unwrap_or_default());
    seat.listing(DESCRIBE_SNAPSHOTS, pages_of!(request), deadline, take).await?;
    Ok(found)
}

/// Own images, by the snapshots that they are made from.
async fn images(seat: &Seat, deadline: Deadline) -> Result<BTreeMap<String, String>, Fault> {
    let request = seat.ec2.describe_images().owners("self").max_results(PAGE);
    let mut found = BTreeMap::new();
    let take = |page: DescribeImagesOutput| {
        for image in page.images() {
            let disks = image.block_device_mappings().iter();
            for snapshot in disks.filter_map(|disk| disk.ebs()?.snapshot_id()) {
                let id = image.image_id().unwrap_or_default();
                found.insert(snapshot.to_owned(), id.to_owned());
            }
        }
    };
    seat.listing(DESCRIBE_IMAGES, pages_of!(request), deadline, take).await?;
    Ok(found)
}

/// What may use a snapshot: images by snapshot, and the volumes that there are.
type Users = Result<(BTreeMap<String, String>, BTreeSet<String>), Fault>;

fn users(
    images: Result<BTreeMap<String, String>, Fault>,
    volumes: &Result<Vec<Volume>, Fault>,
) -> Users {
    let volumes = volumes.as_ref().map_err(Clone::clone)?;
    let ids = volumes.iter().filter_map(|volume| volume.volume_id().map(str::to_owned));
    Ok((images?, ids.collect()))
}

fn gib(size: Option<i32>) -> Option<u32> {
    size.and_then(|size| u32::try_from(size).ok())
}

fn snapshot(raw: &Snapshot, users: &Users) -> ListedPart {
    let id = raw.snapshot_id().unwrap_or_default().to_owned();
    let started = raw.start_time().map(stamp);
    let used_by = users.as_ref().map_err(Clone::clone).map(|(images, volumes)| {
        let source = raw.volume_id().filter(|source| volumes.contains(*source));
        let user = images.get(&id).cloned().or_else(|| source.map(str::to_owned));
        user.map(|user| Holder::Resource(user).into())
    });
    let unused = matches!(used_by, Ok(None));
    let tags = facts::tags(raw.tags());
    ListedPart {
        kind: ResourceKind::Snapshot,
        name: facts::name(&tags, &id),
        tags,
        created_at: started,
        zone: None,
        class: Some(raw.storage_tier().map_or("standard", |tier| tier.as_str()).to_owned()),
        platform: None,
        size_gib: gib(raw.volume_size()),
        part: Part {
            used_by: Fact::from(used_by),
            unused_since: started.filter(|_| unused),
            looked_at: Clue::ImagesAndVolume.into(),
        },
        id,
    }
}

fn volume(raw: &Volume) -> ListedPart {
    let to: Vec<&str> = raw.attachments().iter().filter_map(|one| one.instance_id()).collect();
    let used_by = match raw.state() {
        // Without an instance it may be another service's, such as ECS.
        Some(VolumeState::InUse) if to.is_empty() => Some(Holder::Attachment),
        _ if !to.is_empty() => Some(Holder::Resource(to.join(", "))),
        Some(VolumeState::Available | VolumeState::Error) => None,
        other => {
            let state = other.map_or("unknown", |state| state.as_str());
            Some(Holder::State(state.to_owned()))
        }
    };
    let id = raw.volume_id().unwrap_or_default();
    let tags = facts::tags(raw.tags());
    ListedPart {
        kind: ResourceKind::Volume,
        id: id.to_owned(),
        name: facts::name(&tags, id),
        tags,
        created_at: raw.create_time().map(stamp),
        zone: raw.availability_zone().map(str::to_owned),
        class: raw.volume_type().map(|name| name.as_str().to_owned()),
        platform: None,
        size_gib: gib(raw.size()),
        part: Part {
            used_by: Fact::Known(used_by.map(OrTold::Value)),
            unused_since: None,
            looked_at: Clue::Attachments.into(),
        },
    }
}

fn address(raw: &Address) -> ListedPart {
    let named = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let used_by = named(raw.instance_id())
        .or_else(|| named(raw.network_interface_id()))
        .or_else(|| named(raw.association_id()))
        .map(Holder::Resource);
    let ip = named(raw.public_ip()).unwrap_or_default();
    let id = named(raw.allocation_id()).unwrap_or_else(|| ip.clone());
    let tags = facts::tags(raw.tags());
    ListedPart {
        kind: ResourceKind::Address,
        id,
        // People know it by its number.
        name: facts::name(&tags, &ip),
        tags,
        created_at: None,
        zone: None,
        class: None,
        platform: None,
        size_gib: None,
        part: Part {
            used_by: Fact::Known(used_by.map(OrTold::Value)),
            unused_since: None,
            looked_at: Clue::Associations.into(),
        },
    }
}

/// Load balancers, each with how many targets it has in service.
pub(super) async fn balancers(
    site: &Site,
    balancing: &Balancing,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    let arns: Vec<&str> = balancing.balancers.iter().map(|one| one.arn.as_str()).collect();
    let mut tags = balancing::tags(&site.seat, &arns, deadline).await?;
    let put = |one: &Balancer| {
        let tags = tags.remove(&one.arn).unwrap_or_default();
        resource(site, balancer(one, tags, balancing))
    };
    Ok(balancing.balancers.iter().map(put).collect())
}

fn balancer(raw: &Balancer, tags: BTreeMap<String, String>, balancing: &Balancing) -> ListedPart {
    let groups = balancing.groups.iter().filter(|group| group.balancers.contains(&raw.arn));
    let (mut serving, mut all, mut unread) = (0_usize, 0_usize, None);
    for group in groups {
        match &group.targets {
            Ok(targets) => {
                all += targets.len();
                serving += targets.iter().filter(|target| target.serves).count();
            }
            Err(fault) => unread = Some(fault.clone()),
        }
    }
    let (serving, of) = (serving as u64, all as u64);
    let looked_at = Clue::Targets { serving, of }.into();
    let used_by = match (serving, unread) {
        (1.., _) => Fact::Known(Some(Holder::Targets { serving, of }.into())),
        (0, Some(fault)) => Fact::Unread(Box::new(fault)),
        (0, None) => Fact::Known(None),
    };
    ListedPart {
        kind: ResourceKind::LoadBalancer,
        id: raw.arn.clone(),
        name: raw.name.clone(),
        tags,
        created_at: raw.created_at,
        zone: None,
        class: Some(raw.kind.clone()),
        platform: None,
        size_gib: None,
        part: Part { used_by, unused_since: None, looked_at },
    }
}
