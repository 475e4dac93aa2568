//! From one cycle to the next: what begins, what lasts and what is over.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::{Condition, Severity};
use fleet::{Seconds, Timestamp};
use journal::records::conditions::{Announced, Member, OpenConditions, ThreadKey, ThreadState};

use super::times::{
    AGAIN_AFTER_CYCLES, cycles, resolves_after_cycles, rings_after_cycles, rings_again_after,
};
use super::{Assessment, Found, Trouble};

/// Something to be told of a thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    pub key: ThreadKey,
    pub said: Say,
    /// The worst of all that is told; of what is over, the worst that was.
    pub severity: Severity,
    /// Since when it has been told.
    pub since: Timestamp,
    /// Whom it concerns, and why, where this cycle knows.
    pub subjects: BTreeMap<String, Option<Trouble>>,
    /// What is left of the thread.
    pub left: Option<ThreadState>,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It begins.
    Begins,
    /// It concerns others too, or is worse.
    Grows,
    /// It lasts.
    Lasts,
    /// It is over.
    Over,
}

/// Lays what a cycle found beside what was wrong before. What is to be told comes back by thread.
pub fn follow(
    now: Timestamp,
    poll: Seconds,
    assessment: Assessment,
    open: &mut OpenConditions,
) -> Vec<Telling> {
    set_right(now, open);
    let Assessment { found, unknown } = assessment;
    let mut whys: BTreeMap<(Condition, String), Trouble> = BTreeMap::new();
    for found in found {
        begin(now, poll, &found, open);
        whys.insert((found.key.of, found.subject), found.why);
    }
    let mut events = Vec::new();
    let mut empty = Vec::new();
    for (key, standing) in &mut open.threads {
        standing.members.retain(|subject, member| {
            let is_found = whys.contains_key(&(key.of, subject.clone()));
            is_found || unknown.holds(key, subject) || lasts(now, poll, key.of, member)
        });
        if let Some((said, told)) = say(now, poll, standing) {
            let subjects = match said {
                Say::Over => told.ever.iter().map(|subject| (subject.clone(), None)).collect(),
                _ => standing_subjects(key.of, standing, &mut whys),
            };
            let left = (!standing.members.is_empty()).then(|| standing.clone());
            let (severity, since) = (told.severity, told.first_at);
            events.push(Telling { key: key.clone(), said, severity, since, subjects, left });
        }
        if standing.members.is_empty() {
            empty.push(key.clone());
        }
    }
    for key in empty {
        open.threads.remove(&key);
    }
    events
}

/// A clock that was set back leaves nothing that lasts for ever.
fn set_right(now: Timestamp, open: &mut OpenConditions) {
    for standing in open.threads.values_mut() {
        for member in standing.members.values_mut() {
            member.since = member.since.min(now);
            member.gone_since = member.gone_since.map(|at| at.min(now));
        }
        if let Some(told) = &mut standing.told {
            told.first_at = told.first_at.min(now);
            told.at = told.at.min(now);
        }
    }
    open.owed.values_mut().for_each(|owed| owed.since = owed.since.min(now));
}

/// Takes in what was found. Who stands in a thread already stays there.
fn begin(now: Timestamp, poll: Seconds, found: &Found, open: &mut OpenConditions) {
    let is_there = |(key, standing): &(&ThreadKey, &ThreadState)| {
        key.of == found.key.of && standing.members.contains_key(&found.subject)
    };
    let there = open.threads.iter().find(is_there).map(|(key, _)| key.clone());
    let standing = open.threads.entry(there.unwrap_or_else(|| found.key.clone())).or_default();
    let severity = found.severity;
    let fresh = Member { since: now, gone_since: None, stands: false, severity };
    let member = standing.members.entry(found.subject.clone()).or_insert(fresh);
    member.gone_since = None;
    member.severity = severity;
    member.stands |= now.since(member.since) >= cycles(poll, found.after_cycles);
}

/// Whether what is gone has not been gone long enough. What was never told is forgotten sooner.
fn lasts(now: Timestamp, poll: Seconds, of: Condition, member: &mut Member) -> bool {
    let gone = now.since(*member.gone_since.get_or_insert(now));
    let resolves = cycles(poll, resolves_after_cycles(of));
    let limit = match member.stands {
        true => resolves,
        false => resolves.min(Seconds(cycles(poll, rings_after_cycles(of)).0 / 2)),
    };
    gone < limit
}

/// What is to be said of a thread, and what has been told with it.
fn say(now: Timestamp, poll: Seconds, standing: &mut ThreadState) -> Option<(Say, Announced)> {
    let stand: BTreeMap<&String, Severity> = standing
        .members
        .iter()
        .filter(|(_, member)| member.stands)
        .map(|(subject, member)| (subject, member.severity))
        .collect();
    let Some(worst) = stand.values().max().copied() else {
        return standing.told.take().map(|told| (Say::Over, told));
    };
    let names: BTreeSet<String> = stand.into_keys().cloned().collect();
    let Some(told) = &mut standing.told else {
        let (named, ever) = (names.clone(), names);
        let told = Announced { first_at: now, at: now, severity: worst, named, ever };
        standing.told = Some(told.clone());
        return Some((Say::Begins, told));
    };
    told.named.retain(|name| names.contains(name));
    let ago = now.since(told.at);
    let has_new = names.len() > told.named.len();
    let said = if worst > told.severity || (has_new && ago >= cycles(poll, AGAIN_AFTER_CYCLES)) {
        Say::Grows
    } else if ago >= rings_again_after(worst) {
        Say::Lasts
    } else {
        return None;
    };
    told.at = now;
    told.severity = told.severity.max(worst);
    told.ever.extend(names.iter().cloned());
    told.named = names;
    Some((said, told.clone()))
}

/// Those of a thread that stand.
fn standing_subjects(
    of: Condition,
    standing: &ThreadState,
    whys: &mut BTreeMap<(Condition, String), Trouble>,
) -> BTreeMap<String, Option<Trouble>> {
    let stand = standing.members.iter().filter(|(_, member)| member.stands);
    stand.map(|(name, _)| (name.clone(), whys.remove(&(of, name.clone())))).collect()
}
