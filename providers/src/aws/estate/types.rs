//! What an instance type can do, asked once.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::operation::describe_instance_types::DescribeInstanceTypesOutput;
use aws_sdk_ec2::types::{Filter, InstanceTypeInfo};
use fleet::Fault;

use super::super::access::Seat;
use super::super::groups::FILTER_VALUES;
use super::super::known::TypeFacts;
use super::super::pages::pages_of;
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_TYPES: Call = Call::read("ec2", "DescribeInstanceTypes");

/// The facts of these types; one that the cloud does not know is absent.
pub(super) async fn read(
    seat: &Seat,
    wanted: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeMap<String, TypeFacts>, Fault> {
    let unknown: Vec<String> = {
        let known = seat.known();
        wanted.iter().filter(|name| !known.types.contains_key(*name)).cloned().collect()
    };
    for names in unknown.chunks(FILTER_VALUES) {
        let found = described(seat, names, deadline).await?;
        seat.known().types.extend(found);
    }
    let known = seat.known();
    let of = |name: &String| Some((name.clone(), *known.types.get(name)?));
    Ok(wanted.iter().filter_map(of).collect())
}

async fn described(
    seat: &Seat,
    names: &[String],
    deadline: Deadline,
) -> Result<BTreeMap<String, TypeFacts>, Fault> {
    // A filter, not `InstanceTypes`: one name that is not known would fail all of them.
    let filter = Filter::builder().name("instance-type").set_values(Some(names.to_vec())).build();
    let request = seat.ec2.describe_instance_types().filters(filter).max_results(100);
    let mut found = BTreeMap::new();
    let take = |page: DescribeInstanceTypesOutput| {
        for info in page.instance_types() {
            if let Some(name) = info.instance_type() {
                found.insert(name.as_str().to_owned(), facts(info));
            }
        }
    };
    seat.listing(DESCRIBE_TYPES, pages_of!(request), deadline, take).await?;
    Ok(found)
}

fn facts(info: &InstanceTypeInfo) -> TypeFacts {
    TypeFacts {
        local_disk: info.instance_storage_supported() == Some(true)
            || info.instance_storage_info().is_some(),
        accelerator: info.gpu_info().is_some()
            || info.fpga_info().is_some()
            || info.inference_accelerator_info().is_some()
            || info.neuron_info().is_some()
            || info.media_accelerator_info().is_some(),
        burstable: info.burstable_performance_supported() == Some(true),
        hibernates: info.hibernation_supported() == Some(true),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{GpuInfo, InstanceStorageInfo, NeuronInfo};

    use super::*;

    #[test]
    fn a_type_has_what_its_description_names() {
        let nothing = InstanceTypeInfo::builder().build();
        let none = TypeFacts {
            local_disk: false,
            accelerator: false,
            burstable: false,
            hibernates: false,
        };
        assert_eq!(facts(&nothing), none);
        let small = InstanceTypeInfo::builder()
            .burstable_performance_supported(true)
            .hibernation_supported(true)
            .instance_storage_supported(false);
        assert_eq!(facts(&small.build()), TypeFacts { burstable: true, hibernates: true, ..none });
        let big = InstanceTypeInfo::builder()
            .gpu_info(GpuInfo::builder().build())
            .instance_storage_info(InstanceStorageInfo::builder().build());
        assert_eq!(facts(&big.build()), TypeFacts { local_disk: true, accelerator: true, ..none });
        let chip = InstanceTypeInfo::builder().neuron_info(NeuronInfo::builder().build());
        assert!(facts(&chip.build()).accelerator);
    }
}
