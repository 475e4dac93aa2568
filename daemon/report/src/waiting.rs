//! What a service that is new waits for before it is sized by a forecast.

use std::fmt;

use fleet::{Seconds, Step};
use planner::plan::{Finding, Hold};
use planner::snapshot::{NoForecast, Observation};

/// What a service waits for, where time alone brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first sample of its demand.
    FirstSample,
    /// More intervals of demand, until there is a forecast.
    Forecast {
        /// So many.
        intervals: u32,
        /// Of this length.
        step: Step,
    },
    /// Its model being made, in one of the next cycles.
    Model,
    /// More intervals with utilisation, until the capacity of a unit is known.
    Capacity {
        /// So many.
        intervals: u32,
        /// Of this length.
        step: Step,
    },
}

impl Waiting {
    /// What a service waits for; `None` for one that waits for nothing, or for people.
    pub fn of(seen: &Observation, findings: &[&Finding]) -> Option<Waiting> {
        let step = seen.demand.step;
        let newest = seen.demand.settled.or(seen.demand.provisional.last().copied());
        match &seen.forecast {
            Err(NoForecast::TooLittleHistory { have, need }) => {
                return Some(Waiting::Forecast { intervals: need.saturating_sub(*have), step });
            }
            Err(NoForecast::NoData) if newest.is_none() && seen.demand.fault.is_none() => {
                return Some(Waiting::FirstSample);
            }
            Err(NoForecast::WaitingForRefit) => return Some(Waiting::Model),
            _ => {}
        }
        findings.iter().find_map(|finding| match &finding.hold {
            Hold::CapacityUnknown { have, need } => {
                Some(Waiting::Capacity { intervals: need.saturating_sub(*have), step })
            }
            _ => None,
        })
    }
}

/// `6 intervals of demand more, about 6m, until there is a forecast`
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = |f: &mut fmt::Formatter<'_>, intervals: u32, step: Step, of: &str| {
            let noun = if intervals == 1 { "interval" } else { "intervals" };
            let span = Seconds(step.span().0.saturating_mul(intervals.into()));
            write!(f, "{intervals} more {noun} of {of}, about {span}")
        };
        match *self {
            Waiting::FirstSample => f.write_str("the first sample of its demand"),
            Waiting::Model => f.write_str("its model, made in one of the next cycles"),
            Waiting::Forecast { intervals, step } => {
                more(f, intervals, step, "demand")?;
                f.write_str(", until there is a forecast; demand now decides meanwhile")
            }
            Waiting::Capacity { intervals, step } => {
                more(f, intervals, step, "utilisation")?;
                f.write_str(", until it is known what a unit carries")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet::{Fault, FaultKind};
    use planner::plan::What;
    use planner::snapshot::{DemandView, SignalsView};

    use super::*;

    fn seen(forecast: NoForecast) -> Observation {
        let operation = "read".to_owned();
        let detail = String::new();
        Observation {
            group: Err(Fault { kind: FaultKind::Missing, operation, detail, request_id: None }),
            demand: DemandView::unknown(Step::MINUTE),
            forecast: Err(forecast),
            signals: SignalsView::default(),
            outcomes: Vec::new(),
            lead_times: Vec::new(),
            hours: Vec::new(),
            past: Vec::new(),
            launched: Vec::new(),
        }
    }

    fn told(forecast: NoForecast, hold: Hold) -> Option<String> {
        let finding = Finding { service: None, what: What::Held, hold, sizing: None };
        Waiting::of(&seen(forecast), &[&finding]).map(|waiting| waiting.to_string())
    }

    #[test]
    fn what_time_brings_is_told_with_the_time_that_it_takes() {
        let little = |have| NoForecast::TooLittleHistory { have, need: 12 };
        let capacity = Hold::CapacityUnknown { have: 4, need: 30 };
        insta::assert_snapshot!(told(little(6), Hold::RightSize).unwrap(), @"6 more intervals of demand, about 6m, until there is a forecast; demand now decides meanwhile");
        insta::assert_snapshot!(told(little(11), Hold::RightSize).unwrap(), @"1 more interval of demand, about 1m, until there is a forecast; demand now decides meanwhile");
        insta::assert_snapshot!(told(NoForecast::NoData, Hold::RightSize).unwrap(), @"the first sample of its demand");
        insta::assert_snapshot!(told(NoForecast::WaitingForRefit, capacity.clone()).unwrap(), @"its model, made in one of the next cycles");
        let unusable = NoForecast::Unusable { why: fleet::OrTold::Told("flat".to_owned()) };
        insta::assert_snapshot!(told(unusable.clone(), capacity).unwrap(), @"26 more intervals of utilisation, about 26m, until it is known what a unit carries");
        // For people, and for nothing.
        assert_eq!(told(unusable, Hold::ObserveOnly), None);
    }
}
