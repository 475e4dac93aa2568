//! `[page]`: where the review page listens, and who may see and do what there.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::Serialize;

use super::keys::page::{page as known, proxy as of_proxy, token as of_token};
use super::keys::root::top;
use super::reader::{Entry, Table};
use super::secret::SecretFile;

/// The review page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    pub listen: SocketAddr,
    /// Names it may be asked by, besides its address and `localhost`.
    pub hosts: Vec<String>,
    /// Its certificate; without one it listens on a loopback address alone.
    pub tls: Option<Tls>,
    /// Who may look without saying who they are.
    pub viewing: Viewing,
    /// Who may do what, by what they show.
    pub tokens: Vec<PageToken>,
    /// A proxy in front that says who somebody is.
    pub proxy: Option<IdentityProxy>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The chain, in PEM.
    pub certificate: SecretFile,
    /// The private key, in PEM.
    pub key: SecretFile,
}

/// Who may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Viewing {
    /// Whoever reaches the page.
    Open,
    /// Whoever has a token, or comes with a name from the proxy.
    Token,
}

/// What somebody may do; approving takes in viewing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See everything.
    View,
    /// Agree, refuse, exempt, promote, demote.
    Approve,
}

impl Right {
    const ALL: [(&str, Right); 2] = [("view", Right::View), ("approve", Right::Approve)];
}

/// A token: whoever shows it is taken for the one it is named after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageToken {
    /// Whose it is, as the journal writes it down.
    pub name: String,
    /// What it gives.
    pub right: Right,
    pub file: SecretFile,
}

/// A reverse proxy that has people sign in, and tells their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityProxy {
    /// The header with the name, in lower case.
    pub header: String,
    /// What the proxy shows in `x-neap-proxy-secret`, so that nobody else can name anybody.
    pub secret: SecretFile,
    /// The names that may approve; all others may look.
    pub approvers: BTreeSet<String>,
}

/// Reads `[page]`.
pub(super) fn page(root: &Table<'_>) -> Option<Page> {
    let table = root.get(&top::PAGE).and_then(|entry| entry.table())?;
    let expected = "an address such as `\"127.0.0.1:7317\"`";
    let entry = table.required(&known::LISTEN, expected);
    let listen =
        entry.as_ref().and_then(|e| e.parsed(|text| text.parse::<SocketAddr>().ok(), expected));
    let tls = tls(&table);
    let near = listen.is_none_or(|address| address.ip().is_loopback());
    if let (Some(entry), false, None) = (&entry, near, &tls) {
        let hint = "`certificate_file` and `key_file` name a certificate; on a loopback address \
                    a reverse proxy can bring its own";
        entry.unexpected("a loopback address, as there is no certificate", Some(hint.to_owned()));
    }
    let viewing = table
        .get(&known::VIEWING)
        .and_then(|entry| entry.choice(&[("open", Viewing::Open), ("token", Viewing::Token)]))
        .unwrap_or(if near { Viewing::Open } else { Viewing::Token });
    let hosts = table.get(&known::HOSTS).map_or_else(Vec::new, |entry| hosts(&entry));
    let tokens = tokens(&table);
    let proxy = table.get(&known::PROXY).and_then(|entry| proxy(&entry));
    table.finish();
    Some(Page { listen: listen?, hosts, tls, viewing, tokens, proxy })
}

fn tls(table: &Table<'_>) -> Option<Tls> {
    let (certificate, key) = (table.get(&known::CERTIFICATE_FILE), table.get(&known::KEY_FILE));
    let together = "a certificate and its key, together";
    match (&certificate, &key) {
        (Some(_), None) => table.missing(&known::KEY_FILE, together, None),
        (None, Some(_)) => table.missing(&known::CERTIFICATE_FILE, together, None),
        _ => {}
    }
    let certificate = certificate.and_then(|entry| entry.secret_file("certificate"));
    let key = key.and_then(|entry| entry.secret_file("private key"));
    Some(Tls { certificate: certificate?, key: key? })
}

fn hosts(entry: &Entry<'_>) -> Vec<String> {
    let expected = "a host's name such as `\"neap.example.com\"`";
    let read = |member: &Entry<'_>| {
        let is_host =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c));
        member.parsed(|text| is_host(text).then(|| text.to_ascii_lowercase()), expected)
    };
    entry.list(&format!("a list of names, each {expected}")).iter().filter_map(read).collect()
}

fn tokens(table: &Table<'_>) -> Vec<PageToken> {
    let Some(entry) = table.get(&known::TOKEN) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let read = |table: &Table<'_>| {
        let name = person(&table.required(&of_token::NAME, PERSON)?)?;
        if !names.insert(name.clone()) {
            table.fault(format!("`{name}` is there twice, expected once"), None);
        }
        let right = table.required(&of_token::RIGHT, "`view` or `approve`")?.choice(&Right::ALL);
        let file =
            table.required(&of_token::TOKEN_FILE, "the path of a file that holds the token")?;
        let file = file.secret_file("token");
        table.finish();
        Some(PageToken { name, right: right?, file: file? })
    };
    entry.tables().iter().filter_map(read).collect()
}

const PERSON: &str = "a name such as `\"li.wei\"`";

/// Who somebody is stands in the journal and in alerts.
fn person(entry: &Entry<'_>) -> Option<String> {
    entry.parsed(|text| is_name(text).then(|| text.to_owned()), PERSON)
}

/// Whether a text can stand for a person wherever people are named.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.@+ ".contains(c);
    (1..=64).contains(&text.chars().count()) && text.chars().all(plain) && text.trim() == text
}

fn proxy(entry: &Entry<'_>) -> Option<IdentityProxy> {
    let table = entry.table()?;
    let expected = "a header's name such as `\"x-forwarded-user\"`";
    let is_header = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let header = table.required(&of_proxy::HEADER, expected).and_then(|entry| {
        entry.parsed(|text| is_header(text).then(|| text.to_ascii_lowercase()), expected)
    });
    let secret = table
        .required(&of_proxy::SECRET_FILE, "the path of a file that holds the proxy's secret")
        .and_then(|entry| entry.secret_file("proxy's secret"));
    let approvers = table.get(&of_proxy::APPROVERS).map_or_else(BTreeSet::new, |entry| {
        entry.list("a list of names").iter().filter_map(person).collect()
    });
    table.finish();
    Some(IdentityProxy { header: header?, secret: secret?, approvers })
}
