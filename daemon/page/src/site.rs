//! What the page has at hand.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ::journal::ledger;
use ::journal::records::Explanation;
use ::journal::{CycleId, Journal, JournalFault, Reader, Trouble};
use alerts::ChannelTally;
use fleet::{Now, ServiceName, Timestamp};
use report::asking::{self, Answer, Asked, Asking};
use report::idle::rows::{Row, rows};
use tokio::sync::{Semaphore, mpsc};

use super::READING;
use super::access::Access;
use super::board::Board;
use super::guard::{PROBES_MAX, REQUESTS_MAX};
use super::metrics::{ChannelCounts, Scrape};
use super::render::Templates;

/// How long somebody waits for what becomes of their answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// Everything that the page shows from, and the way by which answers reach the daemon.
pub struct Site {
    /// The newest cycle and the day behind it.
    pub board: Board,
    /// Requests that are worked on.
    pub(super) requests: Semaphore,
    /// Those that ask how the daemon does.
    pub(super) probes: Semaphore,
    /// Threads that read the journal for people.
    pub(super) reading: Arc<Semaphore>,
    /// How pages look.
    pub(super) templates: Templates,
    journal: Arc<Journal>,
    access: RwLock<Arc<Access>>,
    asked: mpsc::Sender<Asked>,
    idle: Mutex<Option<Arc<Idle>>>,
    /// The world's clock: when a cycle really ended, whatever a simulation's shows.
    world: Arc<dyn Now>,
}

/// What was known of idle resources after a look.
pub struct Idle {
    looks: u64,
    pub looked_at: Option<Timestamp>,
    /// A row a resource and rule.
    pub rows: Vec<Row>,
}

impl Site {
    /// A page over a journal and a board. `world` is the visitors' clock, never a simulation's.
    pub fn new(
        journal: &Arc<Journal>,
        board: Board,
        access: Access,
        asked: mpsc::Sender<Asked>,
        world: Arc<dyn Now>,
    ) -> Site {
        Site {
            board,
            requests: Semaphore::new(REQUESTS_MAX),
            probes: Semaphore::new(PROBES_MAX),
            reading: Arc::new(Semaphore::new(READING)),
            templates: Templates::new(),
            journal: Arc::clone(journal),
            access: RwLock::new(Arc::new(access)),
            asked,
            idle: Mutex::new(None),
            world,
        }
    }

    /// Who may do what.
    pub(super) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over who may do what; who has signed in stays so as long as their token is known.
    pub(super) fn admit(&self, access: Access) {
        let mut standing = self.access.write().unwrap_or_else(PoisonError::into_inner);
        access.go_on_from(&standing);
        *standing = Arc::new(access);
    }

    /// A reader of the journal; it blocks.
    pub(super) fn reader(&self) -> Reader {
        self.journal.reader()
    }

    /// What is amiss with the journal.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.journal.trouble()
    }

    /// What is known of idle resources: read once a look.
    pub(super) fn idle(&self) -> Result<Arc<Idle>, JournalFault> {
        let looks = self.board.looks();
        let mut kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = kept.as_ref().filter(|idle| idle.looks == looks) {
            return Ok(Arc::clone(idle));
        }
        let reader = self.reader();
        let now = reader.end()?.unwrap_or(Timestamp(0));
        let recalled = ledger::recall(&reader, now)?;
        let verdicts = ledger::verdicts(&reader, now)?;
        let rows = rows(&recalled.folded, &verdicts);
        let idle = Arc::new(Idle { looks, looked_at: recalled.looked_at, rows });
        *kept = Some(Arc::clone(&idle));
        Ok(idle)
    }

    /// The story of a service in a cycle, where the cycle need not be followed for it.
    pub(super) fn explained(
        &self,
        reader: &Reader,
        id: CycleId,
        service: &ServiceName,
    ) -> Result<Option<Explanation>, JournalFault> {
        let told = reader.story(id, service)?;
        Ok(told.or_else(|| {
            let latest = self.board.latest().filter(|latest| latest.turn.id == id)?;
            latest.turn.snapshot.services.get(service)?;
            Some(latest.explain(service))
        }))
    }

    /// What metrics are told from; it blocks.
    pub(super) fn scrape(&self) -> Scrape {
        let latest = self.board.latest();
        // How long ago the cycle ended is known whatever happened to the clock since.
        let ended = latest.as_ref().map(|latest| latest.ended.elapsed());
        let ended_at = ended.map(|ago| self.world.now().0 as f64 - ago.as_secs_f64().round());
        let tally = self.board.tally();
        let channels = tally.iter().flat_map(|tally| tally.channels());
        Scrape {
            latest,
            totals: self.board.totals(),
            look: self.board.newest_look(),
            ended_at,
            journal_bytes: self.journal.bytes().ok(),
            places_missing: self.board.places_missing().len() as u64,
            channels: channels.map(|channel| self.channel(channel)).collect(),
        }
    }

    fn channel(&self, (name, counts): (&String, &ChannelTally)) -> (String, ChannelCounts) {
        let waiting = self.journal.waiting(name, counts.least).len() as u64;
        let [sent, given_up, failed] = counts.numbers();
        (name.clone(), ChannelCounts { sent, given_up, failed, waiting })
    }

    /// Hands an answer to the daemon. `None`: it lies there, and is taken in after the look that is
    /// under way.
    pub(super) async fn tell(&self, ask: Asking, by: &str) -> Option<Answer> {
        let told = asking::put(ask, by.to_owned(), &self.asked);
        tokio::time::timeout(TAKEN_WITHIN, told).await.ok()
    }
}
