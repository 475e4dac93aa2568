//! Gradient-boosted quantile trees: one set of trees for all targets, all levels in each leaf.
//!
//! Friedman's stochastic gradient boosting (Annals of Statistics 2001; Computational Statistics &
//! Data Analysis 2002) of the pinball loss: a tree is grown best leaf first on histograms of the
//! gradients, as LightGBM does (Ke et al., NeurIPS 2017), and each leaf moves every quantile by a
//! share of that quantile of what its rows have left. Two levels, drawn anew for each tree, decide
//! its questions (as in SketchBoost; Iosipoi and Vakhrushev, NeurIPS 2022), so that eight levels
//! cost little more than one. The horizon is a feature.

use serde::{Deserialize, Serialize};

pub(crate) use super::pairs::Pairs;
use super::pairs::{BINS, Look};
use super::random::Random;
use crate::frame::{Frame, Space};
use crate::{Level, Target};

/// How trees are grown.
#[derive(Clone, Copy)]
struct Growth {
    trees: usize,
    /// The share of what is left that a leaf takes away.
    rate: f32,
    /// The share of the pairs each tree sees.
    bag: f64,
}

const WHOLE: Growth = Growth { trees: 80, rate: 0.1, bag: 0.7 };
/// A third of the work, for a first weighing against other experts.
const QUICK: Growth = Growth { trees: 40, rate: 0.2, bag: 0.5 };

/// Features each tree sees.
const FEATURES: usize = 12;
const LEAVES: usize = 24;
/// Fewest pairs in a leaf.
const LEAF_MIN: f32 = 30.0;
/// A leaf of so many pairs moves its quantiles half as far as one of very many.
const SHRINKAGE: f32 = 80.0;
/// Fewest pairs that trees are grown on at all.
const PAIRS_MIN: usize = 4 * LEAF_MIN as usize;

/// The feature of a node that is a leaf.
const LEAF: u16 = u16::MAX;

/// A question or a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    /// The feature asked for, or [`LEAF`].
    feature: u16,
    /// Up to here the next node follows, above it `above`.
    threshold: f32,
    /// The node for values above, or the number of the leaf.
    above: u16,
}

/// A fitted ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boosted {
    space: Space,
    look: Look,
    /// The quantiles of all changes, a level each.
    start: Vec<f32>,
    nodes: Vec<Node>,
    /// The first node of each tree.
    trees: Vec<u16>,
    /// What each leaf adds, a level each.
    leaves: Vec<f32>,
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
    /// by target, level by level, in order within a target.
    pub(crate) fn vote(&self, frame: &Frame, t: usize, targets: &[Target]) -> Vec<f64> {
        let (now, scale) = (frame.y[t], frame.scale(t));
        let mut features = Vec::new();
        self.look.origin(frame, t, &mut features);
        let shared = features.len();
        let mut row = vec![0.0; self.start.len()];
        let mut vote = Vec::with_capacity(targets.len() * row.len());
        for &target in targets {
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
        row.copy_from_slice(&self.start);
        for &root in &self.trees {
            let mut at = usize::from(root);
            while self.nodes[at].feature != LEAF {
                let node = self.nodes[at];
                let low = features[usize::from(node.feature)] <= node.threshold;
                at = if low { at + 1 } else { usize::from(node.above) };
            }
            let first = usize::from(self.nodes[at].above) * row.len();
            row.iter_mut().zip(&self.leaves[first..]).for_each(|(sum, leaf)| *sum += leaf);
        }
    }
}

/// A node while its tree grows.
#[derive(Clone, Copy)]
enum Growing {
    Question { feature: usize, bin: u8, low: usize, high: usize },
    Leaf,
}

/// A leaf that may be split.
struct Open {
    node: usize,
    pairs: Vec<u32>,
    histogram: Vec<Cell>,
    best: Option<Split>,
}

/// Pairs in a bin, and the sums of their two gradients.
type Cell = [f32; 3];

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
    /// The present quantiles of each pair, a level each.
    now: Vec<f32>,
    gradients: Vec<[f32; 2]>,
    made: Boosted,
}

impl<'a> Grower<'a> {
    fn new(pairs: &'a Pairs, levels: &[Level], count: usize) -> Grower<'a> {
        let levels: Vec<f32> = levels.iter().map(|level| level.get() as f32).collect();
        let mut changes = pairs.changes[..count].to_vec();
        let start: Vec<f32> = levels.iter().map(|&level| quantile(&mut changes, level)).collect();
        Grower {
            pairs,
            count,
            random: Random::new(),
            now: (0..count).flat_map(|_| start.iter().copied()).collect(),
            gradients: vec![[0.0; 2]; count],
            made: Boosted {
                space: pairs.space,
                look: pairs.look.clone(),
                start,
                nodes: Vec::new(),
                trees: Vec::new(),
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
            self.take_gradients();
            let all = 0..self.count as u32;
            let bag: Vec<u32> = all.filter(|_| self.random.unit() < growth.bag).collect();
            let (tree, leaves) = self.tree(&features[..chosen], bag);
            let values = self.values(&tree, &leaves, growth.rate);
            self.advance(&tree, &values);
            let root = self.made.nodes.len() as u16;
            self.made.trees.push(root);
            self.keep(&tree, &values, 0);
        }
        self.made
    }

    /// The pinball loss's gradients at two levels, each in units of its own deviation.
    fn take_gradients(&mut self) {
        let width = self.levels.len();
        let first = self.random.below(width);
        let second = if width > 1 { (first + 1 + self.random.below(width - 1)) % width } else { 0 };
        for (i, gradients) in self.gradients.iter_mut().enumerate() {
            for (gradient, l) in gradients.iter_mut().zip([first, second]) {
                let level = self.levels[l];
                let below = self.pairs.changes[i] <= self.now[i * width + l];
                *gradient = (level - f32::from(u8::from(below))) / (level * (1.0 - level)).sqrt();
            }
        }
    }

    /// Grows a tree on `bag`, the leaf with most to gain first. The nodes, and the leaves with
    /// their pairs.
    fn tree(&self, features: &[usize], bag: Vec<u32>) -> (Vec<Growing>, Vec<Open>) {
        let mut tree = vec![Growing::Leaf];
        let histogram = self.histogram(features, &bag);
        let mut open = vec![Open { node: 0, best: best_split(&histogram), pairs: bag, histogram }];
        while open.len() < LEAVES {
            let gain = |leaf: &Open| leaf.best.map_or(0.0, |split| split.gain);
            let ranked = (0..open.len()).max_by(|&a, &b| gain(&open[a]).total_cmp(&gain(&open[b])));
            let Some((at, split)) = ranked.and_then(|at| Some((at, open[at].best?))) else { break };
            let leaf = open.swap_remove(at);
            let feature = features[split.place];
            let is_low = |&i: &u32| self.pairs.bins_of(i as usize)[feature] <= split.bin;
            let (low, high): (Vec<u32>, Vec<u32>) = leaf.pairs.into_iter().partition(is_low);
            // The larger part's histogram is what the smaller leaves of the whole.
            let low_is_smaller = low.len() < high.len();
            let smaller = self.histogram(features, if low_is_smaller { &low } else { &high });
            let mut larger = leaf.histogram;
            larger.iter_mut().zip(&smaller).for_each(|(cell, less)| {
                cell.iter_mut().zip(less).for_each(|(sum, less)| *sum -= less);
            });
            let (of_low, of_high) =
                if low_is_smaller { (smaller, larger) } else { (larger, smaller) };
            let node = tree.len();
            tree.extend([Growing::Leaf; 2]);
            tree[leaf.node] =
                Growing::Question { feature, bin: split.bin, low: node, high: node + 1 };
            for (node, pairs, histogram) in [(node, low, of_low), (node + 1, high, of_high)] {
                open.push(Open { node, pairs, best: best_split(&histogram), histogram });
            }
        }
        (tree, open)
    }

    fn histogram(&self, features: &[usize], pairs: &[u32]) -> Vec<Cell> {
        let mut histogram = vec![[0.0f32; 3]; features.len() * BINS];
        for &i in pairs {
            let [first, second] = self.gradients[i as usize];
            let bins = self.pairs.bins_of(i as usize);
            for (cells, &feature) in histogram.chunks_exact_mut(BINS).zip(features) {
                let cell = &mut cells[usize::from(bins[feature]) % BINS];
                cell[0] += 1.0;
                cell[1] += first;
                cell[2] += second;
            }
        }
        histogram
    }

    /// What each node adds, a level each; zero for questions.
    fn values(&self, tree: &[Growing], leaves: &[Open], rate: f32) -> Vec<f32> {
        let width = self.levels.len();
        let mut values = vec![0.0; tree.len() * width];
        let mut left = Vec::new();
        for leaf in leaves.iter().filter(|leaf| !leaf.pairs.is_empty()) {
            let count = leaf.pairs.len() as f32;
            for (l, &level) in self.levels.iter().enumerate() {
                left.clear();
                left.extend(
                    leaf.pairs.iter().map(|&i| {
                        self.pairs.changes[i as usize] - self.now[i as usize * width + l]
                    }),
                );
                let share = rate * count / (count + SHRINKAGE);
                values[leaf.node * width + l] = share * quantile(&mut left, level);
            }
        }
        values
    }

    /// Adds a tree to the quantiles of every pair, in the bag or not.
    fn advance(&mut self, tree: &[Growing], values: &[f32]) {
        let width = self.levels.len();
        for (i, now) in self.now.chunks_mut(width).enumerate() {
            let bins = self.pairs.bins_of(i);
            let mut node = 0;
            while let Growing::Question { feature, bin, low, high } = tree[node] {
                node = if bins[feature] <= bin { low } else { high };
            }
            now.iter_mut().zip(&values[node * width..]).for_each(|(sum, leaf)| *sum += leaf);
        }
    }

    /// Appends the tree below `node` in the order that [`Boosted::ask`] walks.
    fn keep(&mut self, tree: &[Growing], values: &[f32], node: usize) {
        let width = self.levels.len();
        let made = &mut self.made;
        match tree[node] {
            Growing::Leaf => {
                let leaf = (made.leaves.len() / width) as u16;
                made.nodes.push(Node { feature: LEAF, threshold: 0.0, above: leaf });
                made.leaves.extend(&values[node * width..(node + 1) * width]);
            }
            Growing::Question { feature, bin, low, high } => {
                let at = made.nodes.len();
                let threshold = self.pairs.threshold(feature, bin);
                made.nodes.push(Node { feature: feature as u16, threshold, above: 0 });
                self.keep(tree, values, low);
                self.made.nodes[at].above = self.made.nodes.len() as u16;
                self.keep(tree, values, high);
            }
        }
    }
}

/// The split that lowers the loss most; `None` where none leaves enough pairs on both sides.
fn best_split(histogram: &[Cell]) -> Option<Split> {
    let score = |sum: &Cell| (sum[1] * sum[1] + sum[2] * sum[2]) / (sum[0] + 1.0);
    let add = |sum: &mut Cell, cell: &Cell| sum.iter_mut().zip(cell).for_each(|(s, c)| *s += c);
    let mut total = [0.0; 3];
    histogram[..BINS].iter().for_each(|cell| add(&mut total, cell));
    let mut best: Option<Split> = None;
    for (place, cells) in histogram.chunks_exact(BINS).enumerate() {
        let mut low = [0.0; 3];
        for (bin, cell) in (0..).zip(&cells[..BINS - 1]) {
            add(&mut low, cell);
            let high = [total[0] - low[0], total[1] - low[1], total[2] - low[2]];
            if low[0] < LEAF_MIN || high[0] < LEAF_MIN {
                continue;
            }
            let gain = score(&low) + score(&high) - score(&total);
            if gain > best.map_or(0.0, |best| best.gain) {
                best = Some(Split { gain, place, bin });
            }
        }
    }
    best
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
    use crate::{Marks, Series, Step, Timestamp};

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
            let vote = boosted.vote(&frame, t, &targets);
            assert!(vote.chunks(3).all(|row| row[0] <= row[1] && row[1] <= row[2]), "{vote:?}");
            vote[2] - vote[0]
        };
        // The middles of a quiet and of a loud stretch; the true widths are 3.2 and 32.
        let (quiet, loud) = (width(13 * 288 + 36), width(13 * 288 + 72 + 36));
        assert!((1.6..6.4).contains(&quiet), "{quiet}");
        assert!((22.0..42.0).contains(&loud), "{loud}");
    }
}
