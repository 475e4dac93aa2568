//! The journal's behaviour, on each engine.

mod damage;
mod eras;
mod full;
mod golden;
mod kill;
mod live;
mod lost;
#[path = "made_fleet.rs"]
mod made_fleet;
mod older;
mod outbox;
mod stories;
mod usage;

use std::path::Path;
use std::sync::Arc;

use fleet::{Change, Retention, Seconds, Timestamp, Units};
use made_fleet::{START, Turn, memory_at_start, policy, turn};
use planner::plan::Plan;
use planner::snapshot::OrderResult;

use super::engine::MemoryEngine;
use super::open::EngineKind;
use super::*;
use crate::records::Explanation;

/// A journal with all that was put in it, on one engine.
struct Bench {
    dir: tempfile::TempDir,
    engine: EngineKind,
    retention: Retention,
    wrote: Vec<(CycleId, Turn, Memory)>,
}

impl Bench {
    fn new(engine: EngineKind) -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            engine,
            retention: Retention::default(),
            wrote: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn options(&self) -> Options {
        Options {
            retention: self.retention,
            reserve_bytes: 1 << 16,
            store: Store(self.engine.clone()),
            ..Options::default()
        }
    }

    fn try_open(&self) -> Result<(Journal, Recovered), JournalFault> {
        Journal::open(self.path(), World::Real, self.options())
    }

    fn open(&self) -> (Journal, Recovered) {
        self.try_open().unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::open_store(self.path(), &self.engine).unwrap()
    }

    /// Records the cycles `range` of a fleet.
    fn record(&mut self, journal: &Journal, services: usize, range: std::ops::Range<usize>) {
        for n in range {
            self.record_turn(journal, services, turn(services, n));
        }
    }

    fn record_turn(&mut self, journal: &Journal, services: usize, turn: Turn) {
        let now = turn.snapshot.taken_at;
        let digest = journal.record_policy(&policy(services), "mode = \"observe\"", now).unwrap();
        let before = self
            .wrote
            .last()
            .map_or_else(|| memory_at_start(services), |(_, turn, _)| turn.memory.clone());
        let known = (&policy(services), &turn.memory);
        let stories = Explanation::of_actions(&turn.snapshot, &turn.plan, known);
        let cycle = NewCycle {
            policy: digest,
            planner_revision: 1,
            snapshot: &turn.snapshot,
            plan: &turn.plan,
            memory_before: &before,
            memory_after: &turn.memory,
            stories: &stories,
        };
        let id = journal.record_cycle(&cycle, &turn.samples).unwrap();
        self.wrote.push((id, turn, before));
    }

    fn assert_cycles(&self, reader: &Reader) {
        let read: Vec<CycleRecord> =
            reader.cycles(Timestamp(0)..Timestamp(i64::MAX)).collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), self.wrote.len());
        for (read, (id, turn, before)) in read.iter().zip(&self.wrote) {
            assert_eq!(read.id, *id);
            assert_eq!(read.snapshot, turn.snapshot);
            assert_eq!(read.plan, turn.plan);
            assert_eq!(read.memory_before, *before);
            assert_eq!(read.memory_after, turn.memory);
        }
        let samples: Vec<StoredSample> =
            reader.samples(Timestamp(0)).collect::<Result<_, _>>().unwrap();
        let wrote: Vec<StoredSample> = self
            .wrote
            .iter()
            .flat_map(|(_, turn, _)| turn.samples.iter())
            .flat_map(|batch| {
                batch.samples.iter().map(|sample| StoredSample {
                    metric: batch.metric.clone(),
                    seen_at: batch.seen_at,
                    sample: *sample,
                })
            })
            .collect();
        assert_eq!(samples, wrote);
        let mut visited = Vec::new();
        let visit = |metric: &fleet::metric::MetricKey, seen_at, sample| {
            visited.push(StoredSample { metric: metric.clone(), seen_at, sample });
        };
        reader.visit_samples(Timestamp(0), visit).unwrap();
        assert_eq!(visited, wrote);
    }
}

/// The suite runs on each engine.
fn on_each_engine(test: impl Fn(Bench)) {
    test(Bench::new(EngineKind::Memory(Arc::new(MemoryEngine::default()))));
    test(Bench::new(EngineKind::Sled));
}

fn intent(cycle: CycleId, index: usize) -> Intent {
    Intent {
        id: cycle.decision(index),
        at: cycle.at(),
        service: made_fleet::name(index),
        group: made_fleet::group_id(index),
        change: Change::Desired { from: Units(3), to: Units(5) },
    }
}

fn outcome(id: DecisionId, at: Timestamp, result: OrderResult) -> Outcome {
    Outcome { id, at, result }
}

#[test]
fn a_new_journal_is_empty_and_sound() {
    on_each_engine(|bench| {
        let (journal, recovered) = bench.open();
        assert_eq!(recovered, Recovered::default());
        assert_eq!(journal.reader().verify().unwrap().damage, []);
        assert_eq!(journal.reader().world(), Ok(World::Real));
        assert_eq!(journal.disk(), Disk::Ample);
    });
}

#[test]
fn what_was_recorded_comes_back_in_every_bit_after_each_reopening() {
    on_each_engine(|mut bench| {
        for part in 0..4 {
            let (journal, recovered) = bench.open();
            let last = bench.wrote.last();
            assert_eq!(recovered.last_cycle, last.map(|(id, _, _)| *id));
            assert_eq!(recovered.last_snapshot.as_ref(), last.map(|(_, t, _)| &t.snapshot));
            assert_eq!(
                recovered.memory,
                last.map(|(_, t, _)| (t.memory.clone(), t.snapshot.taken_at))
            );
            bench.record(&journal, 7, 5 * part..5 * part + 5);
            bench.assert_cycles(&journal.reader());
            drop(journal);
            let reader = bench.reader();
            bench.assert_cycles(&reader);
            let report = reader.verify().unwrap();
            assert_eq!((report.damage, report.cycles), (Vec::new(), 5 * part as u64 + 5));
        }
    });
}

#[test]
fn services_come_and_go_and_findings_keep_their_order() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        for (n, services) in [(0, 5), (1, 9), (2, 3), (3, 0), (4, 6)] {
            let mut turn = turn(services, n);
            turn.plan.findings.reverse();
            bench.record_turn(&journal, services, turn);
        }
        drop(journal);
        bench.assert_cycles(&bench.reader());
        assert_eq!(bench.reader().verify().unwrap().damage, []);
    });
}

#[test]
fn a_memory_that_does_not_follow_the_last_one_is_told_whole() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 4, 0..3);
        let digest = bench.wrote[0].0;
        // As after an operator's reset: the memory before is not the one last recorded.
        let turn = turn(4, 3);
        let before = Memory::default();
        let cycle = NewCycle {
            policy: PolicyDigest([0; 16]),
            planner_revision: 1,
            snapshot: &turn.snapshot,
            plan: &turn.plan,
            memory_before: &before,
            memory_after: &turn.memory,
            stories: &[],
        };
        let id = journal.record_cycle(&cycle, &turn.samples).unwrap();
        bench.wrote.push((id, turn, before));
        bench.assert_cycles(&journal.reader());
        assert!(digest < id);
    });
}

#[test]
fn intents_without_a_result_are_open_across_days_until_one_is_known() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 3, 0..1);
        let cycle = bench.wrote[0].0;
        let intents: Vec<Intent> = (0..3).map(|index| intent(cycle, index)).collect();
        journal.record_intents(&intents).unwrap();
        let unconfirmed = OrderResult::Unconfirmed { effect_seen: None };
        let first = [
            outcome(intents[0].id, cycle.at(), OrderResult::Applied),
            outcome(intents[1].id, cycle.at(), unconfirmed),
        ];
        journal.record_outcomes(&first).unwrap();
        // The next days' checkpoints carry what is open.
        bench.record(&journal, 3, 1440..1442);
        bench.record(&journal, 3, 2880..2881);
        drop(journal);
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.open_intents, intents[1..]);
        let seen = OrderResult::Unconfirmed { effect_seen: Some(true) };
        let later = outcome(intents[1].id, START + Seconds::days(3), seen);
        journal.record_outcomes(std::slice::from_ref(&later)).unwrap();
        drop(journal);
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.open_intents, intents[2..]);
        let reader = journal.reader();
        assert_eq!(reader.intents(cycle), Ok(intents));
        assert_eq!(reader.intents(bench.wrote[1].0), Ok(Vec::new()));
        let [applied, unknown] = first;
        assert_eq!(reader.outcomes(cycle), Ok(vec![applied, unknown, later]));
    });
}

#[test]
fn a_policy_is_kept_whole_once_a_day_and_found_by_digest() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 2, 0..3);
        bench.record(&journal, 3, 1440..1442);
        let reader = journal.reader();
        let all = reader.entries(Timestamp(0)..Timestamp(i64::MAX));
        let policies: Vec<_> = all
            .filter_map(|entry| match entry.unwrap().kind {
                EntryKind::Policy(digest, policy) => Some((digest, policy)),
                _ => None,
            })
            .collect();
        let (digest, stored) = &policies[0];
        assert_eq!(stored.policy, policy(2));
        assert_eq!(stored.source, "mode = \"observe\"");
        assert_eq!(reader.policy(*digest).unwrap().policy, policy(2));
        assert_eq!(policies.len(), 4, "each when it was new, and again behind a checkpoint");
        assert!(matches!(reader.policy(PolicyDigest([7; 16])), Err(JournalFault::NoSuch { .. })));
    });
}

#[test]
fn cycles_are_found_by_id_time_and_service() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 3, 0..4);
        bench.record(&journal, 2, 1440..1443);
        let reader = journal.reader();
        for (id, turn, before) in &bench.wrote {
            let found = reader.cycle(*id).unwrap();
            assert_eq!((&found.plan, &found.memory_before), (&turn.plan, before));
            let at = turn.snapshot.taken_at;
            assert_eq!(reader.cycle_at(at).unwrap().map(|c| c.id), Some(*id));
            assert_eq!(reader.cycle_at(at + Seconds(59)).unwrap().map(|c| c.id), Some(*id));
        }
        assert_eq!(reader.cycle_at(START - Seconds(1)), Ok(None));
        let end = Timestamp(i64::MAX);
        let latest = |service: usize| {
            reader.latest_for(&made_fleet::name(service), end).unwrap().map(|cycle| cycle.id)
        };
        assert_eq!(latest(1), Some(bench.wrote[6].0));
        assert_eq!(latest(2), Some(bench.wrote[3].0));
        assert_eq!(latest(9), None);
        let range = START + Seconds(60)..START + Seconds(180);
        let ids: Vec<CycleId> = reader.cycles(range).map(|cycle| cycle.unwrap().id).collect();
        assert_eq!(ids, [bench.wrote[1].0, bench.wrote[2].0]);
        let missing = reader.cycle(CycleId(RecordId::in_era(0, START, Instance(1), 99)));
        assert!(matches!(missing, Err(JournalFault::NoSuch { .. })));
    });
}

#[test]
fn the_history_of_one_service_is_what_its_cycles_say() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 4, 0..30);
        bench.record(&journal, 2, 1440..1443);
        let reader = journal.reader();
        for service in [0, 1, 3] {
            let name = made_fleet::name(service);
            let range = START + Seconds(60)..Timestamp(i64::MAX);
            let history: Vec<ServiceTurn> =
                reader.history(&name, range).collect::<Result<_, _>>().unwrap();
            assert_eq!(history.len(), 32);
            for (read, (id, turn, _)) in history.iter().zip(&bench.wrote[1..]) {
                assert_eq!((read.id, read.taken_at), (*id, turn.snapshot.taken_at));
                assert_eq!(read.observation.as_ref(), turn.snapshot.services.get(&name));
                let actions: Vec<_> = turn.plan.actions.iter().cloned().enumerate().collect();
                let of = |(_, action): &(usize, planner::plan::Action)| action.service == name;
                assert_eq!(read.actions, actions.into_iter().filter(of).collect::<Vec<_>>());
                let all = turn.plan.findings.iter();
                let mine: Vec<_> = all.filter(|f| f.service.as_ref() == Some(&name)).collect();
                assert_eq!(read.findings.iter().collect::<Vec<_>>(), mine);
            }
        }
    });
}

#[test]
fn a_clock_that_runs_backwards_disorders_nothing() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        for n in [5, 3, 4, 9] {
            bench.record_turn(&journal, 3, turn(3, n));
        }
        bench.assert_cycles(&journal.reader());
        let ids: Vec<CycleId> = bench.wrote.iter().map(|(id, _, _)| *id).collect();
        assert!(ids.is_sorted());
        assert_eq!(journal.reader().verify().unwrap().damage, []);
    });
}

#[test]
fn whole_old_days_go_and_the_rest_stays_verifiable() {
    on_each_engine(|mut bench| {
        bench.retention = Retention {
            max_age: Seconds::days(2),
            max_size_bytes: u64::MAX,
            ..Retention::default()
        };
        let (journal, _) = bench.open();
        for day in 0..5 {
            bench.record(&journal, 3, 1440 * day..1440 * day + 3);
        }
        let now = START + Seconds::days(4) + Seconds::hours(1);
        let done = journal.compact(now).unwrap();
        assert_eq!(done.days, 2);
        bench.wrote.drain(..6);
        bench.assert_cycles(&journal.reader());
        assert_eq!(journal.reader().verify().unwrap().damage, []);
        assert_eq!(journal.compact(now).unwrap().days, 0);
        // However old it is, what the newest checkpoint began stays.
        journal.compact(now + Seconds::days(4000)).unwrap();
        bench.wrote.drain(..6);
        bench.assert_cycles(&journal.reader());
        drop(journal);
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_cycle, bench.wrote.last().map(|(id, _, _)| *id));
        assert_eq!(journal.reader().verify().unwrap().damage, []);
        bench.record(&journal, 3, 5763..5765);
        bench.assert_cycles(&journal.reader());
    });
}

#[test]
fn days_go_for_size_too() {
    on_each_engine(|mut bench| {
        bench.retention =
            Retention { max_age: Seconds::days(4000), max_size_bytes: 1, ..Retention::default() };
        let (journal, _) = bench.open();
        for day in 0..4 {
            bench.record(&journal, 3, 1440 * day..1440 * day + 3);
        }
        assert_eq!(journal.compact(START).unwrap().days, 3);
        bench.wrote.drain(..9);
        bench.assert_cycles(&journal.reader());
        assert_eq!(journal.reader().verify().unwrap().damage, []);
    });
}

#[test]
fn another_world_is_refused_by_name() {
    on_each_engine(|bench| {
        drop(bench.open());
        let world = World::Simulation { seed: 42, scenario: "day".to_string() };
        let fault = Journal::open(bench.path(), world, bench.options()).unwrap_err();
        let text = fault.to_string().replace(&bench.path().display().to_string(), "STATE");
        assert_eq!(
            text,
            "journal `STATE/journal` belongs to the real clouds, expected the simulation `day` \
             with seed `42`\n  hint: give each world a `state_dir` of its own"
        );
    });
}

#[test]
fn a_second_opener_is_told_who_answers() {
    on_each_engine(|bench| {
        let (journal, _) = bench.open();
        for fault in [
            bench.try_open().unwrap_err(),
            Reader::open_store(bench.path(), &bench.engine).unwrap_err(),
        ] {
            let text = fault.to_string().replace(&bench.path().display().to_string(), "STATE");
            assert_eq!(
                text,
                "journal `STATE/journal` is in use by another process\n  hint: a running daemon \
                 answers at `STATE/neap.sock`; stop it first to run a second one here"
            );
        }
        drop(journal);
        bench.open();
    });
}

#[test]
fn a_place_that_is_no_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    std::fs::write(&file, "").unwrap();
    let fault = Journal::open(&file, World::Real, Options::default()).unwrap_err();
    let text = fault.to_string().replace(&dir.path().display().to_string(), "DIR");
    assert_eq!(
        text,
        "`DIR/state/journal` cannot be used: Not a directory (os error 20)\n  hint: `state_dir` \
         must name a directory"
    );
    assert!(matches!(Reader::open(dir.path()), Err(JournalFault::Absent { .. })));
}

#[test]
fn fault_points_are_passed_in_order() {
    let passed = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&passed);
    let mut bench = Bench::new(EngineKind::Memory(Arc::new(MemoryEngine::default())));
    let note = move |point: &str| sink.lock().unwrap().push(point.to_string());
    let options = Options { fault_points: Some(Arc::new(note)), ..bench.options() };
    let (journal, _) = Journal::open(bench.path(), World::Real, options).unwrap();
    bench.record(&journal, 2, 0..1);
    let intent = intent(bench.wrote[0].0, 0);
    journal.record_intents(std::slice::from_ref(&intent)).unwrap();
    let done = outcome(intent.id, START, OrderResult::Applied);
    journal.record_outcomes(&[done]).unwrap();
    bench.record(&journal, 2, 1..3);
    assert_eq!(
        *passed.lock().unwrap(),
        ["before-intent-flush", "after-intent-flush", "before-outcome-flush"]
    );
}

#[test]
fn a_plan_alone_in_the_world_comes_back() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        let mut turn = turn(1, 0);
        turn.snapshot.services.clear();
        turn.plan = Plan::default();
        turn.memory = Memory::default();
        turn.samples.clear();
        bench.record_turn(&journal, 1, turn);
        bench.assert_cycles(&journal.reader());
    });
}

/// A record of a cycle tells only what changed: with real change in every service, 500 services
/// stay within 300 bytes each a cycle, samples, chain and one day's checkpoint included.
#[test]
fn a_cycle_of_500_services_takes_at_most_300_bytes_each() {
    let (services, cycles) = (500, 60);
    let mut bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    let mut records = [0usize; engine::TREES];
    for n in 0..cycles {
        bench.record_turn(&journal, services, turn(services, n));
        bench.wrote.drain(..bench.wrote.len() - 1);
    }
    for tree in engine::Tree::ALL {
        for entry in source::Walk::new(journal.reader().source(), &[tree], RecordId::FIRST) {
            let (_, (key, value)) = entry.unwrap();
            records[tree.index()] += key.len() + value.len();
        }
    }
    let each = |bytes: usize| bytes / (services * cycles);
    let disk = journal.reader().verify().unwrap().bytes as usize;
    println!(
        "bytes a service a cycle: {} samples, {} cycles; checkpoint {} a service; on disk {}",
        each(records[engine::Tree::Samples.index()]),
        each(records[engine::Tree::Cycles.index()]),
        records[engine::Tree::Checkpoints.index()] / services,
        each(disk)
    );
    assert!(each(disk) <= 300, "{} bytes a service a cycle", each(disk));
}
