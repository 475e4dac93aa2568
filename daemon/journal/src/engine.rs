//! What the journal asks of a store: ordered trees of bytes, written in order and flushed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Mutex;

use super::NoRoom;

/// The trees. Every record is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tree {
    Samples,
    Cycles,
    Intents,
    Outcomes,
    Alerts,
    Checkpoints,
    Policies,
    Usage,
    Idle,
    Shadow,
    Stories,
}

/// How many trees there are.
pub(crate) const TREES: usize = 11;

impl Tree {
    pub(crate) const ALL: [Tree; TREES] = [
        Tree::Samples,
        Tree::Cycles,
        Tree::Intents,
        Tree::Outcomes,
        Tree::Alerts,
        Tree::Checkpoints,
        Tree::Policies,
        Tree::Usage,
        Tree::Idle,
        Tree::Shadow,
        Tree::Stories,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tree::Samples => "samples",
            Tree::Cycles => "cycles",
            Tree::Intents => "intents",
            Tree::Outcomes => "outcomes",
            Tree::Alerts => "alerts",
            Tree::Checkpoints => "checkpoints",
            Tree::Policies => "policies",
            Tree::Usage => "usage",
            Tree::Idle => "idle",
            Tree::Shadow => "shadow",
            Tree::Stories => "stories",
        }
    }

    /// The tree's place in [`Tree::ALL`], which is also its tag on disk.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn from_index(index: usize) -> Option<Tree> {
        Tree::ALL.get(index).copied()
    }
}

/// One record on its way into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) tree: Tree,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Why a store failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineFault {
    /// The disk takes nothing now.
    Full(NoRoom),
    /// It was closed, and could not be opened again yet.
    Closed,
    /// Anything else, in the store's own words.
    Failed(String),
}

impl fmt::Display for EngineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineFault::Full(why) => why.fmt(f),
            EngineFault::Closed => f.write_str("it is closed until the disk takes something"),
            EngineFault::Failed(why) => f.write_str(why),
        }
    }
}

/// A store. Writes of one call become visible in order; what was applied before a flush is on
/// disk after it, and what is on disk after a crash is a prefix of what was applied.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Writes records in order. Writing a key again with the same value is harmless.
    fn apply(&self, writes: &[Write]) -> Result<(), EngineFault>;
    /// Puts on disk all that was applied.
    fn flush(&self) -> Result<(), EngineFault>;
    /// Entries with a key at or after `from`, in order, until their bytes exceed `bytes_max`; at
    /// least one where there is one.
    fn scan(&self, tree: Tree, from: &[u8], bytes_max: usize) -> Result<Vec<Entry>, EngineFault>;
    /// The last entry with a key at or before `to`.
    fn last(&self, tree: Tree, to: &[u8]) -> Result<Option<Entry>, EngineFault>;
    /// Removes the entries with a key before `to`; how many there were.
    fn remove_before(&self, tree: Tree, to: &[u8]) -> Result<u64, EngineFault>;
    /// Removes the entries with a key after `from`; how many there were.
    fn remove_after(&self, tree: Tree, from: &[u8]) -> Result<u64, EngineFault>;
    /// Bytes on disk.
    fn bytes(&self) -> Result<u64, EngineFault>;
    /// Lets go of the files, flushed or not.
    fn close(&self);
}

/// A tree and a key in it.
type Place = (Tree, Vec<u8>);

/// Values by place, in key order.
type Entries = BTreeMap<Place, Vec<u8>>;

/// A store in memory: the second engine that the journal's tests run on.
#[derive(Debug, Default)]
pub(crate) struct MemoryEngine {
    trees: Mutex<Entries>,
}

impl MemoryEngine {
    fn trees(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.trees.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remove(&self, range: (Bound<Place>, Bound<Place>)) -> u64 {
        let mut trees = self.trees();
        let gone: Vec<_> = trees.range(range).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            trees.remove(key);
        }
        gone.len() as u64
    }
}

impl Engine for MemoryEngine {
    fn apply(&self, writes: &[Write]) -> Result<(), EngineFault> {
        let mut trees = self.trees();
        for write in writes {
            trees.insert((write.tree, write.key.clone()), write.value.clone());
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), EngineFault> {
        Ok(())
    }

    fn scan(&self, tree: Tree, from: &[u8], bytes_max: usize) -> Result<Vec<Entry>, EngineFault> {
        let mut out = Vec::new();
        let mut bytes = 0;
        for ((found, key), value) in self.trees().range((tree, from.to_vec())..) {
            if *found != tree || bytes > bytes_max {
                break;
            }
            bytes += key.len() + value.len();
            out.push((key.clone(), value.clone()));
        }
        Ok(out)
    }

    fn last(&self, tree: Tree, to: &[u8]) -> Result<Option<Entry>, EngineFault> {
        let trees = self.trees();
        let found = trees.range((tree, Vec::new())..=(tree, to.to_vec())).next_back();
        Ok(found.map(|((_, key), value)| (key.clone(), value.clone())))
    }

    fn remove_before(&self, tree: Tree, to: &[u8]) -> Result<u64, EngineFault> {
        let range = (Bound::Included((tree, Vec::new())), Bound::Excluded((tree, to.to_vec())));
        Ok(self.remove(range))
    }

    fn remove_after(&self, tree: Tree, from: &[u8]) -> Result<u64, EngineFault> {
        let range =
            (Bound::Excluded((tree, from.to_vec())), Bound::Included((tree, vec![u8::MAX; 32])));
        Ok(self.remove(range))
    }

    fn bytes(&self) -> Result<u64, EngineFault> {
        Ok(self.trees().iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum())
    }

    fn close(&self) {}
}
