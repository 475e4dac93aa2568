//! The names of services that templates make: no two groups share one.

use fleet::group::GroupState;
use fleet::{GroupRef, ServiceName};
use planner::policy::{Policy, ServicePolicy};

/// The name under which a group becomes a service; `None` where it is one under that name already, by
/// an earlier template or written out in the configuration.
///
/// Where another group has the name (one value of a tag on two groups, a service that is written out)
/// this one is told apart by its own name behind it: none is passed over.
pub(super) fn of(
    wanted: &ServiceName,
    made: &ServicePolicy,
    group: &GroupState,
    policy: &Policy,
) -> Option<ServiceName> {
    let here = &made.pool.group;
    let holder = |name: &ServiceName| policy.services.get(name).map(|known| &known.pool.group);
    let longer = [
        format!("{wanted}@{}", here.name),
        format!("{wanted}@{}/{}", here.region, here.name),
        format!("{wanted}@{}", group.id),
    ];
    let longer = longer.into_iter().filter_map(ServiceName::new);
    for name in std::iter::once(wanted.clone()).chain(longer) {
        match holder(&name) {
            None => {
                if let Some(other) = holder(wanted) {
                    tracing::warn!(
                        "two groups get the name `{wanted}` of a template: it is {other}, and {here} \
                         is service `{name}`"
                    );
                }
                return Some(name);
            }
            Some(other) if is_same(other, here) => return None,
            Some(_) => {}
        }
    }
    tracing::error!(group = %here, name = %wanted, "no service was made of the group: no name is free");
    None
}

/// Whether both name one group; an account that is not named may be any.
fn is_same(a: &GroupRef, b: &GroupRef) -> bool {
    let unnamed = |group: &GroupRef| group.account.as_str() == fleet::names::NOWHERE;
    let accounts = a.account == b.account || unnamed(a) || unnamed(b);
    a.provider == b.provider && a.region == b.region && a.name == b.name && accounts
}
