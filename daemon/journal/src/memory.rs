//! Memories as the formats hold them.
//!
//! An encoding does not tell where a value ends, so a memory of before must be read as what it was.
//! What a service's memory got since format 5 is kept apart from the rest for the same reason: where
//! it is the default it is not stored, and the rest has the bytes that it always had.

use std::collections::BTreeMap;

use fleet::{GroupId, ServiceName, Units};
use planner::memory::{
    Band, Bucket, Calibration, Censored, ChangeLog, Doubt, Dwell, Fall, FleetMemory, Growth,
    LearnedCapacity, Lease, Memory, Orders, Proven, Quality, ServiceMemory, Serving,
    ViolationAccount,
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

/// What a service's memory has beyond that of format 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Later {
    evidence: Evidence,
    /// Since format 7.
    doubt: Doubt,
    since_v9: SinceV9,
}

/// What format 9 has behind that of format 8.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SinceV9 {
    serving: Serving,
}

/// Cuts a service's memory in two. [`join`] puts it together again.
pub(crate) fn cut(memory: ServiceMemory) -> (ServiceMemoryOfV5, Later) {
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
        serving,
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
    let evidence = Evidence { proven, growth };
    (of_v5, Later { evidence, doubt, since_v9: SinceV9 { serving } })
}

/// The memory that [`cut`] took apart.
pub(crate) fn join(of_v5: ServiceMemoryOfV5, later: Later) -> ServiceMemory {
    let Later { evidence: Evidence { proven, growth }, doubt, since_v9: SinceV9 { serving } } =
        later;
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
        serving,
    }
}

/// The memories of services that nothing vouches for yet.
fn without_evidence(
    services: BTreeMap<ServiceName, ServiceMemoryOfV5>,
) -> BTreeMap<ServiceName, ServiceMemory> {
    let joined = |(name, of_v5)| (name, join(of_v5, Later::default()));
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
        let joined =
            |(name, (of_v5, evidence))| (name, join(of_v5, Later { evidence, ..Later::default() }));
        Memory { fleet, services: services.into_iter().map(joined).collect(), stages }
    }
}

/// A memory of formats 7 and 8.
#[derive(Deserialize)]
pub(crate) struct MemoryOfV8 {
    fleet: FleetMemory,
    services: BTreeMap<ServiceName, (ServiceMemoryOfV5, Evidence, Doubt)>,
    stages: Stages,
}

impl From<MemoryOfV8> for Memory {
    fn from(MemoryOfV8 { fleet, services, stages }: MemoryOfV8) -> Memory {
        let joined = |(name, (of_v5, evidence, doubt))| {
            (name, join(of_v5, Later { evidence, doubt, ..Later::default() }))
        };
        Memory { fleet, services: services.into_iter().map(joined).collect(), stages }
    }
}

/// What only time can teach again, as a part of a cycle: absent where there is nothing. What a later
/// format has beyond format 6 stands behind it, where there is anything, and so does what format 9 has
/// beyond format 8.
pub(crate) fn taught(later: &Later) -> Vec<u8> {
    let Later { evidence, doubt, since_v9 } = later;
    if *later == Later::default() {
        return Vec::new();
    }
    let mut part = super::mirror::plain(evidence);
    let newest = *since_v9 != SinceV9::default();
    if newest || *doubt != Doubt::default() {
        part.extend(super::mirror::plain(doubt));
    }
    if newest {
        part.extend(super::mirror::plain(since_v9));
    }
    part
}

/// What [`taught`] wrote, or a program of format 6 or later.
pub(crate) fn read_taught(part: &[u8]) -> Result<Later, postcard::Error> {
    /// The next value, or its default where the bytes end.
    fn next<T: Default + serde::de::DeserializeOwned>(
        rest: &mut &[u8],
    ) -> Result<T, postcard::Error> {
        if rest.is_empty() {
            return Ok(T::default());
        }
        let (value, behind) = postcard::take_from_bytes(rest)?;
        *rest = behind;
        Ok(value)
    }
    let mut rest = part;
    let rest = &mut rest;
    Ok(Later { evidence: next(rest)?, doubt: next(rest)?, since_v9: next(rest)? })
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
            serving: Serving { cold: vec![240, 230], ..Serving::default() },
            ..ServiceMemory::default()
        };
        let (of_v5, later) = cut(whole.clone());
        let mut parts = postcard::to_stdvec(&of_v5).unwrap();
        parts.extend(taught(&later));
        assert_eq!(parts, postcard::to_stdvec(&whole).unwrap());
        // What each format has is read as what it was, and stored where it is more than the default.
        let Later { evidence, doubt, .. } = later.clone();
        let nothing = Later::default();
        let of_v6 = Later { evidence: evidence.clone(), ..nothing.clone() };
        let of_v8 = Later { evidence, doubt, ..nothing.clone() };
        let of_serving_alone = Later { since_v9: later.since_v9.clone(), ..nothing.clone() };
        for each in [&nothing, &of_v6, &of_v8, &of_serving_alone, &later] {
            assert_eq!(read_taught(&taught(each)).unwrap(), *each);
        }
        assert_eq!(join(of_v5, later), whole);
        assert_eq!(taught(&nothing), [0u8; 0]);
    }
}
