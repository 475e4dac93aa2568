//! Alerts on their way to a receiver over HTTP that fails in every way that receivers do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use alerts::Sender;
use fleet::alert::{Alert, Severity};
use fleet::{Seconds, Timestamp};
use journal::{self, RecordId, World};
use neap::clock::System;
use providers::Now;

use crate::receiver::{self, Bench, OPTIONS, Receiver, Reply, Request, opened, until};
use serde_json::{Value, json};

/// Stands in every address, and must stand in nothing that is written.
const HOOK: &str = "hook-4711-b0a7c2";

/// Our own lines that hold a word.
fn logged(word: &str) -> usize {
    receiver::log().lines().filter(|line| line.contains(" alerts::") && line.contains(word)).count()
}

/// An answer with a status, and more headers; its body is a secret, too.
fn status(status: u16, headers: &'static str) -> Reply {
    Reply::Answer((status, headers, HOOK.to_owned()))
}

fn taken() -> Reply {
    status(200, "")
}

/// Where a receiver is told.
fn hook(receiver: &Receiver) -> String {
    receiver.url(&format!("/{HOOK}?token={HOOK}"))
}

fn title(request: &Request) -> String {
    request.json()["title"].as_str().unwrap().to_owned()
}

/// A journal and channels in a folder of their own.
fn bench() -> Bench {
    Bench::new(&[HOOK])
}

impl Bench {
    /// Begins to send by a channel to each of these receivers.
    fn start(&self, channels: &[(&str, &Receiver, &str)]) -> Sender {
        let mut tables = String::new();
        for (name, receiver, more) in channels {
            self.write(&format!("{name}.url"), &format!("{}\n", hook(receiver)));
            tables.push_str(&table(name, more));
        }
        self.sending(&self.configured(&tables), OPTIONS)
    }

    fn raise(&self, key: &str) -> RecordId {
        self.enqueue(&[alert(key, Severity::Warning)])[0]
    }

    /// Waits until a channel is done with all it wants.
    async fn settled(&self, channel: &str) {
        self.done(channel, Severity::Warning).await;
    }
}

fn table(name: &str, more: &str) -> String {
    format!("[[alert]]\nname = \"{name}\"\nkind = \"webhook\"\nurl_file = \"{name}.url\"\n{more}\n")
}

fn alert(key: &str, severity: Severity) -> Alert {
    Alert {
        key: format!("idle/{key}/aws/eu-west-1/i-0abc"),
        severity,
        at: System.now(),
        title: format!("{key}: `i-0abc` of team-a is stopped in 2d"),
        lines: vec!["nothing for 35d".to_owned()],
        subject: Some("aws/eu-west-1/i-0abc".to_owned()),
        owner: Some("team-a".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_sent_once_with_all_that_a_receiver_needs() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    bench.write("token", "t0k-en\n");
    let also = "bearer_file = \"token\"\nmin_severity = \"warning\"";
    let _sender = bench.start(&[("ops", &receiver, also)]);
    bench.enqueue(&[alert("quiet", Severity::Info)]);
    let first = bench.raise("first");
    until(|| receiver.count() == 1).await;
    bench.settled("ops").await;
    let second = bench.raise("second");
    bench.settled("ops").await;
    let requests = receiver.requests();
    let keys: Vec<&str> = requests.iter().map(Request::key).collect();
    assert_eq!(keys, [format!("{first}-ops"), format!("{second}-ops")]);
    let told = &requests[0];
    assert_eq!(told.line, format!("POST /{HOOK}?token={HOOK} HTTP/1.1"));
    let header = |name: &str| told.headers[name].as_str();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("authorization"), "Bearer t0k-en");
    assert!(header("user-agent").starts_with("neap/"));
    let at = told.json()["at"].as_str().and_then(Timestamp::parse).unwrap();
    assert_eq!(
        told.json(),
        json!({
            "version": 1,
            "id": told.key(),
            "key": "idle/first/aws/eu-west-1/i-0abc",
            "severity": "warning",
            "at": at.to_string(),
            "title": "first: `i-0abc` of team-a is stopped in 2d",
            "lines": ["nothing for 35d"],
            "subject": "aws/eu-west-1/i-0abc",
            "owner": "team-a",
        })
    );
    assert_eq!(logged("t0k-en"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_in_every_way_gets_it_in_the_end() {
    let bench = bench();
    let receiver = Receiver::new(|before, _| match before.len() {
        0 => status(500, ""),
        1 => status(429, "retry-after: 0\r\n"),
        2 => Reply::Hang,
        3 => Reply::HangUp,
        4 => status(408, ""),
        // An hour, and no more than the longest rest is kept.
        5 => status(503, "retry-after: 3600\r\n"),
        _ => taken(),
    })
    .await;
    let _sender = bench.start(&[("ops", &receiver, "")]);
    let id = bench.raise("late");
    bench.settled("ops").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 7);
    let same = |request: &Request| {
        request.key() == format!("{id}-ops") && request.body == requests[0].body
    };
    assert!(requests.iter().all(same), "{requests:?}");
    let rest = requests[6].at - requests[5].at;
    assert!(rest >= OPTIONS.asked_rest_max, "{rest:?}");
    assert_eq!(bench.story(), ["raised idle/late/aws/eu-west-1/i-0abc", "ops: sent"]);
    // One line when it began, one when it was over.
    assert_eq!(logged(&format!("neap tries again channel=\"ops\" alert={id}")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_nobody_listens() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    let (address, gone) = (receiver.address, receiver);
    let _sender = {
        let sender = bench.start(&[("ops", &gone, "")]);
        gone.task.abort();
        until(|| gone.task.is_finished()).await;
        sender
    };
    for key in ["a", "b", "c"] {
        bench.raise(key);
    }
    until(|| logged("no connection") > 0).await;
    let receiver = Receiver::at(address, |_, _| taken()).await;
    bench.settled("ops").await;
    let mut titles: Vec<String> = receiver.requests().iter().map(title).collect();
    titles.sort();
    assert_eq!(titles.len(), 3);
    assert!(titles[0].starts_with("a:") && titles[2].starts_with("c:"), "{titles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_down_repeats_nothing_in_another() {
    let bench = bench();
    let up = Receiver::new(|_, _| taken()).await;
    let mended = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&mended);
    let down = Receiver::new(move |_, _| match well.load(Ordering::SeqCst) {
        true => taken(),
        false => status(502, ""),
    })
    .await;
    let _sender = bench.start(&[("up", &up, ""), ("down", &down, "")]);
    for key in ["a", "b", "c"] {
        bench.raise(key);
    }
    bench.settled("up").await;
    until(|| down.count() > 3).await;
    assert_eq!(bench.waiting("down", Severity::Warning), 3);
    mended.store(true, Ordering::SeqCst);
    bench.settled("down").await;
    let mut titles: Vec<String> = up.requests().iter().map(title).collect();
    titles.sort();
    titles.dedup();
    assert_eq!((titles.len(), up.count()), (3, 3));
    let sent = |channel: &str| {
        let line = format!("{channel}: sent");
        bench.story().iter().filter(|told| **told == line).count()
    };
    assert_eq!((sent("up"), sent("down")), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_refuses_is_given_up_and_kept_to_be_seen() {
    let bench = bench();
    let elsewhere = Receiver::new(|_, _| taken()).await;
    let to: &'static str = format!("location: {}\r\n", hook(&elsewhere)).leak();
    let receiver = Receiver::new(move |_, request| match title(request) {
        title if title.starts_with("bad:") => status(400, ""),
        title if title.starts_with("moved:") => status(307, to),
        _ => taken(),
    })
    .await;
    let _sender = bench.start(&[("ops", &receiver, "")]);
    for key in ["bad", "moved", "good"] {
        bench.raise(key);
        bench.settled("ops").await;
    }
    assert_eq!((receiver.count(), elsewhere.count()), (3, 0));
    assert_eq!(
        bench.story(),
        [
            "raised idle/bad/aws/eu-west-1/i-0abc",
            "ops: it answers 400",
            "raised idle/moved/aws/eu-west-1/i-0abc",
            "ops: it answers 307, and redirects are not followed",
            "raised idle/good/aws/eu-west-1/i-0abc",
            "ops: sent",
        ]
    );
    assert_eq!(logged("key=\"idle/bad/aws/eu-west-1/i-0abc\" why=\"it answers 400\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_words_it_and_says_what_may_leave() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    bench.write("chat.json", "{\"text\": {{ severity ~ \": \" ~ title }}, \"by\": \"neap\"}\n");
    bench.write("salt", "grains");
    let worded = "template = \"chat.json\"\nhash = [\"subject\", \"owner\"]\nsalt_file = \"salt\"";
    let little =
        "fields = [\"severity\", \"subject\"]\nhash = [\"subject\"]\nmin_severity = \"critical\"";
    let _sender = bench.start(&[("chat", &receiver, worded), ("little", &receiver, little)]);
    bench.enqueue(&[alert("x", Severity::Critical)]);
    bench.settled("chat").await;
    bench.settled("little").await;
    let mut bodies: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| request.body.replace(request.key(), "ID"))
        .collect();
    bodies.sort();
    insta::assert_snapshot!(bodies.join("\n"), @r#"
    {"id":"ID","severity":"critical","subject":"sha256:fdec2a233fd8","version":1}
    {"text": "critical: x: `sha256:334faa38660a` of sha256:fc18924cf33f is stopped in 2d", "by": "neap"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_same_is_sent_under_the_same_key() {
    let mut bench = bench();
    // It has the alert, and we are gone before we hear so.
    let receiver =
        Receiver::new(|before, _| if before.is_empty() { Reply::Hang } else { taken() }).await;
    let sender = bench.start(&[("ops", &receiver, "")]);
    let id = bench.raise("twice");
    until(|| receiver.count() == 1).await;
    drop(sender);
    bench.reopen();
    let sender = bench.start(&[("ops", &receiver, "")]);
    bench.settled("ops").await;
    drop(sender);
    bench.reopen();
    // What was settled stays so.
    let _sender = bench.start(&[("ops", &receiver, "")]);
    bench.raise("next");
    bench.settled("ops").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].key(), format!("{id}-ops"));
    assert_eq!(requests[1].key(), requests[0].key());
    assert_eq!(requests[1].body, requests[0].body);
    assert!(title(&requests[2]).starts_with("next:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_a_moment_and_no_longer() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    let mut sender = bench.start(&[("ops", &receiver, "")]);
    bench.raise("last");
    sender.stop().await;
    assert_eq!((receiver.count(), bench.story().len()), (1, 2));
    let slow = Receiver::new(|_, _| Reply::Hang).await;
    let mut sender = bench.start(&[("slow", &slow, "")]);
    let begun = Instant::now();
    bench.raise("lost?");
    sender.stop().await;
    assert!(begun.elapsed() < OPTIONS.flush * 3, "{:?}", begun.elapsed());
    assert_eq!(bench.waiting("slow", Severity::Warning), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_alerts_go_out_few_at_a_time() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    let alerts: Vec<Alert> = (0..150).map(|n| alert(&format!("n{n}"), Severity::Warning)).collect();
    bench.enqueue(&alerts);
    let _sender = bench.start(&[("ops", &receiver, "")]);
    bench.settled("ops").await;
    assert_eq!(receiver.count(), 150);
    let most = receiver.open_most();
    assert!((2..=4).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_news_any_more_is_given_up_in_the_journal() {
    let bench = bench();
    let receiver = Receiver::new(|_, _| taken()).await;
    let mut old = alert("old", Severity::Critical);
    old.at = old.at - Seconds(journal::OUTBOX_AGE.0 - 600);
    bench.enqueue(&[old]);
    let _sender = bench.start(&[("ops", &receiver, "")]);
    bench.settled("ops").await;
    assert_eq!(receiver.count(), 0);
    assert_eq!(bench.story()[1], "ops: no receiver took it within 2d23h");
}

#[test]
fn an_address_that_will_not_do_is_refused_and_not_repeated() {
    let bench = bench();
    let faults = |more: &str| bench.faults(&table("ops", more), OPTIONS);
    let mut told = faults("");
    for address in [
        "",
        "https://",
        HOOK,
        &format!("https://example.net/{HOOK} https://example.net"),
        &format!("ftp://example.net/{HOOK}"),
        &format!("http://example.net/{HOOK}"),
        &format!("http://localhost.example.net/{HOOK}"),
        &format!("https://example.net/{HOOK}"),
        &format!("http://[::1]:8080/{HOOK}"),
    ] {
        bench.write("ops.url", address);
        told.push_str(&faults(""));
    }
    bench.write("ops.url", "nothing");
    bench.write("token", &format!("{HOOK}\n{HOOK}"));
    told.push_str(&faults("bearer_file = \"token\"\nsalt_file = \"salt\"\nhash = [\"owner\"]"));
    assert!(!told.contains(HOOK) && !told.contains("example.net"), "{told}");
    insta::assert_snapshot!(told, @r#"
    /neap.toml:14:12: the file `/ops.url` cannot be read: No such file or directory (os error 2)
      hint: the daemon reads the address when it starts and when it is reloaded
    /neap.toml:14:12: the file `/ops.url` is empty, expected the address
    /neap.toml:14:12: the file `/ops.url` holds no address, expected an address such as `https://hooks.example.com/…`, in one line
    /neap.toml:14:12: the file `/ops.url` holds no address, expected an address such as `https://hooks.example.com/…`, in one line
    /neap.toml:14:12: the file `/ops.url` holds no address, expected an address such as `https://hooks.example.com/…`, in one line
    /neap.toml:14:12: the file `/ops.url` holds an address of another scheme, expected `https://`
    /neap.toml:14:12: the file `/ops.url` holds an address that is not encrypted, expected `https://`
      hint: `http://` is for receivers on this machine alone
    /neap.toml:14:12: the file `/ops.url` holds an address that is not encrypted, expected `https://`
      hint: `http://` is for receivers on this machine alone
    none
    none
    /neap.toml:14:12: the file `/ops.url` holds no address, expected an address such as `https://hooks.example.com/…`, in one line
    /neap.toml:15:15: the file `/token` holds what no header can carry, expected a token in one line of ASCII
    /neap.toml:16:13: the file `/salt` cannot be read: No such file or directory (os error 2)
      hint: the daemon reads the salt when it starts and when it is reloaded
    "#);
}

/// Runs `neap` in the bench's folder: its exit code, and what it printed on both ways.
async fn neap(folder: &Path, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_neap"));
    command.args(arguments).args(["--config", "neap.toml", "--log-level", "debug"]);
    let output = command.current_dir(folder).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(HOOK) && !text.contains("127.0.0.1"), "{text}");
    format!("{}\n{text}", output.status.code().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_alert_is_sent_by_hand() {
    let bench = bench();
    let receiver = Receiver::new(|before, _| match before.len() {
        0 => status(204, ""),
        1 => taken(),
        2 => status(404, ""),
        _ => Reply::HangUp,
    })
    .await;
    bench.write("ops.url", &hook(&receiver));
    bench.configured(&table("ops", "min_severity = \"critical\""));
    let folder = bench.folder.path();
    assert_eq!(neap(folder, &["alert", "test", "ops"]).await, "0\n`ops`: sent, it answers 204\n");
    let told = neap(folder, &["alert", "test", "ops", "--format", "json"]).await;
    let told: Value = serde_json::from_str(told.strip_prefix("0\n").unwrap()).unwrap();
    let key = receiver.requests()[1].key().to_owned();
    assert_eq!(
        told,
        json!({ "channel": "ops", "id": key, "sent": true, "status": 200, "why": null })
    );
    assert_ne!(key, receiver.requests()[0].key());
    let refused = neap(folder, &["alert", "test", "ops"]).await;
    assert_eq!(refused, "3\nerror: `ops`: not sent, it answers 404\n");
    let unheard = neap(folder, &["alert", "test", "ops", "--format", "json"]).await;
    assert!(unheard.starts_with("3\n{") && unheard.contains("no answer"), "{unheard}");
    let unknown = neap(folder, &["alert", "test", "opps"]).await;
    assert_eq!(unknown, "2\nerror: there is no alert `opps`, expected one of `ops`\n");
    let check = neap(folder, &["check"]).await;
    assert!(check.contains("alert ops: what is critical by webhook\n"), "{check}");
    bench.write("ops.url", &format!("http://example.com/{HOOK}"));
    let check = neap(folder, &["check"]).await;
    assert!(check.starts_with("1\n") && check.contains("is not encrypted"), "{check}");
    std::fs::remove_file(bench.path("ops.url")).unwrap();
    let check = neap(folder, &["check"]).await;
    assert!(check.starts_with("0\n") && check.contains("cannot be read from here"), "{check}");
}

/// A day's beginning on a simulated cloud, where idle machines are marked and stopped.
const IDLE: &str = r#"
mode = "act"
state_dir = "state"
idle_interval = "10m"
[provider.sim]
kind = "sim"
machines = 40
speed = SPEED
duration = "DURATION"
[idle_defaults]
observe_first = "0s"
[[idle]]
name = "dev"
mode = "act"
provider = "sim"
match = { tags = { "neap:managed" = ["true"] } }
idle_when = { cpu_max_percent = 3.0, for = "35d" }
grace = "1h"
"#;

/// The titles of all that was raised, as the journal that a daemon left behind has them.
fn raised(bench: &Bench) -> Vec<String> {
    let mut raised: Vec<String> = bench
        .story()
        .iter()
        .filter_map(|told| Some(told.strip_prefix("raised ")?.to_owned()))
        .collect();
    raised.sort();
    raised
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_tells_what_it_does_and_has_told_all_when_it_ends() {
    let mut bench = bench();
    bench.journal = None;
    let receiver = Receiver::new(|_, _| taken()).await;
    bench.write("ops.url", &hook(&receiver));
    let text = IDLE.replace("SPEED", "\"max\"").replace("DURATION", "3h");
    let text = text.replace("\"state\"", "\"sim-state\"");
    bench.write("neap.toml", &(text + &table("ops", "min_severity = \"info\"")));
    let ended = neap(bench.folder.path(), &["run"]).await;
    assert!(ended.starts_with("0\n"), "{ended}");
    let world = World::Simulation { seed: 1, scenario: "day".to_owned() };
    bench.journal = Some(opened(&bench.path("sim-state"), world));
    let mut told: Vec<String> =
        receiver.requests().iter().map(|r| r.json()["key"].as_str().unwrap().to_owned()).collect();
    told.sort();
    assert_eq!(told, raised(&bench));
    let about = |what: &str| told.iter().any(|key| key.contains(what));
    assert!(about("/marked/") && about("/stopped/"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_comes_with_a_reload_is_told_what_waits() {
    let mut bench = bench();
    bench.journal = None;
    let receiver = Receiver::new(|_, _| taken()).await;
    bench.write("ops.url", &hook(&receiver));
    let text = IDLE.replace("SPEED", "60").replace("DURATION", "30d");
    let text = text.replace("\"state\"", "\"sim-state\"");
    bench.write("neap.toml", &text);
    let log = std::fs::File::create(bench.path("log")).unwrap();
    let mut daemon = tokio::process::Command::new(env!("CARGO_BIN_EXE_neap"))
        .args(["run", "--config", "neap.toml", "--log-level", "debug"])
        .current_dir(bench.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = daemon.id().unwrap().to_string();
    let said = |word: &str| std::fs::read_to_string(bench.path("log")).unwrap().contains(word);
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    };
    until(|| said("looked at idle resources")).await;
    // Its address will not do: what is in force stays.
    bench.write("bad.url", &format!("http://example.net/{HOOK}"));
    bench.write("neap.toml", &format!("{text}{}", table("bad", "")));
    signal("-HUP");
    until(|| said("the old one stays in force")).await;
    bench.write("neap.toml", &format!("{text}{}", table("ops", "min_severity = \"info\"")));
    signal("-HUP");
    until(|| receiver.count() > 0).await;
    signal("-TERM");
    assert!(daemon.wait().await.unwrap().success());
    let log = std::fs::read_to_string(bench.path("log")).unwrap();
    assert!(log.contains("configuration reloaded") && log.contains("is not encrypted"), "{log}");
    assert!(![HOOK, "127.0.0.1", "example.net"].iter().any(|word| log.contains(word)), "{log}");
}
