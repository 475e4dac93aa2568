//! What the contract asks of samples.

use std::collections::BTreeMap;

use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{GroupRef, Seconds, Step, Timestamp};

use super::{Bench, deadline};

/// A whole minute some time ago, so that everything about it has settled.
fn settled_minute(bench: &dyn Bench) -> Timestamp {
    (bench.now() - Seconds::minutes(90)).floor_to(Step::MINUTE)
}

async fn samples(
    bench: &dyn Bench,
    metric: &MetricQuery,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(i64, f64)> {
    let asked = [metric.clone()];
    let mut answers = bench.provider().metrics().samples(&asked, from, to, deadline(bench)).await;
    assert_eq!(answers.len(), 1, "one query, one answer");
    let found = answers.remove(0).unwrap_or_else(|fault| panic!("readable samples: {fault}"));
    found.into_iter().map(|Sample { start, value }| (start.since(from).0 as i64, value)).collect()
}

pub(super) async fn samples_are_stamped_at_the_start_of_their_interval(bench: &dyn Bench) {
    let metric = bench.metric("stamps");
    let from = settled_minute(bench);
    for (minute, value) in [(0, 60.0), (1, 120.0), (2, 180.0), (3, 30.0), (4, 90.0)] {
        bench.add_value(&metric, from + Seconds(60 * minute), value).await;
    }
    let to = from + Seconds(300);
    let found = samples(bench, &metric, from, to).await;
    let expected = [(0, 60.0), (60, 120.0), (120, 180.0), (180, 30.0), (240, 90.0)];
    assert_eq!(found, expected, "oldest first, stamped at the start, a sum not yet divided");
    let average = MetricQuery { statistic: Statistic::Average, ..metric };
    assert_eq!(samples(bench, &average, from, to).await, expected, "one value an interval");
}

pub(super) async fn samples_lie_within_what_was_asked(bench: &dyn Bench) {
    let metric = bench.metric("within");
    let from = settled_minute(bench);
    for minute in 0..6 {
        bench.add_value(&metric, from + Seconds(60 * minute), 1.0 + minute as f64).await;
    }
    let (inner, to) = (from + Seconds(120), from + Seconds(240));
    let found = samples(bench, &metric, inner, to).await;
    assert_eq!(found, [(0, 3.0), (60, 4.0)], "the first instant belongs to it, the last does not");
}

pub(super) async fn a_gap_is_absent(bench: &dyn Bench) {
    let metric = bench.metric("gap");
    let from = settled_minute(bench);
    bench.add_value(&metric, from, 5.0).await;
    bench.add_value(&metric, from + Seconds(180), 0.0).await;
    let found = samples(bench, &metric, from, from + Seconds(240)).await;
    assert_eq!(found, [(0, 5.0), (180, 0.0)], "no sample is no row, and a zero is a sample");
}

pub(super) async fn a_corrected_sample_is_read_anew(bench: &dyn Bench) {
    let metric = bench.metric("corrected");
    let from = settled_minute(bench);
    let to = from + Seconds(60);
    bench.add_value(&metric, from, 70.0).await;
    assert_eq!(samples(bench, &metric, from, to).await, [(0, 70.0)]);
    bench.add_value(&metric, from, 30.0).await;
    assert_eq!(samples(bench, &metric, from, to).await, [(0, 100.0)], "no cache, no old answer");
}

pub(super) async fn a_metric_that_is_not_there_has_no_samples(bench: &dyn Bench) {
    let metric = bench.metric("nobody-measured-this");
    let from = settled_minute(bench);
    assert_eq!(samples(bench, &metric, from, from + Seconds(600)).await, []);
}

pub(super) async fn more_queries_than_a_call_takes_are_answered_in_order(bench: &dyn Bench) {
    let from = settled_minute(bench);
    let to = from + Seconds(60);
    let kinds = 7_usize;
    for index in 0..kinds {
        bench.add_value(&bench.metric(&format!("many-{index}")), from, index as f64 * 10.0).await;
    }
    let count = 1203;
    let queries: Vec<MetricQuery> =
        (0..count).map(|index| bench.metric(&format!("many-{}", index % (kinds + 1)))).collect();
    let metrics = bench.provider().metrics();
    let before = metrics.metrics_read();
    let answers = metrics.samples(&queries, from, to, deadline(bench)).await;
    assert_eq!(answers.len(), count, "one answer a query");
    for (index, answer) in answers.into_iter().enumerate() {
        let found = answer.unwrap_or_else(|fault| panic!("query {index}: {fault}"));
        let values: Vec<f64> = found.iter().map(|sample| sample.value).collect();
        let of = index % (kinds + 1);
        let expected: Vec<f64> = if of < kinds { vec![of as f64 * 10.0] } else { Vec::new() };
        assert_eq!(values, expected, "query {index} asks for metric {of}");
    }
    assert!(metrics.metrics_read() > before, "what is billed is counted");
}

/// A metric query for benches: period 60 s, `Sum`, nothing known of what is missing.
pub fn plain_query(at: &GroupRef, namespace: &str, metric: &str, series: &str) -> MetricQuery {
    MetricQuery {
        provider: at.provider.clone(),
        account: at.account.clone(),
        region: at.region.clone(),
        namespace: namespace.to_owned(),
        metric: metric.to_owned(),
        statistic: Statistic::Sum,
        dimensions: BTreeMap::from([("Series".to_owned(), series.to_owned())]),
        period: Step::MINUTE,
        when_missing: WhenMissing::Unknown,
    }
}
