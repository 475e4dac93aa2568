//! A fleet that sleeps by the clock: gone when its hours end, and in service when they begin again, on
//! each cloud's peer.

use std::time::Duration;

use fleet::{Seconds, Timestamp};
use tests::clock::{TestClock, TestTime, locked};
use tests::load::Load;
use tests::neap::Neap;
use tests::peers::{Alibaba, NewGroup};
use tests::world::{Amazon, Cloud, Days, Minute, ServiceText, Stage};

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const GROUP: &str = "dev";
/// A Thursday evening, half past seven in Berlin.
const START: Timestamp = Timestamp(1_772_735_400);
const HOUR: Seconds = Seconds::hours(1);
/// Eight in Berlin.
const SLEEPS: Timestamp = Timestamp(1_772_737_200);
const BOOT: Seconds = Seconds(300);

fn sleeps_and_wakes<C: Cloud>(cloud: fn(TestTime) -> C) {
    let (wakes, end) = (SLEEPS + HOUR, SLEEPS + HOUR + Seconds::minutes(30));
    let stage = Stage::at(START, cloud);
    let words = stage.words();
    stage.boot_takes(BOOT);
    let load = Load::days(4, end);
    let capacity = load.quantile(0.995) / 10.0 / 60.0;
    stage.service(words.region, &NewGroup::new(GROUP, 0, 30, 10));
    let mut days = Days::until(&stage, end);
    let seen = days.serve(GROUP, words.region, load);
    let clock = TestClock::start(stage.time.clone(), Box::new(days));
    let service =
        ServiceText::new(GROUP, capacity).on(words).pool("min = 0\nmax = 30\nlead_time = \"6m\"");
    let hours = "[[service.hours]]\nat = \"daily 20:00-21:00\"\ntimezone = \"Europe/Berlin\"\nexactly = 0\n";
    let config = format!("{}{}{hours}", stage.config("act", &[words.region]), service.text());
    let neap = Neap::on(BINARY, &config, &clock);
    let running = neap.start(&clock);
    let status = running.wait(Duration::from_secs(300));
    assert!(status.success(), "{status}: {}", running.stderr());
    let seen = locked(&seen).clone();
    let of = |from: Timestamp, to: Timestamp| -> Vec<Minute> {
        seen.iter().filter(|minute| minute.at >= from && minute.at < to).copied().collect()
    };
    assert!(of(START, SLEEPS).iter().all(|minute| minute.desired > 0), "nobody sleeps before");
    // The cooldown of whatever came before may pass first.
    let (asleep, called) = (SLEEPS + Seconds::minutes(10), wakes - Seconds::minutes(10));
    let night = of(asleep, called);
    assert_eq!(night.len(), 40);
    assert!(night.iter().all(|minute| minute.desired == 0), "{night:?}");
    let day = of(wakes, end);
    let short = |minute: &&Minute| f64::from(minute.in_service) * capacity * 60.0 < minute.demand;
    assert_eq!(day.iter().filter(short).count(), 0, "{day:?}");
    let explained =
        neap.output(&["explain", GROUP, "--at", &(called - Seconds::minutes(20)).to_string()]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("daily 20:00-21:00"), "{explained}");
    let replayed = neap.output(&["replay"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[test]
fn a_fleet_sleeps_and_wakes_by_its_hours_on_aws() {
    sleeps_and_wakes(Amazon::start);
}

#[test]
fn a_fleet_sleeps_and_wakes_by_its_hours_on_alibaba_cloud() {
    sleeps_and_wakes(Alibaba::start);
}
