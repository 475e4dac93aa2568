//! One row a resource and rule, made of the newest verdict and the newest finding.

use std::collections::BTreeMap;

use planner::idle::evidence::{Evidence, Verdict};
use planner::idle::money::{Saving, Savings};
use planner::idle::plan::{IdleHold, Stage};
use planner::idle::resource::ResourceId;
use planner::idle::rule::RuleName;
use planner::{Seconds, Timestamp};
use serde::Serialize;

use super::HOURS_A_MONTH;
use crate::idle::record::{Folded, Judged};

const HOURS_A_WEEK: f64 = 168.0;

/// What is known of one resource under one rule or schedule.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which resource.
    pub resource: ResourceId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub class: Option<String>,
    /// Which rule or schedule.
    pub rule: RuleName,
    /// The verdict, where a rule gave one.
    pub verdict: Option<&'static str>,
    /// Where it stands, in words.
    pub stage: String,
    /// The approval that it waits for.
    pub approval: Option<String>,
    /// Why nothing is done, in words.
    pub holds: Vec<String>,
    /// The numbers.
    pub numbers: Option<Evidence>,
    /// What a stop would save.
    pub saving: Option<Saving>,
    /// When neap stopped it, where it has not come up since.
    pub stopped_at: Option<Timestamp>,
    #[serde(skip)]
    stands: Option<Stage>,
}

impl Row {
    /// Whether it belongs in a short listing.
    pub fn is_telling(&self) -> bool {
        let routine = match &self.stands {
            Some(Stage::OnSchedule { .. }) => self.holds.iter().all(|hold| hold == "as scheduled"),
            Some(Stage::Kept) | None => true,
            Some(_) => false,
        };
        !routine || self.verdict == Some("idle by the clock")
    }

    /// What a stop saves a month; for what is idle by the clock, a schedule.
    pub fn monthly(&self) -> Option<String> {
        let saving = self.saving.as_ref()?;
        let share = match self.numbers.as_ref().map(|numbers| &numbers.verdict) {
            Some(Verdict::IdleByTheClock(pattern)) => pattern.idle_hours() as f64 / HOURS_A_WEEK,
            _ => 1.0,
        };
        let micro = saving.hourly_micro? as f64 * share;
        let currency = saving.price.as_ref().map(|price| price.currency.to_string());
        let amount = micro * HOURS_A_MONTH / 1e6;
        Some(format!("{amount:.2} {}", currency.unwrap_or_default()).trim_end().to_owned())
    }

    /// The numbers in one line: each signal's most against its limit.
    pub fn evidence(&self) -> String {
        let Some(numbers) = &self.numbers else { return String::new() };
        let counted = numbers.rows.iter().filter(|row| row.limit_milli.is_some());
        let most: Vec<String> = counted.map(|row| row.brief()).collect();
        let hours = numbers.rows.iter().map(|row| (row.hours, row.of)).min();
        let mut parts = most;
        parts.extend(hours.map(|(hours, of)| format!("{hours}/{of} h")));
        parts.extend(numbers.looked_at.clone());
        parts.join(", ")
    }
}

/// All rows, by resource.
pub fn rows(folded: &Folded, verdicts: &BTreeMap<ResourceId, Judged>) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    for (id, judged) in verdicts {
        let row = Row {
            resource: id.clone(),
            name: judged.name.clone(),
            class: judged.class.clone(),
            rule: judged.rule.clone(),
            verdict: Some(judged.evidence.verdict.word()),
            stage: "kept".to_owned(),
            approval: None,
            holds: match &judged.evidence.verdict {
                Verdict::AlwaysIdle => Vec::new(),
                // With the schedule that would save there, as a finding of it has it.
                Verdict::IdleByTheClock(pattern) => {
                    vec![IdleHold::IdleByTheClock(pattern.clone()).to_string()]
                }
                other => vec![other.to_string()],
            },
            numbers: Some(judged.evidence.clone()),
            saving: judged.saving.clone(),
            stopped_at: None,
            stands: None,
        };
        rows.insert((id.clone(), judged.rule.clone()), row);
    }
    for ((id, rule), finding) in &folded.findings {
        let Some(id) = id else { continue };
        let seen = folded.seen.get(id);
        let row = rows.entry((id.clone(), rule.clone())).or_insert_with(|| Row {
            resource: id.clone(),
            name: seen.map_or_else(|| id.id.clone(), |seen| seen.resource.name.clone()),
            class: seen.and_then(|seen| seen.resource.class.clone()),
            rule: rule.clone(),
            verdict: None,
            stage: String::new(),
            approval: None,
            holds: Vec::new(),
            numbers: None,
            saving: None,
            stopped_at: None,
            stands: None,
        });
        row.stage = finding.stage.to_string();
        row.holds = finding.holds.iter().map(ToString::to_string).collect();
        if let Some(seen) = seen {
            row.saving.clone_from(&seen.saving);
            if seen.rule.as_ref() == Some(rule) {
                row.numbers.clone_from(&seen.evidence);
                row.verdict = seen.evidence.as_ref().map(|evidence| evidence.verdict.word());
            }
        }
        if let Stage::Marked { approval, .. } = &finding.stage {
            row.approval.clone_from(approval);
        }
        let care = folded.memory.cares.get(id);
        row.stopped_at = care.and_then(|care| care.stopped.as_ref()).map(|stopped| stopped.at);
        let asked = care.and_then(|care| care.asked.as_ref());
        let waits = asked.filter(|asked| asked.given.is_none()).map(|asked| asked.id.clone());
        if let (Stage::OnSchedule { .. }, Some(waits)) = (&finding.stage, waits) {
            row.approval = Some(waits);
        }
        row.stands = Some(finding.stage.clone());
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|a, b| (a.resource.place(), &a.rule).cmp(&(b.resource.place(), &b.rule)));
    rows
}

/// What all rows together save as of `now`: each resource once.
pub fn savings(rows: &[Row], now: Timestamp) -> Savings {
    let mut savings = Savings::default();
    let mut counted: Option<&ResourceId> = None;
    for row in rows {
        if counted == Some(&row.resource) {
            continue;
        }
        let hourly = row.saving.as_ref().and_then(|saving| {
            let micro = saving.hourly_micro?;
            // What saves nothing needs no price for it.
            let currency = saving.price.as_ref().map(|price| price.currency);
            Some((micro, currency.or((micro == 0).then_some(planner::idle::money::Currency::Usd))?))
        });
        if let (Some(at), Some((micro, currency))) = (row.stopped_at, hourly) {
            *savings.since_stopped_micro.entry(currency).or_default() +=
                micro.saturating_mul(now.since(at).0) / Seconds::hours(1).0;
        }
        let sum = match (&row.stands, row.verdict, row.stopped_at) {
            (_, _, Some(_)) => &mut savings.realised,
            (Some(Stage::Marked { .. } | Stage::Acting(_)), _, _) => &mut savings.marked,
            (_, Some("always idle"), _) => &mut savings.found,
            _ => continue,
        };
        counted = Some(&row.resource);
        sum.add(hourly);
    }
    // What is marked or stopped was found.
    let (marked, realised) = (savings.marked.clone(), savings.realised.clone());
    for part in [marked, realised] {
        for (currency, micro) in &part.hourly_micro {
            savings.found.add(Some((*micro, *currency)));
        }
        savings.found.unknown += part.unknown;
    }
    savings
}
