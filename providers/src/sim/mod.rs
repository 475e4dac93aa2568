//! A cloud in memory behind the same seam as the real ones, with a clock of its own.
//!
//! Every answer is a function of the seed, the time and the orders so far: how often one looks,
//! and in which order, changes nothing. What happens in a group is decided when it is ordered,
//! and takes place when its time has come.

mod clock;
mod estate;
mod group;
mod ledger;
mod load;
mod presets;
mod random;
mod scenario;
mod series;
mod steps;
mod store;
mod world;

pub use clock::HandClock;
pub use estate::{
    EstateFaults, EstateSpec, MachineAct, MachineSpec, PowerRecord, Profile, machine,
};
pub use group::{Number, Order};
pub use ledger::Ledger;
pub use load::{Bursts, Episode, Job, Load};
pub use presets::{ACCOUNT, Preset, REGION, Settings, UnknownPreset, fleet, plain_group};
pub use scenario::{
    Act, Calls, Counts, Delivery, Gap, GroupSpec, MetricName, PlannedTrouble, Recurring, Scenario,
    Shortage, Trouble, TroubleSpec, Workload,
};
pub use store::{KeepFault, RestoreFault};
pub use world::World;

#[cfg(test)]
mod tests;
