//! What changes about a machine: whether it runs, its tags, and what was done to it.

use fleet::resource::{Fact, Facts, Power, Resource, Saves, Subject};
use fleet::stop::StopMode;
use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::random::Stream;
use super::super::steps::Steps;
use super::spec::{MachineAct, MachineSpec};

/// A start or stop that had an effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerRecord {
    pub at: Timestamp,
    /// Whether it went up.
    pub up: bool,
    /// How, where it went down.
    pub mode: Option<StopMode>,
    /// The decision behind it; `None` where somebody else did it.
    pub decision: Option<String>,
}

/// What changes about a machine. Everything that will happen is decided by this and the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MachineBody {
    /// The resource, but for its power.
    pub resource: Resource,
    phase: Phase,
    /// One while it runs, zero while it does not.
    pub ups: Steps,
    /// Orders given, whatever became of them.
    pub orders: u64,
    /// Starts and stops that had an effect, oldest first.
    pub done: Vec<PowerRecord>,
    acts_done: usize,
    starts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Up,
    Rising { until: Timestamp },
    Falling { until: Timestamp, charged: bool },
    Down { charged: bool },
    Ended,
}

/// Why a machine does not take an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Disobeyed {
    #[error("it has no power")]
    Powerless,
    #[error("OperationNotPermitted: stop protection is on")]
    StopProtected,
    #[error("UnsupportedHibernation: it was not launched for it")]
    CannotHibernate,
    /// It is in a state in which it cannot take it.
    #[error("it is {0}")]
    Is(Power),
}

/// What of a machine never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub boot: Seconds,
    pub halt: Seconds,
    pub chance: Stream,
    pub acts: &'a [(Timestamp, MachineAct)],
}

impl MachineBody {
    /// A machine as the scenario begins with it.
    pub fn at_start(spec: &MachineSpec) -> MachineBody {
        let resource = spec.resource.clone();
        let phase = match &resource.power {
            Power::Stopped { charged } => Phase::Down { charged: charged.unwrap_or(false) },
            Power::Stopping => Phase::Down { charged: false },
            Power::Gone => Phase::Ended,
            _ => Phase::Up,
        };
        let mut ups = Steps::default();
        let since = resource.created_at.unwrap_or(resource.read_at);
        ups.note(since, 1);
        if phase != Phase::Up {
            // It was used until the world began.
            ups.note(resource.read_at.max(since), 0);
        }
        let done = Vec::new();
        MachineBody { resource, phase, ups, orders: 0, done, acts_done: 0, starts: 0 }
    }

    /// Lets everything happen that has its time by `now`.
    pub fn advance(&mut self, frame: Frame<'_>, now: Timestamp) {
        while let Some((at, act)) = frame.acts.get(self.acts_done).filter(|(at, _)| *at <= now) {
            self.settle(*at);
            self.act(frame, act, *at);
            self.acts_done += 1;
        }
        self.settle(now);
    }

    fn settle(&mut self, now: Timestamp) {
        match self.phase {
            Phase::Rising { until } if until <= now => {
                self.phase = Phase::Up;
                self.ups.note(until, 1);
            }
            Phase::Falling { until, charged } if until <= now => {
                self.phase = Phase::Down { charged };
            }
            _ => {}
        }
    }

    /// Whether it is there at all.
    pub fn exists(&self) -> bool {
        self.phase != Phase::Ended
    }

    /// What the cloud says of its power.
    pub fn power(&self) -> Power {
        match self.phase {
            Phase::Up => Power::Running,
            Phase::Rising { .. } => Power::Starting,
            Phase::Falling { .. } => Power::Stopping,
            Phase::Down { charged } => Power::Stopped { charged: Some(charged) },
            Phase::Ended => Power::Gone,
        }
    }

    /// As it is shown now, every fact known.
    pub fn shown(&self, now: Timestamp) -> Resource {
        let power = match self.resource.id.kind.has_power() {
            true => self.power(),
            false => self.resource.power.clone(),
        };
        Resource { power, read_at: now, ..self.resource.clone() }
    }

    /// Starts it; `false` where the order changes nothing.
    ///
    /// # Errors
    /// Why it cannot be started now.
    pub fn start(
        &mut self,
        frame: Frame<'_>,
        decision: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, Disobeyed> {
        match self.phase {
            Phase::Up | Phase::Rising { .. } => return Ok(false),
            Phase::Down { .. } => {}
            Phase::Falling { .. } | Phase::Ended => return Err(Disobeyed::Is(self.power())),
        }
        let share = 0.8 + 0.8 * frame.chance.fork(STARTS).unit(self.starts);
        let boot = (frame.boot.0 as f64 * share).ceil() as u64;
        self.phase = Phase::Rising { until: now + Seconds(boot) };
        self.starts += 1;
        self.resource.started_at = Some(now);
        self.note(now, None, true, decision);
        Ok(true)
    }

    /// Stops it; `false` where the order changes nothing.
    ///
    /// # Errors
    /// Why it cannot be stopped now.
    pub fn stop(
        &mut self,
        frame: Frame<'_>,
        (mode, charged): (StopMode, bool),
        decision: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, Disobeyed> {
        match self.phase {
            Phase::Falling { .. } | Phase::Down { .. } => return Ok(false),
            Phase::Up | Phase::Rising { .. } => {}
            Phase::Ended => return Err(Disobeyed::Is(self.power())),
        }
        self.phase = Phase::Falling { until: now + frame.halt, charged };
        self.ups.note(now, 0);
        self.note(now, Some(mode), false, decision);
        Ok(true)
    }

    fn note(&mut self, at: Timestamp, mode: Option<StopMode>, up: bool, decision: Option<&str>) {
        self.done.push(PowerRecord { at, up, mode, decision: decision.map(str::to_owned) });
    }

    /// What people do to it.
    pub fn act(&mut self, frame: Frame<'_>, act: &MachineAct, now: Timestamp) {
        match act {
            // What the cloud refuses changes nothing.
            MachineAct::Start => drop(self.start(frame, None, now)),
            MachineAct::Stop { charged } => {
                drop(self.stop(frame, (StopMode::Plain, *charged), None, now));
            }
            MachineAct::Terminate => {
                self.phase = Phase::Ended;
                self.ups.note(now, 0);
            }
            MachineAct::Remake => {
                self.phase = Phase::Up;
                self.resource.created_at = Some(now);
                self.resource.started_at = Some(now);
                self.ups = Steps::default();
                self.ups.note(now, 1);
            }
            MachineAct::Tag(key, Some(value)) => {
                self.resource.tags.insert(key.clone(), value.clone());
            }
            MachineAct::Tag(key, None) => drop(self.resource.tags.remove(key)),
            MachineAct::Join(group) => self.with_facts(|facts| {
                facts.scaling_group = Fact::Known(group.clone());
            }),
            MachineAct::Register(targets) => self.with_facts(|facts| {
                facts.targets = Fact::Known(targets.clone());
            }),
            MachineAct::Protect(on) => {
                self.with_facts(|facts| facts.stop_protected = Fact::Known(*on));
            }
            MachineAct::Alarm(alarms) => {
                self.with_facts(|facts| facts.alarms = Fact::Known(alarms.clone()));
            }
        }
    }

    /// Whether its processors and memory are paid for while it is stopped.
    pub fn stays_charged(&self) -> bool {
        let Subject::Machine(facts) = &self.resource.subject else { return true };
        matches!(facts.saves, Fact::Known(Saves::No(_)))
    }

    fn with_facts(&mut self, change: impl FnOnce(&mut Facts)) {
        if let Subject::Machine(facts) = &mut self.resource.subject {
            change(facts);
        }
    }
}

/// The stream of how long starts take, of those that a machine's stream has.
const STARTS: u64 = 101;
