//! The operator's list of prices: what a machine or part costs an hour.

use std::collections::BTreeMap;
use std::path::Path;

use fleet::Timestamp;
use fleet::money::{Currency, Price, PriceQuery};
use fleet::resource::ResourceKind;
use fleet::signs::PriceSource;
use jiff::civil::Date;
use serde::Serialize;

use super::fault::ConfigFault;
use super::reader::Entry;
use super::zone::Zone;

/// The columns, in order.
const COLUMNS: [&str; 8] =
    ["provider_kind", "region", "kind", "class", "platform", "hourly", "currency", "as_of"];
/// Stands for every region or platform.
const ANY: &str = "*";
/// Millionths of a unit of currency.
const MICRO: u64 = 1_000_000;

/// Prices by hand. What is not among them is unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prices {
    /// The file that they are from; empty where there is none.
    pub source: String,
    #[serde(serialize_with = "as_list")]
    listed: BTreeMap<Row, Price>,
}

fn as_list<S: serde::Serializer>(
    listed: &BTreeMap<Row, Price>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(listed.iter())
}

/// What a price is for. Provider's kind, region, kind, class and platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Row {
    provider_kind: String,
    region: String,
    kind: ResourceKind,
    class: String,
    platform: String,
}

impl Prices {
    /// The list price of what is asked for, on a provider of this kind (`aws`, `alibaba`, `sim`).
    /// A row that names the region comes before one for all, and then one that names the platform.
    pub fn price(&self, query: &PriceQuery, provider_kind: &str) -> Option<Price> {
        let platform = query.platform.as_deref().unwrap_or_default();
        let tries = [
            (query.region.as_str(), platform),
            (query.region.as_str(), ANY),
            (ANY, platform),
            (ANY, ANY),
        ];
        tries.into_iter().find_map(|(region, platform)| {
            let row = Row {
                provider_kind: provider_kind.to_owned(),
                region: region.to_owned(),
                kind: query.kind,
                class: query.class.clone(),
                platform: platform.to_owned(),
            };
            self.listed.get(&row).cloned()
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

/// The prices of the file that an entry names.
pub(super) fn prices(entry: &Entry<'_>) -> Option<Prices> {
    entry.file_beside("prices", parse)
}

/// Reads the text of a file of prices, or names every fault in it.
fn parse(source: &str, text: &str) -> Result<Prices, Vec<ConfigFault>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let name = Path::new(source).file_name().map_or(source.into(), |name| name.to_string_lossy());
    let mut prices = Prices { source: source.to_owned(), listed: BTreeMap::new() };
    let mut faults = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(ConfigFault::in_file(source, (0, 0), "", error.to_string(), None));
                break;
            }
        };
        let line = record.position().map_or(0, |place| place.line() as usize);
        let fields: Vec<&str> = record.iter().collect();
        if index == 0 && fields == COLUMNS {
            continue;
        }
        match row(&fields, &name) {
            Ok((row, price)) => {
                if prices.listed.insert(row, price).is_some() {
                    let message = "a price for the same is there already, expected one".to_owned();
                    faults.push(ConfigFault::in_file(source, (line, 1), "", message, None));
                }
            }
            Err((at, message)) => {
                let before = fields.iter().take(at).map(|field| field.chars().count() + 1);
                let key = COLUMNS.get(at).copied().unwrap_or_default();
                let column = before.sum::<usize>() + 1;
                faults.push(ConfigFault::in_file(source, (line, column), key, message, None));
            }
        }
    }
    if prices.listed.is_empty() && faults.is_empty() {
        let message = format!("no price is named, expected rows `{}`", COLUMNS.join(","));
        faults.push(ConfigFault::in_file(source, (1, 1), "", message, None));
    }
    if faults.is_empty() { Ok(prices) } else { Err(faults) }
}

/// One row, or the place and message of its first fault.
fn row(fields: &[&str], source: &str) -> Result<(Row, Price), (usize, String)> {
    let [provider_kind, region, kind, class, platform, hourly, currency, as_of] = fields else {
        let found = fields.join(",");
        return Err((0, format!("`{found}`, expected a row `{}`", COLUMNS.join(","))));
    };
    let told = |at: usize, expected: &str| {
        let (column, found) = (COLUMNS.get(at), fields.get(at));
        let (column, found) = (column.copied().unwrap_or_default(), found.copied());
        (at, format!("{column} `{}`, expected {expected}", found.unwrap_or_default()))
    };
    if !["alibaba", "aws", "sim"].contains(provider_kind) {
        return Err(told(0, "`alibaba`, `aws` or `sim`"));
    }
    if region.is_empty() {
        return Err(told(1, "a region, or `*` for all"));
    }
    let kinds = ResourceKind::ALL.map(|kind| format!("`{kind}`")).join(", ");
    let kind = ResourceKind::ALL.into_iter().find(|known| known.word() == *kind);
    let kind = kind.ok_or_else(|| told(2, &format!("one of {kinds}")))?;
    if class.is_empty() && kind.has_power() {
        return Err(told(3, "a type such as `t3.micro`"));
    }
    let hourly_micro = micro(hourly).ok_or_else(|| {
        told(5, "a price an hour above 0 with at most 6 decimals, such as `0.0104`")
    })?;
    let currency = match *currency {
        "USD" => Currency::Usd,
        "CNY" => Currency::Cny,
        _ => return Err(told(6, "`USD` or `CNY`")),
    };
    // The parser would take a time and a zone too.
    let date = as_of.parse::<Date>().ok().filter(|_| as_of.len() == 10);
    let as_of = date.and_then(midnight).ok_or_else(|| told(7, "a date such as `2026-10-01`"))?;
    let row = Row {
        provider_kind: (*provider_kind).to_owned(),
        region: (*region).to_owned(),
        kind,
        class: (*class).to_owned(),
        platform: (*platform).to_owned(),
    };
    Ok((
        row,
        Price {
            hourly_micro,
            currency,
            source: PriceSource::File(source.to_owned()).into(),
            as_of,
        },
    ))
}

fn midnight(date: Date) -> Option<Timestamp> {
    Zone::default().begins(date.to_datetime(jiff::civil::Time::midnight()))
}

/// `0.0104` in millionths, exactly; `None` for zero, which no list price is, and for finer ones.
fn micro(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    let micro = whole.parse::<u64>().ok()?.checked_mul(MICRO)?.checked_add(part)?;
    (micro > 0).then_some(micro)
}

#[cfg(test)]
mod tests {
    use fleet::{AccountId, ProviderName, Region};

    use super::*;

    fn told(text: &str) -> String {
        match parse("ours/prices.csv", text) {
            Ok(prices) => format!("{} prices", prices.len()),
            Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        }
    }

    #[test]
    fn a_price_is_found_by_the_row_that_says_most() {
        let text = "# ours\nprovider_kind,region,kind,class,platform,hourly,currency,as_of\n\
                    aws,*,instance,t3.micro,*,0.0104,USD,2026-10-01\n\
                    aws,eu-west-1,instance,t3.micro,*,0.0114,USD,2026-10-02\n\
                    aws,*,instance,t3.micro,Windows,0.02,USD,2026-10-03\n\
                    aws,*,volume,gp3,*,0.000110,USD,2026-10-01\n\
                    aws,*,address,,,0.005,USD,2026-10-01\n\
                    alibaba,*,instance,ecs.g7.large,*,1,CNY,2026-10-01\n";
        let prices = parse("ours/prices.csv", text).unwrap();
        let found = |kind: &str, region: &str, of, class: &str, platform: Option<&str>| {
            let query = PriceQuery {
                provider: ProviderName::new("cloud").unwrap(),
                account: AccountId::new("default").unwrap(),
                region: Region::new(region).unwrap(),
                kind: of,
                class: class.to_owned(),
                platform: platform.map(str::to_owned),
            };
            prices.price(&query, kind).map(|price| (price.hourly_micro, price.as_of.to_string()))
        };
        let machine =
            |region, platform| found("aws", region, ResourceKind::Instance, "t3.micro", platform);
        assert_eq!(machine("us-east-1", Some("Linux/UNIX")).unwrap().0, 10_400);
        assert_eq!(machine("us-east-1", Some("Windows")).unwrap().0, 20_000);
        assert_eq!(machine("eu-west-1", Some("Windows")).unwrap().0, 11_400);
        assert_eq!(machine("us-east-1", None).unwrap(), (10_400, "2026-10-01T00:00:00Z".into()));
        assert_eq!(found("aws", "x", ResourceKind::Volume, "gp3", None).unwrap().0, 110);
        assert_eq!(found("aws", "x", ResourceKind::Address, "", None).unwrap().0, 5_000);
        assert_eq!(found("aws", "x", ResourceKind::Instance, "m5.large", None), None);
        assert_eq!(found("alibaba", "x", ResourceKind::Instance, "t3.micro", None), None);
        let query = prices.listed.values().next().unwrap();
        assert_eq!(
            (query.source.to_string().as_str(), query.currency),
            ("prices.csv", Currency::Cny)
        );
        assert!(!prices.is_empty() && Prices::default().is_empty());
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        insta::assert_snapshot!(told("azure,*,instance,x,*,1,USD,2026-10-01\naws,,instance,x,*,1,USD,2026-10-01\naws,*,disk,x,*,1,USD,2026-10-01\naws,*,instance,,*,1,USD,2026-10-01\naws,*,instance,x,*,0,USD,2026-10-01\naws,*,instance,x,*,1.0000001,USD,2026-10-01\naws,*,instance,x,*,1,EUR,2026-10-01\naws,*,instance,x,*,1,USD,2026-10-01T00\naws,*,instance,x,*,1,USD\naws,*,instance,y,*,1,USD,2026-10-01\naws,*,instance,y,*,2,USD,2026-10-01\n"), @r"
        ours/prices.csv:1:1: provider_kind `azure`, expected `alibaba`, `aws` or `sim`
        ours/prices.csv:2:5: region ``, expected a region, or `*` for all
        ours/prices.csv:3:7: kind `disk`, expected one of `instance`, `database`, `volume`, `address`, `load_balancer`, `snapshot`
        ours/prices.csv:4:16: class ``, expected a type such as `t3.micro`
        ours/prices.csv:5:20: hourly `0`, expected a price an hour above 0 with at most 6 decimals, such as `0.0104`
        ours/prices.csv:6:20: hourly `1.0000001`, expected a price an hour above 0 with at most 6 decimals, such as `0.0104`
        ours/prices.csv:7:22: currency `EUR`, expected `USD` or `CNY`
        ours/prices.csv:8:26: as_of `2026-10-01T00`, expected a date such as `2026-10-01`
        ours/prices.csv:9:1: `aws,*,instance,x,*,1,USD`, expected a row `provider_kind,region,kind,class,platform,hourly,currency,as_of`
        ours/prices.csv:11:1: a price for the same is there already, expected one
        ");
        insta::assert_snapshot!(told("provider_kind,region,kind,class,platform,hourly,currency,as_of\n"), @"ours/prices.csv:1:1: no price is named, expected rows `provider_kind,region,kind,class,platform,hourly,currency,as_of`");
    }
}
