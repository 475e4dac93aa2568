//! `[promotion]`: what a service or rule must show in shadow before it acts, and what takes that
//! back.

use planner::Seconds;
use planner::policy::Share;
use planner::stage::{Gate, Promotion, RegretLimits};

use super::reader::Table;

/// Whether a service or rule acts only once somebody has promoted it.
pub(super) const PROMOTIONS: [(&str, bool); 2] = [("none", false), ("gated", true)];

/// Reads the table; which services and rules are gated, they say themselves.
pub(super) fn promotion(root: &Table<'_>) -> Promotion {
    let mut promotion = Promotion::default();
    let Some(table) = root.get("promotion").and_then(|entry| entry.table()) else {
        return promotion;
    };
    let share = |key: &str| table.get(key).and_then(|entry| entry.share());
    let count = |key: &str, least: u64| {
        let whole = table.get(key).and_then(|entry| entry.whole(least..=1_000_000));
        whole.and_then(|whole| u32::try_from(whole).ok())
    };
    let Gate { shadow_for, decisions, worse_by, dearer_by } = promotion.gate;
    // Scorecards are kept for five weeks.
    let span = Seconds(0)..=Seconds::days(30);
    promotion.gate = Gate {
        shadow_for: table
            .get("shadow_for")
            .and_then(|entry| entry.duration(span))
            .unwrap_or(shadow_for),
        decisions: count("decisions", 0).unwrap_or(decisions),
        worse_by: share("worse_by").unwrap_or(worse_by),
        dearer_by: share("dearer_by").unwrap_or(dearer_by),
    };
    let RegretLimits { times_budget, violations, removals } = promotion.regret;
    promotion.regret = RegretLimits {
        times_budget: count("regret_times_budget", 1).unwrap_or(times_budget),
        violations: count("regret_violations", 0).unwrap_or(violations),
        removals: count("regret_removals", 1).unwrap_or(removals),
    };
    promotion.wrong_stops = share("wrong_stops").unwrap_or(promotion.wrong_stops);
    table.finish();
    promotion
}

/// A share as it is typed: `25%`.
pub fn share(text: &str) -> Option<Share> {
    super::value::share(text).filter(|share| *share > Share::NONE)
}
