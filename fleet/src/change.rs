//! A change of a group: what a cloud is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Units;

/// A number of the group and its new value.
///
/// ```
/// use fleet::{Change, Units};
///
/// let change = Change::Desired { from: Units(4), to: Units(6) };
/// assert!(change.is_increase());
/// assert_eq!(change.to_string(), "desired 4 -> 6");
/// // To the same value is no increase.
/// assert!(!Change::Minimum { from: Units(4), to: Units(4) }.is_increase());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The desired capacity.
    Desired {
        /// The value the plan saw.
        from: Units,
        /// The value it is to have.
        to: Units,
    },
    /// The minimum size.
    Minimum {
        /// The value the plan saw.
        from: Units,
        /// The value it is to have.
        to: Units,
    },
}

impl Change {
    /// The value the plan saw.
    pub fn from(self) -> Units {
        match self {
            Change::Desired { from, .. } | Change::Minimum { from, .. } => from,
        }
    }

    /// The value it is to have.
    pub fn to(self) -> Units {
        match self {
            Change::Desired { to, .. } | Change::Minimum { to, .. } => to,
        }
    }

    /// Whether it adds capacity.
    pub fn is_increase(self) -> bool {
        self.to() > self.from()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Desired { from, to } => write!(f, "desired {} -> {}", from.0, to.0),
            Change::Minimum { from, to } => write!(f, "minimum {} -> {}", from.0, to.0),
        }
    }
}
