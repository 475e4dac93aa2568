//! Where instances are registered to serve: classic, application and network load balancers.

use std::sync::Arc;

use fleet::{Fault, FaultKind};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::pages::ListingCall;
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::known::Registered;
use crate::alibaba::params::Params;

const CLB: (&str, Product) = ("slb", Product::Slb);

pub(in crate::alibaba) const CLASSIC: ListingCall =
    ListingCall::by_number(CLB, "DescribeLoadBalancers", "/LoadBalancers/LoadBalancer", 100);
pub(in crate::alibaba) const CLASSIC_SERVERS: ListingCall =
    ListingCall::whole(CLB, "DescribeLoadBalancerAttribute", "/BackendServers/BackendServer");
pub(in crate::alibaba) const CLASSIC_HEALTH: ListingCall =
    ListingCall::whole(CLB, "DescribeHealthStatus", "/BackendServers/BackendServer");
pub(in crate::alibaba) const CLASSIC_GROUPS: ListingCall =
    ListingCall::whole(CLB, "DescribeVServerGroups", "/VServerGroups/VServerGroup");
pub(in crate::alibaba) const CLASSIC_GROUP: ListingCall =
    ListingCall::whole(CLB, "DescribeVServerGroupAttribute", "/BackendServers/BackendServer");
pub(in crate::alibaba) const APPLICATION_SERVERS: ListingCall = ListingCall::by_token(
    ("alb", Product::Alb),
    "ListServerGroupServers",
    "/Servers",
    ("MaxResults", 100),
);
pub(in crate::alibaba) const NETWORK_SERVERS: ListingCall = ListingCall::by_token(
    ("nlb", Product::Nlb),
    "ListServerGroupServers",
    "/Servers",
    ("MaxResults", 100),
);

/// A server behind a classic load balancer, and how it fares.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Backend {
    server_id: String,
    /// `normal`, `abnormal` or `unavailable`, where health was asked for.
    #[serde(default)]
    pub(super) server_health_status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Classic {
    load_balancer_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClassicGroup {
    #[serde(rename = "VServerGroupId")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    server_id: String,
    server_group_id: String,
}

/// Every registration of the region, or of one server where that can be asked for.
///
/// A classic load balancer is asked for its default servers, for those behind its listeners
/// (primary/secondary groups among them) and for each of its server groups: three calls and one a
/// group. The servers of all application and network load balancers come in one listing each.
///
/// # Errors
/// Where any of it could not be read: a registration that was not seen would pass for none.
pub(super) async fn registered(
    seat: &Arc<Seat>,
    only: Option<&str>,
    deadline: Deadline,
) -> Result<Registered, Fault> {
    let servers = Params::new().with_list("ServerIds", only);
    let of_region = seat.params().with_list("ServerIds", only);
    let under_way = seat.estate().classic.join();
    let (classic, application, network) = tokio::join!(
        under_way.get_or_init(|| classic(seat, deadline)),
        APPLICATION_SERVERS.all::<Server>(seat, servers, deadline),
        NETWORK_SERVERS.all::<Server>(seat, of_region, deadline),
    );
    let mut registered = classic.clone()?;
    for server in application?.into_iter().chain(network?) {
        registered.entry(server.server_id).or_default().insert(server.server_group_id);
    }
    Ok(registered)
}

async fn classic(seat: &Arc<Seat>, deadline: Deadline) -> Result<Registered, Fault> {
    let mut jobs = JoinSet::new();
    for balancer in CLASSIC.all::<Classic>(seat, seat.params(), deadline).await? {
        let seat = Arc::clone(seat);
        jobs.spawn(async move { behind(&seat, &balancer.load_balancer_id, deadline).await });
    }
    let mut registered = Registered::new();
    while let Some(done) = jobs.join_next().await {
        let lost = || CLASSIC.call.lost();
        for (server, place) in done.map_err(|_| lost())?? {
            registered.entry(server).or_default().insert(place);
        }
    }
    Ok(registered)
}

/// The servers of one classic load balancer, with what each is registered in. One that was deleted
/// since it was listed has none.
async fn behind(
    seat: &Seat,
    balancer: &str,
    deadline: Deadline,
) -> Result<Vec<(String, String)>, Fault> {
    let params = seat.params().with("LoadBalancerId", balancer);
    let (default, listening, groups) = tokio::join!(
        CLASSIC_SERVERS.all::<Backend>(seat, params.clone(), deadline),
        CLASSIC_HEALTH.all::<Backend>(seat, params.clone(), deadline),
        CLASSIC_GROUPS.all::<ClassicGroup>(seat, params.clone(), deadline),
    );
    let mut servers: Vec<(String, String)> = Vec::new();
    for backends in [there(default)?, there(listening)?] {
        servers.extend(backends.into_iter().map(|one| (one.server_id, balancer.to_owned())));
    }
    for group in there(groups)? {
        let params = seat.params().with("VServerGroupId", &group.id);
        let backends = there(CLASSIC_GROUP.all::<Backend>(seat, params, deadline).await)?;
        servers.extend(backends.into_iter().map(|one| (one.server_id, group.id.clone())));
    }
    Ok(servers)
}

/// What is there of something that may have been deleted meanwhile.
fn there<T>(read: Result<Vec<T>, Fault>) -> Result<Vec<T>, Fault> {
    match read {
        Err(fault) if fault.kind == FaultKind::Missing => Ok(Vec::new()),
        read => read,
    }
}
