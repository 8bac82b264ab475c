//! Ancestral sampling: each step draws from the posterior with the predicted clean sample in place of the true one.

use std::sync::Arc;

use diffusion_math::{Denoiser, NoiseLevel, Posterior, State, Transition, innovation};

use crate::{Clipping, Order, Sampler, SamplingError, Step};

/// DDPM's ancestral step (Ho et al. 2020, arXiv:2006.11239, Algorithm 2), for any two levels:
///
/// `x_s = α_t·σ_s²/(α_s·σ_t²)·x_t + α_s·c·x̂₀ + σ·ε`, `c = −expm1(λ_t − λ_s)`, with `σ²` the [`ReverseVariance`].
///
/// ```
/// use diffusion_math::{DiscreteSchedule, GaussianDenoiser, KeyedNoise, NoiseSource};
/// use diffusion_samplers::{Ddpm, NoiseGrid, ReverseVariance, Trajectory};
/// let data = GaussianDenoiser::new(0.0, 0.25)?;
/// let grid = NoiseGrid::every_step(&DiscreteSchedule::linear(1000)?)?;
/// let sampler = Ddpm::new(ReverseVariance::Beta);
/// let mut noise = KeyedNoise::new(0);
/// let x_t = noise.standard_normal_like(&0.0)?;
/// let x0 = Trajectory::new(&sampler, &data, &grid, x_t, &mut noise).finish()?;
/// assert!(x0.abs() < 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ddpm {
    variance: ReverseVariance,
    clipping: Clipping,
    final_noise: FinalNoise,
}

/// The variance of the reverse step. None of them changes its mean.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ReverseVariance {
    /// `σ²_{t|s} = σ_t²·c`: optimal for data `N(0, I)`; diffusers' `fixed_large`.
    Beta,
    /// `β̃ = σ_s²·c`: optimal for a point mass; diffusers' `fixed_small`.
    #[default]
    BetaTilde,
    /// `exp(v·ln σ²_{t|s} + (1 − v)·ln β̃)` with the denoiser's [`variance_weight`](diffusion_math::Prediction) v
    /// (Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 15); diffusers' `learned_range`. β̃ = 0 is replaced by 1e-20, as there.
    Learned,
    /// `σ_s²·c + (α_s·c)²·v̄` with v̄ the mean variance of a coordinate of x₀ given x_t: the optimal isotropic one
    /// (Bao et al. 2022, arXiv:2201.06503, Theorem 1).
    Optimal(PosteriorVariance),
}

/// `v̄ = tr Cov(x₀ | x_t)/d ≥ 0` as a function of the level of x_t.
pub type PosteriorVariance = Arc<dyn Fn(NoiseLevel) -> f64 + Send + Sync>;

impl std::fmt::Debug for ReverseVariance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Beta => "Beta",
            Self::BetaTilde => "BetaTilde",
            Self::Learned => "Learned",
            Self::Optimal(_) => "Optimal",
        })
    }
}

/// Whether the step to clean data adds noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FinalNoise {
    /// Never: `z = 0` at the last step, as in Algorithm 2.
    #[default]
    Never,
    /// As in every other step; what the optimal variance asks for.
    Always,
    /// Unless the network is asked at time 0, as diffusers does: a grid that ends at a later timestep gets noise.
    UnlessTimeZero,
}

/// The smallest variance whose logarithm diffusers takes.
const SMALLEST_VARIANCE: f64 = 1e-20;

impl Ddpm {
    /// Ancestral sampling with this reverse variance.
    pub fn new(variance: ReverseVariance) -> Self {
        Self { variance, ..Self::default() }
    }

    /// The same sampler with x̂₀ kept in range.
    #[must_use]
    pub fn with_clipping(self, clipping: Clipping) -> Self {
        Self { clipping, ..self }
    }

    /// The same sampler with this rule for the last step's noise.
    #[must_use]
    pub fn with_final_noise(self, final_noise: FinalNoise) -> Self {
        Self { final_noise, ..self }
    }

    fn adds_noise(&self, from: NoiseLevel, to: NoiseLevel) -> bool {
        match self.final_noise {
            FinalNoise::Never => to.sigma() > 0.0,
            FinalNoise::Always => true,
            FinalNoise::UnlessTimeZero => from.time() > 0.0,
        }
    }
}

impl<S: State> Sampler<S> for Ddpm {
    fn name(&self) -> &'static str {
        "DDPM"
    }

    fn order(&self) -> Order {
        Order::Weak(1)
    }

    fn step(
        &self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
        step: &mut Step<'_, S>,
    ) -> Result<S, SamplingError> {
        let (t, s) = (step.from, step.to);
        if t.sigma() == 0.0 {
            return Err(
                step.unsupported("it starts at sigma = 0, where there is no noise to remove")
            );
        }
        let posterior = Posterior::between(t, s);
        let beta = Transition::between(s, t).variance;

        let prediction = step.predict(denoiser, x_t)?;
        let x0_hat = self.clipping.apply(prediction.x0_hat, step)?;
        if !self.adds_noise(t, s) {
            return Ok(posterior.mean(x_t, &x0_hat));
        }
        let variance = match &self.variance {
            ReverseVariance::Beta => beta,
            ReverseVariance::BetaTilde => posterior.variance,
            ReverseVariance::Optimal(mean_variance) => {
                posterior.variance + (s.alpha() * innovation(t, s)).powi(2) * mean_variance(t)
            }
            ReverseVariance::Learned => {
                let Some(weight) = prediction.variance_weight else {
                    return Err(
                        step.unsupported("the learned variance needs a network that predicts one")
                    );
                };
                let smallest = posterior.variance.max(SMALLEST_VARIANCE);
                let noise = step.fresh_noise(x_t)?;
                // √exp(v·ln β + (1 − v)·ln β̃) = √β̃·exp(½·v·ln(β/β̃))
                let scaled =
                    noise.times_exp(0.5 * (beta / smallest).ln(), &weight).ok_or_else(|| {
                        step.unsupported("this kind of state has no learned variance")
                    })?;
                return Ok(S::linear_combination(&[
                    (posterior.of_x_t, x_t),
                    (posterior.of_x0, &x0_hat),
                    (smallest.sqrt(), &scaled),
                ]));
            }
        };
        if variance == 0.0 {
            return Ok(posterior.mean(x_t, &x0_hat));
        }
        let noise = step.fresh_noise(x_t)?;
        Ok(S::linear_combination(&[
            (posterior.of_x_t, x_t),
            (posterior.of_x0, &x0_hat),
            (variance.sqrt(), &noise),
        ]))
    }
}
