//! Looks at what may be idle: list, read hours, judge, plan, record, stop and start, record.

mod again;
mod execute;
mod host;
mod hours;
mod list;
mod money;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use config::IdleConfig;
use futures_util::StreamExt;
use journal::ledger::{self, LookSeen};
use journal::{Journal, JournalFault, RecordId, UsageDay};
use planner::answer::{AskedFor, NotTaken};
use planner::idle::evidence::{Evidence, Look as Judgement, Verdict, VerdictKind, judge};
use planner::idle::memory::{IdleMemory, Scope};
use planner::idle::money::{PriceQuery, Saving};
use planner::idle::pattern::Offsets;
use planner::idle::plan::{IdlePlan, TagAction, Verb};
use planner::idle::reasons::NotIdle;
use planner::idle::resource::{Resource, ResourceId};
use planner::idle::rule::{IdlePolicy, IdleRule, RuleMode, RuleName, ScheduleRule};
use planner::idle::snapshot::{
    Ask, IdleSnapshot, PowerOutcome, PowerResult, Request, Seen, Unread,
};
use planner::idle::usage::HOUR;
use planner::idle::{StartedAgain, started_again};
use planner::policy::ActiveFreeze;
use planner::snapshot::KillSwitch;
use planner::stage::{StageAsk, StageRequest};
use planner::{OrTold, ProviderName, Seconds, Timestamp};
use providers::{Deadline, Provider};
use rayon::prelude::*;
use shadow::{Recall, RuleScores, RuleWatch, ShadowEntry};

use crate::execute::kill_switch;
use crate::gather::Providers;

pub use again::{Again, again};
pub use host::own_instance_id;
pub use watch::IdleWatch;

use execute::Terms;
use hours::{Store, is_close};
use journal::records::idle::{Checkpoint, Folded, IdleEntry, Judged, PowerIntent};
use money::Prices;

/// How long listing, reading hours and asking for details may take in one look, each.
const LIST_WITHIN: Duration = Duration::from_secs(60);
const HOURS_WITHIN: Duration = Duration::from_secs(240);
/// Orders given at the same time.
const CONCURRENT_ORDERS: usize = 8;
/// Days of usage that may wait to be flushed: some megabytes.
const FLUSHED_EVERY: usize = 300_000;
/// Resources whose verdicts are written down together.
const VERDICTS_A_RECORD: usize = 5_000;
/// How often all that is known is written down whole.
const CHECKPOINT_EVERY: Seconds = Seconds::days(1);
/// How often a verdict that stays as it is is written down again.
const VERDICT_AGAIN_IDLE: Seconds = Seconds::days(1);
const VERDICT_AGAIN: Seconds = Seconds::days(7);
/// An order without an answer, and a machine that shows no effect for so long: it was not taken.
const NO_EFFECT_AFTER: Seconds = Seconds::minutes(5);

/// What is in force until the next reload.
pub struct IdleStanding {
    /// Rules, schedules, prices.
    pub config: Arc<IdleConfig>,
    /// What kind of cloud each provider is: `aws`, `alibaba`, `sim`.
    pub kinds: BTreeMap<ProviderName, &'static str>,
    /// The kill switch.
    pub kill_switch: PathBuf,
    /// Freeze windows open at a time.
    pub freezes: Box<dyn Fn(Timestamp) -> Vec<ActiveFreeze> + Send + Sync>,
}

impl IdleStanding {
    /// What the operator's file says.
    fn price(&self, query: &PriceQuery) -> Option<planner::idle::money::Price> {
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

/// A verdict and when it was made and written down.
struct Judgment {
    rule: RuleName,
    evidence: Evidence,
    at: Timestamp,
    recorded: Option<(Timestamp, VerdictKind)>,
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
        reader.visit_usage(from, &mut |id, signal, day, hours| {
            store.restore(id, signal, day, hours);
        })?;
        self.folded.policy.clone_from(&self.standing.config.policy);
        self.shadow.restore(reader, now)
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

    /// Whether there is anything to look at.
    pub fn is_idle(&self) -> bool {
        let policy = &self.folded.policy;
        policy.rules.is_empty() && policy.schedules.is_empty()
    }

    /// How often to look.
    pub fn interval(&self) -> Seconds {
        self.folded.policy.interval
    }

    /// What is known after the last look.
    pub fn memory(&self) -> &IdleMemory {
        &self.folded.memory
    }

    /// Takes in what somebody asks for; it is carried out at the next look.
    ///
    /// # Errors
    /// Why it cannot be, for the person who asked.
    pub fn ask(&mut self, ask: Ask, by: &str, at: Timestamp) -> Result<AskedFor, NotTaken> {
        let told = match &ask {
            Ask::Approve { id } | Ask::Reject { id } => self.approval_subject(id)?,
            Ask::Wake { resource, until } | Ask::Exempt { resource, until } => {
                if *until <= at {
                    return Err(NotTaken::Passed { until: *until });
                }
                self.subject(resource)?
            }
            Ask::Release { rule } => {
                if !self.folded.memory.rules.contains_key(rule) {
                    return Err(NotTaken::NoRule { rule: rule.clone() });
                }
                AskedFor::Rule { name: rule.0.clone(), once: None }
            }
        };
        self.requests.push(Request { by: by.to_owned(), at, ask });
        Ok(told)
    }

    fn approval_subject(&self, id: &str) -> Result<AskedFor, NotTaken> {
        let mut cares = self.folded.memory.cares.iter();
        let found = cares.find(|(_, care)| care.approvals().any(|approval| approval.id == id));
        found
            .map(|(resource, _)| AskedFor::Resource(resource.clone()))
            .ok_or_else(|| NotTaken::NoApproval { id: id.to_owned() })
    }

    fn subject(&self, text: &str) -> Result<AskedFor, NotTaken> {
        let named = |(id, name): &(&ResourceId, &String)| {
            id.id == text || id.to_string() == text || *name == text
        };
        let name = text.to_owned();
        let found: Vec<&ResourceId> = self.names.iter().filter(named).map(|(id, _)| id).collect();
        match found[..] {
            [] => Err(NotTaken::NoResource { name }),
            [one] => Ok(AskedFor::Resource(one.clone())),
            _ => Err(NotTaken::Ambiguous { name, count: found.len() as u64 }),
        }
    }

    fn longest_look_back(&self) -> Seconds {
        let rules = self.folded.policy.rules.iter().map(|rule| rule.look_back);
        rules.max().unwrap_or(Seconds::days(35))
    }

    /// Looks and decides. Changes nothing in the clouds; hours that it reads go to the journal, all
    /// else is given back to be recorded.
    async fn decide(
        &mut self,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(IdleSnapshot, IdlePlan, IdleMemory, Vec<PowerOutcome>), JournalFault> {
        let policy = self.folded.policy.clone();
        let known = self.folded.memory.cares.keys().chain(self.judged.keys());
        let within = Deadline::within(LIST_WITHIN);
        let listed = list::list(&self.providers, &policy, known, within).await;
        for unread in &listed.unread {
            let Unread { provider, account, region, kind, fault } = unread;
            tracing::warn!(%provider, %account, %region, %kind, %fault, "a listing failed");
        }
        self.names = listed.resources.iter().map(|r| (r.id.clone(), r.name.clone())).collect();
        let resolved = self.resolve(&listed.resources, now);
        let population = population(&listed.resources, &policy.rules);
        let unread = |id: &ResourceId| listed.unread.iter().any(|list| list.concerns(id));
        let telling = self.judge_all(journal, &listed.resources, &policy, &unread, now).await?;
        // Most of a large fleet is in use, and nothing more is asked of it.
        let mut resources = listed.resources;
        resources.retain(|resource| telling.contains(&resource.id));
        let assigned: Vec<Option<Assigned<'_>>> =
            resources.iter().map(|resource| Assigned::of(resource, &policy)).collect();
        let needs: Vec<&Resource> = assigned
            .iter()
            .flatten()
            .filter(|assigned| assigned.may_be_stopped(&self.judged))
            .map(|assigned| assigned.resource)
            .collect();
        self.details.read(&self.providers, &needs, now).await;
        let seen = resources.iter().zip(&assigned).map(|(resource, assigned)| match assigned {
            Some(assigned) => self.seen(assigned, now),
            None => Seen {
                resource: still(resource),
                rule: None,
                evidence: None,
                schedule: None,
                last_hour: None,
                saving: None,
            },
        });
        let seen: Vec<Seen> = seen.collect();
        let snapshot = IdleSnapshot {
            taken_at: now,
            kill_switch: kill_switch(&self.standing.kill_switch),
            freezes: (self.standing.freezes)(now),
            disk: journal.disk(),
            unread: listed.unread,
            population,
            matched: self.matched(),
            seen,
            requests: std::mem::take(&mut self.requests),
            outcomes: std::mem::take(&mut self.outcomes),
        };
        let (plan, memory) = planner::idle::plan(&policy, &snapshot, &self.folded.memory);
        Ok((snapshot, plan, memory, resolved))
    }

    /// Reads hours and judges by them; the resources of which something may be done or is
    /// remembered, or that somebody asked for.
    async fn judge_all(
        &mut self,
        journal: &Journal,
        resources: &[Resource],
        policy: &IdlePolicy,
        unread: &(dyn Fn(&ResourceId) -> bool + Send + Sync),
        now: Timestamp,
    ) -> Result<BTreeSet<ResourceId>, JournalFault> {
        let assigned: Vec<Assigned<'_>> =
            resources.iter().filter_map(|r| Assigned::of(r, policy)).collect();
        self.read_hours(&assigned, journal, now).await?;
        self.judge(&assigned, now);
        let live: BTreeSet<&ResourceId> = resources.iter().map(|r| &r.id).collect();
        let oldest = now - self.longest_look_back() - Seconds::days(2);
        self.store.forget(&|id| live.contains(id) || unread(id), oldest);
        self.judged.retain(|id, _| live.contains(id) || unread(id));
        let interesting: Vec<&Assigned<'_>> =
            assigned.iter().filter(|assigned| self.is_interesting(assigned)).collect();
        self.ask_prices(&interesting, now).await;
        self.record_verdicts(journal, &assigned, now)?;
        let named = self.asked_for(resources).into_iter();
        let telling = interesting.iter().map(|assigned| assigned.resource).chain(named);
        Ok(telling.map(|resource| resource.id.clone()).collect())
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
        self.obeyed();
        let (snapshot, plan, memory, resolved) = self.decide(journal, now).await?;
        if !resolved.is_empty() {
            journal.record_idle(now, &IdleEntry::Outcomes(resolved), true)?;
        }
        let due = self.last_checkpoint.is_none_or(|at| now.since(at) >= CHECKPOINT_EVERY);
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

    /// Writes every intent, then gives the orders: starts one after the other, then stops.
    async fn carry_out(
        &mut self,
        journal: &Journal,
        id: RecordId,
        plan: &IdlePlan,
        now: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Vec<PowerOutcome>, JournalFault> {
        let intents: Vec<PowerIntent> = plan
            .actions
            .iter()
            .enumerate()
            .map(|(index, action)| PowerIntent {
                decision: format!("{id}.{index}"),
                at: now,
                action: action.clone(),
            })
            .collect();
        if !intents.is_empty() {
            journal.record_idle(now, &IdleEntry::Intents(intents.clone()), true)?;
        }
        let switch = &self.standing.kill_switch;
        let permitted =
            &|| !stopping.load(Ordering::SeqCst) && kill_switch(switch) == KillSwitch::Clear;
        self.write_tags(&plan.tags, permitted).await;
        let mut results = Vec::new();
        let (starts, stops): (Vec<_>, Vec<_>) =
            intents.into_iter().partition(|intent| intent.action.verb == Verb::Start);
        for wave in [starts, stops] {
            let (policy, providers) = (&self.folded.policy, &self.providers);
            let (recall, gated) = (&self.recall, &self.standing.config.gated);
            let mut ended = futures_util::stream::iter(wave)
                .map(|intent| async move {
                    let rule = intent.action.because.rule();
                    let held = |rule| recall.holds_rule(rule, gated.contains(rule));
                    let taken_back = || rule.is_some_and(held);
                    let permitted = &|| permitted() && !taken_back();
                    let provider = providers.get(&intent.action.resource.provider);
                    let result = match provider.and_then(|provider| provider.estate()) {
                        Some(estate) => {
                            let terms = Terms { policy, estate, permitted, now };
                            execute::carry_out(&intent.action, &intent.decision, &terms).await
                        }
                        None => PowerResult::Withheld,
                    };
                    (intent, result)
                })
                .buffer_unordered(CONCURRENT_ORDERS);
            while let Some((intent, result)) = ended.next().await {
                let outcome = outcome(&intent, result, now);
                let entry = IdleEntry::Outcomes(vec![outcome.clone()]);
                journal.record_idle(now, &entry, true)?;
                results.push((intent, outcome));
            }
        }
        let mut told = Vec::new();
        for (intent, outcome) in results {
            match outcome.result {
                PowerResult::Unconfirmed { effect_seen: None } => self.open.push(intent),
                _ => self.outcomes.push(outcome.clone()),
            }
            told.push(outcome);
        }
        Ok(told)
    }

    /// Tags are a courtesy: what cannot be written is said, and nothing depends on it.
    async fn write_tags(&self, tags: &[TagAction], permitted: &(dyn Fn() -> bool + Send + Sync)) {
        for tag in tags.iter().take_while(|_| permitted()) {
            let provider = self.providers.get(&tag.resource.provider);
            let Some(estate) = provider.and_then(|provider| provider.estate()) else { continue };
            let switch = estate.switch(&tag.resource);
            let deadline = Deadline::within(Duration::from_secs(10));
            if let Err(fault) = switch.tag(&tag.key, tag.value.as_deref(), deadline).await {
                tracing::warn!(resource = %tag.resource, key = tag.key, %fault, "a tag was not written");
            }
        }
    }

    /// Orders without an answer: whether they were taken shows by the machines.
    fn resolve(&mut self, resources: &[Resource], now: Timestamp) -> Vec<PowerOutcome> {
        let mut resolved = Vec::new();
        let mut still_open = Vec::new();
        for intent in std::mem::take(&mut self.open) {
            let id = &intent.action.resource;
            let power = resources.iter().find(|r| r.id == *id).map(|r| &r.power);
            let effect = power.and_then(|power| execute::effect(&intent.action, power));
            let waited = now.since(intent.at) >= NO_EFFECT_AFTER;
            match effect {
                Some(there) if there || waited => {
                    let result = PowerResult::Unconfirmed { effect_seen: effect };
                    let outcome = outcome(&intent, result, now);
                    resolved.push(outcome.clone());
                    self.outcomes.push(outcome);
                }
                _ => still_open.push(intent),
            }
        }
        self.open = still_open;
        resolved
    }

    async fn read_hours(
        &mut self,
        assigned: &[Assigned<'_>],
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        let deadline = Deadline::within(HOURS_WITHIN);
        let mut unwritten = 0;
        let mut keep = |days: &[UsageDay]| {
            journal.record_usage(now, days)?;
            // What is not on disk yet is held in memory.
            unwritten += days.len();
            if unwritten > FLUSHED_EVERY {
                unwritten = 0;
                journal.flush()?;
            }
            Ok(())
        };
        for (name, provider) in &self.providers {
            let Some(estate) = provider.estate() else { continue };
            let wanted: Vec<(&Resource, Seconds)> = assigned
                .iter()
                .filter(|a| a.resource.id.provider == *name && a.resource.id.kind.has_power())
                .filter_map(|a| Some((a.resource, a.look_back()?)))
                .collect();
            let judged = &self.judged;
            let close = |id: &ResourceId| {
                judged.get(id).is_none_or(|judged| is_close(&judged.evidence.verdict))
            };
            let when = (now, deadline);
            let reading = self.store.read(estate, &wanted, &close, &mut keep, when).await?;
            if let Some((resource, fault)) = reading.faults.first() {
                let others = reading.faults.len() - 1;
                tracing::warn!(%resource, %fault, others, "usage could not be read");
            }
            for id in &reading.fresh {
                self.judged.entry(id.clone()).and_modify(|judged| judged.at = Timestamp(i64::MIN));
            }
        }
        Ok(())
    }

    /// Makes the verdicts that new hours, or the passing of an hour, may have changed.
    fn judge(&mut self, assigned: &[Assigned<'_>], now: Timestamp) {
        let due: Vec<(&Resource, &IdleRule)> = assigned
            .iter()
            .filter_map(|assigned| Some((assigned.resource, assigned.rule?)))
            .filter(|(resource, rule)| self.is_to_be_judged(resource, rule, now))
            .collect();
        let config = &self.standing.config;
        let mut offsets: BTreeMap<&RuleName, Offsets> = BTreeMap::new();
        for (_, rule) in &due {
            offsets.entry(&rule.name).or_insert_with(|| {
                let from = now - rule.look_back - Seconds::days(1);
                Offsets(config.offset_spans(&rule.name, from, now))
            });
        }
        let nothing = BTreeMap::new();
        let evidence = |(resource, rule): &(&Resource, &IdleRule)| {
            let care = self.folded.memory.cares.get(&resource.id);
            judge(&Judgement {
                rule,
                resource,
                hours: self.store.get(&resource.id).map_or(&nothing, |known| &known.hours),
                offsets: &offsets[&rule.name],
                seen_unused_since: care.and_then(|care| care.unused_since),
                now,
            })
        };
        let made: Vec<Evidence> = due.par_iter().map(evidence).collect();
        for ((resource, rule), evidence) in due.into_iter().zip(made) {
            let known = self.judged.get(&resource.id).filter(|judged| judged.rule == rule.name);
            let recorded = known.and_then(|judged| judged.recorded);
            let judgment = Judgment { rule: rule.name.clone(), evidence, at: now, recorded };
            self.judged.insert(resource.id.clone(), judgment);
        }
    }

    fn is_to_be_judged(&self, resource: &Resource, rule: &IdleRule, now: Timestamp) -> bool {
        let hour = |at: Timestamp| at.0.div_euclid(HOUR);
        let known = self.judged.get(&resource.id).filter(|judged| judged.rule == rule.name);
        let holds = known.is_some_and(|judged| {
            let same_hour = judged.at.0 > i64::MIN && hour(judged.at) == hour(now);
            same_hour || judged.at.0 > i64::MIN && !is_close(&judged.evidence.verdict)
        });
        !(holds && resource.id.kind.has_power())
    }

    /// Whether the planner has to see it: something may be done about it or is remembered of it.
    fn is_interesting(&self, assigned: &Assigned<'_>) -> bool {
        let id = &assigned.resource.id;
        let judged = self.judged.get(id);
        let idle = judged.is_some_and(|judged| judged.evidence.verdict == Verdict::AlwaysIdle);
        let unused = !id.kind.has_power()
            && judged.is_some_and(|j| !matches!(j.evidence.verdict, Verdict::InUse { .. }));
        idle || unused || assigned.schedule.is_some() || self.folded.memory.cares.contains_key(id)
    }

    /// Resources that somebody named in a request, or that are remembered, without a rule.
    fn asked_for<'r>(&self, resources: &'r [Resource]) -> Vec<&'r Resource> {
        let named: BTreeSet<&str> = self
            .requests
            .iter()
            .filter_map(|request| match &request.ask {
                Ask::Wake { resource, .. } | Ask::Exempt { resource, .. } => {
                    Some(resource.as_str())
                }
                _ => None,
            })
            .collect();
        let wanted = |r: &&Resource| {
            self.folded.memory.cares.contains_key(&r.id)
                || named.contains(r.id.id.as_str())
                || named.contains(r.name.as_str())
                || !named.is_empty() && named.contains(r.id.to_string().as_str())
        };
        resources.iter().filter(wanted).collect()
    }

    async fn ask_prices(&mut self, interesting: &[&Assigned<'_>], now: Timestamp) {
        let standing = &self.standing;
        for (name, provider) in &self.providers {
            let Some(estate) = provider.estate() else { continue };
            let resources: Vec<&Resource> = interesting
                .iter()
                .map(|assigned| assigned.resource)
                .filter(|resource| resource.id.provider == *name)
                .collect();
            let in_file = |query: &PriceQuery| standing.price(query).is_some();
            self.prices.ask(estate, &resources, &in_file, now).await;
        }
    }

    fn saving(&self, resource: &Resource) -> Saving {
        let query = money::query(resource);
        let price = self.standing.price(&query).or_else(|| self.prices.listed(&query));
        money::saving(resource, price)
    }

    fn seen(&self, assigned: &Assigned<'_>, now: Timestamp) -> Seen {
        let resource = self.details.merged(assigned.resource);
        let id = &resource.id;
        let judged = self.judged.get(id).filter(|_| assigned.rule.is_some());
        let schedule = assigned.schedule.and_then(|rule| {
            Some((rule, self.standing.config.view(rule, assigned.resource, now)?))
        });
        let last_hour = schedule.as_ref().and_then(|(rule, _)| self.last_hour(rule, id, now));
        Seen {
            rule: assigned.rule.map(|rule| rule.name.clone()),
            evidence: judged.map(|judged| judged.evidence.clone()),
            schedule: schedule.map(|(_, view)| view),
            last_hour,
            saving: Some(self.saving(&resource)),
            resource: still(&resource),
        }
    }

    /// Whether the newest hours keep a schedule's limits.
    fn last_hour(
        &self,
        rule: &ScheduleRule,
        id: &ResourceId,
        now: Timestamp,
    ) -> Option<Result<(), OrTold<NotIdle>>> {
        if rule.only_if_idle.0.is_empty() {
            return None;
        }
        let Some(known) = self.store.get(id) else {
            return Some(Err(NotIdle::NoSamples.into()));
        };
        for (signal, limit_milli) in &rule.only_if_idle.0 {
            let values = [now, now - Seconds(HOUR as u64)]
                .into_iter()
                .filter_map(|at| known.hours.get(signal)?.get(at).value());
            let worst = values.reduce(f64::max);
            let Some(worst) = worst else {
                return Some(Err(NotIdle::NoSampleOf { signal: *signal }.into()));
            };
            if worst * 1000.0 > *limit_milli as f64 {
                let (signal, limit_milli) = (*signal, *limit_milli);
                let worst_milli = (worst * 1000.0).round() as u64;
                return Some(Err(NotIdle::Above { signal, worst_milli, limit_milli }.into()));
            }
        }
        Some(Ok(()))
    }

    fn matched(&self) -> BTreeMap<RuleName, u32> {
        let mut matched = BTreeMap::new();
        for judged in self.judged.values() {
            let count: &mut u32 = matched.entry(judged.rule.clone()).or_default();
            *count += u32::from(judged.evidence.verdict == Verdict::AlwaysIdle);
        }
        matched
    }

    /// Writes down verdicts that are new or different, or were not written down for a while.
    fn record_verdicts(
        &mut self,
        journal: &Journal,
        assigned: &[Assigned<'_>],
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        for assigned in assigned.chunks(VERDICTS_A_RECORD) {
            let due = self.verdicts_to_record(assigned, now);
            if !due.is_empty() {
                journal.record_idle(now, &IdleEntry::Verdicts(due), false)?;
            }
        }
        Ok(())
    }

    fn verdicts_to_record(&mut self, assigned: &[Assigned<'_>], now: Timestamp) -> Vec<Judged> {
        let mut due = Vec::new();
        for assigned in assigned {
            let resource = assigned.resource;
            let Some(judged) = self.judged.get(&resource.id) else { continue };
            let kind = judged.evidence.verdict.kind();
            let again = match judged.evidence.verdict {
                Verdict::InUse { .. } => VERDICT_AGAIN,
                _ => VERDICT_AGAIN_IDLE,
            };
            let fresh =
                judged.recorded.is_some_and(|(at, before)| before == kind && now.since(at) < again);
            if fresh {
                continue;
            }
            due.push(Judged {
                resource: resource.id.clone(),
                name: resource.name.clone(),
                class: resource.class.clone(),
                rule: judged.rule.clone(),
                evidence: judged.evidence.clone(),
                saving: Some(self.saving(resource)),
                at: now,
            });
        }
        for judged in &due {
            let kind = judged.evidence.verdict.kind();
            if let Some(known) = self.judged.get_mut(&judged.resource) {
                known.recorded = Some((now, kind));
            }
        }
        due
    }
}

/// A resource and the rule and schedule that have it.
struct Assigned<'a> {
    resource: &'a Resource,
    rule: Option<&'a IdleRule>,
    schedule: Option<&'a ScheduleRule>,
}

impl<'a> Assigned<'a> {
    fn of(resource: &'a Resource, policy: &'a IdlePolicy) -> Option<Assigned<'a>> {
        let rule = policy.rules.iter().find(|rule| rule.select.selects(resource));
        let schedule = policy
            .schedules
            .iter()
            .find(|rule| resource.id.kind.has_power() && rule.select.selects(resource));
        (rule.is_some() || schedule.is_some()).then_some(Assigned { resource, rule, schedule })
    }

    /// How far back its hours matter; `None` where they do not.
    fn look_back(&self) -> Option<Seconds> {
        let by_rule = self.rule.map(|rule| rule.look_back);
        let by_schedule = self.schedule.filter(|rule| !rule.only_if_idle.0.is_empty());
        by_rule.or(by_schedule.map(|_| Seconds::hours(3)))
    }

    /// Whether facts that take a call of their own are worth asking for.
    fn may_be_stopped(&self, judged: &BTreeMap<ResourceId, Judgment>) -> bool {
        let tags = &self.resource.tags;
        let idle = || {
            let judged = judged.get(&self.resource.id);
            judged.is_some_and(|judged| judged.evidence.verdict == Verdict::AlwaysIdle)
        };
        self.resource.id.kind.has_power()
            && (self.rule.is_some_and(|rule| rule.opt_in.holds(tags) && idle())
                || self.schedule.is_some_and(|rule| rule.opt_in.holds(tags)))
    }
}

/// A resource without the moment at which it was read: the same state is the same record.
fn still(resource: &Resource) -> Resource {
    Resource { read_at: Timestamp(0), ..resource.clone() }
}

fn outcome(intent: &PowerIntent, result: PowerResult, at: Timestamp) -> PowerOutcome {
    PowerOutcome {
        decision: intent.decision.clone(),
        resource: intent.action.resource.clone(),
        up: intent.action.verb == Verb::Start,
        mode: match intent.action.verb {
            Verb::Stop(mode) => Some(mode),
            Verb::Start => None,
        },
        because: intent.action.because.clone(),
        at,
        result,
    }
}

fn population(resources: &[Resource], rules: &[IdleRule]) -> BTreeMap<Scope, u32> {
    let mut population = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.id.kind.has_power()) {
        let id = &resource.id;
        let account = Scope::Account { provider: id.provider.clone(), account: id.account.clone() };
        *population.entry(account).or_default() += 1;
        for rule in rules {
            let value = rule.group_tag.as_ref().and_then(|key| resource.tags.get(key));
            if let Some(value) = value.filter(|_| rule.select.selects(resource)) {
                let scope = Scope::Tag { rule: rule.name.clone(), value: value.clone() };
                *population.entry(scope).or_default() += 1;
            }
        }
    }
    population
}
