//! Short stories: a service or two, a load that steps, something that happens, and what was told of it.

use std::sync::Arc;
use std::time::Duration;

use fleet::{Seconds, Timestamp};
use serde_json::Value;

use crate::clock::TestClock;
use crate::load::Load;
use crate::neap::{Neap, Running};
use crate::peers::NewGroup;
use crate::world::{Amazon, Days, REGION, ServiceText, Stage};

/// 2026-03-06T12:00:00Z: when every story begins.
pub const START: Timestamp = Timestamp(1_772_798_400);
/// A second region.
pub const FAR: &str = "eu-west-1";
/// Requests a second that one unit carries.
pub const CAPACITY: f64 = 10.0;
/// How long a story may take in real time.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A level before `at`, another one from then on, in requests a second.
pub fn step(before: f64, at: Timestamp, after: f64) -> Load {
    let start = START - Seconds::hours(6);
    let minute = |n: i64| if start.0 + n * 60 < at.0 { before } else { after };
    // A little noise, the same every time: real demand is never constant.
    let noise = |n: i64| 1.0 + 0.01 * ((n * 7_919 % 13) as f64 / 6.0 - 1.0);
    let values = (0..10 * 60).map(|n| (minute(n) * 60.0 * noise(n)).round()).collect();
    Load { start, values, origin: "a step".into() }
}

/// So many minutes into the story.
pub fn minutes(n: u64) -> Timestamp {
    START + Seconds::minutes(n)
}

/// A cloud with one service `shop` of ten units, whose demand trebles ten minutes from the start.
pub struct Story {
    /// Cloud, door and time.
    pub stage: Arc<Stage>,
    /// What happens in it.
    pub days: Days,
    /// The services that the configuration names.
    pub services: Vec<ServiceText>,
    /// Keys at the top of the configuration.
    pub extra: String,
    /// Tables of the configuration besides services.
    pub tables: &'static str,
    /// The whole configuration, where it is unlike all others.
    pub whole: Option<String>,
}

impl Story {
    /// A story that ends there, with instances that boot for two minutes.
    pub fn until(end: Timestamp) -> Story {
        let stage = Stage::at(START, Amazon::start);
        stage.proxy.boot_takes(Seconds(120));
        let days = Days::until(&stage, end);
        Story { stage, days, services: Vec::new(), extra: String::new(), tables: "", whole: None }
    }

    /// A service in act mode on a group with two units to spare.
    pub fn serve(mut self, name: &str, region: &str, load: Load) -> Story {
        let units = (load.values[0] / 60.0 / CAPACITY).ceil() as u32 + 2;
        self.stage.service(region, &NewGroup::new(name, 1, 60, units));
        self.days.serve(name, region, load);
        let pool = "min = 1\nmax = 60\nlead_time = \"2m\"";
        self.services.push(ServiceText::new(name, CAPACITY).in_region(region).pool(pool));
        self
    }

    /// Its configuration.
    pub fn config(&self, mode: &str) -> String {
        let regions: &[&str] = &[REGION, FAR];
        let services: String = self.services.iter().map(ServiceText::text).collect();
        format!("{}{}{}{services}", self.extra, self.stage.config(mode, regions), self.tables)
    }

    /// Runs to the end, and hands back every turn.
    ///
    /// # Panics
    /// Where the program does not end as it should.
    pub fn run(self, binary: &str) -> (Arc<Stage>, Neap, Vec<Value>) {
        let config = self.whole.clone().unwrap_or_else(|| self.config("act"));
        let Story { stage, days, .. } = self;
        let clock = TestClock::start(stage.time.clone(), Box::new(days));
        let neap = Neap::on(binary, &config, &clock);
        let running = neap.start(&clock);
        let status = running.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", running.stderr());
        let turns = turns(&running);
        (stage, neap, turns)
    }
}

/// Every turn that a program told so far.
///
/// # Panics
/// Where it told none.
pub fn turns(running: &Running) -> Vec<Value> {
    let out = running.stdout();
    let turns: Vec<Value> =
        out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!turns.is_empty(), "no turn was told; stderr: {}", running.stderr());
    turns
}

/// The findings about a service in a turn or a plan, as `word: text`.
pub fn findings(turn: &Value, service: &str) -> Vec<String> {
    let all = turn["findings"].as_array().into_iter().flatten();
    let ours = all.filter(|finding| finding["service"] == service);
    ours.map(|finding| format!("{}: {}", text(&finding["hold"]), text(&finding["text"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a turn says these words of a service.
pub fn says(turns: &[Value], service: &str, words: &str) -> bool {
    turns.iter().any(|turn| findings(turn, service).iter().any(|finding| finding.contains(words)))
}

/// How the orders of a service ended, as `change -> result`.
pub fn results(turns: &[Value], service: &str) -> Vec<String> {
    let all = turns.iter().flat_map(|turn| turn["results"].as_array()).flatten();
    all.filter(|result| result["service"] == service)
        .map(|result| format!("{} -> {}", result["change"], result["result"]))
        .collect()
}
