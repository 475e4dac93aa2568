//! An outage is told from a quiet night: on the simulated cloud, through the whole cycle.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fleet::{Seconds, Timestamp};
use journal::{Journal, Options};
use neap::assemble::{self, Clouds};
use neap::cycle::Engine;
use planner::Memory;
use planner::plan::Hold;
use report::Turn;
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

struct Fleet {
    journal: Journal,
    clouds: Clouds,
    engine: Engine,
    _state: TempDir,
}

impl Fleet {
    /// The example's services in another scenario, decided for at this interval.
    async fn new(scenario: &str, duration: &str, poll: &str) -> Fleet {
        let state = TempDir::new().unwrap();
        let text = EXAMPLE
            .replace("scenario = \"day\"", &format!("scenario = \"{scenario}\""))
            .replace("duration = \"24h\"", &format!("duration = \"{duration}\""))
            .replace("speed = 1000", "speed = \"max\"")
            .replace("poll_interval = \"60s\"", &format!("poll_interval = \"{poll}\""))
            .replace("./neap-state", state.path().to_str().unwrap())
            .replace("./neap-stop", state.path().join("stop").to_str().unwrap());
        let config =
            neap::settings::parse("example", &text).unwrap_or_else(|faults| panic!("{faults:?}"));
        let world = assemble::world(&config);
        let (journal, _) = Journal::open(&config.state_dir, world, Options::default()).unwrap();
        let clouds = assemble::clouds(&config, None, None).unwrap();
        let (policy, models, calendars) = assemble::expanded(&config, &clouds.providers).await;
        let digest = journal.record_policy(&policy, &text, clouds.clock.now()).unwrap();
        let standing = assemble::standing(&config, policy, models, calendars, digest);
        let engine = assemble::engine(standing, &clouds.providers, Memory::default());
        Fleet { journal, clouds, engine, _state: state }
    }

    /// Runs to the end of the simulation and shows every turn to `look`.
    async fn run(&mut self, mut look: impl FnMut(&Turn)) {
        let stopping = Arc::new(AtomicBool::new(false));
        let poll = self.engine.standing.policy.poll_interval;
        let end = self.clouds.ends_at.unwrap();
        let mut now = self.clouds.clock.now();
        while now < end {
            let turn = self.engine.turn(&self.journal, now, &stopping).await.unwrap();
            look(&turn);
            now = now + poll;
            self.clouds.clock.sleep_until(now).await;
        }
    }
}

fn outages(turn: &Turn) -> Vec<String> {
    turn.plan
        .findings
        .iter()
        .filter(|finding| matches!(finding.hold, Hold::OutageShape { .. }))
        .map(|finding| format!("{} {:?} {}", turn.snapshot.taken_at, finding.service, finding.hold))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fourteen_ordinary_nights_are_no_outage() {
    let mut fleet = Fleet::new("fourteen-nights", "14d", "5m").await;
    let (mut seen, mut removals) = (Vec::new(), 0);
    fleet
        .run(|turn| {
            seen.extend(outages(turn));
            removals += turn.results.iter().filter(|(a, _)| !a.change.is_increase()).count();
        })
        .await;
    assert!(seen.is_empty(), "{} times: {:#?}", seen.len(), &seen[..seen.len().min(5)]);
    assert!(removals > 14 * 4, "only {removals} removals: the nights were not even used");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_seen_and_nothing_shrinks_in_it() {
    let began = Timestamp::parse("2026-03-02T13:00:00Z").unwrap();
    // Demand of an interval is known two minutes after its end, and three cycles make a shape.
    let (known, over) = (began + Seconds::minutes(6), began + Seconds::minutes(40));
    let mut fleet = Fleet::new("outage", "14h", "60s").await;
    let (mut seen, mut removed) = (Vec::new(), Vec::new());
    fleet
        .run(|turn| {
            let at = turn.snapshot.taken_at;
            // At its first moment nothing of it has been measured yet.
            if at <= began {
                assert_eq!(outages(turn), Vec::<String>::new());
            } else if at < over {
                seen.extend(outages(turn).into_iter().filter(|_| at >= known));
                let shrinks =
                    |(action, _): &&(planner::plan::Action, _)| !action.change.is_increase();
                removed.extend(
                    turn.results
                        .iter()
                        .filter(shrinks)
                        .map(|(a, _)| format!("{at} {} {}", a.service, a.change)),
                );
            }
        })
        .await;
    assert!(seen.iter().any(|text| text.contains("checkout")), "{seen:#?}");
    assert!(seen.iter().any(|text| text.contains("search")), "{seen:#?}");
    assert_eq!(removed, Vec::<String>::new());
}
