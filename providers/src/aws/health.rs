//! Whether members of groups serve, by the health of the targets that they are.
//!
//! A launch ends when EC2 runs the machine. The load balancer knows when it serves, so it is asked while
//! a group has members that came into service lately, and at no other time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::group::{Instance, Lifecycle, MembersServing, ServingSign};
use fleet::{Fault, Seconds, Timestamp};
use roxmltree::Node;
use tokio::task::JoinSet;

use super::access::Seat;
use super::estate::DESCRIBE_TARGET_HEALTH;
use super::thin::Service;
use super::translate::Base;
use super::xml;
use crate::Deadline;

/// A member older than this is asked for only if it did not serve when it was last looked at.
const YOUNG: Seconds = Seconds::minutes(20);
/// A member older than this is sick, and not on its way.
const GIVEN_UP: Seconds = Seconds::hours(1);
/// Target groups asked for in a cycle.
const TARGET_GROUPS_MAX: usize = 100;
/// How long target groups are left alone after their call failed.
const AGAIN: Seconds = Seconds::minutes(5);
/// How long an answer tells who serves: a group is read again before it is written.
const GOOD_FOR: Seconds = Seconds::minutes(2);

/// What a target group says of its targets.
#[derive(Debug)]
struct Reading {
    read_at: Timestamp,
    /// Whether each takes part, by instance id.
    targets: BTreeMap<String, Part>,
}

/// The part that a target takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It is sent requests, or is on its way out.
    Serves,
    /// It does not pass its health check yet.
    Waits,
    /// Nobody sends requests to this target group: it tells nothing.
    Unused,
}

/// What is remembered of target groups between cycles.
#[derive(Debug, Default)]
pub(super) struct Health {
    answers: BTreeMap<String, Reading>,
    fault: Option<(Timestamp, Fault)>,
    /// Members that did not serve when they were last looked at.
    waiting: BTreeSet<String>,
}

impl Health {
    /// Members that may not serve yet.
    fn in_question<'a>(
        &'a self,
        base: &'a Base,
        launched_at: &'a dyn Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Instance> {
        base.instances.iter().filter(move |member| {
            let age = launched_at(&member.id).map(|at| now.since(at));
            let young = age.is_some_and(|age| age < YOUNG);
            let waits = self.waiting.contains(&member.id) && age.is_none_or(|age| age < GIVEN_UP);
            member.lifecycle == Lifecycle::InService && (young || waits)
        })
    }

    /// The target groups to be asked for.
    fn due(
        &self,
        bases: &[Base],
        launched_at: &dyn Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> BTreeSet<String> {
        if self.fault.as_ref().is_some_and(|(at, _)| now.apart(*at) < AGAIN) {
            return BTreeSet::new();
        }
        let asks = |base: &&Base| self.in_question(base, launched_at, now).next().is_some();
        let due = bases.iter().filter(|base| !base.own.target_groups.is_empty()).filter(asks);
        let due = due.flat_map(|base| &base.own.target_groups).cloned();
        due.take(TARGET_GROUPS_MAX).collect()
    }

    fn keep(&mut self, arn: String, now: Timestamp, answer: Result<BTreeMap<String, Part>, Fault>) {
        match answer {
            Ok(targets) => {
                self.answers.insert(arn, Reading { read_at: now, targets });
                self.fault = None;
            }
            Err(fault) => self.fault = Some((now, fault)),
        }
    }

    /// Which members of a group do not serve yet.
    pub(super) fn serving(
        &mut self,
        base: &Base,
        launched_at: &dyn Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> MembersServing {
        let own = &base.own.target_groups;
        if own.is_empty() {
            return MembersServing::Untold;
        }
        let asked: Vec<String> =
            self.in_question(base, launched_at, now).map(|member| member.id.clone()).collect();
        let fresh = |answer: &&Reading| now.apart(answer.read_at) < GOOD_FOR;
        let answers = own.iter().map(|arn| self.answers.get(arn).filter(fresh));
        let answers: Option<Vec<&Reading>> = answers.collect();
        let Some(answers) = answers.filter(|_| !asked.is_empty()) else {
            if asked.is_empty() {
                let none = BTreeSet::new();
                return MembersServing::Told { by: ServingSign::Targets, waiting: none };
            }
            let why = self.fault.as_ref().map(|(_, fault)| fault.to_string());
            return MembersServing::Unread(why.unwrap_or_else(|| "not read yet".to_owned()));
        };
        let waits = |id: &String| {
            let parts = answers.iter().map(|answer| answer.targets.get(id));
            let parts: Vec<Part> = parts.flatten().copied().collect();
            parts.contains(&Part::Waits) || parts.is_empty()
        };
        let waiting: BTreeSet<String> = asked.iter().filter(|id| waits(id)).cloned().collect();
        for id in &asked {
            self.waiting.remove(id);
        }
        self.waiting.extend(waiting.iter().cloned());
        MembersServing::Told { by: ServingSign::Targets, waiting }
    }

    /// Forgets target groups that nobody asks for any more, and members that `is_known` no more.
    pub(super) fn forget(&mut self, now: Timestamp, is_known: impl Fn(&str) -> bool) {
        self.answers.retain(|_, answer| now.apart(answer.read_at) < GIVEN_UP);
        self.waiting.retain(|id| is_known(id));
    }
}

/// Asks for the targets of groups some of whose members may not serve yet.
pub(super) async fn read_due(seat: &Arc<Seat>, found: &[Base], deadline: Deadline) {
    let now = seat.now();
    let due = {
        let details = seat.details();
        details.health.due(found, &|id: &str| details.started_at(id), now)
    };
    let mut jobs = JoinSet::new();
    for arn in due {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            let answer = targets(&seat, &arn, deadline).await;
            seat.details().health.keep(arn, now, answer);
        });
    }
    while jobs.join_next().await.is_some() {}
}

async fn targets(
    seat: &Seat,
    arn: &str,
    deadline: Deadline,
) -> Result<BTreeMap<String, Part>, Fault> {
    let mut found = BTreeMap::new();
    let fields = [("TargetGroupArn".to_owned(), arn.to_owned())];
    seat.pages(DESCRIBE_TARGET_HEALTH, Service::LoadBalancing, &fields, deadline, |page| {
        for (id, part) in xml::listed(page, "TargetHealthDescriptions").filter_map(target) {
            // One that listens on several ports serves once it does on all of them.
            let whole = found.entry(id).or_insert(part);
            if part == Part::Waits || *whole == Part::Unused {
                *whole = part;
            }
        }
    })
    .await?;
    Ok(found)
}

fn target(node: Node<'_, '_>) -> Option<(String, Part)> {
    let id = xml::text(xml::child(node, "Target")?, "Id")?.to_owned();
    let state = xml::child(node, "TargetHealth").and_then(|health| xml::text(health, "State"));
    let part = match state {
        Some("initial" | "unhealthy") => Part::Waits,
        Some("unused") => Part::Unused,
        // `unavailable`: health checks are off. One that drains did serve.
        _ => Part::Serves,
    };
    Some((id, part))
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, FaultKind, Units};

    use super::super::translate::OfAws;
    use super::*;

    const NOW: Timestamp = Timestamp(1_772_452_800);
    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1";
    const SECOND: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web-admin/2";

    fn base(arns: &[&str], members: &[(&str, Lifecycle)]) -> Base {
        let member = |(id, lifecycle): &(&str, Lifecycle)| Instance {
            id: (*id).to_owned(),
            lifecycle: lifecycle.clone(),
            weight: Units(1),
            protected: false,
            healthy: true,
            launched_at: None,
            zone: None,
            instance_type: None,
        };
        Base {
            id: "web".to_owned(),
            name: "web".to_owned(),
            desired: Units(2),
            min: Units(0),
            max: Units(9),
            instances: members.iter().map(member).collect(),
            tags: BTreeMap::new(),
            suspended: Vec::new(),
            owner: None,
            own: OfAws {
                account: AccountId::new("111122223333").unwrap(),
                new_instances_protected: false,
                health_check_grace: Seconds::ZERO,
                warm_up: None,
                target_groups: arns.iter().map(|arn| (*arn).to_owned()).collect(),
                mixed_templates: false,
            },
            buys_spot: false,
            warm_pool: None,
        }
    }

    fn parts(told: &[(&str, Part)]) -> Result<BTreeMap<String, Part>, Fault> {
        Ok(told.iter().map(|(id, part)| ((*id).to_owned(), *part)).collect())
    }

    fn told(waiting: &[&str]) -> MembersServing {
        let waiting = waiting.iter().map(|id| (*id).to_owned()).collect();
        MembersServing::Told { by: ServingSign::Targets, waiting }
    }

    const TWO: [(&str, Lifecycle); 2] =
        [("i-old", Lifecycle::InService), ("i-new", Lifecycle::InService)];

    /// `i-old` has been there for hours, anything else for a minute.
    fn launched(id: &str) -> Option<Timestamp> {
        Some(NOW - if id == "i-old" { Seconds::hours(5) } else { Seconds(60) })
    }

    #[test]
    fn only_young_members_are_asked_for_and_only_behind_load_balancers() {
        let health = Health::default();
        let due =
            |bases: &[Base]| health.due(bases, &launched, NOW).into_iter().collect::<Vec<_>>();
        assert_eq!(due(&[base(&[ARN], &TWO)]), [ARN]);
        assert!(due(&[base(&[], &TWO), base(&[ARN], &TWO[..1])]).is_empty());
        let pending = [("i-new", Lifecycle::Pending)];
        assert!(due(&[base(&[ARN], &pending)]).is_empty(), "what is not in service serves nobody");
        // Groups that share a target group ask once.
        assert_eq!(due(&[base(&[ARN], &TWO), base(&[ARN, SECOND], &TWO)]), [SECOND, ARN]);
    }

    #[test]
    fn a_member_serves_once_all_its_target_groups_find_it_healthy() {
        let mut health = Health::default();
        let group = base(&[ARN, SECOND], &TWO);
        let mut after = |first: &[(&str, Part)], second: &[(&str, Part)]| {
            health.keep(ARN.to_owned(), NOW, parts(first));
            health.keep(SECOND.to_owned(), NOW, parts(second));
            health.serving(&group, &launched, NOW)
        };
        let (serves, waits, unused) = (Part::Serves, Part::Waits, Part::Unused);
        assert_eq!(after(&[("i-new", waits)], &[("i-new", serves)]), told(&["i-new"]));
        assert_eq!(after(&[("i-new", serves)], &[("i-new", serves)]), told(&[]));
        // The other colour of a release has no listener.
        assert_eq!(after(&[("i-new", serves)], &[("i-new", unused)]), told(&[]));
        assert_eq!(after(&[("i-new", unused)], &[("i-new", unused)]), told(&[]));
        // Not registered yet; and what happens to old members is not ours to judge.
        assert_eq!(after(&[("i-old", waits)], &[]), told(&["i-new"]));
    }

    #[test]
    fn one_that_takes_long_is_asked_for_until_it_serves_or_is_given_up() {
        let mut health = Health::default();
        let group = base(&[ARN], &TWO);
        health.keep(ARN.to_owned(), NOW, parts(&[("i-new", Part::Waits)]));
        assert_eq!(health.serving(&group, &launched, NOW), told(&["i-new"]));
        let later = NOW + Seconds::minutes(30);
        assert_eq!(health.due(std::slice::from_ref(&group), &launched, later).len(), 1);
        health.keep(ARN.to_owned(), later, parts(&[("i-new", Part::Serves)]));
        assert_eq!(health.serving(&group, &launched, later), told(&[]));
        assert!(health.due(std::slice::from_ref(&group), &launched, later).is_empty());
        health.waiting.insert("i-new".to_owned());
        assert!(health.due(&[group], &launched, NOW + GIVEN_UP).is_empty());
        health.forget(NOW, |_| false);
        assert!(health.waiting.is_empty());
    }

    #[test]
    fn what_is_not_answered_is_not_known_and_left_alone_for_a_while() {
        let mut health = Health::default();
        let group = base(&[ARN, SECOND], &TWO);
        let unread = |health: &mut Health, at| {
            matches!(health.serving(&group, &launched, at), MembersServing::Unread(_))
        };
        assert!(unread(&mut health, NOW));
        health.keep(ARN.to_owned(), NOW, parts(&[("i-new", Part::Serves)]));
        assert!(unread(&mut health, NOW), "half of it is not enough");
        let denied = DESCRIBE_TARGET_HEALTH.fault(FaultKind::Unreadable, "no");
        health.keep(SECOND.to_owned(), NOW, Err(denied));
        let MembersServing::Unread(why) = health.serving(&group, &launched, NOW) else {
            panic!("it is not known");
        };
        assert!(why.contains("DescribeTargetHealth"), "{why}");
        assert!(health.due(std::slice::from_ref(&group), &launched, NOW).is_empty());
        assert!(!health.due(std::slice::from_ref(&group), &launched, NOW + AGAIN).is_empty());
        // An answer of before is none of now.
        health.keep(SECOND.to_owned(), NOW, parts(&[("i-new", Part::Serves)]));
        assert_eq!(health.serving(&group, &launched, NOW), told(&[]));
        assert!(unread(&mut health, NOW + GOOD_FOR));
    }

    /// Whatever is answered, only members in service that are in question wait.
    #[test]
    fn nobody_waits_but_young_members_in_service() {
        let parts = [Some(Part::Serves), Some(Part::Waits), Some(Part::Unused), None];
        let states = [Lifecycle::InService, Lifecycle::Pending, Lifecycle::Terminating];
        for minutes in [0, 5, 18, 19, 59, 90] {
            let now = NOW + Seconds::minutes(minutes);
            let every = states.iter().flat_map(|state| parts.iter().map(move |part| (state, part)));
            let ids: Vec<(String, &Lifecycle, &Option<Part>)> = every
                .enumerate()
                .map(|(n, (state, part))| (format!("i-{n}"), state, part))
                .collect();
            let members: Vec<(&str, Lifecycle)> =
                ids.iter().map(|(id, state, _)| (id.as_str(), (*state).clone())).collect();
            let answer = ids.iter().filter_map(|(id, _, part)| Some((id.clone(), (**part)?)));
            let mut health = Health::default();
            health.keep(ARN.to_owned(), now, Ok(answer.collect()));
            let group = base(&[ARN], &members);
            // Young is less than 20 minutes, and they were started a minute before.
            let expected: &[&str] = if minutes < 19 { &["i-1", "i-3"] } else { &[] };
            assert_eq!(health.serving(&group, &launched, now), told(expected), "{minutes}");
        }
    }
}
