//! Readings in part and in whole, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{AccountId, Fault, FaultKind, ProviderName, Region, Seconds, Step, Timestamp};
use forecaster::Series;
use planner::demand::Assembly;
use planner::idle::schedule::Span;
use planner::policy::{ServicePolicy, Share};
use planner::snapshot::{DemandView, Trend};
use providers::{Partial, Samples};

use super::{MemberPoints, News, Store};

const NOW: Timestamp = Timestamp(1_772_452_800);

fn query(metric: &str) -> MetricQuery {
    MetricQuery {
        provider: ProviderName::new("prom").unwrap(),
        account: AccountId::new("default").unwrap(),
        region: Region::new("none").unwrap(),
        namespace: fleet::metric::PROMQL.to_owned(),
        metric: metric.to_owned(),
        statistic: Statistic::Average,
        dimensions: BTreeMap::new(),
        period: Step::MINUTE,
        when_missing: WhenMissing::Unknown,
    }
}

fn service(demand: &[MetricQuery]) -> ServicePolicy {
    let text = "[provider.sim]\nkind = \"sim\"\n[[service]]\nname = \"shop\"\n\
                demand = [{ namespace = \"A\", metric = \"M\" }]\n\
                [[service.pool]]\ngroup = \"shop\"\ncapacity_per_unit = 5\n";
    let config = crate::settings::parse("neap.toml", text).unwrap();
    let service = config.policy.services.into_values().next().unwrap();
    ServicePolicy { demand: demand.to_vec(), ..service }
}

/// A value a minute, the last one's minute ending `ago` minutes before now; a negative one is missing.
fn read(ago: u64, values: &[f64]) -> Samples {
    let first = NOW - Seconds::minutes(ago + values.len() as u64);
    let samples = (0..)
        .zip(values)
        .map(|(i, value)| Sample { start: first + Seconds::minutes(i), value: *value });
    Samples::from(samples.filter(|sample| sample.value >= 0.0).collect::<Vec<_>>())
}

/// The same, as a part of the whole since `since` minutes ago.
fn part(since: u64, samples: Samples) -> Samples {
    let why = Fault {
        kind: FaultKind::Unreachable,
        operation: "query_range".to_owned(),
        detail: "a part of the store did not answer".to_owned(),
        request_id: None,
    };
    Samples { partial: Some(Partial { since: NOW - Seconds::minutes(since), why }), ..samples }
}

fn view(store: &Store, service: &ServicePolicy) -> DemandView {
    let members = store.members(service, NOW);
    let members: Vec<_> = members.iter().map(MemberPoints::as_member).collect();
    let how = Assembly {
        taken_at: NOW,
        step: Step::MINUTE,
        settling: Seconds(120),
        lead: Seconds(300),
        counted: None,
        fixed_capacity: 0.0,
        utilisation: None,
    };
    DemandView::from_members(&members, &how)
}

fn minutes_ago(news: &News) -> (Vec<u64>, Option<u64>) {
    let ago = |start: Timestamp| NOW.since(start).0 / 60;
    (news.whole.iter().map(|sample| ago(sample.start)).collect(), news.oldest.map(ago))
}

#[test]
fn a_part_is_counted_and_justifies_no_removal_and_the_journal_does_not_have_it() {
    let (mut store, load) = (Store::default(), query("load"));
    let service = service(std::slice::from_ref(&load));
    let news = store.back_fill(&load, &part(60, read(0, &[100.0, 100.0, 900.0, 900.0])));
    assert_eq!(minutes_ago(&news), (vec![], Some(4)));
    let view = view(&store, &service);
    assert_eq!(view.settled.map(|point| point.value), Some(100.0));
    assert_eq!(view.provisional.last().map(|point| point.value), Some(900.0));
    assert_eq!((view.missing, view.fastest_rise > 0.0), (Share::ALL, true));
    assert!(view.fault.is_some_and(|fault| fault.detail.contains("did not answer")));
    // Nor are units full.
    assert!(view.settled.iter().chain(&view.provisional).all(|point| !point.censored));
}

#[test]
fn one_metric_in_part_makes_a_part_of_the_sum() {
    let (mut store, web, jobs) = (Store::default(), query("web"), query("jobs"));
    let service = service(&[web.clone(), jobs.clone()]);
    for (of_web, of_jobs, missing) in [
        (read(0, &[90.0; 5]), read(0, &[10.0; 5]), Share::NONE),
        (part(60, read(0, &[90.0; 5])), read(0, &[10.0; 5]), Share::ALL),
        (read(0, &[90.0; 5]), part(60, read(0, &[0.0; 5])), Share::ALL),
        (part(60, read(0, &[])), read(0, &[10.0; 5]), Share::ALL),
        (read(0, &[90.0; 5]), part(60, read(0, &[])), Share::ALL),
        // Young intervals alone: what is settled is whole.
        (part(2, read(0, &[90.0; 5])), read(0, &[10.0; 5]), Share::NONE),
    ] {
        store = Store::default();
        store.back_fill(&web, &of_web);
        store.back_fill(&jobs, &of_jobs);
        assert_eq!(view(&store, &service).missing, missing, "{of_web:?} {of_jobs:?}");
    }
    drop(store);
}

#[test]
fn what_is_known_in_whole_is_not_made_less_by_a_part() {
    let (mut store, load) = (Store::default(), query("load"));
    let service = service(std::slice::from_ref(&load));
    store.back_fill(&load, &read(2, &[50.0, 50.0, 50.0]));
    // Less than is known, as much, more.
    let news = store.take(&load, &part(5, read(2, &[20.0, 50.0, 70.0])));
    assert_eq!(minutes_ago(&news), (vec![], Some(4)));
    let values: Vec<_> =
        [5, 4, 3].map(|ago| store.value(&load, NOW - Seconds::minutes(ago))).into();
    assert_eq!(values, [Some(50.0), Some(50.0), Some(70.0)]);
    let parts = store.recent_parts(&load, NOW).len();
    assert_eq!(parts, 4, "two that are, and the two that have no sample yet");
    assert_eq!(view(&store, &service).missing, Share::ALL);
    // The whole of it counts whether it is less or more, and goes to the journal.
    let news = store.take(&load, &read(0, &[50.0, 50.0, 60.0, 40.0, 40.0]));
    assert_eq!(minutes_ago(&news), (vec![4, 3, 2, 1], Some(4)));
    assert_eq!(
        (view(&store, &service).missing, store.oldest_part(&load, NOW)),
        (Share::NONE, None)
    );
}

#[test]
fn a_part_is_asked_for_again_until_the_whole_is_there() {
    let (mut store, load) = (Store::default(), query("load"));
    store.back_fill(&load, &part(600, read(0, &[5.0; 300])));
    let oldest = store.oldest_part(&load, NOW);
    assert_eq!(oldest, Some(NOW - Seconds::hours(2)), "and no older than that");
    store.take(&load, &read(0, &[5.0; 120]));
    assert_eq!(store.oldest_part(&load, NOW), None);
    // A failure in between says nothing of the samples.
    let fault = Fault { kind: FaultKind::TimedOut, ..part(1, read(0, &[])).partial.unwrap().why };
    store.failed(&load, fault);
    assert_eq!(store.oldest_part(&load, NOW), None);
}

#[test]
fn a_history_in_part_takes_nothing_from_what_came_since() {
    let (mut store, load) = (Store::default(), query("load"));
    store.take(&load, &read(0, &[50.0, 50.0]));
    let news = store.back_fill(&load, &part(3, read(0, &[9.0, 9.0, 9.0, 90.0])));
    assert_eq!(minutes_ago(&news), (vec![4], Some(4)));
    let values: Vec<_> =
        [4, 3, 2, 1].map(|ago| store.value(&load, NOW - Seconds::minutes(ago))).into();
    assert_eq!(values, [9.0, 9.0, 50.0, 50.0].map(Some));
    assert_eq!(store.recent_parts(&load, NOW), [NOW - Seconds::minutes(3)]);
}

#[test]
fn silence_of_a_part_is_no_zero() {
    let quiet = MetricQuery { when_missing: WhenMissing::Zero, ..query("quiet") };
    let (mut store, alive) = (Store::default(), query("alive"));
    let service = service(&[quiet.clone(), alive.clone()]);
    store.back_fill(&alive, &read(0, &[1.0; 5]));
    store.back_fill(&quiet, &read(3, &[70.0, 70.0]));
    assert_eq!(store.demand_value(&quiet, NOW - Seconds(120), &service), Some(0.0));
    store.take(&quiet, &part(3, read(3, &[70.0, 70.0])));
    assert_eq!(store.demand_value(&quiet, NOW - Seconds(120), &service), None);
    assert_eq!(view(&store, &service).missing, Share::ALL);
}

#[test]
fn models_learn_from_a_part_as_from_a_lower_bound() {
    let (mut store, load) = (Store::default(), query("load"));
    let service = service(std::slice::from_ref(&load));
    store.back_fill(&load, &part(2, read(0, &[50.0, 50.0, 30.0, 30.0])));
    let censored = |store: &Store| {
        let mut demand = Series::new(Step::MINUTE);
        store.refresh(&mut demand, &service, None, NOW, &BTreeSet::new());
        (0..demand.len()).map(|index| demand.marks(index).censored).collect::<Vec<_>>()
    };
    assert_eq!(censored(&store), [false, false, true, true]);
    store.take(&load, &read(0, &[50.0, 50.0, 55.0, 30.0]));
    assert_eq!(censored(&store), [false; 4]);
}

#[test]
fn what_was_measured_while_units_were_missing_is_a_lower_bound() {
    let (mut store, load) = (Store::default(), query("load"));
    let service = service(std::slice::from_ref(&load));
    store.back_fill(&load, &read(0, &[50.0, 50.0, 7.0, 50.0]));
    let mut demand = Series::new(Step::MINUTE);
    store.refresh(&mut demand, &service, None, NOW, &BTreeSet::new());
    let low = (0..demand.len()).find(|&index| demand.get(index) == Some(7.0)).unwrap();
    assert!((0..demand.len()).all(|index| !demand.marks(index).censored));
    let short = BTreeSet::from([demand.start_of(low)]);
    store.refresh(&mut demand, &service, None, NOW, &short);
    let censored = |index: usize| demand.marks(index).censored;
    assert!((0..demand.len()).all(|index| censored(index) == (index == low)));
}

#[test]
fn what_is_measured_while_a_service_is_closed_is_no_demand() {
    let (mut store, load) = (Store::default(), query("load"));
    let service = service(std::slice::from_ref(&load));
    store.back_fill(&load, &read(0, &[50.0, 50.0, 0.0, 0.0, 50.0]));
    let mut whole = Series::new(Step::MINUTE);
    store.refresh(&mut whole, &service, None, NOW, &BTreeSet::new());
    let zero = |index: &usize| whole.get(*index) == Some(0.0);
    let zeros: Vec<Timestamp> =
        (0..whole.len()).filter(zero).map(|index| whole.start_of(index)).collect();
    let (from, until) = (zeros[0], zeros[1] + Seconds(60));
    // A window that ends a second later closes the interval that it ends in, too.
    for (until, open) in [(until, 3), (until + Seconds(1), 2)] {
        let closed = [Span { from, until }];
        let mut demand = Series::new(Step::MINUTE);
        store.refresh_open(&mut demand, &service, None, NOW, &BTreeSet::new(), &closed);
        assert_eq!(demand.present(), open);
        assert!((0..demand.len()).all(|index| demand.get(index) != Some(0.0)));
        let members = store.members(&service, NOW);
        let members: Vec<_> =
            members.into_iter().map(|member| member.open(&closed, Step::MINUTE)).collect();
        assert_eq!(members[0].as_member().points.len(), open);
    }
}

#[test]
fn a_sum_of_five_minutes_that_is_read_by_the_minute_counts_for_nothing_and_says_so() {
    let (mut store, orders) =
        (Store::default(), MetricQuery { statistic: Statistic::Sum, ..query("orders") });
    let service = service(std::slice::from_ref(&orders));
    let fifth = |value: f64, minutes: u32| {
        let values: Vec<f64> =
            (0..minutes).map(|i| if i % 5 == 0 { value } else { -1.0 }).collect();
        read(0, &values)
    };
    let news = store.back_fill(&orders, &fifth(30_000.0, 121));
    assert!(news.anew);
    let seen = view(&store, &service);
    assert_eq!((seen.settled, seen.provisional.len()), (None, 0));
    let why = seen.fault.unwrap().to_string();
    assert!(why.contains("come every 5m") && why.contains("`period = \"5m\"`"), "{why}");
    let learned = |store: &Store| {
        let mut demand = Series::new(Step::MINUTE);
        store.refresh(&mut demand, &service, None, NOW, &BTreeSet::new());
        demand.present()
    };
    assert_eq!(learned(&store), 0);
    // It comes by the minute after all.
    let news = store.take(&orders, &read(0, &[6_000.0; 5]));
    assert!(news.anew && view(&store, &service).fault.is_none());
    assert!(learned(&store) > 5);
    // A silence that is declared is none, and no spacing is looked for in it.
    let quiet = MetricQuery { when_missing: WhenMissing::Zero, ..query("quiet") };
    assert!(!store.back_fill(&quiet, &fifth(30_000.0, 121)).anew);
}

#[test]
fn a_level_that_comes_too_seldom_raises_and_does_not_lower() {
    let (mut store, level) = (Store::default(), query("level"));
    let service = service(std::slice::from_ref(&level));
    let values: Vec<f64> = (0..121).map(|i| if i % 3 == 0 { 50.0 } else { -1.0 }).collect();
    store.back_fill(&level, &read(2, &values));
    let seen = view(&store, &service);
    assert_eq!((seen.settled.map(|point| point.value), seen.missing), (Some(50.0), Share::ALL));
    assert!(seen.fault.unwrap().detail.contains("every 3m"));
    assert_eq!(store.oldest_part(&level, NOW), None, "nothing more would come");
}

#[test]
fn few_errors_of_a_part_are_not_as_usual() {
    let (mut store, errors) = (Store::default(), query("errors"));
    store.back_fill(&errors, &read(0, &[2.0; 60]));
    assert_eq!(store.errors_trend(&errors, NOW), Trend::Usual);
    store.take(&errors, &part(5, read(0, &[2.0; 5])));
    assert_eq!(store.errors_trend(&errors, NOW), Trend::Unknown);
    store.take(&errors, &part(5, read(0, &[90.0; 5])));
    assert_eq!(store.errors_trend(&errors, NOW), Trend::Worse);
}

/// What a counter of 50 a second shows each minute of so many, starting over every six hours.
fn counted(minutes: u32) -> Vec<f64> {
    let gained = |minute: u32| 3_000.0 + f64::from(minute * 37 % 101);
    let values = (0..minutes).scan(0.0, |sum, minute| {
        *sum = if minute % 360 == 359 { 0.0 } else { *sum + gained(minute) };
        Some(*sum)
    });
    values.collect()
}

#[test]
fn a_counter_counts_for_nothing_and_says_so_until_it_is_a_load() {
    for statistic in [Statistic::Average, Statistic::Maximum, Statistic::Sum] {
        let (mut store, total) =
            (Store::default(), MetricQuery { statistic, ..query("orders_total") });
        let service = service(std::slice::from_ref(&total));
        let values = counted(1_500);
        // Half a day of it may still be the growth of a load.
        assert!(!store.back_fill(&total, &read(780, &values[..720])).anew);
        assert!(view(&store, &service).fault.is_none());
        assert!(store.take(&total, &read(0, &values[720..])).anew);
        let seen = view(&store, &service);
        assert_eq!((seen.settled, seen.provisional.len()), (None, 0), "it orders nothing");
        let why = seen.fault.unwrap().to_string();
        assert!(why.contains("adds up") && why.contains("`rate(…)`"), "{why}");
        let mut learned = Series::new(Step::MINUTE);
        store.refresh(&mut learned, &service, None, NOW, &BTreeSet::new());
        assert_eq!(learned.present(), 0, "nothing is learned from it");
        // The query was mended: the source's history says what the load was.
        let loads: Vec<f64> = (0..1_500).map(|minute| 50.0 + f64::from(minute % 7)).collect();
        assert!(store.take(&total, &read(0, &loads)).anew);
        assert!(view(&store, &service).settled.is_some());
    }
}

#[test]
fn a_counter_beside_a_load_lets_nothing_shrink() {
    let (mut store, total, load) = (Store::default(), query("jobs_total"), query("load"));
    let service = service(&[total.clone(), load.clone()]);
    store.back_fill(&total, &read(0, &counted(1_500)));
    store.back_fill(&load, &read(0, &[80.0; 100]));
    let seen = view(&store, &service);
    assert_eq!(seen.settled.map(|point| point.value), Some(80.0));
    assert_eq!(seen.missing, Share::ALL);
    assert_eq!(store.oldest_part(&total, NOW), None);
}
