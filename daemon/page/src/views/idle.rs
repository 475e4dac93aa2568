//! Idle resources: verdicts, marks, savings, and the answers that people owe.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use axum::extract::{Query, State};
use axum::response::Response;
use fleet::usage::Code;
use fleet::{RuleName, Seconds, Timestamp};
use minijinja::value::Serde;
use minijinja::{Value, context};
use report::Language;
use report::idle::rows::{Row, savings};
use report::idle::story;
use report::said::{Said, evidence, saved, sum, verdict};
use serde::{Deserialize, Serialize};

use super::review::offered;
use super::{absent, beside, broken, encoded};
use crate::chart;
use crate::render::Visit;
use crate::site::Site;

/// Lines of a page.
const LINES: usize = 50;
/// Days of scorecards, beside the one that is not over.
const SCORED_DAYS: u64 = 27;
/// Days of a sparkline.
const SPARK_DAYS: i64 = 35;

/// What is looked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct IdleQuery {
    q: String,
    rule: String,
    /// `waits`, `telling` (the default) or `all`.
    only: String,
    page: usize,
}

/// Lists them.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(asked): Query<IdleQuery>,
) -> Response {
    let idle = match beside(&site, |site| Ok(site.idle()?)).await {
        Ok(idle) => idle,
        Err(error) => return broken(&site, &visit, &error),
    };
    let Some(looked_at) = idle.looked_at else {
        let (title, text) = (visit.word("idle.title"), visit.word("idle.no_look"));
        return site.say(axum::http::StatusCode::OK, &visit, title, text);
    };
    let rules: BTreeSet<&str> = idle.rows.iter().map(|row| row.rule.name()).collect();
    let needle = asked.q.to_lowercase();
    let fits = |row: &&Row| {
        let named = row.resource.id.to_lowercase().contains(&needle)
            || row.name.to_lowercase().contains(&needle);
        let chosen = match asked.only.as_str() {
            "all" => true,
            "waits" => row.approval.is_some(),
            _ => row.is_telling(),
        };
        named && chosen && (asked.rule.is_empty() || row.rule.name() == asked.rule)
    };
    let mut fitting: Vec<&Row> = idle.rows.iter().filter(fits).collect();
    // What waits for somebody first, then what saves most.
    let worth = |row: &Row| row.saving.as_ref().and_then(|saving| saving.hourly_micro);
    fitting.sort_by_key(|row| {
        (row.approval.is_none(), std::cmp::Reverse(worth(row)), row.resource.place())
    });
    let pages = fitting.len().div_ceil(LINES).max(1);
    let page = asked.page.clamp(1, pages);
    let lines: Vec<Value> = fitting
        .iter()
        .skip((page - 1) * LINES)
        .take(LINES)
        .map(|row| line(row, visit.language))
        .collect();
    let money = savings(&idle.rows, looked_at);
    let from = looked_at - Seconds::days(SCORED_DAYS);
    let of = context! {
        looked_at => looked_at.to_string(),
        resources => idle.rows.len(),
        matching => fitting.len(),
        waiting => idle.rows.iter().filter(|row| row.approval.is_some()).count(),
        found => sum(&money.found, visit.language),
        marked => sum(&money.marked, visit.language),
        realised => sum(&money.realised, visit.language),
        rule_cards => rule_cards(&site, from, visit.language),
        from => from.to_string().split('T').next().unwrap_or_default(),
        rules => rules.into_iter().map(Value::from).collect::<Vec<_>>(),
        asked => Serde(&asked),
        lines, page, pages,
    };
    site.page(&visit, "idle.html", of)
}

/// What every rule has done or would have, and how far it is on its way to acting.
fn rule_cards(site: &Site, from: Timestamp, language: Language) -> Vec<Value> {
    let latest = site.board.latest();
    let Some(scores) = site.board.rule_scores() else { return Vec::new() };
    let scores = scores.read().unwrap_or_else(PoisonError::into_inner);
    let line = |name: &RuleName| {
        let (card, _) = scores.since(name, from);
        let offer = latest.as_ref().and_then(|latest| latest.rule_offers.get(name));
        context! {
            name => name.0.as_str(),
            stops => card.stops,
            wrong => card.wrong,
            down_hours => format!("{:.1}", card.down_hours()),
            saved => saved(&card, language),
            by_others => card.stopped_by_others,
            kept_running => card.kept_running,
            offer => offer.map(|offer| offered(offer, language)),
        }
    };
    scores.newest().map(line).collect()
}

fn line(row: &Row, language: Language) -> Value {
    context! {
        id => row.resource.id.as_str(),
        whole => row.resource.to_string(),
        place => format!("{}/{}", row.resource.provider, row.resource.region),
        name => row.name.as_str(),
        class => row.class.as_deref(),
        rule => row.rule.name(),
        verdict => verdict(row, language),
        stage => row.stage.said(language),
        approval => row.approval.as_deref(),
        holds => row.holds.iter().map(|hold| hold.said(language)).collect::<Vec<_>>(),
        evidence => evidence(row, language),
        monthly => row.monthly(),
        href => format!("/idle/story?id={}", encoded(&row.resource.to_string())),
    }
}

/// Which resource.
#[derive(Deserialize)]
pub(crate) struct Which {
    id: String,
}

/// Tells the story of one.
pub(crate) async fn story(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(which): Query<Which>,
) -> Response {
    let id = which.id.clone();
    let language = visit.language;
    let told = beside(&site, move |site| {
        let reader = site.reader();
        let Some(story) = story::of(&reader, &id, Timestamp(i64::MAX / 2))? else {
            return Ok(None);
        };
        let idle = site.idle()?;
        let mine = |row: &&Row| row.resource.to_string() == id || row.resource.id == id;
        let rows: Vec<&Row> = idle.rows.iter().filter(mine).collect();
        let sparks = rows.first().map_or(Ok(Vec::new()), |row| sparks(&reader, row))?;
        let lines: Vec<Value> = rows.iter().map(|row| line(row, language)).collect();
        let told: Vec<String> = story.lines().iter().map(|line| line.said(language)).collect();
        Ok(Some((told.join("\n"), lines, sparks)))
    });
    match told.await {
        Ok(Some((text, lines, sparks))) => {
            let id = which.id;
            site.page(&visit, "resource.html", context! { id, text, lines, sparks })
        }
        Ok(None) => absent(&site, &visit, &which.id),
        Err(error) => broken(&site, &visit, &error),
    }
}

/// The most of each day, a line a signal.
fn sparks(reader: &::journal::Reader, row: &Row) -> anyhow::Result<Vec<Value>> {
    let today = reader.end()?.unwrap_or(Timestamp(0)).0.div_euclid(86_400);
    let first = today - SPARK_DAYS;
    let mut days = std::collections::BTreeMap::new();
    reader.visit_usage(first, &mut |id, signal, day, hours| {
        if *id != row.resource || !(first..=today).contains(&day) {
            return;
        }
        let most = hours.codes().into_iter().filter_map(Code::value).reduce(f64::max);
        let line = days.entry(signal).or_insert_with(|| vec![None; SPARK_DAYS as usize + 1]);
        if let (Some(most), Ok(at)) = (most, usize::try_from(day - first)) {
            line[at] = Some(most as f32);
        }
    })?;
    Ok(days
        .into_iter()
        .map(|(signal, values)| {
            let top = values.iter().flatten().copied().fold(0.0_f32, f32::max);
            context! {
                signal => signal.to_string(),
                top => format!("{top:.1}"),
                svg => Value::from_safe_string(chart::spark(&values)),
            }
        })
        .collect())
}
