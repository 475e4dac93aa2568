//! Another policy in neap's place, over the same load and on the same group.

use planner::policy::PoolPolicy;
use shadow::baselines::Group;
use shadow::baselines::{Baseline, Seen};

use super::Summary;
use super::tally::Tally;
use super::trace::{Steps, Trace, UNIT};

/// What a group may be, whoever sizes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least so many units; never 0.
    pub min: u32,
    /// At most so many; not below `min`.
    pub max: u32,
}

impl Bounds {
    /// The operator's own.
    pub fn of(pool: &PoolPolicy) -> Bounds {
        let min = pool.min.0.max(1);
        Bounds { min, max: pool.max.map_or(u32::MAX, |max| max.0).max(min) }
    }
}

impl Trace<'_> {
    /// Lets `policy` order over the part; a decision knows the samples of earlier steps alone.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn play(&self, bounds: Bounds, policy: &mut dyn Baseline) -> anyhow::Result<Summary> {
        let Steps { first, scored, last } = self.steps()?;
        let before = (0..first).rev().find_map(|step| self.units(step)).unwrap_or(0.0);
        let start = policy.at_rest(before).clamp(bounds.min, bounds.max);
        let mut group = Group::new(start, self.boot_steps());
        let mut tally = Tally::default();
        for now in first..=last {
            group.begin();
            let seen = Seen {
                load: now.checked_sub(1).and_then(|known| self.units(known)),
                in_service: group.in_service,
                pending: group.pending(),
            };
            let max = policy.max_in_force(bounds.max);
            let desired = policy.order(&seen).clamp(bounds.min, max);
            group.order(desired);
            if now >= scored {
                tally.count(self.scaled(now), &group, desired);
            }
        }
        Ok(tally.summary(self.series.step()))
    }

    /// The load at a step in what one unit can carry.
    pub fn units(&self, index: usize) -> Option<f64> {
        self.scaled(index).map(|value| value / UNIT)
    }
}
