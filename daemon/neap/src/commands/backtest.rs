//! `neap backtest`: rolling-origin forecasts of many series files.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use fleet::{Level, NoDuration, Seconds};
use forecaster::{Backtest, Horizon, ModelKind, QuantileForecast, Score, SeriesFault};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use super::users::{Rhythm, Users};
use crate::options::Expected;
use crate::options::Format;
use crate::series_file::{self, FileFaults};

/// Forecasts the past of each series as if it were the future, and scores it.
///
/// For each of the origins, evenly spaced over the part after the warm-up, the forecaster knows
/// the samples up to the origin alone. Writes one row a forecast step
/// (`series,origin,step,q10,q50,q90,q95,q99`) and prints how each series did against the last
/// value standing still: a loss below 1 is better.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  neap backtest load.csv --output forecasts.csv
  neap backtest traces/ --horizon 30m --origins 100 --output forecasts.csv")]
pub struct BacktestArgs {
    /// Series files (`timestamp,value`), or folders of `.csv` files.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Origins to forecast from, in each series.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub origins: u32,
    /// Share of each series that is history alone.
    #[arg(long, default_value = "0.6", value_parser = share)]
    pub warmup: f64,
    /// How far ahead: a duration, or `judge` for an hour of fine and four steps of coarse samples.
    #[arg(long, default_value = "judge", value_parser = horizon)]
    pub horizon: Horizon,
    /// The model: `auto` picks by backtest.
    #[arg(long, default_value = "auto")]
    pub model: ModelKind,
    /// Where to write the forecasts.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Whose load it is.
    #[command(flatten)]
    pub users: Users,
}

/// The quantiles of the output's columns.
const LEVELS: [f64; 5] = [0.1, 0.5, 0.9, 0.95, 0.99];

pub(super) fn share(text: &str) -> Result<f64, Expected> {
    let share: f64 = text.parse().map_err(|_| Expected::Only("a number such as 0.6"))?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err(Expected::Only("a number above 0 and below 1"))
    }
}

/// Reads a duration or `judge`.
pub(super) fn horizon(text: &str) -> Result<Horizon, NoDuration> {
    if text == "judge" {
        return Ok(Horizon::Customary);
    }
    text.parse::<Seconds>().map(Horizon::Span)
}

/// One series' part of the summary.
#[derive(Serialize)]
struct Line {
    series: String,
    #[serde(flatten)]
    score: Score,
    /// The loss as a share of last-value's.
    relative_loss: f64,
}

/// What one file came to.
enum Done {
    Scored(Box<Line>, Vec<QuantileForecast>),
    Unreadable(FileFaults),
    Unusable(PathBuf, SeriesFault),
}

/// Runs the command; exit code 1 if any file could not be used.
///
/// # Errors
/// A folder that cannot be read, or an output that cannot be written.
pub fn run(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let Some(rhythm) = args.users.rhythm() else { return Ok(ExitCode::from(1)) };
    let files = series_file::expand(&args.paths)?;
    let plan = Backtest {
        origins: args.origins as usize,
        warmup: args.warmup,
        horizon: args.horizon,
        levels: LEVELS.iter().filter_map(|&value| Level::new(value).ok()).collect(),
        model: args.model,
    };
    let writing = || format!("writing `{}`", args.output.display());
    let mut output = BufWriter::new(File::create(&args.output).with_context(writing)?);
    writeln!(output, "series,origin,step,q10,q50,q90,q95,q99").with_context(writing)?;
    let bar = progress_bar(files.len(), "series");
    let mut lines = Vec::new();
    let mut unusable = 0;
    let mut consume = |done: Done| -> anyhow::Result<()> {
        match done {
            Done::Scored(line, forecasts) => {
                write_forecasts(&mut output, &line.series, &forecasts).with_context(writing)?;
                lines.push(*line);
            }
            Done::Unreadable(faults) => {
                unusable += 1;
                bar.suspend(|| eprintln!("{faults}"));
            }
            Done::Unusable(path, fault) => {
                unusable += 1;
                bar.suspend(|| eprintln!("{}: {fault}", path.display()));
            }
        }
        Ok(())
    };
    let work = |path: &PathBuf| {
        let done = backtest_file(path, &plan, &rhythm);
        bar.inc(1);
        done
    };
    in_order(&files, work, &mut consume)?;
    output.flush().with_context(writing)?;
    bar.finish_and_clear();
    print_summary(&lines, args.format)?;
    Ok(if unusable > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// A bar on stderr over so many of `what`; hidden where stderr is no terminal.
pub(super) fn progress_bar(count: usize, what: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(count as u64), target);
    let style = format!("{{elapsed_precise}} [{{bar:30}}] {{pos}}/{{len}} {what}, {{eta}} left");
    bar.set_style(ProgressStyle::with_template(&style).unwrap_or(ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn backtest_file(path: &Path, plan: &Backtest, rhythm: &Rhythm) -> Done {
    let mut file = match series_file::read(path) {
        Ok(file) => file,
        Err(faults) => return Done::Unreadable(faults),
    };
    rhythm.lead(&mut file.series);
    let mut forecasts = Vec::new();
    match plan.run(&file.series, |forecast| forecasts.push(forecast)) {
        Ok(score) => {
            let relative_loss = score.loss / score.last_value_loss;
            Done::Scored(Line { series: file.name, score, relative_loss }.into(), forecasts)
        }
        Err(fault) => Done::Unusable(path.to_owned(), fault),
    }
}

/// Items worked on before their results are handed over, so that results do not pile up.
const AT_ONCE: usize = 64;

/// Works on `items` on all cores and hands the results over in the items' order, whatever the
/// number of threads. The first error of `consume` ends it.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    consume: &mut impl FnMut(R) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for some in items.chunks(AT_ONCE) {
        let results: Vec<R> = some.par_iter().map(&work).collect();
        results.into_iter().try_for_each(&mut *consume)?;
    }
    Ok(())
}

fn write_forecasts(
    output: &mut impl Write,
    series: &str,
    forecasts: &[QuantileForecast],
) -> std::io::Result<()> {
    let name = csv_field(series);
    for forecast in forecasts {
        for (index, (_, row)) in forecast.steps().enumerate() {
            write!(output, "{name},{},{}", forecast.origin(), index + 1)?;
            for value in row {
                write!(output, ",{}", digits(*value))?;
            }
            writeln!(output)?;
        }
    }
    Ok(())
}

/// A field as CSV wants it, quoted where it must be.
pub(super) fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A number with seven significant digits: samples hold no more.
pub(super) fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.6e}").parse().unwrap_or(value);
    rounded.to_string()
}

fn print_summary(lines: &[Line], format: Format) -> anyhow::Result<()> {
    let mut out = crate::output::stdout();
    let ratios: Vec<f64> =
        lines.iter().map(|line| line.relative_loss).filter(|r| r.is_finite() && *r > 0.0).collect();
    let logs = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>();
    let overall = (logs / ratios.len().max(1) as f64).exp();
    if format == Format::Json {
        let summary = serde_json::json!({ "series": lines, "relative_loss": overall });
        writeln!(out, "{summary:#}")?;
        return Ok(());
    }
    let width = lines.iter().map(|line| line.series.chars().count()).max().unwrap_or(0).max(6);
    writeln!(out, "{:width$}  loss/last-value    q90    q95    q99", "series")?;
    for line in lines {
        write!(out, "{:width$}  {:15.3}", line.series, line.relative_loss)?;
        for (_, covered) in &line.score.coverage[2..] {
            write!(out, " {:5.1}%", covered * 100.0)?;
        }
        writeln!(out)?;
    }
    if lines.len() > 1 {
        writeln!(out, "{:width$}  {overall:15.3}", "all")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_seven_digits() {
        let shown = [0.0, 1.0, 1234567.89, 0.000_123_456_789, 1e15].map(digits);
        assert_eq!(shown, ["0", "1", "1234568", "0.0001234568", "1000000000000000"]);
    }

    #[test]
    fn results_come_in_the_order_of_items() {
        let items: Vec<u64> = (0..50).collect();
        let mut seen = Vec::new();
        in_order(&items, |&n| n * n, &mut |square| {
            seen.push(square);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, items.iter().map(|n| n * n).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_of_the_consumer_ends_the_work() {
        let items: Vec<u64> = (0..1000).collect();
        let mut consume = |n| {
            anyhow::ensure!(n < 10, "enough");
            Ok(())
        };
        assert!(in_order(&items, |&n| n, &mut consume).is_err());
    }
}
