//! `[money]` and `[[commitment]]`: what savings are reckoned against, and what is paid in any case.

use fleet::money::Currency;
use fleet::rent::{Commitment, MoneyBaseline};
use fleet::{AccountId, ProviderName, Region};
use serde::Serialize;

use super::keys::root::{commitment, money as known, top};
use super::provider::Providers;
use super::reader::{Table, did_you_mean};

/// What savings are reckoned by.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Money {
    pub baseline: MoneyBaseline,
    /// What is paid whether machines run or not.
    pub commitments: Vec<Commitment>,
}

const BASELINES: [(&str, MoneyBaseline); 3] = [
    ("peak", MoneyBaseline::Peak),
    ("before", MoneyBaseline::Before),
    ("native", MoneyBaseline::Native),
];

/// Both tables.
pub(super) fn money(root: &Table<'_>, providers: &Providers) -> Money {
    let mut money = Money::default();
    if let Some(table) = root.get(&top::MONEY).and_then(|entry| entry.table()) {
        let baseline = table.get(&known::BASELINE).and_then(|entry| entry.choice(&BASELINES));
        money.baseline = baseline.unwrap_or_default();
        table.finish();
    }
    let tables = root.get(&top::COMMITMENT).map_or_else(Vec::new, |entry| entry.tables());
    for table in &tables {
        let Some(read) = read(table, providers) else { continue };
        let same = |before: &Commitment| before.scope() == read.scope();
        if money.commitments.iter().any(same)
            && let Some(entry) = table.get(&commitment::PROVIDER)
        {
            let scope = read.scope();
            entry.fault(format!("a commitment of `{scope}` is there already, expected one"), None);
        }
        money.commitments.push(read);
    }
    money
}

fn read(table: &Table<'_>, providers: &Providers) -> Option<Commitment> {
    let provider = table.required(&commitment::PROVIDER, "the name of a provider");
    let provider = provider.and_then(|entry| {
        let name = entry.name(ProviderName::new, "a provider's name")?;
        if !providers.named.contains(name.as_str()) {
            let names = providers.named.iter().map(String::as_str);
            let hint = did_you_mean(name.as_str(), names);
            entry.fault(format!("unknown provider `{name}`, expected one of this file"), hint);
        }
        Some(name)
    });
    let account =
        table.get(&commitment::ACCOUNT).map(|entry| entry.name(AccountId::new, "an account's id"));
    let region =
        table.get(&commitment::REGION).map(|entry| entry.name(Region::new, "a region's name"));
    let expected = "US dollars an hour, above 0";
    let usd = table.required(&commitment::USD_HOURLY, expected);
    let usd = usd.and_then(|entry| entry.positive(expected));
    table.finish();
    Some(Commitment {
        provider: provider?,
        account: account.unwrap_or_default(),
        region: region.unwrap_or_default(),
        hourly_micro: (usd?.min(1e9) * 1e6).round() as u64,
        currency: Currency::Usd,
    })
}
