//! Orders of a data set, keyed like the noise.

use super::keyed::{KeyedNoise, Stream, below, key};
use super::philox::philox4x32;

impl KeyedNoise {
    /// A uniformly random order of 0..n, the same for the same (seed, epoch): Fisher–Yates (Durstenfeld 1964), with the
    /// swap of each position looked up.
    ///
    /// ```
    /// use diffusion_math::KeyedNoise;
    /// let order = KeyedNoise::new(3).permutation(0, 5);
    /// assert_eq!(order, KeyedNoise::new(3).permutation(0, 5));
    /// let mut sorted = order.clone();
    /// sorted.sort_unstable();
    /// assert_eq!(sorted, [0, 1, 2, 3, 4]);
    /// ```
    pub fn permutation(&self, epoch: u64, n: usize) -> Vec<usize> {
        let key = key(self.seed(), Stream::Permutation);
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            let position = i as u64;
            // Positions share the epoch's word with the attempt, which is 0 but once in 2⁶⁴/n draws.
            let block = |attempt: u32| {
                let epoch = epoch.wrapping_add(u64::from(attempt) << 40);
                philox4x32(
                    [position as u32, (position >> 32) as u32, epoch as u32, (epoch >> 32) as u32],
                    key,
                )
            };
            order.swap(i, below(position + 1, block) as usize);
        }
        order
    }
}
