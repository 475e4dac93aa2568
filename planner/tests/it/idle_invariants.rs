//! Whatever happens to a fleet, the plan passes the separate checker, and memory is kept whole.

use std::collections::BTreeSet;

use fleet::resource::{Fact, Power, ResourceKind, Subject};
use fleet::signs::{Clue, Holder};
use fleet::{FaultKind, OrTold, Seconds, Timestamp};
use planner::idle::evidence::{Lack, Use, Verdict};
use planner::idle::memory::IdleMemory;
use planner::idle::pattern::Pattern;
use planner::idle::plan::IdlePlan;
use planner::idle::reasons::LastLook;
use planner::idle::rule::{Radius, RuleMode, ScheduleKind};
use planner::idle::schedule::ScheduleView;
use planner::idle::snapshot::{Ask, IdleSnapshot, PowerResult, Unread};
use planner::policy::{ActiveFreeze, FreezeScope, Mode};
use planner::snapshot::{Disk, KillSwitch};

use crate::idle_world::{
    EVERY, START, World, account, cap, fault, id, machine, name, office, volume,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What a machine of a fleet is like.
#[derive(Clone, Debug)]
struct Kind {
    /// Under the rule, the schedule, or both.
    under: u8,
    database: bool,
    part: bool,
    order: i32,
    idle: bool,
}

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Jump(i64),
    Start(usize),
    Stop(usize),
    Remake(usize),
    Vanish(usize),
    Verdict(usize, u8),
    Protect(usize, bool),
    OptOut(usize, bool),
    Group(usize, bool),
    Unread(usize, bool),
    Changing(usize),
    ListingFails(bool),
    Kill(bool),
    Disk(bool),
    Freeze(u8),
    Observe(bool),
    Mode(u8),
    Matched(u32),
    Approve,
    Reject,
    Wake(usize),
    Exempt(usize),
    Release,
}

fn kind() -> impl Strategy<Value = Kind> {
    let chance = prop::bool::weighted;
    (0u8..3, chance(0.1), chance(0.1), 0i32..3, chance(0.8)).prop_map(
        |(under, database, part, order, idle)| Kind { under, database, part, order, idle },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let which = || 0usize..30;
    let seldom = || prop::bool::weighted(0.1);
    prop_oneof![
        30 => (1u64..20).prop_map(|minutes| Event::Wait(minutes * 60)),
        1 => prop::sample::select(vec![-3_600i64, 25_000, 90_000]).prop_map(Event::Jump),
        2 => which().prop_map(Event::Start),
        2 => which().prop_map(Event::Stop),
        1 => which().prop_map(Event::Remake),
        1 => which().prop_map(Event::Vanish),
        2 => (which(), 0u8..5).prop_map(|(n, verdict)| Event::Verdict(n, verdict)),
        1 => (which(), any::<bool>()).prop_map(|(n, on)| Event::Protect(n, on)),
        1 => (which(), seldom()).prop_map(|(n, on)| Event::OptOut(n, on)),
        1 => (which(), seldom()).prop_map(|(n, on)| Event::Group(n, on)),
        1 => (which(), seldom()).prop_map(|(n, on)| Event::Unread(n, on)),
        1 => which().prop_map(Event::Changing),
        1 => seldom().prop_map(Event::ListingFails),
        1 => seldom().prop_map(Event::Kill),
        1 => seldom().prop_map(Event::Disk),
        1 => (0u8..6).prop_map(Event::Freeze),
        1 => seldom().prop_map(Event::Observe),
        1 => (0u8..6).prop_map(Event::Mode),
        1 => prop_oneof![9 => 0u32..10, 1 => 100u32..300].prop_map(Event::Matched),
        2 => Just(Event::Approve),
        1 => Just(Event::Reject),
        1 => which().prop_map(Event::Wake),
        1 => which().prop_map(Event::Exempt),
        1 => Just(Event::Release),
    ]
}

fn result() -> impl Strategy<Value = PowerResult> {
    prop_oneof![
        6 => Just(PowerResult::Taken),
        1 => Just(PowerResult::Withheld),
        1 => Just(PowerResult::Moved { found: LastLook::Gone.into() }),
        1 => Just(PowerResult::Failed { fault: fault(FaultKind::OutOfCapacity) }),
        1 => Just(PowerResult::Failed { fault: fault(FaultKind::Refused) }),
        2 => prop::option::of(any::<bool>())
            .prop_map(|effect_seen| PowerResult::Unconfirmed { effect_seen }),
    ]
}

/// The rule's and the schedule's own numbers.
#[derive(Clone, Debug)]
struct Terms {
    grace: u64,
    first: u64,
    hour: u32,
    day: u32,
    mark_tag: bool,
    ordered: bool,
    sided: u8,
}

fn terms() -> impl Strategy<Value = Terms> {
    (0u64..4, 0u64..2, 0u32..6, 0u32..30, any::<bool>(), any::<bool>(), 0u8..6).prop_map(
        |(grace, first, hour, day, mark_tag, ordered, sided)| Terms {
            grace: grace * 1800,
            first: first * 3600,
            hour,
            day,
            mark_tag,
            ordered,
            sided,
        },
    )
}

fn fleet(terms: &Terms, kinds: &[Kind]) -> World {
    let mut world = World::empty();
    let radius = Radius { hour: cap(terms.hour), day: cap(terms.day) };
    let rule = world.rule();
    (rule.grace, rule.observe_first) = (Seconds(terms.grace), Seconds(terms.first));
    (rule.radius, rule.mark_tag, rule.group_tag) =
        (radius, terms.mark_tag, Some("team".to_owned()));
    let schedule = world.schedule();
    schedule.radius = radius;
    schedule.order_tag = terms.ordered.then(|| "order".to_owned());
    schedule.kind = match terms.sided {
        0 => ScheduleKind::StopOnly,
        1 => ScheduleKind::StartOnly,
        _ => ScheduleKind::Both,
    };
    for (n, kind) in kinds.iter().enumerate() {
        let text = format!("m{n}");
        let mut made = if kind.part { volume(&text) } else { machine(&text) };
        if kind.database && !kind.part {
            made.id.kind = ResourceKind::Database;
        }
        made.tags.insert("team".to_owned(), format!("t{}", n % 3));
        world.add(made);
        let seen = world.seen(&text);
        if kind.under != 0 && !kind.part {
            seen.schedule = Some(ScheduleView { order: kind.order, ..office() });
        }
        if kind.under == 1 && !kind.part {
            (seen.rule, seen.evidence) = (None, None);
        } else if !kind.idle {
            let by = Use::Holder(Holder::Nothing.into());
            world.verdict(&text, Verdict::InUse { by });
        }
    }
    world
}

fn happen(world: &mut World, event: &Event, vanished: &mut Vec<planner::idle::snapshot::Seen>) {
    let now = world.now();
    let count = world.snapshot.seen.len();
    let place = |n: &usize| n % count.max(1);
    let approvals = |memory: &IdleMemory| -> Option<String> {
        memory.cares.values().find_map(|care| {
            let mark = care.mark.as_ref().map(|mark| mark.approval.id.clone());
            mark.or_else(|| care.asked.as_ref().map(|asked| asked.id.clone()))
        })
    };
    match event {
        Event::Wait(seconds) => {
            // Mostly on time: looks that all come late stop nothing, which proves little.
            world.wait(Seconds((*seconds).min(600)));
        }
        Event::Jump(seconds) => world.snapshot.taken_at = Timestamp(now.0 + seconds),
        Event::ListingFails(on) => {
            let of = id("x");
            let unread = Unread {
                provider: of.provider,
                account: of.account,
                region: of.region,
                kind: of.kind,
                fault: fault(FaultKind::TimedOut),
            };
            world.snapshot.unread = if *on { vec![unread] } else { Vec::new() };
            if !on {
                world.snapshot.seen.append(vanished);
            }
        }
        Event::Kill(on) => {
            world.snapshot.kill_switch = match on {
                true => KillSwitch::Thrown { why: OrTold::Told("test".to_owned()) },
                false => KillSwitch::Clear,
            };
        }
        Event::Disk(on) => {
            world.snapshot.disk = if *on { Disk::ReserveOnly } else { Disk::Ample };
        }
        Event::Freeze(scope) => {
            let scope = match scope {
                0 => Some(FreezeScope::Decreases),
                1 => Some(FreezeScope::All),
                _ => None,
            };
            world.snapshot.freezes.clear();
            world.snapshot.freezes.extend(scope.map(|scope| ActiveFreeze {
                name: "sale".to_owned(),
                scope,
                services: Vec::new(),
                until: now + Seconds::days(1),
            }));
        }
        Event::Observe(on) => world.policy.mode = if *on { Mode::Observe } else { Mode::Act },
        Event::Mode(mode) => {
            let mode = match mode {
                0 => RuleMode::Observe,
                1 => RuleMode::Approve,
                2 => RuleMode::Shadow,
                _ => RuleMode::Act,
            };
            world.rule().mode = mode;
            world.schedule().mode = mode;
        }
        Event::Matched(matched) => {
            world.snapshot.matched.insert(name("idle"), *matched);
        }
        Event::Approve => {
            if let Some(id) = approvals(&world.memory) {
                world.ask(Ask::Approve { id });
            }
        }
        Event::Reject => {
            if let Some(id) = approvals(&world.memory) {
                world.ask(Ask::Reject { id });
            }
        }
        Event::Release => world.ask(Ask::Release { rule: name("idle") }),
        _ if count == 0 => {}
        Event::Vanish(n) => vanished.push(world.snapshot.seen.remove(place(n))),
        Event::Wake(n) | Event::Exempt(n) => {
            let resource = world.snapshot.seen[place(n)].resource.id.id.clone();
            let until = now + Seconds::hours(2);
            world.ask(match event {
                Event::Wake(_) => Ask::Wake { resource, until },
                _ => Ask::Exempt { resource, until },
            });
        }
        Event::Verdict(n, verdict) => {
            let seen = &mut world.snapshot.seen[place(n)];
            let Some(evidence) = &mut seen.evidence else { return };
            evidence.verdict = match verdict {
                0 => Verdict::InUse { by: Use::Holder(Holder::Nothing.into()) },
                1 => Verdict::IdleByTheClock(Pattern { up: [1; 7], weeks: 4 }),
                2 => Verdict::NotEnoughData(Lack::Unread(Clue::Usage.into())),
                _ => Verdict::AlwaysIdle,
            };
        }
        Event::Start(n)
        | Event::Stop(n)
        | Event::Remake(n)
        | Event::Protect(n, _)
        | Event::OptOut(n, _)
        | Event::Group(n, _)
        | Event::Unread(n, _)
        | Event::Changing(n) => {
            let resource = &mut world.snapshot.seen[place(n)].resource;
            let Subject::Machine(facts) = &mut resource.subject else { return };
            match event {
                Event::Start(_) => {
                    (resource.power, resource.started_at) = (Power::Running, Some(now));
                }
                Event::Stop(_) => resource.power = Power::Stopped { charged: None },
                Event::Remake(_) => resource.created_at = Some(now),
                Event::Changing(_) => resource.power = Power::Other("rebooting".to_owned()),
                Event::Protect(_, on) => {
                    resource.tags.insert("neap:protect".to_owned(), on.to_string());
                }
                Event::OptOut(_, on) => {
                    resource.tags.insert("neap:managed".to_owned(), (!on).to_string());
                }
                Event::Group(_, on) => {
                    facts.scaling_group = Fact::Known(on.then(|| "g".to_owned()));
                }
                Event::Unread(_, on) => {
                    facts.targets = match on {
                        true => Fact::Unread(Box::new(fault(FaultKind::TimedOut))),
                        false => Fact::Known(Vec::new()),
                    };
                }
                _ => {}
            }
        }
    }
}

/// Promises of a look that the checker does not see, since it sees one look only.
fn told_apart(before: &World, plan: &IdlePlan) -> Result<(), TestCaseError> {
    for action in &plan.actions {
        let care = before.memory.cares.get(&action.resource);
        let open = care.and_then(|care| care.open.as_ref());
        let confirmed = before.snapshot.outcomes.iter().any(|o| o.resource == action.resource);
        let patience = Seconds::minutes(10);
        let waits = open.is_some_and(|open| before.now().since(open.at) < patience);
        prop_assert!(!waits || confirmed, "ordered again while open: {action:?}");
    }
    let orders: BTreeSet<_> = plan.actions.iter().map(|action| &action.resource).collect();
    prop_assert_eq!(orders.len(), plan.actions.len());
    Ok(())
}

fn kept_whole(memory: &IdleMemory, snapshot: &IdleSnapshot) -> Result<(), TestCaseError> {
    let bytes = postcard::to_stdvec(memory).unwrap();
    prop_assert_eq!(&postcard::from_bytes::<IdleMemory>(&bytes).unwrap(), memory);
    let text = serde_json::to_string(memory).unwrap();
    prop_assert_eq!(&serde_json::from_str::<IdleMemory>(&text).unwrap(), memory);
    let bytes = postcard::to_stdvec(snapshot).unwrap();
    prop_assert_eq!(&postcard::from_bytes::<IdleSnapshot>(&bytes).unwrap(), snapshot);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(20_260_302),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_checker_finds_nothing(
        terms in terms(),
        kinds in prop::collection::vec(kind(), 1..30),
        looks in prop::collection::vec(
            (prop::collection::vec(event(), 0..3), prop::collection::vec(result(), 1..4)),
            10..60,
        ),
    ) {
        let mut world = fleet(&terms, &kinds);
        let mut vanished = Vec::new();
        for (events, results) in &looks {
            for event in events {
                happen(&mut world, event, &mut vanished);
            }
            let before = world.clone();
            // Checks the plan, plans again, and applies the delta.
            let plan = world.look().clone();
            told_apart(&before, &plan)?;
            kept_whole(&world.memory, &before.snapshot)?;
            for (action, result) in plan.actions.iter().zip(results.iter().cycle()) {
                let effect = matches!(
                    result,
                    PowerResult::Taken
                        | PowerResult::Unconfirmed { effect_seen: Some(true) | None }
                );
                if effect {
                    world.follow(action);
                }
                world.report(action, result);
            }
            world.wait(EVERY);
        }
    }
}

/// A property over worlds in which nothing is ever stopped would prove nothing.
#[test]
fn ordinary_fleets_do_stop_and_start() {
    let kinds = vec![Kind { under: 0, database: false, part: false, order: 0, idle: true }; 10];
    let kinds: Vec<Kind> = (0..10u8).map(|n| Kind { under: n % 3, ..kinds[0].clone() }).collect();
    let terms =
        Terms { grace: 1800, first: 0, hour: 5, day: 20, mark_tag: true, ordered: true, sided: 5 };
    let mut world = fleet(&terms, &kinds);
    let mut told = [0, 0];
    while world.now() < START + Seconds::hours(24) {
        let plan = world.look().clone();
        for action in &plan.actions {
            told[usize::from(action.verb == planner::idle::plan::Verb::Start)] += 1;
        }
        world.answer(&PowerResult::Taken);
        world.wait(EVERY);
    }
    // Four idle ones and three scheduled; the three under both stop in the evening, too.
    assert_eq!(told, [10, 6]);
    assert_eq!(world.snapshot.population[&account()], 100);
}
