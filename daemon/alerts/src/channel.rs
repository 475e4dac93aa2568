//! One channel: words an alert, sends it once, and says what the answer means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use config::{AlertChannel, AlertLanguage, ConfigFault, QuietHours, Rate, SecretFile};
use fleet::alert::Severity;
use fleet::{Now, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::Options;
use super::address::Address;
use super::kinds::{self, Letter, Request, Secrets};

/// How receivers see us.
const USER_AGENT: &str = concat!("neap/", env!("CARGO_PKG_VERSION"));
/// The header by which a receiver knows a repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Bytes of an answer that are read: a code stands at its beginning.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A channel that is ready to send.
pub struct Channel {
    config: AlertChannel,
    salt: Option<SecretString>,
    /// What messages are signed with, or PagerDuty's routing key.
    key: Option<SecretString>,
    address: Address,
    bearer: Option<HeaderValue>,
    http: Client,
    timeout: Duration,
    /// The world's clock, which receivers and signatures go by whatever a simulation's shows.
    world: Arc<dyn Now>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// An attempt, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which of the letters the message told, by place.
    pub told: Vec<usize>,
    /// What the receiver made of it.
    pub answer: Receipt,
}

/// What became of an attempt. The words never hold the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver has it.
    Taken {
        /// The status it answered with.
        status: u16,
    },
    /// The receiver will never take it, however often it is sent.
    Refused {
        /// The status it answered with; `None` where nothing was sent.
        status: Option<u16>,
        why: String,
    },
    /// The receiver did not take it this time.
    Later {
        /// The status it answered with; `None` where no answer came.
        status: Option<u16>,
        why: String,
        /// How long it asks to be left alone.
        rest: Option<Duration>,
    },
}

impl Channel {
    /// Reads the secrets that a channel needs. `world` is the receivers' clock, never a simulation's.
    ///
    /// # Errors
    /// Every one that cannot be read or is not what it should be.
    pub fn open(
        config: &AlertChannel,
        options: Options,
        world: Arc<dyn Now>,
    ) -> Result<Channel, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let address = match &config.url {
            Some(url) => Address::read(url).map_err(|fault| faults.push(fault)).ok(),
            None => Some(Address::known(kinds::PAGERDUTY)),
        };
        if let (Some(url), Some(Address { local: false, .. })) = (&config.url, &address)
            && !cfg!(feature = "tls")
        {
            let hint = "build neap with its feature `tls`, as `cargo build --release` does";
            faults.push(url.fault(
                "holds an address elsewhere, and this neap has no TLS",
                Some(hint.to_owned()),
            ));
        }
        let bearer = config.bearer.as_ref().map(authorization).transpose();
        let bearer = bearer.map_err(|fault| faults.push(fault)).ok();
        let salt = config.message.salt.as_ref().map(SecretFile::read).transpose();
        let salt = salt.map_err(|fault| faults.push(fault)).ok();
        let key = config.secret.as_ref().map(key).transpose();
        let key = key.map_err(|fault| faults.push(fault)).ok();
        let (Some(address), Some(bearer), Some(salt), Some(key)) = (address, bearer, salt, key)
        else {
            return Err(faults);
        };
        Ok(Channel {
            config: config.clone(),
            salt,
            key,
            http: client(address.local, options.timeout),
            address,
            bearer,
            timeout: options.timeout,
            world,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Alerts that are less bad are not for it.
    pub fn min_severity(&self) -> Severity {
        self.config.min_severity
    }

    /// The language that it is told in.
    pub(super) fn language(&self) -> AlertLanguage {
        self.config.language
    }

    /// How many messages it takes, where that is limited.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.config.rate
    }

    /// When it is not to be disturbed.
    pub(super) fn quiet_hours(&self) -> Option<&QuietHours> {
        self.config.quiet_hours.as_ref()
    }

    /// Whether a message may tell several alerts.
    pub(super) fn groups(&self) -> bool {
        kinds::groups(self.config.kind)
    }

    /// Whether messages must not overtake each other.
    pub(super) fn in_order(&self) -> bool {
        kinds::in_order(self.config.kind)
    }

    /// Sends one message that tells as many of `letters` as one of this kind holds, from the first
    /// on. There must be one.
    pub async fn send(&self, letters: &[Letter<'_>]) -> Sent {
        let salt = self.salt.as_ref().map_or("", |salt| salt.expose_secret());
        let key = self.key.as_ref().map(|key| key.expose_secret());
        let secrets = Secrets { salt: salt.as_bytes(), key };
        // A signature is of the receiver's time.
        match kinds::request(&self.config, &secrets, letters, self.world.now()) {
            Ok(request) => {
                let id = id_of(letters, &request.told);
                let answer = self.post(&request, &id).await;
                Sent { told: request.told, answer }
            }
            Err(fault) => {
                let answer = Receipt::Refused { status: None, why: fault.what };
                Sent { told: vec![0], answer }
            }
        }
    }

    async fn post(&self, request: &Request, id: &str) -> Receipt {
        let mut post = self
            .http
            .post(self.address.with(request.query.as_deref()))
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, id)
            .body(request.body.clone());
        if let Some(bearer) = &self.bearer {
            post = post.header(AUTHORIZATION, bearer);
        }
        match post.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let after = response.headers().get(RETRY_AFTER);
                let rest = after.and_then(|after| rest(after, self.world.now()));
                let reads = kinds::reads_answers(self.config.kind);
                let body = if reads { text(response).await } else { String::new() };
                kinds::answer(self.config.kind, status, rest, &body)
            }
            Err(error) => {
                let why = self.unanswered(&error.without_url());
                Receipt::Later { status: None, why, rest: None }
            }
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {:?}", self.timeout);
        }
        let what = if error.is_connect() { "no connection" } else { "no answer" };
        let mut words = vec![what.to_owned()];
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            // Certificates and resolvers name hosts.
            words.push(self.address.scrub(&inner.to_string()));
            cause = inner.source();
        }
        words.join(": ")
    }
}

/// The key by which a receiver knows a repeat: the alert's own, or for several one of all.
fn id_of(letters: &[Letter<'_>], told: &[usize]) -> String {
    let ids: Vec<&str> = told.iter().map(|place| letters[*place].id.as_str()).collect();
    match ids.as_slice() {
        [id] => (*id).to_owned(),
        ids => hex::encode(&Sha256::digest(ids.join("\n"))[..16]),
    }
}

/// The beginning of what was answered; as much of it as came in time.
async fn text(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A secret that messages are signed with, or that says whose they are.
fn key(file: &SecretFile) -> Result<SecretString, ConfigFault> {
    let key = file.read()?;
    if key.expose_secret().contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(file.fault("holds more than one word, expected a secret in one line", None));
    }
    Ok(key)
}

/// A token as a header that no debug output shows.
fn authorization(file: &SecretFile) -> Result<HeaderValue, ConfigFault> {
    let token = file.read()?;
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| {
        file.fault("holds what no header can carry, expected a token in one line of ASCII", None)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Follows no redirect: an alert goes where the operator sent it, and nowhere else.
fn client(local: bool, timeout: Duration) -> Client {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!local);
    // What is on this machine no proxy reaches.
    let builder = if local { builder.no_proxy() } else { builder };
    builder.build().expect("the TLS library starts")
}

/// How long from `now` on a receiver asks to be left alone: seconds, or until a moment.
fn rest(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let until = until.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let now = u64::try_from(now.0).ok()?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02T00:00:00Z.
    const NOW: Timestamp = Timestamp(1_772_409_600);

    #[test]
    fn an_answer_means_taken_later_or_never() {
        let told = |code: u16, after: Option<&str>| {
            let rest = after.and_then(|after| rest(&after.parse().unwrap(), NOW));
            match kinds::meaning(code, rest) {
                Receipt::Taken { status } => format!("{status} taken"),
                Receipt::Refused { why, .. } => format!("never, {why}"),
                Receipt::Later { why, rest, .. } => format!("later, {why}, {rest:?}"),
            }
        };
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        insta::assert_snapshot!([
            told(200, None),
            told(202, None),
            told(302, None),
            told(400, Some("5")),
            told(404, None),
            told(408, None),
            told(425, None),
            told(429, Some("7")),
            told(500, Some("soon")),
            told(503, Some(past)),
        ].join("\n"), @r#"
        200 taken
        202 taken
        never, it answers 302, and redirects are not followed
        never, it answers 400
        never, it answers 404
        later, it answers 408, None
        later, it answers 425, None
        later, it answers 429, Some(7s)
        later, it answers 500, None
        later, it answers 503, Some(0ns)
        "#);
        let soon = HeaderValue::from_static("Mon, 02 Mar 2026 00:01:30 GMT");
        assert_eq!(rest(&soon, NOW), Some(Duration::from_secs(90)));
        let far = HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(rest(&far, NOW).unwrap() > Duration::from_secs(1_000_000_000));
        assert_eq!(rest(&HeaderValue::from_static("-5"), NOW), None);
    }
}
