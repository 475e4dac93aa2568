//! `neap simulate`: what the real forecaster and planner would order over a recorded load.

mod forecasts;
mod play;
mod policy;
mod tally;
mod trace;
mod variant;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use fleet::Seconds;

pub use forecasts::{Decided, Forecasts};
pub use play::Bounds;
pub use policy::{PolicyFile, percent, promise};
pub use tally::Summary;
pub use trace::{Decision, Foresight, Part, Steps, Trace, UNIT, quantile, read_tasks, sorted};
pub use variant::{Variant, Variants};

use super::backtest::{in_order, progress_bar, share};
use super::removals;
use super::users::{Rhythm, Users};
use crate::series_file;

/// Decides over recorded loads what the daemon would have ordered, step by step.
///
/// A decision stamped T knows the samples stamped T - step or earlier. An instance ordered is in
/// service after the lead time. Units are taken away within the removal budgets of `neap run`, as if
/// the series were the account's and the fleet's only service. Writes a file `timestamp,desired` for
/// each series, and prints how often capacity was too small and how much was paid.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// Series files (`timestamp,value`), or folders of `.csv` files.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// A TOML file with keys of a service, all optional, such as `violation_budget = "0.5%"`, and
    /// `[budgets]` as in the configuration.
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// From an order to capacity in service.
    #[arg(long, default_value = "5m")]
    pub lead_time: Seconds,
    /// Share of each series that is history alone.
    #[arg(long, default_value = "0.6", value_parser = share, conflicts_with = "tasks")]
    pub warmup: f64,
    /// A table of series with the capacity of a unit and the stamps to decide at:
    /// `series,file,first_decision,scored_from,last_decision,step_s,capacity`.
    #[arg(long, value_name = "FILE")]
    pub tasks: Option<PathBuf>,
    /// What is decided on the same forecasts.
    #[command(flatten)]
    pub variants: Variants,
    /// The folder to write to; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = crate::options::Format::Human)]
    pub format: crate::options::Format,
    /// Whose load it is.
    #[command(flatten)]
    pub users: Users,
}

/// What one file came to.
enum Done {
    Decided(String, Vec<Decided>),
    /// The table of tasks does not name it.
    Skipped,
    Faulty(String),
}

/// Runs the command; exit code 1 if any file could not be used.
///
/// # Errors
/// A policy, a table or a folder that cannot be read, and an output that cannot be written.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let Some(rhythm) = args.users.rhythm() else { return Ok(ExitCode::from(1)) };
    let policy = PolicyFile::read(&args.policy)?;
    let files = series_file::expand(&args.paths)?;
    let tasks = args.tasks.as_deref().map(trace::read_tasks).transpose()?;
    let budgets = policy.budgets(rhythm.removal_budgets());
    let variants = args.variants.of(policy.service(args.lead_time).violation_budget, budgets);
    let folders: Vec<PathBuf> =
        variants.iter().map(|variant| args.variants.folder(variant, &args.output)).collect();
    for folder in &folders {
        fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    }
    let bar = progress_bar(files.len(), "series");
    let (mut lines, mut faulty) = (Vec::new(), 0);
    let mut consume = |done: Done| -> anyhow::Result<()> {
        match done {
            Done::Decided(name, decided) => {
                for ((decisions, _), folder) in decided.iter().zip(&folders) {
                    write_decisions(folder, &name, decisions)?;
                }
                lines.push((name, decided.into_iter().map(|(_, summary)| summary).collect()));
            }
            Done::Skipped => {}
            Done::Faulty(fault) => {
                faulty += 1;
                bar.suspend(|| eprintln!("{fault}"));
            }
        }
        Ok(())
    };
    let work = |path: &PathBuf| {
        let done = simulate(path, args, &policy, &variants, tasks.as_ref(), &rhythm);
        bar.inc(1);
        done
    };
    in_order(&files, work, &mut consume)?;
    bar.finish_and_clear();
    print_summary(&variants, &lines, args.format)?;
    Ok(if faulty > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn simulate(
    path: &Path,
    args: &SimulateArgs,
    policy: &PolicyFile,
    variants: &[Variant],
    tasks: Option<&std::collections::BTreeMap<String, Part>>,
    rhythm: &Rhythm,
) -> Done {
    let mut file = match series_file::read(path) {
        Ok(file) => file,
        Err(faults) => return Done::Faulty(faults.to_string()),
    };
    rhythm.lead(&mut file.series);
    let part = match tasks {
        Some(tasks) => match tasks.get(&file.name) {
            Some(part) => *part,
            None => return Done::Skipped,
        },
        None => match Part::after_warmup(&file.series, args.warmup, None) {
            Some(part) => part,
            None => {
                let path = path.display();
                return Done::Faulty(format!(
                    "{path}: has no load in its warm-up to size a unit by"
                ));
            }
        },
    };
    let service = policy.service(args.lead_time);
    match Variant::decide_all(variants, &file.series, part, &service) {
        Ok(decided) => Done::Decided(file.name, decided),
        Err(fault) => Done::Faulty(format!("{}: {fault}", path.display())),
    }
}

fn write_decisions(folder: &Path, name: &str, decisions: &[trace::Decision]) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.csv"));
    let write = || -> std::io::Result<()> {
        let mut output = BufWriter::new(File::create(&path)?);
        writeln!(output, "timestamp,desired")?;
        for decision in decisions {
            writeln!(output, "{},{}", decision.at, decision.desired.0)?;
        }
        output.flush()
    };
    write().with_context(|| format!("writing `{}`", path.display()))
}

/// Tables of the series, one for each variant.
fn print_summary(
    variants: &[Variant],
    lines: &[(String, Vec<Summary>)],
    format: crate::options::Format,
) -> anyhow::Result<()> {
    let mut out = crate::output::stdout();
    if format == crate::options::Format::Json {
        let of = |name: &String, variant: &Variant, summary: &Summary| {
            serde_json::json!({
                "series": name,
                "violation_budget": variant.promise.to_string(),
                "removal_budgets": removals::worded(&variant.budgets),
                "summary": summary,
            })
        };
        let series: Vec<_> = lines
            .iter()
            .flat_map(|(name, all)| variants.iter().zip(all).map(|(v, s)| of(name, v, s)))
            .collect();
        writeln!(out, "{:#}", serde_json::json!({ "series": series }))?;
        return Ok(());
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(6);
    for (at, variant) in variants.iter().enumerate() {
        let (promise, budgets) = (variant.promise, removals::worded(&variant.budgets));
        let gap = if at > 0 { "\n" } else { "" };
        writeln!(out, "{gap}violation budget {promise}, removal budgets: {budgets}")?;
        writeln!(out, "{:width$}  violations  mean units  needed  changes/day", "series")?;
        for (name, all) in lines {
            let Summary { violations, mean_units, mean_needed, changes_a_day, .. } = all[at];
            let violations = violations * 100.0;
            writeln!(
                out,
                "{name:width$}  {violations:9.2}%  {mean_units:10.1}  {mean_needed:6.1}  {changes_a_day:11.1}"
            )?;
        }
    }
    Ok(())
}
