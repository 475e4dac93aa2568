//! Services that are away from the policy: nothing is decided by what is known of them, and it is there
//! when they are back.

use fleet::{Seconds, Timestamp, Units};
use planner::memory::AWAY_KEPT;
use planner::stage::{StageAsk, StageRequest};
use proptest::prelude::*;

use crate::world::{World, name};

fn leaves(world: &mut World, service: &str) {
    world.policy.services.remove(&name(service));
    world.snapshot.services.remove(&name(service));
}

#[test]
fn what_was_learned_is_kept_for_a_week_and_then_forgotten() {
    let mut world = World::new();
    world.add("other");
    world.demand_of("web", 1990.0);
    let _ = world.cycle(true);
    let _ = world.cycle(true);
    let known = world.memory.services[&name("web")].clone();
    let last = known.last_known().expect("it was looked at");
    leaves(&mut world, "web");
    for away in [Seconds(60), Seconds::hours(1), Seconds::days(3), AWAY_KEPT] {
        world.snapshot.taken_at = last + away;
        let _ = world.cycle(true);
        assert_eq!(world.memory.services.get(&name("web")), Some(&known), "after {away}");
    }
    world.snapshot.taken_at = last + AWAY_KEPT + Seconds(1);
    let _ = world.cycle(true);
    assert!(!world.memory.services.contains_key(&name("web")));
    assert!(world.memory.services.contains_key(&name("other")));
}

#[test]
fn a_clock_that_is_set_back_forgets_nobody_and_what_was_taken_back_stays() {
    let mut world = World::new();
    world.add("other");
    let _ = world.cycle(true);
    leaves(&mut world, "other");
    world.snapshot.taken_at = world.snapshot.taken_at - Seconds::days(400);
    let _ = world.cycle(true);
    assert!(world.memory.services.contains_key(&name("other")));
    let (by, at) = ("ann".to_owned(), world.snapshot.taken_at);
    let ask = StageAsk::Demote { service: name("web") };
    world.snapshot.requests.push(StageRequest { by, at, ask });
    let _ = world.cycle(true);
    leaves(&mut world, "web");
    world.snapshot.taken_at = Timestamp(world.snapshot.taken_at.0 + 800 * 86_400);
    let _ = world.cycle(true);
    let left: Vec<String> = world.memory.services.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["web"]);
}

/// The group of a pair that is left, or a service that somebody calls otherwise now.
#[test]
fn a_group_under_another_name_is_known_and_what_its_name_knew_of_demand_stays() {
    let mut world = World::new();
    world.add("web@green");
    world.snapshot.services.get_mut(&name("web@green")).unwrap().group.as_mut().unwrap().id.id =
        "arn:green".to_owned();
    // Until nothing is ordered any more.
    for _ in 0..30 {
        world.demand_of("web", 1990.0);
        world.demand_of("web@green", 10.0);
        let _ = world.cycle(true);
    }
    let blue = world.memory.services[&name("web")].clone();
    let green = world.memory.services[&name("web@green")].clone();
    assert_ne!((&blue.in_service, &blue.orders), (&green.in_service, &green.orders));
    let shows = world.snapshot.services[&name("web@green")].group.clone();
    leaves(&mut world, "web@green");
    world.seen("web").group = shows.clone();
    let service = world.policy.services[&name("web")].clone();
    let plan = world.cycle(false);
    let now = world.memory.services[&name("web")].clone();
    assert_eq!(now.orders.changed_at, green.orders.changed_at, "its cooldown goes on");
    assert_eq!(now.lead_times, green.lead_times);
    assert!(now.in_service.entries.starts_with(&green.in_service.entries), "{now:?}");
    assert!(now.violations.totals().0 >= blue.violations.totals().0);
    assert_eq!(now.growth.highest, blue.growth.highest, "{plan:?}");
    // A name that nobody had knows the group, too.
    leaves(&mut world, "web");
    world.add("shop");
    *world.service("shop") = service;
    world.seen("shop").group = shows;
    let _ = world.cycle(false);
    let shop = &world.memory.services[&name("shop")];
    assert_eq!(shop.orders.changed_at, green.orders.changed_at);
    assert_eq!(shop.growth.highest, None, "its demand may be counted otherwise");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_is_away_neither_acts_nor_changes_and_goes_on_when_back(
        stays in proptest::collection::vec((1u32..30, 50u32..4_000, any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut world = World::new();
        world.add("other");
        let service = world.policy.services[&name("web")].clone();
        for (cycles, demand, is_away, applied) in stays {
            if is_away {
                leaves(&mut world, "web");
            } else if !world.policy.services.contains_key(&name("web")) {
                let units = Units(10);
                world.add("web");
                *world.service("web") = service.clone();
                let at = world.snapshot.taken_at;
                let view = world.view();
                (view.desired, view.in_service, view.read_at) = (units, units, at);
            }
            let before = world.memory.services.get(&name("web")).cloned();
            for _ in 0..cycles {
                world.demand_of("other", f64::from(demand));
                if !is_away {
                    world.demand_of("web", f64::from(demand));
                }
                let plan = world.cycle(applied);
                let told = plan.findings.iter().filter_map(|finding| finding.service.as_ref());
                let mut named = told.chain(plan.actions.iter().map(|action| &action.service));
                if is_away {
                    prop_assert!(!named.any(|service| *service == name("web")));
                    prop_assert_eq!(world.memory.services.get(&name("web")), before.as_ref());
                } else {
                    prop_assert!(named.any(|service| *service == name("web")));
                }
            }
            let lost = before.is_some() && !world.memory.services.contains_key(&name("web"));
            prop_assert!(!lost, "nobody is forgotten within a week");
        }
    }
}
