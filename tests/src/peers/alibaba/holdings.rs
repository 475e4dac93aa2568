//! What an account has besides machines and groups: disks, snapshots, addresses, routes, load
//! balancers and alarms. Tests say what there is; the cloud shows it as its products do.

use serde_json::{Value, json};

use super::wire::{Refusal, Request};
use super::{ACCOUNT, Alibaba, ecs};
use crate::clock::locked;

/// What one account has.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    disks: Vec<Value>,
    snapshots: Vec<Value>,
    addresses: Vec<Value>,
    /// With the id of their route table.
    routes: Vec<(String, Value)>,
    alarms: Vec<Value>,
    balancers: Vec<NewBalancer>,
    groups: Vec<NewServerGroup>,
}

/// A load balancer to make.
#[derive(Clone, Debug)]
pub struct NewBalancer {
    /// `slb`, `alb` or `nlb`.
    pub product: &'static str,
    /// Its region.
    pub region: String,
    /// Its id.
    pub id: String,
    /// Its own servers, of a classic one, and how each fares: `normal`, `abnormal`, `unavailable`.
    pub servers: Vec<(String, &'static str)>,
}

impl NewBalancer {
    /// One without servers.
    pub fn new(product: &'static str, region: &str, id: &str) -> NewBalancer {
        NewBalancer { product, region: region.into(), id: id.into(), servers: Vec::new() }
    }
}

/// A group of servers to make.
#[derive(Clone, Debug)]
pub struct NewServerGroup {
    /// `slb`, `alb` or `nlb`.
    pub product: &'static str,
    /// Its id.
    pub id: String,
    /// The load balancers that it serves.
    pub balancers: Vec<String>,
    /// Its servers.
    pub servers: Vec<String>,
}

/// Whether an operation of ECS is about what is held here.
pub(super) fn of_ecs(operation: &str) -> bool {
    matches!(operation, "DescribeDisks" | "DescribeSnapshots")
}

impl Alibaba {
    fn hold(&self, change: impl FnOnce(&mut Holdings)) {
        self.set(|state| change(&mut state.account(ACCOUNT).holdings));
    }

    /// Makes a disk, as the cloud shows one, with its `RegionId`.
    pub fn create_disk(&self, disk: Value) {
        self.hold(|holdings| holdings.disks.push(disk));
    }

    /// Deletes a disk.
    pub fn delete_disk(&self, id: &str) {
        self.hold(|holdings| holdings.disks.retain(|disk| disk["DiskId"] != id));
    }

    /// Makes a snapshot, as the cloud shows one, with its `RegionId`.
    pub fn create_snapshot(&self, snapshot: Value) {
        self.hold(|holdings| holdings.snapshots.push(snapshot));
    }

    /// Makes an address, as the cloud shows one, with its `RegionId`.
    pub fn create_address(&self, address: Value) {
        self.hold(|holdings| holdings.addresses.push(address));
    }

    /// Leads a route of a table to a next hop.
    pub fn add_route(&self, table: &str, hop_type: &str, hop: &str) {
        let hops =
            json!({ "NextHop": [{ "NextHopId": hop, "NextHopType": hop_type, "Enabled": 1 }] });
        let route = json!({
            "RouteTableId": table,
            "Type": "Custom",
            "DestinationCidrBlock": "0.0.0.0/0",
            "Status": "Available",
            "NextHops": hops,
        });
        self.hold(|holdings| holdings.routes.push((table.to_owned(), route)));
    }

    /// Makes a rule of CloudMonitor, as the cloud shows one.
    pub fn add_alarm(&self, alarm: Value) {
        self.hold(|holdings| holdings.alarms.push(alarm));
    }

    /// Makes a load balancer.
    pub fn create_balancer(&self, balancer: NewBalancer) {
        self.hold(|holdings| holdings.balancers.push(balancer));
    }

    /// Makes a group of servers.
    pub fn create_server_group(&self, group: NewServerGroup) {
        self.hold(|holdings| holdings.groups.push(group));
    }

    /// Shows something else of a machine from now on: an object.
    ///
    /// # Panics
    /// Where there is no such machine.
    pub fn show_instance(&self, instance: &str, fields: &Value) {
        self.change_instance(instance, |machine| machine.show(fields));
    }

    /// Somebody takes a tag off a machine.
    ///
    /// # Panics
    /// Where there is no such machine.
    pub fn untag_instance(&self, instance: &str, key: &str) {
        self.change_instance(instance, |machine| machine.untag(key));
    }

    fn change_instance(&self, instance: &str, change: impl FnOnce(&mut ecs::Machine)) {
        let mut state = locked(&self.shared.state);
        let machines = state.accounts.values_mut().flat_map(|account| &mut account.machines);
        let mut found = machines.filter(|(id, _)| *id == instance);
        let (_, machine) = found.next().unwrap_or_else(|| panic!("no instance `{instance}`"));
        change(machine);
    }
}

impl Holdings {
    /// Answers a call.
    pub fn answer(&self, request: &Request) -> Result<Value, Refusal> {
        match request.operation.as_str() {
            "DescribeDisks" => {
                let status = request.word("Status", &DISK_STATES)?;
                let ids = listed(request, "DiskIds")?;
                let meant = |disk: &Value| {
                    let named = ids.as_ref().is_none_or(|ids| {
                        disk["DiskId"].as_str().is_some_and(|id| ids.iter().any(|one| one == id))
                    });
                    named && status.is_none_or(|status| status == "All" || disk["Status"] == status)
                };
                by_token(request, "Disk", here(request, &self.disks, meant)?, 500)
            }
            "DescribeSnapshots" => {
                by_token(request, "Snapshot", here(request, &self.snapshots, |_| true)?, 100)
            }
            "DescribeEipAddresses" => {
                let status = request.word("Status", &EIP_STATES)?;
                let meant = |eip: &Value| status.is_none_or(|status| eip["Status"] == status);
                let all = here(request, &self.addresses, meant)?;
                by_number(request, "EipAddresses", "EipAddress", all, 100)
            }
            "DescribeRouteTableList" => {
                request.required("RegionId")?;
                let mut tables: Vec<&str> = self.routes.iter().map(|(id, _)| id.as_str()).collect();
                tables.dedup();
                let shown = tables.into_iter().map(|id| json!({ "RouteTableId": id })).collect();
                by_number(request, "RouterTableList", "RouterTableListType", shown, 50)
            }
            "DescribeVSwitches" => {
                request.required("RegionId")?;
                let (id, free) = super::ess::SWITCH;
                let shown = json!({ "VSwitchId": id, "AvailableIpAddressCount": free });
                by_number(request, "VSwitches", "VSwitch", vec![shown], 50)
            }
            "DescribeRouteEntryList" => {
                let table = request.required("RouteTableId")?;
                let kind = request.text("RouteEntryType");
                let routes = self.routes.iter().filter(|(id, route)| {
                    id == table && kind.is_none_or(|kind| route["Type"] == kind)
                });
                let length = request.number("MaxResult", 1..=100)?.unwrap_or(10) as usize;
                let all: Vec<&Value> = routes.map(|(_, route)| route).collect();
                let (shown, token) = request.slice(all, length)?;
                let token = token.unwrap_or_default();
                Ok(json!({ "RouteEntrys": { "RouteEntry": shown }, "NextToken": token }))
            }
            "DescribeMetricRuleList" => self.alarms(request),
            operation if request.product == "slb" => self.classic(request, operation),
            operation => self.modern(request, operation),
        }
    }

    fn alarms(&self, request: &Request) -> Result<Value, Refusal> {
        let state = request.word("AlertState", &["OK", "ALARM", "INSUFFICIENT_DATA"])?;
        let enabled = request.flag("EnableState")?;
        let meant = |alarm: &&Value| {
            state.is_none_or(|state| alarm["AlertState"] == state)
                && enabled.is_none_or(|enabled| alarm["EnableState"] == enabled)
        };
        let all: Vec<&Value> = self.alarms.iter().filter(meant).collect();
        let page = request.number("Page", 1..=100)?.unwrap_or(1) as usize;
        let size = request.number("PageSize", 1..=100)?.unwrap_or(10) as usize;
        let total = all.len().to_string();
        let shown: Vec<&Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        Ok(json!({ "Alarms": { "Alarm": shown }, "Total": total, "Code": 200, "Success": true }))
    }

    fn classic(&self, request: &Request, operation: &str) -> Result<Value, Refusal> {
        let region = request.required("RegionId")?;
        if operation == "DescribeLoadBalancers" {
            let own =
                self.balancers.iter().filter(|one| one.product == "slb" && one.region == region);
            let shown = own.map(|one| {
                json!({
                    "LoadBalancerId": one.id,
                    "LoadBalancerName": one.id,
                    "LoadBalancerSpec": "slb.s1.small",
                    "LoadBalancerStatus": "active",
                    "CreateTime": "2025-11-02T08:00:00Z",
                    "MasterZoneId": format!("{region}-a"),
                })
            });
            return by_number(request, "LoadBalancers", "LoadBalancer", shown.collect(), 100);
        }
        let none = || {
            let message = "The specified LoadBalancerId does not exist.";
            Refusal::new(404, "InvalidLoadBalancerId.NotFound", message)
        };
        let server = |id: &String| json!({ "ServerId": id, "Port": 80, "Weight": 100 });
        if operation == "DescribeVServerGroupAttribute" {
            let id = request.required("VServerGroupId")?;
            let group = self.groups.iter().find(|group| group.id == id).ok_or_else(none)?;
            let servers: Vec<Value> = group.servers.iter().map(server).collect();
            return Ok(json!({
                "VServerGroupId": id,
                "BackendServers": { "BackendServer": servers },
            }));
        }
        let id = request.required("LoadBalancerId")?;
        let balancer = self.balancers.iter().find(|one| one.id == id).ok_or_else(none)?;
        match operation {
            "DescribeLoadBalancerAttribute" => {
                let servers: Vec<Value> =
                    balancer.servers.iter().map(|(id, _)| server(id)).collect();
                Ok(json!({ "LoadBalancerId": id, "BackendServers": { "BackendServer": servers } }))
            }
            "DescribeHealthStatus" => {
                let shown = balancer.servers.iter().map(|(id, health)| {
                    json!({ "ServerId": id, "ListenerPort": 80, "ServerHealthStatus": health })
                });
                let shown: Vec<Value> = shown.collect();
                Ok(json!({ "BackendServers": { "BackendServer": shown } }))
            }
            "DescribeVServerGroups" => {
                let serves = |group: &&NewServerGroup| group.balancers.iter().any(|one| one == id);
                let shown: Vec<Value> = self
                    .groups
                    .iter()
                    .filter(serves)
                    .map(
                        |group| json!({ "VServerGroupId": group.id, "VServerGroupName": group.id }),
                    )
                    .collect();
                Ok(json!({ "VServerGroups": { "VServerGroup": shown } }))
            }
            _ => Err(Refusal::no_such_operation()),
        }
    }

    /// Application and network load balancers. Which region is meant only their endpoints tell, and
    /// this stand-in has one: they are shown in all regions.
    fn modern(&self, request: &Request, operation: &str) -> Result<Value, Refusal> {
        let product = request.product.as_str();
        let groups = self.groups.iter().filter(|group| group.product == product);
        let (field, all): (&str, Vec<Value>) = match operation {
            "ListLoadBalancers" => {
                let own = self.balancers.iter().filter(|one| one.product == product);
                let shown = own.map(|one| {
                    json!({
                        "LoadBalancerId": one.id,
                        "LoadBalancerName": one.id,
                        "LoadBalancerEdition": "Standard",
                        "CreateTime": "2025-11-02T08:00:00Z",
                        "Tags": [{ "Key": "team", "Value": "web" }],
                    })
                });
                ("LoadBalancers", shown.collect())
            }
            "ListServerGroups" => {
                let shown = groups.map(|group| {
                    json!({
                        "ServerGroupId": group.id,
                        "ServerGroupName": group.id,
                        "ServerCount": group.servers.len(),
                        "RelatedLoadBalancerIds": group.balancers,
                    })
                });
                ("ServerGroups", shown.collect())
            }
            "ListServerGroupServers" => {
                let ids = request.list("ServerIds", 200)?;
                let of = request.text("ServerGroupId");
                let servers = groups
                    .flat_map(|group| group.servers.iter().map(move |server| (&group.id, server)));
                let shown = servers.filter(|(group, server)| {
                    of.is_none_or(|of| of == group.as_str())
                        && (ids.is_empty() || ids.contains(server))
                });
                let shown = shown.map(|(group, server)| {
                    json!({ "ServerGroupId": group, "ServerId": server, "ServerType": "Ecs" })
                });
                ("Servers", shown.collect())
            }
            _ => return Err(Refusal::no_such_operation()),
        };
        let length = request.number("MaxResults", 1..=100)?.unwrap_or(20) as usize;
        let total = all.len();
        let (shown, token) = request.slice(all, length)?;
        Ok(json!({ field: shown, "TotalCount": total, "NextToken": token.unwrap_or_default() }))
    }
}

const DISK_STATES: [&str; 8] = [
    "In_use",
    "Available",
    "Attaching",
    "Detaching",
    "Creating",
    "ReIniting",
    "All",
    "Transferring",
];
const EIP_STATES: [&str; 4] = ["Associating", "Unassociating", "InUse", "Available"];

/// What is in the region of the request and meant.
fn here(
    request: &Request,
    all: &[Value],
    meant: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, Refusal> {
    let region = request.required("RegionId")?;
    let found = all.iter().filter(|one| one["RegionId"] == region && meant(one));
    Ok(found.cloned().collect())
}

/// The ids of a parameter that is a JSON array of up to 100.
fn listed(request: &Request, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let Some(text) = request.text(name) else { return Ok(None) };
    let ids: Option<Vec<String>> = serde_json::from_str(text).ok();
    ids.filter(|ids| ids.len() <= 100)
        .map(Some)
        .ok_or_else(|| request.invalid(name, "is no JSON array of up to 100 ids"))
}

fn by_token(request: &Request, one: &str, all: Vec<Value>, most: i64) -> Result<Value, Refusal> {
    let length = request.number("MaxResults", 1..=most)?.unwrap_or(10) as usize;
    let (shown, token) = request.slice(all, length)?;
    let token = token.unwrap_or_default();
    Ok(json!({ format!("{one}s"): { one: shown }, "NextToken": token }))
}

fn by_number(
    request: &Request,
    field: &str,
    one: &str,
    all: Vec<Value>,
    most: i64,
) -> Result<Value, Refusal> {
    let mut page = request.page("All", all, most, None)?;
    page[field] = json!({ one: page["All"].take() });
    page.as_object_mut().expect("an object").remove("All");
    Ok(page)
}
