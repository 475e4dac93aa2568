//! `neap simulate-idle` over recorded metrics: what would have been stopped, and what was missed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use fleet::Timestamp;
use serde_json::Value;

const CONFIG: &str = r#"
mode = "observe"
[provider.sim]
kind = "sim"
seed = 1
start = "2026-03-02T00:00:00Z"
duration = "1h"
speed = "max"
scenario = "day"
[[idle]]
name = "dev"
provider = "sim"
match = { tags = { env = ["dev"] } }
idle_when = { cpu_max_percent = 3.0, network_max_kib_per_second = 5.0, disk_max_ops_per_second = 2.0, for = "35d" }
grace = "2d"
"#;

const START: &str = "2026-01-01T00:00:00Z";

/// A machine: its id, its tag `env`, and its processor by the hour.
type Machine<'m> = (&'m str, &'m str, fn(i64) -> f64);

/// Hourly series of 50 days and a manifest that names them.
fn record(folder: &Path, machines: &[Machine<'_>]) {
    let start = Timestamp::parse(START).unwrap();
    let mut manifest = "resource,name,kind,class,created_at,tags,signal,file\n".to_owned();
    for (id, env, cpu) in machines {
        for signal in ["cpu", "network_in", "network_out", "disk_ops"] {
            let file = format!("{id}-{signal}.csv");
            let mut series = "timestamp,value\n".to_owned();
            for hour in 0..50 * 24 {
                let value = if signal == "cpu" { cpu(hour) } else { 0.5 };
                let at = Timestamp(start.0 + hour * 3600);
                writeln!(series, "{at},{value}").unwrap();
            }
            std::fs::write(folder.join(&file), series).unwrap();
            writeln!(
                manifest,
                "{id},{id}-box,instance,t3.micro,2025-01-01T00:00:00Z,env={env};a=b,{signal},{file}"
            )
            .unwrap();
        }
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
    std::fs::write(folder.join("neap.toml"), CONFIG).unwrap();
}

fn simulate(folder: &Path, more: &[&str]) -> Output {
    let config = folder.join("neap.toml");
    Command::new(env!("CARGO_BIN_EXE_neap"))
        .arg("simulate-idle")
        .arg(folder)
        .arg("--config")
        .arg(config)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn an_idle_box_is_stopped_after_its_grace_and_what_came_later_is_counted() {
    let folder = tempfile::TempDir::new().unwrap();
    record(
        folder.path(),
        &[
            ("i-idle", "dev", |_| 0.7),
            // Two hours of work on day 45: eight days after the stop.
            ("i-back", "dev", |hour| if hour / 24 == 45 && hour % 24 < 2 { 60.0 } else { 0.7 }),
            ("i-office", "dev", |hour| if hour % 24 == 10 { 40.0 } else { 0.7 }),
            ("i-prod", "prod", |_| 0.7),
        ],
    );
    let output = simulate(folder.path(), &["--format", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |id: &str| {
        let all = told["resources"].as_array().unwrap();
        all.iter().find(|one| one["resource"] == id).unwrap().clone()
    };
    // 35 days of look-back and 2 of grace.
    let stopped = Timestamp::parse("2026-02-07T00:00:00Z").unwrap().0;
    for (id, missed) in [("i-idle", 0), ("i-back", 2)] {
        assert_eq!(of(id)["stopped_at"], stopped, "{id}");
        assert_eq!(of(id)["missed_hours"], missed, "{id}");
    }
    assert_eq!(of("i-office")["stopped_at"], Value::Null);
    let clock = "idle by the clock: used Mon-Sun 08:00-13:00 in 5 weeks";
    assert_eq!(of("i-office")["verdict"], clock);
    assert_eq!(of("i-prod")["rule"], Value::Null);
    let text = String::from_utf8(simulate(folder.path(), &[]).stdout).unwrap();
    assert!(text.contains("2 of 4 stopped"), "{text}");
    assert!(text.contains("i-prod (i-prod-box): would not have been stopped; no rule"), "{text}");
}

#[test]
fn every_fault_of_a_manifest_is_told_with_its_line() {
    let folder = tempfile::TempDir::new().unwrap();
    record(folder.path(), &[("i-1", "dev", |_| 0.5)]);
    let manifest = folder.path().join("manifest.csv");
    let mut text = std::fs::read_to_string(&manifest).unwrap();
    text.push_str("i-2,two,instance,x,2025-01-01T00:00:00Z,,colour,i-1-cpu.csv\n");
    text.push_str("i-3,three,toaster,x,2025-01-01T00:00:00Z,,cpu,i-1-cpu.csv\n");
    text.push_str("i-4,four,instance,x,yesterday,,cpu,i-1-cpu.csv\n");
    text.push_str("i-5,five,instance,x,2025-01-01T00:00:00Z,,cpu,nowhere.csv\n");
    std::fs::write(&manifest, text).unwrap();
    let output = simulate(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "manifest.csv:6: `signal` is `colour`, expected one of cpu",
        "manifest.csv:7: `kind` is `toaster`, expected `instance` or `database`",
        "manifest.csv:8: `created_at` is `yesterday`",
        "nowhere.csv",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}
