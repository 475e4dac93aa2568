//! Which whole intervals of a metric a source still keeps.

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
