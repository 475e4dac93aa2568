//! Why a machine is stopped, kept or asked about: the reasons inside holds and findings.

use std::fmt;

use fleet::usage::Signal;
use fleet::{Fault, RuleName, Timestamp};
use serde::{Deserialize, Serialize};

use super::plan::IdleHold;

/// What could keep a machine from coming back, or what a stop of it loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RiskReason {
    /// Its type is scarce.
    Scarce {
        /// The type.
        class: String,
    },
    /// Its type is bare metal.
    BareMetal {
        /// The type.
        class: String,
    },
    /// A spot machine.
    Spot,
    /// Starts of its type in its zone found no capacity.
    NoCapacity { failed: u32, of: u32 },
    /// Its public address is another one afterwards.
    AddressChanges,
    /// Its CPU credits may be lost.
    CreditsLost,
}

impl fmt::Display for RiskReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RiskReason::Scarce { class } => write!(f, "type `{class}` is scarce"),
            RiskReason::BareMetal { class } => write!(f, "type `{class}` is bare metal"),
            RiskReason::Spot => {
                f.write_str("a spot machine starts only while there is spare capacity")
            }
            RiskReason::NoCapacity { failed, of } => {
                write!(f, "{failed} of {of} starts of this type in this zone found no capacity")
            }
            RiskReason::AddressChanges => f.write_str("its public address changes"),
            RiskReason::CreditsLost => f.write_str("its CPU credits may be lost"),
        }
    }
}

/// Why a person has to agree to a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalReason {
    /// It is a database.
    Database,
    /// The rule's mode.
    Rule,
    /// The schedule's mode.
    Schedule,
    /// People took back too many of the rule's stops.
    TakenBack { back: u32, stops: u32 },
}

impl fmt::Display for ApprovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApprovalReason::Database => f.write_str("databases are never stopped without a person"),
            ApprovalReason::Rule => f.write_str("the rule asks for it"),
            ApprovalReason::Schedule => f.write_str("the schedule asks for it"),
            ApprovalReason::TakenBack { back, stops } => {
                write!(f, "{back} of the rule's {stops} stops were taken back by hand")
            }
        }
    }
}

/// Why a resource is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExemptReason {
    /// Somebody asked for it.
    Asked { by: String },
    /// Somebody refused a stop.
    Refused { by: String },
    /// Somebody started it again.
    StartedAgain {
        /// After a stop by which rule.
        rule: RuleName,
    },
}

impl fmt::Display for ExemptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExemptReason::Asked { by } => write!(f, "{by} asked for it"),
            ExemptReason::Refused { by } => write!(f, "{by} said no to a stop"),
            ExemptReason::StartedAgain { rule } => {
                write!(f, "somebody started it again after rule `{rule}` had stopped it")
            }
        }
    }
}

/// Why a machine's newest hours are not idle by a schedule's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotIdle {
    /// It has no samples at all.
    NoSamples,
    /// It has none of a signal.
    NoSampleOf { signal: Signal },
    /// A signal is above its limit.
    Above {
        signal: Signal,
        /// Its greatest value, in thousandths of its unit.
        worst_milli: u64,
        /// The limit, in thousandths of its unit.
        limit_milli: u64,
    },
}

impl fmt::Display for NotIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotIdle::NoSamples => f.write_str("no samples"),
            NotIdle::NoSampleOf { signal } => write!(f, "no sample of {signal}"),
            NotIdle::Above { signal, worst_milli, limit_milli } => {
                let [worst, limit] = [*worst_milli, *limit_milli].map(|milli| milli as f64 / 1e3);
                write!(f, "{signal} is {worst:.1}, limit {limit}")
            }
        }
    }
}

/// Why a schedule says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleGap {
    /// It does not cover this moment.
    Uncovered { at: Timestamp },
    /// What a resource's tags say of it is not understood.
    Fault(ScheduleFault),
}

impl fmt::Display for ScheduleGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleGap::Uncovered { at } => write!(f, "nothing is known of it at {at}"),
            ScheduleGap::Fault(fault) => fault.fmt(f),
        }
    }
}

/// What is wrong with what a resource's tags say of its schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleFault {
    /// Its hours are not understood.
    Hours(TagFault),
    /// Its place in the order of starts is no number.
    Order {
        tag: String,
        /// What it says.
        text: String,
    },
}

impl fmt::Display for ScheduleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleFault::Hours(fault) => fault.fmt(f),
            ScheduleFault::Order { tag, text } => {
                write!(f, "tag `{tag}` is `{text}`, expected a whole number")
            }
        }
    }
}

/// Why tags say no hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagFault {
    /// Two tags of one key with two values.
    Differ {
        /// One key.
        first: String,
        /// The other one.
        second: String,
    },
    /// Days and hours that cannot be read.
    NoHours {
        /// `on` or `off`.
        key: String,
        /// What stands there.
        list: String,
    },
    /// A blank that Cloud Custodian takes for a part of the key.
    Blank { key: String },
    /// A key that there is none of.
    UnknownKey { key: String },
    /// Something else between semicolons.
    NoPair {
        /// What stands there.
        piece: String,
    },
    /// A zone that nobody knows.
    UnknownZone { name: String },
}

impl fmt::Display for TagFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TagFault::Differ { first, second } => {
                write!(f, "tags `{first}` and `{second}` differ in case alone and say two things")
            }
            TagFault::NoHours { key, list } => {
                write!(f, "`{key}={list}` is no list of days and hours such as `(M-F,19)`")
            }
            TagFault::Blank { key } => {
                write!(f, "a blank beside `{key}` hides it from Cloud Custodian")
            }
            TagFault::UnknownKey { key } => {
                write!(f, "unknown key `{key}`, expected `on`, `off` or `tz`")
            }
            TagFault::NoPair { piece } => write!(f, "`{piece}` is not a key, `=` and a value"),
            TagFault::UnknownZone { name } => write!(f, "unknown time zone `{name}`"),
        }
    }
}

impl std::error::Error for TagFault {}

/// Why a start that did not come to be is tried again later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// Nobody said.
    Unsaid,
    /// What the cloud said.
    Fault(Box<Fault>),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartFailure::Unsaid => Ok(()),
            StartFailure::Fault(fault) => fault.fmt(f),
        }
    }
}

/// What the last look before an order found in place of what the plan saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastLook {
    /// Nothing: the cloud does not know it any more.
    Gone,
    /// Something that holds the order.
    Held(Box<IdleHold>),
}

impl fmt::Display for LastLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LastLook::Gone => f.write_str("it is gone"),
            LastLook::Held(hold) => hold.fmt(f),
        }
    }
}
