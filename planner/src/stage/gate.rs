//! The gate of a service's promotion: what it has shown, and what of it is not enough.

use std::fmt;

use fleet::Seconds;
use serde::{Deserialize, Serialize};

use super::Gate;
use crate::policy::Share;

/// What a service has shown in shadow: the sum of its days there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub shadow_for: Seconds,
    /// Orders that it would have given.
    pub decisions: u32,
    /// Intervals that were compared.
    pub intervals: u64,
    /// Violations as they really were.
    pub violations_actual: u64,
    /// As they would have been.
    pub violations_would: u64,
    /// Units times hours as they really were.
    pub unit_hours_actual: f64,
    /// As they would have been.
    pub unit_hours_would: f64,
    /// What these cost in US dollars, where a unit's price is known: really, and as it would have
    /// been. A unit has one price, so that their ratio is that of the units.
    pub usd: Option<[f64; 2]>,
    /// Whether the forecast has a say.
    pub forecast_trusted: bool,
}

/// What of a gate is not met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It was not in shadow long enough.
    Time {
        have: Seconds,
        /// How long it must be.
        need: Seconds,
    },
    /// It would have done too little to be judged.
    Decisions {
        /// Orders that it would have given.
        have: u32,
        /// Orders that it takes.
        need: u32,
    },
    /// It would have had too many violations.
    Violations {
        /// Their share, in millionths.
        would: u32,
        /// The most it may be.
        most: u32,
    },
    /// It would have cost too much.
    Cost {
        /// What it would have cost for each thousand that was really paid.
        per_mille: u32,
        /// The most it may be.
        most: u32,
        /// The two in US dollars, where a unit's price is known: really, and as it would have been.
        usd: Option<[f64; 2]>,
    },
    /// Its forecast has been worse than last-value.
    Forecast,
    /// Too many of the machines that it would have stopped were used again.
    WrongStops {
        wrong: u32,
        stops: u32,
        /// The share that may be.
        most: Share,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |millionths: u32| f64::from(millionths) / 1e4;
        match self {
            Missing::Time { have, need } => write!(f, "{have} of {need} in shadow"),
            Missing::Decisions { have, need } => write!(f, "{have} of {need} decisions"),
            Missing::Violations { would, most } => {
                write!(f, "violations {:.2}%, at most {:.2}%", percent(*would), percent(*most))
            }
            Missing::Cost { per_mille, most, usd } => {
                let percent = |per_mille: u32| f64::from(per_mille) / 10.0;
                write!(f, "cost {:.1}%, at most {:.1}%", percent(*per_mille), percent(*most))?;
                match usd {
                    Some([actual, would]) => write!(f, " ({actual:.2} USD to {would:.2} USD)"),
                    None => Ok(()),
                }
            }
            Missing::Forecast => f.write_str("the forecast has no say"),
            Missing::WrongStops { wrong, stops, most } => {
                write!(f, "{wrong} of {stops} stops were wrong, at most {most}")
            }
        }
    }
}

/// What of the gate is not met; empty where a promotion can be offered.
///
/// ```
/// use fleet::Seconds;
/// use planner::policy::Share;
/// use planner::stage::{Evidence, Gate, Missing, missing};
///
/// let shown = Evidence {
///     shadow_for: Seconds::days(8),
///     decisions: 25,
///     intervals: 10_000,
///     violations_would: 200,
///     unit_hours_actual: 1_000.0,
///     unit_hours_would: 900.0,
///     forecast_trusted: true,
///     ..Evidence::default()
/// };
/// // 2 % of its intervals would have been violations, none really were. Cheap is not enough.
/// let lacking = missing(&Gate::default(), Share::percent(1), &shown);
/// assert!(matches!(lacking[..], [Missing::Violations { would: 20_000, most: 1_000 }]));
/// let shown = Evidence { violations_would: 5, ..shown };
/// assert_eq!(missing(&Gate::default(), Share::percent(1), &shown), []);
/// ```
pub fn missing(gate: &Gate, budget: Share, evidence: &Evidence) -> Vec<Missing> {
    let mut missing = Vec::new();
    if evidence.shadow_for < gate.shadow_for {
        missing.push(Missing::Time { have: evidence.shadow_for, need: gate.shadow_for });
    }
    if evidence.decisions < gate.decisions {
        missing.push(Missing::Decisions { have: evidence.decisions, need: gate.decisions });
    }
    let share = |violations: u64| {
        let millionths = u128::from(violations) * 1_000_000 / u128::from(evidence.intervals.max(1));
        u32::try_from(millionths).unwrap_or(u32::MAX)
    };
    let would = share(evidence.violations_would);
    let worst = share(evidence.violations_actual).saturating_add(millionths(gate.worse_by));
    let most = millionths(budget).min(worst);
    if would > most {
        missing.push(Missing::Violations { would, most });
    }
    let dearer = evidence.unit_hours_would / evidence.unit_hours_actual.max(1e-9);
    let per_mille = (dearer * 1000.0).round().clamp(0.0, 1e9) as u32;
    let most = 1000 + millionths(gate.dearer_by) / 1000;
    if evidence.unit_hours_actual > 0.0 && per_mille > most {
        missing.push(Missing::Cost { per_mille, most, usd: evidence.usd });
    }
    if !evidence.forecast_trusted {
        missing.push(Missing::Forecast);
    }
    missing
}

pub(super) fn millionths(share: Share) -> u32 {
    (share.fraction() * 1e6).round() as u32
}
