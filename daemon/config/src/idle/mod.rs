//! `[[idle]]`, `[[schedule]]` and `[idle_defaults]`: what may be stopped and started, and when.

mod keys;
mod limits;
pub(crate) mod schedule;
mod select;

use std::collections::{BTreeMap, BTreeSet};

use fleet::money::{CnyPerUsd, Currency};
use fleet::resource::Resource;
use fleet::{RuleName, Seconds, Timestamp};
use planner::agreement::older;
use planner::idle::reasons::ScheduleFault;
use planner::idle::rule::{IdlePolicy, IdleRule, Radius, ScheduleKind};
use planner::idle::rule::{ScheduleRule, Select};
use planner::idle::schedule::ScheduleView;
use planner::policy::Mode;
use planner::stage;
use serde::Serialize;

use super::calendar::CalendarRule;
use super::defaults::Defaults;
use super::keys::idle::{idle as known, idle_defaults, rule as of_rule};
use super::keys::root::top;
use super::prices::{Prices, prices};
use super::provider::Providers;
use super::reader::Table;
use super::zone::Zone;
use crate::schedule::Hours;
use keys::IdleKeys;

/// What may be stopped and started, parsed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IdleConfig {
    /// What the planner decides by. Its `own_host` is not configured but found out.
    pub policy: IdlePolicy,
    /// When machines are to be up, by the name of their schedule.
    pub hours: BTreeMap<RuleName, Hours>,
    /// The zone in which a rule sees days and nights, by its name.
    pub zones: BTreeMap<RuleName, Zone>,
    /// What the operator knows of prices.
    pub prices: Prices,
    /// The currency that sums are shown in first, where one was named.
    pub currency: Option<Currency>,
    /// The rate by which prices in the other currency are converted, where one was stated.
    pub cny_per_usd: Option<CnyPerUsd>,
    /// The rules and schedules that act only once promoted.
    pub gated: BTreeSet<RuleName>,
}

impl IdleConfig {
    /// What the promotion of each rule and schedule that waits for one is agreed to by.
    pub fn terms(&self) -> BTreeMap<RuleName, String> {
        let rules = self.policy.rules.iter().map(|rule| (&rule.name, stage::terms(rule)));
        let schedules = self.policy.schedules.iter().map(|rule| {
            let hours = self.hours.get(&rule.name);
            // Hours are written with the calendar's name alone.
            let calendar = hours.and_then(Hours::calendar);
            (&rule.name, stage::terms(&(rule, hours, calendar)))
        });
        self.of_gated(rules.chain(schedules))
    }

    /// The same by the names that earlier versions gave, for what was agreed to under them.
    pub fn older_terms(&self) -> BTreeMap<RuleName, String> {
        let rules = self.policy.rules.iter().map(|rule| (&rule.name, older::terms(rule)));
        let schedules = self.policy.schedules.iter().map(|rule| {
            let hours = self.hours.get(&rule.name);
            (&rule.name, older::terms(&(rule, hours)))
        });
        self.of_gated(rules.chain(schedules))
    }

    fn of_gated<'a>(
        &self,
        terms: impl Iterator<Item = (&'a RuleName, String)>,
    ) -> BTreeMap<RuleName, String> {
        let gated = terms.filter(|(name, _)| self.gated.contains(*name));
        gated.map(|(name, terms)| (name.clone(), terms)).collect()
    }

    /// Whether there is anything to look at.
    pub fn is_empty(&self) -> bool {
        self.policy.rules.is_empty() && self.policy.schedules.is_empty()
    }

    /// When a resource is to be up around `now` by a schedule that selects it; `None` where its
    /// hours are in tags and it has none.
    pub fn view(
        &self,
        schedule: &ScheduleRule,
        resource: &Resource,
        now: Timestamp,
    ) -> Option<ScheduleView> {
        let view = self.hours.get(&schedule.name)?.view(&schedule.name, &resource.tags, now)?;
        let place = schedule.order_tag.as_ref().and_then(|tag| resource.tags.get_key_value(tag));
        let order = place.map(|(tag, text)| (tag, text, text.trim().parse()));
        Some(match order {
            None => view,
            Some((_, _, Ok(order))) => ScheduleView { order, ..view },
            Some((tag, text, Err(_))) => {
                let fault = ScheduleFault::Order { tag: tag.clone(), text: text.clone() };
                ScheduleView { fault: view.fault.or(Some(fault.into())), ..view }
            }
        })
    }

    /// Which way a schedule acts on a resource: the schedule's own way, and where hours are in
    /// tags the way that they name. `None` where the two leave none.
    pub fn kind(&self, schedule: &ScheduleRule, resource: &Resource) -> Option<ScheduleKind> {
        let tagged = self.hours.get(&schedule.name).map(|hours| hours.kind(&resource.tags));
        match (schedule.kind, tagged.unwrap_or_default()) {
            (ScheduleKind::Both, kind) | (kind, ScheduleKind::Both) => Some(kind),
            (one, other) => (one == other).then_some(one),
        }
    }

    /// From each moment on, how many seconds local time of a rule's zone is ahead of UTC: at
    /// `from`, and at every change of clocks until `to`.
    pub fn offset_spans(
        &self,
        rule: &RuleName,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<(Timestamp, i32)> {
        match self.zones.get(rule) {
            Some(zone) => zone.clock(from, to),
            None => Zone::default().clock(from, to),
        }
    }
}

/// The calendars of the file: those that could be read, and the names of all.
#[derive(Clone, Copy)]
pub(super) struct Calendars<'a> {
    /// Those that could be read.
    pub read: &'a BTreeMap<String, CalendarRule>,
    pub named: &'a [String],
}

/// Reads all that concerns idle resources and schedules.
pub(super) fn idle(
    root: &Table<'_>,
    mode: Mode,
    providers: &Providers,
    calendars: Calendars<'_>,
) -> IdleConfig {
    let intervals = Seconds::minutes(1)..=Seconds::hours(1);
    let interval = root.get(&top::IDLE_INTERVAL).and_then(|entry| entry.duration(intervals));
    let mut config = IdleConfig {
        policy: IdlePolicy {
            mode,
            interval: interval.unwrap_or(Defaults::IDLE_INTERVAL),
            account_radius: Radius::default(),
            protect_tag: Defaults::PROTECT_TAG.to_owned(),
            ..IdlePolicy::default()
        },
        ..IdleConfig::default()
    };
    let keys = defaults(root, &mut config);
    let mut names = Vec::new();
    for table in root.get(&top::IDLE).map_or_else(Vec::new, |entry| entry.tables()) {
        let name = rule_name(&table, &mut names);
        let keys = keys.overlaid(&table);
        let rule = rule(&table, &keys, providers, name.clone());
        table.finish();
        config.gated.extend(name.clone().filter(|_| keys.shared.gated));
        if let Some(name) = name {
            config.zones.insert(name, keys.timezone);
        }
        config.policy.rules.extend(rule);
    }
    for table in root.get(&top::SCHEDULE).map_or_else(Vec::new, |entry| entry.tables()) {
        let name = rule_name(&table, &mut names);
        let shared = keys.shared.overlaid(&table);
        config.gated.extend(name.clone().filter(|_| shared.gated));
        let schedule = schedule::schedule(&table, shared, providers, calendars, name);
        table.finish();
        if let Some((rule, hours)) = schedule {
            config.hours.insert(rule.name.clone(), hours);
            config.policy.schedules.push(rule);
        }
    }
    config
}

/// `[idle_defaults]`.
fn defaults(root: &Table<'_>, config: &mut IdleConfig) -> IdleKeys {
    const CURRENCIES: [(&str, Currency); 2] = [("USD", Currency::Usd), ("CNY", Currency::Cny)];
    let keys = IdleKeys::default();
    let Some(table) = root.get(&top::IDLE_DEFAULTS).and_then(|entry| entry.table()) else {
        return keys;
    };
    let keys = keys.overlaid(&table);
    if let Some(radius) = keys::radius(&table, &idle_defaults::ACCOUNT_BLAST_RADIUS) {
        config.policy.account_radius = radius;
    }
    if let Some(tag) =
        table.get(&idle_defaults::PROTECT_TAG).and_then(|entry| entry.text("a tag's key"))
    {
        config.policy.protect_tag = tag.to_owned();
    }
    if let Some(prices) = table.get(&idle_defaults::PRICES).and_then(|entry| prices(&entry)) {
        config.prices = prices;
    }
    config.currency =
        table.get(&idle_defaults::CURRENCY).and_then(|entry| entry.choice(&CURRENCIES));
    config.cny_per_usd = table.get(&idle_defaults::CNY_PER_USD).and_then(|entry| {
        let expected = "yuan for one US dollar, such as `7.1`";
        let rate = entry.positive(expected).map(CnyPerUsd::new)?;
        if rate.is_none() {
            entry.unexpected(expected, None);
        }
        rate
    });
    table.finish();
    keys
}

/// A name that no other rule or schedule has: what is remembered of them goes by name.
fn rule_name(table: &Table<'_>, names: &mut Vec<String>) -> Option<RuleName> {
    let entry = table.required(&known::NAME, "a name")?;
    let name = entry.text("a name")?;
    if name.trim() != name || name.chars().any(char::is_control) {
        entry.unexpected("a name without surrounding blanks", None);
        return None;
    }
    if names.iter().any(|other| other == name) {
        let hint = "rules and schedules have names of their own".to_owned();
        entry.fault(format!("`{name}` is there twice, expected each name once"), Some(hint));
        return None;
    }
    names.push(name.to_owned());
    Some(RuleName(name.to_owned()))
}

fn rule(
    table: &Table<'_>,
    keys: &IdleKeys,
    providers: &Providers,
    name: Option<RuleName>,
) -> Option<IdleRule> {
    let select: Option<Select> = select::select(table, providers, select::Criterion::Needed);
    let power = select.as_ref().map(|select| select::power(table, select));
    let when = limits::idle_when(table, power.unwrap_or(Some(true)));
    if keys.grace.is_none() && table.get(&of_rule::GRACE).is_none() {
        let hint = "`grace = \"0s\"` stops what is idle at once".to_owned();
        table.missing(&of_rule::GRACE, "how long a mark stands before the stop", Some(hint));
    }
    let when = when?;
    Some(IdleRule {
        name: name?,
        mode: keys.shared.mode,
        select: select?,
        limits: when.limits,
        require: when.require,
        look_back: when.look_back,
        coverage: when.coverage,
        accept_short_history: keys.accept_short_history,
        forgiven_hours: when.forgiven_hours,
        grace: keys.grace?,
        observe_first: keys.observe_first,
        stop: keys.shared.stop,
        mark_tag: keys.mark_tag,
        owner_tag: keys.owner_tag.clone(),
        opt_in: keys.shared.opt_in.clone(),
        accept_restart_risk: keys.shared.accept_restart_risk,
        exempt_after_restart: keys.exempt_after_restart,
        radius: keys.radius,
        group_tag: keys.group_tag.clone(),
    })
}
