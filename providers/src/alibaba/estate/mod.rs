//! What may be idle on Alibaba Cloud: instances above all, and parts that nothing uses.
//!
//! - `instance.rs` puts an instance into our words; `around.rs` reads what other products know of
//!   it, with `targets.rs`, `types.rs` and `agents.rs`.
//! - `parts.rs` and `balancers.rs`: disks, snapshots, addresses and load balancers.
//! - `usage.rs` puts signals together from metrics, `prices.rs` asks what things cost,
//!   `rents.rs` what members of groups do.
//! - `switch.rs` stops, starts and marks; `pages.rs` turns over listings.

mod agents;
mod around;
mod balancers;
mod instance;
mod pages;
mod parts;
mod prices;
mod rents;
mod switch;
mod targets;
mod trial;
mod types;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use fleet::metric::Sample;
use fleet::money::{Price, PriceQuery};
use fleet::rent::{RentQuery, Rented, UnitPriceKnown};
use fleet::resource::{Resource, ResourceId, ResourceKind};
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, Fault, FaultKind, Region, Seconds, Timestamp};
use serde_json::json;

use super::access::{Access, Seat};
use super::{Alibaba, metrics};
use crate::call::Call;
use crate::home::{Home, KindInPlace, kinds_in, listings};
use crate::intervals;
use crate::places;
use crate::{Deadline, Estate, Listing, PowerSwitch};

pub(super) use balancers::{APPLICATION_GROUPS, NETWORK_GROUPS};
pub(super) use instance::INSTANCES;
pub(super) use pages::ListingCall;
pub(super) use switch::{START, STOP};
pub(super) use trial::tried;
pub(super) use usage::INSTANCE;

/// What is read of it, for the observer's role.
pub(super) const READS: [Call; 20] = [
    INSTANCES.call,
    types::TYPES.call,
    parts::DISKS.call,
    parts::SNAPSHOTS.call,
    prices::PRICE,
    parts::ADDRESSES.call,
    around::ROUTE_TABLES.call,
    around::ROUTES.call,
    around::ALARMS.call,
    targets::CLASSIC.call,
    targets::CLASSIC_SERVERS.call,
    targets::CLASSIC_HEALTH.call,
    targets::CLASSIC_GROUPS.call,
    targets::CLASSIC_GROUP.call,
    targets::APPLICATION_SERVERS.call,
    targets::NETWORK_SERVERS.call,
    balancers::APPLICATION.call,
    balancers::APPLICATION_GROUPS.call,
    balancers::NETWORK.call,
    balancers::NETWORK_GROUPS.call,
];
/// What is written, for the actor's role.
pub(super) const WRITES: [Call; 4] = [switch::STOP, switch::START, switch::TAG, switch::UNTAG];

#[async_trait]
impl Estate for Alibaba {
    async fn resources(&self, kinds: &[ResourceKind], deadline: Deadline) -> Vec<Listing> {
        let asked = kinds_in(&self.access.settings.places(&self.access.found), kinds);
        let read = |((account, region), kind): KindInPlace| {
            let access = Arc::clone(&self.access);
            async move {
                let read = listed(&access, &account, &region, kind, deadline);
                INSTANCES.call.by(deadline, read).await
            }
        };
        let answers = places::each(asked.clone(), INSTANCES.call.lost(), read).await;
        listings(asked, answers)
    }

    async fn resource(&self, id: &ResourceId, deadline: Deadline) -> Result<Resource, Fault> {
        if id.kind != ResourceKind::Instance {
            let why = format!("a {} is not read by itself", id.kind);
            return Err(INSTANCES.call.fault(FaultKind::Refused, why));
        }
        let seat = self.access.seat(INSTANCES.call, &id.account, &id.region)?;
        let home = self.access.settings.home(&id.account, &id.region);
        INSTANCES.call.by(deadline, one(&seat, &home, &id.id, deadline)).await
    }

    async fn usage(
        &self,
        queries: &[UsageQuery],
        from: Timestamp,
        to: Timestamp,
        step: Seconds,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        let asked = usage::SignalsAsked::of(queries, step);
        let read = self.read_metrics(&asked.metrics, usage::several, (from, to), deadline).await;
        asked.answers(&read)
    }

    fn usage_kept(&self, _signal: Signal, step: Seconds) -> Seconds {
        intervals::step(step).map_or(Seconds::ZERO, metrics::history)
    }

    async fn prices(
        &self,
        queries: &[PriceQuery],
        deadline: Deadline,
    ) -> Vec<Result<Option<Price>, Fault>> {
        prices::of(&self.access, queries, deadline).await
    }

    async fn rented(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Rented>, Fault> {
        let seat = self.access.seat(INSTANCES.call, account, region)?;
        INSTANCES.call.by(deadline, rents::rented(&seat, ids, deadline)).await
    }

    async fn rents(&self, queries: &[RentQuery], deadline: Deadline) -> Vec<UnitPriceKnown> {
        rents::read(&self.access, queries, deadline).await
    }

    fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
        Box::new(switch::Switch { access: Arc::clone(&self.access), resource: id.clone() })
    }
}

/// One kind in one account and region. There are no databases here.
async fn listed(
    access: &Access,
    account: &AccountId,
    place: &Region,
    kind: ResourceKind,
    deadline: Deadline,
) -> Result<Vec<Resource>, Fault> {
    let seat = access.seat(INSTANCES.call, account, place)?;
    let home = access.settings.home(account, place);
    match kind {
        ResourceKind::Instance => {
            let read_at = seat.now();
            let wanted = INSTANCES.all(&seat, seat.params(), deadline);
            let (found, around) = around::read(&seat, None, wanted, deadline).await?;
            let all = found.into_iter();
            Ok(all.map(|wire| instance::resource(wire, &around, &home, read_at)).collect())
        }
        ResourceKind::Database => Ok(Vec::new()),
        ResourceKind::Volume => parts::disks(&seat, &home, deadline).await,
        ResourceKind::Address => parts::addresses(&seat, &home, deadline).await,
        ResourceKind::LoadBalancer => balancers::all(&seat, &home, deadline).await,
        ResourceKind::Snapshot => parts::snapshots(&seat, &home, deadline).await,
    }
}

/// One instance with every fact.
async fn one(
    seat: &Arc<Seat>,
    home: &Home,
    id: &str,
    deadline: Deadline,
) -> Result<Resource, Fault> {
    let read_at = seat.now();
    let wanted = INSTANCES.all(seat, seat.params().with("InstanceIds", json!([id])), deadline);
    let (found, around) = around::read(seat, Some(id), wanted, deadline).await?;
    let own = found.into_iter().find(|wire: &instance::InstanceOnWire| wire.instance_id == id);
    let own = own.ok_or_else(|| {
        INSTANCES.call.fault(FaultKind::Missing, format!("no instance `{id}` in `{}`", home.region))
    })?;
    Ok(instance::resource(own, &around, home, read_at))
}
