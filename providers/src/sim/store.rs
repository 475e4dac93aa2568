//! The world's own state on disk, so that it outlives the program that looks at it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fleet::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};

use super::estate::MachineBody;
use super::group::Body;
use super::series::Recorded;
use super::world::State;

/// The version of the format.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct SavedRef<'a> {
    version: u32,
    seed: u64,
    start: Timestamp,
    groups: Vec<(&'a AccountId, &'a Region, &'a String, &'a Body)>,
    recorded: &'a BTreeMap<String, Recorded>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    machines: &'a BTreeMap<String, MachineBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estate_seen: Option<Timestamp>,
}

/// What was saved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    version: u32,
    seed: u64,
    start: Timestamp,
    pub groups: Vec<(AccountId, Region, String, Body)>,
    pub recorded: BTreeMap<String, Recorded>,
    #[serde(default)]
    pub machines: BTreeMap<String, MachineBody>,
    #[serde(default)]
    pub estate_seen: Option<Timestamp>,
}

impl Saved {
    /// How far the world had come when it was saved.
    pub fn last_seen(&self) -> Timestamp {
        let groups = self.groups.iter().map(|(.., body)| body.at());
        groups.chain(self.estate_seen).max().unwrap_or(self.start)
    }
}

/// Why a saved world cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFault {
    /// It is not a saved world, or of another version.
    #[error("the saved world cannot be read: {0}")]
    Unreadable(String),
    /// It belongs to a world with another seed or start.
    #[error(
        "the saved world has seed {found_seed} and start {found_start}, expected seed {seed} and \
         start {start}"
    )]
    AnotherWorld {
        /// The seed that was saved.
        found_seed: u64,
        /// The start that was saved.
        found_start: Timestamp,
        seed: u64,
        start: Timestamp,
    },
    /// It holds a group that this scenario does not have.
    #[error("the saved world has a group `{name}` that this scenario does not have")]
    UnknownGroup { name: String },
    /// It holds a machine that this scenario does not have.
    #[error("the saved world has a machine `{id}` that this scenario does not have")]
    UnknownMachine { id: String },
}

/// Why a world cannot be kept in a file.
#[derive(Debug, thiserror::Error)]
pub enum KeepFault {
    /// The file cannot be read or written.
    #[error("the simulated cloud's file `{}` cannot be used: {source}", path.display())]
    File {
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in it cannot be gone on with.
    #[error("the simulated cloud's file `{}` cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        source: RestoreFault,
    },
}

pub(super) fn write(seed: u64, start: Timestamp, state: &State) -> Vec<u8> {
    let groups =
        state.bodies.iter().map(|((account, region, name), body)| (account, region, name, body));
    let saved = SavedRef {
        version: VERSION,
        seed,
        start,
        groups: groups.collect(),
        recorded: &state.recorded,
        machines: &state.machines,
        estate_seen: state.estate_seen,
    };
    serde_json::to_vec(&saved).expect("the state has string keys only and cannot fail to serialize")
}

pub(super) fn read(seed: u64, start: Timestamp, bytes: &[u8]) -> Result<Saved, RestoreFault> {
    let saved: Saved = serde_json::from_slice(bytes)
        .map_err(|error| RestoreFault::Unreadable(error.to_string()))?;
    if saved.version != VERSION {
        let found = saved.version;
        return Err(RestoreFault::Unreadable(format!("version {found}, expected {VERSION}")));
    }
    if (saved.seed, saved.start) != (seed, start) {
        let (found_seed, found_start) = (saved.seed, saved.start);
        return Err(RestoreFault::AnotherWorld { found_seed, found_start, seed, start });
    }
    Ok(saved)
}

pub(super) fn load(path: &Path) -> Result<Option<Vec<u8>>, KeepFault> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeepFault::File { path: path.to_owned(), source }),
    }
}

pub(super) fn keep(path: &Path, bytes: &[u8]) -> Result<(), KeepFault> {
    let neighbour = path.with_extension("new");
    std::fs::write(&neighbour, bytes)
        .and_then(|()| std::fs::rename(&neighbour, path))
        .map_err(|source| KeepFault::File { path: path.to_owned(), source })
}
