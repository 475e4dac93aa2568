//! Named streams of chance: the n-th draw of a stream depends on seed, name and n alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One independent source of chance, read by index rather than in order: whoever draws first
/// changes nothing for anybody else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of this name. The key comes from ChaCha8, so that similar names and seeds have
    /// unrelated streams.
    pub fn named(seed: u64, name: &str) -> Stream {
        let mut material = [0; 32];
        material[..8].copy_from_slice(&seed.to_le_bytes());
        material[8..16].copy_from_slice(&fnv1a(0xcbf2_9ce4_8422_2325, name).to_le_bytes());
        material[16..24].copy_from_slice(&fnv1a(0x6c62_272e_07bb_0142, name).to_le_bytes());
        Stream { key: ChaCha8Rng::from_seed(material).next_u64() }
    }

    /// 64 random bits at an index: the SplitMix64 output function (Steele, Lea and Flood 2014)
    /// over a counter, since a block cipher a sample would make a year of samples slow.
    pub fn bits(self, index: u64) -> u64 {
        let mut z =
            self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A stream of its own at an index.
    pub fn fork(self, index: u64) -> Stream {
        // Not the bits of the index itself, so that no draw of this stream is a key.
        Stream { key: self.bits(index ^ 0x6a09_e667_f3bc_c908) }
    }

    /// Evenly spread over [0, 1).
    pub fn unit(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, mean 0 and standard deviation 1, never beyond 3.5: the sum of four even draws.
    pub fn bell(self, index: u64) -> f64 {
        let bits = self.bits(index);
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        // Four draws over [0, 1) have mean 2 and variance 4/12.
        (sum as f64 / 65_536.0 - 2.0) * 3.0_f64.sqrt()
    }

    /// True for one index in `n`; never for `n` = 0.
    pub fn one_in(self, index: u64, n: u32) -> bool {
        n > 0 && self.bits(index).is_multiple_of(u64::from(n))
    }
}

/// FNV-1a over the bytes of `text`.
fn fnv1a(basis: u64, text: &str) -> u64 {
    text.bytes()
        .fold(basis, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_name_and_index_alone() {
        let stream = Stream::named(7, "boot/web");
        let forwards: Vec<u64> = (0..10).map(|i| stream.bits(i)).collect();
        let mut backwards: Vec<u64> = (0..10).rev().map(|i| stream.bits(i)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(forwards[0], Stream::named(8, "boot/web").bits(0));
        assert_ne!(forwards[0], Stream::named(7, "boot/wex").bits(0));
    }

    #[test]
    fn bell_and_unit_have_their_stated_moments() {
        let stream = Stream::named(1, "moments");
        let n = 20_000;
        let mean = |draws: &dyn Fn(u64) -> f64| (0..n).map(draws).sum::<f64>() / n as f64;
        assert!((mean(&|i| stream.unit(i)) - 0.5).abs() < 0.01);
        assert!(mean(&|i| stream.bell(i)).abs() < 0.03);
        assert!((mean(&|i| stream.bell(i).powi(2)) - 1.0).abs() < 0.03);
        assert!((0..n).all(|i| stream.bell(i).abs() < 3.5));
    }
}
