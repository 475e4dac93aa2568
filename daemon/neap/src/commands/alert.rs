//! `neap alert`: tries the channels that people are told by.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use alerts::{Channel, Letter, Options, Receipt};
use config::AlertChannel;
use fleet::alert::{Alert, Severity};
use providers::Now;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::System;
use crate::options::Format;
use crate::options::{ConfigOption, ConfigRefused, DONE, FAILED, FormatOption, WrongUsage};

const EXAMPLES: &str = "\
Examples:
  neap alert test on-call                     run it as the user of the daemon
  neap alert test on-call --format json

Exits with 0 if the receiver accepted it, else with 3.";

/// Try the channels that people are told by.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct AlertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Send one test alert through a channel, and show the answer.
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct TestArgs {
    /// The channel: the `name` of an `[[alert]]`.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    format: FormatOption,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct TestOutcome<'a> {
    channel: &'a str,
    id: &'a str,
    sent: bool,
    /// The status that was answered with; `None` where no answer came.
    status: Option<u16>,
    /// Why it was not sent.
    why: Option<&'a str>,
}

/// Sends the test alert.
///
/// # Errors
/// Where there is no such channel, a secret cannot be read, or stdout cannot be written.
pub fn run(args: &AlertArgs) -> anyhow::Result<ExitCode> {
    let Action::Test(args) = &args.action;
    let config = args.config.load()?;
    let Some(channel) = config.alerts.iter().find(|channel| channel.name == args.name) else {
        return Err(WrongUsage(unknown(&args.name, &config.alerts)).into());
    };
    let channel = Channel::open(channel, Options::default(), Arc::new(System));
    let channel = channel.map_err(ConfigRefused)?;
    let id = format!("{}-{}", Uuid::now_v7(), channel.name());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let alert = alert(channel.name());
    let sent = runtime.block_on(channel.send(&[Letter::of(id.clone(), &alert)]));
    let (status, why) = match &sent.answer {
        Receipt::Taken { status } => (Some(*status), None),
        Receipt::Refused { status, why } | Receipt::Later { status, why, .. } => {
            (*status, Some(why.as_str()))
        }
    };
    let told = TestOutcome { channel: channel.name(), id: &id, sent: why.is_none(), status, why };
    match args.format.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&told)? + "\n";
            crate::output::stdout().write_all(text.as_bytes())?;
        }
        Format::Human => told.print()?,
    }
    Ok(ExitCode::from(if told.sent { DONE } else { FAILED }))
}

impl TestOutcome<'_> {
    fn print(&self) -> std::io::Result<()> {
        match (self.status, self.why) {
            (Some(status), None) => {
                writeln!(crate::output::stdout(), "`{}`: sent, it answers {status}", self.channel)
            }
            (_, why) => {
                let why = why.unwrap_or("no answer");
                writeln!(crate::output::stderr(), "error: `{}`: not sent, {why}", self.channel)
            }
        }
    }
}

fn unknown(name: &str, channels: &[AlertChannel]) -> String {
    let known: Vec<String> = channels.iter().map(|channel| format!("`{}`", channel.name)).collect();
    match known.as_slice() {
        [] => format!("there is no alert `{name}`: the configuration has no `[[alert]]`"),
        known => format!("there is no alert `{name}`, expected one of {}", known.join(", ")),
    }
}

fn alert(channel: &str) -> Alert {
    Alert {
        key: format!("test/{channel}"),
        severity: Severity::Critical,
        at: System.now(),
        title: format!("Test of alert `{channel}`: nothing has happened"),
        lines: vec!["Sent by hand with `neap alert test`.".to_owned()],
        subject: Some("sim/local/i-0123456789abcdef0".to_owned()),
        owner: Some("nobody".to_owned()),
    }
}
