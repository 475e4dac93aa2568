//! AWS as a configuration has it, and what its adapter knows of such a text.

use std::sync::Arc;

use config::AwsConfig;
use fleet::ProviderName;
use providers::aws::{Aws, Settings};
use providers::{Now, Provider};

use super::{home_region, reached};

pub use providers::aws::{expected_calls, usage_usd_micros};

/// The adapter.
pub fn adapter(name: &ProviderName, aws: &AwsConfig, now: Arc<dyn Now>) -> Arc<dyn Provider> {
    Arc::new(Aws::new(settings(name, aws), now))
}

/// What the adapter needs to know of a parsed `[provider.NAME]`.
fn settings(name: &ProviderName, aws: &AwsConfig) -> Settings {
    let mut settings = Settings::new(name.clone(), aws.regions.clone());
    reached(&mut settings, &aws.accounts, aws.endpoint_url.as_deref());
    settings.budget.per_month = metrics_monthly(aws);
    if aws.every_region {
        settings.every_region = true;
        settings.regions = home_region(&["AWS_REGION", "AWS_DEFAULT_REGION"], "us-east-1");
    }
    settings
}

/// The stricter of a limit in metrics and one in money, at $0.01 for 1,000 metrics.
fn metrics_monthly(aws: &AwsConfig) -> Option<u64> {
    const USD_MICROS_PER_METRIC: u64 = 10;
    let by_money = aws.api_budget.usd_micros_monthly.map(|usd| usd / USD_MICROS_PER_METRIC);
    [aws.api_budget.metrics_monthly, by_money].into_iter().flatten().min()
}
