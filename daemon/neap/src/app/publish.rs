//! What is told of a cycle: on the terminal's socket, on the page, in digests, and of requests.

use std::sync::{Arc, PoisonError};

use fleet::{GroupRef, Place, Timestamp};
use page::{Page, Site};
use planner::snapshot::NoAnswer;
use report::digest::Standing;
use report::{Asked, Asking, Turn};
use serde_json::{Value, json};
use shadow::{Rules, Seen};
use tokio::sync::mpsc;

use super::{Daemon, latest};
use crate::clock::{System, next_tick};
use crate::cycle::Engine;
use crate::discovery::Unmade;
use crate::promotion;

impl Daemon {
    /// What would have happened had neap acted: beside the point where the journal is full.
    pub(super) fn compare(&mut self, turn: &Turn) {
        let (snapshot, plan, memory) = (&turn.snapshot, &turn.plan, &self.engine.memory);
        let seen = Seen { cycle: turn.id, snapshot, plan, memory };
        if let Err(fault) = self.shadow.take(&self.journal, seen) {
            tracing::warn!(%fault, "scorecards could not be written");
        }
    }

    /// Makes the digests that are due, beside what follows.
    pub(super) async fn digest(&mut self, now: Timestamp) {
        let (policy, memory) = (&self.engine.standing.policy, &self.engine.memory);
        let standing = |scores: &shadow::Scores| Standing::of(policy, memory, scores, now);
        let (alerts, scores) = (&self.config.alerts, self.shadow.scores());
        self.digests.tick(&self.journal, alerts, &scores, now, standing).await;
    }

    /// What somebody asks for: of services it is taken in here, of machines by the next look.
    pub(super) fn ask(&mut self, asked: Asked, now: Timestamp) {
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

    /// Puts a cycle up for whoever looks: the status, the page and metrics.
    pub(super) fn publish(&self, turn: Turn, began: std::time::Instant) {
        let interval = self.engine.standing.policy.poll_interval;
        let next = next_tick(turn.snapshot.taken_at, interval);
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
        self.tell_groups(&mut value);
        let money = self.money(&turn.snapshot);
        if money.services > 0 {
            value["money"] = money.json();
        }
        if let Some(page) = &self.page {
            value["page"] = match page.standing() {
                page::Standing::Open(address) => json!({ "open_on": address }),
                page::Standing::Waiting(fault) => json!({ "closed_by": fault.to_string() }),
            };
        }
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = value;
        // Without a page nobody looks at the board.
        if self.page.is_some() {
            self.board.cycle(latest(turn, &self.engine, (offers, rule_offers), money, next, began));
        }
    }

    /// What is missing of the groups that templates match: places without an answer, groups that became
    /// no service, and services that are away.
    fn tell_groups(&self, status: &mut Value) {
        let missing = &self.engine.undiscovered;
        if !missing.is_empty() {
            let told = |(place, missing): (&Place, &NoAnswer)| {
                let told =
                    json!({ "since": missing.since.to_string(), "why": missing.to_string() });
                (place.to_string(), told)
            };
            status["groups_not_looked_for"] = missing.iter().map(told).collect();
        }
        let unmade = self.discovery.unmade();
        if !unmade.is_empty() {
            let told =
                |(group, why): (&GroupRef, &Unmade)| (group.to_string(), json!(why.to_string()));
            status["groups_without_service"] = unmade.iter().map(told).collect();
        }
        let Engine { memory, standing, .. } = &self.engine;
        let away = memory.services.iter();
        let away = away.filter(|(name, _)| !standing.policy.services.contains_key(*name));
        let away: serde_json::Map<String, Value> = away
            .filter_map(|(name, own)| {
                Some((name.to_string(), json!(own.last_known()?.to_string())))
            })
            .collect();
        if !away.is_empty() {
            status["services_away_since"] = away.into();
        }
    }

    /// Opens the page where the configuration wants one; what the last day's charts show is read
    /// from the journal meanwhile.
    pub(super) async fn open_page(
        &self,
        access: Option<page::Access>,
        asked: mpsc::Sender<Asked>,
    ) -> anyhow::Result<Option<Page>> {
        let (Some(page), Some(access)) = (&self.config.page, access) else { return Ok(None) };
        self.board.score(self.shadow.scores(), Arc::clone(&self.rule_scores));
        let world = Arc::new(System);
        let site = Site::new(&self.journal, self.board.clone(), access, asked, world);
        let (board, reader) = (self.board.clone(), self.journal.reader());
        let until = self.clouds.clock.now();
        std::thread::spawn(move || {
            if let Err(fault) = board.recall(&reader, until) {
                tracing::warn!(%fault, "the page starts without the previous day");
            }
        });
        Page::open(page, site).await.map(Some)
    }
}
