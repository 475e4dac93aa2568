//! Signs of an outage: errors, and hosts that are healthy.

use fleet::metric::MetricQuery;
use fleet::{Seconds, Timestamp};
use planner::snapshot::Trend;

use super::Store;

impl Store {
    /// Errors against their usual level of the last day.
    ///
    /// Worse is above four times the median, or above the median by six median deviations,
    /// whichever is higher, and not a single stray error.
    pub fn errors_trend(&self, query: &MetricQuery, now: Timestamp) -> Trend {
        let Some(held) = self.metrics.get(&query.key()) else { return Trend::Unknown };
        let step = query.period.span();
        let newest = (now - step - step).floor_to(query.period);
        let Some(value) = held.series.at(newest).or_else(|| held.series.at(newest - step)) else {
            return Trend::Unknown;
        };
        let day = held.series.slice(newest - Seconds::days(1), newest - step);
        let values: Vec<f64> = day.iter().filter_map(|(_, value)| value).collect();
        let Some(usual) = median(values.clone()) else { return Trend::Unknown };
        let spread = median(values.iter().map(|v| (v - usual).abs()).collect()).unwrap_or(0.0);
        let limit = (4.0 * usual).max(usual + 6.0 * spread);
        let stray = 1.0 / f64::from(query.period.seconds());
        match value > limit && value > stray {
            true => Trend::Worse,
            // More errors may be in what is missing.
            false if held.is_part(newest) || held.may_lack(newest) => Trend::Unknown,
            false => Trend::Usual,
        }
    }

    /// The end of the first interval from `from` on that is known to have had so many healthy hosts.
    pub fn healthy_since(
        &self,
        query: &MetricQuery,
        from: Timestamp,
        hosts: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let step = query.period.span();
        let mut start = from.floor_to(query.period);
        while start + step <= now {
            if self.value(query, start).is_some_and(|healthy| healthy >= hosts as f64) {
                return Some((start + step).max(from));
            }
            start = start + step;
        }
        None
    }

    /// Healthy hosts against the hosts in service: under three quarters of them is worse.
    pub fn hosts_trend(&self, query: &MetricQuery, in_service: f64, now: Timestamp) -> Trend {
        let step = query.period.span();
        let newest = (now - step - step).floor_to(query.period);
        match self.value(query, newest) {
            Some(healthy) if in_service > 0.0 && healthy < 0.75 * in_service => Trend::Worse,
            Some(_) => Trend::Usual,
            None => Trend::Unknown,
        }
    }
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some(values[values.len() / 2])
}
