//! Schedules of finitely many steps, as DDPM and diffusers have them.
//!
//! The one file where an index has a meaning: level 0 is clean, level `i` is the state after `i` noising steps, and
//! a network trained on it is asked at time `i − 1` (diffusers' timestep). Tables are f64, in log space.

mod between;
mod config;
mod cosine;
mod named;
mod zero_terminal_snr;

pub use config::{ScheduleConfig, ScheduleKind};

use crate::stable::log1mexp;
use crate::{LogSnr, MathError, NoiseLevel};

/// A variance-preserving schedule of `T` steps: `ᾱ_i = Π_{k≤i} (1 − β_k)`, `α_i = √ᾱ_i`, `σ_i = √(1 − ᾱ_i)`.
///
/// Index 0 is clean data (ᾱ = 1), index T the noisiest level. A level's [`time`](NoiseLevel::time) is its index less one,
/// which is what a network trained on diffusers' convention expects.
///
/// ```
/// use diffusion_math::DiscreteSchedule;
/// let schedule = DiscreteSchedule::linear(1000)?;
/// assert!((schedule.alpha_bar(500) - 0.078587242881778237343).abs() < 1e-15);
/// assert_eq!(schedule.level(500).time(), 499.0);
/// assert_eq!(schedule.level(0).scales(), (1.0, 0.0));
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteSchedule {
    /// β of step i at i − 1.
    beta: Vec<f64>,
    /// ln ᾱ at index i; length T + 1.
    log_alpha_bar: Vec<f64>,
    /// ln(1 − ᾱ) at index i; length T + 1.
    log_noise: Vec<f64>,
}

impl DiscreteSchedule {
    /// The schedule with the given β of steps 1 to T.
    ///
    /// # Errors
    /// No β, or one outside (0, 1).
    pub fn from_betas(beta: &[f64]) -> Result<Self, MathError> {
        if beta.is_empty() {
            return Err(MathError::NoSteps);
        }
        for (i, &beta) in beta.iter().enumerate() {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(MathError::BetaOutOfRange { step: i + 1, beta });
            }
        }
        let log_keep: Vec<f64> = beta.iter().map(|beta| (-beta).ln_1p()).collect();
        Ok(Self::from_log_keep(beta.to_vec(), &log_keep))
    }

    /// The schedule of β and `ln(1 − β)`, given both because the second loses digits where β is near 1.
    fn from_log_keep(beta: Vec<f64>, log_keep: &[f64]) -> Self {
        let mut log_alpha_bar = Vec::with_capacity(beta.len() + 1);
        log_alpha_bar.push(0.0);
        // Compensated (Neumaier): the sum's relative error stays at one rounding whatever T is.
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for &term in log_keep {
            let next = sum + term;
            if next.is_finite() {
                lost +=
                    if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
            }
            sum = next;
            log_alpha_bar.push(sum + lost);
        }
        Self::from_log_alpha_bar(beta, log_alpha_bar)
    }

    fn from_log_alpha_bar(beta: Vec<f64>, log_alpha_bar: Vec<f64>) -> Self {
        let log_noise = log_alpha_bar.iter().map(|&l| log1mexp(l)).collect();
        Self { beta, log_alpha_bar, log_noise }
    }

    /// T, the number of steps; indices run from 0 to T.
    pub fn n_steps(&self) -> usize {
        self.beta.len()
    }

    /// β of step `index`, in (0, 1] for 1 ≤ index ≤ T: the share of variance that the step replaces; 0 at index 0.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn beta(&self, index: usize) -> f64 {
        if index == 0 { 0.0 } else { self.beta[index - 1] }
    }

    /// β of steps 1 to T; diffusers' `betas`.
    pub fn betas(&self) -> &[f64] {
        &self.beta
    }

    /// `ᾱ` at `index` in 0..=T, in [0, 1]; diffusers' `alphas_cumprod[index − 1]`.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn alpha_bar(&self, index: usize) -> f64 {
        self.log_alpha_bar[index].exp()
    }

    /// `1 − ᾱ = σ²` at `index` in 0..=T, to full relative precision.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn one_minus_alpha_bar(&self, index: usize) -> f64 {
        -self.log_alpha_bar[index].exp_m1()
    }

    /// `λ = ln(ᾱ/(1 − ᾱ))` at `index` in 0..=T, in nats; +∞ at index 0, −∞ at zero terminal signal.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn log_snr(&self, index: usize) -> LogSnr {
        LogSnr(self.log_alpha_bar[index] - self.log_noise[index])
    }

    /// The level after `index` noising steps, 0..=T; its time is `index − 1`.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn level(&self, index: usize) -> NoiseLevel {
        NoiseLevel::from_log_scales(0.5 * self.log_alpha_bar[index], 0.5 * self.log_noise[index])
            .with_time(index as f64 - 1.0)
    }

    /// The level at which a network is asked at diffusers' `timestep` in 0..T: [`level`](Self::level) of `timestep + 1`.
    ///
    /// # Panics
    /// When `timestep ≥ T`.
    pub fn level_at_timestep(&self, timestep: usize) -> NoiseLevel {
        self.level(timestep + 1)
    }

    /// Whether the last level holds no signal at all: ᾱ_T = 0, where an ε-prediction says nothing about x₀.
    pub fn has_zero_terminal_snr(&self) -> bool {
        self.log_alpha_bar[self.n_steps()] == f64::NEG_INFINITY
    }
}
