//! What others write into the journal, as plain values.

pub mod digest;
pub mod explanation;
pub mod idle;

pub use digest::{Chart, ChartDay, Dispatch};
pub use explanation::{Explanation, Promise};
