//! Decides over one recorded load, step by step, knowing the past alone.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use fleet::{GroupId, Seconds, ServiceName, Step, Timestamp, Units};
use forecaster::{Marks, ModelKind, Series, SeriesFault, ServiceForecaster};
use planner::Memory;
use planner::demand::{Assembly, Member};
use planner::policy::{Budgets, Mode, Policy, ServicePolicy};
use planner::snapshot::{
    DemandPoint, DemandView, Disk, GroupView, KillSwitch, NoForecast, Observation, OrderOutcome,
    OrderResult, ReducedForecast, SignalsView, Snapshot, Window,
};
use planner::stage::Promotion;
use shadow::baselines::Group;

use super::Summary;
use super::tally::Tally;

/// What a unit serves, in the simulation's own unit of demand: loads are scaled to it.
pub const UNIT: f64 = 1000.0;

/// Which part of a series is decided over, and what a unit serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The first decision.
    pub first: Timestamp,
    /// From here on it counts.
    pub scored: Timestamp,
    /// The last decision.
    pub last: Timestamp,
    /// What a unit serves, in the series' own unit.
    pub capacity: f64,
}

impl Part {
    /// Decisions start a day before the end of the warm-up. Where no `capacity` is given, the 95th
    /// percentile of the warm-up is served by 20 units; `None` where that percentile is zero.
    pub fn after_warmup(series: &Series, warmup: f64, capacity: Option<f64>) -> Option<Part> {
        let split = (series.len() as f64 * warmup) as usize;
        let day = (86_400 / series.step().seconds()) as usize;
        let past = sorted(series, 0..split);
        let capacity = capacity.or(quantile(&past, 0.95).map(|busy| busy / 20.0))?;
        (capacity > 0.0).then(|| Part {
            first: series.start_of(split.saturating_sub(day)),
            scored: series.start_of(split),
            last: series.start_of(series.len() - 1),
            capacity,
        })
    }
}

/// The samples that there are in `range`, the smallest first.
pub fn sorted(series: &Series, range: std::ops::Range<usize>) -> Vec<f64> {
    let mut values: Vec<f64> = range.filter_map(|index| series.get(index)).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Linear between neighbours; `None` of nothing.
pub fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let place = level * sorted.len().checked_sub(1)? as f64;
    let (below, part) = (place as usize, place.fract());
    let above = sorted.get(below + 1).copied().unwrap_or(sorted[below]);
    Some(sorted[below] + (above - sorted[below]) * part)
}

/// Reads a table of parts by series name.
///
/// # Errors
/// A file that cannot be read, and rows that are no tasks.
pub fn read_tasks(path: &Path) -> anyhow::Result<BTreeMap<String, Part>> {
    #[derive(serde::Deserialize)]
    struct Row {
        series: String,
        first_decision: String,
        scored_from: String,
        last_decision: String,
        capacity: f64,
    }
    let reading = || format!("reading `{}`", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(reading)?;
    let mut parts = BTreeMap::new();
    for row in reader.deserialize() {
        let row: Row = row.with_context(reading)?;
        let stamp = |text: &str| {
            let fault = || format!("{}: `{text}` is no stamp", path.display());
            Timestamp::parse(text).with_context(fault)
        };
        if !(row.capacity > 0.0 && row.capacity.is_finite()) {
            bail!("{}: `{}` has capacity {}", path.display(), row.series, row.capacity);
        }
        let part = Part {
            first: stamp(&row.first_decision)?,
            scored: stamp(&row.scored_from)?,
            last: stamp(&row.last_decision)?,
            capacity: row.capacity,
        };
        parts.insert(row.series, part);
    }
    Ok(parts)
}

/// What is ordered at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Timestamp,
    /// The capacity the group is told to have from here on.
    pub desired: Units,
}

/// The forecaster of one series: it refits when that is due.
#[derive(Debug)]
pub struct Foresight {
    forecaster: ServiceForecaster,
}

impl Foresight {
    /// A forecaster that has seen nothing.
    pub fn new(step: Step) -> Foresight {
        Foresight { forecaster: ServiceForecaster::new(step, ModelKind::Auto) }
    }

    /// The demand ahead of the samples known.
    ///
    /// # Errors
    /// Why there is none.
    pub fn look(&mut self, known: &Series, window: Window) -> Result<ReducedForecast, NoForecast> {
        let windows = window.steps(known.step())?;
        self.forecaster.observe(known);
        if self.forecaster.refit_due(known).is_some() {
            // Too short a history leaves the earlier model, or none: `forecast` then says so.
            let _ = self.forecaster.refit(known, windows);
        }
        ReducedForecast::of(&self.forecaster.forecast(known, windows)?, window)
    }
}

/// A recorded load, and how to decide over it.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The load.
    pub series: &'a Series,
    pub part: Part,
    /// From an order to capacity in service.
    pub lead_time: Seconds,
    /// How much may be taken away: its service is the account and the whole fleet.
    pub budgets: Budgets,
}

/// A part as indices of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The first decision.
    pub first: usize,
    /// From here on it counts.
    pub scored: usize,
    /// The last decision.
    pub last: usize,
}

/// Samples handed to the planner: more than an hour of minutes and the last one there is.
const POINTS_KEPT: usize = 256;

impl Trace<'_> {
    /// Its part in steps.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn steps(&self) -> anyhow::Result<Steps> {
        let index = |stamp| self.series.index_of(stamp).context("its task lies outside the series");
        let Part { first, scored, last, .. } = self.part;
        Ok(Steps { first: index(first)?, scored: index(scored)?, last: index(last)? })
    }

    /// Steps from an order to capacity in service.
    pub fn boot_steps(&self) -> usize {
        self.series.step().samples_to_cover(self.lead_time)
    }

    /// The load at a step, as a multiple of [`UNIT`].
    pub(super) fn scaled(&self, index: usize) -> Option<f64> {
        self.series.get(index).map(|value| value / self.part.capacity * UNIT)
    }

    /// Decides at every step of the part, with `foresee` in the forecaster's place.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn decide(
        &self,
        service: &ServicePolicy,
        foresee: &mut impl FnMut(&Series, Window) -> Result<ReducedForecast, NoForecast>,
    ) -> anyhow::Result<(Vec<Decision>, Summary)> {
        let Steps { first, scored, last } = self.steps()?;
        let mut run = Run::start(self, service.clone());
        for past in 0..first {
            run.learn(past)?;
        }
        let mut decisions = Vec::with_capacity(last + 1 - first);
        let mut tally = Tally::default();
        for now in first..=last {
            let desired = run.step(now, now == first, foresee);
            decisions.push(Decision { at: self.series.start_of(now), desired: Units(desired) });
            if now >= scored {
                tally.count(self.scaled(now), &run.group, desired);
            }
            run.learn(now)?;
        }
        Ok((decisions, tally.summary(self.series.step())))
    }
}

/// A simulation under way.
struct Run<'a> {
    trace: &'a Trace<'a>,
    name: ServiceName,
    policy: Policy,
    memory: Memory,
    known: Series,
    points: Vec<DemandPoint>,
    group: Group,
    desired: u32,
    outcomes: Vec<OrderOutcome>,
}

impl<'a> Run<'a> {
    fn start(trace: &'a Trace<'a>, service: ServicePolicy) -> Run<'a> {
        let step = trace.series.step();
        let mut known = Series::new(step);
        known.set_calendar(trace.series.calendar().clone());
        let name = ServiceName::new("service").expect("a constant name is not empty");
        Run {
            trace,
            policy: Policy {
                mode: Mode::Act,
                poll_interval: step.span(),
                budgets: trace.budgets,
                spend_ceiling_usd_milli_hourly: None,
                services: BTreeMap::from([(name.clone(), service)]),
                promotion: Promotion::default(),
            },
            name,
            memory: Memory::default(),
            known,
            points: Vec::new(),
            group: Group::new(0, trace.boot_steps()),
            desired: 0,
            outcomes: Vec::new(),
        }
    }

    /// A sample becomes known.
    fn learn(&mut self, index: usize) -> Result<(), SeriesFault> {
        let Some(value) = self.trace.scaled(index) else { return Ok(()) };
        let start = self.trace.series.start_of(index);
        self.known.put(start, value, Marks::NONE)?;
        self.points.push(DemandPoint { start, value, censored: false });
        if self.points.len() > 2 * POINTS_KEPT {
            self.points.drain(..POINTS_KEPT);
        }
        Ok(())
    }

    /// One decision; the first is in service at once, as if it had always stood.
    fn step(
        &mut self,
        now: usize,
        first: bool,
        foresee: &mut impl FnMut(&Series, Window) -> Result<ReducedForecast, NoForecast>,
    ) -> u32 {
        let at = self.trace.series.start_of(now);
        self.group.begin();
        let seen = self.observe(at, foresee);
        let snapshot = Snapshot {
            taken_at: at,
            kill_switch: KillSwitch::Clear,
            freezes: Vec::new(),
            floors: Vec::new(),
            disk: Disk::Ample,
            acknowledged: Vec::new(),
            undiscovered: BTreeMap::new(),
            requests: Vec::new(),
            services: BTreeMap::from([(self.name.clone(), seen)]),
        };
        let (plan, memory) = planner::plan(&self.policy, &snapshot, &self.memory);
        self.memory = memory;
        for action in &plan.actions {
            self.desired = action.change.to().0;
            self.outcomes.push(OrderOutcome {
                decision: at.to_string(),
                at,
                change: action.change,
                result: OrderResult::Applied,
            });
        }
        if first {
            self.group = Group::new(self.desired, self.trace.boot_steps());
        }
        self.group.order(self.desired);
        self.desired
    }

    fn observe(
        &mut self,
        at: Timestamp,
        foresee: &mut impl FnMut(&Series, Window) -> Result<ReducedForecast, NoForecast>,
    ) -> Observation {
        let step = self.trace.series.step();
        let own = self.memory.services.get(&self.name);
        let newest = self.points.last().map(|point| point.start + step.span());
        let age = newest.map_or(Seconds::ZERO, |end| at.since(end));
        let pool = &self.policy.services[&self.name].pool;
        let window = planner::window(pool, own, step.span(), age);
        let demand = DemandView::from_members(
            &[Member { points: &self.points, fault: None, parts: &[] }],
            &Assembly {
                taken_at: at,
                step,
                settling: Seconds::ZERO,
                lead: window.lead(),
                counted: own.and_then(|memory| memory.violations.counted),
                fixed_capacity: 0.0,
                utilisation: None,
            },
        );
        let forecast = if self.known.is_empty() {
            Err(NoForecast::NoData)
        } else {
            foresee(&self.known, window)
        };
        Observation {
            group: Ok(self.view(at)),
            demand,
            forecast,
            signals: SignalsView::default(),
            outcomes: std::mem::take(&mut self.outcomes),
            lead_times: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
            hours: Vec::new(),
        }
    }

    fn view(&self, at: Timestamp) -> GroupView {
        let of = &self.policy.services[&self.name].pool.group;
        let id = GroupId {
            provider: of.provider.clone(),
            account: of.account.clone(),
            region: of.region.clone(),
            id: of.name.clone(),
        };
        GroupView {
            in_service: Units(self.group.in_service),
            pending: Units(self.group.pending()),
            ..GroupView::at_rest(id, at, Units(self.desired))
        }
    }
}
