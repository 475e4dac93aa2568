//! A fitted set of experts: forecasts targets at levels, and keeps score of itself.

use fleet::{Level, Timestamp};
use serde::{Deserialize, Serialize};

use crate::blend::weights;
use crate::calibrate::track;
use crate::frame::{Frame, Space, lookback};
use crate::models::boosted::Boosted;
use crate::models::training::Training;
use crate::models::{Expert, Point};
use crate::quantiles::{pinball, rearrange};
use crate::select::Choice;
use crate::trial::{Trial, candidates, kinds};
use crate::{ModelKind, Series, SeriesFault, Target};

/// How far one error moves the tracked quantiles, in units of the forecast's width.
const TRACK_GAIN: f64 = 0.01;

/// A forecast stays below so many times the highest demand of the last week: beyond that an error
/// of quiet days was multiplied by the unrest of now.
const CEILING: f64 = 4.0;

/// Forecasts that must have come due before experts are weighed by them instead of by a backtest.
const RECORD_MIN: u64 = 100;

/// The level whose coverage is recorded.
const COVERED_LEVEL: f64 = 0.9;

/// Tracked quantiles stay within so many widths.
const SHIFT_MAX: f64 = 3.0;

/// An expert with its calibration and its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    kind: ModelKind,
    model: Model,
    /// Whether it takes part in the forecast; the yardstick may only be scored.
    voting: bool,
    /// Recent pinball losses, target by target, level by level.
    losses: Vec<f32>,
}

/// How an expert comes to quantiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Model {
    /// A centre and a spread, and the quantiles of its held-out errors in units of the spread:
    /// target by target, level by level.
    Located { expert: Expert, quantiles: Vec<f32> },
    /// Quantiles themselves.
    Boosted(Box<Boosted>),
}

impl Model {
    fn space(&self) -> Space {
        match self {
            Model::Located { expert, .. } => expert.space(),
            Model::Boosted(boosted) => boosted.space(),
        }
    }

    /// Quantiles in demand: target by target, level by level.
    /// Targets that are not `wanted` may be left out, as NaN.
    fn vote(
        &self,
        frame: &Frame,
        t: usize,
        targets: &[Target],
        width: usize,
        wanted: &dyn Fn(Target) -> bool,
    ) -> Vec<f64> {
        match self {
            Model::Located { expert, quantiles } => {
                let points = expert.points(frame, t, targets);
                let cells = quantiles.iter().enumerate();
                cells
                    .map(|(cell, &q)| value(expert.space(), points[cell / width], q.into()))
                    .collect()
            }
            Model::Boosted(boosted) => boosted.vote(frame, t, targets, wanted),
        }
    }
}

impl Member {
    /// The loss that an expert is weighed by for one cell: half the cell's own, half what it lost
    /// at the same level for all targets, since one cell's record is short.
    fn recent_loss(&self, cell: usize, width: usize) -> f64 {
        let of_level = self.losses.iter().skip(cell % width).step_by(width);
        let sum: f64 = of_level.map(|&loss| f64::from(loss)).sum();
        0.5 * f64::from(self.losses[cell]) + 0.5 * sum * width as f64 / self.losses.len() as f64
    }
}

/// What the forecasts of a target that came due lately were like; no number before the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The share of them that lay at or below the quantile of [`COVERED_LEVEL`].
    pub(crate) covered: f32,
    /// Demand less its median, on the mean.
    pub(crate) bias: f32,
}

impl Record {
    const NONE: Record = Record { covered: f32::NAN, bias: f32::NAN };
}

/// Experts fitted to one series at one moment, and the fold over the samples since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Engine {
    targets: Vec<Target>,
    levels: Vec<Level>,
    members: Vec<Member>,
    /// Corrections learned from forecasts that were really made, in units of the width.
    shifts: Vec<f32>,
    /// Recent loss of the forecast, a target each.
    own_losses: Vec<f32>,
    /// How the forecast did otherwise lately, a target each.
    own_records: Vec<Record>,
    /// Forecasts scored since the first fit.
    scored: u64,
    /// Last sample fitted to, and last sample folded in.
    fitted_until: Timestamp,
    seen_until: Timestamp,
}

impl Engine {
    /// Fits `kind` to the settled part of `series`. What `earlier` learned from its own forecasts
    /// is carried over where it was made for the same targets and levels.
    pub(crate) fn fit(
        series: &Series,
        kind: ModelKind,
        targets: &[Target],
        levels: &[Level],
        earlier: Option<&Engine>,
    ) -> Result<(Engine, Choice), SeriesFault> {
        let training = Training::new(series, targets)?;
        let cells = targets.len() * levels.len();
        let kinds = kinds(&training, kind);
        let earlier =
            earlier.filter(|earlier| earlier.targets == targets && earlier.levels == levels);
        let recorded = earlier.filter(|earlier| {
            earlier.scored >= RECORD_MIN
                && earlier.members.iter().map(|m| m.kind).eq(kinds.iter().copied())
        });
        let candidates = candidates(&training, levels, &kinds, recorded.is_none());
        // With a record, `inherit` brings the losses.
        let (losses, choice) = match recorded {
            Some(earlier) => (vec![Vec::new(); kinds.len()], earlier.recorded_choice(kind)),
            None => Trial::new(&training, levels).judge(&candidates, kind),
        };
        let members = candidates
            .into_iter()
            .zip(losses)
            .map(|(candidate, losses)| Member {
                voting: choice.model == ModelKind::Auto || choice.model == candidate.kind,
                kind: candidate.kind,
                model: candidate.finish(targets.len(), levels),
                losses: losses.iter().map(|&loss| loss as f32).collect(),
            })
            .collect();
        let until = series.start_of(series.settled_len().saturating_sub(1));
        let mut engine = Engine {
            targets: targets.to_vec(),
            levels: levels.to_vec(),
            members,
            shifts: vec![0.0; cells],
            own_losses: vec![f32::NAN; targets.len()],
            own_records: vec![Record::NONE; targets.len()],
            scored: 0,
            fitted_until: until,
            seen_until: until,
        };
        if let Some(earlier) = earlier {
            engine.inherit(earlier);
        }
        Ok((engine, choice))
    }

    /// What `earlier`, made for the same targets and levels, learned from its own forecasts.
    fn inherit(&mut self, earlier: &Engine) {
        self.shifts.clone_from(&earlier.shifts);
        self.own_losses.clone_from(&earlier.own_losses);
        self.own_records.clone_from(&earlier.own_records);
        self.scored = earlier.scored;
        for member in &mut self.members {
            let before = earlier.members.iter().find(|before| before.kind == member.kind);
            if let Some(before) = before.filter(|_| earlier.scored > 0) {
                member.losses.clone_from(&before.losses);
            }
        }
    }

    /// The choice that follows from what each member lost in forecasts that were really due: with
    /// such a record no backtest is needed to weigh experts.
    fn recorded_choice(&self, kind: ModelKind) -> Choice {
        let tried = self.members.iter().map(|m| (m.kind, mean(&m.losses)));
        let blend = (kind == ModelKind::Auto).then(|| (kind, mean(&self.own_losses)));
        let origins = usize::try_from(self.scored).unwrap_or(usize::MAX);
        Choice::recorded(blend.into_iter().chain(tried), kind, origins)
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Stamp of the last sample fitted to.
    pub(crate) fn fitted_until(&self) -> Timestamp {
        self.fitted_until
    }

    /// Quantiles from the last settled sample of `series`: target by target, level by level.
    pub(crate) fn forecast(&self, series: &Series) -> Result<Vec<Vec<f64>>, SeriesFault> {
        let until = series.settled_len();
        if until == 0 {
            return Err(SeriesFault::too_short(0, 1, series.step()));
        }
        let from = until.saturating_sub(lookback(series));
        let frames = Frames::new(self, series, from, until);
        Ok(self.forecast_at(&frames, until - 1 - from))
    }

    fn forecast_at(&self, frames: &Frames, t: usize) -> Vec<Vec<f64>> {
        let votes = self.votes(frames, t, &|_| true);
        (0..self.targets.len())
            .map(|k| {
                let mut row = self.combine(&votes, k);
                self.shift(&mut row, k);
                rearrange(&mut row);
                row.iter_mut().for_each(|value| *value = value.min(frames.ceiling));
                row
            })
            .collect()
    }

    /// Each member's quantiles, all targets and levels, in demand.
    fn votes(&self, frames: &Frames, t: usize, wanted: &dyn Fn(Target) -> bool) -> Vec<Vec<f64>> {
        let width = self.levels.len();
        let members = self.members.iter();
        members
            .map(|member| {
                let frame = frames.of(member.model.space());
                member.model.vote(frame, t, &self.targets, width, wanted)
            })
            .collect()
    }

    /// The voting members' weighted mean for target `k`.
    fn combine(&self, votes: &[Vec<f64>], k: usize) -> Vec<f64> {
        let width = self.levels.len();
        let voting: Vec<usize> =
            (0..self.members.len()).filter(|&m| self.members[m].voting).collect();
        (0..width)
            .map(|l| {
                let cell = k * width + l;
                let losses: Vec<f64> =
                    voting.iter().map(|&m| self.members[m].recent_loss(cell, width)).collect();
                let shares = weights(&losses);
                voting.iter().zip(shares).map(|(&m, share)| share * votes[m][cell]).sum()
            })
            .collect()
    }

    fn shift(&self, row: &mut [f64], k: usize) {
        let width = spread_of(row);
        for (l, value) in row.iter_mut().enumerate() {
            *value += width * f64::from(self.shifts[k * self.levels.len() + l]);
        }
    }

    /// What last-value forecasts from the same sample.
    pub(crate) fn yardstick(&self, series: &Series) -> Vec<Vec<f64>> {
        let until = series.settled_len();
        let from = until.saturating_sub(lookback(series));
        let found = self.members.iter().find(|m| m.kind == ModelKind::LastValue);
        let (Some(member), true) = (found, until > 0) else { return Vec::new() };
        let frame = Frame::new(series, Space::Plain, from, until);
        let width = self.levels.len();
        let mut vote = member.model.vote(&frame, until - 1 - from, &self.targets, width, &|_| true);
        vote.chunks_mut(width).for_each(rearrange);
        vote.chunks(width).map(<[f64]>::to_vec).collect()
    }

    /// Folds in the samples settled since the last call: scores what would have been forecast
    /// for them, and follows the quantiles. The result does not depend on how the samples were
    /// divided among calls.
    pub(crate) fn observe(&mut self, series: &Series) {
        let until = series.settled_len();
        let seen = self.seen_until.since(series.start()).0 / series.step().span().0;
        let new = if self.seen_until < series.start() { 0 } else { seen as usize + 1 };
        if new >= until {
            return;
        }
        let reach = self.targets.iter().map(|target| target.reach()).max().unwrap_or(1);
        let first = new.saturating_sub(reach);
        let from = first.saturating_sub(lookback(series));
        let frames = Frames::new(self, series, from, until);
        for origin in first..until {
            let settled = |target: &Target| (new..until).contains(&(origin + target.reach()));
            if self.targets.iter().any(settled) {
                self.score(series, &frames, origin, origin - from, new..until);
            }
        }
        self.seen_until = series.start_of(until - 1);
    }

    /// Scores the forecast from grid point `origin`, where its targets came due in `due`.
    fn score(
        &mut self,
        series: &Series,
        frames: &Frames,
        origin: usize,
        t: usize,
        due: std::ops::Range<usize>,
    ) {
        let is_due = |target: Target| due.contains(&(origin + target.reach()));
        let votes = self.votes(frames, t, &is_due);
        let rate = self.forgetting(series);
        let width = self.levels.len();
        for k in 0..self.targets.len() {
            if !is_due(self.targets[k]) {
                continue;
            }
            let mut truth = self.targets[k].truth(series, origin);
            if !truth.known {
                continue;
            }
            // An absurd value would outweigh hours of ordinary losses.
            truth.value = truth.value.min(frames.ceiling);
            let raw = self.combine(&votes, k);
            let mut shifted = raw.clone();
            self.shift(&mut shifted, k);
            if truth.lower_bound && truth.value < shifted[width - 1] {
                continue;
            }
            let loss: f64 = (0..width)
                .map(|l| pinball(self.levels[l], shifted[l].max(0.0), truth.value))
                .sum::<f64>()
                / width as f64;
            fold(&mut self.own_losses[k], loss, rate);
            let record = &mut self.own_records[k];
            if let Some(l) = level_from(&self.levels, COVERED_LEVEL) {
                let covered = f64::from(u8::from(truth.value <= shifted[l]));
                fold(&mut record.covered, covered, rate);
            }
            if let Some(l) = level_from(&self.levels, 0.5) {
                fold(&mut record.bias, truth.value - shifted[l], rate);
            }
            for (l, &level) in self.levels.iter().enumerate() {
                let cell = k * width + l;
                for (member, vote) in self.members.iter_mut().zip(&votes) {
                    let loss = pinball(level, vote[cell].max(0.0), truth.value);
                    fold(&mut member.losses[cell], loss, rate);
                }
                let mut shift = f64::from(self.shifts[cell]);
                track(&mut shift, level, truth.value > shifted[l], TRACK_GAIN);
                self.shifts[cell] = shift.clamp(-SHIFT_MAX, SHIFT_MAX) as f32;
            }
        }
        self.scored += 1;
    }

    /// Weight of one new loss: a memory of a few hours, three dozen samples at least.
    fn forgetting(&self, series: &Series) -> f64 {
        6.0 / series.day().clamp(200, 600) as f64
    }

    /// How forecasts of target `k` did lately; `None` before any came due.
    pub(crate) fn recent_record(&self, k: usize) -> Option<Record> {
        let record = *self.own_records.get(k)?;
        (record.covered.is_finite() && record.bias.is_finite()).then_some(record)
    }

    /// Recent loss of the forecast and of last-value for target `k`, over the same samples;
    /// `None` before any was scored.
    pub(crate) fn recent_losses(&self, k: usize) -> Option<(f64, f64)> {
        let own = f64::from(*self.own_losses.get(k)?);
        let yardstick = self.members.iter().find(|m| m.kind == ModelKind::LastValue)?;
        let width = self.levels.len();
        let last = mean(&yardstick.losses[k * width..(k + 1) * width]);
        (own.is_finite() && self.scored > 0).then_some((own, last))
    }
}

/// The place of the first level that is no lower than `least`.
fn level_from(levels: &[Level], least: f64) -> Option<usize> {
    levels.iter().position(|level| level.get() >= least)
}

/// A forecast of an expert in demand, never negative infinity or beyond any demand.
pub(crate) fn value(space: Space, point: Point, quantile: f64) -> f64 {
    let value = space.leave(point.centre + point.spread * quantile);
    value.clamp(-crate::error::VALUE_MAX, 10.0 * crate::error::VALUE_MAX)
}

/// The unit of corrections: from the lowest to the highest level.
fn spread_of(row: &[f64]) -> f64 {
    let (min, max) = row
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &v| (min.min(v), max.max(v)));
    if max > min { 0.5 * (max - min) } else { 0.0 }
}

fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len().max(1) as f64
}

fn fold(mean: &mut f32, new: f64, rate: f64) {
    let old = f64::from(*mean);
    *mean = if old.is_finite() { old + rate * (new - old) } else { new } as f32;
}

/// The frames the members need.
struct Frames {
    all: Vec<(Space, Frame)>,
    /// The greatest demand any forecast may name.
    ceiling: f64,
}

impl Frames {
    fn new(engine: &Engine, series: &Series, from: usize, until: usize) -> Frames {
        let mut all: Vec<(Space, Frame)> = Vec::new();
        for member in &engine.members {
            let space = member.model.space();
            if !all.iter().any(|(made, _)| *made == space) {
                all.push((space, Frame::new(series, space, from, until)));
            }
        }
        let ceiling = CEILING * all.first().map_or(f64::INFINITY, |(_, frame)| frame.highest());
        Frames { all, ceiling }
    }

    fn of(&self, space: Space) -> &Frame {
        let found = self.all.iter().find(|(made, _)| *made == space);
        &found.expect("a frame is made for the space of every member").1
    }
}
