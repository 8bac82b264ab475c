//! DDIM: the first-order solver of the probability-flow ODE, and the family of stochastic samplers around it.

use diffusion_math::{Denoiser, State, innovation};

use crate::{Clipping, Order, Sampler, SamplingError, SetupError, Step};

/// DDIM (Song et al. 2021, arXiv:2010.02502, Eq. 12); `η = 0` is deterministic, `η = 1` is DDPM's ancestral step with β̃.
///
/// `x_s = α_s·x̂₀ + σ_s·√(1 − η²c)·ε̂ + η·σ_s·√c·ε`, with `c = 1 − (α_t·σ_s/(α_s·σ_t))²` and `ε̂ = (x_t − α_t·x̂₀)/σ_t`.
///
/// With `η = 0` it is DPM-Solver-1 and Euler's method in σ/α, first order in the step in `ln(α/σ)`.
///
/// ```
/// use diffusion_math::{GaussianDenoiser, KeyedNoise, LogSnr};
/// use diffusion_samplers::{Ddim, NoiseGrid, Trajectory};
/// let data = GaussianDenoiser::new(0.5, 0.25)?;
/// let grid = NoiseGrid::uniform_log_snr(LogSnr(-8.0), LogSnr(5.0), 40)?;
/// let mut noise = KeyedNoise::new(0);
/// let sampler = Ddim::default();
/// let x = Trajectory::new(&sampler, &data, &grid, 1.3, &mut noise).finish()?;
/// let exact = data.flow(1.3, grid.first(), grid.last());
/// assert!((x - exact).abs() < 0.03);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ddim {
    /// η in [0, 1]: the share of the ancestral noise.
    eta: f64,
    /// What is done to x̂₀.
    clipping: Clipping,
    /// Which x̂₀ gives ε̂.
    noise_of: NoiseEstimate,
}

/// Which x̂₀ the estimate `ε̂ = (x_t − α_t·x̂₀)/σ_t` is made of, where [`Clipping`] changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoiseEstimate {
    /// The denoiser's own (diffusers' default).
    #[default]
    Unclipped,
    /// The clipped one (diffusers' `use_clipped_model_output`).
    Clipped,
}

impl Ddim {
    /// DDIM with a share η of the ancestral noise.
    ///
    /// # Errors
    /// η outside [0, 1], where `1 − η²c` may be negative.
    pub fn with_eta(eta: f64) -> Result<Self, SetupError> {
        if (0.0..=1.0).contains(&eta) {
            Ok(Self { eta, ..Self::default() })
        } else {
            Err(SetupError::SamplerValue {
                sampler: "DDIM",
                key: "eta",
                value: eta,
                allowed: "0 to 1",
            })
        }
    }

    /// The same sampler with x̂₀ kept in range.
    #[must_use]
    pub fn with_clipping(self, clipping: Clipping) -> Self {
        Self { clipping, ..self }
    }

    /// The same sampler with ε̂ made of that x̂₀.
    #[must_use]
    pub fn with_noise_estimate(self, noise_of: NoiseEstimate) -> Self {
        Self { noise_of, ..self }
    }
}

impl<S: State> Sampler<S> for Ddim {
    fn name(&self) -> &'static str {
        "DDIM"
    }

    fn order(&self) -> Order {
        if self.eta == 0.0 { Order::Ode(1) } else { Order::Weak(1) }
    }

    fn step(
        &self,
        denoiser: &dyn Denoiser<S>,
        x_t: &S,
        step: &mut Step<'_, S>,
    ) -> Result<S, SamplingError> {
        let (alpha_t, sigma_t) = step.from.scales();
        let (alpha_s, sigma_s) = step.to.scales();
        if sigma_t == 0.0 {
            return Err(
                step.unsupported("it starts at sigma = 0, where there is no noise to remove")
            );
        }
        let fresh = self.eta * innovation(step.from, step.to).sqrt();

        let eps_of = |x0_hat: &S| {
            S::linear_combination(&[(1.0 / sigma_t, x_t), (-alpha_t / sigma_t, x0_hat)])
        };
        let raw = step.x0_hat(denoiser, x_t)?;
        let (x0_hat, eps_hat) = match self.noise_of {
            NoiseEstimate::Unclipped => {
                let eps_hat = eps_of(&raw);
                (self.clipping.apply(raw, step)?, eps_hat)
            }
            NoiseEstimate::Clipped => {
                let x0_hat = self.clipping.apply(raw, step)?;
                let eps_hat = eps_of(&x0_hat);
                (x0_hat, eps_hat)
            }
        };
        let kept = sigma_s * (1.0 - fresh * fresh).sqrt();
        if sigma_s * fresh == 0.0 {
            return Ok(S::linear_combination(&[(alpha_s, &x0_hat), (kept, &eps_hat)]));
        }
        let noise = step.fresh_noise(x_t)?;
        Ok(S::linear_combination(&[
            (alpha_s, &x0_hat),
            (kept, &eps_hat),
            (sigma_s * fresh, &noise),
        ]))
    }
}
