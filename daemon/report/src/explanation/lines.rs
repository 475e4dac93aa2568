//! What an explanation says, line by line: values first, words last.

use std::fmt;

use fleet::group::ScheduledAction;
use fleet::{ServiceName, Timestamp, Units};
use journal::records::{Load, Promise};
use planner::lead::Lead;
use planner::plan::{Action, Finding, Sizing, Trade};
use planner::policy::{Actuate, Share};
use planner::snapshot::{GroupView, Observation, OrderResult, Record, Window};
use planner::stage::StageMemory;
use planner::{Milli, Processes, WrittenBecause};

use crate::{self as report, Reason, loaded, rate};

/// A line of an explanation.
#[derive(Clone, Debug)]
pub enum Line<'a> {
    /// What is done.
    Action(&'a Action),
    /// Why.
    Because(&'a Sizing, Load),
    /// Why not more.
    Found(&'a Finding),
    /// The group and its demand; `None` where they were not looked at.
    Group(Option<&'a Observation>, Load),
    /// Which number of it is written, and why.
    Writes(&'a (Actuate, WrittenBecause)),
    /// How far it is on its way to acting.
    Stage(&'a StageMemory),
    /// What forecast and demand ask for.
    Needed(&'a Sizing, Load),
    /// What this size and its neighbours would mean.
    Trade(&'a Trade),
    /// Why the lead window is as long as it is, and where its lead time is from, where that is known.
    Window(&'a Window, Option<&'a Lead>),
    /// How the order ended.
    Order(&'a OrderResult),
    /// How the forecast did lately.
    Quality(Quality<'a>),
    /// That the promise is not kept.
    Promise(Broken<'a>),
    /// Since when the verdict stands, and when it is looked at again.
    Since {
        at: Timestamp,
        /// The next look.
        next: Timestamp,
    },
}

/// Every word that a line may begin with.
pub const LABELS: [&str; 15] = [
    "action", "because", "held", "limited", "note", "group", "writes", "stage", "needed", "trade",
    "window", "order", "quality", "promise", "since",
];

impl Line<'_> {
    /// The word that stands before it.
    pub fn label(&self) -> &'static str {
        match self {
            Line::Action(_) => "action",
            Line::Because(..) => "because",
            Line::Found(finding) => finding.what.verb(),
            Line::Group(..) => "group",
            Line::Writes(_) => "writes",
            Line::Stage(_) => "stage",
            Line::Needed(..) => "needed",
            Line::Trade(_) => "trade",
            Line::Window(..) => "window",
            Line::Order(_) => "order",
            Line::Quality(_) => "quality",
            Line::Promise(_) => "promise",
            Line::Since { .. } => "since",
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Action(action) => {
                let dry = if action.dry_run { ", dry run" } else { "" };
                write!(f, "{}{dry}", action.change)
            }
            Line::Because(sizing, load) => write!(f, "{}", Reason::of(sizing).counted(*load)),
            Line::Found(finding) => write!(f, "{}", finding.hold),
            Line::Group(seen, load) => group(f, *seen, *load),
            Line::Writes((number, why)) => {
                let number = match number {
                    Actuate::Desired => "the desired capacity",
                    Actuate::Floor => "the minimum",
                };
                write!(f, "{number}: {why}")
            }
            Line::Stage(stage) => f.write_str(&report::stage_line(stage)),
            Line::Needed(sizing, load) => needed(f, sizing, *load),
            Line::Trade(trade) => write!(f, "{trade}"),
            Line::Window(window, lead) => ahead(f, window, *lead),
            Line::Order(result) => f.write_str(&report::ending(result)),
            Line::Quality(quality) => write!(f, "{quality}"),
            Line::Promise(broken) => write!(f, "{broken}"),
            Line::Since { at, next } => write!(f, "{at}, next look {next}"),
        }
    }
}

fn ahead(f: &mut fmt::Formatter<'_>, window: &Window, lead: Option<&Lead>) -> fmt::Result {
    let Window { sample_age, poll_interval, lead_time, hold } = window;
    let whole = window.lead();
    write!(f, "{whole} ahead = sample age {sample_age} + poll {poll_interval}")?;
    write!(f, " + lead time {lead_time}")?;
    if let Some(lead) = lead {
        write!(f, " ({lead})")?;
    }
    write!(f, "; hold window {hold}")
}

fn group(f: &mut fmt::Formatter<'_>, seen: Option<&Observation>, load: Load) -> fmt::Result {
    let Some(seen) = seen else { return f.write_str("not looked at") };
    match &seen.group {
        Ok(group) => {
            write!(f, "desired {} in {}..{}, ", group.desired.0, group.min.0, group.max.0)?;
            match group.aside.machines {
                Some(1) => write!(f, "{} on 1 machine in service", group.in_service)?,
                Some(machines) => {
                    write!(f, "{} on {machines} machines in service", group.in_service)?;
                }
                None => write!(f, "{} in service", group.in_service.0)?,
            }
            write!(f, ", {} on the way", group.pending.0)?;
            for more in beside(group) {
                write!(f, ", {more}")?;
            }
            f.write_str("; ")?;
        }
        Err(fault) => write!(f, "unread: {fault}; ")?,
    }
    match (&seen.demand.settled, &seen.demand.fault) {
        (Some(point), fault) => {
            let demand = loaded(Milli::per_second(point.value), load);
            write!(f, "demand {demand} at {}", point.start)?;
            match fault {
                Some(fault) if seen.demand.missing == Share::ALL => {
                    write!(f, ", known in part alone: {fault}")
                }
                Some(fault) => write!(f, ", nothing newer: {fault}"),
                None => Ok(()),
            }
        }
        (None, Some(fault)) => write!(f, "demand unknown: {fault}"),
        (None, None) => f.write_str("demand unknown"),
    }
}

/// What a cloud tells of a group beside its numbers, in words.
fn beside(group: &GroupView) -> Vec<String> {
    let aside = &group.aside;
    let mut told = Vec::new();
    if aside.buys_spot {
        told.push("spot machines among them".to_owned());
    }
    if !aside.suspended.is_empty() {
        let suspended: Vec<_> = aside.suspended.iter().cloned().collect();
        told.push(format!("{} suspended", Processes(&suspended)));
    }
    if let Some(pool) = &aside.warm_pool {
        let size = pool.size.map(|size| format!(", {size} now")).unwrap_or_default();
        told.push(format!("warm pool of {} or more{size} ({})", pool.min, pool.state));
    }
    if let Some(action) = next_scheduled(group) {
        let sets = [("min", action.min), ("desired", action.desired), ("max", action.max)];
        let sets = sets.iter().filter_map(|(what, to)| Some(format!("{what} {}", (*to)?.0)));
        let when = match (action.at, &action.recurrence) {
            (Some(at), _) => at.to_string(),
            (None, Some(recurrence)) => format!("`{recurrence}`"),
            (None, None) => "some time".to_owned(),
        };
        let sets = sets.collect::<Vec<_>>().join(", ");
        told.push(format!("scheduled action `{}` sets {sets} at {when}", action.name));
    }
    told
}

/// The scheduled action of the cloud's own that comes next, as far as that is known.
pub fn next_scheduled(group: &GroupView) -> Option<&ScheduledAction> {
    let sets = |action: &&ScheduledAction| {
        action.min.is_some() || action.desired.is_some() || action.max.is_some()
    };
    let known = group.scheduled.iter().filter(sets);
    known.min_by_key(|action| (action.at.is_none(), action.at))
}

/// A number of units, or that there is none.
pub fn units(units: Option<Units>) -> String {
    units.map_or_else(|| "-".to_owned(), |units| units.0.to_string())
}

fn needed(f: &mut fmt::Formatter<'_>, sizing: &Sizing, load: Load) -> fmt::Result {
    let level = sizing.level.map_or_else(|| "-".to_owned(), |level| format!("q{level}"));
    let capacity = sizing.capacity_milli.map_or_else(|| "unknown".to_owned(), |c| loaded(c, load));
    write!(
        f,
        "forecast {} now, {} in the hold window (at {level}), reactive {}; wanted {}; a unit carries {capacity}",
        units(sizing.needed_lead),
        units(sizing.needed_hold),
        units(sizing.needed_reactive),
        sizing.wanted.0
    )
}

/// How a forecast did lately, and how the promise is kept, as far as that is known.
#[derive(Clone, Debug)]
pub struct Quality<'a> {
    /// Its loss against last-value's.
    pub loss: Option<f64>,
    /// How its forecasts that came due did otherwise.
    pub record: Option<Record>,
    pub kept: Option<&'a Promise>,
}

impl Quality<'_> {
    /// Whether there is anything to tell.
    pub(super) fn is_known(&self) -> bool {
        self.loss.is_some() || self.record.is_some() || self.kept.is_some()
    }
}

/// What a record's numbers are: the share in percent, and the bias with its sign.
pub fn of_record(record: &Record) -> (String, String) {
    let bias = record.bias_milli;
    let sign = if bias < 0 { "-" } else { "+" };
    let covered = format!("{:.1}%", f64::from(record.covered_milli) / 10.0);
    (covered, format!("{sign}{}/s", rate(Milli::whole(bias.unsigned_abs()))))
}

impl fmt::Display for Quality<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loss = self.loss.map(|loss| format!("loses {loss:.2} of what last-value would"));
        let record = self.record.as_ref().map(|record| {
            let (covered, bias) = of_record(record);
            format!("q0.9 covers {covered}, bias {bias}")
        });
        let kept = self.kept.map(Promise::to_string);
        let known: Vec<String> = [loss, record, kept].into_iter().flatten().collect();
        f.write_str(&known.join("; "))
    }
}

/// A promise that is not kept, and what keeping it takes.
#[derive(Clone, Debug)]
pub struct Broken<'a> {
    pub service: &'a ServiceName,
    pub promise: &'a Promise,
    /// Units wanted, and those that demand needs now.
    pub units: Option<(Units, u64)>,
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.promise)?;
        if let Some((wanted, needs)) = self.units {
            write!(f, "; it asks for {} units now that demand needs {needs}", wanted.0)?;
        }
        write!(f, "; `neap tune --service {}` shows what keeping it costs", self.service)
    }
}
