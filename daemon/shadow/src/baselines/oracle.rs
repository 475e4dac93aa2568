//! What perfect foresight would have paid: the yardstick of every cost.

/// The fewest unit-steps that serve `needed` at every step, where a unit ordered is paid at once
/// and in service `boot_steps` later.
///
/// Levels are independent: the k-th unit has to be in service wherever at least k are needed. Over
/// a gap it is kept, which costs the gap, or dropped and booted again, which costs the boot,
/// whichever is less. The first boot is paid as far as it lies within the steps. Without a boot, a
/// unit is paid for two steps at least, for an order stands for the whole of its step and a removal
/// takes effect at the next: a need of one step costs two unless something follows at once. There
/// levels are not quite independent, and the figure is a lower bound that no orders may reach.
pub fn perfect_foresight(needed: &[u32], boot_steps: usize) -> u64 {
    let mut levels: Vec<u32> = needed.iter().copied().filter(|level| *level > 0).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut below = 0;
    let mut paid = 0;
    for level in levels {
        // Nothing changes between two sizes that are ever needed.
        let runs = runs(needed, level);
        let one = if boot_steps > 0 {
            level_with_boot(&runs, boot_steps)
        } else {
            level_without_boot(&runs, needed.len())
        };
        paid += one * u64::from(level - below);
        below = level;
    }
    paid
}

/// The stretches `[from, to)` in which at least `level` is needed.
fn runs(needed: &[u32], level: u32) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in needed.iter().enumerate().filter(|(_, need)| **need >= level) {
        match runs.last_mut() {
            Some((_, to)) if *to == at => *to = at + 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}

fn level_with_boot(runs: &[(usize, usize)], boot_steps: usize) -> u64 {
    let served: usize = runs.iter().map(|(from, to)| to - from).sum();
    let gaps: usize = runs.windows(2).map(|pair| (pair[1].0 - pair[0].1).min(boot_steps)).sum();
    let first = runs.first().map_or(0, |(from, _)| (*from).min(boot_steps));
    (served + gaps + first) as u64
}

fn level_without_boot(runs: &[(usize, usize)], steps: usize) -> u64 {
    let served: usize = runs.iter().map(|(from, to)| to - from).sum();
    // What was there before the first step can be released after it.
    let mut carried = runs.first().is_some_and(|(from, _)| *from == 0);
    let mut extra = 0;
    for (index, &(from, to)) in runs.iter().enumerate() {
        let lingers = !carried && to - from == 1 && to < steps;
        extra += u64::from(lingers);
        // The lingering step may serve as the step before the next need.
        carried = lingers && runs.get(index + 1).is_some_and(|next| next.0 == to + 1);
    }
    served as u64 + extra
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Group;
    use super::*;

    /// The cheapest of all sequences of orders, tried one by one. `lead` free steps come first, so
    /// that the first order can be given in time.
    fn brute_force(needed: &[u32], boot_steps: usize) -> u64 {
        let lead = boot_steps.max(1);
        let length = needed.len() + lead;
        let most = needed.iter().copied().max().unwrap_or(1);
        let mut cheapest = u64::MAX;
        let mut orders = vec![1; length];
        loop {
            cheapest = cheapest.min(paid(&orders, needed, lead, boot_steps).unwrap_or(u64::MAX));
            let Some(next) = orders.iter().position(|order| *order < most) else { break };
            orders[..next].fill(1);
            orders[next] += 1;
        }
        cheapest
    }

    /// What these orders cost; `None` where they leave a need unserved.
    fn paid(orders: &[u32], needed: &[u32], lead: usize, boot_steps: usize) -> Option<u64> {
        let mut group = Group::new(1, boot_steps);
        let mut paid = 0;
        for (step, order) in orders.iter().enumerate() {
            group.begin();
            group.order(*order);
            let Some(place) = step.checked_sub(lead) else { continue };
            if group.in_service < needed[place] {
                return None;
            }
            paid += u64::from(group.paid());
        }
        Some(paid)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            // The same cases in every run; a found one becomes a test of its own.
            rng_seed: proptest::test_runner::RngSeed::Fixed(60),
            failure_persistence: None,
            ..ProptestConfig::with_cases(60)
        })]

        #[test]
        fn no_sequence_of_orders_is_cheaper(
            needed in prop::collection::vec(1u32..=3, 3..=6),
            boot_steps in 0usize..=2,
        ) {
            let (found, cheapest) =
                (perfect_foresight(&needed, boot_steps), brute_force(&needed, boot_steps));
            prop_assert!(found <= cheapest, "{} above {}", found, cheapest);
            prop_assert!(boot_steps == 0 || found == cheapest, "{} below {}", found, cheapest);
        }
    }

    #[test]
    fn without_a_boot_levels_may_share_what_no_order_can() {
        assert_eq!(perfect_foresight(&[2, 3, 1, 3, 2], 0), 12);
        assert_eq!(brute_force(&[2, 3, 1, 3, 2], 0), 13);
    }

    #[test]
    fn a_gap_shorter_than_a_boot_is_bridged() {
        assert_eq!(perfect_foresight(&[2, 1, 2], 3), 6);
        assert_eq!(perfect_foresight(&[2, 1, 1, 1, 1, 2], 3), 6 + 2 + 3);
        assert_eq!(perfect_foresight(&[1, 1, 2], 1), 3 + 1 + 1);
    }

    #[test]
    fn sizes_far_apart_cost_no_more_to_compute() {
        assert_eq!(perfect_foresight(&[1, 1_000_000, 1], 1), 3 + 2 * 999_999);
    }

    #[test]
    fn without_a_boot_a_need_of_one_step_is_paid_twice() {
        assert_eq!(perfect_foresight(&[1, 2, 1, 1], 0), 4 + 2);
        assert_eq!(perfect_foresight(&[1, 2, 2, 1], 0), 4 + 2);
    }
}
