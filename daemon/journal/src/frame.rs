//! How a record sits in its tree: version, tree, number, the hash of its predecessor, a checksum.
//!
//! ```text
//! 0        1      2              10              26        n - 16
//! version  tree   number in      hash of the     body      hash of the key
//!          tag    tree, u64 LE   record before             and all before
//! ```
//! The hashes are the first 16 bytes of blake3. Records of all trees form one chain, in the order
//! of their ids; the number in the tree tells which tree a missing record was in.

use super::RecordId;
use super::engine::Tree;
use super::format::Format;

const HEAD: usize = 26;
const HASH: usize = 16;

/// The first 16 bytes of blake3.
pub(crate) type Hash = [u8; HASH];

/// What the first record of all holds as its predecessor's hash.
pub(crate) const NO_HASH: Hash = [0; HASH];

/// A record as it was found, its checksum right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: RecordId,
    pub(crate) tree: Tree,
    pub(crate) format: Format,
    /// The record's number in its tree, from 1, without gaps.
    pub(crate) number: u64,
    pub(crate) before: Hash,
    pub(crate) hash: Hash,
    pub(crate) body: Vec<u8>,
}

/// What makes an entry no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("its key is no id")]
    Key,
    #[error("it has {0} bytes, expected at least 42")]
    Short(usize),
    #[error("its checksum is wrong")]
    Checksum,
    #[error("its version is {0}, expected at most {newest}", newest = Format::NEWEST.number())]
    Version(u8),
    #[error("it belongs to tree `{0}`")]
    Tree(String),
}

/// Wraps `body`; returns the entry's value and its hash.
pub(crate) fn seal(
    tree: Tree,
    id: RecordId,
    number: u64,
    before: Hash,
    body: &[u8],
) -> (Vec<u8>, Hash) {
    let mut value = Vec::with_capacity(HEAD + body.len() + HASH);
    value.push(Format::NEWEST.number());
    // The trees are fewer than 256.
    value.push(tree.index() as u8);
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(&before);
    value.extend_from_slice(body);
    let hash = hash_of(&id.to_key(), &value);
    value.extend_from_slice(&hash);
    (value, hash)
}

/// Unwraps an entry found in `tree`.
pub(crate) fn unseal(tree: Tree, key: &[u8], value: &[u8]) -> Result<Frame, BadFrame> {
    let id = RecordId::from_key(key).ok_or(BadFrame::Key)?;
    if value.len() < HEAD + HASH {
        return Err(BadFrame::Short(value.len()));
    }
    let (covered, stored) = value.split_at(value.len() - HASH);
    let hash = hash_of(key, covered);
    if hash != stored {
        return Err(BadFrame::Checksum);
    }
    let format = Format::of(u32::from(covered[0])).ok_or(BadFrame::Version(covered[0]))?;
    if Tree::from_index(usize::from(covered[1])) != Some(tree) {
        let found = Tree::from_index(usize::from(covered[1])).map_or("unknown", Tree::name);
        return Err(BadFrame::Tree(found.to_string()));
    }
    let number = covered[2..10].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut before = NO_HASH;
    before.copy_from_slice(&covered[10..HEAD]);
    Ok(Frame { id, tree, format, number, before, hash, body: covered[HEAD..].to_vec() })
}

fn hash_of(key: &[u8], covered: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key).update(covered);
    truncated(&hasher.finalize())
}

/// The first 16 bytes of a blake3 hash.
pub(crate) fn truncated(hash: &blake3::Hash) -> Hash {
    let mut out = NO_HASH;
    out.copy_from_slice(&hash.as_bytes()[..HASH]);
    out
}

#[cfg(test)]
mod tests {
    use super::super::Instance;
    use super::*;

    #[test]
    fn any_changed_bit_of_key_or_value_is_seen() {
        let id = RecordId::in_era(0, fleet::Timestamp(1_770_000_000), Instance(7), 42);
        let (value, hash) = seal(Tree::Cycles, id, 9, [3; 16], b"body");
        let sound = unseal(Tree::Cycles, &id.to_key(), &value).unwrap();
        assert_eq!((sound.number, sound.before, sound.hash), (9, [3; 16], hash));
        assert_eq!(sound.body, b"body");
        for bit in 0..value.len() * 8 {
            let mut bad = value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(Tree::Cycles, &id.to_key(), &bad), Err(BadFrame::Checksum));
        }
        let other = RecordId::in_era(0, fleet::Timestamp(1_770_000_000), Instance(7), 43).to_key();
        assert_eq!(unseal(Tree::Cycles, &other, &value), Err(BadFrame::Checksum));
        let wrong_tree = unseal(Tree::Samples, &id.to_key(), &value);
        assert_eq!(wrong_tree, Err(BadFrame::Tree("cycles".to_string())));
        assert_eq!(unseal(Tree::Cycles, &id.to_key(), &value[..41]), Err(BadFrame::Short(41)));
    }
}
