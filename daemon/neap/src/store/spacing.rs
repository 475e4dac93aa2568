//! Metrics that come more seldom than they are read.
//!
//! A sum of five minutes that is divided by one is five times the load, and the minutes between are no
//! silence.

use fleet::metric::{MetricQuery, Statistic, WhenMissing};
use fleet::{Fault, Seconds};
use forecaster::Series;

use super::{Held, unusable};

/// So many of the newest gaps are looked at.
const LOOKED_AT: usize = 10;
/// So many of them must be alike: one or two are lost samples, or a source that slipped.
const ALIKE_MIN: usize = 8;
/// A spacing of more intervals than this is none.
const INTERVALS_MAX: usize = 60;
/// A short gap among so many newest says that samples come as they are read.
const NEWEST: usize = 3;

/// Why a metric's samples are not what they are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("samples come every {every} and are read every {read}: `period = \"{every}\"` reads them")]
struct TooSeldom {
    every: Seconds,
    read: Seconds,
}

impl Held {
    /// Looks at how far apart the samples are; whether that is news.
    pub(super) fn look_at_spacing(&mut self, query: &MetricQuery) -> bool {
        let step = query.period;
        // What is known to be silent at zero has gaps of any length.
        let silent = query.when_missing == WhenMissing::Zero || config::known_sparse(query);
        let every = spacing(&self.series).filter(|_| !silent);
        self.every = every;
        let found = every.map(|intervals| {
            let every = Seconds(step.span().0 * intervals as u64);
            unusable(query, &TooSeldom { every, read: step.span() })
        });
        let news = found != self.too_seldom;
        self.too_seldom = found;
        news
    }

    /// Whether its samples are wrong by what they are read as: a sum is divided by its period, and
    /// a counter is no load.
    pub(super) fn is_misread(&self, query: &MetricQuery) -> bool {
        let sum = query.statistic == Statistic::Sum && self.too_seldom.is_some();
        sum || self.counter.is_some()
    }

    /// Why its samples are not what they are read as.
    fn misreading(&self) -> Option<&Fault> {
        self.counter.as_ref().or(self.too_seldom.as_ref())
    }

    /// Why its samples lower nothing, though they arrive.
    pub(super) fn doubt(&self) -> Option<&Fault> {
        self.misreading().or(self.repeats.as_ref())
    }
}

/// How many intervals apart the newest samples are, where they are evenly more than one apart.
fn spacing(series: &Series) -> Option<usize> {
    let there = |index: &usize| series.get(*index).is_some();
    // Room for some that were lost.
    let oldest = series.len().saturating_sub(2 * LOOKED_AT * INTERVALS_MAX);
    let newest: Vec<usize> =
        (oldest..series.len()).rev().filter(there).take(LOOKED_AT + 1).collect();
    let gaps: Vec<usize> = newest.windows(2).map(|pair| pair[0] - pair[1]).collect();
    if gaps.len() < LOOKED_AT {
        return None;
    }
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let usual = sorted[LOOKED_AT / 2];
    // A source that is a little late makes one gap longer and the next one shorter.
    let slack = usual / 4;
    let alike = gaps.iter().filter(|gap| gap.abs_diff(usual) <= slack).count();
    let short = gaps.iter().take(NEWEST).any(|gap| gap + slack < usual);
    let even = (2..=INTERVALS_MAX).contains(&usual) && alike >= ALIKE_MIN && !short;
    even.then_some(usual)
}

#[cfg(test)]
mod tests {
    use fleet::{Step, Timestamp};

    use super::*;

    /// The spacing of samples that are these intervals apart, oldest first.
    fn found(gaps: &[usize]) -> Option<usize> {
        let mut values = vec![Some(1.0)];
        for gap in gaps {
            values.extend(std::iter::repeat_n(None, gap - 1));
            values.push(Some(1.0));
        }
        spacing(&Series::from_values(Timestamp(0), Step::MINUTE, values).unwrap())
    }

    #[test]
    fn samples_that_come_evenly_and_seldom_are_found_by_their_spacing() {
        for every in [2, 3, 5, 15, 60] {
            assert_eq!(found(&[every; 10]), Some(every));
            assert_eq!(found(&[every; 40]), Some(every));
            // One that was lost.
            let lost: Vec<usize> =
                (0..20).map(|i| if i == 15 { 2 * every } else { every }).collect();
            assert_eq!(found(&lost), Some(every), "one of {every} is lost");
            // A change in the middle: of a finer past it is told by the newest alone.
            let changed: Vec<usize> = (0..110).map(|i| if i < 100 { 1 } else { every }).collect();
            assert_eq!(found(&changed), Some(every));
        }
        // Now late, now early.
        assert_eq!(found(&[5, 6, 4, 5, 5, 6, 4, 6, 4, 5]), Some(5));
        assert_eq!(found(&[15, 17, 13, 15, 14, 16, 15, 15, 12, 18]), Some(15));
    }

    #[test]
    fn gaps_are_no_spacing() {
        assert_eq!(found(&[1; 30]), None);
        assert_eq!(found(&[5; 9]), None, "too few to tell");
        assert_eq!(found(&[61; 12]), None);
        // Single gaps, and a source that was away.
        assert_eq!(found(&[1, 1, 5, 1, 1, 1, 2, 1, 1, 1, 3, 1]), None);
        assert_eq!(found(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 300]), None);
        // No two alike.
        assert_eq!(found(&[1, 7, 2, 12, 4, 3, 9, 1, 6, 5, 2, 14]), None);
        assert_eq!(found(&[2, 1, 3, 2, 1, 2, 4, 1, 2, 3]), None);
        // Load that begins after a quiet night in which something called every five minutes.
        let mut night = vec![5; 40];
        assert_eq!(found(&night), Some(5));
        night.push(1);
        assert_eq!(found(&night), None);
    }
}
