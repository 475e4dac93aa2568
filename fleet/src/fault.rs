//! What went wrong at a cloud, sorted by what the caller should do next.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Seconds, Units};

/// A cloud's refusal or silence, with what an operator needs to act on it.
///
/// Holds no secret: adapters put in error codes, names and request ids only.
///
/// ```
/// use fleet::{Fault, FaultKind};
///
/// let permission = Some("autoscaling:SetDesiredCapacity".to_owned());
/// let fault = Fault {
///     kind: FaultKind::Denied { permission },
///     operation: "SetDesiredCapacity".to_owned(),
///     detail: "AccessDenied".to_owned(),
///     request_id: Some("7f1c".to_owned()),
/// };
/// assert_eq!(
///     fault.to_string(),
///     "`SetDesiredCapacity` denied, permission `autoscaling:SetDesiredCapacity` is missing: \
///      AccessDenied (request `7f1c`)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What the caller does next.
    pub kind: FaultKind,
    /// The call, as the cloud names it, such as `DescribeAutoScalingGroups`.
    pub operation: String,
    /// The cloud's own code and words, shortened to 300 characters.
    pub detail: String,
    /// The cloud's id of the request, where it gave one.
    pub request_id: Option<String>,
}

/// Sorted by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Too many calls: wait, then repeat.
    Throttled {
        /// How long the cloud asked to wait, where it said.
        retry_after: Option<Seconds>,
    },
    /// Nothing was sent, or nothing can have had an effect: repeat in the next cycle.
    Unreachable,
    /// Sent, and no answer came: look before acting again.
    Unconfirmed,
    /// The world moved between reading and writing: plan again.
    Conflict {
        /// The desired capacity (or minimum, if that was to be set) found instead.
        found: Units,
    },
    /// The cloud has no machines of this kind now.
    OutOfCapacity,
    /// A permission or credential is missing: a human must act.
    Denied {
        /// The permission that is missing, where known, such as `autoscaling:SetDesiredCapacity`.
        permission: Option<String>,
    },
    /// The cloud answered that the thing does not exist.
    Missing,
    /// The cloud understood and said no: our error, or a changed API.
    Refused,
    /// An answer that cannot be understood.
    Unreadable,
    /// The cycle's deadline came before an answer to a read.
    TimedOut,
}

impl FaultKind {
    /// A short, stable word for labels and JSON.
    ///
    /// ```
    /// use fleet::{FaultKind, Seconds, Units};
    ///
    /// // The word is the same whatever the fault found.
    /// assert_eq!(FaultKind::Throttled { retry_after: Some(Seconds(3)) }.word(), "throttled");
    /// assert_eq!(FaultKind::Throttled { retry_after: None }.word(), "throttled");
    /// assert_eq!(FaultKind::Conflict { found: Units(7) }.word(), "conflict");
    /// ```
    pub fn word(&self) -> &'static str {
        match self {
            FaultKind::Throttled { .. } => "throttled",
            FaultKind::Unreachable => "unreachable",
            FaultKind::Unconfirmed => "unconfirmed",
            FaultKind::Conflict { .. } => "conflict",
            FaultKind::OutOfCapacity => "out of capacity",
            FaultKind::Denied { .. } => "denied",
            FaultKind::Missing => "missing",
            FaultKind::Refused => "refused",
            FaultKind::Unreadable => "unreadable",
            FaultKind::TimedOut => "timed out",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.operation, self.kind.word())?;
        if let FaultKind::Denied { permission: Some(permission) } = &self.kind {
            write!(f, ", permission `{permission}` is missing")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request `{id}`)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
