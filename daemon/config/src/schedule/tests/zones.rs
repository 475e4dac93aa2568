//! Changes of clocks, case by case: what jiff makes of them against what chrono-tz says.

use super::{covers, hours, shown, walker};

/// Zone, windows, first day and the day after the last, and what is told apart.
const CASES: [(&str, &[&str], &str, &str, &str); 36] = [
    (
        "America/New_York",
        &["daily 08:30-20:00"],
        "2027-03-13",
        "2027-03-16",
        "office across spring",
    ),
    (
        "America/New_York",
        &["daily 08:30-20:00"],
        "2027-11-06",
        "2027-11-09",
        "office across autumn",
    ),
    ("America/New_York", &["daily 02:30-05:00"], "2027-03-13", "2027-03-16", "begins in the gap"),
    ("America/New_York", &["daily 00:30-02:30"], "2027-03-13", "2027-03-16", "ends in the gap"),
    ("America/New_York", &["daily 02:15-02:45"], "2027-03-13", "2027-03-16", "all in the gap"),
    ("America/New_York", &["daily 02:00-03:00"], "2027-03-13", "2027-03-16", "the gap itself"),
    ("America/New_York", &["daily 01:30-05:00"], "2027-11-06", "2027-11-09", "begins in the fold"),
    ("America/New_York", &["daily 00:30-01:30"], "2027-11-06", "2027-11-09", "ends in the fold"),
    ("America/New_York", &["daily 01:15-01:45"], "2027-11-06", "2027-11-09", "all in the fold"),
    ("America/New_York", &["daily 22:00-06:00"], "2027-03-13", "2027-03-16", "the short night"),
    ("America/New_York", &["daily 22:00-06:00"], "2027-11-06", "2027-11-09", "the long night"),
    ("America/New_York", &["Sun"], "2027-03-13", "2027-03-16", "a day of 23 hours"),
    ("America/New_York", &["Sun"], "2027-11-06", "2027-11-09", "a day of 25 hours"),
    (
        "America/New_York",
        &["Fri 18:00-Mon 08:00"],
        "2027-03-12",
        "2027-03-16",
        "a weekend of spring",
    ),
    ("Europe/London", &["daily 01:00-02:00"], "2027-03-27", "2027-03-30", "the gap itself"),
    ("Europe/London", &["daily 01:00-02:00"], "2027-10-30", "2027-11-02", "the fold itself"),
    (
        "Europe/London",
        &["daily 22:00-01:30"],
        "2027-03-27",
        "2027-03-30",
        "over midnight into the gap",
    ),
    (
        "Europe/London",
        &["daily 22:00-01:30"],
        "2027-10-30",
        "2027-11-02",
        "over midnight into the fold",
    ),
    ("Asia/Shanghai", &["Mon-Fri 08:30-20:00"], "2027-03-12", "2027-03-17", "no change at all"),
    (
        "Asia/Shanghai",
        &["daily 01:30-08:00"],
        "1991-09-14",
        "1991-09-17",
        "its last change of 1991",
    ),
    (
        "Australia/Lord_Howe",
        &["daily 02:15-08:00"],
        "2027-10-02",
        "2027-10-05",
        "a gap of 30 minutes",
    ),
    ("Australia/Lord_Howe", &["daily 00:00-02:15"], "2027-10-02", "2027-10-05", "ends in that gap"),
    (
        "Australia/Lord_Howe",
        &["daily 01:45-08:00"],
        "2027-04-03",
        "2027-04-06",
        "a fold of 30 minutes",
    ),
    (
        "Australia/Lord_Howe",
        &["daily 00:00-01:45"],
        "2027-04-03",
        "2027-04-06",
        "ends in that fold",
    ),
    (
        "Asia/Kathmandu",
        &["daily 09:00-17:15"],
        "2027-03-13",
        "2027-03-15",
        "45 minutes past the hour",
    ),
    (
        "Asia/Kathmandu",
        &["daily 00:05-08:00"],
        "1985-12-30",
        "1986-01-03",
        "a gap of 15 minutes at midnight",
    ),
    ("America/Sao_Paulo", &["Sun"], "2018-11-03", "2018-11-06", "a day that begins at one"),
    (
        "America/Sao_Paulo",
        &["daily 00:30-06:00"],
        "2018-11-03",
        "2018-11-06",
        "begins in a gap at midnight",
    ),
    (
        "America/Sao_Paulo",
        &["daily 20:00-24:00"],
        "2019-02-15",
        "2019-02-18",
        "ends in the fold before midnight",
    ),
    ("America/Sao_Paulo", &["daily 08:00-18:00"], "2027-02-19", "2027-02-22", "no change any more"),
    ("Pacific/Apia", &["daily 08:00-18:00"], "2011-12-28", "2012-01-02", "a day that never was"),
    ("Pacific/Apia", &["daily 22:00-06:00"], "2011-12-28", "2012-01-02", "a night into that day"),
    ("Africa/Casablanca", &["daily 02:30-08:00"], "2025-02-22", "2025-02-25", "back for Ramadan"),
    ("Africa/Casablanca", &["daily 02:30-08:00"], "2025-04-05", "2025-04-08", "forward after it"),
    (
        "America/St_Johns",
        &["daily 22:00-00:00"],
        "2006-10-27",
        "2006-10-31",
        "a fold just after midnight",
    ),
    ("Pacific/Kiritimati", &["daily 08:00-18:00"], "2027-03-13", "2027-03-15", "14 hours ahead"),
];

#[test]
fn every_change_of_clocks_is_as_chrono_tz_has_it() {
    let mut told = String::new();
    for (zone, up, from, until, what) in CASES {
        let covers = covers(&format!("{from}T00:00:00Z"), &format!("{until}T00:00:00Z"));
        let hours = hours(zone, up);
        let found = shown(&hours.spans(covers));
        let walked = walker::walk(zone.parse().unwrap(), &hours.up, covers);
        assert_eq!(found, shown(&walker::spans(&walked, covers.from)), "{zone} {up:?}: {what}");
        told += &format!("{zone} {}: {what}\n  {found}\n", up.join(", "));
    }
    insta::assert_snapshot!(told, @r"
    America/New_York daily 08:30-20:00: office across spring
      2027-03-13T00:00Z/2027-03-13T01:00Z 2027-03-13T13:30Z/2027-03-14T01:00Z 2027-03-14T12:30Z/2027-03-15T00:00Z 2027-03-15T12:30Z/2027-03-16T00:00Z
    America/New_York daily 08:30-20:00: office across autumn
      2027-11-06T12:30Z/2027-11-07T00:00Z 2027-11-07T13:30Z/2027-11-08T01:00Z 2027-11-08T13:30Z/2027-11-09T00:00Z
    America/New_York daily 02:30-05:00: begins in the gap
      2027-03-13T07:30Z/2027-03-13T10:00Z 2027-03-14T07:00Z/2027-03-14T09:00Z 2027-03-15T06:30Z/2027-03-15T09:00Z
    America/New_York daily 00:30-02:30: ends in the gap
      2027-03-13T05:30Z/2027-03-13T07:30Z 2027-03-14T05:30Z/2027-03-14T07:30Z 2027-03-15T04:30Z/2027-03-15T06:30Z
    America/New_York daily 02:15-02:45: all in the gap
      2027-03-13T07:15Z/2027-03-13T07:45Z 2027-03-14T07:00Z/2027-03-14T07:45Z 2027-03-15T06:15Z/2027-03-15T06:45Z
    America/New_York daily 02:00-03:00: the gap itself
      2027-03-13T07:00Z/2027-03-13T08:00Z 2027-03-14T07:00Z/2027-03-14T08:00Z 2027-03-15T06:00Z/2027-03-15T07:00Z
    America/New_York daily 01:30-05:00: begins in the fold
      2027-11-06T05:30Z/2027-11-06T09:00Z 2027-11-07T05:30Z/2027-11-07T10:00Z 2027-11-08T06:30Z/2027-11-08T10:00Z
    America/New_York daily 00:30-01:30: ends in the fold
      2027-11-06T04:30Z/2027-11-06T05:30Z 2027-11-07T04:30Z/2027-11-07T06:30Z 2027-11-08T05:30Z/2027-11-08T06:30Z
    America/New_York daily 01:15-01:45: all in the fold
      2027-11-06T05:15Z/2027-11-06T05:45Z 2027-11-07T05:15Z/2027-11-07T06:45Z 2027-11-08T06:15Z/2027-11-08T06:45Z
    America/New_York daily 22:00-06:00: the short night
      2027-03-13T03:00Z/2027-03-13T11:00Z 2027-03-14T03:00Z/2027-03-14T10:00Z 2027-03-15T02:00Z/2027-03-15T10:00Z
    America/New_York daily 22:00-06:00: the long night
      2027-11-06T02:00Z/2027-11-06T10:00Z 2027-11-07T02:00Z/2027-11-07T11:00Z 2027-11-08T03:00Z/2027-11-08T11:00Z
    America/New_York Sun: a day of 23 hours
      2027-03-14T05:00Z/2027-03-15T04:00Z
    America/New_York Sun: a day of 25 hours
      2027-11-07T04:00Z/2027-11-08T05:00Z
    America/New_York Fri 18:00-Mon 08:00: a weekend of spring
      2027-03-12T23:00Z/2027-03-15T12:00Z
    Europe/London daily 01:00-02:00: the gap itself
      2027-03-27T01:00Z/2027-03-27T02:00Z 2027-03-28T01:00Z/2027-03-28T02:00Z 2027-03-29T00:00Z/2027-03-29T01:00Z
    Europe/London daily 01:00-02:00: the fold itself
      2027-10-30T00:00Z/2027-10-30T01:00Z 2027-10-31T00:00Z/2027-10-31T02:00Z 2027-11-01T01:00Z/2027-11-01T02:00Z
    Europe/London daily 22:00-01:30: over midnight into the gap
      2027-03-27T00:00Z/2027-03-27T01:30Z 2027-03-27T22:00Z/2027-03-28T01:30Z 2027-03-28T21:00Z/2027-03-29T00:30Z 2027-03-29T21:00Z/2027-03-30T00:00Z
    Europe/London daily 22:00-01:30: over midnight into the fold
      2027-10-30T00:00Z/2027-10-30T00:30Z 2027-10-30T21:00Z/2027-10-31T01:30Z 2027-10-31T22:00Z/2027-11-01T01:30Z 2027-11-01T22:00Z/2027-11-02T00:00Z
    Asia/Shanghai Mon-Fri 08:30-20:00: no change at all
      2027-03-12T00:30Z/2027-03-12T12:00Z 2027-03-15T00:30Z/2027-03-15T12:00Z 2027-03-16T00:30Z/2027-03-16T12:00Z
    Asia/Shanghai daily 01:30-08:00: its last change of 1991
      1991-09-14T16:30Z/1991-09-15T00:00Z 1991-09-15T17:30Z/1991-09-16T00:00Z 1991-09-16T17:30Z/1991-09-17T00:00Z
    Australia/Lord_Howe daily 02:15-08:00: a gap of 30 minutes
      2027-10-02T15:30Z/2027-10-02T21:00Z 2027-10-03T15:15Z/2027-10-03T21:00Z 2027-10-04T15:15Z/2027-10-04T21:00Z
    Australia/Lord_Howe daily 00:00-02:15: ends in that gap
      2027-10-02T13:30Z/2027-10-02T15:45Z 2027-10-03T13:00Z/2027-10-03T15:15Z 2027-10-04T13:00Z/2027-10-04T15:15Z
    Australia/Lord_Howe daily 01:45-08:00: a fold of 30 minutes
      2027-04-03T14:45Z/2027-04-03T21:30Z 2027-04-04T15:15Z/2027-04-04T21:30Z 2027-04-05T15:15Z/2027-04-05T21:30Z
    Australia/Lord_Howe daily 00:00-01:45: ends in that fold
      2027-04-03T13:00Z/2027-04-03T15:15Z 2027-04-04T13:30Z/2027-04-04T15:15Z 2027-04-05T13:30Z/2027-04-05T15:15Z
    Asia/Kathmandu daily 09:00-17:15: 45 minutes past the hour
      2027-03-13T03:15Z/2027-03-13T11:30Z 2027-03-14T03:15Z/2027-03-14T11:30Z
    Asia/Kathmandu daily 00:05-08:00: a gap of 15 minutes at midnight
      1985-12-30T00:00Z/1985-12-30T02:30Z 1985-12-30T18:35Z/1985-12-31T02:30Z 1985-12-31T18:30Z/1986-01-01T02:15Z 1986-01-01T18:20Z/1986-01-02T02:15Z 1986-01-02T18:20Z/1986-01-03T00:00Z
    America/Sao_Paulo Sun: a day that begins at one
      2018-11-04T03:00Z/2018-11-05T02:00Z
    America/Sao_Paulo daily 00:30-06:00: begins in a gap at midnight
      2018-11-03T03:30Z/2018-11-03T09:00Z 2018-11-04T03:00Z/2018-11-04T08:00Z 2018-11-05T02:30Z/2018-11-05T08:00Z
    America/Sao_Paulo daily 20:00-24:00: ends in the fold before midnight
      2019-02-15T00:00Z/2019-02-15T02:00Z 2019-02-15T22:00Z/2019-02-16T02:00Z 2019-02-16T22:00Z/2019-02-17T03:00Z 2019-02-17T23:00Z/2019-02-18T00:00Z
    America/Sao_Paulo daily 08:00-18:00: no change any more
      2027-02-19T11:00Z/2027-02-19T21:00Z 2027-02-20T11:00Z/2027-02-20T21:00Z 2027-02-21T11:00Z/2027-02-21T21:00Z
    Pacific/Apia daily 08:00-18:00: a day that never was
      2011-12-28T00:00Z/2011-12-28T04:00Z 2011-12-28T18:00Z/2011-12-29T04:00Z 2011-12-29T18:00Z/2011-12-30T04:00Z 2011-12-30T18:00Z/2011-12-31T04:00Z 2011-12-31T18:00Z/2012-01-01T04:00Z 2012-01-01T18:00Z/2012-01-02T00:00Z
    Pacific/Apia daily 22:00-06:00: a night into that day
      2011-12-28T08:00Z/2011-12-28T16:00Z 2011-12-29T08:00Z/2011-12-29T16:00Z 2011-12-30T08:00Z/2011-12-30T16:00Z 2011-12-31T08:00Z/2011-12-31T16:00Z 2012-01-01T08:00Z/2012-01-01T16:00Z
    Africa/Casablanca daily 02:30-08:00: back for Ramadan
      2025-02-22T01:30Z/2025-02-22T07:00Z 2025-02-23T01:30Z/2025-02-23T08:00Z 2025-02-24T02:30Z/2025-02-24T08:00Z
    Africa/Casablanca daily 02:30-08:00: forward after it
      2025-04-05T02:30Z/2025-04-05T08:00Z 2025-04-06T02:00Z/2025-04-06T07:00Z 2025-04-07T01:30Z/2025-04-07T07:00Z
    America/St_Johns daily 22:00-00:00: a fold just after midnight
      2006-10-27T00:30Z/2006-10-27T02:30Z 2006-10-28T00:30Z/2006-10-28T02:30Z 2006-10-29T00:30Z/2006-10-29T03:30Z 2006-10-30T01:30Z/2006-10-30T03:30Z
    Pacific/Kiritimati daily 08:00-18:00: 14 hours ahead
      2027-03-13T00:00Z/2027-03-13T04:00Z 2027-03-13T18:00Z/2027-03-14T04:00Z 2027-03-14T18:00Z/2027-03-15T00:00Z
    ");
}
