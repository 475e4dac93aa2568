//! `neap approve`, `reject`, `wake`, `exempt`, `release`: what people tell a running daemon.

use std::process::ExitCode;

use config::Zone;
use fleet::{RuleName, Seconds, Timestamp};
use jiff::civil::Time;
use planner::idle::snapshot::Ask;
use providers::Now;
use report::Answer;
use serde_json::json;

use crate::clock::System;
use crate::control;
use crate::options::Expected;
use crate::options::Format;
use crate::options::WrongUsage;

/// Agrees to a stop that waits for somebody.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap idle                       lists what waits, with its ID
  neap approve 3f2a9c01b7de

The ID is valid for this resource, this rule and this mark. If one of them changes, it is void.
Only members of the group that `approvers` names may approve.")]
pub struct ApproveArgs {
    /// The approval, as `neap idle` names it.
    id: String,
    #[command(flatten)]
    common: Common,
}

/// Refuses a stop that waits for somebody; the resource is left alone for a while.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap reject 3f2a9c01b7de")]
pub struct RejectArgs {
    /// The approval, as `neap idle` names it.
    id: String,
    #[command(flatten)]
    common: Common,
}

/// Has a machine up until a time, whatever its rules and schedules say.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap wake i-0123456789abcdef0 --until 20:00
  neap wake build-box --until 20:00 --timezone Asia/Shanghai
  neap wake i-0123456789abcdef0 --until 2026-03-02T12:00:00Z")]
pub struct WakeArgs {
    /// The machine: its id, or its name if it is unique.
    resource: String,
    /// A time of day (today, or tomorrow if it has passed) or a moment.
    #[arg(long, value_name = "TIME")]
    until: String,
    /// The time zone of a time of day [default: that of this machine].
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Leaves a resource alone for a while: no rule or schedule stops it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap exempt i-0123456789abcdef0 --for 30d
  neap exempt build-box --until 2026-06-01T00:00:00Z")]
pub struct ExemptArgs {
    /// The resource: its id, or its name if it is unique.
    resource: String,
    /// For how long.
    #[arg(long = "for", value_name = "SPAN", conflicts_with = "until", value_parser = span)]
    span: Option<Seconds>,
    /// Until when.
    #[arg(
        long,
        value_name = "YYYY-MM-DDTHH:MM:SSZ",
        required_unless_present = "span",
        value_parser = crate::options::moment
    )]
    until: Option<Timestamp>,
    #[command(flatten)]
    common: Common,
}

/// Lets a rule go on that is held for finding too much, or for stops that were taken back.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap release dev-boxes          for a day, after a look at `neap idle --rule dev-boxes`")]
pub struct ReleaseArgs {
    /// The rule or schedule.
    rule: String,
    #[command(flatten)]
    common: Common,
}

/// Which daemon is asked, and how the answer looks.
#[derive(clap::Args, Debug)]
struct Common {
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn span(text: &str) -> Result<Seconds, Expected> {
    config::duration(text).ok_or(Expected::Only("a span such as `12h` or `30d`"))
}

/// Approves.
///
/// # Errors
/// Where no daemon can be asked.
pub fn approve(args: &ApproveArgs) -> anyhow::Result<ExitCode> {
    tell(&Ask::Approve { id: args.id.clone() }, "approved", &args.common)
}

/// Rejects.
///
/// # Errors
/// Where no daemon can be asked.
pub fn reject(args: &RejectArgs) -> anyhow::Result<ExitCode> {
    tell(&Ask::Reject { id: args.id.clone() }, "rejected", &args.common)
}

/// Wakes.
///
/// # Errors
/// Where the time makes no sense, or no daemon can be asked.
pub fn wake(args: &WakeArgs) -> anyhow::Result<ExitCode> {
    let zone = zone(args.timezone.as_deref()).map_err(|told| WrongUsage(told.to_string()))?;
    let until =
        until(&args.until, &zone, System.now()).map_err(|told| WrongUsage(told.to_string()))?;
    let ask = Ask::Wake { resource: args.resource.clone(), until };
    tell(&ask, &format!("up until {until}"), &args.common)
}

/// Exempts.
///
/// # Errors
/// Where no daemon can be asked.
pub fn exempt(args: &ExemptArgs) -> anyhow::Result<ExitCode> {
    let now = System.now();
    let until = args.until.or(args.span.map(|span| now + span)).unwrap_or(now);
    let ask = Ask::Exempt { resource: args.resource.clone(), until };
    tell(&ask, &format!("left alone until {until}"), &args.common)
}

/// Releases.
///
/// # Errors
/// Where no daemon can be asked.
pub fn release(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    tell(&Ask::Release { rule: RuleName(args.rule.clone()) }, "released for a day", &args.common)
}

fn tell(ask: &Ask, done: &str, common: &Common) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = common.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let answer = control::ask(&state_dir, ask)?;
    match (&answer, common.format) {
        (answer, Format::Json) => println!("{:#}", json!(answer)),
        (Answer::Taken { about, by }, Format::Human) => {
            println!("{about}: {done}, by {by}; it is carried out at the next look");
        }
        (Answer::Refused { why }, Format::Human) => eprintln!("error: not taken: {why}"),
    }
    Ok(ExitCode::from(u8::from(matches!(answer, Answer::Refused { .. }))))
}

/// The moment that a text means: an RFC 3339 moment, or the next time that clocks show it.
fn until(text: &str, zone: &Zone, now: Timestamp) -> Result<Timestamp, Expected> {
    if let Some(moment) = Timestamp::parse(text) {
        return Ok(moment);
    }
    let expected = || Expected::of(text, "time", "one such as `20:00` or `2026-03-02T12:00:00Z`");
    let time: Time = text.parse().map_err(|_| expected())?;
    let today = zone.date(now).ok_or_else(expected)?;
    let tomorrow = today.tomorrow().map_err(|_| expected())?;
    let coming =
        [today, tomorrow].into_iter().filter_map(|date| zone.begins(date.to_datetime(time)));
    coming.into_iter().find(|at| *at > now).ok_or_else(expected)
}

/// The zone of a time of day.
fn zone(name: Option<&str>) -> Result<Zone, Expected> {
    let local = jiff::tz::TimeZone::system();
    let name = name.or(local.iana_name()).unwrap_or("UTC");
    Zone::new(name)
        .map_err(|_| Expected::of(name, "time zone", "an IANA name such as `Asia/Shanghai`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_on_that_zones_clocks() {
        let now = Timestamp::parse("2026-03-02T10:00:00Z").unwrap();
        let at =
            |text: &str, name| until(text, &zone(Some(name)).unwrap(), now).unwrap().to_string();
        assert_eq!(at("20:00", "UTC"), "2026-03-02T20:00:00Z");
        assert_eq!(at("09:30", "UTC"), "2026-03-03T09:30:00Z");
        // It is 18:00 in Shanghai.
        assert_eq!(at("20:00", "Asia/Shanghai"), "2026-03-02T12:00:00Z");
        assert_eq!(at("17:00", "Asia/Shanghai"), "2026-03-03T09:00:00Z");
        assert_eq!(at("2026-04-01T00:00:00Z", "UTC"), "2026-04-01T00:00:00Z");
        assert!(
            until("soon", &zone(Some("UTC")).unwrap(), now)
                .unwrap_err()
                .to_string()
                .contains("20:00")
        );
        assert!(zone(Some("CST")).unwrap_err().to_string().contains("IANA"));
    }
}
