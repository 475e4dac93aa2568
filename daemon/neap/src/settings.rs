//! The configuration, read with what this program's adapters and receivers know of it.

use std::path::Path;

use config::{Checks, Config, ConfigFault};

/// What adapters and receivers of this program check.
pub const CHECKS: Checks = Checks { built: BUILT, template: alerts::check };

/// Kinds of providers that this program is built with.
const BUILT: &[&str] = &[
    #[cfg(feature = "alibaba")]
    "alibaba",
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "prometheus")]
    "prometheus",
    #[cfg(feature = "sim")]
    "sim",
];

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
