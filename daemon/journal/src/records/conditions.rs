//! What is wrong for a while, and what people were told of it: kept so that a restart neither tells
//! it again nor forgets to tell that it is over.

use std::collections::{BTreeMap, BTreeSet};

use fleet::alert::{Alert, Condition, Severity};
use fleet::{ServiceName, Timestamp, Units};
use serde::{Deserialize, Serialize};

/// All that is wrong or was a short while ago.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConditions {
    /// By what is wrong and where: what shares both is told in one message.
    pub threads: BTreeMap<ThreadKey, ThreadState>,
    /// Groups that are smaller than they were told to be.
    pub owed: BTreeMap<ServiceName, Owed>,
}

impl OpenConditions {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty() && self.owed.is_empty()
    }

    /// What people were told of and not yet that it is over.
    pub fn told(&self) -> impl Iterator<Item = (&ThreadKey, &Announced)> {
        self.threads.iter().filter_map(|(key, standing)| Some((key, standing.told.as_ref()?)))
    }

    /// Takes over what a message left of its thread.
    pub(crate) fn put(&mut self, key: &ThreadKey, left: Option<&ThreadState>) {
        match left {
            Some(standing) => {
                self.threads.insert(key.clone(), standing.clone());
            }
            None => {
                self.threads.remove(key);
            }
        }
    }
}

/// What is told together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ThreadKey {
    /// What is wrong.
    pub of: Condition,
    /// In which account of which provider, or of which part of neap.
    pub scope: String,
}

/// A thread: whom it concerns, and what was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// Those concerned, by name.
    pub members: BTreeMap<String, Member>,
    /// `None` while nobody was told.
    pub told: Option<Announced>,
}

/// One that is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Since when.
    pub since: Timestamp,
    /// Since when it is no longer so, where that has not lasted long enough.
    pub gone_since: Option<Timestamp>,
    /// Whether it has lasted long enough to be told.
    pub stands: bool,
    pub severity: Severity,
}

/// What was told of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// First.
    pub first_at: Timestamp,
    /// Last.
    pub at: Timestamp,
    /// The worst that was told.
    pub severity: Severity,
    /// Who was named and is still concerned.
    pub named: BTreeSet<String>,
    /// Who was ever named.
    pub ever: BTreeSet<String>,
}

/// What a group was told to have and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub units: Units,
    /// Since when it has had less than that.
    pub since: Timestamp,
}

/// A message about a condition, in every language, and what it leaves of its thread: both are on
/// disk, or neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The message.
    pub alert: Alert,
    /// Its title in Chinese.
    pub title_zh: String,
    /// Its lines in Chinese.
    pub lines_zh: Vec<String>,
    /// Services that stand in its words.
    pub names: Vec<String>,
    pub key: ThreadKey,
    /// `None` where nothing is left.
    pub left: Option<ThreadState>,
}

impl Notice {
    /// The same alert in Chinese.
    pub fn in_chinese(&self) -> Alert {
        let (title, lines) = (self.title_zh.clone(), self.lines_zh.clone());
        Alert { title, lines, ..self.alert.clone() }
    }

    /// Whether it is the first of its thread.
    pub fn begins(&self) -> bool {
        let told = self.left.as_ref().and_then(|standing| standing.told.as_ref());
        told.is_some_and(|told| told.first_at == told.at)
    }

    /// Whether it says that what was told is over.
    pub fn is_over(&self) -> bool {
        self.left.as_ref().is_none_or(|standing| standing.told.is_none())
    }
}
