//! `neap init | neap plan` on a small fleet, with no line edited: what is found, decided, and said where
//! something may not be read.

use std::io::Write as _;
use std::process::{Output, Stdio};

use fleet::{Now as _, Timestamp};
use neap::clock::System;
use tests::clock::TestTime;
use tests::neap::Neap;
use tests::peers::{Aws, Fault, NewGroup, Point, Rule};
use tests::world::{Amazon, REGION};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const ELB: &str = "2015-12-01";
const DAY: i64 = 86_400;

fn text_of(xml: &str, name: &str) -> String {
    let rest = xml.split(&format!("<{name}>")).nth(1).unwrap_or_else(|| panic!("no {name}: {xml}"));
    rest.split('<').next().unwrap_or_default().to_owned()
}

/// What metrics call something: the end of its ARN.
fn in_metrics(arn: &str) -> String {
    let end = arn.splitn(6, ':').nth(5).expect("an ARN");
    end.strip_prefix("loadbalancer/").unwrap_or(end).to_owned()
}

/// Load at a moment: the peak is now, half of it half a day away.
fn load(at: i64, now: i64, peak: f64) -> f64 {
    let angle = (at - now) as f64 / DAY as f64 * std::f64::consts::TAU;
    peak * (0.75 + 0.25 * angle.cos())
}

/// Values each `step` seconds of the last days, up to what has settled.
fn points(now: i64, days: f64, step: i64, value: impl Fn(i64) -> f64) -> Vec<Point> {
    let from = (now - (days * DAY as f64) as i64).div_euclid(step);
    let to = (now - 90).div_euclid(step);
    (from..to).map(|n| Point { start: Timestamp(n * step), value: value(n * step) }).collect()
}

struct Fleet {
    cloud: Amazon,
    neap: Neap,
    balancer: String,
}

/// Two services behind one load balancer, nodes of EKS, and a forgotten machine.
fn fleet() -> Fleet {
    let now = System.now().0;
    let cloud = Amazon::start(TestTime::starting(Timestamp(now)));
    let somebody = cloud.somebody();
    let subnets = somebody.query("ec2", "2016-11-15", "DescribeSubnets", &[]).expect("subnets");
    let ids: Vec<&str> =
        subnets.split("<subnetId>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    let vpc = text_of(&subnets, "vpcId");
    let elb = |action: &str, with: &[(&str, &str)]| {
        let answer = somebody.query("elasticloadbalancing", ELB, action, with);
        answer.unwrap_or_else(|error| panic!("{action}: {error:#}"))
    };
    let with = [("Name", "shop"), ("Subnets.member.1", ids[0]), ("Subnets.member.2", ids[1])];
    let balancer = text_of(&elb("CreateLoadBalancer", &with), "LoadBalancerArn");
    let target_group = |name: &str| {
        let with = [("Name", name), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", vpc.as_str())];
        text_of(&elb("CreateTargetGroup", &with), "TargetGroupArn")
    };
    let (checkout, search) = (target_group("checkout"), target_group("search"));
    for (port, arn) in [("80", &checkout), ("81", &search)] {
        let with = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTP"),
            ("Port", port),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", arn),
        ];
        elb("CreateListener", &with);
    }
    let balancer = in_metrics(&balancer);
    let serve = |name: &str, units: u32, arn: &str| {
        somebody.create_group(&NewGroup::new(name, 2, 30, units));
        let with = [("AutoScalingGroupName", name), ("TargetGroupARNs.member.1", arn)];
        somebody.autoscaling("AttachLoadBalancerTargetGroups", &with);
    };
    serve("checkout-asg", 5, &checkout);
    serve("search-asg", 6, &search);
    let label = format!("{balancer}/{}", in_metrics(&checkout));
    let of = "TargetTrackingConfiguration";
    let fields = [
        ("AutoScalingGroupName".to_owned(), "checkout-asg".to_owned()),
        ("PolicyName".to_owned(), "per-target".to_owned()),
        ("PolicyType".to_owned(), "TargetTrackingScaling".to_owned()),
        (
            format!("{of}.PredefinedMetricSpecification.PredefinedMetricType"),
            "ALBRequestCountPerTarget".to_owned(),
        ),
        (format!("{of}.PredefinedMetricSpecification.ResourceLabel"), label),
        (format!("{of}.TargetValue"), "600".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    somebody.autoscaling("PutScalingPolicy", &fields);
    let tag = ("eks:nodegroup-name".to_owned(), "general".to_owned());
    somebody.create_group(&NewGroup { tags: vec![tag], ..NewGroup::new("nodes", 1, 6, 2) });
    forgotten(&somebody, ids[0]);
    // A policy says what a unit of checkout carries: a day is enough. Of search days have to tell.
    for (arn, peak, days) in [(&checkout, 90.0, 1.2), (&search, 60.0, 3.3)] {
        let dimensions = [("LoadBalancer", balancer.as_str()), ("TargetGroup", &in_metrics(arn))];
        let values = points(now, days, 60, |at| load(at, now, peak) * 60.0);
        somebody.put_metric("AWS/ApplicationELB", "RequestCount", &dimensions, &values);
    }
    // 60/s on 6 units at 35 %: 20/s a unit at 70 %.
    let cpu = points(now, 3.3, 300, |at| load(at, now, 35.0));
    let dimensions = [("AutoScalingGroupName", "search-asg")];
    somebody.put_metric("AWS/EC2", "CPUUtilization", &dimensions, &cpu);
    Fleet { cloud, neap: Neap::new(BINARY, ""), balancer }
}

fn forgotten(somebody: &Aws, subnet: &str) {
    let with = [
        ("ImageId", "ami-12c6146b"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("InstanceType", "t3.micro"),
        ("SubnetId", subnet),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "env"),
        ("TagSpecification.1.Tag.1.Value", "dev"),
        ("TagSpecification.1.Tag.2.Key", "Name"),
        ("TagSpecification.1.Tag.2.Value", "dev-anna"),
    ];
    somebody.query("ec2", "2016-11-15", "RunInstances", &with).expect("a machine");
}

impl Fleet {
    fn init(&self) -> Output {
        let url = self.cloud.proxy.url();
        let arguments =
            ["init", "--provider", "aws", "--region", REGION, "--endpoint-url", url.as_str()];
        self.neap.output_bare(&arguments)
    }

    /// `neap plan --config -`, with this at its standard input.
    fn plan(&self, config: &[u8]) -> Output {
        let mut command = self.neap.bare(&["plan", "--config", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("neap runs");
        child.stdin.take().expect("piped").write_all(config).expect("neap reads");
        child.wait_with_output().expect("neap ends")
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Comments are broken where a line is full.
    format!("{}\n{}", text(&output.stdout), text(&output.stderr)).replace("\n# ", " ")
}

#[test]
fn the_first_plan_decides_with_no_line_edited() {
    let fleet = fleet();
    let init = fleet.init();
    let printed = said(&init);
    assert_eq!(init.status.code(), Some(0), "{printed}");
    for part in [
        "TargetGroup = \"targetgroup/checkout/",
        "TargetGroup = \"targetgroup/search/",
        "Policy `per-target` holds 600 requests a minute and unit.",
        "capacity_per_unit = 10 ",
        "Policy `per-target` takes units away",
        "price_usd_hourly = 0.0104",
        "EKS owns it",
        "match = { tags = { env = [\"dev\"] } }",
        "mode = \"observe\"",
    ] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    assert!(printed.contains(&format!("LoadBalancer = \"{}\"", fleet.balancer)), "{printed}");
    let measured = printed.lines().filter_map(|line| line.strip_prefix("capacity_per_unit = "));
    let measured: Vec<f64> = measured.filter_map(|value| value.parse().ok()).collect();
    assert!(measured.iter().any(|value| (value - 20.0).abs() < 1.0), "{measured:?} in\n{printed}");
    // The state of another neap on this machine is none of this test.
    let state = fleet.neap.path("state").display().to_string();
    let config = String::from_utf8_lossy(&init.stdout).replace("/var/lib/neap", &state);
    let plan = fleet.plan(config.as_bytes());
    let decided = said(&plan);
    assert_eq!(plan.status.code(), Some(0), "{decided}\n{config}");
    assert!(!decided.contains("capacity is not known yet"), "{decided}");
    let line = decided.lines().find(|line| line.starts_with("checkout-asg"));
    let line = line.unwrap_or_else(|| panic!("nothing on checkout in\n{decided}"));
    // 90/s at 10/s a unit, and five units.
    assert!(line.contains("2 -> ") || line.contains("5 -> "), "{line} in\n{decided}");
    assert!(decided.lines().any(|line| line.starts_with("search-asg")), "{decided}");
    assert!(fleet.cloud.proxy.writes().is_empty(), "nothing was changed");
}

#[test]
fn what_may_not_be_read_is_named_and_costs_nothing_else() {
    let fleet = fleet();
    fleet.cloud.proxy.inject(Rule::on("DescribeTargetGroups", Fault::Denied));
    fleet.cloud.proxy.inject(Rule::on("GetMetricData", Fault::Denied));
    let init = fleet.init();
    let printed = said(&init);
    assert_eq!(init.status.code(), Some(0), "{printed}");
    for part in [
        "elasticloadbalancing:DescribeTargetGroups",
        "cloudwatch:GetMetricData",
        // What the policy names needs no load balancer to be read.
        "which its policy `per-target` names",
        "TargetGroup = \"targetgroup/checkout/",
        "Its samples could not be read.",
        "#name = \"search-asg\"",
    ] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    fleet.cloud.proxy.inject(Rule::on("DescribeAutoScalingGroups", Fault::Denied));
    let init = fleet.init();
    let printed = said(&init);
    assert_eq!(init.status.code(), Some(3), "{printed}");
    assert!(printed.contains("[provider.aws]"), "{printed}");
    assert!(printed.contains("autoscaling:DescribeAutoScalingGroups"), "{printed}");
}
