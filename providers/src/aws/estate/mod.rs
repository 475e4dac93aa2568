//! What may be idle in AWS: EC2 instances, RDS databases and what nobody uses, read in full, and the
//! switch that stops and starts them.
//!
//! - `instances.rs` and `databases.rs` ask for machines, `balancing.rs`, `alarms.rs` and `types.rs`
//!   for what a stop depends on beside them, `keys.rs` for what a start needs; `facts.rs` puts all of
//!   it into our words.
//! - `parts.rs` reads volumes, addresses, load balancers and snapshots.
//! - `usage.rs` reads what machines did, `prices.rs` what they cost, `rents.rs` what members of groups do.
//! - `switch.rs` stops, starts and marks, one attempt, never more.

mod alarms;
mod balancing;
mod databases;
mod facts;
mod instances;
mod keys;
mod parts;
mod prices;
mod rents;
mod switch;
pub(super) mod trial;
mod types;
mod usage;

pub(super) use balancing::DESCRIBE_TARGET_HEALTH;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use fleet::metric::Sample;
use fleet::money::{Price, PriceQuery};
use fleet::rent::{RentQuery, Rented, UnitPriceKnown};
use fleet::resource::{Resource, ResourceId, ResourceKind, Subject};
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, Fault, FaultKind, Region, Seconds, Timestamp};

pub(super) use alarms::{metrics_of as alarm_metrics, queues};
pub(super) use balancing::routes;

use super::access::{Access, Seat};
use super::known::Balancing;
use super::listings::DESCRIBE_INSTANCES;
use super::{Aws, batches};
use crate::call::Call;
use crate::home::{Home, KindInPlace, kinds_in, listings};
use crate::intervals;
use crate::places::{self, Place};
use crate::{Deadline, Estate, Listing, PowerSwitch};

pub(super) use switch::obeyed;

/// The calls that reading needs besides those of groups.
pub(super) const READS: [Call; 18] = [
    alarms::DESCRIBE_ALARMS,
    alarms::LIST_METRICS,
    balancing::DESCRIBE_BALANCERS,
    balancing::DESCRIBE_TAGS,
    balancing::DESCRIBE_TARGET_GROUPS,
    balancing::DESCRIBE_TARGET_HEALTH,
    databases::DESCRIBE_DATABASES,
    databases::DESCRIBE_EVENTS,
    instances::DESCRIBE_ATTRIBUTE,
    instances::DESCRIBE_SPOT,
    keys::DESCRIBE_KEY,
    parts::DESCRIBE_ADDRESSES,
    parts::DESCRIBE_IMAGES,
    parts::DESCRIBE_SNAPSHOTS,
    parts::DESCRIBE_VOLUMES,
    prices::GET_PRODUCTS,
    rents::DESCRIBE_SPOT_PRICES,
    types::DESCRIBE_TYPES,
];

/// The calls that the switch makes.
pub(super) const WRITES: [Call; 8] = [
    switch::STOP_INSTANCES,
    switch::START_INSTANCES,
    switch::CREATE_TAGS,
    switch::DELETE_TAGS,
    switch::STOP_DATABASE,
    switch::START_DATABASE,
    switch::ADD_TAGS,
    switch::REMOVE_TAGS,
];

/// An account in a region, as the caller calls it, and the way to it.
#[derive(Clone, Debug)]
struct Site {
    seat: Arc<Seat>,
    home: Home,
}

#[async_trait]
impl Estate for Aws {
    async fn resources(&self, kinds: &[ResourceKind], deadline: Deadline) -> Vec<Listing> {
        let asked = kinds_in(&self.access.settings.places(&self.access.found), kinds);
        let place = |(place, _): &KindInPlace| place.clone();
        let read = |(account, region): Place, asked: Vec<KindInPlace>| {
            let access = Arc::clone(&self.access);
            async move {
                let kinds: BTreeSet<ResourceKind> = asked.iter().map(|(_, kind)| *kind).collect();
                let read = of_place(&access, &account, &region, &kinds, deadline).await;
                let mut read: BTreeMap<ResourceKind, _> = read.into_iter().collect();
                let lost = || Err(DESCRIBE_INSTANCES.lost());
                asked.iter().map(|(_, kind)| read.remove(kind).unwrap_or_else(lost)).collect()
            }
        };
        let answers = places::together(&asked, place, DESCRIBE_INSTANCES.lost(), read).await;
        listings(asked, answers)
    }

    async fn resource(&self, id: &ResourceId, deadline: Deadline) -> Result<Resource, Fault> {
        let call = match id.kind {
            ResourceKind::Database => databases::DESCRIBE_DATABASES,
            _ => DESCRIBE_INSTANCES,
        };
        let read = async {
            let site = self.site(call, &id.account, &id.region).await?;
            match id.kind {
                ResourceKind::Instance => instances::one(&site, &id.id, deadline).await,
                ResourceKind::Database => databases::one(&site, &id.id, deadline).await,
                kind => {
                    let why = format!("a {kind} is not stopped, so it is not read by itself");
                    Err(call.fault(FaultKind::Refused, why))
                }
            }
        };
        call.by(deadline.and_a_moment(), read).await
    }

    /// Listings leave out the two protections of instances, and whether the keys of disks can be used.
    async fn details(&self, listed: &Resource, deadline: Deadline) -> Result<Resource, Fault> {
        let mut whole = listed.clone();
        let Subject::Machine(facts) = &mut whole.subject else { return Ok(whole) };
        if !listed.id.kind.has_power() || !facts.leaves_out() {
            return Ok(whole);
        }
        let database = listed.id.kind == ResourceKind::Database;
        let call = match database {
            true => databases::DESCRIBE_DATABASES,
            false => instances::DESCRIBE_ATTRIBUTE,
        };
        let read = async {
            let site = self.site(call, &listed.id.account, &listed.id.region).await?;
            let (seat, id) = (&site.seat, &listed.id.id);
            match database {
                true => databases::details(seat, id, facts, deadline).await,
                false => instances::details(seat, id, facts, deadline).await,
            }
        };
        call.by(deadline.and_a_moment(), read).await?;
        Ok(whole)
    }

    async fn usage(
        &self,
        queries: &[UsageQuery],
        from: Timestamp,
        to: Timestamp,
        step: Seconds,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        usage::read(self, queries, (from, to), step, deadline).await
    }

    fn usage_kept(&self, _signal: Signal, step: Seconds) -> Seconds {
        intervals::step(step).map_or(Seconds::ZERO, batches::history)
    }

    async fn prices(
        &self,
        queries: &[PriceQuery],
        deadline: Deadline,
    ) -> Vec<Result<Option<Price>, Fault>> {
        prices::read(&self.access, queries, deadline).await
    }

    async fn rented(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Rented>, Fault> {
        let read = async {
            let seat = self.access.seat(DESCRIBE_INSTANCES, account, region).await?;
            rents::rented(&seat, ids, deadline).await
        };
        DESCRIBE_INSTANCES.by(deadline.and_a_moment(), read).await
    }

    async fn rents(&self, queries: &[RentQuery], deadline: Deadline) -> Vec<UnitPriceKnown> {
        let provider = &self.access.settings.provider;
        rents::read(&self.access, provider, queries, deadline).await
    }

    fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
        Box::new(switch::Switch { access: Arc::clone(&self.access), resource: id.clone() })
    }
}

impl Aws {
    async fn site(&self, call: Call, account: &AccountId, region: &Region) -> Result<Site, Fault> {
        site(&self.access, call, account, region).await
    }
}

async fn site(
    access: &Access,
    call: Call,
    account: &AccountId,
    region: &Region,
) -> Result<Site, Fault> {
    let seat = access.seat(call, account, region).await?;
    Ok(Site { seat, home: access.settings.home(account, region) })
}

/// What was listed of each kind.
type KindsListed = Vec<(ResourceKind, Result<Vec<Resource>, Fault>)>;

/// Reads these kinds of one account and region; whatever happens, each has an answer.
async fn of_place(
    access: &Access,
    account: &AccountId,
    region: &Region,
    kinds: &BTreeSet<ResourceKind>,
    deadline: Deadline,
) -> KindsListed {
    let read = async {
        let site = site(access, DESCRIBE_INSTANCES, account, region).await?;
        Ok(listed(&site, kinds, deadline).await)
    };
    let answers = DESCRIBE_INSTANCES.by(deadline.and_a_moment(), read).await;
    answers.unwrap_or_else(|fault| kinds.iter().map(|kind| (*kind, Err(fault.clone()))).collect())
}

async fn listed(site: &Site, kinds: &BTreeSet<ResourceKind>, deadline: Deadline) -> KindsListed {
    let wants = |kind| kinds.contains(&kind);
    let machines = wants(ResourceKind::Instance) || wants(ResourceKind::Database);
    let balanced = wants(ResourceKind::Instance) || wants(ResourceKind::LoadBalancer);
    // Facts may not cost the listing its answer.
    let soft = deadline.of_details();
    let around = async {
        tokio::join!(
            when(machines, alarms::read(&site.seat, soft)),
            when(balanced, balancing::read(&site.seat, !wants(ResourceKind::LoadBalancer), soft)),
        )
    };
    let (around, instances, databases, parts) = tokio::join!(
        around,
        when(wants(ResourceKind::Instance), instances::listed(site, deadline)),
        when(wants(ResourceKind::Database), databases::listed_whole(&site.seat, deadline)),
        parts::read(site, kinds, deadline),
    );
    let (alarms, balancing) = around;
    let alarms = alarms.unwrap_or_else(|| Ok(BTreeMap::new()));
    let mut answers = parts;
    if let Some(read) = instances {
        let targets = balancing.clone().unwrap_or_else(|| Ok(Balancing::default()));
        let put = |(raw, beside): (Vec<_>, _)| {
            let around = facts::Around { beside, targets, alarms: alarms.clone() };
            raw.iter().map(|one| facts::instance(site, one, &around)).collect()
        };
        answers.push((ResourceKind::Instance, read.map(put)));
    }
    if let Some(read) = databases {
        let put = |(raw, starts): (Vec<databases::Database>, _)| {
            raw.iter().map(|one| databases::resource(site, one, &alarms, &starts)).collect()
        };
        answers.push((ResourceKind::Database, read.map(put)));
    }
    if wants(ResourceKind::LoadBalancer) {
        let read = balancing.unwrap_or_else(|| Ok(Balancing::default()));
        let listed = match read {
            Ok(balancing) => parts::balancers(site, &balancing, deadline).await,
            Err(fault) => Err(fault),
        };
        answers.push((ResourceKind::LoadBalancer, listed));
    }
    answers
}

/// Does it, where it is wanted.
async fn when<T>(wanted: bool, read: impl Future<Output = T>) -> Option<T> {
    // On the heap: so many calls side by side would fill a stack.
    if wanted { Some(Box::pin(read).await) } else { None }
}
