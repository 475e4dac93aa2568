//! The daemon: configuration, cycle, journal and command line around the pure core.

pub mod alerts;
pub mod assemble;
pub mod baselines;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod control;
pub mod cycle;
pub mod digest;
pub mod execute;
pub mod explanation;
pub mod gather;
pub mod idle;
pub mod manager;
pub mod page;
pub mod plot;
pub mod report;
pub mod series_file;
pub mod settings;
pub mod shadow;
pub mod store;
pub mod telemetry;
pub mod traces;
