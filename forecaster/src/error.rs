//! What makes a series unusable, with the numbers that would have been enough.

use fleet::{Seconds, Step, Timestamp};

/// Values above this are refused: no demand of a service is that large, a unit is wrong.
pub const VALUE_MAX: f64 = 1e15;

/// A sample, or a whole series, that cannot be used.
///
/// ```
/// use fleet::{Step, Timestamp};
/// use forecaster::{Marks, Series};
///
/// let mut series = Series::new(Step::MINUTE);
/// series.put(Timestamp(0), 4.0, Marks::NONE)?;
/// let put = |stamp, value| series.clone().put(Timestamp(stamp), value, Marks::NONE);
/// let refused = |stamp, value| put(stamp, value).expect_err("no sample").to_string();
/// assert_eq!(
///     refused(90, 5.0),
///     "stamp 1970-01-01T00:01:30Z is off the grid of 1m that starts at 1970-01-01T00:00:00Z"
/// );
/// assert_eq!(
///     refused(60, -1.0),
///     "value `-1` at 1970-01-01T00:01:00Z is negative, expected zero or more"
/// );
/// # Ok::<(), forecaster::SeriesFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SeriesFault {
    /// A demand is never below zero.
    #[error("value `{value}` at {stamp} is negative, expected zero or more")]
    Negative {
        /// Start of the sample's interval.
        stamp: Timestamp,
        /// The value found.
        value: f64,
    },
    /// Above [`VALUE_MAX`], infinite or not a number.
    #[error("value `{value}` at {stamp} is no usable demand, expected a number from 0 to 1e15")]
    Absurd {
        /// Start of the sample's interval.
        stamp: Timestamp,
        /// The value found.
        value: f64,
    },
    /// A stamp that is not a whole number of steps after the series' first.
    #[error("stamp {stamp} is off the grid of {step} that starts at {start}")]
    OffGrid {
        /// The stamp found.
        stamp: Timestamp,
        /// First stamp of the series.
        start: Timestamp,
        step: Seconds,
    },
    /// A stamp before the first sample that is kept.
    #[error("stamp {stamp} is before the first sample kept, {start}")]
    BeforeStart {
        /// The stamp found.
        stamp: Timestamp,
        /// First stamp of the series.
        start: Timestamp,
    },
    /// A stamp so late that the gap before it would be longer than [`crate::Series::GAP_MAX`].
    #[error("stamp {stamp} leaves a gap of {gap} after {end}, expected at most {max}")]
    GapTooLong {
        /// The stamp found.
        stamp: Timestamp,
        /// Last stamp of the series.
        end: Timestamp,
        /// The gap that would follow it.
        gap: Seconds,
        /// The longest gap accepted.
        max: Seconds,
    },
    /// Too little history for what was asked.
    #[error("{found} usable samples of {step} are too few, expected at least {needed} ({span})")]
    TooShort {
        /// Usable samples found.
        found: usize,
        /// Samples that would have been enough.
        needed: usize,
        step: Seconds,
        /// The history that would have been enough.
        span: Seconds,
    },
    /// More horizon than a model is made for.
    #[error("a horizon of {found} steps is out of range, expected 1 to {max}")]
    Horizon {
        /// Steps asked for.
        found: usize,
        /// Most steps possible.
        max: usize,
    },
}

impl SeriesFault {
    /// [`SeriesFault::TooShort`] with the span worked out from the step.
    pub(crate) fn too_short(found: usize, needed: usize, step: Step) -> SeriesFault {
        let span = Seconds(step.span().0.saturating_mul(needed as u64));
        SeriesFault::TooShort { found, needed, step: step.span(), span }
    }
}
