//! The vendor's own packages as judges: our signatures are theirs, our answers are theirs, and what
//! the documented policies do not allow is not called.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleet::metric::Statistic;
use fleet::money::PriceQuery;
use fleet::resource::{ResourceId, ResourceKind};
use fleet::stop::StopMode;
use fleet::{
    AccountId, Change, FaultKind, GroupRef, Place, ProviderName, Region, Seconds, Timestamp, Units,
};
use providers::alibaba::sign::{Keys, Once, Request};
use providers::alibaba::{Alibaba as Adapter, required_permissions};
use providers::contract::plain_query;
use providers::{Deadline, Growth, Inventory, Metrics, Outcome, PowerOrder, Provider, Trial};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tests::clock::TestTime;
use tests::peers::{
    Alibaba, Call, NewBalancer, NewEcs, NewScalingGroup, NewServerGroup, Point, aliyun, keys,
    official_signature, settings,
};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGION: &str = "ap-southeast-1";
const SEED: u64 = 4;

fn by() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

fn account() -> AccountId {
    AccountId::new("default").expect("a name")
}

fn region() -> Region {
    Region::new(REGION).expect("a region")
}

fn reference(name: &str) -> GroupRef {
    GroupRef {
        provider: ProviderName::new("ali").expect("a name"),
        account: account(),
        region: region(),
        name: name.to_owned(),
    }
}

fn peer() -> (Alibaba, TestTime, Adapter) {
    let time = TestTime::starting(START);
    let cloud = Alibaba::start(time.clone());
    let adapter = Adapter::new(settings(&cloud, &[REGION]), Arc::new(time.clone()));
    (cloud, time, adapter)
}

/// Texts of letters that encodings stumble over.
fn nasty(rng: &mut ChaCha8Rng) -> String {
    const PARTS: [&str; 20] = [
        "a", "Z", "9", " ", "+", "*", "~", "/", "%", "%20", "&", "=", "?", "#", "\"", "é", "中文",
        "🚀", "[{}]", "\t",
    ];
    (0..rng.random_range(0..9)).filter_map(|_| PARTS.choose(rng).copied()).collect()
}

#[test]
fn our_signatures_are_the_official_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for n in 0..300 {
        let mut query: Vec<(String, String)> = (0..rng.random_range(0..14))
            .map(|k| (format!("Tag.{k}.Key"), nasty(&mut rng)))
            .collect();
        if n % 3 == 0 {
            query.reverse();
        }
        let body = (n % 4 == 0)
            .then(|| ("application/x-www-form-urlencoded", format!("A={n}&B=中").into_bytes()));
        let text = body.as_ref().map_or("", |(_, body)| std::str::from_utf8(body).expect("text"));
        let text = text.to_owned();
        let path = if n % 5 == 0 { "/clusters/c1/nodes" } else { "/" };
        let request = Request {
            path: path.to_owned(),
            body,
            ..Request::rpc("ess.aliyuncs.com", "2022-02-22", "DescribeScalingGroups", query.clone())
        };
        let (key, secret) = (format!("LTAI{n}"), format!("secret {n} 密"));
        let keys = Keys {
            access_key_id: key.clone(),
            access_key_secret: secret.clone().into(),
            security_token: (n % 2 == 0).then(|| format!("token+/{n}=").into()),
            provider: Cow::Borrowed("static_sts"),
        };
        let nonce = format!("{n:032x}");
        let once = Once { date: START, nonce: &nonce, user_agent: "neap/tests (x; y)" };
        let signed = request.sign(&keys, once);
        let mut headers: BTreeMap<&str, String> = signed.headers.into_iter().collect();
        let ours = headers.remove("authorization").expect("it is signed");
        let query: BTreeMap<String, String> = query.into_iter().collect();
        let due = official_signature(&json!({
            "sign": "v3", "method": signed.method, "path": path, "query": query,
            "headers": headers, "body": text, "key": key, "secret": secret,
        }));
        assert_eq!(due[0], Value::from(ours), "request {n}, seed {SEED}");
        assert_eq!(due[1], Value::from(headers["x-acs-content-sha256"].clone()), "request {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_what_the_official_client_reads() {
    let (cloud, time, adapter) = peer();
    cloud.boot_takes(Seconds(60));
    let tags = vec![("env".to_owned(), "生产 环境".to_owned())];
    let new = NewScalingGroup { tags, ..NewScalingGroup::new(REGION, "网页 web", 1, 9, 3) };
    cloud.create_group(&new);
    time.set(START + Seconds(120));
    cloud.set_desired(REGION, "网页 web", 4);
    let ours = adapter.groups(&[reference("网页 web")], by()).await.remove(0).expect("readable");
    let asked = json!({ "RegionId": REGION, "ScalingGroupNames": ["网页 web"] });
    let read = aliyun(&cloud.url(), REGION, "ess", "DescribeScalingGroups", &asked);
    let theirs = &read["ScalingGroups"][0];
    assert_eq!(theirs["ScalingGroupId"], ours.id.id.as_str());
    assert_eq!(theirs["MinSize"], ours.min.0);
    assert_eq!(theirs["MaxSize"], ours.max.0);
    assert_eq!(theirs["DesiredCapacity"], ours.desired.0);
    assert_eq!(theirs["ActiveCapacity"], ours.in_service().0);
    assert_eq!(theirs["PendingCapacity"], ours.pending().0);
    assert_eq!(theirs["Tags"][0]["TagValue"], ours.tags["env"].as_str());
    let asked = json!({ "RegionId": REGION, "ScalingGroupId": ours.id.id, "PageSize": 100 });
    let read = aliyun(&cloud.url(), REGION, "ess", "DescribeScalingInstances", &asked);
    let theirs: BTreeSet<&str> = read["ScalingInstances"]
        .as_array()
        .expect("members")
        .iter()
        .filter_map(|member| member["InstanceId"].as_str())
        .collect();
    let ours: BTreeSet<&str> = ours.instances.iter().map(|i| i.id.as_str()).collect();
    assert_eq!(theirs, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sizes_a_group_besides_us_is_seen() {
    let (cloud, time, adapter) = peer();
    let tags = vec![("ack.aliyun.com".to_owned(), "c1".to_owned())];
    cloud.create_group(&NewScalingGroup { tags, ..NewScalingGroup::new(REGION, "nodes", 1, 9, 2) });
    cloud.create_group(&NewScalingGroup::new(REGION, "web", 1, 9, 2));
    let rule = json!({
        "ScalingRuleName": "cpu50", "ScalingRuleType": "TargetTrackingScalingRule",
        "ScalingRuleAri": "ari:acs:ess:ap-southeast-1:1:scalingrule/asr-1"
    });
    cloud.add_rule("web", rule);
    let task = json!({
        "ScheduledTaskName": "night", "TaskEnabled": true, "LaunchTime": "2026-03-02T20:00Z",
        "RecurrenceType": "Daily", "RecurrenceValue": "1", "MinValue": 1
    });
    cloud.add_task("web", task);
    let machine = cloud.create_instance(&NewEcs::new(REGION, "ecs.g7.large"));
    cloud.attach_instance("web", &machine);
    time.set(START + Seconds(300));
    let asked = [reference("nodes"), reference("web")];
    let read: Vec<_> = adapter.groups(&asked, by()).await.into_iter().collect();
    let [nodes, web] = [0, 1].map(|n| read[n].clone().expect("readable"));
    assert_eq!(nodes.owner.expect("it is a cluster's").name, "ACK");
    assert!(nodes.policies.is_empty() && nodes.scheduled.is_empty());
    let policy = &web.policies[0];
    assert_eq!((policy.name.as_str(), policy.enabled, policy.scales_in), ("cpu50", true, true));
    assert_eq!(web.scheduled[0].recurrence.as_deref(), Some("Daily 1"));
    let attached = web.instances.iter().find(|instance| instance.id == machine);
    assert!(attached.expect("it is a member").protected, "it would go on costing outside");
    assert_eq!(web.protected(), Units(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_what_the_official_client_reads() {
    let (cloud, _, adapter) = peer();
    let from = START - Seconds::hours(30);
    let points: Vec<Point> = (0..1700)
        .map(|n| Point { start: from + Seconds(60 * n), value: 10.0 + n as f64 / 8.0 })
        .collect();
    cloud.put_metric("acs_alb", "LoadBalancerQPS", &[("loadBalancerId", "alb/1+2 %~*中")], &points);
    let mut query = plain_query(&reference("any"), "acs_alb", "LoadBalancerQPS", "x");
    query.statistic = Statistic::Average;
    query.dimensions = BTreeMap::from([("loadBalancerId".to_owned(), "alb/1+2 %~*中".to_owned())]);
    let to = from + Seconds(60 * 1700);
    let ours = adapter.samples(&[query], from, to, by()).await.remove(0).expect("readable");
    assert_eq!(ours.len(), points.len(), "over two pages");
    assert!(cloud.count("DescribeMetricList") >= 2);
    let asked = json!({
        "Namespace": "acs_alb", "MetricName": "LoadBalancerQPS", "Period": "60", "Length": "1440",
        "StartTime": (from.0 * 1000 - 1).to_string(), "EndTime": (to.0 * 1000 - 1).to_string(),
        "Dimensions": json!([{ "loadBalancerId": "alb/1+2 %~*中" }]).to_string(),
    });
    let read = aliyun(&cloud.url(), REGION, "cms", "DescribeMetricList", &asked);
    let theirs: Value =
        serde_json::from_str(read["Datapoints"].as_str().expect("a text")).expect("a list");
    for (theirs, ours) in theirs.as_array().expect("a list").iter().zip(&ours) {
        assert_eq!(theirs["timestamp"], ours.start.0 * 1000);
        assert_eq!(theirs["Average"], ours.value);
    }
}

/// The actions that each policy on the documents' page allows, in the order of its blocks.
fn allowed_in_the_documents() -> Vec<Vec<String>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let page = format!("{folder}docs/en/src/alibaba.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shipped = ["observer", "actor"].map(|role| format!("systemd/alibaba-{role}-policy.json"));
    let mut roles = Vec::new();
    for (block, file) in blocks.zip(shipped) {
        let policy: Value = serde_json::from_str(block).expect("a policy");
        let text = std::fs::read_to_string(format!("{folder}{file}")).expect("a file");
        assert_eq!(policy, serde_json::from_str::<Value>(&text).expect("a policy"), "{file}");
        let statements = policy["Statement"].as_array().expect("statements").iter();
        let allowing = statements.filter(|statement| statement["Effect"] == "Allow");
        let actions = allowing.filter_map(|statement| statement["Action"].as_array()).flatten();
        roles.push(actions.filter_map(|a| a.as_str().map(str::to_owned)).collect());
    }
    assert_eq!(roles.len(), 2, "an observer and an actor");
    roles
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documented_policies_do_not_allow_is_not_called() {
    const NAMED: &str = "LTAIneap";
    let roles = allowed_in_the_documents();
    let time = TestTime::starting(START);
    let cloud = Alibaba::start(time.clone());
    cloud.create_group(&NewScalingGroup::new(REGION, "web", 1, 9, 3));
    cloud.create_balancer(NewBalancer::new("slb", REGION, "lb-1"));
    let (id, balancers) = ("rsp-1".to_owned(), vec!["lb-1".to_owned()]);
    cloud.create_server_group(NewServerGroup { product: "slb", id, balancers, servers: vec![] });
    cloud.add_route("vtb-1", "Instance", "i-nobody");
    let both: Vec<&str> = roles.concat().leak().iter().map(String::as_str).collect();
    let observer: Vec<&str> = both[..roles[0].len()].to_vec();
    cloud.allow(NAMED, &observer);
    let mut settings = settings(&cloud, &[REGION]);
    settings.environment = keys(NAMED, tests::peers::SECRET);
    let adapter = Adapter::new(settings, Arc::new(time.clone()));

    // All that the program does with a provider, as an observer …
    let group = adapter.groups(&[reference("web")], by()).await.remove(0).expect("readable");
    adapter.discover(&adapter.places()[0], by()).await.expect("readable");
    adapter.group(&group.id, by()).await.expect("readable");
    adapter.activities(&group.id, START - Seconds(60), by()).await.expect("readable");
    let query = plain_query(&reference("web"), "acs_alb", "LoadBalancerQPS", "x");
    adapter.samples(&[query], START - Seconds(600), START, by()).await.remove(0).expect("readable");
    let estate = adapter.estate().expect("machines may be idle");
    for listing in estate.resources(&ResourceKind::ALL, by()).await {
        listing.resources.expect("readable");
    }
    let machine = ResourceId {
        provider: group.id.provider.clone(),
        account: account(),
        region: region(),
        kind: ResourceKind::Instance,
        id: cloud.create_instance(&NewEcs::new(REGION, "ecs.g7.large")),
    };
    let price = PriceQuery {
        provider: machine.provider.clone(),
        account: account(),
        region: region(),
        kind: ResourceKind::Instance,
        class: "ecs.g7.large".to_owned(),
        platform: None,
    };
    estate.prices(&[price], by()).await.remove(0).expect("readable");
    let trials = adapter.trials().expect("it has some");
    let place = Place { provider: group.id.provider.clone(), account: account(), region: region() };
    let tried = trials.tried(&place, false, by()).await;
    let there = |trial: &&Trial| !matches!(trial.outcome, Outcome::Works | Outcome::Untried(_));
    assert_eq!(tried.trials.iter().filter(there).collect::<Vec<_>>(), [] as [&Trial; 0]);
    let growth = Growth {
        group: group.id.clone(),
        name: group.name.clone(),
        class: None,
        member: group.instances.first().map(|member| member.id.clone()),
        machines: 6,
        largest: 9,
    };
    let rooms = trials.rooms(&place, &[growth], by()).await;
    let rooms: Vec<(u64, u64)> = rooms
        .into_iter()
        .map(|room| room.expect("readable"))
        .map(|r| (r.limit, r.needed))
        .collect();
    assert_eq!(rooms, [(64, 12), (2000, 9), (250, 6)], "processors, the largest group, addresses");
    assert_eq!(refused(&cloud), [] as [String; 0]);
    let up = Change::Desired { from: Units(3), to: Units(5) };
    let writer = adapter.writer(&group.id);
    let fault = writer.set(up, "d/1", by()).await.expect_err("an observer writes nothing");
    let permission = Some("ess:ScaleWithAdjustment".to_owned());
    assert_eq!(fault.kind, FaultKind::Denied { permission });
    assert_eq!(refused(&cloud), ["ess:ScaleWithAdjustment"]);

    // … and as an actor.
    cloud.allow(NAMED, &both);
    let before = cloud.calls().len();
    let set = |change, decision| writer.set(change, decision, by());
    set(up, "d/2").await.expect("taken");
    set(Change::Desired { from: Units(5), to: Units(4) }, "d/3").await.expect("taken");
    set(Change::Minimum { from: Units(1), to: Units(2) }, "d/4").await.expect("taken");
    let switch = estate.switch(&machine);
    switch.tag("neap:marked", Some("d/5"), by()).await.expect("taken");
    switch.tag("neap:marked", None, by()).await.expect("taken");
    let stop = PowerOrder::Stop(StopMode::Plain);
    switch.order(stop, "d/6", by()).await.expect("taken");
    switch.order(PowerOrder::Start, "d/7", by()).await.expect("taken");
    let mut called: BTreeSet<String> = cloud.calls().iter().map(|call| call.action()).collect();
    assert!(called.remove("sts:GetCallerIdentity"), "which needs no permission");
    assert!(cloud.calls()[before..].iter().all(|call| !call.refused()));
    // Nothing is allowed that is not called, but for the older name of a permission.
    let permissions = required_permissions();
    let needed = permissions.read.into_iter().chain(permissions.write);
    let needed: BTreeSet<String> = needed.filter(|name| name != "cms:QueryMetricList").collect();
    assert_eq!(called, needed);
    let allowed: BTreeSet<String> =
        roles.concat().into_iter().filter(|name| name != "cms:QueryMetricList").collect();
    assert_eq!(allowed, needed);
}

fn refused(cloud: &Alibaba) -> Vec<String> {
    // A dry run that would be obeyed is answered as a refusal.
    let dry = |call: &&Call| call.parameters.get("DryRun").is_some_and(|dry| dry == "true");
    let calls = cloud.calls();
    let refused = calls.iter().filter(|call| call.refused() && !dry(call));
    refused.map(|call| call.action()).collect()
}
