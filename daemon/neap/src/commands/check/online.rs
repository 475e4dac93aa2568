//! `neap check --online`: asks the clouds whether everything that a configuration needs is in place,
//! and changes nothing.
//!
//! `facts.rs` says what was found out, `judge.rs` what that means, purely, and `finding.rs` words it.
//! Here it is asked: place by place, each with a deadline, a few at a time.

mod facts;
mod finding;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use fleet::metric::{MetricKey, MetricQuery};
use fleet::{Fault, FaultKind, GroupRef, Place, ProviderName, Seconds, ServiceName, Timestamp};
use planner::policy::{Policy, ServicePolicy};
use providers::traced::Traced;
use providers::{Deadline, Growth, Provider};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::assemble;
use facts::{AskedAs, Facts, PlaceFacts, Read, ServiceFacts};

pub(super) use finding::{Finding, listed};

type Clouds = BTreeMap<ProviderName, Traced>;

/// Places that are asked at the same time.
const PLACES_AT_ONCE: usize = 8;
/// How long one place, or all metrics of a provider, may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How long all of it may take.
const AT_MOST: Duration = Duration::from_secs(300);
/// How far back metrics are looked at.
const LOOKED_BACK: Seconds = Seconds::days(1);

/// Asks, judges, and tells what was found, in the order of services and places.
///
/// # Errors
/// Where the clouds cannot be reached at all: nothing can be started.
pub(super) fn run(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let facts = runtime.block_on(async {
        let clouds = assemble::clouds(config, None, None)?;
        let now = clouds.clock.now();
        let (policy, _, _) = assemble::expanded(config, &clouds.providers).await;
        anyhow::Ok(asked(config, policy, &clouds.providers, now).await)
    })?;
    Ok(judge::findings(&facts))
}

/// Everything that is found out.
async fn asked(config: &Config, policy: Policy, clouds: &Clouds, now: Timestamp) -> Facts {
    let until = Deadline::within(AT_MOST);
    let places = places(&policy, clouds);
    let metrics = metrics(&policy);
    eprintln!(
        "asking {} services, {} metrics and {} places; nothing is changed",
        policy.services.len(),
        metrics.len(),
        places.len()
    );
    let (groups, read) =
        tokio::join!(groups(&policy, clouds, until), samples(&metrics, clouds, now, until));
    let services: Vec<ServiceFacts> = policy
        .services
        .iter()
        .map(|(name, service)| service_facts(&policy, name, service, &groups, now))
        .collect();
    let tried = tried(places, clouds, &services, until).await;
    Facts {
        now,
        acts: policy.mode == planner::policy::Mode::Act,
        watches_machines: !config.idle.is_empty(),
        services: tagged(services, clouds),
        metrics: metrics
            .into_iter()
            .map(|(key, (query, asked))| {
                let read = read.get(&key).cloned().unwrap_or_else(|| Err(late("samples")));
                Read { settling: settling(&query, clouds), query, asked, read }
            })
            .collect(),
        places: tried,
    }
}

/// Every account and region that is looked in or read from.
fn places(policy: &Policy, clouds: &Clouds) -> BTreeSet<Place> {
    let mut all: BTreeSet<Place> =
        clouds.values().flat_map(|cloud| cloud.inventory().places()).collect();
    all.extend(policy.services.values().map(|service| Place::of(&service.pool.group)));
    all.retain(|place| clouds.contains_key(&place.provider));
    all
}

/// Every metric once, with who asks for it and as what.
type Metrics = BTreeMap<MetricKey, (MetricQuery, Vec<(ServiceName, AskedAs)>)>;

fn metrics(policy: &Policy) -> Metrics {
    let mut all = Metrics::new();
    for (name, service) in &policy.services {
        for query in service.metrics() {
            let asked = match service.demand.contains(query) {
                true => AskedAs::Demand,
                false => AskedAs::Beside,
            };
            let (_, askers) = all.entry(query.key()).or_insert_with(|| (query.clone(), Vec::new()));
            askers.push((name.clone(), asked));
        }
    }
    all
}

type Groups = BTreeMap<GroupRef, Result<fleet::group::GroupState, Fault>>;

/// The groups of all services, each provider asked once.
async fn groups(policy: &Policy, clouds: &Clouds, until: Deadline) -> Groups {
    let mut wanted: BTreeMap<ProviderName, Vec<GroupRef>> = BTreeMap::new();
    for service in policy.services.values() {
        let group = service.pool.group.clone();
        wanted.entry(group.provider.clone()).or_default().push(group);
    }
    let mut jobs = JoinSet::new();
    for (provider, groups) in wanted {
        let Some(cloud) = clouds.get(&provider).cloned() else { continue };
        jobs.spawn(async move {
            let deadline = Deadline::within(WITHIN).min(until);
            let answers = cloud.inventory().groups(&groups, deadline).await;
            groups.into_iter().zip(answers).collect::<Vec<_>>()
        });
    }
    jobs.join_all().await.into_iter().flatten().collect()
}

type Samples = BTreeMap<MetricKey, Result<Vec<fleet::metric::Sample>, Fault>>;

/// A day of every metric, each provider asked once.
async fn samples(metrics: &Metrics, clouds: &Clouds, now: Timestamp, until: Deadline) -> Samples {
    let mut wanted: BTreeMap<ProviderName, Vec<MetricQuery>> = BTreeMap::new();
    for (query, _) in metrics.values() {
        wanted.entry(query.provider.clone()).or_default().push(query.clone());
    }
    let mut jobs = JoinSet::new();
    for (provider, queries) in wanted {
        let Some(cloud) = clouds.get(&provider).cloned() else { continue };
        jobs.spawn(async move {
            let deadline = Deadline::within(WITHIN).min(until);
            let answers = cloud.metrics().samples(&queries, now - LOOKED_BACK, now, deadline).await;
            queries.iter().map(MetricQuery::key).zip(answers).collect::<Vec<_>>()
        });
    }
    jobs.join_all().await.into_iter().flatten().collect()
}

fn settling(query: &MetricQuery, clouds: &Clouds) -> Seconds {
    let cloud = clouds.get(&query.provider);
    cloud.map_or(Seconds::ZERO, |cloud| cloud.metrics().keeps(query).settling)
}

fn service_facts(
    policy: &Policy,
    name: &ServiceName,
    service: &ServicePolicy,
    groups: &Groups,
    now: Timestamp,
) -> ServiceFacts {
    let group = groups.get(&service.pool.group).cloned();
    ServiceFacts::of(policy, name, service, group.unwrap_or_else(|| Err(late("groups"))), now)
}

/// Services with the command that hands each group over, where its cloud asks for that.
fn tagged(services: Vec<ServiceFacts>, clouds: &Clouds) -> Vec<ServiceFacts> {
    let with = |mut service: ServiceFacts| {
        let cloud = clouds.get(&service.place.provider);
        if let (Some(trials), Ok(state)) = (cloud.and_then(|cloud| cloud.trials()), &service.group)
        {
            service.tag_command = trials.tag_command(&state.id, &state.name, facts::OPT_IN);
        }
        service
    };
    services.into_iter().map(with).collect()
}

/// Tries permissions and limits place by place, a few at a time.
async fn tried(
    places: BTreeSet<Place>,
    clouds: &Clouds,
    services: &[ServiceFacts],
    until: Deadline,
) -> Vec<PlaceFacts> {
    let room = Arc::new(Semaphore::new(PLACES_AT_ONCE));
    let mut jobs = JoinSet::new();
    let count = places.len();
    for place in places {
        let Some(cloud) = clouds.get(&place.provider).cloned() else { continue };
        if cloud.trials().is_none() {
            continue;
        }
        let here = services.iter().filter(|service| service.place == place);
        let growth: Vec<Growth> = here.filter_map(ServiceFacts::growth).collect();
        let room = Arc::clone(&room);
        jobs.spawn(async move {
            let _turn = room.acquire_owned().await;
            one_place(&cloud, place, &growth, until).await
        });
    }
    let mut all = Vec::new();
    while let Some(done) = jobs.join_next().await {
        if let Ok(Some(place)) = done {
            eprintln!("asked {} ({} of {count})", place.place, all.len() + 1);
            all.push(place);
        }
    }
    all.sort_by(|a, b| a.place.cmp(&b.place));
    all
}

async fn one_place(
    cloud: &Traced,
    place: Place,
    growth: &[Growth],
    until: Deadline,
) -> Option<PlaceFacts> {
    let trials = cloud.trials()?;
    let deadline = Deadline::within(WITHIN).min(until);
    let (tried, rooms) =
        tokio::join!(trials.tried(&place, true, deadline), trials.rooms(&place, growth, deadline),);
    let missing = |permission: &str| (permission.to_owned(), trials.statement(permission));
    let statements =
        tried.trials.iter().map(|trial| missing(&trial.permission)).collect::<BTreeMap<_, _>>();
    Some(PlaceFacts { place, tried, rooms, statements })
}

/// No answer came back.
fn late(operation: &str) -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        operation: operation.to_owned(),
        detail: "no answer".to_owned(),
        request_id: None,
    }
}
