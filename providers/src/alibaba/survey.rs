//! What feeds the groups of a region: load balancers that they are attached to, machines that wait
//! stopped, six weeks of activities. Read once, for a first configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::feed::{Feed, FeedKind, FeedSource, Survey, Surveyed, UnitShape};
use fleet::group::{Activity, GroupState};
use fleet::{Fault, Seconds};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::access::Seat;
use super::estate::{APPLICATION_GROUPS, INSTANCES, ListingCall, NETWORK_GROUPS};
use super::groups::{self, DESCRIBE_GROUPS, PAGE};
use super::params::Params;
use crate::Deadline;
use crate::home::Home;

/// How far back activities are read for lead times.
const HISTORY: Seconds = Seconds::days(42);
/// Pages that the groups of a region may have.
const PAGES_MAX: usize = 200;
/// Ids of instances in one call. [ECS API reference]
const IDS: usize = 100;
/// The kind of groups whose members are container instances and no machines.
const CONTAINERS: &str = "ECI";

/// What a group's own record tells besides its sizes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Attached {
    scaling_group_id: String,
    group_type: String,
    alb_server_groups: Vec<ApplicationGroup>,
    server_groups: Vec<ServerGroup>,
    #[serde(rename = "VServerGroups")]
    v_server_groups: Vec<ClassicGroups>,
    load_balancer_ids: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ApplicationGroup {
    alb_server_group_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServerGroup {
    server_group_id: String,
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ClassicGroups {
    load_balancer_id: String,
    #[serde(rename = "VServerGroupAttributes")]
    groups: Vec<ClassicGroup>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ClassicGroup {
    #[serde(rename = "VServerGroupId")]
    id: String,
}

/// A server group as its product lists it, with the load balancers that send to it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    server_group_id: String,
    #[serde(default)]
    related_load_balancer_ids: Vec<String>,
}

/// By server group, the load balancers that send to it.
type Routes = BTreeMap<String, BTreeSet<String>>;

impl Attached {
    /// Whether its members are container instances, of which CloudMonitor has no metrics by machine.
    fn is_of_containers(&self) -> bool {
        self.group_type == CONTAINERS
    }

    /// Everything that it is attached to. Load balancers are named where they could be read.
    fn feeds(&self, routes: Option<&Routes>) -> Vec<Feed> {
        let modern = |id: &str, via| {
            let balancers = routes.and_then(|routes| routes.get(id));
            let balancer = balancers.and_then(|all| all.first()).cloned();
            let shared = routes.zip(balancer.as_ref()).map(|(routes, balancer)| {
                let here = routes.values().filter(|all| all.contains(balancer)).count();
                u32::try_from(here).unwrap_or(u32::MAX)
            });
            Feed {
                via,
                balancer,
                target_group: Some(id.to_owned()),
                target_groups: shared,
                known_by: FeedSource::Attachment,
            }
        };
        let classic = |balancer: &str, group: Option<&str>| Feed {
            via: FeedKind::Classic,
            balancer: Some(balancer.to_owned()),
            target_group: group.map(str::to_owned),
            target_groups: None,
            known_by: FeedSource::Attachment,
        };
        let old = self.alb_server_groups.iter();
        let mut feeds: Vec<Feed> =
            old.map(|group| modern(&group.alb_server_group_id, FeedKind::Application)).collect();
        feeds.extend(self.server_groups.iter().map(|group| {
            let via = match group.r#type.as_str() {
                "ALB" => FeedKind::Application,
                "NLB" => FeedKind::Network,
                "GWLB" => FeedKind::Gateway,
                _ => FeedKind::Other,
            };
            modern(&group.server_group_id, via)
        }));
        for of_balancer in &self.v_server_groups {
            let groups = of_balancer.groups.iter();
            feeds.extend(groups.map(|one| classic(&of_balancer.load_balancer_id, Some(&one.id))));
        }
        feeds.extend(self.load_balancer_ids.iter().map(|id| classic(id, None)));
        feeds.sort();
        // The newer list repeats what the older one has.
        feeds.dedup_by(|a, b| (&a.balancer, &a.target_group) == (&b.balancer, &b.target_group));
        feeds
    }
}

/// Reads all groups of a region and what feeds them. What cannot be read beside the groups is named.
pub(super) async fn of_place(
    seat: &Arc<Seat>,
    home: &Home,
    deadline: Deadline,
) -> Result<Survey, Fault> {
    let soft = deadline.of_details();
    let (states, attached, routes) = tokio::join!(
        groups::all(seat, home, deadline),
        every_attached(seat, soft),
        routes(seat, soft),
    );
    let states = states?;
    let mut unread = Vec::new();
    let mut known = |fault: Fault| unread.push(fault);
    let attached = attached.map_err(&mut known).unwrap_or_default();
    let routes = routes.map_err(&mut known).ok();
    let classes = classes(seat, &states, soft).await.map_err(&mut known).unwrap_or_default();
    let mut histories = histories(seat, &states, soft).await;
    let mut groups = Vec::with_capacity(states.len());
    for state in states {
        let history = histories.remove(&state.id.id).and_then(|read| read.map_err(&mut known).ok());
        let mut found = Surveyed { history, ..Surveyed::bare(state) };
        if let Some(own) = attached.get(&found.group.id.id) {
            found.feeds = own.feeds(routes.as_ref());
            if own.is_of_containers() {
                found.shapes = vec![UnitShape { class: CONTAINERS.to_owned(), weight: 1 }];
            }
        }
        let first = found.group.instances.iter().find_map(|one| Some((classes.get(&one.id)?, one)));
        if let Some((class, one)) = first {
            found.shapes = vec![UnitShape { class: class.clone(), weight: one.weight.0 }];
        }
        groups.push(found);
    }
    // The same call fails for many groups in the same way: once is enough.
    let mut said = BTreeSet::new();
    unread.retain(|fault: &Fault| said.insert((fault.operation.clone(), fault.kind.word())));
    Ok(Survey { groups, unread, ..Survey::default() })
}

/// The records of all groups of a region, by id.
async fn every_attached(
    seat: &Seat,
    deadline: Deadline,
) -> Result<BTreeMap<String, Attached>, Fault> {
    let mut found = BTreeMap::new();
    for number in 1..=PAGES_MAX {
        let asked = seat.params().with("PageNumber", number).with("PageSize", PAGE);
        let page = page(seat, asked, deadline).await?;
        let last = page.len() < PAGE;
        found.extend(page.into_iter().map(|one| (one.scaling_group_id.clone(), one)));
        if last {
            return Ok(found);
        }
    }
    Err(DESCRIBE_GROUPS.endless(PAGES_MAX))
}

/// One page of records.
async fn page(seat: &Seat, params: Params, deadline: Deadline) -> Result<Vec<Attached>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        scaling_groups: Vec<Attached>,
    }
    let page: Page =
        seat.call(DESCRIBE_GROUPS, super::endpoint::Product::Ess, params, deadline).await?;
    Ok(page.scaling_groups)
}

/// Where application and network load balancers send to.
async fn routes(seat: &Seat, deadline: Deadline) -> Result<Routes, Fault> {
    let list = async |listing: ListingCall, params: Params| {
        listing.all::<Listed>(seat, params, deadline).await
    };
    let (application, network) =
        tokio::join!(list(APPLICATION_GROUPS, Params::new()), list(NETWORK_GROUPS, seat.params()),);
    let all = application?.into_iter().chain(network?);
    Ok(all
        .map(|one| (one.server_group_id, one.related_load_balancer_ids.into_iter().collect()))
        .collect())
}

/// The instance type of a member of each group, by the member's id.
async fn classes(
    seat: &Seat,
    groups: &[GroupState],
    deadline: Deadline,
) -> Result<BTreeMap<String, String>, Fault> {
    let first = groups.iter().filter_map(|group| group.instances.first());
    let ids: Vec<&str> = first.map(|one| one.id.as_str()).collect();
    let mut found = BTreeMap::new();
    for ids in ids.chunks(IDS) {
        let params = seat.params().with("InstanceIds", json!(ids));
        for machine in INSTANCES.all::<Value>(seat, params, deadline).await? {
            if let (Some(id), Some(class)) =
                (machine["InstanceId"].as_str(), machine["InstanceType"].as_str())
            {
                found.insert(id.to_owned(), class.to_owned());
            }
        }
    }
    Ok(found)
}

/// What the groups did in six weeks, by id; those that may be sized alone.
async fn histories(
    seat: &Arc<Seat>,
    groups: &[GroupState],
    deadline: Deadline,
) -> BTreeMap<String, Result<Vec<Activity>, Fault>> {
    let since = seat.now() - HISTORY;
    let mut jobs = JoinSet::new();
    for group in groups.iter().filter(|group| group.owner.is_none() && group.max.0 > 0) {
        let (seat, id) = (Arc::clone(seat), group.id.id.clone());
        jobs.spawn(async move {
            let read = groups::activities_of(&seat, &id, since, deadline).await;
            (id, read)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        found.extend(done.ok());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(group: Value) -> Attached {
        serde_json::from_value(group).unwrap()
    }

    /// Each feed in a line.
    fn lines(feeds: &[Feed]) -> Vec<String> {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let line = |feed: &Feed| {
            let shared = feed.target_groups.map_or_else(|| "?".to_owned(), |n| n.to_string());
            format!("{:?} {} {} {shared}", feed.via, word(&feed.balancer), word(&feed.target_group))
        };
        feeds.iter().map(line).collect()
    }

    #[test]
    fn every_list_of_attachments_is_read_and_repeated_ones_count_once() {
        let group = read(json!({
            "ScalingGroupId": "asg-1",
            "AlbServerGroups": [{ "AlbServerGroupId": "sgp-a", "Port": 80, "Weight": 100 }],
            "ServerGroups": [
                { "ServerGroupId": "sgp-a", "Type": "ALB" },
                { "ServerGroupId": "sgp-n", "Type": "NLB" },
                { "ServerGroupId": "sgp-x", "Type": "XLB" }
            ],
            "VServerGroups": [{
                "LoadBalancerId": "lb-1",
                "VServerGroupAttributes": [{ "VServerGroupId": "rsp-1", "Port": 80 }]
            }],
            "LoadBalancerIds": ["lb-2"]
        }));
        let on = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let routes = Routes::from([
            ("sgp-a".to_owned(), on(&["alb-1"])),
            ("sgp-b".to_owned(), on(&["alb-1", "alb-2"])),
            ("sgp-n".to_owned(), on(&[])),
        ]);
        assert_eq!(
            lines(&group.feeds(Some(&routes))),
            [
                "Application alb-1 sgp-a 2",
                "Network ? sgp-n ?",
                "Classic lb-1 rsp-1 ?",
                "Classic lb-2 ? ?",
                "Other ? sgp-x ?",
            ]
        );
        assert_eq!(lines(&group.feeds(None))[0], "Application ? sgp-a ?", "not known is not one");
        assert!(read(json!({})).feeds(Some(&routes)).is_empty());
    }

    #[test]
    fn containers_are_told_from_machines() {
        let of = |kind: &str| read(json!({ "GroupType": kind }));
        assert!(of("ECI").is_of_containers() && !of("ECS").is_of_containers());
    }
}
