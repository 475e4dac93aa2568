//! How a journal is opened.

use std::fmt;
use std::sync::Arc;

use fleet::{Retention, Seconds};

use crate::Store;

/// Called with the name of a point that is being passed: `before-intent-flush`,
/// `after-intent-flush`, `before-outcome-flush`.
pub type FaultPoints = Arc<dyn Fn(&str) + Send + Sync>;

/// How a journal is opened.
#[derive(Clone)]
pub struct Options {
    /// How long and how much is kept.
    pub retention: Retention,
    /// Bytes set aside for the day the disk is full.
    pub reserve_bytes: u64,
    /// An alert whose key was told within so long is not told again, unless it is worse.
    pub alert_window: Seconds,
    /// For tests that end the process at a named point.
    pub fault_points: Option<FaultPoints>,
    /// Where the records are.
    pub store: Store,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            retention: Retention::default(),
            reserve_bytes: 64 << 20,
            alert_window: Seconds::hours(6),
            fault_points: None,
            store: Store::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("retention", &self.retention)
            .field("reserve_bytes", &self.reserve_bytes)
            .finish_non_exhaustive()
    }
}
