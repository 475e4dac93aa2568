//! What a store answers, as samples or as the fault that the caller acts on: purely.

use std::collections::BTreeMap;

use fleet::metric::Sample;
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::call::Call;
use crate::http::first_words;

/// Series that a fault names.
const NAMED: usize = 2;
/// How warnings begin that say how a query could be better written, not that samples are missing.
const INFO: &str = "PromQL info";
/// How warnings begin that say that a query makes no sense of its samples.
const WARNING: &str = "PromQL warning";

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// What one request came to.
pub(super) type SeriesAnswer = Result<ReadRange, Fault>;

/// What a store has.
#[derive(Debug, PartialEq)]
pub(super) struct ReadRange {
    /// The samples, with the labels of the series they are of; `None` where there are none.
    pub(super) series: Option<(Labels, Vec<Sample>)>,
    /// Why it may be a part alone.
    pub(super) partial: Option<Fault>,
}

/// The body of every answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics alone.
    #[serde(default)]
    is_partial: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

/// Reads an answer of any status: samples of the intervals that start in `window`.
pub(super) fn read(
    call: Call,
    (status, headers): (StatusCode, &HeaderMap),
    body: &[u8],
    period: Step,
    window: (Timestamp, Timestamp),
) -> SeriesAnswer {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    match envelope {
        Some(envelope) if status.is_success() && envelope.status == "success" => {
            let partial = missing(call, &envelope)?;
            let series = one_series(call, envelope.data, period, window)?;
            Ok(ReadRange { series, partial })
        }
        Some(Envelope { error_type: Some(kind), error, .. }) => {
            let detail =
                format!("{kind}: {} (status {})", error.unwrap_or_default(), status.as_u16());
            Err(call.fault(of_kind(&kind, status, headers), detail))
        }
        _ if status.is_success() => {
            let why = format!("not an answer of the Prometheus API: {}", first_words(body));
            Err(call.fault(FaultKind::Unreadable, why))
        }
        _ => Err(call.fault(of_status(status, headers), words(status, headers, body))),
    }
}

/// What the API's own kind of error means; they are not many, and the status tells the rest.
fn of_kind(kind: &str, status: StatusCode, headers: &HeaderMap) -> FaultKind {
    match kind {
        "timeout" => FaultKind::TimedOut,
        "canceled" | "unavailable" | "internal" => FaultKind::Unreachable,
        "bad_data" | "execution" if status != StatusCode::TOO_MANY_REQUESTS => FaultKind::Refused,
        _ => of_status(status, headers),
    }
}

fn of_status(status: StatusCode, headers: &HeaderMap) -> FaultKind {
    match status.as_u16() {
        401 | 403 => FaultKind::Denied { permission: None },
        429 => FaultKind::Throttled { retry_after: retry_after(headers) },
        408 | 500.. => FaultKind::Unreachable,
        _ => FaultKind::Refused,
    }
}

/// A refusal in other words than the API's: of a proxy, or of another server.
fn words(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let code = status.as_u16();
    match code {
        300..400 if headers.contains_key("location") => {
            format!("status {code}: it points elsewhere, and credentials do not follow")
        }
        404 | 405 => format!("status {code}: no Prometheus API at the provider's `url`"),
        _ => format!("status {code}: {}", first_words(body)),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Seconds> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Seconds)
}

/// Why samples may be missing: a sum of some of its parts looks like a fall.
fn missing(call: Call, envelope: &Envelope) -> Result<Option<Fault>, Fault> {
    let said = || envelope.warnings.iter().filter(|warning| !warning.starts_with(INFO));
    if let Some(warning) = said().find(|warning| warning.starts_with(WARNING)) {
        return Err(call.fault(FaultKind::Refused, warning));
    }
    let why = match said().next() {
        Some(warning) => format!("samples may be missing, the store warns: {warning}"),
        None if envelope.is_partial => "a part of the store did not answer".to_owned(),
        None => return Ok(None),
    };
    Ok(Some(call.fault(FaultKind::Unreachable, why)))
}

/// Why an answer of the API is none to what was asked.
#[derive(Debug, thiserror::Error)]
enum NotAsAsked<'a> {
    #[error("an answer without data")]
    NoData,
    #[error("a `{0}`, expected a `matrix`")]
    NoMatrix(&'a str),
    #[error("{0}")]
    NoSeries(serde_json::Error),
    #[error("`{0}` is no number")]
    NoNumber(&'a str),
    #[error("a value at {0}, which was not asked for")]
    At(f64),
}

fn one_series(
    call: Call,
    data: Option<Data>,
    period: Step,
    window: (Timestamp, Timestamp),
) -> Result<Option<(Labels, Vec<Sample>)>, Fault> {
    let unreadable = |why: NotAsAsked<'_>| call.fault(FaultKind::Unreadable, why);
    let data = data.ok_or_else(|| unreadable(NotAsAsked::NoData))?;
    if data.result_type != "matrix" {
        return Err(unreadable(NotAsAsked::NoMatrix(&data.result_type)));
    }
    let series: Vec<Series> = serde_json::from_value(data.result)
        .map_err(|error| unreadable(NotAsAsked::NoSeries(error)))?;
    let found = match <[Series; 1]>::try_from(series) {
        Ok([one]) => one,
        Err(none) if none.is_empty() => return Ok(None),
        Err(several) => {
            let labels: Vec<&Labels> = several.iter().map(|series| &series.metric).collect();
            return Err(call.fault(FaultKind::Refused, too_many(&labels)));
        }
    };
    if !found.histograms.is_empty() {
        let why = "the query gives histograms, expected numbers; `histogram_count(…)` makes some";
        return Err(call.fault(FaultKind::Refused, why));
    }
    let samples = samples(&found.values, period, window).map_err(unreadable)?;
    Ok(Some((found.metric, samples)))
}

/// Numbers that are none (`NaN`, infinities) are missing; the rest of an answer must be as asked.
fn samples(
    values: &[(f64, String)],
    period: Step,
    (start, end): (Timestamp, Timestamp),
) -> Result<Vec<Sample>, NotAsAsked<'_>> {
    let mut samples = Vec::with_capacity(values.len());
    let mut next = start;
    for (at, value) in values {
        let value: f64 = value.parse().map_err(|_| NotAsAsked::NoNumber(value))?;
        let asked = at.fract() == 0.0 && at.abs() < 1e15;
        let ends = Timestamp(*at as i64);
        let starts = ends - period.span();
        if !asked || ends.floor_to(period) != ends || starts < next || starts >= end {
            return Err(NotAsAsked::At(*at));
        }
        next = ends;
        if value.is_finite() {
            samples.push(Sample { start: starts, value });
        }
    }
    Ok(samples)
}

/// Why several series are none.
pub(super) fn too_many(labels: &[&Labels]) -> String {
    let named: Vec<String> = labels.iter().take(NAMED).map(|labels| shown(labels)).collect();
    let more = if labels.len() > NAMED { ", …" } else { "" };
    format!(
        "the query gives {} series and not one, such as `sum(…)` makes of them: {}{more}",
        labels.len(),
        named.join(", ")
    )
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call = Call::read("prometheus", "query_range");
    const START: Timestamp = Timestamp(1_772_798_400);
    const WINDOW: (Timestamp, Timestamp) = (START, Timestamp(START.0 + 300));

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> SeriesAnswer {
        let status = StatusCode::from_u16(status).unwrap();
        let pairs = headers.iter().map(|(name, value)| {
            (name.parse().unwrap(), reqwest::header::HeaderValue::from_str(value).unwrap())
        });
        read(CALL, (status, &pairs.collect()), body.as_bytes(), Step::MINUTE, WINDOW)
    }

    /// The samples by the minute in which their interval begins.
    fn samples(body: &str) -> Vec<(i64, f64)> {
        let (_, samples) = of(200, &[], body).unwrap().series.unwrap_or_default();
        samples.iter().map(|sample| ((sample.start.0 - START.0) / 60, sample.value)).collect()
    }

    fn fault(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
        of(status, headers, body).unwrap_err().to_string()
    }

    /// As Prometheus 2.42 answers `sum(rate(http_requests_total{job="checkout"}[1m]))`.
    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1772798460,"100"],[1772798520,"101.5"],[1772798640,"1e+06"]]}]}}"#;

    #[test]
    fn a_value_is_of_the_interval_that_ends_there() {
        assert_eq!(samples(MATRIX), [(0, 100.0), (1, 101.5), (3, 1e6)]);
        let (labels, _) = of(200, &[], MATRIX).unwrap().series.unwrap();
        assert_eq!(labels, Labels::new());
    }

    #[test]
    fn what_is_no_number_or_not_there_is_missing() {
        let numbers = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1772798460,"NaN"],[1772798520,"+Inf"],[1772798580,"-Inf"],[1772798640,"0"]]}]}}"#;
        assert_eq!(samples(numbers), [(3, 0.0)]);
        let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(of(200, &[], nothing), Ok(ReadRange { series: None, partial: None }));
    }

    #[test]
    fn several_series_are_not_mixed() {
        let two = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"a","job":"checkout"},"values":[[1772798460,"50"]]},{"metric":{"instance":"b","job":"checkout"},"values":[[1772798460,"50"]]}]}}"#;
        assert_eq!(
            fault(200, &[], two),
            r#"`query_range` refused: the query gives 2 series and not one, such as `sum(…)` makes of them: {instance="a", job="checkout"}, {instance="b", job="checkout"}"#
        );
    }

    #[test]
    fn refusals_are_sorted_by_what_is_to_be_done() {
        let error =
            |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"why"}}"#);
        for (status, kind, word) in [
            (400, "bad_data", "refused"),
            (422, "execution", "refused"),
            (503, "timeout", "timed out"),
            (503, "canceled", "unreachable"),
            (503, "unavailable", "unreachable"),
            (500, "internal", "unreachable"),
            (404, "not_found", "refused"),
            (429, "too_many_requests", "throttled"),
            (429, "bad_data", "throttled"),
            (422, "422", "refused"),
            (401, "unauthorized", "denied"),
            (200, "internal", "unreachable"),
        ] {
            let found = of(status, &[], &error(kind)).unwrap_err();
            assert_eq!(found.kind.word(), word, "{status} {kind}");
            assert_eq!(found.detail, format!("{kind}: why (status {status})"));
        }
        // As Prometheus 2.42 answers them.
        let parse = r#"{"status":"error","errorType":"bad_data","error":"1:10: parse error: unclosed left parenthesis"}"#;
        assert_eq!(
            fault(400, &[], parse),
            "`query_range` refused: bad_data: 1:10: parse error: unclosed left parenthesis (status \
             400)"
        );
        assert_eq!(
            fault(401, &[], "Unauthorized\n"),
            "`query_range` denied: status 401: Unauthorized"
        );
        assert_eq!(
            fault(404, &[], "404 page not found\n"),
            "`query_range` refused: status 404: no Prometheus API at the provider's `url`"
        );
    }

    #[test]
    fn proxies_have_their_own_words() {
        let page = "<html><body>Bad gateway</body></html>";
        assert_eq!(fault(502, &[], page), format!("`query_range` unreachable: status 502: {page}"));
        assert_eq!(
            fault(200, &[], page),
            format!("`query_range` unreadable: not an answer of the Prometheus API: {page}")
        );
        assert_eq!(
            fault(302, &[("location", "https://login.example.com/?next=secret")], ""),
            "`query_range` refused: status 302: it points elsewhere, and credentials do not follow"
        );
        let throttled = of(429, &[("retry-after", "7")], "slow down").unwrap_err();
        assert_eq!(throttled.kind, FaultKind::Throttled { retry_after: Some(Seconds(7)) });
    }

    #[test]
    fn what_may_be_a_part_is_told_from_the_whole() {
        const NOTHING: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        let of = |body: &str, more: &str| {
            let with = format!(r#""success",{more},"#);
            of(200, &[], &body.replacen(r#""success","#, &with, 1))
        };
        for whole in [
            r#""warnings":[],"isPartial":false"#,
            r#""warnings":["PromQL info: metric might not be a counter"],"infos":["x"]"#,
            r#""infos":["PromQL info: metric might not be a counter"]"#,
        ] {
            assert_eq!(of(MATRIX, whole).unwrap().partial, None, "{whole}");
        }
        let away = "unreachable: samples may be missing, the store warns: receive series from \
                    10.0.0.1: no such host";
        for (more, found) in [
            (r#""isPartial":true"#, "unreachable: a part of the store did not answer"),
            (r#""warnings":["receive series from 10.0.0.1: no such host"]"#, away),
            (r#""warnings":["PromQL info: x","receive series from 10.0.0.1: no such host"]"#, away),
            (r#""isPartial":true,"warnings":["receive series from 10.0.0.1: no such host"]"#, away),
        ] {
            for (body, there) in [(MATRIX, 3), (NOTHING, 0)] {
                let answer = of(body, more).unwrap();
                let why = answer.partial.map(|why| why.to_string());
                assert_eq!(why, Some(format!("`query_range` {found}")), "{more}");
                assert_eq!(answer.series.map_or(0, |(_, samples)| samples.len()), there);
            }
        }
        let senseless = r#""warnings":["away","PromQL warning: bucket label \"le\" is missing"]"#;
        assert_eq!(
            of(MATRIX, senseless).unwrap_err().to_string(),
            "`query_range` refused: PromQL warning: bucket label \"le\" is missing"
        );
    }

    #[test]
    fn answers_that_were_not_asked_for_are_unreadable() {
        let with = |values: &str| {
            format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{values}]}}]}}}}"#
            )
        };
        for wrong in [
            // Off the grid, between seconds, before, after, twice, backwards, no number.
            r#"[1772798461,"1"]"#,
            r#"[1772798460.5,"1"]"#,
            r#"[1772798400,"1"]"#,
            r#"[1772798760,"1"]"#,
            r#"[1772798460,"1"],[1772798460,"2"]"#,
            r#"[1772798520,"1"],[1772798460,"2"]"#,
            r#"[1772798460,"one"]"#,
            r#"[1e300,"1"]"#,
            r#"[1772798460,1]"#,
        ] {
            let found = of(200, &[], &with(wrong)).unwrap_err();
            assert_eq!(found.kind, FaultKind::Unreadable, "{wrong}: {found}");
        }
        for wrong in [
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":"x"}}"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"va"#,
            "",
        ] {
            assert_eq!(of(200, &[], wrong).unwrap_err().kind, FaultKind::Unreadable, "{wrong}");
        }
        let histogram = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1772798460,{"count":"1","sum":"2"}]]}]}}"#;
        assert_eq!(of(200, &[], histogram).unwrap_err().kind, FaultKind::Refused);
    }
}
