//! Sends what waits in the outbox, each channel in a task of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use config::AlertLanguage;
use fleet::alert::Alert;
use fleet::{Now, Seconds, Timestamp};
use futures_util::StreamExt;
use journal::{AlertEntry, Delivery, EntryKind, GIVE_UP_AFTER, Journal, Pending, RecordId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::pace::{self, Pace};
use super::{Channel, Letter, Options, Receipt, Tally, body};

/// Requests of one channel that are under way at once.
const CONCURRENT: usize = 4;
/// Alerts that are taken out of the outbox at once.
const BATCH: usize = 32;
/// The same where a message tells several.
const GROUP: usize = 200;
/// Sends alerts until it is stopped; dropped, it breaks off at once.
#[derive(Debug)]
pub struct Sender {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    flush: Duration,
    tally: Arc<Tally>,
}

impl Sender {
    /// Begins to send what waits, and what comes, to every channel that wants it.
    pub fn start(
        journal: &Journal,
        clock: Arc<dyn Now>,
        channels: Vec<Channel>,
        options: Options,
    ) -> Sender {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let tally = Arc::new(Tally::of(&channels));
        for channel in channels {
            let second = options.rate_second;
            let before = told_ago(journal, clock.now(), &channel, second);
            let worker = Worker {
                raised: journal.raised(),
                journal: journal.clone(),
                clock: Arc::clone(&clock),
                backoff: backoff(options),
                pace: Pace::new(channel.rate(), second, &before, Instant::now()),
                tally: Arc::clone(&tally),
                channel,
                options,
                failures: BTreeMap::new(),
                alone: BTreeSet::new(),
                troubled: false,
            };
            tasks.spawn(worker.work(stop.subscribe()));
        }
        Sender { stop, tasks, flush: options.flush, tally }
    }

    /// What becomes of alerts, as it is counted.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
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

/// How long ago a channel was told what it was told in the last stretch of its rate: as many
/// messages as that may have been sent by the process before.
fn told_ago(
    journal: &Journal,
    now: Timestamp,
    channel: &Channel,
    second: Duration,
) -> Vec<Duration> {
    let Some(rate) = channel.rate() else { return Vec::new() };
    let from = now - Seconds(pace::window(rate, second).as_secs().saturating_add(2));
    let reader = journal.reader();
    let entries = reader.entries(from..Timestamp(i64::MAX));
    let told = entries.filter_map(|entry| match entry.ok()?.kind {
        EntryKind::Alert(
            AlertEntry::Sent { channel: by, at, .. } | AlertEntry::GaveUp { channel: by, at, .. },
        ) if by == channel.name() => {
            // Both moments are of whole seconds.
            Some(Duration::from_secs(now.since(at).0.saturating_sub(1)))
        }
        _ => None,
    });
    told.collect()
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
    clock: Arc<dyn Now>,
    channel: Channel,
    options: Options,
    raised: watch::Receiver<()>,
    backoff: ExponentialBackoff,
    pace: Pace,
    tally: Arc<Tally>,
    /// How often alerts about the same were not taken: what the receiver chokes on goes behind the
    /// others, and nothing before what it ends.
    failures: BTreeMap<String, u32>,
    /// Alerts of a message that was refused: one of them may be to blame, so each goes by itself.
    alone: BTreeSet<RecordId>,
    /// Whether people were told that the receiver takes nothing.
    troubled: bool,
}

/// Why a pass is over, and what begins the next.
enum Rest {
    /// Nothing waits: the next alert.
    UntilRaised,
    /// The receiver is left alone: the end of this.
    For(Duration),
    /// What waits is held in quiet hours: the next alert, or the end of this.
    Quiet(Duration),
}

impl Worker {
    async fn work(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.raised.mark_unchanged();
            let rest = self.pass().await;
            let stopping = async { stop.wait_for(|stop| *stop).await.is_ok() };
            let look = match rest {
                Rest::For(rest) => {
                    tokio::select! {
                        _ = stopping => return,
                        () = tokio::time::sleep(rest) => {}
                    }
                    continue;
                }
                Rest::UntilRaised => None,
                Rest::Quiet(look) => Some(look),
            };
            let looking = async {
                match look {
                    Some(look) => tokio::time::sleep(look).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopping => {
                    self.pass().await;
                    return;
                }
                // The journal, which holds the other end, is ours as well.
                _ = self.raised.changed() => {}
                () = looking => {}
            }
        }
    }

    /// Sends all that waits and may be sent now.
    async fn pass(&mut self) -> Rest {
        loop {
            let (batch, held_until) = self.batch();
            if batch.is_empty() {
                let Some(until) = held_until else { return Rest::UntilRaised };
                let left = Duration::from_secs(until.since(self.clock.now()).0.max(1));
                return Rest::Quiet(left.min(self.options.look));
            }
            let now = Instant::now();
            let messages = self.pace.left(now);
            if messages == 0 {
                return Rest::For(self.pace.wait(now));
            }
            let parcels = self.parcels(batch, messages);
            if let Some(asked) = self.send(parcels).await {
                let asked = asked.min(self.options.asked_rest_max);
                let own = self.backoff.next().unwrap_or(self.options.rest_max);
                return Rest::For(own.max(asked));
            }
            self.backoff = backoff(self.options);
        }
    }

    /// What waits, first what failed least often, of these the oldest; and where quiet hours hold
    /// more, their end.
    fn batch(&mut self) -> (Vec<Pending>, Option<Timestamp>) {
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
        let threads: BTreeSet<String> = waiting.iter().map(|p| thread(&p.alert)).collect();
        self.failures.retain(|thread, _| threads.contains(thread));
        self.alone.retain(|id| waiting.binary_search_by_key(id, |other| other.id).is_ok());
        let quiet = self.channel.quiet_hours().and_then(|quiet| Some((quiet, quiet.until(now)?)));
        let mut held_until = None;
        if let Some((quiet, until)) = quiet {
            let all = waiting.len();
            // A digest comes at its own hour.
            waiting.retain(|p| p.digest.is_some() || !quiet.holds(p.alert.severity));
            held_until = (waiting.len() < all).then_some(until);
        }
        waiting.sort_by_cached_key(|p| (self.failures.get(&thread(&p.alert)).copied(), p.id));
        waiting.truncate(if self.channel.groups() { GROUP } else { BATCH });
        (waiting, held_until)
    }

    /// What becomes a message each: at most so many messages.
    fn parcels(&self, batch: Vec<Pending>, messages: usize) -> Vec<Vec<Pending>> {
        if !self.channel.groups() {
            return batch.into_iter().take(messages).map(|pending| vec![pending]).collect();
        }
        let is_alone =
            |pending: &Pending| pending.digest.is_some() || self.alone.contains(&pending.id);
        let group = match batch.first() {
            Some(first) if is_alone(first) => batch.into_iter().take(1).collect(),
            _ => batch.into_iter().filter(|pending| !is_alone(pending)).collect(),
        };
        vec![group]
    }

    /// Sends a message of each parcel and writes down each answer as it comes. Where one was not
    /// taken: how long the receiver asks to be left alone; nothing new is begun after it.
    async fn send(&mut self, parcels: Vec<Vec<Pending>>) -> Option<Duration> {
        let halted = AtomicBool::new(false);
        let (channel, stopped) = (&self.channel, &halted);
        let attempts = parcels.into_iter().map(|parcel| async move {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            let letters: Vec<Letter<'_>> = parcel.iter().map(|p| letter(channel, p)).collect();
            let sent = channel.send(&letters).await;
            stopped.fetch_or(matches!(sent.answer, Receipt::Later { .. }), Ordering::Relaxed);
            let told = sent.told.iter().filter_map(|place| parcel.get(*place).cloned());
            Some((told.collect::<Vec<Pending>>(), sent.answer))
        });
        let attempts: Vec<_> = attempts.collect();
        let at_once = if channel.in_order() { 1 } else { CONCURRENT };
        let mut answers = futures_util::stream::iter(attempts).buffer_unordered(at_once);
        let mut messages = 0;
        let mut asked = None;
        let mut trouble = Vec::new();
        let mut apart = Vec::new();
        while let Some(answered) = answers.next().await {
            let Some((told, answer)) = answered else { continue };
            messages += 1;
            match answer {
                Receipt::Taken { status } => {
                    let alerts = told.len();
                    tracing::debug!(channel = channel.name(), alerts, status, "alerts sent");
                    self.settle(&told, &Delivery::Sent);
                }
                Receipt::Refused { why, .. } => match told.as_slice() {
                    [one] => self.give_up(one, &why),
                    all => {
                        let alerts = all.len();
                        tracing::debug!(
                            channel = channel.name(),
                            alerts,
                            why,
                            "alerts refused together; each is sent by itself"
                        );
                        apart.extend(all.iter().map(|pending| pending.id));
                    }
                },
                Receipt::Later { why, rest, .. } => {
                    self.tally.failed(channel.name());
                    asked = asked.max(Some(rest.unwrap_or_default()));
                    trouble.extend(told.into_iter().map(|pending| (pending, why.clone())));
                }
            }
        }
        drop(answers);
        self.pace.note(messages, Instant::now());
        self.alone.extend(apart);
        self.note(trouble);
        asked
    }

    /// Tells people of a receiver that takes nothing once, and of the one that takes alerts again.
    fn note(&mut self, trouble: Vec<(Pending, String)>) {
        let channel = self.channel.name();
        if let Some((Pending { id: alert, .. }, why)) = trouble.first() {
            if self.troubled {
                tracing::debug!(channel, %alert, why, "alert not sent");
            } else {
                tracing::warn!(channel, %alert, why, "alert not sent; neap tries again");
            }
        } else if self.troubled {
            tracing::info!(channel, "alerts are sent again");
        }
        self.troubled = !trouble.is_empty();
        let threads: BTreeSet<String> = trouble.iter().map(|(p, _)| thread(&p.alert)).collect();
        for thread in threads {
            *self.failures.entry(thread).or_default() += 1;
        }
    }

    fn give_up(&self, pending: &Pending, why: &str) {
        let (channel, key) = (self.channel.name(), &pending.alert.key);
        tracing::warn!(channel, alert = %pending.id, key, why, "alert given up");
        self.settle(std::slice::from_ref(pending), &Delivery::GaveUp(why.to_owned()));
    }

    fn settle(&self, all: &[Pending], delivery: &Delivery) {
        let (now, channel) = (self.clock.now(), self.channel.name());
        let ids: Vec<RecordId> = all.iter().map(|pending| pending.id).collect();
        self.tally.settled(channel, ids.len(), delivery);
        if let Err(fault) = self.journal.settle(now, channel, &ids, delivery) {
            tracing::error!(channel, ?ids, %fault, "the results of alerts could not be written to the journal");
        }
    }
}

fn letter<'p>(channel: &Channel, pending: &'p Pending) -> Letter<'p> {
    let id = format!("{}-{}", pending.id, channel.name());
    let told = match channel.language() {
        AlertLanguage::English => None,
        AlertLanguage::Chinese => pending.chinese.as_ref(),
    };
    let alert = told.unwrap_or(&pending.alert);
    Letter { id, alert, names: &pending.names, digest: pending.digest.as_ref() }
}

/// What an alert is about: the same for one that says that another is over.
fn thread(alert: &Alert) -> String {
    body::begun(alert).unwrap_or_else(|| alert.key.clone())
}
