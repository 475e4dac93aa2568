//! The pages, one file each.

pub(super) mod decision;
pub(super) mod fleet;
pub(super) mod idle;
pub(super) mod journal;
pub(super) mod review;
pub(super) mod service;
pub(super) mod sign_in;
pub(super) mod what_if;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::access::Caller;
use super::render::Visit;
use super::site::Site;
use super::words::{self, Language};

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Visit, Infallible> {
        Ok(Visit {
            caller: parts.extensions.get::<Option<Caller>>().cloned().flatten(),
            language: Language::of(&parts.headers),
            path: parts.uri.to_string(),
        })
    }
}

/// A value as it stands in an address.
pub(super) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// Does what blocks (reading the journal, drawing) beside those who serve.
async fn beside<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&Site) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let site = Arc::clone(site);
    tokio::task::spawn_blocking(move || work(&site)).await?
}

/// A page that could not be made says why.
fn broken(site: &Site, visit: &Visit, error: &anyhow::Error) -> Response {
    tracing::warn!(path = visit.path, error = format!("{error:#}"), "a page was not made");
    let title = visit.word("message.broken");
    site.say(StatusCode::INTERNAL_SERVER_ERROR, visit, title, &format!("{error:#}"))
}

fn absent(site: &Site, visit: &Visit, what: &str) -> Response {
    site.say(StatusCode::NOT_FOUND, visit, visit.word("message.absent"), what)
}

/// Whatever else is asked for.
pub(super) async fn nothing_here(State(site): State<Arc<Site>>, visit: Visit) -> Response {
    absent(&site, &visit, &visit.path)
}

#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

/// Chooses a language, and goes back.
pub(super) async fn language(Path(code): Path<String>, Query(to): Query<Back>) -> Response {
    let code = Language::named(&code).unwrap_or(Language::English).code();
    // A path of this page, and nothing that a browser takes for another host.
    let local = to.back.starts_with('/') && !to.back.starts_with("//") && !to.back.contains('\\');
    let to = if local { to.back } else { "/".to_owned() };
    let cookie = format!("{}={code}; Path=/; SameSite=Strict; Max-Age=31536000", words::COOKIE);
    let mut response = Redirect::to(&to).into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
