//! Scaling policies of groups as they were last read: where they cannot be read now, these stand.

use std::collections::BTreeMap;

use fleet::group::NativePolicy;
use fleet::{GroupId, ServiceName};
use planner::snapshot::{GroupView, Observation};

/// The policies of each group as they were last read, in this process or before it.
#[derive(Debug, Default)]
pub(crate) struct PoliciesRead {
    by_group: BTreeMap<GroupId, Vec<NativePolicy>>,
}

fn is_read(view: &GroupView) -> bool {
    view.policies.iter().all(|policy| !policy.is_unread())
}

impl PoliciesRead {
    /// Notes what was read, or what stood in for it.
    pub(crate) fn note(&mut self, seen: &BTreeMap<ServiceName, Observation>) {
        for view in seen.values().filter_map(|seen| seen.group.as_ref().ok()) {
            let read = view.policies.iter().filter(|policy| !policy.is_unread());
            let read: Vec<NativePolicy> = read.cloned().collect();
            if is_read(view) || !read.is_empty() {
                self.by_group.insert(view.id.clone(), read);
            }
        }
    }

    /// Puts those of a group that were last read beside the word that they cannot be read now: which
    /// number of the group is written must not hang on one answer.
    pub(crate) fn stand_in(&mut self, seen: &mut BTreeMap<ServiceName, Observation>) {
        for view in seen.values_mut().filter_map(|seen| seen.group.as_mut().ok()) {
            let alone = view.policies.iter().all(NativePolicy::is_unread);
            if let (false, true, Some(known)) = (is_read(view), alone, self.by_group.get(&view.id))
            {
                view.policies.extend(known.iter().cloned());
            }
        }
        self.note(seen);
    }
}

#[cfg(test)]
mod tests {
    use fleet::group::NativePolicyKind;
    use fleet::{AccountId, Fault, FaultKind, ProviderName, Region, Step, Timestamp, Units};
    use planner::snapshot::{DemandView, NoForecast, SignalsView};
    use proptest::prelude::*;

    use super::*;

    fn policy(name: &str) -> NativePolicy {
        let kind = NativePolicyKind::TargetTracking;
        NativePolicy { name: name.to_owned(), kind, enabled: true, scales_in: true }
    }

    /// What stands for policies that could not be read.
    fn unread() -> NativePolicy {
        NativePolicy::unread("scaling policies unknown: throttled".to_owned())
    }

    /// A cycle's reading of the group `web` by a service: its policies, or that it was not read.
    fn seen(
        group: &str,
        policies: Option<Vec<NativePolicy>>,
    ) -> BTreeMap<ServiceName, Observation> {
        let id = GroupId {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("111122223333").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            id: format!("arn/{group}"),
        };
        let missing = Fault {
            kind: FaultKind::Unreachable,
            operation: "read".to_owned(),
            detail: String::new(),
            request_id: None,
        };
        let view =
            |policies| GroupView { policies, ..GroupView::at_rest(id, Timestamp(0), Units(4)) };
        let seen = Observation {
            group: policies.map(view).ok_or(missing),
            demand: DemandView::unknown(Step::MINUTE),
            forecast: Err(NoForecast::NoData),
            signals: SignalsView::default(),
            outcomes: Vec::new(),
            lead_times: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
            hours: Vec::new(),
        };
        BTreeMap::from([(ServiceName::new(group).unwrap(), seen)])
    }

    /// What the cycle goes by after its reading.
    fn stands(
        known: &mut PoliciesRead,
        group: &str,
        read: Option<Vec<NativePolicy>>,
    ) -> Vec<String> {
        let mut seen = seen(group, read);
        known.stand_in(&mut seen);
        let view = seen.into_values().next().and_then(|seen| seen.group.ok());
        let policies = view.map(|view| view.policies).unwrap_or_default();
        policies.into_iter().map(|policy| policy.name).collect()
    }

    #[test]
    fn what_was_last_read_stands_in_beside_the_word_that_it_cannot_be_read_now() {
        let mut known = PoliciesRead::default();
        let throttled = unread().name;
        // Nothing was read before: nothing stands in.
        assert_eq!(
            stands(&mut known, "web", Some(vec![unread()])),
            std::slice::from_ref(&throttled)
        );
        assert_eq!(stands(&mut known, "web", Some(vec![policy("cpu")])), ["cpu"]);
        for _ in 0..3 {
            let both = stands(&mut known, "web", Some(vec![unread()]));
            assert_eq!(both, [throttled.clone(), "cpu".to_owned()]);
        }
        assert_eq!(stands(&mut known, "web", None), Vec::<String>::new());
        // Those of another group are not its own.
        assert_eq!(
            stands(&mut known, "api", Some(vec![unread()])),
            std::slice::from_ref(&throttled)
        );
        // Once it is read that there is none, none stands in.
        assert_eq!(stands(&mut known, "web", Some(Vec::new())), Vec::<String>::new());
        assert_eq!(stands(&mut known, "web", Some(vec![unread()])), [throttled]);
    }

    #[test]
    fn what_was_read_in_part_is_taken_as_it_is() {
        let mut known = PoliciesRead::default();
        assert_eq!(stands(&mut known, "web", Some(vec![policy("cpu")])), ["cpu"]);
        let part = vec![unread(), policy("requests")];
        let told = [unread().name, "requests".to_owned()];
        assert_eq!(stands(&mut known, "web", Some(part)), told);
        assert_eq!(stands(&mut known, "web", Some(vec![unread()])), told);
    }

    #[test]
    fn a_cycle_of_before_the_start_is_known_too() {
        let mut known = PoliciesRead::default();
        known.note(&seen("web", Some(vec![policy("cpu")])));
        known.note(&seen("web", None));
        known.note(&seen("web", Some(vec![unread()])));
        let both = [unread().name, "cpu".to_owned()];
        assert_eq!(stands(&mut known, "web", Some(vec![unread()])), both);
    }

    proptest! {
        /// However readings come and fail: what a cycle goes by is the last whole reading, and where
        /// the reading of now fails, it says so as well.
        #[test]
        fn the_last_whole_reading_stands(
            readings in prop::collection::vec(
                prop::option::of(prop::option::of(0..3usize)), 1..20,
            ),
        ) {
            let mut known = PoliciesRead::default();
            let mut last: Vec<String> = Vec::new();
            for reading in readings {
                let named = |n: usize| (0..n).map(|n| policy(&format!("p{n}"))).collect::<Vec<_>>();
                match reading {
                    // The group was not read.
                    None => prop_assert!(stands(&mut known, "web", None).is_empty()),
                    // The group was read, and its policies were not.
                    Some(None) => {
                        let stands = stands(&mut known, "web", Some(vec![unread()]));
                        prop_assert_eq!(&stands[0], &unread().name);
                        prop_assert_eq!(&stands[1..], &last[..]);
                    }
                    Some(Some(n)) => {
                        last = named(n).into_iter().map(|policy| policy.name).collect();
                        prop_assert_eq!(&stands(&mut known, "web", Some(named(n))), &last);
                    }
                }
            }
        }
    }
}
