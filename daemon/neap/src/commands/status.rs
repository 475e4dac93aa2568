//! `neap status`: what the running daemon sees.

use std::process::ExitCode;

use serde_json::Value;

use journal::Reader;

use crate::options::Format;

/// What the running daemon sees.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap status --state-dir neap-state
  neap status --config /etc/neap/neap.toml --format json")]
pub struct StatusArgs {
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Asks the daemon over its socket.
///
/// # Errors
/// Where the journal or the socket cannot be read.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let Some(status) = Reader::open(&state_dir)?.status()? else {
        eprintln!("error: no daemon runs on `{}`", state_dir.display());
        eprintln!("  hint: `neap explain SERVICE` reads the journal of one that has ended");
        return Ok(ExitCode::from(1));
    };
    if args.format == Format::Json {
        println!("{status:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for line in status["money"]["lines"].as_array().into_iter().flatten() {
        println!("{}", text(line));
    }
    println!(
        "looked at {}, next look {}, mode {}",
        text(&status["taken_at"]),
        text(&status["next_look"]),
        text(&status["mode"])
    );
    if let Some(fault) = status["page"]["closed_by"].as_str() {
        println!("the page is not open, and is tried again: {fault}");
    }
    for (place, missing) in status["groups_not_looked_for"].as_object().into_iter().flatten() {
        let (since, why) = (text(&missing["since"]), text(&missing["why"]));
        println!("groups cannot be looked for in {place} since {since}: {why}");
    }
    for (group, why) in status["groups_without_service"].as_object().into_iter().flatten() {
        println!("no service was made of group {group}: {}", text(why));
    }
    for (name, last) in status["services_away_since"].as_object().into_iter().flatten() {
        println!("service {name} is away, last known at {}; what it taught is kept", text(last));
    }
    println!("{:<20} {:>7} {:>10} {:>12}  verdict", "service", "desired", "in service", "demand/s");
    for (name, service) in status["services"].as_object().into_iter().flatten() {
        let number = |key: &str| match &service[key] {
            Value::Null => "-".to_owned(),
            value => value.as_f64().map_or_else(|| text(value), shown),
        };
        println!(
            "{name:<20} {:>7} {:>10} {:>12}  {}",
            number("desired"),
            number("in_service"),
            number("demand"),
            text(&service["verdict"])
        );
        if let Some(waits_for) = service["waits_for"].as_str() {
            println!("{:<20} waiting for {waits_for}", "");
        }
        if let Some(stage) = service["stage"].as_str() {
            println!("{:<20} {stage}", "");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whole; a small load with the digits that tell it from none.
fn shown(number: f64) -> String {
    if number < 1.0 { planner::significant(number, 2) } else { format!("{number:.0}") }
}
