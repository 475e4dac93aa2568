//! What people are told without having asked.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The most lines of an alert that receivers show: a chat cuts longer messages off by itself.
pub const LINES_MAX: usize = 12;

/// A message for people, kept until it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about, such as `idle/dev-boxes/aws/i-0abc/marked`: a receiver may take messages
    /// of the same key for the same.
    pub key: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it came about.
    pub at: Timestamp,
    /// One line.
    pub title: String,
    /// More lines, for whoever reads on.
    pub lines: Vec<String>,
    /// The resource or service it is about, where it is about one.
    pub subject: Option<String>,
    /// Whom it is for, where a tag says so.
    pub owner: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

/// What may be wrong for a while: people are told when it begins, reminded while it lasts, and told
/// when it is over.
///
/// ```
/// use fleet::alert::Condition;
///
/// assert_eq!(Condition::DemandUnknown.word(), "demand-unknown");
/// assert_eq!(Condition::ALL.len(), 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// A cloud refuses orders, or does not carry them out.
    OrderRefused,
    /// A group has had less than it was told to have for longer than its lead time.
    GroupShort,
    /// Demand or group of a service cannot be read.
    DemandUnknown,
    /// Demand collapsed as in an outage.
    OutageShape,
    /// More of the last 28 days was missed than promised.
    PromiseUsedUp,
    /// A maximum or a spend ceiling keeps a service from what it needs.
    AtMaximum,
    /// The kill switch is thrown.
    KillSwitch,
    /// The journal cannot be written, or has its reserve alone.
    Journal,
    /// Groups that match templates cannot be looked for.
    Discovery,
    /// Demand arrives and cannot be believed.
    DemandDoubted,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 10] = [
        Condition::OrderRefused,
        Condition::GroupShort,
        Condition::DemandUnknown,
        Condition::OutageShape,
        Condition::PromiseUsedUp,
        Condition::AtMaximum,
        Condition::KillSwitch,
        Condition::Journal,
        Condition::Discovery,
        Condition::DemandDoubted,
    ];

    /// A short, stable word for keys and documents.
    pub fn word(self) -> &'static str {
        match self {
            Condition::OrderRefused => "order-refused",
            Condition::GroupShort => "group-short",
            Condition::DemandUnknown => "demand-unknown",
            Condition::OutageShape => "outage-shape",
            Condition::PromiseUsedUp => "promise-used-up",
            Condition::AtMaximum => "at-maximum",
            Condition::KillSwitch => "kill-switch",
            Condition::Journal => "journal",
            Condition::Discovery => "discovery",
            Condition::DemandDoubted => "demand-doubted",
        }
    }
}

/// What keys of alerts about conditions begin with, and what those begin with that end them.
pub const BEGUN: &str = "condition/";
/// See [`BEGUN`].
pub const OVER: &str = "recovered/";
