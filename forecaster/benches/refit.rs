//! How long a fit, an update and a forecast of one series take: 14 and 28 days at 5 minutes.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fleet::{Level, Seconds, Step, Timestamp};
use forecaster::{Marks, ModelKind, Series, ServiceForecaster, Windows, forecast_once};

fn days(count: u32) -> Series {
    let mut series = Series::new(Step::FIVE_MINUTES);
    for i in 0..count * 288 {
        let turn = f64::from(i) / 288.0 * std::f64::consts::TAU;
        let jitter = f64::from(i.wrapping_mul(2_654_435_769) >> 8) / f64::from(1 << 24);
        let value = 1000.0 - 400.0 * turn.cos() + 150.0 * (2.0 * turn).sin() + 120.0 * jitter;
        let stamp = Timestamp(1_767_225_600) + Seconds(300 * u64::from(i));
        series.put(stamp, value, Marks::NONE).expect("a sound sample");
    }
    series
}

fn benchmarks(c: &mut Criterion) {
    let series = days(14);
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
    let month = days(28);
    c.bench_function("auto, first fit and forecast of 28 days", |b| {
        b.iter(|| {
            let mut service = ServiceForecaster::new(Step::FIVE_MINUTES, ModelKind::Auto);
            service.refit(black_box(&month), windows).map(|_| ())?;
            service.forecast(&month, windows)
        });
    });
    c.bench_function("auto, one sample more and a forecast after 28 days", |b| {
        let mut service = ServiceForecaster::new(Step::FIVE_MINUTES, ModelKind::Auto);
        let mut known = month.clone();
        known.truncate(27 * 288);
        service.refit(&known, windows).expect("enough history");
        let mut samples = (27 * 288..month.len()).cycle();
        let (at_first, history) = (service.clone(), known.clone());
        b.iter_batched_ref(
            || {
                let next = samples.next().expect("it goes round");
                if next == 27 * 288 {
                    (service, known) = (at_first.clone(), history.clone());
                }
                let value = month.get(next).expect("no sample is missing");
                known.put(month.start_of(next), value, Marks::NONE).expect("a sound sample");
                let before = service.clone();
                service.observe(&known);
                (before, known.clone())
            },
            |(service, known)| {
                service.observe(known);
                service.forecast(known, windows)
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(all, benchmarks);
criterion_main!(all);
