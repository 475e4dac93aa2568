//! Metrics: datapoints as JSON inside a string, windows that leave out their start, and retention.

use std::collections::BTreeMap;

use fleet::Timestamp;
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
    let first = oldest.max(start.div_euclid(1000) + 1);
    let mut found: Vec<(Interval, &Dimensions)> = Vec::new();
    for ((space, name, dimensions), values) in &metrics.series {
        let meant = |wanted: &Dimensions| wanted.iter().all(|(k, v)| dimensions.get(k) == Some(v));
        let named = space == namespace && name == metric;
        if !named || !(wanted.is_empty() || wanted.iter().any(meant)) {
            continue;
        }
        let mut intervals = intervals(values, period, (first, end.div_euclid(1000)));
        match operation {
            "DescribeMetricLast" => found.extend(intervals.pop().map(|one| (one, dimensions))),
            _ => found.extend(intervals.into_iter().map(|one| (one, dimensions))),
        }
    }
    found.sort_by_key(|(interval, _)| interval.at);
    let (shown, token) = request.slice(found, length)?;
    let shown: Vec<Value> =
        shown.into_iter().map(|(interval, named)| interval.shown(account, named)).collect();
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

/// What the values of an interval come to.
struct Interval {
    at: i64,
    count: u32,
    sum: f64,
    maximum: f64,
    minimum: f64,
}

/// A series in intervals of a period that start in this span, both ends included.
fn intervals(values: &BTreeMap<i64, f64>, period: i64, (from, to): (i64, i64)) -> Vec<Interval> {
    let mut intervals: Vec<Interval> = Vec::new();
    for (at, value) in values.range(from.min(to)..to.saturating_add(period)) {
        let at = at.div_euclid(period) * period;
        if at < from || at > to {
            continue;
        }
        match intervals.last_mut().filter(|last| last.at == at) {
            Some(last) => {
                last.count += 1;
                last.sum += value;
                last.maximum = last.maximum.max(*value);
                last.minimum = last.minimum.min(*value);
            }
            None => {
                let (sum, maximum, minimum) = (*value, *value, *value);
                intervals.push(Interval { at, count: 1, sum, maximum, minimum });
            }
        }
    }
    intervals
}

impl Interval {
    fn shown(&self, account: &str, dimensions: &Dimensions) -> Value {
        let average = self.sum / f64::from(self.count);
        let mut point = Map::new();
        point.insert("timestamp".into(), (self.at * 1000).into());
        point.insert("userId".into(), account.into());
        point.extend(dimensions.iter().map(|(k, v)| (k.clone(), v.as_str().into())));
        for (name, value) in [
            ("Sum", self.sum),
            ("Average", average),
            ("Value", average),
            ("Maximum", self.maximum),
            ("Minimum", self.minimum),
        ] {
            point.insert(name.into(), value.into());
        }
        Value::Object(point)
    }
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
