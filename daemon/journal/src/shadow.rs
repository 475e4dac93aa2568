//! Scorecards of the shadow, and what people asked for of services: records whose content others
//! define.

use std::ops::Range;

use fleet::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::Tree;
use super::idle::IdleEntries;
use super::{Journal, JournalFault, Reader, RecordId};

impl Journal {
    /// Records something in the tree `shadow`. On disk when it returns, with all that was recorded
    /// before, where it is to be `durable`; else with the next cycle or [`Journal::flush`].
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn record_shadow<T: Serialize>(
        &self,
        at: Timestamp,
        entry: &T,
        durable: bool,
    ) -> Result<RecordId, JournalFault> {
        self.tell(Tree::Shadow, at, entry, durable)
    }
}

impl Reader {
    /// Records of the tree `shadow` written in `[range.start, range.end)`, newest first. One that
    /// cannot be read as a `T` is a fault of its own.
    pub fn shadow_newest_first<T: DeserializeOwned>(
        &self,
        range: Range<Timestamp>,
    ) -> IdleEntries<'_, T> {
        self.told_newest_first(Tree::Shadow, range)
    }
}
