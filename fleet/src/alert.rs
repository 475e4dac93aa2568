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
