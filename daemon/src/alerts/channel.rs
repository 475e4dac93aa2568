//! One channel: words an alert, sends it once, and says what the answer means.

use std::fmt;
use std::time::Duration;

use planner::alert::{Alert, Severity};
use providers::Now;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::Options;
use super::address::Address;
use super::body;
use crate::clock::System;
use crate::config::{AlertChannel, ConfigFault, Message, SecretFile};

/// How receivers see us.
const USER_AGENT: &str = concat!("neap/", env!("CARGO_PKG_VERSION"));
/// The header by which a receiver knows a repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A channel that is ready to send.
pub struct Channel {
    name: String,
    min_severity: Severity,
    message: Message,
    salt: Option<SecretString>,
    address: Address,
    bearer: Option<HeaderValue>,
    http: Client,
    timeout: Duration,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of an attempt. The words never hold the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it.
    Taken {
        /// The status it answered with.
        status: u16,
    },
    /// The receiver will never take it, however often it is sent.
    Refused {
        /// The status it answered with; `None` where nothing was sent.
        status: Option<u16>,
        /// Why.
        why: String,
    },
    /// The receiver did not take it this time.
    Later {
        /// The status it answered with; `None` where no answer came.
        status: Option<u16>,
        /// Why.
        why: String,
        /// How long it asks to be left alone.
        rest: Option<Duration>,
    },
}

impl Channel {
    /// Reads the secrets that a channel needs.
    ///
    /// # Errors
    /// Every one that cannot be read or is not what it should be.
    pub fn open(config: &AlertChannel, options: Options) -> Result<Channel, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let address = Address::read(&config.url).map_err(|fault| faults.push(fault)).ok();
        let bearer = config.bearer.as_ref().map(authorization).transpose();
        let bearer = bearer.map_err(|fault| faults.push(fault)).ok();
        let salt = config.message.salt.as_ref().map(SecretFile::read).transpose();
        let salt = salt.map_err(|fault| faults.push(fault)).ok();
        let (Some(address), Some(bearer), Some(salt)) = (address, bearer, salt) else {
            return Err(faults);
        };
        Ok(Channel {
            name: config.name.clone(),
            min_severity: config.min_severity,
            message: config.message.clone(),
            salt,
            http: client(address.local, options.timeout),
            address,
            bearer,
            timeout: options.timeout,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Alerts that are less bad are not for it.
    pub fn min_severity(&self) -> Severity {
        self.min_severity
    }

    /// Sends an alert once. A receiver knows repeats of it by `id`.
    pub async fn send(&self, id: &str, alert: &Alert) -> Answer {
        let salt = self.salt.as_ref().map_or("", |salt| salt.expose_secret());
        let body = match body::body(&self.message, salt.as_bytes(), id, alert) {
            Ok(body) => body,
            Err(fault) => return Answer::Refused { status: None, why: fault.what },
        };
        let mut request = self
            .http
            .post(self.address.expose())
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, id)
            .body(body);
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        match request.send().await {
            Ok(response) => meaning(response.status(), response.headers()),
            Err(error) => {
                let why = self.unanswered(&error.without_url());
                Answer::Later { status: None, why, rest: None }
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

fn meaning(status: StatusCode, headers: &HeaderMap) -> Answer {
    let code = status.as_u16();
    if status.is_success() {
        return Answer::Taken { status: code };
    }
    let status = Some(code);
    let why = match code {
        300..=399 => format!("it answers {code}, and redirects are not followed"),
        _ => format!("it answers {code}"),
    };
    match code {
        408 | 425 | 429 | 500.. => {
            Answer::Later { status, why, rest: headers.get(RETRY_AFTER).and_then(rest) }
        }
        _ => Answer::Refused { status, why },
    }
}

/// How long a receiver asks to be left alone: seconds, or until a moment.
fn rest(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let until = until.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    // A receiver's clock is the world's, not a simulation's.
    let now = u64::try_from(System.now().0).ok()?;
    Some(Duration::from_secs(until.saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_taken_later_or_never() {
        let told = |code: u16, after: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, after.parse().unwrap());
            }
            match meaning(StatusCode::from_u16(code).unwrap(), &headers) {
                Answer::Taken { status } => format!("{status} taken"),
                Answer::Refused { why, .. } => format!("never, {why}"),
                Answer::Later { why, rest, .. } => format!("later, {why}, {rest:?}"),
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
        let mut far = HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(rest(&far).unwrap() > Duration::from_secs(1_000_000_000));
        far = HeaderValue::from_static("-5");
        assert_eq!(rest(&far), None);
    }
}
