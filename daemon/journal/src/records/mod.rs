//! What others write into the journal, as plain values.

pub mod conditions;
pub mod digest;
pub mod explanation;
pub mod idle;

pub use conditions::{Announced, Member, Notice, OpenConditions, Owed, ThreadKey, ThreadState};
pub use digest::{Chart, ChartDay, Dispatch};
pub use explanation::{Explanation, Load, Promise};
