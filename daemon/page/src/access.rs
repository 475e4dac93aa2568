//! Who somebody is, and what they may do: tokens, sessions, a proxy's word, hosts and origins.
//!
//! Nothing that is shown here is ever repeated: tokens are kept as hashes, and compared so that
//! time tells nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, header};
use blake3::Hash;
use secrecy::ExposeSecret;

use config::{self, ConfigFault, Right, SecretFile, Viewing};

use super::place::{Origin, Place};

/// Shorter ones can be guessed.
const TOKEN_CHARS_MIN: usize = 20;
/// How long somebody who signed in stays so.
const SESSION_LASTS: Duration = Duration::from_secs(12 * 3600);
/// Sessions kept; the oldest goes first.
const SESSIONS_MAX: usize = 1000;
/// The cookie of a session.
const COOKIE: &str = "neap_session";
/// Where a proxy shows that it is the one.
const PROXY_SECRET: HeaderName = HeaderName::from_static("x-neap-proxy-secret");

/// Somebody who may look, at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who, as it is written down; `None` where looking takes no name.
    pub name: Option<String>,
    /// What they may do.
    pub right: Right,
}

impl Caller {
    /// The name of somebody who may approve.
    pub fn approver(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.right == Right::Approve)
    }
}

/// Why nobody knows who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// It stands in this header more than once: one may be a visitor's, and one a proxy's.
    Twice(HeaderName),
    /// What the proxy says in this header is not one name.
    NoName(HeaderName),
}

/// Tells who may do what.
#[derive(Debug)]
pub struct Access {
    hosts: BTreeSet<String>,
    viewing: Viewing,
    tokens: Vec<Token>,
    proxy: Option<Proxy>,
    tls: bool,
    sessions: Mutex<BTreeMap<[u8; 32], Session>>,
}

#[derive(Debug)]
struct Token {
    hash: Hash,
    caller: Caller,
}

#[derive(Debug)]
struct Proxy {
    header: HeaderName,
    secret: Hash,
    approvers: BTreeSet<String>,
}

#[derive(Debug)]
struct Session {
    /// The token that it began with: it lasts no longer than that is known.
    token: Hash,
    since: Instant,
}

impl Access {
    /// Reads every secret that the configuration names.
    ///
    /// # Errors
    /// Every file that cannot be read, is open to all, or holds what can be guessed.
    pub fn open(page: &config::Page) -> Result<Access, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut keep = |read: Result<Hash, ConfigFault>| read.map_err(|f| faults.push(f)).ok();
        let mut tokens = Vec::new();
        for token in &page.tokens {
            let caller = Caller { name: Some(token.name.clone()), right: token.right };
            tokens.extend(keep(hash(&token.file)).map(|hash| Token { hash, caller }));
        }
        let proxy = page.proxy.as_ref().and_then(|proxy| {
            let secret = keep(hash(&proxy.secret))?;
            // The configuration takes nothing that is no header's name.
            let header = HeaderName::try_from(proxy.header.as_str()).ok()?;
            Some(Proxy { header, secret, approvers: proxy.approvers.clone() })
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let sessions = Mutex::default();
        let (hosts, tls) = (hosts(page), page.tls.is_some());
        Ok(Access { hosts, viewing: page.viewing, tokens, proxy, tls, sessions })
    }

    /// Whether somebody could ever sign in.
    pub fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether the page is reached by TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Who is calling; `None` may not even look.
    ///
    /// # Errors
    /// Where it is said more than once, or not in a name.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Option<Caller>, Unnamed> {
        let mut names = vec![header::AUTHORIZATION];
        names.extend(self.proxy.iter().flat_map(|proxy| [proxy.header.clone(), PROXY_SECRET]));
        for name in names {
            if headers.get_all(&name).into_iter().nth(1).is_some() {
                return Err(Unnamed::Twice(name));
            }
        }
        if let Some(caller) = self.bearer(headers).or_else(|| self.session(headers, now)) {
            return Ok(Some(caller));
        }
        if let Some(caller) = self.named_by_proxy(headers)? {
            return Ok(Some(caller));
        }
        let open = self.viewing == Viewing::Open && !headers.contains_key(header::AUTHORIZATION);
        Ok(open.then_some(Caller { name: None, right: Right::View }))
    }

    fn bearer(&self, headers: &HeaderMap) -> Option<Caller> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        self.known(value.strip_prefix("Bearer ")?).map(|token| token.caller.clone())
    }

    /// Whose token it is. All are compared, whichever fits.
    fn known(&self, token: &str) -> Option<&Token> {
        let shown = blake3::hash(token.trim().as_bytes());
        let mut found = None;
        for token in &self.tokens {
            if token.hash == shown {
                found = Some(token);
            }
        }
        found
    }

    fn named_by_proxy(&self, headers: &HeaderMap) -> Result<Option<Caller>, Unnamed> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        let shown = headers.get(PROXY_SECRET).map(|secret| blake3::hash(secret.as_bytes()));
        let Some(value) = headers.get(&proxy.header).filter(|_| shown == Some(proxy.secret)) else {
            return Ok(None);
        };
        let name = value.to_str().unwrap_or("\0").trim();
        if name.is_empty() {
            // So do some proxies say that nobody has signed in.
            return Ok(None);
        }
        if !config::is_name(name) {
            return Err(Unnamed::NoName(proxy.header.clone()));
        }
        let approves = proxy.approvers.contains(name);
        let right = if approves { Right::Approve } else { Right::View };
        Ok(Some(Caller { name: Some(name.to_owned()), right }))
    }

    fn session(&self, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        let key = session_key(headers)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&key)?;
        if now.duration_since(session.since) > SESSION_LASTS {
            sessions.remove(&key);
            return None;
        }
        let token = session.token;
        self.tokens.iter().find(|known| known.hash == token).map(|known| known.caller.clone())
    }

    /// Goes on with the sessions of what was in force before.
    pub(super) fn go_on_from(&self, before: &Access) {
        let mut earlier = before.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.append(&mut earlier);
    }

    /// Takes a token, and gives a cookie for as long as a working day.
    pub fn sign_in(&self, token: &str, now: Instant) -> Option<(Caller, String)> {
        let Token { hash, caller } = self.known(token)?;
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret).ok()?;
        let key = *blake3::hash(&secret).as_bytes();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.since);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.map(|key| sessions.remove(&key));
        }
        sessions.insert(key, Session { token: *hash, since: now });
        let secure = if self.tls { "; Secure" } else { "" };
        let value = hex::encode(secret);
        let lasts = SESSION_LASTS.as_secs();
        let rules = format!("Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{secure}");
        Some((caller.clone(), format!("{COOKIE}={value}; {rules}")))
    }

    /// Ends a session, and gives a cookie that takes the old one's place.
    pub fn sign_out(&self, headers: &HeaderMap) -> String {
        if let Some(key) = session_key(headers) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// Whether the page goes by the name that it is asked by: a stranger's name that leads to this
    /// address would make a browser hand over what it shows.
    pub(super) fn knows(&self, asked: &Place) -> bool {
        self.hosts.contains(asked.host())
    }

    /// Whether a request that changes something comes from the page itself, or from no browser.
    pub(super) fn is_own_origin(&self, headers: &HeaderMap, asked: &Place) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        let Some(origin) = origins.next() else {
            // Browsers always name the origin of a form; a program shows its token instead.
            return headers.contains_key(header::AUTHORIZATION);
        };
        let origin = origin.to_str().ok().and_then(Origin::read);
        let own = |origin: Origin| {
            // A proxy may have ended TLS before.
            let schemes: &[&str] = if self.tls { &["https"] } else { &["http", "https"] };
            let scheme = origin.scheme.as_str();
            schemes.contains(&scheme) && origin.place.is(asked, scheme)
        };
        origins.next().is_none() && origin.is_some_and(own)
    }
}

fn session_key(headers: &HeaderMap) -> Option<[u8; 32]> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|all| all.split(';')).filter_map(|c| c.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    Some(*blake3::hash(&hex::decode(value).ok()?).as_bytes())
}

/// The names that the page goes by.
fn hosts(page: &config::Page) -> BTreeSet<String> {
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let own = ["localhost".to_owned(), address(page.listen.ip())];
    let named = page.hosts.iter().map(|host| match (host.parse::<IpAddr>(), Place::read(host)) {
        (Ok(ip), _) => address(ip),
        (_, Some(place)) => place.host().to_owned(),
        // Nobody can ask for it.
        (_, None) => host.clone(),
    });
    own.into_iter().chain(named).collect()
}

/// The hash of what is in a file that only those may read who have the right.
fn hash(file: &SecretFile) -> Result<Hash, ConfigFault> {
    use std::os::unix::fs::PermissionsExt;
    let secret = file.read()?;
    let secret = secret.expose_secret();
    if secret.chars().count() < TOKEN_CHARS_MIN {
        let hint = "`openssl rand -hex 32` makes a good one".to_owned();
        let wrong = format!("holds fewer than {TOKEN_CHARS_MIN} characters");
        return Err(file.fault(&wrong, Some(hint)));
    }
    let mode = std::fs::metadata(file.path()).map_or(0, |data| data.permissions().mode());
    if mode & 0o007 != 0 {
        let hint = "`chmod o= FILE`; its group may be the one of those who use it".to_owned();
        return Err(file.fault("can be used by everybody on this machine", Some(hint)));
    }
    Ok(blake3::hash(secret.as_bytes()))
}
