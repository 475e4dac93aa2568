//! Since when the processes of groups are suspended as a deployment suspends them: clouds do not tell.

use std::collections::BTreeMap;

use fleet::{GroupId, ServiceName, Timestamp};
use planner::looks_like_deployment;
use planner::snapshot::{GroupView, Observation};

/// Groups that look like being deployed to, each with when that was first seen, in this process or
/// before it.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    since: BTreeMap<GroupId, Timestamp>,
}

impl Deployments {
    /// Takes over what an earlier cycle had noted.
    pub(crate) fn remember(&mut self, seen: &BTreeMap<ServiceName, Observation>) {
        for view in seen.values().filter_map(|seen| seen.group.as_ref().ok()) {
            if let Some(since) = view.aside.deploying_since {
                self.since.insert(view.id.clone(), since);
            }
        }
    }

    /// Notes in each group since when it looks so. A group that cannot be read looks as it did.
    pub(crate) fn note(&mut self, seen: &mut BTreeMap<ServiceName, Observation>, now: Timestamp) {
        for view in seen.values_mut().filter_map(|seen| seen.group.as_mut().ok()) {
            self.look(view, now);
        }
    }

    fn look(&mut self, view: &mut GroupView, now: Timestamp) {
        if !looks_like_deployment(&view.aside.suspended) {
            self.since.remove(&view.id);
            return;
        }
        let since = self.since.entry(view.id.clone()).or_insert(now);
        // A clock that was set back makes nothing last longer.
        *since = (*since).min(now);
        view.aside.deploying_since = Some(*since);
    }
}

#[cfg(test)]
mod tests {
    use fleet::group::Process;
    use fleet::{AccountId, ProviderName, Region, Units};
    use proptest::prelude::*;

    use super::*;

    fn view(deployed_to: bool) -> GroupView {
        let id = GroupId {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("111122223333").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            id: "arn/web".to_owned(),
        };
        let mut view = GroupView::at_rest(id, Timestamp(0), Units(4));
        let all = [Process::AlarmNotification, Process::ScheduledActions, Process::Launch];
        view.aside.suspended = all.into_iter().take(if deployed_to { 3 } else { 2 }).collect();
        view
    }

    proptest! {
        /// However deployments come and go: each begins where it was first seen, and one that has ended
        /// leaves nothing behind.
        #[test]
        fn each_deployment_begins_where_it_was_first_seen(
            looks in proptest::collection::vec(any::<bool>(), 1..30),
        ) {
            let (mut known, mut began) = (Deployments::default(), None);
            for (minute, deployed_to) in (0i64..).zip(looks) {
                let now = Timestamp(minute * 60);
                began = deployed_to.then(|| began.unwrap_or(now));
                let mut shown = view(deployed_to);
                known.look(&mut shown, now);
                prop_assert_eq!(shown.aside.deploying_since, began);
            }
        }
    }
}
