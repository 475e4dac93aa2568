//! Violations against cost as a picture: one line a family, neap's the boldest.

use std::path::{Path, PathBuf};

use planner::policy::Share;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use report::plot::{BLUE, FAINT, FONT, GREEN, GRID, PURPLE, TEXT, VERMILION, drawn, font};

use super::advice::promised;
use super::setting::Family;
use super::study::Row;
use super::table::TuneAnswer;
use crate::options::Expected;

const SIZE: (u32, u32) = (960, 540);

/// The legend's column beside the plot, so that it covers no line.
const LEGEND_WIDTH: u32 = 190;

/// Below this, a share of violations is drawn at it: the axis is logarithmic and has no zero.
const VIOLATIONS_MIN_PERCENT: f64 = 0.01;

fn colour(family: Family) -> RGBColor {
    match family {
        Family::Neap => BLUE,
        Family::TargetTracking => VERMILION,
        Family::Predictive => PURPLE,
        Family::Hpa => GREEN,
        Family::Static => RGBColor(0x80, 0x80, 0x80),
    }
}

/// Reads the name of a chart's file.
pub fn file(text: &str) -> Result<PathBuf, Expected> {
    match Path::new(text).extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => Ok(text.into()),
        _ => Err(Expected::Only("a name that ends in `.svg` or `.png`")),
    }
}

/// Draws the chart of `answer` into the file at `path`.
///
/// # Errors
/// A file that cannot be written.
pub fn draw(answer: &TuneAnswer, promise: Share, path: &Path) -> anyhow::Result<()> {
    let bytes = if path.extension().is_some_and(|extension| extension == "png") {
        png(answer, promise)?
    } else {
        svg(answer, promise)?.into_bytes()
    };
    super::write(path, &bytes)
}

/// The chart as SVG.
pub fn svg(answer: &TuneAnswer, promise: Share) -> anyhow::Result<String> {
    let mut text = String::new();
    picture(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), answer, promise)?;
    Ok(text)
}

/// The chart as PNG, its text set in the font that comes with the program.
pub fn png(answer: &TuneAnswer, promise: Share) -> anyhow::Result<Vec<u8>> {
    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
    picture(&area, answer, promise)?;
    drop(area);
    report::plot::png(&pixels, SIZE)
}

type Area<B> = DrawingArea<B, Shift>;

fn picture<B: DrawingBackend>(
    area: &Area<B>,
    answer: &TuneAnswer,
    promise: Share,
) -> anyhow::Result<()> {
    font()?;
    drawn(area.fill(&WHITE))?;
    let title = format!("{}: what few violations cost", answer.subject());
    let style = (FONT, 22).into_font().color(&TEXT);
    drawn(area.draw_text(&title, &style, (20, 14)))?;
    drawn(area.draw_text(&subtitle(answer), &(FONT, 14).into_font().color(&FAINT), (20, 42)))?;
    let (_, below) = area.split_vertically(66);
    let (plot, side) = below.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    lines(&plot, answer, promise)?;
    legend(&side, answer, promise)?;
    drawn(area.present())
}

fn subtitle(answer: &TuneAnswer) -> String {
    let [only] = answer.series.as_slice() else {
        return "geometric mean of cost over series, mean violations".to_owned();
    };
    let lead_time = fleet::Seconds(only.lead_time_seconds);
    let day = |stamp: &str| stamp.split('T').next().unwrap_or_default().to_owned();
    let (from, until) = (day(&only.scored_from), day(&only.scored_until));
    format!("{from} to {until}, lead time {lead_time}; further left and lower is better")
}

/// The settings of a family that are worth a look: none that another one beats in both violations
/// and cost.
fn frontier(rows: &[Row], family: Family) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|row| row.family == family).map(place).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut cheapest = f64::INFINITY;
    points.retain(|(_, cost)| {
        let better = *cost < cheapest;
        cheapest = cheapest.min(*cost);
        better
    });
    points
}

/// What of a falling line lies at or below `cost_max`, cut where it crosses it.
fn below(points: &[(f64, f64)], cost_max: f64) -> Vec<(f64, f64)> {
    let from = points.iter().position(|(_, cost)| *cost <= cost_max).unwrap_or(points.len());
    let crossing = match (from.checked_sub(1).map(|before| points[before]), points.get(from)) {
        (Some((left, high)), Some(&(right, low))) => {
            let part = (high - cost_max) / (high - low);
            // Straight on the paper, whose axis is logarithmic.
            Some((left * (right / left).powf(part), cost_max))
        }
        _ => None,
    };
    crossing.into_iter().chain(points[from..].iter().copied()).collect()
}

/// Percent of violations as it is drawn, and cost.
fn place(row: &Row) -> (f64, f64) {
    ((row.violations * 100.0).max(VIOLATIONS_MIN_PERCENT), row.cost)
}

/// How far the axes go: violations to a power of ten, cost as far as it is worth seeing. A size
/// that is never too small can cost many times more than anyone would pay.
fn ends(rows: &[Row], today: Option<&Row>) -> (f64, f64) {
    let points = |family| frontier(rows, family).into_iter();
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1.0, f64::max);
    let violations = most(&mut Family::ALL.into_iter().flat_map(points).map(|point| point.0));
    let all = most(&mut Family::ALL.into_iter().flat_map(points).map(|point| point.1));
    let neap = most(&mut points(Family::Neap).map(|point| point.1));
    let today = today.map_or(1.0, |row| row.cost);
    let cost = (2.5 * neap).min(all).max(today);
    (10f64.powf(violations.log10().ceil().max(1.0)), (1.05 * cost).max(1.2))
}

fn lines<B: DrawingBackend>(
    area: &Area<B>,
    answer: &TuneAnswer,
    promise: Share,
) -> anyhow::Result<()> {
    let (rows, today) = (answer.rows(), today(answer));
    let (violations_max, cost_max) = ends(rows, today);
    let mut builder = ChartBuilder::on(area);
    builder.margin(10).margin_left(16).x_label_area_size(46).y_label_area_size(52);
    // A little room to the left, so that the least violations have their own label.
    let x = (0.9 * VIOLATIONS_MIN_PERCENT..violations_max).log_scale();
    let mut chart = drawn(builder.build_cartesian_2d(x, 1.0..cost_max))?;
    let small = (FONT, 14).into_font().color(&TEXT);
    drawn(
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT)
            .label_style(small.clone())
            .axis_desc_style((FONT, 15).into_font().color(&TEXT))
            .x_desc("violations: steps with too little capacity, % (logarithmic)")
            .y_desc("cost, as a multiple of perfect foresight")
            .x_label_formatter(&|percent| tick(*percent))
            .y_label_formatter(&|cost| format!("{cost:.1}"))
            .draw(),
    )?;
    let promised = promise.fraction() * 100.0;
    let dashes = [(promised, 1.0), (promised, cost_max)];
    let dashed = DashedLineSeries::new(dashes, 5, 4, ShapeStyle::from(FAINT).stroke_width(1));
    drawn(chart.draw_series(dashed))?;
    for family in Family::ALL.into_iter().rev() {
        let points = frontier(rows, family);
        let line = below(&points, cost_max);
        let style = ShapeStyle::from(colour(family)).stroke_width(width(family));
        drawn(chart.draw_series(LineSeries::new(line, style)))?;
        let inside = points.into_iter().filter(|(_, cost)| *cost <= cost_max);
        let dot = |point| Circle::new(point, 2 + width(family) / 2, style.filled());
        drawn(chart.draw_series(inside.map(dot)))?;
    }
    if let Some(row) = today {
        let rings = ring(row.family).map(|(size, style)| Circle::new(place(row), size, style));
        drawn(chart.draw_series(rings))?;
    }
    Ok(())
}

/// The mark of what runs today.
fn ring(family: Family) -> [(u32, ShapeStyle); 3] {
    let colour = colour(family);
    [(9, colour.filled()), (6, WHITE.filled()), (3, colour.filled())]
}

fn today(answer: &TuneAnswer) -> Option<&Row> {
    Some(&answer.advice.as_ref()?.saving.as_ref()?.today)
}

fn tick(percent: f64) -> String {
    if percent <= VIOLATIONS_MIN_PERCENT { format!("≤{percent}") } else { format!("{percent}") }
}

fn width(family: Family) -> u32 {
    if family == Family::Neap { 4 } else { 2 }
}

fn legend<B: DrawingBackend>(
    area: &Area<B>,
    answer: &TuneAnswer,
    promise: Share,
) -> anyhow::Result<()> {
    let middle = Pos::new(HPos::Left, VPos::Center);
    let text = (FONT, 15).into_font().color(&TEXT).pos(middle);
    let mut y = 18;
    for family in Family::ALL {
        let style = ShapeStyle::from(colour(family)).stroke_width(width(family));
        drawn(area.draw(&PathElement::new([(8, y), (36, y)], style)))?;
        drawn(area.draw(&Circle::new((22, y), 2 + width(family) / 2, style.filled())))?;
        drawn(area.draw_text(family.name(), &text, (46, y)))?;
        y += 26;
    }
    for x in [8, 18, 28] {
        drawn(area.draw(&PathElement::new([(x, y), (x + 6, y)], FAINT)))?;
    }
    drawn(area.draw_text(&format!("promise {}", promised(promise.fraction())), &text, (46, y)))?;
    let Some(saving) = answer.advice.as_ref().and_then(|advice| advice.saving.as_ref()) else {
        return Ok(());
    };
    y += 26;
    for (size, style) in ring(saving.today.family) {
        drawn(area.draw(&Circle::new((22, y), size, style)))?;
    }
    drawn(area.draw_text("what runs today:", &text, (46, y)))?;
    let today = format!("{} {}", saving.today.family, saving.today.setting);
    drawn(area.draw_text(&today, &text, (46, y + 20)))?;
    if saving.saved > 0.0 && saving.as_few {
        let saved = format!("neap saves {:.0}%", 100.0 * saving.saved);
        drawn(area.draw_text(&saved, &text, (46, y + 40)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use planner::policy::Share;

    use super::*;
    use crate::commands::tune::Setting;

    fn row(setting: Setting, percent: f64, cost: f64) -> Row {
        let (family, violations) = (setting.family(), percent / 100.0);
        Row { family, setting, violations, cost, mean_units: 10.0, changes_a_day: 1.0 }
    }

    fn answer() -> TuneAnswer {
        let neap = |percent, cost| row(Setting::Neap(Share::percent(1)), percent, cost);
        let all = vec![
            neap(0.0, 1.4),
            neap(0.5, 1.2),
            neap(4.0, 1.1),
            row(Setting::Hpa(0.3), 0.0, 3.3),
            row(Setting::Hpa(0.5), 0.0, 2.0),
            row(Setting::Hpa(0.7), 0.5, 1.6),
            row(Setting::Hpa(0.8), 1.0, 1.7),
        ];
        let today = Some(Setting::Hpa(0.5));
        let mut answer = TuneAnswer::of(Vec::new(), Share::percent(1), today);
        answer.advice = crate::commands::tune::Advice::of(&all, Share::percent(1), today);
        answer.all = Some(all);
        answer
    }

    #[test]
    fn settings_beaten_by_their_own_family_are_left_out() {
        assert_eq!(frontier(answer().rows(), Family::Hpa), [(0.01, 2.0), (0.5, 1.6)]);
    }

    #[test]
    fn a_line_is_cut_where_it_leaves_the_plot() {
        let points = [(0.01, 9.0), (1.0, 3.0), (10.0, 1.0)];
        let cut = below(&points, 6.0);
        assert!((cut[0].0 - 0.1).abs() < 1e-9 && cut[0].1 == 6.0, "{cut:?}");
        assert_eq!(cut[1..], points[1..]);
        assert_eq!(below(&points, 9.0), points);
        assert_eq!(below(&points, 0.5), []);
    }

    #[test]
    fn a_chart_names_its_lines_beside_the_plot_and_needs_no_font() {
        let text = svg(&answer(), Share::percent(1)).unwrap();
        let shown = roxmltree::Document::parse(&text).unwrap();
        let place = |name: &str| {
            let found = shown.descendants().find(|node| {
                node.tag_name().name() == "text" && node.text().is_some_and(|t| t.trim() == name)
            });
            let x = found.and_then(|node| node.attribute("x")).expect(name);
            x.parse::<f64>().unwrap()
        };
        for name in ["neap", "target-tracking", "predictive", "hpa", "static", "neap saves 30%"] {
            assert!(place(name) > f64::from(SIZE.0 - LEGEND_WIDTH), "{name} at {}", place(name));
        }
    }

    #[test]
    fn a_bitmap_shows_the_same() {
        let bytes = png(&answer(), Share::percent(1)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), SIZE);
        let RGBColor(red, green, blue) = colour(Family::Neap);
        let bold = pixels.chunks(3).filter(|pixel| **pixel == [red, green, blue]).count();
        assert!(bold > 500, "{bold} pixels of neap's line");
        let dark = |from: usize, to: usize| {
            let row = pixels.chunks(3 * SIZE.0 as usize).skip(14).take(24);
            row.flat_map(|row| row[3 * from..3 * to].chunks(3)).filter(|p| p[0] < 0x60).count()
        };
        assert!(dark(20, 400) > 200, "{} dark pixels where the title is", dark(20, 400));
    }

    #[test]
    fn a_chart_is_an_svg_or_a_png() {
        assert!(file("curve.svg").is_ok() && file("a/b.png").is_ok());
        let told = file("curve.pdf").unwrap_err().to_string();
        assert_eq!(told, "expected a name that ends in `.svg` or `.png`");
    }
}
