//! The names of services that templates make: no two groups share one, and who has one keeps it.

use std::collections::BTreeMap;

use fleet::{GroupId, GroupRef, ServiceName};
use planner::Memory;
use planner::policy::{Policy, ServicePolicy};

/// Which group has a name now, by a policy.
pub type Holders = BTreeMap<ServiceName, GroupRef>;

/// Which group has a name now, and which had it when something was last learned of its service.
#[derive(Clone, Debug, Default)]
pub struct Named {
    holders: Holders,
    known: BTreeMap<ServiceName, GroupId>,
}

impl Named {
    /// As a policy and what is remembered have it: of services that are away, too.
    pub fn of(policy: &Policy, memory: &Memory) -> Named {
        let known = memory.services.iter();
        let known = known.filter_map(|(name, own)| Some((name.clone(), own.group.clone()?)));
        Named { holders: holders(&policy.services), known: known.collect() }
    }

    /// Whether a name was in force.
    pub(super) fn has(&self, name: &ServiceName) -> bool {
        self.holders.contains_key(name)
    }

    /// Whether a group has a name, or had it and nobody else has it.
    fn is_of(&self, name: &ServiceName, (here, id): (&GroupRef, &GroupId)) -> bool {
        match self.holders.get(name) {
            Some(holder) => is_same(holder, here),
            None => self.known.get(name).is_some_and(|known| known.is_same_group(id)),
        }
    }
}

impl From<Holders> for Named {
    fn from(holders: Holders) -> Named {
        Named { holders, known: BTreeMap::new() }
    }
}

/// Which groups the services of a policy have.
pub fn holders(services: &BTreeMap<ServiceName, ServicePolicy>) -> Holders {
    let held = |(name, service): (&ServiceName, &ServicePolicy)| {
        (name.clone(), service.pool.group.clone())
    };
    services.iter().map(held).collect()
}

/// What a group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// This, which nobody has.
    Free(ServiceName),
    /// It is a service under one of its names already, by an earlier template or written out.
    Held,
    /// Nothing: none of its names is free, or none was its own before.
    None,
}

/// The names that a group may get, the one that its template wants first. Where another group has it
/// (one value of a tag on two groups, a service that is written out) a group is told apart by its own
/// name behind it: none is passed over.
fn candidates(
    wanted: &ServiceName,
    here: &GroupRef,
    id: &GroupId,
) -> impl Iterator<Item = ServiceName> {
    let longer = [
        format!("{wanted}@{}", here.name),
        format!("{wanted}@{}/{}", here.region, here.name),
        format!("{wanted}@{id}"),
    ];
    std::iter::once(wanted.clone()).chain(longer.into_iter().filter_map(ServiceName::new))
}

/// The name that a group had before, where it is free.
pub(super) fn kept(
    wanted: &ServiceName,
    (here, id): (&GroupRef, &GroupId),
    services: &BTreeMap<ServiceName, ServicePolicy>,
    before: &Named,
) -> Name {
    for name in candidates(wanted, here, id) {
        match services.get(&name) {
            Some(known) if is_same(&known.pool.group, here) => return Name::Held,
            Some(_) => {}
            None if before.is_of(&name, (here, id)) => {
                return Name::Free(name);
            }
            None => {}
        }
    }
    Name::None
}

/// The first of its names that nobody has.
pub(super) fn free(
    wanted: &ServiceName,
    (here, id): (&GroupRef, &GroupId),
    services: &BTreeMap<ServiceName, ServicePolicy>,
) -> Name {
    for name in candidates(wanted, here, id) {
        match services.get(&name) {
            None => return Name::Free(name),
            Some(known) if is_same(&known.pool.group, here) => return Name::Held,
            Some(_) => {}
        }
    }
    Name::None
}

/// Whether both name one group; an account that is not named may be any.
pub(super) fn is_same(a: &GroupRef, b: &GroupRef) -> bool {
    let unnamed = |group: &GroupRef| group.account.as_str() == fleet::names::NOWHERE;
    let accounts = a.account == b.account || unnamed(a) || unnamed(b);
    a.provider == b.provider && a.region == b.region && a.name == b.name && accounts
}
