//! Alertmanager: alerts of its API v2, known by their labels.
//!
//! Prometheus sends what holds again and again, and what it does not send ends. neap sends once, so
//! each alert says itself when it ends: a day later, unless another ends it before.
//! [prometheus.io/docs/alerting/latest/alerts_api; alertmanager: api/v2/openapi.yaml]

use fleet::{Seconds, Timestamp};
use serde_json::{Map, Value, json};

use super::{key_of, link, text, word};
use crate::body::AlertParts;

/// Alerts of a request.
pub(super) const ALERTS_MAX: usize = 64;
/// How long an alert is shown.
const SHOWN: Seconds = Seconds::days(1);
/// Bytes of a label's value: labels are kept in memory and indexed.
const LABEL_MAX: usize = 256;
/// Bytes of an annotation.
const ANNOTATION_MAX: usize = 2048;

pub(super) fn alert(id: &str, told: &AlertParts, base: Option<&str>, now: Timestamp) -> Value {
    let severity = told.severity.map(|severity| word(severity).to_owned());
    let labels = [
        ("alertname", Some("neap".to_owned())),
        ("neap_key", Some(key_of(told, LABEL_MAX, char::len_utf8))),
        ("severity", severity),
        ("subject", told.subject.as_deref().map(text::plain)),
        ("owner", told.owner.as_deref().map(text::plain)),
    ];
    let lines: Vec<String> = told.lines.iter().map(|line| text::plain(line)).collect();
    let title = text::plain(told.title.as_deref().unwrap_or("an alert of neap"));
    let annotations = [
        ("summary", Some(title)),
        ("description", Some(lines.join("\n"))),
        ("neap_id", Some(id.to_owned())),
    ];
    let began = told.at.unwrap_or(now);
    let ends = if told.over { began } else { Timestamp(began.0.max(now.0)) + SHOWN };
    let mut alert = json!({
        "labels": named(&labels, LABEL_MAX),
        "annotations": named(&annotations, ANNOTATION_MAX),
        "startsAt": began.to_string(),
        "endsAt": ends.to_string(),
    });
    if let Some(base) = base {
        alert["generatorURL"] = json!(link(base, told.subject.as_deref()));
    }
    alert
}

/// Those that say something, cut to a length.
fn named(pairs: &[(&str, Option<String>)], bytes_max: usize) -> Value {
    let pairs = pairs.iter().filter_map(|(name, value)| {
        let value = text::cut(value.as_deref()?, bytes_max, char::len_utf8);
        (!value.is_empty()).then(|| ((*name).to_owned(), json!(value)))
    });
    Value::Object(pairs.collect::<Map<String, Value>>())
}
