//! The review page of a program on the simulated cloud, and visitors who speak HTTP in plain bytes.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::neap::{Neap, Running};
use crate::story::PATIENCE;

/// Where the page asks for whoever listens: at any free port of this machine.
pub const LISTEN: &str = "listen = \"127.0.0.1:0\"";
/// Looks at machines as often as may be.
pub const LOOK_OFTEN: &str = "idle_interval = \"1m\"";
/// A rule by which simulated machines that were idle for weeks wait for an approval after a few
/// minutes.
pub const APPROVE: &str = r#"
[idle_defaults]
account_blast_radius = { hour = "50%", day = "100%" }
[[idle]]
name = "forgotten"
mode = "approve"
match = { tags = { owner = [] } }
idle_when = { cpu_max_percent = 5.0, network_max_kib_per_second = 100.0, memory_max_percent = 50.0 }
observe_first = "0s"
grace = "5m"
blast_radius = { hour = "50%", day = "100%" }
"#;

/// The world of `config.example.toml` without an end that a test would meet, `speed` times as fast
/// as time on the wall: the keys at its top, then its tables.
pub fn world(speed: u32, machines: u32, top: &str, tables: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.example.toml");
    let example = fs::read_to_string(path).expect("the example reads");
    let replaced = ["state_dir", "kill_switch", "speed", "duration"];
    let kept = example.lines().filter(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        !replaced.contains(&key)
    });
    let table = "\n[provider.sim]\n";
    let sim = format!("{table}speed = {speed}\nduration = \"60d\"\nmachines = {machines}\n");
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    format!("{top}\n{}\n{tables}\n", kept.replace(table, &sim))
}

/// A program whose page is open.
#[derive(Debug)]
pub struct Served {
    /// Where it runs.
    pub neap: Neap,
    /// It.
    pub running: Running,
    /// Where the page listens.
    pub address: SocketAddr,
}

impl Served {
    /// Starts it, and waits until the page is open and has a cycle to show.
    ///
    /// # Panics
    /// Where that does not come about.
    pub fn start(neap: Neap) -> Served {
        let served = Served::open(neap);
        until("a cycle", || (served.get("/readyz").status == 200).then_some(()));
        served
    }

    /// Starts it, and waits until the page is open, whatever is spoken there.
    ///
    /// # Panics
    /// Where that does not come about.
    pub fn open(neap: Neap) -> Served {
        let running = neap.start_alone();
        let open = || {
            let said = running.stderr();
            let (_, rest) = said.split_once("the page is open address=")?;
            // The line is whole once its end is there.
            let (line, _) = rest.split_once('\n')?;
            line.split(' ').next()?.parse::<SocketAddr>().ok()
        };
        let address = until("the page is open", || {
            assert!(running.ended().is_none(), "it ended: {}", running.stderr());
            open()
        });
        Served { neap, running, address }
    }

    /// Asks for a page.
    pub fn get(&self, target: &str) -> Reply {
        self.ask(Ask::get(target))
    }

    /// Asks for anything.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn ask(&self, ask: Ask) -> Reply {
        let line = ask.line.clone();
        ask.send(self.address).unwrap_or_else(|| panic!("no answer to {}", brief(&line)))
    }

    /// An answer as the page's own form sends it.
    pub fn answer(&self, form: &[(&str, &str)]) -> Ask {
        Ask::post("/answer", form).with("origin", &self.origin())
    }

    /// The page's own origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cycles that the program has told of.
    pub fn cycles(&self) -> usize {
        self.running.stdout().lines().count()
    }
}

/// Waits until something is there, at most [`PATIENCE`].
///
/// # Panics
/// Where it does not come about.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: it does not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn brief(line: &str) -> &str {
    line.get(..200).unwrap_or(line)
}

/// A request, byte by byte as it is sent.
#[derive(Clone, Debug)]
pub struct Ask {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    /// A page.
    pub fn get(target: &str) -> Ask {
        Ask::by("GET", target)
    }

    /// A method and a target, and nothing else.
    pub fn by(method: &str, target: &str) -> Ask {
        let line = format!("{method} {target} HTTP/1.1");
        Ask { line, headers: Vec::new(), body: String::new() }
    }

    /// A form.
    pub fn post(target: &str, form: &[(&str, &str)]) -> Ask {
        let pairs = form.iter().map(|(key, value)| format!("{key}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let ask = Ask { body, ..Ask::by("POST", target) };
        ask.with("content-type", "application/x-www-form-urlencoded")
    }

    /// With a header.
    pub fn with(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a token.
    pub fn bearing(self, token: &str) -> Ask {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Sends it, and reads the answer; `None` where the connection is closed without one.
    ///
    /// # Panics
    /// Where nobody listens.
    pub fn send(self, address: SocketAddr) -> Option<Reply> {
        let mut stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut text = format!("{}\r\nconnection: close\r\n", self.line);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            text.push_str(&format!("host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", self.body.len(), self.body));
        // Who refuses a request does not read it to its end.
        let _ = stream.write_all(text.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Reply::read(&bytes)
    }
}

impl Ask {
    /// Sends it over HTTP/2, meant for this `:authority`: as browsers do, without a `host` unless it
    /// was given one. `None` where no answer comes.
    ///
    /// # Panics
    /// Where nobody listens.
    pub fn send_over_http2(self, address: SocketAddr, authority: &str) -> Option<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a thread").block_on(async move {
            let stream = tokio::net::TcpStream::connect(address).await.expect("somebody listens");
            let (executor, stream) = (TokioExecutor::new(), TokioIo::new(stream));
            let (mut sender, connection) = http2::handshake(executor, stream).await.ok()?;
            tokio::spawn(connection);
            let mut words = self.line.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            let uri = format!("http://{authority}{target}");
            let mut request = hyper::Request::builder().method(method).uri(uri);
            for (name, value) in &self.headers {
                request = request.header(name, value);
            }
            let request = request.body(Full::new(Bytes::from(self.body))).expect("a request");
            let sent = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
            let (head, body) = sent.ok()?.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            let text = |value: &hyper::header::HeaderValue| value.to_str().map(str::to_owned).ok();
            let pair =
                |(name, value)| Some((hyper::header::HeaderName::to_string(name), text(value)?));
            let headers = head.headers.iter().filter_map(pair).collect();
            let body = String::from_utf8_lossy(&body).into_owned();
            Some(Reply { status: head.status.as_u16(), headers, body })
        })
    }
}

/// A value as it stands in an address or a form.
pub fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let part =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(part).collect()
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Option<Reply> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let pair = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(pair).collect();
        Some(Reply { status, headers, body: body.to_owned() })
    }

    /// A header, where it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The session that it gives, as a browser hands it back.
    pub fn cookie(&self) -> Option<&str> {
        self.header("set-cookie")?.split(';').next()
    }

    /// Addresses in its links that begin so, as a browser reads them.
    pub fn links(&self, beginning: &str) -> Vec<String> {
        let hrefs = self.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let plain = hrefs.map(|href| href.replace("&#x2f;", "/").replace("&amp;", "&"));
        plain.filter(|href| href.starts_with(beginning)).collect()
    }
}
