//! What is remembered of a region between cycles, and how long it is good for.
//!
//! Sizes, members, tags and suspended processes are read each time. What costs a call a group, or
//! seldom changes, is kept: policies and activities in [`Remembered`], here what only AWS has:
//!
//! | what | read again | while it cannot be read |
//! |---|---|---|
//! | instance refreshes | every minute where members or activities hint at one, else every 15 minutes | a refresh that says so |
//! | launch times | once an instance | unknown |
//! | health of targets | each time while members may not serve yet | nothing is told of who serves |
//!
//! A refresh that cannot be read must not pass for one that is not there: it is shown as one whose
//! name tells what is missing. It restrains decreases and no increase.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::MembersServing;
use fleet::{Fault, Seconds, Timestamp};

use super::cause;
use super::health::Health;
use super::translate::Base;
use crate::remembered::{Remembered, STAND_IN};

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
    pub(super) remembered: Remembered,
    refreshes: BTreeMap<String, Refresh>,
    refresh_fault: Option<(Timestamp, Fault)>,
    launches: BTreeMap<String, Launch>,
    launches_fault_at: Option<Timestamp>,
    pub(super) health: Health,
}

impl Details {
    /// Groups whose instance refreshes should be looked at, the most urgent first.
    pub(super) fn refreshes_due<'a>(&self, bases: &'a [Base], now: Timestamp) -> Vec<&'a Base> {
        if self.refreshes_rest(now) {
            return Vec::new();
        }
        let mut due: Vec<(bool, Option<Timestamp>, &Base)> = bases
            .iter()
            .filter_map(|base| {
                let read_at = self.refreshes.get(&base.id).map(|refresh| refresh.read_at);
                let hinted = self.hints_at_refresh(base, now);
                let age = if hinted { REFRESH_AGE_HINTED } else { REFRESH_AGE };
                let due = read_at.is_none_or(|at| now.apart(at) >= age);
                due.then_some((!hinted, read_at, base))
            })
            .collect();
        due.sort_by_key(|(quiet, read_at, _)| (*quiet, *read_at));
        due.into_iter().map(|(_, _, base)| base).collect()
    }

    fn hints_at_refresh(&self, base: &Base, now: Timestamp) -> bool {
        base.own.mixed_templates
            || self.refreshes.get(&base.id).is_some_and(|refresh| refresh.id.is_some())
            || self
                .remembered
                .activities(&base.id, now)
                .iter()
                .any(|a| cause::of_refresh(&a.cause_text))
    }

    /// Whether the call for refreshes failed so lately that it is left alone.
    pub(super) fn refreshes_rest(&self, now: Timestamp) -> bool {
        self.refresh_fault.as_ref().is_some_and(|(at, _)| now.apart(*at) < REFRESH_AGAIN)
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
        let known = self.refreshes.get(&base.id);
        let Some((_, fault)) = &self.refresh_fault else {
            return known.and_then(|refresh| refresh.id.clone());
        };
        match known {
            Some(Refresh { id: Some(id), .. }) => Some(id.clone()),
            Some(Refresh { read_at, id: None })
                if now.apart(*read_at) < STAND_IN && !self.hints_at_refresh(base, now) =>
            {
                None
            }
            _ => Some(format!("unknown: {fault}")),
        }
    }

    /// Instances whose launch time is not known, a bounded number of them.
    pub(super) fn launches_due(&self, bases: &[Base], now: Timestamp, most: usize) -> Vec<String> {
        if self.launches_fault_at.is_some_and(|at| now.apart(at) < LAUNCHES_AGAIN) {
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

    /// When an instance was started, where that was read.
    pub(super) fn started_at(&self, id: &str) -> Option<Timestamp> {
        self.launches.get(id)?.at
    }

    /// Which members of a group do not serve yet.
    pub(super) fn members_serving(&mut self, base: &Base, now: Timestamp) -> MembersServing {
        let launches = &self.launches;
        self.health.serving(base, &|id: &str| launches.get(id)?.at, now)
    }

    /// Forgets instances and groups that are gone.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.launches.retain(|_, launch| now.apart(launch.seen) < LAUNCHES_FORGET);
        let launches = &self.launches;
        self.health.forget(now, |id: &str| launches.contains_key(id));
        self.remembered.forget(now);
        self.refreshes.retain(|_, known| now.apart(known.read_at) < Seconds::days(1));
    }
}

#[cfg(test)]
mod tests {
    use fleet::group::{Activity, ActivityKind, ActivityStatus, Cause, Instance, Lifecycle};
    use fleet::{AccountId, FaultKind, Units};

    use super::super::translate::OfAws;
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
            id: format!("arn/{name}"),
            name: name.to_owned(),
            desired: Units(desired),
            min: Units(0),
            max: Units(9),
            instances: (0..members).map(instance).collect(),
            tags: BTreeMap::new(),
            suspended: Vec::new(),
            owner: None,
            buys_spot: false,
            warm_pool: None,
            own: OfAws {
                target_groups: BTreeSet::new(),
                account: AccountId::new("111122223333").unwrap(),
                new_instances_protected: false,
                health_check_grace: Seconds::ZERO,
                warm_up: None,
                mixed_templates: false,
            },
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

    #[test]
    fn refreshes_are_looked_at_where_something_hints_at_one() {
        let mut details = Details::default();
        let (quiet, mut hinted) = (base("a", 2, 2), base("b", 2, 2));
        hinted.own.mixed_templates = true;
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
        details.remembered.keep_activities(&quiet, START, list);
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
