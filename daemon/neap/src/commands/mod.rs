//! The commands, one file each.

use std::path::{Path, PathBuf};

use ::journal::Reader;
use fleet::Timestamp;

pub mod alert;
pub mod answer;
pub mod backtest;
pub mod check;
pub mod completions;
pub mod digest;
pub mod explain;
pub mod forecast;
pub mod idle;
pub mod init;
pub mod journal;
pub mod plan;
pub mod promote;
pub mod removals;
pub mod replay;
pub mod restore;
pub mod run;
pub mod simulate;
pub mod simulate_idle;
pub mod status;
pub mod tune;
pub mod users;

/// Which journal a command reads.
#[derive(clap::Args, Clone, Debug)]
pub struct Place {
    /// The configuration that names the state directory.
    #[arg(long, value_name = "FILE", default_value = "/etc/neap/neap.toml")]
    config: PathBuf,
    /// The state directory; the configuration is not read then.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Place {
    /// The state directory; `None` after the configuration's faults were printed.
    pub fn state_dir(&self) -> Option<PathBuf> {
        if let Some(directory) = &self.state_dir {
            return Some(directory.clone());
        }
        match crate::settings::load(&self.config) {
            Ok(config) => Some(config.state_dir),
            Err(faults) => {
                crate::terminal::faults(&faults);
                None
            }
        }
    }
}

/// Whether all is there that records from `since` on build on. What is damaged goes to stderr, for
/// then less is read than was recorded.
fn is_sound(reader: &Reader, state_dir: &Path, since: Timestamp) -> anyhow::Result<bool> {
    let damage = reader.verify_since(since)?.damage;
    for damage in &damage {
        eprintln!("damaged: {damage}");
    }
    if !damage.is_empty() {
        eprintln!("error: the journal in `{}` is damaged", state_dir.display());
    }
    Ok(damage.is_empty())
}
