//! Direct multi-step ridge regression: every target its own coefficients, all from one Gram
//! matrix.
//!
//! The target is the change from the origin in units of the local scale, so that one set of
//! coefficients serves quiet and busy hours. A second regression on the same features expects
//! the size of the error (Glejser, JASA 1969; here of its square root, which heavy tails do not
//! rule), so that the width of a forecast follows the weather too. Both are solved from the
//! normal equations by Cholesky decomposition.

use std::ops::Range;

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use serde::{Deserialize, Serialize};

use super::Point;
use super::training::{HeldOut, Training};
use crate::Target;
use crate::features::Features;
use crate::frame::{Frame, Space};

/// A fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Linear {
    pub(crate) space: Space,
    features: Features,
    mean: Vec<f32>,
    per_deviation: Vec<f32>,
    /// Coefficients, intercept first, target by target: of the change, and of the square root of
    /// the error's size.
    change: Vec<f32>,
    size: Vec<f32>,
    /// Bounds of the error's expected size, a target each.
    size_min: Vec<f32>,
    size_max: Vec<f32>,
}

/// Standardised features are cut at so many deviations: a burst must not be extrapolated.
const DEVIATIONS_MAX: f64 = 6.0;

/// Weight of the ridge penalty, in rows.
const RIDGE: f64 = 3.0;

/// Pieces in time; errors on a piece come from a fit to the pieces before it.
const BLOCKS: usize = 8;
/// The first piece that is forecast.
const FIRST_BLOCK: usize = 2;
/// The first piece whose error size is forecast.
const FIRST_SIZED: usize = 4;

/// The share of changes, on both sides, that are cut back before fitting.
const OUTLIER_SHARE: f64 = 0.005;

/// The expected size of an error stays within so many times its mean, both ways: a size that
/// follows few rows far away makes a forecast useless.
const SIZE_RANGE: f64 = 1.5;

/// Rows of features, with the statistics that standardised them.
struct Design {
    z: Array2<f64>,
    mean: Vec<f32>,
    per_deviation: Vec<f32>,
    scales: Vec<f64>,
    now: Vec<f64>,
}

impl Linear {
    /// Fits, and gives what the fits to earlier pieces forecast for the later ones.
    pub(crate) fn fit(training: &Training<'_>, space: Space) -> (Linear, HeldOut) {
        let frame = training.frame(space);
        let features = Features::new(training.step_seconds(), training.reach(), training.days());
        let design = design(&features, &frame, &training.rows);
        let (raw, fitted_to) = changes(training, space, &design);
        let blocks = Blocks::new(design.z.view());
        let products = blocks.products(fitted_to.view());
        let mut expected = Array2::from_elem(raw.dim(), f64::NAN);
        for block in FIRST_BLOCK..BLOCKS {
            let change = blocks.solve(&products, 0..block);
            let range = blocks.range(block);
            let forecast = rows_of(&design.z.view(), range.clone()).dot(&change);
            expected.slice_axis_mut(Axis(0), Slice::from(range)).assign(&forecast);
        }
        let change = blocks.solve(&products, 0..BLOCKS);
        let sized = size_errors(&design, &blocks, &(&raw - &expected));
        let points = expected.indexed_iter().map(|((row, k), &change)| Point {
            centre: design.now[row] + design.scales[row] * change,
            spread: design.scales[row] * sized.sizes[(row, k)],
        });
        let held_out = HeldOut { points: points.collect() };
        let linear = Linear {
            space,
            features,
            mean: design.mean,
            per_deviation: design.per_deviation,
            change: columns(&change),
            size: columns(&sized.coefficients),
            size_min: sized.bounds.iter().map(|bound| bound.0 as f32).collect(),
            size_max: sized.bounds.iter().map(|bound| bound.1 as f32).collect(),
        };
        (linear, held_out)
    }

    /// One point a target. `scale` is the frame's at `t`.
    pub(crate) fn points(
        &self,
        frame: &Frame,
        t: usize,
        scale: f64,
        targets: &[Target],
    ) -> Vec<Point> {
        let mut row = Vec::with_capacity(self.mean.len());
        self.features.append(frame, t, scale, &mut row);
        let scaled = row.iter().zip(self.mean.iter().zip(&self.per_deviation));
        let z: Vec<f64> =
            scaled.map(|(&x, (&m, &d))| clip((x - f64::from(m)) * f64::from(d))).collect();
        let width = z.len() + 1;
        let dot = |all: &[f32], k: usize| {
            let of_target = &all[k * width..(k + 1) * width];
            let products = of_target[1..].iter().zip(&z).map(|(&c, &x)| f64::from(c) * x);
            f64::from(of_target[0]) + products.sum::<f64>()
        };
        (0..targets.len())
            .map(|k| {
                let (min, max) = (f64::from(self.size_min[k]), f64::from(self.size_max[k]));
                let size = dot(&self.size, k).max(0.0).powi(2).clamp(min, max);
                Point { centre: frame.y[t] + scale * dot(&self.change, k), spread: scale * size }
            })
            .collect()
    }
}

fn rows_of<'b>(all: &'b ArrayView2<'_, f64>, rows: Range<usize>) -> ArrayView2<'b, f64> {
    all.slice_axis(Axis(0), Slice::from(rows))
}

fn clip(z: f64) -> f64 {
    z.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)
}

fn columns(coefficients: &Array2<f64>) -> Vec<f32> {
    coefficients.t().iter().map(|&c| c as f32).collect()
}

fn design(features: &Features, frame: &Frame, rows: &[usize]) -> Design {
    let scales: Vec<f64> = rows.iter().map(|&t| frame.scale(t)).collect();
    let mut flat = Vec::new();
    for (&t, &scale) in rows.iter().zip(&scales) {
        flat.push(1.0);
        features.append(frame, t, scale, &mut flat);
    }
    let width = flat.len() / rows.len();
    let mut z =
        Array2::from_shape_vec((rows.len(), width), flat).expect("every row has the same features");
    let count = rows.len() as f64;
    let mean: Array1<f64> = z.sum_axis(Axis(0)) / count;
    let square: Array1<f64> = z.rows().into_iter().fold(Array1::zeros(width), |mut sum, row| {
        sum.zip_mut_with(&row, |s, &x| *s += x * x);
        sum
    }) / count;
    let per_deviation: Vec<f32> = (1..width)
        .map(|j| {
            let variance = square[j] - mean[j] * mean[j];
            // A feature that hardly varies carries rounding only.
            if variance > 1e-12 * square[j] + 1e-18 { (1.0 / variance.sqrt()) as f32 } else { 0.0 }
        })
        .collect();
    let mean: Vec<f32> = mean.iter().skip(1).map(|&m| m as f32).collect();
    for mut row in z.rows_mut() {
        for (x, (&m, &d)) in row.iter_mut().skip(1).zip(mean.iter().zip(&per_deviation)) {
            *x = clip((*x - f64::from(m)) * f64::from(d));
        }
    }
    let now = rows.iter().map(|&t| frame.y[t]).collect();
    Design { z, mean, per_deviation, scales, now }
}

/// The changes to forecast in units of the scale: as they were, and as they are fitted to:
/// outliers cut back, and no fall taken from a lower bound.
fn changes(training: &Training<'_>, space: Space, design: &Design) -> (Array2<f64>, Array2<f64>) {
    let width = training.targets.len();
    let flat: Vec<f64> = training
        .truths
        .iter()
        .enumerate()
        .map(|(cell, &truth)| {
            let row = cell / width;
            (space.enter(truth) - design.now[row]) / design.scales[row]
        })
        .collect();
    let raw = Array2::from_shape_vec((training.rows.len(), width), flat)
        .expect("one truth a row and target");
    let mut fitted_to = raw.clone();
    for (k, mut column) in fitted_to.columns_mut().into_iter().enumerate() {
        let mut sizes: Vec<f64> = column.iter().map(|change| change.abs()).collect();
        let rank = ((1.0 - OUTLIER_SHARE) * (sizes.len() - 1) as f64) as usize;
        let cap = *sizes.select_nth_unstable_by(rank, f64::total_cmp).1;
        for (row, change) in column.iter_mut().enumerate() {
            *change = change.clamp(-cap, cap);
            if training.bounds[row * width + k] {
                *change = change.max(0.0);
            }
        }
    }
    (raw, fitted_to)
}

/// The expected sizes of errors.
struct Sized {
    coefficients: Array2<f64>,
    /// Least and greatest size, a target each.
    bounds: Vec<(f64, f64)>,
    /// For each row and target, from earlier pieces where there are enough.
    sizes: Array2<f64>,
}

fn size_errors(design: &Design, blocks: &Blocks<'_>, errors: &Array2<f64>) -> Sized {
    let roots = errors.mapv(|error| if error.is_nan() { 0.0 } else { error.abs().sqrt() });
    let products = blocks.products(roots.view());
    let coefficients = blocks.solve(&products, FIRST_BLOCK..BLOCKS);
    let seen = blocks.range(FIRST_BLOCK).start;
    let bounds: Vec<(f64, f64)> = (0..errors.ncols())
        .map(|k| {
            let sizes = errors.column(k).into_iter().skip(seen).map(|error| error.abs());
            let mean = sizes.sum::<f64>() / (errors.nrows() - seen).max(1) as f64;
            ((mean / SIZE_RANGE).max(1e-6), (SIZE_RANGE * mean).max(1e-6))
        })
        .collect();
    let mut sizes = Array2::from_elem(errors.dim(), f64::NAN);
    for block in FIRST_BLOCK..BLOCKS {
        let earlier;
        let used = if block >= FIRST_SIZED {
            earlier = blocks.solve(&products, FIRST_BLOCK..block);
            &earlier
        } else {
            &coefficients
        };
        let range = blocks.range(block);
        let roots = rows_of(&design.z.view(), range.clone()).dot(used);
        sizes.slice_axis_mut(Axis(0), Slice::from(range)).assign(&roots);
    }
    for mut row in sizes.rows_mut() {
        for (size, &(min, max)) in row.iter_mut().zip(&bounds) {
            *size = size.max(0.0).powi(2).clamp(min, max);
        }
    }
    Sized { coefficients, bounds, sizes }
}

/// Rows cut in pieces by time, with the Gram matrix of each.
struct Blocks<'a> {
    z: ArrayView2<'a, f64>,
    grams: Vec<Array2<f64>>,
}

impl<'a> Blocks<'a> {
    fn new(z: ArrayView2<'a, f64>) -> Blocks<'a> {
        let mut blocks = Blocks { z, grams: Vec::new() };
        for block in 0..BLOCKS {
            let part = rows_of(&blocks.z, blocks.range(block));
            blocks.grams.push(part.t().dot(&part));
        }
        blocks
    }

    fn range(&self, block: usize) -> Range<usize> {
        let rows = self.z.nrows();
        block * rows / BLOCKS..(block + 1) * rows / BLOCKS
    }

    /// Features times `y`, piece by piece.
    fn products(&self, y: ArrayView2<'_, f64>) -> Vec<Array2<f64>> {
        (0..BLOCKS)
            .map(|block| {
                let range = self.range(block);
                rows_of(&self.z, range.clone()).t().dot(&rows_of(&y, range))
            })
            .collect()
    }

    /// Coefficients fitted to some of the pieces; the intercept is not shrunk. Zero where even
    /// a strong ridge leaves the equations without a solution.
    fn solve(&self, products: &[Array2<f64>], used: Range<usize>) -> Array2<f64> {
        let width = self.z.ncols();
        let mut gram = Array2::<f64>::zeros((width, width));
        let mut right = Array2::<f64>::zeros(products[0].raw_dim());
        for block in used {
            gram += &self.grams[block];
            right += &products[block];
        }
        for ridge in [RIDGE, 100.0 * RIDGE, 1e4 * RIDGE] {
            let mut penalised = gram.clone();
            penalised.diag_mut().iter_mut().skip(1).for_each(|d| *d += ridge);
            penalised[(0, 0)] += 1e-9;
            let mut solution = right.clone();
            let solved = penalised.solvec_inplace(&mut solution).is_ok();
            if solved && solution.iter().all(|c| c.is_finite()) {
                return solution;
            }
        }
        Array2::zeros(right.raw_dim())
    }
}
