//! What a call gets: at once or at its deadline, and what goes wrong with it.

use std::fmt::Display;

use fleet::{Fault, FaultKind};

use super::World;
use crate::Deadline;
use crate::sim::scenario::Trouble;

/// What a call does after looking at the world.
pub(in crate::sim) enum CallAnswer<T> {
    Now(Result<T, Fault>),
    /// Nothing comes before the deadline; then this.
    AtDeadline(Fault),
}

impl World {
    /// What a read gets that meets this trouble.
    pub(in crate::sim) fn spoiled<T>(
        operation: &str,
        permission: &str,
        trouble: Trouble,
    ) -> CallAnswer<T> {
        match trouble {
            Trouble::Slow | Trouble::AnswerLost => {
                CallAnswer::AtDeadline(fault(FaultKind::TimedOut, operation, "no answer in time"))
            }
            other => CallAnswer::Now(Err(refusal(operation, permission, other))),
        }
    }
}

pub(in crate::sim) async fn one_by<T>(
    deadline: Deadline,
    answer: CallAnswer<T>,
) -> Result<T, Fault> {
    match answer {
        CallAnswer::Now(result) => result,
        CallAnswer::AtDeadline(fault) => {
            tokio::time::sleep_until(deadline.0).await;
            Err(fault)
        }
    }
}

pub(in crate::sim) async fn all_by<T>(
    deadline: Deadline,
    answers: Vec<CallAnswer<T>>,
) -> Vec<Result<T, Fault>> {
    if answers.iter().any(|answer| matches!(answer, CallAnswer::AtDeadline(_))) {
        tokio::time::sleep_until(deadline.0).await;
    }
    let settle = |answer| match answer {
        CallAnswer::Now(result) => result,
        CallAnswer::AtDeadline(fault) => Err(fault),
    };
    answers.into_iter().map(settle).collect()
}

pub(in crate::sim) fn fault(kind: FaultKind, operation: &str, why: impl Display) -> Fault {
    Fault { kind, operation: operation.to_owned(), detail: why.to_string(), request_id: None }
}

pub(super) fn missing(operation: &str, name: &str) -> Fault {
    fault(FaultKind::Missing, operation, format!("group `{name}` not found"))
}

pub(in crate::sim) fn refusal(operation: &str, permission: &str, trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Throttled => {
            let kind = FaultKind::Throttled { retry_after: None };
            fault(kind, operation, "Throttling: Rate exceeded")
        }
        Trouble::Denied => {
            let kind = FaultKind::Denied { permission: Some(permission.to_owned()) };
            fault(kind, operation, "AccessDenied: not authorized")
        }
        Trouble::Unreachable | Trouble::Slow | Trouble::AnswerLost => {
            fault(FaultKind::Unreachable, operation, "connection refused")
        }
    }
}
