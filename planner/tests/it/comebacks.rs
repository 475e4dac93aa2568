//! Machines that come back: databases that the cloud starts by itself, keys without which nothing
//! starts, and starts that do not last.

use fleet::alert::Severity;
use fleet::comeback::{DiskKeys, Started};
use fleet::resource::{Fact, Power, ResourceKind};
use fleet::usage::Signal;
use fleet::{FaultKind, RuleName, Seconds, Timestamp};
use planner::idle::evidence::{Lack, Use, Verdict};
use planner::idle::memory::Care;
use planner::idle::plan::{IdleHold, PowerAction, Verb};
use planner::idle::plan_of;
use planner::idle::snapshot::{Ask, PowerResult};

use crate::idle_world::{EVERY, START, World, fault, name, office};

const WEEK: Seconds = Seconds::days(7);

/// What is remembered of the only machine there is.
fn care(world: &World) -> Care {
    let mut cares = world.memory.cares.values();
    cares.next().cloned().unwrap_or_default()
}

fn approval(world: &World) -> Option<String> {
    world.holds().into_iter().find_map(|hold| match hold {
        IdleHold::NeedsApproval { id, .. } => Some(id),
        _ => None,
    })
}

/// A database, stopped after a person agreed.
fn stopped_database() -> World {
    let mut world = World::new();
    let database = world.resource("a");
    (database.id.kind, database.started_at) = (ResourceKind::Database, None);
    assert!(!world.run(Seconds::hours(2)));
    let id = approval(&world).unwrap();
    world.ask(Ask::Approve { id });
    assert!(world.wait(EVERY).run(EVERY));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    world
}

/// It rests for so long, and the cloud says when it will start it.
fn rested(said: Option<Timestamp>, span: Seconds) -> World {
    let mut world = stopped_database();
    world.facts().comeback.starts_itself_at = said;
    world.wait(EVERY).look();
    // Looks come at the usual interval, as far as the plan knows.
    world.wait(span);
    world.memory.watch.looked_at = Some(world.now() - EVERY);
    world
}

/// It is up again; what the events say of it.
fn up(world: &mut World, told: Fact<Option<Started>>) {
    world.power("a", Power::Running);
    let comeback = &mut world.facts().comeback;
    (comeback.starts_itself_at, comeback.started) = (None, told);
    world.look();
}

fn unread() -> Fact<Option<Started>> {
    Fact::Unread(Box::new(fault(FaultKind::Denied { permission: None })))
}

fn taken_back(world: &World) -> u32 {
    world.memory.rules[&name("idle")].taken_back
}

#[test]
fn what_the_cloud_starts_by_itself_is_stopped_again_under_the_same_agreement() {
    let by_cloud = |world: &World| Fact::Known(Some(Started::ByCloud { at: world.now() }));
    let none = |_: &World| Fact::Known(None);
    let lost = |_: &World| unread();
    type Told = fn(&World) -> Fact<Option<Started>>;
    let week = Some(START + WEEK);
    let cases: [(Option<Timestamp>, Told); 5] =
        [(None, by_cloud), (week, by_cloud), (week, none), (week, lost), (Some(START), by_cloud)];
    for (said, told) in cases {
        let mut world = rested(said, WEEK);
        let told = told(&world);
        up(&mut world, told);
        let seen_up = world.now();
        let mark = care(&world).mark.unwrap();
        assert_eq!(mark.approval.given.as_ref().map(|(by, _)| by.as_str()), Some("ann"));
        assert!(matches!(world.holds()[..], [IdleHold::InGrace { .. }]), "{:?}", world.holds());
        // While it was down there was nothing to measure, and its start shows as use.
        let lack = Lack::Gaps { signal: Signal::Cpu, hours: 700, of: 840 };
        world.verdict("a", Verdict::NotEnoughData(lack));
        assert!(world.wait(EVERY).run(Seconds::hours(5)), "{:?}", world.holds());
        assert!(world.now() >= seen_up + Seconds::hours(4));
        world.answer(&PowerResult::Taken);
        world.wait(EVERY).look();
        assert_eq!((taken_back(&world), care(&world).exempt), (0, None));
        assert_eq!(world.memory.rules[&name("idle")].stops, 2);
        // And once more.
        world.facts().comeback.starts_itself_at = Some(world.now() + WEEK);
        world.wait(EVERY).look();
        world.wait(WEEK);
        world.memory.watch.looked_at = Some(world.now() - EVERY);
        up(&mut world, unread());
        assert!(world.wait(EVERY).run(Seconds::hours(5)), "{:?}", world.holds());
    }
}

#[test]
fn its_start_is_no_use_and_anything_more_is() {
    for (hours, later, stops) in [(1, 0, true), (2, 0, true), (3, 0, false), (1, 2, false)] {
        let mut world = rested(Some(START + WEEK), WEEK);
        up(&mut world, unread());
        let at = world.now() + Seconds::hours(later);
        let by = Use::Above { signal: Signal::Cpu, value_milli: 9, limit_milli: 5, at, hours };
        world.verdict("a", Verdict::InUse { by });
        assert_eq!(world.wait(EVERY).run(Seconds::hours(5)), stops, "{hours} {later}");
        assert_eq!(care(&world).mark.is_some(), stops);
    }
}

#[test]
fn what_a_person_starts_is_left_to_him() {
    let mut early = rested(Some(START + WEEK), Seconds::days(3));
    up(&mut early, unread());
    let mut told = rested(Some(START + WEEK), WEEK);
    let at = told.now();
    up(&mut told, Fact::Known(Some(Started::ByOrder { at })));
    for world in [early, told] {
        assert!(matches!(world.holds()[..], [IdleHold::Exempt { .. }]), "{:?}", world.holds());
        assert_eq!(taken_back(&world), 1);
    }
}

#[test]
fn where_nothing_tells_who_started_it_a_person_is_asked_and_nothing_is_held_against_the_rule() {
    for told in [Fact::Known(None), unread()] {
        let mut world = rested(None, Seconds::hours(2));
        world.power("a", Power::Starting);
        world.facts().comeback.started = told.clone();
        world.look();
        assert!(care(&world).stopped.is_some(), "its events may tell when it is up");
        world.wait(EVERY);
        up(&mut world, told);
        assert_eq!((taken_back(&world), care(&world).exempt), (0, None));
        assert!(!world.wait(EVERY).run(Seconds::hours(8)), "not without another agreement");
        assert!(approval(&world).is_some(), "{:?}", world.holds());
        assert!(world.alerts.iter().any(|title| title.contains("does not tell who started it")));
    }
}

#[test]
fn an_old_event_tells_nothing_of_this_start() {
    let mut world = rested(None, Seconds::hours(2));
    up(&mut world, Fact::Known(Some(Started::ByCloud { at: START - Seconds::days(7) })));
    assert!(care(&world).mark.is_none_or(|mark| mark.approval.given.is_none()));
}

#[test]
fn a_schedule_takes_it_down_again_in_the_same_window() {
    let mut world = World::scheduled();
    let mut view = office();
    // Nobody needs it for a fortnight.
    view.up.retain(|span| span.until < START || span.from > START + Seconds::days(14));
    world.on_schedule("a", view);
    let database = world.resource("a");
    (database.id.kind, database.started_at) = (ResourceKind::Database, None);
    assert!(!world.run(EVERY));
    let id = approval(&world).unwrap();
    world.ask(Ask::Approve { id });
    assert!(world.wait(EVERY).run(EVERY));
    world.answer(&PowerResult::Taken);
    world.wait(EVERY).look();
    world.wait(WEEK);
    world.memory.watch.looked_at = Some(world.now() - EVERY);
    let at = world.now();
    up(&mut world, Fact::Known(Some(Started::ByCloud { at })));
    assert!(matches!(world.plan.actions[..], [PowerAction { verb: Verb::Stop(_), .. }]));
}

#[test]
fn looks_of_before_are_decided_as_they_were() {
    let mut world = rested(Some(START + WEEK), WEEK);
    world.power("a", Power::Running);
    let (_, memory) = plan_of(3, &world.policy, &world.snapshot, &world.memory);
    let rule: RuleName = name("idle");
    assert_eq!(memory.rules[&rule].taken_back, 1);
}

#[test]
fn without_the_keys_of_its_disks_nothing_is_stopped() {
    let disabled = DiskKeys::Unusable { key: "key/1".to_owned(), state: "Disabled".to_owned() };
    let lost = Fact::Unread(Box::new(fault(FaultKind::Denied { permission: None })));
    for (keys, risky, stops) in [
        (Fact::Known(DiskKeys::Usable), false, true),
        (Fact::Known(disabled.clone()), false, false),
        (Fact::Known(disabled), true, false),
        (lost.clone(), false, false),
        (lost, true, true),
        (Fact::Unasked, false, false),
    ] {
        let mut world = World::new();
        world.rule().accept_restart_risk = risky;
        world.facts().comeback.keys = keys.clone();
        assert_eq!(world.run(Seconds::hours(2)), stops, "{keys:?} {risky}");
    }
}

#[test]
fn a_start_that_does_not_last_is_told_at_once_in_the_clouds_words() {
    let mut world = World::stopped();
    let until = world.now() + Seconds::hours(9);
    world.ask(Ask::Wake { resource: "i-a".to_owned(), until });
    world.wait(EVERY).look();
    assert!(matches!(world.plan.actions[..], [PowerAction { verb: Verb::Start, .. }]));
    world.answer(&PowerResult::Taken);
    world.power("a", Power::Starting);
    world.wait(EVERY).look();
    world.down("a");
    let words = "Client.InternalError: Client error on launch";
    world.facts().comeback.fell = Some(words.to_owned());
    world.wait(EVERY).look();
    let alert = &world.plan.alerts[0];
    assert_eq!((alert.severity, alert.title.contains(words)), (Severity::Critical, true));
    assert!(world.holds().iter().any(|hold| hold.to_string().contains(words)));
    let told = |world: &World| world.alerts.iter().filter(|title| title.contains(words)).count();
    let mut orders = 0;
    for _ in 0..24 {
        orders += world.plan.actions.len();
        world.report_all_taken();
        world.wait(EVERY).look();
    }
    assert_eq!(told(&world), 1, "{:?}", world.alerts);
    assert!(orders >= 3, "it is tried again: {orders}");
}
