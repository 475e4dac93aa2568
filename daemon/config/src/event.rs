//! `[[event]]`: sales, launches and batches that are known beforehand, and the floors they ask for.

use std::fmt;

use fleet::{Seconds, ServiceName, Timestamp, Units};
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};
use planner::policy::EventFloor;
use serde::{Serialize, Serializer};

use super::freeze::{
    LOCAL_TIME, WEEKLY, Weekly, end_of_window, local_time, service_names, time_of_day,
};
use super::keys::root::top;
use super::keys::times::event as known;
use super::reader::Table;
use super::zone::{Zone, zone};

/// An event that takes place once, or again and again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRule {
    /// Its name. Rules of one name are the same event: a sale that moves has a rule a year.
    pub name: String,
    /// The services it is for; empty is all.
    pub services: Vec<ServiceName>,
    /// The zone its times are in.
    pub timezone: Zone,
    /// When it takes place.
    pub window: EventWindow,
    /// The least capacity while it lasts.
    pub floor: Option<Floor>,
}

/// The least capacity that an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Floor {
    pub units: Units,
    /// From when on the floor is void, local time.
    pub expires: DateTime,
}

/// When an event takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventWindow {
    /// Once: from the first moment on, up to and without the second, local time.
    Once {
        /// Its beginning.
        from: DateTime,
        /// Its end.
        until: DateTime,
    },
    /// Every week, or every day.
    Weekly(Weekly),
    /// Every year.
    Yearly(Yearly),
}

/// A window that comes every year; one on 29 February in leap years alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yearly {
    month: i8,
    day: i8,
    from: Time,
    end: YearlyEnd,
    until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum YearlyEnd {
    DaysLater(i32),
    /// This month and day, of the year after where it is not after the beginning.
    On(i8, i8),
}

/// What a yearly window should look like, for messages.
const YEARLY: &str =
    "a yearly window such as `11-11`, `11-11 20:00-24:00` or `11-10 20:00-11-12 02:00`";

impl Yearly {
    /// Reads `11-11` (the whole day), `11-11 20:00-24:00` (the day after, where it ends earlier
    /// than it begins) and `11-10 20:00-11-12 02:00`.
    pub fn parse(text: &str) -> Option<Yearly> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (month, day) = month_and_day(words.first()?)?;
        let (from, end, until) = match words.as_slice() {
            [_] => (Time::midnight(), YearlyEnd::DaysLater(1), Time::midnight()),
            [_, times] => {
                let (from, until) = times.split_once('-')?;
                let (from, (until, extra)) = (time_of_day(from)?, end_of_window(until)?);
                (from, YearlyEnd::DaysLater(i32::from(extra || until <= from)), until)
            }
            [_, middle, end] => {
                let (from, date) = middle.split_once('-')?;
                let (month, day) = month_and_day(date)?;
                (time_of_day(from)?, YearlyEnd::On(month, day), time_of_day(end)?)
            }
            _ => return None,
        };
        Some(Yearly { month, day, from, end, until })
    }

    fn of(&self, year: i16) -> Option<(DateTime, DateTime)> {
        let first = Date::new(year, self.month, self.day).ok()?;
        let from = first.to_datetime(self.from);
        let until = match self.end {
            YearlyEnd::DaysLater(days) => {
                first.checked_add(days.days()).ok()?.to_datetime(self.until)
            }
            YearlyEnd::On(month, day) => {
                let this_year = Date::new(year, month, day).ok()?.to_datetime(self.until);
                if this_year > from {
                    this_year
                } else {
                    Date::new(year + 1, month, day).ok()?.to_datetime(self.until)
                }
            }
        };
        // The last minute of a day belongs to it.
        let is_last = (self.until.hour(), self.until.minute()) == (23, 59);
        let until = if is_last { until.checked_add(1.minute()).ok()? } else { until };
        Some((from, until))
    }
}

/// As an operator would write it.
impl fmt::Display for Yearly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from.strftime("%H:%M"), self.until.strftime("%H:%M"));
        write!(f, "{:02}-{:02} {from}-", self.month, self.day)?;
        match self.end {
            YearlyEnd::DaysLater(0) => write!(f, "{until}"),
            YearlyEnd::DaysLater(_) => write!(f, "{until} the day after"),
            YearlyEnd::On(month, day) => write!(f, "{month:02}-{day:02} {until}"),
        }
    }
}

impl Serialize for Yearly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `11-11`; two digits each.
fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    let digits = |part: &str| {
        let sound = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| part.parse::<i8>().ok()).flatten()
    };
    let (month, day) = (digits(month)?, digits(day)?);
    // A leap year, so that 29 February is a day.
    Date::new(2024, month, day).ok().map(|_| (month, day))
}

/// How far ahead floors are told: beyond any lead time and hold window.
const FLOORS_AHEAD: Seconds = Seconds::days(3);

impl EventRule {
    /// Whether it is an event of this service.
    pub fn concerns(&self, service: &ServiceName) -> bool {
        self.services.is_empty() || self.services.contains(service)
    }

    /// Its times that are under way at some moment between the two, by beginning.
    pub fn times(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let zone = &self.timezone;
        let dates = zone.date(from).zip(zone.date(until));
        let local: Vec<(DateTime, DateTime)> = match (&self.window, dates) {
            (EventWindow::Once { from, until }, _) => vec![(*from, *until)],
            (EventWindow::Weekly(weekly), Some((first, last))) => {
                weekly.local_windows(first, last).collect()
            }
            (EventWindow::Yearly(yearly), Some((first, last))) => {
                (first.year() - 1..=last.year()).filter_map(|year| yearly.of(year)).collect()
            }
            (_, None) => Vec::new(),
        };
        let moments = local.into_iter();
        let mut times: Vec<(Timestamp, Timestamp)> =
            moments.filter_map(|(from, until)| zone.begins(from).zip(zone.closes(until))).collect();
        times.retain(|(opens, closes)| *closes > from && *opens < until);
        times.sort_unstable();
        times
    }

    /// When its floor becomes void.
    pub fn floor_ends(&self) -> Option<Timestamp> {
        self.floor.and_then(|floor| self.timezone.begins(floor.expires))
    }

    fn floors(&self, now: Timestamp) -> impl Iterator<Item = EventFloor> + '_ {
        let floor = self.floor.map(|floor| floor.units).zip(self.floor_ends());
        let times = floor.map_or_else(Vec::new, |_| self.times(now, now + FLOORS_AHEAD));
        times.into_iter().filter_map(move |(from, until)| {
            let (units, ends) = floor?;
            let until = until.min(ends);
            (from < until && now < until).then(|| EventFloor {
                name: self.name.clone(),
                services: self.services.clone(),
                floor: units,
                from,
                until,
            })
        })
    }
}

/// The floors in force at `now` and those of the next days, by beginning. A floor that has expired
/// is not among them.
pub fn floors_ahead(rules: &[EventRule], now: Timestamp) -> Vec<EventFloor> {
    let mut floors: Vec<EventFloor> = rules.iter().flat_map(|rule| rule.floors(now)).collect();
    floors.sort_by(|a, b| (a.from, a.until, &a.name).cmp(&(b.from, b.until, &b.name)));
    floors
}

/// Reads every `[[event]]`; `services` are the names there are, `None` where templates add more.
pub(super) fn events(root: &Table<'_>, services: Option<&[String]>) -> Vec<EventRule> {
    let tables = root.get(&top::EVENT).map_or_else(Vec::new, |entry| entry.tables());
    tables.iter().filter_map(|table| event(table, services)).collect()
}

fn event(table: &Table<'_>, services: Option<&[String]>) -> Option<EventRule> {
    let name = table.required(&known::NAME, "the event's name").and_then(|e| e.text("a name"));
    let expected = "an IANA time zone such as `\"Asia/Shanghai\"` or `\"UTC\"`";
    let timezone =
        table.required(&known::TIMEZONE, expected).and_then(|entry| zone(&entry, expected));
    let for_services = table.get(&known::SERVICES).map(|entry| service_names(&entry, services));
    let window = window(table);
    let floor = floor(table, window.as_ref());
    table.finish();
    Some(EventRule {
        name: name?.to_owned(),
        services: for_services.unwrap_or_default(),
        timezone: timezone?,
        window: window?,
        floor: floor.ok()?,
    })
}

fn window(table: &Table<'_>) -> Option<EventWindow> {
    let (weekly, yearly) = (table.get(&known::WEEKLY), table.get(&known::YEARLY));
    let (from, until) = (table.get(&known::FROM), table.get(&known::UNTIL));
    match (weekly, yearly, from, until) {
        (Some(weekly), None, None, None) => {
            weekly.parsed(Weekly::parse, WEEKLY).map(EventWindow::Weekly)
        }
        (None, Some(yearly), None, None) => {
            yearly.parsed(Yearly::parse, YEARLY).map(EventWindow::Yearly)
        }
        (None, None, Some(from), Some(until)) => {
            let (start, end) = (local_time(&from), local_time(&until));
            let (start, end) = (start?, end?);
            if end <= start {
                until.unexpected(&format!("an end after `{start}`"), None);
                return None;
            }
            Some(EventWindow::Once { from: start, until: end })
        }
        (None, None, Some(_), None) => {
            let hint = "an event that does not end would keep its floor for ever".to_owned();
            table.missing(&known::UNTIL, LOCAL_TIME, Some(hint));
            None
        }
        (None, None, None, _) => {
            let hint = "or `yearly = \"11-11\"`, or `weekly = \"daily 02:00-03:00\"`".to_owned();
            table.missing(&known::FROM, LOCAL_TIME, Some(hint));
            None
        }
        (weekly, yearly, ..) => {
            let message =
                "an event has more than one of `weekly`, `yearly` and `from`, expected one";
            if let Some(entry) = weekly.or(yearly) {
                entry.key_fault(message.to_owned(), None);
            }
            None
        }
    }
}

/// A floor with its expiry: its own, or the end of an event that takes place once. `Err` where it
/// has a fault.
fn floor(table: &Table<'_>, window: Option<&EventWindow>) -> Result<Option<Floor>, ()> {
    let (floor, expires) = (table.get(&known::FLOOR), table.get(&known::EXPIRES));
    let Some(floor) = floor else {
        if let Some(expires) = expires {
            let message = "`expires` is the end of a `floor`, and there is none".to_owned();
            expires.key_fault(message, None);
            return Err(());
        }
        return Ok(None);
    };
    let units = floor.units(1);
    let end = match (expires, window) {
        (Some(expires), _) => local_time(&expires),
        (None, Some(EventWindow::Once { until, .. })) => Some(*until),
        (None, Some(_)) => {
            let hint = "a floor that comes back must end one day, or it is forgotten and paid for"
                .to_owned();
            table.missing(&known::EXPIRES, LOCAL_TIME, Some(hint));
            None
        }
        (None, None) => None,
    };
    units.zip(end).map(|(units, expires)| Some(Floor { units, expires })).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(timezone: &str, window: EventWindow, expires: &str) -> EventRule {
        EventRule {
            name: "sale".to_owned(),
            services: Vec::new(),
            timezone: Zone::new(timezone).unwrap(),
            window,
            floor: Some(Floor { units: Units(40), expires: expires.parse().unwrap() }),
        }
    }

    fn yearly(timezone: &str, text: &str, expires: &str) -> EventRule {
        rule(timezone, EventWindow::Yearly(Yearly::parse(text).unwrap()), expires)
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn times(rule: &EventRule, from: &str, until: &str) -> String {
        let times = rule.times(at(from), at(until));
        let shown: Vec<String> =
            times.iter().map(|(from, until)| format!("{from} {until}")).collect();
        shown.join("\n")
    }

    fn floors(rule: &EventRule, now: &str) -> String {
        let floors = floors_ahead(std::slice::from_ref(rule), at(now));
        let shown: Vec<String> = floors
            .iter()
            .map(|f| format!("{} from {} until {}", f.floor, f.from, f.until))
            .collect();
        shown.join("\n")
    }

    #[test]
    fn a_yearly_event_is_a_day_of_its_zone() {
        let sale = yearly("Asia/Shanghai", "11-11", "2027-01-01");
        insta::assert_snapshot!(times(&sale, "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z"), @r"
        2025-11-10T16:00:00Z 2025-11-11T16:00:00Z
        2026-11-10T16:00:00Z 2026-11-11T16:00:00Z
        ");
        let eve = yearly("America/New_York", "12-31 20:00-01-01 02:00", "2030-01-01");
        insta::assert_snapshot!(times(&eve, "2026-12-31T00:00:00Z", "2027-01-02T00:00:00Z"), @r"2027-01-01T01:00:00Z 2027-01-01T07:00:00Z");
        let leap = yearly("UTC", "02-29", "2030-01-01");
        insta::assert_snapshot!(times(&leap, "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z"), @r"2028-02-29T00:00:00Z 2028-03-01T00:00:00Z");
        for bad in ["", "11-31", "1-1", "13-01", "11-11 20:00", "11/11", "11-11 25:00-26:00"] {
            assert_eq!(Yearly::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_batch_at_two_is_at_two_by_its_own_clock() {
        let weekly = EventWindow::Weekly(Weekly::parse("daily 02:00-03:30").unwrap());
        let batch = rule("America/New_York", weekly, "2027-01-01");
        // The clocks go from two to three on 8 March: the batch of that day begins when they do.
        insta::assert_snapshot!(times(&batch, "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z"), @r"
        2026-03-07T07:00:00Z 2026-03-07T08:30:00Z
        2026-03-08T07:00:00Z 2026-03-08T07:30:00Z
        2026-03-09T06:00:00Z 2026-03-09T07:30:00Z
        ");
    }

    #[test]
    fn a_floor_is_told_before_it_begins_and_no_more_once_it_has_expired() {
        let sale = yearly("Asia/Shanghai", "11-11", "2026-11-11T12:00");
        assert_eq!(floors(&sale, "2026-11-07T15:59:59Z"), "");
        insta::assert_snapshot!(floors(&sale, "2026-11-08T00:00:00Z"), @r"40 units from 2026-11-10T16:00:00Z until 2026-11-11T04:00:00Z");
        insta::assert_snapshot!(floors(&sale, "2026-11-11T03:59:59Z"), @r"40 units from 2026-11-10T16:00:00Z until 2026-11-11T04:00:00Z");
        assert_eq!(floors(&sale, "2026-11-11T04:00:00Z"), "", "expired at noon");
        assert_eq!(floors(&sale, "2027-11-11T00:00:00Z"), "", "expired a year ago");
    }
}
