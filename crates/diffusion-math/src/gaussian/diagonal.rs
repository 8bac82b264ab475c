//! `N(μ, diag σ²)`.

use super::{LN_2PI, check_mean, kl_on_a_line, log_of_variance, same_dimension};
use crate::MathError;

/// `N(μ, diag σ²)` in d dimensions: independent coordinates, each with a variance of its own.
///
/// ```
/// use diffusion_math::DiagonalGaussian;
/// // A variational autoencoder's term against the standard normal.
/// let q = DiagonalGaussian::new(&[0.3], &[0.25])?;
/// let prior = DiagonalGaussian::standard(1);
/// assert!((q.kl(&prior) - 0.36314718055994531).abs() < 1e-15);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DiagonalGaussian {
    mean: Vec<f64>,
    log_variance: Vec<f64>,
}

impl DiagonalGaussian {
    /// The Gaussian of these means and variances > 0, one of each a coordinate.
    ///
    /// # Errors
    /// No coordinate, lengths that differ, a mean that is not finite, or a variance that is not positive and finite.
    pub fn new(mean: &[f64], variance: &[f64]) -> Result<Self, MathError> {
        check_mean(mean)?;
        let (expected, got) = (mean.len(), variance.len());
        if expected != got {
            return Err(MathError::LengthMismatch {
                what: "variances of a Gaussian",
                expected,
                got,
            });
        }
        let log_variance =
            variance.iter().map(|&v| log_of_variance(v)).collect::<Result<_, _>>()?;
        Ok(Self { mean: mean.to_vec(), log_variance })
    }

    /// `N(0, I)` in d ≥ 1 dimensions.
    ///
    /// # Panics
    /// When d = 0.
    pub fn standard(dimension: usize) -> Self {
        assert!(dimension > 0, "a Gaussian has at least one coordinate");
        Self { mean: vec![0.0; dimension], log_variance: vec![0.0; dimension] }
    }

    /// d.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// μ.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// ln σ² of each coordinate.
    pub fn log_variance(&self) -> &[f64] {
        &self.log_variance
    }

    /// `ln p(x)`, in nats.
    ///
    /// # Panics
    /// When `x` has not d coordinates.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        same_dimension(self.dimension(), x.len());
        let coordinates = self.mean.iter().zip(&self.log_variance).zip(x);
        -0.5 * coordinates
            .map(|((mean, log_v), x)| LN_2PI + log_v + (x - mean).powi(2) * (-log_v).exp())
            .sum::<f64>()
    }

    /// `H = ½·Σ ln(2πe·σᵢ²)`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * self.log_variance.iter().map(|log_v| LN_2PI + 1.0 + log_v).sum::<f64>()
    }

    /// `−E_p ln q = ½·Σ [ln 2πσ_{q,i}² + (σ_{p,i}² + Δᵢ²)/σ_{q,i}²]`, in nats, with p this Gaussian and q the other.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn cross_entropy(&self, other: &Self) -> f64 {
        let coordinate = |(difference, log_p, log_q): (f64, f64, f64)| {
            0.5 * (LN_2PI + log_q + (log_p - log_q).exp() + difference.powi(2) * (-log_q).exp())
        };
        self.coordinates_with(other).map(coordinate).sum()
    }

    /// `KL(p‖q) = ½·Σ [rᵢ − 1 − ln rᵢ + Δᵢ²/σ_{q,i}²] ≥ 0` with `rᵢ = σ_{p,i}²/σ_{q,i}²`, in nats.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn kl(&self, other: &Self) -> f64 {
        self.coordinates_with(other)
            .map(|(difference, log_p, log_q)| kl_on_a_line((log_p, log_q), difference))
            .sum()
    }

    /// Of each coordinate: difference of the means, and both log-variances.
    fn coordinates_with<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
        same_dimension(self.dimension(), other.dimension());
        let means = self.mean.iter().zip(&other.mean);
        let log_variances = self.log_variance.iter().zip(&other.log_variance);
        means.zip(log_variances).map(|((m, m_q), (log_p, log_q))| (m - m_q, *log_p, *log_q))
    }
}
