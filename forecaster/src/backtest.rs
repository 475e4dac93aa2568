//! Rolling-origin evaluation: pinball loss and coverage, never in-sample fit.

use fleet::{Level, Seconds, Step, Timestamp};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::quantiles::{levels_rise, pinball};
use crate::{Choice, Marks, ModelKind, QuantileForecast, Series, SeriesFault, Target};

/// How far ahead is forecast.
///
/// ```
/// use fleet::{Seconds, Step};
/// use forecaster::Horizon;
///
/// assert_eq!(Horizon::Customary.steps(Step::MINUTE), Ok(60));
/// // A span is covered: 12 minutes are three samples of 5 minutes.
/// assert_eq!(Horizon::Span(Seconds::minutes(12)).steps(Step::FIVE_MINUTES), Ok(3));
/// assert!(Horizon::Span(Seconds::ZERO).steps(Step::MINUTE).is_err());
/// assert!(Horizon::Span(Seconds::days(30)).steps(Step::MINUTE).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Horizon {
    /// About an hour of fine samples (at least 4 steps), 4 steps of 30 minutes and above.
    Customary,
    /// The steps that cover this span.
    Span(Seconds),
}

/// The longest horizon, in steps.
pub const HORIZON_MAX: usize = 2000;

impl Horizon {
    /// Steps ahead for samples `step` apart.
    ///
    /// # Errors
    /// [`SeriesFault::Horizon`] for no step or more than [`HORIZON_MAX`].
    pub fn steps(self, step: Step) -> Result<usize, SeriesFault> {
        let steps = match self {
            Horizon::Customary if step.seconds() >= 1800 => 4,
            Horizon::Customary => (3600 / step.seconds() as usize).max(4),
            Horizon::Span(span) => step.samples_to_cover(span),
        };
        if (1..=HORIZON_MAX).contains(&steps) {
            Ok(steps)
        } else {
            Err(SeriesFault::Horizon { found: steps, max: HORIZON_MAX })
        }
    }
}

/// What to evaluate.
///
/// ```
/// use fleet::{Level, Seconds, Step, Timestamp};
/// use forecaster::{Backtest, Horizon, ModelKind, Series};
///
/// let hour = Step::new(3600).expect("a step");
/// // Every day alike, so that yesterday foretells today.
/// let days = (0..12 * 24).map(|n| Some(if (6..18).contains(&(n % 24)) { 300.0 } else { 100.0 }));
/// let series = Series::from_values(Timestamp(0), hour, days)?;
/// let horizon = Horizon::Span(Seconds::hours(6));
/// let levels = vec![Level::new(0.9).expect("a level")];
/// let model = ModelKind::SeasonalDay;
/// let backtest = Backtest { origins: 8, warmup: 0.7, horizon, levels, model };
///
/// let mut forecasts = 0;
/// let score = backtest.run(&series, |_| forecasts += 1)?;
/// assert_eq!((forecasts, score.scored), (8, 8 * 6));
/// assert!(score.loss < score.last_value_loss);
/// # Ok::<(), forecaster::SeriesFault>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backtest {
    /// Origins, evenly spaced over the part after the warm-up.
    pub origins: usize,
    /// Share of the series that is history alone, between 0 and 1.
    pub warmup: f64,
    /// How far ahead.
    pub horizon: Horizon,
    /// The levels, rising.
    pub levels: Vec<Level>,
    pub model: ModelKind,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Values that were forecast and seen.
    pub scored: usize,
    /// Mean pinball loss as a share of the mean demand (WQL).
    pub loss: f64,
    /// The same of last-value with quantiles of its past errors.
    pub last_value_loss: f64,
    /// Level and share of values at or below its quantile.
    pub coverage: Vec<(Level, f64)>,
    /// Refits made.
    pub refits: usize,
}

impl Backtest {
    /// The grid points forecast from, of a series with `len` of them: the last known sample each
    /// time. Evenly spaced, rounded half to even, without repetition.
    ///
    /// ```
    /// use forecaster::{Backtest, Horizon, ModelKind};
    ///
    /// let (horizon, model) = (Horizon::Customary, ModelKind::Auto);
    /// let plan = Backtest { origins: 3, warmup: 0.5, horizon, levels: Vec::new(), model };
    /// // The last origin leaves room for the whole horizon.
    /// assert_eq!(plan.origins(100, 10), [49, 69, 89]);
    /// assert_eq!(plan.origins(10, 10), []);
    /// ```
    pub fn origins(&self, len: usize, steps: usize) -> Vec<usize> {
        let split = (len as f64 * self.warmup) as usize;
        let (Some(first), Some(last)) = (split.checked_sub(1), len.checked_sub(1 + steps)) else {
            return Vec::new();
        };
        let (first, last) = (first as f64, last as f64);
        let gap = if self.origins > 1 { (last - first) / (self.origins - 1) as f64 } else { 0.0 };
        let mut found: Vec<usize> = (0..self.origins)
            .map(|k| if k > 0 && k + 1 == self.origins { last } else { first + k as f64 * gap })
            .map(|at| at.round_ties_even() as usize)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Runs over `series`, handing each forecast to `each`. The forecaster is given samples in
    /// order and knows, at every origin, those up to it and no other.
    ///
    /// # Errors
    /// A series too short for a first fit at the first origin, or a horizon out of range.
    pub fn run(
        &self,
        series: &Series,
        mut each: impl FnMut(QuantileForecast),
    ) -> Result<Score, SeriesFault> {
        let steps = self.horizon.steps(series.step())?;
        let origins = self.origins(series.len(), steps);
        let Some(&first) = origins.first() else {
            return Err(SeriesFault::too_short(series.len(), steps + 1, series.step()));
        };
        let mut runner = Runner::new(self, series, steps);
        let mut tally = Tally::new(&self.levels);
        // Two days of forecasting before the first origin settle the online state.
        let mut known = first.saturating_sub(2 * series.day()).max(first.min(2 * series.day()));
        for origin in origins {
            while known <= origin {
                known = runner.advance(known, origin)?;
            }
            let (forecast, yardstick) = runner.forecast(origin)?;
            tally.score(series, origin, &forecast, &yardstick);
            each(forecast);
        }
        Ok(tally.finish(runner.refits))
    }
}

/// Forecasts `steps` ahead from the end of `series`, with the model refitted to all of it.
///
/// ```
/// use fleet::{Level, Step, Timestamp};
/// use forecaster::{ModelKind, Series, forecast_once};
///
/// let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a time");
/// let hour = Step::new(3600).expect("a step");
/// // Eight days in which demand is 100/s by night and 300/s by day.
/// let demand = (0..8 * 24).map(|n| Some(if (6..18).contains(&(n % 24)) { 300.0 } else { 100.0 }));
/// let series = Series::from_values(start, hour, demand).expect("sound samples");
///
/// let levels = [Level::new(0.5).expect("a level"), Level::new(0.95).expect("a level")];
/// let (forecast, _) = forecast_once(&series, ModelKind::SeasonalDay, 12, &levels).expect("enough of it");
///
/// // The last sample is that of 23:00; noon is thirteen hours after it, nine o'clock ten.
/// assert_eq!(forecast.horizon(), 12);
/// assert_eq!(forecast.at_step(10).expect("within the horizon")[0], 300.0);
/// ```
///
/// # Errors
/// [`SeriesFault::TooShort`] with what would have been enough; a horizon or levels out of range.
pub fn forecast_once(
    series: &Series,
    kind: ModelKind,
    steps: usize,
    levels: &[Level],
) -> Result<(QuantileForecast, Choice), SeriesFault> {
    if steps == 0 || steps > HORIZON_MAX || !levels_rise(levels) {
        return Err(SeriesFault::Horizon { found: steps, max: HORIZON_MAX });
    }
    let targets: Vec<Target> = (1..=steps).map(Target::Step).collect();
    let (engine, choice) = Engine::fit(series, kind, &targets, levels, None)?;
    let origin = series.start_of(series.settled_len() - 1);
    let rows = engine.forecast(series)?;
    Ok((assemble(origin, series.step(), levels, &rows), choice))
}

fn assemble(
    origin: Timestamp,
    step: Step,
    levels: &[Level],
    rows: &[Vec<f64>],
) -> QuantileForecast {
    QuantileForecast::new(origin, step, levels.to_vec(), rows)
        .expect("levels were checked, and an engine gives one finite value a level")
}

/// Feeds a series to an engine sample by sample.
struct Runner<'a> {
    plan: &'a Backtest,
    whole: &'a Series,
    known: Series,
    targets: Vec<Target>,
    engine: Option<Engine>,
    fitted_at: usize,
    refits: usize,
}

/// Refits a day.
const REFITS_A_DAY: usize = 4;

impl<'a> Runner<'a> {
    fn new(plan: &'a Backtest, whole: &'a Series, steps: usize) -> Runner<'a> {
        let mut known = whole.clone();
        known.truncate(0);
        Runner {
            plan,
            whole,
            known,
            targets: (1..=steps).map(Target::Step).collect(),
            engine: None,
            fitted_at: 0,
            refits: 0,
        }
    }

    /// Makes samples up to `index` known, refits where due, and says which comes next: the next
    /// refit or `until`, whichever is earlier, or one beyond `until`.
    fn advance(&mut self, index: usize, until: usize) -> Result<usize, SeriesFault> {
        while self.known.len() <= index {
            let at = self.known.len();
            let stamp = self.whole.start_of(at);
            match self.whole.get(at) {
                Some(value) => self.known.put(stamp, value, Marks::NONE)?,
                None => self.known.extend_to(stamp)?,
            }
        }
        if let Some(engine) = &mut self.engine {
            engine.observe(&self.known);
        }
        let interval = (self.whole.day() / REFITS_A_DAY).max(12);
        if self.engine.is_none() || index >= self.fitted_at + interval {
            self.refit(index)?;
        }
        let next = self.fitted_at + interval;
        Ok(if index == until { until + 1 } else { next.min(until) })
    }

    fn refit(&mut self, index: usize) -> Result<(), SeriesFault> {
        let (plan, earlier) = (self.plan, self.engine.as_ref());
        let (engine, _) =
            Engine::fit(&self.known, plan.model, &self.targets, &plan.levels, earlier)?;
        self.engine = Some(engine);
        self.fitted_at = index;
        self.refits += 1;
        Ok(())
    }

    fn forecast(&self, origin: usize) -> Result<(QuantileForecast, Vec<Vec<f64>>), SeriesFault> {
        let Some(engine) = &self.engine else {
            return Err(SeriesFault::too_short(origin, origin + 1, self.whole.step()));
        };
        let rows = engine.forecast(&self.known)?;
        let stamp = self.whole.start_of(origin);
        let forecast = assemble(stamp, self.whole.step(), &self.plan.levels, &rows);
        Ok((forecast, engine.yardstick(&self.known)))
    }
}

/// Running sums of a backtest.
struct Tally {
    levels: Vec<Level>,
    covered: Vec<usize>,
    scored: usize,
    loss: f64,
    last_value_loss: f64,
    demand: f64,
}

impl Tally {
    fn new(levels: &[Level]) -> Tally {
        Tally {
            levels: levels.to_vec(),
            covered: vec![0; levels.len()],
            scored: 0,
            loss: 0.0,
            last_value_loss: 0.0,
            demand: 0.0,
        }
    }

    fn score(
        &mut self,
        series: &Series,
        origin: usize,
        forecast: &QuantileForecast,
        yardstick: &[Vec<f64>],
    ) {
        for (ahead, ((_, row), last_value)) in (1..).zip(forecast.steps().zip(yardstick)) {
            let Some(actual) = series.get(origin + ahead) else { continue };
            self.scored += 1;
            self.demand += actual;
            for (l, &level) in self.levels.iter().enumerate() {
                self.loss += pinball(level, row[l], actual);
                self.last_value_loss += pinball(level, last_value[l], actual);
                self.covered[l] += usize::from(actual <= row[l]);
            }
        }
    }

    fn finish(self, refits: usize) -> Score {
        let count = self.scored.max(1) as f64;
        let unit = self.demand.max(1e-12) * self.levels.len() as f64;
        Score {
            scored: self.scored,
            loss: self.loss / unit,
            last_value_loss: self.last_value_loss / unit,
            coverage: self
                .levels
                .iter()
                .zip(&self.covered)
                .map(|(&level, &covered)| (level, covered as f64 / count))
                .collect(),
            refits,
        }
    }
}
