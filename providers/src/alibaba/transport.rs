//! Sends signed requests and hands back what came: one attempt, except where the server only
//! disliked our clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fleet::{Fault, FaultKind, Region, Timestamp};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Response, StatusCode, Url};

use super::endpoint::Product;
use super::fault::Refusal;
use super::params::Params;
use super::settings::Settings;
use super::sign::{Keys, Once, Request, Signed};
use crate::Now;
use crate::body::{self, BODY_BYTES_MAX};
use crate::call::Call;
use crate::http::{first_words, unanswered};

/// How we are called in ActionTrail.
const USER_AGENT: &str = concat!("neap/", env!("CARGO_PKG_VERSION"));
/// Bytes of a nonce: as many as a UUID has.
const NONCE_BYTES: usize = 16;

/// Why there is no request to send.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error("the endpoint `{text}` is no URL: {error}")]
    Endpoint { text: String, error: url::ParseError },
    #[error("no randomness for a nonce: {0}")]
    Nonce(getrandom::Error),
}

impl Call {
    /// The endpoint is the configuration's; randomness may be there the next time.
    fn unmade(self, why: &Unmade) -> Fault {
        let kind = match why {
            Unmade::Endpoint { .. } => FaultKind::Refused,
            Unmade::Nonce(_) => FaultKind::Unreachable,
        };
        self.fault(kind, why)
    }
}

/// The way to all endpoints.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// For the instance's own metadata service, which no proxy can reach.
    direct: reqwest::Client,
    settings: Arc<Settings>,
    now: Arc<dyn Now>,
    /// Seconds that the servers' clock is ahead of ours, as they last said when they complained.
    skew: AtomicI64,
}

impl Transport {
    pub(super) fn new(settings: Arc<Settings>, now: Arc<dyn Now>) -> Transport {
        let client = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(settings.timeouts.connect)
                .redirect(reqwest::redirect::Policy::none())
        };
        let http = client().build().expect("the TLS library starts");
        let direct = client().no_proxy().build().expect("the TLS library starts");
        Transport { http, direct, settings, now, skew: AtomicI64::new(0) }
    }

    /// The time as the servers have it.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.now.now().0.saturating_add(self.skew.load(Ordering::Relaxed)))
    }

    /// Scheme and authority of a product in a region.
    fn base(&self, call: Call, product: Product, region: &Region) -> Result<Url, Fault> {
        let text = match &self.settings.endpoint_url {
            Some(url) => url.clone(),
            None => format!("https://{}", product.host(region, self.settings.network)),
        };
        Url::parse(&text).map_err(|error| call.unmade(&Unmade::Endpoint { text, error }))
    }

    /// One signed call. A clock that is off is corrected from the server's own, once.
    pub(super) async fn rpc(
        &self,
        call: Call,
        (product, region): (Product, &Region),
        params: &Params,
        keys: &Keys,
        timeout: Duration,
    ) -> Result<Vec<u8>, Fault> {
        let base = self.base(call, product, region)?;
        let pairs = params.clone().into_pairs();
        let mut corrected = false;
        loop {
            let nonce = nonce().map_err(|error| call.unmade(&Unmade::Nonce(error)))?;
            let once = Once { date: self.now(), nonce: &nonce, user_agent: USER_AGENT };
            let request =
                Request::rpc(&authority(&base), product.version(), call.operation, pairs.clone());
            let response = self.send(&base, request.sign(keys, once), timeout).await;
            let response = response.map_err(|error| unanswered(call, &error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = whole(call, response).await?;
            if status.is_success() {
                return Ok(body);
            }
            let refusal = Refusal::read(status, &headers, &body);
            let told = date_in(&headers).filter(|_| refusal.is_of_clock() && !corrected);
            let Some(theirs) = told else { return Err(refusal.fault(call)) };
            self.skew.store(theirs.0 - self.now.now().0, Ordering::Relaxed);
            corrected = true;
        }
    }

    async fn send(
        &self,
        base: &Url,
        signed: Signed,
        timeout: Duration,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}://{}{}", base.scheme(), authority(base), signed.target);
        let method = reqwest::Method::from_bytes(signed.method.as_bytes()).unwrap_or_default();
        let mut request = self.http.request(method, url).timeout(timeout).body(signed.body);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        request.send().await
    }

    /// An unsigned call to STS: what proves who we are is among the parameters.
    pub(super) async fn unsigned(
        &self,
        call: Call,
        region: &Region,
        target: &str,
        timeout: Duration,
    ) -> Result<Vec<u8>, Fault> {
        let base = self.base(call, Product::Sts, region)?;
        let url = format!("{}://{}{target}", base.scheme(), authority(&base));
        let sent = self.http.get(url).timeout(timeout).send().await;
        answered(call, sent.map_err(|error| unanswered(call, &error))?).await
    }

    /// A call to the instance's metadata service.
    pub(super) async fn metadata(
        &self,
        call: Call,
        method: reqwest::Method,
        path: &str,
        header: Option<(&'static str, String)>,
        timeout: Duration,
    ) -> Result<String, Fault> {
        let url = format!("{}{path}", self.settings.metadata_url);
        let mut request = self.direct.request(method, url).timeout(timeout);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let sent = request.send().await.map_err(|error| unanswered(call, &error))?;
        let body = answered(call, sent).await?;
        String::from_utf8(body).map_err(|error| {
            let words = first_words(error.as_bytes());
            call.fault(FaultKind::Unreadable, format!("not text: {words}"))
        })
    }
}

async fn answered(call: Call, response: Response) -> Result<Vec<u8>, Fault> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = whole(call, response).await?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    Err(Refusal::read(status, &headers, &body).fault(call))
}

async fn whole(call: Call, response: Response) -> Result<Vec<u8>, Fault> {
    body::read(call, response, BODY_BYTES_MAX, |error| unanswered(call, &error)).await
}

/// Host, and port where it is not the scheme's own.
fn authority(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn date_in(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok().map(Timestamp)
}

fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
