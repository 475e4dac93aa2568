//! What people answer on the page: the same as `neap approve` and its like, under the name that
//! their token carries.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::Response;
use fleet::{RuleName, Seconds, Timestamp};
use planner::idle::snapshot::Ask;
use report::StageWish;
use report::said::Said;
use report::{Answer, Asking};
use serde::Deserialize;

use super::render::Visit;
use super::site::Site;

/// A form with an answer.
#[derive(Deserialize)]
pub(super) struct Given {
    /// What is done: `approve`, `reject`, `exempt`, `wake`, `release`; of services `promote`, `demote`,
    /// `demote_all`, `acknowledge`.
    verb: String,
    /// The approval, the resource, the rule or the service.
    subject: String,
    #[serde(default)]
    days: Option<u32>,
    /// What exactly is promoted: void once the world has moved.
    #[serde(default)]
    offer: Option<String>,
}

impl Given {
    /// What it asks for; `now` is when the newest cycle looked.
    fn ask(&self, now: Timestamp) -> Option<Asking> {
        let subject = self.subject.clone();
        let until = || {
            let days = self.days.filter(|days| (1..=366).contains(days))?;
            Some(now + Seconds::days(u64::from(days)))
        };
        Some(match self.verb.as_str() {
            "approve" => Ask::Approve { id: subject }.into(),
            "reject" => Ask::Reject { id: subject }.into(),
            "exempt" => Ask::Exempt { resource: subject, until: until()? }.into(),
            "wake" => Ask::Wake { resource: subject, until: until()? }.into(),
            "release" => Ask::Release { rule: RuleName(subject) }.into(),
            "promote" => {
                let offer = self.offer.clone();
                StageWish::Promote { name: subject, share: None, offer, anyway: false }.into()
            }
            "demote" => StageWish::Demote { name: subject }.into(),
            "demote_all" => StageWish::DemoteAll.into(),
            "acknowledge" => StageWish::Acknowledge { name: subject }.into(),
            _ => return None,
        })
    }
}

/// Takes an answer of somebody who may give it.
pub(super) async fn take(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Form(given): Form<Given>,
) -> Response {
    let Some(name) = visit.caller.as_ref().and_then(|caller| caller.approver()) else {
        let text = visit.word("answer.no_right");
        return site.say(StatusCode::FORBIDDEN, &visit, visit.word("answer.refused"), text);
    };
    let now = site.board.latest().map(|latest| latest.turn.snapshot.taken_at);
    let Some(ask) = now.and_then(|now| given.ask(now)) else {
        let text = visit.word("answer.no_sense");
        return site.say(StatusCode::BAD_REQUEST, &visit, visit.word("answer.refused"), text);
    };
    let (status, title, text) = match site.tell(ask, name).await {
        Some(Answer::Taken { about, by }) => {
            let about = about.said(visit.language);
            let (colon, taken) = (visit.word("colon"), visit.word("answer.by"));
            (StatusCode::OK, "answer.taken", format!("{about}{colon}{taken} {by}"))
        }
        Some(Answer::Refused { why }) => {
            (StatusCode::CONFLICT, "answer.refused", why.said(visit.language))
        }
        None => {
            let text = visit.word("answer.waits").to_owned();
            (StatusCode::ACCEPTED, "answer.waits_title", text)
        }
    };
    site.say(status, &visit, visit.word(title), &text)
}
