//! `[trace]`: where traces are sent.

use planner::policy::Share;
use serde::Serialize;
use url::{Host, Url};

use super::keys::root::{top, trace as known};
use super::reader::{Entry, Table};
use super::secret::SecretFile;

/// Where traces are sent, by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The receiver's address for traces, whole.
    pub endpoint: String,
    /// The file of headers that go along, such as a token.
    pub headers: Option<SecretFile>,
    /// The share of cycles that are traced.
    pub sample: Share,
}

const ENDPOINT: &str = "an address such as `\"http://127.0.0.1:4318/v1/traces\"`";

/// Reads `[trace]`.
pub(super) fn trace(root: &Table<'_>) -> Option<Trace> {
    let table = root.get(&top::TRACE).and_then(|entry| entry.table())?;
    let endpoint = table.required(&known::ENDPOINT, ENDPOINT).and_then(|entry| endpoint(&entry));
    let headers = match table.get(&known::HEADERS_FILE) {
        Some(entry) => entry.secret_file("headers").map(Some),
        None => Some(None),
    };
    if let (Some(endpoint), Some(entry)) = (&endpoint, table.get(&known::HEADERS_FILE))
        && is_open_to_the_way(endpoint)
    {
        let message = format!(
            "{} goes to `{endpoint}`, which is not encrypted, and everybody on the way could read \
             the headers; expected `https://`",
            entry.found()
        );
        let hint = "`http://` with headers is for a receiver on this machine alone".to_owned();
        entry.fault(message, Some(hint));
    }
    let sample = table.get(&known::SAMPLE).map_or(Some(Share::ALL), |entry| entry.share());
    table.finish();
    Some(Trace { endpoint: endpoint?, headers: headers?, sample: sample? })
}

/// Whether what is sent can be read between here and there.
fn is_open_to_the_way(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

/// An address without anything secret: whoever reads the configuration sees it.
fn endpoint(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text(ENDPOINT)?;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url.filter(|_| !text.contains(char::is_whitespace)) else {
        entry.unexpected(ENDPOINT, None);
        return None;
    };
    let keyed = url.query().is_some() || url.fragment().is_some();
    if keyed || !url.username().is_empty() || url.password().is_some() {
        let hint = "`headers_file` names a file of headers, such as `authorization: Bearer …`";
        let key = entry.key();
        // What may be a secret is not repeated.
        entry.fault(
            format!("`{key}` holds a user, a query or a fragment, expected {ENDPOINT}"),
            Some(hint.to_owned()),
        );
        return None;
    }
    if url.path() == "/" {
        let hint = format!("receivers take traces at `{}`", with_path(&url));
        entry.unexpected("an address with its path", Some(hint));
        return None;
    }
    Some(text.to_owned())
}

fn with_path(url: &Url) -> String {
    let mut whole = url.clone();
    whole.set_path("/v1/traces");
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_encrypted_or_nowhere_else() {
        for (endpoint, open) in [
            ("http://collector.example.com:4318/v1/traces", true),
            ("HTTP://10.0.0.7/v1/traces", true),
            ("http://localhost.example.com/v1/traces", true),
            ("http://127.0.0.1.example.com/v1/traces", true),
            ("http://[2001:db8::1]:4318/v1/traces", true),
            ("http://0.0.0.0:4318/v1/traces", true),
            ("http://[::ffff:10.0.0.7]/v1/traces", true),
            ("https://collector.example.com/v1/traces", false),
            ("http://127.0.0.1:4318/v1/traces", false),
            ("http://127.8.9.1/v1/traces", false),
            ("http://2130706433/v1/traces", false),
            ("http://localhost:4318/v1/traces", false),
            ("http://LOCALHOST./v1/traces", false),
            ("http://[::1]:4318/v1/traces", false),
            ("http://[::ffff:127.0.0.1]/v1/traces", false),
        ] {
            assert_eq!(is_open_to_the_way(endpoint), open, "{endpoint}");
            let told = |headers: &str| {
                let table = format!("[trace]\nendpoint = \"{endpoint}\"\n{headers}");
                let faults = crate::tests_parse(&table).err().unwrap_or_default();
                faults.iter().filter(|fault| fault.key == "trace.headers_file").count()
            };
            assert_eq!(told("headers_file = \"h\""), usize::from(open), "{endpoint}");
            assert_eq!(told(""), 0, "{endpoint}");
        }
    }
}
