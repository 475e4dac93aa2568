//! A cycle that has ended, as it is told.

use std::collections::BTreeMap;

use fleet::{Fault, ServiceName};
use journal::CycleId;
use planner::plan::{Action, Plan};
use planner::snapshot::{Observation, OrderResult, Snapshot};
use serde_json::{Value, json};

use crate::plan::plan_json;

/// A cycle that was recorded and carried out.
pub struct Turn {
    /// Its id in the journal.
    pub id: CycleId,
    /// What was seen.
    pub snapshot: Snapshot,
    /// What was decided.
    pub plan: Plan,
    /// How each action that was not a dry run ended.
    pub results: Vec<(Action, OrderResult)>,
}

/// Why a part of a service's demand could not be read, where older samples are still good enough: a
/// hold says so only once they are too old.
pub fn unread(turn: &Turn) -> impl Iterator<Item = (&ServiceName, &Fault)> {
    turn.snapshot.services.iter().filter_map(|(name, seen)| Some((name, unread_of(seen)?)))
}

/// Why nothing newer of a service's demand is known, where something is.
pub fn unread_of(seen: &Observation) -> Option<&Fault> {
    let known = seen.demand.settled.is_some() || !seen.demand.provisional.is_empty();
    seen.demand.fault.as_ref().filter(|_| known)
}

/// A turn for machines.
pub fn turn_json(turn: &Turn) -> Value {
    let results: Vec<Value> = turn
        .results
        .iter()
        .map(|(action, result)| {
            json!({ "service": action.service, "change": action.change, "result": result })
        })
        .collect();
    let mut value = plan_json(&turn.plan);
    value["cycle"] = json!(turn.id.to_string());
    value["taken_at"] = json!(turn.snapshot.taken_at.to_string());
    value["results"] = json!(results);
    let unread: BTreeMap<&str, String> =
        unread(turn).map(|(name, fault)| (name.as_str(), fault.to_string())).collect();
    if !unread.is_empty() {
        value["unread"] = json!(unread);
    }
    value
}
