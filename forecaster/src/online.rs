//! The forecaster of one service: what a daemon keeps between samples, and when it refits.

use std::ops::RangeInclusive;

use fleet::{Level, Step, Timestamp};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::select::Choice;
use crate::{ModelKind, Series, SeriesFault, Target};

/// The levels of a reduced forecast.
pub const LEVELS: [f64; 8] = [0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995];

/// [`LEVELS`] as levels.
pub fn levels() -> Vec<Level> {
    LEVELS.iter().filter_map(|&value| Level::new(value).ok()).collect()
}

/// The two windows a planner asks about, in steps from the origin.
///
/// Capacity ordered now serves from the end of its lead time; what is needed before that, earlier
/// orders had to see to. So growth is sized for `first..=lead` alone, and scale-in, which takes
/// effect at once, for all steps up to `hold`.
///
/// ```
/// use forecaster::{SeriesFault, Windows};
///
/// // A hold window that is too short is lifted to the lead window, a late start lowered to it.
/// let windows = Windows::new(9, 7, 2)?;
/// assert_eq!((windows.first, windows.lead, windows.hold), (7, 7, 7));
/// assert!(matches!(Windows::new(1, 0, 5), Err(SeriesFault::Horizon { found: 0, .. })));
/// # Ok::<(), SeriesFault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// The first step that capacity ordered now can serve; at least 1.
    pub first: usize,
    /// The last step that only an order made now can serve; at least `first`.
    pub lead: usize,
    /// Steps for which capacity given up now must not be missed; at least `lead`.
    pub hold: usize,
}

/// The longest window, in steps.
pub const WINDOW_MAX: usize = 20_000;

impl Windows {
    /// Both windows, `hold` lifted to `lead` where it is shorter and `first` lowered to it.
    ///
    /// # Errors
    /// [`SeriesFault::Horizon`] for a window of no step or above [`WINDOW_MAX`].
    pub fn new(first: usize, lead: usize, hold: usize) -> Result<Windows, SeriesFault> {
        let windows = Windows { first: first.min(lead), lead, hold: hold.max(lead) };
        windows.check()?;
        Ok(windows)
    }

    fn check(self) -> Result<(), SeriesFault> {
        for found in [self.first, self.lead, self.hold] {
            if found == 0 || found > WINDOW_MAX {
                return Err(SeriesFault::Horizon { found, max: WINDOW_MAX });
            }
        }
        Ok(())
    }

    /// What is fitted for these windows: the next step, the lead window and the hold window, and
    /// each of them half as far again or wider, since the age of the newest sample and measured
    /// lead times vary.
    fn targets(self) -> Vec<Target> {
        let later = self.lead + self.lead.div_ceil(2);
        let mut targets = vec![
            Target::Step(1),
            between(self.first, self.lead),
            between(self.first.div_ceil(2), later),
            Target::MaxUpTo(self.lead),
            Target::MaxUpTo(self.hold),
            Target::MaxUpTo(self.hold + self.hold.div_ceil(4)),
        ];
        targets.sort_by_key(|target| (target.reach(), *target));
        targets.dedup();
        targets
    }
}

/// The highest demand of some steps, in one spelling.
fn between(first: usize, last: usize) -> Target {
    match first {
        0 | 1 => Target::MaxUpTo(last),
        _ => Target::Between(first, last),
    }
}

/// Demand ahead of one service, reduced to what a planner decides on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowForecast {
    /// Stamp of the last sample known.
    pub origin: Timestamp,
    /// The levels of the values below.
    pub levels: Vec<Level>,
    /// Demand of the next step.
    pub next: Vec<f64>,
    /// Highest demand of the steps that only an order made now can serve: from the first to the
    /// last of the lead window.
    pub lead: Vec<f64>,
    /// Highest demand of all steps up to the end of the hold window; never below `lead`.
    pub hold: Vec<f64>,
    /// The model, as reports name it.
    pub model: String,
    /// Mean pinball loss of recent forecasts of the lead window, in the demand's unit;
    /// 0 before any was scored.
    pub recent_loss: f64,
    /// The same of last-value over the same samples.
    pub last_value_loss: f64,
    /// How recent forecasts of the lead window did otherwise; `None` before any came due.
    pub record: Option<ForecastRecord>,
}

/// How the forecasts of the lead window that came due lately did, beside their loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastRecord {
    /// The share of them whose 0.9 quantile demand did not exceed: 0.9 where they are calibrated.
    pub covered: f64,
    /// Demand less its forecast median, on the mean, in the demand's unit: above zero where
    /// demand is underestimated.
    pub bias: f64,
}

/// The state kept for a service. A forecast is a function of the samples known and the model
/// revision: refits are due at sample counts, and between them the state is a fold over samples.
///
/// ```
/// use fleet::{Step, Timestamp};
/// use forecaster::{ModelKind, Series, ServiceForecaster, Windows};
///
/// let hour = Step::new(3600).expect("a step");
/// let days = (0..8 * 24).map(|n| Some(if (6..18).contains(&(n % 24)) { 300.0 } else { 100.0 }));
/// let series = Series::from_values(Timestamp(0), hour, days)?;
/// let windows = Windows::new(1, 2, 12)?;
///
/// let mut forecaster = ServiceForecaster::new(hour, ModelKind::SeasonalDay);
/// assert!(forecaster.forecast(&series, windows).is_err(), "nothing is fitted yet");
/// assert_eq!(forecaster.refit_due(&series), Some(u64::MAX));
/// forecaster.refit(&series, windows)?;
///
/// // It is 23:00. The night goes on for two hours, and the day comes within twelve.
/// let ahead = forecaster.forecast(&series, windows)?;
/// let median = ahead.levels.iter().position(|level| level.get() == 0.5).expect("a median");
/// assert_eq!((ahead.lead[median], ahead.hold[median]), (100.0, 300.0));
/// # Ok::<(), forecaster::SeriesFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceForecaster {
    step: Step,
    kind: ModelKind,
    fitted: Option<(Engine, Choice)>,
    windows: Option<Windows>,
    /// Refits so far.
    revision: u64,
}

/// Settled samples before the first fit.
const SAMPLES_MIN: usize = 48;

/// Refits a day once there is enough history; a younger model is refitted when its history has
/// grown by an eighth.
const REFITS_A_DAY: usize = 4;

impl ServiceForecaster {
    /// A forecaster that has seen nothing, for a series of `step`.
    pub fn new(step: Step, kind: ModelKind) -> ServiceForecaster {
        ServiceForecaster { step, kind, fitted: None, windows: None, revision: 0 }
    }

    /// Whether a refit is due; the greater, the more urgent: first services without a model,
    /// then by samples since the last fit, weighed by how the model does against last-value.
    pub fn refit_due(&self, series: &Series) -> Option<u64> {
        let settled = series.settled_len();
        let Some((engine, _)) = &self.fitted else {
            return (settled >= SAMPLES_MIN).then_some(u64::MAX);
        };
        let last = series.start_of(settled.saturating_sub(1));
        let since = last.since(engine.fitted_until()).0 / series.step().span().0;
        let day = series.day();
        let interval = (day / REFITS_A_DAY).min(settled / 8).max(12) as u64;
        if since < interval {
            return None;
        }
        let (own, last_value) = self.losses().unwrap_or((1.0, 1.0));
        let badness = if last_value > 0.0 { (own / last_value).clamp(0.1, 10.0) } else { 1.0 };
        Some((since as f64 * 1000.0 / interval as f64 * badness) as u64)
    }

    /// Fits anew to the settled samples of `series`.
    ///
    /// # Errors
    /// [`SeriesFault::TooShort`] with what would have been enough; the earlier model then stays.
    pub fn refit(&mut self, series: &Series, windows: Windows) -> Result<&Choice, SeriesFault> {
        windows.check()?;
        self.observe(series);
        let targets = windows.targets();
        let earlier = self.fitted.as_ref().map(|(engine, _)| engine);
        let fitted = Engine::fit(series, self.kind, &targets, &levels(), earlier)?;
        self.windows = Some(windows);
        self.revision += 1;
        Ok(&self.fitted.insert(fitted).1)
    }

    /// Folds in newly settled samples: scores what was forecast for them and adjusts.
    pub fn observe(&mut self, series: &Series) {
        if let Some((engine, _)) = &mut self.fitted {
            engine.observe(series);
        }
    }

    /// The demand ahead, from the settled samples of `series` alone.
    ///
    /// Windows longer than those fitted are answered from the longest fitted one, widened by the
    /// square root of their lengths' ratio; a refit mends that.
    ///
    /// # Errors
    /// [`SeriesFault::TooShort`] before the first fit; a window out of range.
    pub fn forecast(
        &self,
        series: &Series,
        windows: Windows,
    ) -> Result<WindowForecast, SeriesFault> {
        windows.check()?;
        let settled = series.settled_len();
        let Some((engine, choice)) = &self.fitted else {
            return Err(SeriesFault::too_short(settled, SAMPLES_MIN, self.step));
        };
        let rows = engine.forecast(series)?;
        let next = reading(engine, &rows, 1..=1);
        let lead = reading(engine, &rows, windows.first..=windows.lead);
        let mut hold = reading(engine, &rows, 1..=windows.hold);
        for (hold, &lead) in hold.iter_mut().zip(&lead) {
            *hold = hold.max(lead);
        }
        let (recent_loss, last_value_loss) = self.losses().unwrap_or((0.0, 0.0));
        Ok(WindowForecast {
            origin: series.start_of(settled - 1),
            levels: engine.levels().to_vec(),
            next,
            lead,
            hold,
            model: if choice.model == ModelKind::Auto {
                "blend".to_owned()
            } else {
                choice.model.to_string()
            },
            recent_loss,
            last_value_loss,
            record: self.record(),
        })
    }

    /// The model chosen at the last fit, and why.
    pub fn choice(&self) -> Option<&Choice> {
        self.fitted.as_ref().map(|(_, choice)| choice)
    }

    /// Refits so far: together with the samples known it decides every forecast.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The engine, and the place of the lead window among its targets.
    fn lead(&self) -> Option<(&Engine, usize)> {
        let (engine, _) = self.fitted.as_ref()?;
        let windows = self.windows?;
        let lead = between(windows.first, windows.lead);
        Some((engine, engine.targets().iter().position(|&target| target == lead)?))
    }

    fn losses(&self) -> Option<(f64, f64)> {
        let (engine, k) = self.lead()?;
        engine.recent_losses(k)
    }

    fn record(&self) -> Option<ForecastRecord> {
        let (engine, k) = self.lead()?;
        let record = engine.recent_record(k)?;
        Some(ForecastRecord { covered: record.covered.into(), bias: record.bias.into() })
    }
}

/// The row of the shortest fitted window that covers `steps`, or the longest one, widened.
fn reading(engine: &Engine, rows: &[Vec<f64>], steps: RangeInclusive<usize>) -> Vec<f64> {
    let fitted = || engine.targets().iter().zip(rows);
    let covers =
        |target: &Target| target.first() <= *steps.start() && target.reach() >= *steps.end();
    let shortest = fitted()
        .filter(|(target, _)| covers(target))
        .min_by_key(|(target, _)| target.reach() - target.first());
    if let Some((_, row)) = shortest {
        return row.clone();
    }
    let longest = fitted().max_by_key(|(target, _)| target.reach() - target.first());
    let Some((target, row)) = longest else { return Vec::new() };
    let ratio = (*steps.end() as f64 / target.reach() as f64).sqrt();
    let middle = engine.levels().iter().position(|level| level.get() >= 0.5).unwrap_or(0);
    row.iter().map(|value| (row[middle] + (value - row[middle]) * ratio).max(0.0)).collect()
}
