//! The shadow beside the running daemon: it decides every cycle as if neap acted, and keeps score.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use fleet::rent::{Commitment, MoneyBaseline, UnitPrice};
use fleet::{ClockJump, Seconds, ServiceName, Timestamp};
use journal::records::Explanation;
use journal::{BadBody, CycleId, Journal, JournalFault, Reader};
use planner::Memory;
use planner::policy::{Mode, Policy};
use planner::snapshot::Snapshot;
use planner::stage::StageRequest;
use serde::{Deserialize, Serialize};

use super::group::SimulatedGroup;
use super::native::NativeScalers;
use super::worth::{Before, Unused, Worth};
use super::{
    DayScores, Doubts, KEPT_DAYS, KeptMinimum, Peak, SavedRules, Scores, Shadow, as_if_act,
};

/// How often the day's scorecards are written down: what is lost by a kill is decided again from
/// the recorded cycles, at most so much of them.
const SAVED_EVERY: Seconds = Seconds::hours(1);

/// Cycles further apart than this have a pause in between, of which nothing is counted.
const PAUSE: Seconds = Seconds::hours(2);

/// Prices of units are looked for among so many of the newest records.
const PRICES_WITHIN: usize = 500;

/// One record of the tree `shadow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ShadowEntry {
    /// The scorecards of a day so far.
    Scores(Box<Saved>),
    /// What somebody asked for.
    Asked(StageRequest),
    /// The scorecards of idle rules, and where their shadow stands.
    Rules(Box<SavedRules>),
    /// The scorecards of a day so far, with each service's peak.
    Scored(Box<Saved>, BTreeMap<ServiceName, Peak>),
    /// All minimums of groups that are the operator's and that neap writes.
    Minimums(Vec<KeptMinimum>),
    /// The clock was set.
    Clock(ClockJump),
    /// What units of groups cost an hour, as it was last read.
    Prices(BTreeMap<ServiceName, UnitPrice>),
    /// The scorecards of a day so far, with what is kept beside each.
    Counted(Box<Saved>, Box<DayAside>),
}

/// What is kept beside the scorecards of a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DayAside {
    pub peaks: BTreeMap<ServiceName, Peak>,
    pub worths: BTreeMap<ServiceName, Worth>,
    /// What of commitments was left unused.
    pub unused: Unused,
    /// How services were sized before neap, as it is known by now.
    pub before: BTreeMap<ServiceName, Before>,
}

/// The scorecards of a day, and what is kept beside them.
type Kept = (Saved, DayAside);

impl ShadowEntry {
    /// The scorecards in it, with what is kept beside them. Earlier versions knew no peaks, and no
    /// money: these are none.
    fn into_scores(self) -> Option<Kept> {
        let (mut saved, aside) = match self {
            ShadowEntry::Scores(saved) => (*saved, DayAside::default()),
            ShadowEntry::Scored(saved, peaks) => {
                (*saved, DayAside { peaks, ..DayAside::default() })
            }
            ShadowEntry::Counted(saved, aside) => (*saved, *aside),
            ShadowEntry::Asked(_)
            | ShadowEntry::Rules(_)
            | ShadowEntry::Minimums(_)
            | ShadowEntry::Prices(_)
            | ShadowEntry::Clock(_) => return None,
        };
        for (name, card) in &mut saved.scores.services {
            card.peak = aside.peaks.get(name).copied().unwrap_or_default();
            card.worth = aside.worths.get(name).copied().unwrap_or_default();
        }
        Some((saved, aside))
    }
}

/// Reads a body that was unpacked when its record was.
///
/// # Errors
/// Why it cannot be read.
pub fn read(body: &[u8]) -> Result<ShadowEntry, BadBody> {
    journal::decode(body)
}

/// The scorecards of a day so far, and the groups as the shadow has sized them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The day, see [`Timestamp::utc_day`].
    pub day: i64,
    /// The last cycle that is in them.
    pub until: Timestamp,
    /// When the scorecards of the day before were last written down.
    pub before: Option<Timestamp>,
    /// The scorecards.
    pub scores: DayScores,
    groups: BTreeMap<ServiceName, SimulatedGroup>,
}

impl fmt::Display for ShadowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShadowEntry::Scores(saved)
            | ShadowEntry::Scored(saved, _)
            | ShadowEntry::Counted(saved, _) => {
                let services = saved.scores.services.len();
                write!(f, "shadow: scorecards of {services} services up to {}", saved.until)
            }
            ShadowEntry::Asked(request) => write!(f, "{request}"),
            ShadowEntry::Clock(jump) => write!(f, "{jump}"),
            ShadowEntry::Prices(prices) => {
                write!(f, "prices of a unit of {} services", prices.len())
            }
            ShadowEntry::Minimums(kept) => {
                write!(f, "minimums of {} groups before neap wrote them", kept.len())
            }
            ShadowEntry::Rules(saved) => {
                let rules = saved.scores.newest().count();
                write!(f, "shadow: scorecards of {rules} idle rules up to {}", saved.until)
            }
        }
    }
}

/// A cycle as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub cycle: CycleId,
    pub snapshot: &'a Snapshot,
    /// What was decided.
    pub plan: &'a planner::plan::Plan,
    /// The memory it left.
    pub memory: &'a Memory,
}

/// The shadow beside the running daemon.
#[derive(Debug)]
pub struct Watch {
    shadow: Shadow,
    /// The policy in force.
    real: Policy,
    /// The same as if it acted.
    policy: Policy,
    doubts: Doubts,
    scores: Arc<RwLock<Scores>>,
    /// The groups' sizes in the last cycle, by which a change is seen whoever made it.
    sizes: BTreeMap<ServiceName, u32>,
    last: Option<Timestamp>,
    saved_at: Option<Timestamp>,
    /// When the scorecards of each day were last written down.
    saved: BTreeMap<i64, Timestamp>,
    /// What the cloud's own scaler would have done.
    native: NativeScalers,
}

impl Watch {
    /// A shadow that begins with what is known, under the policy in force.
    pub fn new(policy: &Policy, memory: &Memory) -> Watch {
        Watch {
            shadow: Shadow::new(memory.clone()),
            real: policy.clone(),
            policy: as_if_act(policy),
            doubts: Doubts::default(),
            scores: Arc::default(),
            sizes: BTreeMap::new(),
            last: None,
            saved_at: None,
            saved: BTreeMap::new(),
            native: NativeScalers::default(),
        }
    }

    /// Takes over what savings are reckoned against, and what is paid whether machines run or not.
    pub fn reckon(&mut self, baseline: MoneyBaseline, commitments: Vec<Commitment>) {
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        scores.baseline = baseline;
        scores.commitments = commitments;
    }

    /// Takes in what units cost, and writes it down where something else is known now.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn price(
        &mut self,
        journal: &Journal,
        now: Timestamp,
        prices: &BTreeMap<ServiceName, UnitPrice>,
    ) -> Result<(), JournalFault> {
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        if scores.prices == *prices {
            return Ok(());
        }
        scores.prices.clone_from(prices);
        drop(scores);
        journal.record_shadow(now, &ShadowEntry::Prices(prices.clone()), false).map(drop)
    }

    /// The scorecards, for whoever shows them.
    pub fn scores(&self) -> Arc<RwLock<Scores>> {
        Arc::clone(&self.scores)
    }

    /// Takes over another policy.
    pub fn reload(&mut self, policy: &Policy) {
        self.real = policy.clone();
        self.policy = as_if_act(policy);
    }

    /// Takes over the scorecards that a journal has, and decides again what came after them.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn restore(&mut self, reader: &Reader, now: Timestamp) -> Result<(), JournalFault> {
        // Whatever the clock says now: what was written last is the newest.
        let mut until = Timestamp(i64::MAX);
        let mut newest: Option<Timestamp> = None;
        let (mut days, mut unused) = (BTreeMap::new(), BTreeMap::new());
        let mut before = None;
        // A day that is still to come was told by a clock that was ahead.
        let mut earlier = now.utc_day() + 1;
        while let Some((written_at, (saved, aside))) = last_saved(reader, until, earlier)? {
            earlier = saved.day;
            if now.utc_day() - saved.day >= KEPT_DAYS {
                break;
            }
            if newest.is_none() {
                newest = Some(saved.until);
                self.shadow.resume(saved.groups, saved.until);
                self.last = Some(saved.until);
            }
            self.saved.insert(saved.day, written_at);
            before.get_or_insert(aside.before);
            unused.insert(saved.day, aside.unused);
            days.insert(saved.day, saved.scores);
            let Some(before) = saved.before else { break };
            until = before + Seconds(1);
        }
        let prices = kept_prices(reader)?;
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        (scores.days, scores.unused, scores.prices) = (days, unused, prices);
        scores.before = before.unwrap_or_default();
        drop(scores);
        self.saved_at = newest;
        // Without any there is nothing to go on from: a scorecard begins with the first cycle.
        let Some(from) = newest else { return Ok(()) };
        if let Some(cycle) = reader.cycle_at(from)? {
            self.sizes = sizes(&cycle.snapshot).collect();
        }
        for cycle in reader.cycles(from + Seconds(1)..now + Seconds(1)) {
            let cycle = cycle?;
            // A clock took it that was ahead.
            if cycle.taken_at() > now {
                continue;
            }
            let (snapshot, plan, memory) = (&cycle.snapshot, &cycle.plan, &cycle.memory_after);
            self.count(Seen { cycle: cycle.id, snapshot, plan, memory });
        }
        Ok(())
    }

    /// The clock was set back to `now`; `left` is what it would have shown. What was told of days that
    /// are still to come is forgotten.
    pub fn rewind(&mut self, left: Timestamp, now: Timestamp) {
        self.shadow.rewind(left, now);
        self.doubts = Doubts::default();
        self.last = self.last.map(|last| last.min(now));
        let today = now.utc_day();
        self.saved.retain(|day, _| *day <= today);
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        scores.days.retain(|day, _| *day <= today);
        scores.unused.retain(|day, _| *day <= today);
        drop(scores);
        self.native = NativeScalers::default();
    }

    /// Takes in a cycle that was recorded, and writes down what it said of services that only the
    /// shadow would have acted on, and the scorecards when it is time.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn take(&mut self, journal: &Journal, seen: Seen<'_>) -> Result<(), JournalFault> {
        let now = seen.snapshot.taken_at;
        let ended = self.last.filter(|last| last.utc_day() < now.utc_day());
        if let Some(last) = ended {
            self.save(journal, last.utc_day(), now)?;
        }
        let others = self.count(seen);
        if !others.is_empty() {
            let known = (&self.real, seen.memory);
            let told = |name| Explanation::new(name, seen.snapshot, seen.plan, known);
            let told = others.iter().map(told).collect();
            journal.record_shadow_stories(seen.cycle, told)?;
        }
        let due = self.saved_at.is_none_or(|at| now.apart(at) >= SAVED_EVERY);
        if due && !seen.snapshot.services.is_empty() {
            self.save(journal, now.utc_day(), now)?;
        }
        Ok(())
    }

    /// Writes down what is not written down yet, at the daemon's end.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn finish(&mut self, journal: &Journal, now: Timestamp) -> Result<(), JournalFault> {
        match self.last {
            Some(last) if self.saved_at < Some(last) => self.save(journal, last.utc_day(), now),
            _ => Ok(()),
        }
    }

    /// Keeps score of a cycle; the services that only the shadow would have acted on.
    fn count(&mut self, seen: Seen<'_>) -> Vec<ServiceName> {
        let Seen { cycle, snapshot, plan, memory } = seen;
        if self.last.is_some_and(|last| snapshot.taken_at.apart(last) > PAUSE) {
            self.shadow.pause();
        }
        let step = self.shadow.step(&self.policy, snapshot, &plan.actions);
        let mut scores = self.scores.write().unwrap_or_else(PoisonError::into_inner);
        let sizes = &self.sizes;
        scores.take(snapshot.taken_at, &self.policy, &step, &|row| {
            let before = sizes.get(&row.service);
            before.zip(row.desired).is_some_and(|(before, now)| *before != now)
        });
        let (real, stages) = (&self.real, &memory.stages);
        let acts = |name: &ServiceName| {
            real.services.get(name).is_some_and(|of| stages.mode(real, name, of) == Mode::Act)
        };
        self.native.step(&self.real, memory, snapshot);
        let native = |name: &ServiceName| self.native.units(name);
        scores.take_worth(snapshot.taken_at, &self.policy, &step, &acts, &native);
        let of_shadow = self.shadow.memory();
        let doubts = self.doubts.take(cycle, &self.policy, of_shadow, snapshot, &step);
        scores.question(snapshot.taken_at, doubts);
        drop(scores);
        for row in &step.compared {
            let Some(desired) = row.desired else { continue };
            match self.sizes.get_mut(&row.service) {
                Some(size) => *size = desired,
                None => drop(self.sizes.insert(row.service.clone(), desired)),
            }
        }
        let acting = real.services.keys().filter(|name| acts(name));
        self.shadow.follow(acting, memory);
        self.last = Some(snapshot.taken_at);
        let really: BTreeSet<&ServiceName> = plan.actions.iter().map(|a| &a.service).collect();
        let services = step.plan.actions.into_iter().map(|action| action.service);
        services.filter(|service| !really.contains(service)).collect()
    }

    fn save(&mut self, journal: &Journal, day: i64, now: Timestamp) -> Result<(), JournalFault> {
        let scores = self.scores.read().unwrap_or_else(PoisonError::into_inner);
        let saved = Saved {
            day,
            until: self.last.unwrap_or(now),
            before: self.saved.range(..day).next_back().map(|(_, at)| *at),
            scores: scores.days.get(&day).cloned().unwrap_or_default(),
            groups: self.shadow.groups().clone(),
        };
        let cards = || saved.scores.services.iter();
        let aside = DayAside {
            peaks: cards().map(|(name, card)| (name.clone(), card.peak)).collect(),
            worths: cards().map(|(name, card)| (name.clone(), card.worth)).collect(),
            unused: scores.unused.get(&day).cloned().unwrap_or_default(),
            before: scores.before.clone(),
        };
        drop(scores);
        let entry = ShadowEntry::Counted(Box::new(saved), Box::new(aside));
        let id = journal.record_shadow(now, &entry, false)?;
        self.saved.insert(day, id.at());
        self.saved.retain(|kept, _| kept + KEPT_DAYS > day);
        self.saved_at = Some(now);
        Ok(())
    }
}

/// The groups' sizes, of those that could be read.
fn sizes(snapshot: &Snapshot) -> impl Iterator<Item = (ServiceName, u32)> {
    snapshot
        .services
        .iter()
        .filter_map(|(name, seen)| Some((name.clone(), seen.group.as_ref().ok()?.desired.0)))
}

/// The newest scorecards written down before `until` of a day before this one, and when they were.
fn last_saved(
    reader: &Reader,
    until: Timestamp,
    before: i64,
) -> Result<Option<(Timestamp, Kept)>, JournalFault> {
    for entry in reader.shadow_newest_first::<ShadowEntry>(Timestamp(0)..until) {
        let (id, entry) = entry?;
        let Some(found) = entry.into_scores() else { continue };
        if found.0.day < before {
            return Ok(Some((reader.written_at(id)?, found)));
        }
    }
    Ok(None)
}

/// What units of groups cost an hour, as it was last read.
///
/// # Errors
/// Where the journal cannot be read.
pub fn kept_prices(reader: &Reader) -> Result<BTreeMap<ServiceName, UnitPrice>, JournalFault> {
    let all = Timestamp(0)..Timestamp(i64::MAX);
    // They are written down anew each day: what is further back is another fleet's.
    for entry in reader.shadow_newest_first::<ShadowEntry>(all).take(PRICES_WITHIN) {
        if let ShadowEntry::Prices(prices) = entry?.1 {
            return Ok(prices);
        }
    }
    Ok(BTreeMap::new())
}

/// What people asked for and no cycle has taken in.
///
/// # Errors
/// Where the journal cannot be read.
pub fn unanswered(
    reader: &Reader,
    last_cycle: Option<CycleId>,
) -> Result<Vec<StageRequest>, JournalFault> {
    let all = Timestamp(0)..Timestamp(i64::MAX);
    let mut requests = Vec::new();
    for entry in reader.shadow_newest_first::<ShadowEntry>(all) {
        let (id, entry) = entry?;
        if last_cycle.is_some_and(|last| id <= last.0) {
            break;
        }
        if let ShadowEntry::Asked(request) = entry {
            requests.push(request);
        }
    }
    requests.reverse();
    Ok(requests)
}
