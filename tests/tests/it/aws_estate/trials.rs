//! Permissions and limits are tried, nothing is changed, and what cannot be tried is not claimed.

use std::collections::BTreeMap;

use fleet::{AccountId, FaultKind, GroupId, Place, ProviderName, Region};
use providers::{Growth, Limit, Outcome, Provider, Trials, Tried, Untried};
use tests::peers::{Aws, Fault, NewGroup, Rule};

use super::cloud::{Cloud, REGION, patience};

fn place() -> Place {
    Place {
        provider: ProviderName::new("aws").expect("a name"),
        account: AccountId::new("default").expect("a name"),
        region: Region::new(REGION).expect("a region"),
    }
}

fn trials(cloud: &Cloud) -> &dyn Trials {
    cloud.adapter.trials().expect("AWS has trials")
}

fn tried(cloud: &Cloud) -> Tried {
    cloud.runtime.block_on(trials(cloud).tried(&place(), true, patience()))
}

fn outcomes(tried: &Tried) -> BTreeMap<&str, &Outcome> {
    tried.trials.iter().map(|trial| (trial.permission.as_str(), &trial.outcome)).collect()
}

#[test]
fn each_permission_has_an_answer_of_its_own_and_nothing_is_changed() {
    let Some(cloud) =
        Cloud::inside("trials::each_permission_has_an_answer_of_its_own_and_nothing_is_changed")
    else {
        return;
    };
    Aws::at(cloud.proxy.back_door(), REGION).create_group(&NewGroup::new("web", 1, 9, 2));
    let tag = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "neap:managed"),
        ("TagSpecification.1.Tag.1.Value", "true"),
    ];
    let id = cloud.run("m5.large", &tag);
    let state = || cloud.ec2("DescribeInstances", &[("InstanceId.1", &id)]);
    let before = state();
    cloud.proxy.inject(Rule::on("DescribePolicies", Fault::Denied));
    cloud.proxy.inject(Rule::on("DescribeAlarms", Fault::Throttled));
    let answers = tried(&cloud);
    assert_eq!(answers.identity.as_ref().expect("somebody").account.as_str(), "123456789012");
    let of = outcomes(&answers);
    for works in [
        "autoscaling:DescribeAutoScalingGroups",
        "cloudwatch:GetMetricData",
        "ec2:DescribeInstances",
        "ec2:DescribeVolumes",
        "ec2:StopInstances",
        "ec2:CreateTags",
        "elasticloadbalancing:DescribeLoadBalancers",
        "rds:DescribeDBInstances",
    ] {
        assert_eq!(of[works], &Outcome::Works, "{works}");
    }
    let Outcome::Failed(denied) = of["autoscaling:DescribePolicies"] else { panic!("{of:?}") };
    assert!(matches!(denied.kind, FaultKind::Denied { .. }), "{denied}");
    let Outcome::Failed(slow) = of["cloudwatch:DescribeAlarms"] else { panic!("{of:?}") };
    assert!(matches!(slow.kind, FaultKind::Throttled { .. }), "{slow}");
    assert_eq!(
        of["elasticloadbalancing:DescribeTargetHealth"],
        &Outcome::Untried(Untried::NoBalancer)
    );
    // Nothing is claimed of what has no dry run.
    assert_ne!(of["autoscaling:SetDesiredCapacity"], &Outcome::Works);
    assert_ne!(of["rds:StopDBInstance"], &Outcome::Works);
    assert_eq!(state(), before, "stops, starts and tags were rehearsed alone");
}

#[test]
fn without_a_machine_that_was_handed_over_the_switch_is_not_tried() {
    let Some(cloud) =
        Cloud::inside("trials::without_a_machine_that_was_handed_over_the_switch_is_not_tried")
    else {
        return;
    };
    cloud.run("m5.large", &[]);
    let answers = tried(&cloud);
    for call in ["ec2:StartInstances", "ec2:StopInstances", "ec2:CreateTags", "ec2:DeleteTags"] {
        assert_ne!(outcomes(&answers)[call], &Outcome::Works, "{call}");
    }
    assert!(cloud.proxy.calls().iter().all(|call| call.operation != "StopInstances"));
    let needed = answers.trials.len();
    cloud.proxy.inject(Rule::on("GetCallerIdentity", Fault::Denied));
    let nobody = tried(&cloud);
    assert!(nobody.identity.is_err() && nobody.trials.len() == needed && needed > 30);
}

#[test]
fn subnets_have_room_or_have_not_and_a_quota_that_is_not_told_spoils_nothing() {
    let Some(cloud) = Cloud::inside(
        "trials::subnets_have_room_or_have_not_and_a_quota_that_is_not_told_spoils_nothing",
    ) else {
        return;
    };
    Aws::at(cloud.proxy.back_door(), REGION).create_group(&NewGroup::new("web", 1, 9, 2));
    let Place { provider, account, region } = place();
    let growth = |name: &str, machines| Growth {
        group: GroupId {
            provider: provider.clone(),
            account: account.clone(),
            region: region.clone(),
            id: name.to_owned(),
        },
        name: name.to_owned(),
        class: Some("m5.large".to_owned()),
        member: None,
        machines,
        largest: 9,
    };
    let rooms = |growth: &[Growth]| {
        cloud.runtime.block_on(trials(&cloud).rooms(&place(), growth, patience()))
    };
    assert!(rooms(&[growth("web", 0)]).is_empty(), "what cannot grow needs no room");
    let all = rooms(&[growth("web", 7), growth("gone", 3)]);
    assert!(all.len() <= 2, "{all:?}");
    for room in all.iter().flatten() {
        match &room.what {
            Limit::Addresses(_) => assert_eq!((room.needed, room.missing()), (7, 0)),
            Limit::Vcpus => assert_eq!(room.needed, 20, "two processors each"),
            Limit::GroupSize => panic!("AWS tells no such limit"),
        }
    }
}
