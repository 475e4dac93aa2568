//! The adapters that this program is built with: the one place that knows which.
//!
//! Each is a cargo feature. A configuration that names another is refused when it is read, so that what
//! is said here of a missing adapter is never shown.

#[cfg(feature = "alibaba")]
mod alibaba;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "prometheus")]
pub mod prometheus;

use std::sync::Arc;

use config::{NotARole, NotAStore, NotPromql, ProviderConfig, StoreUrl};
use fleet::{AccountId, ProviderName, Seconds};
#[cfg(any(feature = "alibaba", feature = "aws"))]
use providers::{CloudSettings, RoleAccount, RoleArn, RoleSyntax};
use providers::{Expected, Now, Provider, Volume};

/// Kinds of providers that this program is built with.
pub const BUILT: &[&str] = &[
    #[cfg(feature = "alibaba")]
    "alibaba",
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "prometheus")]
    "prometheus",
    #[cfg(feature = "sim")]
    "sim",
];

/// Metric calls that Alibaba Cloud makes free in a month.
#[cfg(feature = "alibaba")]
pub const ALIBABA_FREE_METRIC_CALLS_MONTHLY: u64 = alibaba::FREE_METRIC_CALLS_A_MONTH;
/// Nobody asks.
#[cfg(not(feature = "alibaba"))]
pub const ALIBABA_FREE_METRIC_CALLS_MONTHLY: u64 = 0;

/// The adapter of a provider that is not simulated.
///
/// # Errors
/// Where it is not built in.
pub fn adapter(
    name: &ProviderName,
    provider: &ProviderConfig,
    now: Arc<dyn Now>,
) -> anyhow::Result<Arc<dyn Provider>> {
    match provider {
        #[cfg(feature = "alibaba")]
        ProviderConfig::Alibaba(alibaba) => Ok(alibaba::adapter(name, alibaba, now)),
        #[cfg(feature = "aws")]
        ProviderConfig::Aws(aws) => Ok(aws::adapter(name, aws, now)),
        #[cfg(feature = "prometheus")]
        ProviderConfig::Prometheus(prometheus) => prometheus::adapter(name, prometheus, now),
        other => {
            drop(now);
            anyhow::bail!("`{name}`: this neap was built without the adapter `{}`", other.kind())
        }
    }
}

/// What watching a volume takes; what is simulated takes nothing.
pub fn expected_calls(provider: &ProviderConfig, volume: Volume) -> Expected {
    match provider {
        #[cfg(feature = "alibaba")]
        ProviderConfig::Alibaba(_) => alibaba::expected_calls(volume),
        #[cfg(feature = "aws")]
        ProviderConfig::Aws(_) => aws::expected_calls(volume),
        #[cfg(feature = "prometheus")]
        ProviderConfig::Prometheus(_) => prometheus::expected_calls(volume),
        _ => {
            let _ = volume;
            Expected::default()
        }
    }
}

/// The metric calls among those of Alibaba Cloud.
#[cfg_attr(not(feature = "alibaba"), expect(unused_variables, reason = "nobody asks"))]
pub fn alibaba_metric_calls(expected: &Expected) -> u64 {
    #[cfg(feature = "alibaba")]
    return alibaba::metric_calls(expected);
    #[cfg(not(feature = "alibaba"))]
    0
}

/// What reading the usage of so many instances of AWS costs in a month, in millionths of a US dollar.
#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "nobody asks"))]
pub fn aws_usage_usd_micros(instances: u64, every: Seconds) -> u64 {
    #[cfg(feature = "aws")]
    return aws::usage_usd_micros(instances, every);
    #[cfg(not(feature = "aws"))]
    0
}

/// The account of a role of a kind of cloud.
///
/// # Errors
/// Where it is no role of such a cloud.
pub fn role_account(kind: &str, arn: &str) -> Result<AccountId, NotARole> {
    match kind {
        #[cfg(feature = "alibaba")]
        "alibaba" => account_of::<providers::alibaba::RamRoles>(arn),
        #[cfg(feature = "aws")]
        "aws" => account_of::<providers::aws::IamRoles>(arn),
        _ => Err(NotARole { why: format!("`{arn}` is no role of `{kind}`") }),
    }
}

/// The periods in seconds that a kind of cloud folds samples into, where it has only some.
pub fn metric_periods(kind: &str) -> Option<&'static [u32]> {
    match kind {
        #[cfg(feature = "alibaba")]
        "alibaba" => Some(&alibaba::PERIODS),
        _ => None,
    }
}

/// Where a Prometheus store answers.
///
/// # Errors
/// Where the text is no such address.
#[cfg(feature = "prometheus")]
pub fn store_url(text: &str) -> Result<StoreUrl, NotAStore> {
    prometheus::store_url(text)
}

/// Nobody asks.
///
/// # Errors
/// Always.
#[cfg(not(feature = "prometheus"))]
pub fn store_url(_: &str) -> Result<StoreUrl, NotAStore> {
    Err(NotAStore { holds: "an address that this neap cannot ask".to_owned(), credential: false })
}

/// A query in one line.
///
/// # Errors
/// Where the text is none.
#[cfg(feature = "prometheus")]
pub fn promql(text: &str) -> Result<String, NotPromql> {
    prometheus::promql(text)
}

/// Nobody asks.
///
/// # Errors
/// Always.
#[cfg(not(feature = "prometheus"))]
pub fn promql(_: &str) -> Result<String, NotPromql> {
    Err(NotPromql { what: "no Prometheus is built in".to_owned(), variable: false })
}

/// The account of a role, as a cloud writes it.
#[cfg(any(feature = "alibaba", feature = "aws"))]
fn account_of<S: RoleSyntax>(arn: &str) -> Result<AccountId, NotARole> {
    let role = RoleArn::<S>::parse(arn).map_err(|why| NotARole { why: why.to_string() })?;
    Ok(role.account().clone())
}

/// The region that is asked which others there are: the process's own, or a usual one.
#[cfg(any(feature = "alibaba", feature = "aws"))]
fn home_region(variables: &[&str], otherwise: &str) -> Vec<fleet::Region> {
    let named = variables.iter().find_map(|name| fleet::Region::new(std::env::var(name).ok()?));
    named.or_else(|| fleet::Region::new(otherwise)).into_iter().collect()
}

/// Where a cloud is reached, and the roles of accounts that are entered through one. The
/// configuration's parser has checked their form.
#[cfg(any(feature = "alibaba", feature = "aws"))]
fn reached<S: RoleSyntax>(
    settings: &mut CloudSettings<S>,
    accounts: &[config::CloudAccount],
    endpoint_url: Option<&str>,
) {
    let role = |account: &config::CloudAccount| {
        let role_arn = RoleArn::parse(account.role_arn.as_deref()?).ok()?;
        Some(RoleAccount { role_arn, external_id: account.external_id.clone() })
    };
    settings.accounts = accounts.iter().filter_map(role).collect();
    settings.endpoint_url = endpoint_url.map(str::to_owned);
}
