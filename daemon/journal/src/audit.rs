//! Judges records as they are read in order: all there, unchanged, each following its predecessor.

use super::engine::{Entry, TREES, Tree};
use super::fold::{Fold, Held};
use super::frame::{Frame, unseal};
use super::head::Mark;
use super::{Damage, RecordId};

/// A walk over records from a mark on.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Where the walk stands: the last record, sound or not.
    pub(crate) at: Mark,
    pub(crate) fold: Fold,
    pub(crate) damage: Vec<Damage>,
    /// Records walked.
    pub(crate) records: u64,
    /// Cycles among them that could be read.
    pub(crate) cycles: u64,
    /// What was promised to be on disk: a gap behind it is a torn tail, no damage.
    promised: u64,
    /// The last record before a gap that was never promised to be filled.
    pub(crate) torn: Option<RecordId>,
    /// Whether the predecessor's hash is known.
    linked: bool,
    /// The last sound record of each tree.
    last: [RecordId; TREES],
    /// Cycles that cannot be rebuilt because one before them is damaged.
    orphans: Option<(RecordId, RecordId, u64)>,
}

impl Audit {
    /// Starts behind `from`; a gap after the record number `promised` is a torn tail.
    pub(crate) fn new(from: Mark, promised: u64) -> Audit {
        Audit {
            at: from,
            fold: Fold::default(),
            damage: Vec::new(),
            records: 0,
            cycles: 0,
            promised,
            torn: None,
            linked: true,
            last: [RecordId::FIRST; TREES],
            orphans: None,
        }
    }

    /// Judges the next entry; what it holds, where it can be read.
    pub(crate) fn entry(&mut self, tree: Tree, (key, value): &Entry) -> Option<(Frame, Held)> {
        if self.torn.is_some() {
            return None;
        }
        self.records += 1;
        let frame = match unseal(tree, key, value) {
            Ok(frame) => frame,
            Err(why) => {
                self.bad(tree, key, &why.to_string());
                return None;
            }
        };
        if frame.id.sequence() <= self.at.id.sequence() {
            self.report(tree, frame.id, "its number was given before");
            return None;
        }
        if !self.follows(&frame) {
            return None;
        }
        self.at.id = frame.id;
        self.at.hash = frame.hash;
        self.at.counts[tree.index()] = frame.number;
        self.last[tree.index()] = frame.id;
        self.linked = true;
        self.read(frame)
    }

    /// A tree that cannot be read on.
    pub(crate) fn unreadable(&mut self, tree: Tree, why: &str) {
        let id = self.last[tree.index()];
        self.report(tree, id, &format!("what follows cannot be read: {why}"));
        self.linked = false;
    }

    /// Ends the walk: compares with what was promised.
    pub(crate) fn finish(&mut self, end: &Mark) {
        self.report_orphans();
        for tree in Tree::ALL {
            let (have, promised) = (self.at.counts[tree.index()], end.counts[tree.index()]);
            if have < promised {
                let what = format!("{} records are missing after it", promised - have);
                self.report(tree, self.last[tree.index()], &what);
            }
        }
        let is_end = self.at.id == end.id;
        if is_end && self.at.hash != end.hash && self.linked {
            let (id, what) = (self.at.id.to_string(), "it is not the record that was last flushed");
            self.damage.push(Damage { tree: "high-water".into(), id, what: what.to_string() });
        }
    }

    /// Whether a sound record stands where it should; a torn tail ends the walk.
    fn follows(&mut self, frame: &Frame) -> bool {
        let expected = self.at.id.sequence() + 1;
        if frame.id.sequence() > expected && expected > self.promised {
            self.torn = Some(self.at.id);
            return false;
        }
        let missing = frame.number.saturating_sub(self.at.counts[frame.tree.index()] + 1);
        if missing > 0 {
            let what = format!("{missing} records are missing before it");
            self.report(frame.tree, frame.id, &what);
            if frame.tree == Tree::Cycles {
                self.fold.mirror = None;
            }
        } else if frame.id.sequence() == expected && self.linked && frame.before != self.at.hash {
            self.report(frame.tree, frame.id, "it does not follow the record before it");
        }
        true
    }

    fn read(&mut self, frame: Frame) -> Option<(Frame, Held)> {
        if frame.tree == Tree::Checkpoints {
            self.report_orphans();
        }
        let is_orphan = frame.tree == Tree::Cycles
            && self.fold.mirror.is_none()
            && (self.orphans.is_some() || !self.damage.is_empty());
        if is_orphan {
            let (first, _, count) = self.orphans.unwrap_or((frame.id, frame.id, 0));
            self.orphans = Some((first, frame.id, count + 1));
            return None;
        }
        match self.fold.step(&frame) {
            Ok(held) => {
                self.cycles += u64::from(matches!(held, Held::Cycle(_)));
                Some((frame, held))
            }
            Err(why) => {
                self.report(frame.tree, frame.id, &why.to_string());
                None
            }
        }
    }

    /// An entry that is no sound record: it counts as one, so that only it is reported.
    fn bad(&mut self, tree: Tree, key: &[u8], why: &str) {
        let id = RecordId::from_key(key);
        let shown = id.map_or_else(|| hex(key), |id| id.to_string());
        self.damage.push(Damage {
            tree: tree.name().to_string(),
            id: shown,
            what: why.to_string(),
        });
        self.linked = false;
        if let Some(id) = id.filter(|id| id.sequence() == self.at.id.sequence() + 1) {
            self.at.id = id;
            self.at.counts[tree.index()] += 1;
        }
        if matches!(tree, Tree::Cycles | Tree::Checkpoints) {
            self.fold.mirror = None;
        }
    }

    fn report_orphans(&mut self) {
        if let Some((first, last, count)) = self.orphans.take() {
            let what = format!("it and those up to `{last}` ({count}) build on a damaged record");
            self.report(Tree::Cycles, first, &what);
        }
    }

    fn report(&mut self, tree: Tree, id: RecordId, what: &str) {
        let id = if id == RecordId::FIRST { "-".to_string() } else { id.to_string() };
        let what = what.to_string();
        self.damage.push(Damage { tree: tree.name().to_string(), id, what });
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}
