//! What goes wrong at Alibaba Cloud: each gives one typed fault, spoils what it concerns alone, and
//! nothing is done twice.

use std::sync::Arc;
use std::time::Duration;

use fleet::group::{GroupState, Lifecycle};
use fleet::{
    AccountId, Change, FaultKind, GroupRef, ProviderName, Region, Seconds, Timestamp, Units,
};
use providers::alibaba::{Alibaba as Adapter, Settings};
use providers::contract::plain_query;
use providers::{Deadline, Inventory, Metrics, Provider};
use serde_json::Value;
use tests::clock::TestTime;
use tests::peers::{Alibaba, Fault, KEY, NewScalingGroup, Rule, SECRET, keys, settings};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const NEAR: (&str, &str) = ("ap-southeast-1", "near");
const FAR: (&str, &str) = ("eu-central-1", "far");

type Answer<T> = Result<T, fleet::Fault>;

/// A cloud with a group of three units in each of two regions.
struct Bench {
    cloud: Arc<Alibaba>,
    time: TestTime,
    adapter: Adapter,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Bench {
        let time = TestTime::starting(START);
        let cloud = Arc::new(Alibaba::start(time.clone()));
        cloud.boot_takes(Seconds(60));
        for (region, name) in [NEAR, FAR] {
            cloud.create_group(&NewScalingGroup::new(region, name, 1, 9, 3));
        }
        time.set(START + Seconds(120));
        let mut settings = settings(&cloud, &[NEAR.0, FAR.0]);
        change(&mut settings);
        let adapter = Adapter::new(settings, Arc::new(time.clone()));
        Bench { cloud, time, adapter }
    }

    async fn read(&self, (region, name): (&str, &str)) -> Answer<GroupState> {
        self.adapter.groups(&[reference(region, name)], by()).await.remove(0)
    }

    async fn fault(&self) -> fleet::Fault {
        self.read(NEAR).await.expect_err("a fault")
    }

    /// Orders a size of the near group.
    async fn set(&self, from: u32, to: u32) -> Answer<()> {
        let id = self.read(NEAR).await.expect("readable").id;
        let change = Change::Desired { from: Units(from), to: Units(to) };
        self.adapter.writer(&id).set(change, "decision/1", by()).await
    }
}

fn by() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

fn reference(region: &str, name: &str) -> GroupRef {
    GroupRef {
        provider: ProviderName::new("ali").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(region).expect("a region"),
        name: name.to_owned(),
    }
}

/// The credentials are not good, and the fault says so without showing them.
fn denied(fault: &fleet::Fault, code: &str) {
    assert_eq!(fault.kind, FaultKind::Denied { permission: None }, "{fault}");
    assert!(fault.detail.starts_with(code), "{fault}");
    assert!(fault.request_id.is_some() && !fault.to_string().contains(SECRET), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_denied() {
    let bench = Bench::with(|settings| settings.environment = keys(KEY, "not the secret"));
    denied(&bench.fault().await, "SignatureDoesNotMatch");
    let unknown = Bench::with(|settings| settings.environment = keys("LTAInobody", SECRET));
    denied(&unknown.fault().await, "InvalidAccessKeyId.NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_another_region_the_group_is_missing() {
    let bench = Bench::new();
    let fault = bench.read((FAR.0, NEAR.1)).await.expect_err("it is elsewhere");
    assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
    assert!(fault.detail.contains(NEAR.1) && fault.detail.contains(FAR.0), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_by_twenty_minutes_is_corrected_once() {
    for off in [1200, -1200] {
        let bench = Bench::new();
        bench.cloud.clock_off_by(off);
        bench.read(NEAR).await.expect("read in the end");
        let calls = bench.cloud.calls().len();
        let refused = bench.cloud.calls().iter().filter(|call| call.refused()).count();
        assert!(refused > 0, "the first ones were refused");
        bench.set(3, 5).await.expect("written in the end");
        let later: Vec<_> = bench.cloud.calls().split_off(calls);
        assert!(later.iter().all(|call| !call.refused()), "known from then on: {later:?}");
        assert_eq!(bench.cloud.desired(NEAR.1), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_stays_wrong_is_denied_and_not_tried_for_ever() {
    let bench = Bench::new();
    // Refused whatever we say, as by a server whose answer does not carry its own time.
    let body = r#"{"Code":"InvalidTimeStamp.Expired","Message":"no","RequestId":"r"}"#;
    let refusal = Fault::answer(400, "application/json", body);
    bench.cloud.inject(Rule::on("DescribeScalingGroups", refusal));
    denied(&bench.fault().await, "InvalidTimeStamp.Expired");
    assert!(bench.cloud.count("DescribeScalingGroups") <= 2, "once more at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_for_a_minute_it_says_so_and_then_goes_on() {
    let bench = Bench::new();
    bench.cloud.inject(Rule::on("DescribeScalingGroups", Fault::Throttled));
    let fault = bench.fault().await;
    assert!(matches!(fault.kind, FaultKind::Throttled { .. }), "{fault}");
    assert_eq!(bench.cloud.count("DescribeScalingGroups"), 4, "with pauses, and not for ever");
    bench.cloud.heal();
    bench.read(NEAR).await.expect("readable");
    bench.cloud.inject(Rule::on("DescribeScalingGroups", Fault::Throttled).times(2));
    bench.read(NEAR).await.expect("two refusals are waited out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_write_is_sent_once() {
    let bench = Bench::new();
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", Fault::Throttled));
    let fault = bench.set(3, 5).await.expect_err("throttled");
    assert!(matches!(fault.kind, FaultKind::Throttled { .. }), "{fault}");
    assert_eq!(bench.cloud.count("ScaleWithAdjustment"), 1);
    assert_eq!(bench.cloud.desired(NEAR.1), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_listing_does_not_pass_for_the_whole() {
    let bench = Bench::new();
    bench.cloud.create_group(&NewScalingGroup::new(NEAR.0, "second", 1, 9, 1));
    bench.cloud.page_by(Some(1));
    let broken = Rule::on("DescribeScalingGroups", Fault::Broken).in_region(NEAR.0).after(1);
    bench.cloud.inject(broken);
    let places = bench.adapter.places();
    let [near, far] = &places[..] else { panic!("two places: {places:?}") };
    let (near, far) =
        (bench.adapter.discover(near, by()).await, bench.adapter.discover(far, by()).await);
    let fault = near.expect_err("its second page is missing");
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.detail.starts_with("InternalError"), "{fault}");
    let names: Vec<String> = far.expect("readable").into_iter().map(|g| g.name).collect();
    assert_eq!(names, [FAR.1], "the other region is whole");
}

fn rewritten(operation: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Rule {
    let write = move |body: Vec<u8>| {
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        change(&mut answer);
        answer.to_string().into_bytes()
    };
    Rule::on(operation, Fault::rewrite(write))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_missing_is_named_and_a_new_one_is_no_matter() {
    let bench = Bench::new();
    bench.cloud.inject(rewritten("DescribeScalingGroups", |answer| {
        answer["ScalingGroups"][0].as_object_mut().expect("a group").remove("MinSize");
    }));
    let fault = bench.fault().await;
    assert_eq!(fault.kind, FaultKind::Unreadable, "{fault}");
    assert!(fault.detail.contains("missing field `MinSize`"), "{fault}");
    bench.cloud.heal();
    bench.cloud.inject(rewritten("DescribeScalingGroups", |answer| {
        answer["ScalingGroups"][0]["NeverHeardOf"] = Value::from(vec![1, 2]);
        answer["Another"] = Value::Null;
    }));
    assert_eq!(bench.read(NEAR).await.expect("readable").desired, Units(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_page_is_no_answer() {
    let bench = Bench::new();
    let page = |status| Fault::answer(status, "text/html", "<html><h1>Proxy</h1></html>");
    bench.cloud.inject(Rule::on("DescribeScalingGroups", page(502)).times(4));
    let fault = bench.fault().await;
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.detail.contains("not JSON: <html><h1>Proxy"), "{fault}");
    bench.cloud.heal();
    bench.cloud.inject(Rule::on("DescribeScalingGroups", page(200)).times(1));
    let fault = bench.fault().await;
    assert_eq!(fault.kind, FaultKind::Unreadable, "{fault}");
    bench.cloud.heal();
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", page(502)));
    let fault = bench.set(3, 5).await.expect_err("nobody knows");
    assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}");
    assert_eq!(bench.cloud.count("ScaleWithAdjustment"), 1, "never sent again blindly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_deleted_before_the_order_is_missing() {
    let bench = Bench::new();
    let cloud = Arc::clone(&bench.cloud);
    let deleting = Fault::between(move || cloud.delete_group(NEAR.0, NEAR.1));
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", deleting));
    let fault = bench.set(3, 5).await.expect_err("it is gone");
    assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
    assert!(fault.detail.starts_with("InvalidScalingGroupId.NotFound"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_in_a_state_that_is_not_known_says_so() {
    let bench = Bench::new();
    let member = bench.cloud.members(NEAR.1).remove(0);
    bench.cloud.set_lifecycle(&member, "Strange");
    let group = bench.read(NEAR).await.expect("readable");
    assert_eq!(group.in_service(), Units(2), "it counts as no capacity");
    let strange = group.instances.iter().find(|instance| instance.id == member);
    let strange = strange.expect("it is shown all the same");
    assert_eq!(strange.lifecycle, Lifecycle::Unknown("Strange".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_active_takes_no_orders() {
    let bench = Bench::new();
    bench.cloud.activate(NEAR.1, false);
    let group = bench.read(NEAR).await.expect("readable");
    assert!(format!("{:?}", group.suspended).contains("Inactive"), "{:?}", group.suspended);
    let fault = bench.set(3, 5).await.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    assert!(fault.detail.starts_with("IncorrectScalingGroupStatus"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_decision_is_one_order() {
    let bench = Bench::new();
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", Fault::cut_after()).times(1));
    let fault = bench.set(3, 5).await.expect_err("nobody heard the answer");
    assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}");
    bench.set(3, 5).await.expect("the same again");
    assert_eq!(bench.cloud.desired(NEAR.1), 5);
    // Two at once, both before either is seen.
    let bench = Bench::new();
    let (one, two) = tokio::join!(bench.set(3, 5), bench.set(3, 5));
    one.and(two).expect("taken, both");
    assert_eq!(bench.cloud.desired(NEAR.1), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_orders_on_the_way_is_not_overwritten() {
    let bench = Bench::new();
    let cloud = Arc::clone(&bench.cloud);
    let somebody = Fault::between(move || cloud.set_desired(NEAR.0, NEAR.1, 6));
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", somebody).times(1));
    bench.set(3, 5).await.expect("taken");
    assert_eq!(
        bench.cloud.desired(NEAR.1),
        6,
        "somebody went further, and the group is going there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increase_beside_a_running_activity_sets_the_number_and_is_done_once() {
    for somebodys in [4, 5, 6, 9] {
        let bench = Bench::new();
        bench.cloud.set_desired(NEAR.0, NEAR.1, somebodys);
        bench.set(3, 7).await.expect("taken");
        let reached = somebodys.max(7);
        assert_eq!(bench.cloud.desired(NEAR.1), reached, "after {somebodys}");
        let writes: Vec<String> =
            bench.cloud.writes().iter().map(|call| call.operation.clone()).collect();
        let ours: &[&str] = match somebodys {
            9 => &[],
            _ => &["ScaleWithAdjustment", "ModifyScalingGroup"],
        };
        assert_eq!(writes, ours);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_beside_a_running_activity_is_unconfirmed_and_nothing_is_repeated() {
    let bench = Bench::new();
    bench.cloud.set_desired(NEAR.0, NEAR.1, 4);
    bench.cloud.inject(Rule::on("ModifyScalingGroup", Fault::cut_after()).times(1));
    let fault = bench.set(4, 7).await.expect_err("nobody heard the answer");
    assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}");
    assert_eq!(bench.cloud.count("ModifyScalingGroup"), 1);
    assert_eq!(bench.cloud.desired(NEAR.1), 7);
    // The first call's own lost answer is no refusal: no second call follows it.
    let bench = Bench::new();
    bench.cloud.set_desired(NEAR.0, NEAR.1, 4);
    bench.cloud.inject(Rule::on("ScaleWithAdjustment", Fault::Broken).times(1));
    let fault = bench.set(4, 7).await.expect_err("an error of the cloud is no answer");
    assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}");
    assert_eq!(bench.cloud.count("ModifyScalingGroup"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_desired_capacity_is_sized_by_differences() {
    let bench = Bench::new();
    let plain = NewScalingGroup { desired: None, ..NewScalingGroup::new(NEAR.0, "plain", 2, 9, 0) };
    bench.cloud.create_group(&plain);
    bench.time.set(bench.time.now() + Seconds(300));
    let read = || async { bench.read((NEAR.0, "plain")).await.expect("readable") };
    let group = read().await;
    assert_eq!(group.desired, Units(2), "what it has");
    let writer = bench.adapter.writer(&group.id);
    let set = |from, to, decision| {
        let change = Change::Desired { from: Units(from), to: Units(to) };
        writer.set(change, decision, by())
    };
    set(2, 4, "decision/1").await.expect("taken");
    let fault = set(4, 6, "decision/2").await.expect_err("one activity at a time");
    assert!(matches!(fault.kind, FaultKind::Throttled { .. }), "{fault}");
    bench.time.set(bench.time.now() + Seconds(300));
    assert_eq!(read().await.in_service(), Units(4));
    set(4, 3, "decision/3").await.expect("taken");
    bench.time.set(bench.time.now() + Seconds(300));
    assert_eq!(read().await.desired, Units(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortage_is_seen_in_the_groups_activities() {
    let bench = Bench::new();
    bench.cloud.shortage(NEAR.1, Some(3));
    bench.set(3, 5).await.expect("the order itself is taken");
    bench.time.set(bench.time.now() + Seconds(300));
    let group = bench.read(NEAR).await.expect("readable");
    assert_eq!((group.desired, group.in_service()), (Units(5), Units(3)));
    let failed = fleet::group::ActivityStatus::Failed { no_capacity: true };
    assert!(group.activities.iter().any(|a| a.status == failed), "{:?}", group.activities);
}

#[tokio::test(flavor = "multi_thread")]
async fn metric_calls_are_kept_within_the_months_budget() {
    let bench = Bench::with(|settings| settings.budget.per_month = Some(60));
    let query = plain_query(&reference(NEAR.0, "any"), "acs_test", "Requests", "one");
    let asked = [query];
    let (from, to) = (START - Seconds(600), START);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend(bench.adapter.samples(&asked, from, to, by()).await);
    }
    assert!(answers[0].is_ok() && answers[1].is_ok(), "a day's worth are two: {answers:?}");
    let fault = answers[2].as_ref().expect_err("the third is not asked");
    assert!(matches!(fault.kind, FaultKind::Throttled { retry_after: Some(_) }), "{fault}");
    assert!(fault.detail.contains("API budget of 60 metric calls a month"), "{fault}");
    assert_eq!(bench.cloud.count("DescribeMetricList"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_clouds_own_quota_is_used_up_it_says_so() {
    let bench = Bench::new();
    bench.cloud.quota(Some(0));
    let query = plain_query(&reference(NEAR.0, "any"), "acs_test", "Requests", "one");
    let (from, to) = (START - Seconds(600), START);
    let answer = bench.adapter.samples(&[query], from, to, by()).await.remove(0);
    let fault = answer.expect_err("refused");
    assert!(matches!(fault.kind, FaultKind::Throttled { .. }), "{fault}");
}
