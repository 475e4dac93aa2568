//! AWS predictive scaling: an hourly forecast in front of target tracking.
//!
//! As documented: from fourteen days of load a forecast by the hour, made anew every six hours;
//! capacity for an hour is its load by the target, ordered ahead of the hour; the group gets the
//! larger of it and of what target tracking asks for. It never lowers. What model makes the
//! forecast is not published. The stand-in here is a seasonal one: [`expected`].

use fleet::Seconds;
use forecaster::Series;

use super::{Baseline, Seen, TargetTracking, units_for};

const HISTORY_HOURS: usize = 14 * 24;
const REDONE_EVERY_HOURS: usize = 6;
/// So far ahead that the hour after the next forecast is in it, too.
const AHEAD_HOURS: usize = 13;
/// Ordered so much ahead of the hour, beside the time to boot.
const BUFFER: Seconds = Seconds::minutes(5);
const HOUR: i64 = 3600;
const DAY_HOURS: usize = 24;
const WEEK_HOURS: usize = 7 * DAY_HOURS;

/// Load ahead by step, as it was forecast by then: never from samples that came later.
#[derive(Clone, Debug, PartialEq)]
pub struct HourlyForecast {
    /// By step of the series; `None` before the first forecast.
    ahead: Vec<Option<f64>>,
}

impl HourlyForecast {
    /// Forecasts along `series`, for orders that take `lead_time` to be in service.
    ///
    /// A step is given the higher of what is expected in its own hour and in the hour in which
    /// capacity ordered now is in service. In the series' own unit.
    pub fn along(series: &Series, lead_time: Seconds) -> HourlyForecast {
        let hours = Hours::of(series);
        let mut ahead = vec![None; series.len()];
        let mut made: Option<(usize, Vec<f64>)> = None;
        for (step, slot) in ahead.iter_mut().enumerate() {
            let now = series.start_of(step).0;
            // Hours that are over.
            let known = hours.index(now);
            if known >= DAY_HOURS
                && made.as_ref().is_none_or(|(at, _)| known >= at + REDONE_EVERY_HOURS)
            {
                let from = known.saturating_sub(HISTORY_HOURS);
                made = Some((known, expected(&hours.means[from..known], AHEAD_HOURS)));
            }
            let Some((at, values)) = &made else { continue };
            let serving = now + (lead_time + BUFFER).0 as i64;
            let of = |stamp| values.get(hours.index(stamp).saturating_sub(*at)).or(values.last());
            *slot = [of(now), of(serving)].into_iter().flatten().copied().reduce(f64::max);
        }
        HourlyForecast { ahead }
    }

    /// The load ahead at a step of the series.
    pub fn at(&self, step: usize) -> Option<f64> {
        self.ahead.get(step).copied().flatten()
    }
}

/// Mean load by whole hour of the clock.
struct Hours {
    /// The hour of the first mean, counted from 1970.
    first: i64,
    means: Vec<f64>,
}

impl Hours {
    /// An hour without a sample takes yesterday's value, or else the one before it.
    fn of(series: &Series) -> Hours {
        let first = series.start().0.div_euclid(HOUR);
        let mut sums: Vec<(f64, u32)> = Vec::new();
        for (stamp, value) in series.iter() {
            let index = usize::try_from(stamp.0.div_euclid(HOUR) - first).unwrap_or(0);
            sums.resize(sums.len().max(index + 1), (0.0, 0));
            if let Some(value) = value {
                sums[index].0 += value;
                sums[index].1 += 1;
            }
        }
        let mut means: Vec<f64> = Vec::with_capacity(sums.len());
        for (index, (sum, count)) in sums.into_iter().enumerate() {
            let yesterday = index.checked_sub(DAY_HOURS).map(|index| means[index]);
            let stand_in = yesterday.or(means.last().copied()).unwrap_or(0.0);
            means.push(if count > 0 { sum / f64::from(count) } else { stand_in });
        }
        Hours { first, means }
    }

    /// The place of the hour that holds `stamp`: so many hours are over by then.
    fn index(&self, stamp: i64) -> usize {
        usize::try_from(stamp.div_euclid(HOUR) - self.first).unwrap_or(0)
    }
}

/// The hours after `known`: the mean of the same hour of the week over two weeks (of the day over
/// up to three days while there is no whole week), moved by how far the last day lay from what the
/// same rule would have expected of it.
///
/// A seasonal naive forecast with its level adjusted; AWS's own model is not published.
pub fn expected(known: &[f64], hours: usize) -> Vec<f64> {
    let (season, seasons) =
        if known.len() >= WEEK_HOURS + DAY_HOURS { (WEEK_HOURS, 2) } else { (DAY_HOURS, 3) };
    let shape = |hour: usize| {
        let earlier = (1..=seasons).filter_map(|ago| known.get(hour.checked_sub(ago * season)?));
        let values: Vec<f64> = earlier.copied().collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let last_day = known.len().saturating_sub(DAY_HOURS)..known.len();
    let pairs: Vec<(f64, f64)> =
        last_day.filter_map(|hour| Some((known[hour], shape(hour)?))).collect();
    let moved = pairs.iter().map(|(was, shaped)| was - shaped).sum::<f64>();
    let level = moved / pairs.len().max(1) as f64;
    let newest = known.last().copied().unwrap_or(0.0);
    let ahead = known.len()..known.len() + hours;
    ahead.map(|hour| shape(hour).map_or(newest, |shaped| (shaped + level).max(0.0))).collect()
}

/// What happens where a forecast asks for more than the group's maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxCapacity {
    /// The maximum holds (`HonorMaxCapacity`).
    #[default]
    Honor,
    /// It gives way to the forecast and so many percent beyond it (`IncreaseMaxCapacity`).
    Increase {
        /// `MaxCapacityBuffer`.
        buffer_percent: u32,
    },
}

impl MaxCapacity {
    /// The maximum in force while a forecast asks for `forecast` units.
    pub fn in_force(self, max: u32, forecast: u32) -> u32 {
        match self {
            MaxCapacity::Honor => max,
            MaxCapacity::Increase { buffer_percent } => {
                let buffered = u64::from(forecast) * (100 + u64::from(buffer_percent));
                max.max(u32::try_from(buffered.div_ceil(100)).unwrap_or(u32::MAX))
            }
        }
    }
}

/// Predictive scaling and target tracking on one group.
#[derive(Clone, Debug)]
pub struct Predictive {
    tracking: TargetTracking,
    target: f64,
    /// Load ahead in what one unit can carry, by step.
    ahead: Vec<Option<f64>>,
    step: usize,
    max_capacity: MaxCapacity,
}

impl Predictive {
    /// Both at `target`; `ahead` is the forecast load from the first step on, in units of what one
    /// unit can carry.
    pub fn new(
        tracking: TargetTracking,
        target: f64,
        ahead: Vec<Option<f64>>,
        max_capacity: MaxCapacity,
    ) -> Predictive {
        Predictive { tracking, target, ahead, step: 0, max_capacity }
    }

    /// What the forecast asks for at the step that is due.
    fn floor(&self) -> u32 {
        let ahead = self.ahead.get(self.step).copied().flatten();
        ahead.map_or(1, |load| units_for(load, self.target))
    }
}

impl Baseline for Predictive {
    fn at_rest(&self, load: f64) -> u32 {
        self.tracking.at_rest(load)
    }

    fn max_in_force(&self, max: u32) -> u32 {
        self.max_capacity.in_force(max, self.floor())
    }

    fn order(&mut self, seen: &Seen) -> u32 {
        let tracked = self.tracking.order(seen);
        let floor = self.floor();
        self.step += 1;
        tracked.max(floor)
    }
}

#[cfg(test)]
mod tests {
    use fleet::{Step, Timestamp};

    use super::*;

    fn tracking(target: f64) -> TargetTracking {
        TargetTracking::new(target, 0.9, Step::MINUTE)
    }

    #[test]
    fn the_larger_of_both_is_ordered() {
        let ahead = vec![Some(4.0), Some(6.0), None];
        let mut policy = Predictive::new(tracking(0.5), 0.5, ahead, MaxCapacity::Honor);
        let seen = Seen { load: Some(5.0), in_service: 10, pending: 0 };
        let found: Vec<u32> = (0..3).map(|_| policy.order(&seen)).collect();
        assert_eq!(found, [10, 12, 10], "8, 12 and nothing are forecast, 10 is there");
    }

    #[test]
    fn the_maximum_gives_way_to_a_forecast_and_its_buffer_where_asked() {
        let increase = MaxCapacity::Increase { buffer_percent: 10 };
        assert_eq!(increase.in_force(40, 50), 55);
        assert_eq!(increase.in_force(40, 30), 40);
        assert_eq!(MaxCapacity::Honor.in_force(40, 50), 40);
    }

    #[test]
    fn two_weeks_of_rhythm_come_again_at_their_level() {
        let load = |hour: usize, level: f64| level + if hour % 24 == 9 { 50.0 } else { 0.0 };
        let known: Vec<f64> =
            (0..336).map(|hour| load(hour, if hour < 312 { 10.0 } else { 14.0 })).collect();
        let found = expected(&known, 12);
        assert_eq!((found[8], found[9], found[10]), (14.0, 64.0, 14.0));
    }

    #[test]
    fn less_than_a_week_is_forecast_by_the_day() {
        let known: Vec<f64> = (0..48).map(|hour| f64::from(hour % 24)).collect();
        assert_eq!(expected(&known, 5), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(expected(&[3.0], 2), [3.0, 3.0]);
    }

    #[test]
    fn a_forecast_is_redone_every_six_hours_and_looks_past_the_lead_time() {
        // Days of steps: an hour of 100 at nine, else 10.
        let values = (0..3 * 288).map(|n| Some(if n % 288 / 12 == 9 { 100.0 } else { 10.0 }));
        let step = Step::FIVE_MINUTES;
        let series = Series::from_values(Timestamp(0), step, values).unwrap();
        let forecast = HourlyForecast::along(&series, Seconds::minutes(10));
        assert_eq!(forecast.at(287), None, "no day is over");
        let day = |hour: usize, minute: usize| forecast.at(288 + hour * 12 + minute / 5).unwrap();
        assert_eq!((day(8, 40), day(8, 45), day(9, 55), day(10, 0)), (10.0, 100.0, 100.0, 10.0));
    }

    #[test]
    fn no_forecast_sees_a_sample_that_came_later() {
        let values = |change: usize| {
            let load =
                move |n: usize| 10.0 + (n % 288) as f64 + if n >= change { 500.0 } else { 0.0 };
            (0..4 * 288).map(|n| Some(load(n))).collect::<Vec<_>>()
        };
        let along = |change| {
            let series = Series::from_values(Timestamp(0), Step::FIVE_MINUTES, values(change));
            HourlyForecast::along(&series.unwrap(), Seconds::minutes(10))
        };
        let (one, two) = (along(700), along(900));
        assert_eq!(one.ahead[..=700], two.ahead[..=700]);
        assert_ne!(one.ahead[700..], two.ahead[700..]);
    }
}
