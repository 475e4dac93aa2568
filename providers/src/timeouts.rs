//! How long calls may take.

use std::time::Duration;

#[cfg(any(feature = "alibaba", feature = "aws"))]
use crate::call::Effect;

/// How long a single call may take; the caller's deadline cuts all of them shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// One attempt of a read, after which the SDK may try again.
    pub attempt: Duration,
    /// A read with all its attempts.
    pub read: Duration,
    /// A write, which is attempted once.
    pub write: Duration,
}

#[cfg(any(feature = "alibaba", feature = "aws"))]
impl Timeouts {
    /// How long one attempt of a call may take.
    pub(crate) fn one_attempt(&self, effect: Effect) -> Duration {
        match effect {
            Effect::Read => self.attempt,
            Effect::Write => self.write,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            read: Duration::from_secs(25),
            write: Duration::from_secs(10),
        }
    }
}
