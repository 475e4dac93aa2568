//! A sale that is known beforehand, from the configuration to the cloud: its capacity stands when
//! it begins, is kept while it lasts, goes when it is over, and the journal tells why.

use serde_json::Value;
use tests::neap::Neap;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

/// Five hours of a night on the simulated cloud, which needs about ten units; the sale is from
/// 10:00 to 11:30 in Shanghai, 02:00 to 03:30 UTC.
const CONFIG: &str = r#"
mode = "act"
[budgets]
group = "100% per 10m"
account = "100% per 10m"
fleet = "100% per 10m"
[provider.sim]
kind = "sim"
seed = 7
start = "2026-03-02T00:00:00Z"
duration = "5h"
speed = "max"
scenario = "day"
[calendar.cn]
timezone = "Asia/Shanghai"
holidays = "CN"
[[service]]
name = "checkout"
calendar = "cn"
demand = [{ from = "sim", namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "app/checkout/50dc6c495c0c9188" } }]
[[service.pool]]
provider = "sim"
group = "checkout-asg"
capacity_per_unit = 40
lead_time = "4m"
min = 2
max = 60
[[event]]
name = "women's day sale"
timezone = "Asia/Shanghai"
from = 2026-03-02T10:00
until = 2026-03-02T11:30
services = ["checkout"]
floor = 40
"#;

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each order of the night: its time, what it changed, and what decided.
fn orders(turns: &[Value]) -> Vec<String> {
    let told = |turn: &Value| {
        let action = turn["actions"].as_array()?.first()?;
        let decided = &action["sizing"]["decided_by"];
        let by = decided["Event"]["name"].as_str().or(decided.as_str())?;
        Some(format!("{} {} {by}", turn["taken_at"].as_str()?, action["change"]))
    };
    turns.iter().filter_map(told).collect()
}

#[test]
fn the_floor_of_a_sale_is_in_service_when_it_begins_and_goes_when_it_ends() {
    let neap = Neap::new(BINARY, CONFIG);
    let run = neap.output(&["run", "--format", "json"]);
    assert!(run.status.success(), "{}", words(&run.stderr));
    let told = words(&run.stdout);
    let turns: Vec<Value> = told.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    assert_eq!(turns.len(), 300);
    let orders = orders(&turns);
    let of_the_sale: Vec<&String> = orders.iter().filter(|order| order.contains("women")).collect();
    assert_eq!(of_the_sale.len(), 1, "{orders:#?}");
    // The lead time measured so far says 7m27s.
    assert!(of_the_sale[0].starts_with("2026-03-02T01:53:00Z"), "{orders:#?}");
    let explain = |at: &str| words(&neap.output(&["explain", "checkout", "--at", at]).stdout);
    let (begins, lasts) = (explain("2026-03-02T02:00:00Z"), explain("2026-03-02T03:29:00Z"));
    assert!(begins.contains("desired 40 in 2..80, 40 in service"), "{begins}");
    let held = "held      event `women's day sale` keeps at least 40 units";
    assert!(begins.contains(held) && lasts.contains(held), "{begins}{lasts}");
    let over = explain("2026-03-02T03:30:00Z");
    assert!(over.contains("action    desired 40 -> ") && !over.contains("women"), "{over}");
    let replay = words(&neap.output(&["replay"]).stdout);
    assert!(replay.contains("300 plans are the same, 0 differ"), "{replay}");
    let check = words(&neap.output(&["check"]).stdout);
    let coming = "coming    event `women's day sale` from 2026-03-02T02:00:00Z until \
                  2026-03-02T03:30:00Z, at least 40 units";
    assert!(check.contains(coming), "{check}");
}

/// What a calendar is worth can be measured on a file.
#[test]
fn a_series_file_is_forecast_by_the_calendar_that_is_named() {
    let neap = Neap::new(BINARY, CONFIG);
    // Hours of work in Shanghai, up to the morning of the make-up Saturday of 14 February 2026.
    let end = fleet::Timestamp::parse("2026-02-13T23:00:00Z").unwrap();
    let hour = |n: u64| end - fleet::Seconds::hours(40 * 24 - n);
    let load = |at: fleet::Timestamp| {
        let local = at.0 + 8 * 3600;
        let (weekday, hour) = ((local.div_euclid(86_400) + 4).rem_euclid(7), local / 3600 % 24);
        let works = (1..6).contains(&weekday) && (8..18).contains(&hour);
        if works { 900.0 + (hour * 7 % 11) as f64 } else { 100.0 + (hour * 5 % 7) as f64 }
    };
    let rows: String = (0..=40 * 24).map(|n| format!("{},{}\n", hour(n), load(hour(n)))).collect();
    std::fs::write(neap.path("load.csv"), format!("timestamp,value\n{rows}")).unwrap();
    let median = |arguments: &[&str]| {
        let fixed =
            ["forecast", "load.csv", "--horizon", "4h", "--quantiles", "0.5", "--format", "csv"];
        let output = neap.output_alone(&[&fixed[..], arguments].concat());
        assert!(output.status.success(), "{}", words(&output.stderr));
        let text = words(&output.stdout);
        let last =
            text.lines().last().and_then(|line| line.split(',').next_back()?.parse::<f64>().ok());
        last.unwrap()
    };
    let plain = median(&[]);
    let informed = median(&["--config", "neap.toml", "--calendar", "cn"]);
    assert!(plain < 400.0 && informed > 700.0, "{plain} without, {informed} with the calendar");
    let unknown = ["forecast", "load.csv", "--config", "neap.toml", "--calendar", "de"];
    let unknown = neap.output_alone(&unknown);
    insta::assert_snapshot!(words(&unknown.stderr), @r"error: `neap.toml` has no calendar `de`, it has `cn`");
}
