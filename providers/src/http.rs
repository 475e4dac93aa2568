//! What adapters without an SDK share: what a lost answer means, and patience with reads.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use fleet::{Fault, FaultKind};
use tokio::time::Instant;

use crate::call::Call;

/// Attempts of a read after the first.
const ATTEMPTS_MORE: usize = 3;
/// The waits between attempts of a read, each with jitter. A minute's throttling outlasts them: the
/// next cycle asks again.
const BACKOFF_MIN: Duration = Duration::from_millis(400);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// As much of a body that is not what was expected as a fault repeats.
const FIRST_BYTES: usize = 120;

/// Reads until `limit`, again where that may help. What went wrong last says more than that the
/// time was up.
pub(crate) async fn read_again<T, F: Future<Output = Result<T, Fault>>>(
    call: Call,
    limit: Instant,
    attempt: impl FnMut() -> F,
) -> Result<T, Fault> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(BACKOFF_MIN)
        .with_max_delay(BACKOFF_MAX)
        .with_max_times(ATTEMPTS_MORE)
        .with_jitter();
    let last: Mutex<Option<Fault>> = Mutex::new(None);
    let locked = || last.lock().unwrap_or_else(PoisonError::into_inner);
    let noted = |fault: &Fault, _| *locked() = Some(fault.clone());
    let read = attempt.retry(backoff).when(passes).notify(noted);
    let read = tokio::time::timeout_at(limit, read).await;
    read.unwrap_or_else(|_| Err(locked().take().unwrap_or_else(|| call.timed_out())))
}

/// Whether reading again a little later may help.
fn passes(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Throttled { .. } | FaultKind::Unreachable)
}

/// The beginning of a body that is not what was expected.
pub(crate) fn first_words(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(FIRST_BYTES)]).into_owned()
}

/// What a failure before any answer means: without a connection nothing can have had an effect.
pub(crate) fn unanswered(call: Call, error: &reqwest::Error) -> Fault {
    let kind = if error.is_connect() { FaultKind::Unreachable } else { call.unanswered() };
    call.fault(kind, causes(error))
}

/// Why a request failed, without its URL: that may hold parameters, and the causes are enough.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        words.push(inner.to_string());
        cause = inner.source();
    }
    if words.is_empty() {
        words.push("the request failed on the way".to_owned());
    }
    words.join(": ")
}
