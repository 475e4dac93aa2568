//! Samples and their revisions in memory: what was known when.
//!
//! A metric's series holds the newest revision of each interval; older revisions are in the
//! journal. A service's demand is the sum of its metrics, per second. What a source knew in part
//! alone is a lower bound: it is marked here as such, and the journal does not have it.

mod arrivals;
mod counter;
mod parts;
mod repeats;
mod signs;
mod silence;
mod spacing;
#[cfg(test)]
mod tests;
mod unusual;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use fleet::metric::{MetricKey, MetricQuery, Sample, Statistic, WhenMissing};
use fleet::{Fault, FaultKind, Seconds, Step, Timestamp};
use forecaster::{Marks, Series};
use planner::demand::Member;
use planner::idle::schedule::Span;
use planner::policy::ServicePolicy;
use planner::snapshot::DemandPoint;
use providers::Samples;

pub use silence::named;

use arrivals::Arrivals;

/// How much history is held of fine steps: two weeks, so that a week's shape is seen twice.
const HISTORY_FINE: Seconds = Seconds::days(15);

/// How much history is held of steps from five minutes on: as long as any source keeps them.
const HISTORY_COARSE: Seconds = Seconds::days(63);

/// How far back samples are read from the journal at a start: the longest history that is held, and a
/// day for those that arrived late.
pub const RESTORED: Seconds = Seconds::days(64);

/// How much history is held of samples this far apart.
pub fn history(step: Step) -> Seconds {
    if step < Step::FIVE_MINUTES { HISTORY_FINE } else { HISTORY_COARSE }
}

/// How far back a decision looks for the fastest rise and the last value of a silent metric.
const RECENT: Seconds = Seconds::hours(2);

/// So many intervals before the oldest that changed are looked at again: the next sample confirms
/// one that stood alone.
const LOOKED_AT_AGAIN: u32 = 5;

/// Utilisation in percent from which a sample is only a lower bound of demand.
pub const CENSORED_FROM_PERCENT: f64 = 90.0;

/// Everything measured that decisions need, by metric.
#[derive(Debug, Default)]
pub struct Store {
    metrics: BTreeMap<MetricKey, Held>,
}

/// One metric's samples, and how the last reading of it went.
#[derive(Debug)]
struct Held {
    /// What is known in part alone is marked as censored.
    series: Series,
    fault: Option<Fault>,
    back_filled: bool,
    /// The source answers in part alone; what starts from here on and has no sample is not known.
    partial_since: Option<Timestamp>,
    /// Why its samples are not what they are read as.
    too_seldom: Option<Fault>,
    /// Why its newest samples are no measurements.
    repeats: Option<Fault>,
    /// See `too_seldom`.
    counter: Option<Fault>,
    /// The longest time that it was ever silent between two samples.
    silent_longest: Seconds,
    /// How many intervals apart its samples are, where that is more than one.
    every: Option<usize>,
    /// When they arrive.
    arrivals: Arrivals,
}

/// What a reading of a metric told.
#[derive(Debug, Default)]
pub struct News {
    /// Samples that are new, or differ from what was known, or are known in whole by now: what the
    /// journal has to keep.
    pub whole: Vec<Sample>,
    /// The oldest interval of which something else is known now.
    pub oldest: Option<Timestamp>,
    /// What was made of all samples so far is to be made anew.
    pub anew: bool,
    /// A sample that was known is another now.
    pub corrected: bool,
}

impl Store {
    /// Takes in samples of a metric and gives back what is new. Values that no service can have are
    /// left out, and what a part says where more is known.
    pub fn take(&mut self, query: &MetricQuery, read: &Samples) -> News {
        let held = self.held(query);
        held.note(read.partial.as_ref());
        let mut news = News::default();
        for sample in &read.all {
            let known = held.series.at(sample.start);
            let value = per_second(query, sample.value);
            let censored = read.partial.as_ref().is_some_and(|part| sample.start >= part.since);
            // Kept as f32: what differs by less is the same reading.
            let same = known.is_some_and(|known| known as f32 == value as f32);
            let less = known.is_some_and(|known| value < known);
            if (same && censored == held.is_part(sample.start)) || (!same && less && censored) {
                continue;
            }
            held.note_silence(sample.start);
            match held.series.put(sample.start, value, Marks { censored, ..Marks::NONE }) {
                Ok(()) => {
                    news.corrected |= known.is_some();
                    news.add(*sample, censored);
                }
                Err(fault) => held.fault = Some(unusable(query, &fault)),
            }
        }
        let spacing = held.look_at_spacing(query);
        news.anew = held.look_for_counter(query) || spacing;
        // What they are made of stays; they lower nothing.
        let _news = held.look_for_repeats(query);
        if news.anew && !held.series.is_empty() {
            news.oldest = Some(held.series.start());
        }
        news
    }

    /// Takes in a sample as the journal kept it.
    pub fn restore(&mut self, query: &MetricQuery, sample: Sample) {
        let value = per_second(query, sample.value);
        let held = self.held(query);
        held.back_filled = true;
        held.note_silence(sample.start);
        // Refused when it was read for the first time, too.
        let _known = held.series.put(sample.start, value, Marks::NONE);
    }

    /// Remembers that a metric could not be read, and why.
    pub fn failed(&mut self, query: &MetricQuery, fault: Fault) {
        self.held(query).fault = Some(fault);
    }

    /// Whether the source's history of this metric was read.
    pub fn is_back_filled(&self, query: &MetricQuery) -> bool {
        self.metrics.get(&query.key()).is_some_and(|held| held.back_filled)
    }

    /// Takes in the source's history of a metric, which may be older than what is held.
    pub fn back_fill(&mut self, query: &MetricQuery, history: &Samples) -> News {
        let held = self.held(query);
        let newer = std::mem::replace(&mut held.series, Series::new(query.period));
        held.back_filled = true;
        let mut news = self.take(query, history);
        let held = self.held(query);
        for (index, (start, value)) in newer.iter().enumerate() {
            let marks = newer.marks(index);
            if let Some(value) = value.filter(|_| !marks.censored) {
                // Was accepted before.
                let _known = held.series.put(start, value, marks);
            }
        }
        let known = |start| newer.index_of(start).is_some_and(|i| !newer.marks(i).censored);
        news.whole.retain(|sample| newer.at(sample.start).is_none() || !known(sample.start));
        news
    }

    /// Takes in that a metric was read, and whether that corrected what was known.
    pub fn was_read(&mut self, query: &MetricQuery, corrected: bool, now: Timestamp) {
        let held = self.held(query);
        held.arrivals.note(held.series.end(), corrected, now);
    }

    /// Whether a reading of a metric may bring something, where it may be read every `poll`.
    pub fn is_due(&self, query: &MetricQuery, poll: Seconds, now: Timestamp) -> bool {
        let Some(held) = self.metrics.get(&query.key()) else { return true };
        let sound = held.back_filled && held.fault.is_none() && held.partial_since.is_none();
        let intervals = u64::try_from(held.every.unwrap_or(1)).unwrap_or(1);
        let spacing = Seconds(query.period.span().0 * intervals);
        !sound || held.arrivals.is_due(spacing, poll, now)
    }

    /// The start of the newest interval of which there is a sample.
    pub fn newest(&self, query: &MetricQuery) -> Option<Timestamp> {
        self.metrics.get(&query.key())?.series.end()
    }

    /// Drops what is older than any decision or model needs.
    pub fn forget(&mut self, now: Timestamp) {
        for held in self.metrics.values_mut() {
            // Once a day's worth is over, so that the cost is not paid every cycle.
            let keep = history(held.series.step());
            if now.since(held.series.start()) > keep + Seconds::days(1) {
                held.series.drop_before(now - keep);
            }
        }
    }

    /// Keeps only metrics that `wanted` names.
    pub fn retain(&mut self, wanted: &dyn Fn(&MetricKey) -> bool) {
        self.metrics.retain(|key, _| wanted(key));
    }

    fn held(&mut self, query: &MetricQuery) -> &mut Held {
        self.metrics.entry(query.key()).or_insert_with(|| Held {
            series: Series::new(query.period),
            fault: None,
            back_filled: false,
            partial_since: None,
            too_seldom: None,
            repeats: None,
            counter: None,
            silent_longest: Seconds::ZERO,
            every: None,
            arrivals: Arrivals::default(),
        })
    }

    /// What is held of a metric, unless it is not what it is read as.
    pub fn series(&self, query: &MetricQuery) -> Option<&Series> {
        let held = self.metrics.get(&query.key()).filter(|held| !held.is_misread(query))?;
        Some(&held.series)
    }

    /// The samples of a metric from then on that are known in whole, oldest first.
    pub fn whole(&self, query: &MetricQuery, from: Timestamp) -> Vec<(Timestamp, f64)> {
        let Some(series) = self.series(query) else { return Vec::new() };
        let known =
            series.iter().filter(|(start, _)| *start >= from && !parts::has(series, *start));
        known.filter_map(|(start, value)| Some((start, value?))).collect()
    }

    fn value(&self, query: &MetricQuery, start: Timestamp) -> Option<f64> {
        self.metrics.get(&query.key())?.series.at(start)
    }

    /// A metric's value in an interval, where a silent one may count as zero: only while another
    /// metric of the same source arrives for the same interval.
    fn demand_value(
        &self,
        query: &MetricQuery,
        start: Timestamp,
        service: &ServicePolicy,
    ) -> Option<f64> {
        let held = self.metrics.get(&query.key());
        if held.is_some_and(|held| held.is_misread(query)) {
            return None;
        }
        let value = held.and_then(|held| held.series.at(start));
        // What never had a sample is no silence: nobody knows whether there is such a metric.
        let never = held.is_none_or(|held| held.series.is_empty());
        let unknown = query.when_missing == WhenMissing::Unknown || never;
        if value.is_some() || unknown || held.is_some_and(|held| held.may_lack(start)) {
            return value;
        }
        if held.is_some_and(|held| held.is_silent_too_long(start)) && !self.is_idle(service, start)
        {
            return None;
        }
        let heartbeat = heartbeats(service, query).any(|other| {
            let aligned = start.floor_to(other.period);
            self.value(other, aligned).is_some()
        });
        heartbeat.then_some(0.0)
    }

    /// Whether the service was saturated in the interval, so that demand is only a lower bound.
    fn censored(&self, service: &ServicePolicy, start: Timestamp) -> bool {
        let Some(query) = &service.utilisation else { return false };
        self.value(query, start.floor_to(query.period))
            .is_some_and(|percent| percent >= CENSORED_FROM_PERCENT)
    }

    /// The demand's recent points by member, for [`planner::snapshot::DemandView::from_members`].
    pub fn members<'a>(&'a self, service: &ServicePolicy, now: Timestamp) -> Vec<MemberPoints<'a>> {
        service
            .demand
            .iter()
            .map(|query| MemberPoints {
                points: self.recent(query, service, now),
                parts: self.recent_parts(query, now),
                fault: self
                    .fault_of(query)
                    .map(Cow::Borrowed)
                    .or_else(|| self.silence(query, service, now).map(Cow::Owned)),
            })
            .collect()
    }

    /// What an operator has to know of a metric's samples.
    pub fn fault_of(&self, query: &MetricQuery) -> Option<&Fault> {
        let held = self.metrics.get(&query.key())?;
        held.fault.as_ref().or(held.doubt())
    }

    fn recent(
        &self,
        query: &MetricQuery,
        service: &ServicePolicy,
        now: Timestamp,
    ) -> Vec<DemandPoint> {
        let step = query.period;
        let mut points: Vec<DemandPoint> = Vec::new();
        let mut start = (now - RECENT).floor_to(step);
        let held = self.metrics.get(&query.key());
        let last = held.filter(|held| !held.is_misread(query)).and_then(|held| held.series.end());
        if let Some(newest) = last.filter(|newest| *newest < start) {
            let value = self.value(query, newest);
            points.extend(value.map(|value| DemandPoint { start: newest, value, censored: false }));
        }
        while start < now {
            if let Some(value) = self.demand_value(query, start, service) {
                let censored = self.censored(service, start);
                points.push(DemandPoint { start, value, censored });
            }
            start = start + step.span();
        }
        points
    }

    /// Brings a service's demand series up to date with its metrics, from the oldest interval that
    /// may have changed. Intervals that end after `settled_until` are provisional; `short` are those that
    /// begin while units were missing, whose demand may be what the others served alone.
    pub fn refresh(
        &self,
        demand: &mut Series,
        service: &ServicePolicy,
        changed_from: Option<Timestamp>,
        settled_until: Timestamp,
        short: &BTreeSet<Timestamp>,
    ) {
        self.refresh_open(demand, service, changed_from, settled_until, short, &[]);
    }

    /// The same of a service that is closed at times: what was measured then is a gap.
    pub fn refresh_open(
        &self,
        demand: &mut Series,
        service: &ServicePolicy,
        changed_from: Option<Timestamp>,
        settled_until: Timestamp,
        short: &BTreeSet<Timestamp>,
        closed: &[Span],
    ) {
        let held: Vec<&Series> = service
            .demand
            .iter()
            .filter_map(|query| self.metrics.get(&query.key()).map(|held| &held.series))
            .filter(|series| !series.is_empty())
            .collect();
        let (Some(begin), Some(end)) =
            (held.iter().map(|s| s.start()).min(), held.iter().filter_map(|s| s.end()).max())
        else {
            return;
        };
        let step = demand.step();
        let again = Seconds(step.span().0 * u64::from(LOOKED_AT_AGAIN));
        let from = changed_from.map_or(begin, |from| from - again);
        let mut start = from.max(begin).floor_to(step);
        let mut sums = Vec::new();
        while start <= end {
            let sum: Option<f64> =
                service.demand.iter().map(|query| self.demand_value(query, start, service)).sum();
            sums.extend(sum.map(|sum| (start, (sum - service.fixed_capacity).max(0.0))));
            start = start + step.span();
        }
        let lone = unusual::lone(demand, &sums);
        for (start, sum) in sums {
            if lone.binary_search(&start).is_err() && !is_closed(closed, start, step) {
                let marks = Marks {
                    provisional: start + step.span() > settled_until,
                    censored: self.censored(service, start)
                        || short.contains(&start)
                        || held.iter().any(|series| parts::has(series, start)),
                };
                // A sum that no service can have stays a gap.
                let _taken = demand.put(start, sum, marks);
            }
        }
        demand.settle(settled_until - step.span());
    }

    /// Mean utilisation of the interval, 0 to 1, where measured.
    pub fn utilisation(&self, service: &ServicePolicy, start: Timestamp) -> Option<f64> {
        let query = service.utilisation.as_ref()?;
        let start = start.floor_to(query.period);
        // The mean of a part may be above that of the whole, and below it.
        let percent = self.value(query, start).filter(|_| !self.is_part(query, start))?;
        (0.0..=1000.0).contains(&percent).then_some(percent / 100.0)
    }
}

/// One metric's recent points, owned.
pub struct MemberPoints<'a> {
    points: Vec<DemandPoint>,
    parts: Vec<Timestamp>,
    fault: Option<Cow<'a, Fault>>,
}

/// Whether a part of the interval lies in a time in which nothing may serve.
fn is_closed(closed: &[Span], start: Timestamp, step: Step) -> bool {
    let end = start + step.span();
    closed.iter().any(|span| span.from < end && start < span.until)
}

impl MemberPoints<'_> {
    /// Without those of times in which nothing may serve.
    pub fn open(mut self, closed: &[Span], step: Step) -> Self {
        self.points.retain(|point| !is_closed(closed, point.start, step));
        self
    }

    /// As the planner reads it.
    pub fn as_member(&self) -> Member<'_> {
        Member { points: &self.points, fault: self.fault.as_deref(), parts: &self.parts }
    }
}

/// A service's demand series' step: the coarsest of its metrics, so that every sum has all parts.
pub fn demand_step(service: &ServicePolicy) -> Step {
    service.demand.iter().map(|query| query.period).max().unwrap_or(Step::MINUTE)
}

/// `Sum` is what happened within the interval: divided by its length it is a rate.
fn per_second(query: &MetricQuery, value: f64) -> f64 {
    match query.statistic {
        Statistic::Sum => value / f64::from(query.period.seconds()),
        _ => value,
    }
}

/// Other metrics of the same source, whose arrival shows that the source is alive.
fn heartbeats<'a>(
    service: &'a ServicePolicy,
    query: &'a MetricQuery,
) -> impl Iterator<Item = &'a MetricQuery> {
    let signals = &service.signals;
    [&service.utilisation, &signals.healthy_hosts, &signals.errors]
        .into_iter()
        .flatten()
        .chain(service.demand.iter())
        .filter(move |other| {
            other.key() != query.key()
                && other.when_missing == WhenMissing::Unknown
                && !other.is_made()
                && (&other.provider, &other.account, &other.region)
                    == (&query.provider, &query.account, &query.region)
        })
}

/// Why a metric's samples cannot be used as they are.
fn unusable(query: &MetricQuery, why: &impl ToString) -> Fault {
    Fault {
        kind: FaultKind::Unreadable,
        operation: format!("sample of {}", query.metric),
        detail: why.to_string(),
        request_id: None,
    }
}
