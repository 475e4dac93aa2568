//! `[calendar.NAME]`: the zone that people live in, their days of rest and their holidays.

use std::collections::BTreeMap;

use forecaster::{Day, DayKind};
use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::freeze::days_of;
use super::holidays::{Holidays, holidays};
use super::keys::root::top;
use super::keys::times::calendar as known;
use super::reader::{Entry, Table, did_you_mean};
use super::zone::{Zone, zone};

/// A calendar that services name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalendarRule {
    /// The zone of its days.
    pub timezone: Zone,
    /// The weekdays on which people do not work.
    #[serde(serialize_with = "as_words")]
    pub rest_days: Vec<Weekday>,
    /// The days on which it is otherwise.
    pub holidays: Holidays,
}

fn as_words<S: serde::Serializer>(days: &[Weekday], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(days.iter().map(|day| format!("{day:?}")))
}

/// What a list of days should look like, for messages.
const REST_DAYS: &str = "days such as `\"Sat,Sun\"` or `\"Fri,Sat\"`, or `\"none\"`";

impl CalendarRule {
    /// What people do on a day.
    pub fn day(&self, date: Date) -> Day {
        let at_rest = self.rest_days.contains(&date.weekday());
        let usual = if at_rest { DayKind::Rest } else { DayKind::Working };
        let kind = self.holidays.days.get(&date).map_or(usual, |holiday| holiday.kind);
        Day { kind, moved: kind != usual }
    }
}

/// Reads every `[calendar.NAME]`, and gives the names of all, faulty ones too.
pub(super) fn calendars(root: &Table<'_>) -> (BTreeMap<String, CalendarRule>, Vec<String>) {
    let Some(table) = root.get(&top::CALENDAR).and_then(|entry| entry.table()) else {
        return (BTreeMap::new(), Vec::new());
    };
    let entries = table.entries();
    let names = entries.iter().map(|entry| entry.key().to_owned()).collect();
    let read = entries.iter().filter_map(|entry| {
        let rule = calendar(&entry.table()?)?;
        Some((entry.key().to_owned(), rule))
    });
    (read.collect(), names)
}

fn calendar(table: &Table<'_>) -> Option<CalendarRule> {
    let expected = "an IANA time zone such as `\"Asia/Shanghai\"`";
    let timezone =
        table.required(&known::TIMEZONE, expected).and_then(|entry| zone(&entry, expected));
    let rest_days = table.get(&known::REST_DAYS).map_or(Some(weekend()), |entry| {
        entry
            .parsed(|text| if text == "none" { Some(Vec::new()) } else { days_of(text) }, REST_DAYS)
    });
    let holidays = holidays(table);
    table.finish();
    Some(CalendarRule { timezone: timezone?, rest_days: rest_days?, holidays: holidays? })
}

fn weekend() -> Vec<Weekday> {
    vec![Weekday::Saturday, Weekday::Sunday]
}

/// The name of a calendar of this file.
pub(super) fn named(entry: &Entry<'_>, known: &[String]) -> Option<String> {
    let name = entry.text("a calendar's name")?;
    if !known.iter().any(|other| other == name) {
        let hint = did_you_mean(name, known.iter().map(String::as_str))
            .unwrap_or_else(|| format!("a calendar is a table `[calendar.{name}]`"));
        let message = format!("unknown calendar `{name}`, expected one of this file");
        entry.fault(message, Some(hint));
        return None;
    }
    Some(name.to_owned())
}
