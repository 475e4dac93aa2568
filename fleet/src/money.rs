//! What things cost and what stopping them saves, in whole millionths; unknown is never zero.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::{ResourceId, ResourceKind};
use crate::signs::{PriceSource, StillPaid};
use crate::{AccountId, OrTold, ProviderName, Region, Timestamp};

/// A currency that the clouds bill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Renminbi.
    Cny,
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Currency::Usd => "USD",
            Currency::Cny => "CNY",
        })
    }
}

/// How many yuan a US dollar is, as somebody states it. There is no default: without it an amount in
/// one currency is unknown in the other.
///
/// ```
/// use fleet::money::{CnyPerUsd, Currency};
///
/// let rate = CnyPerUsd::new(7.1).expect("a rate");
/// assert_eq!(rate.converted(7_100_000, Currency::Cny, Currency::Usd), 1_000_000);
/// assert_eq!(rate.converted(1_000_000, Currency::Usd, Currency::Cny), 7_100_000);
/// assert_eq!(rate.converted(5, Currency::Cny, Currency::Cny), 5);
/// // What is above nothing stays above nothing.
/// assert_eq!(rate.converted(1, Currency::Cny, Currency::Usd), 1);
/// assert_eq!(CnyPerUsd::new(0.0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CnyPerUsd(f64);

impl CnyPerUsd {
    /// The rate; `None` for what no rate can be.
    pub fn new(rate: f64) -> Option<CnyPerUsd> {
        (rate.is_finite() && rate > 0.0).then_some(CnyPerUsd(rate))
    }

    /// The rate as a number.
    pub fn rate(self) -> f64 {
        self.0
    }

    /// Millionths of one currency in millionths of another.
    pub fn converted(self, micro: u64, from: Currency, to: Currency) -> u64 {
        let amount = micro as f64;
        let converted = match (from, to) {
            (Currency::Cny, Currency::Usd) => amount / self.0,
            (Currency::Usd, Currency::Cny) => amount * self.0,
            (Currency::Usd, Currency::Usd) | (Currency::Cny, Currency::Cny) => return micro,
        };
        (converted.round() as u64).max(u64::from(micro > 0))
    }
}

/// What a price is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PriceQuery {
    pub provider: ProviderName,
    /// The account that would pay.
    pub account: AccountId,
    pub region: Region,
    pub kind: ResourceKind,
    /// Its type, as the cloud names it; empty where the kind has none.
    pub class: String,
    /// What else the price depends on; see
    /// [`Resource::platform`](crate::resource::Resource::platform).
    pub platform: Option<String>,
}

/// A list price, with where it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Millionths of the currency an hour: for a machine its processors and memory alone, for a
    /// volume or snapshot one gibibyte of it, for the others one of them.
    pub hourly_micro: u64,
    pub currency: Currency,
    /// Where it was read.
    pub source: OrTold<PriceSource>,
    /// When it was read or written down.
    pub as_of: Timestamp,
}

impl Price {
    /// The price in a currency, where one is wanted and a rate is stated; else as it is.
    pub fn in_currency(self, wanted: Option<Currency>, rate: Option<CnyPerUsd>) -> Price {
        let (Some(currency), Some(rate)) = (wanted, rate) else { return self };
        let hourly_micro = rate.converted(self.hourly_micro, self.currency, currency);
        Price { hourly_micro, currency, ..self }
    }
}

/// A sum by currency, beside how many of its parts have no known price.
///
/// ```
/// use fleet::money::{Currency, Sum};
///
/// let mut sum = Sum::default();
/// // 0.05 USD an hour, twice; what costs nothing, and what nobody knows the price of.
/// for part in [Some(50_000), Some(50_000), Some(0), None] {
///     sum.add(part.map(|micro| (micro, Currency::Usd)));
/// }
/// sum.add(Some((300_000, Currency::Cny)));
/// // Currencies are not added up, and unknown is not zero.
/// assert_eq!(sum.hourly_micro[&Currency::Usd], 100_000);
/// assert_eq!(sum.hourly_micro[&Currency::Cny], 300_000);
/// assert_eq!(sum.unknown, 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Millionths of a currency an hour.
    pub hourly_micro: BTreeMap<Currency, u64>,
    /// Parts whose price is unknown: they are in no sum.
    pub unknown: u32,
}

impl Sum {
    /// Adds what one part costs an hour.
    pub fn add(&mut self, hourly: Option<(u64, Currency)>) {
        match hourly {
            Some((micro, currency)) => *self.hourly_micro.entry(currency).or_default() += micro,
            None => self.unknown += 1,
        }
    }
}

/// Savings found, decided on and real.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Savings {
    /// Of all that is idle.
    pub found: Sum,
    /// Of what is marked for a stop.
    pub marked: Sum,
    /// Of what neap has stopped.
    pub realised: Sum,
    /// Millionths of a currency that the stops in force have saved since they were ordered.
    pub since_stopped_micro: BTreeMap<Currency, u64>,
}

/// What a stop would save an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saving {
    pub resource: ResourceId,
    /// The price it is reckoned from; `None` where no source knows one.
    pub price: Option<Price>,
    /// Millionths an hour, net of what goes on being paid; `None` where the price is unknown.
    pub hourly_micro: Option<u64>,
    /// What goes on being paid.
    pub still_paid: Vec<OrTold<StillPaid>>,
}
