//! The order in which samples are seen: a fresh permutation each epoch, fixed by the seed.

use diffusion_math::KeyedNoise;

/// The endless sequence of indices: epoch after epoch, each a permutation of `0..n` keyed by (seed, epoch).
///
/// The position in it is one number, the count of samples seen, which is all that a checkpoint stores.
#[derive(Debug, Clone)]
pub struct DataOrder {
    seed: u64,
    n: usize,
    epoch: u64,
    permutation: Vec<usize>,
}

impl DataOrder {
    /// The sequence over `n ≥ 1` samples.
    ///
    /// # Panics
    /// When `n` is 0; readers refuse empty sets.
    pub fn new(seed: u64, n: usize) -> Self {
        assert!(n > 0, "an order needs at least one sample");
        Self { seed, n, epoch: 0, permutation: KeyedNoise::new(seed).permutation(0, n) }
    }

    /// The indices at positions `start .. start + count`.
    pub fn indices(&mut self, start: u64, count: usize) -> Vec<usize> {
        (start..start + count as u64).map(|position| self.index(position)).collect()
    }

    #[expect(clippy::integer_division, reason = "whole epochs")]
    fn index(&mut self, position: u64) -> usize {
        let n = self.n as u64;
        let epoch = position / n;
        if epoch != self.epoch {
            self.permutation = KeyedNoise::new(self.seed).permutation(epoch, self.n);
            self.epoch = epoch;
        }
        self.permutation[(position % n) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_sample_once() {
        let mut order = DataOrder::new(7, 10);
        for epoch in 0..3 {
            let mut seen = order.indices(epoch * 10, 10);
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(order.indices(0, 10), order.indices(10, 10));
    }

    #[test]
    fn the_batch_size_does_not_change_the_order() {
        let whole = DataOrder::new(3, 7).indices(0, 40);
        let mut order = DataOrder::new(3, 7);
        let parts: Vec<_> = (0..10).flat_map(|i| order.indices(i * 4, 4)).collect();
        assert_eq!(whole, parts);
        assert_eq!(DataOrder::new(3, 7).indices(33, 2), whole[33..35]);
    }
}
