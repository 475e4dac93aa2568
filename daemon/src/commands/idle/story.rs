//! The story of one resource, for `neap explain`.

use std::collections::BTreeSet;

use planner::idle::memory::Care;
use planner::idle::resource::ResourceId;
use planner::idle::snapshot::{Ask, PowerOutcome, PowerResult};
use planner::{Seconds, Timestamp};
use serde_json::{Value, json};

use super::rows::{Row, rows};
use crate::idle::ledger::{self, Recalled};
use crate::idle::record::IdleEntry;
use crate::journal::{JournalFault, Reader};

/// Events told, newest last.
const EVENTS_MAX: usize = 6;
/// How far back they are looked for.
const EVENTS_WITHIN: Seconds = Seconds::days(60);

/// Everything that is known of one resource.
pub struct Story {
    recalled: Recalled,
    rows: Vec<Row>,
    events: Vec<(Timestamp, String)>,
}

/// The story of the resource that a text names: by id, by whole name, or by its name.
///
/// # Errors
/// Where the journal cannot be read.
pub fn of(reader: &Reader, subject: &str, at: Timestamp) -> Result<Option<Story>, JournalFault> {
    let end = reader.end()?.unwrap_or(Timestamp(0)).min(at);
    let recalled = ledger::recall(reader, end)?;
    let verdicts = ledger::verdicts(reader, end)?;
    let named = |row: &Row| {
        row.resource.id == subject || row.resource.to_string() == subject || row.name == subject
    };
    let rows: Vec<Row> =
        rows(&recalled.folded, &verdicts).into_iter().filter(|row| named(row)).collect();
    let Some(first) = rows.first() else { return Ok(None) };
    let events = events(reader, &first.resource, &first.name, end)?;
    Ok(Some(Story { recalled, rows, events }))
}

fn events(
    reader: &Reader,
    id: &ResourceId,
    name: &str,
    end: Timestamp,
) -> Result<Vec<(Timestamp, String)>, JournalFault> {
    let subject = id.to_string();
    let named = |text: &str| text == id.id || text == subject || text == name;
    let mut events = Vec::new();
    // Agreements go by ids of their own, which were made in earlier looks.
    let mut approvals = BTreeSet::new();
    for entry in reader.idle(end - EVENTS_WITHIN..end + Seconds(1)) {
        match entry?.1 {
            IdleEntry::Look(look) => {
                let asked = look.snapshot.requests.iter().filter_map(|request| {
                    let asks = match &request.ask {
                        Ask::Approve { id } if approvals.contains(id) => "agreed to a stop".into(),
                        Ask::Reject { id } if approvals.contains(id) => "said no to a stop".into(),
                        Ask::Wake { resource, until } if named(resource) => {
                            format!("asked for it to be up until {until}")
                        }
                        Ask::Exempt { resource, until } if named(resource) => {
                            format!("asked for it to be left alone until {until}")
                        }
                        _ => return None,
                    };
                    Some((request.at, format!("{} {asks}", request.by)))
                });
                events.extend(asked);
                let about = look
                    .plan
                    .alerts
                    .iter()
                    .filter(|alert| alert.subject.as_ref() == Some(&subject));
                events.extend(about.map(|alert| (alert.at, alert.title.clone())));
                let care = look.delta.cares.get(id).into_iter().flatten();
                approvals
                    .extend(care.flat_map(Care::approvals).map(|approval| approval.id.clone()));
            }
            IdleEntry::Checkpoint(checkpoint) => {
                let care = checkpoint.memory.cares.get(id).into_iter();
                approvals
                    .extend(care.flat_map(Care::approvals).map(|approval| approval.id.clone()));
            }
            IdleEntry::Outcomes(outcomes) => {
                let about = outcomes.iter().filter(|outcome| outcome.resource == *id);
                events.extend(about.map(|outcome| (outcome.at, ending(outcome))));
            }
            IdleEntry::Verdicts(_) | IdleEntry::Intents(_) => {}
        }
    }
    events.dedup();
    let first = events.len().saturating_sub(EVENTS_MAX);
    Ok(events.split_off(first))
}

/// How an order ended, in a line.
pub fn ending(outcome: &PowerOutcome) -> String {
    let verb = if outcome.up { "start" } else { "stop" };
    let end = match &outcome.result {
        PowerResult::Taken => "taken".to_owned(),
        PowerResult::Moved { found } => format!("not sent: {found}"),
        PowerResult::Withheld => "not sent: stopped by kill switch or mode".to_owned(),
        PowerResult::Failed { fault } => format!("failed: {fault}"),
        PowerResult::Unconfirmed { effect_seen: Some(true) } => {
            "sent, the answer was lost, the effect is there".to_owned()
        }
        PowerResult::Unconfirmed { effect_seen: Some(false) } => {
            "sent, the answer was lost, no effect was seen".to_owned()
        }
        PowerResult::Unconfirmed { effect_seen: None } => {
            "sent, no answer; looked at before anything else".to_owned()
        }
    };
    format!("{verb} {end} ({}; decision {})", outcome.because, outcome.decision)
}

impl Story {
    /// A screen of it.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index == 0 {
                lines.push(self.head(row));
            }
            let line = |label: &str, text: &str| format!("  {label:<9} {text}");
            lines.push(line(if row.verdict.is_some() { "rule" } else { "schedule" }, &row.rule.0));
            let verdict = row.numbers.as_ref().map(|numbers| numbers.verdict.to_string());
            lines.extend(verdict.map(|verdict| line("verdict", &verdict)));
            for number in row.numbers.iter().flat_map(|numbers| &numbers.rows).take(5) {
                lines.push(line("", &number.to_string()));
            }
            lines.push(line("stage", &row.stage));
            for hold in &row.holds {
                lines.push(line("held", hold));
            }
            if index == 0 {
                lines.push(line("saving", &saving(row)));
            }
        }
        for (at, event) in &self.events {
            lines.push(format!("  {at}  {event}"));
        }
        lines.join("\n")
    }

    fn head(&self, row: &Row) -> String {
        let seen = self.recalled.folded.seen.get(&row.resource);
        let class = row.class.as_ref().map_or_else(String::new, |class| format!(", {class}"));
        let power = seen.map_or_else(String::new, |seen| format!(", {}", seen.resource.power));
        let looked = self.recalled.looked_at.map_or_else(String::new, |at| format!(" at {at}"));
        format!("{} ({}{class}{power}){looked}", row.resource, row.name)
    }

    /// All of it, for machines.
    pub fn json(&self) -> Value {
        let first = self.rows.first().map(|row| &row.resource);
        let seen = first.and_then(|id| self.recalled.folded.seen.get(id));
        let care = first.and_then(|id| self.recalled.folded.memory.cares.get(id));
        let events: Vec<Value> = self
            .events
            .iter()
            .map(|(at, event)| json!({ "at": at.to_string(), "event": event }))
            .collect();
        json!({
            "resource": first,
            "looked_at": self.recalled.looked_at.map(|at| at.to_string()),
            "rows": self.rows,
            "seen": seen,
            "care": care,
            "events": events,
        })
    }
}

fn saving(row: &Row) -> String {
    let Some(saving) = &row.saving else { return "not reckoned".to_owned() };
    let paid = match saving.still_paid.is_empty() {
        true => String::new(),
        false => format!("; still paid: {}", saving.still_paid.join(", ")),
    };
    match (row.monthly(), &saving.price) {
        (Some(monthly), Some(price)) => {
            format!("{monthly} a month by {} of {}{paid}", price.source, price.as_of)
        }
        (Some(monthly), None) => format!("{monthly} a month{paid}"),
        (None, _) => format!("unknown: no price{paid}"),
    }
}
