//! What a cycle says of a service: the same values for the command line, the page and the journal,
//! which keeps it as it was said.

mod lines;

use fleet::{Seconds, ServiceName, Timestamp};
use journal::records::{Explanation, Promise};
use journal::{CycleId, CycleRecord, Reader, ServiceTurn};
use planner::Milli;
use planner::lead::Lead;
use planner::plan::Plan;
use serde_json::json;

use crate as report;

pub use lines::{Broken, LABELS, Line, Quality, next_scheduled, of_record, units};

/// Cycles looked back over for how long a verdict has stood.
const SINCE_CYCLES: u64 = 2000;

/// An explanation is read at one glance.
const LINES_MAX: usize = 12;

/// Reads what a cycle said of a service from the journal, and since when the verdict stands where that
/// is asked for: it takes reading hours of cycles.
///
/// # Errors
/// Where the journal cannot be read.
pub fn explained(
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
    let known = memory.services.get(service);
    let lead = policy.services.get(service).map(|own| Lead::of(&own.pool, known));
    Ok(Explanation { lead, ..told.writing(&policy).ended(outcome, since) })
}

/// An explanation in at most twelve lines.
pub fn text(told: &Explanation, cycle: CycleId) -> String {
    let head = format!("{} at {} (cycle {cycle})", told.service, told.taken_at);
    let lines = lines(told, LINES_MAX - 1);
    let lines = lines.into_iter().map(|line| format!("  {:<9} {line}", line.label()));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What is said, in at most so many lines: the reasons come last in importance.
pub fn lines(told: &Explanation, most: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    if let Some(action) = &told.action {
        lines.push(Line::Action(action));
        lines.push(Line::Because(&action.sizing, told.load));
    }
    let findings = lines.len();
    lines.push(Line::Group(told.seen.as_ref(), told.load));
    lines.extend(told.stage.as_ref().map(Line::Stage));
    lines.extend(told.sizing().map(|sizing| Line::Needed(sizing, told.load)));
    let trade = told.sizing().and_then(|sizing| sizing.trade.as_ref());
    lines.extend(trade.map(Line::Trade));
    let lead = told.lead.as_ref();
    lines.extend(told.sizing().map(|sizing| Line::Window(&sizing.window, lead)));
    lines.extend(told.outcome.as_ref().map(Line::Order));
    lines.extend(quality(told).map(Line::Quality));
    lines.extend(told.broken().map(|broken| Line::Promise(price(told, broken))));
    lines.extend(told.since.map(|at| Line::Since { at, next: told.next }));
    // Where there is room beside the reasons.
    let writes = told.writes.as_ref().filter(|_| lines.len() + told.findings.len() < most);
    if let Some(writes) = writes {
        lines.insert(findings + 1, Line::Writes(writes));
    }
    let room = most.saturating_sub(lines.len());
    let reasons: Vec<Line<'_>> = told.findings.iter().take(room).map(Line::Found).collect();
    lines.splice(findings..findings, reasons);
    lines
}

/// How the forecast did lately, and how the promise is kept.
fn quality(told: &Explanation) -> Option<Quality<'_>> {
    let forecast = told.seen.as_ref()?.forecast.as_ref().ok()?;
    let (own, last) = (forecast.recent_loss_milli, forecast.last_value_loss_milli);
    let quality = Quality {
        loss: (last > Milli::ZERO).then(|| own.get() / last.get()),
        record: forecast.record,
        kept: told.promise.as_ref().filter(|promise| !promise.is_broken()),
    };
    quality.is_known().then_some(quality)
}

/// What keeping the promise takes now.
fn price<'a>(told: &'a Explanation, broken: &'a Promise) -> Broken<'a> {
    let units = told.sizing().and_then(|sizing| {
        let capacity = sizing.capacity_milli.filter(|c| *c > Milli::ZERO)?;
        let needs = (sizing.demand_milli?.get() / capacity.get() - 1e-9).ceil() as u64;
        Some((sizing.wanted, needs))
    });
    Broken { service: &told.service, promise: broken, units }
}

/// All of an explanation, for machines.
pub fn json(told: &Explanation, cycle: Option<CycleId>) -> serde_json::Value {
    let plan =
        Plan { actions: told.action.iter().cloned().collect(), findings: told.findings.clone() };
    let mut value = report::plan_json(&plan);
    value["service"] = json!(told.service);
    value["cycle"] = json!(cycle.map(|id| id.to_string()));
    value["taken_at"] = json!(told.taken_at.to_string());
    value["since"] = json!(told.since.map(|at| at.to_string()));
    value["next_look"] = json!(told.next.to_string());
    value["observation"] = json!(told.seen);
    value["writes"] = json!(told.writes.as_ref().map(|(number, why)| {
        json!({ "number": number, "because": why, "text": why.to_string() })
    }));
    value["stage"] = json!(told.stage);
    value["promise"] = json!(told.promise);
    value["broken_promise"] = json!(told.broken());
    value["outcome"] = json!(told.outcome);
    value
}

/// Since when the verdict of `cycle` has stood, as far as [`SINCE_CYCLES`] show.
fn since(
    reader: &Reader,
    cycle: &CycleRecord,
    service: &ServiceName,
    poll: Seconds,
) -> anyhow::Result<Timestamp> {
    let end = reader.written_at(cycle.id.0)?;
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
