//! One row a resource and rule, made of the newest verdict and the newest finding.

use std::collections::BTreeMap;

use fleet::money::{Saving, Savings};
use fleet::resource::ResourceId;
use fleet::signs::Clue;
use fleet::{OrTold, Seconds, Timestamp};
use journal::records::idle::{Folded, Judged};
use planner::idle::evidence::{Evidence, Row as Numbers, Verdict, VerdictKind};
use planner::idle::plan::{FoundBy, IdleHold, Stage};
use serde::{Serialize, Serializer};

use super::HOURS_A_MONTH;

const HOURS_A_WEEK: f64 = 168.0;

/// What is known of one resource under one rule or schedule.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub resource: ResourceId,
    pub name: String,
    /// Its type.
    pub class: Option<String>,
    /// Which rule or schedule.
    pub rule: FoundBy,
    /// The verdict, where a rule gave one.
    #[serde(serialize_with = "kind_in_a_word")]
    pub verdict: Option<VerdictKind>,
    /// Where it stands.
    #[serde(serialize_with = "in_words")]
    pub stage: Stage,
    /// The approval that it waits for.
    pub approval: Option<String>,
    /// Why nothing is done.
    #[serde(serialize_with = "each_in_words")]
    pub holds: Vec<IdleHold>,
    pub numbers: Option<Evidence>,
    /// What a stop would save.
    pub saving: Option<Saving>,
    /// When neap stopped it, where it has not come up since.
    pub stopped_at: Option<Timestamp>,
}

fn kind_in_a_word<S: Serializer>(
    kind: &Option<VerdictKind>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    kind.map(VerdictKind::word).serialize(serializer)
}

fn in_words<S: Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(stage)
}

fn each_in_words<S: Serializer>(holds: &[IdleHold], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(holds.iter().map(ToString::to_string))
}

impl Row {
    /// Whether it belongs in a short listing.
    pub fn is_telling(&self) -> bool {
        let routine = match &self.stage {
            Stage::OnSchedule { .. } => {
                self.holds.iter().all(|hold| *hold == IdleHold::AsScheduled)
            }
            Stage::Kept => true,
            _ => false,
        };
        !routine || self.verdict == Some(VerdictKind::IdleByTheClock)
    }

    /// What a stop saves per month; for what is idle by the clock, a schedule.
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
        self.evidence_by(&|row| row.brief(), &OrTold::to_string).join(", ")
    }

    /// Its parts, in the wording of a language.
    pub(crate) fn evidence_by(
        &self,
        brief: &dyn Fn(&Numbers) -> String,
        clue: &dyn Fn(&OrTold<Clue>) -> String,
    ) -> Vec<String> {
        let Some(numbers) = &self.numbers else { return Vec::new() };
        let counted = numbers.rows.iter().filter(|row| row.limit_milli.is_some());
        let mut parts: Vec<String> = counted.map(brief).collect();
        let hours = numbers.rows.iter().map(|row| (row.hours, row.of)).min();
        parts.extend(hours.map(|(hours, of)| format!("{hours}/{of} h")));
        parts.extend(numbers.looked_at.as_ref().map(clue));
        parts
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
            rule: (&judged.rule).into(),
            verdict: Some(judged.evidence.verdict.kind()),
            stage: Stage::Kept,
            approval: None,
            // As a finding of it has it.
            holds: match judged.evidence.verdict.clone() {
                Verdict::AlwaysIdle => Vec::new(),
                Verdict::IdleByTheClock(pattern) => vec![IdleHold::IdleByTheClock(pattern)],
                Verdict::InUse { by } => vec![IdleHold::InUse(by)],
                Verdict::NotEnoughData(lack) => vec![IdleHold::NotEnoughData(lack)],
            },
            numbers: Some(judged.evidence.clone()),
            saving: judged.saving.clone(),
            stopped_at: None,
        };
        rows.insert((id.clone(), FoundBy::from(&judged.rule)), row);
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
            stage: Stage::Kept,
            approval: None,
            holds: Vec::new(),
            numbers: None,
            saving: None,
            stopped_at: None,
        });
        row.stage = finding.stage.clone();
        row.holds.clone_from(&finding.holds);
        if let Some(seen) = seen {
            row.saving.clone_from(&seen.saving);
            if seen.rule.is_some() && seen.rule.as_ref() == rule.rule() {
                row.numbers.clone_from(&seen.evidence);
                row.verdict = seen.evidence.as_ref().map(|evidence| evidence.verdict.kind());
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
            Some((micro, currency.or((micro == 0).then_some(fleet::money::Currency::Usd))?))
        });
        if let (Some(at), Some((micro, currency))) = (row.stopped_at, hourly) {
            *savings.since_stopped_micro.entry(currency).or_default() +=
                micro.saturating_mul(now.since(at).0) / Seconds::hours(1).0;
        }
        let sum = match (&row.stage, row.verdict, row.stopped_at) {
            (_, _, Some(_)) => &mut savings.realised,
            (Stage::Marked { .. } | Stage::Acting(_), _, _) => &mut savings.marked,
            (_, Some(VerdictKind::AlwaysIdle), _) => &mut savings.found,
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
