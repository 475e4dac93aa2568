//! What is forecast from an origin: the demand of one step, or the highest of several.

use serde::{Deserialize, Serialize};

use crate::Series;

/// A number to forecast. Calibrating the maximum directly is what makes a window's quantile
/// true: the maximum of the steps' quantiles is not the quantile of the maximum.
///
/// ```
/// use forecaster::Target;
///
/// // How many steps must pass until it is known what came of it.
/// assert_eq!(Target::Step(3).reach(), 3);
/// assert_eq!(Target::Between(5, 9).reach(), 9);
/// // The step after the origin is the first there is.
/// assert_eq!(Target::Step(0).reach(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The demand of the step so many steps after the origin (1 is the next).
    Step(usize),
    /// The highest demand of the steps from 1 up to and including this one.
    MaxUpTo(usize),
    /// The highest demand of the steps from the first number to the second, both included.
    Between(usize, usize),
}

impl Target {
    /// Steps after the origin until the target is known.
    pub fn reach(self) -> usize {
        match self {
            Target::Step(steps) | Target::MaxUpTo(steps) | Target::Between(_, steps) => {
                steps.max(1)
            }
        }
    }

    /// First step that counts.
    pub(crate) fn first(self) -> usize {
        match self {
            Target::Step(steps) => steps.max(1),
            Target::MaxUpTo(_) => 1,
            Target::Between(first, _) => first.max(1),
        }
    }

    /// The truth for an origin at grid point `origin`.
    pub(crate) fn truth(self, series: &Series, origin: usize) -> Truth {
        let (first, last) = (origin + self.first(), origin + self.reach());
        let mut truth = Truth { value: f64::NEG_INFINITY, known: true, lower_bound: false };
        let mut missing = 0;
        for index in first..=last {
            let value = f64::from(series.filled()[index]);
            let marks = series.marks(index);
            missing += usize::from(series.get(index).is_none() || marks.provisional);
            truth.lower_bound |= marks.censored && value >= truth.value;
            truth.value = truth.value.max(value);
        }
        // A maximum with an unseen step in ten is still worth learning from.
        truth.known = missing * 10 <= last + 1 - first;
        truth
    }
}

/// What really happened to a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Truth {
    /// The demand, filled where missing.
    pub(crate) value: f64,
    /// Whether enough of it was seen to score and calibrate on.
    pub(crate) known: bool,
    /// Whether the value is censored: the truth is this or more.
    pub(crate) lower_bound: bool,
}
