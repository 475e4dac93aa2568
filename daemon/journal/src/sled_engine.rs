//! sled as the journal's store. All of sled that the daemon touches is in this file.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Once, PoisonError, RwLock, mpsc};
use std::time::Duration;

use super::NoRoom;
use super::engine::{Engine, EngineFault, Entry, Tree, Write};

/// Pages kept in memory. The journal appends and rarely reads, so this bounds the daemon's
/// footprint more than it helps its speed.
const CACHE_BYTES: u64 = 8 << 20;

/// How long a store may take to open. A sound one of 40 GiB takes seconds; a damaged one can
/// make sled wait for ever.
const OPEN_TIMEOUT: Duration = Duration::from_secs(120);

/// sled gives its lock back a little after it was closed, when its threads have ended. The
/// journal's own lock keeps other processes out, so waiting is all there is to do.
const LOCK_TRIES: u32 = 100;

/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A sled store.
#[derive(Debug)]
pub(crate) struct SledEngine {
    path: PathBuf,
    /// `None` once it was closed.
    open: RwLock<Option<Open>>,
}

struct Open {
    db: sled::Db,
    trees: Vec<sled::Tree>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open")
    }
}

impl SledEngine {
    /// Opens the store in `path`, made where there is none. sled panics on some damaged files and
    /// waits for ever on others: both become a fault.
    pub(crate) fn open(path: &Path) -> Result<SledEngine, EngineFault> {
        let (tell, told) = mpsc::channel();
        let place = path.to_path_buf();
        std::thread::Builder::new()
            .name("journal-open".to_string())
            .spawn(move || drop(tell.send(guarded(|| open(&place)))))
            .map_err(|error| EngineFault::Failed(error.to_string()))?;
        let open = told.recv_timeout(OPEN_TIMEOUT).map_err(|_| {
            EngineFault::Failed(format!("no answer within {}s", OPEN_TIMEOUT.as_secs()))
        })??;
        Ok(SledEngine { path: path.to_path_buf(), open: RwLock::new(Some(open)) })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Open) -> Result<T, sled::Error>,
    ) -> Result<T, EngineFault> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or(EngineFault::Closed)?;
        guarded(|| work(open))
    }
}

fn open(path: &Path) -> Result<Open, sled::Error> {
    let config = sled::Config::new().path(path).flush_every_ms(None).cache_capacity(CACHE_BYTES);
    let mut tries_left = LOCK_TRIES;
    let db = loop {
        match config.open() {
            Err(error) if is_lock(&error) && tries_left > 0 => {
                tries_left -= 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => break opened?,
        }
    };
    let trees = Tree::ALL.iter().map(|tree| db.open_tree(tree.name())).collect::<Result<_, _>>()?;
    Ok(Open { db, trees })
}

impl Engine for SledEngine {
    fn apply(&self, writes: &[Write]) -> Result<(), EngineFault> {
        self.with(|open| {
            for write in writes {
                open.trees[write.tree.index()].insert(&write.key, write.value.as_slice())?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), EngineFault> {
        self.with(|open| open.db.flush().map(drop))
    }

    fn scan(&self, tree: Tree, from: &[u8], bytes_max: usize) -> Result<Vec<Entry>, EngineFault> {
        self.with(|open| {
            let mut out = Vec::new();
            let mut bytes = 0;
            for entry in open.trees[tree.index()].range(from..) {
                let (key, value) = entry?;
                bytes += key.len() + value.len();
                out.push((key.to_vec(), value.to_vec()));
                if bytes > bytes_max {
                    break;
                }
            }
            Ok(out)
        })
    }

    fn last(&self, tree: Tree, to: &[u8]) -> Result<Option<Entry>, EngineFault> {
        self.with(|open| {
            let found = open.trees[tree.index()].range(..=to).next_back().transpose()?;
            Ok(found.map(|(key, value)| (key.to_vec(), value.to_vec())))
        })
    }

    fn remove_before(&self, tree: Tree, to: &[u8]) -> Result<u64, EngineFault> {
        self.with(|open| {
            let tree = &open.trees[tree.index()];
            let mut count = 0;
            for key in tree.range(..to).keys() {
                tree.remove(key?)?;
                count += 1;
            }
            Ok(count)
        })
    }

    fn remove_after(&self, tree: Tree, from: &[u8]) -> Result<u64, EngineFault> {
        self.with(|open| {
            let tree = &open.trees[tree.index()];
            let mut count = 0;
            for key in tree.range(from..).keys() {
                let key = key?;
                if key.as_ref() != from {
                    tree.remove(key)?;
                    count += 1;
                }
            }
            Ok(count)
        })
    }

    fn bytes(&self) -> Result<u64, EngineFault> {
        folder_bytes(&self.path).map_err(|error| EngineFault::Failed(error.to_string()))
    }

    fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(open) = open else { return };
        // sled flushes when it is dropped. Where it cannot it may panic, or wait for ever for a write
        // that failed: then it is left to itself, and its lock says so to whoever opens it.
        let (done, waits) = std::sync::mpsc::channel();
        let drops = move || {
            let _ = guarded(|| {
                drop(open);
                Ok(())
            });
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("close".to_owned()).spawn(drops).is_ok() {
            let _ = waits.recv_timeout(CLOSED_WITHIN);
        }
    }
}

/// How long a store may take to close.
const CLOSED_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Bytes that the files under `path` take.
pub(crate) fn folder_bytes(path: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // A file may go between listing and looking.
        let Ok(about) = entry.metadata() else { continue };
        sum += if about.is_dir() { folder_bytes(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

/// Runs `work`; a panic of sled's, without its words on stderr, is a fault like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, EngineFault> {
    silence_guarded_panics();
    GUARDED.with(|flag| flag.set(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|flag| flag.set(false));
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(sort(&error)),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it gave up without a word");
            Err(sort_text(words))
        }
    }
}

thread_local! {
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn silence_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.with(std::cell::Cell::get) {
                before(info);
            }
        }));
    });
}

fn sort(error: &sled::Error) -> EngineFault {
    let of_system = match error {
        sled::Error::Io(io) => NoRoom::of(io),
        _ => None,
    };
    of_system.map_or_else(|| sort_text(&error.to_string()), EngineFault::Full)
}

fn is_lock(error: &sled::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// sled turns some system errors into text before they arrive here.
fn sort_text(words: &str) -> EngineFault {
    if let Some(why) = NoRoom::of_text(words) {
        return EngineFault::Full(why);
    }
    let line = words.lines().next().unwrap_or_default();
    EngineFault::Failed(line.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_is_known_by_its_number_and_by_its_words() {
        for (number, why) in [(28, NoRoom::Disk), (122, NoRoom::Quota), (30, NoRoom::ReadOnly)] {
            let error = io::Error::from_raw_os_error(number);
            // sled keeps the first error of a store, and gives it again as text.
            let again = io::Error::new(error.kind(), format!("{error:?}"));
            let told = io::Error::other(format!("{error:?}"));
            for error in [error, again, told] {
                let words = error.to_string();
                assert_eq!(sort(&sled::Error::Io(error)), EngineFault::Full(why), "{words}");
                assert_eq!(sort_text(&words), EngineFault::Full(why), "{words}");
            }
        }
        let broken = io::Error::from_raw_os_error(5);
        assert!(matches!(sort(&sled::Error::Io(broken)), EngineFault::Failed(_)));
    }
}
