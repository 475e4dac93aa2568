//! Asks a cloud what a first configuration is guessed from. Whatever cannot be read is named, and costs
//! nothing else its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use fleet::feed::{Survey, Surveyed};
use fleet::metric::MetricQuery;
use fleet::money::{Price, PriceQuery};
use fleet::resource::{Resource, ResourceKind};
use fleet::{Fault, GroupId, Now as _, Place, Seconds, Timestamp};
use providers::{Deadline, Estate, Metrics, Provider};

use super::find::{self, Queues, Ways};
use super::guess::{self, Load, Read};
use super::idle::forgotten;
use super::render::Found;
use super::{Cloud, why_left};
use crate::clock::System;

/// How long each round of questions may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How far back it is looked for samples.
const DAY: Seconds = Seconds::days(1);
/// How far back load, CPU and size are laid side by side: as long as clouds keep minutes.
const WEEKS: Seconds = Seconds::days(15);

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    groups: Vec<Surveyed>,
    ways: BTreeMap<GroupId, Ways>,
    loads: BTreeMap<GroupId, Load>,
    day: Read,
    weeks: Read,
    prices: BTreeMap<(String, String), Result<Option<Price>, Fault>>,
    machines: Vec<Resource>,
    unread: Vec<Fault>,
    /// Why places told nothing at all.
    pub(super) dead: Vec<Fault>,
}

/// Reads all that there is to find, in a few rounds.
pub(super) async fn look(cloud: Cloud, provider: &dyn Provider) -> Gathered {
    let (surveys, machines) = tokio::join!(surveys(provider), machines(provider.estate()));
    let mut gathered = Gathered::default();
    let mut queues = Queues::new();
    for (place, survey) in surveys {
        match survey {
            Ok(survey) => {
                queues.insert((place.account, place.region), survey.queues);
                gathered.groups.extend(survey.groups);
                gathered.unread.extend(survey.unread);
            }
            Err(fault) => gathered.dead.push(fault),
        }
    }
    for listing in machines {
        match listing {
            Ok(found) => gathered.machines.extend(found),
            Err(fault) => gathered.unread.push(fault),
        }
    }
    gathered.groups.sort_by(|a, b| (&a.group.name, &a.group.id).cmp(&(&b.group.name, &b.group.id)));
    let sized: Vec<&Surveyed> =
        gathered.groups.iter().filter(|one| why_left(&one.group).is_none()).collect();
    gathered.ways = find::ways(cloud, &sized, &queues);
    let none = Ways::default();
    let ways = |one: &Surveyed| gathered.ways.get(&one.group.id).unwrap_or(&none);
    let now = System.now();
    let asked = sized.iter().flat_map(|one| guess::asked_of_a_day(cloud, one, ways(one)));
    gathered.day = read(provider.metrics(), asked.collect(), DAY, now).await;
    let load =
        |one: &&Surveyed| (one.group.id.clone(), guess::load(cloud, one, ways(one), &gathered.day));
    let loads: BTreeMap<GroupId, Load> = sized.iter().map(load).collect();
    let asked = sized
        .iter()
        .filter_map(|one| Some(guess::asked_of_weeks(cloud, one, loads.get(&one.group.id)?)));
    let asked = asked.flatten().collect();
    let prices = prices(provider.estate(), &sized);
    let (weeks, prices) = tokio::join!(read(provider.metrics(), asked, WEEKS, now), prices);
    (gathered.weeks, gathered.prices, gathered.loads) = (weeks, prices, loads);
    gathered
}

impl Gathered {
    /// What is to be printed.
    pub(super) fn found(&self, cloud: Cloud) -> Found<'_> {
        let mut found = Found { prices: self.prices.clone(), ..Found::default() };
        let none = Ways::default();
        for one in &self.groups {
            if let Some(why) = why_left(&one.group) {
                found.left.push((one, why));
                continue;
            }
            let ways = self.ways.get(&one.group.id).unwrap_or(&none);
            if let Some(load) = self.loads.get(&one.group.id) {
                let read = (&self.day, &self.weeks);
                found.guesses.push(guess::guess(cloud, one, ways, load.clone(), read));
            }
        }
        found.forgotten = forgotten(&self.machines);
        let metrics = self.day.values().chain(self.weeks.values());
        let metrics = metrics.filter_map(|answer| answer.as_ref().err());
        let prices = self.prices.values().filter_map(|answer| answer.as_ref().err());
        let all = self.dead.iter().chain(&self.unread).chain(metrics).chain(prices);
        // The same call fails for many things in the same way: once is enough.
        let mut said = BTreeSet::new();
        let news = |fault: &&Fault| said.insert((fault.operation.clone(), fault.kind.word()));
        found.unread = all.filter(news).cloned().collect();
        found
    }
}

/// What every place tells of its groups, side by side.
async fn surveys(provider: &dyn Provider) -> Vec<(Place, Result<Survey, Fault>)> {
    let inventory = provider.inventory();
    let one = |place: Place| async move {
        let survey = inventory.survey(&place, Deadline::within(WITHIN)).await;
        match &survey {
            Ok(survey) => say(&format!("{}: {} groups", place.region, survey.groups.len())),
            Err(fault) => say(&format!("{}: {fault}", place.region)),
        }
        (place, survey)
    };
    let places = inventory.places();
    let regions: Vec<&str> = places.iter().map(|place| place.region.as_str()).collect();
    say(&format!("looking at {} …", regions.join(", ")));
    futures_util::future::join_all(places.iter().cloned().map(one)).await
}

/// Machines in every place.
async fn machines(estate: Option<&dyn Estate>) -> Vec<Result<Vec<Resource>, Fault>> {
    let Some(estate) = estate else { return Vec::new() };
    let kinds = [ResourceKind::Instance, ResourceKind::Database];
    let listings = estate.resources(&kinds, Deadline::within(WITHIN)).await;
    listings.into_iter().map(|listing| listing.resources).collect()
}

/// Samples of all these metrics, each asked for once.
async fn read(
    metrics: &dyn Metrics,
    asked: Vec<MetricQuery>,
    span: Seconds,
    now: Timestamp,
) -> Read {
    let by_key: BTreeMap<_, MetricQuery> =
        asked.into_iter().map(|query| (query.key(), query)).collect();
    if by_key.is_empty() {
        return Read::new();
    }
    say(&format!("reading {} metrics of {span} …", by_key.len()));
    let queries: Vec<MetricQuery> = by_key.values().cloned().collect();
    let answers = metrics.readings(&queries, now - span, now, Deadline::within(WITHIN)).await;
    // A part is evidence, too.
    let all = answers.into_iter().map(|answer| answer.map(|samples| samples.all));
    by_key.into_keys().zip(all).collect()
}

/// The list prices of the machines that groups are made of.
async fn prices(
    estate: Option<&dyn Estate>,
    sized: &[&Surveyed],
) -> BTreeMap<(String, String), Result<Option<Price>, Fault>> {
    let Some(estate) = estate else { return BTreeMap::new() };
    let query = |one: &&Surveyed| {
        let class = one.shapes.first()?.class.clone();
        let id = &one.group.id;
        let query = PriceQuery {
            provider: id.provider.clone(),
            account: id.account.clone(),
            region: id.region.clone(),
            kind: ResourceKind::Instance,
            class: class.clone(),
            platform: None,
        };
        Some(((id.region.to_string(), class), query))
    };
    let queries: BTreeMap<(String, String), PriceQuery> = sized.iter().filter_map(query).collect();
    let asked: Vec<PriceQuery> = queries.values().cloned().collect();
    let answers = estate.prices(&asked, Deadline::within(WITHIN)).await;
    queries.into_keys().zip(answers).collect()
}

/// Tells who waits at a terminal what is being done.
fn say(what: &str) {
    if std::io::stderr().is_terminal() {
        // Whoever closed it has seen enough.
        let _gone = writeln!(crate::output::stderr(), "{what}");
    }
}
