//! What may be idle on Alibaba Cloud, against the stand-in: every fact, orders and their refusals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::comeback::Comeback;
use fleet::resource::{
    Fact, Facts, Part, Power, PublicAddress, Purchase, Resource, ResourceId, ResourceKind, Saves,
    Subject,
};
use fleet::signs::{Clue, Holder, NoSaving};
use fleet::stop::StopMode;
use fleet::usage::Signal;
use fleet::{AccountId, FaultKind, ProviderName, Region, Seconds, Timestamp};
use providers::alibaba::Alibaba as Adapter;
use providers::{Deadline, Estate, Listing, PowerOrder, Provider};
use serde_json::{Value, json};
use tests::clock::TestTime;
use tests::peers::{
    Alibaba, Fault, NewBalancer, NewEcs, NewScalingGroup, NewServerGroup, Point, Rule, aliyun,
    settings,
};

/// 2026-03-02T12:00:00Z.
const START: Timestamp = Timestamp(1_772_452_800);
const REGION: &str = "ap-southeast-1";
const TYPE: &str = "ecs.g7.large";
const METRICS: &str = "acs_ecs_dashboard";
const HOUR: i64 = 3600;
const STOP: PowerOrder = PowerOrder::Stop(StopMode::Plain);

struct Bench {
    cloud: Alibaba,
    time: TestTime,
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

fn facts(resource: &Resource) -> &Facts {
    match &resource.subject {
        Subject::Machine(facts) => facts,
        Subject::Part(_) => panic!("{} is no machine", resource.id),
    }
}

fn part(resource: &Resource) -> &Part {
    match &resource.subject {
        Subject::Part(part) => part,
        Subject::Machine(_) => panic!("{} is no part", resource.id),
    }
}

impl Bench {
    fn new() -> Bench {
        let time = TestTime::starting(START);
        let cloud = Alibaba::start(time.clone());
        let adapter = Adapter::new(settings(&cloud, &[REGION]), Arc::new(time.clone()));
        Bench { cloud, time, adapter }
    }

    fn estate(&self) -> &dyn Estate {
        self.adapter.estate().expect("machines may be idle")
    }

    fn make(&self, shows: Value) -> String {
        self.cloud.create_instance(&NewEcs { shows, ..NewEcs::new(REGION, TYPE) })
    }

    async fn list(&self, kind: ResourceKind) -> Vec<Resource> {
        let mut listings: Vec<Listing> = self.estate().resources(&[kind], by()).await;
        assert_eq!(listings.len(), 1, "one account, one region, one kind");
        listings.remove(0).resources.expect("readable")
    }

    async fn one(&self, instance: &str) -> Resource {
        self.estate().resource(&machine(instance), by()).await.expect("readable")
    }

    async fn order(&self, instance: &str, order: PowerOrder) -> Result<(), FaultKind> {
        let switch = self.estate().switch(&machine(instance));
        switch.order(order, "d/1", by()).await.map_err(|fault| fault.kind)
    }

    async fn rehearse(&self, instance: &str, order: PowerOrder) -> Result<bool, FaultKind> {
        let switch = self.estate().switch(&machine(instance));
        switch.rehearse(order, by()).await.map_err(|fault| fault.kind)
    }

    fn forward(&self, seconds: u64) {
        self.time.set(self.time.now() + Seconds(seconds));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fact_of_an_instance_is_read_in_a_listing_and_by_itself() {
    let bench = Bench::new();
    bench.cloud.create_group(&NewScalingGroup::new(REGION, "web", 1, 9, 2));
    let by_hand = bench.make(Value::Null);
    bench.cloud.attach_instance("web", &by_hand);
    let new = |kind: &str| NewEcs::new(REGION, kind);
    let tags = vec![("env".to_owned(), "开发".to_owned())];
    let plain = bench.cloud.create_instance(&NewEcs { name: "plain".into(), tags, ..new(TYPE) });
    let disks = bench.cloud.create_instance(&new("ecs.i3.xlarge"));
    let gpu = bench.cloud.create_instance(&new("ecs.gn6i-c4g1.xlarge"));
    let burst = bench.cloud.create_instance(&new("ecs.t6-c1m2.large"));
    let paid = bench.cloud.create_instance(&NewEcs { charge_type: "PrePaid".into(), ..new(TYPE) });
    let spot =
        bench.make(json!({ "SpotStrategy": "SpotAsPriceGo", "SpotInterruptionBehavior": "Stop" }));
    let held = bench.make(json!({
        "OperationLocks": { "LockReason": [{ "LockReason": "security" }] },
        "DeletionProtection": true,
        "EipAddress": { "AllocationId": "eip-1", "IpAddress": "47.0.0.1" },
        "DedicatedHostAttribute": { "DedicatedHostId": "dh-1", "DedicatedHostName": "" },
    }));
    let routes = bench.make(json!({
        "NetworkInterfaces": { "NetworkInterface": [{ "NetworkInterfaceId": "eni-1" }] },
        "PublicIpAddress": { "IpAddress": ["47.0.0.2"] },
    }));
    let gate = bench.make(json!({ "InstanceNetworkType": "classic" }));
    bench.cloud.add_route("vtb-1", "NetworkInterface", "eni-1");
    bench.cloud.add_route("vtb-2", "Instance", &gate);
    let served = bench.make(Value::Null);
    let mut classic = NewBalancer::new("slb", REGION, "lb-1");
    classic.servers = vec![(served.clone(), "normal")];
    bench.cloud.create_balancer(classic);
    for (product, group) in [("slb", "rsp-1"), ("alb", "sgp-a"), ("nlb", "sgp-n")] {
        bench.cloud.create_server_group(NewServerGroup {
            product,
            id: group.to_owned(),
            balancers: vec!["lb-1".to_owned()],
            servers: vec![served.clone()],
        });
    }
    let alarm = |name: &str, state: &str, resources: Value| {
        bench.cloud.add_alarm(json!({
            "RuleName": name, "RuleId": name, "Namespace": METRICS, "AlertState": state,
            "EnableState": true, "Resources": resources.to_string()
        }));
    };
    alarm("cpu high", "ALARM", json!([{ "instanceId": served }]));
    alarm("cpu fine", "OK", json!([{ "instanceId": plain }]));
    let point = [Point { start: START - Seconds(HOUR as u64), value: 40.0 }];
    let agent = [("instanceId", plain.as_str())];
    bench.cloud.put_metric(METRICS, "memory_usedutilization", &agent, &point);

    let all = bench.list(ResourceKind::Instance).await;
    assert_eq!(all.len(), 13);
    let of = |id: &str| all.iter().find(|one| one.id.id == id).expect("it is listed");
    for one in &all {
        let alone = bench.one(&one.id.id).await;
        assert_eq!(alone, *one, "a fresh reading tells the same");
    }
    let group = Fact::Known(Some(bench.cloud.group_id("web")));
    assert_eq!(facts(of(&by_hand)).scaling_group, group, "by membership alone");
    let members = bench.cloud.members("web");
    assert!(members.iter().all(|member| facts(of(member)).scaling_group == group));

    let one = of(&plain);
    assert_eq!((one.name.as_str(), one.tags["env"].as_str()), ("plain", "开发"));
    assert_eq!((one.class.as_deref(), one.platform.as_deref()), (Some(TYPE), Some("linux")));
    assert_eq!((one.created_at, one.sampled_every), (Some(START), Seconds(60)));
    let four = [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps];
    assert_eq!(one.signals, BTreeSet::from(four).into_iter().chain([Signal::Memory]).collect());
    let free = Facts {
        scaling_group: Fact::Known(None),
        targets: Fact::Known(Vec::new()),
        local_disk: Fact::Known(false),
        accelerator: Fact::Known(false),
        forwards_traffic: Fact::Known(false),
        purchase: Fact::Known(Purchase::OnDemand),
        stop_protected: Fact::Known(false),
        termination_protected: Fact::Known(false),
        alarms: Fact::Known(Vec::new()),
        replica: Fact::Known(None),
        hibernation: Fact::Known(false),
        saves: Fact::Known(Saves::Yes),
        public_address: Fact::Known(PublicAddress::None),
        burstable: Fact::Known(false),
        comeback: Comeback::default(),
    };
    assert_eq!(*facts(one), free);

    let no = |why: NoSaving| Fact::Known(Saves::No(why.into()));
    assert_eq!(
        *facts(of(&disks)),
        Facts { local_disk: Fact::Known(true), saves: no(NoSaving::LocalDisks), ..free.clone() }
    );
    assert_eq!(*facts(of(&gpu)), Facts { accelerator: Fact::Known(true), ..free.clone() });
    assert_eq!(*facts(of(&burst)), Facts { burstable: Fact::Known(true), ..free.clone() });
    assert!(of(&burst).signals.contains(&Signal::CreditsLeft));
    let purchase = Fact::Known(Purchase::Subscription);
    assert_eq!(
        *facts(of(&paid)),
        Facts { purchase, saves: no(NoSaving::Subscription), ..free.clone() }
    );
    let purchase = Fact::Known(Purchase::Spot { terminates: false });
    assert_eq!(*facts(of(&spot)), Facts { purchase, ..free.clone() });
    assert_eq!(
        *facts(of(&held)),
        Facts {
            stop_protected: Fact::Known(true),
            termination_protected: Fact::Known(true),
            public_address: Fact::Known(PublicAddress::Elastic),
            purchase: Fact::Known(Purchase::Dedicated),
            saves: no(NoSaving::DedicatedHost),
            ..free.clone()
        }
    );
    let public_address = Fact::Known(PublicAddress::Ephemeral);
    assert_eq!(
        *facts(of(&routes)),
        Facts { forwards_traffic: Fact::Known(true), public_address, ..free.clone() }
    );
    assert_eq!(
        *facts(of(&gate)),
        Facts {
            forwards_traffic: Fact::Known(true),
            saves: no(NoSaving::NotInVpc),
            ..free.clone()
        }
    );
    let places = ["lb-1", "rsp-1", "sgp-a", "sgp-n"].map(str::to_owned).to_vec();
    let alarms = Fact::Known(vec!["cpu high".to_owned()]);
    assert_eq!(*facts(of(&served)), Facts { targets: Fact::Known(places), alarms, ..free });
    let asked = bench.cloud.count("DescribeInstanceTypes");
    assert_eq!(asked, 1, "types are asked for once a day");
    let probes = bench.cloud.count("DescribeMetricList");
    assert_eq!(probes, 3, "agents are asked for once an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_leaves_nothing_out_and_stops_of_the_same_moment_share_it() {
    let bench = Bench::new();
    let ids = [bench.make(Value::Null), bench.make(Value::Null)];
    bench.cloud.create_balancer(NewBalancer::new("slb", REGION, "lb-1"));
    let all = bench.list(ResourceKind::Instance).await;
    let before = bench.cloud.calls().len();
    for listed in &all {
        assert!(!facts(listed).leaves_out());
        assert_eq!(bench.estate().details(listed, by()).await.as_ref(), Ok(listed));
    }
    assert_eq!(bench.cloud.calls().len(), before, "nothing is left to ask");

    let shared = ["DescribeRouteTableList", "DescribeMetricRuleList", "DescribeLoadBalancers"];
    let counts = || shared.map(|operation| bench.cloud.count(operation));
    let listed = counts();
    let (one, two) = tokio::join!(bench.one(&ids[0]), bench.one(&ids[1]));
    assert_eq!(counts(), listed.map(|count| count + 1));
    assert_eq!([one.id.id, two.id.id], ids);
    bench.one(&ids[0]).await;
    assert_eq!(counts(), listed.map(|count| count + 2), "the next one asks anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_is_denied_is_unread_and_the_listing_goes_on() {
    let bench = Bench::new();
    let id = bench.make(Value::Null);
    let denied = |fact: FaultKind, permission: &str| {
        let permission = Some(permission.to_owned());
        assert_eq!(fact, FaultKind::Denied { permission });
    };
    let kind = |fault: Option<fleet::Fault>| fault.expect("it was denied").kind;
    for operation in [
        "DescribeScalingInstances",
        "ListServerGroupServers",
        "DescribeRouteTableList",
        "DescribeMetricRuleList",
        "DescribeInstanceTypes",
    ] {
        bench.cloud.inject(Rule::on(operation, Fault::Denied));
    }
    let all = bench.list(ResourceKind::Instance).await;
    let read = facts(&all[0]);
    fn fault<T>(fact: &Fact<T>) -> Option<fleet::Fault> {
        match fact {
            Fact::Unread(fault) => Some((**fault).clone()),
            Fact::Known(_) | Fact::Unasked => None,
        }
    }
    denied(kind(fault(&read.scaling_group)), "ess:DescribeScalingInstances");
    denied(kind(fault(&read.targets)), "alb:ListServerGroupServers");
    denied(kind(fault(&read.forwards_traffic)), "vpc:DescribeRouteTableList");
    denied(kind(fault(&read.alarms)), "cms:DescribeMetricRuleList");
    for fact in [&read.local_disk, &read.accelerator, &read.burstable] {
        denied(kind(fault(fact)), "ecs:DescribeInstanceTypes");
    }
    denied(kind(fault(&read.saves)), "ecs:DescribeInstanceTypes");
    assert_eq!(read.purchase, Fact::Known(Purchase::OnDemand));
    assert_eq!(all[0].id.id, id);

    bench.cloud.inject(Rule::on("DescribeInstances", Fault::Denied));
    let listings = bench.estate().resources(&[ResourceKind::Instance], by()).await;
    let fault = listings[0].resources.as_ref().expect_err("nothing was listed");
    denied(fault.kind.clone(), "ecs:DescribeInstances");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_silent_costs_its_own_fact_alone() {
    let bench = Bench::new();
    bench.make(Value::Null);
    bench.cloud.inject(Rule::on("DescribeRouteTableList", Fault::Dead));
    let soon = Deadline::within(Duration::from_secs(4));
    let mut listings = bench.estate().resources(&[ResourceKind::Instance], soon).await;
    let all = listings.remove(0).resources.expect("the listing goes on");
    let read = facts(&all[0]);
    let Fact::Unread(fault) = &read.forwards_traffic else { panic!("{:?}", read.forwards_traffic) };
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert_eq!(read.scaling_group, Fact::Known(None));
    assert_eq!((&read.accelerator, &read.saves), (&Fact::Known(false), &Fact::Known(Saves::Yes)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stand_in_shows_is_what_the_official_clients_read() {
    let bench = Bench::new();
    bench.cloud.create_disk(json!({ "DiskId": "d-1", "RegionId": REGION, "Status": "Available" }));
    bench
        .cloud
        .create_snapshot(json!({ "SnapshotId": "s-1", "RegionId": REGION, "Usage": "none" }));
    bench.cloud.create_address(json!({ "AllocationId": "eip-1", "RegionId": REGION }));
    bench.cloud.add_route("vtb-1", "Instance", "i-1");
    bench.cloud.add_alarm(json!({
        "RuleName": "high", "AlertState": "ALARM", "EnableState": true, "Namespace": METRICS,
        "Resources": json!([{ "instanceId": "i-1" }]).to_string()
    }));
    let servers = vec![("i-1".to_owned(), "abnormal")];
    bench.cloud.create_balancer(NewBalancer { servers, ..NewBalancer::new("slb", REGION, "lb-1") });
    for product in ["alb", "nlb"] {
        let (balancers, servers) = (vec!["lb-2".to_owned()], vec!["i-1".to_owned()]);
        bench.cloud.create_balancer(NewBalancer::new(product, REGION, "lb-2"));
        let id = "sgp-1".to_owned();
        bench.cloud.create_server_group(NewServerGroup { product, id, balancers, servers });
    }
    let here = json!({ "RegionId": REGION });
    let lb = json!({ "RegionId": REGION, "LoadBalancerId": "lb-1" });
    let table = json!({ "RegionId": REGION, "RouteTableId": "vtb-1" });
    let none = json!({});
    let behind = "/BackendServers/BackendServer/0/";
    let table: [(&str, &str, &Value, String, &str); 14] = [
        ("ecs", "DescribeDisks", &here, "/Disks/Disk/0/DiskId".into(), "d-1"),
        ("ecs", "DescribeSnapshots", &here, "/Snapshots/Snapshot/0/SnapshotId".into(), "s-1"),
        (
            "vpc",
            "DescribeEipAddresses",
            &here,
            "/EipAddresses/EipAddress/0/AllocationId".into(),
            "eip-1",
        ),
        (
            "vpc",
            "DescribeRouteTableList",
            &here,
            "/RouterTableList/RouterTableListType/0/RouteTableId".into(),
            "vtb-1",
        ),
        (
            "vpc",
            "DescribeRouteEntryList",
            &table,
            "/RouteEntrys/RouteEntry/0/NextHops/NextHop/0/NextHopId".into(),
            "i-1",
        ),
        ("cms", "DescribeMetricRuleList", &none, "/Alarms/Alarm/0/RuleName".into(), "high"),
        (
            "slb",
            "DescribeLoadBalancers",
            &here,
            "/LoadBalancers/LoadBalancer/0/LoadBalancerId".into(),
            "lb-1",
        ),
        ("slb", "DescribeLoadBalancerAttribute", &lb, format!("{behind}ServerId"), "i-1"),
        ("slb", "DescribeHealthStatus", &lb, format!("{behind}ServerHealthStatus"), "abnormal"),
        ("alb", "ListLoadBalancers", &none, "/LoadBalancers/0/LoadBalancerId".into(), "lb-2"),
        ("nlb", "ListLoadBalancers", &none, "/LoadBalancers/0/LoadBalancerId".into(), "lb-2"),
        (
            "alb",
            "ListServerGroups",
            &none,
            "/ServerGroups/0/RelatedLoadBalancerIds/0".into(),
            "lb-2",
        ),
        ("alb", "ListServerGroupServers", &none, "/Servers/0/ServerId".into(), "i-1"),
        ("nlb", "ListServerGroupServers", &none, "/Servers/0/ServerGroupId".into(), "sgp-1"),
    ];
    for (product, operation, with, place, due) in table {
        let read = aliyun(&bench.cloud.url(), REGION, product, operation, with);
        let found = read.pointer(&place).and_then(Value::as_str);
        assert_eq!(found, Some(due), "{product}:{operation}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_rehearsed_given_and_seen_to_save() {
    let bench = Bench::new();
    bench.cloud.turning_takes(Seconds(60));
    let id = bench.make(Value::Null);
    assert_eq!(bench.rehearse(&id, STOP).await, Ok(true));
    assert_eq!(bench.rehearse(&id, PowerOrder::Start).await, Err(FaultKind::Refused));
    assert_eq!(bench.one(&id).await.power, Power::Running, "nothing was done");
    assert_eq!(bench.order(&id, STOP).await, Ok(()));
    assert_eq!(bench.one(&id).await.power, Power::Stopping);
    bench.forward(60);
    assert_eq!(bench.one(&id).await.power, Power::Stopped { charged: Some(false) });
    let asked = json!({ "RegionId": REGION, "InstanceIds": json!([id]).to_string() });
    let theirs = aliyun(&bench.cloud.url(), REGION, "ecs", "DescribeInstances", &asked);
    assert_eq!(theirs["Instances"]["Instance"][0]["StoppedMode"], "StopCharging");
    assert_eq!(bench.order(&id, STOP).await, Err(FaultKind::Refused), "it is down already");

    bench.cloud.instance_stock(TYPE, Some(0));
    assert_eq!(bench.rehearse(&id, PowerOrder::Start).await, Err(FaultKind::OutOfCapacity));
    assert_eq!(bench.order(&id, PowerOrder::Start).await, Err(FaultKind::OutOfCapacity));
    assert_eq!(bench.cloud.count("StartInstances"), 3, "one a call: nothing is repeated");
    bench.cloud.instance_stock(TYPE, None);
    assert_eq!(bench.order(&id, PowerOrder::Start).await, Ok(()));
    assert_eq!(bench.one(&id).await.power, Power::Starting);
    bench.forward(60);
    let up = bench.one(&id).await;
    assert_eq!((up.power, up.started_at), (Power::Running, Some(START + Seconds(60))));

    let hibernate = PowerOrder::Stop(StopMode::Hibernate);
    let calls = bench.cloud.calls().len();
    assert_eq!(bench.order(&id, hibernate).await, Err(FaultKind::Refused));
    assert_eq!(bench.cloud.calls().len(), calls, "it was not even asked");
    assert_eq!(bench.order("i-nobody", STOP).await, Err(FaultKind::Missing));
    let none = bench.estate().resource(&machine("i-nobody"), by()).await;
    assert_eq!(none.expect_err("there is none").kind, FaultKind::Missing);
    let stops: Vec<_> =
        bench.cloud.calls().into_iter().filter(|call| call.operation == "StopInstances").collect();
    let said = |name: &str| stops.iter().all(|call| call.parameters.contains_key(name));
    assert!(
        said("StoppedMode") && said("BatchOptimization"),
        "never left to the account's default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_saves_nothing_is_seen_afterwards_and_what_is_locked_is_refused() {
    let bench = Bench::new();
    let new = NewEcs { charge_type: "PrePaid".into(), ..NewEcs::new(REGION, TYPE) };
    let paid = bench.cloud.create_instance(&new);
    let why = Fact::Known(Saves::No(NoSaving::Subscription.into()));
    assert_eq!(facts(&bench.one(&paid).await).saves, why);
    assert_eq!(bench.order(&paid, STOP).await, Ok(()), "the cloud says nothing");
    assert_eq!(bench.one(&paid).await.power, Power::Stopped { charged: Some(true) });

    let id = bench.make(Value::Null);
    assert_eq!(facts(&bench.one(&id).await).stop_protected, Fact::Known(false));
    let lock = json!({ "OperationLocks": { "LockReason": [{ "LockReason": "security" }] } });
    bench.cloud.show_instance(&id, &lock);
    assert_eq!(facts(&bench.one(&id).await).stop_protected, Fact::Known(true));
    assert_eq!(bench.rehearse(&id, STOP).await, Err(FaultKind::Refused));
    assert_eq!(bench.order(&id, STOP).await, Err(FaultKind::Refused));
    assert_eq!(bench.one(&id).await.power, Power::Running);

    let boots = NewEcs { boots: Seconds(60), ..NewEcs::new(REGION, TYPE) };
    let new = bench.cloud.create_instance(&boots);
    let theirs = ["Pending", "Starting", "Running"];
    for (state, power) in theirs.into_iter().zip([Power::Starting, Power::Starting, Power::Running])
    {
        assert_eq!(bench.cloud.instance_status(&new), state);
        assert_eq!(bench.one(&new).await.power, power);
        bench.forward(30);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_an_answer_is_unconfirmed_and_sent_once() {
    let bench = Bench::new();
    let id = bench.make(Value::Null);
    bench.cloud.inject(Rule::on("StopInstances", Fault::cut_after()).times(1));
    assert_eq!(bench.order(&id, STOP).await, Err(FaultKind::Unconfirmed));
    assert_eq!(bench.cloud.count("StopInstances"), 1);
    assert_eq!(bench.one(&id).await.power, Power::Stopped { charged: Some(false) }, "it was heard");
    bench.cloud.inject(Rule::on("StartInstances", Fault::Broken).times(1));
    assert_eq!(bench.order(&id, PowerOrder::Start).await, Err(FaultKind::Unconfirmed));
    assert_eq!(bench.cloud.count("StartInstances"), 1);
    bench.cloud.inject(Rule::on("StartInstances", Fault::Broken).times(1));
    let rehearsed = bench.rehearse(&id, PowerOrder::Start).await;
    assert_eq!(rehearsed, Ok(true), "a rehearsal changes nothing and may be repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_written_and_the_owners_tag_is_not() {
    let bench = Bench::new();
    let tags = vec![("neap:managed".to_owned(), "true".to_owned())];
    let id = bench.cloud.create_instance(&NewEcs { tags, ..NewEcs::new(REGION, TYPE) });
    let switch = bench.estate().switch(&machine(&id));
    switch.tag("neap:marked", Some("2026-03-04"), by()).await.expect("taken");
    let marked = bench.one(&id).await.tags;
    assert_eq!(marked["neap:marked"], "2026-03-04");
    switch.tag("neap:marked", None, by()).await.expect("taken");
    for value in [Some("true"), None] {
        let fault = switch.tag("neap:managed", value, by()).await.expect_err("not ours");
        assert_eq!(fault.kind, FaultKind::Refused);
    }
    let left = bench.one(&id).await.tags;
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [("neap:managed".into(), "true".into())]);
    let writes = bench.cloud.count("TagResources") + bench.cloud.count("UntagResources");
    assert_eq!(writes, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_nothing_uses_are_found() {
    let bench = Bench::new();
    let disk = |id: &str, status: &str| {
        json!({
            "DiskId": id, "DiskName": "data", "RegionId": REGION, "ZoneId": "ap-southeast-1a",
            "Status": status, "Category": "cloud_essd", "PerformanceLevel": "PL1", "Size": 40,
            "CreationTime": "2026-01-02T03:04:05Z", "DetachedTime": "2026-02-03T04:05:06Z",
            "Tags": { "Tag": [{ "TagKey": "team", "TagValue": "web" }] },
        })
    };
    for n in 0..120 {
        bench.cloud.create_disk(disk(&format!("d-{n}"), "Available"));
    }
    bench.cloud.create_disk(disk("d-used", "In_use"));
    let disks = bench.list(ResourceKind::Volume).await;
    assert_eq!(disks.len(), 120, "over two pages, those in use left out");
    let first = disks.iter().find(|one| one.id.id == "d-0").expect("it is listed");
    assert_eq!((first.size_gib, first.class.as_deref()), (Some(40), Some("cloud_essd")));
    assert_eq!(first.tags["team"], "web");
    assert_eq!(part(first).used_by, Fact::Known(None));
    assert_eq!(part(first).unused_since, Timestamp::parse("2026-02-03T04:05:06Z"));

    let snapshot = |id: &str, source: &str, usage: &str| {
        bench.cloud.create_snapshot(json!({
            "SnapshotId": id, "SnapshotName": "", "RegionId": REGION, "SourceDiskId": source,
            "SourceDiskSize": "40", "Usage": usage, "Status": "accomplished",
            "CreationTime": "2025-01-02T03:04:05Z",
        }));
    };
    snapshot("s-1", "d-used", "none");
    snapshot("s-2", "d-gone", "none");
    snapshot("s-3", "d-gone", "image_disk");
    let used_by = |resources: &[Resource], id: &str| {
        let found = resources.iter().find(|one| one.id.id == id).expect("it is listed");
        part(found).used_by.clone()
    };
    let snapshots = bench.list(ResourceKind::Snapshot).await;
    assert_eq!((snapshots[0].name.as_str(), snapshots[0].size_gib), ("s-1", Some(40)));
    assert_eq!(
        used_by(&snapshots, "s-1"),
        Fact::Known(Some(Holder::Resource("d-used".to_owned()).into()))
    );
    assert_eq!(used_by(&snapshots, "s-2"), Fact::Known(None));
    assert_eq!(used_by(&snapshots, "s-3"), Fact::Known(Some(Holder::Image.into())));

    for (id, status) in [("eip-1", "Available"), ("eip-2", "InUse")] {
        bench.cloud.create_address(json!({
            "AllocationId": id, "IpAddress": "47.0.0.1", "RegionId": REGION, "Status": status,
            "AllocationTime": "2025-01-02T03:04:05Z", "ISP": "BGP",
        }));
    }
    let addresses = bench.list(ResourceKind::Address).await;
    assert_eq!(addresses.len(), 1);
    assert_eq!((addresses[0].id.id.as_str(), addresses[0].name.as_str()), ("eip-1", "47.0.0.1"));

    let behind = |id: &str, health: &[&'static str]| {
        let servers = health.iter().map(|health| ("i-1".to_owned(), *health)).collect();
        bench.cloud.create_balancer(NewBalancer { servers, ..NewBalancer::new("slb", REGION, id) });
    };
    behind("lb-serves", &["normal", "abnormal"]);
    behind("lb-unchecked", &["unavailable"]);
    behind("lb-fails", &["abnormal", "abnormal"]);
    behind("lb-empty", &[]);
    for (balancer, servers) in [("alb-1", 2), ("alb-2", 0)] {
        bench.cloud.create_balancer(NewBalancer::new("alb", REGION, balancer));
        bench.cloud.create_server_group(NewServerGroup {
            product: "alb",
            id: format!("sgp-{balancer}"),
            balancers: vec![balancer.to_owned()],
            servers: vec!["i-1".to_owned(); servers],
        });
    }
    bench.cloud.create_balancer(NewBalancer::new("nlb", REGION, "nlb-1"));
    let balancers = bench.list(ResourceKind::LoadBalancer).await;
    assert_eq!(balancers.len(), 7);
    let known = |holder: Holder| Fact::Known(Some(holder.into()));
    assert_eq!(used_by(&balancers, "lb-serves"), known(Holder::Backends(1)));
    assert_eq!(used_by(&balancers, "lb-unchecked"), known(Holder::Backends(1)));
    assert_eq!(used_by(&balancers, "alb-1"), known(Holder::Resource("sgp-alb-1".to_owned())));
    for unused in ["lb-fails", "lb-empty", "alb-2", "nlb-1"] {
        assert_eq!(used_by(&balancers, unused), Fact::Known(None), "{unused}");
    }
    let fails = balancers.iter().find(|one| one.id.id == "lb-fails").expect("it is listed");
    assert_eq!(part(fails).looked_at, Clue::BackendsServing { serving: 0, of: 2 }.into());
    assert_eq!(bench.list(ResourceKind::Database).await, []);
}
