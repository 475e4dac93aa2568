//! The configuration, read with what this program's adapters and receivers know of it.

use std::path::Path;

use config::{Checks, Config, ConfigFault};

use crate::adapters;

/// What adapters and receivers of this program check.
pub const CHECKS: Checks = Checks {
    built: adapters::BUILT,
    role_account: adapters::role_account,
    metric_periods: adapters::metric_periods,
    alibaba_free_metric_calls_monthly: adapters::ALIBABA_FREE_METRIC_CALLS_MONTHLY,
    store_url: adapters::store_url,
    promql: adapters::promql,
    scenarios: &providers::sim::Preset::NAMES,
    template: alerts::check,
};

/// Reads and parses a configuration file.
///
/// # Errors
/// Every fault of the file at once, in file order; a single one where it cannot be read.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigFault>> {
    config::load(path, &CHECKS)
}

/// Parses the text of a configuration; `file_name` is for the faults alone.
///
/// # Errors
/// Every fault of the text at once, in file order.
pub fn parse(file_name: &str, text: &str) -> Result<Config, Vec<ConfigFault>> {
    config::parse(file_name, text, &CHECKS)
}
