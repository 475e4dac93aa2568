//! What people and machines are shown of a cycle: one truth, worded once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;

use config::ConfigFault;
use planner::plan::{Action, DecidedBy, Finding, Hold, Plan, Sizing};
use planner::policy::{Mode, Policy};
use planner::snapshot::{Observation, OrderResult};
use planner::stage::StageMemory;
use planner::{Fault, Level, Seconds, ServiceName, Timestamp, Units};
use providers::Provider;
use providers::traced::{Calls, Traced};
use serde_json::{Value, json};

use crate::assemble::Clouds;
use crate::cycle::{Engine, Turn};
use crate::gather::Providers;

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For machines: one JSON value, or one per line.
    Json,
}

/// Prints every fault of a configuration to stderr.
pub fn faults(faults: &[ConfigFault]) {
    for fault in faults {
        eprintln!("{fault}");
    }
    let count = faults.len();
    let noun = if count == 1 { "fault" } else { "faults" };
    eprintln!("error: {count} {noun} in the configuration, nothing was started");
}

/// Why a size is wanted, with the numbers that are told in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What decided.
    pub decided_by: DecidedBy,
    /// Units that demand now and its fastest recent rise ask for.
    pub needed_reactive: Option<Units>,
    /// The demand it was sized for, in thousandths per second.
    pub sized_for_milli: Option<u64>,
    /// At which quantile level.
    pub level: Option<Level>,
    /// What a unit carries, in thousandths per second.
    pub capacity_milli: Option<u64>,
    /// The lead window.
    pub lead: Seconds,
    /// Demand now, in thousandths per second.
    pub demand_milli: Option<u64>,
}

impl Reason {
    /// What of a sizing is told.
    pub fn of(sizing: &Sizing) -> Reason {
        Reason {
            decided_by: sizing.decided_by.clone(),
            needed_reactive: sizing.needed_reactive,
            sized_for_milli: sizing.sized_for_milli,
            level: sizing.level,
            capacity_milli: sizing.capacity_milli,
            lead: sizing.window.lead(),
            demand_milli: sizing.demand_milli,
        }
    }

    fn forecast(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("forecast ")?;
        if let Some(demand) = self.sized_for_milli {
            write!(f, "{}/s", rate(demand))?;
        }
        if let Some(level) = self.level {
            write!(f, " at q{level}")?;
        }
        write!(f, " within {}", self.lead)?;
        match self.capacity_milli {
            Some(capacity) => write!(f, ", {}/s a unit", rate(capacity)),
            None => Ok(()),
        }
    }
}

/// In one line.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decided_by {
            DecidedBy::Forecast => self.forecast(f)?,
            DecidedBy::ReactiveFloor => {
                f.write_str("demand now and its fastest recent rise need")?;
                if let Some(units) = self.needed_reactive {
                    write!(f, " {units}")?;
                }
            }
            DecidedBy::Minimum => f.write_str("the lower bound")?,
            DecidedBy::Maximum => f.write_str("the upper bound")?,
            DecidedBy::LastTrusted => {
                f.write_str("the last trusted value, as too little is known")?;
            }
            DecidedBy::Event { name, until } => write!(f, "event `{name}` until {until}")?,
        }
        match self.demand_milli {
            Some(demand) => write!(f, "; now {}/s", rate(demand)),
            None => Ok(()),
        }
    }
}

/// The reason of an action, in one line.
pub fn reason(sizing: &Sizing) -> String {
    Reason::of(sizing).to_string()
}

/// Thousandths as a number with at most one decimal.
pub fn rate(milli: u64) -> String {
    let value = milli as f64 / 1000.0;
    if value >= 100.0 || milli.is_multiple_of(1000) {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// How an order ended, in a few words.
pub fn ending(result: &OrderResult) -> String {
    match result {
        OrderResult::Applied => "done".to_owned(),
        OrderResult::Contested { found, restored: true } => {
            format!("done, after another writer had set {}", found.0)
        }
        OrderResult::Contested { found, restored: false } => {
            format!("another writer set {} meanwhile, left to it", found.0)
        }
        OrderResult::Moved { found } => format!("not sent: the group is at {} by now", found.0),
        OrderResult::Stopped => "not sent: stopped by kill switch or mode".to_owned(),
        OrderResult::Failed { fault } => format!("failed: {fault}"),
        OrderResult::Unconfirmed { effect_seen: Some(true) } => {
            "sent, the answer was lost, the effect is there".to_owned()
        }
        OrderResult::Unconfirmed { effect_seen: Some(false) } => {
            "sent, the answer was lost, no effect was seen".to_owned()
        }
        OrderResult::Unconfirmed { effect_seen: None } => {
            "sent, no answer; the next cycle looks before it acts".to_owned()
        }
    }
}

/// Holds that come and go all day long: told by `explain`, not by `run`.
pub fn is_routine(hold: &Hold) -> bool {
    matches!(
        hold,
        Hold::RightSize
            | Hold::CoolingDown { .. }
            | Hold::HoldWindow { .. }
            | Hold::Dwelling { .. }
            | Hold::GroupIsChanging { .. }
            | Hold::WarmingUp { .. }
            | Hold::OverBudget { .. }
            | Hold::BillingMinimum { .. }
            | Hold::Provisional
            | Hold::ObserveOnly
            | Hold::Shadow { .. }
    )
}

/// Why a part of a service's demand could not be read, where older samples are still good enough: a
/// hold says so only once they are too old.
fn unread(turn: &Turn) -> impl Iterator<Item = (&ServiceName, &Fault)> {
    turn.snapshot.services.iter().filter_map(|(name, seen)| Some((name, unread_of(seen)?)))
}

fn unread_of(seen: &Observation) -> Option<&Fault> {
    let known = seen.demand.settled.is_some() || !seen.demand.provisional.is_empty();
    seen.demand.fault.as_ref().filter(|_| known)
}

/// Prints decisions as they are made: every action, and every hold that is new and not
/// routine.
pub struct Reporter {
    format: Format,
    colour: bool,
    shown: BTreeSet<(Option<ServiceName>, &'static str)>,
    actions: u64,
    cycles: u64,
}

impl Reporter {
    /// Prints to stdout.
    pub fn new(format: Format) -> Reporter {
        let colour = crate::cli::colored(&std::io::stdout());
        Reporter { format, colour, shown: BTreeSet::new(), actions: 0, cycles: 0 }
    }

    /// Prints what is new in a turn.
    pub fn turn(&mut self, turn: &Turn, policy: &Policy) {
        self.cycles += 1;
        self.actions += turn.results.len() as u64;
        let lines: Vec<String> = match self.format {
            Format::Json => vec![turn_json(turn).to_string()],
            Format::Human => self.human(turn, policy),
        };
        let mut out = std::io::stdout().lock();
        for line in lines {
            // A reader that went away is no reason to stop sizing groups.
            let _gone = writeln!(out, "{line}");
        }
    }

    fn human(&mut self, turn: &Turn, policy: &Policy) -> Vec<String> {
        let at = turn.snapshot.taken_at;
        let width = policy.services.keys().map(|name| name.as_str().len()).max().unwrap_or(0);
        let line = |name: &str, text: String| format!("{at}  {name:width$}  {text}");
        let mut lines = Vec::new();
        for action in &turn.plan.actions {
            let ended = turn.results.iter().find(|(done, _)| done.service == action.service);
            let ending = match ended {
                Some((_, OrderResult::Applied)) => String::new(),
                Some((_, result)) => format!(" ({})", ending(result)),
                None => " (dry run)".to_owned(),
            };
            let change = self.paint(action);
            let why = reason(&action.sizing);
            lines.push(line(action.service.as_str(), format!("{change}  {why}{ending}")));
        }
        let before = std::mem::take(&mut self.shown);
        for finding in &turn.plan.findings {
            let subject = finding.service.as_ref().map_or("fleet", ServiceName::as_str);
            let told = (finding.service.clone(), finding.hold.word());
            let known = before.contains(&told);
            self.shown.insert(told);
            if is_routine(&finding.hold) || known {
                continue;
            }
            let verb = finding.what.verb();
            lines.push(line(subject, format!("{verb}: {}", finding.hold)));
        }
        for (service, fault) in unread(turn) {
            let told = (Some(service.clone()), fault.kind.word());
            if !before.contains(&told) {
                lines.push(line(service.as_str(), format!("nothing newer of its demand: {fault}")));
            }
            self.shown.insert(told);
        }
        lines
    }

    fn paint(&self, action: &Action) -> String {
        let text = action.change.to_string();
        match (self.colour, action.change.is_increase()) {
            (false, _) => text,
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[36m{text}\x1b[0m"),
        }
    }

    /// After a simulation: what it cost and what it missed.
    pub fn summary(&self, clouds: &Clouds) {
        if clouds.worlds.is_empty() || self.format == Format::Json {
            return;
        }
        println!();
        println!("{} cycles, {} orders. What really happened:", self.cycles, self.actions);
        println!(
            "{:<16} {:>10} {:>12} {:>10} {:>10} {:>9}",
            "group", "peak units", "unit-hours", "at peak", "saved", "violated"
        );
        for world in clouds.worlds.values() {
            for (name, truth) in world.ledger() {
                let always = f64::from(truth.peak_units) * truth.minutes as f64 / 60.0;
                let saved =
                    if always > 0.0 { 100.0 * (1.0 - truth.unit_hours() / always) } else { 0.0 };
                println!(
                    "{name:<16} {:>10} {:>12.1} {always:>10.1} {saved:>9.0}% {:>8.2}%",
                    truth.peak_units,
                    truth.unit_hours(),
                    100.0 * truth.violated_share()
                );
            }
        }
        println!(
            "`at peak`: unit-hours had the group stood at its peak all day; `violated`: minutes whose"
        );
        println!("load was above what the units in service could carry.");
    }
}

/// A plan for machines.
pub fn plan_json(plan: &Plan) -> Value {
    let actions: Vec<Value> = plan
        .actions
        .iter()
        .map(|action| {
            json!({
                "service": action.service,
                "group": action.group.to_string(),
                "change": action.change,
                "summary": format!("{}: {}", action.change, reason(&action.sizing)),
                "sizing": action.sizing,
                "dry_run": action.dry_run,
            })
        })
        .collect();
    let findings: Vec<Value> = plan.findings.iter().map(finding_json).collect();
    json!({ "actions": actions, "findings": findings })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "service": finding.service,
        "what": finding.what,
        "hold": finding.hold.word(),
        "text": finding.hold.to_string(),
        "detail": finding.hold,
        "sizing": finding.sizing,
    })
}

/// A turn for machines.
pub fn turn_json(turn: &Turn) -> Value {
    let results: Vec<Value> = turn
        .results
        .iter()
        .map(|(action, result)| {
            json!({ "service": action.service, "change": action.change, "result": result })
        })
        .collect();
    let mut value = plan_json(&turn.plan);
    value["cycle"] = json!(turn.id.to_string());
    value["taken_at"] = json!(turn.snapshot.taken_at.to_string());
    value["results"] = json!(results);
    let unread: BTreeMap<&str, String> =
        unread(turn).map(|(name, fault)| (name.as_str(), fault.to_string())).collect();
    if !unread.is_empty() {
        value["unread"] = json!(unread);
    }
    value
}

/// What `neap status` shows.
pub fn status(turn: &Turn, engine: &Engine, providers: &Providers, next: Timestamp) -> Value {
    let policy = &engine.standing.policy;
    let services: BTreeMap<&str, Value> = policy
        .services
        .iter()
        .map(|(name, service)| {
            let stages = &engine.memory.stages;
            let act = stages.mode(policy, name, service) == Mode::Act;
            let mut value = service_status(turn, name, act);
            if let Some(stage) = stages.service(name) {
                value["stage"] = json!(stage_line(stage));
            }
            (name.as_str(), value)
        })
        .collect();
    let read: BTreeMap<&str, u64> = providers
        .iter()
        .map(|(name, provider)| (name.as_str(), provider.metrics().metrics_read()))
        .collect();
    let calls: BTreeMap<&str, Value> =
        providers.iter().map(|(name, provider)| (name.as_str(), calls_json(provider))).collect();
    json!({
        "taken_at": turn.snapshot.taken_at.to_string(),
        "next_look": next.to_string(),
        "cycle": turn.id.to_string(),
        "mode": policy.mode,
        "kill_switch": turn.snapshot.kill_switch,
        "unresolved_orders": engine.unresolved.len(),
        "metrics_read": read,
        "calls": calls,
        "services": services,
    })
}

/// A stage in a line: `shadow since 2026-03-02T00:00:00Z: not promoted yet`.
pub fn stage_line(memory: &StageMemory) -> String {
    format!("{} since {}: {}", memory.stage, memory.since, memory.why)
}

/// What became of a provider's calls since the daemon's start, by operation.
fn calls_json(provider: &Traced) -> Value {
    let all = provider.calls();
    let of = |calls: &Calls| {
        let mean_ms = calls.latency_sum_ms / calls.count.max(1);
        json!({
            "count": calls.count,
            "faults": calls.faults,
            "cut_off": calls.cut_off,
            "mean_ms": mean_ms,
        })
    };
    all.iter().map(|(operation, calls)| (operation.word(), of(calls))).collect()
}

fn service_status(turn: &Turn, name: &ServiceName, act: bool) -> Value {
    let action = turn.plan.actions.iter().find(|action| &action.service == name);
    let finding = turn.plan.findings.iter().find(|f| f.service.as_ref() == Some(name));
    let verdict = match (action, finding) {
        (Some(action), _) => format!("{}: {}", action.change, reason(&action.sizing)),
        (None, Some(finding)) => finding.hold.to_string(),
        (None, None) => "not looked at".to_owned(),
    };
    let seen = turn.snapshot.services.get(name);
    let group = seen.and_then(|seen| seen.group.as_ref().ok());
    json!({
        "mode": if act { Mode::Act } else { Mode::Observe },
        "desired": group.map(|group| group.desired),
        "in_service": group.map(|group| group.in_service),
        "demand": seen.and_then(|s| s.demand.settled).map(|point| point.value),
        "unread": seen.and_then(unread_of).map(ToString::to_string),
        "model": seen.and_then(|s| s.forecast.as_ref().ok()).map(|f| f.model.clone()),
        "verdict": verdict,
    })
}
