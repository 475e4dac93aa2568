//! What Alibaba Cloud's adapter costs by itself: a signature, and a cycle's reading of 500 groups
//! with 10,000 members and a metric each, from a server that answers after 50 ms.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use fleet::metric::{MetricQuery, Statistic, WhenMissing};
use fleet::{AccountId, GroupRef, ProviderName, Region, Seconds, Step, Timestamp};
use providers::alibaba::sign::{Keys, Once, Request};
use providers::alibaba::{Alibaba, Environment, Params, Settings};
use providers::{Deadline, Inventory, Metrics, Now};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const GROUPS: usize = 500;
const MEMBERS: usize = 10_000;
const LATENCY: Duration = Duration::from_millis(50);
const NOW: Timestamp = Timestamp(1_772_452_800);

fn signing(c: &mut Criterion) {
    let keys = Keys {
        access_key_id: "LTAI5tSomebody".to_owned(),
        access_key_secret: "secret".into(),
        security_token: Some("a".repeat(600).into()),
        provider: Cow::Borrowed("ecs_ram_role"),
    };
    let names: Vec<String> = (0..20).map(|n| format!("a-group-of-machines-{n}")).collect();
    let params = Params::new().with("RegionId", "ap-southeast-1");
    let query = params.with_list("ScalingGroupNames", &names).into_pairs();
    c.bench_function("alibaba, a request with 20 names signed", |b| {
        b.iter(|| {
            let once = Once { date: NOW, nonce: "0123456789abcdef", user_agent: "neap" };
            let query = black_box(query.clone());
            Request::rpc("ess.aliyuncs.com", "2022-02-22", "DescribeScalingGroups", query)
                .sign(&keys, once)
        });
    });
}

/// A clock that the bench moves.
#[derive(Debug)]
struct Clock(AtomicU64);

impl Now for Clock {
    fn now(&self) -> Timestamp {
        NOW + Seconds(self.0.load(Ordering::Relaxed))
    }
}

/// Serves the listings on a free port; counts calls.
async fn serve(calls: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its number");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&calls)));
        }
    });
    format!("http://{address}")
}

async fn answer(stream: TcpStream, calls: Arc<AtomicU64>) {
    let mut wire = BufReader::new(stream);
    loop {
        let (mut target, mut action, mut length) = (String::new(), String::new(), 0);
        let mut line = String::new();
        loop {
            line.clear();
            if wire.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            match text.split_once(": ") {
                Some(("x-acs-action", value)) => action = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                None if text.starts_with("POST ") => target = text.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if wire.read_exact(&mut body).await.is_err() {
            return;
        }
        calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LATENCY).await;
        let body = page(&action, &target);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let sent = [head.as_bytes(), body.as_bytes()].concat();
        if wire.get_mut().write_all(&sent).await.is_err() {
            return;
        }
    }
}

fn page(action: &str, target: &str) -> String {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let query = query.split(' ').next().unwrap_or_default();
    let parameters: BTreeMap<&str, &str> =
        query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut items = Vec::new();
    let (list, total) = match action {
        "DescribeScalingGroups" => {
            let named = parameters.iter().filter(|(name, _)| name.starts_with("ScalingGroupNames"));
            items.extend(named.map(|(_, name)| group(name)));
            ("ScalingGroups", items.len())
        }
        "DescribeScalingInstances" => {
            let (page, size): (usize, usize) = (number("PageNumber"), number("PageSize"));
            let shown = ((page - 1) * size..page * size).take_while(|n| *n < MEMBERS);
            items.extend(shown.map(member));
            ("ScalingInstances", MEMBERS)
        }
        "DescribeScalingActivities" => ("ScalingActivities", 0),
        "DescribeScalingRules" => ("ScalingRules", 0),
        "DescribeScheduledTasks" => ("ScheduledTasks", 0),
        _ => return datapoints(parameters.get("Dimensions").copied().unwrap_or_default()),
    };
    format!(r#"{{"RequestId":"r","TotalCount":{total},"{list}":[{}]}}"#, items.join(","))
}

fn group(name: &str) -> String {
    let each = MEMBERS / GROUPS;
    format!(
        r#"{{"ScalingGroupId":"asg-{name}","ScalingGroupName":"{name}","MinSize":1,"MaxSize":99,
        "DesiredCapacity":{each},"EnableDesiredCapacity":true,"TotalCapacity":{each},
        "TotalInstanceCount":{each},"ActiveCapacity":{each},"LifecycleState":"Active",
        "RegionId":"ap-southeast-1","VSwitchIds":["vsw-1","vsw-2"],"HealthCheckType":"ECS",
        "Tags":[{{"TagKey":"env","TagValue":"prod"}}]}}"#
    )
}

fn member(n: usize) -> String {
    format!(
        r#"{{"ScalingGroupId":"asg-web-{}","InstanceId":"i-bp1{n:017}","LifecycleState":"InService",
        "HealthStatus":"Healthy","CreationType":"AutoCreated","ZoneId":"ap-southeast-1a",
        "WarmupState":"NoNeedWarmup","CreatedTime":"2026-03-01T12:00:00Z",
        "ScalingConfigurationId":"asc-1"}}"#,
        n % GROUPS
    )
}

fn datapoints(dimensions: &str) -> String {
    let mut points = String::new();
    for part in dimensions.split("alb-").skip(1) {
        let id: String = part.chars().take_while(char::is_ascii_digit).collect();
        for minute in 1..=8 {
            let stamp = (NOW.0 - 60 * minute) * 1000;
            let comma = if points.is_empty() { "" } else { "," };
            let _ = write!(
                points,
                r#"{comma}{{\"timestamp\":{stamp},\"loadBalancerId\":\"alb-{id}\",\"Average\":{minute}.5}}"#
            );
        }
    }
    format!(r#"{{"Success":true,"Code":"200","Period":"60","Datapoints":"[{points}]"}}"#)
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Cycles of a whole fleet, timed once each: they take seconds.
fn cycles() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let calls = Arc::new(AtomicU64::new(0));
        let url = serve(Arc::clone(&calls)).await;
        let clock = Arc::new(Clock(AtomicU64::new(0)));
        let name = ProviderName::new("ali").expect("a name");
        let region = Region::new("ap-southeast-1").expect("a region");
        let account = AccountId::new("default").expect("a name");
        let mut settings = Settings::new(name.clone(), vec![region.clone()]);
        settings.endpoint_url = Some(url);
        settings.environment = Environment::of([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID".to_owned(), "LTAI".to_owned()),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET".to_owned(), "secret".to_owned()),
        ]);
        let adapter = Alibaba::new(settings, Arc::clone(&clock) as Arc<dyn Now>);
        let groups: Vec<GroupRef> = (0..GROUPS)
            .map(|n| GroupRef {
                provider: name.clone(),
                account: account.clone(),
                region: region.clone(),
                name: format!("web-{n}"),
            })
            .collect();
        let queries: Vec<MetricQuery> = (0..GROUPS)
            .map(|n| MetricQuery {
                provider: name.clone(),
                account: account.clone(),
                region: region.clone(),
                namespace: "acs_alb".to_owned(),
                metric: "LoadBalancerQPS".to_owned(),
                statistic: Statistic::Average,
                dimensions: BTreeMap::from([("loadBalancerId".to_owned(), format!("alb-{n}"))]),
                period: Step::MINUTE,
                when_missing: WhenMissing::Unknown,
            })
            .collect();
        let idle = resident_kib();
        for cycle in 0..3_u64 {
            clock.0.store(cycle * 60, Ordering::Relaxed);
            calls.store(0, Ordering::Relaxed);
            let begun = Instant::now();
            let by = || Deadline::within(Duration::from_secs(55));
            let (read, samples) = tokio::join!(
                adapter.groups(&groups, by()),
                adapter.samples(&queries, NOW - Seconds(480), NOW, by())
            );
            let took = begun.elapsed();
            let members: usize = read.iter().flatten().map(|group| group.instances.len()).sum();
            let points: usize = samples.iter().flatten().map(Vec::len).sum();
            println!(
                "alibaba, cycle {cycle}: {took:.2?} for {members} members, {points} samples in {} \
                 calls of {LATENCY:?}; the longest listing alone takes {:?}; {} KiB above idle",
                calls.load(Ordering::Relaxed),
                LATENCY * u32::try_from(MEMBERS / 100).unwrap_or(u32::MAX),
                resident_kib().saturating_sub(idle),
            );
        }
    });
}

criterion_group!(all, signing);

fn main() {
    all();
    cycles();
    Criterion::default().configure_from_args().final_summary();
}
