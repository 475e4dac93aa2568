//! Loads per second in thousandths, none too small to be told from nothing.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From here on thousandths are whole: that is one part in a thousand at least.
const WHOLE_FROM: f64 = 1024.0;
/// Below it they have 40 binary digits that count: these last bits of a number of floating point are
/// left out.
const LEFT_OUT: u64 = (1 << 12) - 1;
/// What is smaller is nothing: 10^-16 a second.
const LEAST: f64 = 1e-13;
/// Marks the bits of a number of floating point, where others are whole thousandths: its sign, which
/// no load needs.
const FINE: u64 = 1 << 63;
/// The most that can be a load: 10^15 a second.
const MOST: f64 = 1e18;

/// A number per second in thousandths: whole from about one a second on, and below it as fine as it
/// needs to be. What is one job in an hour is kept with the same precision as ten thousand requests a
/// second.
///
/// It is stored as whole thousandths always were, in a number of 64 bits. One that is not whole has
/// its highest bit set, which no whole number of thousandths needs. Every one is exactly a number
/// of floating point, and comes from additions, products and roundings that are the same on every
/// machine.
///
/// ```
/// use planner::Milli;
///
/// let shown = [0, 250, 1_500, 999_999, 1_000_999].map(|milli| Milli::whole(milli).to_string());
/// assert_eq!(shown, ["0", "0.25", "1.5", "999.999", "1000"]);
/// assert_eq!(Milli::per_second(0.0004).to_string(), "0.0004");
/// assert_eq!(Milli::per_second(1234.5678), Milli::whole(1_234_568));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Milli(u64);

impl Milli {
    /// Nothing.
    pub const ZERO: Milli = Milli(0);

    /// So many whole thousandths.
    pub const fn whole(thousandths: u64) -> Milli {
        Milli(if thousandths < FINE { thousandths } else { FINE - 1 })
    }

    /// The nearest to so many thousandths; nothing for what is below zero or no number.
    pub fn nearest(thousandths: f64) -> Milli {
        Milli::rounded(thousandths, f64::round, LEFT_OUT / 2 + 1)
    }

    /// The smallest that is not less than so many thousandths: what a need is derived from. Whole
    /// ones have a little slack, so that the last bit of a sum does not add one.
    pub fn up(thousandths: f64) -> Milli {
        let slack = if thousandths < WHOLE_FROM { 0.0 } else { thousandths * 1e-12 };
        Milli::rounded(thousandths - slack, f64::ceil, LEFT_OUT)
    }

    /// The nearest to a load per second.
    pub fn per_second(value: f64) -> Milli {
        Milli::nearest(value * 1000.0)
    }

    /// `add` to the bits that are left out carries what is to be rounded up.
    fn rounded(thousandths: f64, round: fn(f64) -> f64, add: u64) -> Milli {
        let value = if thousandths >= LEAST { thousandths.min(MOST) } else { 0.0 };
        if value >= WHOLE_FROM {
            return Milli::whole(round(value) as u64);
        }
        let bits = (value.to_bits() + add) & !LEFT_OUT;
        let value = f64::from_bits(bits);
        if value.fract() == 0.0 { Milli(value as u64) } else { Milli(FINE | bits) }
    }

    /// In thousandths.
    pub fn get(self) -> f64 {
        if self.0 & FINE == 0 {
            return self.0 as f64;
        }
        let value = f64::from_bits(self.0 & !FINE);
        // Only damage makes more of it.
        if value < WHOLE_FROM { value } else { WHOLE_FROM }
    }

    /// As a load per second.
    pub fn a_second(self) -> f64 {
        self.get() / 1000.0
    }

    /// What rounding may have made of it: one in its last place, or one part in a thousand where it
    /// is finer.
    pub(crate) fn rounding(self) -> f64 {
        (self.get() / WHOLE_FROM).clamp(LEAST, 1.0)
    }

    fn both_whole(self, other: Milli) -> bool {
        (self.0 | other.0) & FINE == 0
    }

    /// The sum, or the most that there can be.
    #[must_use]
    pub fn saturating_add(self, other: Milli) -> Milli {
        if self.both_whole(other) {
            return Milli::whole(self.0.saturating_add(other.0));
        }
        Milli::nearest(self.get() + other.get())
    }

    /// What is left, or nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Milli) -> Milli {
        if self.both_whole(other) {
            return Milli(self.0.saturating_sub(other.0));
        }
        Milli::nearest(self.get() - other.get())
    }

    /// So many thousandths of it; what is left over of whole ones is dropped.
    #[must_use]
    pub fn times(self, per_mille: u64) -> Milli {
        let value = self.get() * per_mille as f64 / 1000.0;
        if self.0 & FINE == 0 && value >= WHOLE_FROM {
            return Milli::whole(crate::numbers::times_milli(self.0, per_mille));
        }
        Milli::nearest(value)
    }

    /// One part in so many; what is left over of whole ones is dropped.
    #[must_use]
    pub fn part(self, of: u64) -> Milli {
        let value = self.get() / of as f64;
        if self.0 & FINE == 0 && value >= WHOLE_FROM {
            return Milli(self.0 / of);
        }
        Milli::nearest(value)
    }

    /// As the journal keeps it.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// As the journal kept it.
    pub const fn from_bits(bits: u64) -> Milli {
        Milli(bits)
    }
}

impl PartialOrd for Milli {
    fn partial_cmp(&self, other: &Milli) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Milli {
    fn cmp(&self, other: &Milli) -> Ordering {
        if (self.0 ^ other.0) & FINE == 0 {
            return self.0.cmp(&other.0);
        }
        self.get().total_cmp(&other.get()).then(self.0.cmp(&other.0))
    }
}

impl fmt::Debug for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

/// Per second, with three digits behind the point at most; where that leaves too little of a small
/// one, with four digits that count.
impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.get() < 1000.0;
        if small && self.0 & FINE != 0 {
            return f.write_str(&significant(self.a_second(), 4));
        }
        let thousandths = self.get().round() as u64;
        let (whole, part) = (thousandths / 1000, thousandths % 1000);
        // Beyond a thousand nobody reads the thousandths.
        if part == 0 || whole >= 1000 {
            return write!(f, "{whole}");
        }
        let digits = format!("{part:03}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A number from 0 to 1 with so many digits that count, and no zeros at the end: `0.0004`. What is
/// above nothing never reads as 0.
///
/// ```
/// use planner::significant;
///
/// let shown = [0.0, 0.25, 0.000_400_1, 1e-9, 0.99999].map(|value| significant(value, 3));
/// assert_eq!(shown, ["0", "0.25", "0.0004", "0.000000001", "1"]);
/// ```
pub fn significant(value: f64, digits: usize) -> String {
    // The last of them that any load has.
    const LAST: usize = 19;
    if value.is_nan() || value <= 0.0 {
        return "0".to_owned();
    }
    let mut zeros = 0;
    let mut shifted = value;
    while shifted < 0.1 && zeros < LAST - 1 {
        shifted *= 10.0;
        zeros += 1;
    }
    let places = (zeros + digits).min(LAST);
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 & FINE {
            0 => serializer.serialize_u64(self.0),
            _ if serializer.is_human_readable() => serializer.serialize_f64(self.get()),
            _ => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Milli {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Milli, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Readable);
        }
        u64::deserialize(deserializer).map(Milli)
    }
}

/// Reads what people can read, too: thousandths, whole or not.
struct Readable;

impl Visitor<'_> for Readable {
    type Value = Milli;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of thousandths")
    }

    fn visit_u64<E: Error>(self, thousandths: u64) -> Result<Milli, E> {
        Ok(Milli::whole(thousandths))
    }

    fn visit_f64<E: Error>(self, thousandths: f64) -> Result<Milli, E> {
        if (0.0..=MOST).contains(&thousandths) {
            return Ok(Milli::nearest(thousandths));
        }
        Err(E::invalid_value(Unexpected::Float(thousandths), &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::numbers::{milli, milli_up, units_for};

    /// Loads and capacities from 10^-9 to 10^12 a second, each magnitude as often as another.
    fn per_second() -> impl Strategy<Value = f64> {
        (-9i32..12, 1.0..10.0f64).prop_map(|(power, digits)| digits * 10f64.powi(power))
    }

    proptest! {
        #[test]
        fn every_magnitude_has_its_digits(value in per_second()) {
            let (nearest, up) = (milli(value).unwrap(), milli_up(value).unwrap());
            let apart = |found: Milli| (found.a_second() - value) / value;
            prop_assert!(apart(nearest).abs() <= 5e-4, "{value} is {nearest:?}");
            prop_assert!((-1e-11..=1e-3).contains(&apart(up)), "{value} is {up:?}");
            prop_assert!(nearest.to_string() != "0" && up > Milli::ZERO);
            let shown: f64 = nearest.to_string().parse().unwrap();
            prop_assert!((shown - value).abs() / value <= 1e-3, "{value} reads {shown}");
        }

        #[test]
        fn units_cover_what_is_asked_and_one_fewer_does_not(
            demand in per_second(),
            units in 1.0..1e6f64,
        ) {
            let capacity = demand / units;
            let found = f64::from(units_for(milli_up(demand).unwrap(), capacity).0);
            prop_assert!(found * capacity >= demand * (1.0 - 1e-8), "{found} of {capacity}");
            // A thousandth of a load is the most that rounding adds.
            prop_assert!((found - 1.0) * capacity <= demand * 1.001, "{found} of {capacity}");
        }

        #[test]
        fn ordinary_loads_are_whole_thousandths_as_they_always_were(
            value in 1.024..1e9f64,
            other in 1_024..1u64 << 52,
            per_mille in 1_000..5_000u64,
        ) {
            prop_assert_eq!(milli(value), Some(Milli::whole((value * 1000.0).round() as u64)));
            let (load, more) = (milli(value).unwrap(), Milli::whole(other));
            let bits = load.to_bits();
            prop_assert_eq!(load.saturating_add(more).to_bits(), bits + other);
            prop_assert_eq!(load.saturating_sub(more).to_bits(), bits.saturating_sub(other));
            prop_assert_eq!(load.times(per_mille).to_bits(), bits * per_mille / 1000);
            prop_assert_eq!(more.times(per_mille).to_bits(), (u128::from(other) * u128::from(per_mille) / 1000) as u64);
        }

        #[test]
        fn they_are_ordered_and_added_as_numbers_are(a in per_second(), b in per_second()) {
            let (a, b) = (milli(a).unwrap(), milli(b).unwrap());
            prop_assert_eq!(a.cmp(&b), a.get().total_cmp(&b.get()));
            let (least, most) = (a.min(b), a.max(b));
            prop_assert_eq!(least.saturating_sub(most), Milli::ZERO);
            let near = |found: Milli, sum: f64| (found.get() - sum).abs() <= most.rounding();
            prop_assert!(near(most.saturating_sub(least), most.get() - least.get()));
            prop_assert!(near(most.saturating_add(least), most.get() + least.get()));
            prop_assert!(near(a.part(4), a.get() / 4.0) && near(a.times(300), a.get() * 0.3));
        }

        /// What was stored comes back to the bit, whatever it is, and what people read to the digit.
        #[test]
        fn they_come_back_from_journals_and_from_json(bits: u64, value in per_second()) {
            let stored = Milli::from_bits(bits);
            let bytes = postcard::to_allocvec(&stored).unwrap();
            prop_assert_eq!(&bytes, &postcard::to_allocvec(&bits).unwrap());
            prop_assert_eq!(postcard::from_bytes::<Milli>(&bytes).unwrap(), stored);
            let load = milli(value).unwrap();
            let json = serde_json::to_string(&load).unwrap();
            prop_assert_eq!(serde_json::from_str::<Milli>(&json).unwrap(), load, "{}", json);
        }
    }

    #[test]
    fn an_hour_of_one_job_is_told_from_none() {
        let shown =
            |value: f64| (Milli::per_second(value).to_string(), Milli::per_second(value).to_bits());
        assert_eq!(shown(0.0), ("0".to_owned(), 0));
        assert_eq!(shown(0.0004).0, "0.0004");
        assert_eq!(shown(1.0 / 3600.0).0, "0.0002778");
        assert_eq!(shown(1e-9).0, "0.000000001");
        assert_eq!(shown(0.25), ("0.25".to_owned(), 250));
        assert_eq!(serde_json::to_string(&Milli::whole(657_250)).unwrap(), "657250");
        assert_eq!(serde_json::to_string(&Milli::per_second(0.0005)).unwrap(), "0.5");
        for bad in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(Milli::nearest(bad), Milli::ZERO);
        }
        assert!(serde_json::from_str::<Milli>("-1").is_err());
        assert_eq!(units_for(milli_up(0.0004).unwrap(), 0.00028).0, 2);
    }
}
