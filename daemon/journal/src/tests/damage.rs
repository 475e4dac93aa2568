//! One flipped byte anywhere in the journal's files: reported with tree and id, or harmless.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Files of the journal, with their lengths. The lock and the reserve hold nothing.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else if !path.ends_with("lock") && !path.ends_with("reserve") {
            let length = fs::metadata(&path).unwrap().len();
            out.push((path, length));
        }
    }
    out.sort();
    out
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A journal of three days with orders, closed.
fn journal_of_three_days() -> (Bench, Vec<Entry>) {
    let mut bench = Bench::new(EngineKind::Sled);
    let (journal, _) = bench.open();
    for day in 0..3 {
        for n in 0..8 {
            bench.record(&journal, 40, 1440 * day + n..1440 * day + n + 1);
            let cycle = bench.wrote.last().unwrap().0;
            let intent = intent(cycle, n % 6);
            journal.record_intents(std::slice::from_ref(&intent)).unwrap();
            let done = outcome(intent.id, cycle.at(), OrderResult::Applied);
            journal.record_outcomes(&[done]).unwrap();
        }
    }
    journal.flush().unwrap();
    drop(journal);
    let entries = all(&bench.reader()).unwrap();
    (bench, entries)
}

fn all(reader: &Reader) -> Result<Vec<Entry>, JournalFault> {
    reader.entries(Timestamp(0)..Timestamp(i64::MAX)).collect()
}

/// What a flipped byte led to.
#[derive(Debug, Default)]
struct Tally {
    harmless: u32,
    reported: u32,
    refused: u32,
    rebuilt: u32,
}

fn judge(state: &Path, sound: &[Entry], tally: &mut Tally) -> Result<(), String> {
    // sled keeps the lock of a store in which it panicked for as long as the process lives; a
    // daemon is another process than the reader before it.
    let daemons = tempfile::tempdir().unwrap();
    copy(&state.join(DIRECTORY), &daemons.path().join(DIRECTORY));
    match Reader::open_store(state, &EngineKind::Sled) {
        Err(JournalFault::DoesNotOpen { path, .. }) if path.starts_with(state) => {
            tally.refused += 1;
            let trees: Vec<String> =
                verify(state).unwrap().damage.into_iter().map(|damage| damage.tree).collect();
            let all =
                ["samples", "cycles", "intents", "outcomes", "checkpoints", "policies", "stories"];
            if trees != all {
                return Err(format!("a refusal that names {trees:?}"));
            }
        }
        Err(fault) => return Err(format!("no typed refusal: {fault}")),
        Ok(reader) => {
            let report = reader.verify().map_err(|fault| fault.to_string())?;
            if report.damage.is_empty() {
                let read = all(&reader).map_err(|fault| fault.to_string())?;
                if read != sound {
                    return Err(format!("unreported: {} of {}", read.len(), sound.len()));
                }
                tally.harmless += 1;
            } else {
                tally.reported += 1;
                if let Some(bare) =
                    report.damage.iter().find(|d| d.tree.is_empty() || d.id.is_empty())
                {
                    return Err(format!("damage without tree or id: {bare}"));
                }
            }
        }
    }
    // The daemon, too, either goes on from the true state or says why not.
    match Journal::open(
        daemons.path(),
        World::Real,
        Options { reserve_bytes: 0, ..Options::default() },
    ) {
        Ok((_, recovered)) => {
            let last = sound.iter().rev().find_map(|entry| match &entry.kind {
                EntryKind::Cycle(cycle) => Some((cycle.id, cycle.memory_after.clone())),
                _ => None,
            });
            let found = recovered.last_cycle.zip(recovered.memory.map(|(memory, _)| memory));
            if found != last {
                return Err("the daemon goes on from another state".to_string());
            }
            tally.rebuilt += u32::from(recovered.notes.iter().any(|n| n.contains("rebuilt")));
            Ok(())
        }
        Err(JournalFault::Damaged { damage, .. }) if !damage.is_empty() => Ok(()),
        Err(JournalFault::DoesNotOpen { .. }) => Ok(()),
        Err(fault) => Err(format!("the daemon has no typed refusal: {fault}")),
    }
}

#[test]
fn one_flipped_byte_is_reported_or_harmless() {
    let (bench, sound) = journal_of_three_days();
    let dir = bench.path().join(DIRECTORY);
    let files = files(&dir);
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    let mut tally = Tally::default();
    let mut random = 0x2545_f491_4f6c_dd1du64;
    for _ in 0..200 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut offset = random % total;
        let (path, _) = files
            .iter()
            .find(|(_, length)| {
                let here = offset < *length;
                offset -= if here { 0 } else { *length };
                here
            })
            .unwrap();
        let bit = (random >> 40) as u8 | 1;
        let spoiled = tempfile::tempdir().unwrap();
        copy(&dir, &spoiled.path().join(DIRECTORY));
        let inside = path.strip_prefix(&dir).unwrap();
        let target = spoiled.path().join(DIRECTORY).join(inside);
        let mut bytes = fs::read(&target).unwrap();
        bytes[offset as usize] ^= bit;
        fs::write(&target, bytes).unwrap();
        if let Err(why) = judge(spoiled.path(), &sound, &mut tally) {
            panic!("byte {offset} of `{}` ^ {bit:#x}: {why}", inside.display());
        }
    }
    println!("{tally:?} over {total} bytes");
    assert!(tally.reported + tally.refused > 20, "the flips must matter: {tally:?}");
}
