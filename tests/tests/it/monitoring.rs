//! A real Prometheus scrapes a running daemon, finds nothing to complain of, and evaluates the rules.
//! It takes Debian's package `prometheus`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::story::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config.example.toml");
const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../monitoring");
const TOKEN: &str = "a-token-for-the-scraper-0123456789";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A service's name that would break out of a label that is not escaped.
const ODD: &str = "ren\"der \\ 😀 مرحبا";

/// Ended with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries again until there is an answer.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Answer {
    status: u16,
    kind: String,
    body: String,
}

fn get(address: &str, path: &str, headers: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Some(Answer { status, kind: kind.unwrap_or_default().to_owned(), body: body.to_owned() })
}

/// A day that takes minutes, with a page on a free port that wants a token.
fn daemon(folder: &Path) -> Ended {
    let example = fs::read_to_string(EXAMPLE).expect("the example reads");
    let named = toml_text(ODD);
    let config = example
        .replace("speed = 1000", "speed = 200")
        .replace("name = \"render\"", &format!("name = {named}"));
    assert!(config.contains("speed = 200") && config.contains(&named));
    let page = "[page]\nlisten = \"127.0.0.1:0\"\nviewing = \"token\"\n\
                token = [{ name = \"prometheus\", right = \"view\", token_file = \"token\" }]\n\
                [log]\nformat = \"json\"\n";
    fs::write(folder.join("neap.toml"), format!("{config}\n{page}")).expect("it is written");
    fs::write(folder.join("token"), TOKEN).expect("it is written");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.join("token"), mode).expect("it is ours");
    let said = File::create(folder.join("neap.log")).expect("a file for its words");
    let mut neap = Command::new(BINARY);
    neap.args(["run", "--config", "neap.toml"]).current_dir(folder);
    neap.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    Ended(neap.spawn().expect("it runs"))
}

/// As a TOML string.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Where the daemon says that its page is.
fn page(folder: &Path) -> String {
    until("the page opens", || {
        let said = fs::read_to_string(folder.join("neap.log")).ok()?;
        let opened = said.lines().find(|line| line.contains("the page is open"))?;
        let line: Value = serde_json::from_str(opened).ok()?;
        Some(line["address"].as_str()?.to_owned())
    })
}

fn prometheus(folder: &Path, page: &str) -> Ended {
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: ['{MONITORING}/alerts.yml']\n\
         scrape_configs:\n\
         - job_name: neap\n\
        \x20 authorization: {{ credentials_file: token }}\n\
        \x20 static_configs: [{{ targets: ['{page}'] }}]\n"
    );
    fs::write(folder.join("prometheus.yml"), config).expect("it is written");
    let said = File::create(folder.join("prometheus.log")).expect("a file for its words");
    let mut prometheus = Command::new("prometheus");
    prometheus
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg("--web.listen-address=127.0.0.1:0")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said);
    Ended(prometheus.spawn().expect("Debian's package `prometheus` is installed"))
}

/// Where Prometheus says that it listens: the port that it was given.
fn listening(folder: &Path) -> String {
    until("Prometheus listens", || {
        let said = fs::read_to_string(folder.join("prometheus.log")).ok()?;
        let line = said.lines().find(|line| line.contains("msg=\"Listening on\""))?;
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="))?;
        Some(word.to_owned())
    })
}

fn asked(address: &str, path: &str) -> Option<Value> {
    let answer: Value = serde_json::from_str(&get(address, path, "")?.body).ok()?;
    (answer["status"] == "success").then(|| answer["data"].clone())
}

/// The series that a query finds, once it finds any.
fn found(address: &str, query: &str) -> Vec<Value> {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    until(query, || {
        let data = asked(address, &format!("/api/v1/query?query={escaped}"))?;
        Some(data["result"].as_array()?.clone()).filter(|series| !series.is_empty())
    })
}

#[test]
fn a_real_prometheus_scrapes_the_daemon_and_evaluates_the_rules() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let _neap = daemon(folder);
    let page = page(folder);
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");

    let refused = get(&page, "/metrics", "").expect("it answers");
    assert_eq!(refused.status, 401, "a scraper is sent to no form: {}", refused.body);
    let wrong = get(&page, "/metrics", "Authorization: Bearer nonsense\r\n").expect("it answers");
    assert_eq!(wrong.status, 401);
    let plain = until("three cycles end", || {
        let answer = get(&page, "/metrics", &bearer)?;
        let cycles = answer.body.lines().find_map(|l| l.strip_prefix("neap_cycles_total "))?;
        (cycles.parse::<u64>().ok()? >= 3).then_some(answer)
    });
    assert_eq!(
        (plain.status, plain.kind.as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    complaints(&plain.body);
    let accept = format!("{bearer}Accept: application/openmetrics-text;version=1.0.0\r\n");
    let open = get(&page, "/metrics", &accept).expect("it answers");
    assert_eq!((open.status, open.kind.as_str()), (200, OPEN_METRICS));
    assert!(open.body.ends_with("\n# EOF\n") && open.body.contains("# UNIT "), "{}", open.body);

    let _prometheus = prometheus(folder, &page);
    let address = listening(folder);
    found(&address, "neap_cycles_total > 3");
    let up = found(&address, "up{job=\"neap\"}");
    assert_eq!(up[0]["value"][1], "1");
    let names = found(&address, "neap_service_info");
    let names: Vec<&str> = names.iter().filter_map(|s| s["metric"]["service"].as_str()).collect();
    assert!(names.len() == 4 && names.contains(&ODD), "{names:?}");
    // The unit comes with OpenMetrics alone: this is what Prometheus asked for.
    let about = asked(&address, "/api/v1/metadata?metric=neap_cycle_duration_seconds");
    let about = about.expect("it is known");
    assert_eq!(about["neap_cycle_duration_seconds"][0]["unit"], "seconds", "{about}");
    let targets = asked(&address, "/api/v1/targets").expect("it answers");
    assert_eq!(targets["activeTargets"][0]["lastError"], "", "{targets}");

    let rules = until("every rule is evaluated", || {
        let data = asked(&address, "/api/v1/rules")?;
        let rules = data["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    assert!(rules.len() > 15);
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    fs::write(folder.join("neap-stop"), "").expect("the switch is thrown");
    found(&address, "neap_kill_switch_thrown == 1");
    found(&address, "ALERTS{alertname=\"NeapKillSwitchThrown\", alertstate=\"pending\"}");
}

/// What promtool finds wrong with the names, units and helps.
fn complaints(told: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = promtool.spawn().expect("Debian's package `prometheus` is installed");
    let mut into = running.stdin.take().expect("a pipe");
    into.write_all(told.as_bytes()).expect("it reads");
    drop(into);
    let output = running.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn promtool_is_content_with_the_rules() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let run = Command::new("promtool").args(arguments).current_dir(MONITORING).output();
        let output = run.expect("Debian's package `prometheus` is installed");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
