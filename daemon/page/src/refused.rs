//! What does not pass, and why.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::Unnamed;
use super::place::Unplaced;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its address is too long.
    LongAddress,
    /// It is meant for no place.
    Unplaced(Unplaced),
    /// It is meant for a place that is not this page.
    Stranger,
    /// It neither reads nor posts.
    Method,
    /// It posts a form of somebody else.
    ForeignForm,
    /// It says in several ways, or in a broken one, who sends it.
    Unnamed(Unnamed),
    /// It shows nothing that gives the right.
    NoRight,
    /// Its sender has yet to say who they are.
    SignIn,
    /// Its form is too long, or ends early.
    BrokenForm,
    /// Its form took too long.
    SlowForm,
    /// Others are worked on.
    Crowd,
    /// Its answer took too long.
    SlowAnswer,
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::LongAddress => StatusCode::URI_TOO_LONG,
            Refused::Unplaced(_) | Refused::Unnamed(_) => StatusCode::BAD_REQUEST,
            Refused::Stranger => StatusCode::MISDIRECTED_REQUEST,
            Refused::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refused::ForeignForm => StatusCode::FORBIDDEN,
            Refused::NoRight | Refused::SignIn => StatusCode::UNAUTHORIZED,
            Refused::BrokenForm => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::SlowForm => StatusCode::REQUEST_TIMEOUT,
            Refused::Crowd => StatusCode::SERVICE_UNAVAILABLE,
            Refused::SlowAnswer => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Refused::LongAddress => "the address is too long",
            Refused::Unplaced(Unplaced::Nowhere) => "the request names no host",
            Refused::Unplaced(Unplaced::Broken) => "what stands for the host is no host",
            Refused::Unplaced(Unplaced::Twice) => "the request has more than one `host` header",
            Refused::Unplaced(Unplaced::Differs) => {
                "the `host` header and the request's target name different hosts"
            }
            Refused::Stranger => {
                "the page does not go by this name; `hosts` in `[page]` lists its names"
            }
            Refused::Method => "GET, HEAD or POST",
            Refused::ForeignForm => "the form is not one of this page",
            Refused::Unnamed(Unnamed::Twice(header)) => {
                return write!(
                    f,
                    "the request has more than one `{header}` header, so that nobody knows who \
                     sends it; a proxy must replace what visitors send"
                );
            }
            Refused::Unnamed(Unnamed::NoName(header)) => {
                return write!(f, "what stands in `{header}` is not one name");
            }
            Refused::NoRight => "it takes a token that gives the right",
            Refused::SignIn => "it takes a token; `/sign-in` asks for it",
            Refused::BrokenForm => "the form is too long, or broken",
            Refused::SlowForm => "the form took too long",
            Refused::Crowd => "too many requests at a time, try again",
            Refused::SlowAnswer => "it took too long; ask for a shorter time",
        };
        f.write_str(why)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::SignIn => Redirect::to("/sign-in").into_response(),
            why => (why.status(), format!("{why}\n")).into_response(),
        }
    }
}
