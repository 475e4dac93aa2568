//! What people are paged for, by the whole program: each condition begins, is told once while it
//! lasts, and ends, to every kind of channel.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fleet::Seconds;
use serde_json::Value;
use tests::clock::{TestClock, locked, signal};
use tests::load::Load;
use tests::neap::Neap;
use tests::peers::{Fault, NewGroup, Rule};
use tests::story::{CAPACITY, FAR, PATIENCE, START, Story, minutes};
use tests::world::{REGION, ServiceText};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");

/// Kinds of channels beside what each asks for.
const CHANNELS: [(&str, &str); 7] = [
    ("webhook", ""),
    ("slack", ""),
    ("dingtalk", "language = \"zh\"\n"),
    ("feishu", "language = \"zh\"\n"),
    ("wecom", ""),
    ("pagerduty", "routing_key_file = \"routing.key\"\n"),
    ("alertmanager", "language = \"zh\"\n"),
];

/// Takes everything that is sent, by the path that it is sent to.
struct Receiver {
    address: String,
    had: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let had: Arc<Mutex<BTreeMap<String, Vec<Value>>>> = Arc::default();
        let noted = Arc::clone(&had);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || take(stream, &noted));
            }
        });
        Receiver { address, had }
    }

    fn had(&self, kind: &str) -> Vec<Value> {
        locked(&self.had).get(&format!("/{kind}")).cloned().unwrap_or_default()
    }

    /// Its channels in a configuration, and the files that they name.
    fn channels(&self, neap: &Neap) -> String {
        neap.secret("routing.key", "0123456789abcdef0123456789abcdef");
        let mut tables = String::new();
        for (kind, more) in CHANNELS {
            neap.secret(&format!("{kind}.url"), &format!("http://{}/{kind}", self.address));
            tables.push_str(&format!(
                "\n[[alert]]\nname = \"{kind}\"\nkind = \"{kind}\"\nurl_file = \"{kind}.url\"\n{more}"
            ));
        }
        tables
    }
}

fn take(stream: TcpStream, noted: &Mutex<BTreeMap<String, Vec<Value>>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim();
            if let Some(target) = line.strip_prefix("POST ") {
                path = target.split([' ', '?']).next().unwrap_or_default().to_owned();
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = serde_json::from_slice(&body).expect("JSON");
        let answer = if path == "/slack" { "ok" } else { "{\"errcode\":0,\"code\":0}" };
        locked(noted).entry(path).or_default().push(body);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        if reader.get_mut().write_all((head + answer).as_bytes()).is_err() {
            return;
        }
    }
}

/// Levels from minutes of the story on, in requests a second, with a little noise.
fn levels(levels: &'static [(u64, f64)]) -> Load {
    let start = START - Seconds::hours(6);
    let noise = |n: i64| 1.0 + 0.01 * ((n * 7_919 % 13) as f64 / 6.0 - 1.0);
    let level = |n: i64| {
        let at = start.0 + n * 60;
        let now = levels.iter().rev().find(|(from, _)| minutes(*from).0 <= at);
        now.unwrap_or(&levels[0]).1
    };
    let values = (0..10 * 60).map(|n| (level(n) * 60.0 * noise(n)).round()).collect();
    Load { start, values, origin: "levels".into() }
}

/// What an event needs of the program, which starts after the story is written.
type Later = Arc<Mutex<Option<(u32, PathBuf)>>>;

/// Something is done in the program's folder at a minute.
fn at(story: &mut Story, life: &Later, minute: u64, act: impl Fn(u32, &PathBuf) + Send + 'static) {
    let life = Arc::clone(life);
    story.days.event(minutes(minute), move |_| {
        if let Some((pid, folder)) = &*locked(&life) {
            act(*pid, folder);
        }
    });
}

/// Two services that grow, of which one meets its maximum; a cloud that refuses the first orders,
/// cannot be looked through for templates for a while, boots slowly and cannot be read for a while;
/// a collapse of two others; the switch; and a disk without room.
fn trouble(life: &Later) -> Story {
    let mut story = Story::until(minutes(96))
        .serve("shop", REGION, levels(&[(0, 100.0), (10, 300.0)]))
        .serve("east", REGION, levels(&[(0, 100.0), (44, 25.0), (54, 100.0)]))
        .serve("west", REGION, levels(&[(0, 100.0), (44, 25.0), (54, 100.0)]));
    story.stage.service(REGION, &NewGroup::new("small", 1, 60, 12));
    story.days.serve("small", REGION, levels(&[(0, 100.0), (10, 300.0)]));
    let pool = "min = 1\nmax = 14\nlead_time = \"2m\"";
    story.services.push(ServiceText::new("small", CAPACITY).pool(pool));
    story.tables = "\n[[service_template]]\nmatch = { tags = { \"neap:scale\" = [\"yes\"] } }\n\
                    demand = [{ namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", \
                    dimensions = { LoadBalancer = \"{tag:lb}\" } }]\n";
    let proxy = &story.stage.proxy;
    // Nobody but the search for groups asks there.
    proxy.inject(Rule::on("DescribeAutoScalingGroups", Fault::Denied).in_region(FAR).times(12));
    proxy.inject(Rule::on("SetDesiredCapacity", Fault::Denied).times(6));
    story.days.event(minutes(9), |stage| stage.proxy.boot_takes(Seconds::minutes(15)));
    story.days.event(minutes(24), |stage| stage.proxy.boot_takes(Seconds(120)));
    at(&mut story, life, 25, |pid, folder| {
        let file = folder.join("neap.toml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        std::fs::write(&file, text.replace("max = 14", "max = 60")).expect("it is written");
        signal(pid, "HUP");
    });
    story.days.event(minutes(64), |stage| {
        stage.proxy.inject(Rule::on("DescribeAutoScalingGroups", Fault::Denied));
    });
    story.days.event(minutes(77), |stage| stage.proxy.heal());
    at(&mut story, life, 82, |_, folder| {
        std::fs::write(folder.join("stop"), "").expect("the switch");
    });
    at(&mut story, life, 84, |_, folder| {
        std::fs::remove_file(folder.join("stop")).expect("the switch");
    });
    // Where the reserve is to be there is something else: no room can be set aside.
    at(&mut story, life, 86, |_, folder| {
        let reserve = folder.join("state/journal/reserve");
        std::fs::remove_file(&reserve).expect("the reserve");
        std::fs::create_dir(&reserve).expect("a folder");
    });
    at(&mut story, life, 89, |_, folder| {
        std::fs::remove_dir(folder.join("state/journal/reserve")).expect("the folder");
    });
    story
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// What was told of each condition: `+` where it began or was told again, `-` where it was over.
fn told(alerts: &[Value]) -> BTreeMap<String, String> {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for alert in alerts {
        let (what, of) = text(alert, "key").split_once('/').expect("a key of parts");
        let mark = match what {
            "condition" => '+',
            "recovered" => '-',
            _ => continue,
        };
        let of = of.split('/').next().unwrap_or_default();
        told.entry(of.to_owned()).or_default().push(mark);
    }
    told
}

#[test]
fn each_condition_is_raised_once_and_resolved_in_every_kind_of_channel() {
    let life = Later::default();
    let story = trouble(&life);
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let receiver = Receiver::start();
    let neap = Neap::on(BINARY, &config, &clock);
    neap.configure(&format!("{config}{}", receiver.channels(&neap)));
    let running = neap.start(&clock);
    *locked(&life) = Some((running.pid(), neap.folder().to_path_buf()));
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    let hooked = receiver.had("webhook");
    let titles: Vec<String> = hooked
        .iter()
        .map(|a| format!("{} {} {}", text(a, "at"), text(a, "severity"), text(a, "title")))
        .collect();
    let told = told(&hooked);
    for of in [
        "order-refused",
        "group-short",
        "demand-unknown",
        "outage-shape",
        "at-maximum",
        "kill-switch",
        "journal",
        "discovery",
    ] {
        let marks = told.get(of).map(String::as_str).unwrap_or_default();
        assert!(marks.starts_with('+') && marks.ends_with('-'), "{of} {marks}: {titles:#?}");
        assert!(!marks.contains("--"), "{of} {marks}: {titles:#?}");
        // Ninety minutes of one thing or another are no storm.
        assert!(marks.len() <= 6, "{of} {marks}: {titles:#?}");
    }
    let told_of = |of: &str, key: &str, words: &str| {
        let begins = format!("condition/{of}");
        let mut all = hooked.iter().filter(|alert| text(alert, "key").starts_with(&begins));
        all.any(|alert| alert[key].to_string().contains(words))
    };
    assert!(told_of("order-refused", "lines", "autoscaling:SetDesiredCapacity"), "{titles:#?}");
    assert!(told_of("demand-unknown", "title", " services of aws"), "{titles:#?}");
    // Each incident that PagerDuty was given is resolved.
    let mut incidents: BTreeMap<String, bool> = BTreeMap::new();
    for event in receiver.had("pagerduty") {
        let is_open = text(&event, "event_action") == "trigger";
        incidents.insert(text(&event, "dedup_key").to_owned(), is_open);
    }
    assert!(incidents.len() >= 8, "{incidents:#?}");
    assert!(incidents.values().all(|is_open| !is_open), "{incidents:#?}");
    for (kind, words) in [
        ("slack", "orders are not carried out"),
        ("slack", "recovered after"),
        ("wecom", "orders are not carried out"),
        ("dingtalk", "指令未被执行"),
        ("feishu", "指令未被执行"),
        ("alertmanager", "在役台数少于已下达的容量"),
        ("alertmanager", "后已恢复"),
    ] {
        let all = Value::Array(receiver.had(kind)).to_string();
        assert!(all.contains(words), "{kind} lacks `{words}`: {titles:#?}");
    }
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let receiver = Receiver::start();
    let mut story =
        Story::until(minutes(40)).serve("shop", REGION, levels(&[(0, 100.0), (400, 100.0)]));
    story.days.event(minutes(2), |stage| {
        stage.proxy.inject(Rule::on("DescribeAutoScalingGroups", Fault::Denied));
    });
    story.days.event(minutes(27), |stage| stage.proxy.heal());
    let life: Arc<Mutex<Option<tests::neap::Killer>>> = Arc::default();
    let killed = Arc::clone(&life);
    story.days.event(minutes(18), move |_| {
        if let Some(killer) = locked(&killed).take() {
            killer.kill();
        }
    });
    let config = story.config("act");
    let Story { stage, days, .. } = story;
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &config, &clock);
    neap.configure(&format!("{config}{}", receiver.channels(&neap)));
    let running = neap.start(&clock);
    *locked(&life) = Some(running.killer());
    let status = running.wait(PATIENCE);
    assert!(!status.success(), "it was killed: {}", running.stderr());
    let before = told(&receiver.had("webhook"));
    assert_eq!(before.get("demand-unknown").map(String::as_str), Some("+"), "{before:?}");
    let running = neap.start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    let after = told(&receiver.had("webhook"));
    assert_eq!(after.get("demand-unknown").map(String::as_str), Some("+-"), "{after:?}");
}
