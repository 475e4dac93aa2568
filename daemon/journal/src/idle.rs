//! What was found of idle resources and done about them: records whose content others define.

use std::ops::Range;

use fleet::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::Tree;
use super::fold;
use super::frame::{Frame, unseal};
use super::reader::damaged;
use super::{BadBody, Journal, JournalFault, Reader, RecordId};
use crate::records::idle::IdleEntry;

/// Reads a body that was unpacked when its record was.
///
/// # Errors
/// Why it cannot be read.
pub fn read(body: &[u8]) -> Result<IdleEntry, BadBody> {
    crate::decode(body)
}

/// Records of the tree `idle`, each with its id.
pub type IdleEntries<'r, T> = Box<dyn Iterator<Item = Result<(RecordId, T), JournalFault>> + 'r>;

impl Journal {
    /// Records something about idle resources. On disk when it returns, with all that was recorded
    /// before, where it is to be `durable`; else with the next cycle or [`Journal::flush`].
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written: then nothing may be done in any cloud.
    pub fn record_idle<T: Serialize>(
        &self,
        at: Timestamp,
        entry: &T,
        durable: bool,
    ) -> Result<RecordId, JournalFault> {
        self.tell(Tree::Idle, at, entry, durable)
    }

    /// Records something in a tree whose content others define.
    pub(super) fn tell<T: Serialize>(
        &self,
        tree: Tree,
        at: Timestamp,
        entry: &T,
        durable: bool,
    ) -> Result<RecordId, JournalFault> {
        let body = fold::encode(entry);
        let mut writer = self.inner.writer();
        let id = writer.log.append(tree, at, &body);
        match durable {
            true => self.flush_writer(&mut writer)?,
            false => writer.log.apply()?,
        }
        Ok(id)
    }
}

impl Reader {
    /// Idle records written in `[range.start, range.end)`, oldest first. One that cannot be read
    /// as a `T` is a fault of its own.
    pub fn idle<T: DeserializeOwned>(&self, range: Range<Timestamp>) -> IdleEntries<'_, T> {
        self.told(Tree::Idle, range)
    }

    /// The same, newest first, for what was last said of something.
    pub fn idle_newest_first<T: DeserializeOwned>(
        &self,
        range: Range<Timestamp>,
    ) -> IdleEntries<'_, T> {
        self.told_newest_first(Tree::Idle, range)
    }

    /// Records of a tree whose content others define, oldest first.
    pub(super) fn told<T: DeserializeOwned>(
        &self,
        tree: Tree,
        range: Range<Timestamp>,
    ) -> IdleEntries<'_, T> {
        let (Range { start, end }, fault) = self.ids_or_fault(range);
        let frames = self.frames(tree, start);
        let inside = frames.take_while(move |frame| frame.as_ref().map_or(true, |f| f.id < end));
        Box::new(fault.into_iter().map(Err).chain(inside).map(|frame| entry(&frame?)))
    }

    /// The ids of a range of time; where they are not known, none, and why.
    fn ids_or_fault(&self, range: Range<Timestamp>) -> (Range<RecordId>, Option<JournalFault>) {
        match self.ids(range) {
            Ok(ids) => (ids, None),
            Err(fault) => (RecordId::LAST..RecordId::LAST, Some(fault)),
        }
    }

    /// Idle records from one of them on, oldest first.
    pub(super) fn idle_from<T: DeserializeOwned>(&self, from: RecordId) -> IdleEntries<'_, T> {
        Box::new(self.frames(Tree::Idle, from).map(|frame| entry(&frame?)))
    }

    /// The same, newest first.
    pub(super) fn told_newest_first<T: DeserializeOwned>(
        &self,
        tree: Tree,
        range: Range<Timestamp>,
    ) -> IdleEntries<'_, T> {
        let (Range { start, end }, mut fault) = self.ids_or_fault(range);
        let mut until = end.predecessor();
        Box::new(std::iter::from_fn(move || {
            if let Some(fault) = fault.take() {
                until = None;
                return Some(Err(fault));
            }
            let last = self.source().last(tree, until?);
            // After a fault there is nowhere to go on from.
            until = None;
            let (key, value) = match last {
                Ok(last) => last?,
                Err(fault) => return Some(Err(fault)),
            };
            let id = RecordId::from_key(&key)?;
            if id < start {
                return None;
            }
            until = id.predecessor();
            let frame = unseal(tree, &key, &value);
            let frame = frame.map_err(|why| damaged(tree, &key, &why));
            Some(frame.and_then(|frame| entry(&frame)))
        }))
    }
}

/// A record whose content others define, with its id.
pub(super) fn entry<T: DeserializeOwned>(frame: &Frame) -> Result<(RecordId, T), JournalFault> {
    let decoded = fold::decode(&frame.body);
    let decoded = decoded.map_err(|why| damaged(frame.tree, &frame.id.to_key(), &why))?;
    Ok((frame.id, decoded))
}
