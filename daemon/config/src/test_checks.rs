//! Checks for the tests of this crate: every kind is built in, and forms are judged as far as the tests
//! need it. The real ones are handed in by the program.

use fleet::AccountId;

use crate::{Checks, NotARole, StoreUrl};

pub(crate) const CHECKS: Checks = Checks {
    built: &["alibaba", "aws", "prometheus", "sim"],
    role_account: |_, arn| {
        let account = arn.split(':').find(|part| part.len() >= 12);
        account.and_then(AccountId::new).ok_or_else(|| NotARole { why: "no account".to_owned() })
    },
    metric_periods: |_| None,
    alibaba_free_metric_calls_monthly: 1_000_000,
    store_url: |text| {
        let (encrypted, local) = (text.starts_with("https://"), text.contains("127.0.0.1"));
        Ok(StoreUrl { text: text.trim_end_matches('/').to_owned(), encrypted, local })
    },
    promql: |text| Ok(text.to_owned()),
    scenarios: &["day", "fourteen-nights", "outage", "launch", "rough-day", "fleet", "slow-start"],
    template: |_| Ok(()),
};
