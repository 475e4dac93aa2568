//! One load under every policy.

use anyhow::ensure;
use fleet::{Seconds, Timestamp};
use forecaster::Series;
use planner::policy::{Budgets, ServicePolicy};
use rayon::prelude::*;
use serde::Serialize;
use shadow::baselines::{
    Baseline, Fixed, HourlyForecast, Hpa, MaxCapacity, Predictive, TargetTracking,
    perfect_foresight, units_for,
};

use super::super::removals;
use super::super::simulate::{Bounds, Forecasts, Part, Steps, Summary, Trace, quantile, sorted};
use super::setting::{Family, Setting};

/// A load, and what it is sized by.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// The load, in its own unit.
    pub series: Series,
    /// Which part counts, and what a unit serves.
    pub part: Part,
    /// From an order to capacity in service.
    pub lead_time: Seconds,
    /// The service as it is simulated.
    pub service: ServicePolicy,
    /// How much may be taken away, were the service alone.
    pub budgets: Budgets,
}

/// How the baselines are set beside their targets.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The low alarm of target tracking, as a share of its target.
    pub low_factor: f64,
    /// What predictive scaling does at the group's maximum.
    pub max_capacity: MaxCapacity,
}

/// How one policy did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub family: Family,
    pub setting: Setting,
    /// The share of steps whose demand exceeded capacity in service.
    pub violations: f64,
    /// Units paid for, as a multiple of perfect foresight's.
    pub cost: f64,
    /// Units paid for, on the mean.
    pub mean_units: f64,
    /// How often the order changed.
    pub changes_a_day: f64,
}

/// How all policies did on one load.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// The load's name.
    pub series: String,
    /// The length of a step.
    pub step_seconds: u32,
    /// From an order to capacity in service.
    pub lead_time_seconds: u64,
    /// What a unit serves, in the load's own unit.
    pub capacity_per_unit: f64,
    /// The first step that counts.
    pub scored_from: String,
    /// The last one.
    pub scored_until: String,
    /// Steps that count and have a sample.
    pub steps: u32,
    /// What perfect foresight would have paid, on the mean.
    pub perfect_units: f64,
    /// The removal budgets that neap kept, in words.
    pub removal_budgets: String,
    /// In the order asked for.
    pub policies: Vec<Row>,
}

impl Case {
    /// Runs every policy of `settings` over the load; `done` is called after each.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn study(
        &self,
        settings: &[Setting],
        manner: Manner,
        done: &(dyn Fn() + Sync),
    ) -> anyhow::Result<Study> {
        let &Case { part, lead_time, budgets, .. } = self;
        let trace = Trace { series: &self.series, part, lead_time, budgets };
        let steps = trace.steps()?;
        let bounds = Bounds::of(&self.service.pool);
        let (forecasts, (_, with_own)) = Forecasts::make(&trace, &self.service)?;
        let hourly = HourlyForecast::along(&self.series, self.lead_time);
        let own = Setting::Neap(self.service.violation_budget);
        let summaries: Vec<anyhow::Result<Summary>> = settings
            .par_iter()
            .map(|setting| {
                let summary = match *setting {
                    setting if setting == own => Ok(with_own),
                    Setting::Neap(budget) => {
                        let service =
                            ServicePolicy { violation_budget: budget, ..self.service.clone() };
                        forecasts.decide(&trace, &service).map(|(_, summary)| summary)
                    }
                    setting => {
                        let mut policy = self.baseline(setting, manner, &hourly, steps);
                        trace.play(bounds, policy.as_mut())
                    }
                };
                done();
                summary
            })
            .collect();
        let perfect_units = self.perfect_units(&trace, steps, bounds);
        ensure!(perfect_units > 0.0, "there is no step that counts");
        let row = |(setting, summary): (&Setting, anyhow::Result<Summary>)| {
            let Summary { violations, mean_units, changes_a_day, .. } = summary?;
            let (family, setting, cost) = (setting.family(), *setting, mean_units / perfect_units);
            Ok(Row { family, setting, violations, cost, mean_units, changes_a_day })
        };
        let policies = settings.iter().zip(summaries).map(row).collect::<anyhow::Result<_>>()?;
        let stamp = |at: Timestamp| at.to_string();
        Ok(Study {
            series: self.name.clone(),
            step_seconds: self.series.step().seconds(),
            lead_time_seconds: self.lead_time.0,
            capacity_per_unit: self.part.capacity,
            scored_from: stamp(self.part.scored),
            scored_until: stamp(self.part.last),
            steps: with_own.steps,
            perfect_units,
            removal_budgets: removals::worded(&self.budgets),
            policies,
        })
    }

    fn baseline(
        &self,
        setting: Setting,
        manner: Manner,
        hourly: &HourlyForecast,
        steps: Steps,
    ) -> Box<dyn Baseline> {
        let step = self.series.step();
        let tracking = |target| TargetTracking::new(target, manner.low_factor, step);
        let units = |load: f64| Fixed { units: units_for(load / self.part.capacity, 1.0) };
        let history = || sorted(&self.series, 0..steps.scored);
        match setting {
            Setting::TargetTracking(target) => Box::new(tracking(target)),
            Setting::Predictive(target) => {
                let ahead = |step| hourly.at(step).map(|load| load / self.part.capacity);
                let ahead = (steps.first..=steps.last).map(ahead).collect();
                Box::new(Predictive::new(tracking(target), target, ahead, manner.max_capacity))
            }
            Setting::Hpa(target) => Box::new(Hpa::new(target, step)),
            Setting::Quantile(level) => {
                Box::new(units(quantile(&history(), level).unwrap_or_default()))
            }
            Setting::TimesHighest(times) => {
                Box::new(units(times * history().last().copied().unwrap_or_default()))
            }
            Setting::Units(units) => Box::new(Fixed { units }),
            Setting::Neap(_) => unreachable!("neap is no baseline of itself"),
        }
    }

    /// What perfect foresight pays on the mean, within the group's bounds. Where no sample is, the
    /// last need goes on.
    fn perfect_units(&self, trace: &Trace<'_>, steps: Steps, bounds: Bounds) -> f64 {
        let mut need = bounds.min;
        let needed: Vec<u32> = (steps.scored..=steps.last)
            .map(|step| {
                if let Some(load) = trace.units(step) {
                    need = units_for(load, 1.0).clamp(bounds.min, bounds.max);
                }
                need
            })
            .collect();
        perfect_foresight(&needed, trace.boot_steps()) as f64 / needed.len().max(1) as f64
    }
}

/// All studies in one: the geometric mean of cost, the arithmetic mean of all else. Nothing where
/// there is one study or none.
pub fn overall(studies: &[Study]) -> Option<Vec<Row>> {
    let first = studies.first().filter(|_| studies.len() > 1)?;
    let rows = first.policies.iter().enumerate().map(|(place, row)| {
        let all = || studies.iter().map(|study| &study.policies[place]);
        let mean = |of: fn(&Row) -> f64| all().map(of).sum::<f64>() / studies.len() as f64;
        Row {
            violations: mean(|row| row.violations),
            cost: mean(|row| row.cost.ln()).exp(),
            mean_units: mean(|row| row.mean_units),
            changes_a_day: mean(|row| row.changes_a_day),
            ..row.clone()
        }
    });
    Some(rows.collect())
}
