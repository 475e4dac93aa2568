//! Records of a while, samples and hours, in the order in which they were written.

use std::error::Error;
use std::ops::Range;

use fleet::Timestamp;
use fleet::metric::{MetricKey, Sample};
use fleet::resource::ResourceId;
use fleet::usage::{Day, HOUR, HOURS_A_DAY, Signal};
use planner::memory::Memory;

use super::{Reader, damaged};
use crate::dictionary::Dictionary;
use crate::engine::Tree;
use crate::fold::CheckpointBody;
use crate::frame::unseal;
use crate::outbox::AlertEntry;
use crate::record::{CycleRecord, Intent, Outcome, SampleBatch, StoredPolicy, StoredSample};
use crate::source::Walk;
use crate::usage::{self, UsageDay};
use crate::{BadBody, JournalFault, PolicyDigest, RecordId, samples};

/// One record, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
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
    /// Something about idle resources; [`crate::idle::read`] reads it.
    Idle(Vec<u8>),
    /// Scorecards, and what people asked for; the crate `shadow` reads it.
    Shadow(Vec<u8>),
    /// What a cycle said of the services it acted on; [`crate::stories::read`] reads it.
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

    /// One record; `None` where there is none of this id.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn entry(&self, id: RecordId) -> Result<Option<Entry>, JournalFault> {
        for tree in Tree::ALL {
            let found = self.source.last(tree, id)?;
            if found.is_none_or(|(key, _)| key.as_slice() != id.to_key()) {
                continue;
            }
            // Its checkpoint says what stands before it, in its own tree alone.
            let trees = [Tree::Checkpoints, tree];
            let trees = if tree == Tree::Checkpoints { &trees[..1] } else { &trees[..] };
            let ids = id..id.successor();
            return self
                .walk_ids(trees, Ok(ids))
                .find(|entry| entry.as_ref().map_or(true, |entry| entry.id == id))
                .transpose();
        }
        Ok(None)
    }

    /// When a record counts as written: what a clock wrote that was ahead, when that was set right.
    ///
    /// # Errors
    /// [`JournalFault`] where the journal cannot be read.
    pub fn written_at(&self, id: RecordId) -> Result<Timestamp, JournalFault> {
        Ok(self.source.eras()?.effective(id))
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
        let from = self.source.eras()?.at_or_after(from);
        let start = self.checkpoint_before(from)?;
        let mut dictionary = Dictionary::default();
        for entry in Walk::new(&*self.source, &[Tree::Checkpoints, Tree::Samples], start) {
            let (tree, (key, value)) = entry.map_err(|(_, fault)| fault)?;
            let bad = |why: &dyn Error| damaged(tree, &key, why);
            let frame = unseal(tree, &key, &value).map_err(|why| bad(&why))?;
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
            .ok_or_else(|| bad(&BadBody::NoSamples))?;
        }
        Ok(())
    }

    /// Shows what resources did on days of UTC from `from_day` on, in the order it was recorded: the
    /// resource, the signal, the day and its hours. A day may come in parts; of two that have the
    /// same hour the later one counts, see [`crate::lay_over`].
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
        let start = self.checkpoint_before(self.source.eras()?.at_or_after(from))?;
        usage::walk(&*self.source, start, RecordId::LAST, &mut |_, resource, signal, day, hours| {
            if day >= from_day {
                see(resource, signal, day, hours);
            }
        })
    }

    pub(super) fn walk(
        &self,
        trees: &[Tree],
        range: Range<Timestamp>,
    ) -> impl Iterator<Item = Result<Entry, JournalFault>> + '_ {
        self.walk_ids(trees, self.ids(range))
    }

    fn walk_ids(
        &self,
        trees: &[Tree],
        range: Result<Range<RecordId>, JournalFault>,
    ) -> impl Iterator<Item = Result<Entry, JournalFault>> + '_ {
        self.follow(trees, range, None).map(|read| {
            let (follow, frame, held) = read?;
            follow.borrow_mut().entry(frame, held)
        })
    }
}

fn unbatch(batch: SampleBatch) -> impl Iterator<Item = StoredSample> {
    let SampleBatch { metric, seen_at, samples } = batch;
    samples.into_iter().map(move |sample| StoredSample { metric: metric.clone(), seen_at, sample })
}
