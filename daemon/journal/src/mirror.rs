//! A cycle as numbered parts, and a record that tells only the parts that changed.
//!
//! Snapshot, plan and memory are cut into a few parts a service, each in its plain encoding.
//! A cycle's record names the parts that differ from the cycle before and packs their new bytes
//! against their old ones. Whoever follows the records from a checkpoint holds the same parts as
//! the writer did, and so the same snapshot, plan and memory, in every bit.

mod trailed;

use std::collections::BTreeMap;

use fleet::{Fault, ServiceName, Timestamp};
use planner::memory::{FleetMemory, Memory};
use planner::plan::{Action, Finding, Plan};
use planner::snapshot::{Aside, GroupView, NoForecast, Observation, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::fault::BadPack;
use super::forecast::ForecastPart;
use super::memory::{ServiceMemoryOfV5, cut, join, read_taught, taught};
use super::pack::{pack, unpack};
use super::wire;
use trailed::{SignsPart, WorldPart};

/// Parts a slot has.
const PARTS: usize = 8;

// Parts of the first slot, which belongs to no service.
const WORLD: usize = 0;
const ACTIONS: usize = 1;
const FLEET: usize = 2;
const ORDER: usize = 3;
/// Absent where no event asks for a floor, as in records from before there were any.
const FLOORS: usize = 5;
/// Absent where nothing was promoted or taken back, likewise.
const STAGES: usize = 6;
/// Absent where nobody asked for anything, likewise.
const REQUESTS: usize = 7;
// Parts of a service's slot.
const GROUP: usize = 0;
const DEMAND: usize = 1;
const FORECAST: usize = 2;
const SIGNS: usize = 3;
const FINDINGS: usize = 4;
const MEMORY: usize = 5;
/// Absent where a service has no stage of its own.
const STAGE: usize = 6;
/// Absent where nothing vouches for a service, as in records of before format 6.
const EVIDENCE: usize = 7;

/// A service's parts, or those of the fleet; an absent part is empty.
type Slot = [Vec<u8>; PARTS];

/// The parts of the newest cycle, as the next record is told against.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mirror {
    /// Slot 0 is the fleet's; the service of slot n is `names[n - 1]`.
    names: Vec<ServiceName>,
    slots: Vec<Slot>,
    index: BTreeMap<ServiceName, usize>,
}

/// What a cycle saw and decided of one service: the actions with their places in the plan.
pub(crate) type ServiceParts = (Option<Observation>, Vec<(usize, Action)>, Vec<Finding>);

/// Why a record does not fit the parts it is told against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("its list of changes is cut short")]
    Short,
    #[error("it names more slots than there are")]
    Slot,
    #[error("it does not unpack: {0}")]
    Pack(#[from] BadPack),
    #[error("part {part} of `{slot}` cannot be read: {why}")]
    Part { part: usize, slot: String, why: postcard::Error },
}

/// What a cycle changed, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Patch {
    /// Services seen for the first time since the checkpoint.
    new: Vec<ServiceName>,
    /// The list of changes, unpacked.
    list_length: u32,
    list: Vec<u8>,
    /// The new bytes of the changed parts, unpacked.
    length: u32,
    packed: Vec<u8>,
}

/// What the mirror holds, decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reflected {
    pub(crate) snapshot: Snapshot,
    pub(crate) plan: Plan,
    pub(crate) memory: Memory,
}

/// The plain encoding of a part.
pub(crate) fn plain<T: Serialize>(part: &T) -> Vec<u8> {
    // A `Vec` takes any length, and the vocabulary holds nothing that postcard refuses.
    postcard::to_stdvec(part).expect("the vocabulary serializes")
}

/// Puts what a part got later behind it, where there is anything: nobody else has a byte of it.
pub(crate) fn put_behind<T: Serialize + Default + PartialEq>(part: &mut Vec<u8>, later: &T) {
    if *later != T::default() {
        part.extend(plain(later));
    }
}

/// A part, and what [`put_behind`] put there.
pub(crate) fn read_behind<T: DeserializeOwned, L: DeserializeOwned + Default>(
    bytes: &[u8],
) -> postcard::Result<(T, L)> {
    let (part, rest) = postcard::take_from_bytes(bytes)?;
    Ok((part, if rest.is_empty() { L::default() } else { postcard::from_bytes(rest)? }))
}

impl Mirror {
    /// The parts of a memory alone: what a checkpoint holds and the first cycle after it is told
    /// against.
    pub(crate) fn of_memory(memory: &Memory) -> Mirror {
        let mut mirror = Mirror::default();
        mirror.put_memory(memory);
        mirror
    }

    /// The parts of a cycle, in this mirror's order of slots.
    fn next(&self, snapshot: &Snapshot, plan: &Plan, memory: &Memory) -> Mirror {
        let mut next = Mirror {
            names: self.names.clone(),
            slots: vec![Slot::default(); self.slots.len()],
            index: self.index.clone(),
        };
        next.put_snapshot(snapshot);
        next.put_plan(plan);
        next.put_memory(memory);
        next
    }

    fn slot(&mut self, name: Option<&ServiceName>) -> &mut Slot {
        if self.slots.is_empty() {
            self.slots.push(Slot::default());
        }
        let at = match name {
            None => 0,
            Some(name) => *self.index.entry(name.clone()).or_insert_with(|| {
                self.names.push(name.clone());
                self.slots.push(Slot::default());
                self.names.len()
            }),
        };
        &mut self.slots[at]
    }

    fn put_snapshot(&mut self, snapshot: &Snapshot) {
        let Snapshot {
            taken_at,
            kill_switch,
            freezes,
            floors,
            disk,
            acknowledged,
            services,
            requests,
            undiscovered,
        } = snapshot;
        let world = WorldPart {
            taken_at: *taken_at,
            kill_switch: kill_switch.clone(),
            freezes: freezes.clone(),
            disk: *disk,
            acknowledged: acknowledged.clone(),
        };
        self.slot(None)[WORLD] = world.with(undiscovered);
        if !floors.is_empty() {
            self.slot(None)[FLOORS] = plain(floors);
        }
        if !requests.is_empty() {
            self.slot(None)[REQUESTS] = plain(requests);
        }
        for (name, seen) in services {
            let Observation {
                group,
                demand,
                forecast,
                signals,
                outcomes,
                lead_times,
                past,
                launched,
                hours,
            } = seen;
            let slot = self.slot(Some(name));
            let mut group = group.clone();
            if let Ok(group) = &mut group {
                group.read_at = swap_age(*taken_at, group.read_at);
            }
            slot[GROUP] = plain(&group);
            if let Ok(group) = &group {
                put_behind(&mut slot[GROUP], &group.aside);
            }
            slot[DEMAND] = plain(demand);
            put_behind(&mut slot[DEMAND], past);
            let forecast = forecast.as_ref().map(ForecastPart::of);
            slot[FORECAST] = plain(&forecast);
            let signs = SignsPart {
                signals: *signals,
                outcomes: outcomes.clone(),
                lead_times: lead_times.clone(),
            };
            slot[SIGNS] = signs.with(launched, hours);
        }
    }

    fn put_plan(&mut self, plan: &Plan) {
        let Plan { actions, findings } = plan;
        if !actions.is_empty() {
            self.slot(None)[ACTIONS] = plain(actions);
        }
        let mut by_service: BTreeMap<Option<&ServiceName>, Vec<(usize, &Finding)>> =
            BTreeMap::new();
        for (place, finding) in findings.iter().enumerate() {
            by_service.entry(finding.service.as_ref()).or_default().push((place, finding));
        }
        let places: Vec<usize> = by_service.values().flatten().map(|(place, _)| *place).collect();
        if !places.is_sorted() {
            self.slot(None)[ORDER] = plain(&places);
        }
        for (name, findings) in by_service {
            let findings: Vec<&Finding> = findings.into_iter().map(|(_, f)| f).collect();
            self.slot(name)[FINDINGS] = plain(&findings);
        }
    }

    fn put_memory(&mut self, memory: &Memory) {
        let Memory { fleet, services, stages } = memory;
        self.slot(None)[FLEET] = plain(fleet);
        if stages.all.is_some() || !stages.rules.is_empty() {
            self.slot(None)[STAGES] = plain(&(&stages.all, &stages.rules));
        }
        for (name, stage) in &stages.services {
            self.slot(Some(name))[STAGE] = plain(stage);
        }
        for (name, memory) in services {
            let (of_v5, later) = cut(memory.clone());
            let slot = self.slot(Some(name));
            slot[MEMORY] = plain(&of_v5);
            slot[EVIDENCE] = taught(&later);
        }
    }

    /// Moves on to a cycle and tells what changed.
    pub(crate) fn advance(&mut self, snapshot: &Snapshot, plan: &Plan, memory: &Memory) -> Patch {
        let next = self.next(snapshot, plan, memory);
        let new = next.names[self.names.len()..].to_vec();
        self.slots.resize(next.slots.len(), Slot::default());
        let (mut list, mut old, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        for (before, after) in self.slots.iter().zip(&next.slots) {
            let differs = |part: usize| before[part] != after[part];
            let mask = (0..PARTS).filter(|part| differs(*part)).fold(0u8, |m, part| m | 1 << part);
            list.push(mask);
            for part in (0..PARTS).filter(|part| differs(*part)) {
                wire::put_signed(&mut list, after[part].len() as i64 - before[part].len() as i64);
                old.extend_from_slice(&before[part]);
                fresh.extend_from_slice(&after[part]);
            }
        }
        let patch = Patch {
            new,
            list_length: list.len() as u32,
            list: pack(&[], &list),
            length: fresh.len() as u32,
            packed: pack(&old, &fresh),
        };
        *self = next;
        patch
    }

    /// Moves on to the cycle that `patch` was made for.
    pub(crate) fn follow(&mut self, patch: &Patch) -> Result<(), Unfit> {
        let list = unpack(&[], &patch.list, patch.list_length.into())?;
        if self.slots.is_empty() {
            self.slots.push(Slot::default());
        }
        for name in &patch.new {
            self.slot(Some(name));
        }
        let mut list = list.as_slice();
        let mut changed = Vec::new();
        let mut old = Vec::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let mask =
                *wire::take_bytes(&mut list, 1).and_then(|m| m.first()).ok_or(Unfit::Short)?;
            for part in (0..PARTS).filter(|part| mask & 1 << part != 0) {
                let grown = wire::take_signed(&mut list).ok_or(Unfit::Short)?;
                let length = slot[part].len() as i64 + grown;
                changed.push((at, part, usize::try_from(length).map_err(|_| Unfit::Short)?));
                old.extend_from_slice(&slot[part]);
            }
        }
        if !list.is_empty() {
            return Err(Unfit::Slot);
        }
        let fresh = unpack(&old, &patch.packed, patch.length.into())?;
        let mut fresh = fresh.as_slice();
        for (at, part, length) in changed {
            let bytes = wire::take_bytes(&mut fresh, length).ok_or(Unfit::Short)?;
            self.slots[at][part] = bytes.to_vec();
        }
        Ok(())
    }

    /// The memory alone.
    pub(crate) fn memory(&self) -> Result<Memory, Unfit> {
        let mut memory = Memory::default();
        let Some(fleet) = self.slots.first() else { return Ok(memory) };
        if !fleet[FLEET].is_empty() {
            memory.fleet = self.read::<FleetMemory>(0, FLEET)?;
        }
        if !fleet[STAGES].is_empty() {
            (memory.stages.all, memory.stages.rules) = self.read(0, STAGES)?;
        }
        for (at, name) in (1..).zip(&self.names) {
            if !self.slots[at][MEMORY].is_empty() {
                let of_v5 = self.read::<ServiceMemoryOfV5>(at, MEMORY)?;
                let later = self.read_as(at, EVIDENCE, read_taught)?;
                memory.services.insert(name.clone(), join(of_v5, later));
            }
            if !self.slots[at][STAGE].is_empty() {
                memory.stages.services.insert(name.clone(), self.read(at, STAGE)?);
            }
        }
        Ok(memory)
    }

    /// The snapshot, plan and memory of the cycle last moved on to.
    pub(crate) fn reflect(&self) -> Result<Reflected, Unfit> {
        Ok(Reflected { snapshot: self.snapshot()?, plan: self.plan()?, memory: self.memory()? })
    }

    /// Whether it holds a cycle, not a checkpoint's memory alone.
    pub(crate) fn has_cycle(&self) -> bool {
        self.slots.first().is_some_and(|fleet| !fleet[WORLD].is_empty())
    }

    /// Whether the last cycle's snapshot has this service.
    pub(crate) fn has(&self, service: &ServiceName) -> bool {
        self.index.get(service).is_some_and(|at| !self.slots[*at][DEMAND].is_empty())
    }

    /// The snapshot of the cycle last moved on to.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Unfit> {
        let (world, undiscovered) = self.read_as(0, WORLD, WorldPart::read)?;
        let WorldPart { taken_at, kill_switch, freezes, disk, acknowledged } = world;
        let mut services = BTreeMap::new();
        for (at, name) in (1..).zip(&self.names) {
            if !self.slots[at][DEMAND].is_empty() {
                services.insert(name.clone(), self.observation(at, taken_at)?);
            }
        }
        Ok(Snapshot {
            taken_at,
            kill_switch,
            freezes,
            floors: self.list(0, FLOORS)?,
            disk,
            acknowledged,
            services,
            requests: self.list(0, REQUESTS)?,
            undiscovered,
        })
    }

    /// What the last cycle saw and decided of one service.
    pub(crate) fn service(&self, name: &ServiceName) -> Result<ServiceParts, Unfit> {
        let Some(at) = self.index.get(name).copied() else { return Ok(Default::default()) };
        let mut seen = None;
        if !self.slots[at][DEMAND].is_empty() {
            let (WorldPart { taken_at, .. }, _) = self.read_as(0, WORLD, WorldPart::read)?;
            seen = Some(self.observation(at, taken_at)?);
        }
        let actions = (0..).zip(self.list::<Action>(0, ACTIONS)?);
        let actions = actions.filter(|(_, action)| action.service == *name).collect();
        Ok((seen, actions, self.list(at, FINDINGS)?))
    }

    fn observation(&self, at: usize, taken_at: Timestamp) -> Result<Observation, Unfit> {
        let (mut group, aside): (Result<GroupView, Fault>, Aside) =
            self.read_as(at, GROUP, read_behind)?;
        if let Ok(group) = &mut group {
            group.aside = aside;
            group.read_at = swap_age(taken_at, group.read_at);
        }
        let forecast: Result<ForecastPart, NoForecast> = self.read(at, FORECAST)?;
        let (demand, past) = self.read_as(at, DEMAND, read_behind)?;
        let (signs, launched, hours) = self.read_as(at, SIGNS, SignsPart::read)?;
        let SignsPart { signals, outcomes, lead_times } = signs;
        Ok(Observation {
            group,
            demand,
            forecast: forecast.map(ForecastPart::into_forecast),
            signals,
            outcomes,
            lead_times,
            past,
            launched,
            hours,
        })
    }

    fn plan(&self) -> Result<Plan, Unfit> {
        let mut plan = Plan { actions: self.list(0, ACTIONS)?, findings: Vec::new() };
        let mut by_service: BTreeMap<Option<&ServiceName>, Vec<Finding>> = BTreeMap::new();
        for (at, slot) in self.slots.iter().enumerate() {
            if !slot[FINDINGS].is_empty() {
                let name = at.checked_sub(1).map(|at| &self.names[at]);
                by_service.insert(name, self.read(at, FINDINGS)?);
            }
        }
        plan.findings = by_service.into_values().flatten().collect();
        if !self.slots[0][ORDER].is_empty() {
            let places: Vec<usize> = self.read(0, ORDER)?;
            let mut placed: Vec<_> = places.into_iter().zip(plan.findings).collect();
            placed.sort_by_key(|(place, _)| *place);
            plan.findings = placed.into_iter().map(|(_, finding)| finding).collect();
        }
        Ok(plan)
    }

    /// A list that is absent where it is empty.
    fn list<T: DeserializeOwned>(&self, at: usize, part: usize) -> Result<Vec<T>, Unfit> {
        if self.slots[at][part].is_empty() { Ok(Vec::new()) } else { self.read(at, part) }
    }

    fn read<T: DeserializeOwned>(&self, at: usize, part: usize) -> Result<T, Unfit> {
        self.read_as(at, part, |bytes| postcard::from_bytes(bytes))
    }

    fn read_as<T>(
        &self,
        at: usize,
        part: usize,
        read: impl FnOnce(&[u8]) -> Result<T, postcard::Error>,
    ) -> Result<T, Unfit> {
        let bytes = self.slots.get(at).map_or(&[][..], |slot| slot[part].as_slice());
        read(bytes).map_err(|why| Unfit::Part {
            part,
            slot: at.checked_sub(1).map_or("fleet".to_string(), |at| self.names[at].to_string()),
            why,
        })
    }
}

/// A moment as its age at `now`, and back: ages repeat from cycle to cycle, moments do not.
fn swap_age(now: Timestamp, at: Timestamp) -> Timestamp {
    Timestamp(now.0.wrapping_sub(at.0))
}
