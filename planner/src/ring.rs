//! The newest of what is noted by consecutive numbers.

use std::ops::Range;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `N` places, in which a number lies at its remainder. Copies share them until one of them is
/// written to: a fleet's memory is copied every cycle, and most places change seldom.
///
/// ```
/// use fleet::Units;
/// use planner::memory::{Ring, Size};
///
/// let ring: Ring<Size, 60> = [(119, Units(4).into()), (120, Units(5).into())].into_iter().collect();
/// assert_eq!(ring.get(60), ring.get(120));
/// assert_eq!(ring.get(60).map(Units::from), Some(Units(5)));
/// // What is stored is a plain list, and is refused if it is none of these rings.
/// let stored: Result<Ring<Size, 2>, _> = serde_json::from_str("[null, 7]");
/// assert_eq!(serde_json::to_string(&stored.expect("two places")).expect("a list"), "[null,7]");
/// assert!(serde_json::from_str::<Ring<Size, 2>>("[7, 7, 7]").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring<T, const N: usize>(
    /// All places, or none yet.
    Arc<[Option<T>]>,
);

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Ring<T, N> {
        Ring(Arc::from([]))
    }
}

/// A ring in which the numbers have these values.
impl<T: Copy + PartialEq, const N: usize> FromIterator<(u32, T)> for Ring<T, N> {
    fn from_iter<I: IntoIterator<Item = (u32, T)>>(noted: I) -> Ring<T, N> {
        let mut ring = Ring::default();
        noted.into_iter().for_each(|(number, value)| ring.put(number, Some(value)));
        ring
    }
}

impl<T: Copy + PartialEq, const N: usize> Ring<T, N> {
    /// All places in their order; none while nothing was ever noted.
    pub fn places(&self) -> &[Option<T>] {
        &self.0
    }

    /// What lies at the place of `number`.
    pub fn get(&self, number: u32) -> Option<T> {
        *self.0.get(number as usize % N)?
    }

    /// What lies at the places of `numbers`, in their order; a ring at most.
    pub fn range(&self, numbers: Range<u32>) -> impl Iterator<Item = Option<T>> {
        let (before, from) = self.0.split_at(self.0.len().min(numbers.start as usize % N));
        from.iter().chain(before).take(numbers.len()).copied()
    }

    /// Puts `value` at the place of `number`.
    pub fn put(&mut self, number: u32, value: Option<T>) {
        let place = number as usize % N;
        if self.0.is_empty() {
            self.0 = Arc::from([None; N]);
        }
        if self.0[place] != value {
            Arc::make_mut(&mut self.0)[place] = value;
        }
    }
}

impl<T: Serialize, const N: usize> Serialize for Ring<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Ring<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ring<T, N>, D::Error> {
        let places: Vec<Option<T>> = Vec::deserialize(deserializer)?;
        if places.is_empty() || places.len() == N {
            return Ok(Ring(places.into()));
        }
        Err(D::Error::invalid_length(places.len(), &format!("none or {N} places").as_str()))
    }
}
