//! What a sampler asks: the clean sample expected behind a noisy one.

use crate::{MathError, NoiseLevel};

/// What a denoiser answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prediction<S> {
    /// `x̂₀ = E[x₀ | x_t]`.
    pub x0_hat: S,
    /// What the network learned about the reverse step's variance, where it did: the weight `v ∈ [0, 1]` of
    /// `ln σ² = v·ln β + (1 − v)·ln β̃`, element by element (Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 15).
    pub variance_weight: Option<S>,
}

impl<S> Prediction<S> {
    /// A prediction of the clean sample alone.
    pub fn of_x0(x0_hat: S) -> Self {
        Self { x0_hat, variance_weight: None }
    }

    /// The same prediction with the learned interpolation weight `v ∈ [0, 1]` of the reverse variance.
    #[must_use]
    pub fn with_variance_weight(self, variance_weight: S) -> Self {
        Self { variance_weight: Some(variance_weight), ..self }
    }
}

/// Why a denoiser gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DenoiseError {
    /// The network or its device failed.
    #[error("the network failed: {0}")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The network's output says nothing about x₀ at this level.
    #[error(transparent)]
    Conversion(#[from] MathError),
    /// The denoiser does not take this input.
    #[error("the denoiser does not take this input: {0}")]
    Input(String),
}

impl DenoiseError {
    /// Wraps a failure of the network or its device.
    pub fn network(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Network(error.into())
    }
}

/// `x̂₀ = E[x₀ | x_t]`: a network, or an exact posterior mean.
pub trait Denoiser<S> {
    /// The clean sample expected behind `x_t = α·x₀ + σ·ε` at `level`.
    ///
    /// # Errors
    /// Where the network or its device fails; a closed form does not.
    fn denoise(&self, x_t: &S, level: NoiseLevel) -> Result<Prediction<S>, DenoiseError>;
}

/// A closure as a [`Denoiser`]; made by [`denoiser_fn`].
pub struct DenoiserFn<F>(F);

impl<F> std::fmt::Debug for DenoiserFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DenoiserFn")
    }
}

/// Makes a denoiser of a closure that returns `x̂₀`.
///
/// ```
/// use diffusion_math::{Denoiser, NoiseLevel, denoiser_fn};
/// // Data that is always 2.0: whatever the noise, the clean sample is 2.0.
/// let point = denoiser_fn(|_x_t: &f64, _level: NoiseLevel| 2.0);
/// let level = NoiseLevel::from_scales(0.6, 0.8);
/// assert_eq!(point.denoise(&-1.3, level)?.x0_hat, 2.0);
/// # Ok::<(), diffusion_math::DenoiseError>(())
/// ```
pub fn denoiser_fn<S, F: Fn(&S, NoiseLevel) -> S>(f: F) -> DenoiserFn<F> {
    DenoiserFn(f)
}

impl<S, F: Fn(&S, NoiseLevel) -> S> Denoiser<S> for DenoiserFn<F> {
    fn denoise(&self, x_t: &S, level: NoiseLevel) -> Result<Prediction<S>, DenoiseError> {
        Ok(Prediction::of_x0((self.0)(x_t, level)))
    }
}

impl<S, D: Denoiser<S> + ?Sized> Denoiser<S> for &D {
    fn denoise(&self, x_t: &S, level: NoiseLevel) -> Result<Prediction<S>, DenoiseError> {
        (**self).denoise(x_t, level)
    }
}

impl<S, D: Denoiser<S> + ?Sized> Denoiser<S> for Box<D> {
    fn denoise(&self, x_t: &S, level: NoiseLevel) -> Result<Prediction<S>, DenoiseError> {
        (**self).denoise(x_t, level)
    }
}
