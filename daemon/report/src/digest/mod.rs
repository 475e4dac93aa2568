//! The digest: what was done in a day or a week, and what waits for somebody, told without anybody
//! having asked.
//!
//! [`Standing`] is taken from the running daemon, [`Facts`] from its journal and scorecards; [`words`]
//! and [`chart`] are pure functions of these. [`Desk`] makes what is due, and the outbox of alerts
//! brings it to its channel.

pub mod chart;
mod desk;
mod facts;
#[cfg(test)]
mod tests;
mod words;

use fleet::Timestamp;
use fleet::alert::{Alert, Severity};

pub use desk::Desk;
pub use facts::{Facts, IdleFacts, Orders, ServiceFacts, Standing};
pub use words::{Words, words};

use config::{AlertChannel, Span};
use journal::records::Dispatch;

/// What a channel is sent: the words, and the chart where it takes one.
fn posts(
    channel: &AlertChannel,
    span: Span,
    facts: &Facts,
    now: Timestamp,
) -> Vec<(Alert, Dispatch)> {
    let Words { title, lines, names } = words(span, facts);
    let alert = Alert {
        key: span.key(&channel.name),
        severity: Severity::Info,
        at: now,
        title: title.clone(),
        lines,
        subject: None,
        owner: None,
    };
    let dispatch = |names, chart| Dispatch { channel: channel.name.clone(), names, chart };
    let mut posts = vec![(alert.clone(), dispatch(names, None))];
    if channel.takes_charts() && !facts.chart.days.is_empty() {
        let key = format!("{}/chart", alert.key);
        let chart =
            Alert { key, title: format!("chart of the {title}"), lines: Vec::new(), ..alert };
        posts.push((chart, dispatch(Vec::new(), Some(facts.chart.clone()))));
    }
    posts
}
