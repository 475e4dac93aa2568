//! Reading while the daemon lives: through its socket, to the same answers.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::*;

/// Runs `look` on a thread of its own while a server answers in a runtime.
fn while_served(bench: &Bench, journal: &Journal, look: impl FnOnce(&Path) + Send) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let status = Arc::new(|| json!({ "mode": "observe" }));
    let server = socket::serve(journal, status).unwrap();
    let state = bench.path();
    std::thread::scope(|scope| scope.spawn(move || look(state)).join().unwrap());
    drop(server);
    assert!(!state.join(SOCKET).exists());
}

#[test]
fn the_socket_gives_the_same_answers_as_the_store() {
    on_each_engine(|mut bench| {
        let (journal, _) = bench.open();
        bench.record(&journal, 5, 0..4);
        journal.record_intents(&[intent(bench.wrote[3].0, 0)]).unwrap();
        while_served(&bench, &journal, |state| {
            let mode = std::fs::metadata(state.join(SOCKET)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let reader = Reader::open(state).unwrap();
            bench.assert_cycles(&reader);
            assert_eq!(reader.status(), Ok(Some(json!({ "mode": "observe" }))));
            assert_eq!(reader.world(), Ok(World::Real));
            assert_eq!(reader.intents(bench.wrote[3].0).unwrap().len(), 1);
            let report = reader.verify().unwrap();
            assert_eq!((report.cycles, report.damage), (4, Vec::new()));
            assert_eq!(verify(state).unwrap().cycles, 4);
        });
    });
}

#[test]
fn what_is_written_meanwhile_is_seen_and_never_taken_for_damage() {
    let mut bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    bench.record(&journal, 20, 0..2);
    let turns: Vec<Turn> = (2..40).map(|n| turn(20, n)).collect();
    let policy = journal.record_policy(&policy(20), "", START).unwrap();
    while_served(&bench, &journal, |state| {
        let reader = Reader::open(state).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut before = bench.wrote[1].1.memory.clone();
                for turn in &turns {
                    let cycle = NewCycle {
                        policy,
                        planner_revision: 1,
                        snapshot: &turn.snapshot,
                        plan: &turn.plan,
                        memory_before: &before,
                        memory_after: &turn.memory,
                        stories: &[],
                    };
                    journal.record_cycle(&cycle, &turn.samples).unwrap();
                    before.clone_from(&turn.memory);
                }
            });
            while !writer.is_finished() {
                assert_eq!(reader.verify().unwrap().damage, []);
            }
        });
        let last = reader.cycle_at(Timestamp(i64::MAX)).unwrap().unwrap();
        assert_eq!(last.snapshot, turns.last().unwrap().snapshot);
    });
}

#[test]
fn nonsense_and_idle_clients_harm_nobody() {
    let mut bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    bench.record(&journal, 2, 0..1);
    while_served(&bench, &journal, |state| {
        use std::io::{Read, Write};
        let mut rude = UnixStream::connect(state.join(SOCKET)).unwrap();
        rude.write_all(&u32::MAX.to_le_bytes()).unwrap();
        let mut rest = Vec::new();
        assert_eq!(rude.read_to_end(&mut rest).unwrap(), 0, "hung up on");
        let idle: Vec<UnixStream> =
            (0..10).map(|_| UnixStream::connect(state.join(SOCKET)).unwrap()).collect();
        let mut gibberish = UnixStream::connect(state.join(SOCKET)).unwrap();
        gibberish.write_all(&[3, 0, 0, 0, 99, 99, 99]).unwrap();
        let mut length = [0; 4];
        gibberish.read_exact(&mut length).unwrap();
        bench.assert_cycles(&Reader::open(state).unwrap());
        drop(idle);
    });
}

#[test]
fn a_socket_left_by_a_killed_daemon_is_no_obstacle() {
    let mut bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    bench.record(&journal, 2, 0..2);
    let left = std::os::unix::net::UnixListener::bind(bench.path().join(SOCKET)).unwrap();
    drop(left);
    while_served(&bench, &journal, |state| drop(Reader::open(state).unwrap()));
    let left = std::os::unix::net::UnixListener::bind(bench.path().join(SOCKET)).unwrap();
    drop((left, journal));
    bench.assert_cycles(&Reader::open(bench.path()).unwrap());
}
