//! `neap replay`: recorded decisions computed again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;

use planner::plan::{Change, Plan};
use planner::policy::Policy;
use planner::snapshot::{OrderOutcome, OrderResult, Snapshot};
use planner::{Memory, Seconds, ServiceName, Timestamp, Units};
use serde_json::json;

use crate::config;
use crate::journal::{CycleRecord, PolicyDigest, Reader};
use crate::report::{self, Format};

/// Differences printed before the rest is only counted.
const SHOWN: usize = 20;

/// Computes recorded decisions again: the same code must come to the same plans.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap replay --state-dir neap-state
  neap replay --since 2026-03-02T00:00:00Z --with stricter.toml

Exit code 1: a plan of this version of the planner came out differently.")]
pub struct Args {
    /// From this time on.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = crate::cli::moment)]
    since: Option<Timestamp>,
    /// Up to this time.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = crate::cli::moment)]
    until: Option<Timestamp>,
    /// What another configuration would have done, with groups simulated from the lead times.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Replays.
///
/// # Errors
/// Where the journal cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let range = args.since.unwrap_or(Timestamp(0))..args.until.unwrap_or(Timestamp(i64::MAX / 2));
    match &args.with {
        None => again(&reader, range, args.format),
        Some(path) => match config::load(path) {
            Ok(config) => what_if(&reader, range, &config.policy, args.format),
            Err(faults) => {
                report::faults(&faults);
                Ok(ExitCode::from(1))
            }
        },
    }
}

fn again(
    reader: &Reader,
    range: std::ops::Range<Timestamp>,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let of_looks = range.clone();
    let mut policies: BTreeMap<PolicyDigest, Policy> = BTreeMap::new();
    let (mut same, mut other_revision, mut different) = (0u64, 0u64, Vec::new());
    for cycle in reader.cycles(range) {
        let cycle = cycle?;
        if cycle.planner_revision != planner::memory::REVISION {
            other_revision += 1;
            continue;
        }
        let policy = match policies.entry(cycle.policy) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(reader.policy(cycle.policy)?.policy),
        };
        let (plan, memory) = planner::plan(policy, &cycle.snapshot, &cycle.memory_before);
        if plan == cycle.plan && memory == cycle.memory_after {
            same += 1;
        } else {
            different.push(difference(&cycle, &plan, &memory));
        }
    }
    let looks = crate::idle::again(reader, of_looks)?;
    different.extend(looks.different.iter().cloned());
    match format {
        Format::Json => println!(
            "{:#}",
            json!({
                "same": same,
                "different": different,
                "other_revision": other_revision,
                "idle_looks_same": looks.same,
                "idle_looks_not_compared": looks.not_compared,
            })
        ),
        Format::Human => {
            for text in different.iter().take(SHOWN) {
                println!("{text}");
            }
            if different.len() > SHOWN {
                println!("... and {} more", different.len() - SHOWN);
            }
            println!("{same} plans are the same, {} differ", different.len());
            if looks.same + looks.not_compared > 0 {
                println!(
                    "{} looks at idle resources are the same, {} were not compared",
                    looks.same, looks.not_compared
                );
            }
            if other_revision > 0 {
                println!(
                    "{other_revision} plans were made by another revision of the planner and not compared"
                );
            }
        }
    }
    Ok(ExitCode::from(u8::from(!different.is_empty())))
}

fn difference(cycle: &CycleRecord, plan: &Plan, memory: &Memory) -> String {
    let head = format!("{} (cycle {})", cycle.taken_at(), cycle.id);
    let changes = |plan: &Plan| -> Vec<String> {
        plan.actions.iter().map(|a| format!("{} {}", a.service, a.change)).collect()
    };
    let (recorded, now) = (changes(&cycle.plan), changes(plan));
    if recorded != now {
        return format!("{head}: recorded [{}], now [{}]", recorded.join(", "), now.join(", "));
    }
    if plan != &cycle.plan {
        return format!("{head}: the same actions for other reasons");
    }
    let services: Vec<&str> = memory
        .services
        .iter()
        .filter(|(name, kept)| cycle.memory_after.services.get(*name) != Some(kept))
        .map(|(name, _)| name.as_str())
        .collect();
    format!("{head}: the same plan, another memory of [{}]", services.join(", "))
}

/// A group as another policy would have sized it: boots take the lead time, removals are at once.
#[derive(Clone, Debug, Default)]
struct SimulatedGroup {
    desired: u32,
    min: u32,
    in_service: u32,
    booting: VecDeque<(Timestamp, u32)>,
    outcomes: Vec<OrderOutcome>,
}

/// What a policy cost and missed over the recorded time.
#[derive(Clone, Debug, Default, serde::Serialize)]
struct Account {
    unit_hours: f64,
    intervals: u64,
    violations: u64,
    changes: u64,
}

fn what_if(
    reader: &Reader,
    range: std::ops::Range<Timestamp>,
    policy: &Policy,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut memory = Memory::default();
    let mut groups: BTreeMap<ServiceName, SimulatedGroup> = BTreeMap::new();
    let mut accounts: BTreeMap<ServiceName, [Account; 2]> = BTreeMap::new();
    let mut last: Option<Timestamp> = None;
    for cycle in reader.cycles(range) {
        let cycle = cycle?;
        let at = cycle.taken_at();
        if last.is_none() {
            memory.clone_from(&cycle.memory_before);
        }
        let span = last.map_or(Seconds(0), |last| at.since(last));
        let mut snapshot = cycle.snapshot.clone();
        for (name, group) in &mut groups {
            group.boot(at);
            group.show(name, &mut snapshot);
        }
        for name in snapshot.services.keys() {
            let Some(capacity) = capacity(&memory, policy, name) else { continue };
            let mine = groups.get(name).map(|group| (group.desired, group.in_service));
            let account = accounts.entry(name.clone()).or_default();
            account[0].count(&cycle.snapshot, name, None, span, capacity);
            account[1].count(&snapshot, name, mine, span, capacity);
        }
        let (plan, after) = planner::plan(policy, &snapshot, &memory);
        memory = after;
        for action in &cycle.plan.actions {
            accounts.entry(action.service.clone()).or_default()[0].changes += 1;
        }
        for action in &plan.actions {
            let lead = lead_time(&memory, policy, &action.service);
            groups
                .entry(action.service.clone())
                .or_insert_with(|| SimulatedGroup::of(&snapshot, &action.service))
                .order(action.change, at, at + lead);
            accounts.entry(action.service.clone()).or_default()[1].changes += 1;
        }
        last = Some(at);
    }
    print_accounts(&accounts, format);
    Ok(ExitCode::SUCCESS)
}

/// Capacity of a unit in demand per second, as configured or learned.
pub(crate) fn capacity(memory: &Memory, policy: &Policy, name: &ServiceName) -> Option<f64> {
    use planner::policy::CapacityPerUnit;
    match policy.services.get(name)?.pool.capacity_per_unit {
        CapacityPerUnit::Given(capacity) => Some(capacity),
        CapacityPerUnit::Learn => {
            let estimates = &memory.services.get(name)?.capacity.estimates_milli;
            let mut sorted = estimates.clone();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map(|milli| *milli as f64 / 1000.0)
        }
    }
}

/// Ordered to in service, as configured or measured.
pub(super) fn lead_time(memory: &Memory, policy: &Policy, name: &ServiceName) -> Seconds {
    let start = policy.services.get(name).map_or(Seconds(0), |s| s.pool.lead_time);
    memory.services.get(name).map_or(start, |memory| memory.lead_time(start))
}

impl SimulatedGroup {
    fn of(snapshot: &Snapshot, name: &ServiceName) -> SimulatedGroup {
        let group = snapshot.services.get(name).and_then(|seen| seen.group.as_ref().ok());
        group.map_or_else(SimulatedGroup::default, |group| SimulatedGroup {
            desired: group.desired.0,
            min: group.min.0,
            in_service: group.in_service.0,
            ..SimulatedGroup::default()
        })
    }

    fn boot(&mut self, now: Timestamp) {
        while self.booting.front().is_some_and(|(ready, _)| *ready <= now) {
            self.in_service += self.booting.pop_front().map_or(0, |(_, units)| units);
        }
    }

    fn order(&mut self, change: Change, at: Timestamp, ready: Timestamp) {
        match change {
            Change::Minimum { to, .. } => {
                self.min = to.0;
                self.size(self.desired.max(to.0), ready);
            }
            Change::Desired { to, .. } => self.size(to.0, ready),
        }
        let decision = "replay".to_owned();
        self.outcomes.push(OrderOutcome { decision, at, change, result: OrderResult::Applied });
    }

    fn size(&mut self, to: u32, ready: Timestamp) {
        let mut gone = self.desired.saturating_sub(to);
        if to > self.desired {
            self.booting.push_back((ready, to - self.desired));
        }
        self.desired = to;
        while gone > 0 {
            match self.booting.back_mut() {
                Some((_, units)) if *units > gone => {
                    *units -= gone;
                    gone = 0;
                }
                Some((_, units)) => {
                    gone -= *units;
                    self.booting.pop_back();
                }
                None => {
                    self.in_service = self.in_service.saturating_sub(gone);
                    gone = 0;
                }
            }
        }
    }

    fn show(&mut self, name: &ServiceName, snapshot: &mut Snapshot) {
        let Some(seen) = snapshot.services.get_mut(name) else { return };
        seen.outcomes = std::mem::take(&mut self.outcomes);
        let Ok(group) = &mut seen.group else { return };
        group.desired = Units(self.desired);
        group.min = Units(self.min);
        group.in_service = Units(self.in_service);
        group.pending = Units(self.booting.iter().map(|(_, units)| units).sum());
        group.terminating = Units(0);
        group.newest_foreign_activity = None;
    }
}

impl Account {
    fn count(
        &mut self,
        snapshot: &Snapshot,
        name: &ServiceName,
        mine: Option<(u32, u32)>,
        span: Seconds,
        capacity: f64,
    ) {
        let Some(seen) = snapshot.services.get(name) else { return };
        let shown = seen.group.as_ref().ok().map(|g| (g.desired.0, g.in_service.0));
        let Some((desired, in_service)) = mine.or(shown) else { return };
        self.unit_hours += f64::from(desired) * span.0 as f64 / 3600.0;
        for point in &seen.demand.newly_settled {
            self.intervals += 1;
            self.violations += u64::from(point.value > f64::from(in_service) * capacity);
        }
    }

    fn violated_percent(&self) -> f64 {
        100.0 * self.violations as f64 / (self.intervals.max(1)) as f64
    }
}

fn print_accounts(accounts: &BTreeMap<ServiceName, [Account; 2]>, format: Format) {
    if format == Format::Json {
        let rows: Vec<_> = accounts
            .iter()
            .map(|(name, [was, would])| json!({ "service": name, "recorded": was, "with": would }))
            .collect();
        println!("{:#}", json!(rows));
        return;
    }
    println!(
        "{:<20} {:>11} {:>11} {:>8} {:>10} {:>10} {:>9} {:>9}",
        "service", "unit-hours", "with", "change", "violated", "with", "orders", "with"
    );
    for (name, [was, would]) in accounts {
        let change = if was.unit_hours > 0.0 {
            100.0 * (would.unit_hours / was.unit_hours - 1.0)
        } else {
            0.0
        };
        println!(
            "{name:<20} {:>11.1} {:>11.1} {change:>+7.1}% {:>9.2}% {:>9.2}% {:>9} {:>9}",
            was.unit_hours,
            would.unit_hours,
            was.violated_percent(),
            would.violated_percent(),
            was.changes,
            would.changes
        );
    }
}
