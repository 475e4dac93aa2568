//! Reads a journal: through the running daemon's socket, or from the store where none runs.

mod cycles;
mod entries;
mod follow;
mod sound;
mod verify;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use fleet::Timestamp;
use serde_json::Value;

use crate::engine::{EngineFault, Tree};
use crate::fold::{self, PolicyBody};
use crate::frame::{Frame, unseal};
use crate::head::Mark;
use crate::log::Shared;
use crate::open::{self, EngineKind, Local};
use crate::record::{StoredPolicy, World};
use crate::socket::Remote;
use crate::source::{Source, Walk};
use crate::{BadBody, DIRECTORY, Damage, JournalFault, PolicyDigest, RecordId};

pub use cycles::ServiceTurn;
pub use entries::{Entry, EntryKind};
pub use verify::{Report, verify};

/// A journal to read from.
#[derive(Debug)]
pub struct Reader {
    source: Box<dyn Source>,
}

impl Reader {
    /// Reads through the socket where a daemon answers, else opens the store.
    ///
    /// # Errors
    /// [`JournalFault`]: there is none, it is held by a daemon that does not answer, or damaged: a
    /// store that lost what it had last would else pass for a shorter one.
    pub fn open(state_dir: &Path) -> Result<Reader, JournalFault> {
        let reader = Reader::open_any(state_dir)?;
        let end = reader.source.head()?.end.id;
        if end != RecordId::FIRST && !reader.has(end)? {
            let damage = Damage {
                tree: "high-water".to_string(),
                id: end.to_string(),
                what: "the record that was last flushed is missing".to_string(),
            };
            return Err(JournalFault::Damaged { path: DIRECTORY.into(), damage: vec![damage] });
        }
        Ok(reader)
    }

    /// The same of a store that may have lost records.
    pub(crate) fn open_any(state_dir: &Path) -> Result<Reader, JournalFault> {
        if let Some(remote) = Remote::connect(state_dir)? {
            return Ok(Reader::over(Box::new(remote)));
        }
        Reader::open_store(state_dir, &EngineKind::Sled)
    }

    pub(crate) fn open_store(
        state_dir: &Path,
        engine: &EngineKind,
    ) -> Result<Reader, JournalFault> {
        let dir = state_dir.join(DIRECTORY);
        let absent = || JournalFault::Absent { path: state_dir.to_path_buf() };
        if !dir.is_dir() {
            return Err(absent());
        }
        let held = open::hold(state_dir)?;
        let head = open::read_head(&dir)?.0.ok_or_else(absent)?;
        let does_not_open = |why: String| JournalFault::DoesNotOpen {
            path: dir.join(open::STORE),
            why,
            hint: "`neap run` moves it aside and rebuilds it where the export tail is whole"
                .to_string(),
        };
        // sled would make a new one.
        if matches!(engine, EngineKind::Sled) && !dir.join(open::STORE).is_dir() {
            return Err(does_not_open("it is missing".to_string()));
        }
        let engine = engine.opener(&dir)().map_err(|fault| match fault {
            EngineFault::Full(why) => JournalFault::Full { path: dir.clone(), why },
            fault => does_not_open(fault.to_string()),
        })?;
        open::make_private(&dir);
        if head.end != Mark::START && open::is_empty(&*engine) {
            engine.close();
            return Err(does_not_open(open::EMPTY.to_string()));
        }
        let shared = Arc::new(Shared::new(state_dir, engine, head));
        Ok(Reader::over(Box::new(Local { shared, _held: Some(held) })))
    }

    pub(crate) fn over(source: Box<dyn Source>) -> Reader {
        Reader { source }
    }

    /// Whether a record is in one of the trees.
    fn has(&self, id: RecordId) -> Result<bool, JournalFault> {
        let key = id.to_key();
        for tree in Tree::ALL {
            if self.source.last(tree, id)?.is_some_and(|(found, _)| found.as_slice() == key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The world the journal belongs to.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn world(&self) -> Result<World, JournalFault> {
        Ok(self.source.head()?.world)
    }

    /// When the newest record was written; `None` for an empty journal.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be read.
    pub fn end(&self) -> Result<Option<Timestamp>, JournalFault> {
        let end = self.source.head()?.end;
        Ok((end.id != RecordId::FIRST).then(|| end.id.at()))
    }

    /// The running daemon's status; `None` where none runs.
    ///
    /// # Errors
    /// [`JournalFault`] where the socket gives no sound answer.
    pub fn status(&self) -> Result<Option<Value>, JournalFault> {
        self.source.status()
    }

    /// A policy.
    ///
    /// # Errors
    /// [`JournalFault::NoSuch`], or what makes it unreadable.
    pub fn policy(&self, digest: PolicyDigest) -> Result<StoredPolicy, JournalFault> {
        for frame in self.frames(Tree::Policies, RecordId::FIRST) {
            let frame = frame?;
            let body: PolicyBody =
                fold::decode(&frame.body).map_err(|why| self.damaged(&frame, &why))?;
            if body.digest == digest {
                return stored(&frame, body).map_err(|why| self.damaged(&frame, &why));
            }
        }
        Err(no_such("policy", &digest))
    }

    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Where to begin reading so that records from `from` on can be understood.
    fn checkpoint_before(&self, from: RecordId) -> Result<RecordId, JournalFault> {
        let last = self.source.last(Tree::Checkpoints, from)?;
        Ok(last.and_then(|(key, _)| RecordId::from_key(&key)).unwrap_or(RecordId::FIRST))
    }

    pub(crate) fn frames(
        &self,
        tree: Tree,
        from: RecordId,
    ) -> impl Iterator<Item = Result<Frame, JournalFault>> + '_ {
        Walk::new(&*self.source, &[tree], from).map(move |entry| {
            let (tree, (key, value)) = entry.map_err(|(_, fault)| fault)?;
            unseal(tree, &key, &value).map_err(|why| damaged(tree, &key, &why))
        })
    }

    fn plain<T: serde::de::DeserializeOwned>(&self, frame: &Frame) -> Result<T, JournalFault> {
        crate::decode(&frame.body).map_err(|why| self.damaged(frame, &why))
    }

    fn damaged(&self, frame: &Frame, why: &dyn Error) -> JournalFault {
        damaged(frame.tree, &frame.id.to_key(), why)
    }
}

fn stored(frame: &Frame, body: PolicyBody) -> Result<StoredPolicy, BadBody> {
    let policy = fold::policy_of(&body.policy)?;
    Ok(StoredPolicy { policy, source: body.source, recorded_at: frame.id.at() })
}

fn no_such(what: &str, id: &impl ToString) -> JournalFault {
    JournalFault::NoSuch { what: what.to_string(), id: id.to_string() }
}

pub(crate) fn damaged(tree: Tree, key: &[u8], why: &dyn Error) -> JournalFault {
    let id = RecordId::from_key(key).map_or("-".to_string(), |id| id.to_string());
    JournalFault::Damaged {
        path: DIRECTORY.into(),
        damage: vec![Damage { tree: tree.name().to_string(), id, what: why.to_string() }],
    }
}
