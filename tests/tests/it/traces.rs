//! Traces over OTLP: what a receiver gets of a cycle, and a daemon whose receiver is away.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tempfile::TempDir;
use tests::clock::locked;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config.example.toml");
const SECRET: &str = "hunter2-hunter2";

/// A request that a receiver got.
struct Request {
    head: String,
    body: Vec<u8>,
}

/// Takes what comes.
struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one").to_string();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Receiver { address, got }
    }

    fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut locked(&self.got))
    }
}

fn serve(stream: TcpStream, got: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length?];
        reader.read_exact(&mut body).ok()?;
        locked(got).push(Request { head: head.to_ascii_lowercase(), body });
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

/// One cycle of the example, to its end.
fn one_cycle(trace: &str) -> Output {
    let folder = TempDir::new().expect("a folder");
    let example = fs::read_to_string(EXAMPLE).expect("the example reads");
    let config = format!("{example}\n[trace]\n{trace}\n");
    fs::write(folder.path().join("neap.toml"), config).expect("it is written");
    let headers = format!("authorization: Bearer {SECRET}\nx-tenant: shop\n");
    let file = folder.path().join("headers");
    fs::write(&file, headers).expect("it is written");
    // Else it is named as one that everybody may read.
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is its owner's");
    let mut neap = Command::new(BINARY);
    // A quiet log is no reason to trace less.
    neap.args(["--log-level", "warn", "run", "--once", "--config", "neap.toml"]);
    neap.current_dir(folder.path()).stdin(Stdio::null()).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn attribute<'a>(all: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = all.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref().and_then(|AnyValue { value, .. }| value.as_ref())
}

fn text<'a>(all: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attribute(all, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn a_receiver_gets_the_cycle_with_its_parts_and_calls() {
    let receiver = Receiver::start();
    let address = &receiver.address;
    let trace = format!("endpoint = \"http://{address}/v1/traces\"\nheaders_file = \"headers\"");
    let output = one_cycle(&trace);
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));

    // All that there is was sent before the end.
    let requests = receiver.requests();
    assert!(!requests.is_empty());
    let mut spans = Vec::new();
    for request in &requests {
        assert!(request.head.starts_with("post /v1/traces http/1.1\r\n"), "{}", request.head);
        assert!(request.head.contains("content-type: application/x-protobuf\r\n"));
        assert!(request.head.contains(&format!("authorization: bearer {SECRET}\r\n")));
        assert!(request.head.contains("x-tenant: shop\r\n"));
        let secret = request.body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!secret, "what lets spans in is in none");
        let told = ExportTraceServiceRequest::decode(request.body.as_slice()).expect("it decodes");
        for resource in told.resource_spans {
            let about = resource.resource.expect("it says whose spans they are").attributes;
            assert_eq!(text(&about, "service.name"), Some("neap"));
            assert_eq!(text(&about, "service.version"), Some(env!("CARGO_PKG_VERSION")));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let cycle: Vec<&Span> = spans.iter().filter(|span| span.name == "cycle").collect();
    let [cycle] = cycle[..] else { panic!("{} cycles", cycle.len()) };
    assert!(cycle.parent_span_id.is_empty());
    assert_eq!(attribute(&cycle.attributes, "services"), Some(&Value::IntValue(4)));
    assert_eq!(text(&cycle.attributes, "mode"), Some("act"));
    assert!(text(&cycle.attributes, "cycle").is_some(), "{:?}", cycle.attributes);
    let ids: BTreeMap<&[u8], &Span> = spans.iter().map(|s| (s.span_id.as_slice(), s)).collect();
    let parent = |span: &Span| ids.get(span.parent_span_id.as_slice()).map(|p| p.name.as_str());
    for part in ["gather", "forecast", "plan", "record", "execute"] {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == part).collect();
        let [found] = found[..] else { panic!("{} of `{part}`", found.len()) };
        assert_eq!((parent(found), &found.trace_id), (Some("cycle"), &cycle.trace_id), "{part}");
        assert!(found.end_time_unix_nano >= found.start_time_unix_nano);
    }
    for call in ["sim groups", "sim samples"] {
        let found = spans.iter().find(|span| span.name == call).expect(call);
        assert_eq!(found.kind(), SpanKind::Client);
        assert_eq!(parent(found), Some("gather"), "{call}");
        assert_eq!(text(&found.attributes, "provider"), Some("sim"));
        assert_eq!(attribute(&found.attributes, "faults"), Some(&Value::IntValue(0)));
    }
}

#[test]
fn a_receiver_that_is_away_or_hangs_costs_spans_and_no_cycle() {
    // A port that nobody listens at any more.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("it has one");
    drop(closed);
    let output = one_cycle(&format!("endpoint = \"http://{address}/v1/traces\""));
    let away = said(&output);
    assert!(output.status.success(), "{away}");
    assert_eq!(away.matches("does not accept traces").count(), 1, "{away}");

    // One that takes the request, and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = hanging.local_addr().expect("it has one");
    let output = one_cycle(&format!("endpoint = \"http://{address}/v1/traces\""));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn no_share_is_no_trace() {
    let receiver = Receiver::start();
    let trace = format!("endpoint = \"http://{}/v1/traces\"\nsample = \"0%\"", receiver.address);
    let output = one_cycle(&trace);
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    assert!(receiver.requests().is_empty());
}

#[test]
fn headers_that_are_none_are_refused_and_not_repeated() {
    let folder = TempDir::new().expect("a folder");
    let example = fs::read_to_string(EXAMPLE).expect("the example reads");
    let trace =
        "[trace]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\nheaders_file = \"headers\"";
    fs::write(folder.path().join("neap.toml"), format!("{example}\n{trace}\n")).expect("written");
    fs::write(folder.path().join("headers"), format!("x-tenant: shop\n{SECRET}\n"))
        .expect("written");
    for arguments in [&["run", "--once"][..], &["check"]] {
        let mut neap = Command::new(BINARY);
        neap.args(arguments).args(["--config", "neap.toml"]).current_dir(folder.path());
        let output = neap.stdin(Stdio::null()).output().expect("it runs");
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains("holds no header in line 2"), "{arguments:?}: {told}");
        assert!(!told.contains(SECRET), "{told}");
    }
}
