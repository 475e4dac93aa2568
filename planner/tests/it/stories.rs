//! What users of other autoscalers suffered from, each as a short story that ends well here.

use std::collections::BTreeMap;

use fleet::group::{Cause, NativePolicy, Owner, Process, ServingSign};
use fleet::{
    AccountId, Change, Fault, FaultKind, OrTold, Place, ProviderName, Region, Seconds, Step,
    Timestamp, Units,
};
use planner::Memory;
use planner::demand::{Assembly, Member};
use planner::lead::Lead;
use planner::memory::OpenOrder;
use planner::plan::{Finding, Hold};
use planner::policy::{
    ActiveFreeze, Actuate, Budgets, CapacityPerUnit, EventFloor, FreezeScope, LeadTimeRule, Mode,
    PoolPolicy, Share,
};
use planner::snapshot::{
    DemandPoint, DemandView, Disk, Hours, KillSwitch, Launched, NoAnswer, NoForecast, OrderOutcome,
    OrderResult, Trend,
};

use crate::world::{World, activity, name, native_policy, text};
use insta::assert_snapshot;

/// Changes the world of one service and returns its plan, a line each.
fn told(change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new();
    change(&mut world);
    world.plan()
}

fn timeout() -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        operation: "GetMetricData".to_owned(),
        detail: String::new(),
        request_id: None,
    }
}

fn stale(world: &mut World) {
    let at = world.snapshot.taken_at;
    world.set_demand(100.0);
    world.demand().settled.as_mut().unwrap().start = at - Seconds::minutes(20);
}

// Why did it (not) scale? (1)

#[test]
fn a_quiet_service_says_so() {
    assert_snapshot!(told(|_| ()), @"- web: the size is right");
}

#[test]
fn a_forecast_orders_ahead_of_the_peak() {
    assert_snapshot!(told(|w| w.expect(1450.0, 1450.0)), @"> web: desired 10 -> 15, forecast wants 15 units for 1450/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s");
}

#[test]
fn a_new_service_starts_reactive_and_says_so() {
    assert_snapshot!(told(|w| {
        w.no_forecast();
        w.set_demand_only(1020.0);
        w.demand().fastest_rise = 150.0;
    }), @r"
    > web: desired 10 -> 12, demand now wants 12 units, demand now 1020/s, a unit serves 100/s
    - web: no forecast (30 samples so far, 288 are needed): current demand decides alone
    ");
}

#[test]
fn a_night_is_answered_by_taking_units_away() {
    assert_snapshot!(told(|w| w.set_demand(420.0)), @"> web: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s");
}

#[test]
fn what_may_be_needed_again_soon_is_kept() {
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.expect(420.0, 800.0) }), @r"
    > web: desired 10 -> 8, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 8 units, 8 units may be needed again within 15m; released by a forecast that fits the smaller size
    ");
}

#[test]
fn a_service_that_was_not_looked_at_is_not_passed_over_in_silence() {
    assert_snapshot!(told(|w| w.snapshot.services.clear()), @"- web: held, it was not read in this cycle; released by the next cycle that reaches it");
}

#[test]
fn a_group_that_cannot_be_read_is_held() {
    assert_snapshot!(told(|w| w.seen("web").group = Err(timeout())), @"- web: held, the group could not be read: `GetMetricData` timed out; released by the next reading of the group that succeeds");
}

#[test]
fn a_place_without_an_answer_is_told_and_holds_nobody() {
    let region = |region: &str| Place {
        provider: ProviderName::new("aws").unwrap(),
        account: AccountId::new("111122223333").unwrap(),
        region: Region::new(region).unwrap(),
    };
    let why = |known_at| NoAnswer { fault: timeout(), since: Timestamp(1_772_452_500), known_at };
    assert_snapshot!(told(|w| {
        w.set_demand(1500.0);
        w.snapshot.undiscovered.insert(region("eu-west-1"), why(None));
        w.snapshot.undiscovered.insert(region("eu-north-1"), why(Some(Timestamp(1_772_452_200))));
    }), @r"
    > web: desired 10 -> 15, forecast wants 15 units for 1500/s at p98.81 within 7m, demand now 1500/s, a unit serves 100/s
    - fleet: since 2026-03-02T11:55:00Z groups in aws/111122223333/eu-north-1 cannot be looked for: `GetMetricData` timed out; its groups are known as of 2026-03-02T11:50:00Z; released by the next answer of aws/111122223333/eu-north-1
    - fleet: since 2026-03-02T11:55:00Z groups in aws/111122223333/eu-west-1 cannot be looked for: `GetMetricData` timed out; none of its groups is known; released by the next answer of aws/111122223333/eu-west-1
    ");
}

// Dry run (3, 23)

#[test]
fn observe_shows_the_same_action_and_changes_nothing() {
    let mut world = World::new();
    world.policy.mode = Mode::Observe;
    world.set_demand(420.0);
    assert_snapshot!(world.plan(), @r#"
    > web: desired 10 -> 5 (dry run), forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: held, mode is `observe`: the change is only shown; released by `mode = "act"`
    "#);
    let _ = world.cycle(true);
    let memory = &world.memory.services[&name("web")];
    assert_eq!((&memory.orders.open, memory.orders.changed_at), (&None, None));
}

#[test]
fn a_dry_run_reports_the_breach_of_a_budget_and_finishes_the_plan() {
    let mut world = World::new();
    world.policy.mode = Mode::Observe;
    world.policy.budgets = Budgets::default();
    world.add("api");
    world.set_demand(420.0);
    world.demand_of("api", 1990.0);
    assert_snapshot!(world.plan(), @r#"
    > api: desired 10 -> 20 (dry run), forecast wants 20 units for 1990/s at p98.81 within 7m, demand now 1990/s, a unit serves 100/s
    > web: desired 10 -> 9 (dry run), forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - api: held, mode is `observe`: the change is only shown; released by `mode = "act"`
    - web: held, mode is `observe`: the change is only shown; released by `mode = "act"`
    - web: limited from 5 to 9 units, the removal budget of the group allows 1 more unit until 2026-03-02T12:10:00Z
    "#);
    let _ = world.cycle(true);
    assert_eq!(world.memory.fleet, Memory::default().fleet);
}

// Metrics that fail (4, 5, 6)

#[test]
fn a_metric_source_that_died_takes_nothing_away() {
    assert_snapshot!(told(|w| {
        stale(w);
        w.demand().fault = Some(timeout());
    }), @"- web: held, the newest sample of demand is 19m old, the limit is 5m; released by samples arriving again");
}

#[test]
fn absent_demand_takes_nothing_away() {
    assert_snapshot!(told(|w| {
        w.demand().settled = None;
        w.seen("web").forecast = Err(NoForecast::NoData);
        w.demand().fault = Some(timeout());
    }), @r"
    - web: held, demand is not known: `GetMetricData` timed out; released by samples arriving again
    - web: no forecast (no samples arrive): current demand decides alone
    ");
}

#[test]
fn stale_data_still_grow_to_what_was_last_trusted() {
    let mut world = World::new();
    world.pool().max_step_up = Some(Units(2));
    world.expect(1450.0, 1450.0);
    let _ = world.cycle(true);
    stale(&mut world);
    world.seen("web").forecast = Err(NoForecast::NoData);
    assert_snapshot!(world.plan(), @r"
    > web: desired 12 -> 14, last trusted value wants 15 units, a unit serves 100/s
    - web: limited from 15 to 14 units, a step up is at most 2 units
    - web: no forecast (no samples arrive): current demand decides alone
    ");
}

#[test]
fn one_dead_member_of_many_costs_its_share_only() {
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.demand().missing = Share::from_fraction(1.0 / 160.0).unwrap();
    }), @"> web: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s");
}

#[test]
fn half_the_members_missing_justify_half_the_decrease_and_any_growth() {
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.demand().missing = Share::percent(50);
    }), @r"
    > web: desired 10 -> 8, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 8 units, metrics of 50% of demand are missing; released by samples arriving again
    ");
    assert_snapshot!(told(|w| {
        w.set_demand(1420.0);
        w.demand().missing = Share::percent(50);
    }), @"> web: desired 10 -> 15, forecast wants 15 units for 1420/s at p98.81 within 7m, demand now 1420/s, a unit serves 100/s");
}

#[test]
fn provisional_samples_raise_and_never_lower() {
    let provisional = |w: &mut World, value| {
        let start = w.snapshot.taken_at - Seconds(120);
        w.demand().provisional = vec![DemandPoint { start, value, censored: false }];
    };
    assert_snapshot!(told(|w| { w.expect(100.0, 100.0); provisional(w, 1300.0) }), @"> web: desired 10 -> 13, demand now wants 13 units, demand now 1300/s, a unit serves 100/s");
    assert_snapshot!(told(|w| { w.expect(100.0, 100.0); provisional(w, 10.0) }), @"- web: held, only samples that may still change call for less; released by the sample settling");
    assert_snapshot!(told(|w| {
        w.expect(100.0, 100.0);
        w.demand().settled = None;
        provisional(w, 10.0);
    }), @"- web: held, only samples that may still change call for less; released by the sample settling");
}

#[test]
fn a_censored_sample_multiplies_growth_and_teaches_no_fall() {
    let mut world = World::new();
    world.pool().max_step_up = Some(Units(3));
    let full = |world: &mut World, value: f64| {
        world.set_demand(value);
        world.demand().settled.as_mut().unwrap().censored = true;
    };
    full(&mut world, 990.0);
    assert_snapshot!(text(&world.cycle(true)), @r"
    > web: desired 10 -> 13, demand now wants 15 units, demand now 990/s, a unit serves 100/s
    - web: limited from 15 to 13 units, a step up is at most 3 units
    ");
    full(&mut world, 1290.0);
    // What was ordered is not in service yet when this sample was taken.
    assert_snapshot!(text(&world.cycle(true)), @"> web: desired 13 -> 15, demand now wants 15 units, demand now 1290/s, a unit serves 100/s");
    full(&mut world, 200.0);
    assert_snapshot!(world.plan(), @"- web: held, capacity was full, so demand is at least what was seen; released by a sample below the limits of utilisation and errors");
}

#[test]
fn a_number_that_cannot_be_true_takes_nothing_away() {
    assert_snapshot!(told(|w| {
        w.expect(100.0, 100.0);
        w.demand().settled.as_mut().unwrap().value = f64::NAN;
    }), @"- web: held, demand of NaN at 2026-03-02T11:57:00Z cannot be true; released by a sample that can be true");
}

// Cooldown and surges (7, 8, 20)

#[test]
fn surge_inside_cooldown_is_answered() {
    let mut world = World::new();
    world.set_demand(1150.0);
    let _ = world.cycle(true);
    world.set_demand(850.0);
    assert_snapshot!(world.plan(), @"- web: held, the size changed recently; until 2026-03-02T12:05:00Z");
    world.set_demand(1990.0);
    assert_snapshot!(world.plan(), @"> web: desired 12 -> 20, forecast wants 20 units for 1990/s at p98.81 within 7m, demand now 1990/s, a unit serves 100/s");
}

#[test]
fn what_is_already_ordered_is_counted() {
    assert_snapshot!(told(|w| {
        w.set_demand(1950.0);
        w.view().desired = Units(20);
        w.view().pending = Units(10);
    }), @"- web: the size is right");
}

#[test]
fn a_moving_group_is_made_no_smaller_than_what_serves_in_it_allows() {
    // Of ten two do not serve yet and may never: eight do, and five are needed.
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.moving(8, 2, 0) }), @r"
    > web: desired 10 -> 7, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 7 units, 2 units launching and 0 units terminating; released by the group coming to rest
    ");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().warming = Units(2) }), @r"
    > web: desired 10 -> 7, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 7 units, 2 units still warming up; released by the group coming to rest
    ");
    // Nothing is left of what could go.
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.moving(4, 6, 0) }), @"- web: held, 6 units launching and 0 units terminating; released by the group coming to rest");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().warming = Units(6) }), @"- web: held, 6 units still warming up; released by the group coming to rest");
    // What is on its way out is no part of the size, however long it takes.
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.moving(10, 0, 3) }), @"> web: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().refresh = Some("r-7".to_owned()) }), @"- web: held, instance refresh `r-7` is under way; released by the end of the refresh");
}

#[test]
fn a_deployment_is_waited_for_and_not_for_ever() {
    let suspended = [
        Process::AlarmNotification,
        Process::ScheduledActions,
        Process::Other("AZRebalance".to_owned()),
    ];
    let deploying = |since: Option<i64>| {
        let suspended = suspended.clone();
        told(move |w: &mut World| {
            w.set_demand(420.0);
            let now = w.snapshot.taken_at;
            w.view().aside.suspended = suspended.into();
            w.view().aside.deploying_since = since.map(|ago| Timestamp(now.0 - ago));
        })
    };
    assert_snapshot!(deploying(None), @"- web: held, `AlarmNotification`, `ScheduledActions`, `AZRebalance` are suspended, as in a deployment; until 2026-03-03T12:00:00Z");
    assert_snapshot!(deploying(Some(3600)), @"- web: held, `AlarmNotification`, `ScheduledActions`, `AZRebalance` are suspended, as in a deployment; until 2026-03-03T11:00:00Z");
    assert_snapshot!(deploying(Some(90_000)), @r"
    > web: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: process `AlarmNotification`, `ScheduledActions`, `AZRebalance` is suspended; released by resuming `AlarmNotification`, `ScheduledActions`, `AZRebalance`
    ");
    // One that an operator has switched off for good is none.
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.view().aside.suspended = suspended[1..].iter().cloned().collect();
    }), @"> web: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s");
}

#[test]
fn launches_that_fail_are_told_in_the_clouds_words() {
    assert_snapshot!(told(|w| {
        w.set_demand(950.0);
        w.moving(4, 6, 0);
        w.view().aside.launch_failed = Some("You have requested more vCPU capacity".to_owned());
    }), @r"
    - web: the size is right
    - web: launches fail, 6 units ordered and missing: `You have requested more vCPU capacity`; released by a launch that succeeds
    ");
}

/// A world whose service has hours that began so many seconds ago and end in so many.
fn with_hours(began: i64, ends: i64, min: Option<u32>, max: Option<u32>) -> World {
    let mut world = World::new();
    let now = world.snapshot.taken_at;
    world.seen("web").hours = vec![Hours {
        at: "Mon-Fri 20:00-07:00 Europe/Berlin".to_owned(),
        from: Timestamp(now.0 - began),
        until: Timestamp(now.0 + ends),
        min: min.map(Units),
        max: max.map(Units),
    }];
    world
}

#[test]
fn hours_bound_a_service_whatever_its_demand() {
    let mut night = with_hours(60, 36_000, None, Some(0));
    assert_snapshot!(night.plan(), @r"
    > web: desired 10 -> 0, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z
    ");
    // There it stays, though it is asked for, though nothing is known, and says why.
    night.units(0);
    night.demand().settled = None;
    assert_snapshot!(night.plan(), @"- web: held, its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z");
    // Before the end units come back, so that they serve when it comes.
    let mut morning = with_hours(36_000, 200, None, Some(0));
    morning.units(0);
    assert_snapshot!(morning.plan(), @"> web: desired 0 -> 10, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s");
    // An hour of few.
    let mut few = with_hours(60, 36_000, None, Some(3));
    assert_snapshot!(few.plan(), @r"
    > web: desired 10 -> 3, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 3 units; until 2026-03-02T22:00:00Z
    ");
    few.units(3);
    assert_snapshot!(few.plan(), @"- web: held, its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 3 units; until 2026-03-02T22:00:00Z");
}

#[test]
fn what_restrains_a_change_restrains_that_of_hours_too() {
    let night = |change: &dyn Fn(&mut World)| {
        let mut world = with_hours(60, 36_000, None, Some(0));
        change(&mut world);
        world.plan()
    };
    assert_snapshot!(night(&|w| w.view().min = Units(2)), @r"
    > web: desired 10 -> 2, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: limited from 0 to 2 units, the group's own minimum is 2 units; released by changing the group's own minimum
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z
    ");
    assert_snapshot!(night(&|w| w.view().min = Units(10)), @"- web: held, the group's own minimum is 10 units; released by changing the group's own minimum");
    assert_snapshot!(night(&|w| w.view().refresh = Some("r-7".to_owned())), @"- web: held, instance refresh `r-7` is under way; released by the end of the refresh");
    assert_snapshot!(night(&|w| w.view().terminate_suspended = true), @"- web: held, process `Terminate` is suspended; released by resuming `Terminate`");
    assert_snapshot!(night(&|w| w.policy.mode = Mode::Observe), @r#"
    > web: desired 10 -> 0 (dry run), forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z
    - web: held, mode is `observe`: the change is only shown; released by `mode = "act"`
    "#);
    assert_snapshot!(night(&|w| {
        let why = OrTold::Told("`/etc/neap/stop` exists".to_owned());
        w.snapshot.kill_switch = KillSwitch::Thrown { why };
    }), @"- web: held, the kill switch is thrown: `/etc/neap/stop` exists; released by removing the file of the kill switch");
    // What the group's minimum was before neap wrote it is the operator's word, too.
    assert_snapshot!(night(&|w| {
        let (name, floor) = ("MinSize before neap".to_owned(), Units(2));
        let until = Timestamp(253_402_214_400);
        w.snapshot.floors =
            vec![EventFloor { name, services: Vec::new(), floor, from: Timestamp(0), until }];
    }), @r"
    > web: desired 10 -> 2, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: limited from 0 to 2 units, event `MinSize before neap` keeps at least 2 units; until @253402214400
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z
    ");
    // Budgets are against metrics that lie, not against the operator.
    assert_snapshot!(night(&|w| w.policy.budgets = Budgets::default()), @r"
    > web: desired 10 -> 0, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s
    - web: its hours `Mon-Fri 20:00-07:00 Europe/Berlin` allow at most 0 units; until 2026-03-02T22:00:00Z
    ");
}

#[test]
fn what_hours_keep_too_small_breaks_no_promise() {
    let violations = |max: Option<u32>| {
        let mut world = with_hours(86_400, 86_400, None, max);
        for _ in 0..30 {
            world.set_demand(950.0);
            let _ = world.cycle(true);
        }
        world.memory.services[&name("web")].violations.totals().1
    };
    assert_eq!((violations(Some(3)), violations(Some(20))), (0, 0));
    let mut world = World::new();
    world.pool().max = Some(Units(3));
    world.units(3);
    for _ in 0..30 {
        world.set_demand(950.0);
        let _ = world.cycle(true);
    }
    assert!(world.memory.services[&name("web")].violations.totals().1 > 0);
}

#[test]
fn hours_ask_for_a_least_size_ahead_of_their_beginning() {
    assert_snapshot!(with_hours(-86_400, 90_000, Some(20), None).plan(), @"- web: the size is right");
    assert_snapshot!(with_hours(-200, 90_000, Some(20), None).plan(), @"> web: desired 10 -> 20, hours `Mon-Fri 20:00-07:00 Europe/Berlin` (until 2026-03-03T13:00:00Z) wants 20 units, demand now 950/s, a unit serves 100/s");
    let mut day = with_hours(60, 36_000, Some(20), None);
    day.units(20);
    assert_snapshot!(day.plan(), @"- web: held, its hours `Mon-Fri 20:00-07:00 Europe/Berlin` keep at least 20 units; until 2026-03-02T22:00:00Z");
}

#[test]
fn the_minimum_is_written_only_where_a_policy_of_the_groups_own_takes_units_away() {
    let written = |change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        world.view().policies = vec![native_policy(true)];
        change(&mut world);
        let service = world.policy.services[&name("web")].clone();
        let (number, why) = planner::written_because(&service, world.view());
        assert_eq!(number, planner::actuate(&service, world.view()));
        format!("{number:?}: {why}")
    };
    assert_snapshot!(written(&|_| ()), @"Floor: the group's own policy `cpu-50` takes units away, above the minimum");
    assert_snapshot!(written(&|w| w.view().policies[0].scales_in = false), @"Desired: the group's own policy never takes units away");
    assert_snapshot!(written(&|w| w.view().policies[0].enabled = false), @"Desired: no policy of the group's own is switched on");
    assert_snapshot!(written(&|w| {
        w.view().aside.suspended = [Process::AlarmNotification].into();
    }), @"Desired: the group's own policies do nothing while AlarmNotification is suspended");
    // A deployment suspends them for minutes: the number stays.
    assert_snapshot!(written(&|w| {
        let both = [Process::AlarmNotification, Process::ScheduledActions, Process::Launch];
        w.view().aside.suspended = both.into();
    }), @"Floor: the group's own policy `cpu-50` takes units away, above the minimum");
    assert_snapshot!(written(&|w| {
        w.view().policies = vec![NativePolicy::unread("scaling policies unknown: throttled".into())];
    }), @"Desired: the group's own policies could not be read");
    assert_snapshot!(written(&|w| w.pool().actuate = Some(Actuate::Desired)), @"Desired: `actuate` says so");
}

#[test]
fn without_a_forecast_demand_must_fit_for_the_hold_window() {
    let mut world = World::new();
    world.no_forecast();
    let mut lines = Vec::new();
    for minute in 0..17 {
        let demand = if minute == 3 { 580.0 } else { 420.0 };
        world.set_demand_only(demand);
        let plan = world.cycle(true);
        let line = text(&plan).lines().next().unwrap_or_default().to_owned();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    assert_snapshot!(lines.join("\n"), @r"
    - web: held, demand has not fitted the smaller size long enough: it needed up to 5 units; until 2026-03-02T12:15:00Z
    - web: held, demand has not fitted the smaller size long enough: it needed up to 6 units; until 2026-03-02T12:15:00Z
    > web: desired 10 -> 6, demand now wants 5 units, demand now 420/s, a unit serves 100/s
    - web: held, the size changed recently; until 2026-03-02T12:20:00Z
    ");
}

#[test]
fn one_unit_is_not_taken_away_and_ordered_again_minute_by_minute() {
    let mut world = World::new();
    let mut lines = Vec::new();
    for minute in 0..12 {
        let wavering = minute < 4 && minute % 2 == 1;
        world.set_demand(if wavering { 960.0 } else { 860.0 });
        let line = text(&world.cycle(true)).lines().next().unwrap_or_default().to_owned();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    assert_snapshot!(lines.join("\n"), @r"
    - web: held, demand has not fitted the smaller size long enough: it needed up to 9 units; until 2026-03-02T12:05:00Z
    - web: the size is right
    - web: held, demand has not fitted the smaller size long enough: it needed up to 9 units; until 2026-03-02T12:07:00Z
    - web: the size is right
    - web: held, demand has not fitted the smaller size long enough: it needed up to 9 units; until 2026-03-02T12:09:00Z
    > web: desired 10 -> 9, forecast wants 9 units for 860/s at p98.81 within 7m, demand now 860/s, a unit serves 100/s
    - web: the size is right
    ");
}

#[test]
fn a_lost_answer_is_looked_at_before_anything_is_taken_away() {
    let mut world = World::new();
    world.set_demand(420.0);
    let at = world.snapshot.taken_at;
    world.seen("web").outcomes = vec![OrderOutcome {
        decision: "4812/web".to_owned(),
        at: at - Seconds(30),
        change: Change::Desired { from: Units(10), to: Units(8) },
        result: OrderResult::Unconfirmed { effect_seen: None },
    }];
    assert_snapshot!(text(&world.cycle(true)), @"- web: held, the result of decision `4812/web` is not known; released by a reading that shows its effect");
    world.units(8);
    assert_snapshot!(world.plan(), @"- web: held, the size changed recently; until 2026-03-02T12:04:30Z");
}

#[test]
fn an_order_whose_outcome_was_lost_in_a_crash_is_found_in_the_group() {
    let mut world = World::new();
    world.set_demand(1190.0);
    let _ = world.cycle(false);
    world.units(12);
    world.set_demand(1190.0);
    assert_snapshot!(world.plan(), @"- web: the size is right");
}

#[test]
fn machines_that_cannot_be_had_keep_the_order_standing() {
    let short = |world: &mut World| {
        world.units(20);
        let view = world.view();
        (view.in_service, view.pending) = (Units(3), Units(17));
        world.set_demand(300.0);
    };
    assert_snapshot!(told(short), @"- web: held, 17 units launching and 0 units terminating; released by the group coming to rest");
    assert_snapshot!(told(|w| {
        short(w);
        w.view().out_of_capacity = true;
    }), @"- web: held, the cloud has no machines now: 17 units ordered and missing");
    // It grows all the same.
    let mut world = World::new();
    short(&mut world);
    world.view().out_of_capacity = true;
    world.set_demand(2500.0);
    assert_eq!(world.cycle(true).actions[0].change.to(), Units(25));
}

// Budgets (9, 22)

#[test]
fn a_scale_in_above_budget_is_cut_largest_saving_first_and_the_rest_held_by_name() {
    let mut world = World::new();
    world.add("api");
    world.policy.budgets = Budgets::default();
    world.policy.budgets.group = None;
    world.service("api").pool.price_usd_hourly = Some(2.0);
    world.service("web").pool.price_usd_hourly = Some(0.1);
    world.policy.budgets.account.as_mut().unwrap().share = Share::percent(35);
    world.policy.budgets.fleet.as_mut().unwrap().share = Share::percent(40);
    world.demand_of("web", 420.0);
    world.demand_of("api", 420.0);
    assert_snapshot!(text(&world.cycle(true)), @r"
    > api: desired 10 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    > web: desired 10 -> 8, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 8 units, the removal budget of account `aws/111122223333` allows 2 more units until 2026-03-02T12:08:35Z
    ");
    world.pool().cooldown = Seconds(0);
    for service in ["web", "api"] {
        world.demand_of(service, 420.0);
    }
    assert_snapshot!(world.plan(), @r"
    - api: the size is right
    - web: held, the removal budget of account `aws/111122223333` allows 0 more units until 2026-03-02T12:45:31Z
    ");
}

#[test]
fn budgets_are_on_by_default_and_never_restrain_growth() {
    let mut world = World::new();
    world.policy.budgets = Budgets::default();
    world.set_demand(420.0);
    assert_snapshot!(world.plan(), @r"
    > web: desired 10 -> 9, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 9 units, the removal budget of the group allows 1 more unit until 2026-03-02T12:10:00Z
    ");
    world.set_demand(4800.0);
    assert_snapshot!(world.plan(), @"> web: desired 10 -> 48, forecast wants 48 units for 4800/s at p98.81 within 7m, demand now 4800/s, a unit serves 100/s");
}

#[test]
fn removals_that_never_happened_are_given_back_to_the_budget() {
    let mut world = World::new();
    world.policy.budgets = Budgets::default();
    world.set_demand(420.0);
    let plan = world.cycle(false);
    let change = plan.actions[0].change;
    let at = world.snapshot.taken_at;
    world.set_demand(420.0);
    world.seen("web").outcomes = vec![OrderOutcome {
        decision: "1/web".to_owned(),
        at,
        change,
        result: OrderResult::Stopped,
    }];
    assert_snapshot!(world.plan(), @r"
    > web: desired 10 -> 9, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 9 units, the removal budget of the group allows 1 more unit until 2026-03-02T12:11:00Z
    ");
}

#[test]
fn an_order_that_failed_gives_back_no_more_than_it_drew() {
    // What an overshoot added, and what the past vouches for, draws nothing.
    for (surplus, wanted_lately, drawn) in [(0, 10, 1), (3, 10, 1), (5, 10, 0), (0, 5, 0)] {
        for result in [OrderResult::Stopped, OrderResult::Failed { fault: timeout() }] {
            let mut world = World::new();
            world.add("api");
            world.policy.budgets = Budgets::default();
            let Budgets { account, fleet, .. } = &mut world.policy.budgets;
            for shared in [account, fleet] {
                shared.as_mut().unwrap().share = Share::percent(50);
            }
            let _ = world.cycle(true);
            // Another service's removal.
            world.expect_any_fall();
            world.demand_of("web", 950.0);
            world.demand_of("api", 420.0);
            let _ = world.cycle(true);
            let used = |world: &World| world.memory.fleet.removals.used_milli;
            let by_others = used(&world);
            assert_eq!(by_others, 1000);
            world.expect_any_fall();
            world.wanted_lately("web", wanted_lately);
            if wanted_lately > 5 {
                world.memory.services.get_mut(&name("web")).unwrap().violations.quarters.clear();
            }
            let memory = world.memory.services.get_mut(&name("web")).unwrap();
            memory.growth.surplus = Units(surplus);
            world.demand_of("web", 420.0);
            world.demand_of("api", 850.0);
            let plan = world.cycle(false);
            let change = plan.actions[0].change;
            let removed = u64::from(change.from().0 - change.to().0);
            assert_eq!(removed, drawn + u64::from(surplus.max(10 - wanted_lately)), "{plan:#?}");
            let drained = by_others + drawn * 1000 - used(&world);
            let at = world.snapshot.taken_at;
            world.demand_of("web", 950.0);
            world.demand_of("api", 850.0);
            let outcome =
                OrderOutcome { decision: "1/web".to_owned(), at, change, result: result.clone() };
            world.seen("web").outcomes = vec![outcome];
            let _ = world.cycle(true);
            assert_eq!(used(&world), by_others - drained, "{surplus} {wanted_lately} {result:?}");
        }
    }
}

// Somebody else (15, 19, 26)

#[test]
fn a_change_by_hand_is_respected_for_an_hour_and_growth_goes_on_from_it() {
    let mut world = World::new();
    let _ = world.cycle(true);
    world.set_demand(950.0);
    world.units(14);
    let at = world.snapshot.taken_at;
    world.view().newest_foreign_activity =
        Some(activity(at, Cause::UserRequest, "user alice set the capacity"));
    assert_snapshot!(text(&world.cycle(true)), @"- web: held, somebody else changed its desired capacity, by user alice set the capacity (10 -> 14); until 2026-03-02T13:01:00Z");
    world.set_demand(1650.0);
    assert_snapshot!(world.plan(), @"> web: desired 14 -> 17, forecast wants 17 units for 1650/s at p98.81 within 7m, demand now 1650/s, a unit serves 100/s");
    for _ in 0..60 {
        world.set_demand(950.0);
        let _ = world.cycle(true);
    }
    assert_snapshot!(world.plan(), @"- web: the size is right");
}

#[test]
fn a_writer_between_look_and_call_starts_the_lease() {
    let mut world = World::new();
    let at = world.snapshot.taken_at;
    let _ = world.cycle(true);
    world.set_demand(420.0);
    world.units(13);
    world.seen("web").outcomes = vec![OrderOutcome {
        decision: "1/web".to_owned(),
        at,
        change: Change::Desired { from: Units(10), to: Units(9) },
        result: OrderResult::Contested { found: Units(13), restored: false },
    }];
    assert_snapshot!(world.plan(), @"- web: held, somebody else changed its size between our look and our call (10 -> 13); until 2026-03-02T13:00:00Z");
}

#[test]
fn a_native_policys_own_step_is_nobodys_hand() {
    let mut world = World::new();
    world.pool().actuate = Some(Actuate::Desired);
    world.view().policies = vec![native_policy(false)];
    let _ = world.cycle(true);
    world.set_demand(950.0);
    world.units(12);
    let at = world.snapshot.taken_at;
    world.view().newest_foreign_activity = Some(activity(at, Cause::NativePolicy, "alarm"));
    let _ = world.cycle(true);
    assert_eq!(world.memory.services[&name("web")].lease, None);
}

#[test]
fn the_native_policy_that_blocks_scale_in_is_named() {
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.pool().actuate = Some(Actuate::Desired);
        w.view().policies = vec![native_policy(true)];
    }), @r#"- web: held, the group's own policy `cpu-50` may scale in too; released by `actuate = "floor"`, or disabling scale-in in that policy"#);
}

#[test]
fn beside_a_native_policy_the_floor_is_written() {
    assert_snapshot!(told(|w| {
        w.view().policies = vec![native_policy(true)];
        w.view().min = Units(3);
        w.set_demand(1450.0);
    }), @"> web: minimum 3 -> 15, forecast wants 15 units for 1450/s at p98.81 within 7m, demand now 1450/s, a unit serves 100/s");
}

#[test]
fn an_orchestrators_group_is_refused() {
    assert_snapshot!(told(|w| {
        w.set_demand(1950.0);
        w.view().owner = Some(Owner {
            name: "cluster-autoscaler".to_owned(),
            evidence: "k8s.io/cluster-autoscaler/enabled".to_owned(),
        });
    }), @"- web: held, cluster-autoscaler owns the group, as `k8s.io/cluster-autoscaler/enabled` says; released by removing `k8s.io/cluster-autoscaler/enabled`, or this service");
}

#[test]
fn what_the_cloud_would_refuse_is_not_tried() {
    assert_snapshot!(told(|w| { w.set_demand(1950.0); w.view().launch_suspended = true }), @"- web: held, process `Launch` is suspended; released by resuming `Launch`");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().terminate_suspended = true }), @"- web: held, process `Terminate` is suspended; released by resuming `Terminate`");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().protected = Units(8) }), @r"
    > web: desired 10 -> 8, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 8 units, 8 units protected from scale-in; released by removing scale-in protection
    ");
    assert_snapshot!(told(|w| { w.set_demand(9000.0); w.pool().max = None }), @r"
    > web: desired 10 -> 50, forecast wants 90 units for 9000/s at p98.81 within 7m, demand now 9000/s, a unit serves 100/s
    - web: limited from 90 to 50 units, the group's own maximum is 50 units; released by changing the group's own maximum
    ");
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.view().min = Units(10) }), @"- web: held, the group's own minimum is 10 units; released by changing the group's own minimum");
}

#[test]
fn no_machines_is_said_and_the_order_stands() {
    assert_snapshot!(told(|w| {
        w.set_demand(1550.0);
        w.view().desired = Units(14);
        w.view().out_of_capacity = true;
    }), @r"
    > web: desired 14 -> 16, forecast wants 16 units for 1550/s at p98.81 within 7m, demand now 1550/s, a unit serves 100/s
    - web: the cloud has no machines now: 4 units ordered and missing
    ");
}

// Switches

#[test]
fn the_kill_switch_stops_both_ways_and_tells_what_would_have_been_done() {
    let thrown = |w: &mut World, demand| {
        w.set_demand(demand);
        w.snapshot.kill_switch =
            KillSwitch::Thrown { why: OrTold::Told("`/etc/neap/stop` exists".to_owned()) };
    };
    assert_snapshot!(told(|w| thrown(w, 1450.0)), @"- web: held, the kill switch is thrown: `/etc/neap/stop` exists; released by removing the file of the kill switch");
    let mut world = World::new();
    thrown(&mut world, 420.0);
    let (plan, _) = planner::plan(&world.policy, &world.snapshot, &world.memory);
    assert_eq!(plan.findings[0].sizing.as_ref().unwrap().wanted, Units(5));
}

#[test]
fn a_freeze_of_decreases_lets_growth_pass_and_a_freeze_of_all_does_not() {
    let freeze = |w: &mut World, demand, scope| {
        w.set_demand(demand);
        let until = Timestamp::parse("2026-03-02T20:00:00Z").unwrap();
        let (name, services) = ("launch-day".to_owned(), Vec::new());
        w.snapshot.freezes = vec![ActiveFreeze { name, scope, services, until }];
    };
    assert_snapshot!(told(|w| freeze(w, 420.0, FreezeScope::Decreases)), @"- web: held, freeze window `launch-day` stops decreases; until 2026-03-02T20:00:00Z");
    assert_snapshot!(told(|w| freeze(w, 1190.0, FreezeScope::Decreases)), @"> web: desired 10 -> 12, forecast wants 12 units for 1190/s at p98.81 within 7m, demand now 1190/s, a unit serves 100/s");
    assert_snapshot!(told(|w| freeze(w, 1190.0, FreezeScope::All)), @"- web: held, freeze window `launch-day` stops all changes; until 2026-03-02T20:00:00Z");
}

#[test]
fn with_the_reserve_alone_nothing_is_taken_away() {
    assert_snapshot!(told(|w| { w.set_demand(420.0); w.snapshot.disk = Disk::ReserveOnly }), @"- web: held, the journal has only its reserve left; released by room on the journal's disk");
}

#[test]
fn a_spend_ceiling_cuts_growth() {
    assert_snapshot!(told(|w| {
        w.pool().price_usd_hourly = Some(0.5);
        w.policy.spend_ceiling_usd_milli_hourly = Some(6_000);
        w.set_demand(1950.0);
    }), @r"
    > web: desired 10 -> 12, forecast wants 20 units for 1950/s at p98.81 within 7m, demand now 1950/s, a unit serves 100/s
    - web: limited from 20 to 12 units, the spend ceiling is 6 USD an hour; released by a higher ceiling, or cheaper groups
    ");
}

// Bounds

#[test]
fn a_size_outside_its_bounds_is_corrected() {
    assert_snapshot!(told(|w| w.pool().min = Units(12)), @"> web: desired 10 -> 12, lower bound wants 12 units, demand now 950/s, a unit serves 100/s");
    assert_snapshot!(told(|w| w.pool().max = Some(Units(8))), @"> web: desired 10 -> 8, forecast wants 10 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s");
    assert_snapshot!(told(|w| { w.set_demand(120.0); w.pool().min = Units(10) }), @"- web: held, the configured `min` is 10 units; released by changing the configured `min`");
}

#[test]
fn bounds_below_are_corrected_even_blind() {
    assert_snapshot!(told(|w| { stale(w); w.pool().min = Units(12) }), @"> web: desired 10 -> 12, lower bound wants 12 units, a unit serves 100/s");
}

// Trust

#[test]
fn a_forecast_worse_than_last_value_loses_its_say_visibly_and_earns_it_back() {
    let mut world = World::new();
    let losing = |world: &mut World, loss| {
        world.expect(1450.0, 1450.0);
        let forecast = world.seen("web").forecast.as_mut().unwrap();
        let losses = [loss, 100].map(planner::Milli::whole);
        [forecast.recent_loss_milli, forecast.last_value_loss_milli] = losses;
    };
    losing(&mut world, 130);
    assert_snapshot!(text(&world.cycle(true)), @r"
    - web: the size is right
    - web: the forecast is not used: its recent error is 130% of last-value's
    ");
    losing(&mut world, 105);
    assert!(text(&world.cycle(true)).contains("is not used"));
    losing(&mut world, 99);
    assert_snapshot!(world.plan(), @"> web: desired 10 -> 15, forecast wants 15 units for 1450/s at p98.81 within 7m, demand now 950/s, a unit serves 100/s");
}

#[test]
fn an_unknown_capacity_may_grow_and_not_shrink() {
    let learning = |w: &mut World, utilisation| {
        w.pool().capacity_per_unit = CapacityPerUnit::Learn;
        w.demand().utilisation = Some(utilisation);
    };
    assert_snapshot!(told(|w| learning(w, 0.2)), @"- web: held, a unit's capacity is not known yet, 1 intervals of 6; released by more intervals with utilisation, or a given `capacity_per_unit`");
    assert_snapshot!(told(|w| learning(w, 0.95)), @"> web: desired 10 -> 14, forecast wants 14 units for 950/s at p98.81 within 7m, demand now 950/s, a unit serves 70/s");
}

#[test]
fn a_capacity_is_learned_at_target_utilisation_and_not_extrapolated_far() {
    let learned = |utilisation: f64| {
        let mut world = World::new();
        world.pool().capacity_per_unit = CapacityPerUnit::Learn;
        for _ in 0..12 {
            world.set_demand(500.0);
            world.demand().utilisation = Some(utilisation);
            let _ = world.cycle(false);
        }
        let (plan, _) = planner::plan(&world.policy, &world.snapshot, &world.memory);
        let sizing = plan.findings[0].sizing.clone();
        sizing.or(plan.actions.first().map(|a| a.sizing.clone())).unwrap().capacity_milli
    };
    // 50/s a unit at 50 % is 70/s at 70 %.
    assert_eq!(learned(0.5), Some(planner::Milli::whole(70_000)));
    // At 15 % it would be 233/s: twice of what was ever seen is as far as it goes.
    assert_eq!(learned(0.15), Some(planner::Milli::whole(100_000)));
}

#[test]
fn lead_times_are_a_high_quantile_of_those_measured() {
    let mut world = World::new();
    let took = [300, 310, 320, 330, 340, 350, 360, 370, 380, 900].map(Seconds);
    let launched = |took| Launched { took, told_by: ServingSign::Targets, warm: false };
    world.seen("web").launched = took.map(launched).into();
    let _ = world.cycle(true);
    let pool = world.policy.services[&name("web")].pool.clone();
    let lead = |pool: &PoolPolicy, world: &World| {
        Lead::of(pool, Some(&world.memory.services[&name("web")]))
    };
    assert_eq!(lead(&pool, &world).time, Seconds(380));
    assert_snapshot!(lead(&pool, &world), @"measured; 10 launches took 6m20s to serve, by the health of targets");
    // What the operator says is never undercut, unless the operator says that as well.
    let slow = PoolPolicy { lead_time: Seconds::minutes(8), ..pool };
    assert_eq!(lead(&slow, &world).time, Seconds::minutes(8));
    let measured = PoolPolicy { lead_time_rule: LeadTimeRule::Measured, ..slow.clone() };
    assert_eq!(lead(&measured, &world).time, Seconds(380));
    // Launches out of a warm pool are quick, and the pool may be empty.
    let quick = Launched { took: Seconds(20), told_by: ServingSign::Targets, warm: true };
    world.seen("web").launched = vec![quick; 16];
    let _ = world.cycle(true);
    assert_eq!(lead(&measured, &world).time, Seconds(380));
    // A unit that is in service need not serve; what is told otherwise begins anew.
    world.seen("web").lead_times = vec![Seconds(32); 6];
    world.seen("web").launched =
        vec![Launched { took: Seconds(32), told_by: ServingSign::WarmUp, warm: false }; 3];
    let _ = world.cycle(true);
    assert_eq!(lead(&measured, &world).time, Seconds::minutes(8));
    assert_eq!(Memory::default().services.len(), 0);
    let window =
        planner::window(&world.policy.services[&name("web")].pool, None, Seconds(60), Seconds(120));
    assert_snapshot!(window, @"7m = sample age 2m + poll 1m + lead 4m");
}

// Violations teach

#[test]
fn a_miss_moves_the_quantile_out_and_hits_bring_it_back() {
    let mut world = World::new();
    world.pool().max = Some(Units(10));
    world.view().max = Units(10);
    let depth =
        |world: &World| world.memory.services[&name("web")].calibration.depth_micro.unwrap();
    for _ in 0..10 {
        world.set_demand(950.0);
        let _ = world.cycle(true);
    }
    let before = depth(&world);
    world.set_demand(1020.0);
    world.expect(950.0, 950.0);
    let _ = world.cycle(true);
    let missed = depth(&world);
    assert!(missed > before, "{missed} after a miss, {before} before it");
    world.set_demand(950.0);
    let _ = world.cycle(true);
    assert!(depth(&world) < missed);
    let account = &world.memory.services[&name("web")].violations;
    let counts: Vec<_> =
        account.quarters.iter().map(|(_, c)| (c.intervals, c.violations)).collect();
    assert_eq!(counts, [(9, 1)]);
}

#[test]
fn the_cooldown_runs_from_the_newest_change_in_whatever_order_they_become_known() {
    let mut world = World::new();
    let now = world.snapshot.taken_at;
    let _ = world.cycle(true);
    let older = Change::Desired { from: Units(9), to: Units(10) };
    let orders = &mut world.memory.services.get_mut(&name("web")).unwrap().orders;
    orders.changed_at = Some(now);
    orders.open = Some(OpenOrder { decision: None, change: older, at: now - Seconds::hours(1) });
    world.expect_any_fall();
    world.set_demand(420.0);
    world.pool().cooldown = Seconds::minutes(5);
    assert_snapshot!(world.plan(), @"- web: held, the size changed recently; until 2026-03-02T12:05:00Z");
}

// Outage's shape (idea 5)

fn fleet(services: u32) -> World {
    let mut world = World::empty();
    for n in 0..services {
        let name = format!("s{n}");
        world.add(&name);
        world.service(&name).upstreams = vec!["edge".to_owned()];
    }
    world
}

#[test]
fn demand_that_collapses_in_a_third_of_the_services_takes_nothing_away() {
    let mut world = fleet(6);
    for _ in 0..5 {
        for n in 0..6 {
            world.demand_of(&format!("s{n}"), 950.0);
        }
        assert_eq!(world.cycle(true).actions, []);
    }
    for minute in 0..90 {
        for n in 0..6 {
            // Two lose nearly everything at once, one follows its own quiet evening.
            let quiet = 950.0 - f64::from(minute) * 4.0;
            let value = if n < 2 {
                60.0
            } else if n == 2 {
                quiet
            } else {
                950.0
            };
            world.demand_of(&format!("s{n}"), value);
        }
        let plan = world.cycle(true);
        let changed: Vec<&str> = plan.actions.iter().map(|a| a.service.as_str()).collect();
        // An outage that reached nobody else for an hour will not.
        assert!(changed.is_empty() || minute >= 60 && changed == ["s2"], "{minute}: {changed:?}");
    }
    assert_snapshot!(world.plan().lines().next().unwrap(), @"- s0: held, demand collapsed as in an outage at 2026-03-02T12:05:00Z, in 2 of 6 services; released by demand back in its band, an operator's acknowledgement (`neap acknowledge`), or time, at 2026-03-03T12:05:00Z");
    // An operator who knows better.
    world.snapshot.acknowledged = vec![name("s0")];
    let changed =
        |plan: planner::plan::Plan| plan.actions.into_iter().map(|a| a.service.to_string());
    let plan = world.cycle(true);
    assert_eq!(changed(plan).collect::<Vec<_>>(), ["s0"]);
    // One of six is no outage; this one goes on until it has lasted.
    let mut released = None;
    for minute in 0..1440 {
        let plan = world.cycle(true);
        if released.is_none() && changed(plan).any(|service| service == "s1") {
            released = Some(minute);
        }
    }
    assert_eq!(released, Some(1440 - 91));
}

#[test]
fn a_burst_that_ends_is_no_outage() {
    // Two services double for ten minutes and fall back together: to where they were, and then,
    // in the other story, to nothing.
    let fallen_to = |rest: f64| {
        let mut world = fleet(3);
        let mut shapes = 0;
        for minute in 0..60u32 {
            let burst = (30..40).contains(&minute);
            for n in 0..3 {
                let bursts = burst && n < 2;
                let after = if minute >= 40 && n < 2 { rest } else { 400.0 };
                let service = format!("s{n}");
                world.demand_of(&service, if bursts { 900.0 } else { after });
                world.seen(&service).demand.recent_low = Some(400.0);
            }
            shapes += usize::from(
                world
                    .cycle(true)
                    .findings
                    .iter()
                    .any(|f| matches!(f.hold, Hold::OutageShape { .. })),
            );
        }
        shapes
    };
    assert_eq!(fallen_to(400.0), 0);
    assert_eq!(fallen_to(20.0), 20);
}

/// What services show when they are read every few minutes: all that settled since.
fn read_every(world: &mut World, minutes: u64, past: &BTreeMap<String, Vec<DemandPoint>>) {
    let at = world.snapshot.taken_at;
    world.policy.poll_interval = Seconds::minutes(minutes);
    for (service, points) in past {
        let counted = world.memory.services.get(&name(service)).and_then(|m| m.violations.counted);
        let how = Assembly {
            taken_at: at,
            step: Step::MINUTE,
            settling: Seconds(120),
            lead: Seconds::minutes(7),
            counted,
            fixed_capacity: 0.0,
            utilisation: None,
        };
        let member = Member { points, fault: None, parts: &[] };
        world.demand_of(service, points.last().unwrap().value);
        world.seen(service).demand = DemandView::from_members(&[member], &how);
    }
}

#[test]
fn an_outage_that_is_seen_late_takes_nothing_away() {
    // Readings every so many minutes, and one that is late; the fall begins anywhere between them.
    for (every, late) in [(1, 0), (2, 0), (3, 0), (5, 0), (1, 4), (2, 3)] {
        for begins in 62..=62 + 2 * every + late {
            let mut world = fleet(3);
            let mut past: BTreeMap<String, Vec<DemandPoint>> = BTreeMap::new();
            let start = world.snapshot.taken_at;
            let (mut minute, mut held, mut released) = (0, 0, 0);
            while minute < 150 {
                // The newest interval that is settled began three minutes ago.
                for known in past.get("s0").map_or(0, |p| p.len() as u64)..=minute {
                    for (n, value) in [(0, 950.0), (1, 950.0), (2, 900.0)] {
                        let out = n < 2 && (begins..begins + 45).contains(&known);
                        let ripple = 1.0 + 0.02 * ((known * 7 + n) % 5) as f64;
                        let value = if out { value * 0.25 } else { value } * ripple;
                        let start = start + Seconds::minutes(known) - Seconds::minutes(3);
                        let point = DemandPoint { start, value, censored: false };
                        past.entry(format!("s{n}")).or_default().push(point);
                    }
                }
                read_every(&mut world, every, &past);
                let plan = world.cycle(true);
                let shape = |f: &Finding| matches!(f.hold, Hold::OutageShape { .. });
                let shapes = plan.findings.iter().filter(|f| shape(f)).count();
                if (begins..begins + 45).contains(&minute) {
                    let shrinks = plan.actions.iter().any(|a| !a.change.is_increase());
                    assert!(!shrinks, "{every} {late} {begins}, {minute}: {}", text(&plan));
                    held += usize::from(shapes > 0);
                } else {
                    released += usize::from(minute > begins && shapes == 0);
                }
                let next = if (60..62).contains(&minute) { every + late } else { every };
                minute += next;
                world.snapshot.taken_at = start + Seconds::minutes(minute);
            }
            let looks = 45 / every as usize;
            let lost = 2 + late as usize;
            assert!(held + lost >= looks, "{every} {late} {begins}: {held} of {looks}");
            assert!(released + 2 >= (150 - 62 - 50) / every as usize, "{every} {late} {begins}");
        }
    }
}

#[test]
fn an_outage_ends_when_demand_is_back_in_its_band() {
    let mut world = fleet(3);
    let mut go = |values: [f64; 3]| {
        for (n, value) in values.into_iter().enumerate() {
            world.demand_of(&format!("s{n}"), value);
        }
        let _ = world.cycle(false);
        world
            .memory
            .services
            .values()
            .filter(|m| m.fall.is_some_and(|f| f.outage.is_some()))
            .count()
    };
    assert_eq!([go([950.0; 3]), go([100.0, 120.0, 950.0]), go([90.0, 800.0, 950.0])], [0, 2, 2]);
    assert_eq!([go([90.0, 900.0, 950.0]), go([940.0, 900.0, 950.0])], [1, 0]);
}

#[test]
fn a_lone_fall_is_an_outage_when_hosts_are_sick() {
    let mut world = World::new();
    let _ = world.cycle(true);
    world.set_demand(200.0);
    world.seen("web").signals.healthy_hosts = Trend::Worse;
    assert_snapshot!(world.plan(), @"- web: held, demand collapsed as in an outage at 2026-03-02T12:01:00Z, in 1 of 1 services; released by demand back in its band, an operator's acknowledgement (`neap acknowledge`), or time, at 2026-03-03T12:01:00Z");
    world.seen("web").signals.healthy_hosts = Trend::Usual;
    assert_snapshot!(world.plan(), @"- web: held, demand collapsed at 2026-03-02T12:01:00Z, and nothing shows that it is true; released by demand back in its band, utilisation that fell with it, an operator's acknowledgement (`neap acknowledge`), or time, at 2026-03-02T12:41:00Z");
    world.expect_any_fall();
    assert_snapshot!(world.plan(), @"> web: desired 10 -> 2, forecast wants 2 units for 200/s at p98.81 within 7m, demand now 200/s, a unit serves 100/s");
}

#[test]
fn fourteen_ordinary_nights_have_no_outages_shape() {
    let mut world = fleet(6);
    let mut shapes = 0;
    let mut shrunk = 0;
    for minute in 0..14 * 1440u32 {
        for n in 0..6 {
            // Noon 1800/s, midnight 200/s, a small ripple that differs by service and minute.
            let hour = f64::from(minute % 1440) / 60.0;
            let day = 1.0 - (hour - 12.0).abs() / 12.0;
            let ripple = f64::from((minute * 7919 + n * 104_729) % 101) / 101.0 - 0.5;
            let value = (200.0 + 1600.0 * day) * (1.0 + 0.08 * ripple);
            world.demand_of(&format!("s{n}"), value);
        }
        let plan = world.cycle(true);
        shapes +=
            plan.findings.iter().filter(|f| matches!(f.hold, Hold::OutageShape { .. })).count();
        shrunk += plan.actions.iter().filter(|a| !a.change.is_increase()).count();
    }
    assert_eq!(shapes, 0);
    assert!(shrunk > 14 * 6, "{shrunk} decreases");
}

// Known events (a sale, a launch, a batch)

/// A sale that asks for 40 units from `begins_in` seconds on, for six hours.
fn sale(w: &mut World, begins_in: i64) {
    let from = Timestamp(w.snapshot.taken_at.0 + begins_in);
    w.snapshot.floors = vec![EventFloor {
        name: "11.11".to_owned(),
        services: vec![name("web")],
        floor: Units(40),
        from,
        until: from + Seconds::hours(6),
    }];
}

#[test]
fn a_sale_finds_its_capacity_in_service_when_it_begins() {
    // The lead window is 7 minutes: a minute earlier there is nothing to do yet.
    assert_snapshot!(told(|w| sale(w, 421)), @r"- web: the size is right");
    assert_snapshot!(told(|w| sale(w, 420)), @r"> web: desired 10 -> 40, event `11.11` (until 2026-03-02T18:07:00Z) wants 40 units, demand now 950/s, a unit serves 100/s");
}

#[test]
fn a_sale_of_which_nothing_is_measured_gets_its_capacity_all_the_same() {
    assert_snapshot!(told(|w| {
        sale(w, 0);
        w.demand().settled = None;
        w.seen("web").forecast = Err(NoForecast::NoData);
        w.demand().fault = Some(timeout());
    }), @r"
        > web: desired 10 -> 40, event `11.11` (until 2026-03-02T18:00:00Z) wants 40 units, a unit serves 100/s
        - web: no forecast (no samples arrive): current demand decides alone
        ");
}

#[test]
fn a_quiet_hour_of_a_sale_takes_nothing_away() {
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.units(40);
        sale(w, -7200);
    }), @r"- web: held, event `11.11` keeps at least 40 units; until 2026-03-02T16:00:00Z");
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.units(50);
        sale(w, -7200);
    }), @r"
        > web: desired 50 -> 40, event `11.11` (until 2026-03-02T16:00:00Z) wants 40 units, demand now 420/s, a unit serves 100/s
        - web: limited from 5 to 40 units, event `11.11` keeps at least 40 units; until 2026-03-02T16:00:00Z
        ");
}

/// What is given up now would have to be ordered again in three minutes.
#[test]
fn nothing_is_taken_away_just_before_a_sale() {
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.units(40);
        sale(w, 600);
    }), @r"- web: held, event `11.11` keeps at least 40 units; until 2026-03-02T18:10:00Z");
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        w.units(50);
        sale(w, 600);
    }), @r"
        > web: desired 50 -> 40, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
        - web: limited from 5 to 40 units, event `11.11` keeps at least 40 units; until 2026-03-02T18:10:00Z
        ");
    assert_snapshot!(told(|w| {
        w.set_demand(420.0);
        sale(w, 600);
    }), @r"- web: held, event `11.11` keeps at least 40 units; until 2026-03-02T18:10:00Z");
}

#[test]
fn a_sale_larger_than_its_floor_is_sized_by_demand() {
    assert_snapshot!(told(|w| {
        w.set_demand(4350.0);
        sale(w, -7200);
    }), @r"> web: desired 10 -> 44, forecast wants 44 units for 4350/s at p98.81 within 7m, demand now 4350/s, a unit serves 100/s");
}

#[test]
fn a_floor_that_was_forgotten_ends_by_itself() {
    let mut world = World::new();
    world.set_demand(420.0);
    world.units(40);
    sale(&mut world, -6 * 3600);
    assert_snapshot!(world.plan(), @r"> web: desired 40 -> 5, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s");
}

#[test]
fn a_floor_above_the_maximum_says_who_wins() {
    assert_snapshot!(told(|w| {
        sale(w, 0);
        w.pool().max = Some(Units(30));
    }), @r"
        > web: desired 10 -> 30, event `11.11` (until 2026-03-02T18:00:00Z) wants 40 units, demand now 950/s, a unit serves 100/s
        - web: limited from 40 to 30 units, the configured `max` is 30 units; released by changing the configured `max`
        ");
    assert_snapshot!(told(|w| {
        sale(w, 0);
        w.pool().max = Some(Units(30));
        w.units(30);
    }), @r"- web: held, the configured `max` is 30 units; released by changing the configured `max`");
}

#[test]
fn a_sale_of_others_is_none_of_our_business() {
    assert_snapshot!(told(|w| {
        w.add("api");
        sale(w, 0);
        w.snapshot.floors[0].services = vec![name("api")];
    }), @r"
        > api: desired 10 -> 40, event `11.11` (until 2026-03-02T18:00:00Z) wants 40 units, demand now 950/s, a unit serves 100/s
        - web: the size is right
        ");
}

#[test]
fn of_two_sales_at_once_the_larger_floor_counts() {
    assert_snapshot!(told(|w| {
        sale(w, 0);
        let mut second = w.snapshot.floors[0].clone();
        (second.name, second.floor) = ("launch".to_owned(), Units(45));
        w.snapshot.floors.push(second);
    }), @r"> web: desired 10 -> 45, event `launch` (until 2026-03-02T18:00:00Z) wants 45 units, demand now 950/s, a unit serves 100/s");
}
