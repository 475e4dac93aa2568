//! The high-water file: what the journal was when it was last flushed, outside the store.
//!
//! Two places of 4 KiB, written in turn and in place, so that a torn write leaves the other one
//! and a full disk is no obstacle. Each holds a checksum; the newer sound one counts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engine::TREES;
use super::format::{CountsOfV1, CountsOfV2, CountsOfV3, Format};
use super::frame::{Hash, NO_HASH, truncated};
use super::open::private;
use super::{Damage, Instance, JournalFault, NoRoom, RecordId, World};

/// The number of the newest format, as the file names it.
pub(crate) const FORMAT: u32 = Format::NEWEST.number() as u32;

/// The file's name in the journal's directory.
pub(crate) const FILE: &str = "high-water";

const PLACE: usize = 4096;

/// Where a chain of records begins or ends: just after the record `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The last record before the mark.
    pub(crate) id: RecordId,
    pub(crate) hash: Hash,
    /// How many records each tree has had up to there.
    pub(crate) counts: [u64; TREES],
}

impl Mark {
    pub(crate) const START: Mark = Mark { id: RecordId::FIRST, hash: NO_HASH, counts: [0; TREES] };
}

/// A mark of a format with fewer trees: those that came since are empty.
#[derive(Deserialize)]
pub(crate) struct OlderMark<Counts> {
    id: RecordId,
    hash: Hash,
    counts: Counts,
}

impl<Counts: AsRef<[u64]>> From<OlderMark<Counts>> for Mark {
    fn from(old: OlderMark<Counts>) -> Mark {
        let mut counts = [0; TREES];
        let known = old.counts.as_ref();
        counts[..known.len()].copy_from_slice(known);
        Mark { id: old.id, hash: old.hash, counts }
    }
}

/// A head of an older format, behind its number.
#[derive(Deserialize)]
struct OlderHead<M> {
    writes: u64,
    instance: Instance,
    world: World,
    anchor: M,
    end: M,
}

impl<M: Into<Mark>> OlderHead<M> {
    fn into_head(self, format: u32) -> Head {
        let OlderHead { writes, instance, world, anchor, end } = self;
        Head { format, writes, instance, world, anchor: anchor.into(), end: end.into() }
    }
}

/// What the journal is, and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: u32,
    /// Rises with each write of the file.
    pub(crate) writes: u64,
    pub(crate) instance: Instance,
    pub(crate) world: World,
    /// What was removed for age or size ends here.
    pub(crate) anchor: Mark,
    /// What is on disk ends here, at least.
    pub(crate) end: Mark,
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    file: File,
}

impl HeadFile {
    /// Opens the file in `dir`, made with two empty places where there is none.
    pub(crate) fn open(dir: &Path) -> Result<HeadFile, JournalFault> {
        let path = dir.join(FILE);
        let file = private()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .and_then(|mut file| {
                if file.metadata()?.len() == 0 {
                    file.write_all(&[0; 2 * PLACE])?;
                    file.sync_all()?;
                }
                Ok(file)
            })
            .map_err(|error| super::unusable(&path, &error))?;
        Ok(HeadFile { path, file })
    }

    /// Writes `head` over the older place. On disk when it returns.
    pub(crate) fn write(&mut self, head: &mut Head) -> Result<(), JournalFault> {
        head.writes += 1;
        let bytes = seal(head);
        let at = (head.writes % 2) * PLACE as u64;
        let mut write = || {
            self.file.seek(SeekFrom::Start(at))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        };
        write().map_err(|error| {
            // The same place is tried again: it may be torn, and the other one is the last that is
            // whole.
            head.writes -= 1;
            let path = self.path.clone();
            match NoRoom::of(&error) {
                Some(why) => JournalFault::Full { path, why },
                None => super::unusable(&path, &error),
            }
        })
    }
}

/// Reads the file in `dir`: the newer sound place, and what is damaged.
pub(crate) fn read(dir: &Path) -> Result<(Option<Head>, Vec<Damage>), JournalFault> {
    let path = dir.join(FILE);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((None, Vec::new()));
        }
        Err(error) => return Err(super::unusable(&path, &error)),
    }
    bytes.resize(2 * PLACE, 0);
    let mut damage = Vec::new();
    let mut newest: Option<Head> = None;
    for place in bytes.chunks_exact(PLACE) {
        match unseal(place) {
            Ok(Some(head)) if newest.as_ref().is_none_or(|n| n.writes < head.writes) => {
                newest = Some(head);
            }
            Ok(_) => {}
            Err(why) => damage.push(why),
        }
    }
    let id = newest.as_ref().map_or("-".to_string(), |head| head.end.id.to_string());
    let damage = damage
        .into_iter()
        .map(|why| Damage { tree: FILE.to_string(), id: id.clone(), what: why.to_string() })
        .collect();
    Ok((newest, damage))
}

fn seal(head: &Head) -> Vec<u8> {
    // A `Vec` takes any length, and the types hold nothing that postcard refuses.
    let body = postcard::to_stdvec(head).expect("a head serializes");
    let mut place = Vec::with_capacity(PLACE);
    place.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    place.extend_from_slice(&body);
    place.resize(PLACE - 16, 0);
    let hash = truncated(&blake3::hash(&place));
    place.extend_from_slice(&hash);
    place
}

/// Why a place holds no head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum BadPlace {
    #[error("its checksum is wrong")]
    Checksum,
    #[error(transparent)]
    Encoding(#[from] postcard::Error),
}

/// `None` for a place that was never written.
fn unseal(place: &[u8]) -> Result<Option<Head>, BadPlace> {
    if place.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let (covered, stored) = place.split_at(PLACE - 16);
    if truncated(&blake3::hash(covered)) != stored {
        return Err(BadPlace::Checksum);
    }
    Ok(Some(decode(&covered[4..])?))
}

fn decode(body: &[u8]) -> Result<Head, postcard::Error> {
    let (format, rest) = postcard::take_from_bytes::<u32>(body)?;
    let Some(known) = Format::of(format) else { return unknown(format, rest) };
    match known {
        Format::V1 => older::<CountsOfV1>(format, rest),
        Format::V2 => older::<CountsOfV2>(format, rest),
        Format::V3 => older::<CountsOfV3>(format, rest),
        Format::V4 | Format::V5 | Format::V6 | Format::V7 | Format::V8 | Format::V9 => {
            postcard::from_bytes(body)
        }
    }
}

fn older<Counts>(format: u32, rest: &[u8]) -> Result<Head, postcard::Error>
where
    Counts: DeserializeOwned + AsRef<[u64]>,
{
    postcard::from_bytes(rest).map(|head: OlderHead<OlderMark<Counts>>| head.into_head(format))
}

/// What else a head of another version holds, only that one knows. Its number is enough to refuse it.
fn unknown(format: u32, rest: &[u8]) -> Result<Head, postcard::Error> {
    Ok(Head {
        format,
        writes: postcard::from_bytes(rest)?,
        instance: Instance(0),
        world: World::Real,
        anchor: Mark::START,
        end: Mark::START,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_place_is_reported_and_the_older_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Ok((None, Vec::new())));
        let mut file = HeadFile::open(dir.path()).unwrap();
        let mut head = Head {
            format: FORMAT,
            writes: 0,
            instance: Instance(5),
            world: World::Real,
            anchor: Mark::START,
            end: Mark::START,
        };
        for n in 1..=3 {
            head.end.counts[0] = n;
            file.write(&mut head).unwrap();
            let (found, damage) = read(dir.path()).unwrap();
            assert_eq!((found.unwrap().end.counts[0], damage.len()), (n, 0));
        }
        // The third write went to the second place.
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[PLACE + 20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (found, damage) = read(dir.path()).unwrap();
        assert_eq!(found.unwrap().end.counts[0], 2);
        let what: Vec<&str> = damage.iter().map(|damage| damage.what.as_str()).collect();
        assert_eq!(what, ["its checksum is wrong"]);
    }
}
