//! A token for a session, and the end of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Back;
use crate::render::Visit;
use crate::site::Site;

/// Guessing is slow, besides being hopeless.
const WRONG_TAKES: Duration = Duration::from_millis(500);

/// A form with a token.
#[derive(Deserialize)]
pub(crate) struct Shown {
    token: SecretString,
    /// Where they came from.
    #[serde(flatten)]
    back: Back,
}

/// Asks for a token.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(back): Query<Back>,
) -> Response {
    site.page(&visit, "sign_in.html", context! { wrong => false, back => back.local() })
}

/// Takes one.
pub(crate) async fn take(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(shown): Form<Shown>,
) -> Response {
    let signed_in = site.access().sign_in(shown.token.expose_secret(), Instant::now());
    let Some((caller, cookie)) = signed_in else {
        tokio::time::sleep(WRONG_TAKES).await;
        let of = context! { wrong => true, back => shown.back.local() };
        return site.page_with(StatusCode::UNAUTHORIZED, &visit, "sign_in.html", of);
    };
    tracing::info!(name = caller.name, "signed in on the page");
    with_cookie(shown.back.local(), cookie)
}

/// Ends a session.
pub(crate) async fn leave(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    with_cookie("/", site.access().sign_out(&headers))
}

fn with_cookie(to: &str, cookie: String) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
