//! The export tail: the newest records in a plain file beside the store, from the last checkpoint
//! on, so that a store that does not open can be rebuilt.
//!
//! The file is a list of entries: the length of the value (u32 LE), the key, the value. It is
//! never flushed by itself: it is there for a damaged store, not for a crashed machine, and what
//! it lacks is found by comparing it with the high-water file.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::RecordId;
use super::engine::{Entry, Tree};
use super::open::create;

/// The file's name in the journal's directory.
pub(crate) const FILE: &str = "export-tail";

/// The largest value an entry may claim to have.
const VALUE_BYTES_MAX: usize = 1 << 30;

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    /// Whether the buffer begins with a checkpoint: the file is made anew.
    fresh: bool,
}

impl Tail {
    /// Goes on with the file in `dir` if it ends with the record `end`; else it is given up until
    /// the next checkpoint.
    pub(crate) fn open(dir: &Path, end: RecordId) -> Tail {
        let path = dir.join(FILE);
        let mut tail = Tail { path, file: None, buffer: Vec::new(), fresh: false };
        if last_id(dir) == Some(end) {
            tail.file = OpenOptions::new().append(true).open(&tail.path).ok();
        } else {
            tail.shed();
        }
        tail
    }

    /// Whether a checkpoint would begin a new file.
    pub(crate) fn is_given_up(&self) -> bool {
        self.file.is_none() && !self.fresh
    }

    /// The next entry is a checkpoint: what was before it is no longer needed.
    pub(crate) fn begin(&mut self) {
        self.buffer.clear();
        self.fresh = true;
    }

    /// Adds an entry, on disk with the next [`Tail::write`].
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        if self.file.is_none() && !self.fresh {
            return;
        }
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
    }

    /// Writes what was added. A tail that cannot be written is given up until the next checkpoint:
    /// the store holds everything.
    pub(crate) fn write(&mut self) {
        let bytes = std::mem::take(&mut self.buffer);
        let written = if std::mem::take(&mut self.fresh) {
            self.replace(&bytes)
        } else {
            self.file.as_mut().map_or(Ok(()), |file| file.write_all(&bytes))
        };
        if written.is_err() {
            self.shed();
        }
    }

    /// Removes the file, to give its room to the store.
    pub(crate) fn shed(&mut self) {
        self.file = None;
        self.fresh = false;
        self.buffer.clear();
        let _ = fs::remove_file(&self.path);
    }

    fn replace(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file = create(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, &self.path)?;
        self.file = Some(file);
        Ok(())
    }
}

/// Entries of the file in `dir` up to the first that is cut short; none where there is no file.
/// The tree of each is the one its value claims.
pub(crate) fn read(dir: &Path) -> Vec<(Tree, Entry)> {
    let Ok(bytes) = fs::read(dir.join(FILE)) else { return Vec::new() };
    let mut bytes = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((entry, rest)) = split(bytes) {
        bytes = rest;
        let tree = entry.1.get(1).and_then(|tag| Tree::from_index(usize::from(*tag)));
        let Some(tree) = tree else { break };
        entries.push((tree, entry));
    }
    entries
}

/// The id of the last entry, where the file ends with a whole one.
fn last_id(dir: &Path) -> Option<RecordId> {
    let bytes = fs::read(dir.join(FILE)).ok()?;
    let mut bytes = bytes.as_slice();
    let mut last = None;
    while let Some(((key, _), rest)) = split(bytes) {
        bytes = rest;
        last = RecordId::from_key(&key);
    }
    last.filter(|_| bytes.is_empty())
}

fn split(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > VALUE_BYTES_MAX {
        return None;
    }
    let (key, rest) = rest.split_at_checked(RecordId::LENGTH)?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some(((key.to_vec(), value.to_vec()), rest))
}
