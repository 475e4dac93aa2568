//! What several commands take from the command line, and the exit codes.

use std::path::{Path, PathBuf};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use config::{Config, ConfigFault};
use fleet::{LevelOutOfRange, Timestamp};
use journal::JournalFault;

/// Exit code: done.
pub const DONE: u8 = 0;
/// Exit code: the answer is no, as when `check` finds faults or `replay` differs.
pub const NO: u8 = 1;
/// Exit code: wrong usage.
pub const USAGE: u8 = 2;
/// Exit code: a cloud or the disk failed.
pub const FAILED: u8 = 3;

/// Where the configuration is, unless `--config` says otherwise.
pub const CONFIG: &str = "/etc/neap/neap.toml";

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For machines: one JSON value, or one per line.
    Json,
}

/// The option that names the configuration.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigOption {
    /// The configuration.
    #[arg(long = "config", value_name = "FILE", default_value = CONFIG)]
    pub path: PathBuf,
}

impl ConfigOption {
    /// Reads and parses it.
    ///
    /// # Errors
    /// [`ConfigRefused`] with every fault, which ends the process with exit code 1.
    pub fn load(&self) -> anyhow::Result<Config> {
        load_config(&self.path)
    }
}

/// The option that chooses how data looks.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct FormatOption {
    /// How the answer looks: `human` or `json`.
    #[arg(
        long = "format",
        value_name = "FORMAT",
        default_value = "human",
        hide_possible_values = true
    )]
    pub format: Format,
}

/// The configuration has these faults: nothing was started, and the exit code is 1.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has faults")]
pub struct ConfigRefused(pub Vec<ConfigFault>);

/// What was typed does not fit together: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

/// The exit code of a command that cannot use the journal: a disk or a socket failed, or the answer
/// is no.
pub fn journal_code(fault: &JournalFault) -> u8 {
    match fault {
        JournalFault::Unusable { .. } | JournalFault::Full { .. } | JournalFault::Socket { .. } => {
            FAILED
        }
        _ => NO,
    }
}

/// Reads and parses a configuration file.
///
/// # Errors
/// [`ConfigRefused`] with every fault, which ends the process with exit code 1.
pub fn load_config(path: &Path) -> anyhow::Result<Config> {
    Ok(crate::settings::load(path).map_err(ConfigRefused)?)
}

/// Whether to colour what goes to `stream`: by `--color`, `NO_COLOR` and whether it is a terminal.
pub fn colored(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Reads a moment typed on the command line.
///
/// # Errors
/// Where it is no RFC 3339 moment.
pub fn moment(text: &str) -> Result<Timestamp, Expected> {
    Timestamp::parse(text).ok_or(Expected::Only("a moment such as `2026-03-02T07:00:00Z`"))
}

/// A text typed on the command line that is not what it has to be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Expected {
    /// What it has to be; the command line shows what was found.
    #[error("expected {0}")]
    Only(&'static str),
    /// With what was found.
    #[error("`{found}` is no {what}, expected {wanted}")]
    Other {
        /// The text, or the part of it that is wrong.
        found: String,
        /// What it was taken for.
        what: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A number that is no quantile.
    #[error(transparent)]
    Level(#[from] LevelOutOfRange),
}

impl Expected {
    /// With what was found.
    pub fn of(found: &str, what: &'static str, wanted: &'static str) -> Expected {
        Expected::Other { found: found.to_owned(), what, wanted }
    }
}
