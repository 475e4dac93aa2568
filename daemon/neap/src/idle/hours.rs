//! The hours of every resource: read from the clouds as far as they keep them, kept in the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::resource::{Resource, ResourceId};
use fleet::usage::{Code, Day, HOUR, Hours, Signal, UsageQuery};
use fleet::{Fault, Seconds, Timestamp};
use planner::idle::evidence::Verdict;
use providers::{Deadline, Estate};

use journal::{JournalFault, UsageDay};

/// Queries asked in one go.
const QUERIES_AT_ONCE: usize = 2000;
/// How long one go may take.
const GO_WITHIN: Duration = Duration::from_secs(60);
/// Hours read again: the newest may not have been whole.
const READ_AGAIN: Seconds = Seconds::hours(3);
/// A resource that may be stopped is read so often.
const CLOSE: Seconds = Seconds::minutes(55);
/// A resource in use is read so often: every reading costs.
const LOOSE: Seconds = Seconds::hours(23);
/// After a reading that failed it is tried again so soon.
const RETRY: Seconds = Seconds::minutes(10);

/// The hours of every resource.
#[derive(Debug, Default)]
pub struct Store {
    known: BTreeMap<ResourceId, Known>,
}

/// What is kept of one resource.
#[derive(Debug, Default)]
pub struct Known {
    pub hours: BTreeMap<Signal, Hours>,
    /// Everything before this was read.
    read_until: Option<Timestamp>,
    /// When it was last read or tried.
    tried_at: Option<Timestamp>,
    failed: bool,
    /// Days before this one are in the journal.
    kept_until_day: Option<i64>,
}

/// How the reading of one look went.
#[derive(Debug, Default)]
pub struct Reading {
    /// Resources whose hours are new.
    pub fresh: Vec<ResourceId>,
    /// Resources that could not be read, and why.
    pub faults: Vec<(ResourceId, Fault)>,
}

impl Store {
    /// What is kept of a resource.
    pub fn get(&self, id: &ResourceId) -> Option<&Known> {
        self.known.get(id)
    }

    /// Takes in a day from the journal.
    pub fn restore(&mut self, id: &ResourceId, signal: Signal, number: i64, day: &Day) {
        let known = self.known.entry(id.clone()).or_default();
        let hours = known.hours.entry(signal).or_default();
        for hour in 0..24 {
            if !day.get(hour).is_missing() {
                let at = Timestamp(number * 86_400 + hour as i64 * HOUR);
                hours.set(at, day.get(hour));
            }
        }
        let next = number + 1;
        known.kept_until_day = Some(known.kept_until_day.map_or(next, |kept| kept.max(next)));
        let end = Timestamp(next * 86_400);
        known.read_until = Some(known.read_until.map_or(end, |until| until.max(end)));
    }

    /// The clock was set back: days that are still to come are told once they are over.
    pub fn rewind(&mut self, now: Timestamp) {
        for known in self.known.values_mut() {
            known.read_until = known.read_until.map(|until| until.min(now));
            known.kept_until_day = known.kept_until_day.map(|day| day.min(now.utc_day()));
        }
    }

    /// Forgets resources that are gone and days that no rule looks at.
    pub fn forget(
        &mut self,
        live: &(dyn Fn(&ResourceId) -> bool + Send + Sync),
        before: Timestamp,
    ) {
        self.known.retain(|id, _| live(id));
        let day = before.utc_day();
        for known in self.known.values_mut() {
            for hours in known.hours.values_mut() {
                hours.forget_before(day);
            }
        }
    }

    /// Reads what is due of these resources, those that were never read last.
    ///
    /// `close` are resources that may be stopped: they are read every hour. `keep` is given the
    /// days that became whole, some hundred resources at a time: a back-fill of all would not fit.
    ///
    /// # Errors
    /// Those of `keep`.
    pub async fn read(
        &mut self,
        estate: &dyn Estate,
        resources: &[(&Resource, Seconds)],
        close: &(dyn Fn(&ResourceId) -> bool + Send + Sync),
        keep: &mut (dyn FnMut(&[UsageDay]) -> Result<(), JournalFault> + Send),
        (now, until): (Timestamp, Deadline),
    ) -> Result<Reading, JournalFault> {
        let mut goes: BTreeMap<std::cmp::Reverse<Timestamp>, Vec<&Resource>> = BTreeMap::new();
        for (resource, look_back) in resources {
            let known = self.known.entry(resource.id.clone()).or_default();
            if !resource.signals.is_empty() && known.is_due(now, close(&resource.id)) {
                let kept = estate.usage_kept(Signal::Cpu, Seconds(HOUR as u64));
                let from = known.from(now, *look_back, kept);
                goes.entry(std::cmp::Reverse(from)).or_default().push(resource);
            }
        }
        let mut reading = Reading::default();
        for (std::cmp::Reverse(from), resources) in goes {
            for go in resources.chunks(QUERIES_AT_ONCE / Signal::ALL.len()) {
                if until.left().is_zero() {
                    return Ok(reading);
                }
                let days = self.go(estate, go, from, (now, until), &mut reading).await;
                if !days.is_empty() {
                    keep(&days)?;
                }
            }
        }
        Ok(reading)
    }

    async fn go(
        &mut self,
        estate: &dyn Estate,
        resources: &[&Resource],
        from: Timestamp,
        (now, until): (Timestamp, Deadline),
        reading: &mut Reading,
    ) -> Vec<UsageDay> {
        let mut days = Vec::new();
        let queries: Vec<UsageQuery> = resources.iter().flat_map(|r| queries(r)).collect();
        let deadline = Deadline::within(GO_WITHIN.min(until.left()));
        let hour = Seconds(HOUR as u64);
        let answers = estate.usage(&queries, from, now, hour, deadline).await;
        let mut answers = queries.iter().zip(answers).peekable();
        for resource in resources {
            let known = self.known.entry(resource.id.clone()).or_default();
            let mut fault = None;
            while let Some((query, answer)) =
                answers.next_if(|(query, _)| query.resource == resource.id)
            {
                match answer {
                    Ok(samples) => known.take(query.signal, &samples),
                    Err(why) => fault = Some(why),
                }
            }
            known.tried_at = Some(now);
            known.failed = fault.is_some();
            match fault {
                Some(fault) => reading.faults.push((resource.id.clone(), fault)),
                None => {
                    known.read_until = Some(now);
                    days.extend(known.whole_days(&resource.id, now));
                    reading.fresh.push(resource.id.clone());
                }
            }
        }
        days
    }
}

/// Every signal of a resource, as it is asked for.
pub fn queries(resource: &Resource) -> Vec<UsageQuery> {
    let query = |signal: &Signal| UsageQuery {
        resource: resource.id.clone(),
        signal: *signal,
        sampled_every: resource.sampled_every,
    };
    resource.signals.iter().map(query).collect()
}

/// Whether a resource with this verdict may be stopped, so that its newest hours matter.
pub fn is_close(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::InUse { .. })
}

impl Known {
    fn is_due(&self, now: Timestamp, close: bool) -> bool {
        let pause = match (self.failed, close) {
            (true, _) => RETRY,
            (false, true) => CLOSE,
            (false, false) => LOOSE,
        };
        // A clock that was set back makes everything due.
        self.tried_at.is_none_or(|tried| tried > now || now.since(tried) >= pause)
    }

    fn from(&self, now: Timestamp, look_back: Seconds, kept: Seconds) -> Timestamp {
        let oldest = now - Seconds(look_back.0.min(kept.0) + HOUR as u64);
        let again = self.read_until.map_or(oldest, |until| until.min(now) - READ_AGAIN);
        let from = again.max(oldest);
        Timestamp(from.0.div_euclid(HOUR) * HOUR)
    }

    fn take(&mut self, signal: Signal, samples: &[fleet::metric::Sample]) {
        if samples.is_empty() {
            return;
        }
        let hours = self.hours.entry(signal).or_default();
        for sample in samples {
            let code = Code::of(signal, sample.value);
            if !code.is_missing() {
                hours.set(sample.start, code);
            }
        }
    }

    /// Days that are over and told, and not in the journal yet.
    fn whole_days(&mut self, id: &ResourceId, now: Timestamp) -> Vec<UsageDay> {
        let end = (now - READ_AGAIN).utc_day();
        let from = self.kept_until_day.unwrap_or(i64::MIN);
        self.kept_until_day = Some(end.max(from));
        let mut days = Vec::new();
        for (signal, hours) in &self.hours {
            for (day, hours) in hours.days().filter(|(day, _)| (from..end).contains(day)) {
                if *hours != Day::EMPTY {
                    let (resource, signal) = (id.clone(), *signal);
                    days.push(UsageDay { resource, signal, day, hours: *hours });
                }
            }
        }
        days
    }
}
