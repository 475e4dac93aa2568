//! `neap explain`: why a service has the size it has.

use std::process::ExitCode;

use anyhow::bail;
use fleet::rent::UnitPrice;
use fleet::{ServiceName, Timestamp};
use journal::Reader;
use report::explanation::{self, explained};

use crate::options::Format;

/// Why a service has the size it has, or what became of a resource, now or at a time.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap explain checkout
  neap explain i-0123456789abcdef0
  neap explain checkout --at 2026-03-02T09:05:00Z --state-dir neap-state")]
pub struct ExplainArgs {
    /// The service; or a resource, by its id or name.
    #[arg(value_name = "SUBJECT")]
    subject: String,
    /// Show the last cycle at or before this time [default: the newest].
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", value_parser = crate::options::moment)]
    at: Option<Timestamp>,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the explanation.
///
/// # Errors
/// Where the journal cannot be read, or knows no such service.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let at = args.at.unwrap_or(Timestamp(i64::MAX / 2));
    let reader = Reader::open(&state_dir)?;
    let Some(service) = ServiceName::new(args.subject.clone()) else {
        bail!("`{}` is no service's name", args.subject)
    };
    let Some(cycle) = reader.latest_for(&service, at)? else {
        if let Some(story) = report::idle::story::of(&reader, &args.subject, at)? {
            match args.format {
                Format::Human => println!("{}", story.text()),
                Format::Json => println!("{:#}", story.json()),
            }
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("error: the journal knows no service `{service}`{}", known(&reader, at)?);
        return Ok(ExitCode::from(1));
    };
    let told = explained(&reader, &cycle, &service, true)?;
    let price = unit_price(&reader, cycle.policy, &service)?;
    match args.format {
        Format::Human => {
            println!("{}", explanation::text(&told, cycle.id));
            if let Some(price) = price {
                println!("a unit costs {price}");
            }
        }
        Format::Json => {
            let mut json = explanation::json(&told, Some(cycle.id));
            if let Some(price) = price {
                json["unit_price"] = serde_json::json!(price);
            }
            println!("{json:#}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a unit costs, by the policy of that time or as it was last read.
fn unit_price(
    reader: &Reader,
    policy: journal::PolicyDigest,
    service: &ServiceName,
) -> anyhow::Result<Option<UnitPrice>> {
    let policy = reader.policy(policy)?.policy;
    let pool = policy.services.get(service).map(|of| &of.pool);
    let usd = pool.and_then(|pool| pool.price_usd_hourly);
    if let Some(usd) = usd {
        return Ok(Some(UnitPrice::configured(usd)));
    }
    Ok(shadow::kept_prices(reader)?.remove(service))
}

/// A hint at the services that the journal knows.
pub(super) fn known(reader: &Reader, at: Timestamp) -> anyhow::Result<String> {
    let Some(cycle) = reader.cycle_at(at)? else { return Ok(String::new()) };
    let names: Vec<String> =
        cycle.snapshot.services.keys().map(|name| format!("`{name}`")).collect();
    Ok(format!("\n  hint: it knows {}", names.join(", ")))
}
