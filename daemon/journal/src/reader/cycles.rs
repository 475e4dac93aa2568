//! Cycles: one, the last, all of a while, one service's history, and what became of their orders.

use std::ops::Range;

use fleet::{ServiceName, Timestamp};
use planner::plan::{Action, Finding};
use planner::snapshot::Observation;

use super::follow::Follow;
use super::{Entry, EntryKind, Reader, no_such};
use crate::engine::Tree;
use crate::fold::Held;
use crate::mirror::Mirror;
use crate::record::{CycleRecord, Intent, Outcome};
use crate::{CycleId, Instance, JournalFault, PolicyDigest, RecordId};

/// What a cycle saw and decided of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceTurn {
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

impl Reader {
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

    /// One cycle.
    ///
    /// # Errors
    /// [`JournalFault::NoSuch`], or what makes it unreadable.
    pub fn cycle(&self, id: CycleId) -> Result<CycleRecord, JournalFault> {
        self.last_cycle(id.0, |_| true)?
            .filter(|cycle| cycle.id == id)
            .ok_or_else(|| no_such("cycle", &id))
    }

    /// The last cycle recorded at or before `at`. A time that is still to come may be one that a clock
    /// bore that was ahead: then it is the last of these.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn cycle_at(&self, at: Timestamp) -> Result<Option<CycleRecord>, JournalFault> {
        self.last_cycle(self.borne(at)?, |_| true)
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
        self.last_cycle(self.borne(at)?, |mirror| mirror.has(service))
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
        let trees = [Tree::Checkpoints, Tree::Cycles];
        let read = self.follow(&trees, self.ids(range), Some(RecordId::LAST));
        Box::new(read.filter_map(move |read| match read {
            Ok((follow, frame, Held::Cycle(body))) => {
                Some(follow.borrow().service_turn(&frame, &body, &service))
            }
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        }))
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

    /// The last id that a record of the time `at` can have.
    fn borne(&self, at: Timestamp) -> Result<RecordId, JournalFault> {
        let eras = self.source.eras()?;
        if at > self.source.head()?.end.id.at() {
            for (from, to) in eras.ahead(at) {
                let end =
                    RecordId::in_era(to.era(), RecordId::LAST.at(), Instance(u32::MAX), u64::MAX);
                let last = |to| -> Result<Option<RecordId>, JournalFault> {
                    let last = self.source.last(Tree::Cycles, to)?;
                    let id = last.and_then(|(key, _)| RecordId::from_key(&key));
                    Ok(id.filter(|id| *id >= from))
                };
                // It showed this time, or times on both sides of it.
                if last(to)?.is_some() && last(end)?.is_some_and(|newest| newest.at() >= at) {
                    return Ok(to);
                }
            }
        }
        Ok(eras.end_of(at))
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
}
