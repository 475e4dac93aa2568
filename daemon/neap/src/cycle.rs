//! One turn: gather, forecast, plan, record, execute, record.

mod jump;
pub(crate) mod minimums;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::calendars::Calendars;
use fleet::{Change, Seconds, ServiceName, Timestamp};
use forecaster::ModelKind;
use futures_util::StreamExt;
use journal::records::Explanation;
use journal::{
    CycleId, Intent, Journal, JournalFault, NewCycle, Outcome, PolicyDigest, SampleBatch,
};
use planner::Memory;
use planner::plan::{Action, Plan};
use planner::policy::{ActiveFreeze, Mode, Policy};
use planner::snapshot::{KillSwitch, OrderOutcome, OrderResult, Snapshot, Undiscovered};
use planner::stage::{StageAsk, StageRequest};
use providers::Deadline;
use providers::traced::SPANS;
use report::Turn;
use shadow::{Recall, ShadowEntry};
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::cycle::minimums::Minimums;
use crate::execute::{self, Handles};
use crate::gather::deployments::Deployments;
use crate::gather::masters;
use crate::gather::policies::PoliciesRead;
use crate::gather::{Observer, Providers, Question};

/// Actions carried out at the same time.
const CONCURRENT_ACTIONS: usize = 8;

/// How long our own orders are told from other people's changes. A group shows what an order did
/// within minutes; two hours leave room for a cloud that is late, or that could not be read.
const OURS_REMEMBERED: Seconds = Seconds::hours(2);

/// What is in force until the next reload.
pub struct Standing {
    /// The policy, templates expanded.
    pub policy: Policy,
    /// Its digest in the journal.
    pub digest: PolicyDigest,
    /// Models named by the operator.
    pub models: BTreeMap<ServiceName, ModelKind>,
    /// Services that are written out; the others were made of templates.
    pub written: BTreeSet<ServiceName>,
    /// The calendars and events.
    pub calendars: Calendars,
    pub kill_switch: PathBuf,
    /// How long a cycle may take.
    pub cycle_deadline: Seconds,
    /// Freeze windows open at a time.
    pub freezes: Box<dyn Fn(Timestamp) -> Vec<ActiveFreeze> + Send + Sync>,
}

/// The clouds, and what is known of them between cycles.
pub struct Engine {
    /// What is in force.
    pub standing: Standing,
    /// The clouds.
    pub providers: Providers,
    /// What the past teaches.
    pub memory: Memory,
    /// Samples and models.
    pub observer: Observer,
    /// When the last cycle looked.
    pub last_taken_at: Option<Timestamp>,
    /// Orders whose result nobody could see yet.
    pub unresolved: Vec<Intent>,
    /// What people asked for and no cycle has taken in.
    pub requests: Vec<StageRequest>,
    /// Where groups cannot be looked for.
    pub undiscovered: Undiscovered,
    /// What is taken back at once.
    pub recall: Arc<Recall>,
    /// Minimums that are the operator's.
    pub(crate) minimums: Minimums,
    /// Policies of groups as they were last read.
    policies_read: PoliciesRead,
    /// Groups that are deployed to.
    deployments: Deployments,
    outcomes: BTreeMap<ServiceName, Vec<OrderOutcome>>,
    ours: BTreeMap<ServiceName, Vec<Timestamp>>,
    handles: Handles,
}

/// What a cycle saw and decided, before anything is done.
pub struct Decided {
    /// What was seen.
    pub snapshot: Snapshot,
    pub plan: Plan,
    /// The memory it left.
    pub memory: Memory,
    samples: Vec<SampleBatch>,
    resolved: Vec<Outcome>,
}

impl Engine {
    /// An engine that has done nothing yet.
    pub fn new(standing: Standing, providers: Providers, memory: Memory) -> Engine {
        Engine {
            standing,
            providers,
            memory,
            observer: Observer::default(),
            last_taken_at: None,
            unresolved: Vec::new(),
            requests: Vec::new(),
            undiscovered: Undiscovered::new(),
            recall: Arc::default(),
            minimums: Minimums::default(),
            policies_read: PoliciesRead::default(),
            deployments: Deployments::default(),
            outcomes: BTreeMap::new(),
            ours: BTreeMap::new(),
            handles: Handles::default(),
        }
    }

    /// Takes over another policy: write handles are made anew from it.
    pub fn reload(&mut self, standing: Standing) {
        self.adopt(standing);
        self.observer.look_up_calendars(|_| true);
    }

    /// Takes over other services of the same configuration: those that stay go on as they are.
    pub fn adopt(&mut self, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        let (old, new) = (&before.calendars, &self.standing.calendars);
        self.observer.look_up_calendars(|name| old.rule(name) != new.rule(name));
        self.observer.make_anew(|name| old.hours(name) != new.hours(name));
        self.handles = Handles::default();
    }

    /// Remembers an order of ours from before a restart.
    pub fn remember_order(&mut self, service: &ServiceName, at: Timestamp) {
        self.ours.entry(service.clone()).or_default().push(at);
    }

    /// Remembers what an earlier cycle, before a restart, had read of groups.
    pub fn remember_policies(&mut self, snapshot: &Snapshot) {
        self.policies_read.note(&snapshot.services);
        self.deployments.remember(&snapshot.services);
    }

    /// Takes in the result of an order that no cycle has seen yet.
    pub fn remember_outcome(&mut self, service: &ServiceName, outcome: OrderOutcome) {
        self.outcomes.entry(service.clone()).or_default().push(outcome);
    }

    /// Looks and decides. Changes nothing, in the clouds or on disk.
    pub async fn decide(&mut self, taken_at: Timestamp, disk: planner::snapshot::Disk) -> Decided {
        let limit = Duration::from_secs(self.standing.cycle_deadline.0);
        let gathered = self
            .observer
            .gather(&Question {
                policy: &self.standing.policy,
                models: &self.standing.models,
                calendars: &self.standing.calendars,
                hours: self.standing.calendars.hours_at(taken_at),
                providers: &self.providers,
                memory: &self.memory,
                last_taken_at: self.last_taken_at,
                taken_at,
                deadline: Deadline::within(limit),
                outcomes: &self.outcomes,
                ours: &self.ours,
            })
            .await;
        let mut services = gathered.observations;
        self.policies_read.stand_in(&mut services);
        self.deployments.note(&mut services, taken_at);
        self.minimums.look(&services);
        masters::mark(&self.standing.written, &self.memory, &mut services);
        let mut resolved = Vec::new();
        for intent in &self.unresolved {
            let Some(seen) = services.get_mut(&intent.service) else { continue };
            let Ok(group) = &seen.group else { continue };
            let number = match intent.change {
                Change::Desired { .. } => group.desired,
                Change::Minimum { .. } => group.min,
            };
            let effect = group.id == intent.group && number == intent.change.to();
            // A reading of before the order is no word on its effect.
            if !effect && planner::is_of_before(taken_at, group, intent.change, intent.at) {
                continue;
            }
            let result = OrderResult::Unconfirmed { effect_seen: Some(effect) };
            seen.outcomes.push(OrderOutcome {
                decision: intent.id.to_string(),
                at: taken_at,
                change: intent.change,
                result: result.clone(),
            });
            resolved.push(Outcome { id: intent.id, at: taken_at, result });
        }
        let mut floors = self.standing.calendars.floors(taken_at);
        floors.extend(self.minimums.floors(&self.standing.policy, &services));
        let snapshot = Snapshot {
            taken_at,
            kill_switch: execute::kill_switch(&self.standing.kill_switch),
            freezes: (self.standing.freezes)(taken_at),
            floors,
            disk,
            acknowledged: acknowledged(&self.requests, &services),
            services,
            requests: self.requests.clone(),
            undiscovered: self.undiscovered.clone(),
        };
        let planning = info_span!(target: SPANS, "plan");
        let (plan, memory) =
            planning.in_scope(|| planner::plan(&self.standing.policy, &snapshot, &self.memory));
        Decided { snapshot, plan, memory, samples: gathered.samples, resolved }
    }

    /// One turn. `stopping` is looked at before every single call that changes something.
    ///
    /// # Errors
    /// Where the journal cannot be written: then nothing was done in any cloud.
    pub async fn turn(
        &mut self,
        journal: &Journal,
        taken_at: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Turn, JournalFault> {
        let span = info_span!(
            target: SPANS,
            "cycle",
            taken_at = %taken_at,
            mode = %self.standing.policy.mode,
            services = self.standing.policy.services.len() as i64,
            cycle = Empty,
            actions = Empty,
            orders = Empty,
            otel.status_code = Empty,
        );
        let turn = self.steps(journal, taken_at, stopping).instrument(span.clone()).await;
        match &turn {
            Ok(turn) => {
                span.record("cycle", tracing::field::display(turn.id));
                span.record("actions", turn.plan.actions.len() as i64);
                span.record("orders", turn.results.len() as i64);
            }
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        turn
    }

    async fn steps(
        &mut self,
        journal: &Journal,
        taken_at: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Turn, JournalFault> {
        // What cannot be written is not decided: what was seen meanwhile is asked for then.
        journal.ready()?;
        self.requests.extend(self.recall.reported());
        let decided = self.decide(taken_at, journal.disk()).await;
        let Decided { snapshot, plan, memory, samples, resolved } = decided;
        let recording = info_span!(target: SPANS, "record");
        let known = (&self.standing.policy, &memory);
        let stories = Explanation::of_actions(&snapshot, &plan, known);
        let id = recording.in_scope(|| {
            journal.record_outcomes(&resolved)?;
            journal.record_cycle(
                &NewCycle {
                    policy: self.standing.digest,
                    planner_revision: planner::memory::REVISION,
                    snapshot: &snapshot,
                    plan: &plan,
                    memory_before: &self.memory,
                    memory_after: &memory,
                    stories: &stories,
                },
                &samples,
            )
        })?;
        let alerts = planner::stage::alerts(&self.memory, &memory, taken_at);
        self.memory = memory;
        self.recall.stand(&self.memory.stages);
        for request in self.requests.drain(..) {
            self.recall.settle(&request.ask);
        }
        self.last_taken_at = Some(taken_at);
        self.outcomes.clear();
        let settled = |intent: &Intent| resolved.iter().any(|outcome| outcome.id == intent.id);
        self.unresolved.retain(|intent| !settled(intent));
        self.forget_old_orders(taken_at);
        journal.enqueue(&alerts)?;
        let executing = info_span!(target: SPANS, "execute");
        let carrying_out = async {
            let results = self.execute(journal, id, &plan, &snapshot, stopping).await?;
            self.put_back(journal, (id, plan.actions.len()), &snapshot, stopping).await?;
            Ok::<_, JournalFault>(results)
        };
        let results = carrying_out.instrument(executing).await?;
        Ok(Turn { id, snapshot, plan, results })
    }

    /// Writes every intent, then carries them out: increases first, as the plan orders them.
    async fn execute(
        &mut self,
        journal: &Journal,
        cycle: CycleId,
        plan: &Plan,
        snapshot: &Snapshot,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Vec<(Action, OrderResult)>, JournalFault> {
        let at = snapshot.taken_at;
        let orders: Vec<(Intent, &Action)> = plan
            .actions
            .iter()
            .enumerate()
            .filter(|(_, action)| !action.dry_run && self.grant(action))
            .map(|(index, action)| (intent(cycle, index, action, at), action))
            .collect();
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        for (intent, _) in &orders {
            self.minimums.keep(&intent.service, &intent.group, intent.change);
        }
        self.record_minimums(journal, at)?;
        let intents: Vec<Intent> = orders.iter().map(|(intent, _)| intent.clone()).collect();
        journal.record_intents(&intents)?;
        let (increases, decreases): (Vec<_>, Vec<_>) =
            orders.into_iter().partition(|(_, action)| action.change.is_increase());
        let mut results = Vec::new();
        for wave in [increases, decreases] {
            results.extend(self.carry_out(journal, wave, at, stopping).await?);
        }
        journal.flush()?;
        Ok(results)
    }

    async fn carry_out(
        &mut self,
        journal: &Journal,
        wave: Vec<(Intent, &Action)>,
        at: Timestamp,
        stopping: &Arc<AtomicBool>,
    ) -> Result<Vec<(Action, OrderResult)>, JournalFault> {
        let (handles, kill_switch) = (&self.handles, &self.standing.kill_switch);
        let recall = &self.recall;
        let permitted = &|| is_permitted(stopping, kill_switch);
        let mut ended = futures_util::stream::iter(wave)
            .map(|(intent, action)| async move {
                let decision = intent.id.to_string();
                let permitted = &|| permitted() && !recall.holds(&action.service);
                let order = info_span!(
                    target: SPANS,
                    "order",
                    service = %action.service,
                    change = %action.change,
                    decision,
                );
                let carrying_out = execute::carry_out(action, &decision, handles, permitted);
                let result = carrying_out.instrument(order).await;
                (intent, action, result)
            })
            .buffer_unordered(CONCURRENT_ACTIONS);
        let mut results = Vec::new();
        let mut told = Vec::new();
        while let Some((intent, action, result)) = ended.next().await {
            let outcome = Outcome { id: intent.id, at, result: result.clone() };
            journal.record_outcomes(std::slice::from_ref(&outcome))?;
            results.push((action.clone(), result));
            told.push((intent, outcome));
        }
        drop(ended);
        for (intent, outcome) in told {
            self.learn(intent, outcome);
        }
        Ok(results)
    }

    /// Writes down the operator's minimums, before anything is written over them.
    fn record_minimums(&mut self, journal: &Journal, now: Timestamp) -> Result<(), JournalFault> {
        if let Some(kept) = self.minimums.take_record(now) {
            journal.record_shadow(now, &ShadowEntry::Minimums(kept), true)?;
            self.minimums.recorded(now);
        }
        Ok(())
    }

    /// Puts back the minimums of groups that neap holds no longer. `planned` are the actions of the
    /// cycle's plan: decisions are counted on from these.
    async fn put_back(
        &mut self,
        journal: &Journal,
        (cycle, planned): (CycleId, usize),
        snapshot: &Snapshot,
        stopping: &AtomicBool,
    ) -> Result<(), JournalFault> {
        let at = snapshot.taken_at;
        let due = self.minimums.to_put_back(&self.standing.policy, &self.memory.stages, snapshot);
        for (index, (service, group, change)) in due.into_iter().enumerate() {
            if change.from() == change.to() {
                self.minimums.forget(&group);
                continue;
            }
            let Some(provider) = self.providers.get(&group.provider).cloned() else { continue };
            let id = cycle.decision(planned + index);
            let intent = Intent { id, at, service, group, change };
            journal.record_intents(std::slice::from_ref(&intent))?;
            let kill_switch = &self.standing.kill_switch;
            let permitted = &|| is_permitted(stopping, kill_switch);
            let decision = intent.id.to_string();
            let putting = execute::put_back(&intent.group, change, &decision, &provider, permitted);
            let result = putting.await;
            tracing::info!(service = %intent.service, %change, ?result, "the operator's minimum");
            if matches!(result, OrderResult::Applied | OrderResult::Contested { .. }) {
                self.minimums.forget(&intent.group);
            }
            let outcome = Outcome { id: intent.id, at, result };
            journal.record_outcomes(std::slice::from_ref(&outcome))?;
            self.learn(intent, outcome);
        }
        self.record_minimums(journal, at)
    }

    /// What the next cycle has to know of an order.
    fn learn(&mut self, intent: Intent, outcome: Outcome) {
        self.remember_order(&intent.service, outcome.at);
        if outcome.is_final() {
            let seen = OrderOutcome {
                decision: intent.id.to_string(),
                at: outcome.at,
                change: intent.change,
                result: outcome.result,
            };
            self.remember_outcome(&intent.service, seen);
        } else {
            self.unresolved.push(intent);
        }
    }

    /// Makes the write handle of an action's service; false where its mode gives none.
    fn grant(&mut self, action: &Action) -> bool {
        let policy = &self.standing.policy;
        let (name, stages) = (&action.service, &self.memory.stages);
        let service = policy.services.get(name);
        let acts = service.is_some_and(|s| stages.mode(policy, name, s) == Mode::Act);
        let provider = self.providers.get(&action.group.provider);
        if let (true, Some(provider)) = (acts, provider) {
            self.handles.grant(&action.service, &action.group, provider);
            return true;
        }
        false
    }

    fn forget_old_orders(&mut self, now: Timestamp) {
        for times in self.ours.values_mut() {
            times.retain(|at| now.apart(*at) < OURS_REMEMBERED);
        }
        self.ours.retain(|_, times| !times.is_empty());
    }
}

/// Whether something may be changed in a cloud at this moment.
fn is_permitted(stopping: &AtomicBool, kill_switch: &Path) -> bool {
    !stopping.load(Ordering::SeqCst) && execute::kill_switch(kill_switch) == KillSwitch::Clear
}

/// The services whose demand somebody vouches for.
fn acknowledged(
    requests: &[StageRequest],
    services: &BTreeMap<ServiceName, planner::snapshot::Observation>,
) -> Vec<ServiceName> {
    let asks = || requests.iter().map(|request| &request.ask);
    if asks().any(|ask| *ask == StageAsk::AcknowledgeAll) {
        return services.keys().cloned().collect();
    }
    let named = asks().filter_map(|ask| match ask {
        StageAsk::Acknowledge { service } => Some(service.clone()),
        _ => None,
    });
    named.collect()
}

fn intent(cycle: CycleId, index: usize, action: &Action, at: Timestamp) -> Intent {
    Intent {
        id: cycle.decision(index),
        at,
        service: action.service.clone(),
        group: action.group.clone(),
        change: action.change,
    }
}
