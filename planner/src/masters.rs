//! One group, one master: of services that reach the same group one sizes it.

use std::collections::BTreeMap;

use fleet::{GroupId, ServiceName};

use crate::memory::ServiceMemory;
use crate::snapshot::Observation;

/// The group that a service reaches and may size, as far as that is known: one that could not be read
/// now is the one that it was, so that a failed reading makes nobody its master. One that another
/// service is said to size is nobody else's to give.
pub fn reached<'a>(
    seen: Option<&'a Observation>,
    known: Option<&'a ServiceMemory>,
) -> Option<&'a GroupId> {
    let read = seen.and_then(|seen| seen.group.as_ref().ok());
    if read.is_some_and(|view| view.owner.as_ref().is_some_and(|o| o.as_service().is_some())) {
        return None;
    }
    read.map(|view| &view.id).or_else(|| known?.group.as_ref())
}

/// Services that do not size the group that they reach, each with the service that does: the first of
/// them in the order of `reached`.
pub fn masters<'a>(
    reached: impl Iterator<Item = (&'a ServiceName, &'a GroupId)>,
) -> BTreeMap<&'a ServiceName, &'a ServiceName> {
    let mut by_group: Vec<_> = reached.map(|(name, id)| (id.identity(), name)).collect();
    // Stable, so that the first of a group stays first; and quick where groups rise as names do.
    by_group.sort_by_key(|(group, _)| *group);
    let shared = by_group.chunk_by(|(a, _), (b, _)| a == b).filter(|group| group.len() > 1);
    shared
        .flat_map(|group| {
            let (_, master) = group[0];
            group[1..].iter().map(move |(_, other)| (*other, master))
        })
        .collect()
}
