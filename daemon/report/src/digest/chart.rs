//! The days up to a digest as a picture: what was held and what neap would have, and violations.

use config::{Period, Span};
use fleet::Timestamp;
use journal::records::{Chart, ChartDay};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use shadow::{Scorecard, Scores};

use crate::plot::{self, BLUE, FAINT, FONT, GREEN, GRID, TEXT, VERMILION, drawn, font, number};

/// Read on a phone: letters are large for a picture of this size.
const SIZE: (u32, u32) = (900, 600);
/// The height that cost takes, above violations.
const COST_HEIGHT: u32 = 340;
/// Days before a daily digest that its chart shows; a weekly one shows twice as many.
const DAYS: i64 = 14;
/// The most dates that stand below.
const DATES: usize = 7;

/// The days up to the end of a span.
pub fn chart(span: Span, scores: &Scores) -> Chart {
    let days = match span.period {
        Period::Daily => DAYS,
        Period::Weekly => 2 * DAYS,
    };
    let days = scores.days.range(span.last + 1 - days..=span.last);
    let days = days.filter(|(_, scores)| !scores.services.is_empty()).map(|(day, scores)| {
        let mut sum = Scorecard::default();
        scores.services.values().for_each(|card| sum.add(card));
        let peak_usd: f64 = scores.services.values().filter_map(Scorecard::peak_usd).sum();
        ChartDay {
            day: *day,
            unit_seconds: [sum.peak.unit_seconds, sum.actual.unit_seconds, sum.would.unit_seconds],
            usd_micro: [(peak_usd * 1e6).round() as u64, sum.actual.usd_micro, sum.would.usd_micro],
            violations: [sum.actual.violations, sum.would.violations],
            priced: scores.services.values().all(|card| card.priced),
        }
    });
    Chart { days: days.collect() }
}

/// What the bars of cost are of, and their numbers.
fn cost(chart: &Chart) -> (&'static str, Vec<[f64; 3]>) {
    if chart.days.iter().all(|day| day.priced) {
        ("USD", chart.days.iter().map(|day| day.usd_micro.map(|usd| usd as f64 / 1e6)).collect())
    } else {
        let hours = |day: &ChartDay| day.unit_seconds.map(|seconds| seconds as f64 / 3600.0);
        ("unit-hours", chart.days.iter().map(hours).collect())
    }
}

/// The chart as PNG.
///
/// # Errors
/// Where it cannot be drawn, which is a bug.
pub fn png(chart: &Chart) -> anyhow::Result<Vec<u8>> {
    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
    picture(&area, chart)?;
    drop(area);
    plot::png(&pixels, SIZE)
}

fn picture<B: DrawingBackend>(area: &DrawingArea<B, Shift>, chart: &Chart) -> anyhow::Result<()> {
    font()?;
    drawn(area.fill(&WHITE))?;
    let (above, below) = area.split_vertically(COST_HEIGHT);
    let (unit, bars_of_cost) = cost(chart);
    let dates: Vec<i64> = chart.days.iter().map(|day| day.day).collect();
    let kinds = [("at peak size", GRID, 380), ("real", FAINT, 540), ("had neap acted", BLUE, 640)];
    bars(&above, &dates, &bars_of_cost, &format!("{unit} a day"), kinds)?;
    let violations = chart.days.iter().map(|day| day.violations.map(f64::from));
    let kinds = [("real", VERMILION, 540), ("had neap acted", GREEN, 640)];
    bars(&below, &dates, &violations.collect::<Vec<_>>(), "violations a day", kinds)?;
    drawn(area.present())
}

/// Bars side by side for each day; above them the title, and what each means: its words, its colour,
/// and where they stand.
fn bars<B: DrawingBackend, const N: usize>(
    area: &DrawingArea<B, Shift>,
    dates: &[i64],
    values: &[[f64; N]],
    title: &str,
    kinds: [(&str, RGBColor, i32); N],
) -> anyhow::Result<()> {
    drawn(area.draw_text(title, &(FONT, 24).into_font().color(&TEXT), (20, 12)))?;
    for (words, colour, x) in kinds {
        let square = Rectangle::new([(x, 16), (x + 16, 32)], colour.filled());
        drawn(area.draw(&square))?;
        let small = (FONT, 20).into_font().color(&TEXT);
        drawn(area.draw_text(words, &small, (x + 24, 14)))?;
    }
    let (_, area) = area.split_vertically(44);
    let most = values.iter().flatten().copied().fold(0.0_f64, f64::max);
    // Without any, the axis still has a scale, of whole ones.
    let top = if most > 0.0 { most * 1.08 } else { 4.0 };
    let last = dates.last().copied().unwrap_or_default();
    let first = dates.first().copied().unwrap_or_default();
    let mut chart = drawn(
        ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(34)
            .y_label_area_size(80)
            .build_cartesian_2d(Dates(first, last), 0.0..top),
    )?;
    let small = (FONT, 18).into_font().color(&TEXT);
    drawn(
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style(small.pos(Pos::new(HPos::Center, VPos::Top)))
            .y_label_style((FONT, 18).into_font().color(&TEXT))
            .y_labels(5)
            .x_label_formatter(&|day| month_and_day(*day))
            .y_label_formatter(&|value| number(*value))
            .draw(),
    )?;
    let width = 0.8 / N as f64;
    for (day, values) in dates.iter().zip(values) {
        for (at, (value, (_, colour, _))) in values.iter().zip(kinds).enumerate() {
            let left = *day as f64 - 0.4 + width * at as f64;
            let bar = [(left, 0.0), (left + width * 0.94, *value)];
            drawn(chart.draw_series([Rectangle::new(bar, colour.filled())]))?;
        }
    }
    Ok(())
}

/// Days from the first to the last, each in the middle of its own stretch.
struct Dates(i64, i64);

impl Ranged for Dates {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let every = (self.1 - self.0 + 1).unsigned_abs().div_ceil(DATES as u64).max(1);
        // The last day is the one that the digest is of.
        let days = (self.0..=self.1).rev().step_by(every as usize);
        days.map(|day| day as f64).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.0 as f64 - 0.6..self.1 as f64 + 0.6
    }
}

/// `11-25`.
fn month_and_day(day: f64) -> String {
    let date = Timestamp(day.round() as i64 * 86_400).to_string();
    date.get(5..10).unwrap_or_default().to_owned()
}
