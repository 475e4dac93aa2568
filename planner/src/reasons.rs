//! What a hold of capacity found, where that takes more than a number.

use std::fmt;

use fleet::Timestamp;
use serde::{Deserialize, Serialize};

/// Why the kill switch counts as thrown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchThrown {
    /// Its file is there.
    Exists { path: String },
    /// Nobody can tell whether its file is there.
    Unchecked {
        path: String,
        /// What the system said.
        error: String,
    },
}

impl fmt::Display for SwitchThrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchThrown::Exists { path } => write!(f, "`{path}` exists"),
            SwitchThrown::Unchecked { path, error } => {
                write!(f, "`{path}` cannot be checked: {error}")
            }
        }
    }
}

/// A change of a group that was not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignChange {
    /// Its size, between our look and our call.
    Raced,
    /// Its desired capacity.
    Desired {
        /// By whom.
        by: Author,
    },
    /// Its minimum.
    Minimum {
        /// By whom.
        by: Author,
    },
    /// Its maximum.
    Maximum {
        /// By whom.
        by: Author,
    },
}

impl fmt::Display for ForeignChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForeignChange::Raced => f.write_str("its size between our look and our call"),
            ForeignChange::Desired { by } => write!(f, "its desired capacity, by {by}"),
            ForeignChange::Minimum { by } => write!(f, "its minimum, by {by}"),
            ForeignChange::Maximum { by } => write!(f, "its maximum, by {by}"),
        }
    }
}

/// Who changed a group, as far as the cloud tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Author {
    /// A scheduled action of the cloud's own.
    Schedule,
    /// A user or program.
    User,
    /// The cloud does not say.
    Unnamed,
    /// In the cloud's words, shortened.
    Described(String),
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Author::Schedule => "a scheduled action",
            Author::User => "a user's request",
            Author::Unnamed => "somebody the cloud does not name",
            Author::Described(text) => text,
        })
    }
}

/// A number that cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbsurdNumber {
    /// Of demand.
    Demand {
        /// The number, as it prints: it may be none.
        value: String,
        /// The start of its interval.
        at: Timestamp,
    },
}

impl fmt::Display for AbsurdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbsurdNumber::Demand { value, at } => write!(f, "demand of {value} at {at}"),
        }
    }
}

/// Why a forecast cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnusableForecast {
    /// Its values are not numbers from nothing to what demand can be.
    Values,
    /// It has more levels than values, or fewer.
    Levels,
}

impl fmt::Display for UnusableForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnusableForecast::Values => "its values cannot be demand",
            UnusableForecast::Levels => "its levels and values do not match",
        })
    }
}
