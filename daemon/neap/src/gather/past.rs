//! What was before anybody watched: how large groups were, what their units carried, and the load of
//! groups whose utilisation alone is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleet::group::GroupState;
use fleet::metric::{MetricKey, MetricQuery, Sample, WhenMissing};
use fleet::{Fault, FaultKind, GroupRef, Seconds, ServiceName, Step, Timestamp};
use forecaster::Series;
use journal::SampleBatch;
use planner::memory::{ChangeLog, ServiceMemory};
use planner::past::{self, PastSizes};
use planner::policy::{Policy, ServicePolicy};
use planner::snapshot::PastInterval;
use providers::{Provider, Samples};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::read::READ_AGAIN_PERIODS;
use super::{Observer, Question, SHORT_BETWEEN};
use crate::store;

/// Groups whose past is asked for in one cycle at most: a start must not hold up decisions.
const ASKED_PER_CYCLE: usize = 32;
/// How soon a past that was not told is asked for again.
const ASKED_AGAIN: Seconds = Seconds::minutes(10);
/// How far back tells what a unit carries: what runs on it was another thing before.
const OF_CAPACITY: Seconds = Seconds::days(3);
/// How far back a load is counted: clouds keep activities for six weeks.
const OF_LOAD: Seconds = Seconds::days(42);
/// With so much of its load known, nothing earlier is asked for.
const LOAD_ENOUGH: Seconds = Seconds::days(1);
/// Spans kept in which nobody looked at a group while its size changed.
const GAPS_KEPT: usize = 8;

/// Why a load is not known that utilisation and size would show.
const NOBODY: &str = "no unit is in service, so nothing shows what the load is";
const SIZE_UNKNOWN: &str = "of no interval both utilisation and the units in service are known yet";

/// That a load cannot be made of a metric.
fn missing(utilisation: &MetricQuery, why: &str) -> Fault {
    Fault {
        kind: FaultKind::Missing,
        operation: format!("sample of {}", utilisation.metric),
        detail: why.to_owned(),
        request_id: None,
    }
}

/// So many metrics without samples are named.
const NAMED_MAX: usize = 8;

/// What is known of a group's size.
#[derive(Default)]
pub(super) struct Sizes {
    asked_at: Option<Timestamp>,
    known: Option<PastSizes>,
    /// Why nothing is known, where that is so.
    fault: Option<Fault>,
    /// Nothing was made of what is known yet.
    is_new: bool,
    /// What units carried was handed to a plan.
    told: bool,
    /// When the group was last read.
    read_at: Option<Timestamp>,
    /// Spans in which the size changed and nobody knows when.
    gaps: Vec<(Timestamp, Timestamp)>,
}

/// One group whose past is asked for.
struct PastAsked {
    service: ServiceName,
    state: GroupState,
    since: Timestamp,
    counted: Option<MetricQuery>,
}

impl Observer {
    /// Asks how large groups were, where that would tell what their units carry or what their load was.
    pub(super) async fn read_sizes(
        &mut self,
        groups: &BTreeMap<GroupRef, Result<GroupState, Fault>>,
        question: &Question<'_>,
    ) {
        let mut answers = JoinSet::new();
        for asked in self.sizes_wanted(groups, question) {
            let own = question.providers.get(&asked.state.id.provider).cloned();
            let source = asked.counted.as_ref().and_then(|c| question.providers.get(&c.provider));
            let (Some(own), source) = (own, source.cloned()) else { continue };
            if let Some(watched) = self.services.get_mut(&asked.service) {
                watched.sizes.asked_at = Some(question.taken_at);
            }
            let (to, deadline) = (question.taken_at, question.deadline);
            let asking = async move {
                let PastAsked { service, state, since, counted } = asked;
                let activities = own.inventory().activities(&state.id, since, deadline);
                let counting = async {
                    let (query, source) = counted.zip(source)?;
                    let asked = std::slice::from_ref(&query);
                    let read = source.metrics().samples(asked, since, to, deadline).await;
                    Some((query.period, read.into_iter().next()?.ok()?))
                };
                let (activities, counted) = tokio::join!(activities, counting);
                let one_each = own.inventory().activities_are_of_one_member();
                let fault = activities.as_ref().err().cloned();
                (service, sizes(&state, activities.ok(), counted, since, one_each), fault)
            };
            answers.spawn(asking.in_current_span());
        }
        while let Some(answer) = answers.join_next().await {
            let Ok((service, known, fault)) = answer else { continue };
            if let Some(watched) = self.services.get_mut(&service) {
                watched.sizes.is_new = known.is_some();
                (watched.sizes.known, watched.sizes.fault) = (known, fault);
            }
        }
    }

    fn sizes_wanted(
        &self,
        groups: &BTreeMap<GroupRef, Result<GroupState, Fault>>,
        question: &Question<'_>,
    ) -> Vec<PastAsked> {
        let now = question.taken_at;
        let wanted = question.policy.services.iter().filter_map(|(name, service)| {
            let watched = self.services.get(name)?;
            let due = watched.sizes.asked_at.is_none_or(|at| now.apart(at) >= ASKED_AGAIN);
            if watched.sizes.known.is_some() || !due {
                return None;
            }
            let of_load = service.busy_units().filter(|busy| {
                let known = self.store.series(busy).map_or(Seconds::ZERO, span);
                known < LOAD_ENOUGH
            });
            let since = match of_load {
                Some(busy) => now - OF_LOAD.min(store::history(busy.period)),
                None if planner::is_capacity_wanted(
                    service,
                    question.memory.services.get(name),
                ) =>
                {
                    now - OF_CAPACITY
                }
                None => return None,
            };
            let state = groups.get(&service.pool.group)?.as_ref().ok()?.clone();
            let single = state.instances.iter().all(|member| member.weight.0 == 1);
            let counted = service.utilisation.as_ref().and_then(config::counted_size);
            let counted = counted.filter(|_| single);
            Some(PastAsked { service: name.clone(), state, since, counted })
        });
        wanted.take(ASKED_PER_CYCLE).collect()
    }

    /// Brings the load of groups up to date whose utilisation alone is measured.
    pub(super) fn count_busy_units(
        &mut self,
        groups: &BTreeMap<GroupRef, Result<GroupState, Fault>>,
        question: &Question<'_>,
    ) -> Vec<SampleBatch> {
        let services = question.policy.services.iter();
        let counted = services.filter_map(|(name, service)| {
            let busy = service.busy_units()?;
            let state = groups.get(&service.pool.group).and_then(|read| read.as_ref().ok());
            self.count(name, service, busy, state, question)
        });
        counted.collect()
    }

    fn count(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        busy: &MetricQuery,
        state: Option<&GroupState>,
        question: &Question<'_>,
    ) -> Option<SampleBatch> {
        let now = question.taken_at;
        // Of a group that cannot be read nobody knows how many units were busy.
        let (state, utilisation) = state.zip(service.utilisation.as_ref())?;
        let memory = question.memory.services.get(name);
        let log = log(state, memory, now);
        let first = !self.store.is_back_filled(busy);
        let watched = self.services.get_mut(name)?;
        let sizes = &mut watched.sizes;
        sizes.note_gap(&log, now, question.last_taken_at);
        let anew = first || std::mem::take(&mut sizes.is_new);
        let sizes = &watched.sizes;
        let of_activities = sizes.fault.clone();
        let periods = |count: u64| Seconds(busy.period.span().0 * count);
        let newest = self.store.newest(busy).filter(|_| !anew);
        let from = newest.map(|newest| {
            let regular = now - periods(READ_AGAIN_PERIODS + 4);
            regular.min(newest - periods(READ_AGAIN_PERIODS - 1))
        });
        let step = busy.period.span();
        let measured = self.store.whole(utilisation, from.unwrap_or(Timestamp(i64::MIN / 2)));
        let products = measured.into_iter().filter_map(|(start, percent)| {
            let units = sizes.mean(&log, start, start + step)?;
            let value = percent / 100.0 * units;
            (0.0..=1000.0).contains(&percent).then_some(Sample { start, value })
        });
        let samples = Samples::from(products.collect::<Vec<_>>());
        let fault = self.store.fault_of(utilisation).cloned();
        let news = if anew {
            self.store.back_fill(busy, &samples)
        } else {
            self.store.take(busy, &samples)
        };
        let empty = state.in_service().0 == 0;
        let fault = fault.or_else(|| empty.then(|| missing(utilisation, NOBODY)));
        let uncounted = self.store.newest(busy).is_none();
        let of_sizes = || of_activities.or_else(|| Some(missing(utilisation, SIZE_UNKNOWN)));
        if let Some(fault) = fault.or_else(|| if uncounted { of_sizes() } else { None }) {
            self.store.failed(busy, fault);
        }
        self.took(busy, news, anew, question)
    }

    /// What is known of the past of the metrics of a policy's services; `None` where nothing is.
    pub fn history(&self, policy: &Policy) -> Option<History> {
        let asked: BTreeMap<_, &MetricQuery> = policy
            .services
            .values()
            .flat_map(ServicePolicy::metrics)
            .map(|query| (query.key(), query))
            .collect();
        let errors = policy.services.values().filter_map(|service| service.signals.errors.as_ref());
        let errors = errors.filter(|query| query.when_missing == WhenMissing::Zero);
        let quiet: BTreeSet<MetricKey> = errors.map(MetricQuery::key).collect();
        let has = |query: &MetricQuery| self.store.newest(query).is_some();
        let (full, empty): (Vec<&MetricQuery>, Vec<&MetricQuery>) =
            asked.into_values().partition(|query| has(query));
        let spans = full.iter().filter_map(|query| self.store.series(query)).map(span);
        Some(History {
            metrics: full.len(),
            longest: spans.max()?,
            // Where nothing fails there are no errors to count.
            empty: empty
                .iter()
                .filter(|query| !quiet.contains(&query.key()))
                .map(|query| store::named(query))
                .collect(),
        })
    }

    /// Intervals of the past that tell what a unit carries, once, while that is to be learned.
    pub(super) fn past(
        &mut self,
        name: &ServiceName,
        service: &ServicePolicy,
        question: &Question<'_>,
    ) -> Vec<PastInterval> {
        let wanted = planner::is_capacity_wanted(service, question.memory.services.get(name));
        let settling = self.settling(service, question);
        let Some(watched) = self
            .services
            .get_mut(name)
            .filter(|watched| wanted && !watched.sizes.told && watched.sizes.known.is_some())
        else {
            return Vec::new();
        };
        let utilisation = service.utilisation.as_ref().and_then(|query| self.store.series(query));
        let (Some(sizes), Some(utilisation)) = (&watched.sizes.known, utilisation) else {
            return Vec::new();
        };
        let (demand, now) = (&watched.demand, question.taken_at);
        let all = intervals(demand, utilisation, sizes, now - settling);
        let told = past::telling(&all);
        watched.sizes.told = !told.is_empty();
        told
    }
}

/// What was read of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Metrics that have samples.
    pub metrics: usize,
    /// How far back the longest of them goes.
    pub longest: Seconds,
    /// Metrics that have none.
    pub empty: Vec<String>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A day that lacks its last minutes is one.
        let days = (self.longest.0 + 3_600) / 86_400;
        let span = match days {
            0 => self.longest.to_string(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        let several = |count: usize| if count == 1 { "metric" } else { "metrics" };
        write!(f, "read {span} of {} {}", self.metrics, several(self.metrics))?;
        if self.empty.is_empty() {
            return Ok(());
        }
        let count = self.empty.len();
        let shown = self.empty.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
        let more = if count > NAMED_MAX { "; …" } else { "" };
        write!(f, "; {count} {} without any sample: {shown}{more}", several(count))
    }
}

impl Sizes {
    /// Where nobody looked for a while and the size is another one, nobody knows since when.
    fn note_gap(&mut self, log: &ChangeLog, now: Timestamp, last_cycle: Option<Timestamp>) {
        let before = self.read_at.or(last_cycle);
        self.read_at = Some(now);
        let Some(before) = before.filter(|before| now.since(*before) > SHORT_BETWEEN) else {
            return;
        };
        if log.entries.last().is_some_and(|(at, _)| *at > before) && log.entries.len() > 1 {
            let over = (self.gaps.len() + 1).saturating_sub(GAPS_KEPT);
            self.gaps.drain(..over);
            self.gaps.push((before, now));
        }
    }

    /// The mean of the units in service, where it is certain.
    fn mean(&self, log: &ChangeLog, from: Timestamp, to: Timestamp) -> Option<f64> {
        let in_gap = self.gaps.iter().any(|(begin, end)| from < *end && to > *begin);
        let seen = log.mean_milli(from, to).filter(|_| !in_gap);
        let seen = seen.map(|units_milli| units_milli as f64 / 1000.0);
        seen.or_else(|| self.known.as_ref()?.mean(from, to))
    }
}

/// The sizes that cycles have seen, this one too; nothing of a group that was another one.
fn log(state: &GroupState, memory: Option<&ServiceMemory>, now: Timestamp) -> ChangeLog {
    let same = memory.filter(|memory| memory.group.as_ref() == Some(&state.id));
    let mut log = same.map(|memory| memory.in_service.clone()).unwrap_or_default();
    let units = state.in_service();
    if log.entries.last().is_none_or(|(at, last)| *last != units && *at < now) {
        log.entries.push((now, units));
    }
    log
}

/// What is known of a group's sizes since then; `None` where nothing is.
fn sizes(
    state: &GroupState,
    activities: Option<Vec<fleet::group::Activity>>,
    counted: Option<(Step, Vec<Sample>)>,
    since: Timestamp,
    one_each: bool,
) -> Option<PastSizes> {
    let counted = counted.filter(|(_, samples)| !samples.is_empty());
    if activities.is_none() && counted.is_none() {
        return None;
    }
    let mut sizes = match activities {
        Some(activities) => PastSizes::of(state, &activities, since, one_each),
        None => PastSizes::default(),
    };
    if let Some((step, samples)) = counted {
        sizes.count(step, samples.iter().map(|sample| (sample.start, sample.value)));
    }
    Some(sizes)
}

/// The intervals until `until` in which demand, utilisation and size are known, oldest first.
fn intervals(
    demand: &Series,
    utilisation: &Series,
    sizes: &PastSizes,
    until: Timestamp,
) -> Vec<PastInterval> {
    let step = demand.step().max(utilisation.step());
    let Some(since) = sizes.since().filter(|_| !demand.is_empty() && !utilisation.is_empty())
    else {
        return Vec::new();
    };
    let first = since.max(demand.start()).max(utilisation.start());
    let mut start = first.floor_to(step);
    let mut all = Vec::new();
    while start + step.span() <= until {
        let end = start + step.span();
        let interval = mean(demand, start, end)
            .zip(mean(utilisation, start, end))
            .zip(sizes.steady(start, end))
            .and_then(|((load, percent), units)| {
                past::interval(start, load, percent / 100.0, units)
            });
        all.extend(interval);
        start = end;
    }
    all
}

/// The mean of what was measured in whole from `from` until `to`; `None` where a sample is missing.
fn mean(series: &Series, from: Timestamp, to: Timestamp) -> Option<f64> {
    let (mut sum, mut count, mut start) = (0.0, 0u32, from);
    while start < to {
        let index = series.index_of(start)?;
        let marks = series.marks(index);
        if marks.censored || marks.provisional {
            return None;
        }
        sum += series.get(index)?;
        count += 1;
        start = start + series.step().span();
    }
    (count > 0).then(|| sum / f64::from(count))
}

/// How much time a series spans.
fn span(series: &Series) -> Seconds {
    series.end().map_or(Seconds::ZERO, |end| end.since(series.start()))
}

#[cfg(test)]
mod tests {
    use fleet::Units;

    use super::*;

    const NOW: Timestamp = Timestamp(1_772_452_800);

    fn minutes(ago: u64) -> Timestamp {
        NOW - Seconds::minutes(ago)
    }

    fn log(entries: &[(u64, u32)]) -> ChangeLog {
        let entries = entries.iter().map(|(ago, units)| (minutes(*ago), Units(*units)));
        ChangeLog { entries: entries.collect() }
    }

    #[test]
    fn a_size_that_changed_while_nobody_looked_is_not_known() {
        let mut sizes = Sizes::default();
        let seen = log(&[(300, 4)]);
        sizes.note_gap(&seen, minutes(100), None);
        assert_eq!(sizes.mean(&seen, minutes(120), minutes(115)), Some(4.0));
        // An hour later there are six, and nobody knows since when.
        let seen = log(&[(300, 4), (40, 6)]);
        sizes.note_gap(&seen, minutes(40), None);
        let mean = |sizes: &Sizes, ago| sizes.mean(&seen, minutes(ago), minutes(ago - 5));
        assert_eq!(
            [110, 80, 45, 35].map(|ago| mean(&sizes, ago)),
            [Some(4.0), None, None, Some(6.0)]
        );
        // A change between two looks a minute apart is taken for one of then.
        let mut watched = Sizes::default();
        for ago in (30..=101).rev() {
            let log = log(&[(300, 4), (40, 6)][..1 + usize::from(ago <= 40)]);
            watched.note_gap(&log, minutes(ago), None);
        }
        assert_eq!(mean(&watched, 42), Some(4.0 + 2.0 * 3.0 / 5.0));
    }

    #[test]
    fn intervals_are_those_in_which_all_is_known() {
        let step = Step::FIVE_MINUTES;
        let first = NOW.floor_to(step) - Seconds::hours(2);
        let values = |step: Step, count: u64, value: f64, lost: u64| {
            let all = (0..count).map(|i| (i != lost).then_some(value));
            Series::from_values(first, step, all).unwrap()
        };
        // A minute of demand and an interval of utilisation are lost.
        let demand = values(Step::MINUTE, 120, 300.0, 31);
        let utilisation = values(step, 24, 50.0, 10);
        let mut sizes = PastSizes::default();
        let counted = (0..24u64).filter(|i| *i != 3);
        sizes.count(step, counted.map(|i| (first + Seconds(300 * i), 6.0)));
        let all = intervals(&demand, &utilisation, &sizes, first + Seconds::minutes(100));
        let known: Vec<u64> = all.iter().map(|of| of.start.since(first).0 / 300).collect();
        let expected: Vec<u64> = (0..20).filter(|i| ![3, 6, 10].contains(i)).collect();
        assert_eq!(known, expected);
        assert!(all.iter().all(|of| of.units == Units(6) && of.utilisation_milli == 500));
    }

    #[test]
    fn what_was_read_is_said_in_days() {
        let history = |seconds, metrics, empty: &[&str]| {
            let empty = empty.iter().map(|name| (*name).to_owned()).collect();
            History { metrics, longest: Seconds(seconds), empty }.to_string()
        };
        assert_eq!(history(15 * 86_400 - 120, 3, &[]), "read 15 days of 3 metrics");
        let two = "read 1 day of 1 metric; 2 metrics without any sample: a; b";
        assert_eq!(history(86_400, 1, &["a", "b"]), two);
        let many = history(7_200, 1, &["a"; 9]);
        assert!(many.starts_with("read 2h of 1 metric; 9 metrics without any sample: a; a"));
        assert!(many.ends_with("; a; …"), "{many}");
    }
}
