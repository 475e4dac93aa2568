//! `[promotion]`: what a service or rule must show in shadow before it acts, and what takes that
//! back.

use fleet::Seconds;
use planner::policy::Share;
use planner::stage::{Gate, Promotion, RegretLimits};

use super::keys::Key;
use super::keys::root::{promotion as known, top};
use super::reader::Table;

/// Whether a service or rule acts only once somebody has promoted it.
pub(super) const PROMOTIONS: [(&str, bool); 2] = [("none", false), ("gated", true)];

/// Reads the table; which services and rules are gated, they say themselves.
pub(super) fn promotion(root: &Table<'_>) -> Promotion {
    let mut promotion = Promotion::default();
    let Some(table) = root.get(&top::PROMOTION).and_then(|entry| entry.table()) else {
        return promotion;
    };
    let share = |key: &Key| table.get(key).and_then(|entry| entry.share());
    let count = |key: &Key, least: u64| {
        let whole = table.get(key).and_then(|entry| entry.whole(least..=1_000_000));
        whole.and_then(|whole| u32::try_from(whole).ok())
    };
    let Gate { shadow_for, decisions, worse_by, dearer_by } = promotion.gate;
    // Scorecards are kept for five weeks.
    let span = Seconds(0)..=Seconds::days(30);
    promotion.gate = Gate {
        shadow_for: table
            .get(&known::SHADOW_FOR)
            .and_then(|entry| entry.duration(span))
            .unwrap_or(shadow_for),
        decisions: count(&known::DECISIONS, 0).unwrap_or(decisions),
        worse_by: share(&known::WORSE_BY).unwrap_or(worse_by),
        dearer_by: share(&known::DEARER_BY).unwrap_or(dearer_by),
    };
    let RegretLimits { times_budget, violations, removals } = promotion.regret;
    promotion.regret = RegretLimits {
        times_budget: count(&known::REGRET_TIMES_BUDGET, 1).unwrap_or(times_budget),
        violations: count(&known::REGRET_VIOLATIONS, 0).unwrap_or(violations),
        removals: count(&known::REGRET_REMOVALS, 1).unwrap_or(removals),
    };
    promotion.wrong_stops = share(&known::WRONG_STOPS).unwrap_or(promotion.wrong_stops);
    table.finish();
    promotion
}

/// A share as it is typed: `25%`.
pub fn share(text: &str) -> Option<Share> {
    super::value::share(text).filter(|share| *share > Share::NONE)
}
