//! `neap run`: the daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alerts::{self, Channel, Sender};
use anyhow::Context;
use config::calendars::Calendars;
use config::{self, Config};
use journal::{self, Journal, JournalFault, Recovered};
use page::{Board, Page, Site};
use planner::agreement::older;
use planner::idle::rule::RuleName;
use planner::{Memory, Seconds, Timestamp};
use report::Turn;
use report::digest::{Desk, Standing};
use report::{Asked, Asking};
use serde_json::{Value, json};
use shadow::{self, RuleScores, Rules, Seen, Watch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::assemble::{self, Clouds};
use crate::control;
use crate::cycle::Engine;
use crate::idle::{IdleEngine, IdleWatch};
use crate::latest::latest;
use crate::manager::Manager;
use crate::promotion;
use crate::terminal::{Format, Reporter};
use crate::traces::{self, Traces};

/// Watches demand, forecasts it, orders capacity ahead of it, and records why.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neap run --config config.example.toml     a simulated day, no account needed
  neap run --config /etc/neap/neap.toml     the daemon, as systemd runs it
  neap run --config neap.toml --once        one cycle, then the end

SIGTERM ends it after the running call. SIGHUP reloads the configuration.")]
pub struct Args {
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

/// What wakes the daemon besides the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Reload,
    Stop,
}

/// Runs until it is told to stop, or the simulation is over.
///
/// # Errors
/// Where it cannot start; a running daemon holds and says so instead.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = match crate::settings::load(&args.config) {
        Ok(config) => config,
        Err(faults) => {
            crate::terminal::faults(&faults);
            return Ok(ExitCode::from(1));
        }
    };
    crate::telemetry::adopt(config.log);
    let secrets = match secrets(&config) {
        Ok(opened) => opened,
        Err(faults) => {
            crate::terminal::faults(&faults);
            return Ok(ExitCode::from(1));
        }
    };
    let options = journal_options(&config)?;
    let opened = Journal::open(&config.state_dir, assemble::world(&config), options);
    let (journal, recovered) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            eprintln!("error: {fault}");
            return Ok(ExitCode::from(exit_code(&fault)));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Secrets { channels, access, headers } = secrets;
    let traces = config.trace.as_ref().map(|trace| Traces::start(trace, headers)).transpose()?;
    let ended = runtime.block_on(daemon(args, config, channels, access, (journal, recovered)));
    // What is still to be traced ends before its last spans are sent.
    drop(runtime);
    drop(traces);
    ended
}

/// What the configuration keeps secrets of.
pub(super) struct Secrets {
    /// Channels of alerts.
    channels: Vec<Channel>,
    /// The page's doors.
    access: Option<page::Access>,
    /// What goes along with traces.
    headers: traces::Headers,
}

/// Opens what the configuration keeps secrets of.
pub(super) fn secrets(config: &Config) -> Result<Secrets, Vec<config::ConfigFault>> {
    let channels = alerts::open(&config.alerts, alerts::Options::default());
    let access = config.page.as_ref().map(page::Access::open).transpose();
    let headers = config.trace.as_ref().and_then(|trace| trace.headers.as_ref());
    let headers = headers.map(traces::Headers::read).transpose().map_err(|fault| vec![fault]);
    match (channels, access, headers) {
        (Ok(channels), Ok(access), Ok(headers)) => {
            Ok(Secrets { channels, access, headers: headers.unwrap_or_default() })
        }
        (channels, access, headers) => {
            let faults = [channels.err(), access.err(), headers.err()];
            Err(faults.into_iter().flatten().flatten().collect())
        }
    }
}

/// A journal that must not be written is a no; a disk that cannot be written is a failure.
fn exit_code(fault: &JournalFault) -> u8 {
    match fault {
        JournalFault::Unusable { .. } | JournalFault::Full { .. } => 3,
        _ => 1,
    }
}

fn journal_options(config: &Config) -> anyhow::Result<journal::Options> {
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
    journal: Arc<Journal>,
    clouds: Clouds,
    engine: Engine,
    idle: IdleWatch,
    shadow: Watch,
    rule_scores: Arc<RwLock<RuleScores>>,
    sender: Sender,
    digests: Desk,
    reporter: Reporter,
    status: Arc<Mutex<Value>>,
    stopping: Arc<AtomicBool>,
    manager: Manager,
    board: Board,
    page: Option<Page>,
}

async fn daemon(
    args: &Args,
    config: Config,
    channels: Vec<Channel>,
    access: Option<page::Access>,
    (journal, recovered): (Journal, Recovered),
) -> anyhow::Result<ExitCode> {
    let (stopping, mut wakes) = listen()?;
    let mut daemon = start(args, config, channels, (journal, &recovered), stopping).await?;
    let status = Arc::clone(&daemon.status);
    let source = move || status.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _server = journal::socket::serve(&daemon.journal, Arc::new(source))?;
    let config = &daemon.config;
    let (control, asked) = control::serve(&config.state_dir, &config.approvers)
        .context("opening the socket for approvals")?;
    let mut asked = control::relay(asked, Arc::clone(&daemon.engine.recall));
    daemon.page = daemon.open_page(access, control.sender()).await?;
    daemon.until_stopped(args.once, &mut wakes, &mut asked).await?;
    daemon.sender.stop().await;
    daemon.reporter.summary(&daemon.clouds);
    Ok(ExitCode::SUCCESS)
}

/// Signals: what they ask is done between cycles, but a stop forbids new calls at once.
fn listen() -> anyhow::Result<(Arc<AtomicBool>, mpsc::UnboundedReceiver<Wake>)> {
    let stopping = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let flag = Arc::clone(&stopping);
    tokio::spawn(async move {
        loop {
            let wake = tokio::select! {
                _ = terminate.recv() => Wake::Stop,
                _ = interrupt.recv() => Wake::Stop,
                _ = hang_up.recv() => Wake::Reload,
            };
            if wake == Wake::Stop {
                flag.store(true, Ordering::SeqCst);
            }
            if sender.send(wake).is_err() {
                return;
            }
        }
    });
    Ok((stopping, receiver))
}

async fn start(
    args: &Args,
    config: Config,
    channels: Vec<Channel>,
    (journal, recovered): (Journal, &Recovered),
    stopping: Arc<AtomicBool>,
) -> anyhow::Result<Daemon> {
    for note in &recovered.notes {
        tracing::warn!(note, "journal");
    }
    let last_cycle_at = recovered.memory.as_ref().map(|(_, at)| *at);
    let clouds = assemble::clouds(&config, last_cycle_at, Some(&config.state_dir))?;
    let now = clouds.clock.now();
    let (policy, models, calendars) = assemble::expanded(&config, &clouds.providers).await;
    let source = recorded_source(&args.config, &config)?;
    let digest = journal.record_policy(&policy, &source, now)?;
    warn_of(&calendars, now);
    let standing = assemble::standing(&config, policy, models, calendars, digest);
    let memory: Memory =
        recovered.memory.as_ref().map(|(memory, _)| memory.clone()).unwrap_or_default();
    let mut engine = assemble::engine(standing, &clouds.providers, memory);
    let reader = journal.reader();
    assemble::restore_samples(&mut engine, &reader, now)?;
    engine.last_taken_at = last_cycle_at;
    engine.unresolved.clone_from(&recovered.open_intents);
    recall_orders(&mut engine, &reader, recovered, now)?;
    recall_requests(&mut engine, &journal, recovered, &config.idle.older_terms())?;
    let mut idle = IdleEngine::new(assemble::idle_standing(&config), clouds.providers.clone());
    idle.restore(&reader, now)?;
    idle.obey(&engine.recall);
    let mut shadow = Watch::new(&engine.standing.policy, &engine.memory);
    shadow.restore(&reader, now)?;
    let reporter = Reporter::new(args.format);
    tracing::info!(
        services = engine.standing.policy.services.len(),
        mode = %config.policy.mode,
        state_dir = %config.state_dir.display(),
        unresolved = engine.unresolved.len(),
        "started"
    );
    let status = Arc::new(Mutex::new(json!({ "started_at": now.to_string() })));
    let path = args.config.clone();
    let sender = Sender::start(&journal, clouds.now(), channels, alerts::Options::default());
    let board = Board::default();
    board.alerts(sender.tally());
    let rule_scores = idle.scores();
    let (journal, idle) = (Arc::new(journal), IdleWatch::new(idle, board.clone()));
    Ok(Daemon {
        path,
        config,
        journal,
        clouds,
        engine,
        idle,
        shadow,
        rule_scores,
        sender,
        digests: Desk::default(),
        reporter,
        status,
        stopping,
        manager: Manager::of_this_process(),
        board,
        page: None,
    })
}

/// Says what is missing in calendars and what has expired.
fn warn_of(calendars: &Calendars, now: Timestamp) {
    for (about, text) in calendars.warnings(now) {
        tracing::warn!(about, "{text}");
    }
}

/// The configuration's text, with the days of files of holidays that it names as comments at its
/// end; it holds names of secret files, never secrets.
fn recorded_source(path: &std::path::Path, config: &Config) -> anyhow::Result<String> {
    let reading = || format!("reading `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(reading)?;
    let files = config.calendars.values().filter(|rule| rule.holidays.is_file);
    let days: String = files.map(|rule| rule.holidays.as_comments()).collect();
    Ok(text + &days)
}

/// Orders of the last hours, and results that no cycle has seen.
fn recall_orders(
    engine: &mut Engine,
    reader: &journal::Reader,
    recovered: &Recovered,
    now: Timestamp,
) -> anyhow::Result<()> {
    for cycle in reader.cycles(now - Seconds::hours(2)..now + Seconds(1)) {
        let cycle = cycle?;
        let intents = reader.intents(cycle.id)?;
        for intent in &intents {
            engine.remember_order(&intent.service, intent.at);
        }
        if Some(cycle.id) != recovered.last_cycle {
            continue;
        }
        for outcome in reader.outcomes(cycle.id)?.iter().filter(|o| o.is_final()) {
            let Some(intent) = intents.iter().find(|intent| intent.id == outcome.id) else {
                continue;
            };
            let seen = planner::snapshot::OrderOutcome {
                decision: outcome.id.to_string(),
                at: outcome.at,
                change: intent.change,
                result: outcome.result.clone(),
            };
            engine.remember_outcome(&intent.service, seen);
        }
    }
    Ok(())
}

/// What people asked for and no cycle has taken in, and whom regret took back in the last cycle: it
/// may have been the last thing that the daemon did.
fn recall_requests(
    engine: &mut Engine,
    journal: &Journal,
    recovered: &Recovered,
    older_terms: &BTreeMap<RuleName, String>,
) -> anyhow::Result<()> {
    engine.recall.stand(&engine.memory.stages);
    let requests = shadow::unanswered(&journal.reader(), recovered.last_cycle)?;
    let (policy, stages) = (&engine.standing.policy, &engine.memory.stages);
    let renamed = |request| older::renamed(request, policy, stages, older_terms);
    engine.requests = requests.into_iter().map(renamed).collect();
    for request in &engine.requests {
        engine.recall.note(&request.ask);
    }
    let Some(last) = engine.last_taken_at else { return Ok(()) };
    let mut alerts = planner::stage::alerts(&Memory::default(), &engine.memory, last);
    alerts.retain(|alert| alert.subject.is_some() && alert.at == last);
    journal.enqueue(&alerts)?;
    Ok(())
}

impl Daemon {
    async fn until_stopped(
        &mut self,
        once: bool,
        wakes: &mut mpsc::UnboundedReceiver<Wake>,
        asked: &mut mpsc::Receiver<Asked>,
    ) -> anyhow::Result<()> {
        let mut compacted_at = self.clouds.clock.now();
        self.manager.ready(self.config.policy.poll_interval);
        while !self.stopping.load(Ordering::SeqCst) {
            let now = self.clouds.clock.now();
            if self.clouds.ends_at.is_some_and(|end| now >= end) {
                break;
            }
            self.turn(now).await;
            self.idle.tick(&self.journal, now, &self.stopping).await;
            let waits = once || self.clouds.clock.stands_still();
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
            if now.since(compacted_at) >= Seconds::days(1) {
                compacted_at = now;
                warn_of(&self.engine.standing.calendars, now);
                if let Err(fault) = self.journal.compact(now) {
                    tracing::warn!(%fault, "old records could not be removed");
                }
            }
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
        let Daemon { engine, journal, stopping, reporter, .. } = self;
        let began = std::time::Instant::now();
        match engine.turn(journal, now, stopping).await {
            Ok(turn) => {
                reporter.turn(&turn, &engine.standing.policy);
                self.compare(&turn);
                self.publish(turn, began);
                self.manager.cycle_done();
            }
            Err(fault) => {
                self.board.cycle_failed();
                tracing::error!(%fault, "the journal cannot be written: nothing is changed in any cloud");
            }
        }
    }

    /// What would have happened had neap acted: beside the point where the journal is full.
    fn compare(&mut self, turn: &Turn) {
        let (snapshot, plan, memory) = (&turn.snapshot, &turn.plan, &self.engine.memory);
        let seen = Seen { cycle: turn.id, snapshot, plan, memory };
        if let Err(fault) = self.shadow.take(&self.journal, seen) {
            tracing::warn!(%fault, "scorecards could not be written");
        }
    }

    /// Makes the digests that are due, beside what follows.
    async fn digest(&mut self, now: Timestamp) {
        let (policy, memory) = (&self.engine.standing.policy, &self.engine.memory);
        let standing = |scores: &shadow::Scores| Standing::of(policy, memory, scores, now);
        let (alerts, scores) = (&self.config.alerts, self.shadow.scores());
        self.digests.tick(&self.journal, alerts, &scores, now, standing).await;
    }

    /// What somebody asks for: of services it is taken in here, of machines by the next look.
    fn ask(&mut self, asked: Asked, now: Timestamp) {
        let Asking::Stage(wish) = &asked.ask else { return self.idle.ask(asked, now) };
        let Daemon { engine, shadow, journal, config, rule_scores, .. } = self;
        let scores = rule_scores.read().unwrap_or_else(PoisonError::into_inner);
        let rules = Rules { policy: &config.idle.policy, scores: &scores };
        let told = promotion::ask(wish, &asked.by, now, engine, shadow, journal, &rules);
        match &told {
            Ok(about) => tracing::warn!(by = asked.by, %about, ?wish, "asked for"),
            Err(why) => tracing::info!(by = asked.by, %why, ?wish, "request refused"),
        }
        // Who does not wait for the answer goes without.
        let _ = asked.answer.send(told);
    }

    fn publish(&self, turn: Turn, began: std::time::Instant) {
        let next = self.next_tick(turn.snapshot.taken_at);
        let mut value = crate::terminal::status(&turn, &self.engine, &self.clouds.providers, next);
        let (policy, memory) = (&self.engine.standing.policy, &self.engine.memory);
        let scores = self.shadow.scores();
        let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
        let offers = shadow::offers(policy, memory, &scores, turn.snapshot.taken_at);
        if !offers.is_empty() {
            value["promotion"] = json!(offers);
        }
        drop(scores);
        let scores = self.rule_scores.read().unwrap_or_else(PoisonError::into_inner);
        let rules = Rules { policy: &self.config.idle.policy, scores: &scores };
        let rule_offers = shadow::rule_offers(policy, memory, &rules, turn.snapshot.taken_at);
        if !rule_offers.is_empty() {
            value["rule_promotion"] = json!(rule_offers);
        }
        drop(scores);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = value;
        // Without a page nobody looks at the board.
        if self.page.is_some() {
            self.board.cycle(latest(turn, &self.engine, (offers, rule_offers), next, began));
        }
    }

    /// Opens the page where the configuration wants one; what the last day's charts show is read
    /// from the journal meanwhile.
    async fn open_page(
        &self,
        access: Option<page::Access>,
        asked: mpsc::Sender<Asked>,
    ) -> anyhow::Result<Option<Page>> {
        let (Some(page), Some(access)) = (&self.config.page, access) else { return Ok(None) };
        self.board.score(self.shadow.scores(), Arc::clone(&self.rule_scores));
        let site = Site::new(&self.journal, self.board.clone(), access, asked);
        let (board, reader) = (self.board.clone(), self.journal.reader());
        let until = self.clouds.clock.now();
        std::thread::spawn(move || {
            if let Err(fault) = board.recall(&reader, until) {
                tracing::warn!(%fault, "the page starts without the previous day");
            }
        });
        Page::open(page, site).await.map(Some)
    }

    /// The next whole multiple of the poll interval; ticks that went by during a slow cycle are
    /// left out.
    fn next_tick(&self, now: Timestamp) -> Timestamp {
        let interval = self.engine.standing.policy.poll_interval;
        let step = u32::try_from(interval.0).ok().and_then(planner::Step::new);
        step.map_or(now + interval, |step| now.floor_to(step) + interval)
    }

    async fn wait(
        &mut self,
        now: Timestamp,
        wakes: &mut mpsc::UnboundedReceiver<Wake>,
        asked: &mut mpsc::Receiver<Asked>,
    ) {
        let clock = Arc::clone(&self.clouds.clock);
        let next = self.next_tick(clock.now().max(now));
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

    /// Takes over the configuration's file where it is valid; keeps the old one, loudly, where it
    /// is not.
    async fn reload(&mut self) {
        let opened = crate::settings::load(&self.path).and_then(|next| {
            let opened = secrets(&next)?;
            Ok((next, opened))
        });
        let (next, Secrets { channels, access, .. }) = match opened {
            Ok(opened) => opened,
            Err(faults) => {
                for fault in &faults {
                    tracing::error!(%fault, "configuration refused, the old one stays in force");
                }
                return;
            }
        };
        let differences = config::differences(&self.config, &next);
        for difference in &differences {
            if difference.needs_restart {
                tracing::error!(
                    key = difference.key,
                    "configuration refused: this key needs a restart; the old one stays in force"
                );
                return;
            }
        }
        if let (Some(page), Some(access)) = (&self.page, access) {
            page.admit(access);
        }
        if let Err(error) = self.take_over(next, channels).await {
            tracing::error!(%error, "configuration refused, the old one stays in force");
            return;
        }
        crate::telemetry::adopt(self.config.log);
        for difference in &differences {
            let (before, after) = (&difference.before, &difference.after);
            tracing::info!(key = difference.key, ?before, ?after, "configuration changed");
        }
        tracing::info!(changes = differences.len(), "configuration reloaded");
    }

    async fn take_over(&mut self, next: Config, channels: Vec<Channel>) -> anyhow::Result<()> {
        let (policy, models, calendars) = assemble::expanded(&next, &self.clouds.providers).await;
        let source = recorded_source(&self.path, &next)?;
        let now = self.clouds.clock.now();
        let digest = self.journal.record_policy(&policy, &source, now)?;
        warn_of(&calendars, now);
        self.engine.reload(assemble::standing(&next, policy, models, calendars, digest));
        self.shadow.reload(&self.engine.standing.policy);
        self.idle.reload(assemble::idle_standing(&next)).await;
        self.sender.stop().await;
        let options = alerts::Options::default();
        self.sender = Sender::start(&self.journal, self.clouds.now(), channels, options);
        self.board.alerts(self.sender.tally());
        self.config = next;
        Ok(())
    }
}
