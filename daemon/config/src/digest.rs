//! `digest`: how often a channel is told in brief what was done, and at what hour.

use std::fmt;

use fleet::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use serde::{Serialize, Serializer};

use super::freeze::{DAYS, day_of as weekday, time_of_day};
use super::keys::alert::digest as known;
use super::reader::Entry;
use super::zone::{Zone, zone};

/// Days of UTC that a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// How many days.
    pub period: Period,
    /// The last of them, counted from 1970.
    pub last: i64,
}

/// How long a digest goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// A day.
    Daily,
    /// A week.
    Weekly,
}

impl Period {
    /// How many days it has.
    pub fn days(self) -> i64 {
        match self {
            Period::Daily => 1,
            Period::Weekly => 7,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Period::Daily => "daily",
            Period::Weekly => "weekly",
        })
    }
}

impl Span {
    /// The newest that is over at a moment.
    pub fn before(period: Period, now: Timestamp) -> Span {
        Span { period, last: now.utc_day() - 1 }
    }

    /// The first of its days, counted from 1970.
    pub fn first(self) -> i64 {
        self.last + 1 - self.period.days()
    }

    /// When it begins.
    pub fn from(self) -> Timestamp {
        Timestamp(self.first() * 86_400)
    }

    /// When it is over.
    pub fn until(self) -> Timestamp {
        Timestamp((self.last + 1) * 86_400)
    }

    /// What its digest is known by in a channel: one that is sent again has the same.
    pub fn key(self, channel: &str) -> String {
        format!("digest/{}/{}/{channel}", self.period, date(self.last))
    }
}

/// `2026-11-25`, or `2026-11-19 to 2026-11-25`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period {
            Period::Daily => f.write_str(&date(self.last)),
            Period::Weekly => write!(f, "{} to {}", date(self.first()), date(self.last)),
        }
    }
}

/// A day of UTC, counted from 1970, as people write it.
fn date(day: i64) -> String {
    let stamp = Timestamp(day * 86_400).to_string();
    stamp.split('T').next().unwrap_or_default().to_owned()
}

/// When a channel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestRule {
    /// On which day of the week; `None` is every day.
    pub on: Option<Weekday>,
    pub at: Time,
    /// The zone its time is in.
    pub timezone: Zone,
}

impl DigestRule {
    /// Nine: the day's work begins.
    pub const AT: Time = Time::constant(9, 0, 0, 0);
    /// Monday: the week's does.
    pub const ON: Weekday = Weekday::Monday;

    /// The newest digest that is due at `now`: when it came due, and of which days it is. These are
    /// whole days of UTC, as those of scorecards are.
    pub fn due(&self, now: Timestamp) -> Option<(Timestamp, Span)> {
        let today = self.timezone.date(now)?;
        let days = std::iter::successors(Some(today), |day| day.yesterday().ok()).take(9);
        let mut days = days.filter(|day| self.on.is_none_or(|on| day.weekday() == on));
        let is_past = |day: &Date| self.comes(*day).is_some_and(|at| at <= now);
        let day = days.find(is_past)?;
        let period = if self.on.is_some() { Period::Weekly } else { Period::Daily };
        let last = counted(day)? - self.behind(day)?;
        Some((self.comes(day)?, Span { period, last }))
    }

    fn comes(&self, day: Date) -> Option<Timestamp> {
        self.timezone.begins(day.to_datetime(self.at))
    }

    /// How many days the last day of UTC that is over lies behind the local date: the same in summer
    /// and winter, so that no day is told twice or left out where clocks change.
    fn behind(&self, day: Date) -> Option<i64> {
        let in_month = |month| {
            let day = Date::new(day.year(), month, 1).ok()?;
            Some(counted(day)? - (self.comes(day)?.utc_day() - 1))
        };
        [in_month(1)?, in_month(7)?].into_iter().max()
    }
}

/// A date as a day counted from 1970.
fn counted(day: Date) -> Option<i64> {
    Some(Zone::default().begins(day.to_datetime(Time::midnight()))?.utc_day())
}

/// As an operator would say it.
impl fmt::Display for DigestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.strftime("%H:%M");
        match self.on.and_then(|on| DAYS.iter().find(|(_, day)| *day == on)) {
            Some((day, _)) => write!(f, "weekly digest on {day} at {at} {}", self.timezone),
            None => write!(f, "daily digest at {at} {}", self.timezone),
        }
    }
}

impl Serialize for DigestRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `{ every = "week", on = "Mon", at = "09:00", timezone = "Asia/Shanghai" }`.
pub(super) fn digest(entry: &Entry<'_>, of_quiet_hours: Option<&Zone>) -> Option<DigestRule> {
    let table = entry.table()?;
    let every = table.required(&known::EVERY, "`\"day\"` or `\"week\"`");
    let is_weekly = every.and_then(|every| every.choice(&[("day", false), ("week", true)]));
    let on = match table.get(&known::ON) {
        Some(entry) if is_weekly == Some(false) => {
            let hint = "a digest of every day is sent on every day".to_owned();
            entry.key_fault("`on` is for `every = \"week\"`".to_owned(), Some(hint));
            None
        }
        Some(entry) => entry.parsed(weekday, "a day such as `Mon`"),
        None => Some(DigestRule::ON),
    };
    let at = table.get(&known::AT).map_or(Some(DigestRule::AT), |entry| {
        entry.parsed(time_of_day, "a time of day such as `09:00`")
    });
    let expected = "an IANA time zone such as `\"Asia/Shanghai\"` or `\"UTC\"`";
    let timezone = match (table.get(&known::TIMEZONE), of_quiet_hours) {
        (Some(entry), _) => zone(&entry, expected),
        (None, Some(zone)) => Some(zone.clone()),
        (None, None) => {
            table.missing(&known::TIMEZONE, expected, None);
            None
        }
    };
    table.finish();
    let (is_weekly, on) = (is_weekly?, on?);
    Some(DigestRule { on: is_weekly.then_some(on), at: at?, timezone: timezone? })
}

#[cfg(test)]
mod tests {
    use fleet::Seconds;

    use super::*;

    fn rule(on: Option<Weekday>, at: &str, timezone: &str) -> DigestRule {
        let (at, timezone) = (time_of_day(at).unwrap(), Zone::new(timezone).unwrap());
        DigestRule { on, at, timezone }
    }

    fn due(rule: &DigestRule, now: &str) -> String {
        let (at, span) = rule.due(Timestamp::parse(now).unwrap()).unwrap();
        format!("{at}: {span}, {}", span.key("ops"))
    }

    #[test]
    fn a_digest_is_of_the_days_that_are_over() {
        let daily = rule(None, "09:00", "Asia/Shanghai");
        let told = [
            due(&daily, "2026-11-26T00:59:59Z"),
            due(&daily, "2026-11-26T01:00:00Z"),
            due(&rule(Some(Weekday::Monday), "09:00", "UTC"), "2026-11-23T08:59:59Z"),
            due(&rule(Some(Weekday::Monday), "09:00", "UTC"), "2026-11-29T23:00:00Z"),
            // The day of UTC is over in New York's evening, and not yet in Tokyo's morning.
            due(&rule(None, "20:30", "America/New_York"), "2026-11-26T02:00:00Z"),
            due(&rule(None, "06:00", "Asia/Tokyo"), "2026-11-26T02:00:00Z"),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        2026-11-25T01:00:00Z: 2026-11-24, digest/daily/2026-11-24/ops
        2026-11-26T01:00:00Z: 2026-11-25, digest/daily/2026-11-25/ops
        2026-11-16T09:00:00Z: 2026-11-09 to 2026-11-15, digest/weekly/2026-11-15/ops
        2026-11-23T09:00:00Z: 2026-11-16 to 2026-11-22, digest/weekly/2026-11-22/ops
        2026-11-26T01:30:00Z: 2026-11-25, digest/daily/2026-11-25/ops
        2026-11-25T21:00:00Z: 2026-11-24, digest/daily/2026-11-24/ops
        ");
    }

    /// Half past one in Berlin is on the day before in UTC, but in winter.
    #[test]
    fn no_day_is_told_twice_or_left_out_where_clocks_change() {
        let rules = [
            rule(None, "01:30", "Europe/Berlin"),
            rule(None, "02:30", "Europe/Berlin"),
            rule(None, "19:30", "America/New_York"),
            rule(None, "11:00", "Australia/Sydney"),
        ];
        for rule in rules {
            let hours = (0..370 * 24).map(|hour| Timestamp(1_767_225_600) + Seconds::hours(hour));
            let mut told: Vec<i64> = Vec::new();
            for now in hours {
                let (at, span) = rule.due(now).unwrap();
                assert!(at <= now && span.until() <= at, "{rule} {now}");
                if told.last() != Some(&span.last) {
                    told.push(span.last);
                }
            }
            assert!(told.windows(2).all(|two| two[1] == two[0] + 1), "{rule}: {told:?}");
            assert!(told.len() > 368, "{rule}: {}", told.len());
        }
    }
}
