//! Until when an answer is of use.

#[cfg(any(feature = "alibaba", feature = "aws"))]
use std::time::Duration;

/// Details may not cost the whole its answer: they get this share of the time left, in percent.
#[cfg(any(feature = "alibaba", feature = "aws"))]
const DETAILS_SHARE: u32 = 80;
/// What is left for putting answers together after the last call was given up.
#[cfg(any(feature = "alibaba", feature = "aws"))]
const CUT_OFF_SPARE: Duration = Duration::from_millis(50);

/// When an answer is no longer of use, on the process's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub tokio::time::Instant);

impl Deadline {
    /// A deadline so far from now.
    pub fn within(span: std::time::Duration) -> Deadline {
        Deadline(tokio::time::Instant::now() + span)
    }

    /// What is left of it.
    pub fn left(self) -> std::time::Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now())
    }
}

#[cfg(any(feature = "alibaba", feature = "aws"))]
impl Deadline {
    /// The deadline of details, without which the whole is an answer, too.
    pub(crate) fn of_details(self) -> Deadline {
        Deadline::within(self.left() * DETAILS_SHARE / 100)
    }

    /// A moment later: every call inside ends at the deadline, and then the answers are put
    /// together.
    pub(crate) fn and_a_moment(self) -> Deadline {
        Deadline(self.0 + CUT_OFF_SPARE)
    }
}
