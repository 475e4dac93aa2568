//! The next times that a schedule switches, for people.

use std::fmt;

use fleet::Timestamp;
use planner::idle::schedule::Switch;
use serde::{Serialize, Serializer};

use crate::Zone;

/// A switch with the local time it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSwitch {
    pub switch: Switch,
    /// What clocks show then, with their offset: `Mon 2026-09-28 08:30 +08:00`.
    pub local: String,
}

impl LocalSwitch {
    pub(super) fn of(switch: Switch, zone: &Zone) -> LocalSwitch {
        LocalSwitch { local: zone.shown(switch.at), switch }
    }

    fn word(&self) -> &'static str {
        if self.switch.up { "up" } else { "down" }
    }
}

/// As in `up   2026-09-28T00:30:00Z, Mon 2026-09-28 08:30 +08:00`.
impl fmt::Display for LocalSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:4} {}, {}", self.word(), self.switch.at, self.local)
    }
}

impl Serialize for LocalSwitch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A switch as JSON has it.
        #[derive(Serialize)]
        struct Shown<'a> {
            at: String,
            local: &'a str,
            to: &'a str,
        }
        let at = self.switch.at.to_string();
        Shown { at, local: &self.local, to: self.word() }.serialize(serializer)
    }
}

/// The spans' switches within what they cover, after `now`.
pub(super) fn after(
    up: &[planner::idle::schedule::Span],
    covers: planner::idle::schedule::Span,
    now: Timestamp,
) -> Vec<Switch> {
    let ends = up.iter().flat_map(|span| {
        [Switch { at: span.from, up: true }, Switch { at: span.until, up: false }]
    });
    ends.filter(|switch| switch.at > now && switch.at < covers.until).collect()
}
