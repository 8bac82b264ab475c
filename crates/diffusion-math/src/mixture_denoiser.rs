//! The exact denoiser of a Gaussian mixture: an oracle whose posterior mean is not linear in x.

use ndarray::{Array, Axis, Dimension};

use crate::gaussian_denoiser::{check_moments, posterior_mean};
use crate::stable::log_sum_exp;
use crate::{DenoiseError, Denoiser, MathError, NoiseLevel, Prediction};

/// Data from a mixture of Gaussians with diagonal covariances, `Σ w_k·N(μ_k, diag s_k²)` in d dimensions, and its exact
/// denoiser at every level.
///
/// With responsibilities `r_k ∝ w_k·N(x_t; α·μ_k, V_k)`, `V_k = α²·s_k² + σ²` (normalised in log space):
/// `x̂₀ = Σ r_k·[μ_k + α·s_k²/V_k·(x_t − α·μ_k)]`. A component without variance is a training point, which makes it the
/// denoiser of a finite data set.
///
/// As a [`Denoiser`] of arrays, each sample along axis 0 is one point of d coordinates; with d = 1 every element is a point
/// of its own.
///
/// ```
/// use diffusion_math::{MixtureDenoiser, NoiseLevel};
/// // (weight, mean, variance)
/// let data = MixtureDenoiser::one_dimensional(&[(0.3, -1.0, 0.05), (0.7, 0.8, 0.1)])?;
/// let level = NoiseLevel::from_scales(0.9, (1.0f64 - 0.81).sqrt());
/// assert!((data.x0_hat(&[0.3], level)[0] - 0.62125151543250872).abs() < 1e-14);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureDenoiser {
    components: Vec<Component>,
    dimension: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Component {
    log_weight: f64,
    /// (mean, variance) of each coordinate.
    moments: Vec<(f64, f64)>,
}

impl MixtureDenoiser {
    /// A mixture of `(weight, mean, variance)`, mean and variance one number a coordinate. Weights are > 0 and are
    /// normalised; variances are ≥ 0.
    ///
    /// # Errors
    /// No component, no coordinate, dimensions that differ, or a number out of its range.
    pub fn new(components: &[(f64, &[f64], &[f64])]) -> Result<Self, MathError> {
        let at_least_one = |what| MathError::LengthMismatch { what, expected: 1, got: 0 };
        let (_, first, _) = components.first().ok_or(at_least_one("components of a mixture"))?;
        let dimension = first.len();
        if dimension == 0 {
            return Err(at_least_one("coordinates of a mixture"));
        }
        let mut total = 0.0;
        for (weight, mean, variance) in components {
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(MathError::OutOfRange {
                    what: "weight",
                    value: *weight,
                    allowed: "a finite number > 0",
                });
            }
            total += weight;
            for (what, got) in
                [("means of a component", mean.len()), ("variances of a component", variance.len())]
            {
                if got != dimension {
                    return Err(MathError::LengthMismatch { what, expected: dimension, got });
                }
            }
            mean.iter()
                .zip(*variance)
                .try_for_each(|(&mean, &variance)| check_moments(mean, variance))?;
        }
        let component = |(weight, mean, variance): &(f64, &[f64], &[f64])| Component {
            log_weight: (weight / total).ln(),
            moments: mean.iter().copied().zip(variance.iter().copied()).collect(),
        };
        Ok(Self { components: components.iter().map(component).collect(), dimension })
    }

    /// A mixture on the line, of `(weight, mean, variance)`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn one_dimensional(components: &[(f64, f64, f64)]) -> Result<Self, MathError> {
        let split: Vec<_> = components
            .iter()
            .map(|(weight, mean, variance)| (*weight, [*mean], [*variance]))
            .collect();
        let borrowed: Vec<_> = split
            .iter()
            .map(|(weight, mean, variance)| (*weight, mean.as_slice(), variance.as_slice()))
            .collect();
        Self::new(&borrowed)
    }

    /// d, the number of coordinates of a point.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// `ln(w_k·N(x_t; α·μ_k, V_k))` of each component.
    fn log_joint<'a>(
        &'a self,
        x_t: &'a [f64],
        level: NoiseLevel,
    ) -> impl Iterator<Item = f64> + Clone + 'a {
        let (alpha, sigma) = level.scales();
        self.components.iter().map(move |component| {
            let coordinates = component.moments.iter().zip(x_t);
            component.log_weight
                + coordinates
                    .map(|(&(mean, variance), x)| {
                        let total = alpha * alpha * variance + sigma * sigma;
                        -0.5 * ((x - alpha * mean).powi(2) / total
                            + total.ln()
                            + (2.0 * std::f64::consts::PI).ln())
                    })
                    .sum::<f64>()
        })
    }

    /// `ln p(x_t)` of one point, in nats.
    ///
    /// # Panics
    /// When `x_t` has not d coordinates.
    pub fn log_density(&self, x_t: &[f64], level: NoiseLevel) -> f64 {
        assert_eq!(x_t.len(), self.dimension, "a point has d coordinates");
        log_sum_exp(self.log_joint(x_t, level))
    }

    /// The probability of each component given one point.
    ///
    /// # Panics
    /// When `x_t` has not d coordinates.
    pub fn responsibilities(&self, x_t: &[f64], level: NoiseLevel) -> Vec<f64> {
        assert_eq!(x_t.len(), self.dimension, "a point has d coordinates");
        let total = log_sum_exp(self.log_joint(x_t, level));
        self.log_joint(x_t, level).map(|log_joint| (log_joint - total).exp()).collect()
    }

    /// `E[x₀ | x_t]` of one point.
    ///
    /// # Panics
    /// When `x_t` has not d coordinates.
    pub fn x0_hat(&self, x_t: &[f64], level: NoiseLevel) -> Vec<f64> {
        let scales = level.scales();
        let mut x0_hat = vec![0.0; self.dimension];
        for (responsibility, component) in
            self.responsibilities(x_t, level).into_iter().zip(&self.components)
        {
            for ((x0_hat, &moments), &x) in x0_hat.iter_mut().zip(&component.moments).zip(x_t) {
                *x0_hat += responsibility * posterior_mean(moments, x, scales);
            }
        }
        x0_hat
    }

    /// `∇ ln p(x_t) = (α·x̂₀ − x_t)/σ²` of one point, σ > 0 (Tweedie).
    ///
    /// # Panics
    /// When `x_t` has not d coordinates.
    pub fn score(&self, x_t: &[f64], level: NoiseLevel) -> Vec<f64> {
        let (alpha, sigma) = level.scales();
        let x0_hat = self.x0_hat(x_t, level);
        x0_hat.iter().zip(x_t).map(|(x0_hat, x)| (alpha * x0_hat - x) / (sigma * sigma)).collect()
    }
}

impl Denoiser<f64> for MixtureDenoiser {
    fn denoise(&self, x_t: &f64, level: NoiseLevel) -> Result<Prediction<f64>, DenoiseError> {
        if self.dimension != 1 {
            let d = self.dimension;
            return Err(DenoiseError::Input(format!(
                "a number is no point of a mixture in {d} dimensions"
            )));
        }
        Ok(Prediction::of_x0(self.x0_hat(&[*x_t], level)[0]))
    }
}

macro_rules! denoiser_of_arrays_of {
    ($element:ty) => {
        impl<D: Dimension> Denoiser<Array<$element, D>> for MixtureDenoiser {
            fn denoise(
                &self,
                x_t: &Array<$element, D>,
                level: NoiseLevel,
            ) -> Result<Prediction<Array<$element, D>>, DenoiseError> {
                let d = self.dimension;
                let n_samples = if x_t.ndim() == 0 { 1 } else { x_t.len_of(Axis(0)) };
                if d != 1 && x_t.len() != n_samples * d {
                    let shape = x_t.shape();
                    return Err(DenoiseError::Input(format!(
                        "samples of shape {shape:?} are no points of {d} dimensions"
                    )));
                }
                let x: Vec<f64> = x_t.iter().map(|&x| f64::from(x)).collect();
                let x0_hat = x
                    .chunks(d)
                    .flat_map(|point| self.x0_hat(point, level))
                    .map(|x| x as $element)
                    .collect();
                let x0_hat = Array::from_shape_vec(x_t.raw_dim(), x0_hat)
                    .expect("as many elements as the shape has");
                Ok(Prediction::of_x0(x0_hat))
            }
        }
    };
}

denoiser_of_arrays_of!(f32);
denoiser_of_arrays_of!(f64);
