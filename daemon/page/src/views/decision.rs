//! The whole story of one decision, or of one that was not taken.

use std::sync::Arc;

use ::journal::{CycleId, Intent, JournalFault, RecordId};
use axum::extract::{Path, State};
use axum::response::Response;
use fleet::ServiceName;
use minijinja::{Value, context};
use report::Language;
use report::explanation::{explained, json, lines};
use report::said::{Ending, Said};

use super::{absent, beside, broken, encoded};
use crate::render::Visit;
use crate::site::Site;

/// Lines of the story.
const LINES: usize = 24;

struct DecisionShown {
    at: String,
    lines: Vec<Value>,
    trade: Vec<Value>,
    orders: Vec<Value>,
    json: String,
}

/// Shows it.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path((cycle, name)): Path<(String, String)>,
) -> Response {
    let id = cycle.parse::<RecordId>().ok().map(CycleId);
    let (Some(id), Some(service)) = (id, ServiceName::new(name.clone())) else {
        return absent(&site, &visit, &format!("{cycle} {name}"));
    };
    let language = visit.language;
    let told = beside(&site, move |site| told(site, id, &service, language)).await;
    match told {
        Ok(Some(told)) => {
            let of = context! {
                href => format!("/service/{}", encoded(&name)),
                at => told.at,
                lines => told.lines,
                trade => told.trade,
                orders => told.orders,
                json => told.json,
                name, cycle,
            };
            site.page(&visit, "decision.html", of)
        }
        Ok(None) => absent(&site, &visit, &format!("{cycle} {name}")),
        Err(error) => broken(&site, &visit, &error),
    }
}

fn told(
    site: &Site,
    id: CycleId,
    service: &ServiceName,
    language: Language,
) -> anyhow::Result<Option<DecisionShown>> {
    let reader = site.reader();
    let explanation = match site.explained(&reader, id, service)? {
        Some(explanation) => explanation,
        None => {
            let cycle = match reader.cycle(id) {
                Ok(cycle) => cycle,
                Err(JournalFault::NoSuch { .. }) => return Ok(None),
                Err(fault) => return Err(fault.into()),
            };
            if !cycle.snapshot.services.contains_key(service) {
                return Ok(None);
            }
            explained(&reader, &cycle, service, false)?
        }
    };
    let intents = reader.intents(id)?.into_iter().filter(|intent| &intent.service == service);
    let outcomes = reader.outcomes(id)?;
    let ended = |intent: &Intent| outcomes.iter().rfind(|outcome| outcome.id == intent.id);
    let orders: Vec<_> = intents.map(|intent| (ended(&intent), intent)).collect();
    let result = orders.iter().rev().find_map(|(ended, _)| ended.map(|end| end.result.clone()));
    // An action is a verdict of its own.
    let since = explanation.action.as_ref().map(|_| explanation.taken_at);
    let explanation = explanation.ended(result, since);
    let trade = explanation.sizing().and_then(|sizing| sizing.trade);
    let trade = trade.map_or_else(Vec::new, |trade| {
        let units = trade.units.0;
        let sizes = [units.saturating_sub(1), units, units + 1];
        let row = |(at, share): (usize, &u32)| {
            let usd = trade
                .unit_usd_micro_hourly
                .map(|micro| format!("{:.2}", micro as f64 * f64::from(sizes[at]) / 1e6));
            let missed = format!("{:.2}%", f64::from(*share) / 1e4);
            context! { units => sizes[at], missed, usd, chosen => at == 1 }
        };
        trade.violations_millionths.iter().enumerate().map(row).collect()
    });
    let orders = orders
        .into_iter()
        .map(|(ended, intent)| {
            context! {
                id => intent.id.to_string(),
                at => intent.at.to_string(),
                change => intent.change.said(language),
                group => intent.group.to_string(),
                ended => ended.map(|outcome| Ending(&outcome.result).said(language)),
            }
        })
        .collect();
    let told = lines(&explanation, LINES);
    let lines = told.iter().map(|l| context! { label => l.label(), text => l.said(language) });
    Ok(Some(DecisionShown {
        at: explanation.taken_at.to_string(),
        lines: lines.collect(),
        trade,
        orders,
        json: format!("{:#}", json(&explanation, Some(id))),
    }))
}
