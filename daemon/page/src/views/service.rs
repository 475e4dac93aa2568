//! One service: its day, and what was decided.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use fleet::ServiceName;
use minijinja::{Value, context};
use planner::plan::Finding;
use report::Language;
use report::said::{Ending, Said};

use super::fleet::{decided, health, rate};
use super::{absent, beside, broken, encoded};
use crate::board::Past;
use crate::chart::{self, Labels};
use crate::render::Visit;
use crate::site::Site;

/// Decisions listed.
const DECISIONS: usize = 40;

/// Shows a service.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(name): Path<String>,
) -> Response {
    let known = ServiceName::new(name.clone());
    let (Some(name), Some(latest)) = (known, site.board.latest()) else {
        return absent(&site, &visit, &name);
    };
    let Some(policy) = latest.policy.services.get(&name) else {
        return absent(&site, &visit, name.as_str());
    };
    let past = site.board.past(&name);
    let labels = Labels {
        demand: visit.word("chart.demand"),
        units: visit.word("chart.units"),
        language: visit.language,
    };
    let drawn = beside(&site, {
        let (past, name) = (past.clone(), name.clone());
        move |_| Ok((chart::demand(&past, &labels)?, chart::units(&past, &name, &labels)?))
    });
    let (demand, units) = match drawn.await {
        Ok(charts) => charts,
        Err(error) => return broken(&site, &visit, &error),
    };
    let findings: Vec<&Finding> = latest.findings(&name).collect();
    let seen = latest.turn.snapshot.services.get(&name);
    // What keeps newer samples away is told before the old ones are stale.
    let unread = seen.and_then(|seen| seen.demand.fault.as_ref());
    let unread =
        unread.map(|fault| context! { what => "note", text => fault.said(visit.language) });
    let found = findings.iter().map(|finding| {
        context! { what => finding.what.verb(), text => finding.hold.said(visit.language) }
    });
    let told: Vec<Value> = found.chain(unread).collect();
    let group = seen.and_then(|seen| seen.group.as_ref().ok());
    let (forecast, forecast_class) = health(seen, &findings, &visit);
    let doubted = findings.iter().any(|finding| finding.hold.doubts_demand());
    let action = latest.action(&name);
    let model = seen.and_then(|seen| seen.forecast.as_ref().ok()).map(|f| f.model.clone());
    let of = context! {
        name => name.as_str(),
        href => format!("/service/{}", encoded(name.as_str())),
        service_mode => latest.mode(&name).to_string(),
        cycle => latest.turn.id.to_string(),
        group => group.map(|group| group.id.to_string()),
        demand_now => seen.and_then(|s| s.demand.settled).map(|point| rate(point.value)),
        in_service => group.map(|group| group.in_service.0),
        desired => group.map(|group| group.desired.0),
        bounds => group.map(|group| format!("{}–{}", group.min.0, group.max.0)),
        capacity => latest.capacity.get(&name).map(|capacity| rate(*capacity)),
        budget => format!("{}%", policy.violation_budget.fraction() * 100.0),
        action => action.map(|action| decided(action, &visit)),
        dry_run => action.is_some_and(|action| action.dry_run),
        decisions => decisions(&past, &name, visit.language),
        points => table(&past),
        charts => !past.points.is_empty(),
        demand_chart => Value::from_safe_string(demand),
        units_chart => Value::from_safe_string(units),
        told, doubted, forecast, forecast_class, model,
    };
    site.page(&visit, "service.html", of)
}

fn decisions(past: &Past, name: &ServiceName, language: Language) -> Vec<Value> {
    let newest = past.decisions.iter().rev().take(DECISIONS);
    newest
        .map(|decision| {
            context! {
                at => decision.at.to_string(),
                change => decision.change.said(language),
                up => decision.change.is_increase(),
                dry_run => decision.dry_run,
                reason => decision.reason.said(language),
                ending => decision.ending.as_deref().map(|end| Ending(end).said(language)),
                href => format!("/decision/{}/{}", decision.cycle, encoded(name.as_str())),
            }
        })
        .collect()
}

/// What the charts show, by the hour, for those who cannot see them.
fn table(past: &Past) -> Vec<Value> {
    let mut hours = Vec::new();
    let mut last = None;
    for point in past.points.iter().rev() {
        let hour = point.at.0.div_euclid(3600);
        if last == Some(hour) {
            continue;
        }
        last = Some(hour);
        let number = |value: f32| rate(f64::from(value));
        hours.push(context! {
            at => point.at.to_string(),
            demand => point.demand.map(number),
            low => point.next.map(|next| number(next[0])),
            high => point.next.map(|next| number(next[2])),
            in_service => point.in_service,
            desired => point.desired,
        });
    }
    hours
}
