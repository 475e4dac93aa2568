//! Types of instances: what a machine's own record does not tell. They change rarely, so they are
//! asked for once a day.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::Fact;
use fleet::{Fault, FaultKind, Seconds};
use serde::Deserialize;

use super::pages::ListingCall;
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::known::{KnownTypes, TypeFacts};
use crate::alibaba::params::Params;

pub(in crate::alibaba) const TYPES: ListingCall = ListingCall::by_token(
    ("ecs", Product::Ecs),
    "DescribeInstanceTypes",
    "/InstanceTypes/InstanceType",
    ("MaxResults", 100),
);

/// Types that one call may name. [ECS API reference]
const NAMES: usize = 10;
/// How long a type is good for.
const AGE: Seconds = Seconds::days(1);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypeOnWire {
    instance_type_id: String,
    #[serde(default, rename = "GPUAmount")]
    gpu_amount: Option<f64>,
    #[serde(default, rename = "GPUSpec")]
    gpu_spec: Option<String>,
    #[serde(default)]
    instance_category: Option<String>,
    #[serde(default)]
    local_storage_amount: Option<u32>,
    #[serde(default)]
    initial_credit: Option<u32>,
    #[serde(default)]
    baseline_credit: Option<u32>,
}

impl From<&TypeOnWire> for TypeFacts {
    fn from(wire: &TypeOnWire) -> TypeFacts {
        let category = wire.instance_category.as_deref().unwrap_or_default().to_ascii_lowercase();
        let positive = |number: Option<u32>| number.is_some_and(|number| number > 0);
        TypeFacts {
            accelerator: wire.gpu_amount.is_some_and(|count| count > 0.0)
                || wire.gpu_spec.as_deref().is_some_and(|spec| !spec.is_empty())
                || category.contains("gpu")
                || category.contains("fpga"),
            local_disks: positive(wire.local_storage_amount),
            burstable: positive(wire.initial_credit) || positive(wire.baseline_credit),
        }
    }
}

/// These types: from memory, or read where they are due.
pub(super) async fn of(
    seat: &Seat,
    names: BTreeSet<String>,
    deadline: Deadline,
) -> BTreeMap<String, Fact<TypeFacts>> {
    let now = seat.now();
    let is_fresh = |known: &KnownTypes, name: &String| {
        known.get(name).is_some_and(|(read_at, _)| now.apart(*read_at) < AGE)
    };
    let due: Vec<String> = {
        let known = &seat.estate().types;
        names.iter().filter(|name| !is_fresh(known, name)).cloned().collect()
    };
    let mut faults: BTreeMap<String, Fault> = BTreeMap::new();
    for batch in due.chunks(NAMES) {
        let params = Params::new().with_list("InstanceTypes", batch);
        match TYPES.all::<TypeOnWire>(seat, params, deadline).await {
            Ok(read) => {
                let known = &mut seat.estate().types;
                for name in batch {
                    let found = read.iter().find(|wire| wire.instance_type_id == *name);
                    known.insert(name.clone(), (now, found.map(TypeFacts::from)));
                }
            }
            Err(fault) => faults.extend(batch.iter().map(|name| (name.clone(), fault.clone()))),
        }
    }
    let estate = seat.estate();
    let fact = |name: &String| match (faults.remove(name), estate.types.get(name)) {
        (_, Some((_, Some(known)))) => Fact::Known(*known),
        (Some(fault), _) => Fact::Unread(Box::new(fault)),
        (None, _) => Fact::Unread(Box::new(
            TYPES.call.fault(FaultKind::Missing, format!("no type `{name}`")),
        )),
    };
    let mut fact = fact;
    names.iter().map(|name| (name.clone(), fact(name))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(more: &Value) -> TypeFacts {
        let mut wire = json!({ "InstanceTypeId": "ecs.x", "New": 1 });
        for (name, value) in more.as_object().unwrap() {
            wire[name] = value.clone();
        }
        TypeFacts::from(&serde_json::from_value::<TypeOnWire>(wire).unwrap())
    }

    #[test]
    fn a_type_says_what_a_stop_would_lose() {
        let plain = TypeFacts { accelerator: false, local_disks: false, burstable: false };
        assert_eq!(read(&json!({ "GPUAmount": 0, "GPUSpec": "" })), plain);
        let accelerated = TypeFacts { accelerator: true, ..plain };
        for gpu in [
            json!({ "GPUAmount": 1 }),
            json!({ "GPUSpec": "NVIDIA A10*1/12" }),
            json!({ "InstanceCategory": "FPGA" }),
        ] {
            assert_eq!(read(&gpu), accelerated, "{gpu}");
        }
        assert!(read(&json!({ "LocalStorageAmount": 1 })).local_disks);
        assert!(read(&json!({ "InitialCredit": 60, "BaselineCredit": 10 })).burstable);
    }
}
