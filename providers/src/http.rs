//! What adapters without an SDK share: what a lost answer means, and how it is told.

use fleet::{Fault, FaultKind};

use crate::call::Call;

/// As much of a body that is not what was expected as a fault repeats.
const FIRST_BYTES: usize = 120;

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
