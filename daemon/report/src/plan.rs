//! Plans and holds: the same values for the command line, the log, the page and alerts.

use std::fmt;

use fleet::{Level, Seconds, Units};
use journal::records::Load;
use planner::Milli;
use planner::plan::{DecidedBy, Finding, Hold, Plan, Sizing};
use planner::snapshot::OrderResult;
use planner::stage::StageMemory;
use serde_json::{Value, json};

/// Why a size is wanted, with the numbers that are told in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub decided_by: DecidedBy,
    /// Units that demand now and its fastest recent rise ask for.
    pub needed_reactive: Option<Units>,
    /// The demand it was sized for, in thousandths per second.
    pub sized_for_milli: Option<Milli>,
    /// At which quantile level.
    pub level: Option<Level>,
    /// What a unit carries, in thousandths per second.
    pub capacity_milli: Option<Milli>,
    /// The lead window.
    pub lead: Seconds,
    /// Demand now, in thousandths per second.
    pub demand_milli: Option<Milli>,
    /// What demand is counted in.
    pub load: Load,
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
            load: Load::default(),
        }
    }

    /// The same of a demand that is counted so.
    #[must_use]
    pub fn counted(self, load: Load) -> Reason {
        Reason { load, ..self }
    }

    fn forecast(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("forecast ")?;
        if let Some(demand) = self.sized_for_milli {
            f.write_str(&loaded(demand, self.load))?;
        }
        if let Some(level) = self.level {
            write!(f, " at q{level}")?;
        }
        write!(f, " within {}", self.lead)?;
        match self.capacity_milli {
            Some(capacity) => write!(f, ", {} a unit", loaded(capacity, self.load)),
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
            DecidedBy::Hours { at, until } => write!(f, "hours `{at}` until {until}")?,
        }
        match self.demand_milli {
            Some(demand) => write!(f, "; now {}", loaded(demand, self.load)),
            None => Ok(()),
        }
    }
}

/// The reason of an action, in one line.
pub fn reason(sizing: &Sizing) -> String {
    Reason::of(sizing).to_string()
}

/// A load per second with at most one decimal; a small one with the digits that tell it.
///
/// ```
/// use planner::Milli;
///
/// let shown = [0.0, 0.0004, 0.25, 0.96, 7.0, 7.25, 1234.5].map(|v| report::rate(Milli::per_second(v)));
/// assert_eq!(shown, ["0", "0.0004", "0.25", "0.96", "7", "7.2", "1234"]);
/// ```
pub fn rate(load: Milli) -> String {
    let value = load.a_second();
    if value < 1.0 {
        planner::significant(value, 2)
    } else if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// A load with what it is counted in.
///
/// ```
/// use journal::records::Load;
/// use planner::Milli;
/// use report::loaded;
///
/// let load = Milli::per_second(3.2);
/// assert_eq!(loaded(load, Load::PerSecond), "3.2/s");
/// assert_eq!(loaded(load, Load::BusyUnits), "3.2 busy units");
/// ```
pub fn loaded(demand: Milli, load: Load) -> String {
    match load {
        Load::PerSecond => format!("{}/s", rate(demand)),
        Load::BusyUnits => format!("{} busy units", rate(demand)),
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
        OrderResult::Owned { owner } => {
            format!("not sent: {} owns the group by now, as {} says", owner.name, owner.evidence)
        }
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
            | Hold::Hours { .. }
            | Hold::HoursFloor { .. }
    )
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

/// A stage in a line: `shadow since 2026-03-02T00:00:00Z: not promoted yet`.
pub fn stage_line(memory: &StageMemory) -> String {
    format!("{} since {}: {}", memory.stage, memory.since, memory.why)
}
