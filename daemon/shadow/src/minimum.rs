//! What the minimum of a group was before neap wrote it: it is the operator's, and is put back.

use fleet::{GroupId, ServiceName, Timestamp, Units};
use journal::{JournalFault, Reader};
use serde::{Deserialize, Serialize};

use super::ShadowEntry;

/// A group whose minimum neap writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMinimum {
    /// The service that sizes it.
    pub service: ServiceName,
    pub group: GroupId,
    /// What its operator wants.
    pub before: Units,
    /// What it showed when neap last wrote it.
    pub from: Units,
    /// What neap last wrote.
    pub ours: Units,
}

impl KeptMinimum {
    /// Whether a minimum that the group shows is neap's: what it wrote, or what was there directly
    /// before, for a reading may lag and an order may fail.
    pub fn is_ours(&self, shown: Units) -> bool {
        shown == self.ours || shown == self.from
    }
}

/// The minimums that were last recorded as kept.
///
/// # Errors
/// Where the journal cannot be read.
pub fn kept_minimums(reader: &Reader) -> Result<Vec<KeptMinimum>, JournalFault> {
    let all = Timestamp(0)..Timestamp(i64::MAX);
    for entry in reader.shadow_newest_first::<ShadowEntry>(all) {
        if let ShadowEntry::Minimums(kept) = entry?.1 {
            return Ok(kept);
        }
    }
    Ok(Vec::new())
}
