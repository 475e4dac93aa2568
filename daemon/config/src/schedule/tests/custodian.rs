//! The tags of Cloud Custodian; `tests/tests/it/offhours.rs` holds them against the real one.

use std::collections::{BTreeMap, BTreeSet};

use fleet::RuleName;
use planner::idle::reasons::{ScheduleFault, TagFault};
use planner::idle::rule::ScheduleKind;

use super::super::custodian::zone_of;
use super::super::{Hours, OffHours, Reading};
use super::{at, covers, shown};

fn policy() -> OffHours {
    OffHours {
        stop_tag: OffHours::TAG.into(),
        start_tag: OffHours::TAG.into(),
        default_tz: "et".into(),
        onhour: OffHours::ONHOUR,
        offhour: OffHours::OFFHOUR,
        weekends: true,
        weekends_only: false,
        opt_out: false,
        fallback_schedule: None,
        skip_days: BTreeSet::new(),
    }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// When it is up in the week of 2026-09-28, a Monday, in local days and hours.
fn week(policy: &OffHours, pairs: &[(&str, &str)]) -> String {
    match policy.read(&tags(pairs)) {
        Reading::Untagged => "untagged".into(),
        Reading::OptedOut => "opted out".into(),
        Reading::Fault(fault) => format!("fault: {fault}"),
        Reading::Hours(edges) => {
            let week = covers("2026-09-28T12:00:00Z", "2026-10-05T12:00:00Z");
            let local = |at| {
                let text = edges.zone().shown(at);
                let words: Vec<&str> = text.split(' ').collect();
                format!("{}{}", words[0], words[2].trim_end_matches(":00"))
            };
            let (spans, known) = edges.spans(week);
            assert_eq!(known, week);
            let one = |span: &planner::idle::schedule::Span| {
                format!("{}-{}", local(span.from), local(span.until))
            };
            let spans = spans.iter().map(one).collect::<Vec<_>>().join(" ");
            format!("{:?} {}: {spans}", edges.kind(), edges.zones())
        }
    }
}

fn of(value: &str) -> String {
    week(&policy(), &[("maid_offhours", value)])
}

#[test]
fn values_mean_what_they_mean_to_cloud_custodian() {
    let values = [
        "",
        "on",
        "off",
        "'off'",
        "OFF ",
        "tz=pt",
        "on;tz=sgt",
        "off=(M-F,19);on=(M-F,7)",
        "\"off=(M-F,19);on=(M-F,7);\"",
        "off=[(M-F,21),(U,18)];on=[(M-F,6),(U,10)];tz=pt",
        "off=(M-F,18)",
        "on=(S-U,9);tz=Asia/Shanghai",
        "off=(F-M,20);on=(F-M,8);tz=europe/berlin",
        "offu3du28M-Fu2c18u29u3btzu3dAustraliau2fSydney",
        "off=u5bu28M-Fu2c18u29u2cu28Su2c13u29u5d",
        "off=(M-F,9);on=(M-F,9)",
        "tz=cst",
        "tz=ist",
        "tz=it",
        "tz=etc/gmt+8",
    ];
    let told: String = values.iter().map(|value| format!("{value} | {}\n", of(value))).collect();
    insta::assert_snapshot!(told, @r#"
     | Both America/New_York: Mon08-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon08
    on | Both America/New_York: Mon08-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon08
    off | opted out
    'off' | opted out
    OFF  | opted out
    tz=pt | Both America/Los_Angeles: Mon07-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19
    on;tz=sgt | Both Asia/Singapore: Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon19
    off=(M-F,19);on=(M-F,7) | Both America/New_York: Mon08-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon08
    "off=(M-F,19);on=(M-F,7);" | Both America/New_York: Mon08-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon08
    off=[(M-F,21),(U,18)];on=[(M-F,6),(U,10)];tz=pt | Both America/Los_Angeles: Mon06-Mon21 Tue06-Tue21 Wed06-Wed21 Thu06-Thu21 Fri06-Fri21 Sun10-Sun18
    off=(M-F,18) | Both America/New_York: Mon08-Mon18 Tue07-Tue18 Wed07-Wed18 Thu07-Thu18 Fri07-Fri18 Mon07-Mon08
    on=(S-U,9);tz=Asia/Shanghai | Both Asia/Shanghai: Sat09-Mon19
    off=(F-M,20);on=(F-M,8);tz=europe/berlin | Both Europe/Berlin: Mon14-Mon20 Fri08-Fri20 Sat08-Sat20 Sun08-Sun20 Mon08-Mon14
    offu3du28M-Fu2c18u29u3btzu3dAustraliau2fSydney | Both Australia/Sydney: Tue07-Tue18 Wed07-Wed18 Thu07-Thu18 Fri07-Fri18 Mon07-Mon18
    off=u5bu28M-Fu2c18u29u2cu28Su2c13u29u5d | Both America/New_York: Mon08-Mon18 Tue07-Tue18 Wed07-Wed18 Thu07-Thu18 Fri07-Fri18 Mon07-Mon08
    off=(M-F,9);on=(M-F,9) | Both America/New_York: Mon08-Mon08
    tz=cst | Both America/Chicago (`cst` is that here, not China): Mon07-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19
    tz=ist | Both Europe/Dublin (`ist` is that here, not India or Israel): Mon13-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon13
    tz=it | Both Asia/Kolkata (`it` is that here, not Italy or Ireland): Mon17:30-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19 Mon07-Mon17:30
    tz=etc/gmt+8 | Both Etc/GMT+8 (its sign is the opposite of what it seems): Mon07-Mon19 Tue07-Tue19 Wed07-Wed19 Thu07-Thu19 Fri07-Fri19
    "#);
}

#[test]
fn what_is_not_or_half_understood_is_a_fault() {
    let values = [
        "off=(M-F,24);on=(M-F,7)",
        "off=(M-F,7.5)",
        "off=(M-X,19)",
        "off=M-F",
        "off=(M-F,19);on=",
        "off=(M-F,19); on=(M-F,7)",
        "off=(M-F,19);zebra=blue",
        "off=(M-F,19);zebra",
        "on;off=(M-F,19)",
        "off;tz=pt",
        "true",
        "tz=Mars/Olympus",
        "tz=utc+8",
    ];
    let told: String = values.iter().map(|value| format!("{value} | {}\n", of(value))).collect();
    insta::assert_snapshot!(told, @r"
    off=(M-F,24);on=(M-F,7) | fault: `off=(m-f,24)` is no list of days and hours such as `(M-F,19)`
    off=(M-F,7.5) | fault: `off=(m-f,7.5)` is no list of days and hours such as `(M-F,19)`
    off=(M-X,19) | fault: `off=(m-x,19)` is no list of days and hours such as `(M-F,19)`
    off=M-F | fault: `off=m-f` is no list of days and hours such as `(M-F,19)`
    off=(M-F,19);on= | fault: `on=` is no list of days and hours such as `(M-F,19)`
    off=(M-F,19); on=(M-F,7) | fault: a blank beside `on` hides it from Cloud Custodian
    off=(M-F,19);zebra=blue | fault: unknown key `zebra`, expected `on`, `off` or `tz`
    off=(M-F,19);zebra | fault: `zebra` is not a key, `=` and a value
    on;off=(M-F,19) | fault: `on` is not a key, `=` and a value
    off;tz=pt | fault: `off` is not a key, `=` and a value
    true | fault: `true` is not a key, `=` and a value
    tz=Mars/Olympus | fault: unknown time zone `mars/olympus`
    tz=utc+8 | fault: unknown time zone `utc+8`
    ");
}

#[test]
fn the_policy_fills_in_what_tags_do_not_say() {
    let told = |policy: &OffHours| week(policy, &[("Maid_OffHours", "")]);
    let mut own = OffHours { default_tz: "utc".into(), onhour: 6, offhour: 22, ..policy() };
    insta::assert_snapshot!(told(&own), @"Both Etc/UTC: Mon12-Mon22 Tue06-Tue22 Wed06-Wed22 Thu06-Thu22 Fri06-Fri22 Mon06-Mon12");
    own.weekends = false;
    insta::assert_snapshot!(told(&own), @"Both Etc/UTC: Mon12-Mon22 Tue06-Tue22 Wed06-Wed22 Thu06-Thu22 Fri06-Fri22 Sat06-Sat22 Sun06-Sun22 Mon06-Mon12");
    own.weekends_only = true;
    insta::assert_snapshot!(told(&own), @"Both Etc/UTC: Mon12-Fri22 Mon06-Mon12");
    assert_eq!(week(&own, &[("env", "dev")]), "untagged");
    own.fallback_schedule = Some("off=(M-F,12);on=(M-F,11)".into());
    insta::assert_snapshot!(week(&own, &[("env", "dev")]), @"Both Etc/UTC: Tue11-Tue12 Wed11-Wed12 Thu11-Thu12 Fri11-Fri12 Mon11-Mon12");
    let all = OffHours { opt_out: true, ..policy() };
    assert_eq!(week(&all, &[]), of(""));
    assert_eq!(week(&all, &[("maid_offhours", "off")]), "opted out");
    let two = [("maid_offhours", "on"), ("MAID_offhours", "off")];
    insta::assert_snapshot!(week(&policy(), &two), @"fault: tags `MAID_offhours` and `maid_offhours` differ in case alone and say two things");
}

#[test]
fn a_tag_for_each_way_makes_a_machine_one_sided() {
    let two = OffHours {
        stop_tag: "StopAfterHours".into(),
        start_tag: "StartAfterHours".into(),
        default_tz: "pt".into(),
        ..policy()
    };
    let (stop, start) =
        (("StopAfterHours", "off=(M-F,18);tz=est"), ("StartAfterHours", "on=(M-F,8)"));
    insta::assert_snapshot!(week(&two, &[stop, start]), @"Both America/Los_Angeles to start, America/New_York to stop: Mon08-Mon15 Tue08-Tue15 Wed08-Wed15 Thu08-Thu15 Fri08-Fri15");
    insta::assert_snapshot!(week(&two, &[stop]), @"StopOnly America/Los_Angeles to start, America/New_York to stop: Mon07-Mon15 Tue07-Tue15 Wed07-Wed15 Thu07-Thu15 Fri07-Fri15");
    insta::assert_snapshot!(week(&two, &[start, ("StopAfterHours", "off")]), @"StartOnly America/Los_Angeles: Mon08-Mon19 Tue08-Tue19 Wed08-Wed19 Thu08-Thu19 Fri08-Fri19");
    let hours = Hours::CloudCustodian(two);
    assert_eq!(hours.kind(&tags(&[stop])), ScheduleKind::StopOnly);
    assert_eq!(hours.kind(&tags(&[start])), ScheduleKind::StartOnly);
}

#[test]
fn on_a_day_that_is_skipped_everything_stays_as_it_is() {
    let mut policy = OffHours { default_tz: "utc".into(), ..policy() };
    policy.skip_days = ["2026-09-29", "2026-10-02"].map(|day| day.parse().unwrap()).into();
    insta::assert_snapshot!(week(&policy, &[("maid_offhours", "")]), @"Both Etc/UTC: Mon12-Mon19 Wed07-Wed19 Thu07-Thu19 Mon07-Mon12");
    // Of more weeks than are looked back nothing is known.
    let days = (0..120).map(|day| {
        use jiff::ToSpan;
        jiff::civil::date(2026, 7, 1).checked_add(day.days()).unwrap()
    });
    policy.skip_days = days.collect();
    let (rule, now) = (RuleName("offhours".into()), at("2026-09-28T12:00:00Z"));
    let view = Hours::CloudCustodian(policy);
    let view = view.view(&rule, &tags(&[("maid_offhours", "on")]), now).unwrap();
    assert_eq!((view.is_up(now), view.last_switch(now)), (None, None));
}

#[test]
fn faults_and_opting_out_reach_the_view() {
    let hours = Hours::CloudCustodian(policy());
    let view = |value: &str| {
        let tags = tags(&[("maid_offhours", value)]);
        hours.view(&RuleName("offhours".into()), &tags, at("2026-09-28T12:00:00Z"))
    };
    assert!(view("off").unwrap().opted_out);
    let fault = view("tz=nowhere").unwrap().fault.unwrap();
    let unknown = TagFault::UnknownZone { name: "nowhere".to_owned() };
    assert_eq!(fault.value(), Some(&ScheduleFault::Hours(unknown)));
    assert_eq!(fault.to_string(), "unknown time zone `nowhere`");
    let sound = view("").unwrap();
    assert_eq!((sound.opted_out, &sound.fault), (false, &None));
    assert_eq!(sound.is_up(at("2026-09-28T12:00:00Z")), Some(true));
    let none = hours.view(&RuleName("offhours".into()), &tags(&[]), at("2026-09-28T12:00:00Z"));
    assert_eq!(none, None);
}

/// The hour of an edge may not be there, or twice.
#[test]
fn an_hour_passed_over_is_the_moment_clocks_jump_and_a_repeated_one_counts_once() {
    let spans = |value: &str, from: &str, until: &str| {
        let Reading::Hours(edges) = policy().read(&tags(&[("maid_offhours", value)])) else {
            return "no hours".to_owned();
        };
        shown(&edges.spans(covers(from, until)).0)
    };
    let spring = ("2027-03-13T00:00:00Z", "2027-03-15T12:00:00Z");
    let autumn = ("2027-11-06T00:00:00Z", "2027-11-08T12:00:00Z");
    let (on, off) = ("off=(M-U,5);on=(M-U,2)", "off=(M-U,2);on=(M-U,0)");
    insta::assert_snapshot!(spans(on, spring.0, spring.1), @"2027-03-13T07:00Z/2027-03-13T10:00Z 2027-03-14T07:00Z/2027-03-14T09:00Z 2027-03-15T06:00Z/2027-03-15T09:00Z");
    insta::assert_snapshot!(spans(off, spring.0, spring.1), @"2027-03-13T05:00Z/2027-03-13T07:00Z 2027-03-14T05:00Z/2027-03-14T07:00Z 2027-03-15T04:00Z/2027-03-15T06:00Z");
    let (on, off) = ("off=(M-U,5);on=(M-U,1)", "off=(M-U,1);on=(M-U,0)");
    insta::assert_snapshot!(spans(on, autumn.0, autumn.1), @"2027-11-06T05:00Z/2027-11-06T09:00Z 2027-11-07T05:00Z/2027-11-07T10:00Z 2027-11-08T06:00Z/2027-11-08T10:00Z");
    insta::assert_snapshot!(spans(off, autumn.0, autumn.1), @"2027-11-06T04:00Z/2027-11-06T05:00Z 2027-11-07T04:00Z/2027-11-07T06:00Z 2027-11-08T05:00Z/2027-11-08T06:00Z");
}

#[test]
fn zones_are_those_of_cloud_custodian() {
    let name = |text: &str| zone_of(text).map(|zone| zone.zone.name().to_owned());
    let found = [
        "pt",
        "EST",
        "cst",
        "ist",
        "it",
        "gmt",
        "utc",
        "asia/ho_chi_minh",
        "America/Port-au-Prince",
    ];
    let found: Vec<String> = found.iter().map(|text| name(text).unwrap()).collect();
    insta::assert_snapshot!(found.join(" "), @"America/Los_Angeles America/New_York America/Chicago Europe/Dublin Asia/Kolkata Etc/GMT Etc/UTC Asia/Ho_Chi_Minh America/Port-au-Prince");
    for text in ["", "zmta", "+08:00", "utc+8"] {
        assert_eq!(name(text), None, "{text}");
    }
}

/// The next switches of a schedule, as they are shown.
fn next(policy: &OffHours, now: &str) -> Vec<String> {
    let next = Hours::CloudCustodian(policy.clone()).next_switches(at(now), 4);
    next.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_shown_to_come_is_what_resources_without_the_tag_will_do() {
    let fallback = |text: &str| OffHours { fallback_schedule: Some(text.into()), ..policy() };
    let now = "2026-09-26T12:00:00Z";
    // 2026-09-26 is a Saturday.
    let pacific = fallback("off=[(M-F,21),(U,18)];on=[(M-F,6),(U,10)];tz=pt");
    insta::assert_snapshot!(next(&pacific, now).join("\n"), @r"
    up   2026-09-27T17:00:00Z, Sun 2026-09-27 10:00 -07:00
    down 2026-09-28T01:00:00Z, Sun 2026-09-27 18:00 -07:00
    up   2026-09-28T13:00:00Z, Mon 2026-09-28 06:00 -07:00
    down 2026-09-29T04:00:00Z, Mon 2026-09-28 21:00 -07:00
    ");
    let tokyo = fallback("off=(M-H,20);on=(T-F,8);tz=Asia/Tokyo");
    insta::assert_snapshot!(next(&tokyo, now).join("\n"), @r"
    down 2026-09-28T11:00:00Z, Mon 2026-09-28 20:00 +09:00
    up   2026-09-28T23:00:00Z, Tue 2026-09-29 08:00 +09:00
    down 2026-09-29T11:00:00Z, Tue 2026-09-29 20:00 +09:00
    up   2026-09-29T23:00:00Z, Wed 2026-09-30 08:00 +09:00
    ");
    // One that names no zone has the policy's, and one that names one side alone its other hour.
    insta::assert_snapshot!(next(&fallback("off=(M-F,21)"), now).join("\n"), @r"
    up   2026-09-28T11:00:00Z, Mon 2026-09-28 07:00 -04:00
    down 2026-09-29T01:00:00Z, Mon 2026-09-28 21:00 -04:00
    up   2026-09-29T11:00:00Z, Tue 2026-09-29 07:00 -04:00
    down 2026-09-30T01:00:00Z, Tue 2026-09-29 21:00 -04:00
    ");
    // It says that they are left out: nothing is to come.
    assert_eq!(next(&fallback("off"), now), [""; 0]);
    // Where they have no hours of their own, or the policy's, an empty tag has the same.
    assert_eq!(next(&policy(), now), next(&OffHours { opt_out: true, ..policy() }, now));
    for text in ["off=[(M-F,21),(U,18)];on=[(M-F,6),(U,10)];tz=pt", "off=(M-F,21)", "tz=cst"] {
        let policy = fallback(text);
        let Reading::Hours(edges) = policy.read(&BTreeMap::new()) else { panic!("{text}") };
        let week = covers(now, "2026-10-03T12:00:00Z");
        let (spans, _) = edges.spans(week);
        let told = next(&policy, now);
        let first = spans.iter().flat_map(|span| [span.from, span.until]).find(|t| *t > week.from);
        assert!(told[0].contains(&first.unwrap().to_string()), "{text}: {told:?}");
    }
}
