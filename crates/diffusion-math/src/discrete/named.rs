//! The schedules of the literature, by their β.

use super::{DiscreteSchedule, cosine};
use crate::MathError;
use crate::stable::sigmoid;

/// Ho et al.'s schedules are stated for this many steps; others are scaled from it.
pub(super) const REFERENCE_STEPS: f64 = 1000.0;

impl DiscreteSchedule {
    /// DDPM's linear schedule (Ho et al. 2020, arXiv:2006.11239, Section 4): β from 1e-4 to 0.02 at T = 1000, multiplied
    /// by 1000/T at another T, so that its ends keep their signal-to-noise ratio.
    ///
    /// # Errors
    /// `n_steps` = 0, or so few (20 and below) that a scaled β reaches 1.
    pub fn linear(n_steps: usize) -> Result<Self, MathError> {
        let (beta_start, beta_end) = scaled_ends(1e-4, 0.02, n_steps)?;
        Self::linear_with(beta_start, beta_end, n_steps)
    }

    /// `β_i = β_start + (i − 1)/(T − 1)·(β_end − β_start)`, unscaled: diffusers' `linear`.
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn linear_with(beta_start: f64, beta_end: f64, n_steps: usize) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        Self::from_betas(&linspace(beta_start, beta_end, n_steps))
    }

    /// `β_i = (√β_start + (i − 1)/(T − 1)·(√β_end − √β_start))²`, unscaled: diffusers' `scaled_linear`, with 0.00085 and
    /// 0.012 the schedule of Stable Diffusion (Rombach et al. 2022, arXiv:2112.10752).
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn scaled_linear(
        beta_start: f64,
        beta_end: f64,
        n_steps: usize,
    ) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        let roots = linspace(beta_start.sqrt(), beta_end.sqrt(), n_steps);
        Self::from_betas(&roots.iter().map(|root| root * root).collect::<Vec<_>>())
    }

    /// `β_i = β_start + (β_end − β_start)·sigmoid(−6 + 12·(i − 1)/(T − 1))`, unscaled: diffusers' `sigmoid` (GeoDiff,
    /// Xu et al. 2022, arXiv:2203.02923).
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn sigmoid(beta_start: f64, beta_end: f64, n_steps: usize) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        let arguments = linspace(-6.0, 6.0, n_steps);
        let beta = |x: &f64| beta_start + (beta_end - beta_start) * sigmoid(*x);
        Self::from_betas(&arguments.iter().map(beta).collect::<Vec<_>>())
    }

    /// The cosine schedule (Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 17): `ᾱ(u) = cos²θ(u)/cos²θ(0)`,
    /// `θ(u) = (u + 0.008)/1.008·π/2`, with β clipped at 0.999.
    ///
    /// # Errors
    /// `n_steps` = 0.
    pub fn cosine(n_steps: usize) -> Result<Self, MathError> {
        if n_steps == 0 {
            return Err(MathError::NoSteps);
        }
        let (beta, log_keep) = cosine::betas(n_steps);
        Ok(Self::from_log_keep(beta, &log_keep))
    }
}

/// `n` numbers from `start` to `end`, both included; `start` alone where n = 1, as numpy and torch have it.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f64> {
    let step = |i: usize| if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 };
    (0..n).map(|i| start + step(i) * (end - start)).collect()
}

/// The ends of a 1000-step schedule scaled to `n_steps`: `β·1000/T`.
pub(super) fn scaled_ends(
    beta_start: f64,
    beta_end: f64,
    n_steps: usize,
) -> Result<(f64, f64), MathError> {
    if n_steps == 0 {
        return Err(MathError::NoSteps);
    }
    let scale = REFERENCE_STEPS / n_steps as f64;
    let beta_end = beta_end * scale;
    if beta_end >= 1.0 {
        return Err(MathError::TooFewSteps { n_steps, beta_end });
    }
    Ok((beta_start * scale, beta_end))
}

fn check_ends(beta_start: f64, beta_end: f64) -> Result<(), MathError> {
    for (what, value) in [("beta_start", beta_start), ("beta_end", beta_end)] {
        if !(value > 0.0 && value < 1.0) {
            return Err(MathError::OutOfRange { what, value, allowed: "0 < beta < 1" });
        }
    }
    if beta_start > beta_end {
        return Err(MathError::BetaRange { beta_start, beta_end });
    }
    Ok(())
}
