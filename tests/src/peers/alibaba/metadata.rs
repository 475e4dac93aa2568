//! What a machine is told of itself: the credentials of its role, behind a token where it is hardened.

use std::collections::BTreeMap;

use fleet::Timestamp;
use hyper::Method;

use super::sts::Access;
use super::wire::{Request, json_answer};
use super::{ACCOUNT, Ids};
use crate::peers::door::plain;
use crate::peers::http::Answer;

/// How long credentials of a machine's role last.
const LASTS: i64 = 6 * 3600;
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";

#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// The role of the machine, by its name.
    pub role: Option<String>,
    /// Whether nothing is told without a token.
    pub hardened: bool,
    tokens: BTreeMap<String, Timestamp>,
}

/// Answers a request under `/latest/`.
pub(super) fn answer(
    request: &Request,
    metadata: &mut Metadata,
    access: &mut Access,
    ids: &mut Ids,
    now: Timestamp,
) -> Answer {
    let text = |status, body: String| plain(status, "text/plain", body.into());
    if request.method == Method::PUT && request.path == "/latest/api/token" {
        let lasts = request.header("x-aliyun-ecs-metadata-token-ttl-seconds");
        let lasts = lasts.and_then(|text| text.parse::<i64>().ok());
        let lasts = lasts.filter(|lasts| (1..=21_600).contains(lasts));
        let Some(lasts) = lasts else { return text(400, "no time to live".into()) };
        let token = ids.next("metadata-token-");
        metadata.tokens.insert(token.clone(), Timestamp(now.0 + lasts));
        return text(200, token);
    }
    let token = request.header("x-aliyun-ecs-metadata-token");
    let until = token.and_then(|token| metadata.tokens.get(token));
    if until.is_none_or(|until| *until <= now) && (metadata.hardened || token.is_some()) {
        return text(403, "Forbidden".into());
    }
    let asked = request.path.strip_prefix(CREDENTIALS);
    match (asked, &metadata.role) {
        (Some(""), Some(role)) => text(200, role.clone()),
        (Some(asked), Some(role)) if asked == role => {
            let arn = format!("acs:ram::{ACCOUNT}:role/{role}");
            let mut session = access.session(&arn, Timestamp(now.0 + LASTS), ids);
            session["LastUpdated"] = now.to_string().into();
            session["Code"] = "Success".into();
            json_answer(200, &session)
        }
        _ => text(404, "Not Found".into()),
    }
}
