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

/// Removes records of a closed journal from its store.
fn lose(state: &Path, which: impl Fn(Tree, &Entries) -> Vec<Vec<u8>>) {
    let db = sled::open(state.join(DIRECTORY).join(crate::open::STORE)).unwrap();
    for tree in Tree::ALL {
        let name = tree.name();
        if !db.tree_names().iter().any(|known| known == name.as_bytes()) {
            continue;
        }
        let records = db.open_tree(name).unwrap();
        let keys: Entries = records.iter().keys().map(|key| key.unwrap().to_vec()).collect();
        for key in which(tree, &keys) {
            records.remove(key).unwrap();
        }
    }
    db.flush().unwrap();
}

type Entries = Vec<Vec<u8>>;

/// A copy of a journal, damaged by `spoil`.
fn spoiled(bench: &Bench, spoil: impl Fn(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&bench.path().join(DIRECTORY), &folder.path().join(DIRECTORY));
    spoil(folder.path());
    folder
}

#[test]
fn a_store_that_lost_records_is_no_shorter_journal() {
    let (bench, sound) = journal_of_three_days();
    let last = sound.last().unwrap().id.to_key();
    let opens = |state: &Path| match Reader::open(state) {
        Err(JournalFault::Damaged { .. } | JournalFault::DoesNotOpen { .. }) => false,
        Err(fault) => panic!("{fault}"),
        Ok(_) => true,
    };
    let whole = spoiled(&bench, |_| {});
    assert!(opens(whole.path()) && verify(whole.path()).unwrap().damage.is_empty());
    let emptied = spoiled(&bench, |state| {
        let store = state.join(DIRECTORY).join(crate::open::STORE);
        fs::remove_dir_all(&store).unwrap();
        fs::create_dir(&store).unwrap();
    });
    let gone = spoiled(&bench, |state| lose(state, |_, keys| keys.clone()));
    let short = spoiled(&bench, |state| {
        lose(state, |_, keys| keys.iter().filter(|key| **key == last).cloned().collect());
    });
    for lost in [&emptied, &gone, &short] {
        assert!(!opens(lost.path()));
        assert!(!verify(lost.path()).unwrap().damage.is_empty());
    }
}

#[test]
fn what_is_lost_on_the_way_is_found_from_the_day_before_it_on() {
    let (bench, sound) = journal_of_three_days();
    let begins = sound.first().unwrap().id.at();
    let third = begins + Seconds::days(2);
    for tree in [Tree::Cycles, Tree::Intents, Tree::Samples] {
        for early in [true, false] {
            let lost = spoiled(&bench, |state| {
                lose(state, |of, keys| {
                    let at = if early { 3 } else { keys.len().saturating_sub(3) };
                    keys.get(at).filter(|_| of == tree).cloned().into_iter().collect()
                });
            });
            let reader = Reader::open(lost.path()).unwrap();
            let found = |since| !reader.verify_since(since).unwrap().damage.is_empty();
            assert!(found(Timestamp(0)), "{tree:?} {early}");
            // What is read does not build on what was lost two days before.
            assert_eq!(found(third), !early, "{tree:?} {early}");
        }
    }
}

/// Files and folders of a journal that others could look into.
fn open_to_others(dir: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let mut all = vec![dir.to_path_buf()];
    let mut found = Vec::new();
    while let Some(path) = all.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if about.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_journal_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let none: [PathBuf; 0] = [];
    let mut bench = Bench::new(EngineKind::Sled);
    let dir = bench.path().join(DIRECTORY);
    let (journal, _) = bench.open();
    assert_eq!(open_to_others(&dir), none, "fresh");
    for day in 0..3 {
        bench.record(&journal, 40, 1440 * day..1440 * day + 2);
    }
    journal.flush().unwrap();
    assert_eq!(open_to_others(&dir), none, "written");
    journal.compact(START + Seconds::days(4000)).unwrap();
    assert_eq!(open_to_others(&dir), none, "compacted");
    drop(journal);
    // From before files were private.
    let open_up = || {
        for (path, _) in files(&dir) {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open_up();
    drop(bench.open());
    assert_eq!(open_to_others(&dir), none, "older");
    open_up();
    drop(Reader::open(bench.path()).unwrap());
    assert_eq!(open_to_others(&dir), none, "read");
    fs::remove_dir_all(dir.join(crate::open::STORE)).unwrap();
    let (_, recovered) = bench.open();
    assert!(recovered.notes.iter().any(|note| note.contains("rebuilt")), "{:?}", recovered.notes);
    assert_eq!(open_to_others(&dir), none, "rebuilt");
}
