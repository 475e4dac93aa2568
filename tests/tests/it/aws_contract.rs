//! The providers' contract, kept by the AWS adapter against a real peer.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet::metric::MetricQuery;
use fleet::{AccountId, GroupRef, ProviderName, Region, Seconds, Timestamp};
use providers::Provider;
use providers::aws::{Aws as Adapter, Settings};
use providers::contract::{Bench, Misbehaviour, Size, plain_query};
use tests::clock::TestTime;
use tests::contract::{apart, keep};
use tests::peers::{Aws, Fault, Gate, Moto, NewGroup, Point, Proxy, Rule, Then};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const NAMESPACE: &str = "Contract";
const WRITES: [&str; 2] = ["SetDesiredCapacity", "UpdateAutoScalingGroup"];

struct Peer {
    _moto: Moto,
    proxy: Proxy,
    time: TestTime,
    adapter: Adapter,
}

impl Peer {
    fn new() -> Peer {
        let moto = Moto::start();
        let time = TestTime::starting(START);
        let proxy = Proxy::start(moto.address(), time.clone());
        proxy.boot_takes(Seconds(90));
        let name = ProviderName::new("aws").expect("a name");
        let regions = REGIONS.into_iter().filter_map(Region::new).collect();
        let mut settings = Settings::new(name, regions);
        settings.endpoint_url = Some(proxy.url());
        let adapter = Adapter::new(settings, Arc::new(time.clone()));
        Peer { _moto: moto, proxy, time, adapter }
    }

    fn somebody(&self, group: &GroupRef) -> Aws {
        Aws::at(self.proxy.address(), group.region.as_str())
    }

    fn inject(&self, operations: &[&str], fault: &Fault) {
        for operation in operations {
            self.proxy.inject(Rule::on(operation, fault.clone()));
        }
    }
}

const READS: [&str; 5] = [
    "DescribeAutoScalingGroups",
    "DescribeScalingActivities",
    "DescribePolicies",
    "DescribeScheduledActions",
    "GetMetricData",
];

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
            provider: ProviderName::new("aws").expect("a name"),
            account: AccountId::new("default").expect("a name"),
            region: Region::new(REGIONS[place]).expect("a region"),
            name: name.to_owned(),
        }
    }

    async fn make_group(&self, group: &GroupRef, size: Size) {
        let (cloud, name) = (self.somebody(group), group.name.clone());
        apart(move || {
            cloud.create_group(&NewGroup::new(&name, size.min, size.max, size.desired));
            cloud.desired(&name);
        })
        .await;
    }

    async fn delete_group(&self, group: &GroupRef) {
        let (cloud, name) = (self.somebody(group), group.name.clone());
        apart(move || cloud.delete_group(&name)).await;
    }

    async fn somebody_sets_desired(&self, group: &GroupRef, desired: u32) {
        let (cloud, name) = (self.somebody(group), group.name.clone());
        apart(move || cloud.set_desired(&name, desired)).await;
    }

    fn metric(&self, name: &str) -> MetricQuery {
        plain_query(&self.reference(0, "any"), NAMESPACE, "Requests", name)
    }

    async fn add_value(&self, metric: &MetricQuery, start: Timestamp, value: f64) {
        let cloud = Aws::at(self.proxy.address(), metric.region.as_str());
        let (name, dimensions) = (metric.metric.clone(), metric.dimensions.clone());
        apart(move || {
            let dimensions: Vec<_> =
                dimensions.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            cloud.put_metric(NAMESPACE, &name, &dimensions, &[Point { start, value }]);
        })
        .await;
    }

    async fn misbehave(&self, how: Misbehaviour) {
        match how {
            Misbehaviour::ReadsThrottled => self.inject(&READS[..4], &Fault::Throttled),
            Misbehaviour::WritesThrottled => self.inject(&WRITES, &Fault::Throttled),
            Misbehaviour::ReadsDenied => self.inject(&READS[..4], &Fault::Denied),
            Misbehaviour::WritesDenied => self.inject(&WRITES, &Fault::Denied),
            Misbehaviour::Unreachable => self.proxy.unplug(),
            Misbehaviour::ReadsSlow => self.inject(&READS, &Fault::Dead),
            Misbehaviour::ReadsSlowIn(place) => {
                let region = self.reference(place, "any").region;
                for operation in &READS[..4] {
                    let rule = Rule::on(operation, Fault::Dead).in_region(region.as_str());
                    self.proxy.inject(rule);
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
        self.proxy.heal();
        self.proxy.plug_in();
        // The SDK's own rate control looks at the time, and lets more through as it goes by.
        self.time.set(self.time.now() + Seconds::minutes(10));
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// The SDK's chain of credentials reads the environment, and a process cannot safely change its own
/// while threads run: so the test runs itself again with what it needs.
const INSIDE: &str = "NEAP_TESTS_INSIDE";

#[test]
fn the_adapter_keeps_the_contract() {
    if std::env::var_os(INSIDE).is_some() {
        return keep(&Peer::new());
    }
    let itself = std::env::current_exe().expect("our own path");
    let ran = Command::new(itself)
        .args(["--exact", "aws_contract::the_adapter_keeps_the_contract", "--nocapture"])
        .env(INSIDE, "1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("we start again");
    let said = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}\n{errors}");
}
