//! The daemon: configuration, cycle, journal and command line around the pure core.

// Its macros are those of all that follow.
#[macro_use]
pub mod output;

pub mod adapters;
pub mod app;
pub mod assemble;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod control;
pub mod cycle;
pub mod discovery;
pub mod execute;
pub mod gather;
pub mod idle;
pub mod manager;
pub mod options;
pub mod prices;
pub mod promotion;
pub mod series_file;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod terminal;
pub mod traces;
