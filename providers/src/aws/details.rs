//! What is remembered of a region between cycles, and how long it is good for.
//!
//! Sizes, members, tags and suspended processes are read each time. What costs a call a group, or
//! seldom changes, is kept here:
//!
//! | what | read again | while it cannot be read |
//! |---|---|---|
//! | scaling policies, scheduled actions | every 5 minutes, the whole region in one sweep | the last reading for 30 minutes, then a policy that says so |
//! | activities | when the group changed, is short of units or has one under way; at least every 10 minutes | the last reading |
//! | instance refreshes | every minute where members or activities hint at one, else every 15 minutes | a refresh that says so |
//! | launch times | once an instance | unknown |
//!
//! A detail that cannot be read must not pass for one that is not there: it is shown as a native
//! policy or a refresh whose name tells what is missing. Both restrain decreases and no increase.

use std::collections::{BTreeMap, BTreeSet};

use planner::group::{Activity, ActivityStatus, NativePolicy, NativePolicyKind, ScheduledAction};
use planner::{Fault, Seconds, Timestamp};

use super::cause;
use super::translate::Base;

/// How long a sweep of policies and scheduled actions is good for.
const SWEEP_AGE: Seconds = Seconds::minutes(5);
/// How soon a failed sweep is tried again.
const SWEEP_AGAIN: Seconds = Seconds::minutes(1);
/// How long the last reading of a detail stands in when it cannot be read.
const STAND_IN: Seconds = Seconds::minutes(30);
/// How long activities of a group that does not change are good for.
const ACTIVITIES_AGE: Seconds = Seconds::minutes(10);
/// How far back activities are kept.
pub(super) const ACTIVITIES_SPAN: Seconds = Seconds::hours(1);
/// How long a refresh's reading is good for where nothing hints at one.
const REFRESH_AGE: Seconds = Seconds::minutes(15);
/// How long it is good for where something does.
const REFRESH_AGE_HINTED: Seconds = Seconds::minutes(1);
/// How long refreshes are left alone after their call failed.
const REFRESH_AGAIN: Seconds = Seconds::minutes(5);
/// How long launch times are left alone after their call failed.
const LAUNCHES_AGAIN: Seconds = Seconds::minutes(5);
/// How long an instance that is not seen any more is remembered.
const LAUNCHES_FORGET: Seconds = Seconds::hours(1);

/// A whole region's policies or scheduled actions, by group name.
#[derive(Debug)]
pub(super) struct Sweep<T> {
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
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let fresh = self.read.as_ref().is_some_and(|(at, _)| now.since(*at) < SWEEP_AGE);
        let tried = self.tried_at.is_some_and(|at| now.since(at) < SWEEP_AGAIN);
        !fresh && !tried
    }

    pub(super) fn keep(&mut self, now: Timestamp, answer: Result<BTreeMap<String, Vec<T>>, Fault>) {
        self.tried_at = Some(now);
        match answer {
            Ok(read) => (self.read, self.fault) = (Some((now, read)), None),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// What is known of a group, or why nothing is.
    fn of(&self, name: &str, now: Timestamp) -> Result<Vec<T>, String> {
        match &self.read {
            Some((at, read)) if now.since(*at) < STAND_IN => {
                Ok(read.get(name).cloned().unwrap_or_default())
            }
            _ => Err(match &self.fault {
                Some(fault) => fault.to_string(),
                None => "not read yet".to_owned(),
            }),
        }
    }
}

/// One group's activities.
#[derive(Debug)]
struct Activities {
    read_at: Timestamp,
    print: String,
    list: Vec<Activity>,
}

/// One group's instance refresh.
#[derive(Debug)]
struct Refresh {
    read_at: Timestamp,
    id: Option<String>,
}

/// When an instance was started, and when it was last seen in a group.
#[derive(Debug)]
struct Launch {
    at: Option<Timestamp>,
    seen: Timestamp,
}

/// What is remembered of a region.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) policies: Sweep<NativePolicy>,
    pub(super) scheduled: Sweep<ScheduledAction>,
    activities: BTreeMap<String, Activities>,
    refreshes: BTreeMap<String, Refresh>,
    refresh_fault: Option<(Timestamp, Fault)>,
    launches: BTreeMap<String, Launch>,
    launches_fault_at: Option<Timestamp>,
}

impl Details {
    /// Groups whose activities must be read again.
    pub(super) fn activities_due<'a>(&self, bases: &'a [Base], now: Timestamp) -> Vec<&'a Base> {
        bases.iter().filter(|base| self.activities_are_due(base, now)).collect()
    }

    fn activities_are_due(&self, base: &Base, now: Timestamp) -> bool {
        let Some(known) = self.activities.get(&base.arn) else { return true };
        let under_way = known.list.iter().any(|a| a.status == ActivityStatus::InProgress);
        under_way
            || base.is_short()
            || known.print != base.print()
            || now.since(known.read_at) >= ACTIVITIES_AGE
    }

    pub(super) fn keep_activities(&mut self, base: &Base, now: Timestamp, list: Vec<Activity>) {
        let known = Activities { read_at: now, print: base.print(), list };
        self.activities.insert(base.arn.clone(), known);
    }

    /// Activities of the last hour, and those still under way, newest first.
    pub(super) fn activities(&self, arn: &str, now: Timestamp) -> Vec<Activity> {
        let Some(known) = self.activities.get(arn) else { return Vec::new() };
        let recent = |a: &&Activity| {
            a.status == ActivityStatus::InProgress || now.since(a.started_at) <= ACTIVITIES_SPAN
        };
        known.list.iter().filter(recent).cloned().collect()
    }

    /// Groups whose instance refreshes should be looked at, the most urgent first.
    pub(super) fn refreshes_due<'a>(&self, bases: &'a [Base], now: Timestamp) -> Vec<&'a Base> {
        if self.refreshes_rest(now) {
            return Vec::new();
        }
        let mut due: Vec<(bool, Option<Timestamp>, &Base)> = bases
            .iter()
            .filter_map(|base| {
                let read_at = self.refreshes.get(&base.arn).map(|refresh| refresh.read_at);
                let hinted = self.hints_at_refresh(base, now);
                let age = if hinted { REFRESH_AGE_HINTED } else { REFRESH_AGE };
                let due = read_at.is_none_or(|at| now.since(at) >= age);
                due.then_some((!hinted, read_at, base))
            })
            .collect();
        due.sort_by_key(|(quiet, read_at, _)| (*quiet, *read_at));
        due.into_iter().map(|(_, _, base)| base).collect()
    }

    fn hints_at_refresh(&self, base: &Base, now: Timestamp) -> bool {
        base.mixed_templates
            || self.refreshes.get(&base.arn).is_some_and(|refresh| refresh.id.is_some())
            || self.activities(&base.arn, now).iter().any(|a| cause::of_refresh(&a.cause_text))
    }

    /// Whether the call for refreshes failed so lately that it is left alone.
    pub(super) fn refreshes_rest(&self, now: Timestamp) -> bool {
        self.refresh_fault.as_ref().is_some_and(|(at, _)| now.since(*at) < REFRESH_AGAIN)
    }

    pub(super) fn keep_refresh(
        &mut self,
        arn: &str,
        now: Timestamp,
        answer: Result<Option<String>, Fault>,
    ) {
        match answer {
            Ok(id) => {
                self.refreshes.insert(arn.to_owned(), Refresh { read_at: now, id });
                self.refresh_fault = None;
            }
            Err(fault) => self.refresh_fault = Some((now, fault)),
        }
    }

    /// The refresh under way in a group.
    ///
    /// A group whose refreshes were never asked for passes for one without: what a write is
    /// checked against asks first. One that was asked for in vain does not.
    pub(super) fn refresh(&self, base: &Base, now: Timestamp) -> Option<String> {
        let known = self.refreshes.get(&base.arn);
        let Some((_, fault)) = &self.refresh_fault else {
            return known.and_then(|refresh| refresh.id.clone());
        };
        match known {
            Some(Refresh { id: Some(id), .. }) => Some(id.clone()),
            Some(Refresh { read_at, id: None })
                if now.since(*read_at) < STAND_IN && !self.hints_at_refresh(base, now) =>
            {
                None
            }
            _ => Some(format!("unknown: {fault}")),
        }
    }

    /// Instances whose launch time is not known, a bounded number of them.
    pub(super) fn launches_due(&self, bases: &[Base], now: Timestamp, most: usize) -> Vec<String> {
        if self.launches_fault_at.is_some_and(|at| now.since(at) < LAUNCHES_AGAIN) {
            return Vec::new();
        }
        let members = bases.iter().flat_map(|base| &base.instances);
        let unknown: BTreeSet<&String> =
            members.map(|i| &i.id).filter(|id| !self.launches.contains_key(*id)).collect();
        unknown.into_iter().take(most).cloned().collect()
    }

    /// Keeps the launch times of the instances asked for; those that EC2 does not know (yet) are
    /// not asked for again.
    pub(super) fn keep_launches(
        &mut self,
        asked: &[String],
        now: Timestamp,
        answer: Result<BTreeMap<String, Timestamp>, Fault>,
    ) {
        match answer {
            Ok(found) => {
                self.launches_fault_at = None;
                for id in asked {
                    let at = found.get(id).copied();
                    self.launches.insert(id.clone(), Launch { at, seen: now });
                }
            }
            Err(_) => self.launches_fault_at = Some(now),
        }
    }

    pub(super) fn launched_at(&mut self, id: &str, now: Timestamp) -> Option<Timestamp> {
        let launch = self.launches.get_mut(id)?;
        launch.seen = now;
        launch.at
    }

    /// Forgets instances and groups that are gone.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.launches.retain(|_, launch| now.since(launch.seen) < LAUNCHES_FORGET);
        self.activities.retain(|_, known| now.since(known.read_at) < Seconds::days(1));
        self.refreshes.retain(|_, known| now.since(known.read_at) < Seconds::days(1));
    }

    /// Native policies of a group; where they, or its scheduled actions, are not known, one that
    /// says so and may scale in, as an unknown one may.
    pub(super) fn native_policies(&self, name: &str, now: Timestamp) -> Vec<NativePolicy> {
        let unknown = |what: &str, why: String| NativePolicy {
            name: format!("{what} unknown: {why}"),
            kind: NativePolicyKind::Other("unknown".to_owned()),
            enabled: true,
            scales_in: true,
        };
        let mut policies = match self.policies.of(name, now) {
            Ok(policies) => policies,
            Err(why) => vec![unknown("scaling policies", why)],
        };
        if let Err(why) = self.scheduled.of(name, now) {
            policies.push(unknown("scheduled actions", why));
        }
        policies
    }

    pub(super) fn scheduled_actions(&self, name: &str, now: Timestamp) -> Vec<ScheduledAction> {
        let mut actions = self.scheduled.of(name, now).unwrap_or_default();
        actions.retain(|a| a.recurrence.is_some() || a.at.is_some_and(|at| at >= now));
        actions
    }
}

#[cfg(test)]
mod tests {
    use planner::group::{ActivityKind, Cause, Instance, Lifecycle};
    use planner::{AccountId, FaultKind, Units};

    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn base(name: &str, desired: u32, members: u32) -> Base {
        let instance = |n: u32| Instance {
            id: format!("i-{n}"),
            lifecycle: Lifecycle::InService,
            weight: Units(1),
            protected: false,
            healthy: true,
            launched_at: None,
            zone: None,
            instance_type: None,
        };
        Base {
            arn: format!("arn/{name}"),
            account: AccountId::new("111122223333").unwrap(),
            name: name.to_owned(),
            desired: Units(desired),
            min: Units(0),
            max: Units(9),
            instances: (0..members).map(instance).collect(),
            tags: BTreeMap::new(),
            suspended: Vec::new(),
            owner: None,
            new_instances_protected: false,
            health_check_grace: Seconds::ZERO,
            warm_up: None,
            mixed_templates: false,
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
        }
    }

    fn fault() -> Fault {
        let (operation, detail) = ("Describe".to_owned(), "no".to_owned());
        Fault { kind: FaultKind::Unreachable, operation, detail, request_id: None }
    }

    fn due(details: &Details, base: &Base, now: Timestamp) -> bool {
        !details.activities_due(std::slice::from_ref(base), now).is_empty()
    }

    #[test]
    fn activities_are_read_when_something_may_have_happened() {
        let mut details = Details::default();
        let quiet = base("web", 2, 2);
        assert!(due(&details, &quiet, START), "never read");
        details.keep_activities(&quiet, START, Vec::new());
        assert!(!due(&details, &quiet, START + Seconds(60)));
        assert!(due(&details, &quiet, START + ACTIVITIES_AGE), "read long ago");
        assert!(due(&details, &base("web", 3, 3), START + Seconds(60)), "another size");
        let short = base("web", 3, 2);
        details.keep_activities(&short, START, Vec::new());
        assert!(due(&details, &short, START + Seconds(60)), "short of a unit");
        let boots = vec![did("a", START, ActivityStatus::InProgress, "")];
        details.keep_activities(&quiet, START, boots);
        assert!(due(&details, &quiet, START + Seconds(60)), "one under way");
    }

    #[test]
    fn activities_of_the_last_hour_are_shown() {
        let mut details = Details::default();
        let list = vec![
            did("new", START, ActivityStatus::Successful, ""),
            did("old", START - Seconds(3601), ActivityStatus::Successful, ""),
            did("old and under way", START - Seconds(9000), ActivityStatus::InProgress, ""),
        ];
        details.keep_activities(&base("web", 2, 2), START, list);
        let shown = |at| -> Vec<String> {
            details.activities("arn/web", at).into_iter().map(|a| a.id).collect()
        };
        assert_eq!(shown(START), ["new", "old and under way"]);
        assert_eq!(shown(START + Seconds(3601)), ["old and under way"]);
        assert!(details.activities("arn/other", START).is_empty());
    }

    #[test]
    fn policies_that_cannot_be_read_are_not_policies_that_are_not_there() {
        let mut details = Details::default();
        let names = |details: &Details, at| -> Vec<String> {
            details.native_policies("web", at).into_iter().map(|p| p.name).collect()
        };
        assert!(details.policies.is_due(START));
        details.policies.keep(START, Err(fault()));
        details.scheduled.keep(START, Ok(BTreeMap::new()));
        assert_eq!(
            names(&details, START),
            ["scaling policies unknown: `Describe` unreachable: no"]
        );
        assert!(!details.policies.is_due(START + Seconds(30)), "tried a moment ago");
        assert!(details.policies.is_due(START + SWEEP_AGAIN));
        details.policies.keep(START, Ok(BTreeMap::new()));
        assert!(names(&details, START).is_empty());
        assert!(!details.policies.is_due(START + Seconds(299)));
        assert!(details.policies.is_due(START + SWEEP_AGE));
        // The last reading stands in for a while, and then no longer.
        let later = START + Seconds::minutes(20);
        details.policies.keep(later, Err(fault()));
        assert!(names(&details, later).is_empty());
        let much_later = START + STAND_IN;
        assert_eq!(names(&details, much_later).len(), 2, "both are unknown by now");
    }

    #[test]
    fn refreshes_are_looked_at_where_something_hints_at_one() {
        let mut details = Details::default();
        let (quiet, mut hinted) = (base("a", 2, 2), base("b", 2, 2));
        hinted.mixed_templates = true;
        let groups = [quiet.clone(), hinted.clone()];
        let names = |details: &Details, at| -> Vec<String> {
            details.refreshes_due(&groups, at).iter().map(|b| b.name.clone()).collect()
        };
        assert_eq!(names(&details, START), ["b", "a"], "the hint comes first");
        details.keep_refresh("arn/a", START, Ok(None));
        details.keep_refresh("arn/b", START, Ok(None));
        assert!(names(&details, START + Seconds(59)).is_empty());
        assert_eq!(names(&details, START + Seconds(60)), ["b"]);
        assert_eq!(names(&details, START + REFRESH_AGE), ["b", "a"]);
        let text = "an instance was taken out of service in response to an instance refresh";
        let list = vec![did("x", START, ActivityStatus::Successful, text)];
        details.keep_activities(&quiet, START, list);
        assert_eq!(names(&details, START + Seconds(60)), ["a", "b"]);
    }

    #[test]
    fn a_refresh_that_cannot_be_read_is_not_one_that_is_not_there() {
        let mut details = Details::default();
        let (known, unknown) = (base("a", 2, 2), base("b", 2, 2));
        assert_eq!(details.refresh(&known, START), None, "not asked for yet");
        details.keep_refresh("arn/a", START, Ok(None));
        details.keep_refresh("arn/b", START, Err(fault()));
        let later = START + Seconds::minutes(1);
        assert_eq!(details.refresh(&known, later), None, "read a minute ago");
        let text = Some("unknown: `Describe` unreachable: no".to_owned());
        assert_eq!(details.refresh(&unknown, later), text);
        assert_eq!(details.refresh(&known, START + STAND_IN), text, "read too long ago");
        assert!(details.refreshes_rest(later), "left alone for a while");
        assert!(!details.refreshes_rest(START + REFRESH_AGAIN));
        details.keep_refresh("arn/b", later, Ok(Some("r-1".to_owned())));
        assert_eq!(details.refresh(&unknown, later), Some("r-1".to_owned()));
        assert_eq!(details.refresh(&known, START + STAND_IN), None);
    }

    #[test]
    fn launch_times_are_asked_for_once() {
        let mut details = Details::default();
        let groups = [base("a", 3, 3)];
        let asked = details.launches_due(&groups, START, 2);
        assert_eq!(asked, ["i-0", "i-1"], "no more than allowed at once");
        let found = BTreeMap::from([("i-0".to_owned(), Timestamp(7))]);
        details.keep_launches(&asked, START, Ok(found));
        assert_eq!(details.launched_at("i-0", START), Some(Timestamp(7)));
        assert_eq!(details.launched_at("i-1", START), None, "EC2 does not know it");
        assert_eq!(details.launches_due(&groups, START, 9), ["i-2"]);
        details.keep_launches(&["i-2".to_owned()], START, Err(fault()));
        assert!(details.launches_due(&groups, START, 9).is_empty(), "left alone for a while");
        assert_eq!(details.launches_due(&groups, START + LAUNCHES_AGAIN, 9), ["i-2"]);
        details.forget(START + LAUNCHES_FORGET);
        assert_eq!(details.launches_due(&groups, START + LAUNCHES_FORGET, 9).len(), 3);
    }
}
