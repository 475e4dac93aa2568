//! The planner from outside: stories, reasons and invariants.
//!
//! The worlds lie outside of this folder, because tests of other crates use them too.

#[path = "../idle_world/mod.rs"]
mod idle_world;
#[path = "../world/mod.rs"]
mod world;

mod assembly;
mod away;
mod closed_loop;
mod comebacks;
mod damage;
mod encodings;
mod golden;
mod idle_invariants;
mod idle_reasons;
mod idle_stories;
mod idle_terms;
mod idle_verdicts;
mod invariants;
mod lies;
mod magnitudes;
mod masters;
mod motion;
mod parts;
mod past;
mod rewind;
mod stages;
mod stories;
