//! Metrics: datapoints as JSON inside a string, windows that leave out their start, and retention.

use std::collections::BTreeMap;

use planner::Timestamp;
use serde_json::{Map, Value, json};

use super::wire::{Refusal, Request, timestamp_of};
use crate::peers::Point;

/// Datapoints that one answer holds.
const LENGTH_MAX: i64 = 1440;
/// Resources that one call asks for.
const DIMENSIONS_MAX: usize = 50;
/// How far apart the ends of a window may be, in seconds.
const WINDOW_MAX: i64 = 31 * DAY;
const DAY: i64 = 86_400;

type Dimensions = BTreeMap<String, String>;

/// The metrics of one account.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By namespace, metric and resource: values at the start of their intervals.
    series: BTreeMap<(String, String, Dimensions), BTreeMap<i64, f64>>,
    /// How many calls are still free this month.
    pub quota: Option<u32>,
}

impl Metrics {
    pub fn put(
        &mut self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        points: &[Point],
    ) {
        let dimensions = dimensions.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let series = self.series.entry((namespace.into(), metric.into(), dimensions)).or_default();
        series.extend(points.iter().map(|point| (point.start.0, point.value)));
    }
}

/// How long values of a period are kept.
fn retention(period: i64) -> i64 {
    match period {
        ..60 => 7 * DAY,
        60..300 => 31 * DAY,
        _ => 91 * DAY,
    }
}

/// Answers a call.
pub(super) fn answer(
    request: &Request,
    metrics: &mut Metrics,
    account: &str,
    now: Timestamp,
) -> Result<Value, Refusal> {
    let operation = request.operation.as_str();
    if !["DescribeMetricList", "DescribeMetricLast", "DescribeMetricData"].contains(&operation) {
        return Err(Refusal::no_such_operation());
    }
    match &mut metrics.quota {
        Some(0) => {
            let message = "The free quota of this month is used up.";
            return Err(Refusal::new(403, "Throttling.Quota", message));
        }
        Some(left) => *left -= 1,
        None => {}
    }
    let namespace = request.required("Namespace")?;
    let metric = request.required("MetricName")?;
    let period = request.number("Period", 1..=DAY)?.unwrap_or(60);
    if ![15, 60, 300, 900, 3600, DAY].contains(&period) && period % 60 != 0 {
        return Err(request.invalid("Period", "is no multiple of 60"));
    }
    let wanted = wanted(request)?;
    let end = instant(request, "EndTime")?.unwrap_or(now.0 * 1000);
    let start = instant(request, "StartTime")?;
    let start = start.unwrap_or_else(|| match operation {
        "DescribeMetricLast" => end - 2 * 3_600_000,
        _ => end - 7 * DAY * 1000,
    });
    if start >= end {
        return Err(request.invalid("StartTime", "is not before EndTime"));
    }
    if end - start > WINDOW_MAX * 1000 {
        return Err(request.invalid("StartTime", "is more than 31 days before EndTime"));
    }
    let length = request.number("Length", 1..=LENGTH_MAX)?.unwrap_or(1000) as usize;
    let oldest = now.0 - retention(period);
    let mut found: Vec<(i64, Value)> = Vec::new();
    for ((space, name, dimensions), values) in &metrics.series {
        let meant = |wanted: &Dimensions| wanted.iter().all(|(k, v)| dimensions.get(k) == Some(v));
        let named = space == namespace && name == metric;
        if !named || !(wanted.is_empty() || wanted.iter().any(meant)) {
            continue;
        }
        let mut points = points(values, period, account, dimensions);
        points.retain(|(at, _)| *at >= oldest && *at * 1000 > start && *at * 1000 <= end);
        match operation {
            "DescribeMetricLast" => found.extend(points.pop()),
            _ => found.extend(points),
        }
    }
    found.sort_by_key(|(at, _)| *at);
    let (shown, token) = request.slice(found, length)?;
    let shown: Vec<Value> = shown.into_iter().map(|(_, point)| point).collect();
    let mut answer = json!({
        "Code": "200",
        "Period": period.to_string(),
        "Datapoints": Value::Array(shown).to_string(),
    });
    if operation != "DescribeMetricData" {
        answer["Success"] = true.into();
        if let Some(token) = token {
            answer["NextToken"] = token.into();
        }
    }
    Ok(answer)
}

/// A series in intervals of a period.
fn points(
    values: &BTreeMap<i64, f64>,
    period: i64,
    account: &str,
    dimensions: &Dimensions,
) -> Vec<(i64, Value)> {
    let mut intervals: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in values {
        intervals.entry(at.div_euclid(period) * period).or_default().push(*value);
    }
    let shown = |(at, values): (i64, Vec<f64>)| {
        let sum: f64 = values.iter().sum();
        let average = sum / values.len() as f64;
        let mut point = Map::new();
        point.insert("timestamp".into(), (at * 1000).into());
        point.insert("userId".into(), account.into());
        point.extend(dimensions.iter().map(|(k, v)| (k.clone(), v.as_str().into())));
        for (name, value) in [
            ("Sum", sum),
            ("Average", average),
            ("Value", average),
            ("Maximum", values.iter().copied().fold(f64::MIN, f64::max)),
            ("Minimum", values.iter().copied().fold(f64::MAX, f64::min)),
        ] {
            point.insert(name.into(), value.into());
        }
        (at, Value::Object(point))
    };
    intervals.into_iter().map(shown).collect()
}

/// The resources that a call asks for; none for all of them.
fn wanted(request: &Request) -> Result<Vec<Dimensions>, Refusal> {
    let Some(text) = request.text("Dimensions") else { return Ok(Vec::new()) };
    let many = serde_json::from_str::<Vec<Dimensions>>(text);
    let parsed = many.or_else(|_| serde_json::from_str(text).map(|one| vec![one]));
    let wanted =
        parsed.map_err(|_| request.invalid("Dimensions", "is no JSON array of objects"))?;
    if wanted.len() > DIMENSIONS_MAX {
        return Err(request.invalid("Dimensions", "names more than 50 resources"));
    }
    Ok(wanted)
}

/// An instant in milliseconds: as such, in UTC with a `Z`, or in the cloud's own time without.
fn instant(request: &Request, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = request.text(name) else { return Ok(None) };
    let local = || timestamp_of(&format!("{}+08:00", text.replace(' ', "T")));
    let read = text.parse().ok().or_else(|| Some(timestamp_of(text).or_else(local)?.0 * 1000));
    read.map(Some).ok_or_else(|| request.invalid(name, "is no instant"))
}
