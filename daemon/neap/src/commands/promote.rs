//! `neap promote` and `neap demote`: who acts, and who is taken back. `neap acknowledge`: whose demand
//! is what its metrics say.

use std::collections::BTreeMap;
use std::process::ExitCode;

use journal::Reader;
use planner::policy::Share;
use report::{Answer, StageWish};
use serde_json::{Value, json};
use shadow::{Offer, RuleOffer};

use crate::control;
use crate::options::Expected;
use crate::options::Format;
use crate::options::WrongUsage;

/// Lets a service or idle rule act that was in shadow; without a name, lists how far each is.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap promote                            how far each is, and the offers
  neap promote checkout                   refused until the gate is met
  neap promote checkout --offer 3f2a9c01b7de
  neap promote checkout --share 25%       a canary: a quarter of its removal budget

An offer is valid for one configuration, one stage and one day's scorecard. If one of them changes,
it is void. Only members of the group that `approvers` names may promote.")]
pub struct PromoteArgs {
    /// Services, idle rules or schedules.
    names: Vec<String>,
    /// Accept this offer.
    #[arg(long, value_name = "ID", requires = "names")]
    offer: Option<String>,
    /// Promote as a canary, with this share of the removal budget.
    #[arg(long, value_name = "SHARE", requires = "names", value_parser = share)]
    share: Option<Share>,
    /// Promote even if the gate is not met; the journal records it.
    #[arg(long, requires = "names")]
    anyway: bool,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Takes services or rules back to `observe`, at once.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap demote checkout
  neap demote --all               takes effect before the next call is sent

`neap promote NAME` lets it act again. Only members of the group that `approvers` names may demote.")]
pub struct DemoteArgs {
    /// Services, idle rules or schedules.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// Everything: services, idle rules and schedules.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Says that demand of services is what their metrics say: a fall that looked like an outage is real.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap acknowledge checkout       its traffic did move elsewhere: scale-in may go on
  neap acknowledge --all          after a planned move of everything

Acknowledge a service that is held as `outage-shape`, `fell-alone` or `disagree`, once you know that its
demand is true. A later fall is doubted again. The journal records who acknowledged. Only members of
the group that `approvers` names may acknowledge.")]
pub struct AcknowledgeArgs {
    /// Services.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// Every service.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: super::Place,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn share(text: &str) -> Result<Share, Expected> {
    config::share(text).ok_or(Expected::Only("a share such as `25%`"))
}

/// Promotes, or lists.
///
/// # Errors
/// Where no daemon can be asked.
pub fn promote(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    if args.names.is_empty() {
        return list(&state_dir, args.format);
    }
    if args.offer.is_some() && args.names.len() > 1 {
        return Err(WrongUsage("an offer is of one service, expected one name".to_owned()).into());
    }
    let wish = |name: &String| StageWish::Promote {
        name: name.clone(),
        share: args.share,
        offer: args.offer.clone(),
        anyway: args.anyway,
    };
    tell(&state_dir, args.names.iter().map(wish), "promoted", args.format)
}

/// Takes back.
///
/// # Errors
/// Where no daemon can be asked.
pub fn demote(args: &DemoteArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let wishes: Vec<StageWish> = match args.all {
        true => vec![StageWish::DemoteAll],
        false => args.names.iter().map(|name| StageWish::Demote { name: name.clone() }).collect(),
    };
    tell(&state_dir, wishes.into_iter(), "back in observe", args.format)
}

/// Acknowledges demand.
///
/// # Errors
/// Where no daemon can be asked.
pub fn acknowledge(args: &AcknowledgeArgs) -> anyhow::Result<ExitCode> {
    let Some(state_dir) = args.place.state_dir() else { return Ok(ExitCode::from(1)) };
    let wish = |name: &String| StageWish::Acknowledge { name: name.clone() };
    let wishes: Vec<StageWish> = match args.all {
        true => vec![StageWish::AcknowledgeAll],
        false => args.names.iter().map(wish).collect(),
    };
    tell(&state_dir, wishes.into_iter(), "demand acknowledged", args.format)
}

fn tell(
    state_dir: &std::path::Path,
    wishes: impl Iterator<Item = StageWish>,
    done: &str,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut refused = false;
    for wish in wishes {
        let answer = control::ask(state_dir, &wish)?;
        match (&answer, format) {
            (answer, Format::Json) => println!("{}", json!(answer)),
            (Answer::Taken { about, by }, Format::Human) => {
                println!("{about}: {done} from the next cycle on, by {by}");
            }
            (Answer::Refused { why }, Format::Human) => eprintln!("error: not taken: {why}"),
        }
        refused |= matches!(answer, Answer::Refused { .. });
    }
    Ok(ExitCode::from(u8::from(refused)))
}

fn list(state_dir: &std::path::Path, format: Format) -> anyhow::Result<ExitCode> {
    let Some(status) = Reader::open(state_dir)?.status()? else {
        eprintln!("error: no daemon runs on `{}`", state_dir.display());
        return Ok(ExitCode::from(1));
    };
    let of = |key: &str| status[key].as_object().cloned().unwrap_or_default();
    let (services, rules) = (of("promotion"), of("rule_promotion"));
    if format == Format::Json {
        // Where a rule and a service share a name, it means the service.
        let all: serde_json::Map<String, Value> = rules.into_iter().chain(services).collect();
        println!("{:#}", Value::Object(all));
        return Ok(ExitCode::SUCCESS);
    }
    let services: BTreeMap<String, Offer> = serde_json::from_value(services.into())?;
    let rules: BTreeMap<String, RuleOffer> = serde_json::from_value(rules.into())?;
    if services.is_empty() && rules.is_empty() {
        println!("no service or rule has `promotion = \"gated\"`, and nothing was taken back");
        return Ok(ExitCode::SUCCESS);
    }
    if !services.is_empty() {
        println!(
            "{:<20} {:<16} {:>4} {:>13} {:>15} {:>19} {:>9}  offer",
            "service", "stage", "days", "orders", "violated", "cost", "differs"
        );
        for (name, offer) in &services {
            println!("{}", row(name, offer));
        }
        println!("Each pair is what happened, and what would have happened if neap had acted.");
    }
    if !rules.is_empty() {
        println!(
            "{:<20} {:<16} {:>4} {:>6} {:>6} {:>11} {:>15} {:>10} {:>7}  offer",
            "rule", "stage", "days", "stops", "wrong", "hours down", "saved", "by others", "ran on"
        );
        for (name, offer) in &rules {
            println!("{}", rule_row(name, offer));
        }
        println!(
            "Stops that a rule in shadow would have ordered; wrong: used again within a week."
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn rule_row(name: &str, offer: &RuleOffer) -> String {
    let card = &offer.scorecard;
    format!(
        "{name:<20} {:<16} {:>4} {:>6} {:>6} {:>11.1} {:>15} {:>10} {:>7}  {}",
        offer.stage.to_string(),
        offer.days,
        card.stops,
        card.wrong,
        card.down_hours(),
        card.saved(),
        card.stopped_by_others,
        card.kept_running,
        next(offer),
    )
}

/// The offer, or what it waits for.
fn next<Card>(offer: &Offer<Card>) -> String {
    match (&offer.missing[..], offer.stage) {
        (_, planner::stage::Stage::Promoted) => offer.why.to_string(),
        ([], _) => format!("{} ({})", offer.id, offer.why),
        (missing, _) => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            format!("not yet: {}", missing.join("; "))
        }
    }
}

fn row(name: &str, offer: &Offer) -> String {
    let card = &offer.scorecard;
    let (actual, would) = (&card.actual, &card.would);
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    let cost = match card.priced {
        true => format!("{:.2} {:.2} USD", actual.usd(), would.usd()),
        false => format!("{:.1} {:.1} h", actual.unit_hours(), would.unit_hours()),
    };
    format!(
        "{name:<20} {:<16} {:>4} {:>13} {:>15} {cost:>19} {:>9}  {}",
        offer.stage.to_string(),
        offer.days,
        format!("{} {}", actual.orders, would.orders),
        format!("{} {}", percent(actual.violated_share()), percent(would.violated_share())),
        percent(f64::from(card.disagreements) / f64::from(card.cycles.max(1))),
        next(offer),
    )
}
