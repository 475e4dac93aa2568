//! The journal: what was seen, decided and done, on disk before it matters.
//!
//! One directory, `journal/`, in the state directory:
//!
//! ```text
//! store/         the records, in trees, in sled
//! high-water     how far they go, so that a missing end is seen
//! export-tail    the newest records in a plain file, so that a damaged store can be rebuilt
//! reserve        room for the day the disk is full
//! lock           held by the process that has the store open
//! ```
//!
//! What may be called is in one file: every call takes the same lock and the same few steps.
//!
//! Records are appended and never changed. Each holds the hash of the one before it; a checkpoint
//! a day holds all that later records build on, so that whole days can be removed in front of it.
//!
//! What is assumed of the medium: a flushed write survives; a torn write of the high-water file
//! spoils one of its two places only; what the store has after a crash is a prefix of what was
//! written to it. The last is checked, not trusted.

mod audit;
mod compact;
mod dictionary;
mod engine;
mod eras;
mod fault;
mod fold;
mod forecast;
mod format;
mod frame;
mod head;
pub mod idle;
mod ids;
pub mod ledger;
mod log;
mod memory;
mod mirror;
mod open;
mod options;
mod outbox;
mod pack;
mod reader;
mod record;
pub mod records;
mod reserve;
mod samples;
mod shadow;
mod sled_engine;
pub mod socket;
mod source;
pub mod stories;
mod tail;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::Timestamp;
use planner::memory::Memory;
use planner::policy::Policy;
use planner::snapshot::{Disk, Snapshot};
use tokio::sync::watch;

use engine::Tree;
use fold::{CheckpointBody, CycleBody, Fold, PolicyBody};
use head::HeadFile;
use log::{Log, Parts, Shared};
use mirror::Mirror;
use open::{Held, Local};
use outbox::Outbox;

pub use compact::Compacted;
pub use eras::SET_BACK;
pub use fault::{BadBody, BadPack, Damage, JournalFault, NoReserve, NoRoom, Trouble};
pub use ids::{CycleId, DecisionId, Instance, NotAnId, PolicyDigest, RecordId};
pub use open::Store;
pub use options::{FaultPoints, Options};
pub use outbox::{AlertEntry, Delivery, GIVE_UP_AFTER, OUTBOX_AGE, Pending};
pub use reader::{Entry, EntryKind, Reader, Report, ServiceTurn, verify};
pub use record::{
    CycleRecord, Intent, NewCycle, Outcome, SampleBatch, StoredPolicy, StoredSample, World,
};
pub use stories::{CycleBrief, CycleInBrief};
pub use usage::{UsageDay, lay_over};

/// Reads the body of a record whose content others define, unpacked when the record was.
///
/// # Errors
/// Why it cannot be read.
pub fn decode<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, BadBody> {
    Ok(postcard::from_bytes(body)?)
}

/// The socket's name in the state directory.
pub const SOCKET: &str = "neap.sock";

/// The journal's directory in the state directory.
pub const DIRECTORY: &str = "journal";

/// Samples of one record: a back-fill of months is cut into many.
const SAMPLES_A_RECORD: usize = 50_000;

/// What the last run left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The memory after the last recorded cycle, and that cycle's `taken_at`.
    pub memory: Option<(Memory, Timestamp)>,
    /// The last recorded cycle.
    pub last_cycle: Option<CycleId>,
    /// Its snapshot; `None` where nothing but a checkpoint is left of it.
    pub last_snapshot: Option<Snapshot>,
    /// Intents whose result is not known: look before acting again.
    pub open_intents: Vec<Intent>,
    /// What an operator should know: a torn tail that was never promised, a store rebuilt.
    pub notes: Vec<String>,
}

/// The journal, open for writing. Cheap to clone; its calls block.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    /// Changes when an alert is put into the outbox.
    raised: watch::Sender<()>,
    options: Options,
    _held: Held,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.inner.shared.dir).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What was recorded and not flushed was promised to nobody; it is worth a try.
        let _ = self.writer().log.flush();
        self.shared.engine().close();
    }
}

impl Inner {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state that the next record builds on.
struct Writer {
    log: Log,
    fold: Fold,
    /// The memory that the mirror holds.
    memory: Option<Memory>,
    outcomes_waiting: bool,
    outbox: Outbox,
}

impl Journal {
    /// Opens the journal in `state_dir`, made where there is none, and says what the last run
    /// left behind.
    ///
    /// # Errors
    /// [`JournalFault`]: the directory cannot be written, another process holds the journal, it
    /// belongs to another world, or it is damaged.
    pub fn open(
        state_dir: &Path,
        world: World,
        options: Options,
    ) -> Result<(Journal, Recovered), JournalFault> {
        let opened = Journal::open_once(state_dir, world.clone(), options.clone());
        let dir = state_dir.join(DIRECTORY);
        match opened {
            // The room that was set aside is there for this, too.
            Err(JournalFault::Full { why, .. })
                if why != NoRoom::ReadOnly
                    && reserve::Reserve::new(&dir, options.reserve_bytes).release() =>
            {
                Journal::open_once(state_dir, world, options)
            }
            opened => opened,
        }
    }

    fn open_once(
        state_dir: &Path,
        world: World,
        options: Options,
    ) -> Result<(Journal, Recovered), JournalFault> {
        let dir = open::make_directory(state_dir)?;
        let held = open::hold(state_dir)?;
        let (head, damage) = open::read_head(&dir)?;
        let mut notes: Vec<String> = damage.iter().map(Damage::to_string).collect();
        let mut head = head.unwrap_or_else(|| open::fresh_head(world.clone()));
        if head.world != world {
            let (path, found, expected) = (dir, head.world, world);
            return Err(JournalFault::OtherWorld { path, found, expected });
        }
        let mut file = HeadFile::open(&dir)?;
        let opener = options.store.0.opener(&dir);
        let engine = open::open_store(&dir, &opener, &mut head, &mut file, &mut notes)?;
        open::make_private(&dir);
        let shared = Arc::new(Shared::new(state_dir, engine, head.clone()));
        let local = Local { shared: Arc::clone(&shared), _held: None };
        let audit = open::caught_up(&local, &opener, (&mut head, &mut file), &mut notes)?;
        let torn = open::cut(&*shared.engine(), &audit);
        notes.extend(torn.map_err(|fault| JournalFault::DoesNotOpen {
            path: dir.clone(),
            why: fault.to_string(),
            hint: String::new(),
        })?);
        if head.writes == 0 || head.format != head::FORMAT {
            head.format = head::FORMAT;
            file.write(&mut head)?;
        }
        let (outbox, lost) = Outbox::load(&local, options.alert_window)?;
        let of_lost = |one: &Damage| format!("an alert, or that it was sent, is lost: {one}");
        notes.extend(lost.iter().map(of_lost));
        let reserve = reserve::Reserve::new(&dir, options.reserve_bytes);
        let tail = tail::Tail::open(&dir, audit.at.id);
        let end = audit.at.clone();
        let log =
            Log::new(Parts { shared: Arc::clone(&shared), opener, head, file, end, reserve, tail });
        let (writer, recovered) = recover(log, audit.fold, outbox, notes).map_err(|unfit| {
            let id = audit.at.id.to_string();
            let damage = Damage { tree: "cycles".to_string(), id, what: unfit.to_string() };
            JournalFault::Damaged { path: dir, damage: vec![damage] }
        })?;
        let (writer, raised) = (Mutex::new(writer), watch::Sender::new(()));
        let inner = Inner { shared, writer, raised, options, _held: held };
        Ok((Journal { inner: Arc::new(inner) }, recovered))
    }

    /// Records a policy, whole, once by digest; `source` is the configuration's text without
    /// secrets. Durable with the next cycle.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn record_policy(
        &self,
        policy: &Policy,
        source: &str,
        now: Timestamp,
    ) -> Result<PolicyDigest, JournalFault> {
        let plain = fold::plain_policy(policy);
        let digest = fold::digest_of(&plain);
        let mut writer = self.inner.writer();
        if !writer.fold.policies.contains_key(&digest) {
            let body =
                fold::encode(&PolicyBody { digest, policy: plain, source: source.to_string() });
            writer.log.append(Tree::Policies, now, &body);
            writer.log.apply()?;
            writer.fold.policies.insert(digest, body);
        }
        Ok(digest)
    }

    /// Takes in that the clock shows `now`, as it does at a start and once it was set. Where the newest
    /// record bears a time more than [`SET_BACK`] later, what is written from here on begins an era, and
    /// is found by its own time. Whether it does.
    pub fn tell_time(&self, now: Timestamp) -> bool {
        self.inner.writer().log.tell_time(now, SET_BACK)
    }

    /// Records samples apart from a cycle, for the back-fill at the first start. On disk when it
    /// returns.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be written.
    pub fn record_samples(
        &self,
        now: Timestamp,
        samples: &[SampleBatch],
    ) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        writer.append_samples(now, samples);
        writer.log.flush()
    }

    /// Records a cycle and the samples that arrived for it. On disk when it returns, together
    /// with all outcomes recorded before it.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written: then nothing may be done in any cloud.
    pub fn record_cycle(
        &self,
        cycle: &NewCycle<'_>,
        samples: &[SampleBatch],
    ) -> Result<CycleId, JournalFault> {
        let mut writer = self.inner.writer();
        let id = writer.append_cycle(cycle, samples);
        self.flush_writer(&mut writer)?;
        Ok(id)
    }

    /// Records what is about to be done. On disk when it returns: only then may the calls leave.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written: then nothing may be done in any cloud.
    pub fn record_intents(&self, intents: &[Intent]) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        for intent in intents {
            // A `Vec` takes any length, and an intent holds nothing that postcard refuses.
            let body = postcard::to_stdvec(intent).expect("an intent serializes");
            writer.log.append(Tree::Intents, intent.at, &body);
            writer.fold.open.insert(intent.id, intent.clone());
        }
        writer.log.apply()?;
        self.pass("before-intent-flush");
        self.flush_writer(&mut writer)?;
        self.pass("after-intent-flush");
        Ok(())
    }

    /// Records what became of intents. On disk with the next cycle or [`Journal::flush`].
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn record_outcomes(&self, outcomes: &[Outcome]) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        for outcome in outcomes {
            // A `Vec` takes any length, and an outcome holds nothing that postcard refuses.
            let body = postcard::to_stdvec(outcome).expect("an outcome serializes");
            writer.log.append(Tree::Outcomes, outcome.at, &body);
            if outcome.is_final() {
                writer.fold.open.remove(&outcome.id);
            }
            writer.outcomes_waiting = true;
        }
        writer.log.apply()
    }

    /// Puts on disk all that was recorded.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn flush(&self) -> Result<(), JournalFault> {
        self.flush_writer(&mut self.inner.writer())
    }

    /// Whether there is room for more than the reserve. Tries to restore the reserve where it was
    /// used; call once a cycle, before the snapshot.
    pub fn disk(&self) -> Disk {
        if self.inner.writer().log.set_aside() { Disk::Ample } else { Disk::ReserveOnly }
    }

    /// Whether records can be written: where the disk took nothing before, it is tried again. Call
    /// before what would have to be recorded.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot: then nothing may be done in any cloud.
    pub fn ready(&self) -> Result<(), JournalFault> {
        self.inner.writer().log.ready()
    }

    /// What is amiss with the journal now, as of the last write or the last look at the disk. It
    /// waits for no write that is under way.
    pub fn trouble(&self) -> Option<Trouble> {
        self.inner.shared.trouble()
    }

    /// Bytes that it takes on disk.
    ///
    /// # Errors
    /// [`JournalFault`] where its files cannot be looked at.
    pub fn bytes(&self) -> Result<u64, JournalFault> {
        let local = Local { shared: Arc::clone(&self.inner.shared), _held: None };
        source::Source::bytes(&local)
    }

    /// A reader of this very journal.
    pub fn reader(&self) -> Reader {
        Reader::over(Box::new(Local { shared: Arc::clone(&self.inner.shared), _held: None }))
    }

    /// The number that it drew when it was made.
    pub fn instance(&self) -> Instance {
        self.inner.shared.head().instance
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        &self.inner.shared.state_dir
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.inner.shared)
    }

    fn flush_writer(&self, writer: &mut Writer) -> Result<(), JournalFault> {
        if writer.outcomes_waiting {
            self.pass("before-outcome-flush");
        }
        writer.log.flush()?;
        writer.outcomes_waiting = false;
        Ok(())
    }

    fn pass(&self, point: &str) {
        if let Some(points) = &self.inner.options.fault_points {
            points(point);
        }
    }
}

impl Writer {
    fn append_cycle(&mut self, cycle: &NewCycle<'_>, samples: &[SampleBatch]) -> CycleId {
        let now = cycle.snapshot.taken_at;
        self.log.tell_time(now, eras::UNTOLD);
        if self.needs_checkpoint(cycle) {
            self.append_checkpoint(now, cycle);
        }
        self.append_samples(now, samples);
        let stories = stories::encode(cycle.snapshot.services.len(), cycle.stories);
        self.log.append(Tree::Stories, now, &stories);
        let mirror = self.fold.mirror.get_or_insert_with(Mirror::default);
        let body = CycleBody {
            taken_at: now,
            policy: cycle.policy,
            planner_revision: cycle.planner_revision,
            patch: mirror.advance(cycle.snapshot, cycle.plan, cycle.memory_after),
        };
        // A `Vec` takes any length, and a cycle's body holds nothing that postcard refuses.
        let body = postcard::to_stdvec(&body).expect("a cycle serializes");
        let id = CycleId(self.log.append(Tree::Cycles, now, &body));
        self.fold.last_cycle = Some(id);
        self.fold.last_taken_at = Some(now);
        self.memory = Some(cycle.memory_after.clone());
        id
    }

    /// The first cycle of a day, and whenever the chain of changes does not lead here.
    fn needs_checkpoint(&self, cycle: &NewCycle<'_>) -> bool {
        let Some(checkpoint) = self.fold.checkpoint else { return true };
        self.memory.as_ref() != Some(cycle.memory_before)
            || self.fold.mirror.is_none()
            || checkpoint.era() < self.log.era()
            || compact::day(checkpoint.at()) < compact::day(cycle.snapshot.taken_at)
            || self.log.tail_is_given_up()
    }

    fn append_checkpoint(&mut self, now: Timestamp, cycle: &NewCycle<'_>) {
        let body = CheckpointBody {
            before: self.log.end().clone(),
            memory: cycle.memory_before.clone(),
            metrics: self.fold.dictionary.keys().to_vec(),
            open: self.fold.open.values().cloned().collect(),
            last_cycle: self.fold.last_cycle,
        };
        let id = self.log.append(Tree::Checkpoints, now, &fold::encode(&body));
        self.fold.checkpoint = Some(id);
        self.fold.usage = usage::UsageSoFar::default();
        self.fold.mirror = Some(Mirror::of_memory(cycle.memory_before));
        // The policy in force is told again, so that nothing before the checkpoint is needed.
        let policies = std::mem::take(&mut self.fold.policies);
        if let Some(body) = policies.get(&cycle.policy) {
            self.log.append(Tree::Policies, now, body);
            self.fold.policies = BTreeMap::from([(cycle.policy, body.clone())]);
        }
    }

    fn append_samples(&mut self, now: Timestamp, batches: &[SampleBatch]) {
        let mut record: Vec<SampleBatch> = Vec::new();
        let mut room = SAMPLES_A_RECORD;
        for batch in batches.iter().filter(|batch| !batch.samples.is_empty()) {
            for part in batch.samples.chunks(SAMPLES_A_RECORD) {
                if part.len() > room {
                    self.append_sample_record(now, &record);
                    record.clear();
                    room = SAMPLES_A_RECORD;
                }
                room -= part.len();
                record.push(SampleBatch { samples: part.to_vec(), ..batch.clone() });
            }
        }
        if !record.is_empty() {
            self.append_sample_record(now, &record);
        }
    }

    fn append_sample_record(&mut self, now: Timestamp, record: &[SampleBatch]) {
        let body = samples::encode(&mut self.fold.dictionary, record);
        self.log.append(Tree::Samples, now, &body);
    }
}

fn recover(
    log: Log,
    fold: Fold,
    outbox: Outbox,
    notes: Vec<String>,
) -> Result<(Writer, Recovered), mirror::Unfit> {
    let memory = fold.mirror.as_ref().map(Mirror::memory).transpose()?;
    let mirror = fold.mirror.as_ref().filter(|mirror| mirror.has_cycle());
    let recovered = Recovered {
        memory: memory.clone().zip(fold.last_taken_at),
        last_cycle: fold.last_cycle,
        last_snapshot: mirror.map(Mirror::snapshot).transpose()?,
        open_intents: fold.open.values().cloned().collect(),
        notes,
    };
    Ok((Writer { log, fold, memory, outcomes_waiting: false, outbox }, recovered))
}

/// A file or directory that the system refuses.
fn unusable(path: &Path, error: &std::io::Error) -> JournalFault {
    if let Some(why @ (NoRoom::Disk | NoRoom::Quota)) = NoRoom::of(error) {
        return JournalFault::Full { path: path.to_path_buf(), why };
    }
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "make it writable for the user that neap runs as, or set `state_dir` to a place that is"
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            "`state_dir` must name a directory"
        }
        _ => "",
    };
    JournalFault::Unusable {
        path: path.to_path_buf(),
        why: error.to_string(),
        hint: hint.to_string(),
    }
}
