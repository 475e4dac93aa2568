//! Sends what waits in the outbox, each channel in a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt;
use planner::Seconds;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Answer, Channel, Options};
use crate::clock::Clock;
use crate::journal::{Delivery, Journal, OUTBOX_AGE, Pending, RecordId};

/// Requests of one channel that are under way at once.
const CONCURRENT: usize = 4;
/// Alerts that are taken out of the outbox at once.
const BATCH: usize = 32;
/// An alert that no receiver took is given up a little before the outbox drops it: then the
/// journal says so.
const GIVE_UP_AFTER: Seconds = Seconds(OUTBOX_AGE.0 - 3600);

/// Sends alerts until it is stopped; dropped, it breaks off at once.
#[derive(Debug)]
pub struct Sender {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    flush: Duration,
}

impl Sender {
    /// Begins to send what waits, and what comes, to every channel that wants it.
    pub fn start(
        journal: &Journal,
        clock: &Arc<dyn Clock>,
        channels: Vec<Channel>,
        options: Options,
    ) -> Sender {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for channel in channels {
            let worker = Worker {
                raised: journal.raised(),
                journal: journal.clone(),
                clock: Arc::clone(clock),
                backoff: backoff(options),
                channel,
                options,
                failures: BTreeMap::new(),
                troubled: false,
            };
            tasks.spawn(worker.work(stop.subscribe()));
        }
        Sender { stop, tasks, flush: options.flush }
    }

    /// Sends what still waits for a short while, then stops. What was not sent by then is sent
    /// after the next start.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.flush, all).await.is_err() {
            tracing::warn!("alerts that were not sent in time stay in the journal");
        }
        self.tasks.shutdown().await;
    }
}

fn backoff(options: Options) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(options.rest)
        .with_max_delay(options.rest_max)
        .without_max_times()
        .with_jitter()
        .build()
}

/// One channel's task.
struct Worker {
    journal: Journal,
    clock: Arc<dyn Clock>,
    channel: Channel,
    options: Options,
    raised: watch::Receiver<()>,
    backoff: ExponentialBackoff,
    /// How often an alert was not taken: one that the receiver chokes on goes behind the others.
    failures: BTreeMap<RecordId, u32>,
    /// Whether people were told that the receiver takes nothing.
    troubled: bool,
}

impl Worker {
    async fn work(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.raised.mark_unchanged();
            let rest = self.pass().await;
            let stopping = async { stop.wait_for(|stop| *stop).await.is_ok() };
            match rest {
                Some(rest) => tokio::select! {
                    _ = stopping => return,
                    () = tokio::time::sleep(rest) => {}
                },
                None => tokio::select! {
                    _ = stopping => {
                        self.pass().await;
                        return;
                    }
                    // The journal, which holds the other end, is ours as well.
                    _ = self.raised.changed() => {}
                },
            }
        }
    }

    /// Sends all that waits. Where the receiver does not take it now: how long to leave it alone.
    async fn pass(&mut self) -> Option<Duration> {
        loop {
            let batch = self.batch();
            if batch.is_empty() {
                return None;
            }
            if let Some(asked) = self.send(batch).await {
                let asked = asked.min(self.options.asked_rest_max);
                let own = self.backoff.next().unwrap_or(self.options.rest_max);
                return Some(own.max(asked));
            }
            self.backoff = backoff(self.options);
        }
    }

    /// What waits: first what failed least often, of these the oldest.
    fn batch(&mut self) -> Vec<Pending> {
        let name = self.channel.name();
        let mut waiting = self.journal.waiting(name, self.channel.min_severity());
        let now = self.clock.now();
        waiting.retain(|pending| {
            let current = now.since(pending.id.at()) < GIVE_UP_AFTER;
            if !current {
                self.give_up(pending, &format!("no receiver took it within {GIVE_UP_AFTER}"));
            }
            current
        });
        self.failures.retain(|id, _| waiting.binary_search_by_key(id, |other| other.id).is_ok());
        waiting.sort_by_key(|pending| (self.failures.get(&pending.id).copied(), pending.id));
        waiting.truncate(BATCH);
        waiting
    }

    /// Sends a batch and writes down each answer as it comes. Where one was not taken: how long the
    /// receiver asks to be left alone; nothing new is begun after it.
    async fn send(&mut self, batch: Vec<Pending>) -> Option<Duration> {
        let halted = AtomicBool::new(false);
        let (channel, stopped) = (&self.channel, &halted);
        let attempts = batch.into_iter().map(|pending| async move {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            let key = format!("{}-{}", pending.id, channel.name());
            let answer = channel.send(&key, &pending.alert).await;
            stopped.fetch_or(matches!(answer, Answer::Later { .. }), Ordering::Relaxed);
            Some((pending, answer))
        });
        let attempts: Vec<_> = attempts.collect();
        let mut answers = futures_util::stream::iter(attempts).buffer_unordered(CONCURRENT);
        let mut asked = None;
        let mut trouble = Vec::new();
        while let Some(answered) = answers.next().await {
            let Some((pending, answer)) = answered else { continue };
            match answer {
                Answer::Taken { status } => {
                    tracing::debug!(channel = channel.name(), alert = %pending.id, status, "alert sent");
                    self.settle(&pending, &Delivery::Sent);
                }
                Answer::Refused { why, .. } => self.give_up(&pending, &why),
                Answer::Later { why, rest, .. } => {
                    asked = asked.max(Some(rest.unwrap_or_default()));
                    trouble.push((pending.id, why));
                }
            }
        }
        drop(answers);
        self.note(trouble);
        asked
    }

    /// Tells people of a receiver that takes nothing once, and of the one that takes alerts again.
    fn note(&mut self, trouble: Vec<(RecordId, String)>) {
        let channel = self.channel.name();
        if let Some((alert, why)) = trouble.first() {
            if self.troubled {
                tracing::debug!(channel, %alert, why, "alert not sent");
            } else {
                tracing::warn!(channel, %alert, why, "alert not sent; it is tried again until it is");
            }
        } else if self.troubled {
            tracing::info!(channel, "alerts are sent again");
        }
        self.troubled = !trouble.is_empty();
        for (id, _) in trouble {
            *self.failures.entry(id).or_default() += 1;
        }
    }

    fn give_up(&self, pending: &Pending, why: &str) {
        let (channel, key) = (self.channel.name(), &pending.alert.key);
        tracing::warn!(channel, alert = %pending.id, key, why, "alert given up");
        self.settle(pending, &Delivery::GaveUp(why.to_owned()));
    }

    fn settle(&self, pending: &Pending, delivery: &Delivery) {
        let (now, channel) = (self.clock.now(), self.channel.name());
        if let Err(fault) = self.journal.settle(now, channel, &[pending.id], delivery) {
            tracing::error!(channel, alert = %pending.id, %fault, "what became of an alert is not in the journal");
        }
    }
}
