//! Random numbers that are the same everywhere.

/// Marsaglia's xorshift (Journal of Statistical Software, 2003), always from the same seed: which
/// rows and features a tree sees must depend on nothing but the data.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Random {
        Random(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// A number below `n`, which is above zero.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A number from 0 up to, but not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.next() as f64 / (1u64 << 53) as f64
    }

    /// Moves `count` items, chosen at random, to the front of `items`.
    pub(super) fn choose(&mut self, items: &mut [usize], count: usize) {
        for i in 0..count {
            items.swap(i, i + self.below(items.len() - i));
        }
    }
}
