//! What the hours of a machine say of it.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::{Fact, Resource, Subject};
use fleet::signs::Clue;
use fleet::usage::{HOUR, Hours, Signal};
use fleet::{FaultKind, Seconds, Timestamp};
use planner::idle::evidence::{Evidence, Lack, Look, Use, Verdict};
use planner::idle::judge;
use planner::idle::pattern::Offsets;
use planner::idle::rule::IdleRule;

use crate::idle_world::{START, fault, idle_rule, machine, volume};

/// Hours of a machine over its look-back: each signal at rest, or as `at_work` says of an hour.
fn hours(at_work: impl Fn(i64) -> bool) -> BTreeMap<Signal, Hours> {
    let levels = [
        (Signal::Cpu, 1.0, 60.0),
        (Signal::NetworkIn, 30.0, 1e6),
        (Signal::NetworkOut, 30.0, 1e6),
        (Signal::DiskOps, 0.2, 80.0),
    ];
    let of = |(signal, rest, work): (Signal, f64, f64)| {
        let mut hours = Hours::default();
        for hour in 0..=36 * 24 {
            let at = Timestamp(START.0 - hour * HOUR);
            hours.fold(signal, at, if at_work(at.0.div_euclid(HOUR)) { work } else { rest });
        }
        (signal, hours)
    };
    levels.into_iter().map(of).collect()
}

fn judged(rule: &IdleRule, resource: &Resource, hours: &BTreeMap<Signal, Hours>) -> Evidence {
    judge(&Look {
        rule,
        resource,
        hours,
        offsets: &Offsets::default(),
        seen_unused_since: None,
        now: START,
    })
}

fn verdict(
    change: impl FnOnce(&mut IdleRule, &mut Resource, &mut BTreeMap<Signal, Hours>),
) -> Verdict {
    let (mut rule, mut resource, mut hours) = (idle_rule(), machine("a"), hours(|_| false));
    change(&mut rule, &mut resource, &mut hours);
    judged(&rule, &resource, &hours).verdict
}

fn of_day(hour: i64) -> i64 {
    hour.rem_euclid(24)
}

/// Monday is 0.
fn weekday(hour: i64) -> i64 {
    (hour.div_euclid(24) + 3).rem_euclid(7)
}

/// A change of a rule, a machine and its hours.
type Twist<'a> = dyn Fn(&mut IdleRule, &mut Resource, &mut BTreeMap<Signal, Hours>) + 'a;

#[test]
fn what_rests_at_every_hour_is_idle_and_shows_its_numbers() {
    let told = judged(&idle_rule(), &machine("a"), &hours(|_| false));
    assert_eq!(told.verdict, Verdict::AlwaysIdle);
    let cpu = told.rows.iter().find(|row| row.signal == Signal::Cpu).unwrap();
    assert_eq!((cpu.hours, cpu.of, cpu.above, cpu.limit_milli), (839, 839, 0, Some(5_000)));
    assert!((1_000..1_020).contains(&cpu.most_milli), "{cpu:?}");
}

#[test]
fn use_by_the_clock_proposes_its_windows() {
    let clock = |work: fn(i64) -> bool| match verdict(|_, _, h| *h = hours(work)) {
        Verdict::IdleByTheClock(pattern) => pattern.to_string(),
        other => panic!("{other:?}"),
    };
    let office = |hour| weekday(hour) < 5 && (9..18).contains(&of_day(hour));
    assert_eq!(clock(office), "Mon-Fri 07:00-20:00");
    assert_eq!(clock(|hour| of_day(hour) == 2), "Mon-Sun 00:00-05:00");
}

#[test]
fn a_monthly_batch_random_use_and_an_hour_ago_are_use() {
    let month_ago = START.0.div_euclid(HOUR) - 33 * 24;
    for work in [
        Box::new(move |hour| hour == month_ago) as Box<dyn Fn(i64) -> bool>,
        Box::new(|hour| hour % 5 == 0),
        Box::new(|hour| hour == START.0 / HOUR),
    ] {
        let told = verdict(|_, _, h| *h = hours(&work));
        assert!(matches!(&told, Verdict::InUse { by: Use::Above { .. } }), "{told:?}");
    }
    let forgiven = verdict(|rule, _, h| {
        rule.forgiven_hours = 1;
        *h = hours(|hour| hour == month_ago);
    });
    assert_eq!(forgiven, Verdict::AlwaysIdle);
}

#[test]
fn a_cache_is_in_use_by_its_memory_and_a_starved_machine_by_its_credits() {
    let level = |value: f64, signal| {
        let mut hours = Hours::default();
        for hour in 0..=36 * 24 {
            hours.fold(signal, Timestamp(START.0 - hour * HOUR), value);
        }
        hours
    };
    let cache = verdict(|rule, _, h| {
        rule.limits.0.insert(Signal::Memory, 25_000);
        h.insert(Signal::Memory, level(92.0, Signal::Memory));
    });
    let by_memory = |by: &Use| matches!(by, Use::Above { signal: Signal::Memory, hours: 841, .. });
    assert!(matches!(&cache, Verdict::InUse { by } if by_memory(by)), "{cache:?}");
    let starved = verdict(|_, resource, h| {
        resource.signals.insert(Signal::CreditsLeft);
        h.insert(Signal::CreditsLeft, level(0.2, Signal::CreditsLeft));
    });
    assert!(matches!(&starved, Verdict::InUse { by: Use::Starved { .. } }), "{starved:?}");
}

#[test]
fn every_lack_is_not_enough_data_and_never_idle() {
    let without = |hours: &mut BTreeMap<Signal, Hours>, signal, gone: std::ops::Range<i64>| {
        let mut kept = Hours::default();
        for hour in (0..=36 * 24).filter(|hour| !gone.contains(hour)) {
            kept.fold(signal, Timestamp(START.0 - hour * HOUR), 0.2);
        }
        hours.insert(signal, kept);
    };
    let look_back = Seconds::days(35);
    let born = START - Seconds::days(10);
    let lack =
        |change: &Twist<'_>| match verdict(|rule, resource, hours| change(rule, resource, hours)) {
            Verdict::NotEnoughData(lack) => lack,
            other => panic!("{other:?}"),
        };
    let too_young = lack(&|_, resource, _| resource.created_at = Some(born));
    assert_eq!(too_young, Lack::TooYoung { since: Some(born), look_back });
    let unknown = lack(&|_, resource, _| resource.created_at = None);
    assert_eq!(unknown, Lack::TooYoung { since: None, look_back });
    let unmeasured = lack(&|_, _, hours| drop(hours.remove(&Signal::DiskOps)));
    assert_eq!(unmeasured, Lack::Unmeasured { signal: Signal::DiskOps });
    let required = lack(&|rule, _, _| rule.require = BTreeSet::from([Signal::Memory]));
    assert_eq!(required, Lack::Unmeasured { signal: Signal::Memory });
    let gaps = lack(&|_, _, hours| without(hours, Signal::NetworkOut, 100..150));
    assert_eq!(gaps, Lack::Gaps { signal: Signal::NetworkOut, hours: 789, of: 839 });
    let stale = lack(&|_, _, hours| without(hours, Signal::Cpu, 0..6));
    let newest = Some(START - Seconds::hours(6));
    assert_eq!(stale, Lack::Stale { signal: Signal::Cpu, newest });
    let short = verdict(|rule, resource, _| {
        (rule.accept_short_history, resource.created_at) = (true, Some(born));
    });
    assert_eq!(short, Verdict::AlwaysIdle);
    let mut part = volume("v");
    let Subject::Part(facts) = &mut part.subject else { panic!() };
    facts.used_by = Fact::Unread(Box::new(fault(FaultKind::TimedOut)));
    let told = judged(&idle_rule(), &part, &BTreeMap::new()).verdict;
    assert_eq!(told, Verdict::NotEnoughData(Lack::Unread(Clue::Attachments.into())));
}
