//! What a cycle says of a service: the same values for the command line, the page and the journal,
//! which keeps it as it was said.

mod lines;

use std::collections::BTreeMap;
use std::fmt;

use planner::memory::ViolationAccount;
use planner::plan::{Action, Finding, Plan, Sizing};
use planner::policy::{Policy, ServicePolicy};
use planner::snapshot::{Observation, OrderResult, Snapshot};
use planner::stage::StageMemory;
use planner::{Memory, Seconds, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::journal::{CycleId, CycleRecord, Reader, ServiceTurn};
use crate::report;

pub use lines::{Broken, Line, Quality};
pub(crate) use lines::{of_record, units};

/// Cycles looked back over for how long a verdict has stood.
const SINCE_CYCLES: u64 = 2000;

/// An explanation is read at one glance.
const LINES_MAX: usize = 12;

/// All that is said about one service in one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    service: ServiceName,
    taken_at: Timestamp,
    seen: Option<Observation>,
    action: Option<Action>,
    findings: Vec<Finding>,
    next: Timestamp,
    /// Since when the verdict stands, where that was looked up.
    since: Option<Timestamp>,
    outcome: Option<OrderResult>,
    promise: Option<Promise>,
    /// How far it is on its way to acting; `None` where its configuration alone decides.
    stage: Option<StageMemory>,
}

/// What was promised, and how it was kept in the last 28 days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// The share of intervals that may exceed capacity.
    pub(crate) promised: f64,
    /// The share that did.
    pub(crate) missed: f64,
    /// Over so many days.
    pub(crate) days: f64,
}

impl Promise {
    fn of(policy: &ServicePolicy, account: &ViolationAccount) -> Option<Promise> {
        let days = account.quarters.len() as f64 / 4.0;
        let (intervals, violations) = account.totals();
        let promised = policy.violation_budget.fraction();
        let missed = violations as f64 / intervals as f64;
        (intervals > 0).then_some(Promise { promised, missed, days })
    }

    /// Judged from a day on: a single bad hour is no broken promise of 28 days.
    fn is_broken(&self) -> bool {
        self.days >= 1.0 && self.missed > self.promised
    }

    /// The share that was missed and the share that was promised, in percent.
    pub(crate) fn percent(&self) -> (String, String) {
        (format!("{:.2}%", self.missed * 100.0), format!("{}%", self.promised * 100.0))
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missed, promised) = self.percent();
        write!(f, "{missed} of {} days missed, {promised} promised", self.days)
    }
}

impl Explanation {
    /// Reads what it takes beside the cycle itself; since when the verdict stands, too, where that
    /// is asked for: it takes reading hours of cycles.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn of(
        reader: &Reader,
        cycle: &CycleRecord,
        service: &ServiceName,
        with_since: bool,
    ) -> anyhow::Result<Explanation> {
        let policy = reader.policy(cycle.policy)?.policy;
        let index = cycle.plan.actions.iter().position(|action| &action.service == service);
        let outcome = match index {
            Some(index) => {
                let id = cycle.id.decision(index);
                let outcomes = reader.outcomes(cycle.id)?;
                outcomes.into_iter().rfind(|outcome| outcome.id == id).map(|o| o.result)
            }
            None => None,
        };
        let since = match with_since {
            true => Some(since(reader, cycle, service, policy.poll_interval)?),
            false => None,
        };
        let (snapshot, memory) = (&cycle.snapshot, &cycle.memory_after);
        let told = Explanation::new(service, snapshot, &cycle.plan, (&policy, memory));
        Ok(Explanation { since, outcome, ..told })
    }

    /// What a cycle that has just ended says of a service.
    pub fn new(
        service: &ServiceName,
        snapshot: &Snapshot,
        plan: &Plan,
        (policy, memory): (&Policy, &Memory),
    ) -> Explanation {
        let action = plan.actions.iter().find(|action| &action.service == service);
        let mine = |finding: &&Finding| finding.service.as_ref() == Some(service);
        let findings = plan.findings.iter().filter(mine);
        Explanation::with(service, action, findings, snapshot, (policy, memory))
    }

    /// What it says of every service that it acts on, in the order of its plan.
    pub fn of_actions(
        snapshot: &Snapshot,
        plan: &Plan,
        known: (&Policy, &Memory),
    ) -> Vec<Explanation> {
        let mut found: BTreeMap<&ServiceName, Vec<&Finding>> = BTreeMap::new();
        for finding in &plan.findings {
            if let Some(service) = &finding.service {
                found.entry(service).or_default().push(finding);
            }
        }
        let acted = plan.actions.iter().map(|action| {
            let findings = found.get(&action.service).into_iter().flatten().copied();
            Explanation::with(&action.service, Some(action), findings, snapshot, known)
        });
        acted.collect()
    }

    fn with<'a>(
        service: &ServiceName,
        action: Option<&Action>,
        findings: impl Iterator<Item = &'a Finding>,
        snapshot: &Snapshot,
        (policy, memory): (&Policy, &Memory),
    ) -> Explanation {
        let known = policy.services.get(service).zip(memory.services.get(service));
        Explanation {
            service: service.clone(),
            taken_at: snapshot.taken_at,
            seen: snapshot.services.get(service).cloned(),
            action: action.cloned(),
            findings: findings.cloned().collect(),
            next: snapshot.taken_at + policy.poll_interval,
            since: None,
            outcome: None,
            promise: known.and_then(|(policy, own)| Promise::of(policy, &own.violations)),
            stage: memory.stages.service(service).cloned(),
        }
    }

    /// Of which service it is.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// What was to be done.
    pub fn action(&self) -> Option<&Action> {
        self.action.as_ref()
    }

    /// When its cycle looked.
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// With how its order ended, and since when its verdict stands.
    pub fn ended(self, outcome: Option<OrderResult>, since: Option<Timestamp>) -> Explanation {
        Explanation { outcome, since, ..self }
    }

    /// The numbers behind it, where there are any.
    pub fn sizing(&self) -> Option<&Sizing> {
        let found = || self.findings.iter().find_map(|finding| finding.sizing.as_ref());
        self.action.as_ref().map(|action| &action.sizing).or_else(found)
    }

    /// At most twelve lines.
    pub(crate) fn text(&self, cycle: CycleId) -> String {
        let head = format!("{} at {} (cycle {cycle})", self.service, self.taken_at);
        let told = self.told(LINES_MAX - 1);
        let told = told.into_iter().map(|line| format!("  {:<9} {line}", line.label()));
        std::iter::once(head).chain(told).collect::<Vec<_>>().join("\n")
    }

    /// What is said, in at most so many lines: the reasons come last in importance.
    pub fn told(&self, most: usize) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        if let Some(action) = &self.action {
            lines.push(Line::Action(action));
            lines.push(Line::Because(&action.sizing));
        }
        let findings = lines.len();
        lines.push(Line::Group(self.seen.as_ref()));
        lines.extend(self.stage.as_ref().map(Line::Stage));
        lines.extend(self.sizing().map(Line::Needed));
        let trade = self.sizing().and_then(|sizing| sizing.trade.as_ref());
        lines.extend(trade.map(Line::Trade));
        lines.extend(self.sizing().map(|sizing| Line::Window(&sizing.window)));
        lines.extend(self.outcome.as_ref().map(Line::Order));
        lines.extend(self.quality().map(Line::Quality));
        lines.extend(self.broken().map(|broken| Line::Promise(self.price(broken))));
        lines.extend(self.since.map(|at| Line::Since { at, next: self.next }));
        let room = most.saturating_sub(lines.len());
        let reasons: Vec<Line<'_>> = self.findings.iter().take(room).map(Line::Found).collect();
        lines.splice(findings..findings, reasons);
        lines
    }

    fn broken(&self) -> Option<&Promise> {
        self.promise.as_ref().filter(|promise| promise.is_broken())
    }

    /// How the forecast did lately, and how the promise is kept.
    fn quality(&self) -> Option<Quality<'_>> {
        let forecast = self.seen.as_ref()?.forecast.as_ref().ok()?;
        let (own, last) = (forecast.recent_loss_milli, forecast.last_value_loss_milli);
        let quality = Quality {
            loss: (last > 0).then(|| own as f64 / last as f64),
            record: forecast.record,
            kept: self.promise.as_ref().filter(|promise| !promise.is_broken()),
        };
        quality.is_known().then_some(quality)
    }

    /// What keeping the promise takes now.
    fn price<'a>(&'a self, broken: &'a Promise) -> Broken<'a> {
        let units = self.sizing().and_then(|sizing| {
            let needs = sizing.demand_milli?.div_ceil(sizing.capacity_milli.filter(|c| *c > 0)?);
            Some((sizing.wanted, needs))
        });
        Broken { service: &self.service, promise: broken, units }
    }

    /// All of it, for machines.
    pub fn json(&self, cycle: Option<CycleId>) -> serde_json::Value {
        let plan = Plan {
            actions: self.action.iter().cloned().collect(),
            findings: self.findings.clone(),
        };
        let mut value = report::plan_json(&plan);
        value["service"] = json!(self.service);
        value["cycle"] = json!(cycle.map(|id| id.to_string()));
        value["taken_at"] = json!(self.taken_at.to_string());
        value["since"] = json!(self.since.map(|at| at.to_string()));
        value["next_look"] = json!(self.next.to_string());
        value["observation"] = json!(self.seen);
        value["stage"] = json!(self.stage);
        value["promise"] = json!(self.promise);
        value["broken_promise"] = json!(self.broken());
        value["outcome"] = json!(self.outcome);
        value
    }
}

/// Since when the verdict of `cycle` has stood, as far as [`SINCE_CYCLES`] show.
fn since(
    reader: &Reader,
    cycle: &CycleRecord,
    service: &ServiceName,
    poll: Seconds,
) -> anyhow::Result<Timestamp> {
    let end = cycle.id.at();
    let start = end - Seconds(poll.0.saturating_mul(SINCE_CYCLES));
    let (mut since, mut before) = (cycle.taken_at(), None);
    for turn in reader.history(service, start..end + Seconds(1)) {
        let turn = turn?;
        if turn.observation.is_none() {
            continue;
        }
        let verdict = verdict(&turn);
        // A daemon that was away in between has not held anything.
        let goes_on = before.as_ref().is_some_and(|(at, of): &(Timestamp, Vec<String>)| {
            *of == verdict && turn.taken_at.since(*at).0 <= 3 * poll.0
        });
        if !goes_on {
            since = turn.taken_at;
        }
        if turn.id == cycle.id {
            return Ok(since);
        }
        before = Some((turn.taken_at, verdict));
    }
    Ok(since)
}

/// What stands or changes from cycle to cycle: the words, not the numbers.
fn verdict(turn: &ServiceTurn) -> Vec<String> {
    let acted = turn.actions.iter().map(|(_, action)| action.change.to_string());
    acted.chain(turn.findings.iter().map(|finding| finding.hold.word().to_owned())).collect()
}
