//! What the journal keeps of idle resources: looks by what changed in them, orders and their ends.

use std::collections::BTreeMap;
use std::fmt;

use fleet::money::Saving;
use fleet::resource::ResourceId;
use fleet::{RuleName, Timestamp};
use planner::idle::evidence::Evidence;
use planner::idle::memory::{IdleDelta, IdleMemory, idle_delta};
use planner::idle::plan::{FoundBy, IdleFinding, IdlePlan, PowerAction};
use planner::idle::rule::IdlePolicy;
use planner::idle::snapshot::{Ask, IdleSnapshot, PowerOutcome, Request, Seen};
use serde::{Deserialize, Serialize};

/// One record of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IdleEntry {
    /// All that a replay begins with: written at a start, at a reload, and once a day.
    Checkpoint(Box<Checkpoint>),
    /// One look.
    Look(Box<LookRecord>),
    /// Verdicts that are new or changed, or were not written for a while.
    Verdicts(Vec<Judged>),
    /// Orders about to be given.
    Intents(Vec<PowerIntent>),
    /// What became of orders.
    Outcomes(Vec<PowerOutcome>),
}

impl fmt::Display for IdleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdleEntry::Checkpoint(all) => {
                write!(f, "idle: checkpoint of {} resources", all.seen.len())
            }
            IdleEntry::Look(look) => {
                let (orders, alerts) = (look.plan.actions.len(), look.plan.alerts.len());
                let changed = look.changed.len();
                write!(f, "idle: look, {changed} changed, {orders} orders, {alerts} alerts")?;
                let mut asked = look.snapshot.requests.iter();
                asked.try_for_each(|request| write!(f, "; {}", asks(request)))
            }
            IdleEntry::Verdicts(verdicts) => write!(f, "idle: {} verdicts", verdicts.len()),
            IdleEntry::Intents(intents) => {
                let orders =
                    intents.iter().map(|i| format!("{} {}", i.action.verb, i.action.resource));
                write!(f, "idle: about to {}", orders.collect::<Vec<_>>().join(", "))
            }
            IdleEntry::Outcomes(outcomes) => {
                let ends = outcomes.iter().map(|outcome| {
                    let verb = if outcome.up { "start" } else { "stop" };
                    format!("{verb} {}: {}", outcome.resource, outcome.result)
                });
                write!(f, "idle: {}", ends.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Who asks for what.
fn asks(request: &Request) -> String {
    let (verb, about) = match &request.ask {
        Ask::Approve { id } => ("approves", id),
        Ask::Reject { id } => ("rejects", id),
        Ask::Wake { resource, .. } => ("wakes", resource),
        Ask::Exempt { resource, .. } => ("exempts", resource),
        Ask::Release { rule } => ("releases", &rule.0),
    };
    format!("{} {verb} {about}", request.by)
}

/// All that a replay begins with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The policy from here on.
    pub policy: IdlePolicy,
    /// What was known.
    pub memory: IdleMemory,
    /// The resources of the last look.
    pub seen: Vec<Seen>,
    /// What was found of them.
    pub findings: Vec<IdleFinding>,
    /// Orders whose end is not known.
    pub open: Vec<PowerIntent>,
    /// Ends of orders that no look has taken in.
    pub unseen: Vec<PowerOutcome>,
}

/// A look, by what changed since the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookRecord {
    /// The revision of the rules that made the plan.
    pub revision: u32,
    /// What was seen, without resources.
    pub snapshot: IdleSnapshot,
    /// Resources that are new or changed.
    pub changed: Vec<Seen>,
    /// Resources that are not in it any more.
    pub gone: Vec<ResourceId>,
    /// The plan, with the findings alone that are new or changed.
    pub plan: IdlePlan,
    /// Findings that are not in it any more.
    pub findings_gone: Vec<FindingKey>,
    /// What changed in the memory.
    pub delta: IdleDelta,
}

/// What a finding is of.
pub type FindingKey = (Option<ResourceId>, FoundBy);

/// A verdict, for listings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub resource: ResourceId,
    pub name: String,
    /// Its type.
    pub class: Option<String>,
    pub rule: RuleName,
    /// The verdict with its numbers.
    pub evidence: Evidence,
    /// What a stop would save.
    pub saving: Option<Saving>,
    pub at: Timestamp,
}

/// An order about to be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerIntent {
    /// The decision: the look's record and the action's place in its plan.
    pub decision: String,
    pub at: Timestamp,
    /// The order.
    pub action: PowerAction,
}

/// The state of looks as it is rebuilt from records, and from which the next one is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// The policy in force.
    pub policy: IdlePolicy,
    /// What is known.
    pub memory: IdleMemory,
    /// The resources of the last look.
    pub seen: BTreeMap<ResourceId, Seen>,
    /// What was found.
    pub findings: BTreeMap<FindingKey, IdleFinding>,
}

impl Folded {
    /// As a record.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            policy: self.policy.clone(),
            memory: self.memory.clone(),
            seen: self.seen.values().cloned().collect(),
            findings: self.findings.values().cloned().collect(),
            ..Checkpoint::default()
        }
    }

    /// Begins anew from a checkpoint.
    pub fn restart(&mut self, checkpoint: &Checkpoint) {
        self.policy = checkpoint.policy.clone();
        self.memory = checkpoint.memory.clone();
        self.seen = by_id(&checkpoint.seen);
        self.findings = by_key(&checkpoint.findings);
    }

    /// The record of a look, and the state after it.
    pub fn record(
        &mut self,
        snapshot: &IdleSnapshot,
        plan: &IdlePlan,
        memory: IdleMemory,
    ) -> LookRecord {
        let seen = snapshot.seen.iter().map(|seen| (seen.resource.id.clone(), seen));
        let (changed, gone) = take_over(&mut self.seen, seen.collect());
        let (findings, findings_gone) = take_over(
            &mut self.findings,
            plan.findings.iter().map(|one| (key(one), one)).collect(),
        );
        let delta = idle_delta(&self.memory, &memory);
        self.memory = memory;
        LookRecord {
            revision: planner::idle::memory::REVISION,
            snapshot: IdleSnapshot {
                taken_at: snapshot.taken_at,
                kill_switch: snapshot.kill_switch.clone(),
                freezes: snapshot.freezes.clone(),
                disk: snapshot.disk,
                unread: snapshot.unread.clone(),
                population: snapshot.population.clone(),
                matched: snapshot.matched.clone(),
                seen: Vec::new(),
                requests: snapshot.requests.clone(),
                outcomes: snapshot.outcomes.clone(),
            },
            changed,
            gone,
            plan: IdlePlan {
                actions: plan.actions.clone(),
                tags: plan.tags.clone(),
                findings,
                alerts: plan.alerts.clone(),
            },
            findings_gone,
            delta,
        }
    }

    /// The whole snapshot of a recorded look that comes next.
    pub fn snapshot(&self, look: &LookRecord) -> IdleSnapshot {
        let mut seen = self.seen.clone();
        for id in &look.gone {
            seen.remove(id);
        }
        for changed in &look.changed {
            seen.insert(changed.resource.id.clone(), changed.clone());
        }
        IdleSnapshot { seen: seen.into_values().collect(), ..look.snapshot.clone() }
    }

    /// Takes in a recorded look.
    pub fn follow(&mut self, look: &LookRecord) {
        for id in &look.gone {
            self.seen.remove(id);
        }
        for changed in &look.changed {
            self.seen.insert(changed.resource.id.clone(), changed.clone());
        }
        for key in &look.findings_gone {
            self.findings.remove(key);
        }
        self.findings.extend(by_key(&look.plan.findings));
        look.delta.apply(&mut self.memory);
    }
}

fn by_id(seen: &[Seen]) -> BTreeMap<ResourceId, Seen> {
    seen.iter().map(|seen| (seen.resource.id.clone(), seen.clone())).collect()
}

fn by_key(findings: &[IdleFinding]) -> BTreeMap<FindingKey, IdleFinding> {
    findings.iter().map(|finding| (key(finding), finding.clone())).collect()
}

fn key(finding: &IdleFinding) -> FindingKey {
    (finding.resource.clone(), finding.rule.clone())
}

/// Makes `known` what there is `now`; what is new or different in it, and what is gone.
///
/// There may be a hundred thousand of these, of which few change: nothing else is copied.
fn take_over<K: Clone + Ord, V: Clone + PartialEq>(
    known: &mut BTreeMap<K, V>,
    now: BTreeMap<K, &V>,
) -> (Vec<V>, Vec<K>) {
    let gone: Vec<K> = known.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
    for key in &gone {
        known.remove(key);
    }
    let mut changed = Vec::new();
    for (key, value) in now {
        if known.get(&key) != Some(value) {
            changed.push(value.clone());
            known.insert(key, value.clone());
        }
    }
    (changed, gone)
}
