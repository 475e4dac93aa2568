//! Counters that are given where a load per second is meant.
//!
//! A counter adds up: it never falls but where something starts over, and then goes on as before. A
//! load that grows for hours on a launch day is none: at night it falls, and its noise makes
//! single samples fall long before. So a whole day is looked at, and in it nearly every sample.

use fleet::Seconds;
use fleet::metric::MetricQuery;
use forecaster::Series;

use super::{Held, unusable};

/// A load rises for so long at most without falling: it has a night.
const LOOKED_AT: Seconds = Seconds::days(1);
/// So many samples at least, so that noise would have shown.
const SAMPLES_MIN: usize = 200;
/// One sample in so many may be below the one before: a part of what is added up starts over.
const FALLS: usize = 60;
/// One sample in so many at least is above the one before: what stands still is no counter at work.
const RISES: usize = 3;
/// After a fall it goes on at its own speed: a sample is at most so many usual steps above the one
/// before. A load that was away comes back at once.
const REBOUND: f64 = 20.0;

/// Why a metric's samples are not the load that they are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its samples have risen for {LOOKED_AT} and do not fall as a load does: it adds up, and a load \
     is what it gains in a second, such as `rate(…)` of it"
)]
struct AddsUp;

impl Held {
    /// Looks whether the samples add up; whether that is news.
    pub(super) fn look_for_counter(&mut self, query: &MetricQuery) -> bool {
        let found = adds_up(&self.series).then(|| unusable(query, &AddsUp));
        let news = found != self.counter;
        self.counter = found;
        news
    }
}

/// Whether the newest day of a series only rises, but for falls from which it goes on as before.
fn adds_up(series: &Series) -> bool {
    let span = series.step().span().0.max(1);
    let day = usize::try_from(LOOKED_AT.0 / span).unwrap_or(usize::MAX);
    let mut newer: Option<f64> = None;
    let mut oldest = series.len();
    let (mut gains, mut falls) = (Vec::new(), 0);
    for index in (0..series.len()).rev() {
        let Some(value) = series.get(index) else { continue };
        if let Some(newer) = newer {
            gains.push(newer - value);
            falls += usize::from(newer < value);
        }
        // Of a load enough falls show after a few samples.
        if falls > 2 + gains.len() / FALLS {
            return false;
        }
        (newer, oldest) = (Some(value), index);
        if series.len() - index > day && gains.len() >= SAMPLES_MIN {
            break;
        }
    }
    let rises: Vec<f64> = gains.iter().copied().filter(|gain| *gain > 0.0).collect();
    let seen = gains.len() >= SAMPLES_MIN && series.len() - oldest > day;
    if !seen || falls > gains.len() / FALLS || rises.len() < gains.len() / RISES {
        return false;
    }
    let Some(usual) = super::signs::median(rises) else { return false };
    // Newest first: what follows a fall stands before it, however long nothing moved.
    gains.retain(|gain| *gain != 0.0);
    gains.windows(2).all(|pair| pair[1] >= 0.0 || pair[0] <= REBOUND * usual)
}

#[cfg(test)]
mod tests {
    use fleet::{Step, Timestamp};
    use proptest::prelude::*;

    use super::*;

    /// Noise from -1 to 1.
    fn noise(index: usize) -> f64 {
        let mixed = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64
            / (1u64 << 52) as f64
            - 1.0
    }

    /// A load with a night, in the samples of a step.
    fn daily(step: Step, index: usize) -> f64 {
        let hours = index as f64 * f64::from(step.seconds()) / 3600.0;
        100.0 * (1.2 - (hours / 24.0 * std::f64::consts::TAU).cos()) * (1.0 + 0.1 * noise(index))
    }

    fn found(step: Step, values: impl IntoIterator<Item = Option<f64>>) -> bool {
        adds_up(&Series::from_values(Timestamp(0), step, values).unwrap())
    }

    /// What a counter of such a load shows, that starts over after each of `lives` samples.
    fn counted(step: Step, life: usize, parts: usize, samples: usize) -> Vec<Option<f64>> {
        let mut parts = vec![0.0; parts];
        let count = parts.len();
        let show = |index: usize| {
            for (place, part) in parts.iter_mut().enumerate() {
                *part += daily(step, index) * f64::from(step.seconds()) / count as f64;
                if (index + place * life / count).is_multiple_of(life) {
                    *part = 0.0;
                }
            }
            Some(parts.iter().sum())
        };
        (0..samples).map(show).collect()
    }

    #[test]
    fn counters_are_found_and_so_are_those_that_start_over() {
        for step in [Step::MINUTE, Step::FIVE_MINUTES] {
            let samples = 2 * 86_400 / step.seconds() as usize;
            assert!(found(step, counted(step, usize::MAX, 1, samples)));
            assert!(found(step, counted(step, 250, 1, samples)), "it starts over now and then");
            assert!(found(step, counted(step, 700, 5, samples)), "a part of it does");
            // Some samples are lost.
            let lost = counted(step, 400, 1, samples).into_iter().enumerate();
            assert!(found(step, lost.map(|(i, value)| value.filter(|_| i % 7 != 3))));
        }
        // One that stands still at night, and one that was never anything else.
        let office = (0..2880).scan(0.0, |sum, minute| {
            *sum += if minute % 1440 < 600 { 0.0 } else { 50.0 + noise(minute) };
            Some(Some(*sum))
        });
        assert!(found(Step::MINUTE, office));
        assert!(found(Step::MINUTE, (0..1500).map(|minute| Some(f64::from(minute) * 3000.0))));
    }

    #[test]
    fn loads_are_none() {
        let minutes =
            |load: &dyn Fn(usize) -> f64| found(Step::MINUTE, (0..3000).map(|i| Some(load(i))));
        assert!(!minutes(&|i| daily(Step::MINUTE, i)));
        assert!(!minutes(&|_| 40.0), "a value that is repeated");
        // A launch day after quiet ones, without a single fall for twenty hours.
        assert!(!minutes(&|i| 50.0 + noise(i).abs() + 4.0 * i.saturating_sub(1800) as f64));
        // Growth that goes on through the night, a little uneven as all loads are.
        assert!(!minutes(&|i| (100.0 + i as f64) * (1.0 + 0.01 * noise(i))));
        // A load without noise that has a night.
        assert!(!minutes(&|i| 100.0 - 50.0 * (i as f64 / 1440.0 * std::f64::consts::TAU).cos()));
        // A ramp with two outages, from each of which it comes back at once.
        assert!(!minutes(&|i| if matches!(i, 1900..1910 | 2500..2510) { 0.0 } else { i as f64 }));
        // A new service on its first day.
        let first_day = (0..1300).map(|minute| Some(f64::from(minute)));
        assert!(!found(Step::MINUTE, first_day));
        // Few samples tell nothing.
        assert!(!found(Step::new(3600).unwrap(), (0..150).map(|hour| Some(f64::from(hour)))));
    }

    proptest! {
        /// However a load that has a night and some noise grows, it is no counter; and its counter is
        /// one.
        #[test]
        fn a_load_is_told_from_its_counter(
            seed in 0usize..1_000_000,
            grows in 0.0..0.01f64,
            uneven in 0.005..0.5f64,
            scale in -4i32..6,
        ) {
            let scale = 10f64.powi(scale);
            let load = |i: usize| {
                scale * daily(Step::MINUTE, i) * (1.0 + grows * i as f64) * (1.0 + uneven * noise(i + seed))
            };
            prop_assert!(!found(Step::MINUTE, (0..2000).map(|i| Some(load(i)))));
            let counter = (0..2000).scan(0.0, |sum, i| {
                *sum += load(i) * 60.0;
                Some(Some(*sum))
            });
            prop_assert!(found(Step::MINUTE, counter));
        }
    }
}
