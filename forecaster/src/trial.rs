//! The experts for one series, and the backtest that weighs them.

use fleet::Level;

use crate::ModelKind;
use crate::blend::weights;
use crate::calibrate::conformal_quantiles;
use crate::engine::{Model, value};
use crate::frame::{Frame, Space};
use crate::models::boosted::{Boosted, Pairs};
use crate::models::ets::Ets;
use crate::models::linear::Linear;
use crate::models::seasonal::Season;
use crate::models::training::{HeldOut, Training};
use crate::models::{Expert, Point};
use crate::quantiles::pinball;
use crate::select::{Choice, ModelLoss, Reason};

/// Rows of the held-out part that experts are weighed on.
const WEIGHED_ROWS_MAX: usize = 400;

/// One expert during fitting.
pub(crate) struct Candidate {
    pub(crate) kind: ModelKind,
    fitted: Fitted,
}

/// An expert fitted to all, and what it can be judged by.
enum Fitted {
    Located {
        expert: Expert,
        held_out: HeldOut,
        errors: Vec<f64>,
    },
    /// `early` was fitted to the rows before the trial's alone, where there is a trial.
    Boosted {
        whole: Box<Boosted>,
        early: Option<Box<Boosted>>,
    },
}

impl Candidate {
    /// The model that forecasts from now on.
    pub(crate) fn finish(self, targets: usize, levels: &[Level]) -> Model {
        match self.fitted {
            Fitted::Located { expert, errors, .. } => {
                Model::Located { expert, quantiles: all_quantiles(&errors, targets, levels, ..) }
            }
            Fitted::Boosted { whole, .. } => Model::Boosted(whole),
        }
    }
}

/// The kinds of experts that `kind` asks for and the history allows, in the order of their
/// candidates; last-value is always the first, as the yardstick.
pub(crate) fn kinds(training: &Training<'_>, kind: ModelKind) -> Vec<ModelKind> {
    let allowed = |of: ModelKind| match of {
        ModelKind::Auto => false,
        ModelKind::LastValue | ModelKind::Ets => true,
        ModelKind::SeasonalDay => training.days() >= 2,
        ModelKind::SeasonalWeek => training.days() >= 8,
        ModelKind::Linear | ModelKind::LinearLog | ModelKind::Boosted | ModelKind::BoostedLog => {
            training.rows.len() >= ROWS_TO_LEARN_FROM
        }
    };
    let wanted = |of: &ModelKind| {
        *of == ModelKind::LastValue || *of == kind || kind == ModelKind::Auto && allowed(*of)
    };
    ModelKind::ALL.into_iter().filter(|of| *of != ModelKind::Auto).filter(wanted).collect()
}

/// An expert of each of `kinds`; `on_trial` where a [`Trial`] is to judge them.
pub(crate) fn candidates(
    training: &Training<'_>,
    levels: &[Level],
    kinds: &[ModelKind],
    on_trial: bool,
) -> Vec<Candidate> {
    let plain = training.frame(Space::Plain);
    let log = Space::Log { offset: 0.1 * plain.mean(0, plain.y.len()) + 1e-9 };
    let linear = |space| {
        let (linear, held_out) = Linear::fit(training, space);
        let errors = training.errors(space, &held_out);
        let expert = Expert::Linear(Box::new(linear));
        Fitted::Located { expert, held_out, errors }
    };
    let boosted = |space| {
        let pairs = Pairs::new(training, &training.frame(space));
        let early = on_trial.then(|| {
            let until = pairs.before(trial_cut(training));
            Box::new(Boosted::fit_quickly(&pairs, levels, until))
        });
        Fitted::Boosted { whole: Box::new(Boosted::fit(&pairs, levels)), early }
    };
    let fit = |kind: ModelKind| match kind {
        ModelKind::Auto | ModelKind::LastValue => simple(training, &plain, Expert::Last),
        ModelKind::SeasonalDay => simple(training, &plain, Expert::Season(Season::Day)),
        ModelKind::SeasonalWeek => simple(training, &plain, Expert::Season(Season::Week)),
        ModelKind::Ets => {
            let ets = Ets::fit(&plain, training.reach().div_ceil(2), 2000);
            simple(training, &plain, Expert::Ets(ets))
        }
        ModelKind::Linear => linear(Space::Plain),
        ModelKind::LinearLog => linear(log),
        ModelKind::Boosted => boosted(Space::Plain),
        ModelKind::BoostedLog => boosted(log),
    };
    kinds.iter().map(|&kind| Candidate { kind, fitted: fit(kind) }).collect()
}

/// The first row of the trial: the rows before it calibrate, the rest score.
fn trial_cut(training: &Training<'_>) -> usize {
    training.rows.len() * 2 / 3
}

/// Fewest rows that regressions and trees are tried with of their own accord.
const ROWS_TO_LEARN_FROM: usize = 120;

/// An expert that has nothing, or next to nothing, fitted: every row is held out.
fn simple(training: &Training<'_>, frame: &Frame, expert: Expert) -> Fitted {
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
    Fitted::Located { expert, held_out, errors }
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
pub(crate) struct Trial<'a> {
    training: &'a Training<'a>,
    levels: &'a [Level],
    cut: usize,
    rows: Vec<usize>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(training: &'a Training<'a>, levels: &'a [Level]) -> Trial<'a> {
        let all = training.rows.len();
        let cut = trial_cut(training);
        let stride = (all - cut).div_ceil(WEIGHED_ROWS_MAX).max(1);
        Trial { training, levels, cut, rows: (cut..all).step_by(stride).collect() }
    }

    /// Mean loss of each candidate (targets by levels), and the choice among them.
    pub(crate) fn judge(
        &self,
        candidates: &[Candidate],
        kind: ModelKind,
    ) -> (Vec<Vec<f64>>, Choice) {
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
        let mut votes = Vec::with_capacity(self.rows.len() * self.cells());
        let targets = self.training.targets;
        match &candidate.fitted {
            Fitted::Located { expert, held_out, errors } => {
                let quantiles = all_quantiles(errors, targets.len(), self.levels, ..self.cut);
                for &row in &self.rows {
                    let points = &held_out.points[row * targets.len()..];
                    let quantiles = quantiles.chunks(self.levels.len());
                    for (&point, quantiles) in points.iter().zip(quantiles) {
                        votes.extend(
                            quantiles.iter().map(|&q| value(expert.space(), point, q.into())),
                        );
                    }
                }
            }
            Fitted::Boosted { early, .. } => {
                let early = early.as_ref().expect("candidates on trial are fitted for it");
                let frame = self.training.frame(early.space());
                for &row in &self.rows {
                    votes.extend(early.vote(&frame, self.training.rows[row], targets, &|_| true));
                }
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
