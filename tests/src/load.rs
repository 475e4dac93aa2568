//! The load that the tests drive: recorded days where the repository's neighbour has them, else made from a seed.

use std::fs;
use std::path::Path;

use fleet::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::peers::Point;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// Demand by the minute: how much came in each, from `start` on.
#[derive(Clone, Debug)]
pub struct Load {
    /// The first minute.
    pub start: Timestamp,
    /// The sum of each minute; never negative.
    pub values: Vec<f64>,
    /// What it is, for messages.
    pub origin: String,
}

impl Load {
    /// `days` days that end at `end`, recorded if there are any, else generated.
    ///
    /// Recorded days keep their weekday and time of day.
    pub fn days(days: i64, end: Timestamp) -> Load {
        Load::recorded(days, end).unwrap_or_else(|| Load::generated(days, end, 7))
    }

    /// The last `days` days of a public trace of web requests that end at `end`, once it is moved
    /// by whole weeks; `None` where the trace is not there.
    pub fn recorded(days: i64, end: Timestamp) -> Option<Load> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("..").join("shared");
        let text = fs::read_to_string(folder.join("traces").join("wc98_spring.csv")).ok()?;
        let rows: Vec<(Timestamp, f64)> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','))
            .filter_map(|(stamp, value)| Some((Timestamp::parse(stamp)?, value.parse().ok()?)))
            .collect();
        let last = rows.last()?.0;
        let shift = -(last.0 + MINUTE - end.0).div_euclid(WEEK) * WEEK;
        let start = Timestamp(end.0 - days * DAY);
        let count = usize::try_from((end.0 - start.0) / MINUTE).ok()?;
        let mut values = vec![f64::NAN; count];
        for (stamp, value) in rows {
            let place = (stamp.0 + shift - start.0).div_euclid(MINUTE);
            if let Some(slot) = usize::try_from(place).ok().and_then(|n| values.get_mut(n)) {
                *slot = value;
            }
        }
        let mut known = 0.0;
        for value in &mut values {
            if value.is_nan() {
                *value = known;
            }
            known = *value;
        }
        Some(Load { start, values, origin: "wc98_spring".into() })
    }

    /// `days` days that end at `end`, from a seed: nights, mornings that rise fast, lunch, evenings
    /// and quiet weekends, with noise that has a memory.
    pub fn generated(days: i64, end: Timestamp, seed: u64) -> Load {
        Load::shaped(days, end, seed, &DAY_SHAPE)
    }

    /// The same with days that jump: shops that open, sales and batches that begin on the minute.
    pub fn jumping(days: i64, end: Timestamp, seed: u64) -> Load {
        Load::shaped(days, end, seed, &JUMPING_SHAPE)
    }

    fn shaped(days: i64, end: Timestamp, seed: u64, day: &[(f64, f64)]) -> Load {
        let start = Timestamp(end.0 - days * DAY);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drift = 0.0;
        let count = days * DAY / MINUTE;
        let values = (0..count)
            .map(|n| {
                let at = start.0 + n * MINUTE;
                drift = 0.97 * drift + rng.random_range(-0.008..0.008);
                let noise = rng.random_range(-0.03..0.03);
                (3_000.0 * shape(day, at) * (1.0 + drift + noise)).max(0.0).round()
            })
            .collect();
        Load { start, values, origin: format!("generated from seed {seed}") }
    }

    /// The end of the last minute.
    pub fn end(&self) -> Timestamp {
        Timestamp(self.start.0 + self.values.len() as i64 * MINUTE)
    }

    /// What came in the minute that begins at `at`.
    pub fn at(&self, at: Timestamp) -> Option<f64> {
        let place = (at.0 - self.start.0).div_euclid(MINUTE);
        self.values.get(usize::try_from(place).ok()?).copied()
    }

    /// The minutes that begin in `[from, to)`, as points of a metric.
    pub fn points(&self, from: Timestamp, to: Timestamp) -> Vec<Point> {
        let first = (from.0 - self.start.0 + MINUTE - 1).div_euclid(MINUTE).max(0);
        let stamps = (first..).map(|n| Timestamp(self.start.0 + n * MINUTE));
        stamps
            .take_while(|stamp| *stamp < to)
            .map_while(|start| Some(Point { start, value: self.at(start)? }))
            .collect()
    }

    /// The level that `share` of the minutes stay below.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share) as usize]
    }
}

/// Hours of a day and shares of the peak: `08:30` is the steepest quarter of an hour.
const DAY_SHAPE: [(f64, f64); 14] = [
    (0.0, 0.16),
    (5.5, 0.12),
    (7.0, 0.22),
    (8.5, 0.34),
    (8.9, 0.78),
    (11.0, 0.92),
    (12.0, 0.70),
    (13.0, 0.66),
    (13.3, 0.94),
    (17.0, 1.00),
    (18.0, 0.55),
    (19.5, 0.42),
    (19.9, 0.72),
    (22.5, 0.60),
];

/// Jumps at 02:00, 08:30, 13:00, 16:00 and 20:00, each within three minutes.
const JUMPING_SHAPE: [(f64, f64); 17] = [
    (0.0, 0.16),
    (2.0, 0.14),
    (2.05, 0.45),
    (2.8, 0.45),
    (3.2, 0.14),
    (8.5, 0.25),
    (8.55, 0.70),
    (12.0, 0.55),
    (13.0, 0.50),
    (13.05, 0.85),
    (15.0, 0.60),
    (16.0, 0.50),
    (16.05, 1.00),
    (17.5, 0.45),
    (20.0, 0.35),
    (20.05, 0.80),
    (22.0, 0.30),
];

/// The share of the peak at a time of the week.
fn shape(day: &[(f64, f64)], at: i64) -> f64 {
    let hour = (at.rem_euclid(DAY)) as f64 / 3_600.0;
    let after = day.iter().position(|(h, _)| *h > hour).unwrap_or(day.len());
    let (h0, v0) = day[after - 1];
    let (h1, v1) = day.get(after).copied().unwrap_or((24.0, day[0].1));
    let level = v0 + (v1 - v0) * (hour - h0) / (h1 - h0);
    // Day 0 was a Thursday, so days 2 and 3 of each week are its weekend.
    let weekend = matches!(at.div_euclid(DAY).rem_euclid(7), 2 | 3);
    if weekend { 0.12 + 0.4 * level } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp(1_772_409_600);

    #[test]
    fn the_same_seed_makes_the_same_days() {
        let (one, two) = (Load::generated(2, END, 1), Load::generated(2, END, 1));
        assert_eq!(one.values, two.values);
        assert_ne!(one.values, Load::generated(2, END, 2).values);
        assert_eq!(one.values.len(), 2 * 1440);
        assert_eq!(one.end(), END);
    }

    #[test]
    fn points_are_the_minutes_asked_for() {
        let load = Load::generated(1, END, 1);
        let points = load.points(Timestamp(END.0 - 150), Timestamp(END.0 + 600));
        let stamps: Vec<i64> = points.iter().map(|point| END.0 - point.start.0).collect();
        assert_eq!(stamps, [120, 60]);
        assert_eq!(points[1].value, load.values[1439]);
    }

    #[test]
    fn a_morning_rises_and_a_weekend_is_quiet() {
        let monday = END.0;
        assert!(
            shape(&DAY_SHAPE, monday + 9 * 3_600) > 2.0 * shape(&DAY_SHAPE, monday + 8 * 3_600)
        );
        assert!(
            shape(&DAY_SHAPE, monday - DAY + 10 * 3_600)
                < 0.7 * shape(&DAY_SHAPE, monday + 10 * 3_600)
        );
    }
}
