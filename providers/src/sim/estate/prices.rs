//! Prices of the simulated cloud: made up, and some unknown.

use fleet::Timestamp;
use fleet::money::{Currency, Price, PriceQuery};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;

/// What a resource costs an hour; `None` where this cloud does not tell.
pub(super) fn price(query: &PriceQuery, as_of: Timestamp) -> Option<Price> {
    let usd_micro = match (query.kind, query.class.as_str()) {
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
    let (hourly_micro, currency) = match query.region.as_str().starts_with("sim-cn") {
        true => (usd_micro * 7, Currency::Cny),
        false => (usd_micro, Currency::Usd),
    };
    Some(Price { hourly_micro, currency, source: PriceSource::Simulated.into(), as_of })
}
