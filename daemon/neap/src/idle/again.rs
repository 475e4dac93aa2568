//! Recorded looks computed again.

use std::ops::Range;

use fleet::Timestamp;
use planner::idle::memory::REVISION;

use journal::records::idle::{Folded, IdleEntry, LookRecord};
use journal::{JournalFault, Reader};

/// How looks came out the second time.
#[derive(Debug, Default)]
pub struct Again {
    /// Looks whose plan and memory are the same.
    pub same: u64,
    /// Looks of a later revision of the rules, and looks before the first checkpoint.
    pub not_compared: u64,
    /// What differs, a line a look.
    pub different: Vec<String>,
}

/// Computes every look of a time again, from the checkpoint before it on.
///
/// # Errors
/// Where the journal cannot be read.
pub fn again(reader: &Reader, range: Range<Timestamp>) -> Result<Again, JournalFault> {
    let mut told = Again::default();
    let mut folded: Option<Folded> = None;
    for entry in reader.idle(range) {
        match entry?.1 {
            IdleEntry::Checkpoint(checkpoint) => {
                folded.get_or_insert_default().restart(&checkpoint);
            }
            IdleEntry::Look(look) => match &mut folded {
                Some(folded) if (1..=REVISION).contains(&look.revision) => {
                    match difference(folded, &look) {
                        None => told.same += 1,
                        Some(what) => told.different.push(what),
                    }
                    folded.follow(&look);
                }
                Some(folded) => {
                    told.not_compared += 1;
                    folded.follow(&look);
                }
                None => told.not_compared += 1,
            },
            IdleEntry::Verdicts(_) | IdleEntry::Intents(_) | IdleEntry::Outcomes(_) => {}
        }
    }
    Ok(told)
}

fn difference(folded: &Folded, look: &LookRecord) -> Option<String> {
    let snapshot = folded.snapshot(look);
    let (policy, memory) = (&folded.policy, &folded.memory);
    let (plan, memory) = planner::idle::plan_of(look.revision, policy, &snapshot, memory);
    let head = format!("look at {}", look.snapshot.taken_at);
    if plan.actions != look.plan.actions {
        let orders = |actions: &[planner::idle::plan::PowerAction]| {
            let words = actions.iter().map(|action| format!("{} {}", action.verb, action.resource));
            words.collect::<Vec<_>>().join(", ")
        };
        let (recorded, now) = (orders(&look.plan.actions), orders(&plan.actions));
        return Some(format!("{head}: recorded [{recorded}], now [{now}]"));
    }
    let record = folded.clone().record(&snapshot, &plan, memory);
    if record.plan != look.plan || record.findings_gone != look.findings_gone {
        return Some(format!("{head}: the same orders for other reasons"));
    }
    (record.delta != look.delta).then(|| format!("{head}: the same plan, another memory"))
}
