//! Bad input, and what a forecast does about it: each case says why that is right.

use fleet::{Seconds, Step, Timestamp};
use forecaster::{
    Marks, ModelKind, Series, SeriesFault, ServiceForecaster, WindowForecast, Windows,
};

const DAY: usize = 288;
const NOON: usize = DAY / 2;

/// Between 0 and 1, well mixed: a multiple of the index alone could be foreseen from its past.
fn noise(index: usize) -> f64 {
    let mut hash = index as u32 ^ 0x9e37_79b9;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    f64::from((hash ^ hash >> 16) >> 8) / f64::from(1 << 24)
}

/// A daily wave between 300 and 700 with some noise, its peak at noon.
fn healthy(index: usize) -> f64 {
    let turn = index as f64 / DAY as f64 * std::f64::consts::TAU;
    500.0 - 200.0 * turn.cos() + 60.0 * (noise(index) - 0.5)
}

fn stamp(index: usize) -> Timestamp {
    Timestamp(1_772_409_600) + Seconds(300 * index as u64)
}

/// Samples `0..until` as `value` gives them; `None` is a missing one.
fn series(until: usize, value: impl Fn(usize) -> Option<f64>) -> Series {
    let mut series = Series::new(Step::FIVE_MINUTES);
    for index in 0..until {
        match value(index) {
            Some(value) => series.put(stamp(index), value, Marks::NONE).unwrap(),
            None => series.extend_to(stamp(index)).unwrap(),
        }
    }
    series
}

fn windows() -> Windows {
    Windows::new(1, 2, 6).unwrap()
}

/// What a service forecasts that was fitted `from` on and saw every sample since.
fn forecast(series: &Series, from: usize) -> WindowForecast {
    let mut service = ServiceForecaster::new(series.step(), ModelKind::Auto);
    for known in (from..series.len()).step_by(6).chain([series.len()]) {
        let mut seen = series.clone();
        seen.truncate(known);
        service.observe(&seen);
        if service.refit_due(&seen).is_some() {
            service.refit(&seen, windows()).unwrap();
        }
    }
    let forecast = service.forecast(series, windows()).unwrap();
    let all = forecast.next.iter().chain(&forecast.lead).chain(&forecast.hold);
    assert!(all.clone().all(|value| value.is_finite() && *value >= 0.0), "{forecast:?}");
    forecast
}

/// The demand of the next step at a level.
fn next_at(forecast: &WindowForecast, level: f64) -> f64 {
    let place = forecast.levels.iter().position(|known| known.get() >= level).unwrap();
    forecast.next[place]
}

#[track_caller]
fn assert_close(found: f64, expected: f64, share: f64) {
    assert!((found / expected - 1.0).abs() <= share, "{found}, expected about {expected}");
}

/// Hours that were not seen say nothing of demand: they are neither zeros nor a new level.
#[test]
fn a_gap_of_hours_leaves_the_forecast_after_it_as_it_would_be() {
    let until = 8 * DAY + NOON;
    let gap = 7 * DAY + 100..7 * DAY + 172;
    let whole = forecast(&series(until, |i| Some(healthy(i))), 8 * DAY);
    let gappy = series(until, |i| (!gap.contains(&i)).then(|| healthy(i)));
    let gappy = forecast(&gappy, 8 * DAY);
    for level in [0.1, 0.5, 0.99] {
        assert_close(next_at(&gappy, level), next_at(&whole, level), 0.05);
    }
}

/// Clouds deliver late and correct what they delivered: what counts is the newest value of each
/// interval, in whatever order they came.
#[test]
fn the_order_of_stamps_and_repeated_ones_do_not_matter() {
    let until = 3 * DAY;
    let ordered = series(until, |i| Some(healthy(i)));
    let mut shuffled = Series::new(Step::FIVE_MINUTES);
    let mut put = |i: usize, value: f64| shuffled.put(stamp(i), value, Marks::NONE).unwrap();
    put(0, healthy(0));
    for i in (1..until).step_by(2) {
        put(i, healthy(i));
    }
    for i in (0..until).step_by(2) {
        put(i, 1e6);
        put(i, healthy(i));
    }
    assert_eq!(forecast(&ordered, 2 * DAY), forecast(&shuffled, 2 * DAY));
}

/// A stamp that belongs to no interval of the grid, or to one before the first that is kept, is no
/// revision: it is refused by name and nothing is changed.
#[test]
fn a_stamp_off_the_grid_or_before_the_start_is_refused_by_name() {
    let mut found = series(DAY, |i| Some(healthy(i)));
    let before = found.clone();
    let early = Timestamp(stamp(0).0 - 300);
    let fault = found.put(early, 1.0, Marks::NONE).unwrap_err();
    assert!(matches!(fault, SeriesFault::BeforeStart { .. }), "{fault}");
    let between = stamp(10) + Seconds(1);
    let fault = found.put(between, 1.0, Marks::NONE).unwrap_err();
    assert!(matches!(fault, SeriesFault::OffGrid { .. }), "{fault}");
    assert_eq!(found, before);
}

/// A counter that starts anew shows one interval of nothing: one sample is no trend.
#[test]
fn a_counter_that_resets_once_does_not_pull_demand_to_zero() {
    let until = 7 * DAY + NOON;
    let reset = until - 2;
    let found =
        forecast(&series(until, |i| Some(if i == reset { 0.0 } else { healthy(i) })), 7 * DAY);
    assert_close(next_at(&found, 0.5), healthy(until), 0.2);
    assert!(next_at(&found, 0.95) >= 0.98 * healthy(until), "{found:?}");
}

/// A day of zeros is an outage, not a new normal: when demand is back, tomorrow is forecast from
/// what was usual.
#[test]
fn a_day_of_zeros_does_not_teach_that_there_is_no_demand() {
    let outage = 7 * DAY..8 * DAY;
    for (hours_back, until) in [(6, 8 * DAY + DAY / 4), (12, 8 * DAY + NOON), (36, 9 * DAY + NOON)]
    {
        let load = series(until, |i| Some(if outage.contains(&i) { 0.0 } else { healthy(i) }));
        let found = forecast(&load, 7 * DAY + NOON);
        let (median, high) = (next_at(&found, 0.5), next_at(&found, 0.95));
        println!("{hours_back} h after the outage: {median} {high}, truly {}", healthy(until));
        assert_close(median, healthy(until), 0.25);
        assert!(high >= healthy(until), "{high}");
    }
}

/// The second half of the day after an outage is forecast as well as stated: one origin says
/// little of a level, four dozen say enough.
#[test]
fn from_noon_after_an_outage_the_upper_level_covers_demand_again() {
    let outage = 7 * DAY..8 * DAY;
    let load = series(9 * DAY, |i| Some(if outage.contains(&i) { 0.0 } else { healthy(i) }));
    let mut service = ServiceForecaster::new(load.step(), ModelKind::Auto);
    let (mut covered, mut count) = (0, 0);
    for known in (7 * DAY + NOON..9 * DAY).step_by(3) {
        let mut seen = load.clone();
        seen.truncate(known);
        service.observe(&seen);
        if service.refit_due(&seen).is_some() {
            service.refit(&seen, windows()).unwrap();
        }
        if known >= 8 * DAY + NOON {
            let found = service.forecast(&seen, windows()).unwrap();
            assert_close(next_at(&found, 0.5), healthy(known), 0.15);
            covered += u32::from(next_at(&found, 0.9) >= healthy(known));
            count += 1;
        }
    }
    let share = f64::from(covered) / f64::from(count);
    println!("covered by 0.9 from noon after the outage: {share}");
    assert!(share >= 0.8, "{share}");
}

/// One absurd value is forgotten within the hour; it may make the tail wider, never the middle.
#[test]
fn one_absurd_spike_is_no_new_level() {
    let until = 7 * DAY + NOON;
    let spike = until - 13;
    let load = series(until, |i| Some(healthy(i) * if i == spike { 1000.0 } else { 1.0 }));
    let found = forecast(&load, 7 * DAY);
    println!("after a spike: {:?}", found.next);
    assert_close(next_at(&found, 0.5), healthy(until), 0.25);
    assert!(next_at(&found, 0.99) < 4.0 * 730.0, "{found:?}");
}

/// A load that is measured in another unit from now on is a new level: at first demand is held to
/// be no lower than it was, and within hours the forecast is at home in the new unit.
#[test]
fn a_change_of_unit_by_a_thousand_is_followed() {
    let change = 7 * DAY;
    let load = |until| series(until, |i| Some(healthy(i) * if i < change { 1.0 } else { 1000.0 }));
    let at_once = forecast(&load(change + 1), 7 * DAY - 6);
    assert!(next_at(&at_once, 0.5) >= healthy(change), "{at_once:?}");
    let later = change + NOON;
    let found = forecast(&load(later), 7 * DAY);
    println!("12 h after a change of unit: {:?}, truly {}", found.next, 1000.0 * healthy(later));
    assert_close(next_at(&found, 0.5), 1000.0 * healthy(later), 0.3);
}
