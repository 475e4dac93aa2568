//! Reads samples through `DescribeMetricList`: queries of one metric share calls, every page is
//! read, each query answers for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet::metric::{MetricQuery, Sample, Statistic};
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::access::{Access, Seat};
use super::endpoint::Product;
use super::members;
use super::params::Params;
use super::settings::PERIODS;
use crate::Deadline;
use crate::call::Call;
use crate::intervals;
use crate::places::{Place, SamplesAnswer};

pub(super) const DESCRIBE_METRICS: Call = Call::read("cms", "DescribeMetricList");

/// Resources that one call may name. [CMS API reference]
pub(super) const DIMENSIONS: usize = 50;
/// Datapoints of one page. [CMS API reference]
const LENGTH: usize = 1440;
/// The longest time that one call may span. [CMS API reference]
const SPAN: Seconds = Seconds::days(31);
/// Pages of one call: a month of minutes for every resource that it may name.
const PAGES_MAX: usize = 1600;

/// What several series that match one query come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Several {
    /// A fault: they are not mixed.
    Fault,
    /// The greatest of their values.
    Greatest,
    /// Their sum.
    Sum,
}

/// What one series of calls asks for.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) namespace: &'a str,
    pub(super) metric: &'a str,
    pub(super) period: Step,
    /// The resources as JSON; `None` for all.
    pub(super) resources: Option<String>,
}

/// How long CMS keeps samples of a period. [CMS API reference]
pub(super) fn history(period: Step) -> Seconds {
    match period.seconds() {
        ..60 => Seconds::days(7),
        60..300 => Seconds::days(31),
        _ => Seconds::days(91),
    }
}

/// Reads queries of one account and region; whatever happens, each has an answer.
pub(super) async fn of_place(
    access: &Access,
    (account, region): &Place,
    queries: Vec<MetricQuery>,
    several: fn(&MetricQuery) -> Several,
    span: (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let count = queries.len();
    let read = async {
        let seat = access.seat(DESCRIBE_METRICS, account, region)?;
        Ok(members::samples(&seat, queries, several, span, deadline).await)
    };
    let answers = DESCRIBE_METRICS.by(deadline.and_a_moment(), read).await;
    answers.unwrap_or_else(|fault| vec![Err(fault); count])
}

/// Queries that one series of calls answers: the same metric, folded alike.
type Batch = (String, String, Step);

/// Reads queries of instances and other resources, one answer each, in their order.
pub(super) async fn samples(
    seat: &Arc<Seat>,
    queries: Vec<MetricQuery>,
    several: fn(&MetricQuery) -> Several,
    (from, to): (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let mut answers: Vec<SamplesAnswer> = Vec::with_capacity(queries.len());
    let mut batches: BTreeMap<Batch, Vec<usize>> = BTreeMap::new();
    for (index, query) in queries.iter().enumerate() {
        match askable(query) {
            Err(fault) => answers.push(Err(fault)),
            Ok(()) => {
                answers.push(Ok(Vec::new()));
                let batch = (query.namespace.clone(), query.metric.clone(), query.period);
                batches.entry(batch).or_default().push(index);
            }
        }
    }
    let queries = Arc::new(queries);
    let mut jobs = JoinSet::new();
    for ((_, _, period), indexes) in batches {
        let windows = windows(period, from, to, seat.now());
        for part in shared_out(&queries, &indexes) {
            for (start, end) in &windows {
                let (seat, queries, part) = (Arc::clone(seat), Arc::clone(&queries), part.clone());
                let (start, end) = (*start, *end);
                jobs.spawn(async move {
                    let asked: Vec<&MetricQuery> = part.iter().map(|&n| &queries[n]).collect();
                    let read = read(&seat, &asked, several, (start, end), deadline).await;
                    (part, start, read)
                });
            }
        }
    }
    let mut parts: BTreeMap<(usize, Timestamp), SamplesAnswer> = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        let Ok((part, start, read)) = done else {
            let fault = DESCRIBE_METRICS.lost();
            return vec![Err(fault); queries.len()];
        };
        parts.extend(part.into_iter().zip(read).map(|(index, answer)| ((index, start), answer)));
    }
    // In the order of time; a window that failed fails the query, for a gap would lie.
    for ((index, _), part) in parts {
        match (&mut answers[index], part) {
            (Ok(samples), Ok(more)) => samples.extend(more),
            (answer @ Ok(_), Err(fault)) => *answer = Err(fault),
            (Err(_), _) => {}
        }
    }
    answers
}

/// Whether CMS can answer a query at all.
fn askable(query: &MetricQuery) -> Result<(), Fault> {
    let refused = |why: String| Err(DESCRIBE_METRICS.fault(FaultKind::Refused, why));
    if !PERIODS.contains(&query.period.seconds()) {
        return refused(format!(
            "a period of {} s, expected one of {PERIODS:?}",
            query.period.seconds()
        ));
    }
    if let Statistic::Percentile(_) = query.statistic {
        let why = "CloudMonitor has no percentiles, expected Average, Minimum, Maximum, Sum or \
                   SampleCount";
        return refused(format!("stat `{}`: {why}", query.statistic));
    }
    Ok(())
}

/// Indexes of queries in parts that one call may name, equal dimensions together; queries that name
/// no resource are asked by themselves.
fn shared_out(queries: &[MetricQuery], indexes: &[usize]) -> Vec<Vec<usize>> {
    let mut of_resource: BTreeMap<&BTreeMap<String, String>, Vec<usize>> = BTreeMap::new();
    for &index in indexes {
        of_resource.entry(&queries[index].dimensions).or_default().push(index);
    }
    let unnamed = of_resource.remove(&BTreeMap::new());
    let named: Vec<Vec<usize>> = of_resource.into_values().collect();
    unnamed.into_iter().chain(named.chunks(DIMENSIONS).map(<[_]>::concat)).collect()
}

/// Stretches of whole intervals that are still kept, none longer than a call may span.
fn windows(
    period: Step,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let kept = intervals::kept(period, from, to, now, history(period));
    kept.map(|kept| intervals::stretches(period, kept, SPAN)).unwrap_or_default()
}

/// A page of datapoints; they come as a text that holds a list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricsPage {
    #[serde(default)]
    datapoints: String,
    next_token: Option<String>,
    #[serde(default)]
    success: Option<bool>,
    code: Value,
    #[serde(default)]
    message: Option<String>,
    request_id: Option<String>,
}

impl MetricsPage {
    fn points(&self) -> Result<Vec<Map<String, Value>>, Fault> {
        let code = self.code.as_str().map_or_else(|| self.code.to_string(), str::to_owned);
        let unreadable = |why: String| Fault {
            request_id: self.request_id.clone(),
            ..DESCRIBE_METRICS.fault(FaultKind::Unreadable, why)
        };
        if code != "200" || self.success == Some(false) {
            let message = self.message.as_deref().unwrap_or_default();
            return Err(unreadable(format!("{code}: {message}")));
        }
        if self.datapoints.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&self.datapoints)
            .map_err(|error| unreadable(format!("datapoints: {error}")))
    }
}

/// Reads what was asked for together in one window, with all its pages.
async fn read(
    seat: &Seat,
    queries: &[&MetricQuery],
    several: fn(&MetricQuery) -> Several,
    (start, end): (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let first = queries[0];
    let resources: BTreeSet<&BTreeMap<String, String>> =
        queries.iter().map(|query| &query.dimensions).filter(|d| !d.is_empty()).collect();
    let asking = Asking {
        namespace: &first.namespace,
        metric: &first.metric,
        period: first.period,
        resources: (!resources.is_empty()).then(|| serde_json::json!(resources).to_string()),
    };
    match pages(seat, &asking, (start, end), deadline).await {
        Err(fault) => queries.iter().map(|_| Err(fault.clone())).collect(),
        Ok(points) => {
            let of = |query: &&MetricQuery| of_query(query, several(query), &points, (start, end));
            queries.iter().map(of).collect()
        }
    }
}

/// The values that a dimension has among the datapoints: which resources have any.
pub(super) async fn named(
    seat: &Seat,
    asking: &Asking<'_>,
    dimension: &str,
    window: (Timestamp, Timestamp),
    deadline: Deadline,
) -> Result<BTreeSet<String>, Fault> {
    let points = pages(seat, asking, window, deadline).await?;
    let names = points.iter().filter_map(|point| point.get(dimension)?.as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Asks for one metric of the last minutes, for whoever asks whether the call is allowed.
pub(super) async fn probe(seat: &Seat, deadline: Deadline) -> Result<(), Fault> {
    let asking = Asking {
        namespace: "acs_ecs_dashboard",
        metric: "CPUUtilization",
        period: Step::MINUTE,
        resources: None,
    };
    let now = seat.now();
    pages(seat, &asking, (now - Seconds::minutes(2), now), deadline).await.map(drop)
}

async fn pages(
    seat: &Seat,
    asking: &Asking<'_>,
    (start, end): (Timestamp, Timestamp),
    deadline: Deadline,
) -> Result<Vec<Map<String, Value>>, Fault> {
    // The time asked for leaves out its start and holds its end; stamps are starts of intervals.
    let params = Params::new()
        .with_some("Dimensions", asking.resources.as_deref())
        .with("EndTime", end.0 * 1000 - 1)
        .with("Length", LENGTH)
        .with("MetricName", asking.metric)
        .with("Namespace", asking.namespace)
        .with("Period", asking.period.seconds())
        .with("StartTime", start.0 * 1000 - 1);
    let mut points = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        seat.count_metric_call(DESCRIBE_METRICS)?;
        let asked = params.clone().with_some("NextToken", token);
        let page: MetricsPage = seat.call(DESCRIBE_METRICS, Product::Cms, asked, deadline).await?;
        points.append(&mut page.points()?);
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(points);
        }
    }
    Err(DESCRIBE_METRICS.endless(PAGES_MAX))
}

/// The samples of one query among the datapoints of a call.
fn of_query(
    query: &MetricQuery,
    several: Several,
    points: &[Map<String, Value>],
    (start, end): (Timestamp, Timestamp),
) -> SamplesAnswer {
    let read = folded(query, several, points, (start, end));
    read.map_err(|why| DESCRIBE_METRICS.fault(FaultKind::Unreadable, why))
}

/// Why datapoints are no samples of a query.
#[derive(Debug, thiserror::Error)]
enum Unfit<'p> {
    #[error("a datapoint without a timestamp")]
    Timeless,
    #[error(
        "several series match at {at}: the datapoints have the dimensions {}",
        listed(dimensions)
    )]
    SeveralSeries { at: Timestamp, dimensions: Vec<&'p str> },
    #[error("the datapoints have no `{wanted}`, they have {}", found.join(", "))]
    NoStatistic { wanted: Statistic, found: Vec<&'p str> },
    #[error("a `{wanted}` of {found}")]
    NoNumber { wanted: Statistic, found: &'p Value },
}

/// Names, each as it is.
fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn folded<'p>(
    query: &MetricQuery,
    several: Several,
    points: &'p [Map<String, Value>],
    (start, end): (Timestamp, Timestamp),
) -> Result<Vec<Sample>, Unfit<'p>> {
    let mut samples: BTreeMap<Timestamp, f64> = BTreeMap::new();
    for point in points.iter().filter(|point| matches(query, point)) {
        let stamp = point.get("timestamp").and_then(Value::as_i64);
        let at = Timestamp(stamp.ok_or(Unfit::Timeless)?.div_euclid(1000)).floor_to(query.period);
        if at < start || at >= end {
            continue;
        }
        let value = value(query.statistic, point)?;
        let known = samples.get(&at).copied();
        let folded = match (known, several) {
            (None, _) => value,
            (Some(known), Several::Greatest) => known.max(value),
            (Some(known), Several::Sum) => known + value,
            (Some(_), Several::Fault) => {
                return Err(Unfit::SeveralSeries { at, dimensions: dimensions_of(point) });
            }
        };
        samples.insert(at, folded);
    }
    Ok(samples.into_iter().map(|(start, value)| Sample { start, value }).collect())
}

fn matches(query: &MetricQuery, point: &Map<String, Value>) -> bool {
    query.dimensions.iter().all(|(name, wanted)| match point.get(name) {
        Some(Value::String(found)) => found == wanted,
        Some(Value::Number(found)) => found.to_string() == wanted.as_str(),
        Some(_) => false,
        None => false,
    })
}

/// The number that a statistic has in a datapoint. Metrics that are not folded have a `Value`.
fn value(wanted: Statistic, point: &Map<String, Value>) -> Result<f64, Unfit<'_>> {
    let name = wanted.to_string();
    let found = match wanted {
        Statistic::Average => point.get(&name).or_else(|| point.get("Value")),
        _ => point.get(&name),
    };
    let found = found.ok_or_else(|| {
        let numbers = point.iter().filter(|(_, value)| value.is_f64() || value.is_u64());
        Unfit::NoStatistic { wanted, found: numbers.map(|(name, _)| name.as_str()).collect() }
    })?;
    let number = found.as_f64().filter(|number| number.is_finite());
    number.ok_or(Unfit::NoNumber { wanted, found })
}

/// The names of a datapoint's dimensions.
fn dimensions_of(point: &Map<String, Value>) -> Vec<&str> {
    let texts = point.iter().filter(|(name, value)| value.is_string() && *name != "userId");
    texts.map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use fleet::metric::WhenMissing;
    use fleet::{AccountId, ProviderName, Region};

    use super::*;

    fn query(statistic: Statistic, dimensions: &[(&str, &str)]) -> MetricQuery {
        MetricQuery {
            provider: ProviderName::new("ali").unwrap(),
            account: AccountId::new("default").unwrap(),
            region: Region::new("eu-central-1").unwrap(),
            namespace: "acs_slb_dashboard".to_owned(),
            metric: "Qps".to_owned(),
            statistic,
            dimensions: dimensions
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            period: Step::MINUTE,
            when_missing: WhenMissing::Unknown,
        }
    }

    fn answer(query: &MetricQuery, points: &str) -> String {
        let page = MetricsPage {
            datapoints: points.to_owned(),
            next_token: None,
            success: Some(true),
            code: Value::from("200"),
            message: None,
            request_id: None,
        };
        let points = match page.points() {
            Ok(points) => points,
            Err(fault) => return fault.detail,
        };
        match of_query(query, Several::Fault, &points, (Timestamp(6_000), Timestamp(6_300))) {
            Ok(samples) => samples
                .iter()
                .map(|sample| format!("{}={}", sample.start.0, sample.value))
                .collect::<Vec<_>>()
                .join(" "),
            Err(fault) => format!("{}: {}", fault.kind.word(), fault.detail),
        }
    }

    #[test]
    fn datapoints_are_shared_out_by_their_dimensions() {
        let points = r#"[{"timestamp":6000000,"userId":"1","instanceId":"lb-1","Average":1.5},
            {"timestamp":6060000,"userId":"1","instanceId":"lb-2","Average":7},
            {"timestamp":6120000,"userId":"1","instanceId":"lb-1","Average":2.5,"New":true},
            {"timestamp":6300000,"userId":"1","instanceId":"lb-1","Average":9}]"#;
        let of = |id| answer(&query(Statistic::Average, &[("instanceId", id)]), points);
        assert_eq!(of("lb-1"), "6000=1.5 6120=2.5");
        assert_eq!(of("lb-2"), "6060=7");
        assert_eq!(of("lb-3"), "", "nothing happened, and that is known");
    }

    #[test]
    fn several_series_for_one_query_are_not_mixed() {
        let points = r#"[{"timestamp":6000000,"instanceId":"lb","port":"80","Average":1},
            {"timestamp":6000000,"instanceId":"lb","port":"443","Average":2}]"#;
        let one = query(Statistic::Average, &[("instanceId", "lb")]);
        assert_eq!(
            answer(&one, points),
            "unreadable: several series match at 1970-01-01T01:40:00Z: the datapoints have the \
             dimensions `instanceId`, `port`"
        );
        let port = query(Statistic::Average, &[("instanceId", "lb"), ("port", "443")]);
        assert_eq!(answer(&port, points), "6000=2");
    }

    #[test]
    fn several_series_are_folded_where_that_is_asked_for() {
        let points = [("0", 1), ("1", 4)].map(|(gpu, value)| {
            let point = serde_json::json!({
                "timestamp": 6_000_000, "instanceId": "i-1", "gpuId": gpu, "Maximum": value
            });
            point.as_object().unwrap().clone()
        });
        let query = query(Statistic::Maximum, &[("instanceId", "i-1")]);
        let folded = |several| {
            let window = (Timestamp(6_000), Timestamp(6_300));
            of_query(&query, several, &points, window).map(|samples| samples[0].value)
        };
        assert_eq!((folded(Several::Greatest), folded(Several::Sum)), (Ok(4.0), Ok(5.0)));
        assert!(folded(Several::Fault).is_err());
    }

    #[test]
    fn a_statistic_that_is_not_there_is_said() {
        let points = r#"[{"timestamp":6000000,"instanceId":"lb","Average":1,"Maximum":3}]"#;
        let sum = query(Statistic::Sum, &[("instanceId", "lb")]);
        let why = "unreadable: the datapoints have no `Sum`, they have Average, Maximum, timestamp";
        assert_eq!(answer(&sum, points), why);
        let plain = r#"[{"timestamp":6000000,"instanceId":"lb","Value":4}]"#;
        let average = query(Statistic::Average, &[("instanceId", "lb")]);
        assert_eq!(answer(&average, plain), "6000=4");
        assert_eq!(answer(&average, "not a list"), "datapoints: expected ident at line 1 column 2");
    }

    #[test]
    fn windows_hold_whole_intervals_that_are_still_kept() {
        let windows = |period, from, to, now| -> Vec<(i64, i64)> {
            windows(Step::new(period).unwrap(), Timestamp(from), Timestamp(to), Timestamp(now))
                .into_iter()
                .map(|(from, to)| (from.0, to.0))
                .collect()
        };
        let day = 86_400;
        assert_eq!(windows(60, 601, 901, day), [(660, 960)]);
        assert_eq!(windows(60, 600, 600, day), []);
        assert_eq!(windows(60, 0, 80 * day, 80 * day), [(49 * day, 80 * day)]);
        let long = [(9 * day, 40 * day), (40 * day, 71 * day), (71 * day, 100 * day)];
        assert_eq!(windows(300, 0, 100 * day, 100 * day), long);
        assert_eq!(windows(15, 0, day, 30 * day), []);
    }

    #[test]
    fn calls_name_no_more_resources_than_allowed() {
        let mut queries: Vec<MetricQuery> = (0..120)
            .map(|n| query(Statistic::Average, &[("instanceId", &format!("i-{}", n / 2))]))
            .collect();
        queries.push(query(Statistic::Average, &[]));
        let indexes: Vec<usize> = (0..queries.len()).collect();
        let parts = shared_out(&queries, &indexes);
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 100, 20], "sixty resources, each asked for twice");
        assert_eq!(parts.concat().len(), queries.len());
    }

    #[test]
    fn what_cms_does_not_have_is_refused_before_it_is_asked() {
        let why = |query: MetricQuery| askable(&query).unwrap_err().detail;
        let odd = MetricQuery { period: Step::new(120).unwrap(), ..query(Statistic::Sum, &[]) };
        assert_eq!(why(odd), "a period of 120 s, expected one of [15, 60, 300, 900, 3600]");
        assert!(why(query(Statistic::Percentile(99.0), &[])).starts_with("stat `p99`: CloudMon"));
    }
}
