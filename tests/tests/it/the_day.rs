//! A day in `act` mode on each cloud's peer: capacity is ordered before the demand that needs it.
//!
//! Fourteen days of load are in the cloud before the program starts; then it runs 24 hours of test
//! time at one cycle a minute while the load goes on. `last-value` in the forecaster's place has to
//! fail, else the test would praise luck.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{Seconds, Timestamp};
use serde_json::{Value, json};
use tests::clock::{TestClock, TestTime, locked};
use tests::load::Load;
use tests::neap::Neap;
use tests::peers::{Alibaba, NewGroup, aliyun, witness};
use tests::world::{ALI, AWS, Amazon, Cloud, Days, Minute, Score, ServiceText, Stage};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// 2026-03-06T00:00:00Z, a Friday.
const START: Timestamp = Timestamp(1_772_755_200);
const DAY: Seconds = Seconds::days(1);
const HISTORY_DAYS: i64 = 14;
/// Ordered to in service.
const BOOT: Seconds = Seconds(300);
const BUDGET_PERCENT: f64 = 0.5;
/// A day of five jumps leaves little room for one that is missed.
const BUDGET_OF_JUMPS_PERCENT: f64 = 0.25;
const GROUP: &str = "shop";
/// Units that carry the busiest minutes of the load.
const UNITS_AT_PEAK: f64 = 20.0;
/// What may be paid on a day that jumps, as a multiple of perfect foresight's.
const COST_MAX: f64 = 2.0;

struct Outcome<C> {
    stage: Arc<Stage<C>>,
    neap: Neap,
    clock: TestClock,
    seen: Vec<Minute>,
    score: Score,
}

/// The machines of a group, and what the operator says of them.
struct Machines<C> {
    /// Ordered to in service.
    boot: Seconds,
    /// Ordered to serving.
    serve: Seconds,
    /// The operator's `lead_time`.
    lead_time: &'static str,
    /// What is done to the cloud once the group is there.
    prepare: fn(&Stage<C>),
}

impl<C> Machines<C> {
    /// They serve once they are in service, and the operator knows when that is.
    const USUAL: Machines<C> =
        Machines { boot: BOOT, serve: BOOT, lead_time: "5m", prepare: |_| () };
}

/// One day; ends when the program has ended after its last cycle.
fn day<C: Cloud>(
    cloud: fn(TestTime) -> C,
    mode: &str,
    forecaster: &str,
    load: Load,
    budget_percent: f64,
) -> Outcome<C> {
    day_of(&Machines::USUAL, cloud, mode, forecaster, load, budget_percent)
}

fn day_of<C: Cloud>(
    machines: &Machines<C>,
    cloud: fn(TestTime) -> C,
    mode: &str,
    forecaster: &str,
    load: Load,
    budget_percent: f64,
) -> Outcome<C> {
    let capacity = (load.quantile(0.995) / UNITS_AT_PEAK / 60.0 * 10.0).round() / 10.0;
    let stage = Stage::at(START, cloud);
    let words = stage.words();
    stage.boot_takes(machines.boot);
    let first = (load.at(START).expect("the day's load") / 60.0 / capacity).ceil() as u32 + 2;
    stage.service(words.region, &NewGroup::new(GROUP, 1, 60, first));
    (machines.prepare)(&stage);
    let mut days = Days::until(&stage, START + DAY);
    let seen = days.serve(GROUP, words.region, load);
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let service = ServiceText::new(GROUP, capacity)
        .on(words)
        .with(&format!("violation_budget = \"{budget_percent}%\""))
        .with(&format!("forecaster = \"{forecaster}\""))
        .pool(&format!("lead_time = \"{}\"\nmin = 1\nmax = 60", machines.lead_time));
    // One group is the whole fleet here: by the defaults it could lose one unit an hour.
    let budgets =
        "[budgets]\ngroup = \"20% per 10m\"\naccount = \"100% per 1h\"\nfleet = \"100% per 1h\"\n";
    let config = format!("{}{budgets}{}", stage.config(mode, &[words.region]), service.text());
    let neap = Neap::on(BINARY, &config, &clock);
    let begun = Instant::now();
    let running = neap.start(&clock);
    let status = running.wait(Duration::from_secs(900));
    assert!(status.success(), "{status}: {}", running.stderr());
    let seen = locked(&seen).clone();
    let score = Score::of(&seen, START, capacity * 60.0, machines.serve);
    eprintln!("{mode}, {forecaster}: {score:?}, cost {:.2} in {:?}", score.cost(), begun.elapsed());
    Outcome { stage, neap, clock, seen, score }
}

/// A recorded day where there is one.
fn recorded() -> Load {
    Load::days(HISTORY_DAYS + 1, START + DAY)
}

/// A day that jumps, always at the same times.
fn jumping() -> Load {
    Load::jumping(HISTORY_DAYS + 1, START + DAY, 7)
}

/// What the day must be like.
fn kept(score: &Score, budget_percent: f64) -> bool {
    score.ahead_share() >= 0.9 && score.violated_share() <= 2.0 * budget_percent / 100.0
}

/// With the errors of last-value one can keep the promise, too: by paying for the highest jump of
/// the day all day long. What a forecast is for is not to.
fn affordable(score: &Score) -> bool {
    score.cost() <= COST_MAX
}

/// The group as an independent witness reads it: the size ordered, and the members there are.
type Read<C> = fn(&Stage<C>) -> [Value; 2];

fn capacity_is_ordered_before_the_demand<C: Cloud>(cloud: fn(TestTime) -> C, read: Read<C>) {
    let day = day(cloud, "act", "auto", recorded(), BUDGET_PERCENT);
    assert_eq!(day.score.minutes + 5, 24 * 60, "all of the day but the first lead time is judged");
    assert!(day.score.ramps >= 5, "too few ramps to judge by: {:?}", day.score);
    assert!(kept(&day.score, BUDGET_PERCENT), "{:?}", day.score);
    let last = day.seen.last().expect("a day was seen").desired;
    assert_eq!(read(&day.stage), [last, last], "the witness reads what was ordered last");
    let (words, ordered) = (day.stage.words(), day.stage.door().writes());
    let orders = |operation: &String| words.orders.contains(&operation.as_str());
    assert!(ordered.iter().all(|call| orders(&call.operation)), "{ordered:?}");
    let verified = day.neap.output(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let replayed = day.neap.output(&["replay"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[test]
fn capacity_is_ordered_before_the_demand_on_aws() {
    capacity_is_ordered_before_the_demand(Amazon::start, |stage| {
        let (url, named) = (stage.proxy.url(), json!({ "AutoScalingGroupNames": [GROUP] }));
        let read = witness(&url, AWS.region, "autoscaling", "describe_auto_scaling_groups", &named);
        let group = &read["AutoScalingGroups"][0];
        let members = group["Instances"].as_array().map(Vec::len);
        [group["DesiredCapacity"].clone(), json!(members)]
    });
}

#[test]
fn capacity_is_ordered_before_the_demand_on_alibaba_cloud() {
    capacity_is_ordered_before_the_demand(Alibaba::start, |stage| {
        let named = json!({ "RegionId": ALI.region, "ScalingGroupNames": [GROUP] });
        let read = aliyun(&stage.url(), ALI.region, "ess", "DescribeScalingGroups", &named);
        let group = &read["ScalingGroups"][0];
        [group["DesiredCapacity"].clone(), group["TotalCapacity"].clone()]
    });
}

#[test]
fn jumps_at_known_times_are_met_and_paid_for_only_then() {
    let day = day(Amazon::start, "act", "auto", jumping(), BUDGET_OF_JUMPS_PERCENT);
    assert!(day.score.ramps >= 5, "too few ramps to judge by: {:?}", day.score);
    assert!(kept(&day.score, BUDGET_OF_JUMPS_PERCENT) && affordable(&day.score), "{:?}", day.score);
}

/// Machines that EC2 runs within half a minute, and that serve three minutes later.
const SLOW_START: Machines<Amazon> = Machines {
    boot: Seconds(25),
    serve: Seconds(205),
    lead_time: "measure",
    prepare: |stage| stage.proxy.serves_after(Seconds(180)),
};

/// The same behind a load balancer.
const BALANCED: Machines<Amazon> = Machines {
    prepare: |stage| {
        stage.proxy.serves_after(Seconds(180));
        let somebody = stage.somebody();
        let word = |text: &str, tag: &str| {
            let rest = text.split(&format!("<{tag}>")).nth(1).unwrap_or_default();
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        let subnets = somebody.query("ec2", "2016-11-15", "DescribeSubnets", &[]);
        let vpc = word(&subnets.expect("subnets"), "vpcId");
        let with = [("Name", GROUP), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", &vpc)];
        let made = somebody.query("elasticloadbalancing", "2015-12-01", "CreateTargetGroup", &with);
        let arn = word(&made.expect("a target group"), "TargetGroupArn");
        let with = [("AutoScalingGroupName", GROUP), ("TargetGroupARNs.member.1", arn.as_str())];
        somebody.autoscaling("AttachLoadBalancerTargetGroups", &with);
    },
    ..SLOW_START
};

/// The load balancer tells when machines serve, so ramps are ordered that much ahead though the
/// operator named no lead time, and it is asked only while members are young.
#[test]
fn machines_that_serve_later_than_they_are_in_service_are_ordered_so_much_earlier() {
    let budget = BUDGET_OF_JUMPS_PERCENT;
    let day = day_of(&BALANCED, Amazon::start, "act", "auto", jumping(), budget);
    assert!(day.score.ramps >= 5, "too few ramps to judge by: {:?}", day.score);
    assert!(kept(&day.score, budget) && affordable(&day.score), "{:?}", day.score);
    let explained = day.neap.output(&["explain", GROUP]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("by the health of targets"), "{explained}");
    let calls = day.stage.door().calls();
    let asked = calls.iter().filter(|call| call.operation == "DescribeTargetHealth").count();
    assert!((5..1200).contains(&asked), "{asked} calls");
    let replayed = day.neap.output(&["replay"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

/// What is known of the same machines where nothing tells that they do not serve yet: the promise is
/// broken, unless the operator says what he knows.
#[test]
fn where_nothing_tells_when_machines_serve_the_operators_lead_time_keeps_the_promise() {
    let budget = BUDGET_OF_JUMPS_PERCENT;
    let measured = day_of(&SLOW_START, Amazon::start, "act", "auto", jumping(), budget);
    assert!(!kept(&measured.score, budget), "as good: {:?}", measured.score);
    let known = Machines { lead_time: "4m", ..SLOW_START };
    let known = day_of(&known, Amazon::start, "act", "auto", jumping(), budget);
    assert!(kept(&known.score, budget) && affordable(&known.score), "{:?}", known.score);
}

#[test]
fn last_value_in_the_forecasters_place_fails() {
    let day = day(Amazon::start, "act", "last-value", jumping(), BUDGET_OF_JUMPS_PERCENT);
    assert!(day.score.ramps >= 5, "too few ramps to judge by: {:?}", day.score);
    assert!(
        !(kept(&day.score, BUDGET_OF_JUMPS_PERCENT) && affordable(&day.score)),
        "as good: {:?}",
        day.score
    );
}

fn observing_writes_nothing_and_says_what_it_would_do<C: Cloud>(cloud: fn(TestTime) -> C) {
    let day = day(cloud, "observe", "auto", recorded(), BUDGET_PERCENT);
    assert_eq!(day.stage.door().writes().len(), 0, "{:?}", day.stage.door().writes());
    let plan = day.neap.output(&["plan", "--format", "json"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("an object on stdout");
    // Whether the last minute asks for a change is the load's affair; either way the plan says it.
    let told = plan["actions"].get(0).or(plan["findings"].get(0));
    assert_eq!(told.expect("an action or a reason")["service"], GROUP, "{plan:#}");
    let from = day.seen.last().expect("a day was seen").desired;
    let cycles =
        day.neap.output(&["journal", "ls", "--since", "2000-01-01T00:00:00Z", "--format", "json"]);
    assert!(cycles.status.success(), "{}", String::from_utf8_lossy(&cycles.stderr));
    let cycles = String::from_utf8(cycles.stdout).expect("UTF-8");
    let cycles = cycles.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let shown: Vec<Value> =
        cycles.flat_map(|cycle| cycle["actions"].as_array().cloned().unwrap_or_default()).collect();
    assert!(shown.len() > 100, "{} changes were shown", shown.len());
    for action in &shown {
        assert_eq!((&action["service"], &action["dry_run"]), (&GROUP.into(), &true.into()));
        let size = action.pointer("/change/Desired/from").and_then(Value::as_u64);
        assert_eq!(size, Some(u64::from(from)), "{action:#}");
    }
    assert_eq!(day.stage.door().writes().len(), 0, "a plan writes nothing either");
    drop(day.clock);
}

#[test]
fn observing_writes_nothing_on_aws() {
    observing_writes_nothing_and_says_what_it_would_do(Amazon::start);
}

#[test]
fn observing_writes_nothing_on_alibaba_cloud() {
    observing_writes_nothing_and_says_what_it_would_do(Alibaba::start);
}
