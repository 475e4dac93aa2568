//! How many metrics are asked for in one call, and over what time.

use fleet::{Seconds, Step, Timestamp};

/// Queries in one `GetMetricData` call. [CloudWatch service quotas]
const QUERIES_MAX: usize = 500;
/// Datapoints that one `GetMetricData` call returns. [CloudWatch service quotas]
const POINTS_MAX: u64 = 100_800;

/// One call: which of the queries, over what time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The positions of its queries.
    pub(super) queries: std::ops::Range<usize>,
    /// The first interval's start.
    pub(super) from: Timestamp,
    /// The end of the last interval.
    pub(super) to: Timestamp,
}

/// How long CloudWatch keeps intervals of this length. [CloudWatch concepts, "Metrics retention"]
pub(super) fn history(period: Step) -> Seconds {
    match period.seconds() {
        0..60 => Seconds::hours(3),
        60..300 => Seconds::days(15),
        300..3600 => Seconds::days(63),
        3600.. => Seconds::days(455),
    }
}

/// The whole intervals of `period` that start in `[from, to)` and are still kept at `now`; `None`
/// where there are none.
pub(super) fn window(
    period: Step,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    crate::intervals::kept(period, from, to, now, history(period))
}

/// Shares out `queries` over the window into as few calls as the limits allow.
///
/// CloudWatch bills per query and call: where the datapoints do not fit, a call takes fewer
/// queries over the whole window rather than all of them over a part of it, and the time is split
/// only where a single query does not fit.
pub(super) fn batches(queries: usize, period: Step, from: Timestamp, to: Timestamp) -> Vec<Batch> {
    let points = u64::try_from(period.samples_to_cover(to.since(from))).unwrap_or(u64::MAX).max(1);
    let together = usize::try_from(POINTS_MAX / points).unwrap_or(usize::MAX);
    let together = together.clamp(1, QUERIES_MAX);
    let span = Seconds(u64::from(period.seconds()) * points.min(POINTS_MAX));
    let mut batches = Vec::new();
    for first in (0..queries).step_by(together) {
        let queries = first..queries.min(first + together);
        let mut start = from;
        while start < to {
            let end = (start + span).min(to);
            batches.push(Batch { queries: queries.clone(), from: start, to: end });
            start = end;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(queries: usize, period: u32, span: Seconds) -> (usize, usize, usize) {
        let period = Step::new(period).unwrap();
        let from = Timestamp(0);
        let batches = batches(queries, period, from, from + span);
        let widest = batches.iter().map(|b| b.queries.len()).max().unwrap_or(0);
        let windows = batches.iter().filter(|b| b.queries.start == 0).count();
        for batch in &batches {
            let points = period.samples_to_cover(batch.to.since(batch.from));
            assert!(batch.queries.len() <= QUERIES_MAX);
            assert!(u64::try_from(points * batch.queries.len()).unwrap() <= POINTS_MAX);
        }
        let asked: usize = batches.iter().filter(|b| b.from == from).map(|b| b.queries.len()).sum();
        assert_eq!(asked, queries, "every query is asked once a window");
        (batches.len(), widest, windows)
    }

    #[test]
    fn batches_are_full_and_within_the_limits() {
        // (calls, queries in the fullest, windows of time)
        assert_eq!(shape(0, 60, Seconds(300)), (0, 0, 0));
        assert_eq!(shape(1, 60, Seconds(300)), (1, 1, 1));
        assert_eq!(shape(500, 60, Seconds(300)), (1, 500, 1));
        assert_eq!(shape(501, 60, Seconds(300)), (2, 500, 1));
        assert_eq!(shape(1200, 60, Seconds(300)), (3, 500, 1));
        // 201 points are the most that 500 queries may have.
        assert_eq!(shape(500, 60, Seconds(201 * 60)), (1, 500, 1));
        assert_eq!(shape(500, 60, Seconds(202 * 60)), (2, 499, 1));
        // Back-fill: 63 days at 5 minutes are 18,144 points, 15 days at 1 minute 21,600.
        assert_eq!(shape(12, 300, Seconds::days(63)), (3, 5, 1));
        assert_eq!(shape(12, 60, Seconds::days(15)), (3, 4, 1));
        // More points than a call may return: the time is split.
        assert_eq!(shape(2, 1, Seconds(250_000)), (6, 1, 3));
    }

    #[test]
    fn windows_hold_whole_intervals_that_are_still_kept() {
        let window = |period, from, to, now| {
            window(Step::new(period).unwrap(), Timestamp(from), Timestamp(to), Timestamp(now))
                .map(|(from, to)| (from.0, to.0))
        };
        let day = 86_400;
        assert_eq!(window(60, 600, 900, day), Some((600, 900)));
        // An interval counts when it starts in the window; its end is asked for whole.
        assert_eq!(window(60, 601, 901, day), Some((660, 960)));
        assert_eq!(window(60, 600, 600, day), None);
        assert_eq!(window(60, 660, 600, day), None);
        assert_eq!(window(60, 601, 630, day), None);
        // 1-minute intervals are kept for 15 days, 5-minute ones for 63, hours for 455.
        assert_eq!(window(60, 0, 80 * day, 80 * day), Some((65 * day, 80 * day)));
        assert_eq!(window(300, 0, 80 * day, 80 * day), Some((17 * day, 80 * day)));
        assert_eq!(window(3600, 0, 80 * day, 80 * day), Some((0, 80 * day)));
        assert_eq!(window(10, 0, day, day), Some((21 * 3600, day)));
        assert_eq!(window(60, 0, day, 80 * day), None);
    }
}
