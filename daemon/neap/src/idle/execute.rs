//! Gives one order to one machine; chooses nothing.
//!
//! No cloud compares and sets. So each order is: look at the switch, read afresh, check, rehearse,
//! order.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::resource::{Power, Resource};
use fleet::usage::{HOUR, Signal};
use fleet::{FaultKind, Seconds, Timestamp};
use planner::idle::plan::{PowerAction, Verb};
use planner::idle::reasons::LastLook;
use planner::idle::rule::IdlePolicy;
use planner::idle::snapshot::PowerResult;
use providers::{Deadline, Estate, PowerOrder};

use super::hours::queries;

/// How long one order may take.
const ORDER_WITHIN: Duration = Duration::from_secs(45);
/// The newest samples that an idle machine must have kept its limits in, and how fine they are.
const NEWEST: Seconds = Seconds::hours(3);
const NEWEST_STEP: Seconds = Seconds(300);

/// What an order is given under.
pub struct Terms<'a> {
    /// The policy in force.
    pub policy: &'a IdlePolicy,
    /// The machine's cloud.
    pub estate: &'a dyn Estate,
    /// Asked immediately before every single call that changes something.
    pub permitted: &'a (dyn Fn() -> bool + Send + Sync),
    pub now: Timestamp,
}

/// Carries out one action and says how it ended.
pub async fn carry_out(action: &PowerAction, decision: &str, terms: &Terms<'_>) -> PowerResult {
    let deadline = Deadline::within(ORDER_WITHIN);
    let fresh = match terms.estate.resource(&action.resource, deadline).await {
        Ok(fresh) => fresh,
        Err(fault) if fault.kind == FaultKind::Missing => {
            return PowerResult::Moved { found: LastLook::Gone.into() };
        }
        Err(fault) => return PowerResult::Failed { fault },
    };
    let newest = match action.verb {
        Verb::Stop(_) if !action.limits.0.is_empty() => {
            match newest(&fresh, terms, deadline).await {
                Ok(newest) => newest,
                Err(result) => return result,
            }
        }
        _ => BTreeMap::new(),
    };
    if let Err(hold) = planner::idle::recheck(terms.policy, action, &fresh, &newest) {
        return PowerResult::Moved { found: LastLook::Held(Box::new(hold)).into() };
    }
    if !(terms.permitted)() {
        return PowerResult::Withheld;
    }
    let switch = terms.estate.switch(&action.resource);
    let order = match action.verb {
        Verb::Stop(mode) => PowerOrder::Stop(mode),
        Verb::Start => PowerOrder::Start,
    };
    if let Err(fault) = switch.rehearse(order, deadline).await {
        return PowerResult::Failed { fault };
    }
    if !(terms.permitted)() {
        return PowerResult::Withheld;
    }
    match switch.order(order, decision, deadline).await {
        Ok(()) => PowerResult::Taken,
        Err(fault) if fault.kind == FaultKind::Unconfirmed => look(action, terms).await,
        Err(fault) => PowerResult::Failed { fault },
    }
}

/// No answer came: whether the order was taken shows by the machine, at once or at a later look.
async fn look(action: &PowerAction, terms: &Terms<'_>) -> PowerResult {
    let deadline = Deadline::within(ORDER_WITHIN);
    let there = match terms.estate.resource(&action.resource, deadline).await {
        Ok(resource) => effect(action, &resource.power).filter(|there| *there),
        Err(_) => None,
    };
    PowerResult::Unconfirmed { effect_seen: there }
}

/// Whether a machine's state shows that an order was taken; `None` where it shows nothing.
pub fn effect(action: &PowerAction, power: &Power) -> Option<bool> {
    let up = action.verb == Verb::Start;
    match power {
        Power::Running => Some(up),
        Power::Starting => up.then_some(true),
        Power::Stopped { .. } => Some(!up),
        Power::Stopping => (!up).then_some(true),
        Power::Gone | Power::Other(_) => None,
    }
}

async fn newest(
    resource: &Resource,
    terms: &Terms<'_>,
    deadline: Deadline,
) -> Result<BTreeMap<Signal, f64>, PowerResult> {
    let queries = queries(resource);
    let from = Timestamp((terms.now - NEWEST).0.div_euclid(HOUR) * HOUR);
    let answers = terms.estate.usage(&queries, from, terms.now, NEWEST_STEP, deadline).await;
    let mut newest = BTreeMap::new();
    for (query, answer) in queries.iter().zip(answers) {
        let samples = answer.map_err(|fault| PowerResult::Failed { fault })?;
        let worst =
            samples.iter().map(|sample| sample.value).reduce(|a, b| query.signal.fold(a, b));
        newest.extend(worst.map(|worst| (query.signal, worst)));
    }
    Ok(newest)
}
