//! What a group in motion, a deployment and hours allow.

use fleet::group::{NativePolicy, NativePolicyKind, Process};
use fleet::{Change, Seconds, ServiceName, Timestamp};

use super::{Bench, MILLI, fresh_demand, given};
use crate::lead::Lead;
use crate::policy::ServicePolicy;
use crate::snapshot::{GroupView, Observation};

impl Bench<'_> {
    /// What the hours of a service allow of units that are ordered now, where they bound it.
    pub(super) fn bound(&self, name: &ServiceName, service: &ServicePolicy) -> Option<u32> {
        let hours = &self.snapshot.services.get(name)?.hours;
        let known = self.memory.services.get(name);
        let now = self.snapshot.taken_at;
        let serves = now + Lead::of(&service.pool, known).time + self.policy.poll_interval;
        let most_at = |at: Timestamp| {
            let then = hours.iter().filter(|h| h.from <= at && h.until > at);
            then.filter_map(|h| h.max).map(|max| max.0).min()
        };
        Some(most_at(now)?.max(most_at(serves)?))
    }
}

/// Whether processes are suspended as a deployment suspends them, and not for longer than one lasts.
pub(super) fn deploys(view: &GroupView, now: Timestamp) -> bool {
    let suspended = |process| view.aside.suspended.contains(&process);
    let since = view.aside.deploying_since;
    suspended(Process::AlarmNotification)
        && suspended(Process::ScheduledActions)
        && view.aside.suspended.len() > 2
        && since.is_none_or(|since| now < since + Seconds::days(1))
}

/// Whether a policy of the group's own may take units away.
pub(super) fn takes_away(view: &GroupView, policy: &NativePolicy) -> bool {
    let alarms = !view.aside.suspended.contains(&Process::AlarmNotification)
        || policy.is_unread()
        || policy.kind == NativePolicyKind::Predictive
        || deploys(view, view.read_at);
    policy.enabled && policy.scales_in && alarms
}

/// Whether those that serve now and are left cover demand, though none of the others ever comes.
pub(super) fn left_serving(
    now: Timestamp,
    service: &ServicePolicy,
    view: &GroupView,
    seen: &Observation,
    change: Change,
) -> Option<String> {
    let counted = u64::from(view.in_service.0) + u64::from(view.pending.0);
    let counted = counted.max(view.desired.0.into());
    let removed = counted.saturating_sub(change.to().0.into());
    let serving = u64::from(view.in_service.0.saturating_sub(view.warming.0));
    let left = serving.saturating_sub(removed);
    if view.pending.0 > 0 && view.out_of_capacity {
        return Some("shrinks though the cloud owes it machines".to_owned());
    }
    // The operator's own maximum is below demand, or what serves is.
    let bound = service.pool.max.is_some_and(|max| change.to() >= max && max.0 <= left as u32);
    let (capacity, demand) = given(service).zip(fresh_demand(now, seen))?;
    let carries = left as f64 * capacity;
    (!bound && carries < (demand - MILLI) * (1.0 - 1e-6)).then(|| {
        format!("shrinks to {}, which may leave {left} for {demand} a second", change.to())
    })
}
