//! A process that is killed while it writes: what it was told to be on disk is on disk.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// Set in the process that is to be killed: the state directory.
const STATE: &str = "NEAP_TEST_KILL_STATE";
/// The point to abort at, and how often it is passed first: `before-intent-flush:3`.
const POINT: &str = "NEAP_TEST_KILL_POINT";

/// Not a test by itself: what the killed process does. Says on stdout what it was promised.
#[test]
fn killed_process() {
    let Some(state) = std::env::var_os(STATE) else { return };
    let mut options = Options { reserve_bytes: 0, ..Options::default() };
    if let Ok(point) = std::env::var(POINT) {
        let (name, after) = point.split_once(':').unwrap();
        let (name, after) = (name.to_string(), after.parse::<usize>().unwrap());
        let passed = Mutex::new(0);
        options.fault_points = Some(Arc::new(move |at: &str| {
            let mut passed = passed.lock().unwrap();
            *passed += usize::from(at == name);
            if *passed > after {
                std::process::abort();
            }
        }));
    }
    let (journal, recovered) = Journal::open(Path::new(&state), World::Real, options).unwrap();
    let mut say = std::io::stdout().lock();
    let mut last = recovered.memory.map_or_else(|| memory_at_start(9), |(memory, _)| memory);
    let first = recovered.last_snapshot.map_or(0, |s| (s.taken_at.0 - START.0) / 60 + 1);
    for n in first as usize.. {
        let turn = turn(9, n);
        let now = turn.snapshot.taken_at;
        let policy = journal.record_policy(&policy(9), "", now).unwrap();
        let cycle = NewCycle {
            policy,
            planner_revision: 1,
            snapshot: &turn.snapshot,
            plan: &turn.plan,
            memory_before: &last,
            memory_after: &turn.memory,
            stories: &[],
        };
        let id = journal.record_cycle(&cycle, &turn.samples).unwrap();
        writeln!(say, "cycle {id}").unwrap();
        let intent = intent(id, 0);
        journal.record_intents(std::slice::from_ref(&intent)).unwrap();
        writeln!(say, "intent {}", intent.id).unwrap();
        journal.record_outcomes(&[outcome(intent.id, now, OrderResult::Applied)]).unwrap();
        last = turn.memory;
    }
}

fn start(state: &Path, point: Option<String>) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::kill::killed_process", "--nocapture"]);
    command.env(STATE, state).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(point) = point {
        command.env(POINT, point);
    }
    let mut child = command.spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Opens what a killed process left, and compares it with what it had been promised.
fn assert_promises(bench: &Bench, promised: &[String]) -> Recovered {
    let (journal, recovered) = bench.open();
    let reader = journal.reader();
    assert_eq!(reader.verify().unwrap().damage, []);
    let mut found = Vec::new();
    for entry in reader.entries(Timestamp(0)..Timestamp(i64::MAX)) {
        match entry.unwrap() {
            Entry { id, kind: EntryKind::Cycle(_) } => found.push(format!("cycle {id}")),
            Entry { kind: EntryKind::Intent(i), .. } => found.push(format!("intent {}", i.id)),
            _ => {}
        }
    }
    for promise in promised {
        assert!(found.contains(promise), "`{promise}` was promised and is lost");
    }
    recovered
}

fn promises(lines: impl Iterator<Item = std::io::Result<String>>) -> Vec<String> {
    // The test harness of the process says other things too.
    let is_promise = |line: &String| line.starts_with("cycle ") || line.starts_with("intent ");
    lines.map_while(Result::ok).filter(is_promise).collect()
}

#[test]
fn nothing_promised_is_lost_in_20_kills() {
    let bench = Bench::new(EngineKind::Sled);
    let mut promised = Vec::new();
    for kill in 0..20 {
        let (mut child, out) = start(bench.path(), None);
        let mut lines = out.lines();
        // Somewhere within the work that follows so many promises.
        promised.extend(promises(lines.by_ref().take(5 + 7 * kill % 23)));
        child.kill().unwrap();
        promised.extend(promises(lines));
        child.wait().unwrap();
        assert_promises(&bench, &promised);
    }
    assert!(promised.len() > 100);
}

#[test]
fn an_intent_is_known_after_its_flush_and_open_until_its_outcome_is_flushed() {
    let points =
        [("before-intent-flush", 0), ("after-intent-flush", 1), ("before-outcome-flush", 1)];
    for (point, open) in points {
        for after in [0, 3] {
            let bench = Bench::new(EngineKind::Sled);
            let (mut child, out) = start(bench.path(), Some(format!("{point}:{after}")));
            let promised = promises(out.lines());
            assert!(!child.wait().unwrap().success(), "`{point}` was never reached");
            let recovered = assert_promises(&bench, &promised);
            // Not flushed is not lost for sure; flushed is there for sure.
            assert!(
                recovered.open_intents.len() >= open || point == "before-outcome-flush",
                "{point}: {:?}",
                recovered.open_intents
            );
            assert!(recovered.open_intents.len() <= 1);
        }
    }
}
