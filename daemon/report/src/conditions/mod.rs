//! What people are paged for: found in what a cycle saw and did, followed from cycle to cycle, and
//! told when it begins, while it lasts, and when it is over.
//!
//! Nothing here reads a clock or a disk. [`find`] looks at one cycle, [`follow`] lays what it found
//! beside what was wrong before, [`notice`] words what is to be told.

mod find;
mod follow;
mod times;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use fleet::alert::{Condition, Severity};
use fleet::{Change, Fault, OrTold, Seconds, Units};
use journal::records::Promise;
use journal::records::conditions::ThreadKey;
use planner::plan::Hold;
use planner::reasons::SwitchThrown;
use planner::snapshot::NoAnswer;

pub use find::{Cycle, find, unwritten};
pub use follow::{Say, Telling, follow};
pub use times::{AGAIN_AFTER_CYCLES, resolves_after_cycles, rings_after_cycles, rings_again_after};
pub use words::notice;

/// What stands for neap itself where others name an account.
pub const OF_NEAP: &str = "neap";

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What, and where.
    pub key: ThreadKey,
    /// Whom it concerns: a service, a provider, or a part of neap.
    pub subject: String,
    pub severity: Severity,
    pub why: Trouble,
    /// How many cycles it has to last before it is told.
    pub after_cycles: u64,
}

/// What a cycle says of everything that may be wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// What is wrong.
    pub found: Vec<Found>,
    /// Of what nobody can tell whether it is: it neither begins nor ends.
    pub unknown: Unknown,
}

/// Of what a cycle cannot tell whether it is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unknown {
    /// Of services and others by name.
    pub by_name: BTreeSet<(Condition, String)>,
    /// Of all in the scopes of a provider that are not named by the policy.
    pub of_providers: Vec<String>,
    /// Who is looked at all the same.
    pub known: BTreeSet<String>,
    /// Of everything but this: there was no cycle.
    pub all_but: Option<Condition>,
}

impl Unknown {
    /// Whether nobody can tell.
    pub fn holds(&self, key: &ThreadKey, subject: &str) -> bool {
        if let Some(known) = self.all_but {
            return key.of != known;
        }
        let provider = key.scope.split('/').next().unwrap_or_default();
        let is_away = key.of != Condition::Discovery && !self.known.contains(subject);
        (is_away && self.of_providers.iter().any(|of| of == provider))
            || self.by_name.contains(&(key.of, subject.to_owned()))
    }
}

/// Why something is held to be wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// What the cloud said to an order.
    Order { change: Change, fault: Fault },
    /// What a group has, what it was told to have and for how long, and why it gets no more in the
    /// cloud's words.
    Short { told: Units, has: Units, since: Seconds, cloud: Option<String> },
    /// The hold that says so.
    Held(Hold),
    /// Nothing newer of a service's demand can be read.
    Unread(Fault),
    /// How the promise was kept.
    Missed(Promise),
    /// What was found of the kill switch.
    Thrown(OrTold<SwitchThrown>),
    /// Only the reserve is left.
    ReserveOnly,
    /// Why the journal cannot be written.
    NotWritten(String),
    /// Why groups cannot be looked for.
    Undiscovered(NoAnswer),
}
