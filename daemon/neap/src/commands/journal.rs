//! `neap journal`: list, show, verify, export and compact the journal.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use fleet::{Now, Retention, Seconds, ServiceName, Timestamp};
use journal::{
    self, CycleRecord, DecisionId, Entry, EntryKind, Journal, JournalFault, NotAnId, Options,
    Outcome, Reader, RecordId, Report, World,
};
use report::records::{brief, brief_json, full_json};
use report::{ending, reason};
use serde_json::json;

use super::Place;
use crate::clock::System;
use crate::options::Format;
use crate::options::moment;

const EXAMPLES: &str = "\
Examples:
  neap journal ls --state-dir neap-state
  neap journal ls --since 2026-03-02T07:00:00Z --all
  neap journal show 69a534c5-5f3e9a10-1a2b
  neap journal verify
  neap journal export --format jsonl > journal.jsonl

While a daemon runs, its socket in the state directory answers. Else the store is opened.
Exits with 1 if the journal is damaged or does not have the record.";

/// Work with the journal.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct JournalArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List cycles, or all records, of the last hour or of a range.
    Ls(LsArgs),
    /// Show the record with this id: a cycle, an order or anything else.
    Show(ShowArgs),
    /// Read everything, and report every damaged or missing record.
    Verify(VerifyArgs),
    /// Print every record, one JSON object per line.
    Export(ExportArgs),
    /// Remove the oldest whole days beyond the limits of age and size; the daemon does so once a day.
    Compact(CompactArgs),
}

#[derive(clap::Args, Debug)]
struct RangeOption {
    /// Records written at or after this moment.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = moment)]
    since: Option<Timestamp>,
    /// Records written before this moment.
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = moment)]
    until: Option<Timestamp>,
}

impl RangeOption {
    fn or_all(&self) -> std::ops::Range<Timestamp> {
        self.since.unwrap_or(Timestamp(0))..self.until.unwrap_or(Timestamp(i64::MAX))
    }
}

#[derive(clap::Args, Debug)]
struct LsArgs {
    #[command(flatten)]
    range: RangeOption,
    /// All records, not cycles alone.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    /// The id, as `ls` or `explain` print it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    place: Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(clap::Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
}

#[derive(clap::Args, Debug)]
struct ExportArgs {
    #[command(flatten)]
    range: RangeOption,
    #[command(flatten)]
    place: Place,
    /// How it is printed.
    #[arg(long, value_enum)]
    format: ExportFormat,
}

#[derive(clap::Args, Debug)]
struct CompactArgs {
    #[command(flatten)]
    place: Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// Where the journal cannot be read or written.
pub fn run(args: &JournalArgs) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(crate::output::stdout());
    let code = match &args.action {
        Action::Ls(args) => ls(args, &mut out),
        Action::Show(args) => show(args, &mut out),
        Action::Verify(args) => verify(args, &mut out),
        Action::Export(args) => export(args, &mut out),
        Action::Compact(args) => compact(args, &mut out),
    }?;
    out.flush()?;
    Ok(code)
}

fn ls(args: &LsArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let mut range = args.range.or_all();
    if args.range.since.is_none()
        && let Some(last) = reader.end()?
    {
        let end = args.range.until.unwrap_or(last).min(last);
        range.start = end - Seconds::hours(1);
    }
    if args.format == Format::Human {
        writeln!(out, "{:<28}  {:<20}  what", "id", "at")?;
    }
    if args.all {
        for entry in reader.entries(range) {
            let entry = entry?;
            match args.format {
                Format::Json => writeln!(out, "{}", brief_json(&entry))?,
                Format::Human => line(out, entry.id, entry.id.at(), &brief(&entry.kind))?,
            }
        }
    } else {
        for cycle in reader.cycles(range) {
            let cycle = cycle?;
            let entry = Entry { id: cycle.id.0, kind: EntryKind::Cycle(Box::new(cycle)) };
            match args.format {
                Format::Json => writeln!(out, "{}", brief_json(&entry))?,
                Format::Human => line(out, entry.id, entry.id.at(), &brief(&entry.kind))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut impl Write, id: RecordId, at: Timestamp, what: &str) -> std::io::Result<()> {
    writeln!(out, "{:<28}  {at}  {what}", id.to_string())
}

fn show(args: &ShowArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let (id, decision) = parse_id(&args.id)?;
    let reader = Reader::open(&state_dir)?;
    let Some(entry) = reader.entry(id)? else {
        let (what, id) = ("record".to_owned(), args.id.clone());
        return Err(JournalFault::NoSuch { what, id }.into());
    };
    let outcomes = match &entry.kind {
        EntryKind::Cycle(cycle) => reader.outcomes(cycle.id)?,
        _ => Vec::new(),
    };
    match args.format {
        Format::Json => {
            let mut value = full_json(&entry);
            if let EntryKind::Cycle(cycle) = &entry.kind {
                value["intents"] = json!(reader.intents(cycle.id)?);
                value["outcomes"] = json!(outcomes);
            }
            writeln!(out, "{value:#}")?;
        }
        Format::Human => match &entry.kind {
            EntryKind::Cycle(cycle) => show_cycle(out, cycle, &outcomes, decision)?,
            EntryKind::Policy(_, policy) => write!(out, "{}", policy.source)?,
            _ => writeln!(out, "{:#}", full_json(&entry))?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// A record's id, or a decision's: then the action to show.
fn parse_id(text: &str) -> Result<(RecordId, Option<DecisionId>), crate::options::WrongUsage> {
    let wrong = |error: NotAnId| crate::options::WrongUsage(error.to_string());
    if text.contains('.') {
        let id: DecisionId = text.parse().map_err(wrong)?;
        return Ok((id.cycle.0, Some(id)));
    }
    Ok((text.parse().map_err(wrong)?, None))
}

fn show_cycle(
    out: &mut impl Write,
    cycle: &CycleRecord,
    outcomes: &[Outcome],
    only: Option<DecisionId>,
) -> std::io::Result<()> {
    writeln!(out, "cycle {} at {}", cycle.id, cycle.taken_at())?;
    writeln!(out, "  policy {}, planner revision {}", cycle.policy, cycle.planner_revision)?;
    writeln!(out, "  {} services seen", cycle.snapshot.services.len())?;
    for (index, action) in cycle.plan.actions.iter().enumerate() {
        let id = cycle.id.decision(index);
        if only.is_some_and(|only| only != id) {
            continue;
        }
        let ended = outcomes.iter().rfind(|outcome| outcome.id == id);
        let end = match ended {
            Some(outcome) => ending(&outcome.result),
            None if action.dry_run => "dry run".to_owned(),
            None => "no result known".to_owned(),
        };
        writeln!(out, "  action {id}")?;
        writeln!(out, "    {}: {}, {end}", action.service, action.change)?;
        writeln!(out, "    {}", reason(&action.sizing))?;
    }
    for finding in cycle.plan.findings.iter().filter(|_| only.is_none()) {
        let subject = finding.service.as_ref().map_or("fleet", ServiceName::as_str);
        writeln!(out, "  {subject}: {}", finding.hold)?;
    }
    Ok(())
}

fn verify(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let report = journal::verify(&state_dir)?;
    match args.format {
        Format::Json => writeln!(out, "{:#}", json!(report))?,
        Format::Human => show_report(out, &state_dir, &report)?,
    }
    Ok(ExitCode::from(u8::from(!report.damage.is_empty())))
}

fn show_report(out: &mut impl Write, state_dir: &Path, report: &Report) -> std::io::Result<()> {
    for damage in &report.damage {
        writeln!(out, "damaged: {damage}")?;
    }
    let span = report.span.map_or_else(String::new, |(from, to)| format!(", {from} to {to}"));
    writeln!(
        out,
        "{} records, {} cycles, {} bytes{span}",
        report.records, report.cycles, report.bytes
    )?;
    if report.damage.is_empty() {
        writeln!(out, "the journal in `{}` is sound", state_dir.display())
    } else {
        writeln!(out, "the journal in `{}` is damaged", state_dir.display())
    }
}

fn export(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let ExportFormat::Jsonl = args.format;
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let range = args.range.or_all();
    let since = range.start;
    for entry in reader.entries(range) {
        writeln!(out, "{}", full_json(&entry?))?;
    }
    // What is printed may be kept in the journal's place, so it must be all of it.
    Ok(ExitCode::from(u8::from(!super::is_sound(&reader, &state_dir, since)?)))
}

fn compact(args: &CompactArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let (world, end) = (reader.world()?, reader.end()?);
    let Some(end) = end else {
        writeln!(out, "the journal in `{}` is empty", state_dir.display())?;
        return Ok(ExitCode::SUCCESS);
    };
    drop(reader);
    let options = Options { retention: retention(&args.place), ..Options::default() };
    let (journal, _) = Journal::open(&state_dir, world.clone(), options)?;
    // The journal's own end is now: a simulation's time is not the system's. Of the real clouds no
    // record is of a time that is still to come, but by a clock that was ahead.
    let now = if world == World::Real { end.min(System.now()) } else { end };
    let done = journal.compact(now)?;
    match args.format {
        Format::Json => writeln!(out, "{:#}", json!(done))?,
        Format::Human => writeln!(
            out,
            "removed {} days, {} records: {} bytes before, {} after",
            done.days, done.records, done.bytes_before, done.bytes_after
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the configuration keeps, where it can be read; else the defaults.
fn retention(place: &Place) -> Retention {
    if place.state_dir.is_some() {
        return Retention::default();
    }
    crate::settings::load(&place.config)
        .map_or_else(|_| Retention::default(), |config| config.journal)
}
