//! Clocks that are set while the program runs, between reloads and restarts: cycles go on, each is found
//! by its time, and nothing is ordered that a clock that is right would not have ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use fleet::{Seconds, Timestamp};
use journal::{EntryKind, Reader};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::clock::{TestClock, Verdict, World, locked};
use tests::neap::{Neap, Running};
use tests::story::{PATIENCE, START, Story, minutes, says, step, turns};
use tests::world::{Days, REGION};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// A day's seconds.
const DAY: i64 = 86_400;
/// How long the story takes.
const MINUTES: u64 = 40;

/// What happens at some minute of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// From now on the clock is so far ahead of the time that it is, or behind.
    Ahead(i64),
    Reload,
    Restart,
}

/// The days of a cloud, and what happens to the program meanwhile.
struct Meanwhile {
    days: Days,
    events: BTreeMap<Timestamp, Event>,
    time: tests::clock::TestTime,
    running: Arc<Mutex<Option<Arc<Running>>>>,
}

impl World for Meanwhile {
    fn advance(&mut self, to: Timestamp) -> Verdict {
        let verdict = self.days.advance(to);
        if verdict != Verdict::Go {
            return verdict;
        }
        let later = self.events.split_off(&(to + Seconds(1)));
        let mut verdict = Verdict::Go;
        for event in std::mem::replace(&mut self.events, later).into_values() {
            match event {
                Event::Ahead(seconds) => self.time.set_ahead(seconds),
                Event::Restart => verdict = Verdict::Terminate,
                Event::Reload => {
                    if let Some(running) = &*locked(&self.running) {
                        running.signal("HUP");
                    }
                }
            }
        }
        verdict
    }
}

/// What is left of a run.
struct Told {
    neap: Neap,
    orders: BTreeSet<String>,
    /// Turns that were told.
    turns: usize,
    /// Whether demand is known in the last one.
    sees: bool,
    /// What its clock showed in the end.
    shown: Timestamp,
}

fn run(events: BTreeMap<Timestamp, Event>) -> Told {
    let load = step(100.0, minutes(30), 160.0);
    let story = Story::until(minutes(MINUTES)).serve("shop", REGION, load);
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let running = Arc::new(Mutex::new(None));
    let (time, world) = (stage.time.clone(), Arc::clone(&running));
    let meanwhile = Meanwhile { days, events, time: time.clone(), running: world };
    let clock = TestClock::start(time.clone(), Box::new(meanwhile));
    let neap = Neap::on(BINARY, &config, &clock);
    let mut last = None;
    while time.now() < minutes(MINUTES) {
        let life = Arc::new(neap.start(&clock));
        *locked(&running) = Some(Arc::clone(&life));
        let status = life.wait(PATIENCE);
        *locked(&running) = None;
        assert!(status.success(), "{status}: {}", life.stderr());
        last = Some(life);
    }
    let all = turns(&last.expect("it ran"));
    let newest = all.last().expect("a turn");
    let orders = tests::story::results(&all, "shop").into_iter().collect();
    let sees = !says(std::slice::from_ref(newest), "shop", "demand is not known");
    Told { neap, orders, turns: all.len(), sees, shown: time.shown() }
}

/// A clock that is right in the end, whatever it did before.
fn any_order(seed: u64) -> BTreeMap<Timestamp, Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut events = BTreeMap::new();
    for minute in (3..24).step_by(3) {
        let sizes = [400 * DAY, 8 * 3_600, 40 * DAY, 3_600, 1_200];
        let size = sizes[rng.random_range(0..sizes.len())];
        let event = match rng.random_range(0..6) {
            0 | 1 => Event::Ahead(size),
            2 => Event::Ahead(-size),
            3 => Event::Ahead(0),
            4 => Event::Reload,
            _ => Event::Restart,
        };
        events.insert(minutes(minute), event);
    }
    events.insert(minutes(24), Event::Ahead(0));
    events
}

/// How often the clock was set while the program ran, and how often it was away.
fn count(events: &BTreeMap<Timestamp, Event>) -> (usize, usize) {
    let (mut ahead, mut sets) = (0, 0);
    for event in events.values() {
        if let Event::Ahead(seconds) = event {
            sets += usize::from(*seconds != ahead);
            ahead = *seconds;
        }
    }
    (sets, events.values().filter(|event| **event == Event::Restart).count())
}

fn holds(told: &Told, events: &BTreeMap<Timestamp, Event>) {
    let (sets, restarts) = count(events);
    let least = MINUTES as usize - 2 * (sets + restarts + 1);
    assert!(told.turns >= least, "{} turns in {MINUTES} minutes: {events:?}", told.turns);
    assert!(told.sees, "its demand is known again: {events:?}");
    let reader = Reader::open(&told.neap.path("state")).expect("the journal opens");
    let report = reader.verify().expect("it can be walked");
    assert_eq!(report.damage, [], "{events:?}");
    let all = Timestamp(0)..Timestamp(i64::MAX);
    let cycles: Vec<_> = reader.cycles(all.clone()).map(|cycle| cycle.expect("sound")).collect();
    // Since the clock is right, each is found by its time.
    for cycle in cycles.iter().rev().take(10) {
        let found = reader.cycle_at(cycle.taken_at()).expect("sound").map(|cycle| cycle.id);
        assert_eq!(found, Some(cycle.id), "{}: {events:?}", cycle.taken_at());
    }
    let newest = cycles.last().expect("cycles").taken_at();
    assert!(told.shown.since(newest) <= Seconds::minutes(2), "{newest} {}", told.shown);
    let jumps = reader.plain_entries(all).filter(|entry| {
        let Ok(EntryKind::Shadow(body)) = entry.as_ref().map(|entry| &entry.kind) else {
            return false;
        };
        matches!(shadow::read(body), Ok(shadow::ShadowEntry::Clock(_)))
    });
    // Two at once are one; one that a restart hides and that was set ahead is none.
    let jumps = jumps.count();
    assert!(jumps <= sets + restarts && (restarts > 0 || jumps == sets), "{jumps}: {events:?}");
    drop(reader);
    let at = newest.to_string();
    let explained = told.neap.output(&["explain", "shop", "--at", &at]);
    let words = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.status.success() && words.contains(&at[..16]), "{words}");
    let replayed = told.neap.output(&["replay"]);
    let words = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(replayed.status.success() && words.contains("0 differ"), "{words}: {events:?}");
}

#[test]
fn a_clock_that_is_set_in_any_order_stops_no_cycle_and_orders_nothing_of_its_own() {
    let plain = run(BTreeMap::new());
    holds(&plain, &BTreeMap::new());
    let is_up = |order: &String| {
        let mut sizes = order.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
        sizes.next().zip(sizes.next()).is_some_and(|(from, to): (u32, u32)| to > from)
    };
    assert!(plain.orders.iter().any(is_up), "it grows for the step: {:?}", plain.orders);
    let ahead_for_a_moment =
        BTreeMap::from([(minutes(5), Event::Ahead(400 * DAY)), (minutes(8), Event::Ahead(0))]);
    let set_back_and_started_anew = BTreeMap::from([
        (START + Seconds::minutes(4), Event::Ahead(400 * DAY)),
        (minutes(8), Event::Restart),
        (minutes(9), Event::Ahead(0)),
        (minutes(10), Event::Restart),
    ]);
    let known = [ahead_for_a_moment, set_back_and_started_anew];
    for events in known.into_iter().chain((1..=3).map(any_order)) {
        let told = run(events.clone());
        holds(&told, &events);
        // A removal may come later than it would have, and none comes that would not have come.
        let removals = told.orders.iter().filter(|order| !is_up(order));
        let new: Vec<_> = removals.filter(|order| !plain.orders.contains(*order)).collect();
        assert!(new.is_empty(), "{new:?}, plain {:?}: {events:?}", plain.orders);
        assert!(told.orders.iter().any(is_up), "it grows all the same: {events:?}");
    }
}
