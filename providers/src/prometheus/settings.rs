//! What the operator says about a store: where it is, and how one proves who one is.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fleet::ProviderName;
use serde::{Serialize, Serializer};
use url::Url;

use crate::Timeouts;

pub use fleet::metric::PROMQL as NAMESPACE;
pub use fleet::names::NOWHERE;

/// Calls under way at the same time.
const CALLS_AT_ONCE: usize = 8;

/// Everything a [`super::Prometheus`] is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    pub provider: ProviderName,
    /// Where the store answers.
    pub endpoint: Endpoint,
    /// What is sent with every request.
    pub credential: Option<Credential>,
    /// What proves who we are while the connection is made.
    pub client_certificate: Option<ClientCertificate>,
    /// The certificates that the store's own must come from, instead of those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// Whose samples, where a store has several tenants.
    pub tenant: Option<String>,
    /// How long a single call may take.
    pub timeouts: Timeouts,
    /// Calls under way at the same time.
    pub calls_at_once: usize,
}

impl Settings {
    /// A store that asks for nothing, with the documented defaults.
    pub fn new(provider: ProviderName, endpoint: Endpoint) -> Settings {
        Settings {
            provider,
            endpoint,
            credential: None,
            client_certificate: None,
            ca_file: None,
            tenant: None,
            timeouts: Timeouts::default(),
            calls_at_once: CALLS_AT_ONCE,
        }
    }
}

/// What is sent with every request; the secret is in a file, which is read for every reading of
/// samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The file that holds the password.
        password_file: PathBuf,
    },
    /// A token.
    Bearer {
        /// The file that holds it.
        token_file: PathBuf,
    },
}

impl Credential {
    /// The file that holds the secret.
    pub(super) fn file(&self) -> &Path {
        match self {
            Credential::Basic { password_file, .. } => password_file,
            Credential::Bearer { token_file } => token_file,
        }
    }
}

/// A certificate and its key, both in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file that holds the certificate, and those between it and the one that is trusted.
    pub certificate_file: PathBuf,
    /// The file that holds its key.
    pub key_file: PathBuf,
}

/// Where a store answers: what stands before `/api/v1/query_range`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no endpoint. It never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEndpoint {
    /// Not a URL of a host.
    #[error("no address")]
    NoAddress,
    /// Neither `http` nor `https`.
    #[error("an address of another scheme")]
    Scheme,
    /// A name or a password stands in it.
    #[error("an address with a user or a password in it")]
    Credential,
    /// There is a `?` or a `#` in it.
    #[error("an address with more behind its path")]
    Query,
}

impl Endpoint {
    /// Reads an address such as `https://mimir.example.com/prometheus`.
    ///
    /// # Errors
    /// Where it is none, or says more than where.
    pub fn parse(text: &str) -> Result<Endpoint, NotAnEndpoint> {
        let sound = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let url = Url::parse(text).ok().filter(|_| sound).ok_or(NotAnEndpoint::NoAddress)?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(NotAnEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAnEndpoint::Credential);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NotAnEndpoint::Query);
        }
        Ok(Endpoint(url))
    }

    /// Whether nobody on the way can read what is sent.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The address of one of its APIs.
    pub(super) fn api(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_says_where_and_nothing_else() {
        let read = |text| Endpoint::parse(text).map(|endpoint| endpoint.to_string());
        for sound in
            ["https://prom.example.com", "http://127.0.0.1:9090", "https://m.eu/prometheus"]
        {
            assert_eq!(read(sound).as_deref(), Ok(sound));
        }
        assert_eq!(read("https://m.eu/prometheus/").as_deref(), Ok("https://m.eu/prometheus"));
        for (text, why) in [
            ("", NotAnEndpoint::NoAddress),
            ("prom.example.com", NotAnEndpoint::NoAddress),
            ("https://", NotAnEndpoint::NoAddress),
            ("https://a b", NotAnEndpoint::NoAddress),
            ("localhost:9090", NotAnEndpoint::Scheme),
            ("unix:/run/prom", NotAnEndpoint::Scheme),
            ("https://neap:secret@prom.example.com", NotAnEndpoint::Credential),
            ("https://prom.example.com/?tenant=a", NotAnEndpoint::Query),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn apis_lie_below_the_path() {
        let api = |text| Endpoint::parse(text).unwrap().api("/api/v1/query_range").to_string();
        assert_eq!(api("http://[::1]:9090"), "http://[::1]:9090/api/v1/query_range");
        assert_eq!(api("https://m.eu/a/"), "https://m.eu/a/api/v1/query_range");
    }

    #[test]
    fn local_is_this_machine_alone() {
        let is_local = |text| Endpoint::parse(text).unwrap().is_local();
        for local in ["http://localhost:9090", "http://127.1.2.3", "http://[::1]:9090"] {
            assert!(is_local(local), "{local}");
        }
        for other in
            ["http://localhost.example.com", "http://127.0.0.1.example.com", "http://10.1.1.1"]
        {
            assert!(!is_local(other), "{other}");
        }
    }
}
