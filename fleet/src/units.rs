//! Seconds, Timestamp, Step, Level: numbers that cannot be mixed up.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A length of time in whole seconds.
///
/// ```
/// use fleet::Seconds;
///
/// assert_eq!(Seconds::minutes(90) + Seconds(5), Seconds(5_405));
/// assert_eq!(Seconds::hours(25).to_string(), "1d1h");
/// // What would be longer than can be counted is the longest that can.
/// assert_eq!(Seconds(u64::MAX) + Seconds(1), Seconds(u64::MAX));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seconds(pub u64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Seconds = Seconds(0);

    /// `n` minutes.
    pub const fn minutes(n: u64) -> Seconds {
        Seconds(n * 60)
    }

    /// `n` hours.
    pub const fn hours(n: u64) -> Seconds {
        Seconds(n * 3600)
    }

    /// `n` days of 24 hours.
    pub const fn days(n: u64) -> Seconds {
        Seconds(n * 86_400)
    }
}

impl Add for Seconds {
    type Output = Seconds;
    fn add(self, other: Seconds) -> Seconds {
        Seconds(self.0.saturating_add(other.0))
    }
}

/// As an operator would write it: `45s`, `4m`, `1h30m`, `2d`.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let parts = [
            (self.0 / 86_400, "d"),
            (self.0 / 3600 % 24, "h"),
            (self.0 / 60 % 60, "m"),
            (self.0 % 60, "s"),
        ];
        for (count, unit) in parts {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no length of time.
///
/// ```
/// use fleet::Seconds;
///
/// let fault = "soon".parse::<Seconds>().expect_err("no duration");
/// assert_eq!(
///     fault.to_string(),
///     "`soon` is no duration, expected whole numbers with units, such as `90s`, `5m` or `1h30m`"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDuration(pub String);

impl fmt::Display for NoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no duration, expected whole numbers with units, such as `90s`, `5m` or `1h30m`",
            self.0
        )
    }
}

impl std::error::Error for NoDuration {}

/// Reads what [`Seconds`] shows, and weeks: `45s`, `4m`, `1h30m`, `2d`, `1w`, units from large to
/// small.
///
/// ```
/// use fleet::Seconds;
///
/// assert_eq!("1h30m".parse(), Ok(Seconds(5_400)));
/// assert_eq!("1w".parse(), Ok(Seconds::days(7)));
/// // A number without a unit, a fraction, and units out of order are not guessed at.
/// for none in ["90", "1.5h", "30m1h", "-5m", ""] {
///     assert!(none.parse::<Seconds>().is_err(), "{none}");
/// }
/// ```
impl FromStr for Seconds {
    type Err = NoDuration;
    fn from_str(text: &str) -> Result<Seconds, NoDuration> {
        let fault = || NoDuration(text.to_owned());
        let (mut total, mut smallest, mut rest) = (0u64, u64::MAX, text);
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
            let count: u64 = rest[..end].parse().map_err(|_| fault())?;
            let unit = match rest.as_bytes()[end] {
                b'w' => 604_800,
                b'd' => 86_400,
                b'h' => 3600,
                b'm' => 60,
                b's' => 1,
                _ => return Err(fault()),
            };
            if unit >= smallest {
                return Err(fault());
            }
            smallest = unit;
            let part = count.checked_mul(unit).ok_or_else(fault)?;
            total = total.checked_add(part).ok_or_else(fault)?;
            rest = &rest[end + 1..];
        }
        if smallest == u64::MAX { Err(fault()) } else { Ok(Seconds(total)) }
    }
}

/// A moment: whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// ```
/// use fleet::{Seconds, Timestamp};
///
/// let at = Timestamp(1_772_434_800);
/// assert_eq!(at.to_string(), "2026-03-02T07:00:00Z");
/// assert_eq!((at + Seconds::minutes(5)).to_string(), "2026-03-02T07:05:00Z");
/// assert_eq!((at - Seconds::days(1)).utc_day(), at.utc_day() - 1);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The day of UTC that it lies in, counted from 1970.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(86_400)
    }

    /// The time from `earlier` to `self`; zero where `earlier` is in fact later.
    ///
    /// ```
    /// use fleet::{Seconds, Timestamp};
    ///
    /// let (before, after) = (Timestamp(100), Timestamp(160));
    /// assert_eq!(after.since(before), Seconds(60));
    /// assert_eq!(before.since(after), Seconds::ZERO);
    /// ```
    pub fn since(self, earlier: Timestamp) -> Seconds {
        Seconds(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time between the two, whichever is the later: what was noted by a clock that was ahead is
    /// not new for ever once that is set right.
    ///
    /// ```
    /// use fleet::{Seconds, Timestamp};
    ///
    /// let (before, after) = (Timestamp(100), Timestamp(160));
    /// assert_eq!(after.apart(before), Seconds(60));
    /// assert_eq!(before.apart(after), Seconds(60));
    /// ```
    pub fn apart(self, other: Timestamp) -> Seconds {
        Seconds(self.0.abs_diff(other.0))
    }

    /// The latest whole multiple of `step` that is not after `self`.
    ///
    /// ```
    /// use fleet::{Step, Timestamp};
    ///
    /// assert_eq!(Timestamp(3_599).floor_to(Step::FIVE_MINUTES), Timestamp(3_300));
    /// // Before 1970 it goes back too, not towards it.
    /// assert_eq!(Timestamp(-1).floor_to(Step::MINUTE), Timestamp(-60));
    /// ```
    pub fn floor_to(self, step: Step) -> Timestamp {
        let step = i64::from(step.seconds());
        Timestamp(self.0.div_euclid(step) * step)
    }

    /// Reads `YYYY-MM-DDTHH:MM:SSZ` (any RFC 3339 offset is accepted; fractions are cut).
    ///
    /// ```
    /// use fleet::Timestamp;
    ///
    /// assert_eq!(Timestamp::parse("1970-01-02T00:00:00Z"), Some(Timestamp(86_400)));
    /// assert_eq!(Timestamp::parse("yesterday"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Timestamp> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(stamp.as_second()))
    }
}

impl Add<Seconds> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Seconds) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Seconds> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Seconds) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`; a moment outside the calendar is shown as `@seconds`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(stamp) => write!(f, "{}", stamp.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

/// Distance between neighbouring samples of a series, in seconds; never zero.
///
/// ```
/// use fleet::{Seconds, Step};
///
/// assert_eq!(Step::new(0), None);
/// assert_eq!(Step::new(300), Some(Step::FIVE_MINUTES));
/// assert_eq!(Step::FIVE_MINUTES.span(), Seconds::minutes(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step(NonZeroU32);

impl Step {
    /// A step of `seconds`; `None` for zero.
    pub fn new(seconds: u32) -> Option<Step> {
        NonZeroU32::new(seconds).map(Step)
    }

    /// One minute.
    pub const MINUTE: Step = Step(NonZeroU32::new(60).unwrap());

    /// Five minutes.
    pub const FIVE_MINUTES: Step = Step(NonZeroU32::new(300).unwrap());

    /// The step in seconds.
    pub fn seconds(self) -> u32 {
        self.0.get()
    }

    /// The step as a span.
    pub fn span(self) -> Seconds {
        Seconds(u64::from(self.0.get()))
    }

    /// Samples needed to cover `span`, rounded up: 90 s of 60 s samples is 2.
    ///
    /// ```
    /// use fleet::{Seconds, Step};
    ///
    /// assert_eq!(Step::MINUTE.samples_to_cover(Seconds(90)), 2);
    /// assert_eq!(Step::MINUTE.samples_to_cover(Seconds(120)), 2);
    /// assert_eq!(Step::MINUTE.samples_to_cover(Seconds::ZERO), 0);
    /// ```
    pub fn samples_to_cover(self, span: Seconds) -> usize {
        usize::try_from(span.0.div_ceil(u64::from(self.seconds()))).unwrap_or(usize::MAX)
    }
}

/// A quantile level strictly between 0 and 1.
///
/// ```
/// use fleet::Level;
///
/// assert_eq!(Level::new(0.99).map(Level::get), Ok(0.99));
/// // Percent are no level.
/// let fault = Level::new(99.0).expect_err("no level");
/// assert_eq!(
///     fault.to_string(),
///     "`99` is not a quantile level, expected a number above 0 and below 1"
/// );
/// assert!(Level::new(f64::NAN).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

/// A number that is no quantile level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelOutOfRange(pub f64);

impl fmt::Display for LevelOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a quantile level, expected a number above 0 and below 1", self.0)
    }
}

impl std::error::Error for LevelOutOfRange {}

impl Level {
    /// Checks `value`; NaN fails like any other number outside (0, 1).
    ///
    /// # Errors
    /// [`LevelOutOfRange`] with the value found.
    pub fn new(value: f64) -> Result<Level, LevelOutOfRange> {
        if value > 0.0 && value < 1.0 { Ok(Level(value)) } else { Err(LevelOutOfRange(value)) }
    }

    /// The level as a plain number in (0, 1).
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Level {
    type Error = LevelOutOfRange;
    fn try_from(value: f64) -> Result<Level, LevelOutOfRange> {
        Level::new(value)
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> f64 {
        level.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_read_as_an_operator_writes_them() {
        let shown: Vec<String> =
            [0, 45, 240, 5400, 172_800, 90_061].map(|s| Seconds(s).to_string()).into();
        assert_eq!(shown, ["0s", "45s", "4m", "1h30m", "2d", "1d1h1m1s"]);
    }

    #[test]
    fn durations_round_trip_through_text() {
        for text in ["0s", "45s", "4m", "1h30m", "2d", "1d1h1m1s"] {
            assert_eq!(text.parse::<Seconds>().unwrap().to_string(), text);
        }
        for bad in ["", "5", "m", "5m1h", "1h1h", "-1h", "1.5h", "99999999999999999999s", "5µ"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_round_trip_through_text() {
        let stamp = Timestamp::parse("2026-03-02T07:05:09Z").unwrap();
        assert_eq!(stamp.to_string(), "2026-03-02T07:05:09Z");
        assert_eq!(stamp.floor_to(Step::FIVE_MINUTES).to_string(), "2026-03-02T07:05:00Z");
        assert_eq!(Timestamp(-1).floor_to(Step::MINUTE), Timestamp(-60));
        assert_eq!(Timestamp::parse("2026-03-02 07:05"), None);
    }

    #[test]
    fn a_level_is_strictly_inside_zero_and_one() {
        for bad in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            assert!(Level::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Level::new(0.99).map(Level::get), Ok(0.99));
    }
}
