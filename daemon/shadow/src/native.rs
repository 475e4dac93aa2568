//! What the cloud's own target tracking would have made of the same load, step by step beside the
//! running daemon. It forgets with a restart: it begins again at the size that there really is.

use std::collections::BTreeMap;

use fleet::{ServiceName, Step, Timestamp};
use planner::Memory;
use planner::policy::Policy;
use planner::snapshot::Snapshot;

use super::baselines::target_tracking::LOW_FACTOR;
use super::baselines::{Baseline as _, Group, Seen, TargetTracking};
use super::{capacity, lead_time};

/// The scalers of services, each on a group of its own.
#[derive(Debug, Default)]
pub(super) struct NativeScalers(BTreeMap<ServiceName, Native>);

#[derive(Debug)]
struct Native {
    policy: TargetTracking,
    group: Group,
    /// The interval that it has seen last.
    seen: Option<Timestamp>,
}

impl NativeScalers {
    /// Shows each service's scaler the intervals that settled. What no capacity is known of has none.
    pub(super) fn step(&mut self, policy: &Policy, memory: &Memory, snapshot: &Snapshot) {
        self.0.retain(|name, _| policy.services.contains_key(name));
        for (name, seen) in &snapshot.services {
            let (Some(service), Some(capacity)) =
                (policy.services.get(name), capacity(memory, policy, name))
            else {
                continue;
            };
            let Ok(group) = &seen.group else { continue };
            let step = service.demand.first().map_or(Step::MINUTE, |query| query.period);
            if capacity <= 0.0 {
                continue;
            }
            let pool = &service.pool;
            let native = self.0.entry(name.clone()).or_insert_with(|| Native {
                policy: TargetTracking::new(pool.target_utilisation.fraction(), LOW_FACTOR, step),
                group: Group::new(
                    group.desired.0,
                    step.samples_to_cover(lead_time(memory, policy, name)),
                ),
                seen: None,
            });
            let most = pool.max.map_or(group.max.0, |max| max.0.min(group.max.0));
            for point in &seen.demand.newly_settled {
                if native.seen.is_some_and(|last| point.start <= last) {
                    continue;
                }
                native.seen = Some(point.start);
                native.group.begin();
                let now = Seen {
                    load: Some(point.value / capacity),
                    in_service: native.group.in_service,
                    pending: native.group.pending(),
                };
                let wanted = native.policy.order(&now).min(most).max(pool.min.0);
                native.group.order(wanted);
            }
        }
    }

    /// Units that it pays for now; `None` where it has seen nothing.
    pub(super) fn units(&self, name: &ServiceName) -> Option<u32> {
        let native = self.0.get(name)?;
        native.seen?;
        Some(native.group.paid())
    }
}
