//! Idle resources and schedules: what is found, with evidence, and what is stopped, with care.

pub mod money;
pub mod resource;
pub mod rule;
pub mod schedule;
pub mod usage;
