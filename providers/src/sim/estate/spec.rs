//! What a simulated estate holds and what will happen in it: plain data.

use fleet::resource::Resource;
use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::profile::Profile;

/// What may be idle in a simulated cloud: plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EstateSpec {
    /// So many instances and databases of all profiles, made from the seed, and a part (a volume,
    /// address, load balancer or snapshot) for each four of them. They live where the ready-made
    /// worlds do.
    pub generated: u32,
    /// Resources beside those, each with an id of its own.
    pub machines: Vec<MachineSpec>,
    /// What people do, by the resource's own id.
    pub acts: Vec<(Timestamp, String, MachineAct)>,
    /// What goes wrong.
    pub faults: EstateFaults,
    /// Whether a listing leaves out what takes a call for each resource: stop and termination
    /// protection.
    pub leaves_out: bool,
}

impl EstateSpec {
    /// A fleet of so many machines, listed as the real clouds list theirs; nothing goes wrong.
    pub fn fleet(machines: u32) -> EstateSpec {
        EstateSpec { generated: machines, leaves_out: true, ..EstateSpec::default() }
    }
}

/// A resource, and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSpec {
    /// The resource as it is at the world's start, every fact known.
    pub resource: Resource,
    /// What it does.
    pub profile: Profile,
    /// Ordered to running, about: each start takes 0.8 to 1.6 times this.
    pub boot: Seconds,
    /// Ordered to stopped.
    pub halt: Seconds,
}

/// What people do to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachineAct {
    /// Starts it.
    Start,
    /// Stops it.
    Stop {
        /// Whether its processors and memory are paid for all the same.
        charged: bool,
    },
    /// Ends it.
    Terminate,
    /// Ends it and makes it anew under the same id.
    Remake,
    /// Writes a tag, or takes it away.
    Tag(String, Option<String>),
    /// Takes it into a scaling group, or out of it.
    Join(Option<String>),
    /// Registers it with target groups; an empty list is none.
    Register(Vec<String>),
    /// Switches stop protection on or off.
    Protect(bool),
    /// Alarms about it go off; an empty list calms them.
    Alarm(Vec<String>),
}

/// What goes wrong with an estate, each one time in so many; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EstateFaults {
    /// A listing fails, for a minute.
    pub listing_fails: u32,
    /// A listing is throttled, for a minute.
    pub listing_throttled: u32,
    /// A listing answers after its deadline, for a minute.
    pub listing_slow: u32,
    /// Facts of a resource cannot be read, for an hour.
    pub facts_unread: u32,
    /// Reading what a resource did fails, for a minute.
    pub usage_fails: u32,
    /// A resource's samples of a part of a week, from an hour to two days, are lost for good.
    pub usage_gaps: u32,
    /// A resource's samples of an hour come two hours late.
    pub usage_late: u32,
    pub orders_throttled: u32,
    /// An order has its effect, and the answer is lost.
    pub answers_lost: u32,
    /// An order is lost before it has an effect, and nobody tells.
    pub orders_lost: u32,
    /// A start finds no machine.
    pub no_stock: u32,
}

impl EstateFaults {
    /// Everything goes wrong now and then.
    pub fn rough() -> EstateFaults {
        EstateFaults {
            listing_fails: 20,
            listing_throttled: 25,
            listing_slow: 60,
            facts_unread: 40,
            usage_fails: 50,
            usage_gaps: 60,
            usage_late: 30,
            orders_throttled: 12,
            answers_lost: 10,
            orders_lost: 10,
            no_stock: 8,
        }
    }
}
