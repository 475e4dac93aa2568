//! From samples and groups to what the planner reads of them.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::{
    ActivityKind, ActivityStatus, Cause, GroupState, Instance, Lifecycle, MembersServing, Process,
    ServingSign,
};
use fleet::{Seconds, Step, Timestamp, Units};
use planner::demand::{Assembly, Member};
use planner::policy::Share;
use planner::snapshot::{DemandPoint, DemandView, GroupView};

use crate::world::{activity, observation};

const NOW: Timestamp = Timestamp(1_772_452_800);

/// One value a minute, the last one's interval ending `ago` before now; `None` is missing.
fn series(ago: u64, values: &[Option<f64>]) -> Vec<DemandPoint> {
    let end = NOW - Seconds(ago);
    let count = values.len() as u64;
    let start = |i: u64| end - Seconds((count - i) * 60);
    (0..count)
        .zip(values)
        .filter_map(|(i, value)| {
            value.map(|value| DemandPoint { start: start(i), value, censored: false })
        })
        .collect()
}

fn assemble(members: &[Vec<DemandPoint>], change: impl FnOnce(&mut Assembly)) -> DemandView {
    let mut how = Assembly {
        taken_at: NOW,
        step: Step::MINUTE,
        settling: Seconds(120),
        lead: Seconds(300),
        counted: Some(NOW - Seconds(300)),
        fixed_capacity: 0.0,
        utilisation: None,
    };
    change(&mut how);
    let members: Vec<Member<'_>> =
        members.iter().map(|points| Member { points, fault: None, parts: &[] }).collect();
    DemandView::from_members(&members, &how)
}

fn values(points: &[DemandPoint]) -> Vec<f64> {
    points.iter().map(|point| point.value).collect()
}

#[test]
fn metrics_are_summed_and_young_intervals_are_provisional() {
    let one = series(0, &[10.0, 20.0, 30.0, 40.0, 50.0].map(Some));
    let two = series(0, &[1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
    let view = assemble(&[one, two], |_| ());
    assert_eq!(view.settled.unwrap().value, 33.0);
    assert_eq!(view.settled.unwrap().start, NOW - Seconds(180));
    assert_eq!(values(&view.provisional), [44.0, 55.0]);
    assert_eq!(values(&view.newly_settled), [22.0, 33.0]);
    // Of the first interval, which doubles demand, only a part counts.
    assert!((view.fastest_rise - 42.9).abs() < 1e-9);
    assert_eq!(view.recent_low, Some(11.0));
    assert_eq!(view.missing, Share::NONE);
}

#[test]
fn a_missing_member_counts_with_its_last_value_and_its_share_shows() {
    let one = series(0, &[Some(30.0), Some(30.0), Some(30.0), None, None]);
    let two = series(0, &[Some(10.0), None, None, None, None]);
    let view = assemble(&[one, two], |_| ());
    assert_eq!(view.settled.unwrap().value, 40.0);
    assert_eq!(view.missing, Share::percent(25));
    assert_eq!(values(&view.provisional), [0.0; 0]);
}

#[test]
fn a_member_that_never_measured_anything_is_missing_by_its_number() {
    let one = series(0, &[Some(30.0), Some(30.0), Some(30.0)]);
    let view = assemble(&[one, Vec::new()], |_| ());
    assert_eq!(view.missing, Share::percent(50));
}

#[test]
fn fixed_pools_are_subtracted_and_demand_is_never_negative() {
    let one = series(0, &[Some(30.0), Some(80.0), Some(30.0), Some(20.0)]);
    let view = assemble(&[one], |how| how.fixed_capacity = 50.0);
    assert_eq!((view.settled.unwrap().value, values(&view.provisional)), (30.0, vec![0.0, 0.0]));
}

#[test]
fn nothing_is_nothing_and_a_stamp_from_the_future_is_not_believed() {
    let nobody = assemble(&[], |_| ());
    assert_eq!((nobody.settled, nobody.provisional.len()), (None, 0));
    let future = vec![DemandPoint { start: NOW + Seconds(60), value: 9.0, censored: false }];
    let view = assemble(&[future], |_| ());
    assert_eq!((view.settled, view.provisional.len()), (None, 0));
}

#[test]
fn a_value_that_stands_alone_is_no_rise() {
    let flat = |values: &[f64]| {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        assemble(&[series(0, &values)], |_| ()).fastest_rise
    };
    assert_eq!(flat(&[60.0, 60.0, 1e6, 60.0, 60.0]), 0.0);
    assert_eq!(flat(&[60.0, 1e6, 60.0, 60.0, 1e6, 60.0]), 60.0, "twice its neighbours at most");
    assert_eq!(flat(&[60.0, 60.0, 90.0, 90.0]), 30.0);
    // A step up is not about to happen again.
    assert_eq!(flat(&[100.0, 100.0, 1000.0, 1000.0]), 450.0);
}

#[test]
fn hostile_numbers_pass_through_for_the_planner_to_refuse() {
    for bad in [f64::NAN, f64::INFINITY, -5.0, 1e300] {
        let view = assemble(&[series(0, &[Some(bad), Some(bad), Some(bad)])], |_| ());
        let value = view.settled.unwrap().value;
        assert!(value.is_nan() == bad.is_nan() && (bad.is_nan() || value == bad), "{bad}");
        assert_eq!((view.fastest_rise, view.recent_low), (0.0, None));
    }
}

fn instance(lifecycle: Lifecycle, weight: u32, age: u64) -> Instance {
    Instance {
        id: "i-1".to_owned(),
        lifecycle,
        weight: Units(weight),
        protected: false,
        healthy: true,
        launched_at: Some(NOW - Seconds(age)),
        zone: None,
        instance_type: None,
    }
}

fn state() -> GroupState {
    let view = observation("web", NOW).group.unwrap();
    GroupState {
        id: view.id,
        name: "web-asg".to_owned(),
        read_at: NOW,
        desired: Units(5),
        min: Units(1),
        max: Units(9),
        instances: vec![
            instance(Lifecycle::InService, 2, 3000),
            instance(Lifecycle::InService, 1, 100),
            instance(Lifecycle::Pending, 2, 20),
            instance(Lifecycle::Unknown("Warmed:Odd".to_owned()), 1, 20),
            instance(Lifecycle::Standby, 4, 20),
        ],
        tags: BTreeMap::new(),
        suspended: BTreeSet::from([Process::Launch]),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds(300),
        warm_up: None,
        activities: Vec::new(),
        serving: MembersServing::Untold,
        buys_spot: false,
        warm_pool: None,
    }
}

#[test]
fn a_groups_members_are_counted_in_units_by_where_they_stand() {
    let view = GroupView::of(&state(), NOW, Seconds(0), &[]);
    assert_eq!(
        [view.in_service, view.pending, view.unknown, view.warming],
        [3, 2, 1, 1].map(Units)
    );
    assert!(view.launch_suspended && !view.terminate_suspended);
}

#[test]
fn what_is_ordered_and_does_not_serve_is_still_to_come() {
    let counted = |change: &dyn Fn(&mut GroupState)| {
        let mut group = state();
        group.instances.retain(|i| i.lifecycle == Lifecycle::InService);
        change(&mut group);
        let view = GroupView::of(&group, NOW, Seconds(0), &[]);
        [view.in_service, view.pending].map(|units| units.0)
    };
    // Launches that failed leave nothing behind.
    assert_eq!(counted(&|_| ()), [3, 2]);
    assert_eq!(counted(&|group| group.desired = Units(20)), [3, 17]);
    assert_eq!(counted(&|group| group.instances.clear()), [0, 5]);
    // The sick serve nothing.
    assert_eq!(counted(&|group| group.instances[0].healthy = false), [1, 4]);
    // Nothing is missing where members were set aside, or are more than was ordered.
    assert_eq!(counted(&|g| g.instances.push(instance(Lifecycle::Standby, 2, 9))), [3, 0]);
    assert_eq!(counted(&|group| group.desired = Units(2)), [3, 0]);
    // Weights that fit no better.
    assert_eq!(counted(&|g| g.instances.push(instance(Lifecycle::InService, 4, 9))), [7, 0]);
}

#[test]
fn our_own_requests_are_told_from_other_peoples() {
    let mut group = state();
    group.activities = vec![
        activity(NOW - Seconds(50), Cause::Health, "replaced"),
        activity(NOW - Seconds(60), Cause::UserRequest, "set to 5"),
        activity(NOW - Seconds(900), Cause::UserRequest, "alice"),
    ];
    let ours = [NOW - Seconds(61)];
    let text = |view: GroupView| view.newest_foreign_activity.map(|a| a.cause_text);
    assert_eq!(text(GroupView::of(&group, NOW, Seconds(0), &ours)).unwrap(), "alice");
    assert_eq!(text(GroupView::of(&group, NOW, Seconds(0), &[])).unwrap(), "set to 5");
}

#[test]
fn the_newest_finished_launch_tells_whether_there_are_machines() {
    let mut group = state();
    let mut launch = activity(NOW, Cause::UserRequest, "");
    launch.kind = ActivityKind::Launch;
    launch.status = ActivityStatus::Failed { no_capacity: true };
    let mut running = launch.clone();
    running.started_at = NOW + Seconds(5);
    running.status = ActivityStatus::InProgress;
    group.activities = vec![launch, running];
    assert!(GroupView::of(&group, NOW, Seconds(0), &[]).out_of_capacity);
    group.activities[1].status = ActivityStatus::Successful;
    assert!(!GroupView::of(&group, NOW, Seconds(0), &[]).out_of_capacity);
}

#[test]
fn what_is_in_service_and_does_not_serve_yet_is_on_its_way() {
    let serving = |ids: &[usize], serving: fn(BTreeSet<String>) -> MembersServing| {
        let mut group = state();
        group.instances.retain(|i| i.lifecycle == Lifecycle::InService);
        for (n, instance) in group.instances.iter_mut().enumerate() {
            instance.id = format!("i-{n}");
        }
        group.desired = Units(3);
        group.serving = serving(ids.iter().map(|n| format!("i-{n}")).collect());
        let view = GroupView::of(&group, NOW, Seconds(0), &[]);
        [view.in_service, view.pending, view.warming].map(|units| units.0)
    };
    let told = |waiting| MembersServing::Told { by: ServingSign::Targets, waiting };
    let before = serving(&[], told);
    // The first of them counts for two.
    let after = serving(&[0], told);
    assert_eq!([after[0], after[1]], [before[0] - 2, before[1] + 2]);
    assert!(after[2] >= 2, "it warms up: nothing is removed meanwhile");
    // What nobody told holds nothing back.
    assert_eq!(serving(&[0], |_| MembersServing::Untold), before);
    assert_eq!(serving(&[0], |_| MembersServing::Unread("denied".to_owned())), before);
}

#[test]
fn launches_that_fail_are_known_in_the_clouds_words_while_units_are_missing() {
    let mut group = state();
    let mut launch = activity(NOW, Cause::UserRequest, "to 5\nno free addresses in subnet-1");
    launch.kind = ActivityKind::Launch;
    launch.status = ActivityStatus::Failed { no_capacity: false };
    group.activities = vec![launch];
    let told = |group: &GroupState| GroupView::of(group, NOW, Seconds(0), &[]).aside.launch_failed;
    // Three are in service and four set aside: nothing is missing.
    assert_eq!(told(&group), None);
    group.desired = Units(9);
    assert_eq!(told(&group).as_deref(), Some("no free addresses in subnet-1"));
    group.activities[0].status = ActivityStatus::Failed { no_capacity: true };
    assert_eq!(told(&group), None, "that has a word of its own");
    group.activities[0].status = ActivityStatus::Successful;
    assert_eq!(told(&group), None);
}

#[test]
fn what_a_cloud_tells_beside_the_numbers_is_kept() {
    let mut group = state();
    group.buys_spot = true;
    let aside = GroupView::of(&group, NOW, Seconds(0), &[]).aside;
    assert_eq!((aside.machines, aside.buys_spot), (Some(2), true), "three units on two machines");
    assert_eq!(aside.suspended, BTreeSet::from([Process::Launch]));
    group.instances.iter_mut().for_each(|instance| instance.weight = Units(1));
    assert_eq!(GroupView::of(&group, NOW, Seconds(0), &[]).aside.machines, None);
}
