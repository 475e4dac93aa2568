//! Where the time comes from: the crates that need it are given it.

use std::fmt::Debug;

use crate::Timestamp;

/// Where a crate takes the time from: the system's clock, a simulation's, or a test's.
pub trait Now: Send + Sync + Debug {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;
}
