//! `neap digest`: what was done in a day or a week, as channels are told it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::PoisonError;

use anyhow::Context;
use config::{Period, Span};
use fleet::Timestamp;
use journal::Reader;
use report::digest::{Facts, Standing, chart, words};
use serde_json::json;
use shadow::{Scores, Watch};

use crate::options::Expected;
use crate::options::Format;

/// What was done in a day or a week, and what waits for somebody.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap digest                               the last UTC day that is over
  neap digest --week --chart week.png
  neap digest --format json | jq .facts.orders

Set `digest` in an `[[alert]]` of the configuration to send it every day or week.")]
pub struct DigestArgs {
    /// Summarise seven days instead of one.
    #[arg(long)]
    week: bool,
    /// Draw the last two weeks, or four with `--week`, into this file.
    #[arg(long, value_name = "FILE.png", value_parser = png)]
    chart: Option<PathBuf>,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn png(text: &str) -> Result<PathBuf, Expected> {
    match Path::new(text).extension().and_then(|extension| extension.to_str()) {
        Some("png") => Ok(text.into()),
        _ => Err(Expected::Only("a name that ends in `.png`")),
    }
}

/// Prints the digest.
///
/// # Errors
/// Where the journal cannot be read, or the chart not be written.
pub fn run(args: &DigestArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let end = reader.end()?.unwrap_or(Timestamp(0));
    let (standing, scores) = known(&reader, end)?;
    let period = if args.week { Period::Weekly } else { Period::Daily };
    let over = Span::before(period, end);
    // Of a journal of less than a day, the day that goes on.
    let going_on = Span { last: end.utc_day(), ..over };
    let mut told = None;
    for span in [over, going_on] {
        let facts = Facts::scored(span, standing.clone(), &scores).read(span, &reader)?;
        if let Some(facts) = facts {
            told = Some((span, facts));
            break;
        }
    }
    let Some((span, facts)) = told else {
        eprintln!("error: nothing was recorded yet");
        return Ok(ExitCode::from(1));
    };
    if span == going_on {
        eprintln!("note: {span} is not over yet");
    }
    if let Some(path) = &args.chart {
        let bytes = chart::png(&facts.chart)?;
        std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))?;
    }
    let words = words(span, &facts);
    match args.format {
        Format::Json => println!(
            "{:#}",
            json!({
                "from": span.from().to_string(),
                "until": span.until().to_string(),
                "title": words.title,
                "lines": words.lines,
                "facts": facts,
            })
        ),
        Format::Human => {
            println!("{}", words.title);
            words.lines.iter().for_each(|line| println!("  {line}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the daemon knows, from its journal.
fn known(reader: &Reader, end: Timestamp) -> anyhow::Result<(Standing, Scores)> {
    let Some(cycle) = reader.cycle_at(end)? else {
        return Ok((Standing::default(), Scores::default()));
    };
    let stored = reader.policy(cycle.policy)?;
    let policy = stored.policy;
    let mut watch = Watch::new(&policy, &cycle.memory_after);
    watch.restore(reader, end)?;
    // As the daemon reckons, where its file can still be read; every figure names its baseline.
    if let Ok(config) = crate::settings::parse("neap.toml", &stored.source) {
        watch.reckon(config.money.baseline, config.money.commitments);
    }
    let scores = watch.scores();
    let scores = scores.read().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((Standing::of(&policy, &cycle.memory_after, &scores, end), scores))
}
