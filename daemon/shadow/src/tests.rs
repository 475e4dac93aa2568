//! The shadow's groups, scorecards and doubts, without a journal.

use fleet::money::Currency;
use fleet::rent::UnitPrice;
use fleet::signs::PriceSource;
use fleet::{Change, Seconds, ServiceName, Timestamp, Units};
use journal::{CycleId, RecordId};

use super::*;

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn questioned(service: &str, at: i64, severity: u32) -> Questioned {
    Questioned {
        service: name(service),
        at: Timestamp(at),
        cycle: CycleId(RecordId::at_or_after(Timestamp(at))),
        change: Change::Desired { from: Units(4), to: Units(3) },
        doubt: Doubt::TooSmall { needed: Units(4) },
        severity,
    }
}

#[test]
fn the_worst_come_first_and_then_the_oldest() {
    let all = vec![
        questioned("b", 60, 10),
        questioned("a", 60, 10),
        questioned("a", 0, 10),
        questioned("a", 90, 1200),
    ];
    let order: Vec<(String, i64)> =
        rank(all.clone(), 9).into_iter().map(|q| (q.service.to_string(), q.at.0)).collect();
    let of = |service: &str, at| (service.to_owned(), at);
    assert_eq!(order, [of("a", 90), of("a", 0), of("a", 60), of("b", 60)]);
    assert_eq!(rank(all, 2).len(), 2);
}

#[test]
fn scorecards_add_up_by_day_and_old_days_go() {
    let mut scores = Scores::default();
    let policy = as_if_act(&planner::policy::Policy {
        mode: planner::policy::Mode::Observe,
        poll_interval: Seconds(60),
        budgets: planner::policy::Budgets::default(),
        spend_ceiling_usd_milli_hourly: None,
        services: BTreeMap::new(),
        promotion: planner::stage::Promotion::default(),
    });
    let account =
        |unit_hours, violations| Account { unit_hours, intervals: 1, violations, changes: 1 };
    let row = Compared {
        service: name("web"),
        capacity: Some(10.0),
        desired: Some(5),
        would: Some(3),
        real: account(5.0 / 60.0, 0),
        other: account(3.0 / 60.0, 1),
    };
    let step =
        Step { plan: planner::plan::Plan::default(), compared: vec![row], span: Seconds(60) };
    let start = Timestamp(20_000 * 86_400);
    for minute in 0..3 {
        scores.take(start + Seconds::minutes(minute), &policy, &step, &|_| minute == 1);
    }
    scores.take(start + Seconds::days(1), &policy, &step, &|_| false);
    let (sum, days) = scores.since(&name("web"), start);
    assert_eq!(days, 2);
    assert_eq!((sum.actual.unit_seconds, sum.would.unit_seconds), (4 * 300, 4 * 180));
    assert_eq!((sum.actual.orders, sum.would.orders), (1, 4));
    assert_eq!((sum.actual.violations, sum.would.violations), (0, 4));
    assert_eq!((sum.disagreements, sum.largest_disagreement), (4, 2));
    let (today, days) = scores.since(&name("web"), start + Seconds::days(1));
    assert_eq!((today.would.orders, days), (1, 1));
    // A smaller group for two more minutes: the day's peak is what it was.
    let mut smaller = step.clone();
    smaller.compared[0].desired = Some(2);
    scores.take(start + Seconds::minutes(3), &policy, &smaller, &|_| true);
    smaller.compared[0].capacity = None;
    scores.take(start + Seconds::minutes(4), &policy, &smaller, &|_| false);
    let (sum, _) = scores.since(&name("web"), start);
    assert_eq!((sum.peak.seconds, sum.peak.units), (5 * 60, 5));
    assert_eq!(sum.peak.unit_seconds, (4 + 1) * 60 * 5);
    scores.take(start + Seconds::days(40), &policy, &step, &|_| false);
    assert_eq!(scores.days.len(), 1);
}

#[test]
fn what_is_taken_back_holds_until_a_cycle_has_taken_it_in() {
    use fleet::RuleName;
    use planner::stage::{StageAsk, Stages};
    let recall = Recall::default();
    let (web, rule) = (name("web"), RuleName("dev".to_owned()));
    let demote = StageAsk::Demote { service: web.clone() };
    recall.note(&demote);
    recall.note(&demote);
    recall.settle(&demote);
    assert!(recall.holds(&web) && !recall.holds(&name("api")) && !recall.holds_rule(&rule, false));
    recall.note(&StageAsk::NewJournal);
    assert!(recall.holds(&name("api")) && recall.holds_rule(&rule, false));
    recall.settle(&StageAsk::NewJournal);
    assert!(!recall.holds(&name("api")) && !recall.holds_rule(&rule, false));
    assert!(recall.holds_rule(&rule, true), "nobody has promoted it");
    recall.settle(&demote);
    assert!(!recall.holds(&web));
    recall.note(&StageAsk::DemoteAll);
    assert!(recall.holds(&web) && recall.holds_rule(&rule, false));
    recall.settle(&StageAsk::DemoteAll);
    recall.stand(&Stages::default());
    assert!(!recall.holds_rule(&rule, false));
}

#[test]
fn a_group_under_a_floor_follows_what_others_do_above_it() {
    let mut group = SimulatedGroup::default();
    (group.desired, group.min, group.in_service) = (8, 2, 8);
    let at = Timestamp(600);
    group.order(Change::Minimum { from: Units(2), to: Units(10) }, at, at + Seconds(60));
    assert_eq!((group.desired, group.in_service), (10, 8));
    group.boot(at + Seconds(60));
    assert_eq!(group.in_service, 10);
    group.order(Change::Minimum { from: Units(10), to: Units(3) }, at, at + Seconds(60));
    assert_eq!(group.desired, 10, "a lower floor takes nothing away by itself");
}

#[path = "../../../planner/tests/world/mod.rs"]
mod world;

/// How full the real group is says nothing of a larger one.
#[test]
fn a_real_group_that_is_full_for_hours_does_not_have_the_shadow_grow_for_hours() {
    let mut world = world::World::new();
    world.policy.mode = planner::policy::Mode::Observe;
    let policy = as_if_act(&world.policy);
    let mut shadow = Shadow::new(world.memory.clone());
    let mut would = Vec::new();
    for _ in 0..240 {
        // Ten units that are sized for 100 a second each, and can do no more than 130.
        world.set_demand(1300.0);
        let demand = world.demand();
        demand.utilisation = Some(1.0);
        let newest = demand.settled.iter_mut().chain(&mut demand.newly_settled);
        newest.for_each(|point| point.censored = true);
        let step = shadow.step(&policy, &world.snapshot, &[]);
        would.extend(step.compared[0].would);
        let _ = world.cycle(false);
    }
    assert!(would.iter().max() > Some(&13), "while its own units boot it does not know better");
    assert!(would[60..].iter().all(|units| (13..=16).contains(units)), "{would:?}");
}

/// Scorecards, the groups and what is watched go on after a restart where they were.
#[test]
fn a_restart_goes_on_where_the_score_was() {
    let mut world = world::World::new();
    world.policy.mode = planner::policy::Mode::Observe;
    let dir = tempfile::tempdir().unwrap();
    let options = || journal::Options { reserve_bytes: 1 << 16, ..journal::Options::default() };
    let real = || journal::World::Real;
    let (journal, _) = journal::Journal::open(dir.path(), real(), options()).unwrap();
    let digest = journal.record_policy(&world.policy, "", world.snapshot.taken_at).unwrap();
    let mut watch = Watch::new(&world.policy, &world.memory);
    let price = UnitPrice {
        hourly_micro: 96_000,
        currency: Currency::Usd,
        sources: vec![PriceSource::AwsPriceList],
        as_of: Timestamp(7),
    };
    let prices = BTreeMap::from([(name("web"), price)]);
    // From 12:00 through two midnights, and twenty minutes that no scorecard was written down for.
    for minute in 0..36 * 60 + 20 {
        world.set_demand(if minute % 100 < 50 { 690.0 } else { 960.0 });
        let settled = world.demand().settled.unwrap();
        world.demand().newly_settled.push(settled);
        let (snapshot, before) = (world.snapshot.clone(), world.memory.clone());
        let plan = world.cycle(false);
        let cycle = journal::NewCycle {
            policy: digest,
            planner_revision: planner::memory::REVISION,
            snapshot: &snapshot,
            plan: &plan,
            memory_before: &before,
            memory_after: &world.memory,
            stories: &[],
        };
        let id = journal.record_cycle(&cycle, &[]).unwrap();
        let seen = Seen { cycle: id, snapshot: &snapshot, plan: &plan, memory: &world.memory };
        watch.take(&journal, seen).unwrap();
        if minute == 600 {
            watch.price(&journal, world.snapshot.taken_at, &prices).unwrap();
        }
    }
    let scores = watch.scores().read().unwrap().clone();
    assert_eq!(scores.days.len(), 3);
    let (card, _) = scores.since(&name("web"), Timestamp(0));
    assert!(card.would.orders > 20 && card.disagreements > 500, "{card:?}");
    assert!(card.would.unit_seconds < card.actual.unit_seconds, "{card:?}");
    journal.flush().unwrap();
    drop(journal);
    let (journal, recovered) = journal::Journal::open(dir.path(), real(), options()).unwrap();
    let (memory, at) = recovered.memory.unwrap();
    let mut again = Watch::new(&world.policy, &memory);
    again.restore(&journal.reader(), at + Seconds(60)).unwrap();
    let restored = again.scores().read().unwrap().clone();
    let days: Vec<i64> = restored.days.keys().copied().collect();
    assert_eq!(days, scores.days.keys().copied().collect::<Vec<_>>());
    let (after, _) = restored.since(&name("web"), Timestamp(0));
    assert_eq!(after.actual, card.actual);
    assert_eq!(after.cycles, card.cycles);
    assert_eq!(restored.prices, prices);
    assert_eq!(restored.before, scores.before);
    let held = |scores: &Scores| {
        let days = scores.days.values().filter_map(|day| day.services.get(&name("web")));
        days.map(|card| (card.worth.held, card.worth.unit)).collect::<Vec<_>>()
    };
    assert_eq!(held(&restored), held(&scores));
    assert!(held(&scores).iter().all(|(stand, unit)| stand.seconds > 0 && unit.is_some()));
    // It only watched: what ran is what ran before neap, and nothing was saved.
    let before = restored.before[&name("web")];
    assert!(!before.over && before.stand.seconds == 36 * 3600 + 19 * 60, "{before:?}");
    let acted = restored.days.values().flat_map(|day| day.services.values());
    assert!(acted.into_iter().all(|card| card.worth.acted == worth::Stand::default()));
    // What the shadow had learned begins anew: its twenty minutes may differ a little.
    assert!(after.would.orders.abs_diff(card.would.orders) <= 2, "{after:?} {card:?}");
}
