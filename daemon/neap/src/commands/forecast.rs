//! `neap forecast`: a forecast of one series file.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use fleet::Level;
use forecaster::{Choice, Horizon, ModelKind, QuantileForecast, forecast_once};

use super::backtest::{digits, horizon};
use super::users::Users;
use crate::options::Expected;
use crate::series_file;

/// Forecasts one series from its last sample on.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  neap forecast load.csv
  neap forecast load.csv --horizon 6h --quantiles 0.5,0.99 --format csv --output ahead.csv")]
pub struct ForecastArgs {
    /// The series (`timestamp,value`).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How far ahead.
    #[arg(long, default_value = "1h", value_parser = horizon)]
    pub horizon: Horizon,
    /// The quantiles, each above 0 and below 1.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.5,0.9,0.95,0.99", value_parser = level)]
    pub quantiles: Vec<Level>,
    /// The model: `auto` picks by backtest.
    #[arg(long, default_value = "auto")]
    pub model: ModelKind,
    /// Write to this file instead of the terminal.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How it is written; `csv` where an output file is named.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Whose load it is.
    #[command(flatten)]
    pub users: Users,
}

/// How a forecast is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table, and which model it is from.
    Human,
    /// One object.
    Json,
    /// One row a step.
    Csv,
}

fn level(text: &str) -> Result<Level, Expected> {
    let value: f64 = text.trim().parse().map_err(|_| Expected::Only("a number"))?;
    Ok(Level::new(value)?)
}

/// Runs the command; exit code 1 if the file cannot be used.
///
/// # Errors
/// An output that cannot be written.
pub fn run(args: &ForecastArgs) -> anyhow::Result<ExitCode> {
    let Some(rhythm) = args.users.rhythm() else { return Ok(ExitCode::from(1)) };
    let answer = match series_file::read(&args.file) {
        Ok(mut file) => {
            rhythm.lead(&mut file.series);
            forecast(args, &file).map_err(|fault| format!("{}: {fault}", args.file.display()))
        }
        Err(faults) => Err(faults.to_string()),
    };
    let (forecast, choice) = match answer {
        Ok(made) => made,
        Err(told) => {
            eprintln!("{told}");
            return Ok(ExitCode::from(1));
        }
    };
    let default = if args.output.is_some() { Format::Csv } else { Format::Human };
    let text = match args.format.unwrap_or(default) {
        Format::Human => human(&forecast, &choice),
        Format::Json => json(&forecast, &choice),
        Format::Csv => csv(&forecast),
    };
    match &args.output {
        Some(path) => File::create(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing `{}`", path.display()))?,
        None => crate::output::stdout().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn forecast(
    args: &ForecastArgs,
    file: &series_file::SeriesFile,
) -> Result<(QuantileForecast, Choice), forecaster::SeriesFault> {
    let mut levels = args.quantiles.clone();
    levels.sort_by(|a, b| a.get().total_cmp(&b.get()));
    levels.dedup();
    let steps = args.horizon.steps(file.series.step())?;
    forecast_once(&file.series, args.model, steps, &levels)
}

/// `0.95` as `q95`, `0.995` as `q99.5`.
fn column(level: Level) -> String {
    let percent = (level.get() * 1e8).round() / 1e6;
    format!("q{percent}")
}

fn human(forecast: &QuantileForecast, choice: &Choice) -> String {
    let mut text = format!("from {}, model {choice}\n{:20}", forecast.origin(), "");
    for &level in forecast.levels() {
        text += &format!(" {:>12}", column(level));
    }
    text += "\n";
    for (stamp, row) in forecast.steps() {
        text += &stamp.to_string();
        for &value in row {
            text += &format!(" {:>12}", digits(value));
        }
        text += "\n";
    }
    text
}

fn csv(forecast: &QuantileForecast) -> String {
    let names: Vec<String> = forecast.levels().iter().map(|&level| column(level)).collect();
    let mut text = format!("timestamp,{}\n", names.join(","));
    for (stamp, row) in forecast.steps() {
        let values: Vec<String> = row.iter().map(|&value| digits(value)).collect();
        text += &format!("{stamp},{}\n", values.join(","));
    }
    text
}

fn json(forecast: &QuantileForecast, choice: &Choice) -> String {
    let steps: Vec<serde_json::Value> = forecast
        .steps()
        .map(|(stamp, row)| serde_json::json!({ "timestamp": stamp.to_string(), "values": row }))
        .collect();
    let object = serde_json::json!({
        "origin": forecast.origin().to_string(),
        "model": choice,
        "why": choice.to_string(),
        "levels": forecast.levels(),
        "steps": steps,
    });
    format!("{object:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{Step, Timestamp};

    #[test]
    fn columns_are_named_by_percent() {
        let named = [0.1, 0.5, 0.95, 0.995].map(|l| column(Level::new(l).unwrap()));
        assert_eq!(named, ["q10", "q50", "q95", "q99.5"]);
    }

    #[test]
    fn a_table_of_steps_is_written_as_csv() {
        let levels = vec![Level::new(0.5).unwrap(), Level::new(0.9).unwrap()];
        let rows = [vec![1.0, 2.5], vec![3.0, 4.0]];
        let origin = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let forecast = QuantileForecast::new(origin, Step::MINUTE, levels, &rows).unwrap();
        insta::assert_snapshot!(csv(&forecast), @r"
        timestamp,q50,q90
        2026-01-01T00:01:00Z,1,2.5
        2026-01-01T00:02:00Z,3,4
        ");
    }
}
