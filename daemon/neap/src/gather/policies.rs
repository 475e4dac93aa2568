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
