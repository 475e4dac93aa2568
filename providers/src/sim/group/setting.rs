//! What never changes about a simulated group, and its streams of chance.

use fleet::{ProviderName, Seconds, Timestamp};

use super::Body;
use crate::sim::load::Chances;
use crate::sim::random::Stream;
use crate::sim::scenario::{Act, GroupSpec, Scenario, Shortage};

/// What never changes about a group, and its streams of chance.
#[derive(Debug)]
pub(crate) struct Setting {
    pub provider: ProviderName,
    pub seed: u64,
    pub start: Timestamp,
    pub spec: GroupSpec,
    /// What other writers do to it, in order of time.
    pub(super) acts: Vec<(Timestamp, Act)>,
    /// The shortages that may touch it.
    shortages: Vec<Shortage>,
    pub chances: Chances,
    pub(super) boots: Stream,
    pub(super) failures: Stream,
}

impl Setting {
    /// What a group of the scenario is made of, with chances of its own.
    pub fn new(
        provider: &ProviderName,
        seed: u64,
        start: Timestamp,
        spec: &GroupSpec,
        scenario: &Scenario,
    ) -> Setting {
        let stream = |purpose: &str| {
            Stream::named(seed, &format!("group/{}/{}/{purpose}", spec.region, spec.name))
        };
        let mut acts: Vec<(Timestamp, Act)> = scenario
            .acts
            .iter()
            .filter(|(_, name, _)| *name == spec.name)
            .map(|(at, _, act)| (*at, act.clone()))
            .collect();
        acts.sort_by_key(|(at, _)| *at);
        let touches =
            |shortage: &&Shortage| shortage.group.as_ref().is_none_or(|g| *g == spec.name);
        Setting {
            provider: provider.clone(),
            seed,
            start,
            acts,
            shortages: scenario.shortages.iter().filter(touches).cloned().collect(),
            chances: Chances::of(seed, &spec.name),
            boots: stream("boots"),
            failures: stream("failures"),
            spec: spec.clone(),
        }
    }

    /// Units before the world's start: somebody's hourly sizing, at 55 % of capacity by the
    /// hour's highest expected load.
    pub(super) fn units_before(&self, at: Timestamp) -> u32 {
        let Some(work) = &self.spec.workload else {
            return self.spec.desired.unwrap_or(self.spec.min);
        };
        let hour = at.0.div_euclid(3600) * 3600;
        let jobs: f64 = (work.load.jobs.iter())
            .filter(|job| job.touches(Timestamp(hour), Timestamp(hour + 3600)))
            .map(|job| job.rate)
            .sum();
        let bursts = work.load.bursts.map_or(0.0, |bursts| bursts.height);
        let highest = (0..=4)
            .map(|quarter| work.load.expected(Timestamp(hour + quarter * 900)))
            .fold(0.0, f64::max);
        let units = ((highest + jobs + 0.5 * bursts) / (0.55 * work.capacity_per_unit)).ceil();
        (units as u32).clamp(self.spec.min, self.spec.max)
    }

    pub(super) fn lacks_machines(&self, zone: &str, at: Timestamp) -> bool {
        self.shortages.iter().any(|shortage| shortage.covers(&self.spec.name, zone, at))
    }

    /// Mean units in service over the minute that begins at `minute`.
    pub fn serving(&self, body: &Body, minute: Timestamp) -> f64 {
        if minute < self.start {
            return f64::from(self.units_before(minute));
        }
        body.serving.area(minute, minute + Seconds(60)) as f64 / 60.0
    }

    /// True load over true capacity in the minute that begins at `minute`; `None` without units.
    pub(super) fn pressure(&self, body: &Body, minute: Timestamp) -> Option<f64> {
        let work = self.spec.workload.as_ref()?;
        let units = self.serving(body, minute);
        (units > 0.0)
            .then(|| work.load.rate(&self.chances, minute) / (units * work.capacity_per_unit))
    }
}
