//! The filled tail of a series with running sums, so that window means cost nothing.

use serde::{Deserialize, Serialize};

use crate::{Calendar, Series};

/// The scale a model works in; differences in `Log` are ratios of demand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Space {
    /// The demand itself.
    Plain,
    /// ln(demand + offset).
    Log {
        /// Keeps zero demand finite; above zero.
        offset: f64,
    },
}

impl Space {
    pub(crate) fn enter(self, value: f64) -> f64 {
        match self {
            Space::Plain => value,
            Space::Log { offset } => (value + offset).ln(),
        }
    }

    /// Back to demand. Exponents are bounded so that the result stays finite.
    pub(crate) fn leave(self, value: f64) -> f64 {
        match self {
            Space::Plain => value,
            Space::Log { offset } => value.min(80.0).exp() - offset,
        }
    }
}

/// Samples of history any feature may look back; a frame that reaches further back than this gives
/// the same features as the whole series.
pub(crate) fn lookback(series: &Series) -> usize {
    series.calendar().lookback_days() * series.day() + 1
}

/// A sample counts for at most so many times the highest one before it.
const JUMP_MAX: f64 = 4.0;

/// The samples without what no load does, each with the most that any after it may count for: one
/// absurd value must not make all of a day's changes look small, and a lasting change of level by a
/// thousand is still followed within five samples. The first day has nothing to be judged by.
pub(crate) fn tamed(values: &[f32], day: usize) -> impl Iterator<Item = (f64, f64)> {
    let (mut highest, mut ceiling) = (0.0f64, f64::INFINITY);
    values.iter().enumerate().map(move |(index, &value)| {
        let value = f64::from(value);
        let tamed = if index < day { value } else { value.min(ceiling) };
        highest = highest.max(tamed);
        if highest > 0.0 {
            ceiling = JUMP_MAX * highest;
        }
        (tamed, ceiling)
    })
}

/// A stretch of a series. Indexes `t` count from the frame's own first sample.
pub(crate) struct Frame {
    /// The space of `y`.
    pub(crate) space: Space,
    /// Seconds since the epoch of sample 0.
    start: i64,
    step: i64,
    /// Samples in a day and in a week.
    pub(crate) day: usize,
    pub(crate) week: usize,
    pub(crate) y: Vec<f64>,
    /// Running sum of `y`; `sums[i]` covers the first `i` samples.
    sums: Vec<f64>,
    /// Running sum of absolute one-step changes, likewise.
    moves: Vec<f64>,
    /// Where no demand lies in the frame's space.
    pub(crate) zero: f64,
    relative_floor: f64,
    absolute_floor: f64,
    calendar: Option<Calendar>,
}

impl Frame {
    /// Samples `from..until` of `series` in `space`.
    pub(crate) fn new(series: &Series, space: Space, from: usize, until: usize) -> Frame {
        let tamed = tamed(&series.filled()[from..until], series.day());
        let y: Vec<f64> = tamed.map(|(value, _)| space.enter(value)).collect();
        let mut sums = Vec::with_capacity(y.len() + 1);
        let mut moves = Vec::with_capacity(y.len() + 1);
        let (mut sum, mut moved) = (0.0, 0.0);
        sums.push(0.0);
        moves.push(0.0);
        for (index, &value) in y.iter().enumerate() {
            sum += value;
            moved += (value - y[index.saturating_sub(1)]).abs();
            sums.push(sum);
            moves.push(moved);
        }
        let (relative_floor, absolute_floor) = match space {
            Space::Plain => (1e-3, 1e-9),
            Space::Log { .. } => (0.0, 1e-3),
        };
        let day = series.day();
        Frame {
            space,
            start: series.start_of(from).0,
            step: i64::from(series.step().seconds()),
            day,
            week: day * 7,
            y,
            sums,
            moves,
            zero: space.enter(0.0),
            relative_floor,
            absolute_floor,
            calendar: Some(series.calendar().clone()).filter(|calendar| !calendar.is_empty()),
        }
    }

    /// The highest demand of the stretch.
    pub(crate) fn highest(&self) -> f64 {
        self.space.leave(self.y.iter().copied().fold(self.zero, f64::max))
    }

    /// Samples in `span_seconds`, at least `least`.
    pub(crate) fn samples_in(&self, span_seconds: i64, least: usize) -> usize {
        usize::try_from(span_seconds / self.step).unwrap_or(0).max(least)
    }

    /// Mean of `y[from..until]`; the value before `until` where the range is empty.
    pub(crate) fn mean(&self, from: usize, until: usize) -> f64 {
        if until > from {
            (self.sums[until] - self.sums[from]) / (until - from) as f64
        } else {
            self.y[until.saturating_sub(1)]
        }
    }

    /// Mean absolute one-step change of the `count` samples up to and including `t`.
    pub(crate) fn roughness(&self, t: usize, count: usize) -> f64 {
        let from = (t + 1).saturating_sub(count);
        (self.moves[t + 1] - self.moves[from]) / (t + 1 - from).max(1) as f64
    }

    /// What a usual change is at `t`: the mean absolute one-step change of the last six hours
    /// and of the last day, half each; never zero.
    pub(crate) fn scale(&self, t: usize) -> f64 {
        let short = self.roughness(t, self.samples_in(6 * 3600, 8));
        let long = self.roughness(t, self.day.max(16));
        let level = self.mean((t + 1).saturating_sub(self.day.max(16)), t + 1).abs();
        let usual = self.roughness(t, self.week);
        let floor = self.absolute_floor + self.relative_floor * level + 0.1 * usual;
        (0.5 * short + 0.5 * long).max(floor)
    }

    /// Seconds since the epoch of sample `t + ahead`.
    pub(crate) fn seconds(&self, t: usize, ahead: usize) -> i64 {
        self.start + (t + ahead) as i64 * self.step
    }

    /// The same by the local clock, as if that showed UTC.
    pub(crate) fn local_seconds(&self, t: usize, ahead: usize) -> i64 {
        let at = self.seconds(t, ahead);
        self.calendar.as_ref().map_or(at, |calendar| calendar.local(at))
    }

    /// The weekday of sample `t + 1`, Sunday 0; on a holiday or a make-up working day the one
    /// whose rhythm it follows.
    pub(crate) fn weekday(&self, t: usize) -> i64 {
        let at = self.seconds(t, 1);
        let plain = || (at.div_euclid(86_400) + 4).rem_euclid(7);
        self.calendar.as_ref().map_or_else(plain, |calendar| calendar.weekday(at))
    }

    /// The sample a whole number of `period`s before `t + ahead`, at `t` or earlier; `None` where
    /// history does not reach back so far. With a calendar, the sample of the day that is alike.
    pub(crate) fn one_season_back(&self, t: usize, ahead: usize, period: usize) -> Option<usize> {
        self.seasons_back(t, ahead, period, 1)
    }

    /// The `nth` such sample, from 1: without a calendar `nth - 1` periods earlier.
    pub(crate) fn seasons_back(
        &self,
        t: usize,
        ahead: usize,
        period: usize,
        nth: usize,
    ) -> Option<usize> {
        let weekly = period == self.week;
        let alike = self.calendar.as_ref().and_then(|calendar| {
            calendar.alike(self.seconds(t, ahead), self.seconds(t, 0), weekly, nth)
        });
        let back = period * (ahead.div_ceil(period).max(1) + nth - 1);
        match alike {
            Some(Some(moment)) => {
                usize::try_from(moment.saturating_sub(self.start).div_euclid(self.step)).ok()
            }
            // Nothing alike is within reach: better the plain season than nothing, once.
            Some(None) if nth > 1 => None,
            _ => (t + ahead).checked_sub(back),
        }
    }
}
