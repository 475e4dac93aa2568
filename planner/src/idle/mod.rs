//! Idle resources and schedules: what is found, with evidence, and what is stopped, with care.
//!
//! [`judge`] says what a resource is, [`plan()`] what to do about it; [`recheck`] is asked once more
//! immediately before a stop.

mod again;
mod answers;
mod care;
mod check;
mod comeback;
mod decide;
mod display;
pub mod evidence;
pub mod memory;
mod pairs;
pub mod pattern;
pub mod plan;
mod radius;
pub mod reasons;
mod recheck;
mod rewind;
mod risk;
pub mod rule;
pub mod schedule;
mod scheduled;
pub mod snapshot;
mod terms;
mod touch;

pub use again::{StartedAgain, WRONG_WITHIN, started_again};
pub use care::MARK_TAG;
pub use check::{IdleViolation, check_idle};
pub use decide::{plan, plan_of};
pub use evidence::judge;
pub use recheck::recheck;
pub use rewind::rewound;
pub use terms::approval_stands;
