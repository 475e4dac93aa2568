//! From shadow to acting and back: on the simulated cloud, through the whole cycle and the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fleet::{Seconds, ServiceName, Timestamp};
use journal::{Journal, Options};
use neap::assemble::{self, Clouds};
use neap::cycle::Engine;
use planner::idle::rule::IdlePolicy;
use planner::snapshot::OrderResult;
use planner::stage::{Missing, Stage, StageAsk, Why};
use report::StageWish;
use report::Turn;
use shadow::{self, Offer, RuleScores, Rules, Scores, Seen, Watch};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

struct Fleet {
    journal: Journal,
    clouds: Clouds,
    engine: Engine,
    watch: Watch,
    now: Timestamp,
}

impl Fleet {
    /// The example's services, gated, with a gate that a day can meet.
    async fn open(state: &TempDir) -> Fleet {
        let text = EXAMPLE
            .replace("duration = \"24h\"", "duration = \"4d\"")
            .replace("speed = 1000", "speed = \"max\"")
            .replace("poll_interval = \"60s\"", "poll_interval = \"5m\"")
            .replace("[service_defaults]", "[service_defaults]\npromotion = \"gated\"")
            .replace("./neap-state", state.path().to_str().unwrap())
            .replace("./neap-stop", state.path().join("stop").to_str().unwrap());
        let gate = "[promotion]\nshadow_for = \"1d\"\ndecisions = 3\nworse_by = \"100%\"\n\
                    dearer_by = \"100%\"\nregret_violations = 100000\nregret_removals = 1000\n";
        let text = format!("{text}\n{gate}");
        let config =
            neap::settings::parse("example", &text).unwrap_or_else(|faults| panic!("{faults:?}"));
        let world = assemble::world(&config);
        let (journal, recovered) =
            Journal::open(&config.state_dir, world, Options::default()).unwrap();
        let last = recovered.memory.as_ref().map(|(_, at)| *at);
        let clouds = assemble::clouds(&config, last, Some(state.path())).unwrap();
        let (policy, models, calendars) = assemble::expanded(&config, &clouds.providers).await;
        let now = clouds.clock.now();
        let digest = journal.record_policy(&policy, &text, now).unwrap();
        let standing = assemble::standing(&config, policy, models, calendars, digest);
        let memory = recovered.memory.map(|(memory, _)| memory).unwrap_or_default();
        let mut engine = assemble::engine(standing, &clouds.providers, memory);
        engine.last_taken_at = last;
        engine.requests = shadow::unanswered(&journal.reader(), recovered.last_cycle).unwrap();
        engine.recall.stand(&engine.memory.stages);
        let mut watch = Watch::new(&engine.standing.policy, &engine.memory);
        watch.restore(&journal.reader(), now).unwrap();
        Fleet { journal, clouds, engine, watch, now }
    }

    /// Runs so long and shows every turn to `look`.
    async fn run(&mut self, span: Seconds, mut look: impl FnMut(&Turn)) {
        let stopping = Arc::new(AtomicBool::new(false));
        let end = self.now + span;
        while self.now < end {
            let turn = self.engine.turn(&self.journal, self.now, &stopping).await.unwrap();
            let (snapshot, plan, memory) = (&turn.snapshot, &turn.plan, &self.engine.memory);
            let seen = Seen { cycle: turn.id, snapshot, plan, memory };
            self.watch.take(&self.journal, seen).unwrap();
            look(&turn);
            self.now = self.now + self.engine.standing.policy.poll_interval;
            self.clouds.clock.sleep_until(self.now).await;
        }
    }

    /// Who was really written to, and how often.
    async fn orders(&mut self, span: Seconds) -> BTreeMap<String, usize> {
        let mut orders = BTreeMap::new();
        self.run(span, |turn| {
            for (action, result) in &turn.results {
                if *result != OrderResult::Stopped {
                    *orders.entry(action.service.to_string()).or_default() += 1;
                }
            }
        })
        .await;
        orders
    }

    fn ask(&mut self, wish: &StageWish) -> Result<String, String> {
        wish.recalls().iter().for_each(|ask| self.engine.recall.note(ask));
        let Fleet { engine, watch, journal, now, .. } = self;
        let (policy, scores) = (&IdlePolicy::default(), &RuleScores::default());
        let rules = Rules { policy, scores };
        let told = neap::promotion::ask(wish, "ann", *now, engine, watch, journal, &rules);
        told.map(|about| about.to_string()).map_err(|why| why.to_string())
    }

    fn offers(&self) -> BTreeMap<ServiceName, Offer> {
        let (policy, memory) = (&self.engine.standing.policy, &self.engine.memory);
        shadow::offers(policy, memory, &self.scores(), self.now)
    }

    fn scores(&self) -> Scores {
        self.watch.scores().read().unwrap().clone()
    }
}

fn promote(name: &str, offer: Option<&str>, anyway: bool) -> StageWish {
    let offer = offer.map(str::to_owned);
    StageWish::Promote { name: name.to_owned(), share: None, offer, anyway }
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_offer_promotion_restart_and_all_taken_back() {
    let state = TempDir::new().unwrap();
    let mut fleet = Fleet::open(&state).await;
    let checkout = ServiceName::new("checkout").unwrap();
    // An hour in: nothing is changed, and nobody may promote it yet.
    assert_eq!(fleet.orders(Seconds::hours(1)).await, BTreeMap::new());
    let early = fleet.ask(&promote("checkout", None, false)).unwrap_err();
    assert!(early.contains("the gate is not met") && early.contains("of 1d in shadow"), "{early}");
    let unknown = fleet.ask(&promote("nobody", None, false)).unwrap_err();
    assert!(unknown.starts_with("no service or rule `nobody`"), "{unknown}");
    // A day in: scorecards have grown, and still nothing was changed.
    assert_eq!(fleet.orders(Seconds::hours(25)).await, BTreeMap::new());
    let scores = fleet.scores();
    assert_eq!(scores.days.len(), 2);
    let (card, days) = scores.since(&checkout, Timestamp(0));
    assert_eq!(days, 2);
    assert!(card.would.orders > 5 && card.disagreements > 0, "{card:?}");
    assert!(card.actual.intervals > 1_000, "{card:?}");
    assert_eq!(card.actual.intervals, card.would.intervals);
    // The offer, by its name: another day's is void.
    let offer = fleet.offers()[&checkout].clone();
    assert_eq!(offer.stage, Stage::Shadow);
    let too_early =
        |missing: &Missing| matches!(missing, Missing::Time { .. } | Missing::Decisions { .. });
    assert!(!offer.missing.iter().any(too_early), "{:?}", offer.missing);
    let anyway = !offer.missing.is_empty();
    let void = fleet.ask(&promote("checkout", Some("0123456789ab"), false)).unwrap_err();
    assert!(void.contains("is void"), "{void}");
    let told = fleet.ask(&promote("checkout", Some(&offer.id), anyway)).unwrap();
    assert_eq!(told, "service `checkout`");
    let orders = fleet.orders(Seconds::hours(8)).await;
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["checkout"]);
    assert!(orders["checkout"] > 2, "{orders:?}");
    // The same after a restart, scorecards included.
    let before = fleet.scores();
    fleet.watch.finish(&fleet.journal, fleet.now).unwrap();
    drop(fleet);
    let mut fleet = Fleet::open(&state).await;
    assert_eq!(fleet.scores(), before);
    let stage = fleet.engine.memory.stages.services[&checkout].clone();
    let by = "ann".to_owned();
    assert_eq!((stage.stage, stage.why), (Stage::Promoted, Why::Promoted { by, anyway }));
    let orders = fleet.orders(Seconds::hours(12)).await;
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["checkout"]);
    // Everything back: for good, and after the next start too.
    fleet.ask(&StageWish::DemoteAll).unwrap();
    drop(fleet);
    let mut fleet = Fleet::open(&state).await;
    assert_eq!(fleet.engine.requests.len(), 1, "what was asked for outlives the process");
    assert_eq!(fleet.orders(Seconds::hours(12)).await, BTreeMap::new());
    // Lifted one by one, in spite of the gate where somebody wants that.
    let refused = fleet.ask(&promote("checkout", None, false)).unwrap_err();
    assert!(refused.contains("the gate is not met"), "{refused}");
    fleet.ask(&promote("checkout", None, true)).unwrap();
    let orders = fleet.orders(Seconds::hours(12)).await;
    assert_eq!(orders.keys().collect::<Vec<_>>(), ["checkout"]);
    assert_replays(&fleet);
    let (saved, asked) = told_of(&fleet);
    let first = if anyway { ", the gate not being met" } else { "" };
    let first = format!("ann promotes checkout{first}");
    let last = "ann promotes checkout, the gate not being met";
    assert_eq!(asked, [first.as_str(), "ann demotes everything", last]);
    assert!(saved > 0, "no scorecard was written down");
}

/// Every recorded plan comes out the same again.
fn assert_replays(fleet: &Fleet) {
    let reader = fleet.journal.reader();
    let mut cycles = 0;
    for cycle in reader.cycles(Timestamp(0)..Timestamp(i64::MAX)) {
        let cycle = cycle.unwrap();
        let policy = reader.policy(cycle.policy).unwrap().policy;
        let again = planner::plan(&policy, &cycle.snapshot, &cycle.memory_before);
        assert_eq!(again, (cycle.plan, cycle.memory_after), "{}", cycle.id);
        cycles += 1;
    }
    assert!(cycles > 800, "{cycles}");
    assert_eq!(reader.verify().unwrap().damage, []);
}

/// How often scorecards were written down, and what people asked for, oldest first.
fn told_of(fleet: &Fleet) -> (usize, Vec<String>) {
    let reader = fleet.journal.reader();
    let (mut saved, mut asked) = (0, Vec::new());
    for entry in reader.shadow_newest_first(Timestamp(0)..Timestamp(i64::MAX)) {
        match entry.unwrap().1 {
            shadow::ShadowEntry::Scores(_)
            | shadow::ShadowEntry::Scored(..)
            | shadow::ShadowEntry::Counted(..) => saved += 1,
            shadow::ShadowEntry::Asked(request) => asked.push(request.to_string()),
            shadow::ShadowEntry::Rules(_)
            | shadow::ShadowEntry::Minimums(_)
            | shadow::ShadowEntry::Prices(_)
            | shadow::ShadowEntry::Clock(_) => {}
        }
    }
    asked.reverse();
    (saved, asked)
}

/// Between somebody's word and the cycle that takes it in, no call is sent any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_stops_the_calls_of_the_cycle_that_is_under_way() {
    let state = TempDir::new().unwrap();
    let mut fleet = Fleet::open(&state).await;
    for name in ["checkout", "render"] {
        let _ = fleet.orders(Seconds::minutes(5)).await;
        fleet.ask(&promote(name, None, true)).unwrap();
    }
    assert!(!fleet.orders(Seconds::hours(7)).await.is_empty());
    let web = ServiceName::new("checkout").unwrap();
    fleet.engine.recall.note(&StageAsk::Demote { service: web.clone() });
    let (mut stopped, mut sent) = (BTreeSet::new(), BTreeSet::new());
    fleet
        .run(Seconds::hours(7), |turn| {
            for (action, result) in &turn.results {
                let to = if *result == OrderResult::Stopped { &mut stopped } else { &mut sent };
                to.insert(action.service.to_string());
            }
        })
        .await;
    assert_eq!(stopped, BTreeSet::from(["checkout".to_owned()]));
    assert_eq!(sent, BTreeSet::from(["render".to_owned()]));
    let stages = &fleet.engine.memory.stages.services;
    assert_eq!(stages[&web].stage, Stage::Promoted, "no cycle has taken the word in");
}

/// A promotion that was agreed to under another configuration is void.
#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_makes_a_promotion_void() {
    let state = TempDir::new().unwrap();
    let mut fleet = Fleet::open(&state).await;
    let _ = fleet.orders(Seconds::minutes(10)).await;
    fleet.ask(&promote("checkout", None, true)).unwrap();
    drop(fleet);
    let mut fleet = Fleet::open(&state).await;
    let checkout = ServiceName::new("checkout").unwrap();
    fleet.engine.standing.policy.services.get_mut(&checkout).unwrap().pool.min = fleet::Units(4);
    let digest = {
        let policy = &fleet.engine.standing.policy;
        fleet.journal.record_policy(policy, "", fleet.now).unwrap()
    };
    fleet.engine.standing.digest = digest;
    let mut void = 0;
    fleet
        .run(Seconds::minutes(10), |turn| {
            let findings = turn.plan.findings.iter();
            void += findings.filter(|f| f.hold.word() == "offer-void").count();
        })
        .await;
    assert_eq!(void, 1);
    assert_eq!(fleet.engine.memory.stages.services[&checkout].stage, Stage::Shadow);
}

/// A demoted service gives back the minimum that its group had, on record like any order.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_gives_back_the_groups_minimum() {
    let state = TempDir::new().unwrap();
    let mut fleet = Fleet::open(&state).await;
    let search = ServiceName::new("search").unwrap();
    let minimum = |turn: &Turn| turn.snapshot.services[&search].group.as_ref().unwrap().min;
    let mut seen = Vec::new();
    fleet.run(Seconds::minutes(10), |turn| seen.push(minimum(turn))).await;
    let operators = seen[0];
    assert!(seen.iter().all(|min| *min == operators), "in shadow nothing is written: {seen:?}");
    fleet.ask(&promote("search", None, true)).unwrap();
    let mut seen = Vec::new();
    fleet.run(Seconds::hours(10), |turn| seen.push(minimum(turn))).await;
    assert!(seen.iter().all(|min| *min >= operators), "never below the operator's: {seen:?}");
    assert!(*seen.last().unwrap() > operators, "there is something to give back: {seen:?}");
    let kept = shadow::kept_minimums(&fleet.journal.reader()).unwrap();
    assert_eq!(kept.iter().map(|kept| kept.before).collect::<Vec<_>>(), [operators]);
    let before = fleet.now;
    fleet.ask(&StageWish::Demote { name: "search".to_owned() }).unwrap();
    let mut seen = Vec::new();
    fleet.run(Seconds::minutes(30), |turn| seen.push(minimum(turn))).await;
    // The first of these cycles takes the word in and gives it back, the next one sees it.
    assert!(seen[1..].iter().all(|min| *min == operators), "{seen:?}");
    let reader = fleet.journal.reader();
    assert_eq!(shadow::kept_minimums(&reader).unwrap(), []);
    let mut changes = Vec::new();
    for cycle in reader.cycles(before..Timestamp(i64::MAX)) {
        let cycle = cycle.unwrap();
        let outcomes = reader.outcomes(cycle.id).unwrap();
        for intent in reader.intents(cycle.id).unwrap() {
            let ended = outcomes.iter().find(|outcome| outcome.id == intent.id).unwrap();
            if intent.service == search {
                changes.push((intent.change, ended.result.clone()));
            }
        }
    }
    let [(change, OrderResult::Applied)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.to(), operators);
}
