//! Stops that somebody else took back.

use std::collections::BTreeMap;

use fleet::resource::ResourceId;
use fleet::{RuleName, Seconds, Timestamp};

use super::decide::is_up;
use super::memory::IdleMemory;
use super::snapshot::PowerOutcome;

/// A machine that is used again this soon after a stop should not have been stopped: a week has
/// each of its days.
pub const WRONG_WITHIN: Seconds = Seconds::days(7);

/// A machine that neap had stopped, and that somebody else has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedAgain {
    pub resource: ResourceId,
    /// The rule or schedule that had stopped it.
    pub rule: RuleName,
    pub stopped_at: Timestamp,
}

/// The stops that somebody took back in the look that led from one memory to the next. `outcomes`
/// are those that the look took in: a machine may be up again before its stop was remembered.
pub fn started_again(
    before: &IdleMemory,
    outcomes: &[PowerOutcome],
    after: &IdleMemory,
) -> Vec<StartedAgain> {
    let by_hand_now = |id: &ResourceId| {
        let care = after.cares.get(id);
        let up = care.and_then(|care| care.power.as_ref()).is_some_and(is_up);
        let hand = care.and_then(|care| care.by_hand.as_ref());
        up && hand.is_some_and(|hand| hand.up && Some(hand.at) == after.watch.looked_at)
    };
    let known = before.cares.iter().filter_map(|(id, care)| {
        let stopped = care.stopped.as_ref()?;
        Some((id, &stopped.rule, stopped.at))
    });
    let new = outcomes.iter().filter_map(|outcome| {
        let stop = !outcome.up && outcome.result.took_effect();
        stop.then_some((&outcome.resource, outcome.because.rule()?, outcome.at))
    });
    let stopped: BTreeMap<&ResourceId, (&RuleName, Timestamp)> =
        known.chain(new).map(|(id, rule, at)| (id, (rule, at))).collect();
    stopped
        .into_iter()
        .filter(|(id, _)| by_hand_now(id))
        .map(|(id, (rule, stopped_at))| StartedAgain {
            resource: id.clone(),
            rule: rule.clone(),
            stopped_at,
        })
        .collect()
}
