//! From what was opened to a daemon that is ready for its first cycle.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerts::{Channel, Sender};
use anyhow::Context;
use config::Config;
use config::calendars::Calendars;
use fleet::{ClockJump, RuleName, Seconds, Timestamp};
use journal::{Journal, Recovered, SET_BACK, StoredPolicy};
use page::Board;
use planner::Memory;
use planner::agreement::older;
use planner::memory::AWAY_KEPT;
use report::digest::Desk;
use serde_json::json;
use shadow::Watch;

use super::pager::Pager;
use super::{Daemon, How, former, jump};
use crate::assemble;
use crate::clock::ClockWatch;
use crate::cycle::Engine;
use crate::cycle::minimums::Minimums;
use crate::discovery::{self, Discovery, Made, Named};
use crate::idle::{IdleEngine, IdleWatch};
use crate::manager::Manager;
use crate::prices::UnitPrices;
use crate::terminal::Reporter;

/// How long a start waits for the clouds to tell their groups: those that answer later are taken over
/// by a later cycle, and nobody else's growth waits for them.
const FIRST_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Puts the daemon together, and takes over what the journal knows.
pub(super) async fn start(
    how: &How,
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
    let set_back = told_time(&journal, now)?;
    let reader = journal.reader();
    let mut discovery = Discovery::new(&config, &clouds.providers);
    let known = recorded(&config, &reader, recovered);
    if let Some((known, at)) = known.as_ref().filter(|(_, at)| now.since(*at) <= AWAY_KEPT) {
        discovery.carry(known, &config, (*at).min(now));
    }
    let waits = how.once || clouds.clock.stands_still();
    let patience = if waits { discovery::WITHIN } else { FIRST_ANSWERS_WITHIN };
    discovery.find(&clouds.providers, now, patience).await;
    discovery.ask(&clouds.providers, now, config.policy.poll_interval);
    discovery.wait(now, patience).await;
    let before = known.zip(recovered.memory.as_ref());
    let before = before.map(|((known, _), (memory, _))| Named::of(&known.policy, memory));
    let made = discovery.made(&config, &before.unwrap_or_default());
    let Made { policy, models, calendars, .. } = made;
    let source = recorded_source(&how.path, &config)?;
    let digest = journal.record_policy(&policy, &source, now)?;
    discovery.settled();
    former::look(&journal, &assemble::world(&config), now)?;
    warn_of(&calendars, now);
    let standing = assemble::standing(&config, policy, models, calendars, digest);
    let memory: Memory =
        recovered.memory.as_ref().map(|(memory, _)| memory.clone()).unwrap_or_default();
    let mut engine = assemble::engine(standing, &clouds.providers, memory);
    assemble::restore_samples(&mut engine, &reader, now)?;
    engine.last_taken_at = last_cycle_at;
    engine.unresolved.clone_from(&recovered.open_intents);
    engine.minimums = Minimums::of(shadow::kept_minimums(&reader)?);
    recall_orders(&mut engine, &reader, recovered, now)?;
    recall_requests(&mut engine, &journal, recovered, &config.idle.older_terms())?;
    if let Some(left) = last_cycle_at.filter(|left| left.since(now) > SET_BACK) {
        engine.rewind(left, now);
    }
    let mut idle = IdleEngine::new(assemble::idle_standing(&config), clouds.providers.clone());
    idle.restore(&reader, now)?;
    if let Some(set_back) = set_back {
        idle.rewind(set_back.expected, now);
        jump::record(&journal, set_back)?;
    }
    idle.obey(&engine.recall);
    let mut shadow = Watch::new(&engine.standing.policy, &engine.memory);
    match shadow.restore(&reader, now) {
        Err(fault) if fault.is_damage() => {
            tracing::warn!(%fault, "journal: scorecards are damaged, and begin anew");
            shadow = Watch::new(&engine.standing.policy, &engine.memory);
        }
        restored => restored?,
    }
    shadow.reckon(config.money.baseline, config.money.commitments.clone());
    let kept = shadow::kept_prices(&reader)?;
    let prices = UnitPrices::restored(&engine.standing.policy, &kept);
    let reporter = Reporter::new(how.format);
    tracing::info!(
        services = engine.standing.policy.services.len(),
        mode = %config.policy.mode,
        state_dir = %config.state_dir.display(),
        unresolved = engine.unresolved.len(),
        "started"
    );
    let status = Arc::new(Mutex::new(json!({ "started_at": now.to_string() })));
    let path = how.path.clone();
    let sender = Sender::start(&journal, clouds.now(), channels, alerts::Options::default());
    let board = Board::default();
    board.alerts(sender.tally());
    let rule_scores = idle.scores();
    let pager = Pager::new(&journal);
    board.undiscovered(discovery.missing());
    let (watch, compacted_at) = (ClockWatch::starting(&*clouds.clock), clouds.clock.steady());
    let (journal, idle) = (Arc::new(journal), IdleWatch::new(idle, board.clone()));
    Ok(Daemon {
        path,
        config,
        source,
        discovery,
        journal,
        clouds,
        engine,
        idle,
        shadow,
        rule_scores,
        prices,
        sender,
        digests: Desk::default(),
        pager,
        reporter,
        status,
        stopping,
        manager: Manager::of_this_process(),
        board,
        page: None,
        trouble: None,
        watch,
        compacted_at,
    })
}

/// Tells the journal the time, and what it had expected, where that is later.
fn told_time(journal: &Journal, now: Timestamp) -> anyhow::Result<Option<ClockJump>> {
    let end = journal.reader().end()?;
    let jump = end.map(|expected| ClockJump { expected, shows: now });
    let jump = jump.filter(|_| journal.tell_time(now));
    if let Some(jump) = &jump {
        tracing::warn!("{jump}, as the journal has it");
    }
    Ok(jump)
}

/// The policy that was in force last, with the time of its last cycle, where templates may need it.
/// Without it their services are known once their clouds answer.
fn recorded(
    config: &Config,
    reader: &journal::Reader,
    recovered: &Recovered,
) -> Option<(StoredPolicy, Timestamp)> {
    let (_, at) = recovered.memory.as_ref().filter(|_| !config.templates.is_empty())?;
    let last = reader
        .cycle_at(*at)
        .and_then(|cycle| cycle.map(|cycle| reader.policy(cycle.policy)).transpose());
    match last {
        Ok(policy) => Some((policy?, *at)),
        Err(fault) => {
            tracing::warn!(%fault, "journal: the services of the last cycle cannot be read");
            None
        }
    }
}

/// Says what is missing in calendars and what has expired.
pub(super) fn warn_of(calendars: &Calendars, now: Timestamp) {
    for (about, text) in calendars.warnings(now) {
        tracing::warn!(about, "{text}");
    }
}

/// The configuration's text, with the days of files of holidays that it names as comments at its
/// end; it holds names of secret files, never secrets.
pub(super) fn recorded_source(path: &std::path::Path, config: &Config) -> anyhow::Result<String> {
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
        engine.remember_policies(&cycle.snapshot);
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
