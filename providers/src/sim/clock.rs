//! A clock for worlds whose time somebody else moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fleet::{Now, Seconds, Timestamp};

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Arc<HandClock> {
        Arc::new(HandClock(AtomicI64::new(at.0)))
    }

    /// Moves it on.
    pub fn advance(&self, span: Seconds) {
        self.set(self.now() + span);
    }

    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Now for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
