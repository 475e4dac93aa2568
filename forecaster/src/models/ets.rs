//! Exponential smoothing with a damped trend, after the published recursions.
//!
//! Gardner and McKenzie (Management Science 1985), in the error-correction form of Hyndman,
//! Koehler, Ord and Snyder (Forecasting with Exponential Smoothing, 2008, table 2.1, ETS(A,Ad,N)):
//! e = y - (l + phi b); l' = l + phi b + alpha e; b' = phi b + beta e; and the forecast h steps
//! ahead is l + (phi + phi^2 + ... + phi^h) b.

use serde::{Deserialize, Serialize};

use crate::Target;
use crate::frame::Frame;

/// Smoothing parameters: `0 < beta <= alpha <= 1`, `0 < phi < 1`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ets {
    alpha: f64,
    beta: f64,
    phi: f64,
}

/// Level and trend after a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct State {
    level: f64,
    trend: f64,
}

/// Samples after which the start of the recursion is forgotten: 0.95^400 is below 1e-8.
const MEMORY: usize = 400;

/// The grid of parameters tried. The least alpha bounds [`MEMORY`].
const ALPHAS: [f64; 6] = [0.05, 0.15, 0.3, 0.5, 0.75, 1.0];
const BETA_SHARES: [f64; 3] = [0.02, 0.1, 0.3];
const PHIS: [f64; 2] = [0.8, 0.95];

impl Ets {
    /// The parameters with the smallest mean absolute error of the forecasts of `ahead` steps,
    /// over the last `window` samples of `frame`.
    pub(crate) fn fit(frame: &Frame, ahead: usize, window: usize) -> Ets {
        let until = frame.y.len();
        let from = until.saturating_sub(window);
        let y = &frame.y[from..until];
        let mut best = (f64::INFINITY, Ets { alpha: 1.0, beta: 0.02, phi: 0.8 });
        for alpha in ALPHAS {
            for share in BETA_SHARES {
                for phi in PHIS {
                    let ets = Ets { alpha, beta: alpha * share, phi };
                    let loss = ets.loss(y, ahead);
                    if loss < best.0 {
                        best = (loss, ets);
                    }
                }
            }
        }
        best.1
    }

    fn loss(self, y: &[f64], ahead: usize) -> f64 {
        let reach = self.reach(ahead);
        let mut state = State { level: y.first().copied().unwrap_or(0.0), trend: 0.0 };
        let mut sum = 0.0;
        for (t, &value) in y.iter().enumerate() {
            state = self.after(state, value);
            if let Some(actual) = y.get(t + ahead) {
                sum += (actual - state.level - reach * state.trend).abs();
            }
        }
        sum
    }

    fn after(self, state: State, value: f64) -> State {
        let expected = state.level + self.phi * state.trend;
        let error = value - expected;
        State {
            level: expected + self.alpha * error,
            trend: self.phi * state.trend + self.beta * error,
        }
    }

    /// phi + phi^2 + ... + phi^h.
    fn reach(self, ahead: usize) -> f64 {
        let ahead = i32::try_from(ahead).unwrap_or(i32::MAX);
        self.phi * (1.0 - self.phi.powi(ahead)) / (1.0 - self.phi)
    }

    /// The state after sample `t`.
    pub(crate) fn state_at(self, frame: &Frame, t: usize) -> State {
        let from = t.saturating_sub(MEMORY);
        let start = State { level: frame.y[from], trend: 0.0 };
        frame.y[from..=t].iter().fold(start, |state, &value| self.after(state, value))
    }

    /// The states after each sample of `frame`.
    pub(crate) fn states(self, frame: &Frame) -> Vec<State> {
        let mut state = State { level: frame.y[0], trend: 0.0 };
        let step = |value: &f64| {
            state = self.after(state, *value);
            state
        };
        frame.y.iter().map(step).collect()
    }

    /// Where the target is expected; a damped path rises or falls throughout, so its maximum is
    /// at one of its ends.
    pub(crate) fn centre(self, state: State, target: Target) -> f64 {
        let at = |ahead| state.level + self.reach(ahead) * state.trend;
        at(target.first()).max(at(target.reach()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_is_the_published_one() {
        // By hand: alpha 0.5, beta 0.1, phi 0.9 from level 10, trend 0, over 12 and 11.
        let ets = Ets { alpha: 0.5, beta: 0.1, phi: 0.9 };
        let first = ets.after(State { level: 10.0, trend: 0.0 }, 12.0);
        assert_eq!(first, State { level: 11.0, trend: 0.2 });
        let second = ets.after(first, 11.0);
        assert!((second.level - 11.09).abs() < 1e-12, "{second:?}");
        assert!((second.trend - 0.162).abs() < 1e-12, "{second:?}");
        let ahead = ets.centre(second, Target::Step(2));
        assert!((ahead - (11.09 + (0.9 + 0.81) * 0.162)).abs() < 1e-12, "{ahead}");
    }
}
