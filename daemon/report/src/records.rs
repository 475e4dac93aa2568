//! Records of the journal: in a few words for lists, and with all they hold for machines.

use std::fmt::{Debug, Display};

use fleet::Timestamp;
use fleet::usage::{HOUR, HOURS_A_DAY};
use journal::{
    AlertEntry, BadBody, CycleBrief, CycleId, CycleRecord, Entry, EntryKind, UsageDay, idle,
    stories,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ending, explanation};

/// A record in a few words.
pub fn brief(kind: &EntryKind) -> String {
    match kind {
        EntryKind::Cycle(cycle) => {
            CycleBrief::of(cycle.snapshot.services.len(), &cycle.plan.actions).to_string()
        }
        EntryKind::Samples(batches) => {
            let samples: usize = batches.iter().map(|batch| batch.samples.len()).sum();
            format!("samples: {samples} of {} metrics", batches.len())
        }
        EntryKind::Intent(intent) => {
            format!("intent {}: {} {}", intent.id, intent.service, intent.change)
        }
        EntryKind::Outcome(outcome) => {
            format!("outcome of {}: {}", outcome.id, ending(&outcome.result))
        }
        EntryKind::Checkpoint { memory, open } => format!(
            "checkpoint: memory of {} services, {} open intents",
            memory.services.len(),
            open.len()
        ),
        EntryKind::Policy(digest, policy) => {
            format!("policy {digest}: {} services", policy.policy.services.len())
        }
        EntryKind::Alert(AlertEntry::Raised(alert)) => format!("alert: {}", alert.title),
        EntryKind::Alert(AlertEntry::Digest(alert, digest)) => {
            format!("alert for `{}`: {}", digest.channel, alert.title)
        }
        EntryKind::Alert(AlertEntry::Notice(notice)) => format!("alert: {}", notice.alert.title),
        EntryKind::Alert(AlertEntry::Conditions(open)) => {
            format!("conditions: {} open, {} told", open.threads.len(), open.told().count())
        }
        EntryKind::Alert(AlertEntry::Sent { alert, channel, .. }) => {
            format!("alert {alert}: sent by `{channel}`")
        }
        EntryKind::Alert(AlertEntry::GaveUp { alert, channel, why, .. }) => {
            format!("alert {alert}: given up by `{channel}`, {why}")
        }
        EntryKind::Usage(days) => format!("usage: {} days of resources' signals", days.len()),
        EntryKind::Idle(body) => in_brief(idle::read(body)),
        EntryKind::Shadow(body) => in_brief(shadow::read(body)),
        EntryKind::Stories(body) => in_brief(stories::read(body)),
    }
}

/// A record in a few words, for machines.
pub fn brief_json(entry: &Entry) -> Value {
    let mut value = json!({
        "id": entry.id.to_string(),
        "tree": entry.kind.tree(),
        "at": entry.id.at().to_string(),
    });
    if let EntryKind::Cycle(cycle) = &entry.kind {
        value["services"] = json!(cycle.snapshot.services.len());
        value["actions"] = json!(cycle.plan.actions);
    } else {
        value["what"] = json!(brief(&entry.kind));
    }
    value
}

/// The content of a record whose content others than the journal define.
fn in_brief(content: Result<impl Display, BadBody>) -> String {
    content.map_or_else(|why| format!("unreadable: {why}"), |content| content.to_string())
}

/// The same with all it holds, as `shown` has it.
fn in_full<T>(content: Result<T, BadBody>, shown: impl FnOnce(T) -> Value) -> Value {
    content.map_or_else(|why| json!({ "unreadable": why.to_string() }), shown)
}

/// A content as it is; in words where JSON has no form for its keys.
fn as_it_is(content: impl Serialize + Debug) -> Value {
    serde_json::to_value(&content).unwrap_or_else(|_| json!(format!("{content:#?}")))
}

fn told(stories: stories::Stories) -> Value {
    stories.told().iter().map(|story| explanation::json(story, None)).collect()
}

/// A record with all it holds.
pub fn full_json(entry: &Entry) -> Value {
    let record = match &entry.kind {
        EntryKind::Cycle(cycle) => cycle_json(cycle),
        EntryKind::Samples(batches) => batches
            .iter()
            .map(|batch| {
                json!({
                    "metric": batch.metric,
                    "seen_at": batch.seen_at.to_string(),
                    "samples": batch.samples,
                })
            })
            .collect(),
        EntryKind::Intent(intent) => json!({
            "decision": intent.id.to_string(),
            "at": intent.at.to_string(),
            "service": intent.service,
            "group": intent.group,
            "change": intent.change,
        }),
        EntryKind::Outcome(outcome) => json!({
            "decision": outcome.id.to_string(),
            "at": outcome.at.to_string(),
            "result": outcome.result,
        }),
        EntryKind::Checkpoint { memory, open } => json!({ "memory": memory, "open": open }),
        EntryKind::Policy(digest, policy) => json!({
            "digest": digest.to_string(),
            "policy": policy.policy,
            "source": policy.source,
        }),
        EntryKind::Alert(entry) => alert_json(entry),
        EntryKind::Usage(days) => days.iter().map(usage_json).collect(),
        EntryKind::Idle(body) => in_full(idle::read(body), as_it_is),
        EntryKind::Shadow(body) => in_full(shadow::read(body), as_it_is),
        EntryKind::Stories(body) => in_full(stories::read(body), told),
    };
    json!({
        "id": entry.id.to_string(),
        "tree": entry.kind.tree(),
        "at": entry.id.at().to_string(),
        "record": record,
    })
}

fn alert_json(entry: &AlertEntry) -> Value {
    match entry {
        AlertEntry::Raised(alert) => json!({ "raised": alert }),
        AlertEntry::Digest(alert, digest) => json!({ "digest": { "raised": alert, "of": digest } }),
        AlertEntry::Notice(notice) => json!({
            "raised": notice.alert,
            "zh": { "title": notice.title_zh, "lines": notice.lines_zh },
        }),
        AlertEntry::Conditions(open) => {
            let threads = open.threads.iter();
            let all = threads.map(|(key, standing)| {
                json!({ "condition": key.of.word(), "scope": key.scope, "standing": standing })
            });
            json!({ "conditions": all.collect::<Vec<_>>(), "owed": open.owed })
        }
        AlertEntry::Sent { alert, channel, at } => json!({
            "sent": { "alert": alert.to_string(), "channel": channel, "at": at.to_string() },
        }),
        AlertEntry::GaveUp { alert, channel, at, why } => json!({
            "gave_up": {
                "alert": alert.to_string(),
                "channel": channel,
                "at": at.to_string(),
                "why": why,
            },
        }),
    }
}

/// A day's hours as values; null where there was no sample.
fn usage_json(day: &UsageDay) -> Value {
    let hours: Vec<Option<f64>> =
        (0..HOURS_A_DAY).map(|hour| day.hours.get(hour).value()).collect();
    let start = Timestamp(day.day * HOUR * HOURS_A_DAY as i64);
    json!({
        "resource": day.resource,
        "signal": day.signal.word(),
        "day": start.to_string(),
        "hours": hours,
    })
}

fn cycle_json(cycle: &CycleRecord) -> Value {
    let CycleRecord {
        id: CycleId(_),
        policy,
        planner_revision,
        snapshot,
        plan,
        memory_before: _,
        memory_after,
    } = cycle;
    json!({
        "taken_at": snapshot.taken_at.to_string(),
        "policy": policy.to_string(),
        "planner_revision": planner_revision,
        "snapshot": snapshot,
        "plan": plan,
        "memory": memory_after,
    })
}

#[cfg(test)]
mod tests {
    use journal::RecordId;

    use super::*;

    /// Each kind of content that others than the journal define, as its bytes.
    fn each(bytes: [&[u8]; 3]) -> [EntryKind; 3] {
        let [idle, shadow, stories] = bytes.map(<[u8]>::to_vec);
        [EntryKind::Idle(idle), EntryKind::Shadow(shadow), EntryKind::Stories(stories)]
    }

    fn shown(kind: EntryKind) -> Value {
        full_json(&Entry { id: RecordId::FIRST, kind })["record"].clone()
    }

    #[test]
    fn what_others_define_is_told_in_words_and_as_json() {
        // No verdicts; what `li` asked for in 1970, which is to demote everything; three services,
        // none of them acted on.
        let kinds = each([&[2, 0], &[1, 2, b'l', b'i', 0, 4], &[0, 3, 0]]);
        let told = ["idle: 0 verdicts", "li demotes everything", "stories of 0 services"];
        assert_eq!(kinds.each_ref().map(brief), told);
        let asked = json!({ "Asked": { "by": "li", "at": 0, "ask": "demote_all" } });
        assert_eq!(kinds.map(shown), [json!({ "Verdicts": [] }), asked, json!([])]);
    }

    #[test]
    fn what_cannot_be_read_says_why_in_words_and_as_json() {
        let kinds = each([&[2], &[1, 2, b'l'], &[0, 3]]);
        let why = "Hit the end of buffer, expected more data";
        for kind in &kinds {
            assert_eq!(brief(kind), format!("unreadable: {why}"));
        }
        assert_eq!(kinds.map(shown), [(); 3].map(|()| json!({ "unreadable": why })));
    }
}
