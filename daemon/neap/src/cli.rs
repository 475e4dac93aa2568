//! The command line: what can be typed, its help, and what the exit code means.

use std::io::Write;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use config::{LogFormat, LogLevel};
use nix::sys::stat::{Mode, umask};

use crate::commands;
use crate::options::{ConfigRefused, DONE, FAILED, NO, USAGE, WrongUsage, journal_code};
use crate::telemetry;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the answer is no (faults found, replay differs, journal damaged);
2 wrong usage; 3 a cloud or the disk failed.
Data goes to stdout, everything else to stderr.";

const FORECAST_EXAMPLES: &str = "\
Examples:
  neap forecast load.csv
  neap forecast load.csv --horizon 6h --quantiles 0.5,0.99 --format csv --output ahead.csv";

const BACKTEST_EXAMPLES: &str = "\
Examples:
  neap backtest load.csv --output forecasts.csv
  neap backtest traces/ --horizon 30m --origins 100 --output forecasts.csv

For each origin, the forecaster sees only the samples up to the origin. A loss below 1 is better
than repeating the last value.";

const SIMULATE_EXAMPLES: &str = "\
Examples:
  neap simulate load.csv --policy service.toml --output decisions/
  neap simulate traces/*.csv --policy service.toml --lead-time 10m --output decisions/
  neap simulate load.csv --policy service.toml --without-removal-budgets --output unlimited/
  neap simulate traces/ --policy service.toml --budget 0.5%,1% --compare-removal-budgets --output out/

The real forecaster and planner order capacity at every step. A decision sees only samples that
existed before it. Removals keep to the budgets of the policy, else to the defaults of `neap run`;
the service is its whole account and fleet.";

/// Orders cloud capacity ahead of demand, and says why.
#[derive(Debug, Parser)]
#[command(
    name = "neap",
    version,
    after_help = EXIT_CODES,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// When to colour output; `auto` colours terminals unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: Color,
    /// The format of log lines on stderr: `human` or `json`; overrides `[log] format`.
    #[arg(long, global = true, value_name = "FORMAT", hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
    /// The least severity logged: `error`, `warn`, `info`, `debug` or `trace`; overrides `[log] level`.
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true)]
    pub log_level: Option<LogLevel>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> ColorChoice {
        match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: watch demand, order capacity ahead of it, and record why.
    Run(commands::run::RunArgs),
    /// Check the configuration: list every fault at once, and the API calls it will make.
    Check(commands::check::CheckArgs),
    /// Run one cycle in dry run against the real clouds, and show what it would do and why.
    Plan(commands::plan::PlanArgs),
    /// Explain why a service has its size, or what happened to a machine.
    Explain(commands::explain::ExplainArgs),
    /// Compute recorded decisions again, and compare.
    Replay(commands::replay::ReplayArgs),
    /// List, show, verify, export and compact the journal.
    Journal(commands::journal::JournalArgs),
    /// Forecast one series file.
    #[command(after_help = FORECAST_EXAMPLES)]
    Forecast(commands::forecast::ForecastArgs),
    /// Forecast many series files from many moments, for scoring.
    #[command(after_help = BACKTEST_EXAMPLES)]
    Backtest(commands::backtest::BacktestArgs),
    /// Simulate what neap would have ordered over recorded loads, for scoring.
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(commands::simulate::SimulateArgs),
    /// Simulate what idle rules would have stopped over recorded metrics.
    SimulateIdle(commands::simulate_idle::SimulateIdleArgs),
    /// Compare violation budgets and other autoscalers over a recorded load.
    Tune(commands::tune::TuneArgs),
    /// List idle resources with evidence, state and savings.
    Idle(commands::idle::IdleArgs),
    /// Summarise a day or a week: what was done, and what waits for approval.
    Digest(commands::digest::DigestArgs),
    /// Print a configuration of the groups that the read-only role sees.
    Init(commands::init::InitArgs),
    /// Show the state of the running daemon.
    Status(commands::status::StatusArgs),
    /// Promote services or idle rules from shadow to acting, or list how far each is.
    Promote(commands::promote::PromoteArgs),
    /// Take services, rules or everything back to `observe` at once.
    Demote(commands::promote::DemoteArgs),
    /// Say that demand which fell is true, so that scale-in may go on.
    Acknowledge(commands::promote::AcknowledgeArgs),
    /// Put the minimums of groups back to what they were before neap wrote them.
    Restore(commands::restore::RestoreArgs),
    /// Send a test alert through a channel.
    Alert(commands::alert::AlertArgs),
    /// Approve a stop.
    Approve(commands::answer::ApproveArgs),
    /// Reject a stop.
    Reject(commands::answer::RejectArgs),
    /// Keep a machine up until a time.
    Wake(commands::answer::WakeArgs),
    /// Leave a resource alone for a while.
    Exempt(commands::answer::ExemptArgs),
    /// Let a held rule go on for a day.
    Release(commands::answer::ReleaseArgs),
    /// Print completions for a shell.
    Completions(commands::completions::CompletionsArgs),
    /// Print the manual page.
    Man(commands::completions::ManArgs),
}

/// What of a file's mode is left out: a state directory holds names and addresses.
const PRIVATE: Mode = Mode::from_bits_truncate(0o077);

impl Command {
    /// Whether all files that it makes are of the state directory. Others make files for people, or
    /// none.
    fn is_private(&self) -> bool {
        match self {
            Command::Run(_)
            | Command::Plan(_)
            | Command::Explain(_)
            | Command::Replay(_)
            | Command::Journal(_)
            | Command::Idle(_)
            | Command::Status(_)
            | Command::Promote(_)
            | Command::Demote(_)
            | Command::Acknowledge(_)
            | Command::Restore(_)
            | Command::Alert(_)
            | Command::Approve(_)
            | Command::Reject(_)
            | Command::Wake(_)
            | Command::Exempt(_)
            | Command::Release(_) => true,
            Command::Check(_)
            | Command::Forecast(_)
            | Command::Backtest(_)
            | Command::Simulate(_)
            | Command::SimulateIdle(_)
            | Command::Tune(_)
            | Command::Digest(_)
            | Command::Init(_)
            | Command::Completions(_)
            | Command::Man(_) => false,
        }
    }

    fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Run(args) => commands::run::run(args),
            Command::Check(args) => commands::check::run(args),
            Command::Plan(args) => commands::plan::run(args),
            Command::Explain(args) => commands::explain::run(args),
            Command::Replay(args) => commands::replay::run(args),
            Command::Journal(args) => commands::journal::run(args),
            Command::Forecast(args) => commands::forecast::run(args),
            Command::Backtest(args) => commands::backtest::run(args),
            Command::Simulate(args) => commands::simulate::run(args),
            Command::SimulateIdle(args) => commands::simulate_idle::run(args),
            Command::Tune(args) => commands::tune::run(args),
            Command::Idle(args) => commands::idle::run(args),
            Command::Digest(args) => commands::digest::run(args),
            Command::Init(args) => commands::init::run(args),
            Command::Status(args) => commands::status::run(args),
            Command::Promote(args) => commands::promote::promote(args),
            Command::Demote(args) => commands::promote::demote(args),
            Command::Acknowledge(args) => commands::promote::acknowledge(args),
            Command::Restore(args) => commands::restore::run(args),
            Command::Alert(args) => commands::alert::run(args),
            Command::Approve(args) => commands::answer::approve(args),
            Command::Reject(args) => commands::answer::reject(args),
            Command::Wake(args) => commands::answer::wake(args),
            Command::Exempt(args) => commands::answer::exempt(args),
            Command::Release(args) => commands::answer::release(args),
            Command::Completions(args) => commands::completions::run(args, Cli::command()),
            Command::Man(args) => commands::completions::run_man(args, Cli::command()),
        }
    }
}

/// Parses the command line, runs one command, and maps its result to an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout, faults to stderr; a closed pipe changes nothing.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { DONE });
        }
    };
    ColorChoice::from(cli.global.color).write_global();
    if cli.command.is_private() {
        umask(PRIVATE);
    }
    telemetry::start(cli.global.log_format, cli.global.log_level);
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

/// Shows an error, and the exit code that it means.
fn failed(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::from(DONE);
    }
    match error.downcast_ref::<ConfigRefused>() {
        Some(ConfigRefused(faults)) => crate::terminal::faults(faults),
        // With stderr closed there is nobody left to tell.
        None => drop(writeln!(crate::output::stderr(), "error: {error:#}")),
    }
    ExitCode::from(exit_code(error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigRefused>() {
        NO
    } else if error.is::<WrongUsage>() {
        USAGE
    } else {
        error.downcast_ref().map_or(FAILED, journal_code)
    }
}

/// Whoever read our output has seen enough, as `head` has: no fault.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::moment;
    use journal::JournalFault;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let name = sub.get_name();
            assert!(sub.get_about().is_some(), "{name}");
            let after = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("neap {name}")), "{name}: {after}");
        }
    }

    #[test]
    fn help_is_one_screen() {
        let help = Cli::command().term_width(100).render_help().to_string();
        assert!(help.lines().count() <= 48, "{help}");
        insta::assert_snapshot!(help, @r#"
Orders cloud capacity ahead of demand, and says why

Usage: neap [OPTIONS] <COMMAND>

Commands:
  run            Run the daemon: watch demand, order capacity ahead of it, and record why
  check          Check the configuration: list every fault at once, and the API calls it will make
  plan           Run one cycle in dry run against the real clouds, and show what it would do and why
  explain        Explain why a service has its size, or what happened to a machine
  replay         Compute recorded decisions again, and compare
  journal        List, show, verify, export and compact the journal
  forecast       Forecast one series file
  backtest       Forecast many series files from many moments, for scoring
  simulate       Simulate what neap would have ordered over recorded loads, for scoring
  simulate-idle  Simulate what idle rules would have stopped over recorded metrics
  tune           Compare violation budgets and other autoscalers over a recorded load
  idle           List idle resources with evidence, state and savings
  digest         Summarise a day or a week: what was done, and what waits for approval
  init           Print a configuration of the groups that the read-only role sees
  status         Show the state of the running daemon
  promote        Promote services or idle rules from shadow to acting, or list how far each is
  demote         Take services, rules or everything back to `observe` at once
  acknowledge    Say that demand which fell is true, so that scale-in may go on
  restore        Put the minimums of groups back to what they were before neap wrote them
  alert          Send a test alert through a channel
  approve        Approve a stop
  reject         Reject a stop
  wake           Keep a machine up until a time
  exempt         Leave a resource alone for a while
  release        Let a held rule go on for a day
  completions    Print completions for a shell
  man            Print the manual page

Options:
  -h, --help     Print help
  -V, --version  Print version

Global options:
      --color <WHEN>         When to colour output; `auto` colours terminals unless NO_COLOR is set
                             [default: auto]
      --log-format <FORMAT>  The format of log lines on stderr: `human` or `json`; overrides `[log]
                             format`
      --log-level <LEVEL>    The least severity logged: `error`, `warn`, `info`, `debug` or `trace`;
                             overrides `[log] level`

Exit codes: 0 done; 1 the answer is no (faults found, replay differs, journal damaged);
2 wrong usage; 3 a cloud or the disk failed.
Data goes to stdout, everything else to stderr.
"#);
    }

    #[test]
    fn exit_codes_tell_faults_usage_and_failures_apart() {
        let code = |error: anyhow::Error| exit_code(&error);
        let damaged = || JournalFault::Damaged { path: "journal".into(), damage: Vec::new() };
        assert_eq!(code(anyhow::Error::from(damaged()).context("reading")), NO);
        assert_eq!(code(ConfigRefused(Vec::new()).into()), NO);
        assert_eq!(code(anyhow::Error::from(WrongUsage("x".into())).context("y")), USAGE);
        assert_eq!(code(std::io::Error::other("disk").into()), FAILED);
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(pipe).context("printing")));
        assert_eq!(
            Cli::try_parse_from(["neap", "chek"]).unwrap_err().exit_code(),
            i32::from(USAGE)
        );
    }

    #[test]
    fn the_schema_is_asked_for_by_itself() {
        assert!(Cli::try_parse_from(["neap", "check", "--schema"]).is_ok());
        for other in [["--config", "x.toml"], ["--format", "json"]] {
            let line = [&["neap", "check", "--schema"], &other[..]].concat();
            assert!(Cli::try_parse_from(line).is_err(), "{other:?}");
        }
    }

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(moment("2026-03-02T07:00:00Z").unwrap().to_string(), "2026-03-02T07:00:00Z");
        assert!(moment("yesterday").is_err());
    }
}
