//! The daemon: started, one cycle after another, until it is told to stop.

mod discover;
mod former;
mod jump;
mod latest;
mod money;
mod pager;
mod publish;
mod reload;
mod secrets;
mod signals;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use alerts::{Channel, Sender};
use anyhow::Context;
use config::Config;
use fleet::Timestamp;
use journal::{Journal, Recovered, Trouble};
use page::{Board, Page};
use report::Asked;
use report::digest::Desk;
use serde_json::Value;
use shadow::{RuleScores, Watch};
use tokio::sync::mpsc;

use crate::assemble::Clouds;
use crate::clock::{ClockWatch, next_turn};
use crate::control;
use crate::cycle::Engine;
use crate::discovery::Discovery;
use crate::idle::IdleWatch;
use crate::manager::Manager;
use crate::options::Format;
use crate::prices::UnitPrices;
use crate::terminal::Reporter;
use crate::traces::Traces;

use pager::Pager;
use signals::Wake;

pub use latest::latest;
pub use secrets::{Exposed, Secrets, exposed, open, warn_of_exposed};

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct How {
    /// The configuration's file, for reloads.
    pub path: PathBuf,
    /// Run one cycle and end.
    pub once: bool,
    /// How decisions are printed.
    pub format: Format,
}

/// What is opened before it starts.
pub struct Opened {
    /// The configuration.
    pub config: Config,
    /// What it keeps secrets of.
    pub secrets: Secrets,
    pub journal: Journal,
    /// What the journal knew.
    pub recovered: Recovered,
}

/// Runs until it is told to stop, or the simulation is over.
///
/// # Errors
/// Where it cannot start; a running daemon holds and says so instead.
pub fn run(how: How, opened: Opened) -> anyhow::Result<ExitCode> {
    let Opened { config, secrets, journal, recovered } = opened;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Secrets { channels, access, headers } = secrets;
    let traces = config.trace.as_ref().map(|trace| Traces::start(trace, headers)).transpose()?;
    let ended = runtime.block_on(daemon(how, config, channels, access, (journal, recovered)));
    // What is still to be traced ends before its last spans are sent.
    drop(runtime);
    drop(traces);
    ended
}

/// How the journal of a configuration is opened.
///
/// # Errors
/// Where a test's clock does not answer.
pub fn journal_options(config: &Config) -> anyhow::Result<journal::Options> {
    Ok(journal::Options {
        retention: config.journal,
        fault_points: fault_points()?,
        ..journal::Options::default()
    })
}

#[cfg(not(feature = "test-clock"))]
fn fault_points() -> anyhow::Result<Option<journal::FaultPoints>> {
    Ok(None)
}

#[cfg(feature = "test-clock")]
fn fault_points() -> anyhow::Result<Option<journal::FaultPoints>> {
    use crate::clock::test;
    let Some(path) = std::env::var_os(test::SOCKET_VARIABLE) else { return Ok(None) };
    let remote = test::remote(std::path::Path::new(&path))?;
    Ok(Some(Arc::new(move |name: &str| remote.point(name))))
}

struct Daemon {
    path: PathBuf,
    config: Config,
    /// What is recorded of it beside a policy.
    source: String,
    discovery: Discovery,
    journal: Arc<Journal>,
    clouds: Clouds,
    engine: Engine,
    idle: IdleWatch,
    shadow: Watch,
    rule_scores: Arc<RwLock<RuleScores>>,
    prices: UnitPrices,
    sender: Sender,
    digests: Desk,
    pager: Pager,
    reporter: Reporter,
    status: Arc<Mutex<Value>>,
    stopping: Arc<AtomicBool>,
    manager: Manager,
    board: Board,
    page: Option<Page>,
    /// What was amiss with the journal after the last turn.
    trouble: Option<Trouble>,
    watch: ClockWatch,
    /// When old records were last removed, or the clock was set, by the monotonic clock.
    compacted_at: Duration,
}

async fn daemon(
    how: How,
    config: Config,
    channels: Vec<Channel>,
    access: Option<page::Access>,
    (journal, recovered): (Journal, Recovered),
) -> anyhow::Result<ExitCode> {
    let (stopping, mut wakes) = signals::listen()?;
    let mut daemon = start::start(&how, config, channels, (journal, &recovered), stopping).await?;
    let status = Arc::clone(&daemon.status);
    let source = move || status.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _server = journal::socket::serve(&daemon.journal, Arc::new(source))?;
    let config = &daemon.config;
    let (control, asked) = control::serve(&config.state_dir, &config.approvers)
        .context("opening the socket for approvals")?;
    let mut asked = control::relay(asked, Arc::clone(&daemon.engine.recall));
    daemon.page = daemon.open_page(access, control.sender()).await?;
    daemon.until_stopped(how.once, &mut wakes, &mut asked).await?;
    daemon.sender.stop().await;
    daemon.reporter.summary(&daemon.clouds);
    Ok(ExitCode::SUCCESS)
}

impl Daemon {
    async fn until_stopped(
        &mut self,
        once: bool,
        wakes: &mut mpsc::UnboundedReceiver<Wake>,
        asked: &mut mpsc::Receiver<Asked>,
    ) -> anyhow::Result<()> {
        self.manager.ready(self.config.policy.poll_interval);
        while !self.stopping.load(Ordering::SeqCst) {
            let now = self.clouds.clock.now();
            if self.clouds.ends_at.is_some_and(|end| now >= end) {
                break;
            }
            self.look_at_clock(now);
            let waits = once || self.clouds.clock.stands_still();
            self.discover(now, waits).await;
            if !once {
                self.want_prices(now);
            }
            self.turn(now).await;
            self.price(now, waits).await;
            self.idle.tick(&self.journal, now, &self.stopping).await;
            if waits {
                self.idle.finish().await;
            }
            self.digest(now).await;
            if waits {
                self.digests.finish().await;
            }
            if once {
                break;
            }
            self.compact(now);
            self.wait(now, wakes, asked).await;
        }
        self.manager.stopping();
        self.idle.finish().await;
        self.digests.finish().await;
        self.shadow.finish(&self.journal, self.clouds.clock.now())?;
        self.journal.flush()?;
        tracing::info!("stopped");
        Ok(())
    }

    /// A turn whose record fails has done nothing, and the next one tries again.
    async fn turn(&mut self, now: Timestamp) {
        let Daemon { engine, journal, stopping, reporter, pager, .. } = self;
        let began = std::time::Instant::now();
        match engine.turn(journal, now, stopping).await {
            Ok(turn) => {
                reporter.turn(&turn, &engine.standing.policy);
                pager.cycle(journal, engine, &turn);
                self.compare(&turn);
                self.publish(turn, began);
                self.manager.cycle_done();
            }
            Err(fault) => {
                pager.not_written(journal, engine, now, &fault);
                self.board.cycle_failed();
                tracing::error!(%fault, "the journal cannot be written: nothing is changed in any cloud");
            }
        }
        self.tell_trouble();
    }

    /// Says once what is amiss with the journal, and once that it is over.
    fn tell_trouble(&mut self) {
        let trouble = self.journal.trouble();
        let word = |trouble: &Option<Trouble>| trouble.as_ref().map(Trouble::word);
        if word(&trouble) == word(&self.trouble) {
            return;
        }
        match &trouble {
            Some(trouble) => {
                tracing::warn!(%trouble, "journal: removals and stops are held; it is tried again every cycle");
            }
            None => tracing::info!("journal: all is well again"),
        }
        self.trouble = trouble;
    }

    async fn wait(
        &mut self,
        now: Timestamp,
        wakes: &mut mpsc::UnboundedReceiver<Wake>,
        asked: &mut mpsc::Receiver<Asked>,
    ) {
        let clock = Arc::clone(&self.clouds.clock);
        let next = next_turn(now, clock.now(), self.engine.standing.policy.poll_interval);
        let mut sleep = clock.sleep_until(next);
        loop {
            tokio::select! {
                () = &mut sleep => return,
                wake = wakes.recv() => match wake {
                    Some(Wake::Reload) => {
                        self.manager.reloading();
                        self.reload().await;
                        self.manager.ready(self.config.policy.poll_interval);
                    }
                    Some(Wake::Stop) | None => return,
                },
                Some(asked) = asked.recv() => self.ask(asked, clock.now()),
            }
        }
    }
}
