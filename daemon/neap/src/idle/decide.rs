//! Decides: lists, judges, asks for details, puts all that was seen together and plans.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::resource::{Resource, ResourceId};
use fleet::usage::HOUR;
use fleet::{OrTold, RuleName, Seconds, Timestamp};
use journal::{Journal, JournalFault};
use planner::idle::evidence::Verdict;
use planner::idle::memory::{IdleMemory, Scope};
use planner::idle::plan::IdlePlan;
use planner::idle::reasons::NotIdle;
use planner::idle::rule::{IdleRule, ScheduleRule};
use planner::idle::snapshot::{IdleSnapshot, PowerOutcome, Seen, Unread};
use providers::Deadline;

use super::judge::Assigned;
use super::{IdleEngine, list};
use crate::execute::kill_switch;

/// How long listing may take in one look.
const LIST_WITHIN: Duration = Duration::from_secs(60);

impl IdleEngine {
    /// Looks and decides. Changes nothing in the clouds; hours that it reads go to the journal, all
    /// else is given back to be recorded.
    pub(super) async fn decide(
        &mut self,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(IdleSnapshot, IdlePlan, IdleMemory, Vec<PowerOutcome>), JournalFault> {
        let policy = self.folded.policy.clone();
        let known = self.folded.memory.cares.keys().chain(self.judged.keys());
        let within = Deadline::within(LIST_WITHIN);
        let listed = list::list(&self.providers, &policy, known, within).await;
        for unread in &listed.unread {
            let Unread { provider, account, region, kind, fault } = unread;
            tracing::warn!(%provider, %account, %region, %kind, %fault, "a listing failed");
        }
        self.names = listed.resources.iter().map(|r| (r.id.clone(), r.name.clone())).collect();
        let resolved = self.resolve(&listed.resources, now);
        let population = population(&listed.resources, &policy.rules);
        let unread = |id: &ResourceId| listed.unread.iter().any(|list| list.concerns(id));
        let telling = self.judge_all(journal, &listed.resources, &policy, &unread, now).await?;
        // Most of a large fleet is in use, and nothing more is asked of it.
        let mut resources = listed.resources;
        resources.retain(|resource| telling.contains(&resource.id));
        let assigned: Vec<Option<Assigned<'_>>> =
            resources.iter().map(|resource| Assigned::of(resource, &policy)).collect();
        let needs: Vec<&Resource> = assigned
            .iter()
            .flatten()
            .filter(|assigned| assigned.may_be_stopped(&self.judged))
            .map(|assigned| assigned.resource)
            .collect();
        self.details.read(&self.providers, &needs, now).await;
        let seen = resources.iter().zip(&assigned).map(|(resource, assigned)| match assigned {
            Some(assigned) => self.seen(assigned, now),
            None => Seen {
                resource: still(resource),
                rule: None,
                evidence: None,
                schedule: None,
                last_hour: None,
                saving: None,
            },
        });
        let seen: Vec<Seen> = seen.collect();
        let snapshot = IdleSnapshot {
            taken_at: now,
            kill_switch: kill_switch(&self.standing.kill_switch),
            freezes: (self.standing.freezes)(now),
            disk: journal.disk(),
            unread: listed.unread,
            population,
            matched: self.matched(),
            seen,
            requests: std::mem::take(&mut self.requests),
            outcomes: std::mem::take(&mut self.outcomes),
        };
        let (plan, memory) = planner::idle::plan(&policy, &snapshot, &self.folded.memory);
        Ok((snapshot, plan, memory, resolved))
    }

    fn seen(&self, assigned: &Assigned<'_>, now: Timestamp) -> Seen {
        let resource = self.details.merged(assigned.resource);
        let id = &resource.id;
        let judged = self.judged.get(id).filter(|_| assigned.rule.is_some());
        let schedule = assigned.schedule.and_then(|rule| {
            Some((rule, self.standing.config.view(rule, assigned.resource, now)?))
        });
        let last_hour = schedule.as_ref().and_then(|(rule, _)| self.last_hour(rule, id, now));
        Seen {
            rule: assigned.rule.map(|rule| rule.name.clone()),
            evidence: judged.map(|judged| judged.evidence.clone()),
            schedule: schedule.map(|(_, view)| view),
            last_hour,
            saving: Some(self.saving(&resource)),
            resource: still(&resource),
        }
    }

    /// Whether the newest hours keep a schedule's limits.
    fn last_hour(
        &self,
        rule: &ScheduleRule,
        id: &ResourceId,
        now: Timestamp,
    ) -> Option<Result<(), OrTold<NotIdle>>> {
        if rule.only_if_idle.0.is_empty() {
            return None;
        }
        let Some(known) = self.store.get(id) else {
            return Some(Err(NotIdle::NoSamples.into()));
        };
        for (signal, limit_milli) in &rule.only_if_idle.0 {
            let values = [now, now - Seconds(HOUR as u64)]
                .into_iter()
                .filter_map(|at| known.hours.get(signal)?.get(at).value());
            let worst = values.reduce(f64::max);
            let Some(worst) = worst else {
                return Some(Err(NotIdle::NoSampleOf { signal: *signal }.into()));
            };
            if worst * 1000.0 > *limit_milli as f64 {
                let (signal, limit_milli) = (*signal, *limit_milli);
                let worst_milli = (worst * 1000.0).round() as u64;
                return Some(Err(NotIdle::Above { signal, worst_milli, limit_milli }.into()));
            }
        }
        Some(Ok(()))
    }

    fn matched(&self) -> BTreeMap<RuleName, u32> {
        let mut matched = BTreeMap::new();
        for judged in self.judged.values() {
            let count: &mut u32 = matched.entry(judged.rule.clone()).or_default();
            *count += u32::from(judged.evidence.verdict == Verdict::AlwaysIdle);
        }
        matched
    }
}

/// A resource without the moment at which it was read: the same state is the same record.
fn still(resource: &Resource) -> Resource {
    Resource { read_at: Timestamp(0), ..resource.clone() }
}

fn population(resources: &[Resource], rules: &[IdleRule]) -> BTreeMap<Scope, u32> {
    let mut population = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.id.kind.has_power()) {
        let id = &resource.id;
        let account = Scope::Account { provider: id.provider.clone(), account: id.account.clone() };
        *population.entry(account).or_default() += 1;
        for rule in rules {
            let value = rule.group_tag.as_ref().and_then(|key| resource.tags.get(key));
            if let Some(value) = value.filter(|_| rule.select.selects(resource)) {
                let scope = Scope::Tag { rule: rule.name.clone(), value: value.clone() };
                *population.entry(scope).or_default() += 1;
            }
        }
    }
    population
}
