//! The Kubernetes Horizontal Pod Autoscaler, with units in the place of pods.
//!
//! The rules are those of its documentation and controller: a tolerance of a tenth, units that are
//! not ready counted as idle on the way up and left out on the way down, the highest recommendation
//! of the last five minutes on the way down, and limits of the rate. Between two datapoints its loop of
//! 15 s sees the same one again: what it recommends is computed once a datapoint, what the rates allow
//! once a loop.

use std::collections::VecDeque;

use fleet::{Seconds, Step};

use super::{Baseline, Seen, units_for};

const TOLERANCE: f64 = 0.1;
const LOOP: Seconds = Seconds(15);
const STABILISATION_DOWN: Seconds = Seconds::minutes(5);

/// How much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub amount: Amount,
    /// Within which time.
    pub period: Seconds,
}

/// A part of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many units.
    Pods(u32),
    /// So many percent of what there was when the period began.
    Percent(u32),
}

/// The default rates upward, of which the greater counts: doubled, or four more, every 15 s.
pub const RATES_UP: [Rate; 2] = [
    Rate { amount: Amount::Percent(100), period: Seconds(15) },
    Rate { amount: Amount::Pods(4), period: Seconds(15) },
];

/// The default rate downward: all at once.
pub const RATES_DOWN: [Rate; 1] = [Rate { amount: Amount::Percent(100), period: Seconds(15) }];

/// An autoscaler on a target of utilisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Hpa {
    target: f64,
    step: Step,
    up: Vec<Rate>,
    down: Vec<Rate>,
    /// Recommendations of the stabilisation window, the newest last.
    recommended: VecDeque<u32>,
    /// How many steps back the window reaches.
    window_steps: usize,
    /// What was added or removed, by loop, the newest last.
    changes: VecDeque<i64>,
    /// Loops of the longest period of a rate.
    loops_kept: usize,
}

impl Hpa {
    /// With the default behaviour.
    pub fn new(target: f64, step: Step) -> Hpa {
        Hpa::with_rates(target, step, RATES_UP.into(), RATES_DOWN.into())
    }

    /// With rates of its own; in each direction the rate that allows the greatest change counts.
    pub fn with_rates(target: f64, step: Step, up: Vec<Rate>, down: Vec<Rate>) -> Hpa {
        let window_steps = step.samples_to_cover(STABILISATION_DOWN);
        let loops_kept = up.iter().chain(&down).map(|rate| loops(rate.period)).max().unwrap_or(0);
        let (recommended, changes) = (VecDeque::new(), VecDeque::new());
        Hpa { target, step, up, down, recommended, window_steps, changes, loops_kept }
    }

    /// What the newest datapoint alone asks for.
    fn recommend(&self, seen: &Seen) -> u32 {
        let total = seen.total().max(1);
        let (Some(load), Some(utilisation)) = (seen.load, seen.utilisation()) else { return total };
        let ratio = utilisation / self.target;
        if (ratio - 1.0).abs() <= TOLERANCE {
            return total;
        }
        if ratio > 1.0 {
            // With the units that are not ready counted as idle.
            let idle_counted = load / f64::from(total) / self.target;
            return if idle_counted > 1.0 + TOLERANCE {
                units_for(load, self.target)
            } else {
                total
            };
        }
        units_for(load, self.target)
    }

    /// The size after all loops of this step, each within its limits.
    fn limited(&mut self, from: u32, to: u32) -> u32 {
        let (mut size, to) = (i64::from(from), i64::from(to));
        for _ in 0..(self.step.span().0 / LOOP.0).max(1) {
            let next = if to > size {
                let reach = self.up.iter().map(|rate| self.reach(size, *rate, 1)).max();
                to.min(reach.unwrap_or(size)).max(size)
            } else {
                let reach = self.down.iter().map(|rate| self.reach(size, *rate, -1)).min();
                to.max(reach.unwrap_or(size)).min(size)
            };
            self.changes.push_back(next - size);
            size = next;
        }
        let surplus = self.changes.len().saturating_sub(self.loops_kept);
        self.changes.drain(..surplus);
        u32::try_from(size.max(0)).unwrap_or(u32::MAX)
    }

    /// How far one rate lets the size go within this loop, upward (1) or downward (-1).
    fn reach(&self, size: i64, rate: Rate, direction: i64) -> i64 {
        let younger = loops(rate.period).saturating_sub(1);
        let recent = self.changes.iter().rev().take(younger);
        let made: i64 = recent.map(|change| (change * direction).max(0)).sum();
        let start = size - direction * made;
        match rate.amount {
            Amount::Pods(pods) => start + direction * i64::from(pods),
            // Rounded up on the way up, towards zero on the way down.
            Amount::Percent(percent) if direction > 0 => {
                let hundredths = start.saturating_mul(100 + i64::from(percent));
                hundredths / 100 + i64::from(hundredths % 100 > 0)
            }
            Amount::Percent(percent) => start * (100 - i64::from(percent)).max(0) / 100,
        }
    }
}

fn loops(period: Seconds) -> usize {
    usize::try_from(period.0.div_ceil(LOOP.0)).unwrap_or(usize::MAX)
}

impl Baseline for Hpa {
    fn at_rest(&self, load: f64) -> u32 {
        units_for(load, self.target)
    }

    fn order(&mut self, seen: &Seen) -> u32 {
        let (current, recommended) = (seen.total(), self.recommend(seen));
        self.recommended.push_back(recommended);
        if self.recommended.len() > self.window_steps + 1 {
            self.recommended.pop_front();
        }
        let highest = self.recommended.iter().copied().max().unwrap_or(recommended);
        let stable = current.clamp(recommended, highest.max(recommended));
        self.limited(current, stable).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(load: f64, in_service: u32, pending: u32) -> Seen {
        Seen { load: Some(load), in_service, pending }
    }

    fn half() -> Hpa {
        Hpa::new(0.5, Step::MINUTE)
    }

    /// Orders of a group without boot, under one load.
    fn sizes(policy: &mut Hpa, load: f64, mut size: u32, steps: usize) -> Vec<u32> {
        (0..steps)
            .map(|_| {
                size = policy.order(&seen(load, size, 0));
                size
            })
            .collect()
    }

    #[test]
    fn twice_the_target_doubles_and_half_of_it_halves() {
        assert_eq!(half().order(&seen(10.0, 10, 0)), 20);
        assert_eq!(half().order(&seen(2.5, 10, 0)), 5);
    }

    #[test]
    fn within_a_tenth_nothing_changes() {
        for load in [4.5, 5.0, 5.5] {
            assert_eq!(half().order(&seen(load, 10, 0)), 10);
        }
        assert_eq!(half().order(&seen(5.6, 10, 0)), 12);
    }

    #[test]
    fn units_that_boot_count_as_idle_on_the_way_up_alone() {
        // 8 of 10 in service at 62.5 %: with the other two at 0 %, 50 %.
        assert_eq!(half().order(&seen(5.0, 8, 2)), 10);
        assert_eq!(half().order(&seen(8.0, 8, 2)), 16);
        // 8 at 25 % are 4 at 50 %.
        assert_eq!(half().order(&seen(2.0, 8, 2)), 4);
    }

    #[test]
    fn the_highest_recommendation_of_five_minutes_holds_on_the_way_down() {
        let mut policy = half();
        assert_eq!(policy.order(&seen(5.0, 10, 0)), 10);
        assert_eq!(sizes(&mut policy, 2.5, 10, 6), [10, 10, 10, 10, 10, 5]);
    }

    #[test]
    fn a_rise_is_not_held_back_by_what_was_recommended_before() {
        let mut policy = half();
        policy.order(&seen(2.5, 10, 0));
        assert_eq!(policy.order(&seen(6.0, 10, 0)), 12);
    }

    #[test]
    fn of_four_pods_and_ten_percent_a_minute_the_greater_counts() {
        let rate = |amount| Rate { amount, period: Seconds(60) };
        let down = vec![rate(Amount::Pods(4)), rate(Amount::Percent(10))];
        let mut policy = Hpa::with_rates(0.5, Step::MINUTE, RATES_UP.into(), down);
        let found = sizes(&mut policy, 5.0, 80, 16);
        assert_eq!(found, [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10, 10]);
    }

    #[test]
    fn changes_within_a_longer_period_count_against_it() {
        let up = vec![Rate { amount: Amount::Pods(3), period: Seconds(120) }];
        let mut policy = Hpa::with_rates(0.5, Step::MINUTE, up, RATES_DOWN.into());
        assert_eq!(sizes(&mut policy, 50.0, 10, 4), [13, 13, 16, 16]);
    }

    #[test]
    fn by_default_each_of_the_four_loops_of_a_minute_doubles_or_adds_four() {
        assert_eq!(half().order(&seen(500.0, 1, 0)), 40, "5, 10, 20, 40");
        assert_eq!(half().order(&seen(500.0, 10, 0)), 160);
    }

    #[test]
    fn without_a_metric_nothing_changes() {
        assert_eq!(half().order(&Seen { load: None, in_service: 7, pending: 2 }), 9);
    }
}
