//! Numbers for long names, so that each is written once and not with every record.

use std::collections::BTreeMap;

use fleet::metric::MetricKey;
use fleet::resource::ResourceId;

use super::wire;

/// What a dictionary numbers: as bytes, and back.
pub(crate) trait Name: Clone + Ord {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// What [`Name::to_bytes`] made them of.
    fn of_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Name for MetricKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn of_bytes(bytes: &[u8]) -> Option<MetricKey> {
        Some(MetricKey(std::str::from_utf8(bytes).ok()?.to_string()))
    }
}

impl Name for ResourceId {
    fn to_bytes(&self) -> Vec<u8> {
        // A `Vec` takes any length, and an id holds nothing that postcard refuses.
        postcard::to_stdvec(self).expect("an id serializes")
    }

    fn of_bytes(bytes: &[u8]) -> Option<ResourceId> {
        postcard::from_bytes(bytes).ok()
    }
}

/// Numbers for names, in the order in which they came up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dictionary<K> {
    keys: Vec<K>,
    index: BTreeMap<K, usize>,
}

impl<K> Default for Dictionary<K> {
    fn default() -> Dictionary<K> {
        Dictionary { keys: Vec::new(), index: BTreeMap::new() }
    }
}

impl<K: Name> Dictionary<K> {
    pub(crate) fn new(keys: Vec<K>) -> Dictionary<K> {
        let index = keys.iter().cloned().zip(0..).collect();
        Dictionary { keys, index }
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }

    pub(crate) fn key(&self, number: usize) -> Option<&K> {
        self.keys.get(number)
    }

    pub(crate) fn number(&mut self, key: &K) -> usize {
        if let Some(number) = self.index.get(key) {
            return *number;
        }
        self.index.insert(key.clone(), self.keys.len());
        self.keys.push(key.clone());
        self.keys.len() - 1
    }

    /// The numbers of `keys`; writes those that are new, for [`Dictionary::learn`].
    pub(crate) fn tell<'k>(
        &mut self,
        out: &mut Vec<u8>,
        keys: impl Iterator<Item = &'k K>,
    ) -> Vec<usize>
    where
        K: 'k,
    {
        let known = self.keys.len();
        // What is told of one name mostly stands together.
        let mut before: Option<(&K, usize)> = None;
        let mut number = |key: &'k K| {
            let number = match before {
                Some((last, number)) if last == key => number,
                _ => self.number(key),
            };
            before = Some((key, number));
            number
        };
        let numbers = keys.map(&mut number).collect();
        wire::put(out, known as u64);
        wire::put(out, (self.keys.len() - known) as u64);
        for key in &self.keys[known..] {
            let bytes = key.to_bytes();
            wire::put(out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
        }
        numbers
    }

    /// Takes in the names that a record tells first; `None` where it tells others than come next.
    pub(crate) fn learn(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let known = usize::try_from(wire::take(bytes)?).ok()?;
        if known != self.keys.len() {
            return None;
        }
        for _ in 0..wire::take(bytes)? {
            let length = usize::try_from(wire::take(bytes)?).ok()?;
            self.number(&K::of_bytes(wire::take_bytes(bytes, length)?)?);
        }
        Some(())
    }
}
