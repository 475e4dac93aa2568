//! Forecasts along a load, made once for every way to decide over it.

use planner::policy::ServicePolicy;
use planner::snapshot::{NoForecast, ReducedForecast, Window};

use super::Summary;
use super::trace::{Decision, Foresight, Trace};

/// What was decided over a load, and how it went.
pub type Decided = (Vec<Decision>, Summary);

/// Forecasts along a load. They hang neither on the promise nor on the removal budgets, and they are
/// most of the work.
#[derive(Clone, Debug)]
pub struct Forecasts {
    made: Vec<(Window, Result<ReducedForecast, NoForecast>)>,
}

impl Forecasts {
    /// Makes them while neap decides as `service` says.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn make(
        trace: &Trace<'_>,
        service: &ServicePolicy,
    ) -> anyhow::Result<(Forecasts, Decided)> {
        let mut foresight = Foresight::new(trace.series.step());
        let mut made = Vec::new();
        let decided = trace.decide(service, &mut |known, window| {
            let forecast = foresight.look(known, window);
            made.push((window, forecast.clone()));
            forecast
        })?;
        Ok((Forecasts { made }, decided))
    }

    /// Decides again over the same load and part, with another promise or other budgets.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn decide(&self, trace: &Trace<'_>, service: &ServicePolicy) -> anyhow::Result<Decided> {
        let mut made = self.made.iter();
        trace.decide(service, &mut |_, window| {
            let (asked, forecast) = made.next().ok_or(NoForecast::NoData)?;
            assert_eq!(*asked, window, "a budget does not change what is asked of the forecaster");
            forecast.clone()
        })
    }
}
