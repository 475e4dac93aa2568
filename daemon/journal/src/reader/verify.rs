//! Walks a whole journal and reports all damage.

use std::path::Path;

use fleet::Timestamp;
use serde::{Deserialize, Serialize};

use super::Reader;
use crate::audit::Audit;
use crate::engine::Tree;
use crate::fold::CheckpointBody;
use crate::frame::unseal;
use crate::head::{Head, Mark};
use crate::source::Walk;
use crate::{DIRECTORY, Damage, JournalFault, RecordId, open, sled_engine};

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

impl Reader {
    /// Walks everything and reports all damage.
    ///
    /// # Errors
    /// [`JournalFault`] where the journal cannot be walked at all.
    pub fn verify(&self) -> Result<Report, JournalFault> {
        self.verify_since(Timestamp(0))
    }

    /// Walks what records from `since` on build on, and all that follows.
    ///
    /// # Errors
    /// [`JournalFault`] where the journal cannot be walked at all.
    pub fn verify_since(&self, since: Timestamp) -> Result<Report, JournalFault> {
        loop {
            let head = self.source.head()?;
            let report = self.verify_from(&head, self.mark_before(since, &head)?)?;
            // Where days were removed meanwhile, what is missing is no damage.
            if self.source.head()?.anchor == head.anchor {
                return Ok(report);
            }
        }
    }

    /// Where the last sound checkpoint before `since` stands, else where the journal begins.
    fn mark_before(&self, since: Timestamp, head: &Head) -> Result<Mark, JournalFault> {
        let id = self.source.eras()?.at_or_after(since);
        let last = self.source.last(Tree::Checkpoints, id)?;
        let body = last.and_then(|(key, value)| {
            CheckpointBody::of(&unseal(Tree::Checkpoints, &key, &value).ok()?).ok()
        });
        let marks = body.map(|body| body.before);
        Ok(marks.filter(|mark| mark.id > head.anchor.id).unwrap_or_else(|| head.anchor.clone()))
    }

    fn verify_from(&self, head: &Head, from: Mark) -> Result<Report, JournalFault> {
        let mut damage = self.source.files()?;
        let begins = from.id.successor();
        let mut audit = Audit::new(from, head.end.id.sequence());
        let mut first = None;
        for entry in Walk::new(&*self.source, &Tree::ALL, begins) {
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
        let eras = self.source.eras()?;
        Ok(Report {
            records: audit.records,
            cycles: audit.cycles,
            bytes: self.source.bytes()?,
            span: first.map(|first| (eras.effective(first), audit.at.id.at())),
            damage,
        })
    }
}

/// Walks the whole journal in `state_dir` and reports all damage, a store that does not open
/// included: then none of its records can be read, and each tree is named with what it had.
///
/// # Errors
/// [`JournalFault`] where there is no journal, or it cannot be looked at.
pub fn verify(state_dir: &Path) -> Result<Report, JournalFault> {
    match Reader::open_any(state_dir) {
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
    let bytes = sled_engine::folder_bytes(&dir).unwrap_or(0);
    Ok(Report { bytes, damage, ..Report::default() })
}
