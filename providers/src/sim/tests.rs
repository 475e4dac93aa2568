//! What the simulated cloud promises: the shared contract, and that chance, lateness and boots
//! depend on seed, time and orders alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet::Change;
use fleet::group::{
    Activity, ActivityStatus, Cause, GroupState, Lifecycle, MembersServing, Process,
};
use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{
    AccountId, Fault, FaultKind, GroupId, GroupRef, Place, ProviderName, Region, Seconds, Step,
    Timestamp, Units,
};

use super::*;
use crate::contract::{self, Bench, Misbehaviour, Size, plain_query};
use crate::{Deadline, GroupWriter, Inventory, Metrics, Now, Provider, Retention, Samples};

/// 2026-03-02T00:00:00Z, a Monday.
const MONDAY: Timestamp = Timestamp(1_772_409_600);

fn provider() -> ProviderName {
    ProviderName::new("sim").unwrap()
}

fn named(name: &str) -> GroupRef {
    GroupRef {
        provider: provider(),
        account: AccountId::new(ACCOUNT).unwrap(),
        region: Region::new(REGION).unwrap(),
        name: name.to_owned(),
    }
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(5))
}

fn world(seed: u64, scenario: &Scenario) -> (World, Arc<HandClock>) {
    let clock = HandClock::at(MONDAY);
    let now = Arc::clone(&clock) as Arc<dyn Now>;
    (World::new(&provider(), seed, MONDAY, scenario, now), clock)
}

struct SimBench {
    world: World,
    clock: Arc<HandClock>,
}

#[async_trait]
impl Bench for SimBench {
    fn provider(&self) -> &dyn Provider {
        &self.world
    }
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    async fn advance(&self, span: Seconds) {
        self.clock.advance(span);
    }
    fn reference(&self, place: usize, name: &str) -> GroupRef {
        let region = Region::new(["sim-1", "sim-2"][place]).unwrap();
        GroupRef { region, ..named(name) }
    }
    async fn make_group(&self, group: &GroupRef, size: Size) {
        self.world.add_group(&GroupSpec {
            region: group.region.clone(),
            min: size.min,
            max: size.max,
            desired: Some(size.desired),
            ..plain_group(&group.name)
        });
    }
    async fn delete_group(&self, group: &GroupRef) {
        self.world.act(group, &Act::Delete).unwrap();
    }
    async fn somebody_sets_desired(&self, group: &GroupRef, desired: u32) {
        self.world.act(group, &Act::Desired(desired)).unwrap();
    }
    fn metric(&self, name: &str) -> MetricQuery {
        plain_query(&named("any"), "Contract", "Value", name)
    }
    async fn add_value(&self, metric: &MetricQuery, start: Timestamp, value: f64) {
        self.world.record(metric, &[Sample { start, value }]);
    }
    async fn misbehave(&self, how: Misbehaviour) {
        let mut troubles = vec![];
        match how {
            Misbehaviour::ReadsThrottled => troubles.push((Trouble::Throttled, Calls::Inventory)),
            Misbehaviour::WritesThrottled => troubles.push((Trouble::Throttled, Calls::Writes)),
            Misbehaviour::ReadsDenied => troubles.push((Trouble::Denied, Calls::Inventory)),
            Misbehaviour::WritesDenied => troubles.push((Trouble::Denied, Calls::Writes)),
            Misbehaviour::Unreachable => troubles.push((Trouble::Unreachable, Calls::All)),
            Misbehaviour::ReadsSlow => {
                troubles.push((Trouble::Slow, Calls::Inventory));
                troubles.push((Trouble::Slow, Calls::Metrics));
            }
            Misbehaviour::ReadsSlowIn(place) => {
                let region = Some(self.reference(place, "any").region);
                let slow = TroubleSpec::everywhere(Trouble::Slow, Calls::Inventory);
                self.world.trouble(TroubleSpec { region, ..slow }, None);
            }
            Misbehaviour::WritesSlow => troubles.push((Trouble::Slow, Calls::Writes)),
            Misbehaviour::AnswersLost => troubles.push((Trouble::AnswerLost, Calls::Writes)),
        }
        for (trouble, calls) in troubles {
            self.world.trouble(TroubleSpec::everywhere(trouble, calls), None);
        }
    }
    async fn calm(&self) {
        self.world.calm();
    }
    fn impatience(&self) -> Duration {
        Duration::from_millis(20)
    }
}

#[tokio::test]
async fn the_simulated_cloud_keeps_the_contract() {
    let (world, clock) = world(1, &Scenario::default());
    contract::run_all(&SimBench { world, clock }).await;
}

/// How a cloud may lie.
#[derive(Clone, Copy, Debug)]
enum Lie {
    OrderOfAnswers,
    OrderOfSamples,
    EndOfInterval,
    WriteUnsent,
    RefusalIgnored,
}

/// The simulated cloud, lying.
struct Liar {
    bench: SimBench,
    lie: Lie,
}

#[async_trait]
impl Inventory for Liar {
    async fn groups(
        &self,
        wanted: &[GroupRef],
        deadline: Deadline,
    ) -> Vec<Result<GroupState, Fault>> {
        let mut answers = self.bench.world.groups(wanted, deadline).await;
        if matches!(self.lie, Lie::OrderOfAnswers) {
            answers.reverse();
        }
        answers
    }
    async fn group(&self, id: &GroupId, deadline: Deadline) -> Result<GroupState, Fault> {
        self.bench.world.group(id, deadline).await
    }
    fn places(&self) -> Vec<Place> {
        self.bench.world.places()
    }
    async fn discover(&self, place: &Place, deadline: Deadline) -> Result<Vec<GroupState>, Fault> {
        self.bench.world.discover(place, deadline).await
    }
    async fn activities(
        &self,
        id: &GroupId,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Activity>, Fault> {
        self.bench.world.activities(id, since, deadline).await
    }
}

#[async_trait]
impl Metrics for Liar {
    async fn readings(
        &self,
        queries: &[MetricQuery],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Vec<Result<Samples, Fault>> {
        let mut answers = self.bench.world.readings(queries, from, to, deadline).await;
        for samples in answers.iter_mut().flatten().map(|samples| &mut samples.all) {
            match self.lie {
                Lie::OrderOfSamples => samples.reverse(),
                Lie::EndOfInterval => {
                    samples.iter_mut().for_each(|s| s.start = s.start + Seconds(60));
                }
                _ => {}
            }
        }
        answers
    }
    fn keeps(&self, query: &MetricQuery) -> Retention {
        self.bench.world.keeps(query)
    }
    fn metrics_read(&self) -> u64 {
        self.bench.world.metrics_read()
    }
}

struct LyingWriter(Box<dyn GroupWriter>, Lie);

#[async_trait]
impl GroupWriter for LyingWriter {
    fn group(&self) -> &GroupId {
        self.0.group()
    }
    async fn set(&self, change: Change, decision: &str, deadline: Deadline) -> Result<(), Fault> {
        match self.1 {
            Lie::WriteUnsent => Ok(()),
            Lie::RefusalIgnored => {
                let answer = self.0.set(change, decision, deadline).await;
                answer.or_else(
                    |fault| if fault.kind == FaultKind::Refused { Ok(()) } else { Err(fault) },
                )
            }
            _ => self.0.set(change, decision, deadline).await,
        }
    }
}

impl Provider for Liar {
    fn inventory(&self) -> &dyn Inventory {
        self
    }
    fn metrics(&self) -> &dyn Metrics {
        self
    }
    fn writer(&self, group: &GroupId) -> Box<dyn GroupWriter> {
        Box::new(LyingWriter(self.bench.world.writer(group), self.lie))
    }
}

#[async_trait]
impl Bench for Liar {
    fn provider(&self) -> &dyn Provider {
        self
    }
    fn now(&self) -> Timestamp {
        self.bench.now()
    }
    async fn advance(&self, span: Seconds) {
        self.bench.advance(span).await;
    }
    fn reference(&self, place: usize, name: &str) -> GroupRef {
        self.bench.reference(place, name)
    }
    async fn make_group(&self, group: &GroupRef, size: Size) {
        self.bench.make_group(group, size).await;
    }
    async fn delete_group(&self, group: &GroupRef) {
        self.bench.delete_group(group).await;
    }
    async fn somebody_sets_desired(&self, group: &GroupRef, desired: u32) {
        self.bench.somebody_sets_desired(group, desired).await;
    }
    fn metric(&self, name: &str) -> MetricQuery {
        self.bench.metric(name)
    }
    async fn add_value(&self, metric: &MetricQuery, start: Timestamp, value: f64) {
        self.bench.add_value(metric, start, value).await;
    }
    async fn misbehave(&self, how: Misbehaviour) {
        self.bench.misbehave(how).await;
    }
    async fn calm(&self) {
        self.bench.calm().await;
    }
    fn impatience(&self) -> Duration {
        self.bench.impatience()
    }
}

/// A contract that nobody can break promises nothing.
#[tokio::test]
async fn the_contract_finds_out_a_liar() {
    let mut found = Vec::new();
    let lies = [
        Lie::OrderOfAnswers,
        Lie::OrderOfSamples,
        Lie::EndOfInterval,
        Lie::WriteUnsent,
        Lie::RefusalIgnored,
    ];
    for lie in lies {
        let mut broken = Vec::new();
        for case in contract::cases() {
            let (world, clock) = world(1, &Scenario::default());
            let liar = Liar { bench: SimBench { world, clock }, lie };
            let run = tokio::spawn(async move { (case.run)(&liar).await });
            if run.await.is_err() {
                broken.push(case.name);
            }
        }
        found.push(format!("{lie:?}: {}", broken.join(", ")));
    }
    insta::assert_snapshot!(found.join("\n"), @r"
    OrderOfAnswers: answers_come_in_the_order_asked, a_slow_place_spoils_its_own_answers_alone
    OrderOfSamples: samples_are_stamped_at_the_start_of_their_interval, samples_lie_within_what_was_asked, a_gap_is_absent
    EndOfInterval: samples_are_stamped_at_the_start_of_their_interval, samples_lie_within_what_was_asked, a_gap_is_absent, a_corrected_sample_is_read_anew
    WriteUnsent: desired_is_set_and_read_back, the_minimum_is_set_and_read_back, out_of_bounds_is_refused_and_changes_nothing, a_write_handle_writes_its_own_group_alone, a_lost_answer_is_unconfirmed_and_the_effect_is_seen, a_slow_write_is_unconfirmed_by_the_deadline, a_throttled_write_changes_nothing, a_denied_write_changes_nothing, an_unreachable_cloud_was_not_changed, activities_come_newest_first_with_their_cause
    RefusalIgnored: out_of_bounds_is_refused_and_changes_nothing
    ");
}

async fn state(world: &World, name: &str) -> GroupState {
    world.groups(&[named(name)], soon()).await.remove(0).unwrap()
}

async fn order(world: &World, id: &GroupId, to: u32) {
    let change = Change::Desired { from: Units(0), to: Units(to) };
    world.writer(id).set(change, "test/1", soon()).await.unwrap();
}

fn query(name: &MetricName, statistic: Statistic, period: Step) -> MetricQuery {
    let at = named("any");
    MetricQuery {
        provider: at.provider,
        account: at.account,
        region: at.region,
        namespace: name.namespace.clone(),
        metric: name.metric.clone(),
        statistic,
        dimensions: name.dimensions.clone(),
        period,
        when_missing: WhenMissing::Unknown,
    }
}

/// A machine that is in service before it serves is paid for and carries nothing; where that shows, it
/// is among those that do not serve yet.
#[tokio::test]
async fn machines_may_serve_later_than_they_are_in_service() {
    for shows_serving in [true, false] {
        let (world, clock) = world(7, &Scenario::default());
        world.add_group(&GroupSpec {
            desired: Some(2),
            boot: Seconds(30),
            serves_after: Seconds::minutes(3),
            shows_serving,
            ..plain_group("slow")
        });
        let before = state(&world, "slow").await;
        order(&world, &before.id, 4).await;
        let mut waited = 0;
        for _ in 0..6 {
            clock.advance(Seconds(60));
            let now = state(&world, "slow").await;
            let waits = |i: &&fleet::group::Instance| now.serving.awaits(&i.id);
            let waiting = now.instances.iter().filter(waits).count();
            assert!(waiting == 0 || shows_serving);
            waited += waiting;
            let view = counted(&now);
            assert_eq!(view, (4 - waiting, waiting), "in service and serving, and not yet");
        }
        // Two machines, three looks each.
        assert_eq!(waited, if shows_serving { 6 } else { 0 });
        let told = matches!(before.serving, MembersServing::Told { .. });
        assert_eq!(told, shows_serving);
    }
}

/// Members in service that serve as far as anything tells, and those that do not.
fn counted(state: &GroupState) -> (usize, usize) {
    let in_service = state.instances.iter().filter(|i| i.lifecycle == Lifecycle::InService);
    let (waits, serves): (Vec<_>, Vec<_>) = in_service.partition(|i| state.serving.awaits(&i.id));
    (serves.len(), waits.len())
}

/// Queries of all four metrics of a group's service.
fn queries(scenario: &Scenario, group: &str) -> Vec<MetricQuery> {
    let spec = scenario.groups.iter().find(|spec| spec.name == group).unwrap();
    let work = spec.workload.as_ref().unwrap();
    vec![
        query(&work.requests, Statistic::Sum, Step::MINUTE),
        query(&work.errors, Statistic::Sum, Step::MINUTE),
        query(&work.healthy_hosts, Statistic::Average, Step::MINUTE),
        query(&work.utilisation, Statistic::Average, Step::MINUTE),
    ]
}

async fn read(world: &World, query: &MetricQuery, from: Timestamp, to: Timestamp) -> Vec<Sample> {
    world.samples(std::slice::from_ref(query), from, to, soon()).await.remove(0).unwrap()
}

/// All there is to see of the rough day after it, however it was looked at meanwhile.
async fn rough_day(seed: u64, look_every: u64, backwards: bool) -> String {
    let scenario = Preset::RoughDay.scenario(MONDAY);
    let (world, clock) = world(seed, &scenario);
    let mut names = vec!["checkout-asg", "search-asg", "render-asg", "payments-nodes"];
    if backwards {
        names.reverse();
    }
    let id = state(&world, "checkout-asg").await.id;
    let orders = [(4 * 3600, 20), (8 * 3600 + 600, 40), (22 * 3600, 9)];
    for second in (60..=86_400).step_by(60) {
        clock.set(MONDAY + Seconds(second));
        if second % look_every == 0 {
            for name in &names {
                let _seen = world.groups(&[named(name)], soon()).await;
            }
        }
        for (_, to) in orders.iter().filter(|(at, _)| *at == second) {
            order(&world, &id, *to).await;
        }
    }
    names.sort_unstable();
    let mut seen = String::new();
    for name in names {
        seen.push_str(&format!("{:?}\n", state(&world, name).await));
        for query in queries(&scenario, name) {
            let samples = read(&world, &query, MONDAY, MONDAY + Seconds::days(1)).await;
            seen.push_str(&format!("{samples:?}\n"));
        }
    }
    format!("{seen}{:?}", world.ledger())
}

#[tokio::test]
async fn how_often_and_in_which_order_one_looks_changes_nothing() {
    let often = rough_day(5, 60, false).await;
    assert_eq!(often, rough_day(5, 3540, true).await);
    assert_ne!(often, rough_day(6, 3540, true).await, "another seed is another day");
}

#[tokio::test]
async fn an_order_is_in_service_after_its_boot_and_not_before() {
    let scenario = Scenario {
        groups: vec![GroupSpec {
            desired: Some(2),
            boot: Seconds(200),
            zones: vec!["a".to_owned(), "b".to_owned()],
            ..plain_group("web")
        }],
        ..Scenario::default()
    };
    let (world, clock) = world(1, &scenario);
    let id = state(&world, "web").await.id;
    order(&world, &id, 12).await;
    let seen = state(&world, "web").await;
    assert_eq!((seen.in_service(), seen.pending()), (Units(2), Units(10)));
    clock.advance(Seconds(159));
    assert_eq!(state(&world, "web").await.in_service(), Units(2), "0.8 of the boot time at least");
    clock.advance(Seconds(162));
    let seen = state(&world, "web").await;
    assert_eq!(seen.in_service(), Units(12), "1.6 of the boot time at most");
    let in_a = seen.instances.iter().filter(|i| i.zone.as_deref() == Some("a")).count();
    assert_eq!(in_a, 6, "spread over the zones");
    let mut boots: Vec<u64> =
        (seen.activities.iter()).map(|a| a.ended_at.unwrap().since(a.started_at).0).collect();
    boots.sort_unstable();
    boots.dedup();
    assert!(boots.len() > 5, "boots take their own time: {boots:?}");
    let ledger = world.ledger()["web"].clone();
    assert_eq!(ledger.paid_unit_seconds, 12 * 321, "paid from the order on");
}

#[tokio::test]
async fn weights_count_units_not_instances() {
    let spec = GroupSpec { desired: Some(8), min: 4, weight: 4, ..plain_group("heavy") };
    let scenario = Scenario { groups: vec![spec], ..Scenario::default() };
    let (world, clock) = world(1, &scenario);
    let seen = state(&world, "heavy").await;
    assert_eq!((seen.instances.len(), seen.in_service()), (2, Units(8)));
    order(&world, &seen.id, 13).await;
    clock.advance(Seconds::minutes(10));
    assert_eq!(state(&world, "heavy").await.in_service(), Units(16), "13 needs four of them");
    order(&world, &seen.id, 10).await;
    clock.advance(Seconds::minutes(10));
    assert_eq!(state(&world, "heavy").await.in_service(), Units(12), "never below what is desired");
}

#[tokio::test]
async fn without_machines_the_order_stands_and_is_tried_again() {
    let shortage = |zone: Option<&str>, until| Shortage {
        group: None,
        zone: zone.map(str::to_owned),
        from: MONDAY,
        until: MONDAY + Seconds(until),
    };
    let scenario = Scenario {
        groups: vec![GroupSpec { desired: Some(3), ..plain_group("web") }],
        shortages: vec![shortage(None, 600), shortage(Some("sim-1a"), 3600)],
        ..Scenario::default()
    };
    let (world, clock) = world(1, &scenario);
    let id = state(&world, "web").await.id;
    order(&world, &id, 5).await;
    clock.advance(Seconds(300));
    let seen = state(&world, "web").await;
    assert_eq!((seen.desired, seen.in_service(), seen.pending()), (Units(5), Units(3), Units(0)));
    assert_eq!(seen.activities.len(), 6, "one failure at once, and one a minute");
    let no_capacity = ActivityStatus::Failed { no_capacity: true };
    assert!(seen.activities.iter().all(|a| a.status == no_capacity));
    clock.advance(Seconds(600));
    let seen = state(&world, "web").await;
    assert_eq!(seen.in_service(), Units(5));
    let zones: Vec<_> = seen.instances.iter().filter_map(|i| i.zone.as_deref()).collect();
    assert_eq!(zones.iter().filter(|zone| **zone == "sim-1a").count(), 1, "{zones:?}");
}

#[tokio::test]
async fn protection_suspension_and_bounds_hold() {
    let scenario = Scenario {
        groups: vec![GroupSpec { desired: Some(5), ..plain_group("web") }],
        ..Scenario::default()
    };
    let (world, clock) = world(1, &scenario);
    let web = named("web");
    let id = state(&world, "web").await.id;
    world.act(&web, &Act::Protect(4)).unwrap();
    order(&world, &id, 2).await;
    clock.advance(Seconds::minutes(5));
    let seen = state(&world, "web").await;
    assert_eq!((seen.desired, seen.in_service(), seen.protected()), (Units(2), Units(4), Units(4)));

    world.act(&web, &Act::Suspend(Process::Launch)).unwrap();
    order(&world, &id, 6).await;
    clock.advance(Seconds::minutes(5));
    let seen = state(&world, "web").await;
    assert_eq!((seen.desired, seen.in_service(), seen.pending()), (Units(6), Units(4), Units(0)));
    world.act(&web, &Act::Resume(Process::Launch)).unwrap();
    clock.advance(Seconds::minutes(5));
    assert_eq!(state(&world, "web").await.in_service(), Units(6));

    world.act(&web, &Act::Minimum(9)).unwrap();
    assert_eq!(state(&world, "web").await.desired, Units(9), "a minimum above desired raises it");
    world.act(&web, &Act::Maximum(9)).unwrap();
    world.act(&web, &Act::Desired(10)).unwrap();
    assert_eq!(state(&world, "web").await.desired, Units(9), "out of bounds is refused");
}

#[tokio::test]
async fn a_refresh_replaces_every_instance_and_ends() {
    let scenario = Scenario {
        groups: vec![GroupSpec { desired: Some(4), ..plain_group("web") }],
        ..Scenario::default()
    };
    let (world, clock) = world(1, &scenario);
    let before = state(&world, "web").await;
    world.act(&named("web"), &Act::Refresh(Seconds::minutes(20))).unwrap();
    clock.advance(Seconds::minutes(6));
    let during = state(&world, "web").await;
    assert!(during.refresh.is_some());
    assert!(during.activities.iter().all(|a| a.cause == Cause::Upkeep), "{during:?}");
    clock.advance(Seconds::minutes(40));
    let after = state(&world, "web").await;
    assert_eq!((after.in_service(), after.refresh), (Units(4), None));
    let old: Vec<_> = before.instances.iter().map(|i| &i.id).collect();
    assert!(after.instances.iter().all(|i| !old.contains(&&i.id)));
}

#[tokio::test]
async fn a_native_policy_and_a_scheduled_action_size_the_group_by_themselves() {
    let mut scenario = Preset::Day.scenario(MONDAY);
    scenario.groups.retain(|group| group.name == "search-asg");
    scenario.groups[0].scheduled = vec![Recurring {
        name: "night".to_owned(),
        first: MONDAY + Seconds::hours(22),
        every: Some(Seconds::days(1)),
        desired: Some(3),
        min: None,
        max: None,
    }];
    let (world, clock) = world(1, &scenario);
    let night = state(&world, "search-asg").await;
    assert_eq!(night.scheduled[0].at, Some(MONDAY + Seconds::hours(22)));
    clock.set(MONDAY + Seconds::hours(15));
    let noon = state(&world, "search-asg").await;
    assert!(noon.in_service().0 >= night.in_service().0 + 5, "{noon:?}");
    let today = world.activities(&noon.id, MONDAY, soon()).await.unwrap();
    let native = today.iter().filter(|a| a.cause == Cause::NativePolicy).count();
    assert!(native > 5, "{today:?}");
    clock.set(MONDAY + Seconds::hours(22) + Seconds(1));
    let late = state(&world, "search-asg").await;
    assert_eq!(late.desired, Units(3));
    assert_eq!(late.activities[0].cause, Cause::Schedule);
    assert_eq!(late.scheduled[0].at, Some(MONDAY + Seconds::hours(46)));
    let ledger = world.ledger()["search-asg"].clone();
    assert!(ledger.foreign_orders > 5 && ledger.orders == 0, "{ledger:?}");
}

#[tokio::test]
async fn the_newest_intervals_are_low_at_first_and_corrected_later() {
    let scenario = Preset::Day.scenario(MONDAY);
    let (world, clock) = world(1, &scenario);
    let requests = &queries(&scenario, "checkout-asg")[0];
    let minute = MONDAY + Seconds::hours(9);
    let at = |age: u64| minute + Seconds(60 + age);
    let mut seen = Vec::new();
    for age in [9, 10, 60, 119, 120, 600] {
        clock.set(at(age));
        let found = read(&world, requests, minute, minute + Seconds(60)).await;
        seen.push(found.first().map(|sample| sample.value));
    }
    assert_eq!(seen[0], None, "not there yet");
    let values: Vec<f64> = seen[1..].iter().map(|value| value.unwrap()).collect();
    assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "only upwards: {values:?}");
    assert!(values[0] < 0.9 * values[4], "low at first: {values:?}");
    assert_eq!(values[3], values[4], "settled after two periods");
    assert_eq!(world.keeps(requests).settling, Seconds(120));
}

#[tokio::test]
async fn history_goes_back_as_far_as_the_source_keeps_it() {
    let mut scenario = Preset::Day.scenario(MONDAY);
    scenario.history = Seconds::days(70);
    let (world, _clock) = world(1, &scenario);
    let fine = queries(&scenario, "checkout-asg")[0].clone();
    let coarse = MetricQuery { period: Step::FIVE_MINUTES, ..fine.clone() };
    let long_ago = MONDAY - Seconds::days(90);
    let fine = read(&world, &fine, long_ago, MONDAY).await;
    // The last minute is not seen yet: it takes ten seconds.
    assert_eq!((fine[0].start, fine.len()), (MONDAY - Seconds::days(15), 15 * 1440 - 1));
    let coarse = read(&world, &coarse, long_ago, MONDAY).await;
    assert_eq!((coarse[0].start, coarse.len()), (MONDAY - Seconds::days(63), 63 * 288));
    let of_five: f64 = fine[5..10].iter().map(|sample| sample.value).sum();
    let one = coarse.iter().find(|sample| sample.start == fine[5].start).unwrap();
    assert_eq!(of_five, one.value, "a coarse sum is the sum of the fine ones");
}

#[tokio::test]
async fn gaps_are_absent_and_late_intervals_come_late() {
    let mut scenario = Preset::Day.scenario(MONDAY);
    let gap = |from, until, late| Gap {
        group: None,
        from: MONDAY + Seconds(from),
        until: MONDAY + Seconds(until),
        late,
    };
    scenario.gaps = vec![gap(600, 900, None), gap(1200, 1500, Some(Seconds(600)))];
    let (world, clock) = world(1, &scenario);
    let requests = queries(&scenario, "checkout-asg")[0].clone();
    let mut minutes = Vec::new();
    for now in [1800, 2400] {
        clock.set(MONDAY + Seconds(now));
        let found = read(&world, &requests, MONDAY, MONDAY + Seconds(1620)).await;
        minutes.push(found.len());
    }
    // 27 minutes, less five lost, less five late. At 1800 s the first three late ones are there.
    assert_eq!(minutes, [27 - 5 - 5, 27 - 5]);
}

#[tokio::test]
async fn a_full_group_shows_a_lower_bound_and_errors() {
    let mut scenario = Preset::Day.scenario(MONDAY);
    scenario.groups.retain(|group| group.name == "checkout-asg");
    scenario.groups[0].desired = Some(5);
    scenario.acts.clear();
    let (world, clock) = world(1, &scenario);
    let noon = MONDAY + Seconds::hours(12);
    clock.set(noon + Seconds::minutes(10));
    let mut values = Vec::new();
    for query in queries(&scenario, "checkout-asg") {
        values.push(read(&world, &query, noon, noon + Seconds(60)).await[0].value);
    }
    assert_eq!(values[0], 5.0 * 50.0 * 60.0, "as much as five units can serve");
    assert!(values[1] > 20_000.0, "the rest fails: {values:?}");
    assert_eq!(values[2..], [5.0, 100.0], "healthy and full");
    let ledger = world.ledger()["checkout-asg"].clone();
    assert!(ledger.violated_minutes > 300 && ledger.peak_load > 900.0, "{ledger:?}");
}

#[tokio::test]
async fn a_quiet_minute_reports_nothing() {
    let mut scenario = Preset::Day.scenario(MONDAY);
    let (mut outage, mut quiet) = (Preset::Outage.scenario(MONDAY), 0.0);
    outage.groups[0].desired = Some(40);
    for group in &mut scenario.groups {
        quiet = std::mem::take(&mut group.workload.as_mut().unwrap().load).base;
    }
    assert!(quiet > 0.0);
    let (world_quiet, clock) = world(1, &scenario);
    clock.advance(Seconds::hours(1));
    let all = queries(&scenario, "checkout-asg");
    let (from, to) = (MONDAY, MONDAY + Seconds::minutes(30));
    assert_eq!(read(&world_quiet, &all[0], from, to).await, []);
    assert_eq!(read(&world_quiet, &all[1], from, to).await, []);
    assert_eq!(read(&world_quiet, &all[2], from, to).await.len(), 30, "the heartbeat goes on");

    let (world_out, clock) = world(1, &outage);
    clock.advance(Seconds::hours(14));
    let minute = MONDAY + Seconds::hours(13) + Seconds::minutes(10);
    let before = minute - Seconds::minutes(20);
    let mut pairs = Vec::new();
    for query in &queries(&outage, "checkout-asg")[..3] {
        let at = |from| read(&world_out, query, from, from + Seconds(60));
        let usual = at(before).await.first().map_or(0.0, |sample| sample.value);
        pairs.push((usual, at(minute).await.first().map_or(0.0, |sample| sample.value)));
    }
    assert!(pairs[0].1 < 0.1 * pairs[0].0, "load collapses: {pairs:?}");
    assert!(pairs[1].0 == 0.0 && pairs[1].1 > 1000.0, "errors rise: {pairs:?}");
    assert!(pairs[2].1 < 0.5 * pairs[2].0, "hosts fall sick: {pairs:?}");
}

#[tokio::test]
async fn a_saved_world_goes_on_as_if_nothing_had_been() {
    let scenario = Preset::RoughDay.scenario(MONDAY);
    let (first, clock) = world(9, &scenario);
    let id = state(&first, "checkout-asg").await.id;
    clock.set(MONDAY + Seconds(30_000));
    order(&first, &id, 33).await;
    clock.advance(Seconds(45));
    let _seen = state(&first, "checkout-asg").await;
    let saved = first.save();

    let (second, later) = world(9, &scenario);
    second.restore(&saved).unwrap();
    assert_eq!(second.last_seen(), MONDAY + Seconds(30_045));
    for at in [30_100, 31_000, 80_000] {
        clock.set(MONDAY + Seconds(at));
        later.set(MONDAY + Seconds(at));
        for name in ["checkout-asg", "search-asg", "render-asg"] {
            let one = first.groups(&[named(name)], soon()).await;
            assert_eq!(one, second.groups(&[named(name)], soon()).await, "{name} at {at}");
        }
    }
    assert_eq!(first.ledger(), second.ledger());

    let (other, _) = world(10, &scenario);
    let fault = other.restore(&saved).unwrap_err().to_string();
    assert!(fault.contains("seed 9") && fault.contains("expected seed 10"), "{fault}");
    assert!(other.restore(b"{").is_err());
}

#[tokio::test]
async fn a_kept_world_outlives_its_program() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sim.json");
    let scenario = Preset::Day.scenario(MONDAY);
    let before = {
        let (first, clock) = world(3, &scenario);
        first.keep_in(path.clone()).unwrap();
        clock.advance(Seconds::hours(2));
        let id = state(&first, "render-asg").await.id;
        order(&first, &id, 21).await;
        state(&first, "render-asg").await
    };
    let (second, clock) = world(3, &scenario);
    second.keep_in(path.clone()).unwrap();
    assert_eq!(second.last_seen(), MONDAY + Seconds::hours(2));
    clock.set(second.last_seen());
    assert_eq!(state(&second, "render-asg").await, before);
    assert_eq!(second.orders(&named("render-asg")).len(), 1);

    std::fs::write(&path, "not a world").unwrap();
    let fault = world(3, &scenario).0.keep_in(path).unwrap_err().to_string();
    assert!(fault.contains("sim.json") && fault.contains("cannot be read"), "{fault}");
}

#[tokio::test]
async fn planned_trouble_meets_its_own_calls_alone() {
    let trouble = |trouble, group: Option<&str>| PlannedTrouble {
        spec: TroubleSpec {
            trouble,
            calls: Calls::Inventory,
            group: group.map(str::to_owned),
            region: None,
        },
        from: MONDAY + Seconds(60),
        until: MONDAY + Seconds(120),
    };
    let mut scenario = Preset::Day.scenario(MONDAY);
    scenario.troubles = vec![
        trouble(Trouble::Slow, Some("render-asg")),
        trouble(Trouble::Denied, Some("search-asg")),
    ];
    let (world, clock) = world(1, &scenario);
    let asked = ["render-asg", "search-asg", "checkout-asg"].map(named);
    let mut kinds = Vec::new();
    for now in [59, 60, 120] {
        clock.set(MONDAY + Seconds(now));
        let shortly = Deadline::within(Duration::from_millis(20));
        let answers = world.groups(&asked, shortly).await;
        kinds.push(answers.into_iter().map(|a| a.err().map(|f| f.kind)).collect::<Vec<_>>());
    }
    let permission = Some("autoscaling:DescribeAutoScalingGroups".to_owned());
    assert_eq!(kinds[1], [Some(FaultKind::TimedOut), Some(FaultKind::Denied { permission }), None]);
    assert_eq!((&kinds[0], &kinds[2]), (&vec![None; 3], &vec![None; 3]));
    world.trouble(TroubleSpec::everywhere(Trouble::Throttled, Calls::All), Some(2));
    let answers = world.groups(&asked, soon()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 2, "two calls, no more");
}

#[tokio::test]
async fn failed_boots_are_repeated_until_the_order_is_met() {
    let scenario = Scenario {
        groups: vec![GroupSpec { desired: Some(1), boot_fails_one_in: 3, ..plain_group("flaky") }],
        ..Scenario::default()
    };
    let (world, clock) = world(2, &scenario);
    let id = state(&world, "flaky").await.id;
    order(&world, &id, 20).await;
    clock.advance(Seconds::minutes(40));
    let seen = state(&world, "flaky").await;
    assert_eq!(seen.in_service(), Units(20));
    let failed = ActivityStatus::Failed { no_capacity: false };
    assert!(seen.activities.iter().any(|a| a.status == failed));
    assert!(seen.instances.iter().all(|i| i.lifecycle == Lifecycle::InService));
}

/// The example configuration names groups and metrics of the ready-made worlds.
#[test]
fn the_example_configuration_speaks_of_this_world() {
    let example = include_str!("../../../config.example.toml");
    for group in Preset::Day.scenario(MONDAY).groups {
        assert!(example.contains(&format!("group = \"{}\"", group.name)), "{}", group.name);
        let requests = group.workload.unwrap().requests;
        let metric = format!("metric = \"{}\"", requests.metric);
        assert!(example.contains(&metric), "{metric}");
        for (dimension, value) in requests.dimensions {
            let named = format!("{{ {dimension} = \"{value}\" }}");
            assert!(example.contains(&named), "{named}");
        }
    }
}

#[test]
fn presets_are_found_by_name() {
    for preset in Preset::ALL {
        assert_eq!(preset.name().parse(), Ok(preset));
    }
    let fault = "dai".parse::<Preset>().unwrap_err().to_string();
    insta::assert_snapshot!(fault, @"unknown scenario `dai`, expected one of `day`, `fourteen-nights`, `outage`, `launch`, `rough-day`, `fleet`, `slow-start`");
}
