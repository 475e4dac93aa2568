//! What the past of a group teaches, and what it must not.

use fleet::group::{
    Activity, ActivityKind, ActivityStatus, Cause, GroupState, Instance, Lifecycle,
};
use fleet::metric::{MetricQuery, Statistic, WhenMissing};
use fleet::{Seconds, Step, Timestamp, Units};
use planner::Milli;
use planner::past::{PastSizes, interval, telling};
use planner::plan::{Hold, Plan};
use planner::policy::{CapacityPerUnit, ServicePolicy};
use planner::snapshot::{DemandPoint, GroupView, PAST_MAX, PastInterval};
use proptest::prelude::*;

use crate::world::{self, World, name};

const NOW: Timestamp = Timestamp(1_000_000);

fn member(n: usize, launched_at: Timestamp, weight: u32) -> Instance {
    Instance {
        id: format!("i-{n}"),
        lifecycle: Lifecycle::InService,
        weight: Units(weight),
        protected: false,
        healthy: true,
        launched_at: Some(launched_at),
        zone: None,
        instance_type: None,
    }
}

fn group(instances: Vec<Instance>) -> GroupState {
    let id = world::observation("web", NOW).group.unwrap().id;
    GroupState {
        id,
        name: "web-asg".to_owned(),
        read_at: NOW,
        desired: Units(instances.len() as u32),
        min: Units(0),
        max: Units(99),
        instances,
        tags: Default::default(),
        suspended: Default::default(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds::ZERO,
        warm_up: None,
        activities: Vec::new(),
        serving: Default::default(),
        buys_spot: false,
        warm_pool: None,
    }
}

fn did(n: usize, kind: ActivityKind, started_at: Timestamp, ended: Option<Timestamp>) -> Activity {
    Activity {
        id: format!("a-{n}"),
        started_at,
        ended_at: ended,
        kind,
        status: if ended.is_some() {
            ActivityStatus::Successful
        } else {
            ActivityStatus::InProgress
        },
        cause: Cause::Unknown,
        cause_text: String::new(),
        capacity_set_to: None,
        launch: None,
    }
}

proptest! {
    /// Whatever came and went: a size that is told is the one that there was.
    #[test]
    fn a_size_of_the_past_is_right_or_not_told(
        begin in 1usize..12,
        acts in prop::collection::vec((60i64..40_000, any::<bool>(), 20i64..900), 0..30),
        forgets in prop::option::of(0usize..30),
    ) {
        // Members, oldest first, and how many there were from when on.
        let mut members: Vec<Instance> =
            (0..begin).map(|n| member(n, Timestamp(100), 1)).collect();
        let mut truth = vec![(Timestamp(0), begin as u32)];
        let mut at = Timestamp(10_000);
        let mut activities = Vec::new();
        for (n, (after, comes, takes)) in acts.into_iter().enumerate() {
            at = at + Seconds(after as u64);
            let done = at + Seconds(takes as u64);
            if done >= NOW {
                break;
            }
            if comes {
                activities.push(did(n, ActivityKind::Launch, at, Some(done)));
                members.push(member(100 + n, at, 1));
                truth.push((done, members.len() as u32));
            } else if members.len() > 1 {
                activities.push(did(n, ActivityKind::Terminate, at, Some(done)));
                members.remove(0);
                truth.push((at, members.len() as u32));
            }
            // The next one begins when this one is over.
            at = done;
        }
        let whole = activities.clone();
        if let Some(lost) = forgets.filter(|lost| *lost < activities.len()) {
            // A failed one in its place: it changed nothing.
            activities[lost].status = ActivityStatus::Failed { no_capacity: true };
            activities.push(Activity { id: "again".to_owned(), ..whole[lost].clone() });
        }
        let state = group(members);
        let sizes = PastSizes::of(&state, &activities, Timestamp(5_000), true);
        let was = |when: Timestamp| {
            truth.iter().rev().find(|(since, _)| *since <= when).map(|(_, units)| *units)
        };
        for start in (5_100..999_000).step_by(1_733).map(Timestamp) {
            let end = start + Seconds(300);
            if let Some(units) = sizes.steady(start, end) {
                prop_assert_eq!(Some(units.0), was(start), "{:?} {:?}", start, truth);
                prop_assert_eq!(Some(units.0), was(end - Seconds(1)));
            } else {
                let changed = truth.iter().any(|(since, _)| *since > start && *since < end);
                prop_assert!(changed, "all of it is told: {:?}", start);
            }
        }
        // A cloud that does not say how many: what is told is right as well, and less of it.
        let fewer = PastSizes::of(&state, &whole, Timestamp(5_000), false);
        for start in (5_100..999_000).step_by(1_733).map(Timestamp) {
            if let Some(units) = fewer.steady(start, start + Seconds(300)) {
                prop_assert_eq!(Some(units.0), was(start));
            }
        }
    }
}

#[test]
fn what_cannot_be_counted_back_ends_what_is_known() {
    let two = || group(vec![member(0, Timestamp(100), 1), member(1, Timestamp(100), 1)]);
    let at = |sizes: &PastSizes, start| sizes.steady(Timestamp(start), Timestamp(start + 300));
    let attached = [did(0, ActivityKind::Other, Timestamp(500_000), Some(Timestamp(500_060)))];
    let sizes = PastSizes::of(&two(), &attached, Timestamp(0), true);
    assert_eq!((at(&sizes, 600_000), at(&sizes, 400_000)), (Some(Units(2)), None));
    // More were launched than are left: nobody knows what became of them.
    let launched: Vec<Activity> = (0..3)
        .map(|n| did(n, ActivityKind::Launch, Timestamp(500_000), Some(Timestamp(500_060))))
        .collect();
    let sizes = PastSizes::of(&two(), &launched, Timestamp(0), true);
    assert_eq!((at(&sizes, 600_000), at(&sizes, 400_000)), (Some(Units(2)), None));
    // Weights: a launch may have been of one unit or of four.
    let heavy = group(vec![member(0, Timestamp(100), 4), member(1, Timestamp(100), 2)]);
    let sizes = PastSizes::of(&heavy, &launched[..1], Timestamp(0), true);
    assert_eq!((at(&sizes, 600_000), at(&sizes, 400_000)), (Some(Units(6)), None));
    // A list that may be cut is one from its oldest entry on.
    let many: Vec<Activity> =
        (0..500).map(|n| did(n, ActivityKind::Launch, Timestamp(900_000), None)).collect();
    let sizes = PastSizes::of(&two(), &many, Timestamp(0), true);
    assert_eq!((at(&sizes, 950_000), at(&sizes, 800_000)), (Some(Units(2)), None));
    // What the cloud itself counted goes before all that.
    let mut sizes = PastSizes::of(&two(), &attached, Timestamp(0), true);
    let counted = (0..4).map(|i| (Timestamp(399_900 + i * 300), if i < 2 { 3.0 } else { 3.5 }));
    sizes.count(Step::FIVE_MINUTES, counted);
    let at = |start| sizes.steady(Timestamp(start), Timestamp(start + 300));
    assert_eq!((at(399_900), at(400_500), at(401_400)), (Some(Units(3)), None, None));
    assert_eq!(sizes.mean(Timestamp(400_200), Timestamp(400_800)), Some(3.25));
    assert_eq!(sizes.mean(Timestamp(401_400), Timestamp(401_700)), None);
}

fn past(count: i64, utilisation: f64) -> Vec<PastInterval> {
    let of = |n| {
        let start = Timestamp::parse(world::START).unwrap() - Seconds(300 * (1 + n as u64));
        // A unit carries 100 a second when it is full.
        interval(start, 1000.0 * utilisation, utilisation, Units(10)).unwrap()
    };
    (0..count).rev().map(of).collect()
}

/// Decides, and goes on from there.
fn decide(world: &mut World) -> Plan {
    let (plan, memory) = planner::plan(&world.policy, &world.snapshot, &world.memory);
    world.memory = memory;
    plan
}

#[test]
fn a_first_plan_decides_with_what_the_past_tells() {
    let decided = |count: i64| {
        let mut world = World::new();
        world.pool().capacity_per_unit = CapacityPerUnit::Learn;
        world.seen("web").demand.utilisation = Some(0.95);
        world.seen("web").past = past(count, 0.6);
        let plan = decide(&mut world);
        let capacity = world.memory.services[&name("web")].capacity.clone();
        (plan, capacity)
    };
    let (plan, capacity) = decided(12);
    let unknown = |hold: &Hold| matches!(hold, Hold::CapacityUnknown { .. });
    assert!(!plan.findings.iter().any(|finding| unknown(&finding.hold)), "{plan:#?}");
    assert!(capacity.estimates_milli.contains(&Milli::whole(70_000)), "at 70 %: {capacity:?}");
    // Three are too few.
    let (_, few) = decided(3);
    assert_eq!(few.estimates_milli.len(), 3);
    // Nothing is extrapolated from units that do next to nothing, nor from those that are full.
    for utilisation in [0.05, 0.9, 1.0] {
        assert_eq!(interval(NOW, 600.0, utilisation, Units(10)), None);
    }
    assert_eq!(interval(NOW, 0.0, 0.5, Units(10)), None);
    assert_eq!(interval(NOW, 600.0, 0.5, Units(0)), None);
}

#[test]
fn the_busiest_of_the_last_day_tell_most() {
    let of = |n: u64| {
        let utilisation = 0.2 + 0.5 * (n % 288) as f64 / 288.0;
        interval(Timestamp(300 * n as i64), 500.0, utilisation, Units(10)).unwrap()
    };
    let all: Vec<PastInterval> = (0..900).map(of).collect();
    let told = telling(&all);
    assert_eq!(told.len(), PAST_MAX);
    assert!(told.iter().all(|interval| interval.utilisation_milli > 600), "{told:?}");
    assert!(told.iter().all(|interval| interval.start > Timestamp(300 * 600)), "{told:?}");
    assert!(told.is_sorted_by_key(|interval| interval.start));
    assert_eq!(telling(&all[..5]), all[..5]);
    assert_eq!(telling(&[]), []);
}

/// A service whose utilisation alone is measured.
fn counted(service: &mut ServicePolicy) {
    let group = service.pool.group.clone();
    service.utilisation = Some(MetricQuery {
        provider: group.provider,
        account: group.account,
        region: group.region,
        namespace: "AWS/EC2".to_owned(),
        metric: "CPUUtilization".to_owned(),
        statistic: Statistic::Average,
        dimensions: [("AutoScalingGroupName".to_owned(), group.name)].into(),
        period: Step::MINUTE,
        when_missing: WhenMissing::Unknown,
    });
    service.pool.capacity_per_unit = CapacityPerUnit::Given(0.7);
    service.count_busy_units();
}

#[test]
fn demand_that_is_made_of_utilisation_is_neither_doubted_nor_vouched_for_by_it() {
    let mut world = World::new();
    counted(world.service("web"));
    let start = world.snapshot.taken_at;
    for minute in 0..180u64 {
        let now = start + Seconds(60 * minute);
        // Three quarters of it go at once.
        let utilisation = if minute < 90 { 0.6 } else { 0.15 };
        world.snapshot.taken_at = now;
        let seen = world.seen("web");
        let id = seen.group.as_ref().unwrap().id.clone();
        seen.group = Ok(GroupView { max: Units(50), ..GroupView::at_rest(id, now, Units(10)) });
        let settled = now - Seconds(180);
        let point = DemandPoint { start: settled, value: 10.0 * utilisation, censored: false };
        seen.demand.settled = Some(point);
        seen.demand.utilisation = Some(utilisation);
        let _plan = decide(&mut world);
        let own = &world.memory.services[&name("web")];
        assert_eq!(own.doubt.witness, Default::default(), "{minute}");
    }
}
