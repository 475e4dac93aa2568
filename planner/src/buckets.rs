//! Token buckets: how many removals a group, an account and the fleet have left.

use fleet::{Seconds, Timestamp, Units};

use crate::memory::Bucket;
use crate::policy::{Budget, Share};

/// What a bucket holds for a whole of `size` units: the budget's share of it, in thousandths.
fn holds_milli(budget: &Budget, size: u64) -> u64 {
    let share = (budget.share.fraction() * 1e6).round() as u128;
    let of_size = u128::from(size) * share / 1000;
    u64::try_from(of_size).unwrap_or(u64::MAX).max(u64::from(budget.at_least.0) * 1000)
}

impl Budget {
    /// A share of the budget of a whole of `size` units: so much less at once, one at least, and so
    /// much less in the long run.
    pub(crate) fn part(self, share: Share, size: u64) -> Budget {
        let millionths = |share: Share| (share.fraction() * 1e6).round() as u64;
        let of_both = millionths(self.share) * millionths(share) / 1_000_000;
        let part = Budget {
            share: u32::try_from(of_both).ok().and_then(Share::from_millionths).unwrap_or_default(),
            at_least: self.at_least.min(Units(1)),
            per: self.per,
        };
        // What cannot be had in less than a unit at once is had less often.
        let per = u128::from(self.per.0) * u128::from(holds_milli(&part, size)) * 1_000_000;
        let rate = u128::from(holds_milli(&self, size)) * u128::from(millionths(share));
        let per = per.checked_div(rate).and_then(|per| u64::try_from(per).ok());
        Budget { per: Seconds(per.unwrap_or(u64::MAX / 2)), ..part }
    }
}

impl Bucket {
    /// What is still drawn at `now`.
    fn used(&self, budget: &Budget, size: u64, now: Timestamp) -> u64 {
        if budget.per == Seconds::ZERO {
            return 0;
        }
        let elapsed = u128::from(now.since(self.at).0);
        let drained = elapsed * u128::from(holds_milli(budget, size)) / u128::from(budget.per.0);
        self.used_milli.saturating_sub(u64::try_from(drained).unwrap_or(u64::MAX))
    }

    /// Whole units that may go now.
    pub(crate) fn left(&self, budget: &Budget, size: u64, now: Timestamp) -> Units {
        let left = holds_milli(budget, size).saturating_sub(self.used(budget, size, now)) / 1000;
        Units(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// When a whole unit may go again.
    pub(crate) fn refills_at(&self, budget: &Budget, size: u64, now: Timestamp) -> Timestamp {
        let holds = holds_milli(budget, size);
        if holds < 1000 {
            return Timestamp(i64::MAX);
        }
        let surplus = u128::from(self.used(budget, size, now).saturating_sub(holds - 1000));
        let wait = (surplus * u128::from(budget.per.0)).div_ceil(u128::from(holds));
        now + Seconds(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Draws `units`.
    pub(crate) fn draw(&mut self, budget: &Budget, size: u64, now: Timestamp, units: Units) {
        let used = self.used(budget, size, now);
        *self = Bucket { used_milli: used.saturating_add(u64::from(units.0) * 1000), at: now };
    }

    /// Gives back `units` that were drawn and never removed.
    pub(crate) fn give_back(&mut self, units: Units) {
        self.used_milli = self.used_milli.saturating_sub(u64::from(units.0) * 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Budgets;

    #[test]
    fn a_group_of_thirty_loses_three_in_ten_minutes_and_gets_them_back_one_by_one() {
        let budget = Budgets::default().group.unwrap();
        let mut bucket = Bucket::default();
        let now = Timestamp(1_000_000);
        assert_eq!(bucket.left(&budget, 30, now), Units(3));
        bucket.draw(&budget, 30, now, Units(3));
        assert_eq!(bucket.left(&budget, 30, now), Units(0));
        assert_eq!(bucket.refills_at(&budget, 30, now), now + Seconds(200));
        assert_eq!(bucket.left(&budget, 30, now + Seconds(199)), Units(0));
        assert_eq!(bucket.left(&budget, 30, now + Seconds(200)), Units(1));
        assert_eq!(bucket.left(&budget, 30, now + Seconds(600)), Units(3));
        bucket.give_back(Units(3));
        assert_eq!(bucket.left(&budget, 30, now), Units(3));
    }

    #[test]
    fn a_small_group_is_never_frozen_and_a_budget_of_nothing_never_refills() {
        let budget = Budgets::default().group.unwrap();
        assert_eq!(Bucket::default().left(&budget, 2, Timestamp(0)), Units(1));
        let none = Budget { at_least: Units(0), ..budget };
        assert_eq!(Bucket::default().left(&none, 2, Timestamp(0)), Units(0));
        assert_eq!(Bucket::default().refills_at(&none, 2, Timestamp(0)), Timestamp(i64::MAX));
    }
}
