//! What a sampler does to x̂₀ before it uses it.
//!
//! Clipping belongs to the sampler and not to a wrapper around the denoiser: diffusers' DDIM clips x̂₀ and keeps the ε̂ of
//! the unclipped one.

use diffusion_math::State;

use crate::{SamplingError, Step};

/// How x̂₀ is kept in the range of the data.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Clipping {
    /// As the denoiser gave it.
    #[default]
    None,
    /// Clamped to `[−bound, bound]`, bound > 0.
    Range(f64),
    /// Dynamic thresholding (Saharia et al. 2022, arXiv:2205.11487, Section 2.3), [`State::threshold_dynamically`].
    Dynamic {
        /// Which quantile of a sample's |x̂₀| it is clamped to, in [0, 1].
        ratio: f64,
        /// The largest that quantile may be, ≥ 1.
        largest: f64,
    },
}

impl Clipping {
    /// x̂₀ in range.
    ///
    /// # Errors
    /// Where the state has no dynamic thresholding; the error names the sampler and the step.
    pub fn apply<S: State>(self, x0_hat: S, step: &Step<'_, S>) -> Result<S, SamplingError> {
        match self {
            Self::None => Ok(x0_hat),
            Self::Range(bound) => Ok(x0_hat.clamp(bound)),
            Self::Dynamic { ratio, largest } => x0_hat
                .threshold_dynamically(ratio, largest)
                .ok_or_else(|| step.unsupported("this kind of state has no dynamic thresholding")),
        }
    }
}
