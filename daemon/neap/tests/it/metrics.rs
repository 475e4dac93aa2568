//! Every metric of the catalogue, its labels and its words; and the dashboard and the alert rules,
//! which may name no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fleet::ServiceName;
use page::metrics::catalogue::{ALL, Metric};
use page::metrics::{Format, render};
use prometheus_client::metrics::MetricType;

use crate::{dashboard, scrape};

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring").join(file)
}

/// Lines without comments: name, labels as they stand, value.
fn samples(told: &str) -> Vec<(&str, &str, &str)> {
    let lines = told.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels.trim_end_matches('}'), value)
        })
        .collect()
}

#[test]
fn every_metric_is_told_with_its_labels_and_no_other() {
    for format in [Format::OpenMetrics, Format::Text] {
        let told = render(scrape::scrape(60, None), format).unwrap();
        let mut families = BTreeSet::new();
        for line in told.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            assert!(families.insert(line.split(' ').next().unwrap()), "twice: {line}");
        }
        let known: BTreeMap<String, &Metric> = ALL
            .iter()
            .flat_map(|metric| metric.series().into_iter().map(move |name| (name, *metric)))
            .collect();
        let mut seen = BTreeSet::new();
        for (name, labels, value) in samples(&told) {
            let metric = known.get(name).unwrap_or_else(|| panic!("{name} is in no catalogue"));
            seen.insert(name);
            let mut keys: Vec<&str> =
                labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
            keys.retain(|key| *key != "le");
            assert_eq!(keys, metric.labels, "{name} {labels}");
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{name} {value}");
        }
        let missing: Vec<_> = known.keys().filter(|name| !seen.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{format:?}: {missing:?}");
        assert_eq!(families.len(), ALL.len());
    }
}

#[test]
fn names_units_and_helps_keep_the_conventions() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("neap_") && !name.ends_with('_'), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        for suffix in ["_total", "_info", "_seconds", "_bytes", "_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name}: the format adds `{suffix}`");
        }
        assert!(!metric.help.is_empty() && !metric.help.contains('\n'), "{name}");
        assert!(!metric.labels.contains(&"quantile") && !metric.labels.contains(&"le"), "{name}");
        let is_info = metric.kind == MetricType::Info;
        assert!(!is_info || metric.unit.is_none(), "{name}");
    }
}

#[test]
fn numbers_are_those_of_the_cycle() {
    let scrape = scrape::scrape(4, None);
    let latest = scrape.latest.clone().unwrap();
    let told = render(scrape, Format::Text).unwrap();
    let value = |series: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{told}")).parse().unwrap()
    };
    let (name, seen) = latest.turn.snapshot.services.iter().next().unwrap();
    let of = |metric: &str| value(&format!("{metric}{{service=\"{name}\"}}"));
    let group = seen.group.as_ref().unwrap();
    assert_eq!(of("neap_service_units_desired") as u32, group.desired.0);
    assert!((of("neap_service_demand") - seen.demand.settled.unwrap().value).abs() < 1e-9);
    let forecast = seen.forecast.as_ref().unwrap();
    let high = value(&format!("neap_service_demand_next{{service=\"{name}\",level=\"high\"}}"));
    assert!((high - forecast.next_milli.last().unwrap().a_second()).abs() < 1e-9);
    assert_eq!(value("neap_cycles_total"), 3.0);
    assert_eq!(value("neap_cycle_duration_seconds_count"), 3.0);
    assert_eq!(value("neap_cycle_duration_seconds_bucket{le=\"1\"}"), 0.0);
    assert_eq!(value("neap_cycle_duration_seconds_bucket{le=\"2.5\"}"), 3.0);
    assert!((value("neap_cycle_duration_seconds_sum") - 3.6).abs() < 1e-9);
    let call = "provider=\"aws\",operation=\"groups\"";
    let bucket = |le: &str| {
        value(&format!("neap_provider_call_duration_seconds_bucket{{{call},le=\"{le}\"}}"))
    };
    assert_eq!(bucket("0.005"), 1.0);
    assert_eq!(bucket("0.25"), 6.0);
    assert_eq!(bucket("+Inf"), 7.0);
    assert_eq!(value(&format!("neap_provider_faults_total{{{call},fault=\"timed out\"}}")), 2.0);
    assert_eq!(value("neap_alerts_total{channel=\"on-call\",result=\"given-up\"}"), 1.0);
    // An interval settles in each cycle, and what was before the first is not counted.
    assert_eq!(of("neap_service_intervals_total"), 2.0);
    let hold = format!("neap_service_hold{{service=\"{name}\",hold=\"group-is-changing\"}}");
    assert_eq!(value(&hold), 1.0);
    assert!(!told.contains("right-size"), "nothing is held there");
}

#[test]
fn a_name_breaks_out_of_no_label() {
    let odd = "a\"b\\c} 1 😀 مرحبا \u{202e}x";
    let name = ServiceName::new(odd).expect("no control characters are in it");
    let told = render(scrape::scrape(2, Some(&name)), Format::OpenMetrics).unwrap();
    let escaped = "service=\"a\\\"b\\\\c} 1 😀 مرحبا \u{202e}x\"";
    assert!(told.contains(&format!("neap_service_demand{{{escaped}}} ")), "{told}");
    let mut scrape = scrape::scrape(1, None);
    let counts = scrape.channels.remove("on-call").unwrap();
    scrape.channels.insert("line\nbreak".to_owned(), counts);
    let told = render(scrape, Format::Text).unwrap();
    assert!(told.contains("neap_alerts_waiting{channel=\"line\\nbreak\"} 3\n"), "{told}");
}

/// The names of metrics in a text, as queries have them.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c));
    words.filter(|word| word.starts_with("neap_")).map(str::to_owned).collect()
}

fn known() -> BTreeSet<String> {
    ALL.iter().flat_map(|metric| metric.series()).collect()
}

#[test]
fn alert_rules_name_metrics_that_there_are() {
    for file in ["alerts.yml", "alerts_test.yml"] {
        let named = named(&fs::read_to_string(monitoring(file)).unwrap());
        assert!(named.len() > 10, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&known()).cloned().collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

/// The dashboard is made from `dashboard/mod.rs`. `NEAP_BLESS=1` writes it anew.
#[test]
fn the_dashboard_is_as_its_source_has_it() {
    let made = serde_json::to_string_pretty(&dashboard::dashboard()).unwrap() + "\n";
    let unknown: Vec<_> = named(&made).difference(&known()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let file = monitoring("dashboard.json");
    if std::env::var_os("NEAP_BLESS").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == made, "dashboard.json is not what its source makes: NEAP_BLESS=1 writes it");
}
