//! What was agreed to is one machine, one rule as it was, and one way of stopping.

use fleet::resource::Fact;
use fleet::stop::OptIn;
use fleet::usage::Signal;
use fleet::{Seconds, Timestamp};
use planner::idle::approval_stands;
use planner::idle::plan::{IdleHold, Verb};
use planner::idle::rule::{IdleRule, RuleMode, ScheduleKind, StopPreference};
use planner::idle::snapshot::Ask;
use planner::policy::Share;

use crate::idle_world::*;

/// What an operator does to a rule between an agreement and the stop.
type Change = (&'static str, fn(&mut World));

/// Changes of what is stopped, when, or how.
const REPLACED: &[Change] = &[
    ("looser limits", |w| *limit(w.rule()) = 90_000),
    ("tighter limits", |w| *limit(w.rule()) = 4_999),
    ("one limit less", |w| {
        let _ = w.rule().limits.0.remove(&Signal::DiskOps);
    }),
    ("another signal required", |w| {
        let _ = w.rule().require.insert(Signal::Memory);
    }),
    ("a shorter look back", |w| w.rule().look_back = Seconds::days(7)),
    ("less coverage", |w| w.rule().coverage = Share::percent(50)),
    ("short histories", |w| w.rule().accept_short_history = true),
    ("hours forgiven", |w| w.rule().forgiven_hours = 24),
    ("a shorter grace", |w| w.rule().grace = Seconds::minutes(10)),
    ("no grace", |w| w.rule().grace = Seconds::ZERO),
    ("a longer grace", |w| w.rule().grace = Seconds::days(1)),
    ("another match", |w| {
        let _ = w.rule().select.ids.insert("i-a".to_owned());
    }),
    ("a match by tag", |w| {
        w.rule().select.tags.insert("neap:managed".to_owned(), Vec::new());
    }),
    ("another permission", |w| {
        w.tag("env", "dev");
        w.rule().opt_in = OptIn { key: "env".to_owned(), value: "dev".to_owned() };
    }),
    ("risk accepted", |w| w.rule().accept_restart_risk = true),
    ("another way", |w| w.rule().stop = StopPreference::HibernateIfPossible),
    ("another name", |w| rename(w, "beta")),
    ("another name and looser limits", |w| {
        rename(w, "beta");
        *limit(w.rule()) = 50_000;
    }),
    ("a rule before it", |w| {
        let first = IdleRule { name: name("first"), ..w.rule().clone() };
        w.policy.rules.insert(0, first);
        w.seen("a").rule = Some(name("first"));
    }),
];

/// Changes of who is told, how much at once and what follows.
const KEPT: &[Change] = &[
    ("nothing", |_| {}),
    ("another owner", |w| w.rule().owner_tag = Some("team".to_owned())),
    ("marks as tags", |w| w.rule().mark_tag = true),
    ("another radius", |w| w.rule().radius.hour = cap(7)),
    ("a longer exemption", |w| w.rule().exempt_after_restart = Seconds::days(60)),
    ("another rule behind it", |w| {
        let last = IdleRule { name: name("last"), ..w.rule().clone() };
        w.policy.rules.push(last);
    }),
];

fn limit(rule: &mut IdleRule) -> &mut u64 {
    rule.limits.0.get_mut(&Signal::Cpu).expect("a limit of the processor")
}

fn rename(world: &mut World, to: &str) {
    world.rule().name = name(to);
    world.seen("a").rule = Some(name(to));
}

/// A world whose machine is marked, and what the person is to name.
fn marked(mode: RuleMode) -> (World, String) {
    let mut world = World::new();
    world.rule().mode = mode;
    // Marks are made at once, and nothing is stopped before looks are steady.
    assert!(!world.run(Seconds::minutes(30)));
    let id = world.care("a").mark.expect("a mark").approval.id;
    (world, id)
}

fn stands(world: &mut World, id: &str) -> bool {
    let (seen, care, now) = (world.seen("a").clone(), world.care("a"), world.now());
    approval_stands(&world.policy, &seen, &care, id, now)
}

fn agree(world: &mut World, id: &str) {
    world.ask(Ask::Approve { id: id.to_owned() });
}

#[test]
fn an_agreement_is_void_once_its_rule_is_another() {
    for (what, change) in REPLACED {
        // Agreed to before the change, with it, or after it: it comes too late each time.
        for when in ["before", "with", "after"] {
            let (mut world, id) = marked(RuleMode::Approve);
            assert!(stands(&mut world, &id));
            if when == "before" {
                agree(&mut world, &id);
                world.wait(EVERY).look();
                assert!(world.care("a").mark.unwrap().approval.given.is_some());
            }
            change(&mut world);
            assert!(!stands(&mut world, &id), "{what}");
            if when == "with" {
                agree(&mut world, &id);
            }
            world.wait(EVERY).look();
            if when == "after" {
                agree(&mut world, &id);
            }
            assert!(!world.wait(EVERY).run(Seconds::days(2)), "{what}, {when}");
            let mark = world.care("a").mark.expect("it is asked for again");
            assert_eq!(mark.approval.given, None, "{what}, {when}");
            assert_ne!(mark.approval.id, id, "{what}, {when}");
            let told = world.alerts.iter().any(|title| title.contains("is not stopped by rule"));
            assert!(told, "{what}, {when}: {:?}", world.alerts);
            // What is asked for now holds.
            let fresh = mark.approval.id;
            assert!(stands(&mut world, &fresh), "{what}, {when}");
            agree(&mut world, &fresh);
            assert!(world.wait(EVERY).run(Seconds::minutes(5)), "{what}, {when}");
        }
    }
}

#[test]
fn grace_begins_anew_where_the_rule_is_another() {
    for (what, change) in REPLACED {
        let (mut world, _) = marked(RuleMode::Act);
        let before = world.care("a").mark.unwrap().at;
        change(&mut world);
        world.wait(EVERY).look();
        let now = world.now();
        let grace = world.policy.rules[0].grace;
        let begun = world.care("a").mark.map(|mark| mark.at);
        assert_eq!(begun, Some(now), "{what}, marked at {before} before");
        assert_eq!(world.plan.actions.is_empty(), grace > Seconds::ZERO, "{what}");
        if grace > Seconds::ZERO {
            assert!(world.wait(EVERY).run(grace), "{what}");
            assert!(world.now().since(now) >= grace, "{what}");
        }
    }
}

#[test]
fn an_agreement_stands_where_what_is_stopped_stays() {
    for (what, change) in KEPT {
        let (mut world, id) = marked(RuleMode::Approve);
        agree(&mut world, &id);
        world.wait(EVERY).look();
        change(&mut world);
        assert!(stands(&mut world, &id), "{what}");
        assert!(world.wait(EVERY).run(Seconds::hours(1)), "{what}");
        assert!(matches!(world.plan.actions[0].verb, Verb::Stop(_)), "{what}");
    }
}

/// A rule that is taken away, or only observes, and comes back as it was, has not been agreed to.
#[test]
fn a_rule_that_comes_back_is_asked_for_again() {
    type Pause = (fn(&mut World), fn(&mut World));
    let pauses: [Pause; 3] = [
        (|w| w.seen("a").rule = None, |w| w.seen("a").rule = Some(name("idle"))),
        (|w| w.rule().mode = RuleMode::Observe, |w| w.rule().mode = RuleMode::Approve),
        (|w| w.rule().mode = RuleMode::Shadow, |w| w.rule().mode = RuleMode::Approve),
    ];
    for (away, back) in pauses {
        let (mut world, id) = marked(RuleMode::Approve);
        agree(&mut world, &id);
        world.wait(EVERY).look();
        away(&mut world);
        assert!(!stands(&mut world, &id));
        world.wait(EVERY).look();
        assert_eq!(world.care("a").mark, None);
        back(&mut world);
        assert!(!world.wait(EVERY).run(Seconds::hours(3)));
        agree(&mut world, &id);
        assert!(!world.wait(EVERY).run(Seconds::hours(3)));
    }
}

/// A no to a stop that would not be made any more is still a no.
#[test]
fn a_refusal_holds_whatever_became_of_the_rule() {
    let (mut world, id) = marked(RuleMode::Approve);
    *limit(world.rule()) = 50_000;
    world.ask(Ask::Reject { id });
    world.wait(EVERY).look();
    assert!(matches!(world.holds()[..], [IdleHold::Exempt { .. }]), "{:?}", world.holds());
}

/// Who agreed to a plain stop has not agreed to hibernation, nor the other way round.
#[test]
fn another_way_of_stopping_is_agreed_to_anew() {
    let (mut world, _) = marked(RuleMode::Approve);
    world.rule().stop = StopPreference::HibernateIfPossible;
    world.facts().hibernation = Fact::Known(false);
    world.wait(EVERY).look();
    let id = world.care("a").mark.unwrap().approval.id;
    agree(&mut world, &id);
    world.wait(EVERY).look();
    world.facts().hibernation = Fact::Known(true);
    assert!(!world.wait(EVERY).run(Seconds::hours(3)));
    let fresh = world.care("a").mark.unwrap().approval;
    assert_ne!((&fresh.id, &fresh.given), (&id, &Some(("ann".to_owned(), world.now()))));
    agree(&mut world, &fresh.id);
    assert!(world.wait(EVERY).run(Seconds::minutes(5)));
    assert_eq!(world.plan.actions[0].verb, Verb::Stop(fleet::stop::StopMode::Hibernate));
}

/// A world in which a schedule asks for its stop, and what the person is to name.
fn scheduled() -> (World, String) {
    let mut world = World::scheduled();
    world.schedule().mode = RuleMode::Approve;
    assert!(!world.run(Seconds::hours(8)));
    let id = world.care("a").asked.expect("an approval that is asked for").id;
    (world, id)
}

/// Changes of a schedule: which machines, when, how.
const RESCHEDULED: &[Change] = &[
    ("down for longer", |w| {
        let now = w.now();
        let view = w.seen("a").schedule.as_mut().unwrap();
        view.up
            .iter_mut()
            .filter(|up| up.from > now)
            .for_each(|up| up.from = up.from + Seconds(60));
    }),
    ("down for good", |w| {
        let now = w.now();
        w.seen("a").schedule.as_mut().unwrap().up.retain(|up| up.from <= now);
    }),
    ("down since earlier", |w| {
        let view = w.seen("a").schedule.as_mut().unwrap();
        view.up.iter_mut().for_each(|up| up.until = up.until - Seconds::minutes(30));
    }),
    ("another match", |w| {
        let _ = w.schedule().select.ids.insert("i-a".to_owned());
    }),
    ("never started again", |w| w.schedule().kind = ScheduleKind::StopOnly),
    ("another way", |w| w.schedule().stop = StopPreference::HibernateIfPossible),
    ("risk accepted", |w| w.schedule().accept_restart_risk = true),
    ("another name", |w| {
        w.schedule().name = name("nights");
        w.seen("a").schedule.as_mut().unwrap().rule = name("nights");
    }),
];

#[test]
fn an_agreement_to_a_schedules_stop_is_to_its_hours() {
    for (what, change) in RESCHEDULED {
        for first in [true, false] {
            let (mut world, id) = scheduled();
            assert!(stands(&mut world, &id), "{what}");
            if first {
                agree(&mut world, &id);
            }
            change(&mut world);
            assert!(!stands(&mut world, &id), "{what}");
            world.wait(EVERY).look();
            if !first {
                agree(&mut world, &id);
                world.wait(EVERY).look();
            }
            assert!(world.plan.actions.is_empty(), "{what}");
            let fresh = world.care("a").asked.expect("it is asked for again");
            assert_ne!(fresh.id, id, "{what}");
            assert_eq!(fresh.given, None, "{what}");
            agree(&mut world, &fresh.id);
            world.wait(EVERY).look();
            assert_eq!(world.plan.actions.len(), 1, "{what}");
        }
    }
}

#[test]
fn an_agreement_to_a_schedules_stop_stands_while_its_hours_do() {
    let changes: [fn(&mut World); 4] = [
        |_| {},
        |w| w.schedule().start_lead = Seconds::minutes(9),
        |w| w.schedule().radius.hour = cap(3),
        // Another night than the one that is agreed to.
        |w| {
            let until = w.now() + Seconds::days(3);
            let view = w.seen("a").schedule.as_mut().unwrap();
            view.up.retain(|up| up.from < until);
        },
    ];
    for change in changes {
        let (mut world, id) = scheduled();
        change(&mut world);
        assert!(stands(&mut world, &id));
        agree(&mut world, &id);
        world.wait(EVERY).look();
        assert_eq!(world.plan.actions.len(), 1);
    }
}

/// What is down for longer than is known is asked for under one name all the time.
#[test]
fn a_machine_that_is_to_stay_down_is_asked_for_once() {
    let mut world = World::scheduled();
    world.schedule().mode = RuleMode::Approve;
    let mut asked = Vec::new();
    for _ in 0..12 {
        let now = world.now();
        let view = world.seen("a").schedule.as_mut().unwrap();
        view.up.clear();
        view.covers.from = Timestamp(now.0 - 7 * 86_400);
        world.wait(EVERY).look();
        asked.extend(world.care("a").asked.map(|asked| asked.id));
    }
    asked.dedup();
    assert_eq!(asked.len(), 1, "{asked:?}");
    agree(&mut world, &asked[0]);
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions.len(), 1, "{:?}", world.holds());
}
