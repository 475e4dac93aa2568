//! What changed of the memory in a cycle: a few bytes a service when nothing happened.

use std::collections::BTreeMap;

use fleet::{GroupId, ServiceName, Timestamp, Units};
use serde::{Deserialize, Serialize};

use crate::memory::{
    Band, Bucket, Calibration, Censored, Count, Doubt, Dwell, Fall, Fell, FleetMemory, Growth,
    LearnedCapacity, Lease, Memory, Orders, Quality, Ring, ServiceMemory, Serving, Size, Slot,
};
use crate::stage::Stages;

/// What changed of a [`Memory`] in a cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryDelta {
    /// The fleet's part, where it changed.
    pub fleet: Option<FleetMemory>,
    /// Services that are new, or what changed of them.
    pub changed: BTreeMap<ServiceName, Vec<FieldChange>>,
    /// Services that are gone.
    pub gone: Vec<ServiceName>,
    /// What was promoted or taken back, where that changed.
    pub stages: Option<Stages>,
}

/// A field of a [`ServiceMemory`] and its new value, or what changed in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldChange {
    /// `group`.
    Group(Option<GroupId>),
    /// `violations.counted`.
    Counted(Option<Timestamp>),
    /// `violations.quarters`.
    Quarters(ListDelta<(u32, Count)>),
    /// `calibration`.
    Calibration(Calibration),
    /// `in_service`.
    InService(ListDelta<(Timestamp, Units)>),
    /// `ordered`.
    Ordered(ListDelta<(Timestamp, Units)>),
    /// `removals`.
    Removals(Bucket),
    /// `orders`.
    Orders(Orders),
    /// `lease`.
    Lease(Option<Lease>),
    /// `quality`.
    Quality(Quality),
    /// `bands`.
    Bands(ListDelta<Band>),
    /// `fall`.
    Fall(Option<Fall>),
    /// `capacity`.
    Capacity(LearnedCapacity),
    /// `lead_times`.
    LeadTimes(ListDelta<u32>),
    /// `dwell`.
    Dwell(Option<Dwell>),
    /// `last_trusted`.
    LastTrusted(Option<Units>),
    /// `censored`.
    Censored(Option<Censored>),
    /// `proven.newest` and `proven.lately`: the slots that changed, by their place.
    Lately { newest: u32, slots: RingDelta<Slot> },
    /// `proven.days`: the half hours that changed, by their place.
    Days(RingDelta<Size>),
    /// `proven.unbudgeted`.
    Unbudgeted(Units),
    /// `proven.fell`.
    Fell(Option<Fell>),
    /// `growth`.
    Growth(Growth),
    /// `doubt`.
    Doubt(Doubt),
    /// `serving`.
    Serving(Serving),
}

/// A list that lost some from the front, kept some, and got some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDelta<T> {
    /// Dropped from the front.
    pub drop: u32,
    /// Kept after them.
    pub keep: u32,
    /// Put behind those.
    pub push: Vec<T>,
}

impl<T: Clone + PartialEq> ListDelta<T> {
    fn between(old: &[T], new: &[T]) -> ListDelta<T> {
        let (mut best_drop, mut best_keep) = (0, 0);
        for drop in 0..old.len() {
            let keep = old[drop..].iter().zip(new).take_while(|(a, b)| a == b).count();
            if keep > best_keep {
                (best_drop, best_keep) = (drop, keep);
            }
            if best_keep >= old.len() - drop {
                break;
            }
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let push = new[best_keep..].to_vec();
        ListDelta { drop: count(best_drop), keep: count(best_keep), push }
    }

    fn apply(&self, list: &mut Vec<T>) {
        list.drain(..list.len().min(self.drop as usize));
        list.truncate(self.keep as usize);
        list.extend(self.push.iter().cloned());
    }
}

/// A ring of places of which some got another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingDelta<T> {
    /// How many places it has.
    pub places: u8,
    /// The new values, by their place.
    pub put: Vec<(u8, Option<T>)>,
}

/// What leads from `old` to `new`.
pub fn delta(old: &Memory, new: &Memory) -> MemoryDelta {
    let nothing = ServiceMemory::default();
    let mut changed = BTreeMap::new();
    for (name, memory) in &new.services {
        let before = old.services.get(name);
        let fields = fields(before.unwrap_or(&nothing), memory);
        if !fields.is_empty() || before.is_none() {
            changed.insert(name.clone(), fields);
        }
    }
    MemoryDelta {
        fleet: (old.fleet != new.fleet).then(|| new.fleet.clone()),
        changed,
        stages: (old.stages != new.stages).then(|| new.stages.clone()),
        gone: old.services.keys().filter(|n| !new.services.contains_key(*n)).cloned().collect(),
    }
}

fn fields(old: &ServiceMemory, new: &ServiceMemory) -> Vec<FieldChange> {
    let mut out = Vec::new();
    macro_rules! value {
        ($variant:ident, $($field:ident).+) => {
            if old.$($field).+ != new.$($field).+ {
                out.push(FieldChange::$variant(new.$($field).+.clone()));
            }
        };
    }
    macro_rules! list {
        ($variant:ident, $($field:ident).+) => {
            if old.$($field).+ != new.$($field).+ {
                let delta = ListDelta::between(&old.$($field).+, &new.$($field).+);
                out.push(FieldChange::$variant(delta));
            }
        };
    }
    value!(Group, group);
    value!(Counted, violations.counted);
    list!(Quarters, violations.quarters);
    value!(Calibration, calibration);
    list!(InService, in_service.entries);
    list!(Ordered, ordered.entries);
    value!(Removals, removals);
    value!(Orders, orders);
    value!(Lease, lease);
    value!(Quality, quality);
    list!(Bands, bands);
    value!(Fall, fall);
    value!(Capacity, capacity);
    list!(LeadTimes, lead_times);
    value!(Dwell, dwell);
    value!(LastTrusted, last_trusted);
    value!(Censored, censored);
    if (old.proven.newest, &old.proven.lately) != (new.proven.newest, &new.proven.lately) {
        let slots = RingDelta::between(&old.proven.lately, &new.proven.lately);
        out.push(FieldChange::Lately { newest: new.proven.newest, slots });
    }
    if old.proven.days != new.proven.days {
        out.push(FieldChange::Days(RingDelta::between(&old.proven.days, &new.proven.days)));
    }
    value!(Unbudgeted, proven.unbudgeted);
    value!(Fell, proven.fell);
    value!(Growth, growth);
    value!(Doubt, doubt);
    value!(Serving, serving);
    out
}

impl<T: Copy + PartialEq> RingDelta<T> {
    fn between<const N: usize>(old: &Ring<T, N>, new: &Ring<T, N>) -> RingDelta<T> {
        let (old, new) = (old.places(), new.places());
        let changed = |place: &usize| old.get(*place) != Some(&new[*place]);
        let entry = |place: usize| Some((u8::try_from(place).ok()?, new[place]));
        let places = u8::try_from(new.len()).unwrap_or(u8::MAX);
        RingDelta { places, put: (0..new.len()).filter(changed).filter_map(entry).collect() }
    }

    fn apply<const N: usize>(&self, ring: &mut Ring<T, N>) {
        if self.places == 0 {
            *ring = Ring::default();
        }
        for (place, value) in &self.put {
            ring.put(u32::from(*place), *value);
        }
    }
}

impl MemoryDelta {
    /// `old` with the changes: `delta(a, b).apply(&a)` is `b`.
    pub fn apply(&self, old: &Memory) -> Memory {
        let mut new = old.clone();
        if let Some(fleet) = &self.fleet {
            new.fleet = fleet.clone();
        }
        if let Some(stages) = &self.stages {
            new.stages = stages.clone();
        }
        for name in &self.gone {
            new.services.remove(name);
        }
        for (name, fields) in &self.changed {
            let memory = new.services.entry(name.clone()).or_default();
            for field in fields {
                field.apply(memory);
            }
        }
        new
    }
}

impl FieldChange {
    fn apply(&self, memory: &mut ServiceMemory) {
        match self {
            FieldChange::Group(new) => memory.group = new.clone(),
            FieldChange::Counted(new) => memory.violations.counted = *new,
            FieldChange::Quarters(delta) => delta.apply(&mut memory.violations.quarters),
            FieldChange::Calibration(new) => memory.calibration = *new,
            FieldChange::InService(delta) => delta.apply(&mut memory.in_service.entries),
            FieldChange::Ordered(delta) => delta.apply(&mut memory.ordered.entries),
            FieldChange::Removals(new) => memory.removals = *new,
            FieldChange::Orders(new) => memory.orders = new.clone(),
            FieldChange::Lease(new) => memory.lease = new.clone(),
            FieldChange::Quality(new) => memory.quality = *new,
            FieldChange::Bands(delta) => delta.apply(&mut memory.bands),
            FieldChange::Fall(new) => memory.fall = *new,
            FieldChange::Capacity(new) => memory.capacity = new.clone(),
            FieldChange::LeadTimes(delta) => delta.apply(&mut memory.lead_times),
            FieldChange::Dwell(new) => memory.dwell = *new,
            FieldChange::LastTrusted(new) => memory.last_trusted = *new,
            FieldChange::Censored(new) => memory.censored = *new,
            FieldChange::Lately { newest, slots } => {
                memory.proven.newest = *newest;
                slots.apply(&mut memory.proven.lately);
            }
            FieldChange::Days(delta) => delta.apply(&mut memory.proven.days),
            FieldChange::Unbudgeted(new) => memory.proven.unbudgeted = *new,
            FieldChange::Fell(new) => memory.proven.fell = *new,
            FieldChange::Growth(new) => memory.growth = *new,
            FieldChange::Doubt(new) => memory.doubt = *new,
            FieldChange::Serving(new) => memory.serving = new.clone(),
        }
    }
}
