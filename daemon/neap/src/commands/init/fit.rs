//! What one unit carries, from days of load, CPU and size: or why that cannot be told. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleet::group::{Activity, ActivityKind, ActivityStatus, GroupState};
use fleet::metric::Sample;
use fleet::{Step, Timestamp};

/// Samples are laid side by side in intervals of this length.
pub(super) const STEP: Step = Step::FIVE_MINUTES;
/// So many intervals, on so many days, make a fit.
const INTERVALS_MIN: usize = 72;
const DAYS_MIN: usize = 3;
/// Below this utilisation what machines do by themselves weighs too much.
const PERCENT_MIN: f64 = 10.0;
/// From here on a machine may be full, and its load is a lower bound.
const PERCENT_MAX: f64 = 90.0;
/// A unit that was never busier than this tells too little of how it would be when full.
const BUSIEST_MIN: f64 = 20.0;
/// How far the middle eight tenths of the estimates may lie apart.
const SPREAD_MAX: f64 = 1.5;
/// A unit carries at most so many times what one was seen to carry.
const BEYOND_SEEN: f64 = 2.0;

/// What a unit carries, and what that rests on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    /// Load per second that a unit carries when all of its CPU is busy.
    pub(super) when_full: f64,
    /// The most that one was seen to carry.
    pub(super) seen: f64,
    pub(super) days: usize,
    /// A busy moment: load per second, units and CPU in percent.
    pub(super) busy: (f64, f64, f64),
    pub(super) sizes: Sizes,
}

impl Fit {
    /// Load per second that a unit carries at a utilisation in percent.
    pub(super) fn at(&self, percent: f64) -> f64 {
        (self.when_full * percent / 100.0).min(self.seen * BEYOND_SEEN)
    }
}

/// Why days of samples tell no capacity.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NoFit {
    /// Samples of the load, of CPU or of both are missing.
    NoSamples { what: &'static str },
    /// Too few days of both.
    FewDays { days: usize },
    /// The group was never busy.
    Idle { percent: f64 },
    /// CPU does not follow the load, or the group had other sizes that nobody knows.
    Scattered { times: f64 },
}

impl fmt::Display for NoFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFit::NoSamples { what } => write!(f, "there are no samples of {what}"),
            NoFit::FewDays { days } => {
                write!(f, "load and CPU are known of {days} days and {DAYS_MIN} are needed")
            }
            NoFit::Idle { percent } => {
                write!(f, "CPU was never above {percent:.0}%, which tells little of a full unit")
            }
            NoFit::Scattered { times } => write!(
                f,
                "CPU does not follow the load by the unit: what a unit would carry differs by \
                 {times:.1} times from hour to hour"
            ),
        }
    }
}

/// Where past sizes are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// The group's own metrics.
    Metrics,
    /// Its activities, backwards from now.
    Activities,
    /// Nothing tells: the size of now.
    Now,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sizes::Metrics => "sizes from the group's own metrics",
            Sizes::Activities => "sizes from its activities",
            Sizes::Now => "if it had its present size all along",
        })
    }
}

/// The sizes that a group had.
pub(super) struct Past<'a> {
    metrics: BTreeMap<Timestamp, f64>,
    group: &'a GroupState,
    /// Changes of size by one machine, newest first; `None` where they are not known.
    changes: Option<Vec<(Timestamp, i64)>>,
}

impl<'a> Past<'a> {
    /// From what is known of a group.
    pub(super) fn of(
        group: &'a GroupState,
        history: Option<&[Activity]>,
        metrics: &[Sample],
        weighted: bool,
    ) -> Past<'a> {
        let done = |activity: &Activity| {
            let by = match (activity.kind, activity.status) {
                (ActivityKind::Launch, ActivityStatus::Successful) => 1,
                (ActivityKind::Terminate, ActivityStatus::Successful) => -1,
                _ => return None,
            };
            Some((activity.ended_at?, by))
        };
        // How much one machine counts for does not stand in an activity.
        let changes = history.filter(|_| !weighted).map(|all| {
            let mut changes: Vec<(Timestamp, i64)> = all.iter().filter_map(done).collect();
            changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            changes
        });
        let metrics = metrics.iter().map(|sample| (sample.start, sample.value)).collect();
        Past { metrics, group, changes }
    }

    fn sizes(&self) -> Sizes {
        match (&self.changes, self.metrics.is_empty()) {
            (_, false) => Sizes::Metrics,
            (Some(_), true) => Sizes::Activities,
            (None, true) => Sizes::Now,
        }
    }

    fn at(&self, start: Timestamp) -> Option<f64> {
        match self.sizes() {
            Sizes::Metrics => self.metrics.get(&start).copied(),
            Sizes::Now => Some(f64::from(self.group.in_service().0.max(1))),
            Sizes::Activities => {
                let now = i64::from(self.group.in_service().0);
                let later = self.changes.iter().flatten().take_while(|(at, _)| *at > start);
                let then = now - later.map(|(_, by)| by).sum::<i64>();
                u32::try_from(then).ok().map(f64::from)
            }
        }
    }
}

/// What one unit carries, from load per second and CPU in percent.
pub(super) fn fit(
    load: &BTreeMap<Timestamp, f64>,
    cpu: &[Sample],
    past: &Past<'_>,
) -> Result<Fit, NoFit> {
    let missing = match (load.is_empty(), cpu.is_empty()) {
        (true, true) => Some("the load and of CPU"),
        (true, false) => Some("the load"),
        (false, true) => Some("CPU"),
        (false, false) => None,
    };
    if let Some(what) = missing {
        return Err(NoFit::NoSamples { what });
    }
    let busiest = cpu.iter().map(|sample| sample.value).fold(0.0, f64::max);
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    let mut days = BTreeSet::new();
    for sample in cpu.iter().filter(|cpu| (PERCENT_MIN..PERCENT_MAX).contains(&cpu.value)) {
        let units = past.at(sample.start).filter(|units| *units > 0.0);
        if let (Some(load), Some(units)) = (load.get(&sample.start), units)
            && *load > 0.0
        {
            points.push((*load, units, sample.value));
            days.insert(sample.start.utc_day());
        }
    }
    if busiest < BUSIEST_MIN {
        return Err(NoFit::Idle { percent: busiest.ceil() });
    }
    if days.len() < DAYS_MIN || points.len() < INTERVALS_MIN {
        return Err(NoFit::FewDays { days: days.len() });
    }
    // The busier half: what machines do by themselves weighs less there.
    points.sort_by(|a, b| a.2.total_cmp(&b.2));
    let busier = &points[points.len() / 2..];
    let mut full: Vec<f64> =
        busier.iter().map(|(load, units, percent)| load / units / percent * 100.0).collect();
    full.sort_by(f64::total_cmp);
    let at = |share: f64| full[((full.len() - 1) as f64 * share).round() as usize];
    let times = at(0.9) / at(0.1);
    if times > SPREAD_MAX {
        return Err(NoFit::Scattered { times });
    }
    let seen = points.iter().map(|(load, units, _)| load / units).fold(0.0, f64::max);
    let busy = busier[busier.len() * 9 / 10];
    Ok(Fit { when_full: at(0.5), seen, days: days.len(), busy, sizes: past.sizes() })
}

#[cfg(test)]
mod tests {
    use fleet::Units;
    use fleet::group::Cause;
    use proptest::prelude::*;

    use super::super::tests::{group, member};
    use super::*;

    const DAYS: i64 = 10;

    fn wave(at: i64, low: f64, high: f64) -> f64 {
        let angle = (at % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
        low + (high - low) * (0.5 - 0.5 * angle.cos())
    }

    fn starts() -> impl Iterator<Item = i64> {
        (0..DAYS * 288).map(|n| n * 300)
    }

    fn of_units(units: u32) -> GroupState {
        let instances = (0..units).map(|n| member(&format!("i-{n}"))).collect();
        GroupState { instances, desired: Units(units), ..group("web", "eu-west-1") }
    }

    fn change(at: i64, kind: ActivityKind) -> Activity {
        Activity {
            id: at.to_string(),
            started_at: Timestamp(at - 60),
            ended_at: Some(Timestamp(at)),
            kind,
            status: ActivityStatus::Successful,
            cause: Cause::NativePolicy,
            cause_text: String::new(),
            capacity_set_to: None,
            launch: None,
        }
    }

    proptest! {
        /// Whatever the waves, what a unit carries comes out, if sizes are known.
        #[test]
        fn a_units_capacity_is_found_in_days_of_load(
            low in 20.0..200.0_f64,
            rise in 1.0..400.0_f64,
            units in 2_u32..40,
            peak in 25.0..85.0_f64,
        ) {
            let group = of_units(units);
            let high = low + rise;
            let full = high / f64::from(units) / peak * 100.0;
            let load: BTreeMap<_, _> =
                starts().map(|at| (Timestamp(at), wave(at, low, high))).collect();
            let cpu: Vec<Sample> = load
                .iter()
                .map(|(at, load)| Sample { start: *at, value: load / f64::from(units) / full * 100.0 })
                .collect();
            let past = Past::of(&group, Some(&[]), &[], false);
            let found = fit(&load, &cpu, &past).expect("a fit");
            prop_assert!((found.when_full / full - 1.0).abs() < 0.01, "{} for {full}", found.when_full);
            prop_assert!(found.at(70.0) <= 2.0 * high / f64::from(units) + 1e-9);
        }
    }

    /// A policy holds CPU steady by changing the size: without the sizes that is no capacity.
    #[test]
    fn sizes_that_nobody_knows_are_no_capacity_and_activities_tell_them() {
        let group = of_units(10);
        let size = |at: i64| if (at / 43_200) % 2 == 0 { 4.0 } else { 10.0 };
        let load: BTreeMap<_, _> =
            starts().map(|at| (Timestamp(at), size(at) * wave(at, 20.0, 30.0))).collect();
        let cpu: Vec<Sample> = load
            .iter()
            .map(|(at, load)| Sample { start: *at, value: load / size(at.0) / 50.0 * 100.0 })
            .collect();
        let found = fit(&load, &cpu, &Past::of(&group, None, &[], false));
        assert!(matches!(found, Err(NoFit::Scattered { times }) if times > 2.0), "{found:?}");
        let mut history: Vec<Activity> = Vec::new();
        for half in 1..DAYS * 2 {
            let kind = if half % 2 == 1 { ActivityKind::Launch } else { ActivityKind::Terminate };
            history.extend((0..6).map(|_| change(half * 43_200, kind)));
        }
        history.reverse();
        let found = fit(&load, &cpu, &Past::of(&group, Some(&history), &[], false)).unwrap();
        assert_eq!(found.sizes, Sizes::Activities);
        assert!((found.when_full - 50.0).abs() < 1.0, "{found:?}");
        // Weights do not stand in activities.
        assert!(fit(&load, &cpu, &Past::of(&group, Some(&history), &[], true)).is_err());
        let metric: Vec<Sample> =
            load.keys().map(|at| Sample { start: *at, value: size(at.0) }).collect();
        let found = fit(&load, &cpu, &Past::of(&group, None, &metric, true)).unwrap();
        assert_eq!(found.sizes, Sizes::Metrics);
    }

    #[test]
    fn too_little_is_said_to_be_too_little() {
        let group = of_units(4);
        let past = Past::of(&group, Some(&[]), &[], false);
        let load = |days: i64| -> BTreeMap<Timestamp, f64> {
            (0..days * 288).map(|n| (Timestamp(n * 300), 100.0)).collect()
        };
        let cpu = |load: &BTreeMap<Timestamp, f64>, value: f64| -> Vec<Sample> {
            load.keys().map(|start| Sample { start: *start, value }).collect()
        };
        let said = |load: &BTreeMap<Timestamp, f64>, cpu: &[Sample]| {
            fit(load, cpu, &past).map(|_| ()).unwrap_err().to_string()
        };
        let week = load(7);
        assert_eq!(said(&week, &[]), "there are no samples of CPU");
        assert_eq!(said(&BTreeMap::new(), &cpu(&week, 50.0)), "there are no samples of the load");
        assert_eq!(
            said(&load(2), &cpu(&week, 50.0)),
            "load and CPU are known of 2 days and 3 are needed"
        );
        assert_eq!(
            said(&week, &cpu(&week, 12.0)),
            "CPU was never above 12%, which tells little of a full unit"
        );
        // All of it full: a lower bound and no measurement.
        assert!(fit(&week, &cpu(&week, 97.0), &past).is_err());
    }
}
