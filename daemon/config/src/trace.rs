//! `[trace]`: where traces are sent.

use planner::policy::Share;
use serde::Serialize;
use url::Url;

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
    let sample = table.get(&known::SAMPLE).map_or(Some(Share::ALL), |entry| entry.share());
    table.finish();
    Some(Trace { endpoint: endpoint?, headers: headers?, sample: sample? })
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
