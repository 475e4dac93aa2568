//! What is compared: families of policies and their settings.

use std::fmt;
use std::str::FromStr;

use planner::policy::Share;
use serde::{Serialize, Serializer};

use crate::options::Expected;

/// A kind of policy; its settings make one line of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// This program, by its budget of violations.
    Neap,
    /// AWS target tracking, by its target.
    TargetTracking,
    /// AWS predictive scaling over target tracking, by their target.
    Predictive,
    /// The Kubernetes Horizontal Pod Autoscaler, by its target.
    Hpa,
    /// A size that nobody changes.
    Static,
}

impl Family {
    /// Every family, neap first.
    pub const ALL: [Family; 5] =
        [Family::Neap, Family::TargetTracking, Family::Predictive, Family::Hpa, Family::Static];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Family::Neap => "neap",
            Family::TargetTracking => "target-tracking",
            Family::Predictive => "predictive",
            Family::Hpa => "hpa",
            Family::Static => "static",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One policy with its setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// neap with a budget of violations.
    Neap(Share),
    /// Target tracking of a utilisation.
    TargetTracking(f64),
    /// Predictive scaling at a utilisation.
    Predictive(f64),
    /// A pod autoscaler at a utilisation.
    Hpa(f64),
    /// As many units as this quantile of the history needs.
    Quantile(f64),
    /// As many units as so many times the highest load of the history need.
    TimesHighest(f64),
    /// So many units.
    Units(u32),
}

/// The budgets that neap runs with.
const BUDGETS_MILLIONTHS: [u32; 6] = [1_000, 2_500, 5_000, 10_000, 20_000, 50_000];

/// The targets of the baselines. Operators ask for 0.5 and more; the lower ones show what few
/// violations would cost them.
const TARGETS: [f64; 10] = [0.08, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

impl Setting {
    /// Everything that is compared: neap at its budgets, at `promise` and a little below it (for it
    /// may come out a little above its budget), each baseline over a range of settings, and what
    /// runs `today`.
    pub fn all(promise: Share, today: Option<Setting>) -> Vec<Setting> {
        let mut budgets: Vec<Share> =
            BUDGETS_MILLIONTHS.iter().filter_map(|m| Share::from_millionths(*m)).collect();
        budgets.push(promise);
        budgets.extend(Share::from_fraction(0.8 * promise.fraction()));
        budgets.sort_unstable();
        budgets.dedup();
        let mut all: Vec<Setting> = budgets.into_iter().map(Setting::Neap).collect();
        for family in [Setting::TargetTracking, Setting::Predictive, Setting::Hpa] {
            all.extend(TARGETS.map(family));
        }
        all.extend([0.9, 0.95, 0.99, 0.999, 1.0].map(Setting::Quantile));
        all.extend([1.5, 2.0].map(Setting::TimesHighest));
        if let Some(today) = today.filter(|today| !all.contains(today)) {
            // Beside its own family's settings.
            let place = all.iter().rposition(|setting| setting.family() == today.family());
            all.insert(place.map_or(all.len(), |place| place + 1), today);
        }
        all
    }

    /// The line it is a point of.
    pub fn family(self) -> Family {
        match self {
            Setting::Neap(_) => Family::Neap,
            Setting::TargetTracking(_) => Family::TargetTracking,
            Setting::Predictive(_) => Family::Predictive,
            Setting::Hpa(_) => Family::Hpa,
            Setting::Quantile(_) | Setting::TimesHighest(_) | Setting::Units(_) => Family::Static,
        }
    }
}

/// The setting alone: `0.5%`, `0.7`, `p99`, `max*1.5` or `12`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Neap(budget) => write!(f, "{budget}"),
            Setting::TargetTracking(target)
            | Setting::Predictive(target)
            | Setting::Hpa(target) => {
                write!(f, "{target}")
            }
            Setting::Quantile(level) => write!(f, "p{}", (level * 1e6).round() / 1e4),
            Setting::TimesHighest(times) => write!(f, "max*{times}"),
            Setting::Units(units) => write!(f, "{units}"),
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads what runs today: `hpa:0.7`, `target-tracking:0.5`, `predictive:0.6` or `static:12`.
impl FromStr for Setting {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Setting, Expected> {
        let wanted = "`hpa:0.7`, `target-tracking:0.5`, `predictive:0.6` or `static:12`";
        let (family, value) = text.split_once(':').ok_or(Expected::Only(wanted))?;
        let target = || {
            let (number, scale) = value.strip_suffix('%').map_or((value, 1.0), |v| (v, 100.0));
            let target: Option<f64> = number.parse().ok().map(|number: f64| number / scale);
            target.filter(|target| (0.01..=2.0).contains(target)).ok_or_else(|| {
                Expected::of(value, "target", "a utilisation such as `0.7` or `70%`")
            })
        };
        match family {
            "hpa" => target().map(Setting::Hpa),
            "target-tracking" => target().map(Setting::TargetTracking),
            "predictive" => target().map(Setting::Predictive),
            "static" => {
                let units = value.parse().ok().filter(|units| *units > 0).map(Setting::Units);
                units.ok_or_else(|| Expected::of(value, "size", "whole units such as `12`"))
            }
            _ => Err(Expected::of(family, "policy", wanted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_today_is_read_or_refused_with_what_was_expected() {
        let read = |text: &str| text.parse::<Setting>();
        assert_eq!(read("hpa:0.7"), Ok(Setting::Hpa(0.7)));
        assert_eq!(read("target-tracking:50%"), Ok(Setting::TargetTracking(0.5)));
        assert_eq!(read("predictive:0.6"), Ok(Setting::Predictive(0.6)));
        assert_eq!(read("static:12"), Ok(Setting::Units(12)));
        let refused = ["hpa", "nomad:0.5", "hpa:0", "hpa:NaN", "static:0", "static:1.5"];
        let told: Vec<String> =
            refused.iter().map(|text| read(text).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        expected `hpa:0.7`, `target-tracking:0.5`, `predictive:0.6` or `static:12`
        `nomad` is no policy, expected `hpa:0.7`, `target-tracking:0.5`, `predictive:0.6` or `static:12`
        `0` is no target, expected a utilisation such as `0.7` or `70%`
        `NaN` is no target, expected a utilisation such as `0.7` or `70%`
        `0` is no size, expected whole units such as `12`
        `1.5` is no size, expected whole units such as `12`
        ");
    }

    fn all_of_neap(promise: Share) -> Vec<String> {
        let all = Setting::all(promise, None).into_iter();
        all.filter(|s| s.family() == Family::Neap).map(|s| s.to_string()).collect()
    }

    #[test]
    fn the_promise_and_what_runs_today_are_compared_once() {
        let half = Share::from_millionths(5_000).unwrap();
        let count = |promise, today| Setting::all(promise, today).len();
        let usual = count(half, None);
        assert_eq!(usual, 7 + 3 * 10 + 7);
        assert_eq!(count(half, Some(Setting::Hpa(0.7))), usual);
        assert_eq!(count(Share::percent(3), Some(Setting::Units(12))), usual + 2);
        assert_eq!(all_of_neap(half), ["0.1%", "0.25%", "0.4%", "0.5%", "1%", "2%", "5%"]);
        let all = Setting::all(half, Some(Setting::Hpa(0.65)));
        let labels: Vec<String> =
            all.iter().filter(|s| s.family() == Family::Hpa).map(ToString::to_string).collect();
        assert_eq!(labels[9..], ["0.9", "0.65"]);
        let fixed: Vec<String> = all[37..].iter().map(ToString::to_string).collect();
        assert_eq!(fixed[1..], ["p90", "p95", "p99", "p99.9", "p100", "max*1.5", "max*2"]);
    }
}
