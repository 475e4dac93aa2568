//! What every request passes first: how many, how long, from where, by whom.
//!
//! A layer of axum holds the permits of connections. The rest is by hand: of tower's and tower-http's
//! layers, the limit of requests lets them wait where these are refused, the deadline of a body starts
//! anew with each byte that a slow client sends, refusals have other words or none, and headers take a
//! layer each.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{AddExtension, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum_server::accept::Accept;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;

use super::site::Site;

/// Connections at a time; those above are closed at once, so that files are left for the clouds.
const CONNECTIONS_MAX: usize = 256;
/// Requests worked on at a time.
pub(super) const REQUESTS_MAX: usize = 32;
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The longest address.
const URI_BYTES_MAX: usize = 4096;
/// Bytes of a form.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// How long somebody may take to send one.
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// Nothing from elsewhere, no script, no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets so many connections in.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Gate {
        Gate(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }
}

impl<S, T> Accept<S, T> for Gate {
    type Stream = S;
    /// Whoever serves a connection holds its permit, and drops it with the connection.
    type Service = AddExtension<T, Arc<OwnedSemaphorePermit>>;
    type Future = Ready<io::Result<(S, Self::Service)>>;

    fn accept(&self, stream: S, service: T) -> Self::Future {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        let admitted = permit.map(|permit| (stream, Extension(Arc::new(permit)).layer(service)));
        ready(admitted.map_err(|_| io::Error::other("too many connections")))
    }
}

/// Refuses what must not pass, finds out who is calling, and closes the answer against misuse.
pub(super) async fn guard(
    State(site): State<Arc<Site>>,
    mut request: Request,
    next: Next,
) -> Response {
    let tls = site.access().tls();
    let admitted = match admit(&site, &mut request) {
        Ok(()) => heard(request).await,
        Err(refused) => Err(refused),
    };
    let mut response = match admitted {
        Ok(request) => served(&site, request, next).await,
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // `no-referrer` would have browsers hide the origin of the page's own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Reads the whole request body with a deadline, so that a slow client cannot block others.
async fn heard(request: Request) -> Result<Request, Refused> {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(FORM_WITHIN, axum::body::to_bytes(body, FORM_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, bytes.into())),
        Ok(Err(_)) => {
            Err(Refused::Because(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long, or broken"))
        }
        Err(_) => Err(Refused::Because(StatusCode::REQUEST_TIMEOUT, "the form took too long")),
    }
}

async fn served(site: &Site, request: Request, next: Next) -> Response {
    let Ok(_permit) = site.requests.try_acquire() else {
        let why = "too many requests at a time, try again";
        return Refused::Because(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let why = "it took too long; ask for a shorter time";
            Refused::Because(StatusCode::GATEWAY_TIMEOUT, why).into_response()
        }
    }
}

fn admit(site: &Site, request: &mut Request) -> Result<(), Refused> {
    let access = site.access();
    let (headers, uri) = (request.headers(), request.uri());
    if uri.to_string().len() > URI_BYTES_MAX {
        return Err(Refused::Because(StatusCode::URI_TOO_LONG, "the address is too long"));
    }
    if !access.knows_host(headers, uri) {
        let why = "the page does not go by this name; `hosts` in `[page]` lists its names";
        return Err(Refused::Because(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && *request.method() != Method::POST {
        return Err(Refused::Because(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD or POST"));
    }
    if !reads && !access.is_own_origin(headers) {
        return Err(Refused::Because(StatusCode::FORBIDDEN, "the form is not one of this page"));
    }
    let caller = access.caller(headers, Instant::now());
    if caller.is_none() && !is_for_all(uri.path()) {
        let person = uri.path() != "/metrics" && headers.get(header::AUTHORIZATION).is_none();
        if reads && person {
            return Err(Refused::SignIn);
        }
        return Err(Refused::Because(
            StatusCode::UNAUTHORIZED,
            "it takes a token that gives the right",
        ));
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// What is served to those who may not look, too.
fn is_for_all(path: &str) -> bool {
    let fixed = ["/sign-in", "/assets/neap.css", "/healthz", "/readyz"];
    fixed.contains(&path) || path.starts_with("/lang/")
}

/// What does not pass, and why.
enum Refused {
    /// For this reason.
    Because(StatusCode, &'static str),
    /// Until its sender has said who they are.
    SignIn,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::Because(status, why) => (status, format!("{why}\n")).into_response(),
            Refused::SignIn => Redirect::to("/sign-in").into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_counts_until_nothing_serves_it_any_more() {
        let gate = Gate(Arc::new(Semaphore::new(1)));
        let ((), service) = gate.accept((), ()).await.expect("there is room for one");
        // A request that is being worked on has a copy.
        let working = service.clone();
        drop(service);
        assert!(gate.accept((), ()).await.is_err());
        drop(working);
        assert!(gate.accept((), ()).await.is_ok());
    }
}
