//! Machines on the stand-in for Alibaba Cloud.

use fleet::Seconds;
use serde_json::{Value, json};

use super::site::{Act, Hour, NewMachine, Shape, Site, points};
use crate::peers::{Alibaba, NewEcs, Point};
use crate::world::ALI;

/// The metrics of instances.
const METRICS: &str = "acs_ecs_dashboard";
/// Rates of the network are told in bits.
const BITS: f64 = 8.0;

impl Site for Alibaba {
    fn make(&self, machine: &NewMachine) -> String {
        let NewMachine { name, tags, shape } = machine;
        let class = match shape {
            Shape::Burstable => "ecs.t6-c1m2.large",
            Shape::Accelerated => "ecs.gn6i-c4g1.xlarge",
            _ => "ecs.g7.large",
        };
        let shows = match shape {
            Shape::KeptFromEnd => json!({ "DeletionProtection": true }),
            Shape::KeptFromStop => {
                json!({ "OperationLocks": { "LockReason": [{ "LockReason": "security" }] } })
            }
            _ => Value::Null,
        };
        let paid = if *shape == Shape::PaidAnyway { "PrePaid" } else { "PostPaid" };
        let id = self.create_instance(&NewEcs {
            name: name.clone(),
            tags: tags.clone(),
            charge_type: paid.into(),
            shows,
            ..NewEcs::new(ALI.region, class)
        });
        if let Shape::MemberOf(group) = shape {
            self.attach_instance(group, &id);
        }
        id
    }

    fn put_hours(&self, id: &str, hours: &[Hour]) {
        let put = |metric: &str, value: &dyn Fn(&Hour) -> Option<f64>| {
            let all = points(hours, value, |start, value| Point { start, value });
            if !all.is_empty() {
                self.put_metric(METRICS, metric, &[("instanceId", id)], &all);
            }
        };
        put("CPUUtilization", &|hour| Some(hour.cpu));
        for metric in ["IntranetInRate", "IntranetOutRate"] {
            put(metric, &|hour| Some(hour.network * BITS));
        }
        for metric in ["DiskReadIOPS", "DiskWriteIOPS"] {
            put(metric, &|hour| hour.disk.map(|ops| ops / 2.0));
        }
        put("memory_usedutilization", &|hour| hour.memory);
        put("CPUCreditBalance", &|hour| hour.credits);
    }

    fn untag(&self, id: &str, key: &str) {
        self.untag_instance(id, key);
    }

    fn turning_takes(&self, span: Seconds) {
        Alibaba::turning_takes(self, span);
    }

    fn act(&self, operation: &str) -> Option<Act> {
        match operation {
            "StopInstances" => Some(Act::Stop),
            "StartInstances" => Some(Act::Start),
            "TagResources" => Some(Act::Mark),
            "UntagResources" => Some(Act::Unmark),
            _ => None,
        }
    }
}
