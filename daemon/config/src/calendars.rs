//! The calendars and events of a configuration, as the forecaster and the planner read them.

use std::collections::BTreeMap;

use fleet::{Seconds, ServiceName, Timestamp};
use forecaster::{Calendar, Day, Occurrence};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use planner::idle::schedule::Span;
use planner::policy::EventFloor;
use planner::snapshot::Hours;

use crate::{CalendarRule, Config, EventRule, HoursRule, floors_ahead};

/// How far back a forecaster's calendar goes: more than any history that is held.
const BEHIND: Seconds = Seconds::days(70);
/// How far ahead: more than any window that is forecast.
const AHEAD: Seconds = Seconds::days(16);

/// How long before its beginning a year without holidays is warned of: time to write them down.
const WARNED_AHEAD: Seconds = Seconds::days(30);

/// All calendars and events in force, and which service lives by which.
#[derive(Clone, Debug, Default)]
pub struct Calendars {
    rules: BTreeMap<String, CalendarRule>,
    events: Vec<EventRule>,
    services: BTreeMap<ServiceName, String>,
    /// The hours that there are, each once: thousands of services may have the same.
    hours: Vec<Vec<HoursRule>>,
    /// Which of them a service has.
    hours_of: BTreeMap<ServiceName, usize>,
}

/// What the hours of services ask for around now.
#[derive(Clone, Debug, Default)]
pub struct HoursNow<'a> {
    around: Vec<Vec<Hours>>,
    of: Option<&'a BTreeMap<ServiceName, usize>>,
}

impl HoursNow<'_> {
    /// What those of a service ask for, now and in the days to come.
    pub fn of(&self, service: &ServiceName) -> Vec<Hours> {
        let at = self.of.and_then(|of| of.get(service));
        at.and_then(|at| self.around.get(*at)).cloned().unwrap_or_default()
    }
}

impl Calendars {
    /// Those of a configuration; services made of templates are added with [`Calendars::assign`].
    pub fn of(config: &Config) -> Calendars {
        let mut calendars = Calendars {
            rules: config.calendars.clone(),
            events: config.events.clone(),
            services: config.service_calendars.clone(),
            ..Calendars::default()
        };
        for (service, hours) in &config.service_hours {
            calendars.bound(service, hours);
        }
        calendars
    }

    /// Lets hours bound a service, unless it has some.
    pub fn bound(&mut self, service: &ServiceName, hours: &[HoursRule]) {
        if hours.is_empty() || self.hours_of.contains_key(service) {
            return;
        }
        let known = self.hours.iter().position(|known| known == hours);
        let at = known.unwrap_or_else(|| {
            self.hours.push(hours.to_vec());
            self.hours.len() - 1
        });
        self.hours_of.insert(service.clone(), at);
    }

    /// The hours of a service.
    pub fn hours(&self, service: &ServiceName) -> &[HoursRule] {
        self.hours_of.get(service).map_or(&[], |at| self.hours[*at].as_slice())
    }

    /// What the hours of all services ask for around `now`.
    pub fn hours_at(&self, now: Timestamp) -> HoursNow<'_> {
        let around = |rules: &Vec<HoursRule>| rules.iter().flat_map(|r| r.around(now)).collect();
        HoursNow { around: self.hours.iter().map(around).collect(), of: Some(&self.hours_of) }
    }

    /// When a service is closed, from one moment to another: what is measured then is no demand.
    pub fn closed(&self, service: &ServiceName, covers: Span) -> Vec<Span> {
        self.hours(service).iter().flat_map(|rule| rule.closed(covers)).collect()
    }

    /// Lets a service live by the calendar `name`, unless it has one.
    pub fn assign(&mut self, service: &ServiceName, name: &str) {
        self.services.entry(service.clone()).or_insert_with(|| name.to_owned());
    }

    /// The floors of events in force at `now`, and of those to come soon.
    pub fn floors(&self, now: Timestamp) -> Vec<EventFloor> {
        floors_ahead(&self.events, now)
    }

    /// What a service's forecaster has to know around `now`: the same through a whole day of UTC.
    pub fn around(&self, service: &ServiceName, now: Timestamp) -> Calendar {
        let midnight = Timestamp(now.0.div_euclid(86_400) * 86_400);
        self.between(service, midnight - BEHIND, midnight + AHEAD)
    }

    /// The calendar of a service from one moment to another; empty where it has none and no event
    /// takes place.
    pub fn between(&self, service: &ServiceName, from: Timestamp, until: Timestamp) -> Calendar {
        let events = self.events.iter().filter(|event| event.concerns(service));
        calendar(self.rule(service), events, from, until)
    }

    /// What an operator should mend soon: the calendar or event, and why.
    pub fn warnings(&self, now: Timestamp) -> Vec<(String, String)> {
        let mut warnings = Vec::new();
        for (name, rule) in &self.rules {
            let dates = rule.timezone.date(now).zip(rule.timezone.date(now + WARNED_AHEAD));
            let Some((from, until)) = dates else { continue };
            let years = from.year()..=until.year();
            for year in years.filter(|year| !rule.holidays.covers(*year)) {
                let text = format!(
                    "{} has no day of {year}: its holidays count as ordinary days; name a newer file \
                     with `holidays_file`",
                    rule.holidays.source
                );
                warnings.push((format!("calendar {name}"), text));
            }
        }
        for event in &self.events {
            let ended = event.floor_ends().filter(|ends| *ends <= now);
            if let Some(ends) = ended {
                let text = format!("its floor expired at {ends} and does nothing any more");
                warnings.push((format!("event {}", event.name), text));
            }
        }
        warnings
    }

    /// The rule that a service lives by.
    pub fn rule(&self, service: &ServiceName) -> Option<&CalendarRule> {
        self.services.get(service).and_then(|name| self.rules.get(name))
    }

    /// The events of a service.
    pub fn events(&self, service: &ServiceName) -> impl Iterator<Item = &EventRule> {
        self.events.iter().filter(move |event| event.concerns(service))
    }
}

/// The calendar of a rule and some events from one moment to another. Events without a rule are
/// laid over days by UTC that are all alike.
pub fn calendar<'e>(
    rule: Option<&CalendarRule>,
    events: impl Iterator<Item = &'e EventRule>,
    from: Timestamp,
    until: Timestamp,
) -> Calendar {
    let occurrences: Vec<Occurrence> = events
        .flat_map(|event| {
            let name = event.name.clone();
            let times = event.times(from, until).into_iter();
            times.map(move |(from, until)| Occurrence { name: name.clone(), from, until })
        })
        .collect();
    if rule.is_none() && occurrences.is_empty() {
        return Calendar::default();
    }
    let local_date = |at: Timestamp| match rule {
        Some(rule) => rule.timezone.date(at),
        None => {
            let at = jiff::Timestamp::from_second(at.0).ok()?;
            Some(TimeZone::UTC.to_datetime(at).date())
        }
    };
    let Some((first, last)) = local_date(from).zip(local_date(until)) else {
        return Calendar::default();
    };
    let of = |date| rule.map_or_else(Day::default, |rule| rule.day(date));
    let days = first.series(1.day()).take_while(|date| *date <= last).map(of).collect();
    let clock = rule.map_or_else(Vec::new, |rule| rule.timezone.clock(from, until));
    Calendar::new(clock, day_number(first), days, occurrences)
}

/// Days since 1970-01-01.
fn day_number(day: Date) -> i64 {
    let epoch = date(1970, 1, 1);
    epoch.until(day).map_or(0, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use forecaster::DayKind;

    const TEXT: &str = r#"
[provider.sim]
kind = "sim"
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[calendar.de]
timezone = "Europe/Berlin"
rest_days = "Sun"
[service_defaults]
calendar = "cn"
[[service]]
name = "shop"
demand = [{ namespace = "A", metric = "M", when_missing = "zero" }]
[[service.pool]]
group = "shop"
capacity_per_unit = 5
[[service]]
name = "club"
calendar = "de"
demand = [{ namespace = "A", metric = "N", when_missing = "zero" }]
[[service.pool]]
group = "club"
capacity_per_unit = 5
[[event]]
name = "11.11"
timezone = "Asia/Shanghai"
yearly = "11-11"
services = ["shop"]
floor = 40
expires = "2027-01-01"
[[event]]
name = "batch"
timezone = "UTC"
weekly = "daily 02:00-03:00"
services = ["club"]
"#;

    fn calendars() -> Calendars {
        Calendars::of(&crate::tests_parse(TEXT).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn each_service_lives_by_its_own_calendar() {
        let (calendars, now) = (calendars(), at("2026-10-08T12:00:00Z"));
        let name = |text: &str| ServiceName::new(text).unwrap();
        let kind = |service: &str, moment: &str| {
            calendars
                .around(&name(service), now)
                .day_at(at(moment))
                .map(|day| (day.kind, day.moved))
        };
        // The make-up Saturday of 10 October begins at 16:00 UTC of the Friday.
        assert_eq!(kind("shop", "2026-10-09T15:59:59Z"), Some((DayKind::Working, false)));
        assert_eq!(kind("shop", "2026-10-09T16:00:00Z"), Some((DayKind::Working, true)));
        assert_eq!(kind("shop", "2026-10-10T16:00:00Z"), Some((DayKind::Rest, false)));
        assert_eq!(kind("shop", "2026-10-01T04:00:00Z"), Some((DayKind::Rest, true)));
        assert_eq!(kind("club", "2026-10-10T12:00:00Z"), Some((DayKind::Working, false)));
        assert_eq!(kind("club", "2026-10-10T22:30:00Z"), Some((DayKind::Rest, false)));
        assert_eq!(kind("club", "2027-10-10T22:30:00Z"), None);
        assert!(calendars.around(&name("nobody"), now).is_empty());
        let morning = calendars.around(&name("club"), at("2026-10-08T00:00:00Z"));
        assert_eq!(morning, calendars.around(&name("club"), at("2026-10-08T23:59:59Z")));
    }

    #[test]
    fn an_event_is_told_to_the_services_it_is_for() {
        let calendars = calendars();
        let floors = calendars.floors(at("2026-11-10T00:00:00Z"));
        insta::assert_snapshot!(format!("{floors:?}"), @r#"[EventFloor { name: "11.11", services: [ServiceName("shop")], floor: Units(40), from: Timestamp(1794326400), until: Timestamp(1794412800) }]"#);
        let name = |text: &str| ServiceName::new(text).unwrap();
        assert_eq!(calendars.events(&name("shop")).count(), 1);
        assert_eq!(calendars.events(&name("other")).count(), 0);
    }
}
