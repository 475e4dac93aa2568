//! What each cycle said of the services it acted on, written down as it was said: a story is at hand
//! at once however long ago it was, while the cycle itself is followed from its day's checkpoint.
//!
//! A cycle's stories stand right before it, so that no crash leaves a cycle without them. Those of
//! services that only the shadow would have acted on come after it, and may be missing.

use std::fmt;
use std::ops::Range;

use fleet::{Change, ServiceName, Timestamp};
use planner::plan::Action;
use serde::{Deserialize, Serialize};

use super::engine::Tree;
use super::fold;
use super::idle::entry;
use super::{BadBody, CycleId, Journal, JournalFault, Reader, RecordId};
use crate::records::Explanation;

/// One record of the tree `stories`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stories {
    /// Of the cycle that stands right behind.
    Cycle {
        /// Services that it saw.
        services: u32,
        /// Of those it acted on, in the order of its plan.
        told: Vec<Explanation>,
    },
    /// Of services that the shadow would have acted on, and the cycle did not.
    Shadow {
        cycle: CycleId,
        /// What it said of them.
        told: Vec<Explanation>,
    },
}

impl Stories {
    /// The cycle that they are of; `id` is their record's.
    fn cycle(&self, id: RecordId) -> CycleId {
        match self {
            Stories::Cycle { .. } => CycleId(id.successor()),
            Stories::Shadow { cycle, .. } => *cycle,
        }
    }

    /// What was said.
    pub fn told(self) -> Vec<Explanation> {
        match self {
            Stories::Cycle { told, .. } | Stories::Shadow { told, .. } => told,
        }
    }

    /// Of how many services it was said.
    pub fn count(&self) -> usize {
        match self {
            Stories::Cycle { told, .. } | Stories::Shadow { told, .. } => told.len(),
        }
    }
}

impl fmt::Display for Stories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stories of {} services", self.count())
    }
}

/// A cycle in brief.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleInBrief {
    pub id: CycleId,
    /// Services that it saw.
    pub services: u32,
    /// Of those it acted on, in the order of its plan.
    pub told: Vec<Explanation>,
}

impl CycleInBrief {
    /// What was done.
    pub fn brief(&self) -> CycleBrief {
        let actions = self.told.iter().filter_map(|told| told.action.as_ref());
        CycleBrief::of(self.services as usize, actions)
    }

    fn of((id, stories): (RecordId, Stories)) -> Option<CycleInBrief> {
        let id = stories.cycle(id);
        match stories {
            Stories::Cycle { services, told } => Some(CycleInBrief { id, services, told }),
            Stories::Shadow { .. } => None,
        }
    }
}

/// A cycle in brief: what was done, and nothing of why.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleBrief {
    /// How many services were looked at.
    pub services: usize,
    /// What was decided: for which service, what, and whether it is only shown.
    pub actions: Vec<(ServiceName, Change, bool)>,
}

impl CycleBrief {
    /// Of so many services and these actions.
    pub fn of<'a>(services: usize, actions: impl IntoIterator<Item = &'a Action>) -> CycleBrief {
        let brief = |a: &Action| (a.service.clone(), a.change, a.dry_run);
        CycleBrief { services, actions: actions.into_iter().map(brief).collect() }
    }
}

impl fmt::Display for CycleBrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cycle: {} services", self.services)?;
        for (service, change, dry_run) in &self.actions {
            let dry = if *dry_run { " (dry run)" } else { "" };
            write!(f, "; {service} {change}{dry}")?;
        }
        Ok(())
    }
}

/// Reads a body that was unpacked when its record was.
///
/// # Errors
/// Why it cannot be read.
pub fn read(body: &[u8]) -> Result<Stories, BadBody> {
    crate::decode(body)
}

/// The body of the record that a cycle stands behind.
pub(super) fn encode(services: usize, told: &[Explanation]) -> Vec<u8> {
    let services = u32::try_from(services).unwrap_or(u32::MAX);
    fold::encode(&Stories::Cycle { services, told: told.to_vec() })
}

impl Journal {
    /// Records what a cycle said of services that the shadow would have acted on. On disk with the
    /// next cycle or [`Journal::flush`].
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn record_shadow_stories(
        &self,
        cycle: CycleId,
        told: Vec<Explanation>,
    ) -> Result<RecordId, JournalFault> {
        self.tell(Tree::Stories, cycle.at(), &Stories::Shadow { cycle, told }, false)
    }
}

impl Reader {
    /// What a cycle said of a service, where that was written down.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn story(
        &self,
        cycle: CycleId,
        service: &ServiceName,
    ) -> Result<Option<Explanation>, JournalFault> {
        let before = cycle.0.predecessor().unwrap_or(RecordId::FIRST);
        // The cycle's own, and after them those of the shadow.
        for frame in self.frames(Tree::Stories, before).take(2) {
            let (id, stories) = entry::<Stories>(&frame?)?;
            if stories.cycle(id) != cycle {
                break;
            }
            let told = stories.told().into_iter().find(|told| &told.service == service);
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(None)
    }

    /// A cycle in brief, where its stories were written down.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be read.
    pub fn cycle_in_brief(&self, cycle: CycleId) -> Result<Option<CycleInBrief>, JournalFault> {
        let before = cycle.0.predecessor().unwrap_or(RecordId::FIRST);
        let found = self.frames(Tree::Stories, before).next().transpose()?;
        let found = found.filter(|frame| frame.id == before);
        Ok(found.map(|frame| entry(&frame)).transpose()?.and_then(CycleInBrief::of))
    }

    /// Cycles recorded in `[range.start, range.end)` in brief, newest first; `None` where there may
    /// be some whose stories were not written down, as in journals of earlier versions.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn cycles_in_brief(
        &self,
        range: Range<Timestamp>,
    ) -> Result<Option<impl Iterator<Item = Result<CycleInBrief, JournalFault>> + '_>, JournalFault>
    {
        let first = self.frames(Tree::Stories, RecordId::FIRST).next().transpose()?;
        let eras = self.source().eras()?;
        if first.is_none_or(|first| eras.effective(first.id) > range.start) {
            return Ok(None);
        }
        let stories = self.told_newest_first::<Stories>(Tree::Stories, range);
        Ok(Some(stories.filter_map(|stories| stories.map(CycleInBrief::of).transpose())))
    }
}
