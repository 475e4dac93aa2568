//! Load balancers of both generations, and what is registered behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::{Fault, Seconds};
use roxmltree::Node;
use tokio::task::JoinSet;

use super::super::access::Seat;
use super::super::known::{Balancer, Balancing, Target, TargetGroup};
use super::super::thin::Service;
use super::super::xml;
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_BALANCERS: Call =
    Call::read("elasticloadbalancing", "DescribeLoadBalancers");
pub(in super::super) const DESCRIBE_TARGET_GROUPS: Call =
    Call::read("elasticloadbalancing", "DescribeTargetGroups");
pub(in super::super) const DESCRIBE_TARGET_HEALTH: Call =
    Call::read("elasticloadbalancing", "DescribeTargetHealth");
pub(in super::super) const DESCRIBE_TAGS: Call = Call::read("elasticloadbalancing", "DescribeTags");

/// How long it is good enough for a listing to know what was registered in a target group.
const REGISTERED_FOR: Seconds = Seconds::hours(6);
/// Load balancers in one call for their tags. [Elastic Load Balancing API reference]
const TAGS_AT_ONCE: usize = 20;

impl Balancing {
    /// Where an instance is registered, by its id or by an address of it.
    ///
    /// # Errors
    /// Where the targets of one group could not be read: it may be there.
    pub(super) fn of_instance(
        &self,
        id: &str,
        vpc: Option<&str>,
        addresses: &BTreeSet<&str>,
    ) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        for group in &self.groups {
            let targets = group.targets.as_ref().map_err(Clone::clone)?;
            // The same address may be another machine's in another network; where it is not told
            // which network is meant, it counts.
            let here = group.vpc.is_none() || vpc.is_none() || group.vpc.as_deref() == vpc;
            let is =
                |target: &Target| target.id == id || here && addresses.contains(target.id.as_str());
            if targets.iter().any(is) {
                found.push(group.name.clone());
            }
        }
        let behind = self.classic.iter().filter(|(_, ids)| ids.iter().any(|found| found == id));
        found.extend(behind.map(|(name, _)| name.clone()));
        Ok(found)
    }
}

/// Reads all load balancing of a region. What is registered in a target group may be as old as
/// [`REGISTERED_FOR`] where `lately` is enough.
pub(super) async fn read(
    seat: &Arc<Seat>,
    lately: bool,
    deadline: Deadline,
) -> Result<Balancing, Fault> {
    let (balancers, groups, classic) = tokio::join!(
        balancers(seat, deadline),
        groups(seat, lately, deadline),
        classic(seat, deadline),
    );
    Ok(Balancing { balancers: balancers?, groups: groups?, classic: classic? })
}

async fn balancers(seat: &Seat, deadline: Deadline) -> Result<Vec<Balancer>, Fault> {
    let mut found = Vec::new();
    let service = Service::LoadBalancing;
    seat.pages(DESCRIBE_BALANCERS, service, &[], deadline, |page| {
        found.extend(xml::listed(page, "LoadBalancers").filter_map(balancer));
    })
    .await?;
    Ok(found)
}

fn balancer(node: Node<'_, '_>) -> Option<Balancer> {
    Some(Balancer {
        arn: xml::text(node, "LoadBalancerArn")?.to_owned(),
        name: xml::text(node, "LoadBalancerName").unwrap_or_default().to_owned(),
        kind: xml::text(node, "Type").unwrap_or_default().to_owned(),
        created_at: xml::text(node, "CreatedTime").and_then(xml::moment),
    })
}

/// Every target group of a region, without its targets.
async fn target_groups(seat: &Seat, deadline: Deadline) -> Result<Vec<TargetGroup>, Fault> {
    let mut found: Vec<TargetGroup> = Vec::new();
    let service = Service::LoadBalancing;
    seat.pages(DESCRIBE_TARGET_GROUPS, service, &[], deadline, |page| {
        found.extend(xml::listed(page, "TargetGroups").filter_map(target_group));
    })
    .await?;
    Ok(found)
}

/// The load balancers that send to each target group of a region, by ARN.
pub(in super::super) async fn routes(
    seat: &Seat,
    deadline: Deadline,
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let groups = target_groups(seat, deadline).await?;
    Ok(groups.into_iter().map(|group| (group.arn, group.balancers)).collect())
}

async fn groups(
    seat: &Arc<Seat>,
    lately: bool,
    deadline: Deadline,
) -> Result<Vec<TargetGroup>, Fault> {
    let mut found = target_groups(seat, deadline).await?;
    let now = seat.now();
    if lately {
        let mut known = seat.known();
        known.registered.retain(|arn, (at, _)| {
            now.apart(*at) < REGISTERED_FOR && found.iter().any(|group| group.arn == *arn)
        });
        for group in &mut found {
            if let Some((_, targets)) = known.registered.get(&group.arn) {
                group.targets = Ok(targets.clone());
            }
        }
    }
    let mut jobs = JoinSet::new();
    for (index, group) in found.iter().enumerate().filter(|(_, group)| group.targets.is_err()) {
        let (seat, arn) = (Arc::clone(seat), group.arn.clone());
        jobs.spawn(async move { (index, targets(&seat, &arn, deadline).await) });
    }
    while let Some(done) = jobs.join_next().await {
        if let Ok((index, targets)) = done
            && let Some(group) = found.get_mut(index)
        {
            if let Ok(targets) = &targets {
                seat.known().registered.insert(group.arn.clone(), (now, targets.clone()));
            }
            group.targets = targets;
        }
    }
    Ok(found)
}

fn target_group(node: Node<'_, '_>) -> Option<TargetGroup> {
    let lost = DESCRIBE_TARGET_HEALTH.lost();
    let balancers = xml::items(node, "LoadBalancerArns").filter_map(|arn| arn.text());
    Some(TargetGroup {
        arn: xml::text(node, "TargetGroupArn")?.to_owned(),
        name: xml::text(node, "TargetGroupName").unwrap_or_default().to_owned(),
        vpc: xml::text(node, "VpcId").map(str::to_owned),
        balancers: balancers.map(str::to_owned).collect(),
        targets: Err(lost),
    })
}

async fn targets(seat: &Seat, arn: &str, deadline: Deadline) -> Result<Vec<Target>, Fault> {
    let mut found = Vec::new();
    let fields = [("TargetGroupArn".to_owned(), arn.to_owned())];
    let service = Service::LoadBalancing;
    seat.pages(DESCRIBE_TARGET_HEALTH, service, &fields, deadline, |page| {
        found.extend(xml::listed(page, "TargetHealthDescriptions").filter_map(target));
    })
    .await?;
    Ok(found)
}

fn target(node: Node<'_, '_>) -> Option<Target> {
    let id = xml::text(xml::child(node, "Target")?, "Id")?.to_owned();
    let state = xml::child(node, "TargetHealth").and_then(|health| xml::text(health, "State"));
    // `unavailable`: health checks are off. `initial`: not known yet.
    let serves = !matches!(state, Some("unhealthy" | "unused" | "draining" | "unhealthy.draining"));
    Some(Target { id, serves })
}

async fn classic(seat: &Seat, deadline: Deadline) -> Result<Vec<(String, Vec<String>)>, Fault> {
    let mut found = Vec::new();
    let service = Service::ClassicLoadBalancing;
    seat.pages(DESCRIBE_BALANCERS, service, &[], deadline, |page| {
        for node in xml::listed(page, "LoadBalancerDescriptions") {
            let ids = xml::items(node, "Instances").filter_map(|one| xml::text(one, "InstanceId"));
            let ids = ids.map(str::to_owned).collect();
            let name = xml::text(node, "LoadBalancerName").unwrap_or_default();
            found.push((name.to_owned(), ids));
        }
    })
    .await?;
    Ok(found)
}

/// The tags of load balancers, by ARN.
pub(super) async fn tags(
    seat: &Seat,
    arns: &[&str],
    deadline: Deadline,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Fault> {
    let mut found = BTreeMap::new();
    for arns in arns.chunks(TAGS_AT_ONCE) {
        let field = |(n, arn): (usize, &&str)| {
            (format!("ResourceArns.member.{}", n + 1), (*arn).to_owned())
        };
        let fields: Vec<(String, String)> = arns.iter().enumerate().map(field).collect();
        seat.pages(DESCRIBE_TAGS, Service::LoadBalancing, &fields, deadline, |page| {
            for node in xml::listed(page, "TagDescriptions") {
                let arn = xml::text(node, "ResourceArn").unwrap_or_default();
                found.insert(arn.to_owned(), tags_in(node, "Tags"));
            }
        })
        .await?;
    }
    Ok(found)
}

/// The tags in a list of an element.
pub(super) fn tags_in(node: Node<'_, '_>, list: &str) -> BTreeMap<String, String> {
    let tag = |node| {
        let value = xml::text(node, "Value").unwrap_or_default();
        Some((xml::text(node, "Key")?.to_owned(), value.to_owned()))
    };
    xml::items(node, list).filter_map(tag).collect()
}
