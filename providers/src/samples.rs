//! What a source has of one query, in whole or in part.

use fleet::metric::Sample;
use fleet::{Fault, Timestamp};

/// The samples of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Oldest first, at most one an interval.
    pub all: Vec<Sample>,
    /// Where a part of the source did not answer.
    pub partial: Option<Partial>,
}

/// What is missing of an answer, nobody knows how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Intervals that start from here on are known in part alone, those without a sample too.
    pub since: Timestamp,
    /// Why.
    pub why: Fault,
}

impl From<Vec<Sample>> for Samples {
    fn from(all: Vec<Sample>) -> Samples {
        Samples { all, partial: None }
    }
}

impl Samples {
    /// All of them, for those who have no use for a part.
    pub(crate) fn whole(self) -> Result<Vec<Sample>, Fault> {
        match self.partial {
            Some(partial) => Err(partial.why),
            None => Ok(self.all),
        }
    }

    /// Puts the answer about what comes after behind this one.
    #[cfg(any(feature = "aws", feature = "prometheus"))]
    pub(crate) fn join(&mut self, later: Samples) {
        self.all.extend(later.all);
        self.partial = self.partial.take().or(later.partial);
    }
}
