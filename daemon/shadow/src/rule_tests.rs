//! The shadow of idle rules, without clouds and a journal.

use fleet::money::{Currency, Price, Saving};
use fleet::signs::{Holder, PriceSource};
use journal::ledger::LookSeen;
use planner::idle::evidence::Use;
use planner::idle::rule::Radius;
use planner::idle::snapshot::PowerResult;
use planner::idle::started_again;

use super::*;

#[path = "../../../planner/tests/idle_world/mod.rs"]
mod idle_world;

use idle_world::{EVERY, World, cap, id, machine, name};

/// A world that is looked at every five minutes, and the shadow of its rules.
struct Bench {
    world: World,
    watch: RuleWatch,
}

impl Bench {
    /// One machine that costs a tenth of a dollar an hour, under a rule in shadow.
    fn new() -> Bench {
        let mut world = World::new();
        world.rule().mode = RuleMode::Shadow;
        let hourly_micro = 100_000;
        let price = Price {
            hourly_micro,
            currency: Currency::Usd,
            source: PriceSource::File("prices.csv".to_owned()).into(),
            as_of: world.now(),
        };
        world.seen("a").saving = Some(Saving {
            resource: id("a"),
            price: Some(price),
            hourly_micro: Some(hourly_micro),
            still_paid: Vec::new(),
        });
        Bench { world, watch: RuleWatch::default() }
    }

    fn run(&mut self, span: Seconds) {
        let end = self.world.now() + span;
        while self.world.now() < end {
            let (before, snapshot) = (self.world.memory.clone(), self.world.snapshot.clone());
            let _ = self.world.look();
            let memory = &self.world.memory;
            let started = &started_again(&before, &snapshot.outcomes, memory);
            let policy = &self.world.policy;
            self.watch.count(LookSeen { policy, snapshot: &snapshot, started, memory });
            let acted = !self.world.plan.actions.is_empty();
            self.world.answer(&PowerResult::Taken);
            assert!(!acted || self.world.policy.rules[0].mode.acts(), "{:?}", self.world.plan);
            self.world.wait(EVERY);
        }
    }

    fn card(&self, rule: &str) -> RuleCard {
        self.watch.scores.read().unwrap().since(&name(rule), Timestamp(0)).0
    }

    /// Stops, wrong ones, those by others, and machines that ran on.
    fn counts(&self, rule: &str) -> [u32; 4] {
        let card = self.card(rule);
        [card.stops, card.wrong, card.stopped_by_others, card.kept_running]
    }
}

fn in_use() -> Verdict {
    Verdict::InUse { by: Use::Holder(Holder::Resource("somebody".to_owned()).into()) }
}

#[test]
fn what_would_be_down_saves_for_as_long_as_it_is_idle() {
    let mut bench = Bench::new();
    bench.run(Seconds::minutes(60));
    assert_eq!(bench.counts("idle"), [0; 4], "it is marked, and its grace is not over");
    bench.run(Seconds::hours(2));
    let card = bench.card("idle");
    assert_eq!(bench.counts("idle"), [1, 0, 0, 0]);
    // From the look after the stop on, which was the first one after an hour.
    assert_eq!(card.down_seconds, 2 * 3600 - EVERY.0);
    assert_eq!(card.saved(), "0.19 USD");
    // Without a price it is told, and in no sum.
    bench.world.seen("a").saving = None;
    bench.run(Seconds::hours(3));
    assert_eq!(bench.card("idle").saved(), "0.19 USD, 3.0 h unpriced");
    // A pause in which nobody looked is nobody's.
    bench.world.wait(Seconds::days(1));
    bench.run(EVERY);
    assert_eq!(bench.card("idle").down_seconds, 5 * 3600 - EVERY.0);
}

#[test]
fn what_is_used_again_is_wrong_within_a_week_and_is_left_alone_then() {
    let mut bench = Bench::new();
    bench.run(Seconds::hours(2));
    bench.world.verdict("a", in_use());
    bench.run(Seconds::hours(1));
    let down = bench.card("idle").down_seconds;
    bench.world.verdict("a", Verdict::AlwaysIdle);
    bench.run(Seconds::days(2));
    assert_eq!(bench.counts("idle"), [1, 1, 0, 0]);
    assert_eq!(bench.card("idle").down_seconds, down);

    let mut bench = Bench::new();
    bench.run(Seconds::days(8));
    assert_eq!(bench.counts("idle"), [1, 0, 0, 1], "it has run on for a week");
    bench.world.verdict("a", in_use());
    bench.run(Seconds::hours(1));
    assert_eq!(bench.counts("idle"), [1, 0, 0, 1]);
}

#[test]
fn caps_hold_in_shadow_and_what_waits_for_a_look_of_people_does_not() {
    let mut bench = Bench::new();
    for n in 0..9 {
        bench.world.add(machine(&format!("b{n}")));
    }
    // Ten fall due at once, and a day allows three: that is held whole until somebody has looked.
    bench.world.rule().radius = Radius { hour: cap(1), day: cap(3) };
    bench.run(Seconds::minutes(110));
    assert_eq!(bench.counts("idle"), [1, 0, 0, 0]);
    bench.run(Seconds::hours(12));
    assert_eq!(bench.counts("idle"), [3, 0, 0, 0]);
    bench.run(Seconds::days(1));
    assert_eq!(bench.counts("idle"), [6, 0, 0, 0]);
}

#[test]
fn what_others_stop_or_end_is_theirs_before_and_after() {
    let mut bench = Bench::new();
    bench.run(Seconds::minutes(30));
    bench.world.down("a");
    bench.run(Seconds::hours(3));
    assert_eq!(bench.counts("idle"), [0, 0, 1, 0], "it was marked only");

    let mut bench = Bench::new();
    bench.run(Seconds::hours(2));
    let down = bench.card("idle").down_seconds;
    bench.world.down("a");
    bench.run(Seconds::hours(3));
    assert_eq!(bench.counts("idle"), [1, 0, 1, 0]);
    assert_eq!(bench.card("idle").down_seconds, down);

    let mut bench = Bench::new();
    bench.run(Seconds::hours(2));
    bench.world.snapshot.seen.clear();
    bench.run(Seconds::hours(1));
    assert_eq!(bench.counts("idle"), [1, 0, 1, 0]);
}

#[test]
fn a_schedule_in_shadow_saves_its_nights() {
    let mut bench = Bench::new();
    bench.world = World::scheduled();
    bench.world.schedule().mode = RuleMode::Shadow;
    // From noon to noon: down from seven to seven, less what a start is early by.
    bench.run(Seconds::days(2));
    assert_eq!(bench.counts("office"), [2, 0, 0, 0]);
    let hours = bench.card("office").down_hours();
    assert!((23.0..24.0).contains(&hours), "{hours}");
    assert_eq!(bench.counts("idle"), [0; 4]);
}

#[test]
fn a_rule_that_acts_is_told_by_what_it_did() {
    let mut bench = Bench::new();
    bench.world.rule().mode = RuleMode::Act;
    bench.run(Seconds::hours(3));
    assert_eq!(bench.counts("idle"), [1, 0, 0, 0]);
    assert!(bench.card("idle").down_seconds > 3600);
    bench.world.start_by_hand("a");
    bench.run(Seconds::hours(1));
    assert_eq!(bench.counts("idle"), [1, 1, 0, 0]);
    assert_eq!(bench.watch.memory, IdleMemory::default(), "nothing is left to imagine");
}

#[test]
fn what_is_written_down_is_read_back_and_older_records_are_what_they_were() {
    use planner::stage::{StageAsk, StageRequest};
    let mut bench = Bench::new();
    bench.run(Seconds::hours(2));
    let saved = SavedRules {
        until: bench.world.now(),
        scores: bench.watch.scores.read().unwrap().clone(),
        memory: bench.watch.memory.clone(),
        down: bench.watch.down.values().cloned().collect(),
        outcomes: bench.watch.outcomes.clone(),
    };
    assert_eq!(saved.down.len(), 1);
    let entry = ShadowEntry::Rules(Box::new(saved));
    let bytes = postcard::to_stdvec(&entry).unwrap();
    assert_eq!(postcard::from_bytes::<ShadowEntry>(&bytes).unwrap(), entry);
    assert!(serde_json::to_value(&entry).is_ok());
    let request =
        StageRequest { by: "ann".to_owned(), at: bench.world.now(), ask: StageAsk::DemoteAll };
    let scores = ShadowEntry::Scores(Box::default());
    // Variants are told by their place.
    let first = |entry: &ShadowEntry| postcard::to_stdvec(entry).unwrap()[0];
    assert_eq!([first(&scores), first(&ShadowEntry::Asked(request)), bytes[0]], [0, 1, 2]);
}
