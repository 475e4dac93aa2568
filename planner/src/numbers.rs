//! Plain arithmetic that gives the same result on every machine.

use fleet::{Level, Units};

use crate::Milli;

/// Numbers above this are taken for faults of the source: 10^15 a second.
const SANE_MAX: f64 = 1e15;

/// The same in thousandths.
const MOST: f64 = SANE_MAX * 1000.0;

/// One halving of the tail, in the unit of [`crate::memory::Calibration::depth_micro`].
pub(crate) const HALVING: i64 = 1_000_000;

/// `value` if it can be a demand: finite, not negative, not absurdly large.
pub(crate) fn sane(value: f64) -> Option<f64> {
    (0.0..=SANE_MAX).contains(&value).then_some(value)
}

/// A sane number in thousandths.
pub(crate) fn milli(value: f64) -> Option<Milli> {
    sane(value).map(Milli::per_second)
}

/// A sane number in thousandths, rounded up: what a need is derived from.
pub(crate) fn milli_up(value: f64) -> Option<Milli> {
    sane(value).map(|v| Milli::up(v * 1000.0))
}

/// The smallest count whose capacity covers `demand`.
pub(crate) fn units_for(demand: Milli, capacity: f64) -> Units {
    // A billionth of slack, so that rounding does not buy a unit.
    let exact = demand.get() / (capacity * 1000.0);
    Units((exact - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32)
}

/// How far out a level lies: how often the probability above it must be halved from 1, linear
/// between whole halvings. 0.5 is 1, 0.75 is 2, 0.99 is about 6.56.
pub(crate) fn depth_of(level: Level) -> i64 {
    let mut above = 1.0 - level.get();
    let mut halvings = 0;
    while above < 0.5 && halvings < 40 {
        above *= 2.0;
        halvings += 1;
    }
    // `above` is now in [0.5, 1): 1/above - 1 runs from 0 to 1 over the last, partial halving.
    let part = (1.0 / above - 1.0).clamp(0.0, 1.0);
    halvings * HALVING + (part * HALVING as f64).round() as i64
}

/// How often 1 must be doubled to make `value`, in millionths and linear between whole doublings;
/// below zero where it must be halved, a hundred times at most. The same on every machine, as no
/// logarithm is.
pub(crate) fn doublings(value: f64) -> i64 {
    // From here on whole numbers tell it well enough.
    let mut left = if value >= 256.0 { value.min(MOST).floor() } else { value };
    let mut whole = 0;
    while left >= 2.0 {
        left /= 2.0;
        whole += 1;
    }
    while left < 1.0 && whole > -100 {
        left *= 2.0;
        whole -= 1;
    }
    whole * HALVING + ((left - 1.0).max(0.0) * HALVING as f64).round() as i64
}

/// The level at a depth: the reverse of [`depth_of`].
pub(crate) fn level_at(depth: i64) -> Option<Level> {
    let depth = depth.clamp(0, 40 * HALVING);
    let mut above = 1.0 / (1.0 + (depth % HALVING) as f64 / HALVING as f64);
    for _ in 0..depth / HALVING {
        above /= 2.0;
    }
    // Rounded to what a reader can use: a ten-thousandth.
    Level::new(((1.0 - above) * 1e4).round() / 1e4).ok()
}

/// The value at `depth` of a distribution known at `levels` (rising) with `values` (never
/// falling): linear between levels; beyond the last, each further halving of the tail adds what
/// the last known one did, as in an exponential tail. `None` for an empty or uneven table.
pub(crate) fn value_at(levels: &[Level], values: &[Milli], depth: i64) -> Option<Milli> {
    if levels.len() != values.len() {
        return None;
    }
    let first = *values.first()?;
    let last = values.len() - 1;
    let (mut left, mut from) = (0, depth_of(levels[0]));
    if depth <= from || last == 0 {
        return Some(first);
    }
    let mut to = depth_of(levels[1]);
    while to < depth && left + 1 < last {
        left += 1;
        (from, to) = (to, depth_of(levels[left + 1]));
    }
    let rise = values[left + 1].saturating_sub(values[left]).get();
    let part = (depth - from) as f64 / (to - from).max(1) as f64;
    Some(Milli::up(values[left].get() + rise * part))
}

/// The depth of `value` in the distribution that [`value_at`] reads: how often demand above it is
/// foreseen. Beyond the values known it goes on with their slope, down to no depth at all.
pub(crate) fn depth_at(levels: &[Level], values: &[Milli], value: Milli) -> Option<i64> {
    if levels.len() != values.len() || levels.len() < 2 {
        return None;
    }
    let last = values.len() - 1;
    let above = values.iter().position(|&known| known > value);
    let (left, right) = above.map_or((last - 1, last), |above| (above.max(1) - 1, above.max(1)));
    let (from, to) = (depth_of(levels[left]), depth_of(levels[right]));
    let rise = values[right].saturating_sub(values[left]).get().max(values[right].rounding());
    let part = match above {
        Some(_) => (value.get() - values[left].get()) / rise,
        None => 1.0 + (value.get() - values[last].get()) / rise,
    };
    // Beyond so many halvings the chance is none in a million.
    let depth = from as f64 + part.min(40.0) * (to - from) as f64;
    Some(depth.round().max(0.0) as i64)
}

/// `share` of a million, halved so many times as `halvings` says (in [`HALVING`]s; below zero it is
/// doubled); a million at most.
pub(crate) fn halved_millionths(share: f64, halvings: i64) -> u32 {
    let whole = halvings.div_euclid(HALVING).clamp(-40, 40);
    let part = halvings.rem_euclid(HALVING) as f64 / HALVING as f64;
    let power = (1u64 << whole.unsigned_abs()) as f64;
    let share = if whole < 0 { share * power } else { share / power };
    (share / (1.0 + part) * 1e6).round().clamp(0.0, 1e6) as u32
}

/// `value` times `per_mille` thousandths.
pub(crate) fn times_milli(value: u64, per_mille: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(per_mille) / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Level> {
        [0.5, 0.9, 0.99].map(|l| Level::new(l).unwrap()).into()
    }

    #[test]
    fn depth_counts_halvings_of_the_tail() {
        let depth = |l: f64| depth_of(Level::new(l).unwrap());
        assert_eq!([depth(0.5), depth(0.75), depth(0.875)], [1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(depth(0.99), 6_562_500);
        for l in [0.01, 0.5, 0.8, 0.95, 0.995, 0.999] {
            let back = level_at(depth(l)).unwrap().get();
            assert!((back - l).abs() < 1e-4, "{l} came back as {back}");
        }
    }

    #[test]
    fn doublings_count_powers_of_two() {
        assert_eq!([1.0, 2.0, 1024.0].map(doublings), [0, 1_000_000, 10_000_000]);
        assert_eq!([3.0, 1e19].map(doublings), [1_500_000, doublings(MOST)]);
        assert_eq!([0.5, 0.75, 0.0].map(doublings), [-1_000_000, -500_000, -100_000_000]);
    }

    #[test]
    fn beyond_the_last_level_the_tail_goes_on_with_its_slope() {
        let values = [100, 200, 300].map(Milli::whole);
        let at = |depth| value_at(&levels(), &values, depth).unwrap();
        assert_eq!(at(0), values[0]);
        assert_eq!(at(depth_of(Level::new(0.9).unwrap())), values[1]);
        assert_eq!(at(depth_of(Level::new(0.99).unwrap())), values[2]);
        // The last known stretch is 3.3125 halvings for 100: one more halving adds about 30.
        assert_eq!(at(7_562_500).get().round(), 330.0);
        assert_eq!(value_at(&levels(), &values[1..], 0), None);
        assert_eq!(value_at(&[], &[], 0), None);
    }

    #[test]
    fn a_value_lies_as_deep_as_it_was_read_from() {
        let values = [100, 200, 300].map(Milli::whole);
        for depth in [1_500_000, 4_000_000, 6_562_500, 9_000_000] {
            let value = value_at(&levels(), &values, depth).unwrap();
            let back = depth_at(&levels(), &values, value).unwrap();
            assert!((back - depth).abs() < 40_000, "{depth} came back as {back}");
        }
        let [none, seven, most] = [0, 7, u64::MAX].map(Milli::whole);
        assert_eq!(depth_at(&levels(), &values, none), Some(0));
        assert_eq!(depth_at(&levels(), &[seven; 3], seven), Some(6_562_500));
        assert!(depth_at(&levels(), &[seven; 3], most).unwrap() > 40 * HALVING);
        assert_eq!(depth_at(&levels(), &[seven; 2], seven), None);
    }

    #[test]
    fn shares_are_halved_and_doubled() {
        let of = |halvings| halved_millionths(0.005, halvings);
        assert_eq!([0, HALVING, -HALVING, 50 * HALVING].map(of), [5_000, 2_500, 10_000, 0]);
        assert_eq!(of(-20 * HALVING), 1_000_000);
    }

    #[test]
    fn units_cover_demand_and_no_rounding_buys_one() {
        let found = |demand, capacity| units_for(Milli::whole(demand), capacity).0;
        assert_eq!([0, 100_000, 100_001].map(|demand| found(demand, 50.0)), [0, 2, 3]);
        assert_eq!(found(u64::MAX, 1e-300), u32::MAX);
    }

    #[test]
    fn hostile_numbers_are_not_demand() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, -0.5, 1e300] {
            assert_eq!(sane(bad), None, "{bad}");
        }
        assert_eq!(milli(1.2345), Some(Milli::whole(1235)));
    }
}
