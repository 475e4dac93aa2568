//! A service's day as a picture: demand against the forecast as it was made, and capacity.

use fleet::{ServiceName, Timestamp};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use report::Language;
use report::plot::{BLUE, FAINT, FONT, GREEN, GRID, TEXT, VERMILION, drawn, font, number};
use report::said::Said;

use super::board::{Decision, Past, Point};
use super::views::encoded;

const SIZE: (u32, u32) = (960, 300);
/// A gap longer than this is shown as one.
const GAP_SECONDS: i64 = 1200;
/// Radius of the mark of a decision.
const MARK: i32 = 5;

/// Words that stand in charts.
pub(super) struct Labels {
    pub demand: &'static str,
    pub units: &'static str,
    pub language: Language,
}

/// Demand, the band of forecasts of the next interval as they were made, and what the units in
/// service carried; as SVG.
pub(super) fn demand(past: &Past, labels: &Labels) -> anyhow::Result<String> {
    let points: Vec<&Point> = past.points.iter().collect();
    let carried = |point: &Point| Some(point.capacity? * point.in_service? as f32);
    let tops = points.iter().flat_map(|p| [p.demand, p.next.map(|n| n[2]), carried(p)]);
    let top = tops.flatten().fold(0.0_f32, f32::max);
    let top = if top > 0.0 { top * 1.05 } else { 1.0 };
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let mut chart = frame(&area, past, f64::from(top), labels.demand)?;
        for run in runs(&points, |point| point.next.map(|next| (point.at, next))) {
            let lower = run.iter().map(|(at, next)| (seconds(*at), f64::from(next[0])));
            let upper = run.iter().rev().map(|(at, next)| (seconds(*at), f64::from(next[2])));
            let band: Vec<_> = lower.chain(upper).collect();
            drawn(chart.draw_series([Polygon::new(band, BLUE.mix(0.18).filled())]))?;
            let middle = run.iter().map(|(at, next)| (seconds(*at), f64::from(next[1])));
            drawn(chart.draw_series(LineSeries::new(middle, BLUE.stroke_width(1))))?;
        }
        let line = |of: &dyn Fn(&Point) -> Option<f32>| {
            runs(&points, |point| of(point).map(|value| (point.at, f64::from(value))))
        };
        for run in line(&carried) {
            let run = stairs(&run);
            drawn(chart.draw_series(LineSeries::new(run, GREEN.stroke_width(2))))?;
        }
        for run in line(&|point| point.demand) {
            let run = run.into_iter().map(|(at, value)| (seconds(at), value));
            drawn(chart.draw_series(LineSeries::new(run, VERMILION.stroke_width(2))))?;
        }
        drawn(area.present())?;
    }
    Ok(text)
}

/// Units in service and ordered, and a mark for every decision that leads to its story; as SVG.
pub(super) fn units(past: &Past, service: &ServiceName, labels: &Labels) -> anyhow::Result<String> {
    let points: Vec<&Point> = past.points.iter().collect();
    let from = points.first().map(|point| point.at);
    let decisions: Vec<&Decision> =
        past.decisions.iter().filter(|d| from.is_some_and(|from| d.at >= from)).collect();
    let sizes = points.iter().flat_map(|point| [point.in_service, point.desired]).flatten();
    let decided = decisions.iter().map(|decision| decision.change.to().0);
    let top = f64::from(sizes.chain(decided).max().unwrap_or(1).max(1)) * 1.1;
    let mut text = String::new();
    let mut marks = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let mut chart = frame(&area, past, top, labels.units)?;
        let series: [(Size, RGBColor); 2] =
            [(|point| point.desired, BLUE), (|point| point.in_service, GREEN)];
        for (of, colour) in series {
            for run in runs(&points, |p| of(p).map(|units| (p.at, f64::from(units)))) {
                let line = LineSeries::new(stairs(&run), colour.stroke_width(2));
                drawn(chart.draw_series(line))?;
            }
        }
        for decision in decisions {
            let to = f64::from(decision.change.to().0);
            let (x, y) = chart.backend_coord(&(seconds(decision.at), to));
            marks.push_str(&mark(decision, service, labels.language, x, y));
        }
        drawn(area.present())?;
    }
    // What plotters draws cannot be followed; links are laid over it.
    Ok(text.replace("</svg>", &format!("{marks}</svg>")))
}

fn mark(decision: &Decision, service: &ServiceName, language: Language, x: i32, y: i32) -> String {
    let kind = if decision.change.is_increase() { "up" } else { "down" };
    let (cycle, name) = (decision.cycle, encoded(service.as_str()));
    let label = format!("{} {}", decision.at, decision.change.said(language));
    format!(
        "<a href=\"/decision/{cycle}/{name}\" aria-label=\"{label}\"><circle class=\"{kind}\" \
         cx=\"{x}\" cy=\"{y}\" r=\"{MARK}\"><title>{label}</title></circle></a>\n"
    )
}

/// A size out of a point.
type Size = fn(&Point) -> Option<u32>;

/// Time against a number.
type Plane = Cartesian2d<Hours, RangedCoordf64>;

/// A stretch of time, with labels where people expect them.
struct Hours(f64, f64);

impl Ranged for Hours {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.0..self.1).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        key_points(self.0, self.1)
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.0..self.1
    }
}

/// Steps between labels that people read at a glance, in seconds.
const STEPS: [i64; 7] = [300, 900, 1800, 3600, 7200, 10_800, 14_400];
/// The most labels that fit.
const LABELS: i64 = 9;

/// Whole multiples of a step, from `first` to `last`.
fn key_points(first: f64, last: f64) -> Vec<f64> {
    let (first, last) = (first as i64, last as i64);
    let fits = |step: &&i64| (last - first) / **step < LABELS;
    let step = STEPS.iter().find(fits).copied().unwrap_or(21_600);
    let begin = first.div_euclid(step) + 1;
    (begin..=last.div_euclid(step)).map(|at| (at * step) as f64).collect()
}

fn frame<'a, 'b>(
    area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    past: &Past,
    top: f64,
    y: &str,
) -> anyhow::Result<ChartContext<'a, SVGBackend<'b>, Plane>> {
    font()?;
    let first = past.points.front().map_or(0.0, |point| seconds(point.at));
    let last = past.points.back().map_or(0.0, |point| seconds(point.at)).max(first + 600.0);
    let mut chart = drawn(
        ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(Hours(first, last), 0.0..top),
    )?;
    let small = (FONT, 13).into_font().color(&TEXT);
    drawn(
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style(small.clone())
            .axis_desc_style(small)
            .y_labels(6)
            .y_desc(y)
            .x_label_formatter(&|at| clock(*at))
            .y_label_formatter(&|value| number(*value))
            .draw(),
    )?;
    Ok(chart)
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64
}

/// `08:30`, in UTC.
fn clock(at: f64) -> String {
    let minutes = (at as i64).rem_euclid(86_400) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Stretches without a gap.
fn runs<T: Clone>(
    points: &[&Point],
    of: impl Fn(&Point) -> Option<(Timestamp, T)>,
) -> Vec<Vec<(Timestamp, T)>> {
    let mut runs: Vec<Vec<(Timestamp, T)>> = Vec::new();
    for point in points {
        let Some((at, value)) = of(point) else { continue };
        let last = runs
            .last_mut()
            .filter(|run| run.last().is_some_and(|(before, _)| at.0 - before.0 <= GAP_SECONDS));
        match last {
            Some(run) => run.push((at, value)),
            None => runs.push(vec![(at, value)]),
        }
    }
    runs
}

/// A number that holds until the next one.
fn stairs(run: &[(Timestamp, f64)]) -> Vec<(f64, f64)> {
    let mut line = Vec::with_capacity(run.len() * 2);
    for (at, value) in run {
        if let Some((_, before)) = line.last().copied() {
            line.push((seconds(*at), before));
        }
        line.push((seconds(*at), *value));
    }
    line
}

/// One signal's days as a line without axes; as SVG.
pub(super) fn spark(values: &[Option<f32>]) -> String {
    const WIDTH: f32 = 240.0;
    const HEIGHT: f32 = 40.0;
    let top = values.iter().flatten().copied().fold(0.01_f32, f32::max);
    let step = WIDTH / values.len().saturating_sub(1).max(1) as f32;
    let mut path = String::new();
    let mut pen_down = false;
    for (at, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let verb = if pen_down { 'L' } else { 'M' };
            let (x, y) = (at as f32 * step, HEIGHT - 1.0 - (HEIGHT - 2.0) * value / top);
            path.push_str(&format!("{verb}{x:.1} {y:.1}"));
        }
        pen_down = value.is_some();
    }
    format!(
        "<svg class=\"spark\" width=\"240\" height=\"40\" viewBox=\"0 0 240 40\" \
         aria-hidden=\"true\"><path d=\"{path}\" fill=\"none\" stroke=\"#0072B2\"/></svg>"
    )
}
