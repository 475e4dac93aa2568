//! How long and how much of what was written down is kept.

use serde::Serialize;

use crate::Seconds;

/// How much of the journal is kept: what is older or more is dropped, oldest first, by whole days.
///
/// ```
/// use fleet::{Retention, Seconds};
///
/// let kept = Retention::default();
/// assert_eq!((kept.max_age, kept.usage_age), (Seconds::days(400), Seconds::days(400)));
/// assert_eq!(kept.max_size_bytes, 40 * 1024 * 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Records older than this go.
    pub max_age: Seconds,
    /// Bytes on disk above which the oldest records go.
    pub max_size_bytes: u64,
    /// What resources did is kept at least so long, whatever `max_age` says; not against
    /// `max_size_bytes`.
    pub usage_age: Seconds,
}

impl Default for Retention {
    /// 400 days: a year, and the month before it to compare with. 40 GiB.
    fn default() -> Retention {
        let age = Seconds::days(400);
        Retention { max_age: age, max_size_bytes: 40 << 30, usage_age: age }
    }
}
