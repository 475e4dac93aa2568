//! Opens a journal: lock, store, high-water, and the records since the last checkpoint.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::audit::Audit;
use super::engine::{Engine, EngineFault, MemoryEngine, Tree, Write};
use super::eras::Eras;
use super::fault::BadBody;
use super::format::Format;
use super::frame::{BadFrame, truncated, unseal};
use super::head::{self, FORMAT, Head, HeadFile, Mark};
use super::log::{Opener, Shared};
use super::sled_engine::SledEngine;
use super::source::{Source, Walk};
use super::{
    DIRECTORY, Damage, Instance, JournalFault, RecordId, SOCKET, Trouble, World, fold, tail,
};

/// The lock's name in the journal's directory.
const LOCK: &str = "lock";

/// The store's directory in the journal's directory.
pub(crate) const STORE: &str = "store";

/// The store that holds the records: sled, but where a test of the journal brings its own.
#[derive(Clone, Debug, Default)]
pub struct Store(pub(crate) EngineKind);

/// Which store holds the records.
#[derive(Clone, Debug, Default)]
pub(crate) enum EngineKind {
    /// sled, in a directory.
    #[default]
    Sled,
    /// Memory: outlives the journal's closing, not the process. For tests.
    #[cfg_attr(not(test), allow(dead_code))]
    Memory(Arc<MemoryEngine>),
    /// A store that a test brings.
    #[cfg_attr(not(test), allow(dead_code))]
    Brought(Arc<dyn Engine>),
}

impl EngineKind {
    pub(crate) fn opener(&self, dir: &Path) -> Opener {
        match self {
            EngineKind::Sled => {
                let path = dir.join(STORE);
                Arc::new(move || Ok(Arc::new(SledEngine::open(&path)?) as Arc<dyn Engine>))
            }
            EngineKind::Memory(engine) => {
                let engine = Arc::clone(engine);
                Arc::new(move || Ok(Arc::clone(&engine) as Arc<dyn Engine>))
            }
            EngineKind::Brought(engine) => {
                let engine = Arc::clone(engine);
                Arc::new(move || Ok(Arc::clone(&engine)))
            }
        }
    }
}

/// The journal's directory, held by this process alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// How often, and after what pause, a lock is asked for: a child of a process that has just closed
/// the journal holds its files until it runs its own program.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Takes the directory; a second process is refused.
pub(crate) fn hold(state_dir: &Path) -> Result<Held, JournalFault> {
    let dir = state_dir.join(DIRECTORY);
    let path = dir.join(LOCK);
    let lock = private()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| super::unusable(&path, &error))?;
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(Held { _lock: lock }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(super::unusable(&path, &error)),
        }
    }
    Err(JournalFault::Locked { path: dir, socket: state_dir.join(SOCKET) })
}

/// How files of the journal are opened: it holds names and addresses, which are nobody else's.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes a file of the journal, or empties it.
pub(crate) fn create(path: &Path) -> std::io::Result<File> {
    private().write(true).create(true).truncate(true).open(path)
}

/// Takes from everybody else what was made by the store, or before files were private. A file system
/// without permissions has none to take.
pub(crate) fn make_private(path: &Path) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
    let mode = match (about.is_dir(), about.is_file()) {
        (true, _) => 0o700,
        (_, true) => 0o600,
        _ => return,
    };
    if about.permissions().mode() & 0o077 != 0 {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.for_each(|entry| make_private(&entry.path()));
}

/// Makes the directory where there is none, and checks that it can be written.
pub(crate) fn make_directory(state_dir: &Path) -> Result<PathBuf, JournalFault> {
    let dir = state_dir.join(DIRECTORY);
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let made: Vec<&Path> = state_dir.ancestors().take_while(missing).collect();
    fs::create_dir_all(&dir).map_err(|error| super::unusable(&dir, &error))?;
    for above in made {
        // Whatever the process's mask: entered by those who may reach a socket in it, listed by nobody.
        let _ = fs::set_permissions(above, fs::Permissions::from_mode(0o711));
    }
    let probe = dir.join("probe");
    create(&probe)
        .and_then(|_| fs::remove_file(&probe))
        .map_err(|error| super::unusable(&dir, &error))?;
    Ok(dir)
}

/// Reads the high-water file; damage of its newer place alone is told in the second value.
pub(crate) fn read_head(dir: &Path) -> Result<(Option<Head>, Vec<Damage>), JournalFault> {
    let (head, damage) = head::read(dir)?;
    match head {
        Some(head) if Format::of(head.format).is_none() => Err(JournalFault::OtherFormat {
            path: dir.to_path_buf(),
            found: head.format,
            expected: FORMAT,
        }),
        None if !damage.is_empty() => {
            Err(JournalFault::Damaged { path: dir.join(head::FILE), damage })
        }
        head => Ok((head, damage)),
    }
}

/// A head for a journal that begins now. A simulation's instance comes from its seed, so that its
/// ids repeat.
pub(crate) fn fresh_head(world: World) -> Head {
    let seed = match &world {
        World::Real => uuid::Uuid::now_v7().as_bytes().to_vec(),
        simulation @ World::Simulation { .. } => simulation.to_string().into_bytes(),
    };
    let hash = truncated(&blake3::hash(&seed));
    Head {
        format: FORMAT,
        writes: 0,
        instance: Instance(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])),
        world,
        anchor: Mark::START,
        end: Mark::START,
    }
}

/// Opens the store of a journal that has a head. One that does not open, or is gone, is moved
/// aside and rebuilt from the export tail where that is whole.
pub(crate) fn open_store(
    dir: &Path,
    opener: &Opener,
    head: &mut Head,
    file: &mut HeadFile,
    notes: &mut Vec<String>,
) -> Result<Arc<dyn Engine>, JournalFault> {
    let why = match opener() {
        Ok(engine) => {
            if head.end == Mark::START || !is_empty(&*engine) {
                return Ok(engine);
            }
            engine.close();
            EMPTY.to_string()
        }
        Err(EngineFault::Full(why)) => {
            return Err(JournalFault::Full { path: dir.to_path_buf(), why });
        }
        Err(fault) => fault.to_string(),
    };
    rebuild(dir, opener, head, file, notes, why)
}

/// Why a store that opens is none.
pub(crate) const EMPTY: &str = "it is empty, and the high-water file knows records";

pub(crate) fn is_empty(engine: &dyn Engine) -> bool {
    let last = [u8::MAX; RecordId::LENGTH];
    Tree::ALL.iter().all(|tree| matches!(engine.last(*tree, &last), Ok(None)))
}

fn rebuild(
    dir: &Path,
    opener: &Opener,
    head: &mut Head,
    file: &mut HeadFile,
    notes: &mut Vec<String>,
    why: String,
) -> Result<Arc<dyn Engine>, JournalFault> {
    let store = dir.join(STORE);
    let (anchor, writes) = whole_tail(dir, head).map_err(|tail| JournalFault::DoesNotOpen {
        path: store.clone(),
        why: why.clone(),
        hint: format!(
            "it cannot be rebuilt either, {tail}; move `{}` aside to begin a new journal",
            dir.display()
        ),
    })?;
    let aside = free_name(dir);
    if store.exists() {
        fs::rename(&store, &aside).map_err(|error| super::unusable(&store, &error))?;
    }
    let does_not_open = |fault: EngineFault| match fault {
        EngineFault::Full(why) => JournalFault::Full { path: dir.to_path_buf(), why },
        fault => {
            let (path, why) = (store.clone(), fault.to_string());
            JournalFault::DoesNotOpen { path, why, hint: String::new() }
        }
    };
    let engine = opener().map_err(does_not_open)?;
    engine.apply(&writes).and_then(|()| engine.flush()).map_err(does_not_open)?;
    notes.push(format!(
        "store `{}` did not open ({why}); it was moved to `{}` and rebuilt from the export tail, \
         which begins at `{}`",
        store.display(),
        aside.display(),
        anchor.id
    ));
    head.anchor = anchor;
    file.write(head)?;
    Ok(engine)
}

/// Why a store is not rebuilt from the export tail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum BadTail {
    #[error("the export tail is missing or damaged")]
    Missing,
    #[error("the export tail: {0}")]
    Frame(#[from] BadFrame),
    #[error("the export tail: {0}")]
    Checkpoint(#[from] BadBody),
    #[error("the export tail is damaged: {0}")]
    Damaged(Damage),
}

/// The export tail, if it is whole: where it begins, and its entries.
fn whole_tail(dir: &Path, head: &Head) -> Result<(Mark, Vec<Write>), BadTail> {
    let entries = tail::read(dir);
    let (tree, (key, value)) = entries.first().ok_or(BadTail::Missing)?;
    let first = unseal(*tree, key, value)?;
    let start = fold::CheckpointBody::of(&first)?;
    let mut audit = Audit::new(start.before.clone(), head.end.id.sequence());
    for (tree, entry) in &entries {
        audit.entry(*tree, entry);
    }
    audit.finish(&head.end);
    if let Some(damage) = audit.damage.into_iter().next() {
        return Err(BadTail::Damaged(damage));
    }
    let write = |(tree, (key, value))| Write { tree, key, value };
    Ok((start.before, entries.into_iter().map(write).collect()))
}

/// A name beside the store that is not taken.
fn free_name(dir: &Path) -> PathBuf {
    let name = |n: u32| dir.join(format!("{STORE}-damaged-{n}"));
    // Names run out long after the disk does.
    (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(u32::MAX))
}

/// Reads the records from the last checkpoint on. What is damaged in them is written again from the
/// export tail where that is whole; where the store does not take it, it is rebuilt.
pub(crate) fn caught_up(
    local: &Local,
    opener: &Opener,
    (head, file): (&mut Head, &mut HeadFile),
    notes: &mut Vec<String>,
) -> Result<Audit, JournalFault> {
    let (shared, dir) = (&local.shared, &local.shared.dir);
    let audit = catch_up(local, head)?;
    let Some(first) = audit.damage.first().cloned() else { return Ok(audit) };
    let damaged = |audit: Audit| {
        shared.engine().close();
        Err(JournalFault::Damaged { path: dir.clone(), damage: audit.damage })
    };
    let Ok((_, writes)) = whole_tail(dir, head) else { return damaged(audit) };
    let engine = shared.engine();
    if engine.apply(&writes).and_then(|()| engine.flush()).is_ok() {
        let again = catch_up(local, head)?;
        if again.damage.is_empty() {
            let count = audit.damage.len();
            notes.push(format!(
                "the newest records were damaged in {count} places, first {first}; they were \
                 written again from the export tail"
            ));
            return Ok(again);
        }
    }
    engine.close();
    drop(engine);
    let engine = rebuild(dir, opener, head, file, notes, first.to_string())?;
    shared.rebuilt(engine, head.clone());
    let again = catch_up(local, head)?;
    if again.damage.is_empty() { Ok(again) } else { damaged(again) }
}

/// Reads the records from the last checkpoint on, judging each.
pub(crate) fn catch_up(source: &dyn Source, head: &Head) -> Result<Audit, JournalFault> {
    let (from, mark) = last_checkpoint(source, head)?;
    let mut audit = Audit::new(mark, head.end.id.sequence());
    for entry in Walk::new(source, &Tree::ALL, from) {
        match entry {
            Ok((tree, entry)) => {
                audit.entry(tree, &entry);
            }
            Err((tree, fault)) => audit.unreadable(tree, &fault.to_string()),
        }
    }
    audit.finish(&head.end);
    Ok(audit)
}

/// Removes what was never promised: records behind a gap that a crash left. What to tell of it.
pub(crate) fn cut(engine: &dyn Engine, audit: &Audit) -> Result<Option<String>, EngineFault> {
    let Some(last) = audit.torn else { return Ok(None) };
    let mut gone = 0;
    for tree in Tree::ALL {
        gone += engine.remove_after(tree, &last.to_key())?;
    }
    engine.flush()?;
    Ok(Some(format!(
        "{gone} records behind `{last}` were removed: a crash left a gap before them, and they \
         had never been promised to be on disk"
    )))
}

/// Where to begin reading so that the newest state is known.
fn last_checkpoint(source: &dyn Source, head: &Head) -> Result<(RecordId, Mark), JournalFault> {
    let from_anchor = (head.anchor.id.successor(), head.anchor.clone());
    // One that cannot be read is found again, and reported, by walking from the anchor.
    let Ok(Some((key, value))) = source.last(Tree::Checkpoints, RecordId::LAST) else {
        return Ok(from_anchor);
    };
    let Ok(frame) = unseal(Tree::Checkpoints, &key, &value) else { return Ok(from_anchor) };
    match fold::CheckpointBody::of(&frame) {
        Ok(body) => Ok((frame.id, body.before)),
        Err(_) => Ok(from_anchor),
    }
}

/// A store in this process.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// Keeps other processes out while a reader has the store open; a writer keeps its own.
    pub(crate) _held: Option<Held>,
}

/// Bytes of a page of entries.
const PAGE_BYTES: usize = 1 << 20;

impl Local {
    fn damaged(&self, tree: Tree, fault: &EngineFault) -> JournalFault {
        // What is closed for want of room is not damaged.
        let no_room = match fault {
            EngineFault::Full(why) => Some(*why),
            EngineFault::Closed => match self.shared.trouble() {
                Some(Trouble::Stalled(why)) => Some(why),
                _ => None,
            },
            EngineFault::Failed(_) => None,
        };
        if let Some(why) = no_room {
            return JournalFault::Full { path: self.shared.dir.clone(), why };
        }
        JournalFault::Damaged {
            path: self.shared.dir.join(STORE),
            damage: vec![Damage {
                tree: tree.name().to_string(),
                id: "-".to_string(),
                what: fault.to_string(),
            }],
        }
    }
}

impl Source for Local {
    fn head(&self) -> Result<Head, JournalFault> {
        Ok(self.shared.head())
    }

    fn eras(&self) -> Result<Eras, JournalFault> {
        Ok(self.shared.eras())
    }

    fn scan(&self, tree: Tree, from: RecordId) -> Result<Vec<super::engine::Entry>, JournalFault> {
        let page = self.shared.engine().scan(tree, &from.to_key(), PAGE_BYTES);
        page.map_err(|fault| self.damaged(tree, &fault))
    }

    fn last(&self, tree: Tree, to: RecordId) -> Result<Option<super::engine::Entry>, JournalFault> {
        let last = self.shared.engine().last(tree, &to.to_key());
        last.map_err(|fault| self.damaged(tree, &fault))
    }

    fn bytes(&self) -> Result<u64, JournalFault> {
        let bytes = self.shared.engine().bytes();
        bytes.map_err(|fault| self.damaged(Tree::Cycles, &fault))
    }

    fn files(&self) -> Result<Vec<Damage>, JournalFault> {
        let (_, mut damage) = head::read(&self.shared.dir)?;
        damage.extend(tail_damage(&self.shared.dir));
        Ok(damage)
    }

    fn status(&self) -> Result<Option<serde_json::Value>, JournalFault> {
        Ok(None)
    }
}

/// Damage of the export tail. One cut short at its end is the work of a crash, and no damage.
fn tail_damage(dir: &Path) -> Vec<Damage> {
    let mut last = "-".to_string();
    let mut damage = Vec::new();
    for (tree, (key, value)) in tail::read(dir) {
        match unseal(tree, &key, &value) {
            Ok(frame) => last = frame.id.to_string(),
            Err(why) => damage.push(Damage {
                tree: tail::FILE.to_string(),
                id: last.clone(),
                what: format!("what follows it is no sound record: {why}"),
            }),
        }
    }
    damage
}
