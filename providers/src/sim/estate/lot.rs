//! Every resource of an estate by its id, made when it is asked for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::ResourceKind;
use fleet::{AccountId, ProviderName, Region, Timestamp};

use super::super::presets::{ACCOUNT, REGION};
use super::super::random::Stream;
use super::make;
use super::profile::Profile;
use super::spec::{EstateFaults, EstateSpec, MachineAct, MachineSpec};

/// What of an estate never changes, and its streams of chance.
pub(crate) struct Lot {
    pub provider: ProviderName,
    pub start: Timestamp,
    pub faults: EstateFaults,
    pub leaves_out: bool,
    /// What calls about no single resource meet.
    pub calls: Stream,
    generated: u32,
    written: BTreeMap<String, (MachineSpec, Stream)>,
    acts: BTreeMap<String, Vec<(Timestamp, MachineAct)>>,
    fleet: Stream,
}

/// What is needed of a machine to tell what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brief<'a> {
    pub profile: Profile,
    pub chance: Stream,
    pub born: Timestamp,
    /// The resource, where it was written out.
    pub written: Option<&'a MachineSpec>,
}

impl Lot {
    /// The machines that the scenario names and those that it counts, each with chances of its own.
    pub fn new(provider: &ProviderName, seed: u64, start: Timestamp, spec: &EstateSpec) -> Lot {
        let stream = |name: &str| Stream::named(seed, &format!("machine/{name}"));
        let written = spec.machines.iter().map(|made| {
            let id = &made.resource.id.id;
            (id.clone(), (made.clone(), stream(id)))
        });
        let mut acts: BTreeMap<String, Vec<(Timestamp, MachineAct)>> = BTreeMap::new();
        for (at, id, act) in &spec.acts {
            acts.entry(id.clone()).or_default().push((*at, act.clone()));
        }
        for acts in acts.values_mut() {
            acts.sort_by_key(|(at, _)| *at);
        }
        Lot {
            provider: provider.clone(),
            start,
            faults: spec.faults,
            leaves_out: spec.leaves_out,
            calls: Stream::named(seed, "estate/calls"),
            generated: spec.generated,
            written: written.collect(),
            acts,
            fleet: Stream::named(seed, "estate/fleet"),
        }
    }

    /// What people will have done to it, in order of time.
    pub fn acts(&self, id: &str) -> &[(Timestamp, MachineAct)] {
        self.acts.get(id).map_or(&[], Vec::as_slice)
    }

    /// The resources that people do something to.
    pub fn acted_on(&self) -> impl Iterator<Item = &str> {
        self.acts.keys().map(String::as_str)
    }

    /// Accounts and regions; the ready-made place is always among them.
    pub fn places(&self) -> BTreeSet<(AccountId, Region)> {
        let here = |made: &MachineSpec| {
            (made.resource.id.account.clone(), made.resource.id.region.clone())
        };
        let written = self.written.values().map(|(made, _)| here(made));
        let ready = AccountId::new(ACCOUNT).zip(Region::new(REGION));
        written.chain(ready).collect()
    }

    /// What a machine does, by its own id.
    pub fn brief(&self, id: &str) -> Option<Brief<'_>> {
        if let Some((made, chance)) = self.written.get(id) {
            let born = made.resource.created_at.unwrap_or(self.start);
            let (profile, written) = (made.profile, Some(made));
            return Some(Brief { profile, chance: *chance, born, written });
        }
        let (prefix, number) = id.rsplit_once('-')?;
        let number: u32 = number.parse().ok().filter(|_| number.len() == DIGITS)?;
        let (profile, chance) = self.drawn(number)?;
        (prefix == self::prefix(profile.kind())).then(|| {
            let born = make::born(chance, self.start);
            Brief { profile, chance, born, written: None }
        })
    }

    /// A resource as it is at the world's start, by its own id.
    pub fn spec(&self, id: &str) -> Option<Cow<'_, MachineSpec>> {
        let brief = self.brief(id)?;
        Some(match brief.written {
            Some(made) => Cow::Borrowed(made),
            None => {
                let Brief { profile, chance, .. } = brief;
                Cow::Owned(make::generated(&self.provider, profile, id, chance, self.start))
            }
        })
    }

    /// The ids of every resource of a kind.
    pub fn ids(&self, kind: ResourceKind) -> impl Iterator<Item = String> + '_ {
        let written = self.written.iter().filter(move |(_, (made, _))| made.profile.kind() == kind);
        let machines = 0..self.generated + self.generated / PARTS_ONE_IN;
        let drawn = machines.filter(move |number| {
            self.drawn(*number).is_some_and(|(profile, _)| profile.kind() == kind)
        });
        let named = move |number: u32| format!("{}-{number:0DIGITS$}", prefix(kind));
        written.map(|(id, _)| id.clone()).chain(drawn.map(named))
    }

    fn drawn(&self, number: u32) -> Option<(Profile, Stream)> {
        let chance = self.fleet.fork(u64::from(number));
        let part = match number.checked_sub(self.generated) {
            None => return Some((Profile::drawn(chance), chance)),
            Some(part) if part < self.generated / PARTS_ONE_IN => part,
            Some(_) => return None,
        };
        let parts = [Profile::Volume, Profile::Address, Profile::LoadBalancer, Profile::Snapshot];
        parts.get(part as usize % parts.len()).map(|profile| (*profile, chance))
    }
}

/// A part for so many machines.
const PARTS_ONE_IN: u32 = 4;
/// Digits of a generated id.
const DIGITS: usize = 6;

fn prefix(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Instance => "i",
        ResourceKind::Database => "db",
        ResourceKind::Volume => "vol",
        ResourceKind::Address => "eipalloc",
        ResourceKind::LoadBalancer => "lb",
        ResourceKind::Snapshot => "snap",
    }
}
