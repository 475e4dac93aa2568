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
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use report::Language;
use serde::Deserialize;

use super::access::Caller;
use super::render::Visit;
use super::site::Site;
use super::words;

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Visit, Infallible> {
        // Where an answer was sent to, nobody can go back to.
        let sent = parts.uri.path() == "/answer";
        // By HTTP/2 an address has the host before it, and a way back must lead nowhere else.
        let here = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = if sent { "/idle" } else { here }.to_owned();
        Ok(Visit {
            path,
            caller: parts.extensions.get::<Option<Caller>>().cloned().flatten(),
            language: words::chosen(&parts.headers),
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
    // Kept until the work has ended: a visitor who has gone does not end it.
    let reading = Arc::clone(&site.reading).acquire_owned().await?;
    let site = Arc::clone(site);
    let read = move || {
        let done = work(&site);
        drop(reading);
        done
    };
    tokio::task::spawn_blocking(read).await?
}

/// A page that could not be made says why.
fn broken(site: &Site, visit: &Visit, error: &anyhow::Error) -> Response {
    tracing::warn!(path = visit.path, error = format!("{error:#}"), "a page could not be rendered");
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

/// Where somebody came from.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

impl Back {
    /// A path of this page, and nothing that a browser takes for another host: they read `\` as
    /// `/`, and pass over tabs and line breaks.
    fn local(&self) -> &str {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let local = self.back.starts_with('/') && !self.back.starts_with("//");
        if local && self.back.bytes().all(plain) { &self.back } else { "/" }
    }
}

/// Chooses a language, and goes back.
pub(super) async fn language(Path(code): Path<String>, Query(to): Query<Back>) -> Response {
    let code = Language::named(&code).unwrap_or(Language::English).code();
    let cookie = format!("{}={code}; Path=/; SameSite=Strict; Max-Age=31536000", words::COOKIE);
    let mut response = Redirect::to(to.local()).into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
