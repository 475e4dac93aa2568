//! The outbox: alerts that are kept until each channel has sent them or given up.
//!
//! An alert is on disk before anybody sends it, and what became of it is on disk only after it was
//! sent: a process that is killed in between sends it again, under the same id.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::{Alert, Severity};
use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::engine::Tree;
use super::frame::unseal;
use super::reader::damaged;
use super::source::{Source, Walk};
use super::{Damage, Journal, JournalFault, RecordId, decode};
use crate::records::{Dispatch, Notice, OpenConditions};

/// How long an alert is kept for channels that have not sent it: after that it is news no more.
pub const OUTBOX_AGE: Seconds = Seconds::days(3);

/// How long a channel tries to tell an alert: it gives up while the outbox still knows of it.
pub const GIVE_UP_AFTER: Seconds = Seconds(OUTBOX_AGE.0 - 3600);

/// A record about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AlertEntry {
    /// Somebody is to be told.
    Raised(Alert),
    /// A channel has told it.
    Sent {
        /// The record that raised it.
        alert: RecordId,
        /// The channel's name.
        channel: String,
        /// When the receiver had taken it.
        at: Timestamp,
    },
    /// A channel will not tell it.
    GaveUp {
        /// The record that raised it.
        alert: RecordId,
        /// The channel's name.
        channel: String,
        /// When that was decided.
        at: Timestamp,
        /// Why, without secrets.
        why: String,
    },
    /// One channel is to be told in brief what was done.
    Digest(Alert, Dispatch),
    /// Somebody is to be told of a condition that begins, lasts or ends.
    Notice(Notice),
    /// All that is wrong, told or not.
    Conditions(OpenConditions),
}

/// An alert in the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The record that raised it: a receiver knows a repeat by it.
    pub id: RecordId,
    /// The message.
    pub alert: Alert,
    /// The same in Chinese, where it is known.
    pub chinese: Option<Alert>,
    /// Services that stand in its words.
    pub names: Vec<String>,
    /// What else it has, where it is a digest.
    pub digest: Option<Dispatch>,
    /// Channels that have sent it or given up.
    pub settled: BTreeSet<String>,
}

/// What became of an alert in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has taken it.
    Sent,
    /// It will not be sent, and why, without secrets.
    GaveUp(String),
}

/// The alerts of the last days, and when each key was last told.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    alerts: BTreeMap<RecordId, Pending>,
    told: BTreeMap<String, (Timestamp, Severity)>,
    /// Repeats of a key within so long are not told again, unless they are worse.
    window: Seconds,
    /// What is wrong, as it was last written down.
    open: OpenConditions,
    /// When all of it was written down.
    open_at: Option<Timestamp>,
}

/// All that is wrong is written down at least so often, so that the outbox's days hold it.
const OPEN_AGAIN_AFTER: Seconds = Seconds::days(1);

impl Outbox {
    /// What the journal's last days say, and what of it is damaged: an alert that was sent may be
    /// sent again, under the same key, and one that was not may stay so.
    pub(super) fn load(
        source: &dyn Source,
        window: Seconds,
    ) -> Result<(Outbox, Vec<Damage>), JournalFault> {
        let mut outbox = Outbox { window, ..Outbox::default() };
        let end = source.head()?.end.id.at();
        let eras = source.eras()?;
        let age = OUTBOX_AGE.max(window);
        let from = Timestamp(end.0.saturating_sub_unsigned(age.0));
        let mut lost = Vec::new();
        for entry in Walk::new(source, &[Tree::Alerts], eras.at_or_after(from)) {
            let read = entry.map_err(|(_, fault)| fault).and_then(|(tree, (key, value))| {
                let frame = unseal(tree, &key, &value).map_err(|why| damaged(tree, &key, &why))?;
                let entry = decode(&frame.body).map_err(|why| damaged(tree, &key, &why))?;
                Ok((frame.id, entry))
            });
            match read {
                Ok((id, entry)) => outbox.step(id, entry),
                Err(JournalFault::Damaged { mut damage, .. }) => lost.append(&mut damage),
                Err(fault) => return Err(fault),
            }
        }
        outbox.forget_before(end);
        Ok((outbox, lost))
    }

    fn step(&mut self, id: RecordId, entry: AlertEntry) {
        match entry {
            AlertEntry::Raised(alert) => {
                self.told.insert(alert.key.clone(), (alert.at, alert.severity));
                self.keep(id, alert, None);
            }
            AlertEntry::Digest(alert, digest) => self.keep(id, alert, Some(digest)),
            AlertEntry::Notice(notice) => {
                self.open.put(&notice.key, notice.left.as_ref());
                let chinese = Some(notice.in_chinese());
                let Notice { alert, names, .. } = notice;
                let (digest, settled) = (None, BTreeSet::new());
                self.alerts.insert(id, Pending { id, alert, chinese, names, digest, settled });
            }
            AlertEntry::Conditions(open) => {
                self.open = open;
                self.open_at = Some(id.at());
            }
            AlertEntry::Sent { alert, channel, .. } | AlertEntry::GaveUp { alert, channel, .. } => {
                if let Some(pending) = self.alerts.get_mut(&alert) {
                    pending.settled.insert(channel);
                }
            }
        }
    }

    fn keep(&mut self, id: RecordId, alert: Alert, digest: Option<Dispatch>) {
        let (chinese, names, settled) = (None, Vec::new(), BTreeSet::new());
        self.alerts.insert(id, Pending { id, alert, chinese, names, digest, settled });
    }

    /// Whether the same was told a short while ago.
    fn is_repeat(&self, alert: &Alert) -> bool {
        self.told.get(&alert.key).is_some_and(|(at, severity)| {
            alert.at.apart(*at) < self.window && alert.severity <= *severity
        })
    }

    fn holds(&self, key: &str) -> bool {
        self.alerts.values().any(|pending| pending.alert.key == key)
    }

    fn forget_before(&mut self, now: Timestamp) {
        let window = self.window;
        self.alerts.retain(|id, _| now.since(id.at()) < OUTBOX_AGE);
        self.told.retain(|_, (at, _)| now.apart(*at) < window);
    }
}

impl Journal {
    /// Puts alerts into the outbox, but those whose key was told within
    /// [`Options::alert_window`](super::Options::alert_window) and that are no worse than then. On
    /// disk when it returns: the records of those that are to be told.
    ///
    /// # Errors
    /// [`JournalFault`] where they cannot be written.
    pub fn enqueue(&self, alerts: &[Alert]) -> Result<Vec<RecordId>, JournalFault> {
        let mut writer = self.inner.writer();
        let mut ids = Vec::new();
        for alert in alerts {
            if writer.outbox.is_repeat(alert) {
                continue;
            }
            ids.push(writer.append_alert(alert.at, AlertEntry::Raised(alert.clone())));
        }
        if let Some(last) = ids.last() {
            writer.outbox.forget_before(last.at());
            writer.log.flush()?;
            self.inner.raised.send_replace(());
        }
        Ok(ids)
    }

    /// Puts a digest into the outbox, with its chart where it has one: all of it or, after a kill,
    /// nothing. What is there already is not put there again. On disk when it returns.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn enqueue_digest(&self, posts: &[(Alert, Dispatch)]) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        for (alert, digest) in posts {
            if !writer.outbox.holds(&alert.key) {
                let entry = AlertEntry::Digest(alert.clone(), digest.clone());
                let id = writer.append_alert(alert.at, entry);
                writer.outbox.forget_before(id.at());
            }
        }
        writer.log.flush()?;
        self.inner.raised.send_replace(());
        Ok(())
    }

    /// Puts messages about conditions into the outbox, and writes down what is wrong now, where it
    /// is not what was last written down. On disk when it returns.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written. The channels are told all the same, out of
    /// memory: whoever has to repair the disk must hear of it.
    pub fn enqueue_notices(
        &self,
        at: Timestamp,
        notices: Vec<Notice>,
        open: &OpenConditions,
    ) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        let outbox = &writer.outbox;
        let is_old = outbox.open_at.is_none_or(|told| at.apart(told) >= OPEN_AGAIN_AFTER);
        let is_news = outbox.open != *open || (is_old && !open.is_empty());
        if notices.is_empty() && !is_news {
            return Ok(());
        }
        for notice in notices {
            writer.append_alert(at, AlertEntry::Notice(notice));
        }
        if is_news {
            writer.append_alert(at, AlertEntry::Conditions(open.clone()));
        }
        writer.outbox.forget_before(at);
        let written = writer.log.flush();
        self.inner.raised.send_replace(());
        written
    }

    /// What is wrong, as it was last told to [`Journal::enqueue_notices`].
    pub fn open_conditions(&self) -> OpenConditions {
        self.inner.writer().outbox.open.clone()
    }

    /// Whether something of this key is in the outbox, sent or not.
    pub fn has_raised(&self, key: &str) -> bool {
        self.inner.writer().outbox.holds(key)
    }

    /// Alerts of the last [`OUTBOX_AGE`], oldest first, with the channels that are done with them.
    pub fn outbox(&self) -> Vec<Pending> {
        self.inner.writer().outbox.alerts.values().cloned().collect()
    }

    /// Alerts of the outbox that a channel is not done with and that are at least so bad, and its
    /// digests, oldest first.
    pub fn waiting(&self, channel: &str, least: Severity) -> Vec<Pending> {
        let waits = |pending: &&Pending| {
            let is_for_it = match &pending.digest {
                Some(digest) => digest.channel == channel,
                None => pending.alert.severity >= least,
            };
            is_for_it && !pending.settled.contains(channel)
        };
        self.inner.writer().outbox.alerts.values().filter(waits).cloned().collect()
    }

    /// Changes whenever an alert was put into the outbox.
    pub fn raised(&self) -> watch::Receiver<()> {
        self.inner.raised.subscribe()
    }

    /// Records what became of alerts in a channel. On disk when it returns.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written: then they are sent again after a restart.
    pub fn settle(
        &self,
        now: Timestamp,
        channel: &str,
        alerts: &[RecordId],
        delivery: &Delivery,
    ) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        for alert in alerts {
            let (alert, channel, at) = (*alert, channel.to_string(), now);
            let entry = match delivery {
                Delivery::Sent => AlertEntry::Sent { alert, channel, at },
                Delivery::GaveUp(why) => {
                    AlertEntry::GaveUp { alert, channel, at, why: why.clone() }
                }
            };
            writer.append_alert(now, entry);
        }
        writer.log.flush()
    }
}

impl super::Writer {
    fn append_alert(&mut self, at: Timestamp, entry: AlertEntry) -> RecordId {
        // A `Vec` takes any length, and an alert holds nothing that postcard refuses.
        let body = postcard::to_stdvec(&entry).expect("an alert serializes");
        let id = self.log.append(Tree::Alerts, at, &body);
        self.outbox.step(id, entry);
        id
    }
}
