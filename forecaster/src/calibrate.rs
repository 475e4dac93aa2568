//! Quantiles with stated coverage, from errors a model made on samples it had not seen.

use fleet::Level;

/// The `level` quantile of `errors` as split conformal prediction takes it: among n past errors
/// the one of rank level x (n + 1), so that a new, exchangeable error stays below it with at
/// least that probability (Vovk et al. 2005; Lei et al., JASA 2018). Between ranks it
/// interpolates; beyond the outermost errors it stays at them. 0 for no errors.
///
/// Reorders `errors`, which must all be numbers; `levels` rise.
pub(crate) fn conformal_quantiles(errors: &mut [f64], levels: &[Level]) -> Vec<f64> {
    let Some(last) = errors.len().checked_sub(1) else { return vec![0.0; levels.len()] };
    let mut sorted_until = 0;
    // Levels rise, so each rank is looked for among the errors above the one before.
    let mut ranked = |rank: usize, errors: &mut [f64]| {
        if rank >= sorted_until {
            errors[sorted_until..].select_nth_unstable_by(rank - sorted_until, f64::total_cmp);
            sorted_until = rank + 1;
        }
        errors[rank]
    };
    levels
        .iter()
        .map(|level| {
            let rank = level.get() * (last + 2) as f64 - 1.0;
            let rank = rank.clamp(0.0, last as f64);
            let below = rank.floor() as usize;
            let share = rank - below as f64;
            let lower = ranked(below, errors);
            let upper = ranked((below + 1).min(last), errors);
            lower * (1.0 - share) + upper * share
        })
        .collect()
}

/// Follows the quantile of a stream of errors that drifts: after each error the quantile moves
/// up by `level` or down by `1 - level` times `gain` (adaptive conformal inference as quantile
/// tracking; Angelopoulos, Candès and Tibshirani, NeurIPS 2023). In the long run the share of
/// errors above it is `1 - level`, whatever the stream does.
pub(crate) fn track(shift: &mut f64, level: Level, above: bool, gain: f64) {
    *shift += gain * (level.get() - f64::from(u8::from(!above)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(value: f64) -> Level {
        Level::new(value).unwrap()
    }

    #[test]
    fn ranks_are_those_of_split_conformal_prediction() {
        let mut errors: Vec<f64> = (1..=99).rev().map(f64::from).collect();
        let found = conformal_quantiles(&mut errors, &[level(0.1), level(0.5), level(0.995)]);
        assert_eq!(found, [10.0, 50.0, 99.0]);
        assert_eq!(conformal_quantiles(&mut [], &[level(0.5)]), [0.0]);
        assert_eq!(conformal_quantiles(&mut [7.0], &[level(0.1), level(0.9)]), [7.0, 7.0]);
    }

    #[test]
    fn picking_ranks_gives_what_sorting_gives() {
        let mut errors: Vec<f64> =
            (0..997u32).map(|n| f64::from(n.wrapping_mul(2_654_435_769) >> 12)).collect();
        let mut sorted = errors.clone();
        sorted.sort_by(f64::total_cmp);
        let levels: Vec<Level> = (1..=99).map(|k| level(f64::from(k) / 100.0)).collect();
        let found = conformal_quantiles(&mut errors, &levels);
        for (level, found) in levels.iter().zip(found) {
            let rank = level.get() * 998.0 - 1.0;
            let (below, share) = (rank.floor(), rank - rank.floor());
            let (low, high) = (sorted[below as usize], sorted[below as usize + 1]);
            assert_eq!(found, low * (1.0 - share) + high * share, "{level}");
        }
    }

    #[test]
    fn tracking_reaches_the_stated_share() {
        let (mut shift, mut above) = (0.0, 0);
        for n in 0..20_000u32 {
            // A deterministic, evenly spread stream in 0..1.
            let error = f64::from(n.wrapping_mul(2_654_435_769) >> 8) / f64::from(1 << 24);
            let is_above = error > shift;
            above += u32::from(is_above);
            track(&mut shift, level(0.9), is_above, 0.01);
        }
        assert!((above as f64 / 20_000.0 - 0.1).abs() < 0.005, "{above}");
        assert!((shift - 0.9).abs() < 0.05, "{shift}");
    }
}
