//! What hours may look like, and what holidays and exceptions make of them.

use jiff::civil::Date;

use super::super::{Hours, NamedCalendar, UpHours, UpWindow};
use super::*;

#[test]
fn windows_read_strictly() {
    let read = |text: &str| UpWindow::parse(text).map(|window| window.to_string());
    let good = [
        "Mon-Fri 08:30-20:00",
        "daily 22:00-06:00",
        "Mon,Wed 08:00-12:00",
        "Fri 18:00-Mon 08:00",
        "Sat,Sun",
        "working_days 08:30-20:00",
        "rest_days",
        " daily  00:00-24:00 ",
        "first Thu",
        " second,last  Mon-Tue  08:00-12:00",
        "last Fri 18:00-Mon 08:00",
    ];
    let shown: Vec<String> = good.iter().map(|text| read(text).unwrap()).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    Mon,Tue,Wed,Thu,Fri 08:30-20:00
    Mon,Tue,Wed,Thu,Fri,Sat,Sun 22:00-06:00 the day after
    Mon,Wed 08:00-12:00
    Fri 18:00-08:00 3 days after
    Sat,Sun 00:00-00:00 the day after
    working_days 08:30-20:00
    rest_days 00:00-00:00 the day after
    Mon,Tue,Wed,Thu,Fri,Sat,Sun 00:00-00:00 the day after
    first Thu 00:00-00:00 the day after
    second,last Mon,Tue 08:00-12:00
    last Fri 18:00-08:00 3 days after
    ");
    let bad =
        ["", "none", "08:00-20:00", "Mon-Fri 8:00-20:00", "Mon 08:00", "workdays 08:00-09:00"];
    let more = [
        "working_days Mon 08:00-09:00",
        "Mon-Fri 08:00-20:00 UTC",
        "first",
        "first daily",
        "first working_days 08:00-09:00",
        "first first Mon",
        "fifth-and-half Mon 08:00-09:00",
    ];
    for text in bad.into_iter().chain(more) {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn days_of_a_month_are_up_and_those_that_people_have_off_are_not() {
    let found = |hours: &UpHours| {
        shown(&hours.spans(covers("2026-09-28T00:00:00Z", "2026-11-30T00:00:00Z")))
    };
    // 2026-10-01 is a Thursday.
    insta::assert_snapshot!(found(&hours("UTC", &["first Thu 08:00-12:00", "last Sun"])), @"2026-10-01T08:00Z/2026-10-01T12:00Z 2026-10-25T00:00Z/2026-10-26T00:00Z 2026-11-05T08:00Z/2026-11-05T12:00Z 2026-11-29T00:00Z/2026-11-30T00:00Z");
    // And a holiday in China, as is the Monday after it; the Saturdays around are worked on.
    insta::assert_snapshot!(found(&chinese(&["first Thu 08:00-12:00", "second Sat 09:00-10:00"])), @"2026-11-05T00:00Z/2026-11-05T04:00Z 2026-11-14T01:00Z/2026-11-14T02:00Z");
}

#[test]
fn windows_that_touch_or_overlap_are_one() {
    let found = |up: &[&str]| {
        shown(&hours("UTC", up).spans(covers("2027-03-15T00:00:00Z", "2027-03-17T00:00:00Z")))
    };
    assert_eq!(found(&["daily 08:00-12:00", "daily 12:00-18:00"]), found(&["daily 08:00-18:00"]));
    assert_eq!(found(&["daily 14:00-18:00", "daily 08:00-15:00"]), found(&["daily 08:00-18:00"]));
    assert_eq!(found(&["daily"]), "2027-03-15T00:00Z/2027-03-17T00:00Z");
    assert_eq!(found(&["Sun 10:00-11:00"]), "");
}

/// Clocks in Berlin went forward on 2027-03-28 and back on 2027-10-31.
#[test]
fn the_last_minute_of_a_day_belongs_to_it() {
    for zone in ["UTC", "Europe/Berlin", "Asia/Shanghai", "Pacific/Chatham"] {
        for week in ["2027-03-22T00:00:00Z", "2027-03-29T00:00:00Z"] {
            let end = Timestamp(Timestamp::parse(week).unwrap().0 + 8 * 86_400).to_string();
            let found = |up: &[&str]| shown(&hours(zone, up).spans(covers(week, &end)));
            for (parts, whole) in [
                (&["daily 23:00-23:59", "daily 00:00-01:00"][..], "daily 23:00-01:00"),
                (&["Fri 18:00-23:59", "Sat 00:00-23:59", "Sun"], "Fri 18:00-Sun 24:00"),
                (&["daily 00:00-23:59"], "daily"),
                (&["Fri 18:00-Sun 23:59", "Mon 00:00-08:00"], "Fri 18:00-Mon 08:00"),
                (&["Mon 00:00-23:59"], "Mon"),
            ] {
                assert_eq!(found(parts), found(&[whole]), "{zone} {week} {parts:?}");
            }
            // Another minute is one.
            assert_ne!(
                found(&["daily 23:00-23:58", "daily 00:00-01:00"]),
                found(&["daily 23:00-01:00"])
            );
        }
    }
}

fn chinese(up: &[&str]) -> UpHours {
    let text = "[provider.sim]\nkind = \"sim\"\n[calendar.cn]\ntimezone = \"Asia/Shanghai\"\nholidays = \"CN\"\n\
                [[service]]\nname = \"s\"\ndemand = [{ namespace = \"A\", metric = \"M\", when_missing = \"zero\" }]\n\
                [[service.pool]]\ngroup = \"s\"\ncapacity_per_unit = 5\n";
    let config = crate::tests_parse(text).unwrap();
    let rule = config.calendars["cn"].clone();
    UpHours {
        calendar: Some(NamedCalendar { name: "cn".into(), rule }),
        ..hours("Asia/Shanghai", up)
    }
}

/// The local dates on which a schedule of `cn` is up at some moment from 2026-09-28, a Monday, to
/// 2026-10-11: the holidays are 1 to 7 October, and Saturday the 10th is worked.
fn days_up(up: &[&str]) -> String {
    let hours = chinese(up);
    let spans = hours.spans(covers("2026-09-27T16:00:00Z", "2026-10-11T16:00:00Z"));
    let day = |span: &Span| hours.timezone.date(span.from).unwrap().day().to_string();
    spans.iter().map(day).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_holiday_is_like_the_days_of_rest_and_a_make_up_day_like_the_others() {
    assert_eq!(days_up(&["Mon-Fri 08:30-20:00"]), "28 29 30 8 9 10");
    assert_eq!(days_up(&["working_days 08:30-20:00"]), "28 29 30 8 9 10");
    assert_eq!(days_up(&["Sat,Sun 10:00-12:00"]), "1 2 3 4 5 6 7 11");
    assert_eq!(days_up(&["rest_days 10:00-12:00"]), "1 2 3 4 5 6 7 11");
    assert_eq!(days_up(&["Mon 06:00-08:00"]), "28", "the 5th is a holiday");
    assert_eq!(days_up(&["Sat 10:00-12:00"]), "3", "the 10th is no Saturday to people");
    assert_eq!(days_up(&["Mon-Sat 10:00-12:00"]), "28 29 30 3 8 9 10");
    assert_eq!(days_up(&["daily 10:00-12:00"]), "28 29 30 1 2 3 4 5 6 7 8 9 10 11");
}

#[test]
fn an_exception_takes_the_place_of_the_windows_that_begin_on_its_day() {
    let mut hours = hours("Europe/Berlin", &["daily 22:00-06:00", "daily 12:00-13:00"]);
    let times = |text: &str| UpWindow::parse(&format!("daily {text}")).unwrap().times;
    let date = |text: &str| text.parse::<Date>().unwrap();
    hours.exceptions.insert(date("2026-12-24"), Vec::new());
    hours.exceptions.insert(date("2026-12-31"), vec![times("08:00-23:00")]);
    let found = |from, until| shown(&hours.spans(covers(from, until)));
    insta::assert_snapshot!(found("2026-12-23T12:00:00Z", "2026-12-26T12:00:00Z"), @"2026-12-23T21:00Z/2026-12-24T05:00Z 2026-12-25T11:00Z/2026-12-25T12:00Z 2026-12-25T21:00Z/2026-12-26T05:00Z 2026-12-26T11:00Z/2026-12-26T12:00Z");
    insta::assert_snapshot!(found("2026-12-30T20:00:00Z", "2027-01-02T00:00:00Z"), @"2026-12-30T21:00Z/2026-12-31T05:00Z 2026-12-31T07:00Z/2026-12-31T22:00Z 2027-01-01T11:00Z/2027-01-01T12:00Z 2027-01-01T21:00Z/2027-01-02T00:00Z");
}

#[test]
fn a_view_is_the_same_through_a_day_and_says_nothing_of_what_it_does_not_cover() {
    let rule = fleet::RuleName("office".into());
    let hours = Hours::Own(hours("Asia/Shanghai", &["Mon-Fri 08:30-20:00"]));
    let view = |now: &str| hours.view(&rule, &BTreeMap::new(), at(now)).unwrap();
    let early = view("2026-09-28T00:00:00Z");
    assert_eq!(early, view("2026-09-28T23:59:59Z"));
    assert_eq!(early.zone, "Asia/Shanghai");
    assert_eq!(early.is_up(at("2026-09-28T00:30:00Z")), Some(true));
    assert_eq!(early.is_up(at("2026-09-28T12:00:00Z")), Some(false));
    assert_eq!(early.is_up(at("2026-09-20T00:00:00Z")), Some(false), "8 days before");
    assert_eq!(early.is_up(at("2026-10-06T08:00:00Z")), Some(true), "8 days after");
    assert_eq!(early.is_up(at("2026-10-07T00:00:00Z")), None);
}

#[test]
fn the_next_switches_are_told_in_utc_and_local_time() {
    let told = |hours: Hours, now: &str| {
        let next = hours.next_switches(at(now), 5);
        next.iter().map(|switch| format!("{switch}\n")).collect::<String>()
    };
    let new_york = hours("America/New_York", &["daily 08:30-20:00"]);
    insta::assert_snapshot!(told(Hours::Own(new_york), "2027-03-13T13:30:00Z"), @r"
    down 2027-03-14T01:00:00Z, Sat 2027-03-13 20:00 -05:00
    up   2027-03-14T12:30:00Z, Sun 2027-03-14 08:30 -04:00
    down 2027-03-15T00:00:00Z, Sun 2027-03-14 20:00 -04:00
    up   2027-03-15T12:30:00Z, Mon 2027-03-15 08:30 -04:00
    down 2027-03-16T00:00:00Z, Mon 2027-03-15 20:00 -04:00
    ");
    // The holidays are longer than a view.
    let office = chinese(&["working_days 08:30-20:00"]);
    insta::assert_snapshot!(told(Hours::Own(office), "2026-09-30T10:00:00Z"), @r"
    down 2026-09-30T12:00:00Z, Wed 2026-09-30 20:00 +08:00
    up   2026-10-08T00:30:00Z, Thu 2026-10-08 08:30 +08:00
    down 2026-10-08T12:00:00Z, Thu 2026-10-08 20:00 +08:00
    up   2026-10-09T00:30:00Z, Fri 2026-10-09 08:30 +08:00
    down 2026-10-09T12:00:00Z, Fri 2026-10-09 20:00 +08:00
    ");
    assert_eq!(told(Hours::Own(hours("UTC", &["daily"])), "2027-03-13T13:30:00Z"), "");
    let office = Hours::Own(hours("UTC", &["Mon 08:30-20:00"]));
    let json = serde_json::to_string(&office.next_switches(at("2026-09-28T09:00:00Z"), 1)).unwrap();
    insta::assert_snapshot!(json, @r#"[{"at":"2026-09-28T20:00:00Z","local":"Mon 2026-09-28 20:00 +00:00","to":"down"}]"#);
}
