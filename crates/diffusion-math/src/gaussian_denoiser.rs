//! The exact denoiser of Gaussian data: an oracle that needs no training.

use ndarray::{Array, Dimension};

use crate::{DenoiseError, Denoiser, MathError, NoiseLevel, Prediction};

/// Data whose coordinates are independent `N(mean, variance)`, and its exact denoiser at every level.
///
/// `x̂₀ = m + α·s²/(α²·s² + σ²)·(x_t − α·m)`. With it every sampler is affine in x and in its noise, so that its output law
/// is known without Monte Carlo; the probability-flow ODE has the closed form [`flow`](Self::flow).
///
/// ```
/// use diffusion_math::{Denoiser, GaussianDenoiser, NoiseLevel};
/// let data = GaussianDenoiser::new(0.5, 0.25)?;
/// // Pure noise says nothing: the answer is the mean of the data.
/// assert_eq!(data.denoise(&-1.3, NoiseLevel::from_scales(0.0, 1.0))?.x0_hat, 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianDenoiser {
    mean: f64,
    variance: f64,
}

impl GaussianDenoiser {
    /// Data `N(mean, variance)` in every coordinate; variance ≥ 0, where 0 is a point mass.
    ///
    /// # Errors
    /// A mean that is not finite, or a variance that is negative or not finite.
    pub fn new(mean: f64, variance: f64) -> Result<Self, MathError> {
        check_moments(mean, variance)?;
        Ok(Self { mean, variance })
    }

    /// Mean of the data.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance of the data.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Mean and variance of x_t: `(α·m, α²·s² + σ²)`.
    pub fn marginal(&self, level: NoiseLevel) -> (f64, f64) {
        let (alpha, sigma) = level.scales();
        (alpha * self.mean, alpha * alpha * self.variance + sigma * sigma)
    }

    /// `E[x₀ | x_t]` of one coordinate.
    pub fn x0_hat(&self, x_t: f64, level: NoiseLevel) -> f64 {
        posterior_mean((self.mean, self.variance), x_t, level.scales())
    }

    /// `Var(x₀ | x_t) = σ²·s²/(α²·s² + σ²)` of one coordinate, whatever x_t is.
    pub fn posterior_variance(&self, level: NoiseLevel) -> f64 {
        let variance = self.marginal(level).1;
        if variance == 0.0 { 0.0 } else { level.sigma().powi(2) * self.variance / variance }
    }

    /// `∇ ln p(x_t) = −(x_t − α·m)/(α²·s² + σ²)` of one coordinate.
    pub fn score(&self, x_t: f64, level: NoiseLevel) -> f64 {
        let (mean, variance) = self.marginal(level);
        -(x_t - mean) / variance
    }

    /// Where the probability-flow ODE carries `x_t` from level `t` to level `s`:
    /// `x_s = α_s·m + √((α_s²·s² + σ_s²)/(α_t²·s² + σ_t²))·(x_t − α_t·m)`.
    pub fn flow(&self, x_t: f64, t: NoiseLevel, s: NoiseLevel) -> f64 {
        let ((mean_t, variance_t), (mean_s, variance_s)) = (self.marginal(t), self.marginal(s));
        mean_s + (variance_s / variance_t).sqrt() * (x_t - mean_t)
    }
}

pub(crate) fn check_moments(mean: f64, variance: f64) -> Result<(), MathError> {
    if !mean.is_finite() {
        return Err(MathError::OutOfRange {
            what: "mean",
            value: mean,
            allowed: "a finite number",
        });
    }
    if !(variance.is_finite() && variance >= 0.0) {
        return Err(MathError::OutOfRange {
            what: "variance",
            value: variance,
            allowed: "a finite number >= 0",
        });
    }
    Ok(())
}

/// `m + α·s²/(α²·s² + σ²)·(x − α·m)`, and m where both variances are 0.
pub(crate) fn posterior_mean(
    (mean, variance): (f64, f64),
    x_t: f64,
    (alpha, sigma): (f64, f64),
) -> f64 {
    let total = alpha * alpha * variance + sigma * sigma;
    if total == 0.0 { mean } else { mean + alpha * variance / total * (x_t - alpha * mean) }
}

impl Denoiser<f64> for GaussianDenoiser {
    fn denoise(&self, x_t: &f64, level: NoiseLevel) -> Result<Prediction<f64>, DenoiseError> {
        Ok(Prediction::of_x0(self.x0_hat(*x_t, level)))
    }
}

macro_rules! denoiser_of_arrays_of {
    ($element:ty) => {
        impl<D: Dimension> Denoiser<Array<$element, D>> for GaussianDenoiser {
            fn denoise(
                &self,
                x_t: &Array<$element, D>,
                level: NoiseLevel,
            ) -> Result<Prediction<Array<$element, D>>, DenoiseError> {
                let scales = level.scales();
                let x0_hat = |&x: &$element| {
                    posterior_mean((self.mean, self.variance), f64::from(x), scales) as $element
                };
                Ok(Prediction::of_x0(x_t.map(x0_hat)))
            }
        }
    };
}

denoiser_of_arrays_of!(f32);
denoiser_of_arrays_of!(f64);
