//! Patience with reads: what may pass is asked again, a little later each time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use fleet::{Fault, FaultKind};
use tokio::time::Instant;

use crate::call::{Call, Effect};

/// Attempts of a read after the first.
const ATTEMPTS_MORE: usize = 3;
/// The waits between attempts of a read, each with jitter. A minute's throttling outlasts them: the
/// next cycle asks again.
const BACKOFF_MIN: Duration = Duration::from_millis(400);
const BACKOFF_MAX: Duration = Duration::from_secs(4);

/// Makes a call. A read is made until `limit`, again where that may help: what went wrong last says
/// more than that the time was up. A write is sent once.
pub(crate) async fn attempts<T, F: Future<Output = Result<T, Fault>>>(
    call: Call,
    limit: Instant,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Fault> {
    if call.effect == Effect::Write {
        return attempt().await;
    }
    let backoff = ExponentialBuilder::default()
        .with_min_delay(BACKOFF_MIN)
        .with_max_delay(BACKOFF_MAX)
        .with_max_times(ATTEMPTS_MORE)
        .with_jitter();
    let last: Mutex<Option<Fault>> = Mutex::new(None);
    let locked = || last.lock().unwrap_or_else(PoisonError::into_inner);
    let noted = |fault: &Fault, _| *locked() = Some(fault.clone());
    // A wait that would outlast the limit only keeps the fault from whoever waits for it.
    let in_time =
        |_: &Fault, wait: Option<Duration>| wait.filter(|wait| Instant::now() + *wait < limit);
    let read = attempt.retry(backoff).when(passes).notify(noted).adjust(in_time);
    let read = tokio::time::timeout_at(limit, read).await;
    read.unwrap_or_else(|_| Err(locked().take().unwrap_or_else(|| call.timed_out())))
}

/// Whether reading again a little later may help.
fn passes(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Throttled { .. } | FaultKind::Unreachable)
}
