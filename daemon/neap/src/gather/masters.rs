//! Marks services that reach a group which another service sizes.

use std::collections::{BTreeMap, BTreeSet};

use fleet::ServiceName;
use fleet::group::Owner;
use planner::Memory;
use planner::snapshot::Observation;

/// Of services that reach one group, that which is written out sizes it before one that a template
/// made, then the first by name; the others see it as their group's owner.
pub(crate) fn mark(
    written: &BTreeSet<ServiceName>,
    memory: &Memory,
    seen: &mut BTreeMap<ServiceName, Observation>,
) {
    let reached = seen.iter().filter_map(|(name, seen)| {
        Some((name, planner::reached(Some(seen), memory.services.get(name))?))
    });
    let (first, then): (Vec<_>, Vec<_>) = reached.partition(|(name, _)| written.contains(*name));
    let others: Vec<(ServiceName, ServiceName)> = planner::masters(first.into_iter().chain(then))
        .into_iter()
        .map(|(name, master)| (name.clone(), master.clone()))
        .collect();
    for (name, master) in others {
        if let Some(Ok(view)) = seen.get_mut(&name).map(|seen| seen.group.as_mut()) {
            view.owner = Some(Owner::service(&master));
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, Fault, FaultKind, GroupId, ProviderName, Region, Step};
    use fleet::{Timestamp, Units};
    use planner::memory::ServiceMemory;
    use planner::snapshot::{DemandView, GroupView, NoForecast, SignalsView};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn id(provider: &str, account: &str, id: &str) -> GroupId {
        GroupId {
            provider: ProviderName::new(provider).unwrap(),
            account: AccountId::new(account).unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            id: id.to_owned(),
        }
    }

    fn seen(group: Option<GroupId>) -> Observation {
        let unread = Fault {
            kind: FaultKind::Unreachable,
            operation: "read".to_owned(),
            detail: String::new(),
            request_id: None,
        };
        let view = |id| GroupView::at_rest(id, Timestamp(0), Units(4));
        Observation {
            group: group.map(view).ok_or(unread),
            demand: DemandView::unknown(Step::MINUTE),
            forecast: Err(NoForecast::NoData),
            signals: SignalsView::default(),
            outcomes: Vec::new(),
            lead_times: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
            hours: Vec::new(),
        }
    }

    /// Each service with the one that sizes its group, where that is another.
    fn masters(
        services: &[(&str, Option<GroupId>)],
        written: &[&str],
        memory: &Memory,
    ) -> Vec<(String, String)> {
        let services = services.iter().map(|(text, group)| (name(text), seen(group.clone())));
        let mut services: BTreeMap<_, _> = services.collect();
        mark(&written.iter().map(|text| name(text)).collect(), memory, &mut services);
        let master = |seen: &Observation| seen.group.as_ref().ok()?.owner.as_ref()?.as_service();
        services
            .iter()
            .filter_map(|(name, seen)| Some((name.to_string(), master(seen)?.to_string())))
            .collect()
    }

    fn told(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn what_is_written_out_comes_before_what_a_template_made_then_the_first_by_name() {
        let web = || Some(id("a", "1", "arn/web"));
        let none = Memory::default();
        let two = [("api", web()), ("web", web())];
        assert_eq!(masters(&two, &[], &none), told(&[("web", "api")]));
        assert_eq!(masters(&two, &["web"], &none), told(&[("api", "web")]));
        assert_eq!(masters(&two, &["web", "api"], &none), told(&[("web", "api")]));
        // Another provider, and another name of the account, make no other group.
        let other = [("api", Some(id("b", "default", "arn/web"))), ("web", web())];
        assert_eq!(masters(&other, &["web"], &none), told(&[("api", "web")]));
        let apart = [("api", Some(id("a", "1", "arn/api"))), ("web", web())];
        assert_eq!(masters(&apart, &[], &none), []);
    }

    #[test]
    fn a_reading_that_fails_makes_nobody_the_master() {
        let mut memory = Memory::default();
        let group = id("a", "1", "arn/web");
        let own = ServiceMemory { group: Some(group.clone()), ..ServiceMemory::default() };
        memory.services.insert(name("web"), own);
        let unread = [("api", Some(group)), ("web", None)];
        assert_eq!(masters(&unread, &["web"], &memory), told(&[("api", "web")]));
    }

    proptest! {
        #[test]
        fn every_group_has_one_master(
            groups in proptest::collection::vec((0u8..4, 0u8..3, any::<bool>()), 1..12),
        ) {
            let services: Vec<(String, GroupId)> = groups
                .iter()
                .enumerate()
                .map(|(i, (group, provider, _))| {
                    let at = id(&format!("p{provider}"), &format!("{provider}"), &format!("g{group}"));
                    (format!("s{i:02}"), at)
                })
                .collect();
            let listed: Vec<_> =
                services.iter().map(|(name, id)| (name.as_str(), Some(id.clone()))).collect();
            let written: Vec<&str> = services
                .iter()
                .zip(&groups)
                .filter(|(_, (_, _, written))| *written)
                .map(|((name, _), _)| name.as_str())
                .collect();
            let others: BTreeMap<_, _> =
                masters(&listed, &written, &Memory::default()).into_iter().collect();
            for (name, id) in &services {
                let same: Vec<&String> =
                    services.iter().filter(|(_, other)| other.id == id.id).map(|(n, _)| n).collect();
                let masters: Vec<_> = same.iter().filter(|n| !others.contains_key(**n)).collect();
                prop_assert_eq!(masters.len(), 1);
                let any_written = same.iter().any(|n| written.contains(&n.as_str()));
                prop_assert_eq!(written.contains(&masters[0].as_str()), any_written);
                if let Some(master) = others.get(name) {
                    prop_assert_eq!(master, masters[0].as_str());
                }
            }
        }
    }
}
