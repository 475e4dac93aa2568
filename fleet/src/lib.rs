//! The words that every crate uses: names, numbers with units, and what clouds show and are told.
//!
//! No clock, no I/O, no async, no logging, no global state, and no decision: a value, what it
//! means, and how it is written and read.

pub mod alert;
pub mod calls;
pub mod change;
pub mod clock;
pub mod comeback;
pub mod fault;
pub mod feed;
pub mod group;
pub mod metric;
pub mod money;
pub mod names;
pub mod rent;
pub mod resource;
mod retention;
pub mod signs;
pub mod stop;
pub mod text;
pub mod told;
pub mod units;
pub mod usage;

pub use change::Change;
pub use clock::{ClockJump, Now};
pub use fault::{Fault, FaultKind};
pub use names::{
    AccountId, AccountKey, GroupId, GroupRef, Place, ProviderName, Region, RuleName, ServiceName,
    Units,
};
pub use retention::Retention;
pub use told::OrTold;
pub use units::{Level, LevelOutOfRange, NoDuration, Seconds, Step, Timestamp};
