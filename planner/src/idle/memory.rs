//! All that outlives a look at the resources, as plain data; and what changed of it in one.

use std::collections::BTreeMap;
use std::fmt;

use fleet::resource::{Power, ResourceId};
use fleet::stop::StopMode;
use fleet::{AccountId, Fault, OrTold, ProviderName, RuleName, Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::reasons::ExemptReason;

/// The revision of the rules. Plans of a later revision need not be equal on replay; those of
/// earlier ones are, by [`plan_of`](super::plan_of).
pub const REVISION: u32 = 4;

/// From this revision on, approvals are named by the bytes of what is agreed to. Before it, by text;
/// nothing else differs.
pub(super) const NAMED_BY_BYTES: u32 = 2;

/// From this revision on, approvals are named by the terms of their rule, too, and a mark is void once
/// its rule is another.
pub(super) const NAMED_BY_TERMS: u32 = 3;

/// From this revision on, it is told who started a database that neap had stopped, and a start that
/// does not last.
pub(super) const COMES_BACK: u32 = 4;

/// All that outlives a look. [`plan`](super::plan()) takes it and gives the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleMemory {
    /// What belongs to no single rule or resource.
    pub watch: Watch,
    /// The rules and schedules by name.
    pub rules: BTreeMap<RuleName, RuleMemory>,
    /// Resources of which something has to be remembered.
    #[serde(with = "super::pairs")]
    pub cares: BTreeMap<ResourceId, Care>,
    /// When something was stopped within the last day, by where, rising.
    #[serde(with = "super::pairs")]
    pub stops: BTreeMap<Scope, Vec<Timestamp>>,
    /// How starts went, by zone and type.
    pub starts: BTreeMap<String, Starts>,
}

/// How long and how steadily neap has been looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The last look.
    pub looked_at: Option<Timestamp>,
    /// Since when looks have come at the usual interval: a jump of the clock and a daemon that was
    /// down begin it anew.
    pub steady_since: Option<Timestamp>,
    /// Time spent looking: what grace and first weeks are counted in, so that neither a clock that
    /// jumps nor a daemon that was down brings a stop nearer.
    pub watched: Seconds,
}

/// What a rule's past teaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// [`Watch::watched`] when it was first in force.
    pub since_watched: Seconds,
    /// Stops of its own since the beginning or the last release.
    pub stops: u32,
    /// How many of these somebody took back by hand.
    pub taken_back: u32,
    /// Resources it found idle: the day of UTC, and the most at any look of that day.
    pub matched: Option<(i64, u32)>,
    /// The same of the day before, or of the first look.
    pub matched_before: Option<u32>,
    /// An operator has looked at what holds it and let it go on, until then.
    pub released_until: Option<Timestamp>,
}

/// What is remembered of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Care {
    /// When it was made: an id under which it was made anew starts afresh.
    pub created_at: Option<Timestamp>,
    /// Whether it ran when last seen.
    pub power: Option<Power>,
    /// Since when it has been remembered.
    pub known_since: Option<Timestamp>,
    /// When it was first seen in the state it is in; `None` where it was so from the first.
    pub power_since: Option<Timestamp>,
    /// It is marked for a stop.
    pub mark: Option<Mark>,
    /// neap stopped it, and nobody has started it since.
    pub stopped: Option<Stopped>,
    /// It is left alone.
    pub exempt: Option<Exempt>,
    /// An order whose result is not known.
    pub open: Option<Open>,
    /// Somebody else started or stopped it.
    pub by_hand: Option<ByHand>,
    /// Somebody asked for it to be up.
    pub wake: Option<Wake>,
    /// A start that is being tried.
    pub starting: Option<Starting>,
    /// For parts: since when it has been seen unused.
    pub unused_since: Option<Timestamp>,
    /// An approval asked for outside of a mark: a schedule's stop of a database.
    pub asked: Option<Approval>,
}

impl Care {
    /// Whether nothing but its last state is remembered.
    pub fn is_nothing(&self) -> bool {
        self.mark.is_none()
            && self.stopped.is_none()
            && self.exempt.is_none()
            && self.open.is_none()
            && self.by_hand.is_none()
            && self.wake.is_none()
            && self.starting.is_none()
            && self.unused_since.is_none()
            && self.asked.is_none()
    }

    /// The approvals that it waits for.
    pub fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.mark.as_ref().map(|mark| &mark.approval).into_iter().chain(&self.asked)
    }
}

/// A mark: the announcement of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "MarkStored", into = "MarkStored")]
pub struct Mark {
    /// The rule that set it.
    pub rule: RuleName,
    pub at: Timestamp,
    /// [`Watch::watched`] then: grace is counted from here.
    pub at_watched: Seconds,
    /// Where a person has to agree.
    pub approval: Approval,
    /// Whether the resource carries it as a tag, too.
    pub tagged: bool,
    /// It had led to a stop that the cloud took back by itself, seen then.
    pub restarted_at: Option<Timestamp>,
}

/// A mark as it is stored: what the cloud took back stands behind the rest, as the third value of
/// what was only yes or no.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Mark")]
struct MarkStored {
    rule: RuleName,
    at: Timestamp,
    at_watched: Seconds,
    approval: Approval,
    tagged: TaggedStored,
}

#[derive(Serialize, Deserialize)]
enum TaggedStored {
    No,
    Yes,
    Restarted { at: Timestamp, tagged: bool },
}

impl From<Mark> for MarkStored {
    fn from(mark: Mark) -> MarkStored {
        let Mark { rule, at, at_watched, approval, tagged, restarted_at } = mark;
        let tagged = match (restarted_at, tagged) {
            (Some(at), tagged) => TaggedStored::Restarted { at, tagged },
            (None, true) => TaggedStored::Yes,
            (None, false) => TaggedStored::No,
        };
        MarkStored { rule, at, at_watched, approval, tagged }
    }
}

impl From<MarkStored> for Mark {
    fn from(stored: MarkStored) -> Mark {
        let MarkStored { rule, at, at_watched, approval, tagged } = stored;
        let (tagged, restarted_at) = match tagged {
            TaggedStored::No => (false, None),
            TaggedStored::Yes => (true, None),
            TaggedStored::Restarted { at, tagged } => (tagged, Some(at)),
        };
        Mark { rule, at, at_watched, approval, tagged, restarted_at }
    }
}

/// An agreement that is asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What the person names: it stands for this resource, rule as it was, way of stopping and mark.
    pub id: String,
    /// Who agreed, and when.
    pub given: Option<(String, Timestamp)>,
}

/// A stop of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoppedStored", into = "StoppedStored")]
pub struct Stopped {
    /// When it was ordered.
    pub at: Timestamp,
    /// The rule or schedule.
    pub rule: RuleName,
    /// Whether a schedule did it.
    pub by_schedule: bool,
    /// The decision, as the journal names it.
    pub decision: String,
    pub mode: StopMode,
    /// What it is stopped again by, where the cloud starts it.
    pub kept: Kept,
}

/// What is kept of a stop that a cloud takes back by itself after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When the cloud starts it, as it said while it was down.
    pub restarts_at: Option<Timestamp>,
    /// The mark that led to the stop.
    pub mark: Option<Mark>,
    /// The agreement that a schedule's stop had.
    pub asked: Option<Approval>,
}

/// A stop as it is stored: what is kept stands behind the rest, and only where there is anything, as
/// in records from before there was.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Stopped")]
struct StoppedStored {
    at: Timestamp,
    rule: RuleName,
    by_schedule: bool,
    decision: String,
    mode: ModeStored,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "StopMode", rename_all = "snake_case")]
enum ModeStored {
    Plain,
    Hibernate,
    PlainAnd(Kept),
    HibernateAnd(Kept),
}

impl From<Stopped> for StoppedStored {
    fn from(stopped: Stopped) -> StoppedStored {
        let Stopped { at, rule, by_schedule, decision, mode, kept } = stopped;
        let mode = match (mode, kept == Kept::default()) {
            (StopMode::Plain, true) => ModeStored::Plain,
            (StopMode::Hibernate, true) => ModeStored::Hibernate,
            (StopMode::Plain, false) => ModeStored::PlainAnd(kept),
            (StopMode::Hibernate, false) => ModeStored::HibernateAnd(kept),
        };
        StoppedStored { at, rule, by_schedule, decision, mode }
    }
}

impl From<StoppedStored> for Stopped {
    fn from(stored: StoppedStored) -> Stopped {
        let StoppedStored { at, rule, by_schedule, decision, mode } = stored;
        let (mode, kept) = match mode {
            ModeStored::Plain => (StopMode::Plain, Kept::default()),
            ModeStored::Hibernate => (StopMode::Hibernate, Kept::default()),
            ModeStored::PlainAnd(kept) => (StopMode::Plain, kept),
            ModeStored::HibernateAnd(kept) => (StopMode::Hibernate, kept),
        };
        Stopped { at, rule, by_schedule, decision, mode, kept }
    }
}

/// Why a resource is left alone, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// When it ends.
    pub until: Timestamp,
    pub why: OrTold<ExemptReason>,
}

/// An order whose result is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Whether to go up or down.
    pub up: bool,
    /// When it was decided.
    pub at: Timestamp,
    /// For a stop: the caps that it drew on, to be given back if it does not happen.
    pub drawn: Vec<Scope>,
}

/// Somebody else's start or stop: respected until the schedule's next switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Whether it was started.
    pub up: bool,
    /// When that was seen.
    pub at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// Somebody's wish for a resource to be up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    pub until: Timestamp,
    pub by: String,
}

/// A start that is being tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starting {
    pub since: Timestamp,
    /// Orders given.
    pub tries: u32,
    /// Not again before.
    pub next: Timestamp,
    /// What the cloud said last.
    pub fault: Option<Fault>,
    /// Whether people were told that it does not come back.
    pub escalated: bool,
}

/// What a cap counts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// An account, over all rules.
    Account { provider: ProviderName, account: AccountId },
    /// A rule in an account.
    Rule { rule: RuleName, provider: ProviderName, account: AccountId },
    /// Resources of a rule that share a tag's value.
    Tag { rule: RuleName, value: String },
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Account { provider, account } => write!(f, "account {provider}/{account}"),
            Scope::Rule { rule, provider, account } => {
                write!(f, "rule `{rule}` in account {provider}/{account}")
            }
            Scope::Tag { rule, value } => write!(f, "group `{value}` of rule `{rule}`"),
        }
    }
}

/// How starts of one type in one zone went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// The newest times from order to running, in seconds, oldest first; at most 16.
    pub took: Vec<u32>,
    /// Starts that came up.
    pub good: u32,
    /// Orders that the cloud had no machine for.
    pub without_capacity: u32,
}

/// Times kept a type and zone.
pub(super) const TOOK_KEPT: usize = 16;

impl Starts {
    /// How long before it is needed a machine is started: a high quantile of what was measured,
    /// `start` until there is enough.
    ///
    /// ```
    /// use fleet::Seconds;
    /// use planner::idle::memory::Starts;
    ///
    /// let start = Seconds::minutes(5);
    /// let quick = Starts { took: vec![40, 50, 60], ..Starts::default() };
    /// assert_eq!(quick.lead(start), start);
    /// let measured = Starts { took: vec![40, 50, 60, 400], ..Starts::default() };
    /// assert_eq!(measured.lead(start), Seconds(400));
    /// ```
    pub fn lead(&self, start: Seconds) -> Seconds {
        let mut took: Vec<u64> = self.took.iter().map(|s| u64::from(*s)).collect();
        while took.len() < 4 {
            took.push(start.0);
        }
        took.sort_unstable();
        Seconds(took[(took.len() * 19).div_ceil(20) - 1])
    }
}

/// What changed of an [`IdleMemory`] in a look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleDelta {
    /// How long neap has been looking.
    pub watch: Watch,
    /// Rules that are new or changed; `None` for those that are gone.
    pub rules: BTreeMap<RuleName, Option<RuleMemory>>,
    /// Resources, likewise.
    #[serde(with = "super::pairs")]
    pub cares: BTreeMap<ResourceId, Option<Care>>,
    #[serde(with = "super::pairs")]
    pub stops: BTreeMap<Scope, Option<Vec<Timestamp>>>,
    pub starts: BTreeMap<String, Option<Starts>>,
}

/// What leads from `old` to `new`.
pub fn idle_delta(old: &IdleMemory, new: &IdleMemory) -> IdleDelta {
    IdleDelta {
        watch: new.watch,
        rules: changes(&old.rules, &new.rules),
        cares: changes(&old.cares, &new.cares),
        stops: changes(&old.stops, &new.stops),
        starts: changes(&old.starts, &new.starts),
    }
}

impl IdleDelta {
    /// Makes the changes: `idle_delta(a, b).apply(&mut a)` makes `a` equal `b`.
    pub fn apply(&self, memory: &mut IdleMemory) {
        memory.watch = self.watch;
        put(&self.rules, &mut memory.rules);
        put(&self.cares, &mut memory.cares);
        put(&self.stops, &mut memory.stops);
        put(&self.starts, &mut memory.starts);
    }
}

fn changes<K: Ord + Clone, V: PartialEq + Clone>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> BTreeMap<K, Option<V>> {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
    let changed = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    gone.chain(changed).collect()
}

fn put<K: Ord + Clone, V: Clone>(changes: &BTreeMap<K, Option<V>>, into: &mut BTreeMap<K, V>) {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key.clone(), value.clone()),
            None => into.remove(key),
        };
    }
}
