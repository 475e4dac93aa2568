//! A small signed HTTP client for AWS services of which we call one or two operations: RDS, load
//! balancers, the price list, keys.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::identity::Identity;
use fleet::{Fault, FaultKind, Region};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::Document;
use tokio::sync::Mutex;

use super::access::Seat;
use super::endpoint::Endpoints;
use super::xml;
use crate::body::{self, BODY_BYTES_MAX};
use crate::call::Call;
use crate::retry::attempts;
use crate::{Deadline, Timeouts};

/// How we are called in CloudTrail.
const USER_AGENT: &str = concat!("neap/", env!("CARGO_PKG_VERSION"));
/// Keys that tell no end are asked for again after this time, as the SDK does.
const KEYS_AGE: Duration = Duration::from_secs(15 * 60);
/// Keys are not used in their last moments.
const KEYS_SPARE: Duration = Duration::from_secs(30);
/// Pages that one listing may have.
const PAGES_MAX: usize = 1000;
/// What a form leaves as it is. [RFC 3986, "unreserved"]
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A service, as its endpoint and its signature call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Managed databases.
    Rds,
    /// Application, network and gateway load balancers.
    LoadBalancing,
    /// Load balancers of the first generation.
    ClassicLoadBalancing,
    /// The price list.
    Pricing,
    /// Keys that disks are encrypted with.
    Keys,
    /// Users, roles and what their policies allow.
    Identity,
    /// Limits of accounts.
    Quotas,
}

impl Service {
    /// Every service.
    pub(super) const ALL: [Service; 7] = [
        Service::Rds,
        Service::LoadBalancing,
        Service::ClassicLoadBalancing,
        Service::Pricing,
        Service::Keys,
        Service::Identity,
        Service::Quotas,
    ];

    /// Its id, by which an operator sets its endpoint. [AWS SDKs and Tools, "Service-specific endpoints"]
    pub(super) fn id(self) -> &'static str {
        match self {
            Service::Rds => "RDS",
            Service::LoadBalancing => "Elastic Load Balancing v2",
            Service::ClassicLoadBalancing => "Elastic Load Balancing",
            Service::Pricing => "Pricing",
            Service::Keys => "KMS",
            Service::Identity => "IAM",
            Service::Quotas => "Service Quotas",
        }
    }

    /// How its hosts begin.
    pub(super) fn host(self) -> &'static str {
        match self {
            Service::Pricing => "api.pricing",
            other => other.name(),
        }
    }

    /// Its name in signatures.
    fn name(self) -> &'static str {
        match self {
            Service::Rds => "rds",
            Service::LoadBalancing | Service::ClassicLoadBalancing => "elasticloadbalancing",
            Service::Pricing => "pricing",
            Service::Keys => "kms",
            Service::Identity => "iam",
            Service::Quotas => "servicequotas",
        }
    }

    /// The version of its API.
    fn version(self) -> &'static str {
        match self {
            Service::Rds => "2014-10-31",
            Service::LoadBalancing => "2015-12-01",
            Service::ClassicLoadBalancing => "2012-06-01",
            Service::Pricing => "2017-10-15",
            Service::Keys => "2014-11-01",
            Service::Identity => "2010-05-08",
            Service::Quotas => "2019-06-24",
        }
    }
}

/// One HTTP client for all of them.
pub(super) fn client(timeouts: &Timeouts) -> reqwest::Client {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(timeouts.connect)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("the TLS library starts")
}

/// A request's parts that its signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    url: String,
    content_type: &'static str,
    /// The operation, where it is not in the body.
    target: Option<String>,
    body: String,
}

/// Sends calls of one account in one region.
pub(super) struct Thin {
    http: reqwest::Client,
    provider: Option<SharedCredentialsProvider>,
    held: Mutex<Option<Held>>,
    time: SharedTimeSource,
    region: Region,
    endpoints: Endpoints,
    timeouts: Timeouts,
}

/// Keys, and until when they are used.
struct Held {
    keys: Credentials,
    until: SystemTime,
}

impl fmt::Debug for Thin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thin").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Thin {
    /// With the credentials, clock and endpoint of the SDK's own clients.
    pub(super) fn new(
        http: reqwest::Client,
        config: &SdkConfig,
        region: &Region,
        timeouts: Timeouts,
    ) -> Thin {
        Thin {
            http,
            provider: config.credentials_provider(),
            held: Mutex::new(None),
            time: config.time_source().unwrap_or_default(),
            region: region.clone(),
            endpoints: Endpoints::of(config),
            timeouts,
        }
    }

    async fn url(&self, call: Call, service: Service) -> Result<String, Fault> {
        let base = self.endpoints.base(service, &self.region).await;
        let base = base.map_err(|why| call.fault(FaultKind::Refused, why))?;
        Ok(format!("{}/", base.trim_end_matches('/')))
    }

    async fn keys(&self, call: Call) -> Result<Credentials, Fault> {
        let now = self.time.now();
        let mut held = self.held.lock().await;
        if let Some(Held { keys, until }) = held.as_ref()
            && now < *until
        {
            return Ok(keys.clone());
        }
        let Some(provider) = &self.provider else {
            let kind = FaultKind::Denied { permission: None };
            return Err(call.fault(kind, "no credentials are configured"));
        };
        let keys = provider.provide_credentials().await.map_err(|error| call.keyless(&error))?;
        let end = keys.expiry().map_or(now + KEYS_AGE, |end| end - KEYS_SPARE);
        let until = end.min(now + KEYS_AGE);
        *held = Some(Held { keys: keys.clone(), until });
        Ok(keys)
    }

    /// One attempt.
    async fn send(&self, call: Call, service: Service, message: &Message) -> Result<String, Fault> {
        let keys = self.keys(call).await?;
        let signed = signed(message, keys, &self.region, service.name(), self.time.now());
        let signed = signed.map_err(|why| call.fault(FaultKind::Refused, why))?;
        let timeout = self.timeouts.one_attempt(call.effect);
        let mut request = self.http.post(&message.url).timeout(timeout).body(message.body.clone());
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| call.unheard(error))?;
        let status = answer.status();
        let id = answer.headers().get("x-amzn-requestid").and_then(|id| id.to_str().ok());
        let id = id.map(str::to_owned);
        let unheard = |error| call.unheard(error);
        let body = body::read(call, answer, BODY_BYTES_MAX, unheard).await?;
        let text = String::from_utf8_lossy(&body);
        if status.is_success() {
            return Ok(text.into_owned());
        }
        let (code, words) = refusal(&text);
        Err(call.refused_with(status.as_u16(), code.as_deref(), words.as_deref(), id))
    }
}

impl Seat {
    /// A call in the query protocol; the answer's XML.
    pub(super) async fn query(
        &self,
        call: Call,
        service: Service,
        fields: &[(String, String)],
        deadline: Deadline,
    ) -> Result<String, Fault> {
        let mut body = format!("Action={}&Version={}", call.operation, service.version());
        for (name, value) in fields {
            body.push_str(&format!("&{}={}", escaped(name), escaped(value)));
        }
        let message = Message {
            url: self.thin.url(call, service).await?,
            content_type: "application/x-www-form-urlencoded; charset=utf-8",
            target: None,
            body,
        };
        self.sent(call, service, &message, deadline).await
    }

    /// A call in JSON; the answer's JSON.
    pub(super) async fn json(
        &self,
        call: Call,
        service: Service,
        target: &str,
        fields: &serde_json::Value,
        deadline: Deadline,
    ) -> Result<serde_json::Value, Fault> {
        let message = Message {
            url: self.thin.url(call, service).await?,
            content_type: "application/x-amz-json-1.1",
            target: Some(format!("{target}.{}", call.operation)),
            body: fields.to_string(),
        };
        let text = self.sent(call, service, &message, deadline).await?;
        serde_json::from_str(&text)
            .map_err(|error| call.fault(FaultKind::Unreadable, format!("not JSON: {error}")))
    }

    /// All pages of a listing in the query protocol, each handed to `take`.
    pub(super) async fn pages(
        &self,
        call: Call,
        service: Service,
        fields: &[(String, String)],
        deadline: Deadline,
        mut take: impl FnMut(&Document<'_>) + Send,
    ) -> Result<(), Fault> {
        let mut fields = fields.to_vec();
        let plain = fields.len();
        for _ in 0..PAGES_MAX {
            let text = self.query(call, service, &fields, deadline).await?;
            let marker = {
                let page = Document::parse(&text).map_err(|error| {
                    call.fault(FaultKind::Unreadable, format!("not XML: {error}"))
                })?;
                take(&page);
                xml::marker(&page)
            };
            let Some(marker) = marker else { return Ok(()) };
            fields.truncate(plain);
            fields.push(("Marker".to_owned(), marker));
        }
        Err(call.endless(PAGES_MAX))
    }

    async fn sent(
        &self,
        call: Call,
        service: Service,
        message: &Message,
        deadline: Deadline,
    ) -> Result<String, Fault> {
        let once = || self.gated(call, deadline, self.thin.send(call, service, message));
        attempts(call, deadline.0, once).await
    }
}

/// Why a request has no signature, in the signer's words.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    #[error("{0}")]
    Parameters(v4::signing_params::BuildError),
    #[error("{0}")]
    Request(SigningError),
}

/// The headers of a signed request.
fn signed(
    message: &Message,
    keys: Credentials,
    region: &Region,
    service: &str,
    at: SystemTime,
) -> Result<Vec<(String, String)>, Unsigned> {
    let identity = Identity::from(keys);
    // Whole seconds are all that a signature tells.
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name(service)
        .time(UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(SigningSettings::default())
        .build()
        .map_err(Unsigned::Parameters)?;
    let mut headers = vec![("content-type".to_owned(), message.content_type.to_owned())];
    headers.extend(message.target.clone().map(|target| ("x-amz-target".to_owned(), target)));
    let plain = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(message.body.as_bytes());
    let request = SignableRequest::new("POST", message.url.as_str(), plain, body)
        .map_err(Unsigned::Request)?;
    let (instructions, _signature) =
        sign(request, &params.into()).map_err(Unsigned::Request)?.into_parts();
    let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let added: Vec<(String, String)> = added.collect();
    headers.extend(added);
    Ok(headers)
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The code and the words of a refusal, in XML or JSON.
fn refusal(text: &str) -> (Option<String>, Option<String>) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let code = text("__type").map(|code| code.rsplit('#').next().unwrap_or(&code).to_owned());
        return (code, text("message").or_else(|| text("Message")));
    }
    let Ok(document) = Document::parse(text) else { return (None, None) };
    let error = document.descendants().find(|node| node.tag_name().name() == "Error");
    let Some(error) = error else { return (None, None) };
    let word = |name: &str| xml::text(error, name).map(str::to_owned);
    (word("Code"), word("Message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `post-x-www-form-urlencoded` of AWS's own test suite for signatures, version 4.
    #[test]
    fn the_vector_of_the_signing_test_suite_comes_out() {
        let keys = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );
        let message = Message {
            url: "https://example.amazonaws.com/".to_owned(),
            content_type: "application/x-www-form-urlencoded",
            target: None,
            body: "Param1=value1".to_owned(),
        };
        // 2015-08-30T12:36:00Z, and a part of a second that must not matter.
        let at = UNIX_EPOCH + Duration::from_millis(1_440_938_160_789);
        let region = Region::new("us-east-1").unwrap();
        let headers = signed(&message, keys, &region, "service", at).unwrap();
        let of = |name: &str| {
            headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(of("x-amz-date"), Some("20150830T123600Z"));
        assert_eq!(of("authorization"), Some(GOLDEN));
    }

    const GOLDEN: &str = "AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";

    #[test]
    fn refusals_are_read_in_xml_and_in_json() {
        let both = |text| {
            let (code, words) = refusal(text);
            format!("{} {}", code.unwrap_or_default(), words.unwrap_or_default())
        };
        let xml = "<ErrorResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><Error>\
                   <Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
        assert_eq!(both(xml), "Throttling Rate exceeded");
        let json = r#"{"__type":"com.amazonaws#AccessDeniedException","Message":"no"}"#;
        assert_eq!(both(json), "AccessDeniedException no");
        assert_eq!(both("<html>"), " ");
        assert_eq!(escaped("a b+ü/~"), "a%20b%2B%C3%BC%2F~");
    }
}
