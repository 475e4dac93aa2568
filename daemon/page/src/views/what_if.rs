//! What another budget, other bounds or another lead time would have cost and missed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::response::Response;
use fleet::{Seconds, ServiceName, Timestamp, Units};
use minijinja::value::Serde;
use minijinja::{Value, context};
use planner::policy::{Policy, Share};
use serde::{Deserialize, Serialize};
use shadow::{Account, as_if_act, what_if};

use super::review::change;
use super::{beside, broken, encoded};
use crate::render::Visit;
use crate::site::Site;

/// How long the computing may take; what there is by then is shown, and said to be a part.
const WITHIN: Duration = Duration::from_secs(20);
/// Hours that can be asked for.
const HOURS: [u32; 4] = [3, 6, 12, 24];

/// What is asked.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct WhatIfQuery {
    service: String,
    budget_percent: String,
    min: String,
    max: String,
    lead_seconds: String,
    hours: u32,
}

/// A form's field that makes no sense: its word, and what was found.
struct Nonsense(&'static str, String);

/// The answer to a question.
struct WhatIfShown {
    rows: Vec<(&'static str, Account)>,
    from: Timestamp,
    until: Option<Timestamp>,
    cycles: u64,
    broken_off: bool,
    took: Duration,
    questioned: usize,
}

/// Shows the form, and the answer where one was asked for.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(mut asked): Query<WhatIfQuery>,
) -> Response {
    let Some(latest) = site.board.latest() else {
        let (title, text) = (visit.word("what_if.title"), visit.word("fleet.no_cycle"));
        return site.say(axum::http::StatusCode::OK, &visit, title, text);
    };
    if !HOURS.contains(&asked.hours) {
        asked.hours = HOURS[1];
    }
    let name = ServiceName::new(asked.service.clone());
    let name = name.filter(|name| latest.policy.services.contains_key(name));
    let mut fault = None;
    let mut answer = None;
    if let Some(name) = &name {
        let present = only(&latest.policy, name);
        fill(&mut asked, &present, name);
        match changed(&present, name, &asked) {
            Err(Nonsense(field, found)) => {
                fault = Some(format!("{}: {found}", visit.word(field)));
            }
            Ok(other) => {
                let now = latest.turn.snapshot.taken_at;
                let range = now - Seconds::hours(u64::from(asked.hours))..now + Seconds(1);
                let (name, present) = (name.clone(), present.clone());
                let computed =
                    beside(&site, move |site| told(site, range, &name, &present, &other));
                match computed.await {
                    Ok(told) => answer = Some(told),
                    Err(error) => return broken(&site, &visit, &error),
                }
            }
        }
    } else if !asked.service.is_empty() {
        fault = Some(format!("{}: {}", visit.word("service"), asked.service));
    }
    let of = context! {
        hour_choices => HOURS.to_vec(),
        names => latest.policy.services.keys().take(500).map(|n| n.as_str().to_owned()).collect::<Vec<_>>(),
        href => name.map(|name| format!("/service/{}", encoded(name.as_str()))),
        asked => Serde(&asked),
        answer => answer.map(|told| shown(&told)),
        fault,
    };
    site.page(&visit, "what_if.html", of)
}

/// The policy as if it acted, for one service alone: nothing else is decided again.
fn only(policy: &Policy, name: &ServiceName) -> Policy {
    let mut policy = as_if_act(policy);
    policy.services.retain(|known, _| known == name);
    policy
}

/// Empty fields show what is in force.
fn fill(asked: &mut WhatIfQuery, policy: &Policy, name: &ServiceName) {
    let Some(service) = policy.services.get(name) else { return };
    let empty = |field: &mut String, value: String| {
        if field.trim().is_empty() {
            *field = value;
        }
    };
    let percent = service.violation_budget.fraction() * 100.0;
    empty(&mut asked.budget_percent, format!("{percent}"));
    empty(&mut asked.min, service.pool.min.0.to_string());
    empty(&mut asked.max, service.pool.max.map_or_else(String::new, |max| max.0.to_string()));
    empty(&mut asked.lead_seconds, service.pool.lead_time.0.to_string());
}

/// The policy with what the form changes.
fn changed(present: &Policy, name: &ServiceName, asked: &WhatIfQuery) -> Result<Policy, Nonsense> {
    let mut policy = present.clone();
    let Some(service) = policy.services.get_mut(name) else { return Ok(policy) };
    let nonsense = |field, found: &str| Nonsense(field, found.to_owned());
    let percent: Option<f64> = asked.budget_percent.trim().parse().ok();
    let budget = percent.and_then(|percent| Share::from_fraction(percent / 100.0));
    let budget = budget.filter(|share| (0.0..0.5).contains(&share.fraction()));
    service.violation_budget =
        budget.ok_or_else(|| nonsense("violation_budget", &asked.budget_percent))?;
    let units = |text: &str| text.trim().parse::<u32>().ok().filter(|u| *u <= 100_000).map(Units);
    service.pool.min = units(&asked.min).ok_or_else(|| nonsense("what_if.min", &asked.min))?;
    service.pool.max = match asked.max.trim() {
        "" => None,
        text => Some(units(text).ok_or_else(|| nonsense("what_if.max", text))?),
    };
    if service.pool.max.is_some_and(|max| max < service.pool.min) {
        return Err(nonsense("what_if.max", &asked.max));
    }
    let lead = asked.lead_seconds.trim().parse::<u64>().ok().filter(|s| *s <= 86_400);
    service.pool.lead_time =
        Seconds(lead.ok_or_else(|| nonsense("what_if.lead", &asked.lead_seconds))?);
    Ok(policy)
}

fn told(
    site: &Site,
    range: std::ops::Range<Timestamp>,
    name: &ServiceName,
    present: &Policy,
    other: &Policy,
) -> anyhow::Result<WhatIfShown> {
    let began = Instant::now();
    let reader = site.reader();
    let from = range.start;
    // Each has half of the time.
    let late = |share: u32| move || began.elapsed() > WITHIN * share / 2;
    let as_is = what_if(&reader, range.clone(), present, &late(1))?;
    let changed = what_if(&reader, range, other, &late(2))?;
    let of = |accounts: &std::collections::BTreeMap<ServiceName, [Account; 2]>, at: usize| {
        accounts.get(name).map(|both| both[at]).unwrap_or_default()
    };
    Ok(WhatIfShown {
        rows: vec![
            ("what_if.recorded", of(&as_is.accounts, 0)),
            ("what_if.present", of(&as_is.accounts, 1)),
            ("what_if.changed", of(&changed.accounts, 1)),
        ],
        from,
        until: changed.until.min(as_is.until),
        cycles: changed.cycles,
        broken_off: as_is.broken_off || changed.broken_off,
        took: began.elapsed(),
        questioned: changed.questioned.len(),
    })
}

fn shown(told: &WhatIfShown) -> Value {
    let recorded = told.rows.first().map_or(0.0, |(_, account)| account.unit_hours);
    let rows: Vec<Value> = told
        .rows
        .iter()
        .map(|(label, account)| {
            context! {
                label => *label,
                hours => format!("{:.1}", account.unit_hours),
                change => change(recorded, account.unit_hours),
                violated => format!("{:.2}%", account.violated_percent()),
                violations => account.violations,
                orders => account.changes,
            }
        })
        .collect();
    context! {
        from => told.from.to_string(),
        until => told.until.map(|at| at.to_string()),
        cycles => told.cycles,
        broken_off => told.broken_off,
        took_ms => told.took.as_millis() as u64,
        questioned => told.questioned,
        rows,
    }
}
