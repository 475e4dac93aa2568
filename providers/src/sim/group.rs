//! A simulated group: what happens in it, in order of time, however often one looks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleet::Change;
use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, GroupState, Instance, Lifecycle,
    NativePolicyKind, Process, ScheduledAction,
};
use fleet::{GroupId, ProviderName, Seconds, Timestamp, Units};
use serde::{Deserialize, Serialize};

use super::load::Chances;
use super::random::Stream;
use super::scenario::{Act, GroupSpec, Scenario};
use super::steps::Steps;

/// Activities kept a group; AWS keeps six weeks.
const ACTIVITIES_MAX: usize = 1000;
/// Orders kept a group, for tests and reports.
const ORDERS_MAX: usize = 10_000;
/// How long the cloud waits before it tries a failed launch again.
const RETRY_AFTER: Seconds = Seconds(60);
/// Native policies look once a minute.
const NATIVE_EVERY: Seconds = Seconds(60);
/// Minutes above target before target tracking grows; the customary alarm.
const NATIVE_GROW_MINUTES: u64 = 3;
/// Minutes below 0.7 of the target before target tracking shrinks; the customary alarm.
const NATIVE_SHRINK_MINUTES: u64 = 15;

/// What never changes about a group, and its streams of chance.
#[derive(Debug)]
pub(crate) struct Setting {
    pub provider: ProviderName,
    pub seed: u64,
    pub start: Timestamp,
    pub spec: GroupSpec,
    /// What other writers do to it, in order of time.
    acts: Vec<(Timestamp, Act)>,
    /// The shortages that may touch it.
    shortages: Vec<super::scenario::Shortage>,
    pub chances: Chances,
    boots: Stream,
    failures: Stream,
}

impl Setting {
    pub fn new(
        provider: &ProviderName,
        seed: u64,
        start: Timestamp,
        spec: &GroupSpec,
        scenario: &Scenario,
    ) -> Setting {
        let stream = |purpose: &str| {
            Stream::named(seed, &format!("group/{}/{}/{purpose}", spec.region, spec.name))
        };
        let mut acts: Vec<(Timestamp, Act)> = scenario
            .acts
            .iter()
            .filter(|(_, name, _)| *name == spec.name)
            .map(|(at, _, act)| (*at, act.clone()))
            .collect();
        acts.sort_by_key(|(at, _)| *at);
        let touches = |shortage: &&super::scenario::Shortage| {
            shortage.group.as_ref().is_none_or(|g| *g == spec.name)
        };
        Setting {
            provider: provider.clone(),
            seed,
            start,
            acts,
            shortages: scenario.shortages.iter().filter(touches).cloned().collect(),
            chances: Chances::of(seed, &spec.name),
            boots: stream("boots"),
            failures: stream("failures"),
            spec: spec.clone(),
        }
    }

    /// Units before the world's start: somebody's hourly sizing, at 55 % of capacity by the
    /// hour's highest expected load.
    fn units_before(&self, at: Timestamp) -> u32 {
        let Some(work) = &self.spec.workload else {
            return self.spec.desired.unwrap_or(self.spec.min);
        };
        let hour = at.0.div_euclid(3600) * 3600;
        let jobs: f64 = (work.load.jobs.iter())
            .filter(|job| job.touches(Timestamp(hour), Timestamp(hour + 3600)))
            .map(|job| job.rate)
            .sum();
        let bursts = work.load.bursts.map_or(0.0, |bursts| bursts.height);
        let highest = (0..=4)
            .map(|quarter| work.load.expected(Timestamp(hour + quarter * 900)))
            .fold(0.0, f64::max);
        let units = ((highest + jobs + 0.5 * bursts) / (0.55 * work.capacity_per_unit)).ceil();
        (units as u32).clamp(self.spec.min, self.spec.max)
    }

    fn lacks_machines(&self, zone: &str, at: Timestamp) -> bool {
        self.shortages.iter().any(|shortage| shortage.covers(&self.spec.name, zone, at))
    }

    /// Mean units in service over the minute that begins at `minute`.
    pub fn serving(&self, body: &Body, minute: Timestamp) -> f64 {
        if minute < self.start {
            return f64::from(self.units_before(minute));
        }
        body.serving.area(minute, minute + Seconds(60)) as f64 / 60.0
    }

    /// True load over true capacity in the minute that begins at `minute`; `None` without units.
    fn pressure(&self, body: &Body, minute: Timestamp) -> Option<f64> {
        let work = self.spec.workload.as_ref()?;
        let units = self.serving(body, minute);
        (units > 0.0)
            .then(|| work.load.rate(&self.chances, minute) / (units * work.capacity_per_unit))
    }
}

/// What changes about a group. Everything that will happen is decided by this and the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    /// Everything up to here has happened.
    at: Timestamp,
    pub exists: bool,
    generation: u32,
    desired: u32,
    min: u32,
    max: u32,
    machines: Vec<Machine>,
    /// Machines ever started.
    launches: u64,
    activities: VecDeque<Activity>,
    /// Activities ever begun.
    begun: u64,
    suspended: BTreeSet<Process>,
    refresh: Option<Refresh>,
    acts_done: usize,
    retry_at: Option<Timestamp>,
    native_at: Timestamp,
    /// When each scheduled action acts next; `None` is never again.
    schedule: Vec<Option<Timestamp>>,
    pub serving: Steps,
    pub paid: Steps,
    pub orders: Vec<Order>,
}

/// A change of a group's numbers that somebody ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// When.
    pub at: Timestamp,
    /// The decision behind it; `None` where it came from another writer.
    pub decision: Option<String>,
    /// What it set.
    pub set: Number,
    /// The value before.
    pub from: Units,
    /// The value it was to have.
    pub to: Units,
}

/// A number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Number {
    /// The desired capacity.
    Desired,
    /// The minimum size.
    Minimum,
    /// The maximum size.
    Maximum,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Machine {
    serial: u64,
    zone: usize,
    protected: bool,
    healthy: bool,
    launched_at: Timestamp,
    phase: Phase,
    activity: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Booting { until: Timestamp, fails: bool },
    Serving,
    Draining { until: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Refresh {
    id: String,
    next: Timestamp,
    every: Seconds,
    /// Machines with this serial number or a higher one are already new.
    new_from: u64,
}

/// What happens next. The order of the variants decides between events of the same second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Gone(usize),
    Booted(usize),
    Act,
    Scheduled(usize),
    Refresh,
    Native,
    Retry,
}

/// Why a number was changed: what AWS would write into the activity.
struct Reason {
    cause: Cause,
    text: String,
    capacity_set_to: Option<Units>,
}

impl Reason {
    fn new(cause: Cause, at: Timestamp, what: &str) -> Reason {
        Reason { cause, text: format!("At {at} {what}"), capacity_set_to: None }
    }

    fn upkeep(at: Timestamp) -> Reason {
        let what = "an instance was launched in response to a difference between desired and actual capacity";
        Reason::new(Cause::Upkeep, at, what)
    }
}

impl Body {
    /// The group as it is at the world's start: all its machines in service for hours.
    pub fn at_start(setting: &Setting) -> Body {
        let spec = &setting.spec;
        let desired = spec.desired.unwrap_or_else(|| setting.units_before(setting.start));
        let mut body = Body {
            at: setting.start,
            exists: true,
            generation: 1,
            desired: desired.clamp(spec.min, spec.max),
            min: spec.min,
            max: spec.max,
            machines: Vec::new(),
            launches: 0,
            activities: VecDeque::new(),
            begun: 0,
            suspended: BTreeSet::new(),
            refresh: None,
            acts_done: 0,
            retry_at: None,
            native_at: setting.start + NATIVE_EVERY,
            schedule: spec.scheduled.iter().map(|action| Some(action.first)).collect(),
            serving: Steps::default(),
            paid: Steps::default(),
            orders: Vec::new(),
        };
        body.settle(setting, Seconds::hours(3));
        body
    }

    /// A new group, which is another than any of its name before it.
    pub fn made(setting: &Setting, before: Option<&Body>) -> Body {
        let mut body = Body::at_start(setting);
        body.generation = before.map_or(1, |before| before.generation + 1);
        body
    }

    /// Fills the group up to desired with machines that came into service `ago`.
    fn settle(&mut self, setting: &Setting, ago: Seconds) {
        while self.live(setting) < self.desired {
            let zone = self.roomiest_zone(setting, |_| true).unwrap_or(0);
            self.machines.push(Machine {
                serial: self.launches,
                zone,
                protected: setting.spec.new_instances_protected,
                healthy: true,
                launched_at: self.at - ago,
                phase: Phase::Serving,
                activity: String::new(),
            });
            self.launches += 1;
        }
        self.count(setting);
    }

    /// Lets everything happen that is due until `to`. Time never goes back.
    pub fn advance(&mut self, setting: &Setting, to: Timestamp) {
        while let Some((at, event)) = self.next_event(setting).filter(|(at, _)| *at <= to) {
            self.at = self.at.max(at);
            self.happen(setting, event);
        }
        self.at = self.at.max(to);
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn next_event(&self, setting: &Setting) -> Option<(Timestamp, Event)> {
        let act = setting.acts.get(self.acts_done).map(|(at, _)| (*at, Event::Act));
        if !self.exists {
            return act;
        }
        let machines =
            self.machines.iter().enumerate().filter_map(|(i, machine)| match machine.phase {
                Phase::Booting { until, .. } => Some((until, Event::Booted(i))),
                Phase::Draining { until } => Some((until, Event::Gone(i))),
                Phase::Serving => None,
            });
        let scheduled = (self.schedule.iter().enumerate())
            .filter_map(|(i, next)| Some(((*next)?, Event::Scheduled(i))));
        let refresh = self.refresh.as_ref().map(|refresh| (refresh.next, Event::Refresh));
        let tracks = setting
            .spec
            .policies
            .iter()
            .any(|policy| policy.enabled && policy.kind == NativePolicyKind::TargetTracking);
        let native = tracks.then_some((self.native_at, Event::Native));
        let retry = self.retry_at.map(|at| (at, Event::Retry));
        machines.chain(scheduled).chain(act).chain(refresh).chain(native).chain(retry).min()
    }

    fn happen(&mut self, setting: &Setting, event: Event) {
        match event {
            Event::Gone(i) => {
                let machine = self.machines.remove(i);
                self.end(&machine.activity, ActivityStatus::Successful);
            }
            Event::Booted(i) => self.booted(i),
            Event::Act => {
                let act = setting.acts[self.acts_done].1.clone();
                self.acts_done += 1;
                self.act(setting, &act);
            }
            Event::Scheduled(i) => self.scheduled(setting, i),
            Event::Refresh => self.refresh_one(setting),
            Event::Native => self.native(setting),
            Event::Retry => self.retry_at = None,
        }
        self.reconcile(setting, &Reason::upkeep(self.at));
    }

    fn booted(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let activity = machine.activity.clone();
        if let Phase::Booting { fails: true, .. } = machine.phase {
            self.machines.remove(index);
            self.end(&activity, ActivityStatus::Failed { no_capacity: false });
        } else {
            machine.phase = Phase::Serving;
            self.end(&activity, ActivityStatus::Successful);
        }
    }

    /// Units booting or in service.
    fn live(&self, setting: &Setting) -> u32 {
        let live = self.machines.iter().filter(|m| !matches!(m.phase, Phase::Draining { .. }));
        live.count() as u32 * setting.spec.weight.max(1)
    }

    /// Notes units in service and units paid for.
    fn count(&mut self, setting: &Setting) {
        let weight = setting.spec.weight.max(1);
        let serving = self.machines.iter().filter(|m| m.phase == Phase::Serving).count() as u32;
        self.serving.note(self.at, serving * weight);
        self.paid.note(self.at, self.machines.len() as u32 * weight);
    }

    /// Starts and ends machines until the group has what it is told to have, as far as it may.
    fn reconcile(&mut self, setting: &Setting, reason: &Reason) {
        if self.exists {
            if !self.suspended.contains(&Process::Launch) && self.retry_at.is_none() {
                while self.live(setting) < self.desired && self.launch(setting, reason) {}
            }
            if !self.suspended.contains(&Process::Terminate) {
                let weight = setting.spec.weight.max(1);
                while self.live(setting) >= self.desired + weight && self.end_one(setting, reason) {
                }
            }
        }
        self.count(setting);
    }

    /// The zone with the fewest live machines among those that `may`.
    fn roomiest_zone(&self, setting: &Setting, may: impl Fn(&str) -> bool) -> Option<usize> {
        let zones = setting.spec.zones.iter().enumerate().filter(|(_, zone)| may(zone));
        zones
            .map(|(index, _)| (self.machines.iter().filter(|m| m.zone == index).count(), index))
            .min()
            .map(|(_, index)| index)
    }

    fn launch(&mut self, setting: &Setting, reason: &Reason) -> bool {
        let at = self.at;
        let Some(zone) = self.roomiest_zone(setting, |zone| !setting.lacks_machines(zone, at))
        else {
            let activity = self.begin(setting, ActivityKind::Launch, reason);
            self.end(&activity, ActivityStatus::Failed { no_capacity: true });
            self.retry_at = Some(at + RETRY_AFTER);
            return false;
        };
        let activity = self.begin(setting, ActivityKind::Launch, reason);
        let serial = self.launches;
        self.launches += 1;
        // 0.8 to 1.6 times the boot time, small values likelier, as boots are.
        let stretch = 0.8 + 0.8 * setting.boots.unit(serial).powi(2);
        let boot = (setting.spec.boot.0 as f64 * stretch).round() as u64;
        let fails = setting.failures.one_in(serial, setting.spec.boot_fails_one_in);
        self.machines.push(Machine {
            serial,
            zone,
            protected: setting.spec.new_instances_protected,
            healthy: true,
            launched_at: at,
            phase: Phase::Booting { until: at + Seconds(boot.max(1)), fails },
            activity,
        });
        true
    }

    /// Drains one machine of the fullest zone: sick ones first, then the oldest. Booting machines
    /// are finished first, since the cloud waits for launches under way.
    fn end_one(&mut self, setting: &Setting, reason: &Reason) -> bool {
        let zone_size = |zone| {
            let live = |m: &&Machine| m.zone == zone && !matches!(m.phase, Phase::Draining { .. });
            self.machines.iter().filter(live).count()
        };
        let pick = (self.machines.iter().enumerate())
            .filter(|(_, m)| m.phase == Phase::Serving && !m.protected)
            .min_by_key(|(_, m)| (m.healthy, std::cmp::Reverse(zone_size(m.zone)), m.serial))
            .map(|(index, _)| index);
        let Some(index) = pick else { return false };
        self.drain(setting, index, reason);
        true
    }

    fn drain(&mut self, setting: &Setting, index: usize, reason: &Reason) {
        let activity = self.begin(setting, ActivityKind::Terminate, reason);
        let machine = &mut self.machines[index];
        machine.phase = Phase::Draining { until: self.at + Seconds(setting.spec.drain.0.max(1)) };
        machine.activity = activity;
    }

    fn begin(&mut self, setting: &Setting, kind: ActivityKind, reason: &Reason) -> String {
        let id = format!("{}-{}-{:06}", setting.spec.name, self.generation, self.begun);
        self.begun += 1;
        self.activities.push_back(Activity {
            id: id.clone(),
            started_at: self.at,
            ended_at: None,
            kind,
            status: ActivityStatus::InProgress,
            cause: reason.cause,
            cause_text: reason.text.clone(),
            capacity_set_to: reason.capacity_set_to,
        });
        if self.activities.len() > ACTIVITIES_MAX {
            self.activities.pop_front();
        }
        id
    }

    fn end(&mut self, activity: &str, status: ActivityStatus) {
        if let Some(found) = self.activities.iter_mut().rev().find(|a| a.id == activity) {
            found.ended_at = Some(self.at);
            found.status = status;
        }
    }

    /// Another writer's act.
    pub fn act(&mut self, setting: &Setting, act: &Act) {
        let reason = Reason::new(Cause::UserRequest, self.at, "a user request changed the group");
        match act {
            Act::Desired(to) => {
                let change = Change::Desired { from: Units(self.desired), to: Units(*to) };
                // Out of bounds the cloud refuses, and a scripted writer has no use for a reason.
                let _refused = self.set(setting, change, None, Cause::UserRequest);
            }
            Act::Minimum(to) => {
                let change = Change::Minimum { from: Units(self.min), to: Units(*to) };
                let _refused = self.set(setting, change, None, Cause::UserRequest);
            }
            Act::Maximum(to) => self.set_maximum(setting, *to, &reason),
            Act::Suspend(process) => drop(self.suspended.insert(process.clone())),
            Act::Resume(process) => drop(self.suspended.remove(process)),
            Act::Protect(count) => {
                for (index, machine) in self.machines.iter_mut().enumerate() {
                    machine.protected = index < *count as usize;
                }
            }
            Act::Sicken => self.sicken(setting),
            Act::Refresh(within) => self.start_refresh(*within),
            Act::Delete => self.delete(),
            Act::Remake => self.remake(setting),
        }
        self.reconcile(setting, &reason);
    }

    fn set_maximum(&mut self, setting: &Setting, to: u32, reason: &Reason) {
        self.note_order(None, Number::Maximum, self.max, to);
        self.max = to.max(self.min);
        self.desired = self.desired.min(self.max);
        self.reconcile(setting, reason);
    }

    fn sicken(&mut self, setting: &Setting) {
        let serving = self.machines.iter().position(|m| m.phase == Phase::Serving);
        if let Some(index) = serving {
            self.machines[index].healthy = false;
            let what = "an instance was taken out of service in response to a health check";
            self.drain(setting, index, &Reason::new(Cause::Health, self.at, what));
        }
    }

    fn start_refresh(&mut self, within: Seconds) {
        let machines = self.machines.len().max(1) as u64;
        let every = Seconds((within.0 / machines).max(1));
        let id = format!("refresh-{}-{}", self.generation, self.at.0);
        let next = self.at + every;
        self.refresh = Some(Refresh { id, next, every, new_from: self.launches });
    }

    fn refresh_one(&mut self, setting: &Setting) {
        let Some(refresh) = self.refresh.take() else { return };
        let old = |m: &Machine| m.serial < refresh.new_from && m.phase == Phase::Serving;
        if let Some(index) = self.machines.iter().position(old) {
            let what = "an instance was taken out of service in response to an instance refresh";
            self.drain(setting, index, &Reason::new(Cause::Upkeep, self.at, what));
            let next = self.at + refresh.every;
            self.refresh = Some(Refresh { next, ..refresh });
        }
    }

    fn delete(&mut self) {
        self.exists = false;
        self.machines.clear();
        self.activities.clear();
        self.refresh = None;
        self.retry_at = None;
    }

    fn remake(&mut self, setting: &Setting) {
        self.delete();
        self.exists = true;
        self.generation += 1;
        self.suspended.clear();
        self.native_at = self.at + NATIVE_EVERY;
        self.settle(setting, Seconds::ZERO);
    }

    fn scheduled(&mut self, setting: &Setting, index: usize) {
        let action = &setting.spec.scheduled[index];
        self.schedule[index] = action.every.map(|every| self.at + Seconds(every.0.max(60)));
        if self.suspended.contains(&Process::ScheduledActions) {
            return;
        }
        let what = format!("a scheduled action (`{}`) changed the group", action.name);
        let reason = Reason::new(Cause::Schedule, self.at, &what);
        let was = self.desired;
        self.min = action.min.unwrap_or(self.min);
        self.max = action.max.unwrap_or(self.max).max(self.min);
        self.desired = action.desired.unwrap_or(self.desired).clamp(self.min, self.max);
        if self.desired != was {
            self.note_order(None, Number::Desired, was, self.desired);
        }
        self.reconcile(setting, &reason);
    }

    /// Target tracking, by the customary alarms: 3 minutes above, 15 minutes below 0.7 of it.
    fn native(&mut self, setting: &Setting) {
        self.native_at = self.at + NATIVE_EVERY;
        if self.suspended.contains(&Process::AlarmNotification) {
            return;
        }
        let target = setting.spec.native_target;
        let this_minute = Timestamp(self.at.0.div_euclid(60) * 60);
        let pressures = |minutes: u64| -> Option<Vec<f64>> {
            (1..=minutes)
                .map(|back| setting.pressure(self, this_minute - Seconds(60 * back)))
                .collect()
        };
        let in_service = f64::from(self.serving.at(self.at).unwrap_or(0));
        let wants = |pressure: f64| (in_service * pressure.min(1.0) / target).ceil() as u32;
        let active = setting
            .spec
            .policies
            .iter()
            .find(|policy| policy.enabled && policy.kind == NativePolicyKind::TargetTracking);
        let Some(policy) = active else { return };
        let high = pressures(NATIVE_GROW_MINUTES)
            .filter(|all| all.iter().all(|pressure| *pressure > target))
            .map(|all| wants(all[0]).max(self.desired));
        let low = pressures(NATIVE_SHRINK_MINUTES)
            .filter(|all| policy.scales_in && all.iter().all(|p| *p < 0.7 * target))
            .filter(|_| self.machines.iter().all(|m| m.phase == Phase::Serving))
            .map(|all| wants(all[0]).min(self.desired));
        let Some(to) = high.or(low).map(|to| to.clamp(self.min, self.max)) else { return };
        if to != self.desired {
            let name = policy.name.clone();
            self.note_order(None, Number::Desired, self.desired, to);
            self.desired = to;
            let what = format!("a monitor alarm triggered policy `{name}`");
            self.reconcile(setting, &Reason::new(Cause::NativePolicy, self.at, &what));
        }
    }

    fn note_order(&mut self, decision: Option<&str>, set: Number, from: u32, to: u32) {
        if self.orders.len() >= ORDERS_MAX {
            self.orders.remove(0);
        }
        let decision = decision.map(str::to_owned);
        self.orders.push(Order { at: self.at, decision, set, from: Units(from), to: Units(to) });
    }

    /// Sets a number as AWS does: refuses what is out of bounds, and a minimum above desired
    /// raises desired.
    ///
    /// # Errors
    /// The cloud's words, with nothing changed.
    pub fn set(
        &mut self,
        setting: &Setting,
        change: Change,
        decision: Option<&str>,
        cause: Cause,
    ) -> Result<(), String> {
        let to = change.to().0;
        let was = self.desired;
        match change {
            Change::Desired { .. } if to > self.max => {
                return Err(format!("value {to} is above max value {} for the group", self.max));
            }
            Change::Desired { .. } if to < self.min => {
                return Err(format!("value {to} is below min value {} for the group", self.min));
            }
            Change::Desired { .. } => {
                self.note_order(decision, Number::Desired, was, to);
                self.desired = to;
            }
            Change::Minimum { .. } if to > self.max => {
                let max = self.max;
                return Err(format!("min bound, {to}, must not be above max bound, {max}"));
            }
            Change::Minimum { .. } => {
                self.note_order(decision, Number::Minimum, self.min, to);
                self.min = to;
                self.desired = self.desired.max(to);
            }
        }
        let what = format!(
            "a user request set min: {}, max: {}, desired: {}, changing the desired capacity \
             from {was} to {}",
            self.min, self.max, self.desired, self.desired
        );
        let set = match change {
            Change::Desired { to, .. } => Some(to),
            Change::Minimum { .. } => None,
        };
        let reason = Reason { capacity_set_to: set, ..Reason::new(cause, self.at, &what) };
        self.reconcile(setting, &reason);
        Ok(())
    }

    /// What the cloud never gives twice.
    pub fn id(&self, setting: &Setting) -> GroupId {
        let spec = &setting.spec;
        let place = format!("{}/{}/{}", spec.account, spec.region, spec.name);
        let unique = Stream::named(setting.seed, &place).bits(u64::from(self.generation));
        GroupId {
            provider: setting.provider.clone(),
            account: spec.account.clone(),
            region: spec.region.clone(),
            id: format!("arn:sim:{}:{}:{unique:016x}:{}", spec.region, spec.account, spec.name),
        }
    }

    /// The group as its inventory shows it.
    pub fn state(&self, setting: &Setting) -> GroupState {
        let spec = &setting.spec;
        let recent = self.at - Seconds::hours(1);
        GroupState {
            id: self.id(setting),
            name: spec.name.clone(),
            read_at: self.at,
            desired: Units(self.desired),
            min: Units(self.min),
            max: Units(self.max),
            instances: self.machines.iter().map(|m| self.instance(setting, m)).collect(),
            tags: self.tags(spec),
            suspended: self.suspended.clone(),
            refresh: self.refresh.as_ref().map(|refresh| refresh.id.clone()),
            policies: spec.policies.clone(),
            scheduled: self.scheduled_actions(spec),
            owner: spec.owner.clone(),
            new_instances_protected: spec.new_instances_protected,
            health_check_grace: spec.health_check_grace,
            warm_up: spec.warm_up,
            activities: self.activities_since(recent),
        }
    }

    fn tags(&self, spec: &GroupSpec) -> BTreeMap<String, String> {
        let mut tags = spec.tags.clone();
        if let Some(owner) = &spec.owner {
            tags.insert(owner.evidence.clone(), "owned".to_owned());
        }
        tags
    }

    fn scheduled_actions(&self, spec: &GroupSpec) -> Vec<ScheduledAction> {
        let both = spec.scheduled.iter().zip(&self.schedule);
        both.filter_map(|(action, next)| {
            Some(ScheduledAction {
                name: action.name.clone(),
                at: Some((*next)?),
                recurrence: action.every.map(|every| format!("every {every}")),
                desired: action.desired.map(Units),
                min: action.min.map(Units),
                max: action.max.map(Units),
            })
        })
        .collect()
    }

    fn instance(&self, setting: &Setting, machine: &Machine) -> Instance {
        let spec = &setting.spec;
        Instance {
            id: format!("i-{}-{}-{}", spec.name, self.generation, machine.serial),
            lifecycle: match machine.phase {
                Phase::Booting { .. } => Lifecycle::Pending,
                Phase::Serving => Lifecycle::InService,
                Phase::Draining { .. } => Lifecycle::Terminating,
            },
            weight: Units(spec.weight.max(1)),
            protected: machine.protected,
            healthy: machine.healthy,
            launched_at: Some(machine.launched_at),
            zone: spec.zones.get(machine.zone).cloned(),
            instance_type: Some(spec.instance_type.clone()),
        }
    }

    /// What the group began since then, newest first.
    pub fn activities_since(&self, since: Timestamp) -> Vec<Activity> {
        self.activities.iter().rev().filter(|a| a.started_at >= since).cloned().collect()
    }
}
