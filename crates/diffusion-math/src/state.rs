//! What a sampler moves: a batch of points in a vector space.

/// A batch of points in a vector space over the reals, with f64 coefficients whatever the precision of the data.
///
/// Implemented for `f64`, for `ndarray` arrays of f32 and f64, and by `diffusion-torch` for libtorch tensors.
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
}

impl State for f64 {
    fn linear_combination(terms: &[(f64, &Self)]) -> Self {
        assert!(!terms.is_empty(), "a linear combination has at least one term");
        terms.iter().map(|(c, x)| c * **x).sum()
    }

    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }

    fn clamp(&self, bound: f64) -> Self {
        f64::clamp(*self, -bound, bound)
    }
}
