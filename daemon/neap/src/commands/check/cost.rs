//! What reading each provider comes to in a month.

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, ProviderConfig};
use fleet::ProviderName;
use fleet::metric::MetricQuery;
use planner::policy::ServicePolicy;
use providers::{Expected, Volume};
use serde::Serialize;

use crate::adapters;

/// What reading one provider comes to in a month of 30 days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) provider: ProviderName,
    pub(super) kind: &'static str,
    pub(super) groups: u64,
    pub(super) metrics: u64,
    pub(super) calls_monthly: u64,
    pub(super) metrics_read_monthly: u64,
    pub(super) usd_monthly: f64,
    /// Calls among them that count against a month's free ones, and how many those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) free_calls: Option<FreeCalls>,
    /// Metrics of one group of every template, which come on top for each group that matches.
    pub(super) metrics_each_templated_group: u64,
}

/// Calls that are free up to a number a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FreeCalls {
    pub(super) expected: u64,
    pub(super) free: u64,
}

pub(super) fn costs(config: &Config) -> Vec<Cost> {
    config
        .providers
        .iter()
        .map(|(name, provider)| {
            let watched = watched(config, name);
            let expected = expected(config, provider, &watched);
            let templated = config.templates.iter().flat_map(|t| metrics_of(&t.service, name));
            Cost {
                provider: name.clone(),
                kind: provider.kind(),
                groups: watched.values().map(|seen| seen.groups).sum(),
                metrics: watched.values().map(|seen| seen.metrics).sum(),
                calls_monthly: expected.calls_total(),
                metrics_read_monthly: expected.metrics,
                usd_monthly: expected.usd_micros as f64 / 1e6,
                free_calls: matches!(provider, ProviderConfig::Alibaba(_)).then(|| FreeCalls {
                    expected: adapters::alibaba_metric_calls(&expected),
                    free: adapters::ALIBABA_FREE_METRIC_CALLS_MONTHLY,
                }),
                metrics_each_templated_group: templated.count() as u64,
            }
        })
        .collect()
}

/// What watching all that costs; reading a simulated cloud is free.
fn expected(config: &Config, provider: &ProviderConfig, watched: &Watched) -> Expected {
    let volumes = watched.values().map(|seen| Volume {
        groups: seen.groups,
        metrics: seen.metrics,
        metric_reads: seen.reads,
        metric_kinds: u64::try_from(seen.kinds.len()).unwrap_or(u64::MAX),
        poll_interval: config.policy.poll_interval,
    });
    let of_volume = |volume| adapters::expected_calls(provider, volume);
    volumes.map(of_volume).fold(Expected::default(), |sum, place| sum.plus(&place))
}

fn metrics_of<'s>(
    service: &'s ServicePolicy,
    provider: &'s ProviderName,
) -> impl Iterator<Item = &'s MetricQuery> {
    service.metrics().filter(move |query| query.provider == *provider)
}

/// What is watched by account and region, as calls go to each place by itself.
type Watched = BTreeMap<(String, String), Seen>;

/// What is watched in one place.
#[derive(Default)]
struct Seen {
    groups: u64,
    /// Distinct metrics.
    metrics: u64,
    /// How often they are read in a month, in all.
    reads: u64,
    /// Namespace, name and period of them.
    kinds: BTreeSet<(String, String, u32)>,
}

fn watched(config: &Config, provider: &ProviderName) -> Watched {
    let mut watched = Watched::new();
    let mut seen = BTreeSet::new();
    for service in config.policy.services.values() {
        let group = &service.pool.group;
        if group.provider == *provider {
            let place = (group.account.to_string(), group.region.to_string());
            watched.entry(place).or_default().groups += 1;
        }
        for query in metrics_of(service, provider) {
            if seen.insert(query.key()) {
                let place = (query.account.to_string(), query.region.to_string());
                let here = watched.entry(place).or_default();
                here.metrics += 1;
                let poll = config.policy.poll_interval;
                here.reads += providers::reads_a_month(query.period.span(), poll);
                let (namespace, name) = (query.namespace.clone(), query.metric.clone());
                here.kinds.insert((namespace, name, query.period.seconds()));
            }
        }
    }
    watched
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (groups, metrics) = (self.groups, self.metrics);
        write!(
            f,
            "provider `{}` ({}): groups {groups}, metrics {metrics}",
            self.provider, self.kind
        )?;
        let (calls, read, usd) = (self.calls_monthly, self.metrics_read_monthly, self.usd_monthly);
        match self.kind {
            "sim" => f.write_str("; reading costs nothing")?,
            _ => write!(f, "; about {calls} calls and {read} metrics a month, {usd:.2} USD")?,
        }
        if let Some(FreeCalls { expected, free }) = self.free_calls {
            write!(f, "; {expected} of {free} free metric calls")?;
        }
        match self.metrics_each_templated_group {
            0 => Ok(()),
            each => write!(f, "; {each} metrics more for each group of a template"),
        }
    }
}
