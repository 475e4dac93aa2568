//! `kind = "prometheus"`: stores that measure, and the PromQL that they are asked.

use fleet::metric::{MetricQuery, PROMQL as NAMESPACE, Statistic, WhenMissing};
use fleet::{Seconds, Step};
use serde::Serialize;

use super::StoreUrl;
use super::keys::Key;
use super::keys::provider::{basic as of_basic, prometheus as known};
use super::keys::service::metric as of_metric;
use super::metric::{METRIC_PERIOD, Place, WHEN_MISSING, period};
use super::reader::{Entry, Table};
use super::secret::SecretFile;

/// `kind = "prometheus"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrometheusConfig {
    /// What stands before `/api/v1/query_range`.
    pub url: StoreUrl,
    /// What is sent with every request.
    pub proof: Option<Proof>,
    /// The certificate that the connection is made with, and its key.
    pub client_certificate: Option<[SecretFile; 2]>,
    /// The certificates that the store's own must come from.
    pub ca_file: Option<SecretFile>,
    /// Whose samples, where a store has several tenants.
    pub tenant: Option<String>,
}

/// What is sent with every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The file that holds the password.
        password_file: SecretFile,
    },
    /// A token.
    BearerTokenFile(SecretFile),
}

impl PrometheusConfig {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &SecretFile> {
        let proof = match &self.proof {
            Some(Proof::Basic { password_file: file, .. } | Proof::BearerTokenFile(file)) => {
                Some(file)
            }
            None => None,
        };
        proof.into_iter().chain(self.client_certificate.iter().flatten()).chain(&self.ca_file)
    }
}

const URL: &str = "an address such as `\"https://prometheus.example.com\"`";
const USER: &str = "a name without `:`";
const TENANT: &str = "a tenant's id such as `\"team-a\"`";
const QUERY: &str = "PromQL such as `sum(rate(http_requests_total{job=\"checkout\"}[1m]))`";

/// Reads what stands beside `kind`; `None` where the address is faulty.
pub(super) fn prometheus(table: &Table<'_>) -> Option<PrometheusConfig> {
    let place = table.required(&known::URL, URL);
    let url = place.as_ref().and_then(url);
    let proof = proof(table);
    let client_certificate = client_certificate(table);
    let ca = table.get(&known::CA_FILE);
    let ca_file = ca.as_ref().and_then(|entry| entry.secret_file("certificates that are trusted"));
    let tenant = table.get(&known::TENANT).and_then(|entry| tenant(&entry));
    let (place, url) = (place?, url?);
    if !url.encrypted {
        let hint = "`http://` with a credential is for a store on this machine alone".to_owned();
        if proof.is_some() && !url.local {
            let message = format!(
                "{} is not encrypted, and everybody on the way could read the credential; expected \
                 `https://`",
                place.found()
            );
            place.fault(message, Some(hint));
        }
        if client_certificate.is_some() || ca.is_some() {
            let message = format!("{} takes no certificates, expected `https://`", place.found());
            place.fault(message, None);
        }
    }
    Some(PrometheusConfig { url, proof, client_certificate, ca_file, tenant })
}

/// The address; a faulty one is not repeated, for a password may stand in it.
fn url(entry: &Entry<'_>) -> Option<StoreUrl> {
    let found = entry.text(URL)?;
    let fault = match (entry.checks().store_url)(found) {
        Ok(url) => return Some(url),
        Err(fault) => fault,
    };
    let hint = fault
        .credential
        .then(|| "name them in `basic = { user = …, password_file = … }`".to_owned());
    entry.fault(format!("`url` holds {}, expected {URL}", fault.holds), hint);
    None
}

fn proof(table: &Table<'_>) -> Option<Proof> {
    let (basic, bearer) = (table.get(&known::BASIC), table.get(&known::BEARER_TOKEN_FILE));
    if let (Some(_), Some(entry)) = (&basic, &bearer) {
        let message = "`bearer_token_file` beside `basic`, expected one of them: a request carries \
                       one proof of who sends it";
        entry.key_fault(message.to_owned(), None);
    }
    let basic = basic.and_then(|entry| {
        let table = entry.table()?;
        let user = table.required(&of_basic::USER, USER).and_then(|entry| {
            let user = entry.text(USER)?;
            if user.contains(':') {
                entry.unexpected(USER, None);
                return None;
            }
            Some(user.to_owned())
        });
        let file = table
            .required(&of_basic::PASSWORD_FILE, "the path of a file that holds the password")
            .and_then(|entry| entry.secret_file("password"));
        table.finish();
        Some(Proof::Basic { user: user?, password_file: file? })
    });
    let bearer = bearer.and_then(|entry| entry.secret_file("token"));
    basic.or(bearer.map(Proof::BearerTokenFile))
}

fn client_certificate(table: &Table<'_>) -> Option<[SecretFile; 2]> {
    let what = ["certificate", "certificate's key"];
    let (certificate, key) =
        (table.get(&known::CLIENT_CERTIFICATE_FILE), table.get(&known::CLIENT_KEY_FILE));
    let missing = |key: &Key, what: &str| {
        table.missing(key, &format!("the path of a file that holds the {what}"), None);
    };
    match (&certificate, &key) {
        (Some(_), None) => missing(&known::CLIENT_KEY_FILE, what[1]),
        (None, Some(_)) => missing(&known::CLIENT_CERTIFICATE_FILE, what[0]),
        _ => {}
    }
    let certificate = certificate.and_then(|entry| entry.secret_file(what[0]));
    let key = key.and_then(|entry| entry.secret_file(what[1]));
    Some([certificate?, key?])
}

fn tenant(entry: &Entry<'_>) -> Option<String> {
    let found = entry.text(TENANT)?;
    if !found.chars().all(|c| c.is_ascii_graphic()) {
        entry.unexpected(TENANT, None);
        return None;
    }
    Some(found.to_owned())
}

/// Reads a metric of a store: `query`, `period` and `when_missing`.
pub(super) fn promql(table: &Table<'_>, place: Option<Place>) -> Option<MetricQuery> {
    let text = table.required(&of_metric::QUERY, QUERY).and_then(|entry| query(&entry));
    let period =
        table.get(&of_metric::PERIOD).map_or(Step::new(METRIC_PERIOD), |entry| period(&entry));
    let when_missing = table
        .get(&of_metric::WHEN_MISSING)
        .map_or(Some(WhenMissing::Unknown), |e| e.choice(&WHEN_MISSING));
    table.finish();
    let place = place?;
    Some(MetricQuery {
        provider: place.provider,
        account: place.account,
        region: place.region,
        namespace: NAMESPACE.to_owned(),
        metric: text?,
        // What the query says is what counts: a rate is per second already.
        statistic: Statistic::Average,
        dimensions: std::collections::BTreeMap::new(),
        period: period?,
        when_missing: when_missing?,
    })
}

fn query(entry: &Entry<'_>) -> Option<String> {
    let fault = match (entry.checks().promql)(entry.text(QUERY)?) {
        Ok(query) => return Some(query),
        Err(fault) => fault,
    };
    let hint = fault
        .variable
        .then(|| format!("write out what it stands for, such as `[{}]`", Seconds::minutes(1)));
    entry.fault(format!("{}: {}, expected {QUERY}", entry.found(), fault.what), hint);
    None
}
