//! One group, one master: two services of a group, what was taken back and is away, policies that
//! cannot be read, and readings that are older than our own orders.

use fleet::group::{NativePolicy, Owner};
use fleet::{Change, Seconds, Units};
use planner::plan::{Hold, Plan};
use planner::policy::Mode;
use planner::snapshot::{OrderOutcome, OrderResult};
use planner::stage::{Stage, StageAsk, StageRequest, Why, bound_to};
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::{World, name, native_policy, text};
use insta::assert_snapshot;

/// Services `api` and `web`, both of web's group.
fn shared() -> World {
    let mut world = World::new();
    world.add("api");
    let id = world.view().id.clone();
    world.seen("api").group.as_mut().unwrap().id = id;
    world
}

fn holds<'a>(plan: &'a Plan, service: &str) -> Vec<&'a Hold> {
    let of = |finding: &&planner::plan::Finding| finding.service == Some(name(service));
    plan.findings.iter().filter(of).map(|finding| &finding.hold).collect()
}

fn acting(plan: &Plan) -> Vec<String> {
    let real = plan.actions.iter().filter(|action| !action.dry_run);
    real.map(|action| action.service.to_string()).collect()
}

#[test]
fn of_two_services_of_a_group_the_first_sizes_it_and_the_other_says_who_does() {
    let mut world = shared();
    world.demand_of("web", 420.0);
    world.demand_of("api", 1990.0);
    let plan = world.cycle(true);
    assert_eq!(acting(&plan), ["api"]);
    let other = Hold::SizedBy { service: name("api") };
    assert_eq!(holds(&plan, "web"), [&other]);
    assert_eq!(other.word(), "sized-by");
    assert_snapshot!(other, @"the group is sized by service `api`; released by removing `api`, or this service: one service a group");
    // It stays so while the group cannot be read for the one that sizes it.
    let unread = world.seen("api").group.clone();
    world.seen("api").group = Err(fleet::Fault {
        kind: fleet::FaultKind::TimedOut,
        operation: "read".to_owned(),
        detail: String::new(),
        request_id: None,
    });
    let plan = world.cycle(true);
    assert_eq!(acting(&plan), [""; 0]);
    assert_eq!(holds(&plan, "web"), [&other]);
    // Once it is removed, the other one has the group.
    world.seen("api").group = unread;
    world.policy.services.remove(&name("api"));
    world.demand_of("web", 1990.0);
    world.units(10);
    assert_eq!(acting(&world.cycle(true)), ["web"]);
}

#[test]
fn whoever_looked_may_say_who_sizes_a_group() {
    let mut world = shared();
    world.demand_of("web", 1990.0);
    world.demand_of("api", 1990.0);
    let api = world.seen("api").group.as_mut().unwrap();
    api.owner = Some(Owner::service(&name("web")));
    let plan = world.cycle(true);
    assert_eq!(acting(&plan), ["web"]);
    assert_eq!(holds(&plan, "api"), [&Hold::SizedBy { service: name("web") }]);
}

fn demote(world: &mut World, service: &str) {
    let (at, service) = (world.snapshot.taken_at, name(service));
    let ask = StageAsk::Demote { service };
    world.snapshot.requests.push(StageRequest { by: "ann".to_owned(), at, ask });
}

fn promote(world: &mut World, service: &str) {
    let (at, service) = (world.snapshot.taken_at, name(service));
    let bound_to = bound_to(&world.policy, &world.memory.stages, &service);
    let ask = StageAsk::Promote { service, share: None, anyway: true, bound_to };
    world.snapshot.requests.push(StageRequest { by: "bob".to_owned(), at, ask });
}

/// Gives web's group to another service, as a rename does.
fn rename(world: &mut World, from: &str, to: &str) {
    let group = world.seen(from).group.clone();
    world.policy.services.remove(&name(from));
    world.snapshot.services.remove(&name(from));
    world.add(to);
    world.seen(to).group = group;
}

#[test]
fn what_was_taken_back_stays_so_while_it_is_away_and_under_another_name() {
    let mut world = World::new();
    demote(&mut world, "web");
    let _ = world.cycle(true);
    rename(&mut world, "web", "shop");
    for _ in 0..3 {
        world.demand_of("shop", 1990.0);
        let plan = world.cycle(true);
        assert_eq!(acting(&plan), [""; 0], "{}", text(&plan));
    }
    let inherited = world.memory.stages.service(&name("shop")).unwrap().clone();
    assert_eq!(inherited.why, Why::Demoted { by: "ann".to_owned() });
    // Back under its own name, and with nothing at all in between.
    rename(&mut world, "shop", "web");
    world.demand_of("web", 1990.0);
    assert_eq!(acting(&world.cycle(true)), [""; 0]);
    // Until somebody promotes it.
    promote(&mut world, "web");
    assert_eq!(acting(&world.cycle(true)), ["web"]);
    // Another group is nobody's that was taken back.
    demote(&mut world, "web");
    let _ = world.cycle(true);
    world.policy.services.clear();
    world.snapshot.services.clear();
    world.add("api");
    world.demand_of("api", 1990.0);
    assert_eq!(acting(&world.cycle(true)), ["api"]);
}

#[test]
fn policies_that_cannot_be_read_choose_no_other_number() {
    let unread = || NativePolicy::unread("scaling policies unknown: not read yet".to_owned());
    // None were ever read: the minimum stays the operator's.
    let mut world = World::new();
    world.view().policies = vec![unread()];
    world.set_demand(1990.0);
    let plan = world.cycle(true);
    assert!(matches!(plan.actions[0].change, Change::Desired { .. }), "{}", text(&plan));
    world.set_demand(420.0);
    assert!(world.plan().contains("scaling policies unknown"), "nothing shrinks: {}", world.plan());
    // One was read: the minimum goes on being written.
    let mut world = World::new();
    world.view().policies = vec![unread(), native_policy(true)];
    world.set_demand(1990.0);
    let plan = world.cycle(true);
    assert!(matches!(plan.actions[0].change, Change::Minimum { .. }), "{}", text(&plan));
}

fn applied(world: &mut World, change: Change) {
    let at = world.snapshot.taken_at;
    world.seen("web").outcomes = vec![OrderOutcome {
        decision: "1/web".to_owned(),
        at,
        change,
        result: OrderResult::Applied,
    }];
}

#[test]
fn a_reading_of_before_our_own_order_is_nobody_elses_change() {
    let mut world = World::new();
    world.set_demand(1190.0);
    let _ = world.cycle(false);
    applied(&mut world, Change::Desired { from: Units(10), to: Units(12) });
    // Polled every ten seconds; the reading lags, and nothing is ordered again.
    for _ in 0..4 {
        world.set_demand(1190.0);
        let plan = world.cycle(false);
        world.snapshot.taken_at = world.snapshot.taken_at - Seconds(50);
        let told = "- web: held, the result of decision `1/web` is not known; released by a reading that shows its effect";
        assert_eq!(text(&plan), told);
    }
    world.units(12);
    world.set_demand(1190.0);
    let plan = world.cycle(false);
    assert_snapshot!(text(&plan), @"- web: the size is right");
    let memory = &world.memory.services[&name("web")];
    assert_eq!((&memory.lease, &memory.orders.open), (&None, &None));
}

#[test]
fn more_than_was_ordered_is_ordered_at_once_whatever_the_reading_shows() {
    let mut world = World::new();
    world.set_demand(1190.0);
    let _ = world.cycle(false);
    world.snapshot.taken_at = world.snapshot.taken_at - Seconds(50);
    applied(&mut world, Change::Desired { from: Units(10), to: Units(12) });
    world.set_demand(1990.0);
    let change = world.cycle(false).actions[0].change;
    assert_eq!(change, Change::Desired { from: Units(10), to: Units(20) });
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Demote,
    Away,
    Back,
    Renamed,
    Unread,
    Load,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to its entry, its group and its load in between: nobody acts on a group that
    /// was taken back and not promoted.
    #[test]
    fn a_demotion_holds_until_a_promotion(
        events in proptest::collection::vec(
            select(vec![
                Event::Demote, Event::Away, Event::Back, Event::Renamed, Event::Unread, Event::Load,
            ]),
            1..20,
        ),
    ) {
        let mut world = World::new();
        let group = world.seen("web").group.clone();
        demote(&mut world, "web");
        let _ = world.cycle(false);
        let mut called = Some("web");
        for event in events {
            match (event, called) {
                (Event::Demote, Some(service)) => demote(&mut world, service),
                (Event::Away, Some(service)) => {
                    world.policy.services.remove(&name(service));
                    world.snapshot.services.remove(&name(service));
                    called = None;
                }
                (Event::Back, None) | (Event::Renamed, _) => {
                    let to = if called == Some("web") { "shop" } else { "web" };
                    if let Some(service) = called {
                        world.policy.services.remove(&name(service));
                        world.snapshot.services.remove(&name(service));
                    }
                    world.add(to);
                    world.seen(to).group.clone_from(&group);
                    called = Some(to);
                }
                (Event::Unread, Some(service)) => {
                    let fault = fleet::Fault {
                        kind: fleet::FaultKind::TimedOut,
                        operation: "read".to_owned(),
                        detail: String::new(),
                        request_id: None,
                    };
                    world.seen(service).group = Err(fault);
                }
                _ => {}
            }
            if let Some(service) = called {
                world.demand_of(service, 1990.0);
            }
            let plan = world.cycle(false);
            prop_assert!(acting(&plan).is_empty(), "{}", text(&plan));
            if let Some(service) = called {
                world.seen(service).group.clone_from(&group);
                let stage = world.memory.stages.service(&name(service));
                prop_assert!(stage.is_none_or(|memory| memory.stage == Stage::Shadow));
            }
        }
    }

    /// However two services of one group are set, at most one of them acts on it.
    #[test]
    fn a_group_is_never_changed_by_two(
        loads in proptest::collection::vec((50.0..2500.0, 50.0..2500.0, any::<bool>()), 1..8),
        observes in any::<bool>(),
    ) {
        let mut world = shared();
        if observes {
            world.service("api").mode = Mode::Observe;
        }
        for (web, api, applied) in loads {
            world.demand_of("web", web);
            world.demand_of("api", api);
            let plan = world.cycle(applied);
            prop_assert!(plan.actions.len() <= 1, "{}", text(&plan));
            prop_assert_eq!(holds(&plan, "web"), [&Hold::SizedBy { service: name("api") }]);
            // Both see the one group.
            let api = world.seen("api").group.clone();
            world.seen("web").group = api;
        }
    }
}
