//! Disks, snapshots and addresses that nothing uses: findings, never stopped.

use std::collections::BTreeSet;

use fleet::resource::{Fact, Part, Resource, ResourceKind};
use fleet::signs::{Clue, Holder};
use fleet::{Fault, OrTold};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::instance::{Tags, by_key, said};
use super::pages::ListingCall;
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::translate::stamp;
use crate::home::{Home, ListedPart};

pub(in crate::alibaba) const DISKS: ListingCall = ListingCall::by_token(
    ("ecs", Product::Ecs),
    "DescribeDisks",
    "/Disks/Disk",
    ("MaxResults", DISKS_PAGE),
);
pub(in crate::alibaba) const SNAPSHOTS: ListingCall = ListingCall::by_token(
    ("ecs", Product::Ecs),
    "DescribeSnapshots",
    "/Snapshots/Snapshot",
    ("MaxResults", 100),
);
pub(in crate::alibaba) const ADDRESSES: ListingCall = ListingCall::by_number(
    ("vpc", Product::Vpc),
    "DescribeEipAddresses",
    "/EipAddresses/EipAddress",
    100,
);

/// Disks of a page, and ids of one call. [ECS API reference]
const DISKS_PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Disk {
    disk_id: String,
    #[serde(default)]
    disk_name: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    performance_level: Option<String>,
    size: u32,
    creation_time: Option<String>,
    detached_time: Option<String>,
    #[serde(default)]
    zone_id: String,
    #[serde(default)]
    tags: Tags,
}

/// Disks that are attached to nothing. Those in use are not asked for.
pub(super) async fn disks(
    seat: &Seat,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    available(DISKS, Disk::listing, seat, home, deadline).await
}

/// What a listing has that nothing uses.
async fn available<T: DeserializeOwned>(
    listed: ListingCall,
    listing: fn(T) -> ListedPart,
    seat: &Seat,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    let params = seat.params().with("Status", "Available");
    let read_at = seat.now();
    let parts = listed.all::<T>(seat, params, deadline).await?;
    Ok(parts.into_iter().map(|part| listing(part).resource(home, read_at)).collect())
}

impl Disk {
    fn listing(self) -> ListedPart {
        ListedPart {
            kind: ResourceKind::Volume,
            created_at: self.creation_time.as_deref().and_then(stamp),
            zone: said(&self.zone_id),
            class: said(&self.category),
            platform: self.performance_level.as_deref().and_then(said),
            size_gib: Some(self.size),
            part: Part {
                used_by: Fact::Known(None),
                unused_since: self.detached_time.as_deref().and_then(stamp),
                looked_at: Clue::Attachments.into(),
            },
            id: self.disk_id,
            name: self.disk_name,
            tags: by_key(self.tags.tag),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Eip {
    allocation_id: String,
    #[serde(default)]
    ip_address: String,
    #[serde(default)]
    name: String,
    allocation_time: Option<String>,
    #[serde(default, rename = "ISP")]
    isp: String,
    #[serde(default)]
    internet_charge_type: String,
    #[serde(default)]
    tags: Tags,
}

/// Addresses that are bound to nothing. Those in use are not asked for.
pub(super) async fn addresses(
    seat: &Seat,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    available(ADDRESSES, Eip::listing, seat, home, deadline).await
}

impl Eip {
    fn listing(self) -> ListedPart {
        ListedPart {
            kind: ResourceKind::Address,
            created_at: self.allocation_time.as_deref().and_then(stamp),
            zone: None,
            class: said(&self.isp),
            platform: said(&self.internet_charge_type),
            size_gib: None,
            part: Part {
                used_by: Fact::Known(None),
                unused_since: None,
                looked_at: Clue::Binding.into(),
            },
            id: self.allocation_id,
            name: if self.name.is_empty() { self.ip_address } else { self.name },
            tags: by_key(self.tags.tag),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Snapshot {
    snapshot_id: String,
    #[serde(default)]
    snapshot_name: String,
    #[serde(default)]
    source_disk_id: String,
    #[serde(default)]
    source_disk_size: Value,
    #[serde(default)]
    usage: String,
    #[serde(default)]
    category: Option<String>,
    creation_time: Option<String>,
    #[serde(default)]
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DiskId {
    disk_id: String,
}

/// Every snapshot. One whose disk is still there protects that disk, and one under an image is
/// needed by it; the other ones are used by nothing.
pub(super) async fn snapshots(
    seat: &Seat,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    let read_at = seat.now();
    let snapshots = SNAPSHOTS.all::<Snapshot>(seat, seat.params(), deadline).await?;
    let sources: BTreeSet<String> =
        snapshots.iter().filter_map(|snapshot| said(&snapshot.source_disk_id)).collect();
    let there = still_there(seat, sources, deadline).await;
    let listing = |snapshot: Snapshot| {
        let used_by = match (snapshot.usage.contains("image"), &there) {
            (true, _) => Fact::Known(Some(Holder::Image.into())),
            (false, Err(fault)) => Fact::Unread(Box::new(fault.clone())),
            (false, Ok(there)) => Fact::Known(
                there
                    .contains(&snapshot.source_disk_id)
                    .then(|| Holder::Resource(snapshot.source_disk_id.clone()).into()),
            ),
        };
        snapshot.listing(used_by).resource(home, read_at)
    };
    Ok(snapshots.into_iter().map(listing).collect())
}

/// Those of the disks that still exist.
async fn still_there(
    seat: &Seat,
    disks: BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeSet<String>, Fault> {
    let disks: Vec<String> = disks.into_iter().collect();
    let mut there = BTreeSet::new();
    for batch in disks.chunks(DISKS_PAGE) {
        let params = seat.params().with("DiskIds", json!(batch));
        let found = DISKS.all::<DiskId>(seat, params, deadline).await?;
        there.extend(found.into_iter().map(|disk| disk.disk_id));
    }
    Ok(there)
}

impl Snapshot {
    fn listing(self, used_by: Fact<Option<OrTold<Holder>>>) -> ListedPart {
        let size = match &self.source_disk_size {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|size| u32::try_from(size).ok()),
        };
        ListedPart {
            kind: ResourceKind::Snapshot,
            created_at: self.creation_time.as_deref().and_then(stamp),
            zone: None,
            class: self.category.as_deref().and_then(said),
            platform: None,
            size_gib: size,
            part: Part { used_by, unused_since: None, looked_at: Clue::DiskAndImages.into() },
            id: self.snapshot_id,
            name: self.snapshot_name,
            tags: by_key(self.tags.tag),
        }
    }
}
