//! A store of metrics: Prometheus itself, in a process of its own, gone with its owner.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use fleet::Timestamp;
use tempfile::TempDir;

use crate::clock::locked;
use crate::load::Load;

/// The job of every series that is scraped.
const JOB: &str = "checkout";
/// Seconds between two samples of a history.
const SCRAPED_EVERY: i64 = 15;
/// What ends the store when its standard input ends, however we end. Its words are the store's.
const GUARDED: &str = r#""$@" & store=$!; exec 2>&-; read _; kill -9 $store; wait $store"#;
/// What the store says once it answers.
const READY: &str = "Server is ready to receive web requests";

/// What a store is to hold and how it is reached.
#[derive(Clone, Debug, Default)]
pub struct NewStore<'a> {
    /// Requests that came to jobs of these names, by counters of two instances each.
    pub loads: Vec<(&'a str, &'a Load)>,
    /// Who is scraped every second, as the job `checkout`.
    pub target: Option<SocketAddr>,
    /// Its `--web.config.file`.
    pub web: Option<PathBuf>,
}

/// A store, running or not.
#[derive(Debug)]
pub struct Prometheus {
    folder: TempDir,
    address: SocketAddr,
    web: Option<PathBuf>,
    running: Mutex<Option<Child>>,
}

impl Prometheus {
    /// Starts a store that holds what it is to hold.
    ///
    /// # Panics
    /// Where Prometheus is not installed, or refuses.
    pub fn start(new: &NewStore<'_>) -> Prometheus {
        let folder = TempDir::new().expect("a folder");
        for (job, load) in &new.loads {
            remember(folder.path(), job, load);
        }
        let target = new.target.map(|target| format!("\"{target}\"")).unwrap_or_default();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n\
             - {{ job_name: {JOB}, static_configs: [{{ targets: [{target}] }}] }}\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("the file is written");
        // Free until somebody else takes it in the next moment.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = free.local_addr().expect("its number");
        drop(free);
        let store = Prometheus { folder, address, web: new.web.clone(), running: Mutex::default() };
        store.resume();
        store
    }

    /// Ends it, at once and without notice (`kill -9`).
    pub fn kill(&self) {
        end(&mut locked(&self.running));
    }

    /// Starts it again with what it holds, where it was; comes back when it answers.
    ///
    /// # Panics
    /// Where it does not come to that.
    pub fn resume(&self) {
        let mut running = locked(&self.running);
        end(&mut running);
        let folder = self.folder.path();
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let mut command = Command::new("sh");
        command.args(["-c", GUARDED, "sh", "prometheus"]);
        command.arg(option("config.file", &folder.join("prometheus.yml")));
        command.arg(option("storage.tsdb.path", &folder.join("data")));
        // Tests live in their own time.
        command.arg("--storage.tsdb.retention.time=100y");
        command.arg(format!("--web.listen-address={}", self.address));
        command.args(self.web.as_ref().map(|web| option("web.config.file", web)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("sh: {error}"));
        let said = BufReader::new(child.stderr.take().expect("its words are ours"));
        *running = Some(child);
        let words = Arc::new(Mutex::new(String::new()));
        let (heard, ready) = (Arc::clone(&words), std::sync::mpsc::channel());
        let (tell, told) = ready;
        // Listens to the end, lest the store be held up by its words.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let _ = writeln!(locked(&heard), "{line}");
                if line.contains(READY) {
                    let _ = tell.send(());
                }
            }
        });
        if told.recv().is_err() {
            let words = locked(&words);
            panic!(
                "prometheus does not start: {words}\nhint: install the package `prometheus`, whose \
                 service need not run"
            );
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.kill();
    }
}

fn end(running: &mut Option<Child>) {
    if let Some(mut child) = running.take() {
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

/// Puts a load into the store's data: requests counted by two instances, each in even steps.
fn remember(folder: &Path, job: &str, load: &Load) {
    let mut text = "# TYPE http_requests counter\n".to_owned();
    let steps = 60 / SCRAPED_EVERY;
    for (instance, share) in [("a", 0.25), ("b", 0.75)] {
        let mut count = 0.0;
        for (minute, value) in (load.start.0..).step_by(60).zip(&load.values) {
            for step in 0..steps {
                let at = Timestamp(minute + step * SCRAPED_EVERY).0;
                let _ = writeln!(
                    text,
                    "http_requests_total{{job=\"{job}\",instance=\"{instance}\"}} {count} {at}"
                );
                count += value * share / steps as f64;
            }
        }
    }
    text.push_str("# EOF\n");
    let file = folder.join("history.txt");
    fs::write(&file, text).expect("the file is written");
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
    let made = promtool.arg(&file).arg(folder.join("data")).output();
    let made = made.unwrap_or_else(|error| {
        panic!("promtool: {error}\nhint: install the package `prometheus`")
    });
    assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
}
