//! What a day of idle machines asks of a cloud besides a door: machines of every shape, their hours,
//! and what its calls do to them.

use fleet::{Seconds, Timestamp};

use crate::world::Cloud;

/// What the cloud itself knows of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing remarkable.
    Plain,
    /// It earns and spends CPU credits.
    Burstable,
    /// It has an accelerator, and no local disk.
    Accelerated,
    /// A member of this scaling group.
    MemberOf(&'static str),
    /// It is paid for whether it runs or not: by subscription; on AWS, which sells none for a single
    /// machine, on a dedicated host.
    PaidAnyway,
    /// It must not be ended.
    KeptFromEnd,
    /// It must not be stopped.
    KeptFromStop,
}

/// A machine to make.
#[derive(Clone, Debug)]
pub struct NewMachine {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// What the cloud knows of it.
    pub shape: Shape,
}

/// What a machine did in one hour at most, as far as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hour {
    /// Its start.
    pub at: Timestamp,
    /// Processors busy, in percent.
    pub cpu: f64,
    /// Bytes a second, each way.
    pub network: f64,
    /// Disk operations a second.
    pub disk: Option<f64>,
    /// Memory used, in percent, where an agent tells.
    pub memory: Option<f64>,
    /// CPU credits left, at the least.
    pub credits: Option<f64>,
}

/// Seconds from the start of an hour to its one sample.
pub(super) const SAMPLED_AFTER: Seconds = Seconds(300);

/// What a call does to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// It goes down.
    Stop,
    /// It comes up.
    Start,
    /// It is tagged.
    Mark,
    /// A tag is taken off it.
    Unmark,
}

/// A cloud with machines that may be idle.
pub trait Site: Cloud {
    /// Makes a machine that runs from now on; its id.
    fn make(&self, machine: &NewMachine) -> String;

    /// Puts what a machine did into its metrics.
    fn put_hours(&self, id: &str, hours: &[Hour]);

    /// Its owner takes a tag off a machine.
    fn untag(&self, id: &str, key: &str);

    /// How long stops and starts take from now on.
    fn turning_takes(&self, span: Seconds);

    /// What an operation does; `None` for one that no machine is about.
    fn act(&self, operation: &str) -> Option<Act>;
}

/// One metric's points out of hours: those hours that have the value.
pub(super) fn points<P>(
    hours: &[Hour],
    value: impl Fn(&Hour) -> Option<f64>,
    point: impl Fn(Timestamp, f64) -> P,
) -> Vec<P> {
    let told = hours.iter().filter_map(|hour| Some((hour.at + SAMPLED_AFTER, value(hour)?)));
    told.map(|(at, value)| point(at, value)).collect()
}
