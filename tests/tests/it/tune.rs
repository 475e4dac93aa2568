//! `neap tune` on a service's own recorded history: the README's chart, made again.
//!
//! `docs/tune.svg` and `docs/tune.json` are what the program makes of the day of
//! `config.example.toml`. After a change of forecasts or planner, make them anew:
//!
//! ```text
//! neap run --config config.example.toml
//! neap tune --config config.example.toml --service checkout --lead-time 5m \\
//!     --today target-tracking:0.5 --chart docs/tune.svg --format json > docs/tune.json
//! ```

use std::fs;

use serde_json::Value;
use tests::neap::Neap;

const EXAMPLE: &str = include_str!("../../../config.example.toml");
const COMMITTED: &str = include_str!("../../../docs/tune.json");
const COMMITTED_CHART: &str = include_str!("../../../docs/tune.svg");

/// The example's day as fast as the machine can, in a place of its own.
fn a_day() -> Neap {
    let places = |line: &&str| !line.starts_with("state_dir") && !line.starts_with("kill_switch");
    let kept: Vec<&str> = EXAMPLE.lines().filter(places).collect();
    let config = kept.join("\n").replace("speed = 1000 ", "speed = \"max\" ");
    let neap = Neap::new(env!("CARGO_BIN_EXE_neap-test"), &config);
    let ran = neap.output(&["run"]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    neap
}

fn tune(neap: &Neap, arguments: &[&str]) -> String {
    let line = [&["tune", "--service", "checkout", "--lead-time", "5m"], arguments].concat();
    let ran = neap.output(&line);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["series"][0]["policies"].as_array().expect("rows")
}

fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("{field} of {row}"))
}

/// The policies that do not forecast as neap does come out as committed; neap's own figures may
/// move with its forecasts, but not far.
fn same_figures(made: &Value, committed: &Value) {
    let (made_rows, committed_rows) = (rows(made), rows(committed));
    assert_eq!(made_rows.len(), committed_rows.len());
    for (made, was) in made_rows.iter().zip(committed_rows) {
        assert_eq!((&made["family"], &made["setting"]), (&was["family"], &was["setting"]));
        let (cost, violations) = if was["family"] == "neap" { (0.1, 0.01) } else { (1e-3, 1e-3) };
        let (now, then) = (number(made, "cost"), number(was, "cost"));
        assert!((now / then - 1.0).abs() <= cost, "made {made}, committed {was}");
        let (now, then) = (number(made, "violations"), number(was, "violations"));
        assert!((now - then).abs() <= violations, "made {made}, committed {was}");
    }
}

#[test]
fn the_chart_of_the_readme_is_what_the_program_makes() {
    let neap = a_day();
    let today = ["--today", "target-tracking:0.5"];
    let line = [&today[..], &["--chart", "tune.svg", "--format", "json"]].concat();
    let made: Value = serde_json::from_str(&tune(&neap, &line)).unwrap();
    let committed: Value = serde_json::from_str(COMMITTED).unwrap();
    same_figures(&made, &committed);
    let saved = number(&made["advice"]["saving"], "saved");
    assert!(saved > 0.3, "{}", made["advice"]);
    let chart = fs::read_to_string(neap.path("tune.svg")).unwrap();
    let words = |svg: &str| -> Vec<String> {
        let shown = roxmltree::Document::parse(svg).expect("an SVG");
        let texts = shown.descendants().filter(|node| node.tag_name().name() == "text");
        texts.filter_map(|node| node.text()).map(|text| text.trim().to_owned()).collect()
    };
    let fixed = |word: &&String| word.chars().any(char::is_alphabetic) && !word.contains("saves");
    let (now, then) = (words(&chart), words(COMMITTED_CHART));
    assert_eq!(
        now.iter().filter(fixed).collect::<Vec<_>>(),
        then.iter().filter(fixed).collect::<Vec<_>>()
    );
    let text = tune(&neap, &today);
    assert!(text.contains("\nrecommended: violation_budget = \""), "{text}");
    let unknown = neap.output(&["tune", "--service", "shop"]);
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(1), "{told}");
    assert!(told.contains("knows no service `shop`") && told.contains("`checkout`"), "{told}");
}
