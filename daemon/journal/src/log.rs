//! Appends records to the store, flushes them, and keeps the high-water file and the reserve.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fleet::{Seconds, Timestamp};

use super::engine::{Engine, EngineFault, Tree, Write};
use super::eras::Eras;
use super::frame::seal;
use super::head::{Head, HeadFile, Mark};
use super::reserve::Reserve;
use super::tail::Tail;
use super::{JournalFault, NoRoom, RecordId, Trouble};

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
    eras: RwLock<Eras>,
    trouble: RwLock<Option<Trouble>>,
}

impl Shared {
    pub(crate) fn new(state_dir: &Path, engine: Arc<dyn Engine>, head: Head) -> Shared {
        let eras = Eras::of(&*engine, head.end.id.era());
        Shared {
            state_dir: state_dir.to_path_buf(),
            dir: state_dir.join(super::DIRECTORY),
            engine: RwLock::new(engine),
            head: RwLock::new(head),
            eras: RwLock::new(eras),
            trouble: RwLock::new(None),
        }
    }

    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The journal's head, its end at the last record applied.
    pub(crate) fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The eras of its records.
    pub(crate) fn eras(&self) -> Eras {
        self.eras.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for the eras again, up to that of the record `end`.
    fn find_eras(&self, end: RecordId) {
        let found = Eras::of(&*self.engine(), end.era());
        *self.eras.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn begin_era(&self, era: u32, at: Timestamp) {
        self.eras.write().unwrap_or_else(PoisonError::into_inner).begin(era, at);
    }

    fn set_engine(&self, engine: Arc<dyn Engine>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// What is amiss now.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Takes over a store that was made anew.
    pub(crate) fn rebuilt(&self, engine: Arc<dyn Engine>, head: Head) {
        self.set_engine(engine);
        self.find_eras(head.end.id);
        self.set_head(head);
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
    /// The next record begins an era; it bears no earlier time.
    era_from: Option<Timestamp>,
    /// Made and not yet applied.
    pending: Vec<Write>,
    /// Applied and not yet flushed: written again where the store has to be opened anew.
    unflushed: Vec<Write>,
    reserve: Reserve,
    tail: Tail,
    /// The store was closed because the disk took nothing, and is opened again once it does.
    stalled: Option<NoRoom>,
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
        let mut log = Log {
            shared,
            opener,
            head,
            file,
            end,
            era_from: None,
            pending: Vec::new(),
            unflushed: Vec::new(),
            reserve,
            tail,
            stalled: None,
            failed: None,
        };
        // What a crash left behind the head may have begun an era.
        log.shared.find_eras(log.end.id);
        log.publish();
        log.set_aside();
        log
    }

    /// Takes in that the clock shows `now`: where the newest record is more than `ahead` later, it was
    /// set back, and what is written from here on begins an era. Whether it does.
    pub(crate) fn tell_time(&mut self, now: Timestamp, ahead: Seconds) -> bool {
        let newest = self.era_from.unwrap_or(self.end.id.at());
        let is_set_back = self.end.id != RecordId::FIRST && newest.since(now) > ahead;
        if is_set_back {
            self.era_from = Some(now);
            self.shared.begin_era(self.end.id.era() + 1, now);
        }
        is_set_back
    }

    /// The era of the next record.
    pub(crate) fn era(&self) -> u32 {
        self.end.id.era() + u32::from(self.era_from.is_some())
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
        let era = self.era();
        if self.end.id == RecordId::FIRST {
            self.shared.begin_era(era, at);
        }
        // Ids never run backwards, whatever the clock does.
        let at = at.max(self.era_from.take().unwrap_or(self.end.id.at()));
        let id = RecordId::in_era(era, at, self.head.instance, self.end.id.sequence() + 1);
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

    /// Whether records can be written: where the disk took nothing before, it is tried again.
    pub(crate) fn ready(&mut self) -> Result<(), JournalFault> {
        self.check()?;
        if self.stalled.is_some() {
            self.make_room()?;
            self.applied();
        }
        Ok(())
    }

    /// Sets the reserve aside where there is none; whether it is whole.
    pub(crate) fn set_aside(&mut self) -> bool {
        let restored = self.reserve.restore();
        let is_whole = restored.is_ok();
        if self.stalled.is_none() && self.failed.is_none() {
            self.shared.set_trouble(restored.err().map(Trouble::NoReserve));
        }
        is_whole
    }

    /// Hands the store what was made. After a crash it may be missing, never out of order.
    pub(crate) fn apply(&mut self) -> Result<(), JournalFault> {
        self.ready()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.shared.engine().apply(&self.pending) {
            Ok(()) => {}
            Err(EngineFault::Full(why)) => {
                self.stalled = Some(why);
                self.make_room()?;
            }
            Err(fault) => return Err(self.fail(fault.to_string())),
        }
        self.applied();
        Ok(())
    }

    fn applied(&mut self) {
        self.unflushed.append(&mut self.pending);
        self.publish();
    }

    /// Puts on disk all that was made.
    pub(crate) fn flush(&mut self) -> Result<(), JournalFault> {
        self.apply()?;
        if self.unflushed.is_empty() {
            return Ok(());
        }
        match self.shared.engine().flush() {
            Ok(()) => {}
            Err(EngineFault::Full(why)) => {
                self.stalled = Some(why);
                self.make_room()?;
            }
            Err(fault) => return Err(self.fail(fault.to_string())),
        }
        self.tail.write();
        self.head.end = self.end.clone();
        self.write_head()?;
        self.unflushed.clear();
        Ok(())
    }

    /// The store has what the high-water file does not say yet where the disk takes nothing: it is
    /// said with the next flush.
    fn write_head(&mut self) -> Result<(), JournalFault> {
        match self.file.write(&mut self.head) {
            Ok(()) => Ok(()),
            Err(JournalFault::Full { why, .. }) => {
                self.make_way(why);
                self.file.write(&mut self.head).map_err(|_| self.full(why))
            }
            Err(fault) => {
                self.fail(fault.to_string());
                Err(fault)
            }
        }
    }

    /// Forgets what was removed up to `anchor`; on disk before anything is removed.
    pub(crate) fn set_anchor(&mut self, anchor: Mark) -> Result<(), JournalFault> {
        self.flush()?;
        let before = std::mem::replace(&mut self.head.anchor, anchor);
        if let Err(fault) = self.write_head() {
            // What is before it stays, so it is not where the journal begins.
            self.head.anchor = before;
            return Err(fault);
        }
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
        self.shared.set_trouble(Some(Trouble::Failed { why: why.clone() }));
        JournalFault::Failed { path: self.shared.dir.clone(), why }
    }

    /// Gives up what takes room and can be had again.
    fn make_way(&mut self, why: NoRoom) {
        // On a disk that is read-only nothing is gained by it.
        if why != NoRoom::ReadOnly {
            self.reserve.release();
            self.tail.shed();
        }
    }

    /// The disk takes nothing: gives up the reserve, opens the store anew (it refuses everything
    /// after a failed write) and applies again what is not known to be on disk. Where that fails,
    /// too, it is tried again with the next record.
    fn make_room(&mut self) -> Result<(), JournalFault> {
        self.make_way(self.stalled.unwrap_or(NoRoom::Disk));
        self.shared.engine().close();
        let engine = match (self.opener)() {
            Ok(engine) => engine,
            Err(EngineFault::Full(why)) => return Err(self.full(why)),
            // A store that was closed in the middle of a write may take a while to let go.
            Err(fault) => {
                self.shared.set_trouble(self.stalled.map(Trouble::Stalled));
                let why = fault.to_string();
                return Err(JournalFault::Failed { path: self.shared.dir.clone(), why });
            }
        };
        self.shared.set_engine(Arc::clone(&engine));
        // What is taken and cannot be put on disk is no room.
        let again = engine
            .apply(&self.unflushed)
            .and_then(|()| engine.apply(&self.pending))
            .and_then(|()| engine.flush());
        match again {
            Ok(()) => {
                self.stalled = None;
                self.shared.set_trouble(None);
                Ok(())
            }
            Err(EngineFault::Full(why)) => Err(self.full(why)),
            Err(fault) => Err(self.fail(fault.to_string())),
        }
    }

    /// Nothing is lost yet: what waits is written once there is room, or the journal gives up.
    fn full(&mut self, why: NoRoom) -> JournalFault {
        self.stalled = Some(why);
        self.shared.set_trouble(Some(Trouble::Stalled(why)));
        let waiting: usize =
            self.pending.iter().chain(&self.unflushed).map(|write| write.value.len()).sum();
        if waiting > WAITING_BYTES_MAX {
            self.fail(format!("{waiting} bytes waited for room on a full disk"));
        }
        JournalFault::Full { path: self.shared.dir.clone(), why }
    }
}
