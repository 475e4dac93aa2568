//! No forecast and no decision looks ahead: another future leaves all before it unchanged.

use std::fs;

use fleet::{Level, Seconds, Step, Timestamp};
use forecaster::{Backtest, Horizon, Marks, ModelKind, QuantileForecast, Series};
use neap::commands::simulate::{Decision, Foresight, Part, PolicyFile, Trace};
use planner::policy::Budgets;

/// A daily wave with noise and some bursts.
fn load(step: Step, days: u32) -> Series {
    let mut series = Series::new(step);
    let a_day = 86_400 / step.seconds();
    for i in 0..days * a_day {
        let turn = f64::from(i) / f64::from(a_day) * std::f64::consts::TAU;
        let noise = f64::from(i.wrapping_mul(2_654_435_769) >> 8) / f64::from(1 << 24);
        let burst = if i % (a_day / 5) < 3 { 200.0 } else { 0.0 };
        let value = 500.0 - 200.0 * turn.cos() + 80.0 * noise + burst;
        let stamp = Timestamp(1_772_409_600) + Seconds(u64::from(i * step.seconds()));
        series.put(stamp, value, Marks::NONE).unwrap();
    }
    series
}

/// The same load until `cut`, and from there on what `future` makes of it.
fn with_future(load: &Series, cut: usize, future: impl Fn(f64) -> Option<f64>) -> Series {
    let mut other = load.clone();
    other.truncate(cut);
    for index in cut..load.len() {
        match load.get(index).and_then(&future) {
            Some(value) => other.put(load.start_of(index), value, Marks::NONE).unwrap(),
            None => other.extend_to(load.start_of(index)).unwrap(),
        }
    }
    other
}

/// Zero, ten times as much, and no samples any more.
fn futures(load: &Series, cut: usize) -> [(&'static str, Series); 3] {
    [
        ("zero", with_future(load, cut, |_| Some(0.0))),
        ("tenfold", with_future(load, cut, |value| Some(10.0 * value))),
        ("missing", with_future(load, cut, |_| None)),
    ]
}

fn forecasts(load: &Series) -> Vec<QuantileForecast> {
    let levels = [0.1, 0.5, 0.9, 0.99].iter().filter_map(|&level| Level::new(level).ok());
    let plan = Backtest {
        origins: 24,
        warmup: 0.8,
        horizon: Horizon::Span(Seconds::minutes(30)),
        levels: levels.collect(),
        model: ModelKind::Auto,
    };
    let mut made = Vec::new();
    plan.run(load, |forecast| made.push(forecast)).unwrap();
    made
}

fn decisions(load: &Series, first: usize) -> Vec<Decision> {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "violation_budget = \"0.5%\"\n").unwrap();
    let lead_time = Seconds::minutes(5);
    let service = PolicyFile::read(&policy).unwrap().service(lead_time);
    let part = Part {
        first: load.start_of(first),
        scored: load.start_of(first),
        last: load.start_of(load.len() - 1),
        capacity: 40.0,
    };
    let trace = Trace { series: load, part, lead_time, budgets: Budgets::default() };
    let mut foresight = Foresight::new(load.step());
    let decided = trace.decide(&service, &mut |known, window| foresight.look(known, window));
    decided.unwrap().0
}

/// All of the past is equal, and something after it is not, or the check could not fail.
fn assert_equal_until<T: PartialEq>(what: &str, cut: usize, all: &[T], other: &[T]) {
    assert!(0 < cut && cut < all.len() && all.len() == other.len(), "{what}: {cut}");
    let differs = all.iter().zip(other).position(|(one, other)| one != other);
    let differs = differs.unwrap_or_else(|| panic!("{what}: the future changes nothing at all"));
    assert!(differs >= cut, "{what}: number {differs} differs, the future begins with {cut}");
}

fn check_forecasts(load: &Series) {
    let made = forecasts(load);
    // The first changed sample is the one after an origin, so that one step of look-ahead shows.
    let before = made.len() / 2;
    let cut = load.index_of(made[before - 1].origin()).unwrap() + 1;
    for (what, other) in futures(load, cut) {
        assert_equal_until(what, before, &made, &forecasts(&other));
    }
}

fn check_decisions(load: &Series, first: usize, cut: usize) {
    let made = decisions(load, first);
    // A decision stamped like the first changed sample does not know that sample yet.
    for (what, other) in futures(load, cut) {
        assert_equal_until(what, cut - first + 1, &made, &decisions(&other, first));
    }
}

#[test]
fn forecasts_do_not_hang_on_samples_after_their_origin() {
    let fine = load(Step::FIVE_MINUTES, 8);
    check_forecasts(&fine);
}

#[test]
fn forecasts_of_minutes_do_not_hang_on_samples_after_their_origin() {
    let minutes = load(Step::MINUTE, 3);
    check_forecasts(&minutes);
}

#[test]
fn decisions_do_not_hang_on_samples_of_their_own_stamp_or_later() {
    let fine = load(Step::FIVE_MINUTES, 8);
    check_decisions(&fine, 7 * 288, 7 * 288 + 150);
}

#[test]
fn decisions_of_minutes_do_not_hang_on_samples_of_their_own_stamp_or_later() {
    let minutes = load(Step::MINUTE, 3);
    check_decisions(&minutes, 2 * 1440, 2 * 1440 + 300);
}
