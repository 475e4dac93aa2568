//! What people who ask for something are told: what it is about, or why it cannot be.

use std::fmt;

use fleet::resource::ResourceId;
use fleet::{RuleName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::stage::{Missing, Stage};

/// What a request is about that was taken.
///
/// ```
/// use planner::answer::{ActsOnce, AskedFor};
///
/// let once = Some(ActsOnce::Global);
/// let service = AskedFor::Service { name: "checkout".to_owned(), once };
/// assert_eq!(
///     service.to_string(),
///     "service `checkout` (which acts once the global `mode` is `act`)"
/// );
/// let about = Box::new(AskedFor::Everything { services: 3, rules: 1 });
/// let fault = "the disk is full".to_owned();
/// assert_eq!(
///     AskedFor::Unwritten { about, fault }.to_string(),
///     "3 services, 1 rules (not written down: the disk is full)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskedFor {
    /// A service.
    Service {
        name: String,
        /// What keeps it from acting all the same.
        once: Option<ActsOnce>,
    },
    /// A rule.
    Rule {
        name: String,
        /// What keeps it from acting all the same.
        once: Option<ActsOnce>,
    },
    /// A resource.
    Resource(ResourceId),
    /// Everything that acts.
    Everything { services: u64, rules: u64 },
    /// What holds from now on, though the journal did not take it.
    Unwritten {
        about: Box<AskedFor>,
        /// What the journal said.
        fault: String,
    },
}

/// Whose `mode` has to be `act` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActsOnce {
    /// Its own.
    Own,
    /// The global one.
    Global,
}

impl fmt::Display for AskedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskedFor::Service { name, once } => {
                write!(f, "service `{name}`")?;
                once.as_ref().map_or(Ok(()), |once| once.fmt(f))
            }
            AskedFor::Rule { name, once } => {
                write!(f, "rule `{name}`")?;
                once.as_ref().map_or(Ok(()), |once| once.fmt(f))
            }
            AskedFor::Resource(id) => id.fmt(f),
            AskedFor::Everything { services, rules } => {
                write!(f, "{services} services, {rules} rules")
            }
            AskedFor::Unwritten { about, fault } => {
                write!(f, "{about} (not written down: {fault})")
            }
        }
    }
}

/// Behind the name of what waits for it.
impl fmt::Display for ActsOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self {
            ActsOnce::Own => "its",
            ActsOnce::Global => "the global",
        };
        write!(f, " (which acts once {whose} `mode` is `act`)")
    }
}

/// Why a request is not taken.
///
/// ```
/// use fleet::Seconds;
/// use planner::answer::NotTaken;
/// use planner::stage::Missing;
///
/// let missing = vec![
///     Missing::Time { have: Seconds::days(2), need: Seconds::days(7) },
///     Missing::Decisions { have: 4, need: 10 },
/// ];
/// // Whoever asks is told all that is missing, and the way round it.
/// let told = NotTaken::GateNotMet { missing }.to_string();
/// let lacking = "the gate is not met: 2d of 7d in shadow; 4 of 10 decisions; ";
/// let way_round = told.strip_prefix(lacking).expect("what is missing");
/// assert!(way_round.starts_with("`--anyway` promotes it all the same"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NotTaken {
    /// It cannot be read.
    NoRequest { error: String },
    /// Whoever asks is not in the group that may.
    NoRight { name: String, group: String },
    /// The daemon is ending.
    Ending,
    /// The daemon is busy.
    Slow,
    /// The journal did not take it.
    NotWritten {
        /// What it said.
        fault: String,
    },
    /// The end that is asked for has passed.
    Passed { until: Timestamp },
    /// There is no such rule.
    NoRule { rule: RuleName },
    /// There is no such approval.
    NoApproval { id: String },
    /// There is no such resource.
    NoResource {
        /// As it was named.
        name: String,
    },
    /// A name that several resources have.
    Ambiguous { name: String, count: u64 },
    /// There is no such service or rule.
    Unknown {
        name: String,
        /// Some that there are.
        known: Vec<String>,
    },
    /// A canary of a rule.
    CanaryOfRule { name: String },
    /// A service that waits for no promotion.
    UngatedService { name: String },
    /// A rule that waits for no promotion.
    UngatedRule { name: String },
    /// An offer that holds no longer.
    OfferVoid { id: String },
    /// An offer that an earlier version made, under a name of another kind.
    OfferOlder { id: String },
    /// It is as far already.
    ThereAlready {
        name: String,
        /// How far.
        stage: Stage,
    },
    /// Its gate is not met.
    GateNotMet { missing: Vec<Missing> },
    /// Nothing doubts demand that is to be acknowledged.
    NoDoubt {
        /// The service; `None` for all of them.
        name: Option<String>,
    },
    /// An approval of what its rule or schedule would not do any more.
    ApprovalVoid { id: String },
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotTaken::NoRequest { error } => write!(f, "not a request: {error}"),
            NotTaken::NoRight { name, group } => write!(f, "{name} is not in group `{group}`"),
            NotTaken::Ending => f.write_str("the daemon is ending"),
            NotTaken::Slow => f.write_str("a look takes too long, try again"),
            NotTaken::NotWritten { fault } => f.write_str(fault),
            NotTaken::Passed { until } => {
                write!(f, "{until} has passed, expected a time to come")
            }
            NotTaken::NoRule { rule } => write!(f, "no rule `{rule}`: `neap idle` names the rules"),
            NotTaken::NoApproval { id } => write!(
                f,
                "nothing waits for approval `{id}`: the world may have moved on; `neap idle` shows \
                 what waits"
            ),
            NotTaken::ApprovalVoid { id } => write!(
                f,
                "approval `{id}` is void: its rule or schedule is another by now; `neap idle` shows \
                 what waits"
            ),
            NotTaken::NoResource { name } => {
                write!(f, "no resource `{name}` was seen at the last look")
            }
            NotTaken::Ambiguous { name, count } => {
                write!(f, "`{name}` is {count} resources: name one by its id")
            }
            NotTaken::Unknown { name, known } => {
                write!(f, "no service or rule `{name}`; there are {}", known.join(", "))
            }
            NotTaken::CanaryOfRule { name } => {
                write!(f, "`{name}` is a rule, and a canary is of a service")
            }
            NotTaken::UngatedService { name } => {
                write!(f, "`{name}` needs no promotion: its `mode` alone decides")
            }
            NotTaken::UngatedRule { name } => {
                write!(f, "rule `{name}` needs no promotion: its `mode` alone decides")
            }
            NotTaken::OfferOlder { id } => write!(
                f,
                "offer `{id}` is void: an earlier version made it; `neap promote` shows what is offered"
            ),
            NotTaken::OfferVoid { id } => write!(
                f,
                "offer `{id}` is void: configuration, stage or day of the scorecard are others by \
                 now; `neap promote` shows what is offered"
            ),
            NotTaken::ThereAlready { name, stage } => {
                write!(f, "`{name}` is there already: {stage}")
            }
            NotTaken::NoDoubt { name: Some(name) } => {
                write!(f, "demand of `{name}` is not in doubt: there is nothing to acknowledge")
            }
            NotTaken::NoDoubt { name: None } => {
                f.write_str("demand of no service is in doubt: there is nothing to acknowledge")
            }
            NotTaken::GateNotMet { missing } => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the gate is not met: {}; `--anyway` promotes it all the same, and that is \
                     written down",
                    missing.join("; ")
                )
            }
        }
    }
}
