//! Looking at 100,000 machines of a simulated cloud, four signals each: within 60 s and 1 GiB from
//! nothing, within 5 s each time after.
//!
//! A whole run instead of repetitions: memory is part of what is measured. `-- N` takes N machines.

#[path = "../tests/it/sim_fleet/mod.rs"]
mod sim_fleet;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use fleet::resource::{Resource, ResourceKind};
use fleet::usage::{Hours, UsageQuery};
use fleet::{ProviderName, Seconds, Timestamp};
use journal::{Journal, Options, World as Kind};
use providers::sim::{EstateSpec, Scenario, World};
use providers::{Deadline, Estate, Now};
use sim_fleet::{Hand, START};

const FIVE_MINUTES: Seconds = Seconds::minutes(5);
const SEED: u64 = 1;
/// None that anything here could miss.
const DEADLINE: Duration = Duration::from_secs(3600);

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
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let kind = Kind::Simulation { seed: SEED, scenario: "bench".to_owned() };
    let (journal, _) = Journal::open(folder.path(), kind, options).expect("a new journal opens");
    let stopping = Arc::new(AtomicBool::new(false));

    let began = Instant::now();
    let world = World::new(&name, SEED, start, &scenario, hand.clone());
    told(&format!("the cloud itself, {machines} machines"), began);

    let mut engine = sim_fleet::engine(&world, sim_fleet::policy(), folder.path());
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
    let mut again = sim_fleet::engine(&world, sim_fleet::policy(), folder.path());
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
