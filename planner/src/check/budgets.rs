//! Whether removals stay within the budgets, but for what a service's past vouches for.

use std::collections::BTreeMap;

use fleet::{AccountKey, ServiceName};

use super::Bench;
use crate::memory::{Bucket, ServiceMemory};
use crate::plan::Action;
use crate::policy::Budget;
use crate::snapshot::Observation;

impl<'a> Bench<'a> {
    pub(super) fn budgets(&mut self) {
        let mut accounts: BTreeMap<AccountKey, (u64, Vec<&Action>)> = BTreeMap::new();
        let mut fleet = 0u64;
        for seen in self.snapshot.services.iter().filter(|(n, _)| self.knows(n)).map(|(_, s)| s) {
            if let Ok(view) = &seen.group {
                let key = AccountKey::of(&view.id.provider, &view.id.account);
                accounts.entry(key).or_default().0 += u64::from(view.desired.0);
                fleet += u64::from(view.desired.0);
            }
        }
        let plan = self.plan;
        let removals: Vec<&Action> =
            plan.actions.iter().filter(|a| !a.dry_run && !a.change.is_increase()).collect();
        let nothing = Bucket::default();
        for action in &removals {
            let key = AccountKey::of(&action.group.provider, &action.group.account);
            accounts.entry(key).or_default().1.push(action);
            let seen = self.snapshot.services.get(&action.service);
            let Some(Ok(view)) = seen.map(|s| &s.group) else { continue };
            let size = u64::from(view.desired.max(view.min).0);
            // A group made anew starts with a full bucket.
            let bucket = self.known_group(action).map_or(&nothing, |memory| &memory.removals);
            self.within("its group", self.policy.budgets.group, bucket, size, &[action]);
        }
        for (key, (size, actions)) in accounts {
            let bucket = self.memory.fleet.accounts.get(&key).copied().unwrap_or_default();
            self.within("its account", self.policy.budgets.account, &bucket, size, &actions);
        }
        let bucket = self.memory.fleet.removals;
        self.within("the fleet", self.policy.budgets.fleet, &bucket, fleet, &removals);
    }

    fn knows(&self, name: &ServiceName) -> bool {
        self.policy.services.contains_key(name)
    }

    /// What is remembered of the group that is acted on.
    fn known_group(&self, action: &Action) -> Option<&'a ServiceMemory> {
        let own = self.memory.services.get(&action.service)?;
        (own.group.as_ref() == Some(&action.group)).then_some(own)
    }

    fn within(
        &mut self,
        whose: &str,
        budget: Option<Budget>,
        bucket: &Bucket,
        size: u64,
        removals: &[&Action],
    ) {
        let Some(budget) = budget else { return };
        let full = (size as f64 * budget.share.fraction()).max(f64::from(budget.at_least.0));
        let elapsed = self.snapshot.taken_at.since(bucket.at).0 as f64;
        let per = budget.per.0 as f64;
        let drained = if per == 0.0 { f64::INFINITY } else { elapsed * full / per };
        let returned: f64 = self.snapshot.services.iter().map(|(n, s)| self.returned(n, s)).sum();
        let used = (bucket.used_milli as f64 / 1000.0 - drained - returned).max(0.0);
        let removed: u64 = removals.iter().map(|action| self.drawn(action)).sum();
        if removed as f64 > (full - used).max(0.0) * (1.0 + 1e-9) + 2e-3 {
            let name = &removals[0].service;
            let left = full - used;
            self.object(name, format!("takes {removed} units where {whose} has {left:.3} left"));
        }
    }

    /// The units of a removal that a budget must grant: those below what the past vouches for, and
    /// that no overshoot of ours had added.
    fn drawn(&self, action: &Action) -> u64 {
        let (from, to) = (action.change.from().0, action.change.to().0);
        let service = self.policy.services.get(&action.service);
        // The operator's own word is no accident of a metric.
        if service.and_then(|s| self.bound(&action.service, s)).is_some_and(|hours| from > hours) {
            return 0;
        }
        let vouched = self.vouched(action).map_or(0, |size| from.saturating_sub(size));
        let surplus = self.known_group(action).map_or(0, |own| own.growth.surplus.0);
        u64::from((from - to).saturating_sub(vouched.max(surplus)))
    }

    fn vouched(&self, action: &Action) -> Option<u32> {
        let seen = self.snapshot.services.get(&action.service)?;
        if seen.signals.is_worse() || seen.forecast.is_err() {
            return None;
        }
        // Whether a fall has just become believed is for the plan to know.
        let proven = &self.known_group(action)?.proven;
        proven.size_where(self.snapshot.taken_at, false).map(|size| size.0)
    }

    /// Units drawn from budgets in an earlier cycle that its outcomes say were never removed.
    fn returned(&self, name: &ServiceName, seen: &Observation) -> f64 {
        if seen.outcomes.is_empty() {
            return 0.0;
        }
        let unbudgeted = self.memory.services.get(name).map_or(0, |own| own.proven.unbudgeted.0);
        let returned = seen.outcomes.iter().filter(|outcome| !outcome.change.is_increase());
        let units = |from: u32, to: u32| from.saturating_sub(to).saturating_sub(unbudgeted);
        returned.map(|o| f64::from(units(o.change.from().0, o.change.to().0))).sum()
    }
}
