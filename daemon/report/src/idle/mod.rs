//! Idle resources: a row each, the story of one, and sums.

pub mod rows;
pub mod story;

use fleet::money::{Currency, Sum};

/// Hours of a month, as the clouds' calculators take them.
pub(crate) const HOURS_A_MONTH: f64 = 730.0;

/// What a sum comes to in a month, in every currency that it has.
pub fn amounts(sum: &Sum) -> Vec<String> {
    let amount = |(currency, micro): (&Currency, &u64)| {
        format!("{:.2} {currency}", *micro as f64 * HOURS_A_MONTH / 1e6)
    };
    sum.hourly_micro.iter().map(amount).collect()
}

/// A sum a month, in words.
pub fn sum(sum: &Sum) -> String {
    let mut parts = amounts(sum);
    if sum.unknown > 0 {
        parts.push(format!("{} of unknown price", sum.unknown));
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join(" + ") }
}
