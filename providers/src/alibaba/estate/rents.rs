//! What the machines of groups cost an hour, preemptible ones told apart.

use std::sync::Arc;

use fleet::Fault;
use fleet::rent::{Market, RentQuery, Rented, Tenancy, Terms, UnitPrice, UnitPriceKnown, Unpriced};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use serde_json::json;

use super::instance::{INSTANCES, InstanceOnWire};
use super::prices;
use crate::Deadline;
use crate::alibaba::access::{Access, Seat};
use crate::places;

/// Instances in one call. [ECS API reference]
const IDS: usize = 100;

/// How these instances are paid for; one that is gone is left out.
pub(super) async fn rented(
    seat: &Seat,
    ids: &[String],
    deadline: Deadline,
) -> Result<Vec<Rented>, Fault> {
    let mut found = Vec::new();
    for ids in ids.chunks(IDS) {
        let asked = seat.params().with("InstanceIds", json!(ids));
        let page: Vec<InstanceOnWire> = INSTANCES.all(seat, asked, deadline).await?;
        found.extend(page.iter().map(InstanceOnWire::rented));
    }
    Ok(found)
}

impl InstanceOnWire {
    fn rented(&self) -> Rented {
        let market = match self.charge() {
            ("PrePaid", _) => Market::Ahead,
            (_, true) => Market::Spot,
            _ => Market::OnDemand,
        };
        let terms = Terms {
            class: self.instance_type.clone(),
            platform: None,
            market,
            tenancy: if self.is_on_host() { Tenancy::Host } else { Tenancy::Shared },
            zone: self.zone().filter(|_| market == Market::Spot),
        };
        Rented { id: self.instance_id.clone(), terms }
    }
}

/// What machines cost, one answer a query, in the order asked; equal queries are asked once.
pub(super) async fn read(
    access: &Arc<Access>,
    queries: &[RentQuery],
    deadline: Deadline,
) -> Vec<UnitPriceKnown> {
    let answers = places::once(queries, RentQuery::clone, |queries| {
        places::each(queries, prices::PRICE.lost(), |query| {
            let access = Arc::clone(access);
            async move { prices::PRICE.by(deadline, price(&access, &query, deadline)).await }
        })
    });
    let told = |answer: Result<UnitPriceKnown, Fault>| match answer {
        Ok(known) => known,
        Err(fault) => Err(Unpriced::of(&fault)),
    };
    answers.await.into_iter().map(told).collect()
}

async fn price(
    access: &Access,
    query: &RentQuery,
    deadline: Deadline,
) -> Result<UnitPriceKnown, Fault> {
    let terms = &query.terms;
    let unpriced = match (terms.market, terms.tenancy) {
        (Market::Ahead, _) => Some(Unpriced::PaidAhead),
        (_, Tenancy::Host) => Some(Unpriced::OnHosts),
        _ => None,
    };
    if let Some(why) = unpriced {
        return Ok(Err(why));
    }
    let is_spot = terms.market == Market::Spot;
    let asked = prices::of_machine(&terms.class)
        .with_some("SpotStrategy", is_spot.then_some("SpotAsPriceGo"))
        .with_some("ZoneId", terms.zone.as_deref());
    let seat = access.seat(prices::PRICE, &query.account, &query.region)?;
    let listed = prices::price(&seat, ResourceKind::Instance, asked, deadline).await?;
    let source = if is_spot { PriceSource::AlibabaSpot } else { PriceSource::AlibabaApi };
    let listed = listed.map(|price| UnitPrice {
        hourly_micro: price.hourly_micro,
        currency: price.currency,
        sources: vec![source],
        as_of: price.as_of,
    });
    Ok(listed.ok_or_else(|| Unpriced::NotListed { class: terms.class.clone() }))
}
