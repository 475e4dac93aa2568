//! Where records are read from, and reading them in the order they were written.

use std::collections::VecDeque;
use std::fmt;

use serde_json::Value;

use super::engine::{Entry, Tree};
use super::eras::Eras;
use super::head::Head;
use super::{Damage, JournalFault, RecordId};

/// Raw entries of a journal: the store itself, or the socket of the daemon that holds it.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// What the journal is, and how far it goes now.
    fn head(&self) -> Result<Head, JournalFault>;
    /// The eras of its records.
    fn eras(&self) -> Result<Eras, JournalFault>;
    /// Entries at or after `from`, in order: a page of them, empty at the end.
    fn scan(&self, tree: Tree, from: RecordId) -> Result<Vec<Entry>, JournalFault>;
    /// The last entry at or before `to`.
    fn last(&self, tree: Tree, to: RecordId) -> Result<Option<Entry>, JournalFault>;
    /// Bytes on disk.
    fn bytes(&self) -> Result<u64, JournalFault>;
    /// Damage in files outside the store.
    fn files(&self) -> Result<Vec<Damage>, JournalFault>;
    /// The running daemon's status.
    fn status(&self) -> Result<Option<Value>, JournalFault>;
}

/// Entries of several trees in the order they were written.
pub(crate) struct Walk<'a> {
    source: &'a dyn Source,
    cursors: Vec<Cursor>,
}

struct Cursor {
    tree: Tree,
    page: VecDeque<Entry>,
    /// Where the next page begins; `None` once the tree has ended or failed.
    next: Option<RecordId>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a dyn Source, trees: &[Tree], from: RecordId) -> Walk<'a> {
        let cursor = |tree: &Tree| Cursor { tree: *tree, page: VecDeque::new(), next: Some(from) };
        Walk { source, cursors: trees.iter().map(cursor).collect() }
    }
}

impl Cursor {
    /// Makes sure that the next entry, if there is one, is in the page.
    fn fill(&mut self, source: &dyn Source) -> Result<(), JournalFault> {
        let (true, Some(from)) = (self.page.is_empty(), self.next) else { return Ok(()) };
        self.next = None;
        let page = source.scan(self.tree, from)?;
        // A key that is no id sorts anywhere; the page after it begins behind the last that is.
        let last = page.iter().rev().find_map(|(key, _)| RecordId::from_key(key));
        self.next = last.map(RecordId::successor);
        self.page = page.into();
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    /// A tree that cannot be read on gives one error and ends.
    type Item = Result<(Tree, Entry), (Tree, JournalFault)>;

    fn next(&mut self) -> Option<Self::Item> {
        for cursor in &mut self.cursors {
            if let Err(fault) = cursor.fill(self.source) {
                return Some(Err((cursor.tree, fault)));
            }
        }
        let first = self
            .cursors
            .iter_mut()
            .filter(|cursor| !cursor.page.is_empty())
            .min_by(|a, b| a.page[0].0.cmp(&b.page[0].0))?;
        let entry = first.page.pop_front()?;
        Some(Ok((first.tree, entry)))
    }
}
