//! What a metric of the simulated cloud shows: late, lower at first, corrected afterwards.

use std::collections::BTreeMap;

use fleet::metric::{MetricQuery, Sample, Statistic};
use fleet::{Seconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::group::{Body, Setting};
use super::random::Stream;
use super::scenario::{Counts, Delivery, Gap};

/// A metric of a group's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Requests,
    Errors,
    HealthyHosts,
    Utilisation,
}

const MINUTE: Seconds = Seconds(60);

/// How a source answers, whatever the metric.
#[derive(Debug)]
pub(crate) struct Source {
    pub delivery: Delivery,
    pub gaps: Vec<Gap>,
    /// Metrics begin here.
    pub begins: Timestamp,
    pub jitter: Stream,
}

/// Values put in by hand, by the minute they belong to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recorded(pub BTreeMap<i64, Vec<f64>>);

impl Recorded {
    /// Samples of the query within `[from, to)`: all values there are, at once.
    pub fn samples(&self, query: &MetricQuery, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        let period = query.period.span();
        starts(period, from, to)
            .filter_map(|start| {
                let inside = self.0.range(start.0..(start + period).0);
                let values: Vec<f64> = inside.flat_map(|(_, values)| values.clone()).collect();
                fold(query.statistic, values).map(|value| Sample { start, value })
            })
            .collect()
    }
}

impl Source {
    /// Samples of a group's metric as they are seen at `now`.
    pub fn samples(
        &self,
        (setting, body, kind): (&Setting, &Body, Kind),
        query: &MetricQuery,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Vec<Sample> {
        let period = query.period.span();
        let oldest = self.begins.max(now - keeps(period));
        let (from, to) = (from.max(oldest), to.min(now));
        starts(period, from, to)
            .filter_map(|start| {
                let minutes = (0..period.0 / 60).map(|m| start + Seconds(60 * m));
                let seen: Vec<f64> = minutes
                    .filter_map(|minute| self.seen(setting, body, kind, minute, now))
                    .collect();
                fold(query.statistic, seen).map(|value| Sample { start, value })
            })
            .collect()
    }

    /// The value of one minute as it is seen at `now`.
    fn seen(
        &self,
        setting: &Setting,
        body: &Body,
        kind: Kind,
        minute: Timestamp,
        now: Timestamp,
    ) -> Option<f64> {
        let Delivery { after, settled, .. } = self.delivery;
        let late = self.lateness(&setting.spec.name, minute)?;
        let visible_at = minute + MINUTE + after + late;
        if now < visible_at || minute < self.begins {
            return None;
        }
        let value = truth(setting, body, kind, minute)?;
        let settles_at = minute + MINUTE + Seconds(settled.0.max(after.0)) + late;
        if now >= settles_at {
            return Some(value);
        }
        // Not all hosts have reported: counts are lower, means are off by a little.
        let share = now.since(visible_at).0 as f64 / settles_at.since(visible_at).0.max(1) as f64;
        let chance = self.jitter.unit(minute.0 as u64);
        Some(match kind {
            Kind::Requests => (value * (0.55 + 0.25 * chance + 0.2 * share)).floor(),
            Kind::Errors | Kind::HealthyHosts => value,
            Kind::Utilisation => (value * (0.95 + 0.1 * chance)).min(100.0),
        })
        .filter(|value| *value > 0.0 || kind != Kind::Requests)
    }

    /// How much later than usual this interval arrives; `None` is never.
    fn lateness(&self, group: &str, minute: Timestamp) -> Option<Seconds> {
        let covers = |gap: &&Gap| {
            gap.group.as_deref().is_none_or(|name| name == group)
                && (gap.from..gap.until).contains(&minute)
        };
        let mut late = Seconds::ZERO;
        for gap in self.gaps.iter().filter(covers) {
            late = late.max(gap.late?);
        }
        Some(late)
    }
}

/// How long samples of this period are kept, as CloudWatch does.
pub(crate) fn keeps(period: Seconds) -> Seconds {
    match period.0 {
        0..300 => Seconds::days(15),
        300..3600 => Seconds::days(63),
        _ => Seconds::days(455),
    }
}

/// What really happened in a minute; `None` where the metric reports nothing.
fn truth(setting: &Setting, body: &Body, kind: Kind, minute: Timestamp) -> Option<f64> {
    let work = setting.spec.workload.as_ref()?;
    if minute < setting.start && matches!(kind, Kind::Requests | Kind::Errors) {
        // Before the world's start nobody was short of capacity.
        let offered = work.load.rate(&setting.chances, minute);
        let count = if kind == Kind::Requests { (offered * 60.0).round() } else { 0.0 };
        return Some(count).filter(|count| *count > 0.0);
    }
    let units = setting.serving(body, minute);
    if kind == Kind::HealthyHosts {
        let sick = work.load.distress(minute).unhealthy;
        let hosts = units / f64::from(setting.spec.weight.max(1));
        return Some((hosts * (1.0 - sick)).round());
    }
    let offered = work.load.rate(&setting.chances, minute);
    let served = offered.min(units * work.capacity_per_unit);
    let counted = if work.counts == Counts::Offered { offered } else { served };
    match kind {
        Kind::Requests => Some((counted * 60.0).round()).filter(|count| *count > 0.0),
        Kind::Errors => {
            let failed = match work.counts {
                Counts::Served => offered - served,
                Counts::Offered => 0.0,
            } + work.load.distress(minute).errors;
            Some((failed * 60.0).round()).filter(|count| *count > 0.0)
        }
        Kind::Utilisation if units > 0.0 => {
            let busy = 100.0 * served / (units * work.capacity_per_unit);
            // Agents and the kernel are never quite idle.
            Some((100.0 * busy.clamp(1.5, 100.0)).round() / 100.0)
        }
        Kind::Utilisation | Kind::HealthyHosts => None,
    }
}

/// The starts of intervals within `[from, to)`.
fn starts(period: Seconds, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Timestamp> {
    let period = period.0.max(1) as i64;
    let first = from.0.div_euclid(period) + i64::from(from.0.rem_euclid(period) > 0);
    (first..).map(move |index| Timestamp(index * period)).take_while(move |start| *start < to)
}

/// One number of many; `None` of none.
fn fold(statistic: Statistic, mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let sum: f64 = values.iter().sum();
    Some(match statistic {
        Statistic::Sum => sum,
        Statistic::Average => sum / values.len() as f64,
        Statistic::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
        Statistic::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Statistic::SampleCount => values.len() as f64,
        Statistic::Percentile(percent) => {
            values.sort_by(f64::total_cmp);
            let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
            values[rank.clamp(1, values.len()) - 1]
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_folds_as_its_name_says() {
        let values = vec![4.0, 1.0, 3.0, 2.0];
        let statistics = [
            Statistic::Sum,
            Statistic::Average,
            Statistic::Minimum,
            Statistic::Maximum,
            Statistic::SampleCount,
            Statistic::Percentile(50.0),
            Statistic::Percentile(99.0),
        ];
        let folded = statistics.map(|statistic| fold(statistic, values.clone()));
        assert_eq!(folded, [10.0, 2.5, 1.0, 4.0, 4.0, 2.0, 4.0].map(Some));
        assert_eq!(fold(Statistic::Sum, Vec::new()), None);
    }

    #[test]
    fn starts_are_whole_multiples_of_the_period() {
        let found: Vec<i64> =
            starts(Seconds(60), Timestamp(61), Timestamp(241)).map(|start| start.0).collect();
        assert_eq!(found, [120, 180, 240]);
        assert_eq!(starts(Seconds(60), Timestamp(60), Timestamp(60)).count(), 0);
    }
}
