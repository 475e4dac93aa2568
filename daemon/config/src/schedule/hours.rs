//! Hours as an operator writes them: `up = "Mon-Fri 08:30-20:00"` in a time zone.
//!
//! A window begins at the first moment that clocks show its beginning, and ends at the last that
//! they show its end: where clocks go back it lasts through the repeated hour, where they go
//! forward over its beginning it begins as they do, and an end that they pass over comes as much
//! later; a window that they pass over as a whole comes right after. So a machine is never down
//! while clocks on the wall say that it is up.

use std::collections::BTreeMap;
use std::fmt;

use fleet::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use planner::idle::schedule::Span;
use serde::{Serialize, Serializer};

use super::spans::laid_together;
use crate::{CalendarRule, OfMonth, Weekly, Zone};

/// The days before the first that may have a window still open on it: the longest, and one more
/// since local days are not those of UTC.
const DAYS_BEFORE: i32 = 9;

/// The hours of a `[[schedule]]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpHours {
    /// The zone its times are in.
    pub timezone: Zone,
    /// When machines are up; they may overlap.
    pub up: Vec<UpWindow>,
    /// The calendar that says which days are working days.
    pub calendar: Option<NamedCalendar>,
    /// Days whose windows are others: those that begin on the day, in place of all of `up`'s.
    pub exceptions: BTreeMap<Date, Vec<Weekly>>,
}

/// A calendar with its name in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCalendar {
    pub name: String,
    /// What it says.
    pub rule: CalendarRule,
}

impl Serialize for NamedCalendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

/// A window of the day, on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpWindow {
    pub on: Days,
    /// Its times; its own days are those of [`Days::Weekdays`].
    pub times: Weekly,
}

/// The days that a window begins on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Days of the week by name. With a calendar, a weekday that is a holiday has the windows
    /// that name all its days of rest, and a make-up working day those that name all its others.
    Weekdays,
    /// The calendar's working days.
    Working,
    /// The calendar's days of rest.
    Rest,
}

/// The words that need a calendar.
const BY_CALENDAR: [(&str, Days); 2] = [("working_days", Days::Working), ("rest_days", Days::Rest)];

impl UpWindow {
    /// Reads `Mon-Fri 08:30-20:00`, `daily 22:00-06:00` (ends the day after), `Fri 18:00-Mon 08:00`,
    /// `Sat,Sun` (whole days), and `working_days` or `rest_days` in place of names of days. Names
    /// with `first` or `last` before them are days of a month.
    pub fn parse(text: &str) -> Option<UpWindow> {
        let (of_month, text) = OfMonth::split(text.trim());
        let (days, times) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let times = if times.is_empty() { "00:00-24:00" } else { times };
        let by_calendar = BY_CALENDAR.iter().find(|(word, _)| *word == days);
        let (on, days) = by_calendar.map_or((Days::Weekdays, days), |(_, on)| (*on, "daily"));
        let times = Weekly::parse(&format!("{days} {times}"))?;
        if !of_month.is_empty() && (days == "daily" || !times.of_month.is_empty()) {
            return None;
        }
        Some(UpWindow { on, times: Weekly { of_month, ..times } })
    }

    /// Whether it needs a calendar.
    pub fn is_by_calendar(&self) -> bool {
        self.on != Days::Weekdays
    }

    fn begins_on(&self, date: Date, calendar: Option<&CalendarRule>) -> bool {
        use forecaster::DayKind;
        // No day that is moved is the first or the last of its name.
        let names = |day: Weekday| self.times.of_month.is_empty() && self.times.days.contains(&day);
        let Some(calendar) = calendar else {
            return self.on == Days::Weekdays && self.times.opens_on(date);
        };
        let day = calendar.day(date);
        match (self.on, day.kind) {
            (Days::Working, kind) => kind == DayKind::Working,
            (Days::Rest, kind) => kind == DayKind::Rest,
            (Days::Weekdays, _) if !day.moved => self.times.opens_on(date),
            (Days::Weekdays, kind) => {
                let alike =
                    |day: &Weekday| calendar.rest_days.contains(day) == (kind == DayKind::Rest);
                // A calendar without days of rest has none that a holiday could be like.
                let week: Vec<Weekday> = Weekday::Monday.cycle_forward().take(7).collect();
                let like = week.iter().copied().filter(alike).collect::<Vec<_>>();
                if like.is_empty() { &week } else { &like }.iter().copied().all(names)
            }
        }
    }
}

/// As an operator would write it.
impl fmt::Display for UpWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.times.to_string();
        match BY_CALENDAR.iter().find(|(_, on)| *on == self.on) {
            Some((word, _)) => {
                let times = text.split_once(' ').map_or("", |(_, times)| times);
                write!(f, "{word} {times}")
            }
            None => f.write_str(&text),
        }
    }
}

impl Serialize for UpWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl UpHours {
    /// When machines are up within `covers`: spans that rise and are apart.
    pub fn spans(&self, covers: Span) -> Vec<Span> {
        let zone = &self.timezone;
        let Some((first, last)) = zone.date(covers.from).zip(zone.date(covers.until)) else {
            return Vec::new();
        };
        let first = first.checked_sub(DAYS_BEFORE.days()).unwrap_or(first);
        let days = first.series(1.day()).take_while(|date| *date <= last);
        let spans = days.filter(|date| zone.has(*date)).flat_map(|date| self.of(date)).collect();
        laid_together(spans, covers)
    }

    /// The windows that begin on a day.
    fn of(&self, date: Date) -> Vec<Span> {
        let calendar = self.calendar.as_ref().map(|calendar| &calendar.rule);
        let span = |times: &Weekly| {
            let (opens, closes) = times.local_window(date)?;
            let (from, until) = (self.timezone.starts(opens)?, self.timezone.closes(closes)?);
            if from < until {
                return Some(Span { from, until });
            }
            let length = closes.duration_since(opens).as_secs();
            Some(Span { from, until: Timestamp(from.0 + length) })
        };
        match self.exceptions.get(&date) {
            Some(windows) => windows.iter().filter_map(span).collect(),
            None => {
                let begins = self.up.iter().filter(|window| window.begins_on(date, calendar));
                begins.filter_map(|window| span(&window.times)).collect()
            }
        }
    }
}
