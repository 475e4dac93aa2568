//! Shadow, promotion, canary, regret and what is taken back, as stories.

use fleet::{RuleName, Seconds, Units};
use planner::Memory;
use planner::plan::{Hold, Plan};
use planner::policy::{Budgets, Mode, Share};
use planner::snapshot::DemandPoint;
use planner::stage::{
    self, Evidence, Gate, Missing, RuleEvidence, Stage, StageAsk, StageRequest, Why, bound_to,
    bound_to_rule, missing,
};

use crate::world::{World, name, text};
use insta::assert_snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn gated() -> World {
    let mut world = World::new();
    world.policy.promotion.gated.insert(name("web"));
    world
}

fn ask(world: &mut World, by: &str, ask: StageAsk) {
    let at = world.snapshot.taken_at;
    world.snapshot.requests.push(StageRequest { by: by.to_owned(), at, ask });
}

fn promote(world: &mut World, share: Option<Share>) {
    let service = name("web");
    let bound_to = bound_to(&world.policy, &world.memory.stages, &service);
    ask(world, "ann", StageAsk::Promote { service, share, anyway: false, bound_to });
}

fn acts(plan: &Plan) -> Vec<bool> {
    plan.actions.iter().map(|action| !action.dry_run).collect()
}

fn stage_of(world: &World) -> (Stage, Why) {
    let memory = world.memory.stages.service(&name("web")).unwrap();
    (memory.stage, memory.why.clone())
}

#[test]
fn what_asks_for_no_promotion_has_no_stage() {
    let mut world = World::new();
    world.set_demand(420.0);
    assert_eq!(acts(&world.cycle(true)), [true]);
    assert_eq!(world.memory.stages, Memory::default().stages);
}

#[test]
fn a_gated_service_decides_and_changes_nothing() {
    let mut world = gated();
    world.set_demand(420.0);
    let plan = world.cycle(true);
    assert_snapshot!(text(&plan), @r"
    > web: desired 10 -> 5 (dry run), forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: held, in shadow since 2026-03-02T12:00:00Z (not promoted yet): the change is only shown; released by `neap promote`
    ");
    assert_eq!(world.memory.services[&name("web")].orders.open, None);
    // In mode `observe` that is the reason, and a gate that is taken away leaves nothing behind.
    world.policy.mode = Mode::Observe;
    let held = world.cycle(true).findings;
    assert!(held.iter().any(|finding| finding.hold == Hold::ObserveOnly), "{held:?}");
    world.policy.mode = Mode::Act;
    world.policy.promotion.gated.clear();
    assert_eq!(acts(&world.cycle(true)), [true]);
    assert_eq!(world.memory.stages, Memory::default().stages);
}

#[test]
fn a_promotion_acts_in_the_cycle_that_takes_it_in() {
    let mut world = gated();
    world.set_demand(1990.0);
    assert_eq!(acts(&world.cycle(true)), [false]);
    promote(&mut world, None);
    assert_eq!(acts(&world.cycle(true)), [true]);
    let by = "ann".to_owned();
    assert_eq!(stage_of(&world), (Stage::Promoted, Why::Promoted { by, anyway: false }));
}

#[test]
fn a_promotion_is_void_once_the_configuration_or_the_stage_is_another() {
    let mut world = gated();
    let _ = world.cycle(true);
    promote(&mut world, None);
    world.policy.services.get_mut(&name("web")).unwrap().pool.min = Units(3);
    let plan = world.cycle(true);
    let void = Hold::OfferVoid { by: "ann".to_owned() };
    assert!(plan.findings.iter().any(|finding| finding.hold == void), "{}", text(&plan));
    assert_eq!(stage_of(&world), (Stage::Shadow, Why::New));
    // Two that were agreed to in the same stage: the first makes another of it.
    promote(&mut world, Some(Share::percent(10)));
    promote(&mut world, None);
    let plan = world.cycle(true);
    assert!(plan.findings.iter().any(|finding| finding.hold == void), "{}", text(&plan));
    assert_eq!(stage_of(&world).0, Stage::Canary { share: Share::percent(10) });
}

#[test]
fn anything_can_be_taken_back_and_lifted_again() {
    let mut world = World::new();
    world.set_demand(1990.0);
    ask(&mut world, "bob", StageAsk::Demote { service: name("web") });
    let plan = world.cycle(true);
    assert_snapshot!(text(&plan), @r"
    > web: desired 10 -> 20 (dry run), forecast wants 20 units for 1990/s at p98.81 within 7m, demand now 1990/s, a unit serves 100/s
    - web: held, in shadow since 2026-03-02T12:00:00Z (demoted by bob): the change is only shown; released by `neap promote`
    ");
    assert_eq!(acts(&world.cycle(true)), [false], "it stays so");
    promote(&mut world, None);
    assert_eq!(acts(&world.cycle(true)), [true]);
}

#[test]
fn everything_is_taken_back_and_what_comes_later_too() {
    let mut world = gated();
    world.add("api");
    let _ = world.cycle(true);
    promote(&mut world, None);
    let _ = world.cycle(true);
    let before = world.memory.clone();
    ask(&mut world, "bob", StageAsk::DemoteAll);
    world.set_demand(1990.0);
    world.demand_of("api", 1990.0);
    assert_eq!(acts(&world.cycle(true)), [false, false]);
    let alerts = stage::alerts(&before, &world.memory, world.snapshot.taken_at);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].title, "everything is taken back to observe: demoted by bob");
    let rule = RuleName("dev".to_owned());
    assert!(world.memory.stages.shadows_rule(&rule, false));
    world.add("new");
    world.demand_of("new", 1990.0);
    assert_eq!(acts(&world.cycle(true)), [false, false, false]);
    promote(&mut world, None);
    ask(&mut world, "ann", StageAsk::PromoteRule { rule: rule.clone() });
    let plan = world.cycle(true);
    let acting: Vec<&str> =
        plan.actions.iter().filter(|a| !a.dry_run).map(|a| a.service.as_str()).collect();
    assert_eq!(acting, ["web"]);
    assert!(!world.memory.stages.shadows_rule(&rule, false));
}

#[test]
fn a_new_journal_lets_nothing_act_until_somebody_promotes_it() {
    // Nothing is gated.
    let mut world = World::new();
    world.add("api");
    let _ = world.cycle(true);
    let before = world.memory.clone();
    ask(&mut world, "neap", StageAsk::NewJournal);
    world.set_demand(1990.0);
    world.demand_of("api", 1990.0);
    assert_eq!(acts(&world.cycle(true)), [false, false]);
    assert_eq!(stage_of(&world), (Stage::Shadow, Why::NewJournal));
    let alerts = stage::alerts(&before, &world.memory, world.snapshot.taken_at);
    let titles: Vec<&str> = alerts.iter().map(|alert| alert.title.as_str()).collect();
    let why = "the journal is new, the one before it is away";
    assert_eq!(titles, [format!("everything is taken back to observe: {why}")]);
    // It stays so, for rules and for what comes later, too.
    let rule = RuleName("dev".to_owned());
    assert!(world.memory.stages.shadows_rule(&rule, false));
    world.add("new");
    world.demand_of("new", 1990.0);
    let plan = world.cycle(true);
    assert_eq!(acts(&plan), [false, false, false]);
    assert!(text(&plan).contains(why), "{}", text(&plan));
    // Each acts again once somebody says so.
    promote(&mut world, None);
    ask(&mut world, "ann", StageAsk::PromoteRule { rule: rule.clone() });
    let plan = world.cycle(true);
    let acting = plan.actions.iter().filter(|action| !action.dry_run);
    assert_eq!(acting.map(|action| action.service.as_str()).collect::<Vec<_>>(), ["web"]);
    assert!(!world.memory.stages.shadows_rule(&rule, false));
}

#[test]
fn a_canary_grows_as_it_decides_and_shrinks_by_its_share() {
    let mut world = gated();
    world.policy.budgets = Budgets { account: None, fleet: None, ..Budgets::default() };
    world.units(40);
    let _ = world.cycle(true);
    promote(&mut world, Some(Share::percent(25)));
    world.expect_any_fall();
    world.set_demand(420.0);
    // A tenth of 40 is four in ten minutes; a quarter of that is one.
    let plan = world.cycle(true);
    assert_snapshot!(text(&plan), @r"
    > web: desired 40 -> 39, forecast wants 5 units for 420/s at p98.81 within 7m, demand now 420/s, a unit serves 100/s
    - web: limited from 5 to 39 units, a canary has 25% of its removal budget, which allows 1 more unit until 2026-03-02T12:11:00Z
    ");
    world.set_demand(4_500.0);
    let plan = world.cycle(true);
    assert_eq!(plan.actions[0].change.to(), Units(45));
    assert_eq!(acts(&plan), [true]);
}

#[test]
fn no_past_makes_a_canary_shrink_by_more_than_its_share() {
    let shrunk = |share| {
        let mut world = gated();
        world.policy.budgets = Budgets { account: None, fleet: None, ..Budgets::default() };
        world.units(40);
        let _ = world.cycle(true);
        promote(&mut world, share);
        world.expect_any_fall();
        world.wanted_lately("web", 5);
        world.set_demand(420.0);
        world.cycle(true).actions[0].change.to()
    };
    assert_eq!(shrunk(None), Units(5));
    assert_eq!(shrunk(Some(Share::percent(25))), Units(39));
}

#[test]
fn a_small_canary_waits_longer_for_its_one_unit() {
    let mut world = gated();
    world.policy.budgets = Budgets { account: None, fleet: None, ..Budgets::default() };
    world.policy.services.get_mut(&name("web")).unwrap().pool.cooldown = Seconds(0);
    let _ = world.cycle(true);
    promote(&mut world, Some(Share::percent(25)));
    world.expect_any_fall();
    world.set_demand(420.0);
    let mut removed = Vec::new();
    for minute in 1..=60 {
        let plan = world.cycle(true);
        let shrinks = plan.actions.iter().any(|action| !action.change.is_increase());
        removed.extend(shrinks.then_some(minute));
    }
    // One in ten minutes is the whole budget; a quarter of it is one in forty.
    assert_eq!(removed, [1, 41]);
}

/// An interval settles in which demand was above all that is in service.
fn violate(world: &mut World) {
    let at = world.snapshot.taken_at;
    let point = DemandPoint { start: at - Seconds(180), value: 1e6, censored: false };
    world.demand().newly_settled.push(point);
}

fn keep(world: &mut World) {
    let at = world.snapshot.taken_at;
    let point = DemandPoint { start: at - Seconds(180), value: 1.0, censored: false };
    world.demand().newly_settled.push(point);
}

/// Promoted, and an hour on.
fn promoted() -> World {
    let mut world = gated();
    let _ = world.cycle(true);
    promote(&mut world, None);
    for _ in 0..60 {
        keep(&mut world);
        let _ = world.cycle(true);
    }
    world
}

#[test]
fn too_many_violations_take_a_promotion_back_once() {
    let mut world = promoted();
    // To the next quarter of the day, at 18:00.
    for _ in 0..300 {
        keep(&mut world);
        let _ = world.cycle(true);
    }
    assert_eq!(stage_of(&world).0, Stage::Promoted);
    let mut alerts = Vec::new();
    for _ in 0..60 {
        violate(&mut world);
        let before = world.memory.clone();
        let _ = world.cycle(true);
        alerts.extend(stage::alerts(&before, &world.memory, world.snapshot.taken_at));
    }
    let (stage, why) = stage_of(&world);
    assert_eq!(stage, Stage::Shadow);
    assert!(matches!(why, Why::RegretViolations { violations: 11, .. }), "{why:?}");
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].severity, fleet::alert::Severity::Critical);
    assert!(alerts[0].title.contains("back in shadow: demoted by regret"), "{}", alerts[0].title);
    world.set_demand(5_000.0);
    assert_eq!(acts(&world.cycle(true)), [false]);
}

#[test]
fn removals_that_violations_follow_take_a_promotion_back() {
    let mut world = promoted();
    let mut regretted = Vec::new();
    for _ in 0..3 {
        // A removal that is applied, and demand that wants the unit back minutes later.
        world.units(10);
        world.set_demand(420.0);
        let mut minutes = 0;
        while !world.cycle(true).actions.iter().any(|action| !action.change.is_increase()) {
            minutes += 1;
            assert!(minutes < 120, "nothing is taken away");
            world.units(10);
        }
        for _ in 0..3 {
            world.set_demand(420.0);
            let _ = world.cycle(true);
        }
        violate(&mut world);
        let _ = world.cycle(true);
        regretted.push(world.memory.stages.services[&name("web")].regretted);
    }
    assert_eq!(regretted[..2], [1, 2]);
    assert_eq!(stage_of(&world), (Stage::Shadow, Why::RegretRemovals { removals: 3 }));
}

#[test]
fn what_is_not_gated_knows_no_regret() {
    let mut world = promoted();
    world.policy.promotion.gated.clear();
    for _ in 0..600 {
        violate(&mut world);
        let _ = world.cycle(true);
    }
    assert_eq!(stage_of(&world).0, Stage::Promoted);
}

#[test]
fn a_gate_says_what_is_missing() {
    let gate = Gate::default();
    let budget = Share::from_fraction(0.005).unwrap();
    let good = Evidence {
        shadow_for: Seconds::days(7),
        decisions: 10,
        intervals: 10_000,
        violations_actual: 10,
        violations_would: 20,
        unit_hours_actual: 100.0,
        unit_hours_would: 105.0,
        usd: None,
        forecast_trusted: true,
    };
    assert_eq!(missing(&gate, budget, &good), []);
    let told = |evidence: Evidence| -> Vec<String> {
        missing(&gate, budget, &evidence).iter().map(Missing::to_string).collect()
    };
    let young = Evidence { shadow_for: Seconds::days(2), decisions: 3, ..good };
    assert_eq!(told(young), ["2d of 7d in shadow", "3 of 10 decisions"]);
    // A tenth of a percent real and a tenth more: 0.2% at most.
    let worse = Evidence { violations_would: 21, ..good };
    assert_eq!(told(worse), ["violations 0.21%, at most 0.20%"]);
    // However bad it really is, the budget is the most.
    let bad = Evidence { violations_actual: 900, violations_would: 51, ..good };
    assert_eq!(told(bad), ["violations 0.51%, at most 0.50%"]);
    let dear = Evidence { unit_hours_would: 106.0, ..good };
    assert_eq!(told(dear), ["cost 106.0%, at most 105.0%"]);
    let priced = Evidence { usd: Some([25.0, 26.5]), ..dear };
    assert_eq!(told(priced), ["cost 106.0%, at most 105.0% (25.00 USD to 26.50 USD)"]);
    let blind = Evidence { forecast_trusted: false, ..good };
    assert_eq!(told(blind), ["the forecast has no say"]);
}

#[test]
fn an_offer_stands_for_one_day_one_stage_and_one_configuration() {
    let mut world = gated();
    let _ = world.cycle(true);
    let web = name("web");
    let offer = |world: &World, day| stage::offer(&world.policy, &world.memory.stages, &web, day);
    let first = offer(&world, 1);
    assert_eq!(offer(&world, 1), first);
    assert_ne!(offer(&world, 2), first);
    let mut other = world.clone();
    other.policy.services.get_mut(&web).unwrap().violation_budget = Share::percent(1);
    assert_ne!(offer(&other, 1), first);
    ask(&mut world, "bob", StageAsk::Demote { service: web.clone() });
    let _ = world.cycle(true);
    assert_ne!(offer(&world, 1), first);
}

#[test]
fn stages_survive_the_journals_encoding() {
    let mut world = gated();
    let _ = world.cycle(true);
    promote(&mut world, Some(Share::percent(25)));
    let rule = RuleName("dev".to_owned());
    ask(&mut world, "bob", StageAsk::DemoteRule { rule: rule.clone() });
    let (resource, stopped_at) = ("i-1".to_owned(), world.snapshot.taken_at);
    ask(&mut world, "somebody", StageAsk::StartedAgain { rule, resource, stopped_at });
    let before = world.memory.clone();
    let snapshot = postcard::to_allocvec(&world.snapshot).unwrap();
    assert_eq!(
        postcard::from_bytes::<planner::snapshot::Snapshot>(&snapshot).unwrap(),
        world.snapshot
    );
    let plan = world.cycle(true);
    let bytes = postcard::to_allocvec(&(&plan, &world.memory)).unwrap();
    let read: (Plan, Memory) = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(read, (plan, world.memory.clone()));
    let delta = planner::memory::delta(&before, &world.memory);
    assert_eq!(delta.apply(&before), world.memory);
}

/// A world whose rule `dev` waits for its promotion.
fn with_rule() -> (World, RuleName) {
    let mut world = World::new();
    let rule = RuleName("dev".to_owned());
    world.policy.promotion.rules.insert(rule.clone(), "0123456789ab".to_owned());
    let _ = world.cycle(true);
    (world, rule)
}

fn promote_rule(world: &mut World, rule: &RuleName) {
    let bound_to = bound_to_rule(&world.policy, &world.memory.stages, rule);
    let rule = rule.clone();
    ask(world, "ann", StageAsk::PromoteGatedRule { rule, anyway: false, bound_to });
    let _ = world.cycle(true);
}

/// Somebody starts a machine now that the rule stopped so long ago.
fn started_again(world: &mut World, rule: &RuleName, ago: Seconds) {
    let stopped_at = world.snapshot.taken_at - ago;
    let (rule, resource) = (rule.clone(), "sim/one/i-1".to_owned());
    ask(world, "somebody", StageAsk::StartedAgain { rule, resource, stopped_at });
    let _ = world.cycle(true);
}

#[test]
fn a_gated_rule_waits_for_its_promotion_under_the_configuration_that_was_seen() {
    let (mut world, rule) = with_rule();
    let stages = |world: &World| world.memory.stages.clone();
    assert!(stages(&world).shadows_rule(&rule, true));
    assert_eq!(stages(&world).rules[&rule].why, Why::New);
    assert!(!stages(&world).shadows_rule(&RuleName("other".to_owned()), false));
    assert!(stages(&world).shadows_rule(&RuleName("other".to_owned()), true), "seen by no cycle");
    let agreed = bound_to_rule(&world.policy, &world.memory.stages, &rule);
    world.policy.promotion.rules.insert(rule.clone(), "another".to_owned());
    let void = StageAsk::PromoteGatedRule { rule: rule.clone(), anyway: false, bound_to: agreed };
    ask(&mut world, "ann", void);
    let plan = world.cycle(true);
    let void = Hold::OfferVoid { by: "ann".to_owned() };
    assert!(plan.findings.iter().any(|finding| finding.hold == void), "{}", text(&plan));
    assert!(stages(&world).shadows_rule(&rule, true));
    promote_rule(&mut world, &rule);
    assert!(!stages(&world).shadows_rule(&rule, true));
    ask(&mut world, "bob", StageAsk::DemoteAll);
    let _ = world.cycle(true);
    assert!(stages(&world).shadows_rule(&rule, true));
    // What waits for no promotion any more has no stage.
    let (mut other, rule) = with_rule();
    other.policy.promotion.rules.clear();
    let _ = other.cycle(true);
    assert!(!stages(&other).shadows_rule(&rule, false));
    assert_eq!(stages(&other), Memory::default().stages);
}

#[test]
fn machines_that_are_started_again_soon_take_a_rules_promotion_back_once() {
    let (mut world, rule) = with_rule();
    started_again(&mut world, &rule, Seconds(60));
    assert_eq!(world.memory.stages.rules[&rule].regretted, 0, "in shadow it has stopped nothing");
    promote_rule(&mut world, &rule);
    for _ in 0..60 {
        let _ = world.cycle(true);
    }
    started_again(&mut world, &rule, Seconds::hours(2));
    assert_eq!(world.memory.stages.rules[&rule].regretted, 0, "that was before its promotion");
    let mut alerts = Vec::new();
    for n in 1..=4 {
        assert_eq!(world.memory.stages.shadows_rule(&rule, true), n > 3);
        let before = world.memory.clone();
        started_again(&mut world, &rule, Seconds::minutes(30));
        alerts.extend(stage::alerts(&before, &world.memory, world.snapshot.taken_at));
    }
    let memory = &world.memory.stages.rules[&rule];
    assert_eq!((memory.stage, &memory.why), (Stage::Shadow, &Why::RegretRestarts { restarts: 3 }));
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        alerts[0].title,
        "rule dev is back in shadow: demoted by regret, somebody started 3 of its machines again"
    );
    assert_eq!(alerts[0].at, memory.since);
}

#[test]
fn what_is_started_again_long_after_its_stop_is_no_regret() {
    let (mut world, rule) = with_rule();
    promote_rule(&mut world, &rule);
    world.snapshot.taken_at = world.snapshot.taken_at + Seconds::days(9);
    for _ in 0..5 {
        started_again(&mut world, &rule, Seconds::days(8));
    }
    assert!(!world.memory.stages.shadows_rule(&rule, true));
    world.policy.promotion.rules.clear();
    for _ in 0..5 {
        started_again(&mut world, &rule, Seconds(60));
    }
    assert!(!world.memory.stages.shadows_rule(&rule, false), "and none of what is not gated");
}

#[test]
fn a_rules_gate_says_what_is_missing() {
    let mut promotion = stage::Promotion::default();
    let told = |promotion: &stage::Promotion, evidence: &RuleEvidence| -> Vec<String> {
        let missing = stage::missing_of_rule(promotion, evidence);
        missing.iter().map(Missing::to_string).collect()
    };
    let good = RuleEvidence { shadow_for: Seconds::days(7), stops: 10, wrong: 0 };
    assert!(told(&promotion, &good).is_empty());
    let young = RuleEvidence { shadow_for: Seconds::days(2), stops: 9, wrong: 1 };
    assert_eq!(
        told(&promotion, &young),
        ["2d of 7d in shadow", "9 of 10 decisions", "1 of 9 stops were wrong, at most 0%"]
    );
    promotion.wrong_stops = Share::percent(10);
    assert!(told(&promotion, &RuleEvidence { wrong: 1, ..good }).is_empty());
    let wrong = RuleEvidence { wrong: 2, ..good };
    assert_eq!(told(&promotion, &wrong), ["2 of 10 stops were wrong, at most 10%"]);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    /// Whatever people ask for and do, a gated rule acts only from a promotion that was agreed to
    /// as things stand until somebody takes it back or three of its stops are taken back.
    #[test]
    fn a_gated_rule_acts_only_while_a_promotion_holds(events in vec(0u8..6, 1..40)) {
        let (mut world, rule) = with_rule();
        let (mut since, mut taken_back) = (None, 0);
        for event in events {
            let now = world.snapshot.taken_at;
            let mut given = |ask: StageAsk| {
                let by = "ann".to_owned();
                world.snapshot.requests.push(StageRequest { by, at: now, ask });
            };
            let anyway = false;
            match event {
                0 => {
                    let bound_to = bound_to_rule(&world.policy, &world.memory.stages, &rule);
                    given(StageAsk::PromoteGatedRule { rule: rule.clone(), anyway, bound_to });
                    (since, taken_back) = (Some(now), 0);
                }
                1 => {
                    let bound_to = "0123456789ab".to_owned();
                    given(StageAsk::PromoteGatedRule { rule: rule.clone(), anyway, bound_to });
                }
                2 => {
                    given(StageAsk::DemoteRule { rule: rule.clone() });
                    since = None;
                }
                3 => {
                    given(StageAsk::DemoteAll);
                    since = None;
                }
                4 => {
                    let (resource, stopped_at) = ("i-1".to_owned(), now - Seconds::minutes(30));
                    given(StageAsk::StartedAgain { rule: rule.clone(), resource, stopped_at });
                    taken_back += u32::from(since.is_some_and(|since| stopped_at >= since));
                    since = since.filter(|_| taken_back < 3);
                }
                _ => world.snapshot.taken_at = now + Seconds::minutes(40),
            }
            let _ = world.cycle(true);
            prop_assert_eq!(world.memory.stages.shadows_rule(&rule, true), since.is_none());
        }
    }
}
