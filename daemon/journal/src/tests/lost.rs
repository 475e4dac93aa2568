//! What may be lost with a word, what is written again, and what ends the daemon: a flipped bit in
//! every tree, before the last checkpoint and behind it, with the export tail whole and without.

use std::collections::BTreeSet;
use std::fs;

use fleet::alert::{Alert, Severity};
use fleet::metric::{MetricKey, Sample};

use super::engine::{Engine, Write};
use super::*;

/// Samples as they can be compared: metric, start and bits.
type Shown = BTreeSet<(String, i64, u64)>;

struct Damaged {
    bench: Bench,
    engine: Arc<MemoryEngine>,
}

/// A journal of three days with something in most trees, closed.
fn three_days() -> (Damaged, Recovered) {
    let engine = Arc::new(MemoryEngine::default());
    let mut bench = Bench::new(EngineKind::Memory(Arc::clone(&engine)));
    let (journal, _) = bench.open();
    for day in 0..3 {
        for n in 0..4 {
            bench.record(&journal, 6, 1440 * day + n..1440 * day + n + 1);
            let cycle = bench.wrote.last().unwrap().0;
            let intent = intent(cycle, n % 6);
            journal.record_intents(std::slice::from_ref(&intent)).unwrap();
            let done = outcome(intent.id, cycle.at(), OrderResult::Applied);
            journal.record_outcomes(&[done]).unwrap();
            // A name that is new, and one that is known.
            for metric in [format!("of {day} and {n}"), "known".to_owned()] {
                let samples = (0..9).map(|at| Sample {
                    start: Timestamp(cycle.at().0 + 60 * at),
                    value: (100 * n) as f64 + at as f64 / 8.0,
                });
                let batch = SampleBatch {
                    metric: MetricKey(metric),
                    seen_at: cycle.at(),
                    samples: samples.collect(),
                };
                journal.record_samples(cycle.at(), &[batch]).unwrap();
            }
            let alert = Alert {
                key: format!("{day}/{n}"),
                severity: Severity::Info,
                at: cycle.at(),
                title: "told".to_owned(),
                lines: Vec::new(),
                owner: None,
                subject: None,
            };
            journal.enqueue(&[alert]).unwrap();
            journal.record_shadow(cycle.at(), &(day, n), true).unwrap();
        }
    }
    drop(journal);
    let (journal, recovered) = bench.open();
    drop(journal);
    (Damaged { bench, engine }, recovered)
}

impl Damaged {
    /// A copy that can be spoiled.
    fn copied(&self) -> Damaged {
        let engine = MemoryEngine::default();
        for tree in Tree::ALL {
            let entries = self.engine.scan(tree, &[], usize::MAX).unwrap();
            let write = |(key, value)| Write { tree, key, value };
            engine.apply(&entries.into_iter().map(write).collect::<Vec<_>>()).unwrap();
        }
        let engine = Arc::new(engine);
        let bench = Bench::new(EngineKind::Memory(Arc::clone(&engine)));
        let (from, to) = (self.bench.path().join(DIRECTORY), bench.path().join(DIRECTORY));
        fs::create_dir(&to).unwrap();
        for file in [head::FILE, tail::FILE] {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
        Damaged { bench, engine }
    }

    /// Where the newest checkpoint stands.
    fn checkpoint(&self) -> Vec<u8> {
        let last = self.engine.last(Tree::Checkpoints, &[u8::MAX; RecordId::LENGTH]);
        last.unwrap().expect("a checkpoint").0
    }

    /// Flips a bit of a record of a tree, of the newest or of those before the last checkpoint; whether
    /// there is one.
    fn flip(&self, tree: Tree, newest: bool, seed: u64) -> bool {
        let last = self.checkpoint();
        let mut entries = self.engine.scan(tree, &[], usize::MAX).unwrap();
        entries.retain(|(key, _)| (*key >= last) == newest);
        if entries.is_empty() {
            return false;
        }
        let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (random >> 7) as usize % entries.len();
        let (key, mut value) = entries.swap_remove(at);
        let byte = (random >> 23) as usize % value.len();
        value[byte] ^= 1 << (random >> 61);
        self.engine.apply(&[Write { tree, key, value }]).unwrap();
        true
    }
}

fn shown(reader: &Reader) -> (Shown, Vec<Damage>) {
    let mut shown = Shown::new();
    let lost = reader.sound_samples(Timestamp(0), |metric, _, sample| {
        shown.insert((metric.0.clone(), sample.start.0, sample.value.to_bits()));
    });
    (shown, lost.unwrap())
}

#[test]
fn what_is_old_is_lost_with_a_word_and_never_taken_for_something_else() {
    let (sound, before) = three_days();
    let last = RecordId::from_key(&sound.checkpoint()).unwrap().at();
    let (journal, _) = sound.bench.open();
    let (all, none) = shown(&journal.reader());
    assert_eq!(none, []);
    drop(journal);
    for tree in Tree::ALL {
        for seed in 0..12 {
            let spoiled = sound.copied();
            if !spoiled.flip(tree, false, seed) {
                continue;
            }
            let (journal, recovered) = spoiled.bench.open();
            assert_eq!(recovered.memory, before.memory, "{tree:?} {seed}");
            assert_eq!(recovered.last_cycle, before.last_cycle, "{tree:?} {seed}");
            assert_eq!(!recovered.notes.is_empty(), tree == Tree::Alerts, "{tree:?} {seed}");
            let (left, lost) = shown(&journal.reader());
            assert!(left.is_subset(&all), "{tree:?} {seed}: {:?}", left.difference(&all));
            let touched = matches!(tree, Tree::Samples | Tree::Checkpoints);
            assert_eq!(!lost.is_empty(), touched, "{tree:?} {seed}: {lost:?}");
            assert_eq!(left == all, !touched, "{tree:?} {seed}");
            // Nothing of it reaches beyond the next checkpoint.
            let newest = |all: &Shown| all.iter().filter(|s| s.1 >= last.0 + 600).count();
            assert_eq!(newest(&left), newest(&all), "{tree:?} {seed}");
            // The journal goes on, and what is damaged stays known.
            assert!(!journal.reader().verify().unwrap().damage.is_empty(), "{tree:?} {seed}");
            journal.record_samples(last, &[]).unwrap();
        }
    }
}

#[test]
fn what_is_new_is_written_again_from_the_export_tail() {
    let (sound, before) = three_days();
    for tree in Tree::ALL {
        for seed in 0..12 {
            let spoiled = sound.copied();
            if !spoiled.flip(tree, true, seed) {
                continue;
            }
            let (journal, recovered) = spoiled.bench.open();
            assert_eq!(recovered.memory, before.memory, "{tree:?} {seed}");
            assert_eq!(recovered.last_snapshot, before.last_snapshot, "{tree:?} {seed}");
            let [note] = &recovered.notes[..] else { panic!("{tree:?} {seed}") };
            assert!(note.contains("were written again from the export tail"), "{note}");
            assert!(note.contains(tree.name()), "{tree:?} {seed}: {note}");
            assert_eq!(journal.reader().verify().unwrap().damage, [], "{tree:?} {seed}");
            drop(journal);
            assert_eq!(spoiled.bench.open().1.notes, Vec::<String>::new(), "once");
        }
    }
}

#[test]
fn what_is_new_ends_the_daemon_where_the_export_tail_is_damaged_or_gone() {
    let (sound, _) = three_days();
    for tree in Tree::ALL {
        for seed in 0..8u64 {
            let spoiled = sound.copied();
            if !spoiled.flip(tree, true, seed) {
                continue;
            }
            let path = spoiled.bench.path().join(DIRECTORY).join(tail::FILE);
            if seed % 2 == 0 {
                fs::remove_file(&path).unwrap();
            } else {
                let mut bytes = fs::read(&path).unwrap();
                let at = (seed as usize * 7919) % bytes.len();
                bytes[at] ^= 4;
                fs::write(&path, bytes).unwrap();
            }
            match spoiled.bench.try_open() {
                Err(JournalFault::Damaged { damage, .. }) => {
                    let named = damage.iter().any(|one| one.tree == tree.name());
                    assert!(named, "{tree:?} {seed}: {damage:?}");
                }
                other => panic!("{tree:?} {seed}: {:?}", other.map(|(_, recovered)| recovered)),
            }
        }
    }
}
