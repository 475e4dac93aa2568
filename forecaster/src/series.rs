//! A regular series: first timestamp, step, values; gaps are `None`, never 0 or NaN.

use fleet::{Seconds, Step, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::VALUE_MAX;
use crate::{Calendar, SeriesFault};

/// What is known about a sample besides its value.
///
/// ```
/// use fleet::{Step, Timestamp};
/// use forecaster::{Marks, Series};
///
/// let mut series = Series::new(Step::MINUTE);
/// series.put(Timestamp(0), 4.0, Marks::NONE)?;
/// series.put(Timestamp(60), 5.0, Marks::PROVISIONAL)?;
/// assert_eq!((series.len(), series.settled_len()), (2, 1));
/// // Once its source says no more of it, it is learned from.
/// series.settle(Timestamp(60));
/// assert_eq!(series.settled_len(), 2);
/// # Ok::<(), forecaster::SeriesFault>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Younger than the source's settling time: may still change, is not learned from.
    pub provisional: bool,
    /// Taken while the service was saturated: a lower bound of the demand. It teaches no fall.
    pub censored: bool,
}

impl Marks {
    /// A settled, uncensored sample.
    pub const NONE: Marks = Marks { provisional: false, censored: false };
    /// A sample that may still change.
    pub const PROVISIONAL: Marks = Marks { provisional: true, censored: false };
    /// A lower bound.
    pub const CENSORED: Marks = Marks { provisional: false, censored: true };
}

/// One bit a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        self.set(self.len - 1, bit);
    }

    fn set(&mut self, index: usize, bit: bool) {
        let mask = 1u64 << (index % 64);
        if bit {
            self.words[index / 64] |= mask;
        } else {
            self.words[index / 64] &= !mask;
        }
    }

    fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    fn without_first(&self, count: usize) -> Bits {
        let (words, shift) = (&self.words[count / 64..], count % 64);
        let len = self.len - count;
        let joined = words.iter().enumerate().map(|(index, &word)| {
            let next = words.get(index + 1).copied().unwrap_or(0);
            if shift == 0 { word } else { word >> shift | next << (64 - shift) }
        });
        Bits { words: joined.take(len.div_ceil(64)).collect(), len }
    }

    fn truncate(&mut self, len: usize) {
        while self.len > len {
            self.set(self.len - 1, false);
            self.len -= 1;
        }
        self.words.truncate(self.len.div_ceil(64));
    }
}

/// Demand on a regular grid, in the service's own unit; a stamp is the START of its interval.
///
/// Held as 4 bytes and 3 bits a sample. Missing samples carry a causal fill for the models (the
/// last value for three steps, then yesterday's), which [`Series::get`] never shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    start: Timestamp,
    step: Step,
    values: Vec<f32>,
    present: Bits,
    provisional: Bits,
    censored: Bits,
    /// What the demand's users live by.
    calendar: Calendar,
}

/// Steps of a gap that are filled with the last value, before yesterday's takes over.
const HELD_STEPS: usize = 3;

impl Series {
    /// The longest gap a new sample may leave before it: a stamp further ahead is an error of
    /// the source's clock, not a pause.
    pub const GAP_MAX: Seconds = Seconds::days(400);

    /// An empty series; the first sample put decides where its grid starts.
    pub fn new(step: Step) -> Series {
        Series {
            start: Timestamp(0),
            step,
            values: Vec::new(),
            present: Bits::default(),
            provisional: Bits::default(),
            censored: Bits::default(),
            calendar: Calendar::default(),
        }
    }

    /// Gives it the calendar that its users live by; models look back along it. What was fitted
    /// under another calendar is to be fitted again.
    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// The calendar that its users live by; empty where none was given.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// A series of settled samples from `start` on; `None` is a missing one. Missing samples at
    /// either end are kept as part of the grid, except before the first value.
    ///
    /// ```
    /// use fleet::{Step, Timestamp};
    /// use forecaster::Series;
    ///
    /// let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a time");
    /// let series = Series::from_values(start, Step::MINUTE, [Some(4.0), None, Some(6.0)])?;
    /// assert_eq!(series.len(), 3);
    /// assert!(Series::from_values(start, Step::MINUTE, [Some(f64::NAN)]).is_err());
    /// # Ok::<(), forecaster::SeriesFault>(())
    /// ```
    ///
    /// # Errors
    /// The first value that is negative, absurd or not a number.
    pub fn from_values(
        start: Timestamp,
        step: Step,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Result<Series, SeriesFault> {
        let mut series = Series::new(step);
        let mut stamp = start;
        for value in values {
            if let Some(value) = value {
                series.put(stamp, value, Marks::NONE)?;
            } else if !series.is_empty() {
                series.extend_to(stamp)?;
            }
            stamp = stamp + step.span();
        }
        Ok(series)
    }

    /// Takes one sample: appends it, or revises the one with the same stamp. A stamp beyond the
    /// end leaves a gap of missing samples.
    ///
    /// ```
    /// use fleet::{Step, Timestamp};
    /// use forecaster::{Marks, Series};
    ///
    /// let mut series = Series::new(Step::MINUTE);
    /// series.put(Timestamp(0), 4.0, Marks::NONE)?;
    /// series.put(Timestamp(180), 7.0, Marks::NONE)?;
    /// series.put(Timestamp(0), 5.0, Marks::NONE)?;
    /// let values: Vec<_> = series.iter().map(|(_, value)| value).collect();
    /// assert_eq!(values, [Some(5.0), None, None, Some(7.0)]);
    /// # Ok::<(), forecaster::SeriesFault>(())
    /// ```
    ///
    /// # Errors
    /// A value that is negative or absurd; a stamp off the grid, before the start, or too far
    /// ahead. The series is then unchanged.
    pub fn put(&mut self, stamp: Timestamp, value: f64, marks: Marks) -> Result<(), SeriesFault> {
        check_value(stamp, value)?;
        if self.values.is_empty() {
            self.start = stamp;
        }
        let index = self.grid_index(stamp)?;
        if index < self.values.len() {
            self.values[index] = value as f32;
            self.mark(index, true, marks);
            self.refill(index + 1);
        } else {
            while self.values.len() < index {
                self.push_missing();
            }
            self.values.push(value as f32);
            self.present.push(true);
            self.provisional.push(marks.provisional);
            self.censored.push(marks.censored);
        }
        Ok(())
    }

    /// Extends the grid with missing samples up to and including `stamp`; a stamp already inside
    /// changes nothing.
    ///
    /// # Errors
    /// As for [`Series::put`]; an empty series has no grid to extend.
    pub fn extend_to(&mut self, stamp: Timestamp) -> Result<(), SeriesFault> {
        if self.values.is_empty() {
            return Err(SeriesFault::too_short(0, 1, self.step));
        }
        let index = self.grid_index(stamp)?;
        while self.values.len() <= index {
            self.push_missing();
        }
        Ok(())
    }

    /// Takes away the provisional mark of every sample stamped `until` or earlier.
    pub fn settle(&mut self, until: Timestamp) {
        let span = until.since(self.start).0 / self.step.span().0;
        let past = usize::try_from(span).unwrap_or(usize::MAX).saturating_add(1);
        let mut settled_run = 0;
        for index in (0..past.min(self.len())).rev() {
            if until >= self.start && self.provisional.get(index) {
                self.provisional.set(index, false);
                settled_run = 0;
            } else {
                settled_run += 1;
            }
            // Provisional samples are the newest; a long settled run means there are no more.
            if settled_run > 64 {
                break;
            }
        }
    }

    /// Forgets the samples stamped before `stamp`. Moves all others, so best done in batches.
    pub fn drop_before(&mut self, stamp: Timestamp) {
        let span = stamp.since(self.start);
        let count = self.step.samples_to_cover(span).min(self.len());
        if count == 0 {
            return;
        }
        self.start = self.start_of(count);
        self.values.drain(..count);
        self.present = self.present.without_first(count);
        self.provisional = self.provisional.without_first(count);
        self.censored = self.censored.without_first(count);
    }

    /// The samples stamped from `from` up to and including `until`, marks included.
    ///
    /// ```
    /// use fleet::{Step, Timestamp};
    /// use forecaster::Series;
    ///
    /// let values = [1.0, 2.0, 3.0, 4.0].map(Some);
    /// let series = Series::from_values(Timestamp(0), Step::MINUTE, values)?;
    /// let part = series.slice(Timestamp(60), Timestamp(120));
    /// assert_eq!((part.start(), part.end()), (Timestamp(60), Some(Timestamp(120))));
    /// assert_eq!(part.at(Timestamp(120)), Some(3.0));
    /// # Ok::<(), forecaster::SeriesFault>(())
    /// ```
    pub fn slice(&self, from: Timestamp, until: Timestamp) -> Series {
        let mut part = self.clone();
        let keep = if until < self.start {
            0
        } else {
            (until.since(self.start).0 / self.step.span().0) as usize + 1
        };
        part.truncate(keep);
        part.drop_before(from);
        part
    }

    /// Keeps the first `len` grid points.
    pub fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.present.truncate(len);
        self.provisional.truncate(len);
        self.censored.truncate(len);
    }

    /// Grid points, missing ones included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing was put yet.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The distance of the stamps.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Stamp of the first grid point; meaningless while empty.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Stamp of the last grid point; `None` while empty.
    pub fn end(&self) -> Option<Timestamp> {
        self.len().checked_sub(1).map(|last| self.start_of(last))
    }

    /// Stamp of grid point `index`.
    pub fn start_of(&self, index: usize) -> Timestamp {
        self.start + Seconds(self.step.span().0.saturating_mul(index as u64))
    }

    /// Grid point of `stamp`, if it lies on the grid and inside.
    pub fn index_of(&self, stamp: Timestamp) -> Option<usize> {
        self.grid_index(stamp).ok().filter(|&index| index < self.len())
    }

    /// The value at grid point `index`; `None` where missing or outside.
    pub fn get(&self, index: usize) -> Option<f64> {
        (index < self.len() && self.present.get(index)).then(|| f64::from(self.values[index]))
    }

    /// The value of the interval that starts at `stamp`; `None` where missing or outside.
    pub fn at(&self, stamp: Timestamp) -> Option<f64> {
        self.index_of(stamp).and_then(|index| self.get(index))
    }

    /// The marks at grid point `index`; none where missing or outside.
    pub fn marks(&self, index: usize) -> Marks {
        if index >= self.len() {
            return Marks::NONE;
        }
        Marks { provisional: self.provisional.get(index), censored: self.censored.get(index) }
    }

    /// Stamps and values in order, gaps included.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Option<f64>)> + '_ {
        (0..self.len()).map(|index| (self.start_of(index), self.get(index)))
    }

    /// Samples that are there.
    pub fn present(&self) -> usize {
        self.present.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Grid points up to the last that is not provisional.
    pub fn settled_len(&self) -> usize {
        let provisional = (0..self.len()).rev().take_while(|&i| self.provisional.get(i)).count();
        self.len() - provisional
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let bits = [&self.present, &self.provisional, &self.censored];
        self.values.capacity() * 4 + bits.map(|b| b.words.capacity() * 8).iter().sum::<usize>()
    }

    /// The values with gaps filled causally.
    pub(crate) fn filled(&self) -> &[f32] {
        &self.values
    }

    /// Grid points in a day, at least one.
    pub(crate) fn day(&self) -> usize {
        (86_400 / self.step.seconds() as usize).max(1)
    }

    fn grid_index(&self, stamp: Timestamp) -> Result<usize, SeriesFault> {
        if stamp < self.start {
            return Err(SeriesFault::BeforeStart { stamp, start: self.start });
        }
        let step = self.step.span();
        let span = stamp.since(self.start).0;
        if !span.is_multiple_of(step.0) {
            return Err(SeriesFault::OffGrid { stamp, start: self.start, step });
        }
        let end = self.end().unwrap_or(stamp);
        let gap = stamp.since(end);
        if gap > Series::GAP_MAX {
            return Err(SeriesFault::GapTooLong { stamp, end, gap, max: Series::GAP_MAX });
        }
        Ok(usize::try_from(span / step.0).unwrap_or(usize::MAX))
    }

    fn mark(&mut self, index: usize, present: bool, marks: Marks) {
        self.present.set(index, present);
        self.provisional.set(index, marks.provisional);
        self.censored.set(index, marks.censored);
    }

    fn push_missing(&mut self) {
        let index = self.values.len();
        self.values.push(0.0);
        self.present.push(false);
        self.provisional.push(false);
        self.censored.push(false);
        self.values[index] = self.fill_of(index);
    }

    /// What stands in for the missing sample `index`, from earlier samples alone.
    fn fill_of(&self, index: usize) -> f32 {
        let day = self.day();
        let in_gap = (index.saturating_sub(HELD_STEPS)..=index).all(|i| !self.present.get(i));
        if index == 0 {
            self.values[0]
        } else if index > HELD_STEPS && in_gap && index >= day {
            self.values[index - day]
        } else {
            self.values[index - 1]
        }
    }

    fn refill(&mut self, from: usize) {
        for index in from..self.len() {
            if !self.present.get(index) {
                self.values[index] = self.fill_of(index);
            }
        }
    }
}

fn check_value(stamp: Timestamp, value: f64) -> Result<(), SeriesFault> {
    if !value.is_finite() || value.abs() > VALUE_MAX {
        Err(SeriesFault::Absurd { stamp, value })
    } else if value < 0.0 {
        Err(SeriesFault::Negative { stamp, value })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp(n * 60)
    }

    #[test]
    fn a_gap_is_none_and_a_late_sample_fills_it() {
        let mut series = Series::new(Step::MINUTE);
        series.put(minute(10), 1.0, Marks::NONE).unwrap();
        series.put(minute(13), 4.0, Marks::NONE).unwrap();
        let seen: Vec<_> = series.iter().map(|(_, value)| value).collect();
        assert_eq!(seen, [Some(1.0), None, None, Some(4.0)]);
        assert_eq!(series.filled(), [1.0, 1.0, 1.0, 4.0]);
        series.put(minute(11), 2.0, Marks::NONE).unwrap();
        assert_eq!(series.at(minute(11)), Some(2.0));
        assert_eq!(series.filled(), [1.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn a_long_gap_is_filled_with_yesterday() {
        let hour = Step::new(3600).unwrap();
        let mut series =
            Series::from_values(Timestamp(0), hour, (0..24).map(|i| Some(f64::from(i)))).unwrap();
        series.extend_to(Timestamp(30 * 3600)).unwrap();
        assert_eq!(series.filled()[24..], [23.0, 23.0, 23.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(series.get(28), None);
    }

    #[test]
    fn refused_samples_leave_the_series_as_it_was() {
        let mut series = Series::new(Step::MINUTE);
        series.put(minute(10), 1.0, Marks::NONE).unwrap();
        let before = series.clone();
        let said: Vec<String> = [
            series.put(minute(11), -1.0, Marks::NONE),
            series.put(minute(11), f64::NAN, Marks::NONE),
            series.put(minute(11), 1e16, Marks::NONE),
            series.put(minute(9), 1.0, Marks::NONE),
            series.put(Timestamp(601), 1.0, Marks::NONE),
            series.put(minute(10_000_000), 1.0, Marks::NONE),
        ]
        .map(|answer| answer.unwrap_err().to_string())
        .into();
        insta::assert_snapshot!(said.join("\n"), @r"
        value `-1` at 1970-01-01T00:11:00Z is negative, expected zero or more
        value `NaN` at 1970-01-01T00:11:00Z is no usable demand, expected a number from 0 to 1e15
        value `10000000000000000` at 1970-01-01T00:11:00Z is no usable demand, expected a number from 0 to 1e15
        stamp 1970-01-01T00:09:00Z is before the first sample kept, 1970-01-01T00:10:00Z
        stamp 1970-01-01T00:10:01Z is off the grid of 1m that starts at 1970-01-01T00:10:00Z
        stamp 1989-01-05T10:40:00Z leaves a gap of 6944d10h30m after 1970-01-01T00:10:00Z, expected at most 400d
        ");
        assert_eq!(series, before);
    }

    #[test]
    fn retention_keeps_every_mark_at_any_offset() {
        let mut series = Series::new(Step::MINUTE);
        for n in (0..300).filter(|n| n % 7 != 3) {
            let marks = Marks { provisional: false, censored: n % 5 == 0 };
            series.put(minute(n), n as f64, marks).unwrap();
        }
        for first in [1, 63, 64, 65, 128, 200, 299] {
            let mut kept = series.clone();
            kept.drop_before(minute(first));
            for n in first..300 {
                let (kept_at, at) = ((n - first) as usize, n as usize);
                assert_eq!(kept.get(kept_at), series.get(at), "{first} {n}");
                assert_eq!(kept.marks(kept_at), series.marks(at), "{first} {n}");
            }
            assert_eq!(kept.present(), (first..300).filter(|n| n % 7 != 3).count());
        }
    }

    #[test]
    fn slices_and_retention_keep_values_and_marks_in_place() {
        let mut series = Series::new(Step::MINUTE);
        for n in 0..200 {
            let marks = Marks { provisional: n >= 198, censored: n == 100 };
            series.put(minute(n), n as f64, marks).unwrap();
        }
        assert_eq!(series.settled_len(), 198);
        let part = series.slice(minute(90), minute(110));
        assert_eq!((part.len(), part.start(), part.end()), (21, minute(90), Some(minute(110))));
        assert_eq!(part.at(minute(100)), Some(100.0));
        assert!(part.marks(10).censored && !part.marks(11).censored);
        series.drop_before(minute(150));
        assert_eq!((series.len(), series.at(minute(150))), (50, Some(150.0)));
        series.settle(minute(198));
        assert_eq!(series.settled_len(), 49);
        assert!(series.heap_bytes() < 256 * 5);
    }
}
