//! Alibaba Cloud as a configuration has it, and what its adapter knows of such a text.

use std::sync::Arc;

use config::{AlibabaConfig, NotARole};
use planner::{AccountId, ProviderName};
use providers::alibaba::{Alibaba, Network, RoleAccount, RoleArn, Settings};
use providers::{Now, Provider};

use super::roles;

pub use providers::alibaba::{FREE_METRIC_CALLS_A_MONTH, PERIODS, expected_calls, metric_calls};

/// The adapter.
pub fn adapter(
    name: &ProviderName,
    alibaba: &AlibabaConfig,
    now: Arc<dyn Now>,
) -> Arc<dyn Provider> {
    Arc::new(Alibaba::new(settings(name, alibaba), now))
}

/// The account of a role.
pub fn role_account(arn: &str) -> Result<AccountId, NotARole> {
    let role = RoleArn::parse(arn).map_err(|why| NotARole { why: why.to_string() })?;
    Ok(role.account().clone())
}

/// What the adapter needs to know of a parsed `[provider.NAME]`.
fn settings(name: &ProviderName, alibaba: &AlibabaConfig) -> Settings {
    let mut settings = Settings::new(name.clone(), alibaba.regions.clone());
    settings.endpoint_url.clone_from(&alibaba.endpoint_url);
    settings.budget.per_month = Some(alibaba.metric_calls_monthly);
    if alibaba.vpc_endpoints {
        settings.network = Network::Vpc;
    }
    settings.accounts = roles(&alibaba.accounts, |role, external_id| {
        Some(RoleAccount { role_arn: RoleArn::parse(role).ok()?, external_id })
    });
    settings
}
