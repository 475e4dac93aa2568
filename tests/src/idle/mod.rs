//! Machines of twelve kinds, what they do hour by hour, and what a cloud was told about them.

mod alibaba;
mod aws;
mod site;

use std::collections::BTreeSet;
use std::sync::Mutex;

use fleet::{Seconds, Timestamp};

use crate::clock::locked;
use crate::peers::{Call, NewGroup};
use crate::world::Stage;

pub use site::{Act, Hour, NewMachine, Shape, Site};

/// The tag by which a machine's owner lets it be stopped.
pub const OPT_IN: &str = "neap:managed";
/// The scaling group of all machines that are in one.
pub const GROUP: &str = "web";
/// How long machines have been there, and since when they have been measured: longer than any rule
/// looks back.
const AGE: Seconds = Seconds::days(100);
const MEASURED: Seconds = Seconds::days(37);
const HOUR: Seconds = Seconds::hours(1);
const SEED: u64 = 60;

/// What a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nobody has used it for weeks.
    Idle,
    /// A job runs on it from two to four every night.
    Nightly,
    /// A batch of six hours runs on it once in a while, each on another day of the month.
    Monthly,
    /// A database that waits for another one to fail.
    Standby,
    /// A way in: two of five are logged in to, at odd hours.
    Bastion,
    /// It has no CPU credits left, and so does little.
    Starved,
    /// A cache: an idle processor and a full memory.
    Cache,
    /// It has a GPU.
    Gpu,
    /// A member of a scaling group.
    Scaled,
    /// Its owner or the cloud protects it.
    Protected,
    /// It is paid for whether it runs or not.
    Subscribed,
    /// Its metrics are missing, each in a way of its own.
    Unknown,
}

impl Kind {
    /// All twelve.
    pub const ALL: [Kind; 12] = [
        Kind::Idle,
        Kind::Nightly,
        Kind::Monthly,
        Kind::Standby,
        Kind::Bastion,
        Kind::Starved,
        Kind::Cache,
        Kind::Gpu,
        Kind::Scaled,
        Kind::Protected,
        Kind::Subscribed,
        Kind::Unknown,
    ];

    /// What its machines are called. No name but the fifth standby's and the third bastion's says
    /// what they are for.
    fn name(self, n: usize) -> String {
        let word = match (self, n) {
            (Kind::Idle, _) => "idle",
            (Kind::Nightly, _) => "cron",
            (Kind::Monthly, _) => "batch",
            (Kind::Standby, 4) => "db-standby",
            (Kind::Standby, _) => "db",
            (Kind::Bastion, 2) => "bastion",
            (Kind::Bastion, _) => "door",
            (Kind::Starved, _) => "burst",
            (Kind::Cache, _) => "cache",
            (Kind::Gpu, _) => "gpu",
            (Kind::Scaled, _) => "web",
            (Kind::Protected, _) => "kept",
            (Kind::Subscribed, _) => "paid",
            (Kind::Unknown, _) => "dark",
        };
        format!("{word}-{n}")
    }

    fn shape(self, n: usize) -> Shape {
        match (self, n) {
            (Kind::Starved, _) => Shape::Burstable,
            (Kind::Gpu, _) => Shape::Accelerated,
            (Kind::Scaled, _) => Shape::MemberOf(GROUP),
            (Kind::Subscribed, _) => Shape::PaidAnyway,
            (Kind::Protected, 2 | 3) => Shape::KeptFromEnd,
            (Kind::Protected, 4) => Shape::KeptFromStop,
            _ => Shape::Plain,
        }
    }

    /// Tags besides those that put it under a rule and opt it in.
    fn tag(self, n: usize) -> Option<(&'static str, &'static str)> {
        match (self, n) {
            (Kind::Nightly, 3 | 4) => Some(("schedule", "nights")),
            (Kind::Standby, 0) => Some(("neap:role", "standby")),
            (Kind::Standby, 1) => Some(("db-role", "replica")),
            (Kind::Standby, 2) => Some(("ha-role", "passive")),
            (Kind::Standby, 3) => Some(("role", "secondary")),
            (Kind::Bastion, 0) => Some(("role", "bastion")),
            (Kind::Bastion, 1) => Some(("Role", "jumphost")),
            (Kind::Protected, 0) => Some(("neap:protect", "true")),
            (Kind::Protected, 1) => Some(("neap:protect", "ask ops first")),
            _ => None,
        }
    }
}

/// A machine of the fleet.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it is.
    pub kind: Kind,
    /// Which one of its kind.
    pub n: usize,
    /// Its name.
    pub name: String,
    /// The cloud's id of it.
    pub id: String,
}

/// All machines, and how far their hours are told.
#[derive(Debug)]
pub struct Fleet {
    /// The machines, by kind.
    pub machines: Vec<Machine>,
    start: Timestamp,
    told_until: Mutex<Timestamp>,
}

impl Fleet {
    /// So many of each of these kinds, all opted in. `fleet` is the value of the tag by which a rule
    /// selects each. The stage's time comes to `start`, and weeks of hours are told by then.
    pub fn new<C: Site>(
        stage: &Stage<C>,
        start: Timestamp,
        (kinds, each): (&[Kind], usize),
        fleet: impl Fn(Kind, usize) -> &'static str,
    ) -> Fleet {
        if kinds.contains(&Kind::Scaled) {
            stage.create_group(stage.words().region, &NewGroup::new(GROUP, 0, 10, 0));
        }
        let of_kinds = kinds.iter().flat_map(|kind| (0..each).map(|n| (*kind, n)));
        let machines = of_kinds.map(|(kind, n)| {
            let own = [("fleet", fleet(kind, n)), (OPT_IN, "true")];
            let tags = own.into_iter().chain(kind.tag(n));
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let new = NewMachine { name: kind.name(n), tags, shape: kind.shape(n) };
            Machine { kind, n, id: stage.make(&new), name: new.name }
        });
        let machines = machines.collect();
        stage.time.set(start);
        let fleet = Fleet { machines, start, told_until: Mutex::new(start - MEASURED) };
        fleet.tell(&**stage, start);
        fleet
    }

    /// When a cloud has to begin, for its machines to be old enough at `start`.
    pub fn made_at(start: Timestamp) -> Timestamp {
        start - AGE
    }

    /// Tells the cloud of all hours that are over by `to`; a machine that is down then has none.
    pub fn tell<C: Site>(&self, cloud: &C, to: Timestamp) {
        let mut from = locked(&self.told_until);
        let down = down(cloud);
        let hours: Vec<Timestamp> =
            (from.0..to.0 - HOUR.0 as i64 + 1).step_by(HOUR.0 as usize).map(Timestamp).collect();
        let Some(last) = hours.last() else { return };
        for machine in self.machines.iter().filter(|machine| !down.contains(&machine.id)) {
            let told: Vec<Hour> = hours.iter().filter_map(|at| self.hour(machine, *at)).collect();
            cloud.put_hours(&machine.id, &told);
        }
        *from = *last + HOUR;
    }

    /// The machine of that name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn named(&self, name: &str) -> &Machine {
        let found = self.machines.iter().find(|machine| machine.name == name);
        found.unwrap_or_else(|| panic!("no machine `{name}`"))
    }

    /// What a machine did in an hour; `None` where that is not measured.
    fn hour(&self, machine: &Machine, at: Timestamp) -> Option<Hour> {
        let Machine { kind, n, .. } = *machine;
        let (place, hour) = (kind as u64 * 16 + n as u64, at.0 as u64 / HOUR.0);
        let noise = |salt: u64| noise(SEED ^ (place << 40) ^ (hour << 4) ^ salt);
        let quiet = Hour {
            at,
            cpu: 0.4 + 1.2 * noise(0),
            network: 300.0 + 1_200.0 * noise(1),
            disk: Some(0.05 + 0.4 * noise(2)),
            memory: None,
            credits: None,
        };
        let busy = Hour {
            cpu: 40.0 + 30.0 * noise(0),
            network: 40_000.0 + 20_000.0 * noise(1),
            disk: Some(20.0 + 30.0 * noise(2)),
            ..quiet
        };
        // Whole hours from the start, backwards below zero.
        let hours = (at.0 - self.start.0).div_euclid(HOUR.0 as i64);
        let used = match kind {
            Kind::Nightly => (2..4).contains(&(at.0.rem_euclid(86_400) / HOUR.0 as i64)),
            Kind::Monthly => BATCHES[n].iter().any(|begin| (0..6).contains(&(hours - begin))),
            _ => false,
        };
        let of_kind = match kind {
            // At no hours of the week more than at others.
            Kind::Bastion if n > 2 && hours.rem_euclid(11) == 0 => {
                Hour { network: 30_000.0 + 9_000.0 * noise(1), ..quiet }
            }
            Kind::Starved => {
                Hour { cpu: 2.0 + 0.6 * noise(0), credits: Some(0.1 + 0.3 * noise(3)), ..quiet }
            }
            Kind::Cache => Hour { memory: Some(85.0 + 7.0 * noise(3)), ..quiet },
            Kind::Unknown if n == 4 => Hour { disk: None, ..quiet },
            _ if used => busy,
            _ => quiet,
        };
        let measured = match (kind, n) {
            (Kind::Unknown, 0 | 1) => false,
            (Kind::Unknown, 2) => !(-12 * 24..-11 * 24).contains(&hours),
            (Kind::Unknown, 3) => hours < WENT_DARK,
            _ => true,
        };
        measured.then_some(of_kind)
    }
}

/// When batches begin, in hours from the start: each within a look-back of 35 days but the last
/// one's, whose next falls into the day itself.
const BATCHES: [&[i64]; 5] =
    [&[-3 * 24], &[-10 * 24], &[-20 * 24], &[-30 * 24], &[20 - 37 * 24, 20]];
/// When nothing more is measured of the fourth unknown machine, in hours from the start.
const WENT_DARK: i64 = 20;

/// A number from 0 to 1 that depends on `seed` alone (splitmix64).
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// What the cloud was told to do to a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Done {
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: Act,
    /// To which machine.
    pub id: String,
}

/// What the cloud was told to do to machines, in the order of time, and what it was asked whether it
/// would.
///
/// # Panics
/// Where a write is about no machine.
pub fn done(cloud: &impl Site) -> (Vec<Done>, Vec<Done>) {
    let about = |call: &Call| {
        let act = cloud.act(&call.operation);
        let act = act.unwrap_or_else(|| panic!("a write that is about no machine: {call:?}"));
        let id = ["InstanceId.1", "ResourceId.1"].into_iter().find_map(|n| call.parameters.get(n));
        Done { at: call.at, act, id: id.cloned().unwrap_or_default() }
    };
    let asks = |call: &Call| call.parameters.get("DryRun").is_some_and(|text| text == "true");
    let (asked, told): (Vec<Call>, Vec<Call>) = cloud.door().writes().into_iter().partition(asks);
    let sorted = |calls: &[Call]| {
        let mut all: Vec<Done> = calls.iter().map(about).collect();
        all.sort();
        all
    };
    (sorted(&told), sorted(&asked))
}

/// Machines that were told to go down and not to come up since.
fn down(cloud: &impl Site) -> BTreeSet<String> {
    let mut down = BTreeSet::new();
    for Done { act, id, .. } in done(cloud).0 {
        match act {
            Act::Stop => drop(down.insert(id)),
            Act::Start => drop(down.remove(&id)),
            Act::Mark | Act::Unmark => {}
        }
    }
    down
}
