//! What the sized fleet costs, beside the cycle: prices are read, and what is known is told.

use std::sync::PoisonError;

use fleet::{ServiceName, Timestamp};
use planner::snapshot::Snapshot;
use report::money::Money;

use super::Daemon;
use crate::assemble;

impl Daemon {
    /// The coming cycle keeps the members of groups whose price is due.
    pub(super) fn want_prices(&mut self, now: Timestamp) {
        let due = self.prices.due(&self.engine.standing.policy, now);
        if !due.is_empty() {
            self.engine.observer.want_members(due);
        }
    }

    /// Begins to read the prices that are due, beside what follows, and takes in what was read.
    pub(super) async fn price(&mut self, now: Timestamp, waits: bool) {
        let members = self.engine.observer.take_members();
        let policy = &self.engine.standing.policy;
        if !members.is_empty() {
            let listed = assemble::listed(&self.config);
            self.prices.begin(members, policy, &self.clouds.providers, &listed, now);
        }
        if !self.prices.finish(policy, now, waits).await {
            return;
        }
        let known = self.prices.known();
        if let Err(fault) = self.shadow.price(&self.journal, now, &known) {
            tracing::warn!(%fault, "prices of units could not be written down");
        }
    }

    /// What the fleet of a snapshot costs, and what it saved this month.
    pub(super) fn money(&self, snapshot: &Snapshot) -> Money {
        let scores = self.shadow.scores();
        let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
        let units =
            |name: &ServiceName| Some(snapshot.services.get(name)?.group.as_ref().ok()?.desired.0);
        let policy = &self.engine.standing.policy;
        Money::of(policy, &scores, snapshot.taken_at, units, &self.prices.unknown())
    }
}
