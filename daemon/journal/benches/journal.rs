//! Appending a cycle of 500 services, and the room it takes.

#[path = "../src/tests/made_fleet.rs"]
mod made_fleet;

use std::cell::RefCell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use journal::{Journal, NewCycle, Options, SampleBatch, World};
use planner::memory::Memory;

const SERVICES: usize = 500;

/// A journal, and where its fleet stands.
struct Run {
    _dir: tempfile::TempDir,
    journal: Journal,
    memory: Memory,
    cycle: usize,
}

impl Run {
    fn new() -> Run {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let opened = Journal::open(dir.path(), World::Real, options);
        let (journal, _) = opened.expect("a new journal opens");
        Run { _dir: dir, journal, memory: made_fleet::memory_at_start(SERVICES), cycle: 0 }
    }

    fn record(&mut self, turn: made_fleet::Turn) {
        let now = turn.snapshot.taken_at;
        let policy = made_fleet::policy(SERVICES);
        let policy = self.journal.record_policy(&policy, "", now).expect("room on the disk");
        let cycle = NewCycle {
            policy,
            planner_revision: 1,
            snapshot: &turn.snapshot,
            plan: &turn.plan,
            memory_before: &self.memory,
            memory_after: &turn.memory,
            stories: &[],
        };
        black_box(self.journal.record_cycle(&cycle, &turn.samples)).expect("room on the disk");
        self.memory = turn.memory;
    }

    fn next(&mut self) -> made_fleet::Turn {
        self.cycle += 1;
        made_fleet::turn(SERVICES, self.cycle - 1)
    }
}

fn append(criterion: &mut Criterion) {
    let mut run = Run::new();
    let turn = run.next();
    run.record(turn);
    let shared = RefCell::new(run);
    criterion.bench_function("journal: append and flush a cycle of 500 services", |bencher| {
        bencher.iter_batched(
            || shared.borrow_mut().next(),
            |turn| shared.borrow_mut().record(turn),
            BatchSize::PerIteration,
        );
    });
    let run = shared.into_inner();
    let report = run.journal.reader().verify().expect("the journal can be walked");
    println!(
        "{} bytes a service a cycle on disk, over {} cycles",
        report.bytes / (SERVICES as u64 * report.cycles),
        report.cycles
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = append
}
criterion_main!(benches);
