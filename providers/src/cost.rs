//! What an adapter needs and what watching costs, whatever the cloud.

use std::collections::BTreeMap;

use fleet::Seconds;

/// A month of a budget, and of everything that is told "a month".
#[cfg(any(feature = "alibaba", feature = "aws", feature = "prometheus"))]
pub(crate) const MONTH: Seconds = Seconds::days(30);

/// The permissions of the two roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What the observer's role needs: enough for `check`, `plan` and mode `observe`.
    pub read: Vec<String>,
    /// What the actor's role needs besides.
    pub write: Vec<String>,
}

/// How much is watched in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Groups.
    pub groups: u64,
    /// Distinct metrics, each asked for once a cycle.
    pub metrics: u64,
    /// Kinds among them: the same name and period, of different resources.
    pub metric_kinds: u64,
    /// Time between two cycles.
    pub poll_interval: Seconds,
}

/// What that comes to in a month of 30 days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Calls by permission.
    pub calls: BTreeMap<String, u64>,
    /// Metrics read.
    pub metrics: u64,
    /// Their price in millionths of a US dollar; the other calls are free.
    pub usd_micros: u64,
}

impl Expected {
    /// All calls together.
    pub fn calls_total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// The sum of two, for the whole of several accounts and regions.
    pub fn plus(mut self, other: &Expected) -> Expected {
        for (call, count) in &other.calls {
            *self.calls.entry(call.clone()).or_default() += count;
        }
        self.metrics += other.metrics;
        self.usd_micros += other.usd_micros;
        self
    }
}
