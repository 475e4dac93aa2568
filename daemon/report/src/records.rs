//! Records of the journal: in a few words for lists, and with all they hold for machines.

use journal::{
    AlertEntry, CycleBrief, CycleId, CycleRecord, Entry, EntryKind, UsageDay, idle, stories,
};
use planner::Timestamp;
use planner::idle::usage::{HOUR, HOURS_A_DAY};
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
        EntryKind::Alert(AlertEntry::Sent { alert, channel, .. }) => {
            format!("alert {alert}: sent by `{channel}`")
        }
        EntryKind::Alert(AlertEntry::GaveUp { alert, channel, why, .. }) => {
            format!("alert {alert}: given up by `{channel}`, {why}")
        }
        EntryKind::Usage(days) => format!("usage: {} days of resources' signals", days.len()),
        EntryKind::Idle(body) => idle::brief(body),
        EntryKind::Shadow(body) => in_brief(shadow::read(body)),
        EntryKind::Stories(body) => stories::brief(body),
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

fn in_brief(entry: Result<shadow::ShadowEntry, String>) -> String {
    entry.map_or_else(|why| format!("unreadable: {why}"), |entry| entry.to_string())
}

/// What a record of the shadow holds; in words where JSON has no form for its keys.
fn in_full(entry: Result<shadow::ShadowEntry, String>) -> Value {
    match entry {
        Ok(entry) => serde_json::to_value(&entry).unwrap_or_else(|_| json!(format!("{entry:#?}"))),
        Err(why) => json!({ "unreadable": why }),
    }
}

fn told(stories: Result<stories::Stories, String>) -> Value {
    match stories {
        Ok(stories) => stories.told().iter().map(|story| explanation::json(story, None)).collect(),
        Err(why) => json!({ "unreadable": why }),
    }
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
        EntryKind::Idle(body) => idle::shown(body),
        EntryKind::Shadow(body) => in_full(shadow::read(body)),
        EntryKind::Stories(body) => told(stories::read(body)),
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
