//! Tries the listings of machines and parts, each by its first page.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::pages::ListingCall;
use super::{around, balancers, parts, prices, targets, types};
use crate::alibaba::access::Seat;
use crate::alibaba::params::Params;
use crate::alibaba::trial::{Outcomes, outcome};
use crate::{Deadline, Outcome, Untried};

/// Listings that take no name.
const PLAIN: [ListingCall; 11] = [
    parts::DISKS,
    parts::SNAPSHOTS,
    parts::ADDRESSES,
    types::TYPES,
    around::ROUTE_TABLES,
    around::ALARMS,
    targets::CLASSIC,
    balancers::APPLICATION,
    balancers::APPLICATION_GROUPS,
    balancers::NETWORK,
    balancers::NETWORK_GROUPS,
];

/// Listings about the first record of another: which, by which field of it, as which parameter.
const NAMED: [(ListingCall, ListingCall, &str, &str); 6] = [
    (around::ROUTES, around::ROUTE_TABLES, "RouteTableId", "RouteTableId"),
    (targets::CLASSIC_SERVERS, targets::CLASSIC, "LoadBalancerId", "LoadBalancerId"),
    (targets::CLASSIC_HEALTH, targets::CLASSIC, "LoadBalancerId", "LoadBalancerId"),
    (targets::CLASSIC_GROUPS, targets::CLASSIC, "LoadBalancerId", "LoadBalancerId"),
    (targets::APPLICATION_SERVERS, balancers::APPLICATION_GROUPS, "ServerGroupId", "ServerGroupId"),
    (targets::NETWORK_SERVERS, balancers::NETWORK_GROUPS, "ServerGroupId", "ServerGroupId"),
];

/// What came of each.
pub(in crate::alibaba) async fn tried(seat: &Arc<Seat>, deadline: Deadline) -> Outcomes {
    let mut jobs = JoinSet::new();
    for listing in PLAIN {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            // Alarms are of the account.
            let params = if listing.call.service == "cms" { Params::new() } else { seat.params() };
            let params = if listing.call.service == "alb" { Params::new() } else { params };
            (listing.call.permission(), listing.first(&seat, params, deadline).await)
        });
    }
    let mut known = Outcomes::new();
    let mut first: BTreeMap<String, Value> = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        let Ok((permission, answer)) = done else { continue };
        if let Ok(Some(record)) = &answer {
            first.insert(permission.clone(), record.clone());
        }
        known.insert(permission, outcome(answer));
    }
    let mut groups = None;
    for (listing, of, field, parameter) in NAMED {
        let name = first.get(&of.call.permission()).and_then(|record| record[field].as_str());
        let answer = match name {
            None => Outcome::Untried(Untried::NoBalancer),
            Some(name) => {
                let base = match listing.call.service {
                    "alb" => Params::new(),
                    _ => seat.params(),
                };
                let read = listing.first(seat, base.with(parameter, name), deadline).await;
                if let (true, Ok(Some(record))) = (listing.call.operation == GROUPS, &read) {
                    groups = record["VServerGroupId"].as_str().map(str::to_owned);
                }
                outcome(read)
            }
        };
        known.insert(listing.call.permission(), answer);
    }
    let group = match groups {
        None => Outcome::Untried(Untried::NoBalancer),
        Some(id) => {
            let asked = seat.params().with("VServerGroupId", id);
            outcome(targets::CLASSIC_GROUP.first(seat, asked, deadline).await)
        }
    };
    known.insert(targets::CLASSIC_GROUP.call.permission(), group);
    known.insert(prices::PRICE.permission(), outcome(prices::tried(seat, deadline).await));
    known
}

/// The listing of a classic load balancer's groups.
const GROUPS: &str = targets::CLASSIC_GROUPS.call.operation;
