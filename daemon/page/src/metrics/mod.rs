//! `/metrics`: what the newest cycle and look found, and what was counted since the start, for
//! Prometheus. In OpenMetrics for those who ask for it, else in the older text format.

pub mod catalogue;
mod collect;
pub mod totals;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::site::Site;

pub use collect::{ChannelCounts, Scrape};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The words that metrics are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format 0.0.4.
    Text,
}

impl Format {
    /// OpenMetrics where it is asked for by name, and no less than the older format.
    pub fn accepted(headers: &HeaderMap) -> Format {
        let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|v| v.to_str().ok());
        let (mut open, mut plain) = (0.0, 0.0);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> =
                parts.filter_map(|part| part.split_once('=')).collect();
            let of = |key: &str| {
                let mut found =
                    parameters.iter().filter(|(k, _)| k.trim().eq_ignore_ascii_case(key));
                found.next().map(|(_, value)| value.trim().trim_matches('"'))
            };
            let weight: f64 = of("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            match kind.as_str() {
                "application/openmetrics-text" if of("version").is_none_or(|v| v == "1.0.0") => {
                    open = weight.max(open);
                }
                "text/plain" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Format::OpenMetrics } else { Format::Text }
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => OPEN_METRICS,
            Format::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// All metrics as text.
///
/// # Errors
/// None that could come about: text takes any length.
pub fn render(scrape: Scrape, format: Format) -> Result<String, std::fmt::Error> {
    let services = scrape.latest.as_ref().map_or(0, |latest| latest.policy.services.len());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut told = String::with_capacity((16 << 10) + services * BYTES_A_SERVICE);
    match format {
        Format::OpenMetrics => text::encode(&mut told, &registry)?,
        Format::Text => prometheus_text::encode(&mut told, &registry)?,
    }
    Ok(told)
}

/// About what a service's series take.
const BYTES_A_SERVICE: usize = 1600;

/// Answers a scrape.
pub(super) async fn show(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let format = Format::accepted(&headers);
    // A large fleet's text takes a while, and the outbox may wait for the disk.
    let told = tokio::task::spawn_blocking(move || render(site.scrape(), format)).await;
    match told {
        Ok(Ok(text)) => {
            let kind = HeaderValue::from_static(format.content_type());
            (
                [(header::CONTENT_TYPE, kind), (header::VARY, HeaderValue::from_static("accept"))],
                text,
            )
                .into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be written\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(values: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Format::accepted(&headers)
    }

    #[test]
    fn open_metrics_is_told_to_those_who_ask_for_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
                            application/openmetrics-text;version=0.0.1;q=0.75,\
                            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let asked = [
            &[prometheus_2][..],
            &[prometheus_3],
            &["application/openmetrics-text"],
            &["Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5"],
            &["text/html", "application/openmetrics-text"],
        ];
        for accept in asked {
            assert_eq!(accepted(accept), Format::OpenMetrics, "{accept:?}");
        }
        let others = [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["application/openmetrics-text;version=0.0.1"],
            &["application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0.1"],
            &["application/openmetrics-text;q=0.4,text/plain;q=0.5"],
            &["application/openmetrics-text;q=much"],
        ];
        for accept in others {
            assert_eq!(accepted(accept), Format::Text, "{accept:?}");
        }
    }

    #[test]
    fn a_daemon_that_has_done_nothing_yet_has_its_counters() {
        let told = render(Scrape::default(), Format::OpenMetrics).unwrap();
        assert!(told.contains("\nneap_cycles_total 0\n"), "{told}");
        assert!(told.contains("neap_orders_total{result=\"failed\"} 0\n"), "{told}");
        assert!(told.ends_with("# EOF\n"), "{told}");
        let told = render(Scrape::default(), Format::Text).unwrap();
        assert!(told.contains("# TYPE neap_cycles_total counter\n"), "{told}");
        assert!(!told.contains("EOF"), "{told}");
    }
}
