//! What another policy would have done over a recorded time.

use std::collections::BTreeMap;
use std::ops::Range;

use fleet::{ServiceName, Timestamp};
use journal::{JournalFault, Reader};
use planner::policy::Policy;
use serde::Serialize;

use super::{Account, Doubts, Questioned, Shadow, rank};

/// Questionable decisions that are kept of a whole recorded time.
const QUESTIONED: usize = 200;

/// What another policy would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WhatIf {
    /// By service: what was recorded, and what would have been.
    pub accounts: BTreeMap<ServiceName, [Account; 2]>,
    /// Its most questionable decisions, the worst first.
    pub questioned: Vec<Questioned>,
    /// Cycles that were decided again.
    pub cycles: u64,
    /// The last one.
    pub until: Option<Timestamp>,
    /// Whether it was broken off before the end of the time.
    pub broken_off: bool,
}

/// Decides the recorded cycles of a time by another policy, on groups simulated from the lead
/// times. `stop` is asked before every cycle: once it says so, what there is so far is the answer.
///
/// # Errors
/// Where the journal cannot be read.
pub fn what_if(
    reader: &Reader,
    range: Range<Timestamp>,
    policy: &Policy,
    stop: &dyn Fn() -> bool,
) -> Result<WhatIf, JournalFault> {
    let mut told = WhatIf::default();
    let mut shadow: Option<Shadow> = None;
    let mut doubts = Doubts::default();
    for cycle in reader.cycles(range) {
        if stop() {
            told.broken_off = true;
            break;
        }
        let cycle = cycle?;
        let shadow = shadow.get_or_insert_with(|| Shadow::new(cycle.memory_before.clone()));
        let step = shadow.step(policy, &cycle.snapshot, &cycle.plan.actions);
        for row in &step.compared {
            if row.capacity.is_some() || row.real.changes + row.other.changes > 0 {
                let [real, other] = told.accounts.entry(row.service.clone()).or_default();
                real.add(&row.real);
                other.add(&row.other);
            }
        }
        told.questioned.extend(doubts.take(
            cycle.id,
            policy,
            shadow.memory(),
            &cycle.snapshot,
            &step,
        ));
        if told.questioned.len() > 2 * QUESTIONED {
            told.questioned = rank(std::mem::take(&mut told.questioned), QUESTIONED);
        }
        told.cycles += 1;
        told.until = Some(cycle.taken_at());
    }
    told.questioned = rank(told.questioned, QUESTIONED);
    Ok(told)
}
