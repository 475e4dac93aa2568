//! What goes wrong on the way to a cloud: the group concerned is held with that reason, nobody else
//! notices, and the program lives.

use std::time::{Duration, Instant};

use fleet::Timestamp;
use serde_json::Value;
use tests::clock::TestClock;
use tests::neap::Neap;
use tests::peers::{Fault, Rule, Then};
use tests::story::{CAPACITY, FAR, PATIENCE, Story, findings, minutes, results, says, step, turns};
use tests::world::{REGION, ServiceText};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

#[test]
fn a_throttled_write_is_told_and_ordered_again() {
    let story = Story::until(minutes(20)).serve("shop", REGION, step(100.0, minutes(10), 300.0));
    story.stage.proxy.inject(Rule::on("SetDesiredCapacity", Fault::Throttled).times(2));
    let (stage, _neap, turns) = story.run(BINARY);
    let results = results(&turns, "shop");
    assert!(results.iter().any(|result| result.contains("Throttled")), "{results:#?}");
    assert!(stage.somebody().desired("shop") >= 30, "{results:#?}");
}

#[test]
fn throttled_reads_are_repeated_by_the_sdk_within_the_deadline() {
    let story = Story::until(minutes(6)).serve("shop", REGION, step(100.0, minutes(2), 300.0));
    story.stage.proxy.inject(Rule::on("DescribeAutoScalingGroups", Fault::Throttled).times(2));
    let (stage, _neap, _turns) = story.run(BINARY);
    assert!(stage.somebody().desired("shop") >= 30);
}

#[test]
fn a_dead_region_delays_nobody_else() {
    let load = || step(100.0, minutes(3), 300.0);
    let mut story =
        Story::until(minutes(8)).serve("far", FAR, load()).serve("shop", REGION, load());
    story.extra = "cycle_deadline = \"4s\"\n".into();
    story.days.event(minutes(2), |stage| {
        stage.proxy.inject(Rule::any(Fault::Dead).in_region(FAR));
    });
    let begun = Instant::now();
    let (stage, _neap, turns) = story.run(BINARY);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(120), "eight cycles took {took:?}");
    assert!(stage.somebody().desired("shop") >= 30, "{:#?}", results(&turns, "shop"));
    assert!(says(&turns, "far", "group-unread"), "{:#?}", findings(&turns[5], "far"));
    assert!(!says(&turns, "shop", "group-unread"));
    let writes = stage.proxy.writes();
    assert!(writes.iter().all(|call| call.region == REGION || call.at < minutes(2)), "{writes:#?}");
}

#[test]
fn what_cannot_be_read_is_named_and_a_plan_prints_the_rest() {
    let mut story = Story::until(minutes(1))
        .serve("shop", REGION, step(300.0, minutes(0), 300.0))
        .serve("secret", FAR, step(100.0, minutes(0), 100.0));
    story.services.push(ServiceText::new("ghost", CAPACITY).pool("min = 1\nmax = 9"));
    story.stage.somebody().set_desired("shop", 5);
    for operation in ["DescribeAutoScalingGroups", "SetDesiredCapacity"] {
        story.stage.proxy.inject(Rule::on(operation, Fault::Denied).in_region(FAR));
    }
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock);
    let planned = neap.output(&["plan", "--format", "json"]);
    assert_eq!(planned.status.code(), Some(3), "{}", String::from_utf8_lossy(&planned.stderr));
    let plan: Value = serde_json::from_slice(&planned.stdout).expect("JSON");
    assert_eq!(plan["actions"][0]["service"], "shop", "{plan:#}");
    let ghost = findings(&plan, "ghost").join("\n");
    assert!(ghost.contains("group-unread") && ghost.contains("missing"), "{ghost}");
    let secret = findings(&plan, "secret").join("\n");
    assert!(secret.contains("denied"), "{secret}");
    assert!(secret.contains("autoscaling:DescribeAutoScalingGroups"), "{secret}");
    assert_eq!(stage.proxy.writes().len(), 0);
}

#[test]
fn without_credentials_everything_is_held_and_the_daemon_lives() {
    let story = Story::until(minutes(3)).serve("shop", REGION, step(100.0, minutes(0), 300.0));
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock).without_credentials();
    let planned = neap.output(&["plan", "--format", "json"]);
    assert_eq!(planned.status.code(), Some(3), "{}", String::from_utf8_lossy(&planned.stderr));
    let plan: Value = serde_json::from_slice(&planned.stdout).expect("JSON");
    let shop = findings(&plan, "shop").join("\n");
    assert!(shop.contains("group-unread") && shop.contains("denied"), "{shop}");
    let running = neap.start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{}", running.stderr());
    assert!(turns(&running).len() >= 3);
    assert_eq!(stage.proxy.writes().len(), 0);
}

#[test]
fn an_unreachable_endpoint_holds_and_comes_back() {
    let mut story = Story::until(minutes(12)).serve("shop", REGION, step(100.0, minutes(2), 300.0));
    story.extra = "cycle_deadline = \"5s\"\n".into();
    story.days.event(minutes(1), |stage| stage.proxy.unplug());
    story.days.event(minutes(6), |stage| stage.proxy.plug_in());
    let (stage, _neap, turns) = story.run(BINARY);
    assert!(says(&turns, "shop", "unreachable"), "{:#?}", findings(&turns[4], "shop"));
    assert!(stage.somebody().desired("shop") >= 30, "it goes on where it left off");
}

/// Somebody sets another size just before the next write that begins after `at`.
fn meddle(story: &mut Story, at: Timestamp, size: u32) {
    story.days.event(at, move |stage| {
        let somebody = stage.somebody();
        let act = Fault::between(move || somebody.set_desired("shop", size));
        stage.proxy.inject(Rule::on("SetDesiredCapacity", act).times(1));
    });
}

#[test]
fn another_writer_between_read_and_set_keeps_the_larger_size() {
    let mut story =
        Story::until(minutes(14)).serve("shop", REGION, step(100.0, minutes(10), 300.0));
    meddle(&mut story, minutes(10), 45);
    let (stage, _neap, turns) = story.run(BINARY);
    let contested = results(&turns, "shop");
    let kept = "\"Contested\":{\"found\":45,\"restored\":true}";
    assert!(contested.iter().any(|result| result.contains(kept)), "{contested:#?}");
    assert_eq!(stage.somebody().desired("shop"), 45, "{contested:#?}");
}

#[test]
fn another_writer_before_a_scale_in_starts_the_lease() {
    let mut story = Story::until(minutes(50)).serve("shop", REGION, step(300.0, minutes(5), 60.0));
    // One group is the whole fleet here: by the defaults it could lose one unit an hour.
    story.tables = "\n[budgets]\ngroup = \"20% per 10m\"\naccount = \"100% per 1h\"\n\
                    fleet = \"100% per 1h\"\n";
    meddle(&mut story, minutes(5), 44);
    let (stage, _neap, turns) = story.run(BINARY);
    let results = results(&turns, "shop");
    let met = results.iter().position(|result| result.contains("\"found\":44"));
    assert_eq!(met, Some(results.len() - 1), "nothing is taken away in the lease: {results:#?}");
    let writes = stage.proxy.writes().iter().filter(|call| call.effect).count();
    assert_eq!(writes, results.len(), "{results:#?}");
    let last = findings(turns.last().expect("turns"), "shop").join("\n");
    assert!(last.contains("override"), "{last}");
}

#[test]
fn a_lost_answer_is_looked_at_and_not_sent_again() {
    let story = Story::until(minutes(14)).serve("shop", REGION, step(100.0, minutes(10), 300.0));
    story.stage.proxy.inject(Rule::on("SetDesiredCapacity", Fault::cut_after()).times(1));
    let (stage, _neap, turns) = story.run(BINARY);
    let results = results(&turns, "shop");
    assert!(results[0].contains("Unconfirmed") && results[0].contains("true"), "{results:#?}");
    let mut sizes = Vec::new();
    for call in stage.proxy.writes().iter().filter(|call| call.effect) {
        sizes.extend(call.number("DesiredCapacity"));
    }
    let mut once = sizes.clone();
    once.dedup();
    assert_eq!(sizes, once, "no size was ordered twice in a row");
}

#[test]
fn a_metric_that_stops_arriving_never_shrinks_a_group() {
    let mut story = Story::until(minutes(90)).serve("shop", REGION, step(300.0, minutes(5), 30.0));
    story.days.silence("shop", minutes(5));
    let (stage, _neap, turns) = story.run(BINARY);
    let sizes: Vec<u32> =
        stage.proxy.writes().iter().filter_map(|call| call.number("DesiredCapacity")).collect();
    assert!(stage.somebody().desired("shop") >= 30, "{sizes:?}");
    let late = findings(turns.last().expect("turns"), "shop").join("\n");
    assert!(late.contains("stale") || late.contains("demand"), "{late}");
}

#[test]
fn a_thrown_switch_stops_the_call_that_was_about_to_leave() {
    let story = Story::until(minutes(8)).serve("shop", REGION, step(100.0, minutes(2), 300.0));
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock);
    let switch = neap.path("stop");
    // The last reading before a write is the fresh one of its group: the switch falls just then.
    let fall = Fault::after(move || {
        std::fs::write(&switch, "maintenance").expect("the switch is thrown");
        Then::GoOn
    });
    stage.proxy.inject(Rule::on("DescribeAutoScalingGroups", fall).after(4).times(1));
    let running = neap.start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{}", running.stderr());
    let turns = turns(&running);
    assert!(turns.iter().any(|turn| turn.to_string().contains("kill-switch")));
    let thrown = stage.proxy.calls()[..].iter().position(|call| call.fault.is_some());
    let after = stage.proxy.calls()[thrown.expect("the switch fell")..].to_vec();
    assert!(after.iter().all(|call| !call.writes()), "{after:#?}");
}
