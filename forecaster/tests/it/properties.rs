//! What must hold for any series: quantiles never cross, units do not matter, hostile numbers
//! are refused or survived.

use fleet::{Level, Seconds, Step, Timestamp};
use forecaster::{
    Backtest, Horizon, Marks, ModelKind, QuantileForecast, Series, SeriesFault, ServiceForecaster,
    Windows, forecast_once,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const START: Timestamp = Timestamp(1_767_225_600); // 2026-01-01T00:00:00Z, a Thursday

fn levels(values: &[f64]) -> Vec<Level> {
    values.iter().map(|&value| Level::new(value).unwrap()).collect()
}

fn series(step: Step, values: impl IntoIterator<Item = Option<f64>>) -> Series {
    Series::from_values(START, step, values).unwrap()
}

/// A daily wave with reproducible noise, above zero.
fn wave(step: Step, days: usize, noise: f64) -> Vec<f64> {
    let day = 86_400 / step.seconds() as usize;
    (0..days * day)
        .map(|i| {
            let turn = i as f64 / day as f64 * std::f64::consts::TAU;
            let hash = (i as u32).wrapping_mul(2_654_435_769) >> 8;
            let jitter = f64::from(hash) / f64::from(1 << 24) - 0.5;
            100.0 - 40.0 * turn.cos() + 15.0 * (2.0 * turn).sin() + noise * jitter
        })
        .collect()
}

fn rows(forecast: &QuantileForecast) -> Vec<f64> {
    forecast.steps().flat_map(|(_, row)| row.to_vec()).collect()
}

fn sane(forecast: &QuantileForecast) -> bool {
    forecast.steps().all(|(_, row)| {
        row.iter().all(|value| value.is_finite() && *value >= 0.0)
            && row.windows(2).all(|pair| pair[0] <= pair[1])
    })
}

/// One service fed sample by sample, refitted when it asks for it.
fn run_service(series: &Series, windows: Windows) -> Option<forecaster::WindowForecast> {
    let mut forecaster = ServiceForecaster::new(series.step(), ModelKind::Auto);
    if forecaster.refit_due(series).is_some() {
        forecaster.refit(series, windows).ok()?;
    }
    forecaster.forecast(series, windows).ok()
}

/// The same cases in every run, so that a red run can be run again; `PROPTEST_RNG_SEED` looks at
/// others.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(24);
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(7);
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn quantiles_never_cross_and_are_never_negative(
        values in prop::collection::vec(prop::option::weighted(0.9, 0.0..1e6f64), 60..400),
        step in prop::sample::select(vec![60u32, 300, 3600]),
    ) {
        let series = series(Step::new(step).unwrap(), values);
        for kind in ModelKind::ALL {
            let levels = levels(&[0.05, 0.5, 0.9, 0.999]);
            if let Ok((forecast, _)) = forecast_once(&series, kind, 6, &levels) {
                prop_assert!(sane(&forecast), "{kind}: {forecast:?}");
            }
        }
        if let Some(found) = run_service(&series, Windows::new(1, 5, 20).unwrap()) {
            for row in [&found.next, &found.lead, &found.hold] {
                prop_assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{found:?}");
                prop_assert!(row.iter().all(|value| value.is_finite() && *value >= 0.0));
            }
            prop_assert!(found.lead.iter().zip(&found.hold).all(|(lead, hold)| lead <= hold));
        }
    }

    #[test]
    fn the_unit_of_demand_does_not_matter(exponent in -3i32..9, noise in 1.0..40.0f64) {
        let unit = 2f64.powi(exponent * 3);
        let base = wave(Step::FIVE_MINUTES, 4, noise);
        let scaled = base.iter().map(|value| Some(value * unit));
        let levels = levels(&[0.1, 0.5, 0.9, 0.99]);
        for kind in ModelKind::ALL {
            let of = |series: Series| forecast_once(&series, kind, 6, &levels).unwrap().0;
            let plain = of(series(Step::FIVE_MINUTES, base.iter().map(|&v| Some(v))));
            let other = of(series(Step::FIVE_MINUTES, scaled.clone()));
            for (a, b) in rows(&plain).iter().zip(rows(&other)) {
                prop_assert!((a * unit - b).abs() <= 1e-3 * a * unit, "{kind}: {a} x {unit}, {b}");
            }
        }
    }

    #[test]
    fn a_constant_added_to_demand_is_added_to_the_forecast(noise in 10.0..40.0f64) {
        let base = wave(Step::FIVE_MINUTES, 4, noise);
        let levels = levels(&[0.1, 0.5, 0.9, 0.99]);
        // The blend and the log regression work on ratios, which a shift changes.
        for kind in [ModelKind::LastValue, ModelKind::SeasonalDay, ModelKind::Ets] {
            let of = |shift: f64| {
                let values = base.iter().map(|&value| Some(value + shift));
                let series = series(Step::FIVE_MINUTES, values);
                forecast_once(&series, kind, 6, &levels).unwrap().0
            };
            for (a, b) in rows(&of(0.0)).iter().zip(rows(&of(512.0))) {
                prop_assert!((a + 512.0 - b).abs() <= 1e-2, "{kind}: {a}, {b}");
            }
        }
    }

    #[test]
    fn any_sample_is_taken_or_refused_with_the_series_unchanged(
        stamp in any::<i64>(), value in any::<f64>(), provisional in any::<bool>(),
    ) {
        let mut series = series(Step::MINUTE, (0..100).map(|i| Some(f64::from(i))));
        let before = series.clone();
        let marks = Marks { provisional, censored: false };
        // Far stamps would grow the grid without need; GAP_MAX bounds them.
        let near = Timestamp(START.0.saturating_add(stamp % 100_000));
        match series.put(near, value, marks) {
            Ok(()) => {
                prop_assert_eq!(series.at(near), Some(f64::from(value as f32)));
                prop_assert!(series.len() >= before.len());
            }
            Err(_) => prop_assert_eq!(&series, &before),
        }
        prop_assert!(series.put(Timestamp(stamp), f64::NAN, marks).is_err());
    }
}

#[test]
fn hostile_series_come_out_sane_or_are_refused() {
    let many = 900;
    let cases: Vec<(&str, Vec<Option<f64>>)> = vec![
        ("one sample", vec![Some(5.0)]),
        ("ten samples", vec![Some(5.0); 10]),
        ("all zero", vec![Some(0.0); many]),
        ("constant", vec![Some(7.5); many]),
        ("constant and huge", vec![Some(1e15); many]),
        ("constant and tiny", vec![Some(1e-12); many]),
        ("one spike", (0..many).map(|i| Some(if i == 450 { 1e15 } else { 1.0 })).collect()),
        ("a late jump", (0..many).map(|i| Some(if i > 850 { 1e6 } else { 1.0 })).collect()),
        ("a long gap", (0..many).map(|i| (!(300..700).contains(&i)).then_some(3.0)).collect()),
        ("gap at the end", (0..many).map(|i| (i < 700).then_some(i as f64)).collect()),
        ("every other missing", (0..many).map(|i| (i % 2 == 0).then_some(4.0)).collect()),
        ("nearly all missing", (0..many).map(|i| (i % 100 == 0).then_some(4.0)).collect()),
        ("on and off", (0..many).map(|i| Some((i % 2 * 100) as f64)).collect()),
        ("ever rising", (0..many).map(|i| Some(i as f64 * 1000.0)).collect()),
    ];
    let mut told = String::new();
    for (name, values) in cases {
        let values = values.into_iter();
        let series = series(Step::FIVE_MINUTES, values);
        let answer = forecast_once(&series, ModelKind::Auto, 12, &levels(&[0.1, 0.5, 0.99]));
        let line = match answer {
            Ok((forecast, choice)) => {
                assert!(sane(&forecast), "{name}: {forecast:?}");
                let row = forecast.at_step(12).unwrap();
                format!("{} {:?}", choice.model, row.iter().map(|v| *v as f32).collect::<Vec<_>>())
            }
            Err(fault) => fault.to_string(),
        };
        told += &format!("{name}: {line}\n");
    }
    insta::assert_snapshot!(told, @r"
    one sample: 1 usable samples of 5m are too few, expected at least 38 (3h10m)
    ten samples: 10 usable samples of 5m are too few, expected at least 38 (3h10m)
    all zero: auto [0.0, 0.0, 0.0]
    constant: last-value [7.5, 7.5, 7.5]
    constant and huge: auto [1000000000000000.0, 1000000000000000.0, 1000000000000000.0]
    constant and tiny: auto [1e-12, 1e-12, 1e-12]
    one spike: auto [1.0, 1.0, 1.0]
    a late jump: last-value [1000000.0, 1000000.0, 4000000.0]
    a long gap: last-value [3.0, 3.0, 3.0]
    gap at the end: auto [839.9167, 839.9167, 839.9167]
    every other missing: last-value [4.0, 4.0, 4.0]
    nearly all missing: 0 usable samples of 5m are too few, expected at least 38 (3h10m)
    on and off: seasonal-day [100.0, 100.0, 100.0]
    ever rising: last-value [911000.0, 911000.0, 911000.0]
    ");
}

#[test]
fn faults_name_what_would_have_been_enough() {
    let short = series(Step::FIVE_MINUTES, vec![Some(1.0); 20]);
    let fault = forecast_once(&short, ModelKind::Auto, 12, &levels(&[0.5])).unwrap_err();
    let SeriesFault::TooShort { needed, .. } = fault else { panic!("{fault}") };
    let enough = series(Step::FIVE_MINUTES, vec![Some(1.0); needed]);
    assert!(forecast_once(&enough, ModelKind::Auto, 12, &levels(&[0.5])).is_ok());
    let mut service = ServiceForecaster::new(Step::FIVE_MINUTES, ModelKind::Auto);
    let windows = Windows::new(1, 2, 6).unwrap();
    let SeriesFault::TooShort { needed, .. } = service.forecast(&short, windows).unwrap_err()
    else {
        panic!("a service without a model has too short a history")
    };
    let enough = series(Step::FIVE_MINUTES, vec![Some(1.0); needed]);
    assert!(service.refit_due(&enough).is_some());
    service.refit(&enough, windows).unwrap();
    assert!(service.forecast(&enough, windows).is_ok());
    for (lead, hold) in [(0, 5), (30_000, 5), (1, usize::MAX)] {
        assert!(Windows::new(1, lead, hold).is_err(), "{lead} {hold}");
        assert!(
            service.forecast(&enough, Windows { first: 1, lead, hold }).is_err(),
            "{lead} {hold}"
        );
    }
    assert!(forecast_once(&enough, ModelKind::Auto, 0, &levels(&[0.5])).is_err());
    assert!(forecast_once(&enough, ModelKind::Auto, 4, &[]).is_err());
}

#[test]
fn a_daily_wave_is_foreseen_and_last_value_is_not() {
    let values = wave(Step::FIVE_MINUTES, 8, 6.0);
    let whole = series(Step::FIVE_MINUTES, values.into_iter().map(Some));
    let plan = |model| Backtest {
        origins: 40,
        warmup: 0.6,
        horizon: Horizon::Customary,
        levels: levels(&[0.1, 0.5, 0.9, 0.95, 0.99]),
        model,
    };
    let auto = plan(ModelKind::Auto).run(&whole, |_| {}).unwrap();
    let last = plan(ModelKind::LastValue).run(&whole, |_| {}).unwrap();
    assert!(auto.loss < 0.4 * auto.last_value_loss, "{auto:?}");
    assert!(last.loss > 0.9 * last.last_value_loss, "{last:?}");
    // Experts whose errors have little in common make a blend a little wider than each.
    for (level, covered) in auto.coverage {
        assert!((covered - level.get()).abs() < 0.08, "{level}: {covered}");
    }
}

#[test]
fn the_maximum_of_a_window_is_covered_as_often_as_stated() {
    let whole =
        series(Step::FIVE_MINUTES, wave(Step::FIVE_MINUTES, 12, 30.0).into_iter().map(Some));
    let windows = Windows::new(1, 3, 12).unwrap();
    let mut service = ServiceForecaster::new(whole.step(), ModelKind::Auto);
    let (mut inside, mut count) = ([0, 0], 0);
    for known in (8 * 288..whole.len() - 15).step_by(4) {
        let mut seen = whole.clone();
        seen.truncate(known);
        service.observe(&seen);
        if service.refit_due(&seen).is_some() {
            service.refit(&seen, windows).unwrap();
        }
        let forecast = service.forecast(&seen, windows).unwrap();
        let highest =
            |steps: usize| (known..known + steps).filter_map(|i| whole.get(i)).fold(0.0, f64::max);
        let at = forecast.levels.iter().position(|level| level.get() == 0.9).unwrap();
        inside[0] += u32::from(highest(3) <= forecast.lead[at]);
        inside[1] += u32::from(highest(12) <= forecast.hold[at]);
        count += 1;
    }
    for inside in inside {
        let share = f64::from(inside) / f64::from(count);
        assert!((0.84..0.97).contains(&share), "{share}");
    }
}

#[test]
fn the_online_state_is_a_fold_that_does_not_depend_on_how_samples_came() {
    let whole = series(Step::FIVE_MINUTES, wave(Step::FIVE_MINUTES, 5, 20.0).into_iter().map(Some));
    let windows = Windows::new(1, 3, 12).unwrap();
    let mut at_once = ServiceForecaster::new(whole.step(), ModelKind::Auto);
    let mut seen = whole.clone();
    seen.truncate(4 * 288);
    at_once.refit(&seen, windows).unwrap();
    let mut one_by_one = at_once.clone();
    at_once.observe(&whole);
    for known in 4 * 288..=whole.len() {
        let mut seen = whole.clone();
        seen.truncate(known);
        one_by_one.observe(&seen);
    }
    let forecasts = [&at_once, &one_by_one].map(|f| f.forecast(&whole, windows).unwrap());
    assert_eq!(forecasts[0], forecasts[1]);
    assert!(forecasts[0].recent_loss < forecasts[0].last_value_loss, "{:?}", forecasts[0]);
}

#[test]
fn a_saturated_service_teaches_no_fall() {
    // One interval in seven the service chokes and serves a third of what is asked.
    let windows = Windows::new(1, 3, 12).unwrap();
    let fed = |marked: bool| {
        let mut series = Series::new(Step::FIVE_MINUTES);
        let mut choked_until = 0u32;
        for (i, value) in (0u32..).zip(wave(Step::FIVE_MINUTES, 6, 8.0)) {
            let dice = i.wrapping_mul(2_246_822_519).rotate_left(13).wrapping_mul(3_266_489_917);
            if i > choked_until && dice % 6 == 0 && i < 6 * 288 - 24 {
                choked_until = i + 1;
            }
            let choked = i < choked_until;
            let marks = Marks { provisional: false, censored: marked && choked };
            let seen = if choked { value / 3.0 } else { value };
            series.put(START + Seconds(300 * u64::from(i)), seen, marks).unwrap();
        }
        run_service(&series, windows).unwrap()
    };
    let (told, untold) = (fed(true), fed(false));
    let usual = told.next[1];
    assert!(told.next[0] > 0.8 * usual, "{told:?}");
    assert!(untold.next[0] < 0.8 * usual, "{untold:?}");
}

#[test]
fn provisional_samples_are_not_learned_from() {
    let windows = Windows::new(1, 3, 12).unwrap();
    let values = wave(Step::FIVE_MINUTES, 4, 8.0);
    let settled = series(Step::FIVE_MINUTES, values.iter().map(|&value| Some(value)));
    let mut with_newest = settled.clone();
    let end = settled.end().unwrap();
    for ahead in 1..=2 {
        with_newest.put(end + Seconds(300 * ahead), 1e9, Marks::PROVISIONAL).unwrap();
    }
    assert_eq!(run_service(&settled, windows), run_service(&with_newest, windows));
}
