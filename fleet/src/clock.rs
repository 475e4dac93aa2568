//! Where the time comes from: the crates that need it are given it.

use std::fmt::{self, Debug};

use serde::{Deserialize, Serialize};

use crate::{Seconds, Timestamp};

/// Where a crate takes the time from: the system's clock, a simulation's, or a test's.
///
/// ```
/// use fleet::{Now, Timestamp};
///
/// /// A clock that stands still.
/// #[derive(Debug)]
/// struct Fixed(Timestamp);
///
/// impl Now for Fixed {
///     fn now(&self) -> Timestamp {
///         self.0
///     }
/// }
///
/// let clock: Box<dyn Now> = Box::new(Fixed(Timestamp(60)));
/// assert_eq!(clock.now(), Timestamp(60));
/// ```
pub trait Now: Send + Sync + Debug {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;
}

/// The wall clock was set, or the machine slept.
///
/// ```
/// use fleet::{ClockJump, Timestamp};
///
/// let back = ClockJump { expected: Timestamp(28_860), shows: Timestamp(60) };
/// assert!(back.is_back());
/// assert_eq!(
///     back.to_string(),
///     "the clock was set back by 8h: it shows 1970-01-01T00:01:00Z, expected 1970-01-01T08:01:00Z"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockJump {
    /// What it would have shown.
    pub expected: Timestamp,
    /// What it shows.
    pub shows: Timestamp,
}

impl ClockJump {
    /// Whether it was set back.
    pub fn is_back(&self) -> bool {
        self.shows < self.expected
    }

    /// By how much.
    pub fn by(&self) -> Seconds {
        self.shows.apart(self.expected)
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, shows, expected) = (self.by(), self.shows, self.expected);
        match self.is_back() {
            true => {
                write!(f, "the clock was set back by {by}: it shows {shows}, expected {expected}")
            }
            false => {
                write!(f, "the clock was set ahead by {by}: it shows {shows}, expected {expected}")
            }
        }
    }
}
