//! What the simulated estate promises: the same seed gives the same fleet, what is told agrees
//! with what is true, and state outlives the program.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::metric::Sample;
use fleet::money::PriceQuery;
use fleet::resource::{Fact, Power, ResourceId, ResourceKind, Subject};
use fleet::stop::StopMode;
use fleet::usage::{Signal, UsageQuery};
use fleet::{Fault, FaultKind, ProviderName, Region, Seconds, Timestamp};

use super::super::clock::HandClock;
use super::super::scenario::{Calls, Scenario, Shortage, Trouble, TroubleSpec};
use super::super::world::World;
use super::*;
use crate::{Deadline, Estate, Now, PowerOrder, Provider};

/// 2026-03-02T00:00:00Z, a Monday.
const MONDAY: Timestamp = Timestamp(1_772_409_600);
const HOUR: Seconds = Seconds::hours(1);
const DOWN: PowerOrder = PowerOrder::Stop(StopMode::Plain);

fn provider() -> ProviderName {
    ProviderName::new("sim").unwrap()
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_millis(50))
}

fn world(seed: u64, estate: EstateSpec) -> (World, Arc<HandClock>) {
    scenario(seed, Scenario { estate, ..Scenario::default() })
}

fn scenario(seed: u64, scenario: Scenario) -> (World, Arc<HandClock>) {
    let clock = HandClock::at(MONDAY);
    let now = Arc::clone(&clock) as Arc<dyn Now>;
    (World::new(&provider(), seed, MONDAY, &scenario, now), clock)
}

fn estate(world: &World) -> &dyn Estate {
    world.estate().unwrap()
}

/// One machine of a profile.
fn one(profile: Profile) -> (World, Arc<HandClock>, ResourceId) {
    let spec = machine(&provider(), profile, "i-1", MONDAY);
    let id = spec.resource.id.clone();
    let (world, clock) = world(1, EstateSpec { machines: vec![spec], ..EstateSpec::default() });
    (world, clock, id)
}

async fn order(world: &World, id: &ResourceId, order: PowerOrder) -> Result<(), Fault> {
    estate(world).switch(id).order(order, "1/a", soon()).await
}

async fn told(
    world: &World,
    id: &ResourceId,
    signal: Signal,
    (from, to): (Timestamp, Timestamp),
    step: Seconds,
) -> Vec<Sample> {
    let query = UsageQuery { resource: id.clone(), signal, sampled_every: Seconds(300) };
    estate(world).usage(&[query], from, to, step, soon()).await.remove(0).unwrap()
}

/// Everything that a fleet lists and tells over a day.
async fn seen(world: &World) -> String {
    let mut text = String::new();
    for listing in estate(world).resources(&ResourceKind::ALL, soon()).await {
        let Ok(resources) = &listing.resources else {
            text.push_str(&format!("{listing:?}"));
            continue;
        };
        for resource in resources {
            text.push_str(&format!("{resource:?}\n"));
            let span = (MONDAY - Seconds::days(1), MONDAY);
            let query = UsageQuery {
                resource: resource.id.clone(),
                signal: Signal::Cpu,
                sampled_every: Seconds(300),
            };
            let told = estate(world).usage(&[query], span.0, span.1, HOUR, soon()).await;
            text.push_str(&format!("{told:?}\n"));
        }
    }
    text
}

#[tokio::test]
async fn the_same_seed_gives_the_same_fleet_and_another_seed_another() {
    let rough = EstateSpec { faults: EstateFaults::rough(), ..EstateSpec::fleet(60) };
    let first = seen(&world(7, rough.clone()).0).await;
    assert_eq!(first, seen(&world(7, rough.clone()).0).await);
    assert_ne!(first, seen(&world(8, rough).0).await);
}

#[tokio::test]
async fn a_large_fleet_has_every_profile_and_ids_of_its_own() {
    let (world, _) = world(3, EstateSpec::fleet(2000));
    let ids = world.machines();
    let profiles: BTreeSet<Profile> = ids.iter().filter_map(|id| world.profile(id)).collect();
    assert_eq!(profiles, BTreeSet::from(Profile::ALL));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 2500);
    let power = ids.iter().filter(|id| id.kind.has_power()).count();
    assert_eq!(power, 2000);
    let listings = estate(&world).resources(&ResourceKind::ALL, soon()).await;
    let listed: usize = listings.iter().map(|l| l.resources.as_ref().unwrap().len()).sum();
    assert_eq!(listed, 2500);
}

#[tokio::test]
async fn a_listing_leaves_out_what_takes_a_call_each() {
    let (world, _) = world(1, EstateSpec::fleet(20));
    let listing = estate(&world).resources(&[ResourceKind::Instance], soon()).await.remove(0);
    let listed = listing.resources.unwrap().remove(0);
    let Subject::Machine(facts) = &listed.subject else { panic!("{listed:?}") };
    assert_eq!(facts.stop_protected, Fact::Unasked);
    let fresh = estate(&world).resource(&listed.id, soon()).await.unwrap();
    let Subject::Machine(facts) = &fresh.subject else { panic!("{fresh:?}") };
    assert_eq!(facts.stop_protected, Fact::Known(false));
    assert_eq!(estate(&world).details(&listed, soon()).await.unwrap(), fresh);
}

#[tokio::test]
async fn work_shows_in_some_signal_and_rest_in_none() {
    let limits = [
        (Signal::Cpu, 5.0),
        (Signal::NetworkIn, 60.0),
        (Signal::NetworkOut, 60.0),
        (Signal::DiskOps, 1.0),
        (Signal::Memory, 25.0),
        (Signal::Connections, 0.0),
        (Signal::Gpu, 1.0),
    ];
    for profile in Profile::ALL.into_iter().filter(|profile| profile.kind().has_power()) {
        let (world, clock, id) = one(profile);
        clock.advance(Seconds::days(1));
        let from = MONDAY - Seconds::days(35);
        let mut shown = BTreeSet::new();
        for (signal, limit) in limits {
            let samples = told(&world, &id, signal, (from, MONDAY), HOUR).await;
            let published = world.machine(&id).unwrap().signals.contains(&signal);
            assert_eq!(samples.len(), if published { 35 * 24 } else { 0 }, "{profile:?} {signal}");
            shown.extend(samples.iter().filter(|s| s.value > limit).map(|s| s.start));
        }
        let hours = (0..35 * 24).map(|hour| from + Seconds::hours(hour));
        let used: BTreeSet<Timestamp> = hours.filter(|at| world.in_use_at(&id, *at)).collect();
        match profile {
            // Starvation shows in its credits, and this work in nothing at all.
            Profile::Starved => assert!(shown.is_empty() && used.len() == 840),
            Profile::Unmeasured => assert!(shown.is_empty() && used.len() == 35),
            _ => assert_eq!(shown, used, "{profile:?}"),
        }
        assert_eq!(world.last_use(&id, from, MONDAY - HOUR), used.last().copied());
    }
}

#[tokio::test]
async fn an_hour_is_the_worst_of_its_five_minutes() {
    for (profile, signal) in
        [(Profile::RandomBusy, Signal::Cpu), (Profile::Starved, Signal::CreditsLeft)]
    {
        let (world, clock, id) = one(profile);
        clock.advance(Seconds::days(1));
        let span = (MONDAY - Seconds::days(1), MONDAY);
        let fine = told(&world, &id, signal, span, Seconds(300)).await;
        let hours = told(&world, &id, signal, span, HOUR).await;
        assert_eq!((fine.len(), hours.len()), (288, 24));
        for (hour, of_hour) in hours.iter().zip(fine.chunks(12)) {
            let worst = of_hour.iter().map(|s| s.value).reduce(|a, b| signal.fold(a, b));
            assert_eq!(Some(hour.value), worst);
        }
    }
}

#[tokio::test]
async fn a_stopped_machine_tells_nothing_and_comes_back_after_its_boot() {
    let (world, clock, id) = one(Profile::Cache);
    order(&world, &id, DOWN).await.unwrap();
    assert_eq!(world.machine(&id).unwrap().power, Power::Stopping);
    clock.advance(Seconds::minutes(1));
    assert_eq!(world.machine(&id).unwrap().power, Power::Stopped { charged: Some(false) });
    clock.advance(Seconds::hours(5));
    let since = MONDAY;
    assert_eq!(told(&world, &id, Signal::Cpu, (since, since + HOUR), HOUR).await, []);
    order(&world, &id, PowerOrder::Start).await.unwrap();
    let starting = world.machine(&id).unwrap();
    assert_eq!((starting.power, starting.started_at), (Power::Starting, Some(clock.now())));
    clock.advance(Seconds::minutes(2));
    assert_eq!(world.machine(&id).unwrap().power, Power::Running);
    assert!(world.in_use_at(&id, clock.now()) && !world.in_use_at(&id, since + HOUR));
    let ups: Vec<bool> = world.power_records(&id).iter().map(|record| record.up).collect();
    assert_eq!(ups, [false, true]);
}

#[tokio::test]
async fn a_stop_that_saves_nothing_is_charged_on_and_protection_refuses() {
    let (world, clock, id) = one(Profile::Subscription);
    order(&world, &id, DOWN).await.unwrap();
    clock.advance(Seconds::minutes(1));
    assert_eq!(world.machine(&id).unwrap().power, Power::Stopped { charged: Some(true) });
    let (world, _, id) = one(Profile::AlwaysIdle);
    world.act_on(&id, &MachineAct::Protect(true)).unwrap();
    assert_eq!(order(&world, &id, DOWN).await.unwrap_err().kind, FaultKind::Refused);
    let rehearsed = estate(&world).switch(&id).rehearse(DOWN, soon()).await;
    assert_eq!(rehearsed.unwrap_err().kind, FaultKind::Refused);
}

#[tokio::test]
async fn people_act_at_their_time_and_ended_machines_are_gone() {
    let spec = machine(&provider(), Profile::AlwaysIdle, "i-1", MONDAY);
    let id = spec.resource.id.clone();
    let act = |hours, act| (MONDAY + Seconds::hours(hours), "i-1".to_owned(), act);
    let acts = vec![
        act(1, MachineAct::Stop { charged: true }),
        act(3, MachineAct::Start),
        act(4, MachineAct::Tag("neap:protect".to_owned(), Some("yes".to_owned()))),
        act(9, MachineAct::Terminate),
    ];
    let spec = EstateSpec { machines: vec![spec], acts, ..EstateSpec::default() };
    let (world, clock) = world(1, spec);
    clock.advance(Seconds::hours(2));
    assert_eq!(world.machine(&id).unwrap().power, Power::Stopped { charged: Some(true) });
    clock.advance(Seconds::hours(3));
    let back = world.machine(&id).unwrap();
    assert_eq!(back.started_at, Some(MONDAY + Seconds::hours(3)));
    assert_eq!(back.tags["neap:protect"], "yes");
    clock.advance(Seconds::hours(5));
    assert_eq!(world.machine(&id), None);
    let gone = estate(&world).resource(&id, soon()).await.unwrap_err();
    assert_eq!(gone.kind, FaultKind::Missing);
    assert_eq!(order(&world, &id, DOWN).await.unwrap_err().kind, FaultKind::Missing);
}

#[tokio::test]
async fn lost_answers_and_lost_orders_look_the_same_and_are_not() {
    for (faults, effect) in [
        (EstateFaults { answers_lost: 1, ..EstateFaults::default() }, true),
        (EstateFaults { orders_lost: 1, ..EstateFaults::default() }, false),
    ] {
        let spec = machine(&provider(), Profile::AlwaysIdle, "i-1", MONDAY);
        let id = spec.resource.id.clone();
        let (world, _) =
            world(1, EstateSpec { machines: vec![spec], faults, ..Default::default() });
        assert_eq!(order(&world, &id, DOWN).await.unwrap_err().kind, FaultKind::Unconfirmed);
        assert_eq!(world.machine(&id).unwrap().power != Power::Running, effect);
    }
}

#[tokio::test]
async fn a_shortage_keeps_machines_down_and_troubles_meet_the_estate() {
    let mut spec = machine(&provider(), Profile::AlwaysIdle, "i-1", MONDAY);
    spec.resource.power = Power::Stopped { charged: Some(false) };
    let id = spec.resource.id.clone();
    let shortage = Shortage {
        group: None,
        zone: Some("sim-1a".to_owned()),
        from: MONDAY,
        until: MONDAY + HOUR,
    };
    let estate_spec = EstateSpec { machines: vec![spec], ..EstateSpec::default() };
    let (world, clock) = scenario(
        1,
        Scenario { shortages: vec![shortage], estate: estate_spec, ..Scenario::default() },
    );
    let up = PowerOrder::Start;
    assert_eq!(order(&world, &id, up).await.unwrap_err().kind, FaultKind::OutOfCapacity);
    clock.advance(HOUR);
    world.trouble(TroubleSpec::everywhere(Trouble::AnswerLost, Calls::Writes), Some(1));
    assert_eq!(order(&world, &id, up).await.unwrap_err().kind, FaultKind::Unconfirmed);
    assert_eq!(world.machine(&id).unwrap().power, Power::Starting);
    world.trouble(TroubleSpec::everywhere(Trouble::Slow, Calls::Inventory), None);
    let listing = estate(&world).resources(&[ResourceKind::Instance], soon()).await.remove(0);
    assert_eq!(listing.resources.unwrap_err().kind, FaultKind::TimedOut);
}

#[tokio::test]
async fn lost_weeks_leave_holes_that_stay() {
    let spec = machine(&provider(), Profile::RandomBusy, "i-1", MONDAY);
    let id = spec.resource.id.clone();
    let faults = EstateFaults { usage_gaps: 1, ..EstateFaults::default() };
    let (world, clock) =
        world(1, EstateSpec { machines: vec![spec], faults, ..Default::default() });
    let span = (MONDAY - Seconds::days(35), MONDAY);
    clock.advance(Seconds::days(1));
    let first = told(&world, &id, Signal::Cpu, span, HOUR).await;
    assert!(first.len() < 835, "{}", first.len());
    clock.advance(Seconds::days(5));
    assert_eq!(told(&world, &id, Signal::Cpu, span, HOUR).await, first);
}

#[tokio::test]
async fn state_outlives_the_program() {
    let (before, clock) = world(5, EstateSpec::fleet(50));
    let id = before.machines().into_iter().find(|id| id.kind == ResourceKind::Instance).unwrap();
    clock.advance(Seconds::minutes(7));
    order(&before, &id, DOWN).await.unwrap();
    estate(&before).switch(&id).tag("neap:marked", Some("x"), soon()).await.unwrap();
    let (after, clock) = world(5, EstateSpec::fleet(50));
    after.restore(&before.save()).unwrap();
    assert_eq!(after.last_seen(), MONDAY + Seconds::minutes(7));
    clock.set(MONDAY + Seconds::minutes(10));
    let resource = after.machine(&id).unwrap();
    assert_eq!(resource.power, Power::Stopped { charged: Some(false) });
    assert_eq!(resource.tags["neap:marked"], "x");
    let (other, _) = world(5, EstateSpec::default());
    assert!(other.restore(&before.save()).is_err());
}

#[tokio::test]
async fn prices_are_in_the_currency_of_the_region_or_unknown() {
    let (world, _, id) = one(Profile::AlwaysIdle);
    let query = |region: &str, class: &str| PriceQuery {
        provider: provider(),
        account: id.account.clone(),
        region: Region::new(region).unwrap(),
        kind: ResourceKind::Instance,
        class: class.to_owned(),
        platform: None,
    };
    let queries =
        [query("sim-1", "sim.large"), query("sim-cn-1", "sim.large"), query("sim-1", "sim.odd")];
    let answers = estate(&world).prices(&queries, soon()).await;
    let told: Vec<Option<(u64, String)>> = answers
        .into_iter()
        .map(|answer| answer.unwrap().map(|p| (p.hourly_micro, p.currency.to_string())))
        .collect();
    let some = |micro, currency: &str| Some((micro, currency.to_owned()));
    assert_eq!(told, [some(100_000, "USD"), some(700_000, "CNY"), None]);
}
