//! Gradient-boosted quantile trees: one set of trees for all targets, all levels in each leaf.
//!
//! Friedman's stochastic gradient boosting (Annals of Statistics 2001; Computational Statistics &
//! Data Analysis 2002) of the pinball loss: a tree is grown best leaf first on histograms of the
//! gradients, as LightGBM does (Ke et al., NeurIPS 2017), and each leaf moves every quantile by a
//! share of that quantile of what its rows have left. Two levels, drawn anew for each tree, decide
//! its questions (as in SketchBoost; Iosipoi and Vakhrushev, NeurIPS 2022), so that eight levels
//! cost little more than one. The horizon is a feature.

use fleet::Level;
use serde::{Deserialize, Serialize};

pub(crate) use super::pairs::Pairs;
use super::pairs::{BINS, Look};
use super::random::Random;
use crate::Target;
use crate::frame::{Frame, Space};

/// How trees are grown.
#[derive(Clone, Copy)]
struct Growth {
    trees: usize,
    /// The share of what is left that a leaf takes away.
    rate: f32,
    /// The share of the pairs each tree sees.
    bag: f64,
}

const WHOLE: Growth = Growth { trees: 48, rate: 0.15, bag: 0.7 };
/// A fifth of the work, for a first weighing against other experts.
const QUICK: Growth = Growth { trees: 16, rate: 0.35, bag: 0.5 };

/// Features each tree sees.
const FEATURES: usize = 12;
/// Leaves of a tree, at most 127.
const LEAVES: usize = 12;
/// Fewest pairs in a leaf.
const LEAF_MIN: u64 = 30;
/// A leaf of so many pairs moves its quantiles half as far as one of very many.
const SHRINKAGE: f32 = 80.0;
/// Fewest pairs that trees are grown on at all.
const PAIRS_MIN: usize = 4 * LEAF_MIN as usize;

/// Whether a feature is at most `threshold`, and where to go on: to a question of the same tree,
/// or, below zero, to the leaf of number -1 - n.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    threshold: f32,
    feature: u8,
    low: i8,
    high: i8,
}

/// A fitted ensemble. Tree `n` has the questions from `trees[n]` up to those of the next tree, one
/// leaf more than questions, and so its leaves from number `trees[n] + n` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boosted {
    space: Space,
    look: Look,
    /// The quantiles of all changes, a level each.
    start: Vec<f32>,
    questions: Vec<Question>,
    trees: Vec<u16>,
    /// What one step of a leaf adds, tree by tree, level by level.
    steps: Vec<f32>,
    /// What each leaf adds in such steps, a level each.
    leaves: Vec<i8>,
}

impl Boosted {
    /// Fits all pairs.
    pub(crate) fn fit(pairs: &Pairs, levels: &[Level]) -> Boosted {
        Grower::new(pairs, levels, pairs.len()).grow(WHOLE)
    }

    /// Fits the first `until` pairs with less care.
    pub(crate) fn fit_quickly(pairs: &Pairs, levels: &[Level], until: usize) -> Boosted {
        Grower::new(pairs, levels, until).grow(QUICK)
    }

    pub(crate) fn space(&self) -> Space {
        self.space
    }

    /// Quantiles in demand, forecast from sample `t` of `frame` (in this model's space): target
    /// by target, level by level, in order within a target; NaN for targets that are not `wanted`.
    pub(crate) fn vote(
        &self,
        frame: &Frame,
        t: usize,
        targets: &[Target],
        wanted: &dyn Fn(Target) -> bool,
    ) -> Vec<f64> {
        let (now, scale) = (frame.y[t], frame.scale(t));
        let mut features = Vec::new();
        self.look.origin(frame, t, &mut features);
        let shared = features.len();
        let mut row = vec![0.0; self.start.len()];
        let mut vote = Vec::with_capacity(targets.len() * row.len());
        for &target in targets {
            if !wanted(target) {
                vote.resize(vote.len() + row.len(), f64::NAN);
                continue;
            }
            features.truncate(shared);
            self.look.target(frame, t, target, &mut features);
            self.ask(&features, &mut row);
            row.sort_by(f32::total_cmp);
            vote.extend(row.iter().map(|&change| {
                let value = self.space.leave(now + scale * f64::from(change));
                value.clamp(0.0, 10.0 * crate::error::VALUE_MAX)
            }));
        }
        vote
    }

    fn ask(&self, features: &[f32], row: &mut [f32]) {
        let width = row.len();
        row.copy_from_slice(&self.start);
        for (n, (&first, steps)) in self.trees.iter().zip(self.steps.chunks(width)).enumerate() {
            let first = usize::from(first);
            let until = self.trees.get(n + 1).map_or(self.questions.len(), |&next| next.into());
            let leaf = first + n + leaf_of(&self.questions[first..until], features);
            let leaf = &self.leaves[leaf * width..(leaf + 1) * width];
            for (sum, (&step, &count)) in row.iter_mut().zip(steps.iter().zip(leaf)) {
                *sum += step * f32::from(count);
            }
        }
    }
}

/// The leaf that the questions of a tree lead to.
fn leaf_of(questions: &[Question], features: &[f32]) -> usize {
    let mut at = if questions.is_empty() { -1 } else { 0i8 };
    while let Ok(n) = usize::try_from(at) {
        let question = questions[n];
        let is_low = features[usize::from(question.feature)] <= question.threshold;
        at = if is_low { question.low } else { question.high };
    }
    usize::from((-1 - at).unsigned_abs())
}

/// A leaf that may be split.
struct Open {
    /// The question and the side that lead here; none for the root.
    parent: Option<(usize, bool)>,
    pairs: Vec<u32>,
    /// Pairs outside the bag, which decide nothing.
    rest: Vec<u32>,
    histogram: Vec<Counts>,
    best: Option<Split>,
}

/// Pairs in a bin, and how many of them lie below the present quantile of the first and of the
/// second level, 20 bits each: counts add up in one addition, and the pinball loss's gradients
/// follow from them.
type Counts = u64;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

#[derive(Clone, Copy)]
struct Split {
    gain: f32,
    /// Which of the tree's features.
    place: usize,
    bin: u8,
}

/// An ensemble under construction.
struct Grower<'a> {
    pairs: &'a Pairs,
    levels: Vec<f32>,
    count: usize,
    random: Random,
    /// The levels that decide the questions of the present tree.
    asked: [f32; 2],
    /// How far each pair lies above its present quantiles, a level each.
    left: Vec<f32>,
    signs: Vec<Counts>,
    made: Boosted,
}

impl<'a> Grower<'a> {
    fn new(pairs: &'a Pairs, levels: &[Level], count: usize) -> Grower<'a> {
        let levels: Vec<f32> = levels.iter().map(|level| level.get() as f32).collect();
        let mut changes = pairs.changes[..count].to_vec();
        let start: Vec<f32> = levels.iter().map(|&level| quantile(&mut changes, level)).collect();
        let changes = pairs.changes[..count].iter();
        Grower {
            pairs,
            count,
            random: Random::new(),
            asked: [0.5; 2],
            left: changes
                .flat_map(|change| start.iter().map(move |start| change - start))
                .collect(),
            signs: vec![0; count],
            made: Boosted {
                space: pairs.space,
                look: pairs.look.clone(),
                start,
                questions: Vec::new(),
                trees: Vec::new(),
                steps: Vec::new(),
                leaves: Vec::new(),
            },
            levels,
        }
    }

    fn grow(mut self, growth: Growth) -> Boosted {
        let mut features: Vec<usize> = (0..self.pairs.width).collect();
        let chosen = FEATURES.min(features.len());
        let trees = if self.count < PAIRS_MIN { 0 } else { growth.trees };
        for _ in 0..trees {
            self.random.choose(&mut features, chosen);
            self.take_signs();
            let all = 0..self.count as u32;
            let (bag, rest): (Vec<u32>, Vec<u32>) =
                all.partition(|_| self.random.unit() < growth.bag);
            let (questions, leaves) = self.tree(&features[..chosen], bag, rest);
            self.add(questions, &leaves, growth.rate);
        }
        self.made
    }

    /// Draws two levels, and counts each pair by where it lies of them.
    fn take_signs(&mut self) {
        let width = self.levels.len();
        let first = self.random.below(width);
        let second = if width > 1 { (first + 1 + self.random.below(width - 1)) % width } else { 0 };
        self.asked = [self.levels[first], self.levels[second]];
        for (sign, left) in self.signs.iter_mut().zip(self.left.chunks_exact(width)) {
            let below = |l: usize| u64::from(left[l] <= 0.0);
            *sign = 1 | below(first) << COUNT_BITS | below(second) << (2 * COUNT_BITS);
        }
    }

    /// Grows a tree on `bag`, the leaf with most to gain first. Its questions and its leaves.
    fn tree(
        &self,
        features: &[usize],
        bag: Vec<u32>,
        rest: Vec<u32>,
    ) -> (Vec<Question>, Vec<Open>) {
        let mut questions: Vec<Question> = Vec::new();
        let histogram = self.histogram(features, &bag);
        let best = self.best_split(&histogram);
        let mut open = vec![Open { parent: None, best, pairs: bag, rest, histogram }];
        while open.len() < LEAVES {
            let gain = |leaf: &Open| leaf.best.map_or(0.0, |split| split.gain);
            let ranked = (0..open.len()).max_by(|&a, &b| gain(&open[a]).total_cmp(&gain(&open[b])));
            let Some((at, split)) = ranked.and_then(|at| Some((at, open[at].best?))) else { break };
            let leaf = open.swap_remove(at);
            let feature = features[split.place];
            let (low, high) = self.divide(&leaf.pairs, feature, split.bin);
            let (rest_low, rest_high) = self.divide(&leaf.rest, feature, split.bin);
            // The larger part's histogram is what the smaller leaves of the whole.
            let low_is_smaller = low.len() < high.len();
            let smaller = self.histogram(features, if low_is_smaller { &low } else { &high });
            let mut larger = leaf.histogram;
            larger.iter_mut().zip(&smaller).for_each(|(counts, less)| *counts -= less);
            let (of_low, of_high) =
                if low_is_smaller { (smaller, larger) } else { (larger, smaller) };
            let number = questions.len();
            let threshold = self.pairs.threshold(feature, split.bin);
            questions.push(Question { threshold, feature: feature as u8, low: 0, high: 0 });
            lead(&mut questions, leaf.parent, number as i8);
            let low = (true, low, rest_low, of_low);
            let high = (false, high, rest_high, of_high);
            for (is_low, pairs, rest, histogram) in [low, high] {
                let (parent, best) = (Some((number, is_low)), self.best_split(&histogram));
                open.push(Open { parent, pairs, rest, best, histogram });
            }
        }
        for (number, leaf) in open.iter().enumerate() {
            lead(&mut questions, leaf.parent, -1 - number as i8);
        }
        (questions, open)
    }

    /// The pairs up to a bin and those above it, each in order. Both are written every time, since
    /// a branch would be foretold no better than a coin.
    fn divide(&self, pairs: &[u32], feature: usize, bin: u8) -> (Vec<u32>, Vec<u32>) {
        let (mut low, mut high) = (vec![0; pairs.len()], vec![0; pairs.len()]);
        let mut lows = 0;
        for (n, &i) in pairs.iter().enumerate() {
            low[lows] = i;
            high[n - lows] = i;
            lows += usize::from(self.pairs.bins_of(i as usize)[feature] <= bin);
        }
        low.truncate(lows);
        high.truncate(pairs.len() - lows);
        (low, high)
    }

    fn histogram(&self, features: &[usize], pairs: &[u32]) -> Vec<Counts> {
        let mut histogram = vec![0; features.len() * BINS];
        for &i in pairs {
            let sign = self.signs[i as usize];
            let bins = self.pairs.bins_of(i as usize);
            for (counts, &feature) in histogram.chunks_exact_mut(BINS).zip(features) {
                counts[usize::from(bins[feature]) % BINS] += sign;
            }
        }
        histogram
    }

    /// The split that lowers the loss most; `None` where none leaves enough pairs on both sides.
    fn best_split(&self, histogram: &[Counts]) -> Option<Split> {
        // The pinball loss's gradients, each in units of its own deviation.
        let weights = self.asked.map(|level| 1.0 / (level * (1.0 - level)));
        let score = |counts: Counts| {
            let pairs = (counts & COUNT) as f32;
            let below = [COUNT_BITS, 2 * COUNT_BITS].map(|bits| (counts >> bits & COUNT) as f32);
            let square = |n: usize| (self.asked[n] * pairs - below[n]).powi(2) * weights[n];
            (square(0) + square(1)) / (pairs + 1.0)
        };
        let total: Counts = histogram[..BINS].iter().sum();
        let whole = score(total);
        let mut best: Option<Split> = None;
        for (place, bins) in histogram.chunks_exact(BINS).enumerate() {
            let mut low = 0;
            for (bin, &counts) in (0..).zip(&bins[..BINS - 1]) {
                low += counts;
                let high = total - low;
                if counts == 0 || low & COUNT < LEAF_MIN {
                    continue;
                }
                if high & COUNT < LEAF_MIN {
                    break;
                }
                let gain = score(low) + score(high) - whole;
                if gain > best.map_or(0.0, |best| best.gain) {
                    best = Some(Split { gain, place, bin });
                }
            }
        }
        best
    }

    /// Adds a tree to what is made, and takes what its leaves add, as it is kept, from what each
    /// pair has left, in the bag or not.
    fn add(&mut self, questions: Vec<Question>, leaves: &[Open], rate: f32) {
        let width = self.levels.len();
        let values = self.values(leaves, rate);
        let steps: Vec<f32> = (0..width)
            .map(|l| {
                let of_level = values.iter().skip(l).step_by(width);
                of_level.fold(0.0f32, |most, value| most.max(value.abs())) / f32::from(i8::MAX)
            })
            .collect();
        let first = self.made.leaves.len();
        for leaf in values.chunks(width) {
            let counts = leaf
                .iter()
                .zip(&steps)
                .map(|(value, step)| if *step > 0.0 { (value / step).round() as i8 } else { 0 });
            self.made.leaves.extend(counts);
        }
        let kept: Vec<f32> = self.made.leaves[first..]
            .iter()
            .zip(steps.iter().cycle())
            .map(|(&count, step)| step * f32::from(count))
            .collect();
        for (leaf, taken) in leaves.iter().zip(kept.chunks(width)) {
            for &i in leaf.pairs.iter().chain(&leaf.rest) {
                let left = &mut self.left[i as usize * width..][..width];
                left.iter_mut().zip(taken).for_each(|(left, taken)| *left -= taken);
            }
        }
        self.made.trees.push(self.made.questions.len() as u16);
        self.made.questions.extend(questions);
        self.made.steps.extend(steps);
    }

    /// What each leaf adds, a level each.
    fn values(&self, leaves: &[Open], rate: f32) -> Vec<f32> {
        let width = self.levels.len();
        let mut values = Vec::with_capacity(leaves.len() * width);
        let mut left = Vec::new();
        for Open { pairs, .. } in leaves {
            let count = pairs.len() as f32;
            let share = rate * count / (count + SHRINKAGE);
            // Level by level, so that each finds its own side by side.
            left.resize(width * pairs.len(), 0.0);
            for (n, &i) in pairs.iter().enumerate() {
                for (l, &value) in self.left[i as usize * width..][..width].iter().enumerate() {
                    left[l * pairs.len() + n] = value;
                }
            }
            let columns = left.chunks_mut(pairs.len().max(1));
            values.extend(
                self.levels.iter().zip(columns).map(|(&level, left)| share * quantile(left, level)),
            );
        }
        values
    }
}

/// Lets the question and side `from` lead on to `to`.
fn lead(questions: &mut [Question], from: Option<(usize, bool)>, to: i8) {
    match from {
        Some((question, true)) => questions[question].low = to,
        Some((question, false)) => questions[question].high = to,
        None => {}
    }
}

/// The value at `level` among `values`, which are reordered; 0 for none.
fn quantile(values: &mut [f32], level: f32) -> f32 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let rank = (level * (values.len() + 1) as f32 - 1.0).clamp(0.0, last as f32);
    let below = rank as usize;
    let (_, &mut lower, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let upper = above.iter().copied().reduce(f32::min).unwrap_or(lower);
    lower + (upper - lower) * (rank - below as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::training::Training;
    use crate::{Marks, Series};
    use fleet::{Step, Timestamp};

    /// Quiet hours and loud ones in turn: the level stays, the noise is tenfold.
    fn quiet_and_loud() -> Series {
        let mut series = Series::new(Step::FIVE_MINUTES);
        for i in 0..14 * 288u32 {
            let mixed = (i ^ 0x5bd1_e995).wrapping_mul(0x9E37_79B1);
            let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA77);
            let noise = f64::from((mixed ^ (mixed >> 13)) >> 8) / f64::from(1 << 24) - 0.5;
            let loud = (i / 72) % 2 == 1;
            let value = 100.0 + noise * if loud { 40.0 } else { 4.0 };
            series.put(Timestamp(i64::from(i) * 300), value, Marks::NONE).unwrap();
        }
        series
    }

    #[test]
    fn the_width_follows_the_time_of_day_and_every_fit_is_the_same() {
        let series = quiet_and_loud();
        let targets = [Target::Step(1), Target::MaxUpTo(3)];
        let levels = [0.1, 0.5, 0.9].map(|level| Level::new(level).unwrap());
        let training = Training::new(&series, &targets).unwrap();
        let frame = training.frame(Space::Plain);
        let pairs = Pairs::new(&training, &frame);
        let boosted = Boosted::fit(&pairs, &levels);
        assert_eq!(boosted, Boosted::fit(&Pairs::new(&training, &frame), &levels));
        let width = |t: usize| {
            let vote = boosted.vote(&frame, t, &targets, &|_| true);
            assert!(vote.chunks(3).all(|row| row[0] <= row[1] && row[1] <= row[2]), "{vote:?}");
            vote[2] - vote[0]
        };
        // The middles of a quiet and of a loud stretch; the true widths are 3.2 and 32.
        let (quiet, loud) = (width(13 * 288 + 36), width(13 * 288 + 72 + 36));
        assert!((1.6..6.4).contains(&quiet), "{quiet}");
        assert!((22.0..42.0).contains(&loud), "{loud}");
    }
}
