//! What a digest is made of, from what the daemon knows and has written down.

use std::collections::BTreeMap;

use config::Span;
use fleet::alert::Severity;
use fleet::money::Savings;
use fleet::{ServiceName, Timestamp};
use journal::ledger;
use journal::records::Chart;
use journal::records::idle::IdleEntry;
use journal::{AlertEntry, EntryKind, JournalFault, Reader};
use planner::idle::plan::Verb;
use planner::idle::snapshot::PowerResult;
use planner::memory::Memory;
use planner::policy::{Mode, Policy, Share};
use planner::snapshot::OrderResult;
use serde::Serialize;
use shadow::{self, Questioned, Scorecard, Scores};

use super::chart::chart;
use crate::idle::rows::{rows, savings};
use crate::money::Money;

/// How services stand at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Whether each acts, and what it promises.
    services: BTreeMap<ServiceName, (bool, Share)>,
    /// Those whose gate is met.
    offered: Vec<ServiceName>,
    /// Those that regret took back, and when.
    taken_back: Vec<(Timestamp, ServiceName)>,
}

impl Standing {
    /// How they stand under a policy.
    pub fn of(policy: &Policy, memory: &Memory, scores: &Scores, now: Timestamp) -> Standing {
        let services = policy.services.iter().map(|(name, service)| {
            let acts = memory.stages.mode(policy, name, service) == Mode::Act;
            (name.clone(), (acts, service.violation_budget))
        });
        let offers = shadow::offers(policy, memory, scores, now).into_iter();
        let stages = memory.stages.services.iter().filter(|(_, stage)| stage.why.is_regret());
        Standing {
            services: services.collect(),
            offered: offers.filter(|(_, offer)| offer.is_ready()).map(|(name, _)| name).collect(),
            taken_back: stages.map(|(name, stage)| (stage.since, name.clone())).collect(),
        }
    }
}

/// Orders that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Orders {
    /// To grow a group.
    pub out: u32,
    /// To shrink one.
    #[serde(rename = "in")]
    pub in_: u32,
    /// To stop a machine.
    pub stops: u32,
    pub starts: u32,
    /// Those of all that came to nothing.
    pub failed: u32,
}

/// A service in the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceFacts {
    /// Whether it acts; otherwise its orders are shown alone.
    pub acts: bool,
    /// Its promise: the share of intervals that may be violations.
    pub promise: Share,
    /// What happened, and what would have.
    pub scorecard: Scorecard,
}

/// Idle resources, as they stand now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IdleFacts {
    /// What stops save.
    pub savings: Savings,
    /// What waits for a yes or no, by name: `provider/region/id`.
    pub waiting: Vec<String>,
}

fn money<S: serde::Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    money.json().serialize(serializer)
}

/// What a digest is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// Cycles and looks at idle resources left a record.
    pub recorded: bool,
    /// Orders that were given.
    pub orders: Orders,
    /// Services that have a scorecard in the span.
    pub services: BTreeMap<ServiceName, ServiceFacts>,
    /// What the services cost, and what they saved this month.
    #[serde(serialize_with = "money")]
    pub money: Money,
    /// Idle resources, where they are looked at.
    pub idle: Option<IdleFacts>,
    /// Services whose gate is met.
    pub offered: Vec<ServiceName>,
    /// Services that regret took back in the span.
    pub taken_back: Vec<ServiceName>,
    /// Alerts that somebody should look at.
    pub warnings: u32,
    /// Alerts that somebody must act on.
    pub critical: u32,
    /// The most questionable decision that turned out so in the span.
    pub worst: Option<Questioned>,
    /// The last days of all services.
    #[serde(skip)]
    pub chart: Chart,
}

impl Facts {
    /// What scorecards say of a span.
    pub fn scored(span: Span, standing: Standing, scores: &Scores) -> Facts {
        let money = Money::of_days(scores, span.first()..=span.last);
        let mut facts = Facts { chart: chart(span, scores), money, ..Facts::default() };
        for (_, day) in scores.days.range(span.first()..=span.last) {
            for (name, card) in &day.services {
                let Some((acts, promise)) = standing.services.get(name) else { continue };
                let service = facts.services.entry(name.clone()).or_insert(ServiceFacts {
                    acts: *acts,
                    promise: *promise,
                    scorecard: Scorecard::default(),
                });
                service.scorecard.add(card);
            }
        }
        let days = scores.days.range(span.first()..=span.last);
        let worst = days.filter_map(|(_, day)| day.questioned.first().cloned()).collect();
        facts.worst = shadow::rank(worst, 1).pop();
        facts.recorded = !facts.services.is_empty();
        facts.offered = standing.offered;
        let within = |at: Timestamp| (span.from()..span.until()).contains(&at);
        let taken_back = standing.taken_back.into_iter().filter(|(at, _)| within(*at));
        facts.taken_back = taken_back.map(|(_, name)| name).collect();
        facts
    }

    /// Adds what the journal says of the span. `None` where it began after it: there is nothing to
    /// tell.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn read(mut self, span: Span, reader: &Reader) -> Result<Option<Facts>, JournalFault> {
        let began = reader.plain_entries(Timestamp(0)..span.until()).next().transpose()?;
        if began.is_none() && !self.recorded {
            return Ok(None);
        }
        for entry in reader.plain_entries(span.from()..span.until()) {
            self.take(&entry?.kind);
        }
        let end = reader.end()?.unwrap_or(Timestamp(0));
        let recalled = ledger::recall(reader, end)?;
        if recalled.looked_at.is_some() {
            let all = rows(&recalled.folded, &ledger::verdicts(reader, end)?);
            let waiting = all.iter().filter(|row| row.approval.is_some());
            let mut waiting: Vec<String> = waiting.map(|row| row.resource.to_string()).collect();
            waiting.sort();
            waiting.dedup();
            self.idle = Some(IdleFacts { savings: savings(&all, end), waiting });
        }
        Ok(Some(self))
    }

    /// The sum of the services that act, or of those that do not.
    pub fn sum(&self, acts: bool) -> (usize, Scorecard) {
        let mut sum = Scorecard::default();
        let those = self.services.values().filter(|service| service.acts == acts);
        (those.map(|service| sum.add(&service.scorecard)).count(), sum)
    }

    fn take(&mut self, record: &EntryKind) {
        match record {
            EntryKind::Intent(intent) if intent.change.is_increase() => self.orders.out += 1,
            EntryKind::Intent(_) => self.orders.in_ += 1,
            EntryKind::Outcome(outcome) => {
                let failed = matches!(
                    outcome.result,
                    OrderResult::Moved { .. }
                        | OrderResult::Stopped
                        | OrderResult::Owned { .. }
                        | OrderResult::Failed { .. }
                        | OrderResult::Unconfirmed { effect_seen: Some(false) }
                );
                self.orders.failed += u32::from(failed);
            }
            EntryKind::Alert(AlertEntry::Raised(alert)) => match alert.severity {
                Severity::Critical => self.critical += 1,
                Severity::Warning => self.warnings += 1,
                Severity::Info => {}
            },
            EntryKind::Alert(AlertEntry::Notice(notice)) if notice.begins() => {
                match notice.alert.severity {
                    Severity::Critical => self.critical += 1,
                    Severity::Warning => self.warnings += 1,
                    Severity::Info => {}
                }
            }
            EntryKind::Idle(body) => self.take_idle(body),
            _ => {}
        }
    }

    fn take_idle(&mut self, body: &[u8]) {
        match journal::decode(body) {
            Ok(IdleEntry::Look(_)) => self.recorded = true,
            Ok(IdleEntry::Intents(intents)) => {
                for intent in intents {
                    match intent.action.verb {
                        Verb::Stop(_) => self.orders.stops += 1,
                        Verb::Start => self.orders.starts += 1,
                    }
                }
            }
            Ok(IdleEntry::Outcomes(outcomes)) => {
                let failed = outcomes.iter().filter(|outcome| {
                    matches!(
                        outcome.result,
                        PowerResult::Moved { .. }
                            | PowerResult::Withheld
                            | PowerResult::Failed { .. }
                            | PowerResult::Unconfirmed { effect_seen: Some(false) }
                    )
                });
                self.orders.failed += failed.count() as u32;
            }
            // What cannot be read is what `neap journal verify` speaks of.
            _ => {}
        }
    }
}
