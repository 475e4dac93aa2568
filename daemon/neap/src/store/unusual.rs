//! Samples that nothing confirms: a source's slip is no demand to forecast from.

use fleet::Timestamp;
use forecaster::Series;

/// How many times what is around it, and what was ever seen, a sample must be to be left out.
const TIMES: f64 = 3.0;
/// So many others that reach that high make it usual: bursts of a single interval exist.
const OTHERS: usize = 2;

/// Which of `samples` (in order of time, the newest of the demand) are beyond all that is known and
/// stand alone. The newest one is among them until the next one confirms it.
pub(super) fn lone(known: &Series, samples: &[(Timestamp, f64)]) -> Vec<Timestamp> {
    let Some((first, _)) = samples.first() else { return Vec::new() };
    let before_all = known.at(*first - known.step().span());
    let alone = |i: usize| {
        let before = i.checked_sub(1).map_or(before_all, |before| Some(samples[before].1));
        let after = samples.get(i + 1).map(|(_, value)| *value);
        let around = before.into_iter().chain(after).reduce(f64::max);
        around.is_some_and(|around| samples[i].1 > TIMES * around)
    };
    let unseen = |value: f64| {
        let earlier = known.iter().filter(|(start, _)| start < first).filter_map(|(_, v)| v);
        let all = earlier.chain(samples.iter().map(|(_, value)| *value));
        // The sample itself is one of them.
        all.filter(|other| other * TIMES >= value).take(OTHERS + 1).count() <= OTHERS
    };
    let found = samples.iter().enumerate().filter(|(i, (_, value))| alone(*i) && unseen(*value));
    found.map(|(_, (start, _))| *start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Step;

    fn minutes(values: &[f64]) -> Vec<(Timestamp, f64)> {
        (100..).zip(values).map(|(minute, value)| (Timestamp(minute * 60), *value)).collect()
    }

    /// The positions left out, where 100 minutes of about 100/s are known.
    fn left_out(values: &[f64]) -> Vec<i64> {
        let past = (0..100).map(|minute| Some(100.0 + f64::from(minute % 7)));
        let known = Series::from_values(Timestamp(0), Step::MINUTE, past).unwrap();
        lone(&known, &minutes(values)).iter().map(|start| start.0 / 60 - 100).collect()
    }

    #[test]
    fn a_sample_that_nothing_confirms_is_left_out() {
        for times in [5.0, 50.0, 1e4] {
            assert_eq!(left_out(&[101.0, 100.0 * times, 99.0]), [1]);
            assert_eq!(left_out(&[101.0, 100.0 * times]), [1], "it may still be confirmed");
            assert_eq!(left_out(&[101.0, 100.0 * times, 90.0 * times]), [0; 0]);
            assert_eq!(left_out(&[1e6, 90.0, 1e6, 100.0]), [0, 2]);
        }
        assert_eq!(left_out(&[101.0, 250.0, 99.0]), [0; 0], "an ordinary burst");
    }

    #[test]
    fn bursts_of_one_interval_become_usual() {
        assert_eq!(left_out(&[400.0, 100.0, 400.0, 100.0, 400.0, 100.0]), [0; 0]);
        assert_eq!(lone(&Series::new(Step::MINUTE), &minutes(&[9.0])), []);
    }
}
