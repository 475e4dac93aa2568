//! The journal: what was written down, by time, service and kind.

use std::sync::Arc;

use ::journal::{CycleId, EntryKind, Reader, RecordId};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use fleet::{Seconds, Timestamp};
use minijinja::value::Serde;
use minijinja::{Value, context};
use planner::plan::Action;
use report::Language;
use report::explanation;
use report::records::full_json;
use report::said::{Said, brief};
use serde::{Deserialize, Serialize};

use super::{absent, beside, broken, encoded};
use crate::render::Visit;
use crate::site::Site;

/// Lines of a page.
const LINES: usize = 200;
/// The longest stretch that is searched at once.
const LONGEST: Seconds = Seconds::days(1);
/// A record is cut here, as a page must stay light.
const RECORD_BYTES_MAX: usize = 60_000;

/// What is looked for.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct JournalQuery {
    since: String,
    until: String,
    service: String,
    kind: String,
}

/// Kinds of records that can be asked for, besides all.
const KINDS: [&str; 6] = ["decisions", "orders", "alerts", "idle", "policies", "cycles"];

/// Lists records.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(asked): Query<JournalQuery>,
) -> Response {
    let question = asked.clone();
    let language = visit.language;
    match beside(&site, move |site| found(site, &question, language)).await {
        Ok((range, lines)) => {
            let cut = lines.len() >= LINES;
            let of = context! {
                kinds => KINDS,
                from => range.start.to_string(),
                to => range.end.to_string(),
                asked => Serde(&asked),
                lines, cut,
            };
            site.page(&visit, "journal.html", of)
        }
        Err(error) => broken(&site, &visit, &error),
    }
}

fn found(
    site: &Site,
    asked: &JournalQuery,
    language: Language,
) -> anyhow::Result<(std::ops::Range<Timestamp>, Vec<Value>)> {
    let reader = site.reader();
    let end = reader.end()?.unwrap_or(Timestamp(0)) + Seconds(1);
    let until = moment(&asked.until).unwrap_or(end).min(end);
    let since = moment(&asked.since).unwrap_or(until - Seconds::hours(1));
    let since = since.clamp(until - LONGEST, until);
    let range = since..until;
    let mut found: Vec<(RecordId, &'static str, String)> = Vec::new();
    let takes = |text: &str| asked.service.is_empty() || text.contains(&asked.service);
    // Cycles without stories, as earlier versions wrote them, are followed from the checkpoint of
    // their day.
    let cycles = reader.cycles_in_brief(range.clone())?;
    let entries = match cycles {
        Some(_) => reader.plain_entries(range),
        None => reader.entries(range),
    };
    for entry in entries {
        let entry = entry?;
        let text = brief(&entry.kind, language);
        if is_asked_for(&entry.kind, asked) && takes(&text) {
            found.push((entry.id, entry.kind.tree(), text));
        }
    }
    if ["", "cycles", "decisions"].contains(&asked.kind.as_str()) {
        let told = cycles.into_iter().flatten().filter_map(|cycle| match cycle {
            Ok(cycle) if asked.kind == "decisions" && cycle.told.is_empty() => None,
            Ok(cycle) => Some(Ok((cycle.id.0, "cycles", cycle.brief().said(language)))),
            Err(fault) => Some(Err(fault)),
        });
        let fitting = told.filter(|cycle| cycle.as_ref().map_or(true, |(.., text)| takes(text)));
        for cycle in fitting.take(LINES) {
            found.push(cycle?);
        }
    }
    found.sort_by_key(|(id, ..)| std::cmp::Reverse(*id));
    found.truncate(LINES);
    let line = |(id, kind, text): (RecordId, &str, String)| {
        context! { id => id.to_string(), at => id.at().to_string(), kind, text => shortened(text) }
    };
    Ok((since..until, found.into_iter().map(line).collect()))
}

/// A line is read at one glance; the record has all of it.
fn shortened(text: String) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn is_asked_for(kind: &EntryKind, asked: &JournalQuery) -> bool {
    match asked.kind.as_str() {
        "decisions" => matches!(kind, EntryKind::Cycle(cycle) if !cycle.plan.actions.is_empty()),
        "orders" => matches!(kind, EntryKind::Intent(_) | EntryKind::Outcome(_)),
        "alerts" => matches!(kind, EntryKind::Alert(_)),
        "idle" => matches!(kind, EntryKind::Idle(_) | EntryKind::Usage(_)),
        "policies" => matches!(kind, EntryKind::Policy(..)),
        "cycles" => matches!(kind, EntryKind::Cycle(_)),
        _ => !matches!(kind, EntryKind::Samples(_) | EntryKind::Usage(_) | EntryKind::Stories(_)),
    }
}

/// A moment as an address or a form has it: `2026-03-02T09:05`, in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text)
        .or_else(|| Timestamp::parse(&format!("{text}:00Z")))
        .or_else(|| Timestamp::parse(&format!("{text}Z")))
}

struct Record {
    title: String,
    /// What a cycle decided.
    acted: Vec<Action>,
    text: String,
}

/// A record: of a cycle what it said, as long as that is written down.
fn read(reader: &Reader, id: RecordId, language: Language) -> anyhow::Result<Option<Record>> {
    if let Some(cycle) = reader.cycle_in_brief(CycleId(id))? {
        let acted = cycle.told.iter().filter_map(|told| told.action.clone()).collect();
        let mut text = String::new();
        for story in &cycle.told {
            if text.len() > RECORD_BYTES_MAX {
                break;
            }
            text += &format!("{:#}\n", explanation::json(story, Some(cycle.id)));
        }
        return Ok(Some(Record { title: cycle.brief().said(language), acted, text }));
    }
    let Some(entry) = reader.entry(id)? else { return Ok(None) };
    let acted = match &entry.kind {
        EntryKind::Cycle(cycle) => cycle.plan.actions.clone(),
        _ => Vec::new(),
    };
    let text = format!("{:#}", full_json(&entry));
    Ok(Some(Record { title: brief(&entry.kind, language), acted, text }))
}

/// Shows one record.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let Ok(record) = id.parse::<RecordId>() else { return absent(&site, &visit, &id) };
    let language = visit.language;
    let read = beside(&site, move |site| read(&site.reader(), record, language));
    match read.await {
        Ok(Some(Record { title, acted, mut text })) => {
            let cut = text.len() > RECORD_BYTES_MAX;
            if cut {
                let end = (0..=RECORD_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
                text.truncate(end.unwrap_or(0));
            }
            let service = |action: &Action| {
                let href = format!("/decision/{record}/{}", encoded(action.service.as_str()));
                let change = action.change.said(language);
                context! { text => format!("{} {change}", action.service), href }
            };
            let services: Vec<Value> = acted.iter().map(service).collect();
            let at = record.at().to_string();
            let of = context! { id, at, title, services, text, cut };
            site.page(&visit, "record.html", of)
        }
        Ok(None) => absent(&site, &visit, &id),
        Err(error) => broken(&site, &visit, &error),
    }
}
