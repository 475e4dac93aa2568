//! The formats of the journal, by number, and what each lacks.

/// A format. Its number is the first byte of a record and the first number of the high-water file.
///
/// A journal of an earlier format is read as it is, and goes on in the newest one once it is opened
/// for writing. What each has more than the one before:
///
/// | format | trees | more |
/// |---|---|---|
/// | 1 | 7 | |
/// | 2 | 9 | usage and idle resources |
/// | 3 | 10 | the shadow's tree; promotions of services, in policies and memories |
/// | 4 | 11 | stories; promotions of idle rules, in policies |
/// | 5 | 11 | reasons that are values, where texts stood; agreements named by a hash of bytes |
/// | 6 | 11 | what a service's past vouches for, in memories |
/// | 7 | 11 | what makes demand doubtful, in memories |
/// | 8 | 11 | eras: a key's seconds hold a number in front once the clock was set back |
/// | 9 | 11 | how long launches took until they served, in snapshots and memories |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    V1 = 1,
    V2 = 2,
    V3 = 3,
    V4 = 4,
    V5 = 5,
    V6 = 6,
    V7 = 7,
    V8 = 8,
    V9 = 9,
}

/// What a mark of the first format counts: the records of each tree.
pub(crate) type CountsOfV1 = [u64; 7];

/// What a mark of the second format counts.
pub(crate) type CountsOfV2 = [u64; 9];

/// What a mark of the third format counts.
pub(crate) type CountsOfV3 = [u64; 10];

impl Format {
    /// The format that this program writes.
    pub(crate) const NEWEST: Format = Format::V9;

    /// All that it reads.
    const ALL: [Format; 9] = [
        Format::V1,
        Format::V2,
        Format::V3,
        Format::V4,
        Format::V5,
        Format::V6,
        Format::V7,
        Format::V8,
        Format::V9,
    ];

    /// Its number on disk.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// The format of a number; `None` for one that this program does not know.
    pub(crate) fn of(number: u32) -> Option<Format> {
        Format::ALL.into_iter().find(|format| u32::from(format.number()) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_number_and_no_other_is() {
        for format in Format::ALL {
            assert_eq!(Format::of(u32::from(format.number())), Some(format));
        }
        assert_eq!([0, u32::from(Format::NEWEST.number()) + 1].map(Format::of), [None, None]);
    }
}
