//! What is known of the groups in each place: its last good answer, and what went wrong since.
//!
//! No clock and no cloud: times and answers are passed in.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::{GroupState, MembersServing};
use fleet::{Fault, GroupId, Place, Seconds, Timestamp, Units};
use planner::snapshot::{NoAnswer, Undiscovered};

use super::carried::Carried;

/// How often a place is asked that answers: a listing costs as much as a cycle's reading, and a new
/// group may wait so long to be sized.
pub const ASKED_EVERY: Seconds = Seconds::minutes(5);

/// How often a place is asked at least that gives no answer: what comes back is to be sized within
/// minutes, and one call a minute hurries no cloud.
pub const RETRIED_EVERY: Seconds = Seconds::minutes(1);

/// All places in which groups are looked for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    by_place: BTreeMap<Place, Heard>,
}

/// What was heard of a place.
#[derive(Clone, Debug, Default)]
struct Heard {
    groups: BTreeMap<GroupId, Sighted>,
    /// Until a first good answer.
    carried: Vec<Carried>,
    asked_at: Option<Timestamp>,
    /// An answer is under way.
    is_asked: bool,
    /// Of when what is known is.
    known_at: Option<Timestamp>,
    failing: Option<Failing>,
}

/// A group in the last good answer, or in the one before.
#[derive(Clone, Debug, PartialEq)]
struct Sighted {
    group: GroupState,
    /// The last good answer did not have it: one listing that leaves a group out is no proof.
    missed: bool,
}

#[derive(Clone, Debug)]
struct Failing {
    fault: Fault,
    since: Timestamp,
    times: u32,
}

impl Places {
    /// Looks in these places from now on: what is known of others is forgotten.
    pub fn follow(&mut self, wanted: impl IntoIterator<Item = Place>) {
        let wanted: BTreeSet<Place> = wanted.into_iter().collect();
        self.by_place.retain(|place, _| wanted.contains(place));
        for place in wanted {
            self.by_place.entry(place).or_default();
        }
    }

    /// All places that are looked in.
    pub fn all(&self) -> impl Iterator<Item = &Place> {
        self.by_place.keys()
    }

    /// Takes in services of before a restart, as of `then`. A place that is not looked in is, if it
    /// `may` be one that was not found yet.
    pub fn carry(&mut self, carried: Vec<Carried>, then: Timestamp, may: impl Fn(&Place) -> bool) {
        for carried in carried {
            let place = Place::of(&carried.service.pool.group);
            if may(&place) {
                self.by_place.entry(place.clone()).or_default();
            }
            let Some(heard) = self.by_place.get_mut(&place) else { continue };
            heard.known_at = heard.known_at.or(Some(then));
            heard.carried.push(carried);
        }
    }

    /// The places to ask now: they count as asked.
    pub fn ask(&mut self, now: Timestamp, poll: Seconds) -> Vec<Place> {
        let mut due = Vec::new();
        for (place, heard) in &mut self.by_place {
            if heard.is_due(now, poll) {
                (heard.is_asked, heard.asked_at) = (true, Some(now));
                due.push(place.clone());
            }
        }
        due
    }

    /// All places are to be asked anew.
    pub fn ask_anew(&mut self) {
        self.by_place.values_mut().for_each(|heard| heard.asked_at = None);
    }

    /// Takes in the answer of a place that was asked. Whether other groups are known now.
    pub fn answered(
        &mut self,
        place: &Place,
        now: Timestamp,
        answer: Result<Vec<GroupState>, Fault>,
    ) -> bool {
        let Some(heard) = self.by_place.get_mut(place) else { return false };
        heard.is_asked = false;
        match answer {
            Ok(groups) => heard.take(groups, now),
            Err(fault) => {
                let (since, times) = match &heard.failing {
                    Some(failing) => (failing.since.min(now), failing.times.saturating_add(1)),
                    None => (now, 1),
                };
                heard.failing = Some(Failing { fault, since, times });
                false
            }
        }
    }

    /// Why a place gives no answer, where that is so.
    pub fn fault(&self, place: &Place) -> Option<&Fault> {
        self.by_place.get(place)?.failing.as_ref().map(|failing| &failing.fault)
    }

    /// The groups that are known.
    pub fn groups(&self) -> impl Iterator<Item = &GroupState> {
        self.by_place.values().flat_map(|heard| heard.groups.values()).map(|seen| &seen.group)
    }

    /// Services of before a restart whose place has not answered.
    pub fn carried(&self) -> impl Iterator<Item = &Carried> {
        self.by_place.values().flat_map(|heard| &heard.carried)
    }

    /// The places that give no answer.
    pub fn missing(&self) -> Undiscovered {
        let missing = |(place, heard): (&Place, &Heard)| {
            let Failing { fault, since, .. } = heard.failing.clone()?;
            Some((place.clone(), NoAnswer { fault, since, known_at: heard.known_at }))
        };
        self.by_place.iter().filter_map(missing).collect()
    }
}

impl Heard {
    /// Half a poll of leeway: the clock of a cycle is never the second.
    fn is_due(&self, now: Timestamp, poll: Seconds) -> bool {
        let leeway = Seconds(poll.0 / 2);
        let due = |at: Timestamp| at > now || now.since(at).0 + leeway.0 >= self.pause(poll).0;
        !self.is_asked && self.asked_at.is_none_or(due)
    }

    /// How long after it was asked a place is asked again: at the next poll where something is missing,
    /// and with polls of seconds half as often each time that it fails.
    fn pause(&self, poll: Seconds) -> Seconds {
        let poll = poll.0.max(1);
        match &self.failing {
            Some(failing) => {
                let doubled = poll.saturating_mul(1 << failing.times.saturating_sub(1).min(16));
                Seconds(doubled.min(RETRIED_EVERY.0))
            }
            None if self.is_in_doubt() => Seconds(poll),
            None => ASKED_EVERY,
        }
    }

    fn is_in_doubt(&self) -> bool {
        !self.carried.is_empty() || self.groups.values().any(|seen| seen.missed)
    }

    fn take(&mut self, groups: Vec<GroupState>, now: Timestamp) -> bool {
        let sighted = |GroupState { id, name, tags, .. }: GroupState| {
            (id.clone(), Sighted { group: bare(id, name, tags), missed: false })
        };
        let mut found: BTreeMap<GroupId, Sighted> = groups.into_iter().map(sighted).collect();
        let names: BTreeSet<String> = found.values().map(|seen| seen.group.name.clone()).collect();
        let before = std::mem::take(&mut self.groups);
        for (id, seen) in &before {
            if !seen.missed && !names.contains(&seen.group.name) {
                found.insert(id.clone(), Sighted { missed: true, ..seen.clone() });
            }
        }
        let carried = self.carried.len();
        self.carried.retain_mut(|carried| {
            let is_here = names.contains(&carried.service.pool.group.name);
            !is_here && !std::mem::replace(&mut carried.missed, true)
        });
        let known = |all: &BTreeMap<GroupId, Sighted>| -> Vec<GroupState> {
            all.values().map(|seen| seen.group.clone()).collect()
        };
        let changed = known(&before) != known(&found) || carried != self.carried.len();
        (self.groups, self.known_at, self.failing) = (found, Some(now), None);
        changed
    }
}

/// A group without all that changes while it does its work: what templates read.
pub(super) fn bare(id: GroupId, name: String, tags: BTreeMap<String, String>) -> GroupState {
    GroupState {
        id,
        name,
        tags,
        read_at: Timestamp(0),
        desired: Units(0),
        min: Units(0),
        max: Units(0),
        instances: Vec::new(),
        suspended: BTreeSet::new(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds::ZERO,
        warm_up: None,
        activities: Vec::new(),
        serving: MembersServing::Untold,
        buys_spot: false,
        warm_pool: None,
    }
}
