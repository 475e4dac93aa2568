//! What a cycle says of a service, as it is written down: values, and no words.

use std::collections::BTreeMap;
use std::fmt;

use fleet::{ServiceName, Timestamp};
use planner::lead::Lead;
use planner::memory::ViolationAccount;
use planner::plan::{Action, Finding, Plan, Sizing};
use planner::policy::{Actuate, Policy, ServicePolicy};
use planner::snapshot::{Observation, OrderResult, Snapshot};
use planner::stage::StageMemory;
use planner::{Memory, WrittenBecause};
use serde::{Deserialize, Serialize};

/// All that is said about one service in one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub service: ServiceName,
    /// When its cycle looked.
    pub taken_at: Timestamp,
    /// What was seen of it; `None` where it was not looked at.
    pub seen: Option<Observation>,
    /// What was to be done.
    pub action: Option<Action>,
    /// Why nothing, or not more, was done.
    pub findings: Vec<Finding>,
    /// When it is looked at again.
    pub next: Timestamp,
    /// Since when the verdict stands, where that was looked up.
    pub since: Option<Timestamp>,
    /// How its order ended, where that is known.
    pub outcome: Option<OrderResult>,
    /// What was promised and how it was kept, where that is known.
    pub promise: Option<Promise>,
    /// How far it is on its way to acting; `None` where its configuration alone decides.
    pub stage: Option<StageMemory>,
    /// Where the lead time is from; it is made anew from the cycle and not kept.
    #[serde(skip)]
    pub lead: Option<Lead>,
    /// Which number of its group is written, and why, where that is known: it is kept with no record.
    #[serde(
        default,
        with = "planner::behind",
        skip_serializing_if = "planner::behind::is_nothing"
    )]
    pub writes: Option<(Actuate, WrittenBecause)>,
    /// What its demand is counted in. What was written down of old does not say.
    #[serde(skip)]
    pub load: Load,
}

/// What a demand is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// So many a second, in the service's own unit.
    #[default]
    PerSecond,
    /// Units that would be busy if each of them were fully so.
    BusyUnits,
}

impl Load {
    /// What a service's demand is counted in.
    pub fn of(service: &ServicePolicy) -> Load {
        if service.busy_units().is_some() { Load::BusyUnits } else { Load::PerSecond }
    }
}

/// What was promised, and how it was kept in the last 28 days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// The share of intervals that may exceed capacity.
    pub promised: f64,
    /// The share that did.
    pub missed: f64,
    /// Over so many days.
    pub days: f64,
}

impl Promise {
    /// Of a service; `None` where nothing was judged yet.
    pub fn of(policy: &ServicePolicy, account: &ViolationAccount) -> Option<Promise> {
        let days = account.quarters.len() as f64 / 4.0;
        let (intervals, violations) = account.totals();
        let promised = policy.violation_budget.fraction();
        let missed = violations as f64 / intervals as f64;
        (intervals > 0).then_some(Promise { promised, missed, days })
    }

    /// Judged from a day on: a single bad hour is no broken promise of 28 days.
    pub fn is_broken(&self) -> bool {
        self.days >= 1.0 && self.missed > self.promised
    }

    /// The share that was missed and the share that was promised, in percent.
    pub fn percent(&self) -> (String, String) {
        (format!("{:.2}%", self.missed * 100.0), format!("{}%", self.promised * 100.0))
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missed, promised) = self.percent();
        write!(f, "{missed} of {} days missed, {promised} promised", self.days)
    }
}

impl Explanation {
    /// What a cycle that has just ended says of a service.
    pub fn new(
        service: &ServiceName,
        snapshot: &Snapshot,
        plan: &Plan,
        (policy, memory): (&Policy, &Memory),
    ) -> Explanation {
        let action = plan.actions.iter().find(|action| &action.service == service);
        let mine = |finding: &&Finding| finding.service.as_ref() == Some(service);
        let findings = plan.findings.iter().filter(mine);
        Explanation::with(service, action, findings, snapshot, (policy, memory))
    }

    /// What it says of every service that it acts on, in the order of its plan.
    pub fn of_actions(
        snapshot: &Snapshot,
        plan: &Plan,
        known: (&Policy, &Memory),
    ) -> Vec<Explanation> {
        let mut found: BTreeMap<&ServiceName, Vec<&Finding>> = BTreeMap::new();
        for finding in &plan.findings {
            if let Some(service) = &finding.service {
                found.entry(service).or_default().push(finding);
            }
        }
        let acted = plan.actions.iter().map(|action| {
            let findings = found.get(&action.service).into_iter().flatten().copied();
            Explanation::with(&action.service, Some(action), findings, snapshot, known)
        });
        acted.collect()
    }

    fn with<'a>(
        service: &ServiceName,
        action: Option<&Action>,
        findings: impl Iterator<Item = &'a Finding>,
        snapshot: &Snapshot,
        (policy, memory): (&Policy, &Memory),
    ) -> Explanation {
        let known = policy.services.get(service).zip(memory.services.get(service));
        Explanation {
            writes: None,
            service: service.clone(),
            taken_at: snapshot.taken_at,
            seen: snapshot.services.get(service).cloned(),
            action: action.cloned(),
            findings: findings.cloned().collect(),
            next: snapshot.taken_at + policy.poll_interval,
            since: None,
            outcome: None,
            promise: known.and_then(|(policy, own)| Promise::of(policy, &own.violations)),
            stage: memory.stages.service(service).cloned(),
            lead: None,
            load: policy.services.get(service).map(Load::of).unwrap_or_default(),
        }
    }

    /// With the number that is written, and why.
    pub fn writing(self, policy: &Policy) -> Explanation {
        let view = self.seen.as_ref().and_then(|seen| seen.group.as_ref().ok());
        let known = policy.services.get(&self.service).zip(view);
        let writes = known.map(|(service, view)| planner::written_because(service, view));
        Explanation { writes, ..self }
    }

    /// With how its order ended, and since when its verdict stands.
    pub fn ended(self, outcome: Option<OrderResult>, since: Option<Timestamp>) -> Explanation {
        Explanation { outcome, since, ..self }
    }

    /// The numbers behind it, where there are any.
    pub fn sizing(&self) -> Option<&Sizing> {
        let found = || self.findings.iter().find_map(|finding| finding.sizing.as_ref());
        self.action.as_ref().map(|action| &action.sizing).or_else(found)
    }

    /// The promise, where it is not kept.
    pub fn broken(&self) -> Option<&Promise> {
        self.promise.as_ref().filter(|promise| promise.is_broken())
    }
}
