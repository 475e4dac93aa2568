//! What may be idle in the simulated cloud: machines, databases and parts of them.
//!
//! What a machine does is a function of seed, machine, signal and time, so that a large fleet
//! costs nothing to keep; only machines that somebody touched have a state.

mod body;
mod cloud;
mod faults;
mod lot;
mod make;
mod prices;
mod profile;
mod spec;
mod truth;
mod usage;

pub use body::PowerRecord;
pub use make::machine;
pub use profile::Profile;
pub use spec::{EstateFaults, EstateSpec, MachineAct, MachineSpec};

pub(super) use body::MachineBody;
pub(super) use lot::Lot;

#[cfg(test)]
mod tests;
