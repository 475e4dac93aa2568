//! What is remembered of a region's groups between cycles, whatever the cloud, and how long it is
//! good for.
//!
//! | what | read again | while it cannot be read |
//! |---|---|---|
//! | scaling policies, scheduled actions | every 5 minutes, the whole region in one sweep | the last reading for 30 minutes, then beside it a policy that says so |
//! | activities | when the group changed, is short of units or has one under way; at least every 10 minutes | the last reading |
//!
//! A detail that cannot be read must not pass for one that is not there: it is shown as a native
//! policy whose name tells what is missing, which restrains decreases and no increase.

use std::collections::BTreeMap;

use fleet::group::{Activity, ActivityStatus, NativePolicy, ScheduledAction};
use fleet::{Fault, Seconds, Timestamp};

use crate::listed::ListedGroup;

/// How long a sweep of policies and scheduled actions is good for.
const SWEEP_AGE: Seconds = Seconds::minutes(5);
/// How soon a failed sweep is tried again.
const SWEEP_AGAIN: Seconds = Seconds::minutes(1);
/// How long the last reading of a detail stands in when it cannot be read.
pub(crate) const STAND_IN: Seconds = Seconds::minutes(30);
/// How long activities of a group that does not change are good for.
const ACTIVITIES_AGE: Seconds = Seconds::minutes(10);
/// How far back activities are kept.
pub(crate) const ACTIVITIES_SPAN: Seconds = Seconds::hours(1);

/// How long a refresh may rest between two batches: longer than the activities of a quiet group are good
/// for.
const REFRESH_RESTS: Seconds = Seconds::minutes(20);

/// A whole region's policies or scheduled actions, by group.
#[derive(Debug)]
pub(crate) struct Sweep<T> {
    read: Option<(Timestamp, BTreeMap<String, Vec<T>>)>,
    tried_at: Option<Timestamp>,
    fault: Option<Fault>,
}

impl<T> Default for Sweep<T> {
    fn default() -> Sweep<T> {
        Sweep { read: None, tried_at: None, fault: None }
    }
}

impl<T: Clone> Sweep<T> {
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let fresh = self.read.as_ref().is_some_and(|(at, _)| now.apart(*at) < SWEEP_AGE);
        let tried = self.tried_at.is_some_and(|at| now.apart(at) < SWEEP_AGAIN);
        !fresh && !tried
    }

    pub(crate) fn keep(&mut self, now: Timestamp, answer: Result<BTreeMap<String, Vec<T>>, Fault>) {
        self.tried_at = Some(now);
        match answer {
            Ok(read) => (self.read, self.fault) = (Some((now, read)), None),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// What the last reading showed of a group, however old.
    fn last(&self, name: &str) -> Vec<T> {
        let read = self.read.as_ref().and_then(|(_, read)| read.get(name));
        read.cloned().unwrap_or_default()
    }

    /// What is known of a group.
    fn of(&self, name: &str, now: Timestamp) -> Result<Vec<T>, Unread<'_>> {
        match &self.read {
            Some((at, read)) if now.apart(*at) < STAND_IN => {
                Ok(read.get(name).cloned().unwrap_or_default())
            }
            _ => Err(self.fault.as_ref().map_or(Unread::NotYet, Unread::Failed)),
        }
    }
}

/// Why nothing is known of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unread<'a> {
    #[error("not read yet")]
    NotYet,
    #[error("{0}")]
    Failed(&'a Fault),
}

/// One group's activities.
#[derive(Debug)]
struct Activities {
    read_at: Timestamp,
    print: String,
    list: Vec<Activity>,
}

/// What is remembered of a region.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) policies: Sweep<NativePolicy>,
    pub(crate) scheduled: Sweep<ScheduledAction>,
    activities: BTreeMap<String, Activities>,
    /// Refreshes of groups that only activities tell of, and when each was last at work.
    refreshes: BTreeMap<String, (String, Timestamp)>,
}

impl Remembered {
    /// Groups whose activities must be read again.
    pub(crate) fn activities_due<'a, O>(
        &self,
        groups: &'a [ListedGroup<O>],
        now: Timestamp,
    ) -> Vec<&'a ListedGroup<O>> {
        groups.iter().filter(|group| self.activities_are_due(group, now)).collect()
    }

    fn activities_are_due<O>(&self, group: &ListedGroup<O>, now: Timestamp) -> bool {
        let Some(known) = self.activities.get(&group.id) else { return true };
        let under_way = known.list.iter().any(|a| a.status == ActivityStatus::InProgress);
        under_way
            || group.is_short()
            || known.print != group.print()
            || now.apart(known.read_at) >= ACTIVITIES_AGE
    }

    pub(crate) fn keep_activities<O>(
        &mut self,
        group: &ListedGroup<O>,
        now: Timestamp,
        list: Vec<Activity>,
    ) {
        let known = Activities { read_at: now, print: group.print(), list };
        self.activities.insert(group.id.clone(), known);
    }

    pub(crate) fn keep_refresh(&mut self, group: &str, task: String, at: Timestamp) {
        self.refreshes.insert(group.to_owned(), (task, at));
    }

    /// The refresh of a group that was at work lately: from one batch to the next it rests.
    pub(crate) fn refresh(&self, group: &str, now: Timestamp) -> Option<String> {
        let known = self.refreshes.get(group).filter(|(_, at)| now.apart(*at) <= REFRESH_RESTS);
        known.map(|(task, _)| task.clone())
    }

    /// Activities of the last hour, and those still under way, newest first.
    pub(crate) fn activities(&self, id: &str, now: Timestamp) -> Vec<Activity> {
        let Some(known) = self.activities.get(id) else { return Vec::new() };
        let recent = |a: &&Activity| {
            a.status == ActivityStatus::InProgress || now.since(a.started_at) <= ACTIVITIES_SPAN
        };
        known.list.iter().filter(recent).cloned().collect()
    }

    /// Forgets groups that are gone.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.activities.retain(|_, known| now.apart(known.read_at) < Seconds::days(1));
        self.refreshes.retain(|_, (_, at)| now.apart(*at) <= REFRESH_RESTS);
    }

    /// Native policies of a group; where they, or its scheduled actions, are not known, one that
    /// says so and may scale in, as an unknown one may, beside those that were read last.
    pub(crate) fn native_policies(&self, name: &str, now: Timestamp) -> Vec<NativePolicy> {
        let unknown =
            |what: &str, why: Unread<'_>| NativePolicy::unread(format!("{what} unknown: {why}"));
        let mut policies = match self.policies.of(name, now) {
            Ok(policies) => policies,
            Err(why) => {
                let mut policies = self.policies.last(name);
                policies.insert(0, unknown("scaling policies", why));
                policies
            }
        };
        if let Err(why) = self.scheduled.of(name, now) {
            policies.push(unknown("scheduled actions", why));
        }
        policies
    }

    pub(crate) fn scheduled_actions(&self, name: &str, now: Timestamp) -> Vec<ScheduledAction> {
        let mut actions = self.scheduled.of(name, now).unwrap_or_default();
        actions.retain(|a| a.recurrence.is_some() || a.at.is_some_and(|at| at >= now));
        actions
    }
}

#[cfg(test)]
mod tests {
    use fleet::group::{ActivityKind, Cause, Instance, Lifecycle};
    use fleet::{FaultKind, Units};

    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn group(desired: u32, members: u32) -> ListedGroup<()> {
        let member = |n: u32| Instance {
            id: format!("i-{n}"),
            lifecycle: Lifecycle::InService,
            weight: Units(1),
            protected: false,
            healthy: true,
            launched_at: None,
            zone: None,
            instance_type: None,
        };
        ListedGroup {
            id: "web".to_owned(),
            name: "web".to_owned(),
            desired: Units(desired),
            min: Units(0),
            max: Units(9),
            instances: (0..members).map(member).collect(),
            tags: BTreeMap::new(),
            suspended: Vec::new(),
            owner: None,
            buys_spot: false,
            warm_pool: None,
            own: (),
        }
    }

    fn did(id: &str, at: Timestamp, status: ActivityStatus, cause_text: &str) -> Activity {
        Activity {
            id: id.to_owned(),
            started_at: at,
            ended_at: None,
            kind: ActivityKind::Launch,
            status,
            cause: Cause::Unknown,
            cause_text: cause_text.to_owned(),
            capacity_set_to: None,
            launch: None,
        }
    }

    fn fault() -> Fault {
        let (operation, detail) = ("Describe".to_owned(), "no".to_owned());
        Fault { kind: FaultKind::Unreachable, operation, detail, request_id: None }
    }

    fn due(remembered: &Remembered, group: &ListedGroup<()>, now: Timestamp) -> bool {
        !remembered.activities_due(std::slice::from_ref(group), now).is_empty()
    }

    #[test]
    fn activities_are_read_when_something_may_have_happened() {
        let mut remembered = Remembered::default();
        let quiet = group(2, 2);
        assert!(due(&remembered, &quiet, START), "never read");
        remembered.keep_activities(&quiet, START, Vec::new());
        assert!(!due(&remembered, &quiet, START + Seconds(60)));
        assert!(due(&remembered, &quiet, START + ACTIVITIES_AGE), "read long ago");
        assert!(due(&remembered, &group(3, 3), START + Seconds(60)), "another size");
        let short = group(3, 2);
        remembered.keep_activities(&short, START, Vec::new());
        assert!(due(&remembered, &short, START + Seconds(60)), "short of a unit");
        let boots = vec![did("a", START, ActivityStatus::InProgress, "")];
        remembered.keep_activities(&quiet, START, boots);
        assert!(due(&remembered, &quiet, START + Seconds(60)), "one under way");
    }

    #[test]
    fn activities_of_the_last_hour_are_shown() {
        let mut remembered = Remembered::default();
        let list = vec![
            did("new", START, ActivityStatus::Successful, ""),
            did("old", START - Seconds(3601), ActivityStatus::Successful, ""),
            did("old and under way", START - Seconds(9000), ActivityStatus::InProgress, ""),
        ];
        remembered.keep_activities(&group(2, 2), START, list);
        let shown = |at| -> Vec<String> {
            remembered.activities("web", at).into_iter().map(|a| a.id).collect()
        };
        assert_eq!(shown(START), ["new", "old and under way"]);
        assert_eq!(shown(START + Seconds(3601)), ["old and under way"]);
        assert!(remembered.activities("other", START).is_empty());
    }

    #[test]
    fn a_refresh_rests_between_batches_and_is_over_after_that() {
        let mut remembered = Remembered::default();
        remembered.keep_refresh("web", "ir-1".to_owned(), START);
        let shown = |remembered: &Remembered, minutes| {
            remembered.refresh("web", START + Seconds::minutes(minutes))
        };
        assert_eq!(shown(&remembered, 20).as_deref(), Some("ir-1"));
        assert_eq!(shown(&remembered, 21), None);
        assert_eq!(remembered.refresh("other", START), None);
        remembered.keep_refresh("web", "ir-2".to_owned(), START + Seconds::minutes(30));
        assert_eq!(shown(&remembered, 40).as_deref(), Some("ir-2"));
        remembered.forget(START + Seconds::hours(2));
        assert!(remembered.refreshes.is_empty());
    }

    #[test]
    fn policies_that_cannot_be_read_are_not_policies_that_are_not_there() {
        let mut remembered = Remembered::default();
        let names = |remembered: &Remembered, at| -> Vec<String> {
            remembered.native_policies("web", at).into_iter().map(|p| p.name).collect()
        };
        assert!(remembered.policies.is_due(START));
        remembered.policies.keep(START, Err(fault()));
        remembered.scheduled.keep(START, Ok(BTreeMap::new()));
        assert_eq!(
            names(&remembered, START),
            ["scaling policies unknown: `Describe` unreachable: no"]
        );
        assert!(!remembered.policies.is_due(START + Seconds(30)), "tried a moment ago");
        assert!(remembered.policies.is_due(START + SWEEP_AGAIN));
        remembered.policies.keep(START, Ok(BTreeMap::new()));
        assert!(names(&remembered, START).is_empty());
        assert!(!remembered.policies.is_due(START + Seconds(299)));
        assert!(remembered.policies.is_due(START + SWEEP_AGE));
        // The last reading stands in for a while, and then no longer.
        let later = START + Seconds::minutes(20);
        remembered.policies.keep(later, Err(fault()));
        assert!(names(&remembered, later).is_empty());
        let much_later = START + STAND_IN;
        assert_eq!(names(&remembered, much_later).len(), 2, "both are unknown by now");
        // What was read last is shown beside that.
        let own = NativePolicy { enabled: false, ..NativePolicy::unread("own".to_owned()) };
        let read = BTreeMap::from([("web".to_owned(), vec![own])]);
        remembered.policies.keep(much_later, Ok(read));
        let last = much_later + STAND_IN;
        remembered.policies.keep(last, Err(fault()));
        assert_eq!(names(&remembered, last)[1], "own");
    }
}
