//! The answer as tables for people, or as one value for machines.

use std::fmt::Write;

use fleet::Seconds;
use planner::policy::Share;
use serde::Serialize;

use super::advice::{Advice, percent};
use super::setting::Setting;
use super::study::{Row, Study, overall};

/// All that is told.
#[derive(Clone, Debug, Serialize)]
pub struct TuneAnswer {
    /// Each load.
    pub series: Vec<Study>,
    /// All of them in one, where there are several.
    pub all: Option<Vec<Row>>,
    /// What runs today.
    pub today: Option<Setting>,
    /// What to make of it.
    pub advice: Option<Advice>,
}

impl TuneAnswer {
    /// Sums up `series`.
    pub fn of(series: Vec<Study>, promise: Share, today: Option<Setting>) -> TuneAnswer {
        let all = overall(&series);
        let mut answer = TuneAnswer { series, all, today, advice: None };
        answer.advice = Advice::of(answer.rows(), promise, today);
        answer
    }

    /// The rows that are judged: those of all loads together, or of the only one.
    pub fn rows(&self) -> &[Row] {
        let only = || self.series.first().map_or(&[][..], |study| &study.policies);
        self.all.as_deref().unwrap_or_else(only)
    }

    /// What the rows are about.
    pub fn subject(&self) -> String {
        match self.series.as_slice() {
            [only] => only.series.clone(),
            several => format!("{} series", several.len()),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for study in &self.series {
            heading(&mut text, study);
            table(&mut text, &study.policies, self.today);
            text.push('\n');
        }
        if let Some(rows) = &self.all {
            text += &format!(
                "all {} series: geometric mean of cost, arithmetic mean of all else\n",
                self.series.len()
            );
            table(&mut text, rows, self.today);
            text.push('\n');
        }
        text += "`violations`: steps whose demand exceeded capacity in service; `cost`: units paid \
                 for,\nas a multiple of what perfect foresight would have paid.\n";
        if let Some(advice) = &self.advice {
            text += &format!("\n{advice}\n");
        }
        text
    }
}

fn heading(text: &mut String, study: &Study) {
    let lead_time = Seconds(study.lead_time_seconds);
    let step = Seconds(u64::from(study.step_seconds));
    let capacity = super::super::backtest::digits(study.capacity_per_unit);
    let Study { series, scored_from, scored_until, perfect_units, removal_budgets, .. } = study;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{series}: {scored_from} to {scored_until} by {step}, lead time {lead_time}, a unit carries \
         {capacity}, perfect foresight {perfect_units:.1} units\nneap's removal budgets: {removal_budgets}"
    );
}

fn table(text: &mut String, rows: &[Row], today: Option<Setting>) {
    *text += "family           setting  violations    cost  mean units  changes/day\n";
    for row in rows {
        let Row { family, setting, violations, cost, mean_units, changes_a_day } = row;
        let (setting_text, violations) = (setting.to_string(), percent(*violations));
        let mark = if today == Some(*setting) { "  today" } else { "" };
        let _ = writeln!(
            text,
            "{family:15}  {setting_text:>7}  {violations:>10}  {cost:6.2}  {mean_units:10.1}  \
             {changes_a_day:11.1}{mark}"
        );
    }
}
