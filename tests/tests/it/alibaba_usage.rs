//! What instances of Alibaba Cloud did, as it was put into the stand-in, and what things cost there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::money::{Currency, PriceQuery};
use fleet::resource::{ResourceId, ResourceKind};
use fleet::signs::PriceSource;
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, FaultKind, ProviderName, Region, Seconds, Timestamp};
use providers::alibaba::Alibaba as Adapter;
use providers::{Deadline, Estate, Provider};
use tests::clock::TestTime;
use tests::peers::{Alibaba, Fault, Point, Rule, settings};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGION: &str = "ap-southeast-1";
const TYPE: &str = "ecs.g7.large";
const METRICS: &str = "acs_ecs_dashboard";
const HOUR: i64 = 3600;

struct Bench {
    cloud: Alibaba,
    adapter: Adapter,
}

fn by() -> Deadline {
    Deadline::within(Duration::from_secs(60))
}

fn id(kind: ResourceKind, id: &str) -> ResourceId {
    ResourceId {
        provider: ProviderName::new("ali").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(REGION).expect("a region"),
        kind,
        id: id.to_owned(),
    }
}

fn machine(name: &str) -> ResourceId {
    id(ResourceKind::Instance, name)
}

impl Bench {
    fn new() -> Bench {
        let time = TestTime::starting(START);
        let cloud = Alibaba::start(time.clone());
        let adapter = Adapter::new(settings(&cloud, &[REGION]), Arc::new(time));
        Bench { cloud, adapter }
    }

    fn estate(&self) -> &dyn Estate {
        self.adapter.estate().expect("machines may be idle")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_months_hourly_maxima_are_those_that_were_put() {
    const MACHINES: usize = 60;
    const HOURS: i64 = 35 * 24;
    let bench = Bench::new();
    let from = START - Seconds((HOURS * HOUR) as u64);
    let ids: Vec<String> = (0..MACHINES).map(|n| format!("i-{n:03}")).collect();
    let value = |machine: usize, hour: i64, metric: i64| {
        f64::from(((machine as i64 * 7 + hour * 13 + metric * 29) % 97) as i32)
    };
    let names =
        ["CPUUtilization", "IntranetInRate", "InternetInRate", "DiskReadIOPS", "DiskWriteIOPS"];
    for (machine, id) in ids.iter().enumerate() {
        for (metric, name) in names.iter().enumerate() {
            // Two values an hour, of which the greater counts.
            let points: Vec<Point> = (0..HOURS)
                .flat_map(|hour| {
                    let start = Timestamp(from.0 + hour * HOUR);
                    let value = value(machine, hour, metric as i64);
                    [(60, value), (120, value / 2.0)]
                        .map(|(after, value)| Point { start: start + Seconds(after), value })
                })
                .collect();
            bench.cloud.put_metric(METRICS, name, &[("instanceId", id)], &points);
        }
    }
    let signals = [Signal::Cpu, Signal::NetworkIn, Signal::DiskOps];
    let queries: Vec<UsageQuery> = ids
        .iter()
        .flat_map(|id| signals.map(|signal| (id, signal)))
        .map(|(id, signal)| UsageQuery {
            resource: machine(id),
            signal,
            sampled_every: Seconds(60),
        })
        .collect();
    let began = Instant::now();
    let hour = Seconds(HOUR as u64);
    let answers = bench.estate().usage(&queries, from, START, hour, by()).await;
    let took = began.elapsed();
    for ((index, query), answer) in queries.iter().enumerate().zip(answers) {
        let (machine, samples) = (index / signals.len(), answer.expect("readable"));
        assert_eq!(samples.len() as i64, HOURS, "{}", query.resource);
        for (hour, sample) in (0..).zip(samples) {
            let of = |metric| value(machine, hour, metric);
            let due = match query.signal {
                Signal::Cpu => of(0),
                Signal::NetworkIn => (of(1) + of(2)) / 8.0,
                _ => of(3) + of(4),
            };
            assert_eq!(sample.start.0, from.0 + hour * HOUR);
            assert!((sample.value - due).abs() < 1e-9, "{query:?} at {hour}: {}", sample.value);
        }
    }
    // Of each full call of 50 machines 26 pages of 31 days and 4 of the rest, of the other one 6 and
    // 1; one more for the public address that nobody has, in both windows.
    let calls = bench.cloud.count("DescribeMetricList");
    assert_eq!(calls, 5 * (26 + 4 + 6 + 1) + 4);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_of_agents_and_credits_are_put_together() {
    let bench = Bench::new();
    let put = |metric: &str, dimensions: &[(&str, &str)], values: [f64; 2]| {
        let points = [60, 120].into_iter().zip(values);
        let points: Vec<Point> =
            points.map(|(at, value)| Point { start: START - Seconds(300 - at), value }).collect();
        bench.cloud.put_metric(METRICS, metric, dimensions, &points);
    };
    let one = ("instanceId", "i-1");
    put("gpu_gpu_usedutilization", &[one, ("gpuId", "0")], [5.0, 7.0]);
    put("gpu_gpu_usedutilization", &[one, ("gpuId", "1")], [1.0, 70.0]);
    put("net_tcpconnection", &[one, ("state", "ESTABLISHED")], [2.0, 3.0]);
    put("net_tcpconnection", &[one, ("state", "TIME_WAIT")], [90.0, 90.0]);
    put("CPUCreditBalance", &[one], [12.0, 11.0]);
    put("IntranetOutRate", &[one], [8.0, 16.0]);
    put("VPC_PublicIP_InternetOutRate", &[one, ("ip", "47.0.0.1")], [8.0, 8.0]);
    put("VPC_PublicIP_InternetOutRate", &[one, ("ip", "47.0.0.2")], [8.0, 24.0]);
    let ask =
        |signal, kind| UsageQuery { resource: id(kind, "i-1"), signal, sampled_every: Seconds(60) };
    let machine = ResourceKind::Instance;
    let queries = [
        ask(Signal::Gpu, machine),
        ask(Signal::Connections, machine),
        ask(Signal::CreditsLeft, machine),
        ask(Signal::NetworkOut, machine),
        ask(Signal::Memory, machine),
        ask(Signal::Cpu, ResourceKind::Volume),
    ];
    let from = START - Seconds(300);
    let answers = bench.estate().usage(&queries, from, START, Seconds(300), by()).await;
    let values: Vec<Option<f64>> = answers[..5]
        .iter()
        .map(|a| a.as_ref().expect("readable").first().map(|s| s.value))
        .collect();
    assert_eq!(values, [Some(70.0), Some(3.0), Some(11.0), Some((16.0 + 8.0 + 24.0) / 8.0), None]);
    assert_eq!(answers[5].as_ref().expect_err("no usage").kind, FaultKind::Refused);
    let kept = |step| bench.estate().usage_kept(Signal::Cpu, Seconds(step));
    assert_eq!([kept(60), kept(300), kept(3600)], [31, 91, 91].map(Seconds::days));
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_in_the_accounts_currency_and_unknown_ones_are_none() {
    let bench = Bench::new();
    let query = |kind, class: &str, platform: Option<&str>| PriceQuery {
        provider: ProviderName::new("ali").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(REGION).expect("a region"),
        kind,
        class: class.to_owned(),
        platform: platform.map(str::to_owned),
    };
    let machine = query(ResourceKind::Instance, TYPE, Some("linux"));
    let queries = [
        machine.clone(),
        query(ResourceKind::Volume, "cloud_essd", Some("PL1")),
        query(ResourceKind::Instance, "ecs.never.heard", None),
        query(ResourceKind::Address, "BGP", None),
        machine,
    ];
    let prices = bench.estate().prices(&queries, by()).await;
    let read: Vec<Option<(u64, Currency)>> = prices
        .iter()
        .map(|price| price.as_ref().expect("readable").as_ref())
        .map(|price| price.map(|price| (price.hourly_micro, price.currency)))
        .collect();
    let large = Some((400_000, Currency::Cny));
    assert_eq!(read, [large, Some((1_400, Currency::Cny)), None, None, large]);
    let first = prices[0].clone().expect("readable").expect("known");
    assert_eq!((first.source, first.as_of), (PriceSource::AlibabaApi.into(), START));
    assert_eq!(bench.cloud.count("DescribePrice"), 3, "equal queries are asked once");
    bench.cloud.inject(Rule::on("DescribePrice", Fault::Denied));
    let denied = bench.estate().prices(&queries[..1], by()).await.remove(0);
    let permission = Some("ecs:DescribePrice".to_owned());
    assert_eq!(denied.expect_err("denied").kind, FaultKind::Denied { permission });
}
