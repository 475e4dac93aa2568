//! `plan`: what to change now, and why nothing else.
//!
//! No clock, no I/O, no async, no logging, no global state: now is [`snapshot::Snapshot::taken_at`], and
//! the same arguments give the same plan on every machine.

pub mod agreement;
pub mod answer;
pub mod behind;
mod buckets;
pub mod check;
pub mod cursor;
mod decide;
mod delta;
pub mod demand;
mod display;
mod doubt;
mod floors;
mod growth;
mod guards;
mod hours;
pub mod idle;
pub mod lead;
mod learn;
mod masters;
pub mod memory;
mod milli;
mod motion;
mod numbers;
pub mod observe;
mod outage;
pub mod past;
pub mod plan;
pub mod policy;
mod proven;
pub mod reasons;
mod rewind;
mod ring;
mod sizing;
pub mod snapshot;
pub mod stage;
mod writes;

pub use check::{Violation, check_plan};
pub use decide::plan;
pub use display::{Missed, Processes, TradeSize, When};
pub use learn::{is_capacity_wanted, is_of_before};
pub use masters::{masters, reached};
pub use memory::Memory;
pub use milli::{Milli, significant};
pub use motion::{DEPLOYS_AT_MOST, looks_like_deployment};
pub use observe::window;
pub use outage::{LASTS as OUTAGE_LASTS, is_doubted, is_short};
pub use rewind::{delayed, rewound};
pub use writes::{WrittenBecause, actuate, scalers_in, written_because};
