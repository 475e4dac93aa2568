//! How many alerts each channel sent and gave up, and how often its receiver took nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use fleet::alert::Severity;
use journal::Delivery;

use super::Channel;

/// Counts by channel, since their sending began.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<String, ChannelTally>);

/// Counts of a channel.
#[derive(Debug)]
pub struct ChannelTally {
    /// What it wants to be told of, at least.
    pub least: Severity,
    sent: AtomicU64,
    given_up: AtomicU64,
    failed: AtomicU64,
}

impl ChannelTally {
    /// Alerts sent, alerts given up, and attempts that the receiver did not take.
    pub fn numbers(&self) -> [u64; 3] {
        [&self.sent, &self.given_up, &self.failed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Tally {
    pub(super) fn of(channels: &[Channel]) -> Tally {
        let fresh = |channel: &Channel| {
            let (sent, given_up, failed) = Default::default();
            let least = channel.min_severity();
            (channel.name().to_owned(), ChannelTally { least, sent, given_up, failed })
        };
        Tally(channels.iter().map(fresh).collect())
    }

    /// The channels by name.
    pub fn channels(&self) -> impl Iterator<Item = (&String, &ChannelTally)> {
        self.0.iter()
    }

    pub(super) fn settled(&self, channel: &str, alerts: usize, delivery: &Delivery) {
        let Some(counts) = self.0.get(channel) else { return };
        let count = match delivery {
            Delivery::Sent => &counts.sent,
            Delivery::GaveUp(_) => &counts.given_up,
        };
        count.fetch_add(alerts as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, channel: &str) {
        if let Some(counts) = self.0.get(channel) {
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
