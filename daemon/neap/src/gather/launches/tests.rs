//! Launches that were watched, and those that nobody watched.

use std::collections::BTreeSet;

use fleet::group::{Cause, Launch};
use fleet::names::{NOWHERE, SIMULATED_REGION};
use fleet::{AccountId, GroupRef, ProviderName, Region, Units};
use planner::policy::{CapacityPerUnit, LeadTimeRule};
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp(1_772_452_800);
const MINUTE: Seconds = Seconds(60);

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn pool(warm_up: u64) -> PoolPolicy {
    PoolPolicy {
        group: GroupRef {
            provider: ProviderName::new("sim").unwrap(),
            account: AccountId::new(NOWHERE).unwrap(),
            region: Region::new(SIMULATED_REGION).unwrap(),
            name: "web".to_owned(),
        },
        capacity_per_unit: CapacityPerUnit::Learn,
        target_utilisation: PoolPolicy::TARGET_UTILISATION,
        lead_time: Seconds::minutes(8),
        lead_time_rule: LeadTimeRule::AtLeast,
        warm_up: Seconds(warm_up),
        actuate: None,
        min: Units(1),
        max: None,
        cooldown: PoolPolicy::COOLDOWN,
        hold_window: PoolPolicy::HOLD_WINDOW,
        override_lease: PoolPolicy::OVERRIDE_LEASE,
        max_step_up: None,
        price_usd_hourly: None,
        billing_minimum: MINUTE,
    }
}

fn group(members: Vec<Instance>, activities: Vec<Activity>, serving: MembersServing) -> GroupState {
    let id = GroupId {
        provider: ProviderName::new("sim").unwrap(),
        account: AccountId::new(NOWHERE).unwrap(),
        region: Region::new(SIMULATED_REGION).unwrap(),
        id: "web".to_owned(),
    };
    GroupState {
        id,
        name: "web".to_owned(),
        read_at: START,
        desired: Units(0),
        min: Units(0),
        max: Units(9),
        instances: members,
        tags: BTreeMap::new(),
        suspended: BTreeSet::new(),
        refresh: None,
        policies: Vec::new(),
        scheduled: Vec::new(),
        owner: None,
        new_instances_protected: false,
        health_check_grace: Seconds::ZERO,
        warm_up: None,
        activities,
        serving,
        buys_spot: false,
        warm_pool: None,
    }
}

fn member(id: &str, lifecycle: Lifecycle, launched_at: Timestamp) -> Instance {
    Instance {
        id: id.to_owned(),
        lifecycle,
        weight: Units(1),
        protected: false,
        healthy: true,
        launched_at: Some(launched_at),
        zone: None,
        instance_type: None,
    }
}

/// A launch that began and ended so many seconds after the start.
fn activity(id: &str, began: i64, ended: i64, launch: Launch) -> Activity {
    Activity {
        id: id.to_owned(),
        started_at: Timestamp(START.0 + began),
        ended_at: Some(Timestamp(START.0 + ended)),
        kind: ActivityKind::Launch,
        status: ActivityStatus::Successful,
        cause: Cause::UserRequest,
        cause_text: String::new(),
        capacity_set_to: None,
        launch: Some(launch),
    }
}

fn told(waiting: &[&str]) -> MembersServing {
    let waiting: BTreeSet<String> = waiting.iter().map(|id| (*id).to_owned()).collect();
    MembersServing::Told { by: ServingSign::Targets, waiting }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(START.0 + seconds)
}

/// Looks at the group so many seconds after the start; the cycle before was a minute ago.
fn look(launches: &mut Launches, state: &GroupState, seconds: i64) -> Found {
    look_with(launches, state, seconds, &pool(0), &[], None)
}

fn look_with(
    launches: &mut Launches,
    state: &GroupState,
    seconds: i64,
    pool: &PoolPolicy,
    ours: &[Timestamp],
    healthy: Option<&dyn Fn(Timestamp, u64) -> Option<Timestamp>>,
) -> Found {
    let (taken_at, poll_interval) = (at(seconds), MINUTE);
    let last_taken_at = Some(taken_at - MINUTE);
    let look = Look { state, pool, ours, last_taken_at, taken_at, poll_interval, healthy };
    launches.look(&web(), &look)
}

fn seconds(found: &Found) -> Vec<u64> {
    found.launched.iter().map(|launched| launched.took.0).collect()
}

#[test]
fn where_nothing_tells_a_launch_serves_once_it_has_warmed_up() {
    let launch = Launch { ordered_at: Some(at(-18)), ..Launch::default() };
    let quick = activity("a", 0, 32, launch);
    let state = group(Vec::new(), vec![quick], MembersServing::Untold);
    let of = |warm_up: u64, of_group: Option<u64>, ours: &[Timestamp]| {
        let state = GroupState { warm_up: of_group.map(Seconds), ..state.clone() };
        let found = look_with(&mut Launches::default(), &state, 60, &pool(warm_up), ours, None);
        (found.in_service.clone(), seconds(&found))
    };
    // From the order, where the cloud tells of it.
    assert_eq!(of(0, None, &[]), (vec![Seconds(50)], vec![50]));
    // The larger of both warm-ups.
    assert_eq!(of(120, Some(300), &[]).1, [350]);
    assert_eq!(of(400, Some(300), &[]).1, [450]);
    // Our own order is known best; one long before or after is not of this launch.
    assert_eq!(of(0, None, &[at(-30), at(20), at(-900)]).1, [62]);
    // It counts once, however often it is seen.
    let mut launches = Launches::default();
    assert_eq!(look(&mut launches, &state, 60).launched.len(), 1);
    assert_eq!(look(&mut launches, &state, 61), Found::default());
}

#[test]
fn a_member_counts_from_the_order_until_its_target_is_healthy() {
    let mut launches = Launches::default();
    let old = || member("i-old", Lifecycle::InService, at(-90_000));
    let new = |lifecycle| member("i-new", lifecycle, at(70));
    let begin = Launch { instance: Some("i-new".to_owned()), ..Launch::default() };
    let began = || vec![activity("a", 70, 102, begin.clone())];
    let mut state = group(vec![old()], Vec::new(), told(&[]));
    let mut seen = Vec::new();
    for (second, lifecycle, waiting) in [
        (0, None, &[][..]),
        (60, None, &[]),
        (120, Some(Lifecycle::InService), &["i-new"]),
        (180, Some(Lifecycle::InService), &["i-new"]),
        (240, Some(Lifecycle::InService), &[]),
        // What falls ill later is not launched again.
        (300, Some(Lifecycle::InService), &["i-new"]),
        (360, Some(Lifecycle::InService), &[]),
    ] {
        state.instances = std::iter::once(old()).chain(lifecycle.map(new)).collect();
        state.activities = if second >= 120 { began() } else { Vec::new() };
        state.serving = told(waiting);
        let found = look_with(&mut launches, &state, second, &pool(600), &[at(60)], None);
        // It was in service 42 seconds after the order, and that is told apart.
        assert_eq!(found.in_service, if second == 120 { vec![Seconds(42)] } else { vec![] });
        seen.extend(found.launched);
    }
    let expected = Launched { took: Seconds(180), told_by: ServingSign::Targets, warm: false };
    assert_eq!(seen, [expected], "warm-up is not added to what was seen");
}

#[test]
fn what_nobody_watched_teaches_nothing() {
    let serving = |id: &str, launched| member(id, Lifecycle::InService, launched);
    // The program has just started: who serves may have served for long.
    let mut launches = Launches::default();
    let state = group(vec![serving("i-1", at(-100))], Vec::new(), told(&[]));
    assert_eq!(look(&mut launches, &state, 0), Found::default());
    // Nobody looked for a while.
    let state = group(vec![serving("i-1", at(-100)), serving("i-2", at(10))], vec![], told(&[]));
    assert_eq!(look(&mut launches, &state, 900), Found::default());
    // It could not be read.
    let unread = MembersServing::Unread("denied".to_owned());
    let three = vec![serving("i-3", at(1000))];
    for second in (960..=2000).step_by(60) {
        let state = group(three.clone(), vec![], unread.clone());
        let unread = Some("denied".to_owned()).filter(|_| second == 960);
        let expected = Found { unread, ..Found::default() };
        assert_eq!(look(&mut launches, &state, second), expected, "it is told once");
    }
    assert_eq!(look(&mut launches, &group(three, vec![], told(&[])), 2060), Found::default());
    // A machine of another age was attached, and one came back from standby.
    let mut launches = Launches::default();
    let aside = |lifecycle| member("i-5", lifecycle, at(-90_000));
    let before = group(vec![aside(Lifecycle::Standby)], vec![], told(&[]));
    assert_eq!(look(&mut launches, &before, 0), Found::default());
    let attached = serving("i-4", at(-50_000));
    let after = group(vec![attached, aside(Lifecycle::InService)], vec![], told(&[]));
    assert_eq!(look(&mut launches, &after, 60), Found::default());
    // A group made anew is another one.
    let mut anew = group(vec![serving("i-6", at(70))], vec![], told(&[]));
    anew.id.id = "web-2".to_owned();
    assert_eq!(look(&mut launches, &anew, 120), Found::default());
}

#[test]
fn launches_out_of_a_warm_pool_are_told_from_others() {
    let mut launches = Launches::default();
    let mut state = group(Vec::new(), Vec::new(), told(&[]));
    assert_eq!(look(&mut launches, &state, 0), Found::default());
    let launch = Launch { instance: Some("i-1".to_owned()), warm: true, ordered_at: None };
    // EC2 started it yesterday; the group took it now.
    state.instances = vec![member("i-1", Lifecycle::InService, at(-86_400))];
    state.activities = vec![activity("a", 10, 25, launch)];
    let found = look(&mut launches, &state, 60);
    let expected = Launched { took: Seconds(50), told_by: ServingSign::Targets, warm: true };
    assert_eq!(found.launched, [expected]);
}

#[test]
fn healthy_hosts_tell_where_targets_do_not() {
    let mut launches = Launches::default();
    let members = vec![
        member("i-1", Lifecycle::InService, at(-9000)),
        member("i-2", Lifecycle::InService, at(0)),
    ];
    let quick = activity("a", 0, 32, Launch::default());
    let state = group(members, vec![quick], MembersServing::Untold);
    let healthy_from = |second: i64| {
        move |from: Timestamp, hosts: u64| {
            assert_eq!((from, hosts), (at(32), 2));
            Some(at(second)).filter(|_| second > 0)
        }
    };
    let mut ask = |second, healthy: &dyn Fn(Timestamp, u64) -> Option<Timestamp>| {
        look_with(&mut launches, &state, second, &pool(0), &[], Some(healthy))
    };
    assert_eq!(ask(60, &healthy_from(0)).launched, []);
    let found = ask(300, &healthy_from(240));
    let expected = Launched { took: Seconds(240), told_by: ServingSign::HealthyHosts, warm: false };
    assert_eq!(found.launched, [expected]);
    assert_eq!(ask(360, &healthy_from(240)), Found::default());
}

proptest! {
    /// Whatever boots and waits take, and whenever the program was started again or nothing was
    /// answered, no launch counts less than it took, or more than two polls longer; and each counts at
    /// most once.
    #[test]
    fn what_is_measured_is_what_it_took(
        boots in prop::collection::vec((0..1200i64, 10..200i64, 0..900i64), 1..8),
        restarts in prop::collection::btree_set(0..40i64, 0..3),
        unread in prop::collection::btree_set(0..40i64, 0..3),
    ) {
        let mut launches = Launches::default();
        let mut seen = Vec::new();
        for cycle in 0..40i64 {
            let second = cycle * 60;
            if restarts.contains(&cycle) {
                launches = Launches::default();
            }
            let (mut members, mut waiting) = (Vec::new(), BTreeSet::new());
            for (n, (ordered, boot, wait)) in boots.iter().enumerate() {
                if *ordered > second {
                    continue;
                }
                let in_service = ordered + boot <= second;
                let lifecycle = if in_service { Lifecycle::InService } else { Lifecycle::Pending };
                let id = format!("i-{n}");
                if in_service && ordered + boot + wait > second {
                    waiting.insert(id.clone());
                }
                members.push(member(&id, lifecycle, at(*ordered)));
            }
            let serving = match unread.contains(&cycle) {
                true => MembersServing::Unread("throttled".to_owned()),
                false => MembersServing::Told { by: ServingSign::Targets, waiting },
            };
            let found = look(&mut launches, &group(members, Vec::new(), serving), second);
            seen.extend(found.launched.iter().map(|launched| launched.took.0 as i64));
        }
        prop_assert!(seen.len() <= boots.len(), "{seen:?}");
        for took in seen {
            // A look that was not answered shows a cycle later what it would have shown.
            let late = 60 * (1 + unread.len() as i64);
            let is_of = |(_, boot, wait): &(i64, i64, i64)| {
                (boot + wait..=boot + wait + late).contains(&took)
            };
            prop_assert!(boots.iter().any(is_of), "{took} of {boots:?}");
        }
    }
}
