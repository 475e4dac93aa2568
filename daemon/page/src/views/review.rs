//! The dry-run review: what `act` would have done, and the decisions that a reviewer should look at
//! first.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::response::Response;
use fleet::{Seconds, ServiceName, Timestamp};
use minijinja::value::Serde;
use minijinja::{Value, context};
use report::Language;
use report::said::Said;
use serde::{Deserialize, Serialize};
use shadow::{Doubt, Offer, Questioned, Scorecard, Scores};

use super::encoded;
use crate::board::Latest;
use crate::render::Visit;
use crate::site::Site;

/// The decisions that ten minutes are spent on.
const QUESTIONED: usize = 10;
/// Lines of a page.
const LINES: usize = 50;
/// Days that can be asked for.
const DAYS: [u32; 3] = [1, 7, 28];

/// What is looked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ReviewQuery {
    days: u32,
    q: String,
    page: usize,
}

/// Shows the review.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(mut asked): Query<ReviewQuery>,
) -> Response {
    let (Some(latest), Some(scores)) = (site.board.latest(), site.board.scores()) else {
        let (title, text) = (visit.word("review.title"), visit.word("fleet.no_cycle"));
        return site.say(axum::http::StatusCode::OK, &visit, title, text);
    };
    if !DAYS.contains(&asked.days) {
        asked.days = DAYS[0];
    }
    let now = latest.turn.snapshot.taken_at;
    // The day of the moment counts whole.
    let from = now - Seconds::days(u64::from(asked.days - 1));
    let from = Timestamp(from.0 - from.0.rem_euclid(86_400));
    let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
    let cards = cards(&latest, &scores, from);
    let questioned = scores.questioned(from, QUESTIONED);
    drop(scores);
    let mut all = Scorecard::default();
    cards.values().for_each(|card| all.add(card));
    let needle = asked.q.to_lowercase();
    let mut names: Vec<&ServiceName> =
        cards.keys().copied().filter(|n| n.as_str().to_lowercase().contains(&needle)).collect();
    // What disagreed most with the scaler in charge first.
    names.sort_by_key(|name| std::cmp::Reverse(cards[*name].disagreements));
    let pages = names.len().div_ceil(LINES).max(1);
    let page = asked.page.clamp(1, pages);
    let shown = names.iter().skip((page - 1) * LINES).take(LINES);
    let lines: Vec<Value> = shown
        .map(|name| line(name, &cards[*name], latest.offers.get(*name), visit.language))
        .collect();
    let of = context! {
        day_choices => DAYS.to_vec(),
        from => planner_day(from),
        services => cards.len(),
        matching => names.len(),
        all => totals(&all),
        questioned => questioned.iter().map(|one| doubtful(one, &visit)).collect::<Vec<_>>(),
        offered => latest.offers.values().filter(|offer| offer.is_ready()).count(),
        asked => Serde(&asked),
        lines, page, pages,
    };
    site.page(&visit, "review.html", of)
}

/// The UTC day of a moment, as people write it.
fn planner_day(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

fn cards<'a>(
    latest: &'a Latest,
    scores: &Scores,
    from: Timestamp,
) -> BTreeMap<&'a ServiceName, Scorecard> {
    let names = latest.policy.services.keys();
    let card = |name: &'a ServiceName| {
        let (card, days) = scores.since(name, from);
        (days > 0).then_some((name, card))
    };
    names.filter_map(card).collect()
}

fn totals(card: &Scorecard) -> Value {
    let (actual, would) = (&card.actual, &card.would);
    let change = change(actual.unit_hours(), would.unit_hours());
    context! {
        orders_actual => actual.orders,
        orders_would => would.orders,
        violations_actual => format!("{:.2}%", actual.violated_share() * 100.0),
        violations_would => format!("{:.2}%", would.violated_share() * 100.0),
        avoided => actual.violations.saturating_sub(would.violations),
        caused => would.violations.saturating_sub(actual.violations),
        hours_actual => format!("{:.1}", actual.unit_hours()),
        hours_would => format!("{:.1}", would.unit_hours()),
        saved_percent => change,
        usd_actual => card.priced.then(|| format!("{:.2}", actual.usd())),
        usd_would => card.priced.then(|| format!("{:.2}", would.usd())),
        disagreements => card.disagreements,
        largest => card.largest_disagreement,
    }
}

/// How much more or less a number is, in percent; what nobody would see is told as none.
pub(super) fn change(from: f64, to: f64) -> Option<String> {
    let percent = 100.0 * (to / from - 1.0);
    let told = if percent.abs() < 0.05 { "±0%".to_owned() } else { format!("{percent:+.1}%") };
    (from > 0.0).then_some(told)
}

fn line(name: &ServiceName, card: &Scorecard, offer: Option<&Offer>, language: Language) -> Value {
    let offer = offer.map(|offer| offered(offer, language));
    context! {
        name => name.as_str(),
        href => format!("/service/{}", encoded(name.as_str())),
        of => totals(card),
        offer,
    }
}

/// How far something is on its way to acting.
pub(super) fn offered<Card>(offer: &Offer<Card>, language: Language) -> Value {
    context! {
        id => offer.id.as_str(),
        stage => offer.stage.said(language),
        shadows => offer.stage == planner::stage::Stage::Shadow,
        why => offer.why.said(language),
        ready => offer.is_ready(),
        missing => offer.missing.iter().map(|missing| missing.said(language)).collect::<Vec<_>>(),
    }
}

fn doubtful(one: &Questioned, visit: &Visit) -> Value {
    let doubt = visit.word(&format!("doubt.{}", one.doubt.word()));
    let units = match one.doubt {
        Doubt::TooSmall { needed } | Doubt::NeverNeeded { needed } => needed.0,
        Doubt::Differs { actual } => actual.0,
    };
    context! {
        name => one.service.as_str(),
        at => one.at.to_string(),
        change => one.change.said(visit.language),
        doubt => format!("{doubt} {units}"),
        severity => one.severity,
        href => format!("/decision/{}/{}", one.cycle, encoded(one.service.as_str())),
        service_href => format!("/service/{}", encoded(one.service.as_str())),
    }
}
