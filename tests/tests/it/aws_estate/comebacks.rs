//! Whether what is stopped comes back: the keys of its disks, and who starts databases.

use fleet::Timestamp;
use fleet::comeback::{Comeback, DiskKeys, Started};
use fleet::resource::{Fact, Resource, ResourceKind};
use serde_json::json;
use tests::peers::{Fault, Rule};

use super::cloud::{Cloud, RDS, START, database, facts, instance, word};

fn comeback(resource: &Resource) -> &Comeback {
    &facts(resource).comeback
}

/// A key, and an instance with a volume that is encrypted with it.
fn with_key(cloud: &Cloud) -> (String, String) {
    let made = cloud.kms("CreateKey", &json!({}));
    let key = made["KeyMetadata"]["Arn"].as_str().expect("a key has an ARN").to_owned();
    let id = cloud.run("m5.large", &[]);
    let described = cloud.ec2("DescribeInstances", &[("InstanceId.1", &id)]);
    let zone = word(&described, "availabilityZone");
    let with = [
        ("AvailabilityZone", zone.as_str()),
        ("Size", "8"),
        ("Encrypted", "true"),
        ("KmsKeyId", &key),
    ];
    let volume = word(&cloud.ec2("CreateVolume", &with), "volumeId");
    let to = [("InstanceId", id.as_str()), ("VolumeId", &volume), ("Device", "/dev/sdf")];
    cloud.ec2("AttachVolume", &to);
    (key, id)
}

/// The id at the end of a key's ARN.
fn id_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

#[test]
fn the_keys_of_an_instances_disks_are_read_before_it_is_stopped() {
    let Some(cloud) =
        Cloud::inside("comebacks::the_keys_of_an_instances_disks_are_read_before_it_is_stopped")
    else {
        return;
    };
    let plain = instance(&cloud.run("t3.micro", &[]));
    let calls = cloud.calls_of(|| {
        assert_eq!(comeback(&cloud.read(&plain)).keys, Fact::Known(DiskKeys::Usable));
    });
    assert!(!calls.iter().any(|call| call == "DescribeKey"), "nothing is encrypted: {calls:?}");
    let (key, id) = with_key(&cloud);
    let one = instance(&id);
    assert_eq!(comeback(&cloud.read(&one)).keys, Fact::Known(DiskKeys::Usable));
    let listed = &cloud.listed(ResourceKind::Instance)[&id];
    assert_eq!(comeback(listed).keys, Fact::Unasked);
    let whole = cloud.details(listed).expect("it was read");
    assert_eq!(comeback(&whole).keys, Fact::Known(DiskKeys::Usable));

    let unusable =
        |state: &str| Fact::Known(DiskKeys::Unusable { key: key.clone(), state: state.to_owned() });
    cloud.kms("DisableKey", &json!({ "KeyId": id_of(&key) }));
    assert_eq!(comeback(&cloud.read(&one)).keys, unusable("Disabled"));
    cloud.kms("ScheduleKeyDeletion", &json!({ "KeyId": id_of(&key), "PendingWindowInDays": 7 }));
    assert_eq!(comeback(&cloud.read(&one)).keys, unusable("PendingDeletion"));

    for fault in [Fault::Denied, Fault::Throttled, Fault::Broken] {
        let rule = cloud.proxy.inject(Rule::on("DescribeKey", fault));
        let seen = cloud.read(&one);
        assert!(matches!(comeback(&seen).keys, Fact::Unread(_)), "{:?}", comeback(&seen));
        cloud.proxy.remove(rule);
    }
    let rule = cloud.proxy.inject(Rule::on("DescribeVolumes", Fault::Denied));
    assert!(matches!(comeback(&cloud.read(&one)).keys, Fact::Unread(_)));
    cloud.proxy.remove(rule);
}

#[test]
fn a_database_tells_its_key_and_who_started_it_where_that_can_be_read() {
    let Some(cloud) = Cloud::inside(
        "comebacks::a_database_tells_its_key_and_who_started_it_where_that_can_be_read",
    ) else {
        return;
    };
    let made = cloud.kms("CreateKey", &json!({}));
    let key = made["KeyMetadata"]["Arn"].as_str().expect("a key has an ARN").to_owned();
    let with = [
        ("DBInstanceIdentifier", "sealed"),
        ("Engine", "postgres"),
        ("DBInstanceClass", "db.t3.micro"),
        ("AllocatedStorage", "20"),
        ("MasterUsername", "somebody"),
        ("MasterUserPassword", "nobody-knows"),
        ("StorageEncrypted", "true"),
        ("KmsKeyId", &key),
    ];
    cloud.call("rds", RDS, "CreateDBInstance", &with);
    cloud.database("plain");
    let all = cloud.listed(ResourceKind::Database);
    assert_eq!(comeback(&all["plain"]).keys, Fact::Known(DiskKeys::Usable));
    assert_eq!(comeback(&all["sealed"]).keys, Fact::Unasked);
    assert_eq!(comeback(&all["plain"]).started, Fact::Known(None::<Started>));
    let whole = cloud.details(&all["sealed"]).expect("it was read");
    assert_eq!(comeback(&whole).keys, Fact::Known(DiskKeys::Usable));
    cloud.kms("DisableKey", &json!({ "KeyId": id_of(&key) }));
    let seen = cloud.read(&database("sealed"));
    assert!(matches!(comeback(&seen).keys, Fact::Known(DiskKeys::Unusable { .. })));

    // The peer starts nothing by itself, and has no events of starts: what RDS would tell.
    let event = |words: &str| {
        format!(
            "<Events><Event><SourceIdentifier>plain</SourceIdentifier><Message>{words}</Message>\
             <Date>2026-03-02T11:00:00Z</Date></Event></Events>"
        )
    };
    let own = "DB instance is being started due to it exceeding the maximum allowed time being \
               stopped.";
    let at = Timestamp(START.0 - 3600);
    for (words, started) in [
        (own, Some(Started::ByCloud { at })),
        ("DB instance started", Some(Started::ByOrder { at })),
        ("DB instance shutdown", None),
    ] {
        let events = event(words);
        let told = move |_: Vec<u8>| {
            let page = format!(
                "<DescribeEventsResponse><DescribeEventsResult>{events}</DescribeEventsResult>\
                 </DescribeEventsResponse>"
            );
            page.into_bytes()
        };
        let rule = cloud.proxy.inject(Rule::on("DescribeEvents", Fault::rewrite(told)));
        let all = cloud.listed(ResourceKind::Database);
        assert_eq!(comeback(&all["plain"]).started, Fact::Known(started), "{words}");
        assert_eq!(comeback(&all["sealed"]).started, Fact::Known(None), "{words}");
        cloud.proxy.remove(rule);
    }
    let due = |body: Vec<u8>| {
        let text = String::from_utf8(body).expect("text");
        let due = "<AutomaticRestartTime>2026-03-09T12:00:00Z</AutomaticRestartTime>";
        text.replace("<DBInstanceStatus>", &format!("{due}<DBInstanceStatus>")).into_bytes()
    };
    let rule = cloud.proxy.inject(Rule::on("DescribeDBInstances", Fault::rewrite(due)));
    let seen = cloud.read(&database("plain"));
    assert_eq!(comeback(&seen).starts_itself_at, Some(Timestamp(START.0 + 7 * 86_400)));
    cloud.proxy.remove(rule);

    // Whatever becomes of what is asked beside it, a listing is one.
    for fault in [Fault::Denied, Fault::Throttled, Fault::Broken] {
        let rule = cloud.proxy.inject(Rule::on("DescribeEvents", fault));
        let all = cloud.listed(ResourceKind::Database);
        assert!(matches!(comeback(&all["plain"]).started, Fact::Unread(_)));
        cloud.proxy.remove(rule);
    }
}
