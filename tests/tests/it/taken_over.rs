//! What an earlier version left behind is taken over: an order without an outcome, a promotion that
//! no cycle has carried out, an approval that waits, and an alert that no receiver has taken.
//!
//! The state directories were left by the last programs of their formats: that of format 4 named
//! agreements by text, that of format 5 kept no evidence in memories. In `order` it was killed between
//! an order and its outcome; in `request`, right after `neap promote`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use fleet::{RuleName, Timestamp};
use journal::{AlertEntry, CycleRecord, EntryKind, Reader};
use planner::snapshot::OrderResult;
use planner::stage::Stage;
use tests::neap::Neap;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const CONFIG: &str = include_str!("../../states/neap.toml");
const FORMATS: [&str; 2] = ["format-4", "format-5"];
/// The approval that a marked machine waited for, under the name that each version gave it.
const APPROVALS: [&str; 2] = ["8df41c5d74f8", "62dd92a307faece6"];
const EXPORT: [&str; 4] = ["journal", "export", "--format", "jsonl"];
const PATIENCE: Duration = Duration::from_secs(30);

/// A place with a copy of what was left; alerts go to this address.
fn left(format: &str, state: &str, receiver: &str) -> Neap {
    let neap = Neap::new(BINARY, CONFIG);
    neap.secret("on-call.url", receiver);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("states").join(format).join(state);
    let to = neap.path("state");
    fs::create_dir_all(to.join("journal")).expect("a folder");
    for name in ["world-sim.json", "journal/export-tail", "journal/high-water"] {
        fs::copy(from.join(name), to.join(name)).expect("the file is copied");
    }
    neap
}

/// A receiver that takes everything: its address, and the bodies that it took.
fn receiver() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut wire = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while wire.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_ascii_lowercase();
                if let Some(said) = lower.strip_prefix("content-length:") {
                    length = said.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            wire.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            wire.get_mut().write_all(answer).expect("it listens");
            let _ = sender.send(String::from_utf8(body).expect("UTF-8"));
        }
    });
    (address, bodies)
}

fn once(neap: &Neap) {
    let run = neap.output(&["run", "--once"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// The last cycle; every plan must come out as it was recorded, by whichever version.
fn last_cycle(neap: &Neap) -> CycleRecord {
    let replayed = neap.output(&["replay"]);
    let told = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success() && told.contains(", 0 differ"), "{told}");
    assert!(told.contains("idle resources are the same, 0 were not compared"), "{told}");
    for read in [&["journal", "verify"][..], &["explain", "checkout"], &EXPORT] {
        let run = neap.output(read);
        assert!(run.status.success(), "{read:?}: {}", String::from_utf8_lossy(&run.stderr));
    }
    let reader = Reader::open(&neap.path("state")).expect("the journal opens");
    assert_eq!(reader.verify().expect("it is read").damage, []);
    let cycles = reader.cycles(Timestamp(0)..Timestamp(i64::MAX));
    cycles.last().expect("a cycle").expect("it is read")
}

#[test]
fn an_open_order_and_an_unsent_alert_are_seen_to() {
    FORMATS.into_iter().for_each(is_seen_to);
}

fn is_seen_to(format: &str) {
    let (address, bodies) = receiver();
    let neap = left(format, "order", &address);
    once(&neap);
    let body = bodies.recv_timeout(PATIENCE).expect("the alert is sent");
    assert!(body.contains("i-000010"), "{body}");
    last_cycle(&neap);
    let reader = Reader::open(&neap.path("state")).expect("the journal opens");
    let entries = reader.entries(Timestamp(0)..Timestamp(i64::MAX));
    let kinds: Vec<EntryKind> = entries.map(|entry| entry.expect("it is read").kind).collect();
    let results: Vec<&OrderResult> = kinds
        .iter()
        .filter_map(|kind| match kind {
            EntryKind::Outcome(outcome) => Some(&outcome.result),
            _ => None,
        })
        .collect();
    let looked_at = OrderResult::Unconfirmed { effect_seen: Some(true) };
    assert_eq!(results, [&OrderResult::Applied, &looked_at]);
    let sent = |kind: &&EntryKind| matches!(kind, EntryKind::Alert(AlertEntry::Sent { .. }));
    // What an earlier version marked is taken back with another.
    let sent = kinds.iter().filter(sent).count();
    assert!((1..=2).contains(&sent), "{sent}: {kinds:#?}");
}

#[test]
fn promotions_that_were_agreed_to_are_carried_out() {
    FORMATS.into_iter().for_each(are_carried_out);
}

fn are_carried_out(format: &str) {
    let neap = left(format, "request", "http://127.0.0.1:9/");
    once(&neap);
    let stages = last_cycle(&neap).memory_after.stages;
    let render = fleet::ServiceName::new("render").expect("a name");
    let stage = stages.service(&render).map(|memory| memory.stage);
    assert_eq!(stage, Some(Stage::Promoted), "{stages:#?}");
    let stage = stages.rule(&RuleName("gated".to_owned())).map(|memory| memory.stage);
    assert_eq!(stage, Some(Stage::Promoted), "{stages:#?}");
}

/// What earlier versions asked for did not name the terms of its rule: it is asked for again.
#[test]
fn an_approval_of_before_is_void_with_a_word() {
    for (format, approval) in FORMATS.into_iter().zip(APPROVALS) {
        is_void(format, approval);
    }
}

fn is_void(format: &str, approval: &str) {
    let neap = left(format, "request", "http://127.0.0.1:9/");
    let running = neap.start_alone();
    let give_up = Instant::now() + PATIENCE;
    loop {
        let approved = neap.output(&["approve", approval]);
        assert!(!approved.status.success());
        let why = String::from_utf8_lossy(&approved.stderr);
        if why.contains("nothing waits for approval") {
            break;
        }
        assert!(Instant::now() < give_up, "{why}{}", running.stderr());
        thread::sleep(Duration::from_millis(100));
    }
    running.signal("TERM");
    running.wait(PATIENCE);
}

/// An offer is of a day, so that its name of before need not outlive an upgrade; whoever names one is
/// told.
#[test]
fn an_offer_of_before_is_void_with_a_word() {
    let neap = left("format-4", "order", "http://127.0.0.1:9/");
    let running = neap.start_alone();
    let give_up = Instant::now() + PATIENCE;
    let why = loop {
        let promoted = neap.output(&["promote", "render", "--offer", "3f2a9c01b7de"]);
        let why = String::from_utf8_lossy(&promoted.stderr).into_owned();
        if why.contains("void") {
            break why;
        }
        assert!(Instant::now() < give_up, "{why}{}", running.stderr());
        thread::sleep(Duration::from_millis(100));
    };
    assert!(why.contains("an earlier version"), "{why}");
    running.kill();
}
