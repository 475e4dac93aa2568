//! What tests of alerts share: everything that is logged, a folder with a journal and a configuration,
//! requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use config::{self, Config};
use fleet::Timestamp;
use journal::{self, EntryKind, Journal, World};
use neap::clock::{Clock, System};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that any library logs in this process, at any level.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        locked(&LOG).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| ToLog)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What was logged so far.
pub fn log() -> String {
    String::from_utf8_lossy(&locked(&LOG)).into_owned()
}

/// Opens a journal, anew after the end of the process that had it.
pub fn opened(path: &Path, world: World) -> Journal {
    let options = journal::Options { reserve_bytes: 1 << 20, ..journal::Options::default() };
    for _ in 0..200 {
        // A task that was broken off may hold the journal for a moment more.
        match Journal::open(path, world.clone(), options.clone()) {
            Ok((journal, _)) => return journal,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("the journal stays held");
}

/// A folder with a journal and a configuration.
pub struct Bench {
    pub folder: TempDir,
    pub journal: Option<Journal>,
    pub clock: Arc<dyn Clock>,
    secrets: &'static [&'static str],
}

impl Bench {
    /// `secrets` must stand in nothing that is logged or written to the journal.
    pub fn new(secrets: &'static [&'static str]) -> Bench {
        log_everything();
        let folder = TempDir::new().unwrap();
        let mut bench = Bench { folder, journal: None, clock: Arc::new(System), secrets };
        bench.reopen();
        bench
    }

    /// Opens the journal anew, as after the end of the process.
    pub fn reopen(&mut self) {
        self.journal = None;
        self.journal = Some(opened(&self.path("state"), World::Real));
    }

    pub fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A configuration with these tables `[[alert]]`, on disk too.
    pub fn configured(&self, alerts: &str) -> Config {
        self.write("neap.toml", &format!("{CONFIG}{alerts}"));
        neap::settings::load(&self.path("neap.toml")).unwrap_or_else(|faults| panic!("{faults:?}"))
    }
}

impl Drop for Bench {
    /// Whatever a test was about: neither a secret nor an address was written down.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let is_secret = |text: &str| self.secrets.iter().any(|secret| text.contains(secret));
        let log = log();
        let leak = log.lines().find(|line| {
            is_secret(line) || (line.contains(" alerts::") && line.contains("127.0.0.1"))
        });
        assert_eq!(leak, None);
        let Some(journal) = &self.journal else { return };
        for entry in journal.reader().entries(Timestamp(0)..Timestamp(i64::MAX)) {
            let kind = entry.unwrap().kind;
            let text = format!("{kind:?}");
            let is_told = matches!(kind, EntryKind::Alert(_));
            assert!(!is_told || !(is_secret(&text) || text.contains("127.0.0.1")), "{text}");
        }
    }
}

pub async fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come about");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// A request as it comes: its first line, its headers by their names in small letters, its body.
pub async fn read(stream: &mut TcpStream) -> Option<(String, BTreeMap<String, String>, String)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&bytes[..end]).ok()?;
            let mut lines = head.lines();
            let line = lines.next()?.to_owned();
            let pair = |line: &str| {
                let (name, value) = line.split_once(": ")?;
                Some((name.to_ascii_lowercase(), value.to_owned()))
            };
            let headers: BTreeMap<_, _> = lines.filter_map(pair).collect();
            let body = &bytes[end + 4..];
            if body.len() >= headers.get("content-length")?.parse().ok()? {
                return Some((line, headers, String::from_utf8(body.to_vec()).ok()?));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A configuration of which nothing but its channels is used.
pub const CONFIG: &str = r#"
state_dir = "state"
[provider.aws]
kind = "aws"
regions = ["eu-west-1"]
[[service]]
name = "checkout"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/checkout/50dc" } }]
[[service.pool]]
group = "checkout-asg"
"#;
