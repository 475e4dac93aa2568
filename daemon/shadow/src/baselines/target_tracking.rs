//! AWS target tracking, by its two alarms.
//!
//! The high alarm asks for three one-minute datapoints of three above the target, the low one for
//! fifteen of fifteen below a share of it: 0.9 as Application Auto Scaling sets it, 0.7 as EC2 Auto
//! Scaling does. Both directions size in proportion. No unit is taken away while another one is
//! warming up, nor within five minutes of the last removal. Missing datapoints leave an alarm
//! without sufficient data, so nothing is done. (AWS user guide, and alarms as users print them; it
//! does not describe the alarms that tune themselves since 2024.)

use fleet::{Seconds, Step};

use super::{Baseline, Seen, units_for};

/// The low alarm's threshold as a share of the target where the operator names none.
pub const LOW_FACTOR: f64 = 0.9;

const HIGH_FOR: Seconds = Seconds::minutes(3);
const LOW_FOR: Seconds = Seconds::minutes(15);
const COOLDOWN: Seconds = Seconds::minutes(5);

/// Target tracking of utilisation.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTracking {
    target: f64,
    low: f64,
    datapoints_high: usize,
    datapoints_low: usize,
    cooldown_steps: usize,
    /// Datapoints in a row above the target.
    above: usize,
    /// Datapoints in a row below the low threshold.
    below: usize,
    /// Steps since the last removal.
    since_in: Option<usize>,
}

impl TargetTracking {
    /// Tracks `target` (a utilisation of 1 is full); the low alarm stands at `low_factor` of it.
    /// A datapoint coarser than a minute counts for the minutes it covers.
    pub fn new(target: f64, low_factor: f64, step: Step) -> TargetTracking {
        TargetTracking {
            target,
            low: low_factor * target,
            datapoints_high: step.samples_to_cover(HIGH_FOR),
            datapoints_low: step.samples_to_cover(LOW_FOR),
            cooldown_steps: step.samples_to_cover(COOLDOWN),
            above: 0,
            below: 0,
            since_in: None,
        }
    }

    fn watch(&mut self, utilisation: Option<f64>) {
        let row = |holds: bool, before: usize| if holds { before + 1 } else { 0 };
        self.above = row(utilisation.is_some_and(|u| u > self.target), self.above);
        self.below = row(utilisation.is_some_and(|u| u < self.low), self.below);
        self.since_in = self.since_in.map(|steps| steps + 1);
    }
}

impl Baseline for TargetTracking {
    fn at_rest(&self, load: f64) -> u32 {
        units_for(load, self.target)
    }

    fn order(&mut self, seen: &Seen) -> u32 {
        self.watch(seen.utilisation());
        let total = seen.total();
        let Some(load) = seen.load else { return total };
        let proportional = units_for(load, self.target);
        let cool = self.since_in.is_none_or(|steps| steps >= self.cooldown_steps);
        if self.above >= self.datapoints_high {
            total.max(proportional)
        } else if self.below >= self.datapoints_low && seen.pending == 0 && cool {
            self.since_in = Some(0);
            total.min(proportional)
        } else {
            total
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(load: f64, in_service: u32, pending: u32) -> Seen {
        Seen { load: Some(load), in_service, pending }
    }

    /// Orders under the same sight, step after step.
    fn orders(policy: &mut TargetTracking, seen: Seen, steps: usize) -> Vec<u32> {
        (0..steps).map(|_| policy.order(&seen)).collect()
    }

    fn half(low_factor: f64) -> TargetTracking {
        TargetTracking::new(0.5, low_factor, Step::MINUTE)
    }

    #[test]
    fn out_after_three_datapoints_of_three_and_rounded_up() {
        // 5.75 / 0.5 = 11.5: one and a half more become two.
        assert_eq!(orders(&mut half(0.9), seen(5.75, 10, 0), 4), [10, 10, 12, 12]);
    }

    #[test]
    fn in_after_fifteen_of_fifteen_and_the_removal_rounded_down() {
        // 4.25 / 0.5 = 8.5: one and a half less become one.
        let found = orders(&mut half(0.9), seen(4.25, 10, 0), 16);
        assert_eq!((&found[..14], found[14]), (&[10; 14][..], 9));
        assert_eq!(found[15], 10, "a cooldown of five minutes lies between two removals");
    }

    #[test]
    fn the_low_alarm_stands_at_its_share_of_the_target() {
        // 42.5 % of 50 %: below 0.9 of it, above 0.7.
        assert_eq!(orders(&mut half(0.7), seen(4.25, 10, 0), 20), [10; 20]);
        assert_eq!(orders(&mut half(0.7), seen(3.4, 10, 0), 15)[14], 7);
    }

    #[test]
    fn nothing_is_taken_away_while_a_unit_warms_up() {
        let mut policy = half(0.9);
        assert_eq!(orders(&mut policy, seen(2.0, 9, 1), 20), [10; 20]);
        assert_eq!(policy.order(&seen(2.0, 10, 0)), 4);
    }

    #[test]
    fn units_on_their_way_count_in_the_next_scale_out() {
        // What is in service is above the target; all that is needed was ordered.
        assert_eq!(orders(&mut half(0.9), seen(5.0, 6, 4), 5), [10; 5]);
        assert_eq!(orders(&mut half(0.9), seen(6.0, 6, 4), 3), [10, 10, 12]);
    }

    #[test]
    fn a_missing_datapoint_leaves_both_alarms_without_data() {
        let missing = Seen { load: None, in_service: 10, pending: 0 };
        let mut policy = half(0.9);
        assert_eq!(orders(&mut policy, seen(8.0, 10, 0), 2), [10, 10]);
        assert_eq!(policy.order(&missing), 10);
        assert_eq!(orders(&mut policy, seen(8.0, 10, 0), 3), [10, 10, 16]);
    }

    #[test]
    fn coarse_datapoints_count_for_the_minutes_they_cover() {
        let mut policy = TargetTracking::new(0.5, 0.9, Step::FIVE_MINUTES);
        assert_eq!(policy.order(&seen(6.0, 10, 0)), 12);
        assert_eq!(orders(&mut policy, seen(2.0, 12, 0), 3), [12, 12, 4]);
    }
}
