//! Counts how a policy did: demand unserved, units paid, changes.

use fleet::Step;
use serde::Serialize;
use shadow::baselines::Group;

use super::trace::UNIT;

/// How it went over the part that counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Steps with a sample.
    pub steps: u32,
    /// The share of them whose demand exceeded capacity in service.
    pub violations: f64,
    /// Units paid for, on the mean.
    pub mean_units: f64,
    /// Units that demand itself asked for, on the mean.
    pub mean_needed: f64,
    /// How often the order changed.
    pub changes_a_day: f64,
}

/// Counts over the part that counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    steps: u32,
    decisions: u32,
    violations: u32,
    units: u64,
    needed: f64,
    changes: u32,
    before: Option<u32>,
}

impl Tally {
    /// A step of which demand is known, in thousandths of a unit, or not; after its order.
    pub fn count(&mut self, demand: Option<f64>, group: &Group, desired: u32) {
        self.decisions += 1;
        self.units += u64::from(group.paid());
        self.changes += u32::from(self.before.is_some_and(|before| before != desired));
        self.before = Some(desired);
        if let Some(demand) = demand {
            self.steps += 1;
            self.needed += (demand / UNIT - 1e-6).ceil().max(1.0);
            let capacity = f64::from(group.in_service) * UNIT;
            self.violations += u32::from(demand > capacity * (1.0 + 1e-6));
        }
    }

    /// All in all.
    pub fn summary(&self, step: Step) -> Summary {
        let steps = f64::from(self.steps.max(1));
        let decisions = f64::from(self.decisions.max(1));
        let days = decisions * f64::from(step.seconds()) / 86_400.0;
        Summary {
            steps: self.steps,
            violations: f64::from(self.violations) / steps,
            mean_units: self.units as f64 / decisions,
            mean_needed: self.needed / steps,
            changes_a_day: f64::from(self.changes) / days,
        }
    }
}
