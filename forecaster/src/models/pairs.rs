//! Rows for the boosted trees: an origin and one of its targets each, cut into bins.

use std::array::from_fn;

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::training::Training;
use crate::Target;
use crate::frame::{Frame, Space};

/// Pairs drawn from a history. More make the trees slightly better and every fit slower.
const PAIRS: usize = 9000;

/// Bins a feature is cut into, and the pairs whose values say where.
pub(super) const BINS: usize = 32;
const SAMPLE: usize = 600;

/// Days behind the origin whose mean at the target's time of day is a feature.
const DAYS: usize = 7;
/// Hours behind the target whose mean at its minute is a feature.
const HOURS: usize = 6;

/// What the trees look at, every entry free of unit and level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Look {
    /// Earlier values, as distances from the origin in samples.
    lags: Vec<usize>,
    /// Lengths of trailing windows in samples.
    windows: Vec<usize>,
    /// Samples in an hour, since jobs repeat hourly; 0 for steps longer than that.
    hour: usize,
    /// Half width of smoothing in samples.
    half: usize,
    /// Whether yesterday and the week before are looked at.
    daily: bool,
    weekly: bool,
}

impl Look {
    fn new(step_seconds: u32, days: usize) -> Look {
        let fine = step_seconds < 300;
        let lags: &[usize] =
            if fine { &[1, 2, 3, 5, 9, 14, 29, 59] } else { &[1, 2, 3, 4, 6, 8, 11] };
        let windows: &[usize] = if fine { &[5, 15, 60, 180] } else { &[3, 12, 36, 72] };
        Look {
            lags: lags.to_vec(),
            windows: windows.to_vec(),
            hour: 3600 / step_seconds as usize,
            half: (900 / step_seconds as usize).max(1),
            daily: days >= 2,
            weekly: days >= 8,
        }
    }

    /// The features that all targets of origin `t` share; uses samples up to `t` alone.
    pub(super) fn origin(&self, frame: &Frame, t: usize, row: &mut Vec<f32>) {
        let (now, scale) = (frame.y[t], frame.scale(t));
        let mut put = |value: f64| row.push((value / scale) as f32);
        for &lag in &self.lags {
            put(frame.y[t.saturating_sub(lag)] - now);
        }
        for &window in &self.windows {
            let from = (t + 1).saturating_sub(window);
            let part = &frame.y[from..=t];
            let (low, high) =
                part.iter().fold((now, now), |(low, high), &v| (low.min(v), high.max(v)));
            put(frame.mean(from, t + 1) - now);
            put(high - now);
            put(now - low);
            put(frame.roughness(t, window));
        }
        put(frame.mean((t + 1).saturating_sub(frame.day), t + 1) - now);
        put(now - frame.zero);
    }

    /// The features of one target of origin `t`.
    pub(super) fn target(&self, frame: &Frame, t: usize, target: Target, row: &mut Vec<f32>) {
        let (now, scale) = (frame.y[t], frame.scale(t));
        let reach = target.reach();
        let seconds = frame.local_seconds(t, reach);
        row.push(reach as f32);
        row.push(seconds.rem_euclid(86_400) as f32);
        // Jobs repeat within the hour as well.
        row.push(seconds.rem_euclid(3600) as f32);
        let mut put = |value: f64| row.push((value / scale) as f32);
        if self.hour > 0 {
            let back = |nth: usize| {
                let back = self.hour * (reach.div_ceil(self.hour) + nth - 1);
                (t + reach).checked_sub(back).map_or(now, |index| frame.y[index])
            };
            put(back(1) - now);
            put(back(2) - now);
            put((1..=HOURS).map(back).sum::<f64>() / HOURS as f64 - now);
        }
        if self.daily {
            let then = |period, nth| highest_then(frame, t, target, period, nth);
            let days_back: [Option<f64>; DAYS] = from_fn(|back| then(frame.day, back + 1));
            let week_back = self.weekly.then(|| (frame.week, 1, then(frame.week, 1)));
            let seasons = [(frame.day, 1, days_back[0]), (frame.day, 2, days_back[1])];
            for (period, nth, then) in seasons.into_iter().chain(week_back) {
                let base = frame.seasons_back(t, 0, period, nth).map_or(now, |i| frame.y[i]);
                put(then.map_or(0.0, |then| then - base));
                put(then.map_or(0.0, |then| then - now));
            }
            let smooth = |at: usize| {
                frame.mean(at.saturating_sub(self.half), (at + self.half + 1).min(t + 1))
            };
            let back = |nth| frame.seasons_back(t, reach, frame.day, nth).map(smooth);
            let base = frame.one_season_back(t, 0, frame.day).map_or(now, |i| frame.y[i]);
            put(back(1).map_or(0.0, |then| then - base));
            let days = (1..=DAYS).filter_map(back);
            let (sum, count) = days.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
            put(if count > 0.0 { sum / count - now } else { 0.0 });
            let mut days: Vec<f64> = days_back.into_iter().flatten().collect();
            days.sort_by(f64::total_cmp);
            for day in [days.first(), days.get(days.len() / 2), days.last()] {
                put(day.map_or(0.0, |then| then - now));
            }
        }
        if self.weekly {
            row.push(frame.weekday(t) as f32);
        }
    }
}

/// The target `nth` seasons before.
fn highest_then(frame: &Frame, t: usize, target: Target, period: usize, nth: usize) -> Option<f64> {
    (target.first()..=target.reach())
        .filter_map(|ahead| frame.seasons_back(t, ahead, period, nth))
        .map(|index| frame.y[index])
        .reduce(f64::max)
}

/// Pairs of origin and target in the order of origins, with what came of them.
pub(crate) struct Pairs {
    pub(super) space: Space,
    pub(super) look: Look,
    /// Features a pair.
    pub(super) width: usize,
    /// The training row of each pair.
    rows: Vec<usize>,
    /// The change from the origin in units of its scale.
    pub(super) changes: Vec<f32>,
    /// The bin of each feature, pair by pair.
    pub(super) bins: Vec<u8>,
    /// `BINS - 1` thresholds a feature, rising; a value up to the n-th is in bin n or before.
    thresholds: Vec<f32>,
}

impl Pairs {
    /// Draws pairs evenly from the rows of `training`, each with a target at random.
    pub(crate) fn new(training: &Training<'_>, frame: &Frame) -> Pairs {
        let look = Look::new(training.step_seconds(), training.days());
        let targets = training.targets.len();
        let mut random = Random::new();
        let (mut rows, mut changes, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..PAIRS {
            let row = n * training.rows.len() / PAIRS;
            let k = random.below(targets);
            let cell = row * targets + k;
            let t = training.rows[row];
            let truth = frame.space.enter(training.truths[cell]);
            let change = (truth - frame.y[t]) / frame.scale(t);
            // A lower bound teaches no fall.
            if training.known[cell] && (!training.bounds[cell] || change >= 0.0) {
                look.origin(frame, t, &mut values);
                look.target(frame, t, training.targets[k], &mut values);
                rows.push(row);
                changes.push(change as f32);
            }
        }
        let width = values.len() / rows.len().max(1);
        let (bins, thresholds) = bin(&values, width);
        Pairs { space: frame.space, look, width, rows, changes, bins, thresholds }
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many pairs come from training rows before `row`.
    pub(crate) fn before(&self, row: usize) -> usize {
        self.rows.partition_point(|&of| of < row)
    }

    /// The bins of pair `i`.
    pub(super) fn bins_of(&self, i: usize) -> &[u8] {
        &self.bins[i * self.width..(i + 1) * self.width]
    }

    /// Where the `bin`-th bin of a feature ends.
    pub(super) fn threshold(&self, feature: usize, bin: u8) -> f32 {
        self.thresholds[feature * (BINS - 1) + usize::from(bin)]
    }
}

/// Cuts every feature at quantiles of a sample of its values.
fn bin(values: &[f32], width: usize) -> (Vec<u8>, Vec<f32>) {
    let count = values.len() / width.max(1);
    let stride = count.div_ceil(SAMPLE).max(1);
    let mut thresholds = Vec::with_capacity(width * (BINS - 1));
    for feature in 0..width {
        let of_feature = values.iter().skip(feature).step_by(width * stride);
        let mut sample: Vec<f32> = of_feature.copied().collect();
        sample.sort_by(f32::total_cmp);
        let last = sample.len() - 1;
        thresholds.extend((1..BINS).map(|cut| {
            let at = cut * sample.len() / BINS;
            0.5 * (sample[at.min(last)] + sample[at.saturating_sub(1)])
        }));
    }
    let mut bins = Vec::with_capacity(values.len());
    for row in values.chunks(width.max(1)) {
        for (value, thresholds) in row.iter().zip(thresholds.chunks_exact(BINS - 1)) {
            // Counting all is quicker than halving: it needs no guess.
            bins.push(thresholds.iter().map(|threshold| u8::from(threshold < value)).sum());
        }
    }
    (bins, thresholds)
}
