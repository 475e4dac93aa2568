//! The fleet's vocabulary, and `plan`: what to change now, and why nothing else.
//!
//! No clock, no I/O, no async, no logging, no global state: now is [`Snapshot::taken_at`], and
//! the same arguments give the same plan on every machine.

pub mod alert;
mod buckets;
pub mod check;
pub mod cursor;
mod decide;
mod delta;
pub mod demand;
mod display;
pub mod fault;
mod floors;
pub mod group;
mod guards;
pub mod idle;
mod learn;
pub mod memory;
pub mod metric;
pub mod names;
mod numbers;
pub mod observe;
mod outage;
pub mod plan;
pub mod policy;
mod sizing;
pub mod snapshot;
pub mod stage;

pub use check::{Violation, check_plan};
pub use decide::plan;
pub use display::{Milli, Missed, TradeSize, When};
pub use fault::{Fault, FaultKind};
pub use forecaster::{Level, LevelOutOfRange, Seconds, Step, Timestamp};
pub use memory::Memory;
pub use names::{AccountId, GroupId, GroupRef, ProviderName, Region, ServiceName, Units};
pub use observe::window;
