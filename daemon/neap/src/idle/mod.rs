//! Looks at what may be idle: list, read hours, judge, plan, record, stop and start, record.

mod again;
mod ask;
mod carry;
mod decide;
mod execute;
mod host;
mod hours;
mod judge;
mod list;
mod money;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

use config::IdleConfig;
use fleet::money::{Price, PriceQuery};
use fleet::resource::ResourceId;
use fleet::{ProviderName, RuleName, Seconds, Timestamp};
use journal::ledger::{self, LookSeen};
use journal::records::idle::{Checkpoint, Folded, IdleEntry, PowerIntent};
use journal::{Journal, JournalFault, RecordId};
use planner::idle::memory::IdleMemory;
use planner::idle::plan::IdlePlan;
use planner::idle::rule::RuleMode;
use planner::idle::snapshot::{IdleSnapshot, PowerOutcome, Request};
use planner::idle::{StartedAgain, started_again};
use planner::policy::ActiveFreeze;
use planner::stage::{StageAsk, StageRequest};
use shadow::{Recall, RuleScores, RuleWatch, ShadowEntry};

use crate::gather::Providers;

pub use again::{Again, again};
pub use host::own_instance_id;
pub use watch::IdleWatch;

use hours::Store;
use judge::Judgment;
use money::Prices;

/// How often all that is known is written down whole.
const CHECKPOINT_EVERY: Seconds = Seconds::days(1);

/// What is in force until the next reload.
pub struct IdleStanding {
    /// Rules, schedules, prices.
    pub config: Arc<IdleConfig>,
    /// What kind of cloud each provider is: `aws`, `alibaba`, `sim`.
    pub kinds: BTreeMap<ProviderName, &'static str>,
    pub kill_switch: PathBuf,
    /// Freeze windows open at a time.
    pub freezes: Box<dyn Fn(Timestamp) -> Vec<ActiveFreeze> + Send + Sync>,
}

impl IdleStanding {
    /// What the operator's file says.
    fn price(&self, query: &PriceQuery) -> Option<Price> {
        let kind = self.kinds.get(&query.provider)?;
        self.config.prices.price(query, kind)
    }
}

/// The clouds' idle side, and what is known of it between looks.
pub struct IdleEngine {
    standing: IdleStanding,
    providers: Providers,
    folded: Folded,
    store: Store,
    prices: Prices,
    details: list::Details,
    judged: BTreeMap<ResourceId, Judgment>,
    names: BTreeMap<ResourceId, String>,
    outcomes: Vec<PowerOutcome>,
    open: Vec<PowerIntent>,
    requests: Vec<Request>,
    last_checkpoint: Option<Timestamp>,
    recall: Arc<Recall>,
    shadow: RuleWatch,
}

/// A look that was recorded and carried out.
pub struct Looked {
    /// Its record in the journal.
    pub id: RecordId,
    /// What was seen.
    pub snapshot: IdleSnapshot,
    /// What was decided.
    pub plan: IdlePlan,
    /// How each order ended.
    pub results: Vec<PowerOutcome>,
}

impl IdleEngine {
    /// An engine that has looked at nothing yet.
    pub fn new(standing: IdleStanding, providers: Providers) -> IdleEngine {
        let mut folded = Folded::default();
        folded.policy.clone_from(&standing.config.policy);
        IdleEngine {
            standing,
            providers,
            folded,
            store: Store::default(),
            prices: Prices::default(),
            details: list::Details::default(),
            judged: BTreeMap::new(),
            names: BTreeMap::new(),
            outcomes: Vec::new(),
            open: Vec::new(),
            requests: Vec::new(),
            last_checkpoint: None,
            recall: Arc::default(),
            shadow: RuleWatch::default(),
        }
    }

    /// The scorecards of rules and schedules, for whoever shows them.
    pub fn scores(&self) -> Arc<RwLock<RuleScores>> {
        self.shadow.scores()
    }

    /// Takes over what a journal knows: memory, hours, and orders whose end is not known.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn restore(
        &mut self,
        reader: &journal::Reader,
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        let recalled = ledger::recall(reader, now)?;
        self.folded = recalled.folded;
        self.open = recalled.open;
        self.outcomes = recalled.unseen;
        let look_back = self.longest_look_back();
        let from = (now - look_back).utc_day();
        let store = &mut self.store;
        let read = reader.visit_usage(from, &mut |id, signal, day, hours| {
            store.restore(id, signal, day, hours);
        });
        match read {
            // What a correction said may be lost with it: all of it is asked for again.
            Err(fault) if fault.is_damage() => {
                tracing::warn!(%fault, "journal: hours of machines are damaged, and asked for again");
                self.store = Store::default();
            }
            read => read?,
        }
        self.folded.policy.clone_from(&self.standing.config.policy);
        match self.shadow.restore(reader, now) {
            Err(fault) if fault.is_damage() => {
                tracing::warn!(%fault, "journal: scorecards of rules are damaged, and begin anew");
                self.shadow = RuleWatch::default();
                Ok(())
            }
            restored => restored,
        }
    }

    /// The clock was set back to `now`; `left` is what it would have shown: nothing waits for a time
    /// that is still to come. The next look writes all of it down whole.
    pub fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        let memory = std::mem::take(&mut self.folded.memory);
        self.folded.memory = planner::idle::rewound(memory, left, now);
        self.last_checkpoint = None;
        self.open.iter_mut().for_each(|intent| intent.at = intent.at.min(now));
        self.outcomes.iter_mut().for_each(|outcome| outcome.at = outcome.at.min(now));
        self.requests.iter_mut().for_each(|request| request.at = request.at.min(now));
        self.judged.clear();
        self.store.rewind(now);
        self.shadow.rewind(left, now);
    }

    /// Takes over another configuration.
    pub fn reload(&mut self, standing: IdleStanding) {
        self.folded.policy.clone_from(&standing.config.policy);
        self.standing = standing;
        self.judged.clear();
        self.last_checkpoint = None;
    }

    /// From now on nothing is done under a rule that is taken back there.
    pub fn obey(&mut self, recall: &Arc<Recall>) {
        self.recall = Arc::clone(recall);
    }

    /// The policy, with the rules that are not promoted in shadow; it is written down where it is
    /// another than at the last look.
    fn obeyed(&mut self) {
        let mut policy = self.standing.config.policy.clone();
        let rules = policy.rules.iter_mut().map(|rule| (&rule.name, &mut rule.mode));
        let schedules = policy.schedules.iter_mut().map(|rule| (&rule.name, &mut rule.mode));
        for (name, mode) in rules.chain(schedules) {
            if mode.acts() && self.is_held(name) {
                *mode = RuleMode::Shadow;
            }
        }
        if policy != self.folded.policy {
            self.folded.policy = policy;
            self.last_checkpoint = None;
        }
    }

    /// Whether a rule waits for its promotion or was taken back.
    fn is_held(&self, rule: &RuleName) -> bool {
        self.recall.holds_rule(rule, self.standing.config.gated.contains(rule))
    }

    /// Whether any rule or schedule is in force: without one no look is needed.
    pub fn has_rules(&self) -> bool {
        let policy = &self.folded.policy;
        !policy.rules.is_empty() || !policy.schedules.is_empty()
    }

    /// How often to look.
    pub fn interval(&self) -> Seconds {
        self.folded.policy.interval
    }

    /// What is known after the last look.
    pub fn memory(&self) -> &IdleMemory {
        &self.folded.memory
    }

    fn longest_look_back(&self) -> Seconds {
        let rules = self.folded.policy.rules.iter().map(|rule| rule.look_back);
        rules.max().unwrap_or(Seconds::days(35))
    }

    /// One look. `stopping` is looked at before every single call that changes something.
    ///
    /// # Errors
    /// Where the journal cannot be written: then nothing was done in any cloud.
    pub async fn look(
        &mut self,
        journal: &Journal,
        now: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Looked, JournalFault> {
        journal.ready()?;
        self.obeyed();
        let (snapshot, plan, memory, resolved) = self.decide(journal, now).await?;
        if !resolved.is_empty() {
            journal.record_idle(now, &IdleEntry::Outcomes(resolved), true)?;
        }
        let due = self.last_checkpoint.is_none_or(|at| now.apart(at) >= CHECKPOINT_EVERY);
        if due {
            let open = self.open.clone();
            let unseen = snapshot.outcomes.clone();
            let checkpoint = Checkpoint { open, unseen, ..self.folded.checkpoint() };
            journal.record_idle(now, &IdleEntry::Checkpoint(Box::new(checkpoint)), true)?;
            self.last_checkpoint = Some(now);
        }
        let started = started_again(&self.folded.memory, &snapshot.outcomes, &memory);
        let record = self.folded.record(&snapshot, &plan, memory);
        let id = journal.record_idle(now, &IdleEntry::Look(Box::new(record)), true)?;
        journal.enqueue(&plan.alerts)?;
        if let Err(fault) = self.keep_score(journal, &snapshot, &started) {
            tracing::warn!(%fault, "scorecards of idle rules could not be written");
        }
        let results = self.carry_out(journal, id, &plan, now, stopping).await?;
        Ok(Looked { id, snapshot, plan, results })
    }

    /// What rules would have done, and stops of promoted ones that somebody took back: the next
    /// cycle counts these.
    fn keep_score(
        &mut self,
        journal: &Journal,
        snapshot: &IdleSnapshot,
        started: &[StartedAgain],
    ) -> Result<(), JournalFault> {
        let (policy, memory) = (&self.folded.policy, &self.folded.memory);
        let at = snapshot.taken_at;
        let gated = &self.standing.config.gated;
        for again in started.iter().filter(|again| gated.contains(&again.rule)) {
            let StartedAgain { resource, rule, stopped_at } = again.clone();
            let resource = resource.to_string();
            let ask = StageAsk::StartedAgain { rule, resource, stopped_at };
            let request = StageRequest { by: "somebody".to_owned(), at, ask };
            journal.record_shadow(at, &ShadowEntry::Asked(request.clone()), true)?;
            self.recall.report(request);
        }
        self.shadow.take(journal, LookSeen { policy, snapshot, started, memory })
    }
}
