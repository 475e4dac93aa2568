//! Room for calls: so many at the same time in one account and region.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::call::Effect;

/// Room for reads and for writes, apart from each other: an increase must not wait for reads.
#[derive(Debug)]
pub(crate) struct Gates {
    reading: Semaphore,
    writing: Semaphore,
}

impl Gates {
    /// So many of each at the same time, one at least.
    pub(crate) fn new(at_once: usize) -> Gates {
        let at_once = at_once.max(1);
        Gates { reading: Semaphore::new(at_once), writing: Semaphore::new(at_once) }
    }

    /// Waits for room; it is free again once the permit is dropped.
    pub(crate) async fn enter(&self, effect: Effect) -> SemaphorePermit<'_> {
        let gate = match effect {
            Effect::Read => &self.reading,
            Effect::Write => &self.writing,
        };
        gate.acquire().await.expect("the gates are never closed")
    }
}
