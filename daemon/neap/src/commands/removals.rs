//! How much may be taken away in a simulation: what `neap run` would allow, unless lifted.

use planner::policy::{Budget, Budgets};

/// Whether a simulation keeps the removal budgets.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Removals {
    /// Let any number of units go at once, as `neap run` never does: shows what the removal budgets
    /// cost.
    #[arg(long)]
    pub without_removal_budgets: bool,
}

impl Removals {
    /// The budgets to simulate with, where `kept` are those of `neap run`.
    pub fn budgets(self, kept: Budgets) -> Budgets {
        if self.without_removal_budgets { LIFTED } else { kept }
    }
}

/// No limit at all.
pub const LIFTED: Budgets = Budgets { group: None, account: None, fleet: None };

/// The budgets in words, as an operator writes them; `none` where all are lifted.
pub fn worded(budgets: &Budgets) -> String {
    let Budgets { group, account, fleet } = budgets;
    let of = |budget: &Option<Budget>, whole: &str| {
        budget.map(|Budget { share, at_least, per }| {
            let least =
                if at_least.0 == 1 { String::new() } else { format!(", at least {}", at_least.0) };
            format!("{whole} {share} per {per}{least}")
        })
    };
    let limits: Vec<String> = [of(group, "group"), of(account, "account"), of(fleet, "fleet")]
        .into_iter()
        .flatten()
        .collect();
    if limits.is_empty() { "none".to_owned() } else { limits.join("; ") }
}

#[cfg(test)]
mod tests {
    use fleet::Units;

    use super::*;

    #[test]
    fn budgets_are_worded_as_operators_write_them() {
        let defaults = Budgets::default();
        assert_eq!(worded(&defaults), "group 10% per 10m; account 5% per 1h; fleet 2% per 1h");
        assert_eq!(worded(&LIFTED), "none");
        let two = defaults.account.map(|budget| Budget { at_least: Units(2), ..budget });
        let only = Budgets { account: two, ..LIFTED };
        assert_eq!(worded(&only), "account 5% per 1h, at least 2");
    }
}
