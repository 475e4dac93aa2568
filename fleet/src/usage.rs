//! What a resource did, hour by hour, in 11 bits an hour.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::ResourceId;
use crate::{Seconds, Timestamp};

/// Seconds of an hour.
pub const HOUR: i64 = 3600;
/// Hours of a day.
pub const HOURS_A_DAY: usize = 24;

/// Something that a resource does while it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Processors busy, in percent.
    Cpu,
    /// Bytes received per second.
    NetworkIn,
    /// Bytes sent per second.
    NetworkOut,
    /// Disk reads and writes per second.
    DiskOps,
    /// Memory used, in percent; an agent tells.
    Memory,
    /// Connections open: a database's own, or an agent's.
    Connections,
    /// Accelerators busy, in percent; an agent tells.
    Gpu,
    /// CPU credits left, of a burstable machine; here the least of an hour counts.
    CreditsLeft,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 8] = [
        Signal::Cpu,
        Signal::NetworkIn,
        Signal::NetworkOut,
        Signal::DiskOps,
        Signal::Memory,
        Signal::Connections,
        Signal::Gpu,
        Signal::CreditsLeft,
    ];

    /// A short, stable word for configuration, tables, file names and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Cpu => "cpu",
            Signal::NetworkIn => "network_in",
            Signal::NetworkOut => "network_out",
            Signal::DiskOps => "disk_ops",
            Signal::Memory => "memory",
            Signal::Connections => "connections",
            Signal::Gpu => "gpu",
            Signal::CreditsLeft => "credits_left",
        }
    }

    /// The signal of a [`Signal::word`].
    pub fn of_word(word: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.word() == word)
    }

    /// Its unit, for people.
    pub fn unit(self) -> &'static str {
        match self {
            Signal::Cpu | Signal::Memory | Signal::Gpu => "%",
            Signal::NetworkIn | Signal::NetworkOut => "B/s",
            Signal::DiskOps => "ops/s",
            Signal::Connections | Signal::CreditsLeft => "",
        }
    }

    /// Whether an hour is told by its least value instead of its greatest.
    pub fn is_least(self) -> bool {
        self == Signal::CreditsLeft
    }

    /// What is worse news of two values of an hour: more use, or fewer credits.
    pub fn fold(self, a: f64, b: f64) -> f64 {
        if self.is_least() { a.min(b) } else { a.max(b) }
    }

    /// A value in thousandths of its unit, in few digits.
    ///
    /// ```
    /// use fleet::usage::Signal;
    ///
    /// assert_eq!(Signal::Cpu.amount(1_250), "1.25 %");
    /// assert_eq!(Signal::NetworkIn.amount(1_536_000), "1.50 KiB/s");
    /// assert_eq!(Signal::Connections.amount(120_000), "120");
    /// ```
    pub fn amount(self, milli: u64) -> String {
        let value = milli as f64 / 1000.0;
        let (value, prefix) = match self {
            Signal::NetworkIn | Signal::NetworkOut if value >= 1_048_576.0 => {
                (value / 1_048_576.0, "Mi")
            }
            Signal::NetworkIn | Signal::NetworkOut if value >= 1024.0 => (value / 1024.0, "Ki"),
            _ => (value, ""),
        };
        let digits = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        let unit = self.unit();
        let blank = if unit.is_empty() { "" } else { " " };
        format!("{value:.digits$}{blank}{prefix}{unit}")
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One signal of one resource, to ask a cloud for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageQuery {
    pub resource: ResourceId,
    pub signal: Signal,
    /// How far its samples are apart at the source; see
    /// [`Resource::sampled_every`](crate::resource::Resource::sampled_every).
    pub sampled_every: Seconds,
}

/// A value in 11 bits: nothing, zero, or one of 2,046 steps of 1.7 % from a thousandth to 10^12.
///
/// Use is rounded up and credits down, so that a resource never looks idler than it was.
///
/// ```
/// use fleet::usage::{Code, Signal};
///
/// let read = |signal, value| Code::of(signal, value).value();
/// let (busy, credits) = (read(Signal::Cpu, 40.0), read(Signal::CreditsLeft, 40.0));
/// assert!(busy.is_some_and(|percent| (40.0..40.7).contains(&percent)));
/// assert!(credits.is_some_and(|left| (39.3..=40.0).contains(&left)));
/// // Nothing at all is a value; what cannot be is none.
/// assert_eq!(read(Signal::Cpu, 0.0), Some(0.0));
/// assert_eq!((read(Signal::Cpu, -1.0), read(Signal::Cpu, f64::NAN)), (None, None));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Code(u16);

impl Code {
    /// No sample.
    pub const MISSING: Code = Code(0);
    const ZERO: u16 = 1;
    const LOWEST: u16 = 2;
    const HIGHEST: u16 = 2047;
    const BITS: usize = 11;
    const LEAST: f64 = 1e-3;
    const DECADES: f64 = 15.0;

    /// The code of a value of a signal; missing for what is no number or below zero.
    pub fn of(signal: Signal, value: f64) -> Code {
        if !value.is_finite() || value < 0.0 {
            return Code::MISSING;
        }
        if value == 0.0 {
            return Code(Code::ZERO);
        }
        let steps = f64::from(Code::HIGHEST - Code::LOWEST);
        let exact = (value / Code::LEAST).log10() / Code::DECADES * steps;
        // A value that is a step itself stays on it, whatever the last bit of a logarithm says.
        let nearest = exact.round();
        let step = match (exact - nearest).abs() < 1e-6 {
            true => nearest,
            false if signal.is_least() => exact.floor(),
            false => exact.ceil(),
        };
        if step < 0.0 {
            return Code(if signal.is_least() { Code::ZERO } else { Code::LOWEST });
        }
        Code(Code::LOWEST + step.min(steps) as u16)
    }

    /// The value; `None` where there was no sample.
    pub fn value(self) -> Option<f64> {
        match self.0 {
            0 => None,
            Code::ZERO => Some(0.0),
            step => {
                let share =
                    f64::from(step - Code::LOWEST) / f64::from(Code::HIGHEST - Code::LOWEST);
                Some(Code::LEAST * 10f64.powf(share * Code::DECADES))
            }
        }
    }

    /// Whether there was no sample.
    pub fn is_missing(self) -> bool {
        self == Code::MISSING
    }

    /// The code as a number below 2,048.
    pub fn raw(self) -> u16 {
        self.0
    }

    /// The code of a number; missing for one that is none.
    pub fn from_raw(raw: u16) -> Code {
        Code(if raw > Code::HIGHEST { 0 } else { raw })
    }
}

/// The hours of a day of UTC, packed: 33 bytes, so that the longest month takes 1,023.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub [u8; Day::BYTES]);

impl Day {
    /// Bytes of a day.
    pub const BYTES: usize = HOURS_A_DAY * Code::BITS / 8;
    /// A day without a sample.
    pub const EMPTY: Day = Day([0; Day::BYTES]);

    /// The code of an hour, 0 to 23.
    pub fn get(&self, hour: usize) -> Code {
        let (byte, shift) = place(hour);
        let word = self.word(byte);
        Code((word >> shift) as u16 & Code::HIGHEST)
    }

    /// The codes of all hours, at once: faster than one after the other.
    pub fn codes(&self) -> [Code; HOURS_A_DAY] {
        // Eight codes are eleven bytes.
        let mut codes = [Code::MISSING; HOURS_A_DAY];
        for (codes, bytes) in codes.chunks_exact_mut(8).zip(self.0.chunks_exact(Code::BITS)) {
            let mut word = [0; 16];
            word[..Code::BITS].copy_from_slice(bytes);
            let mut word = u128::from_le_bytes(word);
            for code in codes {
                *code = Code(word as u16 & Code::HIGHEST);
                word >>= Code::BITS;
            }
        }
        codes
    }

    /// Sets the code of an hour, 0 to 23.
    pub fn set(&mut self, hour: usize, code: Code) {
        let (byte, shift) = place(hour);
        let kept = self.word(byte) & !(u32::from(Code::HIGHEST) << shift);
        let word = kept | u32::from(code.0) << shift;
        for (offset, part) in word.to_le_bytes().into_iter().take(3).enumerate() {
            if let Some(place) = self.0.get_mut(byte + offset) {
                *place = part;
            }
        }
    }

    /// Three bytes from `byte` on, as far as there are so many.
    fn word(&self, byte: usize) -> u32 {
        let part = |offset: usize| u32::from(self.0.get(byte + offset).copied().unwrap_or(0));
        part(0) | part(1) << 8 | part(2) << 16
    }
}

fn place(hour: usize) -> (usize, usize) {
    let bit = hour % HOURS_A_DAY * Code::BITS;
    (bit / 8, bit % 8)
}

/// A signal's hours, day by day, for as long as a look-back reaches.
///
/// ```
/// use fleet::usage::{Hours, Signal};
/// use fleet::{Seconds, Timestamp};
///
/// let (mut hours, at) = (Hours::default(), Timestamp(1_772_434_800));
/// hours.fold(Signal::Cpu, at, 2.0);
/// hours.fold(Signal::Cpu, at + Seconds::minutes(30), 50.0);
/// hours.fold(Signal::Cpu, at + Seconds::minutes(45), 1.0);
/// // Of an hour the most is kept, and an hour without a sample is not an idle one.
/// assert!(hours.get(at).value().is_some_and(|percent| percent >= 50.0));
/// assert!(hours.get(at + Seconds::hours(1)).is_missing());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    first_day: i64,
    days: VecDeque<Day>,
}

impl Hours {
    /// The code of the hour that a moment falls in.
    pub fn get(&self, at: Timestamp) -> Code {
        let index = usize::try_from(at.utc_day() - self.first_day);
        match index.ok().and_then(|index| self.days.get(index)) {
            Some(day) => day.get(hour_of(at)),
            None => Code::MISSING,
        }
    }

    /// The codes of the hour that a moment falls in and of all after it, without an end.
    pub fn from(&self, at: Timestamp) -> impl Iterator<Item = Code> {
        let days = (at.utc_day()..).map(|number| {
            let index = usize::try_from(number - self.first_day).ok();
            index
                .and_then(|index| self.days.get(index))
                .map_or([Code::MISSING; HOURS_A_DAY], Day::codes)
        });
        days.flatten().skip(hour_of(at))
    }

    /// Replaces the code of the hour that a moment falls in. A moment more than a year from the
    /// others is not taken: no clock is that wrong by chance.
    pub fn set(&mut self, at: Timestamp, code: Code) {
        if let Some(day) = self.day_mut(at.utc_day()) {
            day.set(hour_of(at), code);
        }
    }

    /// Takes in a value that may be one of several of its hour.
    pub fn fold(&mut self, signal: Signal, at: Timestamp, value: f64) {
        let (code, known) = (Code::of(signal, value), self.get(at));
        // Codes are in the order of their values.
        let worse = if signal.is_least() { code < known } else { code > known };
        if !code.is_missing() && (known.is_missing() || worse) {
            self.set(at, code);
        }
    }

    /// Replaces a whole day.
    pub fn set_day(&mut self, number: i64, day: Day) {
        if let Some(place) = self.day_mut(number) {
            *place = day;
        }
    }

    /// The days there are, oldest first, with their numbers.
    pub fn days(&self) -> impl Iterator<Item = (i64, &Day)> {
        (self.first_day..).zip(&self.days)
    }

    /// Drops what is older than the day `number`.
    pub fn forget_before(&mut self, number: i64) {
        while self.first_day < number && self.days.pop_front().is_some() {
            self.first_day += 1;
        }
        if self.days.is_empty() {
            self.days.shrink_to_fit();
        }
    }

    fn day_mut(&mut self, number: i64) -> Option<&mut Day> {
        const FARTHEST: i64 = 400;
        const DAYS_AT_ONCE: usize = 6;
        if self.days.is_empty() {
            self.first_day = number;
        }
        let last = self.first_day + self.days.len() as i64;
        if number < self.first_day - FARTHEST || number > last + FARTHEST {
            return None;
        }
        // There are hundreds of thousands of these: doubling would waste more than copying costs.
        if self.days.len() == self.days.capacity() {
            self.days.reserve_exact(DAYS_AT_ONCE);
        }
        while number < self.first_day {
            self.days.push_front(Day::EMPTY);
            self.first_day -= 1;
        }
        let index = usize::try_from(number - self.first_day).ok()?;
        while self.days.len() <= index {
            self.days.push_back(Day::EMPTY);
        }
        self.days.get_mut(index)
    }
}

fn hour_of(at: Timestamp) -> usize {
    usize::try_from(at.0.div_euclid(HOUR).rem_euclid(HOURS_A_DAY as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_month_takes_less_than_a_kibibyte() {
        assert_eq!(Day::BYTES * 31, 1023);
    }

    proptest! {
        #[test]
        fn use_is_never_understated_and_overstated_by_less_than_two_percent(value in 1e-3..1e12f64) {
            let back = Code::of(Signal::Cpu, value).value().unwrap();
            prop_assert!(back >= value * (1.0 - 1e-6) && back <= value * 1.0175);
            let least = Code::of(Signal::CreditsLeft, value).value().unwrap();
            prop_assert!(least <= value * (1.0 + 1e-6) && least >= value / 1.0175);
            prop_assert_eq!(Code::of(Signal::Cpu, back), Code::of(Signal::Cpu, value));
        }

        #[test]
        fn hours_one_by_one_and_all_at_once_are_the_same(
            raw in prop::collection::vec(0u16..2048, 24..49), skip in 0i64..30,
        ) {
            let mut hours = Hours::default();
            let first = Timestamp(20_000 * 86_400);
            for (n, raw) in (0..).zip(&raw) {
                hours.set(Timestamp(first.0 + n * HOUR), Code::from_raw(*raw));
            }
            let from = Timestamp(first.0 + (skip - 3) * HOUR);
            for (n, code) in (0..).zip(hours.from(from).take(80)) {
                prop_assert_eq!(code, hours.get(Timestamp(from.0 + n * HOUR)));
            }
        }

        #[test]
        fn hours_come_back_wherever_they_were_put(
            put in prop::collection::btree_map(0i64..24 * 40, 1u16..2048, 1..200),
        ) {
            let stamp = |hour: i64| Timestamp(1_767_225_600 + hour * HOUR);
            let mut hours = Hours::default();
            for (hour, raw) in put.iter().rev() {
                hours.set(stamp(*hour), Code::from_raw(*raw));
            }
            for hour in 0..24 * 40 {
                let raw = put.get(&hour).copied().unwrap_or(0);
                prop_assert_eq!(hours.get(stamp(hour)).raw(), raw);
            }
            hours.forget_before(stamp(24 * 20).utc_day());
            prop_assert!(hours.get(stamp(24 * 19)).is_missing());
            let raw = put.get(&(24 * 30)).copied().unwrap_or(0);
            prop_assert_eq!(hours.get(stamp(24 * 30)).raw(), raw);
        }
    }

    #[test]
    fn what_is_no_number_is_missing_and_tiny_use_is_use() {
        for absurd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Code::of(Signal::Cpu, absurd).is_missing());
        }
        assert_eq!(Code::of(Signal::Cpu, 0.0).value(), Some(0.0));
        assert!(Code::of(Signal::Cpu, 1e-9).value() > Some(0.0));
        assert_eq!(Code::of(Signal::CreditsLeft, 1e-9).value(), Some(0.0));
    }

    #[test]
    fn the_worst_of_an_hour_stays() {
        let mut hours = Hours::default();
        for value in [1.0, 7.0, 3.0] {
            hours.fold(Signal::Cpu, Timestamp(7200 + value as i64), value);
        }
        assert_eq!(hours.get(Timestamp(7200)), Code::of(Signal::Cpu, 7.0));
        hours.set(Timestamp(7200 + HOUR * 24 * 1000), Code::from_raw(5));
        assert_eq!(hours.days().count(), 1, "a clock gone wrong does not fill the memory");
    }
}
