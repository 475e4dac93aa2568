//! Machines in listings: every fact, and what is not known.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fleet::comeback::Comeback;
use fleet::resource::{Fact, Facts, Power, PublicAddress, Purchase, ResourceKind, Saves};
use fleet::usage::Signal;
use fleet::{FaultKind, Seconds, Timestamp};
use providers::Deadline;
use tests::peers::{Aws, Fault, Rule};

use super::cloud::{Cloud, ELB, REGION, START, facts, patience, word};

#[test]
fn an_instance_is_listed_with_every_fact() {
    let Some(cloud) = Cloud::inside("listing::an_instance_is_listed_with_every_fact") else {
        return;
    };
    let plain = cloud.run(
        "t3.micro",
        &[
            ("Monitoring.Enabled", "true"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "bastion"),
        ],
    );
    let box_of_chips = cloud.run("g4dn.xlarge", &[]);
    let spot = cloud.run("m5.large", &[("InstanceMarketOptions.MarketType", "spot")]);
    let stays = cloud.run("m5.large", &[("InstanceMarketOptions.MarketType", "spot")]);
    cloud.proxy.spot_request(&spot, "one-time");
    cloud.proxy.spot_request(&stays, "persistent");
    let odd = cloud.run("zz.nothing", &[]);
    let router = cloud.run("m5.large", &[]);
    let off = [("InstanceId", router.as_str()), ("SourceDestCheck.Value", "false")];
    cloud.ec2("ModifyInstanceAttribute", &off);
    let ended = cloud.run("m5.large", &[]);
    cloud.ec2("TerminateInstances", &[("InstanceId.1", &ended)]);

    let all = cloud.listed(ResourceKind::Instance);
    assert!(!all.contains_key(&ended), "what is ended is left out");
    let seen = &all[&plain];
    assert_eq!((seen.name.as_str(), seen.class.as_deref()), ("bastion", Some("t3.micro")));
    assert_eq!(seen.platform.as_deref(), Some("Linux/UNIX"));
    assert_eq!(seen.power, Power::Running);
    assert_eq!(seen.created_at, Some(Timestamp(START.0 - 100 * 86_400)));
    assert_eq!(seen.started_at, Some(Timestamp(START.0 - 40 * 86_400)));
    assert_eq!((seen.read_at, seen.sampled_every), (START, Seconds(60)));
    let always = [Signal::Cpu, Signal::NetworkIn, Signal::NetworkOut, Signal::DiskOps];
    let mut signals = BTreeSet::from(always);
    assert_eq!(all[&router].signals, signals);
    assert_eq!(all[&router].sampled_every, Seconds(300));
    signals.insert(Signal::CreditsLeft);
    assert_eq!(seen.signals, signals);
    let expected = Facts {
        scaling_group: Fact::Known(None),
        targets: Fact::Known(Vec::new()),
        local_disk: Fact::Known(false),
        accelerator: Fact::Known(false),
        forwards_traffic: Fact::Known(false),
        purchase: Fact::Known(Purchase::OnDemand),
        stop_protected: Fact::Unasked,
        termination_protected: Fact::Unasked,
        alarms: Fact::Known(Vec::new()),
        replica: Fact::Known(None),
        hibernation: Fact::Known(false),
        saves: Fact::Known(Saves::Yes),
        public_address: Fact::Known(PublicAddress::Ephemeral),
        burstable: Fact::Known(true),
        comeback: Comeback { keys: Fact::Unasked, ..Comeback::default() },
    };
    assert_eq!(facts(seen), &expected);
    let chips = facts(&all[&box_of_chips]);
    assert_eq!((&chips.local_disk, &chips.accelerator), (&Fact::Known(true), &Fact::Known(true)));
    let purchase = |id: &String| facts(&all[id]).purchase.clone();
    assert_eq!(purchase(&spot), Fact::Known(Purchase::Spot { terminates: true }));
    assert_eq!(purchase(&stays), Fact::Known(Purchase::Spot { terminates: false }));
    assert_eq!(facts(&all[&router]).forwards_traffic, Fact::Known(true));
    let unknown = facts(&all[&odd]);
    assert!(matches!(&unknown.local_disk, Fact::Unread(fault) if fault.kind == FaultKind::Missing));
    assert!(matches!(&unknown.accelerator, Fact::Unread(_)));
    assert_eq!(cloud.proxy.count("DescribeInstanceTypes"), 1);
    cloud.listed(ResourceKind::Instance);
    let mut asked =
        cloud.proxy.calls().into_iter().filter(|c| c.operation == "DescribeInstanceTypes");
    let again = asked.next_back().expect("a call");
    assert!(!again.parameters.values().any(|value| value == "t3.micro"), "asked once");
}

#[test]
fn what_stands_around_an_instance_is_told() {
    let Some(cloud) = Cloud::inside("listing::what_stands_around_an_instance_is_told") else {
        return;
    };
    let behind = cloud.run("m5.large", &[]);
    let by_address = cloud.run("m5.large", &[]);
    let alarmed = cloud.run("m5.large", &[]);
    let sleeper = cloud.run(
        "m5.large",
        &[
            ("HibernationOptions.Configured", "true"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "30"),
            ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ],
    );
    let open = cloud.run("m5.large", &[("HibernationOptions.Configured", "true")]);
    let described = cloud.ec2("DescribeInstances", &[("InstanceId.1", &by_address)]);
    let (vpc, address) = (word(&described, "vpcId"), word(&described, "privateIpAddress"));
    let group = |name: &str, kind: &str, target: &str| {
        let with = [
            ("Name", name),
            ("Protocol", "TCP"),
            ("Port", "80"),
            ("VpcId", vpc.as_str()),
            ("TargetType", kind),
        ];
        let made = cloud.call("elasticloadbalancing", ELB, "CreateTargetGroup", &with);
        let arn = word(&made, "TargetGroupArn");
        let with = [("TargetGroupArn", arn.as_str()), ("Targets.member.1.Id", target)];
        cloud.call("elasticloadbalancing", ELB, "RegisterTargets", &with);
    };
    group("by-id", "instance", &behind);
    group("by-address", "ip", &address);
    cloud.proxy.target_is(&behind, "unhealthy");
    let old = [
        ("LoadBalancerName", "old"),
        ("Listeners.member.1.Protocol", "HTTP"),
        ("Listeners.member.1.LoadBalancerPort", "80"),
        ("Listeners.member.1.InstancePort", "80"),
        ("AvailabilityZones.member.1", "us-east-1a"),
    ];
    cloud.call("elasticloadbalancing", "2012-06-01", "CreateLoadBalancer", &old);
    let register = [("LoadBalancerName", "old"), ("Instances.member.1.InstanceId", &behind)];
    let action = "RegisterInstancesWithLoadBalancer";
    cloud.call("elasticloadbalancing", "2012-06-01", action, &register);
    let somebody = Aws::at(cloud.proxy.back_door(), REGION);
    for (name, state) in [("rings", "ALARM"), ("quiet", "OK")] {
        let alarm = serde_json::json!({
            "AlarmName": name, "Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
            "Dimensions": [{ "Name": "InstanceId", "Value": alarmed }],
            "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
        });
        somebody.cloudwatch("PutMetricAlarm", &alarm).expect("an alarm");
        let set =
            serde_json::json!({ "AlarmName": name, "StateValue": state, "StateReason": "test" });
        somebody.cloudwatch("SetAlarmState", &set).expect("a state");
    }
    let memory = [("InstanceId", alarmed.as_str())];
    let point = tests::peers::Point { start: START, value: 40.0 };
    somebody.put_metric("CWAgent", "mem_used_percent", &memory, &[point]);
    let made = cloud.ec2("AllocateAddress", &[("Domain", "vpc")]);
    let allocation = word(&made, "allocationId");
    cloud.ec2("AssociateAddress", &[("InstanceId", &behind), ("AllocationId", &allocation)]);

    let all = cloud.listed(ResourceKind::Instance);
    let targets = |id: &String| facts(&all[id]).targets.clone();
    assert_eq!(targets(&behind), Fact::Known(vec!["by-id".to_owned(), "old".to_owned()]));
    assert_eq!(targets(&by_address), Fact::Known(vec!["by-address".to_owned()]));
    assert_eq!(targets(&alarmed), Fact::Known(Vec::new()));
    assert_eq!(facts(&all[&alarmed]).alarms, Fact::Known(vec!["rings".to_owned()]));
    assert_eq!(facts(&all[&behind]).alarms, Fact::Known(Vec::new()));
    assert!(all[&alarmed].signals.contains(&Signal::Memory));
    assert!(!all[&behind].signals.contains(&Signal::Memory));
    assert_eq!(facts(&all[&behind]).public_address, Fact::Known(PublicAddress::Elastic));
    assert_eq!(facts(&all[&alarmed]).public_address, Fact::Known(PublicAddress::Ephemeral));
    assert_eq!(facts(&all[&sleeper]).hibernation, Fact::Known(true));
    assert_eq!(facts(&all[&open]).hibernation, Fact::Known(false), "its root is not encrypted");
    let lists = cloud.proxy.count("ListMetrics");
    cloud.listed(ResourceKind::Instance);
    assert_eq!((lists, cloud.proxy.count("ListMetrics")), (3, 3), "once an hour");
}

#[test]
fn a_fact_that_is_denied_is_unread_and_the_listing_goes_on() {
    let Some(cloud) =
        Cloud::inside("listing::a_fact_that_is_denied_is_unread_and_the_listing_goes_on")
    else {
        return;
    };
    let one = cloud.run("t3.micro", &[]);
    for operation in ["DescribeTargetGroups", "DescribeAlarms", "DescribeInstanceTypes"] {
        cloud.proxy.inject(Rule::on(operation, Fault::Denied));
    }
    let all = cloud.listed(ResourceKind::Instance);
    let seen = facts(&all[&one]);
    let permission = |kind: &FaultKind| match kind {
        FaultKind::Denied { permission } => permission.clone().unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    let Fact::Unread(fault) = &seen.targets else { panic!("{:?}", seen.targets) };
    assert_eq!(permission(&fault.kind), "elasticloadbalancing:DescribeTargetGroups");
    let Fact::Unread(fault) = &seen.alarms else { panic!("{:?}", seen.alarms) };
    assert_eq!(permission(&fault.kind), "cloudwatch:DescribeAlarms");
    let Fact::Unread(fault) = &seen.burstable else { panic!("{:?}", seen.burstable) };
    assert_eq!(permission(&fault.kind), "ec2:DescribeInstanceTypes");
    assert_eq!(seen.scaling_group, Fact::Known(None));

    cloud.proxy.heal();
    cloud.proxy.inject(Rule::on("DescribeInstances", Fault::Denied));
    let both = [ResourceKind::Instance, ResourceKind::Database];
    let listings = cloud.runtime.block_on(cloud.estate().resources(&both, patience()));
    let failed: Vec<bool> = listings.iter().map(|one| one.resources.is_err()).collect();
    assert_eq!(failed, [true, false], "one kind does not spoil another");
}

#[test]
fn a_silent_service_is_given_up_by_the_deadline() {
    let Some(cloud) = Cloud::inside("listing::a_silent_service_is_given_up_by_the_deadline") else {
        return;
    };
    cloud.run("t3.micro", &[]);
    cloud.proxy.inject(Rule::any(Fault::Dead).of_service("rds"));
    cloud.proxy.inject(Rule::any(Fault::Dead).of_service("elasticloadbalancing"));
    let kinds = [ResourceKind::Instance, ResourceKind::Database];
    let started = Instant::now();
    let deadline = Deadline::within(Duration::from_secs(3));
    let listings =
        cloud.runtime.block_on(async { cloud.estate().resources(&kinds, deadline).await });
    assert!(started.elapsed() < Duration::from_millis(3_500), "{:?}", started.elapsed());
    let instances = listings[0].resources.as_ref().expect("they were listed");
    let Fact::Unread(fault) = &facts(&instances[0]).targets else { panic!("not read") };
    assert_eq!(fault.kind, FaultKind::TimedOut);
    let fault = listings[1].resources.as_ref().expect_err("nothing came");
    assert_eq!(fault.kind, FaultKind::TimedOut);
}
