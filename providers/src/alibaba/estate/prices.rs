//! List prices by the hour, in the currency that the account is billed in.

use std::sync::Arc;

use fleet::money::{Currency, Price, PriceQuery};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use fleet::{Fault, FaultKind, Timestamp};
use serde_json::Value;

use crate::Deadline;
use crate::alibaba::access::{Access, Seat};
use crate::alibaba::endpoint::Product;
use crate::alibaba::params::Params;
use crate::call::Call;
use crate::places;

pub(in crate::alibaba) const PRICE: Call = Call::read("ecs", "DescribePrice");

/// Where a price is from, for people.
/// GiB of the disk that a price is asked for: small ones may be below what can be bought.
const DISK_GIB: u32 = 1000;
/// A type that most regions sell.
const USUAL_TYPE: &str = "ecs.g7.large";
const MILLION: f64 = 1e6;

/// One answer a query, in the order asked; equal queries are asked once.
pub(super) async fn of(
    access: &Arc<Access>,
    queries: &[PriceQuery],
    deadline: Deadline,
) -> Vec<Result<Option<Price>, Fault>> {
    places::once(queries, PriceQuery::clone, |queries| {
        places::each(queries, PRICE.lost(), |query| {
            let access = Arc::clone(access);
            async move {
                let Some(params) = params(&query) else { return Ok(None) };
                let seat = access.seat(PRICE, &query.account, &query.region)?;
                price(&seat, query.kind, params, deadline).await
            }
        })
    })
    .await
}

/// What to ask for; `None` where the cloud has no call for it.
fn params(query: &PriceQuery) -> Option<Params> {
    match query.kind {
        _ if query.class.is_empty() => None,
        ResourceKind::Instance => Some(of_machine(&query.class)),
        ResourceKind::Volume => Some(
            hourly()
                .with("DataDisk.1.Category", &query.class)
                .with_some("DataDisk.1.PerformanceLevel", query.platform.as_deref())
                .with("DataDisk.1.Size", DISK_GIB)
                .with("ResourceType", "disk"),
        ),
        ResourceKind::Database
        | ResourceKind::Address
        | ResourceKind::LoadBalancer
        | ResourceKind::Snapshot => None,
    }
}

/// Asks for one price, for whoever asks whether the call is allowed; a type that is not sold here is
/// an answer, too.
pub(super) async fn tried(seat: &Seat, deadline: Deadline) -> Result<(), Fault> {
    let asked = of_machine(USUAL_TYPE);
    price(seat, ResourceKind::Instance, asked, deadline).await.map(drop)
}

fn hourly() -> Params {
    Params::new().with("PriceUnit", "Hour")
}

/// What to ask for of a machine of this type.
pub(super) fn of_machine(class: &str) -> Params {
    hourly().with("InstanceType", class).with("ResourceType", "instance")
}

pub(super) async fn price(
    seat: &Seat,
    kind: ResourceKind,
    params: Params,
    deadline: Deadline,
) -> Result<Option<Price>, Fault> {
    let asked = params.with("RegionId", seat.region.as_str());
    match seat.call::<Value>(PRICE, Product::Ecs, asked, deadline).await {
        Ok(answer) => Ok(read(&answer, kind, seat.now())),
        Err(fault) if is_unknown(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether the cloud says that it has no price for this, rather than that we may not ask.
fn is_unknown(fault: &Fault) -> bool {
    let named = ["InvalidInstanceType", "InvalidDataDisk", "PriceNotFound", "PricingPlan"];
    match fault.kind {
        FaultKind::Missing => true,
        FaultKind::Refused => named.iter().any(|name| fault.detail.contains(name)),
        _ => false,
    }
}

/// The price of what was asked for alone: an instance is priced together with its disk, and told
/// apart from it in the details. What is paid, after discounts.
fn read(answer: &Value, kind: ResourceKind, as_of: Timestamp) -> Option<Price> {
    let price = answer.pointer("/PriceInfo/Price")?;
    let (part, size) = match kind {
        ResourceKind::Instance => ("instanceType", 1),
        _ => ("dataDisk", DISK_GIB),
    };
    let details = price.pointer("/DetailInfos/DetailInfo").and_then(Value::as_array);
    let detail = details.into_iter().flatten().find(|detail| detail["Resource"] == part);
    let hourly = detail.unwrap_or(price)["TradePrice"].as_f64()? / f64::from(size);
    let currency = match price["Currency"].as_str()? {
        "CNY" => Currency::Cny,
        "USD" => Currency::Usd,
        _ => return None,
    };
    let micro = (hourly * MILLION).round();
    (micro >= 1.0 && micro.is_finite()).then(|| Price {
        hourly_micro: micro as u64,
        currency,
        source: PriceSource::AlibabaApi.into(),
        as_of,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn micro(price: Value, kind: ResourceKind) -> Option<(u64, Currency)> {
        let answer = json!({ "PriceInfo": { "Price": price } });
        read(&answer, kind, Timestamp(7)).map(|price| (price.hourly_micro, price.currency))
    }

    #[test]
    fn a_price_is_of_the_machine_alone_and_never_zero() {
        let whole = json!({ "Currency": "CNY", "TradePrice": 0.8, "DetailInfos": { "DetailInfo": [
            { "Resource": "systemDisk", "TradePrice": 0.3 },
            { "Resource": "instanceType", "TradePrice": 0.5 }
        ] } });
        assert_eq!(micro(whole, ResourceKind::Instance), Some((500_000, Currency::Cny)));
        let disk = json!({ "Currency": "USD", "TradePrice": 0.25 });
        assert_eq!(micro(disk, ResourceKind::Volume), Some((250, Currency::Usd)));
        for unknown in [
            json!({ "Currency": "CNY", "TradePrice": 0.0 }),
            json!({ "Currency": "CNY" }),
            json!({ "Currency": "EUR", "TradePrice": 1.0 }),
            Value::Null,
        ] {
            assert_eq!(micro(unknown, ResourceKind::Instance), None);
        }
    }

    #[test]
    fn a_type_without_a_price_is_no_fault_and_a_missing_permission_is() {
        let of = |code| crate::alibaba::fault::of_code(PRICE, code, "why");
        assert!(is_unknown(&of("InvalidInstanceType.ValueNotSupported")));
        assert!(is_unknown(&of("InvalidInstanceType.NotFound")));
        assert!(!is_unknown(&of("Forbidden.RAM")));
        assert!(!is_unknown(&of("InvalidParameter")));
    }
}
