//! What the machines of groups cost an hour: by the price list, or by the spot market.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType, InstanceType, SpotPrice};
use fleet::money::{Currency, PriceQuery};
use fleet::rent::{Market, RentQuery, Rented, Tenancy, Terms, UnitPrice, UnitPriceKnown, Unpriced};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use fleet::{Fault, ProviderName, Region, Timestamp};

use super::super::access::{Access, Seat};
use super::super::groups::FILTER_VALUES;
use super::super::listings::{DESCRIBE_INSTANCES, INSTANCES_PAGE};
use super::super::pages::pages_of;
use super::super::translate::stamp;
use super::instances::is_spot;
use super::prices;
use crate::Deadline;
use crate::call::Call;
use crate::places;

pub(in super::super) const DESCRIBE_SPOT_PRICES: Call =
    Call::read("ec2", "DescribeSpotPriceHistory");

/// How a price list tells hardware of one's own from that shared with others.
const DEDICATED: &str = "Dedicated";
const SHARED: &str = "Shared";

/// How these instances are paid for; one that is gone is left out.
pub(super) async fn rented(
    seat: &Seat,
    ids: &[String],
    deadline: Deadline,
) -> Result<Vec<Rented>, Fault> {
    let mut found = Vec::new();
    for ids in ids.chunks(FILTER_VALUES) {
        // A filter, not `InstanceIds`: of an instance that is gone it answers nothing, where the
        // list would fail as a whole.
        let filter = Filter::builder().name("instance-id").set_values(Some(ids.to_vec())).build();
        let request = seat.ec2.describe_instances().max_results(INSTANCES_PAGE).filters(filter);
        let take = |page: DescribeInstancesOutput| {
            let all = page.reservations().iter().flat_map(|r| r.instances());
            found.extend(all.filter_map(one));
        };
        seat.listing(DESCRIBE_INSTANCES, pages_of!(request), deadline, take).await?;
    }
    Ok(found)
}

fn one(raw: &Instance) -> Option<Rented> {
    let market = match raw.instance_lifecycle() {
        _ if is_spot(raw) => Market::Spot,
        Some(InstanceLifecycleType::Scheduled | InstanceLifecycleType::CapacityBlock) => {
            Market::Ahead
        }
        _ => Market::OnDemand,
    };
    let placement = raw.placement();
    let tenancy = match placement.and_then(|at| at.tenancy()).map(|tenancy| tenancy.as_str()) {
        Some("host") => Tenancy::Host,
        Some("dedicated") => Tenancy::Dedicated,
        _ => Tenancy::Shared,
    };
    let zone = placement.and_then(|at| at.availability_zone()).map(str::to_owned);
    let terms = Terms {
        class: raw.instance_type()?.as_str().to_owned(),
        platform: raw.platform_details().map(str::to_owned),
        market,
        tenancy,
        // The list's prices are the same all over a region.
        zone: zone.filter(|_| market == Market::Spot),
    };
    Some(Rented { id: raw.instance_id()?.to_owned(), terms })
}

/// What machines cost, one answer a query, in the order asked; equal queries are asked once.
pub(super) async fn read(
    access: &Arc<Access>,
    provider: &ProviderName,
    queries: &[RentQuery],
    deadline: Deadline,
) -> Vec<UnitPriceKnown> {
    let answers = places::once(queries, RentQuery::clone, |queries| {
        places::each(queries, prices::GET_PRODUCTS.lost(), |query| {
            let (access, provider) = (Arc::clone(access), provider.clone());
            async move {
                let answer = price(&access, provider, &query, deadline);
                prices::GET_PRODUCTS.by(deadline.and_a_moment(), answer).await
            }
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
    provider: ProviderName,
    query: &RentQuery,
    deadline: Deadline,
) -> Result<UnitPriceKnown, Fault> {
    let terms = &query.terms;
    let not_listed = || Unpriced::NotListed { class: terms.class.clone() };
    match (terms.market, terms.tenancy) {
        (Market::Ahead, _) => Ok(Err(Unpriced::PaidAhead)),
        (_, Tenancy::Host) => Ok(Err(Unpriced::OnHosts)),
        (Market::Spot, _) => {
            let seat = access.seat(DESCRIBE_SPOT_PRICES, &query.account, &query.region).await?;
            Ok(spot(&seat, query, deadline).await?.ok_or_else(not_listed))
        }
        (Market::OnDemand, tenancy) => {
            if !has_list(&query.region) {
                let region = query.region.to_string();
                return Ok(Err(Unpriced::NoPriceList { region }));
            }
            let asked = PriceQuery {
                provider,
                account: query.account.clone(),
                region: query.region.clone(),
                kind: ResourceKind::Instance,
                class: terms.class.clone(),
                platform: terms.platform.clone(),
            };
            let tenancy = if tenancy == Tenancy::Dedicated { DEDICATED } else { SHARED };
            let listed = prices::of_machine(access, &asked, tenancy, deadline).await?;
            let listed = listed.map(|price| UnitPrice {
                hourly_micro: price.hourly_micro,
                currency: price.currency,
                sources: vec![PriceSource::AwsPriceList],
                as_of: price.as_of,
            });
            Ok(listed.ok_or_else(not_listed))
        }
    }
}

/// Whether credentials of a region may read a price list: those of the partitions set apart may not.
fn has_list(region: &Region) -> bool {
    let apart = ["us-gov-", "us-iso", "eu-iso", "eusc-"];
    !apart.iter().any(|prefix| region.as_str().starts_with(prefix))
}

/// What the spot market asks now.
async fn spot(
    seat: &Seat,
    query: &RentQuery,
    deadline: Deadline,
) -> Result<Option<UnitPrice>, Fault> {
    let (terms, now) = (&query.terms, seat.now());
    let platform = terms.platform.as_deref().unwrap_or("Linux/UNIX");
    let request = seat
        .ec2
        .describe_spot_price_history()
        .instance_types(InstanceType::from(terms.class.as_str()))
        .product_descriptions(platform)
        .product_descriptions(format!("{platform} (Amazon VPC)"))
        .set_availability_zone(terms.zone.clone())
        // From now on: the one price that holds, and no history.
        .start_time(aws_smithy_types::DateTime::from_secs(now.0))
        .max_results(100);
    let page = seat.call(DESCRIBE_SPOT_PRICES, deadline, request.send()).await?;
    let currency =
        if query.region.as_str().starts_with("cn-") { Currency::Cny } else { Currency::Usd };
    let micro = newest(page.spot_price_history(), terms);
    Ok(micro.map(|hourly_micro| UnitPrice {
        hourly_micro,
        currency,
        sources: vec![PriceSource::AwsSpot],
        as_of: now,
    }))
}

/// The newest price of a machine of these terms; the mean of the zones where none is named.
fn newest(history: &[SpotPrice], terms: &Terms) -> Option<u64> {
    let mut zones: BTreeMap<&str, (Timestamp, u64)> = BTreeMap::new();
    for price in history {
        let zone = price.availability_zone().unwrap_or_default();
        let of_type = price.instance_type().is_none_or(|name| name.as_str() == terms.class);
        let here = terms.zone.as_deref().is_none_or(|wanted| wanted == zone);
        let usd = price.spot_price().and_then(|text| text.parse::<f64>().ok());
        let Some(usd) = usd.filter(|usd| of_type && here && (1e-6..1e6).contains(usd)) else {
            continue;
        };
        let at = price.timestamp().map_or(Timestamp(0), stamp);
        let known = zones.entry(zone).or_insert((at, 0));
        if at >= known.0 {
            *known = (at, (usd * 1e6).round() as u64);
        }
    }
    let count = u64::try_from(zones.len()).unwrap_or(u64::MAX);
    (count > 0).then(|| zones.values().map(|(_, micro)| micro).sum::<u64>() / count)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Placement;
    use aws_smithy_types::DateTime;

    use super::*;

    fn made(market: Option<InstanceLifecycleType>, tenancy: &str) -> Terms {
        let tenancy = aws_sdk_ec2::types::Tenancy::from(tenancy);
        let placement = Placement::builder().availability_zone("eu-west-1a").tenancy(tenancy);
        let raw = Instance::builder()
            .instance_id("i-1")
            .instance_type(InstanceType::from("m7i.large"))
            .platform_details("Linux/UNIX")
            .set_instance_lifecycle(market)
            .placement(placement.build())
            .build();
        one(&raw).unwrap().terms
    }

    #[test]
    fn spot_and_hardware_of_ones_own_are_told_apart() {
        let plain = made(None, "default");
        assert_eq!((plain.market, plain.tenancy), (Market::OnDemand, Tenancy::Shared));
        assert_eq!(plain.zone, None, "the list's prices are the region's");
        let spot = made(Some(InstanceLifecycleType::Spot), "default");
        assert_eq!((spot.market, spot.zone.as_deref()), (Market::Spot, Some("eu-west-1a")));
        assert_eq!(made(None, "dedicated").tenancy, Tenancy::Dedicated);
        assert_eq!(made(None, "host").tenancy, Tenancy::Host);
        for ahead in [InstanceLifecycleType::Scheduled, InstanceLifecycleType::CapacityBlock] {
            assert_eq!(made(Some(ahead), "default").market, Market::Ahead);
        }
        assert_eq!(one(&Instance::builder().instance_id("i-1").build()), None, "of no type");
    }

    #[test]
    fn the_newest_price_of_the_zone_holds() {
        let price = |zone: &str, at: i64, usd: &str| {
            SpotPrice::builder()
                .availability_zone(zone)
                .instance_type(InstanceType::from("m7i.large"))
                .spot_price(usd)
                .timestamp(DateTime::from_secs(at))
                .build()
        };
        let terms = |zone: Option<&str>| Terms {
            zone: zone.map(str::to_owned),
            ..made(Some(InstanceLifecycleType::Spot), "default")
        };
        let history = [price("a", 5, "0.0300"), price("a", 9, "0.0400"), price("b", 7, "0.060000")];
        assert_eq!(newest(&history, &terms(Some("a"))), Some(40_000));
        assert_eq!(newest(&history, &terms(Some("b"))), Some(60_000));
        assert_eq!(newest(&history, &terms(Some("c"))), None);
        assert_eq!(newest(&history, &terms(None)), Some(50_000));
        for absurd in ["0", "-1", "NaN", "inf", "1e30", "", "cheap"] {
            assert_eq!(newest(&[price("a", 1, absurd)], &terms(None)), None, "{absurd}");
        }
    }

    #[test]
    fn partitions_set_apart_have_no_price_list() {
        for (region, has) in [
            ("eu-west-1", true),
            ("cn-north-1", true),
            ("us-gov-west-1", false),
            ("us-iso-east-1", false),
            ("us-isob-east-1", false),
            ("eu-isoe-west-1", false),
            ("eusc-de-east-1", false),
        ] {
            assert_eq!(has_list(&Region::new(region).unwrap()), has, "{region}");
        }
    }
}
