//! The top of the file, and what holds for everything in it.

use std::path::PathBuf;

use fleet::{Retention, Seconds};
use planner::policy::{Budget, Budgets, Mode, Policy};
use planner::stage::Promotion;
use toml::de::DeTable;

use super::alert::alerts;
use super::calendar::calendars;
use super::defaults::Defaults;
use super::event::events;
use super::freeze::freezes;
use super::hours::KnownCalendars;
use super::idle::{self, idle};
use super::keys::Key;
use super::keys::root::{budgets, journal as of_journal, log as of_log, top};
use super::money::money;
use super::page::page;
use super::promotion::promotion;
use super::provider::providers;
use super::reader::{Source, Table};
use super::service::{MODES, ServiceKeys, services};
use super::template::templates;
use super::trace::trace;
use super::value;
use super::{Checks, Config, ConfigFault, Log, LogFormat, LogLevel};

/// Text to configuration, or every fault in file order.
pub(super) fn parse(file: &str, text: &str, checks: &Checks) -> Result<Config, Vec<ConfigFault>> {
    let source = Source::new(file, text, checks);
    let (document, syntax) = DeTable::parse_recoverable(text);
    let config = config(&Table::root(&source, document.get_ref()));
    let faults = source.into_faults(&syntax);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn config(root: &Table<'_>) -> Config {
    let mode = root.get(&top::MODE).and_then(|entry| entry.choice(&MODES)).unwrap_or_default();
    let poll_interval = root
        .get(&top::POLL_INTERVAL)
        .and_then(|entry| entry.duration(Seconds(1)..=Seconds::hours(1)))
        .unwrap_or(Defaults::POLL_INTERVAL);
    let providers = providers(root);
    let (calendars, calendar_names) = calendars(root);
    let known = KnownCalendars { named: calendar_names.clone(), read: calendars.clone() };
    let keys = ServiceKeys::new(Mode::Act, known).with_defaults(root);
    let services = services(root, &keys, &providers);
    let templates = templates(root, &keys, &providers);
    let known_calendars = idle::Calendars { read: &calendars, named: &calendar_names };
    let idle = idle(root, mode, &providers, known_calendars);
    let nothing_sized = services.named.is_empty() && templates.is_empty();
    if nothing_sized
        && [&top::SERVICE, &top::IDLE, &top::SCHEDULE].iter().all(|key| root.get(key).is_none())
    {
        nothing_to_do(root);
    }
    let known = templates.is_empty().then_some(services.named.as_slice());
    let limits = limits(root);
    let config = Config {
        policy: Policy {
            mode,
            poll_interval,
            budgets: limits.removals,
            spend_ceiling_usd_milli_hourly: limits.spend_usd_milli_hourly,
            services: services.policies,
            promotion: Promotion { gated: services.gated, ..promotion(root) },
        },
        templates,
        state_dir: path(root, &top::STATE_DIR, Defaults::STATE_DIR, "a directory"),
        kill_switch: kill_switch(root),
        approvers: approvers(root),
        money: money(root, &providers),
        page: page(root),
        journal: journal(root),
        freezes: freezes(root, known),
        log: log(root),
        trace: trace(root),
        cycle_deadline: cycle_deadline(root, poll_interval),
        forecasters: services.forecasters,
        calendars,
        events: events(root, known),
        idle,
        alerts: alerts(root),
        service_calendars: services.calendars,
        service_hours: services.hours,
        providers: providers.read,
    };
    root.finish();
    config
}

fn nothing_to_do(root: &Table<'_>) {
    if root.get(&top::SERVICE_TEMPLATE).is_none() {
        let hint = "`neap init` prints a configuration to start from".to_owned();
        root.missing(&top::SERVICE, "at least one table `[[service]]`", Some(hint));
    }
}

fn path(root: &Table<'_>, key: &Key, default: &str, what: &str) -> PathBuf {
    let found = root.get(key).and_then(|entry| entry.text(&format!("the path of {what}")));
    PathBuf::from(found.unwrap_or(default))
}

/// The kill switch must outlive a reboot, so it does not live where a reboot cleans up.
fn kill_switch(root: &Table<'_>) -> PathBuf {
    let entry = root.get(&top::KILL_SWITCH);
    let named = entry.and_then(|entry| entry.path_beside("the path of a file"));
    let path = named.unwrap_or_else(|| PathBuf::from(Defaults::KILL_SWITCH));
    let swept = ["/run", "/var/run", "/dev/shm"];
    if swept.iter().any(|dir| path.starts_with(dir))
        && let Some(entry) = root.get(&top::KILL_SWITCH)
    {
        let hint = format!("such as `{}`", Defaults::KILL_SWITCH);
        entry.unexpected("a path that a reboot does not empty", Some(hint));
    }
    path
}

fn approvers(root: &Table<'_>) -> String {
    let found =
        root.get(&top::APPROVERS).and_then(|entry| entry.text("the name of a group of users"));
    found.unwrap_or(Defaults::APPROVERS).to_owned()
}

fn journal(root: &Table<'_>) -> Retention {
    let mut retention = Retention {
        max_age: Defaults::JOURNAL_AGE,
        max_size_bytes: Defaults::JOURNAL_SIZE_BYTES,
        usage_age: Defaults::USAGE_AGE,
    };
    let Some(table) = root.get(&top::JOURNAL).and_then(|entry| entry.table()) else {
        return retention;
    };
    let ages = Seconds::days(1)..=Seconds::days(3650);
    if let Some(age) =
        table.get(&of_journal::MAX_AGE).and_then(|entry| entry.duration(ages.clone()))
    {
        retention.max_age = age;
    }
    if let Some(age) = table.get(&of_journal::USAGE_AGE).and_then(|entry| entry.duration(ages)) {
        retention.usage_age = age;
    }
    if let Some(entry) = table.get(&of_journal::MAX_SIZE)
        && let Some(size) = entry.parsed(value::size, value::SIZE)
    {
        if size < Defaults::JOURNAL_SIZE_LEAST_BYTES {
            entry.unexpected("at least `256 MiB`", None);
        }
        retention.max_size_bytes = size;
    }
    table.finish();
    retention
}

fn log(root: &Table<'_>) -> Log {
    const FORMATS: [(&str, LogFormat); 2] =
        [("human", LogFormat::Human), ("json", LogFormat::Json)];
    const LEVELS: [(&str, LogLevel); 5] = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let mut log = Log { format: LogFormat::default(), level: LogLevel::default() };
    let Some(table) = root.get(&top::LOG).and_then(|entry| entry.table()) else { return log };
    if let Some(format) = table.get(&of_log::FORMAT).and_then(|entry| entry.choice(&FORMATS)) {
        log.format = format;
    }
    if let Some(level) = table.get(&of_log::LEVEL).and_then(|entry| entry.choice(&LEVELS)) {
        log.level = level;
    }
    table.finish();
    log
}

fn cycle_deadline(root: &Table<'_>, poll_interval: Seconds) -> Seconds {
    let most = Defaults::CYCLE_DEADLINE_SHARE.fraction() * poll_interval.0 as f64;
    let default = Seconds((most as u64).max(1));
    root.get(&top::CYCLE_DEADLINE)
        .and_then(|entry| entry.duration(Seconds(1)..=poll_interval))
        .unwrap_or(default)
}

/// `[budgets]`: limits that span groups.
struct Limits {
    removals: Budgets,
    spend_usd_milli_hourly: Option<u64>,
}

fn limits(root: &Table<'_>) -> Limits {
    let defaults = Budgets::default();
    let Some(table) = root.get(&top::BUDGETS).and_then(|entry| entry.table()) else {
        return Limits { removals: defaults, spend_usd_milli_hourly: None };
    };
    let read = |key: &Key, default: Option<Budget>| {
        let entry = table.get(key);
        entry.and_then(|entry| entry.parsed(value::budget, value::BUDGET)).or(default)
    };
    let removals = Budgets {
        group: read(&budgets::GROUP, defaults.group),
        account: read(&budgets::ACCOUNT, defaults.account),
        fleet: read(&budgets::FLEET, defaults.fleet),
    };
    let spend = table.get(&budgets::SPEND_USD_HOURLY);
    let spend = spend.and_then(|entry| entry.positive("US dollars an hour, above 0"));
    table.finish();
    Limits { removals, spend_usd_milli_hourly: spend.map(|usd| (usd * 1e3).round() as u64) }
}
