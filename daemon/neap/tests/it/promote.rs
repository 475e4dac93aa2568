//! `neap promote` and `neap demote` against a running daemon on the simulated cloud.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../../config.example.toml");
const PATIENCE: Duration = Duration::from_secs(120);

/// A running daemon, killed with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> Running {
    let run = Command::new(env!("CARGO_BIN_EXE_neap"))
        .args(["run", "--config", "neap.toml"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(run.unwrap())
}

fn neap(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neap"));
    command.args(arguments).args(["--config", "neap.toml"]).current_dir(folder);
    command.output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String) {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    (output.status.code(), format!("{out}{err}"))
}

/// Asks until the answer is right.
fn until<T>(what: &str, ask: impl Fn() -> Result<T, String>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(told) => return told,
            Err(told) if Instant::now() > give_up => panic!("{what}: {told}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The stage of a service, once a cycle of the running daemon tells it.
fn stage(folder: &Path, wanted: &str) -> Value {
    until(wanted, || {
        let output = neap(folder, &["promote", "--format", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).map_err(|_| told(&output).1)?;
        let one = all["checkout"].clone();
        if one.to_string().contains(wanted) { Ok(one) } else { Err(all.to_string()) }
    })
}

#[test]
fn people_promote_and_take_back_while_it_runs() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = EXAMPLE
        .replace("duration = \"24h\"", "duration = \"300d\"")
        .replace("speed = 1000", "speed = 300")
        .replace("scenario = \"day\"", "scenario = \"day\"\nmachines = 12")
        .replace("[service_defaults]", "[service_defaults]\npromotion = \"gated\"");
    let rule = "[[idle]]\nname = \"forgotten\"\nmode = \"act\"\npromotion = \"gated\"\ngrace = \"2h\"\n\
                match = { tags = { owner = [] } }\nidle_when = { cpu_max_percent = 5.0 }\n";
    let config = format!("{config}\n{rule}");
    std::fs::write(folder.path().join("neap.toml"), config).unwrap();
    let folder = folder.path();
    let running = start(folder);
    let offer = stage(folder, "shadow");
    assert_eq!(offer["why"], "new");
    assert!(!offer["missing"].as_array().unwrap().is_empty(), "{offer}");
    let (code, text) = told(&neap(folder, &["promote", "checkout"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the gate is not met: "), "{text}");
    let (code, text) = told(&neap(folder, &["promote", "checkout", "--share", "25%", "--anyway"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("service `checkout`: promoted from the next cycle on, by "), "{text}");
    stage(folder, "canary");
    let (_, text) = told(&neap(folder, &["promote"]));
    assert!(text.contains("canary of 25%") && text.contains("not yet: "), "{text}");
    assert!(text.contains("\nforgotten            shadow  "), "{text}");
    let (_, text) = told(&neap(folder, &["explain", "checkout"]));
    assert!(text.contains("stage     canary of 25% since "), "{text}");
    let (code, text) = told(&neap(folder, &["promote", "forgotten"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("of 7d in shadow; "), "{text}");
    let (code, text) = told(&neap(folder, &["promote", "forgotten", "--share", "5%", "--anyway"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("`forgotten` is a rule, and a canary is of a service"), "{text}");
    let (code, text) = told(&neap(folder, &["promote", "forgotten", "--anyway"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("rule `forgotten`: promoted from the next cycle on, by "), "{text}");
    let (code, text) = told(&neap(folder, &["demote", "--all"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("4 services, 1 rules: back in observe"), "{text}");
    stage(folder, "demoted");
    let (_, text) = told(&neap(folder, &["status"]));
    assert!(text.contains("shadow since ") && text.contains(": demoted by "), "{text}");
    drop(running);
    // A kill forgets nothing.
    let (_, text) =
        told(&neap(folder, &["journal", "ls", "--all", "--since", "2026-01-01T00:00:00Z"]));
    assert!(
        text.contains(" promotes checkout as a canary of 25%, the gate not being met"),
        "{text}"
    );
    assert!(text.contains(" promotes rule forgotten, the gate not being met"), "{text}");
    assert!(text.contains(" demotes everything"), "{text}");
    let (code, text) = told(&neap(folder, &["replay"]));
    assert_eq!(code, Some(0), "{text}");
    let _running = start(folder);
    stage(folder, "demoted");
}

#[test]
fn without_a_daemon_nothing_is_promoted_and_nonsense_is_wrong_usage() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("neap.toml"), EXAMPLE).unwrap();
    let (code, text) = told(&neap(folder.path(), &["promote", "checkout"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("no daemon answers"), "{text}");
    for wrong in [&["demote"][..], &["demote", "a", "--all"], &["promote", "a", "--share", "0%"]] {
        let (code, text) = told(&neap(folder.path(), wrong));
        assert_eq!(code, Some(2), "{text}");
    }
    let (code, text) = told(&neap(folder.path(), &["promote", "a", "b", "--offer", "x"]));
    assert_eq!(code, Some(2), "{text}");
}
