//! What tests of alerts share: everything that is logged, a folder with a journal and a configuration,
//! and somebody who takes alerts.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use alerts::{self, Options, Sender};
use config::{self, Config};
use fleet::Timestamp;
use fleet::alert::{Alert, Severity};
use journal::{self, AlertEntry, EntryKind, Journal, RecordId, World};
use neap::clock::{Clock, System};
use reqwest::Url;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

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

    /// Begins to send by the channels of a configuration.
    pub fn sending(&self, config: &Config, options: Options) -> Sender {
        let channels = alerts::open(&config.alerts, options, &(Arc::new(System) as _)).unwrap();
        Sender::start(self.journal(), Arc::clone(&self.clock) as _, channels, options)
    }

    /// The faults of these channels' secrets, with the folder's name taken out.
    pub fn faults(&self, alerts: &str, options: Options) -> String {
        let told = match alerts::open(
            &self.configured(alerts).alerts,
            options,
            &(Arc::new(System) as _),
        ) {
            Ok(_) => "none\n".to_owned(),
            Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        };
        told.replace(&self.folder.path().display().to_string(), "")
    }

    /// Puts alerts into the outbox.
    pub fn enqueue(&self, alerts: &[Alert]) -> Vec<RecordId> {
        let raised = self.journal().enqueue(alerts).unwrap();
        assert_eq!(raised.len(), alerts.len());
        raised
    }

    /// How many alerts of a severity or worse a channel has not done with.
    pub fn waiting(&self, channel: &str, least: Severity) -> usize {
        self.journal().waiting(channel, least).len()
    }

    /// Waits until a channel is done with all of a severity or worse.
    pub async fn done(&self, channel: &str, least: Severity) {
        until(|| self.waiting(channel, least) == 0).await;
    }

    /// What the journal says became of alerts, in order.
    pub fn story(&self) -> Vec<String> {
        let reader = self.journal().reader();
        let entries = reader.entries(Timestamp(0)..Timestamp(i64::MAX));
        let told = entries.filter_map(|entry| match entry.unwrap().kind {
            EntryKind::Alert(AlertEntry::Raised(alert)) => Some(format!("raised {}", alert.key)),
            EntryKind::Alert(AlertEntry::Sent { channel, .. }) => Some(format!("{channel}: sent")),
            EntryKind::Alert(AlertEntry::GaveUp { channel, why, .. }) => {
                Some(format!("{channel}: {why}"))
            }
            _ => None,
        });
        told.collect()
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

/// As patient as a test.
pub const OPTIONS: Options = Options {
    timeout: Duration::from_secs(1),
    rest: Duration::from_millis(15),
    rest_max: Duration::from_millis(60),
    asked_rest_max: Duration::from_millis(500),
    flush: Duration::from_secs(1),
    rate_second: Duration::from_secs(1),
    look: Duration::from_millis(10),
};

/// A request as it came, its headers by their names in small letters.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
}

impl Request {
    pub fn key(&self) -> &str {
        &self.headers["idempotency-key"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Where it went, as an address.
    pub fn url(&self) -> Url {
        let target = self.line.strip_prefix("POST ").and_then(|it| it.strip_suffix(" HTTP/1.1"));
        Url::parse(&format!("http://receiver{}", target.unwrap())).unwrap()
    }
}

/// An answer: status, more headers, body.
pub type Answer = (u16, &'static str, String);

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(Answer),
    /// It answers 200 with a body that never ends: one piece of it, or one after the other.
    Endless {
        flood: bool,
    },
    /// It keeps the connection and never answers.
    Hang,
    /// It closes the connection.
    HangUp,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply::Answer(answer)
    }
}

/// Requests that a receiver has had with its replies, and how many were open at once.
#[derive(Debug, Default)]
struct Seen {
    had: Vec<(Request, Reply)>,
    open: usize,
    open_most: usize,
}

/// Somebody who takes alerts.
pub struct Receiver {
    pub address: SocketAddr,
    pub task: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// `reply` is told what came before.
    pub async fn new<R: Into<Reply>>(
        reply: impl Fn(&[(Request, Reply)], &Request) -> R + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::at("127.0.0.1:0".parse().unwrap(), reply).await
    }

    pub async fn at<R: Into<Reply>>(
        address: SocketAddr,
        reply: impl Fn(&[(Request, Reply)], &Request) -> R + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        let reply = Arc::new(move |before: &[_], request: &_| reply(before, request).into());
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                open.spawn(serve(stream, Arc::clone(&noted), Arc::clone(&reply)));
            }
        });
        Receiver { address, task, seen }
    }

    pub fn requests(&self) -> Vec<Request> {
        locked(&self.seen).had.iter().map(|(request, _)| request.clone()).collect()
    }

    /// What it answered, request by request; nothing where it did not.
    pub fn answers(&self) -> Vec<Answer> {
        let answer = |reply: &Reply| match reply {
            Reply::Answer(answer) => answer.clone(),
            Reply::Endless { .. } | Reply::Hang | Reply::HangUp => Answer::default(),
        };
        locked(&self.seen).had.iter().map(|(_, reply)| answer(reply)).collect()
    }

    pub fn count(&self) -> usize {
        locked(&self.seen).had.len()
    }

    /// The most requests that were open at once.
    pub fn open_most(&self) -> usize {
        locked(&self.seen).open_most
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Seen>>,
    reply: Arc<impl Fn(&[(Request, Reply)], &Request) -> Reply>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = {
        let mut seen = locked(&seen);
        let reply = reply(&seen.had, &request);
        seen.had.push((request, reply.clone()));
        seen.open += 1;
        seen.open_most = seen.open_most.max(seen.open);
        reply
    };
    // For as long as others may come beside it.
    tokio::time::sleep(Duration::from_millis(2)).await;
    locked(&seen).open -= 1;
    match reply {
        Reply::Answer((status, headers, body)) => {
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}");
            let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Reply::Endless { flood } => {
            let head = "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n{\"success\":";
            let mut sent = stream.write_all(head.as_bytes()).await;
            while flood && sent.is_ok() {
                sent = stream.write_all(&[b' '; 1 << 16]).await;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Reply::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        Reply::HangUp => {}
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
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
                let body = String::from_utf8(body.to_vec()).ok()?;
                return Some(Request { line, headers, body, at: Instant::now() });
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
