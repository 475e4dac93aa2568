//! What is done to a simulated group: by orders, by other writers, by its own policies and schedule.

use fleet::group::{Cause, NativePolicyKind, Process};
use fleet::{Change, Seconds, Timestamp, Units};

use super::{Body, Machine, NATIVE_EVERY, Number, Order, Phase, Reason, Refresh, Setting};
use crate::sim::scenario::Act;

/// Orders kept a group, for tests and reports.
const ORDERS_MAX: usize = 10_000;
/// Minutes above target before target tracking grows; the customary alarm.
const NATIVE_GROW_MINUTES: u64 = 3;
/// Minutes below 0.7 of the target before target tracking shrinks; the customary alarm.
const NATIVE_SHRINK_MINUTES: u64 = 15;

/// Why a group does not take a number, in the cloud's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutOfBounds {
    #[error("ValidationError: value {to} is above max value {max} for the group")]
    DesiredAboveMaximum { to: u32, max: u32 },
    #[error("ValidationError: value {to} is below min value {min} for the group")]
    DesiredBelowMinimum { to: u32, min: u32 },
    #[error("ValidationError: min bound, {to}, must not be above max bound, {max}")]
    MinimumAboveMaximum { to: u32, max: u32 },
}

impl Body {
    /// Another writer's act.
    pub fn act(&mut self, setting: &Setting, act: &Act) {
        let reason = Reason::new(Cause::UserRequest, self.at, "a user request changed the group");
        match act {
            Act::Desired(to) => {
                let change = Change::Desired { from: Units(self.desired), to: Units(*to) };
                // Out of bounds the cloud refuses, and a scripted writer has no use for a reason.
                let _refused = self.set(setting, change, None, Cause::UserRequest);
            }
            Act::Minimum(to) => {
                let change = Change::Minimum { from: Units(self.min), to: Units(*to) };
                let _refused = self.set(setting, change, None, Cause::UserRequest);
            }
            Act::Maximum(to) => self.set_maximum(setting, *to, &reason),
            Act::Suspend(process) => drop(self.suspended.insert(process.clone())),
            Act::Resume(process) => drop(self.suspended.remove(process)),
            Act::Protect(count) => {
                for (index, machine) in self.machines.iter_mut().enumerate() {
                    machine.protected = index < *count as usize;
                }
            }
            Act::Sicken => self.sicken(setting),
            Act::Refresh(within) => self.start_refresh(*within),
            Act::Delete => self.delete(),
            Act::Remake => self.remake(setting),
        }
        self.reconcile(setting, &reason);
    }

    fn set_maximum(&mut self, setting: &Setting, to: u32, reason: &Reason) {
        self.note_order(None, Number::Maximum, self.max, to);
        self.max = to.max(self.min);
        self.desired = self.desired.min(self.max);
        self.reconcile(setting, reason);
    }

    fn sicken(&mut self, setting: &Setting) {
        let serving = self.machines.iter().position(|m| m.phase == Phase::Serving);
        if let Some(index) = serving {
            self.machines[index].healthy = false;
            let what = "an instance was taken out of service in response to a health check";
            self.drain(setting, index, &Reason::new(Cause::Health, self.at, what));
        }
    }

    fn start_refresh(&mut self, within: Seconds) {
        let machines = self.machines.len().max(1) as u64;
        let every = Seconds((within.0 / machines).max(1));
        let id = format!("refresh-{}-{}", self.generation, self.at.0);
        let next = self.at + every;
        self.refresh = Some(Refresh { id, next, every, new_from: self.launches });
    }

    pub(super) fn refresh_one(&mut self, setting: &Setting) {
        let Some(refresh) = self.refresh.take() else { return };
        let old = |m: &Machine| m.serial < refresh.new_from && m.phase == Phase::Serving;
        if let Some(index) = self.machines.iter().position(old) {
            let what = "an instance was taken out of service in response to an instance refresh";
            self.drain(setting, index, &Reason::new(Cause::Upkeep, self.at, what));
            let next = self.at + refresh.every;
            self.refresh = Some(Refresh { next, ..refresh });
        }
    }

    fn delete(&mut self) {
        self.exists = false;
        self.machines.clear();
        self.activities.clear();
        self.refresh = None;
        self.retry_at = None;
    }

    fn remake(&mut self, setting: &Setting) {
        self.delete();
        self.exists = true;
        self.generation += 1;
        self.suspended.clear();
        self.native_at = self.at + NATIVE_EVERY;
        self.settle(setting, Seconds::ZERO);
    }

    pub(super) fn scheduled(&mut self, setting: &Setting, index: usize) {
        let action = &setting.spec.scheduled[index];
        self.schedule[index] = action.every.map(|every| self.at + Seconds(every.0.max(60)));
        if self.suspended.contains(&Process::ScheduledActions) {
            return;
        }
        let what = format!("a scheduled action (`{}`) changed the group", action.name);
        let reason = Reason::new(Cause::Schedule, self.at, &what);
        let was = self.desired;
        self.min = action.min.unwrap_or(self.min);
        self.max = action.max.unwrap_or(self.max).max(self.min);
        self.desired = action.desired.unwrap_or(self.desired).clamp(self.min, self.max);
        if self.desired != was {
            self.note_order(None, Number::Desired, was, self.desired);
        }
        self.reconcile(setting, &reason);
    }

    /// Target tracking, by the customary alarms: 3 minutes above, 15 minutes below 0.7 of it.
    pub(super) fn native(&mut self, setting: &Setting) {
        self.native_at = self.at + NATIVE_EVERY;
        if self.suspended.contains(&Process::AlarmNotification) {
            return;
        }
        let target = setting.spec.native_target;
        let this_minute = Timestamp(self.at.0.div_euclid(60) * 60);
        let pressures = |minutes: u64| -> Option<Vec<f64>> {
            (1..=minutes)
                .map(|back| setting.pressure(self, this_minute - Seconds(60 * back)))
                .collect()
        };
        let in_service = f64::from(self.serving.at(self.at).unwrap_or(0));
        let wants = |pressure: f64| (in_service * pressure.min(1.0) / target).ceil() as u32;
        let active = setting
            .spec
            .policies
            .iter()
            .find(|policy| policy.enabled && policy.kind == NativePolicyKind::TargetTracking);
        let Some(policy) = active else { return };
        let high = pressures(NATIVE_GROW_MINUTES)
            .filter(|all| all.iter().all(|pressure| *pressure > target))
            .map(|all| wants(all[0]).max(self.desired));
        let low = pressures(NATIVE_SHRINK_MINUTES)
            .filter(|all| policy.scales_in && all.iter().all(|p| *p < 0.7 * target))
            .filter(|_| self.machines.iter().all(|m| m.phase == Phase::Serving))
            .map(|all| wants(all[0]).min(self.desired));
        let Some(to) = high.or(low).map(|to| to.clamp(self.min, self.max)) else { return };
        if to != self.desired {
            let name = policy.name.clone();
            self.note_order(None, Number::Desired, self.desired, to);
            self.desired = to;
            let what = format!("a monitor alarm triggered policy `{name}`");
            self.reconcile(setting, &Reason::new(Cause::NativePolicy, self.at, &what));
        }
    }

    fn note_order(&mut self, decision: Option<&str>, set: Number, from: u32, to: u32) {
        if self.orders.len() >= ORDERS_MAX {
            self.orders.remove(0);
        }
        let decision = decision.map(str::to_owned);
        self.orders.push(Order { at: self.at, decision, set, from: Units(from), to: Units(to) });
    }

    /// Sets a number as AWS does: refuses what is out of bounds, and a minimum above desired
    /// raises desired.
    ///
    /// # Errors
    /// Where the number is out of bounds, with nothing changed.
    pub fn set(
        &mut self,
        setting: &Setting,
        change: Change,
        decision: Option<&str>,
        cause: Cause,
    ) -> Result<(), OutOfBounds> {
        let to = change.to().0;
        let was = self.desired;
        match change {
            Change::Desired { .. } if to > self.max => {
                return Err(OutOfBounds::DesiredAboveMaximum { to, max: self.max });
            }
            Change::Desired { .. } if to < self.min => {
                return Err(OutOfBounds::DesiredBelowMinimum { to, min: self.min });
            }
            Change::Desired { .. } => {
                self.note_order(decision, Number::Desired, was, to);
                self.desired = to;
            }
            Change::Minimum { .. } if to > self.max => {
                return Err(OutOfBounds::MinimumAboveMaximum { to, max: self.max });
            }
            Change::Minimum { .. } => {
                self.note_order(decision, Number::Minimum, self.min, to);
                self.min = to;
                self.desired = self.desired.max(to);
            }
        }
        let what = format!(
            "a user request set min: {}, max: {}, desired: {}, changing the desired capacity \
             from {was} to {}",
            self.min, self.max, self.desired, self.desired
        );
        let set = match change {
            Change::Desired { to, .. } => Some(to),
            Change::Minimum { .. } => None,
        };
        let reason = Reason { capacity_set_to: set, ..Reason::new(cause, self.at, &what) };
        self.reconcile(setting, &reason);
        Ok(())
    }
}
