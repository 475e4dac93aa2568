//! What every request passes first: how many, how long, from where, by whom.
//!
//! A layer of axum holds the places of connections. The rest is by hand: of tower's and tower-http's
//! layers, the limit of requests lets them wait where these are refused, the deadline of a body starts
//! anew with each byte that a slow client sends, refusals have other words or none, and headers take a
//! layer each.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{AddExtension, Next};
use axum::response::{IntoResponse, Response};
use axum_server::accept::Accept;
use tower_layer::Layer;

use super::place::Place;
use super::refused::Refused;
use super::room::{Held, Room, Visitor};
use super::site::Site;

/// Connections at a time; the next one takes the place of another, so that files are left for the
/// clouds.
const CONNECTIONS_MAX: usize = 256;
/// Requests worked on at a time.
pub(super) const REQUESTS_MAX: usize = 32;
/// Those among them that ask how the daemon does, for which there is room besides.
pub(super) const PROBES_MAX: usize = 8;
/// What asks how the daemon does.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
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
pub(super) struct Gate(Arc<Room>);

impl Default for Gate {
    fn default() -> Gate {
        Gate(Arc::new(Room::new(CONNECTIONS_MAX)))
    }
}

impl<S, T> Accept<S, T> for Gate {
    type Stream = Held<S>;
    /// Whoever serves a connection holds its place, and leaves it with the connection.
    type Service = AddExtension<T, Arc<Visitor>>;
    type Future = Ready<io::Result<(Held<S>, Self::Service)>>;

    fn accept(&self, stream: S, service: T) -> Self::Future {
        let entered = self.0.enter(stream);
        let admitted = entered.map(|(held, visitor)| (held, Extension(visitor).layer(service)));
        ready(admitted.ok_or_else(|| io::Error::other("too many connections")))
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
        Ok(Err(_)) => Err(Refused::BrokenForm),
        Err(_) => Err(Refused::SlowForm),
    }
}

async fn served(site: &Site, request: Request, next: Next) -> Response {
    let probes = PROBES.contains(&request.uri().path());
    let requests = if probes { &site.probes } else { &site.requests };
    let Ok(_permit) = requests.try_acquire() else { return Refused::Crowd.into_response() };
    let visitor = request.extensions().get::<Arc<Visitor>>();
    let _working = visitor.map(Visitor::at_work);
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::SlowAnswer.into_response(),
    }
}

fn admit(site: &Site, request: &mut Request) -> Result<(), Refused> {
    let access = site.access();
    let (headers, uri) = (request.headers(), request.uri());
    if uri.to_string().len() > URI_BYTES_MAX {
        return Err(Refused::LongAddress);
    }
    let asked = Place::of(headers, uri).map_err(Refused::Unplaced)?;
    if !access.knows(&asked) {
        return Err(Refused::Stranger);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && *request.method() != Method::POST {
        return Err(Refused::Method);
    }
    if !reads && !access.is_own_origin(headers, &asked) {
        return Err(Refused::ForeignForm);
    }
    let caller = access.caller(headers, Instant::now()).map_err(Refused::Unnamed)?;
    if caller.is_none() && !is_for_all(uri.path()) {
        let person = uri.path() != "/metrics" && headers.get(header::AUTHORIZATION).is_none();
        return Err(if reads && person { Refused::SignIn } else { Refused::NoRight });
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// What is served to those who may not look, too.
fn is_for_all(path: &str) -> bool {
    let fixed = ["/sign-in", "/assets/neap.css", "/healthz", "/readyz"];
    fixed.contains(&path) || path.starts_with("/lang/")
}
