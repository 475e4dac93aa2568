//! `[[service.pool]]`: the groups that carry a service.

use fleet::{GroupRef, Seconds, Units};
use planner::policy::{Actuate, CapacityPerUnit, LeadTimeRule, PoolPolicy, Share};

use super::defaults::Defaults;
use super::keys::Key;
use super::keys::pool::{defaults as known, fixed as of_fixed, pool as of_pool};
use super::keys::service::service as of_service;
use super::metric::{Place, Surroundings};
use super::reader::{Entry, Table};

/// The keys of a pool that `[service_defaults.pool]` may set for all.
#[derive(Clone, Debug)]
pub(super) struct PoolKeys {
    capacity_per_unit: CapacityPerUnit,
    target_utilisation: Share,
    lead_time: Seconds,
    lead_time_rule: LeadTimeRule,
    warm_up: Seconds,
    actuate: Option<Actuate>,
    min: Units,
    max: Option<Units>,
    cooldown: Seconds,
    hold_window: Seconds,
    override_lease: Seconds,
    max_step_up: Option<Units>,
    price_usd_hourly: Option<f64>,
    billing_minimum: Seconds,
}

impl Default for PoolKeys {
    fn default() -> PoolKeys {
        PoolKeys {
            capacity_per_unit: CapacityPerUnit::Learn,
            target_utilisation: PoolPolicy::TARGET_UTILISATION,
            lead_time: Defaults::LEAD_TIME,
            lead_time_rule: LeadTimeRule::AtLeast,
            warm_up: Defaults::WARM_UP,
            actuate: None,
            min: Defaults::POOL_MIN,
            max: None,
            cooldown: PoolPolicy::COOLDOWN,
            hold_window: PoolPolicy::HOLD_WINDOW,
            override_lease: PoolPolicy::OVERRIDE_LEASE,
            max_step_up: None,
            price_usd_hourly: None,
            billing_minimum: Defaults::BILLING_MINIMUM,
        }
    }
}

impl PoolKeys {
    /// These keys, with those of `table` laid over them.
    pub fn overlaid(&self, table: &Table<'_>) -> PoolKeys {
        let span = |key: &Key, least: Seconds, most: Seconds, base: Seconds| {
            table.get(key).and_then(|entry| entry.duration(least..=most)).unwrap_or(base)
        };
        let capacity = table.get(&known::CAPACITY_PER_UNIT);
        let target = table.get(&known::TARGET_UTILISATION);
        let actuate = table.get(&known::ACTUATE).and_then(|entry| entry.choice(&ACTUATE));
        let max = table.get(&known::MAX).and_then(|entry| entry.units(1));
        let step = table.get(&known::MAX_STEP_UP).and_then(|entry| entry.units(1));
        let price = table.get(&known::PRICE_USD_HOURLY);
        let price = price.and_then(|entry| entry.positive("US dollars an hour, above 0"));
        let (day, month) = (Seconds::days(1), Seconds::days(31));
        let lead_time = table.get(&known::LEAD_TIME).and_then(|entry| lead_time(&entry));
        let (lead_time, lead_time_rule) =
            lead_time.unwrap_or((self.lead_time, self.lead_time_rule));
        let keys = PoolKeys {
            capacity_per_unit: capacity
                .and_then(|entry| capacity_per_unit(&entry))
                .unwrap_or(self.capacity_per_unit),
            target_utilisation: target
                .and_then(|entry| above_nothing(&entry))
                .unwrap_or(self.target_utilisation),
            lead_time,
            lead_time_rule,
            warm_up: span(&known::WARM_UP, Seconds::ZERO, day, self.warm_up),
            actuate: actuate.or(self.actuate),
            min: table.get(&known::MIN).and_then(|entry| entry.units(0)).unwrap_or(self.min),
            max: max.or(self.max),
            cooldown: span(&known::COOLDOWN, Seconds::ZERO, day, self.cooldown),
            hold_window: span(&known::HOLD_WINDOW, Seconds::ZERO, day, self.hold_window),
            override_lease: span(&known::OVERRIDE_LEASE, Seconds::ZERO, month, self.override_lease),
            max_step_up: step.or(self.max_step_up),
            price_usd_hourly: price.or(self.price_usd_hourly),
            billing_minimum: span(
                &known::BILLING_MINIMUM,
                Seconds::ZERO,
                month,
                self.billing_minimum,
            ),
        };
        keys.check_bounds(table);
        keys
    }

    fn check_bounds(&self, table: &Table<'_>) {
        let Some(max) = self.max.filter(|max| self.min > *max) else { return };
        let (min, max) = (self.min.0, max.0);
        let message = format!(
            "`{}` has `min = {min}` above `max = {max}`, expected `min` no greater than `max`",
            table.path()
        );
        match table.get(&known::MIN).or_else(|| table.get(&known::MAX)) {
            Some(entry) => entry.key_fault(message, None),
            None => table.fault(message, None),
        }
    }

    /// The pool's policy, once it is known which group it is.
    pub fn policy(self, place: Place, group: String) -> PoolPolicy {
        let Place { provider, account, region } = place;
        PoolPolicy {
            group: GroupRef { provider, account, region, name: group },
            capacity_per_unit: self.capacity_per_unit,
            target_utilisation: self.target_utilisation,
            lead_time: self.lead_time,
            lead_time_rule: self.lead_time_rule,
            warm_up: self.warm_up,
            actuate: self.actuate,
            min: self.min,
            max: self.max,
            cooldown: self.cooldown,
            hold_window: self.hold_window,
            override_lease: self.override_lease,
            max_step_up: self.max_step_up,
            price_usd_hourly: self.price_usd_hourly,
            billing_minimum: self.billing_minimum,
        }
    }
}

const ACTUATE: [(&str, Actuate); 2] = [("desired", Actuate::Desired), ("floor", Actuate::Floor)];

/// The operator's lead time, and whether what is measured counts alone. Until there is enough of that
/// the usual start value holds.
fn lead_time(entry: &Entry<'_>) -> Option<(Seconds, LeadTimeRule)> {
    if entry.as_text() == Some("measure") {
        return Some((Defaults::LEAD_TIME, LeadTimeRule::Measured));
    }
    let given = entry.duration(Seconds(1)..=Seconds::days(1))?;
    Some((given, LeadTimeRule::AtLeast))
}

fn capacity_per_unit(entry: &Entry<'_>) -> Option<CapacityPerUnit> {
    if entry.as_text() == Some("learn") {
        return Some(CapacityPerUnit::Learn);
    }
    entry
        .positive("`\"learn\"` or the demand per second that a unit serves, above 0")
        .map(CapacityPerUnit::Given)
}

/// A share above 0 %.
pub(super) fn above_nothing(entry: &Entry<'_>) -> Option<Share> {
    let share = entry.share()?;
    if share == Share::NONE {
        entry.unexpected("a share above `0%`", None);
        return None;
    }
    Some(share)
}

/// The pools of a service.
#[derive(Default)]
pub(super) struct Pools {
    /// The pool that is sized; `None` where it is missing or faulty.
    pub sized: Option<PoolPolicy>,
    /// Demand per second that pools marked `fixed` serve.
    pub fixed_capacity: f64,
}

/// Reads the pools of a service: one that is sized, and any number that are fixed.
pub(super) fn pools(service: &Table<'_>, defaults: &PoolKeys, around: &Surroundings<'_>) -> Pools {
    let mut pools = Pools::default();
    let expected = "at least one table `[[service.pool]]`";
    let Some(entry) = service.required(&of_service::POOL, expected) else { return pools };
    let mut sized_seen = 0;
    for table in entry.tables() {
        let fixed = table.get(&of_pool::FIXED).and_then(|entry| entry.flag()).unwrap_or(false);
        if fixed {
            pools.fixed_capacity += fixed_pool(&table, around);
            continue;
        }
        sized_seen += 1;
        if sized_seen == 2 {
            let hint = "mark the pools that neap leaves alone with `fixed = true`, with `units` and \
                        `capacity_per_unit`";
            let message = format!(
                "`{}` is a second pool that is not fixed, expected one: several pools of a service \
                 are not planned together yet",
                table.path()
            );
            table.fault(message, Some(hint.to_owned()));
        }
        pools.sized = sized_pool(&table, defaults, around);
    }
    if sized_seen == 0 {
        let hint = "leave out `fixed = true` in the pool that neap is to size".to_owned();
        entry.key_fault(format!("`{}` has no pool to size", service.path()), Some(hint));
    }
    pools
}

fn sized_pool(
    table: &Table<'_>,
    defaults: &PoolKeys,
    around: &Surroundings<'_>,
) -> Option<PoolPolicy> {
    let place = around.place(table, &of_pool::PROVIDER);
    let expected = "the name of a scaling group";
    let group = table
        .required(&of_pool::GROUP, expected)
        .and_then(|entry| entry.name(fleet::ServiceName::new, expected));
    let keys = defaults.overlaid(table);
    table.finish();
    Some(keys.policy(place?, group?.to_string()))
}

/// Demand per second that a fixed pool serves.
fn fixed_pool(table: &Table<'_>, around: &Surroundings<'_>) -> f64 {
    let _ = around.place(table, &of_fixed::PROVIDER);
    let _ = table.get(&of_fixed::GROUP).and_then(|entry| entry.text("the name of a scaling group"));
    let units = table
        .required(&of_fixed::UNITS, "how many units it has, as it is fixed")
        .and_then(|entry| entry.units(0));
    let expected = "the demand per second that a unit serves, above 0";
    let capacity = table
        .required(&of_fixed::CAPACITY_PER_UNIT, expected)
        .and_then(|entry| entry.positive(expected));
    table.finish();
    f64::from(units.unwrap_or_default().0) * capacity.unwrap_or(0.0)
}
