//! One group, one master: of services that reach the same group one sizes it.

use std::collections::BTreeMap;

use fleet::{GroupId, ProviderName, Region, ServiceName};

use crate::memory::Memory;
use crate::snapshot::Observation;

/// What makes a group one and no other to its cloud; see [`GroupId::is_same_group`].
pub(crate) type Key<'a> = (Option<&'a ProviderName>, &'a Region, &'a str);

pub(crate) fn key(id: &GroupId) -> Key<'_> {
    let simulated = id.id.starts_with(GroupId::SIMULATED);
    (simulated.then_some(&id.provider), &id.region, &id.id)
}

/// Services that do not size the group that they reach, each with the service that does: the first of
/// them in the order of `services`.
///
/// A group that could not be read now is the one that it was: a failed reading makes nobody its master.
pub fn masters<'a>(
    services: impl Iterator<Item = &'a ServiceName>,
    seen: &'a BTreeMap<ServiceName, Observation>,
    memory: &'a Memory,
) -> BTreeMap<&'a ServiceName, &'a ServiceName> {
    let mut first: BTreeMap<Key<'_>, &ServiceName> = BTreeMap::new();
    let mut others = BTreeMap::new();
    for name in services {
        let read = seen.get(name).and_then(|seen| seen.group.as_ref().ok());
        if read.is_some_and(|view| view.owner.as_ref().is_some_and(|o| o.as_service().is_some())) {
            continue;
        }
        let known = || memory.services.get(name)?.group.as_ref();
        let Some(id) = read.map(|view| &view.id).or_else(known) else { continue };
        let master = *first.entry(key(id)).or_insert(name);
        if master != name {
            others.insert(name, master);
        }
    }
    others
}
