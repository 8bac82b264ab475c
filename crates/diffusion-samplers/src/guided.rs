//! Classifier-free guidance as a composition of two denoisers.

use diffusion_math::{DenoiseError, Denoiser, NoiseLevel, Prediction, State, guided};

/// Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): `x̂₀ = u + s·(c − u)`; itself a [`Denoiser`].
///
/// `guidance_scale` s = 1 is no guidance and asks the conditional denoiser alone, s = 0 the unconditional one; otherwise
/// both are asked. A learned variance is the conditional denoiser's.
///
/// ```
/// use diffusion_math::{Denoiser, NoiseLevel, denoiser_fn};
/// use diffusion_samplers::Guided;
/// let conditional = denoiser_fn(|_: &f64, _: NoiseLevel| 3.0);
/// let unconditional = denoiser_fn(|_: &f64, _: NoiseLevel| 1.0);
/// let denoiser = Guided { conditional, unconditional, guidance_scale: 7.5 };
/// assert_eq!(denoiser.denoise(&0.0, NoiseLevel::from_scales(0.6, 0.8))?.x0_hat, 16.0);
/// # Ok::<(), diffusion_math::DenoiseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Guided<C, U> {
    /// What is asked with the condition.
    pub conditional: C,
    /// What is asked without it.
    pub unconditional: U,
    /// s of `u + s·(c − u)`; Ho & Salimans' w is s − 1.
    pub guidance_scale: f64,
}

impl<S: State, C: Denoiser<S>, U: Denoiser<S>> Denoiser<S> for Guided<C, U> {
    #[expect(clippy::float_cmp, reason = "exactly 1 needs no second denoiser")]
    fn denoise(&self, x_t: &S, level: NoiseLevel) -> Result<Prediction<S>, DenoiseError> {
        if self.guidance_scale == 1.0 {
            return self.conditional.denoise(x_t, level);
        }
        let unconditional = self.unconditional.denoise(x_t, level)?;
        if self.guidance_scale == 0.0 {
            return Ok(unconditional);
        }
        let conditional = self.conditional.denoise(x_t, level)?;
        let mut prediction = Prediction::of_x0(guided(
            &unconditional.x0_hat,
            &conditional.x0_hat,
            self.guidance_scale,
        ));
        prediction.variance_weight = conditional.variance_weight;
        Ok(prediction)
    }
}
