//! Two clouds in one daemon: each service follows its own demand, one cloud's outage is nobody
//! else's, and one cloud may tell the demand for a group of the other.

use std::sync::{Arc, Mutex};

use planner::{Seconds, Timestamp};
use serde_json::Value;
use tests::clock::{TestClock, TestTime, locked};
use tests::load::Load;
use tests::neap::Neap;
use tests::peers::{Alibaba, NewGroup};
use tests::story::{CAPACITY, PATIENCE, START, findings, minutes, results, says, step, turns};
use tests::world::{ALI, AWS, Amazon, Cloud, Days, Minute, Of, ServiceText, Stage, head};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
/// The service on AWS.
const WEST: &str = "west";
/// The service on Alibaba Cloud.
const EAST: &str = "east";
const POOL: &str = "min = 1\nmax = 90\nlead_time = \"2m\"";
/// Every group's first size; the first demand needs twice as many.
const UNITS: u32 = 5;
/// When nobody answers for Alibaba Cloud any more, and when somebody does again.
const OUTAGE: [u64; 2] = [30, 40];

/// Both clouds.
struct Both {
    aws: Amazon,
    ali: Alibaba,
}

impl Both {
    /// Empty clouds whose instances boot for two minutes.
    fn start(time: TestTime) -> Both {
        let both = Both { aws: Amazon::start(time.clone()), ali: Alibaba::start(time) };
        both.aws.boot_takes(Seconds(120));
        Cloud::boot_takes(&both.ali, Seconds(120));
        both
    }

    /// A configuration with both, and these services.
    fn config(&self, services: &[ServiceText]) -> String {
        let providers = self.aws.provider(&[AWS.region]) + &self.ali.provider(&[ALI.region]);
        let services: String = services.iter().map(ServiceText::text).collect();
        // Nobody answering shall cost no more than this.
        let deadline = "cycle_deadline = \"5s\"\n";
        format!("{deadline}{}{providers}{services}", head("act"))
    }
}

const ON_AWS: Of<Both> = |both| &both.aws;
const ON_ALI: Of<Both> = |both| &both.ali;

/// Plays these days, and hands back the program, its clock and every turn it told.
fn run(
    stage: &Arc<Stage<Both>>,
    days: Days<Both>,
    services: &[ServiceText],
) -> (Neap, TestClock, Vec<Value>) {
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &stage.config(services), &clock);
    let running = neap.start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    (neap, clock, turns(&running))
}

/// A hundred requests a second, three hundred from the tenth minute on, and half as many again
/// while Alibaba Cloud is away.
fn two_steps() -> Load {
    let mut load = step(100.0, minutes(10), 300.0);
    let again = (minutes(33).0 - load.start.0) / 60;
    for value in load.values.iter_mut().skip(again as usize) {
        *value *= 1.5;
    }
    load
}

/// The turns that began in `[from, to)`.
fn between(turns: &[Value], from: Timestamp, to: Timestamp) -> Vec<Value> {
    let meant = |turn: &&Value| {
        let at = turn["taken_at"].as_str().and_then(Timestamp::parse);
        at.is_some_and(|at| (from..to).contains(&at))
    };
    turns.iter().filter(meant).cloned().collect()
}

#[test]
fn each_follows_its_demand_and_one_clouds_outage_is_nobody_elses() {
    let stage = Stage::at(START, Both::start);
    stage.aws.create_group(AWS.region, &NewGroup::new(WEST, 1, 90, UNITS));
    Cloud::create_group(&stage.ali, ALI.region, &NewGroup::new(EAST, 1, 90, UNITS));
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
    let (neap, _clock, turns) = run(&stage, days, &services);

    let ordered_within = |seen: &Mutex<Vec<Minute>>, from: Timestamp, to: Timestamp| {
        let seen = locked(seen);
        let minutes = seen.iter().filter(|minute| (from..to).contains(&minute.at));
        minutes.map(|minute| minute.desired).collect::<Vec<u32>>()
    };
    for (name, seen) in [(WEST, &west), (EAST, &east)] {
        let before = ordered_within(seen, minutes(25), away);
        assert!(before.iter().all(|&units| units >= 30), "{name} follows its demand: {before:?}");
        let end = ordered_within(seen, minutes(52), minutes(55));
        assert!(end.iter().all(|&units| units >= 45), "{name} follows it in the end: {end:?}");
    }
    let west_meanwhile = ordered_within(&west, minutes(38), back);
    assert!(west_meanwhile.iter().all(|&units| units >= 45), "{west_meanwhile:?}");
    let mut east_meanwhile = ordered_within(&east, minutes(31), back);
    east_meanwhile.dedup();
    assert_eq!(east_meanwhile.len(), 1, "nobody could order anything: {east_meanwhile:?}");
    let outage = between(&turns, minutes(31), back);
    assert!(outage.len() >= 8, "cycles go on: {}", outage.len());
    for turn in &outage {
        let told = findings(turn, EAST);
        assert!(told.iter().any(|finding| finding.contains("unreachable")), "{told:?}");
        let other = findings(turn, WEST);
        assert!(!other.iter().any(|finding| finding.contains("unreachable")), "{other:?}");
    }
    let after = between(&turns, minutes(42), minutes(55));
    assert!(!says(&after, EAST, "unreachable"), "the fault is over");
    let plan = neap.output(&["plan", "--format", "json"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("an object on stdout");
    for name in [WEST, EAST] {
        assert!(!findings(&plan, name).is_empty(), "{name} is in the plan: {plan:#}");
    }
    let replayed = neap.output(&["replay"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[test]
fn one_cloud_may_tell_the_demand_for_a_group_of_the_other() {
    let stage = Stage::at(START, Both::start);
    stage.aws.create_group(AWS.region, &NewGroup::new(WEST, 1, 90, UNITS));
    let mut days = Days::until(&stage, minutes(25));
    let west = days.serve_on([ON_ALI, ON_AWS], WEST, ALI.region, two_steps());
    let services = [ServiceText::new(WEST, CAPACITY).demand_from(&ALI).pool(POOL)];
    let (_, _, turns) = run(&stage, days, &services);
    let last = locked(&west).last().expect("minutes were seen").desired;
    assert!(last >= 30, "it follows: {last}");
    assert!(!results(&turns, WEST).is_empty(), "and was ordered by us");
    assert!(stage.ali.writes().is_empty(), "where only metrics are read nothing is written");
    assert!(stage.ali.count("DescribeScalingGroups") == 0, "nor asked for groups");
}
