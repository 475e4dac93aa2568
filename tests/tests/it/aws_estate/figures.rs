//! What machines did, and what they cost.

use std::time::{Duration, Instant};

use fleet::money::{Currency, PriceQuery};
use fleet::resource::ResourceKind;
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, FaultKind, ProviderName, Region, Seconds, Timestamp};
use tests::peers::{Fault, Rule, Series};

use super::cloud::{Cloud, REGION, START, instance, patience};

#[test]
fn hourly_maxima_of_35_days_are_what_was_put() {
    const MACHINES: usize = 60;
    const DAYS: i64 = 35;
    const HOUR: i64 = 3600;
    let Some(cloud) = Cloud::inside("figures::hourly_maxima_of_35_days_are_what_was_put") else {
        return;
    };
    let began = START.0 - DAYS * 24 * HOUR;
    // Two values an hour, of which the first is the greater.
    let points = |machine: usize, scale: f64| -> Vec<(i64, f64)> {
        (0..DAYS * 24)
            .flat_map(|hour| {
                let value = scale * (1.0 + ((hour * 7 + machine as i64 * 13) % 100) as f64);
                [(began + hour * HOUR + 300, value), (began + hour * HOUR + 900, value / 2.0)]
            })
            .collect()
    };
    let put = |machine: usize, metric: &str, scale: f64| {
        let id = format!("i-{machine:017x}");
        cloud.proxy.put_usage(
            REGION,
            &Series {
                namespace: "AWS/EC2",
                metric,
                dimension: "InstanceId",
                id: &id,
                points: &points(machine, scale),
            },
        );
    };
    let metrics = [
        ("CPUUtilization", 0.5),
        ("NetworkIn", 300.0),
        ("NetworkOut", 600.0),
        ("EBSReadOps", 300.0),
        ("EBSWriteOps", 900.0),
        ("CPUCreditBalance", 2.0),
    ];
    let mut queries = Vec::new();
    for machine in 0..MACHINES {
        for (metric, scale) in metrics {
            put(machine, metric, scale);
        }
        for signal in [
            Signal::Cpu,
            Signal::NetworkIn,
            Signal::NetworkOut,
            Signal::DiskOps,
            Signal::CreditsLeft,
        ] {
            let resource = instance(&format!("i-{machine:017x}"));
            queries.push(UsageQuery { resource, signal, sampled_every: Seconds(300) });
        }
    }
    let none = UsageQuery {
        resource: instance("i-none"),
        signal: Signal::Cpu,
        sampled_every: Seconds(300),
    };
    queries.push(none);
    let started = Instant::now();
    let (from, to, step) = (Timestamp(began), START, Seconds(3600));
    let usage = cloud.estate().usage(&queries, from, to, step, patience());
    let answers = cloud.runtime.block_on(usage);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(answers.len(), queries.len());
    for (query, answer) in queries.iter().zip(&answers) {
        let samples = answer.as_ref().expect("it was read");
        if query.resource.id == "i-none" {
            assert!(samples.is_empty());
            continue;
        }
        let machine = i64::from_str_radix(&query.resource.id[2..], 16).expect("a number");
        assert_eq!(samples.len() as i64, DAYS * 24);
        for (hour, sample) in (0..).zip(samples) {
            let wave = 1.0 + ((hour * 7 + machine * 13) % 100) as f64;
            let expected = match query.signal {
                Signal::Cpu => wave * 0.5,
                Signal::NetworkIn => wave,
                Signal::NetworkOut => wave * 2.0,
                Signal::DiskOps => wave * 4.0,
                _ => wave,
            };
            assert_eq!(sample.start, Timestamp(began + hour * HOUR));
            assert!((sample.value - expected).abs() < 1e-9, "{query:?}: {sample:?} {expected}");
        }
    }
    let kept = |step| cloud.estate().usage_kept(Signal::Cpu, Seconds(step));
    assert_eq!(kept(60), Seconds::days(15));
    assert_eq!(kept(300), Seconds::days(63));
    assert_eq!(kept(3600), Seconds::days(455));
}

#[test]
fn prices_are_the_lists_and_unknown_is_none() {
    let Some(cloud) = Cloud::inside("figures::prices_are_the_lists_and_unknown_is_none") else {
        return;
    };
    let query = |kind, class: &str, platform: Option<&str>| PriceQuery {
        provider: ProviderName::new("aws").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new("eu-west-1").expect("a region"),
        kind,
        class: class.to_owned(),
        platform: platform.map(str::to_owned),
    };
    let queries = [
        query(ResourceKind::Instance, "t3.micro", Some("Linux/UNIX")),
        query(ResourceKind::Instance, "t3.micro", Some("Windows")),
        query(ResourceKind::Instance, "zz.nothing", Some("Linux/UNIX")),
        query(ResourceKind::Database, "db.t3.micro", Some("postgres")),
        query(ResourceKind::Volume, "gp3", None),
        query(ResourceKind::Snapshot, "standard", None),
        query(ResourceKind::Address, "", None),
        query(ResourceKind::LoadBalancer, "application", None),
        query(ResourceKind::Instance, "t3.micro", Some("Linux/UNIX")),
    ];
    let answers = cloud.runtime.block_on(cloud.estate().prices(&queries, patience()));
    let prices: Vec<Option<u64>> = answers
        .iter()
        .map(|answer| answer.as_ref().expect("it was asked").as_ref().map(|p| p.hourly_micro))
        .collect();
    let [linux, volume, snapshot] = [Some(10_400), Some(110), Some(68)];
    let expected =
        [linux, Some(19_600), None, Some(18_000), volume, snapshot, Some(5_000), None, linux];
    assert_eq!(prices, expected);
    let first = answers[0].clone().expect("asked").expect("a price");
    assert_eq!((first.currency, first.as_of), (Currency::Usd, START));
    assert_eq!(cloud.proxy.count("GetProducts"), 7, "equal questions are asked once");
    let asked = cloud.proxy.calls().into_iter().find(|call| call.operation == "GetProducts");
    assert_eq!(asked.expect("a call").region, "us-east-1", "the list's home");
    cloud.proxy.inject(Rule::on("GetProducts", Fault::Denied));
    let denied = cloud.runtime.block_on(cloud.estate().prices(&queries[..1], patience()));
    let fault = denied[0].as_ref().expect_err("denied");
    let permission = Some("pricing:GetProducts".to_owned());
    assert_eq!(fault.kind, FaultKind::Denied { permission });
}
