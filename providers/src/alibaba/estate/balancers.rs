//! Load balancers with nothing behind them.

use std::sync::Arc;

use fleet::Fault;
use fleet::resource::{Fact, Part, Resource, ResourceKind};
use fleet::signs::{Clue, Holder};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::instance::{Tags, by_key, said};
use super::pages::ListingCall;
use super::targets::{Backend, CLASSIC, CLASSIC_HEALTH};
use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::params::Params;
use crate::alibaba::translate::{Tag, stamp};
use crate::home::{Home, ListedPart};

const ALB: (&str, Product) = ("alb", Product::Alb);
const NLB: (&str, Product) = ("nlb", Product::Nlb);

pub(in crate::alibaba) const APPLICATION: ListingCall =
    ListingCall::by_token(ALB, "ListLoadBalancers", "/LoadBalancers", ("MaxResults", 100));
pub(in crate::alibaba) const APPLICATION_GROUPS: ListingCall =
    ListingCall::by_token(ALB, "ListServerGroups", "/ServerGroups", ("MaxResults", 100));
pub(in crate::alibaba) const NETWORK: ListingCall =
    ListingCall::by_token(NLB, "ListLoadBalancers", "/LoadBalancers", ("MaxResults", 100));
pub(in crate::alibaba) const NETWORK_GROUPS: ListingCall =
    ListingCall::by_token(NLB, "ListServerGroups", "/ServerGroups", ("MaxResults", 100));

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Classic {
    load_balancer_id: String,
    #[serde(default)]
    load_balancer_name: String,
    #[serde(default)]
    load_balancer_spec: Option<String>,
    create_time: Option<String>,
    #[serde(default)]
    master_zone_id: String,
    #[serde(default)]
    tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modern {
    load_balancer_id: String,
    #[serde(default)]
    load_balancer_name: String,
    #[serde(default)]
    load_balancer_edition: Option<String>,
    create_time: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    server_group_id: String,
    #[serde(default)]
    server_count: u64,
    #[serde(default)]
    related_load_balancer_ids: Vec<String>,
}

/// Every load balancer of the region.
///
/// A classic one is used by backends that are healthy, or whose health is not checked. Of the others
/// it is known whether any server is registered behind them, not how it fares: one that answers by
/// itself, with redirects or fixed pages alone, looks unused.
pub(super) async fn all(
    seat: &Arc<Seat>,
    home: &Home,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    let read_at = seat.now();
    let (classic, application, network) = tokio::join!(
        classic(seat, deadline),
        modern(seat, ("alb", APPLICATION, Params::new()), APPLICATION_GROUPS, deadline),
        modern(seat, ("nlb", NETWORK, seat.params()), NETWORK_GROUPS, deadline),
    );
    let listings = classic?.into_iter().chain(application?).chain(network?);
    Ok(listings.map(|listing| listing.resource(home, read_at)).collect())
}

async fn classic(seat: &Arc<Seat>, deadline: Deadline) -> Result<Vec<ListedPart>, Fault> {
    let mut jobs = JoinSet::new();
    for balancer in CLASSIC.all::<Classic>(seat, seat.params(), deadline).await? {
        let seat = Arc::clone(seat);
        jobs.spawn(async move {
            let params = seat.params().with("LoadBalancerId", &balancer.load_balancer_id);
            let health = CLASSIC_HEALTH.all::<Backend>(&seat, params, deadline).await;
            balancer.listing(&health)
        });
    }
    Ok(jobs.join_all().await)
}

impl Classic {
    fn listing(self, health: &Result<Vec<Backend>, Fault>) -> ListedPart {
        let (used_by, looked_at) = match health {
            Err(fault) => (Fact::Unread(Box::new(fault.clone())), Clue::Backends),
            Ok(backends) => {
                let count = |status: &str| {
                    backends.iter().filter(|one| one.server_health_status == status).count()
                };
                let failing = count("abnormal");
                let serving = backends.len() - failing;
                let used_by = (serving > 0).then(|| Holder::Backends(serving as u64).into());
                let (serving, of) = (serving as u64, backends.len() as u64);
                let looked_at = Clue::BackendsServing { serving, of };
                (Fact::Known(used_by), looked_at)
            }
        };
        ListedPart {
            kind: ResourceKind::LoadBalancer,
            created_at: self.create_time.as_deref().and_then(stamp),
            zone: said(&self.master_zone_id),
            class: self.load_balancer_spec.as_deref().and_then(said),
            platform: Some("clb".to_owned()),
            size_gib: None,
            part: Part { used_by, unused_since: None, looked_at: looked_at.into() },
            id: self.load_balancer_id,
            name: self.load_balancer_name,
            tags: by_key(self.tags.tag),
        }
    }
}

async fn modern(
    seat: &Seat,
    (product, balancers, params): (&str, ListingCall, Params),
    groups: ListingCall,
    deadline: Deadline,
) -> Result<Vec<ListedPart>, Fault> {
    let (found, groups) = tokio::join!(
        balancers.all::<Modern>(seat, params.clone(), deadline),
        groups.all::<Group>(seat, params, deadline),
    );
    let listing = |balancer: Modern| balancer.listing(product, &groups);
    Ok(found?.into_iter().map(listing).collect())
}

impl Modern {
    fn listing(self, product: &str, groups: &Result<Vec<Group>, Fault>) -> ListedPart {
        let (used_by, looked_at) = match groups {
            Err(fault) => (Fact::Unread(Box::new(fault.clone())), Clue::ServerGroups),
            Ok(groups) => {
                let own = groups.iter().filter(|group| {
                    group.related_load_balancer_ids.contains(&self.load_balancer_id)
                });
                let own: Vec<&Group> = own.collect();
                let servers: u64 = own.iter().map(|group| group.server_count).sum();
                let used = own.iter().find(|group| group.server_count > 0);
                let looked_at = Clue::Servers { servers, groups: own.len() as u64 };
                let used = used.map(|group| Holder::Resource(group.server_group_id.clone()).into());
                (Fact::Known(used), looked_at)
            }
        };
        ListedPart {
            kind: ResourceKind::LoadBalancer,
            created_at: self.create_time.as_deref().and_then(stamp),
            zone: None,
            class: self.load_balancer_edition.as_deref().and_then(said),
            platform: Some(product.to_owned()),
            size_gib: None,
            part: Part { used_by, unused_since: None, looked_at: looked_at.into() },
            id: self.load_balancer_id,
            name: self.load_balancer_name,
            tags: by_key(self.tags),
        }
    }
}
