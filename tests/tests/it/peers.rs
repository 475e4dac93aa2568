//! The peers keep their word: what the cloud refuses is refused, and boto3 can read what the stand-ins say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fleet::{Seconds, Timestamp};
use serde_json::{Value, json};
use tests::clock::TestTime;
use tests::peers::{Aws, Fault, Moto, NewGroup, Point, Proxy, Rule, witness};

const REGION: &str = "us-east-1";
/// 2026-03-02T00:00:00Z, a Monday.
const START: Timestamp = Timestamp(1_772_409_600);

struct Bench {
    _moto: Moto,
    proxy: Proxy,
    aws: Aws,
    time: TestTime,
}

impl Bench {
    fn new() -> Bench {
        let moto = Moto::start();
        let time = TestTime::starting(START);
        let proxy = Proxy::start(moto.address(), time.clone());
        let aws = Aws::at(proxy.address(), REGION);
        Bench { _moto: moto, proxy, aws, time }
    }

    fn boto3(&self, service: &str, operation: &str, with: Value) -> Value {
        witness(&self.proxy.url(), REGION, service, operation, &with)
    }

    fn forward(&self, seconds: i64) {
        self.time.set(Timestamp(self.time.now().0 + seconds));
    }
}

fn states(groups: &Value) -> Vec<&str> {
    let members = groups["AutoScalingGroups"][0]["Instances"].as_array().expect("members");
    members.iter().filter_map(|member| member["LifecycleState"].as_str()).collect()
}

#[test]
fn a_group_grows_boots_and_tells_its_history() {
    let bench = Bench::new();
    bench.proxy.boot_takes(Seconds(120));
    bench.aws.create_group(&NewGroup::new("web", 1, 10, 2));
    let named = json!({ "AutoScalingGroupNames": ["web"] });
    let before = bench.boto3("autoscaling", "describe_auto_scaling_groups", named.clone());
    assert_eq!(states(&before), ["InService", "InService"]);

    let order = json!({ "AutoScalingGroupName": "web", "DesiredCapacity": 3 });
    bench.boto3("autoscaling", "set_desired_capacity", order);
    let booting = bench.boto3("autoscaling", "describe_auto_scaling_groups", named.clone());
    let mut seen = states(&booting);
    seen.sort_unstable();
    assert_eq!(seen, ["InService", "InService", "Pending"]);
    assert_eq!(booting["AutoScalingGroups"][0]["DesiredCapacity"], 3);
    assert_eq!(bench.proxy.in_service("web"), Some(2));

    let of_web = json!({ "AutoScalingGroupName": "web" });
    let under_way = bench.boto3("autoscaling", "describe_scaling_activities", of_web.clone());
    let activity = &under_way["Activities"][0];
    assert_eq!(activity["StatusCode"], "InProgress");
    assert_eq!(activity["EndTime"], Value::Null);
    bench.forward(120);
    let done = bench.boto3("autoscaling", "describe_scaling_activities", of_web);
    let activity = &done["Activities"][0];
    assert_eq!(activity["StatusCode"], "Successful");
    assert_eq!(activity["StartTime"], "2026-03-02T00:00:00Z");
    assert_eq!(activity["EndTime"], "2026-03-02T00:02:00Z");
    assert_eq!(activity["AutoScalingGroupName"], "web");
    let cause = activity["Cause"].as_str().expect("a cause");
    let words = "At 2026-03-02T00:00:00Z a user request explicitly set group desired capacity \
                 changing the desired capacity from 2 to 3.";
    assert!(cause.starts_with(words), "{cause}");
    let after = bench.boto3("autoscaling", "describe_auto_scaling_groups", named);
    assert_eq!(states(&after), ["InService"; 3]);

    let writes = bench.proxy.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!((writes[0].group(), writes[0].number("DesiredCapacity")), (Some("web"), Some(3)));
}

#[test]
fn the_door_refuses_what_the_cloud_refuses() {
    let bench = Bench::new();
    bench.aws.create_group(&NewGroup::new("web", 1, 4, 2));
    let set = |name: &str, n: u32| {
        let with = json!({ "AutoScalingGroupName": name, "DesiredCapacity": n });
        bench.boto3("autoscaling", "set_desired_capacity", with)
    };
    let above = set("web", 5);
    assert_eq!((&above["refused"], &above["status"]), (&json!("ValidationError"), &json!(400)));
    assert_eq!(set("web", 0)["refused"], "ValidationError");
    assert_eq!(set("gone", 2)["refused"], "ValidationError");
    assert_eq!(bench.aws.desired("web"), 2);

    let launch = json!({ "AutoScalingGroupName": "web", "ScalingProcesses": ["Launch"] });
    bench.boto3("autoscaling", "suspend_processes", launch.clone());
    set("web", 4);
    let named = json!({ "AutoScalingGroupNames": ["web"] });
    let held = bench.boto3("autoscaling", "describe_auto_scaling_groups", named.clone());
    assert_eq!(held["AutoScalingGroups"][0]["DesiredCapacity"], 4);
    assert_eq!(states(&held).len(), 2, "nothing launches while launches are suspended");
    bench.boto3("autoscaling", "resume_processes", launch);
    let resumed = bench.boto3("autoscaling", "describe_auto_scaling_groups", named);
    assert_eq!(states(&resumed).len(), 4);
}

#[test]
fn metrics_come_in_pages_and_with_percentiles() {
    let bench = Bench::new();
    let points: Vec<Point> = (0..1_500)
        .map(|n| Point { start: Timestamp(START.0 + n * 60), value: f64::from(n as i32) })
        .collect();
    bench.aws.put_metric("Shop", "Requests", &[("Host", "a")], &points);
    let query = |id: &str, stat: &str, period: u32| {
        json!({ "Id": id, "MetricStat": { "Stat": stat, "Period": period, "Metric": {
            "Namespace": "Shop", "MetricName": "Requests",
            "Dimensions": [{ "Name": "Host", "Value": "a" }] } } })
    };
    let ask = |queries: Vec<Value>| {
        json!({ "MetricDataQueries": queries, "StartTime": START.0, "EndTime": START.0 + 1_500 * 60,
                "ScanBy": "TimestampAscending" })
    };
    let whole = bench.boto3("cloudwatch", "get_metric_data", ask(vec![query("m", "Sum", 60)]));
    let values = whole["MetricDataResults"][0]["Values"].as_array().expect("values");
    let expected: Vec<Value> = (0..1_500).map(|n| json!(f64::from(n))).collect();
    assert_eq!(values, &expected);
    assert_eq!(whole["MetricDataResults"][0]["Timestamps"][1], "2026-03-02T00:01:00Z");

    let coarse = vec![query("p", "p90", 600), query("s", "Sum", 600)];
    let coarse = bench.boto3("cloudwatch", "get_metric_data", ask(coarse));
    assert_eq!(coarse["MetricDataResults"][0]["Values"][1], 18.1);
    assert_eq!(coarse["MetricDataResults"][1]["Values"][1], 145.0);

    bench.proxy.page_by(None, Some(1_000));
    let first = bench.boto3("cloudwatch", "get_metric_data", ask(vec![query("m", "Sum", 60)]));
    assert_eq!(first["MetricDataResults"][0]["StatusCode"], "PartialData");
    assert!(first["NextToken"].is_string());
}

#[test]
fn groups_come_in_pages() {
    let bench = Bench::new();
    for n in 0..3 {
        bench.aws.create_group(&NewGroup::new(&format!("g{n}"), 0, 2, 0));
    }
    bench.proxy.page_by(Some(2), None);
    let first = bench.boto3("autoscaling", "describe_auto_scaling_groups", json!({}));
    assert_eq!(first["AutoScalingGroups"].as_array().map(Vec::len), Some(2));
    let token = json!({ "NextToken": first["NextToken"] });
    let second = bench.boto3("autoscaling", "describe_auto_scaling_groups", token);
    assert_eq!(second["AutoScalingGroups"][0]["AutoScalingGroupName"], "g2");
}

#[test]
fn faults_strike_where_and_as_often_as_asked() {
    let bench = Bench::new();
    bench.aws.create_group(&NewGroup::new("web", 1, 9, 2));
    let set = |n: u32| {
        let with = json!({ "AutoScalingGroupName": "web", "DesiredCapacity": n });
        bench.boto3("autoscaling", "set_desired_capacity", with)
    };
    bench.proxy.inject(Rule::on("SetDesiredCapacity", Fault::Throttled).times(1));
    assert_eq!(set(3)["refused"], "Throttling");
    assert_eq!(bench.aws.desired("web"), 2);
    bench.proxy.inject(Rule::on("DescribeInstances", Fault::Throttled).times(1));
    let throttled = bench.boto3("ec2", "describe_instances", json!({}));
    assert_eq!(throttled["refused"], "RequestLimitExceeded");
    assert_eq!(throttled["status"], 503);
    bench.proxy.inject(Rule::any(Fault::Denied).of_service("monitoring").times(1));
    let denied = bench.boto3("cloudwatch", "list_metrics", json!({}));
    assert_eq!(denied["refused"], "AccessDenied");

    let acted = Arc::new(AtomicU32::new(0));
    let (counter, other) = (Arc::clone(&acted), bench.aws.clone());
    let meddle = Fault::between(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        other.set_desired("web", 7);
    });
    bench.proxy.inject(Rule::on("SetDesiredCapacity", meddle).of_group("web").after(1).times(1));
    set(3);
    assert_eq!(acted.load(Ordering::SeqCst), 0);
    set(4);
    assert_eq!((acted.load(Ordering::SeqCst), bench.aws.desired("web")), (1, 4));
    let struck: Vec<_> = bench.proxy.calls().iter().filter_map(|call| call.fault).collect();
    assert_eq!(struck, ["throttled", "throttled", "denied", "before"]);
}
