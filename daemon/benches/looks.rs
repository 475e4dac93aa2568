//! Looking at 100,000 machines of a simulated cloud, four signals each: within 60 s and 1 GiB from
//! nothing, within 5 s each time after.
//!
//! A whole run instead of repetitions: memory is part of what is measured. `-- N` takes N machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use daemon::config::IdleConfig;
use daemon::gather::Providers;
use daemon::idle::{IdleEngine, IdleStanding};
use daemon::journal::{Journal, Options, World as Kind};
use planner::idle::resource::{Resource, ResourceKind};
use planner::idle::rule::{
    Cap, IdlePolicy, IdleRule, Limits, OptIn, Radius, RuleMode, RuleName, Select, StopPreference,
};
use planner::idle::usage::{Hours, Signal, UsageQuery};
use planner::policy::{Mode, Share};
use planner::{ProviderName, Seconds, Timestamp};
use providers::sim::{EstateSpec, Scenario, World};
use providers::traced::Traced;
use providers::{Deadline, Estate, Now};

const LOOK_BACK: Seconds = Seconds::days(35);
const FIVE_MINUTES: Seconds = Seconds::minutes(5);
const START: &str = "2026-06-01T00:10:00Z";
const SEED: u64 = 1;
/// None that anything here could miss.
const DEADLINE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Hand(AtomicI64);

impl Now for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

fn policy() -> IdlePolicy {
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
        look_back: LOOK_BACK,
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

/// Mebibytes of this process, now and at most.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mebibytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) / 1024
    };
    (mebibytes("VmRSS:"), mebibytes("VmHWM:"))
}

fn told(what: &str, since: Instant) {
    let (now, peak) = memory();
    let seconds = since.elapsed().as_secs_f64();
    println!("{what:<44} {seconds:>7.2} s   {now:>5} MiB now, {peak:>5} MiB at most");
}

fn engine(world: &World, nowhere: &Path) -> IdleEngine {
    let name = ProviderName::new("sim").expect("a sound name");
    let providers: Providers =
        BTreeMap::from([(name.clone(), Traced::new(Arc::new(world.clone())))]);
    let standing = IdleStanding {
        config: Arc::new(IdleConfig { policy: policy(), ..IdleConfig::default() }),
        kinds: BTreeMap::from([(name, "sim")]),
        kill_switch: nowhere.to_owned(),
        freezes: Box::new(|_| Vec::new()),
    };
    IdleEngine::new(standing, providers)
}

/// The newest three days at five minutes, taken together to hours as they come.
async fn three_days_at_five_minutes(world: &World, resources: &[Resource], now: Timestamp) -> u64 {
    let mut samples = 0;
    for some in resources.chunks(250) {
        let queries: Vec<UsageQuery> = some
            .iter()
            .flat_map(|resource| {
                resource.signals.iter().map(|signal| UsageQuery {
                    resource: resource.id.clone(),
                    signal: *signal,
                    sampled_every: resource.sampled_every,
                })
            })
            .collect();
        let (from, within) = (now - Seconds::days(3), Deadline::within(DEADLINE));
        let answers = world.usage(&queries, from, now, FIVE_MINUTES, within).await;
        for (query, answer) in queries.iter().zip(answers) {
            let mut hours = Hours::default();
            for sample in answer.expect("nothing goes wrong in this world") {
                hours.fold(query.signal, sample.start, sample.value);
                samples += 1;
            }
            std::hint::black_box(hours);
        }
    }
    samples
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo bench` passes flags of its own.
    let machines = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000);
    let start = Timestamp::parse(START).expect("a sound time");
    let hand = Arc::new(Hand(AtomicI64::new(start.0)));
    let name = ProviderName::new("sim").expect("a sound name");
    let estate = EstateSpec::fleet(machines);
    let scenario = Scenario { estate, ..Scenario::default() };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut options = Options::default();
    options.reserve_bytes = 0;
    let kind = Kind::Simulation { seed: SEED, scenario: "bench".to_owned() };
    let (journal, _) = Journal::open(folder.path(), kind, options).expect("a new journal opens");
    let stopping = Arc::new(AtomicBool::new(false));

    let began = Instant::now();
    let world = World::new(&name, SEED, start, &scenario, hand.clone());
    told(&format!("the cloud itself, {machines} machines"), began);

    let mut engine = engine(&world, folder.path());
    for look in 0..4 {
        let began = Instant::now();
        let looked = engine.look(&journal, hand.now(), &stopping).await.expect("room on the disk");
        let idle: u32 = looked.snapshot.matched.values().sum();
        let what = if look == 0 { "from nothing, 35 days by the hour" } else { "an hour later" };
        told(&format!("look {look}, {what}: {idle} idle"), began);
        hand.0.fetch_add(3600, Ordering::SeqCst);
    }
    let began = Instant::now();
    journal.flush().expect("room on the disk");
    let mut again = self::engine(&world, folder.path());
    drop(engine);
    again.restore(&journal.reader(), hand.now()).expect("a sound journal");
    told("taken over from the journal after a restart", began);
    let began = Instant::now();
    again.look(&journal, hand.now(), &stopping).await.expect("room on the disk");
    told("the look after that", began);

    let began = Instant::now();
    let within = Deadline::within(DEADLINE);
    let kinds = [ResourceKind::Instance, ResourceKind::Database];
    let listings = world.resources(&kinds, within).await;
    let resources: Vec<Resource> = listings
        .into_iter()
        .flat_map(|listing| listing.resources.expect("nothing goes wrong in this world"))
        .collect();
    let samples = three_days_at_five_minutes(&world, &resources, hand.now()).await;
    told(&format!("3 days at 5 minutes, {} M samples", samples / 1_000_000), began);
}
