//! Templates to pages.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context,
    escape_formatter,
};
use planner::snapshot::KillSwitch;
use report::Language;
use report::said::Said;

use super::access::Caller;
use super::board::Latest;
use super::site::Site;
use super::words;

const STYLE: &str = include_str!("templates/neap.css");

const TEMPLATES: [(&str, &str); 15] = [
    ("answers.html", include_str!("templates/answers.html")),
    ("base.html", include_str!("templates/base.html")),
    ("decision.html", include_str!("templates/decision.html")),
    ("fleet.html", include_str!("templates/fleet.html")),
    ("idle.html", include_str!("templates/idle.html")),
    ("journal.html", include_str!("templates/journal.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("message.html", include_str!("templates/message.html")),
    ("record.html", include_str!("templates/record.html")),
    ("resource.html", include_str!("templates/resource.html")),
    ("review.html", include_str!("templates/review.html")),
    ("service.html", include_str!("templates/service.html")),
    ("sign_in.html", include_str!("templates/sign_in.html")),
    ("stage.html", include_str!("templates/stage.html")),
    ("what_if.html", include_str!("templates/what_if.html")),
];

/// All templates, parsed.
pub(super) struct Templates(Environment<'static>);

impl Templates {
    /// All templates. They come with the program; a name that a page does not get is an error.
    pub fn new() -> Templates {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(format);
        environment.add_function("t", word);
        environment.add_filter("query", query);
        for (name, text) in TEMPLATES {
            // They come with the program, and the tests render each.
            if let Err(error) = environment.add_template(name, text) {
                tracing::error!(name, %error, "a template of the page is broken");
            }
        }
        Templates(environment)
    }
}

/// Signs that turn around what follows them, far beyond the name they stand in, as an attack would.
fn turns_around(sign: char) -> bool {
    matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes text, and shows such signs instead of following them.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && text.contains(turns_around) => {
            let shown = |sign: char| match turns_around(sign) {
                true => sign.escape_unicode().to_string(),
                false => sign.to_string(),
            };
            let text: String = text.chars().map(shown).collect();
            escape_formatter(out, state, &Value::from(text))
        }
        _ => escape_formatter(out, state, value),
    }
}

/// The wording of a key in the language of the page.
fn word(state: &State<'_, '_>, key: &str) -> Result<Value, Error> {
    let language = state.lookup("lang").and_then(|lang| Language::named(lang.as_str()?));
    let found = language.and_then(|language| words::word(language, key));
    let missing = || Error::new(ErrorKind::NonKey, format!("no word for `{key}`"));
    found.map(Value::from).ok_or_else(missing)
}

/// A value as it stands in an address.
fn query(value: &str) -> String {
    super::views::encoded(value)
}

/// Who looks at what, in which language.
pub(super) struct Visit {
    pub caller: Option<Caller>,
    pub language: Language,
    pub path: String,
}

impl Visit {
    /// The wording of a key, for what is not in a template.
    pub fn word(&self, key: &str) -> &'static str {
        words::word(self.language, key).unwrap_or_default()
    }
}

impl Site {
    /// Makes a page.
    pub(super) fn page(&self, visit: &Visit, template: &str, of: Value) -> Response {
        self.page_with(StatusCode::OK, visit, template, of)
    }

    /// Makes a page with a status of its own.
    pub(super) fn page_with(
        &self,
        status: StatusCode,
        visit: &Visit,
        template: &str,
        of: Value,
    ) -> Response {
        let latest = self.board.latest();
        let at = latest.as_ref().map(|latest| latest.turn.snapshot.taken_at.to_string());
        let next = latest.as_ref().map(|latest| latest.next.to_string());
        let caller = visit.caller.as_ref();
        let frame = context! {
            lang => visit.language.code(),
            lang_tag => visit.language.tag(),
            other => visit.language.other().code(),
            path => visit.path.as_str(),
            here => visit.path.split('?').next(),
            caller => caller.and_then(|caller| caller.name.clone()),
            approves => caller.and_then(Caller::approver).is_some(),
            tokens => self.access().has_tokens(),
            taken_at => at,
            next_look => next,
            mode => latest.as_ref().map(|latest| latest.policy.mode.to_string()),
            killed => latest.as_ref().and_then(|latest| killed(latest, visit.language)),
        };
        let page = self.templates.0.get_template(template);
        let page = page.and_then(|page| page.render(context! { ..of, ..frame }));
        match page {
            Ok(page) => (status, Html(page)).into_response(),
            Err(error) => {
                tracing::error!(
                    template,
                    error = format!("{error:#}"),
                    "a page could not be rendered"
                );
                (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n").into_response()
            }
        }
    }

    /// Says one thing.
    pub(super) fn say(
        &self,
        status: StatusCode,
        visit: &Visit,
        title: &str,
        text: &str,
    ) -> Response {
        let of = context! { title => title, text => text };
        self.page_with(status, visit, "message.html", of)
    }
}

fn killed(latest: &Latest, language: Language) -> Option<String> {
    match &latest.turn.snapshot.kill_switch {
        KillSwitch::Clear => None,
        KillSwitch::Thrown { why } => Some(why.said(language)),
    }
}

/// The style sheet; it changes with the program only.
pub(super) async fn style(headers: HeaderMap) -> Response {
    let tag = format!("\"{}\"", &blake3::hash(STYLE.as_bytes()).to_hex()[..16]);
    // Sixteen digits and two quotes stand in any header.
    let Ok(tag) = HeaderValue::try_from(tag) else { return STYLE.into_response() };
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag),
    ];
    (fixed, STYLE).into_response()
}
