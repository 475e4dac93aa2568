//! `idle_when`: up to where idle goes, and for how long.

use std::collections::BTreeSet;

use fleet::Seconds;
use fleet::usage::Signal;
use planner::idle::rule::Limits;
use planner::policy::Share;

use super::super::defaults::Defaults;
use super::super::keys::Key;
use super::super::keys::idle::{idle as known, idle_when as of_idle, limits as of_limits};
use super::super::pool::above_nothing;
use super::super::reader::Table;

/// What `idle_when` says.
pub(super) struct IdleWhen {
    pub limits: Limits,
    pub require: BTreeSet<Signal>,
    pub look_back: Seconds,
    pub coverage: Share,
    pub forgiven_hours: u32,
}

/// Bytes of a kibibyte: limits of the network are written in one and kept in the other.
const KIB: f64 = 1024.0;
/// Signals that a limit of tells something of use by itself; a full memory is no use, and an empty
/// one no idleness.
const TELLING: [Signal; 5] =
    [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps, Signal::Connections];

/// Reads `idle_when` of a rule for kinds with power, without it, or for both (`None`, which is
/// noted elsewhere).
pub(super) fn idle_when(table: &Table<'_>, power: Option<bool>) -> Option<IdleWhen> {
    let mut when = IdleWhen {
        limits: Limits::default(),
        require: BTreeSet::new(),
        look_back: Defaults::LOOK_BACK,
        coverage: Defaults::COVERAGE,
        forgiven_hours: 0,
    };
    let expected = "limits such as `{ cpu_max_percent = 3.0, network_max_kib_per_second = 5.0 }`";
    let entry = match power {
        Some(false) => table.get(&known::IDLE_WHEN),
        Some(true) | None => table.required(&known::IDLE_WHEN, expected),
    };
    let Some(entry) = entry else { return (power == Some(false)).then_some(when) };
    let table = entry.table()?;
    let spans = Seconds::days(1)..=Defaults::JOURNAL_AGE;
    if let Some(span) = table.get(&of_idle::FOR).and_then(|entry| entry.duration(spans)) {
        when.look_back = span;
    }
    if power == Some(false) {
        // Nothing is measured of a volume: all else is an unknown key here.
        table.finish();
        return Some(when);
    }
    when.limits = limits(&table);
    if let Some(coverage) = table.get(&of_idle::COVERAGE).and_then(|entry| above_nothing(&entry)) {
        when.coverage = coverage;
    }
    if let Some(hours) = table.get(&of_idle::FORGIVEN_HOURS).and_then(|entry| entry.whole(0..=720))
    {
        when.forgiven_hours = u32::try_from(hours).unwrap_or(0);
    }
    let words = Signal::ALL.map(|signal| (signal.word(), signal));
    for member in table
        .get(&of_idle::REQUIRE)
        .map_or_else(Vec::new, |entry| entry.list("a list of signals such as `[\"memory\"]`"))
    {
        when.require.extend(member.choice(&words));
    }
    table.finish();
    if !when.limits.0.keys().any(|signal| TELLING.contains(signal)) {
        let hint = "memory and GPU alone do not tell whether a machine is in use".to_owned();
        entry.unexpected("a limit of CPU, network, disk or connections", Some(hint));
        return None;
    }
    Some(when)
}

/// The limits of a table, in thousandths of each signal's unit.
pub(super) fn limits(table: &Table<'_>) -> Limits {
    let keys: [(&Key, &[Signal]); 6] = [
        (&of_limits::CPU_MAX_PERCENT, &[Signal::Cpu]),
        (&of_limits::NETWORK_MAX_KIB_PER_SECOND, &[Signal::NetworkIn, Signal::NetworkOut]),
        (&of_limits::DISK_MAX_OPS_PER_SECOND, &[Signal::DiskOps]),
        (&of_limits::MEMORY_MAX_PERCENT, &[Signal::Memory]),
        (&of_limits::CONNECTIONS_MAX, &[Signal::Connections]),
        (&of_limits::GPU_MAX_PERCENT, &[Signal::Gpu]),
    ];
    let mut limits = Limits::default();
    for (key, signals) in keys {
        let Some(entry) = table.get(key) else { continue };
        let is_percent = key.name.ends_with("percent");
        let expected = if is_percent { "percent from 0 to 100" } else { "a number of at least 0" };
        let Some(limit) = entry.not_negative(expected) else { continue };
        if is_percent && limit > 100.0 {
            entry.unexpected(expected, None);
            continue;
        }
        let unit = if key.name.starts_with("network") { KIB } else { 1.0 };
        let milli = (limit * unit * 1000.0).round() as u64;
        limits.0.extend(signals.iter().map(|signal| (*signal, milli)));
    }
    limits
}
