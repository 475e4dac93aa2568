//! What is counted from cycle to cycle: a scrape sees how much it was, whenever it comes.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::ServiceName;
use planner::memory::{Count, ViolationAccount};
use planner::plan::Action;
use planner::snapshot::OrderResult;

use crate::board::{Latest, LookInBrief};

/// Upper bounds of the buckets of a cycle's duration, in seconds; a last bucket holds the rest.
pub(super) const CYCLE_BOUNDS: [f64; 11] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];

/// How an order to a group can end.
pub(super) const ORDER_WORDS: [&str; 7] =
    ["applied", "contested", "moved", "stopped", "failed", "unconfirmed", "owned"];
/// How an order to a machine can end, as [`planner::idle::snapshot::PowerResult::word`] has it.
pub(super) const POWER_WORDS: [&str; 5] = ["taken", "moved", "withheld", "failed", "unconfirmed"];

/// Counts since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Cycles that ended.
    pub cycles: u64,
    /// Cycles that could not be recorded.
    pub failures: u64,
    /// Cycles by how long they took.
    pub durations: [u64; CYCLE_BOUNDS.len() + 1],
    /// How long all of them took, in seconds.
    pub seconds: f64,
    /// Orders by how they ended.
    pub orders: BTreeMap<&'static str, u64>,
    /// Looks at idle resources.
    pub looks: u64,
    /// Orders to machines by how they ended.
    pub power: BTreeMap<&'static str, u64>,
    /// The services of the policy in force.
    pub services: BTreeMap<ServiceName, ServiceTotals>,
}

/// Counts of a service.
#[derive(Clone, Debug, Default)]
pub struct ServiceTotals {
    /// Decisions: down and up, carried out; then down and up, only shown.
    pub decisions: [u64; 4],
    /// Intervals that settled, and violations among them.
    pub judged: Judged,
    newest: Option<(u32, Count)>,
}

/// Intervals and violations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Intervals that settled.
    pub intervals: u64,
    /// Those whose demand exceeded capacity.
    pub violations: u64,
}

/// The account of a service's violations, in brief.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Of the last 28 days.
    pub all: Judged,
    /// Its newest two quarters of a day.
    newest: Vec<(u32, Count)>,
}

impl Account {
    /// What it comes to.
    pub fn of(account: &ViolationAccount) -> Account {
        let (intervals, violations) = account.totals();
        let quarters = &account.quarters;
        let newest = quarters[quarters.len().saturating_sub(2)..].to_vec();
        Account { all: Judged { intervals, violations }, newest }
    }
}

impl ServiceTotals {
    /// Takes in what was counted since the account was last seen: nothing at first.
    fn follow(&mut self, account: &Account) {
        for (quarter, count) in &account.newest {
            let before = match self.newest {
                None => continue,
                Some((seen, _)) if *quarter < seen => continue,
                Some((seen, before)) if *quarter == seen => before,
                Some(_) => Count::default(),
            };
            let more = |now: u32, before: u32| u64::from(now.saturating_sub(before));
            self.judged.intervals += more(count.intervals, before.intervals);
            self.judged.violations += more(count.violations, before.violations);
        }
        self.newest = account.newest.last().copied().or(self.newest);
    }

    fn decided(&mut self, action: &Action) {
        let up = usize::from(action.change.is_increase());
        self.decisions[2 * usize::from(action.dry_run) + up] += 1;
    }
}

impl Totals {
    /// Takes in a cycle.
    pub(crate) fn cycle(&mut self, latest: &Latest) {
        self.cycles += 1;
        self.took(latest.took);
        for (_, result) in &latest.turn.results {
            *self.orders.entry(order_word(result)).or_default() += 1;
        }
        let policy = &latest.policy.services;
        self.services.retain(|name, _| policy.contains_key(name));
        for name in policy.keys() {
            if !self.services.contains_key(name) {
                self.services.insert(name.clone(), ServiceTotals::default());
            }
        }
        for action in &latest.turn.plan.actions {
            if let Some(totals) = self.services.get_mut(&action.service) {
                totals.decided(action);
            }
        }
        for (name, account) in &latest.accounts {
            if let Some(totals) = self.services.get_mut(name) {
                totals.follow(account);
            }
        }
    }

    /// Takes in a cycle that could not be recorded.
    pub(crate) fn failed(&mut self) {
        self.failures += 1;
    }

    /// Takes in a look.
    pub(crate) fn look(&mut self, look: &LookInBrief) {
        self.looks += 1;
        for (word, count) in &look.orders {
            *self.power.entry(word).or_default() += count;
        }
    }

    fn took(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.durations[CYCLE_BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.seconds += seconds;
    }
}

/// A short, stable word for how an order ended.
fn order_word(result: &OrderResult) -> &'static str {
    match result {
        OrderResult::Applied => "applied",
        OrderResult::Contested { .. } => "contested",
        OrderResult::Moved { .. } => "moved",
        OrderResult::Stopped => "stopped",
        OrderResult::Failed { .. } => "failed",
        OrderResult::Unconfirmed { .. } => "unconfirmed",
        OrderResult::Owned { .. } => "owned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(quarters: &[(u32, u32, u32)]) -> Account {
        let count = |(quarter, intervals, violations): &(u32, u32, u32)| {
            (*quarter, Count { intervals: *intervals, violations: *violations })
        };
        let quarters = quarters.iter().map(count).collect();
        Account::of(&ViolationAccount { counted: None, quarters })
    }

    #[test]
    fn violations_are_counted_from_the_first_sight_of_an_account_over_its_quarters() {
        let mut totals = ServiceTotals::default();
        let mut after = |quarters: &[(u32, u32, u32)]| {
            totals.follow(&account(quarters));
            (totals.judged.intervals, totals.judged.violations)
        };
        assert_eq!(after(&[]), (0, 0));
        assert_eq!(after(&[(7, 300, 9), (8, 100, 5)]), (0, 0), "what was before is not counted");
        assert_eq!(after(&[(7, 300, 9), (8, 100, 5)]), (0, 0));
        assert_eq!(after(&[(7, 300, 9), (8, 103, 6)]), (3, 1));
        assert_eq!(
            after(&[(8, 104, 6), (9, 2, 2)]),
            (6, 3),
            "the end of one, the start of another"
        );
        assert_eq!(after(&[(9, 2, 2), (12, 4, 0)]), (10, 3), "quarters without any");
        assert_eq!(after(&[]), (10, 3), "an account that was lost");
        assert_eq!(after(&[(12, 5, 1)]), (11, 4));
    }

    #[test]
    fn an_account_is_of_all_its_quarters() {
        let account = account(&[(1, 10, 1), (2, 20, 2), (3, 30, 3)]);
        assert_eq!(account.all, Judged { intervals: 60, violations: 6 });
        assert_eq!(account.newest.len(), 2);
    }

    #[test]
    fn a_cycle_falls_into_the_bucket_of_its_upper_bound() {
        let mut totals = Totals::default();
        for millis in [0, 50, 51, 60_000, 60_001] {
            totals.took(Duration::from_millis(millis));
        }
        assert_eq!(totals.durations, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!((totals.seconds - 120.102).abs() < 1e-9);
    }

    #[test]
    fn every_ending_of_an_order_has_a_word_of_the_list() {
        use fleet::{Fault, FaultKind, Units};
        use planner::idle::snapshot::PowerResult;
        let fault = || Fault {
            kind: FaultKind::Refused,
            operation: "set".to_owned(),
            detail: String::new(),
            request_id: None,
        };
        let name = || fleet::ServiceName::new("web").unwrap();
        let ends = [
            OrderResult::Applied,
            OrderResult::Contested { found: Units(1), restored: true },
            OrderResult::Moved { found: Units(1) },
            OrderResult::Stopped,
            OrderResult::Failed { fault: fault() },
            OrderResult::Unconfirmed { effect_seen: None },
            OrderResult::Owned { owner: fleet::group::Owner::service(&name()) },
        ];
        assert_eq!(ends.each_ref().map(order_word), ORDER_WORDS);
        assert!(POWER_WORDS.contains(&PowerResult::Taken.word()));
        assert!(POWER_WORDS.contains(&PowerResult::Failed { fault: fault() }.word()));
    }
}
