//! A clock that was set: what was noted by the old one is made fit for the new one, and it is told.

use std::time::Duration;

use fleet::{ClockJump, Timestamp};
use journal::{Journal, JournalFault};
use shadow::ShadowEntry;

use super::Daemon;
use super::start::warn_of;
use crate::assemble;

/// Old records are removed so often. A clock that is wrong for a moment must remove none that is not
/// old, so it must have been right for as long.
const COMPACTED_EVERY: Duration = Duration::from_secs(86_400);

impl Daemon {
    /// Looks whether the clock was set since the last turn.
    pub(super) fn look_at_clock(&mut self, now: Timestamp) {
        let steady = self.clouds.clock.steady();
        let Some(jump) = self.watch.look(now, steady) else { return };
        tracing::warn!("{jump}");
        self.compacted_at = steady;
        match jump.is_back() {
            true => self.rewind(jump.expected, now),
            false => self.engine.delay(jump.by(), now),
        }
        if let Err(fault) = record(&self.journal, jump) {
            tracing::warn!(%fault, "that the clock was set could not be written to the journal");
        }
    }

    /// Nothing waits for a time that is still to come, and no sample is of one.
    fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        self.engine.rewind(left, now);
        self.engine.forget_samples();
        self.journal.tell_time(now);
        let reader = self.journal.reader();
        if let Err(error) = assemble::restore_samples(&mut self.engine, &reader, now) {
            tracing::warn!(%error, "samples could not be read back and are asked for again");
        }
        self.shadow.rewind(left, now);
        self.idle.rewind(left);
    }

    /// Removes old records once a day.
    pub(super) fn compact(&mut self, now: Timestamp) {
        let steady = self.clouds.clock.steady();
        if steady.saturating_sub(self.compacted_at) < COMPACTED_EVERY {
            return;
        }
        self.compacted_at = steady;
        warn_of(&self.engine.standing.calendars, now);
        if let Err(fault) = self.journal.compact(now) {
            tracing::warn!(%fault, "old records could not be removed");
        }
    }
}

/// Writes down that the clock was set, and tells people. On disk when it returns.
pub(super) fn record(journal: &Journal, jump: ClockJump) -> Result<(), JournalFault> {
    journal.record_shadow(jump.shows, &ShadowEntry::Clock(jump), true)?;
    journal.enqueue(&[report::clock_set(&jump)]).map(|_| ())
}
