//! Follows records in order, with the state that each builds on.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use fleet::{ServiceName, Timestamp};
use planner::memory::Memory;

use super::{Entry, EntryKind, Reader, ServiceTurn, damaged, stored};
use crate::engine::Tree;
use crate::fold::{CycleBody, Fold, Held};
use crate::frame::{Frame, unseal};
use crate::mirror::{Reflected, Unfit};
use crate::record::CycleRecord;
use crate::source::{Source, Walk};
use crate::{CycleId, JournalFault, RecordId};

/// A record with the state that it left.
pub(super) type Followed<'a> = (Rc<RefCell<Follow<'a>>>, Frame, Held);

impl Reader {
    /// The ids of what counts as written in `[range.start, range.end)`.
    pub(crate) fn ids(&self, range: Range<Timestamp>) -> Result<Range<RecordId>, JournalFault> {
        let eras = self.source.eras()?;
        Ok(eras.at_or_after(range.start)..eras.at_or_after(range.end))
    }

    /// Records of `range`, each with the state that it left. Cycles from `wanted` on are asked for, or
    /// all of them.
    pub(super) fn follow(
        &self,
        trees: &[Tree],
        range: Result<Range<RecordId>, JournalFault>,
        wanted: Option<RecordId>,
    ) -> impl Iterator<Item = Result<Followed<'_>, JournalFault>> + '_ {
        let (from, to) = match &range {
            Ok(range) => (range.start, range.end),
            Err(_) => (RecordId::LAST, RecordId::LAST),
        };
        let start = range.and_then(|_| self.checkpoint_before(from));
        let mut follow = start.map(|start| {
            let follow = Follow::new(&*self.source, trees, start, wanted.unwrap_or(from));
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
}

/// Reads records in order and keeps the state they build on.
pub(super) struct Follow<'a> {
    walk: Walk<'a>,
    pub(super) fold: Fold,
    /// Cycles from here on will be asked for.
    wanted: RecordId,
    /// The memory before the newest cycle, where that is wanted.
    before: Option<Memory>,
    /// The memory after the newest cycle, where that was read back.
    after: Option<Memory>,
    failed: bool,
}

impl<'a> Follow<'a> {
    pub(super) fn new(
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
    pub(super) fn next_before(
        &mut self,
        to: RecordId,
    ) -> Option<Result<(Frame, Held), JournalFault>> {
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
        let frame = unseal(tree, key, value).map_err(|why| damaged(tree, key, &why))?;
        if frame.id >= to {
            self.failed = true;
            return Ok(None);
        }
        if tree == Tree::Cycles && frame.id >= self.wanted {
            self.before = match (self.after.take(), &self.fold.mirror) {
                (Some(memory), _) => Some(memory),
                (None, Some(mirror)) => {
                    Some(mirror.memory().map_err(|why| damaged(tree, key, &why))?)
                }
                (None, None) => None,
            };
        }
        if tree == Tree::Checkpoints {
            self.after = None;
        }
        let held = self.fold.step(&frame).map_err(|why| damaged(tree, key, &why))?;
        Ok(Some((frame, held)))
    }

    pub(super) fn entry(&mut self, frame: Frame, held: Held) -> Result<Entry, JournalFault> {
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
    pub(super) fn record(
        &mut self,
        frame: &Frame,
        body: &CycleBody,
    ) -> Result<CycleRecord, JournalFault> {
        let bad = |why: Unfit| damaged(frame.tree, &frame.id.to_key(), &why);
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
    pub(super) fn service_turn(
        &self,
        frame: &Frame,
        body: &CycleBody,
        service: &ServiceName,
    ) -> Result<ServiceTurn, JournalFault> {
        let bad = |why: Unfit| damaged(frame.tree, &frame.id.to_key(), &why);
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
