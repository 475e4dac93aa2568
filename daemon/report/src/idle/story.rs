//! The story of one resource, for `neap explain`.

use std::collections::BTreeSet;
use std::fmt;

use fleet::resource::{Power, ResourceId};
use fleet::{Seconds, Timestamp};
use journal::ledger::{self, Recalled};
use journal::records::idle::IdleEntry;
use journal::{JournalFault, Reader};
use planner::idle::evidence::{Row as Numbers, Verdict};
use planner::idle::memory::Care;
use planner::idle::plan::{FoundBy, IdleHold, Stage};
use planner::idle::snapshot::{Ask, PowerOutcome};
use serde_json::{Value, json};

use super::rows::{Row, rows};

/// Events told, newest last.
const EVENTS_MAX: usize = 6;
/// How far back they are looked for.
const EVENTS_WITHIN: Seconds = Seconds::days(60);

/// Everything that is known of one resource.
pub struct Story {
    recalled: Recalled,
    rows: Vec<Row>,
    events: Vec<(Timestamp, Event)>,
}

/// Something that happened to a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody agreed to a stop.
    Agreed { by: String },
    /// Somebody said no to a stop.
    Refused { by: String },
    /// Somebody asked for it to be up.
    Wake { by: String, until: Timestamp },
    /// Somebody asked for it to be left alone.
    Exempt { by: String, until: Timestamp },
    /// An alert was raised, in the words that went out.
    Alert(String),
    /// An order ended.
    Ended(Box<PowerOutcome>),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Agreed { by } => write!(f, "{by} agreed to a stop"),
            Event::Refused { by } => write!(f, "{by} said no to a stop"),
            Event::Wake { by, until } => write!(f, "{by} asked for it to be up until {until}"),
            Event::Exempt { by, until } => {
                write!(f, "{by} asked for it to be left alone until {until}")
            }
            Event::Alert(title) => f.write_str(title),
            Event::Ended(outcome) => f.write_str(&ending(outcome)),
        }
    }
}

/// A line of a story.
#[derive(Clone, Debug)]
pub enum StoryLine<'a> {
    /// Which resource, and its state at the last look.
    Head {
        row: &'a Row,
        /// Whether it runs, where it was seen.
        power: Option<&'a Power>,
        looked_at: Option<Timestamp>,
    },
    /// The rule that judges it.
    Rule(&'a FoundBy),
    /// The schedule it is under.
    Schedule(&'a FoundBy),
    /// What its numbers come to.
    Verdict(&'a Verdict),
    /// A signal's numbers.
    Numbers(&'a Numbers),
    /// Where it stands.
    Stage(&'a Stage),
    /// Why nothing is done.
    Held(&'a IdleHold),
    /// What a stop saves.
    Saving(&'a Row),
    /// What happened.
    Event(Timestamp, &'a Event),
}

impl fmt::Display for StoryLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoryLine::Head { row, power, looked_at } => {
                write!(f, "{} ({}", row.resource, row.name)?;
                if let Some(class) = &row.class {
                    write!(f, ", {class}")?;
                }
                if let Some(power) = power {
                    write!(f, ", {power}")?;
                }
                f.write_str(")")?;
                looked_at.map_or(Ok(()), |at| write!(f, " at {at}"))
            }
            StoryLine::Rule(rule) => write!(f, "  {:<9} {rule}", "rule"),
            StoryLine::Schedule(rule) => write!(f, "  {:<9} {rule}", "schedule"),
            StoryLine::Verdict(verdict) => write!(f, "  {:<9} {verdict}", "verdict"),
            StoryLine::Numbers(numbers) => write!(f, "  {:<9} {numbers}", ""),
            StoryLine::Stage(stage) => write!(f, "  {:<9} {stage}", "stage"),
            StoryLine::Held(hold) => write!(f, "  {:<9} {hold}", "held"),
            StoryLine::Saving(row) => write!(f, "  {:<9} {}", "saving", saving(row)),
            StoryLine::Event(at, event) => write!(f, "  {at}  {event}"),
        }
    }
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
) -> Result<Vec<(Timestamp, Event)>, JournalFault> {
    let subject = id.to_string();
    let named = |text: &str| text == id.id || text == subject || text == name;
    let mut events = Vec::new();
    // Agreements go by ids of their own, which were made in earlier looks.
    let mut approvals = BTreeSet::new();
    for entry in reader.idle(end - EVENTS_WITHIN..end + Seconds(1)) {
        match entry?.1 {
            IdleEntry::Look(look) => {
                let asked = look.snapshot.requests.iter().filter_map(|request| {
                    let by = request.by.clone();
                    let asks = match &request.ask {
                        Ask::Approve { id } if approvals.contains(id) => Event::Agreed { by },
                        Ask::Reject { id } if approvals.contains(id) => Event::Refused { by },
                        Ask::Wake { resource, until } if named(resource) => {
                            Event::Wake { by, until: *until }
                        }
                        Ask::Exempt { resource, until } if named(resource) => {
                            Event::Exempt { by, until: *until }
                        }
                        _ => return None,
                    };
                    Some((request.at, asks))
                });
                events.extend(asked);
                let about = look
                    .plan
                    .alerts
                    .iter()
                    .filter(|alert| alert.subject.as_ref() == Some(&subject));
                events.extend(about.map(|alert| (alert.at, Event::Alert(alert.title.clone()))));
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
                let about = outcomes.into_iter().filter(|outcome| outcome.resource == *id);
                let ended = |outcome: PowerOutcome| (outcome.at, Event::Ended(Box::new(outcome)));
                events.extend(about.map(ended));
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
    let PowerOutcome { result, because, decision, .. } = outcome;
    format!("{verb} {result} ({because}; decision {decision})")
}

impl Story {
    /// A screen of it.
    pub fn text(&self) -> String {
        self.lines().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// What a screen of it says.
    pub fn lines(&self) -> Vec<StoryLine<'_>> {
        let mut lines = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index == 0 {
                let seen = self.recalled.folded.seen.get(&row.resource);
                let power = seen.map(|seen| &seen.resource.power);
                lines.push(StoryLine::Head { row, power, looked_at: self.recalled.looked_at });
            }
            lines.push(match row.verdict {
                Some(_) => StoryLine::Rule(&row.rule),
                None => StoryLine::Schedule(&row.rule),
            });
            if let Some(numbers) = &row.numbers {
                lines.push(StoryLine::Verdict(&numbers.verdict));
                lines.extend(numbers.rows.iter().take(5).map(StoryLine::Numbers));
            }
            lines.push(StoryLine::Stage(&row.stage));
            lines.extend(row.holds.iter().map(StoryLine::Held));
            if index == 0 {
                lines.push(StoryLine::Saving(row));
            }
        }
        lines.extend(self.events.iter().map(|(at, event)| StoryLine::Event(*at, event)));
        lines
    }

    /// All of it, for machines.
    pub fn json(&self) -> Value {
        let first = self.rows.first().map(|row| &row.resource);
        let seen = first.and_then(|id| self.recalled.folded.seen.get(id));
        let care = first.and_then(|id| self.recalled.folded.memory.cares.get(id));
        let events: Vec<Value> = self
            .events
            .iter()
            .map(|(at, event)| json!({ "at": at.to_string(), "event": event.to_string() }))
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
        false => {
            let paid: Vec<String> = saving.still_paid.iter().map(ToString::to_string).collect();
            format!("; still paid: {}", paid.join(", "))
        }
    };
    match (row.monthly(), &saving.price) {
        (Some(monthly), Some(price)) => {
            format!("{monthly} a month by {} of {}{paid}", price.source, price.as_of)
        }
        (Some(monthly), None) => format!("{monthly} a month{paid}"),
        (None, _) => format!("unknown: no price{paid}"),
    }
}
