//! Outage's shape: demand that collapses in many services at once, or in one that is also sick.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{AccountId, ProviderName, Seconds, ServiceName, Timestamp};

use crate::Milli;
use crate::cursor::Cursor;
use crate::memory::{Fall, Fell, ServiceMemory};
use crate::numbers::milli;
use crate::policy::Policy;
use crate::snapshot::{Observation, Snapshot};

/// A fall is sharp when demand is below the band and has lost this much of what it was, in
/// percent, within three cycles. An ordinary night takes hours for that.
const LOST_PERCENT: u64 = 30;
/// It also leaves this much of the last hour's lowest demand below it, in percent: when a burst
/// ends, demand is sharply less and no less than it was before.
const BELOW_LOW_PERCENT: u64 = 10;
/// A fall that nobody shares is forgotten after so many cycles.
const CYCLES: u64 = 3;
/// An outage shows in at least a third of those that share something, and in two at least.
const SHARED_MIN: usize = 2;

/// An outage that holds a service back, as its operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Services that fell together.
    pub fallen: u32,
    /// Services that share what broke.
    pub of: u32,
    pub since: Timestamp,
}

/// Looks whether a service's demand fell out of its band, or came back. Several intervals may have
/// settled since the last look: each is judged in its turn.
pub(crate) fn look(at: Timestamp, poll: Seconds, seen: &Observation, memory: &mut ServiceMemory) {
    let demand = &seen.demand;
    let Some(newest) = demand.settled else { return };
    let lasts = Seconds(poll.max(demand.step.span()).0.saturating_mul(CYCLES));
    let new = demand.newly_settled.iter().filter(|point| point.start < newest.start);
    // Bands as old as the last look count.
    let since = new.clone().next().map_or(newest.start, |first| first.start);
    let known_from = since - lasts;
    let mut low = demand.recent_low.and_then(milli);
    for now in new.chain([&newest]).filter_map(|point| milli(point.value)) {
        judge(at, lasts, known_from, now, low, memory);
        low = low.into_iter().chain([now]).min();
    }
}

/// Judges an interval's demand, in thousandths per second; `low` is the lowest lately.
fn judge(
    at: Timestamp,
    lasts: Seconds,
    known_from: Timestamp,
    demand: Milli,
    low: Option<Milli>,
    memory: &mut ServiceMemory,
) {
    let fell = |fall: Fall| Fell { at: fall.since, back_at_milli: fall.back_at_milli };
    memory.proven.note_fall(at, memory.fall.map(fell), demand);
    if let Some(fall) = memory.fall {
        let forgotten = fall.outage.is_none() && at.since(fall.since) > lasts;
        if demand >= fall.back_at_milli || forgotten {
            memory.fall = None;
        }
        if forgotten {
            memory.bands.clear();
        }
        return;
    }
    let below =
        |what: Milli, percent: u64| demand.get() * 100.0 < what.get() * (100 - percent) as f64;
    if low.is_some_and(|low| !below(low, BELOW_LOW_PERCENT)) {
        return;
    }
    let fell_from = memory.bands.iter().rev().find(|band| {
        band.origin >= known_from
            && demand < band.low_milli
            && below(band.demand_milli, LOST_PERCENT)
    });
    if let Some(band) = fell_from {
        let fall = Fall { since: at, back_at_milli: band.low_milli, outage: None };
        memory.fall = Some(fall);
        memory.proven.note_fall(at, Some(fell(fall)), demand);
    }
}

/// Gives the falls that belong together an outage's shape, and tells whom it holds back: everybody
/// who shares what broke, fallen or not.
pub(crate) fn shapes(
    policy: &Policy,
    snapshot: &Snapshot,
    services: &mut [(ServiceName, ServiceMemory)],
) -> BTreeMap<ServiceName, Shape> {
    for name in &snapshot.acknowledged {
        if let Some(memory) = find(services, name) {
            memory.fall = None;
            memory.bands.clear();
        }
    }
    for (name, seen) in &snapshot.services {
        if !seen.signals.is_worse() {
            continue;
        }
        if let Some(fall) = find(services, name).and_then(|memory| memory.fall.as_mut()) {
            fall.outage = fall.outage.or(Some((1, 1)));
        }
    }
    let mut held = BTreeMap::new();
    for sharers in sharing(policy, snapshot, services).into_values() {
        let mut memories = Cursor::over(services.iter().map(|(name, own)| (name, own)));
        let fallen: Vec<Timestamp> =
            sharers.iter().filter_map(|name| Some(memories.at(name)?.fall?.since)).collect();
        if fallen.len() < SHARED_MIN.max(sharers.len().div_ceil(3)) {
            continue;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let shape = Shape {
            fallen: count(fallen.len()),
            of: count(sharers.len()),
            since: fallen.iter().min().copied().unwrap_or(snapshot.taken_at),
        };
        for name in sharers {
            held.insert(name.clone(), shape);
            if let Some(fall) = find(services, name).and_then(|memory| memory.fall.as_mut()) {
                fall.outage = Some((shape.fallen, shape.of));
            }
        }
    }
    for (name, memory) in services.iter() {
        if let Some(Fall { since, outage: Some((fallen, of)), .. }) = memory.fall {
            held.entry(name.clone()).or_insert(Shape { fallen, of, since });
        }
    }
    held
}

/// The memory of a service, among those by name.
fn find<'m>(
    services: &'m mut [(ServiceName, ServiceMemory)],
    name: &ServiceName,
) -> Option<&'m mut ServiceMemory> {
    let at = services.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
    Some(&mut services[at].1)
}

/// What services can lose together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'a> {
    Account(&'a ProviderName, &'a AccountId),
    Upstream(&'a str),
}

/// The services whose band is known, by what they share.
fn sharing<'a>(
    policy: &'a Policy,
    snapshot: &Snapshot,
    services: &[(ServiceName, ServiceMemory)],
) -> BTreeMap<Shared<'a>, Vec<&'a ServiceName>> {
    let mut by_key: BTreeMap<Shared<'a>, Vec<&ServiceName>> = BTreeMap::new();
    let mut looked = Cursor::over(&snapshot.services);
    let mut memories = Cursor::over(services.iter().map(|(name, own)| (name, own)));
    for (name, service) in &policy.services {
        let looked = looked.at(name).is_some();
        if !looked || memories.at(name).is_none_or(|memory| memory.bands.is_empty()) {
            continue;
        }
        let group = &service.pool.group;
        let upstreams: BTreeSet<&str> = service.upstreams.iter().map(String::as_str).collect();
        let account = Shared::Account(&group.provider, &group.account);
        for key in upstreams.into_iter().map(Shared::Upstream).chain([account]) {
            by_key.entry(key).or_default().push(name);
        }
    }
    by_key
}
