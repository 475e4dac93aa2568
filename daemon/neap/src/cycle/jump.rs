//! What an engine keeps between cycles, under a clock that was set.

use fleet::{Seconds, Timestamp};

use super::Engine;
use crate::gather::Observer;

impl Engine {
    /// Forgets all samples and models.
    pub fn forget_samples(&mut self) {
        self.observer = Observer::default();
    }

    /// The clock was set ahead: no hold has lasted any longer for that.
    pub fn delay(&mut self, by: Seconds, now: Timestamp) {
        self.memory = planner::delayed(std::mem::take(&mut self.memory), by, now);
    }

    /// The clock was set back to `now`; `left` is what it would have shown: nothing waits for a time
    /// that is still to come.
    pub fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        self.memory = planner::rewound(std::mem::take(&mut self.memory), left, now);
        self.last_taken_at = self.last_taken_at.map(|at| at.min(now));
        self.ours.values_mut().flatten().for_each(|at| *at = now.min(*at));
        self.unresolved.iter_mut().for_each(|intent| intent.at = intent.at.min(now));
        let outcomes = self.outcomes.values_mut().flatten();
        outcomes.for_each(|outcome| outcome.at = outcome.at.min(now));
        self.requests.iter_mut().for_each(|request| request.at = request.at.min(now));
    }
}
