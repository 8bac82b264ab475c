//! What a sampler is, and how fast it says to converge.

use diffusion_math::Denoiser;

use crate::{SamplingError, Step};

/// How fast a sampler's error falls with the number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Deterministic: the error against the probability-flow ODE falls as `hᵖ`.
    Ode(u32),
    /// Stochastic: the error of the output's law falls as `hᵖ`.
    Weak(u32),
    /// No order of convergence is promised (distilled and Langevin samplers).
    Unordered,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ode(p) => write!(f, "{p}"),
            Self::Weak(p) => write!(f, "{p} (weak)"),
            Self::Unordered => f.write_str("–"),
        }
    }
}

/// A rule that carries x from one noise level to a cleaner one.
///
/// An immutable value: what a multistep method remembers is in the [`Step`], so that one sampler serves any number of
/// trajectories.
pub trait Sampler<S> {
    /// The name that errors and tables give it.
    fn name(&self) -> &'static str;

    /// The order of convergence that it promises; a test measures it.
    fn order(&self) -> Order;

    /// Evaluations of the denoiser in one step.
    fn evaluations_per_step(&self) -> usize {
        1
    }

    /// How many earlier predictions a step reads from its [`History`](crate::History); 0 for single-step methods.
    fn history_len(&self) -> usize {
        0
    }

    /// `x_s` at `step.to` from `x_t` at `step.from`.
    ///
    /// # Errors
    /// Where the denoiser or the noise source fails, a prediction is not finite, or the step is one that the method does
    /// not have; the error names the sampler and the step.
    fn step(
        &self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
        step: &mut Step<'_, S>,
    ) -> Result<S, SamplingError>;
}

impl<S, T: Sampler<S> + ?Sized> Sampler<S> for &T {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn order(&self) -> Order {
        (**self).order()
    }
    fn evaluations_per_step(&self) -> usize {
        (**self).evaluations_per_step()
    }
    fn history_len(&self) -> usize {
        (**self).history_len()
    }
    fn step(
        &self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
        step: &mut Step<'_, S>,
    ) -> Result<S, SamplingError> {
        (**self).step(denoiser, x_t, step)
    }
}

impl<S, T: Sampler<S> + ?Sized> Sampler<S> for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn order(&self) -> Order {
        (**self).order()
    }
    fn evaluations_per_step(&self) -> usize {
        (**self).evaluations_per_step()
    }
    fn history_len(&self) -> usize {
        (**self).history_len()
    }
    fn step(
        &self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
        step: &mut Step<'_, S>,
    ) -> Result<S, SamplingError> {
        (**self).step(denoiser, x_t, step)
    }
}
