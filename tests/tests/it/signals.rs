//! Signals: a changed configuration is taken over, a wrong one is refused loudly, and an end waits
//! for the call under way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::Timestamp;
use journal::{EntryKind, Reader};
use planner::snapshot::OrderResult;
use tests::clock::{TestClock, locked};
use tests::neap::Neap;
use tests::peers::{Fault, Gate, Rule, Then};
use tests::story::{PATIENCE, Story, minutes, step, turns};
use tests::world::REGION;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

/// What a story's event needs of the program, which starts after the story is written.
type Later<T> = Arc<Mutex<Option<T>>>;

/// Writes another configuration and tells the program.
type Change = Box<dyn Fn(&str) + Send>;

#[test]
fn hup_takes_over_a_valid_configuration_and_refuses_a_wrong_one() {
    let mut story = Story::until(minutes(16)).serve("shop", REGION, step(300.0, minutes(0), 300.0));
    story.stage.somebody().set_desired("shop", 8);
    let (observe, act) = (story.config("observe"), story.config("act"));
    let change: Later<Change> = Later::default();
    let (wrong, right) = (Arc::clone(&change), Arc::clone(&change));
    story.days.event(minutes(4), move |_| {
        let change = locked(&wrong);
        change.as_ref().expect("it runs")("mode = \"perhaps\"\n");
    });
    story.days.event(minutes(8), move |_| {
        let change = locked(&right);
        change.as_ref().expect("it runs")(&act);
    });
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Arc::new(Neap::on(BINARY, &observe, &clock));
    let running = Arc::new(neap.start(&clock));
    let (place, life) = (Arc::clone(&neap), Arc::clone(&running));
    *locked(&change) = Some(Box::new(move |config: &str| {
        place.configure(config);
        life.signal("HUP");
    }));
    let status = running.wait(PATIENCE);
    *locked(&change) = None;
    assert!(status.success(), "{}", running.stderr());
    assert!(running.stderr().contains("the old one stays in force"), "{}", running.stderr());
    let writes = stage.proxy.writes();
    assert!(!writes.is_empty(), "it acts once it is told to: {}", running.stderr());
    assert!(writes.iter().all(|call| call.at >= minutes(8)), "{writes:#?}");
    assert!(turns(&running).len() >= 14, "no cycle was lost");
}

#[test]
fn term_ends_after_the_call_under_way_and_its_outcome_is_on_disk() {
    let story = Story::until(minutes(30)).serve("shop", REGION, step(100.0, minutes(2), 300.0));
    let gate = Gate::new();
    let hold = Fault::hold_before(&gate, Then::GoOn);
    story.stage.proxy.inject(Rule::on("SetDesiredCapacity", hold).times(1));
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock);
    let running = neap.start(&clock);
    assert!(gate.reached_within(Duration::from_secs(120)), "{}", running.stderr());
    running.signal("TERM");
    gate.open();
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    assert!(stage.time.now() < minutes(30), "it ended by the signal");
    let written = stage.proxy.writes().iter().filter(|call| call.effect).count();
    assert_eq!(written, 1, "the call under way and no other");
    let reader = Reader::open(&neap.path("state")).expect("the journal opens");
    let entries = reader.entries(Timestamp(0)..Timestamp(i64::MAX / 2));
    let outcomes: Vec<OrderResult> = entries
        .filter_map(|entry| match entry.expect("a sound record").kind {
            EntryKind::Outcome(outcome) => Some(outcome.result),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [OrderResult::Applied]);
}
