//! The names of services that templates make: no two groups share one, and who has one keeps it.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Services that somebody or something put back into shadow.
    taken_back: BTreeSet<ServiceName>,
}

impl Named {
    /// As a policy and what is remembered have it: of services that are away, too.
    pub fn of(policy: &Policy, memory: &Memory) -> Named {
        let known = memory.services.iter();
        let known = known.filter_map(|(name, own)| Some((name.clone(), own.group.clone()?)));
        let stages = memory.stages.services.iter();
        let taken_back = stages.filter(|(_, stage)| stage.is_taken_back());
        Named {
            holders: holders(&policy.services),
            known: known.collect(),
            taken_back: taken_back.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Whether a name was in force.
    pub(super) fn has(&self, name: &ServiceName) -> bool {
        self.holders.contains_key(name)
    }

    /// Whether a name was last that of a group in the same place.
    fn was_near(&self, name: &ServiceName, here: &GroupRef) -> bool {
        match self.holders.get(name) {
            Some(holder) => is_near(holder, here),
            None => self.known.get(name).is_some_and(|known| {
                let GroupId { provider, account, region, .. } = known.clone();
                is_near(&GroupRef { provider, account, region, name: String::new() }, here)
            }),
        }
    }

    /// Whether a group has a name, or had it and nobody else has it.
    pub(super) fn is_of(&self, name: &ServiceName, (here, id): (&GroupRef, &GroupId)) -> bool {
        match self.holders.get(name) {
            Some(holder) => is_same(holder, here),
            None => self.known.get(name).is_some_and(|known| known.is_same_group(id)),
        }
    }
}

impl From<Holders> for Named {
    fn from(holders: Holders) -> Named {
        Named { holders, ..Named::default() }
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

/// Whether a group gets the name that its template wants from a group in its place that is gone: the
/// service goes on with the one that is left of a blue/green pair. What was put back into shadow under
/// another name keeps that.
///
/// The caller has seen that nobody has the name and that no other group in the place wants it.
pub(super) fn follows(
    wanted: &ServiceName,
    (here, id): (&GroupRef, &GroupId),
    before: &Named,
) -> bool {
    let own = candidates(wanted, here, id).find(|name| before.is_of(name, (here, id)));
    before.was_near(wanted, here) && own.is_none_or(|own| !before.taken_back.contains(&own))
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
    a.name == b.name && is_near(a, b)
}

/// Whether both are in one place; an account that is not named may be any.
pub(super) fn is_near(a: &GroupRef, b: &GroupRef) -> bool {
    let unnamed = |group: &GroupRef| group.account.as_str() == fleet::names::NOWHERE;
    let accounts = a.account == b.account || unnamed(a) || unnamed(b);
    a.provider == b.provider && a.region == b.region && accounts
}
