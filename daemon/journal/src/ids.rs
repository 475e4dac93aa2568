//! Ids that order by time, never repeat, and differ between daemons.

use std::fmt;
use std::str::FromStr;

use fleet::Timestamp;
use serde::{Deserialize, Serialize};

/// The number a journal drew when it was made, so that two daemons never share an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance(pub u32);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// From this bit on the seconds of an id hold its era: below it is room for 34,000 years.
const ERA_FROM_BIT: u32 = 40;

/// The greatest time of an id.
const SECONDS_MAX: u64 = (1 << ERA_FROM_BIT) - 1;

/// The id of a record, and its key: its era and seconds, then the journal's instance, then a sequence
/// number without gaps. Within an era the seconds never run backwards, so ids of one journal order as
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// Since 1970; above [`ERA_FROM_BIT`] the era, which is 0 until the clock is set back.
    seconds: u64,
    instance: Instance,
    sequence: u64,
}

impl RecordId {
    /// Bytes of a key.
    pub const LENGTH: usize = 20;

    /// The least id of any journal.
    pub const FIRST: RecordId = RecordId { seconds: 0, instance: Instance(0), sequence: 0 };

    /// No id of any journal is greater.
    pub(crate) const LAST: RecordId =
        RecordId { seconds: u64::MAX, instance: Instance(u32::MAX), sequence: u64::MAX };

    pub(crate) fn in_era(era: u32, at: Timestamp, instance: Instance, sequence: u64) -> RecordId {
        let seconds = u64::try_from(at.0).unwrap_or(0).min(SECONDS_MAX);
        // What is beyond the last era stays in it: it takes a clock set back 16 million times.
        let era = u64::from(era).min(u64::MAX >> ERA_FROM_BIT);
        RecordId { seconds: era << ERA_FROM_BIT | seconds, instance, sequence }
    }

    /// The least id of a journal's first era with this time; times before 1970 count as 1970.
    pub fn at_or_after(at: Timestamp) -> RecordId {
        RecordId::in_era(0, at, Instance(0), 0)
    }

    /// When the record was written, by the clock the journal was handed; never before the record
    /// ahead of it in its era. A clock may be wrong: see [`Reader::written_at`](crate::Reader::written_at).
    pub fn at(self) -> Timestamp {
        // It is no more than the greatest time.
        Timestamp((self.seconds & SECONDS_MAX) as i64)
    }

    /// How often the clock had been set back before.
    pub fn era(self) -> u32 {
        // The bits above are fewer than 32.
        (self.seconds >> ERA_FROM_BIT) as u32
    }

    /// The place in the journal, from 1, without gaps.
    pub fn sequence(self) -> u64 {
        self.sequence
    }

    /// The journal that wrote it.
    pub fn instance(self) -> Instance {
        self.instance
    }

    /// The next id in key order.
    pub(crate) fn successor(self) -> RecordId {
        match self.sequence.checked_add(1) {
            Some(sequence) => RecordId { sequence, ..self },
            None => RecordId {
                seconds: self.seconds.saturating_add(1),
                instance: Instance(0),
                sequence: 0,
            },
        }
    }

    /// The id before it in key order; `None` for the least.
    pub(crate) fn predecessor(self) -> Option<RecordId> {
        if let Some(sequence) = self.sequence.checked_sub(1) {
            return Some(RecordId { sequence, ..self });
        }
        if let Some(instance) = self.instance.0.checked_sub(1) {
            return Some(RecordId { instance: Instance(instance), sequence: u64::MAX, ..self });
        }
        let seconds = self.seconds.checked_sub(1)?;
        Some(RecordId { seconds, ..RecordId::LAST })
    }

    pub(crate) fn to_key(self) -> [u8; RecordId::LENGTH] {
        let mut key = [0; RecordId::LENGTH];
        key[..8].copy_from_slice(&self.seconds.to_be_bytes());
        key[8..12].copy_from_slice(&self.instance.0.to_be_bytes());
        key[12..].copy_from_slice(&self.sequence.to_be_bytes());
        key
    }

    pub(crate) fn from_key(key: &[u8]) -> Option<RecordId> {
        let key: &[u8; RecordId::LENGTH] = key.try_into().ok()?;
        let number = |part: &[u8]| part.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        Some(RecordId {
            seconds: number(&key[..8]),
            instance: Instance(u32::try_from(number(&key[8..12])).ok()?),
            sequence: number(&key[12..]),
        })
    }
}

/// `SECONDS-INSTANCE-SEQUENCE` in hexadecimal digits, such as `69a534c5-5f3e9a10-1a2b`. Of a later era
/// the era stands in front of ten digits of seconds: `10069a534c5-5f3e9a10-1a2b`.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}-{:x}", self.seconds, self.instance, self.sequence)
    }
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id of the journal, expected one such as `69a534c5-5f3e9a10-1a2b`")]
pub struct NotAnId(pub String);

impl FromStr for RecordId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<RecordId, NotAnId> {
        let parse = || {
            let mut parts = text.split('-');
            let id = RecordId {
                seconds: u64::from_str_radix(parts.next()?, 16).ok()?,
                instance: Instance(u32::from_str_radix(parts.next()?, 16).ok()?),
                sequence: u64::from_str_radix(parts.next()?, 16).ok()?,
            };
            parts.next().is_none().then_some(id)
        };
        parse().ok_or_else(|| NotAnId(text.to_string()))
    }
}

/// The id of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CycleId(pub RecordId);

impl CycleId {
    /// The id of the cycle's action at `index` of its plan.
    pub fn decision(self, index: usize) -> DecisionId {
        DecisionId { cycle: self, index: u32::try_from(index).unwrap_or(u32::MAX) }
    }

    /// When the cycle was recorded; see [`RecordId::at`].
    pub fn at(self) -> Timestamp {
        self.0.at()
    }
}

impl fmt::Display for CycleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CycleId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<CycleId, NotAnId> {
        text.parse().map(CycleId)
    }
}

/// The id of one action of one cycle: what an order, its intent and its outcome share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DecisionId {
    /// The cycle whose plan holds the action.
    pub cycle: CycleId,
    /// The action's place in the plan.
    pub index: u32,
}

/// The cycle's id, a full stop, and the place in its plan. At most 54 characters of `[0-9a-f.-]`.
impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.cycle, self.index)
    }
}

impl FromStr for DecisionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<DecisionId, NotAnId> {
        let bad = || NotAnId(text.to_string());
        let (cycle, index) = text.rsplit_once('.').ok_or_else(bad)?;
        Ok(DecisionId {
            cycle: cycle.parse().map_err(|_| bad())?,
            index: index.parse().map_err(|_| bad())?,
        })
    }
}

/// The identity of a policy: a hash of its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyDigest(pub [u8; 16]);

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_key_and_order_as_written() {
        let of = |era, s, n| RecordId::in_era(era, Timestamp(s), Instance(0x5f3e_9a10), n);
        let id = |s, n| of(0, s, n);
        let first = [id(-5, 1), id(0, 2), id(0x69a5_34c5, 3), id(0x69a5_34c5, 0x1a2b)];
        let later = [of(1, 0, 5), of(1, 0x69a5_34c5, 6), of(2, 7, 8), of(u32::MAX, i64::MAX, 9)];
        assert_eq!(first[3].to_string(), "69a534c5-5f3e9a10-1a2b");
        assert_eq!(later[1].to_string(), "10069a534c5-5f3e9a10-6");
        assert_eq!((later[1].era(), later[1].at()), (1, first[3].at()));
        let ids = [first, later].concat();
        for pair in ids.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_key() < pair[1].to_key());
        }
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(RecordId::from_key(&id.to_key()), Some(id));
            let decision = CycleId(id).decision(7);
            assert_eq!(decision.to_string().parse(), Ok(decision));
        }
        for bad in ["", "1-2", "1-2-3-4", "x-1-2", "1-2-3."] {
            assert!(bad.parse::<DecisionId>().is_err(), "{bad}");
        }
    }
}
