//! What the linear model sees of a series at an origin, every entry free of unit and level.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use crate::frame::Frame;

/// Which features are taken, in samples of the series they were made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Features {
    /// Earlier values, as distances from the origin.
    lags: Vec<usize>,
    /// Lengths of trailing windows.
    windows: Vec<usize>,
    /// Steps ahead whose counterpart yesterday and last week is looked up.
    anchors: Vec<usize>,
    /// Steps ahead whose smoothed counterpart over the last days is looked up.
    smooth_anchors: Vec<usize>,
    /// Half width of smoothing.
    half: usize,
    /// Whether last week is looked at.
    weekly: bool,
    /// Whether the time of day is looked at.
    daily: bool,
}

/// At most `count` of the steps `1..=reach`, evenly spread, the last always among them.
fn spread_steps(reach: usize, count: usize) -> Vec<usize> {
    let count = count.min(reach);
    let mut steps: Vec<usize> = (1..=count).map(|k| (k * reach).div_ceil(count).max(1)).collect();
    steps.dedup();
    steps
}

impl Features {
    /// Features for a horizon of `reach` steps of `step_seconds`, given `days` of history.
    pub(crate) fn new(step_seconds: u32, reach: usize, days: usize) -> Features {
        let fine = step_seconds < 300;
        let lags: &[usize] = if fine {
            &[1, 2, 3, 4, 5, 7, 9, 11, 14, 19, 24, 29, 39, 49, 59]
        } else {
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        };
        let windows: &[usize] =
            if fine { &[3, 5, 10, 20, 40, 90, 180] } else { &[3, 6, 12, 24, 36, 72] };
        let half = (900 / step_seconds as usize).max(1);
        Features {
            lags: lags.to_vec(),
            windows: windows.to_vec(),
            anchors: spread_steps(reach, 12),
            smooth_anchors: spread_steps(reach, 4),
            half,
            weekly: days >= 9,
            daily: days >= 2,
        }
    }

    /// Appends the features at origin `t` of `frame` to `row`; uses samples up to `t` alone.
    pub(crate) fn append(&self, frame: &Frame, t: usize, scale: f64, row: &mut Vec<f64>) {
        let now = frame.y[t];
        row.extend(self.lags.iter().map(|&k| (frame.y[t.saturating_sub(k)] - now) / scale));
        row.extend(
            self.windows
                .iter()
                .map(|&k| (frame.mean((t + 1).saturating_sub(k), t + 1) - now) / scale),
        );
        row.extend(self.windows.iter().step_by(2).map(|&k| frame.roughness(t, k.max(6)) / scale));
        row.push(frame.roughness(t, frame.day) / scale);
        let rise = (now - frame.y[t.saturating_sub(1)]) / scale;
        let above = (now - frame.mean((t + 1).saturating_sub(self.windows[2]), t + 1)) / scale;
        row.push(rise.max(0.0));
        row.push(above.max(0.0));
        let day_mean = frame.mean((t + 1).saturating_sub(frame.day), t + 1);
        row.push((day_mean - now) / scale);
        row.push((now - frame.zero) / scale);
        if self.daily {
            self.append_daily(frame, t, scale, row);
        }
        if self.weekly {
            self.append_weekly(frame, t, scale, row);
        }
    }

    fn append_daily(&self, frame: &Frame, t: usize, scale: f64, row: &mut Vec<f64>) {
        let now = frame.y[t];
        let base = frame.one_season_back(t, 0, frame.day).map_or(now, |b| frame.y[b]);
        for &ahead in &self.anchors {
            let then = frame.one_season_back(t, ahead, frame.day).map_or(base, |i| frame.y[i]);
            row.push((then - base) / scale);
        }
        let here = self.days_mean(frame, t, 0);
        for &ahead in &self.smooth_anchors {
            row.push((self.smooth_yesterday(frame, t, ahead) - now) / scale);
            row.push((self.days_mean(frame, t, ahead) - here) / scale);
        }
        row.push((here - now) / scale);
        row.push((base - now) / scale);
        let reach = self.smooth_anchors.last().copied().unwrap_or(1);
        let turn =
            frame.local_seconds(t, reach.div_ceil(2)).rem_euclid(86_400) as f64 / 86_400.0 * TAU;
        for harmonic in [1.0, 2.0, 3.0] {
            row.push((harmonic * turn).sin());
            row.push((harmonic * turn).cos());
        }
    }

    fn append_weekly(&self, frame: &Frame, t: usize, scale: f64, row: &mut Vec<f64>) {
        let now = frame.y[t];
        let here = self.smooth(frame, t, frame.one_season_back(t, 0, frame.week)).unwrap_or(now);
        for &ahead in &self.smooth_anchors {
            let at = frame.one_season_back(t, ahead, frame.week);
            let then = self.smooth(frame, t, at);
            row.push(then.map_or(0.0, |then| (then - here) / scale));
        }
        row.push((here - now) / scale);
        let weekday = frame.weekday(t);
        row.extend((1..7).map(|d| f64::from(u8::from(weekday == d))));
    }

    /// Mean around `at`, never beyond the origin `t`.
    fn smooth(&self, frame: &Frame, t: usize, at: Option<usize>) -> Option<f64> {
        let at = at?;
        Some(frame.mean(at.saturating_sub(self.half), (at + self.half + 1).min(t + 1)))
    }

    fn smooth_yesterday(&self, frame: &Frame, t: usize, ahead: usize) -> f64 {
        let at = frame.one_season_back(t, ahead, frame.day);
        self.smooth(frame, t, at).unwrap_or(frame.y[t])
    }

    /// Mean around the same time of the last seven days, as far as history goes.
    fn days_mean(&self, frame: &Frame, t: usize, ahead: usize) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for days in 1..=7 {
            let at = frame.seasons_back(t, ahead, frame.day, days);
            if let Some(value) = self.smooth(frame, t, at) {
                sum += value;
                count += 1.0;
            }
        }
        if count > 0.0 { sum / count } else { frame.y[t] }
    }
}
