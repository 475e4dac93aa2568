//! What is wrong with a journal, and which file or record says so.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zstd::zstd_safe::get_error_name;

use super::World;

/// Why the journal cannot be used, or what is damaged in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JournalFault {
    /// The state directory or a file in it cannot be written or read.
    #[error("`{path}` cannot be used: {why}{hint}", path = path.display(), hint = hint_line(hint))]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The system's own words.
        why: String,
        /// What to do, or nothing.
        hint: String,
    },
    /// Another process holds the journal.
    #[error("journal `{path}` is in use by another process\n  hint: a running daemon answers at `{socket}`; stop it first to run a second one here",
        path = path.display(), socket = socket.display())]
    Locked {
        /// The journal's directory.
        path: PathBuf,
        /// Where the daemon that holds it would answer.
        socket: PathBuf,
    },
    /// There is no journal.
    #[error("there is no journal in `{path}`\n  hint: `neap run` makes one; `--state-dir` names another place", path = path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The journal belongs to another world.
    #[error("journal `{path}` belongs to {found}, expected {expected}\n  hint: give each world a `state_dir` of its own", path = path.display())]
    OtherWorld {
        /// The journal's directory.
        path: PathBuf,
        /// The world it belongs to.
        found: World,
        /// The world it was opened for.
        expected: World,
    },
    /// Records are damaged or missing.
    #[error("journal `{path}` is damaged: {damage}{more}\n  hint: `neap journal verify` lists it all; the daemon does not run on a damaged journal: move `{path}` aside to begin a new one",
        path = path.display(), damage = first(damage), more = more(damage))]
    Damaged {
        /// The journal's directory, or the file.
        path: PathBuf,
        /// What is damaged; never empty.
        damage: Vec<Damage>,
    },
    /// The store's own files cannot be opened.
    #[error("store `{path}` does not open: {why}{hint}", path = path.display(), hint = hint_line(hint))]
    DoesNotOpen {
        /// The store's directory, or where it was moved to.
        path: PathBuf,
        /// The store's own words.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The disk takes nothing now, the reserve included. It may again.
    #[error("{}", no_room(path, *why))]
    Full {
        /// The journal's directory.
        path: PathBuf,
        why: NoRoom,
    },
    /// A write failed before: nothing is trusted until the journal is opened again.
    #[error("journal `{path}` failed before and must be opened again: {why}", path = path.display())]
    Failed {
        /// The journal's directory.
        path: PathBuf,
        /// What failed then.
        why: String,
    },
    /// The format is of another version.
    #[error("journal `{path}` has format {found}, expected {expected}\n  hint: read it with the version of neap that wrote it", path = path.display())]
    OtherFormat {
        /// The journal's directory.
        path: PathBuf,
        found: u32,
        /// The format this version reads.
        expected: u32,
    },
    /// The daemon's socket gave no sound answer.
    #[error("socket `{path}` gave no sound answer: {why}", path = path.display())]
    Socket {
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// No record has this id.
    #[error(
        "no {what} with id `{id}` is in the journal\n  hint: `neap journal ls` lists what there is"
    )]
    NoSuch {
        /// What was looked for, such as `cycle`.
        what: String,
        /// The id asked for.
        id: String,
    },
}

impl JournalFault {
    /// Whether records are damaged: what nothing is decided by alone may begin anew then.
    pub fn is_damage(&self) -> bool {
        matches!(self, JournalFault::Damaged { .. })
    }
}

/// Why a disk takes nothing. It may again: what waits is written then, without a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NoRoom {
    /// It is full.
    Disk,
    /// What its user may have on it is used up.
    Quota,
    /// It is mounted read-only, or the system made it so after a fault.
    ReadOnly,
}

impl NoRoom {
    /// What an error of the system says of it, where it is of this sort.
    pub(crate) fn of(error: &std::io::Error) -> Option<NoRoom> {
        match error.kind() {
            ErrorKind::StorageFull => Some(NoRoom::Disk),
            ErrorKind::QuotaExceeded => Some(NoRoom::Quota),
            ErrorKind::ReadOnlyFilesystem => Some(NoRoom::ReadOnly),
            _ => NoRoom::of_text(&error.to_string()),
        }
    }

    /// The same where the error is text by now.
    pub(crate) fn of_text(words: &str) -> Option<NoRoom> {
        let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if says(&["StorageFull", "No space left"]) {
            Some(NoRoom::Disk)
        } else if says(&["QuotaExceeded", "quota exceeded"]) {
            Some(NoRoom::Quota)
        } else if says(&["ReadOnlyFilesystem", "Read-only file system"]) {
            Some(NoRoom::ReadOnly)
        } else {
            None
        }
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoRoom::Disk => "no room is left on the disk",
            NoRoom::Quota => "the quota on the disk is used up",
            NoRoom::ReadOnly => "the disk is read-only",
        })
    }
}

fn no_room(path: &Path, why: NoRoom) -> String {
    let path = path.display();
    let (what, hint) = match why {
        NoRoom::Disk => (format!("no room is left for journal `{path}`"), "free some"),
        NoRoom::Quota => {
            (format!("the quota of journal `{path}` is used up"), "raise it or free some")
        }
        NoRoom::ReadOnly => {
            (format!("the disk of journal `{path}` is read-only"), "mount it writable")
        }
    };
    format!("{what}\n  hint: {hint}; until then nothing is changed in any cloud")
}

/// What keeps the journal from all that it is there for, while it is so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Trouble {
    /// It is written, and has no room set aside for the day the disk is full.
    NoReserve(NoReserve),
    /// It cannot be written now: nothing is changed in any cloud until it can.
    Stalled(NoRoom),
    /// It cannot be written until it is opened again.
    Failed {
        /// What failed.
        why: String,
    },
}

/// Why there is no reserve. It is tried again every cycle.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum NoReserve {
    /// Too little is free for it, and for what goes on beside it.
    TooLittle { free_bytes: u64, needed_bytes: u64 },
    /// The system refuses it.
    Refused {
        /// Its words.
        why: String,
    },
}

impl Trouble {
    /// A short, stable word for labels.
    pub fn word(&self) -> &'static str {
        match self {
            Trouble::NoReserve(_) => "no-reserve",
            Trouble::Stalled(_) => "stalled",
            Trouble::Failed { .. } => "failed",
        }
    }

    /// Whether anything can be written.
    pub fn is_writable(&self) -> bool {
        matches!(self, Trouble::NoReserve(_))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoReserve(why) => write!(f, "the journal has no reserve: {why}"),
            Trouble::Stalled(why) => write!(f, "the journal cannot be written: {why}"),
            Trouble::Failed { why } => {
                write!(f, "the journal cannot be written until it is opened again: {why}")
            }
        }
    }
}

impl fmt::Display for NoReserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoReserve::TooLittle { free_bytes, needed_bytes } => {
                let [free, needed] = [free_bytes, needed_bytes].map(|bytes| bytes >> 20);
                write!(f, "{free} MiB are free on its disk, {needed} MiB are needed")
            }
            NoReserve::Refused { why } => f.write_str(why),
        }
    }
}

/// Why the body of a record cannot be read, though its checksum is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// It ends before its own length does.
    #[error("it is cut short")]
    Short,
    /// It does not unpack.
    #[error(transparent)]
    Pack(#[from] BadPack),
    /// It is no encoding of what the record should hold.
    #[error(transparent)]
    Encoding(#[from] postcard::Error),
    /// It holds no samples.
    #[error("it is no list of samples")]
    NoSamples,
    /// It holds no usage of resources.
    #[error("it is no list of usage")]
    NoUsage,
}

/// Why packed bytes do not unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPack {
    /// More bytes are promised than any record unpacks to.
    #[error("it claims to unpack to {bytes} bytes")]
    TooLong { bytes: u64 },
    /// zstd refuses them.
    #[error("{}", get_error_name(*code))]
    Zstd {
        /// The number of zstd's own error.
        code: usize,
    },
    /// They unpack to another length than was promised.
    #[error("it unpacks to {found} bytes, expected {expected}")]
    Length {
        /// Bytes that they unpack to.
        found: u64,
        /// Bytes that were promised.
        expected: u64,
    },
}

/// One damaged or missing record, or a damaged file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Damage {
    /// The tree, or the file, it was found in.
    pub tree: String,
    /// The id of the record, or of the last sound one before it; `-` where none is known.
    pub id: String,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` at `{}`: {}", self.tree, self.id, self.what)
    }
}

fn hint_line(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("\n  hint: {text}") }
}

fn first(damage: &[Damage]) -> String {
    damage.first().map(Damage::to_string).unwrap_or_default()
}

fn more(damage: &[Damage]) -> String {
    match damage.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    }
}
