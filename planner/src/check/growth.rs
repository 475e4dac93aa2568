//! What growth beyond proof means for the other judgements.

use fleet::{ServiceName, Timestamp};

use super::Bench;
use crate::Milli;
use crate::memory::ServiceMemory;
use crate::plan::{Finding, Hold};
use crate::snapshot::Observation;

impl Bench<'_> {
    fn known(&self, name: &ServiceName) -> Option<&ServiceMemory> {
        self.memory.services.get(name)
    }

    /// Whether growth waits for the next sample, and may: one sample alone reaches what it calls
    /// for, and its step was ordered before.
    pub(super) fn in_doubt(&self, name: &ServiceName, seen: &Observation, said: &Finding) -> bool {
        let Hold::Unconfirmed { .. } = said.hold else { return false };
        let points = seen.demand.settled.iter().chain(&seen.demand.provisional);
        let sane = points.filter(|point| (0.0..=1e15).contains(&point.value));
        let mut shown: Vec<(Timestamp, f64)> = sane.map(|p| (p.start, p.value)).collect();
        shown.sort_by_key(|(start, _)| *start);
        let highest = shown.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let twice = |pair: &[(Timestamp, f64)]| {
            pair[0].0 < pair[1].0 && pair.iter().all(|p| p.1 >= highest)
        };
        let own = self.known(name);
        let known =
            own.and_then(|own| own.growth.highest).map_or(Milli::ZERO, |known| known.now_milli);
        let alone = !shown.windows(2).any(twice);
        let ordered = own.is_some_and(|own| own.growth.step.is_some());
        alone && ordered && highest * 1000.0 > known.get()
    }
}
