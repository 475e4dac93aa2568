//! Prices of the simulated cloud: made up, and some unknown.

use fleet::money::{Currency, Price, PriceQuery};
use fleet::rent::{RentQuery, UnitPrice, UnitPriceKnown, Unpriced};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use fleet::{Region, Timestamp};

/// What a resource costs an hour; `None` where this cloud does not tell.
pub(super) fn price(query: &PriceQuery, as_of: Timestamp) -> Option<Price> {
    let (hourly_micro, currency) = hourly(query.kind, &query.class, &query.region)?;
    Some(Price { hourly_micro, currency, source: PriceSource::Simulated.into(), as_of })
}

/// What a member of a group costs an hour.
pub(super) fn rent(query: &RentQuery, as_of: Timestamp) -> UnitPriceKnown {
    let class = &query.terms.class;
    let known = hourly(ResourceKind::Instance, class, &query.region);
    let (hourly_micro, currency) =
        known.ok_or_else(|| Unpriced::NotListed { class: class.clone() })?;
    Ok(UnitPrice { hourly_micro, currency, sources: vec![PriceSource::Simulated], as_of })
}

fn hourly(kind: ResourceKind, class: &str, region: &Region) -> Option<(u64, Currency)> {
    let usd_micro = match (kind, class) {
        (ResourceKind::Instance, "sim.large") => 100_000,
        (ResourceKind::Instance, "sim.2xlarge") => 400_000,
        (ResourceKind::Instance, "sim.burst.small") => 21_000,
        (ResourceKind::Instance, "sim.memory.xlarge") => 252_000,
        (ResourceKind::Instance, "sim.gpu.xlarge") => 1_200_000,
        (ResourceKind::Database, "sim.db.large") => 180_000,
        // A gibibyte.
        (ResourceKind::Volume, "sim.ssd") => 110,
        (ResourceKind::Snapshot, _) => 68,
        (ResourceKind::Address, _) => 5_000,
        (ResourceKind::LoadBalancer, _) => 22_500,
        _ => return None,
    };
    // Regions in China bill in renminbi.
    Some(match region.as_str().starts_with("sim-cn") {
        true => (usd_micro * 7, Currency::Cny),
        false => (usd_micro, Currency::Usd),
    })
}
