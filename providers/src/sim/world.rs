//! The world: groups, metrics and troubles, made, kept in a file, and acted on.

mod calls;
mod faults;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::group::Instance;
use fleet::metric::{MetricQuery, Sample};
use fleet::{AccountId, Fault, GroupId, GroupRef, Now, ProviderName, Region, Seconds, Timestamp};

pub(super) use faults::{CallAnswer, all_by, fault, one_by, refusal};

use super::estate::{Lot, MachineBody};
use super::group::{Body, Order, Setting};
use super::ledger::{Ledger, ledger};
use super::presets::Settings;
use super::random::Stream;
use super::scenario::{
    Act, Calls, GroupSpec, MetricName, PlannedTrouble, Scenario, Shortage, Trouble, TroubleSpec,
};
use super::series::{Kind, Recorded, Source};
use super::store::{self, KeepFault, RestoreFault, Saved};

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
    /// [`fleet::FaultKind::Missing`] where there is no such group.
    pub fn act(&self, group: &GroupRef, act: &Act) -> Result<(), Fault> {
        let now = self.now();
        let key = key_of(group);
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((setting, body)) = state.settings.get(&key).zip(state.bodies.get_mut(&key)) else {
            return Err(calls::no_group(&key.2));
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

    /// Saves once in a while, so that a clock can go on where it stopped.
    pub(super) fn save_now_and_then(&self, state: &mut State) {
        let now = self.now();
        if state.keep.is_some() && now >= state.saved_at + SAVE_EVERY {
            self.changed(state, now);
        }
    }
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

impl State {
    /// Members of the groups of a place, as they were last moved on.
    pub(super) fn members_in(&self, account: &AccountId, region: &Region) -> Vec<Instance> {
        let here = self.bodies.iter().filter(|((a, r, _), _)| a == account && r == region);
        let shown = here.filter_map(|(key, body)| Some(body.state(self.settings.get(key)?)));
        shown.flat_map(|state| state.instances).collect()
    }
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
