//! The same of idle resources: see [`crate::rewound`].

use fleet::{Seconds, Timestamp};

use super::memory::{Care, IdleMemory, Kept, RuleMemory, Stopped, Watch};
use super::reasons::ExemptReason;
use crate::rewind::Clocks;

/// A machine that somebody started again is left alone for a fortnight where nothing else is said.
const EXEMPT: Seconds = Seconds::days(14);
/// A start or stop by hand is respected up to the next switch of a schedule: within a week.
const BY_HAND: Seconds = Seconds::days(7);

/// The memory that was `left` at a later time than `now`, as if all of it had been noted by now.
///
/// Until when somebody asked for a machine to be left alone, or to be up, stays as it was said: a
/// stop that comes too early is worse than one that comes too late.
pub fn rewound(mut memory: IdleMemory, left: Timestamp, now: Timestamp) -> IdleMemory {
    let clocks = Clocks { left, now };
    let IdleMemory { watch, rules, cares, stops, starts: _ } = &mut memory;
    let Watch { looked_at, steady_since, watched: _ } = watch;
    clocks.may_have_begun(looked_at);
    clocks.may_have_begun(steady_since);
    rules.values_mut().for_each(|rule| of_rule(clocks, rule));
    cares.values_mut().for_each(|care| of_care(clocks, care));
    stops.values_mut().flatten().for_each(|at| clocks.began(at));
    memory
}

fn of_rule(clocks: Clocks, rule: &mut RuleMemory) {
    let RuleMemory {
        since_watched: _,
        stops: _,
        taken_back: _,
        matched,
        matched_before: _,
        released_until,
    } = rule;
    let today = clocks.now.utc_day();
    matched.iter_mut().for_each(|(day, _)| *day = today.min(*day));
    // It permits: what had ended has ended.
    released_until.iter_mut().for_each(|until| clocks.ends(until, Seconds::ZERO));
}

fn of_care(clocks: Clocks, care: &mut Care) {
    let Care {
        // By the cloud's clock.
        created_at: _,
        power: _,
        known_since,
        power_since,
        mark,
        stopped,
        exempt,
        open,
        by_hand,
        wake: _,
        starting,
        unused_since,
        asked,
    } = care;
    clocks.may_have_begun(known_since);
    clocks.may_have_begun(power_since);
    clocks.may_have_begun(unused_since);
    mark.iter_mut().for_each(|mark| clocks.began(&mut mark.at));
    mark.iter_mut().for_each(|mark| clocks.may_have_begun(&mut mark.restarted_at));
    for Stopped { at, kept, .. } in stopped.iter_mut() {
        clocks.began(at);
        // By the cloud's clock.
        let Kept { restarts_at: _, mark, asked } = kept;
        mark.iter_mut().for_each(|mark| clocks.began(&mut mark.at));
        let approvals = mark.iter_mut().map(|mark| &mut mark.approval).chain(asked);
        approvals.filter_map(|one| one.given.as_mut()).for_each(|(_, at)| clocks.began(at));
    }
    open.iter_mut().for_each(|open| clocks.began(&mut open.at));
    if let Some(exempt) = exempt {
        // How long it lasts was counted from when it was seen.
        if matches!(exempt.why.value(), Some(ExemptReason::StartedAgain { .. })) {
            clocks.ends(&mut exempt.until, EXEMPT);
        }
    }
    if let Some(hand) = by_hand {
        clocks.began(&mut hand.at);
        clocks.ends(&mut hand.until, BY_HAND);
    }
    if let Some(starting) = starting {
        clocks.began(&mut starting.since);
        clocks.ends(&mut starting.next, Seconds::ZERO);
    }
    let approvals = mark.iter_mut().map(|mark| &mut mark.approval).chain(asked);
    let given = approvals.filter_map(|approval| approval.given.as_mut());
    given.for_each(|(_, at)| clocks.began(at));
}
