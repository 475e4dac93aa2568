//! Alerts on their way to receivers that look at signatures, shapes and limits as their makers do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alerts::{self, Options, Sender};
use config::Config;
use fleet::Timestamp;
use fleet::alert::{Alert, Severity};
use journal::{AlertEntry, EntryKind};
use neap::clock::{Clock, System};
use providers::Now;

use crate::receiver::{self, Answer, Bench, Receiver, Reply, Request, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use reqwest::Url;
use serde_json::{Value, json};
use sha2::Sha256;

/// These stand in addresses and files of secrets, and must stand in nothing that is written.
const TOKEN: &str = "tok-4711-b0a7c2";
const SECRET: &str = "SEC0123456789abcdef";
const ROUTING_KEY: &str = "R0123456789ABCDEFGHIJKLMNOPQRSTU";

/// A minute of a rate lasts 1.2 s.
const OPTIONS: Options = Options { rate_second: Duration::from_millis(20), ..receiver::OPTIONS };
const MINUTE: Duration = Duration::from_millis(1200);

/// A clock that a test sets.
#[derive(Debug)]
struct Set(AtomicI64);

impl Now for Set {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[async_trait::async_trait]
impl Clock for Set {
    async fn sleep_until(&self, _: Timestamp) {}

    fn steady(&self) -> Duration {
        Duration::ZERO
    }

    fn stands_still(&self) -> bool {
        false
    }
}

fn query(request: &Request, name: &str) -> String {
    let url = request.url();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers.get("content-type").map(String::as_str);
    kind.is_some_and(|kind| kind.starts_with("application/json")) && !request.json().is_null()
}

fn hmac(key: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Within the hour that makers allow.
fn is_now(seconds: i64) -> bool {
    (System.now().0 - seconds).abs() < 3600
}

/// Text that is there.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

fn characters(value: &Value) -> usize {
    text(value).map_or(0, |text| text.encode_utf16().count())
}

/// Incoming webhooks: Block Kit within its limits, `ok` or a word why not.
fn slack(request: &Request) -> Answer {
    let refused = |status, word: &str| (status, "", word.to_owned());
    if request.url().path() != format!("/services/T1/B1/{TOKEN}") {
        return refused(404, "no_service");
    }
    let body = request.json();
    if !is_json(request) {
        return refused(400, "invalid_payload");
    }
    if text(&body["text"]).is_none() {
        return refused(400, "no_text");
    }
    let blocks = body["blocks"].as_array().map_or(&[][..], Vec::as_slice);
    let is_sound = |block: &Value| {
        let length = characters(&block["text"]["text"]);
        let kind = block["text"]["type"].as_str();
        match block["type"].as_str() {
            Some("header") => kind == Some("plain_text") && (1..=150).contains(&length),
            Some("section") => {
                matches!(kind, Some("plain_text" | "mrkdwn")) && (1..=3000).contains(&length)
            }
            _ => false,
        }
    };
    if blocks.is_empty() || blocks.len() > 50 || !blocks.iter().all(is_sound) {
        return refused(400, "invalid_blocks");
    }
    (200, "", "ok".to_owned())
}

fn errcode(code: i64, words: &str) -> Answer {
    (200, "", json!({ "errcode": code, "errmsg": words }).to_string())
}

/// A robot with signed requests.
fn dingtalk(request: &Request) -> Answer {
    if request.url().path() != "/robot/send" || query(request, "access_token") != TOKEN {
        return errcode(300_001, &format!("token is not exist: {TOKEN}"));
    }
    let stamp = query(request, "timestamp");
    let milliseconds: i64 = stamp.parse().unwrap_or_default();
    if stamp.len() != 13 || !is_now(milliseconds / 1000) {
        return errcode(310_000, "invalid timestamp");
    }
    if query(request, "sign") != hmac(SECRET, &format!("{stamp}\n{SECRET}")) {
        return errcode(310_000, "sign not match");
    }
    let body = request.json();
    let (of, more) = match body["msgtype"].as_str() {
        Some("markdown") => (&body["markdown"], true),
        Some("actionCard") => {
            let card = &body["actionCard"];
            let is_linked = text(&card["singleURL"]).is_some_and(|url| Url::parse(url).is_ok());
            (card, is_linked && text(&card["singleTitle"]).is_some())
        }
        _ => return errcode(400_105, "unsupported msgtype"),
    };
    let is_whole = more && text(&of["title"]).is_some() && text(&of["text"]).is_some();
    if !is_json(request) || !is_whole || request.body.len() > 20_000 {
        return errcode(40_035, "invalid parameters");
    }
    if !of["text"].as_str().unwrap_or_default().contains("neap") {
        return errcode(310_000, "keywords not in content");
    }
    errcode(0, "ok")
}

/// Twenty messages a minute, and ten minutes of nothing for one more.
fn within_limit(before: &[(Request, Reply)], request: &Request, reply: Answer) -> Answer {
    let is_recent = |(other, _): &&(Request, Reply)| request.at - other.at < MINUTE;
    let is_refusal =
        |reply: &Reply| matches!(reply, Reply::Answer((.., body)) if body.contains("130101"));
    let is_cut_off = before
        .iter()
        .any(|(other, reply)| is_refusal(reply) && request.at - other.at < MINUTE * 10);
    if is_cut_off || before.iter().filter(is_recent).count() >= 20 {
        return errcode(130_101, "send too fast, exceed 20 times per minute");
    }
    reply
}

/// A bot that signs in the body.
fn feishu(request: &Request) -> Answer {
    let coded = |code: i64, words: &str| {
        let status = if code == 0 { 200 } else { 400 };
        (status, "", json!({ "code": code, "msg": words, "data": {} }).to_string())
    };
    if request.url().path() != format!("/open-apis/bot/v2/hook/{TOKEN}") {
        return coded(19_001, "param invalid: incoming webhook access token invalid");
    }
    let body = request.json();
    let stamp = body["timestamp"].as_str().unwrap_or_default();
    let is_current = is_now(stamp.parse().unwrap_or_default());
    if !is_current || body["sign"].as_str() != Some(&hmac(&format!("{stamp}\n{SECRET}"), "")) {
        // As it was before errors had a status.
        return (200, "", json!({ "code": 19021, "msg": "sign match fail" }).to_string());
    }
    let card = &body["card"];
    let is_title = card["header"]["title"]["tag"] == "plain_text"
        && text(&card["header"]["title"]["content"]).is_some();
    let is_element = |element: &Value| match element["tag"].as_str() {
        Some("div") => text(&element["text"]["content"]).is_some(),
        Some("note") => element["elements"].as_array().is_some_and(|all| !all.is_empty()),
        Some("action") => element["actions"][0]["tag"] == "button",
        Some("hr") => true,
        _ => false,
    };
    let elements = card["elements"].as_array().map_or(&[][..], Vec::as_slice);
    let is_whole = is_title && !elements.is_empty() && elements.iter().all(is_element);
    if body["msg_type"] != "interactive" || !is_whole || request.body.len() > 20 << 10 {
        return coded(9499, "Bad Request");
    }
    coded(0, "success")
}

/// A robot whose content is counted in bytes.
fn wecom(request: &Request) -> Answer {
    if request.url().path() != "/cgi-bin/webhook/send" || query(request, "key") != TOKEN {
        return errcode(93_000, "invalid webhook url");
    }
    let body = request.json();
    let content = text(&body["markdown"]["content"]).unwrap_or_default();
    match body["msgtype"].as_str() {
        Some("markdown") if (1..=4096).contains(&content.len()) => errcode(0, "ok"),
        Some("markdown") => errcode(40_058, "markdown.content exceed max length 4096"),
        Some("image") => {
            let image = &body["image"];
            let bytes = STANDARD.decode(text(&image["base64"]).unwrap_or_default());
            let bytes = bytes.unwrap_or_default();
            let is_picture = bytes.starts_with(b"\x89PNG") && bytes.len() <= 2 << 20;
            let md5 = hex::encode(Md5::digest(&bytes));
            match image["md5"].as_str() == Some(&md5) {
                true if is_picture => errcode(0, "ok"),
                true => errcode(40_009, "invalid image size"),
                false => errcode(301_019, "media md5 not match"),
            }
        }
        _ => errcode(40_008, "invalid message type"),
    }
}

/// Events API v2.
fn pagerduty(request: &Request) -> Answer {
    let body = request.json();
    let payload = &body["payload"];
    let is_payload = (1..=1024).contains(&characters(&payload["summary"]))
        && text(&payload["source"]).is_some()
        && ["critical", "error", "warning", "info"]
            .contains(&payload["severity"].as_str().unwrap_or_default());
    let is_sound = match body["event_action"].as_str() {
        Some("trigger") => is_payload,
        Some("resolve") => text(&body["dedup_key"]).is_some(),
        _ => false,
    };
    let is_ours = body["routing_key"].as_str() == Some(ROUTING_KEY);
    let is_known = request.url().path() == "/v2/enqueue" && is_ours;
    let is_short = characters(&body["dedup_key"]) <= 255 && request.body.len() <= 512 << 10;
    if !(is_known && is_sound && is_short && is_json(request)) {
        return (400, "", json!({ "status": "invalid event" }).to_string());
    }
    (202, "", json!({ "status": "success", "dedup_key": body["dedup_key"] }).to_string())
}

/// API v2: a list of alerts with labels.
fn alertmanager(request: &Request) -> Answer {
    let stamp = |value: &Value| value.as_str().and_then(Timestamp::parse);
    let is_sound = |alert: &Value| {
        let labels = alert["labels"].as_object();
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_labelled = labels.is_some_and(|labels| {
            labels.contains_key("alertname")
                && labels.iter().all(|(name, value)| is_name(name) && text(value).is_some())
        });
        let times = stamp(&alert["startsAt"]).zip(stamp(&alert["endsAt"]));
        is_labelled && times.is_some_and(|(start, end)| start <= end)
    };
    let body = request.json();
    let alerts = body.as_array().map_or(&[][..], Vec::as_slice);
    let is_known = request.url().path() == "/api/v2/alerts" && is_json(request);
    if !is_known || alerts.is_empty() || !alerts.iter().all(is_sound) {
        return (400, "", "bad request".to_owned());
    }
    (200, "", String::new())
}

/// How a maker answers a request.
type Rules = fn(&Request) -> Answer;

/// Kinds with the path of their address, and the rules of their makers.
const KINDS: [(&str, &str, Rules); 6] = [
    ("slack", "/services/T1/B1/TOKEN", slack),
    ("dingtalk", "/robot/send?access_token=TOKEN", dingtalk),
    ("feishu", "/open-apis/bot/v2/hook/TOKEN", feishu),
    ("wecom", "/cgi-bin/webhook/send?key=TOKEN", wecom),
    ("pagerduty", "/v2/enqueue", pagerduty),
    ("alertmanager", "/api/v2/alerts", alertmanager),
];

fn rules(kind: &str) -> (String, Rules) {
    let (_, path, rules) = KINDS.into_iter().find(|(name, ..)| *name == kind).unwrap();
    (path.replace("TOKEN", TOKEN), rules)
}

/// A journal and channels in a folder of their own.
fn bench() -> Bench {
    let bench = Bench::new(&[TOKEN, SECRET, ROUTING_KEY, "sign="]);
    bench.write("secret", &format!("{SECRET}\n"));
    bench.write("routing-key", &format!("{ROUTING_KEY}\n"));
    bench
}

/// A channel of each kind has the same name.
const OPS: &str = "ops";

impl Bench {
    /// A configuration with a channel of this kind to a receiver, on disk too.
    fn configured_as(&self, kind: &str, receiver: &Receiver, more: &str) -> Config {
        let (path, _) = rules(kind);
        self.write("ops.url", &format!("{}\n", receiver.url(&path)));
        let secret = match kind {
            "dingtalk" | "feishu" => "secret_file = \"secret\"\n",
            "pagerduty" => "routing_key_file = \"routing-key\"\n",
            _ => "",
        };
        let table =
            format!("[[alert]]\nname = \"{OPS}\"\nkind = \"{kind}\"\nurl_file = \"ops.url\"\n");
        self.configured(&format!("{table}{secret}{more}\n"))
    }

    /// Begins to send by that channel.
    fn start_as(&self, kind: &str, receiver: &Receiver, more: &str) -> Sender {
        self.sending(&self.configured_as(kind, receiver, more), OPTIONS)
    }

    /// Waits until it is done with everything.
    async fn all_done(&self) {
        self.done(OPS, Severity::Info).await;
    }

    /// What the journal says came of sending, in order.
    fn outcomes(&self) -> Vec<String> {
        let told = |line: String| Some(line.strip_prefix("ops: ")?.to_owned());
        self.story().into_iter().filter_map(told).collect()
    }
}

fn alert(name: &str, severity: Severity) -> Alert {
    Alert {
        key: format!("idle/dev/marked/aws/eu-west-1/i-{name}"),
        severity,
        at: System.now(),
        title: format!("build {name} is stopped in 2d"),
        lines: vec!["nothing for 35d".to_owned()],
        subject: Some(format!("aws/eu-west-1/i-{name}")),
        owner: Some("team-a".to_owned()),
    }
}

fn named(names: impl Iterator<Item = usize>) -> Vec<Alert> {
    names.map(|n| alert(&format!("n{n:03}"), Severity::Warning)).collect()
}

/// Letters of many scripts, emoji, and the grammar of every receiver.
fn nasty() -> Alert {
    let name = "<!channel> *b* [x](https://evil.example) \u{202e}gpj 🔥 مثال <@all> `c` & \"q\"";
    let more = Some(name.to_owned());
    let (title, lines) = (name.to_owned(), vec![name.to_owned()]);
    Alert { title, lines, owner: more, ..alert("nasty", Severity::Critical) }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_told_by_its_makers_rules() {
    for (kind, _, rules) in KINDS {
        for more in ["", "link = \"https://wiki.example.com/neap/\""] {
            let bench = bench();
            let receiver = Receiver::new(move |_, request| rules(request)).await;
            let _sender = bench.start_as(kind, &receiver, more);
            bench.enqueue(&[alert("one", Severity::Info)]);
            bench.all_done().await;
            bench.enqueue(&[alert("two", Severity::Warning), nasty()]);
            bench.all_done().await;
            assert_eq!(
                bench.outcomes(),
                ["sent", "sent", "sent"],
                "{kind}: {:?}",
                receiver.answers()
            );
            let messages = if kind == "pagerduty" { 3 } else { 2 };
            assert_eq!(receiver.count(), messages, "{kind}");
            let first = &receiver.requests()[0];
            assert!(first.body.contains("build one is stopped in 2d"), "{kind}: {}", first.body);
            assert!(first.key().ends_with("-ops"), "{kind}: {}", first.key());
            assert_eq!(first.body.contains("wiki.example.com"), !more.is_empty(), "{kind}");
        }
    }
}

/// Sixty alerts, one by one, as fast as they come, to a robot that takes twenty messages a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_robot_is_never_told_more_than_it_takes() {
    for kind in ["dingtalk", "wecom"] {
        let (_, rules) = rules(kind);
        let bench = bench();
        let receiver = Receiver::new(move |before, it| within_limit(before, it, rules(it))).await;
        let sender = bench.start_as(kind, &receiver, "");
        for alert in named(0..60) {
            bench.enqueue(&[alert]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bench.all_done().await;
        drop(sender);
        // A daemon that is started anew knows nothing of what was sent just before.
        let _sender = bench.start_as(kind, &receiver, "");
        for alert in named(60..90) {
            bench.enqueue(&[alert]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bench.all_done().await;
        let requests = receiver.requests();
        assert!(receiver.answers().iter().all(|reply| reply.2.contains("\"errcode\":0")), "{kind}");
        assert!(requests.len() < 45, "{kind}: {} messages", requests.len());
        for n in 0..90 {
            let title = format!("build n{n:03} is stopped");
            let told =
                requests.iter().filter(|request| request.json().to_string().contains(&title));
            assert_eq!(told.count(), 1, "{kind}: {title}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_others_wore_out_is_left_alone_and_then_told_all_at_once() {
    let bench = bench();
    let receiver = Receiver::new(|before, request| match before.len() {
        0 => errcode(130_101, "send too fast, exceed 20 times per minute"),
        _ => dingtalk(request),
    })
    .await;
    let _sender = bench.start_as("dingtalk", &receiver, "");
    bench.enqueue(&named(0..1));
    until(|| receiver.count() == 1).await;
    bench.enqueue(&named(1..12));
    bench.all_done().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    // Ten minutes, of which a test waits as long as it must.
    assert!(requests[1].at - requests[0].at >= OPTIONS.asked_rest_max);
    assert!(requests[1].body.contains("neap: 12 alerts"), "{}", requests[1].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_comes_as_a_success_is_none() {
    let bench = bench();
    // The secret is mended after a while; the word that a robot asks for is not.
    let receiver = Receiver::new(|before, request| {
        let reply = dingtalk(request);
        match before.len() {
            0 => errcode(-1, "system busy"),
            1 | 2 => errcode(310_000, &format!("sign not match {TOKEN}")),
            _ if request.body.contains("wordless") => errcode(310_000, "keywords not in content"),
            _ => reply,
        }
    })
    .await;
    let _sender = bench.start_as("dingtalk", &receiver, "");
    bench.enqueue(&[alert("late", Severity::Warning)]);
    bench.all_done().await;
    assert_eq!((receiver.count(), bench.outcomes()), (4, vec!["sent".to_owned()]));
    bench.enqueue(&[alert("wordless", Severity::Warning)]);
    bench.all_done().await;
    let why =
        "it answers `errcode` 310000: it asks for a word that is not in the message; `neap` is";
    assert_eq!(bench.outcomes(), ["sent", why]);
}

/// Each repeat would be one more message in the room.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_in_other_words_is_told_once() {
    let json = "content-type: application/json\r\n";
    for kind in ["slack", "dingtalk", "feishu", "wecom"] {
        let replies: Vec<Reply> = vec![
            (200, "", String::new()).into(),
            (200, "", "<html>thank you</html>".to_owned()).into(),
            (200, json, json!({ "success": true }).to_string()).into(),
            (200, json, json!({ "result": "success", "msg": "" }).to_string()).into(),
            (202, "", "queued".to_owned()).into(),
            (204, "", String::new()).into(),
            (200, "", "x".repeat(3 << 20)).into(),
            Reply::Endless { flood: false },
            Reply::Endless { flood: true },
        ];
        let count = replies.len();
        let bench = bench();
        let receiver = Receiver::new(move |before, _| replies[before.len() % count].clone()).await;
        let _sender = bench.start_as(kind, &receiver, "");
        for n in 0..count {
            bench.enqueue(&[alert(&format!("n{n}"), Severity::Warning)]);
            bench.all_done().await;
            assert_eq!(receiver.count(), n + 1, "{kind}");
        }
        assert!(bench.outcomes().iter().all(|outcome| outcome == "sent"), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_seen_by_who_checks_it() {
    for kind in ["dingtalk", "feishu"] {
        let (_, rules) = rules(kind);
        let bench = bench();
        bench.write("secret", "SECother");
        let receiver = Receiver::new(move |_, request| rules(request)).await;
        let sender = bench.start_as(kind, &receiver, "");
        bench.enqueue(&[alert("one", Severity::Warning)]);
        until(|| receiver.count() >= 2).await;
        assert_eq!(bench.waiting(OPS, Severity::Info), 1, "{kind}");
        drop(sender);
        bench.write("secret", SECRET);
        let _sender = bench.start_as(kind, &receiver, "");
        bench.all_done().await;
        assert_eq!(bench.outcomes(), ["sent"], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_rest_gets_it() {
    for kind in ["slack", "pagerduty", "alertmanager"] {
        let (_, rules) = rules(kind);
        let bench = bench();
        let receiver = Receiver::new(move |before, request| match before.len() {
            0 => (429, "retry-after: 30\r\n", "rate_limited".to_owned()),
            1 => (500, "", "<html>".to_owned()),
            _ => rules(request),
        })
        .await;
        let _sender = bench.start_as(kind, &receiver, "");
        bench.enqueue(&[alert("one", Severity::Warning)]);
        bench.all_done().await;
        let requests = receiver.requests();
        assert_eq!((requests.len(), bench.outcomes()), (3, vec!["sent".to_owned()]), "{kind}");
        assert!(requests[1].at - requests[0].at >= OPTIONS.asked_rest_max, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_takes_no_other_with_it() {
    let bench = bench();
    let receiver = Receiver::new(|_, request| {
        let is_poison = request.body.contains("build poison");
        if is_poison { (400, "", "invalid_blocks".to_owned()) } else { slack(request) }
    })
    .await;
    bench.enqueue(&[
        alert("a", Severity::Info),
        alert("poison", Severity::Info),
        alert("b", Severity::Info),
    ]);
    let _sender = bench.start_as("slack", &receiver, "");
    bench.all_done().await;
    let why = "it answers 400, `invalid_blocks`: it does not take the blocks";
    assert_eq!(bench.outcomes(), ["sent", why, "sent"]);
    assert_eq!(receiver.count(), 4);
}

/// It has the message, and we are gone before we hear so.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_same_is_known_again() {
    for (kind, _, rules) in KINDS {
        let mut bench = bench();
        let receiver = Receiver::new(move |before, request| {
            let reply = rules(request);
            if before.is_empty() { Reply::Hang } else { reply.into() }
        })
        .await;
        let sender = bench.start_as(kind, &receiver, "");
        bench.enqueue(&[alert("twice", Severity::Warning)]);
        until(|| receiver.count() == 1).await;
        drop(sender);
        bench.reopen();
        let sender = bench.start_as(kind, &receiver, "");
        bench.all_done().await;
        drop(sender);
        assert_eq!(bench.outcomes(), ["sent"], "{kind}");
        let requests = receiver.requests();
        assert_eq!(requests.len(), 2, "{kind}");
        assert_eq!(requests[0].key(), requests[1].key(), "{kind}");
        let (first, second) = (requests[0].json(), requests[1].json());
        match kind {
            "pagerduty" => {
                assert_eq!(first["dedup_key"], "idle/dev/marked/aws/eu-west-1/i-twice");
                assert_eq!(first["dedup_key"], second["dedup_key"]);
            }
            // Known by its labels; when it ends depends on when it was sent.
            "alertmanager" => assert_eq!(first[0]["labels"], second[0]["labels"]),
            "feishu" => assert_eq!(first["card"], second["card"]),
            _ => assert_eq!(first, second, "{kind}"),
        }
        // What was settled stays so.
        bench.reopen();
        let _sender = bench.start_as(kind, &receiver, "");
        bench.enqueue(&[alert("next", Severity::Warning)]);
        bench.all_done().await;
        assert_eq!(receiver.count(), 3, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_never_told_before_what_began() {
    let bench = bench();
    // The first attempts fail, so that the second alert could overtake the first.
    let receiver = Receiver::new(|before, request| {
        let reply = pagerduty(request);
        if before.len() < 3 { (500, "", String::new()) } else { reply }
    })
    .await;
    let off = Alert {
        key: "idle/dev/unmarked/aws/eu-west-1/i-a".to_owned(),
        ..alert("a", Severity::Info)
    };
    bench.enqueue(&[alert("a", Severity::Info), alert("b", Severity::Info), off]);
    let _sender = bench.start_as("pagerduty", &receiver, "");
    bench.all_done().await;
    let mut open = BTreeSet::new();
    let mut told = Vec::new();
    for (request, reply) in receiver.requests().into_iter().zip(receiver.answers()) {
        if reply.0 == 202 {
            let body = request.json();
            let key = body["dedup_key"].as_str().unwrap().to_owned();
            if body["event_action"] == "trigger" {
                open.insert(key);
            } else {
                assert!(open.remove(&key), "{key} is resolved before it is triggered");
            }
            told.push(body["event_action"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(told.len(), 3);
    assert_eq!(open, BTreeSet::from(["idle/dev/marked/aws/eu-west-1/i-b".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_hold_what_can_wait_and_tell_it_as_one() {
    let mut bench = bench();
    // 23:00 in Shanghai.
    let night = Timestamp::parse("2026-03-02T15:00:00Z").unwrap();
    let clock = Arc::new(Set(AtomicI64::new(night.0)));
    bench.clock = clock.clone();
    let at = |alert: Alert| Alert { at: clock.now(), ..alert };
    let receiver = Receiver::new(|_, request| slack(request)).await;
    let quiet = "quiet_hours = { timezone = \"Asia/Shanghai\", hours = \"22:00-08:00\", except = \"critical\" }";
    let _sender = bench.start_as("slack", &receiver, quiet);
    for name in ["a", "b", "c"] {
        bench.enqueue(&[at(alert(name, Severity::Warning))]);
    }
    bench.enqueue(&[at(alert("fire", Severity::Critical))]);
    until(|| receiver.count() == 1).await;
    until(|| bench.waiting(OPS, Severity::Info) == 3).await;
    // A minute before its end it is still quiet.
    clock.0.store(night.0 + 9 * 3600 - 60, Ordering::SeqCst);
    bench.enqueue(&[at(alert("d", Severity::Info))]);
    tokio::time::sleep(OPTIONS.look * 10).await;
    assert_eq!((receiver.count(), bench.waiting(OPS, Severity::Info)), (1, 4));
    clock.0.store(night.0 + 9 * 3600, Ordering::SeqCst);
    bench.all_done().await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].body.contains("build fire"), "{}", requests[0].body);
    assert!(requests[1].body.contains("neap: 4 alerts"), "{}", requests[1].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_tried_by_hand() {
    for (kind, _, rules) in KINDS {
        let bench = bench();
        let receiver = Receiver::new(move |before, request| {
            let reply = rules(request);
            if before.is_empty() { reply } else { (403, "", TOKEN.to_owned()) }
        })
        .await;
        bench.configured_as(kind, &receiver, "min_severity = \"critical\"");
        for expected in [
            format!("0\n`ops`: sent, it answers {}\n", if kind == "pagerduty" { 202 } else { 200 }),
            "3\nerror: `ops`: not sent, it answers 403\n".to_owned(),
        ] {
            let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_neap"))
                .args(["alert", "test", "ops", "--config", "neap.toml", "--log-level", "trace"])
                .current_dir(bench.folder.path())
                .output()
                .await
                .unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(![TOKEN, SECRET, ROUTING_KEY].iter().any(|s| text.contains(s)), "{text}");
            assert!(!text.contains(" alerts::") || !text.contains("sign="), "{text}");
            let ours: String = text
                .lines()
                .filter(|line| line.starts_with('`') || line.starts_with("error"))
                .map(|line| format!("{line}\n"))
                .collect();
            assert_eq!(format!("{}\n{ours}", output.status.code().unwrap()), expected, "{kind}");
        }
    }
}

#[test]
fn secrets_that_will_not_do_are_refused_and_not_repeated() {
    let bench = bench();
    let table = |kind: &str, more: &str| {
        let table = format!("[[alert]]\nname = \"{OPS}\"\nkind = \"{kind}\"\n{more}\n");
        bench.faults(&table, OPTIONS)
    };
    bench.write("ops.url", &format!("https://oapi.example.com/robot/send?access_token={TOKEN}"));
    let signed = "url_file = \"ops.url\"\nsecret_file = \"secret\"";
    let mut told = table("dingtalk", signed);
    told.push_str(&table("pagerduty", "routing_key_file = \"routing-key\""));
    bench.write("secret", &format!("{SECRET} {SECRET}"));
    told.push_str(&table("feishu", signed));
    bench.write("secret", "");
    told.push_str(&table("lark", signed));
    told.push_str(&table("pagerduty", "routing_key_file = \"nowhere\""));
    assert!(!told.contains(SECRET) && !told.contains(TOKEN), "{told}");
    insta::assert_snapshot!(told, @r#"
    none
    none
    /neap.toml:15:15: the file `/secret` holds more than one word, expected a secret in one line
    /neap.toml:15:15: the file `/secret` is empty, expected the secret
    /neap.toml:14:20: the file `/nowhere` cannot be read: No such file or directory (os error 2)
      hint: the daemon reads the routing key when it starts and when it is reloaded
    "#);
}

/// A service in dry run and machines that are stopped when somebody agrees.
const DAYS: &str = r#"
mode = "observe"
poll_interval = "5m"
state_dir = "sim-state"
[provider.sim]
kind = "sim"
machines = 20
speed = "max"
duration = "58h"
[[service]]
name = "checkout"
demand = [{ namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = { LoadBalancer = "app/checkout/50dc6c495c0c9188" } }]
[[service.pool]]
group = "checkout-asg"
capacity_per_unit = 40
price_usd_hourly = 0.1
"#;

/// `neap` in the bench's folder, which ends by itself or is ended by who called.
fn run(bench: &Bench) -> tokio::process::Child {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_neap"))
        .args(["run", "--config", "neap.toml", "--log-level", "warn"])
        .current_dir(bench.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// What the journal that a daemon left behind says of digests: what was raised, and what came of it.
fn digests(bench: &mut Bench) -> Vec<String> {
    let world = journal::World::Simulation { seed: 1, scenario: "day".to_owned() };
    bench.journal = Some(receiver::opened(&bench.path("sim-state"), world));
    let reader = bench.journal().reader();
    let mut keys = BTreeMap::new();
    let mut story = Vec::new();
    for entry in reader.entries(Timestamp(0)..Timestamp(i64::MAX)) {
        let entry = entry.unwrap();
        match entry.kind {
            EntryKind::Alert(AlertEntry::Digest(alert, _)) => {
                story.push(format!("{} {}", alert.at, alert.key));
                keys.insert(entry.id, alert.key);
            }
            EntryKind::Alert(AlertEntry::Sent { alert, .. }) => {
                story.extend(keys.get(&alert).map(|key| format!("sent {key}")));
            }
            EntryKind::Alert(AlertEntry::GaveUp { alert, why, .. }) => {
                story.extend(keys.get(&alert).map(|key| format!("{why}: {key}")));
            }
            _ => {}
        }
    }
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_comes_at_its_hour_with_its_chart_and_hides_what_must_not_leave() {
    let mut bench = bench();
    bench.journal = None;
    let receiver = Receiver::new(|_, request| wecom(request)).await;
    let (path, _) = rules("wecom");
    bench.write("ops.url", &receiver.url(&path));
    let table = "[[alert]]\nname = \"ops\"\nkind = \"wecom\"\nurl_file = \"ops.url\"\n\
                 min_severity = \"critical\"\nhash = [\"subject\"]\n\
                 quiet_hours = { timezone = \"Asia/Shanghai\", hours = \"16:00-20:00\" }\n\
                 digest = { every = \"day\", at = \"17:00\" }\n";
    bench.write("neap.toml", &format!("{DAYS}{table}"));
    assert!(run(&bench).wait().await.unwrap().success());
    assert!(receiver.answers().iter().all(|reply| reply.2.contains("\"errcode\":0")));
    let kinds: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| request.json()["msgtype"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["markdown", "image", "markdown", "image"]);
    let first = receiver.requests()[0].json();
    let first = first["markdown"]["content"].as_str().unwrap();
    let title = "neap: info: daily digest of 2026-03-02: ";
    assert!(first.contains(title) && first.contains("dry run of 1 service: "), "{first}");
    assert!(first.contains(" unit-hours") && first.contains(" USD; if neap had acted "), "{first}");
    assert!(!first.contains("checkout"), "{first}");
    // By hand it says the same.
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_neap"))
        .args(["digest", "--state-dir", "sim-state", "--chart", "day.png", "--format", "json"])
        .current_dir(bench.folder.path())
        .output();
    let shown: Value = serde_json::from_slice(&output.await.unwrap().stdout).unwrap();
    assert_eq!(
        (&shown["from"], &shown["until"]),
        (&json!("2026-03-03T00:00:00Z"), &json!("2026-03-04T00:00:00Z"))
    );
    let told = receiver.requests()[2].json()["markdown"]["content"].to_string();
    assert!(told.contains(shown["title"].as_str().unwrap()), "{shown} {told}");
    let image = receiver.requests()[3].json()["image"]["base64"].clone();
    let drawn = std::fs::read(bench.path("day.png")).unwrap();
    assert!(STANDARD.encode(drawn) == image.as_str().unwrap());
    let mut story = digests(&mut bench);
    story.sort();
    let day = |at: &str, day: &str| {
        let key = format!("digest/daily/{day}/ops");
        [format!("{at} {key}"), format!("{at} {key}/chart")]
    };
    // Nine in UTC.
    let raised =
        [day("2026-03-03T09:00:00Z", "2026-03-02"), day("2026-03-04T09:00:00Z", "2026-03-03")];
    assert_eq!(story[..4], raised.concat());
    assert!(story.len() == 8 && story[4..].iter().all(|told| told.starts_with("sent ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_amid_sending_neither_loses_nor_repeats_a_digest() {
    let mut bench = bench();
    bench.journal = None;
    // Who is killed does not hear that it was taken.
    let receiver = Receiver::new(|before, _| match before.len() {
        0 => Reply::Hang,
        _ => (200, "", String::new()).into(),
    })
    .await;
    bench.write("ops.url", &receiver.url("/hook"));
    let table = "[[alert]]\nname = \"ops\"\nkind = \"webhook\"\nurl_file = \"ops.url\"\n\
                 min_severity = \"critical\"\n\
                 digest = { every = \"day\", at = \"09:00\", timezone = \"UTC\" }\n";
    let (head, _) = DAYS.split_once("[[service]]").unwrap();
    let head = head.replace("58h", "300d").replace("\"max\"", "86400").replace("\"5m\"", "\"30m\"");
    let idle = "idle_interval = \"1h\"\n";
    let rule = "[[idle]]\nname = \"dev\"\nprovider = \"sim\"\n\
                match = { tags = { \"neap:managed\" = [\"true\"] } }\n\
                idle_when = { cpu_max_percent = 3.0, for = \"35d\" }\ngrace = \"2d\"\n";
    bench.write("neap.toml", &format!("{idle}{head}{rule}{table}"));
    let mut killed = run(&bench);
    until(|| receiver.count() == 1).await;
    killed.kill().await.unwrap();
    assert!(!killed.wait().await.unwrap().success());
    let mut daemon = run(&bench);
    until(|| receiver.count() >= 4).await;
    let pid = daemon.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(daemon.wait().await.unwrap().success());
    let requests = receiver.requests();
    let mut bodies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for request in &requests {
        bodies.entry(request.json()["key"].to_string()).or_default().push(request.json());
    }
    // The first came twice, as one and the same; no other did.
    assert_eq!(requests[0].json()["key"], "digest/daily/2026-03-02/ops");
    assert_eq!(requests[0].json()["at"], "2026-03-03T09:00:00Z");
    let first = bodies.values().next().unwrap();
    assert!(first.len() == 2 && first[0] == first[1], "{first:?}");
    assert!(bodies.values().skip(1).all(|told| told.len() == 1), "{bodies:?}");
    let story = digests(&mut bench);
    let raised: Vec<&str> =
        story.iter().filter(|told| told.starts_with("20")).map(String::as_str).collect();
    for (n, told) in raised.iter().enumerate() {
        let begun = Timestamp::parse("2026-03-03T09:00:00Z").unwrap();
        let at = begun + fleet::Seconds::days(n as u64);
        let day = (at - fleet::Seconds::days(1)).to_string();
        let key = format!("digest/daily/{}/ops", day.split('T').next().unwrap());
        assert_eq!(*told, format!("{at} {key}"));
    }
    let sent = story.iter().filter(|told| told.starts_with("sent ")).count();
    assert!(sent == raised.len() && sent == bodies.len(), "{story:?}");
    let is_quiet = |body: &Value| body["title"].as_str().unwrap().contains(": quiet, no order");
    assert!(bodies.values().flatten().any(is_quiet), "{bodies:?}");
}
