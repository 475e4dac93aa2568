//! What the terminal is shown while the daemon runs, and what `neap status` answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anstyle::{AnsiColor, Style};
use config::ConfigFault;
use fleet::{ServiceName, Timestamp};
use journal::records::Load;
use planner::plan::Action;
use planner::policy::{Mode, Policy};
use planner::snapshot::OrderResult;
use providers::Provider;
use providers::traced::{Calls, Traced};
use report::{
    Reason, Turn, Waiting, ending, is_routine, reason, stage_line, turn_json, unread, unread_of,
};
use serde_json::{Value, json};

use crate::assemble::Clouds;
use crate::cycle::Engine;
use crate::gather::Providers;
use crate::options::Format;
use crate::output::shown;

/// Prints every fault of a configuration to stderr.
pub fn faults(faults: &[ConfigFault]) {
    for fault in faults {
        eprintln!("{fault}");
    }
    let count = faults.len();
    let noun = if count == 1 { "fault" } else { "faults" };
    eprintln!("error: {count} {noun} in the configuration, nothing was started");
}

/// So many services that wait for the same are named; of more their number is told.
const NAMED_MAX: usize = 5;

/// Prints decisions as they are made: every action, and every hold that is new and not
/// routine.
pub struct Reporter {
    format: Format,
    colour: bool,
    shown: BTreeSet<(Option<ServiceName>, &'static str)>,
    /// Services of which it was said what they wait for, if for anything.
    waited: BTreeSet<ServiceName>,
    actions: u64,
    cycles: u64,
}

impl Reporter {
    /// Prints to stdout.
    pub fn new(format: Format) -> Reporter {
        let colour = crate::options::colored(&std::io::stdout());
        let (shown, waited) = (BTreeSet::new(), BTreeSet::new());
        Reporter { format, colour, shown, waited, actions: 0, cycles: 0 }
    }

    /// What services wait for, each once: a daemon that has just begun looks like one that does nothing.
    fn waiting(&mut self, turn: &Turn) -> Vec<(String, String)> {
        let mut told: BTreeMap<String, Vec<&ServiceName>> = BTreeMap::new();
        for name in turn.snapshot.services.keys().filter(|name| !self.waited.contains(*name)) {
            if let Some(waiting) = waiting(turn, name) {
                told.entry(format!("waiting for {waiting}")).or_default().push(name);
            }
        }
        self.waited.extend(turn.snapshot.services.keys().cloned());
        let lines = told.into_iter().flat_map(|(what, names)| match names.len() {
            0..=NAMED_MAX => names.iter().map(|name| (name.to_string(), what.clone())).collect(),
            many => vec![("fleet".to_owned(), format!("{many} services: {what}"))],
        });
        lines.collect()
    }

    /// Prints what is new in a turn.
    pub fn turn(&mut self, turn: &Turn, policy: &Policy) {
        self.cycles += 1;
        self.actions += turn.results.len() as u64;
        let lines: Vec<String> = match self.format {
            Format::Json => vec![turn_json(turn).to_string()],
            Format::Human => self.human(turn, policy),
        };
        let mut out = crate::output::painted_stdout();
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
            let load = policy.services.get(&action.service).map(Load::of).unwrap_or_default();
            let why = Reason::of(&action.sizing).counted(load);
            let told = shown(&format!("{why}{ending}"));
            lines.push(line(action.service.as_str(), format!("{change}  {told}")));
        }
        for (subject, what) in self.waiting(turn) {
            lines.push(line(&subject, shown(&what)));
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
            lines.push(line(subject, shown(&format!("{verb}: {}", finding.hold))));
        }
        for (service, fault) in unread(turn) {
            let told = (Some(service.clone()), fault.kind.word());
            if !before.contains(&told) {
                let told = shown(&format!("nothing newer of its demand: {fault}"));
                lines.push(line(service.as_str(), told));
            }
            self.shown.insert(told);
        }
        lines
    }

    fn paint(&self, action: &Action) -> String {
        let style = match (self.colour, action.change.is_increase()) {
            (false, _) => Style::new(),
            (true, true) => AnsiColor::Green.on_default(),
            (true, false) => AnsiColor::Cyan.on_default(),
        };
        format!("{style}{}{style:#}", action.change)
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

/// What a service waits for, where time alone brings it.
fn waiting(turn: &Turn, name: &ServiceName) -> Option<Waiting> {
    let seen = turn.snapshot.services.get(name)?;
    // By service name.
    let findings = &turn.plan.findings;
    let first = findings.partition_point(|finding| finding.service.as_ref() < Some(name));
    let own = findings[first..].iter().take_while(|f| f.service.as_ref() == Some(name));
    Waiting::of(seen, &own.collect::<Vec<_>>())
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
    let waits_for = waiting(turn, name);
    json!({
        "waits_for": waits_for.map(|waiting| waiting.to_string()),
        "mode": if act { Mode::Act } else { Mode::Observe },
        "desired": group.map(|group| group.desired),
        "in_service": group.map(|group| group.in_service),
        "demand": seen.and_then(|s| s.demand.settled).map(|point| point.value),
        "unread": seen.and_then(unread_of).map(ToString::to_string),
        "model": seen.and_then(|s| s.forecast.as_ref().ok()).map(|f| f.model.clone()),
        "verdict": verdict,
    })
}
