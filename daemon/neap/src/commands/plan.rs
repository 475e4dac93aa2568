//! `neap plan`: one cycle in dry run, and why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use config::Config;
use fleet::{ServiceName, Timestamp};
use journal::records::Load;
use journal::{JournalFault, PolicyDigest, Reader};
use planner::policy::{Actuate, Mode};
use planner::snapshot::Disk;
use planner::{Memory, WrittenBecause};
use providers::Provider;
use report::Reason;
use serde_json::json;

use crate::assemble;
use crate::cycle::minimums::Minimums;
use crate::cycle::{Decided, Engine};
use crate::discovery::{self, Made, Named};
use crate::options::Format;

/// One cycle in dry run against the real clouds, and why. Writes nothing, anywhere.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap plan --config /etc/neap/neap.toml
  neap plan --config neap.toml --format json | jq '.actions[].summary'
  neap init --region eu-west-1 | neap plan --config -

Exits with 3 if a group could not be read. Everything else is still printed.")]
pub struct PlanArgs {
    /// The configuration; `-` is standard input.
    #[arg(long, value_name = "FILE", default_value = "/etc/neap/neap.toml")]
    config: PathBuf,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Looks, decides and prints.
///
/// # Errors
/// Where a journal is there and cannot be read.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let config = match crate::settings::load(&args.config) {
        Ok(config) => config,
        Err(faults) => {
            crate::terminal::faults(&faults);
            return Ok(ExitCode::from(1));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (engine, decided) = runtime.block_on(look(&config))?;
    match args.format {
        Format::Json => {
            let mut plan = report::plan_json(&decided.plan);
            plan["writes"] = written(&decided, &engine)
                .map(|(name, number, why)| {
                    let told = json!({ "number": number, "because": why, "text": why.to_string() });
                    (name.to_string(), told)
                })
                .collect();
            println!("{plan:#}");
        }
        Format::Human => human(&decided, &engine),
    }
    let unread = decided.snapshot.services.values().any(|seen| seen.group.is_err());
    Ok(ExitCode::from(if unread { 3 } else { 0 }))
}

/// What the journal knows helps, and is not needed.
fn journal(config: &Config) -> anyhow::Result<Option<Reader>> {
    match Reader::open(&config.state_dir) {
        Ok(reader) => Ok(Some(reader)),
        Err(JournalFault::Absent { .. }) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

async fn look(config: &Config) -> anyhow::Result<(Engine, Decided)> {
    let reader = journal(config)?;
    let last = match &reader {
        Some(reader) => reader.cycle_at(Timestamp(i64::MAX / 2))?,
        None => None,
    };
    let last_at = last.as_ref().map(journal::CycleRecord::taken_at);
    let clouds = assemble::clouds(config, last_at, None)?;
    let now = clouds.clock.now();
    // Services go by the names that the daemon knows them by.
    let before = match (&reader, &last) {
        (Some(reader), Some(last)) if !config.templates.is_empty() => {
            reader.policy(last.policy).ok()
        }
        _ => None,
    };
    let before = before.zip(last.as_ref());
    let before = before
        .map(|(known, last)| Named::of(&known.policy, &last.memory_after))
        .unwrap_or_default();
    let made = discovery::once(config, &clouds.providers, &before).await;
    let Made { mut policy, models, calendars, .. } = made;
    policy.mode = Mode::Observe;
    let standing = assemble::standing(config, policy, models, calendars, PolicyDigest([0; 16]));
    let looked = last.as_ref().map(|cycle| cycle.snapshot.clone());
    let memory = last.map_or_else(Memory::default, |cycle| cycle.memory_after);
    let mut engine = assemble::engine(standing, &clouds.providers, memory);
    if let Some(looked) = &looked {
        engine.remember_policies(looked);
    }
    engine.last_taken_at = last_at;
    if let Some(reader) = &reader {
        assemble::restore_samples(&mut engine, reader, now)?;
        engine.minimums = Minimums::of(shadow::kept_minimums(reader)?);
    }
    let decided = engine.decide(now, Disk::Ample).await;
    Ok((engine, decided))
}

/// Which number of each group is written, and why.
fn written<'a>(
    decided: &'a Decided,
    engine: &'a Engine,
) -> impl Iterator<Item = (&'a ServiceName, Actuate, WrittenBecause)> {
    engine.standing.policy.services.iter().filter_map(|(name, service)| {
        let view = decided.snapshot.services.get(name)?.group.as_ref().ok()?;
        let (number, why) = planner::written_because(service, view);
        Some((name, number, why))
    })
}

fn human(decided: &Decided, engine: &Engine) {
    let services = &engine.standing.policy.services;
    println!("plan at {}, dry run: nothing is changed", decided.snapshot.taken_at);
    if let Some(found) = engine.observer.history(&engine.standing.policy) {
        println!("{found}");
    }
    let width = services.keys().map(|name| name.as_str().len()).max().unwrap_or(0);
    let writes: BTreeMap<&ServiceName, _> =
        written(decided, engine).map(|(name, number, why)| (name, (number, why))).collect();
    for name in services.keys() {
        let action = decided.plan.actions.iter().find(|action| &action.service == name);
        if let Some(action) = action {
            let load = services.get(name).map(Load::of).unwrap_or_default();
            let reason = Reason::of(&action.sizing).counted(load);
            println!("{name:width$}  {}  {reason}", action.change);
        }
        if let Some((number, why)) = writes.get(name) {
            let number = match number {
                Actuate::Desired => "the desired capacity",
                Actuate::Floor => "the minimum",
            };
            println!("{name:width$}  writes {number}: {why}");
        }
        for finding in decided.plan.findings.iter().filter(|f| f.service.as_ref() == Some(name)) {
            let verb = finding.what.verb();
            if action.is_none() || !finding.hold.is_dry_run() {
                println!("{name:width$}  {verb}: {}", finding.hold);
            }
        }
    }
    for finding in decided.plan.findings.iter().filter(|f| f.service.is_none()) {
        println!("{:width$}  {}", "fleet", finding.hold);
    }
    cost(decided, engine);
}

/// What the plan changes in money, and what looking costs.
fn cost(decided: &Decided, engine: &Engine) {
    let price = |service: &ServiceName| {
        engine.standing.policy.services.get(service).and_then(|s| s.pool.price_usd_hourly)
    };
    let (mut delta, mut priced) = (0.0, false);
    for action in &decided.plan.actions {
        if let Some(price) = price(&action.service) {
            let (from, to) = (f64::from(action.change.from().0), f64::from(action.change.to().0));
            delta += (to - from) * price;
            priced = true;
        }
    }
    let count = decided.plan.actions.len();
    if priced {
        println!("{count} actions, {delta:+.2} USD an hour at the prices configured");
    } else {
        println!("{count} actions; no prices are configured (`price_usd_hourly`)");
    }
    let metrics: u64 =
        engine.providers.values().map(|provider| provider.metrics().metrics_read()).sum();
    println!("{metrics} metrics read; `neap check` expects calls and USD a month");
}
