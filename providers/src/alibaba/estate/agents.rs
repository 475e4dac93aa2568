//! Which instances have an agent inside that measures what the hypervisor cannot see.

use std::collections::{BTreeMap, BTreeSet};

use fleet::usage::Signal;
use fleet::{Seconds, Step};

use super::usage::{self, INSTANCE, NAMESPACE};
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::metrics::{self, Asking};

/// How often agents are asked for, whatever came of it.
const EVERY: Seconds = Seconds::hours(1);
/// The period of the values asked for.
const PERIOD: u32 = 3600;
/// How far back an answer counts.
const SPAN: Seconds = Seconds::hours(2);
/// What agents measure.
const MEASURED: [Signal; 3] = [Signal::Memory, Signal::Connections, Signal::Gpu];

/// By instance, what its agent measured within two hours, or ever since this process began: a
/// machine that is stopped has not lost its agent.
///
/// Three calls an hour, and one more for each 1,440 hourly values there are. Where they fail, no
/// agent is known of: a rule that requires its signals holds.
pub(super) async fn of(seat: &Seat, deadline: Deadline) -> BTreeMap<String, BTreeSet<Signal>> {
    let now = seat.now();
    if seat.estate().ask_agents(now, EVERY) {
        let Some(hour) = Step::new(PERIOD) else { return BTreeMap::new() };
        let window = ((now - SPAN).floor_to(hour), now.floor_to(hour) + hour.span());
        for signal in MEASURED {
            let Some(metric) = usage::of_agent(signal) else { continue };
            let all = Asking { namespace: NAMESPACE, metric, period: hour, resources: None };
            let answering = metrics::named(seat, &all, INSTANCE, window, deadline).await;
            let mut estate = seat.estate();
            for instance in answering.unwrap_or_default() {
                estate.agents.entry(instance).or_default().insert(signal);
            }
        }
    }
    seat.estate().agents.clone()
}
