//! A full disk: the reserve lets what must be journaled be journaled.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{Engine, EngineFault, Tree, Write};
use super::*;

/// A store whose disk can be full: until the reserve is gone, or for good.
#[derive(Debug, Default)]
struct Cramped {
    inner: MemoryEngine,
    full: AtomicBool,
    for_good: AtomicBool,
    /// Why it takes nothing; a full disk unless told otherwise.
    why: Mutex<Option<NoRoom>>,
    /// Whether it takes records and cannot put them on disk.
    only_flushes: AtomicBool,
}

impl Cramped {
    fn room(&self) -> Result<(), EngineFault> {
        let why = self.why.lock().unwrap().unwrap_or(NoRoom::Disk);
        if self.full.load(Ordering::SeqCst) { Err(EngineFault::Full(why)) } else { Ok(()) }
    }

    fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
        self.for_good.store(full, Ordering::SeqCst);
    }
}

impl Engine for Cramped {
    fn apply(&self, writes: &[Write]) -> Result<(), EngineFault> {
        if !self.only_flushes.load(Ordering::SeqCst) {
            self.room()?;
        }
        self.inner.apply(writes)
    }
    fn flush(&self) -> Result<(), EngineFault> {
        self.room()
    }
    fn scan(&self, tree: Tree, from: &[u8], max: usize) -> Result<Vec<engine::Entry>, EngineFault> {
        self.inner.scan(tree, from, max)
    }
    fn last(&self, tree: Tree, to: &[u8]) -> Result<Option<engine::Entry>, EngineFault> {
        self.inner.last(tree, to)
    }
    fn remove_before(&self, tree: Tree, to: &[u8]) -> Result<u64, EngineFault> {
        self.inner.remove_before(tree, to)
    }
    fn remove_after(&self, tree: Tree, from: &[u8]) -> Result<u64, EngineFault> {
        self.inner.remove_after(tree, from)
    }
    fn bytes(&self) -> Result<u64, EngineFault> {
        self.inner.bytes()
    }
    fn close(&self) {
        // Opened anew with the reserve's room: there is some again.
        self.full.store(self.for_good.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[test]
fn the_reserve_is_used_shown_and_restored() {
    let engine = Arc::new(Cramped::default());
    let mut bench = Bench::new(EngineKind::Brought(Arc::clone(&engine) as Arc<dyn Engine>));
    let (journal, _) = bench.open();
    bench.record(&journal, 3, 0..2);
    let reserve = bench.path().join("journal/reserve");
    assert!(reserve.exists());
    engine.full.store(true, Ordering::SeqCst);
    bench.record(&journal, 3, 2..4);
    assert!(!reserve.exists());
    bench.assert_cycles(&journal.reader());
    assert_eq!(journal.reader().verify().unwrap().damage, []);
    // This disk has room for the reserve again.
    assert_eq!(journal.disk(), Disk::Ample);
    assert!(reserve.exists());
}

#[test]
fn what_waits_for_room_is_written_once_there_is_some() {
    let engine = Arc::new(Cramped::default());
    let mut bench = Bench::new(EngineKind::Brought(Arc::clone(&engine) as Arc<dyn Engine>));
    let (journal, _) = bench.open();
    bench.record(&journal, 3, 0..2);
    engine.full.store(true, Ordering::SeqCst);
    engine.for_good.store(true, Ordering::SeqCst);
    let intent = intent(bench.wrote[1].0, 0);
    let fault = journal.record_intents(std::slice::from_ref(&intent)).unwrap_err();
    assert!(matches!(fault, JournalFault::Full { .. }));
    let text = fault.to_string().replace(&bench.path().display().to_string(), "STATE");
    assert_eq!(
        text,
        "no room is left for journal `STATE/journal`\n  hint: free some; until then nothing is \
         changed in any cloud"
    );
    engine.for_good.store(false, Ordering::SeqCst);
    engine.full.store(false, Ordering::SeqCst);
    bench.record(&journal, 3, 2..3);
    drop(journal);
    let (journal, recovered) = bench.open();
    // Written after all. It was never sent, which looking at the group will show.
    assert_eq!(recovered.open_intents, [intent]);
    bench.assert_cycles(&journal.reader());
    assert_eq!(journal.reader().verify().unwrap().damage, []);
}

#[test]
fn who_must_make_room_is_told_though_nothing_can_be_written() {
    let engine = Arc::new(Cramped::default());
    let mut bench = Bench::new(EngineKind::Brought(Arc::clone(&engine) as Arc<dyn Engine>));
    let (journal, _) = bench.open();
    bench.record(&journal, 3, 0..2);
    let mut raised = journal.raised();
    raised.mark_unchanged();
    engine.full.store(true, Ordering::SeqCst);
    engine.for_good.store(true, Ordering::SeqCst);
    let (open, begins) = super::outbox::begun(START);
    journal.enqueue_notices(START, vec![begins], &open).unwrap_err();
    // The channels are woken and find it.
    assert!(raised.has_changed().unwrap());
    let waiting = journal.waiting("chat", fleet::alert::Severity::Info);
    assert_eq!(waiting.len(), 1);
    journal.settle(START, "chat", &[waiting[0].id], &Delivery::Sent).unwrap_err();
    assert_eq!(journal.waiting("chat", fleet::alert::Severity::Info), []);
    // Once there is room it is on disk like everything else.
    engine.for_good.store(false, Ordering::SeqCst);
    engine.full.store(false, Ordering::SeqCst);
    bench.record(&journal, 3, 2..3);
    drop(journal);
    let (journal, _) = bench.open();
    assert_eq!(journal.open_conditions(), open);
    assert_eq!(journal.waiting("chat", fleet::alert::Severity::Info), []);
}

/// Set in the process that runs on a small disk: the state directory.
const STATE: &str = "NEAP_TEST_SMALL_DISK";

/// Not a test by itself: what runs on the small disk.
#[test]
fn on_a_small_disk() {
    let Some(state) = std::env::var_os(STATE) else { return };
    let state = Path::new(&state).join("state");
    let options = Options { reserve_bytes: 6 << 20, ..Options::default() };
    let open = || Journal::open(&state, World::Real, options.clone()).unwrap();
    let (journal, _) = open();
    assert_eq!(journal.disk(), Disk::Ample);
    // Somebody else fills the disk.
    let hog = state.join("../hog");
    let filled = std::fs::write(&hog, vec![7; 64 << 20]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let mut bench = Bench::new(EngineKind::Sled);
    let mut cycles = 0;
    while journal.disk() == Disk::Ample {
        bench.record(&journal, 40, cycles..cycles + 1);
        cycles += 1;
        assert!(cycles < 2000, "the disk never fills");
    }
    // On the reserve everything is still journaled.
    bench.record(&journal, 40, cycles..cycles + 20);
    assert_eq!(journal.disk(), Disk::ReserveOnly);
    bench.assert_cycles(&journal.reader());
    drop(journal);
    let (journal, recovered) = open();
    assert_eq!(recovered.last_cycle, bench.wrote.last().map(|(id, _, _)| *id));
    assert_eq!(journal.reader().verify().unwrap().damage, []);
    assert_eq!(journal.disk(), Disk::ReserveOnly);
    std::fs::remove_file(&hog).unwrap();
    assert_eq!(journal.disk(), Disk::Ample);
    println!("{cycles} cycles before the reserve was used");
}

/// Samples that do not pack, so many bytes of them.
fn noise(n: u64, bytes: usize) -> Vec<SampleBatch> {
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let samples = (0..bytes as i64 / 8).map(|at| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let value = f64::from_bits(random & !(0x7ff << 52) | 0x3ff << 52);
        fleet::metric::Sample { start: Timestamp(1_700_000_000 + 60 * at), value }
    });
    let metric = fleet::metric::MetricKey(format!("noise {}", n % 7));
    vec![SampleBatch { metric, seen_at: Timestamp(1_700_000_000), samples: samples.collect() }]
}

#[test]
fn growth_comes_back_with_the_room_however_often_it_goes() {
    for why in [NoRoom::Disk, NoRoom::Quota, NoRoom::ReadOnly] {
        for only_flushes in [false, true] {
            let engine = Arc::new(Cramped::default());
            *engine.why.lock().unwrap() = Some(why);
            engine.only_flushes.store(only_flushes, Ordering::SeqCst);
            let mut bench = Bench::new(EngineKind::Brought(Arc::clone(&engine) as Arc<dyn Engine>));
            let (journal, _) = bench.open();
            bench.record(&journal, 3, 0..2);
            let reserve = bench.path().join("journal/reserve");
            let mut now = 2;
            for round in 0..3u64 {
                assert_eq!(journal.disk(), Disk::Ample);
                assert_eq!(journal.trouble(), None);
                engine.fill(true);
                let at = bench.wrote.last().unwrap().0.at();
                let fault = journal.record_samples(at, &noise(round, 800)).unwrap_err();
                let path = bench.path().join(DIRECTORY);
                assert_eq!(fault, JournalFault::Full { path, why });
                assert_eq!(journal.trouble(), Some(Trouble::Stalled(why)));
                // On a disk that is read-only the reserve helps nobody.
                assert_eq!(reserve.exists(), why == NoRoom::ReadOnly);
                for _ in 0..3 {
                    assert!(journal.ready().is_err());
                    assert!(journal.record_outcomes(&[]).is_err() && journal.flush().is_err());
                }
                // Disks are looked at in the meantime, too.
                let _ = journal.disk();
                assert_eq!(journal.trouble(), Some(Trouble::Stalled(why)));
                engine.fill(false);
                assert_eq!(journal.ready(), Ok(()));
                bench.record(&journal, 3, now..now + 2);
                now += 2;
                assert_eq!(journal.reader().verify().unwrap().damage, []);
            }
            let cycles = journal.reader().cycles(Timestamp(0)..Timestamp(i64::MAX)).count();
            assert_eq!(cycles, bench.wrote.len());
            drop(journal);
            let (_, recovered) = bench.open();
            assert_eq!(recovered.last_cycle, bench.wrote.last().map(|(id, _, _)| *id));
        }
    }
}

#[test]
fn a_reserve_that_cannot_be_made_is_told_and_tried_again() {
    let bench = Bench::new(EngineKind::Memory(Arc::default()));
    let options = Options { reserve_bytes: 1 << 60, ..bench.options() };
    let (journal, _) = Journal::open(bench.path(), World::Real, options).unwrap();
    for _ in 0..2 {
        let trouble = journal.trouble().unwrap();
        assert!(trouble.is_writable());
        let told = trouble.to_string();
        assert!(told.starts_with("the journal has no reserve: "), "{told}");
        assert!(told.ends_with(" MiB are needed"), "{told}");
        assert_eq!(journal.disk(), Disk::ReserveOnly);
        assert_eq!(journal.ready(), Ok(()));
    }
    drop(journal);
    // Something in its place.
    let blocked = bench.path().join(DIRECTORY).join("reserve.new");
    std::fs::create_dir(&blocked).unwrap();
    let (journal, _) = bench.open();
    assert!(matches!(journal.trouble(), Some(Trouble::NoReserve(NoReserve::Refused { .. }))));
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(journal.disk(), Disk::Ample);
    assert_eq!(journal.trouble(), None);
}

#[test]
fn a_really_full_disk_lets_the_journal_go_on_with_its_reserve() {
    in_small_disk("24m", "on_a_small_disk", "before the reserve");
}

/// Runs a test of this file on a disk of its own, of this size; it says `end` where it went to its end.
fn in_small_disk(size: &str, test: &str, end: &str) {
    let dir = tempfile::tempdir().unwrap();
    // Root needs no namespace of users, and is refused one where its root directory is not the machine's.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|of| of.uid() == 0);
    let options: &[&str] = if is_root { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let in_own_mounts = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(options).args(["sh", "-c", script]);
        command.env("DIR", dir.path()).env(STATE, dir.path());
        command.env("TEST", std::env::current_exe().unwrap());
        command.output()
    };
    let mount = format!("mount -t tmpfs -o size={size} none \"$DIR\"");
    if !in_own_mounts(&mount).is_ok_and(|output| output.status.success()) {
        println!("this machine allows no mounts to its users: tested with `Cramped` alone");
        return;
    }
    let run = format!("{mount} && \"$TEST\" --exact tests::full::{test} --nocapture");
    let output = in_own_mounts(&run).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(end), "{said}\n{errors}");
}
