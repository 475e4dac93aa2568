//! What a scrape is answered from, of a fleet that shows every metric.

#[path = "../../../../journal/src/tests/made_fleet.rs"]
#[allow(dead_code)]
mod made_fleet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{ProviderName, ServiceName, Timestamp, Units};
use journal::{CycleId, RecordId, SampleBatch};
use page::metrics::totals::Account;
use page::metrics::{ChannelCounts, Scrape};
use page::{Board, Latest, LookInBrief};
use planner::plan::{Finding, Hold, What};
use planner::policy::{Mode, Policy, ServicePolicy};
use planner::snapshot::OrderResult;
use providers::traced::{Calls, Operation};
use report::Turn;

const ONE: &str = r#"
mode = "act"
[provider.aws]
kind = "aws"
regions = ["ap-southeast-1"]
[[service]]
name = "one"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/one/50dc" } }]
[[service.pool]]
group = "one"
capacity_per_unit = 40
"#;

fn policy(names: impl Iterator<Item = ServiceName>) -> Policy {
    let mut policy = neap::settings::parse("neap.toml", ONE).expect("a sound configuration").policy;
    let one: ServicePolicy = policy.services.values().next().expect("it has one").clone();
    policy.services = names.map(|name| (name, one.clone())).collect();
    policy
}

fn calls() -> BTreeMap<ProviderName, BTreeMap<Operation, Calls>> {
    let calls = Calls {
        count: 7,
        faults: BTreeMap::from([("timed out", 2)]),
        latency: [1, 0, 2, 3, 0, 0, 0, 0, 1],
        latency_sum_ms: 31_500,
        cut_off: 1,
    };
    let all = [Operation::Groups, Operation::Samples].map(|operation| (operation, calls.clone()));
    BTreeMap::from([(aws(), BTreeMap::from(all))])
}

fn aws() -> ProviderName {
    ProviderName::new("aws").expect("a sound name")
}

/// The cycle number `cycle` of so many services; `renamed` takes the place of the first.
fn latest(services: usize, cycle: usize, renamed: Option<&ServiceName>) -> Latest {
    let made_fleet::Turn { mut snapshot, mut plan, memory, .. } = made_fleet::turn(services, cycle);
    let accounts = memory.services.iter();
    let mut accounts: BTreeMap<ServiceName, Account> =
        accounts.map(|(name, memory)| (name.clone(), Account::of(&memory.violations))).collect();
    let first = made_fleet::name(0);
    let hold = Hold::GroupIsChanging { pending: Units(1), terminating: Units(0) };
    let held = Finding { service: Some(first.clone()), what: What::Held, hold, sizing: None };
    plan.findings.push(held);
    if let Some(name) = renamed {
        let seen = snapshot.services.remove(&first).expect("the first was seen");
        snapshot.services.insert(name.clone(), seen);
        let account = accounts.remove(&first).expect("the first has an account");
        accounts.insert(name.clone(), account);
        let of_plan = plan.findings.iter_mut().filter_map(|finding| finding.service.as_mut());
        let of_plan = of_plan.chain(plan.actions.iter_mut().map(|action| &mut action.service));
        of_plan.filter(|service| **service == first).for_each(|service| *service = name.clone());
    }
    let policy = policy(snapshot.services.keys().cloned());
    let modes = policy.services.keys().map(|name| (name.clone(), Mode::Act));
    let results = plan.actions.iter().map(|action| (action.clone(), OrderResult::Applied));
    let id = CycleId(RecordId::at_or_after(snapshot.taken_at));
    Latest {
        capacity: policy.services.keys().map(|name| (name.clone(), 40.0)).collect(),
        modes: modes.collect(),
        offers: BTreeMap::new(),
        rule_offers: BTreeMap::new(),
        money: report::money::Money::default(),
        policy: Arc::new(policy),
        next: snapshot.taken_at + fleet::Seconds(60),
        took: Duration::from_millis(1_200),
        ended: Instant::now(),
        unresolved: 1,
        calls: calls(),
        metrics_read: BTreeMap::from([(aws(), 4_711)]),
        accounts,
        turn: Turn { id, results: results.collect(), snapshot, plan },
    }
}

/// What a scrape of so many services is answered from, after three cycles and a look.
pub fn scrape(services: usize, renamed: Option<&ServiceName>) -> Scrape {
    let board = Board::default();
    for cycle in 0..3 {
        board.cycle(latest(services, cycle, renamed));
    }
    board.look(LookInBrief {
        taken_at: Timestamp(1_772_409_600),
        matched: BTreeMap::from([("dev-boxes".to_owned(), 3)]),
        seen: 12,
        orders: BTreeMap::from([("taken", 2)]),
    });
    let counts = ChannelCounts { sent: 5, given_up: 1, failed: 2, waiting: 3 };
    Scrape {
        latest: board.latest(),
        totals: board.totals(),
        look: board.newest_look(),
        ended_at: Some(1_772_409_601.0),
        journal_bytes: Some(64 << 20),
        places_missing: 2,
        channels: BTreeMap::from([("on-call".to_owned(), counts)]),
    }
}
