//! What models learn from: origins, and what came after each of them.

use super::Point;
use crate::frame::{Frame, Space, tamed};
use crate::{Series, SeriesFault, Target};

/// Rows beyond this are thinned out evenly: more do not make the regression better, only slower.
pub(crate) const ROWS_MAX: usize = 5000;

/// The longest history looked at; older load says little about tomorrow's.
pub(crate) const HISTORY_DAYS_MAX: usize = 56;

/// Fewest rows any model is calibrated on.
pub(crate) const ROWS_MIN: usize = 24;

/// A model's forecasts for rows it was not fitted to: row by row, target by target, NaN where
/// there is none.
pub(crate) struct HeldOut {
    pub(crate) points: Vec<Point>,
}

/// Origins and truths of one series.
pub(crate) struct Training<'a> {
    series: &'a Series,
    /// Grid points `first..until` are looked at.
    first: usize,
    until: usize,
    /// Origins as indexes of the frames made by [`Training::frame`], ascending.
    pub(crate) rows: Vec<usize>,
    pub(crate) targets: &'a [Target],
    /// The truth, row by row, target by target, in demand.
    pub(crate) truths: Vec<f64>,
    /// Whether that truth was seen; unseen ones are filled values.
    pub(crate) known: Vec<bool>,
    /// Whether that truth is a lower bound.
    pub(crate) bounds: Vec<bool>,
}

impl<'a> Training<'a> {
    /// The settled part of `series`.
    pub(crate) fn new(
        series: &'a Series,
        targets: &'a [Target],
    ) -> Result<Training<'a>, SeriesFault> {
        let until = series.settled_len();
        let day = series.day();
        let reach = targets.iter().map(|target| target.reach()).max().unwrap_or(1);
        let first = until.saturating_sub(HISTORY_DAYS_MAX.saturating_mul(day));
        let length = until - first;
        let needed = reach + ROWS_MIN + 2;
        if length < needed {
            return Err(SeriesFault::too_short(length, needed, series.step()));
        }
        // Origins with a day before them, once that leaves most of the history.
        let lead_in = if length > 3 * day { day } else { 1 };
        let (lead_in, last) = (lead_in.min(length - reach - ROWS_MIN), length - reach);
        let stride = odd_stride((last - lead_in).div_ceil(ROWS_MAX));
        let mut training = Training {
            series,
            first,
            until,
            rows: Vec::new(),
            targets,
            truths: Vec::new(),
            known: Vec::new(),
            bounds: Vec::new(),
        };
        // What is learned is no more absurd than what it is learned from.
        let known = tamed(&series.filled()[first..until], day);
        let caps: Vec<f64> = known.map(|(_, ceiling)| ceiling).collect();
        let mut row = lead_in + (last - 1 - lead_in) % stride;
        while row < last {
            training.take(row, caps[row.max(day.min(last))]);
            row += stride;
        }
        if training.rows.len() < ROWS_MIN {
            let usable = training.rows.len();
            return Err(SeriesFault::too_short(usable, needed, series.step()));
        }
        Ok(training)
    }

    /// Takes an origin, unless too much of what came after it, or the origin itself, was not
    /// seen. Truths count for at most `cap`.
    fn take(&mut self, row: usize, cap: f64) {
        let origin = self.first + row;
        if self.series.get(origin).is_none() {
            return;
        }
        let truths: Vec<_> =
            self.targets.iter().map(|target| target.truth(self.series, origin)).collect();
        let known = truths.iter().filter(|truth| truth.known).count();
        if known * 5 < truths.len() * 2 {
            return;
        }
        self.rows.push(row);
        self.truths.extend(truths.iter().map(|truth| truth.value.min(cap)));
        self.known.extend(truths.iter().map(|truth| truth.known));
        self.bounds.extend(truths.iter().map(|truth| truth.lower_bound));
    }

    /// The history in `space`.
    pub(crate) fn frame(&self, space: Space) -> Frame {
        Frame::new(self.series, space, self.first, self.until)
    }

    /// Days of history.
    pub(crate) fn days(&self) -> usize {
        (self.until - self.first) / self.series.day()
    }

    pub(crate) fn step_seconds(&self) -> u32 {
        self.series.step().seconds()
    }

    pub(crate) fn reach(&self) -> usize {
        self.targets.iter().map(|target| target.reach()).max().unwrap_or(1)
    }

    /// Rows that a model forecast without having been fitted to them, and what became of them.
    pub(crate) fn errors(&self, space: Space, held_out: &HeldOut) -> Vec<f64> {
        let pairs = self.truths.iter().zip(&held_out.points).enumerate();
        let error = |(cell, (&truth, point)): (usize, (&f64, &Point))| {
            let error = (space.enter(truth) - point.centre) / point.spread;
            if self.usable(cell, error) { error } else { f64::NAN }
        };
        pairs.map(error).collect()
    }

    /// Whether the error of this truth may be calibrated on: it was seen, and a lower bound only
    /// where it shows that the forecast was too low.
    pub(crate) fn usable(&self, cell: usize, error: f64) -> bool {
        self.known[cell] && (!self.bounds[cell] || error > 0.0) && error.is_finite()
    }
}

/// At least `least`, and sharing no factor with any count of minutes a job may repeat at, so
/// that thinned origins fall on every minute of the hour in turn.
fn odd_stride(least: usize) -> usize {
    [1, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]
        .into_iter()
        .find(|&stride| stride >= least)
        .unwrap_or(least)
}
