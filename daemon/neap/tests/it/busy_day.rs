//! Two days of a simulated group whose CPU alone is measured: ramps are kept, and nights are saved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use fleet::{ProviderName, Seconds, Timestamp};
use journal::{Journal, Options};
use neap::assemble;
use neap::cycle::Engine;
use neap::discovery;
use planner::Memory;
use planner::plan::Hold;
use providers::sim::{Settings, World};
use providers::traced::Traced;

use crate::sim_fleet::Hand;

const START: &str = "2026-03-02T00:00:00Z";
const MINUTES: i64 = 2 * 1440;

/// The ordinary group of the simulated day, of which nothing counts requests.
const CONFIG: &str = r#"
mode = "act"
[provider.sim]
kind = "sim"
seed = 7
start = "2026-03-02T00:00:00Z"
[[service]]
name = "checkout"
demand = "cpu"
[[service.pool]]
group = "checkout-asg"
min = 2
max = 80
lead_time = "3m"
"#;

#[test]
fn a_group_whose_cpu_alone_is_measured_keeps_its_promise_and_saves() {
    let config = neap::settings::parse("neap.toml", CONFIG).unwrap();
    let start = Timestamp::parse(START).unwrap();
    let hand = Arc::new(Hand(AtomicI64::new(start.0)));
    let settings = Settings {
        seed: 7,
        start,
        duration: Some(Seconds(60 * MINUTES as u64)),
        speed: None,
        scenario: "fourteen-nights".parse().unwrap(),
        machines: 0,
    };
    let name = ProviderName::new("sim").unwrap();
    let world = World::from_settings(&name, &settings, Arc::clone(&hand) as _);
    let providers = BTreeMap::from([(name.clone(), Traced::new(&name, Arc::new(world.clone())))]);
    let folder = tempfile::TempDir::new().unwrap();
    let (journal, _) =
        Journal::open(folder.path(), assemble::world(&config), Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime.block_on(discovery::once(&config, &providers, &Default::default()));
    let digest = journal.record_policy(&made.policy, CONFIG, start).unwrap();
    let standing = assemble::standing(&config, made.policy, made.models, made.calendars, digest);
    let mut engine: Engine = assemble::engine(standing, &providers, Memory::default());
    let stopping = Arc::new(AtomicBool::new(false));
    let mut unknown = 0;
    for minute in 0..MINUTES {
        let now = start + Seconds(60 * minute as u64);
        hand.0.store(now.0, Ordering::SeqCst);
        let turn = runtime.block_on(engine.turn(&journal, now, &stopping)).unwrap();
        let demand = &turn.snapshot.services.values().next().unwrap().demand;
        if minute == 0 {
            let point = demand.settled.expect("the first cycle knows the load");
            // 600 a second on the mean, and 50 a unit: some 3 to 20 units are busy.
            assert!((2.0..25.0).contains(&point.value), "{point:?}");
            assert!(turn.snapshot.services.values().all(|seen| seen.forecast.is_ok()));
        }
        let holds = turn.plan.findings.iter().map(|finding| &finding.hold);
        let blind = |hold: &&Hold| {
            matches!(
                hold,
                Hold::NoDemand { .. } | Hold::DemandStale { .. } | Hold::CapacityUnknown { .. }
            )
        };
        unknown += holds.filter(blind).count();
    }
    let ledger = world.ledger();
    let truth = ledger.iter().find(|(group, _)| group.contains("checkout-asg")).unwrap().1;
    // To stand at the peak, at 70 % as the pool is asked to.
    let peak = (truth.peak_load / 50.0 / 0.7).ceil();
    let saved = 1.0 - truth.unit_hours() / (peak * MINUTES as f64 / 60.0);
    let told = format!(
        "missed {:.2}%, {:.0} unit-hours, {:.0}% less than standing at {peak}, {} orders, blind {unknown}",
        100.0 * truth.violated_share(),
        truth.unit_hours(),
        100.0 * saved,
        truth.orders
    );
    eprintln!("{told}");
    assert!(truth.violated_share() <= 0.005, "{told}");
    assert!(saved >= 0.15, "{told}");
    assert!(truth.orders < 200 && unknown == 0, "{told}");
}
