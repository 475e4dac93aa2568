//! Time series in, calibrated quantile forecasts out.
//!
//! No clock, no I/O, no async, no logging, no global state: the same input gives the same output
//! on every machine, and it fails only on unusable input.

pub mod backtest;
mod blend;
pub mod calendar;
mod calibrate;
mod engine;
pub mod error;
mod features;
mod frame;
mod models;
pub mod online;
pub mod quantiles;
pub mod select;
pub mod series;
mod target;
mod trial;

pub use backtest::{Backtest, Horizon, Score, forecast_once};
pub use calendar::{Calendar, Day, DayKind, Occurrence};
pub use error::SeriesFault;
pub use models::{ModelKind, UnknownModel};
pub use online::{ForecastRecord, LEVELS, ServiceForecaster, WindowForecast, Windows};
pub use quantiles::{ForecastFault, QuantileForecast, pinball};
pub use select::{Choice, ModelLoss, Reason};
pub use series::{Marks, Series};
pub use target::Target;
