//! What is known of instances from other products: groups, load balancers, routes, alarms, types and
//! the agent inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::Fault;
use fleet::resource::Fact;
use fleet::usage::Signal;
use serde::Deserialize;
use serde_json::Value;

use super::agents;
use super::instance::InstanceOnWire;
use super::pages::ListingCall;
use super::targets;
use super::types;
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::groups;
use crate::alibaba::known::{Alarm, Registered, TypeFacts};
use crate::alibaba::params::Params;

pub(in crate::alibaba) const ALARMS: ListingCall =
    ListingCall::by_number(("cms", Product::Cms), "DescribeMetricRuleList", "/Alarms/Alarm", 100)
        .numbered("Page", "/Total");
pub(in crate::alibaba) const ROUTE_TABLES: ListingCall = ListingCall::by_number(
    ("vpc", Product::Vpc),
    "DescribeRouteTableList",
    "/RouterTableList/RouterTableListType",
    50,
);
pub(in crate::alibaba) const ROUTES: ListingCall = ListingCall::by_token(
    ("vpc", Product::Vpc),
    "DescribeRouteEntryList",
    "/RouteEntrys/RouteEntry",
    ("MaxResult", 100),
);

/// The metrics of instances.
const INSTANCES: &str = "acs_ecs_dashboard";

/// What other products say, each with its own fault.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// By instance, its scaling group.
    pub(super) members: Fact<BTreeMap<String, String>>,
    /// By instance, where it is registered.
    pub(super) targets: Fact<Registered>,
    /// Instances and network interfaces that are the next hop of a route.
    pub(super) hops: Fact<BTreeSet<String>>,
    /// Alarms that ring.
    pub(super) alarms: Fact<Vec<Alarm>>,
    /// By name of the type.
    pub(super) types: BTreeMap<String, Fact<TypeFacts>>,
    /// By instance, what the agent inside measures.
    pub(super) agents: BTreeMap<String, BTreeSet<Signal>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleOnWire {
    rule_name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    resources: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteTable {
    route_table_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Route {
    #[serde(default)]
    next_hops: Hops,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Hops {
    next_hop: Vec<Hop>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Hop {
    next_hop_id: String,
}

/// Reads instances and all around them, side by side: of the whole region, or of one instance. What
/// is around gets the greater part of the time and may fail; the instances may not.
pub(super) async fn read(
    seat: &Arc<Seat>,
    only: Option<&str>,
    instances: impl Future<Output = Result<Vec<InstanceOnWire>, Fault>>,
    deadline: Deadline,
) -> Result<(Vec<InstanceOnWire>, Around), Fault> {
    let soft = deadline.of_details();
    // Types are read as soon as it is known which, whatever else takes its time.
    let instances = async {
        let instances = instances.await?;
        let names = instances.iter().map(|one| one.instance_type.clone()).collect();
        Ok::<_, Fault>((instances, types::of(seat, names, soft).await))
    };
    // These are of the whole region even for one instance: stops of the same moment share them.
    let (under_way_hops, under_way_alarms) = {
        let mut known = seat.estate();
        (known.hops.join(), known.alarms.join())
    };
    let (instances, members, targets, hops, alarms, agents) = tokio::join!(
        instances,
        members(seat, only, soft),
        targets::registered(seat, only, soft),
        under_way_hops.get_or_init(|| hops(seat, soft)),
        under_way_alarms.get_or_init(|| alarms(seat, soft)),
        agents::of(seat, soft),
    );
    let (instances, types) = instances?;
    let around = Around {
        members: members.into(),
        targets: targets.into(),
        hops: hops.clone().into(),
        alarms: alarms.clone().into(),
        types,
        agents,
    };
    Ok((instances, around))
}

async fn members(
    seat: &Seat,
    only: Option<&str>,
    deadline: Deadline,
) -> Result<BTreeMap<String, String>, Fault> {
    let params = seat.params().with_list("InstanceIds", only);
    let members = groups::members_listed(seat, params, deadline).await?;
    Ok(members.into_iter().map(|one| (one.instance_id, one.scaling_group_id)).collect())
}

/// The next hops of all routes that somebody made, in all route tables of the region.
///
/// Instances and their network interfaces are found here; the two instances behind an address that
/// moves between them (`HaVip`) are not, and need a tag.
async fn hops(seat: &Seat, deadline: Deadline) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::new();
    for table in ROUTE_TABLES.all::<RouteTable>(seat, seat.params(), deadline).await? {
        let params = seat
            .params()
            .with("RouteEntryType", "Custom")
            .with("RouteTableId", &table.route_table_id);
        let routes = ROUTES.all::<Route>(seat, params, deadline).await?;
        let hops = routes.into_iter().flat_map(|route| route.next_hops.next_hop);
        found.extend(hops.map(|hop| hop.next_hop_id));
    }
    Ok(found)
}

async fn alarms(seat: &Seat, deadline: Deadline) -> Result<Vec<Alarm>, Fault> {
    let params = Params::new().with("AlertState", "ALARM").with("EnableState", true);
    let rules = ALARMS.all::<RuleOnWire>(seat, params, deadline).await?;
    Ok(rules.into_iter().filter_map(alarm).collect())
}

/// The alarm of a rule; `None` for one that is about other things than instances.
fn alarm(rule: RuleOnWire) -> Option<Alarm> {
    let mut about = BTreeSet::new();
    let resources = rule.resources.as_deref().unwrap_or_default();
    if let Ok(resources) = serde_json::from_str::<Value>(resources) {
        let one = std::slice::from_ref(&resources);
        let each = resources.as_array().map_or(one, Vec::as_slice);
        about.extend(each.iter().filter_map(|one| one["instanceId"].as_str()).map(str::to_owned));
    }
    let of_instances = rule.namespace == INSTANCES;
    let about = if about.is_empty() { None } else { Some(about) };
    (of_instances || about.is_some()).then_some(Alarm { name: rule.rule_name, about })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(namespace: &str, resources: Option<&str>) -> Option<Option<Vec<String>>> {
        let rule = RuleOnWire {
            rule_name: "high".to_owned(),
            namespace: namespace.to_owned(),
            resources: resources.map(str::to_owned),
        };
        alarm(rule).map(|alarm| alarm.about.map(|about| about.into_iter().collect()))
    }

    #[test]
    fn an_alarm_is_about_what_it_names_or_about_any_instance() {
        let one = r#"[{"instanceId":"i-1"},{"instanceId":"i-2","device":"/dev/vda1"}]"#;
        let named = Some(Some(vec!["i-1".to_owned(), "i-2".to_owned()]));
        assert_eq!(about(INSTANCES, Some(one)), named);
        assert_eq!(about("acs_custom", Some(one)), named);
        assert_eq!(about(INSTANCES, Some(r#"{"instanceId":"i-1"}"#)).unwrap().unwrap(), ["i-1"]);
        assert_eq!(about(INSTANCES, Some(r#"[{"resource":"_ALL"}]"#)), Some(None));
        assert_eq!(about(INSTANCES, None), Some(None));
        assert_eq!(about("acs_rds_dashboard", Some(r#"[{"resource":"_ALL"}]"#)), None);
    }
}
