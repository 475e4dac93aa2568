//! The daemon from outside: its configuration, commands, pages and metrics.

mod busy_day;
mod conditions;
mod config;
mod dashboard;
mod idle_config;
mod idle_fleets;
mod metrics;
mod no_look_ahead;
mod page;
mod prometheus_config;
mod promote;
mod scrape;
mod sim_fleet;
mod simulate_idle;
mod tune_and_run;
