//! A simulated group: what happens in it, in order of time, however often one looks.

mod acts;
mod setting;
mod shown;

use std::collections::{BTreeSet, VecDeque};

use fleet::group::{Activity, ActivityKind, ActivityStatus, Cause, NativePolicyKind, Process};
use fleet::{Seconds, Timestamp, Units};
use serde::{Deserialize, Serialize};

pub(crate) use setting::Setting;

use super::steps::Steps;

/// Activities kept a group; AWS keeps six weeks.
const ACTIVITIES_MAX: usize = 1000;
/// How long the cloud waits before it tries a failed launch again.
const RETRY_AFTER: Seconds = Seconds(60);
/// Native policies look once a minute.
const NATIVE_EVERY: Seconds = Seconds(60);

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
    pub at: Timestamp,
    /// The decision behind it; `None` where it came from another writer.
    pub decision: Option<String>,
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
    /// When it begins to serve, which may be after it is in service.
    #[serde(default)]
    serves_at: Timestamp,
}

impl Machine {
    /// Whether it serves by now.
    fn serves(&self, now: Timestamp) -> bool {
        self.phase == Phase::Serving && self.serves_at <= now
    }
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
    Serves(usize),
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
                serves_at: self.at - ago,
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

    /// How far it has been played.
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
                Phase::Serving => {
                    (machine.serves_at > self.at).then_some((machine.serves_at, Event::Serves(i)))
                }
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
            Event::Booted(i) => self.booted(setting, i),
            // It is counted below.
            Event::Serves(_) => {}
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

    fn booted(&mut self, setting: &Setting, index: usize) {
        let serves_at = self.at + setting.spec.serves_after;
        let machine = &mut self.machines[index];
        let activity = machine.activity.clone();
        if let Phase::Booting { fails: true, .. } = machine.phase {
            self.machines.remove(index);
            self.end(&activity, ActivityStatus::Failed { no_capacity: false });
        } else {
            machine.phase = Phase::Serving;
            machine.serves_at = serves_at;
            self.end(&activity, ActivityStatus::Successful);
        }
    }

    /// Units booting or in service.
    fn live(&self, setting: &Setting) -> u32 {
        let live = self.machines.iter().filter(|m| !matches!(m.phase, Phase::Draining { .. }));
        live.count() as u32 * setting.spec.weight.max(1)
    }

    /// Notes units that serve and units paid for.
    fn count(&mut self, setting: &Setting) {
        let weight = setting.spec.weight.max(1);
        let serving = self.machines.iter().filter(|m| m.serves(self.at)).count() as u32;
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
            serves_at: at,
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
            launch: None,
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
}
