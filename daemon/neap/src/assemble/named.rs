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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fleet::{AccountId, GroupId, ProviderName, Region, Seconds, Timestamp, Units};
    use planner::policy::{Budgets, CapacityPerUnit, Mode, PoolPolicy, Share, Signals};
    use planner::stage::Promotion;
    use proptest::prelude::*;

    use super::*;

    /// A group in the order of its making, and where it is.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct At {
        provider: &'static str,
        account: &'static str,
        region: &'static str,
        name: &'static str,
    }

    const WEB: At = At { provider: "aws", account: "1", region: "eu-west-1", name: "web" };

    /// No service.
    fn empty() -> Policy {
        Policy {
            mode: Mode::Act,
            poll_interval: Seconds::minutes(1),
            budgets: Budgets::default(),
            spend_ceiling_usd_milli_hourly: None,
            services: BTreeMap::new(),
            promotion: Promotion::default(),
        }
    }

    fn named(at: &At) -> GroupRef {
        GroupRef {
            provider: ProviderName::new(at.provider).unwrap(),
            account: AccountId::new(at.account).unwrap(),
            region: Region::new(at.region).unwrap(),
            name: at.name.to_owned(),
        }
    }

    fn service(at: &At) -> ServicePolicy {
        let pool = PoolPolicy {
            group: named(at),
            capacity_per_unit: CapacityPerUnit::Learn,
            target_utilisation: PoolPolicy::TARGET_UTILISATION,
            lead_time: Seconds::minutes(4),
            warm_up: Seconds::ZERO,
            actuate: None,
            min: Units(1),
            max: None,
            cooldown: PoolPolicy::COOLDOWN,
            hold_window: PoolPolicy::HOLD_WINDOW,
            override_lease: PoolPolicy::OVERRIDE_LEASE,
            max_step_up: None,
            price_usd_hourly: None,
            billing_minimum: Seconds::ZERO,
        };
        ServicePolicy {
            mode: Mode::Act,
            demand: Vec::new(),
            fixed_capacity: 0.0,
            utilisation: None,
            signals: Signals::default(),
            pool,
            violation_budget: Share::percent(1),
            upstreams: Vec::new(),
        }
    }

    fn group(at: &At) -> GroupState {
        let At { provider, account, region, name } = at;
        GroupState {
            id: GroupId {
                provider: ProviderName::new(*provider).unwrap(),
                account: AccountId::new(*account).unwrap(),
                region: Region::new(*region).unwrap(),
                id: format!("arn:{account}:{region}:{name}"),
            },
            name: (*name).to_owned(),
            read_at: Timestamp(0),
            desired: Units(1),
            min: Units(1),
            max: Units(9),
            instances: Vec::new(),
            tags: BTreeMap::new(),
            suspended: BTreeSet::new(),
            refresh: None,
            policies: Vec::new(),
            scheduled: Vec::new(),
            owner: None,
            new_instances_protected: false,
            health_check_grace: Seconds::ZERO,
            warm_up: None,
            activities: Vec::new(),
        }
    }

    /// Makes services of groups, each under the name that a template gives it; the names they got.
    fn made(policy: &mut Policy, groups: &[(&str, At)]) -> Vec<Option<String>> {
        let one = |(wanted, at): &(&str, At)| {
            let (wanted, made) = (ServiceName::new(*wanted).unwrap(), service(at));
            let name = of(&wanted, &made, &group(at), policy)?;
            policy.services.insert(name.clone(), made);
            Some(name.to_string())
        };
        groups.iter().map(one).collect()
    }

    fn some(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some((*name).to_owned())).collect()
    }

    #[test]
    fn a_group_that_shares_a_name_is_told_apart_by_its_own() {
        let mut policy = empty();
        let far = At { region: "eu-north-1", ..WEB };
        let other = At { account: "2", ..WEB };
        let api = At { name: "api", ..WEB };
        let groups = [("shop", WEB), ("shop", api), ("shop", far), ("shop", other)];
        let names = ["shop", "shop@api", "shop@web", "shop@eu-west-1/web"];
        assert_eq!(made(&mut policy, &groups), some(&names));
        // Again, nothing more is made of any of them: each has its name.
        assert_eq!(made(&mut policy, &groups), [None, None, None, None]);
        assert_eq!(policy.services.len(), 4);
        let third = At { account: "3", ..WEB };
        assert_eq!(made(&mut policy, &[("shop", third)]), some(&["shop@aws/arn:3:eu-west-1:web"]));
    }

    #[test]
    fn a_service_that_is_written_out_keeps_its_name_and_its_group() {
        let mut policy = empty();
        policy.services.insert(ServiceName::new("web").unwrap(), service(&WEB));
        assert_eq!(made(&mut policy, &[("web", WEB)]), [None]);
        // Whichever of the two does not name its account.
        let unnamed = At { account: fleet::names::NOWHERE, ..WEB };
        assert_eq!(made(&mut policy, &[("web", unnamed.clone())]), [None]);
        let mut policy = empty();
        policy.services.insert(ServiceName::new("web").unwrap(), service(&unnamed));
        assert_eq!(made(&mut policy, &[("web", WEB)]), [None]);
        // Another provider is another cloud.
        let other = At { provider: "sea", ..WEB };
        assert_eq!(made(&mut policy, &[("web", other)]), some(&["web@web"]));
    }

    fn at() -> impl Strategy<Value = At> {
        let one = |of: &'static [&'static str]| prop::sample::select(of);
        (
            one(&["aws", "sea"]),
            one(&["1", "2"]),
            one(&["eu-west-1", "cn-hangzhou"]),
            one(&["a", "b"]),
        )
            .prop_map(|(provider, account, region, name)| At {
                provider,
                account,
                region,
                name,
            })
    }

    proptest! {
        /// Whatever names templates give, in whatever order: every group is a service, under one name,
        /// and no name has two.
        #[test]
        fn every_group_is_a_service_under_a_name_of_its_own(
            groups in prop::collection::vec((prop::sample::select(&["s", "t", "a"][..]), at()), 1..24),
        ) {
            let mut policy = empty();
            let names = made(&mut policy, &groups);
            let reached: BTreeSet<&At> = groups.iter().map(|(_, at)| at).collect();
            for at in reached {
                let here = named(at);
                let of_it = policy.services.values().filter(|made| made.pool.group == here);
                prop_assert!(of_it.count() >= 1, "{at:?} is passed over: {names:?}");
            }
            let got: Vec<&String> = names.iter().flatten().collect();
            prop_assert_eq!(got.len(), policy.services.len());
            // Under the same wanted name a group is a service once.
            let again = made(&mut policy.clone(), &groups);
            prop_assert!(again.iter().all(Option::is_none), "{again:?}");
        }
    }
}
