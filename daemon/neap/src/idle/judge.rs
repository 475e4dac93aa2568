//! Judges: reads hours, makes the verdicts that they may have changed and writes them down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet::money::{PriceQuery, Saving};
use fleet::resource::{Resource, ResourceId};
use fleet::usage::HOUR;
use fleet::{RuleName, Seconds, Timestamp};
use journal::records::idle::{IdleEntry, Judged};
use journal::{Journal, JournalFault, UsageDay};
use planner::idle::evidence::{Evidence, Look, Verdict, VerdictKind, judge};
use planner::idle::pattern::Offsets;
use planner::idle::rule::{IdlePolicy, IdleRule, ScheduleRule};
use providers::{Deadline, Provider};
use rayon::prelude::*;

use super::hours::is_close;
use super::{IdleEngine, money};

/// How long reading hours may take in one look.
const HOURS_WITHIN: Duration = Duration::from_secs(240);
/// Days of usage that may wait to be flushed: some megabytes.
const FLUSHED_EVERY: usize = 300_000;
/// Resources whose verdicts are written down together.
const VERDICTS_A_RECORD: usize = 5_000;
/// How often a verdict that stays as it is is written down again.
const VERDICT_AGAIN_IDLE: Seconds = Seconds::days(1);
const VERDICT_AGAIN: Seconds = Seconds::days(7);

/// A verdict and when it was made and written down.
pub(super) struct Judgment {
    pub(super) rule: RuleName,
    pub(super) evidence: Evidence,
    pub(super) at: Timestamp,
    pub(super) recorded: Option<(Timestamp, VerdictKind)>,
}

impl IdleEngine {
    /// Reads hours and judges by them; the resources of which something may be done or is
    /// remembered, or that somebody asked for.
    pub(super) async fn judge_all(
        &mut self,
        journal: &Journal,
        resources: &[Resource],
        policy: &IdlePolicy,
        unread: &(dyn Fn(&ResourceId) -> bool + Send + Sync),
        now: Timestamp,
    ) -> Result<BTreeSet<ResourceId>, JournalFault> {
        let assigned: Vec<Assigned<'_>> =
            resources.iter().filter_map(|r| Assigned::of(r, policy)).collect();
        self.read_hours(&assigned, journal, now).await?;
        self.judge(&assigned, now);
        let live: BTreeSet<&ResourceId> = resources.iter().map(|r| &r.id).collect();
        let oldest = now - self.longest_look_back() - Seconds::days(2);
        self.store.forget(&|id| live.contains(id) || unread(id), oldest);
        self.judged.retain(|id, _| live.contains(id) || unread(id));
        let interesting: Vec<&Assigned<'_>> =
            assigned.iter().filter(|assigned| self.is_interesting(assigned)).collect();
        self.ask_prices(&interesting, now).await;
        self.record_verdicts(journal, &assigned, now)?;
        let named = self.asked_for(resources).into_iter();
        let telling = interesting.iter().map(|assigned| assigned.resource).chain(named);
        Ok(telling.map(|resource| resource.id.clone()).collect())
    }

    async fn read_hours(
        &mut self,
        assigned: &[Assigned<'_>],
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        let deadline = Deadline::within(HOURS_WITHIN);
        let mut unwritten = 0;
        let mut keep = |days: &[UsageDay]| {
            journal.record_usage(now, days)?;
            // What is not on disk yet is held in memory.
            unwritten += days.len();
            if unwritten > FLUSHED_EVERY {
                unwritten = 0;
                journal.flush()?;
            }
            Ok(())
        };
        for (name, provider) in &self.providers {
            let Some(estate) = provider.estate() else { continue };
            let wanted: Vec<(&Resource, Seconds)> = assigned
                .iter()
                .filter(|a| a.resource.id.provider == *name && a.resource.id.kind.has_power())
                .filter_map(|a| Some((a.resource, a.look_back()?)))
                .collect();
            let judged = &self.judged;
            let close = |id: &ResourceId| {
                judged.get(id).is_none_or(|judged| is_close(&judged.evidence.verdict))
            };
            let when = (now, deadline);
            let reading = self.store.read(estate, &wanted, &close, &mut keep, when).await?;
            if let Some((resource, fault)) = reading.faults.first() {
                let others = reading.faults.len() - 1;
                tracing::warn!(%resource, %fault, others, "usage could not be read");
            }
            for id in &reading.fresh {
                self.judged.entry(id.clone()).and_modify(|judged| judged.at = Timestamp(i64::MIN));
            }
        }
        Ok(())
    }

    /// Makes the verdicts that new hours, or the passing of an hour, may have changed.
    fn judge(&mut self, assigned: &[Assigned<'_>], now: Timestamp) {
        let due: Vec<(&Resource, &IdleRule)> = assigned
            .iter()
            .filter_map(|assigned| Some((assigned.resource, assigned.rule?)))
            .filter(|(resource, rule)| self.is_to_be_judged(resource, rule, now))
            .collect();
        let config = &self.standing.config;
        let mut offsets: BTreeMap<&RuleName, Offsets> = BTreeMap::new();
        for (_, rule) in &due {
            offsets.entry(&rule.name).or_insert_with(|| {
                let from = now - rule.look_back - Seconds::days(1);
                Offsets(config.offset_spans(&rule.name, from, now))
            });
        }
        let nothing = BTreeMap::new();
        let evidence = |(resource, rule): &(&Resource, &IdleRule)| {
            let care = self.folded.memory.cares.get(&resource.id);
            judge(&Look {
                rule,
                resource,
                hours: self.store.get(&resource.id).map_or(&nothing, |known| &known.hours),
                offsets: &offsets[&rule.name],
                seen_unused_since: care.and_then(|care| care.unused_since),
                now,
            })
        };
        let made: Vec<Evidence> = due.par_iter().map(evidence).collect();
        for ((resource, rule), evidence) in due.into_iter().zip(made) {
            let known = self.judged.get(&resource.id).filter(|judged| judged.rule == rule.name);
            let recorded = known.and_then(|judged| judged.recorded);
            let judgment = Judgment { rule: rule.name.clone(), evidence, at: now, recorded };
            self.judged.insert(resource.id.clone(), judgment);
        }
    }

    fn is_to_be_judged(&self, resource: &Resource, rule: &IdleRule, now: Timestamp) -> bool {
        let hour = |at: Timestamp| at.0.div_euclid(HOUR);
        let known = self.judged.get(&resource.id).filter(|judged| judged.rule == rule.name);
        let holds = known.is_some_and(|judged| {
            let same_hour = judged.at.0 > i64::MIN && hour(judged.at) == hour(now);
            same_hour || judged.at.0 > i64::MIN && !is_close(&judged.evidence.verdict)
        });
        !(holds && resource.id.kind.has_power())
    }

    /// Whether the planner has to see it: something may be done about it or is remembered of it.
    fn is_interesting(&self, assigned: &Assigned<'_>) -> bool {
        let id = &assigned.resource.id;
        let judged = self.judged.get(id);
        let idle = judged.is_some_and(|judged| judged.evidence.verdict == Verdict::AlwaysIdle);
        let unused = !id.kind.has_power()
            && judged.is_some_and(|j| !matches!(j.evidence.verdict, Verdict::InUse { .. }));
        idle || unused || assigned.schedule.is_some() || self.folded.memory.cares.contains_key(id)
    }

    async fn ask_prices(&mut self, interesting: &[&Assigned<'_>], now: Timestamp) {
        let standing = &self.standing;
        for (name, provider) in &self.providers {
            let Some(estate) = provider.estate() else { continue };
            let resources: Vec<&Resource> = interesting
                .iter()
                .map(|assigned| assigned.resource)
                .filter(|resource| resource.id.provider == *name)
                .collect();
            let in_file = |query: &PriceQuery| standing.price(query).is_some();
            self.prices.ask(estate, &resources, &in_file, now).await;
        }
    }

    pub(super) fn saving(&self, resource: &Resource) -> Saving {
        let query = money::query(resource);
        let price = self.standing.price(&query).or_else(|| self.prices.listed(&query));
        let config = &self.standing.config;
        let price = price.map(|price| price.in_currency(config.currency, config.cny_per_usd));
        money::saving(resource, price)
    }

    /// Writes down verdicts that are new or different, or were not written down for a while.
    fn record_verdicts(
        &mut self,
        journal: &Journal,
        assigned: &[Assigned<'_>],
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        for assigned in assigned.chunks(VERDICTS_A_RECORD) {
            let due = self.verdicts_to_record(assigned, now);
            if !due.is_empty() {
                journal.record_idle(now, &IdleEntry::Verdicts(due), false)?;
            }
        }
        Ok(())
    }

    fn verdicts_to_record(&mut self, assigned: &[Assigned<'_>], now: Timestamp) -> Vec<Judged> {
        let mut due = Vec::new();
        for assigned in assigned {
            let resource = assigned.resource;
            let Some(judged) = self.judged.get(&resource.id) else { continue };
            let kind = judged.evidence.verdict.kind();
            let again = match judged.evidence.verdict {
                Verdict::InUse { .. } => VERDICT_AGAIN,
                _ => VERDICT_AGAIN_IDLE,
            };
            let fresh =
                judged.recorded.is_some_and(|(at, before)| before == kind && now.apart(at) < again);
            if fresh {
                continue;
            }
            due.push(Judged {
                resource: resource.id.clone(),
                name: resource.name.clone(),
                class: resource.class.clone(),
                rule: judged.rule.clone(),
                evidence: judged.evidence.clone(),
                saving: Some(self.saving(resource)),
                at: now,
            });
        }
        for judged in &due {
            let kind = judged.evidence.verdict.kind();
            if let Some(known) = self.judged.get_mut(&judged.resource) {
                known.recorded = Some((now, kind));
            }
        }
        due
    }
}

/// A resource and the rule and schedule that have it.
pub(super) struct Assigned<'a> {
    pub(super) resource: &'a Resource,
    pub(super) rule: Option<&'a IdleRule>,
    pub(super) schedule: Option<&'a ScheduleRule>,
}

impl<'a> Assigned<'a> {
    pub(super) fn of(resource: &'a Resource, policy: &'a IdlePolicy) -> Option<Assigned<'a>> {
        let rule = policy.rules.iter().find(|rule| rule.select.selects(resource));
        let schedule = policy
            .schedules
            .iter()
            .find(|rule| resource.id.kind.has_power() && rule.select.selects(resource));
        (rule.is_some() || schedule.is_some()).then_some(Assigned { resource, rule, schedule })
    }

    /// How far back its hours matter; `None` where they do not.
    fn look_back(&self) -> Option<Seconds> {
        let by_rule = self.rule.map(|rule| rule.look_back);
        let by_schedule = self.schedule.filter(|rule| !rule.only_if_idle.0.is_empty());
        by_rule.or(by_schedule.map(|_| Seconds::hours(3)))
    }

    /// Whether facts that take a call of their own are worth asking for.
    pub(super) fn may_be_stopped(&self, judged: &BTreeMap<ResourceId, Judgment>) -> bool {
        let tags = &self.resource.tags;
        let idle = || {
            let judged = judged.get(&self.resource.id);
            judged.is_some_and(|judged| judged.evidence.verdict == Verdict::AlwaysIdle)
        };
        self.resource.id.kind.has_power()
            && (self.rule.is_some_and(|rule| rule.opt_in.holds(tags) && idle())
                || self.schedule.is_some_and(|rule| rule.opt_in.holds(tags)))
    }
}
