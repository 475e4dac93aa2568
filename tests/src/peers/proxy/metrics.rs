//! CloudWatch as the cloud has it where the peer has not: paging, percentiles, limits, long histories.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::wire::Refusal;

/// Queries that one call takes.
const QUERIES_MAX: usize = 500;
/// Values that one answer holds, by the cloud's documentation.
const DATAPOINTS_MAX: usize = 100_800;
/// Periods asked of the peer at a time: it looks at all values once for every period.
const PERIODS_AT_ONCE: i64 = 240;

/// Namespaces that are told here alone: machines have so many values that the peer is too slow.
const OWN: [&str; 2] = ["AWS/EC2", "AWS/RDS"];

/// A metric: region, namespace, name and dimensions.
type Key = (String, String, String, Vec<(String, String)>);

/// What was put, and what is left of answers given in pages.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    values: BTreeMap<Key, BTreeMap<i64, Vec<f64>>>,
    pages: BTreeMap<String, Vec<Value>>,
    pages_made: u64,
    /// Fewer values a page than the cloud's own limit, to see paging at work.
    pub page_datapoints: Option<usize>,
}

impl Metrics {
    /// Keeps the values of a `PutMetricData`.
    pub fn put(&mut self, region: &str, parameters: &Value) {
        for datum in parameters["MetricData"].as_array().into_iter().flatten() {
            let Some(stamp) = datum["Timestamp"].as_f64() else { continue };
            let mut values = Vec::new();
            values.extend(datum["Value"].as_f64());
            for (n, value) in datum["Values"].as_array().into_iter().flatten().enumerate() {
                let count = datum["Counts"][n].as_f64().unwrap_or(1.0) as usize;
                values.extend(std::iter::repeat_n(value.as_f64().unwrap_or_default(), count));
            }
            let namespace = parameters["Namespace"].as_str().unwrap_or_default();
            let key = key(region, namespace, &datum["MetricName"], &datum["Dimensions"]);
            self.values.entry(key).or_default().entry(stamp as i64).or_default().extend(values);
        }
    }

    /// Keeps values of a metric that the peer need not know of.
    pub fn put_own(&mut self, region: &str, series: &Series<'_>) {
        assert!(OWN.contains(&series.namespace), "the peer must know of {}", series.namespace);
        let dimensions = vec![(series.dimension.to_owned(), series.id.to_owned())];
        let name = series.metric.to_owned();
        let key = (region.to_owned(), series.namespace.to_owned(), name, dimensions);
        let values = self.values.entry(key).or_default();
        for (stamp, value) in series.points {
            values.entry(*stamp).or_default().push(*value);
        }
    }

    /// A query that is answered from the values that were put.
    fn told_here(
        &self,
        (region, fold): (&str, Fold),
        query: &Value,
        start: i64,
        end: i64,
    ) -> (Vec<i64>, Vec<f64>) {
        let metric = &query["MetricStat"]["Metric"];
        let namespace = metric["Namespace"].as_str().unwrap_or_default();
        let key = key(region, namespace, &metric["MetricName"], &metric["Dimensions"]);
        let step = period(query);
        let mut periods: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (stamp, values) in
            self.values.get(&key).into_iter().flat_map(|all| all.range(start..end))
        {
            periods.entry(stamp - stamp.rem_euclid(step)).or_default().extend(values);
        }
        periods.into_iter().map(|(stamp, values)| (stamp, fold.of(values))).unzip()
    }

    /// One page of a full answer; the rest is kept under a token.
    fn page(&mut self, mut results: Vec<Value>, datapoints_max: Option<u64>) -> Value {
        let asked = datapoints_max.map_or(DATAPOINTS_MAX, |n| n as usize);
        let mut room = asked.min(self.page_datapoints.unwrap_or(DATAPOINTS_MAX)).max(1);
        let mut rest = Vec::new();
        for result in &mut results {
            let have = result["Values"].as_array().map_or(0, Vec::len);
            if have > room {
                let mut later = result.clone();
                for field in ["Values", "Timestamps"] {
                    let kept = result[field].as_array_mut().expect("a list");
                    later[field] = Value::Array(kept.split_off(room));
                }
                result["StatusCode"] = "PartialData".into();
                rest.push(later);
            }
            room -= have.min(room);
        }
        let mut answer = json!({ "MetricDataResults": results, "Messages": [] });
        if !rest.is_empty() {
            self.pages_made += 1;
            let token = format!("page-{}", self.pages_made);
            self.pages.insert(token.clone(), rest);
            answer["NextToken"] = token.into();
        }
        answer
    }
}

/// Values of one metric of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// `AWS/EC2` or `AWS/RDS`.
    pub namespace: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// The dimension that names the machine.
    pub dimension: &'a str,
    /// The machine.
    pub id: &'a str,
    /// Moments and values.
    pub points: &'a [(i64, f64)],
}

/// How the values of a period become one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fold {
    Percentile(f64),
    Maximum,
    Minimum,
    Sum,
    Average,
    Count,
}

impl Fold {
    /// One value of several, which are not none.
    fn of(self, values: Vec<f64>) -> f64 {
        match self {
            Fold::Percentile(level) => quantile(values, level),
            Fold::Maximum => values.into_iter().fold(f64::MIN, f64::max),
            Fold::Minimum => values.into_iter().fold(f64::MAX, f64::min),
            Fold::Sum => values.into_iter().sum(),
            Fold::Average => values.iter().sum::<f64>() / values.len() as f64,
            Fold::Count => values.len() as f64,
        }
    }
}

/// How a query is answered here; `None` where the peer answers it.
fn fold_here(query: &Value) -> Option<Fold> {
    if let Some(level) = percentile_level(query) {
        return Some(Fold::Percentile(level));
    }
    let stat = &query["MetricStat"];
    let own = OWN.contains(&stat["Metric"]["Namespace"].as_str()?);
    match stat["Stat"].as_str()? {
        "Maximum" => Some(Fold::Maximum),
        "Minimum" => Some(Fold::Minimum),
        "Sum" if own => Some(Fold::Sum),
        "Average" if own => Some(Fold::Average),
        "SampleCount" if own => Some(Fold::Count),
        _ => None,
    }
}

/// Whether the values of a `PutMetricData` stay here.
pub(super) fn stays_here(parameters: &Value) -> bool {
    parameters["Namespace"].as_str().is_some_and(|namespace| OWN.contains(&namespace))
}

/// What must be asked of the peer to answer a `GetMetricData`.
#[derive(Debug)]
pub(super) enum Needed {
    /// Nothing: it is a later page.
    Page(Value),
    /// These calls, to be merged by [`merge`].
    Calls(Vec<Value>),
}

/// Checks a `GetMetricData` as the cloud does, and cuts it into calls that the peer answers fast.
pub(super) fn split(metrics: &mut Metrics, parameters: &Value) -> Result<Needed, Refusal> {
    if let Some(token) = parameters["NextToken"].as_str() {
        let Some(rest) = metrics.pages.remove(token) else {
            return Err(Refusal::new(400, "InvalidNextToken", "Invalid nextToken"));
        };
        return Ok(Needed::Page(metrics.page(rest, parameters["MaxDatapoints"].as_u64())));
    }
    let queries = parameters["MetricDataQueries"].as_array().cloned().unwrap_or_default();
    if queries.len() > QUERIES_MAX {
        return Err(Refusal::invalid(
            "The collection MetricDataQueries must not have a size greater than 500.",
        ));
    }
    let ids: BTreeSet<&str> = queries.iter().filter_map(|query| query["Id"].as_str()).collect();
    if ids.len() < queries.len() {
        return Err(Refusal::invalid("The values for parameter id must be unique."));
    }
    let (start, end) = range(parameters);
    if end <= start {
        let message = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(Refusal::invalid(message));
    }
    if queries.iter().any(|query| query.get("Expression").is_some()) {
        let mut whole = parameters.clone();
        whole["ScanBy"] = "TimestampAscending".into();
        return Ok(Needed::Calls(vec![whole]));
    }
    let mut by_period: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for query in queries.into_iter().filter(|query| fold_here(query).is_none()) {
        by_period.entry(period(&query)).or_default().push(query);
    }
    let mut calls = Vec::new();
    for (step, queries) in by_period {
        let mut from = start - start.rem_euclid(step);
        while from < end {
            let to = end.min(from + step * PERIODS_AT_ONCE);
            calls.push(json!({
                "MetricDataQueries": queries,
                "StartTime": from,
                "EndTime": to,
                "ScanBy": "TimestampAscending",
            }));
            from = to;
        }
    }
    Ok(Needed::Calls(calls))
}

/// Puts the peer's answers together in the order asked, and cuts the first page.
pub(super) fn merge(
    metrics: &mut Metrics,
    region: &str,
    parameters: &Value,
    answers: &[Value],
) -> Value {
    let (start, end) = range(parameters);
    let newest_first = parameters["ScanBy"].as_str() != Some("TimestampAscending");
    let mut results = Vec::new();
    for query in parameters["MetricDataQueries"].as_array().into_iter().flatten() {
        if query["ReturnData"].as_bool() == Some(false) {
            continue;
        }
        let (mut stamps, mut values) = (Vec::new(), Vec::new());
        if let Some(fold) = fold_here(query) {
            let from = start - start.rem_euclid(period(query));
            let (at, what) = metrics.told_here((region, fold), query, from, end);
            stamps.extend(at.into_iter().map(Value::from));
            values.extend(what.into_iter().map(Value::from));
        }
        let parts = answers.iter().flat_map(|a| a["MetricDataResults"].as_array()).flatten();
        for part in parts.filter(|part| part["Id"] == query["Id"]) {
            stamps.extend(part["Timestamps"].as_array().cloned().unwrap_or_default());
            values.extend(part["Values"].as_array().cloned().unwrap_or_default());
        }
        if newest_first {
            stamps.reverse();
            values.reverse();
        }
        let label =
            query["Label"].as_str().or(query["MetricStat"]["Metric"]["MetricName"].as_str());
        results.push(json!({
            "Id": query["Id"],
            "Label": label,
            "Timestamps": stamps,
            "Values": values,
            "StatusCode": "Complete",
        }));
    }
    metrics.page(results, parameters["MaxDatapoints"].as_u64())
}

fn range(parameters: &Value) -> (i64, i64) {
    let stamp = |name: &str| parameters[name].as_f64().unwrap_or_default() as i64;
    (stamp("StartTime"), stamp("EndTime"))
}

fn period(query: &Value) -> i64 {
    query["MetricStat"]["Period"].as_i64().unwrap_or(60).max(1)
}

fn key(region: &str, namespace: &str, name: &Value, dimensions: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dimensions = dimensions.as_array().into_iter().flatten();
    let mut dimensions: Vec<_> =
        dimensions.map(|d| (text(&d["Name"]), text(&d["Value"]))).collect();
    dimensions.sort();
    (region.into(), namespace.into(), text(name), dimensions)
}

/// The level of a statistic such as `p99.9`, in (0, 1).
fn percentile_level(query: &Value) -> Option<f64> {
    let percent: f64 = query["MetricStat"]["Stat"].as_str()?.strip_prefix('p')?.parse().ok()?;
    (percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
}

/// Linear interpolation between the two nearest ranks; `values` is not empty.
fn quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = level * (values.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let above = values[(below + 1).min(values.len() - 1)];
    values[below] + share * (above - values[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_between_ranks() {
        assert_eq!(quantile(vec![4.0, 1.0, 3.0, 2.0, 5.0], 0.5), 3.0);
        assert!((quantile((0..=100).map(f64::from).collect(), 0.995) - 99.5).abs() < 1e-9);
        assert_eq!(quantile(vec![7.0], 0.99), 7.0);
    }

    #[test]
    fn pages_hold_every_value_once() {
        let mut metrics = Metrics { page_datapoints: Some(4), ..Metrics::default() };
        let result = |id: &str, n: i64| {
            let all: Vec<i64> = (0..n).collect();
            json!({ "Id": id, "Values": all, "Timestamps": all, "StatusCode": "Complete" })
        };
        let mut page = metrics.page(vec![result("a", 3), result("b", 6)], None);
        let mut seen = Vec::new();
        for _ in 0..10 {
            for part in page["MetricDataResults"].as_array().expect("a list") {
                for value in part["Values"].as_array().expect("a list") {
                    seen.push(format!("{}{value}", part["Id"].as_str().expect("text")));
                }
            }
            let Some(token) = page["NextToken"].as_str() else { break };
            let next = json!({ "NextToken": token });
            let Ok(Needed::Page(more)) = split(&mut metrics, &next) else { panic!("a page") };
            page = more;
        }
        assert_eq!(seen, ["a0", "a1", "a2", "b0", "b1", "b2", "b3", "b4", "b5"]);
    }
}
