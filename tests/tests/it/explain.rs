//! `neap explain`: one screen for each kind of verdict, read back from a journal.

#[path = "../../../planner/tests/world/mod.rs"]
mod world;

use fleet::group::Owner;
use fleet::{Fault, FaultKind, Seconds, Units};
use journal::{Intent, Journal, NewCycle, Options, Outcome, World as JournalWorld};
use planner::memory::{Count, REVISION, ViolationAccount};
use planner::policy::{Budget, Share};
use planner::snapshot::OrderResult;
use tests::neap::Neap;
use world::World;

/// Not read: the state directory is named.
const CONFIG: &str = "";

/// Plans and records a cycle; its orders are applied.
fn record(journal: &Journal, world: &mut World) {
    let (policy, snapshot) = (world.policy.clone(), world.snapshot.clone());
    let before = world.memory.clone();
    let at = snapshot.taken_at;
    let digest = journal.record_policy(&policy, "", at).unwrap();
    let plan = world.cycle(true);
    let id = journal
        .record_cycle(
            &NewCycle {
                policy: digest,
                planner_revision: REVISION,
                snapshot: &snapshot,
                plan: &plan,
                memory_before: &before,
                memory_after: &world.memory,
                stories: &[],
            },
            &[],
        )
        .unwrap();
    for (index, action) in plan.actions.iter().enumerate().filter(|(_, a)| !a.dry_run) {
        let intent = Intent {
            id: id.decision(index),
            at,
            service: action.service.clone(),
            group: action.group.clone(),
            change: action.change,
        };
        let outcome = Outcome { id: intent.id, at, result: OrderResult::Applied };
        journal.record_intents(&[intent]).unwrap();
        journal.record_outcomes(&[outcome]).unwrap();
    }
    journal.flush().unwrap();
}

/// What `neap explain web` prints after these cycles.
fn explained(mut world: World, cycles: &[&dyn Fn(&mut World)]) -> String {
    let neap = Neap::new(env!("CARGO_BIN_EXE_neap-test"), CONFIG);
    let (journal, _) =
        Journal::open(&neap.path("state"), JournalWorld::Real, Options::default()).unwrap();
    for change in cycles {
        change(&mut world);
        record(&journal, &mut world);
    }
    drop(journal);
    let state = neap.path("state");
    let output = neap.output(&["explain", "web", "--state-dir", state.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().count() <= 12, "{text}");
    text
}

/// The id of a cycle holds the number that its journal drew.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"cycle [0-9a-f]+-[0-9a-f]+-[0-9a-f]+", "cycle ID");
    settings
}

#[test]
fn a_group_that_was_scaled() {
    let text = explained(
        World::new(),
        &[&|w| w.set_demand(950.0), &|w| {
            w.set_demand(1000.0);
            w.expect(1400.0, 1400.0);
        }],
    );
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:01:00Z (cycle ID)
      action    desired 10 -> 14
      because   forecast 1400/s at q0.9881 within 7m, 100/s a unit; now 1000/s
      group     desired 10 in 0..50, 10 in service, 0 on the way; demand 1000/s at 2026-03-02T11:58:00Z
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 14 now, 14 in the hold window (at q0.9881), reactive 10; wanted 14; a unit carries 100/s
      trade     14 units: 0.20% missed; 13: 37.9% missed; 15: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      order     done
      quality   loses 0.50 of what last-value would
      since     2026-03-02T12:01:00Z, next look 2026-03-02T12:02:00Z
    "#));
}

#[test]
fn a_group_held_for_stale_data() {
    let text = explained(
        World::new(),
        &[&|w| w.set_demand(950.0), &|w| {
            w.snapshot.taken_at = w.snapshot.taken_at + Seconds::minutes(30);
            w.demand().fault = Some(Fault {
                kind: FaultKind::Throttled { retry_after: None },
                operation: "GetMetricData".to_owned(),
                detail: "Throttling: Rate exceeded".to_owned(),
                request_id: Some("7f3c09".to_owned()),
            });
        }],
    );
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:31:00Z (cycle ID)
      held      the newest sample of demand is 32m old, the limit is 5m; released by samples arriving again
      group     desired 10 in 0..50, 10 in service, 0 on the way; demand 950/s at 2026-03-02T11:58:00Z, nothing newer: `GetMetricData` throttled: Throttling: Rate exceeded (request `7f3c09`)
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 10 now, 10 in the hold window (at q0.9881), reactive -; wanted 10; a unit carries 100/s
      trade     10 units: less than 0.01% missed; 9: 37.9% missed; 11: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      quality   loses 0.50 of what last-value would
      since     2026-03-02T12:31:00Z, next look 2026-03-02T12:32:00Z
    "#));
}

#[test]
fn a_group_in_cooldown() {
    let text = explained(
        World::new(),
        &[
            &|w| {
                w.set_demand(1000.0);
                w.expect(1400.0, 1400.0);
            },
            &|w| {
                w.expect_any_fall();
                w.set_demand(300.0);
            },
        ],
    );
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:01:00Z (cycle ID)
      held      the size changed recently; until 2026-03-02T12:05:00Z
      group     desired 14 in 0..50, 14 in service, 0 on the way; demand 300/s at 2026-03-02T11:58:00Z
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 3 now, 3 in the hold window (at q0.9881), reactive 3; wanted 3; a unit carries 100/s
      trade     3 units: 0.20% missed; 2: 37.9% missed; 4: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      quality   loses 0.50 of what last-value would
      since     2026-03-02T12:01:00Z, next look 2026-03-02T12:02:00Z
    "#));
}

#[test]
fn a_group_that_an_orchestrator_owns() {
    let text = explained(
        World::new(),
        &[&|w| {
            w.view().owner = Some(Owner {
                name: "Karpenter".to_owned(),
                evidence: "karpenter.sh/nodepool".to_owned(),
            });
        }],
    );
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:00:00Z (cycle ID)
      held      Karpenter owns the group, as `karpenter.sh/nodepool` says; released by removing `karpenter.sh/nodepool`, or this service
      group     desired 10 in 0..50, 10 in service, 0 on the way; demand 950/s at 2026-03-02T11:57:00Z
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 10 now, 10 in the hold window (at q0.9881), reactive 10; wanted 10; a unit carries 100/s
      trade     10 units: less than 0.01% missed; 9: 37.9% missed; 11: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      quality   loses 0.50 of what last-value would
      since     2026-03-02T12:00:00Z, next look 2026-03-02T12:01:00Z
    "#));
}

#[test]
fn a_group_over_its_budget_of_removals() {
    let mut world = World::new();
    let share = Share::percent(10);
    world.policy.budgets.group =
        Some(Budget { share, at_least: Units(1), per: Seconds::minutes(10) });
    world.pool().cooldown = Seconds::ZERO;
    world.pool().hold_window = Seconds::ZERO;
    let low: &dyn Fn(&mut World) = &|w| w.set_demand(300.0);
    let text = explained(world, &[low, low, low, low]);
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:03:00Z (cycle ID)
      held      the removal budget of the group allows 0 more units until 2026-03-02T12:10:00Z
      group     desired 9 in 0..50, 9 in service, 0 on the way; demand 300/s at 2026-03-02T12:00:00Z
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 3 now, 3 in the hold window (at q0.9881), reactive 3; wanted 3; a unit carries 100/s
      trade     3 units: 0.20% missed; 2: 37.9% missed; 4: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      quality   loses 0.50 of what last-value would; 0.00% of 0.25 days missed, 0.5% promised
      since     2026-03-02T12:01:00Z, next look 2026-03-02T12:04:00Z
    "#));
}

/// A week of which so many of a thousand intervals were missed.
fn a_week_with(world: &mut World, missed: u32) {
    // Quarters of a day, numbered from 1970; the newest is the one of this snapshot.
    let newest = u32::try_from(world.snapshot.taken_at.0 / 21_600).unwrap();
    let count = Count { intervals: 1000, violations: missed };
    let quarters = (newest - 27..=newest).map(|quarter| (quarter, count)).collect();
    let memory = world.memory.services.get_mut(&world::name("web")).expect("a cycle was planned");
    memory.violations = ViolationAccount { counted: memory.violations.counted, quarters };
}

#[test]
fn a_promise_that_is_not_kept_is_told_with_what_it_asks_for() {
    let bursty: &dyn Fn(&mut World) = &|w| {
        a_week_with(w, 31);
        w.set_demand(1000.0);
        w.expect(3400.0, 3400.0);
    };
    let text = explained(World::new(), &[&|w| w.set_demand(950.0), bursty]);
    settings().bind(|| insta::assert_snapshot!(text, @r#"
    web at 2026-03-02T12:01:00Z (cycle ID)
      action    desired 10 -> 34
      because   forecast 3400/s at q0.9881 within 7m, 100/s a unit; now 1000/s
      group     desired 10 in 0..50, 10 in service, 0 on the way; demand 1000/s at 2026-03-02T11:58:00Z
      writes    the desired capacity: no policy of the group's own is switched on
      needed    forecast 34 now, 34 in the hold window (at q0.9881), reactive 10; wanted 34; a unit carries 100/s
      trade     34 units: 0.20% missed; 33: 37.9% missed; 35: less than 0.01% missed
      window    7m ahead = sample age 2m + poll 1m + lead time 4m (configured; no launch was seen yet); hold window 15m
      order     done
      quality   loses 0.50 of what last-value would
      promise   3.10% of 7 days missed, 0.5% promised; it asks for 34 units now that demand needs 10; `neap tune --service web` shows what keeping it costs
      since     2026-03-02T12:01:00Z, next look 2026-03-02T12:02:00Z
    "#));
    let kept: &dyn Fn(&mut World) = &|w| a_week_with(w, 1);
    let text = explained(World::new(), &[&|w| w.set_demand(950.0), kept]);
    assert!(text.contains("0.10% of 7 days missed"), "{text}");
    assert!(!text.contains("keeping it costs"), "{text}");
}
