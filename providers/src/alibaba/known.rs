//! What is known of an account in a region beyond one reading, by the estate's questions.

use std::collections::{BTreeMap, BTreeSet};

use fleet::usage::Signal;
use fleet::{Fault, Seconds, Timestamp};

use crate::flight::Flight;

/// What is remembered of a region's machines, and what is being read of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) types: KnownTypes,
    pub(super) agents: BTreeMap<String, BTreeSet<Signal>>,
    pub(super) agents_asked: Option<Timestamp>,
    /// Being read at this moment.
    pub(super) hops: Flight<Result<BTreeSet<String>, Fault>>,
    pub(super) alarms: Flight<Result<Vec<Alarm>, Fault>>,
    pub(super) classic: Flight<Result<Registered, Fault>>,
}

impl Known {
    /// Whether agents are to be asked for now; marks them as asked if so.
    pub(super) fn ask_agents(&mut self, now: Timestamp, every: Seconds) -> bool {
        let due = self.agents_asked.is_none_or(|asked| now.apart(asked) >= every);
        if due {
            self.agents_asked = Some(now);
        }
        due
    }
}

/// An alarm that rings, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) name: String,
    /// The instances that it names; `None` for one over all instances or a group of them, of which
    /// the cloud does not tell here which one it is about.
    pub(super) about: Option<BTreeSet<String>>,
}

/// What matters of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeFacts {
    /// Whether it has a GPU, a part of one, or an FPGA.
    pub(super) accelerator: bool,
    /// Whether it has disks that live in the host.
    pub(super) local_disks: bool,
    /// Whether it earns and spends CPU credits.
    pub(super) burstable: bool,
}

/// The types that were read, with when; `None` where the cloud knows no such type.
pub(super) type KnownTypes = BTreeMap<String, (Timestamp, Option<TypeFacts>)>;

/// By server, the load balancers and server groups in which it is registered.
pub(super) type Registered = BTreeMap<String, BTreeSet<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_asked_for_once_an_hour() {
        let mut known = Known::default();
        let hour = Seconds::hours(1);
        assert!(known.ask_agents(Timestamp(0), hour));
        assert!(!known.ask_agents(Timestamp(3599), hour));
        assert!(known.ask_agents(Timestamp(3600), hour));
    }
}
