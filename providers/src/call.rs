//! A call to a cloud, and the faults that need no answer to be told.

use std::fmt::Display;

use fleet::{Fault, FaultKind};

#[cfg(any(feature = "alibaba", feature = "aws"))]
use crate::Deadline;

/// The longest detail of a fault, in characters.
const DETAIL_CHARS: usize = 300;

/// A call, as the cloud's permissions and documentation name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The prefix of its permission.
    pub(crate) service: &'static str,
    /// Its name.
    pub(crate) operation: &'static str,
    /// Whether repeating it blindly could do harm.
    pub(crate) effect: Effect,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It may be repeated.
    Read,
    /// It is sent once.
    #[cfg_attr(
        not(any(feature = "alibaba", feature = "aws")),
        allow(dead_code, reason = "a source of metrics is never written to")
    )]
    Write,
}

impl Call {
    pub(crate) const fn read(service: &'static str, operation: &'static str) -> Call {
        Call { service, operation, effect: Effect::Read }
    }

    #[cfg(any(feature = "alibaba", feature = "aws"))]
    pub(crate) const fn write(service: &'static str, operation: &'static str) -> Call {
        Call { service, operation, effect: Effect::Write }
    }

    /// The permission it needs.
    pub(crate) fn permission(self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// A fault of this call with no request behind it.
    pub(crate) fn fault(self, kind: FaultKind, why: impl Display) -> Fault {
        Fault {
            kind,
            operation: self.operation.to_owned(),
            detail: shortened(&why.to_string()),
            request_id: None,
        }
    }

    /// The deadline came before anything was sent.
    pub(crate) fn unsent(self, why: &str) -> Fault {
        match self.effect {
            Effect::Read => self.fault(FaultKind::TimedOut, why),
            Effect::Write => self.fault(FaultKind::Unreachable, why),
        }
    }

    /// The deadline came first: for a write that may have left, its result is unknown.
    pub(crate) fn timed_out(self) -> Fault {
        match self.effect {
            Effect::Read => self.fault(FaultKind::TimedOut, "no answer before the deadline"),
            Effect::Write => self.fault(FaultKind::Unconfirmed, "no answer before the deadline"),
        }
    }

    /// What comes of it by the deadline.
    #[cfg(any(feature = "alibaba", feature = "aws"))]
    pub(crate) async fn by<T>(
        self,
        deadline: Deadline,
        answer: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let answer = tokio::time::timeout_at(deadline.0, answer).await;
        answer.unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// A task that panicked took its answers along.
    pub(crate) fn lost(self) -> Fault {
        self.fault(FaultKind::Unreadable, "reading was broken off")
    }

    /// A listing that does not come to its end.
    #[cfg(any(feature = "alibaba", feature = "aws"))]
    pub(crate) fn endless(self, pages_max: usize) -> Fault {
        self.fault(FaultKind::Unreadable, format!("more than {pages_max} pages"))
    }

    /// An answer that is larger than any that was asked for; what it said nobody knows.
    pub(crate) fn too_long(self, bytes_max: usize) -> Fault {
        let kind = match self.effect {
            Effect::Read => FaultKind::Unreadable,
            Effect::Write => FaultKind::Unconfirmed,
        };
        self.fault(kind, format!("an answer of more than {} MiB", bytes_max >> 20))
    }

    /// What an answer that never came means.
    pub(crate) fn unanswered(self) -> FaultKind {
        match self.effect {
            Effect::Read => FaultKind::Unreachable,
            Effect::Write => FaultKind::Unconfirmed,
        }
    }
}

/// No longer than a fault's detail may be.
fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(DETAIL_CHARS) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}
