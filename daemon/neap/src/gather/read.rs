//! Asks for groups and metrics, each once, all providers at the same time.

use std::collections::{BTreeMap, BTreeSet};

use fleet::group::GroupState;
use fleet::metric::MetricQuery;
use fleet::{Fault, GroupRef, ProviderName, Seconds, Timestamp};
use journal::SampleBatch;
use planner::policy::ServicePolicy;
use providers::{Provider, Samples};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::{Observer, Question, unasked};
use crate::store::{self, News};

/// Periods that each poll reads again: clouds correct their newest points.
pub(super) const READ_AGAIN_PERIODS: u64 = 5;

impl Observer {
    pub(super) async fn read_metrics(&mut self, question: &Question<'_>) -> Vec<SampleBatch> {
        let mut answers = JoinSet::new();
        for ((provider, from), asked) in self.metric_batches(question) {
            let Some(provider) = question.providers.get(&provider).cloned() else {
                for query in &asked {
                    let fault = unasked(
                        "read",
                        &format!("provider `{}` is not configured", query.provider),
                    );
                    self.store.failed(query, fault);
                }
                continue;
            };
            let (to, deadline) = (question.taken_at, question.deadline);
            let asking = async move {
                let samples = provider.metrics().readings(&asked, from, to, deadline).await;
                (asked, samples)
            };
            answers.spawn(asking.in_current_span());
        }
        let mut batches = Vec::new();
        while let Some(answer) = answers.join_next().await {
            let Ok((asked, samples)) = answer else { continue };
            for (query, samples) in asked.iter().zip(samples) {
                batches.extend(self.take(query, samples, question));
            }
        }
        batches.sort_by(|a, b| a.metric.cmp(&b.metric));
        batches
    }

    fn take(
        &mut self,
        query: &MetricQuery,
        samples: Result<Samples, Fault>,
        question: &Question<'_>,
    ) -> Option<SampleBatch> {
        let samples = match samples {
            Ok(samples) => samples,
            Err(fault) => {
                self.store.failed(query, fault);
                return None;
            }
        };
        let first = !self.store.is_back_filled(query);
        let news = if first {
            self.store.back_fill(query, &samples)
        } else {
            self.store.take(query, &samples)
        };
        self.store.was_read(query, news.corrected && !first, question.taken_at);
        self.took(query, news, first, question)
    }

    /// Notes for every service that has the metric what is new of it; `anew` where all of it may be. What
    /// of it the journal has to keep.
    pub(super) fn took(
        &mut self,
        query: &MetricQuery,
        news: News,
        anew: bool,
        question: &Question<'_>,
    ) -> Option<SampleBatch> {
        let oldest = news.oldest?;
        let key = query.key();
        for (name, service) in &question.policy.services {
            let Some(watched) = self.services.get_mut(name) else { continue };
            if service.held().any(|used| used.key() == key) {
                let from = watched.changed_from.map_or(oldest, |known| known.min(oldest));
                watched.changed_from = Some(from);
                watched.complete &= !anew && !news.anew;
            }
        }
        let samples = news.whole;
        (!samples.is_empty()).then_some(SampleBatch {
            metric: key,
            seen_at: question.taken_at,
            samples,
        })
    }

    /// Every metric once that a reading may bring something of, by source and by the stamp to read
    /// from.
    fn metric_batches(
        &self,
        question: &Question<'_>,
    ) -> BTreeMap<(ProviderName, Timestamp), Vec<MetricQuery>> {
        let mut asked = BTreeSet::new();
        let mut batches: BTreeMap<_, Vec<MetricQuery>> = BTreeMap::new();
        for query in question.policy.services.values().flat_map(ServicePolicy::metrics) {
            let (poll, now) = (question.policy.poll_interval, question.taken_at);
            if asked.insert(query.key()) && self.store.is_due(query, poll, now) {
                let from = self.read_from(query, question);
                batches.entry((query.provider.clone(), from)).or_default().push(query.clone());
            }
        }
        batches
    }

    /// The whole history at first; afterwards the last periods again, and what was known in part
    /// alone of the last hours: the rest of it may be there by now. Metrics that are up to date
    /// share one stamp, so that they share calls.
    fn read_from(&self, query: &MetricQuery, question: &Question<'_>) -> Timestamp {
        let now = question.taken_at.floor_to(query.period);
        let periods = |count: u64| Seconds(query.period.span().0 * count);
        let newest = self.store.newest(query).filter(|_| self.store.is_back_filled(query));
        match newest {
            Some(newest) => {
                let regular = now - periods(READ_AGAIN_PERIODS + 4);
                let again = self.store.oldest_part(query, now).unwrap_or(regular);
                regular.min(newest - periods(READ_AGAIN_PERIODS - 1)).min(again)
            }
            None => {
                let kept = question
                    .providers
                    .get(&query.provider)
                    .map_or(Seconds::days(1), |p| p.metrics().keeps(query).history);
                now - kept.min(store::history(query.period))
            }
        }
    }
}

/// The groups of all services, each asked once, all providers at the same time.
pub(super) async fn read_groups(
    question: &Question<'_>,
) -> BTreeMap<GroupRef, Result<GroupState, Fault>> {
    let mut wanted: BTreeMap<ProviderName, BTreeSet<GroupRef>> = BTreeMap::new();
    for service in question.policy.services.values() {
        let group = service.pool.group.clone();
        wanted.entry(group.provider.clone()).or_default().insert(group);
    }
    let mut answers = JoinSet::new();
    for (provider, groups) in wanted {
        let Some(provider) = question.providers.get(&provider).cloned() else { continue };
        let deadline = question.deadline;
        let asking = async move {
            let groups: Vec<GroupRef> = groups.into_iter().collect();
            let states = provider.inventory().groups(&groups, deadline).await;
            groups.into_iter().zip(states).collect::<Vec<_>>()
        };
        answers.spawn(asking.in_current_span());
    }
    let mut read = BTreeMap::new();
    while let Some(answer) = answers.join_next().await {
        read.extend(answer.into_iter().flatten());
    }
    read
}
