//! Carries a plan out: intents first, then tags and orders, then how each order ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleet::resource::Resource;
use fleet::{Seconds, Timestamp};
use futures_util::StreamExt;
use journal::records::idle::{IdleEntry, PowerIntent};
use journal::{Journal, JournalFault, RecordId};
use planner::idle::plan::{IdlePlan, TagAction, Verb};
use planner::idle::snapshot::{PowerOutcome, PowerResult};
use planner::snapshot::KillSwitch;
use providers::{Deadline, Provider};

use super::IdleEngine;
use super::execute::{self, Terms};
use crate::execute::kill_switch;

/// Orders given at the same time.
const CONCURRENT_ORDERS: usize = 8;
/// An order without an answer, and a machine that shows no effect for so long: it was not taken.
const NO_EFFECT_AFTER: Seconds = Seconds::minutes(5);

impl IdleEngine {
    /// Writes every intent, then gives the orders: starts one after the other, then stops.
    pub(super) async fn carry_out(
        &mut self,
        journal: &Journal,
        id: RecordId,
        plan: &IdlePlan,
        now: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Vec<PowerOutcome>, JournalFault> {
        let intents: Vec<PowerIntent> = plan
            .actions
            .iter()
            .enumerate()
            .map(|(index, action)| PowerIntent {
                decision: format!("{id}.{index}"),
                at: now,
                action: action.clone(),
            })
            .collect();
        if !intents.is_empty() {
            journal.record_idle(now, &IdleEntry::Intents(intents.clone()), true)?;
        }
        let switch = &self.standing.kill_switch;
        let permitted =
            &|| !stopping.load(Ordering::SeqCst) && kill_switch(switch) == KillSwitch::Clear;
        self.write_tags(&plan.tags, permitted).await;
        let mut results = Vec::new();
        let (starts, stops): (Vec<_>, Vec<_>) =
            intents.into_iter().partition(|intent| intent.action.verb == Verb::Start);
        for wave in [starts, stops] {
            let (policy, providers) = (&self.folded.policy, &self.providers);
            let (recall, gated) = (&self.recall, &self.standing.config.gated);
            let mut ended = futures_util::stream::iter(wave)
                .map(|intent| async move {
                    let rule = intent.action.because.rule();
                    let held = |rule| recall.holds_rule(rule, gated.contains(rule));
                    let taken_back = || rule.is_some_and(held);
                    let permitted = &|| permitted() && !taken_back();
                    let provider = providers.get(&intent.action.resource.provider);
                    let result = match provider.and_then(|provider| provider.estate()) {
                        Some(estate) => {
                            let terms = Terms { policy, estate, permitted, now };
                            execute::carry_out(&intent.action, &intent.decision, &terms).await
                        }
                        None => PowerResult::Withheld,
                    };
                    (intent, result)
                })
                .buffer_unordered(CONCURRENT_ORDERS);
            while let Some((intent, result)) = ended.next().await {
                let outcome = outcome(&intent, result, now);
                let entry = IdleEntry::Outcomes(vec![outcome.clone()]);
                journal.record_idle(now, &entry, true)?;
                results.push((intent, outcome));
            }
        }
        let mut told = Vec::new();
        for (intent, outcome) in results {
            match outcome.result {
                PowerResult::Unconfirmed { effect_seen: None } => self.open.push(intent),
                _ => self.outcomes.push(outcome.clone()),
            }
            told.push(outcome);
        }
        Ok(told)
    }

    /// Tags are a courtesy: what cannot be written is said, and nothing depends on it.
    async fn write_tags(&self, tags: &[TagAction], permitted: &(dyn Fn() -> bool + Send + Sync)) {
        for tag in tags.iter().take_while(|_| permitted()) {
            let provider = self.providers.get(&tag.resource.provider);
            let Some(estate) = provider.and_then(|provider| provider.estate()) else { continue };
            let switch = estate.switch(&tag.resource);
            let deadline = Deadline::within(Duration::from_secs(10));
            if let Err(fault) = switch.tag(&tag.key, tag.value.as_deref(), deadline).await {
                tracing::warn!(resource = %tag.resource, key = tag.key, %fault, "a tag was not written");
            }
        }
    }

    /// Orders without an answer: whether they were taken shows by the machines.
    pub(super) fn resolve(&mut self, resources: &[Resource], now: Timestamp) -> Vec<PowerOutcome> {
        let mut resolved = Vec::new();
        let mut still_open = Vec::new();
        for intent in std::mem::take(&mut self.open) {
            let id = &intent.action.resource;
            let power = resources.iter().find(|r| r.id == *id).map(|r| &r.power);
            let effect = power.and_then(|power| execute::effect(&intent.action, power));
            let waited = now.since(intent.at) >= NO_EFFECT_AFTER;
            match effect {
                Some(there) if there || waited => {
                    let result = PowerResult::Unconfirmed { effect_seen: effect };
                    let outcome = outcome(&intent, result, now);
                    resolved.push(outcome.clone());
                    self.outcomes.push(outcome);
                }
                _ => still_open.push(intent),
            }
        }
        self.open = still_open;
        resolved
    }
}

fn outcome(intent: &PowerIntent, result: PowerResult, at: Timestamp) -> PowerOutcome {
    PowerOutcome {
        decision: intent.decision.clone(),
        resource: intent.action.resource.clone(),
        up: intent.action.verb == Verb::Start,
        mode: match intent.action.verb {
            Verb::Stop(mode) => Some(mode),
            Verb::Start => None,
        },
        because: intent.action.because.clone(),
        at,
        result,
    }
}
