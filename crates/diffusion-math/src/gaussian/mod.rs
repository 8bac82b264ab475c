//! Gaussians as distributions: density, entropy, cross-entropy and Kullback–Leibler divergence in closed form.
//!
//! One file per covariance: `σ²I`, diagonal, full. All divergences go through `eʳ − 1 − r` with r the difference of
//! log-variances, which is never negative and keeps its digits where the two Gaussians nearly agree; the textbook's
//! `v₁/v₂ − 1 − ln(v₁/v₂)` loses them all.

mod diagonal;
mod full;
mod isotropic;

pub use diagonal::DiagonalGaussian;
pub use full::FullGaussian;
pub use isotropic::{IsotropicGaussian, kl_isotropic};

use crate::MathError;
use crate::stable::exp_m1_minus_x;

/// `ln 2π`.
const LN_2PI: f64 = 1.837_877_066_409_345_5;

/// `½·(e^{δ} − 1 − δ + Δ²·e^{−l₂})`: KL of two Gaussians on the line whose log-variances are l₁ = l₂ + δ and whose means
/// differ by Δ. In nats.
fn kl_on_a_line(log_variance: (f64, f64), difference: f64) -> f64 {
    0.5 * (exp_m1_minus_x(log_variance.0 - log_variance.1)
        + difference.powi(2) * (-log_variance.1).exp())
}

fn check_mean(mean: &[f64]) -> Result<(), MathError> {
    if mean.is_empty() {
        return Err(MathError::LengthMismatch {
            what: "coordinates of a Gaussian",
            expected: 1,
            got: 0,
        });
    }
    match mean.iter().find(|m| !m.is_finite()) {
        Some(&value) => {
            Err(MathError::OutOfRange { what: "mean", value, allowed: "a finite number" })
        }
        None => Ok(()),
    }
}

fn log_of_variance(variance: f64) -> Result<f64, MathError> {
    if variance.is_finite() && variance > 0.0 {
        Ok(variance.ln())
    } else {
        Err(MathError::OutOfRange {
            what: "variance",
            value: variance,
            allowed: "a finite number > 0",
        })
    }
}

fn same_dimension(p: usize, q: usize) {
    assert_eq!(p, q, "two Gaussians of one dimension");
}
