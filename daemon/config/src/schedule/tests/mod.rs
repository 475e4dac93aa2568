//! Hours, zones and tags, case by case.

mod custodian;
mod grammar;
mod walker;
mod zones;

use std::collections::BTreeMap;

use fleet::Timestamp;
use planner::idle::schedule::Span;

use super::{UpHours, UpWindow};
use crate::Zone;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn covers(from: &str, until: &str) -> Span {
    Span { from: at(from), until: at(until) }
}

fn hours(zone: &str, up: &[&str]) -> UpHours {
    UpHours {
        timezone: Zone::new(zone).unwrap(),
        up: up.iter().map(|text| UpWindow::parse(text).unwrap()).collect(),
        calendar: None,
        exceptions: BTreeMap::new(),
    }
}

/// Spans as a line, to the minute.
fn shown(spans: &[Span]) -> String {
    let minute = |at: Timestamp| at.to_string().replace(":00Z", "Z");
    let one = |span: &Span| format!("{}/{}", minute(span.from), minute(span.until));
    spans.iter().map(one).collect::<Vec<_>>().join(" ")
}
