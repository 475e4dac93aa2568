//! The behaviour every adapter must show, as cases that any provider can be run through.
//!
//! A peer implements [`Bench`] to set the stage; [`cases`] are then run on it, one after the
//! other or each on a fresh bench. A case panics with what was expected and what was found.

mod samples;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use fleet::Change;
use fleet::group::{ActivityKind, ActivityStatus, Cause, GroupState};
use fleet::metric::MetricQuery;
use fleet::{Fault, FaultKind, GroupId, GroupRef, Place, Seconds, Timestamp, Units};

pub use samples::plain_query;

use samples::{
    a_corrected_sample_is_read_anew, a_gap_is_absent, a_metric_that_is_not_there_has_no_samples,
    more_queries_than_a_call_takes_are_answered_in_order,
    samples_are_stamped_at_the_start_of_their_interval, samples_lie_within_what_was_asked,
};

use crate::{Deadline, Provider};

/// The sizes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lower bound.
    pub min: u32,
    /// Desired capacity.
    pub desired: u32,
    /// Upper bound.
    pub max: u32,
}

/// How the cloud's interface misbehaves from now on, until [`Bench::calm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Every read of groups is refused for too many calls, longer than the adapter's own rate
    /// control is patient.
    ReadsThrottled,
    /// Every write is refused for too many calls.
    WritesThrottled,
    /// Every read of groups is denied.
    ReadsDenied,
    /// Every write is denied.
    WritesDenied,
    /// No connection can be made.
    Unreachable,
    /// No read, of groups or metrics, is answered before the deadline.
    ReadsSlow,
    /// No read of groups in this place is answered before the deadline.
    ReadsSlowIn(usize),
    /// No write is answered before the deadline, though each takes effect.
    WritesSlow,
    /// Writes take effect, and the connection breaks before the answer.
    AnswersLost,
}

/// Sets the stage on a peer. Panics where it cannot.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The provider under test.
    fn provider(&self) -> &dyn Provider;
    /// What the peer's clock shows.
    fn now(&self) -> Timestamp;
    /// Lets time go by, so that boots end and metrics settle.
    async fn advance(&self, span: Seconds);
    /// How a group of this name would be asked for; it need not exist. Two different `place`s
    /// (0 or 1) are two regions where the peer has them.
    fn reference(&self, place: usize, name: &str) -> GroupRef;
    /// Makes a group, all of its units in service.
    async fn make_group(&self, group: &GroupRef, size: Size);
    /// Deletes a group.
    async fn delete_group(&self, group: &GroupRef);
    /// Somebody else sets the desired capacity.
    async fn somebody_sets_desired(&self, group: &GroupRef, desired: u32);
    /// How a metric of the peer's would be asked for: this name, period 60 s, `Sum`.
    fn metric(&self, name: &str) -> MetricQuery;
    /// Adds a value to the interval of this metric that begins at `start`.
    async fn add_value(&self, metric: &MetricQuery, start: Timestamp, value: f64);
    /// The peer misbehaves until [`Bench::calm`].
    async fn misbehave(&self, how: Misbehaviour);
    /// The peer behaves again, and the adapter has had time to notice.
    async fn calm(&self);
    /// How long a deadline must be for a well-behaved peer to answer, and for a throttled one to
    /// outlast the adapter's own patience.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
    /// How short a deadline must be for a slow peer to miss it.
    fn impatience(&self) -> Duration {
        Duration::from_millis(1500)
    }
}

/// A case under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A case of the contract.
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    /// Checks it on a bench; panics where it does not hold.
    pub run: for<'a> fn(&'a dyn Bench) -> Running<'a>,
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every case, in an order that needs nothing from each other.
        pub fn cases() -> Vec<Case> {
            vec![$(Case { name: stringify!($name), run: |bench| Box::pin($name(bench)) }),*]
        }
    };
}

cases![
    a_group_is_read_as_it_is,
    a_group_that_is_not_there_is_missing,
    answers_come_in_the_order_asked,
    desired_is_set_and_read_back,
    the_minimum_is_set_and_read_back,
    out_of_bounds_is_refused_and_changes_nothing,
    a_write_handle_writes_its_own_group_alone,
    a_group_made_anew_is_another,
    a_lost_answer_is_unconfirmed_and_the_effect_is_seen,
    a_slow_write_is_unconfirmed_by_the_deadline,
    a_slow_read_is_timed_out_by_the_deadline,
    a_slow_place_spoils_its_own_answers_alone,
    a_throttled_read_says_so,
    a_throttled_write_changes_nothing,
    a_denied_read_says_so,
    a_denied_write_changes_nothing,
    an_unreachable_cloud_was_not_changed,
    somebody_elses_change_is_seen_at_once,
    samples_are_stamped_at_the_start_of_their_interval,
    samples_lie_within_what_was_asked,
    a_gap_is_absent,
    a_corrected_sample_is_read_anew,
    a_metric_that_is_not_there_has_no_samples,
    more_queries_than_a_call_takes_are_answered_in_order,
    activities_come_newest_first_with_their_cause,
    every_group_is_discovered,
];

/// Runs every case on one bench, calming it in between.
pub async fn run_all(bench: &dyn Bench) {
    for case in cases() {
        bench.calm().await;
        (case.run)(bench).await;
    }
}

fn deadline(bench: &dyn Bench) -> Deadline {
    Deadline::within(bench.patience())
}

/// A generous limit that no call with a short deadline may outlast.
const HANGING: Duration = Duration::from_secs(20);

async fn within<T>(call: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(HANGING, call).await;
    answer.unwrap_or_else(|_| panic!("a call outlasted its deadline by far"))
}

async fn made(bench: &dyn Bench, name: &str, size: Size) -> (GroupRef, GroupId) {
    let group = bench.reference(0, name);
    bench.make_group(&group, size).await;
    let state = read(bench, &group).await;
    (group, state.id)
}

async fn read(bench: &dyn Bench, group: &GroupRef) -> GroupState {
    let asked = [group.clone()];
    let mut answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    assert_eq!(answers.len(), 1, "one group asked, {} answers", answers.len());
    answers.remove(0).unwrap_or_else(|fault| panic!("`{group}` must be readable: {fault}"))
}

async fn set(bench: &dyn Bench, id: &GroupId, change: Change) -> Result<(), Fault> {
    bench.provider().writer(id).set(change, "contract/1", deadline(bench)).await
}

fn desired(from: u32, to: u32) -> Change {
    Change::Desired { from: Units(from), to: Units(to) }
}

fn minimum(from: u32, to: u32) -> Change {
    Change::Minimum { from: Units(from), to: Units(to) }
}

fn kind<T: std::fmt::Debug>(answer: Result<T, Fault>, expected: &str) -> FaultKind {
    match answer {
        Ok(answer) => panic!("expected {expected}, found an answer: {answer:?}"),
        Err(fault) => {
            assert!(!fault.operation.is_empty(), "a fault names its operation: {fault:?}");
            assert!(fault.detail.chars().count() <= 300, "a fault's detail is short: {fault:?}");
            fault.kind
        }
    }
}

async fn sizes(bench: &dyn Bench, group: &GroupRef) -> (u32, u32, u32) {
    let state = read(bench, group).await;
    (state.min.0, state.desired.0, state.max.0)
}

async fn a_group_is_read_as_it_is(bench: &dyn Bench) {
    let group = bench.reference(0, "read-as-is");
    bench.make_group(&group, Size { min: 1, desired: 3, max: 7 }).await;
    let state = read(bench, &group).await;
    assert_eq!((state.min, state.desired, state.max), (Units(1), Units(3), Units(7)));
    assert_eq!(state.in_service(), Units(3), "all units in service: {:?}", state.instances);
    assert_eq!((state.pending(), state.terminating()), (Units(0), Units(0)));
    assert_eq!(state.name, "read-as-is");
    let id = &state.id;
    assert_eq!(
        (&id.provider, &id.account, &id.region),
        (&group.provider, &group.account, &group.region)
    );
    let age = bench.now().since(state.read_at).max(state.read_at.since(bench.now()));
    assert!(age <= Seconds(60), "read at {}, now {}", state.read_at, bench.now());
    let mut ids: Vec<&str> = state.instances.iter().map(|i| i.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "every instance has an id of its own");
    let inventory = bench.provider().inventory();
    let alone = inventory.group(&state.id, deadline(bench)).await;
    let alone = alone.unwrap_or_else(|fault| panic!("readable by id: {fault}"));
    assert_eq!((alone.id, alone.desired), (state.id, state.desired));
}

async fn a_group_that_is_not_there_is_missing(bench: &dyn Bench) {
    let asked = [bench.reference(0, "nobody-made-this")];
    let mut answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    assert_eq!(kind(answers.remove(0), "missing"), FaultKind::Missing);
}

async fn answers_come_in_the_order_asked(bench: &dyn Bench) {
    let names = ["order-c", "order-a", "order-b"];
    for (place, name) in names.into_iter().enumerate() {
        let group = bench.reference(place % 2, name);
        bench.make_group(&group, Size { min: 0, desired: 1, max: 4 }).await;
    }
    let asked = [
        bench.reference(0, "order-c"),
        bench.reference(1, "nobody-made-this"),
        bench.reference(1, "order-a"),
        bench.reference(0, "order-b"),
        bench.reference(0, "order-c"),
    ];
    let answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    let found: Vec<Result<String, FaultKind>> =
        answers.into_iter().map(|a| a.map(|g| g.name).map_err(|f| f.kind)).collect();
    let named = |name: &str| Ok(name.to_owned());
    let expected = [
        named("order-c"),
        Err(FaultKind::Missing),
        named("order-a"),
        named("order-b"),
        named("order-c"),
    ];
    assert_eq!(found, expected, "in the order asked, a fault spoils no other answer");
}

async fn desired_is_set_and_read_back(bench: &dyn Bench) {
    let (group, id) = made(bench, "set-desired", Size { min: 1, desired: 2, max: 9 }).await;
    set(bench, &id, desired(2, 5)).await.unwrap_or_else(|fault| panic!("set to 5: {fault}"));
    let state = read(bench, &group).await;
    assert_eq!((state.min.0, state.desired.0, state.max.0), (1, 5, 9));
    let coming = state.in_service().0 + state.pending().0;
    assert!(coming >= 2, "{coming} units are there or ordered");
    bench.advance(Seconds::minutes(10)).await;
    assert_eq!(read(bench, &group).await.in_service(), Units(5), "ten minutes later");
    set(bench, &id, desired(5, 3)).await.unwrap_or_else(|fault| panic!("set to 3: {fault}"));
    bench.advance(Seconds::minutes(10)).await;
    let state = read(bench, &group).await;
    assert_eq!((state.desired, state.in_service()), (Units(3), Units(3)));
    set(bench, &id, desired(3, 3)).await.unwrap_or_else(|fault| panic!("set again: {fault}"));
    assert_eq!(sizes(bench, &group).await, (1, 3, 9), "setting what is there changes nothing");
}

async fn the_minimum_is_set_and_read_back(bench: &dyn Bench) {
    let (group, id) = made(bench, "set-minimum", Size { min: 1, desired: 4, max: 9 }).await;
    set(bench, &id, minimum(1, 3)).await.unwrap_or_else(|fault| panic!("minimum to 3: {fault}"));
    assert_eq!(sizes(bench, &group).await, (3, 4, 9), "below desired it leaves desired alone");
}

async fn out_of_bounds_is_refused_and_changes_nothing(bench: &dyn Bench) {
    let (group, id) = made(bench, "out-of-bounds", Size { min: 2, desired: 3, max: 5 }).await;
    for change in [desired(3, 6), desired(3, 1), minimum(2, 6)] {
        let answer = set(bench, &id, change).await;
        assert_eq!(kind(answer, "refused"), FaultKind::Refused, "{change}");
        assert_eq!(sizes(bench, &group).await, (2, 3, 5), "after {change}");
    }
}

async fn a_write_handle_writes_its_own_group_alone(bench: &dyn Bench) {
    let size = Size { min: 1, desired: 2, max: 9 };
    let (mine, id) = made(bench, "handle-mine", size).await;
    let (other, _) = made(bench, "handle-other", size).await;
    let writer = bench.provider().writer(&id);
    assert_eq!(writer.group(), &id, "a handle says which group it writes");
    let answer = writer.set(desired(2, 4), "contract/2", deadline(bench)).await;
    answer.unwrap_or_else(|fault| panic!("set to 4: {fault}"));
    assert_eq!(sizes(bench, &mine).await, (1, 4, 9), "its own group is changed");
    assert_eq!(sizes(bench, &other).await, (1, 2, 9), "the other group is as it was");
}

async fn a_group_made_anew_is_another(bench: &dyn Bench) {
    let size = Size { min: 1, desired: 2, max: 9 };
    let (group, old) = made(bench, "made-anew", size).await;
    bench.delete_group(&group).await;
    bench.make_group(&group, size).await;
    let new = read(bench, &group).await.id;
    assert_ne!(old, new, "the same name, another group");
    let inventory = bench.provider().inventory();
    let answer = inventory.group(&old, deadline(bench)).await;
    assert_eq!(kind(answer, "missing"), FaultKind::Missing, "the old id finds nothing");
}

async fn a_lost_answer_is_unconfirmed_and_the_effect_is_seen(bench: &dyn Bench) {
    let (group, id) = made(bench, "answer-lost", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::AnswersLost).await;
    let answer = set(bench, &id, desired(2, 4)).await;
    assert_eq!(kind(answer, "unconfirmed"), FaultKind::Unconfirmed);
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 4, 9), "it took effect all the same");
}

async fn a_slow_write_is_unconfirmed_by_the_deadline(bench: &dyn Bench) {
    let (group, id) = made(bench, "write-slow", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::WritesSlow).await;
    let writer = bench.provider().writer(&id);
    let answer =
        within(writer.set(desired(2, 4), "contract/3", Deadline::within(bench.impatience()))).await;
    assert_eq!(kind(answer, "unconfirmed"), FaultKind::Unconfirmed);
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 4, 9), "it took effect all the same");
}

async fn a_slow_read_is_timed_out_by_the_deadline(bench: &dyn Bench) {
    let (group, id) = made(bench, "read-slow", Size { min: 1, desired: 2, max: 9 }).await;
    let metric = bench.metric("slow");
    bench.misbehave(Misbehaviour::ReadsSlow).await;
    let asked = [group.clone(), group.clone()];
    let provider = bench.provider();
    let short = || Deadline::within(bench.impatience());
    for answer in within(provider.inventory().groups(&asked, short())).await {
        assert_eq!(kind(answer, "timed out"), FaultKind::TimedOut);
    }
    let answer = within(provider.inventory().group(&id, short())).await;
    assert_eq!(kind(answer, "timed out"), FaultKind::TimedOut);
    let (from, to) = (bench.now() - Seconds(600), bench.now());
    let answers = within(provider.metrics().samples(&[metric], from, to, short())).await;
    assert_eq!(answers.len(), 1, "one query, one answer");
    for answer in answers {
        assert_eq!(kind(answer, "timed out"), FaultKind::TimedOut);
    }
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 2, 9), "readable again afterwards");
}

async fn a_slow_place_spoils_its_own_answers_alone(bench: &dyn Bench) {
    let size = Size { min: 1, desired: 2, max: 9 };
    let places = [0, 1].map(|place| bench.reference(place, "slow-place"));
    for group in &places {
        bench.make_group(group, size).await;
    }
    bench.misbehave(Misbehaviour::ReadsSlowIn(0)).await;
    let by = Deadline::within(bench.impatience());
    let mut answers = within(bench.provider().inventory().groups(&places, by)).await;
    let (slow, quick) = (answers.remove(0), answers.remove(0));
    assert_eq!(kind(slow, "timed out"), FaultKind::TimedOut);
    let quick = quick.unwrap_or_else(|fault| panic!("the other place is readable: {fault}"));
    assert_eq!(quick.desired, Units(2));
}

async fn a_throttled_read_says_so(bench: &dyn Bench) {
    let (group, _) = made(bench, "read-throttled", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::ReadsThrottled).await;
    let asked = [group.clone()];
    let mut answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    let found = kind(answers.remove(0), "throttled");
    assert!(matches!(found, FaultKind::Throttled { .. }), "expected throttled, found {found:?}");
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 2, 9));
}

async fn a_throttled_write_changes_nothing(bench: &dyn Bench) {
    let (group, id) = made(bench, "write-throttled", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::WritesThrottled).await;
    let found = kind(set(bench, &id, desired(2, 4)).await, "throttled");
    assert!(matches!(found, FaultKind::Throttled { .. }), "expected throttled, found {found:?}");
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 2, 9), "nothing changed");
}

async fn a_denied_read_says_so(bench: &dyn Bench) {
    let (group, id) = made(bench, "read-denied", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::ReadsDenied).await;
    let asked = [group];
    let mut answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    let found = kind(answers.remove(0), "denied");
    assert!(matches!(found, FaultKind::Denied { .. }), "expected denied, found {found:?}");
    let found = kind(bench.provider().inventory().group(&id, deadline(bench)).await, "denied");
    assert!(matches!(found, FaultKind::Denied { .. }), "expected denied, found {found:?}");
}

async fn a_denied_write_changes_nothing(bench: &dyn Bench) {
    let (group, id) = made(bench, "write-denied", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::WritesDenied).await;
    let found = kind(set(bench, &id, desired(2, 4)).await, "denied");
    assert!(matches!(found, FaultKind::Denied { .. }), "expected denied, found {found:?}");
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 2, 9), "nothing changed");
}

async fn an_unreachable_cloud_was_not_changed(bench: &dyn Bench) {
    let (group, id) = made(bench, "unreachable", Size { min: 1, desired: 2, max: 9 }).await;
    bench.misbehave(Misbehaviour::Unreachable).await;
    let asked = [group.clone()];
    let mut answers = bench.provider().inventory().groups(&asked, deadline(bench)).await;
    assert_eq!(kind(answers.remove(0), "unreachable"), FaultKind::Unreachable);
    let answer = set(bench, &id, desired(2, 4)).await;
    assert_eq!(kind(answer, "unreachable"), FaultKind::Unreachable, "nothing can have had effect");
    bench.calm().await;
    assert_eq!(sizes(bench, &group).await, (1, 2, 9), "nothing changed");
}

async fn somebody_elses_change_is_seen_at_once(bench: &dyn Bench) {
    let (group, id) = made(bench, "somebody-else", Size { min: 1, desired: 2, max: 9 }).await;
    bench.somebody_sets_desired(&group, 6).await;
    let fresh = bench.provider().inventory().group(&id, deadline(bench)).await;
    let fresh = fresh.unwrap_or_else(|fault| panic!("readable: {fault}"));
    assert_eq!(fresh.desired, Units(6), "a fresh read goes past any cache");
}

async fn activities_come_newest_first_with_their_cause(bench: &dyn Bench) {
    let (group, id) = made(bench, "activities", Size { min: 1, desired: 2, max: 9 }).await;
    let began = bench.now();
    set(bench, &id, desired(2, 4)).await.unwrap_or_else(|fault| panic!("set to 4: {fault}"));
    bench.advance(Seconds::minutes(10)).await;
    set(bench, &id, desired(4, 3)).await.unwrap_or_else(|fault| panic!("set to 3: {fault}"));
    bench.advance(Seconds::minutes(10)).await;
    let inventory = bench.provider().inventory();
    let found = inventory.activities(&id, began, deadline(bench)).await;
    let found = found.unwrap_or_else(|fault| panic!("activities readable: {fault}"));
    assert!(
        found.windows(2).all(|pair| pair[0].started_at >= pair[1].started_at),
        "newest first: {found:?}"
    );
    let of = |kind| found.iter().filter(|a| a.kind == kind).collect::<Vec<_>>();
    assert_eq!(of(ActivityKind::Launch).len(), 2, "{found:?}");
    assert_eq!(of(ActivityKind::Terminate).len(), 1, "{found:?}");
    for activity in &found {
        assert_eq!(activity.cause, Cause::UserRequest, "{activity:?}");
        assert_eq!(activity.status, ActivityStatus::Successful, "{activity:?}");
        assert!(activity.started_at >= began - Seconds(60), "{activity:?}");
        assert!(activity.ended_at.is_some_and(|end| end >= activity.started_at), "{activity:?}");
    }
    let state = read(bench, &group).await;
    assert_eq!(state.activities.len(), 3, "those of the last hour come with the group");
    let later = bench.now() + Seconds(1);
    let none = inventory.activities(&id, later, deadline(bench)).await;
    assert_eq!(none, Ok(Vec::new()), "nothing since then");
}

async fn every_group_is_discovered(bench: &dyn Bench) {
    let mut expected = BTreeMap::new();
    for index in 0..3 {
        let name = format!("discover-{index}");
        let group = bench.reference(index % 2, &name);
        bench.make_group(&group, Size { min: 0, desired: 1, max: 3 }).await;
        expected.insert(name, group.region);
    }
    let mut found = BTreeMap::new();
    let inventory = bench.provider().inventory();
    let mut places = inventory.places();
    for place in &places {
        let answer = inventory.discover(place, deadline(bench)).await;
        let groups = answer.unwrap_or_else(|fault| panic!("discover: {fault}"));
        for group in groups {
            let Place { provider, account, region } = place;
            let at = (&group.id.provider, &group.id.account, &group.id.region);
            assert_eq!(at, (provider, account, region), "`{}` is where it was found", group.name);
            found.insert(group.name, group.id.region);
        }
    }
    places.dedup();
    assert_eq!(places.len(), inventory.places().len(), "each place is there once: {places:?}");
    for (name, region) in expected {
        assert_eq!(found.get(&name), Some(&region), "`{name}` among {:?}", found.keys());
    }
}
