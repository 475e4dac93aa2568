//! Regret: what a promoted service does that takes its promotion back, and who is told.

use fleet::alert::{Alert, Severity};
use fleet::{ServiceName, Timestamp};

use super::{Stage, StageMemory, Stages, Why, rules};
use crate::memory::{Memory, ServiceMemory};
use crate::policy::{Policy, ServicePolicy};
use crate::snapshot::{Observation, OrderResult};

/// What a promoted service's cycle says of its promotion. `before` are the account's totals before
/// the cycle's intervals were counted, `own` is what was learned with them.
pub(crate) fn regret(
    policy: &Policy,
    at: Timestamp,
    (name, service, seen): (&ServiceName, &ServicePolicy, &Observation),
    before: (u64, u64),
    own: &ServiceMemory,
    stages: &mut Stages,
) {
    let promoted = stages.services.get_mut(name).filter(|memory| memory.stage != Stage::Shadow);
    let Some(memory) = promoted.filter(|_| policy.promotion.gated.contains(name)) else { return };
    follow_removals(policy, service, seen, at, before, own, memory);
    let limits = &policy.promotion.regret;
    let (intervals, violations) = since(memory.since, own);
    let allowed = service.violation_budget.fraction() * f64::from(limits.times_budget);
    let why = if memory.regretted >= limits.removals.max(1) {
        Why::RegretRemovals { removals: memory.regretted }
    } else if violations > u64::from(limits.violations)
        && violations as f64 > allowed * intervals as f64
    {
        Why::RegretViolations { violations, intervals }
    } else {
        return;
    };
    *memory = StageMemory::new(Stage::Shadow, at, why);
}

/// Counts removals of ours that a violation follows within the lead window.
fn follow_removals(
    policy: &Policy,
    service: &ServicePolicy,
    seen: &Observation,
    at: Timestamp,
    before: (u64, u64),
    own: &ServiceMemory,
    memory: &mut StageMemory,
) {
    let settling = seen.demand.settling + seen.demand.step.span();
    let window = crate::observe::window(&service.pool, Some(own), policy.poll_interval, settling);
    let violated = own.violations.totals().1 > before.1;
    if let Some(shrank_at) = memory.shrank_at {
        if at.since(shrank_at) > window.lead() {
            memory.shrank_at = None;
        } else if violated {
            memory.shrank_at = None;
            memory.regretted = memory.regretted.saturating_add(1);
        }
    }
    let removed =
        seen.outcomes.iter().rev().find(|outcome| {
            !outcome.change.is_increase() && outcome.result == OrderResult::Applied
        });
    if let Some(outcome) = removed.filter(|outcome| outcome.at >= memory.since) {
        memory.shrank_at = Some(outcome.at);
    }
}

/// Intervals and violations of the whole quarters of a day since a moment.
fn since(at: Timestamp, own: &ServiceMemory) -> (u64, u64) {
    let quarter = at.0.div_euclid(crate::learn::QUARTER);
    let later = own.violations.quarters.iter().filter(|(n, _)| i64::from(*n) > quarter);
    later.fold((0, 0), |(intervals, violations), (_, count)| {
        (intervals + u64::from(count.intervals), violations + u64::from(count.violations))
    })
}

/// What people are to be told of a cycle that led from one memory to the next.
pub fn alerts(before: &Memory, after: &Memory, at: Timestamp) -> Vec<Alert> {
    let changed = after.stages.services.iter().filter(|(name, memory)| {
        memory.why.is_regret() && before.stages.services.get(*name) != Some(memory)
    });
    let mut alerts: Vec<Alert> = changed.map(|(name, memory)| regretted(name, memory)).collect();
    let changed = after.stages.rules.iter().filter(|(name, memory)| {
        memory.why.is_regret() && before.stages.rules.get(*name) != Some(memory)
    });
    alerts.extend(changed.map(|(name, memory)| rules::regretted(name, memory)));
    if let Some(all) = after.stages.all.as_ref().filter(|_| before.stages.all != after.stages.all) {
        alerts.push(Alert {
            key: format!("stage/all/{}", all.since.0),
            severity: Severity::Warning,
            at,
            title: format!("everything is taken back to observe: {}", all.why),
            lines: vec!["`neap promote NAME` lets one act again".to_owned()],
            subject: None,
            owner: None,
        });
    }
    alerts
}

/// The alert of a service that regret has taken back.
pub fn regretted(name: &ServiceName, memory: &StageMemory) -> Alert {
    Alert {
        key: format!("service/{name}/regret/{}", memory.since.0),
        severity: match memory.why {
            Why::RegretViolations { .. } => Severity::Critical,
            _ => Severity::Warning,
        },
        at: memory.since,
        title: format!("{name} is back in shadow: {}", memory.why),
        lines: vec![
            "nothing of it is changed any more".to_owned(),
            format!("its decisions: `neap explain {name}`"),
            format!("once it has shown better: `neap promote {name}`"),
        ],
        subject: Some(name.to_string()),
        owner: None,
    }
}
