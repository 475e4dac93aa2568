//! Money says the same in both languages.

use fleet::money::Currency;
use fleet::rent::{MoneyBaseline, UnitPrice, Unpriced};
use fleet::signs::PriceSource;

use super::*;
use crate::money::{MoneyLine, Saved};

const RENT: &str = "fleet/src/rent.rs";

fn unpriced() -> Vec<Unpriced> {
    let operation = || "pricing:GetProducts".to_owned();
    let mut all = vec![
        Unpriced::NotRead,
        Unpriced::NoMembers,
        Unpriced::NotListed { class: "x9.large".to_owned() },
        Unpriced::OnHosts,
        Unpriced::PaidAhead,
        Unpriced::Currencies,
        Unpriced::NoPriceList { region: "us-gov-west-1".to_owned() },
        Unpriced::Denied { operation: operation() },
        Unpriced::NoSource,
    ];
    let kinds = faults().into_iter().map(|fault| fault.kind);
    all.extend(kinds.map(|kind| Unpriced::Unread { operation: operation(), kind }));
    all
}

#[test]
fn prices_and_why_there_are_none_say_the_same() {
    all_agree(RENT, "Unpriced", &unpriced());
    let baselines = [MoneyBaseline::Peak, MoneyBaseline::Before, MoneyBaseline::Native];
    all_agree(RENT, "MoneyBaseline", &baselines);
    agree(&UnitPrice::configured(0.096));
    let sources = vec![PriceSource::AwsPriceList, PriceSource::AwsSpot, PriceSource::AlibabaSpot];
    agree(&UnitPrice { hourly_micro: 96_000, currency: Currency::Cny, sources, as_of: AT });
}

#[test]
fn lines_on_money_say_the_same() {
    let saved = |baseline_micro, unclaimed_micro| Saved {
        baseline_micro,
        paid_micro: 40_000_000,
        unclaimed_micro,
    };
    let mut lines = vec![
        MoneyLine::Costs {
            hourly: [(Currency::Usd, 12_400_000), (Currency::Cny, 3_000_000)].into(),
            priced: 14,
            services: 16,
        },
        MoneyLine::NothingActed,
    ];
    for baseline in [MoneyBaseline::Peak, MoneyBaseline::Before, MoneyBaseline::Native] {
        for saved in [saved(50_000_000, 0), saved(50_000_000, 3_000_000), saved(9_000_000, 0)] {
            lines.push(MoneyLine::Saved { currency: Currency::Usd, saved, baseline });
        }
        for more in [0, 5] {
            let named = vec!["mail-1".to_owned(), "search-2".to_owned()];
            lines.push(MoneyLine::NoBaseline { named, more, baseline });
        }
    }
    for why in unpriced() {
        lines.push(MoneyLine::Unpriced { named: vec![(name("mail"), why)], more: 2 });
    }
    all_agree("daemon/report/src/money.rs", "MoneyLine", &lines);
}
