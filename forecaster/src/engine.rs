//! A fitted set of experts: forecasts targets at levels, and keeps score of itself.

use serde::{Deserialize, Serialize};

use crate::blend::weights;
use crate::calibrate::{conformal_quantiles, track};
use crate::frame::{Frame, Space, lookback};
use crate::models::ets::Ets;
use crate::models::linear::Linear;
use crate::models::seasonal::Season;
use crate::models::training::{HeldOut, Training};
use crate::models::{Expert, Point};
use crate::quantiles::{pinball, rearrange};
use crate::select::{Choice, ModelLoss, Reason};
use crate::{Level, ModelKind, Series, SeriesFault, Target, Timestamp};

/// Rows of the held-out part that experts are weighed on.
const WEIGHED_ROWS_MAX: usize = 400;

/// How far one error moves the tracked quantiles, in units of the forecast's width.
const TRACK_GAIN: f64 = 0.02;

/// A forecast stays below so many times the highest demand of the last week: beyond that an error
/// of quiet days was multiplied by the unrest of now.
const CEILING: f64 = 4.0;

/// Tracked quantiles stay within so many widths.
const SHIFT_MAX: f64 = 3.0;

/// An expert with its calibration and its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    kind: ModelKind,
    expert: Expert,
    /// Whether it takes part in the forecast; the yardstick may only be scored.
    voting: bool,
    /// Quantiles of its held-out errors in units of its spread: target by target, level by level.
    quantiles: Vec<f32>,
    /// Recent pinball losses, likewise.
    losses: Vec<f32>,
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
    /// Forecasts scored since the first fit.
    scored: u64,
    /// Last sample fitted to, and last sample folded in.
    fitted_until: Timestamp,
    seen_until: Timestamp,
}

/// One expert during fitting.
struct Candidate {
    kind: ModelKind,
    expert: Expert,
    held_out: HeldOut,
    errors: Vec<f64>,
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
        let candidates = candidates(&training, kind)?;
        let trial = Trial::new(&training, levels);
        let (losses, choice) = trial.judge(&candidates, kind);
        let cells = targets.len() * levels.len();
        let members = candidates
            .into_iter()
            .zip(losses)
            .map(|(candidate, losses)| Member {
                quantiles: all_quantiles(&candidate.errors, targets.len(), levels, ..),
                voting: choice.model == ModelKind::Auto || choice.model == candidate.kind,
                kind: candidate.kind,
                expert: candidate.expert,
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
            scored: 0,
            fitted_until: until,
            seen_until: until,
        };
        if let Some(earlier) = earlier {
            engine.inherit(earlier);
        }
        Ok((engine, choice))
    }

    fn inherit(&mut self, earlier: &Engine) {
        if earlier.targets != self.targets || earlier.levels != self.levels {
            return;
        }
        self.shifts.clone_from(&earlier.shifts);
        self.own_losses.clone_from(&earlier.own_losses);
        self.scored = earlier.scored;
        for member in &mut self.members {
            let before = earlier.members.iter().find(|before| before.kind == member.kind);
            if let Some(before) = before.filter(|_| earlier.scored > 0) {
                member.losses.clone_from(&before.losses);
            }
        }
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
        let votes = self.votes(frames, t);
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
    fn votes(&self, frames: &Frames, t: usize) -> Vec<Vec<f64>> {
        let width = self.levels.len();
        self.members
            .iter()
            .map(|member| {
                let space = member.expert.space();
                let points = member.expert.points(frames.of(space), t, &self.targets);
                let quantiles = member.quantiles.iter().enumerate();
                quantiles.map(|(cell, &q)| value(space, points[cell / width], q.into())).collect()
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
                    voting.iter().map(|&m| self.members[m].losses[cell].into()).collect();
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
        let points = member.expert.points(&frame, until - 1 - from, &self.targets);
        let rows = points.iter().zip(member.quantiles.chunks(self.levels.len()));
        rows.map(|(&point, quantiles)| {
            let mut row: Vec<f64> =
                quantiles.iter().map(|&q| value(Space::Plain, point, q.into())).collect();
            rearrange(&mut row);
            row
        })
        .collect()
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
        let votes = self.votes(frames, t);
        let rate = self.forgetting(series);
        let width = self.levels.len();
        for k in 0..self.targets.len() {
            if !due.contains(&(origin + self.targets[k].reach())) {
                continue;
            }
            let truth = self.targets[k].truth(series, origin);
            if !truth.known {
                continue;
            }
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

    /// Weight of one new loss: a memory of about a day, two hundred samples at least.
    fn forgetting(&self, series: &Series) -> f64 {
        1.0 / series.day().clamp(200, 600) as f64
    }

    /// Recent loss of the forecast and of last-value for target `k`, over the same samples;
    /// `None` before any was scored.
    pub(crate) fn recent_losses(&self, k: usize) -> Option<(f64, f64)> {
        let own = f64::from(*self.own_losses.get(k)?);
        let yardstick = self.members.iter().find(|m| m.kind == ModelKind::LastValue)?;
        let width = self.levels.len();
        let of_target = &yardstick.losses[k * width..(k + 1) * width];
        let last = of_target.iter().map(|&loss| f64::from(loss)).sum::<f64>() / width as f64;
        (own.is_finite() && self.scored > 0).then_some((own, last))
    }
}

/// A forecast of an expert in demand, never negative infinity or beyond any demand.
fn value(space: Space, point: Point, quantile: f64) -> f64 {
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
            let space = member.expert.space();
            if !all.iter().any(|(made, _)| *made == space) {
                all.push((space, Frame::new(series, space, from, until)));
            }
        }
        let highest = series.filled()[from..until].iter().fold(0.0f32, |max, &v| max.max(v));
        Frames { all, ceiling: CEILING * f64::from(highest) }
    }

    fn of(&self, space: Space) -> &Frame {
        let found = self.all.iter().find(|(made, _)| *made == space);
        &found.expect("a frame is made for the space of every member").1
    }
}

/// The experts for `kind`; last-value is always among them, as the yardstick.
fn candidates(training: &Training<'_>, kind: ModelKind) -> Result<Vec<Candidate>, SeriesFault> {
    let wanted = |of: ModelKind, days: usize| {
        kind == of || (kind == ModelKind::Auto && training.days() >= days)
    };
    let plain = training.frame(Space::Plain);
    let mut found = vec![simple(training, &plain, ModelKind::LastValue, Expert::Last)];
    if wanted(ModelKind::SeasonalDay, 2) {
        let day = Expert::Season(Season::Day);
        found.push(simple(training, &plain, ModelKind::SeasonalDay, day));
    }
    if wanted(ModelKind::SeasonalWeek, 8) {
        let week = Expert::Season(Season::Week);
        found.push(simple(training, &plain, ModelKind::SeasonalWeek, week));
    }
    if wanted(ModelKind::Ets, 0) {
        let ets = Ets::fit(&plain, training.reach().div_ceil(2), 2000);
        found.push(simple(training, &plain, ModelKind::Ets, Expert::Ets(ets)));
    }
    let mut regress = |kind, space| {
        let (linear, held_out) = Linear::fit(training, space);
        let errors = training.errors(space, &held_out);
        let expert = Expert::Linear(Box::new(linear));
        found.push(Candidate { kind, expert, held_out, errors });
    };
    let enough = training.rows.len() >= LINEAR_ROWS_MIN;
    if kind == ModelKind::Linear || kind == ModelKind::Auto && enough {
        regress(ModelKind::Linear, Space::Plain);
    }
    if kind == ModelKind::LinearLog || kind == ModelKind::Auto && enough {
        let mean = plain.mean(0, plain.y.len());
        regress(ModelKind::LinearLog, Space::Log { offset: 0.1 * mean + 1e-9 });
    }
    Ok(found)
}

/// Fewest rows a regression is tried with on its own accord.
const LINEAR_ROWS_MIN: usize = 120;

/// An expert that has nothing, or next to nothing, fitted: every row is held out.
fn simple(training: &Training<'_>, frame: &Frame, kind: ModelKind, expert: Expert) -> Candidate {
    let states = match &expert {
        Expert::Ets(ets) => ets.states(frame),
        _ => Vec::new(),
    };
    let mut points = Vec::with_capacity(training.truths.len());
    for &t in &training.rows {
        match &expert {
            Expert::Ets(ets) => {
                let spread = frame.scale(t);
                points.extend(
                    training
                        .targets
                        .iter()
                        .map(|&target| Point { centre: ets.centre(states[t], target), spread }),
                );
            }
            _ => points.extend(expert.points(frame, t, training.targets)),
        }
    }
    let held_out = HeldOut { points };
    let errors = training.errors(Space::Plain, &held_out);
    Candidate { kind, expert, held_out, errors }
}

/// Calibrated quantiles of the errors of some rows: target by target, level by level.
fn all_quantiles(
    errors: &[f64],
    targets: usize,
    levels: &[Level],
    rows: impl std::ops::RangeBounds<usize>,
) -> Vec<f32> {
    let mut found = Vec::with_capacity(targets * levels.len());
    for k in 0..targets {
        let of_target = errors.iter().skip(k).step_by(targets).enumerate();
        let mut kept: Vec<f64> = of_target
            .filter(|(row, error)| rows.contains(row) && !error.is_nan())
            .map(|(_, &error)| error)
            .collect();
        found.extend(conformal_quantiles(&mut kept, levels).iter().map(|&q| q as f32));
    }
    found
}

/// The backtest that weighs experts: calibrated on the earlier rows, scored on the later.
struct Trial<'a> {
    training: &'a Training<'a>,
    levels: &'a [Level],
    cut: usize,
    rows: Vec<usize>,
}

impl<'a> Trial<'a> {
    fn new(training: &'a Training<'a>, levels: &'a [Level]) -> Trial<'a> {
        let all = training.rows.len();
        let cut = all * 2 / 3;
        let stride = (all - cut).div_ceil(WEIGHED_ROWS_MAX).max(1);
        Trial { training, levels, cut, rows: (cut..all).step_by(stride).collect() }
    }

    /// Mean loss of each candidate (targets by levels), and the choice among them.
    fn judge(&self, candidates: &[Candidate], kind: ModelKind) -> (Vec<Vec<f64>>, Choice) {
        let votes: Vec<Vec<f64>> = candidates.iter().map(|c| self.votes(c)).collect();
        let half = self.rows.len() / 2;
        let losses: Vec<Vec<f64>> =
            votes.iter().map(|vote| self.losses(vote, 0..self.rows.len())).collect();
        if kind != ModelKind::Auto {
            let model = candidates.last().map_or(kind, |candidate| candidate.kind);
            let origins = self.rows.len();
            let losses_of = candidates.iter().zip(&losses);
            let tried = losses_of
                .map(|(c, losses)| ModelLoss { model: c.kind, loss: mean(losses) })
                .collect();
            return (losses, Choice { model, losses: tried, origins, why: Reason::Forced });
        }
        let weighed: Vec<Vec<f64>> = votes.iter().map(|vote| self.losses(vote, 0..half)).collect();
        let later = half..self.rows.len();
        let mut tried: Vec<ModelLoss> = candidates
            .iter()
            .zip(&votes)
            .map(|(c, vote)| ModelLoss {
                model: c.kind,
                loss: mean(&self.losses(vote, later.clone())),
            })
            .collect();
        if candidates.len() > 1 {
            let blended = self.blend(&votes, &weighed);
            let loss = mean(&self.losses(&blended, later));
            tried.insert(0, ModelLoss { model: ModelKind::Auto, loss });
        }
        (losses, Choice::smallest(tried, self.rows.len() - half))
    }

    fn cells(&self) -> usize {
        self.training.targets.len() * self.levels.len()
    }

    /// Quantiles of a candidate for the trial's rows.
    fn votes(&self, candidate: &Candidate) -> Vec<f64> {
        let targets = self.training.targets.len();
        let quantiles = all_quantiles(&candidate.errors, targets, self.levels, ..self.cut);
        let space = candidate.expert.space();
        let mut votes = Vec::with_capacity(self.rows.len() * self.cells());
        for &row in &self.rows {
            for k in 0..targets {
                let point = candidate.held_out.points[row * targets + k];
                let of_target = &quantiles[k * self.levels.len()..(k + 1) * self.levels.len()];
                votes.extend(of_target.iter().map(|&q| value(space, point, q.into())));
            }
        }
        votes
    }

    fn losses(&self, votes: &[f64], rows: std::ops::Range<usize>) -> Vec<f64> {
        let (width, targets) = (self.levels.len(), self.training.targets.len());
        let mut sums = vec![0.0; self.cells()];
        let mut counts = vec![0.0; self.cells()];
        for index in rows {
            for cell in 0..self.cells() {
                let truth = self.rows[index] * targets + cell / width;
                let vote = votes[index * self.cells() + cell].max(0.0);
                let actual = self.training.truths[truth];
                if self.training.usable(truth, actual - vote) {
                    sums[cell] += pinball(self.levels[cell % width], vote, actual);
                    counts[cell] += 1.0;
                }
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / f64::max(count, 1.0)).collect()
    }

    fn blend(&self, votes: &[Vec<f64>], losses: &[Vec<f64>]) -> Vec<f64> {
        let shares: Vec<Vec<f64>> = (0..self.cells())
            .map(|cell| weights(&losses.iter().map(|of| of[cell]).collect::<Vec<f64>>()))
            .collect();
        let all = self.rows.len() * self.cells();
        (0..all)
            .map(|i| {
                let shares = &shares[i % self.cells()];
                votes.iter().zip(shares).map(|(vote, share)| share * vote[i]).sum()
            })
            .collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
