//! `neap simulate-idle`: what idle rules would have stopped over recorded metrics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use config::IdleConfig;
use fleet::resource::{Facts, Power, Resource, ResourceId, ResourceKind, Subject};
use fleet::usage::{Code, HOUR, Hours, Signal};
use fleet::{AccountId, ProviderName, Region, Seconds, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use planner::idle::evidence::{Evidence, Look, Verdict, judge};
use planner::idle::pattern::Offsets;
use planner::idle::rule::IdleRule;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::options::Format;
use crate::series_file;

/// The list of resources and their files, in the folder of metrics.
const MANIFEST: &str = "manifest.csv";

/// What idle rules would have stopped over recorded metrics, and whether that was missed.
///
/// DIR holds one CSV a resource and metric (`timestamp,value`) and `manifest.csv` with the header
/// `resource,name,kind,class,created_at,tags,signal,file`. Kinds are `instance` and `database`;
/// tags are `key=value` pairs with `;` between them; signals are `cpu`, `network_in`,
/// `network_out`, `disk_ops`, `memory`, `connections`, `gpu` and `credits_left`, in percent, bytes
/// and operations per second, and counts.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap simulate-idle metrics/ --config neap.toml
  neap simulate-idle metrics/ --config neap.toml --format json | jq '.resources[] | select(.missed_hours > 0)'

The rules look once a day, from the first day that covers their look-back. A stop comes after the
rule's grace. Hours of use after a stop count as hours in which the resource was missed.")]
pub struct SimulateIdleArgs {
    /// The folder with the manifest.
    dir: PathBuf,
    /// The configuration that has the rules.
    #[arg(long, value_name = "FILE", default_value = "/etc/neap/neap.toml")]
    config: PathBuf,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A row of the manifest.
#[derive(Debug, Deserialize)]
struct Entry {
    resource: String,
    name: String,
    kind: String,
    class: String,
    created_at: String,
    tags: String,
    signal: String,
    file: PathBuf,
}

/// A resource with its hours.
struct Recorded {
    resource: Resource,
    hours: BTreeMap<Signal, Hours>,
    from: Timestamp,
    until: Timestamp,
}

/// What a rule would have done with one resource.
#[derive(Debug, Serialize)]
struct SimulatedStops {
    resource: String,
    name: String,
    /// The rule that selects it; `None` where none does.
    rule: Option<String>,
    /// The verdict at the end.
    verdict: Option<String>,
    /// When it would have been stopped first.
    stopped_at: Option<Timestamp>,
    /// Hours from there to the end of its metrics.
    stopped_hours: u64,
    /// Hours of use among them.
    missed_hours: u64,
    /// The numbers at the end.
    evidence: Option<Evidence>,
}

/// Runs the rules.
///
/// # Errors
/// Where the manifest or a series cannot be read.
pub fn run(args: &SimulateIdleArgs) -> anyhow::Result<ExitCode> {
    let config = match crate::settings::load(&args.config) {
        Ok(config) => config.idle,
        Err(faults) => {
            crate::terminal::faults(&faults);
            return Ok(ExitCode::from(1));
        }
    };
    if config.policy.rules.is_empty() {
        bail!("`{}` has no `[[idle]]` rule to run", args.config.display());
    }
    let recorded = read(&args.dir)?;
    let bar = ProgressBar::new(recorded.len() as u64).with_style(
        ProgressStyle::with_template("{pos}/{len} resources {wide_bar}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let told: Vec<SimulatedStops> =
        bar.wrap_iter(recorded.iter()).map(|one| tell(&config, one)).collect();
    bar.finish_and_clear();
    match args.format {
        Format::Json => println!("{:#}", json!({ "resources": told })),
        Format::Human => human(&told),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(config: &IdleConfig, one: &Recorded) -> SimulatedStops {
    let rule = config.policy.rules.iter().find(|rule| selects(rule, &one.resource));
    let mut told = SimulatedStops {
        resource: one.resource.id.id.clone(),
        name: one.resource.name.clone(),
        rule: rule.map(|rule| rule.name.0.clone()),
        verdict: None,
        stopped_at: None,
        stopped_hours: 0,
        missed_hours: 0,
        evidence: None,
    };
    let Some(rule) = rule else { return told };
    let offsets = Offsets(config.offset_spans(&rule.name, one.from, one.until));
    let at = |now: Timestamp, hours: &BTreeMap<Signal, Hours>| {
        judge(&Look {
            rule,
            resource: &one.resource,
            hours,
            offsets: &offsets,
            seen_unused_since: None,
            now,
        })
    };
    let mut marked: Option<Timestamp> = None;
    let mut now = one.from + rule.look_back;
    while now <= one.until && told.stopped_at.is_none() {
        let evidence = at(now, &known_until(one, now));
        match evidence.verdict {
            Verdict::AlwaysIdle => {
                let since = *marked.get_or_insert(now);
                if now.since(since) >= rule.grace {
                    told.stopped_at = Some(now);
                }
            }
            Verdict::NotEnoughData(_) => {}
            Verdict::InUse { .. } | Verdict::IdleByTheClock(_) => marked = None,
        }
        now = now + Seconds::days(1);
    }
    let end = at(one.until, &one.hours);
    told.verdict = Some(end.verdict.to_string());
    told.evidence = Some(end);
    if let Some(stop) = told.stopped_at {
        told.stopped_hours = one.until.since(stop).0 / HOUR as u64;
        let hours = (0..told.stopped_hours).map(|hour| stop + Seconds(hour * HOUR as u64));
        told.missed_hours = hours.filter(|at| is_used(rule, one, *at)).count() as u64;
    }
    told
}

/// The hours that were known at a moment: none after it.
fn known_until(one: &Recorded, now: Timestamp) -> BTreeMap<Signal, Hours> {
    let mut known = one.hours.clone();
    for hours in known.values_mut() {
        let mut at = now;
        while at <= one.until {
            hours.set(at, Code::MISSING);
            at = at + Seconds(HOUR as u64);
        }
    }
    known
}

fn is_used(rule: &IdleRule, one: &Recorded, at: Timestamp) -> bool {
    rule.limits.0.iter().any(|(signal, limit_milli)| {
        let value = one.hours.get(signal).and_then(|hours| hours.get(at).value());
        value.is_some_and(|value| value * 1000.0 > *limit_milli as f64 * 1.02)
    })
}

/// Accounts, regions and providers are not recorded: everything else of a selection counts.
fn selects(rule: &IdleRule, resource: &Resource) -> bool {
    let mut select = rule.select.clone();
    select.provider = None;
    select.accounts.clear();
    select.regions.clear();
    select.selects(resource)
}

fn read(dir: &Path) -> anyhow::Result<Vec<Recorded>> {
    let path = dir.join(MANIFEST);
    let mut manifest = csv::Reader::from_path(&path)
        .with_context(|| format!("`{}` cannot be read", path.display()))?;
    let mut recorded: BTreeMap<String, Recorded> = BTreeMap::new();
    let mut faults = Vec::new();
    for (row, entry) in (2..).zip(manifest.deserialize::<Entry>()) {
        let read = entry.map_err(RowFault::from).and_then(|e| take(dir, &e, &mut recorded));
        if let Err(why) = read {
            faults.push(format!("{}:{row}: {why}", path.display()));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    if recorded.is_empty() {
        bail!("`{}` names no resource", path.display());
    }
    Ok(recorded.into_values().collect())
}

/// Why a row of the list cannot be used.
#[derive(Debug, thiserror::Error)]
enum RowFault {
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    File(#[from] series_file::FileFaults),
    #[error("`{name}` is `{found}`, expected {wanted}")]
    Field { name: &'static str, found: String, wanted: String },
    #[error("`{0}` is no name")]
    NoName(&'static str),
}

impl RowFault {
    fn field(name: &'static str, found: &str, wanted: impl Into<String>) -> RowFault {
        RowFault::Field { name, found: found.to_owned(), wanted: wanted.into() }
    }
}

fn take(
    dir: &Path,
    entry: &Entry,
    recorded: &mut BTreeMap<String, Recorded>,
) -> Result<(), RowFault> {
    let signal = Signal::of_word(&entry.signal).ok_or_else(|| {
        let words: Vec<&str> = Signal::ALL.iter().map(|signal| signal.word()).collect();
        RowFault::field("signal", &entry.signal, format!("one of {}", words.join(", ")))
    })?;
    let resource = resource(entry)?;
    let series = series_file::read(&dir.join(&entry.file))?.series;
    let one = recorded.entry(entry.resource.clone()).or_insert_with(|| Recorded {
        resource,
        hours: BTreeMap::new(),
        from: Timestamp(i64::MAX),
        until: Timestamp(i64::MIN),
    });
    one.resource.signals.insert(signal);
    let hours = one.hours.entry(signal).or_default();
    for index in 0..series.len() {
        if let Some(value) = series.get(index) {
            let at = series.start_of(index);
            hours.fold(signal, at, value);
            one.from = one.from.min(at);
            one.until = one.until.max(at);
        }
    }
    Ok(())
}

/// A machine of which nothing but its metrics speaks for or against a stop.
fn resource(entry: &Entry) -> Result<Resource, RowFault> {
    let kind = match entry.kind.as_str() {
        "instance" => ResourceKind::Instance,
        "database" => ResourceKind::Database,
        other => {
            return Err(RowFault::field("kind", other, "`instance` or `database`"));
        }
    };
    let created_at = Timestamp::parse(&entry.created_at).ok_or_else(|| {
        RowFault::field("created_at", &entry.created_at, "a moment such as `2026-03-02T07:00:00Z`")
    })?;
    let tag = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    let tags: Option<BTreeMap<String, String>> =
        entry.tags.split(';').filter(|pair| !pair.trim().is_empty()).map(tag).collect();
    let tags = tags.ok_or_else(|| RowFault::field("tags", &entry.tags, "`key=value;…`"))?;
    let word = |text: &'static str| RowFault::NoName(text);
    Ok(Resource {
        id: ResourceId {
            provider: ProviderName::new("recorded").ok_or_else(|| word("recorded"))?,
            account: AccountId::new("recorded").ok_or_else(|| word("recorded"))?,
            region: Region::new("recorded").ok_or_else(|| word("recorded"))?,
            kind,
            id: entry.resource.clone(),
        },
        name: entry.name.clone(),
        read_at: created_at,
        created_at: Some(created_at),
        started_at: Some(created_at),
        power: Power::Running,
        zone: None,
        class: (!entry.class.is_empty()).then(|| entry.class.clone()),
        platform: None,
        size_gib: None,
        tags,
        sampled_every: Seconds(300),
        signals: Default::default(),
        subject: Subject::Machine(Box::new(Facts::unhindered())),
    })
}

fn human(told: &[SimulatedStops]) {
    for one in told {
        let stop = match one.stopped_at {
            Some(at) => format!(
                "would have been stopped at {at}: {} hours down, {} of them in use",
                one.stopped_hours, one.missed_hours
            ),
            None => "would not have been stopped".to_owned(),
        };
        let verdict = one.verdict.as_deref().unwrap_or("no rule selects it");
        println!("{} ({}): {stop}; {verdict}", one.resource, one.name);
    }
    let stopped = told.iter().filter(|one| one.stopped_at.is_some()).count();
    let hours: u64 = told.iter().map(|one| one.stopped_hours).sum();
    let missed: u64 = told.iter().map(|one| one.missed_hours).sum();
    println!("{stopped} of {} stopped, {hours} hours down, {missed} hours missed", told.len());
}
