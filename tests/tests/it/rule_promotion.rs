//! An idle rule from shadow to acting and back: on the simulated cloud, through looks, cycles and the
//! journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use config::{self, Config};
use fleet::resource::ResourceId;
use fleet::{ProviderName, RuleName, Seconds, Timestamp};
use journal::{Journal, Options};
use neap::assemble::{self, Clouds};
use neap::cycle::Engine;
use neap::idle::IdleEngine;
use planner::stage::{Stage, Why};
use providers::sim::World;
use providers::{Deadline, PowerOrder, Provider};
use report::StageWish;
use shadow::{self, RuleCard, RuleOffer, RuleScores, Rules, Watch};
use tempfile::TempDir;

const EVERY: Seconds = Seconds::minutes(30);

fn text(state: &TempDir) -> String {
    let path = |name: &str| state.path().join(name).display().to_string();
    format!(
        r#"
mode = "act"
poll_interval = "30m"
idle_interval = "30m"
state_dir = "{}"
kill_switch = "{}"
[provider.sim]
kind = "sim"
seed = 7
start = "2026-03-02T00:00:00Z"
duration = "20d"
speed = "max"
scenario = "day"
machines = 60
[idle_defaults]
promotion = "gated"
observe_first = "0s"
account_blast_radius = {{ hour = "100%", day = "100%" }}
[[idle]]
name = "forgotten"
mode = "act"
match = {{ tags = {{ owner = [] }} }}
idle_when = {{ cpu_max_percent = 5.0, network_max_kib_per_second = 100.0, memory_max_percent = 50.0 }}
grace = "2h"
blast_radius = {{ hour = 4, day = "100%" }}
[promotion]
shadow_for = "1d"
decisions = 3
regret_removals = 2
"#,
        state.path().display(),
        path("stop")
    )
}

struct Estate {
    config: Config,
    journal: Journal,
    clouds: Clouds,
    engine: Engine,
    watch: Watch,
    idle: IdleEngine,
    now: Timestamp,
}

fn rule() -> RuleName {
    RuleName("forgotten".to_owned())
}

impl Estate {
    async fn open(state: &TempDir) -> Estate {
        let text = text(state);
        let config = neap::settings::parse("neap.toml", &text).unwrap_or_else(|f| panic!("{f:#?}"));
        let world = assemble::world(&config);
        let (journal, recovered) =
            Journal::open(&config.state_dir, world, Options::default()).unwrap();
        let last = recovered.memory.as_ref().map(|(_, at)| *at);
        let clouds = assemble::clouds(&config, last, Some(state.path())).unwrap();
        let (policy, models, calendars) = assemble::expanded(&config, &clouds.providers).await;
        let now = clouds.clock.now();
        let digest = journal.record_policy(&policy, &text, now).unwrap();
        let standing = assemble::standing(&config, policy, models, calendars, digest);
        let memory = recovered.memory.map(|(memory, _)| memory).unwrap_or_default();
        let mut engine = assemble::engine(standing, &clouds.providers, memory);
        engine.last_taken_at = last;
        engine.requests = shadow::unanswered(&journal.reader(), recovered.last_cycle).unwrap();
        engine.recall.stand(&engine.memory.stages);
        let watch = Watch::new(&engine.standing.policy, &engine.memory);
        let standing = assemble::idle_standing(&config);
        let mut idle = IdleEngine::new(standing, clouds.providers.clone());
        idle.restore(&journal.reader(), now).unwrap();
        idle.obey(&engine.recall);
        Estate { config, journal, clouds, engine, watch, idle, now }
    }

    async fn run(&mut self, span: Seconds) {
        let stopping = Arc::new(AtomicBool::new(false));
        let end = self.now + span;
        while self.now < end {
            let _ = self.engine.turn(&self.journal, self.now, &stopping).await.unwrap();
            let _ = self.idle.look(&self.journal, self.now, &stopping).await.unwrap();
            self.now = self.now + EVERY;
            self.clouds.clock.sleep_until(self.now).await;
        }
    }

    fn world(&self) -> &World {
        &self.clouds.worlds[&ProviderName::new("sim").unwrap()]
    }

    /// What neap has really stopped, and when.
    fn stops(&self) -> BTreeMap<ResourceId, Timestamp> {
        let world = self.world();
        let mut stops = BTreeMap::new();
        for id in world.machines() {
            let ours = world.power_records(&id).into_iter().filter(|r| r.decision.is_some());
            stops.extend(ours.filter(|record| !record.up).map(|record| (id.clone(), record.at)));
        }
        stops
    }

    fn scores(&self) -> RuleScores {
        self.idle.scores().read().unwrap().clone()
    }

    fn card(&self, since: Timestamp) -> RuleCard {
        self.scores().since(&rule(), since).0
    }

    fn offer(&self) -> RuleOffer {
        let (policy, memory) = (&self.engine.standing.policy, &self.engine.memory);
        let rules = Rules { policy: &self.config.idle.policy, scores: &self.scores() };
        shadow::rule_offer(policy, memory, &rules, &rule(), self.now).unwrap()
    }

    fn promote(&mut self, offer: Option<&str>, anyway: bool) -> Result<String, String> {
        let (name, offer) = (rule().0, offer.map(str::to_owned));
        self.ask(&StageWish::Promote { name, share: None, offer, anyway })
    }

    fn ask(&mut self, wish: &StageWish) -> Result<String, String> {
        let scores = self.scores();
        let Estate { engine, watch, journal, now, config, .. } = self;
        wish.recalls().iter().for_each(|ask| engine.recall.note(ask));
        let rules = Rules { policy: &config.idle.policy, scores: &scores };
        let told = neap::promotion::ask(wish, "ann", *now, engine, watch, journal, &rules);
        told.map(|about| about.to_string()).map_err(|why| why.to_string())
    }

    /// Somebody starts a machine, and not by neap.
    async fn start(&self, id: &ResourceId) {
        let deadline = Deadline::within(Duration::from_secs(5));
        let estate = self.world().estate().unwrap();
        estate.switch(id).order(PowerOrder::Start, "by hand", deadline).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_offer_promotion_restart_regret_and_all_taken_back() {
    let state = TempDir::new().unwrap();
    let mut estate = Estate::open(&state).await;
    estate.run(Seconds::hours(3)).await;
    let early = estate.promote(None, false).unwrap_err();
    assert!(early.contains("the gate is not met") && early.contains("of 1d in shadow"), "{early}");
    estate.run(Seconds::hours(9)).await;
    let half = estate.card(Timestamp(0));
    assert!(half.stops >= 3 && half.down_seconds > 0, "{half:?}");
    estate.run(Seconds::hours(13)).await;
    // A day in: a scorecard has grown, and nothing was stopped.
    assert_eq!(estate.stops(), BTreeMap::new());
    let card = estate.card(Timestamp(0));
    assert!(card.down_seconds > 2 * half.down_seconds, "{card:?} after {half:?}");
    assert!(!card.saved_micro.is_empty(), "{card:?}");
    assert_eq!(card.wrong, 0, "{card:?}");
    assert_eq!(estate.scores().days.len(), 2);
    // A kill forgets nothing of it, written down or not.
    let before = estate.scores();
    drop(estate);
    let mut estate = Estate::open(&state).await;
    assert_eq!(estate.scores(), before);
    estate.run(EVERY).await;
    // The offer, by its name: another one is void.
    let offer = estate.offer();
    assert!(offer.is_ready() && offer.stage == Stage::Shadow, "{offer:?}");
    let void = estate.promote(Some("0123456789ab"), false).unwrap_err();
    assert!(void.contains("is void"), "{void}");
    let told = estate.promote(Some(&offer.id), false).unwrap();
    assert_eq!(told, "rule `forgotten`");
    let promoted_at = estate.now;
    estate.run(Seconds::hours(8)).await;
    let stops = estate.stops();
    assert!(stops.len() >= 3 && stops.values().all(|at| *at > promoted_at), "{stops:?}");
    let by = "ann".to_owned();
    assert_eq!(estate.offer().why, Why::Promoted { by, anyway: false });
    assert_eq!(estate.offer().scorecard.wrong, 0);
    // Somebody has two of them back.
    for id in stops.keys().take(2) {
        estate.start(id).await;
    }
    estate.run(Seconds::hours(1)).await;
    assert_eq!(estate.offer().stage, Stage::Shadow);
    assert_eq!(estate.offer().why, Why::RegretRestarts { restarts: 2 });
    let alerts: Vec<String> =
        estate.journal.outbox().into_iter().map(|pending| pending.alert.title).collect();
    let regret = "rule forgotten is back in shadow: demoted by regret, somebody started 2 of its \
                  machines again";
    assert_eq!(alerts.iter().filter(|title| *title == regret).count(), 1, "{alerts:?}");
    // It goes on in shadow: nothing more is stopped, and the gate begins anew.
    let stopped = estate.stops().len();
    drop(estate);
    let mut estate = Estate::open(&state).await;
    estate.run(Seconds::hours(12)).await;
    assert_eq!(estate.stops().len(), stopped);
    let refused = estate.promote(None, false).unwrap_err();
    assert!(refused.contains("the gate is not met"), "{refused}");
    estate.promote(None, true).unwrap();
    assert_eq!(estate.ask(&StageWish::DemoteAll).unwrap(), "0 services, 1 rules");
    estate.run(Seconds::hours(6)).await;
    assert_eq!(estate.stops().len(), stopped);
    assert_replays(&estate);
}

/// Every recorded plan comes out the same again, of cycles and looks.
fn assert_replays(estate: &Estate) {
    let reader = estate.journal.reader();
    let all = Timestamp(0)..Timestamp(i64::MAX);
    for cycle in reader.cycles(all.clone()) {
        let cycle = cycle.unwrap();
        let policy = reader.policy(cycle.policy).unwrap().policy;
        let again = planner::plan(&policy, &cycle.snapshot, &cycle.memory_before);
        assert_eq!(again, (cycle.plan, cycle.memory_after), "{}", cycle.id);
    }
    let again = neap::idle::again(&reader, all).unwrap();
    assert!(again.different.is_empty() && again.same > 90, "{again:?}");
    assert_eq!(reader.verify().unwrap().damage, []);
}
