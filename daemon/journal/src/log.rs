//! Appends records to the store, flushes them, and keeps the high-water file and the reserve.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fleet::Timestamp;

use super::engine::{Engine, EngineFault, Tree, Write};
use super::frame::seal;
use super::head::{Head, HeadFile, Mark};
use super::reserve::Reserve;
use super::tail::Tail;
use super::{JournalFault, RecordId};

/// Opens the store; called again after a full disk.
pub(crate) type Opener = Arc<dyn Fn() -> Result<Arc<dyn Engine>, EngineFault> + Send + Sync>;

/// Bytes that may wait for room on a full disk before the journal gives up.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// The store and its end, as readers in this process see them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state_dir: PathBuf,
    pub(crate) dir: PathBuf,
    engine: RwLock<Arc<dyn Engine>>,
    head: RwLock<Head>,
}

impl Shared {
    pub(crate) fn new(state_dir: &Path, engine: Arc<dyn Engine>, head: Head) -> Shared {
        Shared {
            state_dir: state_dir.to_path_buf(),
            dir: state_dir.join(super::DIRECTORY),
            engine: RwLock::new(engine),
            head: RwLock::new(head),
        }
    }

    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The journal's head, its end at the last record applied.
    pub(crate) fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_engine(&self, engine: Arc<dyn Engine>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    fn set_head(&self, head: Head) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// The writing end.
pub(crate) struct Log {
    pub(crate) shared: Arc<Shared>,
    opener: Opener,
    /// What the high-water file says.
    head: Head,
    file: HeadFile,
    /// Where the records stand that were made, applied or not.
    end: Mark,
    /// Made and not yet applied.
    pending: Vec<Write>,
    /// Applied and not yet flushed: written again where the store has to be opened anew.
    unflushed: Vec<Write>,
    pub(crate) reserve: Reserve,
    tail: Tail,
    failed: Option<String>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("end", &self.end).finish_non_exhaustive()
    }
}

/// What [`Log::new`] is made of.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) opener: Opener,
    pub(crate) head: Head,
    pub(crate) file: HeadFile,
    pub(crate) end: Mark,
    pub(crate) reserve: Reserve,
    pub(crate) tail: Tail,
}

impl Log {
    pub(crate) fn new(parts: Parts) -> Log {
        let Parts { shared, opener, head, file, end, reserve, tail } = parts;
        let log = Log {
            shared,
            opener,
            head,
            file,
            end,
            pending: Vec::new(),
            unflushed: Vec::new(),
            reserve,
            tail,
            failed: None,
        };
        log.publish();
        log
    }

    /// Where the next record will stand.
    pub(crate) fn end(&self) -> &Mark {
        &self.end
    }

    /// Whether a checkpoint is wanted so that the export tail begins anew.
    pub(crate) fn tail_is_given_up(&self) -> bool {
        self.tail.is_given_up()
    }

    /// Makes a record. It is applied with [`Log::apply`].
    pub(crate) fn append(&mut self, tree: Tree, at: Timestamp, body: &[u8]) -> RecordId {
        let made = RecordId::new(at, self.head.instance, self.end.id.sequence() + 1);
        // Ids never run backwards, whatever the clock does.
        let id = made.not_before(self.end.id);
        let number = self.end.counts[tree.index()] + 1;
        let (value, hash) = seal(tree, id, number, self.end.hash, body);
        self.end.id = id;
        self.end.hash = hash;
        self.end.counts[tree.index()] = number;
        let key = id.to_key().to_vec();
        if tree == Tree::Checkpoints {
            self.tail.begin();
        }
        self.tail.push(&key, &value);
        self.pending.push(Write { tree, key, value });
        id
    }

    /// Hands the store what was made. After a crash it may be missing, never out of order.
    pub(crate) fn apply(&mut self) -> Result<(), JournalFault> {
        self.check()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.shared.engine().apply(&self.pending) {
            Ok(()) => {}
            Err(EngineFault::Full) => self.make_room()?,
            Err(EngineFault::Failed(why)) => return Err(self.fail(why)),
        }
        self.unflushed.append(&mut self.pending);
        self.publish();
        Ok(())
    }

    /// Puts on disk all that was made.
    pub(crate) fn flush(&mut self) -> Result<(), JournalFault> {
        self.apply()?;
        if self.unflushed.is_empty() {
            return Ok(());
        }
        match self.shared.engine().flush() {
            Ok(()) => {}
            Err(EngineFault::Full) => {
                self.make_room()?;
                self.flush_engine()?;
            }
            Err(EngineFault::Failed(why)) => return Err(self.fail(why)),
        }
        self.tail.write();
        self.head.end = self.end.clone();
        if let Err(fault) = self.file.write(&mut self.head) {
            self.failed = Some(fault.to_string());
            return Err(fault);
        }
        self.unflushed.clear();
        Ok(())
    }

    /// Forgets what was removed up to `anchor`; on disk before anything is removed.
    pub(crate) fn set_anchor(&mut self, anchor: Mark) -> Result<(), JournalFault> {
        self.flush()?;
        self.head.anchor = anchor;
        self.file.write(&mut self.head)?;
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.shared.set_head(Head { end: self.end.clone(), ..self.head.clone() });
    }

    fn check(&self) -> Result<(), JournalFault> {
        let Some(why) = &self.failed else { return Ok(()) };
        Err(JournalFault::Failed { path: self.shared.dir.clone(), why: why.clone() })
    }

    fn fail(&mut self, why: String) -> JournalFault {
        self.failed = Some(why.clone());
        JournalFault::Failed { path: self.shared.dir.clone(), why }
    }

    fn flush_engine(&mut self) -> Result<(), JournalFault> {
        match self.shared.engine().flush() {
            Ok(()) => Ok(()),
            Err(EngineFault::Full) => Err(self.full()),
            Err(EngineFault::Failed(why)) => Err(self.fail(why)),
        }
    }

    /// The disk is full: gives up the reserve, opens the store anew (it refuses everything after
    /// a failed write) and applies again what is not known to be on disk.
    fn make_room(&mut self) -> Result<(), JournalFault> {
        self.reserve.release();
        self.tail.shed();
        self.shared.engine().close();
        let engine = match (self.opener)() {
            Ok(engine) => engine,
            Err(EngineFault::Full) => return Err(self.full()),
            Err(EngineFault::Failed(why)) => return Err(self.fail(why)),
        };
        self.shared.set_engine(Arc::clone(&engine));
        let again = engine.apply(&self.unflushed).and_then(|()| engine.apply(&self.pending));
        match again {
            Ok(()) => Ok(()),
            Err(EngineFault::Full) => Err(self.full()),
            Err(EngineFault::Failed(why)) => Err(self.fail(why)),
        }
    }

    /// Nothing is lost yet: what waits is written once there is room, or the journal gives up.
    fn full(&mut self) -> JournalFault {
        let waiting: usize =
            self.pending.iter().chain(&self.unflushed).map(|write| write.value.len()).sum();
        if waiting > WAITING_BYTES_MAX {
            self.failed = Some(format!("{waiting} bytes waited for room on a full disk"));
        }
        JournalFault::Full { path: self.shared.dir.clone() }
    }
}
