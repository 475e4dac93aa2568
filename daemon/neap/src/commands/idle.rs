//! `neap idle`: what is idle, with the evidence, and what becomes of it.

use std::process::ExitCode;

use fleet::Timestamp;
use fleet::money::Savings;
use planner::idle::evidence::VerdictKind;
use serde_json::json;

use journal::Reader;
use journal::ledger;
use report::idle::rows::{Row, rows, savings};
use report::idle::sum;

/// How the listing looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For machines: one JSON object.
    Json,
    /// For spreadsheets.
    Csv,
}

/// What is idle, with the evidence, what is done about it, and what it saves.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap idle                                   what is idle, marked, stopped or waits for somebody
  neap idle --all --rule dev-boxes            everything a rule looks at, with the reason
  neap idle --format csv > idle.csv
  neap idle --format json | jq '.resources[] | select(.approval)'

`neap explain ID` tells the story of one resource.")]
pub struct IdleArgs {
    /// Include resources in use, and those with too little data.
    #[arg(long)]
    all: bool,
    /// Only resources of this rule or schedule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the listing.
///
/// # Errors
/// Where the journal cannot be read.
pub fn run(args: &IdleArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let reader = Reader::open(&state_dir)?;
    let now = reader.end()?.unwrap_or(Timestamp(0));
    let recalled = ledger::recall(&reader, now)?;
    let Some(looked_at) = recalled.looked_at else {
        eprintln!("error: nothing was looked at yet");
        eprintln!("  hint: `[[idle]]` and `[[schedule]]` in the configuration say what to look at");
        return Ok(ExitCode::from(1));
    };
    let verdicts = ledger::verdicts(&reader, now)?;
    let all = rows(&recalled.folded, &verdicts);
    let savings = savings(&all, now);
    let of_rule = |row: &&Row| args.rule.as_ref().is_none_or(|rule| row.rule.name() == rule);
    let asked: Vec<&Row> = all.iter().filter(of_rule).collect();
    let shown: Vec<&Row> = asked.iter().copied().filter(|r| args.all || r.is_telling()).collect();
    match args.format {
        Format::Human => human(&shown, asked.len(), &savings, looked_at),
        Format::Json => println!(
            "{:#}",
            json!({
                "looked_at": looked_at.to_string(),
                "resources": shown,
                "savings": savings,
            })
        ),
        Format::Csv => csv(&shown)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn human(shown: &[&Row], of: usize, savings: &Savings, looked_at: Timestamp) {
    println!("looked at {looked_at}");
    let width = |of: &dyn Fn(&Row) -> usize, least: usize| {
        shown.iter().map(|row| of(row)).max().unwrap_or(0).clamp(least, 36)
    };
    let id = width(&|row| row.resource.id.chars().count(), 8);
    let name = width(&|row| row.name.chars().count(), 4);
    let rule = width(&|row| row.rule.name().chars().count(), 4);
    if !shown.is_empty() {
        println!(
            "{:id$}  {:name$}  {:rule$}  {:24}  {:>14}  evidence and holds",
            "resource", "name", "rule", "stage", "monthly saving"
        );
    }
    for row in shown {
        println!(
            "{:id$}  {:name$}  {:rule$}  {:24}  {:>14}  {}",
            cut(&row.resource.id, id),
            cut(&row.name, name),
            cut(row.rule.name(), rule),
            cut(&row.stage.to_string(), 24),
            row.monthly().unwrap_or_else(|| "unknown".to_owned()),
            row.evidence()
        );
        let indent = id + name + rule + 24 + 14 + 10;
        for hold in row.holds.iter().take(2) {
            println!("{:indent$}{hold}", "");
        }
        if row.holds.len() > 2 {
            println!("{:indent$}and {} more reasons: `neap explain`", "", row.holds.len() - 2);
        }
    }
    let rest = of - shown.len();
    if rest > 0 {
        println!("{rest} more are in use, on schedule, or have too little data: `neap idle --all`");
    }
    println!(
        "per month: found {}, marked {}, saved so far {}",
        sum(&savings.found),
        sum(&savings.marked),
        sum(&savings.realised)
    );
    if !savings.since_stopped_micro.is_empty() {
        let saved = savings.since_stopped_micro.iter();
        let saved: Vec<String> = saved
            .map(|(currency, micro)| format!("{:.2} {currency}", *micro as f64 / 1e6))
            .collect();
        println!("saved since what is down was stopped: {}", saved.join(" + "));
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn csv(shown: &[&Row]) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_writer(crate::output::stdout());
    out.write_record([
        "provider",
        "account",
        "region",
        "kind",
        "resource",
        "name",
        "class",
        "rule",
        "verdict",
        "stage",
        "holds",
        "evidence",
        "saving_hourly",
        "currency",
        "price_source",
        "price_as_of",
    ])?;
    for row in shown {
        let id = &row.resource;
        let price = row.saving.as_ref().and_then(|saving| saving.price.as_ref());
        let hourly = row.saving.as_ref().and_then(|saving| saving.hourly_micro);
        out.write_record([
            id.provider.as_str(),
            id.account.as_str(),
            id.region.as_str(),
            id.kind.word(),
            &id.id,
            &row.name,
            row.class.as_deref().unwrap_or_default(),
            row.rule.name(),
            row.verdict.map_or("", VerdictKind::word),
            &row.stage.to_string(),
            &row.holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            &row.evidence(),
            &hourly.map_or_else(String::new, |micro| format!("{:.6}", micro as f64 / 1e6)),
            &price.map_or_else(String::new, |price| price.currency.to_string()),
            &price.map_or_else(String::new, |price| price.source.to_string()),
            &price.map_or_else(String::new, |price| price.as_of.to_string()),
        ])?;
    }
    out.flush()?;
    Ok(())
}
