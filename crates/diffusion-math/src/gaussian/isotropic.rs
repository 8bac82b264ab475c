//! `N(μ, σ²I)`.

use super::{LN_2PI, check_mean, log_of_variance, same_dimension};
use crate::MathError;
use crate::stable::exp_m1_minus_x;

/// `N(μ, σ²I)` in d dimensions: what every step of a diffusion is.
///
/// ```
/// use diffusion_math::IsotropicGaussian;
/// let p = IsotropicGaussian::new(&[0.0], 1.0)?;
/// let q = IsotropicGaussian::new(&[1.0], 4.0)?;
/// assert!((p.kl(&q) - (2f64.ln() - 0.25)).abs() < 1e-15);
/// assert_eq!(p.kl(&p), 0.0);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IsotropicGaussian {
    mean: Vec<f64>,
    log_variance: f64,
}

impl IsotropicGaussian {
    /// The Gaussian of this mean and this variance > 0 of every coordinate.
    ///
    /// # Errors
    /// No coordinate, a mean that is not finite, or a variance that is not positive and finite.
    pub fn new(mean: &[f64], variance: f64) -> Result<Self, MathError> {
        check_mean(mean)?;
        Ok(Self { mean: mean.to_vec(), log_variance: log_of_variance(variance)? })
    }

    /// d.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// μ.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// σ² > 0.
    pub fn variance(&self) -> f64 {
        self.log_variance.exp()
    }

    fn d(&self) -> f64 {
        self.dimension() as f64
    }

    /// `ln p(x)`, in nats.
    ///
    /// # Panics
    /// When `x` has not d coordinates.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        same_dimension(self.dimension(), x.len());
        let distance = squared_distance(&self.mean, x);
        -0.5 * (self.d() * (LN_2PI + self.log_variance) + distance * (-self.log_variance).exp())
    }

    /// `H = (d/2)·ln(2πe·σ²)`, in nats; negative where σ < 0.242.
    pub fn entropy(&self) -> f64 {
        0.5 * self.d() * (LN_2PI + 1.0 + self.log_variance)
    }

    /// `−E_p ln q = ½·[d·ln 2πσ_q² + (d·σ_p² + ‖μ_p − μ_q‖²)/σ_q²]`, in nats, with p this Gaussian and q the other.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn cross_entropy(&self, other: &Self) -> f64 {
        same_dimension(self.dimension(), other.dimension());
        let distance = squared_distance(&self.mean, &other.mean);
        let ratio = (self.log_variance - other.log_variance).exp();
        0.5 * (self.d() * (LN_2PI + other.log_variance + ratio)
            + distance * (-other.log_variance).exp())
    }

    /// `KL(p‖q) = (d/2)·(r − 1 − ln r) + ‖μ_p − μ_q‖²/(2σ_q²) ≥ 0` with `r = σ_p²/σ_q²`, in nats.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn kl(&self, other: &Self) -> f64 {
        same_dimension(self.dimension(), other.dimension());
        let distance = squared_distance(&self.mean, &other.mean);
        kl_isotropic(self.dimension(), distance, self.log_variance, other.log_variance)
    }
}

/// `KL(N(μ, σ_p²I)‖N(μ', σ_q²I))` of the squared distance of the means and the two log-variances, in nats: what each term
/// of a diffusion's evidence bound is.
pub fn kl_isotropic(
    dimension: usize,
    squared_distance: f64,
    log_variance_p: f64,
    log_variance_q: f64,
) -> f64 {
    let spread = dimension as f64 * exp_m1_minus_x(log_variance_p - log_variance_q);
    0.5 * (spread + squared_distance * (-log_variance_q).exp())
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum()
}
