//! The closed-form marginal: any noise level in one jump from the data.

use crate::{NoiseError, NoiseLevel, NoiseSource, State};

/// `x_t = α·x₀ + σ·ε`, the sample of `q(x_t | x₀) = N(α·x₀, σ²I)` whose noise is `eps` (Ho et al. 2020,
/// arXiv:2006.11239, Eq. 4).
///
/// ```
/// use diffusion_math::{NoiseLevel, diffuse};
/// assert_eq!(diffuse(&2.0, &-1.0, NoiseLevel::from_scales(0.5, 0.25)), 0.75);
/// ```
pub fn diffuse<S: State>(x0: &S, eps: &S, level: NoiseLevel) -> S {
    S::linear_combination(&[(level.alpha(), x0), (level.sigma(), eps)])
}

/// A draw of `q(x_t | x₀)` and the noise in it: `(x_t, ε)`.
///
/// # Errors
/// Where the noise source has none left.
pub fn q_sample<S: State>(
    x0: &S,
    level: NoiseLevel,
    noise: &mut dyn NoiseSource<S>,
) -> Result<(S, S), NoiseError> {
    let eps = noise.standard_normal_like(x0)?;
    Ok((diffuse(x0, &eps, level), eps))
}
