//! How long a refit and a forecast of one series take: 14 days at 5 minutes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use forecaster::{
    Level, Marks, ModelKind, Seconds, Series, ServiceForecaster, Step, Timestamp, Windows,
    forecast_once,
};

fn fortnight() -> Series {
    let mut series = Series::new(Step::FIVE_MINUTES);
    for i in 0..14 * 288u32 {
        let turn = f64::from(i) / 288.0 * std::f64::consts::TAU;
        let jitter = f64::from(i.wrapping_mul(2_654_435_769) >> 8) / f64::from(1 << 24);
        let value = 1000.0 - 400.0 * turn.cos() + 150.0 * (2.0 * turn).sin() + 120.0 * jitter;
        let stamp = Timestamp(1_767_225_600) + Seconds(300 * u64::from(i));
        series.put(stamp, value, Marks::NONE).expect("a sound sample");
    }
    series
}

fn benchmarks(c: &mut Criterion) {
    let series = fortnight();
    let windows = Windows::new(1, 2, 12).expect("sound windows");
    let levels: Vec<Level> =
        [0.1, 0.5, 0.9, 0.95, 0.99].iter().filter_map(|&l| Level::new(l).ok()).collect();
    c.bench_function("linear, refit and forecast of an hour, step by step", |b| {
        b.iter(|| forecast_once(black_box(&series), ModelKind::Linear, 12, &levels));
    });
    c.bench_function("auto, refit and forecast of an hour, step by step", |b| {
        b.iter(|| forecast_once(black_box(&series), ModelKind::Auto, 12, &levels));
    });
    for kind in [ModelKind::Linear, ModelKind::Auto] {
        c.bench_function(&format!("{kind}, refit of a service's windows"), |b| {
            b.iter(|| {
                let mut service = ServiceForecaster::new(Step::FIVE_MINUTES, kind);
                service.refit(black_box(&series), windows).map(|choice| choice.model)
            });
        });
        let mut service = ServiceForecaster::new(Step::FIVE_MINUTES, kind);
        service.refit(&series, windows).expect("enough history");
        c.bench_function(&format!("{kind}, forecast of a service's windows"), |b| {
            b.iter(|| service.forecast(black_box(&series), windows));
        });
    }
}

criterion_group!(all, benchmarks);
criterion_main!(all);
