//! Fifty deaths in a day: no order is lost or given twice, and the journal stays whole.
//!
//! Thirty kills strike at named points around an order: before its intent is on disk, after it,
//! when the request has left, when it has had its effect and nobody heard the answer, before the
//! outcome is on disk. Twenty strike wherever the program happens to be. On each cloud, for one sets
//! a size and the other is told differences, which are worse to repeat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fleet::{Seconds, Timestamp};
use journal::{EntryKind, Intent, Outcome, Reader};
use planner::snapshot::OrderResult;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::clock::{TestClock, TestTime, Verdict, locked};
use tests::load::Load;
use tests::neap::{Killer, Neap, Running};
use tests::peers::{Alibaba, Call, Fault, NewGroup, Rule, Then};
use tests::world::{Amazon, Cloud, Days, ServiceText, Stage};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// 2026-03-06T00:00:00Z, a Friday.
const START: Timestamp = Timestamp(1_772_755_200);
const GROUP: &str = "shop";
const SEED: u64 = 50;
const EACH_POINT: usize = 6;
const RANDOM: usize = 20;
/// Of a life that ends at any moment, so that all fifty find room in a day.
const LONGEST_LIFE: Seconds = Seconds(600);

/// Where a kill strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strike {
    /// At a point that the program names.
    Point(&'static str),
    /// The request has left; it reaches the cloud all the same, or not.
    RequestLeft { arrives: bool },
    /// The cloud has done it, and nobody hears the answer.
    AnswerWithheld,
    /// After so many milliseconds of life, whatever it does then; a machine so fast that more than
    /// [`LONGEST_LIFE`] of the day went by sees it earlier.
    AnyMoment(u64),
}

fn strikes() -> VecDeque<Strike> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut all = Vec::new();
    for n in 0..EACH_POINT {
        all.push(Strike::Point("before-intent-flush"));
        all.push(Strike::Point("after-intent-flush"));
        all.push(Strike::RequestLeft { arrives: n % 2 == 0 });
        all.push(Strike::AnswerWithheld);
        all.push(Strike::Point("before-outcome-flush"));
    }
    all.extend((0..RANDOM).map(|_| Strike::AnyMoment(rng.random_range(20..2_000))));
    all.shuffle(&mut rng);
    all.into()
}

/// The life that is to end next, and how; and the operations that ended one.
#[derive(Clone, Default)]
struct Fate {
    next: Arc<Mutex<(Option<Strike>, Option<Killer>)>>,
    struck: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Fate {
    fn is(&self, strike: Strike, running: &Running) {
        *locked(&self.next) = (Some(strike), Some(running.killer()));
    }

    fn at_point(&self, name: &str) -> Verdict {
        match locked(&self.next).0 {
            Some(Strike::Point(here)) if here == name => Verdict::Kill,
            _ => Verdict::Go,
        }
    }

    /// Kills where a call is, if that is the fate; `then` is what becomes of the call.
    fn at_call(&self, operation: &'static str, meant: fn(Strike) -> Option<Then>) -> Then {
        let (strike, killer) = locked(&self.next).clone();
        let (Some(then), Some(killer)) = (strike.and_then(meant), killer) else {
            return Then::GoOn;
        };
        killer.kill();
        locked(&self.struck).insert(operation);
        then
    }

    /// Strikes an operation when it has left, or when its answer would come.
    fn on(&self, operation: &'static str) -> Rule {
        let calls = self.clone();
        let left = Fault::before(move || {
            calls.at_call(operation, |strike| match strike {
                Strike::RequestLeft { arrives: true } => Some(Then::GoOn),
                Strike::RequestLeft { arrives: false } => Some(Then::Cut),
                _ => None,
            })
        });
        let calls = self.clone();
        let withheld = Fault::after(move || {
            let meant = |strike| (strike == Strike::AnswerWithheld).then_some(Then::Cut);
            calls.at_call(operation, meant)
        });
        Rule::on(operation, left.and(withheld))
    }
}

fn fifty_kills_lose_no_order_and_repeat_none<C: Cloud>(cloud: fn(TestTime) -> C) {
    let load = Load::days(3, START + Seconds::days(1));
    let capacity = (load.quantile(0.995) / 25.0 / 60.0 * 10.0).round() / 10.0;
    let stage = Stage::at(START, cloud);
    let words = stage.words();
    stage.boot_takes(Seconds(180));
    let first = (load.at(START).expect("the day's load") / 60.0 / capacity).ceil() as u32 + 2;
    stage.service(words.region, &NewGroup::new(GROUP, 1, 60, first));
    let fate = Fate::default();
    let points = fate.clone();
    let end = START + Seconds::days(1);
    let mut days = Days::until(&stage, end).at_points(move |name| points.at_point(name));
    days.serve(GROUP, words.region, load);
    for operation in words.orders {
        stage.door().inject(fate.on(operation));
    }
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let service =
        ServiceText::new(GROUP, capacity).on(words).pool("min = 1\nmax = 60\nlead_time = \"3m\"");
    let config = format!("{}{}", stage.config("act", &[words.region]), service.text());
    let neap = Neap::on(BINARY, &config, &clock);

    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for strike in strikes() {
        let running = neap.start(&clock);
        fate.is(strike, &running);
        if let Strike::AnyMoment(milliseconds) = strike {
            let (born, day) = (Instant::now(), stage.time.now());
            while born.elapsed() < Duration::from_millis(milliseconds)
                && stage.time.now() < day + LONGEST_LIFE
            {
                thread::sleep(Duration::from_millis(1));
            }
            running.kill();
        }
        let status = running.wait(Duration::from_secs(300));
        assert_eq!(status.code(), None, "{strike:?} was not met: {}", running.stderr());
        *met.entry(kind(strike)).or_default() += 1;
        *locked(&fate.next) = (None, None);
        // A request that left late has its effect before the next life begins.
        stage.door().settle();
    }
    assert_eq!(met.values().sum::<usize>(), 5 * EACH_POINT + RANDOM, "{met:?}");
    assert!(stage.time.now() < end, "the kills took the whole day");
    let running = neap.start(&clock);
    let status = running.wait(Duration::from_secs(600));
    assert!(status.success(), "{}", running.stderr());

    let (intents, outcomes) = journal(&neap);
    let last = accounted_for(&stage.door().writes(), first, &intents, &outcomes);
    assert_eq!(stage.desired(GROUP), Some(last), "nobody ordered anything else");
    assert_eq!(*locked(&fate.struck), words.orders.iter().copied().collect(), "all were struck");
    let verified = neap.output(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let replayed = neap.output(&["replay"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[test]
fn fifty_kills_lose_no_order_and_repeat_none_on_aws() {
    fifty_kills_lose_no_order_and_repeat_none(Amazon::start);
}

#[test]
fn fifty_kills_lose_no_order_and_repeat_none_on_alibaba_cloud() {
    fifty_kills_lose_no_order_and_repeat_none(Alibaba::start);
}

fn kind(strike: Strike) -> &'static str {
    match strike {
        Strike::Point(name) => name,
        Strike::RequestLeft { .. } => "request left",
        Strike::AnswerWithheld => "answer withheld",
        Strike::AnyMoment(_) => "any moment",
    }
}

/// All intents, and the last outcome of each.
fn journal(neap: &Neap) -> (Vec<Intent>, BTreeMap<String, Outcome>) {
    let reader = Reader::open(&neap.path("state")).expect("the journal opens");
    let (mut intents, mut outcomes) = (Vec::new(), BTreeMap::new());
    for entry in reader.entries(Timestamp(0)..Timestamp(i64::MAX / 2)) {
        match entry.expect("a sound record").kind {
            EntryKind::Intent(intent) => intents.push(intent),
            EntryKind::Outcome(outcome) => {
                outcomes.insert(outcome.id.to_string(), outcome);
            }
            _ => {}
        }
    }
    (intents, outcomes)
}

/// The size that a write makes of another one, which it names or says the difference to.
fn made_of(size: u32, call: &Call) -> u32 {
    match call.parameters.get("AdjustmentValue") {
        Some(difference) => {
            let difference = difference.parse().expect("a difference");
            size.checked_add_signed(difference).expect("a size")
        }
        None => call.number("DesiredCapacity").expect("a size"),
    }
}

/// Every write that had an effect was one intent's, and every intent's account of itself is true.
/// The size that all of them make.
fn accounted_for(
    writes: &[Call],
    first: u32,
    intents: &[Intent],
    outcomes: &BTreeMap<String, Outcome>,
) -> u32 {
    let mut tokens = BTreeSet::new();
    let effective = writes.iter().filter(|call| call.effect);
    // A token that was taken before has no second effect.
    let effective = effective.filter(|call| {
        call.parameters.get("ClientToken").is_none_or(|token| tokens.insert(token.clone()))
    });
    let mut took_effect: BTreeMap<(Timestamp, u32), usize> = BTreeMap::new();
    let mut size = first;
    for call in effective {
        let to = made_of(size, call);
        assert_ne!(to, size, "an order was given twice: {call:?}");
        size = to;
        *took_effect.entry((call.at, to)).or_default() += 1;
    }
    // Those whose request arrived before a kill, at the least.
    assert!(took_effect.len() >= 15, "only {} orders in all", took_effect.len());
    let mut claimed: BTreeMap<(Timestamp, u32), usize> = BTreeMap::new();
    for intent in intents {
        let outcome = outcomes.get(&intent.id.to_string());
        let outcome = outcome.unwrap_or_else(|| panic!("lost: no outcome of {intent:?}"));
        assert!(outcome.is_final(), "lost: nobody looked after {intent:?}");
        let effect = match outcome.result {
            OrderResult::Applied | OrderResult::Contested { .. } => true,
            OrderResult::Unconfirmed { effect_seen } => effect_seen == Some(true),
            _ => false,
        };
        if effect {
            *claimed.entry((intent.at, intent.change.to().0)).or_default() += 1;
        }
    }
    assert_eq!(took_effect, claimed, "what the cloud did, and what the journal says was done");
    size
}
