//! A forecast: ordered levels, one value a level and step, never crossing.

use fleet::{Level, Seconds, Step, Timestamp};
use serde::{Deserialize, Serialize};

/// Quantiles of the demand for each of the steps after an origin. Within a step a higher level
/// never has a lower value: the constructor puts them in order.
///
/// ```
/// use fleet::{Level, Step, Timestamp};
/// use forecaster::{ForecastFault, QuantileForecast};
///
/// let levels = [0.5, 0.9].map(|level| Level::new(level).expect("a level")).to_vec();
/// let of = |rows: &[Vec<f64>]| {
///     QuantileForecast::new(Timestamp(0), Step::MINUTE, levels.clone(), rows)
/// };
/// // Demand is never below zero, and its 0.9 quantile never below its median.
/// let forecast = of(&[vec![8.0, 6.0], vec![-2.0, 3.0]])?;
/// assert_eq!(forecast.at_step(1), Some(&[6.0, 8.0][..]));
/// assert_eq!(forecast.at_step(2), Some(&[0.0, 3.0][..]));
/// assert_eq!(of(&[vec![8.0]]), Err(ForecastFault::Values { step: 1 }));
/// # Ok::<(), ForecastFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileForecast {
    origin: Timestamp,
    step: Step,
    levels: Vec<Level>,
    values: Vec<f64>,
}

/// Levels or values that make no forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForecastFault {
    /// Levels must be there and strictly rise.
    #[error("quantile levels must rise from each to the next, and there must be at least one")]
    Levels,
    /// A value that is no number, or a row of the wrong length.
    #[error("step {step} of the forecast has a value that is no number, or not one a level")]
    Values {
        /// The step, counted from 1.
        step: usize,
    },
}

/// Checks that levels strictly rise and that there is one.
pub(crate) fn levels_rise(levels: &[Level]) -> bool {
    !levels.is_empty() && levels.windows(2).all(|pair| pair[0] < pair[1])
}

/// Sorts a row of quantiles and lifts it to zero: a demand is never negative.
///
/// Sorting is the rearrangement of Chernozhukov, Fernández-Val and Galichon (Econometrica 2010):
/// it never makes a crossing forecast worse.
pub(crate) fn rearrange(row: &mut [f64]) {
    row.sort_by(f64::total_cmp);
    for value in row {
        *value = value.max(0.0);
    }
}

impl QuantileForecast {
    /// From one row of values (one a level) for each step after `origin`, in order.
    ///
    /// # Errors
    /// [`ForecastFault`] for levels that do not rise, a row of another length, or a value that
    /// is not finite.
    pub fn new(
        origin: Timestamp,
        step: Step,
        levels: Vec<Level>,
        rows: &[Vec<f64>],
    ) -> Result<QuantileForecast, ForecastFault> {
        if !levels_rise(&levels) {
            return Err(ForecastFault::Levels);
        }
        let mut values = Vec::with_capacity(rows.len() * levels.len());
        for (index, row) in rows.iter().enumerate() {
            if row.len() != levels.len() || row.iter().any(|value| !value.is_finite()) {
                return Err(ForecastFault::Values { step: index + 1 });
            }
            let mut row = row.clone();
            rearrange(&mut row);
            values.extend(row);
        }
        Ok(QuantileForecast { origin, step, levels, values })
    }

    /// Stamp of the last sample known.
    pub fn origin(&self) -> Timestamp {
        self.origin
    }

    /// The levels, rising.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Steps forecast.
    pub fn horizon(&self) -> usize {
        self.values.len() / self.levels.len()
    }

    /// The quantiles of step `step` after the origin, counted from 1; `None` beyond the horizon.
    pub fn at_step(&self, step: usize) -> Option<&[f64]> {
        let width = self.levels.len();
        self.values.get(step.checked_sub(1)? * width..step * width)
    }

    /// Stamp and quantiles of each step.
    ///
    /// ```
    /// use fleet::{Level, Step, Timestamp};
    /// use forecaster::QuantileForecast;
    ///
    /// let median = vec![Level::new(0.5).expect("a level")];
    /// let rows = [vec![4.0], vec![5.0]];
    /// let forecast = QuantileForecast::new(Timestamp(0), Step::MINUTE, median, &rows)?;
    /// // The origin is the last sample known: the first step is the one after it.
    /// let stamps: Vec<_> = forecast.steps().map(|(stamp, _)| stamp).collect();
    /// assert_eq!(stamps, [Timestamp(60), Timestamp(120)]);
    /// # Ok::<(), forecaster::ForecastFault>(())
    /// ```
    pub fn steps(&self) -> impl Iterator<Item = (Timestamp, &[f64])> + '_ {
        self.values.chunks(self.levels.len()).enumerate().map(|(index, row)| {
            let ahead = self.step.span().0.saturating_mul(index as u64 + 1);
            (self.origin + Seconds(ahead), row)
        })
    }
}

/// Twice the pinball loss of quantile forecast `q` at `level`, in the demand's unit (Gneiting
/// and Raftery, JASA 2007): zero for a perfect forecast, and smallest on average for the true
/// quantile.
///
/// ```
/// use fleet::Level;
/// use forecaster::pinball;
///
/// let level = Level::new(0.9).expect("a level");
/// // Too low by 10 costs nine times what too high by 10 costs.
/// assert!((pinball(level, 90.0, 100.0) - 18.0).abs() < 1e-9);
/// assert!((pinball(level, 110.0, 100.0) - 2.0).abs() < 1e-9);
/// ```
pub fn pinball(level: Level, q: f64, actual: f64) -> f64 {
    let error = actual - q;
    2.0 * (level.get() * error).max((level.get() - 1.0) * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(values: &[f64]) -> Vec<Level> {
        values.iter().map(|&v| Level::new(v).unwrap()).collect()
    }

    #[test]
    fn rows_are_put_in_order_and_lifted_to_zero() {
        let rows = [vec![3.0, 1.0, 2.0], vec![-1.0, 0.5, 0.2]];
        let forecast =
            QuantileForecast::new(Timestamp(0), Step::MINUTE, levels(&[0.1, 0.5, 0.9]), &rows)
                .unwrap();
        assert_eq!(forecast.at_step(1), Some(&[1.0, 2.0, 3.0][..]));
        assert_eq!(forecast.at_step(2), Some(&[0.0, 0.2, 0.5][..]));
        assert_eq!((forecast.at_step(0), forecast.at_step(3)), (None, None));
        assert_eq!(forecast.steps().next().map(|(stamp, _)| stamp), Some(Timestamp(60)));
    }

    #[test]
    fn nonsense_is_refused() {
        let new = |l: &[f64], rows: &[Vec<f64>]| {
            QuantileForecast::new(Timestamp(0), Step::MINUTE, levels(l), rows)
        };
        assert_eq!(new(&[], &[]), Err(ForecastFault::Levels));
        assert_eq!(new(&[0.5, 0.5], &[]), Err(ForecastFault::Levels));
        assert_eq!(new(&[0.5], &[vec![f64::NAN]]), Err(ForecastFault::Values { step: 1 }));
        assert_eq!(new(&[0.5], &[vec![1.0], vec![]]), Err(ForecastFault::Values { step: 2 }));
    }

    #[test]
    fn the_true_quantile_has_the_smallest_pinball_loss() {
        let level = Level::new(0.9).unwrap();
        let loss = |q: f64| (0..100).map(|y| pinball(level, q, f64::from(y))).sum::<f64>();
        assert!(loss(90.0) < loss(80.0) && loss(90.0) < loss(98.0));
        assert_eq!(pinball(level, 5.0, 5.0), 0.0);
    }
}
