//! List prices, from the price list's own API.

use std::sync::Arc;

use fleet::money::{Currency, Price, PriceQuery};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use fleet::{AccountId, Fault, FaultKind, Region, Timestamp};
use serde_json::{Value, json};

use super::super::access::{Access, Seat};
use super::super::endpoint;
use super::super::thin::Service;
use crate::Deadline;
use crate::call::Call;
use crate::places;

pub(in super::super) const GET_PRODUCTS: Call = Call::read("pricing", "GetProducts");

/// Behind a database's engine where it has a standby in another zone, which is paid for, too.
pub(super) const MULTI_ZONE: &str = " multi-AZ";

/// How its prices are called.
/// Hours of a month, by which AWS turns one into the other.
const HOURS_A_MONTH: f64 = 730.0;
/// Pages of products that one question may have.
const PAGES_MAX: usize = 20;
/// Whether hardware is shared, as the list calls it.
const TENANCY: &str = "tenancy";
/// The prefix of the API's name in a call.
pub(super) const TARGET: &str = "AWSPriceListService";

/// A question to the price list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PriceQuestion {
    service: &'static str,
    filters: Vec<(&'static str, String)>,
    /// Only products whose kind of usage ends so.
    usage: Option<&'static str>,
    monthly: bool,
}

/// Reads prices, one answer a query, in the order asked; equal queries are asked once.
pub(super) async fn read(
    access: &Arc<Access>,
    queries: &[PriceQuery],
    deadline: Deadline,
) -> Vec<Result<Option<Price>, Fault>> {
    places::once(queries, PriceQuery::clone, |queries| {
        places::each(queries, GET_PRODUCTS.lost(), |query| {
            let access = Arc::clone(access);
            async move { GET_PRODUCTS.by(deadline, one(&access, &query, deadline)).await }
        })
    })
    .await
}

async fn one(
    access: &Access,
    query: &PriceQuery,
    deadline: Deadline,
) -> Result<Option<Price>, Fault> {
    let Some(question) = question(query) else { return Ok(None) };
    asked(access, query, &question, deadline).await
}

/// The price of a machine on hardware of this tenancy, as the list calls it.
pub(super) async fn of_machine(
    access: &Access,
    query: &PriceQuery,
    tenancy: &str,
    deadline: Deadline,
) -> Result<Option<Price>, Fault> {
    let Some(mut question) = question(query) else { return Ok(None) };
    for (_, value) in question.filters.iter_mut().filter(|(field, _)| *field == TENANCY) {
        tenancy.clone_into(value);
    }
    asked(access, query, &question, deadline).await
}

async fn asked(
    access: &Access,
    query: &PriceQuery,
    question: &PriceQuestion,
    deadline: Deadline,
) -> Result<Option<Price>, Fault> {
    let seat = seat(access, &query.account, &query.region).await?;
    let products = products(&seat, question, deadline).await?;
    Ok(price(&products, question, seat.now()))
}

/// The price list is kept in few regions. A partition has its own or none: another's would not take
/// the keys.
pub(in crate::aws) async fn seat(
    access: &Access,
    account: &AccountId,
    region: &Region,
) -> Result<Arc<Seat>, Fault> {
    let Some(home) = endpoint::price_list(region).await else {
        let why =
            format!("no price list can be asked from region `{region}`: give prices in a file");
        return Err(GET_PRODUCTS.fault(FaultKind::Missing, why));
    };
    access.seat(GET_PRODUCTS, account, &home).await
}

fn question(query: &PriceQuery) -> Option<PriceQuestion> {
    let region = ("regionCode", query.region.to_string());
    match query.kind {
        ResourceKind::Instance => {
            let system = match query.platform.as_deref() {
                None | Some("Linux/UNIX") => "Linux",
                Some("Windows") => "Windows",
                Some("Red Hat Enterprise Linux") => "RHEL",
                Some("SUSE Linux") => "SUSE",
                // What comes with other software has prices of its own.
                Some(_) => return None,
            };
            Some(PriceQuestion {
                service: "AmazonEC2",
                filters: vec![
                    region,
                    ("instanceType", query.class.clone()),
                    ("operatingSystem", system.to_owned()),
                    ("preInstalledSw", "NA".to_owned()),
                    ("licenseModel", "No License required".to_owned()),
                    (TENANCY, "Shared".to_owned()),
                    ("capacitystatus", "Used".to_owned()),
                ],
                usage: None,
                monthly: false,
            })
        }
        ResourceKind::Database => {
            let platform = query.platform.as_deref()?;
            let (engine, zones) = match platform.strip_suffix(MULTI_ZONE) {
                Some(engine) => (engine, "Multi-AZ"),
                None => (platform, "Single-AZ"),
            };
            let engine = match engine {
                "postgres" => "PostgreSQL",
                "mysql" => "MySQL",
                "mariadb" => "MariaDB",
                // The others' prices depend on the licence, which is not told here.
                _ => return None,
            };
            Some(PriceQuestion {
                service: "AmazonRDS",
                filters: vec![
                    region,
                    ("instanceType", query.class.clone()),
                    ("databaseEngine", engine.to_owned()),
                    ("deploymentOption", zones.to_owned()),
                ],
                usage: None,
                monthly: false,
            })
        }
        ResourceKind::Volume => Some(PriceQuestion {
            service: "AmazonEC2",
            filters: vec![
                region,
                ("productFamily", "Storage".to_owned()),
                ("volumeApiName", query.class.clone()),
            ],
            usage: None,
            monthly: true,
        }),
        ResourceKind::Snapshot => Some(PriceQuestion {
            service: "AmazonEC2",
            filters: vec![region, ("productFamily", "Storage Snapshot".to_owned())],
            usage: Some(match query.class.as_str() {
                "archive" => "EBS:SnapshotArchiveStorage",
                _ => "EBS:SnapshotUsage",
            }),
            monthly: true,
        }),
        ResourceKind::Address => Some(PriceQuestion {
            service: "AmazonVPC",
            filters: vec![region, ("group", "VPCPublicIPv4Address".to_owned())],
            usage: Some("PublicIPv4:IdleAddress"),
            monthly: false,
        }),
        // What one costs depends on what goes through it.
        ResourceKind::LoadBalancer => None,
    }
}

async fn products(
    seat: &Seat,
    question: &PriceQuestion,
    deadline: Deadline,
) -> Result<Vec<Value>, Fault> {
    let filters: Vec<Value> = question
        .filters
        .iter()
        .map(|(field, value)| json!({ "Type": "TERM_MATCH", "Field": field, "Value": value }))
        .collect();
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut fields = json!({
            "ServiceCode": question.service,
            "FormatVersion": "aws_v1",
            "MaxResults": 100,
            "Filters": filters,
        });
        if let Some(token) = &token {
            fields["NextToken"] = token.as_str().into();
        }
        let page = seat.json(GET_PRODUCTS, Service::Pricing, TARGET, &fields, deadline).await?;
        for product in page["PriceList"].as_array().into_iter().flatten() {
            // Each product is JSON inside a string.
            let text = product.as_str().unwrap_or_default();
            found.push(serde_json::from_str(text).map_err(|error| {
                GET_PRODUCTS.fault(FaultKind::Unreadable, format!("a product: {error}"))
            })?);
        }
        token = page["NextToken"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
    Err(GET_PRODUCTS.endless(PAGES_MAX))
}

/// The one price on demand that the products agree on; none where they do not.
fn price(products: &[Value], question: &PriceQuestion, as_of: Timestamp) -> Option<Price> {
    let mut found: Vec<(u64, Currency)> = products
        .iter()
        .filter(|product| {
            let usage = product["product"]["attributes"]["usagetype"].as_str().unwrap_or_default();
            question.usage.is_none_or(|end| usage.ends_with(end))
        })
        .flat_map(|product| on_demand(product, question.monthly))
        .collect();
    found.dedup();
    let [(hourly_micro, currency)] = found[..] else { return None };
    Some(Price { hourly_micro, currency, source: PriceSource::AwsPriceList.into(), as_of })
}

/// Prices of a product by use. A price of nothing is a tier's or a reservation's, and no price.
fn on_demand(product: &Value, monthly: bool) -> Vec<(u64, Currency)> {
    let terms = product["terms"]["OnDemand"].as_object().into_iter().flat_map(|all| all.values());
    let dimensions = terms.filter_map(|term| term["priceDimensions"].as_object());
    let prices = dimensions.flat_map(|all| all.values()).filter_map(|dimension| {
        let in_currency =
            |name: &str| dimension["pricePerUnit"][name].as_str()?.parse::<f64>().ok();
        let (price, currency) = in_currency("USD")
            .map(|price| (price, Currency::Usd))
            .or_else(|| in_currency("CNY").map(|price| (price, Currency::Cny)))?;
        let hourly = if monthly { price / HOURS_A_MONTH } else { price };
        let micro = (hourly * 1e6).round();
        (micro.is_finite() && micro >= 1.0).then_some((micro as u64, currency))
    });
    prices.collect()
}

#[cfg(test)]
mod tests {
    use fleet::ProviderName;

    use super::*;

    fn query(kind: ResourceKind, class: &str, platform: Option<&str>) -> PriceQuery {
        PriceQuery {
            provider: ProviderName::new("aws").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            kind,
            class: class.to_owned(),
            platform: platform.map(str::to_owned),
        }
    }

    fn product(usage: &str, currency: &str, price: &str) -> Value {
        let dimension = json!({ "pricePerUnit": { currency: price } });
        json!({
            "product": { "attributes": { "usagetype": usage } },
            "terms": { "OnDemand": { "a.b": { "priceDimensions": { "a.b.c": dimension } } } },
        })
    }

    #[test]
    fn what_is_bundled_with_other_software_has_no_price_here() {
        let asks = |kind, platform| question(&query(kind, "c", platform)).is_some();
        assert!(asks(ResourceKind::Instance, Some("Linux/UNIX")));
        assert!(asks(ResourceKind::Instance, None));
        assert!(!asks(ResourceKind::Instance, Some("Windows with SQL Server Standard")));
        assert!(!asks(ResourceKind::Database, Some("oracle-ee")));
        assert!(!asks(ResourceKind::LoadBalancer, None));
        let both = question(&query(ResourceKind::Database, "db.t3.micro", Some("mysql multi-AZ")));
        let both = both.unwrap();
        assert!(both.filters.contains(&("databaseEngine", "MySQL".to_owned())));
        assert!(both.filters.contains(&("deploymentOption", "Multi-AZ".to_owned())));
    }

    #[test]
    fn a_price_is_what_the_products_agree_on() {
        let at = Timestamp(7);
        let hourly = question(&query(ResourceKind::Instance, "t3.micro", None)).unwrap();
        let of = |products: &[Value], question: &PriceQuestion| {
            price(products, question, at).map(|found| (found.hourly_micro, found.currency))
        };
        let usd = product("BoxUsage:t3.micro", "USD", "0.0114000000");
        assert_eq!(of(std::slice::from_ref(&usd), &hourly), Some((11_400, Currency::Usd)));
        assert_eq!(of(&[usd.clone(), usd.clone()], &hourly), Some((11_400, Currency::Usd)));
        let free = product("BoxUsage:t3.micro", "USD", "0.0000000000");
        assert_eq!(of(&[free.clone(), usd.clone()], &hourly), Some((11_400, Currency::Usd)));
        let other = product("BoxUsage:t3.micro", "USD", "0.02");
        assert_eq!(of(&[usd, other], &hourly), None, "which of them?");
        assert_eq!(of(&[free], &hourly), None, "nothing costs nothing");
        assert_eq!(of(&[], &hourly), None);
        let snapshot = question(&query(ResourceKind::Snapshot, "standard", None)).unwrap();
        let all = [
            product("EU-EBS:SnapshotUsage", "USD", "0.05"),
            product("EU-EBS:SnapshotArchiveStorage", "USD", "0.0125"),
        ];
        assert_eq!(of(&all, &snapshot), Some((68, Currency::Usd)));
        let china = product("CNN1-BoxUsage:t3.micro", "CNY", "0.08");
        assert_eq!(of(&[china], &hourly), Some((80_000, Currency::Cny)));
    }
}
