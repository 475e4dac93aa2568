//! A source that repeats itself: what it says is no measurement any more.

use std::collections::BTreeSet;

use fleet::metric::MetricQuery;
use forecaster::Series;

use super::{Held, unusable};

/// So many samples in a row that are the same to the last bit are no load.
const SAME: usize = 15;
/// So many before them tell how the metric usually varies.
const BEFORE: usize = 60;
/// With so few different values among them, the same one again is nothing unusual.
const VALUES_MIN: usize = 20;

/// Why a metric's samples are not believed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the last {SAME} samples are {value} to the last digit, and those before all differ")]
struct Repeats {
    value: f64,
}

impl Held {
    /// Looks whether the source repeats its last value; whether that is news.
    pub(super) fn look_for_repeats(&mut self, query: &MetricQuery) -> bool {
        let found = repeated(&self.series).map(|value| unusable(query, &Repeats { value }));
        let news = found != self.repeats;
        self.repeats = found;
        news
    }
}

/// The value that the newest samples repeat, where those before vary. Nothing at all is a load.
fn repeated(series: &Series) -> Option<f64> {
    let mut newest = (0..series.len()).rev().filter_map(|index| series.get(index)).peekable();
    let value = newest.peek().copied().filter(|value| *value != 0.0)?;
    let is_same = |other: &f64| other.to_bits() == value.to_bits();
    let mut same = 0;
    while newest.next_if(is_same).is_some() {
        same += 1;
    }
    if same < SAME {
        return None;
    }
    let before: BTreeSet<u64> = newest.take(BEFORE).map(f64::to_bits).collect();
    (before.len() >= VALUES_MIN).then_some(value)
}

#[cfg(test)]
mod tests {
    use fleet::{Step, Timestamp};

    use super::*;

    /// Whether the end of a series is a repetition: so many samples of `before`, then the same one.
    fn repeats(before: impl Fn(usize) -> f64, same: usize, value: f64) -> bool {
        let values = (0..90).map(before).chain(std::iter::repeat_n(value, same)).map(Some);
        repeated(&Series::from_values(Timestamp(0), Step::MINUTE, values).unwrap()).is_some()
    }

    #[test]
    fn a_load_that_varied_and_repeats_itself_is_none() {
        let noisy = |i: usize| 347.0 + (i as f64 * 1.7).sin() * 12.0;
        for value in [347.182_736, 300.0, 1e-4, 1e9] {
            assert!(repeats(noisy, 15, value), "{value}");
            assert!(repeats(noisy, 70, value), "{value}, for more than an hour");
            assert!(!repeats(noisy, 14, value), "{value}, not yet");
        }
        // Requests counted by the minute.
        assert!(repeats(|i| (35_000 + i * 7_919 % 4_001) as f64, 20, 35_211.0));
    }

    #[test]
    fn a_flat_load_a_silent_one_and_one_of_few_values_are_loads() {
        assert!(!repeats(|_| 300.0, 60, 300.0));
        assert!(!repeats(|_| 800.0, 60, 120.0), "it stepped down");
        assert!(!repeats(|i| 347.0 + (i as f64).sin(), 60, 0.0));
        // A few jobs in a queue.
        assert!(!repeats(|i| (i * 7 % 5) as f64, 60, 3.0));
        let noisy = |i: usize| 347.0 + (i as f64 * 1.7).sin() * 12.0;
        let gaps = (0..90).map(noisy).map(Some).chain([None; 30]);
        let series = Series::from_values(Timestamp(0), Step::MINUTE, gaps).unwrap();
        assert_eq!(repeated(&series), None, "nothing comes");
    }
}
