//! Whether the keys of disks can be used: a machine whose volumes cannot be decrypted does not start,
//! and EC2 does not say so before, not even to a rehearsal.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use fleet::comeback::DiskKeys;
use fleet::{Fault, FaultKind};
use serde_json::json;

use super::super::access::Seat;
use super::super::thin::Service;
use super::parts::DESCRIBE_VOLUMES;
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_KEY: Call = Call::read("kms", "DescribeKey");

/// The prefix of the API's name in a call.
const TARGET: &str = "TrentService";
/// The one state in which a key decrypts.
const ENABLED: &str = "Enabled";
/// What is said of a key that is not there any more.
const GONE: &str = "deleted";

/// The keys of an instance's volumes.
pub(super) async fn of_instance(
    seat: &Seat,
    id: &str,
    deadline: Deadline,
) -> Result<DiskKeys, Fault> {
    let filter = Filter::builder().name("attachment.instance-id").values(id).build();
    let send = seat.ec2.describe_volumes().filters(filter).send();
    let page = seat.call(DESCRIBE_VOLUMES, deadline, send).await?;
    let encrypted = page.volumes().iter().filter(|volume| volume.encrypted() == Some(true));
    let keys: BTreeSet<&str> = encrypted.filter_map(|volume| volume.kms_key_id()).collect();
    all(seat, &keys, deadline).await
}

/// Whether all of these can be used. One that cannot says more than one that could not be read.
pub(super) async fn all(
    seat: &Seat,
    keys: &BTreeSet<&str>,
    deadline: Deadline,
) -> Result<DiskKeys, Fault> {
    let mut unread = None;
    for key in keys {
        match state(seat, key, deadline).await {
            Ok(state) if state == ENABLED => {}
            Ok(state) => return Ok(DiskKeys::Unusable { key: (*key).to_owned(), state }),
            Err(fault) => unread = unread.or(Some(fault)),
        }
    }
    unread.map_or(Ok(DiskKeys::Usable), Err)
}

async fn state(seat: &Seat, key: &str, deadline: Deadline) -> Result<String, Fault> {
    let fields = json!({ "KeyId": key });
    let answer = seat.json(DESCRIBE_KEY, Service::Keys, TARGET, &fields, deadline).await;
    match answer {
        Ok(answer) => {
            answer["KeyMetadata"]["KeyState"].as_str().map(str::to_owned).ok_or_else(|| {
                DESCRIBE_KEY.fault(FaultKind::Unreadable, format!("no state of key `{key}`"))
            })
        }
        Err(fault) if fault.kind == FaultKind::Missing => Ok(GONE.to_owned()),
        Err(fault) => Err(fault),
    }
}
