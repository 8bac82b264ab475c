//! `ndarray` arrays of f32 and f64 as states.
//!
//! Sums are taken in f64 whatever the element is, so that an f32 result is rounded once.

use ndarray::{Array, Axis, Dimension};

use super::State;

/// Elements summed before they are written: what stays in the first-level cache while each term is read once.
const BLOCK: usize = 512;

macro_rules! state_for_arrays_of {
    ($element:ty, $combine:ident) => {
        /// `Σ cᵢ·xᵢ` over slices of equal length, block by block.
        fn $combine(terms: &[(f64, &[$element])], len: usize) -> Vec<$element> {
            let ((first_c, first), rest) =
                terms.split_first().expect("a linear combination has at least one term");
            let mut out = Vec::with_capacity(len);
            let mut sums = [0.0_f64; BLOCK];
            for start in (0..len).step_by(BLOCK) {
                let block = start..len.min(start + BLOCK);
                let sums = &mut sums[..block.len()];
                for (sum, &x) in sums.iter_mut().zip(&first[block.clone()]) {
                    *sum = first_c * f64::from(x);
                }
                for (c, x) in rest {
                    for (sum, &x) in sums.iter_mut().zip(&x[block.clone()]) {
                        *sum += c * f64::from(x);
                    }
                }
                out.extend(sums.iter().map(|&sum| sum as $element));
            }
            out
        }

        impl<D: Dimension> State for Array<$element, D> {
            fn linear_combination(terms: &[(f64, &Self)]) -> Self {
                let (_, first) = terms.first().expect("a linear combination has at least one term");
                for (_, x) in terms {
                    assert_eq!(
                        x.raw_dim(),
                        first.raw_dim(),
                        "the terms of a linear combination have one shape"
                    );
                }
                let contiguous: Vec<_> =
                    terms.iter().map(|(c, x)| (*c, x.as_standard_layout())).collect();
                let slices: Vec<_> = contiguous
                    .iter()
                    .map(|(c, x)| (*c, x.as_slice().expect("standard layout is contiguous")))
                    .collect();
                Self::from_shape_vec(first.raw_dim(), $combine(&slices, first.len()))
                    .expect("as many elements as the shape has")
            }

            fn is_finite(&self) -> bool {
                self.iter().fold(true, |finite, x| finite & x.is_finite())
            }

            fn clamp(&self, bound: f64) -> Self {
                let bound = bound as $element;
                self.mapv(|x| x.clamp(-bound, bound))
            }

            fn times_exp(&self, factor: f64, exponent: &Self) -> Option<Self> {
                assert_eq!(
                    self.raw_dim(),
                    exponent.raw_dim(),
                    "noise and its exponent have one shape"
                );
                let mut out = self.clone();
                out.zip_mut_with(exponent, |x, &w| *x *= (factor * f64::from(w)).exp() as $element);
                Some(out)
            }

            fn threshold_dynamically(&self, ratio: f64, largest: f64) -> Option<Self> {
                // A copy in standard layout: the elements of one sample lie together.
                let mut elements: Vec<$element> = self.iter().copied().collect();
                let n_samples = if self.ndim() == 0 { 1 } else { self.len_of(Axis(0)) };
                let per_sample = self.len().checked_div(n_samples).unwrap_or(0).max(1);
                for sample in elements.chunks_mut(per_sample) {
                    let sizes = sample.iter().map(|x| f64::from(x.abs())).collect();
                    let q = quantile(sizes, ratio).clamp(1.0, largest.max(1.0)) as $element;
                    sample.iter_mut().for_each(|x| *x = x.clamp(-q, q) / q);
                }
                Some(
                    Self::from_shape_vec(self.raw_dim(), elements)
                        .expect("as many elements as the shape has"),
                )
            }
        }
    };
}

state_for_arrays_of!(f32, combine_f32);
state_for_arrays_of!(f64, combine_f64);

/// The `ratio`-quantile, linear between order statistics as `torch.quantile` has it; NaN of nothing.
fn quantile(mut values: Vec<f64>, ratio: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let position = ratio.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let below = values[position.floor() as usize];
    let above = values[position.ceil() as usize];
    below + position.fract() * (above - below)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;

    #[test]
    fn a_combination_in_f32_is_rounded_once() {
        let (x, y) = (array![1.0_f32], array![1.0_f32]);
        // In f32 the sum 1 + 1e-9 − 1 would be 0.
        let out = State::linear_combination(&[(1.0, &x), (1e-9, &y), (-1.0, &x)]);
        assert!((out[0] - 1e-9).abs() < 1e-15);
    }

    #[test]
    fn layout_does_not_matter_and_blocks_join() {
        let x = Array2::from_shape_fn((37, 41), |(i, j)| (i * 41 + j) as f64);
        let transposed = x.t().to_owned().reversed_axes();
        let out = State::linear_combination(&[(1.0, &x), (1.0, &transposed)]);
        assert_eq!(out, x.mapv(|v| 2.0 * v));
        assert!(out.is_finite());
    }

    #[test]
    fn an_empty_batch_is_a_state() {
        let x = Array2::<f32>::zeros((0, 3));
        assert_eq!(State::linear_combination(&[(2.0, &x), (1.0, &x)]).dim(), (0, 3));
        assert!(x.is_finite());
        assert!(x.threshold_dynamically(0.9, 1.0).is_some());
    }

    #[test]
    fn one_bad_element_is_seen() {
        let mut x = Array2::<f32>::zeros((5, 7));
        x[[4, 6]] = f32::NAN;
        assert!(!x.is_finite());
        x[[4, 6]] = f32::INFINITY;
        assert!(!x.is_finite());
    }

    #[test]
    fn dynamic_threshold_is_per_sample() {
        let x = array![[0.5, -0.2, 0.1], [4.0, 1.0, -2.0]];
        let out = x.threshold_dynamically(0.5, 10.0).expect("arrays have it");
        assert_eq!(out.slice(s![0, ..]), array![0.5, -0.2, 0.1]); // q clamped to 1
        assert_eq!(out.slice(s![1, ..]), array![1.0, 0.5, -1.0]); // q = 2, the median
    }
}
