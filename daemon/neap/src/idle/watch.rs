//! Looks beside the cycle: a long listing never holds up the ordering of capacity.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet::Timestamp;
use journal::{Journal, JournalFault};
use page::{Board, LookInBrief};
use providers::traced::SPANS;
use report::{Asked, Asking};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::{IdleEngine, IdleStanding, Looked};

/// An engine that looks when its interval has passed, in a task of its own.
pub struct IdleWatch {
    engine: Arc<Mutex<IdleEngine>>,
    running: Option<JoinHandle<Result<Looked, JournalFault>>>,
    next: Timestamp,
    late_since: Option<Timestamp>,
    hurry: Arc<AtomicBool>,
    board: Board,
    /// The clock was set back since the last look; what it would have shown.
    left: Option<Timestamp>,
}

impl IdleWatch {
    /// Looks for the first time at once, and puts each look on the board.
    pub fn new(engine: IdleEngine, board: Board) -> IdleWatch {
        IdleWatch {
            engine: Arc::new(Mutex::new(engine)),
            running: None,
            next: Timestamp(i64::MIN),
            late_since: None,
            hurry: Arc::default(),
            board,
            left: None,
        }
    }

    /// The clock was set back; `left` is what it would have shown. The next look is due at once, and
    /// takes it in.
    pub fn rewind(&mut self, left: Timestamp) {
        self.left = Some(self.left.map_or(left, |before| before.max(left)));
        self.next = Timestamp(i64::MIN);
        self.late_since = None;
    }

    /// Begins a look where one is due and none is running.
    pub async fn tick(
        &mut self,
        journal: &Arc<Journal>,
        now: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) {
        if now < self.next && !self.hurry.load(Ordering::SeqCst) {
            return;
        }
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            if self.late_since.is_none() {
                tracing::warn!("a look at idle resources takes longer than `idle_interval`");
            }
            self.late_since.get_or_insert(now);
            return;
        }
        self.finish().await;
        let engine = Arc::clone(&self.engine);
        let mut engine = engine.lock_owned().await;
        if let Some(left) = self.left.take() {
            engine.rewind(left, now);
        }
        if !engine.has_rules() {
            return;
        }
        self.hurry.store(false, Ordering::SeqCst);
        self.next = now + engine.interval();
        self.late_since = None;
        let (journal, stopping) = (Arc::clone(journal), Arc::clone(stopping));
        let board = self.board.clone();
        self.running = Some(tokio::spawn(async move {
            let look = tracing::info_span!(target: SPANS, "look", taken_at = %now);
            let looked = engine.look(&journal, now, &stopping).instrument(look).await?;
            board.look(brief(&looked));
            Ok(looked)
        }));
    }

    /// Waits for the look that is running, if one is, and tells how it went.
    pub async fn finish(&mut self) {
        let Some(running) = self.running.take() else { return };
        match running.await {
            Ok(Ok(looked)) => tell(&looked),
            Ok(Err(fault)) => {
                tracing::error!(%fault, "the journal cannot be written: no machine is stopped or started");
            }
            Err(error) => tracing::error!(%error, "the look at idle resources failed"),
        }
    }

    /// Takes over another configuration; waits for the look that is running.
    pub async fn reload(&mut self, standing: IdleStanding) {
        self.engine.lock().await.reload(standing);
        self.next = Timestamp(i64::MIN);
    }

    /// Takes in what somebody asks for, after the look that is running, and looks again as soon as
    /// the loop comes round.
    pub fn ask(&self, asked: Asked, at: Timestamp) {
        let (engine, hurry) = (Arc::clone(&self.engine), Arc::clone(&self.hurry));
        let Asking::Idle(ask) = asked.ask else { return };
        tokio::spawn(async move {
            let told = engine.lock().await.ask(ask, &asked.by, at);
            hurry.fetch_or(told.is_ok(), Ordering::SeqCst);
            // Who does not wait for the answer goes without.
            let _ = asked.answer.send(told);
        });
    }
}

fn tell(looked: &Looked) {
    for outcome in &looked.results {
        let ending = report::idle::story::ending(outcome);
        tracing::info!(resource = %outcome.resource, "{ending}");
    }
    let matched: u32 = looked.snapshot.matched.values().sum();
    tracing::debug!(
        look = %looked.id,
        seen = looked.snapshot.seen.len(),
        idle = matched,
        orders = looked.results.len(),
        "looked at idle resources"
    );
}

fn brief(looked: &Looked) -> LookInBrief {
    let matched = looked.snapshot.matched.iter();
    let mut orders = std::collections::BTreeMap::new();
    for outcome in &looked.results {
        *orders.entry(outcome.result.word()).or_default() += 1;
    }
    LookInBrief {
        taken_at: looked.snapshot.taken_at,
        matched: matched.map(|(rule, count)| (rule.0.clone(), u64::from(*count))).collect(),
        seen: looked.snapshot.seen.len() as u64,
        orders,
    }
}
