//! The providers' contract, kept by the Alibaba Cloud adapter against a stand-in whose signatures
//! the vendor's own packages judge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fleet::metric::{MetricKey, MetricQuery};
use fleet::{AccountId, GroupRef, ProviderName, Region, Seconds, Timestamp};
use providers::Provider;
use providers::alibaba::Alibaba as Adapter;
use providers::contract::{Bench, Misbehaviour, Size, plain_query};
use tests::clock::{TestTime, locked};
use tests::contract::keep;
use tests::peers::{Alibaba, Fault, Gate, NewScalingGroup, Point, Rule, Then, settings};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGIONS: [&str; 2] = ["ap-southeast-1", "eu-central-1"];
const NAMESPACE: &str = "acs_contract";
const READS: [&str; 6] = [
    "DescribeScalingGroups",
    "DescribeScalingInstances",
    "DescribeScalingActivities",
    "DescribeScalingRules",
    "DescribeScheduledTasks",
    "DescribeMetricList",
];
const WRITES: [&str; 2] = ["ScaleWithAdjustment", "ModifyScalingGroup"];

struct Peer {
    cloud: Alibaba,
    time: TestTime,
    adapter: Adapter,
    /// What was added to each interval: the cloud has one number for it.
    sums: Mutex<BTreeMap<(MetricKey, Timestamp), f64>>,
}

impl Peer {
    fn new() -> Peer {
        let time = TestTime::starting(START);
        let cloud = Alibaba::start(time.clone());
        cloud.boot_takes(Seconds(90));
        let adapter = Adapter::new(settings(&cloud, &REGIONS), Arc::new(time.clone()));
        Peer { cloud, time, adapter, sums: Mutex::default() }
    }

    fn inject(&self, operations: &[&str], fault: &Fault) {
        for operation in operations {
            self.cloud.inject(Rule::on(operation, fault.clone()));
        }
    }
}

#[async_trait]
impl Bench for Peer {
    fn provider(&self) -> &dyn Provider {
        &self.adapter
    }

    fn now(&self) -> Timestamp {
        self.time.now()
    }

    async fn advance(&self, span: Seconds) {
        self.time.set(self.time.now() + span);
    }

    fn reference(&self, place: usize, name: &str) -> GroupRef {
        GroupRef {
            provider: ProviderName::new("ali").expect("a name"),
            account: AccountId::new("default").expect("a name"),
            region: Region::new(REGIONS[place]).expect("a region"),
            name: name.to_owned(),
        }
    }

    async fn make_group(&self, group: &GroupRef, size: Size) {
        let region = group.region.as_str();
        let new = NewScalingGroup::new(region, &group.name, size.min, size.max, size.desired);
        self.cloud.create_group(&new);
        // All of its units in service, as the contract wants it.
        self.time.set(self.time.now() + Seconds::minutes(2));
    }

    async fn delete_group(&self, group: &GroupRef) {
        self.cloud.delete_group(group.region.as_str(), &group.name);
    }

    async fn somebody_sets_desired(&self, group: &GroupRef, desired: u32) {
        self.cloud.set_desired(group.region.as_str(), &group.name, desired);
    }

    fn metric(&self, name: &str) -> MetricQuery {
        plain_query(&self.reference(0, "any"), NAMESPACE, "Requests", name)
    }

    async fn add_value(&self, metric: &MetricQuery, start: Timestamp, value: f64) {
        let mut sums = locked(&self.sums);
        let sum = sums.entry((metric.key(), start)).or_default();
        *sum += value;
        let dimensions: Vec<_> =
            metric.dimensions.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let point = Point { start, value: *sum };
        self.cloud.put_metric(&metric.namespace, &metric.metric, &dimensions, &[point]);
    }

    async fn misbehave(&self, how: Misbehaviour) {
        match how {
            Misbehaviour::ReadsThrottled => self.inject(&READS[..5], &Fault::Throttled),
            Misbehaviour::WritesThrottled => self.inject(&WRITES, &Fault::Throttled),
            Misbehaviour::ReadsDenied => self.inject(&READS[..5], &Fault::Denied),
            Misbehaviour::WritesDenied => self.inject(&WRITES, &Fault::Denied),
            Misbehaviour::Unreachable => self.cloud.unplug(),
            Misbehaviour::ReadsSlow => self.inject(&READS, &Fault::Dead),
            Misbehaviour::ReadsSlowIn(place) => {
                for operation in &READS[..5] {
                    let rule = Rule::on(operation, Fault::Dead).in_region(REGIONS[place]);
                    self.cloud.inject(rule);
                }
            }
            Misbehaviour::WritesSlow => {
                let gate = Gate::new();
                self.inject(&WRITES, &Fault::hold_after(&gate, Then::Cut));
            }
            Misbehaviour::AnswersLost => self.inject(&WRITES, &Fault::cut_after()),
        }
    }

    async fn calm(&self) {
        self.cloud.heal();
        self.cloud.plug_in();
    }
}

#[test]
fn the_adapter_keeps_the_contract() {
    keep(&Peer::new());
}
