//! A Prometheus store as a configuration has it, and what its adapter knows of such a text.

use std::sync::Arc;

use config::{NotAStore, NotPromql, PrometheusConfig, Proof, SecretFile, StoreUrl};
use fleet::ProviderName;
use providers::prometheus::{
    ClientCertificate, Credential, Endpoint, NotAQuery, NotAnEndpoint, Prometheus, Query, Settings,
};
use providers::{Now, Provider};

pub use providers::prometheus::{NotPerSecond, expected_calls};

/// The adapter.
///
/// # Errors
/// Where the address is none, which a configuration that was parsed has not.
pub fn adapter(
    name: &ProviderName,
    prometheus: &PrometheusConfig,
    now: Arc<dyn Now>,
) -> anyhow::Result<Arc<dyn Provider>> {
    Ok(Arc::new(source(name, prometheus, now)?))
}

/// The same, as what it is: its files can be looked at before anything is asked.
///
/// # Errors
/// Those of [`adapter`].
pub fn source(
    name: &ProviderName,
    prometheus: &PrometheusConfig,
    now: Arc<dyn Now>,
) -> anyhow::Result<Prometheus> {
    Ok(Prometheus::new(settings(name, prometheus)?, now))
}

/// Where a store answers.
pub fn store_url(text: &str) -> Result<StoreUrl, NotAStore> {
    match Endpoint::parse(text) {
        Ok(url) => Ok(StoreUrl {
            text: url.to_string(),
            encrypted: url.is_encrypted(),
            local: url.is_local(),
        }),
        Err(fault) => Err(NotAStore {
            holds: fault.to_string(),
            credential: fault == NotAnEndpoint::Credential,
        }),
    }
}

/// A query in one line.
pub fn promql(text: &str) -> Result<String, NotPromql> {
    Query::parse(text).map(|query| query.to_string()).map_err(|fault| NotPromql {
        what: fault.to_string(),
        variable: matches!(fault, NotAQuery::Variable(_)),
    })
}

/// Why what a query gives is no load per second, where its text tells.
pub fn not_per_second(text: &str) -> Option<NotPerSecond> {
    Query::parse(text).ok()?.not_per_second()
}

/// What the adapter needs to know of a parsed `[provider.NAME]`.
fn settings(name: &ProviderName, prometheus: &PrometheusConfig) -> anyhow::Result<Settings> {
    let endpoint = Endpoint::parse(&prometheus.url.text)?;
    let mut settings = Settings::new(name.clone(), endpoint);
    let path = |file: &SecretFile| file.path().to_owned();
    settings.credential = prometheus.proof.as_ref().map(|proof| match proof {
        Proof::Basic { user, password_file } => {
            Credential::Basic { user: user.clone(), password_file: path(password_file) }
        }
        Proof::BearerTokenFile(file) => Credential::Bearer { token_file: path(file) },
    });
    settings.client_certificate = prometheus
        .client_certificate
        .as_ref()
        .map(|[file, key]| ClientCertificate { certificate_file: path(file), key_file: path(key) });
    settings.ca_file = prometheus.ca_file.as_ref().map(|file| file.path().to_owned());
    settings.tenant.clone_from(&prometheus.tenant);
    Ok(settings)
}
