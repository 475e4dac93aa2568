//! `neap replay`: recorded decisions computed again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::process::ExitCode;

use fleet::{ServiceName, Timestamp};
use journal::{CycleRecord, PolicyDigest, Reader};
use planner::Memory;
use planner::plan::Plan;
use planner::policy::Policy;
use serde_json::json;
use shadow::{self, Account};

use crate::options::Format;

/// Differences printed before the rest is only counted.
const SHOWN: usize = 20;

/// Computes recorded decisions again: the same code must come to the same plans.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap replay --state-dir neap-state
  neap replay --since 2026-03-02T00:00:00Z --with stricter.toml

Exits with 1 if a plan that this version of the planner made came out differently, or if the journal is
damaged.")]
pub struct ReplayArgs {
    /// From this time on.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = crate::options::moment)]
    since: Option<Timestamp>,
    /// Up to this time.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = crate::options::moment)]
    until: Option<Timestamp>,
    /// Show what this configuration would have done, on groups simulated from the lead times.
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
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let range = args.since.unwrap_or(Timestamp(0))..args.until.unwrap_or(Timestamp(i64::MAX / 2));
    if !super::is_sound(&reader, &state_dir, range.start)? {
        return Ok(ExitCode::from(1));
    }
    match &args.with {
        None => again(&reader, range, args.format),
        Some(path) => match crate::settings::load(path) {
            Ok(config) => {
                let told = shadow::what_if(&reader, range, &config.policy, &|| false)?;
                print_accounts(&told.accounts, args.format);
                Ok(ExitCode::SUCCESS)
            }
            Err(faults) => {
                crate::terminal::faults(&faults);
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
