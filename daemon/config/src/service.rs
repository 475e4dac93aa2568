//! `[service_defaults]` and `[[service]]`.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::metric::MetricQuery;
use fleet::{GroupRef, ServiceName, Step};
use forecaster::ModelKind;
use planner::policy::{CapacityPerUnit, Mode, PoolPolicy, ServicePolicy, Share, Signals};

use super::calendar;
use super::defaults::Defaults;
use super::hours::{self, HoursRule, KnownCalendars};
use super::keys::Key;
use super::keys::root::top;
use super::keys::service::{
    service as known, service_defaults, shared, signals as of_signals, workload as of_workload,
};
use super::metric::{Place, Purpose, Surroundings, metric, own_traffic, own_utilisation};
use super::pool::{PoolKeys, above_nothing, pools};
use super::promotion::PROMOTIONS;
use super::provider::Providers;
use super::reader::{Entry, Table, did_you_mean};

pub(super) const MODES: [(&str, Mode); 2] = [("observe", Mode::Observe), ("act", Mode::Act)];

const MODELS: [(&str, ModelKind); 6] = [
    ("auto", ModelKind::Auto),
    ("last-value", ModelKind::LastValue),
    ("seasonal-day", ModelKind::SeasonalDay),
    ("seasonal-week", ModelKind::SeasonalWeek),
    ("ets", ModelKind::Ets),
    ("linear", ModelKind::Linear),
];

/// The keys of a service that `[service_defaults]` may set for all.
#[derive(Clone, Debug)]
pub(super) struct ServiceKeys {
    mode: Mode,
    /// Whether it acts only once promoted.
    gated: bool,
    violation_budget: Share,
    forecaster: ModelKind,
    upstreams: Vec<String>,
    calendar: Option<String>,
    calendars: Arc<KnownCalendars>,
    hours: Vec<HoursRule>,
    pool: PoolKeys,
}

impl ServiceKeys {
    /// What holds where neither the service nor `[service_defaults]` says anything.
    pub fn new(mode: Mode, calendars: KnownCalendars) -> ServiceKeys {
        ServiceKeys {
            mode,
            gated: false,
            violation_budget: Defaults::violation_budget(),
            forecaster: ModelKind::default(),
            upstreams: Vec::new(),
            calendar: None,
            calendars: Arc::new(calendars),
            hours: Vec::new(),
            pool: PoolKeys::default(),
        }
    }

    /// These keys, with those of `[service_defaults]` laid over them.
    pub fn with_defaults(&self, root: &Table<'_>) -> ServiceKeys {
        let Some(table) = root.get(&top::SERVICE_DEFAULTS).and_then(|entry| entry.table()) else {
            return self.clone();
        };
        let mut keys = self.overlaid(&table);
        if let Some(pool) = table.get(&service_defaults::POOL).and_then(|entry| entry.table()) {
            keys.pool = keys.pool.overlaid(&pool);
            pool.finish();
        }
        table.finish();
        keys
    }

    /// These keys, with those of `table` laid over them; pools are the caller's.
    fn overlaid(&self, table: &Table<'_>) -> ServiceKeys {
        let budget = table.get(&shared::VIOLATION_BUDGET).and_then(|entry| above_nothing(&entry));
        let upstreams = table.get(&shared::UPSTREAMS);
        let calendar = table.get(&shared::CALENDAR);
        ServiceKeys {
            mode: table
                .get(&shared::MODE)
                .and_then(|entry| entry.choice(&MODES))
                .unwrap_or(self.mode),
            gated: table
                .get(&shared::PROMOTION)
                .and_then(|entry| entry.choice(&PROMOTIONS))
                .unwrap_or(self.gated),
            violation_budget: budget.unwrap_or(self.violation_budget),
            forecaster: table
                .get(&shared::FORECASTER)
                .and_then(|entry| entry.choice(&MODELS))
                .unwrap_or(self.forecaster),
            upstreams: upstreams.map_or_else(|| self.upstreams.clone(), |entry| names(&entry)),
            calendar: calendar
                .and_then(|entry| calendar::named(&entry, &self.calendars.named))
                .or_else(|| self.calendar.clone()),
            calendars: Arc::clone(&self.calendars),
            hours: match table.get(&shared::HOURS) {
                Some(entry) => hours::hours(&entry, &self.calendars),
                None => self.hours.clone(),
            },
            pool: self.pool.clone(),
        }
    }
}

/// A list of names such as upstreams.
fn names(entry: &Entry<'_>) -> Vec<String> {
    let expected = "a list of names such as `[\"lb-1\"]`";
    let members = entry.list(expected);
    members.iter().filter_map(|member| member.text("a name").map(str::to_owned)).collect()
}

/// The services of a file.
#[derive(Default)]
pub(super) struct Services {
    pub policies: BTreeMap<ServiceName, ServicePolicy>,
    pub forecasters: BTreeMap<ServiceName, ModelKind>,
    pub calendars: BTreeMap<ServiceName, String>,
    /// The hours of those that have any.
    pub hours: BTreeMap<ServiceName, Vec<HoursRule>>,
    /// Those that act only once promoted.
    pub gated: BTreeSet<ServiceName>,
    /// The names of all, faulty ones too.
    pub named: Vec<String>,
}

/// Reads every `[[service]]`.
pub(super) fn services(root: &Table<'_>, keys: &ServiceKeys, providers: &Providers) -> Services {
    let mut services = Services::default();
    let mut groups: BTreeMap<GroupRef, (String, usize)> = BTreeMap::new();
    for table in root.get(&top::SERVICE).map_or_else(Vec::new, |entry| entry.tables()) {
        let name = service_name(&table, &mut services.named);
        let keys = keys.overlaid(&table);
        let model = keys.forecaster;
        let policy = service(&table, &keys, providers);
        table.finish();
        let (Some(name), Some(policy)) = (name, policy) else { continue };
        // Under which names else the same group may be reached, the file does not show.
        match groups.entry(policy.pool.group.clone()) {
            MapEntry::Vacant(entry) => drop(entry.insert((name.to_string(), table.line()))),
            MapEntry::Occupied(entry) => {
                let (other, line) = entry.get();
                let message = format!(
                    "group `{}` is sized by `{other}` in line {line} and by `{name}`, expected one \
                     service a group",
                    policy.pool.group.name
                );
                table.fault(message, None);
            }
        }
        if model != ModelKind::Auto {
            services.forecasters.insert(name.clone(), model);
        }
        if keys.gated {
            services.gated.insert(name.clone());
        }
        if let Some(calendar) = keys.calendar {
            services.calendars.insert(name.clone(), calendar);
        }
        if !keys.hours.is_empty() {
            services.hours.insert(name.clone(), keys.hours);
        }
        services.policies.insert(name, policy);
    }
    services
}

fn service_name(table: &Table<'_>, named: &mut Vec<String>) -> Option<ServiceName> {
    let entry = table.required(&known::NAME, "the service's name")?;
    let name = entry.name(ServiceName::new, "a name")?;
    if named.iter().any(|other| other == name.as_str()) {
        entry.fault(format!("service `{name}` is there twice, expected each name once"), None);
        return None;
    }
    named.push(name.to_string());
    Some(name)
}

fn service(table: &Table<'_>, keys: &ServiceKeys, providers: &Providers) -> Option<ServicePolicy> {
    let mut around = Surroundings { providers, home: None };
    let pools = pools(table, &keys.pool, &around);
    around.home = pools.sized.as_ref().map(|pool| place_of(&pool.group));
    workload(table, keys, &around, pools.sized, pools.fixed_capacity)
}

/// Where a group is.
pub(super) fn place_of(group: &GroupRef) -> Place {
    Place {
        provider: group.provider.clone(),
        account: group.account.clone(),
        region: group.region.clone(),
    }
}

/// Reads what a service and a template have in common, all but the pools: one that is sized, and what
/// those that are fixed serve.
pub(super) fn workload(
    table: &Table<'_>,
    keys: &ServiceKeys,
    around: &Surroundings<'_>,
    pool: Option<PoolPolicy>,
    fixed_pools: f64,
) -> Option<ServicePolicy> {
    let word = table.get(&of_workload::DEMAND).filter(|entry| entry.as_text().is_some());
    let counted = word.as_ref().and_then(OfGroup::read);
    let metrics = if word.is_none() { demand(table, around) } else { None };
    let fixed = table.get(&of_workload::FIXED_CAPACITY);
    let fixed_capacity =
        fixed.and_then(|entry| entry.not_negative("demand per second, 0 or more")).unwrap_or(0.0);
    let fixed_capacity = fixed_capacity + fixed_pools;
    let named = table.get(&of_workload::UTILISATION);
    let utilisation = named.as_ref().and_then(|entry| {
        entry.table().and_then(|table| metric(&table, around, Purpose::Utilisation))
    });
    let signals = signals(table, around);
    let mut pool = pool?;
    let sound = counted.as_ref().is_none_or(|counted| counted.check(&pool, fixed_capacity));
    let busy = counted.as_ref().is_some_and(|counted| counted.of == Counted::Busy);
    let learns = pool.capacity_per_unit == CapacityPerUnit::Learn && named.is_none();
    let own = if learns || busy && named.is_none() { learned_from(&pool, around) } else { None };
    if (learns || busy && named.is_none())
        && own.is_none()
        && around.providers.read.contains_key(&pool.group.provider)
    {
        let (why, hint) = if busy {
            ("demand is to be counted with it", None)
        } else {
            let hint = "or give `capacity_per_unit` as a number".to_owned();
            ("`capacity_per_unit` is to be learned", Some(hint))
        };
        let expected = format!(
            "a metric of the mean utilisation of the group's instances: its cloud has none by the \
             group's name, and {why}"
        );
        table.missing(&of_workload::UTILISATION, &expected, hint);
        return None;
    }
    let demand = match &counted {
        Some(counted) if counted.of == Counted::Traffic => counted.traffic(&pool, around)?,
        Some(_) => Vec::new(),
        None => metrics?,
    };
    if busy {
        // Of itself, a unit carries what it is to be busy with.
        let full = pool.target_utilisation.fraction();
        pool.capacity_per_unit = CapacityPerUnit::Given(full);
    }
    let mut policy = ServicePolicy {
        mode: keys.mode,
        demand,
        fixed_capacity,
        utilisation: utilisation.or(own),
        signals,
        pool,
        violation_budget: keys.violation_budget,
        upstreams: keys.upstreams.clone(),
    };
    if busy {
        policy.count_busy_units();
    }
    (sound && !policy.demand.is_empty()).then_some(policy)
}

/// Demand that the group itself shows, where nothing counts its load.
struct OfGroup<'e, 'a> {
    of: Counted,
    entry: &'e Entry<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// Mean utilisation times units in service.
    Busy,
    /// What its units receive and send.
    Traffic,
}

const COUNTED: [(&str, Counted); 2] = [("cpu", Counted::Busy), ("network", Counted::Traffic)];

/// What demand may be.
const DEMAND: &str = "`\"cpu\"`, `\"network\"` or a list of metrics such as `[{ from = \"aws\", namespace = \
                      \"…\", metric = \"…\" }]`";

impl<'e, 'a> OfGroup<'e, 'a> {
    /// Reads the word that stands for such a demand.
    fn read(entry: &'e Entry<'a>) -> Option<OfGroup<'e, 'a>> {
        let word = entry.as_text()?;
        let of = COUNTED.iter().find(|(known, _)| *known == word).map(|(_, of)| *of);
        if of.is_none() {
            entry.unexpected(DEMAND, did_you_mean(word, COUNTED.iter().map(|(known, _)| *known)));
        }
        Some(OfGroup { of: of?, entry })
    }
}

impl OfGroup<'_, '_> {
    /// Whether the rest of the service fits to a demand of the group's own; every fault is noted.
    fn check(&self, pool: &PoolPolicy, fixed_capacity: f64) -> bool {
        let found = self.entry.found();
        let mut faults = Vec::new();
        if self.of == Counted::Busy
            && let CapacityPerUnit::Given(given) = pool.capacity_per_unit
        {
            let message = format!(
                "{found} is counted in units, and `capacity_per_unit = {given}` is demand per second"
            );
            let hint = "leave `capacity_per_unit` out, or write `capacity_per_unit = \"learn\"`: a \
                        unit carries `target_utilisation` of itself";
            faults.push((message, hint));
        }
        if pool.min.0 == 0 {
            let message = format!("{found} shows nothing while no unit is there, and `min` is 0");
            faults.push((message, "write `min = 1`: nothing would bring the group back"));
        }
        if fixed_capacity > 0.0 {
            let message = format!("{found} is what the group's own units do, and nothing else's");
            faults.push((message, "leave out `fixed_capacity` and pools that are `fixed`"));
        }
        let sound = faults.is_empty();
        for (message, hint) in faults {
            self.entry.fault(message, Some(hint.to_owned()));
        }
        sound
    }

    /// The metrics of what the group's units receive and send; a fault where its cloud has none.
    fn traffic(&self, pool: &PoolPolicy, around: &Surroundings<'_>) -> Option<Vec<MetricQuery>> {
        let config = around.providers.read.get(&pool.group.provider)?;
        let found = own_traffic(config, &place_of(&pool.group), &pool.group.name);
        if found.is_none() {
            let expected = "a list of metrics: its cloud measures no traffic by the group's name";
            self.entry.unexpected(expected, None);
        }
        found
    }
}

/// The utilisation that the cloud itself measures of a group.
fn learned_from(pool: &PoolPolicy, around: &Surroundings<'_>) -> Option<MetricQuery> {
    let config = around.providers.read.get(&pool.group.provider)?;
    own_utilisation(config, &place_of(&pool.group), &pool.group.name)
}

fn demand(table: &Table<'_>, around: &Surroundings<'_>) -> Option<Vec<MetricQuery>> {
    let expected = DEMAND;
    let hint = "demand is total load such as requests, never average utilisation".to_owned();
    let Some(entry) = table.get(&of_workload::DEMAND) else {
        table.missing(&of_workload::DEMAND, expected, Some(hint));
        return None;
    };
    if entry.list_is_empty() {
        entry.unexpected(expected, Some(hint));
        return None;
    }
    let mut metrics: Vec<MetricQuery> = Vec::new();
    let mut sound = true;
    for member in entry.tables() {
        let Some(query) = metric(&member, around, Purpose::Demand) else {
            sound = false;
            continue;
        };
        if metrics.iter().any(|other| other.key() == query.key()) {
            let message = format!("`{}` is there twice and would count twice", query.metric);
            member.fault(message, None);
        }
        let step = metrics.first().map_or(query.period, |first| first.period);
        if query.period != step {
            member.fault(differing_periods(step, query.period), None);
        }
        metrics.push(query);
    }
    (sound && !metrics.is_empty()).then_some(metrics)
}

fn differing_periods(first: Step, other: Step) -> String {
    format!(
        "`period = \"{}\"` differs from `\"{}\"` of the first metric, expected one period in a sum",
        other.span(),
        first.span()
    )
}

fn signals(table: &Table<'_>, around: &Surroundings<'_>) -> Signals {
    let Some(table) = table.get(&of_workload::SIGNALS).and_then(|entry| entry.table()) else {
        return Signals::default();
    };
    let read = |key: &Key, purpose| {
        let table = table.get(key).and_then(|entry| entry.table());
        table.and_then(|table| metric(&table, around, purpose))
    };
    let signals = Signals {
        errors: read(&of_signals::ERRORS, Purpose::Errors),
        healthy_hosts: read(&of_signals::HEALTHY_HOSTS, Purpose::HealthyHosts),
    };
    table.finish();
    signals
}

impl ServiceKeys {
    /// The pool keys that hold for every service.
    pub fn pool(&self) -> &PoolKeys {
        &self.pool
    }

    /// The model that forecasts.
    pub fn forecaster(&self) -> ModelKind {
        self.forecaster
    }

    /// The calendar that its users live by.
    pub fn calendar(&self) -> Option<&String> {
        self.calendar.as_ref()
    }

    /// The hours that bound its size.
    pub fn hours(&self) -> &[HoursRule] {
        &self.hours
    }

    /// Whether a service acts only once promoted.
    pub fn gated(&self) -> bool {
        self.gated
    }

    /// These keys, with those of a template laid over them.
    pub fn of_template(&self, table: &Table<'_>) -> ServiceKeys {
        self.overlaid(table)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use crate::tests_parse;

    /// Clouds, some with more than one region: where the groups are.
    const PLACES: [[&str; 2]; 4] =
        [["one", "eu-west-1"], ["one", "eu-north-1"], ["two", "eu-west-1"], ["sea", "cn-hangzhou"]];

    proptest! {
        /// However services are spread over clouds, regions and groups: each that reaches a group of
        /// one before it is told with the first one's name and line, and no other is.
        #[test]
        fn each_service_beyond_the_first_of_a_group_is_named_with_the_first(
            reached in prop::collection::vec((0..PLACES.len(), 0..3usize), 1..12),
        ) {
            let mut text = "[provider.one]\nkind = \"aws\"\nregions = [\"eu-west-1\", \
                            \"eu-north-1\"]\n[provider.two]\nkind = \"aws\"\nregions = \
                            [\"eu-west-1\"]\n[provider.sea]\nkind = \"alibaba\"\nregions = \
                            [\"cn-hangzhou\"]\n".to_owned();
            let mut seen: Vec<((usize, usize), String)> = Vec::new();
            let mut expected = Vec::new();
            for (n, (place, group)) in reached.into_iter().enumerate() {
                let line = text.lines().count() + 1;
                let [provider, region] = PLACES[place];
                let metric = match provider {
                    "sea" => "namespace = \"acs_ess_dashboard\", metric = \"m\"",
                    _ => "namespace = \"AWS/EC2\", metric = \"m\"",
                };
                writeln!(
                    text,
                    "[[service]]\nname = \"s{n}\"\ndemand = [{{ from = \"{provider}\", region = \
                     \"{region}\", {metric} }}]\n[[service.pool]]\nprovider = \"{provider}\"\nregion \
                     = \"{region}\"\ngroup = \"g{group}\"\ncapacity_per_unit = 10"
                ).unwrap();
                let first = seen.iter().find(|(at, _)| *at == (place, group));
                if let Some((_, told)) = first {
                    expected.push(format!(
                        "neap.toml:{line}:1: group `g{group}` is sized by {told} and by `s{n}`, \
                         expected one service a group"
                    ));
                } else {
                    seen.push(((place, group), format!("`s{n}` in line {line}")));
                }
            }
            let found: Vec<String> = match tests_parse(&text) {
                Ok(_) => Vec::new(),
                Err(faults) => faults.iter().map(ToString::to_string).collect(),
            };
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}
