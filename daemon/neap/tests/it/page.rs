//! The review page over TLS, and before names of machines that somebody chose with care.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use config::{self, Config};
use fleet::{ProviderName, Seconds, Timestamp};
use journal::{Journal, Options};
use neap::assemble;
use neap::clock::System;
use neap::gather::Providers;
use neap::idle::IdleEngine;
use page::{Access, Board, Page, Site};
use providers::Now;
use providers::sim::{EstateSpec, Scenario, World};
use providers::traced::Traced;
use reqwest::{Certificate, Client, StatusCode, redirect};
use tempfile::TempDir;
use tokio::sync::mpsc;

const TOKEN: &str = "approver-4711-b0a7c2d95e";

const CONFIG: &str = r#"
state_dir = "state"
idle_interval = "1h"
[provider.sim]
kind = "sim"
seed = 7
start = "2026-03-02T00:00:00Z"
duration = "1d"
speed = "max"
scenario = "day"
[page]
listen = "127.0.0.1:0"
viewing = "open"
certificate_file = "FOLDER/certificate.pem"
key_file = "FOLDER/key.pem"
[[page.token]]
name = "li.wei"
right = "approve"
token_file = "FOLDER/token"
[[idle]]
name = "forgotten"
mode = "approve"
match = { tags = { owner = [] } }
idle_when = { cpu_max_percent = 5.0, network_max_kib_per_second = 100.0 }
observe_first = "0s"
grace = "1h"
"#;

/// What people write where a cloud lets them.
const NAMES: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% include 'base.html' %}🛒 结账",
    "\u{202e}gpj.tob\u{2066}-ssap\u{200f}",
];

/// Signs after which text runs the other way.
fn turns_around(sign: char) -> bool {
    ['\u{202e}', '\u{2066}'].contains(&sign)
}

#[derive(Debug)]
struct Hand(AtomicI64);

impl Now for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Looks a few times at machines whose names and tags are such.
async fn looked(folder: &Path, config: &Config) -> Arc<Journal> {
    let start = Timestamp::parse("2026-03-02T00:10:00Z").unwrap();
    let hand = Arc::new(Hand(AtomicI64::new(start.0)));
    let provider = ProviderName::new("sim").unwrap();
    let scenario = Scenario { estate: EstateSpec::fleet(24), ..Scenario::default() };
    let world = World::new(&provider, 7, start, &scenario, hand.clone());
    for (n, id) in world.machines().iter().enumerate() {
        let name = NAMES[n % NAMES.len()];
        let edit = |resource: &mut fleet::resource::Resource| {
            name.clone_into(&mut resource.name);
            resource.tags.insert("owner".to_owned(), name.to_owned());
            resource.tags.insert(name.to_owned(), name.to_owned());
        };
        world.edit(id, edit).unwrap();
    }
    let traced = Traced::new(&provider, Arc::new(world));
    let providers: Providers = BTreeMap::from([(provider, traced)]);
    let options = Options { reserve_bytes: 1 << 20, ..Options::default() };
    let (journal, _) =
        Journal::open(&folder.join("state"), assemble::world(config), options).unwrap();
    let mut engine = IdleEngine::new(assemble::idle_standing(config), providers);
    for _ in 0..4 {
        engine.look(&journal, hand.now(), &Arc::new(AtomicBool::new(false))).await.unwrap();
        hand.0.fetch_add(Seconds::hours(1).0 as i64, Ordering::SeqCst);
    }
    journal.flush().unwrap();
    Arc::new(journal)
}

/// Writes a certificate for this machine, its key and a token, and gives the certificate.
fn secrets(folder: &Path) -> String {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let files = [
        ("certificate.pem", made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
        ("token", TOKEN.to_owned()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    made.cert.pem()
}

struct Bench {
    _folder: TempDir,
    page: Page,
    client: Client,
}

impl Bench {
    async fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let certificate = secrets(folder.path());
        let text = CONFIG.replace("FOLDER", &folder.path().display().to_string());
        let config = neap::settings::parse("neap.toml", &text).unwrap_or_else(|faults| {
            let told = faults.iter().map(|fault| format!("{fault}\n"));
            panic!("{}", told.collect::<String>())
        });
        let settings = config.page.as_ref().unwrap();
        let journal = looked(folder.path(), &config).await;
        let access = Access::open(settings).unwrap();
        let (asked, world) = (mpsc::channel(1).0, Arc::new(System));
        let site = Site::new(&journal, Board::default(), access, asked, world);
        let page = Page::open(settings, site).await.unwrap();
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([certificate])
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Bench { _folder: folder, page, client }
    }

    fn url(&self, target: &str) -> String {
        format!("https://localhost:{}{target}", self.page.address().unwrap().port())
    }

    async fn get(&self, target: &str) -> String {
        let reply = self.client.get(self.url(target)).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "{target}");
        let header = |name: &str| reply.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("strict-transport-security"), Some("max-age=31536000"), "{target}");
        assert!(header("content-security-policy").is_some(), "{target}");
        reply.text().await.unwrap()
    }
}

#[tokio::test]
async fn over_tls_a_session_never_leaves_it() {
    let bench = Bench::new().await;
    bench.get("/healthz").await;
    let sign_in = |origin: String| {
        let form = format!("token={TOKEN}");
        let post = bench.client.post(bench.url("/sign-in")).header("origin", origin).body(form);
        post.header("content-type", "application/x-www-form-urlencoded").send()
    };
    let own = bench.url("");
    let signed_in = sign_in(own.clone()).await.unwrap();
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    for rule in ["; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(rule), "{cookie}");
    }
    let plain = sign_in(own.replace("https:", "http:")).await.unwrap();
    assert_eq!(plain.status(), StatusCode::FORBIDDEN, "a page without TLS is another page");
    // The port that goes without saying is the one of TLS.
    let places = [
        ("localhost", "https://localhost", StatusCode::SEE_OTHER),
        ("localhost", "https://LOCALHOST:443", StatusCode::SEE_OTHER),
        ("localhost:443", "https://localhost", StatusCode::SEE_OTHER),
        ("127.0.0.1", "https://127.0.0.1:443", StatusCode::SEE_OTHER),
        ("localhost:80", "https://localhost", StatusCode::FORBIDDEN),
        ("localhost", "http://localhost", StatusCode::FORBIDDEN),
        ("localhost", "http://localhost:443", StatusCode::FORBIDDEN),
        ("localhost", "https://localhost:80", StatusCode::FORBIDDEN),
    ];
    for (host, origin, status) in places {
        let form = format!("token={TOKEN}");
        let post = bench.client.post(bench.url("/sign-in")).body(form).header("host", host);
        let post = post.header("origin", origin);
        let kind = "application/x-www-form-urlencoded";
        let reply = post.header("content-type", kind).send().await.unwrap();
        assert_eq!(reply.status(), status, "{host} {origin}");
    }
    // Who does not speak TLS is told nothing.
    let url = bench.url("/").replace("https:", "http:");
    assert!(bench.client.get(url).send().await.is_err());
    assert_eq!(bench.page.address().unwrap().ip().to_string(), "127.0.0.1");
}

#[tokio::test]
async fn handshakes_that_do_not_end_keep_nobody_out() {
    let bench = Bench::new().await;
    let address = bench.page.address().unwrap();
    // Nothing; a first byte; the first bytes of a greeting; and what is none.
    let beginnings = [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET"];
    for beginning in beginnings {
        let held = (0..300).map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // It may be closed already.
            let _ = stream.write_all(beginning);
            stream
        });
        let _held: Vec<_> = held.collect();
        for target in ["/healthz", "/metrics"] {
            let asked = Instant::now();
            bench.get(target).await;
            assert!(asked.elapsed() < Duration::from_secs(5), "{target} {beginning:?}");
        }
    }
}

#[tokio::test]
async fn names_and_tags_of_machines_are_text_and_nothing_else() {
    let bench = Bench::new().await;
    let listed = bench.get("/idle?only=all").await;
    for shown in ["&lt;script&gt;alert(1)", "&lt;img src=x", "{{ 7*7 }}{% include", "\\u{202e}gpj"]
    {
        assert!(listed.contains(shown), "{shown}: {listed}");
    }
    let hrefs = listed.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let stories = hrefs.map(|href| href.replace("&#x2f;", "/"));
    let mut pages: Vec<String> = stories.filter(|href| href.starts_with("/idle/story?")).collect();
    assert!(pages.len() > 12, "{listed}");
    let journal = bench.get("/journal?kind=idle&since=2026-03-02T00:00").await;
    let records =
        journal.split("href=\"/journal/").skip(1).filter_map(|rest| rest.split('"').next());
    pages.extend(records.map(|id| format!("/journal/{id}")));
    pages.extend(["/idle", "/idle?only=waits", "/journal?kind=idle"].map(str::to_owned));
    let mut named = 0;
    for target in pages {
        let page = bench.get(&target).await;
        named += usize::from(page.contains("&lt;script&gt;alert(1)"));
        for raw in ["<script", "<img", "onerror=alert(1)>", "49🛒"] {
            assert!(!page.contains(raw), "{target}: {raw}");
        }
        assert!(!page.contains(turns_around), "{target}");
    }
    assert!(named > 6, "hardly any page names them: {named}");
}
