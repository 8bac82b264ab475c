//! What a sampler moves: a batch of points in a vector space.

mod array;

/// A batch of points in a vector space over the reals, with f64 coefficients whatever the precision of the data.
///
/// Implemented for `f64` (a batch of one point with one coordinate), for `ndarray` arrays of f32 and f64 (axis 0 is the
/// sample), and by `diffusion-torch` for libtorch tensors.
///
/// ```
/// use diffusion_math::State;
/// use ndarray::array;
/// let (x, y) = (array![1.0_f32, 2.0], array![10.0_f32, 20.0]);
/// assert_eq!(State::linear_combination(&[(2.0, &x), (0.5, &y)]), array![7.0, 14.0]);
/// ```
pub trait State: Sized {
    /// `Σ cᵢ·xᵢ`, in one pass over memory.
    ///
    /// # Panics
    /// When `terms` is empty or the shapes differ.
    fn linear_combination(terms: &[(f64, &Self)]) -> Self;

    /// Whether every element is finite.
    fn is_finite(&self) -> bool;

    /// Every element clamped to `[−bound, bound]`.
    fn clamp(&self, bound: f64) -> Self;

    /// `x·e^{factor·exponent}` element by element: noise with a learned variance. `None` where this state has no such
    /// operation, which the samplers that need it report.
    fn times_exp(&self, factor: f64, exponent: &Self) -> Option<Self> {
        let _ = (factor, exponent);
        None
    }

    /// Dynamic thresholding (Saharia et al. 2022, arXiv:2205.11487, Section 2.3): with `q` the `ratio`-quantile of a
    /// sample's |x| (linear between order statistics) clamped to `[1, largest]`, the sample clamped to `[−q, q]` and divided
    /// by q. `None` where this state has no such operation, which the samplers that need it report.
    fn threshold_dynamically(&self, ratio: f64, largest: f64) -> Option<Self> {
        let _ = (ratio, largest);
        None
    }
}

impl State for f64 {
    fn linear_combination(terms: &[(f64, &Self)]) -> Self {
        let ((first, x), rest) =
            terms.split_first().expect("a linear combination has at least one term");
        rest.iter().fold(first * **x, |sum, (c, x)| sum + c * **x)
    }

    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }

    fn clamp(&self, bound: f64) -> Self {
        f64::clamp(*self, -bound, bound)
    }

    fn times_exp(&self, factor: f64, exponent: &Self) -> Option<Self> {
        Some(self * (factor * exponent).exp())
    }

    fn threshold_dynamically(&self, _ratio: f64, largest: f64) -> Option<Self> {
        let q = f64::clamp(self.abs(), 1.0, largest.max(1.0));
        Some(f64::clamp(*self, -q, q) / q)
    }
}
