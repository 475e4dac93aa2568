//! Spans of time: what a view covers, and windows laid together.

use fleet::{Seconds, Timestamp};
use planner::idle::schedule::Span;

/// How far a view reaches to either side of the day of UTC that it is made on.
const REACH: Seconds = Seconds::days(8);
/// A day of UTC.
const DAY: Seconds = Seconds::days(1);

/// What a view made at `now` covers: the same through a whole day of UTC.
pub(super) fn around(now: Timestamp) -> Span {
    let midnight = Timestamp(now.0 - now.0.rem_euclid(DAY.0 as i64));
    Span { from: midnight - REACH, until: midnight + DAY + REACH }
}

/// The spans within `covers`, rising and apart: what overlaps or touches is one, what is empty none.
pub(super) fn laid_together(mut spans: Vec<Span>, covers: Span) -> Vec<Span> {
    spans.sort_unstable();
    let mut apart: Vec<Span> = Vec::new();
    for span in spans {
        let from = span.from.max(covers.from);
        let until = span.until.min(covers.until);
        if from >= until {
            continue;
        }
        match apart.last_mut().filter(|last| from <= last.until) {
            Some(last) => last.until = last.until.max(until),
            None => apart.push(Span { from, until }),
        }
    }
    apart
}
