//! A reduced forecast in few bytes: rising values as steps.

use fleet::{Level, Timestamp};
use planner::Milli;
use planner::snapshot::{Record, ReducedForecast, Window};
use serde::{Deserialize, Serialize};

/// A [`ReducedForecast`] as it is stored: each value as the step from the one before, which is
/// small and never needs a sign while the values rise.
#[derive(Serialize, Deserialize)]
pub(crate) struct ForecastPart {
    model: String,
    levels: Vec<Level>,
    window: Window,
    origin: Timestamp,
    lead: Vec<i64>,
    hold: Vec<i64>,
    next: Vec<i64>,
    recent_loss: i64,
    last_value_loss: i64,
    record: Option<Record>,
}

impl ForecastPart {
    pub(crate) fn of(forecast: &ReducedForecast) -> ForecastPart {
        let ReducedForecast {
            origin,
            levels,
            lead_milli,
            hold_milli,
            next_milli,
            model,
            window,
            recent_loss_milli,
            last_value_loss_milli,
            record,
        } = forecast;
        ForecastPart {
            model: model.clone(),
            levels: levels.clone(),
            window: *window,
            origin: *origin,
            lead: steps(lead_milli),
            hold: steps(hold_milli),
            next: steps(next_milli),
            recent_loss: recent_loss_milli.to_bits() as i64,
            last_value_loss: last_value_loss_milli.to_bits() as i64,
            record: *record,
        }
    }

    pub(crate) fn into_forecast(self) -> ReducedForecast {
        ReducedForecast {
            origin: self.origin,
            levels: self.levels,
            lead_milli: values(&self.lead),
            hold_milli: values(&self.hold),
            next_milli: values(&self.next),
            model: self.model,
            window: self.window,
            recent_loss_milli: Milli::from_bits(self.recent_loss as u64),
            last_value_loss_milli: Milli::from_bits(self.last_value_loss as u64),
            record: self.record,
        }
    }
}

/// Each value less the one before, around the end of the numbers where need be.
fn steps(values: &[Milli]) -> Vec<i64> {
    let values = values.iter().map(|value| value.to_bits());
    let before = std::iter::once(0).chain(values.clone());
    values.zip(before).map(|(value, before)| value.wrapping_sub(before) as i64).collect()
}

fn values(steps: &[i64]) -> Vec<Milli> {
    let mut sum = 0u64;
    steps
        .iter()
        .map(|step| {
            sum = sum.wrapping_add(*step as u64);
            Milli::from_bits(sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_values_come_back() {
        for list in [vec![], vec![7], vec![1, 5, 5, 900], vec![u64::MAX, 0, u64::MAX, 1]] {
            let list: Vec<Milli> = list.into_iter().map(Milli::from_bits).collect();
            assert_eq!(values(&steps(&list)), list);
        }
    }
}
