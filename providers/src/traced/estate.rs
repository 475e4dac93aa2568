//! The estate of a traced provider.

use async_trait::async_trait;
use fleet::metric::Sample;
use fleet::money::{Price, PriceQuery};
use fleet::rent::{RentQuery, Rented, UnitPriceKnown, Unpriced};
use fleet::resource::{Resource, ResourceId, ResourceKind};
use fleet::usage::{Signal, UsageQuery};
use fleet::{AccountId, Fault, FaultKind, Region, Seconds, Timestamp};
use tracing::Instrument;

use std::sync::Arc;

use super::{Counters, GRACE, Operation, Traced, single};
use crate::{Deadline, Estate, Listing, PowerOrder, PowerSwitch};

/// What a provider without an estate answers; [`crate::Provider::estate`] says so before.
fn none(operation: Operation) -> Fault {
    Fault {
        kind: FaultKind::Refused,
        operation: operation.word().to_owned(),
        detail: "nothing can be stopped in this cloud".to_owned(),
        request_id: None,
    }
}

#[async_trait]
impl Estate for Traced {
    /// Empty where it was cut off: a place without an answer was not read.
    async fn resources(&self, kinds: &[ResourceKind], deadline: Deadline) -> Vec<Listing> {
        let Some(estate) = self.inner.estate() else { return Vec::new() };
        let begun = self.counters.begin(Operation::Resources);
        let call = estate.resources(kinds, deadline).instrument(begun.span.clone());
        let answers = tokio::time::timeout_at(deadline.0 + GRACE, call).await;
        let faults: Vec<&'static str> = match &answers {
            Ok(all) => {
                let faults = all.iter().filter_map(|listing| listing.resources.as_ref().err());
                faults.map(|fault| fault.kind.word()).collect()
            }
            Err(_elapsed) => vec![FaultKind::TimedOut.word()],
        };
        self.counters.note(&begun, answers.is_err(), &faults);
        answers.unwrap_or_default()
    }

    async fn resource(&self, id: &ResourceId, deadline: Deadline) -> Result<Resource, Fault> {
        let estate = self.inner.estate().ok_or_else(|| none(Operation::Resource))?;
        let call = estate.resource(id, deadline);
        single(&self.counters, Operation::Resource, FaultKind::TimedOut, deadline, call).await
    }

    async fn details(&self, listed: &Resource, deadline: Deadline) -> Result<Resource, Fault> {
        let estate = self.inner.estate().ok_or_else(|| none(Operation::Details))?;
        let call = estate.details(listed, deadline);
        single(&self.counters, Operation::Details, FaultKind::TimedOut, deadline, call).await
    }

    async fn usage(
        &self,
        queries: &[UsageQuery],
        from: Timestamp,
        to: Timestamp,
        step: Seconds,
        deadline: Deadline,
    ) -> Vec<Result<Vec<Sample>, Fault>> {
        let Some(estate) = self.inner.estate() else {
            return queries.iter().map(|_| Err(none(Operation::Usage))).collect();
        };
        let call = estate.usage(queries, from, to, step, deadline);
        self.batch(Operation::Usage, queries.len(), deadline, call).await
    }

    fn usage_kept(&self, signal: Signal, step: Seconds) -> Seconds {
        self.inner.estate().map_or(Seconds::ZERO, |estate| estate.usage_kept(signal, step))
    }

    async fn prices(
        &self,
        queries: &[PriceQuery],
        deadline: Deadline,
    ) -> Vec<Result<Option<Price>, Fault>> {
        let Some(estate) = self.inner.estate() else {
            return queries.iter().map(|_| Err(none(Operation::Prices))).collect();
        };
        let call = estate.prices(queries, deadline);
        self.batch(Operation::Prices, queries.len(), deadline, call).await
    }

    async fn rented(
        &self,
        account: &AccountId,
        region: &Region,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Rented>, Fault> {
        let estate = self.inner.estate().ok_or_else(|| none(Operation::Rented))?;
        let call = estate.rented(account, region, ids, deadline);
        single(&self.counters, Operation::Rented, FaultKind::TimedOut, deadline, call).await
    }

    async fn rents(&self, queries: &[RentQuery], deadline: Deadline) -> Vec<UnitPriceKnown> {
        let Some(estate) = self.inner.estate() else {
            return queries.iter().map(|_| Err(Unpriced::NoSource)).collect();
        };
        let begun = self.counters.begin(Operation::Rents);
        let call = estate.rents(queries, deadline).instrument(begun.span.clone());
        let answers = tokio::time::timeout_at(deadline.0 + GRACE, call).await;
        let cut_off = answers.is_err();
        let late = || Unpriced::Unread {
            operation: Operation::Rents.word().to_owned(),
            kind: FaultKind::TimedOut,
        };
        let answers =
            answers.unwrap_or_else(|_elapsed| queries.iter().map(|_| Err(late())).collect());
        let word = |answer: &UnitPriceKnown| match answer {
            Err(Unpriced::Denied { .. }) => Some("denied"),
            Err(Unpriced::Unread { kind, .. }) => Some(kind.word()),
            _ => None,
        };
        let faults: Vec<&'static str> = answers.iter().filter_map(word).collect();
        self.counters.note(&begun, cut_off, &faults);
        answers
    }

    fn switch(&self, id: &ResourceId) -> Box<dyn PowerSwitch> {
        let inner = self.inner.estate().map(|estate| estate.switch(id));
        let counters = Arc::clone(&self.counters);
        Box::new(TracedSwitch { inner, resource: id.clone(), counters })
    }
}

struct TracedSwitch {
    inner: Option<Box<dyn PowerSwitch>>,
    resource: ResourceId,
    counters: Arc<Counters>,
}

impl TracedSwitch {
    fn inner(&self, operation: Operation) -> Result<&dyn PowerSwitch, Fault> {
        self.inner.as_deref().ok_or_else(|| none(operation))
    }
}

#[async_trait]
impl PowerSwitch for TracedSwitch {
    fn resource(&self) -> &ResourceId {
        &self.resource
    }

    async fn rehearse(&self, order: PowerOrder, deadline: Deadline) -> Result<bool, Fault> {
        let call = self.inner(Operation::Rehearse)?.rehearse(order, deadline);
        single(&self.counters, Operation::Rehearse, FaultKind::TimedOut, deadline, call).await
    }

    /// An order that was cut off may have left: it is unconfirmed.
    async fn order(
        &self,
        order: PowerOrder,
        decision: &str,
        deadline: Deadline,
    ) -> Result<(), Fault> {
        let call = self.inner(Operation::Order)?.order(order, decision, deadline);
        single(&self.counters, Operation::Order, FaultKind::Unconfirmed, deadline, call).await
    }

    async fn tag(&self, key: &str, value: Option<&str>, deadline: Deadline) -> Result<(), Fault> {
        let call = self.inner(Operation::Tag)?.tag(key, value, deadline);
        single(&self.counters, Operation::Tag, FaultKind::Unconfirmed, deadline, call).await
    }
}
