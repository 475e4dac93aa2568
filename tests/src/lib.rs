//! Whole-program tests: the peers, the clock and the load that they share.

pub mod browser;
pub mod clock;
pub mod contract;
pub mod idle;
pub mod load;
pub mod neap;
pub mod page;
pub mod peers;
pub mod story;
pub mod world;
