//! The models, and what they have in common: a centre and a spread for each target.

pub(crate) mod boosted;
pub(crate) mod ets;
pub(crate) mod linear;
mod pairs;
mod random;
pub(crate) mod seasonal;
pub(crate) mod training;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Target;
use crate::frame::{Frame, Space};
use ets::Ets;
use linear::Linear;
use seasonal::Season;

/// Which model forecasts.
///
/// ```
/// use forecaster::ModelKind;
///
/// assert_eq!("seasonal-day".parse(), Ok(ModelKind::SeasonalDay));
/// for kind in ModelKind::ALL {
///     assert_eq!(kind.name().parse(), Ok(kind));
/// }
/// let unknown = "arima".parse::<ModelKind>().expect_err("no model of ours");
/// assert!(unknown.to_string().starts_with("unknown model `arima`, expected `auto`, "));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Whatever did best lately, or a blend of all.
    #[default]
    Auto,
    /// The last value stays: the yardstick.
    LastValue,
    /// The value of the same time yesterday.
    SeasonalDay,
    /// The value of the same time last week.
    SeasonalWeek,
    /// Exponential smoothing with a damped trend.
    Ets,
    /// Ridge regression on lags, windows, yesterday, last week and the time of day.
    Linear,
    /// The same regression on ratios of demand in place of differences.
    LinearLog,
    /// Gradient-boosted quantile trees.
    Boosted,
    /// The same trees on ratios of demand in place of differences.
    BoostedLog,
}

impl ModelKind {
    /// Every kind, `Auto` first.
    pub const ALL: [ModelKind; 9] = [
        ModelKind::Auto,
        ModelKind::LastValue,
        ModelKind::SeasonalDay,
        ModelKind::SeasonalWeek,
        ModelKind::Ets,
        ModelKind::Linear,
        ModelKind::LinearLog,
        ModelKind::Boosted,
        ModelKind::BoostedLog,
    ];

    /// Its name in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Auto => "auto",
            ModelKind::LastValue => "last-value",
            ModelKind::SeasonalDay => "seasonal-day",
            ModelKind::SeasonalWeek => "seasonal-week",
            ModelKind::Ets => "ets",
            ModelKind::Linear => "linear",
            ModelKind::LinearLog => "linear-log",
            ModelKind::Boosted => "boosted",
            ModelKind::BoostedLog => "boosted-log",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown model `{0}`, expected `auto`, `last-value`, `seasonal-day`, `seasonal-week`, `ets`, `linear`, `linear-log`, `boosted` or `boosted-log`"
)]
pub struct UnknownModel(pub String);

impl FromStr for ModelKind {
    type Err = UnknownModel;
    fn from_str(word: &str) -> Result<ModelKind, UnknownModel> {
        ModelKind::ALL
            .into_iter()
            .find(|kind| kind.name() == word)
            .ok_or_else(|| UnknownModel(word.to_owned()))
    }
}

/// A fitted model that says where a target is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Expert {
    Last,
    Season(Season),
    Ets(Ets),
    Linear(Box<Linear>),
}

/// Where a model expects a target, and how far off it usually is, both in its own space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) centre: f64,
    /// Above zero.
    pub(crate) spread: f64,
}

impl Expert {
    pub(crate) fn space(&self) -> Space {
        match self {
            Expert::Linear(linear) => linear.space,
            Expert::Last | Expert::Season(_) | Expert::Ets(_) => Space::Plain,
        }
    }

    /// One point a target, forecast from sample `t` of `frame` (in this model's space).
    pub(crate) fn points(&self, frame: &Frame, t: usize, targets: &[Target]) -> Vec<Point> {
        let spread = frame.scale(t);
        let point = |centre| Point { centre, spread };
        match self {
            Expert::Last => vec![point(frame.y[t]); targets.len()],
            Expert::Season(season) => {
                targets.iter().map(|&target| point(season.centre(frame, t, target))).collect()
            }
            Expert::Ets(ets) => {
                let state = ets.state_at(frame, t);
                targets.iter().map(|&target| point(ets.centre(state, target))).collect()
            }
            Expert::Linear(linear) => linear.points(frame, t, spread, targets),
        }
    }
}
