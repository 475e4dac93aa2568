//! Whole intervals of a metric: which of them a source still keeps, and how they are shared out.

use fleet::{Seconds, Step, Timestamp};

/// The whole intervals of `period` that start in `[from, to)` and are still kept at `now`, where a
/// source keeps them for `history`; `None` where there are none.
pub(crate) fn kept(
    period: Step,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    history: Seconds,
) -> Option<(Timestamp, Timestamp)> {
    let up = |at: Timestamp| {
        let down = at.floor_to(period);
        if down < at { down + period.span() } else { down }
    };
    let (from, to) = (up(from.max(now - history)), up(to));
    (from < to).then_some((from, to))
}

/// A step of so many seconds; none is zero, or longer than 136 years.
#[cfg(any(feature = "alibaba", feature = "aws"))]
pub(crate) fn step(span: Seconds) -> Option<Step> {
    u32::try_from(span.0).ok().and_then(Step::new)
}

/// The intervals from `start` to `end` in stretches, none of them longer than `longest`.
#[cfg(any(feature = "alibaba", feature = "prometheus"))]
pub(crate) fn stretches(
    period: Step,
    (mut start, end): (Timestamp, Timestamp),
    longest: Seconds,
) -> Vec<(Timestamp, Timestamp)> {
    let mut stretches = Vec::new();
    while start < end {
        let until = (start + longest).floor_to(period).min(end);
        stretches.push((start, until));
        start = until;
    }
    stretches
}
