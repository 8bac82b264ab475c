//! What a sampler is given for one step.

use diffusion_math::{Denoiser, NoiseLevel, NoiseSource, Prediction, State};

use crate::{History, SamplingError};

/// One step as a sampler sees it: from which level to which, and where its noise and its memory are.
///
/// [`Trajectory`](crate::Trajectory) makes them; a test of a single step makes its own by [`new`](Self::new).
pub struct Step<'a, S> {
    /// The level of x_t, the noisier one.
    pub from: NoiseLevel,
    /// The level of the result, the cleaner one.
    pub to: NoiseLevel,
    /// Which step this is, from 0.
    pub index: usize,
    /// How many steps the trajectory has.
    pub n_steps: usize,
    /// Where a stochastic sampler takes its noise.
    pub noise: &'a mut dyn NoiseSource<S>,
    /// What a multistep method remembers.
    pub history: &'a mut History<S>,
    sampler: &'static str,
    evaluations: usize,
}

impl<S> std::fmt::Debug for Step<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("sampler", &self.sampler)
            .field("index", &self.index)
            .field("n_steps", &self.n_steps)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("evaluations", &self.evaluations)
            .finish_non_exhaustive()
    }
}

impl<'a, S> Step<'a, S> {
    /// A step of the sampler named `sampler` between two levels, the first and only one of its trajectory.
    pub fn new(
        sampler: &'static str,
        (from, to): (NoiseLevel, NoiseLevel),
        noise: &'a mut dyn NoiseSource<S>,
        history: &'a mut History<S>,
    ) -> Self {
        Self { from, to, index: 0, n_steps: 1, noise, history, sampler, evaluations: 0 }
    }

    /// The same step as step `index` of `n_steps`.
    #[must_use]
    pub fn at(self, index: usize, n_steps: usize) -> Self {
        Self { index, n_steps, ..self }
    }

    /// Whether this is the trajectory's last step.
    pub fn is_last(&self) -> bool {
        self.index + 1 >= self.n_steps
    }

    /// How many times this step asked the denoiser.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// An error that says that this step is none that the method has.
    pub fn unsupported(&self, reason: impl Into<String>) -> SamplingError {
        SamplingError::Unsupported {
            sampler: self.sampler,
            step: self.index + 1,
            n_steps: self.n_steps,
            reason: reason.into(),
        }
    }

    /// `ε ~ N(0, I)` in the shape of `x`.
    ///
    /// # Errors
    /// Where the noise source fails; the error names the sampler and the step.
    pub fn fresh_noise(&mut self, x: &S) -> Result<S, SamplingError> {
        self.noise.standard_normal_like(x).map_err(|source| SamplingError::Noise {
            sampler: self.sampler,
            step: self.index + 1,
            n_steps: self.n_steps,
            source,
        })
    }
}

impl<S: State> Step<'_, S> {
    /// `x̂₀ = E[x₀ | x_t]` at this step's level.
    ///
    /// # Errors
    /// Where the denoiser fails or answers with a number that is not finite; the error names the sampler and the step.
    pub fn x0_hat(&mut self, denoiser: &dyn Denoiser<S>, x_t: &S) -> Result<S, SamplingError> {
        self.predict_at(denoiser, x_t, self.from).map(|prediction| prediction.x0_hat)
    }

    /// The whole prediction at this step's level, with the variance that a network may have learned.
    ///
    /// # Errors
    /// As [`x0_hat`](Self::x0_hat).
    pub fn predict(
        &mut self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
    ) -> Result<Prediction<S>, SamplingError> {
        self.predict_at(denoiser, x_t, self.from)
    }

    /// The prediction at another level, for methods with several evaluations a step.
    ///
    /// # Errors
    /// As [`x0_hat`](Self::x0_hat).
    pub fn predict_at(
        &mut self,
        denoiser: &dyn Denoiser<S>,
        x: &S,
        level: NoiseLevel,
    ) -> Result<Prediction<S>, SamplingError> {
        let (sampler, step, n_steps) = (self.sampler, self.index + 1, self.n_steps);
        self.evaluations += 1;
        let prediction = denoiser.denoise(x, level).map_err(|source| SamplingError::Denoise {
            sampler,
            step,
            n_steps,
            source,
        })?;
        let weight_is_finite = prediction.variance_weight.as_ref().is_none_or(State::is_finite);
        if prediction.x0_hat.is_finite() && weight_is_finite {
            Ok(prediction)
        } else {
            Err(SamplingError::NotFinite {
                sampler,
                step,
                n_steps,
                time: level.time(),
                log_snr: level.log_snr().0,
            })
        }
    }
}
