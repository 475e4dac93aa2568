//! What a source knew in part alone: lower bounds, until it knows the whole.

use fleet::Timestamp;
use fleet::metric::{MetricQuery, Sample};
use forecaster::Series;
use providers::Partial;

use super::{Held, News, RECENT, Store};

impl News {
    pub(super) fn add(&mut self, sample: Sample, part: bool) {
        self.oldest = Some(self.oldest.map_or(sample.start, |oldest| oldest.min(sample.start)));
        // Nothing read back from the journal may pass for the whole.
        if !part {
            self.whole.push(sample);
        }
    }
}

/// Whether the interval's sample is a part alone.
pub(super) fn has(series: &Series, start: Timestamp) -> bool {
    series.index_of(start).is_some_and(|index| series.marks(index).censored)
}

impl Held {
    /// Takes in how a reading went.
    pub(super) fn note(&mut self, partial: Option<&Partial>) {
        self.fault = partial.map(|partial| partial.why.clone());
        self.partial_since = partial.map(|partial| {
            self.partial_since.map_or(partial.since, |since| since.min(partial.since))
        });
    }

    /// Whether the interval's sample is a part alone.
    pub(super) fn is_part(&self, start: Timestamp) -> bool {
        has(&self.series, start)
    }

    /// Whether the interval has no sample that the source did not have in whole: something may
    /// have happened in it.
    pub(super) fn may_lack(&self, start: Timestamp) -> bool {
        self.partial_since.is_some_and(|since| start >= since) && self.series.at(start).is_none()
    }
}

impl Store {
    /// Whether the interval's sample is a part alone.
    pub(super) fn is_part(&self, query: &MetricQuery, start: Timestamp) -> bool {
        self.metrics.get(&query.key()).is_some_and(|held| held.is_part(start))
    }

    /// The recent intervals of which a part alone is known, oldest first.
    pub(super) fn recent_parts(&self, query: &MetricQuery, now: Timestamp) -> Vec<Timestamp> {
        let Some(held) = self.metrics.get(&query.key()) else { return Vec::new() };
        let step = query.period.span();
        let mut parts = Vec::new();
        let mut start = (now - RECENT).floor_to(query.period);
        // The last value there is, however old, goes on counting.
        parts.extend(held.series.end().filter(|end| *end < start && held.is_part(*end)));
        while start < now {
            // Of what comes too seldom nobody knows what happened in between, and of a counter or of
            // what repeats itself nothing is known.
            if held.doubt().is_some() || held.is_part(start) || held.may_lack(start) {
                parts.push(start);
            }
            start = start + step;
        }
        parts
    }

    /// The oldest recent interval of which a part alone is known.
    pub fn oldest_part(&self, query: &MetricQuery, now: Timestamp) -> Option<Timestamp> {
        let recent = self.recent_parts(query, now).into_iter().find(|start| *start >= now - RECENT);
        let held = self.metrics.get(&query.key())?;
        recent.filter(|_| held.doubt().is_none())
    }
}
