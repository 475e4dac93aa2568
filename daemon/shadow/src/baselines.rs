//! What other autoscalers would order: the policies that neap is measured against.
//!
//! All of them see the same [`Seen`] and are carried out by the same simulated group as neap's own
//! orders. Their metric is demand by instance in service and does not saturate at 100 %, as a CPU's
//! would: that is kind to them, who then jump to the right size at once.

use std::fmt::Debug;

pub mod fixed;
mod group;
pub mod hpa;
pub mod oracle;
pub mod predictive;
pub mod target_tracking;

pub use fixed::Fixed;
pub use group::Group;
pub use hpa::Hpa;
pub use oracle::perfect_foresight;
pub use predictive::{HourlyForecast, MaxCapacity, Predictive};
pub use target_tracking::TargetTracking;

/// What a policy sees at a step, before it orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Demand of the last step in what one unit can carry; `None` where nothing was measured.
    pub load: Option<f64>,
    /// Units in service.
    pub in_service: u32,
    /// Units on their way.
    pub pending: u32,
}

impl Seen {
    /// The capacity the group was told to have, units that leave already apart.
    pub fn total(&self) -> u32 {
        self.in_service + self.pending
    }

    /// Demand by unit in service.
    pub fn utilisation(&self) -> Option<f64> {
        self.load.map(|load| load / f64::from(self.in_service.max(1)))
    }
}

/// A policy that orders capacity step by step.
pub trait Baseline: Debug {
    /// The size of a group that has long stood at this load.
    fn at_rest(&self, load: f64) -> u32;

    /// The group's maximum as it holds at the step that is due, where the operator set `max`.
    fn max_in_force(&self, max: u32) -> u32 {
        max
    }

    /// The capacity the group is told to have from this step on, its bounds apart.
    fn order(&mut self, seen: &Seen) -> u32;
}

/// The units that `load` needs when each may carry `target` of what it can; at least 1.
///
/// Rounded up: 11.5 asks for 12. A billionth is forgiven, or the rounding of a division would
/// cost a unit.
pub fn units_for(load: f64, target: f64) -> u32 {
    // Saturates, by the rules of `as`.
    ((load / target - 1e-9).ceil() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_rounded_up_and_a_rounding_error_costs_nothing() {
        let needs = [0.0, 0.5, 0.7, 0.8 * 7.0, 8.05, f64::MAX].map(|load| units_for(load, 0.7));
        assert_eq!(needs, [1, 1, 1, 8, 12, u32::MAX]);
    }
}
