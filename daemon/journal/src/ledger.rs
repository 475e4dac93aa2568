//! Reads looks back: the state after the last one, orders without an end, the story of a resource.

use std::collections::BTreeMap;

use fleet::resource::ResourceId;
use fleet::{Seconds, Timestamp};
use planner::idle::memory::IdleMemory;
use planner::idle::rule::IdlePolicy;
use planner::idle::snapshot::IdleSnapshot;
use planner::idle::snapshot::{PowerOutcome, PowerResult};
use planner::idle::{StartedAgain, started_again};

use crate::records::idle::{Folded, IdleEntry, Judged, PowerIntent};
use crate::{JournalFault, Reader};

/// A look as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct LookSeen<'a> {
    /// The policy in force, with the modes that rules had by their stage.
    pub policy: &'a IdlePolicy,
    pub snapshot: &'a IdleSnapshot,
    /// Stops that somebody took back, as far as the look shows.
    pub started: &'a [StartedAgain],
    /// The memory it left.
    pub memory: &'a IdleMemory,
}

/// How far back the newest checkpoint is looked for, and the newest verdict of a resource.
const CHECKPOINT_WITHIN: Seconds = Seconds::days(400);
const VERDICTS_WITHIN: Seconds = Seconds::days(8);

/// What a journal knows after its last look.
#[derive(Debug, Default)]
pub struct Recalled {
    /// Memory, resources and findings.
    pub folded: Folded,
    /// Orders whose end is not known.
    pub open: Vec<PowerIntent>,
    /// Ends of orders that no look has taken in.
    pub unseen: Vec<PowerOutcome>,
    /// When the last look was.
    pub looked_at: Option<Timestamp>,
}

/// Everything from the newest checkpoint on.
///
/// # Errors
/// Where the journal cannot be read.
pub fn recall(reader: &Reader, now: Timestamp) -> Result<Recalled, JournalFault> {
    let mut newer = Vec::new();
    for entry in reader.idle_newest_first(now - CHECKPOINT_WITHIN..now + Seconds::days(366)) {
        let (_, entry): (_, IdleEntry) = entry?;
        let is_checkpoint = matches!(entry, IdleEntry::Checkpoint(_));
        newer.push(entry);
        if is_checkpoint {
            break;
        }
    }
    let mut recalled = Recalled::default();
    for entry in newer.into_iter().rev() {
        recalled.follow(entry);
    }
    Ok(recalled)
}

impl Recalled {
    /// Takes in the next record.
    pub fn follow(&mut self, entry: IdleEntry) {
        match entry {
            IdleEntry::Checkpoint(checkpoint) => {
                self.folded.restart(&checkpoint);
                (self.open, self.unseen) = (checkpoint.open, checkpoint.unseen);
            }
            IdleEntry::Look(look) => {
                self.looked_at = Some(look.snapshot.taken_at);
                // What a look has taken in is behind us.
                let told = &look.snapshot.outcomes;
                self.unseen.retain(|o| !told.iter().any(|seen| seen.decision == o.decision));
                self.folded.follow(&look);
            }
            IdleEntry::Verdicts(_) => {}
            IdleEntry::Intents(intents) => self.open.extend(intents),
            IdleEntry::Outcomes(outcomes) => {
                for outcome in outcomes {
                    if outcome.result == (PowerResult::Unconfirmed { effect_seen: None }) {
                        continue;
                    }
                    self.open.retain(|intent| intent.decision != outcome.decision);
                    self.unseen.push(outcome);
                }
            }
        }
    }
}

/// Shows every look after a moment as it was recorded.
///
/// # Errors
/// Where the journal cannot be read.
pub fn looks_after(
    reader: &Reader,
    after: Timestamp,
    show: &mut dyn FnMut(LookSeen<'_>),
) -> Result<(), JournalFault> {
    let until = after + Seconds(1);
    let mut checkpoint = None;
    for entry in reader.idle_newest_first::<IdleEntry>(after - CHECKPOINT_WITHIN..until) {
        if let (id, IdleEntry::Checkpoint(_)) = entry? {
            checkpoint = Some(id);
            break;
        }
    }
    let mut folded = Folded::default();
    let entries = match checkpoint {
        Some(checkpoint) => reader.idle_from(checkpoint),
        None => reader.idle(until..Timestamp(i64::MAX)),
    };
    for entry in entries {
        match entry?.1 {
            IdleEntry::Checkpoint(checkpoint) => folded.restart(&checkpoint),
            IdleEntry::Look(look) if look.snapshot.taken_at > after => {
                let snapshot = folded.snapshot(&look);
                let before = folded.memory.clone();
                folded.follow(&look);
                let (policy, memory) = (&folded.policy, &folded.memory);
                let started = &started_again(&before, &snapshot.outcomes, memory);
                show(LookSeen { policy, snapshot: &snapshot, started, memory });
            }
            IdleEntry::Look(look) => folded.follow(&look),
            IdleEntry::Verdicts(_) | IdleEntry::Intents(_) | IdleEntry::Outcomes(_) => {}
        }
    }
    Ok(())
}

/// The newest verdict of every resource.
///
/// # Errors
/// Where the journal cannot be read.
pub fn verdicts(
    reader: &Reader,
    now: Timestamp,
) -> Result<BTreeMap<ResourceId, Judged>, JournalFault> {
    let mut newest = BTreeMap::new();
    for entry in reader.idle(now - VERDICTS_WITHIN..now + Seconds::days(366)) {
        if let (_, IdleEntry::Verdicts(verdicts)) = entry? {
            newest.extend(verdicts.into_iter().map(|judged| (judged.resource.clone(), judged)));
        }
    }
    Ok(newest)
}
