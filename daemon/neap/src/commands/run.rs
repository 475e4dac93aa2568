//! `neap run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use journal::Journal;

use crate::app::{self, Opened};
use crate::options::Format;
use crate::terminal;

/// Watches demand, forecasts it, orders capacity ahead of it, and records why.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap run --config config.example.toml     a simulated day, no account needed
  neap run --config /etc/neap/neap.toml     the daemon, as systemd runs it
  neap run --config neap.toml --once        one cycle, then the end

SIGTERM ends it after the running call. SIGHUP reloads the configuration.")]
pub struct RunArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/neap/neap.toml")]
    pub config: PathBuf,
    /// Run one cycle and end.
    #[arg(long)]
    pub once: bool,
    /// How decisions are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs until it is told to stop, or the simulation is over.
///
/// # Errors
/// Where it cannot start; a running daemon holds and says so instead.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let opened = crate::settings::load(&args.config).and_then(|config| {
        crate::telemetry::adopt(config.log);
        app::open(&config).map(|secrets| (config, secrets))
    });
    let (config, secrets) = match opened {
        Ok(opened) => opened,
        Err(faults) => {
            terminal::faults(&faults);
            return Ok(ExitCode::from(1));
        }
    };
    app::warn_of_exposed(&config);
    let options = app::journal_options(&config)?;
    let opened = Journal::open(&config.state_dir, crate::assemble::world(&config), options);
    let (journal, recovered) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            eprintln!("error: {fault}");
            return Ok(ExitCode::from(crate::options::journal_code(&fault)));
        }
    };
    let how = app::How { path: args.config.clone(), once: args.once, format: args.format };
    app::run(how, Opened { config, secrets, journal, recovered })
}
