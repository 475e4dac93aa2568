//! A naive reference: it walks minute by minute and reads clocks with chrono-tz.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use fleet::Timestamp;
use planner::idle::schedule::Span;
use proptest::prelude::*;

use super::super::{UpHours, UpWindow};
use super::{at, hours};

const MINUTE: i64 = 60;

fn clock(zone: Tz, minute: i64) -> NaiveDateTime {
    let moment: DateTime<Utc> = DateTime::from_timestamp(minute * MINUTE, 0).unwrap();
    moment.with_timezone(&zone).naive_local()
}

/// The minutes around a local time: more than clocks differ anywhere.
fn around(local: NaiveDateTime) -> std::ops::Range<i64> {
    let middle = local.and_utc().timestamp() / MINUTE;
    middle - 27 * 60..middle + 27 * 60
}

/// The first minute at which clocks show a time or a later one.
fn starts(zone: Tz, local: NaiveDateTime) -> i64 {
    around(local).find(|minute| clock(zone, *minute) >= local).unwrap()
}

/// The last minute at which clocks show a time; as much later where they pass over it.
fn ends(zone: Tz, local: NaiveDateTime) -> i64 {
    if let Some(minute) = around(local).rev().find(|minute| clock(zone, *minute) == local) {
        return minute;
    }
    let before = around(local).rev().find(|minute| clock(zone, *minute) < local).unwrap();
    before + (local - clock(zone, before)).num_minutes()
}

fn is_a_day(zone: Tz, date: NaiveDate) -> bool {
    around(date.and_hms_opt(12, 0, 0).unwrap()).any(|minute| clock(zone, minute).date() == date)
}

fn naive_time(time: jiff::civil::Time) -> NaiveTime {
    NaiveTime::from_hms_opt(time.hour() as u32, time.minute() as u32, 0).unwrap()
}

/// Every minute of `covers` at which one of the windows is open.
pub(super) fn walk(zone: Tz, windows: &[UpWindow], covers: Span) -> Vec<bool> {
    let first = covers.from.0 / MINUTE;
    let mut up = vec![false; usize::try_from(covers.until.0 / MINUTE - first).unwrap()];
    let mut date = clock(zone, first).date() - Days::new(9);
    let last = clock(zone, covers.until.0 / MINUTE).date();
    while date <= last {
        for window in windows {
            let times = &window.times;
            let on = |day: &jiff::civil::Weekday| {
                i64::from(day.to_monday_zero_offset())
                    == i64::from(date.weekday().num_days_from_monday())
            };
            if !times.days.iter().any(on) || !is_a_day(zone, date) {
                continue;
            }
            let end = date + TimeDelta::days(i64::from(times.days_later));
            let opens = date.and_time(naive_time(times.from));
            let closes = end.and_time(naive_time(times.until));
            let (from, mut until) = (starts(zone, opens), ends(zone, closes));
            if until <= from {
                until = from + (closes - opens).num_minutes();
            }
            for minute in from..until {
                if let Ok(index) = usize::try_from(minute - first)
                    && let Some(place) = up.get_mut(index)
                {
                    *place = true;
                }
            }
        }
        date = date + Days::new(1);
    }
    up
}

/// The same as spans.
pub(super) fn spans(up: &[bool], from: Timestamp) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (index, _) in up.iter().enumerate().filter(|(_, up)| **up) {
        let start = Timestamp(from.0 + index as i64 * MINUTE);
        let end = Timestamp(start.0 + MINUTE);
        match spans.last_mut().filter(|last| last.until == start) {
            Some(last) => last.until = end,
            None => spans.push(Span { from: start, until: end }),
        }
    }
    spans
}

fn time_of_day() -> impl Strategy<Value = String> {
    // Around the hours at which clocks change, mostly.
    (prop_oneof![3 => 0..5u32, 1 => 0..24u32], prop_oneof![Just(0u32), Just(30), 0..60u32])
        .prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
}

fn window() -> impl Strategy<Value = String> {
    let days = prop_oneof![
        Just("daily".to_owned()),
        Just("Mon-Fri".to_owned()),
        Just("Sat,Sun".to_owned()),
        Just("Fri-Mon".to_owned()),
        Just("Sun".to_owned()),
    ];
    prop_oneof![
        4 => (days.clone(), time_of_day(), time_of_day())
            .prop_map(|(days, from, until)| format!("{days} {from}-{until}")),
        1 => (time_of_day(), time_of_day())
            .prop_map(|(from, until)| format!("Sat {from}-Mon {until}")),
        1 => days,
    ]
}

/// Zones with a change of clocks in the fortnight that begins on the day.
const CHANGES: [(&str, &str); 14] = [
    ("America/New_York", "2027-03-10T00:00:00Z"),
    ("America/New_York", "2027-11-03T00:00:00Z"),
    ("Europe/London", "2027-03-24T00:00:00Z"),
    ("Europe/London", "2027-10-27T00:00:00Z"),
    ("Australia/Lord_Howe", "2027-03-31T00:00:00Z"),
    ("Australia/Lord_Howe", "2027-09-29T00:00:00Z"),
    ("Asia/Kathmandu", "1985-12-28T00:00:00Z"),
    ("America/Sao_Paulo", "2018-10-31T00:00:00Z"),
    ("America/Sao_Paulo", "2019-02-13T00:00:00Z"),
    ("Pacific/Apia", "2011-12-26T00:00:00Z"),
    ("Africa/Casablanca", "2025-02-19T00:00:00Z"),
    ("Africa/Casablanca", "2025-04-02T00:00:00Z"),
    ("Asia/Shanghai", "1991-09-11T00:00:00Z"),
    ("America/St_Johns", "2006-10-25T00:00:00Z"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn spans_are_those_of_a_minute_walk(
        place in 0..CHANGES.len(),
        windows in prop::collection::vec(window(), 1..4),
    ) {
        let (zone, from) = CHANGES[place];
        let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
        let hours: UpHours = hours(zone, &windows);
        let covers = Span { from: at(from), until: Timestamp(at(from).0 + 9 * 86_400) };
        let found = hours.spans(covers);
        prop_assert!(found.iter().all(|span| span.from < span.until));
        prop_assert!(found.windows(2).all(|pair| pair[0].until < pair[1].from));
        let walked = walk(zone.parse().unwrap(), &hours.up, covers);
        prop_assert_eq!(super::shown(&found), super::shown(&spans(&walked, covers.from)));
    }
}
