//! Outage's shape: demand that collapses in many services at once, or in one alone with nothing that
//! shows that it is real.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{AccountId, ProviderName, Seconds, ServiceName, Timestamp};

use crate::Milli;
use crate::cursor::Cursor;
use crate::learn::capacity_per_unit;
use crate::memory::{Fall, Fell, Memory, ServiceMemory};
use crate::numbers::milli;
use crate::observe::window;
use crate::plan::Hold;
use crate::policy::{Policy, ServicePolicy};
use crate::snapshot::{Observation, Snapshot};

/// A fall is sharp when demand is below the band and has lost this much of what it was, in
/// percent, within three cycles. An ordinary night takes hours for that.
const LOST_PERCENT: u64 = 30;
/// Alone it has to lose more.
const LOST_ALONE_PERCENT: u64 = 35;
/// It also leaves this much of the last hour's lowest demand below it, in percent: when a burst
/// ends, demand is sharply less and no less than it was before.
const BELOW_LOW_PERCENT: u64 = 10;
/// The band that demand is back in falls by this part of it in an hour, in percent, as it would have on
/// its way into a night; and never below this part.
const BACK_FALLS_PERCENT: u64 = 30;
const BACK_LEAST_PERCENT: u64 = 20;
/// Falls of one outage are at most so many cycles apart.
const CYCLES: u64 = 3;
/// A fall that nobody shares and nothing confirms counts as real after this.
const ALONE_LASTS: Seconds = Seconds::minutes(40);
/// A new level that has stood for so long, with signals that are well, is no outage any more.
pub const LASTS: Seconds = Seconds::days(1);
/// Units that were in service so long ago are missed.
const LOST_WITHIN: Seconds = Seconds::minutes(20);
const LOST_UNITS_PERCENT: u64 = 15;
/// Units this near to what they carry may be at their limit: capacity is known about so well.
const BUSY_WITHIN_PERCENT: u64 = 25;
/// An outage that reached nobody else for so long spreads no further.
const SPREADS: Seconds = Seconds::hours(1);
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
    // Of a lower bound nothing falls.
    let Some(newest) = demand.settled.filter(|_| demand.missing.fraction() < 1.0) else { return };
    let lasts = together_within(poll, seen);
    let new = demand.newly_settled.iter().filter(|point| point.start < newest.start);
    // Bands as old as the last look count.
    let since = new.clone().next().map_or(newest.start, |first| first.start);
    let known_from = since - lasts;
    let mut low = demand.recent_low.and_then(milli);
    for now in new.chain([&newest]).filter_map(|point| milli(point.value)) {
        judge(at, known_from, now, low, seen, memory);
        low = low.into_iter().chain([now]).min();
    }
    if let Some(fall) = memory.fall.filter(|fall| has_lasted(at, lasts, *fall, seen, memory)) {
        forget(memory);
        if fall.outage.is_some() {
            memory.doubt.settled_at = Some(at);
        }
    }
}

/// Whether units that are told to be there were in service a little while ago and are not: what they
/// served is not counted, and demand has not fallen.
pub(crate) fn lost_units(at: Timestamp, seen: &Observation, memory: &ServiceMemory) -> bool {
    let Ok(view) = &seen.group else { return false };
    let lately = memory.in_service.entries.iter().rev();
    // What was in force then, too.
    let mut within = true;
    let lately = lately
        .take_while(|(since, _)| std::mem::replace(&mut within, at.since(*since) < LOST_WITHIN));
    let most = lately.map(|(_, units)| *units).filter(|units| *units <= view.desired).max();
    // Fewer than that explain no sharp fall.
    most.is_some_and(|most| below(view.in_service.0.into(), most.0.into(), LOST_UNITS_PERCENT))
}

/// Whether what is measured now may be only what is left of the group serves: units were lost lately, or
/// the group has long been short of what it was told to have and the others are near what they carry.
/// Where no capacity is known they may be.
pub fn is_short(
    at: Timestamp,
    service: &ServicePolicy,
    seen: &Observation,
    memory: &ServiceMemory,
) -> bool {
    if lost_units(at, seen, memory) {
        return true;
    }
    let Ok(view) = &seen.group else { return false };
    let lead = window(&service.pool, Some(memory), Seconds::ZERO, Seconds::ZERO).lead_time;
    // An order of the last cycle is none that memory has the effect of.
    let told = memory.orders.expected.is_some_and(|expected| expected.desired == view.desired);
    let booting = memory.orders.changed_at.is_some_and(|changed| at.since(changed) <= lead);
    let in_service = f64::from(view.in_service.0);
    if !told || booting || !below(in_service, view.desired.0.into(), LOST_UNITS_PERCENT) {
        return false;
    }
    let points = seen.demand.settled.iter().chain(&seen.demand.provisional);
    let carried = capacity_per_unit(service, memory).ok().map(|capacity| capacity * in_service);
    let mut points = points.map(|point| point.value);
    points.any(|demand| carried.is_none_or(|most| !below(demand, most, BUSY_WITHIN_PERCENT)))
}

/// How far apart falls of one outage are.
fn together_within(poll: Seconds, seen: &Observation) -> Seconds {
    Seconds(poll.max(seen.demand.step.span()).0.saturating_mul(CYCLES))
}

/// Whether a fall counts as real by now.
fn has_lasted(
    at: Timestamp,
    lasts: Seconds,
    fall: Fall,
    seen: &Observation,
    memory: &ServiceMemory,
) -> bool {
    let age = at.since(fall.since);
    match fall.outage {
        Some(_) => age >= LASTS && !seen.signals.is_worse(),
        None if memory.doubt.witness.confirms(fall.since) => age > lasts,
        None => age >= ALONE_LASTS,
    }
}

/// A fall is real: the level that demand has now is the one it may fall from.
fn forget(memory: &mut ServiceMemory) {
    memory.fall = None;
    memory.doubt.fallen_milli = None;
    memory.bands.clear();
}

/// A fall that nobody shares, as long as nothing shows that it is real.
pub(crate) fn alone(memory: &ServiceMemory) -> Option<Hold> {
    let Fall { since, back_at_milli, .. } = memory.fall.filter(|fall| fall.outage.is_none())?;
    let [.., newest] = memory.doubt.fallen_milli?;
    // What others share is doubted sooner.
    if !below(newest.get(), back_at_milli.get(), LOST_ALONE_PERCENT) {
        return None;
    }
    Some(Hold::FellAlone { since, until: since + ALONE_LASTS })
}

/// Whether something makes demand of a service, or of any, doubtful that somebody could acknowledge: its
/// own fall, utilisation, or an outage of others that may reach it.
///
/// ```
/// use fleet::{ServiceName, Timestamp};
/// use planner::{Memory, Milli};
/// use planner::memory::{Fall, ServiceMemory};
///
/// let (web, api) = (ServiceName::new("web").expect("a name"), ServiceName::new("api").expect("a name"));
/// let mut memory = Memory::default();
/// assert!(!planner::is_doubted(&memory, Some(&web)));
/// let fall = |outage| Some(Fall { since: Timestamp(0), back_at_milli: Milli::whole(7), outage });
/// memory.services.insert(api.clone(), ServiceMemory { fall: fall(None), ..Default::default() });
/// let doubted = |memory: &_| [Some(&api), Some(&web), None].map(|name| planner::is_doubted(memory, name));
/// assert_eq!(doubted(&memory), [true, false, true]);
/// memory.services.insert(api.clone(), ServiceMemory { fall: fall(Some((2, 3))), ..Default::default() });
/// assert_eq!(doubted(&memory), [true, true, true]);
/// ```
pub fn is_doubted(memory: &Memory, name: Option<&ServiceName>) -> bool {
    let doubts = |own: &ServiceMemory| own.fall.is_some() || crate::doubt::limit(own).is_some();
    let outage = |other: &ServiceMemory| other.fall.is_some_and(|fall| fall.outage.is_some());
    match name {
        Some(name) => {
            memory.services.get(name).is_some_and(doubts) || memory.services.values().any(outage)
        }
        None => memory.services.values().any(doubts),
    }
}

/// Whether demand that fell is back: in the band that it fell out of; or as sharply as it fell, in what
/// that band may be by now.
fn is_back(at: Timestamp, fall: Fall, demand: Milli, fallen: Option<[Milli; 3]>) -> bool {
    let lowest = fallen.and_then(|lately| lately.into_iter().min());
    let sharply = lowest.is_some_and(|lowest| below(lowest.get(), demand.get(), LOST_PERCENT));
    let hour = Seconds::hours(1).0;
    let lost = BACK_FALLS_PERCENT.saturating_mul(at.since(fall.since).0) / hour;
    let left = 100u64.saturating_sub(lost).max(BACK_LEAST_PERCENT);
    demand >= fall.back_at_milli
        || (sharply && !below(demand.get(), fall.back_at_milli.get(), 100 - left))
}

/// Whether `demand` is less than `what` by more than so many percent of that.
fn below(demand: f64, what: f64, percent: u64) -> bool {
    demand * 100.0 < what * (100 - percent) as f64
}

/// Judges an interval's demand, in thousandths per second; `low` is the lowest lately. Where units were
/// lost nothing falls.
fn judge(
    at: Timestamp,
    known_from: Timestamp,
    demand: Milli,
    low: Option<Milli>,
    seen: &Observation,
    memory: &mut ServiceMemory,
) {
    let fell = |fall: Fall| Fell { at: fall.since, back_at_milli: fall.back_at_milli };
    memory.proven.note_fall(at, memory.fall.map(fell), demand);
    if let Some(fall) = memory.fall {
        if is_back(at, fall, demand, memory.doubt.fallen_milli) {
            memory.fall = None;
            memory.doubt.fallen_milli = None;
            memory.doubt.settled_at = Some(at);
        } else {
            let [_, before, newest] = memory.doubt.fallen_milli.unwrap_or([demand; 3]);
            memory.doubt.fallen_milli = Some([before, newest, demand]);
        }
        return;
    }
    if low.is_some_and(|low| !below(demand.get(), low.get(), BELOW_LOW_PERCENT)) {
        return;
    }
    let fell_from = memory.bands.iter().rev().find(|band| {
        band.origin >= known_from
            && demand < band.low_milli
            && below(demand.get(), band.demand_milli.get(), LOST_PERCENT)
    });
    if let Some(band) = fell_from.filter(|_| !lost_units(at, seen, memory)) {
        let fall = Fall { since: at, back_at_milli: band.low_milli, outage: None };
        memory.fall = Some(fall);
        memory.doubt.fallen_milli = Some([demand; 3]);
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
            forget(memory);
            memory.doubt.settled_at = Some(snapshot.taken_at);
            memory.doubt.witness.acknowledge();
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
    let now = snapshot.taken_at;
    for sharers in sharing(policy, snapshot, services).into_values() {
        let mut memories = Cursor::over(services.iter().map(|(name, own)| (name, own)));
        let mut looked = Cursor::over(&snapshot.services);
        let together = |name: &&ServiceName| {
            let lasts = together_within(policy.poll_interval, looked.at(name)?);
            let fall = memories.at(name)?.fall?;
            (fall.outage.is_some() || now.since(fall.since) <= lasts).then_some(fall.since)
        };
        let fallen: Vec<Timestamp> = sharers.iter().filter_map(together).collect();
        if fallen.len() < SHARED_MIN.max(sharers.len().div_ceil(3)) {
            continue;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let shape = Shape {
            fallen: count(fallen.len()),
            of: count(sharers.len()),
            since: fallen.iter().min().copied().unwrap_or(snapshot.taken_at),
        };
        let newest = fallen.iter().max().copied().unwrap_or(now);
        for name in sharers {
            let Some(memory) = find(services, name) else { continue };
            let settled = memory.doubt.settled_at.is_some_and(|settled| settled >= newest);
            if let Some(fall) = memory.fall.as_mut() {
                fall.outage = Some((shape.fallen, shape.of));
            } else if settled || now.since(newest) >= SPREADS {
                continue;
            }
            held.insert(name.clone(), shape);
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
