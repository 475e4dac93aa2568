//! Experts weighed by their recent loss, quantile by quantile.

/// How strongly weight follows loss: an expert with a tenth more loss than the best gets about
/// half its weight.
const SHARPNESS: i32 = 8;

/// A loss below this share of the best is not told from it.
const TIE: f64 = 1e-12;

/// Weights that add up to one, each in proportion to loss^-[`SHARPNESS`]. Experts with a loss
/// that is no number get none; where none has one, all weigh the same.
pub(crate) fn weights(losses: &[f64]) -> Vec<f64> {
    let best = losses.iter().copied().filter(|loss| loss.is_finite()).fold(f64::INFINITY, f64::min);
    if !best.is_finite() {
        return vec![1.0 / losses.len().max(1) as f64; losses.len()];
    }
    let floor = best.max(f64::MIN_POSITIVE / TIE);
    let mut raw: Vec<f64> = losses
        .iter()
        .map(|&loss| if loss.is_finite() { (floor / loss.max(floor)).powi(SHARPNESS) } else { 0.0 })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter_mut().for_each(|weight| *weight /= sum);
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_expert_weighs_more_and_a_nonsense_one_nothing() {
        let found = weights(&[1.0, 2.0, f64::NAN]);
        assert!((found[0] - 256.0 / 257.0).abs() < 1e-12 && found[2] == 0.0, "{found:?}");
        assert_eq!(weights(&[0.0, 0.0]), [0.5, 0.5]);
        assert_eq!(weights(&[f64::NAN, f64::INFINITY]), [0.5, 0.5]);
    }
}
