//! Decisions that a reviewer should look at first: what demand did after them.

use std::collections::VecDeque;

use fleet::{Change, Seconds, ServiceName, Timestamp, Units};
use journal::CycleId;
use planner::Memory;
use planner::policy::Policy;
use planner::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

use super::{Compared, Step};

/// A decision may differ from the scaler in charge by so many percent before it is questioned.
const DIFFERS_BY_PERCENT: u32 = 25;
/// Decisions of a service that are watched at the same time.
const WATCHED_A_SERVICE: usize = 64;

/// Why a decision is questionable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Units were taken away, and within the lead and hold window demand asked for more than was
    /// left.
    TooSmall {
        /// The most units that demand asked for.
        needed: Units,
    },
    /// Units were added, and within the lead and hold window demand never asked for one of them.
    NeverNeeded {
        /// The most units that demand asked for.
        needed: Units,
    },
    /// The scaler in charge kept the group at quite another size.
    Differs { actual: Units },
}

impl Doubt {
    /// The doubt's name, for lists.
    pub fn word(&self) -> &'static str {
        match self {
            Doubt::TooSmall { .. } => "too_small",
            Doubt::NeverNeeded { .. } => "never_needed",
            Doubt::Differs { .. } => "differs",
        }
    }
}

/// A decision, and why it is questionable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questioned {
    pub service: ServiceName,
    pub at: Timestamp,
    /// In which cycle: its story is in the journal.
    pub cycle: CycleId,
    /// What would have been changed.
    pub change: Change,
    /// Why it is questionable.
    pub doubt: Doubt,
    /// How questionable, for ranking: what is short of demand is 1000 to 2000, by the share that
    /// was missing; waste is at most 1000, by the share of units that nobody needed; a difference
    /// alone at most 500.
    pub severity: u32,
}

/// The most questionable decisions, the worst first, then the oldest.
pub fn rank(mut questioned: Vec<Questioned>, most: usize) -> Vec<Questioned> {
    questioned.sort_by(|a, b| {
        let by_time = || (a.at, &a.service).cmp(&(b.at, &b.service));
        b.severity.cmp(&a.severity).then_with(by_time)
    });
    questioned.truncate(most);
    questioned
}

/// A decision whose window has not passed.
#[derive(Clone, Debug, PartialEq)]
struct Watched {
    service: ServiceName,
    at: Timestamp,
    cycle: CycleId,
    change: Change,
    /// Demand of later intervals does not speak of it.
    until: Timestamp,
    /// The most units that demand asked for; `None` until an interval has settled.
    needed: Option<u32>,
    actual: Option<u32>,
}

/// Decisions that are being watched, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doubts {
    watched: std::collections::BTreeMap<ServiceName, VecDeque<Watched>>,
}

impl Doubts {
    /// Takes in a cycle; the decisions that turned out questionable.
    pub fn take(
        &mut self,
        cycle: CycleId,
        policy: &Policy,
        memory: &Memory,
        snapshot: &Snapshot,
        step: &Step,
    ) -> Vec<Questioned> {
        let mut questioned = Vec::new();
        self.watched.retain(|name, watched| {
            let Some(seen) = snapshot.services.get(name) else { return false };
            let Some(capacity) = super::capacity(memory, policy, name).filter(|c| *c > 0.0) else {
                return false;
            };
            for point in &seen.demand.newly_settled {
                let needed = (point.value / capacity - 1e-9).ceil().clamp(0.0, 1e9) as u32;
                for one in watched.iter_mut() {
                    if point.start >= one.at && point.start < one.until {
                        one.needed = Some(one.needed.unwrap_or(0).max(needed));
                    }
                }
            }
            // Its last interval has settled, or nothing arrives any more.
            let settled = seen.demand.settled.map_or(Timestamp(0), |point| point.start);
            let step = seen.demand.step.span();
            while let Some(one) = watched.front()
                && (settled + step >= one.until
                    || snapshot.taken_at >= one.until + Seconds::hours(1))
            {
                questioned.extend(watched.pop_front().and_then(|one| one.judged()));
            }
            !watched.is_empty()
        });
        for action in &step.plan.actions {
            let Some(service) = policy.services.get(&action.service) else { continue };
            let own = memory.services.get(&action.service);
            let window = planner::window(&service.pool, own, policy.poll_interval, Seconds::ZERO);
            let row = step.compared.binary_search_by(|row| row.service.cmp(&action.service));
            let actual = row.ok().and_then(|row| step.compared[row].desired);
            let watched = self.watched.entry(action.service.clone()).or_default();
            watched.push_back(Watched {
                service: action.service.clone(),
                at: snapshot.taken_at,
                cycle,
                change: action.change,
                until: snapshot.taken_at + window.lead() + window.hold,
                needed: None,
                actual,
            });
            if watched.len() > WATCHED_A_SERVICE {
                watched.pop_front();
            }
        }
        questioned
    }
}

impl Watched {
    /// What is questionable about it, where anything is.
    fn judged(self) -> Option<Questioned> {
        let (from, to) = (self.change.from().0, self.change.to().0);
        let per_mille = |part: u32, of: u32| {
            u32::try_from(u64::from(part) * 1000 / u64::from(of.max(1))).unwrap_or(u32::MAX)
        };
        let (doubt, severity) = match (self.needed, self.actual) {
            (Some(needed), _) if to < from && needed > to => {
                let severity = 1000 + per_mille(needed - to, needed);
                (Doubt::TooSmall { needed: Units(needed) }, severity)
            }
            (Some(needed), _) if to > from && needed <= from => {
                (Doubt::NeverNeeded { needed: Units(needed) }, per_mille(to - needed, to))
            }
            (_, Some(actual))
                if to.abs_diff(actual) > 1
                    && per_mille(to.abs_diff(actual), actual) > 10 * DIFFERS_BY_PERCENT =>
            {
                let differs = per_mille(to.abs_diff(actual), to.max(actual));
                (Doubt::Differs { actual: Units(actual) }, differs / 2)
            }
            _ => return None,
        };
        let Watched { service, at, cycle, change, .. } = self;
        Some(Questioned { service, at, cycle, change, doubt, severity })
    }
}

impl Compared {
    /// Whether the two sizes are known and differ.
    pub fn differs(&self) -> bool {
        self.desired.zip(self.would).is_some_and(|(desired, would)| desired != would)
    }
}
