//! What the adapter makes of a real store's answers.

use std::sync::Arc;
use std::time::Duration;

use fleet::metric::{MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{AccountId, Fault, FaultKind, ProviderName, Region, Seconds, Step, Timestamp};
use providers::prometheus::{Endpoint, NAMESPACE, NOWHERE, Prometheus, Settings};
use providers::{Deadline, Metrics};
use tests::clock::TestTime;
use tests::load::Load;
use tests::peers::{self, NewStore};

/// 2026-03-06T12:00:00Z.
const NOW: Timestamp = Timestamp(1_772_798_400);

/// The settings of a source at this address.
pub fn settings(url: &str) -> Settings {
    let name = ProviderName::new("prom").expect("a name");
    Settings::new(name, Endpoint::parse(url).expect("an address"))
}

/// A source whose clock stands at [`NOW`].
pub fn source(settings: Settings) -> Prometheus {
    Prometheus::new(settings, Arc::new(TestTime::starting(NOW)))
}

/// What is asked, every `period` seconds.
pub fn query(text: &str, period: u32) -> MetricQuery {
    MetricQuery {
        provider: ProviderName::new("prom").expect("a name"),
        account: AccountId::new(NOWHERE).expect("a name"),
        region: Region::new(NOWHERE).expect("a name"),
        namespace: NAMESPACE.into(),
        metric: text.into(),
        statistic: Statistic::Average,
        dimensions: Default::default(),
        period: Step::new(period).expect("a period"),
        when_missing: WhenMissing::Unknown,
    }
}

/// The samples of the last `span` before now, one answer a query.
pub async fn asked(
    source: &Prometheus,
    queries: &[MetricQuery],
    span: Seconds,
) -> Vec<Result<Vec<Sample>, Fault>> {
    let deadline = Deadline::within(Duration::from_secs(30));
    source.samples(queries, NOW - span, NOW, deadline).await
}

/// The same of a single query.
pub async fn of(source: &Prometheus, text: &str) -> Result<Vec<Sample>, Fault> {
    asked(source, &[query(text, 60)], Seconds::minutes(10)).await.remove(0)
}

/// The requests of a second in all.
pub const SUM: &str = "sum(rate(http_requests_total{job=\"checkout\"}[1m]))";

/// Some hours that end half an hour after now, each minute unlike the others.
fn hours() -> Load {
    let start = NOW - Seconds::hours(4);
    let values = (0..270_u32).map(|minute| f64::from(600 + minute * 12)).collect();
    Load { start, values, origin: "a slope".into() }
}

#[tokio::test]
async fn every_minute_has_its_own_requests() {
    let load = hours();
    let loads = vec![("checkout", &load)];
    let store = peers::Prometheus::start(&NewStore { loads, ..NewStore::default() });
    let source = source(settings(&format!("http://{}", store.address())));

    let samples = asked(&source, &[query(SUM, 60)], Seconds::hours(3)).await.remove(0);
    let samples = samples.expect("samples");
    assert_eq!(samples.len(), 180, "no minute is missing, and none that has not ended is there");
    assert_eq!(samples[0].start, NOW - Seconds::hours(3));
    for sample in &samples {
        let counted = load.at(sample.start).expect("a minute of the load") / 60.0;
        let off = (sample.value - counted).abs();
        assert!(off < 1e-6 * counted, "{}: {} for {counted}", sample.start, sample.value);
    }

    // Six requests, put together without a seam.
    let seconds = asked(&source, &[query(SUM, 1)], Seconds::hours(3)).await.remove(0);
    let seconds = seconds.expect("samples");
    assert_eq!(seconds.len(), 10_800);
    assert!(seconds.windows(2).all(|pair| pair[0].start + Seconds(1) == pair[1].start));
    assert_eq!(source.metrics_read(), 2);
}

#[tokio::test]
async fn each_query_answers_for_itself() {
    let load = hours();
    let loads = vec![("checkout", &load), ("search", &load)];
    let store = peers::Prometheus::start(&NewStore { loads, ..NewStore::default() });
    let source = source(settings(&format!("http://{}", store.address())));
    let long =
        format!("sum(rate(http_requests_total{{job=~\"{}checkout\"}}[1m]))", "x|".repeat(2_000));
    let queries = [
        "sum(rate(http_requests_total{job=\"nobody\"}[1m]))",
        "sum by (job) (rate(http_requests_total[1m]))",
        "sum(rate(",
        "http_requests_total[1m]",
        "vector(0) / 0",
        "sum(rate(http_requests_total{job=\"search\"}[1m])) or vector(0)",
        &long,
        "42",
    ]
    .map(|text| query(text, 60));
    let answers = asked(&source, &queries, Seconds::minutes(10)).await;
    let counted = |n: usize| answers[n].as_ref().map(Vec::len).map_err(ToString::to_string);
    assert_eq!(counted(0), Ok(0), "nothing is not zero");
    assert_eq!(
        counted(1),
        Err("`query_range` refused: the query gives 2 series and not one, such as `sum(…)` makes of \
             them: {job=\"checkout\"}, {job=\"search\"}"
            .to_owned())
    );
    for (n, words) in [(2, "parse error"), (3, "range vector")] {
        let fault = answers[n].as_ref().expect_err("a refusal");
        assert_eq!(fault.kind, FaultKind::Refused);
        assert!(fault.detail.starts_with("bad_data: ") && fault.detail.contains(words), "{fault}");
    }
    assert_eq!(counted(4), Ok(0), "`NaN` is missing");
    assert_eq!([counted(5), counted(6), counted(7)], [Ok(10), Ok(10), Ok(10)]);
    assert_eq!(answers[7].as_ref().expect("samples")[0].value, 42.0);
}
