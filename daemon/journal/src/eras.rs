//! Eras: a clock that is set back begins a new one, so that what is written then is found by its
//! time, whatever a clock that was ahead left behind.
//!
//! Keys rise, and times within an era never run backwards. A record of an earlier era may bear a
//! time that came only after a later era had begun: nobody can have written it then. So it counts as
//! written when the first of the later eras began that is earlier than its own time, its *effective*
//! time. Effective times never fall from record to record over the whole journal, so that a range of
//! time is a range of keys.

use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::engine::{Engine, Tree};
use super::{Instance, RecordId};

/// A clock that was set back by more than this begins an era. What is less is the work of the clock's
/// ordinary adjustment, and of records that are made beside a cycle: they bear the time of the one
/// before.
pub const SET_BACK: Seconds = Seconds(30);

/// A cycle so long before the newest record begins an era though nobody told that the clock was set:
/// no cycle takes as long.
pub(crate) const UNTOLD: Seconds = Seconds::minutes(10);

/// The eras of a journal, each with the time of its first record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Eras {
    /// By number, rising.
    begins: Vec<(u32, Timestamp)>,
}

impl Eras {
    /// Those of a store whose newest record is at most of the era `newest`. Where it cannot be read,
    /// what is wrong with it is told by those who read its records.
    pub(crate) fn of(engine: &dyn Engine, newest: u32) -> Eras {
        let mut eras = Eras::default();
        let mut from = RecordId::FIRST;
        while let Some(first) = first_from(engine, from).filter(|first| first.era() <= newest) {
            eras.begins.push((first.era(), first.at()));
            from = RecordId::in_era(first.era() + 1, Timestamp(0), Instance(0), 0);
        }
        eras
    }

    /// The era of that number begins, or begins earlier than was thought.
    pub(crate) fn begin(&mut self, era: u32, at: Timestamp) {
        match self.begins.last_mut() {
            Some((last, begins)) if *last == era => *begins = at.min(*begins),
            _ => self.begins.push((era, at)),
        }
    }

    /// No record of an era counts as written after this: when the earliest of the later ones began.
    fn end(&self, era: u32) -> Timestamp {
        let later = self.begins.iter().filter(|(number, _)| *number > era);
        later.map(|(_, begins)| *begins).min().unwrap_or(RecordId::LAST.at())
    }

    /// When a record counts as written.
    pub(crate) fn effective(&self, id: RecordId) -> Timestamp {
        id.at().min(self.end(id.era()))
    }

    /// The least id of a record that counts as written at `at` or later.
    pub(crate) fn at_or_after(&self, at: Timestamp) -> RecordId {
        let at = at.min(RecordId::LAST.at());
        let era = self.begins.iter().map(|(era, _)| *era).find(|era| self.end(*era) >= at);
        RecordId::in_era(era.unwrap_or(0), at, Instance(0), 0)
    }

    /// The greatest id that a record can have that counts as written at `at` or earlier.
    pub(crate) fn end_of(&self, at: Timestamp) -> RecordId {
        let after = self.at_or_after(Timestamp(at.0.saturating_add(1)));
        after.predecessor().unwrap_or(RecordId::FIRST)
    }

    /// The ids of records of each era but the newest that a clock wrote that was ahead, up to the time
    /// `at` that it showed; newest era first.
    pub(crate) fn ahead(&self, at: Timestamp) -> impl Iterator<Item = (RecordId, RecordId)> {
        let before = self.begins.len().saturating_sub(1);
        let after = |at: Timestamp| Timestamp(at.0.saturating_add(1));
        self.begins[..before].iter().rev().filter_map(move |(era, _)| {
            let of = |at| RecordId::in_era(*era, after(at), Instance(0), 0);
            Some((of(self.end(*era)), of(at).predecessor()?))
        })
    }
}

/// The first record at or after an id, in whichever tree it is.
fn first_from(engine: &dyn Engine, from: RecordId) -> Option<RecordId> {
    let key = from.to_key();
    let first = |tree: &Tree| {
        let page = engine.scan(*tree, &key, 0).ok()?;
        page.first().and_then(|(key, _)| RecordId::from_key(key))
    };
    Tree::ALL.iter().filter_map(first).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Eras that begin at these times.
    fn eras(begins: &[i64]) -> Eras {
        let mut eras = Eras::default();
        (0..).zip(begins).for_each(|(era, at)| eras.begin(era, Timestamp(*at)));
        eras
    }

    #[test]
    fn what_a_clock_that_was_ahead_wrote_counts_as_written_when_it_was_set_right() {
        let known = eras(&[100, 500]);
        let id = |era, at| RecordId::in_era(era, Timestamp(at), Instance(7), 1);
        assert_eq!(known.effective(id(0, 400)), Timestamp(400));
        assert_eq!(known.effective(id(0, 9_000)), Timestamp(500));
        assert_eq!(known.effective(id(1, 9_000)), Timestamp(9_000));
        assert!(known.at_or_after(Timestamp(500)) <= id(0, 9_000));
        assert!(known.at_or_after(Timestamp(501)) > id(0, 9_000));
        assert_eq!(Eras::default().at_or_after(Timestamp(5)), RecordId::at_or_after(Timestamp(5)));
    }

    proptest! {
        #[test]
        fn effective_times_never_fall_and_a_range_of_time_is_a_range_of_keys(
            begins in proptest::collection::vec(0i64..100, 1..5),
            later in proptest::collection::vec((0u32..5, 0i64..100), 1..40),
            at in -5i64..205,
        ) {
            let known = eras(&begins);
            let count = begins.len() as u32;
            let mut ids: Vec<RecordId> = later
                .iter()
                .map(|(era, more)| {
                    let era = era % count;
                    let at = Timestamp(begins[era as usize] + more);
                    RecordId::in_era(era, at, Instance(7), 1)
                })
                .collect();
            ids.sort_unstable();
            for pair in ids.windows(2) {
                prop_assert!(known.effective(pair[0]) <= known.effective(pair[1]));
            }
            let at = Timestamp(at);
            for id in ids {
                prop_assert_eq!(id >= known.at_or_after(at), known.effective(id) >= at);
                prop_assert_eq!(id <= known.end_of(at), known.effective(id) <= at);
            }
        }
    }
}
