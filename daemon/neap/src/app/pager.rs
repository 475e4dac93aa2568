//! Tells people of what is wrong, after each cycle: what was found is laid beside what was wrong
//! before, and what is to be said of it goes into the outbox.

use fleet::Timestamp;
use journal::records::OpenConditions;
use journal::{Journal, JournalFault};
use report::Turn;
use report::conditions::{self, Assessment, Cycle};

use crate::cycle::Engine;

/// What is wrong, as far as people are told of it.
pub(super) struct Pager {
    open: OpenConditions,
}

impl Pager {
    /// Goes on from what the journal knows.
    pub fn new(journal: &Journal) -> Pager {
        Pager { open: journal.open_conditions() }
    }

    /// A cycle has ended.
    pub fn cycle(&mut self, journal: &Journal, engine: &Engine, turn: &Turn) {
        let cycle = Cycle {
            turn,
            policy: &engine.standing.policy,
            memory: &engine.memory,
            launches: engine.observer.failed_launches(),
        };
        let assessment = conditions::find(&cycle, &mut self.open);
        self.tell(journal, engine, turn.snapshot.taken_at, assessment);
    }

    /// A cycle could not be written down, and did nothing.
    pub fn not_written(
        &mut self,
        journal: &Journal,
        engine: &Engine,
        now: Timestamp,
        fault: &JournalFault,
    ) {
        self.tell(journal, engine, now, conditions::unwritten(fault));
    }

    fn tell(&mut self, journal: &Journal, engine: &Engine, now: Timestamp, found: Assessment) {
        let poll = engine.standing.policy.poll_interval;
        let events = conditions::follow(now, poll, found, &mut self.open);
        let notices = events.iter().map(|event| conditions::notice(event, now)).collect();
        if let Err(fault) = journal.enqueue_notices(now, notices, &self.open) {
            // The channels have them in memory.
            tracing::error!(%fault, "what is wrong could not be written to the journal");
        }
    }
}
