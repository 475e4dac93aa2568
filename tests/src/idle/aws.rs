//! Machines on moto, behind the proxy.

use fleet::Seconds;

use super::site::{Act, Hour, NewMachine, Shape, Site, points};
use crate::peers::{Point, Series};
use crate::world::{AWS, Amazon};

const EC2: &str = "2016-11-15";
const METRICS: &str = "AWS/EC2";
/// Without detailed monitoring a sample counts what happened in so many seconds.
const SAMPLE: f64 = 300.0;

impl Amazon {
    fn ec2(&self, action: &str, with: &[(&str, &str)]) -> String {
        let answer = self.somebody().query("ec2", EC2, action, with);
        answer.unwrap_or_else(|error| panic!("{action}: {error:#}"))
    }
}

impl Site for Amazon {
    fn make(&self, machine: &NewMachine) -> String {
        let NewMachine { name, tags, shape } = machine;
        let class = match shape {
            Shape::Burstable => "t3.micro",
            Shape::Accelerated => "g5g.xlarge",
            _ => "m5.large",
        };
        let mut with: Vec<(String, &str)> = [
            ("ImageId", "ami-12c6146b"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", class),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", name),
        ]
        .map(|(field, value)| (field.to_owned(), value))
        .into();
        for (n, (key, value)) in (2..).zip(tags) {
            with.push((format!("TagSpecification.1.Tag.{n}.Key"), key));
            with.push((format!("TagSpecification.1.Tag.{n}.Value"), value));
        }
        let with: Vec<(&str, &str)> = with.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        let made = self.ec2("RunInstances", &with);
        let id = made.split_once("<instanceId>").and_then(|(_, rest)| rest.split('<').next());
        let id = id.unwrap_or_else(|| panic!("no id: {made}")).to_owned();
        let now = self.proxy.now();
        self.proxy.born(&id, now, now);
        let switch_on = |attribute: &str| {
            self.ec2("ModifyInstanceAttribute", &[("InstanceId", &id), (attribute, "true")]);
        };
        match shape {
            Shape::MemberOf(group) => {
                let named = [("AutoScalingGroupName", *group), ("InstanceIds.member.1", &id)];
                self.somebody().autoscaling("AttachInstances", &named);
            }
            Shape::PaidAnyway => self.proxy.on_host(&id),
            Shape::KeptFromEnd => switch_on("DisableApiTermination.Value"),
            Shape::KeptFromStop => switch_on("DisableApiStop.Value"),
            Shape::Plain | Shape::Burstable | Shape::Accelerated => {}
        }
        id
    }

    fn put_hours(&self, id: &str, hours: &[Hour]) {
        let put = |metric: &str, value: &dyn Fn(&Hour) -> Option<f64>| {
            let points = points(hours, value, |at, value| (at.0, value));
            let dimension = "InstanceId";
            let series = Series { namespace: METRICS, metric, dimension, id, points: &points };
            self.proxy.put_usage(AWS.region, &series);
        };
        put("CPUUtilization", &|hour| Some(hour.cpu));
        for metric in ["NetworkIn", "NetworkOut"] {
            put(metric, &|hour| Some(hour.network * SAMPLE));
        }
        for metric in ["EBSReadOps", "EBSWriteOps"] {
            put(metric, &|hour| hour.disk.map(|ops| ops / 2.0 * SAMPLE));
        }
        put("CPUCreditBalance", &|hour| hour.credits);
        let agents = points(hours, |hour| hour.memory, |start, value| Point { start, value });
        let dimensions = [("InstanceId", id)];
        self.somebody().put_metric("CWAgent", "mem_used_percent", &dimensions, &agents);
    }

    fn untag(&self, id: &str, key: &str) {
        self.ec2("DeleteTags", &[("ResourceId.1", id), ("Tag.1.Key", key)]);
    }

    fn turning_takes(&self, span: Seconds) {
        self.proxy.power_takes(span);
    }

    fn act(&self, operation: &str) -> Option<Act> {
        match operation {
            "StopInstances" => Some(Act::Stop),
            "StartInstances" => Some(Act::Start),
            "CreateTags" => Some(Act::Mark),
            "DeleteTags" => Some(Act::Unmark),
            _ => None,
        }
    }
}
