//! Reads samples through `GetMetricData`: full batches, every page, each query answering for itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::{
    Dimension, MessageData, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
};
use aws_smithy_types::DateTime;
use fleet::metric::{MetricQuery, Sample};
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};
use tokio::task::JoinSet;

use super::access::{Access, Seat};
use super::batches::{Batch, batches, window};
use super::pages::{Page, pages_of};
use crate::call::Call;
use crate::places::Place;
use crate::{Deadline, Partial, Samples};

pub(super) const GET_METRIC_DATA: Call = Call::read("cloudwatch", "GetMetricData");

/// The samples of one query, in whole or in part, or why there are none.
type SamplesAnswer = Result<Samples, Fault>;

/// Pages of one call; each holds up to 100,800 datapoints, so more than a few are senseless.
const PAGES_MAX: usize = 50;

/// Reads queries of one account, region and period; whatever happens, each has an answer.
pub(super) async fn of_place(
    access: &Access,
    ((account, region), period): &(Place, Step),
    queries: Vec<MetricQuery>,
    span: (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let count = queries.len();
    let read = async {
        let seat = access.seat(GET_METRIC_DATA, account, region).await?;
        Ok(samples(&seat, *period, queries, span, deadline).await)
    };
    let answers = GET_METRIC_DATA.by(deadline.and_a_moment(), read).await;
    answers.unwrap_or_else(|fault| vec![Err(fault); count])
}

/// Asks for one metric that every account has, or none, to see whether asking is allowed.
pub(super) async fn probe(seat: &Seat, deadline: Deadline) -> Result<(), Fault> {
    let metric = Metric::builder().namespace("AWS/AutoScaling").metric_name("GroupDesiredCapacity");
    let stat = MetricStat::builder().metric(metric.build()).period(300).stat("Average").build();
    let query = MetricDataQuery::builder().id("q0").metric_stat(stat).build();
    let now = seat.now();
    seat.meter.take(GET_METRIC_DATA, 1)?;
    let send = seat
        .cloudwatch
        .get_metric_data()
        .metric_data_queries(query)
        .start_time(DateTime::from_secs((now - Seconds::minutes(10)).0))
        .end_time(DateTime::from_secs(now.0))
        .send();
    seat.call(GET_METRIC_DATA, deadline, send).await.map(drop)
}

/// Reads these queries of one period, one answer each, in their order.
pub(super) async fn samples(
    seat: &Arc<Seat>,
    period: Step,
    queries: Vec<MetricQuery>,
    (from, to): (Timestamp, Timestamp),
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let Some((start, end)) = window(period, from, to, seat.now()) else {
        return vec![Ok(Samples::default()); queries.len()];
    };
    let queries = Arc::new(queries);
    let mut jobs = JoinSet::new();
    for batch in batches(queries.len(), period, start, end) {
        let (seat, queries) = (Arc::clone(seat), Arc::clone(&queries));
        jobs.spawn(async move {
            let answers = read(&seat, &queries[batch.queries.clone()], period, &batch, deadline);
            (batch.queries.clone(), batch.from, answers.await)
        });
    }
    let mut parts: Vec<BTreeMap<Timestamp, SamplesAnswer>> = vec![BTreeMap::new(); queries.len()];
    let mut broken = false;
    while let Some(done) = jobs.join_next().await {
        let Ok((range, from, answers)) = done else {
            broken = true;
            continue;
        };
        for (index, answer) in range.zip(answers) {
            parts[index].insert(from, answer);
        }
    }
    parts.into_iter().map(|parts| joined(parts, broken)).collect()
}

/// The windows of one query, oldest first; one that failed fails it, for a gap would lie.
fn joined(parts: BTreeMap<Timestamp, SamplesAnswer>, broken: bool) -> SamplesAnswer {
    if parts.is_empty() || broken {
        return Err(GET_METRIC_DATA.lost());
    }
    let mut samples = Samples::default();
    for part in parts.into_values() {
        samples.join(part?);
    }
    Ok(samples)
}

/// One batch with all its pages.
async fn read(
    seat: &Seat,
    queries: &[MetricQuery],
    period: Step,
    batch: &Batch,
    deadline: Deadline,
) -> Vec<SamplesAnswer> {
    let all = |fault: Fault| queries.iter().map(|_| Err(fault.clone())).collect();
    let wire: Vec<MetricDataQuery> =
        queries.iter().enumerate().map(|(index, query)| asked(index, query)).collect();
    let mut series: Vec<Series> = vec![Series::default(); queries.len()];
    let request = seat
        .cloudwatch
        .get_metric_data()
        .set_metric_data_queries(Some(wire))
        .start_time(DateTime::from_secs(batch.from.0))
        .end_time(DateTime::from_secs(batch.to.0))
        .scan_by(ScanBy::TimestampAscending);
    let mut pages = pages_of!(request);
    let count = u64::try_from(queries.len()).unwrap_or(u64::MAX);
    for _ in 0..PAGES_MAX {
        // Each page is billed like a call of its own.
        if let Err(fault) = seat.meter.take(GET_METRIC_DATA, count) {
            return all(fault);
        }
        let page = match seat.next_page(GET_METRIC_DATA, &mut pages, deadline).await {
            Ok(page) => page,
            Err(fault) => return all(fault),
        };
        // What is said of the call as a whole is said of every query in it.
        for message in page.iter().flat_map(|page| page.messages()) {
            series.iter_mut().for_each(|series| series.messages.push(told(message)));
        }
        for result in page.iter().flat_map(|page| page.metric_data_results()) {
            let index = result.id().and_then(|id| id.strip_prefix('q')?.parse::<usize>().ok());
            if let Some(series) = index.and_then(|index| series.get_mut(index)) {
                series.add(result);
            }
        }
        if page.is_none_or(|page| page.is_last()) {
            return series.into_iter().map(|s| s.answer(period, batch)).collect();
        }
    }
    all(GET_METRIC_DATA.endless(PAGES_MAX))
}

fn asked(index: usize, query: &MetricQuery) -> MetricDataQuery {
    let dimensions = query
        .own_dimensions()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build())
        .collect();
    let metric = Metric::builder()
        .namespace(&query.namespace)
        .metric_name(&query.metric)
        .set_dimensions(Some(dimensions))
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(i32::try_from(query.period.seconds()).unwrap_or(i32::MAX))
        .stat(query.statistic.to_string())
        .build();
    // A monitoring account is asked for another one's. [CloudWatch, "cross-account observability"]
    MetricDataQuery::builder()
        .id(format!("q{index}"))
        .metric_stat(stat)
        .set_account_id(query.source_account().map(str::to_owned))
        .return_data(true)
        .build()
}

fn told(message: &MessageData) -> String {
    format!("{}: {}", message.code().unwrap_or_default(), message.value().unwrap_or_default())
}

/// What the pages say of one query.
#[derive(Clone, Debug, Default)]
struct Series {
    points: BTreeMap<i64, f64>,
    status: Option<String>,
    messages: Vec<String>,
    uneven: bool,
}

impl Series {
    fn add(&mut self, result: &MetricDataResult) {
        self.uneven |= result.timestamps().len() != result.values().len();
        for (time, value) in result.timestamps().iter().zip(result.values()) {
            self.points.insert(time.secs(), *value);
        }
        if let Some(status) = result.status_code() {
            self.status = Some(status.as_str().to_owned());
        }
        self.messages.extend(result.messages().iter().map(told));
    }

    /// The samples of the batch's window, or why there are none to be trusted.
    ///
    /// `PartialData` on the last page means that points are missing and will not follow, and a message
    /// that something was left out: taken as gaps they would pass for silence.
    fn answer(self, period: Step, batch: &Batch) -> SamplesAnswer {
        let detail = |what: &str| match self.messages.as_slice() {
            [] => what.to_owned(),
            messages => format!("{what}: {}", messages.join("; ")),
        };
        let fault = |kind, what: &str| Err(GET_METRIC_DATA.fault(kind, detail(what)));
        let mut partial = None;
        let some = (!self.points.is_empty()).then_some("Complete");
        match self.status.as_deref().or(some) {
            Some("Complete") if self.messages.is_empty() => {}
            Some(status @ ("Complete" | "PartialData")) => {
                let why = GET_METRIC_DATA.fault(FaultKind::Unreachable, detail(status));
                partial = Some(Partial { since: batch.from, why });
            }
            None => return fault(FaultKind::Unreadable, "no result for the query"),
            Some("Forbidden") => {
                let permission = Some(GET_METRIC_DATA.permission());
                return fault(FaultKind::Denied { permission }, "Forbidden");
            }
            Some(status @ "InternalError") => return fault(FaultKind::Unreachable, status),
            Some(status) => return fault(FaultKind::Unreadable, status),
        }
        if self.uneven {
            return fault(FaultKind::Unreadable, "timestamps and values differ in number");
        }
        let mut samples: BTreeMap<Timestamp, f64> = BTreeMap::new();
        for (seconds, value) in self.points {
            if !value.is_finite() {
                let what = format!("a value of {value} at {}", Timestamp(seconds));
                return Err(GET_METRIC_DATA.fault(FaultKind::Unreadable, what));
            }
            let start = Timestamp(seconds).floor_to(period);
            if start >= batch.from && start < batch.to {
                samples.insert(start, value);
            }
        }
        let all = samples.into_iter().map(|(start, value)| Sample { start, value }).collect();
        Ok(Samples { all, partial })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::types::StatusCode;
    use fleet::metric::SOURCE_ACCOUNT;

    use super::*;

    const FROM: i64 = 6_000;

    #[test]
    fn a_monitoring_account_is_asked_for_another_ones_metric() {
        let dimensions = [("LoadBalancer", "app/a"), (SOURCE_ACCOUNT, "444455556666")];
        let query = MetricQuery {
            provider: fleet::ProviderName::new("aws").unwrap(),
            account: fleet::AccountId::new("111122223333").unwrap(),
            region: fleet::Region::new("eu-west-1").unwrap(),
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: "RequestCount".to_owned(),
            statistic: fleet::metric::Statistic::Sum,
            dimensions: dimensions.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            period: Step::MINUTE,
            when_missing: fleet::metric::WhenMissing::Zero,
        };
        let names = |query: &MetricQuery| {
            let wire = asked(3, query);
            let metric = wire.metric_stat().and_then(|stat| stat.metric().cloned()).unwrap();
            let names = metric.dimensions().iter().filter_map(|one| one.name().map(str::to_owned));
            (wire.account_id().map(str::to_owned), names.collect::<Vec<_>>())
        };
        let only = vec!["LoadBalancer".to_owned()];
        assert_eq!(names(&query), (Some("444455556666".to_owned()), only.clone()));
        let mut own = query.clone();
        own.dimensions.remove(SOURCE_ACCOUNT);
        assert_eq!(names(&own), (None, only));
        assert_ne!(own.key(), query.key(), "two accounts, two series");
    }

    fn page(status: &str, points: &[(i64, f64)]) -> MetricDataResult {
        let mut page = MetricDataResult::builder().id("q0").status_code(StatusCode::from(status));
        for (seconds, value) in points {
            page = page.timestamps(DateTime::from_secs(*seconds)).values(*value);
        }
        page.build()
    }

    /// What the pages come to: the samples and what is missing, or the kind of the fault and its
    /// detail.
    fn answer(pages: &[MetricDataResult]) -> String {
        let mut series = Series::default();
        for page in pages {
            series.add(page);
        }
        let batch = Batch { queries: 0..1, from: Timestamp(FROM), to: Timestamp(FROM + 300) };
        match series.answer(Step::MINUTE, &batch) {
            Ok(Samples { all, partial }) => {
                let samples = all.iter().map(|s| format!("{}={}", s.start.0, s.value));
                let missing = partial.map(|it| format!("since {}: {}", it.since.0, it.why.detail));
                samples.chain(missing).collect::<Vec<_>>().join(" ")
            }
            Err(fault) => format!("{}: {}", fault.kind.word(), fault.detail),
        }
    }

    #[test]
    fn pages_of_a_query_are_put_together() {
        let first = page("PartialData", &[(6_000, 1.0), (6_060, 2.0)]);
        let last = page("Complete", &[(6_120, 3.0), (6_060, 2.5)]);
        assert_eq!(answer(&[first, last]), "6000=1 6060=2.5 6120=3", "the newer value counts");
        assert_eq!(answer(&[page("Complete", &[])]), "", "nothing happened, and that is known");
    }

    #[test]
    fn samples_lie_in_the_window_and_begin_their_interval() {
        let points = [(5_940, 9.0), (6_030, 1.0), (6_299, 5.0), (6_300, 9.0)];
        assert_eq!(answer(&[page("Complete", &points)]), "6000=1 6240=5");
    }

    #[test]
    fn a_part_is_told_from_the_whole() {
        let said = |status: &str, points: &[(i64, f64)]| {
            let message = MessageData::builder().code("Limit").value("too many").build();
            let page = page(status, points);
            let said = MetricDataResult::builder()
                .status_code(StatusCode::from(status))
                .set_timestamps(page.timestamps)
                .set_values(page.values);
            answer(&[said.messages(message).build()])
        };
        let some = [(6_000, 1.0)];
        assert_eq!(answer(&[page("PartialData", &some)]), "6000=1 since 6000: PartialData");
        assert_eq!(answer(&[page("PartialData", &[])]), "since 6000: PartialData");
        let (first, last) = (page("Complete", &some), page("PartialData", &[(6_060, 2.0)]));
        assert_eq!(answer(&[first, last]), "6000=1 6060=2 since 6000: PartialData");
        assert_eq!(said("Complete", &some), "6000=1 since 6000: Complete: Limit: too many");
        assert_eq!(said("PartialData", &[]), "since 6000: PartialData: Limit: too many");
    }

    #[test]
    fn what_is_not_complete_does_not_pass_for_silence() {
        let some = [(6_000, 1.0)];
        assert_eq!(answer(&[]), "unreadable: no result for the query");
        assert_eq!(answer(&[page("InternalError", &some)]), "unreachable: InternalError");
        assert_eq!(answer(&[page("Forbidden", &[])]), "denied: Forbidden");
        assert_eq!(answer(&[page("Sulking", &some)]), "unreadable: Sulking");
        let absurd = page("Complete", &[(6_000, f64::NAN)]);
        assert_eq!(answer(&[absurd]), "unreadable: a value of NaN at 1970-01-01T01:40:00Z");
        let uneven = MetricDataResult::builder().status_code(StatusCode::Complete).values(1.0);
        let why = "unreadable: timestamps and values differ in number";
        assert_eq!(answer(&[uneven.build()]), why);
        let message = MessageData::builder().code("ArithmeticError").value("by zero").build();
        let told = MetricDataResult::builder().status_code(StatusCode::InternalError);
        let why = "unreachable: InternalError: ArithmeticError: by zero";
        assert_eq!(answer(&[told.messages(message).build()]), why);
    }
}
