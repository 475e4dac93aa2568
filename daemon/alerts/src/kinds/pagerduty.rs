//! PagerDuty: an event of the Events API v2, known by what it is about.
//!
//! Alerts about the same share a `dedup_key`, so that a repeat opens nothing new, and one that says
//! that it is over resolves what the other opened.
//! [developer.pagerduty.com: events-API-v2, send an alert event]

use fleet::alert::Severity;
use serde_json::{Map, Value, json};

use super::{key_of, link, text, word};
use crate::body::AlertParts;

/// Characters of a `dedup_key`.
const KEY_MAX: usize = 255;
/// Characters of a summary.
const SUMMARY_MAX: usize = 1024;
/// Characters of any other text; an event has 512 KB, and [`LINES_MAX`] of these keep far below.
const TEXT_MAX: usize = 1000;
/// Lines of an alert.
const LINES_MAX: usize = 50;

pub(super) fn body(routing_key: &str, id: &str, told: &AlertParts, base: Option<&str>) -> Value {
    let dedup_key = key_of(told, KEY_MAX, char::len_utf16);
    if told.over {
        return json!({
            "routing_key": routing_key,
            "event_action": "resolve",
            "dedup_key": dedup_key,
        });
    }
    let title = told.title.as_deref().unwrap_or("an alert of neap");
    let subject = told.subject.as_deref().map(cut).filter(|subject| !subject.is_empty());
    let mut details = Map::new();
    details.insert("id".to_owned(), json!(id));
    if !told.lines.is_empty() {
        let lines: Vec<String> = told.lines.iter().take(LINES_MAX).map(|line| cut(line)).collect();
        details.insert("lines".to_owned(), json!(lines));
    }
    for (name, value) in [("key", &told.key), ("owner", &told.owner)] {
        if let Some(value) = value {
            details.insert(name.to_owned(), json!(cut(value)));
        }
    }
    let mut payload = json!({
        "summary": text::cut(&text::plain(title), SUMMARY_MAX, char::len_utf16),
        "source": subject.unwrap_or_else(|| "neap".to_owned()),
        "severity": severity(told.severity),
        "custom_details": details,
    });
    if let Some(at) = told.at {
        payload["timestamp"] = json!(at.to_string());
    }
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "neap",
        "payload": payload,
    });
    if let Some(base) = base {
        let href = link(base, told.subject.as_deref());
        event["client_url"] = json!(base);
        event["links"] = json!([{ "href": href, "text": "Open" }]);
    }
    event
}

fn cut(words: &str) -> String {
    text::cut(&text::plain(words), TEXT_MAX, char::len_utf16).into_owned()
}

/// One has to be named: where it may not leave, the one that neap never means.
fn severity(severity: Option<Severity>) -> &'static str {
    severity.map_or("error", word)
}
