//! Memories as the formats hold them.
//!
//! An encoding does not tell where a value ends, so a memory of before must be read as what it was.
//! What a service's memory got since format 5 is kept apart from the rest for the same reason: where
//! it is the default it is not stored, and the rest has the bytes that it always had.

use std::collections::BTreeMap;

use fleet::{GroupId, ServiceName, Units};
use planner::memory::{
    Band, Bucket, Calibration, Censored, ChangeLog, Doubt, Dwell, Fall, FleetMemory, Growth,
    LearnedCapacity, Lease, Memory, Orders, Proven, Quality, ServiceMemory, ViolationAccount,
};
use planner::stage::Stages;
use serde::{Deserialize, Serialize};

/// A service's memory up to format 5; that of a later format begins so, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceMemoryOfV5 {
    group: Option<GroupId>,
    violations: ViolationAccount,
    calibration: Calibration,
    in_service: ChangeLog,
    ordered: ChangeLog,
    removals: Bucket,
    orders: Orders,
    lease: Option<Lease>,
    quality: Quality,
    bands: Vec<Band>,
    fall: Option<Fall>,
    capacity: LearnedCapacity,
    lead_times: Vec<u32>,
    dwell: Option<Dwell>,
    last_trusted: Option<Units>,
    censored: Option<Censored>,
}

/// What format 6 has behind that: what only time can teach again. A later one begins so, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    proven: Proven,
    growth: Growth,
}

/// Cuts a service's memory in three. [`join`] puts it together again.
pub(crate) fn cut(memory: ServiceMemory) -> (ServiceMemoryOfV5, Evidence, Doubt) {
    let ServiceMemory {
        group,
        violations,
        calibration,
        in_service,
        ordered,
        removals,
        orders,
        lease,
        quality,
        bands,
        fall,
        capacity,
        lead_times,
        dwell,
        last_trusted,
        censored,
        proven,
        growth,
        doubt,
    } = memory;
    let of_v5 = ServiceMemoryOfV5 {
        group,
        violations,
        calibration,
        in_service,
        ordered,
        removals,
        orders,
        lease,
        quality,
        bands,
        fall,
        capacity,
        lead_times,
        dwell,
        last_trusted,
        censored,
    };
    (of_v5, Evidence { proven, growth }, doubt)
}

/// The memory that [`cut`] took apart.
pub(crate) fn join(of_v5: ServiceMemoryOfV5, evidence: Evidence, doubt: Doubt) -> ServiceMemory {
    let Evidence { proven, growth } = evidence;
    let ServiceMemoryOfV5 {
        group,
        violations,
        calibration,
        in_service,
        ordered,
        removals,
        orders,
        lease,
        quality,
        bands,
        fall,
        capacity,
        lead_times,
        dwell,
        last_trusted,
        censored,
    } = of_v5;
    ServiceMemory {
        group,
        violations,
        calibration,
        in_service,
        ordered,
        removals,
        orders,
        lease,
        quality,
        bands,
        fall,
        capacity,
        lead_times,
        dwell,
        last_trusted,
        censored,
        proven,
        growth,
        doubt,
    }
}

/// The memories of services that nothing vouches for yet.
fn without_evidence(
    services: BTreeMap<ServiceName, ServiceMemoryOfV5>,
) -> BTreeMap<ServiceName, ServiceMemory> {
    let joined = |(name, of_v5)| (name, join(of_v5, Evidence::default(), Doubt::default()));
    services.into_iter().map(joined).collect()
}

/// A memory of the first two formats, which know of no promotions.
#[derive(Deserialize)]
pub(crate) struct MemoryOfV2 {
    fleet: FleetMemory,
    services: BTreeMap<ServiceName, ServiceMemoryOfV5>,
}

impl From<MemoryOfV2> for Memory {
    fn from(MemoryOfV2 { fleet, services }: MemoryOfV2) -> Memory {
        Memory { fleet, services: without_evidence(services), stages: Stages::default() }
    }
}

/// A memory of formats 3 to 5.
#[derive(Deserialize)]
pub(crate) struct MemoryOfV5 {
    fleet: FleetMemory,
    services: BTreeMap<ServiceName, ServiceMemoryOfV5>,
    stages: Stages,
}

impl From<MemoryOfV5> for Memory {
    fn from(MemoryOfV5 { fleet, services, stages }: MemoryOfV5) -> Memory {
        Memory { fleet, services: without_evidence(services), stages }
    }
}

/// A memory of format 6.
#[derive(Deserialize)]
pub(crate) struct MemoryOfV6 {
    fleet: FleetMemory,
    services: BTreeMap<ServiceName, (ServiceMemoryOfV5, Evidence)>,
    stages: Stages,
}

impl From<MemoryOfV6> for Memory {
    fn from(MemoryOfV6 { fleet, services, stages }: MemoryOfV6) -> Memory {
        let joined = |(name, (of_v5, evidence))| (name, join(of_v5, evidence, Doubt::default()));
        Memory { fleet, services: services.into_iter().map(joined).collect(), stages }
    }
}

/// What only time can teach again, as a part of a cycle: absent where there is nothing. What format 7
/// has beyond format 6 stands behind it, where there is anything.
pub(crate) fn taught(evidence: &Evidence, doubt: &Doubt) -> Vec<u8> {
    let nothing = (evidence, doubt) == (&Evidence::default(), &Doubt::default());
    let mut part = if nothing { Vec::new() } else { super::mirror::plain(evidence) };
    if *doubt != Doubt::default() {
        part.extend(super::mirror::plain(doubt));
    }
    part
}

/// What [`taught`] wrote, or a program of format 6.
pub(crate) fn read_taught(part: &[u8]) -> Result<(Evidence, Doubt), postcard::Error> {
    if part.is_empty() {
        return Ok((Evidence::default(), Doubt::default()));
    }
    let (evidence, rest) = postcard::take_from_bytes(part)?;
    let doubt = if rest.is_empty() { Doubt::default() } else { postcard::from_bytes(rest)? };
    Ok((evidence, doubt))
}

#[cfg(test)]
mod tests {
    use fleet::Timestamp;
    use planner::memory::{Fell, Slot};

    use super::*;

    #[test]
    fn the_parts_of_a_memory_are_the_whole() {
        let slot = Slot { most: Units(2).into(), vouched: Units(3).into() };
        let whole = ServiceMemory {
            lead_times: vec![181, 240],
            last_trusted: Some(Units(7)),
            proven: Proven {
                newest: 1,
                lately: [(0, slot)].into_iter().collect(),
                days: [(0, Units(4).into())].into_iter().collect(),
                unbudgeted: Units(6),
                fell: Some(Fell { at: Timestamp(7), back_at_milli: planner::Milli::whole(8) }),
            },
            growth: Growth { surplus: Units(9), ..Growth::default() },
            doubt: Doubt { settled_at: Some(Timestamp(9)), ..Doubt::default() },
            ..ServiceMemory::default()
        };
        let (of_v5, evidence, doubt) = cut(whole.clone());
        let mut parts = postcard::to_stdvec(&of_v5).unwrap();
        parts.extend(taught(&evidence, &doubt));
        assert_eq!(parts, postcard::to_stdvec(&whole).unwrap());
        let of_v6 = taught(&evidence, &Doubt::default());
        assert_eq!(read_taught(&of_v6).unwrap(), (evidence.clone(), Doubt::default()));
        assert_eq!(read_taught(&taught(&evidence, &doubt)).unwrap(), (evidence.clone(), doubt));
        assert_eq!(join(of_v5, evidence, doubt), whole);
        assert_eq!(taught(&Evidence::default(), &Doubt::default()), [0u8; 0]);
    }
}
