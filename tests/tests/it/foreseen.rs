//! Refusals that can be foreseen are seen before anything is touched: owners, native policies,
//! suspended processes, the cloud's own bounds.

use tests::peers::NewGroup;
use tests::story::{CAPACITY, Story, findings, minutes, results, says, step};
use tests::world::{REGION, ServiceText};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

fn trebling(end: u64) -> Story {
    Story::until(minutes(end)).serve("shop", REGION, step(100.0, minutes(3), 300.0))
}

#[test]
fn launches_that_are_suspended_are_not_ordered() {
    let story = trebling(8);
    let suspend = [("AutoScalingGroupName", "shop"), ("ScalingProcesses.member.1", "Launch")];
    story.stage.somebody().autoscaling("SuspendProcesses", &suspend);
    let (stage, _neap, turns) = story.run(BINARY);
    let grown = stage.proxy.writes().iter().any(|call| call.number("DesiredCapacity") > Some(12));
    assert!(!grown, "{:#?}", results(&turns, "shop"));
    assert!(says(&turns, "shop", "suspended"), "{:#?}", findings(&turns[6], "shop"));
}

#[test]
fn a_group_that_an_orchestrator_owns_is_refused() {
    let mut story = Story::until(minutes(6));
    let tag = ("k8s.io/cluster-autoscaler/enabled".to_owned(), "true".to_owned());
    let group = NewGroup { tags: vec![tag], ..NewGroup::new("nodes", 1, 60, 12) };
    story.stage.service(REGION, &group);
    story.days.serve("nodes", REGION, step(100.0, minutes(2), 300.0));
    story.services.push(ServiceText::new("nodes", CAPACITY).pool("min = 1\nmax = 60"));
    let (stage, _neap, turns) = story.run(BINARY);
    assert_eq!(stage.proxy.writes().len(), 0);
    let told = findings(turns.last().expect("turns"), "nodes").join("\n");
    assert!(told.contains("owned") && told.contains("cluster-autoscaler"), "{told}");
}

#[test]
fn a_native_policy_is_left_its_growth_and_gets_a_floor() {
    let mut story = Story::until(minutes(9));
    let somebody = story.stage.somebody();
    story.stage.service(REGION, &NewGroup::new("web", 1, 60, 12));
    somebody.autoscaling(
        "PutScalingPolicy",
        &[
            ("AutoScalingGroupName", "web"),
            ("PolicyName", "cpu-half"),
            ("PolicyType", "TargetTrackingScaling"),
            ("TargetTrackingConfiguration.TargetValue", "50.0"),
            (
                "TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
                "ASGAverageCPUUtilization",
            ),
        ],
    );
    story.days.serve("web", REGION, step(100.0, minutes(3), 300.0));
    let text = ServiceText::choosing("web", CAPACITY).pool("min = 1\nmax = 60");
    story.services.push(text);
    let (stage, _neap, turns) = story.run(BINARY);
    let writes = stage.proxy.writes();
    assert!(!writes.is_empty(), "{:#?}", findings(turns.last().expect("turns"), "web"));
    for call in &writes {
        assert_eq!(call.operation, "UpdateAutoScalingGroup", "{call:?}");
        assert!(call.number("MinSize").is_some() && call.number("DesiredCapacity").is_none());
    }
    assert!(stage.somebody().group_number("web", "MinSize") >= 30);
}

#[test]
fn the_clouds_own_maximum_is_named_and_never_tried() {
    let mut story = Story::until(minutes(8));
    story.stage.service(REGION, &NewGroup::new("shop", 1, 20, 12));
    story.days.serve("shop", REGION, step(100.0, minutes(3), 300.0));
    let text = ServiceText::new("shop", CAPACITY).pool("min = 1\nmax = 60\nlead_time = \"2m\"");
    story.services.push(text);
    let (stage, _neap, turns) = story.run(BINARY);
    let refused: Vec<_> =
        stage.proxy.writes().into_iter().filter(|call| call.status != Some(200)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(stage.somebody().desired("shop"), 20);
    assert!(says(&turns, "shop", "at-bound"), "{:#?}", findings(&turns[6], "shop"));
}
