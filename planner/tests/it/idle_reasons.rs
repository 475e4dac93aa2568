//! Every reason for which a machine is left as it is, each with a story that leads to it.

use std::collections::BTreeSet;

use fleet::comeback::DiskKeys;
use fleet::resource::{Fact, Power, Purchase, Saves};
use fleet::signs::{Clue, FactName, Holder, NoSaving, Protection, RoleSign, UnknownFact};
use fleet::usage::Signal;
use fleet::{AccountId, FaultKind, OrTold, ProviderName, Seconds};
use planner::idle::evidence::{Lack, Use, Verdict};
use planner::idle::memory::Scope;
use planner::idle::pattern::Pattern;
use planner::idle::plan::{IdleHold, PowerAction, Risk, Stage};
use planner::idle::reasons::{
    ApprovalReason, ExemptReason, NotIdle, RiskReason, ScheduleFault, ScheduleGap, StartFailure,
    TagFault,
};
use planner::idle::rule::{Radius, RuleMode, ScheduleKind, StopPreference};
use planner::idle::schedule::ScheduleView;
use planner::idle::snapshot::{Ask, PowerResult, Unread};
use planner::policy::{ActiveFreeze, FreezeScope, Mode};
use planner::reasons::SwitchThrown;
use planner::snapshot::{Disk, KillSwitch};

use crate::idle_world::{EVERY, START, World, cap, fault, id, machine, name, office, volume};

/// A number for each reason there is: a new one does not compile until it has its story below.
fn number(hold: &IdleHold) -> usize {
    match hold {
        IdleHold::InUse(_) => 0,
        IdleHold::IdleByTheClock(_) => 1,
        IdleHold::NotEnoughData(_) => 2,
        IdleHold::NotRunning(_) => 3,
        IdleHold::FindingOnly => 4,
        IdleHold::NotOptedIn { .. } => 5,
        IdleHold::ProtectTag { .. } => 6,
        IdleHold::InScalingGroup(_) => 7,
        IdleHold::Orchestrated { .. } => 8,
        IdleHold::InTargetGroup(_) => 9,
        IdleHold::LocalDisk => 10,
        IdleHold::Accelerator => 11,
        IdleHold::ForwardsTraffic => 12,
        IdleHold::SpotTerminates => 13,
        IdleHold::Protected(_) => 14,
        IdleHold::PassiveRole(_) => 15,
        IdleHold::Alarm(_) => 16,
        IdleHold::OwnHost => 17,
        IdleHold::Unread(_) => 18,
        IdleHold::SavesNothing(_) => 19,
        IdleHold::CannotHibernate => 20,
        IdleHold::RestartRisk(_) => 21,
        IdleHold::Exempt { .. } => 22,
        IdleHold::ObserveMode => 23,
        IdleHold::RuleObserves => 24,
        IdleHold::FirstDays { .. } => 25,
        IdleHold::InGrace { .. } => 26,
        IdleHold::NeedsApproval { .. } => 27,
        IdleHold::KillSwitch(_) => 28,
        IdleHold::Frozen { .. } => 29,
        IdleHold::DiskFull => 30,
        IdleHold::NotSteady { .. } => 31,
        IdleHold::Surge { .. } => 32,
        IdleHold::AboveDayCap { .. } => 33,
        IdleHold::BlastRadius { .. } => 34,
        IdleHold::ScheduledUp { .. } => 35,
        IdleHold::Woken { .. } => 36,
        IdleHold::ByHand { .. } => 37,
        IdleHold::OrderOpen { .. } => 38,
        IdleHold::Changing(_) => 39,
        IdleHold::RetryLater { .. } => 40,
        IdleHold::WaitsFor { .. } => 41,
        IdleHold::ScheduleUnread(_) => 42,
        IdleHold::OptedOut => 43,
        IdleHold::OneSided => 44,
        IdleHold::AsScheduled => 45,
        IdleHold::NotIdleNow(_) => 46,
        IdleHold::Gone => 47,
        IdleHold::AlreadyStopped { .. } => 48,
        IdleHold::InShadow => 49,
        IdleHold::KeyUnusable { .. } => 50,
    }
}
const REASONS: usize = 51;

type Change = Box<dyn Fn(&mut World)>;

fn thrown() -> OrTold<SwitchThrown> {
    SwitchThrown::Exists { path: "/etc/neap/stop".to_owned() }.into()
}

fn sim() -> ProviderName {
    ProviderName::new("sim").unwrap()
}

fn one() -> AccountId {
    AccountId::new("one").unwrap()
}

/// What is changed about the world of one idle machine, and why it is left alone then.
fn idle_table() -> Vec<(Change, IdleHold)> {
    fn case(hold: IdleHold, change: impl Fn(&mut World) + 'static) -> (Change, IdleHold) {
        (Box::new(change), hold)
    }
    let used = Use::Holder(Holder::Resource("somebody".to_owned()).into());
    let pattern = Pattern { up: [1 << 9; 7], weeks: 5 };
    let lack = Lack::Unmeasured { signal: Signal::Cpu };
    let text = str::to_owned;
    let risk =
        Risk { milli: 152, why: vec![RiskReason::Scarce { class: text("g5.large") }.into()] };
    let until = START + Seconds::hours(9);
    let (by_use, by_clock, by_lack) = (used.clone(), pattern.clone(), lack.clone());
    vec![
        case(IdleHold::InUse(used), move |w| {
            w.verdict("a", Verdict::InUse { by: by_use.clone() });
        }),
        case(IdleHold::IdleByTheClock(pattern), move |w| {
            w.verdict("a", Verdict::IdleByTheClock(by_clock.clone()));
        }),
        case(IdleHold::NotEnoughData(lack), move |w| {
            w.verdict("a", Verdict::NotEnoughData(by_lack.clone()));
        }),
        case(IdleHold::NotEnoughData(Lack::Unread(Clue::Usage.into())), |w| {
            w.seen("a").evidence = None;
        }),
        case(IdleHold::NotRunning(Power::Stopped { charged: Some(false) }), |w| w.down("a")),
        case(IdleHold::Changing(Power::Starting), |w| w.power("a", Power::Starting)),
        case(IdleHold::FindingOnly, |w| {
            w.snapshot.seen.clear();
            w.add(volume("a"));
        }),
        case(IdleHold::NotOptedIn { tag: text("neap:managed=true") }, |w| {
            w.resource("a").tags.clear();
        }),
        case(IdleHold::ProtectTag { tag: text("neap:protect=") }, |w| w.tag("neap:protect", "")),
        case(IdleHold::InScalingGroup(text("g")), |w| {
            w.facts().scaling_group = Fact::Known(Some("g".to_owned()));
        }),
        case(
            IdleHold::Orchestrated { by: text("Karpenter"), tag: text("karpenter.sh/nodepool") },
            |w| w.tag("karpenter.sh/nodepool", "x"),
        ),
        case(IdleHold::InTargetGroup(text("t")), |w| {
            w.facts().targets = Fact::Known(vec!["t".to_owned()]);
        }),
        case(IdleHold::LocalDisk, |w| w.facts().local_disk = Fact::Known(true)),
        case(IdleHold::Accelerator, |w| w.facts().accelerator = Fact::Known(true)),
        case(IdleHold::ForwardsTraffic, |w| w.facts().forwards_traffic = Fact::Known(true)),
        case(IdleHold::SpotTerminates, |w| {
            w.facts().purchase = Fact::Known(Purchase::Spot { terminates: true });
        }),
        case(IdleHold::Protected(Protection::Stop.into()), |w| {
            w.facts().stop_protected = Fact::Known(true);
        }),
        case(IdleHold::Protected(Protection::Termination.into()), |w| {
            w.facts().termination_protected = Fact::Known(true);
        }),
        case(IdleHold::PassiveRole(RoleSign::StandbyOf(text("b")).into()), |w| {
            w.facts().replica = Fact::Known(Some(RoleSign::StandbyOf("b".to_owned()).into()));
        }),
        case(IdleHold::PassiveRole(RoleSign::Name(text("bastion-1")).into()), |w| {
            w.resource("a").name = "bastion-1".to_owned();
        }),
        case(IdleHold::Alarm(text("down")), |w| {
            w.facts().alarms = Fact::Known(vec!["down".to_owned()]);
        }),
        case(IdleHold::OwnHost, |w| w.policy.own_host = Some("i-a".to_owned())),
        case(IdleHold::Unread(UnknownFact { fact: FactName::Alarms, fault: None }.into()), |w| {
            w.facts().alarms = Fact::Unasked;
        }),
        case(IdleHold::SavesNothing(NoSaving::Subscription.into()), |w| {
            w.facts().saves = Fact::Known(Saves::No(NoSaving::Subscription.into()));
        }),
        case(IdleHold::CannotHibernate, |w| w.rule().stop = StopPreference::Hibernate),
        case(IdleHold::KeyUnusable { key: text("key/1"), state: text("Disabled") }, |w| {
            let (key, state) = ("key/1".to_owned(), "Disabled".to_owned());
            w.facts().comeback.keys = Fact::Known(DiskKeys::Unusable { key, state });
        }),
        case(IdleHold::RestartRisk(risk), |w| {
            w.resource("a").class = Some("g5.large".to_owned());
        }),
        case(
            IdleHold::Exempt { why: ExemptReason::Asked { by: text("ann") }.into(), until },
            move |w| {
                w.ask(Ask::Exempt { resource: "i-a".to_owned(), until });
            },
        ),
        case(IdleHold::Woken { by: text("ann"), until }, move |w| {
            w.ask(Ask::Wake { resource: "i-a".to_owned(), until });
        }),
        case(IdleHold::ObserveMode, |w| w.policy.mode = Mode::Observe),
        case(IdleHold::RuleObserves, |w| w.rule().mode = RuleMode::Observe),
        case(IdleHold::InShadow, |w| w.rule().mode = RuleMode::Shadow),
        case(IdleHold::FirstDays { left: Seconds(7 * 86_400 - EVERY.0) }, |w| {
            w.rule().observe_first = Seconds::days(7);
            w.memory.rules.get_mut(&name("idle")).unwrap().since_watched = Seconds::days(30);
        }),
        case(IdleHold::InGrace { left: Seconds::hours(1) }, |_| ()),
        case(IdleHold::KillSwitch(thrown()), |w| {
            w.snapshot.kill_switch = KillSwitch::Thrown { why: thrown() };
        }),
        case(IdleHold::Frozen { name: text("sale"), until }, move |w| {
            w.snapshot.freezes.push(ActiveFreeze {
                name: "sale".to_owned(),
                scope: FreezeScope::Decreases,
                services: Vec::new(),
                until,
            });
        }),
        case(IdleHold::DiskFull, |w| w.snapshot.disk = Disk::ReserveOnly),
        case(IdleHold::NotSteady { since: START, until: START + Seconds::minutes(15) }, |w| {
            w.memory.watch.looked_at = Some(START - Seconds::days(1));
        }),
        case(IdleHold::Surge { matched: 100, before: 1 }, |w| {
            w.snapshot.matched.insert(name("idle"), 100);
        }),
        case(IdleHold::ScheduledUp { schedule: name("office") }, |w| {
            w.seen("a").schedule = Some(office());
        }),
        case(
            IdleHold::BlastRadius {
                scope: Scope::Account { provider: sim(), account: one() }.into(),
                done: 0,
                cap: 0,
                until: START + Seconds::hours(1),
            },
            |w| {
                w.rule().grace = Seconds::ZERO;
                w.policy.account_radius = Radius { hour: cap(0), day: cap(0) };
            },
        ),
        case(
            IdleHold::AboveDayCap {
                due: 2,
                cap: 1,
                scope: Scope::Rule { rule: name("idle"), provider: sim(), account: one() }.into(),
            },
            |w| {
                w.rule().grace = Seconds::ZERO;
                w.rule().radius = Radius { hour: cap(1), day: cap(1) };
                w.add(machine("b"));
            },
        ),
    ]
}

fn no_zone() -> ScheduleFault {
    ScheduleFault::Hours(TagFault::UnknownZone { name: "nowhere".to_owned() })
}

/// The same of a machine on a schedule, at noon within its hours.
fn schedule_table() -> Vec<(Change, IdleHold)> {
    fn case(hold: IdleHold, change: impl Fn(&mut World) + 'static) -> (Change, IdleHold) {
        (Box::new(change), hold)
    }
    fn at_night(world: &mut World) {
        world.wait(Seconds::hours(8));
        world.memory.watch.looked_at = Some(world.now() - EVERY);
    }
    let text = str::to_owned;
    let evening = START + Seconds::hours(7);
    vec![
        case(IdleHold::AsScheduled, |_| ()),
        case(IdleHold::ScheduleUnread(ScheduleGap::Fault(no_zone()).into()), |w| {
            w.seen("a").schedule.as_mut().unwrap().fault = Some(no_zone().into());
        }),
        // As an old record tells it.
        case(IdleHold::ScheduleUnread(OrTold::Told(text("no zone"))), |w| {
            let told = OrTold::Told("no zone".to_owned());
            w.seen("a").schedule.as_mut().unwrap().fault = Some(told);
        }),
        case(IdleHold::OptedOut, |w| {
            w.seen("a").schedule.as_mut().unwrap().opted_out = true;
        }),
        case(IdleHold::OneSided, |w| {
            w.schedule().kind = ScheduleKind::StartOnly;
            at_night(w);
        }),
        case(IdleHold::ByHand { up: false, until: evening }, |w| w.down("a")),
        case(IdleHold::NotIdleNow(NotIdle::NoSamples.into()), |w| {
            w.seen("a").last_hour = Some(Err(NotIdle::NoSamples.into()));
            at_night(w);
        }),
        case(IdleHold::WaitsFor { resource: text("db") }, |w| {
            w.schedule().order_tag = Some("order".to_owned());
            w.add(machine("db"));
            w.on_schedule("db", ScheduleView { order: 1, ..office() });
            at_night(w);
        }),
    ]
}

#[test]
fn every_reason_has_a_story() {
    let mut told = BTreeSet::new();
    let idle = idle_table().into_iter().map(|case| (World::new(), case));
    let scheduled = schedule_table().into_iter().map(|case| (World::scheduled(), case));
    for (mut world, (change, hold)) in idle.chain(scheduled) {
        change(&mut world);
        world.look();
        let holds = world.holds();
        assert!(holds.contains(&hold), "expected {hold:?}, found {holds:?}");
        let of_a = |action: &PowerAction| action.resource.id == "i-a";
        assert!(!world.plan.actions.iter().any(of_a), "{hold:?}");
        assert!(!hold.to_string().is_empty());
        told.insert(number(&hold));
    }
    // These take more than one look, and have their stories below.
    told.extend([stopped_once(), gone(), open(), retried(), approved()].iter().map(number));
    assert_eq!(told, (0..REASONS).collect());
}

/// Protections take a call for each machine, which is made once its owner allows a stop.
#[test]
fn a_permission_that_is_missing_comes_before_what_was_not_asked_without_it() {
    let mut world = World::new();
    world.resource("a").tags.clear();
    world.facts().stop_protected = Fact::Unasked;
    world.look();
    let tag = "neap:managed=true".to_owned();
    let unasked =
        IdleHold::Unread(UnknownFact { fact: FactName::StopProtection, fault: None }.into());
    assert_eq!(world.holds(), [IdleHold::NotOptedIn { tag }, unasked]);
}

fn stopped_once() -> IdleHold {
    let world = World::stopped();
    let at = world.care("a").stopped.unwrap().at;
    let hold = IdleHold::AlreadyStopped { at };
    assert_eq!((world.holds(), world.stage()), (vec![hold.clone()], Stage::Stopped { at }));
    hold
}

fn gone() -> IdleHold {
    let mut world = World::new();
    world.look();
    let seen = std::mem::take(&mut world.snapshot.seen);
    // While nobody can list, nothing is forgotten.
    let of = id("a");
    world.snapshot.unread = vec![Unread {
        provider: of.provider,
        account: of.account,
        region: of.region,
        kind: of.kind,
        fault: fault(FaultKind::TimedOut),
    }];
    world.wait(EVERY).look();
    assert!(world.care("a").mark.is_some() && world.plan.findings.is_empty());
    world.snapshot.unread.clear();
    world.wait(EVERY).look();
    assert_eq!(world.holds(), [IdleHold::Gone]);
    // Made anew under its id it starts afresh.
    world.snapshot.seen = seen;
    world.wait(EVERY).look();
    assert_eq!(world.holds(), [IdleHold::InGrace { left: Seconds::hours(1) }]);
    IdleHold::Gone
}

fn open() -> IdleHold {
    let mut world = World::new();
    assert!(world.run(Seconds::hours(2)));
    let since = world.now();
    world.answer(&PowerResult::Unconfirmed { effect_seen: None });
    world.wait(EVERY).look();
    let hold = IdleHold::OrderOpen { since };
    assert_eq!(world.holds(), std::slice::from_ref(&hold));
    hold
}

fn retried() -> IdleHold {
    let mut world = World::kept_down();
    world.answer(&PowerResult::Failed { fault: fault(FaultKind::OutOfCapacity) });
    world.look();
    let at = world.now() + Seconds(30);
    let why = StartFailure::Fault(Box::new(fault(FaultKind::OutOfCapacity)));
    let hold = IdleHold::RetryLater { at, why: why.into() };
    assert_eq!(world.holds(), std::slice::from_ref(&hold));
    hold
}

fn approved() -> IdleHold {
    let mut world = World::new();
    world.rule().mode = RuleMode::Approve;
    world.look();
    let id = world.care("a").mark.unwrap().approval.id;
    let hold = IdleHold::NeedsApproval { id, why: ApprovalReason::Rule.into() };
    assert_eq!(world.holds(), [IdleHold::InGrace { left: Seconds::hours(1) }, hold.clone()]);
    hold
}
