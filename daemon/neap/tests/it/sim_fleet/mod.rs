//! What looks at simulated fleets share: a clock in the hand, a rule over all machines, an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use config::IdleConfig;
use fleet::resource::ResourceKind;
use fleet::stop::OptIn;
use fleet::usage::Signal;
use fleet::{ProviderName, RuleName, Seconds, Timestamp};
use neap::gather::Providers;
use neap::idle::{IdleEngine, IdleStanding};
use planner::idle::rule::{
    Cap, IdlePolicy, IdleRule, Limits, Radius, RuleMode, Select, StopPreference,
};
use planner::policy::{Mode, Share};
use providers::Now;
use providers::sim::World;
use providers::traced::Traced;

pub const START: &str = "2026-06-01T00:10:00Z";

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct Hand(pub AtomicI64);

impl Now for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// One rule, which stops every machine and database that was idle for 35 days, a day after its mark.
pub fn policy() -> IdlePolicy {
    let limits = [
        (Signal::Cpu, 5_000),
        (Signal::NetworkIn, 100_000),
        (Signal::NetworkOut, 100_000),
        (Signal::DiskOps, 1_000),
    ];
    let radius = Radius {
        hour: Cap { share: Share::percent(1), at_least: 1 },
        day: Cap { share: Share::percent(5), at_least: 1 },
    };
    let rule = IdleRule {
        name: RuleName("fleet".to_owned()),
        mode: RuleMode::Act,
        select: Select {
            kinds: BTreeSet::from([ResourceKind::Instance, ResourceKind::Database]),
            ..Select::default()
        },
        limits: Limits(BTreeMap::from(limits)),
        require: BTreeSet::new(),
        look_back: Seconds::days(35),
        coverage: Share::percent(95),
        accept_short_history: false,
        forgiven_hours: 0,
        grace: Seconds::hours(24),
        observe_first: Seconds::ZERO,
        stop: StopPreference::Plain,
        mark_tag: false,
        owner_tag: None,
        opt_in: OptIn::default(),
        accept_restart_risk: false,
        exempt_after_restart: Seconds::days(14),
        radius,
        group_tag: None,
    };
    IdlePolicy {
        mode: Mode::Act,
        interval: Seconds::hours(1),
        rules: vec![rule],
        schedules: Vec::new(),
        account_radius: radius,
        protect_tag: "neap:protect".to_owned(),
        own_host: None,
    }
}

/// An engine that looks at this cloud alone; no file named as its kill switch is there.
pub fn engine(world: &World, policy: IdlePolicy, folder: &Path) -> IdleEngine {
    let name = ProviderName::new("sim").expect("a sound name");
    let providers: Providers =
        BTreeMap::from([(name.clone(), Traced::new(&name, Arc::new(world.clone())))]);
    let standing = IdleStanding {
        config: Arc::new(IdleConfig { policy, ..IdleConfig::default() }),
        kinds: BTreeMap::from([(name, "sim")]),
        kill_switch: folder.join("no-such-file"),
        freezes: Box::new(|_| Vec::new()),
    };
    IdleEngine::new(standing, providers)
}
