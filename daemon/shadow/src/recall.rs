//! What is taken back at once: asked immediately before every single call that changes something.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet::{RuleName, ServiceName};
use planner::stage::{StageAsk, StageRequest, Stages};

/// What is taken back: by a cycle's memory, or by somebody's word that no cycle has taken in yet.
#[derive(Debug, Default)]
pub struct Recall {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stages: Stages,
    /// Words that no cycle has taken in, counted: the same may be said twice.
    all: u32,
    services: BTreeMap<ServiceName, u32>,
    rules: BTreeMap<RuleName, u32>,
    /// What looks have found out and no cycle has taken in.
    reported: Vec<StageRequest>,
}

impl Recall {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes something back before a cycle does.
    pub fn note(&self, ask: &StageAsk) {
        let mut state = self.state();
        match ask {
            StageAsk::DemoteAll | StageAsk::NewJournal => state.all += 1,
            StageAsk::Demote { service } => {
                *state.services.entry(service.clone()).or_default() += 1;
            }
            StageAsk::DemoteRule { rule } => *state.rules.entry(rule.clone()).or_default() += 1,
            StageAsk::Promote { .. }
            | StageAsk::PromoteRule { .. }
            | StageAsk::PromoteGatedRule { .. }
            | StageAsk::StartedAgain { .. }
            | StageAsk::Acknowledge { .. }
            | StageAsk::AcknowledgeAll => {}
        }
    }

    /// A cycle has taken it in, or it was refused.
    pub fn settle(&self, ask: &StageAsk) {
        fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
            if let Some(count) = counts.get_mut(key) {
                *count = count.saturating_sub(1);
            }
            counts.retain(|_, count| *count > 0);
        }
        let mut state = self.state();
        match ask {
            StageAsk::DemoteAll | StageAsk::NewJournal => {
                state.all = state.all.saturating_sub(1);
            }
            StageAsk::Demote { service } => less(&mut state.services, service),
            StageAsk::DemoteRule { rule } => less(&mut state.rules, rule),
            StageAsk::Promote { .. }
            | StageAsk::PromoteRule { .. }
            | StageAsk::PromoteGatedRule { .. }
            | StageAsk::StartedAgain { .. }
            | StageAsk::Acknowledge { .. }
            | StageAsk::AcknowledgeAll => {}
        }
    }

    /// Takes over the stages that a cycle has left.
    pub fn stand(&self, stages: &Stages) {
        let mut state = self.state();
        if state.stages != *stages {
            state.stages = stages.clone();
        }
    }

    /// Whether somebody has taken a service back since the last cycle.
    pub fn holds(&self, service: &ServiceName) -> bool {
        let state = self.state();
        state.all > 0 || state.services.contains_key(service)
    }

    /// Whether an idle rule or schedule, `gated` or not, does not act though its configuration may
    /// let it.
    pub fn holds_rule(&self, rule: &RuleName, gated: bool) -> bool {
        let state = self.state();
        state.all > 0 || state.rules.contains_key(rule) || state.stages.shadows_rule(rule, gated)
    }

    /// Takes in what a look has found out; it is on disk by now.
    pub fn report(&self, request: StageRequest) {
        self.state().reported.push(request);
    }

    /// What looks have found out since this was last asked.
    pub fn reported(&self) -> Vec<StageRequest> {
        std::mem::take(&mut self.state().reported)
    }
}
