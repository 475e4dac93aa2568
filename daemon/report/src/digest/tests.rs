//! Days of every kind, as they are worded and drawn.

use std::collections::BTreeMap;

use config::{Period, Span};
use fleet::alert::LINES_MAX;
use fleet::money::{Currency, Savings};
use fleet::{Change, ServiceName, Timestamp, Units};
use journal::records::Chart;
use journal::{CycleId, RecordId};
use planner::policy::Share;
use shadow::{DayScores, Doubt, Peak, Questioned, Scorecard, Scores, Tally};

use super::{Facts, IdleFacts, Orders, ServiceFacts, Words, chart, words};

/// 2026-11-25.
const DAY: i64 = 20_782;

fn span(period: Period) -> Span {
    Span { period, last: DAY }
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn card(real: u64, would: u64, violations: u32) -> Scorecard {
    let tally = |unit_hours: u64, violations| Tally {
        unit_seconds: unit_hours * 3600,
        usd_micro: unit_hours * 100_000,
        intervals: 1440,
        violations,
        orders: 7,
    };
    Scorecard {
        actual: tally(real, violations),
        would: tally(would, violations / 2),
        priced: true,
        cycles: 1440,
        peak: Peak { units: 12, seconds: 86_400, unit_seconds: 12 * 86_400 },
        ..Scorecard::default()
    }
}

fn service(text: &str, acts: bool, scorecard: Scorecard) -> (ServiceName, ServiceFacts) {
    (name(text), ServiceFacts { acts, promise: Share::percent(1), scorecard })
}

fn busy() -> Facts {
    let mut savings = Savings::default();
    savings.found.add(Some((1_000_000, Currency::Usd)));
    savings.marked.add(Some((400_000, Currency::Usd)));
    savings.realised.add(Some((100_000, Currency::Usd)));
    let waiting = (0..5).map(|n| format!("aws/eu-west-1/i-0abc{n}")).collect();
    Facts {
        recorded: true,
        orders: Orders { out: 7, in_: 4, stops: 3, starts: 1, failed: 2 },
        services: BTreeMap::from([
            service("checkout", true, card(200, 200, 0)),
            service("search", true, card(150, 150, 30)),
            service("mail", false, card(280, 210, 4)),
            service("web", false, card(100, 101, 0)),
            service("video", false, card(10, 9, 0)),
        ]),
        money: crate::money::Money::default(),
        idle: Some(IdleFacts { savings, waiting }),
        offered: vec![name("mail"), name("web")],
        taken_back: vec![name("video")],
        warnings: 4,
        critical: 1,
        worst: Some(Questioned {
            service: name("mail"),
            at: Timestamp(DAY * 86_400),
            cycle: CycleId(RecordId::FIRST),
            change: Change::Desired { from: Units(9), to: Units(7) },
            doubt: Doubt::TooSmall { needed: Units(8) },
            severity: 1200,
        }),
        chart: Chart::default(),
    }
}

fn text(words: &Words) -> String {
    let lines = words.lines.iter().map(|line| format!("\n  {line}"));
    std::iter::once(words.title.clone()).chain(lines).collect()
}

#[test]
fn a_busy_day_in_words() {
    let told = words(span(Period::Daily), &busy());
    insta::assert_snapshot!(text(&told), @"
    daily digest of 2026-11-25: 15 orders, 34 violations, 1 critical alert, 7 waiting for approval
      orders: 7 out, 4 in, 3 stops, 1 start; 2 failed
      dry run of 3 services: 21 orders shown, none given
      cost: 350.0 unit-hours, 35.00 USD; saves 226.0 unit-hours, 22.60 USD (39.2%) against each day's peak size
      cost in dry run: 390.0 unit-hours, 39.00 USD; if neap had acted 320.0 unit-hours, 32.00 USD (-17.9%)
      idle resources, per month: found 730.00 USD, marked 292.00 USD, saved so far 73.00 USD
      violations: 34 of 7200 intervals (0.47%); in dry run 4, if neap had acted 2; above the promise: search 2.08% of 1.00%
      waiting for approval: 5 idle resources: i-0abc0, i-0abc1, i-0abc2, and 2 more
      ready to promote: mail, web
      taken back into shadow by regret: video; alerts: 1 critical, 4 warning
      most questionable: mail, desired 9 -> 7: demand asked for 8
      search: 150.0 unit-hours, at its peak size 288.0; 30 violations
      and 4 more services
    ");
    assert!(told.lines.len() <= LINES_MAX);
    // Whatever is named can be hashed.
    for named in
        ["aws/eu-west-1/i-0abc0", "aws/eu-west-1/i-0abc2", "search", "mail", "web", "video"]
    {
        assert!(told.names.iter().any(|name| name == named), "{named}: {:?}", told.names);
    }
}

#[test]
fn a_week_in_dry_run_in_words() {
    let of_week = busy().services.into_iter().filter(|(_, service)| !service.acts).collect();
    let facts = Facts { recorded: true, services: of_week, ..Facts::default() };
    insta::assert_snapshot!(text(&words(span(Period::Weekly), &facts)), @"
    weekly digest of 2026-11-19 to 2026-11-25: 21 orders in dry run, 4 violations
      dry run of 3 services: 21 orders shown, none given
      cost in dry run: 390.0 unit-hours, 39.00 USD; if neap had acted 320.0 unit-hours, 32.00 USD (-17.9%)
      violations: 4 of 4320 intervals (0.09%); in dry run 4, if neap had acted 2
      mail: 280.0 unit-hours, if neap had acted 210.0; 4 violations
      video: 10.0 unit-hours, if neap had acted 9.0
      web: 100.0 unit-hours, if neap had acted 101.0
    ");
}

#[test]
fn a_quiet_day_and_one_without_a_record_say_so_in_one_line() {
    let mut quiet = card(100, 100, 0);
    quiet.would.orders = 0;
    let services = BTreeMap::from([service("web", true, quiet)]);
    let facts = Facts { recorded: true, services, ..Facts::default() };
    let told = [
        text(&words(span(Period::Daily), &facts)),
        text(&words(span(Period::Daily), &Facts { recorded: true, ..Facts::default() })),
        text(&words(span(Period::Weekly), &Facts::default())),
        text(&words(span(Period::Daily), &Facts { warnings: 1, ..facts })),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    daily digest of 2026-11-25: quiet, no order, no violation, nothing waits; 1 service, 100.0 unit-hours
    daily digest of 2026-11-25: quiet, no order, no violation, nothing waits
    weekly digest of 2026-11-19 to 2026-11-25: nothing was recorded, neap did not run
    daily digest of 2026-11-25: no order, no violation
      cost: 100.0 unit-hours, 10.00 USD; saves 188.0 unit-hours, 18.80 USD (65.3%) against each day's peak size
      violations: 0 of 1440 intervals (0.00%)
      alerts: 1 warning
    ");
}

/// However many there are of everything, it fits, and what is left out is counted.
#[test]
fn a_digest_of_a_large_fleet_is_no_longer() {
    let mut facts = busy();
    let many = |n: usize| name(&format!("a-service-with-quite-a-long-name-{n:05}"));
    facts.services = (0..10_000)
        .map(|n| (many(n), ServiceFacts { acts: n % 2 == 0, ..busy().services[&name("search")] }))
        .collect();
    facts.offered = (0..3000).map(many).collect();
    facts.taken_back = (0..3000).map(many).collect();
    let told = words(span(Period::Weekly), &facts);
    assert_eq!(told.lines.len(), LINES_MAX);
    assert!(told.lines.iter().chain([&told.title]).all(|line| line.len() < 300), "{told:#?}");
    assert!(told.lines.last().unwrap().ends_with(" more services"), "{:?}", told.lines.last());
    assert!(told.lines.iter().any(|line| line.contains("and 2997 more")));
    assert!(told.names.len() < 40);
    assert_eq!(told, words(span(Period::Weekly), &facts));
}

#[test]
fn a_chart_has_the_last_days_and_is_a_small_picture() {
    let mut scores = Scores::default();
    for day in DAY - 30..=DAY + 1 {
        let wave = ((day % 7) * 20) as u64;
        let services = BTreeMap::from([
            (name("web"), card(200 + wave, 150 + wave, (day % 5) as u32)),
            (name("mail"), card(90, 80, 0)),
        ]);
        if day != DAY - 4 {
            scores.days.insert(day, DayScores { services, questioned: Vec::new() });
        }
    }
    let daily = chart::chart(span(Period::Daily), &scores);
    let days: Vec<i64> = daily.days.iter().map(|day| day.day).collect();
    assert_eq!((days.len(), days.first(), days.last()), (13, Some(&(DAY - 13)), Some(&DAY)));
    assert_eq!(daily.days[12].unit_seconds[2], (150 + (DAY % 7) as u64 * 20 + 80) * 3600);
    let weekly = chart::chart(span(Period::Weekly), &scores);
    assert_eq!(weekly.days.len(), 27);
    for (file, chart) in [("daily", &daily), ("weekly", &weekly), ("none", &Chart::default())] {
        let bytes = chart::png(chart).unwrap();
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() < 100_000, "{file}");
        assert_eq!(bytes, chart::png(chart).unwrap(), "{file}");
        if let Some(folder) = std::env::var_os("NEAP_CHARTS") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{file}.png")), bytes)
                .unwrap();
        }
    }
}
