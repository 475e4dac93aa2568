//! A small price list with made-up prices, which the peer has not.

use serde_json::{Map, Value, json};

use super::wire::{Refusal, Request};

/// Regions that the price list is asked in.
const HOMES: [&str; 4] = ["us-east-1", "eu-central-1", "ap-south-1", "cn-northwest-1"];
/// Products in one answer, by the cloud's documentation.
const PAGE_MAX: u64 = 100;

/// A product: its service, family, attributes and price.
type Product = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const PRODUCTS: [Product; 8] = [
    (
        "AmazonEC2",
        "Compute Instance",
        &[
            ("instanceType", "t3.micro"),
            ("operatingSystem", "Linux"),
            ("capacitystatus", "Used"),
            ("usagetype", "BoxUsage:t3.micro"),
        ],
        "0.0104000000",
    ),
    (
        "AmazonEC2",
        "Compute Instance",
        &[
            ("instanceType", "t3.micro"),
            ("operatingSystem", "Linux"),
            ("capacitystatus", "UnusedCapacityReservation"),
            ("usagetype", "UnusedBox:t3.micro"),
        ],
        "0.0104000000",
    ),
    (
        "AmazonEC2",
        "Compute Instance",
        &[
            ("instanceType", "t3.micro"),
            ("operatingSystem", "Windows"),
            ("capacitystatus", "Used"),
            ("usagetype", "BoxUsage:t3.micro"),
        ],
        "0.0196000000",
    ),
    (
        "AmazonRDS",
        "Database Instance",
        &[
            ("instanceType", "db.t3.micro"),
            ("databaseEngine", "PostgreSQL"),
            ("deploymentOption", "Single-AZ"),
            ("usagetype", "InstanceUsage:db.t3.micro"),
        ],
        "0.0180000000",
    ),
    (
        "AmazonEC2",
        "Storage",
        &[("volumeApiName", "gp3"), ("usagetype", "EBS:VolumeUsage.gp3")],
        "0.0800000000",
    ),
    ("AmazonEC2", "Storage Snapshot", &[("usagetype", "EBS:SnapshotUsage")], "0.0500000000"),
    (
        "AmazonEC2",
        "Storage Snapshot",
        &[("usagetype", "EBS:SnapshotArchiveStorage")],
        "0.0125000000",
    ),
    (
        "AmazonVPC",
        "VpcPublicIPv4",
        &[("group", "VPCPublicIPv4Address"), ("usagetype", "PublicIPv4:IdleAddress")],
        "0.0050000000",
    ),
];

/// What every machine of the list has in common.
const COMMON: [(&str, &str); 3] =
    [("preInstalledSw", "NA"), ("licenseModel", "No License required"), ("tenancy", "Shared")];

/// The answer to a `GetProducts`, or what the cloud has against it.
pub(super) fn products(request: &Request) -> Result<Value, Refusal> {
    signed(request)?;
    let asked = &request.json;
    let service = asked["ServiceCode"].as_str().unwrap_or_default();
    if !PRODUCTS.iter().any(|(of, ..)| *of == service) {
        let message = format!("Invalid service code {service}");
        return Err(Refusal::new(400, "NotFoundException", message));
    }
    if asked["FormatVersion"] != "aws_v1" || asked["MaxResults"].as_u64() > Some(PAGE_MAX) {
        return Err(Refusal::new(400, "InvalidParameterException", "Invalid parameter"));
    }
    let filters = asked["Filters"].as_array().cloned().unwrap_or_default();
    let mut wanted = Vec::new();
    for filter in &filters {
        let text = |name: &str| filter[name].as_str();
        let (Some("TERM_MATCH"), Some(field), Some(value)) =
            (text("Type"), text("Field"), text("Value"))
        else {
            return Err(Refusal::new(400, "InvalidParameterException", "Invalid filter"));
        };
        wanted.push((field, value));
    }
    let Some((_, region)) = wanted.iter().find(|(field, _)| *field == "regionCode") else {
        let message = "the stand-in has no price without a region";
        return Err(Refusal::new(400, "InvalidParameterException", message));
    };
    let found = PRODUCTS.iter().filter(|(of, family, attributes, _)| {
        let has = |(field, value): &(&str, &str)| match *field {
            "regionCode" => true,
            "productFamily" => family == value,
            field => {
                let all = attributes.iter().chain(&COMMON);
                all.into_iter().any(|(name, found)| *name == field && found == value)
            }
        };
        *of == service && wanted.iter().all(has)
    });
    let list: Vec<Value> =
        found.map(|product| spelled(product, region).to_string().into()).collect();
    Ok(json!({ "FormatVersion": "aws_v1", "PriceList": list }))
}

/// Whether a request carries a signature over what it must cover, for a region with a price list.
fn signed(request: &Request) -> Result<(), Refusal> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").unwrap_or_default();
    let covered = authorization.split("SignedHeaders=").nth(1).unwrap_or_default();
    let covered: Vec<&str> = covered.split(',').next().unwrap_or_default().split(';').collect();
    let whole = ["content-type", "host", "x-amz-date", "x-amz-target"];
    let sound = authorization.starts_with("AWS4-HMAC-SHA256 ")
        && authorization.contains("Signature=")
        && header("x-amz-date").is_some()
        && header("x-amz-target") == Some("AWSPriceListService.GetProducts")
        && whole.iter().all(|name| covered.contains(name))
        && HOMES.contains(&request.region.as_str());
    if sound {
        return Ok(());
    }
    let message = "The request signature does not cover what it must";
    Err(Refusal::new(403, "IncompleteSignatureException", message))
}

fn spelled((service, family, attributes, price): &Product, region: &str) -> Value {
    let all = attributes.iter().chain(&COMMON);
    let mut attributes: Map<String, Value> =
        all.map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    attributes.insert("regionCode".into(), region.into());
    let currency = if region.starts_with("cn-") { "CNY" } else { "USD" };
    let dimension = json!({ "unit": "Hrs", "beginRange": "0", "endRange": "Inf",
        "pricePerUnit": { currency: price } });
    json!({
        "product": { "productFamily": family, "attributes": attributes, "sku": "MADEUP" },
        "serviceCode": service,
        "terms": { "OnDemand": { "MADEUP.JRTCKXETXF": {
            "priceDimensions": { "MADEUP.JRTCKXETXF.6YS6EN2CT7": dimension },
        } } },
    })
}
