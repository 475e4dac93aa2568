//! What nobody uses.

use std::collections::BTreeMap;

use fleet::OrTold;
use fleet::resource::{Fact, Resource, ResourceKind};
use fleet::signs::{Clue, Holder};
use tests::peers::{Fault, Rule};

use super::cloud::{Cloud, ELB, part, word};

fn held_by(id: &str) -> Fact<Option<OrTold<Holder>>> {
    Fact::Known(Some(Holder::Resource(id.to_owned()).into()))
}

#[test]
fn what_nobody_uses_is_found() {
    let Some(cloud) = Cloud::inside("parts::what_nobody_uses_is_found") else { return };
    let owner = cloud.run("m5.large", &[]);
    let volume = |size: &str| {
        let with = [("AvailabilityZone", "us-east-1a"), ("Size", size), ("VolumeType", "gp3")];
        word(&cloud.ec2("CreateVolume", &with), "volumeId")
    };
    let (loose, doomed) = (volume("8"), volume("9"));
    let snapshot = |of: &str| word(&cloud.ec2("CreateSnapshot", &[("VolumeId", of)]), "snapshotId");
    let (backup, orphan) = (snapshot(&loose), snapshot(&doomed));
    cloud.ec2("DeleteVolume", &[("VolumeId", &doomed)]);
    cloud.ec2("CreateImage", &[("InstanceId", &owner), ("Name", "golden-image")]);
    let address = || word(&cloud.ec2("AllocateAddress", &[("Domain", "vpc")]), "allocationId");
    let (free, taken) = (address(), address());
    cloud.ec2("AssociateAddress", &[("InstanceId", &owner), ("AllocationId", &taken)]);

    let used = |found: &BTreeMap<String, Resource>, id: &str| part(&found[id]).used_by.clone();
    let volumes = cloud.listed(ResourceKind::Volume);
    assert_eq!(used(&volumes, &loose), Fact::Known(None));
    assert_eq!(
        (volumes[&loose].size_gib, volumes[&loose].class.as_deref()),
        (Some(8), Some("gp3"))
    );
    let attached = volumes.values().filter(|one| part(one).used_by == held_by(&owner));
    assert_eq!(attached.count(), 1);
    assert!(!volumes.contains_key(&doomed));

    let addresses = cloud.listed(ResourceKind::Address);
    assert_eq!(used(&addresses, &free), Fact::Known(None));
    assert_eq!(used(&addresses, &taken), held_by(&owner));
    assert!(addresses[&free].name.contains('.'), "it goes by its number");

    let snapshots = cloud.listed(ResourceKind::Snapshot);
    assert_eq!(used(&snapshots, &backup), held_by(&loose));
    assert_eq!(used(&snapshots, &orphan), Fact::Known(None));
    assert_eq!(part(&snapshots[&orphan]).unused_since, snapshots[&orphan].created_at);
    let of_image = snapshots.values().filter_map(|one| part(one).used_by.known()?.clone());
    assert_eq!(of_image.filter(|user| user.to_string().starts_with("ami-")).count(), 1);

    cloud.proxy.inject(Rule::on("DescribeImages", Fault::Denied));
    let snapshots = cloud.listed(ResourceKind::Snapshot);
    assert!(matches!(used(&snapshots, &orphan), Fact::Unread(_)), "an image may use it");
}

#[test]
fn a_load_balancer_without_healthy_targets_is_found() {
    let Some(cloud) = Cloud::inside("parts::a_load_balancer_without_healthy_targets_is_found")
    else {
        return;
    };
    let well = cloud.run("m5.large", &[]);
    let ill = cloud.run("m5.large", &[]);
    cloud.proxy.target_is(&ill, "unhealthy");
    let described = cloud.ec2("DescribeSubnets", &[]);
    let subnets: Vec<&str> =
        described.split("<subnetId>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
    let vpc = word(&described, "vpcId");
    let call =
        |action: &str, with: &[(&str, &str)]| cloud.call("elasticloadbalancing", ELB, action, with);
    let balancer = |name: &str, targets: &[&str]| {
        let with = [
            ("Name", name),
            ("Subnets.member.1", subnets[0]),
            ("Subnets.member.2", subnets[1]),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", name),
        ];
        let arn = word(&call("CreateLoadBalancer", &with), "LoadBalancerArn");
        let group = format!("{name}-targets");
        let with =
            [("Name", group.as_str()), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", &vpc)];
        let group = word(&call("CreateTargetGroup", &with), "TargetGroupArn");
        for target in targets {
            let with = [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", target)];
            call("RegisterTargets", &with);
        }
        let with = [
            ("LoadBalancerArn", arn.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
        ];
        call("CreateListener", &with);
        arn
    };
    let busy = balancer("busy", &[&well, &ill]);
    let idle = balancer("idle", &[&ill]);
    let empty = balancer("empty", &[]);
    let all = cloud.listed(ResourceKind::LoadBalancer);
    assert_eq!(part(&all[&busy]).looked_at, Clue::Targets { serving: 1, of: 2 }.into());
    assert!(matches!(&part(&all[&busy]).used_by, Fact::Known(Some(_))));
    assert_eq!(part(&all[&idle]).used_by, Fact::Known(None));
    assert_eq!(part(&all[&idle]).looked_at, Clue::Targets { serving: 0, of: 1 }.into());
    assert_eq!(part(&all[&empty]).used_by, Fact::Known(None));
    assert_eq!(all[&idle].name, "idle");
    assert_eq!(all[&idle].tags.get("team").map(String::as_str), Some("idle"));
    cloud.proxy.inject(Rule::on("DescribeTargetHealth", Fault::Denied));
    let all = cloud.listed(ResourceKind::LoadBalancer);
    assert!(matches!(&part(&all[&idle]).used_by, Fact::Unread(_)), "it may have a target");
}
