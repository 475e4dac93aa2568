//! A digest as it waits for its channel, beside the words of its alert.

use serde::{Deserialize, Serialize};

/// Beside its alert: for whom a digest is, and what is not in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The name of the channel: it is for no other.
    pub channel: String,
    /// Services and resources that stand in its words.
    pub names: Vec<String>,
    /// A chart, which goes without words.
    pub chart: Option<Chart>,
}

/// The days up to a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chart {
    /// Oldest first; days without a record are not there.
    pub days: Vec<ChartDay>,
}

/// A day of all services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartDay {
    /// The day of UTC, counted from 1970.
    pub day: i64,
    /// Units times seconds: each service at its peak size all day, what really was, and as neap would
    /// have had it.
    pub unit_seconds: [u64; 3],
    /// What these cost in millionths of a US dollar.
    pub usd_micro: [u64; 3],
    /// Violations: really, and had neap acted.
    pub violations: [u32; 2],
    /// Whether the price of every unit was known.
    pub priced: bool,
}
