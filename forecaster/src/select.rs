//! Picks a model by backtest and says why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ModelKind;

/// What a model lost in the backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelLoss {
    /// The model, or `auto` for the blend of all.
    pub model: ModelKind,
    /// Mean pinball loss over targets and levels, in the demand's unit.
    pub loss: f64,
}

/// The model that forecasts, and the backtest that chose it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The model chosen; `auto` is the blend.
    pub model: ModelKind,
    /// Every model tried, best first.
    pub losses: Vec<ModelLoss>,
    /// Origins the backtest forecast from, none of them fitted to.
    pub origins: usize,
    pub why: Reason,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// The smallest loss of all.
    SmallestLoss {
        /// Its loss as a share of last-value's; below 1 is better.
        of_last_value: f64,
    },
    /// All are blended by what each lost when its forecasts came due.
    Recorded {
        /// The blend's loss as a share of last-value's; below 1 is better.
        of_last_value: f64,
    },
    /// No other model was to be tried.
    Forced,
    /// Too little history to try any other.
    TooLittleHistory,
}

impl Choice {
    /// Picks the model with the smallest loss; the first named wins a tie.
    pub(crate) fn smallest(mut losses: Vec<ModelLoss>, origins: usize) -> Choice {
        let last_value = losses.iter().find(|tried| tried.model == ModelKind::LastValue);
        let yardstick = last_value.map_or(f64::NAN, |tried| tried.loss);
        losses.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let best = losses.first().map_or(ModelKind::LastValue, |tried| tried.model);
        let loss = losses.first().map_or(f64::NAN, |tried| tried.loss);
        let of_last_value = if yardstick > 0.0 { loss / yardstick } else { 1.0 };
        let why = if losses.len() > 1 {
            Reason::SmallestLoss { of_last_value }
        } else {
            Reason::TooLittleHistory
        };
        Choice { model: best, losses, origins, why }
    }

    /// Goes on with `model`, judged by what forecasts lost when they came due.
    pub(crate) fn recorded(
        losses: impl Iterator<Item = (ModelKind, f64)>,
        model: ModelKind,
        origins: usize,
    ) -> Choice {
        let mut losses: Vec<ModelLoss> =
            losses.map(|(model, loss)| ModelLoss { model, loss }).collect();
        losses.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let of = |model| losses.iter().find(|tried| tried.model == model).map(|tried| tried.loss);
        let ratio = of(model).zip(of(ModelKind::LastValue).filter(|&loss| loss > 0.0));
        let of_last_value = ratio.map_or(1.0, |(own, last_value)| own / last_value);
        let why = match model {
            ModelKind::Auto if losses.len() > 2 => Reason::Recorded { of_last_value },
            ModelKind::Auto => Reason::TooLittleHistory,
            _ => Reason::Forced,
        };
        Choice { model, losses, origins, why }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.model == ModelKind::Auto { "blend" } else { self.model.name() };
        match self.why {
            Reason::SmallestLoss { of_last_value } => write!(
                f,
                "`{name}`: smallest loss of {} models over {} origins, {of_last_value:.2} of last-value's",
                self.losses.len(),
                self.origins
            ),
            Reason::Recorded { of_last_value } => write!(
                f,
                "`{name}`: {} models weighed by what they lost lately, {of_last_value:.2} of last-value's",
                self.losses.len() - 1
            ),
            Reason::Forced => write!(f, "`{name}`: configured"),
            Reason::TooLittleHistory => write!(f, "`{name}`: too little history for another"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_loss_wins_and_the_reason_is_kept() {
        let losses = [(ModelKind::LastValue, 2.0), (ModelKind::Linear, 1.5), (ModelKind::Ets, 3.0)]
            .map(|(model, loss)| ModelLoss { model, loss });
        let choice = Choice::smallest(losses.to_vec(), 40);
        assert_eq!(
            choice.to_string(),
            "`linear`: smallest loss of 3 models over 40 origins, 0.75 of last-value's"
        );
    }
}
