//! From a configuration to a clock, the clouds and an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use config::calendars::Calendars;
use config::{self, Config, ProviderConfig, SimConfig};
use fleet::{ProviderName, ServiceName, Step, Timestamp};
use forecaster::ModelKind;
use journal::{self, PolicyDigest};
use planner::Memory;
use planner::policy::{Policy, ServicePolicy};
use providers::sim::World;
use providers::traced::Traced;
use providers::{Now, Provider};

use crate::adapters;
use crate::clock::{Clock, Simulated, System};
use crate::cycle::{Engine, Standing};
use crate::discovery::{self, Made, Named};
use crate::gather::Providers;
use crate::idle::IdleStanding;
use crate::prices::Listed;
use crate::store;

/// The clouds of a configuration and the clock they share.
pub struct Clouds {
    /// The only clock there is.
    pub clock: Arc<dyn Clock>,
    /// The clouds by name.
    pub providers: Providers,
    /// The simulated ones among them.
    pub worlds: BTreeMap<ProviderName, World>,
    /// When a simulation is over.
    pub ends_at: Option<Timestamp>,
}

impl Clouds {
    /// What the time is, for those who never wait for it.
    pub fn now(&self) -> Arc<dyn Now> {
        Arc::clone(&self.clock) as _
    }
}

/// The world that a configuration's journal belongs to.
pub fn world(config: &Config) -> journal::World {
    match simulation(config) {
        Some(sim) => journal::World::Simulation { seed: sim.seed, scenario: sim.scenario.clone() },
        None => journal::World::Real,
    }
}

/// When a run of this configuration would begin: now, or where its simulation starts.
pub fn begins(config: &Config) -> Timestamp {
    simulation(config).map_or_else(|| System.now(), |sim| sim.start)
}

fn simulation(config: &Config) -> Option<&SimConfig> {
    config.providers.values().find_map(|provider| match provider {
        ProviderConfig::Sim(sim) => Some(sim),
        ProviderConfig::Alibaba(_) | ProviderConfig::Aws(_) | ProviderConfig::Prometheus(_) => None,
    })
}

/// Builds the clock and the clouds. A simulation goes on from `not_before` and from what it kept
/// in `keep_in`, if any.
///
/// # Errors
/// Where a simulated cloud's file cannot be used.
pub fn clouds(
    config: &Config,
    not_before: Option<Timestamp>,
    keep_in: Option<&Path>,
) -> anyhow::Result<Clouds> {
    let clock = clock(config, not_before, keep_in)?;
    let mut clouds =
        Clouds { clock, providers: BTreeMap::new(), worlds: BTreeMap::new(), ends_at: None };
    let now = clouds.now();
    for (name, provider) in &config.providers {
        let built: Arc<dyn Provider> = match provider {
            ProviderConfig::Sim(sim) => {
                let settings = sim_settings(sim)?;
                clouds.ends_at = Some(settings.ends_at());
                let world = World::from_settings(name, &settings, Arc::clone(&now));
                if let Some(directory) = keep_in {
                    world.keep_in(world_file(directory, name))?;
                }
                clouds.worlds.insert(name.clone(), world.clone());
                Arc::new(world)
            }
            real => adapters::adapter(name, real, Arc::clone(&now))?,
        };
        clouds.providers.insert(name.clone(), Traced::new(name, built));
    }
    Ok(clouds)
}

fn world_file(directory: &Path, name: &ProviderName) -> std::path::PathBuf {
    directory.join(format!("world-{name}.json"))
}

#[cfg(feature = "test-clock")]
fn test_clock() -> anyhow::Result<Option<Arc<dyn Clock>>> {
    use crate::clock::test;
    match std::env::var_os(test::SOCKET_VARIABLE) {
        Some(path) => Ok(Some(test::remote(Path::new(&path))?)),
        None => Ok(None),
    }
}

fn clock(
    config: &Config,
    not_before: Option<Timestamp>,
    keep_in: Option<&Path>,
) -> anyhow::Result<Arc<dyn Clock>> {
    #[cfg(feature = "test-clock")]
    if let Some(clock) = test_clock()? {
        return Ok(clock);
    }
    let Some(sim) = simulation(config) else { return Ok(Arc::new(System)) };
    let mut start = not_before.unwrap_or(sim.start).max(sim.start);
    if let Some(directory) = keep_in {
        // The cloud may have been looked at after the last cycle that was recorded.
        for (name, provider) in &config.providers {
            let ProviderConfig::Sim(sim) = provider else { continue };
            let still: Arc<dyn Now> = Arc::new(Simulated::new(start, f64::INFINITY));
            let world = World::from_settings(name, &sim_settings(sim)?, still);
            world.keep_in(world_file(directory, name))?;
            start = start.max(world.last_seen());
        }
    }
    let speed = sim.speed.map_or(f64::INFINITY, f64::from);
    Ok(Arc::new(Simulated::new(start, speed)))
}

fn sim_settings(sim: &SimConfig) -> anyhow::Result<providers::sim::Settings> {
    Ok(providers::sim::Settings {
        seed: sim.seed,
        start: sim.start,
        duration: sim.duration,
        speed: sim.speed,
        scenario: sim.scenario.parse()?,
        machines: sim.machines,
    })
}

/// The policy with every group that matches a template, the models that the operator named, and
/// the calendars of all.
pub async fn expanded(
    config: &Config,
    providers: &Providers,
) -> (Policy, BTreeMap<ServiceName, ModelKind>, Calendars) {
    let Made { policy, models, calendars, .. } =
        discovery::once(config, providers, &Named::default()).await;
    (policy, models, calendars)
}

/// What is in force under `config`.
pub fn standing(
    config: &Config,
    policy: Policy,
    models: BTreeMap<ServiceName, ModelKind>,
    calendars: Calendars,
    digest: PolicyDigest,
) -> Standing {
    let freezes = config.freezes.clone();
    Standing {
        policy,
        digest,
        models,
        written: config.policy.services.keys().cloned().collect(),
        calendars,
        kill_switch: config.kill_switch.clone(),
        cycle_deadline: config.cycle_deadline,
        freezes: Box::new(move |now| config::freezes_active(&freezes, now)),
    }
}

/// What is in force under `config` for idle resources and schedules.
pub fn idle_standing(config: &Config) -> IdleStanding {
    let mut idle = config.idle.clone();
    idle.policy.own_host = crate::idle::own_instance_id();
    let freezes = config.freezes.clone();
    IdleStanding {
        config: Arc::new(idle),
        kinds: config.providers.iter().map(|(name, p)| (name.clone(), p.kind())).collect(),
        kill_switch: config.kill_switch.clone(),
        freezes: Box::new(move |now| config::freezes_active(&freezes, now)),
    }
}

/// What the operator says of prices under `config`.
pub fn listed(config: &Config) -> Listed {
    Listed {
        config: Arc::new(config.idle.clone()),
        kinds: config.providers.iter().map(|(name, p)| (name.clone(), p.kind())).collect(),
    }
}

/// Fills an engine with the samples of a journal, but those that arrived before their interval began:
/// a clock took them that was ahead, or they are of before it was set back.
///
/// # Errors
/// Where the journal cannot be read.
pub fn restore_samples(
    engine: &mut Engine,
    reader: &journal::Reader,
    now: Timestamp,
) -> anyhow::Result<()> {
    let known: BTreeMap<_, _> = engine
        .standing
        .policy
        .services
        .values()
        .flat_map(ServicePolicy::held)
        .map(|query| (query.key(), query.clone()))
        .collect();
    let lost = reader.sound_samples(now - store::RESTORED, |metric, seen_at, sample| {
        let query = known.get(metric);
        // A source's own clock may be a little ahead.
        let has_begun = |period: Step| sample.start <= seen_at.min(now) + period.span();
        if let Some(query) = query.filter(|query| has_begun(query.period)) {
            engine.observer.restore(query, sample);
        }
    });
    let lost = lost.context("reading samples back")?;
    if let Some(first) = lost.first() {
        tracing::warn!(records = lost.len(), %first, "journal: damaged samples are left out");
    }
    Ok(())
}

/// An engine that knows what `memory` knows.
pub fn engine(standing: Standing, providers: &Providers, memory: Memory) -> Engine {
    Engine::new(standing, providers.clone(), memory)
}
