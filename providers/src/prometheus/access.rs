//! The way to a store: credentials as their files have them now, one call with its limits.

use std::path::Path;
use std::sync::Arc;

use fleet::text::without_mark;
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Identity, Response, Url};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::sync::{Mutex, Semaphore};

use super::answer::{self, SeriesAnswer};
use super::query;
use super::settings::{ClientCertificate, Credential, Settings};
use crate::Deadline;
use crate::call::Call;
use crate::http::{causes, unanswered};
use crate::retry::attempts;

pub(super) const QUERY_RANGE: Call = Call::read("prometheus", "query_range");

/// How we are called in the store's query log.
const USER_AGENT: &str = concat!("neap/", env!("CARGO_PKG_VERSION"));
/// Larger than this no answer is to a query that gives one series.
const BODY_BYTES_MAX: usize = 4 << 20;
/// The tenant's header, in Mimir and Cortex; Loki, Tempo and proxies of VictoriaMetrics know it.
const TENANT: &str = "x-scope-orgid";

/// What all calls share.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) settings: Settings,
    url: Url,
    /// The client of the certificates that were there when it was made.
    client: Mutex<Option<(Certificates, Client)>>,
    under_way: Semaphore,
}

/// What is in the files of certificates.
#[derive(Debug)]
struct Certificates {
    authorities: Option<Vec<u8>>,
    /// The certificate and its key.
    identity: Option<SecretSlice<u8>>,
}

impl PartialEq for Certificates {
    fn eq(&self, other: &Certificates) -> bool {
        let identity =
            |of: &Certificates| of.identity.as_ref().map(|it| it.expose_secret().to_vec());
        self.authorities == other.authorities && identity(self) == identity(other)
    }
}

/// A reading of samples: its client, and what proves who we are.
#[derive(Debug)]
pub(super) struct Session {
    access: Arc<Access>,
    client: Client,
    authorization: Option<HeaderValue>,
    /// What no fault may repeat.
    secret: Option<SecretString>,
}

/// Why a file of credentials is of no use; never what is in it.
#[derive(Debug, thiserror::Error)]
#[error("the file `{path}` {wrong}")]
pub struct FaultyFile {
    pub path: String,
    pub wrong: String,
}

impl Access {
    pub(super) fn new(settings: Settings) -> Access {
        let url = settings.endpoint.api("/api/v1/query_range");
        let under_way = Semaphore::new(settings.calls_at_once.max(1));
        Access { settings, url, client: Mutex::default(), under_way }
    }

    /// Reads all files anew, and connects to nothing yet.
    ///
    /// # Errors
    /// Where one of them is of no use.
    pub(super) async fn session(self: &Arc<Access>) -> Result<Session, FaultyFile> {
        let client = self.client().await?;
        let (authorization, secret) = match &self.settings.credential {
            None => (None, None),
            Some(credential) => {
                let secret = secret(credential.file()).await?;
                (Some(self.authorization(&client, credential, &secret)?), Some(secret))
            }
        };
        Ok(Session { access: Arc::clone(self), client, authorization, secret })
    }

    /// The header that proves who we are; the client knows how it is written, and hides it.
    fn authorization(
        &self,
        client: &Client,
        credential: &Credential,
        secret: &SecretString,
    ) -> Result<HeaderValue, FaultyFile> {
        let (request, secret) = (client.post(self.url.clone()), secret.expose_secret());
        let request = match credential {
            Credential::Basic { user, .. } => request.basic_auth(user, Some(secret)),
            Credential::Bearer { .. } => request.bearer_auth(secret),
        };
        let header = request
            .build()
            .ok()
            .and_then(|mut request| request.headers_mut().remove(AUTHORIZATION));
        let wrong = "holds a character that no header carries";
        header.ok_or_else(|| faulty(credential.file(), wrong))
    }

    /// The client of the certificates that are there now.
    async fn client(&self) -> Result<Client, FaultyFile> {
        let certificates = self.certificates().await?;
        let mut made = self.client.lock().await;
        if let Some((of, client)) = &*made
            && *of == certificates
        {
            return Ok(client.clone());
        }
        let client = self.client_with(&certificates)?;
        *made = Some((certificates, client.clone()));
        Ok(client)
    }

    async fn certificates(&self) -> Result<Certificates, FaultyFile> {
        let authorities = match &self.settings.ca_file {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let identity = match &self.settings.client_certificate {
            Some(ClientCertificate { certificate_file, key_file }) => {
                let mut pem = read(certificate_file).await?;
                pem.push(b'\n');
                pem.extend(read(key_file).await?);
                Some(SecretSlice::from(pem))
            }
            None => None,
        };
        Ok(Certificates { authorities, identity })
    }

    fn client_with(&self, certificates: &Certificates) -> Result<Client, FaultyFile> {
        let timeouts = &self.settings.timeouts;
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(timeouts.connect)
            .redirect(reqwest::redirect::Policy::none());
        if self.settings.endpoint.is_local() {
            // A proxy is not this machine, and what goes there need not be encrypted.
            builder = builder.no_proxy();
        }
        if let (Some(pem), Some(path)) = (&certificates.authorities, &self.settings.ca_file) {
            let authorities = Certificate::from_pem_bundle(pem).ok().filter(|all| !all.is_empty());
            let authorities =
                authorities.ok_or_else(|| faulty(path, "holds no certificate in PEM form"))?;
            builder = builder.tls_certs_only(authorities);
        }
        let mut key_file = None;
        if let (Some(pem), Some(pair)) = (&certificates.identity, &self.settings.client_certificate)
        {
            let identity = Identity::from_pem(pem.expose_secret());
            let wrong = "and its certificate are not both in PEM form";
            builder = builder.identity(identity.map_err(|_| faulty(&pair.key_file, wrong))?);
            key_file = Some(&pair.key_file);
        }
        builder.build().map_err(|error| {
            let path = key_file.or(self.settings.ca_file.as_ref());
            let path = path.map_or_else(Default::default, |path| path.display().to_string());
            FaultyFile { path, wrong: format!("cannot be used: {}", causes(&error)) }
        })
    }
}

impl Session {
    /// Asks for the intervals that start in `window`, again where that may help.
    pub(super) async fn query_range(
        &self,
        query: &str,
        period: Step,
        window: (Timestamp, Timestamp),
        deadline: Deadline,
    ) -> SeriesAnswer {
        let timeouts = &self.access.settings.timeouts;
        let form = query::form(query, period, window, Seconds(timeouts.attempt.as_secs()));
        let limit = deadline.0.min(tokio::time::Instant::now() + timeouts.read);
        let once = || self.once(&form, period, window, deadline);
        let answer = attempts(QUERY_RANGE, limit, once).await;
        let mut answer = answer.map_err(|fault| self.scrubbed(fault))?;
        answer.partial = answer.partial.map(|fault| self.scrubbed(fault));
        Ok(answer)
    }

    async fn once(
        &self,
        form: &str,
        period: Step,
        window: (Timestamp, Timestamp),
        deadline: Deadline,
    ) -> SeriesAnswer {
        let room = tokio::time::timeout_at(deadline.0, self.access.under_way.acquire()).await;
        let Ok(_room) = room else {
            return Err(QUERY_RANGE.unsent("not sent before the deadline"));
        };
        let asked = async {
            let unanswered = |error: reqwest::Error| unanswered(QUERY_RANGE, &error);
            let response = self.request(form).send().await.map_err(unanswered)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = body(response).await?;
            answer::read(QUERY_RANGE, (status, &headers), &body, period, window)
        };
        let asked = tokio::time::timeout_at(deadline.0, asked).await;
        asked.unwrap_or_else(|_| Err(QUERY_RANGE.timed_out()))
    }

    /// As a form, for queries are longer than some servers take URLs.
    fn request(&self, form: &str) -> reqwest::RequestBuilder {
        let Access { settings, url, .. } = &*self.access;
        let mut request = self
            .client
            .post(url.clone())
            .timeout(settings.timeouts.attempt)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form.to_owned());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(tenant) = &settings.tenant {
            request = request.header(TENANT, tenant);
        }
        request
    }

    /// Servers that repeat what they were sent do not make it ours to repeat.
    fn scrubbed(&self, mut fault: Fault) -> Fault {
        let headers = self.authorization.as_ref().and_then(|header| header.to_str().ok());
        let encoded = headers.and_then(|header| header.split_once(' ')).map(|(_, proof)| proof);
        let plain = self.secret.as_ref().map(ExposeSecret::expose_secret);
        for secret in [encoded, plain].into_iter().flatten() {
            fault.detail = fault.detail.replace(secret, "[secret]");
        }
        fault
    }
}

/// The secret in a file, without the blanks around it.
async fn secret(path: &Path) -> Result<SecretString, FaultyFile> {
    let faulty = |wrong: &str| faulty(path, wrong);
    let text = String::from_utf8(read(path).await?).map_err(|_| faulty("holds no text"))?;
    let text = SecretString::from(text);
    match without_mark(text.expose_secret()).trim() {
        "" => Err(faulty("is empty")),
        secret if secret.contains(char::is_control) => Err(faulty("holds more than one line")),
        secret => Ok(SecretString::from(secret)),
    }
}

/// A body that may be whole, and not without end.
async fn body(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    let unanswered = |error: reqwest::Error| unanswered(QUERY_RANGE, &error);
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            let why = format!(
                "an answer of more than {} MiB, and one series is less: `sum(…)` makes one",
                BODY_BYTES_MAX >> 20
            );
            return Err(QUERY_RANGE.fault(FaultKind::Refused, why));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn read(path: &Path) -> Result<Vec<u8>, FaultyFile> {
    tokio::fs::read(path).await.map_err(|error| faulty(path, &format!("cannot be read: {error}")))
}

fn faulty(path: &Path, wrong: &str) -> FaultyFile {
    FaultyFile { path: path.display().to_string(), wrong: wrong.to_owned() }
}
