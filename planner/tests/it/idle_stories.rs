//! What happens to idle machines and machines on a schedule, each as a short story.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::Severity;
use fleet::money::Saving;
use fleet::resource::{Fact, Power, Resource, ResourceKind};
use fleet::signs::Holder;
use fleet::stop::StopMode;
use fleet::usage::Signal;
use fleet::{AccountId, FaultKind, OrTold, ProviderName, Seconds};
use planner::idle::evidence::{Lack, Use, Verdict};
use planner::idle::memory::{IdleMemory, Scope};
use planner::idle::plan::{IdleHold, PowerAction, Stage, Verb};
use planner::idle::reasons::{ApprovalReason, ExemptReason};
use planner::idle::rule::{Cap, Radius, RuleMode, ScheduleKind};
use planner::idle::schedule::{ScheduleView, Span};
use planner::idle::snapshot::{Ask, PowerResult};
use planner::idle::{MARK_TAG, check_idle, recheck};
use planner::policy::{ActiveFreeze, FreezeScope, Share};
use planner::snapshot::KillSwitch;

use crate::idle_world::{EVERY, START, World, account, cap, fault, id, machine, name, office};

// The life of a candidate

#[test]
fn an_idle_machine_is_marked_waits_is_stopped_and_watched() {
    let mut world = World::new();
    world.rule().mark_tag = true;
    world.tag("owner", "team-1");
    world.look();
    let alert = &world.plan.alerts[0];
    assert_eq!((alert.severity, alert.owner.as_deref()), (Severity::Info, Some("team-1")));
    let tag = &world.plan.tags[0];
    assert_eq!((tag.key.as_str(), tag.value.is_some()), (MARK_TAG, true));
    assert!(world.wait(EVERY).run(Seconds::hours(2)));
    assert_eq!(world.now(), START + Seconds::hours(1));
    assert_eq!(world.plan.actions[0].verb, Verb::Stop(StopMode::Plain));
    assert_eq!(world.stage(), Stage::Acting(Verb::Stop(StopMode::Plain)));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    assert_eq!(world.plan.tags[0].value, None, "the mark is taken off again");
    assert_eq!(world.memory.rules[&name("idle")].stops, 1);
    assert!(!world.wait(EVERY).run(Seconds::hours(3)), "it stays down");
}

#[test]
fn neither_a_jump_of_the_clock_nor_a_pause_of_the_daemon_brings_a_stop_nearer() {
    for pause in [Seconds::days(1), Seconds::days(2)] {
        let mut world = World::new();
        world.rule().grace = Seconds::hours(6);
        world.look();
        world.wait(pause).look();
        let left = world.holds().into_iter().find_map(|hold| match hold {
            IdleHold::InGrace { left } => Some(left),
            _ => None,
        });
        assert_eq!(left, Some(Seconds::hours(6)));
        assert!(!world.wait(EVERY).run(Seconds::hours(5)));
    }
    // Grace that is over does not help right after a jump, either way.
    for back in [false, true] {
        let mut world = World::new();
        world.rule().mode = RuleMode::Approve;
        world.run(Seconds::hours(2));
        world.rule().mode = RuleMode::Act;
        let now = world.now();
        let day = Seconds::days(1);
        world.snapshot.taken_at = if back { now - day } else { now + day };
        world.look();
        assert!(matches!(world.holds()[..], [IdleHold::NotSteady { .. }]), "{:?}", world.holds());
        assert!(!world.wait(EVERY).run(Seconds::minutes(5)));
        assert!(world.wait(EVERY).run(Seconds::minutes(10)));
    }
}

#[test]
fn an_agreement_stops_once_and_a_refusal_exempts() {
    let asked = || {
        let mut world = World::new();
        world.rule().mode = RuleMode::Approve;
        assert!(!world.run(Seconds::hours(2)));
        let approval = world.care("a").mark.unwrap().approval.id;
        (world, approval)
    };
    let (mut world, approval) = asked();
    world.ask(Ask::Approve { id: "another".to_owned() });
    world.wait(EVERY).look();
    assert!(world.plan.actions.is_empty());
    world.ask(Ask::Approve { id: approval.clone() });
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions.len(), 1);
    let (mut world, approval) = asked();
    world.ask(Ask::Reject { id: approval });
    world.wait(EVERY).look();
    let until = world.now() + Seconds::days(14);
    let why = ExemptReason::Refused { by: "ann".to_owned() }.into();
    assert_eq!(world.holds(), [IdleHold::Exempt { why, until }]);
    assert_eq!(world.care("a").mark, None);
}

#[test]
fn an_agreement_and_a_mark_are_void_after_a_restart() {
    let mut world = World::new();
    world.rule().mode = RuleMode::Approve;
    world.run(Seconds::minutes(30));
    let approval = world.care("a").mark.unwrap().approval.id;
    world.ask(Ask::Approve { id: approval.clone() });
    world.wait(EVERY).look();
    world.start_by_hand("a");
    world.wait(EVERY).look();
    let mark = world.care("a").mark.unwrap();
    assert_ne!(mark.approval.id, approval);
    assert_eq!(mark.approval.given, None);
    assert!(!world.wait(EVERY).run(Seconds::hours(2)));
}

#[test]
fn a_mark_is_taken_back_on_use_on_a_lost_tag_and_on_a_group() {
    let changes: [fn(&mut World); 3] = [
        |w| {
            w.verdict(
                "a",
                Verdict::InUse { by: Use::Holder(Holder::Resource("x".to_owned()).into()) },
            )
        },
        |w| drop(w.resource("a").tags.remove("neap:managed")),
        |w| w.facts().scaling_group = Fact::Known(Some("g".to_owned())),
    ];
    for change in changes {
        let mut world = World::new();
        world.rule().mark_tag = true;
        world.look();
        change(&mut world);
        world.wait(EVERY).look();
        assert_eq!(world.care("a").mark, None);
        assert_eq!(world.plan.tags[0].value, None);
        assert_eq!(world.plan.alerts.len(), 1);
        assert!(!world.wait(EVERY).run(Seconds::hours(2)));
    }
}

#[test]
fn a_fact_that_cannot_be_read_holds_and_leaves_the_mark() {
    let mut world = World::new();
    world.look();
    world.facts().alarms = Fact::Unread(Box::new(fault(FaultKind::TimedOut)));
    assert!(!world.wait(EVERY).run(Seconds::hours(2)));
    assert!(world.care("a").mark.is_some());
    world.facts().alarms = Fact::Known(Vec::new());
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions.len(), 1);
}

#[test]
fn what_somebody_starts_again_is_left_alone_and_two_of_these_cost_the_rule_its_trust() {
    let mut world = World::stopped();
    world.start_by_hand("a");
    world.wait(EVERY).look();
    assert!(matches!(world.holds()[..], [IdleHold::Exempt { .. }]), "{:?}", world.holds());
    assert_eq!(world.memory.rules[&name("idle")].taken_back, 1);
    world.add(machine("b"));
    assert!(world.wait(EVERY).run(Seconds::hours(2)));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    world.start_by_hand("b");
    world.add(machine("c"));
    world.wait(EVERY).look();
    let asks = |world: &World| world.memory.cares[&id("c")].mark.is_some();
    assert!(asks(&world));
    assert!(!world.wait(EVERY).run(Seconds::hours(2)), "people decide now");
    world.ask(Ask::Release { rule: name("idle") });
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions[0].resource, id("c"));
}

#[test]
fn an_unanswered_stop_is_looked_at_first() {
    for (seen, stopped) in [(true, true), (false, false)] {
        let mut world = World::new();
        assert!(world.run(Seconds::hours(2)));
        let action = world.plan.actions[0].clone();
        world.answer(&PowerResult::Unconfirmed { effect_seen: None });
        if seen {
            // The machine goes down before anybody could look at the order.
            world.follow(&action);
        }
        world.wait(EVERY).look();
        assert!(world.plan.actions.is_empty());
        assert_eq!(world.care("a").by_hand, None, "nobody else did it");
        world.report(&action, &PowerResult::Unconfirmed { effect_seen: Some(seen) });
        world.wait(EVERY).look();
        assert_eq!(world.care("a").stopped.is_some(), stopped);
        assert_eq!(world.plan.actions.len(), usize::from(!stopped), "tried again if it was lost");
    }
}

#[test]
fn a_stop_that_the_listing_does_not_show_yet_is_not_ordered_again() {
    let mut world = World::new();
    world.rule().grace = Seconds::ZERO;
    world.look();
    let action = world.plan.actions[0].clone();
    world.report(&action, &PowerResult::Taken);
    world.wait(EVERY).look();
    assert_eq!(world.holds(), [IdleHold::OrderOpen { since: world.now() - EVERY }]);
    assert!(world.wait(EVERY).run(Seconds::minutes(40)), "it had no effect, and is told again");
    assert!(world.alerts.iter().any(|title| title.contains("had no effect")));
}

#[test]
fn a_stop_that_fails_gives_back_its_own_part_of_the_caps_alone() {
    let mut world = World::new();
    world.rule().grace = Seconds::ZERO;
    let mut other = machine("b");
    other.id.account = AccountId::new("two").unwrap();
    world.add(other);
    world.look();
    let [first, second] = &world.plan.actions.clone()[..] else { panic!("{:?}", world.plan) };
    let failed = PowerResult::Failed { fault: fault(FaultKind::Refused) };
    world.report(first, &failed);
    world.report(second, &PowerResult::Taken);
    world.follow(second);
    let drawn = |memory: &IdleMemory| memory.stops.values().map(Vec::len).sum::<usize>();
    assert_eq!(drawn(&world.memory), 4);
    world.policy.account_radius = Radius { hour: cap(0), day: cap(0) };
    world.wait(EVERY).look();
    assert_eq!(drawn(&world.memory), 2);
    assert!(!world.memory.stops.contains_key(&account()));
}

// How much at once

#[test]
fn a_surge_is_held_until_a_person_has_looked() {
    let mut world = World::new();
    world.rule().grace = Seconds::ZERO;
    world.snapshot.matched.insert(name("idle"), 100);
    world.look();
    assert_eq!(world.holds(), [IdleHold::Surge { matched: 100, before: 1 }]);
    world.wait(EVERY).look();
    assert!(world.plan.actions.is_empty());
    world.ask(Ask::Release { rule: name("idle") });
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions.len(), 1);
}

#[test]
fn a_day_cap_holds_all_and_an_hour_cap_lets_the_dearest_go_first() {
    let fleet = |day| {
        let mut world = World::empty();
        world.rule().grace = Seconds::ZERO;
        world.rule().radius = Radius { hour: cap(2), day: cap(day) };
        for (text, micro) in [("a", 1), ("b", 5), ("c", 3), ("d", 4), ("e", 2)] {
            world.add(machine(text));
            world.seen(text).saving = Some(Saving {
                resource: id(text),
                price: None,
                hourly_micro: Some(micro),
                still_paid: Vec::new(),
            });
        }
        world
    };
    let mut world = fleet(4);
    world.look();
    assert!(world.plan.actions.is_empty());
    assert!(
        world.plan.findings.iter().all(|f| matches!(f.holds[..], [IdleHold::AboveDayCap { .. }]))
    );
    assert!(world.alerts.iter().any(|title| title.contains("5 stops fall due")));
    let mut world = fleet(5);
    world.look();
    let told = |world: &World| -> Vec<String> {
        world.plan.actions.iter().map(|action| action.resource.id.clone()).collect()
    };
    assert_eq!(told(&world), ["i-b", "i-d"]);
    let held = IdleHold::BlastRadius {
        scope: Scope::Rule {
            rule: name("idle"),
            provider: ProviderName::new("sim").unwrap(),
            account: AccountId::new("one").unwrap(),
        }
        .into(),
        done: 2,
        cap: 2,
        until: START + Seconds::hours(1),
    };
    assert_eq!(world.holds(), [held]);
    assert!(matches!(world.stage(), Stage::Marked { .. }));
    world.answer(&PowerResult::Taken);
    assert!(world.wait(EVERY).run(Seconds::hours(2)));
    assert_eq!(
        (told(&world), world.now()),
        (vec!["i-c".to_owned(), "i-e".to_owned()], START + Seconds::hours(1))
    );
}

#[test]
fn the_kill_switch_writes_nothing_at_all() {
    let mut world = World::new();
    world.rule().mark_tag = true;
    world.look();
    world.add(machine("b"));
    world.snapshot.kill_switch = KillSwitch::Thrown { why: OrTold::Told("x".to_owned()) };
    world.verdict("a", Verdict::InUse { by: Use::Holder(Holder::Resource("x".to_owned()).into()) });
    world.wait(EVERY).look();
    assert!(world.plan.tags.is_empty() && world.care("b").mark.is_none());
}

#[test]
fn databases_wait_for_a_person_whatever_the_rule_says() {
    let mut world = World::new();
    world.resource("a").id.kind = ResourceKind::Database;
    assert!(!world.run(Seconds::hours(2)));
    let asks = |hold: &IdleHold| {
        let IdleHold::NeedsApproval { why, .. } = hold else { return false };
        why.value() == Some(&ApprovalReason::Database)
    };
    assert!(world.holds().iter().any(asks), "{:?}", world.holds());
}

// Schedules

#[test]
fn a_missed_hour_is_caught_up() {
    let mut world = World::scheduled();
    world.look();
    // The daemon was down over the evening.
    world.wait(Seconds::hours(12)).look();
    assert!(matches!(world.holds()[..], [IdleHold::NotSteady { .. }]), "{:?}", world.holds());
    assert!(world.wait(EVERY).run(Seconds::hours(1)), "stopped late");
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    // And over the morning.
    world.wait(Seconds::hours(10)).look();
    assert_eq!(world.plan.actions[0].verb, Verb::Start, "starts do not wait");
}

#[test]
fn a_start_is_early_by_what_was_measured() {
    let mut world = World::kept_down();
    let morning = START + Seconds::hours(19);
    assert_eq!(morning.since(world.now()), Seconds::minutes(5), "three of lead, five of interval");
    world.answer(&PowerResult::Failed { fault: fault(FaultKind::Throttled { retry_after: None }) });
    let mut world = World::kept_down();
    let key = "sim/z/m.large".to_owned();
    world.memory.starts.entry(key).or_default().took = vec![1500; 8];
    world.power("a", Power::Stopped { charged: Some(false) });
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    assert!(world.run(Seconds::hours(13)), "the evening's stop");
    world.answer(&PowerResult::Taken);
    assert!(world.wait(EVERY).run(Seconds::hours(13)));
    let next = morning + Seconds::days(1);
    assert_eq!(next.since(world.now()), Seconds::minutes(30));
}

#[test]
fn what_people_do_is_left_until_the_next_boundary() {
    // Started at night: left up until the morning, and stopped in the evening.
    let mut world = World::scheduled();
    assert!(world.run(Seconds::hours(8)));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    world.wait(EVERY).start_by_hand("a");
    world.look();
    let until = START + Seconds::hours(19);
    assert_eq!(world.holds(), [IdleHold::ByHand { up: true, until }]);
    assert!(world.wait(EVERY).run(Seconds::hours(26)));
    assert_eq!(world.now(), START + Seconds::hours(31));
    // Stopped by day: left down until the evening, and started in the morning.
    let mut world = World::scheduled();
    world.look();
    world.down("a");
    world.wait(EVERY).look();
    let until = START + Seconds::hours(7);
    assert_eq!(world.holds(), [IdleHold::ByHand { up: false, until }]);
    assert!(world.wait(EVERY).run(Seconds::hours(24)));
    assert_eq!(world.now(), START + Seconds::hours(19) - EVERY);
}

#[test]
fn one_sided_schedules_go_one_way() {
    let mut world = World::scheduled();
    world.schedule().kind = ScheduleKind::StopOnly;
    assert!(world.run(Seconds::hours(8)));
    world.answer(&PowerResult::Taken);
    assert!(!world.wait(EVERY).run(Seconds::hours(20)));
    let mut world = World::scheduled();
    world.schedule().kind = ScheduleKind::StartOnly;
    assert!(!world.run(Seconds::hours(10)));
}

#[test]
fn the_database_is_up_before_the_application_and_down_after_it() {
    let mut world = World::empty();
    world.schedule().order_tag = Some("order".to_owned());
    for (text, order) in [("a", 2), ("db", 1)] {
        world.add(machine(text));
        world.on_schedule(text, ScheduleView { order, ..office() });
    }
    let mut told = Vec::new();
    let until = START + Seconds::hours(30);
    while world.now() < until {
        world.look();
        let of = |action: &PowerAction| (action.resource.id.clone(), action.verb == Verb::Start);
        told.extend(world.plan.actions.iter().map(of));
        world.answer(&PowerResult::Taken);
        world.wait(EVERY);
    }
    let order = [("i-a", false), ("i-db", false), ("i-db", true), ("i-a", true)];
    assert_eq!(told, order.map(|(id, up)| (id.to_owned(), up)));
}

#[test]
fn nobody_waits_for_a_machine_that_stays_down() {
    let changes: [fn(&mut World); 2] = [
        |w| drop(w.resource("db").tags.remove("neap:managed")),
        |w| w.seen("db").schedule.as_mut().unwrap().up.clear(),
    ];
    for change in changes {
        let mut world = World::empty();
        world.schedule().order_tag = Some("order".to_owned());
        for (text, order) in [("a", 2), ("db", 1)] {
            world.add(machine(text));
            world.on_schedule(text, ScheduleView { order, ..office() });
            world.down(text);
        }
        change(&mut world);
        world.snapshot.taken_at = START + Seconds::hours(9);
        assert!(world.run(Seconds::hours(12)));
        assert_eq!(world.plan.actions[0].resource, id("a"));
    }
}

#[test]
fn a_wake_starts_what_was_stopped_and_keeps_it_up_for_a_while() {
    let mut world = World::stopped();
    let until = world.now() + Seconds::hours(2);
    world.ask(Ask::Wake { resource: "i-a".to_owned(), until });
    world.wait(EVERY).look();
    assert_eq!(world.plan.actions[0].verb, Verb::Start);
    world.answer(&PowerResult::Taken);
    assert!(!world.wait(EVERY).run(Seconds::hours(1)));
    assert!(world.holds().contains(&IdleHold::Woken { by: "ann".to_owned(), until }));
    assert_eq!(world.memory.rules[&name("idle")].taken_back, 0);
    assert!(world.wait(EVERY).run(Seconds::hours(4)), "and after that it is as before");
    assert!(world.now() >= until + Seconds::hours(1));
}

#[test]
fn a_database_on_a_schedule_is_agreed_to_each_time() {
    let mut world = World::scheduled();
    world.resource("a").id.kind = ResourceKind::Database;
    let mut agreed = BTreeSet::new();
    for _ in 0..2 {
        assert!(!world.run(Seconds::hours(8)));
        let asked = world.holds().into_iter().find_map(|hold| match hold {
            IdleHold::NeedsApproval { id, .. } => Some(id),
            _ => None,
        });
        let asked = asked.unwrap();
        assert!(agreed.insert(asked.clone()), "each stop has its own agreement");
        world.ask(Ask::Approve { id: asked });
        world.wait(EVERY).look();
        assert!(matches!(world.plan.actions[..], [PowerAction { verb: Verb::Stop(_), .. }]));
        world.answer(&PowerResult::Taken);
        assert!(world.wait(EVERY).run(Seconds::hours(20)), "it is started");
        world.answer(&PowerResult::Taken);
        world.wait(EVERY);
        world.run(Seconds::hours(6));
        world.wait(EVERY);
    }
}

#[test]
fn a_start_without_room_is_tried_with_growing_pauses_and_told_of_once() {
    let mut world = World::kept_down();
    let mut at = Vec::new();
    for _ in 0..120 {
        if !world.plan.actions.is_empty() {
            at.push(world.now());
        }
        world.answer(&PowerResult::Failed { fault: fault(FaultKind::OutOfCapacity) });
        world.wait(Seconds(30)).look();
    }
    let pauses: Vec<u64> = at.windows(2).map(|pair| pair[1].since(pair[0]).0).collect();
    assert_eq!(pauses[..6], [60, 90, 150, 270, 510, 630]);
    let told = world.alerts.iter().filter(|title| title.contains("cannot be brought back"));
    assert_eq!(told.count(), 1);
    assert!(world.memory.starts["sim/z/m.large"].without_capacity > 6);
}

#[test]
fn what_a_schedule_covers_no_more_is_left_as_it_is() {
    let mut world = World::scheduled();
    let covers = Span { from: START - Seconds::days(2), until: START - Seconds::days(1) };
    world.seen("a").schedule.as_mut().unwrap().covers = covers;
    world.look();
    assert!(matches!(world.holds()[..], [IdleHold::ScheduleUnread(_)]));
}

#[test]
fn a_freeze_of_removals_lets_starts_go_and_one_of_all_does_not() {
    for (scope, starts) in [(FreezeScope::Decreases, true), (FreezeScope::All, false)] {
        let mut world = World::scheduled();
        assert!(world.run(Seconds::hours(8)));
        world.answer(&PowerResult::Taken);
        world.wait(EVERY).look();
        let until = START + Seconds::days(2);
        let (name, services) = ("sale".to_owned(), Vec::new());
        world.snapshot.freezes = vec![ActiveFreeze { name, scope, services, until }];
        assert_eq!(world.wait(EVERY).run(Seconds::hours(14)), starts);
    }
}

// The last look

#[test]
fn the_last_look_stops_a_stop() {
    let mut world = World::new();
    assert!(world.run(Seconds::hours(2)));
    let (action, fresh) = (world.plan.actions[0].clone(), world.resource("a").clone());
    let quiet: BTreeMap<Signal, f64> = [
        (Signal::Cpu, 1.0),
        (Signal::NetworkIn, 10.0),
        (Signal::NetworkOut, 10.0),
        (Signal::DiskOps, 0.1),
    ]
    .into();
    let told = |change: &dyn Fn(&mut Resource, &mut BTreeMap<Signal, f64>)| {
        let (mut fresh, mut newest) = (fresh.clone(), quiet.clone());
        change(&mut fresh, &mut newest);
        recheck(&world.policy, &action, &fresh, &newest)
    };
    assert_eq!(told(&|_, _| ()), Ok(()));
    let stale = IdleHold::NotEnoughData(Lack::Stale { signal: Signal::Cpu, newest: None });
    for (change, hold) in [
        (
            Box::new(|r: &mut Resource, _: &mut BTreeMap<Signal, f64>| r.created_at = Some(START))
                as Box<dyn Fn(&mut Resource, &mut BTreeMap<Signal, f64>)>,
            IdleHold::Gone,
        ),
        (Box::new(|r, _| r.power = Power::Gone), IdleHold::Gone),
        (Box::new(|r, _| r.power = Power::Stopping), IdleHold::NotRunning(Power::Stopping)),
        (Box::new(|r, _| r.started_at = Some(START)), IdleHold::ByHand { up: true, until: START }),
        (
            Box::new(|r, _| r.tags.clear()),
            IdleHold::NotOptedIn { tag: "neap:managed=true".to_owned() },
        ),
        (
            Box::new(|r, _| drop(r.tags.insert("neap:protect".to_owned(), "yes".to_owned()))),
            IdleHold::ProtectTag { tag: "neap:protect=yes".to_owned() },
        ),
        (Box::new(|_, newest| newest.retain(|signal, _| *signal != Signal::Cpu)), stale.clone()),
        (Box::new(|_, newest| newest.extend([(Signal::Cpu, f64::NAN)])), stale),
        (
            Box::new(|_, newest| newest.extend([(Signal::Cpu, 30.0)])),
            IdleHold::InUse(Use::Above {
                signal: Signal::Cpu,
                value_milli: 30_000,
                limit_milli: 5_000,
                at: START,
                hours: 1,
            }),
        ),
    ] {
        assert_eq!(told(&change), Err(hold));
    }
}

#[test]
fn the_checker_finds_what_it_is_there_for() {
    let mut world = World::new();
    let before = world.memory.clone();
    assert!(world.run(Seconds::hours(2)));
    let plan = world.plan.clone();
    let found = check_idle(&world.policy, &world.snapshot, &before, &plan);
    assert!(found.iter().any(|broken| broken.what == "stopped without a mark"), "{found:?}");
    world.facts().local_disk = Fact::Known(true);
    world.verdict("a", Verdict::InUse { by: Use::Holder(Holder::Resource("x".to_owned()).into()) });
    world.policy.account_radius =
        Radius { hour: cap(0), day: Cap { share: Share::percent(1), at_least: 0 } };
    let found = check_idle(&world.policy, &world.snapshot, &world.memory, &plan);
    for part in ["local disk", "not idle", "0 allowed"] {
        assert!(found.iter().any(|broken| broken.what.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn a_stop_that_somebody_takes_back_is_found_once_however_soon() {
    use planner::idle::started_again;
    let mut world = World::stopped();
    let find = |world: &mut World| {
        let (before, outcomes) = (world.memory.clone(), world.snapshot.outcomes.clone());
        world.look();
        let found = started_again(&before, &outcomes, &world.memory);
        found.into_iter().map(|one| (one.rule.0, one.resource.id)).collect::<Vec<_>>()
    };
    let this = vec![("idle".to_owned(), "i-a".to_owned())];
    assert_eq!(find(world.wait(EVERY)), []);
    world.wait(EVERY).start_by_hand("a");
    assert_eq!(find(&mut world), this);
    assert_eq!(find(world.wait(EVERY)), []);
    // Before the look after the stop.
    let mut world = World::new();
    assert!(world.run(Seconds::hours(2)));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).start_by_hand("a");
    assert_eq!(find(&mut world), this);
    // One that is woken is neap's own start.
    let mut world = World::stopped();
    world.ask(Ask::Wake { resource: "i-a".to_owned(), until: world.now() + Seconds::days(1) });
    assert!(world.run(Seconds::hours(1)));
    world.answer(&PowerResult::Taken);
    assert_eq!(find(world.wait(EVERY)), []);
}
