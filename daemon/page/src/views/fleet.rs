//! The fleet: a line a service, those first that want a look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use fleet::ServiceName;
use minijinja::context;
use minijinja::value::Serde;
use planner::Milli;
use planner::plan::{Action, Finding, Hold};
use planner::snapshot::Observation;
use report::said::Said as _;
use report::{self, Reason};
use serde::{Deserialize, Serialize};

use super::encoded;
use crate::board::{Latest, Past};
use crate::render::Visit;
use crate::site::Site;

/// Lines of a page.
const LINES: usize = 50;

/// What is looked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct FleetQuery {
    /// A part of the name.
    q: String,
    /// Only what wants a look.
    only: String,
    page: usize,
}

/// A service in one line.
#[derive(Serialize)]
struct Line {
    name: String,
    href: String,
    mode: String,
    wants_a_look: bool,
    demand: Option<String>,
    band: Option<String>,
    in_service: Option<u32>,
    desired: Option<u32>,
    verdict: String,
    last: Option<Last>,
    saved_percent: Option<String>,
    forecast: String,
    forecast_class: &'static str,
}

#[derive(Serialize)]
struct Last {
    at: String,
    change: String,
    dry_run: bool,
    href: String,
}

/// What a plan says of each service, looked up once.
struct Said<'a> {
    actions: BTreeMap<&'a ServiceName, &'a Action>,
    findings: BTreeMap<&'a ServiceName, Vec<&'a Finding>>,
}

impl<'a> Said<'a> {
    fn of(latest: &'a Latest) -> Said<'a> {
        let plan = &latest.turn.plan;
        let mut findings: BTreeMap<&ServiceName, Vec<&Finding>> = BTreeMap::new();
        for finding in &plan.findings {
            if let Some(service) = &finding.service {
                findings.entry(service).or_default().push(finding);
            }
        }
        let actions = plan.actions.iter().map(|action| (&action.service, action)).collect();
        Said { actions, findings }
    }

    fn findings(&self, service: &ServiceName) -> &[&'a Finding] {
        self.findings.get(service).map_or(&[], Vec::as_slice)
    }

    fn wants_a_look(&self, service: &ServiceName) -> bool {
        let telling = |finding: &&Finding| !report::is_routine(&finding.hold);
        let nothing = !self.actions.contains_key(service) && self.findings(service).is_empty();
        nothing || self.findings(service).iter().any(telling)
    }
}

/// Shows the fleet.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(asked): Query<FleetQuery>,
) -> Response {
    let Some(latest) = site.board.latest() else {
        let (title, text) = (visit.word("fleet.title"), visit.word("fleet.no_cycle"));
        return site.say(axum::http::StatusCode::OK, &visit, title, text);
    };
    let said = Said::of(&latest);
    let all = latest.policy.services.keys();
    let wanted: BTreeSet<&ServiceName> =
        all.clone().filter(|name| said.wants_a_look(name)).collect();
    let needle = asked.q.to_lowercase();
    let mut names: Vec<&ServiceName> = all
        .clone()
        .filter(|name| name.as_str().to_lowercase().contains(&needle))
        .filter(|name| asked.only != "look" || wanted.contains(name))
        .collect();
    names.sort_by_key(|name| (!wanted.contains(*name), *name));
    let pages = names.len().div_ceil(LINES).max(1);
    let page = asked.page.clamp(1, pages);
    let shown = names.iter().skip((page - 1) * LINES).take(LINES);
    let lines: Vec<Line> = site.board.pasts(|pasts| {
        let line = |name: &&ServiceName| line(&latest, &said, pasts.get(*name), name, &visit);
        shown.map(line).collect()
    });
    let fleet: Vec<String> = latest
        .turn
        .plan
        .findings
        .iter()
        .filter(|finding| finding.service.is_none())
        .map(|finding| finding.hold.said(visit.language))
        .collect();
    let money = latest.money.lines();
    let money: Vec<String> = money.iter().map(|line| line.said(visit.language)).collect();
    let of = context! {
        money => Serde(&money),
        services => latest.policy.services.len(),
        matching => names.len(),
        wanted => wanted.len(),
        actions => latest.turn.plan.actions.len(),
        unresolved => latest.unresolved,
        took_ms => latest.took.as_millis() as u64,
        lines => Serde(&lines),
        asked => Serde(&asked),
        fleet, page, pages,
    };
    site.page(&visit, "fleet.html", of)
}

fn line(
    latest: &Latest,
    said: &Said<'_>,
    past: Option<&Past>,
    name: &ServiceName,
    visit: &Visit,
) -> Line {
    let seen = latest.turn.snapshot.services.get(name);
    let group = seen.and_then(|seen| seen.group.as_ref().ok());
    let point = past.and_then(|past| past.points.back());
    let band = point
        .and_then(|point| point.next)
        .map(|next| format!("{}–{}", rate(f64::from(next[0])), rate(f64::from(next[2]))));
    let verdict = match (said.actions.get(name), said.findings(name).first()) {
        (Some(action), _) => decided(action, visit),
        (None, Some(finding)) => finding.hold.said(visit.language),
        (None, None) => visit.word("fleet.unseen").to_owned(),
    };
    let last = past.and_then(|past| past.decisions.back()).map(|decision| Last {
        at: decision.at.to_string(),
        change: decision.change.said(visit.language),
        dry_run: decision.dry_run,
        href: format!("/decision/{}/{}", decision.cycle, encoded(name.as_str())),
    });
    let (forecast, forecast_class) = health(seen, said.findings(name), visit);
    Line {
        name: name.to_string(),
        href: format!("/service/{}", encoded(name.as_str())),
        mode: latest.mode(name).to_string(),
        wants_a_look: said.wants_a_look(name),
        demand: seen.and_then(|seen| seen.demand.settled).map(|point| rate(point.value)),
        band,
        in_service: group.map(|group| group.in_service.0),
        desired: group.map(|group| group.desired.0),
        verdict,
        last,
        saved_percent: past
            .and_then(Past::saved_against_peak)
            .map(|share| format!("{:.0}%", share * 100.0)),
        forecast,
        forecast_class,
    }
}

/// What is changed, and why.
pub(super) fn decided(action: &Action, visit: &Visit) -> String {
    let (change, reason) = (&action.change, Reason::of(&action.sizing));
    let colon = visit.word("colon");
    format!("{}{colon}{}", change.said(visit.language), reason.said(visit.language))
}

/// How the forecast does, in a word or a number.
pub(super) fn health(
    seen: Option<&Observation>,
    findings: &[&Finding],
    visit: &Visit,
) -> (String, &'static str) {
    let distrusted =
        findings.iter().any(|finding| matches!(finding.hold, Hold::ForecastDistrusted { .. }));
    match seen.map(|seen| &seen.forecast) {
        None => ("–".to_owned(), "faint"),
        Some(Err(why)) => (why.said(visit.language), "faint"),
        Some(Ok(_)) if distrusted => (visit.word("forecast.distrusted").to_owned(), "bad"),
        Some(Ok(forecast)) if forecast.last_value_loss_milli > Milli::ZERO => {
            let loss = forecast.recent_loss_milli.get() / forecast.last_value_loss_milli.get();
            (format!("{loss:.2} {}", visit.word("forecast.of_last_value")), "good")
        }
        Some(Ok(_)) => (visit.word("forecast.young").to_owned(), "faint"),
    }
}

/// A rate as people read it.
pub(super) fn rate(value: f64) -> String {
    report::rate(Milli::per_second(value))
}
