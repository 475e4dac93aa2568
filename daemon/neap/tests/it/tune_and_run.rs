//! What `neap tune` promises of the example is what `neap run` delivers there.
//!
//! Both decide over the same second day, after the same history and a day under neap: `tune` on the
//! demand that the journal holds, `run` on the simulated cloud.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../../config.example.toml");
/// The service whose group nobody else sizes: `search` has a policy of the cloud's own, and of
/// `render` somebody sets the size by hand.
const SERVICE: &str = "checkout";
/// Of the mean size, so much may be between the two.
const APART: f64 = 0.03;
/// The part of the recorded demand that is before the second day: the cloud keeps samples of minutes
/// for 15 days, and one day was played.
const UNTIL_THE_SECOND_DAY: f64 = 16.0 / 17.0;

fn neap(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neap"));
    command.args(arguments).args(["--config", "neap.toml"]).current_dir(folder);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap_or(Value::Null)
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} of {value}"))
}

/// Neap's own row at the promise of the service.
fn own_row(study: &Value) -> &Value {
    let rows = study["policies"].as_array().expect("rows");
    let own = |row: &&Value| row["family"] == "neap" && row["setting"] == "0.5%";
    rows.iter().find(own).expect("a row of neap")
}

#[test]
fn what_tune_promises_of_the_example_is_what_run_delivers() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let config = EXAMPLE
        .replace("duration = \"24h\"", "duration = \"48h\"")
        .replace("speed = 1000 ", "speed = \"max\" ");
    assert!(!config.contains("\n[budgets]"), "the example keeps the default budgets");
    std::fs::write(folder.join("neap.toml"), config).unwrap();
    neap(folder, &["run"]);

    let warmup = UNTIL_THE_SECOND_DAY.to_string();
    let tuned =
        neap(folder, &["tune", "--service", SERVICE, "--warmup", &warmup, "--format", "json"]);
    let study = &tuned["series"][0];
    let budgets = "group 10% per 10m; account 5% per 1h; fleet 2% per 1h";
    assert_eq!(study["removal_budgets"], budgets);
    let [since, until] = ["scored_from", "scored_until"].map(|of| study[of].as_str().unwrap());
    assert!(since >= "2026-03-02T23:30:00Z" && until >= "2026-03-03T23:30:00Z", "{since} {until}");
    assert!(since <= "2026-03-03T00:30:00Z", "{since}");
    let promised = own_row(study);

    // What was recorded stands beside what another configuration would have done; here it is none.
    let span = ["--since", since, "--until", until];
    let replayed =
        neap(folder, &[&["replay", "--with", "neap.toml", "--format", "json"], &span[..]].concat());
    let both = replayed.as_array().unwrap().iter().find(|row| row["service"] == SERVICE);
    let recorded = &both.expect("the service was recorded")["recorded"];
    let intervals = number(recorded, "intervals");
    let delivered_units = number(recorded, "unit_hours") / (intervals / 60.0);
    let delivered_violations = number(recorded, "violations") / intervals;

    let (units, violations) = (number(promised, "mean_units"), number(promised, "violations"));
    let told = format!(
        "tune: {units:.2} units, {:.2}% missed; run: {delivered_units:.2} units, {:.2}% missed",
        100.0 * violations,
        100.0 * delivered_violations
    );
    eprintln!("{told}");
    assert!((delivered_units / units - 1.0).abs() <= APART, "{told}");
    assert!((delivered_violations - violations).abs() <= 0.005, "{told}");
}
