//! What a sound configuration allows and may not mean.

mod rates;

use config::calendars::Calendars;
use config::{ApiBudget, Config, ProviderConfig, Viewing};
use fleet::ServiceName;
use fleet::metric::{Statistic, WhenMissing};
use planner::policy::{Actuate, CapacityPerUnit, Mode, ServicePolicy};
use serde::Serialize;

use super::cost::{Cost, FreeCalls};
use crate::app::{Exposed, exposed};
use crate::store::CENSORED_FROM_PERCENT;

/// A target nearer to the limit of a full sample than this is full whenever demand wavers.
const TARGET_MAX_PERCENT: f64 = CENSORED_FROM_PERCENT - 5.0;

/// Something that is allowed and may not be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Advice {
    pub(super) severity: Severity,
    pub(super) about: String,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Warning,
    Suggestion,
}

pub(super) fn general_advice(config: &Config, costs: &[Cost]) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut warn = |about: &str, text: String| {
        advice.push(Advice { severity: Severity::Warning, about: about.to_owned(), text });
    };
    if let Some(page) = config.page.as_ref().filter(|page| !page.listen.ip().is_loopback())
        && page.viewing == Viewing::Open
    {
        let listen = page.listen;
        warn(
            "page",
            format!("whoever reaches `{listen}` may look: `viewing = \"token\"` asks who"),
        );
    }
    let of_alerts = config.alerts.iter().flat_map(|alert| {
        alert.secrets().map(move |secret| (format!("alert {}", alert.name), secret))
    });
    let of_traces = config.trace.iter().filter_map(|trace| trace.headers.as_ref());
    let secrets = of_alerts.chain(of_traces.map(|secret| ("trace".to_owned(), secret)));
    for (about, secret) in secrets.filter(|(_, secret)| !secret.is_readable()) {
        let path = secret.path().display();
        let text = format!(
            "`{path}` cannot be read from here: the daemon must be able to, or it does not start"
        );
        warn(&about, text);
    }
    for Exposed { about, file, who, remedy } in exposed(config) {
        let path = file.path().display();
        warn(&about, format!("{who} may read `{path}`: `{remedy} {path}`"));
    }
    for (name, provider) in &config.providers {
        let about = format!("provider {name}");
        let cost = costs.iter().find(|cost| cost.provider == *name);
        let (url, over) = match provider {
            ProviderConfig::Alibaba(alibaba) => {
                let limit = alibaba.metric_calls_monthly;
                (&alibaba.endpoint_url, cost.and_then(|cost| over_free_calls(cost, limit)))
            }
            ProviderConfig::Aws(aws) => {
                (&aws.endpoint_url, cost.and_then(|cost| over_budget(cost, aws.api_budget)))
            }
            // Its address is judged with its credentials, where it is read.
            ProviderConfig::Prometheus(_) | ProviderConfig::Sim(_) => continue,
        };
        let url = url.as_deref().unwrap_or_default();
        if url.starts_with("http://") && !is_local(url) {
            warn(&about, format!("`{url}` is not encrypted: credentials' signatures go in clear"));
        }
        if let Some(text) = over {
            warn(&about, text);
        }
    }
    advice
}

fn is_local(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
}

fn over_free_calls(cost: &Cost, limit: u64) -> Option<String> {
    let FreeCalls { expected, free } = cost.free_calls?;
    if expected > limit {
        return Some(format!(
            "{expected} metric calls a month are expected and `metric_calls_per_month` is {limit}: \
             neap will read less often than `poll_interval`"
        ));
    }
    (expected > free).then(|| {
        format!(
            "{expected} metric calls a month are expected and {free} are free: without \
             pay-as-you-go CloudMonitor refuses the rest"
        )
    })
}

fn over_budget(cost: &Cost, budget: ApiBudget) -> Option<String> {
    let read = cost.metrics_read_monthly;
    if let Some(limit) = budget.metrics_monthly.filter(|limit| read > *limit) {
        return Some(format!(
            "{read} metrics a month are expected and `metrics_per_month` is {limit}: neap will read \
             less often than `poll_interval`"
        ));
    }
    let usd = budget.usd_micros_monthly? as f64 / 1e6;
    (cost.usd_monthly > usd).then(|| {
        format!(
            "{:.2} USD a month are expected and `usd_per_month` is {usd:.2}: neap will read less \
             often than `poll_interval`",
            cost.usd_monthly
        )
    })
}

pub(super) fn service_advice(
    config: &Config,
    name: &ServiceName,
    service: &ServicePolicy,
) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |severity, text: String| {
        advice.push(Advice { severity, about: format!("service {name}"), text });
    };
    for query in service.demand.iter().filter(|query| !query.is_made()) {
        if config::known_sparse(query) && query.when_missing == WhenMissing::Unknown {
            let metric = &query.metric;
            let text = format!(
                "`{metric}` reports nothing at zero: `when_missing = \"zero\"` tells a quiet hour \
                 from a lost metric"
            );
            add(Severity::Suggestion, text);
        }
        let total = matches!(query.statistic, Statistic::Sum | Statistic::SampleCount);
        if !total && !config::known_rate(query) {
            let text = format!(
                "demand is total load, and `{}` of `{}` does not grow with it",
                query.statistic, query.metric
            );
            add(Severity::Warning, text);
        }
    }
    for text in rates::doubts(config, service) {
        add(Severity::Warning, text);
    }
    let target = service.pool.target_utilisation;
    let learns = service.pool.capacity_per_unit == CapacityPerUnit::Learn;
    let measures = learns || service.busy_units().is_some();
    if measures && target.fraction() * 100.0 >= TARGET_MAX_PERCENT {
        let text = format!(
            "`target_utilisation` is {target}, and from {CENSORED_FROM_PERCENT}% on a sample counts \
             as full: nothing is removed then, and more is ordered"
        );
        add(Severity::Warning, text);
    }
    let acts = config.policy.mode == Mode::Act && service.mode == Mode::Act;
    if acts && service.pool.actuate == Some(Actuate::Desired) {
        let text = "`actuate = \"desired\"` needs a group without scale-in policies of its own; \
                    `neap plan` reads whether it has any";
        add(Severity::Warning, text.to_owned());
    }
    let ceiling = config.policy.spend_ceiling_usd_milli_hourly;
    if ceiling.is_some() && service.pool.price_usd_hourly.is_none() {
        let text = "no `price_usd_hourly`: its cost does not count towards `spend_usd_hourly`";
        add(Severity::Warning, text.to_owned());
    }
    if acts && service.pool.max.is_none() {
        let text = "no `max`: the group's own maximum alone limits growth and spending";
        add(Severity::Warning, text.to_owned());
    }
    if service.signals == planner::policy::Signals::default() {
        let text = "no `signals`: an outage of this service alone looks like a quiet hour";
        add(Severity::Suggestion, text.to_owned());
    }
    advice
}

/// Floors that a service's own maximum cuts.
pub(super) fn floors_beyond(
    calendars: &Calendars,
    name: &ServiceName,
    service: &ServicePolicy,
) -> Vec<Advice> {
    let Some(max) = service.pool.max else { return Vec::new() };
    let beyond = calendars.events(name).filter_map(|event| {
        let floor = event.floor.filter(|floor| floor.units > max)?;
        Some(Advice {
            severity: Severity::Warning,
            about: format!("service {name}"),
            text: format!("event `{}` asks for {}, and `max` is {max}", event.name, floor.units),
        })
    });
    beyond.collect()
}
