//! `neap restore`: minimums of groups back to what their operator had set.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use config::Config;
use fleet::{Change, Timestamp};
use journal::Journal;
use planner::snapshot::{KillSwitch, OrderResult};
use providers::{Deadline, Provider};
use shadow::{KeptMinimum, ShadowEntry};

use crate::options::{ConfigOption, DONE, FAILED, NO, journal_code};
use crate::{app, assemble, execute};

/// How long reading one group may take.
const READ_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// Puts the minimums of groups back to what they were before neap wrote them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  systemctl stop neap && neap restore     before neap is removed
  neap restore web-asg                    of this group alone, by its name or service
  neap restore --dry-run                  what would be put back

A running daemon puts a minimum back by itself when its service is demoted or `actuate` is `desired`.
A minimum that somebody has changed since is left as it is.
Exits with 0 if all are put back, with 3 if a cloud did not do it.")]
pub struct RestoreArgs {
    /// Services or groups; without a name, all of them.
    names: Vec<String>,
    /// Show what would be put back, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigOption,
}

/// Puts back what the journal remembers.
///
/// # Errors
/// Where the configuration or the journal cannot be used.
pub fn run(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let options = app::journal_options(&config)?;
    let opened = Journal::open(&config.state_dir, assemble::world(&config), options);
    let (journal, recovered) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            eprintln!("error: {fault}");
            return Ok(ExitCode::from(journal_code(&fault)));
        }
    };
    let last = recovered.memory.as_ref().map(|(_, at)| *at);
    let kept = shadow::kept_minimums(&journal.reader())?;
    let named = |kept: &KeptMinimum| {
        let group = kept.group.id.rsplit('/').next().unwrap_or(&kept.group.id);
        let is = |name: &String| {
            *name == kept.service.to_string() || *name == kept.group.id || name == group
        };
        args.names.is_empty() || args.names.iter().any(is)
    };
    let (mut wanted, others): (Vec<_>, Vec<_>) = kept.into_iter().partition(named);
    if wanted.is_empty() {
        println!("no minimum of a group is neap's: nothing to put back");
        return Ok(ExitCode::from(if args.names.is_empty() { DONE } else { NO }));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let now = assemble::begins(&config).max(last.unwrap_or(Timestamp(0)));
    let failed = runtime.block_on(put_back(&config, last, &mut wanted, args.dry_run))?;
    if !args.dry_run {
        let left: Vec<KeptMinimum> = others.into_iter().chain(wanted).collect();
        let written = journal.record_shadow(now, &ShadowEntry::Minimums(left), true);
        written.context("writing down what was put back")?;
    }
    Ok(ExitCode::from(if failed { FAILED } else { DONE }))
}

/// Puts back each of `kept`, and leaves those in it that are still neap's. Whether any failed.
async fn put_back(
    config: &Config,
    last: Option<Timestamp>,
    kept: &mut Vec<KeptMinimum>,
    dry_run: bool,
) -> anyhow::Result<bool> {
    let clouds = assemble::clouds(config, last, Some(&config.state_dir))?;
    let permitted = || execute::kill_switch(&config.kill_switch) == KillSwitch::Clear;
    let mut failed = false;
    let mut left = BTreeMap::new();
    for one in std::mem::take(kept) {
        let KeptMinimum { service, group, before, .. } = &one;
        let about = format!("{service} ({group})");
        let Some(provider) = clouds.providers.get(&group.provider) else {
            eprintln!("error: {about}: provider `{}` is not configured", group.provider);
            failed = true;
            left.insert(group.clone(), one);
            continue;
        };
        let read = provider.inventory().group(group, Deadline::within(READ_WITHIN)).await;
        let shown = match read {
            Ok(state) => state.min,
            Err(fault) => {
                eprintln!("error: {about}: {fault}");
                failed = true;
                left.insert(group.clone(), one);
                continue;
            }
        };
        if shown == *before || !one.is_ours(shown) {
            println!("{about}: its minimum is {} and stays", shown.0);
            continue;
        }
        let change = Change::Minimum { from: shown, to: *before };
        if dry_run {
            println!("{about}: {change} (dry run)");
            continue;
        }
        match execute::put_back(group, change, "restore", provider, &permitted).await {
            OrderResult::Applied => println!("{about}: {change}"),
            other => {
                eprintln!("error: {about}: {change}: {}", report::ending(&other));
                failed = true;
                left.insert(group.clone(), one);
            }
        }
    }
    kept.extend(left.into_values());
    Ok(failed)
}
