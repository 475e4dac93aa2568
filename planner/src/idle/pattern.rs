//! Use that comes and goes with the hours of the week.

use std::fmt;

use fleet::usage::{HOUR, HOURS_A_DAY};
use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};

/// Local time: from each moment on, so many seconds east of UTC; rising.
///
/// ```
/// use fleet::Timestamp;
/// use planner::idle::pattern::Offsets;
///
/// let berlin = Offsets(vec![(Timestamp(1_000), 3600), (Timestamp(9_000), 7200)]);
/// assert_eq!([999, 1_000, 9_000].map(|at| berlin.at(Timestamp(at))), [0, 3600, 7200]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets(pub Vec<(Timestamp, i32)>);

impl Offsets {
    /// Seconds east of UTC at a moment; 0 before the first entry.
    pub fn at(&self, at: Timestamp) -> i32 {
        let after = self.0.partition_point(|(from, _)| *from <= at);
        after.checked_sub(1).map_or(0, |index| self.0[index].1)
    }
}

/// Hours of the week at which a resource is used; idle in all others, in every week seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// Hours of use by local weekday from Monday: bit 0 is midnight to one. A margin is included.
    pub up: [u32; 7],
    pub weeks: u32,
}

const SLOTS: usize = 7 * HOURS_A_DAY;
/// Weeks that make a habit.
const WEEKS_LEAST: u32 = 3;
/// Hours before and after the usual ones in which use is still usual.
const MARGIN: usize = 2;
/// What is missing of the last week at most, for it to count as whole.
const LACKING_MOST: Seconds = Seconds::hours(2);
/// Hours of a week that must be idle for a schedule to be worth it.
const IDLE_LEAST: u32 = 42;

impl Pattern {
    /// Hours of a week at which it is idle.
    pub fn idle_hours(&self) -> u32 {
        SLOTS as u32 - self.up.iter().map(|day| day.count_ones()).sum::<u32>()
    }
}

/// `Mon-Fri 07:00-20:00`: the windows of a schedule that would keep it up when it is used.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let mut first = true;
        let mut day = 0;
        while day < 7 {
            let last = (day..7).take_while(|d| self.up[*d] == self.up[day]).last().unwrap_or(day);
            for (from, until) in windows(self.up[day]) {
                let comma = if first { "" } else { ", " };
                first = false;
                write!(f, "{comma}{}", NAMES[day])?;
                if last > day {
                    write!(f, "-{}", NAMES[last])?;
                }
                write!(f, " {from:02}:00-{until:02}:00")?;
            }
            day = last + 1;
        }
        Ok(())
    }
}

/// Runs of set bits among the 24 of a day, as first hour and hour after the last.
fn windows(day: u32) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = None;
    for hour in 0..=HOURS_A_DAY {
        let up = hour < HOURS_A_DAY && day >> hour & 1 == 1;
        match (from, up) {
            (None, true) => from = Some(hour),
            (Some(start), false) => {
                found.push((start, hour));
                from = None;
            }
            _ => {}
        }
    }
    found
}

/// The pattern of hours of use within `[from, until)`, where there is one.
///
/// An hour of the week is usual when it was used in at least half of its weeks. All use must lie
/// at usual hours or close by, in at least three whole weeks, and leave a quarter of the week idle.
///
/// ```
/// use fleet::{Seconds, Timestamp};
/// use planner::idle::pattern::{Offsets, pattern};
///
/// // Four weeks from Monday 1970-01-05; in use from nine to five on working days.
/// let monday = Timestamp(4 * 86_400);
/// let busy: Vec<Timestamp> = (0..28 * 24)
///     .filter(|hour| hour / 24 % 7 < 5 && (9..17).contains(&(hour % 24)))
///     .map(|hour| monday + Seconds::hours(hour))
///     .collect();
/// let until = |days| pattern(&busy, monday, monday + Seconds::days(days), &Offsets::default());
/// let habit = until(28).expect("a habit");
/// // Two hours of margin on either side.
/// assert_eq!(habit.to_string(), "Mon-Fri 07:00-19:00");
/// assert_eq!(habit.idle_hours(), 7 * 24 - 5 * 12);
/// // Two weeks make none.
/// assert_eq!(until(14), None);
/// ```
pub fn pattern(
    busy: &[Timestamp],
    from: Timestamp,
    until: Timestamp,
    offsets: &Offsets,
) -> Option<Pattern> {
    // A look-back of whole weeks lacks the hour that has not settled.
    let span = until.since(from) + LACKING_MOST;
    let weeks = u32::try_from(span.0 / Seconds::days(7).0).ok()?;
    if weeks < WEEKS_LEAST {
        return None;
    }
    let mut counts = [0u32; SLOTS];
    for at in busy {
        counts[slot(*at, offsets)] += 1;
    }
    let usual = counts.map(|count| count * 2 >= weeks && count > 0);
    let near =
        |slot: usize| (0..=2 * MARGIN).any(|shift| usual[(slot + SLOTS + shift - MARGIN) % SLOTS]);
    let mut up = [0u32; 7];
    for slot in 0..SLOTS {
        if near(slot) {
            up[slot / HOURS_A_DAY] |= 1 << (slot % HOURS_A_DAY);
        } else if counts[slot] > 0 {
            return None;
        }
    }
    let pattern = Pattern { up, weeks };
    (pattern.idle_hours() >= IDLE_LEAST).then_some(pattern)
}

/// The local hour of the week, from Monday midnight.
fn slot(at: Timestamp, offsets: &Offsets) -> usize {
    // 1970 began on a Thursday.
    let local = at.0 + i64::from(offsets.at(at)) + 3 * 86_400;
    usize::try_from(local.div_euclid(HOUR).rem_euclid(SLOTS as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of use over five weeks from Monday 2026-03-02 in UTC, by (weekday, hour).
    fn five_weeks(used: impl Fn(i64, i64, i64) -> bool) -> Option<Pattern> {
        let monday = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let all = (0..35 * 24).map(|hour| (hour / 168, hour / 24 % 7, hour % 24, hour));
        let busy: Vec<Timestamp> = all
            .filter(|(week, day, of_day, _)| used(*week, *day, *of_day))
            .map(|(.., hour)| Timestamp(monday.0 + hour * HOUR))
            .collect();
        pattern(&busy, monday, monday + Seconds::days(35), &Offsets::default())
    }

    #[test]
    fn office_hours_are_seen_with_a_margin() {
        let office = five_weeks(|_, day, hour| day < 5 && (9..18).contains(&hour)).unwrap();
        assert_eq!(office.to_string(), "Mon-Fri 07:00-20:00");
        assert_eq!(office.idle_hours(), 168 - 5 * 13);
    }

    #[test]
    fn a_nightly_job_asks_for_its_hour_alone() {
        let nightly = five_weeks(|_, _, hour| hour == 2).unwrap();
        assert_eq!(nightly.to_string(), "Mon-Sun 00:00-05:00");
    }

    #[test]
    fn a_monthly_batch_and_use_at_any_hour_are_no_pattern() {
        assert_eq!(five_weeks(|week, day, _| week == 2 && day == 1), None);
        assert_eq!(five_weeks(|_, _, _| true), None);
        let office_and_one_night = |week, day, hour| {
            day < 5 && (9..18).contains(&hour) || week == 3 && day == 6 && hour == 3
        };
        assert_eq!(five_weeks(office_and_one_night), None);
    }

    #[test]
    fn local_time_moves_the_hours() {
        let east = Offsets(vec![(Timestamp(0), 8 * 3600)]);
        let noon = Timestamp::parse("2026-03-02T04:00:00Z").unwrap();
        assert_eq!(slot(noon, &east), 12);
        assert_eq!(slot(noon, &Offsets::default()), 4);
    }
}
