//! Makes the digests that are due, beside the cycle, and puts each into the outbox once.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use config::{AlertChannel, Span};
use fleet::Timestamp;
use journal::GIVE_UP_AFTER;
use journal::{Journal, JournalFault};
use shadow::Scores;
use tokio::task::JoinHandle;

use super::{Facts, Standing, posts};

/// One that is due.
#[derive(Clone, Debug)]
struct Due {
    channel: AlertChannel,
    span: Span,
}

/// Where digests are made.
#[derive(Debug, Default)]
pub struct Desk {
    task: Option<JoinHandle<BTreeSet<String>>>,
    /// Keys of those that there is nothing to tell of: the journal began after them.
    blank: BTreeSet<String>,
}

impl Desk {
    /// Begins to make what is due at `now` and not in the outbox. `standing` is asked for only then.
    ///
    /// Of those that came due while nobody ran, the newest is made, as long as it is news.
    pub async fn tick(
        &mut self,
        journal: &Arc<Journal>,
        channels: &[AlertChannel],
        scores: &Arc<RwLock<Scores>>,
        now: Timestamp,
        standing: impl FnOnce(&Scores) -> Standing,
    ) {
        if self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.finish().await;
        let due: Vec<Due> = channels
            .iter()
            .filter_map(|channel| {
                let (at, span) = channel.digest.as_ref()?.due(now)?;
                let key = span.key(&channel.name);
                let is_news = now.since(at) < GIVE_UP_AFTER;
                let is_new = is_news && !self.blank.contains(&key) && !journal.has_raised(&key);
                is_new.then(|| Due { channel: channel.clone(), span })
            })
            .collect();
        if due.is_empty() {
            return;
        }
        let standing = standing(&scores.read().unwrap_or_else(PoisonError::into_inner));
        let (journal, scores) = (Arc::clone(journal), Arc::clone(scores));
        self.task = Some(tokio::task::spawn_blocking(move || {
            make(&journal, &due, &standing, &scores, now).unwrap_or_else(|fault| {
                tracing::warn!(%fault, "the digest could not be made; the next cycle tries again");
                BTreeSet::new()
            })
        }));
    }

    /// Waits for what is being made.
    pub async fn finish(&mut self) {
        if let Some(task) = self.task.take() {
            self.blank = task.await.unwrap_or_default();
        }
    }
}

/// Makes digests; the keys of those that there is nothing to tell of.
fn make(
    journal: &Journal,
    due: &[Due],
    standing: &Standing,
    scores: &RwLock<Scores>,
    now: Timestamp,
) -> Result<BTreeSet<String>, JournalFault> {
    let reader = journal.reader();
    let spans: BTreeSet<Span> = due.iter().map(|due| due.span).collect();
    let mut blank = BTreeSet::new();
    for span in spans {
        let known = scores.read().unwrap_or_else(PoisonError::into_inner);
        let facts = Facts::scored(span, standing.clone(), &known);
        // The cycle, which goes on meanwhile, does not wait for the journal to be read.
        drop(known);
        let facts = facts.read(span, &reader)?;
        for Due { channel, .. } in due.iter().filter(|due| due.span == span) {
            let key = span.key(&channel.name);
            match &facts {
                None => drop(blank.insert(key)),
                Some(facts) => {
                    journal.enqueue_digest(&posts(channel, span, facts, now))?;
                    tracing::info!(channel = channel.name, key, "digest");
                }
            }
        }
    }
    Ok(blank)
}
