//! How a resource of each profile looks.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{
    Fact, Facts, Part, Power, Purchase, Resource, ResourceId, ResourceKind, Saves, Subject,
};
use fleet::signs::{Clue, Holder, NoSaving, RoleSign};
use fleet::usage::Signal;
use fleet::{AccountId, ProviderName, Region, Seconds, Timestamp};

use super::super::presets::{ACCOUNT, REGION};
use super::super::random::Stream;
use super::profile::Profile;
use super::spec::MachineSpec;

/// The zones of the ready-made place.
const ZONES: [&str; 3] = ["sim-1a", "sim-1b", "sim-1c"];

/// A resource of this profile, with an id of its own: made 400 days before `start`, running, with
/// the tag `neap:managed = true`, every fact known; to be changed field by field.
pub fn machine(
    provider: &ProviderName,
    profile: Profile,
    id: &str,
    start: Timestamp,
) -> MachineSpec {
    let kind = profile.kind();
    let made = start - Seconds::days(400);
    let subject = match kind.has_power() {
        true => Subject::Machine(Box::new(facts(profile))),
        false => Subject::Part(unused_part(kind)),
    };
    let owner = ("owner".to_owned(), "team-1".to_owned());
    let managed = ("neap:managed".to_owned(), "true".to_owned());
    let mut tags = BTreeMap::from([owner, managed]);
    match profile {
        Profile::Protected => drop(tags.insert("neap:protect".to_owned(), "true".to_owned())),
        Profile::OfficeHours => drop(tags.insert("Schedule".to_owned(), "office".to_owned())),
        _ => {}
    }
    let resource = Resource {
        id: ResourceId {
            provider: provider.clone(),
            account: AccountId::new(ACCOUNT).expect("a sound constant"),
            region: Region::new(REGION).expect("a sound constant"),
            kind,
            id: id.to_owned(),
        },
        name: format!("{}-{}", profile.word(), id.rsplit('-').next().unwrap_or(id)),
        read_at: start,
        created_at: Some(made),
        started_at: kind.has_power().then_some(made),
        power: Power::Running,
        zone: Some(ZONES[0].to_owned()),
        class: class(profile).map(str::to_owned),
        platform: platform(kind).map(str::to_owned),
        size_gib: size(kind),
        tags,
        sampled_every: Seconds(300),
        signals: signals(profile),
        subject,
    };
    MachineSpec { resource, profile, boot: Seconds(60), halt: Seconds(40) }
}

/// The resource of a generated fleet with this id.
pub(super) fn generated(
    provider: &ProviderName,
    profile: Profile,
    id: &str,
    chance: Stream,
    start: Timestamp,
) -> MachineSpec {
    let mut made = machine(provider, profile, id, start);
    let MachineSpec { resource, boot, .. } = &mut made;
    *boot = Seconds(30 + chance.bits(2) % 90);
    resource.zone = Some(ZONES[(chance.bits(3) % 3) as usize].to_owned());
    resource.created_at = Some(born(chance, start));
    if resource.id.kind.has_power() {
        resource.started_at = resource.created_at;
        if chance.one_in(4, 4) {
            resource.sampled_every = Seconds(60);
        }
    }
    if chance.one_in(5, 10) {
        resource.tags.remove("neap:managed");
    }
    resource.tags.insert("owner".to_owned(), format!("team-{}", chance.bits(6) % 40));
    let class = match (profile.kind(), chance.bits(7) % 20) {
        (ResourceKind::Instance, 0) if profile == Profile::AlwaysIdle => Some("sim.odd"),
        (ResourceKind::Instance, 1..6) if profile == Profile::AlwaysIdle => Some("sim.2xlarge"),
        _ => None,
    };
    if let Some(class) = class {
        resource.class = Some(class.to_owned());
    }
    if let Subject::Part(part) = &mut resource.subject {
        if chance.one_in(8, 2) {
            part.used_by = Fact::Known(Some(Holder::Resource("i-000000".to_owned()).into()));
        } else if chance.one_in(9, 2) {
            part.unused_since = Some(start - Seconds::days(1 + chance.bits(10) % 200));
        }
    }
    made
}

/// When a generated resource was made: one in sixteen within the last 35 days.
pub(super) fn born(chance: Stream, start: Timestamp) -> Timestamp {
    let days = match chance.one_in(11, 16) {
        true => 1 + chance.bits(12) % 34,
        false => 60 + chance.bits(12) % 700,
    };
    start - Seconds::days(days) - Seconds(chance.bits(13) % 86_400)
}

fn facts(profile: Profile) -> Facts {
    let group = (profile == Profile::InScalingGroup).then(|| "checkout-asg".to_owned());
    let standby = (profile == Profile::StandbyDatabase)
        .then(|| RoleSign::StandbyOf("db-main".to_owned()).into());
    let (purchase, saves) = match profile {
        Profile::Subscription => (Purchase::Subscription, Saves::No(NoSaving::Subscription.into())),
        _ => (Purchase::OnDemand, Saves::Yes),
    };
    Facts {
        scaling_group: Fact::Known(group),
        accelerator: Fact::Known(profile == Profile::GpuBox),
        purchase: Fact::Known(purchase),
        replica: Fact::Known(standby),
        saves: Fact::Known(saves),
        burstable: Fact::Known(profile == Profile::Starved),
        ..Facts::unhindered()
    }
}

fn unused_part(kind: ResourceKind) -> Part {
    let looked_at = match kind {
        ResourceKind::Volume => Clue::Attachments,
        ResourceKind::Address => Clue::Association,
        ResourceKind::LoadBalancer => Clue::Targets { serving: 0, of: 3 },
        _ => Clue::Images,
    };
    Part { used_by: Fact::Known(None), unused_since: None, looked_at: looked_at.into() }
}

fn class(profile: Profile) -> Option<&'static str> {
    match profile {
        Profile::Starved => Some("sim.burst.small"),
        Profile::GpuBox => Some("sim.gpu.xlarge"),
        Profile::Cache => Some("sim.memory.xlarge"),
        _ => match profile.kind() {
            ResourceKind::Instance => Some("sim.large"),
            ResourceKind::Database => Some("sim.db.large"),
            ResourceKind::Volume => Some("sim.ssd"),
            _ => None,
        },
    }
}

fn platform(kind: ResourceKind) -> Option<&'static str> {
    match kind {
        ResourceKind::Instance => Some("Linux/UNIX"),
        ResourceKind::Database => Some("postgres"),
        _ => None,
    }
}

fn size(kind: ResourceKind) -> Option<u32> {
    match kind {
        ResourceKind::Database | ResourceKind::Volume => Some(100),
        ResourceKind::Snapshot => Some(40),
        _ => None,
    }
}

/// Whether a source tells this signal of a machine of this profile.
pub(super) fn publishes(profile: Profile, signal: Signal) -> bool {
    let measured = profile.kind().has_power();
    match signal {
        Signal::Cpu | Signal::NetworkIn | Signal::NetworkOut => measured,
        Signal::DiskOps => measured && profile != Profile::Unmeasured,
        Signal::Memory => profile == Profile::Cache,
        Signal::Connections => {
            profile == Profile::Cache || profile.kind() == ResourceKind::Database
        }
        Signal::Gpu => profile == Profile::GpuBox,
        Signal::CreditsLeft => profile == Profile::Starved,
    }
}

fn signals(profile: Profile) -> BTreeSet<Signal> {
    Signal::ALL.into_iter().filter(|signal| publishes(profile, *signal)).collect()
}
