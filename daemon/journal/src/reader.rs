//! Reads a journal: through the running daemon's socket, or from the store where none runs.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use planner::idle::resource::ResourceId;
use planner::idle::usage::{Day, HOUR, HOURS_A_DAY, Signal};
use planner::memory::Memory;
use planner::metric::{MetricKey, Sample};
use planner::plan::{Action, Finding};
use planner::snapshot::Observation;
use planner::{ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::audit::Audit;
use super::dictionary::Dictionary;
use super::engine::{EngineFault, Tree};
use super::fold::{self, CheckpointBody, CycleBody, Fold, Held, PolicyBody};
use super::frame::{Frame, unseal};
use super::head::Head;
use super::log::Shared;
use super::mirror::{Mirror, Reflected, Unfit};
use super::open::{self, EngineKind, Local};
use super::outbox::AlertEntry;
use super::record::{CycleRecord, Intent, Outcome, SampleBatch, StoredPolicy, StoredSample, World};
use super::samples;
use super::socket::Remote;
use super::source::{Source, Walk};
use super::usage::{self, UsageDay};
use super::{CycleId, DIRECTORY, Damage, JournalFault, PolicyDigest, RecordId};

/// A journal to read from.
#[derive(Debug)]
pub struct Reader {
    source: Box<dyn Source>,
}

/// What a walk over the whole journal found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Records walked.
    pub records: u64,
    /// Cycles among them.
    pub cycles: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The first and last moment recorded.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What is damaged; empty for a sound journal.
    pub damage: Vec<Damage>,
}

/// What a cycle saw and decided of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceTurn {
    /// The cycle.
    pub id: CycleId,
    /// When its snapshot was taken.
    pub taken_at: Timestamp,
    /// The policy in force.
    pub policy: PolicyDigest,
    /// What was seen of it; `None` where it was not looked at.
    pub observation: Option<Observation>,
    /// What was to be done, with its place in the plan.
    pub actions: Vec<(usize, Action)>,
    /// Why not more.
    pub findings: Vec<Finding>,
}

/// A record with the state that it left.
type Followed<'a> = (Rc<RefCell<Follow<'a>>>, Frame, Held);

/// One record, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: RecordId,
    /// What it holds.
    pub kind: EntryKind,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// A cycle.
    Cycle(Box<CycleRecord>),
    /// Samples that arrived.
    Samples(Vec<SampleBatch>),
    /// What was about to be done.
    Intent(Intent),
    /// What became of it.
    Outcome(Outcome),
    /// The memory that later records build on, and intents still open.
    Checkpoint {
        /// The memory.
        memory: Box<Memory>,
        /// Intents without a result.
        open: Vec<Intent>,
    },
    /// A policy.
    Policy(PolicyDigest, Box<StoredPolicy>),
    /// A message to somebody, or what became of it.
    Alert(AlertEntry),
    /// What resources did, hour by hour.
    Usage(Vec<UsageDay>),
    /// Something about idle resources; [`super::idle::shown`] reads it.
    Idle(Vec<u8>),
    /// Scorecards, and what people asked for; the crate `shadow` reads it.
    Shadow(Vec<u8>),
    /// What a cycle said of the services it acted on; [`super::stories::brief`] reads it.
    Stories(Vec<u8>),
}

impl EntryKind {
    /// The name of the tree that holds such records.
    pub fn tree(&self) -> &'static str {
        let tree = match self {
            EntryKind::Cycle(_) => Tree::Cycles,
            EntryKind::Samples(_) => Tree::Samples,
            EntryKind::Intent(_) => Tree::Intents,
            EntryKind::Outcome(_) => Tree::Outcomes,
            EntryKind::Checkpoint { .. } => Tree::Checkpoints,
            EntryKind::Policy(..) => Tree::Policies,
            EntryKind::Alert(_) => Tree::Alerts,
            EntryKind::Usage(_) => Tree::Usage,
            EntryKind::Idle(_) => Tree::Idle,
            EntryKind::Shadow(_) => Tree::Shadow,
            EntryKind::Stories(_) => Tree::Stories,
        };
        tree.name()
    }
}

impl Reader {
    /// Reads through the socket where a daemon answers, else opens the store.
    ///
    /// # Errors
    /// [`JournalFault`]: there is none, it is held by a daemon that does not answer, or damaged.
    pub fn open(state_dir: &Path) -> Result<Reader, JournalFault> {
        if let Some(remote) = Remote::connect(state_dir)? {
            return Ok(Reader::over(Box::new(remote)));
        }
        Reader::open_store(state_dir, &EngineKind::Sled)
    }

    pub(crate) fn open_store(
        state_dir: &Path,
        engine: &EngineKind,
    ) -> Result<Reader, JournalFault> {
        let dir = state_dir.join(DIRECTORY);
        let absent = || JournalFault::Absent { path: state_dir.to_path_buf() };
        if !dir.is_dir() {
            return Err(absent());
        }
        let held = open::hold(state_dir)?;
        let head = open::read_head(&dir)?.0.ok_or_else(absent)?;
        let does_not_open = |why: String| JournalFault::DoesNotOpen {
            path: dir.join(open::STORE),
            why,
            hint: "`neap run` moves it aside and rebuilds it where the export tail is whole"
                .to_string(),
        };
        // sled would make a new one.
        if matches!(engine, EngineKind::Sled) && !dir.join(open::STORE).is_dir() {
            return Err(does_not_open("it is missing".to_string()));
        }
        let engine = engine.opener(&dir)().map_err(|fault| match fault {
            EngineFault::Full => JournalFault::Full { path: dir.clone() },
            EngineFault::Failed(why) => does_not_open(why),
        })?;
        let shared = Arc::new(Shared::new(state_dir, engine, head));
        Ok(Reader::over(Box::new(Local { shared, _held: Some(held) })))
    }

    pub(crate) fn over(source: Box<dyn Source>) -> Reader {
        Reader { source }
    }

    /// The world the journal belongs to.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn world(&self) -> Result<World, JournalFault> {
        Ok(self.source.head()?.world)
    }

    /// When the newest record was written; `None` for an empty journal.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn end(&self) -> Result<Option<Timestamp>, JournalFault> {
        let end = self.source.head()?.end;
        Ok((end.id != RecordId::FIRST).then(|| end.id.at()))
    }

    /// The running daemon's status; `None` where none runs.
    ///
    /// # Errors
    /// [`JournalFault`] where the socket gives no sound answer.
    pub fn status(&self) -> Result<Option<Value>, JournalFault> {
        self.source.status()
    }

    /// Cycles recorded in `[range.start, range.end)`, oldest first. Ends after the first error.
    pub fn cycles(
        &self,
        range: Range<Timestamp>,
    ) -> Box<dyn Iterator<Item = Result<CycleRecord, JournalFault>> + '_> {
        let entries = self.walk(&[Tree::Checkpoints, Tree::Cycles], range);
        Box::new(entries.filter_map(|entry| match entry {
            Ok(Entry { kind: EntryKind::Cycle(cycle), .. }) => Some(Ok(*cycle)),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        }))
    }

    /// All records written in `[range.start, range.end)`, oldest first. Ends after the first
    /// error.
    pub fn entries(
        &self,
        range: Range<Timestamp>,
    ) -> Box<dyn Iterator<Item = Result<Entry, JournalFault>> + '_> {
        Box::new(self.walk(&Tree::ALL, range))
    }

    /// Likewise of records that stand for themselves: orders, alerts, policies, idle resources,
    /// scorecards and promotions. What takes following the cycles, or is one sample of many, is left out.
    pub fn plain_entries(
        &self,
        range: Range<Timestamp>,
    ) -> Box<dyn Iterator<Item = Result<Entry, JournalFault>> + '_> {
        const PLAIN: [Tree; 6] =
            [Tree::Intents, Tree::Outcomes, Tree::Policies, Tree::Alerts, Tree::Idle, Tree::Shadow];
        Box::new(self.walk(&PLAIN, range))
    }

    /// One cycle.
    ///
    /// # Errors
    /// [`JournalFault::NoSuch`], or what makes it unreadable.
    pub fn cycle(&self, id: CycleId) -> Result<CycleRecord, JournalFault> {
        self.last_cycle(id.0, |_| true)?
            .filter(|cycle| cycle.id == id)
            .ok_or_else(|| no_such("cycle", &id))
    }

    /// The last cycle recorded at or before `at`.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn cycle_at(&self, at: Timestamp) -> Result<Option<CycleRecord>, JournalFault> {
        self.last_cycle(end_of(at), |_| true)
    }

    /// The last cycle at or before `at` that had this service in its snapshot.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn latest_for(
        &self,
        service: &ServiceName,
        at: Timestamp,
    ) -> Result<Option<CycleRecord>, JournalFault> {
        self.last_cycle(end_of(at), |mirror| mirror.has(service))
    }

    /// What each cycle recorded in `[range.start, range.end)` saw and decided of one service,
    /// oldest first: much faster than whole cycles. Ends after the first error.
    pub fn history(
        &self,
        service: &ServiceName,
        range: Range<Timestamp>,
    ) -> Box<dyn Iterator<Item = Result<ServiceTurn, JournalFault>> + '_> {
        let service = service.clone();
        // Whole cycles are not wanted: the memory before them need not be read.
        Box::new(self.follow(&[Tree::Checkpoints, Tree::Cycles], range, RecordId::LAST).filter_map(
            move |read| match read {
                Ok((follow, frame, Held::Cycle(body))) => {
                    Some(follow.borrow().service_turn(&frame, &body, &service))
                }
                Ok(_) => None,
                Err(fault) => Some(Err(fault)),
            },
        ))
    }

    /// Intents of a cycle, in the order they were written.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be read.
    pub fn intents(&self, cycle: CycleId) -> Result<Vec<Intent>, JournalFault> {
        let mut intents = Vec::new();
        for frame in self.frames(Tree::Intents, cycle.0) {
            let frame = frame?;
            let intent: Intent = self.plain(&frame)?;
            // A cycle's intents are written before the next cycle's.
            if intent.id.cycle > cycle {
                break;
            }
            if intent.id.cycle == cycle {
                intents.push(intent);
            }
        }
        Ok(intents)
    }

    /// Outcomes of a cycle's intents, oldest first, whenever they became known.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be read.
    pub fn outcomes(&self, cycle: CycleId) -> Result<Vec<Outcome>, JournalFault> {
        let mut open: Vec<_> = self.intents(cycle)?.into_iter().map(|intent| intent.id).collect();
        let mut outcomes = Vec::new();
        for frame in self.frames(Tree::Outcomes, cycle.0) {
            if open.is_empty() {
                break;
            }
            let outcome: Outcome = self.plain(&frame?)?;
            if outcome.id.cycle == cycle {
                if outcome.is_final() {
                    open.retain(|id| *id != outcome.id);
                }
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// A policy.
    ///
    /// # Errors
    /// [`JournalFault::NoSuch`], or what makes it unreadable.
    pub fn policy(&self, digest: PolicyDigest) -> Result<StoredPolicy, JournalFault> {
        for frame in self.frames(Tree::Policies, RecordId::FIRST) {
            let frame = frame?;
            let body: PolicyBody =
                fold::decode(&frame.body).map_err(|why| self.damaged(&frame, &why))?;
            if body.digest == digest {
                return stored(&frame, body).map_err(|why| self.damaged(&frame, &why));
            }
        }
        Err(no_such("policy", &digest))
    }

    /// Samples that arrived at or after `from`, in the order they arrived. Ends after the first
    /// error.
    pub fn samples(
        &self,
        from: Timestamp,
    ) -> Box<dyn Iterator<Item = Result<StoredSample, JournalFault>> + '_> {
        let range = from..Timestamp(i64::MAX);
        let entries = self.walk(&[Tree::Checkpoints, Tree::Samples], range);
        Box::new(entries.flat_map(|entry| match entry {
            Ok(Entry { kind: EntryKind::Samples(batches), .. }) => {
                batches.into_iter().flat_map(unbatch).map(Ok).collect()
            }
            Ok(_) => Vec::new(),
            Err(fault) => vec![Err(fault)],
        }))
    }

    /// Shows each sample that arrived at or after `from`, in the order they arrived: its metric,
    /// when it arrived, and itself. Nothing is copied, so months of samples take seconds.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be read.
    pub fn visit_samples(
        &self,
        from: Timestamp,
        mut see: impl FnMut(&MetricKey, Timestamp, Sample),
    ) -> Result<(), JournalFault> {
        let from = RecordId::at_or_after(from);
        let start = self.checkpoint_before(from)?;
        let mut dictionary = Dictionary::default();
        for entry in Walk::new(&*self.source, &[Tree::Checkpoints, Tree::Samples], start) {
            let (tree, (key, value)) = entry.map_err(|(_, fault)| fault)?;
            let bad = |why: &str| damaged(tree, &key, why);
            let frame = unseal(tree, &key, &value).map_err(|why| bad(&why.to_string()))?;
            if tree == Tree::Checkpoints {
                let body = CheckpointBody::of(&frame).map_err(|why| bad(&why))?;
                dictionary = Dictionary::new(body.metrics);
                continue;
            }
            let is_wanted = frame.id >= from;
            samples::visit(&mut dictionary, &frame.body, &mut |_, metric, seen_at, sample| {
                if is_wanted {
                    see(metric, seen_at, sample);
                }
            })
            .ok_or_else(|| bad("it is no list of samples"))?;
        }
        Ok(())
    }

    /// Shows what resources did on days of UTC from `from_day` on, in the order it was recorded: the
    /// resource, the signal, the day and its hours. A day may come in parts; of two that have the
    /// same hour the later one counts, see [`super::lay_over`].
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be read.
    pub fn visit_usage(
        &self,
        from_day: i64,
        see: &mut dyn FnMut(&ResourceId, Signal, i64, &Day),
    ) -> Result<(), JournalFault> {
        // No hour is recorded before it was; a day more, for clocks that go wrong.
        let from = Timestamp(from_day.saturating_sub(1).saturating_mul(HOUR * HOURS_A_DAY as i64));
        let start = self.checkpoint_before(RecordId::at_or_after(from))?;
        usage::walk(&*self.source, start, RecordId::LAST, &mut |_, resource, signal, day, hours| {
            if day >= from_day {
                see(resource, signal, day, hours);
            }
        })
    }

    /// Walks everything and reports all damage.
    ///
    /// # Errors
    /// [`JournalFault`] where the journal cannot be walked at all.
    pub fn verify(&self) -> Result<Report, JournalFault> {
        loop {
            let head = self.source.head()?;
            let report = self.verify_from(&head)?;
            // Where days were removed meanwhile, what is missing is no damage.
            if self.source.head()?.anchor == head.anchor {
                return Ok(report);
            }
        }
    }

    fn verify_from(&self, head: &Head) -> Result<Report, JournalFault> {
        let mut damage = self.source.files()?;
        let mut audit = Audit::new(head.anchor.clone(), head.end.id.sequence());
        let mut first = None;
        for entry in Walk::new(&*self.source, &Tree::ALL, head.anchor.id.successor()) {
            match entry {
                Ok((tree, entry)) => {
                    audit.entry(tree, &entry);
                    first = first.or_else(|| RecordId::from_key(&entry.0));
                }
                Err((tree, fault)) => audit.unreadable(tree, &fault.to_string()),
            }
        }
        audit.finish(&head.end);
        damage.append(&mut audit.damage);
        Ok(Report {
            records: audit.records,
            cycles: audit.cycles,
            bytes: self.source.bytes()?,
            span: first.map(|first| (first.at(), audit.at.id.at())),
            damage,
        })
    }

    pub(super) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// The last cycle at or before `to` that `fits`, looking back stretch by stretch.
    fn last_cycle(
        &self,
        to: RecordId,
        fits: impl Fn(&Mirror) -> bool,
    ) -> Result<Option<CycleRecord>, JournalFault> {
        let trees = [Tree::Checkpoints, Tree::Cycles];
        let mut until = to;
        loop {
            let Some((key, _)) = self.source.last(Tree::Checkpoints, until)? else {
                return Ok(None);
            };
            let Some(start) = RecordId::from_key(&key) else { return Ok(None) };
            let mut found = None;
            let mut follow = Follow::new(&*self.source, &trees, start, RecordId::LAST);
            while let Some((frame, held)) = follow.next_before(until.successor()).transpose()? {
                let is_cycle = matches!(held, Held::Cycle(_));
                if is_cycle && follow.fold.mirror.as_ref().is_some_and(&fits) {
                    found = Some(frame.id);
                }
            }
            if let Some(id) = found {
                let mut follow = Follow::new(&*self.source, &trees, start, id);
                while let Some((frame, held)) = follow.next_before(id.successor()).transpose()? {
                    if let Held::Cycle(body) = held
                        && frame.id == id
                    {
                        return follow.record(&frame, &body).map(Some);
                    }
                }
            }
            let Some(earlier) = start.predecessor() else { return Ok(None) };
            until = earlier;
        }
    }

    fn walk(
        &self,
        trees: &[Tree],
        range: Range<Timestamp>,
    ) -> impl Iterator<Item = Result<Entry, JournalFault>> + '_ {
        let wanted = RecordId::at_or_after(range.start);
        self.follow(trees, range, wanted).map(|read| {
            let (follow, frame, held) = read?;
            follow.borrow_mut().entry(frame, held)
        })
    }

    /// Records of `range`, each with the state that it left.
    fn follow(
        &self,
        trees: &[Tree],
        range: Range<Timestamp>,
        wanted: RecordId,
    ) -> impl Iterator<Item = Result<Followed<'_>, JournalFault>> + '_ {
        let from = RecordId::at_or_after(range.start);
        let to = RecordId::at_or_after(range.end);
        let start = self.checkpoint_before(from);
        let mut follow = start.map(|start| {
            let follow = Follow::new(&*self.source, trees, start, wanted);
            Rc::new(RefCell::new(follow))
        });
        std::iter::from_fn(move || {
            let state = match &mut follow {
                Ok(state) => Rc::clone(state),
                Err(fault) => {
                    let fault = fault.clone();
                    follow = Ok(Rc::new(RefCell::new(Follow::ended(&*self.source))));
                    return Some(Err(fault));
                }
            };
            loop {
                let next = state.borrow_mut().next_before(to)?;
                match next {
                    Ok((frame, held)) if frame.id >= from => {
                        return Some(Ok((state, frame, held)));
                    }
                    Ok(_) => {}
                    Err(fault) => return Some(Err(fault)),
                }
            }
        })
    }

    /// Where to begin reading so that records from `from` on can be understood.
    fn checkpoint_before(&self, from: RecordId) -> Result<RecordId, JournalFault> {
        let last = self.source.last(Tree::Checkpoints, from)?;
        Ok(last.and_then(|(key, _)| RecordId::from_key(&key)).unwrap_or(RecordId::FIRST))
    }

    pub(super) fn frames(
        &self,
        tree: Tree,
        from: RecordId,
    ) -> impl Iterator<Item = Result<Frame, JournalFault>> + '_ {
        Walk::new(&*self.source, &[tree], from).map(move |entry| {
            let (tree, (key, value)) = entry.map_err(|(_, fault)| fault)?;
            unseal(tree, &key, &value).map_err(|why| damaged(tree, &key, &why.to_string()))
        })
    }

    fn plain<T: serde::de::DeserializeOwned>(&self, frame: &Frame) -> Result<T, JournalFault> {
        postcard::from_bytes(&frame.body).map_err(|why| self.damaged(frame, &why.to_string()))
    }

    fn damaged(&self, frame: &Frame, why: &str) -> JournalFault {
        damaged(frame.tree, &frame.id.to_key(), why)
    }
}

/// Reads records in order and keeps the state they build on.
struct Follow<'a> {
    walk: Walk<'a>,
    fold: Fold,
    /// Cycles from here on will be asked for.
    wanted: RecordId,
    /// The memory before the newest cycle, where that is wanted.
    before: Option<Memory>,
    /// The memory after the newest cycle, where that was read back.
    after: Option<Memory>,
    failed: bool,
}

impl<'a> Follow<'a> {
    fn new(
        source: &'a dyn Source,
        trees: &[Tree],
        start: RecordId,
        wanted: RecordId,
    ) -> Follow<'a> {
        Follow {
            walk: Walk::new(source, trees, start),
            fold: Fold::default(),
            wanted,
            before: None,
            after: None,
            failed: false,
        }
    }

    fn ended(source: &'a dyn Source) -> Follow<'a> {
        Follow { failed: true, ..Follow::new(source, &[], RecordId::LAST, RecordId::LAST) }
    }

    /// The next record before `to`; `None` at the end and after an error.
    fn next_before(&mut self, to: RecordId) -> Option<Result<(Frame, Held), JournalFault>> {
        if self.failed {
            return None;
        }
        let result = match self.walk.next()? {
            Ok((tree, (key, value))) => self.step(tree, &key, &value, to).transpose()?,
            Err((_, fault)) => Err(fault),
        };
        self.failed = result.is_err();
        Some(result)
    }

    fn step(
        &mut self,
        tree: Tree,
        key: &[u8],
        value: &[u8],
        to: RecordId,
    ) -> Result<Option<(Frame, Held)>, JournalFault> {
        let frame = unseal(tree, key, value).map_err(|why| damaged(tree, key, &why.to_string()))?;
        if frame.id >= to {
            self.failed = true;
            return Ok(None);
        }
        if tree == Tree::Cycles && frame.id >= self.wanted {
            self.before = match (self.after.take(), &self.fold.mirror) {
                (Some(memory), _) => Some(memory),
                (None, Some(mirror)) => {
                    Some(mirror.memory().map_err(|why| damaged(tree, key, &why.to_string()))?)
                }
                (None, None) => None,
            };
        }
        if tree == Tree::Checkpoints {
            self.after = None;
        }
        let held = self.fold.step(&frame).map_err(|why| damaged(tree, key, &why.to_string()))?;
        Ok(Some((frame, held)))
    }

    fn entry(&mut self, frame: Frame, held: Held) -> Result<Entry, JournalFault> {
        let kind = match held {
            Held::Samples(batches) => EntryKind::Samples(batches),
            Held::Cycle(body) => EntryKind::Cycle(Box::new(self.record(&frame, &body)?)),
            Held::Checkpoint(body) => {
                EntryKind::Checkpoint { memory: Box::new(body.memory), open: body.open }
            }
            Held::Intent(intent) => EntryKind::Intent(intent),
            Held::Outcome(outcome) => EntryKind::Outcome(outcome),
            Held::Policy(body) => {
                let digest = body.digest;
                let policy = stored(&frame, body)
                    .map_err(|why| damaged(frame.tree, &frame.id.to_key(), &why))?;
                EntryKind::Policy(digest, Box::new(policy))
            }
            Held::Alert(entry) => EntryKind::Alert(entry),
            Held::Usage(days) => EntryKind::Usage(days),
            Held::Idle(bytes) => EntryKind::Idle(bytes),
            Held::Shadow(bytes) => EntryKind::Shadow(bytes),
            Held::Stories(bytes) => EntryKind::Stories(bytes),
        };
        Ok(Entry { id: frame.id, kind })
    }

    /// The whole cycle that the fold stands at.
    fn record(&mut self, frame: &Frame, body: &CycleBody) -> Result<CycleRecord, JournalFault> {
        let bad = |why: Unfit| damaged(frame.tree, &frame.id.to_key(), &why.to_string());
        let mirror = self.fold.mirror.as_ref().ok_or_else(|| bad(Unfit::Short))?;
        let Reflected { snapshot, plan, memory } = mirror.reflect().map_err(bad)?;
        self.after = Some(memory.clone());
        Ok(CycleRecord {
            id: CycleId(frame.id),
            policy: body.policy,
            planner_revision: body.planner_revision,
            snapshot,
            plan,
            memory_before: self.before.take().unwrap_or_default(),
            memory_after: memory,
        })
    }

    /// One service's part of the cycle that the fold stands at.
    fn service_turn(
        &self,
        frame: &Frame,
        body: &CycleBody,
        service: &ServiceName,
    ) -> Result<ServiceTurn, JournalFault> {
        let bad = |why: Unfit| damaged(frame.tree, &frame.id.to_key(), &why.to_string());
        let mirror = self.fold.mirror.as_ref().ok_or_else(|| bad(Unfit::Short))?;
        let (observation, actions, findings) = mirror.service(service).map_err(bad)?;
        Ok(ServiceTurn {
            id: CycleId(frame.id),
            taken_at: body.taken_at,
            policy: body.policy,
            observation,
            actions,
            findings,
        })
    }
}

fn stored(frame: &Frame, body: PolicyBody) -> Result<StoredPolicy, String> {
    let policy = fold::policy_of(&body.policy)?;
    Ok(StoredPolicy { policy, source: body.source, recorded_at: frame.id.at() })
}

fn unbatch(batch: SampleBatch) -> impl Iterator<Item = StoredSample> {
    let SampleBatch { metric, seen_at, samples } = batch;
    samples.into_iter().map(move |sample| StoredSample { metric: metric.clone(), seen_at, sample })
}

/// The last id that a record written at `at` can have.
fn end_of(at: Timestamp) -> RecordId {
    RecordId::at_or_after(Timestamp(at.0.saturating_add(1)))
        .predecessor()
        .unwrap_or(RecordId::FIRST)
}

fn no_such(what: &str, id: &impl ToString) -> JournalFault {
    JournalFault::NoSuch { what: what.to_string(), id: id.to_string() }
}

pub(super) fn damaged(tree: Tree, key: &[u8], why: &str) -> JournalFault {
    let id = RecordId::from_key(key).map_or("-".to_string(), |id| id.to_string());
    JournalFault::Damaged {
        path: DIRECTORY.into(),
        damage: vec![Damage { tree: tree.name().to_string(), id, what: why.to_string() }],
    }
}

/// Walks the whole journal in `state_dir` and reports all damage, a store that does not open
/// included: then none of its records can be read, and each tree is named with what it had.
///
/// # Errors
/// [`JournalFault`] where there is no journal, or it cannot be looked at.
pub fn verify(state_dir: &Path) -> Result<Report, JournalFault> {
    match Reader::open(state_dir) {
        Ok(reader) => reader.verify(),
        Err(JournalFault::DoesNotOpen { why, .. }) => unopened(state_dir, &why),
        Err(JournalFault::Damaged { damage, .. }) => Ok(Report { damage, ..Report::default() }),
        Err(fault) => Err(fault),
    }
}

fn unopened(state_dir: &Path, why: &str) -> Result<Report, JournalFault> {
    let dir = state_dir.join(DIRECTORY);
    let (head, mut damage) = open::read_head(&dir)?;
    for tree in Tree::ALL {
        let Some(head) = &head else { break };
        let gone = head.anchor.counts[tree.index()];
        let records = head.end.counts[tree.index()].saturating_sub(gone);
        if records > 0 {
            damage.push(Damage {
                tree: tree.name().to_string(),
                id: format!("up to {}", head.end.id),
                what: format!("none of its {records} records can be read: {why}"),
            });
        }
    }
    let bytes = super::sled_engine::folder_bytes(&dir).unwrap_or(0);
    Ok(Report { bytes, damage, ..Report::default() })
}
