//! What the calendar says for the days to come: holidays, make-up working days and events.

use std::fmt;

use fleet::{Seconds, ServiceName, Timestamp, Units};
use forecaster::DayKind;
use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;

use config::calendars::Calendars;
use config::{CalendarRule, EventRule};

/// How many days are looked ahead.
const DAYS: i32 = 14;

/// The calendar of one service, and what is to come.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Coming {
    /// The zone and what it knows; absent where events alone concern the service.
    calendar: Option<Source>,
    days: Vec<ComingDays>,
    events: Vec<ComingEvent>,
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    timezone: String,
    holidays: String,
}

/// Days in a row that are named alike.
#[derive(Clone, Debug, Serialize)]
struct ComingDays {
    from: Date,
    to: Date,
    kind: DayKind,
    name: String,
}

/// The next time of an event.
#[derive(Clone, Debug, Serialize)]
struct ComingEvent {
    name: String,
    from: String,
    until: String,
    /// Times after it within the days looked ahead.
    again: usize,
    floor: Option<Units>,
}

impl Coming {
    /// What is known for `service`; `None` where it has neither a calendar nor an event.
    pub fn of(calendars: &Calendars, service: &ServiceName, now: Timestamp) -> Option<Coming> {
        let rule = calendars.rule(service);
        let mut concerning = calendars.events(service).peekable();
        if rule.is_none() && concerning.peek().is_none() {
            return None;
        }
        let mut events: Vec<ComingEvent> =
            concerning.filter_map(|event| next_time(event, now)).collect();
        events.sort_by(|a, b| (&a.from, &a.name).cmp(&(&b.from, &b.name)));
        Some(Coming {
            calendar: rule.map(source),
            days: rule.map_or_else(Vec::new, |rule| named_days(rule, now)),
            events,
        })
    }
}

fn source(rule: &CalendarRule) -> Source {
    let holidays = match rule.holidays.source.as_str() {
        "" => "no holidays".to_owned(),
        source => format!("holidays {source}"),
    };
    Source { timezone: rule.timezone.to_string(), holidays }
}

fn named_days(rule: &CalendarRule, now: Timestamp) -> Vec<ComingDays> {
    let Some(today) = rule.timezone.date(now) else { return Vec::new() };
    let last = today.checked_add(DAYS.days()).unwrap_or(today);
    let mut days: Vec<ComingDays> = Vec::new();
    for (date, holiday) in rule.holidays.days.range(today..=last) {
        let (kind, name) = (holiday.kind, holiday.name.clone());
        let joins = |run: &&mut ComingDays| {
            run.kind == kind && run.name == name && run.to.tomorrow().ok() == Some(*date)
        };
        match days.last_mut().filter(joins) {
            Some(run) => run.to = *date,
            None => days.push(ComingDays { from: *date, to: *date, kind, name }),
        }
    }
    days
}

fn next_time(event: &EventRule, now: Timestamp) -> Option<ComingEvent> {
    let ahead = Seconds::days(u64::from(DAYS.unsigned_abs()));
    let times = event.times(now, now + ahead);
    let (from, until) = times.first()?;
    let in_force = |ends: &Timestamp| ends > from;
    let floor = event.floor.filter(|_| event.floor_ends().as_ref().is_some_and(in_force));
    Some(ComingEvent {
        name: event.name.clone(),
        from: from.to_string(),
        until: until.to_string(),
        again: times.len() - 1,
        floor: floor.map(|floor| floor.units),
    })
}

/// Lines as they stand under a service.
impl fmt::Display for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Source { timezone, holidays }) = &self.calendar {
            writeln!(f, "  calendar  days of {timezone}, {holidays}")?;
        }
        self.days.iter().try_for_each(|days| writeln!(f, "  coming    {days}"))?;
        self.events.iter().try_for_each(|event| writeln!(f, "  coming    {event}"))?;
        if self.days.is_empty() && self.events.is_empty() {
            writeln!(f, "  coming    no holiday and no event within {DAYS} days")?;
        }
        Ok(())
    }
}

impl fmt::Display for ComingDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DayKind::Working => "at work",
            DayKind::Rest => "at rest",
        };
        write!(f, "{}", self.from)?;
        if self.to > self.from {
            write!(f, " to {}", self.to)?;
        }
        write!(f, " {kind}: {}", self.name)
    }
}

impl fmt::Display for ComingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event `{}` from {} until {}", self.name, self.from, self.until)?;
        if self.again > 0 {
            write!(f, ", and {} times more", self.again)?;
        }
        match self.floor {
            Some(floor) => write!(f, ", at least {floor}"),
            None => Ok(()),
        }
    }
}
