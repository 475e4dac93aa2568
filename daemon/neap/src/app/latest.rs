//! The newest cycle as the page and metrics read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use fleet::{RuleName, ServiceName, Timestamp};
use page::Latest;
use page::metrics::totals::Account;
use providers::Provider;
use report::Turn;
use report::money::Money;
use shadow::{Offer, RuleOffer, capacity};

use crate::cycle::Engine;

/// What an engine has just done.
pub fn latest(
    turn: Turn,
    engine: &Engine,
    (offers, rule_offers): (BTreeMap<ServiceName, Offer>, BTreeMap<RuleName, RuleOffer>),
    money: Money,
    next: Timestamp,
    began: Instant,
) -> Latest {
    let (policy, memory) = (&engine.standing.policy, &engine.memory);
    let names = || policy.services.keys();
    let known = |name: &ServiceName| Some((name.clone(), capacity(memory, policy, name)?));
    let modes = policy
        .services
        .iter()
        .map(|(name, service)| (name.clone(), memory.stages.mode(policy, name, service)));
    let providers = || engine.providers.iter();
    let memories = engine.memory.services.iter();
    let memories = memories.filter(|(name, _)| policy.services.contains_key(*name));
    Latest {
        policy: Arc::new(policy.clone()),
        capacity: names().filter_map(known).collect(),
        modes: modes.collect(),
        offers,
        rule_offers,
        money,
        next,
        took: began.elapsed(),
        ended: Instant::now(),
        unresolved: engine.unresolved.len(),
        calls: providers().map(|(name, provider)| (name.clone(), provider.calls())).collect(),
        metrics_read: providers()
            .map(|(name, provider)| (name.clone(), provider.metrics().metrics_read()))
            .collect(),
        accounts: memories
            .map(|(name, memory)| (name.clone(), Account::of(&memory.violations)))
            .collect(),
        turn,
    }
}
