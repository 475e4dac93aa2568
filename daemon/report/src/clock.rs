//! What people are told of a clock that was set.

use fleet::ClockJump;
use fleet::alert::{Alert, Severity};

/// The message. Further jumps of a short while are not told again: they share its key.
///
/// ```
/// use fleet::{ClockJump, Timestamp};
///
/// let alert = report::clock_set(&ClockJump { expected: Timestamp(28_860), shows: Timestamp(60) });
/// assert!(alert.title.starts_with("the clock was set back by 8h"));
/// ```
pub fn clock_set(jump: &ClockJump) -> Alert {
    Alert {
        key: "clock".to_owned(),
        severity: Severity::Warning,
        at: jump.shows,
        title: jump.to_string(),
        lines: vec![
            "cycles go on, and what was decided is in the journal".to_owned(),
            "the host's clock should be synchronised: `timedatectl`".to_owned(),
        ],
        subject: None,
        owner: None,
    }
}
