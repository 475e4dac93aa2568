//! `/healthz` and `/readyz`: whether the process answers, and whether it does its work.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use super::site::Site;

/// Leeway of a cycle that runs late.
const LEEWAY: Duration = Duration::from_secs(60);

/// The process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// The journal can be written, and a cycle ended lately: within two poll intervals and a minute.
pub(super) async fn ready(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    let trouble = site.trouble();
    if let Some(trouble) = trouble.as_ref().filter(|trouble| !trouble.is_writable()) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n"));
    }
    let Some(latest) = site.board.latest() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no cycle has ended yet\n".to_owned());
    };
    let age = latest.ended.elapsed();
    let limit = Duration::from_secs(2 * latest.policy.poll_interval.0) + LEEWAY;
    let seconds = age.as_secs();
    if age > limit {
        let text = format!("the last cycle ended {seconds} s ago, the limit is {limit:?}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let mut text = format!("ok: the last cycle ended {seconds} s ago\n");
    text.extend(trouble.map(|trouble| format!("{trouble}\n")));
    // Whoever starts neap anew for this gains nothing: it is said, and no reason to.
    let missing = site.board.places_missing();
    text.extend(missing.iter().map(|(place, missing)| {
        format!("groups cannot be looked for in {place} since {}: {missing}\n", missing.since)
    }));
    (StatusCode::OK, text)
}
