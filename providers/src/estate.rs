//! The seam for what may be idle: to list it, to read what it did, to stop and start it.

use async_trait::async_trait;
use fleet::metric::Sample;
use fleet::money::{Price, PriceQuery};
use fleet::rent::{RentQuery, Rented, UnitPriceKnown};
use fleet::resource::{Resource, ResourceId, ResourceKind, Subject};
use fleet::stop::StopMode;
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, Fault, Region, Seconds, Timestamp};

use crate::Deadline;

/// One account and region of a cloud, and the kinds that were listed there.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub account: AccountId,
    pub region: Region,
    pub kind: ResourceKind,
    /// What there is; an empty list is an answer.
    pub resources: Result<Vec<Resource>, Fault>,
}

/// What a cloud tells of things that may be idle. Needs the read-only role alone.
#[async_trait]
pub trait Estate: Send + Sync {
    /// Everything of these kinds in the configured accounts and regions, ended ones left out.
    ///
    /// One answer an account, region and kind, in no order. A slow or dead region spoils its own
    /// answers only. A fact that takes a call of its own and could not be read is
    /// [`fleet::resource::Fact::Unread`] in its resources, and the listing goes on; one
    /// that takes a call for each resource is [`fleet::resource::Fact::Unasked`].
    async fn resources(&self, kinds: &[ResourceKind], deadline: Deadline) -> Vec<Listing>;

    /// One instance or database afresh, with every fact: what a stop is checked against.
    ///
    /// # Errors
    /// [`fleet::FaultKind::Missing`] where there is none under this id.
    async fn resource(&self, id: &ResourceId, deadline: Deadline) -> Result<Resource, Fault>;

    /// A resource as it was listed, with the facts that the listing left out. All else stays as it
    /// was given: cheaper than [`Estate::resource`] where many are asked for, and no check of a stop.
    ///
    /// # Errors
    /// [`fleet::FaultKind::Missing`] where there is none under its id.
    async fn details(&self, listed: &Resource, deadline: Deadline) -> Result<Resource, Fault> {
        let mut whole = listed.clone();
        if let Subject::Machine(facts) = &mut whole.subject
            && facts.leaves_out()
            && let Subject::Machine(read) = self.resource(&listed.id, deadline).await?.subject
        {
            facts.fill(&read);
        }
        Ok(whole)
    }

    /// What resources did in intervals of `step` that start in `[from, to)`, oldest first, at most
    /// one sample an interval: its greatest value, or its least where
    /// [`Signal::is_least`]. Units are the signal's; rates are per second.
    ///
    /// One answer a query, in the order asked. Intervals without a sample are absent.
    async fn usage(
        &self,
        queries: &[UsageQuery],
        from: Timestamp,
        to: Timestamp,
        step: Seconds,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>>;

    /// How far back the source keeps samples of this step.
    fn usage_kept(&self, signal: Signal, step: Seconds) -> Seconds;

    /// List prices. One answer a query, in the order asked; `Ok(None)` where the cloud knows none.
    async fn prices(
        &self,
        queries: &[PriceQuery],
        deadline: Deadline,
    ) -> Vec<Result<Option<Price>, Fault>>;

    /// How these instances are paid for. One that is gone is left out.
    ///
    /// # Errors
    /// Where the cloud does not tell.
    async fn rented(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Rented>, Fault>;

    /// What a machine of these terms costs an hour. One answer a query, in the order asked.
    async fn rents(&self, queries: &[RentQuery], deadline: Deadline) -> Vec<UnitPriceKnown>;

    /// A handle that stops, starts and marks this resource and no other.
    fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch>;
}

/// A write handle, bound to one resource when it was made: the call site cannot name another.
///
/// Nothing is repeated here: reading before and after is the caller's.
///
/// # Errors
/// Each call: [`fleet::FaultKind::Unconfirmed`] where the request may have left and no answer
/// came; [`fleet::FaultKind::Unreachable`] only where it cannot have had an effect;
/// [`fleet::FaultKind::OutOfCapacity`] where the cloud has no machine for a start.
#[async_trait]
pub trait PowerSwitch: Send + Sync {
    /// The resource that this handle may write.
    fn resource(&self) -> &ResourceId;

    /// Asks the cloud whether it would take the order, changing nothing; `Ok(false)` where the
    /// cloud has no such question.
    async fn rehearse(&self, order: PowerOrder, deadline: Deadline) -> Result<bool, Fault>;

    /// Gives the order, once. Returns when the cloud has taken it, which is before it is done.
    async fn order(
        &self,
        order: PowerOrder,
        decision: &str,
        deadline: Deadline,
    ) -> Result<(), Fault>;

    /// Writes a tag of neap's own on the resource, or takes it away with `None`.
    async fn tag(&self, key: &str, value: Option<&str>, deadline: Deadline) -> Result<(), Fault>;
}

/// What a cloud can be told about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOrder {
    /// To go down.
    Stop(StopMode),
    /// To come up.
    Start,
}
