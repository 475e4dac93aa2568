//! Memories that a clock left which was ahead: nothing in them waits for a time that is still to come.

use fleet::{AccountId, AccountKey, Change, ProviderName, Seconds, ServiceName, Timestamp, Units};
use planner::idle::memory::{ByHand, Care, Exempt, IdleMemory, Mark, Scope, Starting, Watch};
use planner::idle::reasons::ExemptReason;
use planner::memory::{
    Against, Band, Bucket, Censored, Count, Doubt, Dwell, Fall, Fell, Full, Highest, Lease,
    OpenOrder, Proven, Slot, Work,
};
use planner::plan::Hold;
use planner::stage::{Stage, StageMemory, Why};
use planner::{Memory, Milli, delayed, plan, rewound};
use proptest::prelude::*;
use serde_json::Value;

use crate::world::{World, name};

/// No time before this one is taken for one: everything else that a memory counts is smaller.
const TIMES_FROM: i64 = 1_500_000_000;

/// All times in a value, with where they stand.
fn times(value: &Value, place: &str, found: &mut Vec<(String, i64)>) {
    match value {
        Value::Number(number) => {
            let time = number.as_i64().filter(|number| *number >= TIMES_FROM);
            found.extend(time.map(|time| (place.to_owned(), time)));
        }
        Value::Array(list) => list.iter().for_each(|value| times(value, place, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| times(value, &format!("{place}.{key}"), found));
        }
        _ => {}
    }
}

fn times_of(value: &impl serde::Serialize) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    times(&serde_json::to_value(value).unwrap(), "", &mut found);
    found
}

/// A memory that has every time that there is, around `left`; `ago` says how long ago each was.
fn full(left: Timestamp, ago: &mut impl FnMut() -> Seconds) -> Memory {
    let mut at = || left - ago();
    let mut memory = Memory::default();
    let bucket = |at| Bucket { used_milli: 5_000, at };
    memory.fleet.removals = bucket(at());
    let (aws, account) = (ProviderName::new("aws").unwrap(), AccountId::new("1").unwrap());
    memory.fleet.accounts.insert(AccountKey::of(&aws, &account), bucket(at()));
    let web = memory.services.entry(name("web")).or_default();
    web.violations.counted = Some(at());
    let quarter = (at().0 / 21_600) as u32;
    let count = Count { intervals: 9, violations: 2 };
    web.violations.quarters = vec![(quarter - 1, count), (quarter, count)];
    let mut sorted = [at(), at(), at()];
    sorted.sort_unstable();
    web.in_service.entries = (3..).map(Units).zip(sorted).map(|(u, at)| (at, u)).collect();
    web.ordered.entries = web.in_service.entries.clone();
    web.removals = bucket(at());
    let change = Change::Desired { from: Units(3), to: Units(5) };
    web.orders.open = Some(OpenOrder { decision: None, change, at: at() });
    web.orders.changed_at = Some(at());
    web.orders.grew_at = Some(at());
    let who = fleet::OrTold::Told("somebody".to_owned());
    let until = at() + Seconds::hours(1);
    web.lease = Some(Lease { who, from: Units(3), to: Units(9), until });
    web.bands = sorted
        .map(|origin| Band { origin, demand_milli: Milli::whole(9), low_milli: Milli::whole(8) })
        .to_vec();
    web.fall = Some(Fall { since: at(), back_at_milli: Milli::whole(7), outage: None });
    web.capacity.at = at();
    web.dwell = Some(Dwell { since: at(), most: Units(4) });
    web.censored = Some(Censored { count: 2, newest: at() });
    let slot = Slot { most: Units(2).into(), vouched: Units(3).into() };
    let newest = (at().0 / 300) as u32;
    web.proven = Proven {
        newest,
        lately: [(newest, slot)].into_iter().collect(),
        days: [(newest / 6, Units(4).into())].into_iter().collect(),
        unbudgeted: Units(6),
        fell: Some(Fell { at: at(), back_at_milli: Milli::whole(8) }),
    };
    web.growth.full = Some(Full {
        from: Units(1),
        at: Units(2),
        demand_milli: Milli::whole(5),
        ordered: Units(3),
        served_from: Some(at()),
        stuck: false,
    });
    let (now_milli, before_milli) = (Milli::whole(9), Milli::whole(8));
    web.growth.highest = Some(Highest { now_milli, before_milli, since: at() });
    web.growth.beyond = Some((at(), Milli::whole(70)));
    let work = Work { demand_milli: now_milli, each_milli: before_milli, utilisation_milli: 500 };
    let mut doubt = Doubt { settled_at: Some(at()), ..Doubt::default() };
    doubt.witness.compared = Some(at());
    doubt.witness.together = Some(at());
    doubt.witness.since = at();
    let (since, busy_milli) = (at(), 700);
    doubt.witness.against =
        Some(Against { since, busy_milli, demand_milli: now_milli, with: work });
    web.doubt = doubt;
    let mut stage = || StageMemory {
        stage: Stage::Shadow,
        since: at(),
        why: Why::Demoted { by: "li".to_owned() },
        shrank_at: Some(at()),
        regretted: 1,
    };
    memory.stages.all = Some(stage());
    memory.stages.services.insert(name("web"), stage());
    memory.stages.rules.insert(fleet::RuleName("dev".to_owned()), stage());
    memory
}

fn full_idle(left: Timestamp, ago: &mut impl FnMut() -> Seconds) -> IdleMemory {
    let mut at = || left - ago();
    let watch = Watch { looked_at: Some(left), steady_since: Some(at()), ..Watch::default() };
    let mut memory = IdleMemory { watch, ..IdleMemory::default() };
    let rule = memory.rules.entry(fleet::RuleName("dev".to_owned())).or_default();
    rule.matched = Some((at().utc_day(), 7));
    rule.released_until = Some(at() + Seconds::hours(2));
    let approval = || planner::idle::memory::Approval { id: "a".to_owned(), given: None };
    let why = ExemptReason::StartedAgain { rule: fleet::RuleName("dev".to_owned()) };
    let care = Care {
        known_since: Some(at()),
        power_since: Some(at()),
        mark: Some(Mark {
            rule: fleet::RuleName("dev".to_owned()),
            at: at(),
            at_watched: Seconds(60),
            approval: planner::idle::memory::Approval {
                given: Some(("li".to_owned(), at())),
                ..approval()
            },
            tagged: false,
            restarted_at: None,
        }),
        exempt: Some(Exempt { until: at() + Seconds::days(14), why: why.into() }),
        by_hand: Some(ByHand { up: true, at: at(), until: at() + Seconds::hours(9) }),
        starting: Some(Starting {
            since: at(),
            tries: 2,
            next: at() + Seconds::minutes(5),
            fault: None,
            escalated: false,
        }),
        unused_since: Some(at()),
        ..Care::default()
    };
    memory.cares.insert(crate::idle_world::id("i-1"), care);
    let mut stops = vec![at(), at()];
    stops.sort_unstable();
    let rule = fleet::RuleName("dev".to_owned());
    memory.stops.insert(Scope::Tag { rule, value: "x".to_owned() }, stops);
    memory
}

/// How much later than now a time may be by which a hold ends.
fn longest(place: &str) -> u64 {
    match place.rsplit('.').next().unwrap_or_default() {
        "until" if place.contains("exempt") => 14 * 86_400,
        "until" if place.contains("by_hand") => 7 * 86_400,
        "until" => 86_400,
        "released_until" => 2 * 3600,
        "next" => 300,
        _ => 0,
    }
}

fn only_usual_holds(left_over: Vec<(String, i64)>, now: Timestamp) -> Result<(), TestCaseError> {
    for (place, at) in left_over {
        let later = Timestamp(at).since(now).0;
        prop_assert!(later <= longest(&place), "{place} is {later} s later than now");
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_waits_for_a_time_that_is_still_to_come(
        ahead in 31u64..400 * 86_400,
        ages in proptest::collection::vec(0u64..30 * 86_400, 8..40),
    ) {
        let now = Timestamp(1_772_409_600);
        let left = now + Seconds(ahead);
        let mut next = ages.iter().cycle();
        let mut ago = move || Seconds(*next.next().unwrap());
        let memory = full(left, &mut ago);
        let rewound_memory = rewound(memory.clone(), left, now);
        only_usual_holds(times_of(&rewound_memory), now)?;
        let (before, after) = (&memory.services[&name("web")], &rewound_memory.services[&name("web")]);
        // What was drawn is drawn, what holds holds, what was counted is counted.
        prop_assert_eq!(after.removals.used_milli, before.removals.used_milli);
        prop_assert!(after.fall.is_some() && after.lease.is_some() && after.dwell.is_some());
        prop_assert!(after.doubt.witness.against.is_some() && after.proven.fell.is_some());
        prop_assert_eq!(after.violations.totals(), before.violations.totals());
        prop_assert_eq!(after.in_service.entries.last().map(|(_, units)| *units), Some(Units(5)));
        prop_assert!(after.in_service.entries.is_sorted());
        prop_assert!(after.violations.quarters.is_sorted_by_key(|(quarter, _)| *quarter));
        let slots = after.proven.newest;
        prop_assert!(i64::from(slots) * 300 <= now.0 + 600);
        prop_assert_eq!(&rewound_memory.stages.services[&name("web")].stage, &Stage::Shadow);
        // Once is enough, and what was there by now stays as it is.
        prop_assert_eq!(&rewound(rewound_memory.clone(), now, now), &rewound_memory);
        prop_assert_eq!(&rewound(memory.clone(), left, left + Seconds::days(60)), &memory);
        let idle = full_idle(left, &mut ago);
        let rewound_idle = planner::idle::rewound(idle, left, now);
        only_usual_holds(times_of(&rewound_idle), now)?;
    }
}

proptest! {
    #[test]
    fn a_clock_that_is_set_ahead_ends_no_hold_and_refills_no_budget(
        ahead in 1u64..400 * 86_400,
        ages in proptest::collection::vec(0u64..30 * 86_400, 8..40),
    ) {
        let before_it = Timestamp(1_772_409_600);
        let now = before_it + Seconds(ahead);
        let mut next = ages.iter().cycle();
        let mut ago = move || Seconds(*next.next().unwrap());
        let memory = full(before_it, &mut ago);
        let after = delayed(memory.clone(), Seconds(ahead), now);
        let (was, is) = (&memory.services[&name("web")], &after.services[&name("web")]);
        let lasted = |was: Timestamp, is: Timestamp| (before_it.since(was), now.since(is));
        for (was, is) in [
            lasted(memory.fleet.removals.at, after.fleet.removals.at),
            lasted(was.removals.at, is.removals.at),
            lasted(was.orders.changed_at.unwrap(), is.orders.changed_at.unwrap()),
            lasted(was.orders.grew_at.unwrap(), is.orders.grew_at.unwrap()),
            lasted(was.fall.unwrap().since, is.fall.unwrap().since),
            lasted(was.dwell.unwrap().since, is.dwell.unwrap().since),
            lasted(was.proven.fell.unwrap().at, is.proven.fell.unwrap().at),
            lasted(was.doubt.witness.against.unwrap().since, is.doubt.witness.against.unwrap().since),
            lasted(memory.stages.all.unwrap().since, after.stages.all.unwrap().since),
        ] {
            prop_assert_eq!(was, is);
        }
        let left = |lease: &Option<Lease>, now: Timestamp| lease.as_ref().unwrap().until.since(now);
        prop_assert_eq!(left(&was.lease, before_it), left(&is.lease, now));
    }
}

#[test]
fn a_service_whose_memory_was_ahead_goes_on_and_takes_nothing_away_that_it_would_have_kept() {
    let mut world = World::new();
    let now = world.snapshot.taken_at;
    let ahead = Seconds::days(400);
    // Some cycles under a clock that was ahead, with demand that asks for less than there is.
    let mut there = world.clone();
    let shift = |world: &mut World, by: Seconds| world.snapshot.taken_at = now + by;
    for minute in 0..5 {
        shift(&mut there, ahead + Seconds::minutes(minute));
        let (_, memory) = plan(&there.policy, &there.snapshot, &there.memory);
        there.memory = memory;
    }
    let left = there.snapshot.taken_at;
    world.memory = rewound(there.memory, left, now);
    let (made, memory) = plan(&world.policy, &world.snapshot, &world.memory);
    let shrinks = made.actions.iter().any(|action| !action.change.is_increase());
    assert!(!shrinks, "{:?}", made.actions);
    assert!(made.findings.iter().all(|finding| !matches!(finding.hold, Hold::KillSwitch { .. })));
    let web: &ServiceName = &name("web");
    assert!(memory.services.contains_key(web));
}
