//! Alibaba Cloud as a configuration has it, and what its adapter knows of such a text.

use std::sync::Arc;

use config::AlibabaConfig;
use fleet::ProviderName;
use providers::alibaba::{Alibaba, Network, Settings};
use providers::{Now, Provider};

use super::{home_region, reached};

pub use providers::alibaba::{FREE_METRIC_CALLS_A_MONTH, PERIODS, expected_calls, metric_calls};

/// The adapter.
pub fn adapter(
    name: &ProviderName,
    alibaba: &AlibabaConfig,
    now: Arc<dyn Now>,
) -> Arc<dyn Provider> {
    Arc::new(Alibaba::new(settings(name, alibaba), now))
}

/// What the adapter needs to know of a parsed `[provider.NAME]`.
fn settings(name: &ProviderName, alibaba: &AlibabaConfig) -> Settings {
    let mut settings = Settings::new(name.clone(), alibaba.regions.clone());
    reached(&mut settings, &alibaba.accounts, alibaba.endpoint_url.as_deref());
    settings.budget.per_month = Some(alibaba.metric_calls_monthly);
    if alibaba.every_region {
        settings.every_region = true;
        settings.regions = home_region(&["ALIBABA_CLOUD_REGION_ID"], "cn-hangzhou");
    }
    if alibaba.vpc_endpoints {
        settings.network = Network::Vpc;
    }
    settings
}
