//! `neap tune`: what neap and other policies would have cost over a recorded load, and missed.

mod advice;
mod chart;
mod setting;
mod source;
mod study;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use fleet::Seconds;
use planner::policy::Share;
use rayon::prelude::*;

pub use advice::Advice;
pub use setting::{Family, Setting};
pub use study::{Case, Manner, Row, Study};
pub use table::TuneAnswer;

use super::backtest::{in_order, progress_bar, share};
use super::removals::Removals;
use super::simulate::{PolicyFile, promise};
use crate::options::Expected;
use crate::options::Format;
use crate::series_file;
use shadow::baselines::MaxCapacity;
use shadow::baselines::target_tracking::LOW_FACTOR;

/// Ordered to in service, where nothing says how long that takes.
const LEAD_TIME: Seconds = Seconds::minutes(5);

/// Runs neap and other policies over a recorded load: what each would have cost, and how often
/// capacity would have been too small.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  neap tune load.csv --lead-time 4m --today hpa:0.7 --chart curve.svg
  neap tune traces/ --budget 1% --format json
  neap tune --config neap.toml --service checkout --today target-tracking:0.5
  neap tune load.csv --without-removal-budgets

neap runs at several violation budgets. Target tracking, predictive scaling and the Kubernetes HPA
run at a range of targets, and a fixed size at quantiles of the history. All of them order on the
same simulated group. A decision sees only the samples before it. Costs are multiples of what
perfect foresight would have paid. neap takes units away within the removal budgets of `neap run`: the
configuration's, or the policy's `[budgets]`, or the defaults. The series is the account's and the
fleet's only service. The other policies know only `min` and `max`.")]
pub struct TuneArgs {
    /// Series files (`timestamp,value`), or folders of `.csv` files.
    #[arg(required_unless_present = "service", value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// A service whose recorded demand is used, with its bounds, its capacity of a unit and its
    /// measured lead time.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["paths", "policy"])]
    pub service: Option<String>,
    /// Where the service's journal is.
    #[command(flatten)]
    pub place: super::Place,
    /// A TOML file with keys of a service, all optional, such as `min = 3`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// From an order to capacity in service [default: 5m; of a service, what was measured].
    #[arg(long)]
    pub lead_time: Option<Seconds>,
    /// What a unit carries, in the load's own unit [default: a twentieth of the 95th percentile of
    /// the warm-up; of a service, what is configured or was learned].
    #[arg(long, value_name = "LOAD", value_parser = positive)]
    pub capacity: Option<f64>,
    /// Share of each series that is history alone.
    #[arg(long, default_value = "0.6", value_parser = share)]
    pub warmup: f64,
    /// The promise: the share of steps that may find too little capacity [default: the policy's
    /// `violation_budget`, or 0.5%].
    #[arg(long, value_name = "PERCENT", value_parser = promise)]
    pub budget: Option<Share>,
    /// The policy that runs today, to compare with: `hpa:0.7`, `target-tracking:0.5`, `predictive:0.6` or
    /// `static:12`.
    #[arg(long, value_name = "POLICY:SETTING")]
    pub today: Option<Setting>,
    /// The low alarm of target tracking as a share of its target: 0.9 for Application Auto Scaling,
    /// 0.7 for EC2 Auto Scaling.
    #[arg(long, value_name = "SHARE", default_value_t = LOW_FACTOR, value_parser = share)]
    pub low_factor: f64,
    /// Lets predictive scaling exceed `max` by its forecast and so many percent, as AWS's
    /// `MaxCapacityBuffer` does.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub max_buffer: Option<u32>,
    /// Draws violations against cost, as `.svg` or `.png` by its name.
    #[arg(long, value_name = "FILE", value_parser = chart::file)]
    pub chart: Option<PathBuf>,
    /// How much neap may take away.
    #[command(flatten)]
    pub removals: Removals,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

fn positive(text: &str) -> Result<f64, Expected> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or(Expected::Only("a number above 0"))
}

/// Runs the command; exit code 1 if any load could not be used.
///
/// # Errors
/// A policy, a folder, a configuration or a journal that cannot be read; an output that cannot be
/// written.
pub fn run(args: &TuneArgs) -> anyhow::Result<ExitCode> {
    let (mut cases, faulty) = cases(args)?;
    if cases.is_empty() {
        return Ok(ExitCode::from(1));
    }
    let usual = cases[0].service.violation_budget;
    let promise = args.budget.unwrap_or(usual);
    for case in &mut cases {
        case.service.violation_budget = promise;
    }
    let answer = answer(&cases, promise, args)?;
    if let Some(path) = &args.chart {
        chart::draw(&answer, promise, path)?;
    }
    let text = match args.format {
        Format::Human => answer.text(),
        Format::Json => format!("{:#}\n", serde_json::to_value(&answer)?),
    };
    crate::output::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(faulty)))
}

/// Every load that can be used, and whether there was one that cannot, which is told on stderr.
fn cases(args: &TuneArgs) -> anyhow::Result<(Vec<Case>, bool)> {
    let (mut cases, mut faulty) = (Vec::new(), false);
    let mut take = |case: Result<Case, source::NoCase>| {
        match case {
            Ok(case) => cases.push(case),
            Err(fault) => {
                faulty = true;
                eprintln!("error: {fault}");
            }
        }
        Ok(())
    };
    if let Some(name) = &args.service {
        take(source::of_service(name, &args.place, args)?)?;
    } else {
        let policy = args.policy.as_deref().map(PolicyFile::read).transpose()?.unwrap_or_default();
        let files = series_file::expand(&args.paths)?;
        in_order(&files, |path: &PathBuf| source::of_file(path, args, &policy), &mut take)?;
    }
    Ok((cases, faulty))
}

/// Studies all cases on all cores; the answer is the same for any number of them.
fn answer(cases: &[Case], promise: Share, args: &TuneArgs) -> anyhow::Result<TuneAnswer> {
    let settings = Setting::all(promise, args.today);
    let max_capacity = match args.max_buffer {
        Some(buffer_percent) => MaxCapacity::Increase { buffer_percent },
        None => MaxCapacity::Honor,
    };
    let manner = Manner { low_factor: args.low_factor, max_capacity };
    let bar = progress_bar(cases.len() * settings.len(), "policies");
    let study = |case: &Case| {
        let studied = case.study(&settings, manner, &|| bar.inc(1));
        studied.with_context(|| format!("simulating `{}`", case.name))
    };
    let studies: anyhow::Result<Vec<Study>> = cases.par_iter().map(study).collect();
    bar.finish_and_clear();
    Ok(TuneAnswer::of(studies?, promise, args.today))
}

/// Writes a file whole.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use fleet::{Step, Timestamp};
    use forecaster::Series;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TuneArgs,
    }

    fn args(line: &[&str]) -> TuneArgs {
        Line::try_parse_from([&["tune"], line].concat()).unwrap().args
    }

    /// Five days of a wave with noise, a dip at night, and now and then a burst.
    fn load(seed: u64, burst: f64) -> Series {
        let mut chance = seed;
        let mut draw = move || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            (chance >> 40) as f64 / f64::from(1u32 << 24)
        };
        let values = (0..5 * 288).map(|n| {
            let turn = f64::from(n % 288) / 288.0 * std::f64::consts::TAU;
            let jump = if draw() < 0.01 { burst } else { 0.0 };
            Some(100.0 - 60.0 * turn.cos() + 8.0 * draw() + jump)
        });
        Series::from_values(Timestamp(1_772_409_600), Step::FIVE_MINUTES, values).unwrap()
    }

    fn case(name: &str, series: Series, args: &TuneArgs) -> Case {
        let part = super::super::simulate::Part::after_warmup(&series, args.warmup, None).unwrap();
        let service = PolicyFile::default().service(LEAD_TIME);
        let budgets = planner::policy::Budgets::default();
        Case { name: name.to_owned(), series, part, lead_time: LEAD_TIME, service, budgets }
    }

    /// All that is printed and drawn, with so many threads.
    fn told(threads: usize) -> (String, String, String, Vec<u8>) {
        let args = args(&["load.csv", "--today", "hpa:0.65"]);
        let cases = [case("one", load(1, 0.0), &args), case("two", load(2, 30.0), &args)];
        let promise = cases[0].service.violation_budget;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let answer = pool.install(|| answer(&cases, promise, &args)).unwrap();
        let json = serde_json::to_string(&answer).unwrap();
        let (svg, png) = (chart::svg(&answer, promise), chart::png(&answer, promise));
        (answer.text(), json, svg.unwrap(), png.unwrap())
    }

    #[test]
    fn the_same_bytes_come_from_any_number_of_threads() {
        let (one, four) = (told(1), told(4));
        assert_eq!(one.0, four.0);
        assert!(one == four, "the JSON or a chart differs");
        assert!(one.0.contains("\nall 2 series: geometric mean of cost"), "{}", one.0);
        assert!(one.0.contains("\ntoday: hpa 0.65 has "), "{}", one.0);
    }

    #[test]
    fn removal_budgets_are_those_of_run_unless_lifted_and_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("load.csv");
        let mut text = "timestamp,value\n".to_owned();
        for (stamp, value) in load(1, 0.0).iter() {
            text += &format!("{stamp},{}\n", value.unwrap());
        }
        std::fs::write(&path, text).unwrap();
        let told = |line: &[&str]| {
            let args = args(line);
            let case = source::of_file(&path, &args, &PolicyFile::default()).unwrap();
            let promise = case.service.violation_budget;
            let text = answer(&[case], promise, &args).unwrap().text();
            text.lines().nth(1).unwrap().to_owned()
        };
        let kept = "neap's removal budgets: group 10% per 10m; account 5% per 1h; fleet 2% per 1h";
        assert_eq!(told(&["load.csv"]), kept);
        let lifted = told(&["load.csv", "--without-removal-budgets"]);
        assert_eq!(lifted, "neap's removal budgets: none");
    }

    #[test]
    fn every_cost_is_at_least_perfect_foresights_where_nothing_is_missed() {
        let args = args(&["load.csv"]);
        let cases = [case("one", load(1, 0.0), &args)];
        let answer = answer(&cases, Share::percent(1), &args).unwrap();
        let rows = answer.rows();
        assert_eq!(rows.len(), Setting::all(Share::percent(1), None).len());
        for row in rows.iter().filter(|row| row.violations == 0.0) {
            assert!(row.cost >= 1.0, "{row:?}");
        }
        let cost = |setting| rows.iter().find(|row| row.setting == setting).unwrap().cost;
        assert!(cost(Setting::Hpa(0.2)) > 2.0 * cost(Setting::Hpa(0.6)));
    }

    #[test]
    fn a_promise_that_bursts_make_dear_is_told_with_its_price() {
        let args = args(&["load.csv", "--budget", "0.1%"]);
        let cases = [case("bursty", load(3, 900.0), &args)];
        let text = answer(&cases, args.budget.unwrap(), &args).unwrap().text();
        assert!(text.contains("\nprice: ") && text.contains("times perfect foresight"), "{text}");
    }

    #[test]
    fn a_file_too_short_to_forecast_from_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short.csv");
        let mut text = "timestamp,value\n".to_owned();
        for hour in 0..24 {
            text += &format!("2026-03-02T{hour:02}:00:00Z,5\n");
        }
        std::fs::write(&path, text).unwrap();
        let read = source::of_file(&path, &args(&["short.csv"]), &PolicyFile::default());
        let told =
            read.unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "");
        insta::assert_snapshot!(told, @"short.csv: holds 14 samples of history, expected at least 48, or nothing can be forecast");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let refused = |line: &[&str]| {
            let fault = Line::try_parse_from([&["tune"], line].concat()).unwrap_err();
            fault.to_string().lines().next().unwrap_or_default().to_owned()
        };
        insta::assert_snapshot!(refused(&["--budget", "1%"]), @"error: the following required arguments were not provided:");
        insta::assert_snapshot!(refused(&["a.csv", "--budget", "0%"]), @"error: invalid value '0%' for '--budget <PERCENT>': expected more than 0%");
        insta::assert_snapshot!(refused(&["a.csv", "--chart", "a.gif"]), @"error: invalid value 'a.gif' for '--chart <FILE>': expected a name that ends in `.svg` or `.png`");
        insta::assert_snapshot!(refused(&["a.csv", "--service", "b"]), @"error: the argument '[FILE|DIR]...' cannot be used with '--service <NAME>'");
        insta::assert_snapshot!(refused(&["a.csv", "--capacity=-1"]), @"error: invalid value '-1' for '--capacity <LOAD>': expected a number above 0");
    }
}
