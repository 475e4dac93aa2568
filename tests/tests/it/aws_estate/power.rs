//! Stops, starts and marks, and what is refused or never answered.

use fleet::resource::{Fact, Power, ResourceKind};
use fleet::stop::StopMode;
use fleet::usage::Signal;
use fleet::{FaultKind, Seconds, Timestamp};
use providers::PowerOrder;
use tests::peers::{Fault, Rule};

use super::cloud::{Cloud, RDS, START, STOP, database, facts, id, instance, patience};

#[test]
fn an_instance_is_stopped_and_started_and_each_takes_its_time() {
    let Some(cloud) =
        Cloud::inside("power::an_instance_is_stopped_and_started_and_each_takes_its_time")
    else {
        return;
    };
    cloud.proxy.power_takes(Seconds(120));
    let one = instance(&cloud.run("m5.large", &[]));
    assert_eq!(cloud.rehearse(&one, STOP), Ok(true));
    assert_eq!(cloud.read(&one).power, Power::Running, "asking changes nothing");
    assert_eq!(cloud.order(&one, STOP), Ok(()));
    assert_eq!(cloud.read(&one).power, Power::Stopping);
    assert_eq!(cloud.order(&one, PowerOrder::Start), Err(FaultKind::Refused), "not yet");
    cloud.pass(120);
    assert_eq!(cloud.read(&one).power, Power::Stopped { charged: Some(false) });
    assert_eq!(cloud.rehearse(&one, PowerOrder::Start), Ok(true));
    cloud.proxy.has_room_for(&one.id, false);
    assert_eq!(cloud.order(&one, PowerOrder::Start), Err(FaultKind::OutOfCapacity));
    cloud.proxy.has_room_for(&one.id, true);
    assert_eq!(cloud.order(&one, PowerOrder::Start), Ok(()));
    let seen = cloud.read(&one);
    assert_eq!((seen.power, seen.started_at), (Power::Starting, Some(cloud.time.now())));
    assert_eq!(seen.created_at, Some(Timestamp(START.0 - 100 * 86_400)));
    cloud.pass(120);
    assert_eq!(cloud.read(&one).power, Power::Running);
    let gone = instance("i-0123456789abcdef0");
    assert_eq!(cloud.order(&gone, STOP), Err(FaultKind::Missing));
    let missing = cloud.runtime.block_on(cloud.estate().resource(&gone, patience()));
    assert_eq!(missing.expect_err("there is none").kind, FaultKind::Missing);
    let volume = id(ResourceKind::Volume, "vol-1");
    assert_eq!(cloud.order(&volume, STOP), Err(FaultKind::Refused));
}

#[test]
fn what_cannot_be_hibernated_or_is_protected_is_refused() {
    let Some(cloud) = Cloud::inside("power::what_cannot_be_hibernated_or_is_protected_is_refused")
    else {
        return;
    };
    let sleepless = instance(&cloud.run("m5.large", &[]));
    let hibernate = PowerOrder::Stop(StopMode::Hibernate);
    assert_eq!(cloud.order(&sleepless, hibernate), Err(FaultKind::Refused));
    assert_eq!(cloud.read(&sleepless).power, Power::Running);
    let ready = cloud.run("m5.large", &[("HibernationOptions.Configured", "true")]);
    assert_eq!(cloud.order(&instance(&ready), hibernate), Ok(()));
    let stops = cloud.proxy.writes();
    assert!(stops.iter().all(|call| call.parameters["Hibernate"] == "true"));

    let kept = instance(&cloud.run("m5.large", &[]));
    for attribute in ["DisableApiStop.Value", "DisableApiTermination.Value"] {
        let with = [("InstanceId", kept.id.as_str()), (attribute, "true")];
        cloud.ec2("ModifyInstanceAttribute", &with);
    }
    let seen = cloud.read(&kept);
    assert_eq!(facts(&seen).stop_protected, Fact::Known(true));
    assert_eq!(facts(&seen).termination_protected, Fact::Known(true));
    let free = cloud.read(&sleepless);
    assert_eq!(facts(&free).stop_protected, Fact::Known(false));
    assert_eq!(facts(&free).termination_protected, Fact::Known(false));
    assert_eq!(cloud.order(&kept, STOP), Err(FaultKind::Refused));
    cloud.proxy.inject(Rule::on("DescribeInstanceAttribute", Fault::Denied));
    assert!(matches!(facts(&cloud.read(&kept)).stop_protected, Fact::Unread(_)));
}

#[test]
fn what_a_listing_leaves_out_is_asked_for_and_nothing_else() {
    let Some(cloud) =
        Cloud::inside("power::what_a_listing_leaves_out_is_asked_for_and_nothing_else")
    else {
        return;
    };
    let (kept, free) = (cloud.run("m5.large", &[]), cloud.run("t3.micro", &[]));
    for attribute in ["DisableApiStop.Value", "DisableApiTermination.Value"] {
        cloud.ec2("ModifyInstanceAttribute", &[("InstanceId", &kept), (attribute, "true")]);
    }
    cloud.database("orders");
    let all = cloud.listed(ResourceKind::Instance);
    let asked = ["DescribeInstanceAttribute", "DescribeInstanceAttribute", "DescribeVolumes"];
    for (id, protected) in [(&kept, true), (&free, false)] {
        let listed = &all[id];
        assert!(facts(listed).leaves_out());
        let mut whole = listed.clone();
        let calls = cloud.calls_of(|| whole = cloud.details(listed).expect("they were read"));
        assert_eq!(calls, asked);
        assert_eq!(facts(&whole).stop_protected, Fact::Known(protected));
        assert_eq!(facts(&whole).termination_protected, Fact::Known(protected));
        assert_eq!(whole, cloud.read(&listed.id), "as by itself");
        let calls = cloud.calls_of(|| assert_eq!(cloud.details(&whole), Ok(whole.clone())));
        assert!(calls.is_empty(), "nothing is left out: {calls:?}");
    }
    let orders = &cloud.listed(ResourceKind::Database)["orders"];
    let calls = cloud.calls_of(|| assert_eq!(cloud.details(orders), Ok(orders.clone())));
    assert!(calls.is_empty(), "a database without a key is listed in full: {calls:?}");

    let rule = cloud.proxy.inject(Rule::on("DescribeInstanceAttribute", Fault::Denied));
    let denied = cloud.details(&all[&kept]).expect("the facts say so");
    assert!(matches!(&facts(&denied).stop_protected, Fact::Unread(_)));
    assert!(matches!(&facts(&denied).termination_protected, Fact::Unread(_)));
    assert_eq!(facts(&denied).targets, facts(&all[&kept]).targets);
    cloud.proxy.remove(rule);
    let mut gone = all[&kept].clone();
    gone.id = instance("i-0123456789abcdef0");
    assert_eq!(cloud.details(&gone), Err(FaultKind::Missing));
}

#[test]
fn stops_of_the_same_moment_share_what_is_read_of_the_region() {
    let Some(cloud) =
        Cloud::inside("power::stops_of_the_same_moment_share_what_is_read_of_the_region")
    else {
        return;
    };
    let [one, two] = ["m5.large", "t3.micro"].map(|class| instance(&cloud.run(class, &[])));
    cloud.database("orders");
    let three = database("orders");
    let alone = cloud.calls_of(|| drop(cloud.read(&one)));
    let together = cloud.calls_of(|| {
        let read = |id| cloud.estate().resource(id, patience());
        let all = async { tokio::join!(read(&one), read(&two), read(&three)) };
        let (first, second, third) = cloud.runtime.block_on(all);
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
    });
    let again = cloud.calls_of(|| drop(cloud.read(&one)));
    let count =
        |calls: &[String], operation: &str| calls.iter().filter(|call| *call == operation).count();
    for (operation, shared) in [
        ("DescribeAlarms", 1),
        ("DescribeTargetGroups", 1),
        ("DescribeLoadBalancers", 2),
        ("DescribeInstances", 2),
        ("DescribeInstanceAttribute", 4),
        ("DescribeDBInstances", 1),
    ] {
        assert_eq!(count(&together, operation), shared, "{operation}: {together:?}");
        let (alone, again) = (count(&alone, operation), count(&again, operation));
        assert_eq!(alone, again, "{operation} is asked anew for the next one");
    }
    assert_eq!(count(&again, "DescribeAlarms"), 1);
    assert_eq!(count(&again, "DescribeTargetGroups"), 1);
}

#[test]
fn an_order_without_an_answer_is_unconfirmed_and_sent_once() {
    let Some(cloud) =
        Cloud::inside("power::an_order_without_an_answer_is_unconfirmed_and_sent_once")
    else {
        return;
    };
    let one = instance(&cloud.run("m5.large", &[]));
    cloud.database("orders");
    let rule = cloud.proxy.inject(Rule::any(Fault::cut_after()).of_service("ec2"));
    assert_eq!(cloud.order(&one, STOP), Err(FaultKind::Unconfirmed));
    cloud.proxy.remove(rule);
    assert_eq!(cloud.proxy.count("StopInstances"), 1);
    assert_eq!(cloud.read(&one).power, Power::Stopped { charged: Some(false) }, "it was done");
    cloud.proxy.inject(Rule::on("StopDBInstance", Fault::cut_after()));
    assert_eq!(cloud.order(&database("orders"), STOP), Err(FaultKind::Unconfirmed));
    assert_eq!(cloud.proxy.count("StopDBInstance"), 1);
    cloud.proxy.heal();
    for (operation, order) in [("StopInstances", STOP), ("StartInstances", PowerOrder::Start)] {
        cloud.proxy.inject(Rule::on(operation, Fault::Throttled));
        let before = cloud.proxy.count(operation);
        let throttled = cloud.order(&one, order);
        assert_eq!(throttled, Err(FaultKind::Throttled { retry_after: None }));
        assert_eq!(cloud.proxy.count(operation), before + 1, "never repeated");
    }
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    let Some(cloud) = Cloud::inside("power::where_nobody_listens_nothing_was_sent") else { return };
    let one = instance(&cloud.run("m5.large", &[]));
    cloud.database("orders");
    cloud.proxy.unplug();
    assert_eq!(cloud.order(&one, STOP), Err(FaultKind::Unreachable));
    assert_eq!(cloud.order(&database("orders"), STOP), Err(FaultKind::Unreachable));
    cloud.proxy.plug_in();
    assert_eq!(cloud.read(&one).power, Power::Running);
    assert_eq!(cloud.read(&database("orders")).power, Power::Running);
}

#[test]
fn a_database_is_listed_stopped_and_started() {
    let Some(cloud) = Cloud::inside("power::a_database_is_listed_stopped_and_started") else {
        return;
    };
    cloud.proxy.power_takes(Seconds(300));
    cloud.database("orders");
    let replica =
        [("DBInstanceIdentifier", "orders-copy"), ("SourceDBInstanceIdentifier", "orders")];
    cloud.database("alone");
    cloud.call("rds", RDS, "CreateDBInstanceReadReplica", &replica);
    let all = cloud.listed(ResourceKind::Database);
    let seen = &all["alone"];
    assert_eq!((seen.power.clone(), seen.size_gib), (Power::Running, Some(20)));
    assert_eq!(seen.platform.as_deref(), Some("postgres"));
    assert_eq!(seen.created_at, Some(Timestamp(START.0 - 86_400)));
    assert_eq!(seen.tags.get("team").map(String::as_str), Some("shop"));
    assert_eq!(seen.sampled_every, Seconds(60));
    assert!(seen.signals.contains(&Signal::Connections));
    assert_eq!(facts(seen).replica, Fact::Known(None));
    assert_eq!(facts(seen).termination_protected, Fact::Known(false));
    assert_eq!(facts(seen).burstable, Fact::Known(true));
    let of = |id: &str| {
        facts(&all[id]).replica.known().cloned().flatten().expect("it is one").to_string()
    };
    assert!(of("orders-copy").starts_with("replica of `"), "{}", of("orders-copy"));
    assert_eq!(of("orders"), "source of the replicas `orders-copy`");

    let alone = database("alone");
    assert_eq!(cloud.rehearse(&alone, STOP), Ok(false), "RDS cannot be asked");
    let hibernate = PowerOrder::Stop(StopMode::Hibernate);
    assert_eq!(cloud.order(&alone, hibernate), Err(FaultKind::Refused));
    assert_eq!(cloud.order(&alone, STOP), Ok(()));
    assert_eq!(cloud.read(&alone).power, Power::Stopping);
    assert_eq!(cloud.order(&alone, STOP), Err(FaultKind::Refused), "under way");
    cloud.pass(300);
    assert_eq!(cloud.read(&alone).power, Power::Stopped { charged: Some(false) });
    assert_eq!(cloud.order(&alone, PowerOrder::Start), Ok(()));
    assert_eq!(cloud.read(&alone).power, Power::Starting);
    cloud.pass(300);
    assert_eq!(cloud.read(&alone).power, Power::Running);
    assert_eq!(cloud.order(&database("none"), STOP), Err(FaultKind::Missing));
}

#[test]
fn marks_are_written_and_the_tag_that_opts_in_never_is() {
    let Some(cloud) = Cloud::inside("power::marks_are_written_and_the_tag_that_opts_in_never_is")
    else {
        return;
    };
    let one = instance(&cloud.run("m5.large", &[]));
    cloud.database("orders");
    for id in [&one, &database("orders")] {
        let tag = |key: &str, value: Option<&str>| {
            let switch = cloud.estate().switch(id);
            cloud.runtime.block_on(switch.tag(key, value, patience())).map_err(|f| f.kind)
        };
        assert_eq!(tag("neap:marked", Some("2026-03-09 idle")), Ok(()));
        let seen = cloud.read(id);
        assert_eq!(seen.tags.get("neap:marked").map(String::as_str), Some("2026-03-09 idle"));
        assert_eq!(tag("neap:marked", None), Ok(()));
        assert!(!cloud.read(id).tags.contains_key("neap:marked"));
        let sent = cloud.proxy.writes().len();
        assert_eq!(tag("neap:managed", Some("true")), Err(FaultKind::Refused));
        assert_eq!(tag("neap:managed", None), Err(FaultKind::Refused));
        assert_eq!(cloud.proxy.writes().len(), sent, "nothing was sent");
    }
}
