//! Where the time comes from: the crates that need it are given it.

use std::fmt::Debug;

use crate::Timestamp;

/// Where a crate takes the time from: the system's clock, a simulation's, or a test's.
///
/// ```
/// use fleet::{Now, Timestamp};
///
/// /// A clock that stands still.
/// #[derive(Debug)]
/// struct Fixed(Timestamp);
///
/// impl Now for Fixed {
///     fn now(&self) -> Timestamp {
///         self.0
///     }
/// }
///
/// let clock: Box<dyn Now> = Box::new(Fixed(Timestamp(60)));
/// assert_eq!(clock.now(), Timestamp(60));
/// ```
pub trait Now: Send + Sync + Debug {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;
}
