//! A service on AWS that PromQL drives: ordered before the load is there, held while nothing can be
//! read, whatever the reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{Seconds, Timestamp};
use neap::clock::System;
use providers::{Deadline, Metrics, Now};
use serde_json::Value;
use tests::clock::{TestClock, TestTime, locked};
use tests::load::Load;
use tests::neap::Neap;
use tests::peers::{NewGroup, NewStore, Prometheus};
use tests::story::{CAPACITY, PATIENCE, START, findings, minutes, step, turns};
use tests::world::{AWS, Amazon, Cloud, Days, Minute, Of, Score, ServiceText, Stage, head};

use super::adapter::{query, settings};
use super::doors::{PASSWORD, Papers, USER, answer, serve};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const SHOP: &str = "shop";
const DEMAND: &str = "{ from = \"prom\", query = \"\"\"\n  sum(  # of all instances\n    \
                      rate(http_requests_total{job=\"shop\"}[1m])\n  )\"\"\" }";

/// A cloud with the group, a store with its demand.
struct Site {
    aws: Amazon,
    prom: Prometheus,
    papers: Papers,
}

const ON_AWS: Of<Site> = |site| &site.aws;

impl Site {
    /// A store behind certificates and a password that knows all of the load beforehand.
    fn start(time: TestTime, load: &Load, boot: Seconds) -> Site {
        let papers = Papers::made();
        let loads = vec![(SHOP, load)];
        let prom =
            Prometheus::start(&NewStore { loads, web: Some(papers.web()), ..NewStore::default() });
        let aws = Amazon::start(time);
        aws.boot_takes(boot);
        Site { aws, prom, papers }
    }

    fn config(&self, service: &ServiceText) -> String {
        let aws = self.aws.provider(&[AWS.region]);
        let folder = self.papers.folder().display();
        format!(
            "{}cycle_deadline = \"10s\"\n{aws}\n[provider.prom]\nkind = \"prometheus\"\nurl = \
             \"https://{}\"\nbasic = {{ user = \"{USER}\", password_file = \"{folder}/password\" }}\n\
             client_certificate_file = \"{folder}/client.pem\"\nclient_key_file = \
             \"{folder}/client.key\"\nca_file = \"{folder}/ca.pem\"\n{BUDGETS}{}",
            head("act"),
            self.prom.address(),
            service.text()
        )
    }
}

/// One group is the whole fleet here: by the defaults it could lose one unit an hour.
const BUDGETS: &str =
    "[budgets]\ngroup = \"20% per 10m\"\naccount = \"100% per 1h\"\nfleet = \"100% per 1h\"\n";

fn service(capacity: f64, lead: &str) -> ServiceText {
    let pool = format!("min = 1\nmax = 90\nlead_time = \"{lead}\"");
    ServiceText::new(SHOP, capacity).demand(DEMAND).pool(&pool)
}

/// Runs to the end of the days; every turn.
fn run(stage: &Arc<Stage<Site>>, days: Days<Site>, service: &ServiceText) -> (Neap, Vec<Value>) {
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let neap = Neap::on(BINARY, &stage.cloud.config(service), &clock);
    let running = neap.start(&clock);
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", running.stderr());
    let said = format!("{}{}", running.stdout(), running.stderr());
    assert!(!said.contains(PASSWORD) && !said.contains("PRIVATE KEY"), "{said}");
    (neap, turns(&running))
}

/// What the group was like in a minute.
fn at(seen: &[Minute], at: Timestamp) -> Minute {
    *seen.iter().find(|minute| minute.at == at).unwrap_or_else(|| panic!("{at} was not seen"))
}

#[test]
fn a_week_is_known_at_once_and_the_morning_is_met_ahead() {
    // A Friday; the steepest quarter of an hour begins at half past eight.
    let begin = Timestamp(1_772_755_200) + Seconds::minutes(8 * 60 + 10);
    let load = Load::generated(8, begin + Seconds::hours(2), 7);
    let (capacity, boot) = (1.5, Seconds(300));
    let stage = Stage::at(begin, |time| Site::start(time, &load, boot));
    let first = (load.at(begin).expect("a minute") / 60.0 / capacity).ceil() as u32 + 1;
    stage.cloud.aws.create_group(AWS.region, &NewGroup::new(SHOP, 1, 90, first));
    let mut days = Days::until(&stage, begin + Seconds::minutes(60));
    let seen = days.follow(ON_AWS, SHOP, load);
    let (neap, turns) = run(&stage, days, &service(capacity, "5m"));
    let seen = locked(&seen).clone();
    let score = Score::of(&seen, begin, capacity * 60.0, boot);
    eprintln!("{score:?}, cost {:.2}", score.cost());
    assert!(score.ramps >= 1 && score.ahead_share() >= 0.9, "{score:?}");
    assert!(score.violated <= 1, "{score:?}");
    assert!(score.cost() < 1.6, "not by having everything there always: {score:?}");
    let told = findings(&turns[0], SHOP).join("\n");
    assert!(!told.contains("no-forecast"), "the first turn has a week to go by: {told}");
    for command in [&["journal", "verify"][..], &["replay"]] {
        let output = neap.output(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A hundred requests a second, three times as many from minute 3, sixty from minute 14 on.
fn up_and_down() -> Load {
    let mut load = step(100.0, minutes(3), 300.0);
    for (at, value) in (load.start.0..).step_by(60).zip(&mut load.values) {
        if at >= minutes(14).0 {
            *value /= 5.0;
        }
    }
    load
}

#[test]
fn whatever_keeps_samples_away_takes_nothing_away() {
    const DENIED: [u64; 2] = [12, 22];
    const DEAD: [u64; 2] = [22, 34];
    let load = up_and_down();
    let stage = Stage::at(START, |time| Site::start(time, &load, Seconds(120)));
    stage.cloud.aws.create_group(AWS.region, &NewGroup::new(SHOP, 1, 90, 12));
    let mut days = Days::until(&stage, minutes(85));
    days.event(minutes(DENIED[0]), |stage| stage.cloud.papers.write("password", "wrong"));
    days.event(minutes(DEAD[0]), |stage| {
        stage.cloud.papers.write("password", PASSWORD);
        stage.cloud.prom.kill();
    });
    days.event(minutes(DEAD[1]), |stage| stage.cloud.prom.resume());
    let seen = days.follow(ON_AWS, SHOP, load);
    let (neap, turns) = run(&stage, days, &service(CAPACITY, "2m"));
    let seen = locked(&seen).clone();

    let grown = at(&seen, minutes(DENIED[0] - 1)).desired;
    assert!(grown >= 30, "{grown} units for three hundred a second");
    let taken_at = |turn: &Value| turn["taken_at"].as_str().and_then(Timestamp::parse);
    let within = |[from, to]: [u64; 2]| -> Vec<&Value> {
        let within = |turn: &&Value| {
            taken_at(turn).is_some_and(|at| (minutes(from)..minutes(to)).contains(&at))
        };
        turns.iter().filter(within).collect()
    };
    let why = "`query_range` denied: status 401: Unauthorized";
    for (when, why) in [(DENIED, why), (DEAD, "`query_range` unreachable: ")] {
        let turns = within(when);
        assert_eq!(turns.len() as u64, when[1] - when[0], "a turn a minute, whatever is away");
        for turn in &turns {
            let told = turn["unread"][SHOP].as_str().unwrap_or_default();
            assert!(told.starts_with(why), "{turn:#}");
        }
        let last = findings(turns.last().expect("turns"), SHOP).join("\n");
        assert!(last.contains("demand-stale"), "{last}");
    }
    let falls: Vec<Timestamp> = seen
        .windows(2)
        .filter(|pair| pair[1].desired < pair[0].desired)
        .map(|pair| pair[1].at)
        .collect();
    assert!(!falls.is_empty(), "once it is read again, the fall is followed: {:#?}", turns.last());
    assert!(falls[0] >= minutes(DEAD[1]), "{falls:?}");
    let at = minutes(DENIED[1] - 1).to_string();
    let explained = neap.output(&["explain", SHOP, "--at", &at]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains(&format!("nothing newer: {why}")), "{explained}");
}

/// A program's counter of requests, of two instances, which grows by so many a second.
fn exporter(a_second: f64) -> std::net::SocketAddr {
    let begun = Instant::now();
    serve(move |_| {
        let count = (begun.elapsed().as_secs_f64() * a_second / 2.0).floor();
        let text = format!(
            "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
             http_requests_total{{worker=\"a\"}} {count}\nhttp_requests_total{{worker=\"b\"}} {count}\n"
        );
        answer("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", &text)
    })
}

#[test]
fn what_is_scraped_right_now_is_planned_for() {
    const QUERY: &str = "sum(rate(http_requests_total{job=\"checkout\"}[5s]))";
    let target = Some(exporter(300.0));
    let prom = Prometheus::start(&NewStore { target, ..NewStore::default() });
    let url = format!("http://{}", prom.address());
    let source = providers::prometheus::Prometheus::new(settings(&url), Arc::new(System));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begun = Instant::now();
    let samples = loop {
        let now = System.now();
        let deadline = Deadline::within(Duration::from_secs(10));
        let asked = [query(QUERY, 5)];
        let read = source.samples(&asked, now - Seconds::minutes(2), now, deadline);
        let samples = runtime.block_on(read).remove(0).expect("samples");
        // The first is of an interval in which counting began.
        if samples.len() >= 5 {
            break samples;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{samples:?}");
        std::thread::sleep(Duration::from_millis(500));
    };
    for sample in &samples[1..] {
        assert_eq!(sample.start.0 % 5, 0);
        assert!((240.0..=360.0).contains(&sample.value), "{samples:?}");
    }

    let aws = Amazon::start(TestTime::starting(System.now()));
    aws.create_group(AWS.region, &NewGroup::new(SHOP, 1, 90, 5));
    let demand = format!("{{ from = \"prom\", query = '{QUERY}', period = \"5s\" }}");
    let service =
        ServiceText::new(SHOP, CAPACITY).demand(&demand).pool("max = 90\nlead_time = \"1m\"");
    let config = format!(
        "{}{}\n[provider.prom]\nkind = \"prometheus\"\nurl = \"{url}\"\n{}",
        head("observe"),
        aws.provider(&[AWS.region]),
        service.text()
    );
    let planned = Neap::new(BINARY, &config).output(&["plan", "--format", "json"]);
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    let plan: Value = serde_json::from_slice(&planned.stdout).expect("an object on stdout");
    let to = plan.pointer("/actions/0/change/Desired/to").and_then(Value::as_u64);
    assert!(to >= Some(10), "from five units to what three hundred a second need: {plan:#}");
}
