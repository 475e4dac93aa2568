//! The world: groups, metrics and troubles behind the seam's traits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fleet::Change;
use fleet::group::{Activity, Cause, GroupState};
use fleet::metric::{MetricQuery, Sample};
use fleet::{
    AccountId, Fault, FaultKind, GroupId, GroupRef, ProviderName, Region, Seconds, Timestamp,
};

use super::estate::{Lot, MachineBody};
use super::group::{Body, Order, Setting};
use super::ledger::{Ledger, ledger};
use super::presets::Settings;
use super::random::Stream;
use super::scenario::{
    Act, Calls, Delivery, GroupSpec, MetricName, PlannedTrouble, Scenario, Shortage, Trouble,
    TroubleSpec,
};
use super::series::{Kind, Recorded, Source, keeps};
use super::store::{self, KeepFault, RestoreFault, Saved};
use crate::{Deadline, Estate, GroupWriter, Inventory, Metrics, Now, Provider, Retention};

const READ: &str = "DescribeAutoScalingGroups";
const ACTIVITIES: &str = "DescribeScalingActivities";
const SAMPLES: &str = "GetMetricData";
const SET_DESIRED: &str = "SetDesiredCapacity";
const SET_MINIMUM: &str = "UpdateAutoScalingGroup";

/// Simulated time between two saves that no order asks for.
const SAVE_EVERY: Seconds = Seconds(60);

/// A cloud in memory. Clones share it.
#[derive(Clone)]
pub struct World {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    provider: ProviderName,
    seed: u64,
    start: Timestamp,
    now: Arc<dyn Now>,
    pub source: Source,
    pub lot: Lot,
    pub shortages: Vec<Shortage>,
    planned: Vec<PlannedTrouble>,
    metrics_read: AtomicU64,
    state: Mutex<State>,
}

/// Account, region and name.
type Key = (AccountId, Region, String);
/// Account, region and metric.
type MetricKey = (AccountId, Region, MetricName);

/// What changes.
#[derive(Default)]
pub(super) struct State {
    settings: BTreeMap<Key, Setting>,
    metrics: BTreeMap<MetricKey, (Key, Kind)>,
    pub bodies: BTreeMap<Key, Body>,
    pub recorded: BTreeMap<String, Recorded>,
    /// Machines that somebody touched, by id.
    pub machines: BTreeMap<String, MachineBody>,
    /// When machines were last looked at.
    pub estate_seen: Option<Timestamp>,
    /// Troubles made by hand, and how many calls each has left; `None` is until calm.
    troubles: Vec<(TroubleSpec, Option<u32>)>,
    pub writes: u64,
    keep: Option<PathBuf>,
    saved_at: Timestamp,
}

/// What a call does after looking at the world.
pub(super) enum Answer<T> {
    Now(Result<T, Fault>),
    /// Nothing comes before the deadline; then this.
    AtDeadline(Fault),
}

impl World {
    /// A cloud as it is at `start`, all groups in service for hours. `provider` is its name in the
    /// configuration.
    pub fn new(
        provider: &ProviderName,
        seed: u64,
        start: Timestamp,
        scenario: &Scenario,
        now: Arc<dyn Now>,
    ) -> World {
        let settings: BTreeMap<Key, Setting> = scenario
            .groups
            .iter()
            .map(|spec| {
                let key = (spec.account.clone(), spec.region.clone(), spec.name.clone());
                (key, Setting::new(provider, seed, start, spec, scenario))
            })
            .collect();
        let bodies = settings.iter().map(|(k, s)| (k.clone(), Body::at_start(s))).collect();
        let source = Source {
            delivery: scenario.delivery,
            gaps: scenario.gaps.clone(),
            begins: start - scenario.history,
            jitter: Stream::named(seed, "metrics/delivery"),
        };
        let metrics = settings.iter().flat_map(|(k, setting)| metrics_of(k, setting)).collect();
        let lot = Lot::new(provider, seed, start, &scenario.estate);
        let touched =
            |id: &str| Some((id.to_owned(), MachineBody::at_start(lot.spec(id)?.as_ref())));
        let machines = lot.acted_on().filter_map(touched).collect();
        let saved_at = start;
        let state = State { settings, metrics, bodies, machines, saved_at, ..State::default() };
        let shared = Shared {
            provider: provider.clone(),
            seed,
            start,
            now,
            source,
            lot,
            shortages: scenario.shortages.clone(),
            planned: scenario.troubles.clone(),
            metrics_read: AtomicU64::new(0),
            state: Mutex::new(state),
        };
        World { shared: Arc::new(shared) }
    }

    /// The cloud that the configuration describes.
    pub fn from_settings(provider: &ProviderName, settings: &Settings, now: Arc<dyn Now>) -> World {
        World::new(provider, settings.seed, settings.start, &settings.contents(), now)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state between two events, which is a sound state.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.now.now()
    }

    /// Everything that changed since the start, as JSON, to go on from with [`World::restore`].
    pub fn save(&self) -> Vec<u8> {
        self.saved(&self.state())
    }

    fn saved(&self, state: &State) -> Vec<u8> {
        store::write(self.shared.seed, self.shared.start, state)
    }

    /// Goes on from what [`World::save`] gave.
    ///
    /// # Errors
    /// [`RestoreFault`] where it cannot be read or belongs to another world.
    pub fn restore(&self, bytes: &[u8]) -> Result<(), RestoreFault> {
        let saved: Saved = store::read(self.shared.seed, self.shared.start, bytes)?;
        let mut state = self.state();
        state.saved_at = saved.last_seen();
        state.recorded = saved.recorded;
        state.estate_seen = saved.estate_seen;
        for (id, body) in saved.machines {
            if self.shared.lot.brief(&id).is_none() {
                return Err(RestoreFault::UnknownMachine { id });
            }
            state.machines.insert(id, body);
        }
        for (account, region, name, body) in saved.groups {
            let key = (account, region, name);
            if !state.settings.contains_key(&key) {
                return Err(RestoreFault::UnknownGroup { name: key.2 });
            }
            state.bodies.insert(key, body);
        }
        Ok(())
    }

    /// Keeps the world in a file: goes on from it where it exists, and writes it (to a neighbour
    /// that then takes its place) after each order and once a simulated minute, so that the cloud
    /// outlives the program. Not flushed to the medium: it need not outlive the machine.
    ///
    /// # Errors
    /// [`KeepFault`] where the file cannot be read, written, or belongs to another world.
    pub fn keep_in(&self, path: PathBuf) -> Result<(), KeepFault> {
        if let Some(bytes) = store::load(&path)? {
            self.restore(&bytes)
                .map_err(|source| KeepFault::Unusable { path: path.clone(), source })?;
        }
        let mut state = self.state();
        store::keep(&path, &self.saved(&state))?;
        state.keep = Some(path);
        Ok(())
    }

    /// The latest moment at which anybody looked at the world: where a clock goes on after a
    /// restart.
    pub fn last_seen(&self) -> Timestamp {
        let state = self.state();
        let groups = state.bodies.values().map(Body::at);
        groups.chain(state.estate_seen).max().unwrap_or(self.shared.start)
    }

    /// The truth about each group since the start, by name.
    pub fn ledger(&self) -> BTreeMap<String, Ledger> {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        let mut all = BTreeMap::new();
        for (key, setting) in &state.settings {
            if let Some(body) = state.bodies.get_mut(key) {
                body.advance(setting, now);
                all.insert(key.2.clone(), ledger(setting, body, now));
            }
        }
        all
    }

    /// Every change of its numbers that a group was ordered, oldest first; empty for an unknown
    /// group.
    pub fn orders(&self, group: &GroupRef) -> Vec<Order> {
        self.state().bodies.get(&key_of(group)).map(|b| b.orders.clone()).unwrap_or_default()
    }

    /// Calls that tried to write since the start of the process, whatever became of them.
    pub fn writes_tried(&self) -> u64 {
        self.state().writes
    }

    /// Makes a group, all of its units in service from now on. Under a name that was there before
    /// it is another group.
    pub fn add_group(&self, spec: &GroupSpec) {
        let now = self.now();
        let key = (spec.account.clone(), spec.region.clone(), spec.name.clone());
        let provider = &self.shared.provider;
        let bare = Scenario::default();
        let setting = Setting::new(provider, self.shared.seed, now, spec, &bare);
        let mut state = self.state();
        let body = Body::made(&setting, state.bodies.get(&key));
        state.metrics.extend(metrics_of(&key, &setting));
        state.bodies.insert(key.clone(), body);
        state.settings.insert(key, setting);
        self.changed(&mut state, now);
    }

    /// Another writer acts on a group now.
    ///
    /// # Errors
    /// [`FaultKind::Missing`] where there is no such group.
    pub fn act(&self, group: &GroupRef, act: &Act) -> Result<(), Fault> {
        let now = self.now();
        let key = key_of(group);
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((setting, body)) = state.settings.get(&key).zip(state.bodies.get_mut(&key)) else {
            return Err(missing(READ, &key.2));
        };
        body.advance(setting, now);
        body.act(setting, act);
        self.changed(state, now);
        Ok(())
    }

    /// Trouble from now on, for so many calls; `None` is until [`World::calm`].
    pub fn trouble(&self, spec: TroubleSpec, for_calls: Option<u32>) {
        self.state().troubles.push((spec, for_calls));
    }

    /// Ends all troubles made by hand.
    pub fn calm(&self) {
        self.state().troubles.clear();
    }

    /// Puts values into a metric that belongs to no group, as its own source would: another value
    /// in the same interval adds to it.
    pub fn record(&self, query: &MetricQuery, samples: &[Sample]) {
        let mut state = self.state();
        let series = state.recorded.entry(series_name(query)).or_default();
        for sample in samples {
            series.0.entry(sample.start.0).or_default().push(sample.value);
        }
        let now = self.now();
        self.changed(&mut state, now);
    }

    /// Writes the file, where one is wanted.
    pub(super) fn changed(&self, state: &mut State, now: Timestamp) {
        state.saved_at = now;
        if let Some(path) = &state.keep {
            // A file that cannot be written must not change what the cloud answers; the next
            // change tries again, and `keep_in` has shown once that it can be written.
            let _unwritten = store::keep(path, &self.saved(state));
        }
    }

    /// The trouble that meets this call, counted against its limit.
    pub(super) fn meets(
        &self,
        state: &mut State,
        calls: Calls,
        group: Option<&str>,
        region: &Region,
    ) -> Option<Trouble> {
        let found = state
            .troubles
            .iter_mut()
            .find(|(spec, left)| *left != Some(0) && spec.covers(calls, group, region));
        if let Some((spec, left)) = found {
            *left = left.map(|left| left - 1);
            return Some(spec.trouble);
        }
        let now = self.now();
        self.shared
            .planned
            .iter()
            .find(|p| (p.from..p.until).contains(&now) && p.spec.covers(calls, group, region))
            .map(|planned| planned.spec.trouble)
    }

    /// What a read gets that meets this trouble.
    pub(super) fn spoiled<T>(operation: &str, permission: &str, trouble: Trouble) -> Answer<T> {
        match trouble {
            Trouble::Slow | Trouble::AnswerLost => {
                Answer::AtDeadline(fault(FaultKind::TimedOut, operation, "no answer in time"))
            }
            other => Answer::Now(Err(refusal(operation, permission, other))),
        }
    }

    fn look<T>(
        &self,
        state: &mut State,
        key: &Key,
        operation: &str,
        show: impl FnOnce(&Setting, &Body) -> T,
    ) -> Answer<T> {
        if let Some(trouble) = self.meets(state, Calls::Inventory, Some(&key.2), &key.1) {
            let permission = format!("autoscaling:{operation}");
            return World::spoiled(operation, &permission, trouble);
        }
        let now = self.now();
        let found = state.settings.get(key).zip(state.bodies.get_mut(key));
        let Some((setting, body)) = found else {
            return Answer::Now(Err(missing(operation, &key.2)));
        };
        body.advance(setting, now);
        if !body.exists {
            return Answer::Now(Err(missing(operation, &key.2)));
        }
        Answer::Now(Ok(show(setting, body)))
    }

    /// As [`World::look`], for the group with this id and no other of its name.
    fn look_by_id<T>(
        &self,
        state: &mut State,
        id: &GroupId,
        operation: &str,
        show: impl FnOnce(&Setting, &Body) -> T,
    ) -> Answer<T> {
        let key = key_of_id(id);
        let answer = self.look(state, &key, operation, |setting, body| {
            (body.id(setting) == *id).then(|| show(setting, body))
        });
        match answer {
            Answer::Now(Ok(Some(shown))) => Answer::Now(Ok(shown)),
            Answer::Now(Ok(None)) => Answer::Now(Err(missing(operation, &id.id))),
            Answer::Now(Err(fault)) => Answer::Now(Err(fault)),
            Answer::AtDeadline(fault) => Answer::AtDeadline(fault),
        }
    }

    fn read_samples(
        &self,
        state: &mut State,
        query: &MetricQuery,
        (from, to): (Timestamp, Timestamp),
    ) -> Answer<Vec<Sample>> {
        if let Some(trouble) = self.meets(state, Calls::Metrics, None, &query.region) {
            return World::spoiled(SAMPLES, "cloudwatch:GetMetricData", trouble);
        }
        if !query.period.seconds().is_multiple_of(60) {
            let period = query.period.span();
            let why = format!("period {period} is not a whole number of minutes");
            return Answer::Now(Err(fault(FaultKind::Refused, SAMPLES, &why)));
        }
        if let Some(recorded) = state.recorded.get(&series_name(query)) {
            return Answer::Now(Ok(recorded.samples(query, from, to)));
        }
        let now = self.now();
        let name = MetricName {
            namespace: query.namespace.clone(),
            metric: query.metric.clone(),
            dimensions: query.dimensions.clone(),
        };
        let found = state.metrics.get(&(query.account.clone(), query.region.clone(), name));
        let Some((key, kind)) = found else { return Answer::Now(Ok(Vec::new())) };
        let group = state.settings.get(key).zip(state.bodies.get_mut(key));
        let Some((setting, body)) = group else { return Answer::Now(Ok(Vec::new())) };
        body.advance(setting, now);
        let samples = self.shared.source.samples((setting, body, *kind), query, (from, to), now);
        Answer::Now(Ok(samples))
    }

    /// Carries out an order, or refuses it.
    fn order(&self, id: &GroupId, change: Change, decision: &str) -> Answer<()> {
        let operation = operation(change);
        let now = self.now();
        let key = key_of_id(id);
        let mut guard = self.state();
        let state = &mut *guard;
        state.writes += 1;
        let trouble = self.meets(state, Calls::Writes, Some(&key.2), &key.1);
        if let Some(other @ (Trouble::Throttled | Trouble::Unreachable | Trouble::Denied)) = trouble
        {
            let permission = format!("autoscaling:{operation}");
            return Answer::Now(Err(refusal(operation, &permission, other)));
        }
        let found = state.settings.get(&key).zip(state.bodies.get_mut(&key));
        let Some((setting, body)) = found else {
            return Answer::Now(Err(missing(operation, &id.id)));
        };
        body.advance(setting, now);
        if !body.exists || body.id(setting) != *id {
            return Answer::Now(Err(missing(operation, &id.id)));
        }
        let done = body.set(setting, change, Some(decision), Cause::UserRequest);
        self.changed(state, now);
        let lost = || fault(FaultKind::Unconfirmed, operation, "the answer was lost");
        match (trouble, done) {
            (Some(Trouble::Slow), _) => Answer::AtDeadline(lost()),
            (Some(_), _) => Answer::Now(Err(lost())),
            (None, Ok(())) => Answer::Now(Ok(())),
            (None, Err(why)) => Answer::Now(Err(fault(
                FaultKind::Refused,
                operation,
                &format!("ValidationError: {why}"),
            ))),
        }
    }

    /// Saves once in a while, so that a clock can go on where it stopped.
    pub(super) fn save_now_and_then(&self, state: &mut State) {
        let now = self.now();
        if state.keep.is_some() && now >= state.saved_at + SAVE_EVERY {
            self.changed(state, now);
        }
    }
}

impl Provider for World {
    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn metrics(&self) -> &dyn Metrics {
        self
    }

    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        Box::new(Writer { world: self.clone(), group: group.clone() })
    }

    fn estate(&self) -> Option<&dyn Estate> {
        Some(self)
    }
}

#[async_trait]
impl Inventory for World {
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>> {
        let answers = {
            let mut state = self.state();
            let answers = wanted
                .iter()
                .map(|group| {
                    let show = |setting: &Setting, body: &Body| body.state(setting);
                    self.look(&mut state, &key_of(group), READ, show)
                })
                .collect();
            self.save_now_and_then(&mut state);
            answers
        };
        all_by(deadline, answers).await
    }

    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault> {
        let show = |setting: &Setting, body: &Body| body.state(setting);
        let answer = self.look_by_id(&mut self.state(), id, READ, show);
        one_by(deadline, answer).await
    }

    async fn discover(&self, deadline: Deadline) -> Vec<Result<Vec<GroupState>, Fault>> {
        let mut answers = Vec::new();
        {
            let mut state = self.state();
            let mut places: BTreeMap<(AccountId, Region), Vec<Key>> = BTreeMap::new();
            for key in state.settings.keys() {
                places.entry((key.0.clone(), key.1.clone())).or_default().push(key.clone());
            }
            for ((_, region), keys) in places {
                if let Some(trouble) = self.meets(&mut state, Calls::Inventory, None, &region) {
                    let permission = format!("autoscaling:{READ}");
                    answers.push(World::spoiled(READ, &permission, trouble));
                    continue;
                }
                let mut found = Vec::new();
                for key in keys {
                    let show = |setting: &Setting, body: &Body| body.state(setting);
                    if let Answer::Now(Ok(group)) = self.look(&mut state, &key, READ, show) {
                        found.push(group);
                    }
                }
                answers.push(Answer::Now(Ok(found)));
            }
        }
        all_by(deadline, answers).await
    }

    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        let show = |_: &Setting, body: &Body| body.activities_since(since);
        let answer = self.look_by_id(&mut self.state(), id, ACTIVITIES, show);
        one_by(deadline, answer).await
    }
}

#[async_trait]
impl Metrics for World {
    async fn samples(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        self.shared.metrics_read.fetch_add(queries.len() as u64, Ordering::Relaxed);
        let answers = {
            let mut state = self.state();
            queries.iter().map(|query| self.read_samples(&mut state, query, (from, to))).collect()
        };
        all_by(deadline, answers).await
    }

    fn keeps(&self, query: &MetricQuery) -> Retention {
        let Delivery { settled, usd_micros_per_thousand_metrics, .. } = self.shared.source.delivery;
        Retention {
            history: keeps(query.period.span()),
            settling: settled,
            usd_micros_per_thousand_metrics,
        }
    }

    fn metrics_read(&self) -> u64 {
        self.shared.metrics_read.load(Ordering::Relaxed)
    }
}

/// A handle on one group of the world.
struct Writer {
    world: World,
    group: GroupId,
}

#[async_trait]
impl GroupWriter for Writer {
    fn group(&self) -> &GroupId {
        &self.group
    }

    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault> {
        if deadline.left().is_zero() {
            let why = "the deadline had passed before anything was sent";
            return Err(fault(FaultKind::Unreachable, operation(change), why));
        }
        let answer = self.world.order(&self.group, change, decision);
        one_by(deadline, answer).await
    }
}

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Arc<HandClock> {
        Arc::new(HandClock(AtomicI64::new(at.0)))
    }

    /// Moves it on.
    pub fn advance(&self, span: Seconds) {
        self.set(self.now() + span);
    }

    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Now for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(super) async fn one_by<T>(deadline: Deadline, answer: Answer<T>) -> Result<T, Fault> {
    match answer {
        Answer::Now(result) => result,
        Answer::AtDeadline(fault) => {
            tokio::time::sleep_until(deadline.0).await;
            Err(fault)
        }
    }
}

pub(super) async fn all_by<T>(
    deadline: Deadline,
    answers: Vec<Answer<T>>,
) -> Vec<Result<T, Fault>> {
    if answers.iter().any(|answer| matches!(answer, Answer::AtDeadline(_))) {
        tokio::time::sleep_until(deadline.0).await;
    }
    let settle = |answer| match answer {
        Answer::Now(result) => result,
        Answer::AtDeadline(fault) => Err(fault),
    };
    answers.into_iter().map(settle).collect()
}

/// The metrics that show a group's service, by their names.
fn metrics_of(key: &Key, setting: &Setting) -> Vec<(MetricKey, (Key, Kind))> {
    let Some(work) = &setting.spec.workload else { return Vec::new() };
    let named = [
        (&work.requests, Kind::Requests),
        (&work.errors, Kind::Errors),
        (&work.healthy_hosts, Kind::HealthyHosts),
        (&work.utilisation, Kind::Utilisation),
    ];
    named
        .map(|(name, kind)| ((key.0.clone(), key.1.clone(), name.clone()), (key.clone(), kind)))
        .to_vec()
}

fn key_of(group: &GroupRef) -> Key {
    (group.account.clone(), group.region.clone(), group.name.clone())
}

/// The name is the last part of the id.
fn key_of_id(id: &GroupId) -> Key {
    let name = id.id.rsplit(':').next().unwrap_or_default();
    (id.account.clone(), id.region.clone(), name.to_owned())
}

fn series_name(query: &MetricQuery) -> String {
    let mut name =
        format!("{}/{}/{}/{}", query.account, query.region, query.namespace, query.metric);
    for (dimension, value) in &query.dimensions {
        name.push_str(&format!("/{dimension}={value}"));
    }
    name
}

fn operation(change: Change) -> &'static str {
    match change {
        Change::Desired { .. } => SET_DESIRED,
        Change::Minimum { .. } => SET_MINIMUM,
    }
}

fn fault(kind: FaultKind, operation: &str, detail: &str) -> Fault {
    Fault { kind, operation: operation.to_owned(), detail: detail.to_owned(), request_id: None }
}

fn missing(operation: &str, name: &str) -> Fault {
    fault(FaultKind::Missing, operation, &format!("group `{name}` not found"))
}

pub(super) fn refusal(operation: &str, permission: &str, trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Throttled => {
            let kind = FaultKind::Throttled { retry_after: None };
            fault(kind, operation, "Throttling: Rate exceeded")
        }
        Trouble::Denied => {
            let kind = FaultKind::Denied { permission: Some(permission.to_owned()) };
            fault(kind, operation, "AccessDenied: not authorized")
        }
        Trouble::Unreachable | Trouble::Slow | Trouble::AnswerLost => {
            fault(FaultKind::Unreachable, operation, "connection refused")
        }
    }
}
