//! What decides whether a stopped machine comes back, and who brings it back.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::resource::Fact;

/// What a cloud tells of a machine's way back up.
///
/// It is stored behind a machine's other facts, and only where it is not the default: records from
/// before it was read are read as that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comeback {
    /// Whether the keys of its disks can be used: without them it does not start.
    pub keys: Fact<DiskKeys>,
    /// Why it is down, in the cloud's words, where it went down without being told to.
    pub fell: Option<String>,
    /// When the cloud starts it by itself: RDS stops nothing for longer than seven days.
    pub starts_itself_at: Option<Timestamp>,
    /// Its newest start, by the cloud's own events.
    pub started: Fact<Option<Started>>,
}

impl Default for Comeback {
    fn default() -> Comeback {
        Comeback {
            keys: Fact::Known(DiskKeys::Usable),
            fell: None,
            starts_itself_at: None,
            started: Fact::Known(None),
        }
    }
}

/// Whether the keys that a machine's disks are encrypted with can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskKeys {
    /// All of them, or there are none.
    Usable,
    /// One of them cannot.
    Unusable {
        /// Which one.
        key: String,
        /// What state it is in, by the cloud's name.
        state: String,
    },
}

/// A start, by who is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Started {
    /// The cloud itself, since it had been down for as long as it may be.
    ByCloud {
        /// When that was told.
        at: Timestamp,
    },
    /// Somebody who asked the cloud for it.
    ByOrder { at: Timestamp },
}

impl Started {
    /// When it was told.
    pub fn at(self) -> Timestamp {
        match self {
            Started::ByCloud { at } | Started::ByOrder { at } => at,
        }
    }
}
