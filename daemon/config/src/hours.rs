//! `[[service.hours]]`: times in which a service's operator bounds its size.

use std::collections::BTreeMap;

use fleet::{Seconds, Timestamp, Units};
use planner::idle::schedule::Span;
use planner::snapshot::Hours;
use serde::{Serialize, Serializer};

use super::calendar;
use super::idle::schedule::{UP, up};
use super::keys::service::hours as known;
use super::reader::{Entry, Table};
use super::zone::zone;
use crate::CalendarRule;
use crate::schedule::{NamedCalendar, UpHours};

/// How far ahead hours are told: beyond any lead time and hold window.
const AHEAD: Seconds = Seconds::days(3);
/// How long after an interval its samples may settle.
const SETTLES_WITHIN: Seconds = Seconds::hours(1);
/// How far back the beginning of hours under way is looked for.
const BEHIND: Seconds = Seconds::days(9);

/// Times in which a service's size is bounded, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct HoursRule {
    /// When, as the operator wrote it, with its zone.
    pub written: String,
    /// When.
    pub at: UpHours,
    /// The least units in them, in service when they begin.
    pub min: Option<Units>,
    /// The most units in them.
    pub max: Option<Units>,
}

/// The calendars of a file that hours may follow.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownCalendars {
    /// The names of all, faulty ones too.
    pub named: Vec<String>,
    /// Those that could be read.
    pub read: BTreeMap<String, CalendarRule>,
}

impl HoursRule {
    /// What they ask for, a little while ago, now and in the days to come.
    pub fn around(&self, now: Timestamp) -> Vec<Hours> {
        let covers = Span { from: now - BEHIND, until: now + AHEAD };
        // Those that have just ended too: what is measured in them settles later.
        let lately = now - SETTLES_WITHIN;
        let spans = self.at.spans(covers).into_iter().filter(|span| span.until > lately);
        let hours = |Span { from, until }| {
            let (min, max) = (self.min.filter(|min| *min > Units(0)), self.max);
            Hours { at: self.written.clone(), from, until, min, max }
        };
        spans.map(hours).collect()
    }

    /// When nothing may serve, within some time: of what is measured then nothing is demand.
    pub fn closed(&self, covers: Span) -> Vec<Span> {
        if self.max == Some(Units(0)) { self.at.spans(covers) } else { Vec::new() }
    }
}

impl Serialize for HoursRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.written, self.min, self.max).serialize(serializer)
    }
}

/// Reads `hours` of a service, a template or the defaults.
pub(super) fn hours(entry: &Entry<'_>, calendars: &KnownCalendars) -> Vec<HoursRule> {
    let rules = entry.tables().into_iter().filter_map(|table| {
        let rule = rule(&table, calendars);
        table.finish();
        rule
    });
    rules.collect()
}

fn rule(table: &Table<'_>, calendars: &KnownCalendars) -> Option<HoursRule> {
    let at = at(table, calendars);
    let units = |key, least| table.get(key).map(|entry| entry.units(least));
    let (exactly, min, max) =
        (units(&known::EXACTLY, 0), units(&known::MIN, 1), units(&known::MAX, 0));
    let (min, max) = match (exactly, min, max) {
        (None, None, None) => {
            let hint = "or `min`, or `max`".to_owned();
            table.missing(&known::EXACTLY, "how many units, such as `0`", Some(hint));
            return None;
        }
        (Some(exactly), None, None) => (Some(exactly?), Some(exactly?)),
        (None, min, max) => (transposed(min)?, transposed(max)?),
        (Some(_), ..) => {
            let message = "`exactly` is both `min` and `max`, expected it alone".to_owned();
            table.fault(message, None);
            return None;
        }
    };
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let message = format!("`min` is {min} and `max` is {max}, expected `min` not above `max`");
        table.fault(message, None);
        return None;
    }
    let (written, at) = at?;
    Some(HoursRule { written, at, min, max })
}

/// `None` where there is a value, and a faulty one.
fn transposed(units: Option<Option<Units>>) -> Option<Option<Units>> {
    match units {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

/// When, in the operator's words and as it is read.
fn at(table: &Table<'_>, calendars: &KnownCalendars) -> Option<(String, UpHours)> {
    let entry = table.get(&known::CALENDAR);
    let calendar = match &entry {
        Some(entry) => {
            let name = calendar::named(entry, &calendars.named)?;
            let rule = calendars.read.get(&name)?.clone();
            Some(NamedCalendar { name, rule })
        }
        None => None,
    };
    let expected = "an IANA time zone such as `\"Europe/Berlin\"` or `\"UTC\"`";
    let timezone = match (table.get(&known::TIMEZONE), &calendar) {
        (Some(entry), _) => zone(&entry, expected),
        (None, Some(calendar)) => Some(calendar.rule.timezone.clone()),
        (None, None) => {
            table.missing(&known::TIMEZONE, expected, None);
            None
        }
    };
    let found = table.required(&known::AT, UP);
    let windows = found.as_ref().and_then(|at| up(at, entry.is_some()));
    let (timezone, windows, found) = (timezone?, windows?, found?);
    let members = if found.as_text().is_some() { Vec::new() } else { found.list(UP) };
    let texts = found.as_text().into_iter().chain(members.iter().filter_map(Entry::as_text));
    let written = format!("{} {timezone}", texts.collect::<Vec<_>>().join(", "));
    Some((written, UpHours { timezone, up: windows, calendar, exceptions: BTreeMap::new() }))
}

#[cfg(test)]
mod tests {
    use fleet::ServiceName;

    use super::*;
    use crate::tests_parse;

    const DEV: &str = r#"
[provider.sim]
kind = "sim"
[service_defaults]
hours = [{ at = "Sat,Sun", timezone = "Europe/Berlin", max = 1 }]
[[service]]
name = "dev"
demand = [{ namespace = "A", metric = "M", when_missing = "zero" }]
[[service.pool]]
group = "dev"
capacity_per_unit = 5
[[service.hours]]
at = ["daily 20:00-07:00", "Sat,Sun"]
timezone = "Europe/Berlin"
exactly = 0
[[service.hours]]
at = "Mon-Fri 07:00-20:00"
timezone = "Europe/Berlin"
min = 4
[[service]]
name = "other"
demand = [{ namespace = "A", metric = "N", when_missing = "zero" }]
[[service.pool]]
group = "other"
capacity_per_unit = 5
"#;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn rules(service: &str) -> Vec<HoursRule> {
        let config = tests_parse(DEV).unwrap();
        config.service_hours[&ServiceName::new(service).unwrap()].clone()
    }

    #[test]
    fn nights_and_weekends_are_one_time_and_clocks_that_change_lengthen_it() {
        let bounds = |now: &str| {
            let bounds =
                rules("dev").iter().flat_map(|rule| rule.around(at(now))).collect::<Vec<_>>();
            let bounds = bounds.iter().filter_map(|h| Some((h, h.max?)));
            let shown = bounds.map(|(h, max)| format!("{} {} {}", h.from, h.until, max.0));
            shown.collect::<Vec<_>>().join("\n")
        };
        // From Friday evening to Monday morning, over the hour that comes twice on 25 October.
        insta::assert_snapshot!(bounds("2026-10-24T12:00:00Z"), @r"
        2026-10-23T18:00:00Z 2026-10-26T06:00:00Z 0
        2026-10-26T19:00:00Z 2026-10-27T06:00:00Z 0
        ");
    }

    #[test]
    fn a_least_size_is_a_floor_and_defaults_hold_where_a_service_has_none() {
        let dev = rules("dev");
        let day = &dev[1].around(at("2026-10-26T01:00:00Z"))[0];
        assert_eq!(
            (day.min, day.max, day.from),
            (Some(Units(4)), None, at("2026-10-26T06:00:00Z"))
        );
        assert_eq!(day.at, "Mon-Fri 07:00-20:00 Europe/Berlin");
        assert_eq!(dev[0].around(at("2026-10-26T01:00:00Z"))[0].min, None, "nothing is no floor");
        assert_eq!(rules("other")[0].max, Some(Units(1)));
        let covers = Span { from: at("2026-10-19T00:00:00Z"), until: at("2026-10-20T00:00:00Z") };
        assert_eq!(dev[0].closed(covers).len(), 2);
        assert!(rules("other")[0].closed(covers).is_empty(), "a few may serve");
    }

    #[test]
    fn what_bounds_nothing_or_contradicts_itself_is_a_fault() {
        let told = |hours: &str| {
            let text = DEV.replace("exactly = 0\n", hours);
            match tests_parse(&text) {
                Ok(_) => "sound".to_owned(),
                Err(faults) => faults.iter().map(|f| f.to_string()).collect::<Vec<_>>().join("\n"),
            }
        };
        assert!(told("").contains("`exactly`"), "{}", told(""));
        assert!(told("exactly = 0\nmin = 1\n").contains("expected it alone"));
        assert!(told("min = 5\nmax = 4\n").contains("not above"));
        assert!(told("max = -1\n").contains("max"));
        assert_eq!(told("min = 1\nmax = 4\n"), "sound");
    }
}
