//! Two clouds in one daemon: each service follows its own demand, one cloud's outage is nobody
//! else's, and one cloud may tell the demand for a group of the other.

use std::sync::{Arc, Mutex};

use fleet::{Seconds, Timestamp};
use serde_json::Value;
use tests::clock::{TestClock, TestTime, locked};
use tests::load::Load;
use tests::neap::{Neap, Running};
use tests::peers::{Alibaba, NewGroup, NewScalingGroup};
use tests::story::{CAPACITY, PATIENCE, START, findings, minutes, says, step, turns};
use tests::world::{ALI, AWS, Amazon, Cloud, Days, Minute, Of, ServiceText, Stage, head};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// The service on AWS.
const WEST: &str = "west";
/// The service on Alibaba Cloud.
const EAST: &str = "east";
const POOL: &str = "min = 1\nmax = 90\nlead_time = \"2m\"";
/// Every group's first size; the first demand needs twice as many.
const UNITS: u32 = 5;
/// The minutes in which nobody answers for Alibaba Cloud.
const OUTAGE: [u64; 2] = [30, 40];
/// The minute in the outage from which on demand needs this many units.
const SURGE: (u64, u32) = (33, 45);

/// Both clouds.
struct Both {
    aws: Amazon,
    ali: Alibaba,
}

const ON_AWS: Of<Both> = |both| &both.aws;
const ON_ALI: Of<Both> = |both| &both.ali;

impl Both {
    /// Empty clouds whose instances boot for two minutes.
    fn start(time: TestTime) -> Both {
        let both = Both { aws: Amazon::start(time.clone()), ali: Alibaba::start(time) };
        for cloud in [ON_AWS(&both), ON_ALI(&both)] {
            cloud.boot_takes(Seconds(120));
        }
        both
    }

    /// A configuration with both, and these services.
    fn config(&self, services: &[ServiceText]) -> String {
        let providers = self.aws.provider(&[AWS.region]) + &self.ali.provider(&[ALI.region]);
        let services: String = services.iter().map(ServiceText::text).collect();
        let deadline = "cycle_deadline = \"5s\"\n";
        format!("{deadline}{}{providers}{services}", head("act"))
    }
}

/// A program on its clock.
fn placed(
    stage: &Arc<Stage<Both>>,
    days: Days<Both>,
    services: &[ServiceText],
) -> (Neap, TestClock) {
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    (Neap::on(BINARY, &stage.config(services), &clock), clock)
}

/// Runs to the end of the days.
fn ran(neap: &Neap, clock: &TestClock) -> Running {
    let running = neap.start(clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    running
}

/// A hundred requests a second, half as many again from the tenth minute on, and thrice of that
/// with the surge.
fn two_steps() -> Load {
    let mut load = step(100.0, minutes(10), 150.0);
    for (at, value) in (load.start.0..).step_by(60).zip(&mut load.values) {
        if at >= minutes(SURGE.0).0 {
            *value *= 3.0;
        }
    }
    load
}

/// What a group was like in a minute of the story.
fn at(seen: &Mutex<Vec<Minute>>, minute: u64) -> Minute {
    let seen = locked(seen);
    let found = seen.iter().find(|seen| seen.at == minutes(minute));
    *found.unwrap_or_else(|| panic!("minute {minute} was not seen"))
}

/// The turns of an outage.
fn of_the_outage(turns: &[Value]) -> Vec<&Value> {
    let [away, back] = OUTAGE.map(minutes);
    let taken_at = |turn: &Value| turn["taken_at"].as_str().and_then(Timestamp::parse);
    let meant = |turn: &&Value| taken_at(turn).is_some_and(|at| (away..back).contains(&at));
    turns.iter().filter(meant).collect()
}

#[test]
fn each_follows_its_demand_and_one_clouds_outage_is_nobody_elses() {
    let stage = Stage::at(START, Both::start);
    stage.aws.create_group(AWS.region, &NewGroup::new(WEST, 1, 90, UNITS));
    stage.ali.create_group(&NewScalingGroup::new(ALI.region, EAST, 1, 90, UNITS));
    let mut days = Days::until(&stage, minutes(55));
    let west = days.serve_on([ON_AWS; 2], WEST, AWS.region, two_steps());
    let east = days.serve_on([ON_ALI; 2], EAST, ALI.region, two_steps());
    let [away, back] = OUTAGE.map(minutes);
    days.event(away, |stage| stage.ali.unplug());
    days.event(back, |stage| stage.ali.plug_in());
    let services = [
        ServiceText::new(WEST, CAPACITY).pool(POOL),
        ServiceText::new(EAST, CAPACITY).on(&ALI).pool(POOL),
    ];
    let (neap, clock) = placed(&stage, days, &services);
    both_are_planned(&neap);
    let turns = turns(&ran(&neap, &clock));

    for (service, seen) in [(WEST, &west), (EAST, &east)] {
        let grown = at(seen, OUTAGE[0] - 1).desired;
        assert!((15..SURGE.1).contains(&grown), "{service}: {grown} before the outage");
    }
    let away = of_the_outage(&turns);
    assert_eq!(away.len() as u64, OUTAGE[1] - OUTAGE[0], "a turn a minute, whoever is away");
    for turn in away {
        let told = findings(turn, EAST).join("\n");
        assert!(told.contains("group-unread") && told.contains("unreachable"), "{told}");
    }
    assert!(!says(&turns, WEST, "unreachable"), "the other cloud is nobody's fault");
    assert!(!findings(turns.last().expect("turns"), EAST).join("").contains("unreachable"));
    let [held, last] = [OUTAGE[0], OUTAGE[1] - 1].map(|minute| at(&east, minute).desired);
    assert_eq!(held, last, "what cannot be read is left as it is");
    let last = at(&west, OUTAGE[1] - 1).desired;
    assert!(last >= SURGE.1, "{WEST}: {last} in the outage");
    let followed = at(&east, OUTAGE[1] + 5).in_service;
    assert!(followed >= SURGE.1, "{EAST}: {followed} in service after the outage");

    for (cloud, service) in [(ON_AWS(&stage), WEST), (ON_ALI(&stage), EAST)] {
        let (orders, writes) = (cloud.words().orders, cloud.door().writes());
        let ours = writes
            .iter()
            .all(|call| call.group() == Some(service) && orders.contains(&call.operation.as_str()));
        assert!(ours && !writes.is_empty(), "{writes:#?}");
    }
    for command in [&["journal", "verify"][..], &["replay"]] {
        let output = neap.output(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A plan has an action for the group of each cloud.
fn both_are_planned(neap: &Neap) {
    let planned = neap.output(&["plan", "--format", "json"]);
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    let plan: Value = serde_json::from_slice(&planned.stdout).expect("an object on stdout");
    for (service, words) in [(WEST, AWS), (EAST, ALI)] {
        let mut actions = plan["actions"].as_array().into_iter().flatten();
        let action = actions.find(|action| action["service"] == service).unwrap_or(&Value::Null);
        let group = action["group"].as_str().unwrap_or_default();
        assert!(group.starts_with(&format!("{}/", words.provider)), "{service}: {plan:#}");
        let to = action["change"]["Desired"]["to"].as_u64();
        assert!(to >= Some(u64::from(2 * UNITS)), "{service}: {plan:#}");
    }
}

#[test]
fn one_cloud_may_tell_the_demand_for_a_group_of_the_other() {
    let stage = Stage::at(START, Both::start);
    stage.aws.create_group(AWS.region, &NewGroup::new(WEST, 1, 90, UNITS));
    let mut days = Days::until(&stage, minutes(20));
    let seen = days.serve_on([ON_ALI, ON_AWS], WEST, ALI.region, two_steps());
    let service = ServiceText::new(WEST, CAPACITY).demand_from(&ALI).pool(POOL);
    let (neap, clock) = placed(&stage, days, &[service]);
    let told = turns(&ran(&neap, &clock));
    let before = at(&seen, 9).desired;
    assert!((10..15).contains(&before), "{before} before the step: {told:#?}");
    let after = at(&seen, 19).in_service;
    assert!(after >= 15, "{after} after the step: {told:#?}");
    assert_eq!(stage.aws.proxy.count("GetMetricData"), 0, "nothing is measured there");
    let calls = stage.ali.calls();
    let reads = calls.iter().all(|call| call.operation == "DescribeMetricList");
    assert!(reads && !calls.is_empty(), "nothing else is asked where demand is measured");
}
