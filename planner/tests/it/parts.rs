//! Demand that is known in part alone.

use fleet::{Seconds, Step, Timestamp, Units};
use planner::demand::{Assembly, Member};
use planner::policy::Share;
use planner::snapshot::{DemandPoint, DemandView};

use crate::world::{World, name};

const NOW: Timestamp = Timestamp(1_772_452_800);

/// A value a minute until now, oldest first, and which of them are parts alone.
fn seen(values: &[f64], parts: impl Fn(usize) -> bool) -> DemandView {
    let start = |i: usize| NOW - Seconds::minutes((values.len() - i) as u64);
    let points: Vec<DemandPoint> = (0..values.len())
        .map(|i| DemandPoint { start: start(i), value: values[i], censored: false })
        .collect();
    let parts: Vec<Timestamp> = (0..values.len()).filter(|i| parts(*i)).map(start).collect();
    let how = Assembly {
        taken_at: NOW,
        step: Step::MINUTE,
        settling: Seconds(120),
        lead: Seconds(300),
        counted: Some(NOW - Seconds(300)),
        fixed_capacity: 0.0,
        utilisation: None,
    };
    DemandView::from_members(&[Member { points: &points, fault: None, parts: &parts }], &how)
}

#[test]
fn a_part_counts_with_what_it_has_and_all_may_be_missing() {
    let values = [100.0, 100.0, 20.0, 20.0, 20.0];
    let part = seen(&values, |i| i >= 2);
    let whole = seen(&values, |_| false);
    assert_eq!((part.missing, whole.missing), (Share::ALL, Share::NONE));
    assert_eq!((part.settled, &part.provisional), (whole.settled, &whole.provisional));
    // What is settled is whole: the young ones raise and do not lower anyway.
    assert_eq!(seen(&values, |i| i >= 3).missing, Share::NONE);
}

#[test]
fn the_whole_that_comes_back_is_no_rise_and_a_rise_of_a_part_is_one() {
    let back = [200.0, 200.0, 20.0, 20.0, 20.0, 200.0, 200.0];
    assert_eq!(seen(&back, |i| (2..5).contains(&i)).fastest_rise, 0.0);
    assert!(seen(&back, |_| false).fastest_rise > 0.0);
    assert!(seen(&[20.0, 40.0, 60.0, 80.0], |_| true).fastest_rise > 0.0);
    // Nor does more in a part than in the whole before it tell of less.
    assert!(seen(&[20.0, 40.0, 60.0, 80.0], |i| i >= 2).fastest_rise > 0.0);
}

#[test]
fn the_low_of_a_part_is_no_low() {
    let values = [90.0, 5.0, 90.0, 90.0, 90.0, 90.0];
    assert_eq!(seen(&values, |_| false).recent_low, Some(5.0));
    assert_eq!(seen(&values, |i| i == 1).recent_low, Some(90.0));
}

#[test]
fn a_group_that_lacks_units_serves_a_part() {
    let short = |told: u32, desired: u32, in_service: u32, demand: f64, resized: Option<u64>| {
        let mut world = World::new();
        let _ = world.cycle(true);
        let at = world.snapshot.taken_at;
        world.set_demand(demand);
        let view = world.view();
        (view.desired, view.in_service) = (Units(desired), Units(in_service));
        let seen = world.seen("web").clone();
        let mut memory = world.memory.services[&name("web")].clone();
        memory.orders.changed_at = resized.map(|minutes| at - Seconds::minutes(minutes));
        memory.orders.expected.as_mut().unwrap().desired = Units(told);
        // What was in service lately says nothing: they never came.
        memory.in_service.entries = vec![(at - Seconds::hours(9), Units(in_service))];
        planner::is_short(at, world.service("web"), &seen, &memory)
    };
    // A unit carries 100/s, and boots in five minutes.
    assert!(short(20, 20, 3, 290.0, Some(30)), "as much as three carry");
    assert!(short(20, 20, 3, 290.0, None), "nobody knows since when");
    assert!(!short(20, 20, 3, 290.0, Some(2)), "they boot");
    assert!(!short(20, 20, 3, 100.0, Some(30)), "three are not busy");
    assert!(!short(20, 20, 18, 1790.0, Some(30)), "two of twenty");
    assert!(!short(3, 20, 3, 290.0, Some(30)), "they were ordered a cycle ago");
}

#[test]
fn units_that_went_away_took_their_part_along() {
    let mut world = World::new();
    for _ in 0..8 {
        let _ = world.cycle(true);
    }
    world.view().in_service = Units(4);
    world.set_demand(100.0);
    let (at, seen) = (world.snapshot.taken_at, world.seen("web").clone());
    let own = world.memory.services[&name("web")].clone();
    assert!(planner::is_short(at, world.service("web"), &seen, &own));
}
