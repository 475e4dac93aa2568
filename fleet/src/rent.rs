//! What a unit of a sized group costs an hour, where that is known from, and why it is not known.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::Currency;
use crate::signs::PriceSource;
use crate::{AccountId, Fault, FaultKind, GroupRef, ProviderName, Region, Timestamp, Units};

/// How a machine is paid for, as far as its price depends on it. Reservations and Savings Plans are no
/// part of it: they are no property of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// By the hour, at the list's price.
    OnDemand,
    /// By the hour, at the spot market's price.
    Spot,
    /// For a month or year ahead, whether it runs or not.
    Ahead,
}

/// Whom a machine shares its hardware with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenancy {
    /// With others.
    Shared,
    /// With nobody, at a price of its own.
    Dedicated,
    /// With what else is on a host that is paid as a whole.
    Host,
}

/// A machine, as far as its price depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rented {
    /// The cloud's id.
    pub id: String,
    /// What its price is asked for by.
    pub terms: Terms,
}

/// What the price of a machine depends on within a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// Its type, as the cloud names it.
    pub class: String,
    /// See [`Resource::platform`](crate::resource::Resource::platform).
    pub platform: Option<String>,
    pub market: Market,
    pub tenancy: Tenancy,
    /// Where spot prices differ; `None` where they do not.
    pub zone: Option<String>,
}

/// What the price of a machine is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RentQuery {
    /// The account that would pay.
    pub account: AccountId,
    pub region: Region,
    pub terms: Terms,
}

/// What a unit costs an hour.
///
/// ```
/// use fleet::Timestamp;
/// use fleet::money::Currency;
/// use fleet::rent::UnitPrice;
/// use fleet::signs::PriceSource;
///
/// let price = UnitPrice {
///     hourly_micro: 96_000,
///     currency: Currency::Usd,
///     sources: vec![PriceSource::AwsPriceList, PriceSource::AwsSpot],
///     as_of: Timestamp(1_780_315_200),
/// };
/// let told = "0.0960 USD an hour (AWS price list and AWS spot prices of 2026-06-01)";
/// assert_eq!(price.to_string(), told);
/// assert_eq!(UnitPrice::configured(0.096).to_string(), "0.0960 USD an hour (`price_usd_hourly`)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPrice {
    /// Millionths of the currency.
    pub hourly_micro: u64,
    pub currency: Currency,
    /// Where it was read; none where it is the operator's word.
    pub sources: Vec<PriceSource>,
    /// When it was read.
    pub as_of: Timestamp,
}

impl UnitPrice {
    /// The operator's word, in US dollars.
    pub fn configured(usd_hourly: f64) -> UnitPrice {
        let hourly_micro = (usd_hourly.clamp(0.0, 1e9) * 1e6).round() as u64;
        let (currency, as_of) = (Currency::Usd, Timestamp(0));
        UnitPrice { hourly_micro, currency, sources: Vec::new(), as_of }
    }

    /// An hour's price as people read it: `0.0960`.
    pub fn amount(&self) -> String {
        format!("{:.4}", self.hourly_micro as f64 / 1e6)
    }

    /// The day that it was read on, such as `2026-06-01`.
    pub fn day(&self) -> String {
        self.as_of.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} an hour (", self.amount(), self.currency)?;
        if self.sources.is_empty() {
            return f.write_str("`price_usd_hourly`)");
        }
        let sources: Vec<String> = self.sources.iter().map(ToString::to_string).collect();
        write!(f, "{} of {})", sources.join(" and "), self.day())
    }
}

/// Why it is not known what a unit costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// It was not read yet.
    NotRead,
    /// The group has no machine that tells what its units are.
    NoMembers,
    /// The price list does not have one of its types.
    NotListed { class: String },
    /// Its machines are on hosts that are paid as a whole.
    OnHosts,
    /// Its machines are paid for ahead, whether they run or not.
    PaidAhead,
    /// Its machines are paid for in several currencies.
    Currencies,
    /// There is no price list that credentials of this region may read.
    NoPriceList { region: String },
    /// The role may not read it.
    Denied { operation: String },
    /// It could not be read.
    Unread { operation: String, kind: FaultKind },
    /// The cloud tells no prices.
    NoSource,
}

impl Unpriced {
    /// Why a reading that failed told no price.
    pub fn of(fault: &Fault) -> Unpriced {
        let operation = fault.operation.clone();
        match &fault.kind {
            FaultKind::Denied { permission } => {
                Unpriced::Denied { operation: permission.clone().unwrap_or(operation) }
            }
            kind => Unpriced::Unread { operation, kind: kind.clone() },
        }
    }
}

impl fmt::Display for Unpriced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unpriced::NotRead => f.write_str("not read yet"),
            Unpriced::NoMembers => f.write_str("no machine to tell the type from"),
            Unpriced::NotListed { class } => write!(f, "no list price of `{class}`"),
            Unpriced::OnHosts => f.write_str("on hosts that are paid as a whole"),
            Unpriced::PaidAhead => f.write_str("paid for ahead"),
            Unpriced::Currencies => f.write_str("machines in several currencies"),
            Unpriced::NoPriceList { region } => {
                write!(f, "no price list can be read from `{region}`")
            }
            Unpriced::Denied { operation } => write!(f, "`{operation}` is denied"),
            Unpriced::Unread { operation, kind } => {
                write!(f, "`{operation}` failed: {}", kind.word())
            }
            Unpriced::NoSource => f.write_str("the cloud tells no prices"),
        }
    }
}

/// What is known of a unit's price.
pub type UnitPriceKnown = Result<UnitPrice, Unpriced>;

/// Members of one kind in a group: how many units they count for, how many machines they are, and what
/// one machine costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub machines: u64,
    pub units: Units,
    pub machine: UnitPriceKnown,
}

/// What a unit of a group costs on the average of its members: a machine's price by its weight. What
/// one part is not known of is not known, since that part may be the dearest.
///
/// ```
/// use fleet::rent::{Share, UnitPrice, Unpriced, of_members};
/// use fleet::Units;
///
/// let share = |machines, units, usd| Share {
///     machines,
///     units: Units(units),
///     machine: Ok(UnitPrice::configured(usd)),
/// };
/// // Two machines of weight 1 and one of weight 4: 6 units for 0.1 + 0.1 + 0.4 dollars.
/// let price = of_members(&[share(2, 2, 0.1), share(1, 4, 0.4)]);
/// assert_eq!(price.map(|price| price.hourly_micro), Ok(100_000));
/// assert_eq!(of_members(&[]), Err(Unpriced::NoMembers));
/// ```
///
/// # Errors
/// Why it is not known.
pub fn of_members(shares: &[Share]) -> UnitPriceKnown {
    let mut known: BTreeMap<Currency, u64> = BTreeMap::new();
    let mut sources: Vec<PriceSource> = Vec::new();
    let (mut units, mut as_of) = (0_u64, None::<Timestamp>);
    for share in shares {
        let price = share.machine.as_ref().map_err(Clone::clone)?;
        *known.entry(price.currency).or_default() += price.hourly_micro * share.machines;
        units += u64::from(share.units.0);
        for source in &price.sources {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        as_of = Some(as_of.map_or(price.as_of, |oldest| oldest.min(price.as_of)));
    }
    let mut known = known.into_iter();
    let (Some((currency, micro)), Some(as_of)) = (known.next(), as_of) else {
        return Err(Unpriced::NoMembers);
    };
    if known.next().is_some() {
        return Err(Unpriced::Currencies);
    }
    if units == 0 {
        return Err(Unpriced::NoMembers);
    }
    Ok(UnitPrice { hourly_micro: (micro + units / 2) / units, currency, sources, as_of })
}

/// What savings are reckoned against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyBaseline {
    /// The group stands at the most units of each day, all that day.
    #[default]
    Peak,
    /// The mean size from before neap sized it.
    Before,
    /// The cloud's own target tracking, simulated on the same load.
    Native,
}

impl fmt::Display for MoneyBaseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoneyBaseline::Peak => "each day's peak size",
            MoneyBaseline::Before => "the mean size before neap",
            MoneyBaseline::Native => "target tracking simulated on the same load",
        })
    }
}

/// What is paid whether machines run or not: reservations, Savings Plans. It is the operator's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    pub provider: ProviderName,
    /// `None` covers every account.
    pub account: Option<AccountId>,
    /// `None` covers every region.
    pub region: Option<Region>,
    /// Millionths of the currency an hour.
    pub hourly_micro: u64,
    pub currency: Currency,
}

impl Commitment {
    /// Whether it pays for the groups of a place.
    pub fn covers(&self, group: &GroupRef) -> bool {
        self.provider == group.provider
            && self.account.as_ref().is_none_or(|account| *account == group.account)
            && self.region.as_ref().is_none_or(|region| *region == group.region)
    }

    /// Its scope, by which it is kept: `aws`, `aws/123456789012`, `aws/*/eu-west-1`.
    pub fn scope(&self) -> String {
        let account = self.account.as_ref().map(ToString::to_string);
        match (&self.region, account) {
            (None, None) => self.provider.to_string(),
            (None, Some(account)) => format!("{}/{account}", self.provider),
            (Some(region), account) => {
                let account = account.unwrap_or_else(|| "*".to_owned());
                format!("{}/{account}/{region}", self.provider)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(machines: u64, units: u32, micro: u64, currency: Currency) -> Share {
        let sources = vec![PriceSource::AwsPriceList];
        let price = UnitPrice { hourly_micro: micro, currency, sources, as_of: Timestamp(9) };
        Share { machines, units: Units(units), machine: Ok(price) }
    }

    #[test]
    fn a_unit_costs_what_its_share_of_the_machines_does() {
        for weight in 1..=64_u32 {
            for machines in 1..=9_u64 {
                let units = weight * machines as u32;
                let one = share(machines, units, 640_000, Currency::Usd);
                let price = of_members(&[one]).unwrap();
                let exact = 640_000.0 / f64::from(weight);
                assert!((price.hourly_micro as f64 - exact).abs() <= 0.5, "{weight}: {price:?}");
            }
        }
    }

    #[test]
    fn a_part_without_a_price_leaves_the_whole_without_one() {
        let known = share(9, 9, 100, Currency::Usd);
        for why in [
            Unpriced::NotListed { class: "x9.large".to_owned() },
            Unpriced::OnHosts,
            Unpriced::Denied { operation: "pricing:GetProducts".to_owned() },
        ] {
            let unknown = Share { machines: 1, units: Units(1), machine: Err(why.clone()) };
            assert_eq!(of_members(&[known.clone(), unknown.clone()]), Err(why.clone()));
            assert_eq!(of_members(&[unknown, known.clone()]), Err(why));
        }
        let yuan = share(1, 1, 700, Currency::Cny);
        assert_eq!(of_members(&[known, yuan]), Err(Unpriced::Currencies));
    }

    #[test]
    fn machines_that_count_for_nothing_tell_no_price() {
        assert_eq!(of_members(&[share(3, 0, 100, Currency::Usd)]), Err(Unpriced::NoMembers));
    }
}
