//! What is decided on the same forecasts: promises, with and without removal budgets.

use std::path::{Path, PathBuf};

use forecaster::Series;
use planner::policy::{Budgets, ServicePolicy, Share};
use rayon::prelude::*;

use super::super::removals::{self, Removals};
use super::policy::promise;
use super::{Decided, Forecasts, Part, Trace};

/// What to decide; each variant into a folder of its own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Variants {
    /// Decide at each of these promises in place of the policy's `violation_budget`, each into a
    /// folder such as `budget-0.5`.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = promise)]
    pub budget: Vec<Share>,
    /// How much may be taken away.
    #[command(flatten)]
    pub removals: Removals,
    /// Decide with the removal budgets and without them, each into a folder of its own.
    #[arg(long, conflicts_with = "without_removal_budgets")]
    pub compare_removal_budgets: bool,
}

/// One way to decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    /// The share of steps that may find too little capacity.
    pub promise: Share,
    /// How much may be taken away.
    pub budgets: Budgets,
}

impl Variants {
    /// Every variant, where the policy has this promise and these budgets.
    pub fn of(&self, usual: Share, kept: Budgets) -> Vec<Variant> {
        let promises = if self.budget.is_empty() { vec![usual] } else { self.budget.clone() };
        let with = [self.removals.budgets(kept)];
        let both = [kept, removals::LIFTED];
        let budgets = if self.compare_removal_budgets { &both[..] } else { &with[..] };
        let of = |promise| budgets.iter().map(move |&budgets| Variant { promise, budgets });
        promises.into_iter().flat_map(of).collect()
    }

    /// Where a variant's decisions go: straight into `output` where it is the only one asked for.
    pub fn folder(&self, variant: &Variant, output: &Path) -> PathBuf {
        if self.budget.is_empty() && !self.compare_removal_budgets {
            return output.to_owned();
        }
        let promise = variant.promise.to_string();
        let lifted = variant.budgets == removals::LIFTED;
        let without = if lifted { "-without-removal-budgets" } else { "" };
        output.join(format!("budget-{}{without}", promise.trim_end_matches('%')))
    }
}

impl Variant {
    /// Decides each of `variants` over the series; what is forecast is forecast once.
    ///
    /// # Errors
    /// A part that lies outside the series.
    pub fn decide_all(
        variants: &[Variant],
        series: &Series,
        part: Part,
        service: &ServicePolicy,
    ) -> anyhow::Result<Vec<Decided>> {
        let Some((first, others)) = variants.split_first() else { return Ok(Vec::new()) };
        let lead_time = service.pool.lead_time;
        let of = |variant: &Variant| {
            let service = ServicePolicy { violation_budget: variant.promise, ..service.clone() };
            (Trace { series, part, lead_time, budgets: variant.budgets }, service)
        };
        let (trace, own) = of(first);
        let (forecasts, decided) = Forecasts::make(&trace, &own)?;
        let again = |variant: &Variant| {
            let (trace, own) = of(variant);
            forecasts.decide(&trace, &own)
        };
        let others: anyhow::Result<Vec<Decided>> = others.par_iter().map(again).collect();
        Ok(std::iter::once(decided).chain(others?).collect())
    }
}

#[cfg(test)]
mod tests {
    use fleet::{Seconds, Step, Timestamp};

    use super::super::PolicyFile;
    use super::*;

    #[test]
    fn forecasts_that_are_shared_lead_to_the_decisions_of_each_variant_alone() {
        let load = (0..4 * 288).map(|n| {
            let turn = f64::from(n % 288) / 288.0 * std::f64::consts::TAU;
            Some(100.0 - 60.0 * turn.cos() + f64::from(n * 7919 % 11))
        });
        let series =
            Series::from_values(Timestamp(1_772_409_600), Step::FIVE_MINUTES, load).unwrap();
        let part = Part::after_warmup(&series, 0.6, None).unwrap();
        let service = PolicyFile::default().service(Seconds::minutes(5));
        let variant = |percent, budgets| Variant { promise: Share::percent(percent), budgets };
        let all = [
            variant(1, Budgets::default()),
            variant(1, removals::LIFTED),
            variant(5, Budgets::default()),
        ];
        let decide =
            |variants: &[Variant]| Variant::decide_all(variants, &series, part, &service).unwrap();
        let together = decide(&all);
        let alone: Vec<Decided> = all.iter().flat_map(|variant| decide(&[*variant])).collect();
        assert_eq!(together, alone);
        assert_ne!(together[0].0, together[2].0, "the promise does not matter");
    }

    #[test]
    fn every_promise_is_decided_with_and_without_budgets_into_folders_of_their_own() {
        let half = promise("0.5%").unwrap();
        let out = Path::new("out");
        let alone = Variants::default();
        let all = alone.of(half, Budgets::default());
        assert_eq!(all, [Variant { promise: half, budgets: Budgets::default() }]);
        assert_eq!(alone.folder(&all[0], out), out);
        let both = Variants {
            budget: vec![half, Share::percent(2)],
            compare_removal_budgets: true,
            ..Variants::default()
        };
        let all = both.of(Share::percent(1), Budgets::default());
        let folders: Vec<String> =
            all.iter().map(|variant| both.folder(variant, out).display().to_string()).collect();
        assert_eq!(
            folders,
            [
                "out/budget-0.5",
                "out/budget-0.5-without-removal-budgets",
                "out/budget-2",
                "out/budget-2-without-removal-budgets"
            ]
        );
    }
}
